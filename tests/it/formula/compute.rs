//! Computed fields of local bases: worked out when read, kept in step by every write.

use std::path::Path;
use std::sync::Arc;
use tablewright_engine::base::changes::Author;

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use tablewright_core::clock::HeldClock;
use tablewright_core::model::cell::parse_instant;
use tablewright_core::model::{BaseId, RecordId, TableId};
use tablewright_engine::compute::{self, Change, Effect, impact, recompute_all};
use tablewright_engine::local::{Action, Write};
use tablewright_engine::{Engine, Options, Snapshot, base_file};

use crate::support::{audit_line, root};

const CUSTOMERS: &str = "tblCustomers00000";
const ORDERS: &str = "tblOrders00000000";
const NOON: &str = "2026-02-15T12:00:00Z";

fn base() -> BaseId {
    "appOrders00000000".parse().unwrap()
}

fn fixture() -> Value {
    serde_json::from_str(&std::fs::read_to_string(root().join("tests/fixtures/orders.json")).unwrap())
        .unwrap()
}

fn clock() -> HeldClock {
    HeldClock::at(parse_instant(NOON).unwrap())
}

async fn open(directory: &Path, clock: &HeldClock) -> Engine {
    Engine::open(directory.to_owned(), Options::default(), Arc::new(clock.clone())).await.unwrap()
}

async fn open_orders(directory: &Path, clock: &HeldClock) -> Engine {
    let engine = open(directory, clock).await;
    let loaded = base_file::read(fixture().to_string().as_bytes(), parse_instant(NOON).unwrap()).unwrap();
    engine.import(loaded, Author::of("test", "test"), Box::new(|_| {})).await.unwrap();
    engine
}

async fn write(engine: &Engine, table: &str, action: Action) -> Vec<RecordId> {
    let write = Write { table: table.parse().unwrap(), action, typecast: true, atomic: false };
    let outcome = engine.commit(base(), write, Author::of("test", "test"), audit_line).await.unwrap();
    outcome.records.into_iter().filter_map(Result::ok).collect()
}

