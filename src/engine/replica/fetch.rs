//! Fetching records by id.

use tablewright_core::Fault;
use tablewright_core::model::{RecordId, TableId};
use tablewright_formula::syntax::quoted;

use super::held::{Held, Seen};
use super::schema;
use super::take::TableDelta;
use crate::airtable::{ListQuery, Session};

/// Records asked for in one request, as many as a page holds.
const AT_ONCE: usize = 100;

/// Fetches every record that may be out of date.
pub(crate) async fn dirty(held: &Held, session: &Session) -> Result<(), Fault> {
    let state = held.state().await;
    for (table, state) in &state.tables {
        let ids: Vec<RecordId> = state.dirty.iter().copied().collect();
        for part in ids.chunks(AT_ONCE) {
            if !records(held, session, *table, part).await? {
                break;
            }
        }
    }
    Ok(())
}

/// Fetches these records of a table; those that Airtable does not give are gone. False when the
/// table itself is.
pub(crate) async fn records(
    held: &Held,
    session: &Session,
    table: TableId,
    ids: &[RecordId],
) -> Result<bool, Fault> {
    held.remember(|state| state.with(table, |table| table.begin_fetch(ids))).await;
    let asking = held.asking();
    let tests: Vec<String> =
        ids.iter().map(|id| format!("RECORD_ID()={}", quoted(&id.to_string()))).collect();
    let formula = format!("OR({})", tests.join(","));
    let mut query = ListQuery { formula: Some(formula), page_size: 100, ..ListQuery::default() };
    let mut found = Vec::with_capacity(ids.len());
    loop {
        let page = match session.list(&held.ask(), held.base, &table.to_string(), &query).await {
            Ok(page) => page.value,
            Err(error) => return schema::table_is_there(held, table, error).await,
        };
        found.extend(page.records);
        query.offset = page.offset;
        if query.offset.is_none() {
            break;
        }
    }
    let gone = ids.iter().copied().filter(|id| found.iter().all(|record| record.id != *id)).collect();
    let seen = Seen::fetched(asking.number, vec![TableDelta { table, records: found, gone }]);
    held.take(seen, |state| state.fetched(table, ids)).await?;
    Ok(true)
}
