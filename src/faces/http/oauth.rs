//! How clients find the authorization server: metadata of this server (RFC 9728), and challenges
//! that name it (RFC 6750).

use std::sync::Arc;

use axum::Router;
use axum::http::{HeaderName, HeaderValue, Method, header};
use axum::routing::get;
use serde_json::json;
use tablewright_door::access::Need;
use tablewright_door::oauth::{Refused, Verified};
use tablewright_door::{Caller, Rights};
use tower_http::cors::{Any, CorsLayer};

use super::Guard;

/// Where the metadata is. The face at `/mcp` is a resource of its own for clients that ask for it
/// by its whole address.
const METADATA: &str = "/.well-known/oauth-protected-resource";
const MCP: &str = "/mcp";

/// What a client needs to look around; it asks for more when it meets more.
const FIRST_NEEDS: [Need; 2] = [Need::Describe, Need::Read];

/// Metadata of this server, open to everyone and to all pages; `None` without an authorization
/// server.
pub(super) fn metadata(guard: &Guard) -> Option<Router> {
    let (oauth, flags) = guard.oauth()?;
    let document = |resource: String| {
        let document = json!({
            "resource": resource,
            "authorization_servers": [oauth.issuer()],
            "scopes_supported": flags.scopes(),
            "bearer_methods_supported": ["header"],
            "resource_name": "Tablewright",
        });
        let text: Arc<str> = document.to_string().into();
        get(async move || ([(header::CONTENT_TYPE, "application/json")], text.to_string()))
    };
    let cors = CorsLayer::new()
        .allow_origin(Any)
        .allow_methods([Method::GET])
        .allow_headers([HeaderName::from_static("mcp-protocol-version")]);
    let routes = Router::new()
        .route(METADATA, document(oauth.resource().to_owned()))
        .route(&format!("{METADATA}{MCP}"), document(format!("{}{MCP}", oauth.resource())));
    Some(routes.layer(cors))
}

impl Guard {
    /// The challenge to a request to `path` that is not let in; `None` without an authorization
    /// server.
    pub(crate) fn challenge(&self, path: &str, refused: Option<Refused>) -> Option<HeaderValue> {
        let (_, flags) = self.oauth()?;
        let first = FIRST_NEEDS.into_iter().filter(|need| flags.require(*need).is_ok());
        let scopes: Vec<&str> = first.flat_map(Need::scopes).copied().collect();
        self.challenge_of(path, &scopes, refused.map(|why| ("invalid_token", why.words())))
    }

    /// The challenge to a request to `path` that needs more than its token grants. It names what
    /// the token grants, too: clients ask for all of it anew. `None` when no token would do, and
    /// where it is something else than the token that stands in the way.
    pub(crate) fn challenge_for_more(
        &self,
        path: &str,
        caller: &Caller,
        granted: &Verified,
        needs: &[Need],
    ) -> Option<HeaderValue> {
        let (_, flags) = self.oauth()?;
        let is_within = |rights: Rights| needs.iter().all(|need| rights.require(*need).is_ok());
        let role = caller.member.as_ref().map_or(Rights::ALL, |member| member.rights());
        if !is_within(flags.and(role)) || is_within(Rights::of_scopes(&granted.scopes)) {
            return None;
        }
        let held = granted.scopes.iter().map(String::as_str).filter(|scope| is_scope(scope));
        let mut scopes: Vec<&str> = held.collect();
        let wanted = needs.iter().flat_map(|need| need.scopes());
        scopes.extend(wanted.filter(|scope| !granted.scopes.iter().any(|held| held == *scope)));
        let why = ("insufficient_scope", "this needs more than the token grants");
        self.challenge_of(path, &scopes, Some(why))
    }

    fn challenge_of(&self, path: &str, scopes: &[&str], error: Option<(&str, &str)>) -> Option<HeaderValue> {
        let (oauth, _) = self.oauth()?;
        let face = if path == MCP { MCP } else { "" };
        let mut text = format!("Bearer resource_metadata=\"{}{METADATA}{face}\"", oauth.address());
        if !scopes.is_empty() {
            text.push_str(&format!(", scope=\"{}\"", scopes.join(" ")));
        }
        if let Some((code, description)) = error {
            text.push_str(&format!(", error=\"{code}\", error_description=\"{description}\""));
        }
        HeaderValue::from_str(&text).ok()
    }
}

/// True for what can stand in a list of scopes (RFC 6749, section 3.3).
fn is_scope(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'"' | b'\\'))
}
