//! A server in front of a base that lives in another one, which stands for Airtable.

mod aside;
mod reading;
mod schema;
mod writing;

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tablewright_core::secret::Secret;
use tablewright_engine::Engine;
use tablewright_engine::airtable::profiles::{Given, Profiles};
use tablewright_engine::airtable::{Airtable, Options};
use tablewright_engine::clock::SystemClock;
use tablewright_engine::replica::{self, Replica};

use crate::rest::{ALL_SCOPES, BASE, GOODS};
use crate::support::{Client, Data, HttpServer, PATIENCE, http, listen, serve_http};

const EVERYTHING: [&str; 3] = ["--allow-write", "--allow-delete", "--allow-schema"];
const MAKERS: &str = "tblMakers00000000";

/// The base, and the server that has it.
pub struct Upstream {
    server: HttpServer,
    base: (&'static str, &'static str),
    _data: Data,
}

impl Upstream {
    fn new() -> Self {
        Self::over(Data::with_shop(), (BASE, "Shop"), &[])
    }

    /// With a base of these data, by id and name, and everything allowed.
    pub fn over(data: Data, base: (&'static str, &'static str), flags: &[&str]) -> Self {
        let server = serve_http(&data, &[&EVERYTHING, flags].concat());
        Self { server, base, _data: data }
    }

    fn send(&self, method: &str, path: &str, body: Value) -> Said {
        send(&self.server.address, &self.server.token, method, path, &[], &body)
    }
}

/// What was answered, and where it says it comes from.
#[derive(Debug)]
struct Said {
    status: u16,
    json: Value,
    source: String,
    age: Option<u64>,
}

impl Said {
    fn kind(&self) -> &str {
        let error = &self.json["error"];
        error["type"].as_str().or_else(|| error.as_str()).unwrap_or_default()
    }

    fn message(&self) -> &str {
        self.json["error"]["message"].as_str().unwrap_or_default()
    }

    /// The names of the records, in order.
    fn names(&self) -> Vec<&str> {
        let records = self.json["records"].as_array().unwrap_or_else(|| panic!("{self:?}"));
        records.iter().map(|record| record["fields"]["Name"].as_str().unwrap_or_default()).collect()
    }
}

fn send(address: &str, token: &str, method: &str, path: &str, more: &[(&str, &str)], body: &Value) -> Said {
    let bearer = format!("Bearer {token}");
    let mut headers = vec![("Authorization", bearer.as_str())];
    headers.extend(more);
    let body = if body.is_null() { String::new() } else { body.to_string() };
    if !body.is_empty() && !headers.iter().any(|(name, _)| *name == "Content-Type") {
        headers.push(("Content-Type", "application/json"));
    }
    let answer = http(address, method, path, &headers, body.as_bytes());
    let header = |name: &str| {
        let line = answer.head.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")));
        line.map(|value| value.trim().to_owned())
    };
    Said {
        status: answer.status,
        json: serde_json::from_str(&answer.body).unwrap_or(Value::String(answer.body.clone())),
        source: header("x-tablewright-source").unwrap_or_default(),
        age: header("age").map(|age| age.parse().unwrap()),
    }
}

/// The server in front of it.
pub struct Downstream {
    data: Data,
    key: String,
    pub token: String,
    server: Option<Client>,
    pub address: String,
}

impl Downstream {
    /// Knows the base, and has copied nothing of it.
    pub fn new(upstream: &Upstream, tables: Option<&[&str]>) -> Self {
        let data = Data::new();
        let endpoint = format!("http://{}", upstream.server.address);
        let settings = format!(
            "[airtable]\nendpoint_url = \"{endpoint}\"\ntimeout_seconds = 3\npatience_seconds = 10\n[sync]\npoll_seconds = 1\nwait_seconds = 5\n"
        );
        std::fs::write(data.path().join("settings.toml"), settings).unwrap();
        let key = upstream.server.token.clone();
        connect(&data, &endpoint, &key, upstream.base, tables);
        let made = data.ok(&["token", "create", "--name", "test", "--scopes", ALL_SCOPES]);
        Self { data, key, token: made.trim().to_owned(), server: None, address: String::new() }
    }

    /// With another setting of `[sync]`.
    pub fn with(self, setting: &str) -> Self {
        let path = self.data.path().join("settings.toml");
        let settings = std::fs::read_to_string(&path).unwrap();
        std::fs::write(path, format!("{settings}{setting}\n")).unwrap();
        self
    }

    fn command(&self, args: &[&str]) -> std::process::Command {
        let mut command = self.data.command(args);
        command.env("AIRTABLE_API_KEY", &self.key);
        command.env("TABLEWRIGHT_CONFIG", self.data.path().join("settings.toml"));
        command
    }

