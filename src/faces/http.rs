//! The HTTP entry: one port, guarded once for every face behind it.

pub mod guard;
pub mod serve;
pub mod streamable;

use axum::Router;
use axum::http::{StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::{Deserialize, Serialize};
use tower::limit::GlobalConcurrencyLimitLayer;

pub use guard::{Entry, Guard, check_address};
pub use serve::{Shutdown, serve};

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

/// Everything behind the port: `faces`, and `/healthz`. Host and Origin are checked here for all
/// of them, pages of listed origins get their CORS headers, and the faces share one bound on
/// requests served at once. Each face asks [`Guard::caller`] itself who is calling.
pub fn router(guard: &Guard, faces: impl IntoIterator<Item = Router>) -> Router {
    let mut routes = faces.into_iter().fold(Router::new(), Router::merge);
    let at_once = guard.options().max_concurrent_requests.clamp(1, 10_000);
    routes = routes.layer(GlobalConcurrencyLimitLayer::new(at_once));
    if let Some(cors) = guard.cors() {
        routes = routes.layer(cors);
    }
    routes
        .route("/healthz", get(|| async { "ok\n" }))
        .layer(from_fn_with_state(guard.clone(), guard::check_place))
}

/// JSON-RPC's code for a body that is no JSON.
pub(crate) const PARSE_ERROR: i32 = -32700;
/// Our code for a request that is not let in.
pub(crate) const NOT_LET_IN: i32 = -32000;

/// An error of JSON-RPC that answers no request in particular.
pub(crate) fn refusal(status: StatusCode, code: i32, message: &str) -> Response {
    let body = serde_json::json!({"jsonrpc": "2.0", "id": null, "error": {"code": code, "message": message}});
    (status, [(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}
