//! Records: from the copy, and past it.

use serde_json::{Value, json};

use super::{BASE, Both, Downstream, GOODS, MAKERS, Upstream, goods, until};
use crate::rest::LAMP;
use crate::support::{Data, root};

#[test]
fn records_are_read_from_the_copy_as_the_server_behind_gives_them() {
    let both = Both::new();
    for path in [
        goods(""),
        goods("?filterByFormula=Price%3E10&sort[0][field]=Name"),
        goods("?returnFieldsByFieldId=1&fields[]=Name&fields[]=Worth"),
        goods("?cellFormat=string&timeZone=utc&userLocale=en-gb"),
        goods(&format!("/{LAMP}")),
        format!("/v0/{BASE}/Makers"),
        format!("/v0/{BASE}/Makers/{LAMP}"),
        format!("/v0/meta/bases/{BASE}/tables"),
        format!("/v0/meta/bases/{BASE}/tables?include=visibleFieldIds"),
    ] {
        let (here, there) = (both.down.get(&path), both.up.send("GET", &path, Value::Null));
        assert_eq!((here.status, here.source.as_str()), (200, "replica"), "{path}: {here:?}");
        assert!(here.age.is_some_and(|age| age < 30), "{path}: {here:?}");
        assert_eq!(here.json, there.json, "{path}");
    }
    let post = both.down.send("POST", &goods("/listRecords"), json!({"pageSize": 2}));
    assert_eq!((post.source.as_str(), post.names().len()), ("replica", 2));
}

#[test]
fn what_the_copy_cannot_know_is_asked_of_the_server_behind() {
    let both = Both::new();
    both.up.send("POST", &goods(&format!("/{LAMP}/comments")), json!({"text": "Bright"}));
    for path in [
        // A view's rows and order.
        goods("?view=By%20price"),
        goods("?recordMetadata[]=commentCount"),
        format!("/v0/{BASE}/Makers?filterByFormula=LAST_MODIFIED_TIME()%3E%272026-01-01%27"),
        goods("?includeDateDependencyMetadata=true"),
        // Refusals in its own words.
        goods("?fields[]=Nothing"),
        goods("?filterByFormula=NOTHING("),
        goods("?pageSize=1000"),
        goods("?offset=itrA1b2C3d4E5f6G7/recA1b2C3d4E5f6G7"),
        format!("/v0/{BASE}/Nothing"),
        format!("/v0/{BASE}/Goods/recshort"),
        format!("/v0/{BASE}/Goods/recNobody00000000"),
        format!("/v0/meta/bases/{BASE}"),
        format!("/v0/meta/bases/{BASE}/views"),
        format!("/v0/meta/bases/{BASE}/shares"),
    ] {
        let (here, there) = (both.down.get(&path), both.up.send("GET", &path, Value::Null));
        assert_eq!(here.source, "live", "{path}: {here:?}");
        assert_eq!((here.status, &here.json, here.age), (there.status, &there.json, None), "{path}");
    }
    let counted = both.down.get(&goods("?recordMetadata[]=commentCount&filterByFormula=Name%3D%27Lamp%27"));
    assert!(counted.json["records"][0]["commentCount"].as_u64() >= Some(1), "{counted:?}");
    let body = json!({"view": "By price", "pageSize": 1});
    let by_price = both.down.send("POST", &goods("/listRecords"), body);
    assert_eq!((by_price.source.as_str(), by_price.names()), ("live", vec!["Desk"]), "{by_price:?}");
}

