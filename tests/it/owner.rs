//! One owner per data directory, and what happens when it comes and goes.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};

use serde_json::json;

use crate::support::{Data, serve_http, signal};

#[test]
fn three_clients_share_one_owner_each_with_its_own_rights() {
    let data = Data::with_shop();
    let mut reader = data.serve(&[]).initialize();
    let mut writer = data.serve(&["--allow-write"]).initialize();
    let mut doomed = data.serve(&["--allow-write", "--allow-delete"]).initialize();
    let owner = data.owner().unwrap();
    assert!(![reader.child.id(), writer.child.id(), doomed.child.id()].contains(&owner));
    assert_eq!(reader.tools().len(), 5);
    assert_eq!(writer.tools().len(), 8);
    assert_eq!(doomed.tools().len(), 9);
    let socket = std::fs::metadata(data.path().join("owner.sock")).unwrap();
    assert_eq!(socket.permissions().mode() & 0o777, 0o600, "the socket is its user's alone");

    let args = |name: &str| json!({"base": "Shop", "table": "Goods", "records": [{"Name": name}]});
    writer.structured("create_records", args("from the writer"));
    let sees = |client: &mut crate::support::Client, name: &str| {
        client.text("search_records", json!({"base": "Shop", "query": name})).contains("1 of 1 records")
    };
    assert!(sees(&mut reader, "from the writer") && sees(&mut doomed, "from the writer"));
    doomed.structured("create_records", args("from the doomed"));
    doomed.child.kill().unwrap();
    doomed.child.wait().unwrap();
    assert!(sees(&mut reader, "from the doomed"));
    writer.structured("create_records", args("after the kill"));
    assert!(sees(&mut reader, "after the kill"));
    assert_eq!(data.owner(), Some(owner), "the owner did not mind");
}

#[test]
fn a_killed_owner_leaves_no_stale_lock_and_conversations_go_on() {
    let data = Data::with_shop();
    let mut client = data.serve(&["--allow-write"]).initialize();
    let first = data.owner().unwrap();
    client.structured(
        "create_records",
        json!({"base": "Shop", "table": "Goods", "records": [{"Name": "kept"}]}),
    );
    assert!(data.kill_owner());
    // The same conversation, without a new handshake.
    let text = client.text("search_records", json!({"base": "Shop", "query": "kept"}));
    assert!(text.contains("1 of 1 records"), "{text}");
    assert_ne!(data.owner().unwrap(), first);
    assert_eq!(client.tools().len(), 8, "with the same rights");
}

#[test]
fn an_owner_makes_way_for_a_newer_version() {
    let data = Data::with_shop();
    let mut client = data.serve(&[]).initialize();
    let old = data.owner().unwrap();
    let mut newer = UnixStream::connect(data.path().join("owner.sock")).unwrap();
    let hello = json!({"protocol": 1, "version": "99.0.0", "want": {"kind": "session", "selection": {}, "rights": {"fly": true}, "limits": {}, "more": 1}});
    writeln!(newer, "{hello}").unwrap();
    let mut answer = String::new();
    BufReader::new(newer).read_line(&mut answer).unwrap();
    assert!(answer.contains("making_way"), "{answer}");
    let deadline = std::time::Instant::now() + crate::support::PATIENCE;
    while data.owner() == Some(old) && std::time::Instant::now() < deadline {
        std::thread::yield_now();
    }
    // Its conversations move to the next owner.
    assert!(client.text("list_bases", json!({})).contains("Shop"));
    assert_ne!(data.owner().unwrap(), old);
}

#[test]
fn an_http_server_takes_over_and_gives_back() {
    let data = Data::with_shop();
    let mut client = data.serve(&[]).initialize();
    let background = data.owner().unwrap();
    let mut server = serve_http(&data, &[]);
    assert_eq!(data.owner(), Some(server.client.child.id()), "the background owner made way");
    assert_ne!(background, server.client.child.id());
    assert!(client.text("list_bases", json!({})).contains("Shop"));
    assert!(signal(server.client.child.id(), "TERM"));
    assert_eq!(server.client.ended().0, Some(0));
    assert!(client.text("list_bases", json!({})).contains("Shop"));
}

#[test]
fn no_daemon_refuses_a_directory_that_is_in_use() {
    let data = Data::with_shop();
    let _client = data.serve(&[]).initialize();
    let mut second = data.serve(&["--no-daemon"]);
    let (code, said) = second.ended();
    assert_eq!(code, Some(4));
    assert!(said.contains("in use by another process"), "{said}");
    let alone = Data::with_shop();
    let first = alone.serve(&["--no-daemon"]).initialize();
    let (code, said) = alone.serve(&[]).ended();
    assert_eq!(code, Some(4), "{said}");
    assert_eq!(first.finish().0, Some(0));
    assert_eq!(alone.serve(&[]).initialize().finish().0, Some(0));
}

#[test]
fn an_idle_owner_ends() {
    let data = Data::with_shop();
    let mut command = data.command(&["serve"]);
    command.env("TABLEWRIGHT_OWNER_IDLE_SECONDS", "1");
    let client = crate::support::Client::start(command).initialize();
    let owner = data.owner().unwrap();
    assert_eq!(client.finish().0, Some(0));
    let deadline = std::time::Instant::now() + crate::support::PATIENCE;
    while data.owner() == Some(owner) && std::time::Instant::now() < deadline {
        std::thread::yield_now();
    }
    assert_eq!(data.owner(), None);
    assert!(!data.path().join("owner.sock").exists());
}

#[test]
fn a_socket_that_is_not_ours_is_named() {
    let data = Data::new();
    let path = data.path().join("owner.sock");
    let foreign = UnixListener::bind(&path).unwrap();
    let answering = std::thread::spawn(move || {
        let (mut stream, _) = foreign.accept().unwrap();
        let mut hello = String::new();
        BufReader::new(&stream).read_line(&mut hello).unwrap();
        stream.write_all(b"220 mail.example ESMTP\n").unwrap();
        // Stays until the other side has gone.
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let (code, said) = data.serve(&[]).ended();
    answering.join().unwrap();
    assert_eq!(code, Some(5), "{said}");
    assert!(said.contains("owner.sock") && said.contains("not by Tablewright"), "{said}");
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, "a file").unwrap();
    let (code, said) = data.serve(&[]).ended();
    assert_eq!(code, Some(5), "{said}");
    assert!(said.contains("is no socket"), "{said}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "a file", "and left alone");
}
