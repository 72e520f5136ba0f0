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
    /// Whose it is: `person:ADDRESS` or `service:NAME`; nobody's in particular when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// The id of the workspace whose bases alone it sees.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workspace: Option<String>,
    /// When it is refused on its own, in milliseconds since the epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<i64>,
    /// When it was made, in milliseconds since the epoch.
    pub created_at: i64,
    /// When it was taken back.
    pub revoked_at: Option<i64>,
}

impl Store {
    /// Keeps a new token.
    pub async fn add_token(&self, token: &StoredToken) -> Result<(), Error> {
        insert(token, &self.pool).await
    }

    /// All tokens, oldest first.
    pub async fn tokens(&self) -> Result<Vec<StoredToken>, Error> {
        type Raw = (
            String,
            String,
            String,
            String,
            i64,
            Option<i64>,
            Option<String>,
            Option<String>,
            Option<String>,
            Option<i64>,
        );
        let rows: Vec<Raw> = sqlx::query_as(
            "SELECT id, name, hash, scopes, created_at, revoked_at, profile, owner, workspace, expires_at
             FROM tokens ORDER BY created_at, id",
        )
        .fetch_all(&self.pool)
        .await?;
        let read = |raw: Raw| {
            let (id, name, hash, scopes, created_at, revoked_at, profile, owner, workspace, expires_at) = raw;
            let scopes = serde_json::from_str(&scopes)
                .map_err(|e| Error::Damaged { place: format!("token {id}"), reason: e.to_string() })?;
            Ok(StoredToken {
                id,
                name,
                hash,
                scopes,
                profile,
                owner,
                workspace,
                expires_at,
                created_at,
                revoked_at,
            })
        };
        rows.into_iter().map(read).collect()
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

/// Keeps a new token, over a connection or in a transaction.
pub(super) async fn insert(
    token: &StoredToken,
    executor: impl sqlx::Executor<'_, Database = sqlx::Sqlite>,
) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO tokens (id, name, hash, scopes, created_at, profile, owner, workspace, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    )
    .bind(&token.id)
    .bind(&token.name)
    .bind(&token.hash)
    .bind(serde_json::to_string(&token.scopes).unwrap_or_default())
    .bind(token.created_at)
    .bind(&token.profile)
    .bind(&token.owner)
    .bind(&token.workspace)
    .bind(token.expires_at)
    .execute(executor)
    .await?;
    Ok(())
}
