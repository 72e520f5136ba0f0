//! Writes under a policy: in terms of what is seen, with nothing lost of what is not.

use serde_json::{Value, json};

use super::{apply, bound};
use crate::support::{Client, Data, http, serve_http};

const ALL: [&str; 4] = ["--allow-write", "--allow-delete", "--toolsets", "all"];

/// Writes records of the goods; the message of the first that failed, if one did.
fn write(client: &mut Client, tool: &str, more: Value) -> Option<String> {
    let mut asked = json!({"base": "Shop", "table": "Goods"});
    asked.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let done = client.call(tool, asked);
    let failed = &done["structuredContent"]["failed"][0]["message"];
    match failed.as_str() {
        Some(message) => Some(message.to_owned()),
        None if done["isError"] == true => done["content"][0]["text"].as_str().map(str::to_owned),
        None => None,
    }
}

fn update(client: &mut Client, id: &str, fields: Value) -> Option<String> {
    write(client, "update_records", json!({"records": [{"id": id, "fields": fields}]}))
}

fn create(client: &mut Client, fields: Value) -> Option<String> {
    write(client, "create_records", json!({"records": [fields]}))
}

/// A record as the owner of the machine sees it.
fn whole(data: &Data, table: &str, id: &str) -> Value {
    let file = data.path().join("whole.json");
    data.ok(&["base", "export", "Shop", "--output", file.to_str().unwrap(), "--force"]);
    let base: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let records = base["records"][table].as_array().unwrap();
    records.iter().find(|record| record["id"] == id).unwrap()["fields"].clone()
}

const GOODS: &str = "tblGoods000000000";

#[test]
fn records_and_fields_that_are_not_seen_cannot_be_written() {
    let (data, client) = bound(super::NARROW, &ALL);
    let mut client = client.initialize();
    let chair = update(&mut client, "recChair000000000", json!({"Name": "mine"})).unwrap();
    assert_eq!(chair, "table \"Goods\" has no record recChair000000000.");
    let price = update(&mut client, "recLamp0000000000", json!({"Price": 1})).unwrap();
    assert!(price.contains("has no field \"Price\""), "{price}");
    let by_id = update(&mut client, "recLamp0000000000", json!({"fldGPrice00000000": 1})).unwrap();
    assert!(by_id.contains("fldGPrice00000000") && !by_id.contains("Price\""), "{by_id}");
    let stock = update(&mut client, "recLamp0000000000", json!({"Stock": 1})).unwrap();
    assert!(stock.contains("\"Stock\" is masked for you (redact)"), "{stock}");
    assert!(write(&mut client, "delete_records", json!({"records": ["recChair000000000"]})).is_some());
    assert_eq!(update(&mut client, "recLamp0000000000", json!({"Name": "Light"})), None);
    let lamp = whole(&data, GOODS, "recLamp0000000000");
    assert_eq!((&lamp["Name"], &lamp["Price"], &lamp["Stock"]), (&json!("Light"), &json!(40), &json!(3)));
    assert_eq!(whole(&data, GOODS, "recChair000000000")["Name"], "chair");
}

#[test]
fn a_record_has_to_stay_one_that_its_writer_sees() {
    let (data, client) = bound(super::NARROW, &ALL);
    let mut client = client.initialize();
    let out = update(&mut client, "recLamp0000000000", json!({"Listed": false})).unwrap();
    assert!(out.contains("would not be one that you see"), "{out}");
    let new = create(&mut client, json!({"Name": "Shelf"})).unwrap();
    assert!(new.contains("would not be one that you see"), "{new}");
    assert_eq!(create(&mut client, json!({"Name": "Shelf", "Listed": true})), None);
    let dry = client.call(
        "create_records",
        json!({"base": "Shop", "table": "Goods", "records": [{"Name": "x"}], "dry_run": true}),
    );
    assert!(dry.to_string().contains("would not be one that you see"), "{dry}");
    assert_eq!(whole(&data, GOODS, "recLamp0000000000")["Listed"], true);
    // Good ones go ahead beside bad ones.
    let mixed = json!({"base": "Shop", "table": "Goods", "records": [{"Name": "no"}, {"Name": "yes", "Listed": true}]});
    let done = client.structured("create_records", mixed);
    assert_eq!((&done["count"], &done["failed"][0]["index"]), (&json!(1), &json!(0)), "{done}");
    let names: Vec<Value> =
        super::records(&mut client, json!({})).iter().map(|r| r["fields"]["Name"].clone()).collect();
    assert_eq!(names, [json!("Lamp"), json!("Shelf"), json!("yes")]);
}

#[test]
fn upserts_match_what_is_seen_and_replacing_empties_nothing_else() {
    let (data, client) = bound(super::NARROW, &ALL);
    let mut client = client.initialize();
    // A hidden chair is there; to the caller this one is new.
    let made = client.structured(
        "upsert_records",
        json!({"base": "Shop", "table": "Goods", "merge_on": ["Name"], "records": [{"Name": "chair", "Listed": true}]}),
    );
    assert_eq!(made["created"], 1, "{made}");
    assert_eq!(whole(&data, GOODS, "recChair000000000").get("Listed"), None);
    let masked = client.refused(
        "upsert_records",
        json!({"base": "Shop", "table": "Goods", "merge_on": ["Stock"], "records": [{"Stock": 3}]}),
    );
    assert!(masked.contains("masked for you"), "{masked}");
}

