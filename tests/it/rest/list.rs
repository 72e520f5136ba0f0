//! Lists: parameters in every encoding, pages, and offsets while the table changes.

use serde_json::{Value, json};

use super::{BASE, GOODS, LAMP, Rest, fill, names, path};

#[test]
fn records_look_as_in_airtable() {
    let rest = Rest::new(&[]);
    let list = rest.get(&path(""));
    let lamp = &list["records"][0];
    assert_eq!(lamp["id"], LAMP);
    assert_eq!(lamp["createdTime"], "2026-01-01T00:00:00.000Z");
    let fields = &lamp["fields"];
    assert_eq!(fields["Price"], 40);
    assert_eq!(fields["Colour"], "green");
    assert_eq!(fields["Tags"], json!(["new", "sale"]));
    assert_eq!(fields["Maker"], json!(["recAcme0000000000"]));
    assert_eq!(fields["Since"], "2026-01-05");
    assert_eq!(fields["Checked"], "2026-02-01T10:30:00.000Z");
    assert_eq!(fields["Listed"], true);
    assert_eq!(fields["Notes"], "line one\nline\ttwo\\");
    assert_eq!(fields["Hologram"], json!({"x": [1, 2]}));
    assert_eq!(list["records"][2]["fields"]["Stock"], 0, "0 is a value");
    let blank = list["records"][3]["fields"].as_object().unwrap();
    assert!(!blank.contains_key("Name") && !blank.contains_key("Listed"), "{blank:?}");
    assert!(list.get("offset").is_none());
    assert!(lamp.get("commentCount").is_none());
}

#[test]
fn tables_are_found_by_name_and_paths_are_lenient() {
    let rest = Rest::open();
    let table = json!({"name": "My Table/1", "fields": [{"name": "Name", "type": "singleLineText"}]});
    rest.ok("POST", &format!("/v0/meta/bases/{BASE}/tables"), table);
    rest.ok("POST", &format!("/v0/{BASE}/My%20Table%2F1/?"), json!({"fields": {"Name": "x"}}));
    for path in [
        format!("/v0/{BASE}/My%20Table%2F1"),
        format!("/v0/{BASE}/My%20Table%2F1/"),
        format!("/v0/{BASE}/My%20Table%2F1?"),
        format!("/v0/{BASE}/My%20Table%2F1/?"),
        format!("/v0/{BASE}/my%20table%2f1/?pageSize=1"),
    ] {
        assert_eq!(names(&rest.get(&path)), ["x"], "{path}");
    }
}

#[test]
fn lists_of_parameters_come_in_every_encoding() {
    let rest = Rest::new(&[]);
    for query in [
        "fields[]=Name&fields[]=Price",
        "fields%5B%5D=Name&fields%5B%5D=fldGPrice00000000",
        "fields=Name&fields=Price",
        "fields[0]=Price&fields[1]=Name",
    ] {
        let lamp = rest.get(&path(&format!("?{query}")))["records"][0]["fields"].clone();
        assert_eq!(lamp, json!({"Name": "Lamp", "Price": 40}), "{query}");
    }
    for query in [
        "sort[0][field]=Price&sort[0][direction]=desc",
        "sort%5B0%5D%5Bdirection%5D=desc&sort%5B0%5D%5Bfield%5D=Price",
        "sort[1][field]=Name&sort[0][field]=fldGPrice00000000&sort[0][direction]=desc",
        "view=By+price",
        "view=viwCheap000000000",
    ] {
        let list = rest.get(&path(&format!("?{query}")));
        assert_eq!(names(&list), ["Desk", "Lamp", "chair", ""], "{query}");
    }
    let over = rest.get(&path("?view=By+price&sort[0][field]=Price"));
    assert_eq!(names(&over), ["", "chair", "Lamp", "Desk"], "an asked order beats that of the view");
    assert!(over["records"][2]["fields"]["Colour"] == "green", "hidden fields are returned");
}

#[test]
fn fields_by_id_only_when_asked() {
    let rest = Rest::new(&[]);
    for (value, by_id) in [("1", true), ("true", true), ("0", false), ("false", false)] {
        let lamp = rest.get(&path(&format!("/{LAMP}?returnFieldsByFieldId={value}")))["fields"].clone();
        assert_eq!((lamp["fldGName000000000"] == "Lamp", lamp["Name"] == "Lamp"), (by_id, !by_id), "{value}");
    }
}

#[test]
fn filters_take_names_and_ids_and_say_what_is_wrong() {
    let rest = Rest::new(&[]);
    for query in ["%7BColour%7D%3D%27red%27", "{fldGColour0000000}='red'", "AND(Price,Price%3C10)"] {
        assert_eq!(names(&rest.get(&path(&format!("?filterByFormula={query}")))), ["chair"], "{query}");
    }
    assert_eq!(names(&rest.get(&path("?filterByFormula="))).len(), 4);
    let refused = rest.refused("GET", &path("?filterByFormula=%7BNope%7D=%7BOther+One%7D"));
    let message = "The formula for filtering records is invalid: Unknown field names: nope, other one";
    assert_eq!(refused, (422, "INVALID_FILTER_BY_FORMULA".into(), message.into()));
    let refused = rest.refused("GET", &path("?filterByFormula=AND("));
    let message =
        "The formula for filtering records is invalid: Invalid formula. Please check your formula text.";
    assert_eq!(refused, (422, "INVALID_FILTER_BY_FORMULA".into(), message.into()));
}

