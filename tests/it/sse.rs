//! The HTTP+SSE transport for old clients.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::Instant;

use serde_json::{Value, json};

use crate::support::{Answer, Data, HttpServer, PATIENCE, http, limited, serve_http, signal};

/// A client's stream of events.
struct Events {
    lines: BufReader<TcpStream>,
    head: String,
    /// Where messages go.
    endpoint: String,
}

fn open(server: &HttpServer) -> Events {
    let mut events = try_open(server);
    let (name, data) = events.next().expect("an event");
    assert_eq!(name, "endpoint", "{}", events.head);
    events.endpoint = data;
    events
}

/// Asks in HTTP/1.0, whose answers are not in chunks.
fn try_open(server: &HttpServer) -> Events {
    let mut stream = TcpStream::connect(&server.address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let request = format!(
        "GET /sse HTTP/1.0\r\nHost: {}\r\nAccept: text/event-stream\r\nAuthorization: Bearer {}\r\n\r\n",
        server.address, server.token
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut lines = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") && lines.read_line(&mut head).unwrap() > 0 {}
    Events { lines, head: head.to_lowercase(), endpoint: String::new() }
}

impl Events {
    /// The next event that is no comment: its name and data; `None` at the end.
    fn next(&mut self) -> Option<(String, String)> {
        let (mut name, mut data) = (String::new(), String::new());
        loop {
            let mut line = String::new();
            if self.lines.read_line(&mut line).ok()? == 0 {
                return None;
            }
            match line.trim_end().split_once(": ") {
                Some(("event", value)) => name = value.to_owned(),
                Some(("data", value)) => data = value.to_owned(),
                _ if line == "\n" && !name.is_empty() => return Some((name, data)),
                _ => {}
            }
        }
    }

    fn message(&mut self) -> Value {
        let (name, data) = self.next().expect("a message");
        assert_eq!(name, "message");
        serde_json::from_str(&data).unwrap()
    }

    fn send(&self, server: &HttpServer, message: &Value) -> Answer {
        post(server, &self.endpoint, message.to_string().as_bytes())
    }

    fn request(&mut self, server: &HttpServer, id: u64, method: &str, params: Value) -> Value {
        let message = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        let taken = self.send(server, &message);
        assert_eq!(taken.status, 202, "{}", taken.body);
        let answer = self.message();
        assert_eq!(answer["id"], id, "{answer}");
        answer
    }

    fn initialize(mut self, server: &HttpServer) -> Self {
        let params = json!({"protocolVersion": "2024-11-05", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}});
        let answer = self.request(server, 1, "initialize", params);
        assert_eq!(answer["result"]["protocolVersion"], "2024-11-05", "{answer}");
        let ready = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
        assert_eq!(self.send(server, &ready).status, 202);
        self
    }
}

fn post(server: &HttpServer, path: &str, body: &[u8]) -> Answer {
    post_as(server, path, &server.token, "application/json", body)
}

fn post_as(server: &HttpServer, path: &str, token: &str, kind: &str, body: &[u8]) -> Answer {
    let bearer = format!("Bearer {token}");
    http(&server.address, "POST", path, &[("Authorization", &bearer), ("Content-Type", kind)], body)
}

fn list(id: u64) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {"name": "list_records", "arguments": {"base": "Shop", "table": "Goods"}}})
}

