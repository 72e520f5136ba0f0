//! The audit log: every call once, and nothing in it can be changed unnoticed.

use std::process::Command;

use serde_json::{Value, json};

use crate::plans::{LAMP, goods, price};
use crate::support::{Client, Data};

const FLAGS: [&str; 6] =
    ["--allow-write", "--allow-delete", "--allow-audit", "--toolsets", "default,changes", "--no-daemon"];

/// A data directory whose log has lines, and its program ended.
fn with_lines() -> Data {
    let data = Data::with_shop();
    let mut client: Client = data.serve(&FLAGS).initialize();
    for n in 0..20 {
        client.structured("update_records", price(n));
        client.text("list_records", goods(json!({})));
    }
    client.refused("update_records", goods(json!({"records": "x"})));
    assert_eq!(client.finish().0, Some(0));
    data
}

/// Runs a statement on the database behind the program's back.
pub fn tamper(data: &Data, statement: &str) {
    let script =
        "import sqlite3, sys\nwith sqlite3.connect(sys.argv[1]) as store: store.executescript(sys.argv[2])";
    let store = data.path().join("tablewright.db");
    let done = Command::new("python3").args(["-c", script]).arg(store).arg(statement).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

fn verify(data: &Data) -> Value {
    let output = data.run(&["audit", "verify", "--json"]);
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(if answer["broken"].is_null() { 0 } else { 1 }), "{answer}");
    answer
}

#[test]
fn whatever_is_done_to_the_log_is_found() {
    for (what, statement, seq) in [
        ("an outcome", "UPDATE audit SET outcome = 'declined' WHERE seq = 20", 20),
        ("who", "UPDATE audit SET principal = 'token:eve' WHERE seq = 5", 5),
        ("a program", "UPDATE audit SET client = 'other' WHERE seq = 6", 6),
        ("when", "UPDATE audit SET at = at + 1 WHERE seq = 7", 7),
        ("what about", "UPDATE audit SET target = target || ' ' WHERE seq = 8", 8),
        ("parts pushed together", "UPDATE audit SET action = action || face, face = '' WHERE seq = 9", 9),
        ("a plan of nothing", "UPDATE audit SET plan = '' WHERE seq = 10", 10),
        ("a hash", "UPDATE audit SET hash = zeroblob(32) WHERE seq = 11", 11),
        ("no hash", "UPDATE audit SET hash = NULL WHERE seq = 11", 11),
        ("one removed", "DELETE FROM audit WHERE seq = 12", 12),
        ("the first removed", "DELETE FROM audit WHERE seq = 1", 1),
        ("the end removed", "DELETE FROM audit WHERE seq > 15", 16),
        (
            "two exchanged",
            "UPDATE audit SET seq = -1 WHERE seq = 13; UPDATE audit SET seq = 13 WHERE seq = 14;
             UPDATE audit SET seq = 14 WHERE seq = -1",
            13,
        ),
        (
            "one put in behind",
            "INSERT INTO audit (seq, at, principal, face, action, target, outcome, duration_us)
             SELECT 10000, at, principal, face, action, target, outcome, duration_us FROM audit WHERE seq = 3",
            10_000,
        ),
        (
            "the end removed and its place moved",
            "DELETE FROM audit WHERE seq > 15; UPDATE audit_chain SET last_seq = 15",
            15,
        ),
    ] {
        let data = with_lines();
        assert!(verify(&data)["lines"].as_u64().unwrap() > 40);
        tamper(&data, statement);
        assert_eq!(verify(&data)["broken"]["seq"], seq, "{what}");
    }
}

#[test]
fn an_anchor_outside_finds_a_chain_that_was_made_anew() {
    let data = with_lines();
    let printed = data.ok(&["audit", "verify"]);
    let anchor = printed.split("anchor: ").nth(1).unwrap().trim().to_owned();
    data.ok(&["audit", "verify", "--anchor", &anchor]);
    let (seq, _) = anchor.split_once(':').unwrap();
    let other = format!("{seq}:{}", "0".repeat(64));
    let refused = data.run(&["audit", "verify", "--anchor", &other]);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("not what the anchor says"));
    assert!(!data.run(&["audit", "verify", "--anchor", "x"]).status.success());
}

