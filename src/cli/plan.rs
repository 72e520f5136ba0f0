//! `plan …`

use serde_json::Value;

use super::args::{Global, Plan};
use super::base::administer;
use crate::admin::{Command, plans};
use crate::output::{say, shown};

pub(super) async fn run(global: &Global, command: Plan) -> anyhow::Result<()> {
    let command = match command {
        Plan::List { all } => plans::Command::List { all },
        Plan::Show { plan } => plans::Command::Show { id: plan },
        Plan::Approve { plan, note } => plans::Command::Decide { id: plan, approve: true, note },
        Plan::Reject { plan, note } => plans::Command::Decide { id: plan, approve: false, note },
    };
    let is_show = matches!(command, plans::Command::Show { .. });
    let answer = administer(global, Command::Plans { command }).await?;
    if global.json {
        return say(&answer);
    }
    match &answer {
        Value::Array(listed) if listed.is_empty() => say("no plan waits for approval"),
        Value::Array(listed) => listed.iter().try_for_each(|plan| say(headline(plan))),
        plan if is_show => show(plan),
        plan => say(format_args!("plan {} {}", text(plan, "id"), shown(text(plan, "standing")))),
    }
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn items<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn headline(plan: &Value) -> String {
    let client = match text(plan, "client") {
        "" => String::new(),
        client => format!(" with {}", shown(client)),
    };
    format!(
        "{}  {}  {} by {}{client}: {}; {}",
        text(plan, "id"),
        text(plan, "created"),
        shown(text(plan, "tool")),
        shown(text(plan, "by")),
        shown(text(plan, "summary")),
        shown(text(plan, "standing")),
    )
}

/// A cell on one line.
fn cell(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => "(empty)".to_owned(),
        Some(Value::String(text)) => shown(text),
        Some(other) => shown(&other.to_string()),
    }
}

fn show(plan: &Value) -> anyhow::Result<()> {
    say(headline(plan))?;
    for reason in items(&plan["approval"], "reasons") {
        say(format_args!("why:      {}", shown(reason.as_str().unwrap_or_default())))?;
    }
    for (key, word) in [("warnings", "warning: "), ("schema", "schema:   "), ("comments", "comment:  ")] {
        for line in items(plan, key) {
            say(format_args!("{word} {}", shown(line.as_str().unwrap_or_default())))?;
        }
    }
    for record in items(plan, "records") {
        let id = if text(record, "id").is_empty() { "(new)" } else { text(record, "id") };
        say(format_args!("\n{} {} in {}", text(record, "change"), id, shown(text(record, "table"))))?;
        let (before, after) = (record["before"].as_object(), record["after"].as_object());
        let mut fields: Vec<&String> =
            before.into_iter().chain(after).flat_map(|cells| cells.keys()).collect();
        fields.sort();
        fields.dedup();
        for field in fields {
            let was = cell(before.and_then(|cells| cells.get(field)));
            let is = cell(after.and_then(|cells| cells.get(field)));
            say(format_args!("  {}: {was}  ->  {is}", shown(field)))?;
        }
    }
    if let Some(more) = plan["more_records"].as_u64() {
        say(format_args!("\nand {more} more records"))?;
    }
    for field in items(plan, "computed") {
        say(format_args!(
            "follows:  {} in {} ({} records)",
            shown(text(field, "field")),
            shown(text(field, "table")),
            field["records"]
        ))?;
    }
    for refused in items(plan, "refused") {
        say(format_args!("refused:  record {}: {}", refused["index"], shown(text(refused, "message"))))?;
    }
    let (requests, seconds) = (&plan["cost"]["requests"], &plan["cost"]["seconds"]);
    if requests.as_u64() > Some(0) {
        say(format_args!("costs:    {requests} requests to Airtable, about {seconds} s"))?;
    }
    Ok(())
}
