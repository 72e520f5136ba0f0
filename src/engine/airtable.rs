//! Airtable's Web API: one client for all logins, at a pace Airtable bears.

pub(crate) mod budget;
mod comments;
mod error;
mod flight;
mod forward;
mod login;
mod meta;
pub mod oauth;
mod pace;
pub mod profiles;
mod records;
mod seal;
mod send;
mod upload;
mod webhooks;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tablewright_core::clock::Clock;
use tablewright_core::model::BaseId;
use tablewright_core::secret::Secret;
use tokio::time::Instant;
use url::Url;

use crate::store::Store;

pub use comments::CommentPage;
pub use error::Error;
pub use forward::Forwarded;
pub use meta::{ListedBase, WhoAmI};
pub use pace::Permit;
pub use records::{ListQuery, MAX_BATCH, Page, Record, Upserted};
pub use reqwest::Method;
pub use upload::MAX_UPLOAD;
pub use webhooks::{CreatedWebhook, ListedWebhook, Payload, Payloads, Touched};

/// A future that can be kept in a field.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Settings of the client of Airtable's Web API.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Where Airtable's Web API is. The variable `AIRTABLE_ENDPOINT_URL` is understood too.
    pub endpoint_url: String,
    /// Where attachments are uploaded to. Empty stands for Airtable's own address, or for
    /// `endpoint_url` when that is another one.
    pub content_url: String,
    /// Where Airtable's OAuth is.
    pub oauth_url: String,
    /// How much of Airtable's limits is used, in percent (1 to 100): 5 requests a second for a
    /// base, 50 for a token. Less leaves room for other programs that use the same bases.
    pub share_percent: u64,
    /// Seconds one request may take, 60 by default (1 to 600).
    pub timeout_seconds: u64,
    /// Seconds a call waits for its turn, retries and penalties together before it fails, 45 by
    /// default (1 to 600).
    pub patience_seconds: u64,
    /// Seconds nothing of a base is sent after Airtable refused a request as one too many, 30 by
    /// default, as Airtable asks for (0 to 600).
    pub penalty_seconds: u64,
    /// Requests a profile may send in a calendar month (UTC); 0 for no bound. At 80 percent the log
    /// warns, at 100 nothing more is sent.
    pub monthly_calls: u64,
    /// The id of the OAuth integration that logs in; empty when only tokens are used.
    pub oauth_client_id: String,
    /// Its secret, if it has one.
    pub oauth_client_secret: Option<Secret>,
    /// What a login by OAuth asks for; the integration has to be registered with it.
    pub oauth_scopes: Vec<String>,
    /// The port of this machine a login by OAuth comes back to; 0 for any free one. Airtable knows
    /// the address by its port: register `http://localhost:PORT/callback`.
    pub oauth_redirect_port: u16,
}

/// What a login by OAuth asks for unless the settings say otherwise: all that copies, writes,
/// comments and webhooks need.
const OAUTH_SCOPES: [&str; 8] = [
    "data.records:read",
    "data.records:write",
    "data.recordComments:read",
    "data.recordComments:write",
    "schema.bases:read",
    "schema.bases:write",
    "webhook:manage",
    "user.email:read",
];

const ENDPOINT: &str = "https://api.airtable.com";
const CONTENT: &str = "https://content.airtable.com";
const OAUTH: &str = "https://airtable.com/oauth2/v1";

impl Default for Options {
    fn default() -> Self {
        Self {
            endpoint_url: ENDPOINT.into(),
            content_url: String::new(),
            oauth_url: OAUTH.into(),
            share_percent: 100,
            timeout_seconds: 60,
            patience_seconds: 45,
            penalty_seconds: 30,
            monthly_calls: 0,
            oauth_client_id: String::new(),
            oauth_client_secret: None,
            oauth_scopes: OAUTH_SCOPES.map(str::to_owned).to_vec(),
            oauth_redirect_port: 0,
        }
    }
}

impl Options {
    /// Refuses values that are out of range: the setting and why.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        for (key, text) in [
            ("endpoint_url", self.endpoint_url.as_str()),
            ("content_url", self.content()),
            ("oauth_url", self.oauth_url.as_str()),
        ] {
            address(text).map_err(|reason| (key, reason))?;
        }
        if !(1..=100).contains(&self.share_percent) {
            return Err(("share_percent", "it must be 1 to 100".into()));
        }
        for (key, seconds) in
            [("timeout_seconds", self.timeout_seconds), ("patience_seconds", self.patience_seconds)]
        {
            if !(1..=600).contains(&seconds) {
                return Err((key, "it must be 1 to 600".into()));
            }
        }
        if self.oauth_scopes.is_empty() {
            return Err(("oauth_scopes", "Airtable wants at least one".into()));
        }
        if self.oauth_scopes.iter().any(|scope| scope.is_empty() || scope.contains(char::is_whitespace)) {
            return Err(("oauth_scopes", "a scope is one word, such as data.records:read".into()));
        }
        if self.penalty_seconds > 600 {
            return Err(("penalty_seconds", "it must be 0 to 600".into()));
        }
        Ok(())
    }

    /// The integration that logs in by OAuth; `None` when none is set.
    pub fn integration(&self) -> Option<oauth::Integration> {
        (!self.oauth_client_id.is_empty()).then(|| oauth::Integration {
            url: self.oauth_url.clone(),
            client_id: self.oauth_client_id.clone(),
            client_secret: self.oauth_client_secret.clone(),
            scopes: self.oauth_scopes.clone(),
        })
    }

    fn content(&self) -> &str {
        match self.content_url.as_str() {
            "" if self.endpoint_url == ENDPOINT => CONTENT,
            "" => &self.endpoint_url,
            given => given,
        }
    }
}

