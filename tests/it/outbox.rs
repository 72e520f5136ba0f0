//! Writes to a base that lives in Airtable, with our own gateway as Airtable and a proxy between
//! that loses what it is told to.

mod away;
mod proxy;
mod tasks;

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Map, Value, json};
use tablewright_core::model::{Base, BaseId, RecordId, TableId};
use tablewright_core::secret::Secret;
use tablewright_core::{Code, Fault};
use tablewright_engine::airtable::{
    self, Airtable, Ask, BoxFuture, Credentials, Error, ListQuery, Session, Tally,
};
use tablewright_engine::base::changes::Author;
use tablewright_engine::clock::SystemClock;
use tablewright_engine::local::{Action, Outcome, Write};
use tablewright_engine::replica::outbox::{Absorb, Absorbed, Options, Outbox, Own};
use tablewright_engine::store::write::Batch;
use tablewright_engine::{Snapshot, Store};

use crate::support::{Data, HttpServer, serve_http};
use proxy::{Do, Proxy};

const BASE: &str = "appShop0000000000";
const GOODS: &str = "tblGoods000000000";
const NAME: &str = "fldGName000000000";

fn base() -> BaseId {
    BASE.parse().unwrap()
}

fn goods() -> TableId {
    GOODS.parse().unwrap()
}

fn runtime() -> tokio::runtime::Runtime {
    // Tests run side by side; whoever is first installs it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// A token that is always the same.
struct Token(String);

impl Credentials for Token {
    fn bearer(&self) -> BoxFuture<'_, Result<Secret, Error>> {
        Box::pin(async { Ok(Secret::new(self.0.clone())) })
    }

    fn renew<'a>(&'a self, _: &'a Secret) -> BoxFuture<'a, Result<Secret, Error>> {
        Box::pin(async { Err(Error::Login("the token is refused".into())) })
    }
}

/// A copy that takes in ids and keeps what it was told.
struct Copy {
    store: Store,
    snapshot: Mutex<Arc<Snapshot>>,
    open: Mutex<Vec<u64>>,
    told: Mutex<Vec<(String, Vec<RecordId>)>>,
    next: AtomicU64,
}

impl Copy {
    async fn of(session: &Session, store: &Store) -> Arc<Self> {
        let ask = Ask::sync("copy");
        let tables = session.schema(&ask, base()).await.unwrap().value;
        let schema = Base { id: base(), name: "Shop".into(), tables };
        let copy = Self {
            store: store.clone(),
            snapshot: Mutex::new(Arc::new(Snapshot::empty(Arc::new(schema)))),
            open: Mutex::default(),
            told: Mutex::default(),
            next: AtomicU64::new(1),
        };
        let page = session.list(&ask, base(), GOODS, &ListQuery::default()).await.unwrap().value;
        let ids: Vec<(RecordId, i64)> = page.records.iter().map(|r| (r.id, r.created)).collect();
        copy.add(&ids, &[]);
        Arc::new(copy)
    }

    fn add(&self, records: &[(RecordId, i64)], gone: &[RecordId]) -> Arc<Snapshot> {
        let mut held = self.snapshot.lock().unwrap();
        let mut snapshot = Snapshot::clone(&held);
        snapshot.version += 1;
        let data = snapshot.table_mut(goods()).unwrap();
        for (id, created) in records {
            if data.slot(id).is_none() {
                let position = data.next_position;
                data.insert(*id, *created, position);
                data.next_position = position + 1;
            }
        }
        for id in gone {
            if let Some(slot) = data.slot(id) {
                data.remove(slot);
            }
        }
        *held = Arc::new(snapshot);
        held.clone()
    }
}

impl Absorb for Copy {
    fn begin(&self) -> u64 {
        let asked = self.next.fetch_add(1, Ordering::SeqCst);
        self.open.lock().unwrap().push(asked);
        asked
    }

    fn abandon(&self, asked: u64) {
        let mut open = self.open.lock().unwrap();
        let at = open.iter().position(|held| *held == asked).expect("abandoned what was not begun");
        open.remove(at);
    }