#[test]
fn links_that_are_not_seen_stay_when_a_list_is_written() {
    let (data, client) = bound(super::NARROW, &ALL);
    let mut client = client.initialize();
    let makers = |client: &mut Client, goods: Value| {
        let records = json!([{"id": "recBolt0000000000", "fields": {"Goods": goods}}]);
        client.call(
            "update_records",
            json!({"base": "Shop", "table": "Makers", "records": records, "typecast": true}),
        )
    };
    assert_eq!(makers(&mut client, json!(["recLamp0000000000"]))["isError"], json!(false));
    let bolt = whole(&data, "tblMakers00000000", "recBolt0000000000");
    assert_eq!(bolt["Goods"], json!(["recLamp0000000000", "recChair000000000"]), "the chair stays");
    assert_eq!(makers(&mut client, json!([]))["isError"], json!(false));
    let bolt = whole(&data, "tblMakers00000000", "recBolt0000000000");
    assert_eq!(bolt["Goods"], json!(["recChair000000000"]));
    let hidden = makers(&mut client, json!(["recDesk0000000000"])).to_string();
    let never = makers(&mut client, json!(["recNever000000000"])).to_string();
    assert!(hidden.contains("which has no record"), "{hidden}");
    assert_eq!(hidden.replace("recDesk0000000000", "recNever000000000"), never);
    let by_name = makers(&mut client, json!(["Desk"])).to_string();
    assert!(by_name.contains("no record that you see is called"), "{by_name}");
    assert_eq!(makers(&mut client, json!(["Lamp"]))["isError"], json!(false));
}

#[test]
fn rules_say_which_verbs_and_what_a_record_may_be() {
    let data = Data::with_shop();
    apply(
        &data,
        r#"
version = 1
default = "deny"

[[allow]]
name = "look"
who = ["local"]
verbs = ["read"]
base = "Shop"

[[allow]]
name = "work"
who = ["local"]
verbs = ["create", "update"]
base = "Shop"
tables = ["Goods"]
fields = ["Name", "Stock"]

[[write]]
name = "small stock"
who = ["local"]
base = "Shop"
table = "Goods"
require = "{Stock} <= 10"
"#,
    );
    let mut client = data.serve(&ALL).initialize();
    assert_eq!(update(&mut client, "recDesk0000000000", json!({"Stock": 10})), None);
    let many = update(&mut client, "recDesk0000000000", json!({"Stock": 11})).unwrap();
    assert!(many.contains("the rule \"small stock\" of the policy"), "{many}");
    let price = update(&mut client, "recDesk0000000000", json!({"Price": 1})).unwrap();
    assert!(price.contains("you may not write field \"Price\": no rule of the policy allows it"), "{price}");
    let gone = write(&mut client, "delete_records", json!({"records": ["recDesk0000000000"]})).unwrap();
    assert!(gone.contains("you may not delete records of table \"Goods\""), "{gone}");
    let makers = client
        .refused("create_records", json!({"base": "Shop", "table": "Makers", "records": [{"Name": "New"}]}));
    assert!(makers.contains("you may not create records in table \"Makers\""), "{makers}");
}

#[test]
fn writers_at_once_do_not_get_in_each_others_way_and_lose_no_hidden_link() {
    let data = Data::with_shop();
    let server = serve_http(&data, &["--allow-write"]);
    let owner = server.token.clone();
    let scopes = "data.records:read,data.records:write";
    let bound = data.ok(&["token", "create", "--name", "bound", "--scopes", scopes]).trim().to_owned();
    apply(&data, &super::NARROW.replace("\"local\"", "\"token:bound\""));
    let send = |token: &str, method: &str, path: &str, body: Value| {
        let bearer = format!("Bearer {token}");
        let headers = [("Authorization", bearer.as_str()), ("Content-Type", "application/json")];
        let path = format!("/v0/appShop0000000000/{path}");
        let answer = http(&server.address, method, &path, &headers, body.to_string().as_bytes());
        assert_eq!(answer.status, 200, "{}", answer.body);
    };
    let made = |n: usize, listed: bool| json!({"fields": {"Name": format!("good {n}"), "Listed": listed, "Maker": ["recAcme0000000000"]}});
    std::thread::scope(|scope| {
        for thread in 0..4 {
            // Two make what the other one sees, two what is hidden, and one writes the list of links.
            let (bound, owner, send, made) = (&bound, &owner, &send, &made);
            scope.spawn(move || {
                for n in 0..10 {
                    let token = if thread % 2 == 0 { bound } else { owner };
                    send(token, "POST", "Goods", made(10 * thread + n, thread % 2 == 0));
                }
            });
        }
        for _ in 0..10 {
            let lamp = json!({"fields": {"Goods": ["recLamp0000000000"]}});
            send(&bound, "PATCH", "Makers/recAcme0000000000", lamp);
        }
    });
    let links = whole(&data, "tblMakers00000000", "recAcme0000000000")["Goods"].as_array().unwrap().len();
    assert!(links >= 21, "the lamp and twenty that are hidden: {links}");
}
