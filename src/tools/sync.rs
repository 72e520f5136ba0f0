//! Copies of bases that live in Airtable.

mod wait;

use std::sync::Mutex;
use std::sync::PoisonError;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tablewright_core::model::schema::find_base;
use tablewright_core::model::{BaseId, TableId};
use tablewright_core::{Code, Fault};
use tablewright_engine::replica::{Listed, Status};
use tablewright_toolkit::Answer;
use tablewright_toolkit::arguments::schema_of;
use tablewright_toolkit::registry::{CallContext, Tool};
use tokio::sync::Notify;

pub use wait::WaitForChanges;

fn answer(result: impl Serialize) -> Answer {
    Answer::Structured(serde_json::to_value(result).unwrap_or_default())
}

/// The base named `wanted`, which must be one that lives in Airtable.
fn copied(context: &mut CallContext, wanted: &str) -> Result<BaseId, Fault> {
    let bases = context.call.bases();
    let (base, name) = find_base(&bases, wanted)?;
    context.call.about(*base);
    if context.call.replica().holds(*base) {
        return Ok(*base);
    }
    let message =
        format!("base {name:?} lives here, not in Airtable: there is no copy, and it is never old.");
    Err(Fault::new(Code::InvalidArguments, message))
}

/// `get_sync_status`
pub struct GetSyncStatus;

/// Arguments of `get_sync_status`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StatusArgs {
    /// Name, id or URL; all if left out.
    base: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Statuses {
    bases: Vec<Status>,
}

impl Tool for GetSyncStatus {
    const NAME: &'static str = "get_sync_status";
    type Args = StatusArgs;

    fn output_schema() -> Option<Map<String, Value>> {
        Some(schema_of::<Statuses>())
    }

    async fn run(context: &mut CallContext, args: StatusArgs) -> Result<Answer, Fault> {
        let base = args.base.map(|wanted| copied(context, &wanted)).transpose()?;
        let mut bases = context.call.replica().status(base).await?;
        let seen: Vec<String> = context.call.bases().iter().map(|(id, _)| id.to_string()).collect();
        bases.retain(|status| seen.contains(&status.base));
        Ok(answer(Statuses { bases }))
    }
}

/// `sync_base`
pub struct SyncBase;

/// Arguments of `sync_base`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SyncArgs {
    /// Name, id or URL.
    base: String,
    /// Only these tables; all if left out.
    tables: Option<Vec<String>>,
    /// List every record again.
    #[serde(default)]
    full: bool,
}

impl Tool for SyncBase {
    const NAME: &'static str = "sync_base";
    type Args = SyncArgs;

    fn output_schema() -> Option<Map<String, Value>> {
        Some(schema_of::<Status>())
    }

    async fn run(context: &mut CallContext, args: SyncArgs) -> Result<Answer, Fault> {
        let base = copied(context, &args.base)?;
        let schema = context.call.schema(base).await?;
        let named = args.tables.unwrap_or_default();
        let tables: Vec<TableId> =
            named.iter().map(|name| Ok(schema.table(name)?.id)).collect::<Result<_, Fault>>()?;
        let replica = context.call.replica().clone();
        // What is heard is passed on by whoever waits, so that a slow client holds nothing up.
        let (latest, heard) = (Mutex::new((0, 0)), Notify::new());
        let told = |listed: &[Listed]| {
            let done: u64 = listed.iter().map(|table| table.done).sum();
            let total = listed.iter().map(|table| table.total).sum();
            if done > 0 {
                *latest.lock().unwrap_or_else(PoisonError::into_inner) = (done, total);
                heard.notify_one();
            }
        };
        let looking = replica.sync_now(base, &tables, args.full, told);
        tokio::pin!(looking);
        loop {
            tokio::select! {
                done = &mut looking => {
                    done?;
                    break;
                }
                () = heard.notified() => {
                    let (done, total) = *latest.lock().unwrap_or_else(PoisonError::into_inner);
                    context.progress.report(done, total).await;
                }
            }
        }
        let status = replica.status(Some(base)).await?.pop();
        Ok(answer(status))
    }
}
