//! What can go wrong between us and Airtable, and what a caller is told of it.

use serde_json::Value;
use tablewright_core::model::BaseId;
use tablewright_core::{Code, Fault, Refused};

/// Why a request to Airtable brought nothing. Whether it may have been carried out all the same
/// is the difference between [`Error::Unanswered`] and the rest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No connection, or the wait for a turn was given up: certainly not carried out.
    #[error("Airtable was not reached: {0}")]
    NotSent(String),
    /// It was sent and no whole answer came: it may have been carried out.
    #[error("Airtable gave no usable answer: {0}")]
    Unanswered(String),
    /// A read brought nothing usable; another try may.
    #[error("Airtable gave no usable answer: {0}; try again")]
    Unread(String),
    /// Airtable said no; nothing was done.
    #[error("Airtable refused: {}", words(.0))]
    Refused(Refused),
    /// Airtable does not know the token, or does not let it do this; nothing was done.
    #[error("Airtable refused: {}; {hint}", words(.refused))]
    Forbidden {
        /// Its answer, with status 401 or 403.
        refused: Refused,
        /// What to look at.
        hint: String,
    },
    /// Airtable asks us to wait for longer than the caller would; nothing was done.
    #[error("Airtable takes no more requests for another {seconds} s after one too many; try again then")]
    RateLimited {
        /// Seconds to wait.
        seconds: u64,
    },
    /// The calls of the month are used up; waiting a little does not help. Nothing was done.
    #[error("{message}")]
    Budget {
        /// Whose limit it is, when it ends, and what raises it.
        message: String,
        /// Airtable's answer, when the limit is its own.
        refused: Option<Refused>,
    },
    /// There is no token to send: none is kept, or it could not be renewed. Nothing was done.
    #[error("{0}")]
    Login(String),
}

impl Error {
    /// Airtable's own answer, if it gave one.
    pub fn refused(&self) -> Option<&Refused> {
        match self {
            Self::Refused(refused)
            | Self::Forbidden { refused, .. }
            | Self::Budget { refused: Some(refused), .. } => Some(refused),
            _ => None,
        }
    }

    /// Whether the request may have been carried out although it brought an error.
    pub fn uncertain(&self) -> bool {
        matches!(self, Self::Unanswered(_))
    }
}

/// An answer of Airtable in one line.
fn words(refused: &Refused) -> String {
    match (refused.kind.as_str(), refused.message.as_str()) {
        ("", "") => format!("status {}", refused.status),
        (kind, "") => format!("{kind} (status {})", refused.status),
        ("", message) => format!("{message} (status {})", refused.status),
        (kind, message) => format!("{message} ({kind})"),
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        let message = error.to_string();
        // A redirect is no answer to pass on.
        let origin = error.refused().filter(|refused| refused.status >= 400).cloned();
        let code = match &error {
            Error::NotSent(_) | Error::Unread(_) | Error::RateLimited { .. } => Code::UpstreamUnavailable,
            Error::Unanswered(_) => Code::OutcomeUnknown,
            Error::Forbidden { .. } | Error::Login(_) => Code::UpstreamForbidden,
            Error::Budget { .. } => Code::LimitExceeded,
            Error::Refused(refused) => code_of(refused),
        };
        let fault = Fault::new(code, message);
        match origin {
            Some(refused) => fault.answered(refused),
            None => fault,
        }
    }
}

fn code_of(refused: &Refused) -> Code {
    match refused.kind.as_str() {
        "MODEL_ID_NOT_FOUND" | "ROW_DOES_NOT_EXIST" => Code::UnknownRecord,
        "UNKNOWN_FIELD_NAME" => Code::UnknownField,
        "INVALID_VALUE_FOR_COLUMN" => Code::InvalidValue,
        "INVALID_MULTIPLE_CHOICE_OPTIONS" => Code::UnknownChoice,
        _ => Code::UpstreamRefused,
    }
}

/// What a request needs, for the words of a refusal.
#[derive(Debug, Clone, Copy)]
pub(super) struct Needs {
    pub(super) scope: &'static str,
    pub(super) base: Option<BaseId>,
}

/// Reads an error answer in any of the shapes Airtable uses; a body that is none of them leaves
/// type and message empty.
pub(super) fn read(status: u16, body: &[u8]) -> Refused {
    let text = |value: &Value| value.as_str().map(cut).unwrap_or_default();
    let mut refused = Refused { status, kind: String::new(), message: String::new() };
    let Ok(Value::Object(body)) = serde_json::from_slice(body) else { return refused };
    let of = |key: &str| body.get(key).unwrap_or(&Value::Null);
    match of("errors").get(0).unwrap_or(of("error")) {
        Value::Object(error) => {
            let of = |key: &str| error.get(key).map(text).unwrap_or_default();
            refused.kind = of("type");
            if refused.kind.is_empty() {
                refused.kind = of("error");
            }
            refused.message = of("message");
        }
        other => {
            refused.kind = text(other);
            refused.message = text(of("error_description"));
        }
    }
    refused
}

/// Longest type or message that is passed on, in characters.
const MAX_WORDS: usize = 2_000;

fn cut(text: &str) -> String {
    text.chars().take(MAX_WORDS).collect()
}

/// The error when the plan of a workspace allows no more requests.
pub(super) fn used_up(refused: Refused) -> Error {
    let message = "Airtable takes no more requests this month: the plan of the workspace allows no more. Trying again does not help before the next month; a larger plan does".to_owned();
    Error::Budget { message, refused: Some(refused) }
}

