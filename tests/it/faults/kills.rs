//! kill -9 of the program that keeps the copy: while it copies, and while it writes.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::ledger::{Ledger, Verb};
use super::writers::{of_result, of_tool};
use super::{AT_FIRST, ledger_at_first, settle};
use crate::cloud::{Cloud, harbour, try_all, until};
use crate::hostile::{Fault, Kind, Plan};
use crate::support::{Client, PATIENCE};

/// How many requests of these kinds the proxy has seen.
fn count(cloud: &Cloud, kinds: &[Kind]) -> usize {
    cloud.hostile.log().iter().filter(|entry| kinds.contains(&entry.kind)).count()
}

/// Waits until it has seen so many. Somebody asks for something now and then, so that a program
/// that was killed is started again.
fn seen(cloud: &Cloud, asking: &mut Client, kinds: &[Kind], wanted: usize) {
    until(PATIENCE, || {
        let seen = count(cloud, kinds);
        if seen >= wanted {
            return Ok(());
        }
        asking.tools();
        Err(format!("{seen} of {wanted} requests\n{}", cloud.told()))
    })
    .unwrap_or_else(|why| panic!("{why}"));
}

#[test]
fn a_copy_that_is_killed_goes_on() {
    let records = 650;
    let cloud = Cloud::new(records, Plan::calm(), "");
    cloud.downstream.connect();
    let mut agent = cloud.downstream.agent();
    for kills in 1..=3 {
        seen(&cloud, &mut agent, &[Kind::List, Kind::NextPage], 2 * kills);
        assert!(cloud.downstream.data.kill_owner(), "somebody was copying");
    }
    settle(&cloud, &mut agent, &ledger_at_first(records), "kills while copying");
}

fn ready(agent: &mut Client) {
    until(PATIENCE, || try_all(agent, harbour::SHIPMENTS).map(|_| ())).unwrap();
}

fn create(keys: &[String]) -> Value {
    let records: Vec<Value> =
        keys.iter().enumerate().map(|(n, key)| harbour::shipment(key, "made", n)).collect();
    json!({"name": "create_records",
           "arguments": {"base": harbour::BASE, "table": harbour::SHIPMENTS, "records": records}})
}

#[test]
fn writes_that_are_killed_are_never_done_twice() {
    let cloud = Cloud::new(AT_FIRST, Plan::calm(), "");
    cloud.downstream.connect();
    let mut agent = cloud.downstream.agent();
    let mut reader = cloud.downstream.agent();
    ready(&mut reader);
    let ledger = ledger_at_first(AT_FIRST);
    for round in 0..4 {
        // The answer of the first or second request of the write does not come; the kill does.
        cloud.hostile.follow(Plan::scripted(&[(Kind::Create, round % 2, Fault::Silence)]));
        let keys: Vec<String> = (0..25).map(|n| format!("killed {round} {n:02}")).collect();
        let sent = count(&cloud, &[Kind::Create]);
        let id = agent.begin("tools/call", create(&keys));
        seen(&cloud, &mut reader, &[Kind::Create], sent + 1 + round % 2);
        assert!(cloud.downstream.data.kill_owner(), "somebody was writing");
        let said = of_tool(&agent.wait_for(id), keys.len());
        let mut ledger = ledger.lock().unwrap();
        for (key, said) in keys.iter().zip(&said) {
            ledger.made(Verb::Create, key, "made", 0, said);
        }
    }
    cloud.hostile.calm();
    settle(&cloud, &mut agent, &ledger, "kills while writing");
}

/// Parameters of the newer era, from a client that knows tasks.
fn with_tasks(mut params: Value) -> Value {
    let key = |name: &str| format!("io.modelcontextprotocol/{name}");
    params["_meta"] = json!({
        key("protocolVersion"): "2026-07-28",
        key("clientCapabilities"): {"extensions": {key("tasks"): {}}},
        key("clientInfo"): {"name": "test", "version": "1"},
    });
    params
}

#[test]
fn a_task_that_is_killed_goes_on_and_does_nothing_twice() {
    let cloud = Cloud::new(0, Plan::calm(), "");
    cloud.downstream.connect();
    let mut reader = cloud.downstream.agent();
    ready(&mut reader);
    let mut agent = cloud.downstream.modern_agent();
    let keys: Vec<String> = (0..1_010).map(|n| format!("task {n:04}")).collect();
    // Answers are lost too, now and then.
    cloud.hostile.follow(Plan::mixed(9, &[Fault::ErrorAfter, Fault::ResetInBody], 0.05));
    let id = agent.request("tools/call", with_tasks(create(&keys)))["result"]["taskId"].clone();
    for kills in 1..=3 {
        seen(&cloud, &mut reader, &[Kind::Create], kills * 20);
        assert!(cloud.downstream.data.kill_owner(), "somebody was writing");
    }
    let mut task = Value::Null;
    until(PATIENCE * 3, || {
        task = agent.request("tasks/get", with_tasks(json!({"taskId": id})))["result"].clone();
        if task["status"] == "working" { Err(task.to_string()) } else { Ok(()) }
    })
    .unwrap();
    assert_eq!(task["status"], "completed", "{task}");
    cloud.hostile.calm();
    let written = &task["result"]["structuredContent"];
    let unknown = written["failed"].as_array().map_or(0, Vec::len);
    let ledger = Arc::new(Mutex::new(Ledger::default()));
    if written["more_ids"].is_null() {
        for (key, said) in keys.iter().zip(of_result(&task["result"], keys.len())) {
            ledger.lock().unwrap().made(Verb::Create, key, "made", 0, &said);
        }
    } else {
        // Not every id is listed: all of them are done.
        assert_eq!((written["count"].as_u64(), unknown), (Some(keys.len() as u64), 0), "{written}");
        let records = crate::cloud::all(&mut cloud.upstream.insider(), harbour::SHIPMENTS);
        for key in &keys {
            let found = records.iter().find(|record| record["fields"]["Key"] == json!(key));
            let id = found.unwrap_or_else(|| panic!("{key} is lost"))["id"].as_str().unwrap().to_owned();
            ledger.lock().unwrap().made(Verb::Create, key, "made", 0, &super::ledger::Said::Done(id));
        }
    }
    settle(&cloud, &mut reader, &ledger, "kills while a task writes");
}
