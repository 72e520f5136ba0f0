//! Writes of any number of records: in parts, with news of how far they are, and as tasks that go
//! on when everything else has ended.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tablewright_core::model::{BaseId, RecordId, TableId};
use tablewright_core::{Code, Fault};
use tablewright_door::plan::MAX_RECORDS;
use tablewright_door::tasks::{Status, StoredTask, TaskPart, Ticket};
use tablewright_door::{Call, Caller, Door, TableView, Tasks, WriteOptions};
use tablewright_engine::local::Action;
use tablewright_toolkit::progress::Silent;
use tablewright_toolkit::registry::{CallContext, error_reply};
use tablewright_toolkit::{Answer, Progress, Reply};
use tokio_util::sync::CancellationToken;

use crate::written::Done;

/// Records of one commit; a write of more is cut into parts of this size.
const PART: usize = 1_000;

/// What is done to the records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verb {
    Create,
    Update,
    /// Records with an id are updated, the others created.
    Upsert,
    Delete,
}

/// One record of a write.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Item {
    pub(crate) id: Option<RecordId>,
    #[serde(default)]
    pub(crate) fields: Map<String, Value>,
}

/// A write that is ready to be carried out, here or after a restart.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Bulk {
    base: BaseId,
    table: TableId,
    verb: Verb,
    typecast: bool,
    /// The records, or why they cannot be used, in the order sent.
    records: Vec<Result<Item, Fault>>,
}

/// What became of one part. Also read back from the store, as the writer noted it.
#[derive(Debug, Default, Deserialize)]
struct Outcome {
    records: Vec<Result<RecordId, Fault>>,
    created: Vec<RecordId>,
    elsewhere: Vec<(String, usize)>,
    #[serde(default)]
    change: Option<i64>,
}

/// Who is told how far a write is, and who may stop it.
struct Watch<'a> {
    progress: &'a dyn Progress,
    stop: &'a CancellationToken,
    /// The task it is carried out for.
    task: Option<(&'a Tasks, &'a str)>,
}

impl Bulk {
    pub(crate) fn new(
        view: &TableView,
        verb: Verb,
        typecast: bool,
        records: Vec<Result<Item, Fault>>,
    ) -> Self {
        Self { base: view.base().schema().id, table: view.schema().id, verb, typecast, records }
    }

    /// Carries it out, or begins a task that does when it is long and the client knows tasks.
    pub(crate) async fn carry_out(
        self,
        context: &mut CallContext,
        view: &TableView,
        tool: &str,
    ) -> Result<Answer, Fault> {
        match self.records.len() {
            0 => {
                let message = "records is empty; send at least one record.";
                return Err(Fault::new(Code::InvalidArguments, message));
            }
            n if n > MAX_RECORDS => {
                let message = format!(
                    "a call writes at most {MAX_RECORDS} records, not {n}; send them in several calls."
                );
                return Err(Fault::new(Code::LimitExceeded, message));
            }
            _ => {}
        }
        if let Some(tasks) = context.tasks.as_ref().filter(|_| self.records.len() > PART) {
            let caller = context.call.caller();
            let input = serde_json::to_value(&self).unwrap_or_default();
            let ticket = tasks.create(caller, tool, input).await?;
            let id = ticket.id.clone();
            let work = Work { tasks: tasks.clone(), ticket, caller: caller.clone(), tool: tool.to_owned() };
            tokio::spawn(work.run(context.door.clone(), self));
            return Ok(Answer::Task(id));
        }
        let watch = Watch { progress: &*context.progress, stop: &context.cancelled, task: None };
        let done = self.run(&mut context.call, view, Vec::new(), &watch).await?;
        let Reply { structured, is_error, .. } = done.reply();
        let value = structured.unwrap_or_default();
        Ok(if is_error { Answer::Failed(value) } else { Answer::Structured(value) })
    }

    /// Carries out what is left after the parts in `outcomes`.
    async fn run(
        self,
        call: &mut Call,
        view: &TableView,
        mut outcomes: Vec<Outcome>,
        watch: &Watch<'_>,
    ) -> Result<Done, Fault> {
        let Self { verb, typecast, records, .. } = self;
        let mut items = Vec::with_capacity(records.len());
        let marks: Vec<Option<Fault>> = records
            .into_iter()
            .map(|record| match record {
                Ok(item) => {
                    items.push(item);
                    None
                }
                Err(fault) => Some(fault),
            })
            .collect();
        let total = items.len();
        let mut left = items.into_iter().skip(outcomes.len() * PART);
        let mut done = (outcomes.len() * PART).min(total);
        while done < total && !watch.stop.is_cancelled() {
            let items: Vec<Item> = left.by_ref().take(PART).collect();
            let count = items.len();
            let plan = call.plan(view, action(verb, items), WriteOptions { typecast, atomic: false })?;
            let part = watch.task.map(|(_, id)| TaskPart {
                task: id.to_owned(),
                part: u32::try_from(outcomes.len()).unwrap_or(u32::MAX),
            });
            match call.apply_part(plan, part).await {
                Ok(outcome) => outcomes.push(Outcome {
                    records: outcome.records,
                    created: outcome.created,
                    elsewhere: outcome.created_elsewhere,
                    change: outcome.change,
                }),
                Err(fault) if outcomes.is_empty() => return Err(fault),
                // What was written stays written: the rest is told as refused.
                Err(fault) => {
                    let rest = (done..total).map(|_| Err(fault.clone())).collect();
                    outcomes.push(Outcome { records: rest, ..Outcome::default() });
                    break;
                }
            }
            done += count;
            if let Some((tasks, id)) = watch.task {
                tasks.note(id, format!("{done} of {total} records are done"));
            }
            if total > PART {
                watch.progress.report(done as u64, total as u64).await;
            }
        }
        Ok(gather(verb, marks, outcomes))
    }
}

