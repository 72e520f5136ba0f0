//! Who may come in: Host, Origin, token, and how often.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{Extensions, HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use tablewright_door::oauth::{Refused, Verified};
use tablewright_door::{Caller, Oauth, Rights, Tokens, tokens};
use tower_http::cors::CorsLayer;

use super::rate::{self, Buckets, Standing};
use super::{NOT_LET_IN, Options, refusal};

/// Who is let in.
#[derive(Clone)]
pub enum Entry {
    /// Whoever brings a token in force: one of ours, or one of the authorization server.
    Tokens(Tokens, Option<Oauth>),
    /// Everyone who reaches the port; loopback only.
    Anyone,
}

/// Refuses an address that is not loopback when everyone may come in.
pub fn check_address(address: SocketAddr, entry: &Entry) -> Result<(), &'static str> {
    if matches!(entry, Entry::Anyone) && !address.ip().is_loopback() {
        return Err(
            "--no-auth works on a loopback address only; use 127.0.0.1, or leave it out and use tokens",
        );
    }
    Ok(())
}

/// Where a request comes from: what addresses are counted by. Every connection puts it among the
/// extensions of its requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Peer(IpAddr);

impl Peer {
    /// Of a connection from `address`. A whole /64 of IPv6 is one: it belongs to one customer.
    pub(super) fn of(address: SocketAddr) -> Self {
        Self(match address.ip().to_canonical() {
            IpAddr::V6(ip) if !ip.is_loopback() => {
                Ipv6Addr::from_bits(ip.to_bits() & (u128::MAX << 64)).into()
            }
            ip => ip,
        })
    }
}

/// Why somebody is not let in.
pub(crate) enum NotLetIn {
    /// There is no token, or it is not in force, for a reason that may be told: status 401.
    NoToken(Option<Refused>),
    /// They asked too often: status 429.
    TooOften(Standing),
}

/// Somebody who was let in.
pub(crate) struct Entered {
    pub(crate) caller: Caller,
    pub(crate) left: Left,
    /// What their token says, when it is one of the authorization server.
    pub(crate) granted: Option<Arc<Verified>>,
}

/// What is left of a caller's limit; nothing when there is no limit.
#[derive(Clone, Copy)]
pub(crate) struct Left(Option<Standing>);

impl Left {
    /// Says it in the headers of an answer.
    pub(crate) fn told(self, mut response: Response) -> Response {
        if let Some(standing) = self.0 {
            standing.tell(&mut response);
        }
        response
    }
}

/// The guard of the port, shared by all faces. Cheap to clone.
#[derive(Clone)]
pub struct Guard(Arc<Inner>);

struct Inner {
    options: Options,
    hosts: Vec<String>,
    origins: Vec<HeaderValue>,
    entry: Entry,
    flags: Rights,
    local: Arc<str>,
    callers: Option<Buckets<Arc<str>>>,
    wrong_tokens: Option<Buckets<Peer>>,
}

/// Host names that always mean this machine.
pub(crate) const LOOPBACK: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

impl Guard {
    /// Lets in as `entry` says; nobody may do more than `flags` allow.
    pub fn new(options: Options, entry: Entry, flags: Rights) -> Self {
        let listed = options.allowed_hosts.iter().map(|host| host_name(host));
        let hosts = LOOPBACK.into_iter().chain(listed).map(String::from).collect();
        // Pages of this very server behind a proxy come from its public address.
        let public = options.public_url.as_deref().and_then(origin_of);
        let allowed = options.allowed_origins.iter().cloned().chain(public);
        let origins = allowed.filter_map(|o| HeaderValue::from_str(&o).ok()).collect();
        let callers = options.rate.of_callers().map(Buckets::new);
        let wrong_tokens = options.rate.of_wrong_tokens().map(Buckets::new);
        let local = "local".into();
        Self(Arc::new(Inner { options, hosts, origins, entry, flags, local, callers, wrong_tokens }))
    }

