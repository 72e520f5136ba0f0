//! What a commit changed, as the change log keeps it.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tablewright_core::model::{BaseId, Field, RecordId, Table, TableId, ViewId};

/// One row before and after; stored cells by field id. Absent fields did not change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RowChange {
    /// The record.
    pub id: RecordId,
    /// The changed cells as they were; absent for a created record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Map<String, Value>>,
    /// The changed cells as they are; absent for a deleted record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Map<String, Value>>,
}

/// The changes of one table, in the order they were made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TableChanges {
    /// The table.
    pub table: TableId,
    /// Its rows: what was written.
    pub rows: Vec<RowChange>,
    /// Computed cells that changed with them; noted only while a webhook of the base wants them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub computed: Vec<RowChange>,
}

/// What kind of commit it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    /// Records were created, updated or deleted.
    Records,
    /// Tables, fields or views changed, or the base's name.
    Schema,
    /// Comments were added, edited or deleted; `tables` names the records.
    Comments,
    /// A new empty base.
    BaseCreated,
    /// A base came in from a file; rows are not listed.
    Imported,
    /// A base was deleted.
    BaseDeleted,
}

/// Who made a commit, and by which call.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Author {
    /// The principal: `local`, `token:NAME`, `airtable`.
    pub principal: Arc<str>,
    /// Through which face: `mcp`, `rest`, `cli`; empty when that is not known.
    pub face: Arc<str>,
    /// The tool, endpoint or command.
    pub action: Arc<str>,
    /// The program that called, as it names itself; empty when it does not.
    pub client: Arc<str>,
    /// The conversation; empty outside of one.
    pub session: Arc<str>,
    /// The call; the same for all commits it makes.
    pub call: Arc<str>,
    /// The plan that was carried out.
    pub plan: Option<Arc<str>>,
}

impl Author {
    /// Somebody of whom only the name and the face are known.
    pub fn of(principal: &str, face: &str) -> Self {
        Self { principal: principal.into(), face: face.into(), ..Self::default() }
    }
}

/// One commit in the change log. Ordered by `seq`, which never repeats.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// Its place in the log of the whole store; the cursor.
    pub seq: i64,
    /// The base.
    pub base: BaseId,
    /// When, in milliseconds since the epoch.
    pub at: i64,
    /// Who, by which call.
    pub author: Author,
    /// What kind of commit.
    pub kind: ChangeKind,
    /// What changed in rows.
    pub tables: Vec<TableChanges>,
    /// What changed in the schema.
    pub schema: Vec<SchemaChange>,
    /// Tables with a computed cell that changed; only in the live feed.
    #[serde(skip)]
    pub recomputed: Vec<TableId>,
}

/// Name and description of a table or field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Named {
    /// What people see.
    pub name: String,
    /// What its author wrote about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// One change of a schema.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum SchemaChange {
    /// The base has another name.
    BaseRenamed {
        /// As it was.
        before: String,
        /// As it is.
        after: String,
    },
    /// A new table; its fields are not listed one by one.
    TableCreated {
        /// The table.
        table: TableId,
        /// As it was made; absent in older logs.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after: Option<Table>,
    },
    /// Another name or description.
    TableChanged {
        /// The table.
        table: TableId,
        /// As it was.
        before: Named,
        /// As it is.
        after: Named,
    },
    /// A table is gone with its records.
    TableDeleted {
        /// The table.
        table: TableId,
        /// As it was.
        before: Named,
    },
    /// A new field.
    FieldCreated {
        /// Its table.
        table: TableId,
        /// The field as it is.
        field: Box<Field>,
    },
    /// Another name, type, description or other options.
    FieldChanged {
        /// Its table.
        table: TableId,
        /// As it was.
        before: Box<Field>,
        /// As it is.
        after: Box<Field>,
    },
    /// A field is gone with its cells.
    FieldDeleted {
        /// Its table.
        table: TableId,
        /// As it was.
        before: Box<Field>,
    },
    /// A view came, changed or went.
    ViewChanged {
        /// Its table.
        table: TableId,
        /// The view.
        view: ViewId,
    },
}
