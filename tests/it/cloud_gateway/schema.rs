//! Tables and fields of a base in the server behind.

use serde_json::{Value, json};

use super::{BASE, Both, Downstream, GOODS, MAKERS, Upstream, goods};
use crate::plans::LAMP;

fn tables() -> String {
    format!("/v0/meta/bases/{BASE}/tables")
}

#[test]
fn schemas_are_changed_there_and_seen_here_at_once() {
    let both = Both::new();
    let new = json!({"name": "Sales", "description": "By day", "fields": [
        {"name": "Day", "type": "date", "options": {"dateFormat": {"name": "iso"}}},
        {"name": "Good", "type": "multipleRecordLinks", "options": {"linkedTableId": GOODS}}]});
    let made = both.down.send("POST", &tables(), new);
    assert_eq!((made.status, made.source.as_str()), (200, "live"), "{made:?}");
    let sales = made.json["id"].as_str().unwrap().to_owned();
    let listed = both.down.get(&tables());
    assert_eq!(listed.source, "replica");
    assert_eq!(listed.json, both.up.send("GET", &tables(), Value::Null).json);

    let field = json!({"name": "Sum", "type": "currency", "options": {"precision": 2, "symbol": "€"}});
    let field = both.down.send("POST", &format!("{}/{sales}/fields", tables()), field);
    assert_eq!(field.status, 200, "{field:?}");
    let id = field.json["id"].as_str().unwrap();
    let renamed =
        both.down.send("PATCH", &format!("{}/{sales}/fields/{id}", tables()), json!({"name": "Total"}));
    assert_eq!(renamed.json["name"], "Total", "{renamed:?}");
    let table = both.down.send("PATCH", &format!("{}/{sales}", tables()), json!({"name": "Sold"}));
    assert_eq!(table.json["name"], "Sold", "{table:?}");
    assert_eq!(both.down.get(&tables()).json, both.up.send("GET", &tables(), Value::Null).json);

    let twice = both.down.send("PATCH", &format!("{}/{sales}", tables()), json!({"name": "goods"}));
    assert_eq!((twice.status, twice.kind(), twice.source.as_str()), (422, "DUPLICATE_TABLE_NAME", "live"));
    let formula = json!({"name": "F", "type": "formula", "options": {"formula": "1"}});
    let formula = both.down.send("POST", &format!("{}/{sales}/fields", tables()), formula);
    assert_eq!(formula.kind(), "UNSUPPORTED_FIELD_TYPE_FOR_CREATE", "{formula:?}");
    let base = both.down.send("DELETE", &format!("/v0/meta/bases/{BASE}"), Value::Null);
    assert_eq!(base.status, 422, "{base:?}");
    assert!(base.message().contains("tablewright base forget"), "{base:?}");
    assert_eq!(both.up.send("GET", &goods(""), Value::Null).status, 200);
}

#[test]
fn the_tools_change_what_the_api_can_and_say_what_a_person_has_to() {
    let both = Both::new();
    let mut agent = both.down.agent();
    let made = agent.structured(
        "create_table",
        json!({"base": "Shop", "name": "Sales", "fields": [
            {"name": "Number", "type": "singleLineText"},
            {"name": "Sum", "type": "number"},
            {"name": "Good", "type": "multipleRecordLinks", "links_to": "Goods", "other_side": "Sold in"}]}),
    );
    assert_eq!(made["fields"][2]["name"], "Good", "{made}");
    assert_eq!(made["elsewhere"][0]["name"], "Sold in", "{made}");
    let field = agent.structured(
        "create_field",
        json!({"base": "Shop", "table": "Sales", "field": {"name": "Paid", "type": "checkbox", "description": "all of it"}}),
    );
    assert!(field["id"].as_str().is_some_and(|id| id.starts_with("fld")), "{field}");
    agent.structured(
        "update_field",
        json!({"base": "Shop", "table": "Sales", "field": "Paid", "name": "Is paid"}),
    );
    agent.structured("update_table", json!({"base": "Shop", "table": "Sales", "description": "By number"}));
    agent.structured(
        "update_field",
        json!({"base": "Shop", "table": "Goods", "field": "Worth", "formula": "{Price} * {Stock} * 2"}),
    );
    let there = both.up.send("GET", &tables(), Value::Null).json;
    let table = there["tables"].as_array().unwrap().iter().find(|table| table["name"] == "Sales").unwrap();
    assert_eq!(table["description"], "By number");
    let names: Vec<&str> =
        table["fields"].as_array().unwrap().iter().filter_map(|field| field["name"].as_str()).collect();
    assert_eq!(names, ["Number", "Sum", "Good", "Is paid"]);
    assert_eq!(both.down.get(&tables()).json, there);

    let place = json!({"base": "Shop", "table": "Goods"});
    let with = |more: Value| {
        let mut all = place.clone();
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        all
    };
    for (tool, arguments) in [
        ("delete_field", with(json!({"field": "Notes", "force": true}))),
        ("delete_table", with(json!({"confirm": "Goods"}))),
        ("update_field", with(json!({"field": "Price", "options": {"precision": 3}}))),
        ("create_field", with(json!({"field": {"name": "F", "type": "formula", "formula": "1"}}))),
        ("create_view", with(json!({"name": "V"}))),
    ] {
        let refused = agent.refused(tool, arguments);
        assert!(refused.contains("a person can in Airtable"), "{tool}: {refused}");
    }
    let refused = agent.refused("delete_base", json!({"base": "Shop", "confirm": "Shop"}));
    assert!(refused.contains("tablewright base forget"), "{refused}");
    let twice = agent.refused("update_table", json!({"base": "Shop", "table": "Sales", "name": "goods"}));
    assert!(twice.contains("DUPLICATE_TABLE_NAME"), "{twice}");
    assert_eq!(both.up.send("GET", &tables(), Value::Null).json, there, "nothing was changed");
}

