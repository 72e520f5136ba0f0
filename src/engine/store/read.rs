//! Reading bases back into memory, and the change log.

use futures_util::TryStreamExt;
use std::sync::Arc;

use rustc_hash::FxHashMap;
use serde::de::{DeserializeSeed, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;
use tablewright_core::model::{Base, BaseId, Cell, Field, Table, TableId};

use super::{Error, Store};
use crate::base::changes::Author;
use crate::base::{Change, Snapshot, TableData};
use crate::compute::settle;

pub(super) fn damaged(place: impl Into<String>) -> impl FnOnce(serde_json::Error) -> Error {
    let place = place.into();
    move |e| Error::Damaged { place, reason: e.to_string() }
}

/// A base as the store lists it.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredBase {
    /// Its id.
    pub id: BaseId,
    /// Its name.
    pub name: String,
    /// Where it lives, when that is not here.
    pub cloud: Option<Cloud>,
}

/// A base that lives in Airtable.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cloud {
    /// The login it is read with.
    pub profile: String,
    /// The tables that are copied; all when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tables: Option<Vec<TableId>>,
}

impl Store {
    /// All bases, by name.
    pub async fn bases(&self) -> Result<Vec<StoredBase>, Error> {
        let rows: Vec<(String, String, Option<String>)> =
            sqlx::query_as("SELECT id, name, cloud FROM bases ORDER BY name, id")
                .fetch_all(&self.pool)
                .await?;
        rows.into_iter()
            .map(|(id, name, cloud)| {
                let place = || format!("base {id}");
                let cloud = cloud.map(|text| serde_json::from_str(&text)).transpose();
                let cloud = cloud.map_err(damaged(place()))?;
                match id.parse() {
                    Ok(id) => Ok(StoredBase { id, name, cloud }),
                    Err(e) => Err(Error::Damaged { place: place(), reason: format!("{e}") }),
                }
            })
            .collect()
    }

    /// When a base came into the store, in milliseconds since the epoch; `None` when there is none.
    pub async fn created(&self, id: BaseId) -> Result<Option<i64>, Error> {
        let query = sqlx::query_scalar("SELECT created_at FROM bases WHERE id = $1");
        Ok(query.bind(id.to_string()).fetch_optional(&self.pool).await?)
    }

    /// The schema of a base, settled when it lives here; `None` when there is none of that id.
    pub async fn schema(&self, id: BaseId) -> Result<Option<Base>, Error> {
        Ok(self.schema_and_place(id).await?.map(|(schema, _)| schema))
    }

    /// The schema of a base, and whether it lives in Airtable.
    async fn schema_and_place(&self, id: BaseId) -> Result<Option<(Base, bool)>, Error> {
        let found: Option<(String, String, Option<String>)> =
            sqlx::query_as("SELECT name, tables, cloud FROM bases WHERE id = $1")
                .bind(id.to_string())
                .fetch_optional(&self.pool)
                .await?;
        let Some((name, tables, cloud)) = found else { return Ok(None) };
        let tables: Vec<Table> = serde_json::from_str(&tables).map_err(damaged(format!("schema of {id}")))?;
        let mut schema = Base { id, name, tables };
        if cloud.is_some() {
            return Ok(Some((schema, true)));
        }
        if let Err(fault) = settle(&mut schema) {
            // Taken in before circles were refused: those fields keep the cells they have.
            tracing::warn!(base = %id, %fault, "some fields are not worked out");
        }
        Ok(Some((schema, false)))
    }