    /// The settings of the entry.
    pub fn options(&self) -> &Options {
        &self.0.options
    }

    /// The authorization server whose tokens are let in, and what anybody may do at most.
    pub(super) fn oauth(&self) -> Option<(&Oauth, Rights)> {
        match &self.0.entry {
            Entry::Tokens(_, Some(oauth)) => Some((oauth, self.0.flags)),
            _ => None,
        }
    }

    /// Who sent a request with these headers. Without tokens (`--no-auth`) everyone is the user of
    /// this machine. A token goes to those alone who may have made it.
    async fn caller(
        &self,
        headers: &HeaderMap,
        face: &'static str,
    ) -> Result<(Caller, Option<Arc<Verified>>), Option<Refused>> {
        let inner = &*self.0;
        let Entry::Tokens(tokens, oauth) = &inner.entry else {
            return Ok((Caller::known(inner.local.clone(), face, inner.flags, None), None));
        };
        let token = bearer(headers).ok_or(None)?;
        match oauth {
            _ if token.starts_with(tokens::PREFIX) => {
                let caller = tokens.check(token, face, inner.flags).ok_or(Refused::NotLetIn)?;
                Ok((caller, None))
            }
            Some(oauth) => {
                let granted = oauth.verify(token).await?;
                Ok((oauth.caller(&granted, tokens.directory(), face, inner.flags)?, Some(granted)))
            }
            None => Err(Some(Refused::NotLetIn)),
        }
    }

    /// Lets in whoever sent a request with these headers and extensions, unless they ask too often.
    /// An address that brought too many wrong tokens is not even asked for its token: what it hears
    /// must not tell a right one from a wrong one.
    pub(crate) async fn enter(
        &self,
        headers: &HeaderMap,
        extensions: &Extensions,
        face: &'static str,
    ) -> Result<Entered, NotLetIn> {
        let wrong_tokens = self.wrong_tokens(headers, extensions);
        if let Some((buckets, peer)) = wrong_tokens {
            let standing = buckets.look(peer);
            if standing.is_over {
                return Err(NotLetIn::TooOften(standing));
            }
        }
        let (caller, granted) = match self.caller(headers, face).await {
            Ok(known) => known,
            Err(refused) => {
                // Whose keys are away is not to blame for it.
                let blamed = wrong_tokens.filter(|_| refused != Some(Refused::NoKeys));
                blamed.map(|(buckets, peer)| buckets.take(peer));
                return Err(NotLetIn::NoToken(refused));
            }
        };
        let Some(callers) = &self.0.callers else { return Ok(Entered { caller, left: Left(None), granted }) };
        let standing = callers.take(&caller.principal);
        if standing.is_over {
            return Err(NotLetIn::TooOften(standing));
        }
        Ok(Entered { caller, left: Left(Some(standing)), granted })
    }

    /// Where a wrong token in this request counts. Requests without any do not: clients ask so to
    /// learn that they need one.
    fn wrong_tokens<'a>(
        &'a self,
        headers: &HeaderMap,
        extensions: &'a Extensions,
    ) -> Option<(&'a Buckets<Peer>, &'a Peer)> {
        let buckets = self.0.wrong_tokens.as_ref()?;
        let peer = extensions.get::<Peer>()?;
        let counts = headers.contains_key(header::AUTHORIZATION)
            && matches!(self.0.entry, Entry::Tokens(..))
            && (self.0.options.rate.limit_loopback || !peer.0.is_loopback());
        counts.then_some((buckets, peer))
    }

    /// What pages of listed origins may do; `None` when no origin is listed.
    pub(crate) fn cors(&self) -> Option<CorsLayer> {
        let origins = &self.0.origins;
        (!origins.is_empty()).then(|| {
            CorsLayer::new()
                .allow_origin(origins.clone())
                .allow_methods([
                    Method::GET,
                    Method::POST,
                    Method::PUT,
                    Method::PATCH,
                    Method::DELETE,
                    Method::OPTIONS,
                ])
                .allow_headers(
                    [header::AUTHORIZATION, header::CACHE_CONTROL, header::CONTENT_TYPE]
                        .into_iter()
                        .chain(CLIENT_HEADERS.into_iter().map(HeaderName::from_static))
                        .collect::<Vec<_>>(),
                )
                .expose_headers([
                    HeaderName::from_static("mcp-session-id"),
                    HeaderName::from_static("x-tablewright-source"),
                    header::AGE,
                    header::WWW_AUTHENTICATE,
                    header::RETRY_AFTER,
                    rate::POLICY,
                    rate::STANDING,
                ])
                .max_age(Duration::from_secs(600))
        })
    }
}

