//! Policies: every version, and the key of hash masks.

use super::{Error, Store};

/// A policy as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredPolicy {
    /// Counts policies, from 1.
    pub version: i64,
    /// When it was applied, in milliseconds since the epoch.
    pub at: i64,
    /// Who applied it.
    pub by: String,
    /// The file as it was written.
    pub file: String,
    /// The rules with ids, as JSON.
    pub rules: String,
}

type Raw = (i64, i64, String, String, String);

fn read((version, at, by, file, rules): Raw) -> StoredPolicy {
    StoredPolicy { version, at, by, file, rules }
}

impl Store {
    /// Keeps a policy as the next version, unless the last one is not `last` any more: 0 for none.
    /// The version it has.
    pub async fn add_policy(
        &self,
        last: i64,
        at: i64,
        by: &str,
        file: &str,
        rules: &str,
    ) -> Result<Option<i64>, Error> {
        let done = sqlx::query(
            "INSERT INTO policies (version, at, by, file, rules)
             SELECT $1 + 1, $2, $3, $4, $5
             WHERE $1 = (SELECT COALESCE(MAX(version), 0) FROM policies)",
        )
        .bind(last)
        .bind(at)
        .bind(by)
        .bind(file)
        .bind(rules)
        .execute(&self.pool)
        .await?;
        Ok((done.rows_affected() == 1).then_some(last + 1))
    }

    /// The policy in force, if there ever was one.
    pub async fn last_policy(&self) -> Result<Option<StoredPolicy>, Error> {
        let found: Option<Raw> =
            sqlx::query_as("SELECT version, at, by, file, rules FROM policies ORDER BY version DESC LIMIT 1")
                .fetch_optional(&self.pool)
                .await?;
        Ok(found.map(read))
    }

    /// The policy that was version `version`.
    pub async fn policy(&self, version: i64) -> Result<Option<StoredPolicy>, Error> {
        let found: Option<Raw> =
            sqlx::query_as("SELECT version, at, by, file, rules FROM policies WHERE version = $1")
                .bind(version)
                .fetch_optional(&self.pool)
                .await?;
        Ok(found.map(read))
    }

    /// Versions with when and by whom they were applied, newest first, at most `limit`.
    pub async fn policy_versions(&self, limit: u32) -> Result<Vec<(i64, i64, String)>, Error> {
        let rows = sqlx::query_as("SELECT version, at, by FROM policies ORDER BY version DESC LIMIT $1")
            .bind(limit)
            .fetch_all(&self.pool)
            .await?;
        Ok(rows)
    }

    /// The key of hash masks, in hex: the one that is kept, or else `new` from now on.
    pub async fn mask_key(&self, new: &str) -> Result<String, Error> {
        sqlx::query("INSERT INTO mask_key (key) SELECT $1 WHERE NOT EXISTS (SELECT 1 FROM mask_key)")
            .bind(new)
            .execute(&self.pool)
            .await?;
        Ok(sqlx::query_scalar("SELECT key FROM mask_key").fetch_one(&self.pool).await?)
    }
}
