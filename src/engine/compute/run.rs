//! Working computed fields out: all of them when a base is read, those that a change reaches
//! afterwards.

use std::collections::BTreeSet;
use std::sync::Arc;

use bumpalo::Bump;
use rustc_hash::{FxHashMap, FxHashSet};
use serde_json::json;
use tablewright_core::model::{Cell, RecordId, TableId};
use tablewright_formula::{Owned, Value, Work};

use super::cells;
use super::depend::Place;
use super::evaluate::{Effort, by_column};
use super::found::Recomputed;
use super::plan::{Computed, Job, Plan, Through};
use super::view::TableRows;
use crate::base::column::Data;
use crate::base::{Column, Snapshot, TableChanges, TableData};

/// More rows than this are worked out column by column.
const BY_COLUMN: usize = 128;

/// Rows whose value may have changed.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Dirty {
    All,
    /// Slots.
    Some(BTreeSet<usize>),
}

impl Dirty {
    fn add(&mut self, more: &Dirty) {
        match (&mut *self, more) {
            (Self::Some(held), Self::Some(more)) => held.extend(more),
            _ => *self = Self::All,
        }
    }

    fn is_empty(&self) -> bool {
        matches!(self, Self::Some(slots) if slots.is_empty())
    }
}

/// Works out every computed field.
pub fn recompute_all(snapshot: &mut Snapshot, now: i64) {
    let plan = snapshot.plan.clone();
    let mut effort = Effort::for_base();
    for computed in &plan.fields {
        run(snapshot, computed, now, &mut effort, &mut Recomputed::default());
    }
    snapshot.computed_at = now;
}

/// Works out the fields that change with the time of day, and what depends on them. Gives the
/// tables with a changed cell.
pub fn refresh(snapshot: &mut Snapshot, now: i64) -> FxHashSet<TableId> {
    let plan = snapshot.plan.clone();
    let mut spread = Spread::new(false);
    snapshot.computed_at = now;
    for computed in plan.fields.iter().filter(|computed| computed.volatile) {
        spread.mark(computed.place, Dirty::All);
    }
    spread.run(snapshot, &plan, now);
    spread.found.tables
}

/// Works out what the changes reach, in the order of dependence. With `log`, what computed cells
/// held before is kept.
pub fn recompute_changed(
    snapshot: &mut Snapshot,
    changes: &[TableChanges],
    now: i64,
    log: bool,
) -> Recomputed {
    let plan = snapshot.plan.clone();
    let mut spread = Spread::new(log);
    if plan.fields.is_empty() {
        return spread.found;
    }
    for change in changes {
        spread.mark_change(snapshot, change);
    }
    spread.run(snapshot, &plan, now);
    spread.found
}

struct Spread {
    dirty: FxHashMap<Place, Dirty>,
    found: Recomputed,
    effort: Effort,
}

impl Spread {
    fn new(log: bool) -> Self {
        Self { dirty: FxHashMap::default(), found: Recomputed::new(log), effort: Effort::for_base() }
    }

    fn mark(&mut self, place: Place, rows: Dirty) {
        if !rows.is_empty() {
            self.dirty.entry(place).and_modify(|held| held.add(&rows)).or_insert(rows);
        }
    }

    /// Marks the cells a commit wrote.
    fn mark_change(&mut self, snapshot: &Snapshot, change: &TableChanges) {
        let Some(at) = snapshot.schema.tables.iter().position(|t| t.id == change.table) else { return };
        let table = &snapshot.schema.tables[at];
        let Some(data) = snapshot.tables.get(&table.id) else { return };
        let places: FxHashMap<String, usize> =
            table.fields.iter().enumerate().map(|(at, f)| (f.id.to_string(), at)).collect();
        let mut rows: FxHashMap<usize, BTreeSet<usize>> = FxHashMap::default();
        for row in &change.rows {
            // A deleted row has no cells left; whoever linked to it was changed too.
            let Some(slot) = data.slot(&row.id) else { continue };
            match (&row.before, &row.after) {
                (Some(_), Some(after)) => {
                    for field in after.keys().filter_map(|key: &String| places.get(key.as_str())) {
                        rows.entry(*field).or_default().insert(slot);
                    }
                }
                // A new row: every field is new, also those that read no other.
                _ => (0..table.fields.len()).for_each(|field| {
                    rows.entry(field).or_default().insert(slot);
                }),
            }
        }
        for (field, slots) in rows {
            self.mark(Place { table: at, field }, Dirty::Some(slots));
        }
    }

