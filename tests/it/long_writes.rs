//! Writes of many records: in parts, with news, stopped between parts, and as tasks that survive.

use serde_json::{Value, json};

use crate::support::{Client, Data};

const META: &str = "io.modelcontextprotocol";

fn shop() -> Data {
    Data::with_shop()
}

fn records(count: usize) -> Vec<Value> {
    (0..count).map(|n| json!({"Name": format!("Part {n}"), "Stock": n})).collect()
}

fn create(count: usize) -> Value {
    json!({"name": "create_records", "arguments": {"base": "Shop", "table": "Goods", "records": records(count)}})
}

/// How many records of the table have a name that starts with "Part ".
fn made(client: &mut Client) -> u64 {
    let text = client.text(
        "list_records",
        json!({"base": "Shop", "table": "Goods", "limit": 1, "filter": "LEFT({Name}, 5) = 'Part '"}),
    );
    let total = text.split(" of ").last().and_then(|rest| rest.split_whitespace().next());
    total.and_then(|word| word.parse().ok()).unwrap_or_else(|| panic!("{text}"))
}

#[test]
fn progress_rises_to_the_end() {
    let data = shop();
    let mut client = data.serve(&["--allow-write"]).initialize();
    let mut params = create(3_500);
    params["_meta"] = json!({"progressToken": "p1"});
    let result = client.request("tools/call", params)["result"]["structuredContent"].clone();
    assert_eq!((&result["count"], &result["more_ids"]), (&json!(3_500), &json!(2_500)), "{result}");
    assert!(result["first_change"].as_i64().unwrap() < result["change"].as_i64().unwrap());
    let news: Vec<(u64, u64)> = client
        .aside
        .iter()
        .filter(|m| m["method"] == "notifications/progress" && m["params"]["progressToken"] == "p1")
        .map(|m| {
            (m["params"]["progress"].as_f64().unwrap() as u64, m["params"]["total"].as_f64().unwrap() as u64)
        })
        .collect();
    assert_eq!(news, [(1_000, 3_500), (2_000, 3_500), (3_000, 3_500), (3_500, 3_500)]);
    assert_eq!(made(&mut client), 3_500);
}

