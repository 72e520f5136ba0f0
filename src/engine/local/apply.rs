//! Carrying out a write on a draft of a base.
//!
//! First every record is checked; only then is anything changed, and changing cannot fail.

use std::sync::Arc;

use rustc_hash::FxHashSet;
use serde_json::{Map, Value};
use tablewright_core::model::{Cell, Field, FieldType, Person, RecordId, Table, TableId};
use tablewright_core::{Code, Fault};

use super::draft::{Before, Draft};
use super::links::{self, Mirror};
use super::values::{self, Accepted, Target};
use super::{Action, Write};
use crate::base::TableChanges;
use crate::compute::recompute_changed;

/// What a write did to a draft.
#[derive(Debug)]
pub struct Applied {
    /// The record, or why it was refused, in the order they were sent.
    pub records: Vec<Result<RecordId, Fault>>,
    /// Those of them that were not there before.
    pub created: Vec<RecordId>,
    /// The rows that changed.
    pub changes: Vec<TableChanges>,
    /// Tables with a computed cell that changed.
    pub recomputed: Vec<TableId>,
    /// Records that typecast created in other tables: name of the table and how many.
    pub created_elsewhere: Vec<(String, usize)>,
}

pub(super) type Cells = Vec<(usize, Accepted)>;

/// What is to be done for one record.
pub(super) enum Step {
    Create(Cells),
    Change(RecordId, Cells),
    Delete(RecordId),
}

impl Step {
    /// The cells it writes.
    pub(super) fn cells(&self) -> &[(usize, Accepted)] {
        match self {
            Self::Create(cells) | Self::Change(_, cells) => cells,
            Self::Delete(_) => &[],
        }
    }
}

impl Draft {
    /// Carries out `write` at `now` (milliseconds since the epoch) for `by`.
    pub fn apply(&mut self, write: &Write, now: i64, by: &str) -> Result<Applied, Fault> {
        let schema = self.snapshot.schema.clone();
        let table = schema.table_by_id(write.table).ok_or_else(|| missing_table(write.table))?;
        let mut steps = self.steps(table, &write.action, write.typecast)?;
        let new_choices = self.gather_choices(table, &mut steps);
        if write.atomic
            && let Some((at, fault)) =
                steps.iter().enumerate().find_map(|(at, r)| Some((at, r.as_ref().err()?)))
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
        let mut created = Vec::new();
        let mut records = Vec::with_capacity(steps.len());
        if let Action::Restore { rows, .. } = &write.action {
            created = self.restore(&mut before, rows, now, by)?;
            records.extend(rows.iter().map(|row| Ok(row.id)));
        }
        for step in steps {
            records.push(match step {
                Err(fault) => Err(fault),
                Ok(Step::Create(cells)) => {
                    let made = self.create(&mut before, write.table, cells, now, by);
                    created.extend(made.as_ref().ok());
                    made
                }
                Ok(Step::Change(id, cells)) => self.update(&mut before, write.table, id, cells, now, by),
                Ok(Step::Delete(id)) => self.delete(&mut before, write.table, id),
            });
        }
        let mut changes = self.changes(before);
        let found = recompute_changed(&mut self.snapshot, &changes, now, self.log_computed);
        found.log(&self.snapshot, &mut changes);
        let recomputed: Vec<TableId> = found.tables.into_iter().collect();
        self.recomputed.extend(&recomputed);
        let created_elsewhere = changes
            .iter()
            .filter(|c| c.table != write.table)
            .map(|c| (c.table, c.rows.iter().filter(|row| row.before.is_none()).count()))
            .filter(|(_, created)| *created > 0)
            .filter_map(|(id, created)| Some((schema.table_by_id(id)?.name.clone(), created)))
            .collect();
        Ok(Applied { records, created, changes, recomputed, created_elsewhere })
    }

