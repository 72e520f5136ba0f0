//! Cell values: how they are held, read from Airtable's JSON and written back to it.

use std::sync::Arc;

use ecow::EcoString;
use jiff::Timestamp;
use jiff::civil::DateTime;
use serde_json::{Number, Value};

use crate::civil::{self, Civil};

use super::field::{Choice, Field, FieldType};
use super::id::RecordId;

/// Marks a blank number in a column; a NaN no arithmetic produces.
pub const BLANK_NUMBER: u64 = 0x7ff8_0000_0000_b1a4;
/// Marks a blank instant in a column.
pub const BLANK_INSTANT: i64 = i64::MIN;
/// Marks a blank choice in a column.
pub const BLANK_CHOICE: u32 = u32::MAX;

/// One cell. `""`, `[]`, `false` and `null` are all [`Cell::Blank`], as in Airtable.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Cell {
    /// Nothing.
    #[default]
    Blank,
    /// A text.
    Text(EcoString),
    /// A finite number.
    Number(f64),
    /// A ticked checkbox.
    Checked,
    /// Milliseconds since the epoch; a date is its midnight in UTC.
    Instant(i64),
    /// A position among the field's choices.
    Choice(u32),
    /// Positions among the field's choices.
    Choices(Arc<[u32]>),
    /// Ids of linked records.
    Links(Arc<[RecordId]>),
    /// Anything else, exactly as it was read: attachments, collaborators, odd values.
    Json(Arc<Value>),
}

/// How a field's cells are laid out in a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// Texts.
    Text,
    /// Numbers.
    Number,
    /// Ticks.
    Check,
    /// Instants.
    Instant,
    /// One choice.
    Choice,
    /// Several choices.
    Choices,
    /// Record ids.
    Links,
    /// JSON values.
    Json,
}

impl FieldType {
    /// The layout that suits this type.
    pub fn layout(&self) -> Layout {
        match self {
            kind if kind.is_text() => Layout::Text,
            Self::Number { .. }
            | Self::Currency { .. }
            | Self::Percent { .. }
            | Self::Duration { .. }
            | Self::Rating { .. }
            | Self::Count(_)
            | Self::AutoNumber => Layout::Number,
            Self::Checkbox => Layout::Check,
            Self::Date | Self::DateTime { .. } | Self::CreatedTime { .. } | Self::LastModifiedTime { .. } => {
                Layout::Instant
            }
            Self::SingleSelect(_) => Layout::Choice,
            Self::MultipleSelects(_) => Layout::Choices,
            Self::Links(_) => Layout::Links,
            Self::Formula { result: Some(result), .. } | Self::Rollup(_, Some(result)) => {
                match result.layout() {
                    layout @ (Layout::Text | Layout::Number | Layout::Instant | Layout::Check) => layout,
                    _ => Layout::Json,
                }
            }
            Self::ExternalSyncSource => Layout::Text,
            _ => Layout::Json,
        }
    }

    /// True for an instant that can be shown as a date alone, and as a time again.
    fn keeps_time(&self) -> bool {
        matches!(self, Self::CreatedTime { .. } | Self::LastModifiedTime { .. })
    }

    /// True when an instant is shown as a date alone.
    pub fn shows_date_only(&self) -> bool {
        match self {
            Self::Date => true,
            Self::CreatedTime { date_only } | Self::LastModifiedTime { date_only, .. } => *date_only,
            Self::Formula { result: Some(result), .. } | Self::Rollup(_, Some(result)) => {
                result.shows_date_only()
            }
            _ => false,
        }
    }

    /// True where cells may hold files, whose addresses end.
    pub fn may_hold_files(&self) -> bool {
        matches!(self, Self::Attachments | Self::Lookup(_))
    }
}

/// A JSON number that prints integers without a point; `null` for what JSON cannot say.
pub fn json_number(number: f64) -> Value {
    if number.fract() == 0.0 && number.abs() < 9.007_199_254_740_992e15 {
        Value::Number(Number::from(number as i64))
    } else {
        Number::from_f64(number).map_or(Value::Null, Value::Number)
    }
}

