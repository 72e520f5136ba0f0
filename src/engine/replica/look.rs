//! Looking for changes at somebody's wish, and what a reader has to know of a copy.

use std::sync::Arc;

use tablewright_core::model::{BaseId, TableId};
use tablewright_core::{Code, Fault};

use super::held::Held;
use super::{Copy, Replica, schema};

/// How often a copy that cannot be kept fresh is tried again while somebody waits, in milliseconds.
const TRY_AGAIN: i64 = 10_000;

/// How far the listing of a table is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The table.
    pub table: TableId,
    /// Its name.
    pub name: String,
    /// Records so far.
    pub done: u64,
    /// Records it had before; at least those so far.
    pub total: u64,
}

impl Replica {
    /// Looks for changes now and waits until they are here, tables that are still to be copied
    /// included; with `all`, every table is listed again. `told` hears how far listings are.
    pub async fn sync_now(
        &self,
        base: BaseId,
        tables: &[TableId],
        all: bool,
        told: impl Fn(&[Listed]) + Send + Sync,
    ) -> Result<(), Fault> {
        let copy = self.of(base)?;
        let held = &copy.held;
        held.touch();
        let asked = held.now();
        let tables: Vec<TableId> = match tables {
            [] => held.engine.schema(base).await?.tables.iter().map(|table| table.id).collect(),
            named => named.to_vec(),
        };
        if all {
            let session = held.session().await?;
            schema::refresh_name(held, &session).await?;
            held.note(|state| {
                state.schema_due = true;
                tables.iter().for_each(|id| state.with(*id, super::state::TableState::want_list));
            })
            .await?;
        }
        held.lists.notify_one();
        look(&copy, &tables, asked, told).await
    }

    /// Somebody waits for changes of a base: they are looked for as if it were read. To be called
    /// again and again; it costs nothing.
    pub fn touch(&self, base: BaseId) {
        let Some(copy) = self.copy(base) else { return };
        let held = &copy.held;
        held.touch();
        let turn = held.turns.borrow().clone();
        if turn.failure.is_some() && held.now() - turn.began > TRY_AGAIN {
            held.news.notify_one();
        }
    }

    /// Why the copy of a base is older than a read may expect, if it is.
    pub fn why_old(&self, base: BaseId) -> Option<String> {
        let held = &self.copy(base)?.held;
        let allowed = i64::try_from(held.options.max_staleness_seconds * 1_000).unwrap_or(i64::MAX);
        let as_of = held.as_of();
        if as_of == 0 || held.now() - as_of <= allowed {
            return None;
        }
        let failure = held.turns.borrow().failure.as_ref().map(|fault| fault.message.clone());
        Some(failure.unwrap_or_else(|| "it has not answered lately".to_owned()))
    }

    /// When a table of a copy was last listed as a whole, in milliseconds: no cell of it is older.
    pub fn listed_at(&self, base: BaseId, table: TableId) -> Option<i64> {
        Some(self.copy(base)?.held.shown().get(&table)?.listed_at)
    }

    /// Records of a table that wait to be fetched again.
    pub fn to_fetch(&self, base: BaseId, table: TableId) -> usize {
        let shown = self.copy(base).map(|copy| copy.held.shown());
        shown.and_then(|shown| Some(shown.get(&table)?.to_fetch)).unwrap_or_default()
    }
}

/// Waits until these tables are listed where that is due, and everything Airtable had at `asked`
/// is here.
async fn look(
    copy: &Arc<Copy>,
    tables: &[TableId],
    asked: i64,
    told: impl Fn(&[Listed]) + Send + Sync,
) -> Result<(), Fault> {
    let held = &copy.held;
    let (mut turns, mut listed) = (held.turns.subscribe(), held.listed.subscribe());
    let _waiting = held.waiting();
    held.news.notify_one();
    loop {
        let turn = turns.borrow_and_update().clone();
        let under_way = listed.borrow_and_update().clone();
        let shown = held.shown();
        // A table that has vanished meanwhile is waited for no longer.
        let schema = held.engine.schema(held.base).await?;
        let is_open =
            |id: &&TableId| schema.table_by_id(**id).is_some() && shown.get(id).is_none_or(|table| table.due);
        let open = tables.iter().any(|id| is_open(&id));
        told(&progress(held, &under_way).await?);
        if !open && held.as_of() >= asked {
            return Ok(());
        }
        if turn.began >= asked
            && let Some(failure) = turn.failure
        {
            return Err(failure);
        }
        tokio::select! {
            // What ended may have begun too early; while tables are listed nothing is missed.
            _ = turns.changed() => if !open { held.news.notify_one() },
            _ = listed.changed() => {}
            () = copy.stop.cancelled() => {
                return Err(Fault::new(Code::Cancelled, "the server is stopping, or the base was forgotten"));
            }
        }
    }
}

/// How far the listings under way are.
async fn progress(held: &Held, under_way: &[(TableId, u64)]) -> Result<Vec<Listed>, Fault> {
    if under_way.is_empty() {
        return Ok(Vec::new());
    }
    let snapshot = held.engine.snapshot(held.base).await?;
    let listed = under_way.iter().filter_map(|(table, done)| {
        let (described, data) = snapshot.table(*table).ok()?;
        let total = (data.len() as u64).max(*done);
        Some(Listed { table: *table, name: described.name.clone(), done: *done, total })
    });
    Ok(listed.collect())
}
