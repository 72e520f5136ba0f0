//! Changing schemas, upserts and comments, by the engine itself: what is written comes back after a
//! restart, and what would lose something is refused.

use std::path::Path;
use std::sync::Arc;
use tablewright_engine::base::changes::Author;

use serde_json::{Map, Value, json};
use tablewright_core::clock::HeldClock;
use tablewright_core::model::{BaseId, FieldId, Person, RecordId, TableId};
use tablewright_core::{Code, Fault};
use tablewright_engine::base::changes::ChangeKind;
use tablewright_engine::local::schema::{NewField, NewTable, SchemaEdit, ViewChange};
use tablewright_engine::local::{Action, Outcome, Write};
use tablewright_engine::{CommentEdit, CommentPlace, Edited, Engine, Options, base_file};

use crate::support::{audit_line, root};

const GOODS: &str = "tblGoods000000000";

fn base() -> BaseId {
    "appShop0000000000".parse().unwrap()
}

fn table(id: &str) -> TableId {
    id.parse().unwrap()
}

async fn open(directory: &Path) -> Engine {
    let clock = HeldClock::at(1_772_323_200_000);
    Engine::open(directory.to_owned(), Options::default(), Arc::new(clock)).await.unwrap()
}

async fn shop(directory: &Path) -> Engine {
    let engine = open(directory).await;
    let bytes = std::fs::read(root().join("tests/fixtures/shop.json")).unwrap();
    engine
        .import(base_file::read(&bytes, 0).unwrap(), Author::of("test", "test"), Box::new(|_| {}))
        .await
        .unwrap();
    engine
}

fn run<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

async fn edit(engine: &Engine, edit: SchemaEdit) -> Result<Edited, Fault> {
    engine.edit_schema(base(), edit, Author::of("test", "test"), audit_line).await
}

async fn write(engine: &Engine, to: &str, action: Action, atomic: bool) -> Result<Outcome, Fault> {
    let write = Write { table: table(to), action, typecast: true, atomic };
    engine.commit(base(), write, Author::of("test", "test"), audit_line).await
}

fn cells(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn new_field(name: &str, type_name: &str, options: Value) -> NewField {
    NewField {
        name: name.into(),
        type_name: type_name.into(),
        description: None,
        options: options.as_object().cloned(),
        ..NewField::default()
    }
}

async fn add(engine: &Engine, to: &str, field: NewField) -> Result<FieldId, Fault> {
    edit(engine, SchemaEdit::CreateField { table: table(to), field })
        .await
        .map(|done| done.edit.field.unwrap())
}

/// Every cell of a table as JSON, by record and name of the field.
async fn contents(engine: &Engine, of: &str) -> Value {
    let snapshot = engine.snapshot(base()).await.unwrap();
    let (schema, data) = snapshot.table(table(of)).unwrap();
    let rows = data.slots().map(|slot| {
        let fields: Map<String, Value> = schema
            .fields
            .iter()
            .enumerate()
            .filter_map(|(at, f)| Some((f.name.clone(), data.cell(slot, at).to_json(f)?)))
            .collect();
        (data.row(slot).id.to_string(), Value::Object(fields))
    });
    Value::Object(rows.collect())
}

#[test]
fn what_was_edited_is_there_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    run(async {
        let engine = shop(directory.path()).await;
        let new = NewTable {
            name: "Visits".into(),
            description: Some("Who came".into()),
            fields: vec![
                new_field("Who", "singleLineText", json!({})),
                new_field(
                    "Kind",
                    "singleSelect",
                    json!({"choices": [{"name": "walk-in"}, {"name": "booked"}]}),
                ),
            ],
            ..NewTable::default()
        };
        let made = edit(&engine, SchemaEdit::CreateTable(new)).await.unwrap();
        let visits = made.edit.table.unwrap().to_string();
        let link = new_field("Bought", "multipleRecordLinks", json!({"linkedTableId": GOODS}));
        add(&engine, &visits, link).await.unwrap();
        add(&engine, &visits, new_field("Number", "autoNumber", json!({}))).await.unwrap();
        let record = cells(json!({"Who": "Ada", "Kind": "booked", "Bought": ["recLamp0000000000"]}));
        write(&engine, &visits, Action::Create(vec![record]), true).await.unwrap();
        add(&engine, GOODS, new_field("Twice", "formula", json!({"formula": "{Stock} * 2"}))).await.unwrap();
        add(&engine, GOODS, new_field("Row", "autoNumber", json!({}))).await.unwrap();
        add(&engine, GOODS, new_field("Made", "createdTime", json!({}))).await.unwrap();
        let (goods, visited) = (contents(&engine, GOODS).await, contents(&engine, &visits).await);
        let lamp = &goods["recLamp0000000000"];
        assert_eq!((&lamp["Twice"], lamp["Visits"].as_array().unwrap().len()), (&json!(6), 1), "{lamp}");
        assert!(lamp["Row"].is_number() && lamp["Made"].is_string(), "{lamp}");
        engine.close().await;
        let engine = open(directory.path()).await;
        assert_eq!(contents(&engine, GOODS).await, goods);
        assert_eq!(contents(&engine, &visits).await, visited);

        // A table goes: what linked to it keeps the names.
        edit(&engine, SchemaEdit::DeleteTable(visits.parse().unwrap())).await.unwrap();
        let goods = contents(&engine, GOODS).await;
        assert_eq!(goods["recLamp0000000000"]["Visits"], "Ada");
        engine.close().await;
        let engine = open(directory.path()).await;
        assert_eq!(contents(&engine, GOODS).await, goods);
        let kinds: Vec<ChangeKind> =
            engine.store().changes(0, 100).await.unwrap().iter().map(|c| c.kind).collect();
        assert_eq!(kinds.iter().filter(|kind| **kind == ChangeKind::Schema).count(), 7, "{kinds:?}");
        engine.close().await;
    });
}

