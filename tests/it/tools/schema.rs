use serde_json::json;

use super::shop;

#[test]
fn list_bases_gives_ids_and_names() {
    let (_data, mut client) = shop();
    let listed = client.structured("list_bases", json!({}));
    assert_eq!(listed, json!({"bases": [{"id": "appShop0000000000", "name": "Shop", "kind": "local"}]}));
}

#[test]
fn describe_base_tells_as_much_as_asked() {
    let (_data, mut client) = shop();
    let tables = client.structured("describe_base", json!({"base": "Shop", "detail": "tables"}));
    assert_eq!(
        tables["tables"][0],
        json!({"name": "Goods", "records": 4, "description": "What is for sale"})
    );
    let fields = client.structured("describe_base", json!({"base": "shop", "table": "goods"}));
    assert_eq!(fields["tables"].as_array().unwrap().len(), 1);
    let field = |name: &str| {
        let all = fields["tables"][0]["fields"].as_array().unwrap();
        all.iter().find(|f| f["name"] == name).unwrap().clone()
    };
    assert_eq!(
        field("Colour"),
        json!({"name": "Colour", "type": "singleSelect", "choices": ["red", "green", "blue"]})
    );
    assert_eq!(field("Maker")["linksTo"], "Makers");
    assert_eq!(field("Worth")["computed"], true);
    let full = client.structured("describe_base", json!({"base": "appShop0000000000", "detail": "full"}));
    assert_eq!(full["tables"][0]["id"], "tblGoods000000000");
    assert_eq!(full["tables"][0]["views"][1]["name"], "By price");
    let odd = full["tables"][0]["fields"].as_array().unwrap().last().unwrap();
    assert_eq!(odd["options"], json!({"depth": 3}));
}

#[test]
fn names_ids_and_urls_mean_the_same_and_misses_are_helped() {
    let (_data, mut client) = shop();
    for (base, table) in [
        ("Shop", "Goods"),
        ("shop", "GOODS"),
        ("appShop0000000000", "tblGoods000000000"),
        (
            "https://airtable.com/appShop0000000000/tblGoods000000000/viwGrid0000000000",
            "https://airtable.com/appShop0000000000/tblGoods000000000",
        ),
    ] {
        let text = client.text("list_records", json!({"base": base, "table": table, "limit": 1}));
        assert!(text.contains("recLamp0000000000"), "{base} {table}");
    }
    assert!(client.refused("describe_base", json!({"base": "Shpo"})).contains("Did you mean \"Shop\""));
    let miss = client.refused("list_records", json!({"base": "Shop", "table": "Good"}));
    assert!(miss.contains("unknown_table") && miss.contains("\"Goods\""), "{miss}");
    let field =
        client.refused("list_records", json!({"base": "Shop", "table": "Goods", "fields": ["Prise"]}));
    assert!(field.contains("Did you mean \"Price\""), "{field}");
    let view = client.refused("list_records", json!({"base": "Shop", "table": "Goods", "view": "Gird view"}));
    assert!(view.contains("\"Grid view\""), "{view}");
}

#[test]
fn wrong_arguments_say_what_to_send() {
    let (_data, mut client) = shop();
    let unknown = client.refused("list_records", json!({"base": "Shop", "tabel": "Goods"}));
    assert!(unknown.contains("Did you mean \"table\""), "{unknown}");
    let missing = client.refused("list_records", json!({"base": "Shop"}));
    assert!(missing.contains("missing: table"), "{missing}");
    let kind = client.refused("list_records", json!({"base": "Shop", "table": "Goods", "limit": "ten"}));
    assert!(kind.contains("argument limit"), "{kind}");
    let range = client.refused("list_records", json!({"base": "Shop", "table": "Goods", "limit": 0}));
    assert!(range.contains("1 to 1000"), "{range}");
    let detail = client.refused("describe_base", json!({"base": "Shop", "detail": "all"}));
    assert!(detail.contains("tables") && detail.contains("full"), "{detail}");
}

#[test]
fn describe_base_fits_an_answer_and_goes_on_where_it_was_cut() {
    let data = crate::support::Data::with_shop();
    let mut client = data.serve(&["--allow-schema", "--toolsets", "default,design"]).initialize();
    let choices: Vec<String> = (0..300).map(|n| format!("A choice with the number {n}")).collect();
    let mut fields = vec![json!({"name": "Name", "type": "singleLineText"})];
    fields.extend(
        (0..100).map(|n| json!({"name": format!("F{n}"), "type": "singleSelect", "choices": choices})),
    );
    client.structured("create_table", json!({"base": "Shop", "name": "Wide", "fields": fields}));
    for detail in ["tables", "fields", "full"] {
        let all = client.structured("describe_base", json!({"base": "Shop", "detail": detail}));
        assert!(all.to_string().len() < 25_000, "{detail}: {}", all.to_string().len());
        assert_eq!(all["tables"].as_array().unwrap().len(), 3, "{detail}");
        assert_eq!(all["note"].is_string(), detail != "tables", "{detail}: {}", all["note"]);
        if detail == "tables" {
            continue;
        }
        let mut names = Vec::new();
        loop {
            let asked = json!({"base": "Shop", "table": "Wide", "detail": detail, "skip": names.len()});
            let part = client.structured("describe_base", asked);
            assert!(part.to_string().len() < 25_000, "{detail}: {}", part.to_string().len());
            let wide = &part["tables"][0];
            names.extend(wide["fields"].as_array().unwrap().iter().map(|field| field["name"].clone()));
            if wide["moreFields"].is_null() {
                break;
            }
            assert!(
                part["note"].as_str().unwrap().contains(&format!("skip: {}", names.len())),
                "{}",
                part["note"]
            );
        }
        let mut expected = vec![json!("Name")];
        expected.extend((0..100).map(|n| json!(format!("F{n}"))));
        assert_eq!(names, expected, "{detail}");
    }
    let refused = client.refused("describe_base", json!({"base": "Shop", "skip": 3}));
    assert!(refused.contains("skip needs table"), "{refused}");
}
