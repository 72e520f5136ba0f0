//! One connection: each request is decided on, sent on or not, and answered or not.

use std::io;
use std::time::Instant;

use serde_json::{Value, json};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use super::fault::PAYLOADS;
use super::wire::{self, Answer, Delivery, Request};
use super::{Edit, Entry, Fault, Kind, Shared, hooks};

/// Headers that are a connection's, not a request's.
const HOP: [&str; 5] = ["host", "connection", "content-length", "accept-encoding", "authorization"];

/// What is done with one request.
struct Turn {
    place: usize,
    kind: Kind,
    fault: Option<Fault>,
    detail: u64,
}

pub(super) async fn serve(shared: &Shared, mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut held = Vec::new();
    while let Some(request) = wire::read(&mut stream, &mut held).await? {
        if !answer(shared, &mut stream, &request).await? {
            break;
        }
        if request.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close")) {
            break;
        }
    }
    Ok(())
}

/// The base a path is about; a penalty holds for it, or for all that is about none.
fn base_of(path: &str) -> String {
    path.split(['/', '?']).find(|part| part.starts_with("app")).unwrap_or_default().to_owned()
}

fn arrived(shared: &Shared, request: &Request) -> Turn {
    let body = serde_json::from_slice(&request.body).unwrap_or(Value::Null);
    let kind = Kind::of(&request.method, &request.path, &body);
    let mut state = shared.state();
    let nth = state.seen.entry(kind).or_default();
    let this = *nth;
    *nth += 1;
    let (mut fault, detail) = state.plan.decide(kind, this);
    let now = Instant::now();
    let base = base_of(&request.path);
    if state.refused.get(&base).is_some_and(|until| now < *until) {
        fault = Some(Fault::Penalty);
    } else if fault == Some(Fault::RateLimit) {
        let until = now + state.plan.penalty;
        state.refused.insert(base, until);
    }
    state.log.push(Entry {
        at: now,
        kind,
        method: request.method.clone(),
        path: request.path.clone(),
        body,
        fault,
        upstream: None,
        heard: None,
    });
    Turn { place: state.log.len() - 1, kind, fault, detail }
}

/// Answers a request; whether the connection can be used again.
async fn answer(shared: &Shared, stream: &mut TcpStream, request: &Request) -> io::Result<bool> {
    let turn = arrived(shared, request);
    let (answer, how) = match turn.fault {
        Some(Fault::RateLimit | Fault::Penalty) => (too_many(), Delivery::Whole),
        Some(Fault::ErrorBefore) => (failure(turn.detail, true), Delivery::Whole),
        Some(Fault::ResetBefore) => {
            wire::reset(stream).await?;
            return Ok(false);
        }
        Some(Fault::ExpiredOffset) => {
            let lapsed = json!({"error": {"type": "LIST_RECORDS_ITERATOR_NOT_AVAILABLE"}});
            (Answer::json(422, &lapsed), Delivery::Whole)
        }
        Some(Fault::SchemaChange) => {
            let edit = shared.state().plan.edits.pop_front();
            match edit {
                Some(edit) => change_schema(shared, edit).await,
                None => shared.state().log[turn.place].fault = None,
            }
            (forward(shared, &turn, request).await, Delivery::Whole)
        }
        fault => {
            let done = forward(shared, &turn, request).await;
            match fault {
                Some(Fault::ErrorAfter) => (failure(turn.detail, false), Delivery::Whole),
                Some(Fault::Silence) => {
                    // Until the caller gives up.
                    while stream.read_u8().await.is_ok() {}
                    return Ok(false);
                }
                Some(Fault::SlowBody) => (done, Delivery::Slow),
                Some(Fault::ResetInHead) => (done, Delivery::ResetInHead),
                Some(Fault::ResetInBody) => (done, Delivery::ResetInBody),
                Some(Fault::TruncatedJson) => (done, Delivery::Truncated),
                Some(Fault::ShortBody) => (done, Delivery::Short),
                _ => (done, Delivery::Whole),
            }
        }
    };
    let status = answer.status;
    let again = wire::write(stream, answer, how).await?;
    if matches!(how, Delivery::Whole | Delivery::Slow) {
        shared.state().log[turn.place].heard = Some(status);
    }
    Ok(again)
}

