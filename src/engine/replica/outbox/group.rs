//! The records of one caller that are sent together with others, and what became of each.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tablewright_core::model::RecordId;
use tablewright_core::{Code, Fault};
use tokio::sync::Notify;

use super::Absorbed;
use super::prepare::Item;
use super::queue::{Kind, Touch};
use crate::airtable::Tally;
use crate::base::changes::Author;
use crate::store::tasks::TaskPart;

/// What became of a record.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Fate {
    /// It is done.
    Done(RecordId),
    /// It is not done, and sending it again would not help, or could do it twice.
    Refused(Fault),
    /// It was certainly not done, as Airtable is away; sent again it may be.
    NotSent(Fault),
    /// Whether it was done can be found out when Airtable is back.
    Unsettled(Fault),
}

impl Fate {
    /// The fate of what was not carried out.
    pub(super) fn not_done(fault: Fault) -> Self {
        match fault.code {
            Code::UpstreamUnavailable | Code::StoreUnavailable => Self::NotSent(fault),
            _ => Self::Refused(fault),
        }
    }

    /// As the caller is told.
    pub(super) fn told(self) -> Result<RecordId, Fault> {
        match self {
            Self::Done(id) => Ok(id),
            Self::Refused(fault) | Self::NotSent(fault) | Self::Unsettled(fault) => Err(fault),
        }
    }
}

/// Records of one caller.
pub(super) struct Group {
    pub(super) kind: Kind,
    pub(super) atomic: bool,
    pub(super) by: Author,
    /// Requests that carried something of it.
    pub(super) tally: Tally,
    /// The part of a task it belongs to.
    pub(super) part: Option<TaskPart>,
    /// The places of the records in their write.
    pub(super) places: Vec<usize>,
    pub(super) items: Vec<Item>,
    result: Mutex<Results>,
    ended: Notify,
}

/// What is known so far.
pub(super) struct Results {
    pub(super) fates: Vec<Option<Fate>>,
    left: usize,
    pub(super) created: Vec<RecordId>,
    pub(super) last: Option<Absorbed>,
    /// Why nothing more of the write is to be sent.
    pub(super) stopped: Option<Fate>,
    /// Records refused one by one since one was done.
    refused: usize,
}

impl Group {
    pub(super) fn new(
        kind: Kind,
        atomic: bool,
        by: &Author,
        tally: &Tally,
        part: Option<TaskPart>,
        places: Vec<usize>,
        items: Vec<Item>,
    ) -> Arc<Self> {
        let result = Results {
            fates: vec![None; items.len()],
            left: items.len(),
            created: Vec::new(),
            last: None,
            stopped: None,
            refused: 0,
        };
        let (result, ended) = (Mutex::new(result), Notify::new());
        let (by, tally) = (by.clone(), tally.clone());
        Arc::new(Self { kind, atomic, by, tally, part, places, items, result, ended })
    }

    pub(super) fn touches(&self) -> Vec<Option<Touch>> {
        self.items.iter().map(|item| item.touch.clone()).collect()
    }

    pub(super) fn result(&self) -> MutexGuard<'_, Results> {
        self.result.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what became of a record; the first word on it stands.
    pub(super) fn settle(&self, at: usize, fate: Fate) {
        let mut result = self.result();
        // What is not there any more was told already.
        let Some(place @ None) = result.fates.get_mut(at) else { return };
        let done = matches!(fate, Fate::Done(_));
        *place = Some(fate);
        result.left -= 1;
        result.refused = if done { 0 } else { result.refused + 1 };
        if result.left == 0 {
            self.ended.notify_one();
        }
    }

    /// Notes what the copy looks like with an answer in it.
    pub(super) fn absorbed(&self, absorbed: Absorbed, created: impl IntoIterator<Item = RecordId>) {
        let mut result = self.result();
        result.created.extend(created);
        let newer =
            result.last.as_ref().is_none_or(|last| last.snapshot.version <= absorbed.snapshot.version);
        let change = absorbed.change.max(result.last.as_ref().and_then(|last| last.change));
        match &mut result.last {
            Some(last) if !newer => last.change = change,
            last => *last = Some(Absorbed { change, ..absorbed }),
        }
    }

    /// How many records were refused one by one since one was done.
    pub(super) fn refused_in_a_row(&self) -> usize {
        self.result().refused
    }

    /// Waits until every record has its fate.
    pub(super) async fn done(&self) {
        while self.result().left > 0 {
            self.ended.notified().await;
        }
    }
}