    fn run(&mut self, snapshot: &mut Snapshot, plan: &Plan, now: i64) {
        for computed in &plan.fields {
            let mut rows = Dirty::Some(BTreeSet::new());
            // A field is marked itself when its row is new or its value changes with time.
            if let Some(own) = self.dirty.get(&computed.place) {
                rows.add(own);
            }
            for need in &computed.needs {
                if let Some(dirty) = self.dirty.get(&Place { table: computed.place.table, field: *need }) {
                    rows.add(dirty);
                }
            }
            for through in &computed.reads {
                if let Some(dirty) = self.dirty.get(&through.source) {
                    rows.add(&linking(snapshot, computed.place.table, *through, dirty));
                }
            }
            if computed.distant.iter().any(|place| self.dirty.contains_key(place)) {
                rows = Dirty::All;
            }
            if computed.watches_edits()
                && let Some(edited) = self.edited(snapshot, computed.place.table)
            {
                rows.add(&edited);
            }
            if rows.is_empty() {
                continue;
            }
            if run_rows(snapshot, computed, &rows, now, &mut self.effort, &mut self.found) {
                self.found.tables.extend(snapshot.schema.tables.get(computed.place.table).map(|t| t.id));
                self.mark(computed.place, rows);
            }
        }
    }

    /// The rows of a table that a commit wrote.
    fn edited(&self, snapshot: &Snapshot, table: usize) -> Option<Dirty> {
        let fields = snapshot.schema.tables.get(table)?.fields.len();
        let mut rows = Dirty::Some(BTreeSet::new());
        for field in 0..fields {
            if let Some(dirty) = self.dirty.get(&Place { table, field }) {
                rows.add(dirty);
            }
        }
        Some(rows)
    }
}

/// The rows that link to the dirty ones.
fn linking(snapshot: &Snapshot, table: usize, through: Through, dirty: &Dirty) -> Dirty {
    let (Dirty::Some(slots), Some(here), Some(there)) =
        (dirty, data(snapshot, table), data(snapshot, through.source.table))
    else {
        return Dirty::All;
    };
    let mut rows = BTreeSet::new();
    match through.mirror.map(|mirror| there.column(mirror).data()) {
        Some(Data::Links(back)) => {
            for slot in slots {
                let ids = back.get(*slot).as_deref().unwrap_or_default();
                rows.extend(ids.iter().filter_map(|id| here.slot(id)));
            }
        }
        _ => {
            let ids: FxHashSet<RecordId> = slots.iter().map(|slot| there.row(*slot).id).collect();
            if let Data::Links(links) = here.column(through.link).data() {
                rows.extend(here.slots().filter(|slot| {
                    links.get(*slot).as_deref().unwrap_or_default().iter().any(|id| ids.contains(id))
                }));
            }
        }
    }
    Dirty::Some(rows)
}

fn data(snapshot: &Snapshot, table: usize) -> Option<&Arc<TableData>> {
    snapshot.tables.get(&snapshot.schema.tables.get(table)?.id)
}

fn run_rows(
    snapshot: &mut Snapshot,
    computed: &Computed,
    rows: &Dirty,
    now: i64,
    effort: &mut Effort,
    found: &mut Recomputed,
) -> bool {
    match rows {
        Dirty::Some(slots) if slots.len() <= BY_COLUMN => some(snapshot, computed, slots, now, effort, found),
        _ => run(snapshot, computed, now, effort, found),
    }
}

/// Works a field out for some rows; true when a cell changed.
fn some(
    snapshot: &mut Snapshot,
    computed: &Computed,
    slots: &BTreeSet<usize>,
    now: i64,
    effort: &mut Effort,
    log: &mut Recomputed,
) -> bool {
    let Place { table, field } = computed.place;
    let Some(rows) = TableRows::of(snapshot, table) else { return false };
    let described = &snapshot.schema.tables[table].fields[field];
    let mut arena = Bump::new();
    let mut found: Vec<(usize, Cell)> = Vec::with_capacity(slots.len());
    for slot in slots {
        let cell = if effort.is_spent() {
            cells::refused()
        } else {
            let work = Work::new(&arena, now);
            let cell = one(snapshot, &rows, described, &computed.job, *slot, &work);
            effort.take(work.used());
            cell
        };
        found.push((*slot, cell));
        arena.reset();
    }
    let id = snapshot.schema.tables[table].id;
    let Some(held) = snapshot.tables.get(&id) else { return false };
    found.retain(|(slot, cell)| held.cell(*slot, field) != *cell);
    if found.is_empty() {
        return false;
    }
    for (slot, _) in &found {
        log.keep(computed.place, held.row(*slot).id, || held.cell(*slot, field));
    }
    let Some(data) = snapshot.table_mut(id) else { return false };
    for (slot, cell) in found {
        data.set(slot, field, cell);
    }
    true
}