    fn absorb(&self, own: Own) -> BoxFuture<'_, Result<Absorbed, Fault>> {
        Box::pin(async move {
            self.abandon(own.asked);
            let batch = Batch {
                journal: own.journal,
                task_parts: own.part.into_iter().collect(),
                ..Batch::default()
            };
            self.store.apply(&batch).await?;
            let records: Vec<(RecordId, i64)> = own.records.iter().map(|r| (r.id, r.created)).collect();
            let ids = records.iter().map(|(id, _)| *id).chain(own.gone.iter().copied()).collect();
            self.told.lock().unwrap().push((own.by.principal.to_string(), ids));
            Ok(Absorbed { snapshot: self.add(&records, &own.gone), change: Some(own.asked as i64) })
        })
    }

    fn snapshot(&self) -> BoxFuture<'_, Result<Arc<Snapshot>, Fault>> {
        Box::pin(async { Ok(self.snapshot.lock().unwrap().clone()) })
    }

    fn suspect_schema(&self) {}

    fn refresh_schema(&self) -> BoxFuture<'_, Result<Arc<Snapshot>, Fault>> {
        self.snapshot()
    }
}

/// An upstream, the proxy before it, and an outbox that writes through both.
struct Bench {
    address: String,
    token: String,
    _upstream: Mutex<HttpServer>,
    _data: Data,
    proxy: Proxy,
    session: Session,
    copy: Arc<Copy>,
    store: Store,
    outbox: Outbox,
    _dir: tempfile::TempDir,
}

fn quick() -> Options {
    Options { first_look_ms: 20, second_look_ms: 60, ..Options::default() }
}

/// The client of the upstream at `address`, with its state in `dir`.
async fn client(dir: &Path, address: &str, token: &str) -> (Session, Store) {
    let store = Store::open(&dir.join("tablewright.db")).await.unwrap();
    let options = airtable::Options {
        endpoint_url: format!("http://{address}"),
        patience_seconds: 2,
        ..airtable::Options::default()
    };
    let airtable = Airtable::new(&options, Arc::new(SystemClock), store.clone()).unwrap();
    (airtable.session("test", Arc::new(Token(token.to_owned()))), store)
}

impl Bench {
    async fn new() -> Self {
        let data = Data::with_shop();
        let upstream = serve_http(&data, &["--allow-write", "--allow-delete", "--allow-schema"]);
        let proxy = Proxy::before(&upstream.address);
        let dir = tempfile::tempdir().unwrap();
        let (session, store) = client(dir.path(), &proxy.address, &upstream.token).await;
        let copy = Copy::of(&session, &store).await;
        let outbox =
            Outbox::new(base(), session.clone(), copy.clone(), store.clone(), Arc::new(SystemClock), quick());
        let (address, token) = (upstream.address.clone(), upstream.token.clone());
        let (_upstream, _data, _dir) = (Mutex::new(upstream), data, dir);
        Self { address, token, _upstream, _data, proxy, session, copy, store, outbox, _dir }
    }

    async fn write(&self, by: &str, action: Action) -> Result<Outcome, Fault> {
        let write = Write { table: goods(), action, typecast: false, atomic: false };
        self.outbox.write(write, &Author::of(by, "test"), &Tally::default(), None, None).await
    }

    async fn atomic(&self, by: &str, action: Action) -> Result<Outcome, Fault> {
        let write = Write { table: goods(), action, typecast: false, atomic: true };
        self.outbox.write(write, &Author::of(by, "test"), &Tally::default(), None, None).await
    }

