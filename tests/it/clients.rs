//! Real MCP clients against the real program.

use std::process::Command;

use serde_json::{Value, json};

use crate::support::{Data, client_tools, program, root, run_client, serve_http};

/// What lets a client use every tool.
const EVERYTHING: [&str; 6] =
    ["--toolsets", "all", "--allow-write", "--allow-delete", "--allow-schema", "--allow-admin"];

fn python(script: &str) -> Command {
    let mut command = Command::new(client_tools().join("venv/bin/python"));
    command.arg(root().join("tests/clients").join(script));
    command
}

#[test]
fn the_python_sdk_lists_and_calls_every_tool_over_pipes() {
    for mode in ["legacy", "2026-07-28", "auto"] {
        let data = Data::with_shop();
        let mut command = python("every_tool.py");
        command.args(["--mode", mode, "stdio", program(), "serve"]).args(EVERYTHING);
        command.arg("--data-dir").arg(data.path());
        let said = run_client(command);
        assert!(said.contains("42 tools called"), "{mode}: {said}");
    }
}

#[test]
fn the_python_sdk_lists_and_calls_every_tool_over_http() {
    for mode in ["legacy", "2026-07-28", "auto"] {
        let data = Data::with_shop();
        let server = serve_http(&data, &EVERYTHING);
        let mut command = python("every_tool.py");
        command.args(["--mode", mode, "http", &format!("http://{}/mcp", server.address)]);
        command.env("TABLEWRIGHT_TOKEN", &server.token);
        let said = run_client(command);
        assert!(said.contains("42 tools called"), "{mode}: {said}");
    }
}

#[test]
fn the_python_sdk_lists_and_calls_every_tool_over_sse() {
    for mode in ["legacy", "auto"] {
        let data = Data::with_shop();
        let server = serve_http(&data, &EVERYTHING);
        let mut command = python("every_tool.py");
        command.args(["--mode", mode, "sse", &format!("http://{}/sse", server.address)]);
        command.env("TABLEWRIGHT_TOKEN", &server.token);
        let said = run_client(command);
        assert!(said.contains("42 tools called over protocol 2025-11-25"), "{mode}: {said}");
    }
}

/// The Inspector's command line: with the command that starts the server, or its URL.
fn inspect(target: &[&str], method: &[&str]) -> Command {
    let tools = client_tools();
    let bin = tools.join("node_modules/.bin");
    let mut command = Command::new(bin.join("node"));
    command.arg(bin.join("mcp-inspector").canonicalize().unwrap()).arg("--cli");
    let path = std::env::join_paths(
        [bin].into_iter().chain(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())),
    );
    command.env("PATH", path.unwrap()).env("HOME", tools);
    command.args(target).args(method);
    command
}

