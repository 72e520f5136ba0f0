//! Changing records.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tablewright_core::Fault;
use tablewright_core::model::RecordId;
use tablewright_door::{TableView, WriteOptions};
use tablewright_engine::local::Action;
use tablewright_toolkit::arguments::schema_of;
use tablewright_toolkit::registry::{CallContext, Tool};
use tablewright_toolkit::{Answer, text};

use crate::records::record_id;

/// Most refused records an answer describes one by one.
const MAX_DESCRIBED: usize = 50;

/// Most ids an answer lists.
const MAX_IDS: usize = 1_000;

/// What a write did.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub struct Written {
    /// Records done.
    count: usize,
    /// Their ids, in the order sent.
    ids: Vec<String>,
    /// Ids not listed.
    #[serde(skip_serializing_if = "Option::is_none")]
    more_ids: Option<usize>,
    /// Records refused.
    failed: Vec<Refused>,
    /// Refused records not listed.
    #[serde(skip_serializing_if = "Option::is_none")]
    more_failed: Option<usize>,
    /// Records typecast created in other tables.
    #[serde(skip_serializing_if = "Option::is_none")]
    created_elsewhere: Option<Vec<Elsewhere>>,
    /// Number in the change log.
    #[serde(skip_serializing_if = "Option::is_none")]
    change: Option<i64>,
}

/// Records made in another table.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Elsewhere {
    table: String,
    count: usize,
}

/// A record that was refused.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Refused {
    /// Its place, from 0.
    index: usize,
    code: &'static str,
    message: String,
}

/// Writes the records that could be read and reports on all of them, in the order sent.
async fn write<T>(
    context: &mut CallContext,
    view: &TableView,
    given: Vec<Result<T, Fault>>,
    action: impl FnOnce(Vec<T>) -> Action,
    typecast: bool,
) -> Result<Answer, Fault> {
    let mut read = Vec::with_capacity(given.len());
    let marks: Vec<Option<Fault>> = given
        .into_iter()
        .map(|record| match record {
            Ok(record) => {
                read.push(record);
                None
            }
            Err(fault) => Some(fault),
        })
        .collect();
    // When none could be read there is nothing to write, only to report.
    let outcome = if read.is_empty() && !marks.is_empty() {
        None
    } else {
        let plan = context.call.plan(view, action(read), WriteOptions { typecast, atomic: false })?;
        Some(context.call.apply(plan).await?)
    };
    let (done, change, elsewhere) =
        outcome.map(|o| (o.records, o.change, o.created_elsewhere)).unwrap_or_default();
    let mut done = done.into_iter();
    let records: Vec<Result<RecordId, Fault>> = marks
        .into_iter()
        .filter_map(|mark| mark.map_or_else(|| done.next(), |fault| Some(Err(fault))))
        .collect();
    Ok(report(records, change, elsewhere))
}

fn report(
    records: Vec<Result<RecordId, Fault>>,
    change: Option<i64>,
    elsewhere: Vec<(String, usize)>,
) -> Answer {
    let mut written = Written { change, ..Written::default() };
    let mut refused = 0;
    for (index, record) in records.into_iter().enumerate() {
        match record {
            Ok(id) => {
                written.count += 1;
                if written.ids.len() < MAX_IDS {
                    written.ids.push(id.to_string());
                }
            }
            Err(fault) => {
                refused += 1;
                if written.failed.len() < MAX_DESCRIBED {
                    written.failed.push(Refused { index, code: fault.code.as_str(), message: fault.message });
                }
            }
        }
    }
    written.more_ids = (written.count > written.ids.len()).then(|| written.count - written.ids.len());
    written.more_failed = (refused > written.failed.len()).then(|| refused - written.failed.len());
    let elsewhere: Vec<Elsewhere> =
        elsewhere.into_iter().map(|(table, count)| Elsewhere { table, count }).collect();
    written.created_elsewhere = (!elsewhere.is_empty()).then_some(elsewhere);
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
    /// Convert values ("12" to 12), create missing choices, link by name (missing records are created).
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
        let records = args.records.into_iter().map(accept).collect();
        write(context, &view, records, Action::Create, args.typecast).await
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
    /// Convert values ("12" to 12), create missing choices, link by name (missing records are created).
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
        let read = |update: Update| Ok((record_id(&update.id)?, accept(update.fields)?));
        let records = args.records.into_iter().map(read).collect();
        write(context, &view, records, Action::Update, args.typecast).await
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
        let ids = args.records.iter().map(|text| record_id(text)).collect();
        write(context, &view, ids, Action::Delete, false).await
    }
}
