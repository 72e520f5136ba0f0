//! Rules that ask for approval, and who may give it.

use serde_json::{Value, json};

use super::{EVERYTHING, LAMP, dry, goods, lamp, plan, price};
use crate::rest::{ALL_SCOPES, BASE, GOODS};
use crate::support::{Client, Data, http, serve_http};

fn with_rules(rules: &str) -> (Data, String) {
    let data = Data::with_shop();
    let file = data.path().join("rules.toml");
    std::fs::write(&file, format!("[approval]\nwait_seconds = 0\n{rules}")).unwrap();
    let file = file.display().to_string();
    (data, file)
}

fn serve(data: &Data, file: &str) -> Client {
    let words: Vec<&str> = ["--config", file].into_iter().chain(EVERYTHING).collect();
    data.serve(&words).initialize()
}

fn delete() -> Value {
    goods(json!({"records": [LAMP]}))
}

/// The one plan that waits.
fn waiting(data: &Data) -> Value {
    let listed: Value = serde_json::from_str(&data.ok(&["plan", "list", "--json"])).unwrap();
    assert_eq!(listed.as_array().unwrap().len(), 1, "{listed}");
    listed[0].clone()
}

#[test]
fn what_a_person_has_to_approve_no_call_can() {
    let (data, file) = with_rules("[[approval.rules]]\nwhen = [\"delete\"]\nask = \"person\"\n");
    let mut client = serve(&data, &file);
    let refused = client.refused("delete_records", delete());
    assert!(
        refused.starts_with("approval_needed") && refused.contains("tablewright plan approve"),
        "{refused}"
    );
    let id = waiting(&data)["id"].as_str().unwrap().to_owned();
    assert!(client.refused("apply_plan", json!({"plan": id})).starts_with("approval_needed"));
    assert!(client.refused("delete_records", delete()).starts_with("approval_needed"));
    assert_eq!(waiting(&data)["id"], json!(id), "the same call makes no second plan");
    assert_eq!(lamp(&mut client, "Name"), "Lamp");
    // What no rule is about goes ahead.
    client.structured("update_records", price(41));

    let shown = data.ok(&["plan", "show", &id]);
    assert!(
        shown.contains("delete recLamp0000000000 in Goods") && shown.contains("Name: Lamp  ->  (empty)"),
        "{shown}"
    );
    assert!(data.ok(&["plan", "approve", &id, "--note", "it is broken"]).contains("it is broken"));
    let stale = client.refused("delete_records", delete());
    assert!(stale.starts_with("plan_stale"), "the price changed since: {stale}");
    assert!(client.refused("delete_records", delete()).starts_with("approval_needed"));
    let id = waiting(&data)["id"].as_str().unwrap().to_owned();
    data.ok(&["plan", "approve", &id]);
    assert_eq!(client.structured("delete_records", delete())["count"], 1);
    let twice = data.run(&["plan", "approve", &id]);
    assert!(
        !twice.status.success() && String::from_utf8_lossy(&twice.stderr).contains("carried out already")
    );
}

#[test]
fn who_says_no_is_heard() {
    let (data, file) = with_rules("[[approval.rules]]\nask = \"person\"\n");
    let mut client = serve(&data, &file);
    assert!(client.refused("update_records", price(99)).starts_with("approval_needed"));
    let id = waiting(&data)["id"].as_str().unwrap().to_owned();
    data.ok(&["plan", "reject", &id, "--note", "too dear"]);
    let refused = client.refused("apply_plan", json!({"plan": id}));
    assert!(refused.starts_with("declined") && refused.contains("too dear"), "{refused}");
    assert_eq!(lamp(&mut client, "Price"), 40);
}

#[test]
fn a_second_look_is_enough_where_the_rule_says_so() {
    let (data, file) = with_rules("[[approval.rules]]\nmore_than = 1\nask = \"confirm\"\n");
    let mut client = serve(&data, &file);
    client.structured("update_records", price(41));
    let both = goods(json!({"records": [{"id": LAMP, "fields": {"Stock": 1}},
                                        {"id": "recDesk0000000000", "fields": {"Stock": 2}}]}));
    let refused = client.refused("update_records", both);
    assert!(refused.contains("more than 1 records (here 2)"), "{refused}");
    let id = waiting(&data)["id"].clone();
    assert_eq!(client.structured("apply_plan", json!({"plan": id}))["count"], 2);
}

