//! Webhooks: hearing of changes.

use reqwest::Method;
use rustc_hash::FxHashMap;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tablewright_core::model::{BaseId, RecordId, TableId, WebhookId};
use tablewright_core::secret::Secret;

use super::send::{Repeat, Request, instant, maybe_instant};
use super::{Answer, Ask, Error, Session};

const MANAGE: &str = "webhook:manage";

/// A webhook that was just made.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct CreatedWebhook {
    /// Its id.
    pub id: WebhookId,
    /// The key its pings are signed with, in base64. It is told only once.
    #[serde(rename = "macSecretBase64")]
    pub secret: Secret,
    /// When it ends unless it is refreshed, in milliseconds since the epoch.
    #[serde(default, rename = "expirationTime", deserialize_with = "maybe_instant")]
    pub expires: Option<i64>,
}

/// A webhook of a base.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListedWebhook {
    /// Its id.
    pub id: WebhookId,
    /// What it hears of.
    #[serde(default)]
    pub specification: Value,
    /// Where its pings go.
    #[serde(default)]
    pub notification_url: Option<String>,
    /// The number of the next payload it gets.
    #[serde(default)]
    pub cursor_for_next_payload: i64,
    /// False when it is broken for good.
    #[serde(default)]
    pub is_hook_enabled: bool,
    /// Whether pings go out.
    #[serde(default)]
    pub are_notifications_enabled: bool,
    /// When it ends unless it is refreshed, in milliseconds since the epoch.
    #[serde(default, rename = "expirationTime", deserialize_with = "maybe_instant")]
    pub expires: Option<i64>,
    /// How the last ping went.
    #[serde(default)]
    pub last_notification_result: Value,
}

/// One page of payloads.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Payloads {
    /// The payloads, in order.
    pub payloads: Vec<Payload>,
    /// The number to go on from.
    pub cursor: i64,
    /// Whether there are more already.
    #[serde(default)]
    pub might_have_more: bool,
}

/// What a webhook tells of one change.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Payload {
    /// When it happened, in milliseconds since the epoch.
    #[serde(deserialize_with = "instant")]
    pub timestamp: i64,
    /// The number of the base's transaction; several payloads may share one.
    #[serde(default)]
    pub base_transaction_number: Option<i64>,
    /// Whether this tells of trouble with the webhook instead of a change.
    #[serde(default)]
    pub error: bool,
    /// Which trouble: `INVALID_FILTERS`, `INVALID_HOOK` or `INTERNAL_ERROR`.
    #[serde(default)]
    pub code: Option<String>,
    /// All else: `changedTablesById`, `createdTablesById`, `destroyedTableIds`, `actionMetadata`.
    #[serde(flatten)]
    pub body: Map<String, Value>,
}

/// What of one table a payload is about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Touched {
    /// Records that are new or whose cells have changed.
    pub changed: Vec<RecordId>,
    /// Records that are gone.
    pub destroyed: Vec<RecordId>,
    /// Whether the table is new or gone, or its name or fields have changed.
    pub schema: bool,
}

impl Payload {
    /// What it is about, by table. Ids that cannot be read count as a change of the schema, so
    /// that the table is looked at.
    pub fn touched(&self) -> FxHashMap<TableId, Touched> {
        let mut all: FxHashMap<TableId, Touched> = FxHashMap::default();
        let object = |value: Option<&Value>| value.and_then(Value::as_object).cloned().unwrap_or_default();
        for (table, change) in object(self.body.get("changedTablesById")) {
            let Ok(table) = table.parse() else { continue };
            let touched = all.entry(table).or_default();
            let records = |keys: &[&str]| -> Vec<String> {
                keys.iter().flat_map(|key| object(change.get(*key)).into_iter().map(|(id, _)| id)).collect()
            };
            let mut read = |ids: Vec<String>, into: &mut Vec<RecordId>| {
                for id in ids {
                    match id.parse() {
                        Ok(id) => into.push(id),
                        Err(_) => touched.schema = true,
                    }
                }
            };
            let destroyed = change["destroyedRecordIds"].as_array().cloned().unwrap_or_default();
            let destroyed = destroyed.iter().map(|id| id.as_str().unwrap_or_default().to_owned()).collect();
            let (mut changed, mut gone) = (Vec::new(), Vec::new());
            read(records(&["createdRecordsById", "changedRecordsById"]), &mut changed);
            read(destroyed, &mut gone);
            touched.changed.extend(changed);
            touched.destroyed.extend(gone);
            touched.schema |=
                ["createdFieldsById", "changedFieldsById", "destroyedFieldIds", "changedMetadata"]
                    .iter()
                    .any(|key| change.get(*key).is_some());
        }
        let created = object(self.body.get("createdTablesById")).into_iter().map(|(id, _)| id);
        let destroyed =
            self.body.get("destroyedTableIds").and_then(Value::as_array).cloned().unwrap_or_default();
        let destroyed = destroyed.into_iter().filter_map(|id| id.as_str().map(str::to_owned));
        for table in created.chain(destroyed) {
            if let Ok(table) = table.parse() {
                all.entry(table).or_default().schema = true;
            }
        }
        all
    }
}

