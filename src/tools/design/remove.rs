//! Deleting fields, tables and bases.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tablewright_core::{Code, Fault};
use tablewright_engine::compute::{Affected, Change, Effect, impact};
use tablewright_engine::local::schema::SchemaEdit;
use tablewright_toolkit::Answer;
use tablewright_toolkit::arguments::schema_of;
use tablewright_toolkit::registry::{CallContext, Tool};

use super::{Changed, Elsewhere, answer, links_to, some};

/// Most dependents that are listed.
const MAX_LISTED: usize = 30;

/// `delete_field`
pub struct DeleteField;

/// Arguments of `delete_field`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeleteFieldArgs {
    /// Name, id or URL.
    base: String,
    /// Name, id or URL.
    table: String,
    /// Name, id or URL.
    field: String,
    /// Delete it although other fields or views depend on it.
    #[serde(default)]
    force: bool,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Deleted {
    id: String,
    name: String,
    /// What depended on it.
    #[serde(skip_serializing_if = "Option::is_none")]
    affected: Option<Vec<String>>,
    /// Number in the change log.
    change: i64,
}

/// What an effect is called, the worst first.
fn word(effect: Effect) -> &'static str {
    match effect {
        Effect::Breaks => "breaks",
        Effect::BreaksToo => "breaks too",
        Effect::Changes => "changes",
        Effect::Unharmed => "goes on",
    }
}

/// Dependents as lines, bounded.
fn listed(harmed: &[Affected]) -> Vec<String> {
    let line = |a: &Affected| format!("{} of table {:?} {}: {}", a.what, a.table, word(a.effect), a.why);
    let mut lines: Vec<String> = harmed.iter().take(MAX_LISTED).map(line).collect();
    if harmed.len() > MAX_LISTED {
        lines.push(format!("and {} more", harmed.len() - MAX_LISTED));
    }
    lines
}

impl Tool for DeleteField {
    const NAME: &'static str = "delete_field";
    type Args = DeleteFieldArgs;

    fn output_schema() -> Option<Map<String, Value>> {
        Some(schema_of::<Deleted>())
    }

    async fn run(context: &mut CallContext, args: DeleteFieldArgs) -> Result<Answer, Fault> {
        let view = context.call.table(&args.base, &args.table).await?;
        let (schema, table) = (view.base().schema(), view.schema());
        let gone = table.field(&args.field)?;
        let mut harmed = impact(schema, gone.id, &Change::Delete)?;
        harmed.retain(|affected| affected.effect != Effect::Unharmed);
        let affected = listed(&harmed);
        if !args.force && !affected.is_empty() {
            let message = format!(
                "{} other fields or views depend on {:?}:\n{}\nChange them first, or send force: true to delete it all the same.",
                harmed.len(),
                gone.name,
                affected.join("\n")
            );
            return Err(Fault::new(Code::Conflict, message));
        }
        let edit = SchemaEdit::DeleteField { table: table.id, field: gone.id };
        let done = context.call.edit_schema(schema.id, edit).await?;
        let (id, name) = (gone.id.to_string(), gone.name.clone());
        Ok(answer(Deleted { id, name, affected: some(affected), change: done.change }))
    }
}

/// Refuses unless the caller wrote the exact name of what is to go.
fn confirmed(what: &str, name: &str, confirm: &str) -> Result<(), Fault> {
    if confirm == name {
        return Ok(());
    }
    let message =
        format!("confirm must be the exact name of the {what}, {name:?}; everything in it is lost.");
    Err(Fault::new(Code::InvalidArguments, message))
}

/// `delete_table`
pub struct DeleteTable;

/// Arguments of `delete_table`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeleteTableArgs {
    /// Name, id or URL.
    base: String,
    /// Name, id or URL.
    table: String,
    /// The exact name of the table.
    confirm: String,
}

#[derive(Debug, Serialize, JsonSchema)]
struct DeletedTable {
    id: String,
    name: String,
    /// Records that went with it.
    records: usize,
    /// Link fields of other tables that are texts now.
    #[serde(skip_serializing_if = "Option::is_none")]
    became_texts: Option<Vec<Elsewhere>>,
    /// Number in the change log.
    change: i64,
}

impl Tool for DeleteTable {
    const NAME: &'static str = "delete_table";
    type Args = DeleteTableArgs;

    fn output_schema() -> Option<Map<String, Value>> {
        Some(schema_of::<DeletedTable>())
    }

    async fn run(context: &mut CallContext, args: DeleteTableArgs) -> Result<Answer, Fault> {
        let view = context.call.table(&args.base, &args.table).await?;
        let (schema, table) = (view.base().schema(), view.schema());
        confirmed("table", &table.name, &args.confirm)?;
        let done = context.call.edit_schema(schema.id, SchemaEdit::DeleteTable(table.id)).await?;
        Ok(answer(DeletedTable {
            id: table.id.to_string(),
            name: table.name.clone(),
            records: view.len(),
            became_texts: some(links_to(schema, table.id)),
            change: done.change,
        }))
    }
}

/// `delete_base`
pub struct DeleteBase;

/// Arguments of `delete_base`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeleteBaseArgs {
    /// Name, id or URL.
    base: String,
    /// The exact name of the base.
    confirm: String,
}

impl Tool for DeleteBase {
    const NAME: &'static str = "delete_base";
    type Args = DeleteBaseArgs;

    fn output_schema() -> Option<Map<String, Value>> {
        Some(schema_of::<Changed>())
    }

    async fn run(context: &mut CallContext, args: DeleteBaseArgs) -> Result<Answer, Fault> {
        let base = context.call.base(&args.base).await?;
        let schema = base.schema();
        confirmed("base", &schema.name, &args.confirm)?;
        let change = context.call.delete_base(schema.id).await?;
        Ok(answer(Changed { id: schema.id.to_string(), name: schema.name.clone(), change }))
    }
}
