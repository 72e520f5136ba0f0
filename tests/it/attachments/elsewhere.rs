//! Files that lie elsewhere: fetched once, kept for a while, sent there.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;
use tablewright_core::{Code, Fault};
use tablewright_engine::base::changes::Author;
use tablewright_engine::files::{Given, Options};

use super::keeping::{Desk, desk};
use super::*;

const ID: &str = "attFar00000000000";

fn item(url: &str) -> Value {
    json!({"id": ID, "url": url, "filename": "far.txt", "type": "text/plain", "size": 4})
}

fn missing(status: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").into_bytes()
}

/// A web server that counts what it is asked: every file is its path, but for those below
/// `/expired`.
fn counting() -> (String, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = asked.clone();
    let address = web(move |path| {
        counter.fetch_add(1, Ordering::SeqCst);
        match path {
            "/expired/403" => missing("403 Forbidden"),
            "/expired/404" => missing("404 Not Found"),
            "/expired/410" => missing("410 Gone"),
            "/broken" => missing("500 Internal Server Error"),
            path if path.starts_with("/large") => page("text/plain", &path.as_bytes().repeat(50_000)),
            path => page("text/plain", path.as_bytes()),
        }
    });
    (address, asked)
}

async fn never() -> Result<Value, Fault> {
    Err(Fault::new(Code::Internal, "nobody asked for a fresh address"))
}

impl Desk {
    async fn far(&self, item: &Value) -> Result<String, Fault> {
        let base = BASE.parse().unwrap();
        let stored = self.files.cached(base, item, never).await?;
        assert_eq!((stored.base, stored.filename.as_str()), (base, "far.txt"));
        Ok(String::from_utf8(self.files.read(&stored, 100).await.unwrap()).unwrap())
    }
}

#[tokio::test]
async fn a_file_elsewhere_is_fetched_once_for_all_who_want_it() {
    let desk = desk(Options::default()).await;
    let (web, asked) = counting();
    let file = item(&format!("{web}/one"));
    let all = futures_util::future::join_all((0..8).map(|_| desk.far(&file))).await;
    assert!(all.iter().all(|text| text.as_ref().unwrap() == "/one"), "{all:?}");
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    // The address is another one each time; the id is what counts.
    let again = desk.far(&item("http://127.0.0.1:1/expired")).await.unwrap();
    assert_eq!((again.as_str(), asked.load(Ordering::SeqCst)), ("/one", 1));
    // Another base that claims to have this id has nothing of it.
    let (other, closed) = ("appOther000000000".parse().unwrap(), item("http://127.0.0.1:1/x"));
    assert!(desk.files.cached(other, &closed, never).await.is_err());
    // No base owns it: it cannot be written into a cell, and sweeps leave it alone.
    let stored = desk.files.cached(BASE.parse().unwrap(), &file, never).await.unwrap();
    assert!(desk.files.claim(BASE.parse().unwrap(), stored.id).await.unwrap().is_none());
    desk.clock.advance(100_000_000);
    desk.files.sweep().await.unwrap();
    desk.clock.advance(100_000_000);
    let swept = desk.files.sweep().await.unwrap();
    assert_eq!((swept.attachments, blobs(desk.dir.path()).len()), (0, 1));
    // Its content is lost: it is fetched again.
    std::fs::remove_file(desk.files.path(&stored).unwrap()).unwrap();
    assert_eq!(desk.far(&file).await.unwrap(), "/one");
    assert_eq!(asked.load(Ordering::SeqCst), 2);
    // It goes with its base.
    desk.engine.delete(BASE.parse().unwrap(), Author::of("t", "test")).await.unwrap();
    assert!(!desk.is_there(stored.id).await);
}

#[tokio::test]
async fn an_address_that_has_expired_is_asked_for_again() {
    let desk = desk(Options::default()).await;
    let (web, asked) = counting();
    let base = BASE.parse().unwrap();
    for (n, status) in ["403", "404", "410"].into_iter().enumerate() {
        let id = format!("attNew0000000000{n}");
        let at = |path: &str| json!({"id": id, "url": format!("{web}{path}"), "filename": "f.txt"});
        let old = at(&format!("/expired/{status}"));
        let fresh =
            json!([{"id": "attOther000000000", "url": format!("{web}/other")}, at(&format!("/new{n}"))]);
        let stored = desk.files.cached(base, &old, async || Ok(fresh)).await.unwrap();
        assert_eq!(desk.files.read(&stored, 100).await.unwrap(), format!("/new{n}").as_bytes());
        // From now on the address does not matter.
        assert_eq!(desk.files.cached(base, &old, never).await.unwrap(), stored);
    }
    let before = asked.load(Ordering::SeqCst);
    let old = item(&format!("{web}/expired/403"));
    let refused = |refresh: Value| desk.files.cached(base, &old, async || Ok(refresh));
    let gone = refused(json!([])).await.unwrap_err();
    assert!(gone.message.contains("not in its cell any more"), "{gone}");
    let same = refused(json!([old])).await.unwrap_err();
    assert!(same.message.contains("status 403"), "{same}");
    assert_eq!(asked.load(Ordering::SeqCst), before + 2, "the same address is not tried twice");
    let twice = refused(json!([item(&format!("{web}/expired/410"))])).await.unwrap_err();
    assert!(twice.message.contains("status 410"), "{twice}");
    let other = desk.files.cached(base, &item(&format!("{web}/broken")), never).await.unwrap_err();
    assert!(other.message.contains("status 500"), "{other}");
    let private = desk.files.cached(base, &item("http://10.0.0.1/a"), never).await.unwrap_err();
    assert!(private.message.contains("fetch.allowed_private"), "{private}");
    let nowhere = desk.files.cached(base, &json!({"id": ID}), never).await.unwrap_err();
    assert!(nowhere.message.contains("no address"), "{nowhere}");
}

