//! Bases: held in memory as snapshots, kept in a database, changed by one writer.

pub mod airtable;
pub mod base;
pub mod base_file;
pub mod clock;
pub mod comments;
pub mod compute;
pub mod fetch;
pub mod files;
pub mod local;
pub mod replica;
pub mod store;
mod writer;

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, Weak};
use std::time::Duration;

use rustc_hash::{FxHashMap, FxHashSet};
use serde::{Deserialize, Serialize};
use tablewright_core::clock::Clock;
use tablewright_core::model::{Base, BaseId};
use tablewright_core::{Code, Fault};
use tokio::sync::{Mutex, broadcast, mpsc, oneshot, watch};

pub use base::Snapshot;
use base::changes::{Author, ChangeKind};
use base::{Change, TableChanges};
use comments::Comment;
use local::schema::{NewTable, SchemaEdit};
use local::{Draft, Outcome, Write};
use replica::take::Delta;
use store::read::Cloud;
use store::tasks::TaskPart;
pub use store::write::AuditEntry;
use store::write::LoggedChange;
pub use store::{Error, Store};
use writer::{Absorbed, Commit, Job};
pub use writer::{CommentEdit, CommentPlace, Edited, Progress};

/// Settings of the engine.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Records held in memory before bases nobody uses are dropped (they are read again on demand).
    pub max_records_in_memory: u64,
    /// Days the change log goes back.
    pub keep_changes_days: u32,
    /// Days the audit log goes back.
    pub keep_audit_days: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self { max_records_in_memory: 2_000_000, keep_changes_days: 30, keep_audit_days: 365 }
    }
}

/// Commits the feed keeps for a receiver that is behind.
const FEED: usize = 1024;

/// A handle on all bases of a data directory. Cheap to clone.
#[derive(Clone)]
pub struct Engine {
    shared: Arc<Shared>,
    jobs: mpsc::Sender<Job>,
}

struct Held {
    snapshot: Arc<Snapshot>,
    used: AtomicU64,
}

pub(crate) struct Shared {
    pub(crate) store: Store,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) last_change: watch::Sender<i64>,
    feed: broadcast::Sender<Arc<Change>>,
    /// Bases of which changed computed cells are noted in the change log.
    computed_logged: RwLock<FxHashSet<BaseId>>,
    pub(crate) audit: writer::AuditBuffer,
    options: Options,
    listed: RwLock<Arc<Vec<(BaseId, String)>>>,
    held: RwLock<FxHashMap<BaseId, Held>>,
    /// Held while a base is read from the database and while a batch is written and published:
    /// what a reader loads is never older than what the writer has published.
    pub(crate) loading: Mutex<()>,
    ticks: AtomicU64,
}

