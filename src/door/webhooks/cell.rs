//! Cell values in the form that payloads have: choices, people and links as objects, lookups by
//! the record they come from.

use serde_json::{Map, Value, json};
use tablewright_core::model::field::ThroughLink;
use tablewright_core::model::{Cell, Choice, Field, FieldType, Table};
use tablewright_engine::Snapshot;

/// The cell of a field in a slot; `None` when it is blank.
pub(super) fn value(snapshot: &Snapshot, table: &Table, slot: usize, at: usize) -> Option<Value> {
    let field = table.fields.get(at)?;
    let cell = snapshot.tables.get(&table.id)?.cell(slot, at);
    match &field.kind {
        FieldType::Lookup(through) if !cell.is_blank() => {
            lookup(snapshot, table, slot, through).or_else(|| cell.to_json(field))
        }
        _ => plain(snapshot, field, &cell),
    }
}

fn plain(snapshot: &Snapshot, field: &Field, cell: &Cell) -> Option<Value> {
    let choices = field.kind.choices().unwrap_or_default();
    Some(match (&field.kind, cell) {
        (_, Cell::Blank) => return None,
        (_, Cell::Choice(at)) => choice(choices.get(*at as usize)?),
        (_, Cell::Choices(list)) => {
            list.iter().filter_map(|at| choices.get(*at as usize)).map(choice).collect()
        }
        (_, Cell::Links(ids)) => ids
            .iter()
            .map(|id| {
                let mut name = String::new();
                snapshot.push_name(&mut name, field, id);
                json!({"id": id, "name": name})
            })
            .collect(),
        (
            FieldType::SingleCollaborator
            | FieldType::MultipleCollaborators
            | FieldType::CreatedBy
            | FieldType::LastModifiedBy,
            Cell::Json(people),
        ) => match &**people {
            Value::Array(list) => list.iter().map(person).collect(),
            one => person(one),
        },
        (FieldType::ExternalSyncSource, Cell::Text(name)) => source(field, name.as_str()),
        (_, cell) => cell.to_json(field)?,
    })
}

fn choice(choice: &Choice) -> Value {
    let mut shown = json!({"id": choice.id, "name": choice.name});
    if let Some(color) = &choice.color {
        shown["color"] = json!(color);
    }
    shown
}

/// Everybody here may do everything their token allows.
fn person(person: &Value) -> Value {
    let mut shown = person.clone();
    if let Some(map) = shown.as_object_mut() {
        map.entry("permissionLevel").or_insert_with(|| json!("create"));
    }
    shown
}

fn source(field: &Field, name: &str) -> Value {
    let listed = field.options.as_ref().and_then(|options| options.get("choices")?.as_array());
    let known = listed.and_then(|all| all.iter().find(|choice| choice["name"] == name));
    known.cloned().unwrap_or_else(|| json!({"name": name}))
}

/// A lookup, taken apart by the records it comes from; `None` when they are not to be found.
fn lookup(snapshot: &Snapshot, table: &Table, slot: usize, through: &ThroughLink) -> Option<Value> {
    let link = table.field_index(through.record_link_field_id?)?;
    let Cell::Links(ids) = snapshot.tables.get(&table.id)?.cell(slot, link) else { return None };
    let (other, data) = snapshot.table(table.fields[link].link()?.linked_table_id).ok()?;
    let at = other.field_index(through.field_id_in_linked_table?)?;
    let mut by_record = Map::new();
    for id in ids.iter() {
        let cell = data.slot(id).map_or(Cell::Blank, |slot| data.cell(slot, at));
        let values = match plain(snapshot, &other.fields[at], &cell) {
            None => Vec::new(),
            Some(Value::Array(items)) => items,
            Some(one) => vec![one],
        };
        by_record.insert(id.to_string(), Value::Array(values));
    }
    Some(json!({"linkedRecordIds": ids, "valuesByLinkedRecordId": by_record}))
}