    /// A base with all its rows; `None` when there is none of that id. Its tables start at `version`.
    pub async fn load(&self, id: BaseId, version: u64) -> Result<Option<Snapshot>, Error> {
        let Some((schema, cloud)) = self.schema_and_place(id).await? else { return Ok(None) };
        let schema = Arc::new(schema);
        let mut snapshot =
            if cloud { Snapshot::copy(schema.clone()) } else { Snapshot::empty(schema.clone()) };
        let keys: Vec<(i64, String, i64, i64)> =
            sqlx::query_as("SELECT key, id, next_position, next_auto FROM tables WHERE base = $1")
                .bind(id.to_string())
                .fetch_all(&self.pool)
                .await?;
        for (key, table, next_position, next_auto) in keys {
            let table: Option<TableId> = table.parse().ok();
            let Some(table) = table.and_then(|t| schema.table_by_id(t)) else { continue };
            let mut data = self.load_rows(&snapshot, table, key).await?;
            data.next_position = data.next_position.max(next_position);
            data.next_auto = next_auto;
            data.version = version;
            snapshot.tables.insert(table.id, Arc::new(data));
        }
        Ok(Some(snapshot))
    }

    async fn load_rows(&self, snapshot: &Snapshot, table: &Table, key: i64) -> Result<TableData, Error> {
        let mut data = TableData::empty(table);
        let fields = Fields::of(snapshot, table);
        let mut edits: Vec<(usize, i64)> = Vec::new();
        let mut rows = sqlx::query(
            "SELECT position, id, created_at, cells FROM rows WHERE table_key = $1 ORDER BY position",
        )
        .bind(key)
        .fetch(&self.pool);
        let mut cells: Vec<Cell> = vec![Cell::Blank; table.fields.len()];
        while let Some(row) = rows.try_next().await? {
            let id: &str = row.try_get(1)?;
            let id = id.parse().map_err(|e| Error::Damaged {
                place: format!("rows of {}", table.id),
                reason: format!("{e}"),
            })?;
            let text: &str = row.try_get(3)?;
            let mut reader = serde_json::Deserializer::from_str(text);
            Cells { fields: &fields, into: &mut cells, edits: &mut edits }
                .deserialize(&mut reader)
                .map_err(damaged(format!("record {id}")))?;
            data.load(id, row.try_get(2)?, row.try_get(0)?, cells.iter_mut().map(std::mem::take));
            if let Some(slot) = data.slot(&id).filter(|_| !edits.is_empty()) {
                edits.drain(..).for_each(|(watch, ms)| data.set_edited(watch, slot, ms));
            }
        }
        Ok(data)
    }

    /// Commits after `seq`, oldest first, at most `limit`.
    pub async fn changes(&self, after: i64, limit: u32) -> Result<Vec<Change>, Error> {
        let rows = sqlx::query(select_changes!("seq > $1 ORDER BY seq LIMIT $2"))
            .bind(after)
            .bind(i64::from(limit))
            .fetch_all(&self.pool)
            .await?;
        rows.iter().map(read_change).collect()
    }

    /// Commits to one base after `after`, up to `upto`, oldest first, and how far they reach: no
    /// more than the one that passes `bytes`.
    pub async fn changes_of(
        &self,
        base: BaseId,
        after: i64,
        upto: i64,
        bytes: usize,
    ) -> Result<(Vec<Change>, i64), Error> {
        let mut rows = sqlx::query(select_changes!("seq > $1 AND seq <= $2 AND base = $3 ORDER BY seq"))
            .bind(after)
            .bind(upto)
            .bind(base.to_string())
            .fetch(&self.pool);
        let (mut changes, mut read): (Vec<Change>, usize) = (Vec::new(), 0);
        while let Some(row) = rows.try_next().await? {
            read += row.try_get::<&str, _>(5)?.len() + row.try_get::<&str, _>(6)?.len();
            let change = read_change(&row)?;
            let seq = change.seq;
            changes.push(change);
            if read >= bytes {
                return Ok((changes, seq));
            }
        }
        Ok((changes, upto))
    }

    /// The number of the oldest commit that is still in the log; `None` when there is none.
    pub async fn first_change(&self) -> Result<Option<i64>, Error> {
        Ok(sqlx::query_scalar("SELECT MIN(seq) FROM changes").fetch_one(&self.pool).await?)
    }

