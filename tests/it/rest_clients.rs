//! Real clients of Airtable's REST API against the real program: only address and key differ.

use std::process::Command;

use crate::support::{Data, client_tools, root, run_client, serve_http};

fn workshop() -> Data {
    let data = Data::new();
    data.import(&root().join("tests/fixtures/workshop.json"));
    // The programs serve files and take notifications on loopback, and wait out penalties.
    let settings = "[fetch]\nallowed_private = [\"127.0.0.1\"]\n[gateway]\npenalty_seconds = 1\n";
    std::fs::write(data.path().join("settings.toml"), settings).unwrap();
    data
}

fn against(data: &Data, flags: &[&str], client: impl FnOnce(&str) -> Command) -> String {
    let settings = data.path().join("settings.toml").display().to_string();
    let mut all = vec!["--allow-write", "--allow-delete", "--allow-schema", "--config", &settings];
    all.extend(flags);
    let server = serve_http(data, &all);
    let mut command = client(&format!("http://{}", server.address));
    command.env("TABLEWRIGHT_TOKEN", &server.token).env("TEST_CLIENTS_DIR", client_tools());
    run_client(command)
}

/// Runs one section of the pyairtable program; all of its steps must pass.
fn pyairtable(section: &str, steps: usize, flags: &[&str]) {
    let said = against(&workshop(), flags, |endpoint| {
        let mut command = Command::new(client_tools().join("venv/bin/python"));
        command.arg("-B").arg(root().join("tests/clients/rest_pyairtable")).args([section, endpoint]);
        command
    });
    assert!(said.contains(&format!("{section}: {steps} steps passed")), "{said}");
}

#[test]
fn pyairtable_lists_with_every_option() {
    pyairtable("reads", 12, &[]);
}

#[test]
fn pyairtable_filters_by_formula() {
    pyairtable("formulas", 6, &[]);
}

#[test]
fn pyairtable_creates_updates_and_deletes() {
    pyairtable("writes", 10, &[]);
}

#[test]
fn pyairtable_upserts() {
    pyairtable("upserts", 6, &[]);
}

#[test]
fn pyairtable_comments() {
    pyairtable("comments", 7, &[]);
}

#[test]
fn pyairtable_attaches_files() {
    pyairtable("attachments", 9, &[]);
}

#[test]
fn pyairtable_uses_webhooks() {
    pyairtable("webhooks", 9, &[]);
}

#[test]
fn pyairtable_changes_the_schema() {
    pyairtable("schema", 10, &[]);
}

#[test]
fn pyairtables_orm_holds_every_type() {
    pyairtable("orm", 8, &[]);
}

#[test]
fn pyairtable_is_refused_in_airtables_words() {
    pyairtable("errors", 13, &[]);
}

#[test]
fn pyairtable_gets_through_rate_limits() {
    pyairtable("limits", 3, &["--emulate-limits"]);
}

#[test]
fn airtable_js_does_all_it_can() {
    let said = against(&workshop(), &[], |endpoint| {
        let mut command = Command::new(client_tools().join("node_modules/.bin/node"));
        command.arg(root().join("tests/clients/rest_airtable.mjs")).arg(endpoint);
        command
    });
    assert!(said.contains("13 steps passed"), "{said}");
}
