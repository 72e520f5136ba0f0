//! Writes of any number of records: in parts, with news of how far they are, and as tasks that go
//! on when everything else has ended.

mod work;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tablewright_core::model::{BaseId, RecordId, TableId};
use tablewright_core::{Code, Fault};
use tablewright_door::plan::MAX_RECORDS;
use tablewright_door::tasks::TaskPart;
use tablewright_door::{Call, TableView, WriteOptions};
use tablewright_engine::local::Action;
use tablewright_toolkit::registry::CallContext;
use tablewright_toolkit::{Answer, Progress, Reply};
use tokio_util::sync::CancellationToken;

use crate::written::Done;

pub use work::go_on;

/// Records of one commit; a write of more is cut into parts of this size.
const PART: usize = 1_000;
/// The same for a base that lives in Airtable, which takes about 50 records a second.
const CLOUD_PART: usize = 250;

/// What is done to the records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verb {
    Create,
    Update,
    /// Records with an id are updated, the others created, or merged where Airtable does that.
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
    /// What Airtable merges records on; empty where they were matched before.
    #[serde(default)]
    merge_on: Vec<String>,
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
    /// The plan it carries out: parts that are done are noted under its id.
    plan: Option<&'a str>,
    /// The task it is carried out for.
    task: Option<work::Waiting<'a>>,
}

impl Bulk {
    pub(crate) fn new(
        view: &TableView,
        verb: Verb,
        typecast: bool,
        records: Vec<Result<Item, Fault>>,
    ) -> Self {
        let (base, table) = (view.base().schema().id, view.schema().id);
        Self { base, table, verb, typecast, merge_on: Vec::new(), records }
    }

    /// An upsert that Airtable matches itself: the copy may be behind.
    pub(crate) fn merged_there(self, merge_on: Vec<String>) -> Self {
        Self { merge_on, ..self }
    }

    /// Carries it out, or begins a task that does when it is long and the client knows tasks. With
    /// `queue`, what is to be written to Airtable is a task in any case, which waits while Airtable
    /// is away.
    pub(crate) async fn carry_out(
        self,
        context: &mut CallContext,
        view: &TableView,
        tool: &str,
        queue: bool,
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
        let cloud = view.base().is_cloud();
        let plan = context.call.plan_id().map(str::to_owned);
        let is_long = context.knows_tasks && self.records.len() > part_size(view);
        if !context.call.rehearses() && plan.is_none() && (is_long || queue && cloud) {
            return work::begin(self, context, tool).await;
        }
        let outcomes = match &plan {
            Some(plan) => outcomes(context.tasks.parts(plan).await?)?,
            None => Vec::new(),
        };
        let (progress, stop) = (context.progress.clone(), context.cancelled.clone());
        let watch = Watch { progress: &*progress, stop: &stop, plan: plan.as_deref(), task: None };
        let done = self.run(&mut context.call, view, outcomes, &watch).await.map_err(|fault| {
            if fault.code != Code::UpstreamUnavailable {
                return fault;
            }
            let hint =
                "Nothing was written; with \"queue\": true it is kept and written when Airtable is back.";
            Fault { message: format!("{}. {hint}", fault.message.trim_end_matches('.')), ..fault }
        })?;
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
        let Self { verb, typecast, merge_on, records, .. } = self;
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
        let (total, size) = (items.len(), part_size(view));
        let mut left = items.into_iter().skip(outcomes.len() * size);
        let mut done = (outcomes.len() * size).min(total);
        while done < total && !watch.stop.is_cancelled() {
            let items: Vec<Item> = left.by_ref().take(size).collect();
            let count = items.len();
            let action = action(verb, items, &merge_on);
            let plan = call.plan(view, action, WriteOptions { typecast, atomic: false })?;
            let applied = match &watch.task {
                None => call.apply_part(plan, watch.plan.map(|id| part_of(id, outcomes.len()))).await,
                Some(task) => {
                    let part = part_of(task.id, outcomes.len());
                    task.apply(call, plan, &part, watch.stop).await
                }
            };
            // What was written stays written: the rest is told as refused.
            let ended = match applied {
                Ok(outcome) => {
                    let ended =
                        outcome.records.iter().find_map(|record| record.as_ref().err().filter(|f| ends(f)));
                    let ended = ended.cloned();
                    outcomes.push(Outcome {
                        records: outcome.records,
                        created: outcome.created,
                        elsewhere: outcome.created_elsewhere,
                        change: outcome.change,
                    });
                    done += count;
                    ended
                }
                Err(fault) if outcomes.is_empty() => return Err(fault),
                Err(fault) => Some(fault),
            };
            if let Some(fault) = ended {
                let rest = (done..total).map(|_| Err(fault.clone())).collect();
                outcomes.push(Outcome { records: rest, ..Outcome::default() });
                break;
            }
            if let Some(task) = &watch.task {
                task.note(format!("{done} of {total} records are done"));
            }
            if total > size {
                watch.progress.report(done as u64, total as u64).await;
            }
        }
        Ok(gather(verb, marks, outcomes))
    }
}

fn part_of(task: &str, part: usize) -> TaskPart {
    TaskPart { task: task.to_owned(), part: u32::try_from(part).unwrap_or(u32::MAX) }
}

/// The parts that are done, as the writer noted them.
fn outcomes(parts: Vec<Value>) -> Result<Vec<Outcome>, Fault> {
    let read = parts.into_iter().map(serde_json::from_value).collect::<Result<_, _>>();
    read.map_err(|e| Fault::new(Code::Internal, format!("a part of a task cannot be read: {e}")))
}

/// Records of one part of a write to this table.
fn part_size(view: &TableView) -> usize {
    if view.base().is_cloud() { CLOUD_PART } else { PART }
}

/// Whether a record was refused for a reason that holds for all that come after it.
fn ends(fault: &Fault) -> bool {
    matches!(fault.code, Code::UpstreamUnavailable | Code::UpstreamForbidden | Code::Cancelled)
}

fn action(verb: Verb, items: Vec<Item>, merge_on: &[String]) -> Action {
    let with_id = |item: Item| Some((item.id?, item.fields));
    match verb {
        Verb::Create => Action::Create(items.into_iter().map(|item| item.fields).collect()),
        Verb::Update => Action::Update(items.into_iter().filter_map(with_id).collect()),
        Verb::Delete => Action::Delete(items.into_iter().filter_map(|item| item.id).collect()),
        Verb::Upsert => {
            let records = items.into_iter().map(|item| (item.id, item.fields)).collect();
            Action::Upsert { on: merge_on.to_vec(), records, replace: false }
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
