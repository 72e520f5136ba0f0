//! A base being changed: its rows as they will be, and what they were before.

use std::collections::BTreeSet;

use rustc_hash::{FxHashMap, FxHashSet};
use serde_json::{Map, Value};
use tablewright_core::model::{Cell, RecordId, TableId};

use crate::base::{RowChange, Snapshot, TableChanges};
use crate::store::write::stored_cells;

#[derive(Debug, Clone)]
pub struct Draft {
    /// The base as it will be.
    pub snapshot: Snapshot,
    /// Rows touched since the draft was made, by table.
    pub touched: FxHashMap<TableId, BTreeSet<i64>>,
    /// True when the schema changed.
    pub schema_changed: bool,
    /// The first position given to a new row since the draft was made, by table.
    pub first_new: FxHashMap<TableId, i64>,
    /// Tables whose computed cells changed.
    pub recomputed: FxHashSet<TableId>,
    /// True when changed computed cells are noted for the change log too.
    pub log_computed: bool,
    /// Places of choices by name or id, for the columns of the write in progress.
    pub(super) choices: FxHashMap<(TableId, usize), FxHashMap<String, u32>>,
    /// Records by the text of their primary field, for the tables the write links to by name.
    pub(super) names: FxHashMap<TableId, FxHashMap<String, RecordId>>,
}

/// Rows before this write, by table and record; `None` for created ones.
#[derive(Default)]
pub(crate) struct Before {
    order: Vec<(TableId, RecordId)>,
    rows: FxHashMap<(TableId, RecordId), Option<Map<String, Value>>>,
}

impl Draft {
    /// A draft of this base.
    pub fn of(snapshot: &Snapshot) -> Self {
        Self {
            snapshot: snapshot.clone(),
            touched: FxHashMap::default(),
            schema_changed: false,
            first_new: FxHashMap::default(),
            recomputed: FxHashSet::default(),
            log_computed: false,
            choices: FxHashMap::default(),
            names: FxHashMap::default(),
        }
    }

    pub(super) fn cell(&self, table: TableId, id: RecordId, at: usize) -> Cell {
        let Some(data) = self.snapshot.tables.get(&table) else { return Cell::Blank };
        data.slot(&id).map_or(Cell::Blank, |slot| data.cell(slot, at))
    }

    pub(crate) fn set(&mut self, table: TableId, id: RecordId, at: usize, cell: Cell) {
        let Some(data) = self.snapshot.table_mut(table) else { return };
        let Some(slot) = data.slot(&id) else { return };
        let position = data.row(slot).position;
        data.set(slot, at, cell);
        self.touch(table, position);
    }

    pub(crate) fn touch(&mut self, table: TableId, position: i64) {
        self.touched.entry(table).or_default().insert(position);
    }

    pub(crate) fn remember(&self, before: &mut Before, table: TableId, id: RecordId) {
        before.note(table, id, || self.stored(table, id));
    }

    fn stored(&self, table: TableId, id: RecordId) -> Option<Map<String, Value>> {
        let slot = self.snapshot.tables.get(&table)?.slot(&id)?;
        let at = self.snapshot.schema.tables.iter().position(|t| t.id == table)?;
        Some(stored_cells(&self.snapshot, at, slot))
    }

    /// The first record that is not any more what it was before these changes.
    pub(crate) fn moved(&self, expect: &[TableChanges]) -> Option<RecordId> {
        for changes in expect {
            for row in &changes.rows {
                let Some(before) = &row.before else { continue };
                let Some(mut held) = self.stored(changes.table, row.id) else { return Some(row.id) };
                held.retain(|key, _| !key.starts_with('~'));
                let same = |key: &String| held.get(key).unwrap_or(&Value::Null) == &before[key];
                let whole = row.after.is_some() || held.len() == before.len();
                if !whole || !before.keys().all(same) {
                    return Some(row.id);
                }
            }
        }
        None
    }

    /// The difference between the rows as remembered and as they are.
    pub(crate) fn changes(&self, mut before: Before) -> Vec<TableChanges> {
        let mut changes: Vec<TableChanges> = Vec::new();
        // Times of edits stand beside the cells; they are none.
        let cells = |row: Option<Map<String, Value>>| {
            row.map(|mut row| {
                row.retain(|key, _| !key.starts_with('~'));
                row
            })
        };
        for (table, id) in before.order {
            let was = cells(before.rows.remove(&(table, id)).flatten());
            let is = cells(self.stored(table, id));
            let row = match (was, is) {
                (None, None) => continue,
                (Some(was), Some(is)) if was == is => continue,
                (Some(was), Some(is)) => {
                    let differs = |key: &String| was.get(key) != is.get(key);
                    let keys: Vec<String> =
                        was.keys().chain(is.keys()).filter(|k| differs(k)).cloned().collect();
                    let pick = |from: &Map<String, Value>| -> Map<String, Value> {
                        keys.iter()
                            .map(|k| (k.clone(), from.get(k).cloned().unwrap_or(Value::Null)))
                            .collect()
                    };
                    RowChange { id, before: Some(pick(&was)), after: Some(pick(&is)) }
                }
                (before, after) => RowChange { id, before, after },
            };
            match changes.iter_mut().find(|c| c.table == table) {
                Some(found) => found.rows.push(row),
                None => changes.push(TableChanges { table, rows: vec![row], computed: Vec::new() }),
            }
        }
        changes
    }
}

impl Before {
    pub(crate) fn note(
        &mut self,
        table: TableId,
        id: RecordId,
        cells: impl FnOnce() -> Option<Map<String, Value>>,
    ) {
        if let std::collections::hash_map::Entry::Vacant(place) = self.rows.entry((table, id)) {
            place.insert(cells());
            self.order.push((table, id));
        }
    }
}
