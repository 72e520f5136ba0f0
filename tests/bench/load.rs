//! A load generator for MCP servers, ours and others alike.
//!
//! `cargo bench --bench load -- stdio|http …`: keeps a number of calls in flight, prints one line
//! of JSON: calls a second, latency at p50 and p95 in milliseconds, bytes of the last answer.
//!
//! load stdio --calls N --concurrency C --call JSON -- COMMAND ARGS…
//! load http --calls N --concurrency C --call JSON --url URL [--token T] [--legacy]
#![allow(clippy::print_stdout, reason = "the figures are its result")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

struct Plan {
    calls: usize,
    concurrency: usize,
    /// Parameters of `tools/call`; `{n}` becomes the number of the call.
    call: String,
    url: String,
    token: String,
    legacy: bool,
    command: Vec<String>,
}

fn main() {
    let mut words = std::env::args().skip(1).filter(|word| word != "--bench");
    let kind = words.next().expect("stdio or http");
    let mut plan = Plan {
        calls: 10_000,
        concurrency: 16,
        call: String::new(),
        url: String::new(),
        token: String::new(),
        legacy: false,
        command: Vec::new(),
    };
    while let Some(word) = words.next() {
        let mut value = || words.next().expect("a value");
        match word.as_str() {
            "--calls" => plan.calls = value().parse().expect("a number"),
            "--concurrency" => plan.concurrency = value().parse().expect("a number"),
            "--call" => plan.call = value(),
            "--url" => plan.url = value(),
            "--token" => plan.token = value(),
            "--legacy" => plan.legacy = true,
            "--" => {
                plan.command = words.by_ref().collect();
                break;
            }
            other => panic!("unknown word {other}"),
        }
    }
    let (elapsed, mut times, bytes) = match kind.as_str() {
        "stdio" => stdio(&plan),
        "http" => http(Arc::new(plan)),
        other => panic!("unknown kind {other}"),
    };
    times.sort_unstable();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
    let report = json!({
        "calls_per_s": (times.len() as f64 / elapsed.as_secs_f64()).round(),
        "p50_ms": at(0.5), "p95_ms": at(0.95), "bytes": bytes, "calls": times.len()
    });
    println!("{report}");
}

fn request(plan: &Plan, n: usize) -> String {
    let mut params: Value =
        serde_json::from_str(&plan.call.replace("{n}", &n.to_string())).expect("--call is JSON");
    if !plan.legacy {
        params["_meta"] = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {},
            "io.modelcontextprotocol/clientInfo": {"name": "load", "version": "1"}
        });
    }
    json!({"jsonrpc": "2.0", "id": n, "method": "tools/call", "params": params}).to_string()
}

/// The id of an answer, wherever its writer put it.
fn id_of(line: &[u8]) -> usize {
    for window in [&line[..line.len().min(48)], &line[line.len().saturating_sub(48)..]] {
        if let Some(at) = memchr::memmem::find(window, b"\"id\":") {
            let digits = window[at + 5..].iter().take_while(|b| b.is_ascii_digit());
            return digits.fold(0, |n, digit| n * 10 + usize::from(digit - b'0'));
        }
    }
    panic!("an answer without an id: {}", String::from_utf8_lossy(&line[..line.len().min(200)]));
}

fn check(answer: &[u8]) {
    let head = &answer[answer.len().saturating_sub(300)..];
    let bad = memchr::memmem::find(head, b"\"isError\":true").is_some()
        || memchr::memmem::find(&answer[..answer.len().min(60)], b"\"error\"").is_some();
    assert!(!bad, "a call failed: {}", String::from_utf8_lossy(&answer[..answer.len().min(400)]));
}

