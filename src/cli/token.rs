//! `token …`

use serde_json::Value;

use super::args::{Global, Token};
use super::base::administer;
use crate::admin::Command;
use crate::output::say;

pub(super) async fn run(global: &Global, command: Token) -> anyhow::Result<()> {
    match command {
        Token::Create { name, scopes, profile } => {
            let made = administer(global, Command::CreateToken { name, scopes, profile }).await?;
            // The token alone, so that a script can keep it.
            let token = made["token"].as_str().unwrap_or_default();
            let said = if global.json { say(&made) } else { say(token) };
            if said.is_err() {
                // Nobody has seen it, so nobody may use it.
                let id = made["id"].as_str().unwrap_or_default().to_owned();
                administer(global, Command::RevokeToken { token: id }).await?;
            }
            said?;
        }
        Token::List => {
            let listed = administer(global, Command::ListTokens).await?;
            if global.json {
                say(&listed)?;
                return Ok(());
            }
            for token in listed.as_array().map_or(&[][..], Vec::as_slice) {
                let state = if token["revoked_at"].is_null() { "in force" } else { "revoked" };
                let scopes: Vec<&str> =
                    token["scopes"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
                let of = |key: &str| token[key].as_str().unwrap_or_default();
                let only = token["profile"].as_str().map(|name| format!("  bases of {name} alone"));
                say(format_args!(
                    "{}  {}  {state}  {}{}",
                    of("id"),
                    crate::output::shown(of("name")),
                    scopes.join(","),
                    only.unwrap_or_default()
                ))?;
            }
        }
        Token::Revoke { token } => {
            let done = administer(global, Command::RevokeToken { token }).await?;
            if global.json { say(&done)? } else { say("revoked; it is refused from now on")? }
        }
    }
    Ok(())
}
