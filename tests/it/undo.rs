//! The journal, and taking changes back.

mod cloud;
mod comments;
mod schema;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::hostile::chance::Chance;
pub use crate::plans::LAMP;
use crate::plans::{EVERYTHING, dry, goods, lamp, price};
use crate::support::{Client, Data};

const DESK: &str = "recDesk0000000000";
const ACME: &str = "recAcme0000000000";

pub fn open() -> (Data, Client) {
    let data = Data::with_shop();
    let client = data.serve(&EVERYTHING).initialize();
    (data, client)
}

pub fn undo(client: &mut Client, more: Value) -> Value {
    let mut arguments = json!({"base": "Shop"});
    arguments.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    client.structured("undo_changes", arguments)
}

fn change(answer: &Value) -> i64 {
    answer["change"].as_i64().unwrap_or_else(|| panic!("{answer}"))
}

/// Every record of both tables, without the times of edits.
pub fn state(client: &mut Client) -> BTreeMap<String, Value> {
    let mut all = BTreeMap::new();
    for table in ["Goods", "Makers"] {
        let listed = client.structured(
            "list_records",
            json!({"base": "Shop", "table": table, "format": "json", "limit": 1000}),
        );
        assert!(listed["cursor"].is_null(), "{listed}");
        for record in listed["records"].as_array().unwrap() {
            let mut fields = record["fields"].clone();
            fields.as_object_mut().unwrap().remove("Changed");
            all.insert(format!("{table} {}", record["id"].as_str().unwrap()), fields);
        }
    }
    all
}

/// Compares record by record, so that a failure can be read.
pub fn assert_same(is: &BTreeMap<String, Value>, was: &BTreeMap<String, Value>, what: &str) {
    for id in is.keys().chain(was.keys()) {
        assert_eq!(is.get(id), was.get(id), "{what}: {id}");
    }
}

#[test]
fn every_kind_of_write_is_taken_back() {
    let (_data, mut client) = open();
    let before = state(&mut client);
    let writes = [
        ("update_records", price(99)),
        (
            "update_records",
            goods(
                json!({"records": [{"id": LAMP, "fields": {"Maker": [], "Tags": ["rare"], "Notes": null}}], "typecast": true}),
            ),
        ),
        ("create_records", goods(json!({"records": [{"Name": "x", "Maker": [ACME]}, {"Name": "y"}]}))),
        ("delete_records", goods(json!({"records": [LAMP, DESK]}))),
        ("delete_records", json!({"base": "Shop", "table": "Makers", "records": [ACME]})),
        (
            "upsert_records",
            goods(json!({"merge_on": ["Name"], "records": [{"Name": "Lamp", "Stock": 1}, {"Name": "Z"}]})),
        ),
    ];
    for (tool, arguments) in writes {
        let done = client.structured(tool, arguments);
        assert_ne!(state(&mut client), before, "{tool}");
        let undone = undo(&mut client, json!({"changes": [change(&done)]}));
        assert_same(&state(&mut client), &before, tool);
        // And what took it back, too.
        let redone = undo(&mut client, json!({"changes": [change(&undone)]}));
        assert_ne!(state(&mut client), before, "{tool}");
        undo(&mut client, json!({"changes": [change(&redone)]}));
        assert_eq!(state(&mut client), before, "{tool}");
    }
}

#[test]
fn the_journal_says_who_did_what() {
    let (_data, mut client) = open();
    let done = client.structured("update_records", price(99));
    client.structured("delete_records", goods(json!({"records": [LAMP]})));
    let listed = client.structured("list_changes", json!({"base": "Shop", "limit": 2}));
    let newest = &listed["changes"][0];
    assert_eq!(
        (&newest["by"], &newest["tool"], &newest["client"]),
        (&json!("local"), &json!("delete_records"), &json!("test/1"))
    );
    assert_eq!(newest["summary"], "Goods: 1 deleted; Makers: 1 changed");
    let older = client.structured("list_changes", json!({"base": "Shop", "before": listed["next"]}));
    assert!(older["changes"][0]["summary"].as_str().unwrap().contains("came from a file"), "{older}");
    let history = client.structured("get_record_history", goods(json!({"record": LAMP})));
    let events = history["changes"].as_array().unwrap();
    assert_eq!((&events[0]["change"], &events[0]["before"]["Name"]), (&json!("delete"), &json!("Lamp")));
    assert_eq!((&events[1]["before"]["Price"], &events[1]["after"]["Price"]), (&json!(40), &json!(99)));
    assert_eq!(events[1]["number"], done["change"]);
    let call = events[1]["number"].as_i64().unwrap();
    let of_call = listed["changes"][1]["call"].as_str().unwrap();
    let one = client.structured("list_changes", json!({"base": "Shop", "call": of_call}));
    assert_eq!(one["changes"][0]["number"], call);
    assert!(
        client.refused("list_changes", json!({"base": "Shop", "since": "yesterday"})).contains("no moment")
    );
    assert!(client.refused("list_changes", json!({"base": "Shop", "limit": 0})).contains("1 to 200"));
}

