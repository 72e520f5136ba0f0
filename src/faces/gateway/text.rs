//! `cellFormat=string`: cells as a person sees them in Airtable.

use std::fmt::Write as _;

use serde_json::{Map, Value};
use tablewright_core::model::cell::json_text;
use tablewright_core::model::{Cell, Field, FieldType};
use tablewright_door::TableView;
use tablewright_formula::moment::{Format, Zone};

use super::params::Reader;

/// How the values of one field are shown.
enum Shown {
    /// As they are.
    Plain,
    /// With digits after the point.
    Number { precision: usize },
    /// With a sign before it and groups of three digits.
    Currency { precision: usize, symbol: String },
    /// A fraction in hundredths.
    Percent { precision: usize },
    /// Seconds as hours, minutes and what follows; digits of a second.
    Duration { seconds: bool, digits: usize },
    /// A day or a time in a format, in a zone.
    Instant { format: Format, zone: &'static Zone },
}

/// Writes the cells of one field as texts.
pub(super) struct CellText<'v> {
    view: &'v TableView,
    field: &'v Field,
    shown: Shown,
}

impl<'v> CellText<'v> {
    /// The texts of a field for a reader.
    pub(super) fn new(view: &'v TableView, field: &'v Field, reader: Reader) -> Self {
        let empty = Map::new();
        let options = field.options.as_ref().unwrap_or(&empty);
        Self { view, field, shown: Shown::of(&field.kind, options, reader) }
    }

    /// Appends the text of a cell; nothing for a blank one.
    pub(super) fn push(&self, out: &mut String, cell: &Cell) {
        match cell {
            Cell::Blank => {}
            Cell::Text(text) => out.push_str(text),
            Cell::Number(number) => self.shown.push_number(out, *number),
            Cell::Checked => out.push_str("checked"),
            Cell::Instant(ms) => self.shown.push_instant(out, *ms),
            Cell::Choice(_) => self.view.push_text(out, self.field, cell),
            Cell::Choices(list) => {
                let one =
                    |out: &mut String, at: &u32| self.view.push_text(out, self.field, &Cell::Choice(*at));
                push_joined(out, list.iter(), one);
            }
            Cell::Links(ids) => {
                let one = |out: &mut String, id: &_| self.view.push_linked_name(out, self.field, id);
                push_joined(out, ids.iter(), one);
            }
            Cell::Json(value) => self.push_json(out, value),
        }
    }

    fn push_json(&self, out: &mut String, value: &Value) {
        match value {
            Value::Array(items) => push_joined(out, items.iter(), |out, item| self.push_json(out, item)),
            Value::Number(number) => match number.as_f64() {
                Some(number) => self.shown.push_number(out, number),
                None => {
                    let _ = write!(out, "{number}");
                }
            },
            Value::Bool(true) => out.push_str("checked"),
            Value::String(text) => match self.shown.instant_of(text) {
                Some(ms) => self.shown.push_instant(out, ms),
                None => out.push_str(text),
            },
            Value::Object(map) => match (text_of(map, "filename"), text_of(map, "url")) {
                (Some(name), Some(url)) => {
                    let _ = write!(out, "{name} ({url})");
                }
                // Of a text that was made up only the text is shown.
                _ if map.contains_key("isStale") => out.push_str(text_of(map, "value").unwrap_or_default()),
                _ => out.push_str(&json_text(value)),
            },
            Value::Null | Value::Bool(false) => {}
        }
    }
}

fn text_of<'m>(map: &'m Map<String, Value>, key: &str) -> Option<&'m str> {
    map.get(key)?.as_str()
}

fn push_joined<T>(out: &mut String, items: impl Iterator<Item = T>, mut push: impl FnMut(&mut String, T)) {
    let mut between = false;
    for item in items {
        if between {
            out.push_str(", ");
        }
        between = true;
        push(out, item);
    }
}

/// The type and options a computed field says its values have.
fn result_of(options: &Map<String, Value>) -> Option<(FieldType, Map<String, Value>)> {
    let result = options.get("result")?.as_object()?;
    let inner = result.get("options").and_then(Value::as_object).cloned().unwrap_or_default();
    let kind = FieldType::parse(text_of(result, "type")?, &inner).ok()?;
    Some((kind, inner))
}

