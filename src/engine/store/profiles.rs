//! Logins at Airtable, with their tokens sealed.

use serde_json::Value;

use super::{Error, Store};

/// A login as the store keeps it. Times are milliseconds since the epoch.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredProfile {
    /// Its name.
    pub name: String,
    /// What may be shown of it.
    pub info: Value,
    /// Its tokens, sealed.
    pub sealed: String,
    /// When it was made.
    pub created_at: i64,
    /// When it was changed last.
    pub updated_at: i64,
}

type Raw = (String, String, String, i64, i64);

fn read((name, info, sealed, created_at, updated_at): Raw) -> Result<StoredProfile, Error> {
    let info = serde_json::from_str(&info)
        .map_err(|e| Error::Damaged { place: format!("login {name}"), reason: e.to_string() })?;
    Ok(StoredProfile { name, info, sealed, created_at, updated_at })
}

impl Store {
    /// Keeps a login, in place of the one of that name.
    pub async fn keep_profile(&self, profile: &StoredProfile) -> Result<(), Error> {
        sqlx::query(
            "INSERT INTO profiles (name, info, secret, created_at, updated_at) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (name) DO UPDATE
             SET info = excluded.info, secret = excluded.secret, updated_at = excluded.updated_at",
        )
        .bind(&profile.name)
        .bind(profile.info.to_string())
        .bind(&profile.sealed)
        .bind(profile.created_at)
        .bind(profile.updated_at)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Puts `sealed` in place of `before`; false, and nothing done, when somebody else was faster.
    pub async fn renew_profile(
        &self,
        name: &str,
        before: &str,
        sealed: &str,
        at: i64,
    ) -> Result<bool, Error> {
        let done =
            sqlx::query("UPDATE profiles SET secret = $3, updated_at = $4 WHERE name = $1 AND secret = $2")
                .bind(name)
                .bind(before)
                .bind(sealed)
                .bind(at)
                .execute(&self.pool)
                .await?;
        Ok(done.rows_affected() > 0)
    }

    /// Changes what may be shown of a login.
    pub async fn describe_profile(&self, name: &str, info: &Value) -> Result<(), Error> {
        sqlx::query("UPDATE profiles SET info = $2 WHERE name = $1")
            .bind(name)
            .bind(info.to_string())
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// All logins, by name.
    pub async fn profiles(&self) -> Result<Vec<StoredProfile>, Error> {
        let rows: Vec<Raw> =
            sqlx::query_as("SELECT name, info, secret, created_at, updated_at FROM profiles ORDER BY name")
                .fetch_all(&self.pool)
                .await?;
        rows.into_iter().map(read).collect()
    }

    /// The login of that name.
    pub async fn profile(&self, name: &str) -> Result<Option<StoredProfile>, Error> {
        let row: Option<Raw> =
            sqlx::query_as("SELECT name, info, secret, created_at, updated_at FROM profiles WHERE name = $1")
                .bind(name)
                .fetch_optional(&self.pool)
                .await?;
        row.map(read).transpose()
    }

    /// Forgets a login; false when there is none of that name.
    pub async fn remove_profile(&self, name: &str) -> Result<bool, Error> {
        let done = sqlx::query("DELETE FROM profiles WHERE name = $1").bind(name).execute(&self.pool).await?;
        Ok(done.rows_affected() > 0)
    }
}
