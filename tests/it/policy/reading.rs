//! What is read under a policy, through tools and `/v0`.

use serde_json::json;

use super::{NARROW, apply, bound, records};
use crate::support::{Data, http, root, serve_http};

#[test]
fn what_may_not_be_seen_is_not_there() {
    let (_data, client) = bound(NARROW, &["--toolsets", "all"]);
    let mut client = client.initialize();
    let found = records(&mut client, json!({}));
    assert_eq!(found.len(), 1, "{found:?}");
    let lamp = &found[0]["fields"];
    assert_eq!((&lamp["Name"], &lamp["Stock"]), (&json!("Lamp"), &json!("[redacted]")));
    assert!(lamp.get("Price").is_none() && lamp.get("Worth").is_none(), "{lamp}");
    let described = client.text("describe_base", json!({"base": "Shop", "table": "Goods"}));
    assert!(!described.contains("Price") && !described.contains("Worth"), "{described}");
    assert!(described.contains("Masked"), "{described}");
    assert!(!described.contains("By price"), "a view in the order of prices: {described}");
    let chair = json!({"base": "Shop", "table": "Goods", "records": ["recChair000000000"]});
    let gone = json!({"base": "Shop", "table": "Goods", "records": ["recNever000000000"]});
    let said = client.call("get_records", chair).to_string();
    let nothing = client.call("get_records", gone).to_string();
    assert_eq!(said.replace("recChair000000000", "recNever000000000"), nothing);
    let makers =
        client.structured("list_records", json!({"base": "Shop", "table": "Makers", "format": "json"}));
    assert!(makers["records"][1]["fields"].get("Goods").is_none(), "Bolt makes chairs: {makers}");
    let searched = client.text("search_records", json!({"base": "Shop", "query": "chair"}));
    assert!(!searched.contains("recChair"), "{searched}");
}

#[test]
fn questions_about_masked_fields_are_refused_by_name() {
    let (_data, client) = bound(NARROW, &[]);
    let mut client = client.initialize();
    let asked = |more: serde_json::Value| {
        let mut asked = json!({"base": "Shop", "table": "Goods"});
        asked.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        asked
    };
    for (question, told) in [
        (json!({"filter": "{Stock} > 1"}), "Stock"),
        (json!({"filter": {"field": "Stock", "op": ">", "value": 1}}), "Stock"),
        (json!({"sort": [{"field": "Stock"}]}), "\"Stock\" is masked for you"),
        (json!({"filter": "{Price} > 1"}), "Price"),
        (json!({"fields": ["Price"]}), "Price"),
    ] {
        let said = client.refused("list_records", asked(question.clone()));
        assert!(said.contains(told), "{question}: {said}");
    }
    let unknown = client.refused("list_records", asked(json!({"fields": ["Prise"]})));
    assert!(!unknown.contains("Price"), "no help towards what is hidden: {unknown}");
}

#[test]
fn a_token_is_bound_on_every_face_and_a_change_holds_at_once() {
    let data = Data::with_shop();
    let server = serve_http(&data, &["--allow-write"]);
    let bearer = format!("Bearer {}", server.token);
    let get = |path: &str| http(&server.address, "GET", path, &[("Authorization", bearer.as_str())], b"");
    assert_eq!(get("/v0/appShop0000000000/Goods").body.matches("\"id\"").count(), 4);
    apply(&data, &NARROW.replace("\"local\"", "\"token:test\""));
    let listed = get("/v0/appShop0000000000/Goods");
    assert_eq!(listed.body.matches("\"id\"").count(), 1, "{}", listed.body);
    assert!(!listed.body.contains("Price") && listed.body.contains("[redacted]"), "{}", listed.body);
    assert_eq!(get("/v0/appShop0000000000/Goods/recChair000000000").status, 403);
    let never = get("/v0/appShop0000000000/Goods/recNever000000000");
    let chair = get("/v0/appShop0000000000/Goods/recChair000000000");
    assert_eq!((chair.status, chair.body), (never.status, never.body));
    let sorted = get("/v0/appShop0000000000/Goods?sort%5B0%5D%5Bfield%5D=Stock");
    assert_eq!(sorted.status, 422, "{}", sorted.body);
    let meta = get("/v0/meta/bases/appShop0000000000/tables");
    assert!(!meta.body.contains("Price") && meta.body.contains("Stock"), "{}", meta.body);
    apply(&data, "version = 1\ndefault = \"deny\"\n");
    assert!(!get("/v0/meta/bases").body.contains("appShop0000000000"));
    let refused = get("/v0/appShop0000000000/Goods");
    assert!(refused.status >= 403 && !refused.body.contains("Goods"), "{}", refused.body);
    apply(
        &data,
        "version = 1\ndefault = \"deny\"\n[[allow]]\nwho = [\"*\"]\nverbs = [\"read\"]\nbase = \"Shop\"\ntables = [\"Makers\"]\n",
    );
    let meta = get("/v0/meta/bases/appShop0000000000/tables");
    assert!(meta.body.contains("Makers") && !meta.body.contains("Goods"), "{}", meta.body);
}

