//! Access tokens of an authorization server: which are let in, how far, and what clients are told.

mod clients;
mod ends;
mod issuer;
mod keys;
mod people;
mod scopes;
mod table;

use serde_json::{Value, json};

use crate::support::{Answer, Client, Data, http, listen};
use issuer::{Issuer, Signer, now};

const EVERYTHING: [&str; 3] = ["--allow-write", "--allow-delete", "--allow-schema"];

/// A server that lets in tokens of an authorization server.
struct Served {
    issuer: Issuer,
    data: Data,
    client: Client,
    address: String,
}

impl Served {
    fn new(signers: &[&Signer]) -> Self {
        Self::with(signers, &[], &[])
    }

    /// With more flags and settings.
    fn with(signers: &[&Signer], flags: &[&str], settings: &[(&str, &str)]) -> Self {
        Self::of(Issuer::start(signers), flags, settings)
    }

    fn of(issuer: Issuer, flags: &[&str], settings: &[(&str, &str)]) -> Self {
        let data = Data::with_shop();
        let own = [
            ("TABLEWRIGHT_OAUTH_ISSUER", issuer.url.as_str()),
            ("TABLEWRIGHT_OAUTH_CLIENTS", "robot"),
            ("TABLEWRIGHT_LOG_LEVEL", "debug"),
        ];
        let (client, address) = listen(&data, flags, &[&own, settings].concat());
        Self { issuer, data, client, address }
    }

    fn claims(&self) -> Value {
        claims(&self.issuer, &self.address, "schema.bases:read data.records:read")
    }

    /// A good token, changed.
    fn token(&self, signer: &Signer, algorithm: &str, change: impl FnOnce(&mut Value)) -> String {
        let mut claims = self.claims();
        change(&mut claims);
        signer.token(algorithm, &claims)
    }

    /// Asks who the holder of a token is.
    fn whoami(&self, token: &str) -> Answer {
        whoami(&self.address, token)
    }

    fn lets_in(&self, token: &str) -> bool {
        let answer = self.whoami(token);
        assert!(matches!(answer.status, 200 | 401), "{}", answer.body);
        answer.status == 200
    }

    /// A request of MCP's newer era.
    fn ask(&self, token: &str, method: &str, name: Option<&str>, params: Value) -> Answer {
        ask(&self.address, token, method, name, params)
    }

    /// What the server logs of the next token it refuses.
    fn reason(&mut self) -> String {
        loop {
            let line = self.client.error_line();
            if line.contains("an access token is refused") {
                return line;
            }
        }
    }
}

/// What a good token says.
fn claims(issuer: &Issuer, address: &str, scope: &str) -> Value {
    json!({
        "iss": issuer.url,
        "aud": format!("http://{address}"),
        "sub": "somebody",
        "client_id": "robot",
        "scope": scope,
        "iat": now(),
        "exp": now() + 300,
        "jti": "1",
    })
}

fn whoami(address: &str, token: &str) -> Answer {
    http(address, "GET", "/v0/meta/whoami", &[("Authorization", &format!("Bearer {token}"))], b"")
}

/// A request of MCP's newer era.
fn ask(address: &str, token: &str, method: &str, name: Option<&str>, mut params: Value) -> Answer {
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": {"name": "t", "version": "1"},
    });
    let body = json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": params}).to_string();
    let bearer = format!("Bearer {token}");
    let mut headers = vec![
        ("Authorization", bearer.as_str()),
        ("Content-Type", "application/json"),
        ("Accept", "application/json, text/event-stream"),
        ("MCP-Protocol-Version", "2026-07-28"),
        ("Mcp-Method", method),
    ];
    headers.extend(name.map(|name| ("Mcp-Name", name)));
    http(address, "POST", "/mcp", &headers, body.as_bytes())
}

/// A part of the challenge of an answer, without its quotes.
fn challenge<'a>(answer: &'a Answer, part: &str) -> Option<&'a str> {
    let value = answer.header("WWW-Authenticate")?.strip_prefix("Bearer ")?;
    let rest = value.split(&format!("{part}=\"")).nth(1)?;
    rest.split('"').next()
}
