//! Records are written in the server behind and seen here at once.

use serde_json::{Value, json};

use super::{BASE, Both, goods};
use crate::rest::LAMP;

#[test]
fn writes_go_to_the_server_behind_and_are_seen_at_once() {
    let both = Both::new();
    let body = json!({"records": [{"fields": {"Name": "Shelf", "Price": 7}}, {"fields": {"Name": "Stool"}}]});
    let made = both.down.send("POST", &goods(""), body);
    assert_eq!((made.status, made.source.as_str(), made.age), (200, "live", None), "{made:?}");
    let list = both.down.get(&goods("?filterByFormula=Price%3D7"));
    assert_eq!((list.source.as_str(), list.names()), ("replica", vec!["Shelf"]), "{list:?}");
    let id = made.json["records"][0]["id"].as_str().unwrap();

    let upsert = json!({"performUpsert": {"fieldsToMergeOn": ["Name"]},
        "records": [{"fields": {"Name": "Shelf", "Stock": 2}}, {"fields": {"Name": "Table"}}]});
    let upserted = both.down.send("PATCH", &goods(""), upsert);
    assert_eq!(upserted.status, 200, "{upserted:?}");
    assert_eq!(upserted.json["updatedRecords"], json!([id]), "{upserted:?}");
    assert_eq!(both.down.get(&goods(&format!("/{id}"))).json["fields"]["Worth"], 14);
    let gone = both.down.send("DELETE", &goods(&format!("/{id}")), Value::Null);
    assert_eq!((gone.json["deleted"] == true, gone.source.as_str()), (true, "live"), "{gone:?}");
    let (here, there) = (both.down.get(&goods("")), both.up.send("GET", &goods(""), Value::Null));
    assert_eq!((here.source.as_str(), &here.json), ("replica", &there.json));
}

#[test]
fn refusals_are_in_the_words_of_the_server_behind() {
    let both = Both::new();
    let missing = goods("/recNobody00000000");
    for (method, path, body) in [
        ("POST", goods(""), json!({"fields": {"Nothing": 1}})),
        ("POST", goods(""), json!({"fields": {"Price": "dear"}})),
        ("POST", goods(""), json!({"fields": {"Worth": 1}})),
        ("POST", goods(""), json!({"fields": {"Colour": "mauve"}})),
        ("POST", goods(""), json!({"fields": {"Maker": ["recNobody00000000"]}})),
        ("POST", goods(""), json!({"fields": {"Maker": [LAMP]}})),
        ("POST", goods(""), json!({"records": []})),
        ("POST", goods(""), json!({"colour": 1})),
        ("PATCH", missing.clone(), json!({"fields": {"Name": "x"}})),
        ("PATCH", goods(""), json!({"records": [{"id": "recNobody00000000", "fields": {"Name": "x"}}]})),
        ("DELETE", missing, Value::Null),
        ("POST", format!("/v0/{BASE}/Nothing"), json!({"fields": {"Name": "x"}})),
        (
            "POST",
            format!("/v0/{BASE}/{LAMP}/Name/uploadAttachment"),
            json!({"contentType": "text/plain", "filename": "a.txt", "file": "YQ=="}),
        ),
    ] {
        let here = both.down.send(method, &path, body.clone());
        let there = both.up.send(method, &path, body.clone());
        let is = (here.status, here.kind().to_owned(), here.message().to_owned());
        let was = (there.status, there.kind().to_owned(), there.message().to_owned());
        assert_eq!(is, was, "{method} {path} {body}");
    }
    assert_eq!(both.up.send("GET", &goods(""), Value::Null).names().len(), 4);
}
