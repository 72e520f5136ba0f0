//! One value for each row of a batch, laid out by what is known about them.

use ecow::EcoString;
use tablewright_core::model::cell::{BLANK_INSTANT, BLANK_NUMBER};

use crate::value::Value;

/// Most rows of one batch.
pub const BATCH: usize = 1024;

/// One value for each row of a batch.
#[derive(Clone, Copy)]
pub enum Lane<'a> {
    /// The same for all rows.
    Same(Value<'a>),
    /// Numbers; the blank mark is nothing.
    Numbers(&'a [f64]),
    /// Conditions.
    Truths(&'a [bool]),
    /// Ticks: false is nothing.
    Ticks(&'a [bool]),
    /// Texts; empty is nothing.
    Texts(&'a [EcoString]),
    /// Instants; the blank mark is nothing.
    Instants(&'a [i64]),
    /// Places in a list of values, and the value of the blank mark.
    Choices(&'a [u32], &'a [Value<'a>], Value<'a>),
    /// Anything.
    Values(&'a [Value<'a>]),
}

impl<'a> Lane<'a> {
    /// The value of one row of the batch.
    #[inline]
    pub fn at(&self, row: usize) -> Value<'a> {
        match self {
            Self::Same(value) => *value,
            Self::Numbers(all) => match all[row] {
                n if n.to_bits() == BLANK_NUMBER => Value::Blank,
                n => Value::Number(n),
            },
            Self::Truths(all) => Value::Bool(all[row]),
            Self::Ticks(all) if all[row] => Value::Bool(true),
            Self::Ticks(_) => Value::Blank,
            Self::Texts(all) if all[row].is_empty() => Value::Blank,
            Self::Texts(all) => Value::Text(&all[row]),
            Self::Instants(all) => match all[row] {
                BLANK_INSTANT => Value::Blank,
                ms => Value::Date(ms, None),
            },
            // The blank mark lies behind every list.
            Self::Choices(all, values, blank) => values.get(all[row] as usize).copied().unwrap_or(*blank),
            Self::Values(all) => all[row],
        }
    }
}

/// Which rows of a batch are wanted.
#[derive(Clone, Copy)]
pub enum Selection<'a> {
    /// The first so many.
    All(usize),
    /// These.
    Some(&'a [u16]),
}

impl Selection<'_> {
    pub(super) fn each(self, mut visit: impl FnMut(usize)) {
        match self {
            Self::All(len) => (0..len).for_each(visit),
            Self::Some(rows) => rows.iter().for_each(|row| visit(usize::from(*row))),
        }
    }

    pub(super) fn len(self) -> usize {
        match self {
            Self::All(len) => len,
            Self::Some(rows) => rows.len(),
        }
    }
}
