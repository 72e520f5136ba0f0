//! Passkeys of people who approve plans.

use sqlx::Row as _;

use super::{Error, Store};

/// A passkey as it is kept: what checks a signature, never what makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredPasskey {
    /// The id of the credential.
    pub id: Vec<u8>,
    /// What its owner calls it.
    pub name: String,
    /// The user handle it was made for.
    pub owner: Vec<u8>,
    /// Its public key and what never changes.
    pub fixed: Vec<u8>,
    /// Its counter and flags.
    pub moving: Vec<u8>,
    /// When it was added, in milliseconds since the epoch.
    pub created_at: i64,
    /// When it was used last.
    pub used_at: Option<i64>,
}

impl Store {
    /// Keeps a new passkey; `false` when there is one with its id or name.
    pub async fn add_passkey(&self, key: &StoredPasskey) -> Result<bool, Error> {
        let done = sqlx::query(
            "INSERT INTO passkeys (id, name, owner, fixed, moving, created_at)
             SELECT $1, $2, $3, $4, $5, $6
             WHERE NOT EXISTS (SELECT 1 FROM passkeys WHERE id = $1 OR name = $2)",
        )
        .bind(&key.id)
        .bind(&key.name)
        .bind(&key.owner)
        .bind(&key.fixed)
        .bind(&key.moving)
        .bind(key.created_at)
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// All passkeys, oldest first.
    pub async fn passkeys(&self) -> Result<Vec<StoredPasskey>, Error> {
        let rows = sqlx::query(
            "SELECT id, name, owner, fixed, moving, created_at, used_at FROM passkeys ORDER BY created_at, name",
        )
        .fetch_all(&self.pool)
        .await?;
        let read = |row: &sqlx::sqlite::SqliteRow| -> Result<StoredPasskey, sqlx::Error> {
            Ok(StoredPasskey {
                id: row.try_get(0)?,
                name: row.try_get(1)?,
                owner: row.try_get(2)?,
                fixed: row.try_get(3)?,
                moving: row.try_get(4)?,
                created_at: row.try_get(5)?,
                used_at: row.try_get(6)?,
            })
        };
        Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
    }

    /// Notes that a passkey was used, with its counter and flags after it.
    pub async fn use_passkey(&self, id: &[u8], moving: &[u8], now: i64) -> Result<(), Error> {
        sqlx::query("UPDATE passkeys SET moving = $2, used_at = $3 WHERE id = $1")
            .bind(id)
            .bind(moving)
            .bind(now)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// Forgets a passkey; `false` when there is none of this name.
    pub async fn remove_passkey(&self, name: &str) -> Result<bool, Error> {
        let done = sqlx::query("DELETE FROM passkeys WHERE name = $1").bind(name).execute(&self.pool).await?;
        Ok(done.rows_affected() == 1)
    }
}
