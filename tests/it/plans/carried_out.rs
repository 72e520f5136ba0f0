//! What a rehearsal leaves alone, and plans that are carried out: once, exactly so, or not at all.

use std::collections::HashSet;
use std::thread;

use serde_json::{Value, json};

use super::{EVERYTHING, LAMP, dry, goods, lamp, plan, price, whole};
use crate::support::{Data, signal};

/// A call of every tool that writes.
fn every_write() -> Vec<(&'static str, Value)> {
    let fields = json!([{"name": "Name", "type": "singleLineText"}]);
    vec![
        (
            "create_records",
            goods(json!({"records": [{"Name": "new", "Tags": ["unheard of"]}], "typecast": true})),
        ),
        ("update_records", price(99)),
        ("upsert_records", goods(json!({"merge_on": ["Name"], "records": [{"Name": "Lamp", "Stock": 9}]}))),
        ("delete_records", goods(json!({"records": [LAMP]}))),
        (
            "upload_attachment",
            goods(json!({"record": LAMP, "field": "Files", "text": "oiled", "filename": "care.md"})),
        ),
        ("add_comment", goods(json!({"record": LAMP, "text": "bright"}))),
        ("create_base", json!({"name": "Other", "tables": [{"name": "T", "fields": fields}]})),
        ("create_table", json!({"base": "Shop", "name": "U", "fields": fields})),
        ("update_table", goods(json!({"name": "Wares"}))),
        ("create_field", goods(json!({"field": {"name": "New", "type": "number"}}))),
        ("update_field", goods(json!({"field": "Price", "name": "Cost"}))),
        ("delete_field", goods(json!({"field": "Stock", "force": true}))),
        ("create_view", goods(json!({"name": "Dear", "filter": "{Price} > 20"}))),
        ("update_view", goods(json!({"view": "All", "name": "Every one"}))),
        ("delete_view", goods(json!({"view": "All"}))),
        ("delete_table", goods(json!({"confirm": "Goods"}))),
        ("delete_base", json!({"base": "Shop", "confirm": "Shop"})),
    ]
}

#[test]
fn a_rehearsal_writes_nothing() {
    let data = Data::with_shop();
    let mut client = data.serve(&EVERYTHING).initialize();
    let listed = client.request("tools/list", json!({}));
    let writing: HashSet<&str> = listed["result"]["tools"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|tool| tool["annotations"]["readOnlyHint"] == false)
        // Carrying out is no rehearsal; taking back has its own test.
        .filter(|tool| tool["name"] != "apply_plan" && tool["name"] != "undo_changes")
        .map(|tool| tool["name"].as_str().unwrap())
        .collect();
    assert_eq!(writing, every_write().iter().map(|(tool, _)| *tool).collect(), "a tool without a case");
    client.structured("create_view", goods(json!({"name": "All"})));
    let before = whole(&data);
    for (tool, arguments) in every_write() {
        let answer = client.structured(tool, dry(arguments));
        assert!(answer["plan"]["id"].as_str().is_some_and(|id| id.starts_with("pln")), "{tool}: {answer}");
        assert_ne!(answer["plan"]["summary"], "nothing changes", "{tool}");
        assert_eq!(whole(&data), before, "{tool}");
    }
    assert_eq!(data.ok(&["base", "list"]).lines().count(), 1);
}

#[test]
fn plans_say_what_follows() {
    let data = Data::with_shop();
    let mut client = data.serve(&EVERYTHING).initialize();
    let change = json!({"records": [{"id": LAMP, "fields": {"Price": 99, "Tags": ["new", "rare"]}}], "typecast": true});
    let told = client.structured("update_records", dry(goods(change)))["plan"].clone();
    let record = &told["records"][0];
    assert_eq!(
        (&record["change"], &record["id"], &record["table"]),
        (&json!("update"), &json!(LAMP), &json!("Goods"))
    );
    assert_eq!(record["before"], json!({"Price": 40, "Tags": ["new", "sale"]}));
    assert_eq!(record["after"], json!({"Price": 99, "Tags": ["new", "rare"]}));
    assert_eq!(told["computed"], json!([{"table": "Goods", "field": "Worth", "records": 1}]));
    assert!(told["warnings"][0].as_str().unwrap().contains("rare"), "{told}");
    let refused =
        client.structured("create_records", dry(goods(json!({"records": [{"Name": "a"}, {"Price": "x"}]}))));
    assert_eq!(refused["plan"]["refused"][0]["index"], 1, "{refused}");
    let deleted = client.structured("delete_records", dry(goods(json!({"records": [LAMP]}))))["plan"].clone();
    assert_eq!(deleted["records"][0]["before"]["Name"], "Lamp");
    assert_eq!(deleted["records"][1]["table"], "Makers", "the other side of the link: {deleted}");
    let nothing = client.structured("update_records", dry(price(40)));
    assert_eq!(nothing["plan"]["summary"], "nothing changes");
    let wrong = client.refused("update_records", dry(goods(json!({"records": "x"}))));
    assert!(wrong.starts_with("invalid_arguments"), "{wrong}");
    let wrong = client.refused("update_records", goods(json!({"records": [], "dry_run": "yes"})));
    assert!(wrong.contains("dry_run must be true or false"), "{wrong}");
}

