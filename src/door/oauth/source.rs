//! Where keys come from: the metadata of the authorization server and the document it names.
//! They are fetched when needed, kept for a while, and outlive a server that is away.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use serde::Deserialize;
use tablewright_core::clock::Clock;
use tablewright_engine::fetch::{self, Fetcher};
use tokio::sync::{Mutex, MutexGuard};
use url::Url;

use super::keys::Keys;
use super::secure;

/// Longest document that is read, in bytes.
const MAX_DOCUMENT: u64 = 256 * 1024;
/// How long metadata and keys together may take to come in.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long keys are fresh when their document does not say, and the bounds of what it may say;
/// milliseconds, like all times below.
const FRESH: i64 = 10 * MINUTE;
const LEAST_FRESH: i64 = MINUTE;
const MOST_FRESH: i64 = DAY;
/// How long keys are used while newer ones cannot be fetched.
const OLDEST: i64 = DAY;
/// Pause after a fetch for a key nobody knew, and after one that failed while keys are held.
const PAUSE: i64 = 30_000;
/// Pause after a fetch that failed while there are no keys at all.
const SHORT_PAUSE: i64 = 2_000;
const MINUTE: i64 = 60_000;
const DAY: i64 = 24 * 60 * MINUTE;

/// The keys of one authorization server.
pub(super) struct Source {
    issuer: String,
    jwks_url: Option<String>,
    fetcher: Fetcher,
    clock: Arc<dyn Clock>,
    held: RwLock<Option<Held>>,
    /// Held by the one who fetches: when the next fetch may begin.
    turn: Mutex<i64>,
}

#[derive(Clone)]
struct Held {
    keys: Arc<Keys>,
    fetched_at: i64,
    fresh_until: i64,
}

impl Held {
    /// True for keys that are young enough, fresh or not.
    fn are_usable(&self, now: i64) -> bool {
        now < self.fetched_at + OLDEST
    }
}

/// Why there are no new keys.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("{url}: {error}")]
    Fetch { url: String, error: fetch::Error },
    #[error("{url} cannot be used: {reason}")]
    Document { url: String, reason: String },
    #[error("{} did not come within {} s", .0, PATIENCE.as_secs())]
    Time(&'static str),
}

/// Metadata of an authorization server (RFC 8414, OpenID Connect Discovery 1.0).
#[derive(Deserialize)]
struct Metadata {
    issuer: String,
    jwks_uri: String,
}

impl Source {
    pub(super) fn new(
        issuer: String,
        jwks_url: Option<String>,
        fetcher: Fetcher,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { issuer, jwks_url, fetcher, clock, held: RwLock::default(), turn: Mutex::new(i64::MIN) }
    }