#[test]
fn rules_name_tables_fields_and_principals() {
    for (rule, stops_price, stops_stock) in [
        ("fields = [\"Price\"]", true, false),
        ("fields = [\"fldGPrice00000000\"]", true, false),
        ("tables = [\"goods\"]", true, true),
        ("tables = [\"Makers\"]", false, false),
        ("bases = [\"Shop\"]\nwhen = [\"update\"]", true, true),
        ("when = [\"schema\"]", false, false),
        ("principals = [\"token:ada\"]", false, false),
        ("principals = [\"local\"]", true, true),
    ] {
        let (data, file) = with_rules(&format!("[[approval.rules]]\nask = \"person\"\n{rule}\n"));
        let mut client = serve(&data, &file);
        let mut stops = |fields: Value| {
            let call = goods(json!({"records": [{"id": LAMP, "fields": fields}]}));
            client.call("update_records", call)["isError"] == json!(true)
        };
        assert_eq!(
            (stops(json!({"Price": 1})), stops(json!({"Stock": 1}))),
            (stops_price, stops_stock),
            "{rule}"
        );
    }
}

#[test]
fn a_dry_run_of_what_needs_approval_says_so() {
    let (data, file) = with_rules("[[approval.rules]]\nask = \"person\"\n");
    let mut client = serve(&data, &file);
    let told = client.structured("delete_records", dry(delete()))["plan"].clone();
    assert_eq!(told["approval"]["by"], "person", "{told}");
    let id = plan(&mut client, "update_records", price(7));
    assert!(client.refused("apply_plan", json!({"plan": id})).starts_with("approval_needed"));
}

#[test]
fn the_web_api_keeps_to_the_rules() {
    let (data, file) = with_rules("[[approval.rules]]\nwhen = [\"delete\"]\nask = \"person\"\n");
    let token = data.ok(&["token", "create", "--name", "rest", "--scopes", ALL_SCOPES]);
    let words = ["--config", file.as_str(), "--allow-write", "--allow-delete"];
    let server = serve_http(&data, &words);
    let bearer = format!("Bearer {}", token.trim());
    let path = format!("/v0/{BASE}/{GOODS}/{LAMP}");
    let answer = http(&server.address, "DELETE", &path, &[("Authorization", &bearer)], b"");
    assert_eq!(answer.status, 403, "{}", answer.body);
    assert!(answer.body.contains("APPROVAL_NEEDED"), "{}", answer.body);
    let headers = [("Authorization", bearer.as_str()), ("Content-Type", "application/json")];
    let change = json!({"fields": {"Price": 41}}).to_string();
    assert_eq!(http(&server.address, "PATCH", &path, &headers, change.as_bytes()).status, 200);
}

/// A client that says it can ask its user.
fn asker(data: &Data, file: &str, more: &[&str]) -> Client {
    let words: Vec<&str> = ["--config", file].iter().chain(&EVERYTHING).chain(more).copied().collect();
    let mut client = data.serve(&words);
    let params = json!({"protocolVersion": "2025-11-25", "capabilities": {"elicitation": {}},
                        "clientInfo": {"name": "test", "version": "1"}});
    client.request("initialize", params);
    client.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
    client
}

/// Makes a call during which the user is asked, who answers this; what they were asked.
fn while_asked(client: &mut Client, tool: &str, arguments: Value, answer: Value) -> (String, Value) {
    let call = client.begin("tools/call", json!({"name": tool, "arguments": arguments}));
    loop {
        let message = client.receive().expect("the user is asked");
        assert_ne!(message["id"], call, "nobody was asked: {message}");
        if message["method"] == "elicitation/create" {
            client.send(&json!({"jsonrpc": "2.0", "id": message["id"], "result": answer}));
            let question = message["params"]["message"].as_str().unwrap().to_owned();
            return (question, client.wait_for(call)["result"].clone());
        }
    }
}

