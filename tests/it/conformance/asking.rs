//! The fixture's tools that speak while they run: progress, log messages, and, in the older era,
//! requests to the client.

use std::time::Duration;

use rmcp::RoleServer;
use rmcp::model::{
    CallToolResult, ClientResult, CreateMessageRequest, ElicitRequest, ErrorData, JsonObject, LoggingLevel,
    LoggingMessageNotificationParam, ProgressNotificationParam, ServerRequest,
};
use rmcp::service::{RequestContext, ServiceError};
use serde_json::{Value, json};

use super::content::{said, text_of};

/// The suite wants the messages apart.
const PAUSE: Duration = Duration::from_millis(50);

fn failed(error: ServiceError) -> ErrorData {
    ErrorData::internal_error(error.to_string(), None)
}

fn malformed(error: serde_json::Error) -> ErrorData {
    ErrorData::internal_error(error.to_string(), None)
}

/// The result of a tool of this file; `None` for other tools.
pub async fn call(
    name: &str,
    given: &JsonObject,
    context: &RequestContext<RoleServer>,
) -> Option<Result<CallToolResult, ErrorData>> {
    Some(match name {
        "test_tool_with_progress" => progress(context).await,
        "test_tool_with_logging" | "test_logging_tool" => logging(context).await,
        "test_sampling" => sampling(context, &text_of(given, "prompt")).await,
        "test_elicitation" => elicit(context, &text_of(given, "message"), person()).await,
        "test_elicitation_sep1034_defaults" => elicit(context, "Check the defaults", defaults()).await,
        "test_elicitation_sep1330_enums" => elicit(context, "Choose", choices()).await,
        _ => return None,
    })
}

async fn progress(context: &RequestContext<RoleServer>) -> Result<CallToolResult, ErrorData> {
    for done in [0.0, 50.0, 100.0] {
        if let Some(token) = context.meta.get_progress_token() {
            let step = ProgressNotificationParam::new(token, done).with_total(100.0);
            context.peer.notify_progress(step).await.map_err(failed)?;
        }
        if done < 100.0 {
            tokio::time::sleep(PAUSE).await;
        }
    }
    Ok(said("done"))
}

async fn logging(context: &RequestContext<RoleServer>) -> Result<CallToolResult, ErrorData> {
    // The newer era asks for messages with each request, the older one for the whole conversation.
    let modern = context.meta.protocol_version().is_some();
    let wanted = !modern || context.meta.log_level().is_some();
    for text in ["Tool execution started", "Tool processing data", "Tool execution completed"] {
        if wanted {
            let message = LoggingMessageNotificationParam::new(LoggingLevel::Info, json!(text));
            context.peer.notify_logging_message(message).await.map_err(failed)?;
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(said("done"))
}

async fn sampling(context: &RequestContext<RoleServer>, prompt: &str) -> Result<CallToolResult, ErrorData> {
    let request: CreateMessageRequest = serde_json::from_value(json!({
        "method": "sampling/createMessage",
        "params": {
            "messages": [{"role": "user", "content": {"type": "text", "text": prompt}}],
            "maxTokens": 100,
        },
    }))
    .map_err(malformed)?;
    match context.peer.send_request(ServerRequest::CreateMessageRequest(request)).await.map_err(failed)? {
        ClientResult::CreateMessageResult(result) => {
            let answer = serde_json::to_value(&result.message.content).map_err(malformed)?;
            let text = answer["text"].as_str().map_or_else(|| answer.to_string(), str::to_owned);
            Ok(said(format!("LLM response: {text}")))
        }
        _ => Err(ErrorData::internal_error("the client answered something else", None)),
    }
}

async fn elicit(
    context: &RequestContext<RoleServer>,
    message: &str,
    schema: Value,
) -> Result<CallToolResult, ErrorData> {
    let request: ElicitRequest = serde_json::from_value(json!({
        "method": "elicitation/create",
        "params": {"mode": "form", "message": message, "requestedSchema": schema},
    }))
    .map_err(malformed)?;
    match context.peer.send_request(ServerRequest::ElicitRequest(request)).await.map_err(failed)? {
        ClientResult::ElicitResult(result) => {
            let answer = serde_json::to_value(&result).map_err(malformed)?;
            let action = answer["action"].as_str().unwrap_or_default();
            Ok(said(format!("Elicitation completed: action={action}, content={}", answer["content"])))
        }
        _ => Err(ErrorData::internal_error("the client answered something else", None)),
    }
}

fn person() -> Value {
    json!({
        "type": "object",
        "properties": {
            "username": {"type": "string", "description": "User's response"},
            "email": {"type": "string", "description": "User's email address"},
        },
        "required": ["username", "email"],
    })
}

fn defaults() -> Value {
    json!({
        "type": "object",
        "properties": {
            "name": {"type": "string", "default": "John Doe"},
            "age": {"type": "integer", "default": 30},
            "score": {"type": "number", "default": 95.5},
            "status": {"type": "string", "enum": ["active", "inactive", "pending"], "default": "active"},
            "verified": {"type": "boolean", "default": true},
        },
    })
}

fn choices() -> Value {
    let titled = |word: &str| {
        json!([
            {"const": "value1", "title": format!("First {word}")},
            {"const": "value2", "title": format!("Second {word}")},
            {"const": "value3", "title": format!("Third {word}")},
        ])
    };
    let plain = json!(["option1", "option2", "option3"]);
    json!({
        "type": "object",
        "properties": {
            "untitledSingle": {"type": "string", "enum": plain},
            "titledSingle": {"type": "string", "oneOf": titled("Option")},
            "legacyEnum": {
                "type": "string",
                "enum": ["opt1", "opt2", "opt3"],
                "enumNames": ["Option One", "Option Two", "Option Three"],
            },
            "untitledMulti": {"type": "array", "items": {"type": "string", "enum": plain}},
            "titledMulti": {"type": "array", "items": {"anyOf": titled("Choice")}},
        },
    })
}
