//! The change log as a journal: who changed what, and what was taken back.

use sqlx::Row as _;
use tablewright_core::model::{Base, BaseId, RecordId, TableId};

use super::read::{damaged, read_change, select_changes};
use super::write::Tx;
use super::{Error, Store};
use crate::base::{Change, TableChanges};
use crate::comments::CommentRow;

/// Which changes; those that fit everything that is named.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Wanted {
    /// Of this base.
    pub base: Option<BaseId>,
    /// Of records of this table, or its schema.
    pub table: Option<TableId>,
    /// Of this record.
    pub record: Option<RecordId>,
    /// By this principal.
    pub principal: Option<String>,
    /// In this conversation.
    pub session: Option<String>,
    /// By this call.
    pub call: Option<String>,
    /// By this plan.
    pub plan: Option<String>,
    /// At this moment or later, in milliseconds since the epoch.
    pub since: Option<i64>,
    /// Before this moment.
    pub until: Option<i64>,
    /// With a smaller number than this.
    pub before: Option<i64>,
}

/// A change, and the one that took it back.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The change.
    pub change: Change,
    /// The number of the change that took it back.
    pub undone_by: Option<i64>,
}

/// What was before a change of the schema.
#[derive(Debug, Clone, PartialEq)]
pub struct WasBefore {
    /// Rows that lost something: as they were, and with what is left of them.
    pub lost: Vec<TableChanges>,
    /// The whole schema.
    pub schema: Base,
}

/// Bytes of changes after which a page ends.
const MAX_BYTES: usize = 32 << 20;

impl Store {
    /// The newest of the changes that are wanted, at most `most` and not much more than 32 MiB; and
    /// whether there are more.
    pub async fn journal(&self, wanted: &Wanted, most: usize) -> Result<(Vec<Entry>, bool), Error> {
        let mut sql = String::from(select_changes!("1 = 1"));
        let mut texts: Vec<String> = Vec::new();
        let mut numbers: Vec<i64> = Vec::new();
        let mut next = 0;
        let mut place = || {
            next += 1;
            next
        };
        let named = [
            ("base = ", wanted.base.map(|id| id.to_string())),
            ("by = ", wanted.principal.clone()),
            ("session = ", wanted.session.clone()),
            ("call = ", wanted.call.clone()),
            ("plan = ", wanted.plan.clone()),
        ];
        for (test, value) in named {
            if let Some(value) = value {
                sql += &format!(" AND {test}${}", place());
                texts.push(value);
            }
        }
        if let Some(record) = wanted.record {
            sql += &format!(" AND seq IN (SELECT seq FROM change_records WHERE record = ${})", place());
            texts.push(record.to_string());
        }
        if let Some(table) = wanted.table {
            let at = place();
            sql += &format!(" AND (instr(tables, ${at}) > 0 OR instr(schema, ${at}) > 0)");
            texts.push(table.to_string());
        }
        for (test, value) in [("at >= ", wanted.since), ("at < ", wanted.until), ("seq < ", wanted.before)] {
            if let Some(value) = value {
                let at = place();
                sql += &format!(" AND {test}${at}");
                numbers.push(value);
            }
        }
        sql += " ORDER BY seq DESC";
        let mut query = sqlx::query(sqlx::AssertSqlSafe(sql));
        for text in texts {
            query = query.bind(text);
        }
        for number in numbers {
            query = query.bind(number);
        }
        let mut rows = query.fetch(&self.pool);
        let (mut found, mut read) = (Vec::new(), 0);
        while let Some(row) = futures_util::TryStreamExt::try_next(&mut rows).await? {
            if found.len() == most || read > MAX_BYTES {
                return Ok((found, true));
            }
            let change = read_change(&row)?;
            read += row.try_get::<&str, _>(5)?.len() + row.try_get::<&str, _>(6)?.len();
            found.push(Entry { change, undone_by: row.try_get(13)? });
        }
        Ok((found, false))
    }

    /// What was before a change of the schema; `None` for one from before this was kept.
    pub async fn before_change(&self, seq: i64) -> Result<Option<WasBefore>, Error> {
        let row: Option<(Option<String>, Option<String>)> =
            sqlx::query_as("SELECT lost, schema_before FROM changes WHERE seq = $1")
                .bind(seq)
                .fetch_optional(&self.pool)
                .await?;
        let Some((Some(lost), Some(schema))) = row else { return Ok(None) };
        let bad = || damaged(format!("change {seq}"));
        let lost = serde_json::from_str(&lost).map_err(bad())?;
        Ok(Some(WasBefore { lost, schema: serde_json::from_str(&schema).map_err(bad())? }))
    }

    /// Comments before and after a change of them; `None` for one from before this was kept.
    pub async fn comments_changed(&self, seq: i64) -> Result<Option<Vec<CommentRow>>, Error> {
        let lost: Option<Option<String>> =
            sqlx::query_scalar("SELECT lost FROM changes WHERE seq = $1 AND kind = 'comments'")
                .bind(seq)
                .fetch_optional(&self.pool)
                .await?;
        let Some(lost) = lost.flatten() else { return Ok(None) };
        serde_json::from_str(&lost).map(Some).map_err(damaged(format!("change {seq}")))
    }

    /// The number of the first change of a base's schema after `seq` that is not among `these`.
    pub async fn schema_changed_after(
        &self,
        base: BaseId,
        seq: i64,
        these: &[i64],
    ) -> Result<Option<i64>, Error> {
        let later: Vec<i64> = sqlx::query_scalar(
            "SELECT seq FROM changes WHERE base = $1 AND seq > $2 AND kind = 'schema' ORDER BY seq",
        )
        .bind(base.to_string())
        .bind(seq)
        .fetch_all(&self.pool)
        .await?;
        Ok(later.into_iter().find(|later| !these.contains(later)))
    }

    /// Records of a base that changed after the commit `since`, by anybody but this conversation.
    pub async fn changed_by_others(
        &self,
        base: BaseId,
        since: i64,
        session: &str,
        most: u32,
    ) -> Result<Vec<RecordId>, Error> {
        let ids: Vec<String> = sqlx::query_scalar(
            "SELECT DISTINCT record FROM change_records WHERE seq IN
             (SELECT seq FROM changes WHERE base = $1 AND seq > $2 AND (session <> $3 OR session = ''))
             ORDER BY record LIMIT $4",
        )
        .bind(base.to_string())
        .bind(since)
        .bind(session)
        .bind(i64::from(most))
        .fetch_all(&self.pool)
        .await?;
        Ok(ids.iter().filter_map(|id| id.parse().ok()).collect())
    }

    /// Notes that these changes were taken back by another one; those that they had taken back are
    /// in force again.
    pub async fn mark_undone(&self, changes: &[i64], by: i64) -> Result<(), Error> {
        let mut tx = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        mark_undone(&mut tx, changes, by).await?;
        tx.commit().await?;
        Ok(())
    }
}

/// The same in a transaction, with the change that takes them back.
pub(super) async fn mark_undone(tx: &mut Tx, changes: &[i64], by: i64) -> Result<(), Error> {
    for seq in changes {
        for statement in [
            "UPDATE changes SET undone_by = NULL WHERE undone_by = $1 AND $2 > 0",
            "UPDATE changes SET undone_by = $2 WHERE seq = $1",
        ] {
            sqlx::query(statement).bind(seq).bind(by).execute(&mut **tx).await?;
        }
    }
    Ok(())
}