#[test]
fn messages_are_posted_and_answered_over_the_stream() {
    let data = Data::with_shop();
    let server = serve_http(&data, &[]);
    let mut events = open(&server);
    assert!(events.head.contains("content-type: text/event-stream"), "{}", events.head);
    assert!(events.head.contains("x-accel-buffering: no"), "{}", events.head);
    let id = events.endpoint.strip_prefix("/messages?session_id=").unwrap();
    assert!(id.len() >= 32 && id.chars().all(|c| c.is_ascii_hexdigit()), "{id}");
    assert_ne!(open(&server).endpoint, events.endpoint);
    events = events.initialize(&server);
    let answer = events.request(&server, 2, "tools/list", json!({}));
    assert!(answer["result"]["tools"].to_string().contains("list_records"), "{answer}");
    assert_eq!(events.send(&server, &list(3)).status, 202);
    assert!(events.message()["result"]["content"][0]["text"].as_str().unwrap().contains("Lamp"));
    let unknown = events.request(&server, 4, "no/such", json!({}));
    assert_eq!(unknown["error"]["code"], -32601, "{unknown}");
    // The newer era is told which versions there are.
    let meta = json!({"_meta": {"io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {}}});
    let modern = events.request(&server, 5, "server/discover", meta);
    assert_eq!(modern["error"]["code"], -32022, "{modern}");
    assert!(modern["error"]["data"]["supported"].to_string().ends_with("\"2025-11-25\"]"), "{modern}");
}

#[test]
fn a_conversation_belongs_to_its_token_and_its_id_dies_with_it() {
    let data = Data::with_shop();
    let server = serve_http(&data, &[]);
    let events = open(&server).initialize(&server);
    let endpoint = events.endpoint.clone();
    let scopes = "data.records:read,data.records:write,schema.bases:read,schema.bases:write";
    let other = data.ok(&["token", "create", "--name", "other", "--scopes", scopes]).trim().to_owned();
    let body = list(2).to_string();
    let kind = "application/json";
    assert_eq!(post_as(&server, &endpoint, &other, kind, body.as_bytes()).status, 404, "another token");
    assert_eq!(post_as(&server, &endpoint, "twk_wrong", kind, body.as_bytes()).status, 401);
    for path in ["/messages", "/messages?session_id=", "/messages?session_id=00", "/messages?x=1"] {
        let answer = post(&server, path, body.as_bytes());
        assert_eq!(answer.status, 404, "{path}");
        assert!(answer.body.contains("GET /sse"), "{}", answer.body);
    }
    assert_eq!(post(&server, &endpoint, body.as_bytes()).status, 202, "still there");
    drop(events);
    let deadline = Instant::now() + PATIENCE;
    while post(&server, &endpoint, body.as_bytes()).status != 404 {
        assert!(Instant::now() < deadline, "an id can be used after its end");
    }
    let anyone = http(&server.address, "GET", "/sse", &[], b"");
    assert_eq!(anyone.status, 401);
    assert!(anyone.head.contains("www-authenticate: bearer"), "{}", anyone.head);
}

#[test]
fn bad_messages_get_a_status_and_the_conversation_goes_on() {
    let data = Data::with_shop();
    let server = serve_http(&data, &[]);
    let mut events = open(&server);
    // Before anything: what is no request means nothing.
    let early = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
    assert_eq!(events.send(&server, &early).status, 202);
    events = events.initialize(&server);
    let batch = json!([list(7)]).to_string();
    let twice = r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}"#;
    for body in [&b""[..], b"{", b"\xff", b"1", b"{}", batch.as_bytes(), twice.as_bytes()] {
        let answer = post(&server, &events.endpoint, body);
        assert_eq!(answer.status, 400, "{}", String::from_utf8_lossy(body));
        assert!(serde_json::from_str::<Value>(&answer.body).unwrap()["error"]["message"].is_string());
    }
    let ping = br#"{"jsonrpc":"2.0","id":8,"method":"ping"}"#;
    for kind in ["text/plain", "application/x-www-form-urlencoded", "application/jsonx", ""] {
        assert_eq!(post_as(&server, &events.endpoint, &server.token, kind, ping).status, 415, "{kind}");
    }
    let huge =
        format!(r#"{{"jsonrpc":"2.0","id":9,"method":"ping","params":{{"x":"{}"}}}}"#, "y".repeat(5_000_000));
    assert_eq!(post(&server, &events.endpoint, huge.as_bytes()).status, 413);
    let bearer = format!("Bearer {}", server.token);
    for (method, path) in [("POST", "/sse"), ("GET", "/messages"), ("DELETE", "/messages")] {
        assert_eq!(http(&server.address, method, path, &[("Authorization", &bearer)], b"").status, 405);
    }
    let kind = "application/json; charset=utf-8";
    assert_eq!(post_as(&server, &events.endpoint, &server.token, kind, ping).status, 202);
    assert_eq!(events.message()["id"], 8);
}

#[test]
fn there_are_only_so_many_conversations() {
    let data = Data::with_shop();
    let server = limited(&data, "max_sse_sessions = 2");
    let (first, _second) = (open(&server), open(&server));
    let third = try_open(&server);
    assert!(third.head.starts_with("http/1.0 503"), "{}", third.head);
    drop(first);
    let deadline = Instant::now() + PATIENCE;
    while !try_open(&server).head.starts_with("http/1.0 200") {
        assert!(Instant::now() < deadline, "the place of a conversation that ended stays taken");
    }
}

#[test]
fn a_conversation_without_messages_ends() {
    let data = Data::with_shop();
    let server = limited(&data, "sse_idle_seconds = 1");
    let mut events = open(&server);
    assert!(events.next().is_none());
    assert_eq!(post(&server, &events.endpoint, list(1).to_string().as_bytes()).status, 404);
}

#[test]
fn a_client_that_does_not_read_is_cut_off() {
    let data = Data::with_shop();
    let server = serve_http(&data, &[]);
    let events = open(&server).initialize(&server);
    let deadline = Instant::now() + 2 * PATIENCE;
    let mut statuses = std::collections::BTreeSet::new();
    for id in 2.. {
        let params = json!({"uri": "airtable://formula-reference"});
        let call = json!({"jsonrpc": "2.0", "id": id, "method": "resources/read", "params": params});
        let status = events.send(&server, &call).status;
        statuses.insert(status);
        if status == 404 {
            break;
        }
        assert!(Instant::now() < deadline, "{statuses:?}");
    }
    assert_eq!(
        statuses.into_iter().collect::<Vec<_>>(),
        [202, 404, 429],
        "first it must wait, then it is cut off"
    );
    open(&server).initialize(&server);
}

#[test]
fn streams_end_when_the_server_is_told_to_stop() {
    let data = Data::with_shop();
    let mut server = serve_http(&data, &[]);
    let mut idle = open(&server);
    let mut events = open(&server).initialize(&server);
    assert!(signal(server.client.child.id(), "TERM"));
    assert!(events.next().is_none() && idle.next().is_none());
    assert_eq!(server.client.ended().0, Some(0));
}
