//! Access tokens of an authorization server: who they let in, and how far.
//!
//! This program is a resource server of OAuth 2.1: tokens are JWTs (RFC 9068) that name it as their
//! audience, and are verified with the keys their issuer publishes. It never asks for a token
//! itself, and passes none on.

mod claims;
mod keys;
mod source;

use std::net::IpAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tablewright_core::clock::Clock;
use tablewright_engine::fetch::{self, Fetcher};
use url::{Host, Url};

use crate::access::{Caller, Rights};
use crate::directory::{Directory, principal_of};
pub use claims::Verified;
use keys::Keys;
use source::Source;

/// Longest token that is looked at, in bytes.
const MAX_TOKEN: usize = 16 * 1024;
/// Longest id of a client.
const MAX_CLIENT: usize = 200;

/// Settings of tokens that an authorization server hands out.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// The authorization server whose access tokens let callers in over HTTP, such as
    /// `https://login.example.org`, exactly as its own metadata names it. None unless given.
    pub issuer: Option<String>,
    /// What its tokens call this server (their audience), such as `https://tables.example.org`.
    /// `http.public_url` when left out, or else the listening address.
    pub resource: Option<String>,
    /// Ids of clients that are let in with a token of their own; `*` for any. None unless listed.
    pub clients: Vec<String>,
    /// The claim that says which person a token stands for.
    pub person_claim: String,
    /// Where the keys of the authorization server are. Its metadata says so when left out.
    pub jwks_url: Option<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            issuer: None,
            resource: None,
            clients: Vec::new(),
            person_claim: "email".into(),
            jwks_url: None,
        }
    }
}

impl Options {
    /// Refuses values that cannot be used: the setting and what is wrong with it.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        let Some(issuer) = &self.issuer else {
            let alone = self.resource.is_some() || self.jwks_url.is_some() || !self.clients.is_empty();
            let reason = "the other settings of this section need it; give it, or leave them out";
            return if alone { Err(("issuer", reason.into())) } else { Ok(()) };
        };
        let parsed = secure(issuer).map_err(|reason| ("issuer", reason))?;
        if parsed.query().is_some() {
            return Err(("issuer", "it must be an address without a query".into()));
        }
        if let Some(url) = &self.jwks_url {
            secure(url).map_err(|reason| ("jwks_url", reason))?;
        }
        if let Some(resource) = &self.resource {
            web(resource).map_err(|reason| ("resource", reason))?;
        }
        if let Some(client) = self.clients.iter().find(|client| !is_client(client)) {
            let reason = format!("{client:?} is no id of a client; write 1 to {MAX_CLIENT} characters");
            return Err(("clients", reason));
        }
        if self.person_claim.trim().is_empty() {
            return Err(("person_claim", "it must name a claim, such as email".into()));
        }
        Ok(())
    }
}

/// Reads an address of the web that can stand for a server.
fn web(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|e| format!("it is no address ({e}); write https://HOST"))?;
    let plain = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
    if !matches!(url.scheme(), "http" | "https") || !plain {
        return Err("it must be an address such as https://example.org, with no user and no #part".into());
    }
    Ok(url)
}

/// Reads an address whose answers can be believed: `https`, or `http` on this machine.
fn secure(text: &str) -> Result<Url, String> {
    let url = web(text)?;
    let is_loopback = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(v4)) => IpAddr::from(v4).is_loopback(),
        Some(Host::Ipv6(v6)) => IpAddr::from(v6).is_loopback(),
        None => false,
    };
    if url.scheme() == "http" && !is_loopback {
        return Err("it must begin with https://; http:// will do on this machine alone".into());
    }
    Ok(url)
}

/// True for what can be the id of a client.
fn is_client(id: &str) -> bool {
    (1..=MAX_CLIENT).contains(&id.chars().count()) && !id.chars().any(char::is_control)
}

