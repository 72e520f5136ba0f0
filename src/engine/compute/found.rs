//! Which computed cells a commit changed, for those who follow the change log.

use rustc_hash::{FxHashMap, FxHashSet};
use serde_json::{Map, Value};
use tablewright_core::model::{Cell, RecordId, TableId};

use super::depend::Place;
use crate::base::{RowChange, Snapshot, TableChanges};

/// Most computed cells of one commit that are noted; a change of a formula's input everywhere is
/// not worth more.
const MAX_NOTED: usize = 10_000;

/// What working out after a commit changed.
#[derive(Debug, Default)]
pub struct Recomputed {
    /// Tables with a computed cell that changed.
    pub tables: FxHashSet<TableId>,
    /// True when the cells are noted.
    pub(super) log: bool,
    before: Vec<(Place, RecordId, Cell)>,
}

impl Recomputed {
    /// Nothing yet; with `log`, cells will be noted.
    pub(super) fn new(log: bool) -> Self {
        Self { log, ..Self::default() }
    }

    /// Notes what a cell held.
    pub(super) fn keep(&mut self, place: Place, id: RecordId, held: impl FnOnce() -> Cell) {
        if self.log && self.before.len() < MAX_NOTED {
            self.before.push((place, id, held()));
        }
    }

    /// Adds the noted cells to the changes of a commit, as they were and as they are.
    pub(crate) fn log(&self, snapshot: &Snapshot, changes: &mut Vec<TableChanges>) {
        let mut rows_of: FxHashMap<(TableId, RecordId), usize> = FxHashMap::default();
        for (place, id, was) in &self.before {
            let Some(table) = snapshot.schema.tables.get(place.table) else { continue };
            let field = &table.fields[place.field];
            let Some(data) = snapshot.tables.get(&table.id) else { continue };
            let Some(slot) = data.slot(id) else { continue };
            let key = field.id.to_string();
            let value = |cell: &Cell| cell.to_json(field).unwrap_or(Value::Null);
            let at = match changes.iter().position(|c| c.table == table.id) {
                Some(at) => at,
                None => {
                    changes.push(TableChanges { table: table.id, rows: Vec::new(), computed: Vec::new() });
                    changes.len() - 1
                }
            };
            let rows = &mut changes[at].computed;
            let row = *rows_of.entry((table.id, *id)).or_insert_with(|| {
                let none = || Some(Map::new());
                rows.push(RowChange { id: *id, before: none(), after: none() });
                rows.len() - 1
            });
            if let RowChange { before: Some(before), after: Some(after), .. } = &mut rows[row] {
                before.entry(key.clone()).or_insert_with(|| value(was));
                after.insert(key, value(&data.cell(slot, place.field)));
            }
        }
    }
}
