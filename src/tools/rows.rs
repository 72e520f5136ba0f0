//! Rows as answers: a TSV table inside a fence, or JSON.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tablewright_core::Fault;
use tablewright_core::model::Cell;
use tablewright_door::moments::is_of_reader;
use tablewright_door::{BaseView, Files, TableView};
use tablewright_engine::replica::Source;
use tablewright_formula::moment::Zone;
use tablewright_toolkit::Answer;
use tablewright_toolkit::registry::CallContext;
use tablewright_toolkit::text::{CUT_MARK, push_cell};

use crate::freshness;

/// How rows are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Format {
    /// A table of tab-separated values.
    #[default]
    Tsv,
    /// Records as JSON with whole cells.
    Json,
}

/// A table of rows under construction, bounded in characters.
pub(crate) struct Rows {
    pub(crate) text: String,
    pub(crate) records: Vec<Value>,
    format: Format,
    /// What the rows are.
    what: &'static str,
    used: usize,
    /// How much of it is the last header: one row always fits behind it.
    header: usize,
    limit: usize,
    cell_limit: usize,
    /// A record alone was longer than an answer, and its long cells were cut.
    shortened: bool,
    /// The zone of times in fields that leave it to whoever looks.
    zone: Option<&'static Zone>,
    /// Where files of attachments get their addresses from, and the moment those start.
    addresses: Option<(Files, i64)>,
}

impl Rows {
    pub(crate) fn new(context: &CallContext, format: Format) -> Self {
        Self::of(context, format, "records")
    }

    /// Rows that are something else than records.
    pub(crate) fn of(context: &CallContext, format: Format, what: &'static str) -> Self {
        Self {
            what,
            text: String::with_capacity(if format == Format::Tsv { 16 * 1024 } else { 0 }),
            records: Vec::new(),
            format,
            used: 0,
            header: 0,
            limit: context.limits.characters,
            cell_limit: context.limits.cell_characters,
            shortened: false,
            zone: context.call.zone(),
            addresses: None,
        }
    }

    /// With addresses of attachments, where this server is reached by one.
    pub(crate) fn with_addresses(mut self, context: &CallContext) -> Self {
        self.addresses = Some((context.call.files().clone(), context.call.now()));
        self
    }

    /// Whole cells instead of cut ones.
    pub(crate) fn with_whole_cells(mut self) -> Self {
        self.cell_limit = self.limit;
        self
    }

    /// Writes the header of a table: `id` and the names of the fields.
    pub(crate) fn header(&mut self, names: impl Iterator<Item = impl AsRef<str>>) {
        if self.format == Format::Json {
            return;
        }
        let start = self.text.len();
        self.text.push_str("id");
        for name in names {
            self.text.push('\t');
            push_cell(&mut self.text, name.as_ref(), self.cell_limit);
        }
        self.text.push('\n');
        self.header = self.text[start..].chars().count();
        self.used += self.header;
    }

    /// Adds a row. False when the answer is full; the row is then not in it, unless it is the
    /// only one.
    pub(crate) fn row(&mut self, view: &TableView, fields: &[usize], slot: usize) -> bool {
        match self.format {
            Format::Tsv => self.row_text(view, fields, slot),
            Format::Json => {
                let mut record = record_json(view, fields, slot);
                self.add_addresses(view, fields, &mut record);
                self.record(record)
            }
        }
    }

    fn row_text(&mut self, view: &TableView, fields: &[usize], slot: usize) -> bool {
        let start = self.text.len();
        self.push_row(view, fields, slot, self.cell_limit);
        let length = self.text[start..].chars().count();
        if length > self.limit && self.used == self.header && fields.len() > 1 {
            self.text.truncate(start);
            self.push_row(view, fields, slot, (self.limit / fields.len()).min(self.cell_limit));
            self.shortened = true;
        }
        self.keep(start)
    }

    fn push_row(&mut self, view: &TableView, fields: &[usize], slot: usize, cell_limit: usize) {
        view.row(slot).id.push_to(&mut self.text);
        let mut cell_text = String::new();
        for at in fields {
            self.text.push('\t');
            cell_text.clear();
            let (field, cell) = (&view.schema().fields[*at], view.cell(slot, *at));
            match (&cell, self.zone) {
                (Cell::Instant(ms), Some(zone)) if is_of_reader(field) => {
                    zone.push_instant(&mut cell_text, *ms);
                }
                _ => view.push_text(&mut cell_text, field, &cell),
            }
            push_cell(&mut self.text, &cell_text, cell_limit);
        }
        self.text.push('\n');
    }

    /// Adds a line of cells that is no row of a table.
    pub(crate) fn line(&mut self, cells: &[&str]) -> bool {
        let start = self.text.len();
        for (n, cell) in cells.iter().enumerate() {
            self.text.push_str(if n > 0 { "\t" } else { "" });
            push_cell(&mut self.text, cell, self.cell_limit);
        }
        self.text.push('\n');
        self.keep(start)
    }

    fn keep(&mut self, start: usize) -> bool {
        let added = self.text[start..].chars().count();
        if self.used > self.header && self.used + added > self.limit {
            self.text.truncate(start);
            return false;
        }
        self.used += added;
        true
    }

    fn add_addresses(&self, view: &TableView, fields: &[usize], record: &mut Value) {
        let Some((files, now)) = &self.addresses else { return };
        let Some(public) = files.public_url() else { return };
        for field in fields.iter().map(|at| &view.schema().fields[*at]) {
            if field.kind.may_hold_files()
                && let Some(cell) = record["fields"].get_mut(&field.name)
            {
                *cell = files.shown(cell, &public, *now);
            }
        }
    }

