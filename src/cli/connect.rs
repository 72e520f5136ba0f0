//! `connect`: logs in at Airtable and chooses the bases that are copied.

mod loopback;

use std::io::{BufRead, IsTerminal, Read, Write};

use anyhow::bail;
use serde_json::{Value, json};
use tablewright_core::secret::Secret;
use tablewright_engine::airtable::profiles::{ENVIRONMENT, NO_INTEGRATION, Profile};

use super::args::{Connect, Global};
use super::base::administer;
use crate::admin::Command;
use crate::admin::logins::{self, Granted, Shown, kind};
use crate::output::{say, shown};

/// Longest line that is read for a token, in bytes.
const MAX_LINE: u64 = 4096;

async fn ask(global: &Global, command: logins::Command) -> anyhow::Result<Value> {
    administer(global, Command::Logins { command }).await
}

pub(super) async fn run(global: &Global, options: Connect) -> anyhow::Result<()> {
    if options.list {
        return list(global).await;
    }
    let login: Shown = serde_json::from_value(log_in(global, &options).await?)?;
    let name = login.profile.name.clone();
    if !global.json {
        introduce(&login)?;
    }
    let mut bases = options.bases.clone();
    let may_ask = !global.json && !options.yes && !options.token_stdin && std::io::stdin().is_terminal();
    if bases.is_empty() && !options.all && may_ask && !login.grants.is_empty() {
        bases = choose(&login.grants)?;
    }
    let copied = if bases.is_empty() && !options.all {
        json!({ "profile": name, "copied": [], "already": [] })
    } else {
        let tables = options.tables.clone();
        ask(global, logins::Command::Copy { name: name.clone(), bases, all: options.all, tables }).await?
    };
    if global.json {
        return say(json!({
            "profile": login.profile, "grants": login.grants,
            "copied": copied["copied"], "already": copied["already"],
        }));
    }
    conclude(&name, &copied)
}

/// Adds a login as the flags say, or takes the one that is there.
async fn log_in(global: &Global, options: &Connect) -> anyhow::Result<Value> {
    let (name, new_key) = (options.name.clone(), options.new_key);
    if options.oauth {
        let loaded = global.load(Default::default())?;
        let Some(integration) = loaded.config.airtable.integration() else { bail!(NO_INTEGRATION) };
        let port = loaded.config.airtable.oauth_redirect_port;
        let returned = loopback::log_in(&integration, port).await?;
        return ask(global, logins::Command::AddOauth { name, returned, new_key }).await;
    }
    if options.token_stdin {
        let mut line = String::new();
        std::io::stdin().lock().take(MAX_LINE).read_line(&mut line)?;
        let token = Secret::new(line);
        return ask(global, logins::Command::AddToken { name, token, new_key }).await;
    }
    let known: Vec<Profile> = serde_json::from_value(ask(global, logins::Command::List).await?)?;
    if name == ENVIRONMENT || (!new_key && known.iter().any(|profile| profile.name == name)) {
        return ask(global, logins::Command::Show { name }).await;
    }
    if !std::io::stdin().is_terminal() {
        bail!(
            "there is no login {name:?} yet: send a personal access token to standard input with --token-stdin, log in with --oauth, or set AIRTABLE_API_KEY and say --name {ENVIRONMENT}"
        );
    }
    writeln!(
        std::io::stderr(),
        "Make a personal access token at https://airtable.com/create/tokens with the scopes\nschema.bases:read and data.records:read (to write: data.records:write; to hear of changes: webhook:manage)."
    )?;
    let token = Secret::new(rpassword::prompt_password("Token (it is not shown): ")?);
    ask(global, logins::Command::AddToken { name, token, new_key }).await
}

