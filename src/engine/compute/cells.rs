//! Values of formulas as cells.

use std::sync::Arc;

use ecow::EcoString;
use serde_json::Value as Json;
use tablewright_core::model::cell::{BLANK_INSTANT, BLANK_NUMBER, Layout};
use tablewright_core::model::{Cell, Field};
use tablewright_formula::{Lane, Value};

use crate::base::Column;

/// The cell that holds a value in this field.
pub(super) fn cell(field: &Field, value: Value<'_>) -> Cell {
    match (field.kind.layout(), value) {
        (_, Value::Blank | Value::List([])) => Cell::Blank,
        (_, Value::Text("")) => Cell::Blank,
        (Layout::Text, Value::Text(text)) => Cell::text(text),
        (Layout::Number, Value::Number(number)) if number.is_finite() => Cell::Number(number),
        // Conditions are 1 and 0, as the Web API gives them.
        (Layout::Number, Value::Bool(truth)) => Cell::Number(f64::from(u8::from(truth))),
        (Layout::Check, Value::Bool(truth)) => {
            if truth {
                Cell::Checked
            } else {
                Cell::Blank
            }
        }
        (Layout::Instant, Value::Date(ms, _)) => Cell::Instant(ms),
        (_, value) => Cell::Json(Arc::new(value.json())),
    }
}

/// The cell of a lookup: its values one by one, as the Web API gives those of the source field.
pub(super) fn lookup(source: &Field, cells: impl Iterator<Item = Cell>) -> Cell {
    let mut values: Vec<Json> = Vec::new();
    for cell in cells {
        match cell.to_json(source) {
            Some(Json::Array(items)) => values.extend(items),
            Some(value) => values.push(value),
            None => values.push(Json::Null),
        }
    }
    if values.iter().all(Json::is_null) { Cell::Blank } else { Cell::Json(Arc::new(Json::Array(values))) }
}

/// The cell of a row that was not worked out, because that would have taken too much.
pub(super) fn refused() -> Cell {
    Cell::Json(Arc::new(serde_json::json!({ "error": "#ERROR!" })))
}

/// The bytes a value takes beside its place in a column, about.
fn room(value: Value<'_>) -> usize {
    match value {
        Value::Text(text) if text.len() > EcoString::INLINE_LIMIT => text.len(),
        Value::List(items) => items.iter().map(|item| 64 + room(*item)).sum(),
        _ => 0,
    }
}

/// Appends the values of a batch to the column of a field; the bytes they take beside it, about.
pub(super) fn append(column: &mut Column, field: &Field, lane: &Lane<'_>, len: usize) -> usize {
    let done = match field.kind.layout() {
        Layout::Number => numbers(lane, len).is_some_and(|all| column.append_numbers(all)).then_some(0),
        Layout::Instant => instants(lane, len).is_some_and(|all| column.append_instants(all)).then_some(0),
        Layout::Text => texts(lane, len).and_then(|all| {
            let long = all.iter().map(EcoString::len).filter(|len| *len > EcoString::INLINE_LIMIT);
            let taken = long.sum();
            column.append_texts(all).then_some(taken)
        }),
        _ => None,
    };
    if let Some(taken) = done {
        return taken;
    }
    (0..len).for_each(|row| column.push(cell(field, lane.at(row))));
    (0..len).map(|row| room(lane.at(row))).sum()
}

/// The batch as numbers; nothing when one of its values is something else.
fn numbers(lane: &Lane<'_>, len: usize) -> Option<Vec<f64>> {
    match lane {
        Lane::Numbers(all) => {
            let odd = all.iter().fold(false, |odd, n| odd | !(n.is_finite() | (n.to_bits() == BLANK_NUMBER)));
            return (!odd).then(|| all.to_vec());
        }
        Lane::Truths(all) => return Some(all.iter().map(|truth| f64::from(u8::from(*truth))).collect()),
        _ => {}
    }
    let mut numbers = Vec::with_capacity(len);
    for row in 0..len {
        numbers.push(match lane.at(row) {
            Value::Number(number) if number.is_finite() => number,
            Value::Bool(truth) => f64::from(u8::from(truth)),
            Value::Blank => f64::from_bits(BLANK_NUMBER),
            _ => return None,
        });
    }
    Some(numbers)
}

/// Texts kept for the next rows of a batch: branches give the same few texts again and again, and
/// a copy of one costs less than making it.
const KEPT: usize = 32;

fn texts(lane: &Lane<'_>, len: usize) -> Option<Vec<EcoString>> {
    let owned = |value: &Value<'_>| match value {
        Value::Text(text) => Some(EcoString::from(*text)),
        Value::Blank => Some(EcoString::new()),
        _ => None,
    };
    if let Lane::Choices(places, values, blank) = lane {
        let each = values.iter().map(owned).collect::<Option<Vec<_>>>()?;
        let blank = owned(blank)?;
        return Some(places.iter().map(|at| each.get(*at as usize).unwrap_or(&blank).clone()).collect());
    }
    match lane {
        Lane::Values(all) => kept_texts(all.iter().copied(), len),
        lane => kept_texts((0..len).map(|row| lane.at(row)), len),
    }
}

fn kept_texts<'a>(values: impl Iterator<Item = Value<'a>>, len: usize) -> Option<Vec<EcoString>> {
    let mut kept: [(*const u8, EcoString); KEPT] =
        std::array::from_fn(|_| (std::ptr::null(), EcoString::new()));
    let mut texts = Vec::with_capacity(len);
    let mut hits = 0;
    for value in values {
        texts.push(match value {
            Value::Blank => EcoString::new(),
            // Nothing came twice so far: nothing will.
            Value::Text(text) if hits == 0 && texts.len() > 4 * KEPT => EcoString::from(text),
            Value::Text(text) => {
                let place = &mut kept[(text.as_ptr() as usize / 8 + text.len()) % KEPT];
                if place.0 != text.as_ptr() || place.1.len() != text.len() {
                    *place = (text.as_ptr(), EcoString::from(text));
                } else {
                    hits += 1;
                }
                place.1.clone()
            }
            _ => return None,
        });
    }
    Some(texts)
}

fn instants(lane: &Lane<'_>, len: usize) -> Option<Vec<i64>> {
    let mut instants = Vec::with_capacity(len);
    for row in 0..len {
        instants.push(match lane.at(row) {
            Value::Date(ms, _) => ms,
            Value::Blank => BLANK_INSTANT,
            _ => return None,
        });
    }
    Some(instants)
}
