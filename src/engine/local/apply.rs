//! Carrying out a write on a draft of a base.
//!
//! First every record is checked; only then is anything changed, and changing cannot fail.

use std::collections::BTreeSet;
use std::sync::Arc;

use rustc_hash::FxHashMap;
use serde_json::{Map, Value, json};
use tablewright_core::model::{Base, Cell, Choice, ChoiceId, Field, FieldType, RecordId, Table, TableId};
use tablewright_core::{Code, Fault};

use super::links::{self, Mirror};
use super::values::{self, Accepted, Target};
use super::{Action, Write};
use crate::base::{RowChange, Snapshot, TableChanges};

/// Most choices of a select field, as in Airtable.
const MAX_CHOICES: usize = 10_000;

/// A base being changed; what it was stays readable until the draft is published.
#[derive(Debug, Clone)]
pub struct Draft {
    /// The base as it will be.
    pub snapshot: Snapshot,
    /// Rows touched since the draft was made, by table.
    pub touched: FxHashMap<TableId, BTreeSet<i64>>,
    /// True when the schema changed.
    pub schema_changed: bool,
}

/// What a write did to a draft.
#[derive(Debug)]
pub struct Applied {
    /// The record, or why it was refused, in the order they were sent.
    pub records: Vec<Result<RecordId, Fault>>,
    /// The rows that changed.
    pub changes: Vec<TableChanges>,
}

type Cells = Vec<(usize, Accepted)>;

/// Rows before this write, by table and record; `None` for created ones.
#[derive(Default)]
struct Before {
    order: Vec<(TableId, RecordId)>,
    rows: FxHashMap<(TableId, RecordId), Option<Map<String, Value>>>,
}

impl Draft {
    /// A draft of this base.
    pub fn of(snapshot: &Snapshot) -> Self {
        Self { snapshot: snapshot.clone(), touched: FxHashMap::default(), schema_changed: false }
    }

    /// Carries out `write` at `now` (milliseconds since the epoch) for `by`.
    pub fn apply(&mut self, write: &Write, now: i64, by: &str) -> Result<Applied, Fault> {
        let (table, _) = self.snapshot.table(write.table)?;
        let checked: Vec<Result<Cells, Fault>> = match &write.action {
            Action::Create(records) => {
                records.iter().map(|cells| self.check(table, cells, write.typecast)).collect()
            }
            Action::Update(records) => records
                .iter()
                .map(|(id, cells)| {
                    self.exists(table, id)?;
                    self.check(table, cells, write.typecast)
                })
                .collect(),
            Action::Delete(ids) => ids.iter().map(|id| self.exists(table, id).map(|()| Vec::new())).collect(),
        };
        if write.atomic
            && let Some((at, fault)) =
                checked.iter().enumerate().find_map(|(at, r)| Some((at, r.as_ref().err()?)))
        {
            return Err(fault.clone().within(format_args!("record {}", at + 1)));
        }
        let mut before = Before::default();
        let records = checked
            .into_iter()
            .enumerate()
            .map(|(at, cells)| {
                let cells = cells?;
                match &write.action {
                    Action::Create(_) => self.create(&mut before, write.table, cells, now, by),
                    Action::Update(records) => {
                        self.update(&mut before, write.table, records[at].0, cells, now, by)
                    }
                    Action::Delete(ids) => self.delete(&mut before, write.table, ids[at]),
                }
            })
            .collect();
        Ok(Applied { records, changes: self.changes(before) })
    }

    fn exists(&self, table: &Table, id: &RecordId) -> Result<(), Fault> {
        let (_, data) = self.snapshot.table(table.id)?;
        data.slot(id).map(|_| ()).ok_or_else(|| missing(table, id))
    }

    fn check(&self, table: &Table, cells: &Map<String, Value>, typecast: bool) -> Result<Cells, Fault> {
        let mut accepted: Cells = Vec::with_capacity(cells.len());
        for (name, value) in cells {
            let field = table.field(name)?;
            let at = table.field_index(field.id).unwrap_or_default();
            if accepted.iter().any(|(other, _)| *other == at) {
                return Err(Fault::new(
                    Code::InvalidArguments,
                    format!("field {:?} is given twice; send it once.", field.name),
                ));
            }
            let value = values::accept(field, value, typecast)?;
            self.check_targets(field, &value)?;
            accepted.push((at, value));
        }
        Ok(accepted)
    }

