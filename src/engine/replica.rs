//! Copies of bases that live in Airtable, kept fresh.
//!
//! A copy is held like a base that lives here, but its computed cells are kept as Airtable gave
//! them. Changes come by the payloads of a webhook, or by asking what was modified; writes go to
//! Airtable, and what it answers is taken in.

mod fetch;
mod guard;
mod held;
mod keep;
mod listing;
mod look;
mod mirror;
mod modified;
pub mod outbox;
mod payloads;
mod reach;
mod schema;
pub(crate) mod state;
mod status;
pub(crate) mod take;

pub use look::Listed;

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use tablewright_core::model::{Base, BaseId, RecordId, TableId};
use tablewright_core::{Code, Fault};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::Engine;
use crate::airtable::oauth::Integration;
use crate::airtable::profiles::{Profile, Profiles, Returned};
use crate::airtable::{Airtable, Ask, Session, Tally};
use crate::base::changes::Author;
use crate::local::{Outcome, Write};
use crate::store::read::Cloud;
use crate::store::tasks::TaskPart;

use held::Held;
use outbox::Outbox;
use state::{State, chosen};

/// Settings of the copies of bases that live in Airtable.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Seconds between two looks for changes while somebody reads a base (1 to 3,600).
    pub poll_seconds: u64,
    /// Seconds after a read during which a base counts as being read (1 to 86,400).
    pub active_seconds: u64,
    /// Longest time between two looks for changes of a base that nobody reads, in seconds (60 to
    /// 518,400: a webhook ends after seven days in which nobody asks).
    pub idle_seconds: u64,
    /// How old the copy may be for a read that says nothing about it, in seconds (1 to 86,400).
    pub max_staleness_seconds: u64,
    /// Longest time a read waits for something newer, in seconds (1 to 120).
    pub wait_seconds: u64,
    /// Make webhooks where the login may; without one, tables are asked for what was modified.
    pub webhooks: bool,
    /// Without a webhook: seconds between two listings of a whole table, which show deletions
    /// (10 to 86,400).
    pub relist_seconds: u64,
    /// When the answer to a create was lost: milliseconds until its records are looked for
    /// (0 to 60,000).
    pub first_look_ms: u64,
    /// Milliseconds from that look to the second one, which decides (0 to 120,000).
    pub second_look_ms: u64,
    /// Most records that wait to be written to one base (1,000 to 1,000,000); more are refused.
    pub max_waiting: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            poll_seconds: 2,
            active_seconds: 60,
            idle_seconds: 43_200,
            max_staleness_seconds: 3,
            wait_seconds: 10,
            webhooks: true,
            relist_seconds: 1_800,
            first_look_ms: 2_000,
            second_look_ms: 10_000,
            max_waiting: 10_000,
        }
    }
}

impl Options {
    /// Refuses values that are out of range: the setting and why.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        for (key, value, least, most) in [
            ("poll_seconds", self.poll_seconds, 1, 3_600),
            ("active_seconds", self.active_seconds, 1, 86_400),
            ("idle_seconds", self.idle_seconds, 60, 518_400),
            ("max_staleness_seconds", self.max_staleness_seconds, 1, 86_400),
            ("wait_seconds", self.wait_seconds, 1, 120),
            ("relist_seconds", self.relist_seconds, 10, 86_400),
            ("first_look_ms", self.first_look_ms, 0, 60_000),
            ("second_look_ms", self.second_look_ms, 0, 120_000),
            ("max_waiting", self.max_waiting as u64, 1_000, 1_000_000),
        ] {
            if !(least..=most).contains(&value) {
                return Err((key, format!("it must be {least} to {most}")));
            }
        }
        Ok(())
    }
}

/// How fresh a read wants the copy.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Want {
    /// How old it may be; as the settings say when absent.
    pub max_staleness: Option<Duration>,
    /// As new as Airtable has it now.
    pub fresh: bool,
}

impl Want {
    /// Whatever is held, however old or incomplete: nothing is waited for.
    pub const HELD: Self = Self { max_staleness: Some(Duration::MAX), fresh: false };
}

/// Where an answer comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// A base that lives here.
    Local,
    /// The copy of a base that lives in Airtable.
    Replica {
        /// Everything Airtable had at this moment is in it, in milliseconds since the epoch.
        as_of: i64,
    },
}

