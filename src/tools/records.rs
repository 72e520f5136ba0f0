//! Reading records.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tablewright_core::model::{RecordId, Reference, Sort, Table};
use tablewright_core::{Code, Fault};
use tablewright_door::{BaseView, TableView};
use tablewright_engine::base::query::{After, of_view};
use tablewright_engine::base::{Query, search};
use tablewright_toolkit::Answer;
use tablewright_toolkit::answer::MAX_ROWS;
use tablewright_toolkit::registry::{CallContext, Tool};

use crate::cursor;
use crate::filter::{FilterArg, filter};
use crate::formulas::aside;
use crate::freshness::{self, Freshness};
use crate::rows::{About, Format, Rows, places, record_json};

/// The direction of a sort.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// Smallest first.
    #[default]
    Asc,
    /// Largest first.
    Desc,
}

/// One step of an order.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SortBy {
    field: String,
    #[serde(default)]
    #[schemars(extend("default" = Value::Null))]
    direction: Direction,
}

/// `list_records`
pub struct ListRecords;

/// Arguments of `list_records`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListArgs {
    /// Name, id or URL.
    base: String,
    /// Name, id or URL.
    table: String,
    /// A view, for its fields, filter and order.
    view: Option<String>,
    /// A formula such as {Status} = "Open", or {"and": [{"field", "op", "value"}]}; ops = != < <= > >= contains in empty.
    filter: Option<FilterArg>,
    /// Fields to show; all if left out.
    fields: Option<Vec<String>>,
    sort: Option<Vec<SortBy>>,
    /// Rows per page, 100 by default.
    #[schemars(range(min = 1, max = 1000))]
    limit: Option<usize>,
    /// From the page before; keep the other arguments.
    cursor: Option<String>,
    /// "tsv" cuts long cells, "json" does not.
    format: Option<Format>,
    #[serde(flatten)]
    freshness: Freshness,
}

/// Most steps of an order.
const MAX_SORTS: usize = 10;
/// Most link fields whose records are shown too.
const MAX_EXPANDED: usize = 10;
/// Ids a note lists.
const IDS_IN_NOTE: usize = 20;

/// The order that is asked for.
pub(crate) fn order(table: &Table, wanted: &[SortBy]) -> Result<Vec<Sort>, Fault> {
    if wanted.len() > MAX_SORTS {
        let message = format!("sort takes at most {MAX_SORTS} fields, not {}.", wanted.len());
        return Err(Fault::new(Code::InvalidArguments, message));
    }
    wanted
        .iter()
        .map(|s| Ok(Sort { field: table.field(&s.field)?.id, descending: s.direction == Direction::Desc }))
        .collect()
}