fn too_many() -> Answer {
    let message = "Rate limit exceeded. Please try again later";
    Answer::json(429, &json!({"errors": [{"error": "RATE_LIMIT_REACHED", "message": message}]}))
}

/// A failure of the server, in one of several forms. Only where nothing was done does it say so.
fn failure(detail: u64, nothing_done: bool) -> Answer {
    let status = [500, 502, 503][(detail % 3) as usize];
    match (detail >> 8) % 4 {
        0 => Answer::json(status, &json!({"error": {"type": "SERVER_ERROR", "message": "Try again"}})),
        1 if nothing_done => {
            let message = "Server encountered an error while processing your request, and it is safe to retry the request";
            Answer::json(503, &json!({"error": {"type": "RETRIABLE_ERROR", "message": message}}))
        }
        2 => {
            let body = b"<html><body><h1>Bad Gateway</h1></body></html>".to_vec();
            Answer { status, kind: "text/html".into(), date: None, body }
        }
        _ => Answer { status, kind: "text/plain".into(), date: None, body: Vec::new() },
    }
}

/// Asks the server, unless the webhook it is about is spoilt.
async fn forward(shared: &Shared, turn: &Turn, request: &Request) -> Answer {
    if let Some(spoilt) = hooks::before(shared, turn.kind, request) {
        return spoilt;
    }
    let path = hooks::renumbered(shared, turn.kind, &request.path);
    let mut answer = send(shared, request, &path).await;
    {
        let mut state = shared.state();
        state.log[turn.place].upstream = Some(answer.status);
        let skew = state.plan.skew_ms;
        if skew != 0 {
            answer.date = answer.date.map(|date| hooks::later_date(&date, skew));
        }
    }
    let fault = turn.fault.filter(|fault| PAYLOADS.contains(fault));
    let (changed, happened) = hooks::after(shared, turn.kind, request, answer, fault, turn.detail);
    if fault.is_some() && !happened {
        shared.state().log[turn.place].fault = None;
    }
    if fault == Some(Fault::HookGone) && happened {
        // It takes one of ten places otherwise.
        let hook = request.path.split("/payloads").next().unwrap_or_default().to_owned();
        let gone = Request { method: "DELETE".into(), path: hook.clone(), ..request.clone() };
        send(shared, &gone, &hook).await;
    }
    changed
}

async fn send(shared: &Shared, request: &Request, path: &str) -> Answer {
    let method = request.method.parse().unwrap();
    let mut out = shared.client.request(method, format!("http://{}{path}", shared.upstream));
    for (name, value) in request.headers.iter().filter(|(name, _)| !HOP.contains(&name.as_str())) {
        out = out.header(name, value);
    }
    if let Some(token) = request.header("authorization") {
        out = out.header("authorization", token);
    }
    if !request.body.is_empty() {
        out = out.body(request.body.clone());
    }
    let answer = out.send().await.unwrap_or_else(|e| panic!("the server behind the proxy: {e:?}"));
    let text =
        |name: &str| answer.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let (status, kind, date) =
        (answer.status().as_u16(), text("content-type").unwrap_or_default(), text("date"));
    let body = answer.bytes().await.unwrap().to_vec();
    Answer { status, kind, date, body }
}

/// Changes the schema behind the caller's back; asked again while the server refuses for its limits.
async fn change_schema(shared: &Shared, edit: Edit) {
    let headers = vec![
        ("authorization".to_owned(), format!("Bearer {}", edit.token)),
        ("content-type".to_owned(), "application/json".to_owned()),
    ];
    let body = edit.body.to_string().into_bytes();
    let request = Request { method: edit.method.into(), path: edit.path.clone(), headers, body };
    loop {
        let answer = send(shared, &request, &edit.path).await;
        if answer.status != 429 {
            assert_eq!(answer.status, 200, "{edit:?}: {}", String::from_utf8_lossy(&answer.body));
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
}
