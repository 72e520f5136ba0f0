use serde_json::{Value, json};

use super::everything;
use crate::support::{Client, Data};

const LAMP: &str = "recLamp0000000000";

fn on_lamp(more: Value) -> Value {
    let mut arguments = json!({"base": "Shop", "table": "Goods", "record": LAMP});
    arguments.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    arguments
}

fn add(client: &mut Client, text: &str) -> Value {
    client.structured("add_comment", on_lamp(json!({"text": text})))
}

#[test]
fn comments_are_read_page_by_page_newest_first() {
    let (_data, mut client) = everything();
    let first = add(&mut client, "one")["id"].as_str().unwrap().to_owned();
    let reply =
        client.structured("add_comment", on_lamp(json!({"text": "two\tlines\nhere", "reply_to": first})));
    assert_eq!(reply["reply_to"], first);
    let deeper = client.structured("add_comment", on_lamp(json!({"text": "three", "reply_to": reply["id"]})));
    assert_eq!(deeper["reply_to"], first, "threads have one level");
    let text = client.text("list_comments", on_lamp(json!({"limit": 2})));
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("<untrusted-data-") && lines[4].starts_with("</untrusted-data-"), "{text}");
    assert_eq!(lines[1], "id\treply_to\tauthor\tcreated\tedited\ttext");
    let row: Vec<&str> = lines[3].split('\t').collect();
    assert_eq!((row[0], row[1], row[2]), (reply["id"].as_str().unwrap(), first.as_str(), "local"));
    assert_eq!(row[5], "two\\u{9}lines\\u{A}here");
    assert!(lines[5].starts_with("2 of 4 comments"), "{text}");
    let cursor = lines[5].split('"').nth(1).unwrap().to_owned();
    // A new comment does not move the pages behind it.
    add(&mut client, "four");
    let rest = client.structured("list_comments", on_lamp(json!({"cursor": cursor, "format": "json"})));
    let texts: Vec<&Value> = rest["comments"].as_array().unwrap().iter().map(|c| &c["text"]).collect();
    assert_eq!(texts, ["one", "Nice"]);
    assert_eq!((&rest["total"], rest.get("cursor")), (&json!(5), None));
    assert_eq!(rest["comments"][1]["author"], "Ada");
    for (more, said) in [
        (json!({"record": "recNone0000000000"}), "has no record"),
        (json!({"record": "lamp"}), "no record id"),
        (json!({"limit": 0}), "1 to 1000"),
        (json!({"cursor": "abc"}), "cursor"),
        (json!({"record": "recDesk0000000000", "cursor": cursor}), "another query"),
    ] {
        let refused = client.refused("list_comments", on_lamp(more.clone()));
        assert!(refused.contains(said), "{more}: {refused}");
    }
}

#[test]
fn people_are_mentioned_by_name_or_id() {
    let data = Data::with_shop();
    data.ok(&["token", "create", "--name", "Bo Li", "--scopes", "data.records:read"]);
    let mut client = data.serve(&["--allow-write", "--no-daemon", "--toolsets", "all"]).initialize();
    let added = add(&mut client, "@[bo li] and @[local], see @[nobody]");
    assert_eq!(added["mentioned"].as_array().unwrap().len(), 2, "{added}");
    assert_eq!(added["not_known"], json!(["nobody"]));
    let text = client.text("list_comments", on_lamp(json!({})));
    assert!(text.contains("@[Bo Li] and @[local], see @[nobody]"), "{text}");
    let json = client.structured("list_comments", on_lamp(json!({"format": "json", "limit": 1})));
    let comment = &json["comments"][0];
    let bo = comment["mentioned"]
        .as_object()
        .unwrap()
        .iter()
        .find(|(_, name)| *name == "Bo Li")
        .unwrap()
        .0
        .clone();
    assert!(comment["text"].as_str().unwrap().starts_with(&format!("@[{bo}]")), "{comment}");
    assert_eq!(add(&mut client, &format!("@[{bo}] again"))["mentioned"], json!(["Bo Li"]));
    for (more, said) in [
        (json!({"text": " "}), "text is empty"),
        (json!({"text": "x", "reply_to": "com00000000000009"}), "no comment"),
        (json!({"text": "x", "reply_to": "me"}), "no comment id"),
        (json!({"text": "…[cut: 3 more characters]"}), "was cut"),
        (json!({"text": "é".repeat(100_001)}), "at most 100000 characters"),
    ] {
        let refused = client.refused("add_comment", on_lamp(more));
        assert!(refused.contains(said), "{said}: {refused}");
    }
}

#[test]
fn reading_and_writing_comments_are_rights_of_their_own() {
    let data = Data::with_shop();
    let mut client = data.serve(&["--no-daemon", "--toolsets", "comments"]).initialize();
    assert_eq!(client.tools(), ["list_comments"]);
    let asked = json!({"name": "add_comment", "arguments": on_lamp(json!({"text": "x"}))});
    assert!(
        client.request("tools/call", asked)["error"]["message"]
            .as_str()
            .unwrap()
            .contains("there is no tool")
    );
}
