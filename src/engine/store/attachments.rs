//! Which files the bases own, and which of them nothing names any more.

use futures_util::TryStreamExt as _;
use serde_json::{Map, Value};
use sqlx::AssertSqlSafe;
use tablewright_core::model::BaseId;
use tablewright_core::model::id::AttachmentId;

use super::{Error, Store};

/// A file a base owns. Its bytes are the blob's.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredAttachment {
    /// Its id, as in cells.
    pub id: AttachmentId,
    /// The base that owns it.
    pub base: BaseId,
    /// SHA-256 of the content, hex.
    pub blob: String,
    /// What it is called; cleaned.
    pub filename: String,
    /// Its media type.
    pub kind: String,
    /// Bytes.
    pub size: u64,
    /// Of an image: width and height in pixels, as shown.
    pub pixels: Option<(u32, u32)>,
    /// When it was taken in, in milliseconds since the epoch.
    pub created_at: i64,
    /// Since when nothing names it, as last looked.
    pub unused_since: Option<i64>,
    /// Of a file that lies elsewhere and is only kept for a while: by what its cell names it. The
    /// base does not own it.
    pub source: Option<String>,
}

impl StoredAttachment {
    /// The object a cell keeps: everything but the address, which is made when it is shown.
    pub fn cell(&self) -> Value {
        let mut cell = Map::new();
        cell.insert("id".into(), Value::String(self.id.to_string()));
        cell.insert("filename".into(), Value::from(self.filename.as_str()));
        cell.insert("type".into(), Value::from(self.kind.as_str()));
        cell.insert("size".into(), Value::from(self.size));
        if let Some((width, height)) = self.pixels {
            cell.insert("width".into(), Value::from(width));
            cell.insert("height".into(), Value::from(height));
        }
        Value::Object(cell)
    }
}

/// The columns of [`Raw`].
const COLUMNS: &str =
    "id, base, blob, filename, type, size, width, height, created_at, unused_since, source, used_at";

type Raw = (
    String,
    String,
    String,
    String,
    String,
    i64,
    Option<i64>,
    Option<i64>,
    i64,
    Option<i64>,
    Option<String>,
    Option<i64>,
);

/// The attachment, and when it was last used if that is noted.
fn read(raw: Raw) -> Result<(StoredAttachment, Option<i64>), Error> {
    let (id, base, blob, filename, kind, size, width, height, created_at, unused_since, source, used_at) =
        raw;
    let damaged = |reason: String| Error::Damaged { place: format!("attachment {id}"), reason };
    let pixel = |side: i64| u32::try_from(side).map_err(|e| damaged(e.to_string()));
    let attachment = StoredAttachment {
        pixels: width.zip(height).map(|(w, h)| Ok::<_, Error>((pixel(w)?, pixel(h)?))).transpose()?,
        base: base.parse().map_err(|e| damaged(format!("{e}")))?,
        size: u64::try_from(size).map_err(|e| damaged(e.to_string()))?,
        id: id.parse().map_err(|e| damaged(format!("{e}")))?,
        blob,
        filename,
        kind,
        created_at,
        unused_since,
        source,
    };
    Ok((attachment, used_at))
}

