//! The `formula` commands of the real binary.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::support::{Data, program, root};

fn formula(args: &[&str]) -> Output {
    Command::new(program()).arg("formula").args(args).stdin(Stdio::null()).output().unwrap()
}

fn batch(input: &str) -> Vec<Value> {
    let mut child = Command::new(program())
        .args(["formula", "batch"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_owned();
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_line_in_is_a_line_out_in_order() {
    let given = std::fs::read_to_string(root().join("tests/cases/formula/cases.jsonl")).unwrap();
    let answers = batch(&given);
    let ids = given.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["id"].clone());
    assert!(ids.eq(answers.iter().map(|answer| answer["id"].clone())));
    for (line, answer) in given.lines().zip(&answers) {
        let wanted = &serde_json::from_str::<Value>(line).unwrap()["expected"];
        let failed = answer.get("error").is_some() || answer["value"].get("specialValue").is_some();
        assert_eq!(failed, wanted.get("error").is_some(), "{answer}");
        let error = &answer["error"];
        assert!(error.is_null() || error["kind"] == "value" && error["span"]["end"].is_u64(), "{answer}");
    }
}

#[test]
fn each_kind_of_outcome_has_its_shape() {
    let lines = [
        json!({"id": 1, "formula": "{A} * 2", "fields": {"A": {"type": "number", "value": 4}}, "now": null}),
        json!({"id": "x", "formula": "{A} & \"!\"", "fields": {"A": "bare text"}}),
        json!({"id": 3, "formula": "1 / 0"}),
        json!({"id": 4, "formula": "0 / 0"}),
        json!({"id": 5, "formula": "1 +"}),
        json!({"id": 6, "formula": "IF({D}, YEAR({D}) + VALUE(\"x\"))", "fields": {"D": {"type": "date", "value": "2026-01-31"}}}),
        json!({"id": 7, "formula": "TODAY()", "now": "2026-01-31T10:00:00Z"}),
        json!({"id": 8, "formula": "NOW()", "now": "soon"}),
        json!({"id": 9}),
        json!({"id": 10, "formula": "{L}", "fields": {"L": {"type": "multipleLookupValues", "value": [1, null, "a"]}}}),
    ];
    let mut input: String = lines.iter().map(|line| format!("{line}\n")).collect();
    input.push_str("\n{not json\n");
    let answers = batch(&input);
    assert_eq!(answers.len(), 11, "a blank line is no line");
    assert_eq!(answers[0], json!({"id": 1, "value": 8}));
    assert_eq!(answers[1], json!({"id": "x", "value": "bare text!"}));
    assert_eq!(answers[2], json!({"id": 3, "value": {"specialValue": "Infinity"}}));
    assert_eq!(answers[3], json!({"id": 4, "value": {"specialValue": "NaN"}}));
    assert_eq!(
        (&answers[4]["error"]["kind"], &answers[4]["error"]["code"]),
        (&json!("rejected"), &json!("unexpected_token"))
    );
    // The part to blame is VALUE("x"), not the whole formula.
    assert_eq!(answers[5]["error"]["span"], json!({"start": 20, "end": 30}));
    assert_eq!(answers[5]["error"]["code"], "no_digits");
    assert_eq!(answers[6]["value"], "2026-01-31T00:00:00.000Z");
    assert_eq!((&answers[7]["id"], &answers[8]["id"]), (&json!(8), &json!(9)), "bad lines keep their ids");
    for (at, answer) in answers.iter().enumerate().skip(7).filter(|(at, _)| *at != 9) {
        assert_eq!(answer["error"]["kind"], "rejected", "{at}: {answer}");
    }
    assert_eq!(answers[9]["value"], json!([1, null, "a"]));
}

#[test]
fn commands_check_explain_lay_out_and_list() {
    let fields = r#"{"Price": {"type": "number", "value": 12}, "Due": {"type": "date"}}"#;
    let good = formula(&["check", "IF({Price} > 10, \"dear\")", "--fields", fields]);
    assert!(good.status.success() && text(&good).contains("valid; the result is text"));
    let warned = formula(&["check", "DATETIME_FORMAT({Due}, \"HH:MM\")", "--fields", fields, "--json"]);
    let warned: Value = serde_json::from_str(&text(&warned)).unwrap();
    assert_eq!(
        (&warned["valid"], &warned["problems"][0]["code"]),
        (&json!(true), &json!("suspicious_format"))
    );
    let bad = formula(&["check", "IFERROR({Prise}, (0)", "--fields", fields]);
    assert_eq!(bad.status.code(), Some(1));
    let said = text(&bad);
    assert!(
        said.contains("IF(ISERROR(")
            && said.contains("Did you mean \"Price\"")
            && said.contains("never closed")
    );
    assert_eq!(text(&formula(&["eval", "--formula", "{Price} / 5", "--fields", fields])).trim(), "2.4");
    let failed = formula(&["eval", "--formula", "1 + YEAR(\"x\")"]);
    assert!(String::from_utf8_lossy(&failed.stderr).contains("from \"YEAR"), "{failed:?}");
    let laid = text(&formula(&["format", "if( {a}>1 ,concatenate('it\\'s',\"x\"),{b})"]));
    assert_eq!(laid.trim(), r#"IF({a} > 1, CONCATENATE("it's", "x"), {b})"#);
    let said = text(&formula(&["explain", "IF({Price} >= 10, \"dear\", {Due})", "--fields", fields]));
    let said: Vec<&str> = said.lines().collect();
    assert_eq!(said[0], "a choice");
    assert_eq!(said[1], "  if: whether this holds");
    assert!(
        said[2].contains("the field \"Price\" (a number)") && said[3].contains("is at least: the number 10")
    );
    assert!(text(&formula(&["functions", "dateadd"])).contains("DATEADD(date, amount, unit)"));
    assert!(String::from_utf8_lossy(&formula(&["functions", "DATADD"]).stderr).contains("DATEADD"));
}

#[test]
fn a_table_is_evaluated_here_or_through_its_owner() {
    let data = Data::new();
    data.import(&root().join("tests/fixtures/orders.json"));
    let run = |args: &[&str]| {
        let mut all = vec!["formula", "eval", "--base", "Orders", "--table", "Orders", "--formula"];
        all.extend(args);
        data.ok(&all)
    };
    assert!(run(&["{Amount} + 1"]).contains("recOrder100000000  101"));
    let stats: Value = serde_json::from_str(&run(&["{Amount} + 1", "--stats", "--json"])).unwrap();
    assert!(stats["rows"] == 3 && stats["rowsPerSecond"].as_f64().unwrap() > 0.0);
    let client = data.serve(&[]);
    client.initialize();
    assert!(run(&["{Label}"]).contains("Ada: Open"));
    let refused =
        data.run(&["formula", "eval", "--base", "Orders", "--table", "Orders", "--formula", "{Amont}"]);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("Did you mean \"Amount\""));
}