    /// Checks every record of an action; nothing is changed.
    fn steps(
        &self,
        table: &Table,
        action: &Action,
        typecast: bool,
    ) -> Result<Vec<Result<Step, Fault>>, Fault> {
        let change = |id: RecordId, cells: &Map<String, Value>, replace: bool| {
            self.exists(table, &id)?;
            let mut checked = self.check(table, cells, typecast)?;
            if replace {
                blank_others(table, &mut checked);
            }
            Ok(Step::Change(id, checked))
        };
        Ok(match action {
            Action::Create(records) => {
                records.iter().map(|cells| self.check(table, cells, typecast).map(Step::Create)).collect()
            }
            Action::Update(records) => records.iter().map(|(id, cells)| change(*id, cells, false)).collect(),
            Action::Replace(records) => records.iter().map(|(id, cells)| change(*id, cells, true)).collect(),
            Action::Upsert { on, records, replace } => {
                let matched = self.match_records(table, on, records, typecast)?;
                matched
                    .into_iter()
                    .zip(records)
                    .map(|(target, (_, cells))| match target? {
                        Some(id) => change(id, cells, *replace),
                        None => self.check(table, cells, typecast).map(Step::Create),
                    })
                    .collect()
            }
            Action::Delete(ids) => {
                ids.iter().map(|id| self.exists(table, id).map(|()| Step::Delete(*id))).collect()
            }
            // They are not checked like what people write.
            Action::Restore { .. } => Vec::new(),
        })
    }

    fn exists(&self, table: &Table, id: &RecordId) -> Result<(), Fault> {
        let (_, data) = self.snapshot.table(table.id)?;
        data.slot(id).map(|_| ()).ok_or_else(|| missing(table, id))
    }

    pub(super) fn check(
        &self,
        table: &Table,
        cells: &Map<String, Value>,
        typecast: bool,
    ) -> Result<Cells, Fault> {
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
                    if let Some(held) = self.snapshot.tables.iter().find(|(_, data)| data.slot(id).is_some())
                    {
                        let message = format!(
                            "Record ID {id} belongs to table {}, but the field links to table {}",
                            held.0, table.id
                        );
                        return Err(Fault::new(Code::WrongTable, message).about(id.to_string()));
                    }
                    return Err(Fault::new(
                        Code::UnknownRecord,
                        format!(
                            "field {:?} links to table {:?}, which has no record {id}; use the id of a record there.",
                            field.name, table.name
                        ),
                    )
                    .about(id.to_string()));
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

    pub(super) fn create(
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
        // As in Airtable, where records are made at whole seconds.
        let created = now - now.rem_euclid(1_000);
        let slot = data.insert(id, created, position);
        self.first_new.entry(table).or_insert(position);
        let number = data.next_auto;
        for (at, field) in fields.iter().enumerate() {
            match &field.kind {
                FieldType::AutoNumber => {
                    data.set(slot, at, values::auto(number));
                    data.next_auto = number + 1;
                }
                FieldType::CreatedTime { .. } => data.set(slot, at, Cell::Instant(created)),
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
        self.stamp(table, id, &written, now, by);
        Ok(())
    }

    /// Notes who edited a row and when, as far as its fields ask for that.
    pub(super) fn stamp(&mut self, table: TableId, id: RecordId, written: &[usize], now: i64, by: &str) {
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
    }

    pub(super) fn delete(
        &mut self,
        before: &mut Before,
        table: TableId,
        id: RecordId,
    ) -> Result<RecordId, Fault> {
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
    pub(super) fn unlink_one_way(&mut self, before: &mut Before, table: TableId, gone: &FxHashSet<RecordId>) {
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

    pub(super) fn mirror_links(
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
}

fn missing(table: &Table, id: &RecordId) -> Fault {
    Fault::new(Code::UnknownRecord, format!("table {:?} has no record {id}.", table.name))
        .about(id.to_string())
}

pub(super) fn missing_table(id: TableId) -> Fault {
    Fault::new(Code::UnknownTable, format!("there is no table {id}."))
}

fn person(principal: &str) -> Cell {
    Cell::Json(Arc::new(Person::of(principal).to_json()))
}

/// Empties every field that can be written and is not named.
fn blank_others(table: &Table, cells: &mut Cells) {
    for (at, field) in table.fields.iter().enumerate() {
        if !field.kind.is_computed() && !cells.iter().any(|(named, _)| *named == at) {
            cells.push((at, Accepted::Cell(Cell::Blank)));
        }
    }
}
