//! Webhooks: payloads, life, pings, over the engine with a clock that is held.

mod filters;
mod life;
mod pings;
mod rest;

use std::path::Path;
use std::sync::Arc;
use tablewright_engine::base::changes::Author;

use serde_json::{Map, Value, json};
use tablewright_core::Fault;
use tablewright_core::clock::HeldClock;
use tablewright_core::model::{BaseId, RecordId, WebhookId};
use tablewright_door::files::{self, Files};
use tablewright_door::webhooks::{Made, NewWebhook, Options, Page};
use tablewright_door::{Call, Caller, Egress, Rights, Webhooks};
use tablewright_engine::fetch::{self, Fetcher};
use tablewright_engine::local::schema::SchemaEdit;
use tablewright_engine::local::{Action, Write};
use tablewright_engine::{Engine, base_file};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::support::{PATIENCE, audit_line, root};

pub const BASE: &str = "appShop0000000000";
pub const GOODS: &str = "tblGoods000000000";
pub const MAKERS: &str = "tblMakers00000000";
pub const LAMP: &str = "recLamp0000000000";
pub const DAY: i64 = 86_400_000;

/// An engine on a data directory with webhooks that run.
pub struct Rig {
    pub engine: Engine,
    pub files: Files,
    pub webhooks: Webhooks,
    pub clock: HeldClock,
    stop: CancellationToken,
    running: Option<JoinHandle<()>>,
}

pub fn base() -> BaseId {
    BASE.parse().unwrap()
}

pub fn cells(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

pub fn record(id: &str) -> RecordId {
    id.parse().unwrap()
}

/// A specification with these filters and nothing else.
pub fn wants(filters: Value) -> Value {
    json!({"options": {"filters": filters}})
}

/// All changes of records.
pub fn data() -> Value {
    wants(json!({"dataTypes": ["tableData"]}))
}

pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// Runs on a data directory with the shop in it.
pub fn with_shop<F: Future<Output = ()>>(test: impl FnOnce(std::path::PathBuf, HeldClock) -> F) {
    let directory = tempfile::tempdir().unwrap();
    runtime().block_on(async {
        let clock = HeldClock::at(1_000_000_000_000);
        let rig = Rig::open(directory.path(), &clock).await;
        let bytes = std::fs::read(root().join("tests/fixtures/shop.json")).unwrap();
        let loaded = base_file::read(&bytes, 0).unwrap();
        rig.engine.import(loaded, Author::of("test", "test"), Box::new(|_| {})).await.unwrap();
        rig.close().await;
        test(directory.path().to_owned(), clock).await;
    });
}

/// Polls until something is there.
pub async fn until<T, F: Future<Output = Option<T>>>(what: &str, mut look: impl FnMut() -> F) -> T {
    let deadline = std::time::Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(std::time::Instant::now() < deadline, "{what} did not happen");
        tokio::task::yield_now().await;
    }
}

impl Rig {
    /// Webhooks that run, and may ping this machine.
    pub async fn open(directory: &Path, clock: &HeldClock) -> Self {
        let mut rig = Self::open_still(directory, clock).await;
        rig.run();
        rig
    }

    /// The same, but nobody makes payloads or sends pings.
    pub async fn open_still(directory: &Path, clock: &HeldClock) -> Self {
        let engine_options = tablewright_engine::Options::default();
        let engine =
            Engine::open(directory.to_owned(), engine_options, Arc::new(clock.clone())).await.unwrap();
        let _ = rustls::crypto::ring::default_provider().install_default();
        let fetcher = Fetcher::new(&fetch::Options { allowed_private: vec!["127.0.0.1".into()] }).unwrap();
        let (store, held) = (engine.store().clone(), Arc::new(clock.clone()));
        let files = Files::open(directory, files::Options::default(), fetcher, store, held).await.unwrap();
        let egress = Egress::new(engine.clone(), Default::default());
        let webhooks = Webhooks::open(engine.clone(), files.clone(), Options::default(), egress);
        let webhooks = webhooks.await.unwrap();
        Self { engine, files, webhooks, clock: clock.clone(), stop: CancellationToken::new(), running: None }
    }

    pub fn run(&mut self) {
        self.running = Some(tokio::spawn(self.webhooks.clone().run(self.stop.clone())));
    }

    /// Ends whatever runs where it is, as a crash would.
    pub async fn crash(mut self) {
        if let Some(running) = self.running.take() {
            running.abort();
            let _ = running.await;
        }
        self.engine.close().await;
    }

    pub async fn close(mut self) {
        self.stop.cancel();
        if let Some(running) = self.running.take() {
            running.await.unwrap();
        }
        self.engine.close().await;
    }

    /// Moves the clock, and has what is due looked at.
    pub fn advance(&self, ms: i64) {
        self.clock.advance(ms);
        self.webhooks.look();
    }

    pub async fn call(&self) -> Call {
        crate::support::door(&self.engine, &self.files)
            .await
            .call(Caller::local("test", Rights::ALL), "webhook")
    }

    pub async fn create(&self, specification: Value, url: Option<&str>) -> Result<Made, Fault> {
        let new = NewWebhook { specification, url: url.map(str::to_owned) };
        self.webhooks.create(&mut self.call().await, base(), new).await
    }

    /// A webhook without an address.
    pub async fn hook(&self, specification: Value) -> WebhookId {
        self.create(specification, None).await.unwrap().id
    }

    pub async fn page(&self, id: WebhookId, cursor: i64, limit: u32) -> Result<Page, Fault> {
        self.webhooks.payloads(&mut self.call().await, base(), id, cursor, limit).await
    }

    /// Every payload of a webhook.
    pub async fn heard(&self, id: WebhookId) -> Vec<Value> {
        let (mut all, mut cursor) = (Vec::new(), 1);
        loop {
            let page = self.page(id, cursor, 50).await.unwrap();
            all.extend(page.payloads.iter().map(|text| serde_json::from_str::<Value>(text).unwrap()));
            cursor = page.cursor;
            if !page.has_more {
                return all;
            }
        }
    }

    /// Writes records as somebody who came through `face`; the records.
    pub async fn write_by(&self, face: &'static str, to: &str, action: Action) -> Vec<RecordId> {
        let write = Write { table: to.parse().unwrap(), action, typecast: true, atomic: true };
        let by = Author::of("token:Ada", face);
        let outcome = self.engine.commit(base(), write, by, audit_line).await.unwrap();
        outcome.records.into_iter().map(Result::unwrap).collect()
    }

    pub async fn write(&self, to: &str, action: Action) -> Vec<RecordId> {
        self.write_by("rest", to, action).await
    }

    pub async fn add(&self, to: &str, fields: Value) -> RecordId {
        self.write(to, Action::Create(vec![cells(fields)])).await[0]
    }

    pub async fn set(&self, to: &str, id: RecordId, fields: Value) {
        self.write(to, Action::Update(vec![(id, cells(fields))])).await;
    }

    pub async fn remove(&self, to: &str, id: RecordId) {
        self.write(to, Action::Delete(vec![id])).await;
    }

    pub async fn edit(&self, edit: SchemaEdit) -> tablewright_engine::Edited {
        self.engine.edit_schema(base(), edit, Author::of("local", ""), audit_line).await.unwrap()
    }
}