fn introduce(Shown { profile, grants }: &Shown) -> anyhow::Result<()> {
    let info = &profile.info;
    let who = info.email.as_deref().or(info.user.as_deref()).unwrap_or("a user Airtable does not name");
    say(format_args!("login {} ({}): {}", profile.name, kind(info.kind), shown(who)))?;
    match &info.scopes {
        Some(scopes) => say(format_args!("scopes: {}", shown(&scopes.join(", "))))?,
        None => say("scopes: Airtable does not tell those of a personal token")?,
    }
    if grants.is_empty() {
        return say(
            "it grants no bases; add some to it in Airtable, or use a token with the scope schema.bases:read",
        );
    }
    say("bases it grants:")?;
    for (place, base) in grants.iter().enumerate() {
        say(format_args!(
            "{:4}  {}  {}  ({}{})",
            place + 1,
            base.id,
            shown(&base.name),
            shown(&base.permission_level),
            if base.is_here { ", here already" } else { "" }
        ))?;
    }
    Ok(())
}

/// Asks which bases are to be copied.
fn choose(grants: &[Granted]) -> anyhow::Result<Vec<String>> {
    loop {
        write!(std::io::stderr(), "Which ones are to be copied? Numbers with commas, `all`, or nothing: ")?;
        let mut line = String::new();
        if std::io::stdin().lock().take(MAX_LINE).read_line(&mut line)? == 0 {
            return Ok(Vec::new());
        }
        match numbers(&line, grants.len()) {
            Ok(places) => return Ok(places.into_iter().map(|at| grants[at].id.to_string()).collect()),
            Err(why) => writeln!(std::io::stderr(), "{why}")?,
        }
    }
}

/// The places a line names, from 0 on.
fn numbers(line: &str, count: usize) -> Result<Vec<usize>, String> {
    let line = line.trim();
    if line.eq_ignore_ascii_case("all") {
        return Ok((0..count).collect());
    }
    let words = line.split([',', ' ']).filter(|word| !word.is_empty());
    words
        .map(|word| match word.parse::<usize>() {
            Ok(number) if (1..=count).contains(&number) => Ok(number - 1),
            _ => Err(format!("{word:?} is no number from 1 to {count}")),
        })
        .collect()
}

/// What was done, and what happens next.
fn conclude(name: &str, copied: &Value) -> anyhow::Result<()> {
    let names = |key: &str| -> Vec<String> {
        let bases = copied[key].as_array().into_iter().flatten();
        bases.filter_map(|base| base["name"].as_str()).map(shown).collect()
    };
    let (begun, already) = (names("copied"), names("already"));
    if !already.is_empty() {
        say(format_args!("copied before: {}", already.join(", ")))?;
    }
    if begun.is_empty() && already.is_empty() {
        return say(format_args!(
            "no base was chosen; `tablewright connect --name {name} --base NAME` copies one"
        ));
    }
    if !begun.is_empty() {
        say(format_args!(
            "being copied: {}\nThey are filled in and kept fresh while `tablewright serve` runs; `tablewright doctor` says how it goes.",
            begun.join(", ")
        ))?;
    }
    Ok(())
}

async fn list(global: &Global) -> anyhow::Result<()> {
    let listed = ask(global, logins::Command::List).await?;
    if global.json {
        return say(&listed);
    }
    let profiles: Vec<Profile> = serde_json::from_value(listed)?;
    if profiles.is_empty() {
        say("no logins; `tablewright connect` makes one")?;
    }
    for Profile { name, info, bases, calls } in profiles {
        let bases: Vec<String> = bases.iter().map(ToString::to_string).collect();
        let scopes = info.scopes.map_or_else(|| "scopes not told".into(), |scopes| scopes.join(","));
        say(format_args!(
            "{name}  {}  {}  {}  bases: {}  calls this month: {calls}",
            kind(info.kind),
            shown(info.email.as_deref().or(info.user.as_deref()).unwrap_or("-")),
            shown(&scopes),
            if bases.is_empty() { "none".into() } else { bases.join(",") }
        ))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::numbers;

    #[test]
    fn numbers_are_read_with_commas_and_spaces() {
        assert_eq!(numbers("1,3\n", 3), Ok(vec![0, 2]));
        assert_eq!(numbers(" 2 , 1 ", 3), Ok(vec![1, 0]));
        assert_eq!(numbers("ALL", 2), Ok(vec![0, 1]));
        assert_eq!(numbers("\n", 2), Ok(Vec::new()));
        for line in ["0", "4", "1,x", "-1", "1-2"] {
            assert!(numbers(line, 3).is_err(), "{line}");
        }
    }
}
