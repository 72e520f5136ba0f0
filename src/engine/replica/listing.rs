//! Listing whole tables: copying them at first, and again where something may have been missed.

use rustc_hash::FxHashSet;
use tablewright_core::Fault;
use tablewright_core::model::{RecordId, TableId};

use super::held::{Held, Seen};
use super::schema;
use super::state::{State, TableState};
use super::take::{Delta, How, TableDelta};
use crate::airtable::{Error, ListQuery, Session};

/// Times a listing begins anew because Airtable has forgotten where it was.
const RESTARTS: usize = 10;

/// Lists every table that is due, the smallest need first.
pub(crate) async fn list_due(held: &Held) -> Result<(), Fault> {
    let due = |state: &State| {
        let mut tables: Vec<(bool, TableId)> = state
            .tables
            .iter()
            .filter(|(_, table)| table.is_due())
            .map(|(id, table)| (table.listed_at.is_some(), *id))
            .collect();
        // Tables that nobody can read yet come first.
        tables.sort();
        tables.first().map(|(_, id)| *id)
    };
    let mut listed = false;
    // Before the first page the webhook must be there: what changes from then on is told by it.
    while let Some(table) = due(&held.state().await) {
        let session = held.session().await?;
        if held.state().await.schema_at == 0 {
            schema::refresh(held, &session).await?;
        }
        super::payloads::has_hook(held, &session).await?;
        list(held, &session, table).await?;
        listed = true;
    }
    if listed {
        held.news.notify_one();
    }
    Ok(())
}

/// True for a listing that Airtable does not know any more.
fn is_forgotten(error: &Error) -> bool {
    let kinds = ["LIST_RECORDS_ITERATOR_NOT_AVAILABLE", "INVALID_OFFSET_VALUE"];
    error.refused().is_some_and(|refused| kinds.contains(&refused.kind.as_str()))
}

async fn list(held: &Held, session: &Session, table: TableId) -> Result<(), Fault> {
    let state = held.state().await;
    let Some(kept) = state.tables.get(&table) else { return Ok(()) };
    let first = kept.listed_at.is_none();
    let mut began = held.now();
    let mut asking = held.asking();
    let mut server_time = None;
    let mut changed = 0;
    let mut query = ListQuery { page_size: 100, offset: kept.offset.clone(), ..ListQuery::default() };
    let mut seen: FxHashSet<RecordId> = FxHashSet::default();
    if query.offset.is_some() {
        // What came before the restart has been seen.
        let snapshot = held.engine.snapshot(held.base).await?;
        let data = snapshot.tables.get(&table);
        seen.extend(data.into_iter().flat_map(|data| data.slots().map(|slot| data.row(slot).id)));
    }
    held.remember(|state| state.with(table, TableState::begin_list)).await;
    let mut restarts = 0;
    loop {
        show(held, table, seen.len());
        let page = match session.list(&held.ask(), held.base, &table.to_string(), &query).await {
            Ok(page) => page,
            Err(error) if is_forgotten(&error) && restarts < RESTARTS => {
                restarts += 1;
                query.offset = None;
                seen.clear();
                (began, server_time) = (held.now(), None);
                asking = held.asking();
                continue;
            }
            Err(error) => {
                held.remember(|state| state.with(table, TableState::break_list)).await;
                return schema::table_is_there(held, table, error).await.map(drop);
            }
        };
        // Of both clocks the one that is behind: nothing is left out then.
        server_time = server_time.or(page.server_time.map(|time| time.min(began)));
        seen.extend(page.value.records.iter().map(|record| record.id));
        query.offset = page.value.offset;
        let offset = query.offset.clone().filter(|_| first);
        let part = TableDelta { table, records: page.value.records, gone: Vec::new() };
        let how = if first { How::Copied } else { How::Fetched };
        let delta = Delta { tables: vec![part], how, ..Delta::default() };
        let taken = held
            .take(Seen::of(asking.number, delta), |state| state.with(table, |table| table.offset = offset))
            .await?;
        changed += taken.rows;
        if query.offset.is_none() {
            break;
        }
    }
    // What the listing did not give is looked for by id before it counts as gone.
    let suspects = held.not_seen(asking.number, table, &seen).await?;
    let now = held.now();
    changed += suspects.len();
    held.note(|state| {
        state.mark(table, suspects, now);
        state.with(table, |table| {
            table.end_list(began);
            table.modified_since = server_time.or(table.modified_since).or(Some(began));
        });
        if !first && state.alarm_at > 0 {
            state.false_alarms = if changed == 0 { state.false_alarms + 1 } else { 0 };
        }
    })
    .await?;
    held.listed.send_modify(|shown| shown.retain(|(id, _)| *id != table));
    Ok(())
}

/// Lets whoever watches see how far the listing is.
fn show(held: &Held, table: TableId, count: usize) {
    held.listed.send_modify(|shown| {
        shown.retain(|(id, _)| *id != table);
        shown.push((table, count as u64));
    });
}
