//! What cells keep of files, and how long the files stay.

use std::sync::Arc;
use tablewright_engine::base::changes::Author;

use serde_json::json;
use tablewright_core::clock::HeldClock;
use tablewright_core::model::id::AttachmentId;
use tablewright_door::{Caller, Rights};
use tablewright_engine::fetch::{self, Fetcher};
use tablewright_engine::files::{Described, Files, Options, Refused, Variant};
use tablewright_engine::local::{Action, Write};
use tablewright_engine::{Engine, base_file};

use super::*;
use crate::support::audit_line;

#[test]
fn cells_keep_files_by_id_and_only_their_own_bases() {
    let data = data();
    import(&data, &papers("appOther000000000", "Other"));
    let web = web(|path| page("text/plain", path.as_bytes()));
    let mut client = client(&data, "");
    let record =
        created(&mut client, json!([{"url": format!("{web}/a.txt")}, {"url": format!("{web}/b.txt")}]));
    let held = files(&mut client, &record);
    let update = |files: Value| json!({"base": BASE, "table": "Papers", "records": [{"id": ONE, "fields": {"Files": files}}]});
    // Kept by id, whatever else is said of them; in the order sent.
    let sent = json!([{"id": held[1]["id"], "filename": "x", "size": 1}, {"id": held[0]["id"]}]);
    client.structured("update_records", update(sent));
    assert_eq!(files(&mut client, ONE), json!([held[1], held[0]]));
    let foreign = client.call(
        "create_records",
        json!({"base": "Other", "table": "Papers", "records": [{"Files": [{"id": held[0]["id"]}]}]}),
    );
    assert!(foreign.to_string().contains("this base has no attachment"), "{foreign}");
    for (bad, hint) in [
        (json!("https://example.org/a.pdf"), "a list of files"),
        (json!(["https://example.org/a.pdf"]), "a list of files"),
        (json!({"url": "https://example.org/a.pdf"}), "a list of files"),
        (json!([{"url": format!("{web}/c"), "filename": 5}]), "filename must be a text"),
        (json!([{"filename": "a.pdf"}]), "needs a url or an id"),
        (json!([{"url": 5}]), "needs a url or an id"),
        (json!([{"id": 5}]), "no attachment id"),
        (json!([{"id": "att"}]), "no attachment id"),
        (json!([{"id": "attNone0000000000"}]), "this base has no attachment"),
        (json!([{"id": "attNone0000000000", "url": format!("{web}/c")}]), "this base has no attachment"),
        (json!([{"url": format!("{web}/c")}, 5]), "a file is an object"),
    ] {
        let why = refusal(&mut client, bad.clone());
        assert!(why.contains(hint) && why.contains("Files"), "{bad}: {why}");
    }
    client.structured("update_records", update(json!([])));
    assert_eq!(files(&mut client, ONE), Value::Null);
    assert_eq!(blobs(data.path()).len(), 2, "what was refused was not fetched");
}

pub(super) struct Desk {
    pub(super) dir: tempfile::TempDir,
    pub(super) clock: HeldClock,
    pub(super) engine: Engine,
    pub(super) files: Files,
}

/// A base of papers in this process, with a clock that stands still.
pub(super) async fn desk(options: Options) -> Desk {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let dir = tempfile::tempdir().unwrap();
    let clock = HeldClock::at(1_800_000_000_000);
    let engine =
        Engine::open(dir.path().to_owned(), Default::default(), Arc::new(clock.clone())).await.unwrap();
    let allowed = fetch::Options { allowed_private: vec!["127.0.0.1".into()] };
    let fetcher = Fetcher::new(&allowed).unwrap();
    let files = Files::open(dir.path(), options, fetcher, engine.store().clone(), Arc::new(clock.clone()))
        .await
        .unwrap();
    let loaded = base_file::read(papers(BASE, "Desk").to_string().as_bytes(), 0).unwrap();
    engine.import(loaded, Author::of("t", "test"), Box::new(|_| {})).await.unwrap();
    Desk { dir, clock, engine, files }
}

impl Desk {
    pub(super) async fn add(&self, name: &str, content: &str) -> tablewright_engine::files::StoredAttachment {
        self.files.add_bytes(BASE.parse().unwrap(), Described::named(name), content.as_bytes()).await.unwrap()
    }

