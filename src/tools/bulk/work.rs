//! Writes that are carried out as tasks: they go on after a restart, and wait for an Airtable that
//! is away.

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tablewright_core::{Code, Fault};
use tablewright_door::plan::Plan;
use tablewright_door::tasks::{Status, StoredTask, TaskPart, Ticket};
use tablewright_door::{Call, Caller, Door, Tasks};
use tablewright_engine::local::Outcome as Applied;
use tablewright_toolkit::progress::Silent;
use tablewright_toolkit::registry::{CallContext, error_reply};
use tablewright_toolkit::{Answer, Reply};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::{Bulk, Watch, outcomes};
use crate::written::Done;

/// The first wait for an Airtable that is away; each further one is twice as long.
const FIRST_WAIT: Duration = Duration::from_secs(2);
const LONGEST_WAIT: Duration = Duration::from_secs(300);

/// Begins a task. A client that knows tasks gets it at once; another one waits for its end, or
/// until it waits for Airtable.
pub(super) async fn begin(bulk: Bulk, context: &mut CallContext, tool: &str) -> Result<Answer, Fault> {
    let (caller, tasks) = (context.call.caller().clone(), context.tasks.clone());
    let count = bulk.records.len();
    let input = serde_json::to_value(&bulk).unwrap_or_default();
    let ticket = tasks.create(&caller, tool, input).await?;
    let (id, stop) = (ticket.id.clone(), ticket.stop.clone());
    let (told, away) = oneshot::channel();
    let told = Mutex::new(Some(told));
    let work = Work { tasks, ticket, caller, tool: tool.to_owned(), told };
    let running = tokio::spawn(work.run(context.door.clone(), bulk));
    if context.knows_tasks {
        return Ok(Answer::Task(id));
    }
    let ended = async {
        let ended = running.await.map_err(|e| Fault::new(Code::Internal, e.to_string()))?;
        ended.map(answer)
    };
    tokio::pin!(ended);
    tokio::select! {
        biased;
        answer = &mut ended => answer,
        Ok(fault) = away => Ok(Answer::Structured(waiting(&id, count, &fault))),
        () = context.cancelled.cancelled() => {
            stop.cancel();
            ended.await
        }
    }
}

fn answer(done: Done) -> Answer {
    let Reply { structured, is_error, .. } = done.reply();
    let value = structured.unwrap_or_default();
    if is_error { Answer::Failed(value) } else { Answer::Structured(value) }
}

/// What is said of a write that is kept until Airtable is back.
fn waiting(id: &str, count: usize, fault: &Fault) -> Value {
    let message = format!(
        "kept, and written when Airtable is back; the resource airtable://tasks/{id} says how it stands. Do not send it again. ({})",
        fault.message
    );
    json!({"count": 0, "ids": [], "failed": [], "not_started": count, "task": id, "message": message})
}

/// The task a write is carried out for.
pub(super) struct Waiting<'a> {
    tasks: &'a Tasks,
    pub(super) id: &'a str,
    /// Told once, when it waits for Airtable.
    told: &'a Mutex<Option<oneshot::Sender<Fault>>>,
    /// Whether it writes to Airtable.
    cloud: bool,
}

impl Waiting<'_> {
    pub(super) fn note(&self, message: String) {
        self.tasks.note(self.id, message);
    }

    /// Carries out a part, however often Airtable is away meanwhile; stopped while it waits, the
    /// outcome is what was done until then.
    pub(super) async fn apply(
        &self,
        call: &mut Call,
        plan: Plan,
        part: &TaskPart,
        stop: &CancellationToken,
    ) -> Result<Applied, Fault> {
        let mut attempt = 0;
        loop {
            match call.apply_part(plan.clone(), Some(part.clone())).await {
                // What was sent of a part is known then, whatever failed.
                Err(fault) if self.cloud && (is_away(&fault) || fault.code == Code::StoreUnavailable) => {
                    if !self.wait(&fault, attempt, stop).await {
                        return self.tasks.so_far(call, &plan, part).await;
                    }
                    attempt += 1;
                }
                other => return other,
            }
        }
    }

    /// Waits before the next attempt; false when the task was stopped instead.
    async fn wait(&self, fault: &Fault, attempt: u32, stop: &CancellationToken) -> bool {
        let wait = pause(self.id, attempt);
        self.note(format!("waiting for Airtable, next try in {} s: {fault}", wait.as_secs().max(1)));
        if let Some(told) = self.told.lock().unwrap_or_else(PoisonError::into_inner).take() {
            let _ = told.send(fault.clone());
        }
        tokio::select! {
            () = tokio::time::sleep(wait) => true,
            () = stop.cancelled() => false,
        }
    }
}

