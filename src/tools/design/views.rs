//! Views.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};
use tablewright_core::Fault;
use tablewright_core::model::{FieldId, Table, View, ViewId};
use tablewright_door::{Edited, TableView};
use tablewright_engine::local::schema::{SchemaEdit, ViewChange};
use tablewright_toolkit::Answer;
use tablewright_toolkit::arguments::schema_of;
use tablewright_toolkit::registry::{CallContext, Tool};
use tablewright_toolkit::text::accept;

use super::{Changed, accepted, answer};
use crate::filter::FilterArg;
use crate::records::{SortBy, order};

/// A filter to keep, as a formula.
fn formula(filter: Option<FilterArg>, view: &TableView) -> Result<Option<String>, Fault> {
    filter.map(|filter| filter.accepted()?.formula(view)).transpose().map(Option::flatten)
}

fn shown(names: &[String], table: &Table) -> Result<Vec<FieldId>, Fault> {
    let mut ids: Vec<FieldId> = Vec::with_capacity(names.len());
    for name in names {
        let id = table.field(name)?.id;
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    Ok(ids)
}

fn changed(done: &Edited) -> Answer {
    let table = done.table.and_then(|id| done.base.schema().table_by_id(id));
    let view = table.and_then(|table| table.views.iter().find(|view| Some(view.id) == done.view));
    answer(view.map(|view| Changed { id: view.id.to_string(), name: view.name.clone(), change: done.change }))
}

/// `create_view`
pub struct CreateView;

/// Arguments of `create_view`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateViewArgs {
    /// Name, id or URL.
    base: String,
    /// Name, id or URL.
    table: String,
    name: String,
    /// The records it keeps; as in list_records.
    filter: Option<FilterArg>,
    sort: Option<Vec<SortBy>>,
    /// The fields it shows, in order; all if left out.
    fields: Option<Vec<String>>,
}

impl Tool for CreateView {
    const NAME: &'static str = "create_view";
    type Args = CreateViewArgs;

    fn output_schema() -> Option<Map<String, Value>> {
        Some(schema_of::<Changed>())
    }

    async fn run(context: &mut CallContext, args: CreateViewArgs) -> Result<Answer, Fault> {
        let table = context.call.table(&args.base, &args.table).await?;
        let fields = shown(args.fields.as_deref().unwrap_or_default(), table.schema())?;
        let view = View {
            id: ViewId::random(),
            name: accept(&args.name)?,
            kind: "grid".into(),
            visible_field_ids: (!fields.is_empty()).then_some(fields),
            filter_formula: formula(args.filter, &table)?,
            sorts: order(table.schema(), args.sort.as_deref().unwrap_or_default())?,
            other: Map::new(),
        };
        let edit = SchemaEdit::CreateView { table: table.schema().id, view };
        Ok(changed(&context.call.edit_schema(table.base().schema().id, edit).await?))
    }
}

/// `update_view`
pub struct UpdateView;

/// Arguments of `update_view`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateViewArgs {
    /// Name, id or URL.
    base: String,
    /// Name, id or URL.
    table: String,
    /// Name, id or URL.
    view: String,
    /// The new name.
    name: Option<String>,
    /// The records it keeps, as in list_records; "" for all.
    filter: Option<FilterArg>,
    /// [] for the table's own order.
    sort: Option<Vec<SortBy>>,
    /// The fields it shows, in order; [] for all.
    fields: Option<Vec<String>>,
}

impl Tool for UpdateView {
    const NAME: &'static str = "update_view";
    type Args = UpdateViewArgs;

    fn output_schema() -> Option<Map<String, Value>> {
        Some(schema_of::<Changed>())
    }

    async fn run(context: &mut CallContext, args: UpdateViewArgs) -> Result<Answer, Fault> {
        let table = context.call.table(&args.base, &args.table).await?;
        let schema = table.schema();
        let view = schema.view(&args.view)?.id;
        let filtered = args.filter.is_some();
        let filter = formula(args.filter, &table)?;
        let change = ViewChange {
            name: accepted(args.name)?,
            filter_formula: filtered.then(|| filter.unwrap_or_default()),
            sorts: args.sort.as_deref().map(|sort| order(schema, sort)).transpose()?,
            visible_field_ids: args.fields.as_deref().map(|names| shown(names, schema)).transpose()?,
        };
        if change == ViewChange::default() {
            return Err(super::nothing("name, filter, sort or fields"));
        }
        let edit = SchemaEdit::UpdateView { table: schema.id, view, change };
        Ok(changed(&context.call.edit_schema(table.base().schema().id, edit).await?))
    }
}

/// `delete_view`
pub struct DeleteView;

/// Arguments of `delete_view`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeleteViewArgs {
    /// Name, id or URL.
    base: String,
    /// Name, id or URL.
    table: String,
    /// Name, id or URL.
    view: String,
}

impl Tool for DeleteView {
    const NAME: &'static str = "delete_view";
    type Args = DeleteViewArgs;

    fn output_schema() -> Option<Map<String, Value>> {
        Some(schema_of::<Changed>())
    }

    async fn run(context: &mut CallContext, args: DeleteViewArgs) -> Result<Answer, Fault> {
        let table = context.call.table(&args.base, &args.table).await?;
        let gone = table.schema().view(&args.view)?;
        let edit = SchemaEdit::DeleteView { table: table.schema().id, view: gone.id };
        let done = context.call.edit_schema(table.base().schema().id, edit).await?;
        Ok(answer(Changed { id: gone.id.to_string(), name: gone.name.clone(), change: done.change }))
    }
}