#[test]
fn what_somebody_changed_since_is_not_overwritten() {
    let (_data, mut client) = open();
    let mine = change(&client.structured(
        "update_records",
        goods(json!({"records": [{"id": LAMP, "fields": {"Price": 99, "Stock": 99}}]})),
    ));
    client.structured("update_records", price(7));
    let arguments = json!({"base": "Shop", "changes": [mine]});
    let refused = client.refused("undo_changes", arguments);
    assert!(
        refused.starts_with("conflict") && refused.contains("Price") && !refused.contains("Stock"),
        "{refused}"
    );
    assert_eq!(lamp(&mut client, "Stock"), 99);
    let skipped = undo(&mut client, json!({"changes": [mine], "on_conflict": "skip"}));
    assert_eq!(skipped["skipped"].as_array().unwrap().len(), 1);
    assert_eq!((lamp(&mut client, "Price"), lamp(&mut client, "Stock")), (json!(7), json!(3)));
    undo(&mut client, json!({"changes": [change(&skipped)]}));
    undo(&mut client, json!({"changes": [mine], "on_conflict": "overwrite"}));
    assert_eq!((lamp(&mut client, "Price"), lamp(&mut client, "Stock")), (json!(40), json!(3)));
    let twice = client.refused("undo_changes", json!({"base": "Shop", "changes": [mine]}));
    assert!(twice.contains("was taken back by change"), "{twice}");
    // Records that others link to since are left, and say so.
    let made = client.structured("create_records", goods(json!({"records": [{"Name": "new"}]})));
    let id = made["ids"][0].clone();
    client.structured("update_records", goods(json!({"records": [{"id": id, "fields": {"Stock": 5}}]})));
    let refused = client.refused("undo_changes", json!({"base": "Shop", "changes": [change(&made)]}));
    assert!(refused.contains("Stock"), "{refused}");
}

#[test]
fn links_that_others_made_since_stay() {
    let (_data, mut client) = open();
    let link = |id: &str, to: Value| goods(json!({"records": [{"id": id, "fields": {"Maker": to}}]}));
    client.structured("update_records", link(LAMP, json!([])));
    let mine = change(&client.structured("update_records", link(LAMP, json!([ACME]))));
    client.structured("update_records", link(DESK, json!([ACME])));
    undo(&mut client, json!({"changes": [mine]}));
    let maker = client.structured(
        "get_records",
        json!({"base": "Shop", "table": "Makers", "records": [ACME], "format": "json"}),
    );
    let goods = maker["records"][0]["fields"]["Goods"].as_array().unwrap().clone();
    assert!(goods.contains(&json!(DESK)) && !goods.contains(&json!(LAMP)), "{goods:?}");
}

#[test]
fn taking_back_can_be_looked_at_first() {
    let (_data, mut client) = open();
    let done = change(&client.structured("delete_records", goods(json!({"records": [LAMP]}))));
    let plan =
        client.structured("undo_changes", dry(json!({"base": "Shop", "changes": [done]})))["plan"].clone();
    assert_eq!(plan["records"][0]["change"], "create", "{plan}");
    assert!(!client.text("list_records", goods(json!({}))).contains("Lamp"));
    client.structured("apply_plan", json!({"plan": plan["id"]}));
    assert_eq!(lamp(&mut client, "Name"), "Lamp");
    let made = client.refused("undo_changes", json!({"base": "Shop", "changes": [1]}));
    assert!(made.contains("made the base"), "{made}");
    assert!(
        client.refused("undo_changes", json!({"base": "Shop", "changes": [9999]})).contains("no change 9999")
    );
    assert!(client.refused("undo_changes", json!({"base": "Shop"})).contains("say which changes"));
}