/// How far the copy of a table is.
#[derive(Debug, Clone, PartialEq, Serialize, schemars::JsonSchema)]
pub struct TableStatus {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Records in the copy.
    pub records: usize,
    /// `copied`, `copying`, `waiting`, or `listing` when it is read again as a whole.
    pub state: &'static str,
    /// Records listed so far, while it is copied or listed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listed: Option<u64>,
    /// Records waiting to be fetched again.
    pub to_fetch: usize,
}

/// How far the copy of a base is.
#[derive(Debug, Clone, PartialEq, Serialize, schemars::JsonSchema)]
pub struct Status {
    /// Its id.
    pub base: String,
    /// Its name.
    pub name: String,
    /// The login it is read with.
    pub profile: String,
    /// How changes are heard of: `webhook` or `polling`.
    pub changes_by: &'static str,
    /// Why there is no webhook.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub no_webhook: Option<String>,
    /// Seconds since everything Airtable had was in the copy; absent until it is copied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub age_seconds: Option<u64>,
    /// Why the last look for changes failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// Records of writes on their way to Airtable.
    pub queued_writes: usize,
    /// Requests the login has sent this month.
    pub calls_this_month: u64,
    /// The most it may send in a month; absent where there is no bound.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calls_allowed: Option<u64>,
    /// Its tables.
    pub tables: Vec<TableStatus>,
}

/// One copy and what is sent to it.
struct Copy {
    held: Arc<Held>,
    /// What writes to it go through, made with the first one; and with which login.
    outbox: Mutex<Option<(String, Outbox)>>,
    stop: CancellationToken,
}

impl Copy {
    async fn outbox(&self) -> Result<Outbox, Fault> {
        let mut kept = self.outbox.lock().await;
        let profile = self.held.cloud().profile;
        if let Some((_, outbox)) = kept.as_ref().filter(|(with, _)| *with == profile) {
            return Ok(outbox.clone());
        }
        let held = &self.held;
        let Options { first_look_ms, second_look_ms, max_waiting, .. } = held.options;
        let options = outbox::Options { first_look_ms, second_look_ms, max_waiting };
        let (store, clock) = (held.engine.store().clone(), held.engine.clock().clone());
        let made = Outbox::new(held.base, held.session().await?, held.clone(), store, clock, options);
        *kept = Some((profile, made.clone()));
        Ok(made)
    }
}

struct Shared {
    engine: Engine,
    airtable: Airtable,
    profiles: Profiles,
    options: Options,
    copies: RwLock<FxHashMap<BaseId, Arc<Copy>>>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

/// All copies of a data directory. Cheap to clone.
#[derive(Clone)]
pub struct Replica {
    shared: Arc<Shared>,
}

impl Replica {
    /// No copies yet.
    pub fn new(engine: Engine, airtable: Airtable, profiles: Profiles, options: Options) -> Self {
        let copies = RwLock::default();
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        Self { shared: Arc::new(Shared { engine, airtable, profiles, options, copies, stop, tasks }) }
    }

    /// Takes up the copies that are in the store. Nothing is asked of Airtable before
    /// [`Replica::run`].
    pub async fn load(&self) -> Result<(), Fault> {
        let store = self.shared.engine.store();
        let stored = store.bases().await.map_err(Fault::from)?;
        for (base, cloud) in stored.into_iter().filter_map(|base| Some((base.id, base.cloud?))) {
            let kept = store.replica(base).await.map_err(Fault::from)?;
            let kept = kept.and_then(|text| serde_json::from_str(&text).ok());
            let state = match kept {
                Some(state) => state,
                None => State::new(&*self.shared.engine.schema(base).await?),
            };
            self.hold(base, cloud, state);
        }
        Ok(())
    }

    fn hold(&self, base: BaseId, cloud: Cloud, state: State) -> Arc<Copy> {
        let Shared { engine, airtable, profiles, options, .. } = &*self.shared;
        let (engine, airtable) = (engine.clone(), airtable.clone());
        let held = Held::new(base, cloud, state, engine, airtable, profiles.clone(), options.clone());
        let copy =
            Copy { held: Arc::new(held), outbox: Mutex::default(), stop: self.shared.stop.child_token() };
        let copy = Arc::new(copy);
        self.shared.copies.write().unwrap_or_else(PoisonError::into_inner).insert(base, copy.clone());
        copy
    }

    /// Keeps every copy fresh until `stop`; waits for what is under way.
    pub async fn run(self, stop: CancellationToken) {
        let copies: Vec<Arc<Copy>> =
            self.shared.copies.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
        copies.iter().for_each(|copy| self.keep(copy));
        stop.cancelled().await;
        self.shared.stop.cancel();
        self.shared.tasks.close();
        self.shared.tasks.wait().await;
    }

