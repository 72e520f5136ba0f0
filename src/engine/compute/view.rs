//! A table's rows as formulas read them.

use bumpalo::Bump;
use rustc_hash::FxHashSet;
use tablewright_core::model::cell::BLANK_INSTANT;
use tablewright_core::model::{Base, Cell, Field, FieldId, FieldType, RecordId, Table};
use tablewright_core::{Code, Fault};
use tablewright_formula::{Lane, Program, Rows, Value, Work, json_value};

use super::depend::Place;
use super::plan::{Job, Plan, Through};
use crate::base::column::{Data, number};
use crate::base::{Snapshot, TableData};

/// Where the times of edits are.
enum Edits {
    /// Kept beside the cells, for a watch of the plan.
    Watched(usize),
    /// In the cells of a field.
    Shown(usize),
}

/// A table's rows as formulas read them: links by the names of their records, lookups as the
/// linked values.
pub struct TableRows<'s> {
    snapshot: &'s Snapshot,
    at: usize,
    table: &'s Table,
    data: &'s TableData,
}

impl<'s> TableRows<'s> {
    /// The rows of the table at a place among the base's tables.
    pub fn of(snapshot: &'s Snapshot, at: usize) -> Option<Self> {
        let table = snapshot.schema.tables.get(at)?;
        let data = snapshot.tables.get(&table.id)?;
        Some(Self { snapshot, at, table, data })
    }

    /// How many slots there are, those of deleted rows included.
    pub(super) fn capacity(&self) -> usize {
        self.data.capacity()
    }

    /// True for a slot that holds a record.
    pub(super) fn is_live(&self, slot: usize) -> bool {
        self.data.is_live(slot)
    }