#[test]
fn a_table_made_beside_a_choice_of_tables_is_copied_too() {
    let both = Both::of(Some(&[GOODS, MAKERS][..1]));
    let mut agent = both.down.agent();
    let fields = json!([{"name": "Name", "type": "singleLineText"}]);
    let made = agent.structured("create_table", json!({"base": "Shop", "name": "Extra", "fields": fields}));
    let id = made["id"].as_str().unwrap().to_owned();
    super::until(|| both.down.get(&format!("/v0/{BASE}/{id}")).source == "replica");
    let fields = json!([{"name": "Name", "type": "singleLineText"}]);
    let made = both.down.send("POST", &tables(), json!({"name": "More", "fields": fields}));
    let id = made.json["id"].as_str().unwrap().to_owned();
    super::until(|| both.down.get(&format!("/v0/{BASE}/{id}")).source == "replica");
    assert_eq!(both.down.get(&format!("/v0/{BASE}/{MAKERS}")).source, "live");
}

#[test]
fn rules_of_approval_hold_for_bases_that_live_elsewhere() {
    let up = Upstream::new();
    let rules =
        "[approval]\nwait_seconds = 0\n[[approval.rules]]\nwhen = [\"schema\", \"delete\"]\nask = \"person\"";
    let down = Downstream::new(&up, None).with(rules).listen().copied(BASE, &[GOODS, MAKERS]);
    let before = up.send("GET", &tables(), Value::Null).json;
    let field =
        json!({"name": "New", "type": "checkbox", "options": {"icon": "check", "color": "greenBright"}});
    let refused = down.send("POST", &format!("{}/{GOODS}/fields", tables()), field);
    assert_eq!((refused.status, refused.kind()), (403, "APPROVAL_NEEDED"), "{refused:?}");
    let refused = down.send("DELETE", &goods(&format!("/{LAMP}")), Value::Null);
    assert_eq!((refused.status, refused.kind()), (403, "APPROVAL_NEEDED"), "{refused:?}");
    // What no rule is about goes on.
    let change = json!({"fields": {"Price": 41}});
    assert_eq!(down.send("PATCH", &goods(&format!("/{LAMP}")), change).status, 200);
    let mut agent = down.agent();
    let call = json!({"base": "Shop", "table": "Goods", "records": [LAMP]});
    assert!(agent.refused("delete_records", call.clone()).starts_with("approval_needed"));
    let listed = down.data.ok(&["plan", "list", "--json"]);
    let listed: Value = serde_json::from_str(&listed).unwrap();
    assert_eq!(listed[0]["cost"]["requests"], 1, "{listed}");
    let id = listed[0]["id"].as_str().unwrap();
    down.data.ok(&["plan", "approve", id]);
    // Somebody changes the record there: the plan is looked at against a fresh read.
    up.send("PATCH", &goods(&format!("/{LAMP}")), json!({"fields": {"Price": 42}}));
    assert!(agent.refused("delete_records", call.clone()).starts_with("plan_stale"));
    assert!(agent.refused("delete_records", call.clone()).starts_with("approval_needed"));
    let listed: Value = serde_json::from_str(&down.data.ok(&["plan", "list", "--json"])).unwrap();
    down.data.ok(&["plan", "approve", listed[0]["id"].as_str().unwrap()]);
    assert_eq!(agent.structured("delete_records", call)["count"], 1);
    assert_eq!(up.send("GET", &goods(&format!("/{LAMP}")), Value::Null).status, 403, "it is gone");
    assert_eq!(up.send("GET", &tables(), Value::Null).json, before);
}
