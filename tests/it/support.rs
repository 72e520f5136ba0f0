//! The real binary in a data directory of its own, and a client that speaks lines of JSON.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::{Value, json};
use tablewright_door::Door;
use tablewright_engine::airtable::profiles::{Given, Profiles};
use tablewright_engine::airtable::{self, Airtable};
use tablewright_engine::base::changes::Author;
use tablewright_engine::files::Files;
use tablewright_engine::replica::Replica;
use tablewright_engine::{AuditEntry, Engine};

/// How long anything may take before a test gives up.
pub const PATIENCE: Duration = Duration::from_secs(30);

pub fn program() -> &'static str {
    env!("CARGO_BIN_EXE_tablewright")
}

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A data directory that is gone when the test ends, with its owner.
pub struct Data {
    pub dir: tempfile::TempDir,
}

impl Data {
    pub fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    /// With the small base of the fixtures in it.
    pub fn with_shop() -> Self {
        let data = Self::new();
        data.import(&root().join("tests/fixtures/shop.json"));
        data
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(program());
        command.args(args).arg("--data-dir").arg(self.path());
        // Only what a test sets itself counts.
        let ours = |name: &str| name.starts_with("TABLEWRIGHT_") || name.starts_with("AIRTABLE_");
        for (name, _) in std::env::vars().filter(|(name, _)| ours(name)) {
            command.env_remove(name);
        }
        command.env("TABLEWRIGHT_OWNER_IDLE_SECONDS", "20");
        command
    }

    pub fn run(&self, args: &[&str]) -> Output {
        self.command(args).stdin(Stdio::null()).output().unwrap()
    }

    /// Runs a command that must succeed; its standard output.
    pub fn ok(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    pub fn import(&self, file: &Path) {
        self.ok(&["base", "import", &file.display().to_string()]);
    }

    pub fn serve(&self, args: &[&str]) -> Client {
        let mut all = vec!["serve"];
        all.extend(args);
        Client::start(self.command(&all))
    }

    /// The process that holds the directory.
    pub fn owner(&self) -> Option<u32> {
        let text = std::fs::read_to_string(self.path().join("owner.lock")).ok()?;
        let holder: Value = serde_json::from_str(&text).ok()?;
        let pid = holder["pid"].as_u64()? as u32;
        Path::new(&format!("/proc/{pid}")).exists().then_some(pid)
    }

    pub fn kill_owner(&self) -> bool {
        self.owner().is_some_and(|pid| signal(pid, "KILL"))
    }
}

impl Drop for Data {
    fn drop(&mut self) {
        self.kill_owner();
    }
}

pub fn signal(pid: u32, name: &str) -> bool {
    Command::new("kill").args([&format!("-{name}"), &pid.to_string()]).status().is_ok_and(|s| s.success())
}

/// A client over standard input and output.
pub struct Client {
    pub child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
    errors: Receiver<String>,
    next: u64,
    /// Messages with no id or for another call, in order.
    pub aside: Vec<Value>,
}

fn lines_of(stream: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines() {
            let Ok(line) = line else { return };
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

impl Client {
    pub fn start(mut command: Command) -> Self {
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let input = child.stdin.take();
        let lines = lines_of(child.stdout.take().unwrap());
        let errors = lines_of(child.stderr.take().unwrap());
        Self { child, input, lines, errors, next: 0, aside: Vec::new() }
    }

    /// Opens a conversation of the older era.
    pub fn initialize(mut self) -> Self {
        let params = json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}});
        let answer = self.request("initialize", params);
        assert_eq!(answer["result"]["protocolVersion"], "2025-11-25", "{answer}");
        self.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
        self
    }

    pub fn send(&mut self, message: &Value) {
        self.send_line(message.to_string().as_bytes());
    }

    pub fn send_bytes(&mut self, bytes: &[u8]) {
        self.input.as_mut().unwrap().write_all(bytes).unwrap();
    }

    pub fn take_input(&mut self) -> ChildStdin {
        self.input.take().unwrap()
    }

    pub fn give_input(&mut self, input: ChildStdin) {
        self.input = Some(input);
    }

    pub fn send_line(&mut self, line: &[u8]) {
        let input = self.input.as_mut().unwrap();
        // A server that is gone shows in the answer that does not come.
        let _ = input.write_all(line).and_then(|()| input.write_all(b"\n")).and_then(|()| input.flush());
    }

