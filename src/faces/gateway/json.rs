//! Records as JSON, written straight from the columns.
//!
//! Everything is appended to one text: names of fields are quoted once for an answer, numbers and
//! texts go from where they lie into the answer.

use std::fmt::Write as _;

use tablewright_core::model::cell::{BLANK_CHOICE, BLANK_INSTANT, push_date, push_instant};
use tablewright_core::model::{Cell, Choice, Field, FieldId, RecordId};
use tablewright_door::TableView;
use tablewright_engine::base::Column;
use tablewright_engine::base::column::{Data, number};

use super::params::Shape;
use super::text::CellText;
use super::upload::Addresses;

/// Appends a text in quotes.
pub(super) fn push_string(out: &mut String, text: &str) {
    out.push('"');
    let plain =
        |bytes: &[u8]| !bytes.iter().fold(false, |odd, b| odd | (*b < 0x20) | (*b == b'"') | (*b == b'\\'));
    if plain(text.as_bytes()) {
        out.push_str(text);
    } else {
        push_escaped(out, text);
    }
    out.push('"');
}

fn push_escaped(out: &mut String, text: &str) {
    let mut rest = text;
    while let Some(at) = rest.bytes().position(|b| b < 0x20 || b == b'"' || b == b'\\') {
        out.push_str(&rest[..at]);
        match rest.as_bytes()[at] {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            control => {
                let _ = write!(out, "\\u{control:04x}");
            }
        }
        rest = &rest[at + 1..];
    }
    out.push_str(rest);
}

/// Appends a number as JSON.
fn push_number(out: &mut String, held: f64) {
    if held.fract() == 0.0 && held.abs() < 9.007_199_254_740_992e15 {
        out.push_str(itoa::Buffer::new().format(held as i64));
    } else {
        let mut digits = zmij::Buffer::new();
        out.push_str(if held.is_finite() { digits.format_finite(held) } else { "null" });
    }
}

fn push_id(out: &mut String, id: &RecordId) {
    out.push('"');
    id.push_to(out);
    out.push('"');
}

/// A field that is written.
struct Written<'v> {
    at: usize,
    field: &'v Field,
    column: &'v Column,
    /// Where its key lies among the keys.
    key: std::ops::Range<usize>,
    date_only: bool,
    /// True where files may be, which get addresses.
    files: bool,
}

/// Writes the records of one answer.
pub(super) struct RecordWriter<'v> {
    view: &'v TableView,
    fields: Vec<Written<'v>>,
    /// The keys of all fields: `"name":`.
    keys: String,
    /// How texts are written, when cells are to be texts.
    texts: Option<Vec<CellText<'v>>>,
    link_objects: bool,
    addresses: &'v Addresses,
}

impl<'v> RecordWriter<'v> {
    /// Writes the fields at these places, or all.
    pub(super) fn new(
        view: &'v TableView,
        places: Option<&[usize]>,
        shape: Shape,
        addresses: &'v Addresses,
    ) -> Self {
        let table = view.schema();
        let mut keys = String::with_capacity(table.fields.len() * 24);
        let mut written = Vec::with_capacity(places.map_or(table.fields.len(), <[usize]>::len));
        let mut add = |at: usize| {
            let Some(field) = table.fields.get(at) else { return };
            let start = keys.len();
            if shape.by_id {
                push_field_id(&mut keys, &field.id);
            } else {
                push_string(&mut keys, &field.name);
            }
            keys.push(':');
            let date_only = field.kind.shows_date_only();
            let files = field.kind.may_hold_files();
            written.push(Written {
                at,
                field,
                column: view.column(at),
                key: start..keys.len(),
                date_only,
                files,
            });
        };
        match places {
            Some(places) => places.iter().copied().for_each(&mut add),
            None => (0..table.fields.len()).for_each(&mut add),
        }
        let texts =
            shape.text.map(|reader| written.iter().map(|w| CellText::new(view, w.field, reader)).collect());
        Self { view, fields: written, keys, texts, link_objects: shape.link_objects, addresses }
    }

    /// Bytes a record takes, about.
    pub(super) fn record_size(&self) -> usize {
        100 + self.keys.len() + 24 * self.fields.len()
    }

