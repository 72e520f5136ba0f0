//! Erasing what is left of a record that is gone: its cells in the change log, in plans, tasks, and
//! payloads of webhooks, and its comments. That it existed stays: ids in the change log and in the
//! audit log.

use serde::Serialize;
use sqlx::Row as _;
use tablewright_core::model::{BaseId, RecordId};

use super::read::{damaged, read_change, select_changes};
use super::{Error, Store};
use crate::base::TableChanges;
use crate::base::changes::ChangeKind;

/// What was erased.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Erased {
    /// Changes in which its cells stood.
    pub changes: usize,
    /// Plans.
    pub plans: u64,
    /// Ended tasks.
    pub tasks: u64,
    /// Payloads of webhooks.
    pub payloads: u64,
    /// Comments.
    pub comments: u64,
}

/// What a change of the schema took with it, without a record.
fn without(lost: &str, seq: i64, record: RecordId) -> Result<String, Error> {
    let mut tables: Vec<TableChanges> =
        serde_json::from_str(lost).map_err(damaged(format!("change {seq}")))?;
    tables.iter_mut().for_each(|table| table.rows.retain(|row| row.id != record));
    Ok(serde_json::to_string(&tables).unwrap_or_default())
}

impl Store {
    /// Erases the cells of a record wherever the store has them beside its table.
    pub async fn erase_record(&self, base: BaseId, record: RecordId) -> Result<Erased, Error> {
        let mut connection = self.pool.acquire().await?;
        let mut tx = sqlx::Connection::begin_with(&mut *connection, "BEGIN IMMEDIATE").await?;
        let (base, id) = (base.to_string(), record.to_string());
        let rows = sqlx::query(select_changes!(
            "base = $1 AND seq IN (SELECT seq FROM change_records WHERE record = $2)"
        ))
        .bind(&base)
        .bind(&id)
        .fetch_all(&mut *tx)
        .await?;
        let mut erased = Erased { changes: rows.len(), ..Erased::default() };
        for row in rows {
            let mut change = read_change(&row)?;
            for table in &mut change.tables {
                table.rows.retain(|row| row.id != record);
                table.computed.retain(|row| row.id != record);
            }
            change.tables.retain(|table| !table.rows.is_empty() || !table.computed.is_empty());
            let lost: Option<String> = sqlx::query_scalar("SELECT lost FROM changes WHERE seq = $1")
                .bind(change.seq)
                .fetch_one(&mut *tx)
                .await?;
            let lost = lost.filter(|_| change.kind != ChangeKind::Comments);
            let lost = lost.map(|text| without(&text, change.seq, record)).transpose()?;
            sqlx::query("UPDATE changes SET tables = $2, lost = $3 WHERE seq = $1")
                .bind(change.seq)
                .bind(serde_json::to_string(&change.tables).unwrap_or_default())
                .bind(lost)
                .execute(&mut *tx)
                .await?;
        }
        for (count, statement) in [
            (
                &mut erased.plans,
                "DELETE FROM plans WHERE status <> 'applying' AND (base = $1 OR base = '')
                 AND instr(effect || ' ' || arguments || ' ' || ifnull(outcome, ''), $2) > 0",
            ),
            (
                &mut erased.tasks,
                "DELETE FROM tasks WHERE status <> 'working' AND instr(input, $1) > 0
                 AND (instr(input || ' ' || ifnull(result, ''), $2) > 0
                      OR EXISTS (SELECT 1 FROM task_parts WHERE task = id AND instr(outcome, $2) > 0))",
            ),
            (
                &mut erased.payloads,
                "DELETE FROM webhook_payloads WHERE instr(body, $2) > 0
                 AND webhook IN (SELECT id FROM webhooks WHERE base = $1)",
            ),
            (&mut erased.comments, "DELETE FROM comments WHERE base = $1 AND record = $2"),
        ] {
            *count = sqlx::query(statement).bind(&base).bind(&id).execute(&mut *tx).await?.rows_affected();
        }
        sqlx::query(
            "DELETE FROM task_parts WHERE task NOT IN (SELECT id FROM tasks) AND instr(outcome, $1) > 0",
        )
        .bind(&id)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        // Pages that nothing points at any more still have what was in them, those of earlier deletions
        // too, and so has the database's own log: the file is written anew, and the log cut off.
        sqlx::query("VACUUM").execute(&mut *connection).await?;
        let busy: i64 =
            sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").fetch_one(&mut *connection).await?.try_get(0)?;
        if busy != 0 {
            tracing::warn!("somebody reads; what was erased leaves the log of the database a little later");
        }
        Ok(erased)
    }
}