#[test]
fn choices_move_and_those_in_use_stay() {
    let directory = tempfile::tempdir().unwrap();
    run(async {
        let engine = shop(directory.path()).await;
        let choices = json!({"choices": [{"name": "a"}, {"name": "b"}, {"name": "c"}]});
        let field = add(&engine, GOODS, new_field("Grade", "multipleSelects", choices)).await.unwrap();
        let lamp: RecordId = "recLamp0000000000".parse().unwrap();
        let update = Action::Update(vec![(lamp, cells(json!({"Grade": ["a", "c"]})))]);
        write(&engine, GOODS, update, true).await.unwrap();
        let change = |choices: Value| SchemaEdit::UpdateField {
            table: table(GOODS),
            field,
            name: None,
            description: None,
            options: json!({"choices": choices}).as_object().cloned(),
        };
        let fault = edit(&engine, change(json!([{"name": "c"}]))).await.unwrap_err();
        assert!(fault.code == Code::InvalidSchema && fault.message.contains("\"a\" (1 records)"), "{fault}");
        let held = engine.snapshot(base()).await.unwrap();
        let held = held.schema.table_by_id(table(GOODS)).unwrap().field_by_id(field).unwrap().clone();
        let a = held.kind.choices().unwrap()[0].id;
        edit(&engine, change(json!([{"name": "new"}, {"name": "c"}, {"id": a, "name": "A"}]))).await.unwrap();
        assert_eq!(contents(&engine, GOODS).await["recLamp0000000000"]["Grade"], json!(["A", "c"]));
        engine.close().await;
        let engine = open(directory.path()).await;
        assert_eq!(contents(&engine, GOODS).await["recLamp0000000000"]["Grade"], json!(["A", "c"]));
        engine.close().await;
    });
}