    /// What depends on the rest of the base: links lead somewhere, choices stay within the limit.
    fn check_targets(&self, field: &Field, value: &Accepted) -> Result<(), Fault> {
        let targets = match (value, field.kind.choices()) {
            (Accepted::Choices(names), Some(choices)) => {
                let new = names.iter().filter(|name| !choices.iter().any(|c| c.name == **name)).count();
                if choices.len() + new > MAX_CHOICES {
                    return Err(Fault::new(
                        Code::LimitExceeded,
                        format!("field {:?} would have more than {MAX_CHOICES} choices.", field.name),
                    ));
                }
                return Ok(());
            }
            (Accepted::Links(targets), _) => targets,
            _ => return Ok(()),
        };
        let Some(link) = field.link() else { return Ok(()) };
        let (table, data) = self.snapshot.table(link.linked_table_id)?;
        for target in targets {
            match target {
                Target::Id(id) if data.slot(id).is_none() => {
                    return Err(Fault::new(
                        Code::UnknownRecord,
                        format!(
                            "field {:?} links to table {:?}, which has no record {id}; use the id of a record there.",
                            field.name, table.name
                        ),
                    ));
                }
                Target::Id(_) => {}
                // A name that is not found is created, so it must fit the primary field.
                Target::Name(name) => {
                    values::accept(table.primary(), &Value::from(name.as_str()), true).map_err(|f| {
                        f.within(format_args!("field {:?}, linked record {name:?}", field.name))
                    })?;
                }
            }
        }
        Ok(())
    }

    fn create(
        &mut self,
        before: &mut Before,
        table: TableId,
        cells: Cells,
        now: i64,
        by: &str,
    ) -> Result<RecordId, Fault> {
        let id = RecordId::random();
        before.note(table, id, || None);
        let schema = self.snapshot.schema.clone();
        let fields = &schema.table_by_id(table).ok_or_else(|| missing_table(table))?.fields;
        let data = self.snapshot.table_mut(table).ok_or_else(|| missing_table(table))?;
        let position = data.next_position;
        let slot = data.insert(id, now, position);
        let number = data.next_auto;
        for (at, field) in fields.iter().enumerate() {
            match &field.kind {
                FieldType::AutoNumber => {
                    data.set(slot, at, values::auto(number));
                    data.next_auto = number + 1;
                }
                FieldType::CreatedTime { .. } => data.set(slot, at, Cell::Instant(now)),
                FieldType::CreatedBy => data.set(slot, at, person(by)),
                _ => {}
            }
        }
        self.touch(table, position);
        self.put(before, table, id, cells, now, by)?;
        Ok(id)
    }

    fn update(
        &mut self,
        before: &mut Before,
        table: TableId,
        id: RecordId,
        cells: Cells,
        now: i64,
        by: &str,
    ) -> Result<RecordId, Fault> {
        self.remember(before, table, id);
        self.put(before, table, id, cells, now, by)?;
        Ok(id)
    }

    /// Writes accepted cells into a row and everything that follows from them.
    fn put(
        &mut self,
        before: &mut Before,
        table: TableId,
        id: RecordId,
        cells: Cells,
        now: i64,
        by: &str,
    ) -> Result<(), Fault> {
        let written: Vec<usize> = cells.iter().map(|(at, _)| *at).collect();
        for (at, accepted) in cells {
            let cell = match accepted {
                Accepted::Cell(cell) => cell,
                Accepted::Choices(names) => self.choose(table, at, names)?,
                Accepted::Links(targets) => self.resolve(before, table, at, targets, now, by)?,
            };
            if let Some(other) = links::mirror(&self.snapshot, table, at) {
                let held = self.cell(table, id, at);
                self.mirror_links(before, other, id, links::held(&held), links::held(&cell));
            }
            self.set(table, id, at, cell);
        }
        let schema = self.snapshot.schema.clone();
        let fields = schema.table_by_id(table).map(|t| t.fields.as_slice()).unwrap_or_default();
        for (at, field) in fields.iter().enumerate() {
            match &field.kind {
                FieldType::LastModifiedTime { watched, .. } => {
                    let hit = |w: &usize| watched.is_empty() || watched.contains(&fields[*w].id);
                    if written.iter().any(hit) {
                        self.set(table, id, at, Cell::Instant(now));
                    }
                }
                FieldType::LastModifiedBy if !written.is_empty() => self.set(table, id, at, person(by)),
                _ => {}
            }
        }
        Ok(())
    }