    /// Sends a request and gives its id without waiting.
    pub fn begin(&mut self, method: &str, params: Value) -> u64 {
        self.next += 1;
        let id = self.next;
        self.send(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}));
        id
    }

    /// The next line; `None` when the stream ended.
    pub fn receive(&mut self) -> Option<Value> {
        match self.lines.recv_timeout(PATIENCE) {
            Ok(line) => Some(serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line}"))),
            Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => None,
            Err(std::sync::mpsc::RecvTimeoutError::Timeout) => panic!("no answer within {PATIENCE:?}"),
        }
    }

    pub fn wait_for(&mut self, id: u64) -> Value {
        if let Some(at) = self.aside.iter().position(|message| message["id"] == id) {
            return self.aside.remove(at);
        }
        loop {
            let message = self.receive().expect("the stream ended before the answer");
            if message["id"] == id {
                return message;
            }
            self.aside.push(message);
        }
    }

    pub fn request(&mut self, method: &str, params: Value) -> Value {
        let id = self.begin(method, params);
        self.wait_for(id)
    }

    /// Calls a tool; the result.
    pub fn call(&mut self, tool: &str, arguments: Value) -> Value {
        let answer = self.request("tools/call", json!({"name": tool, "arguments": arguments}));
        assert!(answer.get("error").is_none(), "{tool}: {answer}");
        answer["result"].clone()
    }

    /// Calls a tool that must succeed; its text.
    pub fn text(&mut self, tool: &str, arguments: Value) -> String {
        let result = self.call(tool, arguments);
        assert_ne!(result["isError"], true, "{tool}: {result}");
        result["content"][0]["text"].as_str().unwrap().to_owned()
    }

    /// Calls a tool that must succeed; its structured content.
    pub fn structured(&mut self, tool: &str, arguments: Value) -> Value {
        let result = self.call(tool, arguments);
        assert_ne!(result["isError"], true, "{tool}: {result}");
        result["structuredContent"].clone()
    }

    /// Calls a tool that must be refused; why.
    pub fn refused(&mut self, tool: &str, arguments: Value) -> String {
        let result = self.call(tool, arguments);
        assert_eq!(result["isError"], true, "{tool}: {result}");
        result["content"][0]["text"].as_str().unwrap().to_owned()
    }

    pub fn tools(&mut self) -> Vec<String> {
        let answer = self.request("tools/list", json!({}));
        answer["result"]["tools"]
            .as_array()
            .unwrap()
            .iter()
            .map(|t| t["name"].as_str().unwrap().to_owned())
            .collect()
    }

    pub fn close_input(&mut self) {
        drop(self.input.take());
    }

    /// Closes standard input and waits for the end; exit code and what standard error said.
    pub fn finish(mut self) -> (Option<i32>, String) {
        drop(self.input.take());
        self.ended()
    }

    /// Waits for the end; exit code and what standard error said.
    pub fn ended(&mut self) -> (Option<i32>, String) {
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(_) => {}
                Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => break,
                Err(std::sync::mpsc::RecvTimeoutError::Timeout) => {
                    let _ = self.child.kill();
                    panic!("the program did not end within {PATIENCE:?}");
                }
            }
        }
        let status = self.child.wait().unwrap();
        (status.code(), self.errors.iter().collect::<Vec<_>>().join("\n"))
    }

    /// What standard error said since somebody asked last.
    pub fn errors_so_far(&self) -> Vec<String> {
        self.errors.try_iter().collect()
    }

    /// The next line of standard error.
    pub fn error_line(&mut self) -> String {
        self.errors.recv_timeout(PATIENCE).expect("standard error ended")
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A server on HTTP with a token that may do everything the flags allow.
pub struct HttpServer {
    pub client: Client,
    pub address: String,
    pub token: String,
}

pub fn serve_http(data: &Data, args: &[&str]) -> HttpServer {
    let scopes = "data.records:read,data.records:write,data.recordComments:read,data.recordComments:write,\
                  schema.bases:read,schema.bases:write,webhook:manage,user.email:read,\
                  tablewright.members:manage";
    let token = data.ok(&["token", "create", "--name", "test", "--scopes", scopes]).trim().to_owned();
    let (client, address) = listen(data, args, &[]);
    HttpServer { client, address, token }
}

/// Starts a server on HTTP with variables of its own; the process and its `HOST:PORT`.
pub fn listen(data: &Data, args: &[&str], variables: &[(&str, &str)]) -> (Client, String) {
    let mut all = vec!["serve", "--http", "127.0.0.1:0"];
    all.extend(args);
    let mut command = data.command(&all);
    command.envs(variables.iter().copied());
    let mut client = Client::start(command);
    let line = loop {
        let line = client.error_line();
        if line.contains("serving MCP on") {
            break line;
        }
    };
    let address = line.split("://").nth(1).unwrap().trim_end_matches("/mcp").to_owned();
    (client, address)
}

/// A configuration file with these settings of the HTTP entry; its path.
pub fn http_config(data: &Data, settings: &str) -> String {
    let path = data.path().join("test.toml");
    std::fs::write(&path, format!("[http]\n{settings}\n")).unwrap();
    path.display().to_string()
}

/// A server on HTTP with these settings.
pub fn limited(data: &Data, settings: &str) -> HttpServer {
    serve_http(data, &["--config", &http_config(data, settings)])
}

/// An HTTP answer.
pub struct Answer {
    pub status: u16,
    as_sent: String,
    pub head: String,
    pub body: String,
}

/// One request on a connection of its own.
pub fn http(address: &str, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    http_over(&mut stream, address, method, path, headers, body)
}

/// One request on `stream`, which ends with it.
pub fn http_over(
    stream: &mut (impl Read + Write),
    address: &str,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Answer {
    let mut request =
        format!("{method} {path} HTTP/1.1\r\nConnection: close\r\nContent-Length: {}\r\n", body.len());
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
        request.push_str(&format!("Host: {address}\r\n"));
    }
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str("\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    // A server that refuses early may close before it has read everything.
    let _ = stream.write_all(body);
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes);
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.split_whitespace().nth(1).and_then(|s| s.parse().ok()).unwrap_or(0);
    Answer { status, head: head.to_lowercase(), as_sent: head.to_owned(), body: body.to_owned() }
}

impl Answer {
    /// A header, as it was sent.
    pub fn header(&self, name: &str) -> Option<&str> {
        let lines = self.as_sent.lines().filter_map(|line| line.split_once(": "));
        lines.filter(|(held, _)| held.eq_ignore_ascii_case(name)).map(|(_, value)| value).next()
    }
}

/// Where the test command has put Python and Node packages.
pub fn client_tools() -> PathBuf {
    let dir = std::env::var_os("TEST_CLIENTS_DIR")
        .map_or_else(|| root().join("target/test-clients"), PathBuf::from);
    assert!(dir.join("ready").exists(), "the test clients are not installed; run the tests with `tests/run`");
    dir
}

/// Runs a client program that must succeed; its standard output.
pub fn run_client(mut command: Command) -> String {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{command:?}\n{stdout}\n{stderr}");
    stdout.into_owned()
}

/// A line for the audit log, for tests that use the engine by itself.
pub fn audit_line(outcome: &str) -> AuditEntry {
    AuditEntry {
        at: 0,
        author: Author { action: "write".into(), ..Author::of("test", "test") },
        target: String::new(),
        records: Vec::new(),
        outcome: outcome.into(),
        duration_us: 0,
        upstream: 0,
        written: 0,
        deleted: 0,
    }
}

/// The door to an engine, with no login at Airtable.
pub async fn door(engine: &Engine, files: &Files) -> Door {
    let (store, clock) = (engine.store().clone(), engine.clock().clone());
    let options = airtable::Options::default();
    let airtable = Airtable::new(&options, clock.clone(), store.clone()).unwrap();
    let nowhere = std::path::PathBuf::from("/nowhere");
    let profiles = Profiles::open(store, nowhere, clock, &options, Given::default(), airtable.clone());
    let replica = Replica::new(engine.clone(), airtable, profiles, Default::default());
    door_of(engine.clone(), files.clone(), replica).await
}

/// The door to these parts, where nothing needs approval.
pub async fn door_of(engine: Engine, files: Files, replica: Replica) -> Door {
    let notices = tablewright_door::Notices::default();
    let plans = tablewright_door::Plans::new(engine.clone(), Default::default(), notices.clone());
    let limits = tablewright_door::Limits {
        budgets: tablewright_door::Budgets::new(engine.clone(), Default::default()),
        circuit: tablewright_door::Circuit::new(Default::default(), notices),
        audit_reads: true,
    };
    let tokens = tablewright_door::Tokens::open(engine.clone()).await.unwrap();
    let policies =
        tablewright_door::Policies::open(engine.clone(), tokens, replica.clone(), Vec::new()).await.unwrap();
    Door::new(engine, files, replica, plans, policies, limits)
}
