//! Bases that are read with a login, and tokens that see those of one login alone.

use serde_json::{Value, json};

use super::{Here, Upstream};
use crate::rest::ALL_SCOPES;
use crate::support::{Client, http, root};

/// A data directory with a base of the login `laptop` and one that lives here.
fn two_bases(upstream: &Upstream) -> Here {
    let here = Here::new(&upstream.server.address);
    here.connect("laptop", &upstream.token("laptop"));
    here.data.import(&root().join("tests/fixtures/workshop.json"));
    let done = here.json(&["connect", "--name", "laptop", "--base", "shop"]);
    assert_eq!(done["copied"], json!([{"id": "appShop0000000000", "name": "Shop"}]), "{done}");
    here
}

fn with_dry_run(mut arguments: Value) -> Value {
    arguments["dry_run"] = json!(true);
    arguments
}

#[test]
fn bases_say_where_they_live_and_a_login_in_use_stays() {
    let upstream = Upstream::new();
    let here = two_bases(&upstream);
    let listed = here.json(&["base", "list"]);
    assert_eq!((&listed[0]["lives"], &listed[0]["profile"]), (&json!("airtable"), &json!("laptop")));
    assert_eq!(listed[1]["lives"], "here");
    assert!(here.ok(&["base", "list"]).contains("lives in Airtable, read with laptop"));
    assert_eq!(here.json(&["connect", "--list"])[0]["bases"], json!(["appShop0000000000"]));
    assert!(here.refused(&["base", "delete", "Shop", "--yes"]).contains("tablewright base forget"));
    assert!(here.refused(&["base", "forget", "Workshop", "--yes"]).contains("lives here"));
    assert!(here.refused(&["disconnect", "laptop"]).contains("--forget"));
    assert!(here.refused(&["base", "forget", "Shop"]).contains("--yes"), "nobody can be asked");
    let doctor = here.ok(&["doctor"]);
    assert!(doctor.contains("appShop0000000000 is reached"), "{doctor}");
    assert!(doctor.contains("of 2 tables of \"Shop\" are copied"), "{doctor}");
    assert!(doctor.contains("WARNING login laptop") && doctor.contains("webhook:manage"), "{doctor}");
    let mut client =
        Client::start(here.command(&["serve", "--allow-write", "--toolsets", "all"])).initialize();
    let change = json!({"base": "Shop", "table": "Goods", "records": [{"Name": "Secret of the shop"}]});
    let plan = client.structured("create_records", with_dry_run(change))["plan"]["id"].clone();
    here.ok(&["base", "forget", "Shop", "--yes"]);
    // No plan keeps what was in it.
    let shown = here.refused(&["plan", "show", plan.as_str().unwrap()]);
    assert!(shown.contains("there is no plan"), "{shown}");
    here.ok(&["disconnect", "laptop"]);
    assert_eq!(here.json(&["base", "list"]).as_array().unwrap().len(), 1);
}

#[test]
fn bases_and_tables_are_chosen_by_name() {
    let upstream = Upstream::new();
    let here = Here::new(&upstream.server.address);
    here.connect("laptop", &upstream.token("laptop"));
    let unknown = here.refused(&["connect", "--name", "laptop", "--base", "Shp"]);
    assert!(unknown.contains("login \"laptop\": there is no base \"Shp\""), "{unknown}");
    let unknown = here.refused(&["connect", "--name", "laptop", "--base", "Shop", "--table", "Gods"]);
    assert!(unknown.contains("no table \"Gods\"") && unknown.contains("Goods"), "{unknown}");
    assert!(here.ok(&["base", "list"]).contains("no bases"), "nothing was begun");
    let text = here.ok(&["connect", "--name", "laptop", "--base", "Shop", "--table", "Goods"]);
    assert!(text.contains("being copied: Shop") && text.contains("tablewright serve"), "{text}");
    assert_eq!(here.json(&["base", "list"])[0]["tables"], 1);
    let again = here.json(&["connect", "--name", "laptop", "--all"]);
    assert_eq!((&again["copied"], &again["already"][0]["name"]), (&json!([]), &json!("Shop")), "{again}");
    assert_eq!(again["grants"][0]["isHere"], true, "{again}");
    // Another login of the same base takes it over when it is named.
    here.connect("desk", &upstream.token("desk"));
    assert_eq!(here.json(&["connect", "--name", "desk", "--all"])["copied"], json!([]));
    here.ok(&["connect", "--name", "desk", "--base", "Shop"]);
    assert_eq!(here.json(&["base", "list"])[0]["profile"], "desk");
    here.ok(&["disconnect", "laptop"]);
    let other = Here::new(&upstream.server.address);
    other.data.import(&root().join("tests/fixtures/shop.json"));
    other.connect("laptop", &upstream.token("other"));
    let refused = other.refused(&["connect", "--name", "laptop", "--all"]);
    assert!(refused.contains("lives here already"), "{refused}");
}