#[tokio::test]
async fn what_was_not_used_for_longest_makes_room_and_what_bases_own_stays() {
    let desk = desk(Options { cache_mb: 1, ..Options::default() }).await;
    let (web, asked) = counting();
    let far = async |name: &str| {
        desk.clock.advance(100_000);
        let item = json!({"id": format!("attFar0000000000{name}"), "url": format!("{web}/large{name}")});
        desk.files.cached(BASE.parse().unwrap(), &item, never).await.unwrap()
    };
    // Each takes 350,000 bytes: two and a half of them fit.
    let one = far("1").await;
    let two = far("2").await;
    // A base owns the same content as the first one.
    let own = desk.files.read(&two, u64::MAX).await.unwrap();
    let own = desk.files.add_bytes(BASE.parse().unwrap(), named("own.txt"), &own).await.unwrap();
    assert_eq!(own.blob, two.blob);
    assert_eq!(far("1").await, one, "used again");
    let three = far("3").await;
    assert!(desk.is_there(one.id).await && !desk.is_there(two.id).await && desk.is_there(three.id).await);
    assert_eq!(desk.files.read(&own, u64::MAX).await.unwrap().len(), 350_000, "the base's own stays");
    let four = far("4").await;
    assert!(!desk.is_there(one.id).await && desk.is_there(three.id).await && desk.is_there(four.id).await);
    assert_eq!(blobs(desk.dir.path()).len(), 3, "what nobody has is gone from disk");
    assert_eq!(asked.load(Ordering::SeqCst), 4);
    let large = json!({"id": ID, "url": format!("{web}/large{}", "x".repeat(30)), "filename": "far.txt"});
    let refused = desk.far(&large).await.unwrap_err();
    assert!(refused.message.contains("attachments.cache_mb"), "{refused}");
    assert!(desk.is_there(four.id).await);
}

fn named(name: &str) -> tablewright_engine::files::Described<'_> {
    tablewright_engine::files::Described::named(name)
}

#[test]
fn the_tool_shows_files_that_only_their_address_is_known_of() {
    let data = Data::new();
    let (web, asked) = counting();
    let mut base = papers(BASE, "Desk");
    base["records"]["Papers"][0]["fields"]["Files"] = json!([
        {"id": ID, "url": format!("{web}/hello"), "filename": "far.txt"},
        {"url": format!("{web}/nameless")},
        {"id": "attLost0000000000", "url": format!("{web}/expired/404"), "filename": "lost.txt"}
    ]);
    import(&data, &base);
    let (server, mut client) = serve(&data, "");
    let mut get = |which: Value| {
        client.text(
            "get_attachment",
            json!({"base": BASE, "table": "Papers", "record": ONE, "field": "Files", "which": which}),
        )
    };
    for _ in 0..2 {
        let text = get(json!("far.txt"));
        assert!(text.contains("filename: far.txt\n/hello\n"), "{text}");
        assert!(text.contains(&format!("{ID}: text/plain, 6 bytes")), "{text}");
        let url = text.split_whitespace().find(|word| word.contains("/files/")).unwrap();
        assert_eq!(super::get("GET", url, "").body, b"/hello");
    }
    assert!(get(json!(1)).contains("/nameless\n"));
    assert_eq!(asked.load(Ordering::SeqCst), 2);
    let lost = get(json!("lost.txt"));
    assert!(lost.contains("status 404") && lost.contains("could not be fetched"), "{lost}");
    drop(server);
}

#[tokio::test]
async fn a_file_that_is_sent_on_is_small_enough_and_from_where_it_may_be() {
    let inbox = tempfile::tempdir().unwrap();
    let at = |name: &str| inbox.path().join(name);
    std::fs::write(at("note.md"), "# hello").unwrap();
    std::fs::write(at("large.bin"), vec![0u8; 5 * 1024 * 1024 + 1]).unwrap();
    let desk =
        desk(Options { folders: vec![inbox.path().into()], upload_mb: 100, ..Options::default() }).await;
    let note = at("note.md");
    let sent = desk.files.outgoing(Given::Path(&note), None).await.unwrap();
    assert_eq!((sent.filename.as_str(), sent.kind.as_str()), ("note.md", "text/markdown"));
    assert_eq!(sent.bytes, b"# hello");
    let sent = desk.files.outgoing(Given::Text("a,b"), Some("x/y.csv")).await.unwrap();
    assert_eq!((sent.filename.as_str(), sent.kind.as_str()), ("y.csv", "text/csv"));
    let unsent = async |given| desk.files.outgoing(given, Some("x")).await.unwrap_err().message;
    let large = at("large.bin");
    let why = unsent(Given::Path(&large)).await;
    assert!(why.contains("larger than 5 MB, the most that Airtable takes"), "{why}");
    let long = "x".repeat(5 * 1024 * 1024 + 1);
    assert!(unsent(Given::Text(&long)).await.contains("write {\"url\""));
    assert!(unsent(Given::Path(Path::new("/etc/passwd"))).await.contains("attachments.folders"));
    assert!(unsent(Given::Path(inbox.path())).await.contains("no regular file"));
    assert!(blobs(desk.dir.path()).is_empty(), "nothing of it is kept");
}