/// Headers that clients of the faces send beside the usual ones.
const CLIENT_HEADERS: [&str; 8] = [
    "x-api-version",
    "x-airtable-application-id",
    "x-airtable-user-agent",
    "mcp-protocol-version",
    "mcp-method",
    "mcp-name",
    "mcp-session-id",
    "last-event-id",
];

/// The one token of a request.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut given = headers.get_all(header::AUTHORIZATION).iter();
    let value = given.next().filter(|_| given.next().is_none())?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// True for what a browser sends as `Origin`: scheme, host and port, without a path.
pub(super) fn is_origin(text: &str) -> bool {
    let host = text.split_once("://").map_or("", |(_, host)| host);
    !host.is_empty() && !host.contains(['/', '*', '?', '#']) && HeaderValue::from_str(text).is_ok()
}

/// The origin of an address: scheme, host and port.
fn origin_of(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    Some(format!("{scheme}://{}", rest.split('/').next()?))
}

/// The host name of a `Host` header, without the port.
fn host_name(host: &str) -> &str {
    match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((inside, _)) => inside,
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    }
}

/// Refuses requests that a web page elsewhere may have caused: wrong `Host`, foreign `Origin`.
pub(super) async fn check_place(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    let headers = request.headers();
    let known = |name: &str| guard.0.hosts.iter().any(|known| known.eq_ignore_ascii_case(name));
    let mut hosts = headers.get_all(header::HOST).iter();
    let host = hosts.next().and_then(|h| h.to_str().ok());
    let one_known = host.map(host_name).is_some_and(known) && hosts.next().is_none();
    // A whole address in the request line counts as a host, too.
    if !one_known || !request.uri().host().is_none_or(|host| known(host_name(host))) {
        return refusal(
            StatusCode::FORBIDDEN,
            NOT_LET_IN,
            "this Host is not allowed; use localhost, or add the name to http.allowed_hosts",
        );
    }
    // A page of this very server, at a Host that is allowed, is not foreign.
    let scheme = guard.0.options.scheme();
    let own = |origin: &HeaderValue| {
        let parts = origin.to_str().ok().and_then(|origin| origin.split_once("://"));
        parts.is_some_and(|(given, place)| given == scheme && Some(place) == host)
    };
    let mut origins = headers.get_all(header::ORIGIN).iter();
    if origins.any(|origin| !own(origin) && !guard.0.origins.contains(origin)) {
        return refusal(
            StatusCode::FORBIDDEN,
            NOT_LET_IN,
            "this Origin is not allowed; add it to http.allowed_origins if the page is yours",
        );
    }
    next.run(request).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_one_customer_count_as_one() {
        let of = |text: &str| Peer::of(text.parse().unwrap());
        assert_eq!(of("[2001:db8::1]:1"), of("[2001:db8::ffff:2]:9"));
        assert_ne!(of("[2001:db8::1]:1"), of("[2001:db8:0:1::1]:1"));
        assert_eq!(of("[::ffff:192.0.2.1]:1"), of("192.0.2.1:2"));
        assert_ne!(of("192.0.2.1:1"), of("192.0.2.2:1"));
        assert!(of("[::1]:1").0.is_loopback() && of("[::ffff:127.0.0.1]:1").0.is_loopback());
    }
}
