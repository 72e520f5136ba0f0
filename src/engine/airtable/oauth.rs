//! Logging in by OAuth: the address a person opens, the code that comes back, and pairs of tokens.

use std::time::Duration;

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tablewright_core::secret::Secret;
use url::Url;

use super::Airtable;
use super::profiles::Returned;

/// How long the token endpoint may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// Longest answer of the token endpoint that is read, in bytes.
const MAX_ANSWER: usize = 64 * 1024;
/// How long an access token lasts when the answer does not say, in seconds.
const LASTS: i64 = 3_600;
/// Longest text of Airtable's that is passed on.
const MAX_WORDS: usize = 300;

/// The registered integration that logs in.
#[derive(Debug, Clone)]
pub struct Integration {
    /// Where its two endpoints are, such as `https://airtable.com/oauth2/v1`.
    pub url: String,
    /// Its id at Airtable.
    pub client_id: String,
    /// Its secret, if it has one.
    pub client_secret: Option<Secret>,
    /// What it asks for.
    pub scopes: Vec<String>,
}

/// A login that was begun and whose answer is awaited.
pub struct Authorization {
    /// What the person opens.
    pub url: String,
    /// Where Airtable sends them afterwards.
    pub redirect: String,
    /// Proves, with the code, that whoever began the login ends it.
    pub verifier: Secret,
    state: String,
}

/// Why a login did not come about.
#[derive(Debug, thiserror::Error)]
pub enum Denied {
    /// An address in the settings cannot be used.
    #[error("airtable.oauth_url: {0}")]
    Url(String),
    /// The system gives no random bytes.
    #[error("no random bytes: {0}")]
    Random(String),
    /// What came back belongs to another login.
    #[error(
        "the answer that came back does not belong to this login (its state is another): nothing was kept; begin again"
    )]
    State,
    /// Airtable or the person said no.
    #[error("Airtable did not let us in: {0}")]
    Refused(String),
}

fn random() -> Result<String, Denied> {
    let mut bytes = [0u8; 32];
    getrandom::fill(&mut bytes).map_err(|e| Denied::Random(e.to_string()))?;
    Ok(BASE64_URL_SAFE_NO_PAD.encode(bytes))
}

impl Authorization {
    /// Begins a login that comes back to `redirect`.
    pub fn begin(integration: &Integration, redirect: &str) -> Result<Self, Denied> {
        let (state, verifier) = (random()?, random()?);
        let challenge = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()));
        let mut url = Url::parse(&format!("{}/authorize", integration.url.trim_end_matches('/')))
            .map_err(|e| Denied::Url(e.to_string()))?;
        url.query_pairs_mut()
            .append_pair("client_id", &integration.client_id)
            .append_pair("redirect_uri", redirect)
            .append_pair("response_type", "code")
            .append_pair("scope", &integration.scopes.join(" "))
            .append_pair("state", &state)
            .append_pair("code_challenge", &challenge)
            .append_pair("code_challenge_method", "S256");
        Ok(Self { url: url.into(), redirect: redirect.to_owned(), verifier: Secret::new(verifier), state })
    }

    /// The code in the query string that came back, when it belongs to this login.
    pub fn code(&self, query: &str) -> Result<Secret, Denied> {
        let (mut code, mut state, mut error, mut words) = (None, None, None, None);
        for (key, value) in url::form_urlencoded::parse(query.as_bytes()) {
            match &*key {
                "code" => code = Some(value.into_owned()),
                "state" => state = Some(value.into_owned()),
                "error" => error = Some(value.into_owned()),
                "error_description" => words = Some(value.into_owned()),
                _ => {}
            }
        }
        if !state.is_some_and(|state| bool::from(state.as_bytes().ct_eq(self.state.as_bytes()))) {
            return Err(Denied::State);
        }
        match (code, error) {
            (_, Some(error)) => Err(Denied::Refused(said(&error, words.as_deref()))),
            (Some(code), None) => Ok(Secret::new(code)),
            (None, None) => Err(Denied::Refused("the answer holds no code".into())),
        }
    }
}