#[test]
fn impossible_edits_are_refused_and_change_nothing() {
    let directory = tempfile::tempdir().unwrap();
    run(async {
        let engine = shop(directory.path()).await;
        let before = engine.snapshot(base()).await.unwrap().schema.clone();
        let goods = table(GOODS);
        let primary = before.table_by_id(goods).unwrap().primary_field_id;
        let field = |name: &str, kind: &str, options: Value| SchemaEdit::CreateField {
            table: goods,
            field: new_field(name, kind, options),
        };
        for (edit_made, said) in [
            (field("", "number", json!({})), "needs a name"),
            (field("stock", "number", json!({})), "already"),
            (field("X", "hologram", json!({})), "cannot be made"),
            (field("X", "formula", json!({"formula": "{Nope} + 1"})), "Nope"),
            (field("X", "number", json!({"precision": 12})), "precision"),
            (field("X", "rollup", json!({"recordLinkFieldId": primary})), "recordLinkFieldId"),
            (
                field("X", "multipleRecordLinks", json!({"linkedTableId": "tblNope0000000000"})),
                "linkedTableId",
            ),
            (field("X", "dateTime", json!({"timeZone": "Mars/Base"})), "timezone"),
            (SchemaEdit::DeleteField { table: goods, field: primary }, "names the records"),
            (
                SchemaEdit::CreateTable(NewTable {
                    name: "Makers".into(),
                    fields: vec![new_field("N", "number", json!({}))],
                    ..NewTable::default()
                }),
                "already",
            ),
            (
                SchemaEdit::CreateTable(NewTable {
                    name: "T".into(),
                    fields: vec![new_field("N", "checkbox", json!({}))],
                    ..NewTable::default()
                }),
                "name records",
            ),
            (
                SchemaEdit::UpdateView {
                    table: goods,
                    view: before.table_by_id(goods).unwrap().views[0].id,
                    change: ViewChange { filter_formula: Some("{Nope}".into()), ..ViewChange::default() },
                },
                "Nope",
            ),
        ] {
            let fault = edit(&engine, edit_made.clone()).await.expect_err(&format!("{edit_made:?}"));
            assert!(fault.message.contains(said), "{edit_made:?}: {fault}");
        }
        assert_eq!(*engine.snapshot(base()).await.unwrap().schema, *before);
        engine.close().await;
    });
}

#[test]
fn an_upsert_matches_the_state_before_it() {
    let directory = tempfile::tempdir().unwrap();
    run(async {
        let engine = shop(directory.path()).await;
        let on = || vec!["Name".to_owned()];
        let upsert = |records: Vec<(Option<RecordId>, Value)>, replace: bool| Action::Upsert {
            on: on(),
            records: records.into_iter().map(|(id, value)| (id, cells(value))).collect(),
            replace,
        };
        let lamp: RecordId = "recLamp0000000000".parse().unwrap();
        // One record loses its name, another without a name is new, and twins are both new.
        let records = vec![
            (Some(lamp), json!({"Name": null, "Stock": 1})),
            (None, json!({"Name": null, "Stock": 2})),
            (None, json!({"Name": "Rug", "Stock": 3})),
            (None, json!({"Name": "Rug", "Stock": 4})),
            (None, json!({"Name": "Desk", "Stock": 5})),
        ];
        let done = write(&engine, GOODS, upsert(records, false), true).await.unwrap();
        let ids: Vec<RecordId> = done.records.into_iter().map(Result::unwrap).collect();
        assert_ne!(ids[1], lamp, "it had a name before the request");
        assert_eq!(done.created[done.created.len() - 2..], ids[2..4], "twins are both new");
        assert_eq!((ids[0], ids[4].to_string().as_str()), (lamp, "recDesk0000000000"));
        let fault = write(&engine, GOODS, upsert(vec![(None, json!({"Name": "Rug"}))], false), true).await;
        assert_eq!(fault.unwrap_err().code, Code::Ambiguous);
        let fault = write(&engine, GOODS, upsert(vec![(None, json!({"Stock": 1}))], false), true).await;
        assert!(fault.unwrap_err().message.contains("merge field"));
        // Replacing empties what is not named, computed cells aside.
        let records = vec![(None, json!({"Name": "Desk"}))];
        write(&engine, GOODS, upsert(records, true), true).await.unwrap();
        let desk = contents(&engine, GOODS).await["recDesk0000000000"].clone();
        assert!(desk.get("Stock").is_none() && desk["Name"] == "Desk", "{desk}");
        engine.close().await;
    });
}