/// Reads an ISO instant, or a date as its midnight in UTC.
pub fn parse_instant(text: &str) -> Option<i64> {
    if let Ok(instant) = text.parse::<Timestamp>() {
        return Some(instant.as_millisecond());
    }
    // The last day of the year 9999, a common "never", is beyond what jiff takes as an instant.
    let time: DateTime = match text.strip_suffix('Z') {
        Some(local) => local.parse().ok()?,
        None if text.len() == 10 => text.parse().ok()?,
        None => return None,
    };
    civil::instant(
        time.year().into(),
        time.month().into(),
        time.day().into(),
        time.hour().into(),
        time.minute().into(),
        time.second().into(),
        time.millisecond().into(),
    )
}

/// Writes a number's last digits over a place for them; more than fit are left out.
fn put_digits(place: &mut [u8], number: u32) {
    let mut rest = number;
    for byte in place.iter_mut().rev() {
        *byte = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
}

/// Appends digits and signs, which are never anything but ASCII.
fn push_ascii(out: &mut String, bytes: &[u8]) {
    out.push_str(std::str::from_utf8(bytes).unwrap_or_default());
}

fn push_day(out: &mut String, date: &Civil) {
    let mut text = *b"+000000-00-00";
    let (year, day) = text.split_at_mut(7);
    put_digits(&mut year[1..], date.year.unsigned_abs());
    put_digits(&mut day[1..3], date.month.into());
    put_digits(&mut day[4..], date.day.into());
    if date.year < 0 {
        text[0] = b'-';
    }
    push_ascii(out, if (0..=9999).contains(&date.year) { &text[3..] } else { &text });
}

/// Appends `YYYY-MM-DD` for the UTC day of `ms`; years before 0 or after 9999 get six digits
/// and a sign.
pub fn push_date(out: &mut String, ms: i64) {
    push_day(out, &civil::civil(ms));
}

/// Appends `YYYY-MM-DDTHH:MM:SS.mmmZ`.
pub fn push_instant(out: &mut String, ms: i64) {
    let time = civil::civil(ms);
    push_day(out, &time);
    let mut text = *b"T00:00:00.000Z";
    put_digits(&mut text[1..3], time.hour.into());
    put_digits(&mut text[4..6], time.minute.into());
    put_digits(&mut text[7..9], time.second.into());
    put_digits(&mut text[10..13], time.millisecond.into());
    push_ascii(out, &text);
}

/// `YYYY-MM-DDTHH:MM:SS.mmmZ` for an instant in milliseconds.
pub fn instant_text(ms: i64) -> String {
    let mut out = String::with_capacity(24);
    push_instant(&mut out, ms);
    out
}

fn choice_at(choices: &[Choice], wanted: &str) -> Option<u32> {
    choices
        .iter()
        .position(|c| c.name == wanted)
        .or_else(|| choices.iter().position(|c| c.id.to_string() == wanted))
        .and_then(|at| u32::try_from(at).ok())
}

impl Cell {
    /// A text, or blank when it is empty.
    pub fn text(text: impl Into<EcoString>) -> Self {
        let text = text.into();
        if text.is_empty() { Self::Blank } else { Self::Text(text) }
    }

    /// True for a cell that Airtable leaves out of a record.
    pub fn is_blank(&self) -> bool {
        matches!(self, Self::Blank)
    }

    /// Reads a value as the Web API gives it. What does not fit the field's type is kept as
    /// [`Cell::Json`] and comes out again unchanged.
    pub fn from_json(field: &Field, value: &Value) -> Self {
        let odd = || Self::Json(Arc::new(value.clone()));
        match value {
            // What a type means by "nothing" is not known for one we do not know.
            value if field.kind == FieldType::Unknown && !value.is_null() => return odd(),
            Value::Null | Value::Bool(false) => return Self::Blank,
            Value::String(text) if text.is_empty() => return Self::Blank,
            Value::Array(items) if items.is_empty() => return Self::Blank,
            _ => {}
        }
        match (field.kind.layout(), value) {
            (Layout::Text, Value::String(text)) => Self::Text(text.as_str().into()),
            (Layout::Number, Value::Number(number)) => number
                .as_f64()
                .filter(|n| json_number(*n) == *value || number.is_f64())
                .map_or_else(odd, Self::Number),
            (Layout::Check, Value::Bool(true)) => Self::Checked,
            (Layout::Instant, Value::String(text)) => {
                let exact = |ms: &i64| {
                    let mut shown = String::with_capacity(24);
                    if field.kind.shows_date_only() {
                        push_date(&mut shown, *ms);
                    } else {
                        push_instant(&mut shown, *ms);
                    }
                    // A date that carries a time would lose it; everything else is the same instant.
                    !field.kind.shows_date_only() || shown == *text
                };
                parse_instant(text).filter(exact).map_or_else(odd, Self::Instant)
            }
            (Layout::Choice, Value::String(name)) => {
                choice_at(field.kind.choices().unwrap_or_default(), name).map_or_else(odd, Self::Choice)
            }
            (Layout::Choices, Value::Array(names)) => {
                let choices = field.kind.choices().unwrap_or_default();
                names
                    .iter()
                    .map(|name| choice_at(choices, name.as_str()?))
                    .collect::<Option<Arc<[u32]>>>()
                    .map_or_else(odd, Self::Choices)
            }
            (Layout::Links, Value::Array(ids)) => ids
                .iter()
                .map(|id| id.as_str()?.parse().ok())
                .collect::<Option<Arc<[RecordId]>>>()
                .map_or_else(odd, Self::Links),
            _ => odd(),
        }
    }

    /// The value as the Web API gives it; `None` for a blank cell.
    pub fn to_json(&self, field: &Field) -> Option<Value> {
        let choices = field.kind.choices().unwrap_or_default();
        let name = |at: u32| choices.get(at as usize).map(|c| Value::from(c.name.as_str()));
        Some(match self {
            Self::Blank => return None,
            Self::Text(text) => Value::from(text.as_str()),
            Self::Number(number) => json_number(*number),
            Self::Checked => Value::Bool(true),
            Self::Instant(ms) if field.kind.shows_date_only() => {
                let mut out = String::with_capacity(10);
                push_date(&mut out, *ms);
                Value::String(out)
            }
            Self::Instant(ms) => Value::String(instant_text(*ms)),
            Self::Choice(at) => name(*at)?,
            Self::Choices(list) => Value::Array(list.iter().filter_map(|at| name(*at)).collect()),
            Self::Links(ids) => Value::Array(ids.iter().map(|id| Value::String(id.to_string())).collect()),
            Self::Json(value) => Value::clone(value),
        })
    }

    /// The value as the store keeps it: as on the wire, but choices by id, so that renaming a
    /// choice touches no row.
    pub fn to_stored(&self, field: &Field) -> Option<Value> {
        let choices = field.kind.choices().unwrap_or_default();
        let id = |at: u32| choices.get(at as usize).map(|c| Value::String(c.id.to_string()));
        match self {
            // What is shown may become the time again.
            Self::Instant(ms) if field.kind.keeps_time() => Some(Value::String(instant_text(*ms))),
            Self::Choice(at) => id(*at),
            Self::Choices(list) => Some(Value::Array(list.iter().filter_map(|at| id(*at)).collect())),
            other => other.to_json(field),
        }
    }

    /// Reads what [`Cell::to_stored`] wrote.
    pub fn from_stored(field: &Field, value: &Value) -> Self {
        let choices = field.kind.choices().unwrap_or_default();
        // By id alone: a choice may be called like an odd value, or like the id of another one.
        let place = |id: &Value| {
            let id = id.as_str()?.parse().ok()?;
            choices.iter().position(|c| c.id == id).and_then(|at| u32::try_from(at).ok())
        };
        let odd = || Self::Json(Arc::new(value.clone()));
        match (field.kind.layout(), value) {
            (Layout::Choice, Value::String(_)) => place(value).map_or_else(odd, Self::Choice),
            (Layout::Choices, Value::Array(ids)) => {
                ids.iter().map(place).collect::<Option<Arc<[u32]>>>().map_or_else(odd, Self::Choices)
            }
            (Layout::Instant, Value::String(text)) if field.kind.keeps_time() => {
                parse_instant(text).map_or_else(odd, Self::Instant)
            }
            _ => Self::from_json(field, value),
        }
    }
}

/// The words a person would read in a JSON cell: names, file names, texts.
pub fn json_text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Bool(flag) => if *flag { "true" } else { "" }.to_owned(),
        Value::Array(items) => items.iter().map(json_text).collect::<Vec<_>>().join("; "),
        Value::Object(map) => {
            ["name", "filename", "text", "label", "value", "specialValue", "error", "email", "id"]
                .iter()
                .find_map(|key| map.get(*key).and_then(Value::as_str))
                .map_or_else(|| value.to_string(), str::to_owned)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn field(type_name: &str, options: Value) -> Field {
        Field::new("F", type_name, options.as_object().cloned()).unwrap()
    }

    #[test]
    fn every_value_comes_out_as_it_went_in() {
        let select = json!({"choices": [{"name": "a"}, {"name": "b"}]});
        let link = json!({"linkedTableId": "tblA1b2C3d4E5f6G7"});
        for (field, values) in [
            (field("singleLineText", json!({})), vec![json!("x"), json!(3), json!({"odd": [1]})]),
            (
                field("number", json!({"precision": 2})),
                vec![
                    json!(3),
                    json!(1.25),
                    json!(0),
                    json!({"specialValue": "NaN"}),
                    json!("12"),
                    json!(12345678901234567890u64),
                ],
            ),
            (field("checkbox", json!({})), vec![json!(true), json!("yes")]),
            (
                field("date", json!({})),
                vec![json!("2026-03-01"), json!(45678), json!("2026-03-01T10:00:00.000Z"), json!("soon")],
            ),
            (
                field("dateTime", json!({})),
                vec![json!("2026-03-01T08:15:00.000Z"), json!("1899-12-31T23:59:59.999Z")],
            ),
            (field("singleSelect", select.clone()), vec![json!("b"), json!("unknown")]),
            (field("multipleSelects", select), vec![json!(["b", "a"]), json!(["b", "zz"]), json!("b")]),
            (field("multipleRecordLinks", link), vec![json!(["recA1b2C3d4E5f6G7"]), json!(["nope"])]),
            (field("multipleAttachments", json!({})), vec![json!([{"id": "attA1b2C3d4E5f6G7", "url": "x"}])]),
            (
                field("formula", json!({"result": {"type": "number"}})),
                vec![json!(2.5), json!({"error": "#ERROR!"})],
            ),
            (field("hologram", json!({})), vec![json!([[[1]]])]),
        ] {
            for value in values {
                let cell = Cell::from_json(&field, &value);
                assert_eq!(cell.to_json(&field), Some(value.clone()), "{}", field.type_name);
                let stored = cell.to_stored(&field).unwrap();
                assert_eq!(Cell::from_stored(&field, &stored), cell, "{} {value}", field.type_name);
            }
            for blank in [json!(null), json!(""), json!([]), json!(false)] {
                let cell = Cell::from_json(&field, &blank);
                assert!(
                    cell.is_blank()
                        || field.kind == FieldType::Unknown && cell.to_json(&field) == Some(blank)
                );
            }
        }
    }

    #[test]
    fn json_cells_read_as_words() {
        assert_eq!(json_text(&json!([{"id": "x", "filename": "a.pdf"}, {"name": "Ada"}])), "a.pdf; Ada");
        assert_eq!(json_text(&json!({"error": "#ERROR!"})), "#ERROR!");
    }
}
