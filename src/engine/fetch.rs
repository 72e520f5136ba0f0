//! The one way to fetch an address somebody else has named: only the open internet, unless the
//! configuration lists more.

mod address;

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, LOCATION};
use reqwest::redirect::Policy;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, timeout_at};
use url::{Host, Url};

use address::Allowed;

/// Settings of fetching.
#[derive(Debug, Clone, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Hosts, addresses and networks (such as `10.0.0.0/8`) that may be fetched from although they
    /// are private. None unless listed.
    pub allowed_private: Vec<String>,
}

impl Options {
    /// Refuses a list with an entry that cannot be read; the error names it.
    pub fn check(&self) -> Result<(), String> {
        Allowed::read(&self.allowed_private).map(drop)
    }
}

/// Redirects that are followed, as in Airtable.
const MAX_REDIRECTS: usize = 3;
/// Longest address, in bytes.
const MAX_URL: usize = 16_000;
/// How long a connection may take to open.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Why something was not fetched. Each names the rule.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The text is no address.
    #[error("{url:?} is no usable URL ({reason}); send one such as https://example.org/a.pdf")]
    Url {
        /// The text, cut.
        url: String,
        /// Why.
        reason: String,
    },
    /// The host is, or resolves to, an address that is not of the open internet.
    #[error(
        "{host} is {kind}: private addresses are not fetched from unless the setting fetch.allowed_private lists them"
    )]
    Private {
        /// The host as named.
        host: String,
        /// What kind of address it is.
        kind: String,
    },
    /// One redirect too many.
    #[error("it redirects more than {0} times")]
    Redirects(usize),
    /// The server said no.
    #[error("the server answered with status {0}")]
    Status(u16),
    /// Longer than may be.
    #[error("it is longer than {0} bytes, the most that is fetched")]
    TooLong(u64),
    /// It took too long.
    #[error("it took longer than {:.1} s", .0.as_secs_f64())]
    Time(Duration),
    /// Connecting or reading failed.
    #[error("it cannot be fetched: {0}")]
    Failed(String),
}

/// Resolves names to addresses that may be connected to, and to no others: what is checked is what
/// is connected to, so an answer that changes in between gains nothing.
struct Guarded(Arc<Allowed>);

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        let allowed = self.0.clone();
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let kept = keep(&allowed, name.as_str(), found)?;
            Ok(Box::new(kept.into_iter()) as Addrs)
        })
    }
}

/// The addresses of `name` that may be connected to; refused when there is none left.
fn keep(
    allowed: &Allowed,
    name: &str,
    found: impl Iterator<Item = SocketAddr>,
) -> Result<Vec<SocketAddr>, Error> {
    let mut refused = None;
    let kept: Vec<SocketAddr> = found
        .filter(|address| {
            if allowed.host(name) {
                return true;
            }
            allowed.check(address.ip()).map_err(|kind| refused = Some(kind)).is_ok()
        })
        .collect();
    match refused {
        Some(kind) if kept.is_empty() => Err(Error::Private { host: name.to_owned(), kind: kind.to_owned() }),
        _ => Ok(kept),
    }
}

/// Fetches addresses somebody else has named. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Fetcher {
    /// Made when something is fetched first: reading the system's certificates takes longer than
    /// the rest of a start.
    client: Arc<OnceLock<Result<reqwest::Client, String>>>,
    allowed: Arc<Allowed>,
}

/// An answer that is being read, piece by piece and bounded.
#[derive(Debug)]
pub struct Fetched {
    response: reqwest::Response,
    /// Its media type as the server says, if it does.
    pub content_type: Option<String>,
    /// What its `Cache-Control` says, if it has one.
    pub cache_control: Option<String>,
    /// Where it came from in the end.
    pub url: Url,
    left: u64,
    limit: u64,
    time: Duration,
    deadline: Instant,
}

impl Fetched {
    /// The next piece; `None` at the end.
    pub async fn chunk(&mut self) -> Result<Option<impl AsRef<[u8]> + use<>>, Error> {
        let piece = timeout_at(self.deadline, self.response.chunk())
            .await
            .map_err(|_| Error::Time(self.time))?
            .map_err(failed)?;
        if let Some(piece) = &piece {
            self.left = self.left.checked_sub(piece.len() as u64).ok_or(Error::TooLong(self.limit))?;
        }
        Ok(piece)
    }

