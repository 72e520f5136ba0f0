//! How far the copies of bases that live in Airtable are.

use tablewright_core::model::BaseId;

use super::write::Tx;
use super::{Error, Store};
use crate::store::read::Cloud;

impl Store {
    /// How far the copy of a base is, as JSON; `None` before it was first kept.
    pub async fn replica(&self, base: BaseId) -> Result<Option<String>, Error> {
        let query = sqlx::query_scalar("SELECT state FROM replicas WHERE base = $1");
        Ok(query.bind(base.to_string()).fetch_optional(&self.pool).await?)
    }

    /// Keeps how far the copy of a base is.
    pub async fn set_replica(&self, base: BaseId, state: &str) -> Result<(), Error> {
        let mut tx = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        put_replica(&mut tx, base, state).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Changes with which login a copy is read, or which tables are copied.
    pub async fn set_cloud(&self, base: BaseId, cloud: &Cloud) -> Result<(), Error> {
        sqlx::query("UPDATE bases SET cloud = $2 WHERE id = $1 AND cloud IS NOT NULL")
            .bind(base.to_string())
            .bind(serde_json::to_string(cloud).unwrap_or_default())
            .execute(&self.pool)
            .await?;
        Ok(())
    }
}

/// Writes the state of a copy with the rows it belongs to.
pub(super) async fn put_replica(tx: &mut Tx, base: BaseId, state: &str) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO replicas (base, state) VALUES ($1, $2)
         ON CONFLICT (base) DO UPDATE SET state = excluded.state",
    )
    .bind(base.to_string())
    .bind(state)
    .execute(&mut **tx)
    .await?;
    Ok(())
}
