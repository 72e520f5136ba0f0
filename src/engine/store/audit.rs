//! The audit log: one line for each call, chained by hashes.
//!
//! The hash of a line covers the line before it, so that a line which was changed, removed, put in
//! or moved is found. How far the chain reaches is kept beside it, so that lines missing at the end
//! are found too; whoever can change the whole database can change that as well, which is what
//! anchors outside are for.

mod verify;

use serde::Serialize;
use sha2::{Digest, Sha256};
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row as _, Sqlite};

use super::write::{AuditEntry, Tx};
use super::{Error, Store};

/// Rows per INSERT statement.
const ROWS_PER_STATEMENT: usize = 64;
/// Numbers of a line.
const NUMBERS: usize = 6;
/// Texts of a line that always are there.
const TEXTS: usize = 9;

pub use verify::{Anchored, Broken, Verified};

/// The hash of a line.
pub type Hash = [u8; 32];

/// A line as it is stored. Times are milliseconds since the epoch.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Line {
    /// Its number.
    pub seq: i64,
    /// When.
    pub at: i64,
    /// Who.
    pub principal: String,
    /// Through which face.
    pub face: String,
    /// The tool, command or endpoint.
    pub action: String,
    /// The program that called.
    pub client: String,
    /// The conversation.
    pub session: String,
    /// The call.
    pub call: String,
    /// The plan it carried out.
    pub plan: Option<String>,
    /// Ids of what it was about.
    pub target: String,
    /// Ids of records, a blank between them.
    pub records: String,
    /// `ok` or a fault's code.
    pub outcome: String,
    /// How long it took, in microseconds.
    pub duration_us: i64,
    /// Requests to Airtable.
    pub upstream: i64,
    /// Records it created or changed.
    pub written: i64,
    /// Records it deleted.
    pub deleted: i64,
    /// Its hash; absent in lines from before there was a chain.
    #[serde(skip)]
    pub hash: Option<Vec<u8>>,
}

const COLUMNS: &str = "seq, at, principal, face, action, client, session, call, plan, target, records,
    outcome, duration_us, upstream, written, deleted, hash";

/// Which lines; those that fit everything that is named.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Asked {
    /// By this principal.
    pub principal: Option<String>,
    /// By this tool, command or endpoint.
    pub action: Option<String>,
    /// With this outcome.
    pub outcome: Option<String>,
    /// About this base, table or record: a part of the ids.
    pub about: Option<String>,
    /// At this moment or later.
    pub since: Option<i64>,
    /// Before this moment.
    pub until: Option<i64>,
    /// With a smaller number than this.
    pub before: Option<i64>,
}

struct Head {
    first: i64,
    before: Vec<u8>,
    last: i64,
    hash: Vec<u8>,
}

/// Adds a part to a hash so that no two lists of parts look the same.
fn add(hash: &mut Sha256, part: &[u8]) {
    hash.update((part.len() as u64).to_le_bytes());
    hash.update(part);
}

impl Line {
    fn of(seq: i64, entry: &AuditEntry) -> Self {
        let author = &entry.author;
        Self {
            seq,
            at: entry.at,
            principal: author.principal.to_string(),
            face: author.face.to_string(),
            action: author.action.to_string(),
            client: author.client.to_string(),
            session: author.session.to_string(),
            call: author.call.to_string(),
            plan: author.plan.as_deref().map(str::to_owned),
            target: entry.target.clone(),
            records: entry.records(),
            outcome: entry.outcome.clone(),
            duration_us: entry.duration_us,
            upstream: entry.upstream.into(),
            written: entry.written.into(),
            deleted: entry.deleted.into(),
            hash: None,
        }
    }

