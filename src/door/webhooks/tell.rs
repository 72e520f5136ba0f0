//! What one commit means to one webhook.

use std::cell::OnceCell;

use rustc_hash::FxHashSet;
use serde_json::{Map, Value, json};
use tablewright_core::model::cell::instant_text;
use tablewright_core::model::{Field, RecordId, Table, TableId, ViewId};
use tablewright_core::{Code, Fault};
use tablewright_engine::base::changes::Named;
use tablewright_engine::base::{Change, SchemaChange, TableChanges};
use tablewright_engine::{Snapshot, compute};
use tablewright_formula::{Problem, Scope, compile};

use super::cell;
use super::moment::{Side, moment};
use super::payload::Payloads;
use super::specification::{ChangeType, DataType, Place, Source, Specification};

/// A commit, and the base on both sides of it, shared by the webhooks of the base.
pub(super) struct Scene<'a> {
    pub(super) change: &'a Change,
    before: OnceCell<Snapshot>,
    after: Snapshot,
}

/// A record that a commit wrote or worked out again.
struct Touched<'a> {
    id: RecordId,
    what: ChangeType,
    /// The places of the changed fields among the table's; of a new record all, of one that is
    /// gone those that held something.
    fields: Vec<usize>,
    table: &'a Table,
}

impl<'a> Scene<'a> {
    /// The commit after which the base was like that.
    pub(super) fn of(change: &'a Change, after: Snapshot) -> Self {
        Self { change, before: OnceCell::new(), after }
    }

    fn side(&self, side: Side) -> &Snapshot {
        match side {
            Side::Before => self.before.get_or_init(|| moment(&self.after, self.change, side)),
            Side::After => &self.after,
        }
    }

    /// The base as it was before.
    pub(super) fn into_before(self) -> Snapshot {
        self.side(Side::Before);
        self.before.into_inner().unwrap_or(self.after)
    }

    /// The payloads for a webhook with this specification; `number` counts the base's commits.
    pub(super) fn payloads(&self, wanted: &Specification, number: i64) -> Result<Vec<String>, Fault> {
        let mut payloads = Payloads::of(self.change, number);
        if wanted.filters().lets_source(Source::of_face(&self.change.author.face)) {
            let within = wanted.filters().record_change_scope.map(|place| place.table(&self.after.schema));
            match within {
                // The table of the scope came or went since; there is nothing to show of it.
                Some(None) => {}
                within => {
                    let within = within.flatten().map(|table| table.id);
                    self.schema(wanted, within, &mut payloads);
                    self.records(wanted, within, &mut payloads)?;
                }
            }
        }
        Ok(payloads.finish())
    }

    fn schema(&self, wanted: &Specification, within: Option<TableId>, payloads: &mut Payloads) {
        let filters = wanted.filters();
        let (add, remove, update) = (
            filters.lets_type(ChangeType::Add),
            filters.lets_type(ChangeType::Remove),
            filters.lets_type(ChangeType::Update),
        );
        let (fields, metadata) =
            (filters.wants(DataType::TableFields), filters.wants(DataType::TableMetadata));
        // A table takes records, fields and its name with it.
        let tables = metadata
            || fields && filters.watched_fields().is_none()
            || filters.wants(DataType::TableData) && filters.watched_cells().is_none();
        let is_within = |table: &TableId| within.is_none_or(|id| id == *table);
        let is_watched = |field: &Field| filters.watched_fields().is_none_or(|ids| ids.contains(&field.id));
        for change in &self.change.schema {
            match change {
                SchemaChange::TableCreated { table, after } if add && within.is_none() => {
                    let made = after.as_ref().or_else(|| self.after.schema.table_by_id(*table));
                    if (metadata || fields && filters.watched_fields().is_none())
                        && let Some(table) = made
                    {
                        payloads.put(&["createdTablesById"], table.id.to_string(), described(table));
                    }
                }
                SchemaChange::TableDeleted { table, .. } if remove && tables && is_within(table) => {
                    payloads.push(&[], "destroyedTableIds", table.to_string());
                }
                SchemaChange::TableChanged { table, before, after }
                    if update && metadata && is_within(table) =>
                {
                    let value = json!({"current": named(after), "previous": named(before)});
                    payloads.put(&["changedTablesById", &table.to_string()], "changedMetadata", value);
                }
                SchemaChange::FieldCreated { table, field }
                    if add && fields && is_within(table) && filters.watched_fields().is_none() =>
                {
                    let path = ["changedTablesById", &table.to_string(), "createdFieldsById"];
                    payloads.put(&path, field.id.to_string(), definition(field));
                }
                SchemaChange::FieldChanged { table, before, after }
                    if update && fields && is_within(table) && is_watched(after) =>
                {
                    let path = ["changedTablesById", &table.to_string(), "changedFieldsById"];
                    let mut value = json!({"current": difference(after, before)});
                    if wanted.includes().include_previous_field_definitions {
                        value["previous"] = difference(before, after);
                    }
                    payloads.put(&path, after.id.to_string(), value);
                }
                SchemaChange::FieldDeleted { table, before }
                    if remove && fields && is_within(table) && is_watched(before) =>
                {
                    let path = ["changedTablesById", &table.to_string()];
                    payloads.push(&path, "destroyedFieldIds", before.id.to_string());
                }
                _ => {}
            }
        }
    }

