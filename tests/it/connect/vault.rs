//! Pairs of tokens when several processes use them, and when the store has no room.

use std::sync::Arc;

use sqlx::Connection;
use tablewright_core::secret::Secret;
use tablewright_engine::Store;
use tablewright_engine::airtable::profiles::{Given, Profiles, Returned};
use tablewright_engine::airtable::{Airtable, Ask, Options, Session};
use tablewright_engine::clock::SystemClock;

use super::Upstream;
use super::server::{OAuth, Turn};

/// The logins of a store, as one process has them.
async fn process(folder: &std::path::Path, upstream: &Upstream, oauth: &OAuth) -> Profiles {
    let store = Store::open(&folder.join("tablewright.db")).await.unwrap();
    let options = Options {
        endpoint_url: format!("http://{}", upstream.server.address),
        oauth_url: format!("http://{}", oauth.address),
        oauth_client_id: "our-id".into(),
        patience_seconds: 5,
        ..Options::default()
    };
    let clock = Arc::new(SystemClock);
    let airtable = Airtable::new(&options, clock.clone(), store.clone()).unwrap();
    Profiles::open(store, folder.to_owned(), clock, &options, Given::default(), airtable)
}

async fn works(session: &Session) -> Result<(), String> {
    session.whoami(&Ask::interactive("test")).await.map(drop).map_err(|error| error.to_string())
}

/// Two processes of one store that both have used the first of these tokens, and a login in it.
async fn two(folder: &std::path::Path, upstream: &Upstream, oauth: &OAuth) -> (Session, Session) {
    let returned = Returned {
        code: Secret::new("the-code"),
        verifier: Secret::new("v".repeat(43)),
        redirect: "http://localhost:1/callback".into(),
    };
    let first = process(folder, upstream, oauth).await;
    first.add_oauth("work", returned, false).await.unwrap();
    let second = process(folder, upstream, oauth).await;
    let (first, second) = (first.session("work").await.unwrap(), second.session("work").await.unwrap());
    works(&first).await.unwrap();
    works(&second).await.unwrap();
    (first, second)
}

fn parts() -> (tempfile::TempDir, Upstream, OAuth, tokio::runtime::Runtime) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let upstream = Upstream::new();
    let tokens = (0..4).map(|n| upstream.token(&format!("access{n}"))).collect();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    (tempfile::tempdir().unwrap(), upstream, OAuth::start(tokens), runtime)
}

#[test]
fn what_another_process_has_renewed_is_used() {
    let (folder, upstream, oauth, runtime) = parts();
    runtime.block_on(async {
        let (first, second) = two(folder.path(), &upstream, &oauth).await;
        upstream.data.ok(&["token", "revoke", "access0"]);
        works(&first).await.unwrap();
        works(&second).await.unwrap();
        assert_eq!(oauth.asked().len(), 2, "the second one looked into the store: {:?}", oauth.asked());
        upstream.data.ok(&["token", "revoke", "access1"]);
        oauth.next(&[Turn::JustDone, Turn::Grant(3_600)]);
        let (one, other) = tokio::join!(works(&first), works(&second));
        one.unwrap();
        other.unwrap();
        assert!(oauth.asked().len() <= 5, "{:?}", oauth.asked());
        let asked = oauth.asked().concat();
        assert!(asked.contains("client_id=our-id") && !asked.contains("Basic"), "{asked}");
    });
}

#[test]
fn a_pair_the_store_cannot_take_is_held_until_it_can() {
    let (folder, upstream, oauth, runtime) = parts();
    runtime.block_on(async {
        let (session, _) = two(folder.path(), &upstream, &oauth).await;
        let address = format!("sqlite:{}", folder.path().join("tablewright.db").display());
        let mut database = sqlx::SqliteConnection::connect(&address).await.unwrap();
        let full = "CREATE TRIGGER full BEFORE UPDATE ON profiles BEGIN SELECT RAISE(FAIL, 'no room'); END";
        sqlx::query(full).execute(&mut database).await.unwrap();
        upstream.data.ok(&["token", "revoke", "access0"]);
        for _ in 0..2 {
            let why = works(&session).await.unwrap_err();
            assert!(why.contains("cannot be stored") && why.contains("no room"), "{why}");
        }
        assert_eq!(oauth.asked().len(), 2, "it was not renewed twice: {:?}", oauth.asked());
        sqlx::query("DROP TRIGGER full").execute(&mut database).await.unwrap();
        works(&session).await.unwrap();
        assert_eq!(oauth.asked().len(), 2);
        // What was held is in the store now: another process goes on with it.
        let next = process(folder.path(), &upstream, &oauth).await.session("work").await.unwrap();
        works(&next).await.unwrap();
        assert_eq!(oauth.asked().len(), 2);
    });
}