/// Reads an address everything else is put behind.
fn address(text: &str) -> Result<Url, String> {
    let bad = |why: &str| format!("{text:?} {why}; send one such as {ENDPOINT}");
    let url = Url::parse(text).map_err(|e| bad(&format!("is no usable URL ({e})")))?;
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err(bad("is no address of http or https"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("it must not carry a user name or password".into());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(bad("must not have a query or fragment"));
    }
    Ok(url)
}

/// Where a bearer token comes from: a personal one, or OAuth, which renews it.
pub trait Credentials: Send + Sync {
    /// The token to send now.
    fn bearer(&self) -> BoxFuture<'_, Result<Secret, Error>>;
    /// Airtable has refused this one: another, or why there is none.
    fn renew<'a>(&'a self, refused: &'a Secret) -> BoxFuture<'a, Result<Secret, Error>>;
}

/// What goes first when several wait for a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Priority {
    /// Somebody waits for the answer.
    Interactive,
    /// Upkeep of copies: takes what is left, but does not wait for ever.
    Sync,
}

/// How many requests went out for one call. Clones count together.
#[derive(Debug, Clone, Default)]
pub struct Tally(Arc<AtomicU32>);

impl Tally {
    /// One more.
    pub fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// So far.
    pub fn count(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Who waits for a request. Turns go round between callers.
#[derive(Debug, Clone)]
pub struct Ask {
    /// Whose request it is.
    pub caller: Arc<str>,
    /// How urgent it is.
    pub priority: Priority,
    /// Where requests that get a turn are counted.
    pub tally: Tally,
}

impl Ask {
    /// A request somebody waits for.
    pub fn interactive(caller: impl Into<Arc<str>>) -> Self {
        Self { caller: caller.into(), priority: Priority::Interactive, tally: Tally::default() }
    }

    /// A request of upkeep.
    pub fn sync(caller: impl Into<Arc<str>>) -> Self {
        Self { caller: caller.into(), priority: Priority::Sync, tally: Tally::default() }
    }
}

/// An answer and when Airtable says it gave it.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer<T> {
    /// What was answered.
    pub value: T,
    /// The `Date` of the answer, in milliseconds since the epoch.
    pub server_time: Option<i64>,
}

impl<T> Answer<T> {
    fn map<U>(self, change: impl FnOnce(T) -> U) -> Answer<U> {
        Answer { value: change(self.value), server_time: self.server_time }
    }
}

struct Shared {
    options: Options,
    endpoint: Url,
    content: Url,
    /// Made when something is sent first: reading the system's certificates takes longer than the
    /// rest of a start.
    client: OnceLock<Result<reqwest::Client, String>>,
    pacer: pace::Pacer,
    flights: flight::Flights,
    budget: budget::Budget,
}

/// What all logins share: the HTTP client, the pace, the counts. Cheap to clone.
#[derive(Clone)]
pub struct Airtable {
    shared: Arc<Shared>,
}

impl fmt::Debug for Airtable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Airtable").field("endpoint", &self.shared.endpoint.as_str()).finish_non_exhaustive()
    }
}

impl Airtable {
    /// Nothing is sent or read yet; the error says which setting is wrong.
    pub fn new(options: &Options, clock: Arc<dyn Clock>, store: Store) -> Result<Self, String> {
        options.check().map_err(|(key, reason)| format!("airtable.{key}: {reason}"))?;
        let penalty = Duration::from_secs(options.penalty_seconds);
        let shared = Shared {
            endpoint: address(&options.endpoint_url)?,
            content: address(options.content())?,
            options: options.clone(),
            client: OnceLock::new(),
            flights: flight::Flights::default(),
            pacer: pace::Pacer::new(options.share_percent, penalty, clock.clone(), store.clone()),
            budget: budget::Budget::new(options.monthly_calls, clock, store),
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// The client as the holder of these credentials; `profile` is what they are counted under.
    pub fn session(&self, profile: &str, credentials: Arc<dyn Credentials>) -> Session {
        Session { airtable: self.clone(), profile: profile.into(), credentials }
    }

    /// Counts back what was counted ahead and not sent. To be called when no more is sent; without
    /// it some calls too many stay counted.
    pub async fn settle(&self) -> Result<(), crate::store::Error> {
        self.shared.budget.settle().await
    }

    /// The requests a profile has sent this month, and how many it may (0: no bound).
    pub async fn usage(&self, profile: &str) -> Result<(u64, u64), Error> {
        self.shared.budget.usage(profile).await
    }
}

/// The client with one login. Cheap to clone.
#[derive(Clone)]
pub struct Session {
    airtable: Airtable,
    profile: Arc<str>,
    credentials: Arc<dyn Credentials>,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("profile", &self.profile).finish_non_exhaustive()
    }
}

impl Session {
    /// Which login it is.
    pub fn profile(&self) -> &str {
        &self.profile
    }

    /// Waits for a turn to send one request; about a base, if it is about one.
    pub async fn permit(&self, ask: &Ask, base: Option<BaseId>) -> Result<Permit, Error> {
        self.permit_until(ask, base, self.patience()).await
    }

    fn patience(&self) -> Instant {
        Instant::now() + Duration::from_secs(self.airtable.shared.options.patience_seconds)
    }

    async fn permit_until(&self, ask: &Ask, base: Option<BaseId>, until: Instant) -> Result<Permit, Error> {
        let call = self.airtable.shared.budget.take(&self.profile).await?;
        let permit = self.airtable.shared.pacer.turn(ask, base, &self.profile, call, until).await?;
        ask.tally.add();
        Ok(permit)
    }
}
