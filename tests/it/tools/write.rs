use serde_json::{Value, json};

use super::shop;
use crate::support::Client;

fn create(client: &mut Client, fields: Value, typecast: bool) -> Value {
    client.call(
        "create_records",
        json!({"base": "Shop", "table": "Goods", "records": [fields], "typecast": typecast}),
    )
}

fn refusal(client: &mut Client, fields: Value, typecast: bool) -> String {
    let result = create(client, fields, typecast);
    assert_eq!(result["isError"], true, "{result}");
    result["structuredContent"]["failed"][0]["message"].as_str().unwrap().to_owned()
}

fn cells(client: &mut Client, table: &str, id: &Value) -> Value {
    let read = client.structured(
        "get_records",
        json!({"base": "Shop", "table": table, "records": [id], "format": "json"}),
    );
    read["records"][0]["fields"].clone()
}

#[test]
fn each_record_is_accepted_or_refused_on_its_own() {
    let (_data, mut client) = shop();
    let done = client.structured(
        "create_records",
        json!({"base": "Shop", "table": "Goods", "records": [{"Name": "a"}, {"Stock": "many"}, {"Name": "b", "fldGPrice00000000": 2}, {"Nmae": "x"}]}),
    );
    assert_eq!(done["count"], 2);
    assert_eq!(done["ids"].as_array().unwrap().len(), 2);
    assert_eq!(
        (&done["failed"][0]["index"], &done["failed"][0]["code"]),
        (&json!(1), &json!("invalid_value"))
    );
    assert!(done["failed"][1]["message"].as_str().unwrap().contains("Did you mean \"Name\""));
    let wrapped = refusal(&mut client, json!({"fields": {"Name": "c"}}), false);
    assert!(wrapped.contains("without \"fields\""), "{wrapped}");
    assert!(done["change"].as_i64().unwrap() > 0);
    assert_eq!(cells(&mut client, "Goods", &done["ids"][1])["Price"], 2);
}

#[test]
fn every_field_type_refuses_what_does_not_fit() {
    let (_data, mut client) = shop();
    for (field, bad, hint) in [
        ("Name", json!(5), "a text"),
        ("Price", json!("5"), "a number"),
        ("Stock", json!([1]), "a number"),
        ("Colour", json!("purple"), "Choices: red, green, blue"),
        ("Colour", json!("gren"), "Did you mean \"green\""),
        ("Tags", json!("new"), "a list of choice names"),
        ("Maker", json!("Acme"), "a list of record ids"),
        ("Maker", json!(["recNone0000000000"]), "which has no record"),
        ("Maker", json!(["recLamp0000000000"]), "belongs to table"),
        ("Since", json!("31.12.2026"), "YYYY-MM-DD"),
        ("Since", json!("2026-02-30"), "YYYY-MM-DD"),
        ("Checked", json!("noon"), "an ISO time"),
        ("Zoned", json!("2026-07-01T12:00"), "unknown time zone"),
        ("Listed", json!("yes"), "true or false"),
        ("Stars", json!(6), "1 to 5"),
        ("Stars", json!(2.5), "1 to 5"),
        ("Worth", json!(1), "computed"),
        ("Number", json!(1), "computed"),
        ("Hologram", json!(1), "computed"),
    ] {
        let message = refusal(&mut client, json!({field: bad.clone()}), false);
        assert!(message.contains(hint), "{field} {bad}: {message}");
    }
}

#[test]
fn typecast_converts_creates_choices_and_links_by_name() {
    let (_data, mut client) = shop();
    let done = create(
        &mut client,
        json!({"Name": 7, "Price": "$1,200.50", "Colour": "violet", "Tags": "new, rare", "Maker": ["Acme", "Fresh Ltd"],
               "Since": "March 4, 2026", "Listed": "yes", "Stars": "3", "Checked": "2026-05-06"}),
        true,
    );
    let id = done["structuredContent"]["ids"][0].clone();
    let made = cells(&mut client, "Goods", &id);
    assert_eq!(made["Name"], "7");
    assert_eq!(made["Price"], 1200.5);
    assert_eq!((&made["Colour"], &made["Tags"]), (&json!("violet"), &json!(["new", "rare"])));
    assert_eq!(
        (&made["Since"], &made["Checked"]),
        (&json!("2026-03-04"), &json!("2026-05-06T00:00:00.000Z"))
    );
    assert_eq!((&made["Listed"], &made["Stars"]), (&json!(true), &json!(3)));
    let makers = client.text("list_records", json!({"base": "Shop", "table": "Makers"}));
    assert!(makers.contains("Fresh Ltd\t7"), "a missing maker was created and links back: {makers}");
    let fields = client.structured("describe_base", json!({"base": "Shop", "table": "Goods"}));
    assert!(fields.to_string().contains("[\"red\",\"green\",\"blue\",\"violet\"]"));
    // The new choice is there for whoever writes without typecast.
    assert_ne!(create(&mut client, json!({"Colour": "violet"}), false)["isError"], true);
}

