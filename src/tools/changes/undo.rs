//! Taking changes back.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tablewright_core::{Code, Fault};
use tablewright_door::undo::{OnConflict, Wanted};
use tablewright_toolkit::Answer;
use tablewright_toolkit::arguments::schema_of;
use tablewright_toolkit::registry::{CallContext, Tool};

use super::journal::moment;

/// Most changes of a call, a conversation or a time span.
const MOST: usize = 5_000;
/// Most records an answer names that were left alone.
const MAX_NAMED: usize = 50;

/// `undo_changes`
pub struct UndoChanges;

/// Arguments of `undo_changes`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UndoArgs {
    /// Name, id or URL.
    base: String,
    /// Numbers of changes, as writes and list_changes give them.
    #[serde(default)]
    changes: Vec<i64>,
    /// All changes of one call, by its id.
    call: Option<String>,
    /// All changes of one conversation, by its id.
    session: Option<String>,
    /// All changes from this ISO moment on, with until or without.
    since: Option<String>,
    /// ISO moment.
    until: Option<String>,
    /// What to do where somebody changed something since: refuse, skip or overwrite.
    #[serde(default)]
    on_conflict: Conflict,
}

#[derive(Debug, Default, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Conflict {
    #[default]
    Refuse,
    Skip,
    Overwrite,
}

/// Answer of `undo_changes`.
#[derive(Debug, Serialize, JsonSchema)]
struct Undone {
    /// The changes that were taken back.
    changes: Vec<i64>,
    /// Records that are as they were.
    restored: usize,
    /// Those of them that had to be made again; in Airtable with other ids.
    recreated: usize,
    /// In Airtable, their new ids by the ids they had.
    #[serde(skip_serializing_if = "Option::is_none")]
    new_ids: Option<BTreeMap<String, String>>,
    /// Records that are gone again.
    removed: usize,
    /// Cells and records left alone, because somebody changed them since.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    skipped: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    more_skipped: Option<usize>,
    /// The number of the change that did it; taking that back redoes everything.
    #[serde(skip_serializing_if = "Option::is_none")]
    change: Option<i64>,
}

impl Tool for UndoChanges {
    const NAME: &'static str = "undo_changes";
    type Args = UndoArgs;

    fn output_schema() -> Option<Map<String, Value>> {
        Some(schema_of::<Undone>())
    }

    async fn run(context: &mut CallContext, args: UndoArgs) -> Result<Answer, Fault> {
        let base = context.call.base(&args.base).await?.schema().id;
        let whole = Wanted { base: Some(base), ..Wanted::default() };
        let span = args.changes.is_empty();
        let entries = if span {
            let wanted = Wanted {
                call: args.call,
                session: args.session,
                since: moment(&context.call, "since", args.since.as_deref())?,
                until: moment(&context.call, "until", args.until.as_deref())?,
                ..whole.clone()
            };
            if wanted == whole {
                let message = "say which changes: changes, call, session, or since.";
                return Err(Fault::new(Code::InvalidArguments, message));
            }
            let (entries, more) = context.call.journal(&wanted, MOST).await?;
            if more {
                let message = format!("these are more than {MOST} changes; name a shorter time.");
                return Err(Fault::new(Code::LimitExceeded, message));
            }
            entries
        } else {
            let mut entries = Vec::with_capacity(args.changes.len());
            for number in &args.changes {
                let one = Wanted { before: Some(number.saturating_add(1)), ..whole.clone() };
                let (found, _) = context.call.journal(&one, 1).await?;
                let found = found.into_iter().find(|entry| entry.change.seq == *number).ok_or_else(|| {
                    let message =
                        format!("there is no change {number} of this base; list_changes shows them.");
                    Fault::new(Code::InvalidArguments, message)
                })?;
                if !entries.contains(&found) {
                    entries.push(found);
                }
            }
            entries
        };
        let on_conflict = match args.on_conflict {
            Conflict::Refuse => OnConflict::Refuse,
            Conflict::Skip => OnConflict::Skip,
            Conflict::Overwrite => OnConflict::Overwrite,
        };
        let done = context.call.undo(entries, span, on_conflict).await?;
        let more = done.skipped.len().saturating_sub(MAX_NAMED);
        let undone = Undone {
            changes: done.changes,
            restored: done.restored,
            recreated: done.recreated,
            new_ids: Some(done.ids).filter(|ids| !ids.is_empty()),
            removed: done.removed,
            skipped: done.skipped.into_iter().take(MAX_NAMED).collect(),
            more_skipped: (more > 0).then_some(more),
            change: done.change,
        };
        Ok(Answer::Structured(serde_json::to_value(undone).unwrap_or_default()))
    }
}
