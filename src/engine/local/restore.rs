//! Putting rows back as they were, whatever their fields let people write.

use rustc_hash::FxHashSet;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tablewright_core::Fault;
use tablewright_core::model::{Cell, FieldType, RecordId, TableId};

use super::apply::missing_table;
use super::draft::{Before, Draft};
use super::links;
use crate::base::TableChanges;
use crate::compute::recompute_all;

/// A row as it is to be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Restored {
    /// Its table.
    pub table: TableId,
    /// The record; it keeps its id when it has to be made again.
    pub id: RecordId,
    /// Stored cells by field id, `null` for a blank one; cells not named stay. The record is to be
    /// gone when absent.
    pub cells: Option<Map<String, Value>>,
}

impl Draft {
    /// Puts rows back by themselves; what changed of them.
    pub(super) fn put_rows_back(&mut self, rows: &[Restored], now: i64) -> Result<Vec<TableChanges>, Fault> {
        let mut before = Before::default();
        self.restore(&mut before, rows, now, "")?;
        let changes = self.changes(before);
        recompute_all(&mut self.snapshot, now);
        Ok(changes)
    }

    /// Puts rows back. Both sides of links are kept in step, and links to records that are gone are
    /// left out. Gives the records that were made again.
    pub(super) fn restore(
        &mut self,
        before: &mut Before,
        rows: &[Restored],
        now: i64,
        by: &str,
    ) -> Result<Vec<RecordId>, Fault> {
        let mut made = Vec::new();
        let tables: FxHashSet<TableId> = rows.iter().map(|row| row.table).collect();
        for table in tables {
            let gone = rows.iter().filter(|row| row.table == table && row.cells.is_none());
            let gone: FxHashSet<RecordId> = gone.map(|row| row.id).collect();
            if !gone.is_empty() {
                self.unlink_one_way(before, table, &gone);
            }
        }
        for row in rows.iter().filter(|row| row.cells.is_none()) {
            self.delete(before, row.table, row.id)?;
        }
        // All of them are there before one links to another.
        for row in rows {
            let Some(cells) = &row.cells else { continue };
            if self.make_again(before, row, cells, now)? {
                made.push(row.id);
            }
        }
        for row in rows {
            if let Some(cells) = &row.cells {
                self.put_back(before, row, cells, now, by);
            }
        }
        Ok(made)
    }

    /// Makes a record that is not there, with the id it had.
    fn make_again(
        &mut self,
        before: &mut Before,
        row: &Restored,
        cells: &Map<String, Value>,
        now: i64,
    ) -> Result<bool, Fault> {
        let schema = self.snapshot.schema.clone();
        let table = schema.table_by_id(row.table).ok_or_else(|| missing_table(row.table))?;
        let data = self.snapshot.table_mut(row.table).ok_or_else(|| missing_table(row.table))?;
        if data.slot(&row.id).is_some() {
            return Ok(false);
        }
        let stamp = table.fields.iter().find(|f| matches!(f.kind, FieldType::CreatedTime { .. }));
        let created = stamp
            .and_then(|field| Some(Cell::from_stored(field, cells.get(&field.id.to_string())?)))
            .and_then(|cell| if let Cell::Instant(ms) = cell { Some(ms) } else { None })
            .unwrap_or(now - now.rem_euclid(1_000));
        before.note(row.table, row.id, || None);
        let position = data.next_position;
        data.insert(row.id, created, position);
        self.first_new.entry(row.table).or_insert(position);
        self.touch(row.table, position);
        Ok(true)
    }

    fn put_back(
        &mut self,
        before: &mut Before,
        row: &Restored,
        cells: &Map<String, Value>,
        now: i64,
        by: &str,
    ) {
        self.remember(before, row.table, row.id);
        let schema = self.snapshot.schema.clone();
        let Some(place) = schema.tables.iter().position(|table| table.id == row.table) else { return };
        let plan = self.snapshot.plan.clone();
        let mut written = Vec::with_capacity(cells.len());
        for (at, field) in schema.tables[place].fields.iter().enumerate() {
            let Some(value) = cells.get(&field.id.to_string()) else { continue };
            // What is worked out follows by itself, and to be put back is an edit like another.
            let follows =
                matches!(field.kind, FieldType::LastModifiedTime { .. } | FieldType::LastModifiedBy);
            if plan.computes(place, at) || follows {
                continue;
            }
            let cell = match Cell::from_stored(field, value) {
                Cell::Links(ids) => {
                    links::cell(self.of_these_there(field.link().map(|l| l.linked_table_id), &ids))
                }
                Cell::Json(value) if value.is_null() => Cell::Blank,
                cell => cell,
            };
            let held = self.cell(row.table, row.id, at);
            if held == cell {
                continue;
            }
            if let Some(other) = links::mirror(&self.snapshot, row.table, at) {
                self.mirror_links(before, other, row.id, links::held(&held), links::held(&cell));
            }
            written.push(at);
            self.set(row.table, row.id, at, cell);
        }
        self.stamp(row.table, row.id, &written, now, by);
    }

    fn of_these_there(&self, table: Option<TableId>, ids: &[RecordId]) -> Vec<RecordId> {
        let data = table.and_then(|table| self.snapshot.tables.get(&table));
        ids.iter().copied().filter(|id| data.is_some_and(|data| data.slot(id).is_some())).collect()
    }
}
