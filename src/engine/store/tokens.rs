//! Access tokens, kept as hashes.

use serde::{Deserialize, Serialize};

use super::{Error, Store};

/// A token as it is kept: everything but the token.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StoredToken {
    /// Its id, for `token revoke`.
    pub id: String,
    /// What its owner called it.
    pub name: String,
    /// SHA-256 of the token, hex.
    #[serde(skip)]
    pub hash: String,
    /// What it may do.
    pub scopes: Vec<String>,
    /// The login whose bases alone it sees; all bases when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// When it was made, in milliseconds since the epoch.
    pub created_at: i64,
    /// When it was taken back.
    pub revoked_at: Option<i64>,
}

impl Store {
    /// Keeps a new token.
    pub async fn add_token(&self, token: &StoredToken) -> Result<(), Error> {
        sqlx::query(
            "INSERT INTO tokens (id, name, hash, scopes, created_at, profile) VALUES ($1, $2, $3, $4, $5, $6)",
        )
        .bind(&token.id)
        .bind(&token.name)
        .bind(&token.hash)
        .bind(serde_json::to_string(&token.scopes).unwrap_or_default())
        .bind(token.created_at)
        .bind(&token.profile)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// All tokens, oldest first.
    pub async fn tokens(&self) -> Result<Vec<StoredToken>, Error> {
        type Raw = (String, String, String, String, i64, Option<i64>, Option<String>);
        let rows: Vec<Raw> = sqlx::query_as(
            "SELECT id, name, hash, scopes, created_at, revoked_at, profile FROM tokens ORDER BY created_at, id",
        )
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter()
            .map(|(id, name, hash, scopes, created_at, revoked_at, profile)| {
                let scopes = serde_json::from_str(&scopes)
                    .map_err(|e| Error::Damaged { place: format!("token {id}"), reason: e.to_string() })?;
                Ok(StoredToken { id, name, hash, scopes, profile, created_at, revoked_at })
            })
            .collect()
    }

    /// Takes back the token with this id or name; the count of those taken back.
    pub async fn revoke_token(&self, wanted: &str, at: i64) -> Result<u64, Error> {
        let done = sqlx::query(
            "UPDATE tokens SET revoked_at = $1 WHERE revoked_at IS NULL AND (id = $2 OR name = $2)",
        )
        .bind(at)
        .bind(wanted)
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected())
    }
}
