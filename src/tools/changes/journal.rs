//! Looking back: what was changed, by whom.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tablewright_core::model::cell::instant_text;
use tablewright_core::{Code, Fault};
use tablewright_door::preview::{cells_by_name, schema_words};
use tablewright_door::undo::{Entry, Wanted};
use tablewright_door::{BaseView, Call, ChangeKind};
use tablewright_toolkit::Answer;
use tablewright_toolkit::arguments::schema_of;
use tablewright_toolkit::registry::{CallContext, Tool};

use crate::records::record_id;

/// Changes of a page when none is asked for, and the most.
const USUAL: usize = 20;
const MOST: usize = 200;

/// One change.
#[derive(Debug, Serialize, JsonSchema)]
struct Listed {
    /// Its number in the change log.
    number: i64,
    at: String,
    by: String,
    /// The tool, command or endpoint.
    tool: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    client: Option<String>,
    /// All changes of one call have the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    call: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    plan: Option<String>,
    base: String,
    /// In one sentence.
    summary: String,
    /// The change that took it back.
    #[serde(skip_serializing_if = "Option::is_none")]
    undone_by: Option<i64>,
}

/// Answer of `list_changes`.
#[derive(Debug, Serialize, JsonSchema)]
struct Journal {
    /// Newest first.
    changes: Vec<Listed>,
    /// Call again with before = this for older ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<i64>,
}

fn page(limit: Option<usize>) -> Result<usize, Fault> {
    match limit {
        None => Ok(USUAL),
        Some(limit) if (1..=MOST).contains(&limit) => Ok(limit),
        Some(limit) => {
            let message = format!("limit must be 1 to {MOST}, not {limit}.");
            Err(Fault::new(Code::InvalidArguments, message))
        }
    }
}

/// A name, when there is one.
pub(super) fn named(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

/// A moment as the caller writes it.
pub(super) fn moment(call: &Call, name: &str, text: Option<&str>) -> Result<Option<i64>, Fault> {
    let Some(text) = text else { return Ok(None) };
    call.moment(text).map(Some).ok_or_else(|| {
        let shown: String = text.chars().take(40).collect();
        let message = format!("{name} {shown:?} is no moment; write it like 2026-11-26T09:00:00Z.");
        Fault::new(Code::InvalidArguments, message)
    })
}

fn summary(base: Option<&BaseView>, entry: &Entry) -> String {
    let change = &entry.change;
    let schema = base.map(BaseView::schema);
    match change.kind {
        ChangeKind::Records => {
            let parts = change.tables.iter().map(|changes| {
                let name =
                    schema.and_then(|base| base.table_by_id(changes.table)).map(|table| table.name.clone());
                let name = name.unwrap_or_else(|| changes.table.to_string());
                let count = |is: fn(&tablewright_engine::base::RowChange) -> bool| {
                    changes.rows.iter().filter(|row| is(row)).count()
                };
                let mut words = Vec::new();
                for (count, verb) in [
                    (count(|row| row.before.is_none()), "created"),
                    (count(|row| row.before.is_some() && row.after.is_some()), "changed"),
                    (count(|row| row.after.is_none()), "deleted"),
                ] {
                    if count > 0 {
                        words.push(format!("{count} {verb}"));
                    }
                }
                format!("{name}: {}", words.join(", "))
            });
            parts.collect::<Vec<_>>().join("; ")
        }
        ChangeKind::Schema => {
            let words = change.schema.iter().map(|change| schema_words(schema, change));
            words.collect::<Vec<_>>().join("; ")
        }
        ChangeKind::Comments => "a comment".to_owned(),
        ChangeKind::BaseCreated => "the base was made".to_owned(),
        ChangeKind::Imported => "the base came from a file".to_owned(),
        ChangeKind::BaseDeleted => "the base was deleted".to_owned(),
    }
}

/// `list_changes`
pub struct ListChanges;

/// Arguments of `list_changes`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListArgs {
    /// Name, id or URL.
    base: String,
    /// Name, id or URL.
    table: Option<String>,
    /// Who: local, token:NAME.
    by: Option<String>,
    /// Of one call, by its id.
    call: Option<String>,
    /// Of one conversation, by its id.
    session: Option<String>,
    /// ISO moment.
    since: Option<String>,
    /// ISO moment.
    until: Option<String>,
    /// 1 to 200; 20 when absent.
    limit: Option<usize>,
    /// Only changes with a smaller number.
    before: Option<i64>,
}

impl Tool for ListChanges {
    const NAME: &'static str = "list_changes";
    type Args = ListArgs;

