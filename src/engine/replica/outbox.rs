//! Writes to a base that lives in Airtable.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use serde_json::Value;
use tablewright_core::model::{BaseId, RecordId, TableId};
use tablewright_core::{Code, Fault};

use crate::Snapshot;
use crate::airtable::{Record, Session};
use crate::local::{Outcome, Write};
use crate::store::Store;
use crate::store::tasks::TaskPart;

/// Takes what Airtable answered into the copy.
pub(crate) trait Absorb: Send + Sync {
    /// The base.
    fn base(&self) -> BaseId;
    /// Where requests are noted before they are sent.
    fn store(&self) -> &Store;
    /// The login it is written with.
    fn session(&self) -> BoxFuture<'_, Result<Session, Fault>>;
    /// A number taken before a request is sent: what it answers is compared by it.
    fn begin(&self) -> u64;
    /// A request begun as `asked` gave nothing to take in.
    fn abandon(&self, asked: u64);
    /// Takes an answer in; ends its request.
    fn absorb(&self, own: Own) -> BoxFuture<'_, Result<Absorbed, Fault>>;
    /// The copy as it is.
    fn snapshot(&self) -> BoxFuture<'_, Result<Arc<Snapshot>, Fault>>;
    /// Something looks different from the copy: looks at the schema again, and waits for it.
    fn suspect_schema(&self) -> BoxFuture<'_, Result<(), Fault>>;
}

/// An answer to a write of ours.
pub(crate) struct Own {
    pub(crate) asked: u64,
    pub(crate) table: TableId,
    pub(crate) records: Vec<Record>,
    pub(crate) gone: Vec<RecordId>,
    pub(crate) by: String,
    pub(crate) face: String,
    /// Rows of the journal, and what became of their records.
    pub(crate) journal: Vec<(i64, Value)>,
    pub(crate) part: Option<(TaskPart, Value)>,
}

/// The copy with an answer in it.
pub(crate) struct Absorbed {
    pub(crate) snapshot: Arc<Snapshot>,
    pub(crate) change: Option<i64>,
}

/// What is on its way to one base.
pub(crate) struct Outbox {
    held: Arc<dyn Absorb>,
}

impl Outbox {
    pub(crate) fn new(held: Arc<dyn Absorb>) -> Self {
        Self { held }
    }

    /// Records that wait to be sent, or are on their way.
    pub(crate) fn waiting(&self) -> usize {
        0
    }

    pub(crate) async fn write(
        &self,
        _: Write,
        _: &str,
        _: &str,
        _: Option<TaskPart>,
    ) -> Result<Outcome, Fault> {
        Err(Fault::new(Code::Internal, format!("base {} cannot be written yet", self.held.base())))
    }
}