fn cells(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn id(text: &str) -> RecordId {
    text.parse().unwrap()
}

/// One cell as the Web API gives it.
fn cell(snapshot: &Snapshot, table: &str, record: &str, field: &str) -> Value {
    let (schema, data) = snapshot.table(table.parse::<TableId>().unwrap()).unwrap();
    let field = schema.field(field).unwrap();
    let at = schema.field_index(field.id).unwrap();
    data.cell(data.slot(&id(record)).unwrap(), at).to_json(field).unwrap_or(Value::Null)
}

async fn see(engine: &Engine, table: &str, record: &str, field: &str) -> Value {
    cell(&engine.snapshot(base()).await.unwrap(), table, record, field)
}

/// Every cell of every record.
fn everything(snapshot: &Snapshot) -> Value {
    let mut out = Vec::new();
    base_file::write(snapshot, &[], &Default::default(), &mut out).unwrap();
    serde_json::from_slice::<Value>(&out).unwrap()["records"].clone()
}

#[tokio::test]
async fn values_follow_links_across_tables_and_survive_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let clock = clock();
    let engine = open_orders(directory.path(), &clock).await;
    let expect = [
        (ORDERS, "recOrder100000000", "Number", json!("O-001")),
        (ORDERS, "recOrder100000000", "Net", json!(90)),
        (ORDERS, "recOrder100000000", "Label", json!("Ada: Open")),
        (ORDERS, "recOrder100000000", "Late", json!(1)),
        (ORDERS, "recOrder200000000", "Late", json!(0)),
        (ORDERS, "recOrder300000000", "Ratio", json!({"specialValue": "Infinity"})),
        (ORDERS, "recOrder100000000", "Pay", json!({"label": "Pay", "url": "https://pay.example/?o=O-001"})),
        (ORDERS, "recOrder200000000", "Pay", json!({"label": "Pay", "url": null})),
        (ORDERS, "recOrder100000000", "Broken", json!("as it came")),
        (ORDERS, "recOrder100000000", "Edited", json!(null)),
        (CUSTOMERS, "recAda00000000000", "How many", json!(2)),
        (CUSTOMERS, "recAda00000000000", "Total", json!(135)),
        (CUSTOMERS, "recAda00000000000", "Labels", json!("Ada: Open; Ada: Paid")),
        (CUSTOMERS, "recAda00000000000", "Dues", json!(["2026-01-31", "2026-03-01"])),
        (CUSTOMERS, "recAda00000000000", "Rank", json!("gold")),
        (CUSTOMERS, "recBob00000000000", "Rank", json!("new")),
        (CUSTOMERS, "recCyd00000000000", "Total", json!(0)),
        (CUSTOMERS, "recCyd00000000000", "Rank", json!("none")),
    ];
    for (table, record, field, value) in &expect {
        assert_eq!(&see(&engine, table, record, field).await, value, "{record} {field}");
    }
    // A name changes two tables away; an amount changes a rollup and what depends on it.
    write(
        &engine,
        CUSTOMERS,
        Action::Update(vec![(id("recAda00000000000"), cells(json!({"Name": "Ida", "Discount": 0.5})))]),
    )
    .await;
    write(&engine, ORDERS, Action::Update(vec![(id("recOrder300000000"), cells(json!({"Amount": 400})))]))
        .await;
    for (table, record, field, value) in [
        (ORDERS, "recOrder100000000", "Label", json!("Ida: Open")),
        (CUSTOMERS, "recAda00000000000", "Labels", json!("Ida: Open; Ida: Paid")),
        (CUSTOMERS, "recAda00000000000", "Total", json!(75)),
        (CUSTOMERS, "recAda00000000000", "Rank", json!("new")),
        (CUSTOMERS, "recBob00000000000", "Rank", json!("gold")),
        (ORDERS, "recOrder300000000", "Ratio", json!(0.25)),
        (ORDERS, "recOrder300000000", "Edited", json!("2026-02-15T12:00:00.000Z")),
    ] {
        assert_eq!(see(&engine, table, record, field).await, value, "{record} {field}");
    }
    let before = everything(&engine.snapshot(base()).await.unwrap());
    // Out and in again as a file: nothing is worked out differently, and edits keep their times.
    let mut file = Vec::new();
    base_file::write(&engine.snapshot(base()).await.unwrap(), &[], &Default::default(), &mut file).unwrap();
    let again = base_file::read(&file, parse_instant(NOON).unwrap()).unwrap();
    assert_eq!(everything(&again.snapshot), before);
    engine.close().await;
    let engine = open(directory.path(), &clock).await;
    assert_eq!(everything(&engine.snapshot(base()).await.unwrap()), before);
}

#[tokio::test]
async fn new_moved_and_deleted_records_reach_what_depends_on_them() {
    let directory = tempfile::tempdir().unwrap();
    let engine = open_orders(directory.path(), &clock()).await;
    let made = write(
        &engine,
        ORDERS,
        Action::Create(vec![cells(
            json!({"Customer": ["recCyd00000000000"], "Amount": 7, "Status": "Open"}),
        )]),
    )
    .await;
    let new = made[0].to_string();
    assert_eq!(see(&engine, ORDERS, &new, "Number").await, "O-004");
    assert_eq!(see(&engine, ORDERS, &new, "Label").await, "Cyd: Open");
    assert_eq!(see(&engine, CUSTOMERS, "recCyd00000000000", "Total").await, 7);
    write(
        &engine,
        CUSTOMERS,
        Action::Update(vec![(id("recBob00000000000"), cells(json!({"Orders": [new, "recOrder100000000"]})))]),
    )
    .await;
    // Links go both ways and hold any number: the orders have two customers each now.
    assert_eq!(see(&engine, CUSTOMERS, "recCyd00000000000", "How many").await, 1);
    assert_eq!(see(&engine, CUSTOMERS, "recBob00000000000", "Total").await, 97);
    assert_eq!(see(&engine, ORDERS, "recOrder100000000", "Label").await, "Ada, Bob: Open");
    write(&engine, ORDERS, Action::Delete(vec![id("recOrder100000000")])).await;
    assert_eq!(see(&engine, CUSTOMERS, "recBob00000000000", "Total").await, 7);
}

