//! What is given on the command line: fields, a moment, and a formula that may be refused.

use serde_json::{Map, Value};
use tablewright_core::clock::Clock as _;
use tablewright_core::model::cell::parse_instant;
use tablewright_engine::clock::SystemClock;
use tablewright_formula::Problem;
use tablewright_formula::given::Given;

use crate::exit::{Exit, Failed};

/// Fails with the problems that make Airtable refuse a formula.
pub(super) fn refuse(problems: &[Problem]) -> anyhow::Result<()> {
    let errors: Vec<String> = problems.iter().filter(|p| p.is_error()).map(ToString::to_string).collect();
    if errors.is_empty() { Ok(()) } else { Err(Failed::with(Exit::Failure, errors.join("\n"))) }
}

/// The moment NOW() means.
pub(super) fn moment(now: Option<&str>) -> anyhow::Result<i64> {
    match now {
        None => Ok(SystemClock.now_ms()),
        Some(text) => parse_instant(text)
            .ok_or_else(|| Failed::with(Exit::Failure, format_args!("{text:?} is not an ISO time."))),
    }
}

/// The fields given on the command line.
pub(super) fn given(fields: Option<&str>, now: i64) -> anyhow::Result<Given> {
    let fields: Map<String, Value> = serde_json::from_str(fields.unwrap_or("{}"))
        .map_err(|e| Failed::with(Exit::Failure, format_args!("--fields is not a JSON object: {e}")))?;
    Given::read(&fields, now).map_err(|e| Failed::with(Exit::Failure, e))
}
