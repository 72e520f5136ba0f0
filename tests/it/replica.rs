//! Copies of bases that live in Airtable, beside the real Web API of another data directory.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tablewright_core::model::{BaseId, TableId};
use tablewright_core::secret::Secret;
use tablewright_engine::airtable::profiles::{Given, Profiles};
use tablewright_engine::airtable::{self, Airtable};
use tablewright_engine::clock::SystemClock;
use tablewright_engine::replica::{Options, Replica, Source, Want};
use tablewright_engine::{Engine, Snapshot};
use tokio_util::sync::CancellationToken;

use crate::support::{Data, HttpServer, http, root, serve_http};

const ALL: [&str; 3] = ["--allow-write", "--allow-delete", "--allow-schema"];

/// A base "in Airtable": another data directory behind its Web API.
struct Upstream {
    _data: Data,
    server: HttpServer,
    base: BaseId,
}

impl Upstream {
    fn of(file: &str, args: &[&str]) -> Self {
        let path = root().join(file);
        let data = Data::new();
        data.import(&path);
        let text: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let base = text["base"]["id"].as_str().unwrap().parse().unwrap();
        let all: Vec<&str> = ALL.iter().chain(args).copied().collect();
        Self { server: serve_http(&data, &all), _data: data, base }
    }

    fn ask(&self, method: &str, path: &str, body: &Value) -> Value {
        let token = format!("Bearer {}", self.server.token);
        let headers = [("Authorization", token.as_str()), ("Content-Type", "application/json")];
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        let answer = http(&self.server.address, method, &format!("/v0/{path}"), &headers, &body);
        assert_eq!(answer.status, 200, "{method} {path}: {}", answer.body);
        serde_json::from_str(&answer.body).unwrap_or_default()
    }

    /// Every record of a table as the Web API gives it, by field id.
    fn records(&self, table: TableId) -> Vec<Value> {
        let (mut all, mut offset) = (Vec::new(), String::new());
        loop {
            let path = format!("{}/{table}?returnFieldsByFieldId=true&offset={offset}", self.base);
            let page = self.ask("GET", &path, &Value::Null);
            all.extend(page["records"].as_array().unwrap().iter().cloned());
            match page["offset"].as_str() {
                Some(next) => offset = next.replace('/', "%2F"),
                None => break,
            }
        }
        all.sort_by_key(|record| record["id"].as_str().unwrap().to_owned());
        all
    }
}

/// A data directory with a copy of it, in this process.
struct Desk {
    dir: tempfile::TempDir,
    engine: Engine,
    replica: Replica,
    stop: CancellationToken,
    running: tokio::task::JoinHandle<()>,
}

async fn desk_in(dir: tempfile::TempDir, upstream: &Upstream, options: Options) -> Desk {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let clock = Arc::new(SystemClock);
    let engine = Engine::open(dir.path().to_owned(), Default::default(), clock.clone()).await.unwrap();
    let options_of_client = airtable::Options {
        endpoint_url: format!("http://{}", upstream.server.address),
        ..Default::default()
    };
    let store = engine.store().clone();
    let airtable = Airtable::new(&options_of_client, clock.clone(), store.clone()).unwrap();
    let given = Given { token: Some(Secret::new(upstream.server.token.clone())), ..Default::default() };
    let place = PathBuf::from(dir.path());
    let profiles = Profiles::open(store, place, clock, &options_of_client, given, airtable.clone());
    let replica = Replica::new(engine.clone(), airtable, profiles, options);
    replica.load().await.unwrap();
    let stop = CancellationToken::new();
    let running = tokio::spawn(replica.clone().run(stop.clone()));
    Desk { dir, engine, replica, stop, running }
}

async fn desk(upstream: &Upstream, options: Options) -> Desk {
    let desk = desk_in(tempfile::tempdir().unwrap(), upstream, options).await;
    desk.replica.add("environment", upstream.base, "Copy", None).await.unwrap();
    desk
}

impl Desk {
    /// The copy, as new as what is in Airtable now.
    async fn fresh(&self, upstream: &Upstream) -> Arc<Snapshot> {
        let schema = self.engine.schema(upstream.base).await.unwrap();
        for table in &schema.tables {
            let want = Want { fresh: true, max_staleness: None };
            let source = self.replica.fresh(upstream.base, Some(table.id), want).await.unwrap();
            assert!(matches!(source, Source::Replica { .. }));
        }
        self.engine.snapshot(upstream.base).await.unwrap()
    }

    async fn end(self) -> tempfile::TempDir {
        self.stop.cancel();
        self.running.await.unwrap();
        self.engine.close().await;
        self.dir
    }
}

/// The records of a table of a copy, as the Web API would give them.
fn held(snapshot: &Snapshot, table: TableId) -> Vec<Value> {
    let (described, data) = snapshot.table(table).unwrap();
    let mut all: Vec<Value> =
        data.slots()
            .map(|slot| {
                let cells = described.fields.iter().enumerate().filter_map(|(at, field)| {
                    Some((field.id.to_string(), data.cell(slot, at).to_json(field)?))
                });
                let fields: serde_json::Map<String, Value> = cells.collect();
                let row = data.row(slot);
                let created = tablewright_core::model::cell::instant_text(row.created);
                json!({"id": row.id, "createdTime": created, "fields": fields})
            })
            .collect();
    all.sort_by_key(|record| record["id"].as_str().unwrap().to_owned());
    all
}

