//! The engine by itself: the change log, and laws that hold after any writes.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tablewright_engine::base::changes::Author;

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use tablewright_core::clock::HeldClock;
use tablewright_core::model::{BaseId, Cell, RecordId, TableId};
use tablewright_engine::base::changes::ChangeKind;
use tablewright_engine::local::{Action, Outcome, Write};
use tablewright_engine::{Engine, Options, Snapshot, base_file};

use crate::support::{audit_line, root};

const BASE: &str = "appShop0000000000";
const GOODS: &str = "tblGoods000000000";
const MAKERS: &str = "tblMakers00000000";

fn base() -> BaseId {
    BASE.parse().unwrap()
}

fn table(id: &str) -> TableId {
    id.parse().unwrap()
}

async fn open(directory: &Path, clock: &HeldClock) -> Engine {
    Engine::open(directory.to_owned(), Options::default(), Arc::new(clock.clone())).await.unwrap()
}

async fn open_shop(directory: &Path, clock: &HeldClock) -> Engine {
    let engine = open(directory, clock).await;
    let bytes = std::fs::read(root().join("tests/fixtures/shop.json")).unwrap();
    let loaded = base_file::read(&bytes, 0).unwrap();
    engine.import(loaded, Author::of("test", "test"), Box::new(|_| {})).await.unwrap();
    engine
}

async fn write(engine: &Engine, to: &str, action: Action, typecast: bool, atomic: bool) -> Outcome {
    let write = Write { table: table(to), action, typecast, atomic };
    engine.commit(base(), write, Author::of("test", "test"), audit_line).await.unwrap()
}

