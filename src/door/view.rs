//! What a caller sees of a base: a moment of it, with the fields and rows they may see.

use std::sync::Arc;

use serde_json::{Map, Value};
use tablewright_core::Fault;
use tablewright_core::model::{Base, Cell, Field, RecordId, Table, TableId};
use tablewright_engine::Snapshot;
use tablewright_engine::base::search::Hit;
use tablewright_engine::base::{Column, Filter, Page, Query, Row, TableData, before, query, search};
use tablewright_engine::compute::{self, Place};
use tablewright_engine::replica::Source;
use tablewright_formula::{self as formula, Owned, Program, Scope, Span};

/// A base at one moment, as one caller sees it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct BaseView {
    snapshot: Arc<Snapshot>,
    source: Source,
}

impl BaseView {
    pub(crate) fn new(snapshot: Arc<Snapshot>, source: Source) -> Self {
        Self { snapshot, source }
    }

    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.clone()
    }

    /// Where it comes from, and how old it is.
    pub fn source(&self) -> Source {
        self.source
    }

    /// True for the copy of a base that lives in Airtable.
    pub fn is_cloud(&self) -> bool {
        self.snapshot.cloud
    }

    /// The last commit of the change log that is in it.
    pub fn change(&self) -> i64 {
        self.snapshot.change
    }

    /// Names, tables, fields, views.
    pub fn schema(&self) -> &Base {
        &self.snapshot.schema
    }

    /// Counts the commits to the base, since it was read into memory.
    pub fn version(&self) -> u64 {
        self.snapshot.version
    }

    /// The table named `wanted`: id, name or URL.
    pub fn table(&self, wanted: &str) -> Result<TableView, Fault> {
        let id = self.schema().table(wanted)?.id;
        self.table_by_id(id)
    }

    /// The table with this id.
    pub fn table_by_id(&self, id: TableId) -> Result<TableView, Fault> {
        let (_, data) = self.snapshot.table(id)?;
        let at = self.schema().tables.iter().position(|t| t.id == id).unwrap_or_default();
        Ok(TableView { base: self.clone(), at, data: data.clone() })
    }

    /// All tables, in order.
    pub fn tables(&self) -> impl Iterator<Item = TableView> {
        self.schema().tables.iter().filter_map(|t| self.table_by_id(t.id).ok())
    }
}

/// A table at one moment, as one caller sees it.
#[derive(Clone, Debug)]
pub struct TableView {
    base: BaseView,
    at: usize,
    data: Arc<TableData>,
}

impl TableView {
    /// The base it belongs to.
    pub fn base(&self) -> &BaseView {
        &self.base
    }

    /// Its fields and views.
    pub fn schema(&self) -> &Table {
        &self.base.schema().tables[self.at]
    }

    /// How many records it has.
    pub fn len(&self) -> usize {
        self.data.len()
    }

    /// True when it has no records.
    pub fn is_empty(&self) -> bool {
        self.data.is_empty()
    }

    /// Counts the commits that touched this table, since it was read into memory.
    pub fn version(&self) -> u64 {
        self.data.version
    }

    /// What a formula over this table may name.
    pub fn scope(&self) -> Scope {
        Scope::of_table(self.schema())
    }

    /// Works a formula out for the rows in `slots`, or for all, and hands out each row's slot
    /// and value. `now` is what NOW() means.
    pub fn evaluate(
        &self,
        program: &Program,
        slots: Option<&[usize]>,
        now: i64,
        each: &mut dyn FnMut(usize, formula::Value<'_>),
    ) -> Result<(), Fault> {
        compute::evaluate(&self.base.snapshot, self.at, program, slots, now, each)
    }

    /// Works a formula out for all rows as a new column, and drops it: how many rows it has.
    pub fn rehearse(&self, program: &Program, now: i64) -> Result<usize, Fault> {
        compute::rehearse(&self.base.snapshot, self.at, program, now)
    }

    /// Every part of a formula with its value for one row, at most `limit` of them.
    pub fn trace(&self, program: &Program, slot: usize, now: i64, limit: usize) -> Vec<(Span, Owned)> {
        compute::trace(&self.base.snapshot, self.at, program, slot, now, limit)
    }

    /// The rows a query asks for.
    pub fn page(&self, query: &Query) -> Result<Page, Fault> {
        query::run(&self.base.snapshot, self.schema(), &self.data, query)
    }

    /// The slots a filter keeps, in the table's own order.
    pub fn matching(&self, filter: &Filter) -> Result<Vec<usize>, Fault> {
        filter.slots(&self.base.snapshot, self.schema(), &self.data)
    }

    /// For each of these slots whether a filter keeps it.
    pub fn keeps(&self, filter: &Filter, slots: &[usize]) -> Result<Vec<bool>, Fault> {
        filter.keeps(&self.base.snapshot, self.at, slots)
    }

    /// The table with these records as they were: stored cells by field id, of one that is gone all
    /// of them.
    pub fn before(&self, rows: Vec<(RecordId, Map<String, Value>)>, now: i64) -> Result<Self, Fault> {
        let was = before(&self.base.snapshot, self.schema().id, rows, now);
        BaseView::new(Arc::new(was), self.base.source).table_by_id(self.schema().id)
    }

    /// Rows that hold all of the words of a search, best first.
    pub fn search(&self, terms: &[String]) -> Vec<Hit> {
        let masked = |at: &usize| self.schema().fields[*at].mask.is_some();
        let fields: Vec<usize> = (0..self.schema().fields.len()).filter(|at| !masked(at)).collect();
        search::run(&self.base.snapshot, self.schema(), &self.data, &fields, terms)
    }

    /// The slots of all records, in the table's own order.
    pub fn slots(&self) -> impl Iterator<Item = usize> {
        self.data.slots()
    }

    /// Appends the name of the record in a slot.
    pub fn push_name(&self, out: &mut String, slot: usize) {
        let table = self.schema();
        if let Some(primary) = table.field_index(table.primary_field_id) {
            self.push_text(out, &table.fields[primary], &self.cell(slot, primary));
        }
    }

    /// The slot of a record.
    pub fn slot(&self, id: &RecordId) -> Option<usize> {
        self.data.slot(id)
    }

    /// The slot of the row at a position in the table's own order; `None` once it is deleted.
    pub fn slot_at(&self, position: i64) -> Option<usize> {
        let slot = self.data.slot_after(position.checked_sub(1)?);
        let held = slot < self.data.capacity() && self.data.is_live(slot);
        (held && self.data.row(slot).position == position).then_some(slot)
    }

    /// A row's id and times.
    pub fn row(&self, slot: usize) -> &Row {
        self.data.row(slot)
    }

    /// One cell, by slot and place among the fields.
    pub fn cell(&self, slot: usize, field: usize) -> Cell {
        self.data.cell(slot, field)
    }

    /// The cells of a field, by its place among the fields.
    pub fn column(&self, field: usize) -> &Column {
        self.data.column(field)
    }

    /// True for a field of a copy whose values change with the time of day: they are as old as the
    /// record's last fetch.
    pub fn is_timely(&self, field: usize) -> bool {
        self.base.snapshot.plan.is_timely(Place { table: self.at, field })
    }

    /// Appends what a person would read in a cell.
    pub fn push_text(&self, out: &mut String, field: &Field, cell: &Cell) {
        self.base.snapshot.push_text(out, field, cell);
    }

    /// Appends the name of a record that a cell of `link` leads to; its id when it has no name.
    pub fn push_linked_name(&self, out: &mut String, link: &Field, id: &RecordId) {
        self.base.snapshot.push_name(out, link, id);
    }
}