    /// Adds a record as JSON.
    pub(crate) fn record(&mut self, mut record: Value) -> bool {
        let mut added = length(&record);
        if self.used > 0 && self.used + added > self.limit {
            return false;
        }
        if added > self.limit
            && let Some(Value::Object(cells)) = record.get_mut("fields")
            && cells.len() > 1
        {
            shorten(cells, self.limit);
            added = length(&record);
            self.shortened = true;
        }
        self.used += added;
        self.records.push(record);
        true
    }

    /// What to say of cells that were cut to fit the answer, if any were.
    pub(crate) fn cut_cells(&self) -> Option<&'static str> {
        if self.shortened {
            return Some(
                "The record is longer than an answer and its long cells were cut: ask for one field alone, with format \"json\", to have it whole.",
            );
        }
        let whole = self.cell_limit == self.limit && self.text.contains(CUT_MARK);
        whole.then_some("A cell is longer than an answer; format \"json\" gives it whole.")
    }

    /// The answer: the rows, then what is known about them.
    pub(crate) fn finish(self, context: &CallContext, about: About) -> Answer {
        if self.format == Format::Json {
            let mut result = Map::new();
            result.insert(self.what.into(), Value::Array(self.records));
            if let Value::Object(about) = serde_json::to_value(&about).unwrap_or_default() {
                result.extend(about);
            }
            return Answer::Structured(Value::Object(result));
        }
        let mut out = String::with_capacity(self.text.len() + 400);
        context.boundary.open(&mut out);
        out.push_str(&self.text);
        context.boundary.close(&mut out);
        out.push_str(&about.line(self.what));
        Answer::Text(out)
    }
}

fn length(value: &Value) -> usize {
    value.to_string().chars().count()
}

/// Cuts the longest cells of a record so that all together have about `limit` characters. What is
/// no text is replaced by the mark alone: half a list would look like a whole one.
fn shorten(cells: &mut Map<String, Value>, limit: usize) {
    let mut lengths: Vec<usize> = cells.values().map(length).collect();
    lengths.sort_unstable();
    let (mut left, mut share) = (limit, limit);
    for (at, length) in lengths.iter().enumerate() {
        share = left / (lengths.len() - at);
        if *length > share {
            break;
        }
        left -= length;
    }
    for cell in cells.values_mut() {
        let all = length(cell);
        if all <= share {
            continue;
        }
        *cell = match cell {
            Value::String(text) => {
                let kept: String = text.chars().take(share).collect();
                let more = text.chars().count() - kept.chars().count();
                format!("{kept}{CUT_MARK}{more} more characters]").into()
            }
            _ => format!("{CUT_MARK}{all} characters]").into(),
        };
    }
}

/// One record as JSON, cells as the Web API gives them.
pub(crate) fn record_json(view: &TableView, fields: &[usize], slot: usize) -> Value {
    let mut cells = Map::new();
    for at in fields {
        let field = &view.schema().fields[*at];
        if let Some(value) = view.cell(slot, *at).to_json(field) {
            cells.insert(field.name.clone(), value);
        }
    }
    serde_json::json!({ "id": view.row(slot).id, "fields": cells })
}

/// What an answer says about its rows.
#[derive(Debug, Serialize)]
pub(crate) struct About {
    /// Rows in this answer.
    pub(crate) returned: usize,
    /// Rows of the whole query.
    pub(crate) total: usize,
    /// How to go on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cursor: Option<String>,
    /// Where the rows came from.
    pub(crate) source: &'static str,
    /// Seconds since they were known to be true; absent when that was never known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) age_seconds: Option<u64>,
    /// What else the caller should know.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) note: Option<String>,
}

impl About {
    /// About rows of `base`.
    pub(crate) fn of(context: &CallContext, base: &BaseView, returned: usize, total: usize) -> Self {
        let (source, age_seconds) = match base.source() {
            Source::Local => ("local", Some(0)),
            Source::Replica { as_of } => ("replica", freshness::age(context, as_of)),
        };
        let note = freshness::why_old(context, base);
        Self { returned, total, cursor: None, source, age_seconds, note }
    }

    /// About what was asked for where it lives, just now.
    pub(crate) fn live(base: &BaseView, returned: usize, total: usize) -> Self {
        let source = if base.is_cloud() { "live" } else { "local" };
        Self { returned, total, cursor: None, source, age_seconds: Some(0), note: None }
    }

    /// Adds a sentence to the note.
    pub(crate) fn say(&mut self, said: impl AsRef<str>) {
        let note = self.note.get_or_insert_default();
        if !note.is_empty() {
            note.push(' ');
        }
        note.push_str(said.as_ref());
    }

    fn line(&self, what: &str) -> String {
        let age = self.age_seconds.map_or("unknown".to_owned(), |age| format!("{age} s"));
        let mut line =
            format!("{} of {} {what}; source {}, age {age}", self.returned, self.total, self.source);
        match &self.cursor {
            Some(cursor) => line.push_str(&format!("; for more, call again with cursor \"{cursor}\"")),
            None => line.push_str("; end"),
        }
        if let Some(note) = &self.note {
            line.push_str(". ");
            line.push_str(note);
        }
        line
    }
}

/// The places of the named fields; all of `otherwise` when none are named.
pub(crate) fn places(
    view: &TableView,
    named: Option<&[String]>,
    otherwise: Vec<usize>,
) -> Result<Vec<usize>, Fault> {
    let table = view.schema();
    match named {
        None | Some([]) => Ok(otherwise),
        Some(names) => {
            let mut places = Vec::new();
            for name in names {
                let place = table.field(name).map(|f| table.field_index(f.id).unwrap_or_default())?;
                if !places.contains(&place) {
                    places.push(place);
                }
            }
            Ok(places)
        }
    }
}
