//! Which rows a formula keeps.

use std::sync::Arc;

use tablewright_core::model::Table;
use tablewright_core::{Code, Fault};
use tablewright_formula::{Problem, Program, Scope, compile};

use super::snapshot::Snapshot;
use super::table::TableData;
use crate::compute::{Effort, TableRows, by_column, evaluate, too_much};

/// Conditions that all have to hold.
#[derive(Debug, Default)]
pub struct Filter {
    programs: Vec<Arc<Program>>,
    now: i64,
}

impl Filter {
    /// A filter that keeps every row. `now` is what NOW() means.
    pub fn at(now: i64) -> Self {
        Self { programs: Vec::new(), now }
    }

    /// Conditions that were compiled before.
    pub fn of(programs: Vec<Arc<Program>>, now: i64) -> Self {
        Self { programs, now }
    }

    /// Adds a formula over the fields of the table. `place` says where it stands, for messages.
    pub fn and(mut self, scope: &Scope, formula: &str, place: &str) -> Result<Self, Fault> {
        let (program, _) = compile(formula, scope).map_err(|problems| {
            Fault::new(Code::InvalidArguments, format!("{place}: {}", Problem::joined(&problems)))
        })?;
        self.programs.push(Arc::new(program));
        Ok(self)
    }

    /// True when it keeps every row.
    pub fn is_empty(&self) -> bool {
        self.programs.is_empty()
    }

    /// True when what it keeps changes with the time of day.
    pub fn is_volatile(&self) -> bool {
        self.programs.iter().any(|program| program.is_volatile())
    }

    /// True when it asks when records were edited.
    pub fn asks_for_edits(&self) -> bool {
        self.programs.iter().any(|program| !program.watched().is_empty())
    }

    /// The places of the fields it reads.
    pub fn fields(&self) -> impl Iterator<Item = usize> {
        self.programs.iter().flat_map(|program| program.fields().iter().copied())
    }

    /// The slots it keeps, in the table's own order. Errors, blanks, 0 and "" do not hold.
    pub fn slots(&self, snapshot: &Snapshot, table: &Table, data: &TableData) -> Result<Vec<usize>, Fault> {
        if self.programs.is_empty() {
            return Ok(data.slots().collect());
        }
        let at = snapshot.schema.tables.iter().position(|t| t.id == table.id);
        let Some(rows) = at.and_then(|at| TableRows::of(snapshot, at)) else { return Ok(Vec::new()) };
        let mut kept = vec![true; data.capacity()];
        let mut effort = Effort::for_table();
        for program in &self.programs {
            rows.knows_edits(program).map_err(|fault| fault.within("filter"))?;
            let mut slot = 0;
            let whole = by_column(program, &rows, data.capacity(), self.now, &mut effort, |count, lane| {
                for row in 0..count {
                    kept[slot] &= lane.at(row).truth().unwrap_or(false);
                    slot += 1;
                }
                0
            });
            if !whole {
                return Err(too_much().within("filter"));
            }
        }
        Ok(data.slots().filter(|slot| kept[*slot]).collect())
    }

    /// For each of these slots whether the filter keeps it.
    pub fn keeps(&self, snapshot: &Snapshot, table: usize, slots: &[usize]) -> Result<Vec<bool>, Fault> {
        let mut kept = vec![true; slots.len()];
        for program in &self.programs {
            let mut at = 0;
            evaluate(snapshot, table, program, Some(slots), self.now, &mut |_, value| {
                kept[at] &= value.truth().unwrap_or(false);
                at += 1;
            })
            .map_err(|fault| fault.within("filter"))?;
        }
        Ok(kept)
    }
}
