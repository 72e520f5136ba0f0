//! One request until it is answered: token, turn, time, size, and when it is sent again.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::Method;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, DATE, HeaderValue, RETRY_AFTER};
use reqwest::redirect::Policy;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tablewright_core::Refused;
use tablewright_core::model::BaseId;
use tablewright_core::secret::Secret;
use tokio::time::{Instant, sleep_until, timeout_at};
use url::{Host, Url};

use super::error::{self, Needs};
use super::{Answer, Ask, Error, Permit, Session, Shared};

/// Longest answer, in bytes.
const MAX_ANSWER: usize = 32 * 1024 * 1024;
/// How long a connection may take to open.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Connections are dropped before the other side is likely to: what goes out on a connection that
/// is just being closed may or may not have arrived.
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);
/// A body of more bytes than this may take a while to go out.
const LARGE: usize = 64 * 1024;
/// The type of a refusal that waiting does not help with before the month ends.
const BILLING_LIMIT: &str = "PUBLIC_API_BILLING_LIMIT_EXCEEDED";
/// Most times one request is sent.
const MAX_ATTEMPTS: u32 = 8;
/// The same where no connection was made.
const MAX_CONNECTS: u32 = 2;
/// The first wait before a request is sent again is at most this; each further one twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_secs(8);

/// Whether a request may be sent again when it may have been carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Repeat {
    /// It changes nothing.
    Read,
    /// Twice is the same as once.
    Freely,
    /// Twice is not: only when it certainly was not carried out.
    Never,
}

/// A request as it goes out.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) body: Option<Body>,
    pub(super) base: Option<BaseId>,
    pub(super) repeat: Repeat,
    /// The scope it needs, for the words of a refusal.
    pub(super) scope: &'static str,
}

/// A body and its media type.
#[derive(Debug, Clone)]
pub(super) struct Body {
    pub(super) bytes: Bytes,
    pub(super) kind: String,
}

impl Request {
    pub(super) fn get(url: Url, base: Option<BaseId>, scope: &'static str) -> Self {
        Self { method: Method::GET, url, body: None, base, repeat: Repeat::Read, scope }
    }

    pub(super) fn delete(url: Url, base: Option<BaseId>, scope: &'static str) -> Self {
        Self { method: Method::DELETE, repeat: Repeat::Freely, ..Self::get(url, base, scope) }
    }

    pub(super) fn json(
        method: Method,
        url: Url,
        base: Option<BaseId>,
        repeat: Repeat,
        scope: &'static str,
        body: &impl Serialize,
    ) -> Result<Self, Error> {
        let bytes = serde_json::to_vec(body).map_err(|e| Error::NotSent(e.to_string()))?;
        let body = Some(Body { bytes: bytes.into(), kind: "application/json".into() });
        Ok(Self { method, url, body, base, repeat, scope })
    }
}

impl Request {
    /// The error of an attempt after which it may have been carried out.
    fn unanswered(&self, reason: String) -> Error {
        if self.repeat == Repeat::Read { Error::Unread(reason) } else { Error::Unanswered(reason) }
    }

    /// An error as it is to be understood when an earlier attempt may have been carried out.
    fn sure(&self, error: Error, uncertain: bool) -> Error {
        if !uncertain || self.repeat == Repeat::Read || error.uncertain() {
            return error;
        }
        Error::Unanswered(format!("one attempt got no answer, and then: {error}"))
    }
}

/// A whole answer.
#[derive(Debug, Clone)]
pub(super) struct Whole {
    pub(super) status: u16,
    pub(super) kind: Option<String>,
    pub(super) server_time: Option<i64>,
    pub(super) body: Bytes,
    retry_after: Option<Duration>,
}

impl Whole {
    /// Whether it says that what it is about is not there.
    pub(super) fn is_missing(&self) -> bool {
        let kind = error::read(self.status, &self.body).kind;
        matches!(kind.as_str(), "ROW_DOES_NOT_EXIST" | "MODEL_ID_NOT_FOUND" | "NOT_FOUND")
    }
}

