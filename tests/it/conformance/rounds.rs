//! The fixture's tools and prompt that ask back over several rounds, as the newer era does it.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use rmcp::RoleServer;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, ClientCapabilities, ContentBlock, ErrorData,
    GetPromptRequestParams, GetPromptResponse, GetPromptResult, InputRequests, InputRequiredResult,
    InputResponses, PromptMessage, Role,
};
use rmcp::service::RequestContext;
use serde_json::{Map, Value, json};

use super::content::said;

/// The prompt that asks back.
pub const PROMPT: &str = "test_input_required_result_prompt";

/// What the server remembers between rounds, by the handle the client echoes. Each serves once.
#[derive(Default)]
pub struct States {
    next: AtomicU64,
    kept: Mutex<HashMap<String, Value>>,
}

impl States {
    /// Keeps `state` for the next round of `tool`.
    fn keep(&self, tool: &str, state: Value) -> String {
        let handle = format!("{tool}/{}", self.next.fetch_add(1, Ordering::Relaxed));
        self.kept.lock().unwrap().insert(handle.clone(), state);
        handle
    }

    /// What was kept for `tool`; an error for a handle that was changed, used or never given.
    fn open(&self, tool: &str, handle: &str) -> Result<Value, ErrorData> {
        let kept = self.kept.lock().unwrap().remove(handle);
        kept.filter(|_| handle.starts_with(&format!("{tool}/")))
            .ok_or_else(|| ErrorData::invalid_params("this requestState was not given by this server", None))
    }
}

/// A question in a form with one field.
pub fn form(message: &str, field: &str, kind: &str) -> Value {
    let schema = json!({"type": "object", "properties": {field: {"type": kind}}, "required": [field]});
    json!({
        "method": "elicitation/create",
        "params": {"mode": "form", "message": message, "requestedSchema": schema},
    })
}

fn sample(text: &str, most: u64) -> Value {
    let message = json!({"role": "user", "content": {"type": "text", "text": text}});
    json!({"method": "sampling/createMessage", "params": {"messages": [message], "maxTokens": most}})
}

fn roots() -> Value {
    json!({"method": "roots/list", "params": {}})
}

/// Asks the client, leaving out what it has not declared; an error when nothing is left.
pub fn ask(
    context: &RequestContext<RoleServer>,
    questions: &[(&str, Value)],
    state: Option<String>,
) -> Result<InputRequiredResult, ErrorData> {
    let declared = context.client_capabilities().map(|c| json!(c)).unwrap_or_default();
    let (mut asked, mut needed) = (Map::new(), Map::new());
    for (key, question) in questions {
        let capability = match question["method"].as_str() {
            Some("elicitation/create") => "elicitation",
            Some("sampling/createMessage") => "sampling",
            _ => "roots",
        };
        if declared.get(capability).is_some() {
            asked.insert((*key).to_owned(), question.clone());
        } else {
            needed.insert(capability.to_owned(), json!({}));
        }
    }
    let malformed = |error: serde_json::Error| ErrorData::internal_error(error.to_string(), None);
    if asked.is_empty() {
        let needed: ClientCapabilities = serde_json::from_value(needed.into()).map_err(malformed)?;
        return Err(ErrorData::missing_required_client_capability(needed));
    }
    let asked: InputRequests = serde_json::from_value(asked.into()).map_err(malformed)?;
    Ok(InputRequiredResult::new(Some(asked), state))
}

/// What the client's user has filled in for `field` of the form `key`.
pub fn filled<'a>(answers: Option<&'a InputResponses>, key: &str, field: &str) -> Option<&'a Value> {
    let answer = answers?.get(key)?;
    (answer.get("action")? == "accept").then(|| answer.get("content")?.get(field))?
}

fn sampled<'a>(answers: Option<&'a InputResponses>, key: &str) -> Option<&'a str> {
    answers?.get(key)?.get("content")?.get("text")?.as_str()
}

fn rooted<'a>(answers: Option<&'a InputResponses>, key: &str) -> Option<&'a Vec<Value>> {
    answers?.get(key)?.get("roots")?.as_array()
}

