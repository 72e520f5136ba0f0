//! The change log, undo, plans, comments and resources under a policy.

use serde_json::{Value, json};

use super::{NARROW, apply};
use crate::support::{Data, http, root, serve_http};

const ALL: [&str; 5] = ["--allow-write", "--allow-delete", "--toolsets", "all", "--allow-audit"];

/// Somebody who sees everything writes through `/v0`.
struct Other {
    server: crate::support::HttpServer,
}

impl Other {
    fn write(&self, method: &str, path: &str, body: &Value) -> Value {
        let bearer = format!("Bearer {}", self.server.token);
        let headers = [("Authorization", bearer.as_str()), ("Content-Type", "application/json")];
        let path = match path.strip_prefix("../") {
            Some(path) => format!("/v0/{path}"),
            None => format!("/v0/appShop0000000000/{path}"),
        };
        let answer = http(&self.server.address, method, &path, &headers, body.to_string().as_bytes());
        assert_eq!(answer.status, 200, "{}", answer.body);
        serde_json::from_str(&answer.body).unwrap()
    }
}

#[test]
fn changes_of_what_is_not_seen_are_not_told() {
    let data = Data::with_shop();
    let other = Other { server: serve_http(&data, &["--allow-write", "--allow-delete"]) };
    apply(&data, NARROW);
    let mut client = data.serve(&ALL).initialize();
    let start = client.structured("wait_for_changes", json!({"base": "Shop", "timeout_seconds": 0}));
    let since = start["cursor"].clone();
    let of = |id: &str, fields: Value| json!({"records": [{"id": id, "fields": fields}]});
    other.write("PATCH", "Goods", &of("recChair000000000", json!({"Name": "stool"})));
    other.write("PATCH", "Goods", &of("recLamp0000000000", json!({"Price": 41, "Stock": 9})));
    other.write("PATCH", "Goods", &of("recDesk0000000000", json!({"Listed": true})));
    other.write("PATCH", "Goods", &of("recLamp0000000000", json!({"Name": "Light"})));
    let news =
        client.structured("wait_for_changes", json!({"base": "Shop", "since": since, "timeout_seconds": 0}));
    let told: Vec<(&str, &str)> = news["changes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|change| (change["id"].as_str().unwrap(), change["change"].as_str().unwrap()))
        .collect();
    assert_eq!(told, [("recDesk0000000000", "created"), ("recLamp0000000000", "updated")], "{news}");
    assert!(!news.to_string().contains("Price") && !news.to_string().contains("stool"), "{news}");
    let log = client.structured("list_changes", json!({"base": "Shop"}));
    assert_eq!(log["changes"].as_array().map(Vec::len), Some(1), "nothing that others did: {log}");
    assert_eq!(log["changes"][0]["summary"], "the base came from a file");
    let audit = client.structured("query_audit_log", json!({}));
    let others = audit["lines"].as_array().unwrap().iter().filter(|line| line["by"] != "local").count();
    assert_eq!(others, 0, "{audit}");
}

#[test]
fn own_changes_are_taken_back_whole() {
    let data = Data::with_shop();
    apply(&data, NARROW);
    let mut client = data.serve(&ALL).initialize();
    let goods = |more: Value| {
        let mut asked = json!({"base": "Shop", "table": "Goods"});
        asked.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        asked
    };
    let done = client.structured("delete_records", goods(json!({"records": ["recLamp0000000000"]})));
    let log = client.structured("list_changes", json!({"base": "Shop"}));
    assert_eq!(log["changes"][0]["summary"], "Goods: 1 deleted; Makers: 1 changed", "{log}");
    let history = client.text("get_record_history", goods(json!({"record": "recLamp0000000000"})));
    assert!(
        history.contains("Lamp") && !history.contains("Price") && !history.contains("\"Stock\""),
        "{history}"
    );
    client.structured("undo_changes", json!({"base": "Shop", "changes": [done["change"]]}));
    let file = data.path().join("whole.json");
    data.ok(&["base", "export", "Shop", "--output", file.to_str().unwrap()]);
    let text = std::fs::read_to_string(file).unwrap();
    let base: Value = serde_json::from_str(&text).unwrap();
    let lamp = base["records"]["tblGoods000000000"]
        .as_array()
        .unwrap()
        .iter()
        .find(|r| r["id"] == "recLamp0000000000");
    assert_eq!(lamp.unwrap()["fields"]["Price"], 40, "what was not seen is back, too");
}

#[test]
fn plans_and_previews_show_what_is_seen() {
    let data = Data::with_shop();
    apply(&data, NARROW);
    let mut client = data.serve(&ALL).initialize();
    let dry = client.text(
        "delete_records",
        json!({"base": "Shop", "table": "Goods", "records": ["recLamp0000000000"], "dry_run": true}),
    );
    assert!(dry.contains("Lamp"), "{dry}");
    assert!(!dry.contains("Price") && !dry.contains("\"Stock\"") && !dry.contains("120"), "{dry}");
}

#[test]
fn resources_comments_and_completions_know_nothing_either() {
    let data = Data::with_shop();
    apply(&data, NARROW);
    let mut client = data.serve(&ALL).initialize();
    let read = |client: &mut crate::support::Client, uri: &str| {
        client.request("resources/read", json!({"uri": uri})).to_string()
    };
    let schema = read(&mut client, "airtable://appShop0000000000/tblGoods000000000/schema");
    assert!(schema.contains("Stock") && !schema.contains("Price"), "{schema}");
    let lamp = read(&mut client, "airtable://appShop0000000000/tblGoods000000000/recLamp0000000000");
    assert!(lamp.contains("Lamp") && !lamp.contains("40"), "{lamp}");
    let chair = read(&mut client, "airtable://appShop0000000000/tblGoods000000000/recChair000000000");
    let never = read(&mut client, "airtable://appShop0000000000/tblGoods000000000/recNever000000000");
    let plain = |text: &str| {
        let value: Value = serde_json::from_str(text).unwrap();
        value["error"].to_string()
    };
    assert_eq!(plain(&chair).replace("recChair000000000", "recNever000000000"), plain(&never));
    let subscribed = client.request(
        "resources/subscribe",
        json!({"uri": "airtable://appShop0000000000/tblGoods000000000/schema"}),
    );
    assert!(subscribed.to_string().contains("use wait_for_changes"), "{subscribed}");
    let chair = json!({"base": "Shop", "table": "Goods", "record": "recChair000000000"});
    let said = client.refused("list_comments", chair);
    assert!(said.contains("has no record"), "{said}");
}

#[test]
fn what_was_subscribed_to_before_a_policy_is_not_told_under_it() {
    let data = Data::with_shop();
    let shop = std::fs::read_to_string(root().join("tests/fixtures/shop.json")).unwrap();
    let ledger = shop.replace("appShop0000000000", "appOther000000000").replace("\"Shop\"", "\"Ledger\"");
    let file = data.path().join("ledger.json");
    std::fs::write(&file, ledger).unwrap();
    data.import(&file);
    let other = Other { server: serve_http(&data, &["--allow-write", "--allow-schema"]) };
    let mut client = data.serve(&ALL).initialize();
    let lamp = |base: &str| format!("airtable://{base}/tblGoods000000000/recLamp0000000000");
    for base in ["appShop0000000000", "appOther000000000"] {
        let answer = client.request("resources/subscribe", json!({"uri": lamp(base)}));
        assert!(answer["error"].is_null(), "{answer}");
    }
    apply(&data, NARROW);
    let stock = |stock: u8| json!({"fields": {"Stock": stock}});
    other.write("PATCH", "Goods/recLamp0000000000", &stock(77));
    let table = json!({"name": "Secret", "fields": [{"name": "Name", "type": "singleLineText"}]});
    other.write("POST", "../meta/bases/appShop0000000000/tables", &table);
    other.write("PATCH", "../appOther000000000/Goods/recLamp0000000000", &stock(78));
    let first = loop {
        if let Some(heard) = (!client.aside.is_empty()).then(|| client.aside.remove(0)) {
            break heard;
        }
        let message = client.receive().unwrap();
        client.aside.push(message);
    };
    assert_eq!(first["method"], "notifications/resources/updated", "no word of new tables: {first}");
    assert_eq!(first["params"]["uri"], json!(lamp("appOther000000000")));
    let listed = client.request("resources/subscribe", json!({"uri": "airtable://bases"}));
    assert!(listed.to_string().contains("read it again"), "{listed}");
}
