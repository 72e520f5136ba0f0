//! What a batch of commits writes, in one transaction.

use std::sync::Arc;

use serde_json::{Map, Value};
use sqlx::{QueryBuilder, Sqlite};
use tablewright_core::model::id::ID_LEN;
use tablewright_core::model::{Base, BaseId, RecordId, TableId};

use super::audit::write_audit;
use super::journal::mark_undone;
use super::read::Cloud;
use super::replicas::put_replica;
use super::tasks::{TaskPart, add_part};
use super::upstream_writes;
use super::{Error, Store};
use crate::base::changes::{Author, ChangeKind};
use crate::base::{Change, SchemaChange, Snapshot, TableChanges};
use crate::comments::CommentRow;

/// Rows per INSERT statement.
const ROWS_PER_STATEMENT: usize = 64;

/// One line of the audit log.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditEntry {
    /// When, in milliseconds since the epoch.
    pub at: i64,
    /// Who, by which call.
    pub author: Author,
    /// Ids of what it was about.
    pub target: String,
    /// Ids of the records it named.
    pub records: Vec<RecordId>,
    /// `ok` or a fault's code.
    pub outcome: String,
    /// How long it took, in microseconds.
    pub duration_us: i64,
    /// Requests to Airtable that were made for it.
    pub upstream: u32,
    /// Records it created or changed.
    pub written: u32,
    /// Records it deleted.
    pub deleted: u32,
}

impl AuditEntry {
    /// The ids of its records as they are stored, a blank between them.
    pub fn records(&self) -> String {
        let mut out = String::with_capacity(self.records.len() * (ID_LEN + 1));
        for (at, id) in self.records.iter().enumerate() {
            if at > 0 {
                out.push(' ');
            }
            id.push_to(&mut out);
        }
        out
    }
}

/// One commit for the change log.
#[derive(Debug, Clone)]
pub struct LoggedChange {
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
    /// Tables with a computed cell that changed; not stored.
    pub recomputed: Vec<TableId>,
    /// Numbers of earlier changes that this one takes back.
    pub undoes: Vec<i64>,
    /// What was before a change of the schema.
    pub schema_before: Option<SchemaBefore>,
    /// Comments before and after a change of them.
    pub comments: Vec<CommentRow>,
}

/// What was before a change of the schema, so that it can be taken back.
#[derive(Debug, Clone)]
pub struct SchemaBefore {
    /// Rows that lost something: as they were, and with what is left of them.
    pub lost: Vec<TableChanges>,
    /// The whole schema.
    pub schema: Arc<Base>,
}

impl LoggedChange {
    /// A change in which nothing is listed yet.
    pub fn of(base: BaseId, at: i64, author: Author, kind: ChangeKind) -> Self {
        Self {
            base,
            at,
            author,
            kind,
            tables: Vec::new(),
            schema: Vec::new(),
            recomputed: Vec::new(),
            undoes: Vec::new(),
            schema_before: None,
            comments: Vec::new(),
        }
    }

    /// What taking it back needs beside its rows, as JSON.
    fn lost(&self) -> Option<String> {
        if !self.comments.is_empty() {
            return serde_json::to_string(&self.comments).ok();
        }
        serde_json::to_string(&self.schema_before.as_ref()?.lost).ok()
    }

    /// The change as its followers see it, once it has its number.
    pub fn numbered(self, seq: i64) -> Change {
        let Self { base, at, author, kind, tables, schema, recomputed, .. } = self;
        Change { seq, base, at, author, kind, tables, schema, recomputed }
    }
}

/// The new state of one row.
#[derive(Debug)]
pub enum RowState {
    /// The row as it is now.
    Held {
        /// True when the row was not there before.
        new: bool,
        /// The record's id.
        id: String,
        /// When it was created.
        created: i64,
        /// Its stored cells as JSON text.
        cells: String,
    },
    /// The row is gone.
    Gone,
}

/// Everything a batch of commits writes.
#[derive(Debug, Default)]
pub struct Batch {
    /// Rows by table and position.
    pub rows: Vec<(BaseId, TableId, i64, RowState)>,
    /// Schemas that changed.
    pub schemas: Vec<Base>,
    /// Tables that are new.
    pub new_tables: Vec<(BaseId, TableId)>,
    /// Tables that are gone, with their rows.
    pub gone_tables: Vec<(BaseId, TableId)>,
    /// Counters of tables: next position, next auto number.
    pub counters: Vec<(BaseId, TableId, i64, i64)>,
    /// Commits for the change log, in order.
    pub changes: Vec<LoggedChange>,
    /// Lines for the audit log.
    pub audit: Vec<AuditEntry>,
    /// Parts of tasks that are done with this batch, and what became of them.
    pub task_parts: Vec<(TaskPart, Value)>,
    /// Requests to Airtable, by the number they were noted under, and what became of each record.
    pub journal: Vec<(i64, Value)>,
    /// How far the copy of a base is, as JSON.
    pub replica: Option<(BaseId, String)>,
}

