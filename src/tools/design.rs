//! Making and changing bases, tables, fields and views.

mod fields;
mod options;
mod plan;
mod remove;
mod tables;
mod views;

use schemars::JsonSchema;
use serde::Serialize;
use tablewright_core::model::{Base, Field, Table, TableId};
use tablewright_core::{Code, Fault};
use tablewright_toolkit::{Answer, text};

pub use fields::{CreateField, UpdateField};
pub use remove::{DeleteBase, DeleteField, DeleteTable};
pub use tables::{CreateBase, CreateTable, UpdateTable};
pub use views::{CreateView, DeleteView, UpdateView};

fn answer(result: impl Serialize) -> Answer {
    Answer::Structured(serde_json::to_value(result).unwrap_or_default())
}

/// A list, unless it is empty.
pub(crate) fn some<T>(list: Vec<T>) -> Option<Vec<T>> {
    (!list.is_empty()).then_some(list)
}

/// A text of the caller's, whole again.
fn accepted(given: Option<String>) -> Result<Option<String>, Fault> {
    given.map(|given| text::accept(&given)).transpose()
}

/// The fault of a change that changes nothing.
fn nothing(what: &str) -> Fault {
    Fault::new(Code::InvalidArguments, format!("there is nothing to change; send {what}."))
}

/// Something with a name.
#[derive(Debug, Serialize, JsonSchema)]
struct Named {
    id: String,
    name: String,
}

impl Named {
    fn field(field: &Field) -> Self {
        Self { id: field.id.to_string(), name: field.name.clone() }
    }

    fn fields(table: &Table) -> Vec<Self> {
        table.fields.iter().map(Self::field).collect()
    }
}

/// A field of another table.
#[derive(Debug, Serialize, JsonSchema)]
struct Elsewhere {
    table: String,
    id: String,
    name: String,
}

/// What was changed or is gone.
#[derive(Debug, Serialize, JsonSchema)]
struct Changed {
    id: String,
    name: String,
    /// Number in the change log.
    change: i64,
}

/// The link fields of other tables that lead to a table.
fn links_to(base: &Base, table: TableId) -> Vec<Elsewhere> {
    let others = base.tables.iter().filter(|other| other.id != table);
    others
        .flat_map(|other| {
            let back = other.fields.iter().filter(|f| f.link().is_some_and(|l| l.linked_table_id == table));
            back.map(|f| Elsewhere { table: other.name.clone(), id: f.id.to_string(), name: f.name.clone() })
        })
        .collect()
}
