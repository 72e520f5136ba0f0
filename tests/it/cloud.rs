//! A base that lives in another server, the proxy before it, and the program that keeps a copy.

pub mod harbour;

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::hostile::{Hostile, Plan};
use crate::support::{Client, Data, HttpServer, listen, serve_http};

pub const EVERYTHING: [&str; 3] = ["--allow-write", "--allow-delete", "--allow-schema"];

/// How long the copy may take to become the same as the base, once nothing goes wrong any more.
const TO_CONVERGE: Duration = Duration::from_secs(60);
/// Between two looks at something that takes its time.
const LOOK: Duration = Duration::from_millis(40);

/// The server with the base, with Airtable's limits and a short penalty.
pub struct Upstream {
    pub data: Data,
    pub server: HttpServer,
}

impl Upstream {
    /// With so many shipments in it.
    pub fn new(shipments: usize) -> Self {
        let data = Data::new();
        let file = data.path().join("harbour.json");
        std::fs::write(&file, harbour::base(shipments).to_string()).unwrap();
        data.import(&file);
        let settings = data.path().join("settings.toml");
        std::fs::write(&settings, "[gateway]\npenalty_seconds = 1\n").unwrap();
        let settings = settings.display().to_string();
        let mut args = vec!["--emulate-limits", "--config", &settings];
        args.extend(EVERYTHING);
        let server = serve_http(&data, &args);
        Self { data, server }
    }

    /// A token of its own.
    pub fn token(&self, name: &str) -> String {
        self.data
            .ok(&["token", "create", "--name", name, "--scopes", crate::rest::ALL_SCOPES])
            .trim()
            .to_owned()
    }

    /// Somebody who works in the base itself, past all limits of requests.
    pub fn insider(&self) -> Client {
        self.data.serve(&EVERYTHING).initialize()
    }
}

/// The program that keeps a copy of the base.
pub struct Downstream {
    pub data: Data,
    pub token: String,
    variables: Vec<(&'static str, String)>,
    /// The process that listens on HTTP, if any.
    server: Option<Client>,
}

/// Settings that shorten waits, beside the address of Airtable.
fn settings(airtable: &str, more: &str) -> String {
    format!(
        "[airtable]\nendpoint_url = \"{airtable}\"\npenalty_seconds = 1\ntimeout_seconds = 3\n\
         patience_seconds = 20\n{more}\n[sync]\npoll_seconds = 1\nmax_staleness_seconds = 1\nrelist_seconds = 10\n\
         first_look_ms = 100\nsecond_look_ms = 500\n"
    )
}

impl Downstream {
    /// Knows Airtable's address and token, and nothing yet of the base. `more` are settings of
    /// `[airtable]`.
    pub fn new(airtable: &str, token: &str, more: &str) -> Self {
        let data = Data::new();
        std::fs::write(data.path().join("settings.toml"), settings(airtable, more)).unwrap();
        let made = data.ok(&["token", "create", "--name", "test", "--scopes", crate::rest::ALL_SCOPES]);
        let config = data.path().join("settings.toml").display().to_string();
        let variables = vec![("AIRTABLE_API_KEY", token.to_owned()), ("TABLEWRIGHT_CONFIG", config)];
        Self { data, token: made.trim().to_owned(), variables, server: None }
    }

    fn command(&self, args: &[&str]) -> std::process::Command {
        let mut command = self.data.command(args);
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Adds the base: from now on a copy is kept.
    pub fn connect(&self) {
        let mut command =
            self.command(&["connect", "--name", "environment", "--base", harbour::BASE, "--yes"]);
        let output = command.stdin(std::process::Stdio::null()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stdout));
    }

    /// Listens on HTTP as the owner of the directory; its address.
    pub fn listen(&mut self) -> String {
        let variables: Vec<(&str, &str)> = self.variables.iter().map(|(n, v)| (*n, v.as_str())).collect();
        let (server, address) = listen(&self.data, &EVERYTHING, &variables);
        self.server = Some(server);
        address
    }

    /// The last lines of its log.
    fn log(&self) -> String {
        let kept = std::fs::read_to_string(self.data.path().join("owner.log")).unwrap_or_default();
        let mut lines: Vec<String> = kept.lines().map(str::to_owned).collect();
        lines.extend(self.server.iter().flat_map(Client::errors_so_far));
        lines.split_off(lines.len().saturating_sub(60)).join("\n")
    }

    /// An agent over pipes.
    pub fn agent(&self) -> Client {
        Client::start(self.command(&[&["serve"][..], &EVERYTHING].concat())).initialize()
    }

