//! Webhooks: other programs hear of changes, by reading payloads and being pinged.
//!
//! The change log is the source. A follower turns each commit into a payload for every webhook it
//! matters to; a second task pings those who gave an address. Everything is kept in the store, so
//! that it survives a restart and costs no memory.

mod cell;
mod follow;
mod moment;
mod payload;
mod ping;
mod specification;
mod tell;

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustc_hash::FxHashSet;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tablewright_core::model::{BaseId, WebhookId};
use tablewright_core::secret::Secret;
use tablewright_core::{Code, Fault};
use tablewright_engine::Engine;
use tablewright_engine::files::Files;
use tablewright_engine::store::webhooks::StoredWebhook;
use tokio::sync::{Mutex, Notify, watch};
use tokio_util::sync::CancellationToken;

use crate::access::Need;
use crate::call::Call;
use crate::egress::Egress;
use crate::policy::file::Verb;
use follow::Progress;
use specification::{DataType, Missing, Specification};

/// Settings of webhooks.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Milliseconds before a ping that failed goes out again, 10,000 by default; each further try
    /// waits twice as long (1 to 3,600,000).
    pub first_retry_ms: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { first_retry_ms: 10_000 }
    }
}

impl Options {
    /// Refuses values that are out of range: the setting and why.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        if (1..=3_600_000).contains(&self.first_retry_ms) {
            return Ok(());
        }
        Err(("first_retry_ms", "it must be 1 to 3600000".into()))
    }
}

/// Webhooks a base may have, as in Airtable.
const MAX_WEBHOOKS: i64 = 10;
/// Most payloads of a page, as in Airtable.
pub const MAX_PAYLOADS: u32 = 50;
/// A page that has this many bytes gets no more payloads.
const PAGE_BYTES: usize = 8 << 20;
/// How long a webhook lives without being refreshed, how long it can be read afterwards, and how
/// long a payload is kept: seven days each, as in Airtable. Milliseconds.
const WEEK: i64 = 7 * 86_400_000;
/// How long a reader waits for commits made before it asked.
const WAIT: Duration = Duration::from_secs(5);
/// How often what is too old is dropped.
const PRUNE_EVERY: Duration = Duration::from_secs(3_600);

/// The webhooks of a data directory. Cheap to clone.
#[derive(Clone)]
pub struct Webhooks {
    shared: Arc<Shared>,
}

struct Shared {
    engine: Engine,
    files: Files,
    options: Options,
    egress: Egress,
    progress: Mutex<Progress>,
    /// The newest commit that is told.
    reached: watch::Sender<i64>,
    /// Bases of which computed cells are noted; held while a webhook is made.
    noted: Mutex<FxHashSet<BaseId>>,
    /// A webhook was made.
    made: Notify,
    /// Pings may be due.
    pings: Notify,
}

/// A webhook to be made.
#[derive(Debug, Clone, PartialEq)]
pub struct NewWebhook {
    /// What it wants to hear, in the words of the Web API.
    pub specification: Value,
    /// Where pings go; nowhere when absent.
    pub url: Option<String>,
}

/// A webhook that was made. The key is shown this once.
#[derive(Debug, Clone)]
pub struct Made {
    /// Its id.
    pub id: WebhookId,
    /// The key that signs its pings, in base64.
    pub secret: Secret,
    /// Until when payloads are made, in milliseconds since the epoch.
    pub expires_at: i64,
}

/// A webhook, and whether it still makes payloads.
#[derive(Debug, Clone, PartialEq)]
pub struct Webhook {
    /// As it is kept.
    pub stored: StoredWebhook,
    /// False when its time is up, or its specification names something that is gone.
    pub is_enabled: bool,
}

/// Payloads that were asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// JSON texts, in order.
    pub payloads: Vec<String>,
    /// The number to go on with.
    pub cursor: i64,
    /// True when there are more already.
    pub has_more: bool,
}

impl Webhooks {
    /// The webhooks of this engine's store. Computed cells are noted from now on where somebody
    /// wants them.
    pub async fn open(engine: Engine, files: Files, options: Options, egress: Egress) -> Result<Self, Fault> {
        let (position, counted) = engine.store().webhook_progress().await.map_err(Fault::from)?;
        let shared = Shared {
            engine,
            files,
            options,
            egress,
            progress: Mutex::new(Progress::at(position, counted)),
            reached: watch::Sender::new(position),
            noted: Mutex::default(),
            made: Notify::new(),
            pings: Notify::new(),
        };
        let webhooks = Self { shared: Arc::new(shared) };
        webhooks.listeners().await?;
        Ok(webhooks)
    }

    /// Makes payloads and sends pings until stopped.
    pub async fn run(self, stop: CancellationToken) {
        tokio::join!(self.follow(&stop), self.ping(&stop), self.prune_by_the_hour(&stop));
    }

