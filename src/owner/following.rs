//! What a client follows, so that it goes on hearing of changes when its owner is replaced, and
//! hears that some may have gone by unseen.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

/// Subscriptions that are remembered; an owner takes no more of one conversation.
const MAX_REMEMBERED: usize = 200;

/// Subscriptions of a conversation. Ids are JSON as it was written.
#[derive(Default)]
pub(super) struct Following {
    /// Addresses that a client of the older era subscribed to.
    subscribed: BTreeSet<String>,
    /// Requests to subscribe that have no answer yet.
    asked: BTreeMap<String, String>,
    /// Requests to subscribe that the relay sent by itself.
    repeated: BTreeMap<String, String>,
    /// Listen requests that go on; true once the client was told so.
    listening: BTreeMap<String, bool>,
    last: u64,
}

/// What becomes of a line on its way to the client.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Passage {
    /// It goes on as it is.
    Whole,
    /// These lines go instead of it.
    Instead(Vec<u8>),
}

#[derive(Deserialize)]
struct Acknowledged<'a> {
    method: Option<std::borrow::Cow<'a, str>>,
    #[serde(borrow)]
    params: Option<AcknowledgedParams<'a>>,
}

#[derive(Deserialize)]
struct AcknowledgedParams<'a> {
    #[serde(borrow, rename = "_meta")]
    meta: Option<BTreeMap<String, &'a RawValue>>,
    notifications: Option<Accepted>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Accepted {
    #[serde(default)]
    resources_list_changed: bool,
    #[serde(default)]
    resource_subscriptions: Vec<String>,
}

const SUBSCRIPTION: &str = "io.modelcontextprotocol/subscriptionId";

fn push(out: &mut Vec<u8>, message: &Value) {
    out.extend_from_slice(message.to_string().as_bytes());
    out.push(b'\n');
}

fn updated(uri: &str, subscription: Option<&Value>) -> Value {
    let mut params = json!({"uri": uri});
    if let Some(id) = subscription {
        params["_meta"] = json!({SUBSCRIPTION: id});
    }
    json!({"jsonrpc": "2.0", "method": "notifications/resources/updated", "params": params})
}

fn list_changed(subscription: Option<&Value>) -> Value {
    let mut message = json!({"jsonrpc": "2.0", "method": "notifications/resources/list_changed"});
    if let Some(id) = subscription {
        message["params"] = json!({"_meta": {SUBSCRIPTION: id}});
    }
    message
}

impl Following {
    /// Notes a request on its way to the owner.
    pub(super) fn sent(&mut self, method: &str, id: &str, uri: Option<&str>) {
        match (method, uri) {
            ("resources/subscribe", Some(uri)) if self.asked.len() < MAX_REMEMBERED => {
                self.asked.insert(id.to_owned(), uri.to_owned());
            }
            ("resources/unsubscribe", Some(uri)) => {
                self.subscribed.remove(uri);
            }
            ("subscriptions/listen", _) if self.listening.len() < MAX_REMEMBERED => {
                self.listening.insert(id.to_owned(), false);
            }
            _ => {}
        }
    }

    /// Notes that the client, or this process, no longer waits for an answer.
    pub(super) fn dropped(&mut self, id: &str) {
        self.asked.remove(id);
        self.listening.remove(id);
    }

    /// True while the client is to hear of changes.
    pub(super) fn is_following(&self) -> bool {
        !self.subscribed.is_empty()
    }

    /// True when the answer to this request has to be looked at.
    pub(super) fn minds(&self, id: &str) -> bool {
        self.asked.contains_key(id) || self.repeated.contains_key(id) || self.listening.contains_key(id)
    }

    /// True for a listen request that goes on.
    pub(super) fn listens(&self, id: &str) -> bool {
        self.listening.contains_key(id)
    }

    /// Notes the answer to a request that [`Following::minds`].
    pub(super) fn answered(&mut self, id: &str, good: bool) -> Passage {
        if let Some(uri) = self.repeated.remove(id) {
            let mut out = Vec::new();
            push(&mut out, &updated(&uri, None));
            return Passage::Instead(out);
        }
        if let Some(uri) = self.asked.remove(id)
            && good
            && self.subscribed.len() < MAX_REMEMBERED
        {
            self.subscribed.insert(uri);
        }
        // An owner lets go of its listeners when it ends; the next one takes them on.
        if good && self.listening.contains_key(id) {
            return Passage::Instead(Vec::new());
        }
        self.listening.remove(id);
        Passage::Whole
    }

