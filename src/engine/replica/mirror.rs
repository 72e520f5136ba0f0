//! The other sides of links that a write of ours changed: known before Airtable is asked again.

use rustc_hash::FxHashMap;
use tablewright_core::model::{Cell, FieldId, RecordId, TableId};

use super::reach::ends;
use crate::base::TableChanges;
use crate::local::{Before, Draft};

/// Brings the other sides of changed links in step, and adds what that changed to `changes`.
pub(super) fn follow(draft: &mut Draft, changes: &mut Vec<TableChanges>) {
    let schema = draft.snapshot.schema.clone();
    let mut steps: FxHashMap<(TableId, RecordId, FieldId), Vec<(RecordId, bool)>> = FxHashMap::default();
    for change in changes.iter() {
        let Some(table) = schema.table_by_id(change.table) else { continue };
        for field in &table.fields {
            let Some(link) = field.link() else { continue };
            let Some(inverse) = link.inverse_link_field_id else { continue };
            for row in &change.rows {
                for (end, added) in ends(row, field.id) {
                    steps.entry((link.linked_table_id, end, inverse)).or_default().push((row.id, added));
                }
            }
        }
    }
    let mut before = Before::default();
    for ((table, record, field), steps) in steps {
        let Some(at) = schema.table_by_id(table).and_then(|t| t.field_index(field)) else { continue };
        let Some(data) = draft.snapshot.tables.get(&table) else { continue };
        let Some(slot) = data.slot(&record) else { continue };
        let mut ids: Vec<RecordId> = match data.cell(slot, at) {
            Cell::Links(ids) => ids.to_vec(),
            Cell::Blank => Vec::new(),
            _ => continue,
        };
        let held = ids.clone();
        for (id, added) in steps {
            match (added, ids.contains(&id)) {
                (true, false) => ids.push(id),
                (false, true) => ids.retain(|held| *held != id),
                _ => {}
            }
        }
        if ids != held {
            draft.remember(&mut before, table, record);
            let cell = if ids.is_empty() { Cell::Blank } else { Cell::Links(ids.into()) };
            draft.set(table, record, at, cell);
        }
    }
    for more in draft.changes(before) {
        match changes.iter_mut().find(|change| change.table == more.table) {
            // A record that was written itself came whole, after the link.
            Some(held) => {
                let new = more.rows.into_iter().filter(|row| held.rows.iter().all(|had| had.id != row.id));
                let new: Vec<_> = new.collect();
                held.rows.extend(new);
            }
            None => changes.push(more),
        }
    }
}
