//! Creating, updating, upserting and deleting records.

use serde_json::{Value, json};

use super::{BASE, LAMP, Rest, parts, path};

#[test]
fn creating_echoes_what_was_stored() {
    let rest = Rest::open();
    let one = rest.ok(
        "POST",
        &path(""),
        json!({"fields": {"Name": "Sofa", "fldGPrice00000000": 12.5, "Stock": null, "Tags": []}}),
    );
    assert_eq!((&one["fields"]["Name"], &one["fields"]["Price"]), (&json!("Sofa"), &json!(12.5)));
    assert!(one["fields"].get("Stock").is_none() && one["fields"].get("Tags").is_none(), "{one}");
    assert_eq!(one["fields"]["Number"], 5);
    let listed = rest.get(&path(&format!("/{}", one["id"].as_str().unwrap())));
    assert_eq!(listed, one);
    let many = rest.ok(
        "POST",
        &path("/"),
        json!({"records": [{"fields": {"Name": "a"}}, {"fields": {}}], "returnFieldsByFieldId": true}),
    );
    assert_eq!(many["records"].as_array().unwrap().len(), 2);
    assert_eq!(many["records"][0]["fields"]["fldGName000000000"], "a");
    assert!(many.get("createdRecords").is_none());
}

#[test]
fn one_bad_record_fails_all() {
    let rest = Rest::open();
    let refused = rest.refused_with(
        "POST",
        &path(""),
        json!({"records": [{"fields": {"Name": "a"}}, {"fields": {"Price": "x"}}]}),
    );
    assert_eq!(
        refused,
        (422, "INVALID_VALUE_FOR_COLUMN".into(), "Field \"Price\" cannot accept the provided value".into())
    );
    assert_eq!(rest.get(&path(""))["records"].as_array().unwrap().len(), 4);
}

#[test]
fn updates_merge_and_put_clears() {
    let rest = Rest::open();
    let patched = rest.ok("PATCH", &path(&format!("/{LAMP}")), json!({"fields": {"Stock": 7}}));
    assert_eq!((&patched["fields"]["Stock"], &patched["fields"]["Name"]), (&json!(7), &json!("Lamp")));
    assert_eq!(patched["fields"]["Worth"], 280, "computed fields follow");
    for nothing in [json!(null), json!(""), json!([]), json!(false)] {
        let cleared = rest.ok("PATCH", &path(&format!("/{LAMP}")), json!({"fields": {"Colour": nothing}}));
        assert!(cleared["fields"].get("Colour").is_none(), "{nothing}");
        rest.ok("PATCH", &path(&format!("/{LAMP}")), json!({"fields": {"Colour": "red"}}));
    }
    let put = rest.ok("PUT", &path(&format!("/{LAMP}")), json!({"fields": {"Name": "Lamp 2"}}));
    let fields = put["fields"].as_object().unwrap();
    assert_eq!(fields["Name"], "Lamp 2");
    assert!(!fields.contains_key("Price") && !fields.contains_key("Tags") && fields["Number"] == 1, "{put}");
    let many = json!({"records": [{"id": LAMP, "fields": {"Stock": 1}}, {"id": "recDesk0000000000", "fields": {"Stock": 2}}]});
    let many = rest.ok("PATCH", &format!("/v0/{BASE}/Goods/?"), many);
    assert_eq!(
        (&many["records"][0]["fields"]["Stock"], &many["records"][1]["fields"]["Stock"]),
        (&json!(1), &json!(2))
    );
    let put = rest.ok("PUT", &path(""), json!({"records": [{"id": LAMP, "fields": {"Stock": 3}}]}));
    assert!(put["records"][0]["fields"].get("Name").is_none(), "{put}");
}