#[test]
fn every_plan_is_carried_out_once() {
    let data = Data::with_shop();
    let mut client = data.serve(&EVERYTHING).initialize();
    client.structured("create_view", goods(json!({"name": "All"})));
    let mut carried_out = 0;
    for (tool, arguments) in every_write() {
        if matches!(tool, "update_table" | "update_field" | "update_view") {
            // Later calls use the names these would take away.
            continue;
        }
        let id = plan(&mut client, tool, arguments);
        let done = client.call("apply_plan", json!({"plan": id}));
        assert_ne!(done["isError"], json!(true), "{tool}: {done}");
        let again = client.refused("apply_plan", json!({"plan": id}));
        assert!(again.starts_with("conflict") && again.contains("already"), "{tool}: {again}");
        if tool == "delete_records" {
            assert!(!client.text("list_records", goods(json!({}))).contains("Lamp"));
            // Later calls are about it.
            let change = done["structuredContent"]["change"].clone();
            client.structured("undo_changes", json!({"base": "Shop", "changes": [change]}));
        }
        carried_out += 1;
    }
    assert_eq!(carried_out, every_write().len() - 3);
    assert_eq!(data.ok(&["base", "list"]).lines().count(), 1, "one was made, one is gone");
    assert_eq!(
        client.refused("apply_plan", json!({"plan": "plnNever000000000"})).split(':').next(),
        Some("unknown_plan")
    );
    assert!(client.refused("apply_plan", json!({"plan": "DROP"})).starts_with("invalid_arguments"));
}

#[test]
fn a_plan_is_refused_when_something_moved() {
    let data = Data::with_shop();
    let mut client = data.serve(&EVERYTHING).initialize();
    let (update, delete) = (
        plan(&mut client, "update_records", price(99)),
        plan(&mut client, "delete_records", goods(json!({"records": [LAMP]}))),
    );
    let other = goods(json!({"records": [{"id": "recDesk0000000000", "fields": {"Price": 7}}]}));
    let elsewhere = plan(&mut client, "update_records", other);
    client.structured("update_records", price(41));
    for id in [&update, &delete] {
        let refused = client.refused("apply_plan", json!({"plan": id}));
        assert!(refused.starts_with("plan_stale") && refused.contains(LAMP), "{refused}");
    }
    assert_eq!(lamp(&mut client, "Price"), 41);
    // What it is about did not move.
    assert_eq!(client.structured("apply_plan", json!({"plan": elsewhere}))["count"], 1);
    // The field it writes has another type now.
    let typed = plan(
        &mut client,
        "update_records",
        goods(json!({"records": [{"id": LAMP, "fields": {"Stock": 8}}]})),
    );
    client.structured("delete_field", goods(json!({"field": "Stock", "force": true})));
    assert_eq!(client.call("apply_plan", json!({"plan": typed}))["isError"], json!(true));
}

#[test]
fn a_plan_is_shown_page_by_page() {
    let data = Data::with_shop();
    let mut client = data.serve(&EVERYTHING).initialize();
    let more: Vec<Value> = (0..120).map(|n| json!({"Name": format!("made {n}")})).collect();
    let id = plan(&mut client, "create_records", goods(json!({"records": more})));
    let (mut names, mut skip) = (Vec::new(), json!(0));
    while !skip.is_null() {
        let page = client.structured("get_plan", json!({"plan": id, "skip": skip}));
        let records = page["records"].as_array().unwrap().clone();
        assert!(records.len() <= 50 && page["status"] == "open", "{page}");
        names.extend(records.iter().map(|record| record["after"]["Name"].as_str().unwrap().to_owned()));
        skip = page["next_skip"].clone();
    }
    assert_eq!(names, (0..120).map(|n| format!("made {n}")).collect::<Vec<_>>());
    assert!(client.refused("get_plan", json!({"plan": "plnNever000000000"})).starts_with("unknown_plan"));
}

#[test]
fn who_plans_on_what_they_read_is_told_what_changed_since() {
    let data = Data::with_shop();
    let mut client = data.serve(&EVERYTHING).initialize();
    let mut other = data.serve(&EVERYTHING).initialize();
    let both = || {
        goods(json!({"records": [{"id": LAMP, "fields": {"Stock": 1}},
                                           {"id": "recDesk0000000000", "fields": {"Stock": 2}}], "dry_run": true}))
    };
    let warnings = |client: &mut crate::support::Client| {
        client.structured("update_records", both())["plan"]["warnings"].clone()
    };
    client.text("list_records", goods(json!({})));
    other.structured("update_records", price(41));
    let told = warnings(&mut client);
    let told = told[0].as_str().unwrap_or_else(|| panic!("{told}"));
    assert!(told.starts_with("1 record was changed") && told.contains(LAMP), "{told}");
    // Who reads it again knows; so does who changed it.
    client.text("get_records", goods(json!({"records": [LAMP]})));
    assert_eq!(warnings(&mut client), Value::Null);
    client.structured("update_records", price(42));
    assert_eq!(warnings(&mut client), Value::Null);
}

