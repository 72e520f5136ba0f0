//! Writes to a base that lives in Airtable: sent in requests of at most ten records, at Airtable's
//! pace, and what it answers taken into the copy.
//!
//! A caller's records become a group in the queue (`queue.rs`). Whenever the pacer gives a turn,
//! the next request is put together and sent (`send.rs`); a refusal is told to whom it concerns
//! (`ended.rs`), an answer that was lost is looked for (`settle.rs`).

mod ended;
mod group;
mod journal;
mod judge;
mod prepare;
mod queue;
mod send;
mod settle;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tablewright_core::clock::Clock;
use tablewright_core::model::{BaseId, RecordId, TableId};
use tablewright_core::{Code, Fault};
use tokio::sync::Notify;

use crate::airtable::{BoxFuture, Record, Session, Tally};
use crate::base::Snapshot;
use crate::base::changes::Author;
use crate::local::{Outcome, Write};
use crate::store::Store;
use crate::store::tasks::TaskPart;

use group::{Fate, Group};
use prepare::{Item, Prepared, prepare};
use queue::{GroupId, Queue};
use settle::Lost;

/// Takes what Airtable answered into the copy.
pub trait Absorb: Send + Sync {
    /// A counter taken before a request is sent: what it answers is compared by it. Every one is
    /// ended by an absorb, whether that goes well or not, or abandoned.
    fn begin(&self) -> u64;
    /// Whatever came of a request begun as `asked` that gave nothing to take in.
    fn abandon(&self, asked: u64);
    /// Takes in what was answered, with its journal, in one transaction.
    fn absorb(&self, own: Own) -> BoxFuture<'_, Result<Absorbed, Fault>>;
    /// The copy as it is.
    fn snapshot(&self) -> BoxFuture<'_, Result<Arc<Snapshot>, Fault>>;
    /// Something looks different from the copy (unknown choice, field gone): look at the schema
    /// again soon.
    fn suspect_schema(&self);
    /// Looks at the schema again now, unless that was done a moment ago; the copy after it.
    fn refresh_schema(&self) -> BoxFuture<'_, Result<Arc<Snapshot>, Fault>>;
}

/// What a request of ours did.
#[derive(Debug)]
pub struct Own {
    /// What [`Absorb::begin`] gave before it was sent.
    pub asked: u64,
    /// The table.
    pub table: TableId,
    /// Records as they are after it.
    pub records: Vec<Record>,
    /// Records it deleted.
    pub gone: Vec<RecordId>,
    /// Whose write it was.
    pub by: Author,
    /// Rows of the journal and what became of their records, stored in the same transaction.
    pub journal: Vec<(i64, Value)>,
    /// The part of a task that is done with it, and its outcome; in the same transaction too.
    pub part: Option<(TaskPart, Value)>,
}

/// The copy with an answer in it.
#[derive(Debug, Clone)]
pub struct Absorbed {
    /// The base.
    pub snapshot: Arc<Snapshot>,
    /// The commit in the change log; absent when nothing changed.
    pub change: Option<i64>,
}

/// Settings of writes to Airtable.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Milliseconds after which records are looked for when the answer to a create was lost, 2000
    /// by default.
    pub first_look_ms: u64,
    /// Milliseconds from that look to the second, which decides, 10000 by default.
    pub second_look_ms: u64,
    /// Most records of one base that wait to be sent, 10000 by default; more are refused.
    pub max_waiting: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { first_look_ms: 2_000, second_look_ms: 10_000, max_waiting: 10_000 }
    }
}

/// Records of one write that are in the queue at once.
const WINDOW: usize = 1_000;
/// Ids given by answers that are remembered, to tell them from records whose answer was lost.
const MAX_GIVEN: usize = 4_096;

/// The writes to one base. Cheap to clone.
#[derive(Clone)]
pub struct Outbox {
    shared: Arc<Shared>,
}