fn is_away(fault: &Fault) -> bool {
    matches!(fault.code, Code::UpstreamUnavailable | Code::NotReady)
}

/// How long a task waits before an attempt: twice as long each time, and not the same as others.
fn pause(id: &str, attempt: u32) -> Duration {
    let most = FIRST_WAIT.saturating_mul(1 << attempt.min(16)).min(LONGEST_WAIT).as_millis() as u64;
    let chance = BuildHasherDefault::<DefaultHasher>::default().hash_one((id, attempt));
    Duration::from_millis(most / 2 + chance % (most / 2 + 1))
}

/// A write that is carried out as a task.
struct Work {
    tasks: Tasks,
    ticket: Ticket,
    caller: Caller,
    tool: String,
    /// Told once, when it waits for Airtable.
    told: Mutex<Option<oneshot::Sender<Fault>>>,
}

impl Work {
    /// Runs to the end, which is kept; what came of it.
    async fn run(self, door: Door, bulk: Bulk) -> Result<Done, Fault> {
        let outcome = self.try_run(&door, bulk).await;
        let (status, message, reply) = match &outcome {
            Ok(done) if done.not_begun() > 0 => {
                let (count, left) = (done.count(), done.not_begun());
                let changes = match (done.changes.first(), done.changes.last()) {
                    (Some(first), Some(last)) => format!(" (changes {first} to {last})"),
                    _ => String::new(),
                };
                let unknown = match done.unknown() {
                    0 => String::new(),
                    unknown => format!("{unknown} were sent and not answered, "),
                };
                let message =
                    format!("stopped: {count} records are done{changes}, {unknown}{left} were not begun");
                (Status::Cancelled, message, None)
            }
            Ok(done) => {
                let message = format!("{} records are done", done.count());
                (Status::Completed, message, Some(done.clone().reply()))
            }
            Err(fault) => (Status::Completed, "refused".to_owned(), Some(error_reply(fault))),
        };
        let result = reply.and_then(|reply| serde_json::to_value(reply).ok());
        if let Err(fault) = self.tasks.end(&self.ticket.id, status, &message, result.as_ref()).await {
            // It stays under way and is ended after the next start: its parts are all done.
            tracing::error!(%fault, "the end of a task was not kept");
        }
        outcome
    }

    async fn try_run(&self, door: &Door, bulk: Bulk) -> Result<Done, Fault> {
        let mut call = door.call(self.caller.clone(), &self.tool);
        let outcomes = outcomes(self.tasks.parts(&self.ticket.id).await?)?;
        let (tasks, id, told) = (&self.tasks, self.ticket.id.as_str(), &self.told);
        let mut task = Waiting { tasks, id, told, cloud: true };
        let mut attempt = 0;
        let view = loop {
            match call.table(&bulk.base.to_string(), &bulk.table.to_string()).await {
                Err(fault) if is_away(&fault) && task.wait(&fault, attempt, &self.ticket.stop).await => {
                    attempt += 1;
                }
                other => break other?,
            }
        };
        task.cloud = view.base().is_cloud();
        let watch = Watch { progress: &Silent, stop: &self.ticket.stop, plan: None, task: Some(task) };
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
    let caller = tasks.caller(&task, door.tokens())?.ok_or_else(|| {
        Fault::new(Code::Forbidden, "the token this task was asked for with was taken back")
    })?;
    let bulk: Bulk = serde_json::from_value(task.input)
        .map_err(|e| Fault::new(Code::Internal, format!("a task cannot be read: {e}")))?;
    let work = Work { tasks: tasks.clone(), ticket, caller, tool: task.tool, told: Mutex::default() };
    tokio::spawn(work.run(door.clone(), bulk));
    Ok(())
}
