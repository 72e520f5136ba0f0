//! Every line of the case files gives the stated result, row by row and column by column.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde_json::{Map, Value, json};
use tablewright_core::model::cell::parse_instant;
use tablewright_formula::given::{Given, Outcome};
use tablewright_formula::{Bump, Problem, Work, compile};

use crate::support::root;

/// What NOW() means in cases that do not say.
const SOME_DAY: &str = "2026-11-23T12:00:00Z";

fn folder() -> PathBuf {
    root().join("tests/cases/formula")
}

fn read(path: &PathBuf) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// All cases: file, line.
fn all(rejected: bool) -> Vec<(String, Value)> {
    let mut files: Vec<PathBuf> = [folder(), folder().join("own")]
        .iter()
        .flat_map(|folder| std::fs::read_dir(folder).unwrap())
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "jsonl"))
        .filter(|path| path.file_name().is_some_and(|name| name == "rejected.jsonl") == rejected)
        .collect();
    files.sort();
    files
        .iter()
        .flat_map(|file| {
            let name = file.file_name().unwrap().to_string_lossy().into_owned();
            read(file).into_iter().map(move |case| (name.clone(), case))
        })
        .collect()
}

fn skipped() -> BTreeMap<String, String> {
    serde_json::from_str(&std::fs::read_to_string(folder().join("skip.json")).unwrap()).unwrap()
}

/// Equal as the case files mean it: 1 is true, nothing is "", numbers within a billionth.
fn same(got: &Value, wanted: &Value) -> bool {
    let number = |value: &Value| match value {
        Value::Bool(truth) => Some(f64::from(u8::from(*truth))),
        other => other.as_f64(),
    };
    let nothing = |value: &Value| value.is_null() || value.as_str() == Some("");
    match (got, wanted) {
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (a, b) if nothing(a) && nothing(b) => true,
        (a, b) => match (number(a), number(b)) {
            (Some(a), Some(b)) => (a - b).abs() <= 1e-9 * a.abs().max(b.abs()).max(1.0),
            _ => a == b,
        },
    }
}

/// The one check: what is wrong with the outcome of a case, if anything.
fn check(case: &Value) -> Result<(), String> {
    let now = parse_instant(case["now"].as_str().unwrap_or(SOME_DAY)).unwrap();
    let formula = case["formula"].as_str().unwrap();
    if let Some(kind) = case["kind"].as_str() {
        let fields: Map<String, Value> = case["fields"]
            .as_array()
            .unwrap()
            .iter()
            .map(|name| (name.as_str().unwrap().to_owned(), json!({"type": "singleLineText"})))
            .collect();
        return match Given::read(&fields, now)?.evaluate(formula, now) {
            Outcome::Rejected(problems) => match Problem::main(&problems) {
                Some(problem) if problem.code.as_str() == kind => Ok(()),
                other => Err(format!("rejected as {other:?}, not {kind}")),
            },
            other => Err(format!("not rejected: {other:?}")),
        };
    }
    let given = Given::read(case["fields"].as_object().unwrap(), now)?;
    let wanted = &case["expected"];
    let outcome = given.evaluate(formula, now);
    let error = wanted == &json!({"error": true});
    match &outcome {
        Outcome::Error(..) if error => {}
        Outcome::Value(value) if error && value.get("specialValue").is_some() => {}
        Outcome::Value(value) if !error && same(value, wanted) => {}
        other => return Err(format!("gave {other:?}, not {wanted}")),
    }
    by_column(&given, formula, now)
}

/// Column by column gives the same as row by row.
fn by_column(given: &Given, formula: &str, now: i64) -> Result<(), String> {
    let Ok((program, _)) = compile(formula, &given.scope) else { return Ok(()) };
    let arena = Bump::new();
    let work = Work::new(&arena, now);
    let row = program.row(&given.row, 0, &work).json();
    let column = program.rows(&given.row, 0, 1, &work).at(0).json();
    if row == column { Ok(()) } else { Err(format!("{row} by row, {column} by column")) }
}

#[test]
fn every_case_gives_the_stated_result() {
    let skipped = skipped();
    let mut wrong: Vec<String> = Vec::new();
    let mut still_wrong: BTreeSet<String> = BTreeSet::new();
    let cases: Vec<(String, Value)> = all(false).into_iter().chain(all(true)).collect();
    for (file, case) in &cases {
        let id = case["id"].as_str().unwrap();
        if let Err(why) = check(case) {
            if skipped.contains_key(id) {
                still_wrong.insert(id.to_owned());
            } else {
                wrong.push(format!("{file} {id}: {} {why}", case["formula"]));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {} cases:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
    let listed: BTreeSet<String> = skipped.into_keys().collect();
    assert_eq!(listed, still_wrong, "skip.json lists exactly the cases held to be wrong");
}

#[test]
fn nothing_is_skipped() {
    assert_eq!(skipped().len(), 0, "each skipped case needs a reason; change this count with it");
}

#[test]
fn cases_have_sources_and_errors_among_them() {
    let own = root().join("tests/cases/formula/own");
    let (mut count, mut errors, mut ids) = (0, 0, BTreeSet::new());
    for entry in std::fs::read_dir(own).unwrap() {
        for case in read(&entry.unwrap().path()) {
            assert!(case["source"].as_str().is_some_and(|source| source.len() > 3), "{case}");
            assert!(ids.insert(case["id"].as_str().unwrap().to_owned()), "{} is there twice", case["id"]);
            errors += usize::from(case["expected"] == json!({"error": true}) || case["kind"].is_string());
            count += 1;
        }
    }
    assert!(count >= 1_500 && errors >= 200, "{count} cases, {errors} of them errors");
}

#[test]
fn the_examples_of_the_reference_hold() {
    tablewright_formula::verify().unwrap();
}
