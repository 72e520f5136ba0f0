//! Cells as the Web API gives them, read as values.

use bumpalo::Bump;
use serde_json::Value as Json;
use tablewright_core::model::FieldType;
use tablewright_core::model::cell::json_text;

use crate::fault::Fault;
use crate::moment::parse_lenient;
use crate::rows::collect;
use crate::value::Value;

/// A cell's value inside formulas, from what the Web API gives for a field of this type.
pub fn json_value<'a>(kind: &FieldType, value: &'a Json, arena: &'a Bump) -> Value<'a> {
    match (kind, value) {
        (_, Json::Null) => Value::Blank,
        (_, Json::Object(map)) if map.contains_key("error") || map.contains_key("specialValue") => {
            by_shape(value, arena)
        }
        (FieldType::Checkbox, Json::Bool(false)) => Value::Blank,
        (
            FieldType::Date
            | FieldType::DateTime { .. }
            | FieldType::CreatedTime { .. }
            | FieldType::LastModifiedTime { .. },
            Json::String(text),
        ) => parse_lenient(text).map_or(Value::Text(text), |ms| Value::Date(ms, None)),
        (FieldType::Formula { result: Some(result), .. } | FieldType::Rollup(_, Some(result)), value) => {
            json_value(result, value, arena)
        }
        // Files read as one text, as published formulas take them apart.
        (FieldType::Attachments, Json::Array(files)) => {
            let files: Vec<String> = files.iter().map(file).collect();
            Value::Text(arena.alloc_str(&files.join(",")))
        }
        (kind, Json::Number(number)) if kind.is_text() => Value::Text(arena.alloc_str(&number.to_string())),
        (kind, Json::Bool(truth)) if kind.is_text() => Value::Text(if *truth { "true" } else { "" }),
        _ => by_shape(value, arena),
    }
}

/// A file as formulas see it: `name (url)`.
fn file(value: &Json) -> String {
    match (value.get("filename").and_then(Json::as_str), value.get("url").and_then(Json::as_str)) {
        (Some(name), Some(url)) => format!("{name} ({url})"),
        _ => json_text(value),
    }
}

/// A value by what it looks like.
pub fn by_shape<'a>(value: &'a Json, arena: &'a Bump) -> Value<'a> {
    match value {
        Json::Null => Value::Blank,
        Json::Bool(truth) => Value::Bool(*truth),
        Json::Number(number) => Value::Number(number.as_f64().unwrap_or(f64::NAN)),
        Json::String(text) => Value::Text(text),
        Json::Array(items) => {
            Value::List(collect(arena, items.iter().map(|item| by_shape(item, arena)), items.len()))
        }
        Json::Object(map) if map.contains_key("error") => Value::Error(Fault::FieldError),
        Json::Object(map) => match map.get("specialValue").and_then(Json::as_str) {
            Some("Infinity") => Value::Number(f64::INFINITY),
            Some("-Infinity") => Value::Number(f64::NEG_INFINITY),
            Some(_) => Value::Number(f64::NAN),
            None if map.contains_key("filename") => Value::Text(arena.alloc_str(&file(value))),
            None => Value::Text(arena.alloc_str(&json_text(value))),
        },
    }
}
