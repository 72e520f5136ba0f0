//! Requests sent to Airtable, counted by login and month, and until when it refuses more.

use super::{Error, Store};

impl Store {
    /// Adds to the requests a login has sent in a month (`YYYY-MM`), or takes some back; the count
    /// that is then kept.
    pub async fn count_upstream(&self, profile: &str, month: &str, more: i64) -> Result<i64, Error> {
        let (calls,): (i64,) = sqlx::query_as(
            "INSERT INTO upstream_calls (profile, month, calls) VALUES ($1, $2, $3) \
             ON CONFLICT (profile, month) DO UPDATE SET calls = upstream_calls.calls + excluded.calls \
             RETURNING calls",
        )
        .bind(profile)
        .bind(month)
        .bind(more)
        .fetch_one(&self.pool)
        .await?;
        Ok(calls)
    }

    /// The requests a login has sent in a month.
    pub async fn upstream_calls(&self, profile: &str, month: &str) -> Result<i64, Error> {
        let found: Option<(i64,)> =
            sqlx::query_as("SELECT calls FROM upstream_calls WHERE profile = $1 AND month = $2")
                .bind(profile)
                .bind(month)
                .fetch_optional(&self.pool)
                .await?;
        Ok(found.map_or(0, |(calls,)| calls))
    }

    /// Notes until when a base or login is refused, and forgets what is over.
    pub async fn set_penalty(&self, what: &str, until: i64, now: i64) -> Result<(), Error> {
        let mut all = self.pool.begin().await?;
        sqlx::query("DELETE FROM upstream_penalties WHERE until <= $1").bind(now).execute(&mut *all).await?;
        sqlx::query(
            "INSERT INTO upstream_penalties (what, until) VALUES ($1, $2) \
             ON CONFLICT (what) DO UPDATE SET until = excluded.until",
        )
        .bind(what)
        .bind(until)
        .execute(&mut *all)
        .await?;
        all.commit().await?;
        Ok(())
    }

    /// What is refused after `now`, and until when.
    pub async fn penalties(&self, now: i64) -> Result<Vec<(String, i64)>, Error> {
        Ok(sqlx::query_as("SELECT what, until FROM upstream_penalties WHERE until > $1")
            .bind(now)
            .fetch_all(&self.pool)
            .await?)
    }
}
