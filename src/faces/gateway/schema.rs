//! Making and changing bases, tables and fields.

use std::collections::HashSet;

use serde_json::{Map, Value, json};
use tablewright_core::model::{BaseId, FieldId, FieldType, TableId, ViewId};
use tablewright_core::{Code, Fault};
use tablewright_door::access::Need;
use tablewright_door::{BaseView, Call, Edited};
use tablewright_engine::local::schema::{NewField, NewTable, SchemaEdit};

use super::list::{require, table};
use super::meta::{base, field_json, find_view, table_json};
use super::params::{unknown_key, wrong};
use super::refusal::{Refusal, While};

type Body = Map<String, Value>;

/// Takes a text out of a body; `None` when it is not there.
fn text(body: &mut Body, key: &str) -> Result<Option<String>, Refusal> {
    match body.remove(key) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(wrong(key, "a text")),
    }
}

/// Takes the name of a field out of a body.
fn field_name(body: &mut Body) -> Result<Option<String>, Refusal> {
    let name = text(body, "name")?;
    if name.as_ref().is_some_and(|name| name.trim().is_empty()) {
        return Err(Refusal::unfit_name());
    }
    Ok(name)
}

/// Takes a description out of a body; null empties it.
fn description(body: &mut Body) -> Result<Option<String>, Refusal> {
    match body.remove("description") {
        Some(Value::Null) => Ok(Some(String::new())),
        Some(Value::String(text)) => Ok(Some(text)),
        None => Ok(None),
        Some(_) => Err(wrong("description", "a text")),
    }
}

fn options(body: &mut Body) -> Result<Option<Body>, Refusal> {
    match body.remove("options") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(options)) => Ok(Some(options)),
        Some(_) => Err(wrong("options", "an object")),
    }
}

/// Refuses the keys that nobody took.
fn nothing_else(body: &Body) -> Result<(), Refusal> {
    body.keys().next().map_or(Ok(()), |key| Err(unknown_key(key)))
}

fn object(value: Value, what: &str) -> Result<Body, Refusal> {
    match value {
        Value::Object(map) => Ok(map),
        _ => Err(wrong(what, "an object")),
    }
}

/// A field to be made.
fn new_field(mut body: Body) -> Result<NewField, Refusal> {
    let name = field_name(&mut body)?.ok_or_else(|| Refusal::missing("name"))?;
    let type_name = text(&mut body, "type")?.ok_or_else(|| Refusal::missing("type"))?;
    let (description, options) = (description(&mut body)?, options(&mut body)?);
    nothing_else(&body)?;
    if let Ok(FieldType::Unknown) = FieldType::parse(&type_name, &Map::new()) {
        let shown: String = type_name.chars().take(60).collect();
        return Err(Refusal::parameter(format_args!("there is no field type {shown:?}")));
    }
    Ok(NewField { name, type_name, description, options, ..NewField::default() })
}

/// What Airtable does not create is refused here too.
fn creatable<'f>(table: &str, mut fields: impl Iterator<Item = &'f NewField>) -> Result<(), Refusal> {
    let computed = fields
        .find(|field| FieldType::parse(&field.type_name, &Map::new()).is_ok_and(|kind| kind.is_computed()));
    computed.map_or(Ok(()), |field| {
        Err(Refusal::no_such_creation(&format!("{table}.{}", field.name), &field.type_name))
    })
}

fn new_table(mut body: Body) -> Result<NewTable, Refusal> {
    let name = text(&mut body, "name")?.ok_or_else(|| Refusal::missing("name"))?;
    let description = description(&mut body)?;
    let fields = body.remove("fields").ok_or_else(|| Refusal::missing("fields"))?;
    nothing_else(&body)?;
    let Value::Array(fields) = fields else { return Err(wrong("fields", "a list")) };
    if fields.is_empty() {
        return Err(wrong("fields", "a list of at least one field"));
    }
    let fields = fields.into_iter().map(|field| new_field(object(field, "each of fields")?));
    let fields = fields.collect::<Result<Vec<_>, _>>()?;
    let mut names = HashSet::new();
    if !fields.iter().all(|field| names.insert(field.name.to_lowercase())) {
        return Err(Refusal::unfit_name());
    }
    Ok(NewTable { name, description, fields, ..NewTable::default() })
}

async fn edit(call: &mut Call, base: BaseId, edit: SchemaEdit, doing: While) -> Result<Edited, Refusal> {
    call.edit_schema(base, edit).await.map_err(|fault| Refusal::of(&fault, doing))
}

/// The table of an edit as it is now.
fn edited_table(base: &BaseView, table: Option<TableId>) -> Result<String, Refusal> {
    let table = table.and_then(|id| base.schema().table_by_id(id)).ok_or_else(lost)?;
    Ok(table_json(table, false).to_string())
}

/// The field of an edit as it is now.
fn edited_field(edited: &Edited) -> Result<String, Refusal> {
    let table = edited.table.and_then(|id| edited.base.schema().table_by_id(id));
    let field = table.zip(edited.field).and_then(|(table, id)| table.field_by_id(id)).ok_or_else(lost)?;
    Ok(field_json(field).to_string())
}