impl Shared {
    pub(crate) fn bases(&self) -> Arc<Vec<(BaseId, String)>> {
        self.listed.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn in_memory(&self, base: BaseId) -> Option<Arc<Snapshot>> {
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
        let found = held.get(&base)?;
        found.used.store(self.ticks.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
        Some(found.snapshot.clone())
    }

    pub(crate) async fn snapshot(&self, base: BaseId) -> Result<Arc<Snapshot>, Fault> {
        if let Some(found) = self.in_memory(base) {
            return Ok(found);
        }
        let _one = self.loading.lock().await;
        if let Some(found) = self.in_memory(base) {
            return Ok(found);
        }
        // A table read again starts at another version, so that cursors notice.
        let version = self.clock.now_ms().unsigned_abs();
        let loaded = self.store.load(base, version).await.map_err(Fault::from)?;
        let mut snapshot =
            loaded.ok_or_else(|| Fault::new(Code::UnknownBase, format!("there is no base {base}.")))?;
        snapshot.change = *self.last_change.borrow();
        let now = self.clock.now_ms();
        let snapshot = tokio::task::spawn_blocking(move || {
            compute::recompute_all(&mut snapshot, now);
            snapshot
        })
        .await
        .map_err(|e| Fault::new(Code::Internal, e.to_string()))?;
        Ok(self.publish(base, snapshot))
    }

    pub(crate) fn publish(&self, base: BaseId, snapshot: Snapshot) -> Arc<Snapshot> {
        let snapshot = Arc::new(snapshot);
        let used = AtomicU64::new(self.ticks.fetch_add(1, Ordering::Relaxed));
        let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
        held.insert(base, Held { snapshot: snapshot.clone(), used });
        let mut records: u64 = held.values().map(|h| h.snapshot.records() as u64).sum();
        while records > self.options.max_records_in_memory && held.len() > 1 {
            let oldest = held
                .iter()
                .filter(|(id, _)| **id != base)
                .min_by_key(|(_, h)| h.used.load(Ordering::Relaxed))
                .map(|(id, h)| (*id, h.snapshot.records() as u64));
            let Some((id, dropped)) = oldest else { break };
            held.remove(&id);
            records -= dropped;
        }
        snapshot
    }

    /// Tells everybody who follows the change log what was committed and can be seen now.
    pub(crate) fn tell(&self, changes: Vec<LoggedChange>, numbers: &[i64]) {
        if self.feed.receiver_count() > 0 {
            for (change, seq) in changes.into_iter().zip(numbers) {
                let _ = self.feed.send(Arc::new(change.numbered(*seq)));
            }
        }
        if let Some(last) = numbers.last() {
            self.last_change.send_replace(*last);
        }
    }

    pub(crate) fn logs_computed(&self, base: BaseId) -> bool {
        self.computed_logged.read().unwrap_or_else(PoisonError::into_inner).contains(&base)
    }

    async fn prune(&self) -> Result<(), Error> {
        let days_ago = |days: u32| self.clock.now_ms() - i64::from(days) * 86_400_000;
        let (changes, audit) =
            (days_ago(self.options.keep_changes_days), days_ago(self.options.keep_audit_days));
        self.store.prune(changes, audit).await
    }

    /// Puts a base on the list, or takes it off.
    pub(crate) fn list(&self, base: BaseId, name: Option<String>) {
        let mut listed = self.listed.write().unwrap_or_else(PoisonError::into_inner);
        let mut bases: Vec<(BaseId, String)> = listed.iter().filter(|(id, _)| *id != base).cloned().collect();
        match name {
            Some(name) => {
                bases.push((base, name));
                bases.sort_by(|a, b| (&a.1, a.0).cmp(&(&b.1, b.0)));
            }
            None => {
                self.held.write().unwrap_or_else(PoisonError::into_inner).remove(&base);
            }
        }
        *listed = Arc::new(bases);
    }
}

impl Engine {
    /// Opens the database in `directory` and starts the writer.
    pub async fn open(directory: PathBuf, options: Options, clock: Arc<dyn Clock>) -> Result<Self, Error> {
        let store = Store::open(&directory.join("tablewright.db")).await?;
        let listed = store.bases().await?.into_iter().map(|b| (b.id, b.name)).collect();
        let last = store.last_change().await?;
        let shared = Arc::new(Shared {
            store,
            clock,
            last_change: watch::Sender::new(last),
            feed: broadcast::Sender::new(FEED),
            computed_logged: RwLock::default(),
            audit: writer::AuditBuffer::default(),
            options,
            listed: RwLock::new(Arc::new(listed)),
            held: RwLock::default(),
            loading: Mutex::new(()),
            ticks: AtomicU64::new(0),
        });
        shared.prune().await?;
        tokio::spawn(prune_by_the_hour(Arc::downgrade(&shared)));
        let (jobs, receiver) = mpsc::channel(writer::QUEUE);
        tokio::spawn(writer::run(shared.clone(), receiver));
        tokio::spawn(refresh_by_the_minute(Arc::downgrade(&shared), jobs.downgrade()));
        Ok(Self { shared, jobs })
    }

    /// All bases by name: id and name.
    pub fn bases(&self) -> Arc<Vec<(BaseId, String)>> {
        self.shared.bases()
    }

    /// The clock everything here goes by.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.shared.clock
    }

    /// The database, for what is not a base: tokens, comments, the change log.
    pub fn store(&self) -> &Store {
        &self.shared.store
    }

    /// A base as it is now, when it is in memory already.
    pub fn in_memory(&self, base: BaseId) -> Option<Arc<Snapshot>> {
        self.shared.in_memory(base)
    }

    /// A base as it is now.
    pub async fn snapshot(&self, base: BaseId) -> Result<Arc<Snapshot>, Fault> {
        self.shared.snapshot(base).await
    }

    /// The schema of a base as it is now. Its records are not read for it.
    pub async fn schema(&self, base: BaseId) -> Result<Arc<Base>, Fault> {
        if let Some(snapshot) = self.in_memory(base) {
            return Ok(snapshot.schema.clone());
        }
        let stored = self.store().schema(base).await.map_err(Fault::from)?;
        stored.map(Arc::new).ok_or_else(|| Fault::new(Code::UnknownBase, format!("there is no base {base}.")))
    }

    /// Carries out a write; answers when it is on disk and visible. The audit line made by
    /// `audit` from the outcome is written with it.
    pub async fn commit(
        &self,
        base: BaseId,
        write: Write,
        by: Author,
        audit: impl FnOnce(&str) -> AuditEntry + Send + 'static,
    ) -> Result<Outcome, Fault> {
        self.commit_part(base, write, Vec::new(), by, None, audit).await
    }

    /// The same for a part of a task: with the commit the part is noted as done. It is refused when
    /// a row of `expect` is not any more what it was before.
    pub async fn commit_part(
        &self,
        base: BaseId,
        write: Write,
        expect: Vec<TableChanges>,
        by: Author,
        part: Option<TaskPart>,
        audit: impl FnOnce(&str) -> AuditEntry + Send + 'static,
    ) -> Result<Outcome, Fault> {
        let (reply, answer) = oneshot::channel();
        let audit = Box::new(audit);
        self.send(Job::Commit(Commit { base, write, expect, by, part, audit, reply })).await?;
        answer.await.map_err(|_| stopping())?
    }

    /// Changes the schema of a base; answers when it is on disk and visible.
    pub async fn edit_schema(
        &self,
        base: BaseId,
        edit: SchemaEdit,
        by: Author,
        audit: impl FnOnce(&str) -> AuditEntry + Send + 'static,
    ) -> Result<Edited, Fault> {
        let (reply, answer) = oneshot::channel();
        self.send(Job::Edit { base, edit, by, audit: Box::new(audit), reply }).await?;
        answer.await.map_err(|_| stopping())?
    }

    /// Adds, edits or removes a comment; gives it as it is, or as it was.
    pub async fn comment(
        &self,
        at: CommentPlace,
        edit: CommentEdit,
        by: Author,
        audit: impl FnOnce(&str) -> AuditEntry + Send + 'static,
    ) -> Result<Comment, Fault> {
        let (reply, answer) = oneshot::channel();
        self.send(Job::Comment { at, edit, by, audit: Box::new(audit), reply }).await?;
        answer.await.map_err(|_| stopping())?
    }

    /// A new base with these tables as it would be; a base needs at least one.
    pub fn new_base(&self, id: BaseId, name: &str, tables: &[NewTable]) -> Result<Snapshot, Fault> {
        let schema = Base { id, name: String::new(), tables: Vec::new() };
        let mut draft = Draft::of(&Snapshot::empty(Arc::new(schema)));
        let now = self.clock().now_ms();
        if tables.is_empty() {
            let message = "a base needs at least one table.";
            return Err(Fault::new(Code::InvalidSchema, message).about("tables"));
        }
        draft.create_tables(tables, now)?;
        draft.edit(&SchemaEdit::RenameBase(name.to_owned()), now)?;
        Ok(draft.snapshot)
    }

    /// Makes a new base with these tables; the commit.
    pub async fn create_base(
        &self,
        id: BaseId,
        name: &str,
        tables: Vec<NewTable>,
        by: Author,
    ) -> Result<i64, Fault> {
        let snapshot = self.new_base(id, name, &tables)?;
        let (reply, answer) = oneshot::channel();
        let (comments, kind) = (Vec::new(), ChangeKind::BaseCreated);
        let progress = Box::new(|_| {});
        self.send(Job::Import { snapshot, cloud: None, comments, kind, by, progress, reply }).await?;
        answer.await.map_err(|_| stopping())?
    }

    /// Makes room for the copy of a base that lives in Airtable; its rows come afterwards.
    pub(crate) async fn add_copy(&self, schema: Base, cloud: Cloud, by: Author) -> Result<i64, Fault> {
        let (reply, answer) = oneshot::channel();
        let (snapshot, comments) = (Snapshot::copy(Arc::new(schema)), Vec::new());
        let (kind, progress) = (ChangeKind::BaseCreated, Box::new(|_| {}));
        self.send(Job::Import { snapshot, cloud: Some(cloud), comments, kind, by, progress, reply }).await?;
        answer.await.map_err(|_| stopping())?
    }

    /// Takes what Airtable says into the copy of a base.
    pub(crate) async fn absorb(&self, base: BaseId, delta: Delta, by: Author) -> Result<Absorbed, Fault> {
        let (reply, answer) = oneshot::channel();
        self.send(Job::Absorb { base, delta: Box::new(delta), by, reply }).await?;
        answer.await.map_err(|_| stopping())?
    }

    /// Every commit from now on, once it is visible. A receiver that falls behind by more than
    /// a thousand commits is told how many it missed and goes on with [`Store::changes`].
    pub fn feed(&self) -> broadcast::Receiver<Arc<Change>> {
        self.shared.feed.subscribe()
    }

    /// Whether computed cells that change are noted in the change log of a base.
    pub fn log_computed(&self, base: BaseId, on: bool) {
        let mut logged = self.shared.computed_logged.write().unwrap_or_else(PoisonError::into_inner);
        if on {
            logged.insert(base);
        } else {
            logged.remove(&base);
        }
    }

    /// Writes an audit line without waiting for it.
    pub fn audit(&self, entry: AuditEntry) {
        self.shared.audit.push(entry);
    }

    /// Waits until the audit lines so far are on disk.
    pub async fn settle_audit(&self) -> Result<(), Fault> {
        let (reply, answer) = oneshot::channel();
        self.send(Job::Flush(reply)).await?;
        answer.await.map_err(|_| stopping())
    }

    /// Takes in a base read from a file. `progress` is told the rows written so far.
    pub async fn import(
        &self,
        file: base_file::Loaded,
        by: Author,
        progress: Progress,
    ) -> Result<i64, Fault> {
        let (reply, answer) = oneshot::channel();
        let base_file::Loaded { snapshot, comments } = file;
        let kind = ChangeKind::Imported;
        self.send(Job::Import { snapshot, cloud: None, comments, kind, by, progress, reply }).await?;
        answer.await.map_err(|_| stopping())?
    }

    /// Deletes a base.
    pub async fn delete(&self, base: BaseId, by: Author) -> Result<i64, Fault> {
        let (reply, answer) = oneshot::channel();
        self.send(Job::Delete { base, by, reply }).await?;
        answer.await.map_err(|_| stopping())?
    }

    /// Works out again the fields that use NOW() or TODAY(), in the bases that are in memory and
    /// were last worked out a quarter of an hour ago, or yesterday.
    pub async fn refresh(&self) {
        refresh_due(&self.shared, &self.jobs).await;
    }

    /// The number of the newest commit, and a wake-up whenever it grows.
    pub fn last_change(&self) -> watch::Receiver<i64> {
        self.shared.last_change.subscribe()
    }

    /// Waits until everything sent so far is written, then closes the database.
    pub async fn close(&self) {
        let (reply, answer) = oneshot::channel();
        if self.jobs.send(Job::Flush(reply)).await.is_ok() {
            let _ = answer.await;
        }
        self.shared.store.close().await;
    }

    async fn send(&self, job: Job) -> Result<(), Fault> {
        self.jobs.send(job).await.map_err(|_| stopping())
    }
}

/// How old values that change with the time of day may be, in milliseconds; as in Airtable.
const REFRESH_AFTER: i64 = 15 * 60 * 1000;
const DAY: i64 = 86_400_000;

async fn refresh_due(shared: &Shared, jobs: &mpsc::Sender<Job>) {
    let now = shared.clock.now_ms();
    let due: Vec<BaseId> = {
        let held = shared.held.read().unwrap_or_else(PoisonError::into_inner);
        held.iter()
            .filter(|(_, held)| held.snapshot.plan.is_volatile())
            .filter(|(_, held)| {
                let before = held.snapshot.computed_at;
                now - before >= REFRESH_AFTER || now.div_euclid(DAY) != before.div_euclid(DAY)
            })
            .map(|(id, _)| *id)
            .collect()
    };
    for base in due {
        let (reply, done) = oneshot::channel();
        if jobs.send(Job::Refresh { base, reply }).await.is_ok() {
            let _ = done.await;
        }
    }
}

async fn refresh_by_the_minute(shared: Weak<Shared>, jobs: mpsc::WeakSender<Job>) {
    loop {
        tokio::time::sleep(Duration::from_secs(60)).await;
        let (Some(shared), Some(jobs)) = (shared.upgrade(), jobs.upgrade()) else { return };
        refresh_due(&shared, &jobs).await;
    }
}

/// Drops old log entries while the engine is in use.
async fn prune_by_the_hour(shared: Weak<Shared>) {
    loop {
        tokio::time::sleep(Duration::from_secs(3600)).await;
        let Some(shared) = shared.upgrade() else { return };
        if let Err(error) = shared.prune().await {
            tracing::warn!(%error, "old log entries were not dropped");
        }
    }
}

fn stopping() -> Fault {
    Fault::new(Code::StoreUnavailable, "the server is stopping; whether this was written is not known")
}