impl Store {
    /// Keeps a new attachment; false when its id is taken.
    pub async fn add_attachment(&self, new: &StoredAttachment) -> Result<bool, Error> {
        let done = sqlx::query(
            "INSERT INTO attachments
                 (id, base, blob, filename, type, size, width, height, created_at, source, used_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT (id) DO NOTHING",
        )
        .bind(new.id.to_string())
        .bind(new.base.to_string())
        .bind(&new.blob)
        .bind(&new.filename)
        .bind(&new.kind)
        .bind(i64::try_from(new.size).unwrap_or(i64::MAX))
        .bind(new.pixels.map(|(width, _)| i64::from(width)))
        .bind(new.pixels.map(|(_, height)| i64::from(height)))
        .bind(new.created_at)
        .bind(&new.source)
        .bind(new.source.as_ref().map(|_| new.created_at))
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// The attachment with this id.
    pub async fn attachment(&self, id: AttachmentId) -> Result<Option<StoredAttachment>, Error> {
        let statement = format!("SELECT {COLUMNS} FROM attachments WHERE id = $1");
        let found: Option<Raw> =
            sqlx::query_as(AssertSqlSafe(statement)).bind(id.to_string()).fetch_optional(&self.pool).await?;
        Ok(found.map(read).transpose()?.map(|(found, _)| found))
    }

    /// Takes an attachment back into use; false when it has just been dropped.
    pub async fn reuse_attachment(&self, id: AttachmentId) -> Result<bool, Error> {
        let done = sqlx::query("UPDATE attachments SET unused_since = NULL WHERE id = $1")
            .bind(id.to_string())
            .execute(&self.pool)
            .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Bytes of all attachments that a base owns.
    pub async fn attachment_bytes(&self, base: BaseId) -> Result<u64, Error> {
        let (sum,): (i64,) = sqlx::query_as(
            "SELECT COALESCE(SUM(size), 0) FROM attachments WHERE base = $1 AND source IS NULL",
        )
        .bind(base.to_string())
        .fetch_one(&self.pool)
        .await?;
        Ok(u64::try_from(sum).unwrap_or_default())
    }

    /// Bases that own attachments, also those that are not there any more.
    pub async fn bases_with_attachments(&self) -> Result<Vec<String>, Error> {
        let rows: Vec<(String,)> =
            sqlx::query_as("SELECT DISTINCT base FROM attachments WHERE source IS NULL")
                .fetch_all(&self.pool)
                .await?;
        Ok(rows.into_iter().map(|(base,)| base).collect())
    }

    /// The attachments a base owns: id, and since when they are unused.
    pub async fn attachments_of(&self, base: &str) -> Result<Vec<(String, Option<i64>)>, Error> {
        Ok(sqlx::query_as("SELECT id, unused_since FROM attachments WHERE base = $1 AND source IS NULL")
            .bind(base)
            .fetch_all(&self.pool)
            .await?)
    }

    /// Hands out every text of a base that may name attachments: cells of rows, and comments.
    pub async fn texts_with_attachments(
        &self,
        base: &str,
        each: &mut (dyn FnMut(&str) + Send),
    ) -> Result<(), Error> {
        for statement in [
            "SELECT rows.cells FROM rows JOIN tables ON tables.key = rows.table_key
             WHERE tables.base = $1 AND rows.cells LIKE '%\"att%'",
            "SELECT body FROM comments WHERE base = $1 AND body LIKE '%\"att%'",
        ] {
            let mut texts = sqlx::query_as::<_, (String,)>(statement).bind(base).fetch(&self.pool);
            while let Some((text,)) = texts.try_next().await? {
                each(&text);
            }
        }
        Ok(())
    }

    /// Notes which attachments are in use again and which are not any more.
    pub async fn mark_attachments(&self, used: &[String], unused: &[String], now: i64) -> Result<(), Error> {
        if used.is_empty() && unused.is_empty() {
            return Ok(());
        }
        let mut tx = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        for (ids, since) in [(used, None), (unused, Some(now))] {
            for id in ids {
                sqlx::query("UPDATE attachments SET unused_since = $2 WHERE id = $1")
                    .bind(id)
                    .bind(since)
                    .execute(&mut *tx)
                    .await?;
            }
        }
        tx.commit().await?;
        Ok(())
    }

    /// Drops the attachments that have been unused since before this time; how many.
    pub async fn drop_unused_attachments(&self, before: i64) -> Result<u64, Error> {
        let done = sqlx::query("DELETE FROM attachments WHERE unused_since < $1")
            .bind(before)
            .execute(&self.pool)
            .await?;
        Ok(done.rows_affected())
    }

    /// True when an attachment has this blob for its content.
    pub async fn has_blob(&self, blob: &str) -> Result<bool, Error> {
        let (found,): (i64,) = sqlx::query_as("SELECT COUNT(*) FROM attachments WHERE blob = $1")
            .bind(blob)
            .fetch_one(&self.pool)
            .await?;
        Ok(found > 0)
    }

    /// The file elsewhere that a cell of a base names by `source`, when it is kept, and when it was
    /// last used.
    pub async fn cached_attachment(
        &self,
        base: BaseId,
        source: &str,
    ) -> Result<Option<(StoredAttachment, i64)>, Error> {
        let statement = format!("SELECT {COLUMNS} FROM attachments WHERE base = $1 AND source = $2");
        let found: Option<Raw> = sqlx::query_as(AssertSqlSafe(statement))
            .bind(base.to_string())
            .bind(source)
            .fetch_optional(&self.pool)
            .await?;
        Ok(found.map(read).transpose()?.map(|(found, used_at)| (found, used_at.unwrap_or_default())))
    }

    /// Notes that a kept file was used.
    pub async fn use_attachment(&self, id: AttachmentId, now: i64) -> Result<(), Error> {
        sqlx::query("UPDATE attachments SET used_at = $2 WHERE id = $1")
            .bind(id.to_string())
            .bind(now)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// Forgets that a file elsewhere is kept.
    pub async fn drop_cached(&self, base: BaseId, source: &str) -> Result<(), Error> {
        sqlx::query("DELETE FROM attachments WHERE base = $1 AND source = $2")
            .bind(base.to_string())
            .bind(source)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// Forgets files elsewhere, those first that were not used for longest, until the others have at
    /// most `most` bytes; gives their blobs.
    pub async fn drop_cached_beyond(&self, most: u64) -> Result<Vec<String>, Error> {
        let mut tx = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        let rows: Vec<(String, String, i64)> = sqlx::query_as(
            "SELECT id, blob, size FROM attachments WHERE source IS NOT NULL
             ORDER BY used_at DESC, created_at DESC, id",
        )
        .fetch_all(&mut *tx)
        .await?;
        let (mut held, mut dropped) = (0u64, Vec::new());
        for (id, blob, size) in rows {
            held = held.saturating_add(u64::try_from(size).unwrap_or_default());
            if held > most {
                sqlx::query("DELETE FROM attachments WHERE id = $1").bind(id).execute(&mut *tx).await?;
                dropped.push(blob);
            }
        }
        tx.commit().await?;
        Ok(dropped)
    }
}
