//! Waiting for changes.

use std::collections::HashSet;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tablewright_core::model::{RecordId, Table};
use tablewright_core::{Code, Fault};
use tablewright_door::{BaseView, Changed, LogPlace, News, TableView};
use tablewright_toolkit::Answer;
use tablewright_toolkit::arguments::schema_of;
use tablewright_toolkit::registry::{CallContext, Tool};
use tokio::time::Instant;

use super::answer;
use crate::filter::{FilterArg, filter};
use crate::formulas::aside;
use crate::freshness::{self, Origin};
use crate::records::checked_limit;
use crate::rows::{Format, Rows, places, record_json};

/// Longest wait, in seconds; some clients give up after a minute.
const LONGEST: u64 = 60;
/// The wait when none is named.
const USUAL: u64 = 25;

/// `wait_for_changes`
pub struct WaitForChanges;

/// Arguments of `wait_for_changes`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WaitArgs {
    /// Name, id or URL.
    base: String,
    /// All tables if left out.
    table: Option<String>,
    /// As in list_records; with a table.
    filter: Option<FilterArg>,
    /// Fields to show, with a table; of updates the changed ones if left out.
    fields: Option<Vec<String>>,
    /// The cursor of the answer before; from now on if left out.
    since: Option<Since>,
    /// Longest wait, 25 by default; 0 only looks.
    #[schemars(range(min = 0, max = 60))]
    timeout_seconds: Option<u64>,
    /// Records at most, 100 by default.
    #[schemars(range(min = 1, max = 1000))]
    limit: Option<usize>,
}

/// A cursor: clients may send its number as one.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Since {
    Number(i64),
    Text(String),
}

impl JsonSchema for Since {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Since".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string" })
    }
}

impl Since {
    fn place(&self) -> Result<LogPlace, Fault> {
        match self {
            Self::Number(seq) => Ok(LogPlace { seq: *seq, rows: 0 }),
            Self::Text(text) => text.parse(),
        }
    }
}

#[derive(Debug, Serialize, JsonSchema)]
struct Told {
    changes: Vec<ToldChange>,
    /// Where to go on: the next call's since.
    cursor: String,
    /// There is more already: call again at once.
    more: bool,
    #[serde(flatten)]
    origin: Origin,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct ToldChange {
    table: String,
    id: String,
    change: What,
    /// Of an update: the fields that changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    changed: Option<Vec<String>>,
    /// With filter: false when it matched before and does not now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    matches: Option<bool>,
    /// Values as they are now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fields: Option<Map<String, Value>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum What {
    Created,
    Updated,
    Deleted,
}

/// A record to tell of.
struct Kept {
    record: Changed,
    what: What,
    matches: Option<bool>,
}

impl Tool for WaitForChanges {
    const NAME: &'static str = "wait_for_changes";
    type Args = WaitArgs;

    fn output_schema() -> Option<Map<String, Value>> {
        Some(schema_of::<Told>())
    }