#[tokio::test]
async fn what_depends_on_the_day_is_worked_out_again() {
    let directory = tempfile::tempdir().unwrap();
    let clock = clock();
    let engine = open_orders(directory.path(), &clock).await;
    write(&engine, ORDERS, Action::Update(vec![(id("recOrder200000000"), cells(json!({"Status": "Open"})))]))
        .await;
    assert_eq!(see(&engine, ORDERS, "recOrder200000000", "Late").await, 0);
    clock.advance(20 * 86_400_000);
    engine.refresh().await;
    assert_eq!(see(&engine, ORDERS, "recOrder200000000", "Late").await, 1);
}

#[tokio::test]
async fn writing_what_is_there_is_no_edit() {
    let directory = tempfile::tempdir().unwrap();
    let engine = open_orders(directory.path(), &clock()).await;
    let order = "recOrder100000000";
    let update = |value: Value| Action::Update(vec![(id(order), cells(value))]);
    write(&engine, ORDERS, update(json!({"Amount": 100, "Status": "Open"}))).await;
    assert_eq!(see(&engine, ORDERS, order, "Edited").await, json!(null));
    assert_eq!(engine.store().changes(1, 10).await.unwrap().len(), 0, "nothing is in the log");
    write(&engine, ORDERS, update(json!({"Status": "Paid"}))).await;
    assert_eq!(see(&engine, ORDERS, order, "Edited").await, json!(null), "another field was edited");
    write(&engine, ORDERS, update(json!({"Amount": 101}))).await;
    assert_eq!(see(&engine, ORDERS, order, "Edited").await, "2026-02-15T12:00:00.000Z");
}

/// Three tables in a row: A links to B, B to C; nothing mirrors the links.
fn chain() -> Value {
    let link = |id: &str, to: &str| json!({"id": id, "name": "To", "type": "multipleRecordLinks", "options": {"linkedTableId": to}});
    let through = |id: &str, name: &str, kind: &str, link: &str, source: &str, formula: &str| json!({"id": id, "name": name, "type": kind, "options": {"recordLinkFieldId": link, "fieldIdInLinkedTable": source, "formula": formula}});
    json!({"base": {"id": "appOrders00000000", "name": "Chain"}, "tables": [
        {"id": "tblCustomers00000", "name": "A", "fields": [
            {"id": "fldAName000000000", "name": "Name", "type": "singleLineText"}, link("fldALink000000000", "tblOrders00000000"),
            through("fldALook000000000", "Whens", "multipleLookupValues", "fldALink000000000", "fldBLook000000000", ""),
            through("fldALast000000000", "Last", "rollup", "fldALink000000000", "fldBLook000000000", "MAX(values)"),
            through("fldANames00000000", "Names", "rollup", "fldALink000000000", "fldBLinks00000000", "ARRAYJOIN(ARRAYCOMPACT(values), \"+\")"),
            {"id": "fldAYear000000000", "name": "Year", "type": "formula", "options": {"formula": "DATETIME_FORMAT(MAX({Whens}), \"YYYY\")"}}]},
        {"id": "tblOrders00000000", "name": "B", "fields": [
            {"id": "fldBName000000000", "name": "Name", "type": "singleLineText"}, link("fldBLink000000000", "tblC0000000000000"),
            through("fldBLook000000000", "Whens", "multipleLookupValues", "fldBLink000000000", "fldCWhen000000000", ""),
            through("fldBLinks00000000", "Others", "multipleLookupValues", "fldBLink000000000", "fldCLink000000000", "")]},
        {"id": "tblC0000000000000", "name": "C", "fields": [
            {"id": "fldCName000000000", "name": "Name", "type": "singleLineText"}, link("fldCLink000000000", "tblOrders00000000"),
            {"id": "fldCWhen000000000", "name": "When", "type": "date"}]}],
        "records": {
            "A": [{"id": "recA1000000000000", "fields": {"Name": "a", "To": ["recB1000000000000"]}}],
            "B": [{"id": "recB1000000000000", "fields": {"Name": "b", "To": ["recC1000000000000", "recC2000000000000"]}}],
            "C": [{"id": "recC1000000000000", "fields": {"Name": "c1", "When": "2024-05-01", "To": ["recB1000000000000"]}},
                  {"id": "recC2000000000000", "fields": {"Name": "c2", "When": "2026-07-01"}}]}})
}

