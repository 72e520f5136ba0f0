//! Commands about logins at Airtable and the bases that are read with them.

mod check;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tablewright_core::model::schema::find_base;
use tablewright_core::model::{Base, BaseId, TableId};
use tablewright_core::secret::Secret;
use tablewright_core::{Code, Fault};
use tablewright_engine::airtable::profiles::{Kind, Profile, Returned, revealed};
use tablewright_engine::airtable::{Ask, ListedBase, Session};
use tablewright_engine::base::changes::Author;

use crate::app::App;

/// What to do with logins.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "login", rename_all = "snake_case")]
pub enum Command {
    /// All logins.
    List,
    /// Keep a personal token, if Airtable accepts it.
    AddToken {
        /// What it is called here.
        name: String,
        /// The token.
        #[serde(serialize_with = "revealed")]
        token: Secret,
        /// Although other logins are sealed with another key.
        new_key: bool,
    },
    /// Keep a login that a person went through.
    AddOauth {
        /// What it is called here.
        name: String,
        /// What came back.
        returned: Returned,
        /// Although other logins are sealed with another key.
        new_key: bool,
    },
    /// A login and the bases it grants.
    Show {
        /// Its name.
        name: String,
    },
    /// Copy bases of a login.
    Copy {
        /// Its name.
        name: String,
        /// Names, ids or URLs.
        bases: Vec<String>,
        /// Every base the login grants.
        all: bool,
        /// Tables of the one base by name or id; all when there are none.
        tables: Vec<String>,
    },
    /// Forget a login.
    Remove {
        /// Its name.
        name: String,
        /// Forget the bases that are read with it too.
        forget: bool,
    },
    /// Forget the copy of a base.
    Forget {
        /// Name, id or URL.
        base: String,
    },
    /// Look whether every login works.
    Check,
}

impl Command {
    /// What it is called in the audit log.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::List => "connect list",
            Self::AddToken { .. } => "connect token",
            Self::AddOauth { .. } => "connect oauth",
            Self::Show { .. } => "connect show",
            Self::Copy { .. } => "connect",
            Self::Remove { .. } => "disconnect",
            Self::Forget { .. } => "base forget",
            Self::Check => "doctor",
        }
    }
}

/// A login with the bases it grants, as `--json` prints it.
#[derive(Debug, Serialize, Deserialize)]
pub struct Shown {
    /// The login.
    pub profile: Profile,
    /// The bases it grants.
    pub grants: Vec<Granted>,
}

/// A base that a login grants.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Granted {
    /// Its id.
    pub id: BaseId,
    /// What people see.
    pub name: String,
    /// `none`, `read`, `comment`, `edit` or `create`.
    pub permission_level: String,
    /// True when there is a copy of it here.
    pub is_here: bool,
}

fn to_json(value: impl Serialize) -> Result<Value, Fault> {
    serde_json::to_value(value).map_err(|e| Fault::new(Code::Internal, e.to_string()))
}

fn ask() -> Ask {
    Ask::interactive("cli")
}

pub(super) async fn run(app: &App, command: Command) -> Result<Value, Fault> {
    match command {
        Command::List => to_json(app.profiles.list().await?),
        Command::AddToken { name, token, new_key } => {
            let profile = app.profiles.add_token(&name, token, new_key).await?;
            to_json(show(app, profile).await?)
        }
        Command::AddOauth { name, returned, new_key } => {
            let profile = app.profiles.add_oauth(&name, returned, new_key).await?;
            to_json(show(app, profile).await?)
        }
        Command::Show { name } => {
            let profile = app.profiles.recognize(&name).await?;
            to_json(show(app, profile).await?)
        }
        Command::Copy { name, bases, all, tables } => copy(app, &name, &bases, all, &tables).await,
        Command::Remove { name, forget: and_bases } => {
            let (mut forgotten, mut left) = (Vec::new(), Vec::new());
            if and_bases {
                for (base, _) in app.replica.bases().into_iter().filter(|(_, cloud)| cloud.profile == name) {
                    left.extend(app.replica.forget(base, &Author::of("local", "cli")).await?);
                    forgotten.push(base);
                }
            }
            app.profiles.remove(&name).await?;
            app.tokens.directory().forget_login(&name).await?;
            Ok(json!({ "disconnected": name, "forgotten": forgotten, "webhooksLeft": left }))
        }
        Command::Forget { base } => {
            let (id, name) = find_base(&app.engine.bases(), &base)?.clone();
            if !app.replica.holds(id) {
                let message = format!(
                    "{name:?} lives here and nowhere else; `tablewright base delete` deletes it for good"
                );
                return Err(Fault::new(Code::InvalidArguments, message));
            }
            let left = app.replica.forget(id, &Author::of("local", "cli")).await?;
            Ok(json!({ "forgotten": id, "name": name, "webhookLeft": left }))
        }
        Command::Check => check::run(app).await,
    }
}