    fn base(&self) -> &'s Base {
        &self.snapshot.schema
    }

    fn plan(&self) -> &'s Plan {
        &self.snapshot.plan
    }

    /// The values behind a link, one for each linked record, lists flattened.
    pub(super) fn linked<'a>(&self, through: Through, slot: usize, work: &Work<'a>) -> Value<'a>
    where
        's: 'a,
    {
        let mut found = bumpalo::collections::Vec::new_in(work.arena);
        let Some(there) = TableRows::of(self.snapshot, through.source.table) else { return Value::Blank };
        self.each_linked(through.link, slot, |id| {
            // A lookup of a lookup goes on to the values themselves; fields never go in circles.
            let value = there.data.slot(id).map(|other| match there.lookup(through.source.field) {
                Some(further) => there.linked(further, other, work),
                None => there.cell(through.source.field, other, work.arena),
            });
            match value {
                Some(Value::List(items)) => found.extend_from_slice(items),
                Some(value) => found.push(value),
                None => {}
            }
        });
        // Items count as work; what is over the bound is noticed by whoever uses the list.
        let _ = work.spend(found.len());
        Value::List(found.into_bump_slice())
    }

    /// The cells behind a link, one for each linked record.
    pub(super) fn linked_cells(&self, through: Through, slot: usize) -> Vec<Cell> {
        let mut found = Vec::new();
        let Some(there) = TableRows::of(self.snapshot, through.source.table) else { return found };
        self.each_linked(through.link, slot, |id| {
            if let Some(other) = there.data.slot(id) {
                found.push(there.data.cell(other, through.source.field));
            }
        });
        found
    }

    /// How many records a link cell holds.
    pub(super) fn count(&self, link: usize, slot: usize) -> usize {
        let mut count = 0;
        self.each_linked(link, slot, |_| count += 1);
        count
    }

    fn each_linked(&self, link: usize, slot: usize, mut visit: impl FnMut(&'s RecordId)) {
        if let Data::Links(links) = self.data.column(link).data()
            && let Some(ids) = links.get(slot)
        {
            ids.iter().for_each(&mut visit);
        }
    }

    /// The names of linked records.
    fn names<'a>(&self, link: usize, slot: usize, arena: &'a Bump) -> Value<'a>
    where
        's: 'a,
    {
        let linked = self.table.fields[link].link().map(|link| link.linked_table_id);
        let Some(table) = self.base().tables.iter().position(|t| Some(t.id) == linked) else {
            return Value::Blank;
        };
        let Some(there) = TableRows::of(self.snapshot, table) else { return Value::Blank };
        let Some(primary) = there.table.field_index(there.table.primary_field_id) else {
            return Value::Blank;
        };
        let mut found = bumpalo::collections::Vec::new_in(arena);
        self.each_linked(link, slot, |id| {
            if let Some(other) = there.data.slot(id) {
                let mut text = String::new();
                // A primary field is no link, so this goes no deeper.
                if there.cell(primary, other, arena).push_text(&mut text).is_ok() {
                    found.push(Value::Text(arena.alloc_str(&text)));
                }
            }
        });
        if found.is_empty() { Value::Blank } else { Value::List(found.into_bump_slice()) }
    }

    /// One cell.
    pub(super) fn cell<'a>(&self, field: usize, slot: usize, arena: &'a Bump) -> Value<'a>
    where
        's: 'a,
    {
        let column = self.data.column(field);
        let kind = &self.table.fields[field].kind;
        if let Some(odd) = column.odd(slot) {
            return json_value(kind, odd, arena);
        }
        match column.data() {
            Data::Text(texts) => match texts.get(slot) {
                text if text.is_empty() => Value::Blank,
                text => Value::Text(text),
            },
            Data::Number(numbers) => number(*numbers.get(slot)).map_or(Value::Blank, Value::Number),
            Data::Check(ticks) if *ticks.get(slot) => Value::Bool(true),
            Data::Check(_) => Value::Blank,
            Data::Instant(instants) => match *instants.get(slot) {
                BLANK_INSTANT => Value::Blank,
                ms => Value::Date(ms, None),
            },
            Data::Choice(places) => {
                let choices = kind.choices().unwrap_or_default();
                choices.get(*places.get(slot) as usize).map_or(Value::Blank, |c| Value::Text(&c.name))
            }
            Data::Choices(lists) => match lists.get(slot) {
                None => Value::Blank,
                Some(places) => {
                    let choices = kind.choices().unwrap_or_default();
                    let names = places.iter().filter_map(|at| choices.get(*at as usize));
                    let mut found = bumpalo::collections::Vec::with_capacity_in(places.len(), arena);
                    found.extend(names.map(|choice| Value::Text(&choice.name)));
                    Value::List(found.into_bump_slice())
                }
            },
            Data::Links(_) => self.names(field, slot, arena),
            Data::Json(values) => match values.get(slot) {
                None => Value::Blank,
                Some(value) => json_value(kind, value, arena),
            },
        }
    }

    /// Where it is known when one of these fields, or any, was last edited.
    fn edits(&self, fields: &[usize]) -> Option<Edits> {
        let watches = self.plan().watches(self.table.id);
        if let Some(watch) = watches.iter().position(|watch| watch.fields == fields) {
            return Some(Edits::Watched(watch));
        }
        let ids: FxHashSet<FieldId> = fields.iter().map(|at| self.table.fields[*at].id).collect();
        let written = || self.table.fields.iter().filter(|field| !field.kind.is_computed());
        let shows = |field: &Field| match &field.kind {
            FieldType::LastModifiedTime { watched, date_only: false } => {
                let watched: FxHashSet<FieldId> = watched.iter().copied().collect();
                // All fields may be meant by none, or by each of them.
                let all = ids.is_empty() && written().all(|field| watched.contains(&field.id));
                all || watched == ids
            }
            _ => false,
        };
        self.table.fields.iter().position(shows).map(Edits::Shown)
    }

    /// Refuses a formula that asks for edits nothing is known of: as blanks they would give a
    /// wrong answer.
    pub(crate) fn knows_edits(&self, program: &Program) -> Result<(), Fault> {
        let Some(fields) = program.watched().iter().find(|fields| self.edits(fields).is_none()) else {
            return Ok(());
        };
        let names: Vec<String> =
            fields.iter().map(|at| format!("{:?}", self.table.fields[*at].name)).collect();
        let (asked, what) = match names.as_slice() {
            [] => (
                "LAST_MODIFIED_TIME()".to_owned(),
                "records were edited; add a Last modified time field".into(),
            ),
            names => {
                let names = names.join(", ");
                let what =
                    format!("{names} were edited; add a Last modified time field that watches just them");
                (format!("LAST_MODIFIED_TIME of {names}"), what)
            }
        };
        let who = if self.snapshot.cloud { "the copy of this base" } else { "this base" };
        let message = format!(
            "{asked}: {who} does not know when {what} to table {:?}, or filter by such a field.",
            self.table.name
        );
        Err(Fault::new(Code::InvalidArguments, message))
    }

    fn lookup(&self, field: usize) -> Option<Through> {
        match self.plan().at(Place { table: self.at, field })?.job {
            Job::Lookup(through) => Some(through),
            _ => None,
        }
    }
}