#[test]
fn a_policy_that_changes_in_the_middle_of_pages_leaks_nothing() {
    let data = Data::with_shop();
    let server = serve_http(&data, &[]);
    let bearer = format!("Bearer {}", server.token);
    let get = |path: &str| http(&server.address, "GET", path, &[("Authorization", bearer.as_str())], b"");
    let first = get("/v0/appShop0000000000/Goods?pageSize=1&sort%5B0%5D%5Bfield%5D=Price");
    let first: serde_json::Value = serde_json::from_str(&first.body).unwrap();
    let offset = first["offset"].as_str().unwrap();
    apply(&data, &NARROW.replace("\"local\"", "\"token:test\""));
    let next =
        get(&format!("/v0/appShop0000000000/Goods?pageSize=1&sort%5B0%5D%5Bfield%5D=Price&offset={offset}"));
    assert_eq!(next.status, 422, "the order is of a field that is not there: {}", next.body);
    let next = get(&format!("/v0/appShop0000000000/Goods?pageSize=4&offset={offset}"));
    for hidden in ["Price", "recChair", "recDesk", "recBlank"] {
        assert!(!next.body.contains(hidden), "{}", next.body);
    }
}

#[test]
fn a_field_that_is_renamed_stays_masked_and_one_that_a_rule_needs_and_is_gone_closes_the_table() {
    let data = Data::with_shop();
    let server = serve_http(&data, &["--allow-schema", "--allow-delete", "--allow-write"]);
    let owner = data.ok(&["token", "create", "--name", "reader"]).trim().to_owned();
    apply(&data, &NARROW.replace("\"local\"", "\"token:reader\""));
    let ask = |token: &str, method: &str, path: &str, body: &str| {
        let bearer = format!("Bearer {token}");
        let headers = [("Authorization", bearer.as_str()), ("Content-Type", "application/json")];
        http(&server.address, method, path, &headers, body.as_bytes())
    };
    let goods = "/v0/appShop0000000000/Goods";
    let field = "/v0/meta/bases/appShop0000000000/tables/tblGoods000000000/fields";
    let read = || ask(&owner, "GET", goods, "").body;
    assert!(read().contains("\"Stock\":\"[redacted]\""), "{}", read());
    let kept = ask(&server.token, "PATCH", &format!("{field}/fldGStock00000000"), "{\"name\": \"Left\"}");
    assert_eq!(kept.status, 200, "{}", kept.body);
    assert!(read().contains("\"Left\":\"[redacted]\""), "{}", read());
    let mut client = data.serve(&["--allow-schema", "--allow-delete", "--toolsets", "all"]).initialize();
    client.structured(
        "delete_field",
        json!({"base": "Shop", "table": "Goods", "field": "Listed", "force": true}),
    );
    assert_eq!(read(), "{\"records\":[]}", "nobody knows which rows are to be seen");
}

