//! MCP over HTTP, both eras, and the guard in front of it.

use serde_json::{Value, json};

use crate::support::{Answer, Data, HttpServer, http, serve_http, signal};

const META: &str = r#"{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{},"io.modelcontextprotocol/clientInfo":{"name":"t","version":"1"}}"#;

fn post(server: &HttpServer, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    post_as(&server.address, &server.token, headers, body)
}

fn post_as(address: &str, token: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    let bearer = format!("Bearer {token}");
    let mut all =
        vec![("Content-Type", "application/json"), ("Accept", "application/json, text/event-stream")];
    if !headers.iter().any(|(name, _)| *name == "Authorization") {
        all.push(("Authorization", &bearer));
    }
    all.extend(headers);
    http(address, "POST", "/mcp", &all, body)
}

/// A request of the newer era.
fn modern(server: &HttpServer, method: &str, name: Option<&str>, params: Value) -> Answer {
    modern_as(&server.address, &server.token, method, name, params)
}

fn modern_as(address: &str, token: &str, method: &str, name: Option<&str>, mut params: Value) -> Answer {
    params["_meta"] = serde_json::from_str(META).unwrap();
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string();
    let mut headers = vec![("MCP-Protocol-Version", "2026-07-28"), ("Mcp-Method", method)];
    headers.extend(name.map(|name| ("Mcp-Name", name)));
    post_as(address, token, &headers, body.as_bytes())
}

#[test]
fn the_newer_era_answers_one_request_with_one_json() {
    let data = Data::with_shop();
    let server = serve_http(&data, &[]);
    let found = modern(&server, "server/discover", None, json!({}));
    assert_eq!(found.status, 200, "{}", found.body);
    assert!(found.head.contains("content-type: application/json"), "{}", found.head);
    let call = json!({"name": "list_records", "arguments": {"base": "Shop", "table": "Goods"}});
    let called = modern(&server, "tools/call", Some("list_records"), call);
    let answer: Value = serde_json::from_str(&called.body).unwrap();
    assert!(answer["result"]["content"][0]["text"].as_str().unwrap().contains("Lamp"));
    assert_eq!(modern(&server, "no/such", None, json!({})).status, 404);
}

#[test]
fn the_older_era_has_sessions() {
    let data = Data::with_shop();
    let server = serve_http(&data, &[]);
    let init = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}});
    let answer = post(&server, &[], init.to_string().as_bytes());
    assert_eq!(answer.status, 200, "{}", answer.body);
    let session = answer.head.lines().find_map(|l| l.strip_prefix("mcp-session-id: ")).unwrap().to_owned();
    let session = session.as_str();
    let list = json!({"jsonrpc": "2.0", "id": 2, "method": "tools/list"}).to_string();
    let listed = post(
        &server,
        &[("Mcp-Session-Id", session), ("MCP-Protocol-Version", "2025-11-25")],
        list.as_bytes(),
    );
    assert!(listed.head.contains("content-type: application/json"), "nothing streams: {}", listed.head);
    let listed: Value = serde_json::from_str(&listed.body).unwrap();
    assert!(listed["result"]["tools"].to_string().contains("list_records"), "{listed}");
    let unknown = post(
        &server,
        &[("Mcp-Session-Id", "no-such-session"), ("MCP-Protocol-Version", "2025-11-25")],
        list.as_bytes(),
    );
    assert_eq!(unknown.status, 404);
    let stranger = data.ok(&["token", "create", "--name", "stranger"]).trim().to_owned();
    let stranger = format!("Bearer {stranger}");
    for method in ["POST", "GET", "DELETE"] {
        let headers = [
            ("Authorization", stranger.as_str()),
            ("Accept", "application/json, text/event-stream"),
            ("Content-Type", "application/json"),
            ("Mcp-Session-Id", session),
        ];
        let refused = http(&server.address, method, "/mcp", &headers, list.as_bytes());
        assert_eq!(refused.status, 404, "{method} in another's conversation: {}", refused.body);
    }
    let bearer = format!("Bearer {}", server.token);
    let ended = http(
        &server.address,
        "DELETE",
        "/mcp",
        &[("Authorization", &bearer), ("Mcp-Session-Id", session)],
        b"",
    );
    assert!((200..300).contains(&ended.status), "{}", ended.status);
    assert_eq!(post(&server, &[("Mcp-Session-Id", session)], list.as_bytes()).status, 404);
}

