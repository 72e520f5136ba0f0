//! Whether a value fits a field, and what it becomes.

use std::sync::Arc;

use ecow::EcoString;
use jiff::civil::{Date, DateTime};
use jiff::tz::{Offset, TimeZone};
use serde_json::{Map, Value, json};
use tablewright_core::model::cell::{json_number, parse_instant};
use tablewright_core::model::{AttachmentId, Cell, Field, FieldType, RecordId, UserId};
use tablewright_core::suggest::{did_you_mean, nearest};
use tablewright_core::{Code, Fault};

/// Longest text of a cell, in characters: Airtable's limit for long text.
pub(super) const MAX_TEXT: usize = 100_000;
/// Most items in a list cell.
const MAX_ITEMS: usize = 10_000;

/// A value that fits its field; names are resolved when it is applied.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Accepted {
    /// The cell.
    Cell(Cell),
    /// Choices by name; missing ones are created.
    Choices(Vec<String>),
    /// Linked records by id, or by name when typecast is on.
    Links(Vec<Target>),
}

/// A record to link to.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Target {
    Id(RecordId),
    Name(String),
}

fn shown(value: &Value) -> String {
    let text = value.to_string();
    if text.chars().count() > 60 { format!("{}…", text.chars().take(60).collect::<String>()) } else { text }
}

fn refuse(field: &Field, value: &Value, wants: &str) -> Fault {
    Fault::new(
        Code::InvalidValue,
        format!(
            "field {:?} ({}) cannot take {}; it takes {wants}.",
            field.name,
            field.type_name,
            shown(value)
        ),
    )
    .about(field.name.as_str())
}

/// Checks `value` for `field`. With `typecast`, converts what can be converted.
pub(super) fn accept(field: &Field, value: &Value, typecast: bool) -> Result<Accepted, Fault> {
    if field.kind.is_computed() {
        return Err(Fault::new(
            Code::ComputedField,
            format!(
                "field {:?} is computed ({}) and cannot be written; leave it out.",
                field.name, field.type_name
            ),
        )
        .about(field.name.as_str()));
    }
    match value {
        Value::Null | Value::Bool(false) => return Ok(Accepted::Cell(Cell::Blank)),
        Value::String(text) if text.is_empty() => return Ok(Accepted::Cell(Cell::Blank)),
        Value::Array(items) if items.is_empty() => return Ok(Accepted::Cell(Cell::Blank)),
        Value::Array(items) if items.len() > MAX_ITEMS => {
            return Err(Fault::new(
                Code::LimitExceeded,
                format!(
                    "field {:?}: a cell holds at most {MAX_ITEMS} items, not {}.",
                    field.name,
                    items.len()
                ),
            ));
        }
        _ => {}
    }
    let cell = match &field.kind {
        kind if kind.is_text() => text(field, value, typecast)?,
        FieldType::Number { .. }
        | FieldType::Currency { .. }
        | FieldType::Percent { .. }
        | FieldType::Duration { .. } => number(field, value, typecast)?,
        FieldType::Rating { max } => rating(field, value, *max, typecast)?,
        FieldType::Checkbox => checkbox(field, value, typecast)?,
        FieldType::Date => date(field, value, typecast)?,
        FieldType::DateTime { time_zone } => date_time(field, value, time_zone, typecast)?,
        FieldType::SingleSelect(_) => return select(field, value, typecast),
        FieldType::MultipleSelects(_) => return selects(field, value, typecast),
        FieldType::Links(_) => return links(field, value, typecast),
        FieldType::SingleCollaborator => Cell::Json(Arc::new(person(field, value)?)),
        FieldType::MultipleCollaborators => match value {
            Value::Array(items) => {
                let people = items.iter().map(|item| person(field, item));
                Cell::Json(Arc::new(Value::Array(people.collect::<Result<_, _>>()?)))
            }
            _ => {
                return Err(refuse(
                    field,
                    value,
                    "a list of people, such as [{\"email\": \"ada@example.org\"}]",
                ));
            }
        },
        FieldType::Attachments => attachments(field, value)?,
        FieldType::Barcode => match value {
            Value::Object(map)
                if map.get("text").is_some_and(Value::is_string) && all_texts(map, &["text", "type"]) =>
            {
                Cell::Json(Arc::new(value.clone()))
            }
            Value::String(code) if typecast => Cell::Json(Arc::new(json!({ "text": code }))),
            _ => return Err(refuse(field, value, "an object with a text, such as {\"text\": \"0012345\"}")),
        },
        _ => return Err(refuse(field, value, "nothing")),
    };
    Ok(Accepted::Cell(cell))
}

