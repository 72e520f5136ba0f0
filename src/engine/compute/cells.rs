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

/// Appends the values of a batch to the column of a field.
pub(super) fn append(column: &mut Column, field: &Field, lane: &Lane<'_>, len: usize) {
    let done = match field.kind.layout() {
        Layout::Number => numbers(lane, len).is_some_and(|all| column.append_numbers(all)),
        Layout::Text => texts(lane, len).is_some_and(|all| column.append_texts(all)),
        Layout::Instant => instants(lane, len).is_some_and(|all| column.append_instants(all)),
        _ => false,
    };
    if !done {
        (0..len).for_each(|row| column.push(cell(field, lane.at(row))));
    }
}

/// The batch as numbers; nothing when one of its values is something else.
fn numbers(lane: &Lane<'_>, len: usize) -> Option<Vec<f64>> {
    let number = |value: Value<'_>| match value {
        Value::Number(number) if number.is_finite() => Some(number),
        Value::Bool(truth) => Some(f64::from(u8::from(truth))),
        Value::Blank => Some(f64::from_bits(BLANK_NUMBER)),
        _ => None,
    };
    match lane {
        Lane::Numbers(all) => {
            let odd = all.iter().fold(false, |odd, n| odd | !(n.is_finite() | (n.to_bits() == BLANK_NUMBER)));
            (!odd).then(|| all.to_vec())
        }
        Lane::Truths(all) => Some(all.iter().map(|truth| f64::from(u8::from(*truth))).collect()),
        Lane::Values(all) => all.iter().map(|value| number(*value)).collect(),
        other => (0..len).map(|row| number(other.at(row))).collect(),
    }
}

fn texts(lane: &Lane<'_>, len: usize) -> Option<Vec<EcoString>> {
    (0..len)
        .map(|row| match lane.at(row) {
            Value::Text(text) => Some(EcoString::from(text)),
            Value::Blank => Some(EcoString::new()),
            _ => None,
        })
        .collect()
}

fn instants(lane: &Lane<'_>, len: usize) -> Option<Vec<i64>> {
    (0..len)
        .map(|row| match lane.at(row) {
            Value::Date(ms, _) => Some(ms),
            Value::Blank => Some(BLANK_INSTANT),
            _ => None,
        })
        .collect()
}