    async fn run(context: &mut CallContext, args: WaitArgs) -> Result<Answer, Fault> {
        let bad = |message: String| Fault::new(Code::InvalidArguments, message);
        let limit =
            args.limit.map_or(Ok(context.limits.rows), |limit| checked_limit(context, Some(limit)))?;
        let timeout = args.timeout_seconds.unwrap_or(USUAL);
        if timeout > LONGEST {
            return Err(bad(format!("timeout_seconds must be 0 to {LONGEST}; call again to wait longer.")));
        }
        if args.table.is_none() && (args.filter.is_some() || args.fields.is_some()) {
            return Err(bad("filter and fields need table: they name fields of one table.".into()));
        }
        let deadline = Instant::now() + Duration::from_secs(timeout);
        let since = args.since.as_ref().map(Since::place).transpose()?;
        let (base, table) = match &args.table {
            Some(table) => {
                let view = context.call.table(&args.base, table).await?;
                // A filter or field that is wrong is told before anything is waited for.
                filter(&view, args.filter.as_ref(), None, context.call.now())?
                    .map(|filter| view.keeps(&filter, &[]))
                    .transpose()?;
                places(&view, args.fields.as_deref(), Vec::new())?;
                (view.base().schema().id, Some(view.schema().id))
            }
            None => (context.call.base(&args.base).await?.schema().id, None),
        };
        let mut follow = context.call.follow(base, since).await?;
        loop {
            let news = context.call.news(&mut follow, table, limit).await?;
            // After the news: what the view has is at least as new.
            let view = context.call.held(base).await?;
            let (next, more, schema) = (news.next, news.more, !news.schema.is_empty());
            let kept = kept(&view, news, &args, context.call.now()).await?;
            let is_over = Instant::now() >= deadline;
            if !kept.is_empty() || schema || is_over {
                return told(context, &view, kept, next, more, schema, &args);
            }
            if !more {
                tokio::time::timeout_at(deadline, follow.wait()).await.unwrap_or(Ok(()))?;
                context.call.renew()?;
            }
        }
    }
}

/// The records of `news` that are to be told.
async fn kept(view: &BaseView, news: News, args: &WaitArgs, now: i64) -> Result<Vec<Kept>, Fault> {
    let all: Vec<Kept> = news
        .records
        .into_iter()
        .filter_map(|record| {
            let table = view.table_by_id(record.table).ok()?;
            // What is gone by now is told as gone, although the log will say so later.
            let exists = record.exists && table.slot(&record.id).is_some();
            let what = match (record.existed, exists) {
                (true, true) => What::Updated,
                (false, true) => What::Created,
                (true, false) => What::Deleted,
                (false, false) => return None,
            };
            Some(Kept { record, what, matches: None })
        })
        .collect();
    let Some(first) = all.first().filter(|_| args.filter.is_some()) else { return Ok(all) };
    let table = view.table_by_id(first.record.table)?;
    let asked = args.filter.clone();
    aside(move || matching(&table, all, asked.as_ref(), now)).await
}

/// Those that match now, or matched before.
fn matching(
    table: &TableView,
    mut all: Vec<Kept>,
    asked: Option<&FilterArg>,
    now: i64,
) -> Result<Vec<Kept>, Fault> {
    let Some(filter) = filter(table, asked, None, now)? else { return Ok(all) };
    let slots: Vec<Option<usize>> =
        all.iter().map(|kept| table.slot(&kept.record.id).filter(|_| kept.what != What::Deleted)).collect();
    let held: Vec<usize> = slots.iter().flatten().copied().collect();
    let mut matches = table.keeps(&filter, &held)?.into_iter();
    for (kept, slot) in all.iter_mut().zip(&slots) {
        kept.matches = slot.and_then(|_| matches.next());
    }
    let open = |kept: &&Kept| kept.record.existed && kept.matches != Some(true);
    let rows: Vec<(RecordId, Map<String, Value>)> =
        all.iter().filter(open).map(|kept| (kept.record.id, kept.record.before.clone())).collect();
    let mut matched: HashSet<RecordId> = HashSet::new();
    if !rows.is_empty() {
        let ids: Vec<RecordId> = rows.iter().map(|(id, _)| *id).collect();
        let was = table.before(rows, now)?;
        let slots: Vec<usize> = ids.iter().filter_map(|id| was.slot(id)).collect();
        let kept = was.keeps(&filter, &slots)?;
        matched.extend(ids.into_iter().zip(kept).filter(|(_, kept)| *kept).map(|(id, _)| id));
    }
    // When a record that is gone was made is not known any more.
    let unsure = asked.and_then(|asked| asked.formula(table).ok().flatten());
    let unsure = unsure.is_some_and(|formula| formula.to_uppercase().contains("_TIME"));
    all.retain(|kept| {
        kept.matches == Some(true)
            || matched.contains(&kept.record.id)
            || unsure && kept.what == What::Deleted
    });
    Ok(all)
}

/// The answer: as many changes as there is room for.
fn told(
    context: &CallContext,
    view: &BaseView,
    kept: Vec<Kept>,
    next: LogPlace,
    more: bool,
    schema: bool,
    args: &WaitArgs,
) -> Result<Answer, Fault> {
    let mut rows = Rows::of(context, Format::Json, "changes");
    let (mut cursor, mut more) = (next, more);
    for kept in &kept {
        if !rows.record(shown(view, kept, args)?) {
            (cursor, more) = (kept.record.at, true);
            break;
        }
    }
    let mut notes: Vec<String> = freshness::why_old(context, view).into_iter().collect();
    notes.extend(rows.cut_cells().map(str::to_owned));
    notes.extend(schema.then(|| "Tables or fields changed too: see describe_base.".to_owned()));
    Ok(answer(Told {
        changes: rows.records.into_iter().filter_map(|change| serde_json::from_value(change).ok()).collect(),
        cursor: cursor.to_string(),
        more,
        origin: Origin::of(context, view),
        note: (!notes.is_empty()).then(|| notes.join(" ")),
    }))
}

fn shown(view: &BaseView, kept: &Kept, args: &WaitArgs) -> Result<Value, Fault> {
    let (record, what) = (&kept.record, kept.what);
    let table = view.table_by_id(record.table)?;
    let schema = table.schema();
    let changed = changed(schema, record);
    let slot = table.slot(&record.id).filter(|_| what != What::Deleted);
    let fields = slot.map(|slot| {
        let otherwise = match what {
            What::Updated => changed.clone(),
            _ => (0..schema.fields.len()).collect(),
        };
        let shown = places(&table, args.fields.as_deref(), otherwise)?;
        Ok::<_, Fault>(record_json(&table, &shown, slot)["fields"].take().as_object().cloned())
    });
    let told = ToldChange {
        table: schema.name.clone(),
        id: record.id.to_string(),
        change: what,
        changed: (what == What::Updated)
            .then(|| changed.iter().map(|at| schema.fields[*at].name.clone()).collect()),
        matches: kept.matches,
        fields: fields.transpose()?.flatten(),
    };
    serde_json::to_value(told).map_err(|e| Fault::new(Code::Internal, e.to_string()))
}

/// The places of the changed fields that are still there.
fn changed(table: &Table, record: &Changed) -> Vec<usize> {
    (0..table.fields.len()).filter(|at| record.fields.contains(&table.fields[*at].id)).collect()
}