fn text(field: &Field, value: &Value, typecast: bool) -> Result<Cell, Fault> {
    let text: EcoString = match value {
        Value::String(text) => text.as_str().into(),
        Value::Number(_) | Value::Bool(_) if typecast => value.to_string().into(),
        _ => {
            return Err(refuse(
                field,
                value,
                if typecast { "a text" } else { "a text; set typecast to convert numbers" },
            ));
        }
    };
    if text.len() > MAX_TEXT && text.chars().count() > MAX_TEXT {
        return Err(Fault::new(
            Code::LimitExceeded,
            format!("field {:?}: a text holds at most {MAX_TEXT} characters.", field.name),
        ));
    }
    Ok(Cell::text(text))
}

/// Reads `1,234.50`, `$ 12`, `12.3%` and `1:30` as people write them.
fn loose_number(field: &Field, text: &str) -> Option<f64> {
    if matches!(field.kind, FieldType::Duration { .. }) && text.contains(':') {
        let parts: Vec<f64> = text.split(':').map(|p| p.trim().parse().ok()).collect::<Option<_>>()?;
        // h:mm, or h:mm:ss.
        return match parts[..] {
            [hours, minutes] => Some(hours * 3600.0 + minutes * 60.0),
            [hours, minutes, seconds] => Some(hours * 3600.0 + minutes * 60.0 + seconds),
            _ => None,
        };
    }
    let percent = text.trim().ends_with('%');
    let bare: String = text
        .chars()
        .filter(|c| !c.is_whitespace() && !matches!(c, ',' | '%' | '$' | '€' | '£' | '¥'))
        .collect();
    let number = bare.parse().ok().filter(|n: &f64| n.is_finite())?;
    // Read as hundredths: dividing 12.3 by 100 does not give 0.123.
    Some(if percent { format!("{bare}e-2").parse().unwrap_or(number / 100.0) } else { number })
}

fn number(field: &Field, value: &Value, typecast: bool) -> Result<Cell, Fault> {
    let number = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) if typecast => loose_number(field, text),
        _ => None,
    };
    match number {
        Some(number) if number.is_finite() => Ok(Cell::Number(number)),
        _ if typecast => Err(refuse(field, value, "a number, such as 12.5")),
        _ => Err(refuse(field, value, "a number, such as 12.5; set typecast to convert a text")),
    }
}

fn rating(field: &Field, value: &Value, max: u8, typecast: bool) -> Result<Cell, Fault> {
    match number(field, value, typecast) {
        Ok(Cell::Number(0.0)) => Ok(Cell::Blank),
        Ok(Cell::Number(n)) if n.fract() == 0.0 && (1.0..=f64::from(max)).contains(&n) => Ok(Cell::Number(n)),
        _ => Err(refuse(field, value, &format!("a whole number from 1 to {max}"))),
    }
}

fn checkbox(field: &Field, value: &Value, typecast: bool) -> Result<Cell, Fault> {
    match value {
        Value::Bool(true) => Ok(Cell::Checked),
        Value::String(text) if typecast => match text.trim().to_lowercase().as_str() {
            "true" | "1" | "yes" | "checked" => Ok(Cell::Checked),
            "false" | "0" | "no" | "unchecked" => Ok(Cell::Blank),
            _ => Err(refuse(field, value, "true or false")),
        },
        Value::Number(n) if typecast => Ok(if n.as_f64() == Some(0.0) { Cell::Blank } else { Cell::Checked }),
        _ => Err(refuse(field, value, "true or false")),
    }
}

