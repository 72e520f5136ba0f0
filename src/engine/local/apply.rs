//! Carrying out a write on a draft of a base.
//!
//! First every record is checked; only then is anything changed, and changing cannot fail.

use std::collections::BTreeSet;
use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};
use serde_json::{Map, Value, json};
use tablewright_core::model::{Cell, Choice, ChoiceId, Field, FieldType, RecordId, Table, TableId};
use tablewright_core::{Code, Fault};

use super::links::{self, Mirror};
use super::values::{self, Accepted, Target};
use super::{Action, Write};
use crate::base::{RowChange, Snapshot, TableChanges};
use crate::compute::recompute_changed;
use crate::store::write::stored_cells;

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
    /// The first position given to a new row since the draft was made, by table.
    pub first_new: FxHashMap<TableId, i64>,
    /// Tables whose computed cells changed.
    pub recomputed: FxHashSet<TableId>,
    /// Places of choices by name or id, for the columns of the write in progress.
    choices: FxHashMap<(TableId, usize), FxHashMap<String, u32>>,
    /// Records by the text of their primary field, for the tables the write links to by name.
    names: FxHashMap<TableId, FxHashMap<String, RecordId>>,
}

/// What a write did to a draft.
#[derive(Debug)]
pub struct Applied {
    /// The record, or why it was refused, in the order they were sent.
    pub records: Vec<Result<RecordId, Fault>>,
    /// The rows that changed.
    pub changes: Vec<TableChanges>,
    /// Records that typecast created in other tables: name of the table and how many.
    pub created_elsewhere: Vec<(String, usize)>,
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
        Self {
            snapshot: snapshot.clone(),
            touched: FxHashMap::default(),
            schema_changed: false,
            first_new: FxHashMap::default(),
            recomputed: FxHashSet::default(),
            choices: FxHashMap::default(),
            names: FxHashMap::default(),
        }
    }

    /// Carries out `write` at `now` (milliseconds since the epoch) for `by`.
    pub fn apply(&mut self, write: &Write, now: i64, by: &str) -> Result<Applied, Fault> {
        let schema = self.snapshot.schema.clone();
        let table = schema.table_by_id(write.table).ok_or_else(|| missing_table(write.table))?;
        let mut checked: Vec<Result<Cells, Fault>> = match &write.action {
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
        let new_choices = self.gather_choices(table, &mut checked);
        if write.atomic
            && let Some((at, fault)) =
                checked.iter().enumerate().find_map(|(at, r)| Some((at, r.as_ref().err()?)))
        {
            return Err(fault.clone().within(format_args!("record {}", at + 1)));
        }
        self.add_choices(write.table, new_choices);
        self.names.clear();
        let mut before = Before::default();
        if let Action::Delete(ids) = &write.action {
            let gone: FxHashSet<RecordId> = ids.iter().copied().collect();
            self.unlink_one_way(&mut before, write.table, &gone);
        }
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
        let changes = self.changes(before);
        self.recomputed.extend(recompute_changed(&mut self.snapshot, &changes, now));
        let created_elsewhere = changes
            .iter()
            .filter(|c| c.table != write.table)
            .map(|c| (c.table, c.rows.iter().filter(|row| row.before.is_none()).count()))
            .filter(|(_, created)| *created > 0)
            .filter_map(|(id, created)| Some((schema.table_by_id(id)?.name.clone(), created)))
            .collect();
        Ok(Applied { records, changes, created_elsewhere })
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

    /// What depends on the rest of the base: links lead somewhere.
    fn check_targets(&self, field: &Field, value: &Accepted) -> Result<(), Fault> {
        let Accepted::Links(targets) = value else { return Ok(()) };
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
        self.first_new.entry(table).or_insert(position);
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
        // Writing what is there already is no edit.
        let mut written: Vec<usize> = Vec::with_capacity(cells.len());
        for (at, accepted) in cells {
            let cell = match accepted {
                Accepted::Cell(cell) => cell,
                Accepted::Choices(names) => self.choose(table, at, &names)?,
                Accepted::Links(targets) => self.resolve(before, table, at, targets, now, by)?,
            };
            let held = self.cell(table, id, at);
            if held == cell {
                continue;
            }
            if let Some(other) = links::mirror(&self.snapshot, table, at) {
                self.mirror_links(before, other, id, links::held(&held), links::held(&cell));
            }
            written.push(at);
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
        let plan = self.snapshot.plan.clone();
        for (watch, watched) in plan.watches(table).iter().enumerate() {
            if written.iter().any(|at| watched.fields.is_empty() || watched.fields.contains(at))
                && let Some(data) = self.snapshot.table_mut(table)
                && let Some(slot) = data.slot(&id)
            {
                data.set_edited(watch, slot, now);
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
        if let Some(data) = self.snapshot.table_mut(table) {
            let position = data.row(slot).position;
            data.remove(slot);
            self.touch(table, position);
        }
        Ok(id)
    }

    /// Takes records that go away out of link fields that have no mirror.
    fn unlink_one_way(&mut self, before: &mut Before, table: TableId, gone: &FxHashSet<RecordId>) {
        let schema = self.snapshot.schema.clone();
        for other in &schema.tables {
            for (at, field) in other.fields.iter().enumerate() {
                let one_way = field
                    .link()
                    .is_some_and(|l| l.linked_table_id == table && l.inverse_link_field_id.is_none());
                let Some(data) = self.snapshot.tables.get(&other.id).filter(|_| one_way).cloned() else {
                    continue;
                };
                for slot in data.slots() {
                    let cell = data.cell(slot, at);
                    if links::held(&cell).iter().any(|held| gone.contains(held)) {
                        let kept =
                            links::held(&cell).iter().copied().filter(|held| !gone.contains(held)).collect();
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
        let old_set: FxHashSet<&RecordId> = old.iter().collect();
        let new_set: FxHashSet<&RecordId> = new.iter().collect();
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

    /// The names of choices that are not there yet, by column; a record that would make too many
    /// is refused.
    fn gather_choices(
        &mut self,
        table: &Table,
        checked: &mut [Result<Cells, Fault>],
    ) -> FxHashMap<usize, Vec<String>> {
        self.choices.clear();
        let mut new: FxHashMap<usize, Vec<String>> = FxHashMap::default();
        for record in checked.iter_mut() {
            let Ok(cells) = &record else { continue };
            let mut full = None;
            for (at, accepted) in cells {
                let Accepted::Choices(names) = accepted else { continue };
                let field = &table.fields[*at];
                let known = self.choices.entry((table.id, *at)).or_insert_with(|| places_of(field));
                for name in names.iter().filter(|name| !known.contains_key(*name)).collect::<Vec<_>>() {
                    let place =
                        field.kind.choices().map_or(0, <[Choice]>::len) + new.get(at).map_or(0, Vec::len);
                    if place >= MAX_CHOICES {
                        full = Some(field.name.clone());
                        break;
                    }
                    known.insert(name.clone(), place as u32);
                    new.entry(*at).or_default().push(name.clone());
                }
            }
            if let Some(name) = full {
                let message = format!("field {name:?} would have more than {MAX_CHOICES} choices.");
                *record = Err(Fault::new(Code::LimitExceeded, message));
            }
        }
        new
    }

    fn add_choices(&mut self, table: TableId, new: FxHashMap<usize, Vec<String>>) {
        if new.is_empty() {
            return;
        }
        let schema = Arc::make_mut(&mut self.snapshot.schema);
        let Some(table) = schema.tables.iter_mut().find(|t| t.id == table) else { return };
        for (at, names) in new {
            let mut choices = table.fields[at].kind.choices().unwrap_or_default().to_vec();
            choices.extend(names.into_iter().map(|name| Choice {
                id: ChoiceId::random(),
                name,
                color: None,
            }));
            table.fields[at].set_choices(choices);
        }
        self.schema_changed = true;
    }

    fn choose(&mut self, table: TableId, at: usize, names: &[String]) -> Result<Cell, Fault> {
        let schema = self.snapshot.schema.clone();
        let field = &schema.table_by_id(table).ok_or_else(|| missing_table(table))?.fields[at];
        if names.iter().any(|name| !self.places(table, at, field).contains_key(name)) {
            // A record made by name in another table: its primary field may be a select.
            let missing: Vec<String> = names
                .iter()
                .filter(|name| !self.places(table, at, field).contains_key(*name))
                .cloned()
                .collect();
            self.add_choices(table, FxHashMap::from_iter([(at, missing)]));
            self.choices.remove(&(table, at));
            return self.choose(table, at, names);
        }
        let places = self.places(table, at, field);
        let picked: Vec<u32> = names.iter().filter_map(|name| places.get(name).copied()).collect();
        Ok(match (&field.kind, picked.as_slice()) {
            (_, []) => Cell::Blank,
            (FieldType::SingleSelect(_), [one, ..]) => Cell::Choice(*one),
            _ => Cell::Choices(picked.into()),
        })
    }

    fn places(&mut self, table: TableId, at: usize, field: &Field) -> &FxHashMap<String, u32> {
        self.choices.entry((table, at)).or_insert_with(|| places_of(field))
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

    fn find_by_name(&mut self, table: TableId, name: &str) -> Option<RecordId> {
        if !self.names.contains_key(&table) {
            let (schema, data) = self.snapshot.table(table).ok()?;
            let primary = schema.field_index(schema.primary_field_id)?;
            let mut known: FxHashMap<String, RecordId> = FxHashMap::default();
            for slot in data.slots() {
                let mut text = String::new();
                self.snapshot.push_text(&mut text, &schema.fields[primary], &data.cell(slot, primary));
                known.entry(text).or_insert(data.row(slot).id);
            }
            self.names.insert(table, known);
        }
        self.names.get(&table)?.get(name).copied()
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
        let id = self.create(before, table, vec![(primary, value)], now, by)?;
        self.names.entry(table).or_default().insert(name.to_owned(), id);
        Ok(id)
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
        let slot = self.snapshot.tables.get(&table)?.slot(&id)?;
        let at = self.snapshot.schema.tables.iter().position(|t| t.id == table)?;
        Some(stored_cells(&self.snapshot, at, slot))
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
                    // Times of edits stand beside the cells; they are none.
                    let differs = |key: &String| !key.starts_with('~') && was.get(key) != is.get(key);
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

fn places_of(field: &Field) -> FxHashMap<String, u32> {
    let choices = field.kind.choices().unwrap_or_default();
    let ids = choices.iter().enumerate().map(|(at, c)| (c.id.to_string(), at as u32));
    // Names after ids: a choice may be called like another one's id.
    ids.chain(choices.iter().enumerate().map(|(at, c)| (c.name.clone(), at as u32))).collect()
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
