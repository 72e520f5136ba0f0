//! What MCP has besides tools, used by real clients: resources, prompts, completion, subscriptions,
//! progress and cancellation, over every transport and in both eras.

use std::process::Command;

use crate::support::{Data, client_tools, program, root, run_client, serve_http};

const FLAGS: [&str; 5] = ["--toolsets", "all", "--allow-write", "--allow-delete", "--allow-schema"];

fn workshop() -> Data {
    let data = Data::new();
    data.import(&root().join("tests/fixtures/workshop.json"));
    data
}

fn python(mode: &str) -> Command {
    let mut command = Command::new(client_tools().join("venv/bin/python"));
    command.arg("-B").arg(root().join("tests/clients/mcp_surface.py")).args(["--mode", mode]);
    command
}

fn typescript(package: &str) -> Command {
    let mut command = Command::new(client_tools().join("node_modules/.bin/node"));
    command.arg(root().join("tests/clients/mcp_surface.mjs")).arg(package);
    command.env("TEST_CLIENTS_DIR", client_tools());
    command
}

fn over_pipes(mut client: Command) {
    let data = workshop();
    client.args(["stdio", program(), "serve"]).args(FLAGS).arg("--data-dir").arg(data.path());
    passes(client);
}

fn over_http(mut client: Command, kind: &str, path: &str, flags: &[&str]) {
    let data = workshop();
    let server = serve_http(&data, &[&FLAGS[..], flags].concat());
    client.args([kind, &format!("http://{}{path}", server.address)]).env("TABLEWRIGHT_TOKEN", &server.token);
    passes(client);
}

fn passes(client: Command) {
    let said = run_client(client);
    assert!(said.contains("6 steps passed"), "{said}");
}

#[test]
fn the_python_sdk_uses_the_whole_surface_over_pipes() {
    for mode in ["legacy", "2026-07-28", "auto"] {
        over_pipes(python(mode));
    }
}

#[test]
fn the_python_sdk_uses_the_whole_surface_over_http() {
    for mode in ["legacy", "2026-07-28", "auto"] {
        over_http(python(mode), "http", "/mcp", &[]);
    }
}

#[test]
fn the_python_sdk_uses_the_whole_surface_over_sse() {
    over_http(python("legacy"), "sse", "/sse", &[]);
}

#[test]
fn the_typescript_sdks_use_the_whole_surface_over_pipes() {
    for package in ["sdk", "client-legacy", "client"] {
        over_pipes(typescript(package));
    }
}

#[test]
fn the_typescript_sdks_use_the_whole_surface_over_http() {
    for package in ["sdk", "client-legacy", "client"] {
        over_http(typescript(package), "http", "/mcp", &[]);
    }
}

#[test]
fn the_typescript_sdks_use_the_whole_surface_over_sse() {
    for package in ["sdk", "client-legacy"] {
        over_http(typescript(package), "sse", "/sse", &[]);
    }
}
