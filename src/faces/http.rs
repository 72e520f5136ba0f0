//! The HTTP entry: one port, guarded once for every face behind it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::serve::ListenerExt;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use serde::{Deserialize, Serialize};
use tablewright_core::strict;
use tablewright_door::{Caller, Rights, Tokens};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tower::limit::GlobalConcurrencyLimitLayer;

use crate::mcp::Parts;
use crate::mcp::handler::Handler;
use crate::mcp::wire::MAX_LINE;

/// Settings of the HTTP entry.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Host names clients may use, besides `localhost`, `127.0.0.1` and `[::1]`.
    pub allowed_hosts: Vec<String>,
    /// Origins of web pages that may call, such as `https://app.example.org`. None unless listed.
    pub allowed_origins: Vec<String>,
    /// Requests served at once; more wait (1 to 10,000).
    pub max_concurrent_requests: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { allowed_hosts: Vec::new(), allowed_origins: Vec::new(), max_concurrent_requests: 256 }
    }
}

/// Who is let in.
#[derive(Clone)]
pub enum Entry {
    /// Whoever brings a token in force.
    Tokens(Tokens),
    /// Everyone who reaches the port; loopback only.
    Anyone,
}

struct Guard {
    options: Options,
    entry: Entry,
    flags: Rights,
    sessions: Arc<LocalSessionManager>,
}

/// Conversations of the older era that are kept at once; idle ones end after five minutes.
const MAX_SESSIONS: usize = 1_000;

/// All faces on one router.
pub fn router(
    parts: Arc<Parts>,
    options: Options,
    entry: Entry,
    flags: Rights,
    cut: CancellationToken,
) -> Router {
    let mut hosts: Vec<String> = ["localhost", "127.0.0.1", "::1"].map(String::from).to_vec();
    hosts.extend(options.allowed_hosts.iter().cloned());
    let config = StreamableHttpServerConfig::default()
        .with_allowed_hosts(hosts)
        .with_allowed_origins(options.allowed_origins.iter().cloned())
        .enforce_origin_validation()
        // Both eras: sessions for the older one, none for the newer.
        .with_legacy_session_mode(true)
        .with_json_response(true)
        .with_max_request_body_bytes(MAX_LINE)
        .with_cancellation_token(cut);
    let sessions = Arc::new(LocalSessionManager::default());
    let limit = GlobalConcurrencyLimitLayer::new(options.max_concurrent_requests.clamp(1, 10_000));
    let mcp = StreamableHttpService::new(
        move || Ok(Handler::for_requests(parts.clone())),
        sessions.clone(),
        config,
    );
    let guard = Arc::new(Guard { options, entry, flags, sessions });
    Router::new()
        .route_service("/mcp", mcp)
        .route_layer(from_fn(crate::plain::unwrap_single))
        .route_layer(from_fn(require_json))
        .route_layer(from_fn_with_state(guard.clone(), limit_sessions))
        .route_layer(from_fn_with_state(guard.clone(), require_caller))
        .layer(limit)
        .route("/healthz", get(|| async { "ok\n" }))
        .layer(from_fn_with_state(guard, check_place))
}

/// JSON-RPC's code for a body that is no JSON.
const PARSE_ERROR: i32 = -32700;
/// Our code for a request that is not let in.
const NOT_LET_IN: i32 = -32000;

