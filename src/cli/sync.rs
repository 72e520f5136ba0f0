//! `sync …`

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::{Value, json};
use tablewright_core::model::BaseId;
use tokio::task::JoinSet;

use super::args::{Global, Sync};
use super::base::administer;
use crate::admin::{Command, sync};
use crate::app::data_dir;
use crate::output::{say, shown};
use crate::owner::relay;
use crate::stop::told_to_stop;

/// How long one question for changes waits, in seconds.
const WAIT: u64 = 25;

pub(super) async fn run(global: &Global, options: Sync) -> anyhow::Result<()> {
    let Sync { bases, full, status, watch } = options;
    if status {
        let listed = administer(global, of(sync::Command::Status { bases })).await?;
        if global.json {
            return say(&listed);
        }
        return say_statuses(&listed);
    }
    let done = administer(global, of(sync::Command::Look { bases, full })).await?;
    if global.json && !watch {
        say(&done)?;
    } else if !global.json {
        for base in items(&done["bases"]) {
            say(format_args!("{}: {}", shown(text(base, "name")), summary(base)))?;
        }
        if items(&done["bases"]).is_empty() && items(&done["failed"]).is_empty() {
            say(NONE)?;
        }
    }
    let failed: Vec<String> = items(&done["failed"])
        .iter()
        .map(|base| format!("{}: {}", shown(text(base, "name")), shown(text(base, "reason"))))
        .collect();
    if !failed.is_empty() {
        anyhow::bail!("{}", failed.join("\n"));
    }
    if watch {
        let bases = items(&done["bases"]).iter().filter_map(|base| text(base, "base").parse().ok());
        return self::watch(global, bases.collect()).await;
    }
    Ok(())
}

const NONE: &str = "no bases of Airtable are copied here";

fn of(command: sync::Command) -> Command {
    Command::Sync { command }
}

fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// A copy in a line.
fn summary(base: &Value) -> String {
    let tables = items(&base["tables"]);
    let records: u64 = tables.iter().filter_map(|table| table["records"].as_u64()).sum();
    format!("{} tables, {records} records, {}", tables.len(), age(base))
}

fn age(base: &Value) -> String {
    base["age_seconds"].as_u64().map_or("not copied yet".to_owned(), |age| format!("{age} s old"))
}

fn say_statuses(listed: &Value) -> anyhow::Result<()> {
    for base in items(listed) {
        let calls = match base["calls_allowed"].as_u64() {
            Some(allowed) => format!("{} of {allowed}", base["calls_this_month"]),
            None => base["calls_this_month"].to_string(),
        };
        say(format_args!(
            "{}  {}  ({}; changes by {}; login {}; {calls} calls this month; {} writes waiting)",
            text(base, "base"),
            shown(text(base, "name")),
            summary(base),
            text(base, "changes_by"),
            shown(text(base, "profile")),
            base["queued_writes"]
        ))?;
        let about = [("failure", "the last look failed"), ("no_webhook", "no webhook")];
        for (key, what) in about {
            if !text(base, key).is_empty() {
                say(format_args!("    {what}: {}", shown(text(base, key))))?;
            }
        }
        let widest = items(&base["tables"]).iter().map(|table| shown(text(table, "name")).chars().count());
        let widest = widest.max().unwrap_or_default();
        for table in items(&base["tables"]) {
            let waiting = match table["to_fetch"].as_u64() {
                None | Some(0) => String::new(),
                Some(count) => format!("  {count} to fetch"),
            };
            let listed = table["listed"].as_u64().map_or(String::new(), |count| format!("  {count} listed"));
            say(format_args!(
                "    {:widest$}  {:>9} records  {}{listed}{waiting}",
                shown(text(table, "name")),
                table["records"].as_u64().unwrap_or_default(),
                text(table, "state"),
            ))?;
        }
    }
    if items(listed).is_empty() {
        say(NONE)?;
    }
    Ok(())
}

/// Prints what changes until it is told to stop. The owner keeps the copies fresh meanwhile.
async fn watch(global: &Global, bases: Vec<BaseId>) -> anyhow::Result<()> {
    let directory = data_dir(&global.load(Default::default())?.config)?;
    let watch = Watch { directory, config: global.config.clone(), json: global.json };
    let mut each = JoinSet::new();
    for base in bases {
        // From before the words below on.
        let now = watch.ask(base, None, 0).await?;
        let (watch, cursor) = (watch.clone(), text(&now, "cursor").to_owned());
        each.spawn(async move { watch.follow(base, cursor).await });
    }
    if !global.json {
        say("Waiting for changes. Press Ctrl-C to end.")?;
    }
    tokio::select! {
        Some(ended) = each.join_next() => ended?,
        () = told_to_stop() => Ok(()),
    }
}

/// Waiting for changes through the owner.
#[derive(Clone)]
struct Watch {
    directory: PathBuf,
    config: Option<PathBuf>,
    json: bool,
}

impl Watch {
    async fn ask(&self, base: BaseId, since: Option<String>, seconds: u64) -> anyhow::Result<Value> {
        let command = of(sync::Command::Wait { base, since, seconds });
        relay::admin(&self.directory, self.config.as_deref(), command, Arc::new(|_, _, _| {})).await
    }

    async fn follow(&self, base: BaseId, mut cursor: String) -> anyhow::Result<()> {
        let mut failing = String::new();
        loop {
            let told = self.ask(base, Some(cursor), WAIT).await?;
            cursor = text(&told, "cursor").to_owned();
            say_changes(self.json, &told, &mut failing)?;
        }
    }
}

fn say_changes(json: bool, told: &Value, failing: &mut String) -> anyhow::Result<()> {
    let failure = text(told, "failure");
    let is_news = !items(&told["tables"]).is_empty() || told["schema"] == true || failure != failing;
    if json {
        if is_news {
            say(told)?;
        }
    } else {
        let name = shown(text(told, "name"));
        for table in items(&told["tables"]) {
            let counts: Vec<String> = ["created", "updated", "deleted"]
                .iter()
                .filter(|what| table[**what] != json!(0))
                .map(|what| format!("{} {what}", table[*what]))
                .collect();
            say(format_args!("{name}  {}  {}", shown(text(table, "table")), counts.join(", ")))?;
        }
        if told["schema"] == true {
            say(format_args!("{name}  tables or fields changed"))?;
        }
        if failure != failing && !failure.is_empty() {
            say(format_args!("{name}  is not fresh: {}", shown(failure)))?;
        }
    }
    failure.clone_into(failing);
    Ok(())
}
