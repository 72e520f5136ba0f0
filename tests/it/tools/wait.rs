//! Waiting for changes.

use serde_json::{Value, json};

use super::copied::{self, Upstream};
use super::everything;
use crate::support::Client;

const LAMP: &str = "recLamp0000000000";
const CHAIR: &str = "recChair000000000";

fn set(writer: &mut Client, record: &str, fields: Value) {
    copied::set(writer, "Goods", record, fields);
}

/// What happened since a cursor, without waiting.
fn look(client: &mut Client, mut more: Value) -> Value {
    more["base"] = json!("Shop");
    more["timeout_seconds"] = json!(0);
    client.structured("wait_for_changes", more)
}

fn now(client: &mut Client) -> Value {
    look(client, json!({}))["cursor"].clone()
}

#[test]
fn changes_are_told_with_what_they_are_now_and_none_is_missed() {
    let (_data, mut client) = everything();
    let start = now(&mut client);
    set(&mut client, LAMP, json!({"Stock": 10}));
    set(&mut client, LAMP, json!({"Stock": 11, "Price": 2}));
    let make = json!({"base": "Shop", "table": "Goods", "records": [{"Name": "Stool"}, {"Name": "Gone"}]});
    let made = client.structured("create_records", make)["ids"].clone();
    client
        .structured("delete_records", json!({"base": "Shop", "table": "Goods", "records": [made[1], CHAIR]}));
    let told = look(&mut client, json!({"since": start, "table": "Goods", "fields": ["Name", "Stock"]}));
    let changes = told["changes"].as_array().unwrap();
    assert_eq!(
        changes[0],
        json!({"table": "Goods", "id": LAMP, "change": "updated", "changed": ["Price", "Stock", "Changed"],
            "fields": {"Name": "Lamp", "Stock": 11}})
    );
    assert_eq!((&changes[1]["id"], &changes[1]["change"]), (&made[0], &json!("created")));
    assert_eq!(changes[1]["fields"]["Name"], "Stool");
    assert_eq!(changes[2], json!({"table": "Goods", "id": CHAIR, "change": "deleted"}), "{told}");
    assert_eq!(changes.len(), 3, "what came and went is nothing: {told}");
    assert_eq!(told["more"], false);
    // From there on there is nothing, however often one asks.
    for _ in 0..2 {
        let none = look(&mut client, json!({"since": told["cursor"]}));
        assert_eq!((&none["changes"], &none["cursor"]), (&json!([]), &told["cursor"]));
    }
    // Other tables are told of when none is named.
    let all = look(&mut client, json!({"since": start}));
    assert!(all["changes"].as_array().unwrap().iter().any(|change| change["table"] == "Makers"), "{all}");
}

#[test]
fn many_changes_come_in_parts() {
    let (_data, mut client) = everything();
    let start = now(&mut client);
    let records: Vec<Value> = (0..25).map(|n| json!({"Name": format!("N{n}")})).collect();
    let make = json!({"base": "Shop", "table": "Goods", "records": records});
    let made = client.structured("create_records", make)["ids"].clone();
    let (mut cursor, mut ids) = (start, Vec::new());
    loop {
        let part = look(&mut client, json!({"since": cursor, "limit": 10, "table": "Goods"}));
        ids.extend(part["changes"].as_array().unwrap().iter().map(|change| change["id"].clone()));
        cursor = part["cursor"].clone();
        if part["more"] == false {
            break;
        }
    }
    assert_eq!(json!(ids), made, "each once, in order, although one commit made them all");
    // The characters of an answer are a bound too.
    let long = "x".repeat(900);
    let records: Vec<Value> =
        made.as_array().unwrap().iter().map(|id| json!({"id": id, "fields": {"Notes": long}})).collect();
    client.structured("update_records", json!({"base": "Shop", "table": "Goods", "records": records}));
    let part = look(&mut client, json!({"since": cursor}));
    let told = part["changes"].as_array().unwrap().len();
    assert!(part["more"] == true && told < 25 && part.to_string().len() < 25_000, "{told}");
    let rest = look(&mut client, json!({"since": part["cursor"]}));
    assert_eq!(told + rest["changes"].as_array().unwrap().len(), 25);
}

#[test]
fn a_filter_keeps_what_matches_now_or_matched_before() {
    let (_data, mut client) = everything();
    let start = now(&mut client);
    // The lamp leaves, the desk stays outside, the chair comes in by a computed field.
    set(&mut client, LAMP, json!({"Stock": 0}));
    set(&mut client, "recDesk0000000000", json!({"Notes": "?"}));
    set(&mut client, CHAIR, json!({"Stock": 20}));
    let asked = json!({"since": start, "table": "Goods", "filter": "{Worth} > 100"});
    let told = look(&mut client, asked.clone());
    let told: Vec<(&Value, &Value)> =
        told["changes"].as_array().unwrap().iter().map(|c| (&c["id"], &c["matches"])).collect();
    assert_eq!(told, [(&json!(LAMP), &json!(false)), (&json!(CHAIR), &json!(true))]);
    // Of deleted ones those that matched.
    let start = now(&mut client);
    let gone = json!([CHAIR, "recDesk0000000000"]);
    client.structured("delete_records", json!({"base": "Shop", "table": "Goods", "records": gone}));
    let asked = json!({"since": start, "table": "Goods", "filter": "{Worth} > 100"});
    let told = look(&mut client, asked);
    assert_eq!(told["changes"], json!([{"table": "Goods", "id": CHAIR, "change": "deleted"}]));
}