#[test]
fn a_cancelled_write_stops_between_two_parts() {
    let data = shop();
    let mut client = data.serve(&["--allow-write"]).initialize();
    let mut params = create(30_000);
    params["_meta"] = json!({"progressToken": 7});
    let id = client.begin("tools/call", params);
    loop {
        let message = client.receive().unwrap();
        if message["method"] == "notifications/progress" {
            break;
        }
    }
    client.send(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": id}}));
    // What comes after is served; how many are there stays as it is then, in whole parts.
    let mut seen = Vec::new();
    while seen.len() < 3 || seen[seen.len() - 3] != seen[seen.len() - 1] {
        seen.push(made(&mut client));
    }
    let count = *seen.last().unwrap();
    assert!(count.is_multiple_of(1_000) && (1_000..30_000).contains(&count), "{seen:?}");
}

/// Parameters of the newer era, from a client that knows tasks.
pub fn with_tasks(mut params: Value) -> Value {
    params["_meta"] = json!({
        format!("{META}/protocolVersion"): "2026-07-28",
        format!("{META}/clientCapabilities"): {"extensions": {format!("{META}/tasks"): {}}},
        format!("{META}/clientInfo"): {"name": "test", "version": "1"},
    });
    params
}

pub fn poll(client: &mut Client, id: &Value) -> Value {
    client.request("tasks/get", with_tasks(json!({"taskId": id})))["result"].clone()
}

pub fn ended(client: &mut Client, id: &Value) -> Value {
    let deadline = std::time::Instant::now() + crate::support::PATIENCE;
    loop {
        let task = poll(client, id);
        if task["status"] != "working" {
            return task;
        }
        assert!(std::time::Instant::now() < deadline, "{task}");
    }
}

#[test]
fn a_long_write_is_a_task_for_who_knows_them() {
    let data = shop();
    let mut client = data.serve(&["--allow-write"]);
    let answer = client.request("tools/call", with_tasks(create(2_500)));
    let task = &answer["result"];
    assert_eq!((&task["resultType"], &task["status"]), (&json!("task"), &json!("working")), "{answer}");
    let id = task["taskId"].clone();
    let task = ended(&mut client, &id);
    assert_eq!(task["status"], "completed", "{task}");
    assert_eq!(task["result"]["structuredContent"]["count"], 2_500, "{task}");
    // A short one is answered at once; others' tasks and made-up ones are not known.
    let answer = client.request("tools/call", with_tasks(create(2)));
    assert_eq!(answer["result"]["structuredContent"]["count"], 2, "{answer}");
    let unknown = client.request("tasks/get", with_tasks(json!({"taskId": "task_0"})));
    assert_eq!(unknown["error"]["code"], -32602, "{unknown}");
    let mut plain = with_tasks(json!({"taskId": id}));
    plain["_meta"][format!("{META}/clientCapabilities")] = json!({});
    assert_eq!(client.request("tasks/get", plain)["error"]["code"], -32021);
}

#[test]
fn a_cancelled_task_says_what_was_done() {
    let data = shop();
    let mut client = data.serve(&["--allow-write"]);
    let id = client.request("tools/call", with_tasks(create(40_000)))["result"]["taskId"].clone();
    let answer = client.request("tasks/cancel", with_tasks(json!({"taskId": id})));
    assert!(answer.get("error").is_none(), "{answer}");
    let task = ended(&mut client, &id);
    assert_eq!(task["status"], "cancelled", "{task}");
    let said = task["statusMessage"].as_str().unwrap().to_owned();
    let done: u64 = said.split_whitespace().find_map(|word| word.parse().ok()).unwrap();
    let rest = said.split(", ").last().unwrap().split(' ').next().unwrap().parse::<u64>().unwrap();
    assert_eq!(done + rest, 40_000, "{said}");
}

#[test]
fn a_task_goes_on_after_its_owner_was_killed() {
    let data = shop();
    let mut client = data.serve(&["--allow-write"]);
    let id = client.request("tools/call", with_tasks(create(12_000)))["result"]["taskId"].clone();
    let mut kills = 0;
    let deadline = std::time::Instant::now() + crate::support::PATIENCE;
    while kills < 2 {
        let before = poll(&mut client, &id);
        if before["status"] != "working" {
            break;
        }
        // Killed in the middle: after some part was done since the last time.
        if before["statusMessage"].as_str().is_some_and(|m| m.contains(" of ")) && data.kill_owner() {
            kills += 1;
        }
        assert!(std::time::Instant::now() < deadline, "{before}");
    }
    assert!(kills > 0, "the task ended before anything could be killed");
    let task = ended(&mut client, &id);
    assert_eq!(task["status"], "completed", "{task}");
    assert_eq!(task["result"]["structuredContent"]["count"], 12_000, "{task}");
    assert_eq!(made_in(&data), 12_000, "nothing is there twice, nothing is missing");
}

fn made_in(data: &Data) -> u64 {
    let mut client = data.serve(&[]).initialize();
    made(&mut client)
}

#[test]
fn an_upsert_of_many_is_matched_once() {
    let data = shop();
    let mut client = data.serve(&["--allow-write"]).initialize();
    let call = |merge: Value, records: Vec<Value>| json!({"base": "Shop", "table": "Goods", "merge_on": merge, "records": records});
    let first = client.structured("upsert_records", call(json!(["Name"]), records(2_500)));
    assert_eq!((&first["count"], &first["created"]), (&json!(2_500), &json!(2_500)), "{first}");
    let mut again = records(2_500);
    // Twins of a new record, in two parts: both are new, for neither was there before.
    again.insert(0, json!({"Name": "twin"}));
    again.push(json!({"Name": "twin"}));
    let second = client.structured("upsert_records", call(json!(["Name"]), again));
    assert_eq!((&second["count"], &second["created"]), (&json!(2_502), &json!(2)), "{second}");
    let ambiguous = client.call("upsert_records", call(json!(["Name"]), vec![json!({"Name": "twin"})]));
    assert!(ambiguous.to_string().contains("ambiguous"), "{ambiguous}");
    assert!(client.refused("upsert_records", call(json!([]), records(1))).contains("merge_on"));
    assert!(
        client.refused("upsert_records", call(json!(["Maker"]), records(1))).contains("cannot be merged on")
    );
}
