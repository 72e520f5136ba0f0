//! Bases and tables.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tablewright_core::Fault;
use tablewright_core::model::{Base, BaseId, Table};
use tablewright_engine::local::schema::SchemaEdit;
use tablewright_toolkit::Answer;
use tablewright_toolkit::arguments::schema_of;
use tablewright_toolkit::registry::{CallContext, Tool};
use tablewright_toolkit::text::accept;

use super::plan::{self, FieldSpec, TableSpec};
use super::{Changed, Elsewhere, Named, accepted, answer, links_to, some};

/// `create_base`
pub struct CreateBase;

/// Arguments of `create_base`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateBaseArgs {
    name: String,
    /// At least one.
    tables: Vec<TableSpec>,
    /// Name or id.
    workspace: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct MadeBase {
    id: String,
    name: String,
    tables: Vec<MadeTable>,
    /// Number in the change log.
    change: i64,
}

#[derive(Debug, Serialize, JsonSchema)]
struct MadeTable {
    id: String,
    name: String,
    /// The other sides of links included.
    fields: Vec<Named>,
    /// Other sides of links, in tables that were there.
    #[serde(skip_serializing_if = "Option::is_none")]
    elsewhere: Option<Vec<Elsewhere>>,
    /// Number in the change log.
    #[serde(skip_serializing_if = "Option::is_none")]
    change: Option<i64>,
}

impl MadeTable {
    fn of(table: &Table) -> Self {
        Self {
            id: table.id.to_string(),
            name: table.name.clone(),
            fields: Named::fields(table),
            elsewhere: None,
            change: None,
        }
    }
}

impl Tool for CreateBase {
    const NAME: &'static str = "create_base";
    type Args = CreateBaseArgs;

    fn output_schema() -> Option<Map<String, Value>> {
        Some(schema_of::<MadeBase>())
    }

    async fn run(context: &mut CallContext, args: CreateBaseArgs) -> Result<Answer, Fault> {
        let name = accept(&args.name)?;
        let empty = Base { id: BaseId::random(), name: name.clone(), tables: Vec::new() };
        let tables = plan::tables(empty, args.tables)?;
        let made = context.call.create_base(&name, args.workspace.as_deref(), tables).await?;
        let schema = made.base.schema();
        Ok(answer(MadeBase {
            id: schema.id.to_string(),
            name: schema.name.clone(),
            tables: schema.tables.iter().map(MadeTable::of).collect(),
            change: made.change,
        }))
    }
}

/// `create_table`
pub struct CreateTable;

/// Arguments of `create_table`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateTableArgs {
    /// Name, id or URL.
    base: String,
    name: String,
    description: Option<String>,
    /// The first one names the records.
    fields: Vec<FieldSpec>,
}

impl Tool for CreateTable {
    const NAME: &'static str = "create_table";
    type Args = CreateTableArgs;

    fn output_schema() -> Option<Map<String, Value>> {
        Some(schema_of::<MadeTable>())
    }

    async fn run(context: &mut CallContext, args: CreateTableArgs) -> Result<Answer, Fault> {
        let base = context.call.base(&args.base).await?;
        let spec = TableSpec::new(args.name, args.description, args.fields);
        let mut tables = plan::tables(base.schema().clone(), vec![spec])?;
        let edit = SchemaEdit::CreateTable(tables.swap_remove(0));
        let made = context.call.edit_schema(base.schema().id, edit).await?;
        let schema = made.base.schema();
        let table = schema.tables.iter().find(|t| Some(t.id) == made.table);
        let table = table.map(|table| MadeTable {
            elsewhere: some(links_to(schema, table.id)),
            change: Some(made.change),
            ..MadeTable::of(table)
        });
        Ok(answer(table))
    }
}

/// `update_table`
pub struct UpdateTable;

/// Arguments of `update_table`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateTableArgs {
    /// Name, id or URL.
    base: String,
    /// Name, id or URL.
    table: String,
    /// The new name.
    name: Option<String>,
    /// The new description; "" takes it away.
    description: Option<String>,
}

impl Tool for UpdateTable {
    const NAME: &'static str = "update_table";
    type Args = UpdateTableArgs;

    fn output_schema() -> Option<Map<String, Value>> {
        Some(schema_of::<Changed>())
    }

    async fn run(context: &mut CallContext, args: UpdateTableArgs) -> Result<Answer, Fault> {
        let view = context.call.table(&args.base, &args.table).await?;
        let (name, description) = (accepted(args.name)?, accepted(args.description)?);
        if name.is_none() && description.is_none() {
            return Err(super::nothing("name or description"));
        }
        let table = view.schema().id;
        let edit = SchemaEdit::UpdateTable { table, name, description };
        let done = context.call.edit_schema(view.base().schema().id, edit).await?;
        let name = done.base.schema().table_by_id(table).map_or_else(String::new, |t| t.name.clone());
        Ok(answer(Changed { id: table.to_string(), name, change: done.change }))
    }
}
