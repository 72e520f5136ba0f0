//! Workspaces, and who is a member of which.
//!
//! Bases are in workspaces: one that lives here in the one it was put in, one that lives in Airtable
//! in that of the login it is read with. A member does in the bases of a workspace what their role
//! allows; bases of other workspaces are not there for them. Held in memory, so that a change is in
//! force with the next question.

mod invitations;
mod listed;
mod own_logins;
mod role;

use std::collections::HashMap;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use tablewright_core::model::{BaseId, Id, Person, WorkspaceId};
use tablewright_core::suggest::{did_you_mean, nearest};
use tablewright_core::{Code, Fault};
use tablewright_engine::Engine;
use tablewright_engine::store::directory::{StoredMember, StoredPerson, StoredWorkspace, Thing};
use tablewright_formula::moment::Zone;
use tokio::sync::Mutex;

pub use invitations::Invited;
pub use listed::{Listed, ListedRole};
pub use role::Role;

use crate::access::Rights;

/// Most workspaces.
const MAX_WORKSPACES: usize = 1_000;
/// Most people and service accounts.
const MAX_PEOPLE: usize = 10_000;
/// What the workspace is called that is there from the start.
const FIRST: &str = "Home";

/// The directory of a data directory. Cheap to clone.
#[derive(Clone)]
pub struct Directory(Arc<Inner>);

struct Inner {
    engine: Engine,
    held: RwLock<Arc<Held>>,
    /// One edit at a time: each looks before it writes.
    edits: Mutex<()>,
    /// Where people accept invitations, such as `http://localhost:8080`; known once somebody listens.
    origin: OnceLock<String>,
}

#[derive(Default)]
struct Held {
    /// Oldest first; never empty.
    workspaces: Vec<(WorkspaceId, String)>,
    /// By principal.
    members: HashMap<String, Arc<Member>>,
    bases: HashMap<BaseId, WorkspaceId>,
    logins: HashMap<String, WorkspaceId>,
    /// By principal.
    own_logins: HashMap<String, String>,
}

/// Somebody who is a member of a workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// `person:ADDRESS` or `service:NAME`.
    pub principal: Arc<str>,
    /// What people see.
    pub name: String,
    /// An IANA time zone.
    pub time_zone: Option<String>,
    /// A BCP 47 tag.
    pub locale: Option<String>,
    /// Their role in each of their workspaces; at least one.
    pub roles: Vec<(WorkspaceId, Role)>,
}

impl Member {
    /// Their role in a workspace.
    pub fn role_in(&self, workspace: WorkspaceId) -> Option<Role> {
        self.roles.iter().find(|(id, _)| *id == workspace).map(|(_, role)| *role)
    }

    /// The role of theirs that allows most.
    pub fn highest(&self) -> Option<Role> {
        self.roles.iter().map(|(_, role)| *role).max()
    }

    /// What they may do somewhere at least.
    pub fn rights(&self) -> Rights {
        self.highest().map_or(Rights::NONE, Role::rights)
    }

    /// True when there is a workspace both are members of.
    pub fn meets(&self, other: &Self) -> bool {
        self.roles.iter().any(|(workspace, _)| other.role_in(*workspace).is_some())
    }

    /// As Airtable shows people.
    pub fn person(&self) -> Person {
        Person { name: self.name.clone(), ..Person::of(&self.principal) }
    }

    fn within(&self, workspace: WorkspaceId) -> Option<Self> {
        let role = self.role_in(workspace)?;
        Some(Self { roles: vec![(workspace, role)], ..self.clone() })
    }
}

/// What can be changed of what is known of somebody; absent parts stay.
#[derive(Debug, Clone, Default)]
pub struct PersonEdit {
    /// What people see.
    pub name: Option<String>,
    /// An IANA time zone; empty for none.
    pub time_zone: Option<String>,
    /// A BCP 47 tag; empty for none.
    pub locale: Option<String>,
}

fn wrong(message: impl Into<String>) -> Fault {
    Fault::new(Code::InvalidArguments, message)
}

