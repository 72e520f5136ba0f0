//! Formulas over the tables of a base.

use serde_json::Value;
use tablewright_core::model::Table;
use tablewright_formula::Scope;
use tablewright_formula::given::Outcome;

use super::given::{given, moment, refuse};
use crate::admin::Command;
use crate::cli::args::{Eval, Global};
use crate::cli::base::administer;
use crate::exit::{Exit, Failed};
use crate::output::{say, shown};

/// The fields of a table.
pub(super) async fn scope(global: &Global, base: &str, table: &str) -> anyhow::Result<Scope> {
    let command = Command::DescribeTable { base: base.to_owned(), table: table.to_owned() };
    let table: Table = serde_json::from_value(administer(global, command).await?)?;
    Ok(Scope::of_table(&table))
}

/// Works a formula out on given values, or over a table.
pub(super) async fn eval(global: &Global, eval: Eval) -> anyhow::Result<()> {
    let (Some(base), Some(table)) = (&eval.against.base, &eval.against.table) else {
        return on_values(&eval);
    };
    let now = eval.now.as_deref().map(|text| moment(Some(text))).transpose()?;
    let command = Command::EvaluateFormula {
        base: base.clone(),
        table: table.clone(),
        formula: eval.formula.clone(),
        now,
        limit: eval.limit,
        stats: eval.stats,
    };
    let found = administer(global, command).await?;
    if global.json {
        return say(&found);
    }
    if eval.stats {
        let per_second = found["rowsPerSecond"].as_f64().unwrap_or_default();
        let milliseconds = found["seconds"].as_f64().unwrap_or_default() * 1000.0;
        return say(format_args!(
            "{} rows in {milliseconds:.3} ms: {per_second:.0} rows/s (median of 5)",
            found["rows"]
        ));
    }
    for row in found["values"].as_array().into_iter().flatten() {
        let value = match &row["value"] {
            Value::Null => String::new(),
            Value::String(text) => shown(text),
            other => other.to_string(),
        };
        say(format_args!("{}  {value}", row["id"].as_str().unwrap_or_default()))?;
    }
    say(format_args!(
        "{} rows; the result is {}",
        found["rows"],
        found["result"].as_str().unwrap_or_default()
    ))
}

fn on_values(eval: &Eval) -> anyhow::Result<()> {
    let now = moment(eval.now.as_deref())?;
    match given(eval.against.fields.as_deref(), now)?.evaluate(&eval.formula, now) {
        Outcome::Value(value) => say(value),
        Outcome::Rejected(problems) => refuse(&problems),
        Outcome::Error(fault, span) => Err(Failed::with(
            Exit::Failure,
            format_args!("#ERROR! from {:?}: {fault}", span.of(&eval.formula)),
        )),
    }
}
