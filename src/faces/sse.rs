//! `/sse` and `/messages`: the HTTP+SSE transport of protocol 2024-11-05, for old clients.
//!
//! `GET /sse` opens a stream of events; its first event, `endpoint`, names the address for the
//! client's messages. A message is posted there and answered with 202; what the server has to say
//! comes as `message` events. A conversation belongs to the token that opened it.

mod session;

use std::convert::Infallible;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{StatusCode, Uri, header};
use axum::middleware::from_fn_with_state;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Router};
use futures_util::{StreamExt, stream};
use rmcp::model::{
    ClientJsonRpcMessage, ClientNotification, ErrorData, GetMeta, ProtocolVersion, ServerJsonRpcMessage,
};
use rmcp::{ServerHandler, ServiceExt};
use tablewright_door::Caller;

use crate::http::streamable::{read_json, require_caller, too_many};
use crate::http::{Guard, NOT_LET_IN, Shutdown, refusal};
use crate::mcp::pipe::see_through;
use session::{Ended, NotTaken, Sessions};

/// How often a comment shows that a stream without events is alive.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

struct Face<F> {
    make: F,
    sessions: Arc<Sessions>,
}

/// The face at `/sse` and `/messages`. `make` makes a handler for each conversation.
pub fn router<H, F>(make: F, guard: &Guard, shutdown: &Shutdown) -> Router
where
    H: ServerHandler,
    F: Fn(Caller) -> H + Send + Sync + 'static,
{
    let face = Arc::new(Face { make, sessions: Sessions::new(guard.options(), shutdown.clone()) });
    Router::new()
        .route("/sse", get(open::<H, F>))
        .route("/messages", post(take::<F>))
        .route_layer(from_fn_with_state(guard.clone(), require_caller))
        .with_state(face)
}

/// Opens a conversation.
async fn open<H, F>(State(face): State<Arc<Face<F>>>, Extension(caller): Extension<Caller>) -> Response
where
    H: ServerHandler,
    F: Fn(Caller) -> H + Send + Sync + 'static,
{
    let Some(session) = face.sessions.open(caller.clone()) else {
        return too_many(face.sessions.most());
    };
    let handler = (face.make)(caller);
    let endpoint = Event::default().event("endpoint").data(format!("/messages?session_id={}", session.id));
    let (wire, ct, place) = (session.wire, session.ct, session.place.clone());
    tokio::spawn(async move {
        see_through(handler.serve_with_ct(wire, ct).await).await;
        drop(place);
    });
    let (mut outbox, place) = (session.outbox, session.place);
    let messages = stream::poll_fn(move |context| {
        // Moved in here, it is dropped when the client goes away and this stream with it.
        let _ = &place;
        match outbox.poll_recv(context) {
            Poll::Ready(message) => {
                Poll::Ready(message.map(|text| Event::default().event("message").data(text)))
            }
            Poll::Pending => Poll::Pending,
        }
    });
    let events = stream::iter([endpoint]).chain(messages).map(Ok::<_, Infallible>);
    let events = Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE));
    // Proxies that gather an answer before they pass it on would gather for ever.
    ([("x-accel-buffering", "no")], events).into_response()
}

/// Takes one message for a conversation.
async fn take<F>(
    State(face): State<Arc<Face<F>>>,
    Extension(caller): Extension<Caller>,
    request: Request<Body>,
) -> Response {
    let id = session_id(request.uri()).unwrap_or_default();
    let Some(session) = face.sessions.find(id, &caller) else { return ended() };
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    if !kind.is_some_and(is_json) {
        let message = "send the message as Content-Type: application/json";
        return refusal(StatusCode::UNSUPPORTED_MEDIA_TYPE, NOT_LET_IN, message);
    }
    let bytes = match read_json(request.into_body()).await {
        Ok(bytes) => bytes,
        Err(refused) => return refused,
    };
    let message = match serde_json::from_slice::<ClientJsonRpcMessage>(&bytes) {
        Ok(message) => message,
        Err(why) => {
            return invalid(&format!("this is no JSON-RPC message: {why}; send one message at a time"));
        }
    };
    if let Some(answer) = wrong_era(&message) {
        return match session.say(&answer).await {
            Ok(()) => StatusCode::ACCEPTED.into_response(),
            Err(Ended) => ended(),
        };
    }
    if let ClientJsonRpcMessage::Notification(notification) = &message
        && let ClientNotification::CancelledNotification(cancelled) = &notification.notification
        && let Some(id) = &cancelled.params.request_id
    {
        session.settled(id);
    }
    match session.take(message, bytes.len()).await {
        Ok(()) => StatusCode::ACCEPTED.into_response(),
        Err(NotTaken::Ended) => ended(),
        Err(NotTaken::SameId) => invalid("a request with this id is still open; use another id"),
        Err(NotTaken::TooMany(most)) => {
            let message = format!("{most} requests of this conversation are open; wait for their answers");
            refusal(StatusCode::TOO_MANY_REQUESTS, NOT_LET_IN, &message)
        }
        Err(NotTaken::NoRoom) => {
            let message = "too much is being worked on; try again in a moment";
            refusal(StatusCode::SERVICE_UNAVAILABLE, NOT_LET_IN, message)
        }
    }
}

/// JSON-RPC's code for JSON that is no request.
const INVALID_REQUEST: i32 = -32600;

fn invalid(message: &str) -> Response {
    refusal(StatusCode::BAD_REQUEST, INVALID_REQUEST, message)
}

fn ended() -> Response {
    let message = "there is no such conversation of yours, or it has ended; open one with GET /sse";
    refusal(StatusCode::NOT_FOUND, NOT_LET_IN, message)
}

fn session_id(uri: &Uri) -> Option<&str> {
    uri.query()?.split('&').find_map(|pair| pair.strip_prefix("session_id="))
}

fn is_json(kind: &str) -> bool {
    kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

/// The answer to a request of the era without `initialize`, which this transport never had.
fn wrong_era(message: &ClientJsonRpcMessage) -> Option<ServerJsonRpcMessage> {
    let ClientJsonRpcMessage::Request(request) = message else { return None };
    let version = request.request.get_meta().protocol_version()?;
    (!version.has_initialize()).then(|| {
        let supported = ProtocolVersion::known_up_to(&ProtocolVersion::LATEST_WITH_INITIALIZE);
        let error = ErrorData::unsupported_protocol_version(version, supported);
        ServerJsonRpcMessage::error(error, Some(request.id.clone()))
    })
}