    /// Serves the base with everything allowed.
    pub fn listen(mut self) -> Self {
        let config = self.data.path().join("settings.toml").display().to_string();
        let variables = [("AIRTABLE_API_KEY", self.key.as_str()), ("TABLEWRIGHT_CONFIG", &config)];
        let (server, address) = listen(&self.data, &EVERYTHING, &variables);
        (self.server, self.address) = (Some(server), address);
        self
    }

    /// An agent with all tools, of the same owner of the data directory.
    fn agent(&self) -> Client {
        let args = [&["serve", "--toolsets", "all"][..], &EVERYTHING].concat();
        Client::start(self.command(&args)).initialize()
    }

    fn with_headers(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Value) -> Said {
        send(&self.address, &self.token, method, path, headers, &body)
    }

    fn send(&self, method: &str, path: &str, body: Value) -> Said {
        self.with_headers(method, path, &[], body)
    }

    fn get(&self, path: &str) -> Said {
        self.send("GET", path, Value::Null)
    }

    /// The same server for the holder of another token.
    fn as_holder(&self, name: &str, scopes: &str) -> String {
        self.data.ok(&["token", "create", "--name", name, "--scopes", scopes]).trim().to_owned()
    }

    /// Waits until these tables are read from the copy.
    pub fn copied(self, base: &str, tables: &[&str]) -> Self {
        for table in tables {
            until(|| self.get(&format!("/v0/{base}/{table}")).source == "replica");
        }
        self
    }
}

/// Waits until something holds.
fn until(mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < end, "it did not come to hold within {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Adds the base to a data directory nobody serves.
fn connect(data: &Data, endpoint: &str, key: &str, (base, name): (&str, &str), tables: Option<&[&str]>) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let tables = tables.map(|ids| ids.iter().map(|id| id.parse().unwrap()).collect());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let clock = Arc::new(SystemClock);
        let engine = Engine::open(data.path().to_owned(), Default::default(), clock).await.unwrap();
        let (store, clock) = (engine.store().clone(), engine.clock().clone());
        let options = Options { endpoint_url: endpoint.to_owned(), ..Options::default() };
        let airtable = Airtable::new(&options, clock.clone(), store.clone()).unwrap();
        let given = Given { token: Some(Secret::new(key.to_owned())), ..Given::default() };
        let at = data.path().to_owned();
        let profiles = Profiles::open(store, at, clock, &options, given, airtable.clone());
        // It is made by whoever serves the copy.
        let options = replica::Options { webhooks: false, ..Default::default() };
        let replica = Replica::new(engine.clone(), airtable, profiles, options);
        replica.load().await.unwrap();
        replica.add("environment", base.parse().unwrap(), name, tables).await.unwrap();
        engine.close().await;
    });
}

/// A base in another server, all of it copied by the one in front, with everything allowed.
struct Both {
    down: Downstream,
    up: Upstream,
}

impl Both {
    fn new() -> Self {
        Self::of(None)
    }

    fn of(tables: Option<&[&str]>) -> Self {
        let up = Upstream::new();
        let down = Downstream::new(&up, tables).listen();
        let down = down.copied(BASE, tables.unwrap_or(&[GOODS, MAKERS]));
        Self { down, up }
    }
}

fn goods(rest: &str) -> String {
    format!("/v0/{BASE}/{GOODS}{rest}")
}

#[test]
fn bases_that_live_here_say_so() {
    let data = Data::with_shop();
    let server = serve_http(&data, &EVERYTHING);
    let get = |path: &str| send(&server.address, &server.token, "GET", path, &[], &Value::Null);
    let list = get(&goods("?pageSize=1"));
    assert_eq!((list.status, list.source.as_str(), list.age), (200, "local", None));
    assert_eq!(get(&goods("?pageSize=0")).source, "local");
    assert_eq!(get("/v0/meta/whoami").source, "");
    assert_eq!(get("/v0/appNobody00000000/T").source, "");
    let unknown = get(&format!("/v0/meta/bases/{BASE}/shares"));
    assert_eq!((unknown.status, unknown.kind()), (404, "NOT_FOUND"));
    let csv = &[("Content-Type", "text/csv")];
    let sync = goods("/sync/abc");
    let said = send(&server.address, &server.token, "POST", &sync, csv, &json!("Name\nLamp\n"));
    assert_eq!((said.status, said.kind()), (422, "INVALID_REQUEST_UNKNOWN"));
    assert!(said.message().contains("\"Goods\" is no synced table"), "{said:?}");
}
