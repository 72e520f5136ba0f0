//! A base as it was just before or just after a commit, made from a later one.
//!
//! What the commit wrote and what was worked out with it is exact; everything else is as in the
//! base it is made from. Schemas are not taken back.

use serde_json::{Map, Value};
use tablewright_core::model::{Cell, RecordId};
use tablewright_engine::Snapshot;
use tablewright_engine::base::{Change, RowChange, TableChanges};
use tablewright_engine::compute::recompute_changed;

/// Which side of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Before,
    After,
}

impl Side {
    fn of(self, row: &RowChange) -> Option<&Map<String, Value>> {
        match self {
            Self::Before => row.before.as_ref(),
            Self::After => row.after.as_ref(),
        }
    }
}

/// The base on that side of `change`, made from what it was right after it, or later.
pub(super) fn moment(from: &Snapshot, change: &Change, side: Side) -> Snapshot {
    let mut then = from.clone();
    let schema = from.schema.clone();
    let mut back = Vec::new();
    for changes in &change.tables {
        let Some(at) = schema.tables.iter().position(|t| t.id == changes.table) else { continue };
        let mut put_back = Vec::new();
        for row in &changes.rows {
            match side.of(row) {
                None => take_out(&mut then, changes, row.id),
                Some(cells) => {
                    let is_whole = row.before.is_none() || row.after.is_none();
                    if put(&mut then, at, row.id, cells, is_whole, change.at) {
                        put_back.push(RowChange { id: row.id, before: None, after: Some(cells.clone()) });
                    }
                }
            }
        }
        if !put_back.is_empty() {
            back.push(TableChanges { table: changes.table, rows: put_back, computed: Vec::new() });
        }
    }
    // Rows that are gone by now have lost what is worked out.
    if !back.is_empty() {
        recompute_changed(&mut then, &back, change.at, false);
    }
    for changes in &change.tables {
        let Some(at) = schema.tables.iter().position(|t| t.id == changes.table) else { continue };
        for row in &changes.computed {
            let is_there = then.tables.get(&changes.table).is_some_and(|data| data.slot(&row.id).is_some());
            if let Some(cells) = side.of(row).filter(|_| is_there) {
                put(&mut then, at, row.id, cells, false, change.at);
            }
        }
    }
    then
}

fn take_out(then: &mut Snapshot, changes: &TableChanges, id: RecordId) {
    let slot = then.tables.get(&changes.table).and_then(|data| data.slot(&id));
    if let Some(slot) = slot
        && let Some(data) = then.table_mut(changes.table)
    {
        data.remove(slot);
    }
}

/// Puts cells into a row, `is_whole` when they are all it stores; true when the row had to be
/// made. Only what differs is touched: untouched columns stay shared.
fn put(
    then: &mut Snapshot,
    at: usize,
    id: RecordId,
    cells: &Map<String, Value>,
    is_whole: bool,
    created: i64,
) -> bool {
    let schema = then.schema.clone();
    let table = &schema.tables[at];
    let mut slot = then.tables.get(&table.id).and_then(|data| data.slot(&id));
    let is_new = slot.is_none();
    if is_new && let Some(data) = then.table_mut(table.id) {
        let position = data.next_position;
        slot = Some(data.insert(id, created, position));
    }
    let (Some(slot), Some(data)) = (slot, then.tables.get(&table.id)) else { return false };
    let plan = then.plan.clone();
    let mut differing: Vec<(usize, Cell)> = Vec::new();
    for (place, field) in table.fields.iter().enumerate() {
        let cell = match cells.get(&field.id.to_string()) {
            Some(value) => Cell::from_stored(field, value),
            None if is_whole && !plan.computes(at, place) => Cell::Blank,
            None => continue,
        };
        if data.cell(slot, place) != cell {
            differing.push((place, cell));
        }
    }
    if !differing.is_empty()
        && let Some(data) = then.table_mut(table.id)
    {
        differing.into_iter().for_each(|(place, cell)| data.set(slot, place, cell));
    }
    is_new
}
