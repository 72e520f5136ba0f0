//! Clients that are slow, many or greedy, and pages of other origins.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::support::{Data, HttpServer, PATIENCE, http, http_config, limited, serve_http};

fn connect(server: &HttpServer) -> TcpStream {
    let stream = TcpStream::connect(&server.address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Reads what there is until the server closes.
fn rest(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    match stream.read_to_end(&mut bytes) {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}"),
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Others are served; where the time for a head is short, at the latest when asked again.
fn healthy(server: &HttpServer) {
    let deadline = Instant::now() + PATIENCE;
    while http(&server.address, "GET", "/healthz", &[], b"").status != 200 {
        assert!(Instant::now() < deadline, "others are not served");
    }
}

/// Sends `bytes`, then one `byte` at a time until the server answers or closes; what it said.
fn drip(stream: &mut TcpStream, bytes: &[u8], byte: &[u8]) -> String {
    stream.write_all(bytes).unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    let deadline = Instant::now() + PATIENCE;
    let mut piece = [0; 4096];
    loop {
        assert!(Instant::now() < deadline, "the server waits for ever");
        match stream.read(&mut piece) {
            Ok(n) => return String::from_utf8_lossy(&piece[..n]).into_owned(),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}");
                return String::new();
            }
        }
        // A connection that was closed meanwhile shows in what is read next.
        let _ = stream.write_all(byte);
    }
}

#[test]
fn a_head_that_comes_in_drop_by_drop_is_given_up() {
    let data = Data::new();
    let server = limited(&data, "header_seconds = 1");
    let mut slow = connect(&server);
    let said =
        drip(&mut slow, format!("GET /healthz HTTP/1.1\r\nHost: {}\r\nX: ", server.address).as_bytes(), b"x");
    assert_eq!(said, "");
    // The next request of a connection is timed as the first one is.
    let mut second = connect(&server);
    let request = format!("GET /healthz HTTP/1.1\r\nHost: {}\r\n\r\n", server.address);
    second.write_all(request.as_bytes()).unwrap();
    let mut head = [0; 15];
    second.read_exact(&mut head).unwrap();
    assert_eq!(&head, b"HTTP/1.1 200 OK");
    second.write_all(b"GET /heal").unwrap();
    assert!(rest(&mut second).ends_with("ok\n"));
    healthy(&server);
}

#[test]
fn a_body_that_comes_in_drop_by_drop_does_not_hold_up_others() {
    let data = Data::with_shop();
    let server = limited(&data, "body_seconds = 1\nmax_concurrent_requests = 1");
    let head = format!(
        "POST /mcp HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\nContent-Length: 1000000\r\n\r\n{{",
        server.address, server.token
    );
    let mut slow = connect(&server);
    let said = drip(&mut slow, head.as_bytes(), b" ");
    assert!(said.starts_with("HTTP/1.1 408"), "{said}");
    assert!(said.contains("took too long"), "{said}");
    let bearer = format!("Bearer {}", server.token);
    let other = http(&server.address, "POST", "/mcp", &[("Authorization", &bearer)], b"{");
    assert_eq!(other.status, 400, "the only place is free again");
}

#[test]
fn a_connection_without_requests_is_closed_after_a_while() {
    let data = Data::new();
    let server = limited(&data, "idle_seconds = 2");
    let mut silent = connect(&server);
    assert_eq!(rest(&mut silent), "");
    let mut kept = connect(&server);
    kept.write_all(format!("GET /healthz HTTP/1.1\r\nHost: {}\r\n\r\n", server.address).as_bytes()).unwrap();
    assert!(rest(&mut kept).ends_with("ok\n"), "answered, then closed");
}

#[test]
fn a_client_that_does_not_take_its_answers_is_closed() {
    let data = Data::with_shop();
    let server = limited(&data, "idle_seconds = 1");
    let body = br#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}"#;
    let head = format!(
        "POST /mcp HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\nAccept: application/json, text/event-stream\r\nMCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/list\r\nContent-Length: {}\r\n\r\n",
        server.address,
        server.token,
        body.len()
    );
    let mut greedy = connect(&server);
    greedy.set_write_timeout(Some(PATIENCE)).unwrap();
    let request = [head.as_bytes(), body].concat();
    // Asks on and on without reading; ends only when the server closes.
    let error = std::iter::repeat_with(|| greedy.write_all(&request)).find_map(Result::err).unwrap();
    assert!(matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe), "{error}");
    healthy(&server);
}

