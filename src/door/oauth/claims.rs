//! What a token says, and whether it may be believed (RFC 9068, RFC 8725).

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Header, Validation, decode, decode_header};
use serde::Deserialize;
use serde_json::Value;

use super::Refused;
use super::keys::Key;

/// Seconds by which clocks may differ.
const LEEWAY: u64 = 30;

/// What a verified token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// Whom it stands for, as the authorization server calls them.
    pub subject: Option<String>,
    /// The client it was given to.
    pub client: Option<String>,
    /// The person it stands for: what the claim of `oauth.person_claim` says.
    pub person: Option<String>,
    /// What it allows.
    pub scopes: Vec<String>,
    /// When it ends, in milliseconds since the epoch.
    pub expires_at_ms: i64,
}

/// What a token has to say.
pub(super) struct Expected<'a> {
    pub(super) issuer: &'a str,
    /// Without a slash at the end.
    pub(super) resource: &'a str,
    pub(super) person_claim: &'a str,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    exp: f64,
    iat: Option<f64>,
    sub: Option<String>,
    client_id: Option<String>,
    azp: Option<String>,
    scope: Option<Scopes>,
    scp: Option<Scopes>,
}

/// Scopes are words in one text, or a list of them.
#[derive(Deserialize)]
#[serde(untagged)]
enum Scopes {
    Text(String),
    List(Vec<String>),
}

impl From<Scopes> for Vec<String> {
    fn from(scopes: Scopes) -> Self {
        match scopes {
            Scopes::Text(text) => text.split_whitespace().map(str::to_owned).collect(),
            Scopes::List(list) => list,
        }
    }
}

/// Claims of ID tokens: those tell a client who logged in, and open nothing.
const OF_ID_TOKENS: [&str; 3] = ["nonce", "at_hash", "c_hash"];

/// The header of `token`; the error says what is wrong with it.
pub(super) fn header(token: &str) -> Result<Header, String> {
    let header = decode_header(token).map_err(|e| format!("its header cannot be used: {e}"))?;
    let kind = header.typ.as_deref().unwrap_or("JWT").to_ascii_lowercase();
    if !matches!(kind.as_str(), "jwt" | "at+jwt" | "application/at+jwt") {
        return Err(format!("its header says that it is of type {kind:?}"));
    }
    if header.crit.is_some() {
        return Err("its header asks for extensions (crit)".into());
    }
    Ok(header)
}

/// Verifies `token` with the key its header names. The error is what may be told, and what is to be
/// logged.
pub(super) fn verify(token: &str, key: &Key, expected: &Expected<'_>) -> Result<Verified, (Refused, String)> {
    let mut validation = Validation::default();
    validation.algorithms.clone_from(&key.algorithms);
    validation.leeway = LEEWAY;
    // The last second is over when it begins.
    validation.reject_tokens_expiring_in_less_than = 1;
    validation.validate_nbf = true;
    validation.set_required_spec_claims(&["exp", "iss", "aud"]);
    validation.set_issuer(&[expected.issuer]);
    let resource = expected.resource;
    let audiences =
        [resource.to_owned(), format!("{resource}/"), format!("{resource}/mcp"), format!("{resource}/mcp/")];
    validation.set_audience(&audiences);
    let decoded = decode::<Value>(token, &key.key, &validation).map_err(|error| {
        let refused = match error.kind() {
            ErrorKind::ExpiredSignature => Refused::Expired,
            ErrorKind::InvalidAudience => Refused::Elsewhere,
            _ => Refused::NotLetIn,
        };
        (refused, error.to_string())
    })?;
    let not_let_in = |reason: String| (Refused::NotLetIn, reason);
    let all = decoded.claims;
    let claims = Claims::deserialize(&all).map_err(|e| not_let_in(e.to_string()))?;
    believe(&claims, &all, expected).map_err(not_let_in)?;
    let person = match all.get(expected.person_claim) {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) if !text.is_empty() => Some(text.clone()),
        Some(_) => {
            return Err(not_let_in(format!("its claim {:?} names no person", expected.person_claim)));
        }
    };
    let unverified = all.get("email_verified").is_some_and(|v| *v == false || *v == "false");
    if person.is_some() && unverified {
        let reason = "the authorization server did not verify the address of the person it stands for";
        return Err(not_let_in(reason.into()));
    }
    Ok(Verified {
        person,
        subject: claims.sub,
        client: claims.client_id.or(claims.azp),
        scopes: claims.scope.or(claims.scp).map(Vec::from).unwrap_or_default(),
        expires_at_ms: ((claims.exp + LEEWAY as f64) * 1_000.0) as i64,
    })
}

/// Checks what the library does not.
fn believe(claims: &Claims, all: &Value, expected: &Expected<'_>) -> Result<(), String> {
    // The library would take a list of issuers.
    if claims.iss != expected.issuer {
        return Err("its issuer is another".into());
    }
    let now = jsonwebtoken::get_current_timestamp() as f64;
    if claims.iat.is_some_and(|at| at > now + LEEWAY as f64) {
        return Err("it was issued in the future".into());
    }
    if OF_ID_TOKENS.iter().any(|name| all.get(*name).is_some()) {
        return Err("it is an ID token".into());
    }
    // Whoever took such a token from its owner could use it here.
    if all.get("cnf").is_some() {
        return Err("it is bound to a key of its owner (cnf), which is not checked here".into());
    }
    Ok(())
}
