//! Changing records.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};
use tablewright_core::model::RecordId;
use tablewright_core::{Code, Fault};
use tablewright_door::TableView;
use tablewright_toolkit::arguments::schema_of;
use tablewright_toolkit::registry::{CallContext, Tool};
use tablewright_toolkit::{Answer, text};

use crate::bulk::{Bulk, Item, Verb};
use crate::records::record_id;
use crate::written::Written;

/// Makes texts whole again that were escaped to be shown, and refuses cut ones.
pub(crate) fn accept_value(value: Value) -> Result<Value, Fault> {
    Ok(match value {
        Value::String(given) => Value::String(text::accept(&given)?),
        Value::Array(items) => Value::Array(items.into_iter().map(accept_value).collect::<Result<_, _>>()?),
        Value::Object(map) => {
            let whole = map.into_iter().map(|(k, v)| Ok((k, accept_value(v)?)));
            Value::Object(whole.collect::<Result<_, Fault>>()?)
        }
        other => other,
    })
}

/// The same for the cells of a record and the names of their fields.
fn accept(cells: Map<String, Value>) -> Result<Map<String, Value>, Fault> {
    cells
        .into_iter()
        .map(|(name, value)| {
            let value = accept_value(value).map_err(|f| f.within(format_args!("field {name:?}")))?;
            Ok((text::accept(&name)?, value))
        })
        .collect()
}

/// The cells of a record that has no id. Airtable's API has them under "fields"; here they stand
/// by themselves.
fn cells(view: &TableView, given: Map<String, Value>) -> Result<Map<String, Value>, Fault> {
    if given.get("fields").is_some_and(Value::is_object) && view.schema().field("fields").is_err() {
        let message = "send the cells themselves as {field: value}, without \"fields\" around them.";
        return Err(Fault::new(Code::InvalidArguments, message));
    }
    accept(given)
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
    /// If Airtable is away, write when it is back.
    #[serde(default)]
    queue: bool,
}

impl Tool for CreateRecords {
    const NAME: &'static str = "create_records";
    type Args = CreateArgs;

    fn output_schema() -> Option<Map<String, Value>> {
        Some(schema_of::<Written>())
    }

    async fn run(context: &mut CallContext, args: CreateArgs) -> Result<Answer, Fault> {
        let view = context.call.table(&args.base, &args.table).await?;
        let read = |fields| cells(&view, fields).map(|fields| Item { id: None, fields });
        let records = args.records.into_iter().map(read).collect();
        Bulk::new(&view, Verb::Create, args.typecast, records)
            .carry_out(context, &view, Self::NAME, args.queue)
            .await
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
    #[serde(default)]
    queue: bool,
}

impl Tool for UpdateRecords {
    const NAME: &'static str = "update_records";
    type Args = UpdateArgs;

    fn output_schema() -> Option<Map<String, Value>> {
        Some(schema_of::<Written>())
    }

    async fn run(context: &mut CallContext, args: UpdateArgs) -> Result<Answer, Fault> {
        let view = context.call.table(&args.base, &args.table).await?;
        let read =
            |update: Update| Ok(Item { id: Some(record_id(&update.id)?), fields: accept(update.fields)? });
        let records = args.records.into_iter().map(read).collect();
        Bulk::new(&view, Verb::Update, args.typecast, records)
            .carry_out(context, &view, Self::NAME, args.queue)
            .await
    }
}

/// `upsert_records`
pub struct UpsertRecords;

/// Arguments of `upsert_records`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpsertArgs {
    /// Name, id or URL.
    base: String,
    /// Name, id or URL.
    table: String,
    /// 1 to 3 fields whose values tell records apart.
    merge_on: Vec<String>,
    /// Each record as {field: value}.
    records: Vec<Map<String, Value>>,
    #[serde(default)]
    typecast: bool,
    #[serde(default)]
    queue: bool,
}

impl Tool for UpsertRecords {
    const NAME: &'static str = "upsert_records";
    type Args = UpsertArgs;

    fn output_schema() -> Option<Map<String, Value>> {
        Some(schema_of::<Written>())
    }

    async fn run(context: &mut CallContext, args: UpsertArgs) -> Result<Answer, Fault> {
        let view = context.call.table(&args.base, &args.table).await?;
        if args.merge_on.is_empty() {
            return Err(Fault::new(Code::InvalidArguments, "merge_on is empty; name 1 to 3 fields."));
        }
        let on: Vec<String> =
            args.merge_on.iter().map(|name| text::accept(name)).collect::<Result<_, _>>()?;
        let accepted: Vec<Result<Map<String, Value>, Fault>> =
            args.records.into_iter().map(|given| cells(&view, given)).collect();
        if view.base().is_cloud() {
            let records = accepted.into_iter().map(|fields| Ok(Item { id: None, fields: fields? })).collect();
            let bulk = Bulk::new(&view, Verb::Upsert, args.typecast, records).merged_there(on);
            return bulk.carry_out(context, &view, Self::NAME, args.queue).await;
        }
        // All records are matched before the first is written.
        let read: Vec<(Option<RecordId>, Map<String, Value>)> =
            accepted.iter().flatten().map(|fields| (None, fields.clone())).collect();
        let matched = context.call.match_upsert(&view, &on, &read, args.typecast)?;
        let mut matched = matched.into_iter();
        let records = accepted
            .into_iter()
            .map(|fields| {
                let fields = fields?;
                let id = matched.next().transpose()?.flatten();
                Ok(Item { id, fields })
            })
            .collect();
        Bulk::new(&view, Verb::Upsert, args.typecast, records)
            .carry_out(context, &view, Self::NAME, args.queue)
            .await
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
    #[serde(default)]
    queue: bool,
}

impl Tool for DeleteRecords {
    const NAME: &'static str = "delete_records";
    type Args = DeleteArgs;

    fn output_schema() -> Option<Map<String, Value>> {
        Some(schema_of::<Written>())
    }

    async fn run(context: &mut CallContext, args: DeleteArgs) -> Result<Answer, Fault> {
        let view = context.call.table(&args.base, &args.table).await?;
        let read = |text: &String| Ok(Item { id: Some(record_id(text)?), fields: Map::new() });
        let records = args.records.iter().map(read).collect();
        Bulk::new(&view, Verb::Delete, false, records).carry_out(context, &view, Self::NAME, args.queue).await
    }
}