    /// Id and name of every record upstream whose name starts so, in the order of their names.
    async fn upstream(&self, start: &str) -> Vec<(RecordId, String)> {
        self.proxy.rule(|_| Do::Pass);
        let formula = Some(format!("LEFT({{Name}}, {}) = '{start}'", start.len()));
        let mut query = ListQuery { formula, ..ListQuery::default() };
        let mut found = Vec::new();
        loop {
            let page = self.session.list(&Ask::sync("test"), base(), GOODS, &query).await.unwrap().value;
            found.extend(page.records.iter().map(|r| (r.id, r.fields[NAME].as_str().unwrap().to_owned())));
            query.offset = page.offset;
            if query.offset.is_none() {
                break;
            }
        }
        found.sort_by(|a, b| a.1.cmp(&b.1));
        found
    }

    async fn names(&self, start: &str) -> Vec<String> {
        self.upstream(start).await.into_iter().map(|(_, name)| name).collect()
    }

    /// Everything that was begun has been ended, and nothing waits.
    fn at_rest(&self) {
        assert_eq!(*self.copy.open.lock().unwrap(), Vec::<u64>::new());
        assert_eq!(self.outbox.waiting(), 0);
    }
}

fn cells(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn named(names: &[&str]) -> Action {
    Action::Create(names.iter().map(|name| cells(json!({"Name": name}))).collect())
}

fn ids(outcome: &Outcome) -> Vec<RecordId> {
    outcome.records.iter().map(|record| *record.as_ref().unwrap()).collect()
}

fn is_create(seen: &proxy::Seen) -> bool {
    seen.method == "POST"
}

#[test]
fn records_are_made_changed_and_deleted_in_order() {
    runtime().block_on(async {
        let bench = Bench::new().await;
        let names: Vec<String> = (0..25).map(|at| format!("row {at:02}")).collect();
        let refs: Vec<&str> = names.iter().map(String::as_str).collect();
        let made = bench.write("ada", named(&refs)).await.unwrap();
        let there = bench.upstream("row ").await;
        assert_eq!(there.iter().map(|(_, name)| name.clone()).collect::<Vec<_>>(), names);
        assert_eq!(ids(&made), there.iter().map(|(id, _)| *id).collect::<Vec<_>>());
        assert_eq!(made.created.len(), 25);
        assert!(ids(&made).iter().all(|id| made.snapshot.tables[&goods()].slot(id).is_some()));
        assert_eq!(bench.proxy.count("POST"), 3);

        // One that is twice in a write is changed twice, in that order.
        let mut changes: Vec<(RecordId, Map<String, Value>)> =
            ids(&made).iter().map(|id| (*id, cells(json!({"Stock": 1})))).collect();
        changes.push((ids(&made)[0], cells(json!({"fldGName000000000": "row changed"}))));
        changes.push((ids(&made)[0], cells(json!({"Name": "row last"}))));
        bench.write("ada", Action::Update(changes)).await.unwrap();
        assert_eq!(bench.names("row last").await.len(), 1);

        let gone = bench.write("ada", Action::Delete(ids(&made))).await.unwrap();
        assert_eq!(ids(&gone), ids(&made));
        assert!(bench.names("row ").await.is_empty());
        assert!(ids(&made).iter().all(|id| gone.snapshot.tables[&goods()].slot(id).is_none()));
        bench.at_rest();
    });
}

#[test]
fn many_small_creates_share_requests() {
    runtime().block_on(async {
        let bench = Arc::new(Bench::new().await);
        let mut calls = tokio::task::JoinSet::new();
        for at in 0..200 {
            let bench = bench.clone();
            calls.spawn(async move {
                let (by, name) = (format!("caller {}", at % 50), format!("small {at:03}"));
                let done = bench.write(&by, named(&[&name])).await.unwrap();
                (by, name, ids(&done)[0])
            });
        }
        let done = calls.join_all().await;
        let there = bench.upstream("small ").await;
        assert_eq!(there.len(), 200);
        for (by, name, id) in done {
            assert!(there.contains(&(id, name)));
            // And the copy was told whose it is.
            assert!(bench.copy.told.lock().unwrap().iter().any(|(who, ids)| *who == by && ids.contains(&id)));
        }
        let requests = bench.proxy.count("POST");
        assert!(requests <= 40, "{requests} requests");
        bench.at_rest();
    });
}

#[test]
fn one_bad_record_fails_alone_in_a_shared_request() {
    runtime().block_on(async {
        let bench = Arc::new(Bench::new().await);
        // The pace is used up, so that what follows comes together.
        let ask = Ask::interactive("other");
        for _ in 0..5 {
            bench.session.list(&ask, base(), GOODS, &ListQuery::default()).await.unwrap();
        }
        let mut calls = tokio::task::JoinSet::new();
        for at in 0..9 {
            let bench = bench.clone();
            calls.spawn(async move {
                let stock = if at == 4 { json!("many") } else { json!(at) };
                let action = Action::Create(vec![
                    cells(json!({"Name": format!("mixed {at}"), "Stock": stock})),
                    cells(json!({"Name": format!("mixed {at} too")})),
                ]);
                let atomic = at == 4 || at == 5;
                let result = if atomic {
                    bench.atomic(&format!("caller {at}"), action).await
                } else {
                    bench.write(&format!("caller {at}"), action).await
                };
                (at, result)
            });
        }
        for (at, result) in calls.join_all().await {
            if at == 4 {
                let fault = result.unwrap_err();
                let origin = fault.origin.as_ref().unwrap();
                assert_eq!((origin.status, origin.kind.as_str()), (422, "INVALID_VALUE_FOR_COLUMN"));
            } else {
                assert_eq!(ids(&result.unwrap()).len(), 2, "{at}");
            }
        }
        assert_eq!(bench.names("mixed ").await.len(), 16);
        // In a write that is not atomic only the bad ones fail.
        let records = (0..12).map(|at| {
            let stock = if at % 5 == 0 { json!("many") } else { json!(at) };
            cells(json!({"Name": format!("each {at:02}"), "Stock": stock}))
        });
        let done = bench.write("ada", Action::Create(records.collect())).await.unwrap();
        let failed: Vec<usize> = (0..12).filter(|at| done.records[*at].is_err()).collect();
        assert_eq!(failed, [0, 5, 10]);
        assert_eq!(done.records[5].as_ref().unwrap_err().code, Code::InvalidValue);
        assert_eq!(bench.names("each ").await.len(), 9);
        bench.at_rest();
    });
}

#[test]
fn a_create_that_was_carried_out_and_not_answered_is_found() {
    runtime().block_on(async {
        let bench = Bench::new().await;
        bench.proxy.spoil_first(Do::LoseAnswer, is_create);
        let done = bench.write("ada", named(&["lost b", "lost a", "lost c"])).await.unwrap();
        let there = bench.upstream("lost ").await;
        assert_eq!(there.len(), 3);
        let by_name = |name: &str| there.iter().find(|(_, held)| held == name).unwrap().0;
        assert_eq!(ids(&done), [by_name("lost b"), by_name("lost a"), by_name("lost c")]);
        assert_eq!(done.created, ids(&done));
        assert_eq!(bench.proxy.count("POST"), 1);
        assert!(ids(&done).iter().all(|id| done.snapshot.tables[&goods()].slot(id).is_some()));
        bench.at_rest();
    });
}

#[test]
fn a_create_that_never_arrived_is_sent_again() {
    runtime().block_on(async {
        let bench = Bench::new().await;
        bench.proxy.spoil_first(Do::LoseRequest, is_create);
        let done = bench.write("ada", named(&["again a", "again b"])).await.unwrap();
        assert_eq!(ids(&done).len(), 2);
        assert_eq!(bench.names("again ").await, ["again a", "again b"]);
        // But not for ever.
        bench.proxy.rule(|seen| if is_create(seen) { Do::LoseRequest } else { Do::Pass });
        let before = bench.proxy.count("POST");
        let fault = bench.write("ada", named(&["never"])).await.unwrap_err();
        assert_eq!(fault.code, Code::UpstreamUnavailable);
        assert_eq!(bench.proxy.count("POST") - before, 3);
        assert!(bench.names("never").await.is_empty());
        bench.at_rest();
    });
}

#[test]
fn a_create_that_cannot_be_told_from_others_is_not_repeated() {
    runtime().block_on(async {
        let bench = Bench::new().await;
        // Somebody else makes a record that looks the same, in the same moment.
        let (address, token) = (bench.address.clone(), bench.token.clone());
        bench.proxy.spoil_first(Do::LoseAnswer, move |seen| {
            if !is_create(seen) {
                return false;
            }
            let bearer = format!("Bearer {token}");
            let headers = [("Authorization", bearer.as_str()), ("Content-Type", "application/json")];
            let body = json!({"fields": {"Name": "same"}}).to_string();
            let path = format!("/v0/{BASE}/{GOODS}");
            let other = crate::support::http(&address, "POST", &path, &headers, body.as_bytes());
            assert_eq!(other.status, 200, "{}", other.body);
            true
        });
        let done = bench.write("ada", named(&["same"])).await.unwrap();
        let fault = done.records[0].as_ref().unwrap_err();
        assert_eq!(fault.code, Code::OutcomeUnknown);
        let there = bench.upstream("same").await;
        assert_eq!(there.len(), 2);
        assert!(there.iter().all(|(id, _)| fault.message.contains(&id.to_string())), "{}", fault.message);
        assert_eq!(bench.proxy.count("POST"), 1);
        // Nothing is held back afterwards.
        bench.write("ada", named(&["after"])).await.unwrap();
        bench.at_rest();
    });
}

#[test]
fn two_lost_creates_of_the_same_are_both_found() {
    runtime().block_on(async {
        let bench = Arc::new(Bench::new().await);
        let mut left = 2;
        bench.proxy.rule(move |seen| {
            let spoil = left > 0 && is_create(seen);
            left -= i32::from(spoil);
            if spoil { Do::LoseAnswer } else { Do::Pass }
        });
        let one = |by: &'static str| {
            let bench = bench.clone();
            // Atomic ones of ten do not share a request.
            async move { bench.atomic(by, named(&["twin"; 10])).await }
        };
        let (a, b) = tokio::join!(one("ada"), one("bob"));
        let mut found: Vec<RecordId> = ids(&a.unwrap());
        found.extend(ids(&b.unwrap()));
        let mut there: Vec<RecordId> = bench.upstream("twin").await.into_iter().map(|(id, _)| id).collect();
        found.sort_unstable();
        there.sort_unstable();
        assert_eq!(found, there);
        assert_eq!(found.len(), 20);
        bench.at_rest();
    });
}