/// One random write; the number of its change, when it changed something.
fn random_write(client: &mut Client, chance: &mut Chance) -> Option<i64> {
    let table = if chance.below(4) == 0 { "Makers" } else { "Goods" };
    let ids = |client: &mut Client, table: &str| -> Vec<String> {
        let listed = client.structured(
            "list_records",
            json!({"base": "Shop", "table": table, "format": "json", "limit": 1000, "fields": ["Name"]}),
        );
        listed["records"].as_array().unwrap().iter().map(|r| r["id"].as_str().unwrap().to_owned()).collect()
    };
    let here = ids(client, table);
    let others = ids(client, if table == "Goods" { "Makers" } else { "Goods" });
    let some = |chance: &mut Chance, ids: &[String]| -> Vec<String> {
        let mut picked: Vec<String> = Vec::new();
        for _ in 0..chance.below(3) + 1 {
            if let Some(id) = ids.get(chance.below(ids.len().max(1))).filter(|id| !picked.contains(id)) {
                picked.push(id.clone());
            }
        }
        picked
    };
    let cells = |chance: &mut Chance| -> Value {
        let mut cells = json!({"Name": format!("name {}", chance.below(50))});
        let link = if table == "Goods" { "Maker" } else { "Goods" };
        if chance.below(2) == 0 {
            cells[link] = json!(some(chance, &others));
        }
        if table == "Goods" {
            match chance.below(5) {
                0 => cells["Price"] = json!(chance.below(100)),
                1 => cells["Tags"] = json!([format!("tag {}", chance.below(9)), "new"]),
                2 => cells["Notes"] = Value::Null,
                3 => cells["Listed"] = json!(chance.below(2) == 0),
                _ => cells["Since"] = json!(format!("2026-01-{:02}", chance.below(28) + 1)),
            }
        }
        cells
    };
    let at = json!({"base": "Shop", "table": table});
    let with = |key: &str, value: Value, typecast: bool| {
        let mut arguments = at.clone();
        arguments[key] = value;
        if typecast {
            arguments["typecast"] = json!(true);
        }
        arguments
    };
    let answer = match chance.below(5) {
        0 => {
            let records: Vec<Value> = (0..=chance.below(3)).map(|_| cells(chance)).collect();
            client.structured("create_records", with("records", json!(records), true))
        }
        1 if !here.is_empty() => {
            client.structured("delete_records", with("records", json!(some(chance, &here)), false))
        }
        2 => {
            let mut arguments = with("records", json!([cells(chance)]), true);
            arguments["merge_on"] = json!(["Name"]);
            // Several may have the name by now.
            client.call("upsert_records", arguments)["structuredContent"].clone()
        }
        _ if !here.is_empty() => {
            let records: Vec<Value> = some(chance, &here)
                .into_iter()
                .map(|id| json!({"id": id, "fields": cells(chance)}))
                .collect();
            client.structured("update_records", with("records", json!(records), true))
        }
        _ => return None,
    };
    answer["change"].as_i64()
}

#[test]
fn any_writes_are_taken_back_in_any_grouping() {
    for seed in 0..12 {
        let (_data, mut client) = open();
        let mut chance = Chance::new(seed);
        let before = state(&mut client);
        let mut changes: Vec<i64> = (0..30).filter_map(|_| random_write(&mut client, &mut chance)).collect();
        assert!(changes.len() > 10, "seed {seed}");
        while !changes.is_empty() {
            let group =
                changes.split_off(changes.len() - (chance.below(changes.len()) + 1).min(changes.len()));
            undo(&mut client, json!({"changes": group}));
        }
        assert_same(&state(&mut client), &before, &format!("seed {seed}"));
        // All of it at once, by the conversation it came from.
        let session =
            client.structured("list_changes", json!({"base": "Shop", "limit": 1}))["changes"][0]["session"]
                .clone();
        let more = (0..10).filter_map(|_| random_write(&mut client, &mut chance)).count();
        assert!(more > 0);
        undo(&mut client, json!({"session": session}));
        assert_same(&state(&mut client), &before, &format!("seed {seed}, by conversation"));
    }
}

#[test]
fn what_is_left_of_a_record_can_be_erased() {
    let data = Data::with_shop();
    let mut client = data.serve(&EVERYTHING).initialize();
    let secret = "Ada Lovelace, 12 St James's Square";
    let made =
        client.structured("create_records", goods(json!({"records": [{"Name": secret, "Notes": secret}]})));
    let id = made["ids"][0].as_str().unwrap().to_owned();
    client.structured("add_comment", goods(json!({"record": id, "text": secret})));
    let change = goods(json!({"records": [{"id": id, "fields": {"Notes": "moved"}}]}));
    client.structured("update_records", dry(change.clone()));
    let both = json!({"records": [{"id": id, "fields": {"Stock": 1}}, {"id": LAMP, "fields": {"Stock": 9}}]});
    client.structured("update_records", goods(both));
    let early = data.run(&["base", "erase", "Shop", &id, "--yes"]);
    assert!(String::from_utf8_lossy(&early.stderr).contains("delete it first"));
    client.structured("delete_records", goods(json!({"records": [id]})));
    let history =
        |client: &mut Client| client.call("get_record_history", goods(json!({"record": id}))).to_string();
    assert!(history(&mut client).contains("Lovelace"));
    let said = data.ok(&["base", "erase", "Shop", &id, "--yes"]);
    assert!(said.contains("in 4 changes, 1 plans"), "{said}");
    assert!(!history(&mut client).contains("Lovelace"), "{}", history(&mut client));
    // What others did in the same call is still there, and can be taken back.
    let lamps = client.structured("get_record_history", goods(json!({"record": LAMP})));
    assert_eq!(lamps["changes"][0]["before"]["Stock"], 3, "{lamps}");
    client.finish();
    data.kill_owner();
    let mut log = data.ok(&["audit", "export"]);
    log.retain(|c| c != ' ');
    assert!(log.contains("\"action\":\"baseerase\"") && log.contains(&id), "that it was erased is on record");
    data.kill_owner();
    for entry in std::fs::read_dir(data.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            let bytes = std::fs::read(&path).unwrap();
            assert!(memchr::memmem::find(&bytes, b"Lovelace").is_none(), "{}", path.display());
        }
    }
    assert!(!data.run(&["base", "erase", "Shop", "x", "--yes"]).status.success());
    assert!(!data.run(&["base", "erase", "Shop", &id]).status.success(), "nobody can be asked");
}