#[test]
fn lines_from_before_the_chain_stay_and_old_ones_go() {
    let data = with_lines();
    // As a version without a chain left it.
    tamper(&data, "UPDATE audit SET hash = NULL; DELETE FROM audit_chain");
    let mut client = data.serve(&FLAGS).initialize();
    client.structured("update_records", price(77));
    client.finish();
    let whole = verify(&data);
    assert!(whole["broken"].is_null() && whole["lines"].as_u64().unwrap() < 10, "{whole}");
    // The log keeps a year; the first lines are older now.
    let long_ago = "UPDATE audit SET at = 0 WHERE seq < 30";
    tamper(&data, long_ago);
    assert!(verify(&data)["broken"].is_null());
    let exported = data.ok(&["audit", "export"]);
    let first: Value = serde_json::from_str(exported.lines().next().unwrap()).unwrap();
    assert_eq!(first["seq"], 30);
    assert!(verify(&data)["broken"].is_null());
}

#[test]
fn those_who_may_can_ask_it() {
    let data = with_lines();
    let mut client = data.serve(&FLAGS).initialize();
    let writes = client.structured("query_audit_log", json!({"tool": "update_records", "limit": 3}));
    let line = &writes["lines"][0];
    assert_eq!(
        (&line["outcome"], &line["by"], &line["client"]),
        (&json!("invalid_arguments"), &json!("local"), &json!("test/1"))
    );
    let older =
        client.structured("query_audit_log", json!({"tool": "update_records", "before": writes["next"]}));
    assert_eq!(older["lines"].as_array().unwrap().len(), 18);
    let about = client.structured("query_audit_log", json!({"about": LAMP, "outcome": "ok", "limit": 1}));
    assert_eq!(about["lines"][0]["records"], json!([LAMP]));
    assert!(client.refused("query_audit_log", json!({"limit": 0})).contains("1 to 500"));
    let shop = Data::with_shop();
    let mut other = shop.serve(&["--toolsets", "all", "--no-daemon"]).initialize();
    assert!(!other.tools().contains(&"query_audit_log".to_owned()));
}

#[test]
fn anchors_are_written_down_by_themselves() {
    let data = Data::with_shop();
    let file = data.path().join("anchors.txt");
    let run = |to: i64| {
        let words: Vec<&str> = ["serve"].into_iter().chain(FLAGS).collect();
        let mut command = data.command(&words);
        command.env("TABLEWRIGHT_AUDIT_ANCHOR_FILE", &file);
        let mut client = Client::start(command).initialize();
        client.structured("update_records", price(to));
        assert_eq!(client.finish().0, Some(0));
    };
    run(1);
    run(2);
    let text = std::fs::read_to_string(&file).unwrap();
    let numbers: Vec<i64> =
        text.lines().map(|line| line.split(':').next().unwrap().parse().unwrap()).collect();
    assert!(numbers.len() >= 2 && numbers.is_sorted(), "{text}");
    let name = file.display().to_string();
    let looked: Value =
        serde_json::from_str(&data.ok(&["audit", "verify", "--json", "--anchors", &name])).unwrap();
    assert_eq!(looked["anchors"], json!({"given": numbers.len(), "same": numbers.len(), "older": 0}));
    // Whoever makes the whole log anew makes another one.
    tamper(&data, "DELETE FROM audit; DELETE FROM audit_chain");
    (0..20).for_each(run);
    assert!(verify(&data)["broken"].is_null());
    let refused = data.run(&["audit", "verify", "--anchors", &name]);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("not what the anchor says"));
    let wrong = data.run(&["audit", "verify", "--anchors", "/nowhere"]);
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("/nowhere"));
}

#[test]
fn reads_leave_no_line_where_the_settings_say_so() {
    let data = Data::with_shop();
    let words: Vec<&str> = ["serve"].into_iter().chain(FLAGS).collect();
    let mut command = data.command(&words);
    command.env("TABLEWRIGHT_AUDIT_READS", "false");
    let mut client = Client::start(command).initialize();
    client.text("list_records", goods(json!({})));
    client.refused("get_records", goods(json!({"records": ["recNobody00000000"]})));
    client.structured("update_records", price(7));
    let lines = client.structured("query_audit_log", json!({}));
    let told: Vec<&Value> = lines["lines"].as_array().unwrap().iter().map(|line| &line["tool"]).collect();
    // What goes wrong has one all the same.
    assert_eq!(told[..2], [&json!("update_records"), &json!("get_records")], "{lines}");
    assert!(!told.contains(&&json!("list_records")), "{lines}");
}