#[test]
fn offsets_go_back_to_where_they_came_from() {
    let both = Both::new();
    for (query, source) in [("?pageSize=1", "replica"), ("?pageSize=1&view=By%20price", "live")] {
        let (mut names, mut offset) = (Vec::new(), String::new());
        for _ in 0..4 {
            let said = both.down.get(&goods(&format!("{query}&offset={offset}")));
            assert_eq!((said.status, said.source.as_str()), (200, source), "{said:?}");
            names.extend(said.names().into_iter().map(str::to_owned));
            offset = said.json["offset"].as_str().unwrap_or_default().to_owned();
        }
        names.sort();
        assert_eq!((names.len(), offset.as_str()), (4, ""), "{names:?}");
        names.dedup();
        assert_eq!(names.len(), 4, "each once");
    }
    // One of the server behind leads on although the copy could answer the query.
    let first = both.up.send("GET", &goods("?pageSize=3"), Value::Null);
    let offset = first.json["offset"].as_str().unwrap();
    let rest = both.down.get(&goods(&format!("?pageSize=3&offset={offset}")));
    assert_eq!((rest.status, rest.source.as_str(), rest.names().len()), (200, "live", 1), "{rest:?}");
}

#[test]
fn whoever_asks_for_it_gets_what_is_there_now() {
    let both = Both::new();
    for (n, freshness) in ["no-cache", "max-age=0", "no-cache"].into_iter().enumerate() {
        let name = format!("Lamp {n}");
        let changed = both.up.send("PATCH", &goods(&format!("/{LAMP}")), json!({"fields": {"Name": name}}));
        assert_eq!(changed.status, 200, "{changed:?}");
        let headers = &[("Cache-Control", freshness)];
        let said = both.down.with_headers("GET", &goods(&format!("/{LAMP}")), headers, Value::Null);
        assert_eq!((said.status, said.source.as_str()), (200, "replica"), "{said:?}");
        assert_eq!(said.json["fields"]["Name"], name.as_str(), "{freshness}");
        assert!(said.age.is_some_and(|age| age <= 2), "{said:?}");
    }
}

#[test]
fn tables_that_were_not_chosen_are_read_and_written_all_the_same() {
    let both = Both::of(Some(&[GOODS]));
    let down = &both.down;
    let makers = format!("/v0/{BASE}/{MAKERS}");
    let list = down.get(&makers);
    assert_eq!((list.status, list.source.as_str(), list.names().len()), (200, "live", 2), "{list:?}");
    let one = down.get(&format!("{makers}/recAcme0000000000"));
    assert_eq!((one.status, one.source.as_str()), (200, "live"), "{one:?}");
    // A record is found through any table of its base, copied or not.
    let through = down.get(&goods("/recAcme0000000000"));
    assert_eq!((through.status, through.source.as_str()), (200, "live"), "{through:?}");
    let tables = down.get(&format!("/v0/meta/bases/{BASE}/tables"));
    assert_eq!((tables.source.as_str(), tables.json["tables"].as_array().unwrap().len()), ("live", 2));
    // What a link leads to is known by name only where it is copied.
    let named = down.get(&goods("?filterByFormula=Maker%3D%27Acme%27"));
    assert_eq!((named.status, named.source.as_str()), (200, "live"), "{named:?}");
    assert_eq!(
        named.names(),
        both.up.send("GET", &goods("?filterByFormula=Maker%3D%27Acme%27"), Value::Null).names()
    );
    let other = down.get(&goods("?filterByFormula=Price%3E30"));
    assert_eq!(other.source, "replica");

    let made = down.send("POST", &makers, json!({"fields": {"Name": "New"}, "typecast": false}));
    assert_eq!((made.status, made.source.as_str()), (200, "live"), "{made:?}");
    let id = made.json["id"].as_str().unwrap();
    let changed = down.send("PATCH", &format!("{makers}/{id}"), json!({"fields": {"Name": "Newer"}}));
    assert_eq!(changed.json["fields"]["Name"], "Newer", "{changed:?}");
    let refused = down.send("PATCH", &format!("{makers}/{id}"), json!({"fields": {"Nothing": 1}}));
    assert_eq!((refused.status, refused.kind()), (422, "UNKNOWN_FIELD_NAME"), "{refused:?}");
    let gone = down.send("DELETE", &format!("{makers}?records[]={id}"), Value::Null);
    assert_eq!((gone.status, gone.source.as_str()), (200, "live"), "{gone:?}");
    assert_eq!(both.up.send("GET", &makers, Value::Null).names().len(), 2);
}

