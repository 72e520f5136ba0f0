//! Commands about the copies of bases that live in Airtable.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tablewright_core::model::BaseId;
use tablewright_core::model::schema::find_base;
use tablewright_core::{Code, Fault};
use tablewright_door::{Call, LogPlace};
use tablewright_engine::replica::Listed;
use tokio::time::Instant;

use super::{Progress, to_json};
use crate::app::App;

/// Records told of at once.
const AT_ONCE: usize = 1_000;

/// What to do with copies. Bases by name, id or URL; all copies when there are none.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "sync", rename_all = "snake_case")]
pub enum Command {
    /// Look for changes now.
    Look {
        /// The bases.
        bases: Vec<String>,
        /// List every record again.
        full: bool,
    },
    /// How far the copies are.
    Status {
        /// The bases.
        bases: Vec<String>,
    },
    /// Wait for changes of a base.
    Wait {
        /// The base.
        base: BaseId,
        /// Where to go on; from now on when absent.
        since: Option<String>,
        /// How long, in seconds.
        seconds: u64,
    },
}

impl Command {
    /// What it is called in the audit log.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Look { .. } => "sync",
            Self::Status { .. } => "sync status",
            Self::Wait { .. } => "sync watch",
        }
    }
}

pub(super) async fn run(
    app: &App,
    call: &mut Call,
    command: Command,
    progress: Progress,
) -> Result<Value, Fault> {
    match command {
        Command::Look { bases, full } => {
            let (mut bases_done, mut failed) = (Vec::new(), Vec::new());
            for (base, name) in chosen(app, call, &bases)? {
                let several = progress.clone();
                let told = |listed: &[Listed]| {
                    listed.iter().for_each(|table| several(&table.name, table.done, table.total));
                };
                match app.replica.sync_now(base, &[], full, told).await {
                    Ok(()) => bases_done.extend(app.replica.status(Some(base)).await?),
                    Err(fault) => {
                        failed.push(json!({"base": base, "name": name, "reason": fault.message}));
                    }
                }
            }
            Ok(json!({"bases": bases_done, "failed": failed}))
        }
        Command::Status { bases } => {
            let mut all = Vec::new();
            for (base, _) in chosen(app, call, &bases)? {
                all.extend(app.replica.status(Some(base)).await?);
            }
            to_json(all)
        }
        Command::Wait { base, since, seconds } => wait(app, call, base, since, seconds).await,
    }
}

/// The copies that are meant; naming a base that lives here is refused.
fn chosen(app: &App, call: &mut Call, named: &[String]) -> Result<Vec<(BaseId, String)>, Fault> {
    let all = call.bases();
    if named.is_empty() {
        return Ok(all.iter().filter(|(id, _)| app.replica.holds(*id)).cloned().collect());
    }
    let mut found = Vec::with_capacity(named.len());
    for wanted in named {
        let (base, name) = find_base(&all, wanted)?;
        if !app.replica.holds(*base) {
            let message = format!("base {name:?} lives here, not in Airtable: there is nothing to look for.");
            return Err(Fault::new(Code::InvalidArguments, message));
        }
        call.about(*base);
        found.push((*base, name.clone()));
    }
    Ok(found)
}

/// What changed in a base, table by table, and where to go on.
async fn wait(
    app: &App,
    call: &mut Call,
    base: BaseId,
    since: Option<String>,
    seconds: u64,
) -> Result<Value, Fault> {
    call.about(base);
    let since: Option<LogPlace> = since.as_deref().map(str::parse).transpose()?;
    let deadline = Instant::now() + Duration::from_secs(seconds);
    let mut follow = call.follow(base, since).await?;
    loop {
        let news = call.news(&mut follow, None, AT_ONCE).await?;
        if news.records.is_empty() && news.schema.is_empty() && !news.more && Instant::now() < deadline {
            tokio::time::timeout_at(deadline, follow.wait()).await.unwrap_or(Ok(()))?;
            continue;
        }
        let schema = app.engine.schema(base).await?;
        let mut tables: Vec<(String, [usize; 3])> = Vec::new();
        for record in &news.records {
            let name = schema.table_by_id(record.table).map(|t| t.name.clone()).unwrap_or_default();
            let at = tables.iter().position(|(known, _)| *known == name).unwrap_or_else(|| {
                tables.push((name, [0; 3]));
                tables.len() - 1
            });
            match (record.existed, record.exists) {
                (false, true) => tables[at].1[0] += 1,
                (true, true) => tables[at].1[1] += 1,
                (true, false) => tables[at].1[2] += 1,
                (false, false) => {}
            }
        }
        let tables: Vec<Value> = tables
            .into_iter()
            .map(|(name, [created, updated, deleted])| {
                json!({"table": name, "created": created, "updated": updated, "deleted": deleted})
            })
            .collect();
        let state = app.replica.why_old(base);
        return Ok(json!({"base": base, "name": schema.name, "tables": tables, "schema": news.schema,
            "cursor": news.next.to_string(), "failure": state}));
    }
}
