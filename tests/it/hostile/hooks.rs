//! Webhooks that lapse, vanish, break, repeat themselves and leave things out.

use jiff::Timestamp;
use jiff::fmt::rfc2822;
use serde_json::{Value, json};

use super::wire::{Answer, Request};
use super::{Chance, Fault, Kind, Shared};

/// What is wrong with a webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wrong {
    Expired,
    Silent,
    Gone,
    /// Its last payload, with this number, is an error.
    Broken(i64),
}

/// A webhook as callers see it.
#[derive(Debug, Default)]
pub(super) struct Hook {
    wrong: Option<Wrong>,
    /// How many payloads were left out without a trace.
    hidden: i64,
}

/// The id of the webhook a path is about.
fn hook_of(path: &str) -> Option<&str> {
    path.split(['/', '?']).find(|part| part.starts_with("ach"))
}

fn cursor_of(path: &str) -> i64 {
    let query = path.split_once('?').map(|(_, query)| query).unwrap_or_default();
    query.split('&').find_map(|pair| pair.strip_prefix("cursor=")?.parse().ok()).unwrap_or(1)
}

fn refused(status: u16, kind: &str) -> Answer {
    Answer::json(status, &json!({"error": {"type": kind, "message": "No such webhook, or it has expired"}}))
}

fn error_payload() -> Value {
    json!({"timestamp": Timestamp::now().to_string(), "baseTransactionNumber": 1, "payloadFormat": "v0",
           "error": true, "code": "INVALID_HOOK"})
}

/// The answer about a webhook with which something is wrong; `None` when the server is to be asked.
pub(super) fn before(shared: &Shared, kind: Kind, request: &Request) -> Option<Answer> {
    let state = shared.state();
    let wrong = state.hooks.get(hook_of(&request.path)?)?.wrong?;
    let deletes = request.method == "DELETE";
    match (wrong, kind) {
        (Wrong::Gone, _) if deletes => Some(refused(404, "NOT_FOUND")),
        (Wrong::Gone, _) => Some(refused(403, "INVALID_PERMISSIONS_OR_MODEL_NOT_FOUND")),
        // Deleting it goes on to the server.
        (_, Kind::Hooks) => (!deletes).then(|| refused(422, "INVALID_REQUEST_UNKNOWN")),
        (Wrong::Expired, _) => Some(refused(422, "INVALID_REQUEST_UNKNOWN")),
        (Wrong::Silent, _) => {
            let cursor = cursor_of(&request.path);
            Some(Answer::json(200, &json!({"payloads": [], "cursor": cursor, "mightHaveMore": false})))
        }
        (Wrong::Broken(last), _) => {
            let cursor = cursor_of(&request.path);
            let payloads = if cursor <= last { vec![error_payload()] } else { Vec::new() };
            let next = cursor.max(last + 1);
            Some(Answer::json(200, &json!({"payloads": payloads, "cursor": next, "mightHaveMore": false})))
        }
    }
}

/// The path with the cursor as the server counts.
pub(super) fn renumbered(shared: &Shared, kind: Kind, path: &str) -> String {
    let state = shared.state();
    let hidden = hook_of(path).and_then(|id| state.hooks.get(id)).map_or(0, |hook| hook.hidden);
    if kind != Kind::Payloads || hidden == 0 {
        return path.to_owned();
    }
    let cursor = cursor_of(path);
    path.replace(&format!("cursor={cursor}"), &format!("cursor={}", cursor + hidden))
}