    fn output_schema() -> Option<Map<String, Value>> {
        Some(schema_of::<Journal>())
    }

    async fn run(context: &mut CallContext, args: ListArgs) -> Result<Answer, Fault> {
        let limit = page(args.limit)?;
        let base = context.call.base(&args.base).await?;
        let table =
            args.table.as_deref().map(|table| base.schema().table(table).map(|t| t.id)).transpose()?;
        let wanted = Wanted {
            base: Some(base.schema().id),
            table,
            principal: args.by,
            call: args.call,
            session: args.session,
            since: moment(&context.call, "since", args.since.as_deref())?,
            until: moment(&context.call, "until", args.until.as_deref())?,
            before: args.before,
            ..Wanted::default()
        };
        let (entries, more) = context.call.journal(&wanted, limit).await?;
        let next = entries.last().map(|entry| entry.change.seq).filter(|_| more);
        let entries = context.call.as_seen(base.schema().id, entries).await?;
        let changes = entries
            .iter()
            .map(|entry| {
                let author = &entry.change.author;
                Listed {
                    number: entry.change.seq,
                    at: instant_text(entry.change.at),
                    by: author.principal.to_string(),
                    tool: author.action.to_string(),
                    client: named(&author.client),
                    call: named(&author.call),
                    session: named(&author.session),
                    plan: author.plan.as_deref().map(str::to_owned),
                    base: base.schema().name.clone(),
                    summary: summary(Some(&base), entry),
                    undone_by: entry.undone_by,
                }
            })
            .collect();
        Ok(Answer::Structured(serde_json::to_value(Journal { changes, next }).unwrap_or_default()))
    }
}

/// What happened to a record.
#[derive(Debug, Serialize, JsonSchema)]
struct Event {
    /// The number of the change.
    number: i64,
    at: String,
    by: String,
    tool: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    client: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    plan: Option<String>,
    /// create, update or delete.
    change: &'static str,
    /// Cells as they were.
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<Map<String, Value>>,
    /// Cells as they became.
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<Map<String, Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    undone_by: Option<i64>,
}

/// Answer of `get_record_history`.
#[derive(Debug, Serialize, JsonSchema)]
struct History {
    record: String,
    /// Newest first.
    changes: Vec<Event>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<i64>,
}

/// `get_record_history`
pub struct GetRecordHistory;

/// Arguments of `get_record_history`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HistoryArgs {
    /// Name, id or URL.
    base: String,
    /// Name, id or URL.
    table: String,
    /// Its id or URL; one that was deleted, too.
    record: String,
    /// 1 to 200; 20 when absent.
    limit: Option<usize>,
    /// Only changes with a smaller number.
    before: Option<i64>,
}

impl Tool for GetRecordHistory {
    const NAME: &'static str = "get_record_history";
    type Args = HistoryArgs;

    fn output_schema() -> Option<Map<String, Value>> {
        Some(schema_of::<History>())
    }

    async fn run(context: &mut CallContext, args: HistoryArgs) -> Result<Answer, Fault> {
        let limit = page(args.limit)?;
        let record = record_id(&args.record)?;
        let view = context.call.table(&args.base, &args.table).await?;
        let wanted = Wanted {
            base: Some(view.base().schema().id),
            record: Some(record),
            before: args.before,
            ..Wanted::default()
        };
        let (entries, more) = context.call.journal(&wanted, limit).await?;
        let next = entries.last().map(|entry| entry.change.seq).filter(|_| more);
        let entries = context.call.as_seen(view.base().schema().id, entries).await?;
        let mut changes = Vec::new();
        for Entry { change, undone_by } in entries {
            let of_table = change.tables.iter().filter(|changes| changes.table == view.schema().id);
            let Some(row) = of_table.flat_map(|changes| &changes.rows).find(|row| row.id == record) else {
                continue;
            };
            if change.kind != ChangeKind::Records {
                continue;
            }
            let shown = |cells: &Map<String, Value>| cells_by_name(Some(view.schema()), cells);
            changes.push(Event {
                number: change.seq,
                at: instant_text(change.at),
                by: change.author.principal.to_string(),
                tool: change.author.action.to_string(),
                client: named(&change.author.client),
                plan: change.author.plan.as_deref().map(str::to_owned),
                change: match (&row.before, &row.after) {
                    (None, _) => "create",
                    (_, None) => "delete",
                    _ => "update",
                },
                before: row.before.as_ref().map(shown),
                after: row.after.as_ref().map(shown),
                undone_by,
            });
        }
        let history = History { record: record.to_string(), changes, next };
        Ok(Answer::Structured(serde_json::to_value(history).unwrap_or_default()))
    }
}
