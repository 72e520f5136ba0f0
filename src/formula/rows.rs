//! Where programs read cells.

use bumpalo::Bump;

use crate::program::Lane;
use crate::value::{Owned, Value};
use crate::work::Work;

/// Rows of a table.
pub trait Rows {
    /// One cell.
    fn value<'a>(&'a self, field: usize, row: usize, work: &Work<'a>) -> Value<'a>;

    /// The cells of a field in the `len` rows from `first` on; at most a batch.
    fn lane<'a>(&'a self, field: usize, first: usize, len: usize, work: &Work<'a>) -> Lane<'a> {
        let values = (first..first + len).map(|row| self.value(field, row, work));
        Lane::Values(collect(work.arena, values, len))
    }

    /// The record's id.
    fn record_id<'a>(&'a self, row: usize, work: &Work<'a>) -> &'a str;

    /// When the record was created.
    fn created(&self, row: usize) -> Option<i64>;

    /// When one of the fields (any, when none is named) was last edited.
    fn modified(&self, row: usize, fields: &[usize]) -> Option<i64>;
}

/// The items as a slice in the arena. `len` is how many there are.
pub(crate) fn collect<T: Copy>(arena: &Bump, items: impl Iterator<Item = T>, len: usize) -> &[T] {
    let mut kept = bumpalo::collections::Vec::with_capacity_in(len, arena);
    kept.extend(items);
    kept.into_bump_slice()
}

/// No rows: every field is blank. For constant formulas.
pub struct NoRows;

impl Rows for NoRows {
    fn value<'a>(&'a self, _: usize, _: usize, _: &Work<'a>) -> Value<'a> {
        Value::Blank
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

/// One row given by hand.
#[derive(Debug, Clone, Default)]
pub struct GivenRow {
    /// The cells, in the order of the scope's fields.
    pub cells: Vec<Owned>,
    /// The record's id.
    pub id: String,
    /// When it was created.
    pub created: Option<i64>,
    /// When it was last edited.
    pub modified: Option<i64>,
}

impl Rows for GivenRow {
    fn value<'a>(&'a self, field: usize, _: usize, work: &Work<'a>) -> Value<'a> {
        self.cells.get(field).map_or(Value::Blank, |cell| cell.value(work.arena))
    }

    fn record_id<'a>(&'a self, _: usize, _: &Work<'a>) -> &'a str {
        &self.id
    }

    fn created(&self, _: usize) -> Option<i64> {
        self.created
    }

    fn modified(&self, _: usize, _: &[usize]) -> Option<i64> {
        self.modified
    }
}
