//! Taking changes back in a base that lives elsewhere: a second program stands for Airtable.

use serde_json::{Value, json};

use crate::connect::Here;
use crate::plans::{EVERYTHING, LAMP, dry, goods, price};
use crate::support::{Client, Data, HttpServer, serve_http};

const DESK: &str = "recDesk0000000000";
const ACME: &str = "recAcme0000000000";

/// The base where it lives, and a program that has a copy of it.
fn copied() -> (Data, HttpServer, Here) {
    let data = Data::with_shop();
    let upstream = serve_http(&data, &["--allow-write", "--allow-delete"]);
    let scopes = "data.records:read,data.records:write,schema.bases:read";
    let token = data.ok(&["token", "create", "--name", "here", "--scopes", scopes]);
    let here = Here::new(&upstream.address);
    here.connect("desk", token.trim());
    here.ok(&["connect", "--name", "desk", "--base", "Shop"]);
    (data, upstream, here)
}

fn serve(here: &Here) -> Client {
    let words: Vec<&str> = ["serve"].into_iter().chain(EVERYTHING).collect();
    Client::start(here.command(&words)).initialize()
}

/// The cells of a record where it lives; nothing when it is not there.
fn there(data: &Data, table: &str, id: &str) -> Value {
    let mut client = data.serve(&[]).initialize();
    let answer = client
        .call("get_records", json!({"base": "Shop", "table": table, "records": [id], "format": "json"}));
    answer["structuredContent"]["records"][0]["fields"].clone()
}

/// Cells that somebody writes.
fn plain(cells: &Value) -> Value {
    let mut plain = cells.as_object().unwrap_or_else(|| panic!("{cells}")).clone();
    plain.retain(|field, _| !["Number", "Worth", "Hologram", "Changed"].contains(&field.as_str()));
    Value::Object(plain)
}

#[test]
fn what_was_done_elsewhere_is_taken_back_with_new_ids() {
    let (data, _upstream, here) = copied();
    let (lamp, desk, acme) =
        (there(&data, "Goods", LAMP), there(&data, "Goods", DESK), there(&data, "Makers", ACME));
    assert_eq!(lamp["Maker"], json!([ACME]), "{lamp}");
    let mut client = serve(&here);
    // When the copy hears of a write before its answer, the change is noted without the call.
    let mut change = |tool: &str, arguments: Value| {
        let done = client.structured(tool, arguments);
        let listed = client.structured("list_changes", json!({"base": "Shop", "limit": 1}));
        done.get("change").cloned().unwrap_or_else(|| listed["changes"][0]["number"].clone())
    };
    let changes = [
        change("delete_records", goods(json!({"records": [LAMP]}))),
        change(
            "update_records",
            goods(json!({"records": [{"id": DESK, "fields": {"Price": 1, "Notes": null}}]})),
        ),
        change("create_records", goods(json!({"records": [{"Name": "new", "Maker": [ACME]}]}))),
    ];
    assert_eq!(there(&data, "Goods", LAMP), Value::Null);
    let undo = json!({"base": "Shop", "changes": changes});
    let done = client.structured("undo_changes", undo.clone());
    assert_eq!((&done["recreated"], &done["removed"]), (&json!(1), &json!(1)), "{done}");
    let new = done["new_ids"][LAMP].as_str().unwrap_or_else(|| panic!("{done}"));
    assert_eq!(plain(&there(&data, "Goods", new)), plain(&lamp));
    assert_eq!(plain(&there(&data, "Goods", DESK)), plain(&desk));
    let links = |cells: &Value| -> std::collections::BTreeSet<String> {
        cells["Goods"].as_array().unwrap().iter().map(|id| id.as_str().unwrap().replace(LAMP, new)).collect()
    };
    assert_eq!(links(&there(&data, "Makers", ACME)), links(&acme));
    let again = client.refused("undo_changes", undo);
    assert!(again.starts_with("conflict") && again.contains("already"), "{again}");
}

#[test]
fn records_that_link_to_each_other_come_back_linked_by_a_plan() {
    let (data, _upstream, here) = copied();
    let mut client = serve(&here);
    let maker = json!({"base": "Shop", "table": "Makers", "records": [ACME]});
    let (first, second) = (
        client.structured("delete_records", goods(json!({"records": [LAMP]})))["change"].clone(),
        client.structured("delete_records", maker)["change"].clone(),
    );
    let planned = client.structured("undo_changes", dry(json!({"base": "Shop", "changes": [first, second]})));
    let id = planned["plan"]["id"].as_str().unwrap_or_else(|| panic!("{planned}")).to_owned();
    assert_eq!(there(&data, "Makers", ACME), Value::Null, "nothing was written yet");
    assert!(planned["plan"]["cost"]["requests"].as_u64().unwrap() >= 2, "{planned}");
    let done = client.structured("apply_plan", json!({"plan": id}));
    let (lamp, acme) = (done["new_ids"][LAMP].as_str().unwrap(), done["new_ids"][ACME].as_str().unwrap());
    assert_eq!(there(&data, "Goods", lamp)["Maker"], json!([acme]));
    let held = there(&data, "Makers", acme)["Goods"].clone();
    assert!(held.as_array().unwrap().contains(&json!(lamp)), "{held}");
}

#[test]
fn what_somebody_changed_there_since_is_not_overwritten() {
    let (data, _upstream, here) = copied();
    let mut client = serve(&here);
    let change = client.structured("update_records", price(7))["change"].clone();
    data.serve(&["--allow-write"]).initialize().structured("update_records", price(8));
    let undo = |how: &str| json!({"base": "Shop", "changes": [change], "on_conflict": how});
    let refused = client.refused("undo_changes", undo("refuse"));
    assert!(refused.contains("changed since") && refused.contains("Price"), "{refused}");
    assert_eq!(there(&data, "Goods", LAMP)["Price"], 8);
    client.structured("undo_changes", undo("overwrite"));
    assert_eq!(there(&data, "Goods", LAMP)["Price"], 40);
}
