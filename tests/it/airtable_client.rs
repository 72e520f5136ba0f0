//! The client of Airtable's Web API, against a server that answers by script and against our own.

mod gateway;
mod pace;
mod refusals;
mod repeats;
mod requests;
mod server;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Map, Value, json};
use tablewright_core::clock::{Clock, HeldClock};
use tablewright_core::model::{BaseId, FieldId, RecordId};
use tablewright_core::secret::Secret;
use tablewright_engine::Store;
use tablewright_engine::airtable::{Airtable, Ask, BoxFuture, Credentials, Error, Options, Permit, Session};

use server::{Reply, Server};

const BASE: &str = "appA1b2C3d4E5f6G7";
const FIELD: &str = "fldA1b2C3d4E5f6G7";
const TOKEN: &str = "patTest.0123456789";
/// 2026-11-23T10:00:00Z
const NOW: i64 = 1_795_428_000_000;

fn base() -> BaseId {
    BASE.parse().unwrap()
}

fn field() -> FieldId {
    FIELD.parse().unwrap()
}

/// The n-th of some record ids.
fn record(n: u8) -> RecordId {
    RecordId::from_bytes(&[n])
}

fn ask() -> Ask {
    Ask::interactive("test")
}

/// A record as Airtable writes it.
fn written(n: u8, name: &str) -> Value {
    json!({"id": record(n), "createdTime": "2026-03-01T08:15:30.000Z", "fields": {FIELD: name}})
}

/// Cells with this name.
fn cells(name: &str) -> Map<String, Value> {
    Map::from_iter([(FIELD.to_owned(), name.into())])
}

/// A token, and how often another was asked for.
struct Token {
    text: &'static str,
    next: Option<&'static str>,
    renewed: AtomicUsize,
}

impl Credentials for Token {
    fn bearer(&self) -> BoxFuture<'_, Result<Secret, Error>> {
        Box::pin(async { Ok(Secret::new(self.text)) })
    }

    fn renew<'a>(&'a self, refused: &'a Secret) -> BoxFuture<'a, Result<Secret, Error>> {
        Box::pin(async {
            self.renewed.fetch_add(1, Ordering::SeqCst);
            Ok(self.next.map_or_else(|| refused.clone(), Secret::new))
        })
    }
}

fn token(text: &'static str, next: Option<&'static str>) -> Arc<Token> {
    Arc::new(Token { text, next, renewed: AtomicUsize::new(0) })
}

/// A client of a scripted server, with a store of its own.
struct Upstream {
    server: Server,
    directory: tempfile::TempDir,
    options: Options,
    airtable: Airtable,
    session: Session,
}

impl Upstream {
    async fn new(script: Vec<Reply>) -> Self {
        Self::with(script, |_| {}).await
    }

    async fn with(script: Vec<Reply>, settings: impl FnOnce(&mut Options)) -> Self {
        let server = Server::start(script).await;
        let mut options = Options { endpoint_url: server.url(), ..Options::default() };
        settings(&mut options);
        let directory = tempfile::tempdir().unwrap();
        let airtable = client(&options, &directory).await;
        let session = airtable.session("me", token(TOKEN, None));
        Self { server, directory, options, airtable, session }
    }

    async fn permit(&self) -> Permit {
        self.session.permit(&ask(), Some(base())).await.unwrap()
    }

    async fn create(&self) -> Result<RecordId, Error> {
        let permit = self.permit().await;
        let made = self.session.create(permit, &ask(), base(), "T", &[cells("x")], false).await?;
        Ok(made.value[0].id)
    }
}

/// A client whose store is in this directory.
async fn client(options: &Options, directory: &tempfile::TempDir) -> Airtable {
    client_at(options, directory, Arc::new(HeldClock::at(NOW))).await
}

async fn client_at(options: &Options, directory: &tempfile::TempDir, clock: Arc<dyn Clock>) -> Airtable {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let store = Store::open(&directory.path().join("tablewright.db")).await.unwrap();
    Airtable::new(options, clock, store).unwrap()
}