/// A row's cells as the store keeps them, by field id: those that were written, not those that
/// are worked out. Times of edits stand beside them under the keys of their watches.
pub fn stored_cells(snapshot: &Snapshot, table: usize, slot: usize) -> Map<String, Value> {
    let mut cells = Map::new();
    let Some(described) = snapshot.schema.tables.get(table) else { return cells };
    let Some(data) = snapshot.tables.get(&described.id) else { return cells };
    for (at, field) in described.fields.iter().enumerate() {
        if snapshot.plan.computes(table, at) {
            continue;
        }
        if let Some(value) = data.cell(slot, at).to_stored(field) {
            cells.insert(field.id.to_string(), value);
        }
    }
    for (at, watch) in snapshot.plan.watches(described.id).iter().enumerate() {
        if let Some(ms) = data.edited(at, slot) {
            cells.insert(watch.key.clone(), Value::from(ms));
        }
    }
    cells
}

pub(super) type Tx = sqlx::Transaction<'static, Sqlite>;

impl Store {
    /// Writes a batch; all of it or nothing. Gives the sequence numbers of the changes.
    pub async fn apply(&self, batch: &Batch) -> Result<Vec<i64>, Error> {
        let mut tx = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        for base in &batch.schemas {
            sqlx::query("UPDATE bases SET name = $2, tables = $3 WHERE id = $1")
                .bind(base.id.to_string())
                .bind(&base.name)
                .bind(serde_json::to_string(&base.tables).unwrap_or_default())
                .execute(&mut *tx)
                .await?;
        }
        for (base, table) in &batch.new_tables {
            add_table(&mut tx, *base, *table, 1, 1).await?;
        }
        for (base, table) in &batch.gone_tables {
            for statement in [
                "DELETE FROM comments WHERE base = $1 AND record IN
                     (SELECT rows.id FROM rows JOIN tables ON rows.table_key = tables.key
                      WHERE tables.base = $1 AND tables.id = $2)",
                "DELETE FROM rows WHERE table_key = (SELECT key FROM tables WHERE base = $1 AND id = $2)",
                "DELETE FROM tables WHERE base = $1 AND id = $2",
            ] {
                sqlx::query(statement)
                    .bind(base.to_string())
                    .bind(table.to_string())
                    .execute(&mut *tx)
                    .await?;
            }
        }
        for (base, table, position, state) in &batch.rows {
            write_row(&mut tx, *base, *table, *position, state).await?;
        }
        for (base, table, position, auto) in &batch.counters {
            sqlx::query("UPDATE tables SET next_position = $3, next_auto = $4 WHERE base = $1 AND id = $2")
                .bind(base.to_string())
                .bind(table.to_string())
                .bind(position)
                .bind(auto)
                .execute(&mut *tx)
                .await?;
        }
        let mut numbers = Vec::with_capacity(batch.changes.len());
        for change in &batch.changes {
            forget_comments(&mut tx, change).await?;
            numbers.push(log_change(&mut tx, change).await?);
        }
        for (id, outcome) in &batch.journal {
            upstream_writes::settle(&mut tx, *id, outcome).await?;
        }
        for (part, outcome) in &batch.task_parts {
            add_part(&mut tx, part, outcome).await?;
            upstream_writes::forget_part(&mut tx, part).await?;
        }
        if let Some((base, state)) = &batch.replica {
            put_replica(&mut tx, *base, state).await?;
        }
        write_audit(&mut tx, &batch.audit).await?;
        tx.commit().await?;
        Ok(numbers)
    }