#[test]
fn a_tool_that_is_denied_is_not_offered_and_rules_can_be_about_tools() {
    let policy = "version = 1\ndefault = \"allow\"\n[[deny]]\nwho = [\"local\"]\ntools = [\"search_records\"]\n[[deny]]\nwho = [\"local\"]\nverbs = [\"read\"]\nbase = \"Shop\"\ntables = [\"Makers\"]\ntools = [\"list_records\"]\n";
    let (_data, client) = bound(policy, &[]);
    let mut client = client.initialize();
    assert!(!client.tools().contains(&"search_records".to_owned()));
    let refused = client.refused("search_records", json!({"base": "Shop", "query": "lamp"}));
    assert!(refused.contains("the policy does not let you use the tool search_records"), "{refused}");
    let listed = client.refused("list_records", json!({"base": "Shop", "table": "Makers"}));
    assert!(listed.contains("Makers") && listed.contains("Goods"), "there is no such table: {listed}");
    let described = client.text("describe_base", json!({"base": "Shop"}));
    assert!(described.contains("Makers"), "another tool: {described}");
}

#[test]
fn a_field_that_is_retyped_stays_masked() {
    let data = Data::new();
    let original = std::fs::read_to_string(root().join("tests/fixtures/shop.json")).unwrap();
    let file = data.path().join("shop.json");
    let import = |kind: &str, options: serde_json::Value, value: serde_json::Value| {
        let mut shop: serde_json::Value = serde_json::from_str(&original).unwrap();
        let tables = shop["tables"].as_array_mut().unwrap();
        let goods = tables.iter_mut().find(|table| table["name"] == "Goods").unwrap();
        let fields = goods["fields"].as_array_mut().unwrap();
        let stock = fields.iter_mut().find(|field| field["name"] == "Stock").unwrap();
        stock["type"] = json!(kind);
        stock.as_object_mut().unwrap().remove("options");
        if options.is_object() {
            stock["options"] = options;
        }
        for record in shop["records"]["tblGoods000000000"].as_array_mut().unwrap() {
            record["fields"]["Stock"] = value.clone();
        }
        std::fs::write(&file, shop.to_string()).unwrap();
        data.import(&file);
    };
    import("number", json!({"precision": 0}), json!(4711));
    let server = serve_http(&data, &[]);
    let bearer = format!("Bearer {}", server.token);
    let get = |path: &str| http(&server.address, "GET", path, &[("Authorization", bearer.as_str())], b"");
    for (mask, shown) in [("redact", "[redacted]"), ("hash", ""), ("last_four", ""), ("hide", "")] {
        data.ok(&["base", "delete", "Shop", "--yes"]);
        import("number", json!({"precision": 0}), json!(4711));
        let policy = NARROW.replace("\"local\"", "\"token:test\"").replace("redact", mask);
        apply(&data, &policy);
        let choices = json!({"choices": [{"id": "selSecret00000000", "name": "Zebra 4711"}]});
        for (kind, options, value) in [
            ("singleLineText", json!(null), json!("Zebra 4711")),
            ("singleSelect", choices.clone(), json!("Zebra 4711")),
            ("multipleSelects", choices.clone(), json!(["Zebra 4711"])),
            ("multilineText", json!(null), json!("Zebra 4711")),
        ] {
            data.ok(&["base", "delete", "Shop", "--yes"]);
            import(kind, options, value);
            for path in ["appShop0000000000/Goods", "meta/bases/appShop0000000000/tables"] {
                let answer = get(&format!("/v0/{path}"));
                assert_eq!(answer.status, 200, "{mask} {kind}: {}", answer.body);
                assert!(!answer.body.contains("Zebra"), "{mask} {kind}: {}", answer.body);
                assert!(path.starts_with("meta") || answer.body.contains(shown), "{}", answer.body);
            }
            let found = get("/v0/appShop0000000000/Goods?filterByFormula=FIND('Zebra',%7BStock%7D)");
            assert_eq!(found.status, 422, "{mask} {kind}: {}", found.body);
        }
    }
}