/// Dates as people write them; read only with typecast.
fn loose_date(text: &str) -> Option<Date> {
    ["%Y-%m-%d", "%Y/%m/%d", "%m/%d/%Y", "%B %d, %Y", "%b %d, %Y", "%d %B %Y", "%d %b %Y"]
        .iter()
        .find_map(|format| Date::strptime(format, text.trim()).ok())
}

fn midnight(date: Date) -> Option<i64> {
    Some(Offset::UTC.to_timestamp(date.at(0, 0, 0, 0)).ok()?.as_millisecond())
}

fn date(field: &Field, value: &Value, typecast: bool) -> Result<Cell, Fault> {
    let day = value.as_str().and_then(|text| {
        let iso = text.get(..10).filter(|_| text.len() == 10 || parse_instant(text).is_some());
        iso.and_then(|day| day.parse::<Date>().ok()).or_else(|| typecast.then(|| loose_date(text)).flatten())
    });
    day.and_then(midnight).map(Cell::Instant).ok_or_else(|| refuse(field, value, "a date as YYYY-MM-DD"))
}

fn date_time(field: &Field, value: &Value, zone: &str, typecast: bool) -> Result<Cell, Fault> {
    let wants = "an ISO time, such as 2026-03-01T08:15:00.000Z";
    let text = value.as_str().ok_or_else(|| refuse(field, value, wants))?;
    if let Some(ms) = parse_instant(text).filter(|_| text.len() > 10) {
        return Ok(Cell::Instant(ms));
    }
    // Without an offset the time is read in the field's zone.
    let zone = match zone {
        "utc" | "client" => TimeZone::UTC,
        name => TimeZone::get(name).map_err(|_| {
            let why = format!("field {:?} has an unknown time zone {name:?}; send a time with an offset, such as 2026-03-01T08:15:00Z.", field.name);
            Fault::new(Code::InvalidValue, why)
        })?,
    };
    in_zone(text, zone, typecast).map(Cell::Instant).ok_or_else(|| refuse(field, value, wants))
}

/// A day or a time without an offset, in a time zone; milliseconds since the epoch. With `typecast` days
/// are read as people write them.
fn in_zone(text: &str, zone: TimeZone, typecast: bool) -> Option<i64> {
    let local: Option<DateTime> = text
        .parse()
        .ok()
        .or_else(|| text.parse::<Date>().ok().map(|day| day.at(0, 0, 0, 0)))
        .or_else(|| typecast.then(|| loose_date(text)).flatten().map(|day| day.at(0, 0, 0, 0)));
    Some(local?.to_zoned(zone).ok()?.timestamp().as_millisecond())
}

/// The same in a zone by its IANA name.
pub fn local_instant(text: &str, zone: &str, typecast: bool) -> Option<i64> {
    in_zone(text, TimeZone::get(zone).ok()?, typecast)
}

fn choice_name(field: &Field, value: &Value, typecast: bool) -> Result<String, Fault> {
    let name = match value {
        Value::String(name) => name.as_str().trim_matches(|c: char| typecast && c.is_whitespace()).to_owned(),
        Value::Number(_) if typecast => value.to_string(),
        _ => return Err(refuse(field, value, "the name of a choice")),
    };
    let choices = field.kind.choices().unwrap_or_default();
    if typecast || choices.iter().any(|c| c.name == name || c.id.to_string() == name) {
        return Ok(name);
    }
    let near = nearest(&name, choices.iter().map(|c| c.name.as_str()));
    let hint = if near.is_empty() {
        let names: Vec<&str> = choices.iter().take(12).map(|c| c.name.as_str()).collect();
        format!(" Choices: {}{}.", names.join(", "), if choices.len() > 12 { ", …" } else { "" })
    } else {
        did_you_mean(&near)
    };
    Err(Fault::new(
        Code::UnknownChoice,
        format!("field {:?} has no choice {name:?}; set typecast to create it.{hint}", field.name),
    )
    .about(name))
}