#[derive(Deserialize)]
struct Webhooks {
    webhooks: Vec<ListedWebhook>,
}

#[derive(Deserialize)]
struct Refreshed {
    #[serde(default, rename = "expirationTime", deserialize_with = "maybe_instant")]
    expires: Option<i64>,
}

impl Session {
    fn webhooks_url(&self, base: BaseId, rest: &[&str]) -> Result<url::Url, Error> {
        let base = base.to_string();
        let mut parts = vec!["bases", base.as_str(), "webhooks"];
        parts.extend(rest);
        self.airtable.shared.url(&parts)
    }

    /// Makes a webhook; `specification` is `{"options": {"filters": …}}`. Without an address no
    /// pings go out, and payloads can be read all the same.
    pub async fn create_webhook(
        &self,
        ask: &Ask,
        base: BaseId,
        notification_url: Option<&str>,
        specification: &Value,
    ) -> Result<Answer<CreatedWebhook>, Error> {
        let url = self.webhooks_url(base, &[])?;
        let mut body = json!({ "specification": specification });
        if let Some(address) = notification_url {
            body["notificationUrl"] = address.into();
        }
        let request = Request::json(Method::POST, url, Some(base), Repeat::Never, MANAGE, &body)?;
        self.call(None, ask, &request).await
    }

    /// The webhooks of a base.
    pub async fn list_webhooks(&self, ask: &Ask, base: BaseId) -> Result<Answer<Vec<ListedWebhook>>, Error> {
        let url = self.webhooks_url(base, &[])?;
        let list: Answer<Webhooks> = self.call(None, ask, &Request::get(url, Some(base), MANAGE)).await?;
        Ok(list.map(|list| list.webhooks))
    }

    /// Deletes a webhook.
    pub async fn delete_webhook(&self, ask: &Ask, base: BaseId, id: WebhookId) -> Result<Answer<()>, Error> {
        let url = self.webhooks_url(base, &[&id.to_string()])?;
        let request = Request::delete(url, Some(base), MANAGE);
        self.delete_one(ask, &request).await
    }

    /// Gives a webhook seven more days; when it ends now.
    pub async fn refresh_webhook(
        &self,
        ask: &Ask,
        base: BaseId,
        id: WebhookId,
    ) -> Result<Answer<Option<i64>>, Error> {
        let url = self.webhooks_url(base, &[&id.to_string(), "refresh"])?;
        let request =
            Request { method: Method::POST, repeat: Repeat::Freely, ..Request::get(url, Some(base), MANAGE) };
        let done: Answer<Refreshed> = self.call(None, ask, &request).await?;
        Ok(done.map(|done| done.expires))
    }

    /// Turns the pings of a webhook on or off.
    pub async fn enable_webhook(
        &self,
        ask: &Ask,
        base: BaseId,
        id: WebhookId,
        on: bool,
    ) -> Result<Answer<()>, Error> {
        let url = self.webhooks_url(base, &[&id.to_string(), "enableNotifications"])?;
        let body = json!({ "enable": on });
        let request = Request::json(Method::POST, url, Some(base), Repeat::Freely, MANAGE, &body)?;
        self.tell(ask, &request).await
    }

    /// Payloads from number `cursor` on, at most fifty. Reading them gives the webhook seven more
    /// days.
    pub async fn payloads(
        &self,
        ask: &Ask,
        base: BaseId,
        id: WebhookId,
        cursor: i64,
    ) -> Result<Answer<Payloads>, Error> {
        let mut url = self.webhooks_url(base, &[&id.to_string(), "payloads"])?;
        url.query_pairs_mut().append_pair("cursor", &cursor.max(1).to_string());
        self.call(None, ask, &Request::get(url, Some(base), MANAGE)).await
    }
}
