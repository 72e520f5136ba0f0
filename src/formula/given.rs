//! A record given as JSON: for the command line, the lab and tests.

use serde_json::{Map, Value as Json};
use tablewright_core::model::FieldType;

use crate::fault::Fault;
use crate::json::json_value;
use crate::kinds::Kinds;
use crate::problem::Problem;
use crate::program::compile;
use crate::rows::GivenRow;
use crate::scope::{Scope, ScopeField, kinds_of};
use crate::value::Value;
use crate::work::Work;

/// The id of a record given by hand.
const GIVEN_ID: &str = "recGivenByHand000";

/// What a formula gives for a record.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// A value, as JSON.
    Value(Json),
    /// Airtable would refuse to save the formula.
    Rejected(Vec<Problem>),
    /// The formula evaluates to an error, from the part at the span.
    Error(Fault, crate::problem::Span),
}

/// Fields and the one row they make.
#[derive(Debug, Default)]
pub struct Given {
    /// The fields.
    pub scope: Scope,
    /// Their values.
    pub row: GivenRow,
}

impl Given {
    /// Reads `{"Name": {"type", "options"?, "value"}}`. Without a type, text is meant.
    pub fn read(fields: &Map<String, Json>, now: i64) -> Result<Self, String> {
        let mut given = Self::default();
        given.row.id = GIVEN_ID.to_owned();
        given.row.created = Some(now);
        given.row.modified = Some(now);
        let empty = Map::new();
        let arena = bumpalo::Bump::new();
        for (name, field) in fields {
            let described =
                field.as_object().filter(|map| map.contains_key("type") || map.contains_key("value"));
            let (type_name, options, value) = match described {
                Some(map) => (
                    map.get("type").and_then(Json::as_str).unwrap_or("singleLineText"),
                    map.get("options").and_then(Json::as_object).unwrap_or(&empty),
                    map.get("value").unwrap_or(&Json::Null),
                ),
                None => ("singleLineText", &empty, field),
            };
            // A link needs no table here: it is the names it gives.
            let kind = match type_name {
                "multipleRecordLinks" => FieldType::MultipleCollaborators,
                type_name => FieldType::parse(type_name, options)
                    .map_err(|f| f.within(format_args!("field {name:?}")).message)?,
            };
            let value = json_value(&kind, value, &arena);
            let kinds = match &kind {
                // Without a result type, what the value is decides.
                FieldType::Formula { result: None, .. } | FieldType::Rollup(_, None) => kinds_of_value(value),
                kind => kinds_of(kind),
            };
            given.scope.add(ScopeField {
                name: name.clone(),
                id: None,
                kinds,
                choices: None,
                items: Kinds::ANY,
                masked: false,
            });
            given.row.cells.push(value.own());
        }
        Ok(given)
    }

    /// What the formula gives for the row.
    pub fn evaluate(&self, formula: &str, now: i64) -> Outcome {
        let (program, _) = match compile(formula, &self.scope) {
            Ok(compiled) => compiled,
            Err(problems) => return Outcome::Rejected(problems),
        };
        let arena = bumpalo::Bump::new();
        let work = Work::new(&arena, now);
        match program.row(&self.row, 0, &work) {
            Value::Error(fault) => Outcome::Error(fault, program.blame(&self.row, 0, &work)),
            // A formula's own conditions show as numbers.
            Value::Bool(truth) => Outcome::Value(Json::from(u8::from(truth))),
            value => Outcome::Value(value.json()),
        }
    }
}

fn kinds_of_value(value: Value<'_>) -> Kinds {
    match value {
        Value::Number(_) => Kinds::NUM_OR_BLANK,
        Value::Bool(_) => Kinds::BOOL.or(Kinds::BLANK),
        Value::Text(_) => Kinds::TEXT_OR_BLANK,
        Value::Date(..) => Kinds::DATE_OR_BLANK,
        Value::List(_) => Kinds::LIST.or(Kinds::BLANK),
        Value::Blank | Value::Error(_) => Kinds::ANY,
    }
}