    fn held(&self) -> Option<Held> {
        self.held.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The keys to verify with. Keys that are no longer fresh are used while newer ones are fetched;
    /// `None` when there are none, or none that are young enough.
    pub(super) async fn keys(self: &Arc<Self>) -> Option<Arc<Keys>> {
        let (now, held) = (self.clock.now_ms(), self.held());
        match held {
            Some(held) if now < held.fresh_until => Some(held.keys),
            Some(held) if held.are_usable(now) => {
                let source = self.clone();
                tokio::spawn(async move {
                    // Whoever has the turn already fetches.
                    if let Ok(turn) = source.turn.try_lock() {
                        source.fetch_in_turn(turn).await;
                    }
                });
                Some(held.keys)
            }
            _ => self.fetch_in_turn(self.turn.lock().await).await,
        }
    }

    /// Keys newer than `seen`, which lack one that a token names. Asked for at most once in thirty
    /// seconds, however many tokens name keys nobody knows.
    pub(super) async fn newer(&self, seen: &Arc<Keys>) -> Option<Arc<Keys>> {
        let mut turn = self.turn.lock().await;
        let now = self.clock.now_ms();
        if let Some(held) = self.held()
            && !Arc::ptr_eq(&held.keys, seen)
        {
            return Some(held.keys);
        }
        if now < *turn {
            return None;
        }
        *turn = now + PAUSE;
        self.fetch().await.inspect_err(|failure| self.tell(failure)).ok()
    }

    /// Fetches unless somebody just did, or tried.
    async fn fetch_in_turn(&self, mut turn: MutexGuard<'_, i64>) -> Option<Arc<Keys>> {
        let (now, held) = (self.clock.now_ms(), self.held());
        if let Some(held) = held.as_ref().filter(|held| now < held.fresh_until) {
            return Some(held.keys.clone());
        }
        if now < *turn {
            return None;
        }
        match self.fetch().await {
            Ok(keys) => Some(keys),
            Err(failure) => {
                let now = self.clock.now_ms();
                let pause = if held.is_some_and(|held| held.are_usable(now)) { PAUSE } else { SHORT_PAUSE };
                *turn = now + pause;
                self.tell(&failure);
                None
            }
        }
    }

    fn tell(&self, failure: &Failure) {
        let now = self.clock.now_ms();
        match self.held().filter(|held| held.are_usable(now)) {
            Some(held) => {
                let hours = (held.fetched_at + OLDEST - now) / (60 * MINUTE);
                tracing::warn!(%failure, "no new keys of {}; those held are used for {hours} hours more", self.issuer);
            }
            None => tracing::error!(%failure, "no keys of {}: its tokens are refused", self.issuer),
        }
    }

    async fn fetch(&self) -> Result<Arc<Keys>, Failure> {
        let fetching = async {
            let url = match &self.jwks_url {
                Some(url) => url.clone(),
                None => self.discover().await?,
            };
            let fetched = self.get(&url).await;
            (fetched.map(|document| (document, url.clone()))).map_err(|error| Failure::Fetch { url, error })
        };
        let ((text, cache_control), url) =
            tokio::time::timeout(PATIENCE, fetching).await.map_err(|_| Failure::Time("the keys"))??;
        let now = self.clock.now_ms();
        let keys = match self.held() {
            Some(held) if held.keys.is_of(&text) => held.keys,
            _ => Arc::new(Keys::read(text).map_err(|reason| Failure::Document { url, reason })?),
        };
        let fresh_until = now + lifetime(cache_control.as_deref());
        let held = Held { keys: keys.clone(), fetched_at: now, fresh_until };
        *self.held.write().unwrap_or_else(PoisonError::into_inner) = Some(held);
        Ok(keys)
    }

    /// A document, and what its `Cache-Control` says.
    async fn get(&self, url: &str) -> Result<(Vec<u8>, Option<String>), fetch::Error> {
        let fetched = self.fetcher.get_directly(url, MAX_DOCUMENT, PATIENCE).await?;
        let cache_control = fetched.cache_control.clone();
        Ok((fetched.whole().await?, cache_control))
    }

    /// Where the keys are, as the authorization server says.
    async fn discover(&self) -> Result<String, Failure> {
        let [first, second] = metadata_urls(&self.issuer);
        let (text, url) = match self.get(&first).await {
            Ok((text, _)) => (text, first),
            // It may know only the other address.
            Err(fetch::Error::Status(_) | fetch::Error::Redirects(_)) => {
                let fetched = self.get(&second).await;
                let (text, _) = fetched.map_err(|error| Failure::Fetch { url: second.clone(), error })?;
                (text, second)
            }
            Err(error) => return Err(Failure::Fetch { url: first, error }),
        };
        let unusable = |reason: String| Failure::Document { url: url.clone(), reason };
        let metadata: Metadata = serde_json::from_slice(&text).map_err(|e| unusable(e.to_string()))?;
        if metadata.issuer != self.issuer {
            return Err(unusable("its issuer is not the one of the setting oauth.issuer".into()));
        }
        secure(&metadata.jwks_uri).map_err(|reason| unusable(format!("jwks_uri: {reason}")))?;
        Ok(metadata.jwks_uri)
    }
}

/// The two addresses where an issuer's metadata can be: of RFC 8414, between host and path, and of
/// OpenID Connect, behind the path.
fn metadata_urls(issuer: &str) -> [String; 2] {
    let plain = issuer.trim_end_matches('/');
    let path = Url::parse(plain).map_or_else(|_| String::new(), |url| url.path().to_owned());
    let path = path.trim_end_matches('/');
    let place = plain.strip_suffix(path).unwrap_or(plain);
    [
        format!("{place}/.well-known/oauth-authorization-server{path}"),
        format!("{plain}/.well-known/openid-configuration"),
    ]
}

/// How long a document with this `Cache-Control` is fresh.
fn lifetime(cache_control: Option<&str>) -> i64 {
    let directives = cache_control.into_iter().flat_map(|value| value.split(','));
    let seconds = directives
        .filter_map(|directive| directive.split_once('='))
        .find(|(name, _)| name.trim().eq_ignore_ascii_case("max-age"))
        .and_then(|(_, value)| value.trim().trim_matches('"').parse::<i64>().ok());
    seconds.map_or(FRESH, |seconds| seconds.saturating_mul(1_000).clamp(LEAST_FRESH, MOST_FRESH))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_between_host_and_path_or_behind_it() {
        for (issuer, urls) in [
            (
                "https://a.example",
                [
                    "https://a.example/.well-known/oauth-authorization-server",
                    "https://a.example/.well-known/openid-configuration",
                ],
            ),
            (
                "https://a.example/",
                [
                    "https://a.example/.well-known/oauth-authorization-server",
                    "https://a.example/.well-known/openid-configuration",
                ],
            ),
            (
                "https://a.example:8/realms/b",
                [
                    "https://a.example:8/.well-known/oauth-authorization-server/realms/b",
                    "https://a.example:8/realms/b/.well-known/openid-configuration",
                ],
            ),
        ] {
            assert_eq!(metadata_urls(issuer), urls, "{issuer}");
        }
    }

    #[test]
    fn keys_are_fresh_for_a_minute_to_a_day() {
        for (given, minutes) in [
            (None, 10),
            (Some("no-store"), 10),
            (Some("max-age=x"), 10),
            (Some("public, Max-Age=300"), 5),
            (Some("max-age=\"0\""), 1),
            (Some("max-age=99999999999"), 24 * 60),
        ] {
            assert_eq!(lifetime(given), minutes * MINUTE, "{given:?}");
        }
    }
}