#[tokio::test]
async fn lookups_of_lookups_keep_their_types_and_follow_names() {
    let directory = tempfile::tempdir().unwrap();
    let engine = open(directory.path(), &clock()).await;
    let loaded = base_file::read(chain().to_string().as_bytes(), 0).unwrap();
    engine.import(loaded, Author::of("test", "test"), Box::new(|_| {})).await.unwrap();
    let a = "recA1000000000000";
    assert_eq!(see(&engine, CUSTOMERS, a, "Last").await, "2026-07-01T00:00:00.000Z");
    assert_eq!(see(&engine, CUSTOMERS, a, "Year").await, "2026");
    assert_eq!(see(&engine, CUSTOMERS, a, "Whens").await, json!(["2024-05-01", "2026-07-01"]));
    assert_eq!(see(&engine, CUSTOMERS, a, "Names").await, "b");
    write(
        &engine,
        "tblC0000000000000",
        Action::Update(vec![(id("recC1000000000000"), cells(json!({"When": "2030-01-01"})))]),
    )
    .await;
    assert_eq!(see(&engine, CUSTOMERS, a, "Year").await, "2030");
    write(&engine, ORDERS, Action::Update(vec![(id("recB1000000000000"), cells(json!({"Name": "bee"})))]))
        .await;
    assert_eq!(see(&engine, CUSTOMERS, a, "Names").await, "bee", "a name three links away");
}

#[test]
fn circles_are_refused_with_the_way_round() {
    let mut file = fixture();
    file["tables"][0]["fields"][1] = json!({"id": "fldCustDiscount00", "name": "Discount", "type": "formula",
        "options": {"formula": "{Total} / 1000"}});
    let refused = base_file::read(file.to_string().as_bytes(), 0).err().unwrap();
    for part in ["circle", "Customers.Discount", "Customers.Total", "Orders.Net", "Orders.Discount"] {
        assert!(refused.message.contains(part), "{refused}");
    }
    file["tables"][0]["fields"][1]["options"]["formula"] = json!("{Discount} + 1");
    assert!(base_file::read(file.to_string().as_bytes(), 0).is_err());
}

#[test]
fn schemas_say_what_formulas_give_and_which_cannot_be_used() {
    let loaded = base_file::read(fixture().to_string().as_bytes(), 0).unwrap();
    let orders = loaded.snapshot.schema.table("Orders").unwrap();
    let options = |name: &str| Value::Object(orders.field(name).unwrap().options.clone().unwrap());
    assert_eq!(options("Broken")["isValid"], false);
    assert_eq!(options("Net")["isValid"], true);
    assert_eq!(options("Net")["formula"], "{fldOrdAmount00000} * (1 - SUM({fldOrdDisc0000000}))");
    assert_eq!(options("Net")["result"]["type"], "number");
    assert_eq!(options("Edited")["result"]["type"], "dateTime");
    assert_eq!(options("Label")["result"]["type"], "singleLineText");
    assert_eq!(compute::with_names(orders, "{fldOrdAmount00000} * 2"), "{Amount} * 2", "people see names");
    let filter = orders.view("Open").unwrap().filter_formula.clone().unwrap();
    assert_eq!(filter, "{fldOrdStatus00000} = 'Open'");
}

