//! What goes with a change of the schema: the cells of fields and tables that are gone, or that have
//! another type. The journal keeps it, so that the change can be taken back.

use serde_json::{Map, Value};
use tablewright_core::model::{Base, Table};

use crate::base::{RowChange, SchemaChange, Snapshot, TableChanges};
use crate::store::write::stored_cells;

use super::schema::named_table;

/// The rows of `before` that have lost something in `after`, which has another schema: as they were, and
/// with what is left of them.
pub(crate) fn lost(before: &Snapshot, after: &Snapshot) -> Vec<TableChanges> {
    let mut all = Vec::new();
    for (place, table) in before.schema.tables.iter().enumerate() {
        let Some(data) = before.tables.get(&table.id) else { continue };
        let is = after.schema.table_by_id(table.id);
        let place_now = after.schema.tables.iter().position(|held| held.id == table.id);
        let goes: Vec<String> = table
            .fields
            .iter()
            .filter(|field| {
                let now = is.and_then(|is| is.field_by_id(field.id));
                !field.kind.is_computed() && now.is_none_or(|now| now.type_name != field.type_name)
            })
            .map(|field| field.id.to_string())
            .collect();
        if is.is_some() && goes.is_empty() {
            continue;
        }
        let mut rows = Vec::new();
        for slot in data.slots() {
            let mut cells = stored_cells(before, place, slot);
            cells.retain(|key, _| !key.starts_with('~') && (is.is_none() || goes.contains(key)));
            let id = data.row(slot).id;
            if is.is_none() {
                rows.push(RowChange { id, before: Some(cells), after: None });
            } else if !cells.is_empty() {
                let left = place_now.and_then(|at| {
                    let slot = after.tables.get(&table.id)?.slot(&id)?;
                    Some(stored_cells(after, at, slot))
                });
                let left = left.unwrap_or_default();
                let of = |key: &String| (key.clone(), left.get(key).cloned().unwrap_or(Value::Null));
                let after = cells.keys().map(of).collect::<Map<_, _>>();
                rows.push(RowChange { id, before: Some(cells), after: Some(after) });
            }
        }
        if !rows.is_empty() {
            all.push(TableChanges { table: table.id, rows, computed: Vec::new() });
        }
    }
    all
}

/// What makes one schema of another.
pub(super) fn difference(before: &Base, after: &Base) -> Vec<SchemaChange> {
    let mut changes = Vec::new();
    if before.name != after.name {
        changes.push(SchemaChange::BaseRenamed { before: before.name.clone(), after: after.name.clone() });
    }
    for table in &before.tables {
        match after.table_by_id(table.id) {
            None => {
                changes.push(SchemaChange::TableDeleted { table: table.id, before: named_table(table) });
            }
            Some(is) => changes.extend(between(table, is)),
        }
    }
    for table in after.tables.iter().filter(|table| before.table_by_id(table.id).is_none()) {
        changes.push(SchemaChange::TableCreated { table: table.id, after: Some(table.clone()) });
    }
    changes
}

fn between(was: &Table, is: &Table) -> Vec<SchemaChange> {
    let mut changes = Vec::new();
    let table = was.id;
    if (&was.name, &was.description) != (&is.name, &is.description) {
        let (before, after) = (named_table(was), named_table(is));
        changes.push(SchemaChange::TableChanged { table, before, after });
    }
    for field in &was.fields {
        match is.field_by_id(field.id) {
            None => changes.push(SchemaChange::FieldDeleted { table, before: Box::new(field.clone()) }),
            Some(now) if now != field => {
                let (before, after) = (Box::new(field.clone()), Box::new(now.clone()));
                changes.push(SchemaChange::FieldChanged { table, before, after });
            }
            Some(_) => {}
        }
    }
    for field in is.fields.iter().filter(|field| was.field_by_id(field.id).is_none()) {
        changes.push(SchemaChange::FieldCreated { table, field: Box::new(field.clone()) });
    }
    let views = was.views.iter().chain(&is.views).map(|view| view.id);
    let mut moved: Vec<_> = views
        .filter(|id| {
            let of = |table: &Table| table.views.iter().find(|view| view.id == *id).cloned();
            of(was) != of(is)
        })
        .collect();
    moved.dedup();
    changes.extend(moved.into_iter().map(|view| SchemaChange::ViewChanged { table, view }));
    changes
}
