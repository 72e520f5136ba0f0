//! One table of what can go wrong that a caller can mend.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The kind of a fault; stable, and mapped to each face's own codes there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// An argument is missing, unknown, of the wrong type or out of range.
    InvalidArguments,
    /// No such base, or not one this caller may see.
    UnknownBase,
    /// No such table in the base.
    UnknownTable,
    /// No such field in the table.
    UnknownField,
    /// No such view in the table.
    UnknownView,
    /// No such record in the table.
    UnknownRecord,
    /// No such tool, or one this caller may not use.
    UnknownTool,
    /// A cell value does not fit its field.
    InvalidValue,
    /// A write to a field whose value is computed.
    ComputedField,
    /// A select choice that does not exist, and `typecast` is off.
    UnknownChoice,
    /// A cursor that is not ours, is of another query, or is too old.
    InvalidCursor,
    /// The caller lacks the right.
    Forbidden,
    /// A question that the cells of a masked field would answer, or a write to one.
    MaskedField,
    /// Something of that name or id is there already.
    Conflict,
    /// A file or body that cannot be read as what it should be.
    InvalidFile,
    /// A bound was reached; the message names it.
    LimitExceeded,
    /// The store cannot take the write now (disk full, locked, damaged).
    StoreUnavailable,
    /// The call was cancelled.
    Cancelled,
    /// A link to a record of another table than the field links to.
    WrongTable,
    /// Several records match the merge fields of one record of an upsert.
    Ambiguous,
    /// No such comment on the record.
    UnknownComment,
    /// No such webhook of the base.
    UnknownWebhook,
    /// No such attachment, or one that cannot be taken in.
    InvalidAttachment,
    /// A change of the schema that is not allowed or not possible.
    InvalidSchema,
    /// Airtable does not let us do this: the token is wrong, lacks a scope, or does not grant the base.
    UpstreamForbidden,
    /// Airtable cannot be reached, or asks us to wait; nothing was done.
    UpstreamUnavailable,
    /// Airtable refused what was sent.
    UpstreamRefused,
    /// A write was sent to Airtable and whether it was carried out could not be found out.
    OutcomeUnknown,
    /// The copy of the base or table is still being made.
    NotReady,
    /// No such plan of this caller.
    UnknownPlan,
    /// What a plan is about changed since it was made.
    PlanStale,
    /// A person has to approve this first, and has not.
    ApprovalNeeded,
    /// Somebody was asked, and said no.
    Declined,
    /// More than this caller may write, delete or ask for.
    BudgetExceeded,
    /// The same write failed, or was repeated, too often.
    CircuitOpen,
    /// A fault of ours; the details are in the log.
    Internal,
}

impl Code {
    /// The code as it appears in answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidArguments => "invalid_arguments",
            Self::UnknownBase => "unknown_base",
            Self::UnknownTable => "unknown_table",
            Self::UnknownField => "unknown_field",
            Self::UnknownView => "unknown_view",
            Self::UnknownRecord => "unknown_record",
            Self::UnknownTool => "unknown_tool",
            Self::InvalidValue => "invalid_value",
            Self::ComputedField => "computed_field",
            Self::UnknownChoice => "unknown_choice",
            Self::InvalidCursor => "invalid_cursor",
            Self::Forbidden => "forbidden",
            Self::MaskedField => "masked_field",
            Self::Conflict => "conflict",
            Self::InvalidFile => "invalid_file",
            Self::LimitExceeded => "limit_exceeded",
            Self::StoreUnavailable => "store_unavailable",
            Self::Cancelled => "cancelled",
            Self::WrongTable => "wrong_table",
            Self::Ambiguous => "ambiguous",
            Self::UnknownComment => "unknown_comment",
            Self::UnknownWebhook => "unknown_webhook",
            Self::InvalidAttachment => "invalid_attachment",
            Self::InvalidSchema => "invalid_schema",
            Self::UpstreamForbidden => "upstream_forbidden",
            Self::UpstreamUnavailable => "upstream_unavailable",
            Self::UpstreamRefused => "upstream_refused",
            Self::OutcomeUnknown => "outcome_unknown",
            Self::NotReady => "not_ready",
            Self::UnknownPlan => "unknown_plan",
            Self::PlanStale => "plan_stale",
            Self::ApprovalNeeded => "approval_needed",
            Self::Declined => "declined",
            Self::BudgetExceeded => "budget_exceeded",
            Self::CircuitOpen => "circuit_open",
            Self::Internal => "internal",
        }
    }
}

/// What went wrong and what to change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// The kind.
    pub code: Code,
    /// What is wrong and what to send instead, in one or two sentences.
    pub message: String,
    /// What it is about, as the caller gave it: the field, choice, record or table. Faces that
    /// word their own messages need it.
    #[serde(skip)]
    pub subject: Option<Box<str>>,
    /// What Airtable itself answered, when it refused; faces that speak its words pass it on.
    #[serde(skip)]
    pub origin: Option<Box<Refused>>,
}

/// An answer of Airtable that says no.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The HTTP status.
    pub status: u16,
    /// Its type, such as `INVALID_RECORDS`; empty when it gave none.
    pub kind: String,
    /// Its message; empty when it gave none.
    pub message: String,
}

impl Fault {
    /// A fault of `code` with a message for the caller.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), subject: None, origin: None }
    }

    /// Keeps the words of Airtable it comes from.
    pub fn answered(mut self, refused: Refused) -> Self {
        self.origin = Some(Box::new(refused));
        self
    }

    /// Says what it is about.
    pub fn about(mut self, subject: impl Into<Box<str>>) -> Self {
        self.subject = Some(subject.into());
        self
    }

    /// Puts "`place`: " before the message.
    pub fn within(mut self, place: impl fmt::Display) -> Self {
        self.message = format!("{place}: {}", self.message);
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Fault {}
