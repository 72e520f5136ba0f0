//! Taking what Airtable says into the copy of a base: records, deletions, another schema.

use std::sync::Arc;

use rustc_hash::FxHashMap;
use serde_json::Value;
use tablewright_core::model::{Base, BaseId, Cell, Field, RecordId, Table, TableId};

use crate::airtable::Record;
use crate::base::changes::Named;
use crate::base::{Column, SchemaChange, Snapshot, TableChanges, TableData};
use crate::compute::Plan;
use crate::local::{Before, Draft};
use crate::store::tasks::TaskPart;

use super::mirror;
use super::reach::reach;
use super::state::State;

/// What is to be taken into the copy of a base, in one commit.
#[derive(Debug, Default)]
pub(crate) struct Delta {
    /// The schema in place of the one that is held.
    pub(crate) schema: Option<Base>,
    /// Records as they are now, and records that are gone.
    pub(crate) tables: Vec<TableDelta>,
    /// How far the copy is with this in it; what follows from the changes is added.
    pub(crate) state: State,
    /// Requests that wrote to Airtable, and what became of each of their records.
    pub(crate) journal: Vec<(i64, Value)>,
    /// The part of a task that is done with it, and what became of it.
    pub(crate) part: Option<(TaskPart, Value)>,
    /// How the records came.
    pub(crate) how: How,
}

/// How records came into a delta.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum How {
    /// Fetched, because something may have changed.
    #[default]
    Fetched,
    /// Copied for the first time: they are no changes.
    Copied,
    /// The answer to a write of ours.
    Written,
}

/// What is to be taken into one table.
#[derive(Debug, Clone)]
pub(crate) struct TableDelta {
    /// The table.
    pub(crate) table: TableId,
    /// Records as Airtable gave them: whole, by field id.
    pub(crate) records: Vec<Record>,
    /// Records that are not there any more.
    pub(crate) gone: Vec<RecordId>,
}

/// What a delta changed.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    pub(crate) tables: Vec<TableChanges>,
    pub(crate) schema: Vec<SchemaChange>,
    /// How far the copy is now.
    pub(crate) state: State,
}

/// Takes a delta into the draft of a copy.
pub(crate) fn take(draft: &mut Draft, delta: Delta, now: i64) -> Taken {
    let mut taken = Taken { state: delta.state, ..Taken::default() };
    if let Some(schema) = delta.schema {
        taken.schema = put_schema(draft, schema);
        taken.state.follow(&draft.snapshot.schema, &taken.schema);
    }
    let mut before = Before::default();
    for part in &delta.tables {
        // A field or a choice that is not known: the schema has changed since.
        taken.state.schema_due |= take_records(draft, part, &mut before);
    }
    taken.tables = draft.changes(before);
    if delta.how == How::Copied {
        return taken;
    }
    for (table, records) in reach(&draft.snapshot, &taken.tables) {
        taken.state.mark(table, records, now);
    }
    if delta.how == How::Written {
        mirror::follow(draft, &mut taken.tables);
    }
    taken
}

fn take_records(draft: &mut Draft, part: &TableDelta, before: &mut Before) -> bool {
    let schema = draft.snapshot.schema.clone();
    let Some(table) = schema.table_by_id(part.table) else { return true };
    let places: FxHashMap<String, usize> =
        table.fields.iter().enumerate().map(|(at, f)| (f.id.to_string(), at)).collect();
    let mut unknown = false;
    for record in &part.records {
        let mut cells = vec![Cell::Blank; table.fields.len()];
        for (key, value) in &record.fields {
            match places.get(key.as_str()) {
                Some(at) => {
                    let field = &table.fields[*at];
                    cells[*at] = Cell::from_json(field, value);
                    unknown |= field.kind.choices().is_some() && matches!(cells[*at], Cell::Json(_));
                }
                None => unknown = true,
            }
        }
        put_record(draft, table, record, cells, before);
    }
    for id in &part.gone {
        let Some(slot) = draft.snapshot.tables.get(&table.id).and_then(|data| data.slot(id)) else {
            continue;
        };
        draft.remember(before, table.id, *id);
        if let Some(data) = draft.snapshot.table_mut(table.id) {
            let position = data.row(slot).position;
            data.remove(slot);
            draft.touch(table.id, position);
        }
    }
    unknown
}

fn put_record(draft: &mut Draft, table: &Table, record: &Record, cells: Vec<Cell>, before: &mut Before) {
    let id = record.id;
    let Some(data) = draft.snapshot.tables.get(&table.id) else { return };
    let Some(slot) = data.slot(&id) else {
        before.note(table.id, id, || None);
        let Some(data) = draft.snapshot.table_mut(table.id) else { return };
        let position = data.next_position;
        data.load(id, record.created, position, cells.into_iter());
        draft.first_new.entry(table.id).or_insert(position);
        draft.touch(table.id, position);
        return;
    };
    let mut changed: Vec<(usize, Cell)> = Vec::new();
    for (at, cell) in cells.into_iter().enumerate() {
        let held = data.cell(slot, at);
        if held == cell {
            continue;
        }
        changed.push((at, cell));
    }
    if changed.is_empty() {
        return;
    }
    // Addresses of files are new with every answer; that is no change of the record.
    let data = data.clone();
    let (addresses, changed): (Vec<_>, Vec<_>) =
        changed.into_iter().partition(|(at, cell)| same_files(&data.cell(slot, *at), cell));
    for (at, cell) in addresses {
        draft.set(table.id, id, at, cell);
    }
    if !changed.is_empty() {
        draft.remember(before, table.id, id);
        for (at, cell) in changed {
            draft.set(table.id, id, at, cell);
        }
    }
}