    /// Writes a whole new base; all of it or nothing. Calls `progress` with the rows written so far.
    pub async fn add_base(
        &self,
        snapshot: &Snapshot,
        cloud: Option<&Cloud>,
        comments: &[(String, Value)],
        change: &LoggedChange,
        progress: &(dyn Fn(u64) + Send + Sync),
    ) -> Result<i64, Error> {
        let base = &snapshot.schema;
        let mut tx = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        sqlx::query("INSERT INTO bases (id, name, created_at, tables, cloud) VALUES ($1, $2, $3, $4, $5)")
            .bind(base.id.to_string())
            .bind(&base.name)
            .bind(change.at)
            .bind(serde_json::to_string(&base.tables).unwrap_or_default())
            .bind(cloud.map(|cloud| serde_json::to_string(cloud).unwrap_or_default()))
            .execute(&mut *tx)
            .await?;
        let mut written = 0;
        for (at, table) in base.tables.iter().enumerate() {
            let Some(data) = snapshot.tables.get(&table.id) else { continue };
            let key = add_table(&mut tx, base.id, table.id, data.next_position, data.next_auto).await?;
            let slots: Vec<usize> = data.slots().collect();
            for part in slots.chunks(ROWS_PER_STATEMENT) {
                let mut insert: QueryBuilder<Sqlite> =
                    QueryBuilder::new("INSERT INTO rows (table_key, position, id, created_at, cells) ");
                insert.push_values(part, |mut row, slot| {
                    let held = data.row(*slot);
                    row.push_bind(key)
                        .push_bind(held.position)
                        .push_bind(held.id.to_string())
                        .push_bind(held.created)
                        .push_bind(Value::Object(stored_cells(snapshot, at, *slot)).to_string());
                });
                insert.build().persistent(part.len() == ROWS_PER_STATEMENT).execute(&mut *tx).await?;
                written += part.len() as u64;
                progress(written);
            }
        }
        for (position, (record, body)) in comments.iter().enumerate() {
            sqlx::query("INSERT INTO comments (base, record, position, body) VALUES ($1, $2, $3, $4)")
                .bind(base.id.to_string())
                .bind(record)
                .bind(position as i64)
                .bind(body.to_string())
                .execute(&mut *tx)
                .await?;
        }
        let seq = log_change(&mut tx, change).await?;
        tx.commit().await?;
        Ok(seq)
    }

    /// Drops changes and audit lines older than these times (milliseconds since the epoch).
    pub async fn prune(&self, changes_before: i64, audit_before: i64) -> Result<(), Error> {
        // The newest change stays, so that numbers and cursors go on from it.
        sqlx::query("DELETE FROM changes WHERE at < $1 AND seq < (SELECT MAX(seq) FROM changes)")
            .bind(changes_before)
            .execute(&self.pool)
            .await?;
        sqlx::query("DELETE FROM change_records WHERE seq < (SELECT MIN(seq) FROM changes)")
            .execute(&self.pool)
            .await?;
        self.prune_audit(audit_before).await
    }

    /// Deletes a base with its rows, comments and attachments; all of it or nothing.
    pub async fn delete_base(&self, change: &LoggedChange) -> Result<i64, Error> {
        let id = change.base.to_string();
        let mut tx = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        for statement in [
            // Of a base that lives in Airtable nothing stays here; of another one the log is all there is.
            "DELETE FROM change_records WHERE seq IN (SELECT seq FROM changes WHERE base = $1)
                 AND EXISTS (SELECT 1 FROM bases WHERE id = $1 AND cloud IS NOT NULL)",
            "DELETE FROM changes WHERE base = $1
                 AND EXISTS (SELECT 1 FROM bases WHERE id = $1 AND cloud IS NOT NULL)",
            "DELETE FROM plans WHERE base = $1
                 AND EXISTS (SELECT 1 FROM bases WHERE id = $1 AND cloud IS NOT NULL)",
            "DELETE FROM rows WHERE table_key IN (SELECT key FROM tables WHERE base = $1)",
            "DELETE FROM tables WHERE base = $1",
            "DELETE FROM comments WHERE base = $1",
            "DELETE FROM attachments WHERE base = $1",
            "DELETE FROM webhook_payloads WHERE webhook IN (SELECT id FROM webhooks WHERE base = $1)",
            "DELETE FROM webhooks WHERE base = $1",
            "DELETE FROM webhook_bases WHERE base = $1",
            "DELETE FROM replicas WHERE base = $1",
            "DELETE FROM upstream_writes WHERE base = $1",
            "DELETE FROM bases WHERE id = $1",
        ] {
            sqlx::query(statement).bind(&id).execute(&mut *tx).await?;
        }
        let seq = log_change(&mut tx, change).await?;
        tx.commit().await?;
        Ok(seq)
    }
}