    fn delete(&mut self, before: &mut Before, table: TableId, id: RecordId) -> Result<RecordId, Fault> {
        let schema = self.snapshot.schema.clone();
        let fields = &schema.table_by_id(table).ok_or_else(|| missing_table(table))?.fields;
        let Some(slot) = self.snapshot.tables.get(&table).and_then(|data| data.slot(&id)) else {
            // The same id was sent twice; the first one deleted it.
            return Ok(id);
        };
        self.remember(before, table, id);
        for at in 0..fields.len() {
            if let Some(other) = links::mirror(&self.snapshot, table, at) {
                let held = self.cell(table, id, at);
                self.mirror_links(before, other, id, links::held(&held), &[]);
            }
        }
        self.unlink_one_way(before, &schema, table, id);
        if let Some(data) = self.snapshot.table_mut(table) {
            let position = data.row(slot).position;
            data.remove(slot);
            self.touch(table, position);
        }
        Ok(id)
    }

    /// Takes a record that goes away out of link fields that have no mirror.
    fn unlink_one_way(&mut self, before: &mut Before, schema: &Base, table: TableId, id: RecordId) {
        for other in &schema.tables {
            for (at, field) in other.fields.iter().enumerate() {
                let one_way = field
                    .link()
                    .is_some_and(|l| l.linked_table_id == table && l.inverse_link_field_id.is_none());
                if !one_way {
                    continue;
                }
                let Some(data) = self.snapshot.tables.get(&other.id).cloned() else { continue };
                for slot in data.slots() {
                    let cell = data.cell(slot, at);
                    if links::held(&cell).contains(&id) {
                        let kept = links::held(&cell).iter().copied().filter(|held| *held != id).collect();
                        let row = data.row(slot).id;
                        self.remember(before, other.id, row);
                        self.set(other.id, row, at, links::cell(kept));
                    }
                }
            }
        }
    }

    fn mirror_links(
        &mut self,
        before: &mut Before,
        other: Mirror,
        id: RecordId,
        old: &[RecordId],
        new: &[RecordId],
    ) {
        let old_set: rustc_hash::FxHashSet<&RecordId> = old.iter().collect();
        let new_set: rustc_hash::FxHashSet<&RecordId> = new.iter().collect();
        for gone in old.iter().filter(|held| !new_set.contains(held)) {
            self.remember(before, other.table, *gone);
            let cell = self.cell(other.table, *gone, other.field);
            let kept = links::held(&cell).iter().copied().filter(|held| *held != id).collect();
            self.set(other.table, *gone, other.field, links::cell(kept));
        }
        for added in new.iter().filter(|held| !old_set.contains(held)) {
            self.remember(before, other.table, *added);
            let cell = self.cell(other.table, *added, other.field);
            let mut all = links::held(&cell).to_vec();
            if !all.contains(&id) {
                all.push(id);
                self.set(other.table, *added, other.field, links::cell(all));
            }
        }
    }

    fn choose(&mut self, table: TableId, at: usize, names: Vec<String>) -> Result<Cell, Fault> {
        let schema = self.snapshot.schema.clone();
        let field = &schema.table_by_id(table).ok_or_else(|| missing_table(table))?.fields[at];
        let mut choices = field.kind.choices().unwrap_or_default().to_vec();
        let before = choices.len();
        let mut picked: Vec<u32> = Vec::with_capacity(names.len());
        for name in names {
            let found = choices.iter().position(|c| c.name == name || c.id.to_string() == name);
            let found = found.unwrap_or_else(|| {
                choices.push(Choice { id: ChoiceId::random(), name, color: None });
                choices.len() - 1
            });
            picked.push(found as u32);
        }
        if choices.len() > before {
            let changed = Arc::make_mut(&mut self.snapshot.schema);
            if let Some(table) = changed.tables.iter_mut().find(|t| t.id == table) {
                table.fields[at].set_choices(choices);
            }
            self.schema_changed = true;
        }
        Ok(match (&field.kind, picked.as_slice()) {
            (_, []) => Cell::Blank,
            (FieldType::SingleSelect(_), [one, ..]) => Cell::Choice(*one),
            _ => Cell::Choices(picked.into()),
        })
    }

