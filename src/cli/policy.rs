//! `policy …`

use std::io::Read as _;
use std::path::Path;

use serde_json::Value;
use tablewright_core::model::cell::parse_instant;

use super::args::{Global, Policy};
use super::base::administer;
use crate::admin::{Command, policy};
use crate::exit::{Exit, Failed};
use crate::output::{say, shown};

/// Longest policy file that is read, in bytes; the longest that is taken is shorter.
const MAX_FILE: u64 = 4 * 1024 * 1024;

pub(super) async fn run(global: &Global, command: Policy) -> anyhow::Result<()> {
    let ask = |command| administer(global, Command::Policy { command });
    match command {
        Policy::Check { file } => {
            let answer = ask(policy::Command::Check { text: read(&file)? }).await?;
            if global.json {
                say(&answer)?;
            } else {
                say(format_args!("{} rules, {} tests", answer["rules"], answer["tests"]))?;
            }
            passed(&answer)
        }
        Policy::Apply { file } => {
            let answer = ask(policy::Command::Apply { text: read(&file)? }).await?;
            if global.json {
                return say(&answer);
            }
            Ok(say(format_args!(
                "version {} is in force, with {} rules",
                answer["version"], answer["rules"]
            ))?)
        }
        Policy::Show { version } => {
            let answer = ask(policy::Command::Show { version }).await?;
            if global.json {
                return say(&answer);
            }
            match answer["file"].as_str() {
                Some(file) => Ok(say(file.trim_end())?),
                None => Ok(say("there is no policy: everybody may do what their token allows")?),
            }
        }
        Policy::History => {
            let answer = ask(policy::Command::History).await?;
            if global.json {
                return say(&answer);
            }
            for version in answer.as_array().map_or(&[][..], Vec::as_slice) {
                let of = |key: &str| version[key].as_str().unwrap_or_default();
                say(format_args!("{}  {}  {}", version["version"], of("at"), shown(of("by"))))?;
            }
            Ok(())
        }
        Policy::Explain { who, verb, base, table, field, tool, at } => {
            let at = at.as_deref().map(|text| {
                let message = format!("--at {text:?} is no moment; write it like 2026-01-31T12:00:00Z");
                parse_instant(text).ok_or_else(|| Failed::with(Exit::Failure, message))
            });
            let at = at.transpose()?;
            let asked = policy::Command::Explain { who, verb, base, table, field, tool, at };
            let answer = ask(asked).await?;
            if global.json {
                return say(&answer);
            }
            Ok(say(shown(answer["says"].as_str().unwrap_or_default()))?)
        }
        Policy::Test { file: Some(file) } => {
            let answer = ask(policy::Command::Check { text: read(&file)? }).await?;
            told(global, &answer)
        }
        Policy::Test { file: None } => {
            let answer = ask(policy::Command::Test).await?;
            told(global, &answer)
        }
    }
}

fn told(global: &Global, answer: &Value) -> anyhow::Result<()> {
    if global.json {
        say(answer)?;
    } else {
        for test in answer["answers"].as_array().map_or(&[][..], Vec::as_slice) {
            let mark = if test["passed"] == true { "ok  " } else { "FAIL" };
            let says = test["got"]["says"].as_str().unwrap_or_default();
            say(format_args!("{mark}  test {}: {}", test["test"], shown(says)))?;
        }
    }
    passed(answer)
}

/// Fails when a test did.
fn passed(answer: &Value) -> anyhow::Result<()> {
    let failed = answer["failed"].as_array().map_or(&[][..], Vec::as_slice);
    if failed.is_empty() {
        return Ok(());
    }
    let lines: Vec<&str> = failed.iter().filter_map(Value::as_str).collect();
    Err(Failed::with(Exit::Failure, format!("{} tests fail:\n{}", lines.len(), lines.join("\n"))))
}

/// What a file says; `-` is standard input.
fn read(path: &Path) -> anyhow::Result<String> {
    let broken = |e: std::io::Error| Failed::with(Exit::Failure, format!("{}: {e}", path.display()));
    let mut text = String::new();
    if path == Path::new("-") {
        std::io::stdin().take(MAX_FILE).read_to_string(&mut text).map_err(broken)?;
    } else {
        let file = std::fs::File::open(path).map_err(broken)?;
        file.take(MAX_FILE).read_to_string(&mut text).map_err(broken)?;
    }
    Ok(text)
}
