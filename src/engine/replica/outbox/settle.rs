//! A create whose answer was lost: whether it was carried out is found out by looking.
//!
//! While that is not known nothing else that makes records is sent to the table. Records made
//! since, by Airtable's own clock, that the copy did not know before and that no other answer has
//! given are compared with what was sent (`judge.rs`). That nothing was done is believed only
//! after a second look.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rustc_hash::FxHashSet;
use tablewright_core::model::cell::instant_text;
use tablewright_core::model::{RecordId, TableId};
use tablewright_core::{Code, Fault};
use tablewright_formula::syntax::quoted;

use super::judge::{Look, Verdict, judge};
use super::send::Share;
use super::{Shared, State, UNKNOWN};
use crate::airtable::{Ask, Error, ListQuery, Record};
use crate::base::Snapshot;

/// How much earlier than it was sent, by Airtable's clock, a record may seem to be made: times are
/// told to the second, and by several machines.
const MARGIN_MS: i64 = 10_000;
/// Most pages of new records that are looked through.
const MAX_PAGES: usize = 20;
/// Most ids that are told as evidence.
const MAX_TOLD: usize = 20;

/// A create whose answer was lost.
pub(super) struct Lost {
    table: TableId,
    looks: Vec<Look>,
}

/// What was found out.
pub(super) enum Found {
    /// It was carried out, and its records are in the copy and told.
    Done,
    /// It was not.
    NotDone,
    /// It cannot be known; the fault says what was found.
    Unclear(Fault),
    /// Airtable did not let us look.
    Unseen(Fault),
}

/// When something was sent and when its answer was lost, by our clock.
#[derive(Clone, Copy)]
pub(super) struct Times {
    pub(super) sent: i64,
    pub(super) lost: i64,
}

/// A lost create, for as long as it is not settled.
pub(super) struct Unsettled {
    shared: Arc<Shared>,
    lost: Arc<Lost>,
}

impl Drop for Unsettled {
    fn drop(&mut self) {
        {
            let mut state = self.shared.lock();
            state.queue.release(self.lost.table);
            state.lost.retain(|lost| !Arc::ptr_eq(lost, &self.lost));
        }
        self.shared.settled.notify_waiters();
        self.shared.kick();
    }
}

impl Shared {
    /// Notes that the answer to a create was lost: from now on nothing else makes records in its
    /// table. `None` when the copy does not know the table any more.
    pub(super) fn unsettled(self: &Arc<Self>, shares: &[Share], before: &Snapshot) -> Option<Unsettled> {
        let table = shares.first()?.group.kind.table;
        let (described, _) = before.table(table).ok()?;
        let looks = shares.iter().flat_map(|share| {
            share.items.iter().map(|at| Look::of(described, &share.group.items[*at].cells))
        });
        let lost = Arc::new(Lost { table, looks: looks.collect() });
        let mut state = self.lock();
        state.queue.hold(table);
        state.lost.push(lost.clone());
        Some(Unsettled { shared: self.clone(), lost })
    }

    /// Finds out whether a create was carried out. `before` is the copy as it was when it was sent.
    pub(super) async fn settle_create(
        self: &Arc<Self>,
        ask: &Ask,
        unsettled: Unsettled,
        shares: &mut [Share],
        before: &Snapshot,
        times: Times,
        error: &Error,
    ) -> Found {
        let Lost { table, looks } = &*unsettled.lost;
        let Ok((described, _)) = before.table(*table) else { return Found::NotDone };
        let _one = self.looking.lock().await;
        // Everything else that may make records there is answered, or lost as well.
        self.wait_until(|state| state.making.get(table).is_none_or(|making| *making == 0)).await;
        let first = times.lost + self.options.first_look_ms as i64;
        let second = first + self.options.second_look_ms as i64;
        loop {
            let now = self.clock.now_ms();
            let (wait, decides) = if now < first { (first - now, false) } else { (second - now, true) };
            tokio::time::sleep(Duration::from_millis(wait.max(0).unsigned_abs())).await;
            for share in &mut *shares {
                share.asked = self.copy.begin();
            }
            let asked = Asked { shared: self, shares: shares.iter().map(|share| share.asked).collect() };
            let mut found = match self.made_since(ask, *table, times.sent).await {
                Ok(Some(found)) => found,
                Ok(None) => {
                    let why = "too many records were made since to look through";
                    return Found::Unclear(unclear(error, why, &[]));
                }
                Err(failed) => {
                    let message = format!("{error}; and looking for it failed too: {failed}");
                    return Found::Unseen(Fault::new(Code::OutcomeUnknown, message));
                }
            };
            let twins = {
                let state = self.lock();
                let given: FxHashSet<&RecordId> = state.given.iter().collect();
                let known = before.tables.get(table);
                let known = |id: &RecordId| known.is_some_and(|data| data.slot(id).is_some());
                found.retain(|record| !given.contains(&record.id) && !known(&record.id));
                let same = |lost: &&Arc<Lost>| lost.table == *table && lost.looks == *looks;
                state.lost.iter().filter(same).count().saturating_sub(1)
            };
            match judge(described, looks, &found, twins) {
                Verdict::Done(ids) => {
                    asked.answered();
                    self.lock().give(ids.iter().copied());
                    let mut next = ids.into_iter();
                    for share in &*shares {
                        let own: Vec<RecordId> = next.by_ref().take(share.items.len()).collect();
                        let record = |id: &RecordId| found.iter().find(|record| record.id == *id).cloned();
                        let records: Vec<Record> = own.iter().filter_map(record).collect();
                        self.take_in(share, records, Vec::new(), own).await;
                    }
                    return Found::Done;
                }
                Verdict::NotDone if decides => return Found::NotDone,
                Verdict::Unclear(ids) if decides || ids.len() >= looks.len() => {
                    return Found::Unclear(unclear(error, "", &ids));
                }
                _ => {}
            }
        }
    }