#[test]
fn typecast_converts_and_makes_choices() {
    let rest = Rest::open();
    let made = rest.ok(
        "POST",
        &path(""),
        json!({"fields": {"Price": "$1,250.50", "Colour": "pink", "Maker": "Newco"}, "typecast": true}),
    );
    assert_eq!((&made["fields"]["Price"], &made["fields"]["Colour"]), (&json!(1250.5), &json!("pink")));
    let maker = made["fields"]["Maker"][0].as_str().unwrap();
    assert_eq!(rest.get(&format!("/v0/{BASE}/Makers/{maker}"))["fields"]["Name"], "Newco");
    let refused = rest.refused_with("POST", &path(""), json!({"fields": {"Colour": "lilac"}}));
    let message = "Insufficient permissions to create new select option \"\"lilac\"\"";
    assert_eq!(refused, (422, "INVALID_MULTIPLE_CHOICE_OPTIONS".into(), message.into()));
}

fn upsert(rest: &Rest, method: &str, on: &[&str], records: Value) -> Value {
    rest.ok(method, &path(""), json!({"performUpsert": {"fieldsToMergeOn": on}, "records": records}))
}

#[test]
fn upserts_match_what_was_there_before() {
    let rest = Rest::open();
    let done = upsert(
        &rest,
        "PATCH",
        &["Name"],
        json!([
        {"fields": {"Name": "Lamp", "Stock": 9}},
        {"fields": {"Name": "Stool", "Stock": 1}},
        {"id": "recDesk0000000000", "fields": {"Stock": 4}}]),
    );
    let ids: Vec<&str> =
        done["records"].as_array().unwrap().iter().map(|r| r["id"].as_str().unwrap()).collect();
    assert_eq!((ids[0], ids[2]), (LAMP, "recDesk0000000000"));
    assert_eq!(done["createdRecords"], json!([ids[1]]));
    assert_eq!(done["updatedRecords"], json!([LAMP, "recDesk0000000000"]));
    assert_eq!(done["records"][0]["fields"]["Price"], 40, "a merge keeps the rest");
    // What one record writes is not what another matches.
    let done = upsert(
        &rest,
        "PUT",
        &["Name"],
        json!([
        {"id": LAMP, "fields": {"Name": "", "Stock": 1}},
        {"fields": {"Name": "Lamp", "Stock": 2}}]),
    );
    assert_eq!(done["updatedRecords"], json!([LAMP, LAMP]));
    rest.ok(
        "POST",
        &path(""),
        json!({"records": [{"fields": {"Name": "twin"}}, {"fields": {"Name": "twin"}}]}),
    );
    let body =
        json!({"performUpsert": {"fieldsToMergeOn": ["Name"]}, "records": [{"fields": {"Name": "twin"}}]});
    assert_eq!(rest.refused_with("PATCH", &path(""), body).0, 422);
    let missing =
        json!({"performUpsert": {"fieldsToMergeOn": ["Name"]}, "records": [{"fields": {"Stock": 1}}]});
    assert_eq!(rest.refused_with("PATCH", &path(""), missing).0, 422);
    let unknown = json!({"performUpsert": {"fieldsToMergeOn": ["Name"]}, "records": [{"id": "recNone0000000000", "fields": {}}]});
    assert_eq!(rest.refused_with("PATCH", &path(""), unknown).1, "ROW_DOES_NOT_EXIST");
    for on in [json!([]), json!(["a", "b", "c", "d"]), json!([1]), json!("Name")] {
        let body = json!({"performUpsert": {"fieldsToMergeOn": on}, "records": [{"fields": {}}]});
        assert_eq!(rest.refused_with("PATCH", &path(""), body).1, "INVALID_REQUEST_UNKNOWN", "{on}");
    }
}

