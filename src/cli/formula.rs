//! `formula`: check, evaluate, explain and lay out formulas, and run them by the line.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};

use clap::Subcommand;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tablewright_core::clock::Clock as _;
use tablewright_core::model::cell::parse_instant;
use tablewright_engine::clock::SystemClock;
use tablewright_formula::given::{Given, Outcome};
use tablewright_formula::{Function, Problem, ResultType, Scope, explain, resolve, syntax};

use super::args::Global;
use crate::exit::{Exit, Failed};
use crate::output::say;

/// Longest line `batch` reads, in bytes.
const MAX_LINE: u64 = 10 * 1024 * 1024;

/// What to do with a formula.
#[derive(Debug, Subcommand)]
pub enum Formula {
    /// Say what is wrong with a formula; exit code 1 when Airtable would refuse it.
    Check {
        #[command(flatten)]
        against: Against,
        /// The formula.
        formula: String,
    },
    /// Work a formula out: on given values, or over a table.
    Eval(Eval),
    /// Say in plain words what a formula does.
    Explain {
        #[command(flatten)]
        against: Against,
        /// The formula.
        formula: String,
    },
    /// Lay a formula out.
    Format {
        /// The formula.
        formula: String,
    },
    /// List the functions, or show one.
    Functions {
        /// Its name.
        name: Option<String>,
    },
    /// Read JSON lines `{"id","formula","fields":{"Name":{"type","options"?,"value"}},"now"}` on
    /// standard input and write one line each.
    Batch,
}

/// Which fields a formula may name.
#[derive(Debug, clap::Args)]
pub struct Against {
    /// Name, id or URL of the base whose fields the formula names.
    #[arg(long, requires = "table")]
    pub base: Option<String>,
    /// Its table.
    #[arg(long, requires = "base")]
    pub table: Option<String>,
    /// Fields as JSON: {"Name": {"type": "number", "value": 3}}.
    #[arg(long, value_name = "JSON", conflicts_with = "base")]
    pub fields: Option<String>,
}

/// Working a formula out.
#[derive(Debug, clap::Args)]
pub struct Eval {
    #[command(flatten)]
    pub against: Against,
    /// The formula.
    #[arg(long)]
    pub formula: String,
    /// The moment NOW() means, in ISO form; the clock's by default.
    #[arg(long, value_name = "ISO")]
    pub now: Option<String>,
    /// Over a table: print rows, rows per second and time instead of values.
    #[arg(long, requires = "base")]
    pub stats: bool,
    /// Over a table: how many values to print.
    #[arg(long, default_value_t = 10, value_name = "N")]
    pub limit: usize,
}

/// Runs one of the commands.
pub async fn run(global: &Global, command: Formula) -> anyhow::Result<()> {
    match command {
        Formula::Check { against, formula } => check(global, &against, &formula).await,
        Formula::Eval(eval) => super::formula_table::eval(global, eval).await,
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
        Formula::Batch => tokio::task::spawn_blocking(batch).await?,
    }
}

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

async fn scope(global: &Global, against: &Against) -> anyhow::Result<Scope> {
    match (&against.base, &against.table) {
        (Some(base), Some(table)) => super::formula_table::scope(global, base, table).await,
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

#[derive(Deserialize)]
struct Line {
    #[serde(default)]
    id: Value,
    formula: String,
    #[serde(default)]
    fields: Map<String, Value>,
    #[serde(default)]
    now: Option<String>,
}

/// One line in, one line out, in order.
fn batch() -> anyhow::Result<()> {
    let mut input = BufReader::new(std::io::stdin().lock());
    let mut output = std::io::BufWriter::new(std::io::stdout().lock());
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = (&mut input).take(MAX_LINE + 1).read_until(b'\n', &mut line)?;
        if read == 0 {
            break;
        }
        if line.last() != Some(&b'\n') && line.len() as u64 > MAX_LINE {
            skip_line(&mut input)?;
            writeln!(
                output,
                "{}",
                bad_line(Value::Null, "too_long", &format!("a line has at most {MAX_LINE} bytes"))
            )?;
            continue;
        }
        let text = String::from_utf8_lossy(&line);
        if text.trim().is_empty() {
            continue;
        }
        writeln!(output, "{}", answer(&text))?;
        // Whoever writes a line and waits for its answer gets it.
        if input.buffer().is_empty() {
            output.flush()?;
        }
    }
    output.flush()?;
    Ok(())
}

fn skip_line(input: &mut impl std::io::BufRead) -> std::io::Result<()> {
    loop {
        let held = input.fill_buf()?;
        let end = held.iter().position(|byte| *byte == b'\n');
        let length = end.map_or(held.len(), |at| at + 1);
        input.consume(length);
        if end.is_some() || length == 0 {
            return Ok(());
        }
    }
}

fn bad_line(id: Value, code: &str, message: &str) -> Value {
    json!({"id": id, "error": {"kind": "rejected", "code": code, "message": message, "span": null}})
}

fn answer(text: &str) -> Value {
    let line: Line = match serde_json::from_str(text) {
        Ok(line) => line,
        Err(error) => return bad_line(Value::Null, "bad_line", &format!("the line cannot be read: {error}")),
    };
    let now = match moment(line.now.as_deref()) {
        Ok(now) => now,
        Err(error) => return bad_line(line.id, "bad_line", &format!("now: {error}")),
    };
    let given = match Given::read(&line.fields, now) {
        Ok(given) => given,
        Err(error) => return bad_line(line.id, "bad_line", &error),
    };
    match given.evaluate(&line.formula, now) {
        Outcome::Value(value) => json!({"id": line.id, "value": value}),
        Outcome::Error(fault, span) => json!({"id": line.id, "error": {
            "kind": "value", "code": fault.code(), "message": fault.message(), "span": span}}),
        Outcome::Rejected(problems) => {
            let problem = Problem::main(&problems);
            json!({"id": line.id, "error": problem.map(|p| json!({
                "kind": "rejected", "code": p.code.as_str(),
                "message": match &p.fix { Some(fix) => format!("{} {fix}", p.message), None => p.message.clone() },
                "span": p.span}))})
        }
    }
}
