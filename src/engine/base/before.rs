//! A base as it was before some of its rows changed.

use rustc_hash::FxHashMap;
use serde_json::{Map, Value};
use tablewright_core::model::{Cell, RecordId, TableId};

use super::{RowChange, Snapshot, TableChanges};
use crate::compute::recompute_changed;

/// The base with these rows of a table as they were: stored cells by field id, of a record that is
/// gone all of them. What is computed is worked out from them; other records are as they are.
pub fn before(
    snapshot: &Snapshot,
    table: TableId,
    rows: Vec<(RecordId, Map<String, Value>)>,
    now: i64,
) -> Snapshot {
    let mut was = snapshot.clone();
    let schema = was.schema.clone();
    let Some(at) = schema.tables.iter().position(|t| t.id == table) else { return was };
    let fields = &schema.tables[at].fields;
    let places: FxHashMap<String, usize> =
        fields.iter().enumerate().map(|(place, field)| (field.id.to_string(), place)).collect();
    let plan = was.plan.clone();
    let mut changes = TableChanges { table, rows: Vec::new(), computed: Vec::new() };
    let Some(data) = was.table_mut(table) else { return was };
    for (id, cells) in rows {
        let held = data.slot(&id);
        let slot = held.unwrap_or_else(|| {
            let position = data.next_position;
            data.insert(id, 0, position)
        });
        for (key, value) in &cells {
            if let Some(place) = places.get(key).filter(|place| !plan.computes(at, **place)) {
                let cell = match value {
                    Value::Null => Cell::Blank,
                    value => Cell::from_stored(&fields[*place], value),
                };
                data.set(slot, *place, cell);
            }
        }
        changes.rows.push(RowChange { id, before: held.map(|_| Map::new()), after: Some(cells) });
    }
    recompute_changed(&mut was, &[changes], now, false);
    was
}
