//! What `doctor` finds out about logins.

use std::time::Duration;

use serde_json::{Value, json};
use tablewright_core::Fault;
use tablewright_core::model::BaseId;
use tablewright_engine::airtable::profiles::Profile;
use tablewright_engine::airtable::{Error, ListQuery, Session};
use tablewright_engine::replica::Status;
use tokio::time::{Instant, timeout_at};

use super::ask;
use crate::app::App;

/// How long looking at all logins may take.
const CHECK_TIME: Duration = Duration::from_secs(15);
/// Bases of one login that are looked at.
const CHECK_BASES: usize = 20;
/// How far the clocks may be apart, in milliseconds.
const CLOCK_SLACK: i64 = 60_000;

/// What was found out about a login: `ok`, `warning` or `failed`, each with words.
#[derive(Default)]
struct Findings {
    failed: Vec<String>,
    warnings: Vec<String>,
    fine: Vec<String>,
}

impl Findings {
    /// What an error means: that Airtable is far away is no fault of the login.
    fn note(&mut self, what: &str, error: Error) {
        match error {
            Error::NotSent(_) | Error::Unread(_) | Error::Unanswered(_) | Error::RateLimited { .. } => {
                self.warnings.push(format!("{what}: {error}"));
            }
            _ => self.failed.push(format!("{what}: {error}")),
        }
    }
}

/// Looks at every login.
pub(super) async fn run(app: &App) -> Result<Value, Fault> {
    let listed = app.profiles.list().await?;
    let until = Instant::now() + CHECK_TIME;
    let mut checks = Vec::with_capacity(listed.len());
    for profile in &listed {
        let mut findings = Findings::default();
        if timeout_at(until, look(app, profile, &mut findings)).await.is_err() {
            let message = format!(
                "Airtable could not be reached, or not be asked everything, within {} s",
                CHECK_TIME.as_secs()
            );
            findings.warnings.push(message);
        }
        let state = match (findings.failed.is_empty(), findings.warnings.is_empty()) {
            (false, _) => "failed",
            (true, false) => "warning",
            (true, true) => "ok",
        };
        let says = [findings.failed, findings.warnings, findings.fine].concat().join("\n");
        checks.push(json!({ "name": profile.name, "state": state, "says": says }));
    }
    let known = |login: &str| listed.iter().any(|profile| profile.name == login);
    for (base, cloud) in app.replica.bases().into_iter().filter(|(_, cloud)| !known(&cloud.profile)) {
        let login = cloud.profile;
        let says = format!(
            "{base} is read with it, and there is no such login: `tablewright connect --name {login}` makes it"
        );
        checks.push(json!({ "name": login, "state": "failed", "says": says }));
    }
    Ok(Value::Array(checks))
}

async fn look(app: &App, profile: &Profile, findings: &mut Findings) {
    let session = match app.profiles.session(&profile.name).await {
        Ok(session) => session,
        Err(fault) => return findings.failed.push(fault.message),
    };
    let mut scopes = profile.info.scopes.clone();
    match session.whoami(&ask()).await {
        Ok(answer) => {
            let who = answer.value;
            findings.fine.push(format!("accepted as {}", who.email.unwrap_or(who.id)));
            scopes = who.scopes.or(scopes);
            let apart = answer.server_time.map(|time| app.engine.clock().now_ms() - time);
            if let Some(apart) = apart.filter(|apart| apart.abs() > CLOCK_SLACK) {
                findings.warnings.push(format!(
                    "set the clock of this machine: it is {} s {} Airtable's",
                    apart.abs() / 1_000,
                    if apart > 0 { "ahead of" } else { "behind" }
                ));
            }
        }
        Err(error) => return findings.note("whoami", error),
    }
    if let Some(scopes) = &scopes {
        let lacks = |wanted: &str| !scopes.iter().any(|scope| scope == wanted);
        for needed in ["schema.bases:read", "data.records:read"] {
            if lacks(needed) {
                findings.failed.push(format!("the scope {needed} is missing: its bases cannot be copied"));
            }
        }
        if lacks("webhook:manage") {
            let message = "the scope webhook:manage is missing: changes are asked for instead of told";
            findings.warnings.push(message.into());
        }
    }
    for base in profile.bases.iter().take(CHECK_BASES) {
        look_at_base(&session, *base, scopes.is_none(), findings).await;
        look_at_copy(app, *base, findings).await;
    }
    if profile.bases.len() > CHECK_BASES {
        findings.fine.push(format!("{} more bases were not looked at", profile.bases.len() - CHECK_BASES));
    }
    let most = app.config.airtable.monthly_calls;
    let calls = profile.calls;
    if most > 0 && calls * 5 >= most * 4 {
        findings.warnings.push(format!("{calls} of this month's {most} calls are used"));
    } else if most > 0 {
        findings.fine.push(format!("{calls} of {most} calls this month"));
    } else {
        findings.fine.push(format!("{calls} calls this month"));
    }
}

/// Whether a base can be read; with `probe`, what Airtable does not tell of the token's scopes is
/// tried out.
async fn look_at_base(session: &Session, base: BaseId, probe: bool, findings: &mut Findings) {
    let tables = match session.schema(&ask(), base).await {
        Ok(answer) => answer.value,
        Err(error) => return findings.note(&format!("{base} (its schema)"), error),
    };
    let Some(table) = tables.first() else { return findings.fine.push(format!("{base} is reached")) };
    let one = ListQuery { page_size: 1, max_records: Some(1), ..ListQuery::default() };
    match session.list(&ask(), base, &table.id.to_string(), &one).await {
        Ok(_) => findings.fine.push(format!("{base} is reached")),
        Err(error) => return findings.note(&format!("{base} (its records)"), error),
    }
    if !probe {
        return;
    }
    match session.list_webhooks(&ask(), base).await {
        Ok(_) => {}
        Err(Error::Forbidden { .. }) => findings.warnings.push(format!(
            "{base}: webhooks are not allowed (scope webhook:manage): changes are asked for instead of told"
        )),
        Err(error) => findings.note(&format!("{base} (its webhooks)"), error),
    }
}

/// How far the copy of a base is.
async fn look_at_copy(app: &App, base: BaseId, findings: &mut Findings) {
    let status = match app.replica.status(Some(base)).await {
        Ok(status) => status,
        Err(fault) => return findings.failed.push(format!("{base}: {fault}")),
    };
    for Status { name, tables, failure, .. } in status {
        let copied = tables.iter().filter(|table| matches!(table.state, "copied" | "listing")).count();
        findings.fine.push(format!("{copied} of {} tables of {name:?} are copied", tables.len()));
        findings.warnings.extend(failure.map(|why| format!("{name:?} was not kept fresh: {why}")));
    }
}