#[test]
fn the_clients_user_is_asked() {
    let (data, file) = with_rules("[[approval.rules]]\nwhen = [\"delete\"]\nask = \"ask\"\n");
    let yes = json!({"action": "accept", "content": {"approve": true}});
    for more in [&["--no-daemon"][..], &[]] {
        let mut client = asker(&data, &file, more);
        for no in [
            json!({"action": "decline"}),
            json!({"action": "accept", "content": {"approve": false}}),
            json!({"action": "accept"}),
        ] {
            let (question, refused) = while_asked(&mut client, "delete_records", delete(), no);
            assert!(question.contains("delete recLamp0000000000 in Goods"), "{question}");
            assert!(refused["content"][0]["text"].as_str().unwrap().starts_with("declined"), "{refused}");
        }
        let (_, cancelled) =
            while_asked(&mut client, "delete_records", delete(), json!({"action": "cancel"}));
        assert!(
            cancelled["content"][0]["text"].as_str().unwrap().starts_with("approval_needed"),
            "{cancelled}"
        );
        assert_eq!(lamp(&mut client, "Name"), "Lamp");
        let (_, done) = while_asked(&mut client, "delete_records", delete(), yes.clone());
        assert_eq!(done["structuredContent"]["count"], 1, "{done}");
        let undone = json!({"base": "Shop", "changes": [done["structuredContent"]["change"]]});
        client.structured("undo_changes", undone);
        client.finish();
    }
}

#[test]
fn newer_clients_are_answered_that_there_is_something_to_ask() {
    let rules = "[[approval.rules]]\nwhen = [\"delete\"]\nask = \"ask\"\n[[approval.rules]]\nwhen = [\"update\"]\ntables = [\"Goods\"]\nask = \"person\"\n";
    let (data, file) = with_rules(rules);
    let words: Vec<&str> = ["--config", &file].into_iter().chain(EVERYTHING).collect();
    let mut client = data.serve(&words);
    let meta = json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28",
                      "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
                      "io.modelcontextprotocol/clientCapabilities": {"elicitation": {"form": {}}}});
    let mut call = |tool: &str, arguments: &Value, state: Option<&Value>, answer: Option<Value>| {
        let mut params = json!({"name": tool, "arguments": arguments, "_meta": meta});
        if let Some(state) = state {
            params["requestState"] = state.clone();
        }
        if let Some(answer) = answer {
            params["inputResponses"] = json!({"approve": answer});
        }
        client.request("tools/call", params)
    };
    let yes = || Some(json!({"action": "accept", "content": {"approve": true}}));
    let asked = call("delete_records", &delete(), None, None)["result"].clone();
    assert_eq!(asked["resultType"], "input_required", "{asked}");
    assert_eq!(asked["inputRequests"]["approve"]["method"], "elicitation/create", "{asked}");
    let state = asked["requestState"].clone();
    // What is no answer to this very call.
    let other = goods(json!({"records": ["recDesk0000000000"]}));
    for (arguments, state, answer, why) in [
        (&other, state.clone(), yes(), "another call"),
        (&delete(), json!("plnForged00000000"), yes(), "no plan"),
        (&delete(), json!("x"), yes(), "none that this server gave out"),
        (&delete(), state.clone(), None, "missing"),
        (&delete(), state.clone(), Some(json!(true)), "no elicitation result"),
    ] {
        let refused = call("delete_records", arguments, Some(&state), answer);
        assert!(refused["error"]["message"].as_str().unwrap_or_default().contains(why), "{why}: {refused}");
    }
    let done = call("delete_records", &delete(), Some(&state), yes())["result"].clone();
    assert_eq!(done["structuredContent"]["count"], 1, "{done}");
    let again = call("delete_records", &delete(), Some(&state), yes());
    assert!(again["error"]["message"].as_str().unwrap().contains("carried out already"), "{again}");
    // What a person has to approve, no answer of a client can.
    let change = goods(json!({"records": [{"id": "recDesk0000000000", "fields": {"Price": 1}}]}));
    let refused = call("update_records", &change, None, None)["result"].clone();
    assert!(refused["content"][0]["text"].as_str().unwrap().starts_with("approval_needed"), "{refused}");
    let plan = waiting(&data)["id"].clone();
    let forged = call("update_records", &change, Some(&plan), yes());
    assert!(forged["error"]["message"].as_str().unwrap().contains("only a person"), "{forged}");
}
