//! Looking whether every line of the audit log is as it was written.
//!
//! A line's hash follows from the line and the hash before it, which is stored: so stretches of the
//! log can be looked at side by side.

use std::num::NonZero;

use futures_util::future::try_join_all;
use serde::Serialize;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqlitePool};

use super::{Head, NUMBERS, TEXTS, chained, hex, read_head};
use crate::store::{Error, Store};

/// Lines read at a time.
const PAGE: i64 = 10_000;
/// Most stretches looked at side by side; the store has a few connections more.
const MOST_AT_ONCE: i64 = 2;

/// A line in three columns, which are read several times faster than fifteen: its hash, its numbers
/// and the lengths of its texts in bytes (a plan that is not there has -1), and its texts.
const PACKED: &str = "SELECT hash,
    printf('%d %d %d %d %d %d %d %d %d %d %d %d %d %d %d %d', seq, at, duration_us, upstream, written, deleted,
        octet_length(principal), octet_length(face), octet_length(action), octet_length(client),
        octet_length(session), octet_length(call), octet_length(target), octet_length(records),
        octet_length(outcome), ifnull(octet_length(plan), -1)),
    CAST(principal || face || action || client || session || call || target || records || outcome
        || ifnull(plan, '') AS BLOB)
    FROM audit WHERE seq >= $1 AND seq <= $2 ORDER BY seq LIMIT $3";
/// Numbers of a packed line.
const PACKED_NUMBERS: usize = NUMBERS + TEXTS + 1;

/// What is wrong with the chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Broken {
    /// The first line that is not what it was.
    pub seq: i64,
    /// How.
    pub what: String,
}

/// What a look at the whole chain found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verified {
    /// Lines that were looked at.
    pub lines: u64,
    /// The last line, and its hash in hex.
    pub head: Option<(i64, String)>,
    /// The first thing that is wrong.
    pub broken: Option<Broken>,
}

fn broken(seq: i64, what: &str) -> Broken {
    Broken { seq, what: what.to_owned() }
}

/// Whether a packed line follows `previous`, and its hash.
fn follows(row: &SqliteRow, seq: i64, previous: &[u8]) -> Result<Result<Vec<u8>, Broken>, sqlx::Error> {
    let changed = || Ok(Err(broken(seq, "it, or the order of the lines, was changed")));
    let (hash, numbers, texts): (Option<&[u8]>, Option<&str>, Option<&[u8]>) =
        (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    let (Some(hash), Some(numbers), Some(texts)) = (hash, numbers, texts) else { return changed() };
    let mut read = [0_i64; PACKED_NUMBERS];
    for (place, number) in read.iter_mut().zip(numbers.split(' ')) {
        *place = number.parse().unwrap_or(i64::MIN);
    }
    if read[0] != seq {
        return Ok(Err(broken(seq, "it is missing")));
    }
    let mut rest = texts;
    let mut next = |length: i64| -> Option<&[u8]> {
        let (text, others) = rest.split_at_checked(usize::try_from(length).ok()?)?;
        rest = others;
        Some(text)
    };
    let mut parts: [&[u8]; TEXTS] = [&[]; TEXTS];
    for (part, length) in parts.iter_mut().zip(&read[NUMBERS..]) {
        let Some(text) = next(*length) else { return changed() };
        *part = text;
    }
    let plan = match read[PACKED_NUMBERS - 1] {
        -1 => None,
        length => next(length),
    };
    let (numbers, _) = read.split_at(NUMBERS);
    let Ok(numbers) = numbers.try_into() else { return changed() };
    let is = chained(previous, numbers, parts, plan);
    if is != hash { changed() } else { Ok(Ok(hash.to_vec())) }
}

/// Looks at the lines `from` to `to`, of which the first stands behind a line with the hash `hash`: the
/// last hash, or what is wrong; and how many lines are right.
async fn stretch(
    pool: &SqlitePool,
    from: i64,
    to: i64,
    mut hash: Vec<u8>,
) -> Result<(u64, Result<Vec<u8>, Broken>), Error> {
    let mut next = from;
    let count = |next: i64| (next - from).cast_unsigned();
    while next <= to {
        let rows = sqlx::query(PACKED).bind(next).bind(to).bind(PAGE).fetch_all(pool).await?;
        if rows.is_empty() {
            return Ok((count(next), Err(broken(next, "it and what follows is missing"))));
        }
        for row in &rows {
            match follows(row, next, &hash)? {
                Ok(held) => hash = held,
                Err(wrong) => return Ok((count(next), Err(wrong))),
            }
            next += 1;
        }
    }
    Ok((count(next), Ok(hash)))
}

/// What became of a line that an anchor names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Anchored {
    /// It is what the anchor says.
    Same,
    /// It is another one, or is not there.
    Other,
    /// It is older than what is kept.
    Older,
}

