//! A write as it will be carried out.

use tablewright_core::model::{BaseId, TableId};
use tablewright_core::{Code, Fault};
use tablewright_engine::local::{Action, Write};

use crate::access::{Need, Rights};
use crate::view::TableView;

/// Most records of one call.
pub const MAX_RECORDS: usize = 50_000;

/// How a write is carried out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WriteOptions {
    /// Convert values to the field's type where that is possible, and create missing choices.
    pub typecast: bool,
    /// One bad record fails all of them.
    pub atomic: bool,
}

/// A checked write. Carried out by [`crate::Call::apply`].
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    pub(crate) base: BaseId,
    pub(crate) write: Write,
}

impl Plan {
    /// A plan to do `action` on the table of `view`, if the rights allow it.
    pub(crate) fn new(
        view: &TableView,
        action: Action,
        options: WriteOptions,
        rights: Rights,
    ) -> Result<Self, Fault> {
        let need = if matches!(action, Action::Delete(_)) { Need::Delete } else { Need::Write };
        rights.require(need)?;
        match action.len() {
            0 => {
                return Err(Fault::new(
                    Code::InvalidArguments,
                    "records is empty; send at least one record.",
                ));
            }
            n if n > MAX_RECORDS => {
                return Err(Fault::new(
                    Code::LimitExceeded,
                    format!(
                        "a call writes at most {MAX_RECORDS} records, not {n}; send them in several calls."
                    ),
                ));
            }
            _ => {}
        }
        let WriteOptions { typecast, atomic } = options;
        let write = Write { table: view.schema().id, action, typecast, atomic };
        Ok(Self { base: view.base().schema().id, write })
    }

    /// How many records it writes.
    pub fn records(&self) -> usize {
        self.write.action.len()
    }

    /// The table it writes to.
    pub fn table(&self) -> TableId {
        self.write.table
    }
}
