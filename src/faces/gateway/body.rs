//! Bodies: JSON objects of a bounded size.

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Method, header};
use serde_json::{Map, Value};
use tablewright_core::strict;

use super::refusal::Refusal;
use crate::http::body::{Unread, read};

/// Most bytes of a body, but for uploads.
const MAX_BODY: usize = 8 << 20;

/// What a request brings beside its path.
pub(super) struct Sent<'a> {
    pub(super) method: &'a Method,
    pub(super) path: &'a str,
    /// Its headers.
    pub(super) headers: &'a HeaderMap,
    /// What follows `?`.
    pub(super) query: Option<&'a str>,
    /// Not read yet.
    pub(super) body: Body,
}

impl Sent<'_> {
    /// The body as a JSON object.
    pub(super) async fn object(self) -> Result<Map<String, Value>, Refusal> {
        self.object_within(MAX_BODY).await
    }

    /// The body as a JSON object of at most `most` bytes.
    pub(super) async fn object_within(self, most: usize) -> Result<Map<String, Value>, Refusal> {
        let kind = self.kind();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        if !kind.eq_ignore_ascii_case("application/json") {
            return Err(Refusal::body("send it with Content-Type: application/json"));
        }
        let bytes = within(self.body, most).await?;
        strict::check(&bytes).map_err(Refusal::body)?;
        match serde_json::from_slice(&bytes) {
            Ok(Value::Object(map)) => Ok(map),
            Ok(_) => Err(Refusal::body("it must be an object")),
            Err(error) => Err(Refusal::body(error)),
        }
    }

    /// The media type of the body, as it was sent.
    pub(super) fn kind(&self) -> &str {
        self.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default()
    }

    /// The body as it came, taken out.
    pub(super) async fn bytes(&mut self) -> Result<Bytes, Refusal> {
        within(std::mem::take(&mut self.body), MAX_BODY).await
    }
}

async fn within(body: Body, most: usize) -> Result<Bytes, Refusal> {
    read(body, most).await.map_err(|unread| match unread {
        Unread::TooLong => Refusal::too_large(most),
        Unread::TooSlow => Refusal::too_slow(),
        Unread::Broken => Refusal::body("it broke off"),
    })
}