/// How a request ended that was not answered as wished.
pub(super) enum Ended {
    /// Nothing came of it.
    Failed(Error),
    /// This answer, which says no. `uncertain` when an earlier attempt may have been carried out.
    Said { answer: Whole, uncertain: bool },
}

/// What one attempt came to when there is no answer.
enum Broken {
    NotSent(String),
    Unanswered(String),
    TooLong,
}

impl Shared {
    pub(super) fn client(&self) -> Result<&reqwest::Client, Error> {
        let made = self.client.get_or_init(|| {
            let mut builder = reqwest::Client::builder();
            // No proxy leads to this machine itself.
            if [&self.endpoint, &self.content].into_iter().any(is_loopback) {
                builder = builder.no_proxy();
            }
            builder
                .redirect(Policy::none())
                .retry(reqwest::retry::never())
                .referer(false)
                .connect_timeout(CONNECT_TIMEOUT)
                .pool_idle_timeout(IDLE_TIMEOUT)
                .connector_layer(self.pacer.watch())
                .user_agent(concat!("tablewright/", env!("CARGO_PKG_VERSION")))
                .build()
                .map_err(|e| format!("the HTTP client does not start: {e}"))
        });
        made.as_ref().map_err(|reason| Error::NotSent(reason.clone()))
    }

    /// An address under `/v0` of the Web API. Each part is one segment, whatever is in it.
    pub(super) fn url(&self, parts: &[&str]) -> Result<Url, Error> {
        under(&self.endpoint, parts)
    }

    /// The same on the host that takes uploads.
    pub(super) fn content_url(&self, parts: &[&str]) -> Result<Url, Error> {
        under(&self.content, parts)
    }
}

fn is_loopback(address: &Url) -> bool {
    match address.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

fn under(address: &Url, parts: &[&str]) -> Result<Url, Error> {
    let mut url = address.clone();
    if let Some(bad) = parts.iter().find(|part| matches!(**part, "" | "." | "..")) {
        return Err(Error::NotSent(format!("{bad:?} cannot be part of an address; use an id")));
    }
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().push("v0").extend(parts);
    }
    Ok(url)
}

impl Session {
    /// Sends a request whose answer is JSON of a known shape.
    pub(super) async fn call<T: DeserializeOwned>(
        &self,
        permit: Option<Permit>,
        ask: &Ask,
        request: &Request,
    ) -> Result<Answer<T>, Error> {
        let read = |answer: &Whole| serde_json::from_slice::<T>(&answer.body);
        self.exchange(permit, ask, request, read).await.map_err(|ended| self.error(request, ended))
    }

    /// Sends a request whose answer says no more than that it was carried out.
    pub(super) async fn tell(&self, ask: &Ask, request: &Request) -> Result<Answer<()>, Error> {
        let ended = |ended| self.error(request, ended);
        self.exchange(None, ask, request, |_| Ok(())).await.map_err(ended)
    }

    /// Sends a request that deletes one thing. When an earlier attempt may have been carried out,
    /// that it is not there counts as done.
    pub(super) async fn delete_one(&self, ask: &Ask, request: &Request) -> Result<Answer<()>, Error> {
        match self.exchange(None, ask, request, |_| Ok(())).await {
            Err(Ended::Said { answer, uncertain: true }) if answer.is_missing() => {
                Ok(Answer { value: (), server_time: answer.server_time })
            }
            done => done.map_err(|ended| self.error(request, ended)),
        }
    }

    /// The error of a request that was not answered as wished.
    pub(super) fn error(&self, request: &Request, ended: Ended) -> Error {
        match ended {
            Ended::Failed(error) => error,
            Ended::Said { answer, .. } if answer.status >= 500 => {
                request.unanswered(format!("it answered with status {}", answer.status))
            }
            Ended::Said { answer, .. } if answer.status < 400 => Error::Refused(Refused {
                status: answer.status,
                kind: "REDIRECT".into(),
                message: "it redirects, which is not followed; set airtable.endpoint_url to where it leads"
                    .into(),
            }),
            Ended::Said { answer, uncertain } => {
                let refused = error::read(answer.status, &answer.body);
                let needs = Needs { scope: request.scope, base: request.base };
                request.sure(error::refusal(refused, &self.profile, needs), uncertain)
            }
        }
    }