fn cells(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

#[test]
fn the_change_log_is_ordered_and_holds_before_and_after() {
    let directory = tempfile::tempdir().unwrap();
    let clock = HeldClock::at(1_000);
    runtime().block_on(async {
        let engine = open_shop(directory.path(), &clock).await;
        let mut news = engine.last_change();
        let imported = *news.borrow_and_update();
        let lamp: RecordId = "recLamp0000000000".parse().unwrap();
        let update = Action::Update(vec![(lamp, cells(json!({"Stock": 8, "Name": "Lamp"})))]);
        let first = write(&engine, GOODS, update, false, false).await.change.unwrap();
        assert!(first > imported && *news.borrow_and_update() == first, "watchers are told");
        let same = Action::Update(vec![(lamp, cells(json!({"Name": "Lamp", "Stock": 8})))]);
        assert_eq!(
            write(&engine, GOODS, same, false, false).await.change,
            None,
            "the clock stands: nothing changed"
        );
        clock.advance(5);
        let gone = write(&engine, GOODS, Action::Delete(vec![lamp]), false, false).await.change.unwrap();

        let log = engine.store().changes(0, 100).await.unwrap();
        let seqs: Vec<i64> = log.iter().map(|c| c.seq).collect();
        assert_eq!(seqs, [imported, first, gone]);
        assert_eq!(log[0].kind, ChangeKind::Imported);
        let row = &log[1].tables[0].rows[0];
        assert_eq!(row.before.as_ref().unwrap()["fldGStock00000000"], 3);
        assert_eq!(row.after.as_ref().unwrap()["fldGStock00000000"], 8);
        assert!(
            !row.after.as_ref().unwrap().contains_key("fldGName000000000"),
            "what did not change is not there"
        );
        let tables: Vec<String> = log[2].tables.iter().map(|t| t.table.to_string()).collect();
        assert_eq!(tables, [GOODS, MAKERS], "the other side of the link is in the same change");
        assert!(log[2].tables[0].rows[0].after.is_none());
        assert_eq!(
            engine.store().changes(first, 100).await.unwrap().len(),
            1,
            "the cursor goes on where it was"
        );
        engine.close().await;

        // Old entries go, numbers do not start again.
        clock.advance(31 * 86_400_000);
        let engine = open(directory.path(), &clock).await;
        let left = engine.store().changes(0, 100).await.unwrap();
        assert_eq!(left.iter().map(|c| c.seq).collect::<Vec<_>>(), [gone]);
        engine.close().await;
    });
}

#[test]
fn an_atomic_write_does_all_or_nothing() {
    let directory = tempfile::tempdir().unwrap();
    runtime().block_on(async {
        let engine = open_shop(directory.path(), &HeldClock::at(0)).await;
        let records = vec![cells(json!({"Name": "good"})), cells(json!({"Stock": "bad"}))];
        let refused =
            Write { table: table(GOODS), action: Action::Create(records), typecast: false, atomic: true };
        let fault = engine.commit(base(), refused, Author::of("test", "test"), audit_line).await.unwrap_err();
        assert!(fault.message.starts_with("record 2:"), "{fault}");
        assert_eq!(engine.snapshot(base()).await.unwrap().records(), 6);
        engine.close().await;
    });
}

#[test]
fn a_base_that_is_dropped_from_memory_and_read_again_loses_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let clock = HeldClock::at(0);
    runtime().block_on(async {
        let options = Options { max_records_in_memory: 1, ..Options::default() };
        let engine = Engine::open(directory.path().to_owned(), options, Arc::new(clock)).await.unwrap();
        let bytes = std::fs::read(root().join("tests/fixtures/shop.json")).unwrap();
        let other = String::from_utf8(bytes.clone()).unwrap().replace(BASE, "appOther000000000");
        for file in [bytes, other.into_bytes()] {
            let loaded = base_file::read(&file, 0).unwrap();
            engine.import(loaded, Author::of("test", "test"), Box::new(|_| {})).await.unwrap();
        }
        // Large enough that reading one takes a while.
        let many = (0..2_000).map(|n| cells(json!({"Name": format!("old {n}")}))).collect();
        write(&engine, GOODS, Action::Create(many), false, false).await;
        // Readers of both bases push each other out of memory while the writer works.
        let done = Arc::new(AtomicBool::new(false));
        let readers: Vec<_> = [BASE, "appOther000000000", BASE, "appOther000000000"]
            .map(|id| {
                let (engine, done, id): (Engine, _, BaseId) =
                    (engine.clone(), done.clone(), id.parse().unwrap());
                tokio::spawn(async move {
                    while !done.load(Ordering::Relaxed) {
                        engine.snapshot(id).await.unwrap();
                        tokio::task::yield_now().await;
                    }
                })
            })
            .into();
        let mut made = Vec::new();
        for n in 0..150 {
            let action = Action::Create(vec![cells(json!({"Name": format!("n{n}")}))]);
            let outcome = write(&engine, GOODS, action, false, false).await;
            made.push((outcome.records[0].clone().unwrap(), format!("n{n}")));
        }
        done.store(true, Ordering::Relaxed);
        for reader in readers {
            reader.await.unwrap();
        }
        engine.close().await;
        let engine = open(directory.path(), &HeldClock::at(0)).await;
        let snapshot = engine.snapshot(base()).await.unwrap();
        let data = &snapshot.tables[&table(GOODS)];
        for (id, name) in made {
            let slot = data.slot(&id).unwrap_or_else(|| panic!("{name} is lost"));
            assert_eq!(data.cell(slot, 0), Cell::text(name.as_str()));
        }
        engine.close().await;
    });
}

#[test]
fn many_new_choices_and_names_in_one_write_take_no_longer_than_they_should() {
    let directory = tempfile::tempdir().unwrap();
    runtime().block_on(async {
        let engine = open_shop(directory.path(), &HeldClock::at(0)).await;
        let record = |n: usize| cells(json!({"Colour": format!("c{n}"), "Maker": [format!("m{}", n % 700)]}));
        let outcome =
            write(&engine, GOODS, Action::Create((0..9_000).map(record).collect()), true, false).await;
        assert!(outcome.records.iter().all(Result::is_ok));
        assert_eq!(outcome.created_elsewhere, [("Makers".to_owned(), 700)]);
        // The limit counts the whole call: 3 + 9,000 are there, 997 more fit.
        let more =
            write(&engine, GOODS, Action::Create((9_000..11_000).map(record).collect()), true, false).await;
        let fit = more.records.iter().filter(|r| r.is_ok()).count();
        assert_eq!(fit, 997);
        engine.close().await;
    });
}