    /// Finds linked records by name and creates those that are missing.
    fn resolve(
        &mut self,
        before: &mut Before,
        table: TableId,
        at: usize,
        targets: Vec<Target>,
        now: i64,
        by: &str,
    ) -> Result<Cell, Fault> {
        let schema = self.snapshot.schema.clone();
        let field = &schema.table_by_id(table).ok_or_else(|| missing_table(table))?.fields[at];
        let Some(link) = field.link() else { return Ok(Cell::Blank) };
        let mut ids = Vec::with_capacity(targets.len());
        for target in targets {
            let id = match target {
                Target::Id(id) => id,
                Target::Name(name) => match self.find_by_name(link.linked_table_id, &name) {
                    Some(id) => id,
                    None => self.create_named(before, link.linked_table_id, &name, now, by)?,
                },
            };
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
        Ok(links::cell(ids))
    }

    fn find_by_name(&self, table: TableId, name: &str) -> Option<RecordId> {
        let (schema, data) = self.snapshot.table(table).ok()?;
        let primary = schema.field_index(schema.primary_field_id)?;
        let mut text = String::new();
        data.slots().find_map(|slot| {
            text.clear();
            self.snapshot.push_text(&mut text, &schema.fields[primary], &data.cell(slot, primary));
            (text == name).then(|| data.row(slot).id)
        })
    }

    fn create_named(
        &mut self,
        before: &mut Before,
        table: TableId,
        name: &str,
        now: i64,
        by: &str,
    ) -> Result<RecordId, Fault> {
        let schema = self.snapshot.schema.clone();
        let linked = schema.table_by_id(table).ok_or_else(|| missing_table(table))?;
        let primary = linked.field_index(linked.primary_field_id).unwrap_or_default();
        let value = values::accept(&linked.fields[primary], &Value::from(name), true)?;
        self.create(before, table, vec![(primary, value)], now, by)
    }

    fn cell(&self, table: TableId, id: RecordId, at: usize) -> Cell {
        let Some(data) = self.snapshot.tables.get(&table) else { return Cell::Blank };
        data.slot(&id).map_or(Cell::Blank, |slot| data.cell(slot, at))
    }

    fn set(&mut self, table: TableId, id: RecordId, at: usize, cell: Cell) {
        let Some(data) = self.snapshot.table_mut(table) else { return };
        let Some(slot) = data.slot(&id) else { return };
        let position = data.row(slot).position;
        data.set(slot, at, cell);
        self.touch(table, position);
    }

    fn touch(&mut self, table: TableId, position: i64) {
        self.touched.entry(table).or_default().insert(position);
    }

    fn remember(&self, before: &mut Before, table: TableId, id: RecordId) {
        before.note(table, id, || self.stored(table, id));
    }

    fn stored(&self, table: TableId, id: RecordId) -> Option<Map<String, Value>> {
        let (schema, data) = self.snapshot.table(table).ok()?;
        let slot = data.slot(&id)?;
        let stored =
            schema.fields.iter().enumerate().filter_map(|(at, field)| {
                Some((field.id.to_string(), data.cell(slot, at).to_stored(field)?))
            });
        Some(stored.collect())
    }

    /// The difference between the rows as remembered and as they are.
    fn changes(&self, mut before: Before) -> Vec<TableChanges> {
        let mut changes: Vec<TableChanges> = Vec::new();
        for (table, id) in before.order {
            let was = before.rows.remove(&(table, id)).flatten();
            let is = self.stored(table, id);
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
                None => changes.push(TableChanges { table, rows: vec![row] }),
            }
        }
        changes
    }
}

impl Before {
    fn note(&mut self, table: TableId, id: RecordId, cells: impl FnOnce() -> Option<Map<String, Value>>) {
        if let std::collections::hash_map::Entry::Vacant(place) = self.rows.entry((table, id)) {
            place.insert(cells());
            self.order.push((table, id));
        }
    }
}

fn missing(table: &Table, id: &RecordId) -> Fault {
    Fault::new(Code::UnknownRecord, format!("table {:?} has no record {id}.", table.name))
}

fn missing_table(id: TableId) -> Fault {
    Fault::new(Code::UnknownTable, format!("there is no table {id}."))
}

fn person(name: &str) -> Cell {
    Cell::Json(Arc::new(json!({ "name": name })))
}