    /// An agent of the newer era, who knows tasks.
    pub fn modern_agent(&self) -> Client {
        Client::start(self.command(&[&["serve"][..], &EVERYTHING].concat()))
    }
}

/// Everything in a row: the base, the proxy, the copy.
pub struct Cloud {
    pub downstream: Downstream,
    pub hostile: Hostile,
    pub upstream: Upstream,
}

impl Cloud {
    pub fn new(shipments: usize, plan: Plan, more: &str) -> Self {
        let upstream = Upstream::new(shipments);
        let hostile = Hostile::before(&upstream.server.address, plan);
        let downstream = Downstream::new(&hostile.url(), &upstream.server.token, more);
        Self { downstream, hostile, upstream }
    }

    /// Waits until the copy is the same as the base, in every table and cell.
    pub fn converge(&self, agent: &mut Client) {
        let mut insider = self.upstream.insider();
        until(TO_CONVERGE, || {
            let mut found = harbour::TABLES.iter().map(|table| {
                let (there, here) = (all(&mut insider, table), try_all(agent, table)?);
                same(table, &there, &here)
            });
            found.find(Result::is_err).unwrap_or(Ok(()))
        })
        .unwrap_or_else(|why| panic!("the copy does not become the same: {why}\n{}", self.told()));
    }

    /// The last requests and all faults, for whoever has to find out what went wrong.
    pub fn told(&self) -> String {
        let log = self.hostile.log();
        let mut text = format!("{} requests, faults {:?}\n", log.len(), self.hostile.faults());
        let start = log.first().map(|entry| entry.at);
        for entry in &log[log.len().saturating_sub(120)..] {
            let after = start.map_or(0, |start| (entry.at - start).as_millis());
            let body: String = entry.body.to_string().chars().take(160).collect();
            text.push_str(&format!(
                "{after:>6} ms {:?} {} {} {:?} there {:?} heard {:?} {body}\n",
                entry.kind, entry.method, entry.path, entry.fault, entry.upstream, entry.heard
            ));
        }
        text.push_str(&self.downstream.log());
        text
    }
}

/// Looks until it is well; the last complaint when it does not become so.
pub fn until(patience: Duration, mut look: impl FnMut() -> Result<(), String>) -> Result<(), String> {
    let deadline = Instant::now() + patience;
    loop {
        match look() {
            Ok(()) => return Ok(()),
            Err(why) if Instant::now() > deadline => return Err(why),
            Err(_) => std::thread::sleep(LOOK),
        }
    }
}

/// All records of a table, as an agent sees them; why not, when it is refused.
pub fn try_all(client: &mut Client, table: &str) -> Result<Vec<Value>, String> {
    let mut records = Vec::new();
    let mut cursor = Value::Null;
    loop {
        let asked =
            json!({"base": harbour::BASE, "table": table, "limit": 1000, "cursor": cursor, "format": "json"});
        let result = client.call("list_records", asked);
        if result["isError"] == true {
            return Err(result["content"][0]["text"].to_string());
        }
        let page = &result["structuredContent"];
        records.extend(page["records"].as_array().unwrap().iter().cloned());
        cursor = page["cursor"].clone();
        if cursor.is_null() {
            return Ok(records);
        }
    }
}

/// All records of a table.
pub fn all(client: &mut Client, table: &str) -> Vec<Value> {
    try_all(client, table).unwrap_or_else(|why| panic!("{table}: {why}"))
}

/// Whether two lists hold the same records with the same cells, whatever their order.
pub fn same(what: &str, there: &[Value], here: &[Value]) -> Result<(), String> {
    let by_id = |list: &[Value]| -> std::collections::BTreeMap<String, Value> {
        list.iter().map(|record| (record["id"].as_str().unwrap().to_owned(), record.clone())).collect()
    };
    let (upstream, copy) = (by_id(there), by_id(here));
    let missing: Vec<&Value> =
        upstream.iter().filter(|(id, _)| !copy.contains_key(*id)).map(|(_, record)| record).collect();
    let surplus: Vec<&Value> =
        copy.iter().filter(|(id, _)| !upstream.contains_key(*id)).map(|(_, record)| record).collect();
    let other =
        upstream.iter().find_map(|(id, record)| Some((record, copy.get(id)?)).filter(|(a, b)| a != b));
    if missing.is_empty() && surplus.is_empty() && other.is_none() && copy.len() == here.len() {
        return Ok(());
    }
    let first = |list: &[&Value]| list.first().map(ToString::to_string).unwrap_or_default();
    Err(format!(
        "{what}: {} records there, {} here; not here: {} {}; only here: {} {}; not alike: {other:?}",
        there.len(),
        here.len(),
        missing.len(),
        first(&missing),
        surplus.len(),
        first(&surplus)
    ))
}