#[test]
fn no_token_no_entry() {
    let data = Data::with_shop();
    let server = serve_http(&data, &[]);
    for value in
        ["", "Bearer", "Bearer ", "Bearer twk_wrong", "Basic abc", &format!("bearer  {}x", server.token)]
    {
        let answer = post(&server, &[("Authorization", value)], b"{}");
        assert_eq!(answer.status, 401, "{value}");
        assert!(answer.head.contains("www-authenticate: bearer"), "{}", answer.head);
        assert!(!answer.body.contains(&server.token));
    }
    assert_eq!(http(&server.address, "GET", "/healthz", &[], b"").status, 200);
    data.ok(&["token", "revoke", "test"]);
    assert_eq!(
        modern(&server, "tools/list", None, json!({})).status,
        401,
        "a revoked token is refused at once"
    );
}

#[test]
fn rights_are_those_of_token_and_flags_together() {
    let data = Data::with_shop();
    let server = serve_http(&data, &["--allow-write"]);
    let reader = data.ok(&["token", "create", "--name", "reader"]).trim().to_owned();
    let all = modern(&server, "tools/list", None, json!({})).body;
    assert!(all.contains("create_records") && !all.contains("delete_records"));
    let server = HttpServer { token: reader.clone(), ..server };
    let few = modern(&server, "tools/list", None, json!({})).body;
    assert!(few.contains("list_records") && !few.contains("create_records"));
    let looker =
        data.ok(&["token", "create", "--name", "looker", "--scopes", "schema.bases:read"]).trim().to_owned();
    let looking = HttpServer { token: looker, ..server };
    let least = modern(&looking, "tools/list", None, json!({})).body;
    assert!(least.contains("describe_base") && !least.contains("list_records"), "{least}");
    let server = HttpServer { token: reader, ..looking };
    let call =
        json!({"name": "create_records", "arguments": {"base": "Shop", "table": "Goods", "records": [{}]}});
    assert!(modern(&server, "tools/call", Some("create_records"), call).body.contains("there is no tool"));
}

#[test]
fn foreign_hosts_and_origins_are_refused() {
    let data = Data::new();
    let server = serve_http(&data, &[]);
    for host in ["evil.example", "evil.example:80", "localhost.evil.example", "127.0.0.1.evil.example"] {
        assert_eq!(post(&server, &[("Host", host)], b"{}").status, 403, "{host}");
    }
    let own = format!("http://{}", server.address);
    assert_eq!(http(&server.address, "GET", "/healthz", &[("Origin", &own)], b"").status, 200, "{own}");
    let elsewhere = own.replace("http:", "https:");
    for origin in ["https://evil.example", "null", "http://localhost:1", &elsewhere, "http://", ""] {
        assert_eq!(post(&server, &[("Origin", origin)], b"{}").status, 403, "{origin}");
        assert_eq!(http(&server.address, "GET", "/healthz", &[("Origin", origin)], b"").status, 403);
    }
}

#[test]
fn bad_bodies_get_a_status_and_the_server_lives() {
    let data = Data::with_shop();
    let server = serve_http(&data, &[]);
    let deep = format!(
        "{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\",\"params\":{}1{}}}",
        "{\"a\":".repeat(5_000),
        "}".repeat(5_000)
    );
    for body in [&b"{\"jsonrpc\":"[..], b"", b"\xff\xff", b"[]", b"{\"id\":1}", deep.as_bytes()] {
        let answer =
            post(&server, &[("MCP-Protocol-Version", "2026-07-28"), ("Mcp-Method", "tools/list")], body);
        assert!(
            (400..500).contains(&answer.status),
            "{} for {}",
            answer.status,
            String::from_utf8_lossy(&body[..body.len().min(40)])
        );
    }
    let huge = format!(
        "{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\",\"params\":{{\"x\":\"{}\"}}}}",
        "y".repeat(10_000_000)
    );
    assert_eq!(post(&server, &[], huge.as_bytes()).status, 413);
    assert_eq!(post(&server, &[("Content-Type", "text/plain")], b"{}").status / 100, 4);
    assert_eq!(modern(&server, "tools/list", None, json!({})).status, 200);
}

