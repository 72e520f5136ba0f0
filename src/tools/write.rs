//! Changing records.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tablewright_core::Fault;
use tablewright_core::model::RecordId;
use tablewright_engine::local::{Action, Outcome};
use tablewright_toolkit::arguments::schema_of;
use tablewright_toolkit::registry::{CallContext, Tool};
use tablewright_toolkit::{Answer, text};

use crate::records::record_id;

/// Most refused records an answer describes one by one.
const MAX_DESCRIBED: usize = 50;

/// What a write did.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Written {
    /// Records done.
    count: usize,
    /// Their ids, in the order sent.
    ids: Vec<RecordIdText>,
    /// Records refused.
    failed: Vec<Refused>,
    /// Refused records not listed.
    #[serde(skip_serializing_if = "Option::is_none")]
    more_failed: Option<usize>,
    /// The change, for undo.
    #[serde(skip_serializing_if = "Option::is_none")]
    change: Option<i64>,
}

/// A record id as text.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(transparent)]
#[schemars(transparent)]
pub struct RecordIdText(String);

/// A record that was refused.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Refused {
    /// Its place, from 0.
    index: usize,
    code: &'static str,
    message: String,
}

fn report(outcome: Outcome) -> Answer {
    let (mut ids, mut failed, mut refused) = (Vec::new(), Vec::new(), 0);
    for (index, record) in outcome.records.into_iter().enumerate() {
        match record {
            Ok(id) => ids.push(RecordIdText(id.to_string())),
            Err(fault) => {
                refused += 1;
                if failed.len() < MAX_DESCRIBED {
                    failed.push(Refused { index, code: fault.code.as_str(), message: fault.message });
                }
            }
        }
    }
    let written = Written {
        count: ids.len(),
        more_failed: (refused > failed.len()).then(|| refused - failed.len()),
        ids,
        failed,
        change: outcome.change,
    };
    let all_failed = written.count == 0 && refused > 0;
    let value = serde_json::to_value(written).unwrap_or_default();
    if all_failed { Answer::Failed(value) } else { Answer::Structured(value) }
}

/// Makes texts whole again that were escaped to be shown, and refuses cut ones.
fn accept(cells: Map<String, Value>) -> Result<Map<String, Value>, Fault> {
    fn walk(value: Value) -> Result<Value, Fault> {
        Ok(match value {
            Value::String(given) => Value::String(text::accept(&given)?),
            Value::Array(items) => Value::Array(items.into_iter().map(walk).collect::<Result<_, _>>()?),
            Value::Object(map) => {
                Value::Object(map.into_iter().map(|(k, v)| Ok((k, walk(v)?))).collect::<Result<_, Fault>>()?)
            }
            other => other,
        })
    }
    cells
        .into_iter()
        .map(|(name, value)| {
            let value = walk(value).map_err(|f| f.within(format_args!("field {name:?}")))?;
            Ok((text::accept(&name)?, value))
        })
        .collect()
}

/// `create_records`
pub struct CreateRecords;

/// Arguments of `create_records`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateArgs {
    /// Name, id or URL.
    base: String,
    /// Name, id or URL.
    table: String,
    /// Each record as {field: value}; dates ISO, links lists of record ids.
    records: Vec<Map<String, Value>>,
    /// Convert values ("12" to 12), create missing choices, link by name.
    #[serde(default)]
    typecast: bool,
}

impl Tool for CreateRecords {
    const NAME: &'static str = "create_records";
    type Args = CreateArgs;

    fn output_schema() -> Option<Map<String, Value>> {
        Some(schema_of::<Written>())
    }

    async fn run(context: &mut CallContext, args: CreateArgs) -> Result<Answer, Fault> {
        let view = context.call.table(&args.base, &args.table).await?;
        let records = args.records.into_iter().map(accept).collect::<Result<_, _>>()?;
        let plan = context.call.plan(&view, Action::Create(records), args.typecast)?;
        context.call.apply(plan).await.map(report)
    }
}

/// `update_records`
pub struct UpdateRecords;

/// One record to update.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Update {
    id: String,
    fields: Map<String, Value>,
}

/// Arguments of `update_records`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateArgs {
    /// Name, id or URL.
    base: String,
    /// Name, id or URL.
    table: String,
    records: Vec<Update>,
    /// Convert values ("12" to 12), create missing choices, link by name.
    #[serde(default)]
    typecast: bool,
}

impl Tool for UpdateRecords {
    const NAME: &'static str = "update_records";
    type Args = UpdateArgs;

    fn output_schema() -> Option<Map<String, Value>> {
        Some(schema_of::<Written>())
    }

    async fn run(context: &mut CallContext, args: UpdateArgs) -> Result<Answer, Fault> {
        let view = context.call.table(&args.base, &args.table).await?;
        let records = args
            .records
            .into_iter()
            .map(|update| Ok((record_id(&update.id)?, accept(update.fields)?)))
            .collect::<Result<Vec<_>, Fault>>()?;
        let plan = context.call.plan(&view, Action::Update(records), args.typecast)?;
        context.call.apply(plan).await.map(report)
    }
}

/// `delete_records`
pub struct DeleteRecords;

/// Arguments of `delete_records`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeleteArgs {
    /// Name, id or URL.
    base: String,
    /// Name, id or URL.
    table: String,
    /// Record ids or URLs.
    records: Vec<String>,
}

impl Tool for DeleteRecords {
    const NAME: &'static str = "delete_records";
    type Args = DeleteArgs;

    fn output_schema() -> Option<Map<String, Value>> {
        Some(schema_of::<Written>())
    }

    async fn run(context: &mut CallContext, args: DeleteArgs) -> Result<Answer, Fault> {
        let view = context.call.table(&args.base, &args.table).await?;
        let ids = args.records.iter().map(|text| record_id(text)).collect::<Result<Vec<RecordId>, _>>()?;
        let plan = context.call.plan(&view, Action::Delete(ids), false)?;
        context.call.apply(plan).await.map(report)
    }
}
