use serde_json::{Value, json};

use crate::support::{Client, Data, root};

/// A client with the formula tools, on the orders.
fn orders() -> (Data, Client) {
    let data = Data::new();
    data.import(&root().join("tests/fixtures/orders.json"));
    let client =
        data.serve(&["--toolsets", "all", "--allow-write", "--allow-delete", "--no-daemon"]).initialize();
    (data, client)
}

fn ids(text: &str) -> Vec<&str> {
    text.lines().filter(|line| line.starts_with("rec")).filter_map(|line| line.split('\t').next()).collect()
}

fn listed(client: &mut Client, table: &str, more: Value) -> Vec<String> {
    let mut arguments = json!({"base": "Orders", "table": table});
    arguments.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let text = client.text("list_records", arguments);
    ids(&text).into_iter().map(str::to_owned).collect()
}

#[test]
fn records_are_filtered_by_formulas_conditions_and_views() {
    let (_data, mut client) = orders();
    let (one, two, three) = ("recOrder100000000", "recOrder200000000", "recOrder300000000");
    for (filter, kept) in [
        (json!("{Status} = 'Open'"), vec![one, three]),
        (json!("{Customer} = 'Ada'"), vec![one, two]),
        (json!("FIND('Bob', ARRAYJOIN({Customer}, ','))"), vec![three]),
        (json!("SUM({Discount}) > 0.05"), vec![one, two]),
        (json!("{Due} < '2026-02-15'"), vec![one, three]),
        (json!("AND({Due}, IS_BEFORE({Due}, '2026-02-15'))"), vec![one]),
        (json!("RECORD_ID() = 'recOrder200000000'"), vec![two]),
        (json!("{fldOrdAmount00000} >= 50"), vec![one, two]),
        (json!("{Ratio}"), vec![one, two]),
        (json!({"field": "Status", "op": "=", "value": "Open"}), vec![one, three]),
        (
            json!({"and": [{"field": "Amount", "op": ">", "value": 10}, {"not": {"field": "Status", "op": "=", "value": "Paid"}}]}),
            vec![one],
        ),
        (json!({"field": "Customer", "op": "has", "value": "Bob"}), vec![three]),
        (json!({"field": "Due", "op": "empty"}), vec![three]),
        (json!({"field": "Due", "op": "=", "value": "2026-03-01"}), vec![two]),
        (json!({"field": "Amount", "op": "in", "value": [0, 50]}), vec![two, three]),
        (json!({"field": "Label", "op": "contains", "value": "paid"}), vec![two]),
        (json!(""), vec![one, two, three]),
    ] {
        assert_eq!(listed(&mut client, "Orders", json!({"filter": filter})), kept, "{filter}");
    }
    assert_eq!(listed(&mut client, "Orders", json!({"view": "Open"})), [one, three], "and its order");
    assert_eq!(listed(&mut client, "Orders", json!({"view": "Open", "filter": "{Amount} = 0"})), [three]);
    assert_eq!(listed(&mut client, "Customers", json!({"view": "Gold"})), ["recAda00000000000"]);
    let found = client.text(
        "search_records",
        json!({"base": "Orders", "query": "ada", "table": "Orders", "filter": "{Status} = 'Paid'"}),
    );
    assert_eq!(ids(&found), [two]);
}

#[test]
fn pages_of_a_filter_go_on_and_count_what_is_kept() {
    let (_data, mut client) = orders();
    let first = client.text(
        "list_records",
        json!({"base": "Orders", "table": "Orders", "filter": "{Status} = 'Open'", "limit": 1}),
    );
    assert!(first.contains("1 of 2 records"), "{first}");
    let cursor = first.split("cursor \"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let rest = client.text(
        "list_records",
        json!({"base": "Orders", "table": "Orders", "filter": "{Status} = 'Open'", "limit": 1, "cursor": cursor}),
    );
    assert_eq!(ids(&rest), ["recOrder300000000"]);
    let other = client.refused(
        "list_records",
        json!({"base": "Orders", "table": "Orders", "filter": "{Status} = 'Paid'", "limit": 1, "cursor": cursor}),
    );
    assert!(other.contains("another query"), "{other}");
}