#[test]
fn disconnect_forgets_the_bases_when_it_is_told_to() {
    let upstream = Upstream::new();
    let here = two_bases(&upstream);
    let done = here.json(&["disconnect", "laptop", "--forget"]);
    assert_eq!(
        done,
        json!({"disconnected": "laptop", "forgotten": ["appShop0000000000"], "webhooksLeft": []})
    );
    assert_eq!(here.json(&["base", "list"])[0]["name"], "Workshop");
}

#[test]
fn a_token_of_a_login_sees_the_bases_of_that_login_alone() {
    let upstream = Upstream::new();
    let here = two_bases(&upstream);
    let create = |name: &str, more: &[&str]| {
        let mut args = vec!["token", "create", "--name", name, "--scopes", ALL_SCOPES];
        args.extend(more);
        here.ok(&args).trim().to_owned()
    };
    assert!(
        here.refused(&["token", "create", "--name", "x", "--profile", "desk"]).contains("no login \"desk\"")
    );
    let (all, one) = (create("all", &[]), create("one", &["--profile", "laptop"]));
    assert!(here.ok(&["token", "list"]).contains("bases of laptop alone"));
    let args = ["serve", "--http", "127.0.0.1:0", "--allow-write", "--allow-delete", "--allow-schema"];
    let mut server = Client::start(here.command(&args));
    let line = loop {
        let line = server.error_line();
        if line.contains("serving MCP on") {
            break line;
        }
    };
    let address = line.split("http://").nth(1).unwrap().split("/mcp").next().unwrap();
    let send = |token: &str, method: &str, path: &str, body: &str| {
        let bearer = format!("Bearer {token}");
        let headers = [("Authorization", bearer.as_str()), ("Content-Type", "application/json")];
        let answer = http(address, method, path, &headers, body.as_bytes());
        (answer.status, serde_json::from_str::<Value>(&answer.body).unwrap())
    };
    let names = |token: &str| {
        let (_, listed) = send(token, "GET", "/v0/meta/bases", "");
        let bases = listed["bases"].as_array().unwrap();
        bases.iter().map(|base| base["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(&all), ["Shop", "Workshop"]);
    assert_eq!(names(&one), ["Shop"]);
    assert_eq!(send(&one, "GET", "/v0/appShop0000000000/Goods", "").0, 200);
    let gone = send(&one, "GET", "/v0/appGone0000000000/Things", "");
    for (method, path) in [
        ("GET", "/v0/appWorkshop000000/Things"),
        ("GET", "/v0/meta/bases/appWorkshop000000/tables"),
        ("GET", "/v0/bases/appWorkshop000000/webhooks"),
        ("DELETE", "/v0/meta/bases/appWorkshop000000"),
    ] {
        let (status, body) = send(&one, method, path, "");
        assert!(matches!(status, 403 | 404), "{method} {path}: {status} {body}");
        assert!(!body.to_string().contains("Workshop"), "{body}");
    }
    assert_eq!(send(&one, "GET", "/v0/appWorkshop000000/Things", ""), gone, "as one that is not there");
    let made = send(&one, "POST", "/v0/meta/bases", NEW_BASE);
    assert_eq!(made.0, 403, "{made:?}");
    // The same through MCP.
    let tool = |name: &str, arguments: Value| {
        let bearer = format!("Bearer {one}");
        let meta = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
            "io.modelcontextprotocol/clientCapabilities": {}
        });
        let body = json!({
            "jsonrpc": "2.0", "id": 1, "method": "tools/call",
            "params": {"name": name, "arguments": arguments, "_meta": meta}
        });
        let headers = [
            ("Authorization", bearer.as_str()),
            ("Content-Type", "application/json"),
            ("Accept", "application/json, text/event-stream"),
            ("MCP-Protocol-Version", "2026-07-28"),
            ("Mcp-Method", "tools/call"),
            ("Mcp-Name", name),
        ];
        let answer = http(address, "POST", "/mcp", &headers, body.to_string().as_bytes());
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.body
    };
    let bases = tool("list_bases", json!({}));
    assert!(bases.contains("Shop") && !bases.contains("Workshop"), "{bases}");
    let hidden = tool("list_records", json!({"base": "appWorkshop000000", "table": "Things"}));
    assert!(hidden.contains("\"isError\":true") && hidden.contains("there is no base"), "{hidden}");
    assert!(tool("list_records", json!({"base": "Shop", "table": "Goods"})).contains("Lamp"));
}

const NEW_BASE: &str = r#"{"name": "New", "workspaceId": "wspTablewright000", "tables": [{"name": "A", "fields": [{"name": "Name", "type": "singleLineText"}]}]}"#;