    /// The number of the newest commit; 0 when there is none.
    pub async fn last_change(&self) -> Result<i64, Error> {
        let (seq,): (Option<i64>,) =
            sqlx::query_as("SELECT MAX(seq) FROM changes").fetch_one(&self.pool).await?;
        Ok(seq.unwrap_or(0))
    }

    /// The comments of a base by record, each record's in order.
    pub async fn comments(&self, base: BaseId) -> Result<Vec<(String, Value)>, Error> {
        let rows: Vec<(String, String)> =
            sqlx::query_as("SELECT record, body FROM comments WHERE base = $1 ORDER BY record, position")
                .bind(base.to_string())
                .fetch_all(&self.pool)
                .await?;
        rows.into_iter()
            .map(|(record, body)| {
                let body = serde_json::from_str(&body).map_err(damaged(format!("comment on {record}")))?;
                Ok((record, body))
            })
            .collect()
    }
}

/// A question to the change log, whose rows [`read_change`] reads.
macro_rules! select_changes {
    ($rest:literal) => {
        concat!(
            "SELECT seq, base, at, by, kind, tables, schema, face, action, client, session, call, plan, undone_by ",
            "FROM changes WHERE ",
            $rest
        )
    };
}
pub(super) use select_changes;

/// Reads a row of the change log.
pub(super) fn read_change(row: &SqliteRow) -> Result<Change, Error> {
    let seq: i64 = row.try_get(0)?;
    let bad = || damaged(format!("change {seq}"));
    let unlike = |reason: String| Error::Damaged { place: format!("change {seq}"), reason };
    let text = |at: usize| row.try_get::<&str, _>(at).map_err(|e| unlike(e.to_string()));
    Ok(Change {
        seq,
        base: text(1)?.parse().map_err(|e| unlike(format!("{e}")))?,
        at: row.try_get(2)?,
        author: Author {
            principal: text(3)?.into(),
            face: text(7)?.into(),
            action: text(8)?.into(),
            client: text(9)?.into(),
            session: text(10)?.into(),
            call: text(11)?.into(),
            plan: row.try_get::<Option<&str>, _>(12)?.map(Into::into),
        },
        kind: serde_json::from_value(Value::from(text(4)?)).map_err(bad())?,
        tables: serde_json::from_str(text(5)?).map_err(bad())?,
        schema: serde_json::from_str(text(6)?).map_err(bad())?,
        recomputed: Vec::new(),
    })
}

/// What a table stores, by key: the fields that are not worked out, and the watches.
struct Fields<'a> {
    fields: FxHashMap<String, (usize, &'a Field)>,
    watches: FxHashMap<&'a str, usize>,
}

impl<'a> Fields<'a> {
    fn of(snapshot: &'a Snapshot, table: &'a Table) -> Self {
        let place = snapshot.schema.tables.iter().position(|t| t.id == table.id).unwrap_or_default();
        let stored = table.fields.iter().enumerate().filter(|(at, _)| !snapshot.plan.computes(place, *at));
        let watches = snapshot.plan.watches(table.id).iter().enumerate();
        Self {
            fields: stored.map(|(at, f)| (f.id.to_string(), (at, f))).collect(),
            watches: watches.map(|(at, watch)| (watch.key.as_str(), at)).collect(),
        }
    }
}

/// Reads a row's stored cells into a buffer, one place per field.
struct Cells<'a, 'b> {
    fields: &'a Fields<'a>,
    into: &'b mut Vec<Cell>,
    edits: &'b mut Vec<(usize, i64)>,
}

impl<'de> DeserializeSeed<'de> for Cells<'_, '_> {
    type Value = ();
    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Cells<'_, '_> {
    type Value = ();
    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("cells by field id")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<&str>()? {
            let value: Value = map.next_value()?;
            // A field that is no longer in the schema has no column; its cells end here.
            if let Some((at, field)) = self.fields.fields.get(key) {
                self.into[*at] = Cell::from_stored(field, &value);
            } else if let (Some(watch), Some(ms)) = (self.fields.watches.get(key), value.as_i64()) {
                self.edits.push((*watch, ms));
            }
        }
        Ok(())
    }
}