#[test]
fn impact_goes_through_the_whole_base() {
    let loaded = base_file::read(fixture().to_string().as_bytes(), 0).unwrap();
    let schema = &loaded.snapshot.schema;
    let amount = schema.table("Orders").unwrap().field("Amount").unwrap().id;
    let of = |change: Change| impact(schema, amount, &change).unwrap();
    let effect = |all: &[compute::Affected], what: &str| {
        let found = all.iter().find(|a| a.what == format!("field {what:?}")).unwrap();
        (found.effect, found.distance)
    };
    let deleted = of(Change::Delete);
    assert_eq!(effect(&deleted, "Net"), (Effect::Breaks, 1));
    assert_eq!(effect(&deleted, "Ratio"), (Effect::Breaks, 1));
    assert_eq!(effect(&deleted, "Total"), (Effect::BreaksToo, 2));
    assert_eq!(effect(&deleted, "Rank"), (Effect::BreaksToo, 3));
    assert!(deleted.iter().any(|a| a.what == "view \"Open\"" && a.effect == Effect::Changes));
    assert!(deleted.iter().any(|a| a.what == "view \"Gold\"" && a.effect == Effect::BreaksToo));
    let customer = schema.table("Orders").unwrap().field("Customer").unwrap().id;
    let unlinked = impact(schema, customer, &Change::Delete).unwrap();
    assert_eq!(effect(&unlinked, "Orders"), (Effect::Changes, 1));
    assert_eq!(effect(&unlinked, "How many").0, Effect::Breaks);
    assert!(of(Change::Rename("Sum".into())).iter().all(|a| a.effect == Effect::Unharmed));
    let retyped = of(Change::Retype("date".into()));
    assert_eq!(effect(&retyped, "Net").0, Effect::Changes);
    let due = schema.table("Orders").unwrap().field("Due").unwrap().id;
    let retyped = impact(schema, due, &Change::Retype("number".into())).unwrap();
    assert_eq!(effect(&retyped, "Dues").0, Effect::Changes, "a lookup of dates becomes one of numbers");
    assert!(impact(schema, amount, &Change::Rename("Status".into())).is_err(), "the name is taken");
    assert!(impact(schema, amount, &Change::Retype("nosuch".into())).is_err());
}

/// One step of the law below.
fn step() -> impl Strategy<Value = (u8, usize, usize, i32)> {
    (0u8..7, 0usize..6, 0usize..6, -100i32..100)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is written, the cells kept in step are those that working everything out gives.
    #[test]
    fn keeping_in_step_is_working_everything_out(steps in prop::collection::vec(step(), 1..25)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let directory = tempfile::tempdir().unwrap();
            let clock = clock();
            let engine = open_orders(directory.path(), &clock).await;
            for (what, a, b, n) in steps {
                let snapshot = engine.snapshot(base()).await.unwrap();
                let ids = |table: &str| -> Vec<RecordId> {
                    let (_, data) = snapshot.table(table.parse::<TableId>().unwrap()).unwrap();
                    data.slots().map(|slot| data.row(slot).id).collect()
                };
                let (customers, orders) = (ids(CUSTOMERS), ids(ORDERS));
                let customer = customers.get(a % customers.len().max(1)).copied();
                let order = orders.get(b % orders.len().max(1)).copied();
                let update = |id: RecordId, value: Value| Action::Update(vec![(id, cells(value))]);
                let (table, action) = match (what, customer, order) {
                    (0, Some(c), _) => (CUSTOMERS, update(c, json!({"Name": format!("N{n}"), "Discount": f64::from(n) / 200.0}))),
                    (1, _, Some(o)) => (ORDERS, update(o, json!({"Amount": n, "Status": (["Open", "Paid"][a % 2])}))),
                    (2, Some(c), Some(o)) => (ORDERS, update(o, json!({"Customer": [c]}))),
                    (3, Some(c), _) => (CUSTOMERS, update(c, json!({"Orders": orders.iter().take(b).collect::<Vec<_>>()}))),
                    (4, _, Some(o)) => (ORDERS, Action::Delete(vec![o])),
                    (5, Some(c), _) => (CUSTOMERS, Action::Delete(vec![c])),
                    (_, c, _) => (ORDERS, Action::Create(vec![cells(json!({"Customer": c.into_iter().collect::<Vec<_>>(), "Amount": n, "Due": "2026-02-01"}))])),
                };
                write(&engine, table, action).await;
                let held = engine.snapshot(base()).await.unwrap();
                let mut anew = (*held).clone();
                recompute_all(&mut anew, parse_instant(NOON).unwrap());
                assert_eq!(everything(&held), everything(&anew));
            }
        });
    }
}

