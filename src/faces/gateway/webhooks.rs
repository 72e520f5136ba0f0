//! Webhooks of a base.
//!
//! Where Airtable's documentation says nothing: a specification, address, limit or cursor that
//! cannot be used, the eleventh webhook, and refreshing one that has expired are answered with 422
//! `INVALID_REQUEST_UNKNOWN` and the reason.

use axum::http::Method;
use serde_json::{Map, Value, json};
use tablewright_core::Fault;
use tablewright_core::model::cell::instant_text;
use tablewright_core::model::{BaseId, WebhookId};
use tablewright_door::Call;
use tablewright_door::webhooks::{MAX_PAYLOADS, NewWebhook, Webhook};

use super::Gateway;
use super::body::Sent;
use super::params::{unknown_key, wrong};
use super::query::{Pairs, number, unknown};
use super::refusal::{Refusal, While};

/// What is asked of the webhooks of a base.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ask {
    /// `POST /bases/{base}/webhooks`
    Create,
    /// `GET /bases/{base}/webhooks`
    List,
    /// `DELETE …/{webhook}`
    Delete(WebhookId),
    /// `POST …/{webhook}/enableNotifications`
    Enable(WebhookId),
    /// `POST …/{webhook}/refresh`
    Refresh(WebhookId),
    /// `GET …/{webhook}/payloads`
    Payloads(WebhookId),
}

impl Ask {
    /// The endpoint of a method and what follows `webhooks` in a path.
    pub(super) fn of(method: &Method, parts: &[&str]) -> Option<Self> {
        Some(match (method.as_str(), parts) {
            ("POST", []) => Self::Create,
            ("GET", []) => Self::List,
            ("DELETE", [id]) => Self::Delete(id.parse().ok()?),
            ("POST", [id, "enableNotifications"]) => Self::Enable(id.parse().ok()?),
            ("POST", [id, "refresh"]) => Self::Refresh(id.parse().ok()?),
            ("GET", [id, "payloads"]) => Self::Payloads(id.parse().ok()?),
            _ => return None,
        })
    }

    /// What the audit log calls it.
    pub(super) fn action(self) -> &'static str {
        match self {
            Self::Create => "create_webhook",
            Self::List => "list_webhooks",
            Self::Delete(_) => "delete_webhook",
            Self::Enable(_) => "enable_webhook_notifications",
            Self::Refresh(_) => "refresh_webhook",
            Self::Payloads(_) => "list_webhook_payloads",
        }
    }
}

fn refused(fault: Fault) -> Refusal {
    Refusal::of(&fault, While::Reading)
}

/// Answers; some answers have no body.
pub(super) async fn answer(
    gateway: &Gateway,
    call: &mut Call,
    base: BaseId,
    ask: Ask,
    pairs: &Pairs,
    sent: Sent<'_>,
) -> Result<String, Refusal> {
    let webhooks = &gateway.webhooks;
    if let Ask::Payloads(id) = ask {
        let (cursor, limit) = page(pairs)?;
        let page = webhooks.payloads(call, base, id, cursor.into(), limit).await.map_err(refused)?;
        return Ok(format!(
            "{{\"payloads\":[{}],\"cursor\":{},\"mightHaveMore\":{}}}",
            page.payloads.join(","),
            page.cursor,
            page.has_more
        ));
    }
    pairs.none()?;
    match ask {
        Ask::Create => {
            let made = webhooks.create(call, base, new(sent.object().await?)?).await.map_err(refused)?;
            let answer = json!({
                "id": made.id,
                "macSecretBase64": made.secret.reveal(),
                "expirationTime": instant_text(made.expires_at),
            });
            Ok(answer.to_string())
        }
        Ask::List => {
            let listed = webhooks.list(call, base).await.map_err(refused)?;
            let listed: Vec<Value> = listed.into_iter().map(shown).collect();
            Ok(json!({ "webhooks": listed }).to_string())
        }
        Ask::Delete(id) => webhooks.delete(call, base, id).await.map(|()| String::new()).map_err(refused),
        Ask::Enable(id) => {
            let on = enable(sent.object().await?)?;
            let done = webhooks.enable_pings(call, base, id, on).await;
            done.map(|()| String::new()).map_err(refused)
        }
        Ask::Refresh(id) => {
            let expires = webhooks.refresh(call, base, id).await.map_err(refused)?;
            Ok(json!({"expirationTime": instant_text(expires)}).to_string())
        }
        Ask::Payloads(_) => Err(Refusal::no_route()),
    }
}

/// `cursor` and `limit` of a page of payloads.
fn page(pairs: &Pairs) -> Result<(u32, u32), Refusal> {
    let (mut cursor, mut limit) = (1, MAX_PAYLOADS);
    for (key, value) in pairs.iter() {
        let key = key?;
        match key.name {
            "cursor" if key.is("cursor") => cursor = number("cursor", value, 1..=u32::MAX)?,
            "limit" if key.is("limit") => limit = number("limit", value, 1..=MAX_PAYLOADS)?,
            name => return Err(unknown(name)),
        }
    }
    Ok((cursor, limit))
}

fn new(body: Map<String, Value>) -> Result<NewWebhook, Refusal> {
    let (mut specification, mut url) = (None, None);
    for (key, value) in body {
        match (key.as_str(), value) {
            ("specification", given) => specification = Some(given),
            ("notificationUrl", Value::Null) => {}
            ("notificationUrl", Value::String(given)) => url = Some(given),
            ("notificationUrl", _) => return Err(wrong("notificationUrl", "an address")),
            (key, _) => return Err(unknown_key(key)),
        }
    }
    let specification = specification.ok_or_else(|| Refusal::missing("specification"))?;
    Ok(NewWebhook { specification, url })
}

fn enable(body: Map<String, Value>) -> Result<bool, Refusal> {
    let mut on = None;
    for (key, value) in body {
        match (key.as_str(), value) {
            ("enable", Value::Bool(given)) => on = Some(given),
            ("enable", _) => return Err(wrong("enable", "true or false")),
            (key, _) => return Err(unknown_key(key)),
        }
    }
    on.ok_or_else(|| Refusal::missing("enable"))
}

fn shown(webhook: Webhook) -> Value {
    let Webhook { stored, is_enabled } = webhook;
    json!({
        "id": stored.id,
        "specification": stored.specification,
        "notificationUrl": stored.url,
        "cursorForNextPayload": stored.next_cursor,
        "isHookEnabled": is_enabled,
        "areNotificationsEnabled": stored.notifies,
        "expirationTime": instant_text(stored.expires_at),
        "lastSuccessfulNotificationTime": stored.told_at.map(instant_text),
        "lastNotificationResult": stored.result,
    })
}
