//! New tables and fields, and the other sides of new links.

use serde_json::{Map, json};
use tablewright_core::Fault;
use tablewright_core::model::{Base, Field, FieldId, Table, TableId, View, ViewId};

use super::apply::missing_table;
use super::options;
use super::schema::{
    Edit, MAX_FIELDS, MAX_TABLES, NewField, NewTable, OtherSide, describe, given_name, refused, table_mut,
};
use crate::base::SchemaChange;

/// Makes tables with their fields; all of them are there before links are tied.
pub(super) fn tables(schema: &mut Base, new: &[NewTable], made: &mut Edit) -> Result<(), Fault> {
    if schema.tables.len() + new.len() > MAX_TABLES {
        return Err(refused(format!("a base has at most {MAX_TABLES} tables.")));
    }
    let mut ids = Vec::with_capacity(new.len());
    for table in new {
        let empty = empty(table)?;
        ids.push(empty.id);
        schema.tables.push(empty);
    }
    let mut links = Vec::new();
    for (id, table) in ids.iter().zip(new) {
        for (at, field) in table.fields.iter().enumerate() {
            let placed = place(schema, *id, field)?;
            links.push((*id, placed, field.other_side.as_ref()));
            if at == 0 {
                table_mut(schema, *id)?.primary_field_id = placed;
            }
        }
    }
    for (table, field, side) in links {
        tie(schema, table, field, side, made)?;
    }
    // The fields are told with their table.
    made.changes.retain(|c| !matches!(c, SchemaChange::FieldCreated { table, .. } if ids.contains(table)));
    let told = ids
        .iter()
        .map(|id| SchemaChange::TableCreated { table: *id, after: schema.table_by_id(*id).cloned() });
    made.changes.splice(0..0, told);
    made.table = ids.first().copied();
    Ok(())
}

/// Makes a field, with its other side when it is a link.
pub(super) fn field(
    schema: &mut Base,
    table: TableId,
    new: &NewField,
    made: &mut Edit,
) -> Result<FieldId, Fault> {
    let id = place(schema, table, new)?;
    tie(schema, table, id, new.other_side.as_ref(), made)?;
    if let Some(field) = schema.table_by_id(table).and_then(|held| held.field_by_id(id)) {
        made.changes.insert(0, SchemaChange::FieldCreated { table, field: Box::new(field.clone()) });
    }
    Ok(id)
}

/// A table without its fields.
fn empty(new: &NewTable) -> Result<Table, Fault> {
    let name = given_name("the table", &new.name)?;
    let Some(first) = new.fields.first() else {
        return Err(refused(format!("table {name:?} needs at least one field.")));
    };
    options::check_primary(first)?;
    let mut description = None;
    describe(&mut description, &new.description)?;
    Ok(Table {
        id: new.id.unwrap_or_else(TableId::random),
        name,
        description,
        primary_field_id: FieldId::random(),
        fields: Vec::new(),
        views: vec![View {
            id: ViewId::random(),
            name: "Grid view".into(),
            kind: "grid".into(),
            visible_field_ids: None,
            filter_formula: None,
            sorts: Vec::new(),
            other: Map::new(),
        }],
        other: Map::new(),
    })
}

/// Puts a new field behind the others of its table.
fn place(schema: &mut Base, table: TableId, new: &NewField) -> Result<FieldId, Fault> {
    let name = given_name("the field", &new.name)?;
    let mut field = options::new_field(schema, name, new)?;
    describe(&mut field.description, &new.description)?;
    let id = field.id;
    push(table_mut(schema, table)?, field)?;
    Ok(id)
}

fn push(table: &mut Table, field: Field) -> Result<(), Fault> {
    if table.fields.len() >= MAX_FIELDS {
        return Err(refused(format!(
            "table {:?} has {MAX_FIELDS} fields, the most there can be.",
            table.name
        )));
    }
    table.fields.push(field);
    Ok(())
}

/// What the other side of a link from `here` is called in `there` when nobody says.
pub fn other_side_name(here: &Table, there: &Table) -> String {
    let taken = |name: &str| there.fields.iter().any(|f| f.name.to_lowercase() == name.to_lowercase());
    (1..)
        .map(|n| if n == 1 { here.name.clone() } else { format!("{} {n}", here.name) })
        .find(|name| !taken(name))
        .unwrap_or_default()
}

/// Ties a new link field to its other side, which is made unless it is there. A link of a table to
/// itself has no other side.
fn tie(
    schema: &mut Base,
    table: TableId,
    id: FieldId,
    side: Option<&OtherSide>,
    made: &mut Edit,
) -> Result<(), Fault> {
    let here = schema.table_by_id(table).ok_or_else(|| missing_table(table))?;
    let Some(link) = here.field_by_id(id).and_then(Field::link) else { return Ok(()) };
    let other = link.linked_table_id;
    if other == table || link.inverse_link_field_id.is_some() {
        return Ok(());
    }
    let there = schema.table_by_id(other).ok_or_else(|| missing_table(other))?;
    let is_back = |field: &Field| {
        field.link().is_some_and(|l| l.linked_table_id == table && l.inverse_link_field_id.is_none())
    };
    let held = side.and_then(|side| there.field_by_id(side.id)).filter(|field| is_back(field));
    let inverse = match held {
        Some(field) => field.id,
        None => {
            let name = match side {
                Some(side) => given_name("the other side of the link", &side.name)?,
                None => other_side_name(here, there),
            };
            let options =
                json!({"linkedTableId": table, "isReversed": false, "prefersSingleRecordLink": false});
            let mut field = Field::new(&name, "multipleRecordLinks", options.as_object().cloned())?;
            field.id = side.map_or(field.id, |side| side.id);
            made.changes.push(SchemaChange::FieldCreated { table: other, field: Box::new(field.clone()) });
            let id = field.id;
            push(table_mut(schema, other)?, field)?;
            id
        }
    };
    set_inverse(schema, other, inverse, id)?;
    set_inverse(schema, table, id, inverse)
}

fn set_inverse(schema: &mut Base, table: TableId, id: FieldId, inverse: FieldId) -> Result<(), Fault> {
    let held = table_mut(schema, table)?;
    if let Some(field) = held.fields.iter_mut().find(|f| f.id == id) {
        field.options.get_or_insert_default().insert("inverseLinkFieldId".into(), json!(inverse));
        *field = options::again(field)?;
    }
    Ok(())
}
