//! What a write says about itself.

use schemars::JsonSchema;
use serde::Serialize;
use tablewright_core::model::RecordId;
use tablewright_core::{Code, Fault};
use tablewright_toolkit::Reply;

/// Most refused records an answer describes one by one.
const MAX_DESCRIBED: usize = 50;

/// Most ids an answer lists.
const MAX_IDS: usize = 1_000;

/// What a write did.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub(crate) struct Written {
    /// Records done.
    count: usize,
    /// Their ids, in the order sent.
    ids: Vec<String>,
    /// Ids not listed.
    #[serde(skip_serializing_if = "Option::is_none")]
    more_ids: Option<usize>,
    /// Of an upsert: how many are new.
    #[serde(skip_serializing_if = "Option::is_none")]
    created: Option<usize>,
    /// Records refused.
    failed: Vec<Refused>,
    /// Refused records not listed.
    #[serde(skip_serializing_if = "Option::is_none")]
    more_failed: Option<usize>,
    /// Cancelled: records not begun.
    #[serde(skip_serializing_if = "Option::is_none")]
    not_started: Option<usize>,
    /// Records typecast created in other tables.
    #[serde(skip_serializing_if = "Option::is_none")]
    created_elsewhere: Option<Vec<Elsewhere>>,
    /// Number in the change log; the last of several.
    #[serde(skip_serializing_if = "Option::is_none")]
    change: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_change: Option<i64>,
}

/// Records made in another table.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Elsewhere {
    table: String,
    count: usize,
}

/// A record that was refused.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Refused {
    /// Its place, from 0.
    index: usize,
    code: &'static str,
    message: String,
}

/// What is known once a write has ended.
#[derive(Debug, Clone, Default)]
pub(crate) struct Done {
    /// The record, or why it was refused, in the order sent; shorter than what was sent when the
    /// write was cancelled.
    pub(crate) records: Vec<Result<RecordId, Fault>>,
    /// How many of them are new, when that is not plain.
    pub(crate) created: Option<usize>,
    /// Records that typecast created in other tables: name of the table and how many.
    pub(crate) elsewhere: Vec<(String, usize)>,
    /// The commits, in order.
    pub(crate) changes: Vec<i64>,
    /// Records that were not begun.
    pub(crate) not_started: usize,
}

impl Done {
    /// How many records are done.
    pub(crate) fn count(&self) -> usize {
        self.records.iter().filter(|record| record.is_ok()).count()
    }

    /// How many were not begun, or not sent when the write was stopped.
    pub(crate) fn not_begun(&self) -> usize {
        self.not_started + self.refused_as(Code::Cancelled)
    }

    /// How many may be done or not.
    pub(crate) fn unknown(&self) -> usize {
        self.refused_as(Code::OutcomeUnknown)
    }

    fn refused_as(&self, code: Code) -> usize {
        let refused =
            |record: &&Result<RecordId, Fault>| record.as_ref().is_err_and(|fault| fault.code == code);
        self.records.iter().filter(refused).count()
    }

    /// The answer; an error when there is nothing but refusals.
    pub(crate) fn reply(self) -> Reply {
        let mut written = Written { created: self.created, ..Written::default() };
        let mut refused = 0;
        for (index, record) in self.records.into_iter().enumerate() {
            match record {
                Ok(id) => {
                    written.count += 1;
                    if written.ids.len() < MAX_IDS {
                        written.ids.push(id.to_string());
                    }
                }
                Err(fault) => {
                    refused += 1;
                    if written.failed.len() < MAX_DESCRIBED {
                        let (code, message) = (fault.code.as_str(), fault.message);
                        written.failed.push(Refused { index, code, message });
                    }
                }
            }
        }
        let over = |all: usize, listed: usize| (all > listed).then(|| all - listed);
        written.more_ids = over(written.count, written.ids.len());
        written.more_failed = over(refused, written.failed.len());
        written.not_started = over(self.not_started, 0);
        written.change = self.changes.last().copied();
        written.first_change = self.changes.first().copied().filter(|_| self.changes.len() > 1);
        let elsewhere: Vec<Elsewhere> =
            self.elsewhere.into_iter().map(|(table, count)| Elsewhere { table, count }).collect();
        written.created_elsewhere = (!elsewhere.is_empty()).then_some(elsewhere);
        let all_failed = written.count == 0 && refused > 0;
        Reply::structured(serde_json::to_value(written).unwrap_or_default(), all_failed)
    }
}
