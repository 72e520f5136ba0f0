//! MCP over standard input and output, both eras.

use serde_json::{Value, json};

use crate::support::{Client, Data, signal};

fn meta() -> Value {
    json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"}
    })
}

fn check_identity(info: &Value, instructions: &Value) {
    assert_eq!(info["name"], "tablewright");
    assert_eq!(info["version"], env!("CARGO_PKG_VERSION"));
    assert!(info["icons"][0]["src"].as_str().unwrap().starts_with("data:image/svg+xml"));
    let text = instructions.as_str().unwrap();
    assert!(text.chars().count() <= 2_000 && text.contains("list_bases"));
}

#[test]
fn the_older_era_opens_with_initialize() {
    let data = Data::with_shop();
    for version in ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"] {
        let mut client = data.serve(&[]);
        let params = json!({"protocolVersion": version, "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}});
        let answer = client.request("initialize", params)["result"].clone();
        assert_eq!(answer["protocolVersion"], version);
        check_identity(&answer["serverInfo"], &answer["instructions"]);
        client.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
        assert_eq!(client.tools().len(), 5, "{version}");
        assert_eq!(client.finish().0, Some(0));
    }
}

#[test]
fn the_newer_era_needs_no_handshake() {
    let data = Data::with_shop();
    let mut client = data.serve(&["--no-daemon"]);
    let found = client.request("server/discover", json!({"_meta": meta()}))["result"].clone();
    assert!(found["supportedVersions"].as_array().unwrap().contains(&json!("2026-07-28")));
    check_identity(&found["_meta"]["io.modelcontextprotocol/serverInfo"], &found["instructions"]);
    assert!(found["ttlMs"].as_u64().unwrap() > 0);
    let listed = client.request("tools/list", json!({"_meta": meta()}))["result"].clone();
    assert_eq!((&listed["resultType"], &listed["cacheScope"]), (&json!("complete"), &json!("private")));
    assert!(listed["ttlMs"].as_u64().unwrap() > 0);
    let call = json!({"name": "list_bases", "arguments": {}, "_meta": meta()});
    let called = client.request("tools/call", call)["result"].clone();
    assert_eq!(called["resultType"], "complete");
    assert!(
        client.request("tools/list", json!({}))["error"]["code"] == -32602,
        "each request carries its version"
    );
    let unknown = client.request("no/such", json!({"_meta": meta()}));
    assert_eq!(unknown["error"]["code"], -32601);
}

#[test]
fn what_one_may_not_use_is_hidden_and_refused() {
    let data = Data::with_shop();
    let mut reader = data.serve(&["--no-daemon"]).initialize();
    assert_eq!(
        reader.tools(),
        ["describe_base", "list_bases", "get_records", "list_records", "search_records"]
    );
    let call =
        json!({"name": "create_records", "arguments": {"base": "Shop", "table": "Goods", "records": [{}]}});
    let refused = reader.request("tools/call", call);
    assert_eq!(refused["error"]["code"], -32602, "{refused}");
    assert!(refused["error"]["message"].as_str().unwrap().contains("there is no tool"));
    drop(reader);
    for (flags, expected) in [
        (vec!["--allow-write"], vec!["create_records", "update_records"]),
        (
            vec!["--allow-write", "--allow-delete", "--toolsets", "records"],
            vec!["create_records", "delete_records", "update_records"],
        ),
        (vec!["--allow-write", "--allow-delete", "--read-only"], vec![]),
        (vec!["--tools", "list_bases"], vec![]),
        (
            vec!["--toolsets", "all", "--allow-delete", "--exclude-tools", "search_records"],
            vec!["delete_records"],
        ),
    ] {
        let mut all = vec!["--no-daemon"];
        all.extend(&flags);
        let mut client = data.serve(&all).initialize();
        let mut writing: Vec<String> =
            client.tools().into_iter().filter(|t| t.ends_with("e_records")).collect();
        writing.sort();
        assert_eq!(writing, expected, "{flags:?}");
    }
    let mut client = data.serve(&["--no-daemon", "--toolsets", "recods"]);
    let (code, said) = client.ended();
    assert_eq!(code, Some(3));
    assert!(said.contains("there is no toolset \"recods\"") && said.contains("records"), "{said}");
}

#[test]
fn a_new_users_tool_list_stays_small() {
    let data = Data::new();
    let mut client = data.serve(&["--no-daemon"]).initialize();
    let listed = client.request("tools/list", json!({}))["result"].clone();
    let size = listed.to_string().len();
    assert!(size < 8_000, "{size} bytes");
    let mut all = data_all(&data, client);
    let size = all.request("tools/list", json!({}))["result"].to_string().len();
    assert!(size < 12_000, "{size} bytes");
}

fn data_all(data: &Data, client: Client) -> Client {
    client.finish();
    data.serve(&["--no-daemon", "--allow-write", "--allow-delete", "--allow-schema"]).initialize()
}

#[test]
fn standard_output_carries_the_protocol_and_nothing_else() {
    for mode in [vec![], vec!["--no-daemon"]] {
        let data = Data::with_shop();
        let mut command = vec!["serve", "--log-format", "json"];
        command.extend(&mode);
        let mut process = data.command(&command);
        process.env("TABLEWRIGHT_LOG_LEVEL", "trace");
        let mut client = Client::start(process).initialize();
        client.text("list_records", json!({"base": "Shop", "table": "Goods"}));
        assert!(client.aside.is_empty(), "{:?}", client.aside);
        // Every line of standard output was parsed as JSON by the client.
        let (code, _) = client.finish();
        assert_eq!(code, Some(0));
    }
}

#[test]
fn lines_that_are_no_messages_are_answered_and_survived() {
    for mode in [vec![], vec!["--no-daemon"]] {
        let data = Data::with_shop();
        let mut client = data.serve(&mode).initialize();
        for (line, code) in [
            (&b"{\"jsonrpc\":\"2.0\",\"id\":90,"[..], -32700),
            (b"not json", -32700),
            (b"\xff\xfe{}", -32700),
            (b"[]", -32600),
            (b"{\"id\":91}", -32600),
            (b"{\"jsonrpc\":\"2.0\",\"id\":92,\"id\":93,\"method\":\"ping\"}", -32600),
            (
                b"{\"jsonrpc\":\"2.0\",\"id\":96,\"method\":\"tools/list\",\"params\":{\"a\":1,\"a\":2}}",
                -32600,
            ),
        ] {
            client.send_line(line);
            let answer = client.receive().unwrap();
            assert_eq!(answer["error"]["code"], code, "{} {answer}", String::from_utf8_lossy(line));
        }
        client.send_line("[".repeat(5_000).as_bytes());
        assert_eq!(client.receive().unwrap()["error"]["code"], -32700);
        let deep = format!(
            "{{\"jsonrpc\":\"2.0\",\"id\":94,\"method\":\"tools/call\",\"params\":{{\"name\":\"list_bases\",\"arguments\":{}{}}}}}",
            "{\"a\":".repeat(5_000),
            "1".to_owned() + &"}".repeat(5_000)
        );
        client.send_line(deep.as_bytes());
        assert_eq!(client.receive().unwrap()["error"]["code"], -32700);
        let huge =
            json!({"jsonrpc": "2.0", "id": 95, "method": "ping", "params": {"x": "y".repeat(10_000_000)}});
        client.send(&huge);
        let answer = client.receive().unwrap();
        assert_eq!(answer["error"]["code"], -32600, "{answer}");
        assert!(answer["error"]["message"].as_str().unwrap().contains("bytes"));
        client.text("list_bases", json!({}));
        assert_eq!(client.finish().0, Some(0));
    }
}

#[test]
fn sigterm_ends_a_conversation_cleanly() {
    for mode in [vec![], vec!["--no-daemon"]] {
        let data = Data::with_shop();
        let mut client = data.serve(&mode).initialize();
        client.text("list_bases", json!({}));
        assert!(signal(client.child.id(), "TERM"));
        let (code, said) = client.ended();
        assert_eq!(code, Some(0), "{said}");
    }
}

#[test]
fn the_last_line_may_come_without_its_end() {
    for mode in [vec![], vec!["--no-daemon"]] {
        let data = Data::with_shop();
        let mut client = data.serve(&mode).initialize();
        client.send_bytes(b"{\"jsonrpc\":\"2.0\",\"id\":77,\"method\":\"ping\"}");
        client.close_input();
        assert_eq!(client.wait_for(77)["result"], json!({}));
        assert_eq!(client.finish().0, Some(0));
    }
}

#[test]
fn settings_of_a_client_are_its_own_even_when_an_owner_runs_already() {
    let data = Data::with_shop();
    let mut first = data.serve(&[]).initialize();
    let mut command = data.command(&["serve"]);
    command.env("TABLEWRIGHT_ANSWERS_ROWS", "2");
    let mut second = Client::start(command).initialize();
    let list = json!({"base": "Shop", "table": "Goods"});
    assert!(first.text("list_records", list.clone()).contains("4 of 4 records"));
    assert!(second.text("list_records", list).contains("2 of 4 records"));
}

#[test]
fn a_flood_of_lines_that_are_no_messages_stalls_nobody() {
    let data = Data::with_shop();
    let mut client = data.serve(&[]).initialize();
    let mut input = client.take_input();
    // The client reads only after it has written for a while: both ways must go on by themselves.
    let flooding = std::thread::spawn(move || {
        for _ in 0..200_000 {
            std::io::Write::write_all(&mut input, b"x\n").unwrap();
        }
        input
    });
    for _ in 0..200_000 {
        assert_eq!(client.receive().unwrap()["error"]["code"], -32700);
    }
    client.give_input(flooding.join().unwrap());
    assert!(client.text("list_bases", json!({})).contains("Shop"));
}

#[test]
fn answers_still_come_after_the_end_of_input() {
    for mode in [vec![], vec!["--no-daemon"]] {
        let data = Data::with_shop();
        let mut client = data.serve(&mode).initialize();
        let id = client.begin(
            "tools/call",
            json!({"name": "list_records", "arguments": {"base": "Shop", "table": "Goods"}}),
        );
        client.close_input();
        let answer = client.wait_for(id);
        assert!(answer["result"]["content"][0]["text"].as_str().unwrap().contains("Lamp"));
        assert_eq!(client.finish().0, Some(0));
    }
}

#[test]
fn a_message_that_is_too_long_is_answered_by_its_id() {
    let data = Data::with_shop();
    let mut client = data.serve(&[]).initialize();
    let answer = client.request("ping", json!({"x": "y".repeat(5_000_000)}));
    assert!(answer["error"]["message"].as_str().unwrap().contains("send fewer records"), "{answer}");
    let listed = client.structured("list_bases", json!({}));
    assert_eq!(listed["bases"][0]["name"], "Shop");
}