#[test]
fn a_plan_is_its_makers_alone() {
    let data = Data::with_shop();
    let mut maker = data.serve(&EVERYTHING).initialize();
    let id = plan(&mut maker, "update_records", price(99));
    // Another principal asks the same server over HTTP.
    let token = data.ok(&["token", "create", "--name", "other", "--scopes", crate::rest::ALL_SCOPES]);
    maker.finish();
    data.kill_owner();
    let server = crate::support::serve_http(&data, &EVERYTHING);
    let bearer = format!("Bearer {}", token.trim());
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
                      "params": {"name": "apply_plan", "arguments": {"plan": id},
                                 "_meta": {"io.modelcontextprotocol/protocolVersion": "2026-07-28",
                                           "io.modelcontextprotocol/clientInfo": {"name": "t", "version": "1"},
                                           "io.modelcontextprotocol/clientCapabilities": {}}}});
    let headers = [
        ("Authorization", bearer.as_str()),
        ("Content-Type", "application/json"),
        ("Accept", "application/json, text/event-stream"),
        ("MCP-Protocol-Version", "2026-07-28"),
        ("Mcp-Method", "tools/call"),
        ("Mcp-Name", "apply_plan"),
    ];
    let answer = crate::support::http(&server.address, "POST", "/mcp", &headers, body.to_string().as_bytes());
    assert!(answer.body.contains("unknown_plan"), "{} {}", answer.status, answer.body);
}

#[test]
fn a_plan_applied_twice_at_once_is_applied_once() {
    let data = Data::with_shop();
    let mut first = data.serve(&EVERYTHING).initialize();
    let more: Vec<Value> = (0..500).map(|n| json!({"Name": format!("made {n}")})).collect();
    let id = plan(&mut first, "create_records", goods(json!({"records": more})));
    let others = (0..4).map(|_| data.serve(&EVERYTHING).initialize()).collect::<Vec<_>>();
    let done: usize = thread::scope(|scope| {
        let callers: Vec<_> = others
            .into_iter()
            .map(|mut client| {
                let id = id.clone();
                scope.spawn(move || client.call("apply_plan", json!({"plan": id}))["isError"] != json!(true))
            })
            .collect();
        callers.into_iter().map(|caller| usize::from(caller.join().unwrap())).sum()
    });
    assert_eq!(done, 1);
    let made = goods(json!({"filter": "LEFT({Name}, 4) = \"made\"", "format": "json", "limit": 1}));
    assert_eq!(first.structured("list_records", made)["total"], 500);
}

#[test]
fn a_plan_that_is_killed_goes_on_and_does_nothing_twice() {
    const RECORDS: usize = 8_000;
    for round in 0..4 {
        let data = Data::with_shop();
        let mut client = data.serve(&EVERYTHING).initialize();
        let more: Vec<Value> = (0..RECORDS).map(|n| json!({"Name": format!("made {n}")})).collect();
        let id = plan(&mut client, "create_records", goods(json!({"records": more})));
        let call = client.begin("tools/call", json!({"name": "apply_plan", "arguments": {"plan": id}}));
        // Later from round to round: before the first part, between parts, at the end.
        let count = |data: &Data| {
            let listed: Value = serde_json::from_str(&data.ok(&["base", "list", "--json"])).unwrap();
            listed[0]["records"].as_u64().unwrap() as usize
        };
        while count(&data) < 6 + round * 2_000 {
            thread::yield_now();
        }
        assert!(signal(data.owner().unwrap(), "KILL"));
        client.wait_for(call);
        let status = |data: &Data| -> Value {
            serde_json::from_str::<Value>(&data.ok(&["plan", "show", &id, "--json"])).unwrap()["status"]
                .clone()
        };
        // The next command starts an owner, which goes on.
        let mut client = data.serve(&EVERYTHING).initialize();
        while status(&data) == "applying" {
            thread::yield_now();
        }
        let made = goods(json!({"filter": "LEFT({Name}, 4) = \"made\"", "format": "json", "limit": 1}));
        let there = client.structured("list_records", made)["total"].as_u64().unwrap();
        match status(&data).as_str().unwrap() {
            "applied" => assert_eq!(there, RECORDS as u64, "round {round}"),
            // It was given back, or never begun.
            "open" => assert_eq!(there, 0, "round {round}"),
            other => panic!("round {round}: {other}, {there} records"),
        }
    }
}