    /// Sends a request, again when that is safe, until there is an answer that `read` can read or
    /// that says no.
    pub(super) async fn exchange<T>(
        &self,
        mut permit: Option<Permit>,
        ask: &Ask,
        request: &Request,
        read: impl Fn(&Whole) -> Result<T, serde_json::Error>,
    ) -> Result<Answer<T>, Ended> {
        if permit.as_ref().is_some_and(|permit| permit.base() != request.base) {
            return Err(Ended::Failed(Error::NotSent("the turn it has is for another base".into())));
        }
        let until = self.patience();
        let mut token = self.credentials.bearer().await.map_err(Ended::Failed)?;
        let (mut attempt, mut uncertain, mut renewed) = (0, false, false);
        let failed = |error: Error, uncertain: bool| Ended::Failed(request.sure(error, uncertain));
        loop {
            attempt += 1;
            let turn = match permit.take() {
                Some(permit) => permit,
                None => {
                    let turn = self.permit_until(ask, request.base, until).await;
                    turn.map_err(|error| failed(error, uncertain))?
                }
            };
            let mut least = Duration::ZERO;
            let error = match self.attempt(turn, request, &token).await {
                Ok(answer) if answer.status < 300 => match read(&answer) {
                    Ok(value) => return Ok(Answer { value, server_time: answer.server_time }),
                    Err(e) => {
                        let error = request.unanswered(format!("its answer cannot be read ({e})"));
                        // Whole, and of another shape than it should be.
                        if e.is_data() {
                            return Err(Ended::Failed(error));
                        }
                        uncertain = true;
                        error
                    }
                },
                Ok(answer) if answer.status == 401 && !renewed => {
                    renewed = true;
                    match self.credentials.renew(&token).await {
                        Ok(other) if other != token => token = other,
                        Ok(_) => return Err(Ended::Said { answer, uncertain }),
                        Err(error) => return Err(failed(error, uncertain)),
                    }
                    continue;
                }
                Ok(answer) if answer.status == 429 => {
                    let refused = error::read(answer.status, &answer.body);
                    if refused.kind == BILLING_LIMIT {
                        return Err(failed(error::used_up(refused), uncertain));
                    }
                    self.airtable.shared.pacer.penalise(request.base, &self.profile).await;
                    Error::RateLimited { seconds: self.airtable.shared.options.penalty_seconds }
                }
                Ok(answer) if answer.status >= 500 => {
                    uncertain = true;
                    least = answer.retry_after.unwrap_or_default();
                    let again = request.repeat != Repeat::Never && attempt < MAX_ATTEMPTS;
                    if !again || Instant::now() + least > until {
                        return Err(Ended::Said { answer, uncertain });
                    }
                    request.unanswered(format!("it answered with status {}", answer.status))
                }
                Ok(answer) => return Err(Ended::Said { answer, uncertain }),
                Err(Broken::NotSent(reason)) => Error::NotSent(reason),
                Err(Broken::Unanswered(reason)) => {
                    uncertain = true;
                    request.unanswered(reason)
                }
                Err(Broken::TooLong) => {
                    let reason = format!("its answer is longer than {MAX_ANSWER} bytes");
                    return Err(Ended::Failed(request.unanswered(reason)));
                }
            };
            let again = request.repeat != Repeat::Never || !uncertain;
            let at = Instant::now() + least.max(jitter(attempt));
            // Nobody is there: whoever waits hears of it soon.
            let most = if matches!(error, Error::NotSent(_)) { MAX_CONNECTS } else { MAX_ATTEMPTS };
            if !again || attempt >= most || at > until {
                return Err(failed(error, uncertain));
            }
            sleep_until(at).await;
        }
    }

