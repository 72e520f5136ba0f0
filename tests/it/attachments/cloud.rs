//! Files of bases that live in Airtable: another data directory behind its Web API stands for it.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use serde_json::json;
use tablewright_core::Fault;
use tablewright_core::model::RecordId;
use tablewright_core::secret::Secret;
use tablewright_door::{Caller, Door, Rights, TableView, WriteOptions};
use tablewright_engine::Engine;
use tablewright_engine::airtable::profiles::{self, Profiles};
use tablewright_engine::airtable::{self, Airtable};
use tablewright_engine::clock::SystemClock;
use tablewright_engine::fetch::{self, Fetcher};
use tablewright_engine::files::{Files, Given, Options};
use tablewright_engine::local::Action;
use tablewright_engine::replica::{self, Replica};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::support::{HttpServer, http};

/// A copy of the base of papers in this process, and its "Airtable".
struct Copy {
    dir: tempfile::TempDir,
    door: Door,
    stop: CancellationToken,
    running: tokio::task::JoinHandle<()>,
    upstream: HttpServer,
    /// The path where files are, that answers as one that has expired.
    expired: Arc<Mutex<String>>,
    _data: Data,
}

async fn copy() -> Copy {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let expired = Arc::new(Mutex::new(String::new()));
    let gone = expired.clone();
    // Files are at an address of their own, as with Airtable.
    let content = web(move |path| {
        if *gone.lock().unwrap() == path {
            return b"HTTP/1.1 410 Gone\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_vec();
        }
        page("text/plain", b"what lies there")
    });
    let data = data();
    let args = config(&data, &format!("[http]\npublic_url = {content:?}"));
    let upstream = serve_http(&data, &strs(&args));
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(SystemClock);
    let engine = Engine::open(dir.path().to_owned(), Default::default(), clock.clone()).await.unwrap();
    let store = engine.store().clone();
    let options =
        airtable::Options { endpoint_url: format!("http://{}", upstream.address), ..Default::default() };
    let airtable = Airtable::new(&options, clock.clone(), store.clone()).unwrap();
    let given = profiles::Given { token: Some(Secret::new(upstream.token.clone())), ..Default::default() };
    let place = PathBuf::from(dir.path());
    let profiles = Profiles::open(store.clone(), place, clock.clone(), &options, given, airtable.clone());
    let options = replica::Options { poll_seconds: 1, webhooks: false, ..Default::default() };
    let replica = Replica::new(engine.clone(), airtable, profiles, options);
    let stop = CancellationToken::new();
    let running = tokio::spawn(replica.clone().run(stop.clone()));
    replica.add("environment", BASE.parse().unwrap(), "Copy", None).await.unwrap();
    let allowed = fetch::Options { allowed_private: vec!["127.0.0.1".into()] };
    let fetcher = Fetcher::new(&allowed).unwrap();
    let files = Files::open(dir.path(), Options::default(), fetcher, store, clock).await.unwrap();
    Copy {
        door: crate::support::door_of(engine, files, replica).await,
        dir,
        stop,
        running,
        upstream,
        expired,
        _data: data,
    }
}

impl Copy {
    /// The files of the first record, as "Airtable" has them.
    fn there(&self) -> Vec<Value> {
        let token = format!("Bearer {}", self.upstream.token);
        let path = format!("/v0/{BASE}/Papers/{ONE}");
        let answer = http(&self.upstream.address, "GET", &path, &[("Authorization", &token)], b"");
        let record: Value = serde_json::from_str(&answer.body).unwrap();
        record["fields"]["Files"].as_array().cloned().unwrap_or_default()
    }

    async fn end(self) {
        self.stop.cancel();
        self.running.await.unwrap();
    }
}

fn first() -> RecordId {
    ONE.parse().unwrap()
}

/// The files of the first record, as the copy has them.
fn here(view: &TableView) -> Vec<Value> {
    let cell = view.cell(view.slot(&first()).unwrap(), 1).to_json(&view.schema().fields[1]);
    cell.and_then(|cell| cell.as_array().cloned()).unwrap_or_default()
}