    fn read(row: &SqliteRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            seq: row.try_get(0)?,
            at: row.try_get(1)?,
            principal: row.try_get(2)?,
            face: row.try_get(3)?,
            action: row.try_get(4)?,
            client: row.try_get(5)?,
            session: row.try_get(6)?,
            call: row.try_get(7)?,
            plan: row.try_get(8)?,
            target: row.try_get(9)?,
            records: row.try_get(10)?,
            outcome: row.try_get(11)?,
            duration_us: row.try_get(12)?,
            upstream: row.try_get(13)?,
            written: row.try_get(14)?,
            deleted: row.try_get(15)?,
            hash: row.try_get(16)?,
        })
    }

    /// The hash of this line behind one with the hash `previous`.
    fn chained(&self, previous: &[u8]) -> Hash {
        let texts = [
            &self.principal,
            &self.face,
            &self.action,
            &self.client,
            &self.session,
            &self.call,
            &self.target,
            &self.records,
            &self.outcome,
        ];
        let numbers = [self.seq, self.at, self.duration_us, self.upstream, self.written, self.deleted];
        chained(previous, numbers, texts.map(String::as_bytes), self.plan.as_deref().map(str::as_bytes))
    }
}

/// The hash of a line with these numbers, texts and plan behind one with the hash `previous`.
fn chained(previous: &[u8], numbers: [i64; NUMBERS], texts: [&[u8]; TEXTS], plan: Option<&[u8]>) -> Hash {
    let mut hash = Sha256::new();
    add(&mut hash, previous);
    let (always, counts) = numbers.split_at(NUMBERS - 2);
    always.iter().for_each(|number| hash.update(number.to_le_bytes()));
    texts.into_iter().for_each(|text| add(&mut hash, text));
    match plan {
        Some(plan) => add(&mut hash, plan),
        None => hash.update(u64::MAX.to_le_bytes()),
    }
    // Lines from before these were counted have none, and their hashes stay what they are.
    if counts.iter().any(|count| *count != 0) {
        counts.iter().for_each(|count| hash.update(count.to_le_bytes()));
    }
    hash.finalize().into()
}

async fn head(tx: &mut Tx) -> Result<Option<Head>, Error> {
    let row = sqlx::query("SELECT first_seq, before, last_seq, last FROM audit_chain WHERE one = 1")
        .fetch_optional(&mut **tx)
        .await?;
    Ok(row.as_ref().map(read_head).transpose()?)
}

fn read_head(row: &SqliteRow) -> Result<Head, sqlx::Error> {
    Ok(Head { first: row.try_get(0)?, before: row.try_get(1)?, last: row.try_get(2)?, hash: row.try_get(3)? })
}

/// Adds lines at the end of the chain.
pub(super) async fn write_audit(tx: &mut Tx, entries: &[AuditEntry]) -> Result<(), Error> {
    if entries.is_empty() {
        return Ok(());
    }
    let head = head(tx).await?;
    let is_new = head.is_none();
    let head = match head {
        Some(head) => head,
        None => {
            // Lines from before the chain stay as they are; their numbers are not used again.
            let (held,): (i64,) =
                sqlx::query_as("SELECT COALESCE(MAX(seq), 0) FROM audit").fetch_one(&mut **tx).await?;
            Head { first: held + 1, before: Vec::new(), last: held, hash: Vec::new() }
        }
    };
    let (mut seq, mut hash) = (head.last, head.hash);
    for part in entries.chunks(ROWS_PER_STATEMENT) {
        let mut insert: QueryBuilder<Sqlite> = QueryBuilder::new(format!("INSERT INTO audit ({COLUMNS}) "));
        insert.push_values(part, |mut row, entry| {
            seq += 1;
            let line = Line::of(seq, entry);
            hash = line.chained(&hash).to_vec();
            row.push_bind(line.seq)
                .push_bind(line.at)
                .push_bind(line.principal)
                .push_bind(line.face)
                .push_bind(line.action)
                .push_bind(line.client)
                .push_bind(line.session)
                .push_bind(line.call)
                .push_bind(line.plan)
                .push_bind(line.target)
                .push_bind(line.records)
                .push_bind(line.outcome)
                .push_bind(line.duration_us)
                .push_bind(line.upstream)
                .push_bind(line.written)
                .push_bind(line.deleted)
                .push_bind(hash.clone());
        });
        insert.build().persistent(part.len() == ROWS_PER_STATEMENT).execute(&mut **tx).await?;
    }
    let statement = if is_new {
        "INSERT INTO audit_chain (one, first_seq, before, last_seq, last) VALUES (1, $1, $2, $3, $4)"
    } else {
        "UPDATE audit_chain SET first_seq = $1, before = $2, last_seq = $3, last = $4 WHERE one = 1"
    };
    sqlx::query(statement).bind(head.first).bind(head.before).bind(seq).bind(hash).execute(&mut **tx).await?;
    Ok(())
}