#[test]
fn pages_end_with_max_records() {
    let rest = Rest::open();
    fill(&rest, 36);
    for order in ["", "&sort[0][field]=Stock", "&filterByFormula=Stock%3E=0"] {
        let mut sizes = Vec::new();
        let mut offset = String::new();
        loop {
            let list = rest.get(&path(&format!("?pageSize=10&maxRecords=25{order}&offset={offset}")));
            sizes.push(list["records"].as_array().unwrap().len());
            match list["offset"].as_str() {
                Some(next) => offset = next.to_owned(),
                None => break,
            }
        }
        assert_eq!(sizes, [10, 10, 5], "{order}");
    }
    let exact = rest.get(&path("?pageSize=10&maxRecords=10"));
    assert!(exact.get("offset").is_none(), "nothing follows");
    assert_eq!(rest.get(&path("?limit=3"))["records"].as_array().unwrap().len(), 3);
}

/// All names of a list, page by page; `between` runs once, after the first page.
fn walk(rest: &Rest, query: &str, between: impl FnOnce()) -> Vec<String> {
    let mut all = Vec::new();
    let mut offset = String::new();
    let mut between = Some(between);
    loop {
        let list = rest.get(&path(&format!("?pageSize=7&fields[]=Name{query}&offset={offset}")));
        all.extend(names(&list));
        if let Some(between) = between.take() {
            between();
        }
        match list["offset"].as_str() {
            Some(next) => offset = next.to_owned(),
            None => return all,
        }
    }
}

#[test]
fn pages_go_on_while_the_table_changes() {
    let rest = Rest::open();
    fill(&rest, 30);
    let id_of = |name: &str| -> String {
        let list = rest.get(&path(&format!("?filterByFormula=Name='{name}'")));
        list["records"][0]["id"].as_str().unwrap().to_owned()
    };
    let (early, late) = (id_of("n0"), id_of("n20"));
    let own = walk(&rest, "&filterByFormula=Name", || {
        rest.send("DELETE", &path(&format!("?records[]={early}&records[]={late}")), None);
        rest.ok("POST", &path(""), json!({"fields": {"Name": "new"}}));
    });
    let mut unique = own.clone();
    unique.sort();
    unique.dedup();
    assert_eq!(unique.len(), own.len(), "nothing twice: {own:?}");
    assert!(own.contains(&"new".to_owned()) && !own.contains(&"n20".to_owned()), "{own:?}");
    for n in 1..30 {
        assert_eq!(own.contains(&format!("n{n}")), n != 20, "n{n}");
    }
    let (gone, moved) = (id_of("n2"), id_of("n10"));
    let sorted =
        walk(&rest, "&filterByFormula=Stock%3E0&sort[0][field]=Stock&sort[0][direction]=desc", || {
            rest.send("DELETE", &path(&format!("/{gone}")), None);
            rest.ok("PATCH", &path(&format!("/{moved}")), json!({"fields": {"Name": "moved", "Stock": 0}}));
            rest.ok("POST", &path(""), json!({"fields": {"Name": "late", "Stock": 5}}));
        });
    let mut wanted: Vec<String> =
        (1..30).rev().filter(|n| ![2, 20].contains(n)).map(|n| format!("n{n}")).collect();
    wanted.iter_mut().filter(|name| *name == "n10").for_each(|name| *name = "moved".into());
    let of_shop: Vec<String> = sorted.iter().filter(|name| *name != "Lamp").cloned().collect();
    assert_eq!(of_shop, wanted, "an order stays as it was, cells are as they are");
}

#[test]
fn offsets_belong_to_their_query() {
    let rest = Rest::new(&[]);
    let taken = |query: &str| rest.get(&path(query))["offset"].as_str().unwrap().to_owned();
    let own = taken("?pageSize=1");
    assert!(own.len() == 35 && own.starts_with("itr") && &own[17..21] == "/rec", "{own}");
    let sorted = taken("?pageSize=1&sort[0][field]=Name");
    let lapsed = |query: &str, offset: &str| {
        let refused = rest.refused("GET", &path(&format!("?{query}&offset={offset}")));
        assert_eq!((refused.0, refused.1.as_str()), (422, "LIST_RECORDS_ITERATOR_NOT_AVAILABLE"), "{query}");
    };
    lapsed("pageSize=1&filterByFormula=Name", &own);
    lapsed("pageSize=1&sort[0][field]=Name", &own);
    lapsed("pageSize=1", &sorted);
    lapsed("pageSize=1", "itrA1b2C3d4E5f6G7/recA1b2C3d4E5f6G7");
    for garbage in ["x", "itr/rec", "0", "%20"] {
        let refused = rest.refused("GET", &path(&format!("?offset={garbage}")));
        assert_eq!((refused.0, refused.1.as_str()), (422, "INVALID_OFFSET_VALUE"), "{garbage}");
    }
    assert_eq!(rest.refused("GET", &path("?offset=nonsense")).2, "The value of offset nonsense is invalid");
    assert_eq!(names(&rest.get(&path(&format!("?pageSize=2&offset={own}")))), ["chair", "Desk"]);
}