    /// Looks again at what is due, after the clock was moved.
    pub fn look(&self) {
        self.shared.made.notify_one();
        self.shared.pings.notify_one();
    }

    /// Makes a webhook on a base.
    pub async fn create(&self, call: &mut Call, base: BaseId, new: NewWebhook) -> Result<Made, Fault> {
        let wanted = Specification::read(&new.specification)?;
        self.enter(call, base, Some(&wanted)).await?;
        let schema = self.shared.engine.snapshot(base).await?.schema.clone();
        wanted.check(&schema).map_err(|missing| {
            let (Missing::Filters(what) | Missing::Includes(what)) = missing;
            Fault::new(Code::InvalidArguments, format!("specification: {what}"))
        })?;
        if let Some(url) = &new.url {
            self.shared.egress.require_webhooks(base)?;
            self.shared
                .files
                .fetcher()
                .check_resolved(url)
                .await
                .map_err(|e| Fault::new(Code::InvalidArguments, format!("notificationUrl: {e}")))?;
        }
        let mut key = [0u8; 32];
        getrandom::fill(&mut key).map_err(|e| Fault::new(Code::Internal, e.to_string()))?;
        let secret = Secret::new(STANDARD.encode(key));
        let now = call.now();
        let stored = StoredWebhook {
            id: WebhookId::random(),
            base,
            owner: call.caller().principal.to_string(),
            specification: new.specification,
            url: new.url,
            created_at: now,
            expires_at: now + WEEK,
            since: 0,
            is_valid: true,
            notifies: true,
            next_cursor: 1,
            told_at: None,
            result: None,
        };
        {
            // The first commit it hears of has its computed cells noted.
            let mut noted = self.shared.noted.lock().await;
            if wanted.filters().wants(DataType::TableData) && noted.insert(base) {
                self.shared.engine.log_computed(base, true);
            }
            let store = self.shared.engine.store();
            if !store.add_webhook(&stored, &secret, MAX_WEBHOOKS).await.map_err(Fault::from)? {
                return Err(Fault::new(
                    Code::LimitExceeded,
                    format!("a base has at most {MAX_WEBHOOKS} webhooks; delete one that is not needed"),
                ));
            }
        }
        self.shared.made.notify_one();
        Ok(Made { id: stored.id, secret, expires_at: stored.expires_at })
    }

    /// All webhooks of a base, oldest first.
    pub async fn list(&self, call: &mut Call, base: BaseId) -> Result<Vec<Webhook>, Fault> {
        self.enter(call, base, None).await?;
        let store = self.shared.engine.store();
        let mut stored = store.webhooks(Some(base)).await.map_err(Fault::from)?;
        if !stored.is_empty() {
            // Their next payloads are numbered by what is committed already.
            self.caught_up().await;
            stored = store.webhooks(Some(base)).await.map_err(Fault::from)?;
        }
        let now = call.now();
        let is_kept = |stored: &StoredWebhook| now < stored.expires_at + WEEK;
        let shown = |stored: StoredWebhook| Webhook {
            is_enabled: stored.is_valid && now < stored.expires_at,
            stored,
        };
        Ok(stored.into_iter().filter(is_kept).map(shown).collect())
    }

    /// Deletes a webhook with its payloads.
    pub async fn delete(&self, call: &mut Call, base: BaseId, id: WebhookId) -> Result<(), Fault> {
        self.find(call, base, id).await?;
        self.shared.engine.store().delete_webhook(id).await.map_err(Fault::from)
    }

    /// Switches the pings of a webhook on or off. Switched on, it is pinged at once if there is
    /// something it was not told.
    pub async fn enable_pings(
        &self,
        call: &mut Call,
        base: BaseId,
        id: WebhookId,
        on: bool,
    ) -> Result<(), Fault> {
        self.find(call, base, id).await?;
        self.shared.engine.store().set_webhook_pings(id, on).await.map_err(Fault::from)?;
        self.shared.pings.notify_one();
        Ok(())
    }

    /// Lets a webhook live for another seven days; the moment they end.
    pub async fn refresh(&self, call: &mut Call, base: BaseId, id: WebhookId) -> Result<i64, Fault> {
        let held = self.find(call, base, id).await?;
        let now = call.now();
        if now >= held.expires_at {
            let message = format!("webhook {id} has expired; make a new one");
            return Err(Fault::new(Code::InvalidArguments, message).about(id.to_string()));
        }
        self.shared.engine.store().set_webhook_expiry(id, now + WEEK).await.map_err(Fault::from)?;
        Ok(now + WEEK)
    }