impl Store {
    /// Drops the oldest lines, up to the first one at `cutoff` or later; the chain then begins behind
    /// them.
    pub(super) async fn prune_audit(&self, cutoff: i64) -> Result<(), Error> {
        let mut tx = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        let kept: Option<i64> = sqlx::query_scalar("SELECT MIN(seq) FROM audit WHERE at >= $1")
            .bind(cutoff)
            .fetch_one(&mut *tx)
            .await?;
        let Some(head) = head(&mut tx).await? else {
            sqlx::query("DELETE FROM audit WHERE at < $1").bind(cutoff).execute(&mut *tx).await?;
            tx.commit().await?;
            return Ok(());
        };
        // The last line stays: the chain goes on from it.
        let kept = kept.unwrap_or(head.last).min(head.last);
        let before: Option<Vec<u8>> = sqlx::query_scalar("SELECT hash FROM audit WHERE seq = $1")
            .bind(kept - 1)
            .fetch_optional(&mut *tx)
            .await?
            .flatten();
        if kept > head.first
            && let Some(before) = before
        {
            sqlx::query("UPDATE audit_chain SET first_seq = $1, before = $2 WHERE one = 1")
                .bind(kept)
                .bind(before)
                .execute(&mut *tx)
                .await?;
        }
        sqlx::query("DELETE FROM audit WHERE seq < $1").bind(kept).execute(&mut *tx).await?;
        tx.commit().await?;
        Ok(())
    }

    /// The newest lines that are asked for, at most `most`.
    pub async fn audit_lines(&self, asked: &Asked, most: u32) -> Result<Vec<Line>, Error> {
        let rows = sqlx::query(sqlx::AssertSqlSafe(format!(
            "SELECT {COLUMNS} FROM audit WHERE ($1 IS NULL OR principal = $1) AND ($2 IS NULL OR action = $2)
             AND ($3 IS NULL OR outcome = $3) AND ($4 IS NULL OR instr(target || ' ' || records, $4) > 0)
             AND ($5 IS NULL OR at >= $5) AND ($6 IS NULL OR at < $6) AND ($7 IS NULL OR seq < $7)
             ORDER BY seq DESC LIMIT $8"
        )))
        .bind(&asked.principal)
        .bind(&asked.action)
        .bind(&asked.outcome)
        .bind(&asked.about)
        .bind(asked.since)
        .bind(asked.until)
        .bind(asked.before)
        .bind(i64::from(most))
        .fetch_all(&self.pool)
        .await?;
        Ok(rows.iter().map(Line::read).collect::<Result<_, _>>()?)
    }

    /// What a principal wrote, deleted and asked of Airtable since a moment, by hour since the epoch:
    /// `(hour, [written, deleted, requests])`.
    pub async fn used_since(&self, principal: &str, since: i64) -> Result<Vec<(i64, [i64; 3])>, Error> {
        let rows: Vec<(i64, i64, i64, i64)> = sqlx::query_as(
            "SELECT at / 3600000, SUM(written), SUM(deleted), SUM(upstream) FROM audit
             WHERE principal = $1 AND at >= $2 AND written + deleted + upstream > 0
             GROUP BY 1 ORDER BY 1",
        )
        .bind(principal)
        .bind(since)
        .fetch_all(&self.pool)
        .await?;
        Ok(rows
            .into_iter()
            .map(|(hour, written, deleted, asked)| (hour, [written, deleted, asked]))
            .collect())
    }

    /// Lines after `after`, oldest first, at most `most`.
    pub async fn audit_after(&self, after: i64, most: u32) -> Result<Vec<Line>, Error> {
        let rows = sqlx::query(sqlx::AssertSqlSafe(format!(
            "SELECT {COLUMNS} FROM audit WHERE seq > $1 ORDER BY seq LIMIT $2"
        )))
        .bind(after)
        .bind(i64::from(most))
        .fetch_all(&self.pool)
        .await?;
        Ok(rows.iter().map(Line::read).collect::<Result<_, _>>()?)
    }
}

/// Bytes as hex.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