/// One working call of each tool.
fn every_call() -> Vec<(&'static str, Vec<String>)> {
    let shop = ["base=Shop".to_owned(), "table=Goods".to_owned()];
    let with =
        |more: &[&str]| shop.iter().cloned().chain(more.iter().map(|m| (*m).to_owned())).collect::<Vec<_>>();
    let text = r#"{"name":"Name","type":"singleLineText"}"#;
    vec![
        ("list_bases", vec![]),
        ("describe_base", vec!["base=Shop".into()]),
        ("list_records", with(&["limit=2"])),
        ("get_records", with(&["records=[\"recLamp0000000000\"]"])),
        ("search_records", vec!["base=Shop".into(), "query=lamp".into()]),
        ("create_records", with(&["records=[{\"Name\":\"made\"}]"])),
        ("update_records", with(&["records=[{\"id\":\"recLamp0000000000\",\"fields\":{\"Stock\":1}}]"])),
        ("upsert_records", with(&["merge_on=[\"Name\"]", "records=[{\"Name\":\"Lamp\",\"Stock\":2}]"])),
        ("delete_records", with(&["records=[\"recDesk0000000000\"]"])),
        ("check_formula", with(&["formula={Price} * 2"])),
        ("evaluate_formula", with(&["formula={Price} * 2", "trace=true"])),
        ("explain_formula", with(&["field=Worth"])),
        (
            "upload_attachment",
            with(&["record=recLamp0000000000", "field=Files", "text=oiled", "filename=care.md"]),
        ),
        ("get_attachment", with(&["record=recLamp0000000000", "field=Files"])),
        ("assess_formula_impact", with(&["field=Price", "change=delete"])),
        ("add_comment", with(&["record=recLamp0000000000", "text=bright"])),
        ("list_comments", with(&["record=recLamp0000000000"])),
        ("explain_access", with(&["verb=read", "field=Price"])),
        ("list_members", vec![]),
        ("create_token", vec!["name=made".into()]),
        ("revoke_token", vec!["token=made".into()]),
        ("get_sync_status", vec![]),
        ("list_changes", vec!["base=Shop".into(), "limit=2".into()]),
        ("get_record_history", with(&["record=recLamp0000000000"])),
        ("wait_for_changes", vec!["base=Shop".into(), "timeout_seconds=0".into()]),
        (
            "create_base",
            vec!["name=Other".into(), format!("tables=[{{\"name\":\"T\",\"fields\":[{text}]}}]")],
        ),
        ("create_table", vec!["base=Other".into(), "name=U".into(), format!("fields=[{text}]")]),
        ("update_table", vec!["base=Other".into(), "table=U".into(), "name=V".into()]),
        ("create_field", with(&["field={\"name\":\"New\",\"type\":\"number\"}"])),
        ("update_field", with(&["field=New", "name=Newer"])),
        ("delete_field", with(&["field=Newer"])),
        ("create_view", with(&["name=Dear", "filter={Price} > 20"])),
        ("update_view", with(&["view=Dear", "sort=[{\"field\":\"Price\"}]"])),
        ("delete_view", with(&["view=Dear"])),
        ("delete_table", vec!["base=Other".into(), "table=V".into(), "confirm=V".into()]),
        ("delete_base", vec!["base=Other".into(), "confirm=Other".into()]),
    ]
}

fn inspect_all(target: &[&str]) {
    let listed: Value =
        serde_json::from_str(&run_client(inspect(target, &["--strict", "--method", "tools/list"]))).unwrap();
    let names: Vec<&str> =
        listed["tools"].as_array().unwrap().iter().map(|t| t["name"].as_str().unwrap()).collect();
    // A base that lives here has no copy to bring up to date; plans and changes have numbers of their own;
    // an invitation is accepted over HTTP alone, and the user of this machine is no member.
    let others = ["sync_base", "get_plan", "apply_plan", "undo_changes", "invite_member", "connect_airtable"];
    assert!(others.iter().all(|tool| names.contains(tool)));
    assert_eq!(names.len(), every_call().len() + others.len());
    for (tool, arguments) in every_call() {
        assert!(names.contains(&tool));
        let mut method = vec!["--method", "tools/call", "--tool-name", tool];
        for argument in &arguments {
            method.extend(["--tool-arg", argument]);
        }
        let result: Value = serde_json::from_str(&run_client(inspect(target, &method))).unwrap();
        assert_ne!(result["isError"], json!(true), "{tool}: {result}");
        assert!(result["content"][0]["text"].as_str().is_some_and(|t| !t.is_empty()), "{tool}: {result}");
    }
}

#[test]
fn the_inspector_lists_and_calls_every_tool_over_pipes() {
    let data = Data::with_shop();
    let directory = data.path().display().to_string();
    inspect_all(&[&[program(), "serve"][..], &EVERYTHING, &["--data-dir", &directory]].concat());
}

#[test]
fn the_inspector_lists_and_calls_every_tool_over_http() {
    let data = Data::with_shop();
    let server = serve_http(&data, &EVERYTHING);
    let header = format!("Authorization: Bearer {}", server.token);
    inspect_all(&[&format!("http://{}/mcp", server.address), "--transport", "http", "--header", &header]);
}

#[test]
fn the_inspector_lists_and_calls_tools_over_sse() {
    let data = Data::with_shop();
    let server = serve_http(&data, &[]);
    let header = format!("Authorization: Bearer {}", server.token);
    let url = format!("http://{}/sse", server.address);
    let target = [url.as_str(), "--transport", "sse", "--header", &header];
    assert!(run_client(inspect(&target, &["--method", "tools/list"])).contains("list_records"));
    let call =
        ["--method", "tools/call", "--tool-name", "list_records", "--tool-arg", "base=Shop", "--tool-arg"];
    assert!(run_client(inspect(&target, &[&call[..], &["table=Goods"]].concat())).contains("Lamp"));
}