#[test]
fn lists_by_post_are_the_same() {
    let rest = Rest::new(&[]);
    let list = |query: &str, body: Value| rest.ok("POST", &path(&format!("/listRecords{query}")), body);
    let sent = json!({"fields": ["Name"], "sort": [{"field": "Price", "direction": "desc"}], "pageSize": 2,
        "filterByFormula": "{Price}", "offset": "", "method": "post", "timeZone": "utc", "userLocale": "en-gb"});
    let page = list("?timeZone=Europe%2FLondon&userLocale=en-gb", sent.clone());
    assert_eq!(page["records"][0]["fields"], json!({"Name": "Desk"}));
    let mut next = sent;
    next["offset"] = page["offset"].clone();
    assert_eq!(names(&list("", next)), ["chair"]);
    let get = rest.get(&path("?pageSize=1"));
    let next = list("", json!({"pageSize": 1, "offset": get["offset"]}));
    assert_eq!(names(&next), ["chair"], "an offset of one form is good in the other");
    for bad in
        [json!({"pageSize": "5"}), json!({"colour": 1}), json!({"fields": "Name"}), json!({"maxRecords": 0})]
    {
        let refused = rest.refused_with("POST", &path("/listRecords"), bad.clone());
        assert_eq!((refused.0, refused.1.as_str()), (422, "INVALID_REQUEST_UNKNOWN"), "{bad}");
    }
}

#[test]
fn a_record_of_another_table_of_the_base_is_found() {
    let rest = Rest::new(&[]);
    let maker = rest.get(&format!("/v0/{BASE}/{GOODS}/recAcme0000000000"));
    assert_eq!(maker["fields"]["Name"], "Acme");
    let linked = rest.get(&path(&format!("/{LAMP}?includeDateDependencyMetadata=true")));
    assert_eq!(linked["fields"]["Maker"], json!([{"id": "recAcme0000000000"}]));
}

#[test]
fn a_page_of_huge_records_ends_early_and_goes_on() {
    let rest = Rest::open();
    let names: Vec<String> = (0..10).map(|n| format!("Long {n}")).collect();
    let fields: Vec<Value> =
        names.iter().map(|name| json!({"name": name, "type": "multilineText"})).collect();
    rest.ok("POST", &format!("/v0/meta/bases/{BASE}/tables"), json!({"name": "Huge", "fields": fields}));
    let table = format!("/v0/{BASE}/Huge");
    let text = "x".repeat(100_000);
    let cells: serde_json::Map<String, Value> =
        names.iter().map(|name| (name.clone(), json!(text))).collect();
    for _ in 0..6 {
        let records = vec![json!({ "fields": cells }); 6];
        rest.ok("POST", &table, json!({ "records": records }));
    }
    for order in ["", "&sort[0][field]=Long+0"] {
        let first = rest.get(&format!("{table}?pageSize=100{order}"));
        let sent = first["records"].as_array().unwrap().len();
        assert!((30..36).contains(&sent), "{sent} records of a megabyte");
        let next = first["offset"].as_str().unwrap();
        let rest_of_it = rest.get(&format!("{table}?pageSize=100{order}&offset={next}"));
        assert_eq!(sent + rest_of_it["records"].as_array().unwrap().len(), 36);
        assert!(rest_of_it.get("offset").is_none());
    }
}

#[test]
fn a_page_that_was_asked_for_before_is_never_out_of_date() {
    let rest = Rest::open();
    let price = |query: &str, field: &str| {
        // The second answer is the one that may have been kept.
        let asked = || rest.get(&path(query))["records"][0]["fields"][field].clone();
        assert_eq!(asked(), asked(), "{query}");
        asked()
    };
    assert_eq!(price("", "Price"), 40);
    assert_eq!(price("?returnFieldsByFieldId=true", "fldGPrice00000000"), 40);
    assert_eq!(price("?fields[]=Price", "Price"), 40);
    assert_eq!(price("?fields[]=Name", "Price"), Value::Null);
    rest.ok("PATCH", &path(&format!("/{LAMP}")), json!({"fields": {"Price": 41}}));
    assert_eq!(price("", "Price"), 41);
    assert_eq!(price("?fields[]=Price", "Price"), 41);
    assert_eq!(price("?returnFieldsByFieldId=true", "fldGPrice00000000"), 41);
    let renamed = json!({"name": "Cost"});
    rest.ok("PATCH", &format!("/v0/meta/bases/{BASE}/tables/{GOODS}/fields/fldGPrice00000000"), renamed);
    assert_eq!(price("", "Cost"), 41);
    assert_eq!(price("", "Price"), Value::Null);
}