#[tokio::test]
async fn a_file_is_uploaded_and_looked_at_also_when_its_address_has_expired() {
    let copy = copy().await;
    let mut call = copy.door.call(Caller::local("test", Rights::ALL), "upload_attachment");
    let view = call.table(BASE, "Papers").await.unwrap();
    let field = view.schema().fields[1].clone();
    for name in ["one.txt", "two.txt"] {
        let added = call.add_file(&view, first(), &field, Given::Text("hello"), Some(name)).await.unwrap();
        assert_eq!((&added.item["filename"], &added.item["size"]), (&json!(name), &json!(5)), "{added:?}");
    }
    assert!(blobs(copy.dir.path()).is_empty(), "what is sent is not kept");
    let names = |files: &[Value]| -> Vec<Value> { files.iter().map(|f| f["filename"].clone()).collect() };
    assert_eq!(names(&copy.there()), ["one.txt", "two.txt"]);
    let view = call.table(BASE, "Papers").await.unwrap();
    let held = here(&view);
    assert_eq!(names(&held), ["one.txt", "two.txt"], "the copy knows at once");
    // The address that the copy has expires, and only then there is another one.
    let path = held[0]["url"].as_str().unwrap().splitn(4, '/').nth(3).unwrap().to_owned();
    *copy.expired.lock().unwrap() = format!("/{path}");
    while copy.there()[0]["url"] == held[0]["url"] {
        tokio::task::yield_now().await;
    }
    let stored = call.file(&view, first(), &field, &held[0]).await.unwrap();
    assert_eq!(call.files().read(&stored, 100).await.unwrap(), b"what lies there");
    assert_eq!((stored.filename.as_str(), stored.source.as_deref()), ("one.txt", held[0]["id"].as_str()));
    let fresh = here(&call.table(BASE, "Papers").await.unwrap());
    assert_ne!(fresh[0]["url"], held[0]["url"], "the copy has the fresh address too");
    // From now on it is kept.
    assert_eq!(call.file(&view, first(), &field, &held[0]).await.unwrap(), stored);
    let large = "x".repeat(5 * 1024 * 1024 + 1);
    let refused = call.add_file(&view, first(), &field, Given::Text(&large), Some("large.txt")).await;
    assert!(refused.unwrap_err().message.contains("the most that Airtable takes"));
    let reader = Caller::local("test", Rights { write: false, ..Rights::ALL });
    let mut call = copy.door.call(reader, "upload_attachment");
    let refused = call.add_file(&view, first(), &field, Given::Text("x"), Some("x.txt")).await;
    assert!(refused.is_err(), "{refused:?}");
    assert_eq!(copy.there().len(), 2);
    copy.end().await;
}

#[tokio::test]
async fn addresses_in_writes_are_passed_on_as_they_are() {
    let copy = copy().await;
    let elsewhere = web(|_| page("text/plain", b"taken in by Airtable"));
    let mut call = copy.door.call(Caller::local("test", Rights::ALL), "update_records");
    let view = call.table(BASE, "Papers").await.unwrap();
    let cells = |files: Value| json!({ "Files": files }).as_object().cloned().unwrap();
    let url = format!("{elsewhere}/a.txt?x=1");
    let plan = Action::Create(vec![
        cells(json!([{"url": url, "filename": "a.txt"}])),
        cells(json!([{"url": "ftp://example.org/a"}])),
        cells(json!([])),
    ]);
    let plan = call.plan(&view, plan, WriteOptions::default()).unwrap();
    let outcome = call.apply(plan).await.unwrap();
    let why = |result: &Result<RecordId, Fault>| result.as_ref().err().map(|f| f.message.clone());
    let said: Vec<Option<String>> = outcome.records.iter().map(why).collect();
    assert!(said[0].is_none() && said[2].is_none(), "{said:?}");
    assert!(said[1].as_ref().unwrap().contains("begins with https://"), "{said:?}");
    assert!(blobs(copy.dir.path()).is_empty(), "nothing is fetched here");
    // What a cell shows of a file can be sent back to keep it.
    let view = call.table(BASE, "Papers").await.unwrap();
    let slot = view.slot(outcome.records[0].as_ref().unwrap()).unwrap();
    let shown = view.cell(slot, 1).to_json(&view.schema().fields[1]).unwrap();
    assert_eq!((&shown[0]["filename"], &shown[0]["size"]), (&json!("a.txt"), &json!(20)));
    let id = *outcome.records[0].as_ref().unwrap();
    let again = Action::Update(vec![(id, cells(json!([shown[0], {"url": url, "filename": "b.txt"}])))]);
    let plan = call.plan(&view, again, WriteOptions::default()).unwrap();
    let outcome = call.apply(plan).await.unwrap();
    assert!(outcome.records[0].is_ok(), "{outcome:?}");
    let view = call.table(BASE, "Papers").await.unwrap();
    let both = view.cell(view.slot(&id).unwrap(), 1).to_json(&view.schema().fields[1]).unwrap();
    assert_eq!((&both[0]["id"], &both[1]["filename"]), (&shown[0]["id"], &json!("b.txt")));
    copy.end().await;
}