/// Ids for a note: the first few, and how many more there are.
fn some_ids(ids: &[String]) -> String {
    let shown = ids[..ids.len().min(IDS_IN_NOTE)].join(", ");
    match ids.len().saturating_sub(IDS_IN_NOTE) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

pub(crate) fn checked_limit(context: &CallContext, asked: Option<usize>) -> Result<usize, Fault> {
    match asked {
        None => Ok(context.limits.rows),
        Some(n @ 1..=MAX_ROWS) => Ok(n),
        Some(n) => Err(Fault::new(
            Code::InvalidArguments,
            format!("limit must be 1 to {MAX_ROWS}, not {n}; read more with the cursor."),
        )),
    }
}

impl Tool for ListRecords {
    const NAME: &'static str = "list_records";
    type Args = ListArgs;

    async fn run(context: &mut CallContext, args: ListArgs) -> Result<Answer, Fault> {
        args.freshness.ask(context);
        let view = context.call.table(&args.base, &args.table).await?;
        let table = view.schema();
        let named = args.view.as_deref().map(|name| table.view(name)).transpose()?;
        let (mut sorts, shown) = match named {
            Some(view) => of_view(table, view),
            None => (Vec::new(), table.fields.iter().map(|f| f.id).collect()),
        };
        if let Some(wanted) = &args.sort {
            sorts = order(table, wanted)?;
        }
        let otherwise = shown.into_iter().filter_map(|id| table.field_index(id)).collect();
        let fields = places(&view, args.fields.as_deref(), otherwise)?;
        let filter = filter(&view, args.filter.as_ref(), named, context.call.now())?;
        let wanted = args.filter.as_ref().map(|f| f.formula(&view)).transpose()?.flatten();
        let query_text = json!([table.id, args.view, sorts, wanted]).to_string();
        let after = args.cursor.as_deref().map(|text| cursor::decode(text, &query_text)).transpose()?;
        let query = Query { filter, sorts, limit: checked_limit(context, args.limit)?, after };
        let page = if query.filter.is_some() {
            let (view, query) = (view.clone(), query.clone());
            aside(move || view.page(&query)).await?
        } else {
            view.page(&query)?
        };
        let mut rows = Rows::new(context, args.format.unwrap_or_default());
        rows.header(fields.iter().map(|at| &table.fields[*at].name));
        let returned = page.slots.iter().take_while(|slot| rows.row(&view, &fields, **slot)).count();
        let start = after.map_or(0, |a| a.offset);
        let next = match page.slots.get(returned) {
            // The answer was full before the page was.
            Some(_) => page.slots[..returned].last().map(|slot| After {
                offset: start + returned,
                position: view.row(*slot).position,
                version: view.version(),
            }),
            None => page.next,
        };
        let mut about = About::of(context, view.base(), returned, page.total);
        about.cursor = next.map(|next| cursor::encode(next, &query_text));
        let moved = page.moved.then_some(
            "The table changed since the page before: rows that moved may be missing or come twice.",
        );
        let full = (returned < page.slots.len()).then_some(
            "The answer reached its limit of characters: ask for fewer fields, or go on with the cursor.",
        );
        let cut = rows.cut_cells();
        moved.into_iter().chain(full).chain(cut).for_each(|note| about.say(note));
        freshness::computed(context, &view, &fields).iter().for_each(|note| about.say(note));
        Ok(rows.finish(context, about))
    }
}

/// `get_records`
pub struct GetRecords;

/// Arguments of `get_records`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GetArgs {
    /// Name, id or URL.
    base: String,
    /// Name, id or URL.
    table: String,
    /// Record ids or URLs.
    records: Vec<String>,
    /// Fields to show; all if left out.
    fields: Option<Vec<String>>,
    /// Link fields whose records are shown too.
    expand: Option<Vec<String>>,
    format: Option<Format>,
    #[serde(flatten)]
    freshness: Freshness,
}

/// The record ids in `wanted`, at most one page of them.
fn record_ids(wanted: &[String]) -> Result<Vec<RecordId>, Fault> {
    if wanted.is_empty() || wanted.len() > MAX_ROWS {
        return Err(Fault::new(
            Code::InvalidArguments,
            format!("records must have 1 to {MAX_ROWS} ids, not {}.", wanted.len()),
        ));
    }
    wanted.iter().map(|text| record_id(text)).collect()
}

/// The record id in `text`: an id or a URL with one.
pub(crate) fn record_id(text: &str) -> Result<RecordId, Fault> {
    Reference::record(text).ok_or_else(|| {
        let shown: String = text.chars().take(60).collect();
        Fault::new(
            Code::InvalidArguments,
            format!("{shown:?} is no record id: send \"rec\" and 14 letters or digits, as list_records and search_records show them."),
        )
    })
}

impl Tool for GetRecords {
    const NAME: &'static str = "get_records";
    type Args = GetArgs;

