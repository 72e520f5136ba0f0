//! The copy of one base: what is taken into it, and how fresh it is.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use rustc_hash::{FxHashMap, FxHashSet};
use tablewright_core::model::{BaseId, TableId};
use tablewright_core::{Code, Fault};
use tokio::sync::{Mutex, Notify, watch};
use tokio::time::Instant;

use super::guard::Guard;
use super::outbox::{self, Own};
use super::state::State;
use super::take::{Delta, How, TableDelta};
use super::{Options, Source, Want};
use crate::airtable::budget;
use crate::airtable::profiles::Profiles;
use crate::airtable::{Airtable, Ask, BoxFuture, Session};
use crate::base::changes::Author;
use crate::store::read::Cloud;
use crate::writer::Absorbed;
use crate::{Engine, Snapshot};

/// Who asks Airtable on behalf of the copy.
const SYNC: &str = "sync";

/// How long Airtable may take to say what is new before reads stop waiting for it, in milliseconds.
const SLOW: i64 = 3_000;

/// How long a schema that was fetched counts as the present one for a write, in milliseconds.
const JUST_NOW: i64 = 1_000;

/// A turn of looking for news.
#[derive(Debug, Clone, Default)]
pub(crate) struct Turn {
    /// How many have ended.
    pub(crate) count: u64,
    /// When the last one began, in milliseconds.
    pub(crate) began: i64,
    /// Why it failed.
    pub(crate) failure: Option<Fault>,
}

/// How far a table that was copied is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shown {
    /// When it was last listed as a whole: no cell of it is older, in milliseconds.
    pub(crate) listed_at: i64,
    /// It is to be listed again.
    pub(crate) due: bool,
    /// Records waiting to be fetched again.
    pub(crate) to_fetch: usize,
}

/// The copy of one base.
pub(crate) struct Held {
    pub(crate) base: BaseId,
    pub(crate) engine: Engine,
    pub(crate) options: Options,
    airtable: Airtable,
    profiles: Profiles,
    cloud: RwLock<Cloud>,
    /// The order of answers.
    guard: std::sync::Mutex<Guard>,
    /// How far the copy is; held while something is taken in, so that one follows the other.
    state: Mutex<State>,
    /// Held while a webhook is made: one is enough.
    pub(crate) hooking: Mutex<()>,
    /// The schema looked different from the copy.
    pub(crate) suspicious: AtomicBool,
    /// The schema is to be looked at again.
    schema_due: AtomicBool,
    /// Since when news are being looked for; 0 when they are not.
    looking_since: AtomicI64,
    /// Tables that were copied.
    shown: RwLock<Arc<FxHashMap<TableId, Shown>>>,
    as_of: AtomicI64,
    dirty_since: AtomicI64,
    last_read: AtomicI64,
    waiting: AtomicUsize,
    /// There may be news to look for.
    pub(crate) news: Notify,
    /// There may be tables to list.
    pub(crate) lists: Notify,
    /// Turns that ended.
    pub(crate) turns: watch::Sender<Turn>,
    /// Records listed in the listing under way, by table; for whoever watches.
    pub(crate) listed: watch::Sender<Vec<(TableId, u64)>>,
}

/// An answer of Airtable, to be taken into the copy.
pub(crate) struct Seen {
    /// The number of its request.
    pub(crate) asked: u64,
    pub(crate) delta: Delta,
    pub(crate) by: Author,
}

impl Seen {
    /// Something fetched.
    pub(crate) fn fetched(asked: u64, tables: Vec<TableDelta>) -> Self {
        Self::of(asked, Delta { tables, ..Delta::default() })
    }

    pub(crate) fn of(asked: u64, delta: Delta) -> Self {
        Self { asked, delta, by: Author::of("airtable", SYNC) }
    }
}

impl Held {
    pub(crate) fn new(
        base: BaseId,
        cloud: Cloud,
        state: State,
        engine: Engine,
        airtable: Airtable,
        profiles: Profiles,
        options: Options,
    ) -> Self {
        let held = Self {
            base,
            engine,
            options,
            airtable,
            profiles,
            cloud: RwLock::new(cloud),
            shown: RwLock::default(),
            as_of: AtomicI64::new(0),
            dirty_since: AtomicI64::new(i64::MAX),
            last_read: AtomicI64::new(0),
            hooking: Mutex::default(),
            suspicious: AtomicBool::new(false),
            schema_due: AtomicBool::new(false),
            looking_since: AtomicI64::new(0),
            waiting: AtomicUsize::new(0),
            guard: std::sync::Mutex::default(),
            state: Mutex::default(),
            news: Notify::new(),
            lists: Notify::new(),
            turns: watch::Sender::default(),
            listed: watch::Sender::default(),
        };
        held.show(&state);
        Self { state: Mutex::new(state), ..held }
    }