    /// Appends the record in `slot`; how many comments it has, when that is to be said.
    pub(super) fn record(&self, out: &mut String, slot: usize, comments: Option<u64>) {
        let row = self.view.row(slot);
        out.push_str("{\"id\":");
        push_id(out, &row.id);
        out.push_str(",\"createdTime\":\"");
        // As in Airtable, where the times of records have whole seconds.
        push_instant(out, row.created - row.created.rem_euclid(1_000));
        out.push_str("\",\"fields\":{");
        let mut first = true;
        for (n, written) in self.fields.iter().enumerate() {
            let before = out.len();
            if !first {
                out.push(',');
            }
            out.push_str(&self.keys[written.key.clone()]);
            let filled = match &self.texts {
                None => self.cell(out, written, slot),
                Some(texts) => {
                    let mut text = String::new();
                    let cell = match self.view.cell(slot, written.at) {
                        Cell::Json(value) if written.files => Cell::Json(self.addresses.shown(&value).into()),
                        cell => cell,
                    };
                    texts[n].push(&mut text, &cell);
                    push_string(out, &text);
                    !text.is_empty()
                }
            };
            if filled {
                first = false;
            } else {
                out.truncate(before);
            }
        }
        out.push('}');
        if let Some(count) = comments {
            out.push_str(",\"commentCount\":");
            out.push_str(itoa::Buffer::new().format(count));
        }
        out.push('}');
    }

    /// Appends a cell; false when it is blank.
    fn cell(&self, out: &mut String, written: &Written<'_>, slot: usize) -> bool {
        if let Some(odd) = written.column.odd(slot) {
            let _ = write!(out, "{odd}");
            return true;
        }
        match written.column.data() {
            Data::Text(texts) => {
                let text = texts.get(slot);
                push_string(out, text);
                !text.is_empty()
            }
            Data::Number(numbers) => {
                let held = number(*numbers.get(slot));
                held.into_iter().for_each(|held| push_number(out, held));
                held.is_some()
            }
            Data::Check(ticks) => {
                out.push_str("true");
                *ticks.get(slot)
            }
            Data::Instant(instants) => {
                let ms = *instants.get(slot);
                if ms == BLANK_INSTANT {
                    return false;
                }
                out.push('"');
                if written.date_only {
                    push_date(out, ms);
                } else {
                    push_instant(out, ms);
                }
                out.push('"');
                true
            }
            Data::Choice(places) => {
                let at = *places.get(slot);
                at != BLANK_CHOICE && push_choice(out, choices(written.field), at)
            }
            Data::Choices(lists) => {
                let Some(list) = lists.get(slot) else { return false };
                let choices = choices(written.field);
                push_list(out, list.iter(), |out, at| push_choice(out, choices, *at))
            }
            Data::Links(lists) => {
                let Some(list) = lists.get(slot) else { return false };
                push_list(out, list.iter(), |out, id| {
                    out.push_str(if self.link_objects { "{\"id\":" } else { "" });
                    push_id(out, id);
                    out.push_str(if self.link_objects { "}" } else { "" });
                    true
                })
            }
            Data::Json(values) => {
                let Some(value) = values.get(slot) else { return false };
                let _ = if written.files {
                    write!(out, "{}", self.addresses.shown(value))
                } else {
                    write!(out, "{value}")
                };
                true
            }
        }
    }
}

fn push_field_id(out: &mut String, id: &FieldId) {
    out.push('"');
    id.push_to(out);
    out.push('"');
}

fn choices(field: &Field) -> &[Choice] {
    field.kind.choices().unwrap_or_default()
}

fn push_choice(out: &mut String, choices: &[Choice], at: u32) -> bool {
    let choice = choices.get(at as usize);
    choice.into_iter().for_each(|choice| push_string(out, &choice.name));
    choice.is_some()
}

/// Appends a list of the items that can be written.
fn push_list<T>(
    out: &mut String,
    items: impl Iterator<Item = T>,
    mut push: impl FnMut(&mut String, T) -> bool,
) -> bool {
    out.push('[');
    for item in items {
        if push(out, item) {
            out.push(',');
        }
    }
    if out.ends_with(',') {
        out.pop();
    }
    out.push(']');
    true
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use tablewright_core::model::cell::json_number;

    use super::*;

    proptest! {
        #[test]
        fn texts_come_back(text in any::<String>()) {
            let mut out = String::new();
            push_string(&mut out, &text);
            prop_assert_eq!(serde_json::from_str::<String>(&out).unwrap(), text);
        }

        #[test]
        fn numbers_are_as_everywhere(number in any::<f64>()) {
            let mut out = String::new();
            push_number(&mut out, number);
            prop_assert_eq!(out, json_number(number).to_string());
        }
    }
}