async fn write_row(
    tx: &mut Tx,
    base: BaseId,
    table: TableId,
    position: i64,
    state: &RowState,
) -> Result<(), Error> {
    match state {
        RowState::Held { new: true, id, created, cells } => {
            // A position that is taken is an error: nothing is ever written over another row.
            sqlx::query(
                "INSERT INTO rows (table_key, position, id, created_at, cells)
                 SELECT key, $3, $4, $5, $6 FROM tables WHERE base = $1 AND id = $2",
            )
            .bind(base.to_string())
            .bind(table.to_string())
            .bind(position)
            .bind(id)
            .bind(created)
            .bind(cells)
            .execute(&mut **tx)
            .await?;
        }
        RowState::Held { new: false, id, cells, .. } => {
            let done = sqlx::query(
                "UPDATE rows SET cells = $5 WHERE position = $3 AND id = $4
                 AND table_key = (SELECT key FROM tables WHERE base = $1 AND id = $2)",
            )
            .bind(base.to_string())
            .bind(table.to_string())
            .bind(position)
            .bind(id)
            .bind(cells)
            .execute(&mut **tx)
            .await?;
            if done.rows_affected() != 1 {
                let reason = "the row is not where memory has it; restart the server".to_owned();
                return Err(Error::Damaged { place: format!("{table}, record {id}"), reason });
            }
        }
        RowState::Gone => {
            sqlx::query(
                "DELETE FROM rows WHERE position = $3
                 AND table_key = (SELECT key FROM tables WHERE base = $1 AND id = $2)",
            )
            .bind(base.to_string())
            .bind(table.to_string())
            .bind(position)
            .execute(&mut **tx)
            .await?;
        }
    }
    Ok(())
}

/// Makes room for a table's rows; the key they are stored under.
async fn add_table(
    tx: &mut Tx,
    base: BaseId,
    table: TableId,
    position: i64,
    auto: i64,
) -> Result<i64, Error> {
    let (key,): (i64,) =
        sqlx::query_as("SELECT COALESCE(MAX(key), 0) + 1 FROM tables").fetch_one(&mut **tx).await?;
    sqlx::query("INSERT INTO tables (key, base, id, next_position, next_auto) VALUES ($1, $2, $3, $4, $5)")
        .bind(key)
        .bind(base.to_string())
        .bind(table.to_string())
        .bind(position)
        .bind(auto)
        .execute(&mut **tx)
        .await?;
    Ok(key)
}

/// Comments go with their record.
async fn forget_comments(tx: &mut Tx, change: &LoggedChange) -> Result<(), Error> {
    if change.kind != ChangeKind::Records {
        return Ok(());
    }
    for row in change.tables.iter().flat_map(|t| &t.rows).filter(|row| row.after.is_none()) {
        sqlx::query("DELETE FROM comments WHERE base = $1 AND record = $2")
            .bind(change.base.to_string())
            .bind(row.id.to_string())
            .execute(&mut **tx)
            .await?;
    }
    Ok(())
}

pub(super) async fn log_change(tx: &mut Tx, change: &LoggedChange) -> Result<i64, Error> {
    let kind = serde_json::to_value(change.kind).ok();
    let (seq,): (i64,) = sqlx::query_as(
        "INSERT INTO changes (base, at, by, kind, tables, schema, face, action, client, session, call, plan,
         lost, schema_before)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) RETURNING seq",
    )
    .bind(change.base.to_string())
    .bind(change.at)
    .bind(&*change.author.principal)
    .bind(kind.as_ref().and_then(Value::as_str).unwrap_or_default())
    .bind(serde_json::to_string(&change.tables).unwrap_or_default())
    .bind(serde_json::to_string(&change.schema).unwrap_or_default())
    .bind(&*change.author.face)
    .bind(&*change.author.action)
    .bind(&*change.author.client)
    .bind(&*change.author.session)
    .bind(&*change.author.call)
    .bind(change.author.plan.as_deref())
    .bind(change.lost())
    .bind(change.schema_before.as_ref().map(|was| serde_json::to_string(&*was.schema).unwrap_or_default()))
    .fetch_one(&mut **tx)
    .await?;
    let lost = change.schema_before.iter().flat_map(|was| &was.lost);
    let records: Vec<RecordId> =
        change.tables.iter().chain(lost).flat_map(|t| &t.rows).map(|row| row.id).collect();
    for part in records.chunks(ROWS_PER_STATEMENT) {
        let mut insert: QueryBuilder<Sqlite> =
            QueryBuilder::new("INSERT OR IGNORE INTO change_records (record, seq) ");
        insert.push_values(part, |mut row, id| {
            row.push_bind(id.to_string()).push_bind(seq);
        });
        insert.build().persistent(part.len() == ROWS_PER_STATEMENT).execute(&mut **tx).await?;
    }
    mark_undone(tx, &change.undoes, seq).await?;
    Ok(seq)
}