#[test]
fn wrong_questions_are_refused() {
    let (data, mut client) = everything();
    let ask = |more: Value| {
        let mut asked = json!({"base": "Shop", "timeout_seconds": 0});
        asked.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        asked
    };
    for (more, why) in [
        (json!({"filter": "1"}), "need table"),
        (json!({"table": "Goods", "filter": "{Nme} = 1"}), "Nme"),
        (json!({"table": "Goods", "fields": ["Nme"]}), "Name"),
        (json!({"timeout_seconds": 61}), "0 to 60"),
        (json!({"limit": 0}), "1 to 1000"),
        (json!({"since": "yesterday"}), "invalid_cursor"),
        (json!({"since": 99_999}), "invalid_cursor"),
        (json!({"since": "-1"}), "invalid_cursor"),
    ] {
        let refused = client.refused("wait_for_changes", ask(more.clone()));
        assert!(refused.contains(why), "{more}: {refused}");
    }
    let start = now(&mut client);
    set(&mut client, LAMP, json!({"Stock": 1}));
    set(&mut client, LAMP, json!({"Stock": 2}));
    client.finish();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(data.path().join("tablewright.db"));
        let mut connection = sqlx::ConnectOptions::connect(&options).await.unwrap();
        let prune = "DELETE FROM changes WHERE seq < (SELECT MAX(seq) FROM changes)";
        sqlx::query(prune).execute(&mut connection).await.unwrap();
        sqlx::Connection::close(connection).await.unwrap();
    });
    let mut client = data.serve(&["--no-daemon", "--toolsets", "all"]).initialize();
    let refused = client.refused("wait_for_changes", ask(json!({"since": start})));
    assert!(refused.contains("not kept any more"), "{refused}");
}

#[test]
fn a_call_that_waits_hears_of_a_change_and_ends_when_it_is_cancelled() {
    let data = crate::support::Data::with_shop();
    let mut writer = data.serve(&["--allow-write"]).initialize();
    let mut client = data.serve(&["--toolsets", "all"]).initialize();
    let wait = |client: &mut Client, more: Value| {
        let mut arguments = json!({"base": "Shop", "timeout_seconds": 60});
        arguments.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        client.begin("tools/call", json!({"name": "wait_for_changes", "arguments": arguments}))
    };
    let since = now(&mut client);
    let waiting = wait(&mut client, json!({"since": since, "table": "Goods", "filter": "{Stock} = 7"}));
    set(&mut writer, LAMP, json!({"Stock": 6}));
    set(&mut writer, CHAIR, json!({"Stock": 7}));
    let told = client.wait_for(waiting)["result"]["structuredContent"].clone();
    assert_eq!(told["changes"][0]["id"], CHAIR, "{told}");
    assert_eq!(told["changes"].as_array().unwrap().len(), 1);
    let waiting = wait(&mut client, json!({"since": told["cursor"]}));
    client.send(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled",
        "params": {"requestId": waiting}}));
    assert_eq!(now(&mut client), told["cursor"], "nothing keeps the next call waiting");
    // A base that goes away while one waits.
    let waiting = wait(&mut client, json!({"since": told["cursor"]}));
    now(&mut client);
    data.ok(&["base", "delete", "Shop", "--yes"]);
    let gone = client.wait_for(waiting)["result"].clone();
    assert_eq!(gone["isError"], true, "{gone}");
    assert!(gone["content"][0]["text"].as_str().unwrap().contains("unknown_base"), "{gone}");
}

#[test]
fn changes_in_airtable_are_heard_of_soon() {
    let upstream = Upstream::new();
    let copied = upstream.copied();
    let mut client = copied.reader();
    let mut writer = upstream.writer();
    let mut since = now(&mut client);
    let mut slowest = std::time::Duration::ZERO;
    for stock in [50, 51, 52] {
        let asked = json!({"base": "Shop", "table": "Goods", "since": since, "timeout_seconds": 20});
        let waiting = client.begin("tools/call", json!({"name": "wait_for_changes", "arguments": asked}));
        set(&mut writer, LAMP, json!({"Stock": stock}));
        let written = std::time::Instant::now();
        let told = client.wait_for(waiting)["result"]["structuredContent"].clone();
        slowest = slowest.max(written.elapsed());
        assert_eq!(told["changes"][0]["fields"]["Stock"], stock, "{told}");
        assert!(told["changes"][0]["changed"].as_array().unwrap().contains(&json!("Worth")), "{told}");
        assert_eq!(told["source"], "replica");
        since = told["cursor"].clone();
    }
    assert!(slowest.as_secs() < 10, "{slowest:?}");
}