    pub(super) async fn write(&self, cell: Value) {
        let cells = json!({"Files": cell}).as_object().cloned().unwrap();
        let write = Write {
            table: "tblPapers00000000".parse().unwrap(),
            action: Action::Update(vec![(ONE.parse().unwrap(), cells)]),
            typecast: false,
            atomic: true,
        };
        self.engine.commit(BASE.parse().unwrap(), write, Author::of("t", "test"), audit_line).await.unwrap();
    }

    pub(super) async fn is_there(&self, id: AttachmentId) -> bool {
        self.files.get(id).await.unwrap().is_some()
    }
}

#[tokio::test]
async fn files_nothing_names_are_dropped_after_a_while() {
    let desk = desk(Options { keep_unused_seconds: 0, ..Options::default() }).await;
    let (kept, same, lost) =
        (desk.add("a.txt", "one").await, desk.add("b.txt", "one").await, desk.add("c.txt", "two").await);
    assert_eq!((blobs(desk.dir.path()).len(), &kept.blob), (2, &same.blob), "the same content is kept once");
    desk.write(json!([kept.cell(), lost.cell()])).await;
    desk.files.sweep().await.unwrap();
    desk.clock.advance(1_000);
    // Named by a cell, or unnamed for no time yet: this pass only drops the one that was unnamed before.
    let swept = desk.files.sweep().await.unwrap();
    assert_eq!((swept.attachments, swept.blobs), (1, 0), "its content is also that of another");
    assert!(desk.is_there(kept.id).await && desk.is_there(lost.id).await && !desk.is_there(same.id).await);
    desk.write(json!([kept.cell()])).await;
    desk.files.sweep().await.unwrap();
    // Named again in time: it stays.
    assert!(desk.files.claim(BASE.parse().unwrap(), lost.id).await.unwrap().is_some());
    desk.clock.advance(1_000);
    desk.files.sweep().await.unwrap();
    assert!(desk.is_there(lost.id).await);
    desk.clock.advance(1_000);
    let swept = desk.files.sweep().await.unwrap();
    assert_eq!((swept.attachments, swept.blobs), (1, 1));
    assert!(desk.files.claim(BASE.parse().unwrap(), lost.id).await.unwrap().is_none());
    assert_eq!(blobs(desk.dir.path()), std::slice::from_ref(&kept.blob));
    assert_eq!(desk.files.read(&kept, 100).await.unwrap(), b"one");
    desk.engine.delete(BASE.parse().unwrap(), Author::of("t", "test")).await.unwrap();
    assert!(!desk.is_there(kept.id).await);
    desk.files.sweep().await.unwrap();
    assert!(blobs(desk.dir.path()).is_empty());
}

#[tokio::test]
async fn a_write_can_leave_out_what_cannot_be_fetched() {
    let desk = desk(Options::default()).await;
    let web = web(|path| if path == "/good" { page("text/plain", b"good") } else { redirect("/elsewhere") });
    let door = crate::support::door(&desk.engine, &desk.files).await;
    let mut call = door.call(Caller::local("test", Rights::ALL), "write");
    let view = call.table(BASE, "Papers").await.unwrap();
    let cells = |files: Value| json!({"Name": "n", "Files": files}).as_object().cloned().unwrap();
    let (good, bad) = (format!("{web}/good"), format!("{web}/bad"));
    let records = vec![
        cells(json!([{"url": bad}, {"url": good}, {"url": bad}, {"url": good, "filename": "b"}])),
        cells(json!([{"id": "attNone0000000000"}])),
        cells(json!([{"url": bad}])),
    ];
    let plan = call.plan(&view, Action::Create(records.clone()), Default::default()).unwrap();
    let (outcome, failed) = call.apply_leaving_out(plan).await.unwrap();
    let taken: Vec<bool> = outcome.records.iter().map(Result::is_ok).collect();
    assert_eq!(taken, [true, false, true], "what is no file of ours is refused all the same");
    let places: Vec<usize> = failed.iter().map(|file| file.record).collect();
    assert_eq!(places, [0, 0, 2]);
    assert!(
        failed.iter().all(|file| file.field == "Files" && file.fault.message.contains("more than 3 times"))
    );
    let view = call.table(BASE, "Papers").await.unwrap();
    let held = |n: usize| {
        let slot = view.slot(outcome.records[n].as_ref().unwrap()).unwrap();
        view.cell(slot, 1).to_json(&view.schema().fields[1])
    };
    let names: Vec<Value> =
        held(0).unwrap().as_array().unwrap().iter().map(|file| file["filename"].clone()).collect();
    assert_eq!((names, held(2)), (vec![json!("good"), json!("b")], None));
    // Without that each record with such a file is refused.
    let mut call = door.call(Caller::local("test", Rights::ALL), "write");
    let plan = call.plan(&view, Action::Create(records), Default::default()).unwrap();
    let outcome = call.apply(plan).await.unwrap();
    assert!(outcome.records.iter().all(Result::is_err) && outcome.change.is_none(), "{outcome:?}");
}

