//! Finding rows by words: every term must be somewhere in the row.

use memchr::memmem;
use tablewright_core::model::{Cell, Table};

use super::column::Data;
use super::snapshot::Snapshot;
use super::table::TableData;

/// Most terms of a search.
pub const MAX_TERMS: usize = 16;

/// The lower-cased words of a search.
pub fn terms(words: &str) -> Vec<String> {
    words.split_whitespace().map(str::to_lowercase).collect()
}

/// A row that has all the terms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hit {
    /// The row's slot.
    pub slot: usize,
    /// 3: the primary field is the words; 2: starts with them; 1: has them; 0: they are elsewhere.
    pub score: u8,
}

/// Rows that hold every one of `terms` in the fields at `fields`, best first, then in the
/// table's own order.
pub fn run(
    snapshot: &Snapshot,
    table: &Table,
    data: &TableData,
    fields: &[usize],
    terms: &[String],
) -> Vec<Hit> {
    if terms.is_empty() {
        return Vec::new();
    }
    let finders: Vec<memmem::Finder<'_>> = terms.iter().map(|t| memmem::Finder::new(t.as_bytes())).collect();
    let phrase = terms.join(" ");
    let primary = table.field_index(table.primary_field_id).unwrap_or_default();
    let mut text = String::new();
    let mut name = String::new();
    let mut hits: Vec<Hit> = data
        .slots()
        .filter_map(|slot| {
            text.clear();
            for at in fields {
                push(snapshot, table, data, slot, *at, &mut text);
                text.push('\n');
            }
            lower(&mut text);
            if !finders.iter().all(|finder| finder.find(text.as_bytes()).is_some()) {
                return None;
            }
            name.clear();
            if fields.contains(&primary) {
                push(snapshot, table, data, slot, primary, &mut name);
                lower(&mut name);
            }
            let score = match name.as_str() {
                whole if whole == phrase => 3,
                start if start.starts_with(&phrase) => 2,
                inside if finders.iter().all(|f| f.find(inside.as_bytes()).is_some()) => 1,
                _ => 0,
            };
            Some(Hit { slot, score })
        })
        .collect();
    hits.sort_by_key(|hit| (std::cmp::Reverse(hit.score), hit.slot));
    hits
}

fn push(snapshot: &Snapshot, table: &Table, data: &TableData, slot: usize, at: usize, out: &mut String) {
    let column = data.column(at);
    match (column.odd(slot), column.data()) {
        (None, Data::Text(texts)) => out.push_str(texts.get(slot)),
        _ => match column.get(slot) {
            Cell::Blank | Cell::Checked => {}
            cell => snapshot.push_text(out, &table.fields[at], &cell),
        },
    }
}

fn lower(text: &mut String) {
    if text.is_ascii() { text.make_ascii_lowercase() } else { *text = text.to_lowercase() }
}
