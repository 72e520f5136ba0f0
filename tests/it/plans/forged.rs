//! Plans, states of requests and cursors that were forged, used before, lapsed, or are somebody
//! else's: each is refused in words, and nothing is written.

use serde_json::{Value, json};

use super::{EVERYTHING, LAMP, goods, lamp, plan, price};
use crate::rest::{ALL_SCOPES, BASE, GOODS};
use crate::support::{Client, Data, http, serve_http};

/// The same text with one character changed.
fn bent(text: &str) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    let at = chars.len() - 2;
    chars[at] = if chars[at] == 'A' { 'B' } else { 'A' };
    chars.into_iter().collect()
}

fn serve(data: &Data, more: &[&str]) -> Client {
    let words: Vec<&str> = more.iter().copied().chain(EVERYTHING).collect();
    data.serve(&words).initialize()
}

#[test]
fn no_plan_but_ones_own_and_once() {
    let data = Data::with_shop();
    let mut client = serve(&data, &[]);
    let id = plan(&mut client, "update_records", price(41));
    for (token, says) in [
        (bent(&id), "unknown_plan"),
        (id.to_lowercase(), "plan"),
        (format!("{id}0"), "invalid_arguments"),
        (format!(" {id}"), ""),
        ("plnAAAAAAAAAAAAAA".to_owned(), "unknown_plan"),
        (String::new(), "invalid_arguments"),
        ("pln'; DROP TABLE".to_owned(), "invalid_arguments"),
    ] {
        let answer = client.call("apply_plan", json!({"plan": token}));
        let text = answer["content"][0]["text"].as_str().unwrap();
        if answer["isError"] == true {
            assert!(text.contains(says), "{token:?}: {text}");
        } else {
            assert_eq!(token.trim(), id, "{text}");
        }
    }
    // It was carried out once, by the token with a blank before it or is still to be.
    let first = client.call("apply_plan", json!({"plan": id}));
    let again = client.refused("apply_plan", json!({"plan": id}));
    assert!(again.contains("already"), "{first} {again}");
    assert_eq!(lamp(&mut client, "Price"), 41);
}

#[test]
fn a_plan_lapses() {
    let data = Data::with_shop();
    let mut client = serve(&data, &["--no-daemon"]);
    let id = plan(&mut client, "update_records", price(41));
    client.finish();
    let script = "import sqlite3, sys\nwith sqlite3.connect(sys.argv[1]) as store: store.execute('UPDATE plans SET expires_at = 1')";
    let store = data.path().join("tablewright.db");
    let done = std::process::Command::new("python3").args(["-c", script]).arg(store).status().unwrap();
    assert!(done.success());
    let mut client = serve(&data, &["--no-daemon"]);
    let refused = client.refused("apply_plan", json!({"plan": id}));
    assert!(refused.contains("lapsed") || refused.starts_with("unknown_plan"), "{refused}");
    assert_eq!(lamp(&mut client, "Price"), 40);
}

#[test]
fn cursors_belong_to_the_call_they_came_from() {
    let data = Data::with_shop();
    let mut client = serve(&data, &[]);
    let first = client.structured("list_records", goods(json!({"limit": 2, "format": "json"})));
    let cursor = first["next_cursor"].as_str().or(first["cursor"].as_str());
    let cursor = cursor.unwrap_or_else(|| panic!("{first}")).to_owned();
    let makers = json!({"base": "Shop", "table": "Makers", "limit": 2, "cursor": cursor});
    for (what, arguments) in [
        ("bent", goods(json!({"limit": 2, "cursor": bent(&cursor)}))),
        ("cut", goods(json!({"limit": 2, "cursor": cursor[..cursor.len() / 2]}))),
        ("of another table", makers),
        ("of another filter", goods(json!({"limit": 2, "cursor": cursor, "filter": "{Price} > 1"}))),
        ("of nothing", goods(json!({"limit": 2, "cursor": "AAAA"}))),
        ("long", goods(json!({"limit": 2, "cursor": "A".repeat(100_000)}))),
        ("no base64", goods(json!({"limit": 2, "cursor": "☃"}))),
    ] {
        let refused = client.refused("list_records", arguments);
        assert!(
            refused.starts_with("invalid_cursor") || refused.starts_with("invalid_arguments"),
            "{what}: {refused}"
        );
    }
    let read =
        client.structured("list_records", goods(json!({"limit": 2, "format": "json", "cursor": cursor})));
    assert!(!read["records"].as_array().unwrap().is_empty(), "the cursor itself is good");
    for (tool, arguments) in [
        ("wait_for_changes", json!({"base": "Shop", "since": bent("AAAAAAAA"), "timeout_seconds": 0})),
        ("list_changes", json!({"base": "Shop", "before": "x"})),
        ("get_record_history", goods(json!({"record": LAMP, "before": {"a": 1}}))),
    ] {
        let refused = client.refused(tool, arguments);
        assert!(refused.starts_with("invalid_"), "{tool}: {refused}");
    }
    for method in ["tools/list", "resources/list", "prompts/list"] {
        let answer = client.request(method, json!({"cursor": "AAAA"}));
        assert_eq!(answer["error"]["code"], -32602, "{method}: {answer}");
    }
}

#[test]
fn offsets_of_the_web_api_are_no_better() {
    let data = Data::with_shop();
    let token = data.ok(&["token", "create", "--name", "t", "--scopes", ALL_SCOPES]);
    let server = serve_http(&data, &[]);
    let bearer = format!("Bearer {}", token.trim());
    let get = |path: &str| http(&server.address, "GET", path, &[("Authorization", &bearer)], b"");
    let first: Value = serde_json::from_str(&get(&format!("/v0/{BASE}/{GOODS}?pageSize=2")).body).unwrap();
    let offset = first["offset"].as_str().unwrap();
    for wrong in
        [bent(offset), offset[..offset.len() / 2].to_owned(), "itrAAAA/recBBBB".to_owned(), "%00".to_owned()]
    {
        let answer = get(&format!("/v0/{BASE}/{GOODS}?pageSize=2&offset={wrong}"));
        assert_eq!(answer.status, 422, "{wrong}: {}", answer.body);
        assert!(
            answer.body.contains("INVALID_OFFSET_VALUE") || answer.body.contains("ITERATOR"),
            "{}",
            answer.body
        );
    }
    let other = get(&format!("/v0/{BASE}/Makers?pageSize=2&offset={offset}"));
    assert_eq!(other.status, 422, "{}", other.body);
}