    fn keep(&self, copy: &Copy) {
        self.shared.tasks.spawn(keep::news(copy.held.clone(), copy.stop.clone()));
        self.shared.tasks.spawn(keep::lists(copy.held.clone(), copy.stop.clone()));
    }

    fn copy(&self, base: BaseId) -> Option<Arc<Copy>> {
        self.shared.copies.read().unwrap_or_else(PoisonError::into_inner).get(&base).cloned()
    }

    fn of(&self, base: BaseId) -> Result<Arc<Copy>, Fault> {
        self.copy(base).ok_or_else(|| {
            Fault::new(Code::UnknownBase, format!("base {base} is not a base that lives in Airtable."))
        })
    }

    /// True for a base that lives in Airtable.
    pub fn holds(&self, base: BaseId) -> bool {
        self.shared.copies.read().unwrap_or_else(PoisonError::into_inner).contains_key(&base)
    }

    /// The bases that live in Airtable, with the login each is read with.
    pub fn bases(&self) -> Vec<(BaseId, Cloud)> {
        let copies = self.shared.copies.read().unwrap_or_else(PoisonError::into_inner);
        copies.iter().map(|(id, copy)| (*id, copy.held.cloud())).collect()
    }

    /// The name of the login a base is read with; `None` for a base that lives here.
    pub fn login_of(&self, base: BaseId) -> Option<String> {
        Some(self.copy(base)?.held.cloud().profile)
    }

    /// The login of a base, to ask Airtable itself.
    pub async fn session(&self, base: BaseId) -> Result<Session, Fault> {
        self.of(base)?.held.session().await
    }

    /// Waits until a base, or one table of it, is as fresh as wanted.
    pub async fn fresh(&self, base: BaseId, table: Option<TableId>, want: Want) -> Result<Source, Fault> {
        match self.copy(base) {
            Some(copy) => copy.held.fresh(table, want).await,
            None => Ok(Source::Local),
        }
    }

    /// How old what is held of a base is, without waiting for anything.
    pub fn source(&self, base: BaseId) -> Source {
        self.copy(base).map_or(Source::Local, |copy| Source::Replica { as_of: copy.held.as_of() })
    }

    /// True once a table of a copy can be read.
    pub fn is_ready(&self, base: BaseId, table: TableId) -> bool {
        self.copy(base).is_none_or(|copy| copy.held.is_ready(table))
    }

    /// True once a table of a copy can be read and is not known to be different in Airtable now.
    pub fn is_settled(&self, base: BaseId, table: TableId) -> bool {
        self.copy(base).is_none_or(|copy| copy.held.is_settled(table))
    }

    /// The same of the schema of a base.
    pub fn is_schema_settled(&self, base: BaseId) -> bool {
        self.copy(base).is_none_or(|copy| copy.held.is_schema_settled())
    }

    /// True when all tables of a base are copied, not a choice of them.
    pub fn copies_all(&self, base: BaseId) -> bool {
        self.copy(base).is_some_and(|copy| copy.held.cloud().tables.is_none())
    }

    /// The webhook in Airtable that tells the copy of changes.
    pub async fn webhook(&self, base: BaseId) -> Result<Option<String>, Fault> {
        Ok(self.of(base)?.held.state().await.hook.map(|hook| hook.id))
    }

    /// Carries out a write in Airtable, with the login `own` or else that of the base.
    pub async fn write(
        &self,
        base: BaseId,
        write: Write,
        by: &Author,
        tally: &Tally,
        part: Option<TaskPart>,
        own: Option<&Session>,
    ) -> Result<Outcome, Fault> {
        self.of(base)?.outbox().await?.write(write, by, tally, part, own).await
    }

    /// The integration that logs people in by OAuth, if one is set.
    pub fn integration(&self) -> Option<Integration> {
        self.shared.profiles.integration()
    }

    /// Keeps a login that a person went through, in place of what was there under this name.
    pub async fn add_login(&self, name: &str, returned: Returned) -> Result<Profile, Fault> {
        self.shared.profiles.add_oauth(name, returned, false).await
    }

    /// Deletes a login that reads no base.
    pub async fn remove_login(&self, name: &str) -> Result<(), Fault> {
        self.shared.profiles.remove(name).await
    }

    /// A login, to ask Airtable with.
    pub async fn session_of(&self, login: &str) -> Result<Session, Fault> {
        self.shared.profiles.session(login).await
    }