    /// The login it is read with, and its tables.
    pub(crate) fn cloud(&self) -> Cloud {
        self.cloud.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set_cloud(&self, cloud: Cloud) {
        *self.cloud.write().unwrap_or_else(PoisonError::into_inner) = cloud;
    }

    pub(crate) fn now(&self) -> i64 {
        self.engine.clock().now_ms()
    }

    pub(crate) async fn session(&self) -> Result<Session, Fault> {
        self.profiles.session(&self.cloud().profile).await
    }

    /// What requests of the copy itself are asked as: someone waiting makes them urgent.
    pub(crate) fn ask(&self) -> Ask {
        let urgent = self.waiting.load(Ordering::Relaxed) > 0;
        if urgent { Ask::interactive(SYNC) } else { Ask::sync(SYNC) }
    }

    /// The least time between two looks for changes that the calls left for this month allow.
    pub(crate) async fn pace(&self) -> Duration {
        let Ok((used, budget)) = self.airtable.usage(&self.cloud().profile).await else {
            return Duration::ZERO;
        };
        if budget == 0 {
            return Duration::ZERO;
        }
        // Half of what is left is for upkeep, a look being two calls.
        let looks = (budget.saturating_sub(used) / 4).max(1);
        let left = u64::try_from(budget::month_left(self.now())).unwrap_or_default();
        Duration::from_millis(left / looks)
    }

    /// Lets readers see how far the copy is.
    fn show(&self, state: &State) {
        self.as_of.store(state.as_of, Ordering::Relaxed);
        self.dirty_since.store(state.dirty_since.unwrap_or(i64::MAX), Ordering::Relaxed);
        self.schema_due.store(state.schema_due, Ordering::Relaxed);
        let tables = state.tables.iter().filter_map(|(id, table)| {
            let (due, to_fetch) = (table.list_due, table.dirty.len());
            Some((*id, Shown { listed_at: table.listed_at?, due, to_fetch }))
        });
        let tables: FxHashMap<TableId, Shown> = tables.collect();
        let mut shown = self.shown.write().unwrap_or_else(PoisonError::into_inner);
        if **shown != tables {
            *shown = Arc::new(tables);
        }
    }

    /// How far the copy is.
    pub(crate) async fn state(&self) -> State {
        self.state.lock().await.clone()
    }

    fn guard(&self) -> std::sync::MutexGuard<'_, Guard> {
        self.guard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of a request that is about to be sent; it counts as under way until it is dropped.
    pub(crate) fn asking(&self) -> Asking<'_> {
        Asking { number: self.guard().begin(), held: self }
    }

    /// Takes an answer into the copy, and `change` into its state, in one commit. Of records that
    /// were heard of since the request nothing is taken; they are fetched again. So are they after a
    /// write of ours, but what it answered is taken first: whoever wrote sees it.
    pub(crate) async fn take(
        &self,
        mut seen: Seen,
        change: impl FnOnce(&mut State),
    ) -> Result<Absorbed, Fault> {
        let now = self.now();
        let mut held = self.state.lock().await;
        let mut state = held.clone();
        change(&mut state);
        let mut taken = Vec::new();
        let written = match seen.delta.how {
            How::Written => Some(self.engine.snapshot(self.base).await?),
            _ => None,
        };
        for part in &mut seen.delta.tables {
            let table = part.table;
            let is_held = |id| {
                let held = written.as_ref().and_then(|snapshot| snapshot.tables.get(&table));
                held.is_some_and(|data| data.slot(&id).is_some())
            };
            let mut admit = |id| {
                let newest = self.guard().admit(seen.asked, id);
                match newest {
                    Some(false) => state.mark(table, [id], now),
                    Some(true) => taken.push((table, id)),
                    None => {}
                }
                // A read and a write of ours crossed, and which one Airtable did first is not known:
                // what was written is seen at once, and then asked for again. A record that is gone
                // stays gone.
                let crossed = newest == Some(false) && is_held(id);
                if crossed {
                    self.guard().insist(seen.asked, id);
                }
                newest == Some(true) || crossed
            };
            part.records.retain(|record| admit(record.id));
            part.gone.retain(|id| admit(*id));
        }
        seen.delta.state = state;
        match self.engine.absorb(self.base, seen.delta, seen.by).await {
            Ok(absorbed) => {
                held.clone_from(&absorbed.state);
                self.show(&held);
                Ok(absorbed)
            }
            Err(fault) => {
                // They count as heard of now, so they have to be asked for again.
                taken.into_iter().for_each(|(table, id)| held.mark(table, [id], now));
                Err(fault)
            }
        }
    }

