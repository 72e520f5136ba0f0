//! Both sides of a link, kept in step.

use std::sync::Arc;

use rustc_hash::FxHashMap;
use tablewright_core::model::{Cell, RecordId, TableId};

use crate::base::Snapshot;

/// One link field and the field that mirrors it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mirror {
    pub(super) table: TableId,
    pub(super) field: usize,
}

/// The field that mirrors the link field at `field` of `table`, if it has one.
pub(super) fn mirror(snapshot: &Snapshot, table: TableId, field: usize) -> Option<Mirror> {
    let link = snapshot.schema.table_by_id(table)?.fields.get(field)?.link()?;
    let other = snapshot.schema.table_by_id(link.linked_table_id)?;
    Some(Mirror { table: other.id, field: other.field_index(link.inverse_link_field_id?)? })
}

/// The records a link cell holds.
pub(super) fn held(cell: &Cell) -> &[RecordId] {
    match cell {
        Cell::Links(ids) => ids,
        _ => &[],
    }
}

/// A link cell with these records.
pub(super) fn cell(ids: Vec<RecordId>) -> Cell {
    if ids.is_empty() { Cell::Blank } else { Cell::Links(ids.into()) }
}

/// Adds to every link field what its mirror says and it does not: a file may give one side only.
pub fn complete_inverses(snapshot: &mut Snapshot) {
    let schema = snapshot.schema.clone();
    for table in &schema.tables {
        for field in 0..table.fields.len() {
            let Some(other) = mirror(snapshot, table.id, field) else { continue };
            let mut missing: FxHashMap<RecordId, Vec<RecordId>> = FxHashMap::default();
            let (Some(here), Some(there)) =
                (snapshot.tables.get(&table.id), snapshot.tables.get(&other.table))
            else {
                continue;
            };
            let back: FxHashMap<RecordId, rustc_hash::FxHashSet<RecordId>> = there
                .slots()
                .filter_map(|slot| match there.cell(slot, other.field) {
                    Cell::Links(ids) => Some((there.row(slot).id, ids.iter().copied().collect())),
                    _ => None,
                })
                .collect();
            for slot in here.slots() {
                let id = here.row(slot).id;
                for target in held(&here.cell(slot, field)) {
                    if !back.get(target).is_some_and(|ids| ids.contains(&id)) {
                        missing.entry(*target).or_default().push(id);
                    }
                }
            }
            let Some(there) = snapshot.tables.get_mut(&other.table).map(Arc::make_mut) else { continue };
            for (target, ids) in missing {
                let Some(slot) = there.slot(&target) else { continue };
                let mut all = held(&there.cell(slot, other.field)).to_vec();
                all.extend(ids);
                there.set(slot, other.field, cell(all));
            }
        }
    }
}
