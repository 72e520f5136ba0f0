//! Beside records: comments, webhooks, rights, and what has no endpoint here.

use serde_json::{Value, json};

use super::{BASE, Both, GOODS, MAKERS, goods, send};
use crate::rest::LAMP;

#[test]
fn comments_are_those_of_the_server_behind() {
    let both = Both::new();
    let comments = goods(&format!("/{LAMP}/comments"));
    let said = both.down.send("POST", &comments, json!({"text": "Bright"}));
    assert_eq!((said.status, said.source.as_str()), (200, "live"), "{said:?}");
    let id = said.json["id"].as_str().unwrap().to_owned();
    let edited = both.down.send("PATCH", &format!("{comments}/{id}"), json!({"text": "Brighter"}));
    assert_eq!(edited.json["text"], "Brighter", "{edited:?}");
    let listed = both.up.send("GET", &comments, Value::Null);
    assert_eq!(listed.json["comments"][0]["text"], "Brighter", "{listed:?}");

    let mut agent = both.down.agent();
    let place = json!({"base": "Shop", "table": "Goods", "record": LAMP});
    let with = |more: Value| {
        let mut all = place.clone();
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        all
    };
    let added = agent.structured("add_comment", with(json!({"text": "Indeed @[nobody]", "reply_to": id})));
    assert_eq!((&added["reply_to"], &added["not_known"]), (&json!(id), &json!(["nobody"])), "{added}");
    for n in 0..3 {
        both.up.send("POST", &comments, json!({ "text": format!("more {n}") }));
    }
    let all = agent.text("list_comments", with(json!({})));
    for text in ["Brighter", "Indeed", "more 0", "more 2"] {
        assert!(all.contains(text), "{all}");
    }
    let page = agent.structured("list_comments", with(json!({"limit": 3, "format": "json"})));
    assert_eq!(page["comments"].as_array().unwrap().len(), 3, "{page}");
    assert_eq!(page["comments"][0]["text"], "more 2", "{page}");
    let more = json!({"limit": 3, "format": "json", "cursor": page["cursor"]});
    let rest = agent.structured("list_comments", with(more));
    assert_eq!(rest["comments"][1]["text"], "Brighter", "{rest}");

    let refused = agent.refused("add_comment", with(json!({"text": "x", "reply_to": "comNobody00000000"})));
    assert!(refused.contains("Airtable refused"), "{refused}");
    let gone = both.down.send("DELETE", &format!("{comments}/{id}"), Value::Null);
    assert_eq!(gone.json, json!({"id": id, "deleted": true}));
    let missing = both.down.send("DELETE", &format!("{comments}/{id}"), Value::Null);
    let there = both.up.send("DELETE", &format!("{comments}/{id}"), Value::Null);
    assert_eq!((missing.status, &missing.json), (there.status, &there.json));
}

#[test]
fn programs_have_webhooks_of_their_own() {
    let both = Both::new();
    let hooks = format!("/v0/bases/{BASE}/webhooks");
    let all = both.up.send("GET", &hooks, Value::Null);
    let ours = all.json["webhooks"][0]["id"].as_str().expect("the copy hears by a webhook").to_owned();

    let filters = json!({"specification": {"options": {"filters": {"dataTypes": ["tableData"]}}}});
    let made = both.down.send("POST", &hooks, filters);
    assert_eq!((made.status, made.source.as_str()), (200, "live"), "{made:?}");
    let id = made.json["id"].as_str().unwrap().to_owned();
    let listed = both.down.get(&hooks);
    let ids: Vec<&str> =
        listed.json["webhooks"].as_array().unwrap().iter().filter_map(|hook| hook["id"].as_str()).collect();
    assert_eq!(ids, [id.as_str()], "the copy's own is not among them");

    both.up.send("PATCH", &goods(&format!("/{LAMP}")), json!({"fields": {"Stock": 7}}));
    let payloads = both.down.get(&format!("{hooks}/{id}/payloads?cursor=1"));
    assert_eq!(payloads.json["payloads"].as_array().map(Vec::len), Some(1), "{payloads:?}");
    let changed = &payloads.json["payloads"][0]["changedTablesById"];
    assert!(changed[GOODS]["changedRecordsById"][LAMP].is_object(), "{payloads:?}");

    for (method, rest) in [("DELETE", ""), ("GET", "/payloads"), ("POST", "/refresh")] {
        let refused = both.down.send(method, &format!("{hooks}/{ours}{rest}"), Value::Null);
        assert_eq!(refused.status, 403, "{method} {rest}: {refused:?}");
    }
    let gone = both.down.send("DELETE", &format!("{hooks}/{id}"), Value::Null);
    assert_eq!((gone.status, &gone.json), (200, &json!("")), "{gone:?}");
    let left = both.up.send("GET", &hooks, Value::Null);
    assert_eq!(left.json["webhooks"].as_array().unwrap().len(), 1, "{left:?}");
}

