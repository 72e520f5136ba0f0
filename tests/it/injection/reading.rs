//! Every tool that reads, every resource and every prompt.

use std::collections::HashSet;

use serde_json::{Value, json};
use tablewright_toolkit::prompts::quoted;
use tablewright_toolkit::text::is_hidden;

use super::{FLAGS, Payload, carriers, require_safe};
use crate::support::{Client, Data};

const BASE: &str = "appInj00000000001";
const NAMES: &str = "appInj00000000002";

fn table(more: Value) -> Value {
    let mut arguments = json!({"base": BASE, "table": "Carriers"});
    arguments.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    arguments
}

fn markers(all: &[Payload]) -> Vec<String> {
    all.iter().map(|payload| payload.marker.clone()).collect()
}

fn record(n: usize) -> String {
    format!("recInj{n:011}")
}

/// Calls of every tool that reads, about the payload at `n`; all of them go well.
fn reads(n: usize, payload: &Payload) -> Vec<(&'static str, Value)> {
    let field = payload.name();
    let formula = format!("{{fldInj{n:011}}} & \"x\"");
    let mut calls = Vec::new();
    for format in ["tsv", "json"] {
        calls.extend([
            ("list_records", table(json!({"records": [record(n)], "format": format, "limit": 5}))),
            ("get_records", table(json!({"records": [record(n)], "format": format}))),
            ("search_records", json!({"base": BASE, "query": payload.marker, "format": format})),
        ]);
    }
    for (_, call) in calls.iter_mut().filter(|(tool, _)| *tool == "list_records") {
        call.as_object_mut().unwrap().remove("records");
        call["filter"] = json!(format!("FIND(\"{}\", {{Text}})", payload.marker));
    }
    calls.extend([
        ("describe_base", json!({"base": BASE, "table": "Carriers"})),
        ("list_comments", table(json!({"record": record(n)}))),
        ("explain_access", table(json!({"verb": "read", "field": field}))),
        ("list_members", json!({})),
        ("check_formula", table(json!({"formula": formula}))),
        ("evaluate_formula", table(json!({"formula": formula, "records": [record(n)], "trace": true}))),
        ("explain_formula", table(json!({"field": "Doubled"}))),
        ("assess_formula_impact", table(json!({"field": field, "change": "delete"}))),
        ("get_record_history", table(json!({"record": record(n)}))),
    ]);
    calls
}

fn call(client: &mut Client, tool: &str, arguments: Value) -> Value {
    let answer = client.call(tool, arguments.clone());
    assert_ne!(answer["isError"], json!(true), "{tool} {arguments}: {answer}");
    answer
}

#[test]
fn nothing_reaches_a_model_as_anything_but_data() {
    let data = Data::new();
    let all = carriers(&data);
    let words = markers(&all);
    let mut client = data.serve(&FLAGS).initialize();
    let (mut called, mut fences, mut seen) = (HashSet::new(), HashSet::new(), HashSet::new());
    let mut look = |tool: &'static str, answer: &Value| {
        called.insert(tool);
        for word in &words {
            if answer.to_string().contains(word.as_str()) {
                seen.insert(word.clone());
            }
        }
        for name in require_safe(tool, answer, &words) {
            assert!(fences.insert(name), "{tool}: a fence has the name of another");
        }
    };
    for (n, payload) in all.iter().enumerate() {
        for (tool, arguments) in reads(n, payload) {
            let answer = call(&mut client, tool, arguments);
            look(tool, &answer);
        }
        let file = table(json!({"record": record(n), "field": "Files"}));
        let mut upload = file.clone();
        upload["text"] = json!(payload.text.replace('\0', ""));
        upload["filename"] = json!(format!("{}.txt", payload.name().replace(['/', '\0'], "_")));
        call(&mut client, "upload_attachment", upload);
        let answer = call(&mut client, "get_attachment", file);
        look("get_attachment", &answer);
    }
    for (tool, arguments) in [
        ("list_bases", json!({})),
        ("describe_base", json!({"base": NAMES})),
        ("describe_base", json!({"base": BASE})),
        ("list_changes", json!({"base": BASE})),
        ("query_audit_log", json!({})),
        ("get_sync_status", json!({})),
        ("wait_for_changes", json!({"base": BASE, "timeout_seconds": 0})),
    ] {
        let answer = call(&mut client, tool, arguments);
        look(tool, &answer);
    }
    for (n, payload) in all.iter().enumerate() {
        let change =
            json!({"records": [{"id": record(n), "fields": {"Target": payload.text}}], "dry_run": true});
        let planned = call(&mut client, "update_records", table(change));
        require_safe("update_records, rehearsed", &planned, &words);
        let answer =
            call(&mut client, "get_plan", json!({"plan": planned["structuredContent"]["plan"]["id"]}));
        require_safe("get_plan", &answer, &words);
    }
    assert_eq!(seen.len(), all.len(), "every one of them was read");
    let listed = client.request("tools/list", json!({}));
    let reading: HashSet<&str> = listed["result"]["tools"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|tool| tool["annotations"]["readOnlyHint"] == true)
        .map(|tool| tool["name"].as_str().unwrap())
        // There is no Airtable behind these bases, and the user of this machine is no member.
        .filter(|name| !["sync_base", "connect_airtable"].contains(name))
        .collect();
    called.insert("get_plan");
    assert_eq!(called, reading, "a tool without a case");
}

