//! Taking changes of comments back.

use serde_json::{Value, json};

use super::{LAMP, open, undo};
use crate::plans::{dry, goods};
use crate::rest::{ALL_SCOPES, BASE, GOODS};
use crate::support::{Client, Data, http, serve_http};

fn comments(client: &mut Client) -> Value {
    client.structured("list_comments", goods(json!({"record": LAMP, "format": "json"})))["comments"].clone()
}

fn newest(client: &mut Client) -> i64 {
    client.structured("list_changes", json!({"base": "Shop", "limit": 1}))["changes"][0]["number"]
        .as_i64()
        .unwrap()
}

#[test]
fn a_comment_comes_and_goes_with_its_change() {
    let (_data, mut client) = open();
    let before = comments(&mut client);
    client.structured("add_comment", goods(json!({"record": LAMP, "text": "bright"})));
    let with = comments(&mut client);
    assert_ne!(with, before);
    let number = newest(&mut client);
    let planned = client.structured("undo_changes", dry(json!({"base": "Shop", "changes": [number]})));
    assert!(planned["plan"]["comments"][0].as_str().unwrap().contains("a comment goes"), "{planned}");
    assert_eq!(comments(&mut client), with);
    let done = undo(&mut client, json!({"changes": [number]}));
    assert_eq!((&done["removed"], &done["restored"]), (&json!(1), &json!(0)));
    assert_eq!(comments(&mut client), before);
    let again = client.refused("undo_changes", json!({"base": "Shop", "changes": [number]}));
    assert!(again.contains("already"), "{again}");
    undo(&mut client, json!({"changes": [done["change"]]}));
    assert_eq!(comments(&mut client), with, "the same comment, with its id and time");
    // Together with other changes it is not.
    let price = client.structured("update_records", crate::plans::price(9))["change"].clone();
    let mixed = client.refused("undo_changes", json!({"base": "Shop", "changes": [number, price]}));
    assert!(mixed.contains("already") || mixed.contains("by themselves"), "{mixed}");
}

#[test]
fn an_edit_and_a_thread_that_went_come_back_and_only_to_their_author() {
    let data = Data::with_shop();
    let token = data.ok(&["token", "create", "--name", "ada", "--scopes", ALL_SCOPES]);
    let server = serve_http(&data, &["--allow-write", "--toolsets", "all"]);
    let bearer = format!("Bearer {}", token.trim());
    let headers = [("Authorization", bearer.as_str()), ("Content-Type", "application/json")];
    let place = format!("/v0/{BASE}/{GOODS}/{LAMP}/comments");
    let send = |method: &str, path: &str, body: Value| -> Value {
        let answer = http(&server.address, method, path, &headers, body.to_string().as_bytes());
        assert_eq!(answer.status, 200, "{}", answer.body);
        serde_json::from_str(&answer.body).unwrap()
    };
    let list = || -> Value {
        serde_json::from_str(&http(&server.address, "GET", &place, &headers, b"").body).unwrap()
    };
    let tool = |name: &str, arguments: Value| -> Value {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": name, "arguments": arguments,
            "_meta": {"io.modelcontextprotocol/protocolVersion": "2026-07-28",
                      "io.modelcontextprotocol/clientInfo": {"name": "t", "version": "1"},
                      "io.modelcontextprotocol/clientCapabilities": {}}}});
        let more = [
            ("Accept", "application/json, text/event-stream"),
            ("MCP-Protocol-Version", "2026-07-28"),
            ("Mcp-Method", "tools/call"),
            ("Mcp-Name", name),
        ];
        let headers: Vec<_> = headers.into_iter().chain(more).collect();
        let answer = http(&server.address, "POST", "/mcp", &headers, body.to_string().as_bytes());
        let line = answer.body.lines().find_map(|line| line.strip_prefix("data: ")).unwrap_or(&answer.body);
        serde_json::from_str::<Value>(line).unwrap_or_else(|e| panic!("{e}: {}", answer.body))["result"]
            .clone()
    };
    let first = send("POST", &place, json!({"text": "bright"}))["id"].as_str().unwrap().to_owned();
    send("POST", &place, json!({"text": "too bright", "parentCommentId": first}));
    let before = list();
    send("PATCH", &format!("{place}/{first}"), json!({"text": "dim"}));
    send("DELETE", &format!("{place}/{first}"), json!({}));
    assert_ne!(list(), before);
    let changes =
        tool("list_changes", json!({"base": "Shop", "limit": 2}))["structuredContent"]["changes"].clone();
    let numbers: Vec<&Value> = changes.as_array().unwrap().iter().map(|change| &change["number"]).collect();
    // Somebody else may not put words into Ada's mouth.
    let mut local = data.serve(&["--allow-write", "--toolsets", "all"]).initialize();
    let refused = local.refused("undo_changes", json!({"base": "Shop", "changes": numbers}));
    assert!(refused.starts_with("forbidden") && refused.contains("author"), "{refused}");
    let done = tool("undo_changes", json!({"base": "Shop", "changes": numbers}));
    assert_eq!(done["structuredContent"]["restored"], 2, "{done}");
    assert_eq!(list(), before);
}