#[test]
fn filters_that_cannot_be_used_say_what_to_change() {
    let (_data, mut client) = orders();
    for (filter, says) in [
        (json!("{Amont} > 3"), "Did you mean \"Amount\""),
        (json!("IFERROR({Amount}, 0)"), "ISERROR"),
        (json!("{Amount} > "), "value is expected"),
        (json!({"field": "Amont", "op": "="}), "Did you mean \"Amount\""),
        (json!({"and": {}}), "a list of at least one"),
        (json!(7), "filter"),
    ] {
        let error =
            client.refused("list_records", json!({"base": "Orders", "table": "Orders", "filter": filter}));
        assert!(error.contains(says), "{filter}: {error}");
    }
    let error = client.refused("search_records", json!({"base": "Orders", "query": "a", "filter": "1"}));
    assert!(error.contains("filter needs table"), "{error}");
}

#[test]
fn check_formula_names_place_and_fix() {
    let (_data, mut client) = orders();
    let mut check = |formula: &str| {
        client.structured("check_formula", json!({"base": "Orders", "table": "Orders", "formula": formula}))
    };
    let good = check("{Amount} * 2");
    assert_eq!(
        (&good["valid"], &good["result"], &good["fields"]),
        (&json!(true), &json!("number"), &json!(["Amount"]))
    );
    assert_eq!(good["problems"], json!([]));
    let bad = check("IF({Amuont} > 1, UPPR('x')");
    let codes: Vec<&str> =
        bad["problems"].as_array().unwrap().iter().map(|p| p["code"].as_str().unwrap()).collect();
    assert_eq!(codes, ["unbalanced_parenthesis", "unknown_field", "unknown_function"]);
    assert_eq!(bad["problems"][1]["part"], "{Amuont}");
    assert!(bad["problems"][2]["fix"].as_str().unwrap().contains("UPPER"));
    for (formula, code) in [
        ("DATETIME_FORMAT({Due}, 'YYYY-mm-DD')", "suspicious_format"),
        ("DATETIME_DIFF({Due}, TODAY(), 'day of week')", "unknown_unit"),
        ("DATEADD({Due}, 1, 'm')", "unknown_unit"),
        ("{Status} = 'Closed'", "impossible_comparison"),
        ("{Amount} = 'lots'", "impossible_comparison"),
        ("1 < {Amount} < 5", "impossible_comparison"),
        ("IF(OR({Status} = 'Open', 'Paid'), 1)", "always_true"),
        ("{Amount} = {Amount}", "always_true"),
        ("IF({Amount}, {Amount}, 'none')", "mixed_result"),
        ("REGEX_MATCH({Label}, '(?=x)')", "bad_pattern"),
        ("SET_TIMEZONE({Due}, 'Paris')", "unknown_zone"),
        ("YEAR({Amount})", "wrong_type"),
        ("{Due} + 1", "wrong_type"),
    ] {
        let found = check(formula);
        assert_eq!(found["valid"], true, "{formula}");
        let codes: Vec<&Value> = found["problems"].as_array().unwrap().iter().map(|p| &p["code"]).collect();
        assert!(codes.contains(&&json!(code)), "{formula}: {found}");
    }
}

