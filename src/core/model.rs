//! Bases, tables, fields, records: Airtable's model as types.

pub mod cell;
pub mod field;
pub mod id;
pub mod reference;
pub mod schema;

pub use cell::Cell;
pub use field::{Choice, Field, FieldType};
pub use id::{BaseId, ChoiceId, FieldId, Id, RecordId, TableId, ViewId};
pub use reference::Reference;
pub use schema::{Base, Sort, Table, View};
