//! Writes that were worked out before they are carried out.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;
use tablewright_core::model::PlanId;

use super::read::damaged;
use super::{Error, Store};
use crate::base::changes::Author;

/// Where a plan stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PlanStatus {
    /// Nobody has to approve it.
    Open,
    /// Somebody has to approve it.
    Waiting,
    /// Somebody did.
    Approved,
    /// Somebody said no.
    Rejected,
    /// It is being carried out.
    Applying,
    /// It was carried out.
    Applied,
    /// It was begun and could not be carried out to its end.
    Failed,
}

impl PlanStatus {
    /// The status as it is stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Waiting => "waiting",
            Self::Approved => "approved",
            Self::Rejected => "rejected",
            Self::Applying => "applying",
            Self::Applied => "applied",
            Self::Failed => "failed",
        }
    }
}

/// A plan as the store keeps it. Times are milliseconds since the epoch.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredPlan {
    /// Its id.
    pub id: PlanId,
    /// Who made it; `action` is the tool.
    pub author: Author,
    /// What the tool was called with.
    pub arguments: Value,
    /// SHA-256 of tool and arguments, hex.
    pub digest: String,
    /// The base it is about; empty when it makes one.
    pub base: String,
    /// What it does.
    pub effect: Value,
    /// Where it stands.
    pub status: PlanStatus,
    /// Who has to approve it: `confirm`, `ask`, `person`.
    pub asks: Option<String>,
    /// Why.
    pub reasons: Vec<String>,
    /// Who decided.
    pub decided_by: Option<String>,
    /// When.
    pub decided_at: Option<i64>,
    /// What they say about it.
    pub note: Option<String>,
    /// The answer of the call that carried it out.
    pub outcome: Option<Value>,
    /// When it was made.
    pub created_at: i64,
    /// When it cannot be used any more.
    pub expires_at: i64,
}

const COLUMNS: &str = "id, principal, face, client, session, tool, arguments, digest, base, effect, status,
    asks, reasons, decided_by, decided_at, note, outcome, created_at, expires_at";

fn select(rest: &str) -> sqlx::AssertSqlSafe<String> {
    sqlx::AssertSqlSafe(format!("SELECT {COLUMNS} FROM plans WHERE {rest}"))
}

fn read(row: &SqliteRow) -> Result<StoredPlan, Error> {
    let id: String = row.try_get(0)?;
    let place = || damaged(format!("plan {id}"));
    let unlike = |reason: String| Error::Damaged { place: format!("plan {id}"), reason };
    let text = |at: usize| row.try_get::<&str, _>(at).map_err(|e| unlike(e.to_string()));
    let outcome: Option<&str> = row.try_get(16)?;
    Ok(StoredPlan {
        id: id.parse().map_err(|e| unlike(format!("{e}")))?,
        author: Author {
            principal: text(1)?.into(),
            face: text(2)?.into(),
            client: text(3)?.into(),
            session: text(4)?.into(),
            action: text(5)?.into(),
            ..Author::default()
        },
        arguments: serde_json::from_str(text(6)?).map_err(place())?,
        digest: row.try_get(7)?,
        base: row.try_get(8)?,
        effect: serde_json::from_str(text(9)?).map_err(place())?,
        status: serde_json::from_value(Value::from(text(10)?)).map_err(place())?,
        asks: row.try_get(11)?,
        reasons: serde_json::from_str(text(12)?).map_err(place())?,
        decided_by: row.try_get(13)?,
        decided_at: row.try_get(14)?,
        note: row.try_get(15)?,
        outcome: outcome.map(serde_json::from_str).transpose().map_err(place())?,
        created_at: row.try_get(17)?,
        expires_at: row.try_get(18)?,
    })
}

impl Store {
    /// Keeps a plan.
    pub async fn add_plan(&self, plan: &StoredPlan) -> Result<(), Error> {
        sqlx::query(
            "INSERT INTO plans (id, principal, face, client, session, tool, arguments, digest, base, effect,
             status, asks, reasons, created_at, expires_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)",
        )
        .bind(plan.id.to_string())
        .bind(&*plan.author.principal)
        .bind(&*plan.author.face)
        .bind(&*plan.author.client)
        .bind(&*plan.author.session)
        .bind(&*plan.author.action)
        .bind(plan.arguments.to_string())
        .bind(&plan.digest)
        .bind(&plan.base)
        .bind(plan.effect.to_string())
        .bind(plan.status.as_str())
        .bind(&plan.asks)
        .bind(serde_json::to_string(&plan.reasons).unwrap_or_default())
        .bind(plan.created_at)
        .bind(plan.expires_at)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// The plan with this id.
    pub async fn plan(&self, id: PlanId) -> Result<Option<StoredPlan>, Error> {
        let row = sqlx::query(select("id = $1")).bind(id.to_string()).fetch_optional(&self.pool).await?;
        row.as_ref().map(read).transpose()
    }