/// True for two lists of the same files that differ in their addresses alone.
fn same_files(a: &Cell, b: &Cell) -> bool {
    let (Cell::Json(a), Cell::Json(b)) = (a, b) else { return false };
    let (Some(a), Some(b)) = (a.as_array(), b.as_array()) else { return false };
    let rest = |file: &Value| -> Option<serde_json::Map<String, Value>> {
        let mut file = file.as_object()?.clone();
        file.remove("url")?;
        file.remove("thumbnails");
        file.get("id")?;
        Some(file)
    };
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| rest(a).is_some_and(|a| Some(a) == rest(b)))
}

/// Puts another schema in place of the held one; the rows follow.
fn put_schema(draft: &mut Draft, schema: Base) -> Vec<SchemaChange> {
    let old = draft.snapshot.clone();
    if *old.schema == schema {
        return Vec::new();
    }
    let changes = differences(&old.schema, &schema);
    let mut tables = FxHashMap::default();
    for table in &schema.tables {
        let held = old.schema.table_by_id(table.id).zip(old.tables.get(&table.id));
        let Some((was, data)) = held else {
            tables.insert(table.id, Arc::new(TableData::empty(table)));
            continue;
        };
        let (data, rewritten) = follow(data, was, table);
        if rewritten {
            let positions = data.slots().map(|slot| data.row(slot).position);
            draft.touched.entry(table.id).or_default().extend(positions);
        }
        tables.insert(table.id, Arc::new(data));
    }
    draft.touched.retain(|id, _| schema.table_by_id(*id).is_some());
    draft.schema_changed = true;
    let plan = Arc::new(Plan::of_copy(&schema));
    draft.snapshot = Snapshot { schema: Arc::new(schema), tables, plan, ..old };
    changes
}

/// A table's rows under another schema, and whether what is stored of them is another now.
fn follow(data: &TableData, was: &Table, is: &Table) -> (TableData, bool) {
    let mut rewritten = false;
    let columns = is.fields.iter().map(|field| {
        let Some(at) = was.field_index(field.id) else { return Column::blank(&field.kind, data.capacity()) };
        let before = &was.fields[at];
        if before.kind.layout() == field.kind.layout() && before.kind.choices() == field.kind.choices() {
            return data.column(at).clone();
        }
        rewritten |= before.kind.layout() != field.kind.layout();
        let mut column = Column::blank(&field.kind, 0);
        for slot in 0..data.capacity() {
            column.push(read_again(&data.cell(slot, at), before, field));
        }
        column
    });
    let columns = columns.collect();
    let mut data = data.clone();
    data.restructure(columns, Vec::new());
    data.version += 1;
    (data, rewritten)
}

/// A cell under another type or other choices. What Airtable makes of it comes with the record.
fn read_again(cell: &Cell, was: &Field, is: &Field) -> Cell {
    if was.kind.choices().is_some() && is.kind.choices().is_some() && was.kind.layout() == is.kind.layout() {
        // By id, so that a choice with another name is still the same; an odd one by its name.
        return match (cell, cell.to_stored(was)) {
            (Cell::Json(odd), _) => Cell::from_json(is, odd),
            (_, Some(stored)) => match Cell::from_stored(is, &stored) {
                Cell::Json(_) => Cell::Blank,
                cell => cell,
            },
            (_, None) => Cell::Blank,
        };
    }
    cell.to_json(was).map_or(Cell::Blank, |value| Cell::from_json(is, &value))
}

fn named(table: &Table) -> Named {
    Named { name: table.name.clone(), description: table.description.clone() }
}

/// What is different in a schema, for the change log.
fn differences(was: &Base, is: &Base) -> Vec<SchemaChange> {
    let mut changes = Vec::new();
    if was.name != is.name {
        changes.push(SchemaChange::BaseRenamed { before: was.name.clone(), after: is.name.clone() });
    }
    for table in &is.tables {
        match was.table_by_id(table.id) {
            None => {
                changes.push(SchemaChange::TableCreated { table: table.id, after: Some(table.clone()) });
            }
            Some(before) => table_differences(before, table, &mut changes),
        }
    }
    for table in was.tables.iter().filter(|t| is.table_by_id(t.id).is_none()) {
        changes.push(SchemaChange::TableDeleted { table: table.id, before: named(table) });
    }
    changes
}

fn table_differences(was: &Table, is: &Table, changes: &mut Vec<SchemaChange>) {
    let table = is.id;
    if named(was) != named(is) {
        changes.push(SchemaChange::TableChanged { table, before: named(was), after: named(is) });
    }
    for field in &is.fields {
        match was.field_by_id(field.id) {
            None => changes.push(SchemaChange::FieldCreated { table, field: Box::new(field.clone()) }),
            Some(before) if before != field => {
                let (before, after) = (Box::new(before.clone()), Box::new(field.clone()));
                changes.push(SchemaChange::FieldChanged { table, before, after });
            }
            Some(_) => {}
        }
    }
    for field in was.fields.iter().filter(|f| is.field_by_id(f.id).is_none()) {
        changes.push(SchemaChange::FieldDeleted { table, before: Box::new(field.clone()) });
    }
    let changed = is.views.iter().filter(|view| !was.views.contains(view)).map(|view| view.id);
    let gone = was.views.iter().filter(|v| is.views.iter().all(|view| view.id != v.id)).map(|view| view.id);
    changes.extend(changed.chain(gone).map(|view| SchemaChange::ViewChanged { table, view }));
}

/// Tables of `some` that `other` has not.
pub(crate) fn beyond(some: &Base, other: &Base) -> Vec<(BaseId, TableId)> {
    let tables = some.tables.iter().filter(|t| other.table_by_id(t.id).is_none());
    tables.map(|t| (some.id, t.id)).collect()
}