fn refusal(status: StatusCode, code: i32, message: &str) -> Response {
    let body = serde_json::json!({"jsonrpc": "2.0", "id": null, "error": {"code": code, "message": message}});
    (status, [(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

/// The host name of a `Host` header, without the port.
fn host_name(host: &str) -> &str {
    match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((inside, _)) => inside,
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    }
}

/// Refuses requests that a web page elsewhere may have caused: wrong `Host`, foreign `Origin`.
async fn check_place(State(guard): State<Arc<Guard>>, request: Request, next: Next) -> Response {
    let headers = request.headers();
    let host = headers.get(header::HOST).and_then(|h| h.to_str().ok()).map(host_name);
    let known = |name: &str| {
        ["localhost", "127.0.0.1", "::1"].contains(&name)
            || guard.options.allowed_hosts.iter().any(|h| host_name(h).eq_ignore_ascii_case(name))
    };
    if !host.is_some_and(|name| known(&name.to_ascii_lowercase())) {
        return refusal(
            StatusCode::FORBIDDEN,
            NOT_LET_IN,
            "this Host is not allowed; use localhost, or add the name to http.allowed_hosts",
        );
    }
    if let Some(origin) = headers.get(header::ORIGIN)
        && !origin.to_str().is_ok_and(|o| guard.options.allowed_origins.iter().any(|a| a == o))
    {
        return refusal(
            StatusCode::FORBIDDEN,
            NOT_LET_IN,
            "this Origin is not allowed; add it to http.allowed_origins if the page is yours",
        );
    }
    next.run(request).await
}

/// Refuses a request that would open one conversation too many.
async fn limit_sessions(State(guard): State<Arc<Guard>>, request: Request, next: Next) -> Response {
    let headers = request.headers();
    let opens = !headers.contains_key("mcp-session-id") && !headers.contains_key("mcp-method");
    if opens && guard.sessions.sessions.read().await.len() >= MAX_SESSIONS {
        let message =
            format!("{MAX_SESSIONS} conversations are open; end one, or try again in a few minutes");
        return refusal(StatusCode::SERVICE_UNAVAILABLE, NOT_LET_IN, &message);
    }
    next.run(request).await
}

/// Refuses bodies that are too long, are not JSON, or have a key twice in one object.
async fn require_json(request: Request, next: Next) -> Response {
    if request.method() != Method::POST {
        return next.run(request).await;
    }
    let (head, body) = request.into_parts();
    let Ok(bytes) = to_bytes(body, MAX_LINE).await else {
        let message = format!("a message may have at most {MAX_LINE} bytes; send fewer records per call");
        return refusal(StatusCode::PAYLOAD_TOO_LARGE, PARSE_ERROR, &message);
    };
    match strict::check(&bytes) {
        Ok(()) => next.run(Request::from_parts(head, Body::from(bytes))).await,
        Err(why) => {
            refusal(StatusCode::BAD_REQUEST, PARSE_ERROR, &format!("the body is not usable JSON: {why}"))
        }
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Lets in whoever brings a token in force, and notes who they are.
async fn require_caller(State(guard): State<Arc<Guard>>, mut request: Request, next: Next) -> Response {
    let caller = match &guard.entry {
        Entry::Anyone => Some(Caller::local("mcp", guard.flags)),
        Entry::Tokens(tokens) => {
            bearer(request.headers()).and_then(|token| tokens.check(token, "mcp", guard.flags))
        }
    };
    let Some(caller) = caller else {
        let mut response = refusal(
            StatusCode::UNAUTHORIZED,
            NOT_LET_IN,
            "send a token in force as \"Authorization: Bearer …\"; `tablewright token create --name N` makes one",
        );
        let challenge = HeaderValue::from_static("Bearer realm=\"tablewright\"");
        response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        return response;
    };
    request.extensions_mut().insert(caller);
    next.run(request).await
}

/// Serves `router` until `stop` is cancelled, then lets running requests end for a while before
/// `cut` ends what is left: open streams and sessions.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    stop: CancellationToken,
    cut: CancellationToken,
) -> std::io::Result<()> {
    // Without this a reply in two packets waits for the client's delayed acknowledgement.
    let listener = listener.tap_io(|stream| {
        let _ = stream.set_nodelay(true);
    });
    let told = stop.clone();
    let serving = axum::serve(listener, router).with_graceful_shutdown(async move { told.cancelled().await });
    let serving = serving.into_future();
    tokio::pin!(serving);
    let ended = tokio::select! {
        result = &mut serving => Some(result),
        () = async { stop.cancelled().await; tokio::time::sleep(GRACE).await } => None,
    };
    cut.cancel();
    match ended {
        Some(result) => result,
        None => tokio::time::timeout(GRACE, serving).await.unwrap_or(Ok(())),
    }
}

/// How long running requests may take to end.
const GRACE: Duration = Duration::from_secs(5);

/// Refuses an address that is not loopback when everyone may come in.
pub fn check_address(address: SocketAddr, entry: &Entry) -> Result<(), &'static str> {
    if matches!(entry, Entry::Anyone) && !address.ip().is_loopback() {
        return Err(
            "--no-auth works on a loopback address only; use 127.0.0.1, or leave it out and use tokens",
        );
    }
    Ok(())
}
