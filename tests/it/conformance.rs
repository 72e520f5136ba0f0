//! The official conformance suite against the program and against a fixture server.

#![expect(deprecated, reason = "the protocol has deprecated sampling and logging, and still scores them")]

mod asking;
mod content;
mod fixture;
mod listing;
mod rounds;
mod tasks;

use std::process::Command;

use crate::support::{Data, client_tools, root, run_client};

/// Runs the suite; what differs from `tests/conformance.yaml` fails.
fn conforms(target: &str, url: &str) {
    let tools = client_tools();
    let mut command = Command::new(tools.join("node_modules/.bin/node"));
    command.arg(root().join("tests/clients/conformance.mjs")).arg(tools).args([target, url]);
    let said = run_client(command);
    for set in ["2025-11-25", "2026-07-28"] {
        assert!(said.contains(&format!("{target} {set}: ")) && said.contains("not as listed: 0"), "{said}");
    }
}

#[test]
fn the_program_conforms() {
    let data = Data::with_shop();
    // The suite can send no token.
    let mut open = data.serve(&["--http", "127.0.0.1:0", "--no-auth"]);
    let url = loop {
        let line = open.error_line();
        if let Some((_, url)) = line.split_once("serving MCP on ") {
            break url.to_owned();
        }
    };
    conforms("program", &url);
}

#[test]
fn the_http_entry_conforms_with_the_tools_of_the_suite_behind_it() {
    let fixture = fixture::start();
    conforms("fixture", &fixture.url);
}
