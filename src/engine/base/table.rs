//! One table's rows: columns in the order of the fields, row ids, and an index by id.

use std::sync::Arc;

use rustc_hash::{FxBuildHasher, FxHashMap};
use tablewright_core::model::cell::BLANK_INSTANT;
use tablewright_core::model::{Cell, RecordId, Table};

use super::chunks::Chunks;
use super::column::Column;

/// Pieces of the id index; a write copies one.
const SHARDS: usize = 256;

/// What a row has beside its cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// The record's id.
    pub id: RecordId,
    /// When it was created, in milliseconds since the epoch.
    pub created: i64,
    /// Its place in the table's own order; the key it is stored under.
    pub position: i64,
    /// False once deleted; the slot is reclaimed later.
    live: bool,
}

type Shard = FxHashMap<RecordId, u32>;

/// The rows of one table. Clones share what they have in common.
#[derive(Clone, Debug)]
pub struct TableData {
    rows: Chunks<Row>,
    columns: Vec<Column>,
    index: Vec<Arc<Shard>>,
    live: usize,
    /// When the fields of each watch were last edited, by slot; shorter than the table where
    /// nothing was.
    edits: Vec<Chunks<i64>>,
    /// The position the next row gets.
    pub next_position: i64,
    /// The auto number the next row gets.
    pub next_auto: i64,
    /// Counts the commits that touched this table.
    pub version: u64,
}

fn shard(id: &RecordId) -> usize {
    use std::hash::BuildHasher;
    FxBuildHasher.hash_one(id) as usize >> 13 & (SHARDS - 1)
}

impl TableData {
    /// A table without rows.
    pub fn empty(table: &Table) -> Self {
        Self {
            rows: Chunks::default(),
            columns: table.fields.iter().map(|f| Column::blank(&f.kind, 0)).collect(),
            index: vec![Arc::default(); SHARDS],
            live: 0,
            edits: Vec::new(),
            next_position: 1,
            next_auto: 1,
            version: 0,
        }
    }

    /// How many records there are.
    pub fn len(&self) -> usize {
        self.live
    }

    /// True when there are no records.
    pub fn is_empty(&self) -> bool {
        self.live == 0
    }

    /// The slot of a record.
    pub fn slot(&self, id: &RecordId) -> Option<usize> {
        let slot = *self.index[shard(id)].get(id)? as usize;
        // The index of a table of which only some rows are seen is that of the whole.
        self.rows.get(slot).live.then_some(slot)
    }

    /// The same table with these columns and without the rows for which `keep` says no: their cells
    /// may still lie in the columns, but nothing leads to them.
    pub fn seen(
        &self,
        columns: Vec<Column>,
        watches: &[Option<usize>],
        keep: Option<&[bool]>,
        version: u64,
    ) -> Self {
        let mut seen = Self { columns, version, ..self.clone() };
        seen.edits = watches
            .iter()
            .map(|at| at.and_then(|at| self.edits.get(at).cloned()).unwrap_or_default())
            .collect();
        for slot in self.slots().filter(|slot| keep.is_some_and(|keep| !keep[*slot])) {
            let row = Row { live: false, ..*self.rows.get(slot) };
            seen.rows.set(slot, row);
            seen.live -= 1;
        }
        seen
    }

    /// What the row in `slot` has beside its cells.
    pub fn row(&self, slot: usize) -> &Row {
        self.rows.get(slot)
    }

    /// The slots of all records, in the table's own order.
    pub fn slots(&self) -> impl Iterator<Item = usize> {
        self.rows.iter().enumerate().filter(|(_, row)| row.live).map(|(slot, _)| slot)
    }

    /// The first slot whose row comes after `position`.
    pub fn slot_after(&self, position: i64) -> usize {
        let (mut low, mut high) = (0, self.rows.len());
        while low < high {
            let middle = low + (high - low) / 2;
            if self.rows.get(middle).position <= position { low = middle + 1 } else { high = middle }
        }
        low
    }

    /// The slots of all records from `start` on, in the table's own order.
    pub fn slots_from(&self, start: usize) -> impl Iterator<Item = usize> {
        (start..self.rows.len()).filter(|slot| self.rows.get(*slot).live)
    }

    /// The cells of the field at `field` among the table's fields.
    pub fn column(&self, field: usize) -> &Column {
        &self.columns[field]
    }

    /// One cell.
    pub fn cell(&self, slot: usize, field: usize) -> Cell {
        self.columns[field].get(slot)
    }

    /// Appends a row with blank cells and gives its slot.
    pub fn insert(&mut self, id: RecordId, created: i64, position: i64) -> usize {
        let slot = self.rows.len();
        self.rows.push(Row { id, created, position, live: true });
        for column in &mut self.columns {
            column.push(Cell::Blank);
        }
        self.enter(id, created, position, slot);
        slot
    }