    async fn run(context: &mut CallContext, args: GetArgs) -> Result<Answer, Fault> {
        args.freshness.ask(context);
        let view = context.call.table(&args.base, &args.table).await?;
        let table = view.schema();
        let fields = places(&view, args.fields.as_deref(), (0..table.fields.len()).collect())?;
        let ids = record_ids(&args.records)?;
        let mut notes = Vec::new();
        let (found, missing): (Vec<&RecordId>, Vec<&RecordId>) =
            ids.iter().partition(|id| view.slot(id).is_some());
        if found.is_empty() {
            return Err(Fault::new(
                Code::UnknownRecord,
                format!(
                    "table {:?} has none of these records; they may be deleted or in another table.",
                    table.name
                ),
            ));
        }
        if !missing.is_empty() {
            let list: Vec<String> = missing.iter().map(|id| id.to_string()).collect();
            notes.push(format!("Not found: {}.", some_ids(&list)));
        }
        let slots: Vec<usize> = found.iter().filter_map(|id| view.slot(id)).collect();
        let mut rows =
            Rows::new(context, args.format.unwrap_or_default()).with_whole_cells().with_addresses(context);
        rows.header(fields.iter().map(|at| &table.fields[*at].name));
        let returned = slots.iter().take_while(|slot| rows.row(&view, &fields, **slot)).count();
        if returned < slots.len() {
            let left: Vec<String> = slots[returned..].iter().map(|s| view.row(*s).id.to_string()).collect();
            notes.push(format!("The answer is full; ask again for: {}.", some_ids(&left)));
        }
        notes.extend(rows.cut_cells().map(str::to_owned));
        let mut expanded = args.expand.unwrap_or_default();
        expanded.sort();
        expanded.dedup();
        if expanded.len() > MAX_EXPANDED {
            let message = format!("expand takes at most {MAX_EXPANDED} link fields, not {}.", expanded.len());
            return Err(Fault::new(Code::InvalidArguments, message));
        }
        for name in &expanded {
            if let Some(note) =
                expand(&mut rows, &view, &slots[..returned], name, args.format.unwrap_or_default())?
            {
                notes.push(note);
            }
        }
        let mut about = About::of(context, view.base(), returned, ids.len());
        notes.extend(freshness::computed(context, &view, &fields));
        notes.iter().for_each(|note| about.say(note));
        Ok(rows.finish(context, about))
    }
}

/// Adds the records that `slots` link to through the field `name`.
fn expand(
    rows: &mut Rows,
    view: &TableView,
    slots: &[usize],
    name: &str,
    format: Format,
) -> Result<Option<String>, Fault> {
    let table = view.schema();
    let field = table.field(name)?;
    let Some(link) = field.link() else {
        return Err(Fault::new(
            Code::InvalidArguments,
            format!("field {:?} does not link to records; expand takes link fields.", field.name),
        ));
    };
    let at = table.field_index(field.id).unwrap_or_default();
    let other = view.base().table_by_id(link.linked_table_id)?;
    let mut linked: Vec<usize> = Vec::new();
    let mut seen = std::collections::HashSet::new();
    for slot in slots {
        if let tablewright_core::model::Cell::Links(ids) = view.cell(*slot, at) {
            for slot in ids.iter().filter_map(|id| other.slot(id)) {
                if seen.insert(slot) {
                    linked.push(slot);
                }
            }
        }
    }
    let fields: Vec<usize> = (0..other.schema().fields.len()).collect();
    if format == Format::Tsv {
        rows.line(&[&format!("linked through {}: {}", field.name, other.schema().name)]);
        rows.header(other.schema().fields.iter().map(|f| &f.name));
    }
    let shown = linked
        .iter()
        .take(MAX_ROWS)
        .take_while(|slot| match format {
            Format::Tsv => rows.row(&other, &fields, **slot),
            Format::Json => {
                let mut record = record_json(&other, &fields, **slot);
                record["linkedThrough"] = Value::from(field.name.as_str());
                rows.record(record)
            }
        })
        .count();
    Ok((shown < linked.len())
        .then(|| format!("{} of {} linked records through {:?} are shown.", shown, linked.len(), field.name)))
}

/// `search_records`
pub struct SearchRecords;

/// Arguments of `search_records`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SearchArgs {
    /// Name, id or URL.
    base: String,
    /// Words that must all be in a record.
    query: String,
    /// All tables if left out.
    table: Option<String>,
    /// As in list_records; with a table.
    filter: Option<FilterArg>,
    #[schemars(range(min = 1, max = 1000))]
    limit: Option<usize>,
    cursor: Option<String>,
    format: Option<Format>,
    #[serde(flatten)]
    freshness: Freshness,
}

impl Tool for SearchRecords {
    const NAME: &'static str = "search_records";
    type Args = SearchArgs;

