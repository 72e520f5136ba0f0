//! The one writer: takes what is waiting, commits it together, then publishes.
//!
//! A commit is answered only after the database has it on disk; a failed batch changes nothing.

mod absorb;
mod edit;

use std::collections::hash_map::Entry;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustc_hash::FxHashMap;
use serde_json::{Value, json};
use tablewright_core::model::{BaseId, RecordId};
use tablewright_core::{Code, Fault};
use tokio::sync::{Notify, mpsc, oneshot};

use crate::Shared;
use crate::base::changes::{Author, ChangeKind};
use crate::base::{Snapshot, TableChanges};
use crate::base_file;
use crate::comments::Comment;
use crate::compute;
use crate::local::schema::SchemaEdit;
use crate::local::{Action, Applied, Draft, Outcome, Write};
use crate::replica::take::Delta;
use crate::store::read::Cloud;
use crate::store::tasks::TaskPart;
use crate::store::write::{AuditEntry, Batch, LoggedChange, RowState, stored_cells};

pub(crate) use absorb::Absorbed;
pub use edit::{CommentEdit, CommentPlace, Edited};

/// Commits that may wait; more callers wait to be let in.
pub(crate) const QUEUE: usize = 1024;
/// Commits written in one transaction.
const BATCH: usize = 256;

/// Makes the audit line of a write from its outcome.
pub(crate) type Audit = Box<dyn FnOnce(&str) -> AuditEntry + Send>;
type Reply<T> = oneshot::Sender<Result<T, Fault>>;
/// Told how many rows are written so far.
pub type Progress = Box<dyn Fn(u64) + Send + Sync>;

/// A write to the records of a base.
pub(crate) struct Commit {
    pub(crate) base: BaseId,
    pub(crate) write: Write,
    /// Rows that have to be as they were before.
    pub(crate) expect: Vec<TableChanges>,
    pub(crate) by: Author,
    /// The part of a task that is done with it.
    pub(crate) part: Option<TaskPart>,
    pub(crate) audit: Audit,
    pub(crate) reply: Reply<Outcome>,
}

/// Something to write.
pub(crate) enum Job {
    /// Records of a base.
    Commit(Commit),
    /// The schema of a base.
    Edit { base: BaseId, edit: SchemaEdit, by: Author, audit: Audit, reply: Reply<Edited> },
    /// A comment on a record.
    Comment { at: CommentPlace, edit: CommentEdit, by: Author, audit: Audit, reply: Reply<Comment> },
    /// What Airtable says about a base of which a copy is here.
    Absorb { base: BaseId, delta: Box<Delta>, by: Author, reply: Reply<Absorbed> },
    /// A whole new base.
    Import {
        snapshot: Snapshot,
        cloud: Option<Cloud>,
        comments: Vec<(String, Value)>,
        kind: ChangeKind,
        by: Author,
        progress: Progress,
        reply: Reply<i64>,
    },
    /// A base to delete.
    Delete { base: BaseId, by: Author, reply: Reply<i64> },
    /// Works out again what changes with the time of day.
    Refresh { base: BaseId, reply: oneshot::Sender<()> },
    /// Answers when everything before it is written.
    Flush(oneshot::Sender<()>),
}

/// Audit lines of reads that may wait for the writer; more are counted and dropped.
const AUDIT_BUFFER: usize = 200_000;
/// How long audit lines of reads are gathered before they are written.
const AUDIT_DELAY: Duration = Duration::from_millis(100);

/// Audit lines that wait for nobody: written with the next commit, or after a short while.
#[derive(Default)]
pub(crate) struct AuditBuffer {
    lines: Mutex<Vec<AuditEntry>>,
    added: Notify,
    lost: AtomicU64,
}

impl AuditBuffer {
    pub(crate) fn push(&self, entry: AuditEntry) {
        if self.keep(entry) == 1 {
            self.added.notify_one();
        }
    }