    /// All of it.
    pub async fn whole(mut self) -> Result<Vec<u8>, Error> {
        let mut whole = Vec::new();
        while let Some(piece) = self.chunk().await? {
            whole.extend_from_slice(piece.as_ref());
        }
        Ok(whole)
    }
}

impl Fetcher {
    /// Reads the list of exceptions; the error says which entry is wrong.
    pub fn new(options: &Options) -> Result<Self, String> {
        let allowed = Arc::new(Allowed::read(&options.allowed_private)?);
        Ok(Self { client: Arc::default(), allowed })
    }

    fn client(&self) -> Result<&reqwest::Client, Error> {
        let made = self.client.get_or_init(|| {
            reqwest::Client::builder()
                .dns_resolver(Guarded(self.allowed.clone()))
                .redirect(Policy::none())
                .no_proxy()
                .no_gzip()
                .no_brotli()
                .no_zstd()
                .no_deflate()
                .referer(false)
                .connect_timeout(CONNECT_TIMEOUT)
                .pool_max_idle_per_host(0)
                .user_agent(concat!("tablewright/", env!("CARGO_PKG_VERSION")))
                .build()
                .map_err(|e| format!("the HTTP client does not start: {e}"))
        });
        made.as_ref().map_err(|reason| Error::Failed(reason.clone()))
    }

    /// Reads an address and checks everything about it that is not up to name resolution.
    pub fn check(&self, text: &str) -> Result<Url, Error> {
        let bad = |reason: String| Error::Url { url: text.chars().take(100).collect(), reason };
        if text.len() > MAX_URL {
            return Err(bad(format!("it is longer than {MAX_URL} bytes")));
        }
        let url = Url::parse(text).map_err(|e| bad(e.to_string()))?;
        self.check_parsed(&url).map(|()| url)
    }

    /// Checks an address as [`Fetcher::check`] does, and that its name does not lead to private
    /// addresses alone. A name that leads nowhere now passes; it is looked at again when it is used.
    pub async fn check_resolved(&self, text: &str) -> Result<Url, Error> {
        let url = self.check(text)?;
        if let Some(Host::Domain(name)) = url.host() {
            let looking = tokio::time::timeout(CONNECT_TIMEOUT, tokio::net::lookup_host((name, 0)));
            if let Ok(Ok(found)) = looking.await {
                keep(&self.allowed, name, found)?;
            }
        }
        Ok(url)
    }

    fn check_parsed(&self, url: &Url) -> Result<(), Error> {
        let bad = |reason: &str| {
            let url = url.as_str().chars().take(100).collect();
            Err(Error::Url { url, reason: reason.to_owned() })
        };
        if !matches!(url.scheme(), "http" | "https") {
            return bad("only http and https are fetched");
        }
        if !url.username().is_empty() || url.password().is_some() {
            return bad("it carries a user name or password");
        }
        // Odd spellings such as 0x7f.1 are plain addresses once the URL is parsed.
        let address: IpAddr = match url.host() {
            None => return bad("it names no host"),
            Some(Host::Domain(_)) => return Ok(()),
            Some(Host::Ipv4(v4)) => v4.into(),
            Some(Host::Ipv6(v6)) => v6.into(),
        };
        self.allowed
            .check(address)
            .map_err(|kind| Error::Private { host: address.to_string(), kind: kind.to_owned() })
    }

    /// Begins to fetch `url`: at most `limit` bytes, within `time` in all.
    pub async fn get(&self, url: &str, limit: u64, time: Duration) -> Result<Fetched, Error> {
        self.get_within(url, limit, time, MAX_REDIRECTS).await
    }

    /// Fetches as [`Fetcher::get`] does, from `url` itself: a redirect is a failure.
    pub async fn get_directly(&self, url: &str, limit: u64, time: Duration) -> Result<Fetched, Error> {
        self.get_within(url, limit, time, 0).await
    }