#[test]
fn deleting_one_and_many() {
    let rest = Rest::open();
    let (status, one) = rest.send("DELETE", &path(&format!("/{LAMP}")), None);
    assert_eq!((status, one), (200, json!({"id": LAMP, "deleted": true})));
    let query = "?records[]=recDesk0000000000&records%5B%5D=recChair000000000";
    let (status, many) = rest.send("DELETE", &path(query), None);
    assert_eq!(status, 200, "{many}");
    assert_eq!(many["records"][1], json!({"id": "recChair000000000", "deleted": true}));
    assert_eq!(rest.get(&path(""))["records"].as_array().unwrap().len(), 1);
    let refused = rest.refused("DELETE", &path(&format!("/{LAMP}")));
    assert_eq!(refused, (404, "MODEL_ID_NOT_FOUND".into(), "Record not found".into()));
    let eleven = ["records[]=recBlank000000000"; 11].join("&");
    for query in ["", "?records[]=", "?records[]=x", "?", &format!("?{eleven}")] {
        let refused = rest.refused("DELETE", &path(query));
        let message = "You must provide an array of up to 10 record IDs.";
        assert_eq!(refused, (422, "INVALID_RECORDS".into(), message.into()), "{query}");
    }
}

#[test]
fn links_lead_to_records_of_their_table() {
    let rest = Rest::open();
    let refused = rest.refused_with(
        "PATCH",
        &path(&format!("/{LAMP}")),
        json!({"fields": {"Maker": ["recDesk0000000000"]}}),
    );
    let message = "Record ID recDesk0000000000 belongs to table tblGoods000000000, but the field links to table tblMakers00000000";
    assert_eq!(refused, (422, "ROW_TABLE_DOES_NOT_MATCH_LINKED_TABLE".into(), message.into()));
    let refused = rest.refused_with(
        "PATCH",
        &path(&format!("/{LAMP}")),
        json!({"fields": {"Maker": ["recNone0000000000"]}}),
    );
    assert_eq!(
        refused,
        (422, "ROW_DOES_NOT_EXIST".into(), "Record ID recNone0000000000 does not exist in this table".into())
    );
}

#[test]
fn people_who_are_known_come_back_whole() {
    let rest = Rest::workshop();
    let me = rest.get("/v0/meta/whoami");
    let ada = json!({"id": "usrAda00000000000", "email": "ada@example.org", "name": "Ada"});
    let bo = json!({"id": "usrBo000000000000", "email": "bo@example.org", "name": "Bo"});
    let owner = |owner: Value, typecast: bool| {
        let made = rest.ok("POST", &parts(""), json!({"fields": {"Owner": owner}, "typecast": typecast}));
        made["fields"]["Owner"].clone()
    };
    assert_eq!(owner(json!({"id": "usrAda00000000000"}), false), ada);
    assert_eq!(owner(json!({"email": "ada@example.org"}), false), ada);
    assert_eq!(owner(json!({"id": "usrAda00000000000", "name": "Eve", "avatar": [1]}), false), ada);
    assert_eq!(owner(json!("Bo"), true), bo);
    assert_eq!(
        owner(json!({"id": me["id"]}), false),
        json!({"id": me["id"], "email": me["email"], "name": "rest"})
    );
    let stranger = json!({"email": "new@example.org"});
    assert_eq!(owner(stranger.clone(), false), stranger);
    let crew = json!({"fields": {"Crew": ["usrBo000000000000", {"email": "ada@example.org"}]}});
    assert_eq!(rest.ok("POST", &parts(""), crew)["fields"]["Crew"], json!([bo, ada]));
    for nobody in [json!({"id": "ada"}), json!({"name": "Ada"}), json!("Ada")] {
        let refused = rest.refused_with("POST", &parts(""), json!({"fields": {"Owner": nobody}}));
        assert_eq!((refused.0, refused.1.as_str()), (422, "INVALID_VALUE_FOR_COLUMN"), "{nobody}");
    }
    let odd = json!({"fields": {"Code": {"text": "1", "type": 5}}});
    assert_eq!(rest.refused_with("POST", &parts(""), odd).1, "INVALID_VALUE_FOR_COLUMN");
}
