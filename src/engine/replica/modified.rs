//! Finding changes without a webhook: each table is asked for what was modified since the last
//! time, by Airtable's own clock. Deletions show when the table is listed as a whole.

use tablewright_core::Fault;
use tablewright_core::model::TableId;
use tablewright_core::model::cell::instant_text;
use tablewright_formula::syntax::quoted;

use super::held::{Held, Seen};
use super::schema;
use super::take::TableDelta;
use crate::airtable::{ListQuery, Session};

/// How far each question reaches into what was asked before, in milliseconds: a change may show up
/// later than its time.
const OVERLAP: i64 = 60_000;
/// How often the schema is looked at, in milliseconds.
const SCHEMA_EVERY: i64 = 60_000;

/// Takes in what was modified, table by table.
pub(crate) async fn read(held: &Held, session: &Session, now: i64) -> Result<(), Fault> {
    let state = held.state().await;
    if now - state.schema_at > SCHEMA_EVERY {
        schema::refresh(held, session).await?;
    }
    let relist = i64::try_from(held.options.relist_seconds).unwrap_or(i64::MAX).saturating_mul(1_000);
    let state = held.state().await;
    for (table, kept) in &state.tables {
        let Some(listed) = kept.listed_at else { continue };
        if now - listed > relist && !kept.relist {
            let table = *table;
            held.note(|state| state.with(table, |table| table.relist = true)).await?;
        }
        modified(held, session, *table, kept.modified_since.unwrap_or(listed)).await?;
    }
    Ok(())
}

async fn modified(held: &Held, session: &Session, table: TableId, since: i64) -> Result<(), Fault> {
    let (asking, asked_at) = (held.asking(), held.now());
    let moment = quoted(&instant_text(since - OVERLAP));
    let after = |time: &str| format!("IS_AFTER({time},DATETIME_PARSE({moment}))");
    let formula = format!("OR({},{})", after("CREATED_TIME()"), after("LAST_MODIFIED_TIME()"));
    let mut query = ListQuery { formula: Some(formula), page_size: 100, ..ListQuery::default() };
    let mut server_time = None;
    loop {
        let page = match session.list(&held.ask(), held.base, &table.to_string(), &query).await {
            Ok(page) => page,
            Err(error) => return schema::table_is_there(held, table, error).await.map(drop),
        };
        // Of both clocks the one that is behind: nothing is left out then.
        server_time = server_time.or(page.server_time.map(|time| time.min(asked_at)));
        query.offset = page.value.offset;
        let last = query.offset.is_none();
        let part = TableDelta { table, records: page.value.records, gone: Vec::new() };
        held.take(Seen::fetched(asking.number, vec![part]), |state| {
            if last {
                state.with(table, |table| table.modified_since = server_time.or(table.modified_since));
            }
        })
        .await?;
        if last {
            return Ok(());
        }
    }
}
