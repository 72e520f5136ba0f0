//! Which fields are masked because of what they are worked out from.

use serde_json::Value;
use tablewright_core::model::{Base, Field, FieldId, FieldType, Mask, Table};
use tablewright_formula::{Scope, compile};

use super::Sight;
use crate::compute::{Place, needs, places};

/// The mask of every field by the places of its table and itself. What is worked out from a hidden
/// field is hidden, from a masked one redacted; and so is what is worked out from links to a table of
/// which not all rows are seen, as it counts or names those that are not.
pub(super) fn masks(base: &Base, sight: &Sight) -> Vec<Vec<Option<Mask>>> {
    let at = places(base);
    let mut masks: Vec<Vec<Option<Mask>>> = base
        .tables
        .iter()
        .map(|table| {
            let seen = sight.tables.get(&table.id);
            let of = |field: &Field| {
                let Some(seen) = seen else { return Some(Mask::Hide) };
                match (seen.masks.get(&field.id).copied(), field.link()) {
                    (_, Some(link)) if !sight.tables.contains_key(&link.linked_table_id) => Some(Mask::Hide),
                    // A record has to be called something.
                    (Some(Mask::Hide), _) if field.id == table.primary_field_id => Some(Mask::Redact),
                    (mask, _) => mask,
                }
            };
            table.fields.iter().map(of).collect()
        })
        .collect();
    let limited = |place: &Place| {
        let link = base.tables[place.table].fields[place.field].link();
        let rows = link.and_then(|link| sight.tables.get(&link.linked_table_id)).map(|seen| &seen.rows);
        rows.is_some_and(|rows| !rows.is_empty())
    };
    let mut computed: Vec<(Place, Option<Vec<Place>>)> = Vec::new();
    for (table, t) in base.tables.iter().enumerate() {
        for (field, f) in t.fields.iter().enumerate().filter(|(_, f)| f.kind.is_computed()) {
            let place = Place { table, field };
            let mut read = needs(base, &at, place);
            let named = ids_in(f);
            let unknown = match &f.kind {
                // When a record was changed, or by whom, tells of changes of what is not seen.
                FieldType::LastModifiedTime { watched, .. } => watched.is_empty(),
                FieldType::LastModifiedBy => true,
                FieldType::Formula { formula, .. } => asks_for_all_edits(t, formula),
                FieldType::AiText | FieldType::Unknown | FieldType::ExternalSyncSource => named.is_empty(),
                FieldType::Button { .. } => named.is_empty() && read.is_empty(),
                _ => false,
            };
            read.extend(named.iter().filter_map(|id| at.get(id).copied()));
            computed.push((place, (!unknown).then_some(read)));
        }
    }
    loop {
        let mut changed = false;
        for (place, read) in &computed {
            let own = masks[place.table][place.field];
            let of = |place: &Place| match masks[place.table][place.field] {
                Some(Mask::Hide) => Some(Mask::Hide),
                Some(_) => Some(Mask::Redact),
                None => limited(place).then_some(Mask::Redact),
            };
            let inherited = match read {
                Some(read) => read.iter().filter_map(of).reduce(Mask::and),
                // Nobody knows what it reads: anything of its own table.
                None => (0..masks[place.table].len())
                    .filter_map(|field| of(&Place { table: place.table, field }))
                    .next()
                    .map(|_| Mask::Redact),
            };
            let mut next = own.into_iter().chain(inherited).reduce(Mask::and);
            let table = &base.tables[place.table];
            let primary = table.fields[place.field].id == table.primary_field_id;
            if next == Some(Mask::Hide) && primary && sight.tables.contains_key(&table.id) {
                next = Some(Mask::Redact);
            }
            if next != own {
                masks[place.table][place.field] = next;
                changed = true;
            }
        }
        if !changed {
            return masks;
        }
    }
}

/// True for a formula that asks when a record was last changed in any field.
fn asks_for_all_edits(table: &Table, formula: &str) -> bool {
    let compiled = compile(formula, &Scope::of_table(table));
    compiled.is_ok_and(|(program, _)| program.watched().iter().any(Vec::is_empty))
}

/// The ids of fields that the options of a field name, wherever they stand in them.
fn ids_in(field: &Field) -> Vec<FieldId> {
    fn walk(value: &Value, found: &mut Vec<FieldId>) {
        match value {
            Value::String(text) => {
                let ids = text.match_indices("fld").filter_map(|(at, _)| text.get(at..at + 17));
                found.extend(ids.filter_map(|id| id.parse::<FieldId>().ok()));
            }
            Value::Array(items) => items.iter().for_each(|item| walk(item, found)),
            Value::Object(map) => map.values().for_each(|value| walk(value, found)),
            _ => {}
        }
    }
    let mut found = Vec::new();
    field.options.iter().flat_map(|options| options.values()).for_each(|value| walk(value, &mut found));
    found
}