/// A base with every kind of column: typed, odd, blank, linked; more rows than two batches.
pub(super) fn wide() -> Value {
    let choices = json!({"choices": [{"name": "red"}, {"name": "blue"}, {"name": "a"}]});
    let field = |name: &str, kind: &str, options: Value| json!({"id": format!("fldWide{name:x<10}"), "name": name, "type": kind, "options": options});
    let fields = vec![
        field("Name", "singleLineText", json!({})),
        field("Empty", "multilineText", json!({})),
        field("N", "number", json!({"precision": 2})),
        field("Zero", "currency", json!({"precision": 2})),
        field("Nothing", "number", json!({"precision": 0})),
        field("Done", "checkbox", json!({})),
        field("Due", "date", json!({})),
        field("At", "dateTime", json!({"timeZone": "utc"})),
        field("Kind", "singleSelect", choices.clone()),
        field("Tags", "multipleSelects", choices),
        field("Link", "multipleRecordLinks", json!({"linkedTableId": "tblOther000000000"})),
        field(
            "List",
            "multipleLookupValues",
            json!({"recordLinkFieldId": "fldWideLinkxxxxxx", "fieldIdInLinkedTable": "fldOtherN00000000"}),
        ),
        field("Bad", "formula", json!({"formula": "NOSUCH()"})),
    ];
    let others: Vec<Value> = (0..5)
        .map(|n| json!({"id": format!("recOther{n}xxxxxxxx"), "fields": {"Title": format!("t{n}"), "N": ([json!(1), json!(2.5), json!(null), json!(-3), json!(0)][n])}}))
        .collect();
    let rows: Vec<Value> = (0..2_500usize)
        .map(|n| {
            let mut cells = json!({"Name": (["", "a", "Ada Lovelace 💰", "12", "2024-03-31"][n % 5]), "N": n as f64 / 7.0 - 20.0,
                "Zero": 0, "Done": n % 3 == 0, "Due": format!("2024-02-{:02}", n % 29 + 1), "At": "2026-03-29T01:30:00.000Z"});
            let map = cells.as_object_mut().unwrap();
            if n % 4 > 0 {
                map.insert("Kind".into(), json!((["red", "blue", "a"][n % 3])));
                map.insert("Tags".into(), json!((["red", "blue", "a"][..n % 4])));
            }
            let linked: Vec<String> = (0..n % 4).map(|at| format!("recOther{}xxxxxxxx", (n + at) % 5)).collect();
            map.insert("Link".into(), json!(linked));
            match n % 500 {
                499 => drop(map.insert("N".into(), json!({"specialValue": "NaN"}))),
                498 => drop(map.insert("Bad".into(), json!({"error": "#ERROR!"}))),
                497 => drop(map.insert("Due".into(), json!("soon"))),
                496 => drop(map.remove("At")),
                495 => drop(map.remove("N")),
                _ => {}
            }
            json!({"id": format!("recWide{n:0>10}"), "fields": cells})
        })
        .collect();
    json!({"base": {"id": "appWide0000000000", "name": "Wide"},
        "tables": [{"id": "tblWide0000000000", "name": "Wide", "fields": fields},
            {"id": "tblOther000000000", "name": "Other", "fields": [
                {"id": "fldOtherTitle0000", "name": "Title", "type": "singleLineText"},
                {"id": "fldOtherN00000000", "name": "N", "type": "number", "options": {"precision": 1}}]}],
        "records": {"Wide": rows, "Other": others}})
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn tables_give_the_same_by_row_and_by_column(text in super::laws::formula()) {
        static WIDE: std::sync::LazyLock<Snapshot> =
            std::sync::LazyLock::new(|| base_file::read(wide().to_string().as_bytes(), 0).unwrap().snapshot);
        let now = parse_instant(NOON).unwrap();
        let (program, _) =
            tablewright_formula::compile(&text, &tablewright_formula::Scope::of_table(&WIDE.schema.tables[0])).unwrap();
        let mut by_column: Vec<Value> = Vec::with_capacity(2_500);
        compute::evaluate(&WIDE, 0, &program, None, now, &mut |_, value| by_column.push(value.json())).unwrap();
        // Every kind of row, at the edges of batches too.
        let slots: Vec<usize> = (0..2_500).filter(|slot| slot % 41 == 0 || slot % 500 > 493 || (1_020..1_030).contains(slot)).collect();
        let mut at = 0;
        compute::evaluate(&WIDE, 0, &program, Some(&slots), now, &mut |slot, value| {
            assert_eq!(value.json(), by_column[slot], "row {slot} of {text}");
            at += 1;
        })
        .unwrap();
        prop_assert_eq!(at, slots.len());
    }
}