#[test]
fn comments_have_threads_and_belong_to_their_authors() {
    let directory = tempfile::tempdir().unwrap();
    run(async {
        let engine = shop(directory.path()).await;
        let mut feed = engine.feed();
        let before = 1;
        let at =
            CommentPlace { base: base(), table: table(GOODS), record: "recLamp0000000000".parse().unwrap() };
        let (ada, bo) = (Person::of("token:ada"), Person::of("token:bo"));
        let add = |text: &str, parent| CommentEdit::Add {
            author: ada.clone(),
            text: text.into(),
            parent,
            known: vec![bo.clone()],
        };
        let first =
            engine.comment(at, add("hello", None), Author::of("ada", "test"), audit_line).await.unwrap();
        let text = format!("@[{}] look", bo.id);
        let answer = engine
            .comment(at, add(&text, Some(first.id)), Author::of("ada", "test"), audit_line)
            .await
            .unwrap();
        assert!(answer.mentioned.contains_key(&bo.id.to_string()));
        let third = engine
            .comment(at, add("yes", Some(answer.id)), Author::of("ada", "test"), audit_line)
            .await
            .unwrap();
        assert_eq!(third.parent_comment_id, Some(first.id), "threads have one level");
        let theirs = CommentEdit::Remove { author: bo, comment: first.id };
        let fault = engine.comment(at, theirs, Author::of("bo", "test"), audit_line).await.unwrap_err();
        assert_eq!(fault.code, Code::Forbidden);
        assert_eq!(
            engine.store().comment_counts(base(), &[at.record]).await.unwrap(),
            [(at.record, before + 3)]
        );
        let own = CommentEdit::Remove { author: ada, comment: first.id };
        engine.comment(at, own, Author::of("ada", "test"), audit_line).await.unwrap();
        assert_eq!(engine.store().comment_counts(base(), &[at.record]).await.unwrap(), [(at.record, before)]);
        assert_eq!(feed.recv().await.unwrap().kind, ChangeKind::Comments);
        engine.close().await;
    });
}

#[test]
fn computed_cells_are_in_the_log_when_somebody_wants_them() {
    let directory = tempfile::tempdir().unwrap();
    run(async {
        let engine = shop(directory.path()).await;
        let lamp: RecordId = "recLamp0000000000".parse().unwrap();
        let update = |stock: i64| Action::Update(vec![(lamp, cells(json!({"Stock": stock})))]);
        write(&engine, GOODS, update(10), true).await.unwrap();
        engine.log_computed(base(), true);
        write(&engine, GOODS, update(11), true).await.unwrap();
        let log = engine.store().changes(0, 100).await.unwrap();
        let computed = |n: usize| log[n].tables.iter().map(|t| t.computed.len()).sum::<usize>();
        assert_eq!(computed(log.len() - 2), 0);
        assert!(computed(log.len() - 1) > 0, "{:?}", log.last());
        engine.close().await;
    });
}

#[test]
fn a_base_is_made_from_nothing() {
    let directory = tempfile::tempdir().unwrap();
    run(async {
        let engine = open(directory.path()).await;
        assert!(
            engine
                .create_base(BaseId::random(), "Empty", Vec::new(), Author::of("test", "test"))
                .await
                .is_err()
        );
        let tables = vec![NewTable {
            name: "People".into(),
            fields: vec![new_field("Name", "singleLineText", json!({}))],
            ..NewTable::default()
        }];
        let id = BaseId::random();
        engine.create_base(id, " Club ", tables, Author::of("test", "test")).await.unwrap();
        engine.close().await;
        let engine = open(directory.path()).await;
        assert_eq!(engine.bases()[0], (id, "Club".to_owned()));
        assert_eq!(engine.snapshot(id).await.unwrap().schema.tables[0].views.len(), 1);
        engine.close().await;
    });
}

#[test]
fn bounds_hold_on_both_sides_of_a_link_and_large_edits_stay_quick() {
    let directory = tempfile::tempdir().unwrap();
    run(async {
        let engine = shop(directory.path()).await;
        let fields: Vec<NewField> =
            (0..500).map(|n| new_field(&format!("F{n}"), "singleLineText", json!({}))).collect();
        let wide = NewTable { name: "Wide".into(), fields: fields.clone(), ..NewTable::default() };
        let wide = edit(&engine, SchemaEdit::CreateTable(wide)).await.unwrap().edit.table.unwrap();
        for (to, field) in [
            (wide.to_string(), new_field("More", "number", json!({}))),
            (GOODS.to_owned(), new_field("Wide", "multipleRecordLinks", json!({"linkedTableId": wide}))),
        ] {
            let fault = add(&engine, &to, field).await.unwrap_err();
            assert!(fault.message.contains("500 fields"), "{fault}");
        }
        let wider = [fields, vec![new_field("F500", "number", json!({}))]].concat();
        let wider = NewTable { name: "Wider".into(), fields: wider, ..NewTable::default() };
        assert!(edit(&engine, SchemaEdit::CreateTable(wider)).await.is_err());
        engine.close().await;
    });
}