impl Shown {
    fn of(kind: &FieldType, options: &Map<String, Value>, reader: Reader) -> Self {
        match kind {
            FieldType::Number { precision } => Self::Number { precision: (*precision).into() },
            FieldType::Currency { precision, symbol } => {
                Self::Currency { precision: (*precision).into(), symbol: symbol.clone() }
            }
            FieldType::Percent { precision } => Self::Percent { precision: (*precision).into() },
            FieldType::Duration { format } => {
                let digits = format.rsplit_once('.').map_or(0, |(_, digits)| digits.len().min(3));
                Self::Duration { seconds: format.contains("ss"), digits }
            }
            FieldType::Date => Self::day(options, reader),
            FieldType::DateTime { time_zone } => Self::time(options, time_zone, reader),
            FieldType::Formula { .. }
            | FieldType::Rollup(..)
            | FieldType::Lookup(_)
            | FieldType::CreatedTime { .. }
            | FieldType::LastModifiedTime { .. } => match result_of(options) {
                Some((kind, inner)) if !has_result(&kind) => Self::of(&kind, &inner, reader),
                _ if kind.shows_date_only() => Self::day(options, reader),
                _ if kind.layout() == tablewright_core::model::cell::Layout::Instant => {
                    Self::time(options, "client", reader)
                }
                _ => Self::Plain,
            },
            _ => Self::Plain,
        }
    }

    fn day(options: &Map<String, Value>, reader: Reader) -> Self {
        let format = Format::new(date_format(options), reader.locale);
        // A day is its midnight in UTC, whoever reads it.
        Self::Instant { format, zone: Zone::utc() }
    }

    fn time(options: &Map<String, Value>, zone: &str, reader: Reader) -> Self {
        let time = options.get("timeFormat").and_then(|format| format.get("name")).and_then(Value::as_str);
        let time = if time == Some("24hour") { "HH:mm" } else { "h:mma" };
        let format = Format::new(&format!("{} {time}", date_format(options)), reader.locale);
        let zone = match zone {
            "client" => reader.zone,
            "utc" => Zone::utc(),
            name => Zone::iana(name).unwrap_or(reader.zone),
        };
        Self::Instant { format, zone }
    }

    fn push_number(&self, out: &mut String, number: f64) {
        let _ = match self {
            Self::Number { precision } => write!(out, "{number:.precision$}"),
            Self::Percent { precision } => write!(out, "{:.precision$}%", number * 100.0),
            Self::Currency { precision, symbol } => {
                let digits = format!("{:.precision$}", number.abs());
                let sign = if number < 0.0 { "-" } else { "" };
                write!(out, "{sign}{symbol}{}", grouped(&digits))
            }
            Self::Duration { seconds, digits } => {
                push_duration(out, number, *seconds, *digits);
                Ok(())
            }
            Self::Plain | Self::Instant { .. } => {
                tablewright_formula::push_number(out, number);
                Ok(())
            }
        };
    }

    fn push_instant(&self, out: &mut String, ms: i64) {
        match self {
            Self::Instant { format, zone } => format.write(ms, zone, out),
            _ => tablewright_core::model::cell::push_instant(out, ms),
        }
    }

    /// An instant in a list of texts, when the field's values are instants.
    fn instant_of(&self, text: &str) -> Option<i64> {
        match self {
            Self::Instant { .. } => tablewright_core::model::cell::parse_instant(text),
            _ => None,
        }
    }
}

fn has_result(kind: &FieldType) -> bool {
    matches!(kind, FieldType::Formula { .. } | FieldType::Rollup(..) | FieldType::Lookup(_))
}

/// The format of the days of a field, in Moment's letters.
fn date_format(options: &Map<String, Value>) -> &str {
    let format = options.get("dateFormat").and_then(Value::as_object);
    let named = format.and_then(|format| text_of(format, "name"));
    match named {
        Some("local") => "l",
        Some("friendly") => "LL",
        Some("us") => "M/D/YYYY",
        Some("european") => "D/M/YYYY",
        Some("iso") => "YYYY-MM-DD",
        _ => format.and_then(|format| text_of(format, "format")).unwrap_or("l"),
    }
}