struct Shared {
    base: BaseId,
    session: Session,
    copy: Arc<dyn Absorb>,
    store: Store,
    clock: Arc<dyn Clock>,
    options: Options,
    state: Mutex<State>,
    /// Something in flight was settled.
    settled: Notify,
    /// Lost creates are looked for one after the other.
    looking: tokio::sync::Mutex<()>,
    /// How far Airtable's clock is ahead of ours, in milliseconds; [`UNKNOWN`] before any answer.
    ahead: AtomicI64,
}

/// Airtable's clock has not been seen yet.
const UNKNOWN: i64 = i64::MIN;

#[derive(Default)]
struct State {
    queue: Queue,
    groups: FxHashMap<GroupId, Arc<Group>>,
    /// Records of writes that are under way, as far as they may be in the queue at once.
    waiting: usize,
    /// Somebody waits for a turn; one at a time does.
    asking: bool,
    /// Requests that are being sent or settled.
    in_flight: usize,
    /// Requests under way that may make records, by table.
    making: FxHashMap<TableId, usize>,
    /// Creates whose answer was lost and that are not settled yet.
    lost: Vec<Arc<Lost>>,
    /// Records that answers have given lately.
    given: VecDeque<RecordId>,
    /// Logins of callers that are not that of the base.
    logins: FxHashMap<Arc<str>, Session>,
}

impl State {
    fn give(&mut self, ids: impl Iterator<Item = RecordId>) {
        self.given.extend(ids);
        let over = self.given.len().saturating_sub(MAX_GIVEN);
        self.given.drain(..over);
    }
}

impl Outbox {
    /// The writes to `base`, sent with this login.
    pub fn new(
        base: BaseId,
        session: Session,
        copy: Arc<dyn Absorb>,
        store: Store,
        clock: Arc<dyn Clock>,
        options: Options,
    ) -> Self {
        let shared = Shared {
            base,
            session,
            copy,
            store,
            clock,
            options,
            state: Mutex::default(),
            settled: Notify::new(),
            looking: tokio::sync::Mutex::default(),
            ahead: AtomicI64::new(UNKNOWN),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Carries out a write in Airtable; answers when the copy has it. What was done before
    /// something failed stays done, and the outcome says what. A part of a task that could not be
    /// carried out to its end because Airtable is away is refused as such and goes on where it was
    /// when it is sent again. Requests that carry something of it are counted. It is sent with the
    /// login `own`, or else with that of the base.
    pub async fn write(
        &self,
        write: Write,
        by: &Author,
        tally: &Tally,
        part: Option<TaskPart>,
        own: Option<&Session>,
    ) -> Result<Outcome, Fault> {
        let _room = self.shared.reserve(write.action.len().min(WINDOW))?;
        let atomic = write.atomic;
        let Prepared { mut kind, items } = self.shared.prepare(write).await?;
        if let Some(own) = own {
            let login: Arc<str> = own.profile().into();
            self.shared.lock().logins.insert(login.clone(), own.clone());
            kind.login = Some(login);
        }
        let mut all = All::new(items, atomic)?;
        if let Some(part) = &part {
            self.shared.resume(part, &kind, by, &mut all).await?;
        }
        let mut stopped: Option<Fate> = None;
        while let Some(window) = all.next(WINDOW) {
            if let Some(fate) = &stopped {
                all.refuse(&window, fate);
                continue;
            }
            let items = window.iter().filter_map(|at| all.items[*at].take()).collect();
            let group = Group::new(kind.clone(), atomic, by, tally, part.clone(), window, items);
            self.shared.carry_out(&group).await;
            stopped = all.take(&group);
        }
        let done = all.outcome(&self.shared).await?;
        if let Some(part) = part {
            return self.shared.finish(part, kind.table, by, done).await;
        }
        if atomic && let Some(fault) = done.records.iter().find_map(|record| record.as_ref().err()) {
            return Err(fault.clone());
        }
        match done.nothing_but() {
            Some(fault) => Err(fault),
            None => Ok(done.into()),
        }
    }

    /// Records that wait to be sent, or are on their way.
    pub fn waiting(&self) -> usize {
        self.shared.lock().waiting
    }
}

/// Room in the queue, given back when it is dropped.
struct Room<'a> {
    shared: &'a Shared,
    records: usize,
}

impl Drop for Room<'_> {
    fn drop(&mut self) {
        self.shared.lock().waiting -= self.records;
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reserve(&self, records: usize) -> Result<Room<'_>, Fault> {
        let mut state = self.lock();
        if state.waiting + records > self.options.max_waiting {
            let message = format!(
                "{} records wait to be written to this base, which is as many as may; Airtable takes about 50 a second, so send these again in a minute.",
                state.waiting
            );
            return Err(Fault::new(Code::UpstreamUnavailable, message));
        }
        state.waiting += records;
        Ok(Room { shared: self, records })
    }