    /// Notes a notification. A second acknowledgement is that of another owner: what the client
    /// listens for may have changed in between.
    pub(super) fn noticed(&mut self, line: &[u8]) -> Passage {
        if self.listening.is_empty() {
            return Passage::Whole;
        }
        let Ok(Acknowledged { method: Some(method), params: Some(params) }) = serde_json::from_slice(line)
        else {
            return Passage::Whole;
        };
        let id = params.meta.as_ref().and_then(|meta| meta.get(SUBSCRIPTION)).map(|id| id.get());
        let told = id.and_then(|id| self.listening.get_mut(id));
        let (Some(id), Some(told), Some(accepted)) = (id, told, params.notifications) else {
            return Passage::Whole;
        };
        if method != "notifications/subscriptions/acknowledged" || !std::mem::replace(told, true) {
            return Passage::Whole;
        }
        let id: Value = serde_json::from_str(id).unwrap_or_default();
        let mut out = Vec::new();
        for uri in &accepted.resource_subscriptions {
            push(&mut out, &updated(uri, Some(&id)));
        }
        if accepted.resources_list_changed {
            push(&mut out, &list_changed(Some(&id)));
        }
        Passage::Instead(out)
    }

    /// The requests that subscribe again with another owner.
    pub(super) fn repeat(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        self.repeated.clear();
        for uri in &self.subscribed {
            self.last += 1;
            let id = json!(format!("relay-{}", self.last));
            push(
                &mut out,
                &json!({"jsonrpc": "2.0", "id": id, "method": "resources/subscribe", "params": {"uri": uri}}),
            );
            self.repeated.insert(id.to_string(), uri.clone());
        }
        out
    }

    /// What a client of the older era is told when it has another owner.
    pub(super) fn renewed() -> Vec<u8> {
        let mut out = Vec::new();
        push(&mut out, &list_changed(None));
        out
    }

    /// The answer to a listen request when there is no owner any more.
    pub(super) fn ended(id: &Value) -> Value {
        json!({"jsonrpc": "2.0", "id": id, "result": {"resultType": "complete", "_meta": {SUBSCRIPTION: id}}})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(passage: Passage) -> String {
        match passage {
            Passage::Whole => "whole".into(),
            Passage::Instead(bytes) => String::from_utf8(bytes).unwrap(),
        }
    }

    #[test]
    fn subscriptions_are_repeated_and_their_answers_kept_back() {
        let mut following = Following::default();
        following.sent("resources/subscribe", "1", Some("airtable://a/schema"));
        following.sent("resources/subscribe", "2", Some("airtable://b/schema"));
        assert_eq!(text(following.answered("1", true)), "whole");
        assert_eq!(text(following.answered("2", false)), "whole");
        let sent = String::from_utf8(following.repeat()).unwrap();
        assert_eq!(sent.lines().count(), 1, "{sent}");
        assert!(sent.contains("airtable://a/schema") && sent.contains("\"relay-1\""), "{sent}");
        assert!(following.minds("\"relay-1\""));
        let told = text(following.answered("\"relay-1\"", true));
        assert!(told.contains("resources/updated") && told.contains("airtable://a/schema"), "{told}");
        following.sent("resources/unsubscribe", "3", Some("airtable://a/schema"));
        assert!(following.repeat().is_empty() && !following.is_following());
    }

    #[test]
    fn a_listen_request_goes_on_with_another_owner() {
        let mut following = Following::default();
        following.sent("subscriptions/listen", "7", None);
        let acknowledged = json!({"jsonrpc": "2.0", "method": "notifications/subscriptions/acknowledged", "params": {
            "_meta": {SUBSCRIPTION: 7}, "notifications": {"resourcesListChanged": true, "resourceSubscriptions": ["airtable://bases"]}}});
        let line = acknowledged.to_string();
        assert_eq!(text(following.noticed(line.as_bytes())), "whole");
        assert_eq!(text(following.answered("7", true)), "", "its owner ends");
        let told = text(following.noticed(line.as_bytes()));
        assert_eq!(told.lines().count(), 2, "{told}");
        assert!(
            told.lines().all(|line| line.contains("\"io.modelcontextprotocol/subscriptionId\":7")),
            "{told}"
        );
        assert_eq!(text(following.answered("7", false)), "whole", "a refusal is passed on");
        assert!(!following.listens("7"));
    }
}
