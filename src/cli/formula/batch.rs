//! `formula batch`: a line in, a line out.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};

use serde::Deserialize;
use serde_json::{Map, Value, json};
use tablewright_formula::Problem;
use tablewright_formula::given::{Given, Outcome};

use super::given::moment;

/// Longest line `batch` reads, in bytes.
const MAX_LINE: u64 = 10 * 1024 * 1024;

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
pub(super) fn run() -> anyhow::Result<()> {
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
    let read: Result<Value, _> = serde_json::from_str(text);
    // The id comes first, so that whatever else is wrong can be told apart.
    let id = read.as_ref().ok().and_then(|line| line.get("id")).cloned().unwrap_or_default();
    let line: Line = match read.and_then(serde_json::from_value) {
        Ok(line) => line,
        Err(error) => return bad_line(id, "bad_line", &format!("the line cannot be read: {error}")),
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