#[tokio::test]
async fn files_added_to_one_cell_at_once_are_all_there() {
    let desk = desk(Options::default()).await;
    let door = crate::support::door(&desk.engine, &desk.files).await;
    let adding = (0..12).map(|n| {
        let (door, desk) = (door.clone(), &desk);
        async move {
            let mut call = door.call(Caller::local("test", Rights::ALL), "upload");
            let view = call.table(BASE, "Papers").await.unwrap();
            let field = view.schema().fields[1].clone();
            let file = desk.add(&format!("{n}.txt"), &n.to_string()).await;
            let outcome = call.attach(&view, ONE.parse().unwrap(), &field, &file).await.unwrap();
            assert!(outcome.records[0].is_ok(), "{outcome:?}");
        }
    });
    futures_util::future::join_all(adding).await;
    let snapshot = desk.engine.snapshot(BASE.parse().unwrap()).await.unwrap();
    let data = &snapshot.tables[&"tblPapers00000000".parse().unwrap()];
    let cell = data.cell(data.slot(&ONE.parse().unwrap()).unwrap(), 1);
    let held = cell.to_json(&snapshot.schema.tables[0].fields[1]).unwrap();
    assert_eq!(held.as_array().unwrap().len(), 12, "{held}");
}

#[tokio::test]
async fn files_added_during_a_sweep_keep_their_content() {
    let desk = desk(Options { keep_unused_seconds: 0, ..Options::default() }).await;
    for round in 0..20 {
        // The content of a file that is just being dropped comes in again.
        let (content, base) = (format!("content {round}"), BASE.parse().unwrap());
        desk.add("old.txt", &content).await;
        desk.files.sweep().await.unwrap();
        desk.clock.advance(1_000);
        let (swept, added) = tokio::join!(
            desk.files.sweep(),
            desk.files.add_bytes(base, Described::named("new.txt"), content.as_bytes())
        );
        swept.unwrap();
        let added = added.unwrap();
        assert_eq!(desk.files.read(&added, 100).await.unwrap(), content.as_bytes(), "round {round}");
        desk.write(json!([added.cell()])).await;
    }
}

#[tokio::test]
async fn bounds_hold_and_addresses_expire() {
    let desk = desk(Options { upload_mb: 1, base_mb: 1, ..Options::default() }).await;
    let base = BASE.parse().unwrap();
    let long = vec![b'x'; 1024 * 1024 + 1];
    let refused = desk.files.add_bytes(base, Described::named("a"), &long).await.unwrap_err();
    assert!(refused.message.contains("attachments.upload_mb"), "{refused}");
    let first = desk.files.add_bytes(base, Described::named("a"), &long[..700_000]).await.unwrap();
    let refused = desk.files.add_bytes(base, Described::named("b"), &long[..700_000]).await.unwrap_err();
    assert!(refused.message.contains("attachments.base_mb"), "{refused}");
    let now = 1_800_000_000_000;
    let path = desk.files.url_path(first.id, "a", Variant::Original, now);
    let parts: Vec<&str> = path.split('/').skip(2).collect();
    let check = || desk.files.check_path([parts[0], parts[1], parts[2], parts[3]]);
    assert_eq!(check(), Ok((first.id, Variant::Original)));
    desk.clock.advance(7_200_000);
    assert_eq!(check(), Ok((first.id, Variant::Original)));
    desk.clock.advance(1_000);
    assert_eq!(check(), Err(Refused::Expired));
    #[cfg(unix)]
    for file in [desk.dir.path().join("files/link.key"), desk.files.path(&first).unwrap()] {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(
            std::fs::metadata(&file).unwrap().permissions().mode() & 0o777,
            0o600,
            "{}",
            file.display()
        );
    }
}