/// Asserts that the copy says what Airtable says, in every table.
async fn assert_same(desk: &Desk, upstream: &Upstream) {
    let snapshot = desk.fresh(upstream).await;
    let tables = upstream.ask("GET", &format!("meta/bases/{}/tables", upstream.base), &Value::Null);
    let names: Vec<&str> =
        tables["tables"].as_array().unwrap().iter().map(|t| t["name"].as_str().unwrap()).collect();
    let held_names: Vec<&str> = snapshot.schema.tables.iter().map(|t| t.name.as_str()).collect();
    assert_eq!(held_names, names);
    for table in &snapshot.schema.tables {
        let (here, there) = (held(&snapshot, table.id), upstream.records(table.id));
        assert_eq!(here.len(), there.len(), "{}", table.name);
        for (here, there) in here.iter().zip(&there) {
            assert_eq!(here, there, "{}", table.name);
        }
    }
}

fn quick() -> Options {
    Options { poll_seconds: 1, ..Options::default() }
}

#[tokio::test]
async fn a_base_is_copied_and_follows_changes_by_webhook() {
    let upstream = Upstream::of("tests/fixtures/shop.json", &[]);
    let desk = desk(&upstream, quick()).await;
    assert_same(&desk, &upstream).await;
    changes_follow(&desk, &upstream).await;
    let status = desk.replica.status(None).await.unwrap();
    assert_eq!((status[0].changes_by, status[0].failure.as_deref()), ("webhook", None));
    // Another start finds everything in place and goes on from there.
    let dir = desk.end().await;
    let table = upstream_table(&upstream, 0);
    let records = upstream.records(table);
    let id = records[0]["id"].as_str().unwrap();
    upstream.ask("DELETE", &format!("{}/{table}/{id}", upstream.base), &Value::Null);
    let desk = desk_in(dir, &upstream, quick()).await;
    assert_same(&desk, &upstream).await;
    desk.end().await;
}

#[tokio::test]
async fn a_base_follows_changes_where_webhooks_are_not_wanted() {
    let upstream = Upstream::of("tests/fixtures/shop.json", &[]);
    let options = Options { webhooks: false, relist_seconds: 10, ..quick() };
    let desk = desk(&upstream, options).await;
    assert_same(&desk, &upstream).await;
    let table = upstream_table(&upstream, 0);
    let first = upstream.records(table)[0].clone();
    let primary = primary(&upstream, 0);
    let path = format!("{}/{table}/{}", upstream.base, first["id"].as_str().unwrap());
    upstream.ask("PATCH", &path, &json!({"fields": {primary.as_str(): "Renamed"}}));
    upstream.ask(
        "POST",
        &format!("{}/{table}", upstream.base),
        &json!({"fields": {primary.as_str(): "New"}}),
    );
    assert_same(&desk, &upstream).await;
    assert_eq!(desk.replica.status(None).await.unwrap()[0].changes_by, "polling");
    desk.end().await;
}

fn described(upstream: &Upstream) -> Value {
    upstream.ask("GET", &format!("meta/bases/{}/tables", upstream.base), &Value::Null)
}

fn upstream_table(upstream: &Upstream, at: usize) -> TableId {
    described(upstream)["tables"][at]["id"].as_str().unwrap().parse().unwrap()
}

fn primary(upstream: &Upstream, at: usize) -> String {
    described(upstream)["tables"][at]["primaryFieldId"].as_str().unwrap().to_owned()
}

async fn changes_follow(desk: &Desk, upstream: &Upstream) {
    for at in 0..described(upstream)["tables"].as_array().unwrap().len() {
        let (table, primary) = (upstream_table(upstream, at), primary(upstream, at));
        let records = upstream.records(table);
        let path = |id: &str| format!("{}/{table}/{id}", upstream.base);
        upstream.ask(
            "PATCH",
            &path(records[0]["id"].as_str().unwrap()),
            &json!({"fields": {primary.as_str(): "Renamed"}, "typecast": true}),
        );
        upstream.ask(
            "POST",
            &format!("{}/{table}", upstream.base),
            &json!({"fields": {primary.as_str(): "New"}, "typecast": true}),
        );
        upstream.ask("DELETE", &path(records[1]["id"].as_str().unwrap()), &Value::Null);
        let field = json!({"name": "Later", "type": "singleLineText"});
        upstream.ask("POST", &format!("meta/bases/{}/tables/{table}/fields", upstream.base), &field);
        assert_same(desk, upstream).await;
    }
    let table = json!({"name": "Table that came later", "fields": [{"name": "N", "type": "singleLineText"}]});
    let made = upstream.ask("POST", &format!("meta/bases/{}/tables", upstream.base), &table);
    let path = format!("{}/{}", upstream.base, made["id"].as_str().unwrap());
    upstream.ask("POST", &path, &json!({"fields": {"N": "x"}}));
    tokio::time::timeout(Duration::from_secs(30), async {
        while desk.fresh(upstream).await.schema.table("Table that came later").is_err() {}
    })
    .await
    .unwrap();
    assert_same(desk, upstream).await;
}