/// Why a token is not let in, as far as whoever brought it may know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// Its time is over.
    Expired,
    /// It is for another server.
    Elsewhere,
    /// Whatever else is wrong with it.
    NotLetIn,
    /// It cannot be verified: the keys of the authorization server are not to be had.
    NoKeys,
}

impl Refused {
    /// Says so in a challenge.
    pub fn words(self) -> &'static str {
        match self {
            Self::Expired => "the token has expired",
            Self::Elsewhere => "the token is not for this server",
            Self::NotLetIn | Self::NoKeys => "the token is not let in",
        }
    }
}

/// Lets in whoever brings a token of the authorization server. Cheap to clone.
#[derive(Clone)]
pub struct Oauth(Arc<Inner>);

struct Inner {
    issuer: String,
    resource: String,
    address: String,
    clients: Vec<String>,
    person_claim: String,
    source: Arc<Source>,
    clock: Arc<dyn Clock>,
}

impl Oauth {
    /// For tokens as `options` say; `None` when they name no issuer. `address` is where clients
    /// reach this server. Of private addresses, only those of the settings and of `fetch` are
    /// asked for keys.
    pub fn new(
        options: &Options,
        fetch: &fetch::Options,
        address: &str,
        clock: Arc<dyn Clock>,
    ) -> Result<Option<Self>, String> {
        let Some(issuer) = options.issuer.clone() else { return Ok(None) };
        let mut fetch = fetch.clone();
        let own = [Some(&issuer), options.jwks_url.as_ref()].into_iter().flatten();
        let hosts = own.filter_map(|url| Url::parse(url).ok()?.host_str().map(str::to_owned));
        fetch.allowed_private.extend(hosts.map(|host| host.trim_matches(['[', ']']).to_owned()));
        let fetcher = Fetcher::new(&fetch)?;
        let plain = |url: &str| url.trim_end_matches('/').to_owned();
        let source = Source::new(issuer.clone(), options.jwks_url.clone(), fetcher, clock.clone());
        Ok(Some(Self(Arc::new(Inner {
            issuer,
            resource: plain(options.resource.as_deref().unwrap_or(address)),
            address: plain(address),
            clients: options.clients.clone(),
            person_claim: options.person_claim.clone(),
            source: Arc::new(source),
            clock,
        }))))
    }

    /// The authorization server.
    pub fn issuer(&self) -> &str {
        &self.0.issuer
    }

    /// What tokens call this server, without a slash at the end.
    pub fn resource(&self) -> &str {
        &self.0.resource
    }

    /// Where clients reach this server, without a slash at the end.
    pub fn address(&self) -> &str {
        &self.0.address
    }

    /// What `token` says, if it is in force and for this server. A token that was verified before
    /// is not verified again until the keys change.
    pub async fn verify(&self, token: &str) -> Result<Arc<Verified>, Refused> {
        let refuse = |refused: Refused, reason: &str| {
            tracing::debug!(reason, "an access token is refused");
            refused
        };
        if token.len() > MAX_TOKEN {
            return Err(refuse(Refused::NotLetIn, "it is longer than a token may be"));
        }
        let Some(keys) = self.0.source.keys().await else {
            return Err(refuse(Refused::NoKeys, "there are no keys to verify it with"));
        };
        let hash: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        let now = self.0.clock.now_ms();
        if let Some(verified) = keys.verified(&hash).filter(|verified| now < verified.expires_at_ms) {
            return Ok(verified);
        }
        let header = claims::header(token).map_err(|reason| refuse(Refused::NotLetIn, &reason))?;
        let (keys, key) = match keys.find(&header) {
            Some(key) => (keys, key),
            None => self
                .newer(&keys, &header)
                .await
                .ok_or_else(|| refuse(Refused::NotLetIn, "no key of the authorization server fits it"))?,
        };
        let expected = claims::Expected {
            issuer: &self.0.issuer,
            resource: &self.0.resource,
            person_claim: &self.0.person_claim,
        };
        let verified =
            claims::verify(token, &key, &expected).map_err(|(refused, why)| refuse(refused, &why))?;
        let verified = Arc::new(verified);
        keys.remember(hash, verified.clone());
        Ok(verified)
    }