impl Rows for TableRows<'_> {
    fn value<'a>(&'a self, field: usize, row: usize, work: &Work<'a>) -> Value<'a> {
        match self.lookup(field) {
            // Typed values instead of the JSON of the cell: dates stay dates.
            Some(through) => self.linked(through, row, work),
            None => self.cell(field, row, work.arena),
        }
    }

    fn lane<'a>(&'a self, field: usize, first: usize, len: usize, work: &Work<'a>) -> Lane<'a> {
        let column = self.data.column(field);
        let typed = if column.has_odd() { None } else { typed_lane(self, field, first, len, work.arena) };
        typed.unwrap_or_else(|| {
            let mut values = bumpalo::collections::Vec::with_capacity_in(len, work.arena);
            values.extend((first..first + len).map(|row| self.value(field, row, work)));
            Lane::Values(values.into_bump_slice())
        })
    }

    fn record_id<'a>(&'a self, row: usize, work: &Work<'a>) -> &'a str {
        let mut id = String::with_capacity(17);
        self.data.row(row).id.push_to(&mut id);
        work.arena.alloc_str(&id)
    }

    fn created(&self, row: usize) -> Option<i64> {
        Some(self.data.row(row).created)
    }

    fn modified(&self, row: usize, fields: &[usize]) -> Option<i64> {
        match self.edits(fields)? {
            // A record nobody edited since it was made.
            Edits::Watched(watch) if fields.is_empty() => {
                self.data.edited(watch, row).or_else(|| self.created(row))
            }
            Edits::Watched(watch) => self.data.edited(watch, row),
            Edits::Shown(field) => match self.data.cell(row, field) {
                Cell::Instant(ms) => Some(ms),
                _ => None,
            },
        }
    }
}

/// The cells of a field as they lie in its column.
fn typed_lane<'a>(
    rows: &'a TableRows<'_>,
    field: usize,
    first: usize,
    len: usize,
    arena: &'a Bump,
) -> Option<Lane<'a>> {
    Some(match rows.data.column(field).data() {
        Data::Number(numbers) => Lane::Numbers(numbers.piece(first)?.get(..len)?),
        Data::Text(texts) => Lane::Texts(texts.piece(first)?.get(..len)?),
        Data::Instant(instants) => Lane::Instants(instants.piece(first)?.get(..len)?),
        Data::Check(ticks) => Lane::Ticks(ticks.piece(first)?.get(..len)?),
        Data::Choice(places) => {
            let choices = rows.table.fields[field].kind.choices().unwrap_or_default();
            let mut names = bumpalo::collections::Vec::with_capacity_in(choices.len(), arena);
            names.extend(choices.iter().map(|choice| Value::Text(&choice.name)));
            Lane::Choices(places.piece(first)?.get(..len)?, names.into_bump_slice(), Value::Blank)
        }
        _ => return None,
    })
}
