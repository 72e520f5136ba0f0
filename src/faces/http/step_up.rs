//! Calls of tools that a client's token does not reach, though another one would: the client hears
//! which scopes to ask for.

use std::borrow::Cow;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use tablewright_door::Caller;
use tablewright_door::access::Need;
use tablewright_door::oauth::Verified;

use super::streamable::read_json;
use super::{Guard, NOT_LET_IN};

/// Says which right a tool needs that the settings offer; `None` for a tool they do not.
pub type Needs = Arc<dyn Fn(&str) -> Option<Need> + Send + Sync>;

/// What a refusal is worked out from.
#[derive(Clone)]
pub(super) struct StepUp {
    pub(super) guard: Guard,
    pub(super) needs: Needs,
}

/// The part of a message that names a tool.
#[derive(Deserialize)]
struct Peek<'a> {
    #[serde(default)]
    id: Value,
    #[serde(borrow)]
    method: Cow<'a, str>,
    #[serde(borrow)]
    params: Named<'a>,
}

#[derive(Deserialize)]
struct Named<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
}

/// Refuses such calls, with status 403; lets everything else pass.
pub(super) async fn ask_for_more(State(step_up): State<StepUp>, request: Request, next: Next) -> Response {
    let extensions = request.extensions();
    let (Some(granted), Some(caller)) =
        (extensions.get::<Arc<Verified>>().cloned(), extensions.get::<Caller>().cloned())
    else {
        return next.run(request).await;
    };
    let (head, body) = request.into_parts();
    let bytes = match read_json(body).await {
        Ok(bytes) => bytes,
        Err(refused) => return refused,
    };
    let called = serde_json::from_slice::<Peek>(&bytes).ok().filter(|message| message.method == "tools/call");
    let challenge = called.as_ref().and_then(|message| {
        let need = (step_up.needs)(&message.params.name)?;
        step_up.guard.challenge_for_more(head.uri.path(), &caller, &granted, &[need])
    });
    let Some((message, challenge)) = called.zip(challenge) else {
        return next.run(Request::from_parts(head, Body::from(bytes))).await;
    };
    let words =
        format!("the token does not reach {}; ask for the scopes the challenge names", message.params.name);
    let error = json!({"code": NOT_LET_IN, "message": words});
    let body = json!({"jsonrpc": "2.0", "id": message.id, "error": error}).to_string();
    let mut response =
        (StatusCode::FORBIDDEN, [(header::CONTENT_TYPE, "application/json")], body).into_response();
    response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    response
}
