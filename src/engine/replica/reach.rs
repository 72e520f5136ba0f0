//! Which other records a change reaches: Airtable works their computed cells out without telling
//! anybody, so they are fetched again.

use std::collections::BTreeMap;

use rustc_hash::{FxHashMap, FxHashSet};
use serde_json::Value;
use tablewright_core::model::{Base, FieldId, FieldType, RecordId, TableId};

use crate::base::column::Data;
use crate::base::{RowChange, Snapshot, TableChanges};
use crate::compute::{Place, needs, places};

type Rows = FxHashSet<RecordId>;

/// A field that depends on another one: in the same record, or through a link field of its table.
#[derive(Debug, Clone, Copy)]
struct Dependent {
    place: Place,
    /// The place of the link field, when the field it depends on is in the linked records.
    link: Option<usize>,
}

/// Which fields depend on which.
struct Graph {
    by_need: FxHashMap<Place, Vec<Dependent>>,
}

impl Graph {
    fn of(base: &Base) -> Self {
        let places = places(base);
        let mut by_need: FxHashMap<Place, Vec<Dependent>> = FxHashMap::default();
        for (table, t) in base.tables.iter().enumerate() {
            for (field, f) in t.fields.iter().enumerate() {
                let place = Place { table, field };
                let through = match &f.kind {
                    FieldType::Lookup(link) | FieldType::Rollup(link, _) | FieldType::Count(link) => {
                        link.record_link_field_id.and_then(|id| t.field_index(id))
                    }
                    _ => None,
                };
                for need in needs(base, &places, place) {
                    if need.table == table && through.is_none_or(|link| link == need.field) {
                        by_need.entry(need).or_default().push(Dependent { place, link: None });
                        continue;
                    }
                    // A formula reads the names behind each of its link fields.
                    let leads_there = |at: &usize| {
                        let linked = base.tables[table].fields[*at].link().map(|link| link.linked_table_id);
                        linked == Some(base.tables[need.table].id)
                    };
                    let links: Vec<usize> = match through {
                        Some(link) => vec![link],
                        None => (0..t.fields.len()).filter(leads_there).collect(),
                    };
                    let dependents = links.into_iter().map(|link| Dependent { place, link: Some(link) });
                    by_need.entry(need).or_default().extend(dependents);
                }
            }
        }
        Self { by_need }
    }
}

/// The records, by table, whose computed cells or links may be other ones after `changes`, those
/// of the changes themselves left out. `snapshot` has the changes in it.
pub(crate) fn reach(snapshot: &Snapshot, changes: &[TableChanges]) -> BTreeMap<TableId, Rows> {
    let base = &snapshot.schema;
    let graph = Graph::of(base);
    let mut spread = Spread { snapshot, reached: FxHashMap::default(), waiting: Vec::new() };
    for change in changes {
        spread.begin(change);
    }
    while let Some((place, rows)) = spread.waiting.pop() {
        for dependent in graph.by_need.get(&place).into_iter().flatten() {
            let rows = match dependent.link {
                None => rows.clone(),
                Some(link) => linking(snapshot, dependent.place.table, link, &rows),
            };
            spread.mark(dependent.place, rows);
        }
    }
    let mut found: BTreeMap<TableId, Rows> = BTreeMap::new();
    for (place, rows) in spread.reached {
        found.entry(base.tables[place.table].id).or_default().extend(rows);
    }
    for change in changes {
        if let Some(rows) = found.get_mut(&change.table) {
            change.rows.iter().for_each(|row| {
                rows.remove(&row.id);
            });
        }
    }
    found.retain(|_, rows| !rows.is_empty());
    found
}

struct Spread<'a> {
    snapshot: &'a Snapshot,
    reached: FxHashMap<Place, Rows>,
    waiting: Vec<(Place, Rows)>,
}

impl Spread<'_> {
    /// Marks rows of a field; those that are new there go on to what depends on it.
    fn mark(&mut self, place: Place, rows: Rows) {
        let held = self.reached.entry(place).or_default();
        let new: Rows = rows.into_iter().filter(|row| held.insert(*row)).collect();
        if !new.is_empty() {
            self.waiting.push((place, new));
        }
    }

    fn begin(&mut self, change: &TableChanges) {
        let base = self.snapshot.schema.clone();
        let Some(at) = base.tables.iter().position(|t| t.id == change.table) else { return };
        let mut by_field: FxHashMap<usize, Rows> = FxHashMap::default();
        for row in &change.rows {
            for (place, field) in base.tables[at].fields.iter().enumerate() {
                if !touches(row, field.id) {
                    continue;
                }
                by_field.entry(place).or_default().insert(row.id);
                if let Some(link) = field.link()
                    && let Some(other) = base.tables.iter().position(|t| t.id == link.linked_table_id)
                {
                    let inverse =
                        link.inverse_link_field_id.and_then(|id| base.tables[other].field_index(id));
                    if let Some(inverse) = inverse {
                        let place = Place { table: other, field: inverse };
                        self.mark(place, ends(row, field.id).into_iter().map(|(end, _)| end).collect());
                    }
                }
            }
            if row.after.is_none() {
                self.unlink(change.table, row.id);
            }
        }
        for (field, rows) in by_field {
            self.mark(Place { table: at, field }, rows);
        }
    }

    /// A deleted record goes out of every link that leads to it.
    fn unlink(&mut self, table: TableId, id: RecordId) {
        let base = self.snapshot.schema.clone();
        let gone = Rows::from_iter([id]);
        for (at, other) in base.tables.iter().enumerate() {
            for (field, f) in other.fields.iter().enumerate() {
                if f.link().is_some_and(|link| link.linked_table_id == table) {
                    let rows = linking(self.snapshot, at, field, &gone);
                    self.mark(Place { table: at, field }, rows);
                }
            }
        }
    }
}

/// True when a change of a row is about this field; a new row is about all.
fn touches(row: &RowChange, field: FieldId) -> bool {
    let key = field.to_string();
    match (&row.before, &row.after) {
        (Some(_), Some(after)) => after.contains_key(&key),
        _ => true,
    }
}

/// The records a link led to on one side of the change and not on the other, and whether it leads
/// there now.
pub(super) fn ends(row: &RowChange, field: FieldId) -> Vec<(RecordId, bool)> {
    let key = field.to_string();
    let side = |cells: &Option<serde_json::Map<String, Value>>| -> Rows {
        let ids = cells.as_ref().and_then(|cells| cells.get(&key)).and_then(Value::as_array);
        ids.into_iter().flatten().filter_map(|id| id.as_str()?.parse().ok()).collect()
    };
    let (before, after) = (side(&row.before), side(&row.after));
    before.symmetric_difference(&after).map(|id| (*id, after.contains(id))).collect()
}

/// The records of a table that link to some of `rows` through the field at `link`.
fn linking(snapshot: &Snapshot, table: usize, link: usize, rows: &Rows) -> Rows {
    let id = snapshot.schema.tables[table].id;
    let Some(data) = snapshot.tables.get(&id) else { return Rows::default() };
    let Data::Links(links) = data.column(link).data() else { return Rows::default() };
    let leads =
        |slot: &usize| links.get(*slot).as_deref().unwrap_or_default().iter().any(|id| rows.contains(id));
    data.slots().filter(leads).map(|slot| data.row(slot).id).collect()
}
