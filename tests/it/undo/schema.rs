//! Taking changes of tables, fields and views back, and what went with them.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{LAMP, assert_same, open, state, undo};
use crate::plans::{dry, goods, price};
use crate::support::Client;

/// The schema and the records, without the times of edits.
fn all(client: &mut Client) -> (Value, BTreeMap<String, Value>) {
    let schema = client.request("resources/read", json!({"uri": "airtable://appShop0000000000/schema"}));
    let text = schema["result"]["contents"][0]["text"].as_str().unwrap_or_else(|| panic!("{schema}"));
    (serde_json::from_str(text).unwrap(), state(client))
}

/// The number of the newest change.
fn newest(client: &mut Client) -> i64 {
    client.structured("list_changes", json!({"base": "Shop", "limit": 1}))["changes"][0]["number"]
        .as_i64()
        .unwrap()
}

fn assert_all_same(client: &mut Client, was: &(Value, BTreeMap<String, Value>), what: &str) {
    let is = all(client);
    assert_eq!(is.0, was.0, "{what}");
    assert_same(&is.1, &was.1, what);
}

/// Every kind of change of a schema.
fn edits() -> Vec<(&'static str, Value)> {
    let name = json!([{"name": "Name", "type": "singleLineText"}]);
    vec![
        ("update_table", goods(json!({"name": "Wares", "description": "all of it"}))),
        ("create_table", json!({"base": "Shop", "name": "Rooms", "fields": name})),
        ("create_field", goods(json!({"field": {"name": "Weight", "type": "number"}}))),
        (
            "create_field",
            goods(json!({"field": {"name": "Twice", "type": "formula", "formula": "{Price} * 2"}})),
        ),
        ("update_field", goods(json!({"field": "Price", "name": "Cost"}))),
        ("delete_field", goods(json!({"field": "Stock", "force": true}))),
        ("delete_field", goods(json!({"field": "Tags", "force": true}))),
        ("delete_field", goods(json!({"field": "Maker", "force": true}))),
        ("create_view", goods(json!({"name": "Dear", "filter": "{Price} > 20"}))),
        ("delete_table", json!({"base": "Shop", "table": "Makers", "confirm": "Makers"})),
        ("delete_table", goods(json!({"confirm": "Goods"}))),
    ]
}

#[test]
fn every_kind_of_edit_is_taken_back_with_what_went_with_it() {
    for (tool, arguments) in edits() {
        let (_data, mut client) = open();
        let before = all(&mut client);
        client.structured(tool, arguments.clone());
        let number = newest(&mut client);
        let planned = client.structured("undo_changes", dry(json!({"base": "Shop", "changes": [number]})));
        assert!(planned["plan"]["schema"][0].is_string(), "{tool}: {planned}");
        undo(&mut client, json!({"changes": [number]}));
        assert_all_same(&mut client, &before, &format!("{tool} {arguments}"));
        let again = client.refused("undo_changes", json!({"base": "Shop", "changes": [number]}));
        assert!(again.contains("already"), "{tool}: {again}");
        // And the other way round, and back once more.
        let number = newest(&mut client);
        undo(&mut client, json!({"changes": [number]}));
        let number = newest(&mut client);
        undo(&mut client, json!({"changes": [number]}));
        assert_all_same(&mut client, &before, &format!("{tool} {arguments}, twice"));
    }
}

#[test]
fn a_conversation_that_changed_schema_and_records_is_taken_back_as_a_whole() {
    let (_data, mut client) = open();
    let before = all(&mut client);
    let first = newest(&mut client);
    client.structured("update_records", price(41));
    client.structured("create_field", goods(json!({"field": {"name": "Weight", "type": "number"}})));
    client.structured("update_records", goods(json!({"records": [{"id": LAMP, "fields": {"Weight": 3}}]})));
    client.structured("delete_field", goods(json!({"field": "Maker", "force": true})));
    client.structured("create_records", goods(json!({"records": [{"Name": "new", "Weight": 9}]})));
    client.structured("delete_records", goods(json!({"records": ["recDesk0000000000"]})));
    let name = json!([{"name": "Name", "type": "singleLineText"}]);
    client.structured("create_table", json!({"base": "Shop", "name": "Rooms", "fields": name}));
    client.structured(
        "create_records",
        json!({"base": "Shop", "table": "Rooms", "records": [{"Name": "attic"}]}),
    );
    let last = newest(&mut client);
    let changes: Vec<i64> = (first + 1..=last).collect();
    undo(&mut client, json!({"changes": changes}));
    assert_all_same(&mut client, &before, "all of it");
}

#[test]
fn what_others_did_with_it_since_is_not_lost() {
    let (_data, mut client) = open();
    client.structured("create_field", goods(json!({"field": {"name": "Weight", "type": "number"}})));
    let made = newest(&mut client);
    client.structured("update_records", goods(json!({"records": [{"id": LAMP, "fields": {"Weight": 3}}]})));
    let wanted = |how: &str| json!({"base": "Shop", "changes": [made], "on_conflict": how});
    let refused = client.refused("undo_changes", wanted("refuse"));
    assert!(refused.starts_with("conflict") && refused.contains("Weight"), "{refused}");
    assert!(
        client.refused("undo_changes", wanted("skip")).contains("Weight"),
        "a field goes whole or not at all"
    );
    // A later change of the schema has to go first.
    client.structured("create_view", goods(json!({"name": "Dear", "filter": "{Price} > 20"})));
    let view = newest(&mut client);
    let refused = client.refused("undo_changes", wanted("overwrite"));
    assert!(refused.contains(&format!("change {view}")), "{refused}");
    let both = json!({"base": "Shop", "changes": [made, view], "on_conflict": "overwrite"});
    client.structured("undo_changes", both);
    let back = newest(&mut client);
    undo(&mut client, json!({"changes": [back]}));
    let lamp = client.structured("get_records", goods(json!({"records": [LAMP], "format": "json"})));
    assert_eq!(lamp["records"][0]["fields"]["Weight"], 3, "taking it back once more brings the cell back");
}