    async fn attempt(&self, mut permit: Permit, request: &Request, token: &Secret) -> Result<Whole, Broken> {
        let shared = &self.airtable.shared;
        let client = shared.client().map_err(|e| Broken::NotSent(e.to_string()))?;
        let mut bearer = HeaderValue::try_from(format!("Bearer {}", token.reveal()))
            .map_err(|_| Broken::NotSent("the token has characters a header cannot carry".into()))?;
        bearer.set_sensitive(true);
        let mut sending = client.request(request.method.clone(), request.url.clone());
        sending = sending.header(AUTHORIZATION, bearer);
        if let Some(body) = &request.body {
            sending = sending.header(CONTENT_TYPE, &body.kind).body(body.bytes.clone());
        }
        let seconds = shared.options.timeout_seconds;
        let deadline = Instant::now() + Duration::from_secs(seconds);
        let late = |_| Broken::Unanswered(format!("it took longer than {seconds} s"));
        permit.sent(request.body.as_ref().is_some_and(|body| body.bytes.len() > LARGE));
        let mut response = match timeout_at(deadline, sending.send()).await.map_err(late)? {
            Ok(response) => response,
            Err(error) => {
                let broken = broken(error);
                if matches!(broken, Broken::NotSent(_)) {
                    permit.unsent();
                }
                return Err(broken);
            }
        };
        permit.answered();
        drop(permit);
        let header = |name| response.headers().get(name)?.to_str().ok().map(str::to_owned);
        let mut answer = Whole {
            status: response.status().as_u16(),
            kind: header(CONTENT_TYPE),
            server_time: header(DATE).and_then(|text| http_date(&text)),
            retry_after: header(RETRY_AFTER).and_then(|text| text.parse().ok()).map(Duration::from_secs),
            body: Bytes::new(),
        };
        let mut body = BytesMut::new();
        while let Some(piece) = timeout_at(deadline, response.chunk()).await.map_err(late)?.map_err(broken)? {
            if body.len() + piece.len() > MAX_ANSWER {
                return Err(Broken::TooLong);
            }
            body.extend_from_slice(&piece);
        }
        answer.body = body.freeze();
        Ok(answer)
    }
}

/// A random wait before the next attempt, longer from attempt to attempt.
fn jitter(attempt: u32) -> Duration {
    let most = FIRST_WAIT.saturating_mul(1 << attempt.saturating_sub(1).min(10)).min(LONGEST_WAIT);
    let mut bytes = [0u8; 8];
    if getrandom::fill(&mut bytes).is_err() {
        return most;
    }
    let most = most.as_millis() as u64;
    Duration::from_millis(u64::from_le_bytes(bytes) % (most + 1))
}

/// Whether anything was sent before it broke, and the words at the root of it.
fn broken(error: reqwest::Error) -> Broken {
    let unsent = error.is_connect() || error.is_builder();
    let error = error.without_url();
    let mut last = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(error) = cause {
        last = error.to_string();
        cause = error.source();
    }
    if unsent { Broken::NotSent(last) } else { Broken::Unanswered(last) }
}

fn http_date(text: &str) -> Option<i64> {
    let zoned = jiff::fmt::rfc2822::DateTimeParser::new().parse_zoned(text).ok()?;
    Some(zoned.timestamp().as_millisecond())
}

/// Reads a time in Airtable's form as milliseconds since the epoch.
pub(super) fn instant<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    use serde::Deserialize as _;
    let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
    let at: jiff::Timestamp = text.parse().map_err(serde::de::Error::custom)?;
    Ok(at.as_millisecond())
}

/// The same for a time that may be absent or null.
pub(super) fn maybe_instant<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<i64>, D::Error> {
    use serde::Deserialize as _;
    let Some(text) = Option::<String>::deserialize(deserializer)? else { return Ok(None) };
    let at: jiff::Timestamp = text.parse().map_err(serde::de::Error::custom)?;
    Ok(Some(at.as_millisecond()))
}