#[test]
fn updates_change_what_they_name_and_nulls_clear() {
    let (_data, mut client) = shop();
    let before = cells(&mut client, "Goods", &json!("recLamp0000000000"));
    let done = client.structured(
        "update_records",
        json!({"base": "Shop", "table": "Goods", "records": [
            {"id": "recLamp0000000000", "fields": {"Stock": 9, "Tags": null, "Listed": false}},
            {"id": "recNone0000000000", "fields": {"Stock": 1}}]}),
    );
    assert_eq!((&done["count"], &done["failed"][0]["code"]), (&json!(1), &json!("unknown_record")));
    let mixed = client.structured(
        "update_records",
        json!({"base": "Shop", "table": "Goods", "records": [
            {"id": "zz", "fields": {"Stock": 1}}, {"id": "recLamp0000000000", "fields": {"Stock": 9}}]}),
    );
    assert_eq!(
        (&mixed["count"], &mixed["failed"][0]["index"]),
        (&json!(1), &json!(0)),
        "one bad id, one refusal"
    );
    let after = cells(&mut client, "Goods", &json!("recLamp0000000000"));
    assert_eq!((&after["Stock"], after.get("Tags"), after.get("Listed")), (&json!(9), None, None));
    assert_eq!(after["Notes"], before["Notes"]);
    assert!(after["Changed"].as_str().unwrap() > "2026-02", "the time of the change is kept");
}

#[test]
fn both_sides_of_a_link_stay_in_step() {
    let (_data, mut client) = shop();
    let update = |fields: Value| json!({"base": "Shop", "table": "Goods", "records": [{"id": "recDesk0000000000", "fields": fields}]});
    let goods = |client: &mut Client, maker: &str| cells(client, "Makers", &json!(maker))["Goods"].clone();
    client.structured("update_records", update(json!({"Maker": ["recAcme0000000000", "recBolt0000000000"]})));
    assert_eq!(goods(&mut client, "recAcme0000000000"), json!(["recLamp0000000000", "recDesk0000000000"]));
    client.structured("update_records", update(json!({"Maker": ["recBolt0000000000"]})));
    assert_eq!(goods(&mut client, "recAcme0000000000"), json!(["recLamp0000000000"]));
    assert_eq!(goods(&mut client, "recBolt0000000000"), json!(["recChair000000000", "recDesk0000000000"]));
    client.structured(
        "delete_records",
        json!({"base": "Shop", "table": "Makers", "records": ["recBolt0000000000"]}),
    );
    assert_eq!(cells(&mut client, "Goods", &json!("recDesk0000000000")).get("Maker"), None);
}

#[test]
fn auto_numbers_and_times_are_given_and_not_reused() {
    let (_data, mut client) = shop();
    let first = create(&mut client, json!({"Name": "n"}), false)["structuredContent"]["ids"][0].clone();
    assert_eq!(cells(&mut client, "Goods", &first)["Number"], 5);
    client.structured("delete_records", json!({"base": "Shop", "table": "Goods", "records": [first]}));
    let second = create(&mut client, json!({"Name": "n"}), false)["structuredContent"]["ids"][0].clone();
    assert_eq!(cells(&mut client, "Goods", &second)["Number"], 6);
}

#[test]
fn text_that_was_escaped_or_cut_comes_back_whole_or_not_at_all() {
    let (_data, mut client) = shop();
    let done = create(&mut client, json!({"Name": "a\\u{200B}b"}), false);
    let id = done["structuredContent"]["ids"][0].clone();
    assert_eq!(cells(&mut client, "Goods", &id)["Name"], "a\u{200b}b");
    let cut = refusal(&mut client, json!({"Notes": "abc…[cut: 12 more characters]"}), false);
    assert!(cut.contains("Read the whole cell"), "{cut}");
    let path = create(&mut client, json!({"Notes": "C:\\temp\\new\nline"}), false);
    let id = path["structuredContent"]["ids"][0].clone();
    let text = client
        .text("get_records", json!({"base": "Shop", "table": "Goods", "records": [id], "fields": ["Notes"]}));
    let shown = text.lines().nth(2).unwrap().split('\t').nth(1).unwrap();
    assert_eq!(shown, "C:\\temp\\new\\u{A}line");
    let copy = create(&mut client, json!({"Notes": shown}), false)["structuredContent"]["ids"][0].clone();
    assert_eq!(
        cells(&mut client, "Goods", &copy)["Notes"],
        "C:\\temp\\new\nline",
        "what was shown can be sent back"
    );
}