async fn show(app: &App, profile: Profile) -> Result<Shown, Fault> {
    let granted = app.profiles.session(&profile.name).await?.bases(&ask()).await?;
    let here = app.engine.bases();
    let grants = granted.into_iter().map(|ListedBase { id, name, permission_level }| Granted {
        is_here: here.iter().any(|(held, _)| *held == id),
        id,
        name,
        permission_level,
    });
    Ok(Shown { profile, grants: grants.collect() })
}

/// Copies bases of a login, one after the other; what was begun before one is refused stays.
async fn copy(
    app: &App,
    login: &str,
    wanted: &[String],
    all: bool,
    tables: &[String],
) -> Result<Value, Fault> {
    let session = app.profiles.session(login).await?;
    let granted = session.bases(&ask()).await?;
    let pairs: Vec<(BaseId, String)> = granted.into_iter().map(|base| (base.id, base.name)).collect();
    let mut chosen: Vec<&(BaseId, String)> = Vec::new();
    if all {
        chosen.extend(&pairs);
    }
    for name in wanted {
        let found = find_base(&pairs, name).map_err(|fault| match pairs.is_empty() {
            true => Fault::new(Code::UnknownBase, format!("the login {login:?} grants no base")),
            false => fault.within(format_args!("the login {login:?}")),
        })?;
        if !chosen.contains(&found) {
            chosen.push(found);
        }
    }
    // All of it is looked at before any of it is begun.
    for (base, name) in &chosen {
        let held = app.engine.bases().iter().any(|(id, _)| id == base);
        if held && !app.replica.holds(*base) {
            let message = format!(
                "a base of the id of {name:?} ({base}) lives here already; export and delete it first, or use another --data-dir"
            );
            return Err(Fault::new(Code::Conflict, message));
        }
        require_one_workspace(app, login, *base, name, all)?;
    }
    let choice = match (chosen.as_slice(), tables) {
        (_, []) => None,
        ([(base, name)], wanted) => Some(choose(&session, *base, name, wanted).await?),
        _ => {
            let message = "--table chooses tables of one base; name that base alone with --base";
            return Err(Fault::new(Code::InvalidArguments, message));
        }
    };
    let mut copied = Vec::new();
    let mut already = Vec::new();
    for (base, name) in chosen {
        let entry = json!({ "id": base, "name": name });
        let held = app.replica.login_of(*base);
        // One that is held gets this login or another choice of tables, if that was asked for.
        let same = held.as_ref().is_some_and(|other| all || other == login) && choice.is_none();
        if same {
            already.push(entry);
        } else {
            app.replica.add(login, *base, name, choice.clone()).await?;
            copied.push(entry);
        }
    }
    Ok(json!({ "profile": login, "copied": copied, "already": already }))
}

/// Refuses to move a base to the workspace of another login by the way.
fn require_one_workspace(app: &App, login: &str, base: BaseId, name: &str, all: bool) -> Result<(), Fault> {
    let directory = app.tokens.directory();
    let Some(held) = app.replica.login_of(base).filter(|held| held != login && !all) else { return Ok(()) };
    let (now, then) = (directory.workspace_of_login(&held), directory.workspace_of_login(login));
    if now == then {
        return Ok(());
    }
    let (_, now) = directory.find(&now.to_string())?;
    let (_, then) = directory.find(&then.to_string())?;
    let message = format!(
        "{name:?} is in the workspace {now:?}, by the login {held:?}, and a base is in one workspace; {login:?} is in {then:?}. Put both logins in one workspace first (`tablewright workspace login`), or forget the copy"
    );
    Err(Fault::new(Code::Conflict, message))
}

async fn choose(
    session: &Session,
    base: BaseId,
    name: &str,
    wanted: &[String],
) -> Result<Vec<TableId>, Fault> {
    let tables = session.schema(&ask(), base).await?.value;
    let schema = Base { id: base, name: name.to_owned(), tables };
    let mut chosen = Vec::new();
    for table in wanted {
        let found = schema.table(table)?.id;
        if !chosen.contains(&found) {
            chosen.push(found);
        }
    }
    Ok(chosen)
}

/// What a login of this kind is called.
pub fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Token => "token",
        Kind::Oauth => "oauth",
        Kind::Environment => "AIRTABLE_API_KEY",
    }
}
