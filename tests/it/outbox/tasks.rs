//! Parts of tasks: cut off and gone on with.

use std::io::Read;
use std::process::{Command, Stdio};
use std::sync::Arc;

use serde_json::json;
use tablewright_core::Code;
use tablewright_core::model::RecordId;
use tablewright_engine::Store;
use tablewright_engine::airtable::Tally;
use tablewright_engine::base::changes::Author;
use tablewright_engine::clock::SystemClock;
use tablewright_engine::local::{Action, Write};
use tablewright_engine::replica::outbox::Outbox;
use tablewright_engine::store::tasks::TaskPart;

use super::proxy::Do;
use super::{Bench, Copy, base, cells, client, goods, ids, is_create, quick, runtime};

fn part() -> TaskPart {
    TaskPart { task: "task_1".into(), part: 0 }
}

fn creates(count: usize) -> Write {
    let records = (0..count).map(|at| cells(json!({"Name": format!("task {at:03}"), "Stock": at})));
    Write { table: goods(), action: Action::Create(records.collect()), typecast: false, atomic: false }
}

/// The outcome of the part as it is kept; none before the part is done.
async fn kept(store: &Store) -> Option<(usize, usize)> {
    let parts = store.task_parts("task_1").await.unwrap();
    let part = parts.first()?;
    let count = |key: &str| part[key].as_array().unwrap().len();
    Some((count("records"), count("created")))
}

#[test]
fn a_part_goes_on_where_airtable_went_away() {
    runtime().block_on(async {
        let bench = Bench::new().await;
        let mut passed = 0;
        bench.proxy.rule(move |seen| {
            passed += usize::from(is_create(seen));
            match passed {
                0..=2 => Do::Pass,
                // The third is carried out before nothing goes any more.
                3 if is_create(seen) => Do::LoseAnswer,
                _ => Do::LoseRequest,
            }
        });
        let fault = bench
            .outbox
            .write(creates(60), &Author::of("ada", "test"), &Tally::default(), Some(part()), None)
            .await
            .unwrap_err();
        assert_eq!(fault.code, Code::UpstreamUnavailable, "{fault}");
        assert_eq!(kept(&bench.store).await, None);
        assert!(!bench.store.upstream_writes(&part()).await.unwrap().is_empty());
        bench.proxy.rule(|_| Do::Pass);
        let done = bench
            .outbox
            .write(creates(60), &Author::of("ada", "test"), &Tally::default(), Some(part()), None)
            .await
            .unwrap();
        let there: Vec<RecordId> = bench.upstream("task ").await.into_iter().map(|(id, _)| id).collect();
        assert_eq!(ids(&done), there);
        assert_eq!((there.len(), done.created.len()), (60, 60));
        assert_eq!(kept(&bench.store).await, Some((60, 60)));
        assert!(bench.store.upstream_writes(&part()).await.unwrap().is_empty());
        bench.at_rest();
    });
}

#[test]
fn a_part_that_was_killed_makes_every_record_once() {
    runtime().block_on(async {
        let bench = Bench::new().await;
        let dir = tempfile::tempdir().unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "outbox::tasks::writes_until_it_is_killed", "--ignored", "--nocapture"])
            .env("OUTBOX_ADDRESS", &bench.proxy.address)
            .env("OUTBOX_TOKEN", &bench.token)
            .env("OUTBOX_DIR", dir.path())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // Killed while some requests are answered and others are not.
        while bench.proxy.count("POST") < 4 {
            if child.try_wait().unwrap().is_some() {
                let mut said = String::new();
                child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
                panic!("it ended by itself: {said}");
            }
            tokio::task::yield_now().await;
        }
        child.kill().unwrap();
        child.wait().unwrap();

        let (session, store) = client(dir.path(), &bench.proxy.address, &bench.token).await;
        assert_eq!(kept(&store).await, None);
        let noted = store.upstream_writes(&part()).await.unwrap().len();
        assert!((1..30).contains(&noted), "{noted}");
        let copy = Copy::of(&session, &store).await;
        let outbox = Outbox::new(base(), session, copy, store.clone(), Arc::new(SystemClock), quick());
        let done = outbox
            .write(creates(300), &Author::of("ada", "test"), &Tally::default(), Some(part()), None)
            .await
            .unwrap();
        let there: Vec<RecordId> = bench.upstream("task ").await.into_iter().map(|(id, _)| id).collect();
        assert_eq!(there.len(), 300);
        assert_eq!(ids(&done), there);
        assert_eq!(kept(&store).await, Some((300, 300)));
        assert!(store.upstream_writes(&part()).await.unwrap().is_empty());
    });
}

/// The process that is killed: the test above starts it.
#[test]
#[ignore = "started by a_part_that_was_killed_makes_every_record_once"]
fn writes_until_it_is_killed() {
    let given = |name: &str| std::env::var(name).unwrap();
    runtime().block_on(async {
        let dir = std::path::PathBuf::from(given("OUTBOX_DIR"));
        let (session, store) = client(&dir, &given("OUTBOX_ADDRESS"), &given("OUTBOX_TOKEN")).await;
        let copy = Copy::of(&session, &store).await;
        let outbox = Outbox::new(base(), session, copy, store, Arc::new(SystemClock), quick());
        outbox
            .write(creates(300), &Author::of("ada", "test"), &Tally::default(), Some(part()), None)
            .await
            .unwrap();
    });
}