    /// Changes the state in memory alone: what is under way here.
    pub(crate) async fn remember(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state.lock().await;
        change(&mut state);
        self.show(&state);
    }

    /// Changes the state alone.
    pub(crate) async fn note(&self, change: impl FnOnce(&mut State)) -> Result<(), Fault> {
        self.take(Seen::of(0, Delta::default()), change).await.map(drop)
    }

    /// Records of the copy that a listing did not give and that were not heard of since it began.
    pub(crate) async fn not_seen(
        &self,
        asked: u64,
        table: TableId,
        seen: &FxHashSet<tablewright_core::model::RecordId>,
    ) -> Result<Vec<tablewright_core::model::RecordId>, Fault> {
        let snapshot = self.engine.snapshot(self.base).await?;
        let guard = self.guard();
        let Some(data) = snapshot.tables.get(&table) else { return Ok(Vec::new()) };
        let ids = data.slots().map(|slot| data.row(slot).id);
        Ok(ids.filter(|id| !seen.contains(id) && !guard.heard_since(asked, id)).collect())
    }

    /// Somebody reads. When nobody has for a while, news are looked for again from now on.
    pub(crate) fn touch(&self) {
        let now = self.now();
        let quiet = now.saturating_sub(self.last_read.swap(now, Ordering::Relaxed)).max(0).unsigned_abs();
        if quiet >= self.options.active_seconds * 1_000 {
            self.news.notify_one();
        }
    }

    /// When somebody last read, in milliseconds.
    pub(crate) fn last_read(&self) -> i64 {
        self.last_read.load(Ordering::Relaxed)
    }

    /// Everything Airtable had at this moment is in the copy.
    pub(crate) fn as_of(&self) -> i64 {
        self.as_of.load(Ordering::Relaxed).min(self.dirty_since.load(Ordering::Relaxed))
    }

    /// How far the tables are that were copied.
    pub(crate) fn shown(&self) -> Arc<FxHashMap<TableId, Shown>> {
        self.shown.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// True once this table was copied.
    pub(crate) fn is_ready(&self, table: TableId) -> bool {
        self.shown().contains_key(&table)
    }

    /// True for a table that was copied and is not known to be different now. While Airtable does not
    /// answer there is nothing better.
    pub(crate) fn is_settled(&self, table: TableId) -> bool {
        self.shown().get(&table).is_some_and(|shown| !shown.due || self.is_hard_to_reach())
    }

    /// The same of the schema.
    pub(crate) fn is_schema_settled(&self) -> bool {
        let in_doubt = self.suspicious.load(Ordering::Relaxed) || self.schema_due.load(Ordering::Relaxed);
        !in_doubt || self.is_hard_to_reach()
    }

    /// Waits until the copy is as fresh as wanted. Where Airtable cannot be asked in time, it says
    /// how old the copy is, unless something fresh was asked for.
    pub(crate) async fn fresh(&self, table: Option<TableId>, want: Want) -> Result<Source, Fault> {
        self.touch();
        if want == Want::HELD {
            return Ok(Source::Replica { as_of: self.as_of() });
        }
        let asked = self.now();
        if let Some(table) = table.filter(|table| !self.is_ready(*table)) {
            self.ready_in_time(table).await?;
        }
        // Names can be looked up while the records are still on their way.
        if table.is_none() && self.as_of() == 0 && want == Want::default() {
            return Ok(Source::Replica { as_of: 0 });
        }
        let wanted = if want.fresh {
            asked
        } else {
            let allowed =
                want.max_staleness.unwrap_or(Duration::from_secs(self.options.max_staleness_seconds));
            asked.saturating_sub(i64::try_from(allowed.as_millis()).unwrap_or(i64::MAX))
        };
        let by_settings = want == Want::default();
        if self.as_of() >= wanted || by_settings && self.is_hard_to_reach() {
            return Ok(Source::Replica { as_of: self.as_of() });
        }
        let enough = |held: &Self, _: &Turn| held.as_of() >= wanted || by_settings && held.is_hard_to_reach();
        let failure = self.wait(enough, asked).await;
        let as_of = self.as_of();
        if as_of < wanted && !by_settings {
            return Err(failure.unwrap_or_else(|| {
                Fault::new(
                    Code::UpstreamUnavailable,
                    format!(
                        "Airtable did not answer in {} s; the copy is {} s old; ask again, or allow a larger max_staleness.",
                        self.options.wait_seconds,
                        (self.now() - as_of) / 1_000
                    ),
                )
            }));
        }
        Ok(Source::Replica { as_of })
    }

    /// Notes that news are being looked for, or not any more.
    pub(crate) fn looking(&self, since: i64) {
        self.looking_since.store(since, Ordering::Relaxed);
    }

    /// True when Airtable has not answered lately: whoever did not ask for something fresh is
    /// answered from the copy at once.
    fn is_hard_to_reach(&self) -> bool {
        let since = self.looking_since.load(Ordering::Relaxed);
        let slow = since > 0 && self.now() - since > SLOW;
        if slow || self.turns.borrow().failure.is_some() {
            self.news.notify_one();
            return true;
        }
        false
    }

    /// Waits a while for a table to be copied.
    async fn ready_in_time(&self, table: TableId) -> Result<(), Fault> {
        self.lists.notify_one();
        let failure = self.wait(|held, _| held.is_ready(table), self.now()).await;
        if self.is_ready(table) {
            return Ok(());
        }
        if let Some(failure) = failure {
            return Err(failure);
        }
        let schema = self.engine.schema(self.base).await?;
        let name = schema.table_by_id(table).map(|t| t.name.clone()).unwrap_or_default();
        let done = self.listed.borrow().iter().find(|(id, _)| *id == table).map_or(0, |(_, count)| *count);
        let message = format!(
            "table {name:?} is being copied from Airtable: {done} records so far; try again in a few seconds, or see get_sync_status."
        );
        Err(Fault::new(Code::NotReady, message))
    }

    /// Somebody waits for the copy until this is dropped.
    pub(super) fn waiting(&self) -> Waiting<'_> {
        Waiting::new(&self.waiting)
    }