/// A name of a workspace, a person or a service account.
fn name_of(what: &str, text: &str) -> Result<String, Fault> {
    let name = text.trim();
    if name.is_empty() || name.chars().count() > 100 || name.chars().any(char::is_control) {
        return Err(wrong(format!("the name of {what} is a text of 1 to 100 characters on one line")));
    }
    Ok(name.to_owned())
}

/// The principal of a person with this address.
pub(crate) fn principal_of(email: &str) -> Result<String, Fault> {
    let email = email.trim();
    let is_address = email.len() <= 254
        && email.split_once('@').is_some_and(|(local, host)| {
            !local.is_empty() && host.contains('.') && !host.contains('@') && !host.starts_with('.')
        })
        && !email.chars().any(|c| c.is_whitespace() || c.is_control() || ",;<>()\"".contains(c));
    if !is_address {
        return Err(wrong(format!("{email:?} is no email address; write one as ann@example.com")));
    }
    Ok(format!("person:{}", email.to_lowercase()))
}

fn checked_zone(text: &str) -> Result<Option<String>, Fault> {
    match text.trim() {
        "" => Ok(None),
        zone if Zone::iana(zone).is_some() => Ok(Some(zone.to_owned())),
        zone => {
            Err(wrong(format!("there is no time zone {zone:?}; write an IANA name as \"Europe/Berlin\"")))
        }
    }
}

fn checked_locale(text: &str) -> Result<Option<String>, Fault> {
    let text = text.trim();
    let is_tag = |tag: &str| {
        let mut parts = tag.split('-');
        let language = parts.next().unwrap_or_default();
        (2..=3).contains(&language.len())
            && language.bytes().all(|byte| byte.is_ascii_lowercase())
            && parts.all(|part| {
                (2..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric())
            })
    };
    match text {
        "" => Ok(None),
        tag if tag.len() <= 35 && is_tag(tag) => Ok(Some(tag.to_owned())),
        tag => Err(wrong(format!("{tag:?} is no locale; write a language tag as \"de\" or \"en-gb\""))),
    }
}

impl Directory {
    /// Reads the directory of this engine's store. A new one has one workspace, in which everything is.
    pub async fn open(engine: Engine) -> Result<Self, Fault> {
        let (held, edits, origin) = (RwLock::default(), Mutex::default(), OnceLock::new());
        let directory = Self(Arc::new(Inner { engine, held, edits, origin }));
        directory.refresh().await?;
        if directory.held().workspaces.is_empty() {
            let id: WorkspaceId = Id::from_bytes(b"local");
            directory.keep_workspace(id, FIRST).await?;
        }
        Ok(directory)
    }