    /// Appends a row with its cells, one for each column; for loading.
    pub fn load(&mut self, id: RecordId, created: i64, position: i64, cells: impl Iterator<Item = Cell>) {
        let slot = self.rows.len();
        self.rows.push(Row { id, created, position, live: true });
        for (column, cell) in self.columns.iter_mut().zip(cells) {
            column.push(cell);
        }
        self.enter(id, created, position, slot);
    }

    fn enter(&mut self, id: RecordId, _created: i64, position: i64, slot: usize) {
        Arc::make_mut(&mut self.index[shard(&id)]).insert(id, slot as u32);
        self.live += 1;
        self.next_position = self.next_position.max(position + 1);
    }

    /// Replaces one cell.
    pub fn set(&mut self, slot: usize, field: usize, cell: Cell) {
        self.columns[field].set(slot, cell);
    }

    /// Puts a whole column in the place of one.
    pub fn replace_column(&mut self, field: usize, column: Column) {
        if column.len() == self.rows.len() {
            self.columns[field] = column;
        }
    }

    /// Puts other columns in the place of all, and takes over the times of edits: for each watch of
    /// the new schema the place of the one it goes on with.
    pub fn restructure(&mut self, columns: Vec<Column>, watches: Vec<Option<usize>>) {
        self.columns = columns;
        let held = std::mem::take(&mut self.edits);
        self.edits = watches
            .into_iter()
            .map(|at| at.and_then(|at| held.get(at).cloned()).unwrap_or_default())
            .collect();
    }

    /// When the fields of a watch were last edited in a row, in milliseconds since the epoch.
    pub fn edited(&self, watch: usize, slot: usize) -> Option<i64> {
        let times = self.edits.get(watch).filter(|times| slot < times.len())?;
        Some(*times.get(slot)).filter(|ms| *ms != BLANK_INSTANT)
    }

    /// Notes an edit of the fields of a watch.
    pub fn set_edited(&mut self, watch: usize, slot: usize, ms: i64) {
        while self.edits.len() <= watch {
            self.edits.push(Chunks::default());
        }
        let times = &mut self.edits[watch];
        while times.len() <= slot {
            times.push(BLANK_INSTANT);
        }
        times.set(slot, ms);
    }

    /// How many slots there are, those of deleted rows included.
    pub fn capacity(&self) -> usize {
        self.rows.len()
    }

    /// True for a slot that holds a record.
    pub fn is_live(&self, slot: usize) -> bool {
        self.rows.get(slot).live
    }

    /// Takes a row out; its cells are freed.
    pub fn remove(&mut self, slot: usize) {
        let mut row = *self.rows.get(slot);
        if !row.live {
            return;
        }
        row.live = false;
        self.rows.set(slot, row);
        for column in &mut self.columns {
            column.set(slot, Cell::Blank);
        }
        Arc::make_mut(&mut self.index[shard(&row.id)]).remove(&row.id);
        self.live -= 1;
    }

    /// Reclaims the slots of deleted rows once they outnumber the others.
    pub fn compact(&mut self, table: &Table) {
        let dead = self.rows.len() - self.live;
        if dead < 4096 || dead < self.live {
            return;
        }
        let mut packed = Self {
            next_position: self.next_position,
            next_auto: self.next_auto,
            version: self.version,
            ..Self::empty(table)
        };
        for slot in self.slots() {
            let row = self.row(slot);
            packed.load(row.id, row.created, row.position, self.columns.iter().map(|c| c.get(slot)));
            for watch in 0..self.edits.len() {
                if let Some(ms) = self.edited(watch, slot) {
                    packed.set_edited(watch, packed.rows.len() - 1, ms);
                }
            }
        }
        *self = packed;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        serde_json::from_value(serde_json::json!({
            "name": "T", "primaryFieldId": "fldA1b2C3d4E5f6G7",
            "fields": [{"id": "fldA1b2C3d4E5f6G7", "name": "N", "type": "number"}]
        }))
        .unwrap()
    }

    #[test]
    fn rows_come_and_go_and_slots_are_reclaimed() {
        let table = table();
        let mut data = TableData::empty(&table);
        let ids: Vec<RecordId> = (0..6000).map(|_| RecordId::random()).collect();
        for (n, id) in ids.iter().enumerate() {
            let position = data.next_position;
            let slot = data.insert(*id, 0, position);
            data.set(slot, 0, Cell::Number(n as f64));
        }
        let before = data.clone();
        for id in &ids[..5000] {
            data.remove(data.slot(id).unwrap());
        }
        assert_eq!((data.len(), before.len()), (1000, 6000));
        data.compact(&table);
        assert_eq!(data.slots().count(), 1000);
        for (n, id) in ids.iter().enumerate().skip(5000) {
            let slot = data.slot(id).unwrap();
            assert_eq!(data.cell(slot, 0), Cell::Number(n as f64));
            assert_eq!(data.slot_after(data.row(slot).position - 1), slot);
        }
        assert!(data.slot(&ids[0]).is_none());
        assert_eq!(before.cell(before.slot(&ids[0]).unwrap(), 0), Cell::Number(0.0));
    }
}
