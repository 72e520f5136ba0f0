//! Tasks as the protocol's extension shows them.

use rmcp::ErrorData;
use rmcp::model::{
    CallToolResponse, CreateTaskResult, DetailedTask, GetTaskResult, Task, TaskPayload, TaskStatus,
};
use serde_json::{Value, json};
use tablewright_core::model::cell::instant_text;
use tablewright_core::{Code, Fault};
use tablewright_door::tasks::{KEPT_MS, Status, StoredTask};
use tablewright_toolkit::Reply;
use tablewright_toolkit::text::shown;

use super::handler::wire_result;

/// How often a client should ask, in milliseconds.
const POLL_MS: u64 = 500;

fn task(stored: &StoredTask, status: TaskStatus) -> Task {
    let (created, updated) = (instant_text(stored.created_at), instant_text(stored.updated_at));
    Task::new(&*stored.id, status, created, updated)
        .with_status_message(&*stored.message)
        .with_ttl_ms(KEPT_MS.unsigned_abs())
        .with_poll_interval_ms(POLL_MS)
}

/// What a call answers that goes on as a task.
pub(super) fn created(stored: &StoredTask) -> CallToolResponse {
    CallToolResponse::Task(CreateTaskResult::new(task(stored, TaskStatus::Working)))
}

/// How a task stands, with the answer of its call once there is one.
pub(super) fn detailed(stored: StoredTask) -> GetTaskResult {
    let object = |value: Value| value.as_object().cloned().unwrap_or_default();
    let payload = match stored.status {
        Status::Working => TaskPayload::Working,
        Status::Cancelled => TaskPayload::Cancelled,
        Status::Completed => {
            let reply = stored.result.clone().and_then(|result| serde_json::from_value::<Reply>(result).ok());
            let result = reply.map(|reply| serde_json::to_value(wire_result(reply)).unwrap_or_default());
            TaskPayload::Completed { result: object(result.unwrap_or_default()) }
        }
        Status::Failed => {
            let error = ErrorData::internal_error(stored.message.clone(), None);
            TaskPayload::Failed { error: object(serde_json::to_value(error).unwrap_or_default()) }
        }
    };
    GetTaskResult::new(DetailedTask::new(task(&stored, payload.status()), payload))
}

/// How a task stands, for clients that know none: a document.
pub(super) fn document(stored: StoredTask) -> Value {
    let mut document = json!({
        "task": stored.id,
        "status": stored.status.as_str(),
        "message": shown(&stored.message),
        "created": instant_text(stored.created_at),
    });
    if let Some(result) = stored.result {
        document["result"] = match &result["structured"] {
            Value::Null => result["text"].clone(),
            structured => structured.clone(),
        };
    }
    document
}

/// A fault of the tasks as an error of the protocol.
pub(super) fn error(fault: Fault) -> ErrorData {
    match fault.code {
        Code::InvalidArguments => ErrorData::invalid_params(fault.message, None),
        _ => ErrorData::internal_error(fault.message, None),
    }
}