#[test]
fn while_the_server_behind_is_away_the_copy_answers_and_the_rest_can_be_asked_again() {
    let Both { down, mut up } = Both::new();
    let _ = up.server.client.child.kill();
    let _ = up.server.client.child.wait();
    let list = down.get(&goods(""));
    assert_eq!((list.status, list.source.as_str(), list.names().len()), (200, "replica", 4), "{list:?}");
    until(|| down.get(&goods("")).age.is_some_and(|age| age >= 1));
    let view = down.get(&goods("?view=By%20price"));
    assert_eq!((view.status, view.kind()), (503, "RETRIABLE_ERROR"), "{view:?}");
    let fresh = down.with_headers("GET", &goods(""), &[("Cache-Control", "no-cache")], Value::Null);
    assert_eq!((fresh.status, fresh.kind()), (503, "RETRIABLE_ERROR"), "{fresh:?}");
}

#[test]
fn before_anything_is_copied_schemas_are_here_and_records_are_not_ready() {
    let up = Upstream::new();
    let down = Downstream::new(&up, None);
    drop(up);
    let down = down.listen();
    let list = down.get(&goods(""));
    assert_eq!((list.status, list.kind()), (503, "RETRIABLE_ERROR"), "{list:?}");
    let mut agent = down.agent();
    let mut read = |uri: String| agent.request("resources/read", json!({ "uri": uri }));
    let schema = read(format!("airtable://{BASE}/schema"));
    assert!(schema["result"]["contents"][0]["text"].as_str().unwrap().contains("Makers"), "{schema}");
    let table = read(format!("airtable://{BASE}/{GOODS}/schema"));
    assert!(table["result"]["contents"][0]["text"].as_str().unwrap().contains("Worth"), "{table}");
    let record = read(format!("airtable://{BASE}/{GOODS}/{LAMP}"));
    let code = record["error"]["data"]["code"].as_str().unwrap_or_default();
    assert!(["not_ready", "upstream_unavailable"].contains(&code), "{record}");
    let field = json!({"ref": {"type": "ref/resource", "uri": "airtable://{base}/{table}/schema"},
        "argument": {"name": "table", "value": "Go"}, "context": {"arguments": {"base": "Shop"}}});
    let completed = agent.request("completion/complete", field);
    assert_eq!(completed["result"]["completion"]["values"], json!(["Goods"]), "{completed}");
}

#[test]
fn values_that_change_with_the_time_of_day_are_as_old_as_they_say() {
    let file = std::fs::read_to_string(root().join("tests/fixtures/shop.json")).unwrap();
    let mut shop: Value = serde_json::from_str(&file).unwrap();
    let now = json!({"id": "fldGNow0000000000", "name": "Now", "type": "formula",
        "options": {"formula": "DATETIME_FORMAT(NOW(), 'X')"}});
    shop["tables"][0]["fields"].as_array_mut().unwrap().push(now);
    let data = Data::new();
    let file = data.path().join("shop.json");
    std::fs::write(&file, shop.to_string()).unwrap();
    data.import(&file);
    let up = Upstream::over(data, (BASE, "Shop"), &[]);
    let down = Downstream::new(&up, None).listen().copied(BASE, &[GOODS, MAKERS]);
    let headers = &[("Cache-Control", "max-age=2")];
    until(|| down.get(&goods("")).age.is_some_and(|age| age > 3));
    assert_eq!(down.get(&goods("")).source, "replica");
    assert_eq!(down.with_headers("GET", &goods(""), headers, Value::Null).source, "live");
    assert_eq!(down.with_headers("GET", &goods(&format!("/{LAMP}")), headers, Value::Null).source, "live");
    let other = down.with_headers("GET", &goods("?fields[]=Name"), headers, Value::Null);
    assert_eq!(other.source, "replica", "{other:?}");
    assert!(other.age.is_some_and(|age| age <= 3), "{other:?}");
    assert_eq!(down.get(&goods("?filterByFormula=Now%3E%270%27")).source, "live");
}
