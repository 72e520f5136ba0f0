//! What a part of a task has sent already: noted before it is sent, read again after a crash.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Value, json};
use tablewright_core::model::RecordId;
use tablewright_core::{Code, Fault};

use super::group::{Fate, Group};
use super::queue::{Kind, Verb};
use super::send::Share;
use super::settle::{Found, Times};
use super::{All, Shared};
use crate::airtable::{Ask, Error, Tally};
use crate::base::changes::Author;
use crate::store::tasks::TaskPart;
use crate::store::upstream_writes::UpstreamWrite;

/// The outcome of a request as it is kept.
#[derive(Deserialize)]
struct Noted {
    records: Vec<Result<RecordId, Fault>>,
    #[serde(default)]
    created: Vec<RecordId>,
}

impl Shared {
    /// Notes that records of a group are about to be sent, if they are part of a task.
    pub(super) async fn note(&self, group: &Group, items: &[usize], now: i64) -> Result<Option<i64>, Fault> {
        let Some(part) = &group.part else { return Ok(None) };
        let places: Vec<usize> = items.iter().map(|at| group.places[*at]).collect();
        let row = self.store.add_upstream_write(self.base, group.kind.table, part, &places, now).await?;
        Ok(Some(row))
    }

    /// Forgets rows of requests that were certainly not carried out. One that stays is settled
    /// again when the part goes on.
    pub(super) async fn forget(&self, rows: &[i64]) {
        if rows.is_empty() {
            return;
        }
        if let Err(error) = self.store.forget_upstream_writes(rows).await {
            tracing::warn!(%error, "a request that was not carried out stays noted");
        }
    }

    pub(super) async fn forget_rows(&self, shares: &[Share]) {
        let rows: Vec<i64> = shares.iter().filter_map(|share| share.row).collect();
        self.forget(&rows).await;
    }

    /// Notes that it will not be known what became of the records of these shares.
    pub(super) async fn close(&self, shares: &[Share], fault: &Fault) {
        for share in shares {
            let Some(row) = share.row else { continue };
            let records: Vec<Result<RecordId, &Fault>> = share.items.iter().map(|_| Err(fault)).collect();
            let outcome: Value = json!({ "records": records, "created": [] });
            if let Err(error) = self.store.settle_upstream_write(row, &outcome).await {
                tracing::warn!(%error, "the outcome of a request was not noted");
            }
        }
    }

    /// Takes over what was sent of a part before it was cut off. A create without an outcome is
    /// looked for; everything else is the same when it is sent again.
    pub(super) async fn resume(
        self: &Arc<Self>,
        part: &TaskPart,
        kind: &Kind,
        by: &Author,
        all: &mut All,
    ) -> Result<(), Fault> {
        let mut cut_off = Vec::new();
        for row in self.store.upstream_writes(part).await.map_err(Fault::from)? {
            let UpstreamWrite { id, places, sent_at, outcome } = row;
            if places.iter().any(|at| all.items.get(*at).is_none_or(Option::is_none)) {
                return Err(Fault::new(Code::Internal, "the task has changed since it was begun"));
            }
            match outcome {
                Some(outcome) => {
                    let noted: Noted = serde_json::from_value(outcome).map_err(|e| {
                        Fault::new(Code::Internal, format!("the outcome of a request cannot be read: {e}"))
                    })?;
                    for (at, record) in places.into_iter().zip(noted.records) {
                        all.fates[at] = Some(record.map_or_else(Fate::Refused, Fate::Done));
                    }
                    all.created.extend(noted.created);
                }
                None if kind.verb == Verb::Create => {
                    let items = places.iter().filter_map(|at| all.items[*at].clone()).collect();
                    let part = Some(part.clone());
                    let group = Group::new(kind.clone(), false, by, &Tally::default(), part, places, items);
                    cut_off.push((Share::all_of(&group, id), sent_at));
                }
                None => {
                    for at in places {
                        if let Some(item) = &mut all.items[at] {
                            item.tried = Some(sent_at);
                        }
                    }
                    self.forget(&[id]).await;
                }
            }
        }
        if cut_off.is_empty() { Ok(()) } else { self.settle_cut_off(cut_off, all).await }
    }

    /// Looks for creates that were cut off.
    async fn settle_cut_off(
        self: &Arc<Self>,
        cut_off: Vec<(Share, i64)>,
        all: &mut All,
    ) -> Result<(), Fault> {
        // The copy may have the records by now: it does not tell them apart from older ones.
        let before = crate::base::Snapshot::empty(self.copy.snapshot().await?.schema.clone());
        let error = Error::Unanswered("the program was cut off while it was sent".into());
        // All are known to be lost before the first is looked for.
        let mut lost = Vec::with_capacity(cut_off.len());
        for (share, sent_at) in cut_off {
            let shares = [share];
            let unsettled = self
                .unsettled(&shares, &before)
                .ok_or_else(|| Fault::new(Code::UnknownTable, "the table of the task is gone"))?;
            lost.push((shares, unsettled, sent_at));
        }
        for (mut shares, unsettled, sent_at) in lost {
            let group = shares[0].group.clone();
            let ask = Ask::interactive(group.by.principal.clone());
            let times = Times { sent: sent_at, lost: sent_at };
            match self.settle_create(&ask, unsettled, &mut shares, &before, times, &error).await {
                Found::Done => {
                    all.take(&group);
                }
                Found::NotDone => self.forget_rows(&shares).await,
                Found::Unclear(fault) => {
                    self.close(&shares, &fault).await;
                    all.refuse(&group.places, &Fate::Refused(fault));
                }
                Found::Unseen(fault) => {
                    let message = format!("what was done before cannot be found out yet: {fault}");
                    return Err(Fault::new(Code::UpstreamUnavailable, message));
                }
            }
        }
        Ok(())
    }
}