    async fn run(context: &mut CallContext, args: SearchArgs) -> Result<Answer, Fault> {
        args.freshness.ask(context);
        let limit = checked_limit(context, args.limit)?;
        let terms = search::terms(&args.query);
        if terms.is_empty() || terms.len() > search::MAX_TERMS {
            let message = format!("query must have 1 to {} words, not {}.", search::MAX_TERMS, terms.len());
            return Err(Fault::new(Code::InvalidArguments, message));
        }
        let (base, tables): (BaseView, Vec<TableView>) = match &args.table {
            Some(table) => {
                let view = context.call.table(&args.base, table).await?;
                (view.base().clone(), vec![view])
            }
            None => {
                let base = context.call.base(&args.base).await?;
                let tables = base.tables().collect();
                (base, tables)
            }
        };
        let kept = match (&args.filter, tables.as_slice()) {
            (None, _) => None,
            (Some(asked), [view]) if args.table.is_some() => {
                let filter = filter(view, Some(asked), None, context.call.now())?;
                match filter {
                    Some(filter) => {
                        let view = view.clone();
                        let slots = aside(move || view.matching(&filter)).await?;
                        Some(std::collections::HashSet::<usize>::from_iter(slots))
                    }
                    None => None,
                }
            }
            _ => {
                return Err(Fault::new(
                    Code::InvalidArguments,
                    "filter needs table: it names fields of one table.",
                ));
            }
        };
        let wanted = match (&args.filter, tables.first()) {
            (Some(asked), Some(view)) => asked.formula(view)?,
            _ => None,
        };
        let query_text = json!([args.base, args.table, terms, wanted]).to_string();
        let after = args.cursor.as_deref().map(|text| cursor::decode(text, &query_text)).transpose()?;
        let mut hits: Vec<(usize, search::Hit)> = Vec::new();
        for (n, view) in tables.iter().enumerate() {
            let found = view.search(&terms).into_iter();
            hits.extend(
                found
                    .filter(|hit| kept.as_ref().is_none_or(|kept| kept.contains(&hit.slot)))
                    .map(|hit| (n, hit)),
            );
        }
        hits.sort_by_key(|(_, hit)| std::cmp::Reverse(hit.score));
        let start = after.map_or(0, |a| a.offset);
        let mut rows = Rows::new(context, args.format.unwrap_or_default());
        rows.header(["table", "name", "found in"].iter());
        let returned = hits
            .iter()
            .skip(start)
            .take(limit)
            .take_while(|(n, hit)| {
                hit_row(&mut rows, &tables[*n], hit.slot, &terms, args.format.unwrap_or_default())
            })
            .count();
        let mut about = About::of(context, &base, returned, hits.len());
        let missing = freshness::missing(context, tables.iter());
        freshness::still_copied(&missing).iter().for_each(|note| about.say(note));
        if start + returned < hits.len() {
            let next = After { offset: start + returned, position: 0, version: 0 };
            about.cursor = Some(cursor::encode(next, &query_text));
        }
        Ok(rows.finish(context, about))
    }
}

/// Adds a hit: its table, its name, and the cells that hold a term.
fn hit_row(rows: &mut Rows, view: &TableView, slot: usize, terms: &[String], format: Format) -> bool {
    let table = view.schema();
    let mut name = String::new();
    let mut found: Vec<String> = Vec::new();
    for (at, field) in table.fields.iter().enumerate() {
        let mut text = String::new();
        view.push_text(&mut text, field, &view.cell(slot, at));
        let lower = text.to_lowercase();
        let first = terms.iter().filter_map(|term| lower.find(term.as_str())).min();
        if let Some(first) = first {
            found.push(format!("{}: {}", field.name, around(&text, first)));
        }
        if field.id == table.primary_field_id {
            name = text;
        }
    }
    let id = view.row(slot).id.to_string();
    match format {
        Format::Tsv => rows.line(&[&id, &table.name, &name, &found.join(" | ")]),
        Format::Json => rows.record(json!({"id": id, "table": table.name, "name": name, "foundIn": found})),
    }
}

/// The part of `text` around the byte at `at`, about 80 characters of it.
fn around(text: &str, at: usize) -> String {
    // Lower-casing can shift bytes; the nearest character is good enough for a snippet.
    let before = text.char_indices().take_while(|(byte, _)| *byte < at).count();
    let start = before.saturating_sub(20);
    let part: String = text.chars().skip(start).take(80).collect();
    let more = text.chars().count() > start + 80;
    format!("{}{part}{}", if start > 0 { "…" } else { "" }, if more { "…" } else { "" })
}
