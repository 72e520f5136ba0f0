//! Dates beside Moment itself and patterns beside RE2 itself, on random cases.

use std::process::Command;

use crate::support::{client_tools, program, root, run_client};

/// Cases of each kind; the scripts take more by hand.
const CASES: &str = "1500";

#[test]
fn dates_agree_with_moment() {
    let tools = client_tools();
    let mut command = Command::new(tools.join("node_modules/.bin/node"));
    command.arg(root().join("tests/differential/dates.mjs")).arg(program()).arg(tools).arg(CASES);
    command.env("TZ", "UTC");
    let said = run_client(command);
    assert!(said.contains(", 0 differ") && said.contains("\"relative\":1500"), "{said}");
}

#[test]
fn patterns_agree_with_re2() {
    let mut command = Command::new(client_tools().join("venv/bin/python"));
    command.arg(root().join("tests/differential/patterns.py")).arg(program()).arg("6000");
    let said = run_client(command);
    assert!(said.contains("6000 of 6000 compared") && said.contains(", 0 differ"), "{said}");
}