fn select(field: &Field, value: &Value, typecast: bool) -> Result<Accepted, Fault> {
    let name = choice_name(field, value, typecast)?;
    Ok(if name.is_empty() { Accepted::Cell(Cell::Blank) } else { Accepted::Choices(vec![name]) })
}

fn selects(field: &Field, value: &Value, typecast: bool) -> Result<Accepted, Fault> {
    let names: Vec<String> = match value {
        Value::Array(items) => {
            items.iter().map(|item| choice_name(field, item, typecast)).collect::<Result<_, _>>()?
        }
        Value::String(text) if typecast => {
            text.split(',').map(str::trim).filter(|t| !t.is_empty()).map(str::to_owned).collect()
        }
        _ => return Err(refuse(field, value, "a list of choice names, such as [\"A\", \"B\"]")),
    };
    let mut unique: Vec<String> = Vec::with_capacity(names.len());
    for name in names {
        if !name.is_empty() && !unique.contains(&name) {
            unique.push(name);
        }
    }
    Ok(Accepted::Choices(unique))
}

fn links(field: &Field, value: &Value, typecast: bool) -> Result<Accepted, Fault> {
    let wants = "a list of record ids, such as [\"rec…\"]; set typecast to link by name";
    let target = |item: &Value| -> Result<Target, Fault> {
        let text = match item {
            Value::String(text) => text.trim(),
            Value::Object(map) => map.get("id").and_then(Value::as_str).unwrap_or_default(),
            _ => "",
        };
        match tablewright_core::model::Reference::record(text) {
            Some(id) => Ok(Target::Id(id)),
            None if typecast && !text.is_empty() => Ok(Target::Name(text.to_owned())),
            None => Err(refuse(field, item, wants)),
        }
    };
    let mut targets = match value {
        Value::Array(items) => items.iter().map(target).collect::<Result<Vec<_>, _>>()?,
        Value::String(_) if typecast => vec![target(value)?],
        _ => return Err(refuse(field, value, wants)),
    };
    let mut seen = Vec::with_capacity(targets.len());
    targets.retain(|target| {
        let new = !seen.contains(target);
        seen.push(target.clone());
        new
    });
    Ok(Accepted::Links(targets))
}

/// True when the keys of an object are among these, and all values are texts or null.
fn all_texts(map: &Map<String, Value>, keys: &[&str]) -> bool {
    map.iter().all(|(key, value)| keys.contains(&key.as_str()) && (value.is_string() || value.is_null()))
}

/// A person by id or email, as an object or as the id alone. What else clients send along, such as
/// a picture, is not kept.
fn person(field: &Field, value: &Value) -> Result<Value, Fault> {
    match value {
        Value::String(id) if UserId::is(id) => Ok(json!({ "id": id })),
        Value::Object(map) => {
            let kept = ["id", "email", "name"].into_iter().filter_map(|key| {
                Some((key.to_owned(), map.get(key).filter(|value| value.is_string())?.clone()))
            });
            let kept: Map<String, Value> = kept.collect();
            let is_id = |id: &Value| id.as_str().is_some_and(UserId::is);
            match kept.get("id").map(is_id) {
                Some(true) => Ok(Value::Object(kept)),
                None if kept.contains_key("email") => Ok(Value::Object(kept)),
                _ => Err(refuse(field, value, "a person, such as {\"email\": \"ada@example.org\"}")),
            }
        }
        _ => Err(refuse(field, value, "a person, such as {\"email\": \"ada@example.org\"}")),
    }
}

fn attachments(field: &Field, value: &Value) -> Result<Cell, Fault> {
    let wants =
        "a list of files, such as [{\"url\": \"https://example.org/a.pdf\", \"filename\": \"a.pdf\"}]";
    let items = value.as_array().ok_or_else(|| refuse(field, value, wants))?;
    let mut kept = Vec::with_capacity(items.len());
    for item in items {
        let map = item.as_object().ok_or_else(|| refuse(field, item, wants))?;
        // Those named by URL have been taken in before they come here.
        if !map.get("id").and_then(Value::as_str).is_some_and(AttachmentId::is) {
            return Err(refuse(field, item, wants));
        }
        kept.push(item.clone());
    }
    Ok(Cell::Json(Arc::new(Value::Array(kept))))
}

