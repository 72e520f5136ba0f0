//! Inputs nobody should send.

use serde_json::json;

use crate::support::Data;

#[test]
fn large_and_odd_arguments_are_bounded_or_refused() {
    let data = Data::with_shop();
    let mut client = data.serve(&["--allow-write", "--no-daemon"]).initialize();
    let big = "x".repeat(200_000);
    let done =
        client.call("create_records", json!({"base": "Shop", "table": "Goods", "records": [{"Notes": big}]}));
    assert!(
        done["structuredContent"]["failed"][0]["message"].as_str().unwrap().contains("100000 characters")
    );
    let name = "n".repeat(1_000_000);
    let refused = client.refused("list_records", json!({"base": name, "table": "Goods"}));
    assert!(refused.len() < 2_500, "an error never echoes a flood: {}", refused.len());
    let refused = client.refused("list_records", json!({"base": "Shop", "table": "Goods", name.clone(): 1}));
    assert!(refused.len() < 2_500);
    client.refused("search_records", json!({"base": "Shop", "query": "\u{202e}", "table": "No\u{202e}"}));
    let words = "word ".repeat(100_000);
    assert!(
        client.refused("search_records", json!({"base": "Shop", "query": words})).contains("1 to 16 words")
    );
    let sort: Vec<_> = (0..100).map(|_| json!({"field": "Name"})).collect();
    assert!(
        client
            .refused("list_records", json!({"base": "Shop", "table": "Goods", "sort": sort}))
            .contains("at most 10")
    );
    let fields = vec!["Name"; 10_000];
    assert!(
        client.text("list_records", json!({"base": "Shop", "table": "Goods", "fields": fields})).len()
            < 1_000
    );
    let unknown = client.request("tools/call", json!({"name": name, "arguments": {}}));
    assert!(unknown["error"]["message"].as_str().unwrap().len() < 1_000);
    for arguments in [json!([]), json!("x"), json!(1)] {
        let answer = client.request("tools/call", json!({"name": "list_bases", "arguments": arguments}));
        assert!(answer["error"].is_object() || answer["result"]["isError"] == true, "{answer}");
    }
    for cell in
        [json!({"a": {"b": [1, {"c": null}]}}), json!(1e308), json!(-0.0), json!(i64::MAX), json!([[[]]])]
    {
        client.call("create_records", json!({"base": "Shop", "table": "Goods", "records": [{"Stock": cell, "Name": cell, "Tags": cell}]}));
    }
    assert!(client.text("list_bases", json!({})).contains("Shop"));
    assert_eq!(client.finish().0, Some(0));
}

#[test]
fn a_flood_of_calls_is_answered_in_full() {
    let data = Data::with_shop();
    let mut client = data.serve(&[]).initialize();
    let ids: Vec<u64> = (0..500)
        .map(|_| {
            client.begin(
                "tools/call",
                json!({"name": "list_records", "arguments": {"base": "Shop", "table": "Goods"}}),
            )
        })
        .collect();
    let mut left: std::collections::HashSet<u64> = ids.into_iter().collect();
    while !left.is_empty() {
        let answer = client.receive().unwrap();
        assert!(answer["result"]["content"][0]["text"].as_str().unwrap().contains("Lamp"));
        assert!(left.remove(&answer["id"].as_u64().unwrap()));
    }
}

#[test]
fn cancelling_one_call_leaves_the_others_alone() {
    let data = Data::with_shop();
    let mut client = data.serve(&["--no-daemon"]).initialize();
    let id = client.begin(
        "tools/call",
        json!({"name": "search_records", "arguments": {"base": "Shop", "query": "lamp"}}),
    );
    client.send(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": id}}));
    assert!(client.text("list_bases", json!({})).contains("Shop"));
}