/// Airtable's words on one line, cut.
fn said(error: &str, description: Option<&str>) -> String {
    let words: String = match description {
        Some(words) => format!("{error}: {words}"),
        None => error.to_owned(),
    };
    words.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_WORDS).collect()
}

/// Two tokens of which each new pair ends the one before.
#[derive(Clone, PartialEq)]
pub(super) struct Pair {
    pub(super) access: Secret,
    pub(super) refresh: Secret,
    /// When the access token ends, in milliseconds since the epoch.
    pub(super) expires_at: i64,
}

/// A pair that was just handed out, and what it is good for.
pub(super) struct Granted {
    pub(super) pair: Pair,
    pub(super) scopes: Option<Vec<String>>,
}

/// Why no pair came back.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// Nothing was sent.
    #[error("{0}")]
    NotSent(String),
    /// It was sent, and no whole answer came: a new pair may have been made.
    #[error("{0}")]
    Lost(String),
    /// Somebody else has just got a new pair.
    #[error("this login was refreshed a moment ago")]
    JustDone,
    /// The code or refresh token is not taken any more.
    #[error("{0}")]
    Spent(String),
    /// The integration itself is refused.
    #[error("{0}")]
    Refused(String),
}

/// What the token endpoint answers; times in seconds.
#[derive(Deserialize)]
struct Body {
    access_token: String,
    refresh_token: String,
    expires_in: Option<i64>,
    scope: Option<String>,
}

#[derive(Deserialize, Default)]
struct Complaint {
    #[serde(default)]
    error: String,
    error_description: Option<String>,
}

/// Speaks to the token endpoint.
#[derive(Clone)]
pub(super) struct Endpoint {
    pub(super) airtable: Airtable,
    pub(super) integration: Integration,
}

impl Endpoint {
    /// Changes a code for the first pair; a code works once.
    pub(super) async fn exchange(&self, returned: &Returned, now: i64) -> Result<Granted, Failure> {
        let form = [
            ("grant_type", "authorization_code"),
            ("code", returned.code.reveal()),
            ("redirect_uri", &returned.redirect),
            ("code_verifier", returned.verifier.reveal()),
        ];
        self.ask(&form, now).await
    }

    /// Changes a refresh token for the next pair; it works once.
    pub(super) async fn refresh(&self, token: &Secret, now: i64) -> Result<Granted, Failure> {
        self.ask(&[("grant_type", "refresh_token"), ("refresh_token", token.reveal())], now).await
    }

    fn request(&self, form: &[(&str, &str)]) -> Result<reqwest::RequestBuilder, Failure> {
        let mut body = url::form_urlencoded::Serializer::new(String::new());
        body.extend_pairs(form);
        let Integration { url, client_id, client_secret, .. } = &self.integration;
        let http = self.airtable.shared.client().map_err(|e| Failure::NotSent(e.to_string()))?;
        let mut request = http.post(format!("{}/token", url.trim_end_matches('/'))).timeout(PATIENCE);
        // The id goes into the form for an integration without a secret, and nowhere else.
        match client_secret {
            Some(secret) => {
                let both = BASE64_STANDARD.encode(format!("{client_id}:{}", secret.reveal()));
                request = request.header("Authorization", format!("Basic {both}"));
            }
            None => {
                body.append_pair("client_id", client_id);
            }
        }
        Ok(request
            .header("Content-Type", "application/x-www-form-urlencoded")
            .header("Accept", "application/json")
            .body(body.finish()))
    }

