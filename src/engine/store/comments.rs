//! Comments on records, as JSON objects of the Web API's shape.

use serde_json::Value;
use sqlx::{QueryBuilder, Row as _, Sqlite};
use tablewright_core::model::{BaseId, RecordId};

use super::audit::write_audit;
use super::write::{AuditEntry, LoggedChange, log_change};
use super::{Error, Store};
use crate::comments::CommentRow;

/// Records asked for in one statement.
const RECORDS_PER_STATEMENT: usize = 500;

/// What is done to a comment.
#[derive(Debug, Clone, PartialEq)]
pub enum CommentChange {
    /// A new one, behind the others.
    Add(Value),
    /// The comment at a position, as it is now.
    Replace(i64, Value),
    /// The comments at these positions go.
    Remove(Vec<i64>),
    /// Comments become what they were before.
    PutBack(Vec<CommentRow>),
}

impl Store {
    /// The comments of a record, oldest first, each with its position.
    pub async fn comments_of(&self, base: BaseId, record: RecordId) -> Result<Vec<(i64, Value)>, Error> {
        let rows: Vec<(i64, String)> = sqlx::query_as(
            "SELECT position, body FROM comments WHERE base = $1 AND record = $2 ORDER BY position",
        )
        .bind(base.to_string())
        .bind(record.to_string())
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter()
            .map(|(position, body)| {
                let body = serde_json::from_str(&body).map_err(|e| Error::Damaged {
                    place: format!("comment on {record}"),
                    reason: e.to_string(),
                })?;
                Ok((position, body))
            })
            .collect()
    }

    /// How many comments the given records have; those without any are left out.
    pub async fn comment_counts(
        &self,
        base: BaseId,
        records: &[RecordId],
    ) -> Result<Vec<(RecordId, i64)>, Error> {
        let mut counts = Vec::new();
        for part in records.chunks(RECORDS_PER_STATEMENT) {
            let mut query: QueryBuilder<Sqlite> =
                QueryBuilder::new("SELECT record, COUNT(*) FROM comments WHERE base = ");
            query.push_bind(base.to_string()).push(" AND record IN (");
            let mut ids = query.separated(", ");
            part.iter().for_each(|id| {
                ids.push_bind(id.to_string());
            });
            query.push(") GROUP BY record");
            for row in query.build().fetch_all(&self.pool).await? {
                let record: &str = row.try_get(0)?;
                if let Ok(id) = record.parse() {
                    counts.push((id, row.try_get(1)?));
                }
            }
        }
        Ok(counts)
    }

    /// Carries out a change of a record's comments, with its line in the change log and the audit
    /// log; all of it or nothing. The number of the change.
    pub async fn change_comment(
        &self,
        record: RecordId,
        change: &CommentChange,
        logged: &LoggedChange,
        audit: AuditEntry,
    ) -> Result<i64, Error> {
        let (base, record) = (logged.base.to_string(), record.to_string());
        let mut tx = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        match change {
            CommentChange::Add(body) => {
                sqlx::query(
                    "INSERT INTO comments (base, record, position, body)
                     SELECT $1, $2, COALESCE(MAX(position), -1) + 1, $3 FROM comments WHERE base = $1 AND record = $2",
                )
                .bind(&base)
                .bind(&record)
                .bind(body.to_string())
                .execute(&mut *tx)
                .await?;
            }
            CommentChange::Replace(position, body) => {
                sqlx::query(
                    "UPDATE comments SET body = $4 WHERE base = $1 AND record = $2 AND position = $3",
                )
                .bind(&base)
                .bind(&record)
                .bind(position)
                .bind(body.to_string())
                .execute(&mut *tx)
                .await?;
            }
            CommentChange::Remove(positions) => {
                for position in positions {
                    sqlx::query("DELETE FROM comments WHERE base = $1 AND record = $2 AND position = $3")
                        .bind(&base)
                        .bind(&record)
                        .bind(position)
                        .execute(&mut *tx)
                        .await?;
                }
            }
            CommentChange::PutBack(_) => {}
        }
        if let CommentChange::PutBack(rows) = change {
            for (position, _) in rows.iter().filter_map(|row| row.after.as_ref()) {
                sqlx::query("DELETE FROM comments WHERE base = $1 AND record = $2 AND position = $3")
                    .bind(&base)
                    .bind(&record)
                    .bind(position)
                    .execute(&mut *tx)
                    .await?;
            }
            for (position, comment) in rows.iter().filter_map(|row| row.before.as_ref()) {
                // Its place may have another comment by now; then it goes behind the others.
                sqlx::query(
                    "INSERT INTO comments (base, record, position, body)
                     SELECT $1, $2, CASE WHEN SUM(position = $3) > 0 THEN MAX(position) + 1 ELSE $3 END, $4
                     FROM comments WHERE base = $1 AND record = $2",
                )
                .bind(&base)
                .bind(&record)
                .bind(position)
                .bind(serde_json::to_string(comment).unwrap_or_default())
                .execute(&mut *tx)
                .await?;
            }
        }
        let seq = log_change(&mut tx, logged).await?;
        write_audit(&mut tx, &[audit]).await?;
        tx.commit().await?;
        Ok(seq)
    }
}