#[test]
fn upserts_are_airtables_and_equal_keys_never_meet() {
    runtime().block_on(async {
        let bench = Bench::new().await;
        let record = |name: &str, stock: i64| (None, cells(json!({"Name": name, "Stock": stock})));
        let upsert = |records| Action::Upsert { on: vec!["Name".into()], records, replace: false };
        bench.write("ada", named(&["key 1"])).await.unwrap();
        let records: Vec<_> =
            [("key 1", 1), ("key 2", 2), ("key 2", 3), ("key 3", 4)].map(|(n, s)| record(n, s)).into();
        let done = bench.write("ada", upsert(records)).await.unwrap();
        assert_eq!(bench.names("key ").await, ["key 1", "key 2", "key 3"]);
        assert_eq!(done.created.len(), 2);
        assert_eq!(ids(&done)[1], ids(&done)[2]);
        // An answer that is lost: sent again, and what the first attempt made counts as new.
        bench.proxy.spoil_first(Do::LoseAnswer, |seen| seen.method == "PATCH");
        let done = bench.write("ada", upsert(vec![record("key 3", 9), record("key 4", 9)])).await.unwrap();
        assert_eq!(bench.names("key ").await, ["key 1", "key 2", "key 3", "key 4"]);
        assert_eq!(done.created, [ids(&done)[1]]);
        bench.at_rest();
    });
}