fn resident_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Lets this test process have 1,000 connections open.
fn allow_files() {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum }).unwrap();
}

#[test]
fn a_thousand_idle_connections_cost_little_and_block_nobody() {
    allow_files();
    let data = Data::with_shop();
    let server = serve_http(&data, &[]);
    healthy(&server);
    let pid = server.client.child.id();
    let before = resident_kib(pid);
    let request = format!("GET /healthz HTTP/1.1\r\nHost: {}\r\n\r\n", server.address);
    let mut idle: Vec<TcpStream> = (0..1_000).map(|_| connect(&server)).collect();
    for stream in &mut idle {
        stream.write_all(request.as_bytes()).unwrap();
    }
    for stream in &mut idle {
        let mut head = [0; 15];
        stream.read_exact(&mut head).unwrap();
        assert_eq!(&head, b"HTTP/1.1 200 OK");
    }
    healthy(&server);
    let grown = resident_kib(pid).saturating_sub(before);
    assert!(grown < 40 * 1024, "1,000 connections cost {grown} KiB");
    // None of them was closed to make room.
    let last = idle.first_mut().unwrap();
    last.write_all(request.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n").as_bytes()).unwrap();
    assert_eq!(rest(last).matches("ok\n").count(), 2);
}

#[test]
fn a_flood_of_connections_takes_the_place_of_idle_ones_but_not_of_busy_ones() {
    let data = Data::with_shop();
    let server = limited(&data, "max_connections = 20");
    let mut idle: Vec<TcpStream> = (0..100).map(|_| connect(&server)).collect();
    healthy(&server);
    assert_eq!(rest(&mut idle[0]), "", "the oldest made room");
    drop(idle);
    let open = format!(
        "GET /sse HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\n\r\n",
        server.address, server.token
    );
    let mut busy: Vec<TcpStream> = (0..20)
        .map(|_| {
            let mut stream = connect(&server);
            stream.write_all(open.as_bytes()).unwrap();
            let mut head = [0; 15];
            stream.read_exact(&mut head).unwrap();
            assert_eq!(&head, b"HTTP/1.1 200 OK");
            stream
        })
        .collect();
    let refused = http(&server.address, "GET", "/healthz", &[], b"");
    assert_eq!(refused.status, 503);
    assert!(refused.head.contains("connection: close"), "{}", refused.head);
    assert!(refused.body.contains("too many connections"), "{}", refused.body);
    busy.pop();
    healthy(&server);
}

#[test]
fn connections_are_kept_or_closed_as_asked() {
    let data = Data::new();
    let server = serve_http(&data, &[]);
    let closed = http(&server.address, "GET", "/healthz", &[("Connection", "close")], b"");
    assert!(closed.head.contains("connection: close"), "{}", closed.head);
    let mut kept = connect(&server);
    let request = format!("GET /healthz HTTP/1.1\r\nHost: {}\r\n\r\n", server.address);
    kept.write_all(request.repeat(3).as_bytes()).unwrap();
    kept.write_all(request.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n").as_bytes()).unwrap();
    let said = rest(&mut kept).to_lowercase();
    assert_eq!(said.matches("200 ok").count(), 4, "{said}");
    assert_eq!(said.matches("connection: close").count(), 1, "{said}");
}

#[test]
fn oversized_and_malformed_heads_get_a_status() {
    let data = Data::new();
    let server = serve_http(&data, &[]);
    let host = &server.address;
    let cases = [
        (format!("GET /{} HTTP/1.1\r\nHost: {host}\r\n\r\n", "x".repeat(40_000)), vec![414, 431]),
        (format!("GET /{} HTTP/1.1\r\nHost: {host}\r\n\r\n", "x".repeat(500_000)), vec![414, 431]),
        (format!("GET /healthz HTTP/1.1\r\nHost: {host}\r\nX: {}\r\n\r\n", "y".repeat(40_000)), vec![431]),
        (format!("GET /healthz HTTP/1.1\r\nHost: {host}\r\n{}\r\n", "X: y\r\n".repeat(200)), vec![431]),
        (format!("GET /healthz HTTP/1.1\r\nHost: {host}\r\nBad Header: y\r\n\r\n"), vec![400]),
        (format!("POST /mcp HTTP/1.1\r\nHost: {host}\r\nContent-Length: x\r\n\r\n"), vec![400]),
        ("GET /healthz HTTP/1.1\r\n\r\n".to_owned(), vec![403]),
        (format!("GET /healthz HTTP/1.1\r\nHost: {host}\r\nHost: evil.example\r\n\r\n"), vec![403]),
        (format!("GET http://evil.example/healthz HTTP/1.1\r\nHost: {host}\r\n\r\n"), vec![403]),
        (format!("GET http://{host}/healthz HTTP/1.1\r\nHost: {host}\r\n\r\n"), vec![200]),
        (
            format!("GET /{} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n", "x".repeat(20_000)),
            vec![404],
        ),
    ];
    for (request, statuses) in cases {
        let mut stream = connect(&server);
        // The server may have answered and closed before it has read all of it.
        let _ = stream.write_all(request.as_bytes());
        let mut head = [0; 12];
        stream.read_exact(&mut head).unwrap_or_else(|e| panic!("{e}: {}", &request[..40]));
        let status: u16 = std::str::from_utf8(&head[9..]).unwrap().parse().unwrap();
        assert!(statuses.contains(&status), "{status} for {}", &request[..40]);
    }
    healthy(&server);
}

const PREFLIGHT: [(&str, &str); 2] = [
    ("Access-Control-Request-Method", "PATCH"),
    ("Access-Control-Request-Headers", "authorization,content-type,mcp-session-id"),
];

#[test]
fn pages_of_listed_origins_may_call_and_no_others() {
    let data = Data::new();
    let server = limited(&data, r#"allowed_origins = ["https://app.example.org"]"#);
    let page = ("Origin", "https://app.example.org");
    for path in ["/mcp", "/sse", "/messages"] {
        let asked = http(&server.address, "OPTIONS", path, &[&[page], &PREFLIGHT[..]].concat(), b"");
        assert_eq!(asked.status, 200, "{path}");
        let head = &asked.head;
        assert!(head.contains("access-control-allow-origin: https://app.example.org"), "{head}");
        assert!(head.contains("access-control-allow-methods: get,post,put,patch,delete,options"), "{head}");
        assert!(head.contains("mcp-session-id") && head.contains("x-airtable-user-agent"), "{head}");
        assert!(head.contains("access-control-max-age: "), "{head}");
        assert!(!head.contains("access-control-allow-credentials"), "{head}");
    }
    // A page must be able to read that it needs a token.
    let refused = http(&server.address, "POST", "/mcp", &[page], b"{}");
    assert_eq!(refused.status, 401);
    assert!(
        refused.head.contains("access-control-allow-origin: https://app.example.org"),
        "{}",
        refused.head
    );
    assert!(
        refused.head.contains(
            "access-control-expose-headers: mcp-session-id,x-tablewright-source,age,www-authenticate,retry-after,ratelimit-policy,ratelimit"
        )
    );
    for origin in
        ["https://evil.example", "null", "https://app.example.org.evil.example", "http://app.example.org"]
    {
        let foreign = [&[("Origin", origin)], &PREFLIGHT[..]].concat();
        for method in ["OPTIONS", "POST"] {
            let answer = http(&server.address, method, "/mcp", &foreign, b"");
            assert_eq!(answer.status, 403, "{origin}");
            assert!(!answer.head.contains("access-control"), "{}", answer.head);
        }
    }
}

#[test]
fn without_listed_origins_there_is_no_cors() {
    let data = Data::new();
    let server = serve_http(&data, &[]);
    let page = [&[("Origin", "https://app.example.org")], &PREFLIGHT[..]].concat();
    let asked = http(&server.address, "OPTIONS", "/mcp", &page, b"");
    assert_eq!(asked.status, 403);
    for headers in [&page[1..], &[]] {
        let answer = http(&server.address, "OPTIONS", "/mcp", headers, b"");
        assert!((400..500).contains(&answer.status), "{}", answer.status);
        assert!(!answer.head.contains("access-control"), "{}", answer.head);
    }
    let mut wrong =
        data.serve(&["--http", "127.0.0.1:0", "--config", &http_config(&data, r#"allowed_origins = ["*"]"#)]);
    let (code, said) = wrong.ended();
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("http.allowed_origins") && said.contains("https://app.example.org"), "{said}");
}
