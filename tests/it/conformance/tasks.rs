//! The fixture's tools that run as tasks.

use std::time::Duration;

use rmcp::RoleServer;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ClientCapabilities, ContentBlock,
    CreateTaskResult, ErrorData, InputRequest,
};
use rmcp::service::RequestContext;
use rmcp::task_manager::{TaskContext, TaskExit, TaskOptions};
use serde_json::Value;

use super::content::{said, text_of};
use super::fixture::Shared;
use super::rounds::{ask, filled, form};

/// What a task does.
enum Work {
    Sleep(Duration),
    Fail,
    Break,
    Confirm(String),
    AskTwice,
    Greet(String),
}

/// The answer of a tool of this file; `None` for other tools.
pub async fn call(
    shared: &Shared,
    request: &CallToolRequestParams,
    context: &RequestContext<RoleServer>,
) -> Option<Result<CallToolResponse, ErrorData>> {
    let declared = context.client_capabilities().is_some_and(|c| c.supports_tasks());
    let given = request.arguments.clone().unwrap_or_default();
    let work = match &*request.name {
        "slow_compute" => {
            let seconds = given.get("seconds").and_then(Value::as_f64).unwrap_or_default();
            let length = Duration::from_secs_f64(seconds.clamp(0.0, 60.0));
            if !declared {
                tokio::time::sleep(length).await;
                return Some(Ok(said("computed").into()));
            }
            Work::Sleep(length)
        }
        "failing_job" => Work::Fail,
        "protocol_error_job" => Work::Break,
        "confirm_delete" => Work::Confirm(text_of(&given, "filename")),
        "multi_input" => Work::AskTwice,
        "test_tool_with_task" => {
            let answers = request.input_responses.as_ref();
            match filled(answers, "user_name", "name").and_then(Value::as_str) {
                Some(name) => Work::Greet(name.to_owned()),
                None => {
                    let question = form("What is your name?", "name", "string");
                    return Some(ask(context, &[("user_name", question)], None).map(CallToolResponse::from));
                }
            }
        }
        _ => return None,
    };
    if !declared {
        let needed = ClientCapabilities::builder().enable_tasks().build();
        return Some(Err(ErrorData::missing_required_client_capability(needed)));
    }
    let options = TaskOptions::new().with_poll_interval_ms(50);
    let task = shared.tasks.spawn(options, |running| Box::pin(run(work, running)));
    Some(Ok(CreateTaskResult::new(task).into()))
}

async fn run(work: Work, running: TaskContext) -> Result<CallToolResult, TaskExit> {
    match work {
        Work::Sleep(length) => tokio::select! {
            () = running.cancelled() => Err(TaskExit::Cancelled),
            () = tokio::time::sleep(length) => Ok(said("computed")),
        },
        Work::Fail => Ok(CallToolResult::error(vec![ContentBlock::text("the job failed")])),
        Work::Break => Err(TaskExit::Error(ErrorData::internal_error("the job broke", None))),
        Work::Confirm(file) => {
            let answer = put(&running, "confirm", &format!("Delete {file}?"), "confirm", "boolean").await?;
            Ok(said(format!("{file}: {answer}")))
        }
        Work::AskTwice => {
            let (name, sure) = tokio::try_join!(
                put(&running, "name", "What is your name?", "name", "string"),
                put(&running, "sure", "Are you sure?", "confirm", "boolean"),
            )?;
            Ok(said(format!("{name}, {sure}")))
        }
        Work::Greet(name) => Ok(said(format!("Hello, {name}!"))),
    }
}

/// Asks the client while the task runs; its answer.
async fn put(
    running: &TaskContext,
    key: &str,
    message: &str,
    field: &str,
    kind: &str,
) -> Result<Value, TaskExit> {
    let question: InputRequest = serde_json::from_value(form(message, field, kind))
        .map_err(|error| TaskExit::Error(ErrorData::internal_error(error.to_string(), None)))?;
    running.request_input(key, question).await
}
