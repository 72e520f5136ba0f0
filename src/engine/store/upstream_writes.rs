//! Requests that write to Airtable for a part of a task: noted before they are sent.

use serde_json::Value;
use tablewright_core::model::{BaseId, TableId};

use super::tasks::TaskPart;
use super::write::Tx;
use super::{Error, Store};

/// A request that was about to be sent.
#[derive(Debug, Clone, PartialEq)]
pub struct UpstreamWrite {
    /// Its number.
    pub id: i64,
    /// The places of its records in the write, from 0.
    pub places: Vec<usize>,
    /// When, in milliseconds since the epoch.
    pub sent_at: i64,
    /// What became of each record; absent while that is not known.
    pub outcome: Option<Value>,
}

impl Store {
    /// Notes a request that is about to be sent; it is on disk when this answers, with its number.
    pub async fn add_upstream_write(
        &self,
        base: BaseId,
        table: TableId,
        part: &TaskPart,
        places: &[usize],
        at: i64,
    ) -> Result<i64, Error> {
        let (id,): (i64,) = sqlx::query_as(
            "INSERT INTO upstream_writes (base, table_id, task, part, places, sent_at)
             VALUES ($1, $2, $3, $4, $5, $6) RETURNING id",
        )
        .bind(base.to_string())
        .bind(table.to_string())
        .bind(&part.task)
        .bind(i64::from(part.part))
        .bind(serde_json::to_string(places).unwrap_or_default())
        .bind(at)
        .fetch_one(&self.pool)
        .await?;
        Ok(id)
    }

    /// The requests noted for a part, oldest first.
    pub async fn upstream_writes(&self, part: &TaskPart) -> Result<Vec<UpstreamWrite>, Error> {
        let rows: Vec<(i64, String, i64, Option<String>)> = sqlx::query_as(
            "SELECT id, places, sent_at, outcome FROM upstream_writes
             WHERE task = $1 AND part = $2 ORDER BY id",
        )
        .bind(&part.task)
        .bind(i64::from(part.part))
        .fetch_all(&self.pool)
        .await?;
        let damaged = |e: serde_json::Error| Error::Damaged {
            place: "requests of a task".into(),
            reason: e.to_string(),
        };
        rows.into_iter()
            .map(|(id, places, sent_at, outcome)| {
                let places = serde_json::from_str(&places).map_err(damaged)?;
                let outcome = outcome.as_deref().map(serde_json::from_str).transpose().map_err(damaged)?;
                Ok(UpstreamWrite { id, places, sent_at, outcome })
            })
            .collect()
    }

    /// Notes what became of the records of a request.
    pub async fn settle_upstream_write(&self, id: i64, outcome: &Value) -> Result<(), Error> {
        let mut tx = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        settle(&mut tx, id, outcome).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Forgets requests that were certainly not carried out.
    pub async fn forget_upstream_writes(&self, ids: &[i64]) -> Result<(), Error> {
        for id in ids {
            sqlx::query("DELETE FROM upstream_writes WHERE id = $1").bind(id).execute(&self.pool).await?;
        }
        Ok(())
    }
}

/// Notes what became of the records of a request, with the commit that takes its answer in.
pub(super) async fn settle(tx: &mut Tx, id: i64, outcome: &Value) -> Result<(), Error> {
    sqlx::query("UPDATE upstream_writes SET outcome = $2 WHERE id = $1")
        .bind(id)
        .bind(outcome.to_string())
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// Forgets the requests of a part that is done.
pub(super) async fn forget_part(tx: &mut Tx, part: &TaskPart) -> Result<(), Error> {
    sqlx::query("DELETE FROM upstream_writes WHERE task = $1 AND part = $2")
        .bind(&part.task)
        .bind(i64::from(part.part))
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// Forgets the requests of a task that has ended.
pub(super) async fn forget_task(tx: &mut Tx, task: &str) -> Result<(), Error> {
    sqlx::query("DELETE FROM upstream_writes WHERE task = $1").bind(task).execute(&mut **tx).await?;
    Ok(())
}
