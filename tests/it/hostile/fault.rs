//! What can go wrong, and to which requests.

use serde_json::Value;

/// What a request is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// The first page of a list.
    List,
    /// A further page.
    NextPage,
    Get,
    Create,
    Update,
    Upsert,
    Delete,
    /// Payloads of a webhook.
    Payloads,
    /// Making, listing, refreshing, deleting webhooks.
    Hooks,
    /// Reading or changing the schema.
    Schema,
    Other,
}

impl Kind {
    /// Of a request; `path` with its query.
    pub fn of(method: &str, path: &str, body: &Value) -> Self {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
        let continued = query.split('&').any(|pair| pair.starts_with("offset=") && pair.len() > 7)
            || body["offset"].as_str().is_some_and(|offset| !offset.is_empty());
        let list = if continued { Self::NextPage } else { Self::List };
        match (method, parts.as_slice()) {
            (_, ["v0", "bases", _, "webhooks", _, "payloads"]) => Self::Payloads,
            (_, ["v0", "bases", _, "webhooks", ..]) => Self::Hooks,
            (_, ["v0", "meta", "bases", _, "tables", ..]) => Self::Schema,
            (_, ["v0", "meta", ..]) => Self::Other,
            ("GET", ["v0", _, _]) | ("POST", ["v0", _, _, "listRecords"]) => list,
            ("GET", ["v0", _, _, _]) => Self::Get,
            ("POST", ["v0", _, _]) => Self::Create,
            ("PATCH" | "PUT", ["v0", _, _]) if body.get("performUpsert").is_some() => Self::Upsert,
            ("PATCH" | "PUT", ["v0", _, _] | ["v0", _, _, _]) => Self::Update,
            ("DELETE", ["v0", _, _] | ["v0", _, _, _]) => Self::Delete,
            _ => Self::Other,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Fault {
    /// 429, and the penalty begins.
    RateLimit,
    /// 429, because a penalty lasts; follows from `RateLimit`.
    Penalty,
    /// 500, 502 or 503 and nothing was done.
    ErrorBefore,
    /// 500, 502 or 503 although it was done.
    ErrorAfter,
    /// The body comes in drops.
    SlowBody,
    /// The connection is reset, nothing was done.
    ResetBefore,
    /// It was done; the connection is reset within the head of the answer.
    ResetInHead,
    /// It was done; the connection is reset within the body.
    ResetInBody,
    /// It was done; the answer is whole as HTTP, but its JSON ends in the middle.
    TruncatedJson,
    /// It was done; the connection is closed before the length that was promised.
    ShortBody,
    /// It was done; no answer comes.
    Silence,
    /// The offset of a page lapsed.
    ExpiredOffset,
    /// The webhook is past its time: listed as disabled, its payloads refused.
    HookExpired,
    /// The webhook is past its time, and only its listing says so: no payload comes any more.
    HookSilent,
    /// Somebody deleted the webhook.
    HookGone,
    /// The webhook ends with an error payload.
    ErrorPayload,
    /// A payload comes twice.
    DuplicatePayload,
    /// A payload is left out; the cursor shows it.
    MissingPayload,
    /// A payload is left out, and cursors are numbered as if it had never been.
    HiddenGap,
    /// The schema changes before the list is read.
    SchemaChange,
}

/// What can happen to every request.
pub const ANYWHERE: [Fault; 9] = [
    Fault::RateLimit,
    Fault::ErrorBefore,
    Fault::ErrorAfter,
    Fault::SlowBody,
    Fault::ResetBefore,
    Fault::ResetInHead,
    Fault::ResetInBody,
    Fault::TruncatedJson,
    Fault::ShortBody,
];

/// What can happen to webhooks and their payloads.
pub const PAYLOADS: [Fault; 7] = [
    Fault::HookExpired,
    Fault::HookSilent,
    Fault::HookGone,
    Fault::ErrorPayload,
    Fault::DuplicatePayload,
    Fault::MissingPayload,
    Fault::HiddenGap,
];

impl Fault {
    pub fn can_happen_to(self, kind: Kind) -> bool {
        match self {
            Self::ExpiredOffset => kind == Kind::NextPage,
            Self::SchemaChange => matches!(kind, Kind::List | Kind::NextPage),
            _ if PAYLOADS.contains(&self) => kind == Kind::Payloads,
            _ => true,
        }
    }
}