#[test]
fn rights_are_asked_before_anything_is_passed_on() {
    let both = Both::of(Some(&[GOODS]));
    let down = &both.down;
    let makers = format!("/v0/{BASE}/{MAKERS}");
    let table = json!({"name": "X", "fields": [{"name": "N", "type": "singleLineText"}]});
    let hook = json!({"specification": {"options": {"filters": {"dataTypes": ["tableData"]}}}});
    let comments = format!("{makers}/recAcme0000000000/comments");
    let shares = format!("/v0/meta/bases/{BASE}/shares");
    let tables = format!("/v0/meta/bases/{BASE}/tables");
    let hooks = format!("/v0/bases/{BASE}/webhooks");
    let requests = [
        ("data.records:read", "GET", makers.clone(), Value::Null),
        ("data.recordComments:read", "GET", goods("?recordMetadata[]=commentCount"), Value::Null),
        ("data.records:write", "POST", makers.clone(), json!({"fields": {"Name": "X"}})),
        ("data.records:write", "DELETE", format!("{makers}/recBolt0000000000"), Value::Null),
        ("schema.bases:write", "POST", tables.clone(), table),
        ("schema.bases:read", "GET", tables, Value::Null),
        ("data.recordComments:write", "POST", comments.clone(), json!({"text": "X"})),
        ("data.recordComments:read", "GET", comments, Value::Null),
        ("webhook:manage", "POST", hooks, hook),
        ("schema.bases:write", "POST", goods("/sync/abc"), json!("Name\nX\n")),
        ("schema.bases:read", "GET", shares.clone(), Value::Null),
        ("webhook:manage", "PATCH", shares, json!({})),
    ];
    for (n, (scope, method, path, body)) in requests.into_iter().enumerate() {
        let others: Vec<&str> = crate::rest::ALL_SCOPES.split(',').filter(|one| *one != scope).collect();
        let holder = down.as_holder(&format!("without {n}"), &others.join(","));
        let said = send(&down.address, &holder, method, &path, &[], &body);
        assert_eq!(
            (said.status, said.kind()),
            (403, "INVALID_PERMISSIONS_OR_MODEL_NOT_FOUND"),
            "{method} {path}"
        );
        assert_ne!(said.source, "live", "{method} {path}");
    }
    assert_eq!(both.up.send("GET", &makers, Value::Null).names(), ["Acme", "Bolt & Co"]);
    let nobody = send(&down.address, "nobody", "GET", &goods("/sync/abc/x"), &[], &Value::Null);
    assert_eq!((nobody.status, nobody.kind()), (404, "NOT_FOUND"), "{nobody:?}");
}

#[test]
fn nothing_is_passed_on_that_leads_elsewhere() {
    let both = Both::new();
    for path in [
        format!("/v0/{BASE}/../meta/whoami"),
        format!("/v0/{BASE}/%2e%2e/meta/bases"),
        format!("/v0/{BASE}/x/%2E%2e/%2E%2E/{BASE}/Goods"),
        format!("/v0/{BASE}/."),
        format!("/v0/{BASE}/x//y"),
    ] {
        let said = both.down.get(&path);
        assert_eq!((said.status, said.kind()), (404, "NOT_FOUND"), "{path}: {said:?}");
        assert_ne!(said.source, "live", "{path}");
    }
    let csv = both.down.with_headers(
        "POST",
        &goods("/sync/abc"),
        &[("Content-Type", "text/csv"), ("Cookie", "a=b")],
        json!("Name\nX\n"),
    );
    assert_eq!((csv.status, csv.source.as_str()), (422, "live"), "{csv:?}");
    assert!(csv.message().contains("no synced table"), "{csv:?}");
}