#[test]
fn any_number_of_records_goes_into_one_call() {
    let (_data, mut client) = shop();
    let records: Vec<Value> = (0..5_000).map(|n| json!({"Name": format!("bulk {n}"), "Stock": n})).collect();
    let done =
        client.structured("create_records", json!({"base": "Shop", "table": "Goods", "records": records}));
    assert_eq!(done["count"], 5_000);
    assert_eq!((done["ids"].as_array().unwrap().len(), &done["more_ids"]), (1_000, &json!(4_000)));
    let ids = done["ids"].clone();
    let gone = client.structured("delete_records", json!({"base": "Shop", "table": "Goods", "records": ids}));
    assert_eq!(gone["count"], 1_000);
    assert!(
        client
            .refused("create_records", json!({"base": "Shop", "table": "Goods", "records": []}))
            .contains("at least one")
    );
}

#[test]
fn an_upsert_updates_what_is_there_and_creates_the_rest() {
    let (_data, mut client) = shop();
    let upsert =
        |records: Value| json!({"base": "Shop", "table": "Goods", "merge_on": ["name"], "records": records});
    let done = client.structured(
        "upsert_records",
        upsert(json!([{"Name": "Lamp", "Stock": 8}, {"Name": "Rug", "Price": 3}, {"Name": "Desk", "Stock": "many"}])),
    );
    assert_eq!((&done["count"], &done["created"]), (&json!(2), &json!(1)));
    assert_eq!(
        (&done["failed"][0]["index"], &done["failed"][0]["code"]),
        (&json!(2), &json!("invalid_value"))
    );
    assert_eq!(done["ids"][0], "recLamp0000000000");
    let lamp = cells(&mut client, "Goods", &json!("recLamp0000000000"));
    assert_eq!((&lamp["Stock"], &lamp["Price"]), (&json!(8), &json!(40)), "what is not named stays");
    let again = client.structured("upsert_records", upsert(json!([{"Name": "Rug", "Price": 4}])));
    assert_eq!((&again["created"], &again["ids"][0]), (&json!(0), &done["ids"][1]));
    let escaped = client.structured("upsert_records", upsert(json!([{"Name": "a\\u{200B}b"}])));
    assert_eq!(cells(&mut client, "Goods", &escaped["ids"][0])["Name"], "a\u{200b}b");
    client.structured(
        "create_records",
        json!({"base": "Shop", "table": "Goods", "records": [{"Name": "Rug"}]}),
    );
    let twins = client.refused("upsert_records", upsert(json!([{"Name": "Rug", "Price": 5}])));
    assert!(twins.contains("ambiguous"), "{twins}");
}

#[test]
fn an_upsert_that_cannot_tell_records_apart_is_refused() {
    let data = crate::support::Data::with_shop();
    let mut reader = data.serve(&["--no-daemon"]).initialize();
    let asked = json!({"name": "upsert_records", "arguments": {"base": "Shop", "table": "Goods", "merge_on": ["Name"], "records": [{}]}});
    assert!(
        reader.request("tools/call", asked)["error"]["message"]
            .as_str()
            .unwrap()
            .contains("there is no tool")
    );
    drop(reader);
    let (_data, mut client) = shop();
    for (on, records, said) in [
        (json!([]), json!([{"Name": "x"}]), "merge_on is empty"),
        (json!(["Nmae"]), json!([{"Name": "x"}]), "Did you mean \"Name\""),
        (json!(["Name", "Price", "Stock", "Since"]), json!([{"Name": "x"}]), "3"),
        (json!(["Maker"]), json!([{"Maker": ["recAcme0000000000"]}]), "Maker"),
        (json!(["Name"]), json!([]), "at least one"),
        (json!(["Name"]), json!([{"Stock": 1}]), "merge field"),
    ] {
        let asked = json!({"base": "Shop", "table": "Goods", "merge_on": on, "records": records});
        let refused = client.refused("upsert_records", asked);
        assert!(refused.contains(said), "{on} {records}: {refused}");
    }
}