    /// Waits until `done`, a turn that began at `asked` or later failed, or it took too long; the
    /// failure, if there was one.
    pub(crate) async fn wait(&self, done: impl Fn(&Self, &Turn) -> bool, asked: i64) -> Option<Fault> {
        let deadline = Instant::now() + Duration::from_secs(self.options.wait_seconds);
        let mut look_again = tokio::time::interval(Duration::from_millis(500));
        let mut turns = self.turns.subscribe();
        let mut listed = self.listed.subscribe();
        let _waiting = self.waiting();
        self.news.notify_one();
        loop {
            let turn = turns.borrow_and_update().clone();
            if done(self, &turn) {
                return None;
            }
            if turn.began >= asked && turn.failure.is_some() {
                return turn.failure;
            }
            tokio::select! {
                // What ended may have begun too early.
                _ = turns.changed() => self.news.notify_one(),
                _ = listed.changed() => {}
                _ = look_again.tick() => {}
                () = tokio::time::sleep_until(deadline) => return None,
            }
        }
    }
}

/// A request under way.
pub(crate) struct Asking<'a> {
    /// Its number.
    pub(crate) number: u64,
    held: &'a Held,
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        self.held.guard().end(self.number);
    }
}

/// Counts who waits.
pub(super) struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl outbox::Absorb for Held {
    fn begin(&self) -> u64 {
        self.guard().begin()
    }

    fn abandon(&self, asked: u64) {
        self.guard().end(asked);
    }

    fn absorb(&self, own: Own) -> BoxFuture<'_, Result<outbox::Absorbed, Fault>> {
        Box::pin(async move {
            let Own { asked, table, records, gone, by, journal, part } = own;
            let tables = vec![TableDelta { table, records, gone }];
            let delta = Delta { tables, journal, part, how: How::Written, ..Delta::default() };
            let taken = self.take(Seen { asked, delta, by }, |_| {}).await;
            self.guard().end(asked);
            self.touch();
            let Absorbed { snapshot, change, .. } = taken?;
            Ok(outbox::Absorbed { snapshot, change })
        })
    }

    fn snapshot(&self) -> BoxFuture<'_, Result<Arc<Snapshot>, Fault>> {
        Box::pin(self.engine.snapshot(self.base))
    }

    fn suspect_schema(&self) {
        self.suspicious.store(true, Ordering::Relaxed);
        self.news.notify_one();
    }

    fn refresh_schema(&self) -> BoxFuture<'_, Result<Arc<Snapshot>, Fault>> {
        Box::pin(async move {
            if self.now() - self.state().await.schema_at > JUST_NOW {
                super::schema::refresh(self, &self.session().await?).await?;
            }
            self.engine.snapshot(self.base).await
        })
    }
}