/// The answer of a tool of this file; `None` for other tools.
pub fn call(
    states: &States,
    request: &CallToolRequestParams,
    context: &RequestContext<RoleServer>,
) -> Option<Result<CallToolResponse, ErrorData>> {
    let answers = request.input_responses.as_ref();
    let name = form("What is your name?", "name", "string");
    let done = |text: String| Ok(said(text).into());
    let asked = |result: Result<InputRequiredResult, ErrorData>| result.map(CallToolResponse::from);
    Some(match &*request.name {
        "test_input_required_result_elicitation" | "test_streaming_elicitation" => {
            match filled(answers, "user_name", "name").and_then(Value::as_str) {
                Some(given) => done(format!("Hello, {given}!")),
                None => asked(ask(context, &[("user_name", name)], None)),
            }
        }
        "test_input_required_result_sampling" | "test_missing_capability" => {
            match sampled(answers, "capital_question") {
                Some(answer) => done(answer.to_owned()),
                None => {
                    let question = sample("What is the capital of France?", 100);
                    asked(ask(context, &[("capital_question", question)], None))
                }
            }
        }
        "test_input_required_result_list_roots" => match rooted(answers, "client_roots") {
            Some(given) => done(json!(given).to_string()),
            None => asked(ask(context, &[("client_roots", roots())], None)),
        },
        "test_input_required_result_capabilities" => {
            asked(ask(context, &[("user_name", name), ("greeting", sample("Generate a greeting", 50))], None))
        }
        "test_input_required_result_request_state" | "test_input_required_result_tampered_state" => {
            confirm(states, request, context)
        }
        "test_input_required_result_multiple_inputs" => several(states, request, context, name),
        "test_input_required_result_multi_round" => steps(states, request, context),
        _ => return None,
    })
}

/// What the handle of the request stands for; `None` in the first round.
fn opened(states: &States, request: &CallToolRequestParams) -> Result<Option<Value>, ErrorData> {
    let handle = request.request_state.as_deref();
    handle.map(|handle| states.open(&request.name, handle)).transpose()
}

fn confirm(
    states: &States,
    request: &CallToolRequestParams,
    context: &RequestContext<RoleServer>,
) -> Result<CallToolResponse, ErrorData> {
    let known = opened(states, request)?.is_some();
    let confirmed = filled(request.input_responses.as_ref(), "confirm", "ok").and_then(Value::as_bool);
    if known && let Some(ok) = confirmed {
        return Ok(said(format!("state-ok, {ok}")).into());
    }
    let question = form("Please confirm", "ok", "boolean");
    let state = states.keep(&request.name, json!({}));
    Ok(ask(context, &[("confirm", question)], Some(state))?.into())
}

fn several(
    states: &States,
    request: &CallToolRequestParams,
    context: &RequestContext<RoleServer>,
    name: Value,
) -> Result<CallToolResponse, ErrorData> {
    let known = opened(states, request)?.is_some();
    let answers = request.input_responses.as_ref();
    let given = (
        filled(answers, "user_name", "name").and_then(Value::as_str),
        sampled(answers, "greeting"),
        rooted(answers, "client_roots"),
    );
    if known && let (Some(name), Some(greeting), Some(roots)) = given {
        return Ok(said(format!("{greeting} {name}, with {} roots", roots.len())).into());
    }
    let state = states.keep(&request.name, json!({}));
    let greeting = sample("Generate a greeting", 50);
    let questions = [("user_name", name), ("greeting", greeting), ("client_roots", roots())];
    Ok(ask(context, &questions, Some(state))?.into())
}

fn steps(
    states: &States,
    request: &CallToolRequestParams,
    context: &RequestContext<RoleServer>,
) -> Result<CallToolResponse, ErrorData> {
    let known = opened(states, request)?.unwrap_or_default();
    let answer = |key: &str, field: &str| {
        filled(request.input_responses.as_ref(), key, field).and_then(Value::as_str).map(str::to_owned)
    };
    let name = known["name"].as_str().map(str::to_owned);
    if let (Some(name), Some(color)) = (&name, answer("step2", "color")) {
        return Ok(said(format!("{name} likes {color}")).into());
    }
    let (key, question, state) = match name.or_else(|| answer("step1", "name")) {
        Some(name) => {
            ("step2", form("Step 2: What is your favorite color?", "color", "string"), json!({"name": name}))
        }
        None => ("step1", form("Step 1: What is your name?", "name", "string"), json!({})),
    };
    let state = states.keep(&request.name, state);
    Ok(ask(context, &[(key, question)], Some(state))?.into())
}

/// The answer of [`PROMPT`].
pub fn prompt(
    request: &GetPromptRequestParams,
    context: &RequestContext<RoleServer>,
) -> Result<GetPromptResponse, ErrorData> {
    let answers = request.input_responses.as_ref();
    match filled(answers, "user_context", "context").and_then(Value::as_str) {
        Some(given) => {
            let text = ContentBlock::text(format!("Prompt with context: {given}"));
            Ok(GetPromptResult::new(vec![PromptMessage::new(Role::User, text)]).into())
        }
        None => {
            let question = form("What context should the prompt use?", "context", "string");
            Ok(ask(context, &[("user_context", question)], None)?.into())
        }
    }
}