/// The cell of a value that fits its field without being converted; `None` for what does not, for
/// nothing, and for choices and links, which are told by name.
pub(crate) fn natural_cell(field: &Field, value: &Value) -> Option<Cell> {
    match accept(field, value, false) {
        Ok(Accepted::Cell(cell)) if !cell.is_blank() => Some(cell),
        _ => None,
    }
}

/// A number cell as JSON, for fields the engine fills in.
pub(super) fn auto(number: i64) -> Cell {
    Cell::Number(json_number(number as f64).as_f64().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(kind: &str, options: Value) -> Field {
        Field::new("F", kind, options.as_object().cloned()).unwrap()
    }

    fn cell(kind: &str, options: Value, value: Value, typecast: bool) -> Result<Cell, Fault> {
        accept(&field(kind, options), &value, typecast).map(|accepted| match accepted {
            Accepted::Cell(cell) => cell,
            other => panic!("{other:?}"),
        })
    }

    #[test]
    fn types_are_strict_and_typecast_converts() {
        let none = json!({});
        assert!(cell("number", none.clone(), json!("12"), false).is_err());
        for (text, number) in [("12", 12.0), ("$1,234.50", 1234.5), ("50%", 0.5), ("12.3%", 0.123)] {
            assert_eq!(cell("currency", none.clone(), json!(text), true).unwrap(), Cell::Number(number));
        }
        assert_eq!(cell("duration", none.clone(), json!("1:30"), true).unwrap(), Cell::Number(5400.0));
        assert!(cell("number", none.clone(), json!("twelve"), true).is_err());
        assert!(cell("rating", json!({"max": 3}), json!(4), false).is_err());
        assert!(cell("rating", json!({"max": 3}), json!(2.5), false).is_err());
        assert_eq!(cell("checkbox", none.clone(), json!("yes"), true).unwrap(), Cell::Checked);
        assert!(cell("checkbox", none.clone(), json!("yes"), false).is_err());
        assert_eq!(cell("singleLineText", none.clone(), json!(5), true).unwrap(), Cell::text("5"));
        assert!(cell("singleLineText", none, json!(5), false).is_err());
    }

    #[test]
    fn dates_are_read_in_the_fields_zone() {
        let day = Cell::Instant(1_772_323_200_000);
        assert_eq!(cell("date", json!({}), json!("2026-03-01"), false).unwrap(), day);
        assert_eq!(cell("date", json!({}), json!("2026-03-01T23:30:00Z"), false).unwrap(), day);
        assert_eq!(cell("date", json!({}), json!("March 1, 2026"), true).unwrap(), day);
        assert!(cell("date", json!({}), json!("2026-02-30"), true).is_err());
        let oslo = json!({"timeZone": "Europe/Oslo"});
        assert_eq!(
            cell("dateTime", oslo, json!("2026-03-01T01:00:00"), false).unwrap(),
            Cell::Instant(1_772_323_200_000)
        );
    }

    #[test]
    fn refusals_say_what_to_send() {
        let options = json!({"choices": [{"name": "Open"}, {"name": "Closed"}]});
        let fault = accept(&field("singleSelect", options.clone()), &json!("open"), false).unwrap_err();
        assert!(fault.message.contains("\"Open\"") && fault.message.contains("typecast"), "{fault}");
        let fault = accept(&field("formula", json!({})), &json!("x"), true).unwrap_err();
        assert_eq!(fault.code, Code::ComputedField);
        let accepted = accept(&field("multipleSelects", options), &json!("Open, New"), true).unwrap();
        assert_eq!(accepted, Accepted::Choices(vec!["Open".into(), "New".into()]));
    }
}
