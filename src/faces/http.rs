//! The HTTP entry: one port, guarded once for every face behind it.

pub mod body;
mod connection;
mod exchange;
pub mod guard;
mod oauth;
pub mod rate;
pub mod serve;
mod step_up;
pub mod streamable;
pub mod tls;

use std::path::PathBuf;

use axum::Router;
use axum::http::{StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::{Deserialize, Serialize};
use tower::limit::GlobalConcurrencyLimitLayer;

pub(crate) use guard::{Entered, NotLetIn};
pub use guard::{Entry, Guard, check_address};
pub use serve::{Shutdown, serve};
pub use step_up::Needs;
pub use tls::Tls;

/// Settings of the HTTP entry.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Host names clients may use, besides `localhost`, `127.0.0.1` and `[::1]`.
    pub allowed_hosts: Vec<String>,
    /// Origins of web pages that may call, such as `https://app.example.org`. None unless listed.
    pub allowed_origins: Vec<String>,
    /// Where clients reach this server, such as `https://tables.example.org`: the start of the
    /// addresses of attachments. The listening address when left out.
    pub public_url: Option<String>,
    /// PEM file with this server's certificate, then those that vouch for it. With it the port
    /// speaks TLS alone. Needs `tls_key`. Read again when it changes.
    pub tls_certificate: Option<PathBuf>,
    /// PEM file with the private key of that certificate, without a passphrase.
    pub tls_key: Option<PathBuf>,
    /// Requests served at once; more wait (1 to 10,000).
    pub max_concurrent_requests: usize,
    /// Connections open at once; one more takes the place of the one idle for longest (1 to 100,000).
    pub max_connections: usize,
    /// Seconds a request line with its headers, or a TLS handshake, may take to come in (1 to 3,600).
    pub header_seconds: u64,
    /// Seconds a body may take to come in (1 to 3,600).
    pub body_seconds: u64,
    /// Seconds a connection stays open without a request, or without taking its answer (1 to 86,400).
    pub idle_seconds: u64,
    /// Conversations over HTTP+SSE (`/sse`) at once (1 to 10,000).
    pub max_sse_sessions: usize,
    /// Seconds such a conversation lasts without a message from the client (1 to 86,400).
    pub sse_idle_seconds: u64,
    /// How many requests callers may send.
    pub rate: rate::Options,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            allowed_hosts: Vec::new(),
            allowed_origins: Vec::new(),
            public_url: None,
            tls_certificate: None,
            tls_key: None,
            max_concurrent_requests: 256,
            max_connections: 2_000,
            header_seconds: 10,
            body_seconds: 60,
            idle_seconds: 75,
            max_sse_sessions: 200,
            sse_idle_seconds: 3_600,
            rate: rate::Options::default(),
        }
    }
}

impl Options {
    /// How addresses of this port begin: `http` or `https`.
    pub fn scheme(&self) -> &'static str {
        if self.tls_certificate.is_some() { "https" } else { "http" }
    }

    /// Refuses values that are out of range: the setting and what is wrong with it.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        for (key, value, most) in [
            ("max_concurrent_requests", count(self.max_concurrent_requests), 10_000),
            ("max_connections", count(self.max_connections), 100_000),
            ("header_seconds", self.header_seconds, 3_600),
            ("body_seconds", self.body_seconds, 3_600),
            ("idle_seconds", self.idle_seconds, 86_400),
            ("max_sse_sessions", count(self.max_sse_sessions), 10_000),
            ("sse_idle_seconds", self.sse_idle_seconds, 86_400),
        ] {
            if !(1..=most).contains(&value) {
                return Err((key, format!("it must be 1 to {most}")));
            }
        }
        let is_web = |url: &String| {
            ["https://", "http://"]
                .iter()
                .any(|start| url.strip_prefix(start).is_some_and(|rest| !rest.is_empty()))
        };
        if !self.public_url.as_ref().is_none_or(is_web) {
            return Err(("public_url", "it must be an address such as https://tables.example.org".into()));
        }
        match (&self.tls_certificate, &self.tls_key) {
            (Some(_), None) => {
                return Err(("tls_key", "tls_certificate needs it; give both, or none".into()));
            }
            (None, Some(_)) => {
                return Err(("tls_certificate", "tls_key needs it; give both, or none".into()));
            }
            _ => {}
        }
        let plain = self.public_url.as_ref().is_some_and(|url| url.starts_with("http://"));
        if plain && self.tls_certificate.is_some() {
            let reason = "it must begin with https://, since the port speaks TLS (tls_certificate)";
            return Err(("public_url", reason.into()));
        }
        self.rate.check()?;
        if let Some(origin) = self.allowed_origins.iter().find(|origin| !guard::is_origin(origin)) {
            let reason = format!(
                "{origin:?} is no origin; write scheme, host and port alone, such as https://app.example.org"
            );
            return Err(("allowed_origins", reason));
        }
        Ok(())
    }
}

/// Everything behind the port: `faces`, and `/healthz`. Host and Origin are checked here for all
/// of them, pages of listed origins get their CORS headers, and the faces share one bound on
/// requests served at once. Each face asks [`Guard::enter`] itself who is calling. Metadata for
/// clients of an authorization server is for everyone, on pages elsewhere, too.
pub fn router(guard: &Guard, faces: impl IntoIterator<Item = Router>) -> Router {
    let mut routes = faces.into_iter().fold(Router::new(), Router::merge);
    let at_once = guard.options().max_concurrent_requests;
    routes = routes.layer(GlobalConcurrencyLimitLayer::new(at_once));
    if let Some(cors) = guard.cors() {
        routes = routes.layer(cors);
    }
    let routes = routes
        .route("/healthz", get(|| async { "ok\n" }))
        .layer(from_fn_with_state(guard.clone(), guard::check_place));
    match oauth::metadata(guard) {
        Some(metadata) => routes.merge(metadata),
        None => routes,
    }
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
