//! Following what changes in a base, without missing anything between two questions.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};
use tablewright_core::model::{Base, BaseId, FieldId, RecordId, TableId};
use tablewright_core::{Code, Fault};
use tablewright_engine::Engine;
use tablewright_engine::base::changes::ChangeKind;
use tablewright_engine::base::{Change, RowChange, SchemaChange, before};
use tablewright_engine::replica::Replica;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use crate::call::Call;

/// Bytes of the change log that are read at once.
const AT_ONCE: usize = 4 * 1024 * 1024;
/// How often a base in Airtable is told that somebody waits.
const TOUCH: Duration = Duration::from_secs(1);

/// A place in the change log: after the commit with a number and so many rows of the next commit
/// to the base. As text `120`, or `120.500`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct LogPlace {
    /// Commits up to this number are before it.
    pub seq: i64,
    /// Rows of the next one that are before it.
    pub rows: usize,
}

impl fmt::Display for LogPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.rows {
            0 => write!(f, "{}", self.seq),
            rows => write!(f, "{}.{rows}", self.seq),
        }
    }
}

impl FromStr for LogPlace {
    type Err = Fault;

    fn from_str(text: &str) -> Result<Self, Fault> {
        let (seq, rows) = text.trim().split_once('.').unwrap_or((text.trim(), "0"));
        match (seq.parse(), rows.parse()) {
            (Ok(seq), Ok(rows)) => Ok(Self { seq, rows }),
            _ => Err(lost("since is no cursor that an answer gave.")),
        }
    }
}

fn lost(why: &str) -> Fault {
    let message = format!("{why} Read the records again, then call without since.");
    Fault::new(Code::InvalidCursor, message)
}

/// What became of a record over some commits.
#[derive(Debug, Clone)]
pub struct Changed {
    /// Its table.
    pub table: TableId,
    /// The record.
    pub id: RecordId,
    /// It was there before.
    pub existed: bool,
    /// It is there after.
    pub exists: bool,
    /// Fields of which a cell changed.
    pub fields: BTreeSet<FieldId>,
    /// Stored cells as they were before, by field id; of the fields that changed.
    pub before: Map<String, Value>,
    /// The place before its first change.
    pub at: LogPlace,
}

/// What changed.
#[derive(Debug, Clone)]
pub struct News {
    /// Records, by their first change.
    pub records: Vec<Changed>,
    /// Changes of tables, fields and views.
    pub schema: Vec<SchemaChange>,
    /// Where to go on.
    pub next: LogPlace,
    /// There is more already.
    pub more: bool,
}

/// Follows one base.
pub struct Follow {
    engine: Engine,
    replica: Replica,
    base: BaseId,
    feed: broadcast::Receiver<Arc<Change>>,
    place: LogPlace,
    /// Commits up to this number can be seen.
    seen: i64,
}

impl Call {
    /// Follows a base from a place in its log on; from now on when it is left out.
    pub async fn follow(&self, base: BaseId, since: Option<LogPlace>) -> Result<Follow, Fault> {
        self.require_seen(base)?;
        let (engine, replica) = (self.engine().clone(), self.replica().clone());
        // The feed first: what is committed from now on wakes.
        let feed = engine.feed();
        let seen = *engine.last_change().borrow();
        let place = since.unwrap_or(LogPlace { seq: seen, rows: 0 });
        if place.seq < 0 || place.seq > seen {
            return Err(lost(&format!("since {place} is no cursor from here: the newest change is {seen}.")));
        }
        let first = engine.store().first_change().await.map_err(Fault::from)?;
        if first.is_some_and(|first| place.seq < first - 1) {
            let kept = "keep_changes_days says how long they are";
            return Err(lost(&format!("the changes after {place} are not kept any more ({kept}).")));
        }
        Ok(Follow { engine, replica, base, feed, place, seen })
    }
}

impl Call {
    /// What changed from the place of a follower on, in one table or in all, at most `limit` records, as
    /// the caller may see it; the follower is behind it then. A record that came into sight was made, as far as
    /// they can tell, and one that went out of sight was deleted.
    pub async fn news(
        &self,
        follow: &mut Follow,
        table: Option<TableId>,
        limit: usize,
    ) -> Result<News, Fault> {
        let whole = self.whole(follow.base).await?;
        let reach = self.reach(&whole);
        let Some(lens) = reach.as_ref().and_then(|reach| reach.lens()) else {
            return follow.next(table, limit, &|_, _| true).await;
        };
        let mut news = follow.next(table, limit, &|table, row| lens.concerns(&whole, table, row)).await?;
        // What is there now is at least as new as the news.
        let whole = self.whole(follow.base).await?;
        let (seen, now) = (lens.schema(), self.now());
        news.schema.retain(|change| is_seen(seen, change));
        let mut by_table: HashMap<TableId, Vec<Changed>> = HashMap::new();
        for record in news.records.drain(..) {
            by_table.entry(record.table).or_default().push(record);
        }
        for (id, mut records) in by_table {
            let Some(table) = seen.table_by_id(id) else { continue };
            let is_open =
                |field: &FieldId| table.field_by_id(*field).is_some_and(|field| field.mask.is_none());
            if lens.limits_rows(id) {
                let rows = records.iter().filter(|record| record.existed);
                let rows = rows.map(|record| (record.id, record.before.clone())).collect();
                let was = before(&whole, id, rows, now);
                for (snapshot, of) in [(&was, 0), (&*whole, 1)] {
                    let data = snapshot.table(id)?.1;
                    let slots: Vec<Option<usize>> =
                        records.iter().map(|record| data.slot(&record.id)).collect();
                    let there: Vec<usize> = slots.iter().flatten().copied().collect();
                    let mut kept = lens.keeps(snapshot, id, &there, now)?.into_iter();
                    for (record, slot) in records.iter_mut().zip(slots) {
                        let kept = slot.is_some() && kept.next().unwrap_or(false);
                        let side = if of == 0 { &mut record.existed } else { &mut record.exists };
                        *side &= kept;
                    }
                }
            }
            for mut record in records {
                record.fields.retain(is_open);
                record.before.retain(|key, _| key.parse().is_ok_and(|id| is_open(&id)));
                if !record.existed {
                    record.before.clear();
                }
                let is_news = match (record.existed, record.exists) {
                    (true, true) => !record.fields.is_empty(),
                    (existed, exists) => existed || exists,
                };
                if is_news {
                    news.records.push(record);
                }
            }
        }
        news.records.sort_by_key(|record| record.at);
        Ok(news)
    }
}