    fn records(
        &self,
        wanted: &Specification,
        within: Option<TableId>,
        payloads: &mut Payloads,
    ) -> Result<(), Fault> {
        if !wanted.filters().wants(DataType::TableData) {
            return Ok(());
        }
        for changes in &self.change.tables {
            if within.is_some_and(|id| id != changes.table) {
                continue;
            }
            let Some(table) = self.after.schema.table_by_id(changes.table) else { continue };
            let touched = self.touched(table, changes, wanted);
            if touched.is_empty() {
                continue;
            }
            let id = table.id.to_string();
            match wanted.filters().record_change_scope {
                Some(Place::View(view)) => {
                    let is_in = |side| self.in_view(side, table, view, &touched);
                    let (was, is) = (is_in(Side::Before)?, is_in(Side::After)?);
                    let path = ["changedTablesById", &id, "changedViewsById", &view.to_string()];
                    for record in touched {
                        let what = match (was.contains(&record.id), is.contains(&record.id)) {
                            (false, true) => ChangeType::Add,
                            (true, true) => ChangeType::Update,
                            (true, false) => ChangeType::Remove,
                            (false, false) => continue,
                        };
                        self.show(&record, what, wanted, &path, payloads);
                    }
                }
                _ => {
                    for record in touched {
                        self.show(&record, record.what, wanted, &["changedTablesById", &id], payloads);
                    }
                }
            }
        }
        Ok(())
    }

