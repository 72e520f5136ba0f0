//! Webhooks, what they have to say, and the pings they owe.

use futures_util::TryStreamExt;
use serde_json::Value;
use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;
use tablewright_core::model::{BaseId, WebhookId};
use tablewright_core::secret::Secret;

use super::read::{read_change, select_changes};
use super::{Error, Store};
use crate::base::Change;

/// A webhook as the store keeps it, without its key. Times are milliseconds since the epoch.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredWebhook {
    /// Its id.
    pub id: WebhookId,
    /// The base it follows.
    pub base: BaseId,
    /// The principal who made it.
    pub owner: String,
    /// What it wants to hear, as it was sent.
    pub specification: Value,
    /// Where pings go.
    pub url: Option<String>,
    /// When it was made.
    pub created_at: i64,
    /// Until when payloads are made.
    pub expires_at: i64,
    /// The newest commit when it was made; it hears of later ones.
    pub since: i64,
    /// False once its specification names something that is gone.
    pub is_valid: bool,
    /// False when pings are switched off.
    pub notifies: bool,
    /// The number of the next payload.
    pub next_cursor: i64,
    /// When a ping last arrived.
    pub told_at: Option<i64>,
    /// How the last ping went.
    pub result: Option<Value>,
}

/// A ping that is due.
#[derive(Debug, Clone)]
pub struct OwedPing {
    /// The webhook.
    pub id: WebhookId,
    /// Its base.
    pub base: BaseId,
    /// Where it goes.
    pub url: String,
    /// The key that signs it, in base64.
    pub secret: Secret,
    /// The number of the next payload: what the receiver knows of when it arrives.
    pub next_cursor: i64,
    /// Pings that failed since one last arrived.
    pub retries: i64,
}

/// What became of a ping.
#[derive(Debug, Clone, PartialEq)]
pub enum PingOutcome {
    /// It arrived at `at`; payloads before `next_cursor` are told.
    Arrived {
        /// When.
        at: i64,
        /// The number of the next payload when it went out.
        next_cursor: i64,
    },
    /// It failed and goes out again.
    Retry {
        /// Pings that failed by now.
        retries: i64,
        /// When to try again.
        due_at: i64,
    },
    /// It failed for the last time: pings are switched off.
    GivenUp,
}

/// A payload to be kept.
#[derive(Debug, Clone, PartialEq)]
pub struct NewPayload {
    /// The webhook it is for.
    pub webhook: WebhookId,
    /// When the commit was made.
    pub at: i64,
    /// The payload as JSON text.
    pub body: String,
    /// True when it is the last one: the specification names something that is gone.
    pub is_last: bool,
}

/// Payloads of a page, each with its number.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PayloadPage {
    /// Number and JSON text, in order.
    pub payloads: Vec<(i64, String)>,
    /// True when there are more.
    pub has_more: bool,
}

const COLUMNS: &str = "id, base, owner, specification, url, created_at, expires_at, since, valid, notify, next_cursor, told_at, result";

fn damaged(id: &str) -> impl Fn(String) -> Error {
    move |reason| Error::Damaged { place: format!("webhook {id}"), reason }
}

fn read_webhook(row: &SqliteRow) -> Result<StoredWebhook, Error> {
    let shown: &str = row.try_get(0)?;
    let bad = damaged(shown);
    let json = |text: &str| serde_json::from_str(text).map_err(|e| bad(e.to_string()));
    let flag = |at: usize| row.try_get::<i64, _>(at).map(|n| n != 0);
    Ok(StoredWebhook {
        id: shown.parse().map_err(|e| bad(format!("{e}")))?,
        base: row.try_get::<&str, _>(1)?.parse().map_err(|e| bad(format!("{e}")))?,
        owner: row.try_get(2)?,
        specification: json(row.try_get(3)?)?,
        url: row.try_get(4)?,
        created_at: row.try_get(5)?,
        expires_at: row.try_get(6)?,
        since: row.try_get(7)?,
        is_valid: flag(8)?,
        notifies: flag(9)?,
        next_cursor: row.try_get(10)?,
        told_at: row.try_get(11)?,
        result: row.try_get::<Option<&str>, _>(12)?.map(json).transpose()?,
    })
}