    /// The payloads of a webhook from number `cursor` on, at most `limit` (1 to 50). Whatever was
    /// committed before is among them. While the webhook lives this lets it live on.
    pub async fn payloads(
        &self,
        call: &mut Call,
        base: BaseId,
        id: WebhookId,
        cursor: i64,
        limit: u32,
    ) -> Result<Page, Fault> {
        let held = self.find(call, base, id).await?;
        let wanted = Specification::read(&held.specification)?;
        require(call, &wanted)?;
        self.caught_up().await;
        let (store, now) = (self.shared.engine.store(), call.now());
        if now < held.expires_at {
            store.set_webhook_expiry(id, now + WEEK).await.map_err(Fault::from)?;
        }
        let limit = limit.clamp(1, MAX_PAYLOADS) as usize;
        let page = store.webhook_payloads(id, cursor, now - WEEK, limit, PAGE_BYTES).await;
        let page = page.map_err(Fault::from)?;
        let cursor = page.payloads.last().map_or(cursor, |(number, _)| number + 1);
        let payloads = page.payloads.into_iter().map(|(_, body)| self.signed(body, now)).collect();
        Ok(Page { payloads, cursor, has_more: page.has_more })
    }

    /// A payload with addresses for its attachments that are good for a while from `now`.
    fn signed(&self, body: String, now: i64) -> String {
        let files = &self.shared.files;
        match (files.public_url(), body.contains(ATTACHMENT)) {
            (Some(public), true) => match serde_json::from_str(&body) {
                Ok(value) => sign(value, &|cell| files.shown(cell, &public, now)).to_string(),
                Err(_) => body,
            },
            _ => body,
        }
    }

    /// Checks that the caller may do something with webhooks of a base that is there.
    async fn enter(
        &self,
        call: &mut Call,
        base: BaseId,
        wanted: Option<&Specification>,
    ) -> Result<(), Fault> {
        call.caller().rights.require(Need::Webhooks)?;
        call.require_seen(base)?;
        call.require_of_base(Verb::Webhooks, base).await?;
        if let Some(wanted) = wanted {
            require(call, wanted)?;
        }
        call.base(&base.to_string()).await.map(|_| ())
    }

    async fn find(&self, call: &mut Call, base: BaseId, id: WebhookId) -> Result<StoredWebhook, Fault> {
        self.enter(call, base, None).await?;
        let found = self.shared.engine.store().webhook(base, id).await.map_err(Fault::from)?;
        let now = call.now();
        found.filter(|stored| now < stored.expires_at + WEEK).ok_or_else(|| {
            let message = format!("base {base} has no webhook {id}");
            Fault::new(Code::UnknownWebhook, message).about(id.to_string())
        })
    }

    /// Waits until what is committed by now is told; not for ever.
    async fn caught_up(&self) {
        let newest = *self.shared.engine.last_change().borrow();
        let mut reached = self.shared.reached.subscribe();
        let told = reached.wait_for(|position| *position >= newest);
        if tokio::time::timeout(WAIT, told).await.is_err() {
            tracing::warn!("the newest changes are not told to webhooks yet");
        }
    }

    /// Drops payloads and webhooks that nobody may read any more.
    pub async fn prune(&self) -> Result<(), Fault> {
        let before = self.shared.engine.clock().now_ms() - WEEK;
        self.shared.engine.store().prune_webhooks(before, before).await.map_err(Fault::from)
    }

    async fn prune_by_the_hour(&self, stop: &CancellationToken) {
        loop {
            if let Err(fault) = self.prune().await {
                tracing::warn!(%fault, "old payloads were not dropped");
            }
            tokio::select! {
                () = tokio::time::sleep(PRUNE_EVERY) => {}
                () = stop.cancelled() => return,
            }
        }
    }
}

/// How the id of an attachment looks in JSON.
const ATTACHMENT: &str = "\"id\":\"att";

/// Gives the lists in a value that hold attachments their addresses.
fn sign(value: Value, shown: &dyn Fn(&Value) -> Value) -> Value {
    match value {
        Value::Array(items) if items.first().is_some_and(|item| item["id"].is_string()) => {
            shown(&Value::Array(items))
        }
        Value::Array(items) => items.into_iter().map(|item| sign(item, shown)).collect(),
        Value::Object(map) => map.into_iter().map(|(key, value)| (key, sign(value, shown))).collect(),
        other => other,
    }
}

/// What a webhook shows has to be open to whoever reads it.
fn require(call: &Call, wanted: &Specification) -> Result<(), Fault> {
    let rights = call.caller().rights;
    let filters = wanted.filters();
    if filters.wants(DataType::TableData) {
        rights.require(Need::Read)?;
    }
    if filters.wants(DataType::TableFields) || filters.wants(DataType::TableMetadata) {
        rights.require(Need::Describe)?;
    }
    Ok(())
}