    /// Keeps a line for the next batch, without waking the writer; how many wait now.
    fn keep(&self, entry: AuditEntry) -> usize {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() < AUDIT_BUFFER {
            lines.push(entry);
            return lines.len();
        }
        let lost = self.lost.fetch_add(1, Ordering::Relaxed) + 1;
        tracing::error!(lost, "audit lines were not written");
        AUDIT_BUFFER
    }

    fn take(&self) -> Vec<AuditEntry> {
        std::mem::take(&mut *self.lines.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Waits for jobs, or until gathered audit lines are due. False when every sender is gone.
async fn wait(shared: &Shared, jobs: &mut mpsc::Receiver<Job>, waiting: &mut Vec<Job>) -> bool {
    tokio::select! {
        biased;
        taken = jobs.recv_many(waiting, BATCH) => return taken > 0,
        () = shared.audit.added.notified() => {}
    }
    tokio::select! {
        taken = jobs.recv_many(waiting, BATCH) => taken > 0,
        () = tokio::time::sleep(AUDIT_DELAY) => true,
    }
}

/// Runs until every sender is gone and everything taken is written.
pub(crate) async fn run(shared: Arc<Shared>, mut jobs: mpsc::Receiver<Job>) {
    let mut waiting = Vec::with_capacity(BATCH);
    while wait(&shared, &mut jobs, &mut waiting).await {
        let mut group = Group::default();
        group.batch.audit = shared.audit.take();
        group.reads = group.batch.audit.len();
        for job in waiting.drain(..) {
            match job {
                Job::Commit(commit) => group.add(&shared, commit).await,
                Job::Edit { base, edit, by, audit, reply } => {
                    std::mem::take(&mut group).commit(&shared).await;
                    let _ = reply.send(edit::schema(&shared, base, &edit, by, audit).await);
                }
                Job::Comment { at, edit, by, audit, reply } => {
                    std::mem::take(&mut group).commit(&shared).await;
                    let _ = reply.send(edit::comment(&shared, at, edit, by, audit).await);
                }
                Job::Absorb { base, delta, by, reply } => {
                    std::mem::take(&mut group).commit(&shared).await;
                    let _ = reply.send(absorb::absorb(&shared, base, *delta, by).await);
                }
                Job::Import { snapshot, cloud, comments, kind, by, progress, reply } => {
                    std::mem::take(&mut group).commit(&shared).await;
                    let change = whole(&shared, snapshot.schema.id, by, kind);
                    let _ = reply.send(import(&shared, snapshot, cloud, &comments, change, progress).await);
                }
                Job::Delete { base, by, reply } => {
                    std::mem::take(&mut group).commit(&shared).await;
                    let _ = reply.send(delete(&shared, base, by).await);
                }
                Job::Refresh { base, reply } => {
                    std::mem::take(&mut group).commit(&shared).await;
                    refresh(&shared, base).await;
                    let _ = reply.send(());
                }
                Job::Flush(reply) => {
                    std::mem::take(&mut group).commit(&shared).await;
                    let _ = reply.send(());
                }
            }
        }
        group.commit(&shared).await;
    }
}

/// Commits that share one transaction.
#[derive(Default)]
struct Group {
    drafts: FxHashMap<BaseId, Draft>,
    batch: Batch,
    replies: Vec<Pending>,
    /// How many of the audit lines belong to no commit of this group.
    reads: usize,
}

/// A caller whose commit is in the group.
struct Pending {
    reply: Reply<Outcome>,
    base: BaseId,
    records: Vec<Result<RecordId, Fault>>,
    created: Vec<RecordId>,
    created_elsewhere: Vec<(String, usize)>,
    changed: bool,
}

impl Group {
    async fn add(&mut self, shared: &Shared, commit: Commit) {
        let Commit { base, write, expect, by, part, audit, reply } = commit;
        let mut result = match self.apply(shared, base, &write, &expect, &by.principal).await {
            Ok(applied) => applied,
            Err(fault) => {
                self.batch.audit.push(audit(fault.code.as_str()));
                let _ = reply.send(Err(fault));
                return;
            }
        };
        self.batch.audit.push(audit("ok"));
        let undoes = match write.action {
            Action::Restore { undoes, .. } => undoes,
            _ => Vec::new(),
        };
        if let Some(part) = part {
            let records: Vec<&Result<RecordId, Fault>> = result.records.iter().collect();
            let outcome = json!({"records": records, "created": result.created,
                "elsewhere": result.created_elsewhere});
            self.batch.task_parts.push((part, outcome));
        }
        let changed = !result.changes.is_empty();
        if changed {
            self.batch.changes.push(LoggedChange {
                tables: std::mem::take(&mut result.changes),
                recomputed: std::mem::take(&mut result.recomputed),
                undoes,
                ..LoggedChange::of(base, shared.clock.now_ms(), by, ChangeKind::Records)
            });
        }
        let Applied { records, created, created_elsewhere, .. } = result;
        self.replies.push(Pending { reply, base, records, created, created_elsewhere, changed });
    }

    async fn apply(
        &mut self,
        shared: &Shared,
        base: BaseId,
        write: &Write,
        expect: &[TableChanges],
        by: &str,
    ) -> Result<Applied, Fault> {
        let draft = match self.drafts.entry(base) {
            Entry::Occupied(held) => held.into_mut(),
            Entry::Vacant(place) => {
                let held = shared.snapshot(base).await?;
                if held.cloud {
                    let message = format!("base {base} lives in Airtable; it is written there.");
                    return Err(Fault::new(Code::Internal, message));
                }
                let draft = place.insert(Draft::of(&held));
                draft.log_computed = shared.logs_computed(base);
                draft
            }
        };
        if let Some(moved) = draft.moved(expect) {
            let message = format!("{moved} changed since the plan was made; make it again and look at it.");
            return Err(Fault::new(Code::PlanStale, message));
        }
        draft.apply(write, shared.clock.now_ms(), by)
    }

    /// Writes the group and publishes it, or tells every caller that nothing was kept.
    async fn commit(mut self, shared: &Shared) {
        for (base, draft) in &mut self.drafts {
            collect(*base, draft, &mut self.batch);
        }
        let empty = self.batch.changes.is_empty()
            && self.batch.audit.is_empty()
            && self.batch.schemas.is_empty()
            && self.batch.task_parts.is_empty()
            && self.batch.journal.is_empty();
        let _no_load = shared.loading.lock().await;
        let written = if empty { Ok(Vec::new()) } else { shared.store.apply(&self.batch).await };
        match written {
            Ok(numbers) => {
                let mut visible: FxHashMap<BaseId, Arc<Snapshot>> = FxHashMap::default();
                for (base, draft) in self.drafts {
                    let changed = !draft.touched.is_empty() || draft.schema_changed;
                    let mut snapshot = draft.snapshot;
                    let own =
                        self.batch.changes.iter().zip(&numbers).filter(|(change, _)| change.base == base);
                    snapshot.change = own.map(|(_, seq)| *seq).next_back().unwrap_or(snapshot.change);
                    visible.insert(
                        base,
                        if changed { shared.publish(base, snapshot) } else { Arc::new(snapshot) },
                    );
                }
                shared.tell(self.batch.changes, &numbers);
                let mut numbers = numbers.into_iter();
                for Pending { reply, base, records, created, created_elsewhere, changed } in self.replies {
                    let Some(snapshot) = visible.get(&base).cloned() else { continue };
                    let change = if changed { numbers.next() } else { None };
                    let _ = reply.send(Ok(Outcome { records, created, snapshot, change, created_elsewhere }));
                }
            }
            Err(error) => {
                let fault = Fault::from(error);
                // The lines wait for better times; those of commits say what became of them.
                for (at, mut entry) in self.batch.audit.into_iter().enumerate() {
                    if at >= self.reads {
                        entry.outcome = fault.code.as_str().to_owned();
                    }
                    shared.audit.keep(entry);
                }
                for pending in self.replies {
                    let _ = pending.reply.send(Err(fault.clone()));
                }
            }
        }
    }
}

/// Turns what a draft touched into rows for the database, and makes the draft ready to publish.
fn collect(base: BaseId, draft: &mut Draft, batch: &mut Batch) {
    if draft.schema_changed {
        batch.schemas.push((*draft.snapshot.schema).clone());
    }
    let schema = draft.snapshot.schema.clone();
    for (id, positions) in &draft.touched {
        let Some(at) = schema.tables.iter().position(|t| t.id == *id) else { continue };
        let Some(data) = draft.snapshot.tables.get(id) else { continue };
        for position in positions {
            let slot = data.slot_after(position - 1);
            let row = data.slots_from(slot).next().map(|slot| (slot, *data.row(slot)));
            let state = match row.filter(|(_, row)| row.position == *position) {
                Some((slot, row)) => RowState::Held {
                    new: draft.first_new.get(id).is_some_and(|first| position >= first),
                    id: row.id.to_string(),
                    created: row.created,
                    cells: Value::Object(stored_cells(&draft.snapshot, at, slot)).to_string(),
                },
                None => RowState::Gone,
            };
            batch.rows.push((base, *id, *position, state));
        }
        batch.counters.push((base, *id, data.next_position, data.next_auto));
        let Some(data) = draft.snapshot.table_mut(*id) else { continue };
        data.version += 1;
        data.compact(&schema.tables[at]);
    }
    for id in draft.recomputed.iter().filter(|id| !draft.touched.contains_key(id)) {
        if let Some(data) = draft.snapshot.table_mut(*id) {
            data.version += 1;
        }
    }
    draft.snapshot.version += 1;
}

async fn import(
    shared: &Shared,
    mut snapshot: Snapshot,
    cloud: Option<Cloud>,
    comments: &[(String, Value)],
    change: LoggedChange,
    progress: Progress,
) -> Result<i64, Fault> {
    let base = snapshot.schema.id;
    if shared.bases().iter().any(|(id, _)| *id == base) {
        return Err(base_file::is_here(base));
    }
    let _no_load = shared.loading.lock().await;
    let written = shared.store.add_base(&snapshot, cloud.as_ref(), comments, &change, &*progress).await;
    let seq = written.map_err(Fault::from)?;
    shared.list(base, Some(snapshot.schema.name.clone()));
    snapshot.change = seq;
    shared.publish(base, snapshot);
    shared.tell(vec![change], &[seq]);
    Ok(seq)
}

/// A change that is about a base as a whole.
fn whole(shared: &Shared, base: BaseId, author: Author, kind: ChangeKind) -> LoggedChange {
    LoggedChange::of(base, shared.clock.now_ms(), author, kind)
}

/// Works out the fields that change with the time of day, when the base is in memory.
async fn refresh(shared: &Shared, base: BaseId) {
    let _no_load = shared.loading.lock().await;
    let Some(held) = shared.in_memory(base) else { return };
    let mut snapshot = (*held).clone();
    for id in compute::refresh(&mut snapshot, shared.clock.now_ms()) {
        if let Some(data) = snapshot.table_mut(id) {
            data.version += 1;
        }
    }
    shared.publish(base, snapshot);
}

async fn delete(shared: &Shared, base: BaseId, by: Author) -> Result<i64, Fault> {
    let change = whole(shared, base, by, ChangeKind::BaseDeleted);
    let _no_load = shared.loading.lock().await;
    let seq = shared.store.delete_base(&change).await.map_err(Fault::from)?;
    shared.list(base, None);
    shared.tell(vec![change], &[seq]);
    Ok(seq)
}