impl Store {
    /// Adds a webhook unless its base has `most` already whose time is not up; false then. Its
    /// `since` is set to the newest commit.
    pub async fn add_webhook(
        &self,
        webhook: &StoredWebhook,
        secret: &Secret,
        most: i64,
    ) -> Result<bool, Error> {
        let mut tx = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        let (active,): (i64,) =
            sqlx::query_as("SELECT COUNT(*) FROM webhooks WHERE base = $1 AND expires_at > $2")
                .bind(webhook.base.to_string())
                .bind(webhook.created_at)
                .fetch_one(&mut *tx)
                .await?;
        if active >= most {
            return Ok(false);
        }
        sqlx::query(
            "INSERT INTO webhooks (id, base, owner, specification, url, secret, created_at, expires_at, since,
                                   valid, notify, next_cursor, told_cursor, retries, due_at)
             SELECT $1, $2, $3, $4, $5, $6, $7, $8, COALESCE(MAX(seq), 0), 1, $9, $10, $10, 0, 0 FROM changes",
        )
        .bind(webhook.id.to_string())
        .bind(webhook.base.to_string())
        .bind(&webhook.owner)
        .bind(webhook.specification.to_string())
        .bind(&webhook.url)
        .bind(secret.reveal())
        .bind(webhook.created_at)
        .bind(webhook.expires_at)
        .bind(i64::from(webhook.notifies))
        .bind(webhook.next_cursor)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(true)
    }

    /// All webhooks, oldest first; of one base when it is named.
    pub async fn webhooks(&self, base: Option<BaseId>) -> Result<Vec<StoredWebhook>, Error> {
        let sql =
            format!("SELECT {COLUMNS} FROM webhooks WHERE $1 IS NULL OR base = $1 ORDER BY created_at, id");
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(base.map(|id| id.to_string()))
            .fetch_all(&self.pool)
            .await?;
        rows.iter().map(read_webhook).collect()
    }

    /// A webhook of a base; `None` when there is none of that id.
    pub async fn webhook(&self, base: BaseId, id: WebhookId) -> Result<Option<StoredWebhook>, Error> {
        let sql = format!("SELECT {COLUMNS} FROM webhooks WHERE base = $1 AND id = $2");
        let row = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(base.to_string())
            .bind(id.to_string())
            .fetch_optional(&self.pool)
            .await?;
        row.as_ref().map(read_webhook).transpose()
    }

    /// Deletes a webhook with its payloads.
    pub async fn delete_webhook(&self, id: WebhookId) -> Result<(), Error> {
        let mut tx = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        for statement in
            ["DELETE FROM webhook_payloads WHERE webhook = $1", "DELETE FROM webhooks WHERE id = $1"]
        {
            sqlx::query(statement).bind(id.to_string()).execute(&mut *tx).await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// Switches the pings of a webhook on or off; on, what is owed goes out at once.
    pub async fn set_webhook_pings(&self, id: WebhookId, on: bool) -> Result<(), Error> {
        sqlx::query("UPDATE webhooks SET notify = $2, retries = 0, due_at = 0 WHERE id = $1")
            .bind(id.to_string())
            .bind(i64::from(on))
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// Gives a webhook more time.
    pub async fn set_webhook_expiry(&self, id: WebhookId, expires_at: i64) -> Result<(), Error> {
        sqlx::query("UPDATE webhooks SET expires_at = $2 WHERE id = $1")
            .bind(id.to_string())
            .bind(expires_at)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// Payloads from number `from` on that are younger than `after`: at most `most`, and no more
    /// than the one that passes `bytes`.
    pub async fn webhook_payloads(
        &self,
        id: WebhookId,
        from: i64,
        after: i64,
        most: usize,
        bytes: usize,
    ) -> Result<PayloadPage, Error> {
        let mut rows = sqlx::query(
            "SELECT cursor, body FROM webhook_payloads WHERE webhook = $1 AND cursor >= $2 AND at > $3
             ORDER BY cursor LIMIT $4",
        )
        .bind(id.to_string())
        .bind(from)
        .bind(after)
        .bind(i64::try_from(most).unwrap_or(i64::MAX).saturating_add(1))
        .fetch(&self.pool);
        let (mut page, mut read) = (PayloadPage::default(), 0);
        while let Some(row) = rows.try_next().await? {
            if page.payloads.len() == most || read >= bytes {
                page.has_more = true;
                break;
            }
            let body: String = row.try_get(1)?;
            read += body.len();
            page.payloads.push((row.try_get(0)?, body));
        }
        Ok(page)
    }

    /// How far the change log was turned into payloads, and the commits counted by base.
    pub async fn webhook_progress(&self) -> Result<(i64, Vec<(BaseId, i64)>), Error> {
        let (position,): (i64,) = sqlx::query_as("SELECT position FROM webhook_progress WHERE one = 1")
            .fetch_one(&self.pool)
            .await?;
        let rows: Vec<(String, i64)> =
            sqlx::query_as("SELECT base, transactions FROM webhook_bases").fetch_all(&self.pool).await?;
        let counted = rows.into_iter().filter_map(|(base, n)| Some((base.parse().ok()?, n))).collect();
        Ok((position, counted))
    }

    /// Commits after `after`, up to `upto`, that webhooks may be about, of one base when it is
    /// named, oldest first, and how far they reach: at most `most`, and no more than the one that
    /// passes `bytes`.
    pub async fn webhook_changes(
        &self,
        base: Option<BaseId>,
        after: i64,
        upto: i64,
        most: usize,
        bytes: usize,
    ) -> Result<(Vec<Change>, i64), Error> {
        let mut rows = sqlx::query(select_changes!(
            "seq > $1 AND seq <= $2 AND kind IN ('records', 'schema')
                 AND base IN (SELECT base FROM webhooks) AND ($3 IS NULL OR base = $3)
                 ORDER BY seq LIMIT $4"
        ))
        .bind(after)
        .bind(upto)
        .bind(base.map(|id| id.to_string()))
        .bind(i64::try_from(most).unwrap_or(i64::MAX))
        .fetch(&self.pool);
        let (mut changes, mut read): (Vec<Change>, usize) = (Vec::new(), 0);
        while let Some(row) = rows.try_next().await? {
            read += row.try_get::<&str, _>(5)?.len() + row.try_get::<&str, _>(6)?.len();
            changes.push(read_change(&row)?);
            if read >= bytes || changes.len() >= most {
                let reached = changes.last().map_or(upto, |change| change.seq);
                return Ok((changes, reached));
            }
        }
        Ok((changes, upto))
    }

    /// Keeps payloads, and with them how far the log was read and the commits counted by base; all
    /// of it or nothing. A payload for a webhook that is gone is dropped.
    pub async fn keep_payloads(
        &self,
        payloads: &[NewPayload],
        position: i64,
        counted: &[(BaseId, i64)],
    ) -> Result<(), Error> {
        let mut tx = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        for payload in payloads {
            let taken: Option<(i64,)> = sqlx::query_as(
                "UPDATE webhooks SET next_cursor = next_cursor + 1, valid = valid * $2 WHERE id = $1
                 RETURNING next_cursor - 1",
            )
            .bind(payload.webhook.to_string())
            .bind(i64::from(!payload.is_last))
            .fetch_optional(&mut *tx)
            .await?;
            let Some((cursor,)) = taken else { continue };
            sqlx::query("INSERT INTO webhook_payloads (webhook, cursor, at, body) VALUES ($1, $2, $3, $4)")
                .bind(payload.webhook.to_string())
                .bind(cursor)
                .bind(payload.at)
                .bind(&payload.body)
                .execute(&mut *tx)
                .await?;
        }
        for (base, transactions) in counted {
            sqlx::query(
                "INSERT INTO webhook_bases (base, transactions) SELECT id, $2 FROM bases WHERE id = $1
                 ON CONFLICT (base) DO UPDATE SET transactions = excluded.transactions",
            )
            .bind(base.to_string())
            .bind(transactions)
            .execute(&mut *tx)
            .await?;
        }
        sqlx::query("UPDATE webhook_progress SET position = $1 WHERE one = 1")
            .bind(position)
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(())
    }

    /// Pings that are due at `now`, the longest due first, at most `most`.
    pub async fn owed_pings(&self, now: i64, most: i64) -> Result<Vec<OwedPing>, Error> {
        type Raw = (String, String, String, String, i64, i64);
        let rows: Vec<Raw> = sqlx::query_as(
            "SELECT id, base, url, secret, next_cursor, retries FROM webhooks
             WHERE notify = 1 AND url IS NOT NULL AND told_cursor < next_cursor AND expires_at > $1
             AND due_at <= $1 ORDER BY due_at, id LIMIT $2",
        )
        .bind(now)
        .bind(most)
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter()
            .map(|(id, base, url, secret, next_cursor, retries)| {
                let bad = damaged(&id);
                Ok(OwedPing {
                    id: id.parse().map_err(|e| bad(format!("{e}")))?,
                    base: base.parse().map_err(|e| bad(format!("{e}")))?,
                    url,
                    secret: Secret::new(secret),
                    next_cursor,
                    retries,
                })
            })
            .collect()
    }

    /// When the next ping is due that is not due at `now`.
    pub async fn next_ping(&self, now: i64) -> Result<Option<i64>, Error> {
        let (due,): (Option<i64>,) = sqlx::query_as(
            "SELECT MIN(due_at) FROM webhooks
             WHERE notify = 1 AND url IS NOT NULL AND told_cursor < next_cursor AND expires_at > $1
             AND due_at > $1",
        )
        .bind(now)
        .fetch_one(&self.pool)
        .await?;
        Ok(due)
    }

    /// Writes down what became of a ping; `result` is what the Web API shows of it.
    pub async fn ping_done(&self, id: WebhookId, outcome: &PingOutcome, result: &Value) -> Result<(), Error> {
        let result = result.to_string();
        let query = match outcome {
            PingOutcome::Arrived { at, next_cursor } => sqlx::query(
                "UPDATE webhooks SET result = $2, told_at = $3, told_cursor = $4, retries = 0, due_at = 0
                 WHERE id = $1",
            )
            .bind(id.to_string())
            .bind(result)
            .bind(at)
            .bind(next_cursor),
            PingOutcome::Retry { retries, due_at } => {
                sqlx::query("UPDATE webhooks SET result = $2, retries = $3, due_at = $4 WHERE id = $1")
                    .bind(id.to_string())
                    .bind(result)
                    .bind(retries)
                    .bind(due_at)
            }
            PingOutcome::GivenUp => {
                sqlx::query("UPDATE webhooks SET result = $2, notify = 0, retries = 0 WHERE id = $1")
                    .bind(id.to_string())
                    .bind(result)
            }
        };
        query.execute(&self.pool).await?;
        Ok(())
    }

    /// Drops payloads that are not younger than `payloads`, and webhooks whose time was up by
    /// `webhooks`.
    pub async fn prune_webhooks(&self, payloads: i64, webhooks: i64) -> Result<(), Error> {
        let mut tx = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        sqlx::query("DELETE FROM webhook_payloads WHERE at <= $1").bind(payloads).execute(&mut *tx).await?;
        for statement in [
            "DELETE FROM webhook_payloads WHERE webhook IN (SELECT id FROM webhooks WHERE expires_at <= $1)",
            "DELETE FROM webhooks WHERE expires_at <= $1",
        ] {
            sqlx::query(statement).bind(webhooks).execute(&mut *tx).await?;
        }
        tx.commit().await?;
        Ok(())
    }
}