    /// Waits until something is so; looked at again whenever something in flight ends.
    pub(super) async fn wait_until(&self, mut so: impl FnMut(&mut State) -> bool) {
        loop {
            let settled = self.settled.notified();
            tokio::pin!(settled);
            settled.as_mut().enable();
            if so(&mut self.lock()) {
                return;
            }
            settled.await;
        }
    }

    /// What our time `at` is by Airtable's clock, a little earlier; `None` before it was seen. The
    /// clock that dates answers may be another one than that of records, so of both times the
    /// earlier counts: too early costs a longer look, too late makes records twice.
    pub(super) fn since(&self, at: i64) -> Option<i64> {
        let ahead = self.ahead.load(Ordering::Relaxed);
        (ahead != UNKNOWN).then(|| at + ahead.min(0) - MARGIN_MS)
    }

    /// The records of a table that were made since `at` by our clock; `None` when there are too
    /// many.
    async fn made_since(&self, ask: &Ask, table: TableId, at: i64) -> Result<Option<Vec<Record>>, Error> {
        let table = table.to_string();
        if self.since(at).is_none() {
            let first = ListQuery { page_size: 1, ..ListQuery::default() };
            let answer = self.session.list(ask, self.base, &table, &first).await?;
            self.note_time(answer.server_time);
        }
        // An answer without a date leaves our clock.
        let since = self.since(at).unwrap_or(at - 6 * MARGIN_MS);
        let formula = format!("IS_AFTER(CREATED_TIME(), {})", quoted(&instant_text(since)));
        let mut query = ListQuery { formula: Some(formula), ..ListQuery::default() };
        let mut found = Vec::new();
        for _ in 0..MAX_PAGES {
            let answer = self.session.list(ask, self.base, &table, &query).await?;
            self.note_time(answer.server_time);
            found.extend(answer.value.records);
            query.offset = answer.value.offset;
            if query.offset.is_none() {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// Which of these records are there.
    pub(super) async fn look_for(
        &self,
        ask: &Ask,
        table: TableId,
        ids: &[RecordId],
    ) -> Result<Vec<RecordId>, Error> {
        let each: Vec<String> =
            ids.iter().map(|id| format!("RECORD_ID()={}", quoted(&id.to_string()))).collect();
        let formula = format!("OR({})", each.join(","));
        let query = ListQuery { formula: Some(formula), ..ListQuery::default() };
        let answer = self.session.list(ask, self.base, &table.to_string(), &query).await?;
        self.note_time(answer.server_time);
        Ok(answer.value.records.iter().map(|record| record.id).collect())
    }
}

/// What the copy goes by for a look; abandoned unless something of it is taken in.
struct Asked<'a> {
    shared: &'a Shared,
    shares: Vec<u64>,
}

impl Asked<'_> {
    fn answered(mut self) {
        self.shares.clear();
    }
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        for asked in &self.shares {
            self.shared.copy.abandon(*asked);
        }
    }
}

/// Tells that it is not known, and what speaks for it.
fn unclear(error: &Error, why: &str, ids: &[RecordId]) -> Fault {
    let mut message = format!("{error}. Whether the records were made cannot be told: ");
    if ids.is_empty() {
        message.push_str(why);
    } else {
        let shown: Vec<String> = ids.iter().take(MAX_TOLD).map(ToString::to_string).collect();
        let more = if ids.len() > shown.len() { ", …" } else { "" };
        let one = if ids.len() == 1 { "this record was" } else { "these records were" };
        message.push_str(&format!("{one} made since and may be among them: {}{more}", shown.join(", ")));
    }
    message.push_str(". Look before you create them again.");
    Fault::new(Code::OutcomeUnknown, message)
}