/// One random write.
#[derive(Debug, Clone)]
enum Step {
    Create(Vec<usize>),
    Relink(usize, Vec<usize>),
    RelinkBack(usize, Vec<usize>),
    Delete(bool, usize),
    ByName(u8),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let some = || proptest::collection::vec(0usize..12, 0..4);
    let step = prop_oneof![
        some().prop_map(Step::Create),
        (0usize..12, some()).prop_map(|(at, to)| Step::Relink(at, to)),
        (0usize..12, some()).prop_map(|(at, to)| Step::RelinkBack(at, to)),
        (any::<bool>(), 0usize..12).prop_map(|(goods, at)| Step::Delete(goods, at)),
        (0u8..4).prop_map(Step::ByName),
    ];
    proptest::collection::vec(step, 1..25)
}

fn ids(snapshot: &Snapshot, of: &str) -> Vec<RecordId> {
    let data = &snapshot.tables[&table(of)];
    data.slots().map(|slot| data.row(slot).id).collect()
}

fn pick(from: &[RecordId], at: usize) -> Option<RecordId> {
    (!from.is_empty()).then(|| from[at % from.len()])
}

fn links(snapshot: &Snapshot, of: &str, field: &str) -> Vec<(RecordId, RecordId)> {
    let (schema, data) = snapshot.table(table(of)).unwrap();
    let at = schema.field_index(schema.field(field).unwrap().id).unwrap();
    let linked = |slot| match data.cell(slot, at) {
        Cell::Links(ids) => ids.to_vec(),
        _ => Vec::new(),
    };
    data.slots().flat_map(|slot| linked(slot).into_iter().map(move |id| (data.row(slot).id, id))).collect()
}

fn exported(snapshot: &Snapshot) -> Value {
    let mut out = Vec::new();
    base_file::write(snapshot, &[], &Default::default(), &mut out).unwrap();
    serde_json::from_slice(&out).unwrap()
}

async fn take(engine: &Engine, step: Step) {
    let now = engine.snapshot(base()).await.unwrap();
    let (goods, makers) = (ids(&now, GOODS), ids(&now, MAKERS));
    let targets =
        |from: &[RecordId], at: &[usize]| at.iter().filter_map(|n| pick(from, *n)).collect::<Vec<_>>();
    let (to, action, typecast) = match step {
        Step::Create(at) => (
            GOODS,
            Action::Create(vec![cells(json!({"Name": "new", "Maker": targets(&makers, &at)}))]),
            false,
        ),
        Step::Relink(one, at) => match pick(&goods, one) {
            Some(id) => {
                (GOODS, Action::Update(vec![(id, cells(json!({"Maker": targets(&makers, &at)})))]), false)
            }
            None => return,
        },
        Step::RelinkBack(one, at) => match pick(&makers, one) {
            Some(id) => {
                (MAKERS, Action::Update(vec![(id, cells(json!({"Goods": targets(&goods, &at)})))]), false)
            }
            None => return,
        },
        Step::Delete(true, one) => (GOODS, Action::Delete(pick(&goods, one).into_iter().collect()), false),
        Step::Delete(false, one) => (MAKERS, Action::Delete(pick(&makers, one).into_iter().collect()), false),
        Step::ByName(name) => (
            GOODS,
            Action::Create(vec![cells(
                json!({"Maker": [format!("maker {name}")], "Colour": format!("colour {name}")}),
            )]),
            true,
        ),
    };
    let outcome = write(engine, to, action, typecast, false).await;
    assert!(outcome.records.iter().all(Result::is_ok), "{:?}", outcome.records);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn links_mirror_each_other_and_the_store_holds_what_memory_holds(steps in steps()) {
        let directory = tempfile::tempdir().unwrap();
        let clock = HeldClock::at(1_700_000_000_000);
        runtime().block_on(async {
            let engine = open_shop(directory.path(), &clock).await;
            for step in steps {
                take(&engine, step).await;
                clock.advance(1_000);
                let now = engine.snapshot(base()).await.unwrap();
                let mut forth = links(&now, GOODS, "Maker");
                let mut back: Vec<_> = links(&now, MAKERS, "Goods").into_iter().map(|(maker, good)| (good, maker)).collect();
                forth.sort();
                back.sort();
                assert_eq!(forth, back);
                let alive = ids(&now, MAKERS);
                assert!(forth.iter().all(|(_, maker)| alive.contains(maker)), "no link leads nowhere");
            }
            let in_memory = exported(&engine.snapshot(base()).await.unwrap());
            engine.close().await;
            let again = open(directory.path(), &clock).await;
            assert_eq!(exported(&again.snapshot(base()).await.unwrap()), in_memory);
            again.close().await;
        });
    }
}