#[test]
fn a_deletion_that_was_not_answered_counts() {
    runtime().block_on(async {
        let bench = Bench::new().await;
        let made = bench.write("ada", named(&["gone a", "gone b", "gone c"])).await.unwrap();
        bench.proxy.spoil_first(Do::LoseAnswer, |seen| seen.method == "DELETE");
        let done = bench.write("ada", Action::Delete(ids(&made))).await.unwrap();
        assert_eq!(ids(&done), ids(&made));
        assert!(bench.names("gone ").await.is_empty());
        // What was not there at all is refused, and alone.
        let more = bench.write("ada", named(&["gone d"])).await.unwrap();
        let both = vec![ids(&made)[0], ids(&more)[0]];
        let done = bench.write("ada", Action::Delete(both)).await.unwrap();
        assert_eq!(done.records[0].as_ref().unwrap_err().code, Code::UnknownRecord);
        assert!(done.records[1].is_ok());
        bench.at_rest();
    });
}

#[test]
fn when_airtable_is_away_writes_fail_and_say_what_was_done() {
    runtime().block_on(async {
        let bench = Bench::new().await;
        bench.proxy.stop();
        let fault = bench.write("ada", named(&["away"])).await.unwrap_err();
        assert_eq!(fault.code, Code::UpstreamUnavailable, "{fault}");
        bench.proxy.start();
        assert!(bench.names("away").await.is_empty());
        // It goes away in the middle of a write.
        let names: Vec<String> = (0..40).map(|at| format!("partly {at:02}")).collect();
        let refs: Vec<&str> = names.iter().map(String::as_str).collect();
        let mut passed = 0;
        bench.proxy.rule(move |seen| {
            passed += usize::from(is_create(seen));
            if passed > 2 { Do::LoseRequest } else { Do::Pass }
        });
        let done = bench.write("ada", named(&refs)).await.unwrap();
        let there = bench.upstream("partly ").await;
        let told: Vec<RecordId> = done.records.iter().filter_map(|r| r.as_ref().ok().copied()).collect();
        assert_eq!(there.len(), 20);
        assert!(there.iter().all(|(id, _)| told.contains(id)) && told.len() == 20);
        for fault in done.records.iter().filter_map(|r| r.as_ref().err()) {
            assert!(matches!(fault.code, Code::UpstreamUnavailable | Code::OutcomeUnknown), "{fault:?}");
        }
        bench.at_rest();
    });
}

