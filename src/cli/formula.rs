//! `formula`: check, evaluate, explain and lay out formulas.

mod batch;
mod given;
mod table;

use serde_json::{Value, json};
use tablewright_formula::{Function, ResultType, Scope, explain, resolve, syntax};

use super::args::{Against, Formula, Global};
use crate::exit::{Exit, Failed};
use crate::output::say;
use given::{given, refuse};

/// Runs one of the commands.
pub async fn run(global: &Global, command: Formula) -> anyhow::Result<()> {
    match command {
        Formula::Check { against, formula } => check(global, &against, &formula).await,
        Formula::Eval(eval) => table::eval(global, eval).await,
        Formula::Explain { against, formula } => {
            let scope = scope(global, &against).await?;
            let (tree, mut problems) = syntax::parse(&formula);
            let facts = resolve(&tree, &scope, &mut problems);
            refuse(&problems)?;
            let explained = explain(&tree, &facts);
            if global.json { say(json!(explained)) } else { say(explained.lines(1000)) }
        }
        Formula::Format { formula } => {
            let (tree, problems) = syntax::parse(&formula);
            refuse(&problems)?;
            say(syntax::pretty(&tree))
        }
        Formula::Functions { name } => functions(global, name.as_deref()),
        Formula::Batch => tokio::task::spawn_blocking(batch::run).await?,
    }
}

async fn scope(global: &Global, against: &Against) -> anyhow::Result<Scope> {
    match (&against.base, &against.table) {
        (Some(base), Some(table)) => table::scope(global, base, table).await,
        _ => Ok(given(against.fields.as_deref(), 0)?.scope),
    }
}

async fn check(global: &Global, against: &Against, formula: &str) -> anyhow::Result<()> {
    let scope = scope(global, against).await?;
    let (problems, result) = match tablewright_formula::compile(formula, &scope) {
        Ok((program, problems)) => (problems, Some(program.result())),
        Err(problems) => (problems, None),
    };
    if global.json {
        say(
            json!({ "valid": result.is_some(), "result": result.map(ResultType::as_str), "problems": problems }),
        )?;
    } else {
        for problem in &problems {
            say(problem)?;
        }
        if let Some(result) = result {
            say(format_args!("valid; the result is {}", result.as_str()))?;
        }
    }
    match result {
        Some(_) => Ok(()),
        None => Err(Failed::with(Exit::Failure, "the formula is refused")),
    }
}

fn functions(global: &Global, name: Option<&str>) -> anyhow::Result<()> {
    let wanted = match name {
        None => Function::all().collect(),
        Some(name) => vec![Function::named(name).ok_or_else(|| {
            let near = tablewright_core::suggest::nearest(name, Function::all().map(|f| f.signature().name));
            let hint = tablewright_core::suggest::did_you_mean(&near);
            Failed::with(Exit::Failure, format_args!("there is no function {name:?}.{hint}"))
        })?],
    };
    if global.json {
        let all: Vec<Value> = wanted
            .iter()
            .map(|f| f.signature())
            .map(|s| json!({"name": s.name, "group": s.group, "shape": s.shape(), "meaning": s.meaning, "example": s.example, "result": s.result}))
            .collect();
        return say(json!(all));
    }
    for function in wanted {
        let signature = function.signature();
        say(format_args!("{:44} {}", signature.shape(), signature.meaning))?;
        if name.is_some() {
            say(format_args!("\n  {} = {}", signature.example, signature.result))?;
        }
    }
    Ok(())
}