#[test]
fn choices_of_many_records_move_with_their_list() {
    let directory = tempfile::tempdir().unwrap();
    run(async {
        let engine = shop(directory.path()).await;
        let choices: Vec<Value> = (0..50).map(|n| json!({"name": format!("c{n}")})).collect();
        let made = new_field("Grade", "singleSelect", json!({"choices": choices}));
        let field = add(&engine, GOODS, made).await.unwrap();
        let records = (0..5_000).map(|n| cells(json!({"Grade": format!("c{}", n % 50)}))).collect();
        write(&engine, GOODS, Action::Create(records), true).await.unwrap();
        let before = contents(&engine, GOODS).await;
        let turned: Vec<Value> = choices.into_iter().rev().collect();
        let turn = SchemaEdit::UpdateField {
            table: table(GOODS),
            field,
            name: None,
            description: None,
            options: json!({"choices": turned}).as_object().cloned(),
        };
        edit(&engine, turn).await.unwrap();
        assert_eq!(contents(&engine, GOODS).await, before);
        engine.close().await;
        let engine = open(directory.path()).await;
        assert_eq!(contents(&engine, GOODS).await, before);
        engine.close().await;
    });
}

#[test]
fn times_of_edits_and_cells_of_broken_fields_do_not_come_back() {
    let directory = tempfile::tempdir().unwrap();
    run(async {
        let engine = shop(directory.path()).await;
        let watch = || new_field("Edited", "formula", json!({"formula": "LAST_MODIFIED_TIME({Stock})"}));
        let lamp = |all: &Value| all["recLamp0000000000"].clone();
        let field = add(&engine, GOODS, watch()).await.unwrap();
        let update = Action::Update(vec![("recLamp0000000000".parse().unwrap(), cells(json!({"Stock": 9})))]);
        write(&engine, GOODS, update, true).await.unwrap();
        assert!(lamp(&contents(&engine, GOODS).await)["Edited"].is_string());
        edit(&engine, SchemaEdit::DeleteField { table: table(GOODS), field }).await.unwrap();
        add(&engine, GOODS, watch()).await.unwrap();
        let stock =
            engine.snapshot(base()).await.unwrap().schema.table("Goods").unwrap().field("Stock").unwrap().id;
        edit(&engine, SchemaEdit::DeleteField { table: table(GOODS), field: stock }).await.unwrap();
        let before = contents(&engine, GOODS).await;
        let shown = lamp(&before);
        assert!(shown.get("Edited").is_none() && shown.get("Worth").is_none(), "{shown}");
        engine.close().await;
        let engine = open(directory.path()).await;
        assert_eq!(contents(&engine, GOODS).await, before);
        engine.close().await;
    });
}

#[test]
fn comments_go_with_their_table() {
    let directory = tempfile::tempdir().unwrap();
    run(async {
        let engine = shop(directory.path()).await;
        assert_eq!(engine.store().comments(base()).await.unwrap().len(), 1);
        edit(&engine, SchemaEdit::DeleteTable(table(GOODS))).await.unwrap();
        assert!(engine.store().comments(base()).await.unwrap().is_empty());
        engine.close().await;
    });
}

#[test]
fn a_view_shows_the_name_when_its_last_field_goes() {
    let directory = tempfile::tempdir().unwrap();
    run(async {
        let engine = shop(directory.path()).await;
        let goods = table(GOODS);
        let schema = engine.snapshot(base()).await.unwrap().schema.clone();
        let held = schema.table_by_id(goods).unwrap();
        let (stars, primary, view) =
            (held.field("Stars").unwrap().id, held.primary_field_id, held.views[0].id);
        let change = ViewChange { visible_field_ids: Some(vec![stars]), ..ViewChange::default() };
        edit(&engine, SchemaEdit::UpdateView { table: goods, view, change }).await.unwrap();
        let done = edit(&engine, SchemaEdit::DeleteField { table: goods, field: stars }).await.unwrap();
        let held = done.snapshot.schema.table_by_id(goods).unwrap();
        assert_eq!(held.views[0].visible_field_ids, Some(vec![primary]));
        engine.close().await;
    });
}