    /// Finds tables and fields in the copy; what is not there is looked for in Airtable once.
    async fn prepare(&self, write: Write) -> Result<Prepared, Fault> {
        let snapshot = self.copy.snapshot().await?;
        let found = match snapshot.table(write.table) {
            Ok((table, _)) => prepare(table, write.clone()),
            Err(fault) => Err(fault),
        };
        let unknown = |fault: &Fault| matches!(fault.code, Code::UnknownField | Code::UnknownTable);
        let puzzled = match &found {
            Ok(prepared) => prepared.items.iter().flat_map(|item| item.as_ref().err()).any(unknown),
            Err(fault) => unknown(fault),
        };
        if !puzzled {
            return found;
        }
        self.copy.suspect_schema();
        let snapshot = self.copy.refresh_schema().await?;
        let (table, _) = snapshot.table(write.table)?;
        prepare(table, write)
    }

    /// Notes by an answer how far Airtable's clock is ahead of ours.
    fn note_time(&self, server_time: Option<i64>) {
        if let Some(time) = server_time {
            self.ahead.store(time - self.clock.now_ms(), Ordering::Relaxed);
        }
    }

    /// Carries out a group to its end. Dropped before, what is not sent yet is not sent.
    async fn carry_out(self: &Arc<Self>, group: &Arc<Group>) {
        let id = {
            let mut state = self.lock();
            let id = state.queue.add(
                group.by.principal.clone(),
                group.kind.clone(),
                group.atomic,
                group.touches(),
            );
            state.groups.insert(id, group.clone());
            id
        };
        let _listed = Listed { shared: self, id };
        self.kick();
        group.done().await;
    }

    /// Stores the outcome of a part that is done, and forgets its journal with it.
    async fn finish(
        &self,
        part: TaskPart,
        table: TableId,
        by: &Author,
        done: Done,
    ) -> Result<Outcome, Fault> {
        if let Some(fault) = &done.unfinished {
            let count = done.records.iter().filter(|record| record.is_ok()).count();
            let message = format!(
                "{count} of {} records are done, and the rest goes on when Airtable is back: {fault}",
                done.records.len()
            );
            return Err(Fault::new(Code::UpstreamUnavailable, message));
        }
        if let Some(fault) = done.nothing_but() {
            return Err(fault);
        }
        let records: Vec<&Result<RecordId, Fault>> = done.records.iter().collect();
        let outcome = json!({"records": records, "created": done.created, "elsewhere": []});
        let own = Own {
            asked: self.copy.begin(),
            table,
            records: Vec::new(),
            gone: Vec::new(),
            by: by.clone(),
            journal: Vec::new(),
            part: Some((part, outcome)),
        };
        self.copy.absorb(own).await?;
        Ok(done.into())
    }
}

/// A group in the queue; taken out with what is not sent yet when it is dropped.
struct Listed<'a> {
    shared: &'a Arc<Shared>,
    id: GroupId,
}

impl Drop for Listed<'_> {
    fn drop(&mut self) {
        {
            let mut state = self.shared.lock();
            state.queue.withdraw(self.id);
            state.groups.remove(&self.id);
        }
        // Others may have waited for its records.
        self.shared.kick();
    }
}

