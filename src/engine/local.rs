//! Airtable's rules for a base that lives here: what a write must be, and what it does.

mod apply;
mod columns;
mod create;
mod draft;
mod links;
mod lost;
mod options;
mod resolve;
mod restore;
pub mod schema;
mod upsert;
mod values;

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tablewright_core::Fault;
use tablewright_core::model::{RecordId, TableId};

use crate::base::Snapshot;

pub use apply::Applied;
pub use create::other_side_name;
pub(crate) use draft::Before;
pub use draft::Draft;
pub use links::complete_inverses;
pub(crate) use lost::lost;
pub use options::fill_in;
pub use restore::Restored;
pub(crate) use upsert::merge_text;
pub use values::local_instant;
pub(crate) use values::natural_cell;

/// A write to one table of a base.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Write {
    /// The table.
    pub table: TableId,
    /// What to do.
    pub action: Action,
    /// Convert values to the field's type where that is possible, and create missing choices.
    pub typecast: bool,
    /// One bad record fails all of them.
    pub atomic: bool,
}

/// What to do with records.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Action {
    /// New records with these cells, by field name or id.
    Create(Vec<Map<String, Value>>),
    /// New cells for these records; the cells not named stay.
    Update(Vec<(RecordId, Map<String, Value>)>),
    /// New cells for these records; what can be written and is not named is emptied.
    Replace(Vec<(RecordId, Map<String, Value>)>),
    /// Records to update or create, whichever the merge fields say.
    Upsert {
        /// Up to 3 fields, by name or id, whose values tell records apart; with none, a record
        /// without an id is new.
        on: Vec<String>,
        /// The records; one with an id is that record, whatever its values.
        records: Vec<(Option<RecordId>, Map<String, Value>)>,
        /// Empty what is not named in records that are updated.
        replace: bool,
    },
    /// Records to delete.
    Delete(Vec<RecordId>),
    /// Rows of any tables of the base to put back as they were. Only for a base that lives here.
    Restore {
        /// The rows.
        rows: Vec<Restored>,
        /// The changes that are taken back with it.
        undoes: Vec<i64>,
    },
}

impl Action {
    /// How many records it is about.
    pub fn len(&self) -> usize {
        match self {
            Self::Create(records) => records.len(),
            Self::Update(records) | Self::Replace(records) => records.len(),
            Self::Upsert { records, .. } => records.len(),
            Self::Delete(ids) => ids.len(),
            Self::Restore { rows, .. } => rows.len(),
        }
    }

    /// How many of them it deletes.
    pub fn deletes(&self) -> usize {
        match self {
            Self::Delete(ids) => ids.len(),
            Self::Restore { rows, .. } => rows.iter().filter(|row| row.cells.is_none()).count(),
            _ => 0,
        }
    }

    /// The records it names; new ones have no ids yet.
    pub fn ids(&self) -> Vec<RecordId> {
        match self {
            Self::Create(_) => Vec::new(),
            Self::Update(records) | Self::Replace(records) => records.iter().map(|(id, _)| *id).collect(),
            Self::Upsert { records, .. } => records.iter().filter_map(|(id, _)| *id).collect(),
            Self::Delete(ids) => ids.clone(),
            Self::Restore { rows, .. } => rows.iter().map(|row| row.id).collect(),
        }
    }

    /// Takes out the records whose places, from 0, are not to be kept.
    pub fn retain(&mut self, keep: impl Fn(usize) -> bool) {
        let mut at = 0;
        let mut next = || {
            at += 1;
            keep(at - 1)
        };
        match self {
            Self::Create(records) => records.retain(|_| next()),
            Self::Update(records) | Self::Replace(records) => records.retain(|_| next()),
            Self::Upsert { records, .. } => records.retain(|_| next()),
            Self::Delete(ids) => ids.retain(|_| next()),
            Self::Restore { rows, .. } => rows.retain(|_| next()),
        }
    }

    /// True when it is about none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What became of each record of a write, in the order they were sent.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The record, or why it was refused.
    pub records: Vec<Result<RecordId, Fault>>,
    /// Those of them that were not there before.
    pub created: Vec<RecordId>,
    /// The base with the write in it.
    pub snapshot: Arc<Snapshot>,
    /// The commit in the change log; absent when nothing changed.
    pub change: Option<i64>,
    /// Records that typecast created in other tables: name of the table and how many.
    pub created_elsewhere: Vec<(String, usize)>,
}