impl Store {
    /// The number of the last line and its hash in hex; absent before there is one.
    pub async fn audit_head(&self) -> Result<Option<(i64, String)>, Error> {
        let row: Option<(i64, Vec<u8>)> =
            sqlx::query_as("SELECT last_seq, last FROM audit_chain WHERE one = 1")
                .fetch_optional(&self.pool)
                .await?;
        Ok(row.map(|(seq, hash)| (seq, hex(&hash))))
    }

    /// Looks at the line an anchor names.
    pub async fn audit_anchored(&self, seq: i64, hash: &str) -> Result<Anchored, Error> {
        let first: Option<i64> = sqlx::query_scalar("SELECT first_seq FROM audit_chain WHERE one = 1")
            .fetch_optional(&self.pool)
            .await?;
        if first.is_some_and(|first| seq < first) {
            return Ok(Anchored::Older);
        }
        let held: Option<Vec<u8>> = sqlx::query_scalar("SELECT hash FROM audit WHERE seq = $1")
            .bind(seq)
            .fetch_optional(&self.pool)
            .await?
            .flatten();
        Ok(if held.is_some_and(|held| hex(&held) == hash) { Anchored::Same } else { Anchored::Other })
    }

    /// Looks at the whole chain.
    pub async fn verify_audit(&self) -> Result<Verified, Error> {
        let row = sqlx::query("SELECT first_seq, before, last_seq, last FROM audit_chain WHERE one = 1")
            .fetch_optional(&self.pool)
            .await?;
        let Some(head) = row.as_ref().map(read_head).transpose()? else {
            let stray: Option<i64> = sqlx::query_scalar("SELECT MIN(seq) FROM audit WHERE hash IS NOT NULL")
                .fetch_one(&self.pool)
                .await?;
            let broken = stray.map(|seq| broken(seq, "the chain's own row is gone"));
            return Ok(Verified { lines: 0, head: None, broken });
        };
        let (lines, wrong) = self.look(&head).await?;
        Ok(Verified { lines, head: Some((head.last, hex(&head.hash))), broken: wrong })
    }

    async fn look(&self, head: &Head) -> Result<(u64, Option<Broken>), Error> {
        let earlier: Option<i64> =
            sqlx::query_scalar("SELECT MIN(seq) FROM audit WHERE seq < $1 AND hash IS NOT NULL")
                .bind(head.first)
                .fetch_one(&self.pool)
                .await?;
        if let Some(seq) = earlier {
            return Ok((0, Some(broken(seq, "it stands before the beginning of the chain"))));
        }
        // Lines that come while this reads are not a part of it.
        let (mut stretches, mut from, mut before) = (Vec::new(), head.first, Some(head.before.clone()));
        let at_once = std::thread::available_parallelism().map_or(1, NonZero::get);
        let at_once = i64::try_from(at_once).unwrap_or(1).min(MOST_AT_ONCE);
        let length = ((head.last - head.first + 1) / at_once).max(PAGE);
        while let (true, Some(hash)) = (from <= head.last, before.take()) {
            let to = if head.last - from < length * 2 { head.last } else { from + length - 1 };
            stretches.push(stretch(&self.pool, from, to, hash));
            // Without a line to begin behind, what is wrong lies in the stretch that ends there.
            before = sqlx::query_scalar::<_, Option<Vec<u8>>>("SELECT hash FROM audit WHERE seq = $1")
                .bind(to)
                .fetch_optional(&self.pool)
                .await?
                .flatten();
            from = to + 1;
        }
        let (mut lines, mut last) = (0, None);
        for (right, found) in try_join_all(stretches).await? {
            lines += right;
            match found {
                Ok(hash) => last = Some(hash),
                Err(wrong) => return Ok((lines, Some(wrong))),
            }
        }
        if last.is_some_and(|hash| hash != head.hash) {
            return Ok((lines, Some(broken(head.last, "the chain does not end as it did"))));
        }
        let beyond: Option<i64> = sqlx::query_scalar(
            "SELECT MIN(seq) FROM audit WHERE seq > (SELECT last_seq FROM audit_chain WHERE one = 1)",
        )
        .fetch_one(&self.pool)
        .await?;
        Ok((lines, beyond.map(|seq| broken(seq, "it stands behind the end of the chain"))))
    }
}