fn stdio(plan: &Plan) -> (Duration, Vec<Duration>, usize) {
    let mut child = Command::new(&plan.command[0])
        .args(&plan.command[1..])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the server starts");
    let mut input = child.stdin.take().expect("its input");
    let mut output = BufReader::with_capacity(1 << 18, child.stdout.take().expect("its output"));
    let mut line = Vec::new();
    // The older era, which every server speaks.
    let legacy = Plan {
        legacy: true,
        call: plan.call.clone(),
        command: Vec::new(),
        url: String::new(),
        token: String::new(),
        ..*plan
    };
    let init = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
        "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "load", "version": "1"}}});
    writeln!(input, "{init}").expect("the server reads");
    output.read_until(b'\n', &mut line).expect("the server answers");
    writeln!(input, "{}", json!({"jsonrpc": "2.0", "method": "notifications/initialized"}))
        .expect("the server reads");
    let warm = plan.calls / 20;
    let total = plan.calls + warm;
    let mut begun = vec![Instant::now(); total + 1];
    let mut times = Vec::with_capacity(plan.calls);
    let (mut sent, mut bytes) = (0, 0);
    let mut started = Instant::now();
    for done in 0..total {
        while sent < total && sent - done < plan.concurrency {
            sent += 1;
            let text = request(&legacy, sent) + "\n";
            begun[sent] = Instant::now();
            input.write_all(text.as_bytes()).expect("the server reads");
        }
        line.clear();
        assert!(output.read_until(b'\n', &mut line).expect("the server answers") > 0, "the server ended");
        check(&line);
        bytes = line.len();
        if done >= warm {
            times.push(begun[id_of(&line)].elapsed());
        } else {
            started = Instant::now();
        }
    }
    let elapsed = started.elapsed();
    drop(input);
    let _ = child.wait();
    (elapsed, times, bytes)
}

fn http(plan: Arc<Plan>) -> (Duration, Vec<Duration>, usize) {
    let next = Arc::new(AtomicUsize::new(1));
    let started = Instant::now();
    let workers: Vec<_> = (0..plan.concurrency)
        .map(|_| {
            let (plan, next) = (plan.clone(), next.clone());
            std::thread::spawn(move || worker(&plan, &next))
        })
        .collect();
    let mut times = Vec::with_capacity(plan.calls);
    let mut bytes = 0;
    for worker in workers {
        let (mine, last) = worker.join().expect("a worker ends");
        times.extend(mine);
        bytes = last;
    }
    (started.elapsed(), times, bytes)
}

fn worker(plan: &Plan, next: &AtomicUsize) -> (Vec<Duration>, usize) {
    let rest = plan.url.strip_prefix("http://").expect("an http URL");
    let (host, path) = rest.split_once('/').expect("a path");
    let mut stream = TcpStream::connect(host).expect("the server listens");
    stream.set_nodelay(true).expect("a socket");
    let mut reader = BufReader::with_capacity(1 << 17, stream.try_clone().expect("a socket"));
    let name = serde_json::from_str::<Value>(&plan.call).expect("--call is JSON")["name"].clone();
    let era = match plan.legacy {
        true => String::new(),
        false => format!(
            "MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\nMcp-Name: {}\r\n",
            name.as_str().unwrap_or_default()
        ),
    };
    let (mut times, mut bytes) = (Vec::new(), 0);
    loop {
        let n = next.fetch_add(1, Ordering::Relaxed);
        if n > plan.calls {
            return (times, bytes);
        }
        let body = request(plan, n);
        let text = format!(
            "POST /{path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nAccept: application/json, text/event-stream\r\nAuthorization: Bearer {}\r\n{era}Content-Length: {}\r\n\r\n{body}",
            plan.token,
            body.len()
        );
        let begun = Instant::now();
        stream.write_all(text.as_bytes()).expect("the server reads");
        let answer = read_answer(&mut reader);
        times.push(begun.elapsed());
        check(&answer);
        bytes = answer.len();
    }
}

fn read_answer(reader: &mut BufReader<TcpStream>) -> Vec<u8> {
    let (mut length, mut chunked) = (0, false);
    let mut line = String::new();
    loop {
        line.clear();
        assert!(reader.read_line(&mut line).expect("the server answers") > 0, "the server hung up");
        let lower = line.to_ascii_lowercase();
        if let Some(value) = lower.strip_prefix("content-length:") {
            length = value.trim().parse().expect("a length");
        }
        chunked |= lower.starts_with("transfer-encoding: chunked");
        if line == "\r\n" {
            break;
        }
    }
    let mut body = vec![0; length];
    if !chunked {
        reader.read_exact(&mut body).expect("the whole body");
        return body;
    }
    loop {
        line.clear();
        reader.read_line(&mut line).expect("a chunk");
        let size = usize::from_str_radix(line.trim(), 16).expect("a chunk's size");
        let start = body.len();
        body.resize(start + size + 2, 0);
        reader.read_exact(&mut body[start..]).expect("a chunk");
        body.truncate(start + size);
        if size == 0 {
            return body;
        }
    }
}
