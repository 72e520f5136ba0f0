//! Long calls that outlive the conversation they came from, and the process too.
//!
//! A task is on disk before its caller hears of it. Its parts are noted as done with the commits
//! that do them, so that a task which was cut off goes on where it was and does nothing twice.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;
use tablewright_core::model::RecordId;
use tablewright_core::{Code, Fault};
use tablewright_engine::Engine;
use tablewright_engine::local::Outcome;
pub use tablewright_engine::store::tasks::{Status, StoredTask, TaskPart};
use tokio_util::sync::CancellationToken;

use crate::access::{Caller, Rights};
use crate::call::Call;
use crate::plan::Plan;
use crate::tokens::Tokens;

/// Tasks under way at once, for everybody.
const MAX_WORKING: usize = 1_000;
/// Tasks of one principal under way at once.
const MAX_OF_ONE: usize = 32;
/// How long an ended task is kept, in milliseconds from when it was asked for.
pub const KEPT_MS: i64 = 24 * 3_600_000;

/// The tasks of a data directory. Cheap to clone.
#[derive(Clone)]
pub struct Tasks {
    engine: Engine,
    working: Arc<Mutex<HashMap<String, Working>>>,
}

struct Working {
    principal: String,
    stop: CancellationToken,
    message: String,
}

/// A task that is to be worked on.
pub struct Ticket {
    /// Its id.
    pub id: String,
    /// Cancelled when its caller wants it stopped.
    pub stop: CancellationToken,
}

impl Tasks {
    /// The tasks of this engine's store.
    pub fn new(engine: Engine) -> Self {
        Self { engine, working: Arc::default() }
    }

    /// Keeps a task that is asked for by `caller`; `input` is all that is needed to carry it out.
    pub async fn create(&self, caller: &Caller, tool: &str, input: Value) -> Result<Ticket, Fault> {
        let (id, now) = (unguessable(), self.engine.clock().now_ms());
        let ticket = self.start(&id, &caller.principal)?;
        let task = StoredTask {
            id: id.clone(),
            principal: caller.principal.to_string(),
            rights: serde_json::to_value(caller.rights).unwrap_or_default(),
            tool: tool.to_owned(),
            status: Status::Working,
            message: "waiting".into(),
            input,
            result: None,
            created_at: now,
            updated_at: now,
        };
        match self.engine.store().add_task(&task).await {
            Ok(()) => Ok(ticket),
            Err(error) => {
                self.forget(&id);
                Err(error.into())
            }
        }
    }

    /// The tasks that were cut off when the program ended last, each to be worked on again.
    pub async fn cut_off(&self) -> Result<Vec<(StoredTask, Ticket)>, Fault> {
        let before = self.engine.clock().now_ms() - KEPT_MS;
        self.engine.store().prune_tasks(before).await.map_err(Fault::from)?;
        let left = self.engine.store().working_tasks().await.map_err(Fault::from)?;
        let mut tasks = Vec::with_capacity(left.len());
        for task in left {
            let ticket = self.start(&task.id, &task.principal)?;
            tasks.push((task, ticket));
        }
        Ok(tasks)
    }

    /// Who asked for a task that was cut off, with the rights they had; `None` when they are not let in
    /// any more.
    pub fn caller(&self, task: &StoredTask, tokens: &Tokens) -> Result<Option<Caller>, Fault> {
        let rights: Rights = serde_json::from_value(task.rights.clone())
            .map_err(|e| Fault::new(Code::Internal, format!("rights of a task: {e}")))?;
        let caller = tokens.known(&task.principal);
        Ok(caller.map(|caller| Caller { rights: caller.rights.and(rights), ..caller }))
    }

    /// The outcomes of the parts of a task that are done, in order.
    pub async fn parts(&self, id: &str) -> Result<Vec<Value>, Fault> {
        self.engine.store().task_parts(id).await.map_err(Fault::from)
    }

    /// What is known of a part that was stopped in the middle.
    pub async fn so_far(&self, call: &Call, plan: &Plan, part: &TaskPart) -> Result<Outcome, Fault> {
        let stopped = Fault::new(Code::Cancelled, "not sent: the task was stopped");
        let unknown = Fault::new(Code::OutcomeUnknown, "it was sent, and the task was stopped unanswered");
        let mut records = vec![Err(stopped); plan.records()];
        for row in self.engine.store().upstream_writes(part).await.map_err(Fault::from)? {
            let told: Option<Vec<Result<RecordId, Fault>>> =
                row.outcome.and_then(|mut outcome| serde_json::from_value(outcome["records"].take()).ok());
            for (at, place) in row.places.into_iter().enumerate() {
                let known = told.as_ref().and_then(|told| told.get(at)).cloned();
                if let Some(record) = records.get_mut(place) {
                    *record = known.unwrap_or_else(|| Err(unknown.clone()));
                }
            }
        }
        let snapshot = call.engine().snapshot(plan.base).await?;
        Ok(Outcome { records, created: Vec::new(), snapshot, change: None, created_elsewhere: Vec::new() })
    }

    /// Says how far a task is.
    pub fn note(&self, id: &str, message: String) {
        if let Some(working) = self.lock().get_mut(id) {
            working.message = message;
        }
    }

    /// Ends a task. What was stopped by its caller has no answer, only words.
    pub async fn end(
        &self,
        id: &str,
        status: Status,
        message: &str,
        result: Option<&Value>,
    ) -> Result<(), Fault> {
        let now = self.engine.clock().now_ms();
        let ended = self.engine.store().end_task(id, status, message, result, now).await;
        self.forget(id);
        ended.map_err(Fault::from)
    }

    /// How a task of this caller stands.
    pub async fn get(&self, caller: &Caller, id: &str) -> Result<StoredTask, Fault> {
        let mut task = self.of(caller, id).await?;
        if let Some(working) = self.lock().get(id) {
            task.message.clone_from(&working.message);
        }
        Ok(task)
    }

    /// Asks for a task of this caller to be stopped; it stops at the end of its part.
    pub async fn cancel(&self, caller: &Caller, id: &str) -> Result<(), Fault> {
        self.of(caller, id).await?;
        if let Some(working) = self.lock().get(id) {
            working.stop.cancel();
        }
        Ok(())
    }

    async fn of(&self, caller: &Caller, id: &str) -> Result<StoredTask, Fault> {
        let found = self.engine.store().task(id).await.map_err(Fault::from)?;
        // Somebody else's task is as unknown as one that never was.
        found.filter(|task| *task.principal == *caller.principal).ok_or_else(|| {
            Fault::new(Code::InvalidArguments, "there is no such task; it may have ended over a day ago.")
        })
    }

    fn start(&self, id: &str, principal: &str) -> Result<Ticket, Fault> {
        let mut working = self.lock();
        let own = working.values().filter(|w| w.principal == principal).count();
        if working.len() >= MAX_WORKING || own >= MAX_OF_ONE {
            let message = format!("{own} of your tasks are under way; wait for one to end, or cancel one.");
            return Err(Fault::new(Code::LimitExceeded, message));
        }
        let stop = CancellationToken::new();
        let entry =
            Working { principal: principal.to_owned(), stop: stop.clone(), message: "waiting".into() };
        working.insert(id.to_owned(), entry);
        Ok(Ticket { id: id.to_owned(), stop })
    }

    fn forget(&self, id: &str) {
        self.lock().remove(id);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Working>> {
        self.working.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An id of about 166 random bits.
fn unguessable() -> String {
    let half = || tablewright_core::model::RecordId::random().body().to_owned();
    format!("task_{}{}", half(), half())
}