    async fn ask(&self, form: &[(&str, &str)], now: i64) -> Result<Granted, Failure> {
        let url = &self.integration.url;
        let mut answer = self.request(form)?.send().await.map_err(|e| {
            let words = format!("{url} cannot be reached: {}", root(&e));
            if e.is_connect() || e.is_builder() { Failure::NotSent(words) } else { Failure::Lost(words) }
        })?;
        let status = answer.status();
        let mut bytes = Vec::new();
        while let Some(chunk) =
            answer.chunk().await.map_err(|e| Failure::Lost(format!("{url} broke off: {}", root(&e))))?
        {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > MAX_ANSWER {
                return Err(Failure::Lost(format!("{url} sends more than {MAX_ANSWER} bytes")));
            }
        }
        if status.is_success() {
            let body: Body = serde_json::from_slice(&bytes)
                .map_err(|e| Failure::Lost(format!("the answer of {url} holds no tokens: {e}")))?;
            let lasts = body.expires_in.unwrap_or(LASTS).clamp(0, 366 * 86_400);
            let pair = Pair {
                access: Secret::new(body.access_token),
                refresh: Secret::new(body.refresh_token),
                expires_at: now + lasts * 1_000,
            };
            let scopes = body.scope.map(|all| all.split_whitespace().map(str::to_owned).collect());
            return Ok(Granted { pair, scopes });
        }
        let complaint: Complaint = serde_json::from_slice(&bytes).unwrap_or_default();
        let words = match complaint.error.as_str() {
            "" => format!("status {}", status.as_u16()),
            error => said(error, complaint.error_description.as_deref()),
        };
        Err(match status.as_u16() {
            409 => Failure::JustDone,
            429 => Failure::NotSent(words),
            400..=499 if complaint.error == "invalid_grant" => Failure::Spent(words),
            400..=499 => Failure::Refused(words),
            _ => Failure::Lost(words),
        })
    }
}

/// What is at the root of a failure, without the address.
fn root(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    if std::ptr::addr_eq(cause, error) && error.is_timeout() {
        return "no answer in time".into();
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begun() -> (Authorization, Url) {
        let integration = Integration {
            url: "https://airtable.com/oauth2/v1".into(),
            client_id: "an id".into(),
            client_secret: Some(Secret::new("hush")),
            scopes: vec!["data.records:read".into(), "schema.bases:read".into()],
        };
        let begun = Authorization::begin(&integration, "http://localhost:1/callback").unwrap();
        let url = Url::parse(&begun.url).unwrap();
        (begun, url)
    }

    #[test]
    fn the_address_proves_who_began() {
        let (begun, url) = begun();
        let of = |wanted: &str| url.query_pairs().find(|(key, _)| key == wanted).unwrap().1.into_owned();
        assert!(begun.url.starts_with("https://airtable.com/oauth2/v1/authorize?client_id=an+id&"), "{url}");
        assert_eq!(of("scope"), "data.records:read schema.bases:read");
        assert_eq!(of("redirect_uri"), "http://localhost:1/callback");
        assert_eq!((of("response_type"), of("code_challenge_method")), ("code".into(), "S256".into()));
        // The example of RFC 7636 holds for the same two steps.
        let challenge = |verifier: &str| BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()));
        assert_eq!(
            challenge("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
            "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
        );
        assert_eq!(of("code_challenge"), challenge(begun.verifier.reveal()));
        assert!(begun.verifier.reveal().len() >= 43 && of("state").len() >= 16);
        assert!(!begun.url.contains(begun.verifier.reveal()) && !begun.url.contains("hush"));
    }

    #[test]
    fn only_the_answer_of_this_login_is_taken() {
        let (begun, url) = begun();
        let state = url.query_pairs().find(|(key, _)| key == "state").unwrap().1.into_owned();
        assert_eq!(begun.code(&format!("code=c%2B1&state={state}")).unwrap().reveal(), "c+1");
        for query in ["", "code=c", "code=c&state=", "code=c&state=other", &format!("code=c&state={state}x")]
        {
            assert!(matches!(begun.code(query), Err(Denied::State)), "{query}");
        }
        let denied = begun.code(&format!("error=access_denied&error_description=No%0Ame&state={state}"));
        assert_eq!(denied.unwrap_err().to_string(), "Airtable did not let us in: access_denied: No me");
        assert!(begun.code(&format!("state={state}")).is_err());
    }
}
