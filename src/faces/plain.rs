//! Replies of the older era as plain JSON when nothing streams.
//!
//! The protocol lets a server answer a POST with one JSON document or with a stream of events. The
//! sessions of the older era always stream; a stream that holds nothing but the answer becomes
//! that answer here.

use axum::body::{Body, BodyDataStream, Bytes};
use axum::extract::Request;
use axum::http::{HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::Response;
use futures_util::{StreamExt, stream};
use serde::Deserialize;
use serde::de::IgnoredAny;

/// Turns a stream that begins with the answer into the answer; leaves every other reply alone.
pub(crate) async fn unwrap_single(request: Request, next: Next) -> Response {
    let is_post = request.method() == Method::POST;
    let response = next.run(request).await;
    let streams = response
        .headers()
        .get(header::CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .is_some_and(|kind| kind.starts_with("text/event-stream"));
    if !is_post || !streams {
        return response;
    }
    let (mut head, body) = response.into_parts();
    let mut rest = body.into_data_stream();
    match first_event(&mut rest).await {
        First::Answer(json) => {
            head.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            Response::from_parts(head, Body::from(json))
        }
        First::Other(read) => {
            let read = stream::iter(read.into_iter().map(Ok));
            Response::from_parts(head, Body::from_stream(read.chain(rest)))
        }
    }
}

/// What a stream begins with.
enum First {
    /// The answer to the request.
    Answer(String),
    /// Something else; the pieces read so far.
    Other(Vec<Bytes>),
}

async fn first_event(body: &mut BodyDataStream) -> First {
    let mut read: Vec<Bytes> = Vec::new();
    let mut text = Vec::new();
    while let Some(Ok(piece)) = body.next().await {
        text.extend_from_slice(&piece);
        read.push(piece);
        let mut at = 0;
        while let Some(end) = memchr::memmem::find(&text[at..], b"\n\n") {
            let event = String::from_utf8_lossy(&text[at..at + end]).into_owned();
            at += end + 2;
            let data: Vec<&str> =
                event.lines().filter_map(|line| line.strip_prefix("data:")).map(str::trim_start).collect();
            let data = data.join("\n");
            if is_answer(&data) {
                return First::Answer(data);
            }
            // An event without data only keeps the stream alive.
            if !data.is_empty() {
                return First::Other(read);
            }
        }
        text.drain(..at);
    }
    First::Other(read)
}

fn is_answer(data: &str) -> bool {
    #[derive(Deserialize)]
    struct Peek {
        result: Option<IgnoredAny>,
        error: Option<IgnoredAny>,
    }
    serde_json::from_str::<Peek>(data).is_ok_and(|peek| peek.result.is_some() || peek.error.is_some())
}
