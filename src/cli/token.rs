//! `token …`

use serde_json::Value;
use tablewright_core::model::cell::instant_text;

use super::args::{Global, Token};
use super::base::administer;
use crate::admin::Command;
use crate::admin::members::Command as Asked;
use crate::output::{say, shown};

pub(super) async fn run(global: &Global, command: Token) -> anyhow::Result<()> {
    let ask = |command| administer(global, Command::Members { command });
    match command {
        Token::Create { name, scopes, owner, workspace, days, profile } => {
            let made = ask(Asked::CreateToken { name, scopes, owner, workspace, days, profile }).await?;
            // The token alone, so that a script can keep it.
            let token = made["token"].as_str().unwrap_or_default();
            let said = if global.json { say(&made) } else { say(token) };
            if said.is_err() {
                // Nobody has seen it, so nobody may use it.
                let id = made["id"].as_str().unwrap_or_default().to_owned();
                ask(Asked::RevokeToken { token: id }).await?;
            }
            said?;
        }
        Token::List => {
            let listed = ask(Asked::ListTokens).await?;
            if global.json {
                say(&listed)?;
                return Ok(());
            }
            for token in listed.as_array().map_or(&[][..], Vec::as_slice) {
                say(line(token))?;
            }
        }
        Token::Revoke { token } => {
            let done = ask(Asked::RevokeToken { token }).await?;
            if global.json { say(&done)? } else { say("revoked; it is refused from now on")? }
        }
    }
    Ok(())
}

fn line(token: &Value) -> String {
    let of = |key: &str| token[key].as_str().unwrap_or_default();
    let state = if token["revoked_at"].is_null() { "in force" } else { "revoked" };
    let scopes: Vec<&str> =
        token["scopes"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let mut line = format!("{}  {}  {state}  {}", of("id"), shown(of("name")), scopes.join(","));
    for (key, before, after) in [("owner", "of ", ""), ("profile", "bases of ", " alone")] {
        if let Some(value) = token[key].as_str() {
            line.push_str(&format!("  {before}{}{after}", shown(value)));
        }
    }
    if let Some(until) = token["expires_at"].as_i64() {
        line.push_str(&format!("  until {}", instant_text(until)));
    }
    line
}
