//! Real clients of Airtable's REST API against the real program: only address and key differ.

use std::process::Command;

use crate::cloud_gateway::{Downstream, Upstream};
use crate::support::{Data, client_tools, root, run_client, serve_http};

const WORKSHOP: &str = "appWorkshop000000";

fn workshop() -> Data {
    let data = Data::new();
    data.import(&root().join("tests/fixtures/workshop.json"));
    // The programs serve files and take notifications on loopback, and wait out penalties.
    let settings = "[fetch]\nallowed_private = [\"127.0.0.1\"]\n[gateway]\npenalty_seconds = 1\n";
    std::fs::write(data.path().join("settings.toml"), settings).unwrap();
    data
}

fn settings(data: &Data) -> String {
    data.path().join("settings.toml").display().to_string()
}

/// Runs a client against a server; its standard output.
fn run(address: &str, token: &str, client: impl FnOnce(&str) -> Command) -> String {
    let mut command = client(&format!("http://{address}"));
    command.env("TABLEWRIGHT_TOKEN", token).env("TEST_CLIENTS_DIR", client_tools());
    run_client(command)
}

fn against(data: &Data, flags: &[&str], client: impl FnOnce(&str) -> Command) -> String {
    let settings = settings(data);
    let mut all = vec!["--allow-write", "--allow-delete", "--allow-schema", "--config", &settings];
    all.extend(flags);
    let server = serve_http(data, &all);
    run(&server.address, &server.token, client)
}

/// The same against a server in front of the one that has the base.
fn in_front_of(data: Data, setting: &str, client: impl FnOnce(&str) -> Command) -> String {
    let settings = settings(&data);
    let up = Upstream::over(data, (WORKSHOP, "Workshop"), &["--config", &settings]);
    let down = Downstream::new(&up, None).with(setting).listen();
    let down = down.copied(WORKSHOP, &["Parts", "Suppliers%20%2F%20EU"]);
    run(&down.address, &down.token, client)
}

fn pyairtable_at(section: &str, endpoint: &str) -> Command {
    let mut command = Command::new(client_tools().join("venv/bin/python"));
    command.arg("-B").arg(root().join("tests/clients/rest_pyairtable")).args([section, endpoint]);
    command
}

fn airtable_js_at(endpoint: &str) -> Command {
    let mut command = Command::new(client_tools().join("node_modules/.bin/node"));
    command.arg(root().join("tests/clients/rest_airtable.mjs")).arg(endpoint);
    command
}

/// Runs one section of the pyairtable program; all of its steps must pass.
fn pyairtable(section: &str, steps: usize, flags: &[&str]) {
    let said = against(&workshop(), flags, |endpoint| pyairtable_at(section, endpoint));
    assert!(said.contains(&format!("{section}: {steps} steps passed")), "{said}");
}

/// The same in front of a base that lives elsewhere.
fn pyairtable_in_front(section: &str, steps: usize) {
    // A client that wants all webhooks a base may have leaves none for the copy.
    let setting = if section == "webhooks" { "webhooks = false" } else { "" };
    let said = in_front_of(workshop(), setting, |endpoint| pyairtable_at(section, endpoint));
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
    let said = against(&workshop(), &[], airtable_js_at);
    assert!(said.contains("13 steps passed"), "{said}");
}

#[test]
fn airtable_js_does_all_it_can_before_a_base_that_lives_elsewhere() {
    let said = in_front_of(workshop(), "", airtable_js_at);
    assert!(said.contains("13 steps passed"), "{said}");
}

#[test]
fn pyairtable_does_reads_before_a_base_that_lives_elsewhere() {
    pyairtable_in_front("reads", 12);
}

#[test]
fn pyairtable_does_formulas_before_a_base_that_lives_elsewhere() {
    pyairtable_in_front("formulas", 6);
}

#[test]
fn pyairtable_does_writes_before_a_base_that_lives_elsewhere() {
    pyairtable_in_front("writes", 10);
}

#[test]
fn pyairtable_does_upserts_before_a_base_that_lives_elsewhere() {
    pyairtable_in_front("upserts", 6);
}

#[test]
fn pyairtable_does_comments_before_a_base_that_lives_elsewhere() {
    pyairtable_in_front("comments", 7);
}

#[test]
fn pyairtable_does_attachments_before_a_base_that_lives_elsewhere() {
    pyairtable_in_front("attachments", 9);
}

#[test]
fn pyairtable_does_webhooks_before_a_base_that_lives_elsewhere() {
    pyairtable_in_front("webhooks", 9);
}

#[test]
fn pyairtable_does_schema_before_a_base_that_lives_elsewhere() {
    pyairtable_in_front("schema", 10);
}

#[test]
fn pyairtable_does_orm_before_a_base_that_lives_elsewhere() {
    pyairtable_in_front("orm", 8);
}

#[test]
fn pyairtable_does_errors_before_a_base_that_lives_elsewhere() {
    pyairtable_in_front("errors", 13);
}