/// The error of an answer that says no.
pub(super) fn refusal(refused: Refused, profile: &str, needs: Needs) -> Error {
    let hint = match (refused.status, refused.kind.as_str()) {
        (401, _) => format!(
            "the token of profile {profile:?} is unknown, expired or revoked; `tablewright connect` adds one"
        ),
        (403, "INVALID_PERMISSIONS_OR_MODEL_NOT_FOUND") => {
            let what = needs.base.map_or_else(
                || "what was asked for".to_owned(),
                |base| format!("base {base} (or the table or record in it)"),
            );
            let scope = needs.scope;
            if scope.is_empty() {
                format!("{what} does not exist or is not granted to the token of profile {profile:?}")
            } else {
                format!("the token of profile {profile:?} lacks {scope}, or {what} is not granted to it")
            }
        }
        (403, _) => format!("the user of profile {profile:?} may not do this in Airtable"),
        _ => return Error::Refused(refused),
    };
    Error::Forbidden { refused, hint }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: u16, kind: &str, message: &str) -> Refused {
        Refused { status, kind: kind.into(), message: message.into() }
    }

    #[test]
    fn every_shape_of_an_error_is_read() {
        for (body, kind, message) in [
            (r#"{"error":{"type":"A","message":"b c"}}"#, "A", "b c"),
            (r#"{"error":{"type":"A"}}"#, "A", ""),
            (r#"{"error":"NOT_FOUND"}"#, "NOT_FOUND", ""),
            (r#"{"errors":[{"error":"RATE_LIMIT_REACHED","message":"slow"}]}"#, "RATE_LIMIT_REACHED", "slow"),
            (r#"{"error":"invalid_grant","error_description":"gone"}"#, "invalid_grant", "gone"),
            (r#"{"error":{"message":"no type"}}"#, "", "no type"),
            (r#"{"error":null}"#, "", ""),
            (r#"{"errors":[]}"#, "", ""),
            (r#"{"error":[1,2]}"#, "", ""),
            (r#"["error"]"#, "", ""),
            ("<html>Bad Gateway</html>", "", ""),
            ("", "", ""),
        ] {
            assert_eq!(read(422, body.as_bytes()), refused(422, kind, message), "{body}");
        }
        let long = format!(r#"{{"error":{{"type":"A","message":"{}"}}}}"#, "x".repeat(100_000));
        assert_eq!(read(422, long.as_bytes()).message.len(), MAX_WORDS);
    }

    #[test]
    fn a_refusal_says_what_to_look_at_and_keeps_the_words() {
        let base = "appA1b2C3d4E5f6G7".parse().unwrap();
        let needs = |scope, base| Needs { scope, base };
        let hidden = "INVALID_PERMISSIONS_OR_MODEL_NOT_FOUND";
        for (answer, needs, code, part) in [
            (
                refused(401, "AUTHENTICATION_REQUIRED", "x"),
                needs("", None),
                Code::UpstreamForbidden,
                "`tablewright connect`",
            ),
            (
                refused(403, hidden, "x"),
                needs("schema.bases:read", Some(base)),
                Code::UpstreamForbidden,
                "lacks schema.bases:read, or base appA1b2C3d4E5f6G7",
            ),
            (
                refused(403, "INVALID_PERMISSIONS", "no writing"),
                needs("", Some(base)),
                Code::UpstreamForbidden,
                "no writing",
            ),
            (
                refused(404, "MODEL_ID_NOT_FOUND", ""),
                needs("", None),
                Code::UnknownRecord,
                "MODEL_ID_NOT_FOUND",
            ),
            (
                refused(422, "ROW_DOES_NOT_EXIST", "Record ID recX"),
                needs("", None),
                Code::UnknownRecord,
                "Record ID recX",
            ),
            (refused(422, "UNKNOWN_FIELD_NAME", "Unknown"), needs("", None), Code::UnknownField, "Unknown"),
            (refused(422, "INVALID_VALUE_FOR_COLUMN", "Field"), needs("", None), Code::InvalidValue, "Field"),
            (
                refused(422, "INVALID_MULTIPLE_CHOICE_OPTIONS", "Ins"),
                needs("", None),
                Code::UnknownChoice,
                "Ins",
            ),
            (refused(413, "", ""), needs("", None), Code::UpstreamRefused, "status 413"),
        ] {
            let fault = Fault::from(refusal(answer.clone(), "me", needs));
            assert_eq!((fault.code, fault.origin.as_deref()), (code, Some(&answer)), "{fault}");
            assert!(fault.message.contains(part), "{fault}");
        }
    }

    #[test]
    fn what_may_have_been_done_is_told_from_what_was_not() {
        for (error, code) in [
            (Error::NotSent("x".into()), Code::UpstreamUnavailable),
            (Error::Unread("x".into()), Code::UpstreamUnavailable),
            (Error::RateLimited { seconds: 3 }, Code::UpstreamUnavailable),
            (Error::Unanswered("x".into()), Code::OutcomeUnknown),
            (Error::Login("x".into()), Code::UpstreamForbidden),
            (used_up(refused(429, "PUBLIC_API_BILLING_LIMIT_EXCEEDED", "x")), Code::LimitExceeded),
        ] {
            assert_eq!(Fault::from(error.clone()).code, code, "{error}");
        }
    }
}