    /// The keys as they are now, when the key of `header` is not among those that were held.
    async fn newer(
        &self,
        held: &Arc<Keys>,
        header: &jsonwebtoken::Header,
    ) -> Option<(Arc<Keys>, Arc<keys::Key>)> {
        header.kid.as_ref()?;
        let keys = self.0.source.newer(held).await?;
        let key = keys.find(header)?;
        Some((keys, key))
    }

    /// Who a verified token lets in, with rights of its scopes within `flags`: the member it stands for,
    /// or else the client it was given to, if the settings list it. Whoever it stands for without being a
    /// member is not let in as the client.
    pub fn caller(
        &self,
        verified: &Verified,
        directory: &Directory,
        face: &'static str,
        flags: Rights,
    ) -> Result<Caller, Refused> {
        let client = verified.client.as_ref().filter(|id| is_client(id));
        let credential = client.map(|id| format!("client:{id}").into());
        let rights = Rights::of_scopes(&verified.scopes).and(flags);
        let caller = match &verified.person {
            Some(person) => {
                let member = principal_of(person).ok().and_then(|known| directory.member(&known, None));
                let Some(member) = member else {
                    tracing::debug!("the person it stands for is a member of no workspace");
                    return Err(Refused::NotLetIn);
                };
                Caller::of_member(member, face, rights)
            }
            None => {
                let listed =
                    |id: &&String| self.0.clients.iter().any(|listed| listed == "*" || listed == *id);
                let Some(client) = client.filter(listed) else {
                    tracing::debug!(client = ?verified.client, "this client is not in oauth.clients");
                    return Err(Refused::NotLetIn);
                };
                Caller::known(format!("client:{client}"), face, rights, None)
            }
        };
        Ok(Caller { credential, until: Some(verified.expires_at_ms), ..caller })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(change: impl FnOnce(&mut Options)) -> Result<(), (&'static str, String)> {
        let mut options = Options { issuer: Some("https://login.example.org".into()), ..Options::default() };
        change(&mut options);
        options.check()
    }

    #[test]
    fn settings_that_cannot_be_used_are_refused() {
        for issuer in
            ["https://login.example.org/", "http://127.0.0.1:1/a", "http://localhost", "http://[::1]:9"]
        {
            assert_eq!(checked(|o| o.issuer = Some(issuer.into())), Ok(()), "{issuer}");
        }
        for (issuer, rule) in [
            ("login.example.org", "no address"),
            ("http://login.example.org", "https://"),
            ("http://localhost.example.org", "https://"),
            ("https://a@login.example.org", "no user"),
            ("https://login.example.org/#a", "no #part"),
            ("https://login.example.org/?a", "without a query"),
            ("file:///etc/passwd", "such as https"),
        ] {
            let (key, reason) = checked(|o| o.issuer = Some(issuer.into())).unwrap_err();
            assert!(key == "issuer" && reason.contains(rule), "{issuer}: {reason}");
        }
        let key = |change: fn(&mut Options)| checked(change).unwrap_err().0;
        assert_eq!(key(|o| o.jwks_url = Some("http://example.org/jwks".into())), "jwks_url");
        assert_eq!(key(|o| o.resource = Some("tables".into())), "resource");
        assert_eq!(key(|o| o.clients = vec![String::new()]), "clients");
        assert_eq!(key(|o| o.person_claim = " ".into()), "person_claim");
        let alone = |o: &mut Options| *o = Options { clients: vec!["a".into()], ..Options::default() };
        assert_eq!(key(alone), "issuer");
        assert_eq!(Options::default().check(), Ok(()));
    }
}
