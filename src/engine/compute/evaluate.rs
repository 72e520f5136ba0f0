//! Formulas over whole tables, within bounds.

use bumpalo::Bump;
use tablewright_core::{Code, Fault};
use tablewright_formula::{BATCH, Lane, Owned, Program, Span, Value, Work};

use super::cells;
use super::define::field_for;
use super::view::TableRows;
use crate::base::{Column, Snapshot};

/// Most work of one evaluation over a table: bytes read or made, items met, functions called.
/// Some seconds; what is sensible takes a hundredth of it.
const MAX_WORK_PER_TABLE: u64 = 2_000_000_000;
/// Most work to keep the computed fields of a base in step with one change.
const MAX_WORK_PER_BASE: u64 = 4_000_000_000;
/// Most bytes of texts and lists one evaluation may make to keep.
const MAX_KEPT: usize = 256 << 20;

/// Work and room that may still be taken.
pub(crate) struct Effort {
    work: u64,
    room: usize,
}

impl Effort {
    /// For one evaluation over a table.
    pub(crate) fn for_table() -> Self {
        Self { work: MAX_WORK_PER_TABLE, room: MAX_KEPT }
    }

    /// For the computed fields of a base.
    pub(crate) fn for_base() -> Self {
        Self { work: MAX_WORK_PER_BASE, room: MAX_KEPT * 4 }
    }

    pub(super) fn take(&mut self, work: u64) {
        self.work = self.work.saturating_sub(work);
    }

    pub(super) fn is_spent(&self) -> bool {
        self.work == 0 || self.room == 0
    }
}

/// Runs a program over all rows, and hands out each batch: how many rows, and their values. What
/// is given back is how many bytes of them are kept. False when the effort ended before the rows.
pub(crate) fn by_column(
    program: &Program,
    rows: &TableRows<'_>,
    len: usize,
    now: i64,
    effort: &mut Effort,
    mut each: impl FnMut(usize, &Lane<'_>) -> usize,
) -> bool {
    let mut arena = Bump::new();
    let mut first = 0;
    while first < len {
        if effort.is_spent() {
            return false;
        }
        let count = BATCH.min(len - first);
        {
            let work = Work::new(&arena, now);
            let lane = program.rows(rows, first, count, &work);
            let kept = each(count, &lane);
            effort.take(work.used());
            effort.room = effort.room.saturating_sub(kept);
        }
        arena.reset();
        first += count;
    }
    true
}

/// The fault of a formula that takes more than the bound.
pub(crate) fn too_much() -> Fault {
    Fault::new(
        Code::LimitExceeded,
        "the formula takes more work over this table than is allowed; make it simpler, or ask for fewer records.",
    )
}

/// Works a formula out for the rows in `slots`, or for all, and hands out each row's slot and
/// value.
pub fn evaluate(
    snapshot: &Snapshot,
    table: usize,
    program: &Program,
    slots: Option<&[usize]>,
    now: i64,
    each: &mut dyn FnMut(usize, Value<'_>),
) -> Result<(), Fault> {
    let Some(rows) = TableRows::of(snapshot, table) else { return Ok(()) };
    rows.knows_edits(program)?;
    let mut effort = Effort::for_table();
    let Some(slots) = slots else {
        let mut slot = 0;
        let whole = by_column(program, &rows, rows.capacity(), now, &mut effort, |count, lane| {
            for row in 0..count {
                if rows.is_live(slot) {
                    each(slot, lane.at(row));
                }
                slot += 1;
            }
            0
        });
        return if whole { Ok(()) } else { Err(too_much()) };
    };
    let mut arena = Bump::new();
    for slot in slots {
        if effort.is_spent() {
            return Err(too_much());
        }
        let work = Work::new(&arena, now);
        each(*slot, program.row(&rows, *slot, &work));
        effort.take(work.used());
        arena.reset();
    }
    Ok(())
}

/// Every part of a formula with its value for one row.
pub fn trace(
    snapshot: &Snapshot,
    table: usize,
    program: &Program,
    slot: usize,
    now: i64,
    limit: usize,
) -> Vec<(Span, Owned)> {
    let Some(rows) = TableRows::of(snapshot, table) else { return Vec::new() };
    let arena = Bump::new();
    let parts = program.trace(&rows, slot, &Work::new(&arena, now), limit);
    parts.into_iter().map(|(span, value)| (span, value.own())).collect()
}

/// Works a formula out as a new column, as a field would be, and drops it: how many rows it has.
/// For measuring.
pub fn rehearse(snapshot: &Snapshot, table: usize, program: &Program, now: i64) -> Result<usize, Fault> {
    let (Some(rows), Some(field)) = (TableRows::of(snapshot, table), field_for(program.result())) else {
        return Ok(0);
    };
    rows.knows_edits(program)?;
    let mut column = Column::blank(&field.kind, 0);
    let whole = by_column(program, &rows, rows.capacity(), now, &mut Effort::for_table(), |count, lane| {
        cells::append(&mut column, &field, lane, count)
    });
    if whole { Ok(std::hint::black_box(&column).len()) } else { Err(too_much()) }
}