    /// The records of a table that count for a webhook.
    fn touched<'t>(
        &self,
        table: &'t Table,
        changes: &TableChanges,
        wanted: &Specification,
    ) -> Vec<Touched<'t>> {
        let watched = wanted.filters().watched_cells();
        let counts = |at: &usize| watched.is_none_or(|ids| ids.contains(&table.fields[*at].id));
        let places = |cells: &Map<String, Value>| -> Vec<usize> {
            let is_in = |(_, field): &(usize, &Field)| cells.contains_key(&field.id.to_string());
            table.fields.iter().enumerate().filter(is_in).map(|(at, _)| at).collect()
        };
        let mut found: Vec<Touched<'t>> = Vec::with_capacity(changes.rows.len());
        let mut by_id = rustc_hash::FxHashMap::default();
        for row in changes.rows.iter().chain(&changes.computed) {
            let (what, fields) = match (&row.before, &row.after) {
                (Some(_), Some(after)) => (ChangeType::Update, places(after)),
                (None, _) => (ChangeType::Add, (0..table.fields.len()).collect()),
                (Some(before), None) => (ChangeType::Remove, places(before)),
            };
            let at = *by_id.entry(row.id).or_insert(found.len());
            match found.get_mut(at) {
                None => found.push(Touched { id: row.id, what, fields, table }),
                Some(held) => held.fields.extend(fields),
            }
        }
        for record in &mut found {
            record.fields.sort_unstable();
            record.fields.dedup();
            record.fields.retain(counts);
        }
        // A new record counts when a field that counts holds something.
        let is_new_and_blank = |record: &Touched<'_>| {
            watched.is_some() && record.what == ChangeType::Add && self.cells(record, Side::After).is_empty()
        };
        // What was worked out for a record that is gone is not in the log.
        let may_have_held =
            table.fields.iter().enumerate().any(|(at, f)| counts(&at) && f.kind.is_computed());
        found.retain(|record| match record.what {
            ChangeType::Remove => may_have_held || watched.is_none() || !record.fields.is_empty(),
            _ => !record.fields.is_empty() && !is_new_and_blank(record),
        });
        found
    }

    /// The changed cells of a record that hold something, by field id.
    fn cells(&self, record: &Touched<'_>, side: Side) -> Map<String, Value> {
        let shown = self.all_cells(record, side, &record.fields);
        shown.into_iter().filter(|(_, value)| !value.is_null()).collect()
    }

    /// Cells of a record by field id, blank ones as null.
    fn all_cells(&self, record: &Touched<'_>, side: Side, fields: &[usize]) -> Map<String, Value> {
        let then = self.side(side);
        let slot = then.tables.get(&record.table.id).and_then(|data| data.slot(&record.id));
        let Some(slot) = slot else { return Map::new() };
        let shown = |at: &usize| {
            let value = cell::value(then, record.table, slot, *at).unwrap_or(Value::Null);
            (record.table.fields[*at].id.to_string(), value)
        };
        fields.iter().map(shown).collect()
    }

    /// Adds a record to the payloads as one that came, changed or went.
    fn show(
        &self,
        record: &Touched<'_>,
        what: ChangeType,
        wanted: &Specification,
        path: &[&str],
        payloads: &mut Payloads,
    ) {
        if !wanted.filters().lets_type(what) {
            return;
        }
        match what {
            ChangeType::Remove => payloads.push_gone(path, record.id),
            ChangeType::Add => {
                let fields = &record.table.fields;
                let watched = wanted.filters().watched_cells();
                let shown = |field: &Field| {
                    watched.is_none_or(|ids| ids.contains(&field.id)) || wanted.includes().shows(field)
                };
                let places: Vec<usize> = (0..fields.len()).filter(|at| shown(&fields[*at])).collect();
                let mut cells = self.all_cells(record, Side::After, &places);
                cells.retain(|_, value| !value.is_null());
                let value = json!({"createdTime": self.created(record), "cellValuesByFieldId": cells});
                payloads.put_record(path, "createdRecordsById", record.id, value);
            }
            ChangeType::Update => {
                let current = self.all_cells(record, Side::After, &record.fields);
                let mut value = json!({"current": {"cellValuesByFieldId": current}});
                if wanted.includes().include_previous_cell_values {
                    let previous = self.all_cells(record, Side::Before, &record.fields);
                    value["previous"] = json!({"cellValuesByFieldId": previous});
                }
                if wanted.includes().include_cell_values_in_field_ids.is_some() {
                    let fields = &record.table.fields;
                    let rest = |at: &usize| {
                        record.fields.binary_search(at).is_err() && wanted.includes().shows(&fields[*at])
                    };
                    let places: Vec<usize> = (0..fields.len()).filter(rest).collect();
                    let mut cells = self.all_cells(record, Side::After, &places);
                    cells.retain(|_, value| !value.is_null());
                    value["unchanged"] = json!({"cellValuesByFieldId": cells});
                }
                payloads.put_record(path, "changedRecordsById", record.id, value);
            }
        }
    }

    fn created(&self, record: &Touched<'_>) -> String {
        let data = self.side(Side::After).tables.get(&record.table.id);
        let slot = data.and_then(|data| Some((data, data.slot(&record.id)?)));
        let created = slot.map_or(self.change.at, |(data, slot)| data.row(slot).created);
        // A record that is gone by now was put back without its time.
        instant_text(created.min(self.change.at))
    }

    /// Which of the records a view shows on one side of the commit.
    fn in_view(
        &self,
        side: Side,
        table: &Table,
        view: ViewId,
        touched: &[Touched<'_>],
    ) -> Result<FxHashSet<RecordId>, Fault> {
        let then = self.side(side);
        let Some(data) = then.tables.get(&table.id) else { return Ok(FxHashSet::default()) };
        let there: Vec<usize> = touched.iter().filter_map(|record| data.slot(&record.id)).collect();
        let formula = table.views.iter().find(|v| v.id == view).and_then(|v| v.filter_formula.as_deref());
        let Some(formula) = formula else {
            return Ok(there.into_iter().map(|slot| data.row(slot).id).collect());
        };
        let (program, _) = compile(formula, &Scope::of_table(table)).map_err(|problems| {
            Fault::new(Code::InvalidSchema, format!("view {view}: {}", Problem::joined(&problems)))
        })?;
        let at = then.schema.tables.iter().position(|t| t.id == table.id).unwrap_or_default();
        let mut shown = FxHashSet::default();
        compute::evaluate(then, at, &program, Some(&there), self.change.at, &mut |slot, value| {
            if value.truth().unwrap_or(false) {
                shown.insert(data.row(slot).id);
            }
        })?;
        Ok(shown)
    }
}

fn named(about: &Named) -> Value {
    json!({"name": about.name, "description": about.description})
}

fn definition(field: &Field) -> Value {
    json!({"name": field.name, "type": field.type_name})
}

/// What of a field's definition is another; all of it when only its options are.
fn difference(field: &Field, other: &Field) -> Value {
    let mut shown = definition(field);
    let (name, kind) = (field.name != other.name, field.type_name != other.type_name);
    if let Some(map) = shown.as_object_mut().filter(|_| name || kind) {
        map.retain(|key, _| if key == "name" { name } else { kind });
    }
    shown
}

fn described(table: &Table) -> Value {
    let fields: Map<String, Value> = table.fields.iter().map(|f| (f.id.to_string(), definition(f))).collect();
    json!({
        "metadata": {"name": table.name, "description": table.description},
        "fieldsById": fields,
        "recordsById": {},
    })
}