/// All records of a write.
struct All {
    items: Vec<Option<Item>>,
    fates: Vec<Option<Fate>>,
    created: Vec<RecordId>,
    last: Option<Absorbed>,
    at: usize,
}

impl All {
    fn new(items: Vec<Result<Item, Fault>>, atomic: bool) -> Result<Self, Fault> {
        let (mut ready, mut fates) = (Vec::with_capacity(items.len()), Vec::with_capacity(items.len()));
        for (at, item) in items.into_iter().enumerate() {
            match item {
                Ok(item) => {
                    ready.push(Some(item));
                    fates.push(None);
                }
                Err(fault) if atomic => return Err(fault.within(format_args!("record {}", at + 1))),
                Err(fault) => {
                    ready.push(None);
                    fates.push(Some(Fate::Refused(fault)));
                }
            }
        }
        Ok(Self { items: ready, fates, created: Vec::new(), last: None, at: 0 })
    }

    /// The places of the next records that have no fate yet, at most `most`; empty never.
    fn next(&mut self, most: usize) -> Option<Vec<usize>> {
        let mut places = Vec::new();
        while self.at < self.fates.len() && places.len() < most {
            if self.fates[self.at].is_none() {
                places.push(self.at);
            }
            self.at += 1;
        }
        (!places.is_empty()).then_some(places)
    }

    fn refuse(&mut self, places: &[usize], fate: &Fate) {
        for at in places {
            self.fates[*at] = Some(fate.clone());
        }
    }

    /// Takes in what became of a group; why nothing after it is to be sent.
    fn take(&mut self, group: &Group) -> Option<Fate> {
        let mut result = group.result();
        for (at, fate) in group.places.iter().zip(result.fates.drain(..)) {
            self.fates[*at] = fate;
        }
        self.created.append(&mut result.created);
        self.note(result.last.take());
        result.stopped.take()
    }

    fn note(&mut self, absorbed: Option<Absorbed>) {
        let Some(new) = absorbed else { return };
        let change = new.change.max(self.last.as_ref().and_then(|last| last.change));
        self.last = Some(Absorbed { snapshot: new.snapshot, change });
    }

    async fn outcome(self, shared: &Shared) -> Result<Done, Fault> {
        let lost = || Fate::Refused(Fault::new(Code::Internal, "it was not noted what became of the record"));
        let mut unfinished = None;
        let records = self.fates.into_iter().map(|fate| {
            let fate = fate.unwrap_or_else(lost);
            if let Fate::NotSent(fault) | Fate::Unsettled(fault) = &fate {
                unfinished.get_or_insert_with(|| fault.clone());
            }
            fate.told()
        });
        let records = records.collect();
        let (snapshot, change) = match self.last {
            Some(Absorbed { snapshot, change }) => (snapshot, change),
            None => (shared.copy.snapshot().await?, None),
        };
        Ok(Done { records, created: self.created, snapshot, change, unfinished })
    }
}

/// What became of a write.
struct Done {
    records: Vec<Result<RecordId, Fault>>,
    created: Vec<RecordId>,
    snapshot: Arc<Snapshot>,
    change: Option<i64>,
    /// Why some records may yet be done when they are sent again.
    unfinished: Option<Fault>,
}

impl Done {
    /// The one reason why nothing at all was done, if it is not about single records.
    fn nothing_but(&self) -> Option<Fault> {
        let first = self.records.first()?.as_ref().err()?;
        let whole =
            matches!(first.code, Code::UpstreamUnavailable | Code::UpstreamForbidden | Code::LimitExceeded);
        let same = |record: &Result<RecordId, Fault>| record.as_ref().err() == Some(first);
        (whole && self.records.iter().all(same)).then(|| first.clone())
    }
}

impl From<Done> for Outcome {
    fn from(done: Done) -> Self {
        let Done { records, created, snapshot, change, .. } = done;
        Self { records, created, snapshot, change, created_elsewhere: Vec::new() }
    }
}