/// The cell of a computed field for one row.
fn one<'a>(
    snapshot: &Snapshot,
    rows: &'a TableRows<'_>,
    field: &tablewright_core::model::Field,
    job: &'a Job,
    slot: usize,
    work: &Work<'a>,
) -> Cell {
    match job {
        Job::Count(link) => Cell::Number(rows.count(*link, slot) as f64),
        Job::Lookup(through) => {
            let source = &snapshot.schema.tables[through.source.table].fields[through.source.field];
            cells::lookup(source, rows.linked_cells(*through, slot).into_iter())
        }
        Job::Rollup(through, program) => {
            // The values are built for this row alone and read by the rollup's one field.
            let arena = Bump::new();
            let inner = Work::new(&arena, work.now);
            let values = Values(rows.linked(*through, slot, &inner).own());
            let summed = Work::new(&arena, work.now);
            let cell = cells::cell(field, program.row(&values, 0, &summed));
            work.note(inner.used() + summed.used());
            cell
        }
        Job::Button(label, program) => {
            let url = program.row(rows, slot, work).text(work).ok().filter(|url| !url.is_empty());
            Cell::Json(Arc::new(json!({ "label": label, "url": url })))
        }
        Job::Formula(program) => cells::cell(field, program.row(rows, slot, work)),
    }
}

/// The one field a rollup's formula sees.
struct Values(Owned);

impl tablewright_formula::Rows for Values {
    fn value<'a>(&'a self, _: usize, _: usize, work: &Work<'a>) -> Value<'a> {
        self.0.value(work.arena)
    }
    fn record_id<'a>(&'a self, _: usize, _: &Work<'a>) -> &'a str {
        ""
    }
    fn created(&self, _: usize) -> Option<i64> {
        None
    }
    fn modified(&self, _: usize, _: &[usize]) -> Option<i64> {
        None
    }
}

/// Works a field out for all rows, as a new column; true, for its cells may all have changed.
fn run(
    snapshot: &mut Snapshot,
    computed: &Computed,
    now: i64,
    effort: &mut Effort,
    log: &mut Recomputed,
) -> bool {
    let Place { table, field } = computed.place;
    let Some(rows) = TableRows::of(snapshot, table) else { return false };
    let described = &snapshot.schema.tables[table].fields[field];
    let Some(held) = data(snapshot, table) else { return false };
    let mut column = Column::blank(&described.kind, 0);
    let len = held.column(field).len();
    match &computed.job {
        Job::Formula(program) => {
            by_column(program, &rows, len, now, effort, |count, lane| {
                cells::append(&mut column, described, lane, count)
            });
        }
        job => {
            let mut arena = Bump::new();
            for slot in 0..len {
                if effort.is_spent() {
                    break;
                }
                let work = Work::new(&arena, now);
                column.push(one(snapshot, &rows, described, job, slot, &work));
                effort.take(work.used());
                arena.reset();
            }
        }
    }
    if column.len() < len {
        tracing::warn!(field = %described.id, "a computed field takes more work or room than the bound; the rest of its cells are errors");
        (column.len()..len).for_each(|_| column.push(cells::refused()));
    }
    // Slots of deleted rows stay blank.
    let dead: Vec<usize> = (0..len).filter(|slot| !held.is_live(*slot)).collect();
    for slot in dead {
        column.set(slot, Cell::Blank);
    }
    if log.log {
        for slot in held.slots().filter(|slot| held.cell(*slot, field) != column.get(*slot)) {
            log.keep(computed.place, held.row(slot).id, || held.cell(slot, field));
        }
    }
    let id = snapshot.schema.tables[table].id;
    let Some(data) = snapshot.table_mut(id) else { return false };
    data.replace_column(field, column);
    true
}