#[test]
fn too_much_that_waits_is_refused() {
    runtime().block_on(async {
        let mut bench = Bench::new().await;
        let options = Options { max_waiting: 5, ..quick() };
        let (session, copy, store) = (bench.session.clone(), bench.copy.clone(), bench.store.clone());
        bench.outbox = Outbox::new(base(), session, copy, store, Arc::new(SystemClock), options);
        let fault = bench.write("ada", named(&["wait"; 6])).await.unwrap_err();
        assert_eq!(fault.code, Code::UpstreamUnavailable);
        assert!(fault.message.contains("wait to be written"), "{fault}");
        assert!(bench.names("wait").await.is_empty());
        bench.at_rest();
    });
}

#[test]
fn what_is_dropped_before_it_was_sent_is_not_sent() {
    runtime().block_on(async {
        let bench = Bench::new().await;
        let names: Vec<String> = (0..400).map(|at| format!("drop {at:03}")).collect();
        let refs: Vec<&str> = names.iter().map(String::as_str).collect();
        let proxy = &bench.proxy;
        tokio::select! {
            _ = bench.write("ada", named(&refs)) => panic!("it ended"),
            () = async { while proxy.count("POST") < 3 { tokio::task::yield_now().await } } => {}
        }
        // The next write is answered after everything that was on its way.
        bench.write("bob", named(&["next"])).await.unwrap();
        let there = bench.names("drop ").await.len();
        assert!((20..=100).contains(&there), "{there}");
        assert_eq!(bench.outbox.waiting(), 0);
    });
}
