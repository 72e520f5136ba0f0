//! `audit …`

use std::path::Path;

use serde_json::Value;

use super::args::{Audit, Global};
use super::base::administer;
use crate::admin::{Command, audit};
use crate::exit::{Exit, Failed};
use crate::output::say;

pub(super) async fn run(global: &Global, command: Audit) -> anyhow::Result<()> {
    match command {
        Audit::Verify { anchor, anchors } => {
            let mut given = anchor;
            if let Some(path) = anchors {
                given.extend(anchors_of(&path)?);
            }
            let anchors = given.iter().map(|text| read_anchor(text)).collect::<Result<Vec<_>, _>>()?;
            if anchors.len() > MOST_ANCHORS {
                anyhow::bail!("at most {MOST_ANCHORS} anchors are looked at at once; give the last ones");
            }
            let answer =
                administer(global, Command::Audit { command: audit::Command::Verify { anchors } }).await?;
            if global.json {
                say(&answer)?;
            } else if answer["broken"].is_null() {
                let (seq, hash) = (&answer["head"][0], answer["head"][1].as_str().unwrap_or_default());
                say(format_args!("{} lines of the audit log are as they were written", answer["lines"]))?;
                if !answer["head"].is_null() {
                    say(format_args!("anchor: {seq}:{hash}"))?;
                }
            }
            match &answer["broken"] {
                Value::Null => Ok(()),
                broken => {
                    let what = broken["what"].as_str().unwrap_or_default();
                    Err(Failed::with(
                        Exit::Failure,
                        format!("line {} of the audit log: {what}", broken["seq"]),
                    ))
                }
            }
        }
        Audit::Export { since } => {
            let mut after = since.unwrap_or(0);
            loop {
                let command = Command::Audit { command: audit::Command::Lines { after } };
                let page = administer(global, command).await?;
                let lines = page.as_array().map_or(&[][..], Vec::as_slice);
                for line in lines {
                    say(line)?;
                }
                match lines.last().and_then(|line| line["seq"].as_i64()) {
                    Some(last) if lines.len() == audit::PAGE as usize => after = last,
                    _ => return Ok(()),
                }
            }
        }
    }
}

/// Most anchors of a look.
const MOST_ANCHORS: usize = 100_000;

/// The anchors of a file: the first word of each line.
fn anchors_of(path: &Path) -> anyhow::Result<Vec<String>> {
    let text = std::fs::read_to_string(path)
        .map_err(|e| anyhow::anyhow!("the file of anchors {}: {e}", path.display()))?;
    Ok(text.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect())
}

/// `NUMBER:HASH`, as `audit verify` prints it.
fn read_anchor(text: &str) -> anyhow::Result<(i64, String)> {
    let wrong =
        || anyhow::anyhow!("{text:?} is no anchor; give it as `audit verify` printed it: NUMBER:HASH");
    let (seq, hash) = text.split_once(':').ok_or_else(wrong)?;
    let seq = seq.parse().map_err(|_| wrong())?;
    let is_hash = hash.len() == 64 && hash.bytes().all(|b| b.is_ascii_hexdigit());
    if is_hash { Ok((seq, hash.to_lowercase())) } else { Err(wrong()) }
}