    fn held(&self) -> Arc<Held> {
        self.0.held.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn now(&self) -> i64 {
        self.0.engine.clock().now_ms()
    }

    pub(crate) async fn refresh(&self) -> Result<(), Fault> {
        let read = self.0.engine.store().stored_directory().await.map_err(Fault::from)?;
        let damaged = |what: &str| Fault::new(Code::Internal, format!("{what} in the directory is damaged"));
        let mut held = Held::default();
        for workspace in read.workspaces {
            let id = workspace.id.parse().map_err(|_| damaged("a workspace"))?;
            held.workspaces.push((id, workspace.name));
        }
        let mut roles: HashMap<String, Vec<(WorkspaceId, Role)>> = HashMap::new();
        for member in read.members {
            let workspace = member.workspace.parse().map_err(|_| damaged("a membership"))?;
            let role = Role::named(&member.role).ok_or_else(|| damaged("a role"))?;
            roles.entry(member.principal).or_default().push((workspace, role));
        }
        for StoredPerson { principal, name, time_zone, locale, .. } in read.people {
            let Some(roles) = roles.remove(&principal) else { continue };
            let member = Member { principal: principal.as_str().into(), name, time_zone, locale, roles };
            held.members.insert(principal, Arc::new(member));
        }
        let place = |text: &String| text.parse::<WorkspaceId>().map_err(|_| damaged("a place"));
        for (base, workspace) in &read.bases {
            held.bases.insert(base.parse().map_err(|_| damaged("a base"))?, place(workspace)?);
        }
        for (login, workspace) in &read.logins {
            held.logins.insert(login.clone(), place(workspace)?);
        }
        held.own_logins = read.own_logins.into_iter().collect();
        *self.0.held.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(held);
        Ok(())
    }

    /// All workspaces, oldest first.
    pub fn workspaces(&self) -> Vec<(WorkspaceId, String)> {
        self.held().workspaces.clone()
    }

    /// The workspace of what was put nowhere.
    pub fn first(&self) -> WorkspaceId {
        self.held().workspaces.first().map_or_else(|| Id::from_bytes(b"local"), |(id, _)| *id)
    }

    /// The workspace named `wanted`, one of `those`: id, or name in whatever case.
    pub(crate) fn find_among(
        those: &[(WorkspaceId, String)],
        wanted: &str,
    ) -> Result<(WorkspaceId, String), Fault> {
        let wanted = wanted.trim();
        let same = |(id, name): &&(WorkspaceId, String)| {
            id.to_string() == wanted || name.to_lowercase() == wanted.to_lowercase()
        };
        those.iter().find(same).cloned().ok_or_else(|| {
            let names: Vec<&str> = those.iter().map(|(_, name)| name.as_str()).collect();
            let near = did_you_mean(&nearest(wanted, names.iter().copied()));
            let hint = if near.is_empty() && names.len() <= 20 {
                format!(" Workspaces: {}.", names.join(", "))
            } else {
                near
            };
            wrong(format!("there is no workspace {wanted:?}.{hint}"))
        })
    }

    /// The workspace named `wanted`: id, or name in whatever case.
    pub fn find(&self, wanted: &str) -> Result<(WorkspaceId, String), Fault> {
        Self::find_among(&self.held().workspaces, wanted)
    }

    /// The workspace a base is in; `login` is what it is read with from Airtable.
    pub fn workspace_of(&self, base: BaseId, login: Option<&str>) -> WorkspaceId {
        let held = self.held();
        let put = match login {
            Some(login) => held.logins.get(login),
            None => held.bases.get(&base),
        };
        put.copied().unwrap_or_else(|| self.first())
    }

    /// The workspace of the bases that are read with a login at Airtable.
    pub fn workspace_of_login(&self, login: &str) -> WorkspaceId {
        self.held().logins.get(login).copied().unwrap_or_else(|| self.first())
    }

    /// Somebody as a member of all their workspaces, or of one alone; `None` when they are in none.
    pub fn member(&self, principal: &str, within: Option<WorkspaceId>) -> Option<Arc<Member>> {
        let member = self.held().members.get(principal)?.clone();
        match within {
            None => Some(member),
            Some(workspace) => member.within(workspace).map(Arc::new),
        }
    }

    /// The member a text names: `person:ADDRESS`, `service:NAME`, an address, or a service's name.
    pub fn find_member(&self, wanted: &str) -> Result<Arc<Member>, Fault> {
        let held = self.held();
        let wanted = wanted.trim();
        let full = match wanted.split_once(':') {
            Some(("person" | "service", _)) => wanted.to_lowercase(),
            _ if wanted.contains('@') => format!("person:{wanted}").to_lowercase(),
            _ => format!("service:{wanted}").to_lowercase(),
        };
        let found = held.members.values().find(|member| member.principal.to_lowercase() == full);
        found.cloned().ok_or_else(|| {
            let near = did_you_mean(&nearest(&full, held.members.keys().map(String::as_str)));
            wrong(format!("nobody is known as {wanted:?}.{near} `tablewright member list` shows everybody"))
        })
    }

    /// Says where people reach this server.
    pub fn set_origin(&self, origin: &str) {
        let _ = self.0.origin.set(origin.trim_end_matches('/').to_owned());
    }

    /// Where people accept invitations.
    pub fn origin(&self) -> Result<String, Fault> {
        self.0.origin.get().cloned().ok_or_else(|| {
            wrong("nobody serves HTTP from this data directory, so an invitation could not be accepted; start `tablewright serve --http 127.0.0.1:8080`.")
        })
    }

    /// Everybody, by principal.
    pub fn members(&self) -> Vec<Arc<Member>> {
        let mut all: Vec<_> = self.held().members.values().cloned().collect();
        all.sort_by(|a, b| a.principal.cmp(&b.principal));
        all
    }

    async fn keep_workspace(&self, id: WorkspaceId, name: &str) -> Result<(), Fault> {
        let stored = StoredWorkspace { id: id.to_string(), name: name.to_owned(), created_at: self.now() };
        self.0.engine.store().add_workspace(&stored).await.map_err(Fault::from)?;
        self.refresh().await
    }

    fn new_name(&self, name: &str, of: Option<WorkspaceId>) -> Result<String, Fault> {
        let name = name_of("a workspace", name)?;
        let held = self.held();
        let mut others = held.workspaces.iter().filter(|(id, _)| Some(*id) != of);
        if others.any(|(_, other)| other.to_lowercase() == name.to_lowercase()) {
            let message = format!("there is a workspace {name:?} already; choose another name");
            return Err(Fault::new(Code::Conflict, message));
        }
        Ok(name)
    }

    /// Makes a workspace.
    pub async fn create(&self, name: &str) -> Result<(WorkspaceId, String), Fault> {
        let _one = self.0.edits.lock().await;
        let name = self.new_name(name, None)?;
        if self.held().workspaces.len() >= MAX_WORKSPACES {
            return Err(wrong(format!("there are {MAX_WORKSPACES} workspaces; delete one first")));
        }
        let id = WorkspaceId::random();
        self.keep_workspace(id, &name).await?;
        Ok((id, name))
    }

    /// Gives a workspace another name.
    pub async fn rename(&self, workspace: WorkspaceId, name: &str) -> Result<String, Fault> {
        let _one = self.0.edits.lock().await;
        let name = self.new_name(name, Some(workspace))?;
        let store = self.0.engine.store();
        store.rename_workspace(&workspace.to_string(), &name).await.map_err(Fault::from)?;
        self.refresh().await?;
        Ok(name)
    }

    /// Deletes a workspace nothing is in; its members are members of it no more, and tokens that are of
    /// no use without it are taken back. To be followed by a look at the tokens.
    pub(crate) async fn delete(&self, workspace: WorkspaceId) -> Result<(), Fault> {
        let _one = self.0.edits.lock().await;
        let held = self.held();
        if workspace == self.first() {
            return Err(wrong("this is the workspace of everything that was put nowhere else; it stays"));
        }
        let here = self.0.engine.bases();
        let gone: Vec<&BaseId> = held
            .bases
            .iter()
            .filter(|(base, at)| **at == workspace && !here.iter().any(|(id, _)| id == *base))
            .map(|(base, _)| base)
            .collect();
        let bases = held.bases.values().filter(|at| **at == workspace).count() - gone.len();
        let logins = held.logins.values().filter(|at| **at == workspace).count();
        if bases + logins > 0 {
            let message = format!(
                "{bases} bases and {logins} logins are in it; move them first (`tablewright workspace move`)"
            );
            return Err(Fault::new(Code::Conflict, message));
        }
        let (store, id) = (self.0.engine.store(), workspace.to_string());
        for base in gone {
            store.unplace(Thing::Base, &base.to_string()).await.map_err(Fault::from)?;
        }
        for member in held.members.values().filter(|member| member.role_in(workspace).is_some()) {
            store.remove_member(&id, &member.principal, self.now()).await.map_err(Fault::from)?;
        }
        store.remove_workspace(&id).await.map_err(Fault::from)?;
        self.refresh().await
    }

    /// Puts a base that lives here in a workspace.
    pub async fn place_base(&self, base: BaseId, workspace: WorkspaceId) -> Result<(), Fault> {
        self.place(Thing::Base, &base.to_string(), workspace).await
    }

    /// Puts a login at Airtable in a workspace, with the bases that are read with it.
    pub async fn place_login(&self, login: &str, workspace: WorkspaceId) -> Result<(), Fault> {
        self.place(Thing::Login, login, workspace).await
    }

    async fn place(&self, kind: Thing, thing: &str, workspace: WorkspaceId) -> Result<(), Fault> {
        let _one = self.0.edits.lock().await;
        let store = self.0.engine.store();
        store.place(kind, thing, &workspace.to_string()).await.map_err(Fault::from)?;
        self.refresh().await
    }

    /// Forgets where a login was.
    pub async fn forget_login(&self, login: &str) -> Result<(), Fault> {
        let _one = self.0.edits.lock().await;
        self.0.engine.store().unplace(Thing::Login, login).await.map_err(Fault::from)?;
        self.refresh().await
    }

    /// Makes a service account, with a role in a workspace.
    pub async fn create_service(
        &self,
        name: &str,
        workspace: WorkspaceId,
        role: Role,
    ) -> Result<Arc<Member>, Fault> {
        let _one = self.0.edits.lock().await;
        let name = name_of("a service account", name)?;
        if name.contains('@') {
            return Err(wrong("a service account has a name, not an address; people are invited"));
        }
        let principal = format!("service:{name}");
        let taken = |known: &String| known.to_lowercase() == principal.to_lowercase();
        if self.held().members.keys().any(taken) {
            let message = format!(
                "there is a service account {name:?} already; `tablewright member role` gives it a role in another workspace"
            );
            return Err(Fault::new(Code::Conflict, message));
        }
        self.put(&principal, &name, workspace, role).await?;
        self.member(&principal, None).ok_or_else(|| Fault::new(Code::Internal, "the account was not kept"))
    }

    /// Gives somebody who is known a role in a workspace, or another one.
    pub async fn set_role(&self, member: &Member, workspace: WorkspaceId, role: Role) -> Result<(), Fault> {
        let _one = self.0.edits.lock().await;
        self.put(&member.principal, &member.name, workspace, role).await
    }

    async fn put(
        &self,
        principal: &str,
        name: &str,
        workspace: WorkspaceId,
        role: Role,
    ) -> Result<(), Fault> {
        self.require_room(principal)?;
        let (person, member) = self.records(principal, name, workspace, role);
        self.0.engine.store().put_member(&person, &member).await.map_err(Fault::from)?;
        self.refresh().await
    }

    fn require_room(&self, principal: &str) -> Result<(), Fault> {
        let held = self.held();
        if held.members.len() >= MAX_PEOPLE && !held.members.contains_key(principal) {
            return Err(wrong(format!("{MAX_PEOPLE} people and services are known; remove some first")));
        }
        Ok(())
    }

    fn records(
        &self,
        principal: &str,
        name: &str,
        workspace: WorkspaceId,
        role: Role,
    ) -> (StoredPerson, StoredMember) {
        let now = self.now();
        let person = StoredPerson {
            principal: principal.to_owned(),
            name: name.to_owned(),
            time_zone: None,
            locale: None,
            created_at: now,
        };
        let member = StoredMember {
            workspace: workspace.to_string(),
            principal: principal.to_owned(),
            role: role.as_str().to_owned(),
            since: now,
        };
        (person, member)
    }

    /// Ends a membership; tokens that are of no use without it are taken back. To be followed by a look
    /// at the tokens.
    pub(crate) async fn remove(&self, member: &Member, workspace: WorkspaceId) -> Result<(), Fault> {
        let _one = self.0.edits.lock().await;
        if member.role_in(workspace).is_none() {
            return Err(wrong(format!("{} is no member of this workspace", member.principal)));
        }
        let store = self.0.engine.store();
        store
            .remove_member(&workspace.to_string(), &member.principal, self.now())
            .await
            .map_err(Fault::from)?;
        self.refresh().await
    }

    /// Changes what is known of somebody.
    pub async fn edit(&self, member: &Member, edit: PersonEdit) -> Result<Arc<Member>, Fault> {
        let _one = self.0.edits.lock().await;
        let PersonEdit { name, time_zone, locale } = edit;
        let person = StoredPerson {
            principal: member.principal.to_string(),
            name: name.map_or_else(|| Ok(member.name.clone()), |name| name_of("a member", &name))?,
            time_zone: match time_zone {
                Some(zone) => checked_zone(&zone)?,
                None => member.time_zone.clone(),
            },
            locale: match locale {
                Some(locale) => checked_locale(&locale)?,
                None => member.locale.clone(),
            },
            created_at: 0,
        };
        self.0.engine.store().set_person(&person).await.map_err(Fault::from)?;
        self.refresh().await?;
        self.find_member(&person.principal)
    }
}