    /// Something of a base was changed in Airtable by us, beside its records: looks at its schema
    /// and waits until it is here.
    pub async fn follow_schema(&self, base: BaseId) -> Result<(), Fault> {
        let copy = self.of(base)?;
        let session = copy.held.session().await?;
        schema::refresh(&copy.held, &session).await?;
        copy.held.lists.notify_one();
        Ok(())
    }

    /// Begins to copy a base; `tables` by id, all when absent. A base that is held already gets
    /// another login or choice of tables.
    pub async fn add(
        &self,
        profile: &str,
        base: BaseId,
        name: &str,
        tables: Option<Vec<TableId>>,
    ) -> Result<(), Fault> {
        let Shared { engine, profiles, .. } = &*self.shared;
        let cloud = Cloud { profile: profile.to_owned(), tables };
        if let Some(copy) = self.copy(base) {
            engine.store().set_cloud(base, &cloud).await.map_err(Fault::from)?;
            copy.held.set_cloud(cloud);
            return self.follow_schema(base).await;
        }
        if engine.bases().iter().any(|(id, _)| *id == base) {
            let message = format!(
                "base {base} is here already, as a base of its own; delete it first, or choose another."
            );
            return Err(Fault::new(Code::Conflict, message));
        }
        let session = profiles.session(profile).await?;
        let began = engine.clock().now_ms();
        let all = session.schema(&Ask::interactive("connect"), base).await?.value;
        let unknown: Vec<String> = cloud
            .tables
            .iter()
            .flatten()
            .filter(|id| all.iter().all(|table| table.id != **id))
            .map(ToString::to_string)
            .collect();
        if !unknown.is_empty() {
            let message = format!("base {name:?} has no table {}.", unknown.join(", "));
            return Err(Fault::new(Code::UnknownTable, message));
        }
        let schema = chosen(&cloud, Base { id: base, name: name.to_owned(), tables: all });
        let state = State { schema_at: began, ..State::new(&schema) };
        engine.add_copy(schema, cloud.clone(), Author::of("local", "cli")).await?;
        engine.store().set_replica(base, &state.to_json()).await.map_err(Fault::from)?;
        let copy = self.hold(base, cloud, state);
        self.keep(&copy);
        Ok(())
    }

    /// Forgets a base: its webhook in Airtable, where it can be reached, and every copy here. Says
    /// why the webhook is still there, if it is.
    pub async fn forget(&self, base: BaseId, by: &Author) -> Result<Option<String>, Fault> {
        let copy = self.of(base)?;
        copy.stop.cancel();
        let left = match copy.held.state().await.hook {
            Some(hook) => payloads::remove(&copy.held, &hook).await.err().map(|fault| fault.message),
            None => None,
        };
        self.shared.engine.delete(base, by.clone()).await?;
        self.shared.copies.write().unwrap_or_else(PoisonError::into_inner).remove(&base);
        Ok(left)
    }

    /// Fetches records of a table again, whatever the copy has: addresses of files, for one, last
    /// two hours.
    pub async fn fetch_again(&self, base: BaseId, table: TableId, records: &[RecordId]) -> Result<(), Fault> {
        let copy = self.of(base)?;
        let session = copy.held.session().await?;
        fetch::records(&copy.held, &session, table, records).await.map(drop)
    }

    /// How far the copies are: of one base, or of all.
    pub async fn status(&self, base: Option<BaseId>) -> Result<Vec<Status>, Fault> {
        let copies: Vec<Arc<Copy>> = match base {
            Some(base) => vec![self.of(base)?],
            None => {
                self.shared.copies.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
            }
        };
        let mut all = Vec::with_capacity(copies.len());
        for copy in copies {
            let (calls_this_month, allowed) = self.usage(&copy.held.cloud().profile).await?;
            let queued_writes = copy.outbox.lock().await.as_ref().map_or(0, |(_, outbox)| outbox.waiting());
            all.push(Status {
                queued_writes,
                calls_this_month,
                calls_allowed: Some(allowed).filter(|allowed| *allowed > 0),
                ..copy.held.status().await?
            });
        }
        all.sort_by(|a, b| (&a.name, &a.base).cmp(&(&b.name, &b.base)));
        Ok(all)
    }

    /// The requests a login has sent this month, and how many it may (0: no bound).
    pub async fn usage(&self, profile: &str) -> Result<(u64, u64), Fault> {
        Ok(self.shared.airtable.usage(profile).await?)
    }

    /// The logins.
    pub fn profiles(&self) -> &Profiles {
        &self.shared.profiles
    }
}