#[test]
fn json_that_is_no_message_is_named_with_its_id() {
    let data = Data::with_shop();
    let server = serve_http(&data, &[]);
    for (body, id) in [
        (json!({"jsonrpc": "2.0", "id": 7, "foo": 1}), json!(7)),
        (json!({"jsonrpc": "1.0", "id": "a", "method": "ping"}), json!("a")),
        (json!([{"jsonrpc": "2.0", "id": 1, "method": "ping"}]), Value::Null),
    ] {
        let answer = post(&server, &[], body.to_string().as_bytes());
        assert_eq!(answer.status, 400, "{body}: {}", answer.body);
        let answer: Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!((&answer["error"]["code"], &answer["id"]), (&json!(-32600), &id), "{body}");
    }
}

#[test]
fn a_known_method_hears_what_is_wrong_with_its_parameters() {
    let data = Data::with_shop();
    let server = serve_http(&data, &[]);
    for params in [json!({}), json!({"name": 5}), json!({"name": "list_bases", "arguments": []})] {
        let answer = modern(&server, "tools/call", params["name"].as_str(), params.clone());
        let answer: Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!(answer["error"]["code"], -32602, "{params}: {answer}");
        let said = answer["error"]["message"].as_str().unwrap();
        assert!(
            said.contains("tools/call") && (said.contains("name") || said.contains("arguments")),
            "{said}"
        );
    }
    let unknown = modern(&server, "no/such", None, json!({}));
    assert!(unknown.body.contains("-32601"), "{}", unknown.body);
}

#[test]
fn sigterm_ends_the_server_with_code_0() {
    let data = Data::with_shop();
    let mut server = serve_http(&data, &[]);
    assert_eq!(modern(&server, "tools/list", None, json!({})).status, 200);
    assert!(signal(server.client.child.id(), "TERM"));
    let (code, said) = server.client.ended();
    assert_eq!(code, Some(0), "{said}");
}

#[test]
fn a_write_in_progress_is_answered_when_the_server_is_told_to_stop() {
    let data = Data::with_shop();
    let server = serve_http(&data, &["--allow-write"]);
    let records: Vec<Value> = (0..8_000).map(|n| json!({"Name": format!("n{n}")})).collect();
    let call = json!({"name": "create_records", "arguments": {"base": "Shop", "table": "Goods", "records": records}});
    let (pid, address, token) = (server.client.child.id(), server.address.clone(), server.token.clone());
    let answer = std::thread::scope(|scope| {
        let writing = scope.spawn(|| modern_as(&address, &token, "tools/call", Some("create_records"), call));
        // Told to stop while the write is on its way or done: it is answered in full, or not taken.
        assert!(signal(pid, "TERM"));
        writing.join()
    });
    let stored: Value = serde_json::from_str(&data.ok(&["base", "list", "--json"])).unwrap();
    match answer.map(|a| a.body) {
        Ok(body) if body.contains("\"count\":8000") => assert_eq!(stored[0]["records"], 8_006),
        Ok(body) => assert_eq!(stored[0]["records"], 6, "{}", &body[..body.len().min(300)]),
        Err(_) => assert_eq!(stored[0]["records"], 6, "the connection was refused"),
    }
}

#[test]
fn without_tokens_only_loopback_is_served() {
    let data = Data::new();
    let mut refused = data.serve(&["--http", "0.0.0.0:0", "--no-auth"]);
    let (code, said) = refused.ended();
    assert_eq!(code, Some(3));
    assert!(said.contains("loopback"), "{said}");
    let mut open = data.serve(&["--http", "127.0.0.1:0", "--no-auth"]);
    let line = loop {
        let line = open.error_line();
        if line.contains("serving MCP on") {
            break line;
        }
        assert!(line.contains("--no-auth"), "{line}");
    };
    let address = line.split("http://").nth(1).unwrap().trim_end_matches("/mcp").to_owned();
    let server = HttpServer { client: open, address, token: "none".into() };
    assert_eq!(modern(&server, "tools/list", None, json!({})).status, 200);
}