fn action(verb: Verb, items: Vec<Item>) -> Action {
    let with_id = |item: Item| Some((item.id?, item.fields));
    match verb {
        Verb::Create => Action::Create(items.into_iter().map(|item| item.fields).collect()),
        Verb::Update => Action::Update(items.into_iter().filter_map(with_id).collect()),
        Verb::Delete => Action::Delete(items.into_iter().filter_map(|item| item.id).collect()),
        Verb::Upsert => {
            let records = items.into_iter().map(|item| (item.id, item.fields)).collect();
            Action::Upsert { on: Vec::new(), records, replace: false }
        }
    }
}

/// Puts the parts together, with the records that could not be used at their places.
fn gather(verb: Verb, marks: Vec<Option<Fault>>, outcomes: Vec<Outcome>) -> Done {
    let mut gathered = Done::default();
    let (mut created, mut written) = (0, Vec::new());
    for outcome in outcomes {
        created += outcome.created.len();
        written.extend(outcome.records);
        gathered.changes.extend(outcome.change);
        for (table, count) in outcome.elsewhere {
            match gathered.elsewhere.iter_mut().find(|(held, _)| *held == table) {
                Some((_, held)) => *held += count,
                None => gathered.elsewhere.push((table, count)),
            }
        }
    }
    gathered.created = (verb == Verb::Upsert).then_some(created);
    let mut written = written.into_iter();
    for mark in marks {
        match mark.map_or_else(|| written.next(), |fault| Some(Err(fault))) {
            Some(record) => gathered.records.push(record),
            None => gathered.not_started += 1,
        }
    }
    gathered
}

/// A write that is carried out as a task.
struct Work {
    tasks: Tasks,
    ticket: Ticket,
    caller: Caller,
    tool: String,
}

impl Work {
    async fn run(self, door: Door, bulk: Bulk) {
        let outcome = self.try_run(&door, bulk).await;
        let (status, message, reply) = match outcome {
            Ok(done) if done.not_started > 0 => {
                let (count, left) = (done.count(), done.not_started);
                let changes = match (done.changes.first(), done.changes.last()) {
                    (Some(first), Some(last)) => format!(" (changes {first} to {last})"),
                    _ => String::new(),
                };
                let message = format!("stopped: {count} records are done{changes}, {left} were not begun");
                (Status::Cancelled, message, None)
            }
            Ok(done) => {
                let message = format!("{} records are done", done.count());
                (Status::Completed, message, Some(done.reply()))
            }
            Err(fault) => (Status::Completed, "refused".to_owned(), Some(error_reply(&fault))),
        };
        let result = reply.and_then(|reply| serde_json::to_value(reply).ok());
        if let Err(fault) = self.tasks.end(&self.ticket.id, status, &message, result.as_ref()).await {
            // It stays under way and is ended after the next start: its parts are all done.
            tracing::error!(%fault, "the end of a task was not kept");
        }
    }

    async fn try_run(&self, door: &Door, bulk: Bulk) -> Result<Done, Fault> {
        let mut call = door.call(self.caller.clone(), &self.tool);
        let parts = self.tasks.parts(&self.ticket.id).await?;
        let outcomes: Vec<Outcome> = parts
            .into_iter()
            .map(serde_json::from_value)
            .collect::<Result<_, _>>()
            .map_err(|e| Fault::new(Code::Internal, format!("a part of a task cannot be read: {e}")))?;
        let view = call.table(&bulk.base.to_string(), &bulk.table.to_string()).await?;
        let task = Some((&self.tasks, self.ticket.id.as_str()));
        let watch = Watch { progress: &Silent, stop: &self.ticket.stop, task };
        let done = bulk.run(&mut call, &view, outcomes, &watch).await;
        call.finish(done.as_ref().err().map(|fault| fault.code));
        done
    }
}

/// Goes on with the tasks that were cut off when the program ended last.
pub async fn go_on(door: &Door, tasks: &Tasks) -> Result<usize, Fault> {
    let left = tasks.cut_off().await?;
    let count = left.len();
    for (task, ticket) in left {
        let id = ticket.id.clone();
        if let Err(fault) = go_on_with(door, tasks, task, ticket).await {
            let reply = serde_json::to_value(error_reply(&fault)).ok();
            tasks.end(&id, Status::Completed, "it could not go on after a restart", reply.as_ref()).await?;
        }
    }
    Ok(count)
}

async fn go_on_with(door: &Door, tasks: &Tasks, task: StoredTask, ticket: Ticket) -> Result<(), Fault> {
    let caller = tasks.caller(&task).await?.ok_or_else(|| {
        Fault::new(Code::Forbidden, "the token this task was asked for with was taken back")
    })?;
    let bulk: Bulk = serde_json::from_value(task.input)
        .map_err(|e| Fault::new(Code::Internal, format!("a task cannot be read: {e}")))?;
    let work = Work { tasks: tasks.clone(), ticket, caller, tool: task.tool };
    tokio::spawn(work.run(door.clone(), bulk));
    Ok(())
}
