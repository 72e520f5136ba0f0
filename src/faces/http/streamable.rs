//! `/mcp`: the Streamable HTTP transport, both eras, around any server handler.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use rmcp::ServerHandler;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use tablewright_core::strict;
use tablewright_door::Caller;

use super::body::{self, Lapsing, Unread};
use super::guard::{Entered, Guard, LOOPBACK, NotLetIn};
use super::serve::Shutdown;
use super::step_up::{Needs, StepUp, ask_for_more};
use super::{NOT_LET_IN, PARSE_ERROR, refusal};
use crate::mcp::wire::{MAX_LINE, no_message};
use crate::plain::unwrap_single;

/// Conversations of the older era that are kept at once; idle ones end after five minutes.
const MAX_SESSIONS: usize = 1_000;

/// The face at `/mcp`. `make` makes a handler for each conversation; requests reach it with their
/// caller among the extensions of the HTTP request. `needs` tells clients of an authorization server
/// what to ask it for.
pub fn mcp<H, F>(make: F, needs: Needs, guard: &Guard, shutdown: &Shutdown) -> Router
where
    H: ServerHandler,
    F: Fn() -> H + Send + Sync + 'static,
{
    let options = guard.options();
    let hosts = LOOPBACK.into_iter().map(String::from).chain(options.allowed_hosts.iter().cloned());
    let config = StreamableHttpServerConfig::default()
        // Origins are the guard's: it knows its own.
        .with_allowed_hosts(hosts)
        // Both eras: sessions for the older one, none for the newer.
        .with_legacy_session_mode(true)
        .with_json_response(true)
        .with_max_request_body_bytes(MAX_LINE)
        .with_cancellation_token(shutdown.cut.clone());
    let manager = Arc::new(LocalSessionManager::default());
    let service = StreamableHttpService::new(move || Ok(make()), manager.clone(), config);
    let sessions = Sessions { manager, openers: Arc::default() };
    Router::new()
        .route_service("/mcp", service)
        .route_layer(from_fn(unwrap_single))
        .route_layer(from_fn_with_state(StepUp { guard: guard.clone(), needs }, ask_for_more))
        .route_layer(from_fn(require_json))
        .route_layer(from_fn_with_state(sessions, keep_sessions))
        .route_layer(from_fn_with_state(guard.clone(), require_caller))
}

/// The conversations of the older era, and who opened each.
#[derive(Clone)]
struct Sessions {
    manager: Arc<LocalSessionManager>,
    openers: Arc<Mutex<HashMap<String, Arc<str>>>>,
}

impl Sessions {
    fn openers(&self) -> MutexGuard<'_, HashMap<String, Arc<str>>> {
        self.openers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes who opened the conversation `id`, and forgets those that have ended.
    async fn note(&self, id: &str, principal: Arc<str>) {
        let open = self.manager.sessions.read().await;
        let mut openers = self.openers();
        openers.retain(|known, _| open.contains_key(known.as_str()));
        openers.insert(id.to_owned(), principal);
    }
}

/// Keeps conversations to those who opened them, and refuses one too many.
async fn keep_sessions(State(sessions): State<Sessions>, request: Request, next: Next) -> Response {
    let principal = request.extensions().get::<Caller>().map(|caller| caller.principal.clone());
    let session = session_id(request.headers());
    if let Some(id) = session {
        let strange = sessions.openers().get(id).is_some_and(|opener| Some(opener) != principal.as_ref());
        if strange {
            let message = "there is no such conversation of yours, or it has ended; open one with initialize";
            return refusal(StatusCode::NOT_FOUND, NOT_LET_IN, message);
        }
        return next.run(request).await;
    }
    let opens = !request.headers().contains_key("mcp-method");
    if opens && sessions.manager.sessions.read().await.len() >= MAX_SESSIONS {
        return too_many(MAX_SESSIONS);
    }
    let response = next.run(request).await;
    if let (Some(id), Some(principal)) = (session_id(response.headers()), principal) {
        sessions.note(id, principal).await;
    }
    response
}