    async fn get_within(
        &self,
        url: &str,
        limit: u64,
        time: Duration,
        redirects: usize,
    ) -> Result<Fetched, Error> {
        let deadline = Instant::now() + time;
        let mut url = self.check(url)?;
        for _ in 0..=redirects {
            let sending = self.client()?.get(url.clone()).send();
            let response =
                timeout_at(deadline, sending).await.map_err(|_| Error::Time(time))?.map_err(failed)?;
            let status = response.status();
            if status.is_redirection()
                && let Some(place) = response.headers().get(LOCATION)
            {
                let place = String::from_utf8_lossy(place.as_bytes()).into_owned();
                let next = url.join(&place).map_err(|e| Error::Url {
                    url: place.chars().take(100).collect(),
                    reason: format!("the redirect leads nowhere: {e}"),
                })?;
                self.check_parsed(&next)?;
                url = next;
                continue;
            }
            if !status.is_success() {
                return Err(Error::Status(status.as_u16()));
            }
            let text = |name| response.headers().get(name)?.to_str().ok().map(str::to_owned);
            if text(CONTENT_LENGTH).and_then(|n| n.parse::<u64>().ok()).is_some_and(|n| n > limit) {
                return Err(Error::TooLong(limit));
            }
            let (content_type, cache_control) = (text(CONTENT_TYPE), text(CACHE_CONTROL));
            return Ok(Fetched {
                response,
                content_type,
                cache_control,
                url,
                left: limit,
                limit,
                time,
                deadline,
            });
        }
        Err(Error::Redirects(redirects))
    }

    /// Posts `body` to `url` and gives the status; the answer itself is not read, and redirects are
    /// not followed.
    pub async fn post(
        &self,
        url: &str,
        headers: &[(&str, &str)],
        body: Vec<u8>,
        time: Duration,
    ) -> Result<u16, Error> {
        let url = self.check(url)?;
        let mut request = self.client()?.post(url).body(body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = tokio::time::timeout(time, request.send())
            .await
            .map_err(|_| Error::Time(time))?
            .map_err(failed)?;
        Ok(response.status().as_u16())
    }
}

/// What is at the root of a failure of the client: our own refusal, or its words.
fn failed(error: reqwest::Error) -> Error {
    let words = error.without_url();
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&words);
    let mut last = String::new();
    while let Some(error) = cause {
        if let Some(Error::Private { host, kind }) = error.downcast_ref::<Error>() {
            return Error::Private { host: host.clone(), kind: kind.clone() };
        }
        last = error.to_string();
        cause = error.source();
    }
    Error::Failed(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fetcher(allowed: &[&str]) -> Fetcher {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let allowed_private = allowed.iter().map(|a| (*a).to_owned()).collect();
        Fetcher::new(&Options { allowed_private }).unwrap()
    }

    #[test]
    fn odd_spellings_of_private_addresses_are_seen_through() {
        let fetcher = fetcher(&[]);
        for url in [
            "http://127.0.0.1/",
            "http://127.1/",
            "http://0x7f.1/",
            "http://0x7f000001/",
            "http://2130706433/",
            "http://0177.0.0.1/",
            "http://127.0.0.1./",
            "http://[::1]/",
            "http://[::ffff:127.0.0.1]/",
            "http://[::ffff:7f00:1]/",
            "http://[64:ff9b::7f00:1]/",
            "http://[2002:7f00:1::]/",
            "http://0/",
            "http://１２７.０.０.１/",
            "http://169.254.169.254/latest/meta-data/",
            "http://[fd00::1]:8080/x",
        ] {
            let error = fetcher.check(url).unwrap_err();
            assert!(matches!(error, Error::Private { .. }), "{url}: {error}");
        }
        for (url, rule) in [
            ("ftp://example.org/", "http and https"),
            ("file:///etc/passwd", "http and https"),
            ("data:text/plain,x", "http and https"),
            ("http://user:pw@example.org/", "user name"),
            ("http://user@example.org/", "user name"),
            ("example.org/x", "no usable URL"),
            ("", "no usable URL"),
            ("http://", "no usable URL"),
            ("http://1.2.3.4.5/", "no usable URL"),
        ] {
            let error = fetcher.check(url).unwrap_err().to_string();
            assert!(error.contains(rule), "{url}: {error}");
        }
        assert!(fetcher.check("https://example.org:8443/a?b#c").is_ok());
        assert!(fetcher.check(&format!("https://example.org/{}", "a".repeat(20_000))).is_err());
    }

    #[test]
    fn names_keep_only_addresses_that_may_be_connected_to() {
        let allowed = Allowed::read(&["inner.example".into()]).unwrap();
        let found = || ["10.0.0.1:0", "8.8.8.8:0", "[::1]:0"].map(|a| a.parse().unwrap()).into_iter();
        assert_eq!(keep(&allowed, "example.org", found()).unwrap(), ["8.8.8.8:0".parse().unwrap()]);
        assert_eq!(keep(&allowed, "inner.example", found()).unwrap().len(), 3);
        let error = keep(&allowed, "rebind.example", found().filter(|a| a.ip().is_loopback())).unwrap_err();
        assert!(error.to_string().contains("rebind.example is a loopback address"), "{error}");
    }
}
