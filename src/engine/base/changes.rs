//! What a commit changed, as the change log keeps it.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tablewright_core::model::{BaseId, RecordId, TableId};

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
    /// Its rows.
    pub rows: Vec<RowChange>,
}

/// What kind of commit it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    /// Records were created, updated or deleted.
    Records,
    /// A base came in from a file; rows are not listed.
    Imported,
    /// A base was deleted.
    BaseDeleted,
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
    /// Who.
    pub by: String,
    /// What kind of commit.
    pub kind: ChangeKind,
    /// What changed.
    pub tables: Vec<TableChanges>,
}