#[test]
fn evaluate_formula_takes_values_records_and_tables() {
    let (_data, mut client) = orders();
    let mut evaluate = |arguments: Value| client.structured("evaluate_formula", arguments);
    let bare =
        evaluate(json!({"formula": "{Price} * {Count} & \" EUR\"", "values": {"Price": 2.5, "Count": 4}}));
    assert_eq!(bare["value"], "10 EUR");
    let failed =
        evaluate(json!({"formula": "1 + YEAR({D})", "values": {"D": {"type": "date", "value": null}}}));
    assert_eq!(
        (&failed["error"]["code"], &failed["error"]["part"]),
        (&json!("blank_date"), &json!("YEAR({D})"))
    );
    let typed = evaluate(
        json!({"base": "Orders", "table": "Orders", "formula": "DATEADD({Due}, 1, 'days')", "values": {"due": "2026-12-31"}}),
    );
    assert_eq!(typed["value"], "2027-01-01T00:00:00.000Z");
    let named = evaluate(
        json!({"base": "Orders", "table": "Orders", "formula": "IF({Amount} > 60, 'big', LOWER({Status}))",
        "records": ["recOrder200000000"], "trace": true}),
    );
    assert_eq!(named["rows"], json!([{"id": "recOrder200000000", "name": "O-002", "value": "paid"}]));
    let parts: Vec<&Value> = named["trace"].as_array().unwrap().iter().map(|part| &part["part"]).collect();
    assert_eq!(
        parts,
        [
            &json!("IF({Amount} > 60, 'big', LOWER({Status}))"),
            &json!("{Amount} > 60"),
            &json!("{Amount}"),
            &json!("LOWER({Status})"),
            &json!("{Status}")
        ],
        "the branch that is not taken is not shown"
    );
    let table =
        evaluate(json!({"base": "Orders", "table": "Orders", "formula": "100 / {Amount}", "sample": 1}));
    assert_eq!(table["rows"].as_array().unwrap().len(), 1);
    let statistics = &table["statistics"];
    assert_eq!(
        (&statistics["rows"], &statistics["errors"], &statistics["max"]),
        (&json!(3), &json!(1), &json!(2.0))
    );
    assert_eq!(statistics["histogram"].as_array().unwrap().len(), 2);
    let kept = evaluate(
        json!({"base": "Orders", "table": "Orders", "formula": "{Status}", "filter": "{Status} = 'Open'"}),
    );
    assert_eq!(kept["statistics"]["histogram"], json!([{"value": "Open", "count": 2}]));
    let error = client.refused(
        "evaluate_formula",
        json!({"base": "Orders", "table": "Orders", "formula": "{Net} + 1", "values": {"Amount": 5}}),
    );
    assert!(error.contains("\"Net\" is computed"), "{error}");
    let error = client.refused("evaluate_formula", json!({"base": "Orders", "formula": "1"}));
    assert!(error.contains("go together"), "{error}");
}

#[test]
fn explain_formula_shows_names_and_words() {
    let (_data, mut client) = orders();
    let said =
        client.structured("explain_formula", json!({"base": "Orders", "table": "Orders", "field": "Net"}));
    assert_eq!(said["formula"], "{Amount} * (1 - SUM({Discount}))");
    assert_eq!(said["depends_on"], json!(["Amount", "Discount"]));
    assert!(
        said["says"]
            .as_str()
            .unwrap()
            .starts_with("the result of\n  the field \"Amount\" (a number)\n  times: ")
    );
    let rollup = client
        .structured("explain_formula", json!({"base": "Orders", "table": "Customers", "field": "Total"}));
    assert_eq!(rollup["depends_on"], json!(["Orders: Net"]));
    let error =
        client.refused("explain_formula", json!({"base": "Orders", "table": "Orders", "field": "Amount"}));
    assert!(error.contains("has no formula"), "{error}");
}

#[test]
fn assess_formula_impact_lists_the_worst_first() {
    let (_data, mut client) = orders();
    let mut assess = |change: Value| {
        let mut arguments = json!({"base": "Orders", "table": "Orders", "field": "Amount"});
        arguments.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        client.structured("assess_formula_impact", arguments)
    };
    let deleted = assess(json!({"change": "delete"}));
    assert_eq!(deleted["broken"], 6, "{deleted}");
    assert_eq!(deleted["affected"][0]["effect"], "breaks");
    let renamed = assess(json!({"change": "rename", "to": "Sum"}));
    assert_eq!(renamed["broken"], 0);
    let error = client.refused(
        "assess_formula_impact",
        json!({"base": "Orders", "table": "Orders", "field": "Amount", "change": "retype"}),
    );
    assert!(error.contains("\"to\" is missing"), "{error}");
}

#[test]
fn describe_base_shows_formulas_with_names() {
    let (_data, mut client) = orders();
    let described = client.structured("describe_base", json!({"base": "Orders", "table": "Orders"}));
    let fields = described["tables"][0]["fields"].as_array().unwrap();
    let number = fields.iter().find(|f| f["name"] == "Number").unwrap();
    assert_eq!(number["formula"], "\"O-\" & RIGHT(\"000\" & {Serial}, 3)");
}
