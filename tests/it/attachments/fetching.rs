//! What is fetched from an address somebody names, and what is not.

use std::time::Duration;

use serde_json::json;
use tablewright_engine::fetch::{Error, Fetcher, Options};

use super::*;

#[test]
fn private_addresses_are_refused_in_every_spelling() {
    let data = data();
    let server = web(|_| page("text/plain", b"secret"));
    let port = server.rsplit_once(':').unwrap().1.to_owned();
    let mut client = data.serve(&["--allow-write"]).initialize();
    for host in [
        "127.0.0.1",
        "127.1",
        "0x7f.1",
        "2130706433",
        "017700000001",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "localhost",
        "[::ffff:7f00:1]",
        "0",
        "169.254.169.254",
        "10.1.2.3",
        "192.168.0.1",
        "[fe80::1]",
        "[fd00::1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "100.64.0.1",
    ] {
        let why = refusal(&mut client, json!([{"url": format!("http://{host}:{port}/x")}]));
        assert!(why.contains("fetch.allowed_private"), "{host}: {why}");
    }
    for (url, hint) in [
        ("ftp://example.org/x", "http and https"),
        ("file:///etc/passwd", "http and https"),
        ("http://user:secret@example.org/x", "user name"),
        ("data:text/plain,hello", "data:"),
        ("nonsense", "no usable URL"),
    ] {
        let why = refusal(&mut client, json!([{"url": url}]));
        assert!(why.contains(hint), "{url}: {why}");
    }
    assert!(blobs(data.path()).is_empty());
}

#[test]
fn redirects_are_checked_one_by_one_and_end_after_three() {
    let data = data();
    let server = web(|path| match path {
        "/private" => redirect("http://10.0.0.1/latest"),
        "/other" => redirect("http://127.0.0.2:1/"),
        "/odd" => redirect("http://0xa000001/"),
        "/file" => redirect("file:///etc/passwd"),
        "/login" => redirect("//user:secret@example.org/"),
        "/nowhere" => redirect("http://"),
        "/4" => redirect("/3"),
        "/3" => redirect("/2"),
        "/2" => redirect("/1"),
        "/1" => redirect("/end/good.txt"),
        "/loop" => redirect("/loop"),
        "/gone" => b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_vec(),
        "/nonsense" => b"\0\0\0".to_vec(),
        _ => page("text/plain", b"good"),
    });
    let mut client = client(&data, "");
    for (path, hint) in [
        ("/private", "fetch.allowed_private"),
        ("/other", "fetch.allowed_private"),
        ("/odd", "fetch.allowed_private"),
        ("/file", "http and https"),
        ("/login", "user name"),
        ("/nowhere", "leads nowhere"),
        ("/4", "more than 3 times"),
        ("/loop", "more than 3 times"),
        ("/gone", "status 404"),
        ("/nonsense", "cannot be fetched"),
    ] {
        let why = refusal(&mut client, json!([{"url": format!("{server}{path}")}]));
        assert!(why.contains(hint) && why.contains("\"Files\""), "{path}: {why}");
    }
    let record = created(&mut client, json!([{"url": format!("{server}/3")}]));
    assert_eq!(files(&mut client, &record)[0]["filename"], "good.txt");
}

#[test]
fn long_files_and_slow_servers_are_cut_off_and_leave_nothing() {
    let data = data();
    let server = web(|path| match path {
        "/said" => page("text/plain", &vec![b'x'; 3 * 1024 * 1024]),
        "/unsaid" => {
            [b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n".to_vec(), vec![b'x'; 3 * 1024 * 1024]].concat()
        }
        _ => {
            std::thread::park();
            Vec::new()
        }
    });
    let mut client = client(&data, "url_mb = 1\nfetch_seconds = 1");
    for (path, hint) in
        [("/said", "longer than"), ("/unsaid", "longer than"), ("/never", "longer than 1.0 s")]
    {
        let why = refusal(&mut client, json!([{"url": format!("{server}{path}")}]));
        assert!(why.contains(hint), "{path}: {why}");
    }
    // One file that fails refuses its record and no other.
    let done = client.structured(
        "create_records",
        json!({"base": BASE, "table": "Papers", "records": [
            {"Name": "a"}, {"Files": [{"url": format!("{server}/said")}]}, {"Files": ["x"]},
            {"Files": [{"id": "attNone0000000000"}]}, {"Name": "b"}]}),
    );
    assert_eq!(done["count"], 2, "{done}");
    let places: Vec<&Value> = done["failed"].as_array().unwrap().iter().map(|f| &f["index"]).collect();
    assert_eq!(places, [1, 2, 3]);
    assert_eq!(tree(&data.path().join("files")), ["link.key"], "nothing half-written stays");
}

#[tokio::test]
async fn posts_are_guarded_too_and_give_the_status() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let server = web(|path| match path {
        "/away" => redirect("http://10.0.0.1/"),
        _ => b"HTTP/1.1 204 No Content\r\n\r\n".to_vec(),
    });
    let fetcher = Fetcher::new(&Options { allowed_private: vec!["127.0.0.0/8".into()] }).unwrap();
    let time = Duration::from_secs(20);
    let post = async |url: &str| fetcher.post(url, &[("X-Sign", "1")], b"{}".to_vec(), time).await;
    assert_eq!(post(&format!("{server}/ping")).await.unwrap(), 204);
    assert_eq!(post(&format!("{server}/away")).await.unwrap(), 302, "not followed");
    assert!(matches!(post("http://10.0.0.1/").await, Err(Error::Private { .. })));
    let closed = Fetcher::new(&Options::default()).unwrap();
    let refused = closed.post(&server.replace("127.0.0.1", "localhost"), &[], Vec::new(), time).await;
    assert!(
        matches!(refused, Err(Error::Private { .. })),
        "names are looked at where they lead: {refused:?}"
    );
    assert!(Fetcher::new(&Options { allowed_private: vec!["10.0.0.0/99".into()] }).is_err());
}