fn lost() -> Refusal {
    Refusal::of(&Fault::new(Code::Internal, "what was just changed is not there"), While::Reading)
}

/// `POST /meta/bases`
pub(super) async fn create_base(call: &mut Call, mut body: Body) -> Result<String, Refusal> {
    let name = text(&mut body, "name")?.ok_or_else(|| Refusal::missing("name"))?;
    let workspace = text(&mut body, "workspaceId")?;
    let tables = body.remove("tables").ok_or_else(|| Refusal::missing("tables"))?;
    nothing_else(&body)?;
    let Value::Array(tables) = tables else { return Err(wrong("tables", "a list")) };
    if tables.is_empty() {
        return Err(wrong("tables", "a list of at least one table"));
    }
    let tables = tables.into_iter().map(|table| new_table(object(table, "each of tables")?));
    let tables = tables.collect::<Result<Vec<_>, _>>()?;
    require(call, Need::Schema)?;
    tables.iter().try_for_each(|table| creatable(&table.name, table.fields.iter()))?;
    let made = call.create_base(&name, workspace.as_deref(), tables).await;
    let made = made.map_err(|fault| Refusal::of(&fault, While::ChangingTable))?;
    let tables: Vec<Value> = made.base.schema().tables.iter().map(|table| table_json(table, false)).collect();
    Ok(json!({ "id": made.base.schema().id, "tables": tables }).to_string())
}

/// `DELETE /meta/bases/{base}`
pub(super) async fn delete_base(call: &mut Call, id: BaseId) -> Result<String, Refusal> {
    require(call, Need::Remove)?;
    base(call, id).await?;
    call.delete_base(id).await.map_err(|fault| Refusal::of(&fault, While::Reading))?;
    Ok(json!({ "id": id, "deleted": true }).to_string())
}

/// `POST /meta/bases/{base}/tables`
pub(super) async fn create_table(call: &mut Call, id: BaseId, body: Body) -> Result<String, Refusal> {
    let new = new_table(body)?;
    require(call, Need::Schema)?;
    base(call, id).await?;
    creatable(&new.name, new.fields.iter())?;
    let edited = edit(call, id, SchemaEdit::CreateTable(new), While::ChangingTable).await?;
    edited_table(&edited.base, edited.table)
}

/// `PATCH /meta/bases/{base}/tables/{table}`
pub(super) async fn update_table(
    call: &mut Call,
    base: BaseId,
    wanted: &str,
    mut body: Body,
) -> Result<String, Refusal> {
    let (name, description) = (text(&mut body, "name")?, description(&mut body)?);
    nothing_else(&body)?;
    if name.is_none() && description.is_none() {
        return Err(Refusal::missing("name"));
    }
    require(call, Need::Schema)?;
    let table = table(call, base, wanted).await?.schema().id;
    let change = SchemaEdit::UpdateTable { table, name, description };
    let edited = edit(call, base, change, While::ChangingTable).await?;
    edited_table(&edited.base, Some(table))
}

/// `POST /meta/bases/{base}/tables/{table}/fields`
pub(super) async fn create_field(
    call: &mut Call,
    base: BaseId,
    wanted: &str,
    body: Body,
) -> Result<String, Refusal> {
    let field = new_field(body)?;
    require(call, Need::Schema)?;
    let view = table(call, base, wanted).await?;
    creatable(&view.schema().name, std::iter::once(&field))?;
    let table = view.schema().id;
    let change = SchemaEdit::CreateField { table, field };
    edited_field(&edit(call, base, change, While::ChangingField).await?)
}

/// `PATCH /meta/bases/{base}/tables/{table}/fields/{field}`
pub(super) async fn update_field(
    call: &mut Call,
    base: BaseId,
    wanted: &str,
    field: FieldId,
    mut body: Body,
) -> Result<String, Refusal> {
    let (name, description) = (field_name(&mut body)?, description(&mut body)?);
    let options = options(&mut body)?;
    nothing_else(&body)?;
    if name.is_none() && description.is_none() && options.is_none() {
        return Err(Refusal::missing("name"));
    }
    require(call, Need::Schema)?;
    let view = table(call, base, wanted).await?;
    if view.schema().field_by_id(field).is_none() {
        return Err(Refusal::not_permitted(Code::UnknownField));
    }
    let table = view.schema().id;
    let change = SchemaEdit::UpdateField { table, field, name, description, options };
    edited_field(&edit(call, base, change, While::ChangingField).await?)
}

/// `DELETE /meta/bases/{base}/views/{view}`
pub(super) async fn delete_view(call: &mut Call, id: BaseId, view: ViewId) -> Result<String, Refusal> {
    require(call, Need::Schema)?;
    let seen = base(call, id).await?;
    let table = find_view(&seen, view)?.0.id;
    edit(call, id, SchemaEdit::DeleteView { table, view }, While::ChangingTable).await?;
    Ok(json!({ "id": view, "deleted": true }).to_string())
}