/// Changes an answer about webhooks; also whether the fault found something to happen to.
pub(super) fn after(
    shared: &Shared,
    kind: Kind,
    request: &Request,
    answer: Answer,
    fault: Option<Fault>,
    detail: u64,
) -> (Answer, bool) {
    if answer.status != 200 || !matches!(kind, Kind::Payloads | Kind::Hooks) {
        return (answer, false);
    }
    let Ok(mut body) = serde_json::from_slice::<Value>(&answer.body) else { return (answer, false) };
    let mut state = shared.state();
    let skew = state.plan.skew_ms;
    if kind == Kind::Hooks {
        if let Some(listed) = body["webhooks"].as_array_mut() {
            listed.retain_mut(|hook| {
                let wrong = state.hooks.get(hook["id"].as_str().unwrap_or_default()).and_then(|h| h.wrong);
                if wrong.is_some() {
                    hook["isHookEnabled"] = json!(false);
                }
                wrong != Some(Wrong::Gone)
            });
        }
        return (Answer { body: body.to_string().into_bytes(), ..answer }, false);
    }
    let Some(id) = hook_of(&request.path).map(str::to_owned) else { return (answer, false) };
    let hook = state.hooks.entry(id).or_default();
    let mut answer = answer;
    let mut cursor = body["cursor"].as_i64().unwrap_or(1);
    let happened = match (fault, body["payloads"].as_array_mut()) {
        (Some(fault), Some(payloads)) => {
            spoil(hook, fault, payloads, (cursor_of(&request.path), &mut cursor), detail)
        }
        _ => Happened::Nothing,
    };
    if let Happened::Instead(other) = happened {
        return (other, true);
    }
    body["cursor"] = json!(cursor - hook.hidden);
    if skew != 0 {
        for payload in body["payloads"].as_array_mut().into_iter().flatten() {
            let moved = payload["timestamp"].as_str().map(|text| later(text, skew));
            payload["timestamp"] = json!(moved);
        }
    }
    answer.body = body.to_string().into_bytes();
    (answer, happened == Happened::Here)
}

#[derive(Debug)]
enum Happened {
    Nothing,
    Here,
    Instead(Answer),
}

impl PartialEq for Happened {
    fn eq(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }
}

/// Lets a fault happen to a page of payloads; `cursors` are the one asked for and the next one.
fn spoil(
    hook: &mut Hook,
    fault: Fault,
    payloads: &mut Vec<Value>,
    cursors: (i64, &mut i64),
    detail: u64,
) -> Happened {
    let (asked, cursor) = cursors;
    let place = Chance::new(detail).below(payloads.len());
    match fault {
        Fault::HookExpired => {
            hook.wrong = Some(Wrong::Expired);
            Happened::Instead(refused(422, "INVALID_REQUEST_UNKNOWN"))
        }
        Fault::HookGone => {
            hook.wrong = Some(Wrong::Gone);
            Happened::Instead(refused(403, "INVALID_PERMISSIONS_OR_MODEL_NOT_FOUND"))
        }
        Fault::HookSilent => {
            hook.wrong = Some(Wrong::Silent);
            payloads.clear();
            *cursor = asked + hook.hidden;
            Happened::Here
        }
        Fault::ErrorPayload => {
            hook.wrong = Some(Wrong::Broken(*cursor - hook.hidden));
            payloads.push(error_payload());
            *cursor += 1;
            Happened::Here
        }
        _ if payloads.is_empty() => Happened::Nothing,
        Fault::DuplicatePayload => {
            let twice = payloads[place].clone();
            payloads.insert(place, twice);
            Happened::Here
        }
        Fault::MissingPayload => {
            payloads.remove(place);
            Happened::Here
        }
        Fault::HiddenGap => {
            payloads.remove(place);
            hook.hidden += 1;
            Happened::Here
        }
        _ => Happened::Nothing,
    }
}

/// A moment of a payload, moved.
fn later(text: &str, ms: i64) -> String {
    let at: Timestamp = text.parse().unwrap();
    let moved = Timestamp::from_millisecond(at.as_millisecond() + ms).unwrap();
    format!("{moved:.3}")
}

/// A moment of a `Date` header, moved.
pub(super) fn later_date(text: &str, ms: i64) -> String {
    let at = rfc2822::parse(text).unwrap().timestamp();
    let moved = Timestamp::from_millisecond(at.as_millisecond() + ms).unwrap();
    rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&moved).unwrap()
}