#[test]
fn what_is_refused_echoes_nothing_raw() {
    let data = Data::new();
    let all = carriers(&data);
    let words = markers(&all);
    let mut client = data.serve(&FLAGS).initialize();
    for (n, payload) in all.iter().enumerate() {
        let (text, close) = (&payload.text, format!("{}s", payload.name()));
        for (tool, arguments) in [
            ("describe_base", json!({"base": text})),
            ("list_records", json!({"base": NAMES, "table": close})),
            ("list_records", json!({"base": BASE, "table": text})),
            ("list_records", table(json!({"fields": [close]}))),
            ("list_records", table(json!({"view": close}))),
            ("list_records", table(json!({"filter": text}))),
            ("list_records", table(json!({"filter": format!("{{{close}}} = 1")}))),
            ("list_records", table(json!({"sort": [{"field": text}]}))),
            ("list_records", table(json!({"cursor": text}))),
            ("get_records", table(json!({"records": [text]}))),
            ("evaluate_formula", table(json!({"formula": format!("{text}(")}))),
            ("create_records", table(json!({"records": [{close.clone(): 1}]}))),
            ("create_records", table(json!({"records": [{"Choice": text}, {"Choice": close}]}))),
            ("update_records", table(json!({"records": [{"id": record(n), "fields": {"Doubled": text}}]}))),
            ("upsert_records", table(json!({"merge_on": [text], "records": [{"Name": "x"}]}))),
            ("add_comment", table(json!({"record": text, "text": "x"}))),
            (
                "create_table",
                json!({"base": BASE, "name": "Carriers", "fields": [{"name": text, "type": text}]}),
            ),
            ("create_field", table(json!({"field": {"name": payload.name(), "type": "number"}}))),
            ("delete_table", table(json!({"confirm": text}))),
            ("apply_plan", json!({"plan": text})),
            ("undo_changes", json!({"base": BASE, "call": text})),
            ("list_changes", json!({"base": text})),
            ("wait_for_changes", json!({"base": BASE, "since": text})),
            ("get_attachment", table(json!({"record": record(n), "field": "Files", "file": text}))),
            ("list_records", json!({"base": BASE, "table": "Carriers", text.as_str(): 1})),
            ("query_audit_log", json!({"since": text})),
        ] {
            let answer = client.call(tool, arguments);
            require_safe(&format!("{tool} {n}"), &answer, &words);
        }
        // A tool's name is no more trusted.
        let answer = client.request("tools/call", json!({"name": text, "arguments": {}}));
        let said = answer["error"]["message"].as_str().unwrap();
        assert!(!said.chars().any(|c| is_hidden(c) || c == '\n'), "{said:?}");
    }
}

#[test]
fn resources_and_prompts_hold_it_as_values() {
    let data = Data::new();
    let all = carriers(&data);
    let mut client = data.serve(&FLAGS).initialize();
    let mut uris = vec!["airtable://bases".to_owned(), format!("airtable://{NAMES}/schema")];
    uris.push(format!("airtable://{BASE}/schema"));
    uris.push(format!("airtable://{BASE}/tblInj00000000900/schema"));
    uris.extend((0..all.len()).map(|n| format!("airtable://{BASE}/tblInj00000000900/{}", record(n))));
    for uri in uris {
        let answer = client.request("resources/read", json!({"uri": uri}));
        for content in answer["result"]["contents"].as_array().unwrap_or_else(|| panic!("{uri}: {answer}")) {
            let text = content["text"].as_str().unwrap();
            assert!(!text.chars().any(is_hidden), "{uri}: {text:?}");
            assert!(serde_json::from_str::<Value>(text).is_ok(), "{uri}: it is JSON, and so data: {text}");
        }
    }
    for method in ["resources/list", "resources/templates/list", "prompts/list"] {
        let answer = client.request(method, json!({}));
        assert!(!answer["result"].to_string().chars().any(is_hidden), "{method}");
    }
    let prompts = client.request("prompts/list", json!({}))["result"]["prompts"].clone();
    for prompt in prompts.as_array().unwrap() {
        for payload in &all {
            // Somebody chose a name that was offered to them.
            let arguments: serde_json::Map<String, Value> = prompt["arguments"]
                .as_array()
                .unwrap()
                .iter()
                .map(|argument| argument["name"].as_str().unwrap())
                .map(|name| match name {
                    "base" => (name.to_owned(), json!(NAMES)),
                    _ => (name.to_owned(), json!(payload.name())),
                })
                .collect();
            let answer =
                client.request("prompts/get", json!({"name": prompt["name"], "arguments": arguments}));
            if answer.get("error").is_some() {
                let said = answer["error"]["message"].as_str().unwrap();
                assert!(!said.chars().any(|c| is_hidden(c) || c == '\n'), "{said:?}");
                continue;
            }
            for message in answer["result"]["messages"].as_array().unwrap() {
                let content = &message["content"];
                let text = content["text"].as_str().or(content["resource"]["text"].as_str()).unwrap();
                assert!(!text.chars().any(is_hidden), "{}: {text:?}", prompt["name"]);
                if content["type"] == "text" {
                    let around = text.replace(&quoted(&payload.name()), "");
                    assert!(
                        !around.contains(&payload.marker),
                        "{}: it stands unquoted: {text}",
                        prompt["name"]
                    );
                }
            }
        }
    }
    // Names are offered where they are asked for, as values.
    let reference = json!({"type": "ref/resource", "uri": "airtable://{base}/{table}/schema"});
    for payload in &all {
        let argument = json!({"name": "table", "value": payload.name().chars().take(3).collect::<String>()});
        let asked =
            json!({"ref": reference, "argument": argument, "context": {"arguments": {"base": NAMES}}});
        let answer = client.request("completion/complete", asked);
        assert!(answer["result"]["completion"]["values"].is_array(), "{answer}");
        assert!(!answer.to_string().chars().any(is_hidden));
    }
}