/// Puts a comma between groups of three digits before the point.
fn grouped(digits: &str) -> String {
    let (whole, rest) = digits.split_at(digits.find('.').unwrap_or(digits.len()));
    let mut out = String::with_capacity(digits.len() + whole.len() / 3);
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out.push_str(rest);
    out
}

fn push_duration(out: &mut String, number: f64, seconds: bool, digits: usize) {
    // Rounded once, in the smallest unit shown, so that 59.99 does not become 60.
    let unit = if seconds { 10f64.powi(digits as i32) } else { 1.0 / 60.0 };
    let units = (number.abs() * unit).round();
    if number < 0.0 && units > 0.0 {
        out.push('-');
    }
    let units = units as u64;
    let _ = if seconds {
        let per_second = 10u64.pow(digits as u32);
        let (whole, part) = (units / per_second, units % per_second);
        let (hours, minutes, whole) = (whole / 3_600, whole / 60 % 60, whole % 60);
        match digits {
            0 => write!(out, "{hours}:{minutes:02}:{whole:02}"),
            _ => write!(out, "{hours}:{minutes:02}:{whole:02}.{part:0digits$}"),
        }
    } else {
        write!(out, "{}:{:02}", units / 60, units % 60)
    };
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tablewright_formula::moment::Locale;

    use super::*;

    fn shown(type_name: &str, options: Value) -> Shown {
        let field = Field::new("F", type_name, options.as_object().cloned()).unwrap();
        let reader =
            Reader { zone: Zone::named("Europe/Berlin").unwrap(), locale: Locale::named("de").unwrap() };
        Shown::of(&field.kind, field.options.as_ref().unwrap_or(&Map::new()), reader)
    }

    fn number(type_name: &str, options: Value, number: f64) -> String {
        let mut out = String::new();
        shown(type_name, options).push_number(&mut out, number);
        out
    }

    #[test]
    fn numbers_have_their_signs_and_digits() {
        assert_eq!(number("number", json!({"precision": 2}), 1234.5), "1234.50");
        assert_eq!(
            number("currency", json!({"precision": 2, "symbol": "€"}), 1_234_567.891),
            "€1,234,567.89"
        );
        assert_eq!(number("currency", json!({"precision": 0, "symbol": "$"}), -999.6), "-$1,000");
        assert_eq!(number("percent", json!({"precision": 1}), 0.1234), "12.3%");
        assert_eq!(number("rating", json!({"max": 5}), 4.0), "4");
        let formula = json!({"formula": "1", "result": {"type": "percent", "options": {"precision": 0}}});
        assert_eq!(number("formula", formula, 0.5), "50%");
    }

    #[test]
    fn durations_follow_their_format() {
        for (format, seconds, text) in [
            ("h:mm", 5_400.0, "1:30"),
            ("h:mm", 89.0, "0:01"),
            ("h:mm:ss", 3_661.4, "1:01:01"),
            ("h:mm:ss.S", 59.96, "0:01:00.0"),
            ("h:mm:ss.SSS", 0.5, "0:00:00.500"),
            ("h:mm:ss", -61.0, "-0:01:01"),
        ] {
            assert_eq!(number("duration", json!({"durationFormat": format}), seconds), text, "{format}");
        }
    }

    #[test]
    fn dates_follow_format_zone_and_language() {
        let at = 1_772_352_900_000; // 2026-03-01T08:15:00Z
        let written = |type_name: &str, options: Value| {
            let mut out = String::new();
            shown(type_name, options).push_instant(&mut out, at);
            out
        };
        let iso = json!({"name": "iso", "format": "YYYY-MM-DD"});
        let day = json!({"name": "24hour", "format": "HH:mm"});
        let time = |zone: &str| json!({"dateFormat": iso, "timeFormat": day, "timeZone": zone});
        assert_eq!(written("dateTime", time("client")), "2026-03-01 09:15");
        assert_eq!(written("dateTime", time("utc")), "2026-03-01 08:15");
        assert_eq!(written("dateTime", time("America/New_York")), "2026-03-01 03:15");
        assert_eq!(written("date", json!({"dateFormat": {"name": "friendly"}})), "1. März 2026");
        assert_eq!(written("date", json!({"dateFormat": {"name": "european"}})), "1/3/2026");
        assert_eq!(
            written("createdTime", json!({"result": {"type": "date", "options": {"dateFormat": iso}}})),
            "2026-03-01"
        );
    }
}