fn session_id(headers: &HeaderMap) -> Option<&str> {
    headers.get("mcp-session-id").and_then(|id| id.to_str().ok())
}

/// Refuses one conversation more than `most`.
pub(crate) fn too_many(most: usize) -> Response {
    let message = format!("{most} conversations are open; end one, or try again in a few minutes");
    refusal(StatusCode::SERVICE_UNAVAILABLE, NOT_LET_IN, &message)
}

/// Reads a message: a body that is JSON, without a key twice in one object.
pub(crate) async fn read_json(body: Body) -> Result<Bytes, Response> {
    let (status, message) = match body::read(body, MAX_LINE).await {
        Ok(bytes) => match strict::check(&bytes) {
            Ok(()) => return Ok(bytes),
            Err(why) => (StatusCode::BAD_REQUEST, format!("the body is not usable JSON: {why}")),
        },
        Err(Unread::TooLong) => (
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("a message may have at most {MAX_LINE} bytes; send fewer records per call"),
        ),
        Err(Unread::TooSlow) => (
            StatusCode::REQUEST_TIMEOUT,
            "the body took too long to come in; send fewer records per call".to_owned(),
        ),
        Err(Unread::Broken) => (StatusCode::BAD_REQUEST, "the body broke off".to_owned()),
    };
    Err(refusal(status, PARSE_ERROR, &message))
}

/// Refuses bodies that are no messages.
async fn require_json(request: Request, next: Next) -> Response {
    if request.method() != Method::POST {
        return next.run(request).await;
    }
    let (head, body) = request.into_parts();
    match read_json(body).await {
        Ok(bytes) => {
            let is_json = is_json(&head.headers);
            let response = next.run(Request::from_parts(head, Body::from(bytes.clone()))).await;
            let unread = is_json && response.status() == StatusCode::UNSUPPORTED_MEDIA_TYPE;
            unread.then(|| not_a_message(&bytes)).flatten().unwrap_or(response)
        }
        Err(refused) => refused,
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

/// The answer to JSON that is no message of the protocol.
fn not_a_message(body: &[u8]) -> Option<Response> {
    let complaint = serde_json::to_string(&no_message(body)?).ok()?;
    let kind = [(header::CONTENT_TYPE, "application/json")];
    Some((StatusCode::BAD_REQUEST, kind, complaint).into_response())
}

/// Lets in whoever brings a token in force and does not ask too often, and notes who they are.
pub(crate) async fn require_caller(State(guard): State<Guard>, mut request: Request, next: Next) -> Response {
    match guard.enter(request.headers(), request.extensions(), "mcp").await {
        Ok(Entered { caller, left, granted }) => {
            // Streams that a client opens to listen end with its token. An answer is told to its end.
            let until = caller.until.filter(|_| request.method() == Method::GET);
            request.extensions_mut().insert(caller);
            if let Some(granted) = granted {
                request.extensions_mut().insert(granted);
            }
            let response = next.run(request).await;
            left.told(match until {
                Some(until) => response.map(|body| Lapsing::of(body, until)),
                None => response,
            })
        }
        Err(NotLetIn::TooOften(standing)) => {
            let (next, s) = (standing.next, if standing.next == 1 { "" } else { "s" });
            let message = format!("too many requests; try again in {next} second{s}");
            let mut response = refusal(StatusCode::TOO_MANY_REQUESTS, NOT_LET_IN, &message);
            standing.tell(&mut response);
            response
        }
        Err(NotLetIn::NoToken(refused)) => {
            let mut response = refusal(
                StatusCode::UNAUTHORIZED,
                NOT_LET_IN,
                "send a token in force as \"Authorization: Bearer …\"; `tablewright token create --name N` makes one",
            );
            let challenge = guard.challenge(request.uri().path(), refused);
            let challenge = challenge.unwrap_or(HeaderValue::from_static("Bearer realm=\"tablewright\""));
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
            response
        }
    }
}