/// Whether what a change of a schema is about can be seen.
fn is_seen(seen: &Base, change: &SchemaChange) -> bool {
    let field = |table: &TableId, field: FieldId| {
        seen.table_by_id(*table).is_some_and(|table| table.field_by_id(field).is_some())
    };
    match change {
        SchemaChange::BaseRenamed { .. } => true,
        SchemaChange::TableCreated { table, .. }
        | SchemaChange::TableChanged { table, .. }
        | SchemaChange::ViewChanged { table, .. } => seen.table_by_id(*table).is_some(),
        SchemaChange::FieldCreated { table, field: made } => field(table, made.id),
        SchemaChange::FieldChanged { table, after, .. } => field(table, after.id),
        SchemaChange::TableDeleted { .. } | SchemaChange::FieldDeleted { .. } => false,
    }
}

impl Follow {
    /// What changed from its place on, in one table or in all, where it is to be told: at most `limit`
    /// records. It is behind them then.
    async fn next(
        &mut self,
        table: Option<TableId>,
        limit: usize,
        is_told: &(dyn Fn(TableId, &RowChange) -> bool + Sync),
    ) -> Result<News, Fault> {
        self.seen = self.seen.max(*self.engine.last_change().borrow());
        let from = self.place;
        let read = self.engine.store().changes_of(self.base, from.seq, self.seen, AT_ONCE).await;
        let (changes, reached) = read.map_err(Fault::from)?;
        let mut gathered = Gathered { at: HashMap::new(), records: Vec::new() };
        let (mut place, mut schema) = (from, Vec::new());
        for change in &changes {
            match change.kind {
                ChangeKind::Records => {
                    let rows = change
                        .tables
                        .iter()
                        .flat_map(|t| t.rows.iter().chain(&t.computed).map(move |row| (t.table, row)));
                    for (at, (of, row)) in rows.enumerate().skip(place.rows) {
                        let here = LogPlace { seq: place.seq, rows: at };
                        let wanted = table.is_none_or(|table| table == of) && is_told(of, row);
                        if wanted && !gathered.add(of, row, here, limit) {
                            self.place = here;
                            return Ok(News { records: gathered.records, schema, next: here, more: true });
                        }
                    }
                }
                ChangeKind::Schema => schema.extend(change.schema.iter().cloned()),
                _ => {}
            }
            place = LogPlace { seq: change.seq, rows: 0 };
        }
        self.place = LogPlace { seq: reached.max(place.seq), rows: 0 };
        let more = reached < self.seen;
        Ok(News { records: gathered.records, schema, next: self.place, more })
    }

    /// Waits until the base may have changed. A base in Airtable counts as read meanwhile.
    pub async fn wait(&mut self) -> Result<(), Fault> {
        let mut tick = tokio::time::interval(TOUCH);
        loop {
            tokio::select! {
                told = self.feed.recv() => match told {
                    Ok(change) => {
                        self.seen = self.seen.max(change.seq);
                        if change.base == self.base {
                            return Ok(());
                        }
                    }
                    Err(RecvError::Lagged(_)) => return Ok(()),
                    Err(RecvError::Closed) => {
                        return Err(Fault::new(Code::Cancelled, "the server is stopping"));
                    }
                },
                _ = tick.tick() => self.replica.touch(self.base),
            }
        }
    }
}

/// Records and what became of them so far.
struct Gathered {
    at: HashMap<(TableId, RecordId), usize>,
    records: Vec<Changed>,
}

impl Gathered {
    /// Adds a change of a row; false when it is one record too many.
    fn add(&mut self, table: TableId, row: &RowChange, at: LogPlace, limit: usize) -> bool {
        let known = self.at.get(&(table, row.id)).copied();
        let record = match known {
            Some(known) => &mut self.records[known],
            None if self.records.len() >= limit => return false,
            None => {
                self.at.insert((table, row.id), self.records.len());
                self.records.push(Changed {
                    table,
                    id: row.id,
                    existed: row.before.is_some(),
                    exists: true,
                    fields: BTreeSet::new(),
                    before: Map::new(),
                    at,
                });
                let last = self.records.len() - 1;
                &mut self.records[last]
            }
        };
        record.exists = row.after.is_some();
        for (key, value) in row.before.iter().flatten() {
            // The oldest one counts.
            if record.existed {
                record.before.entry(key.clone()).or_insert_with(|| value.clone());
            }
        }
        let keys = row.before.iter().chain(&row.after).flat_map(Map::keys);
        record.fields.extend(keys.filter_map(|key| key.parse::<FieldId>().ok()));
        true
    }
}