    /// The newest plans, of one principal or status when these are named. One that cannot be read is
    /// left out, and is in the log: the others are not to suffer from it.
    pub async fn plans(
        &self,
        principal: Option<&str>,
        status: Option<PlanStatus>,
        most: u32,
    ) -> Result<Vec<StoredPlan>, Error> {
        let rows = sqlx::query(select(
            "($1 IS NULL OR principal = $1) AND ($2 IS NULL OR status = $2)
             ORDER BY created_at DESC, rowid DESC LIMIT $3",
        ))
        .bind(principal)
        .bind(status.map(PlanStatus::as_str))
        .bind(i64::from(most))
        .fetch_all(&self.pool)
        .await?;
        let read = rows.iter().filter_map(|row| read(row).inspect_err(|error| tracing::error!(%error)).ok());
        Ok(read.collect())
    }

    /// The newest plan of this principal for the same call that can still be used at `now`, or is being
    /// carried out.
    pub async fn plan_for(
        &self,
        principal: &str,
        digest: &str,
        now: i64,
    ) -> Result<Option<StoredPlan>, Error> {
        let row = sqlx::query(select(
            "principal = $1 AND digest = $2 AND expires_at > $3 AND status IN ('waiting', 'approved', 'applying')
             ORDER BY created_at DESC, rowid DESC LIMIT 1",
        ))
        .bind(principal)
        .bind(digest)
        .bind(now)
        .fetch_optional(&self.pool)
        .await?;
        row.as_ref().map(read).transpose()
    }

    /// Plans of this principal that can still be used at `now`: how many, and the bytes they take.
    pub async fn usable_plans(&self, principal: &str, now: i64) -> Result<(i64, i64), Error> {
        let held = sqlx::query_as(
            "SELECT COUNT(*), COALESCE(SUM(LENGTH(effect) + LENGTH(arguments)), 0) FROM plans
             WHERE principal = $1 AND expires_at > $2 AND status IN ('open', 'waiting', 'approved', 'applying')",
        );
        Ok(held.bind(principal).bind(now).fetch_one(&self.pool).await?)
    }

    /// Moves a plan from one of these states to another; false when it was in none of them, or its
    /// time is over at `now`.
    pub async fn move_plan(
        &self,
        id: PlanId,
        from: &[PlanStatus],
        to: PlanStatus,
        now: i64,
    ) -> Result<bool, Error> {
        let from: Vec<String> = from.iter().map(|status| format!("'{}'", status.as_str())).collect();
        let statement = format!(
            "UPDATE plans SET status = $2 WHERE id = $1 AND expires_at > $3 AND status IN ({})",
            from.join(", ")
        );
        let done = sqlx::query(sqlx::AssertSqlSafe(statement))
            .bind(id.to_string())
            .bind(to.as_str())
            .bind(now)
            .execute(&self.pool)
            .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Notes what somebody decided about a waiting plan; false when it does not wait any more.
    pub async fn decide_plan(
        &self,
        id: PlanId,
        to: PlanStatus,
        by: &str,
        note: Option<&str>,
        now: i64,
    ) -> Result<bool, Error> {
        let done = sqlx::query(
            "UPDATE plans SET status = $2, decided_by = $3, decided_at = $4, note = $5
             WHERE id = $1 AND status = 'waiting' AND expires_at > $4",
        )
        .bind(id.to_string())
        .bind(to.as_str())
        .bind(by)
        .bind(now)
        .bind(note)
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Notes how carrying out a plan ended.
    pub async fn end_plan(&self, id: PlanId, to: PlanStatus, outcome: &Value) -> Result<(), Error> {
        sqlx::query("UPDATE plans SET status = $2, outcome = $3 WHERE id = $1")
            .bind(id.to_string())
            .bind(to.as_str())
            .bind(outcome.to_string())
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// How many commits carried out a plan.
    pub async fn commits_of_plan(&self, id: PlanId) -> Result<i64, Error> {
        let count = sqlx::query_scalar("SELECT COUNT(*) FROM changes WHERE plan = $1");
        Ok(count.bind(id.to_string()).fetch_one(&self.pool).await?)
    }

    /// Drops plans that ended, or lapsed, before this time.
    pub async fn prune_plans(&self, before: i64) -> Result<(), Error> {
        sqlx::query("DELETE FROM plans WHERE expires_at < $1 AND status <> 'applying'")
            .bind(before)
            .execute(&self.pool)
            .await?;
        Ok(())
    }
}
