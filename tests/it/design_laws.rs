//! Laws that hold for any edits of schemas and any writes between them.

use std::path::Path;
use std::sync::Arc;
use tablewright_engine::base::changes::Author;

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use tablewright_core::Code;
use tablewright_core::clock::HeldClock;
use tablewright_core::model::{Base, BaseId, Cell, FieldId, FieldType, RecordId, Sort, Table, View, ViewId};
use tablewright_engine::local::schema::{NewField, NewTable, SchemaEdit, ViewChange};
use tablewright_engine::local::{Action, Write};
use tablewright_engine::{Engine, Options, Snapshot, base_file};

use crate::support::{audit_line, root};

/// One step: what is done, and numbers that say to what.
#[derive(Debug, Clone)]
struct Step {
    what: u8,
    at: [usize; 4],
    word: &'static str,
}

const WORDS: [&str; 9] =
    ["A", "b", "Goods", "x'y\"z", "fldGPrice00000000", "selred00000000000", "{N}", "values", "💰\u{200b}"];

fn step() -> impl Strategy<Value = Step> {
    (0u8..20, prop::array::uniform4(0usize..40), prop::sample::select(WORDS.to_vec()))
        .prop_map(|(what, at, word)| Step { what, at, word })
}

fn base() -> BaseId {
    "appShop0000000000".parse().unwrap()
}

fn map(value: Value) -> Option<Map<String, Value>> {
    value.as_object().cloned()
}

fn pick<T>(all: &[T], at: usize) -> &T {
    &all[at % all.len()]
}

/// The field at a place among those of a kind, or any field when there is none.
fn of_kind(table: &Table, at: usize, kind: impl Fn(&FieldType) -> bool) -> FieldId {
    let fit: Vec<FieldId> = table.fields.iter().filter(|f| kind(&f.kind)).map(|f| f.id).collect();
    if fit.is_empty() { pick(&table.fields, at).id } else { *pick(&fit, at) }
}

fn formula(table: &Table, at: [usize; 4]) -> String {
    let (one, two) = (pick(&table.fields, at[1]).id, pick(&table.fields, at[2]).id);
    match at[3] % 8 {
        0 => format!("{{{one}}} & {{{two}}}"),
        1 => format!("{{{one}}} + 1"),
        2 => format!("IF({{{one}}}, {{{two}}})"),
        3 => format!("LAST_MODIFIED_TIME({{{one}}})"),
        4 => "LAST_MODIFIED_TIME()".into(),
        5 => "HOUR(CREATED_TIME())".into(),
        6 => format!("HOUR({{{one}}})"),
        _ => format!("LEN(ARRAYJOIN({{{one}}}))"),
    }
}

fn new_field(schema: &Base, table: &Table, step: &Step) -> NewField {
    let is_link = |kind: &FieldType| matches!(kind, FieldType::Links(_));
    let link = of_kind(table, step.at[1], is_link);
    let linked = table.field_by_id(link).and_then(|f| f.link()).map_or(table.id, |l| l.linked_table_id);
    let source = pick(&schema.table_by_id(linked).unwrap_or(table).fields, step.at[2]).id;
    let through =
        json!({"recordLinkFieldId": link, "fieldIdInLinkedTable": source, "formula": "ARRAYJOIN(values)"});
    let (kind, options) = match step.at[3] % 16 {
        0 => ("singleLineText", json!({})),
        1 => ("number", json!({"precision": step.at[1] % 12})),
        2 => ("checkbox", json!({})),
        3 => ("date", json!({})),
        4 => ("singleSelect", json!({"choices": [{"name": "one"}, {"name": step.word}]})),
        5 => ("multipleSelects", json!({"choices": [{"name": "one"}, {"name": step.word}]})),
        6 | 7 => ("multipleRecordLinks", json!({"linkedTableId": pick(&schema.tables, step.at[2]).id})),
        8 => ("formula", json!({"formula": formula(table, [0, step.at[1], step.at[2], step.at[0]])})),
        9 => ("rollup", through),
        10 => ("multipleLookupValues", through),
        11 => ("count", through),
        12 => ("autoNumber", json!({})),
        13 => (
            "createdTime",
            json!({"result": {"type": if step.at[1].is_multiple_of(2) { "date" } else { "dateTime" }}}),
        ),
        14 => ("lastModifiedTime", json!({"referencedFieldIds": [source]})),
        _ => ("lastModifiedBy", json!({})),
    };
    NewField { name: step.word.into(), type_name: kind.into(), options: map(options), ..NewField::default() }
}

fn update_options(table: &Table, step: &Step) -> (FieldId, Value) {
    let at = step.at;
    match at[3] % 4 {
        0 => {
            let field = of_kind(table, at[1], |kind| kind.choices().is_some());
            let held = table.field_by_id(field).and_then(|f| f.kind.choices()).unwrap_or_default();
            let mut choices: Vec<Value> = held.iter().map(|c| json!({"id": c.id, "name": c.name})).collect();
            if !choices.is_empty() {
                let len = choices.len();
                choices.rotate_left(at[2] % len);
                if at[0].is_multiple_of(3) {
                    choices[0]["name"] = json!(step.word);
                } else if at[0] % 3 == 1 {
                    choices.pop();
                }
            }
            choices.push(json!({"name": format!("{} {}", step.word, at[2])}));
            (field, json!({ "choices": choices }))
        }
        1 => {
            let field = of_kind(table, at[0], |kind| matches!(kind, FieldType::Formula { .. }));
            (field, json!({"formula": formula(table, [0, at[1], at[2], at[0]])}))
        }
        2 => {
            let kinds = |kind: &FieldType| {
                matches!(kind, FieldType::CreatedTime { .. } | FieldType::LastModifiedTime { .. })
            };
            (
                of_kind(table, at[0], kinds),
                json!({"result": {"type": if at[2].is_multiple_of(2) { "date" } else { "dateTime" }}}),
            )
        }
        _ => (
            of_kind(table, at[0], |kind| matches!(kind, FieldType::Number { .. })),
            json!({"precision": at[2] % 10}),
        ),
    }
}

fn view_of(table: &Table, step: &Step) -> View {
    View {
        id: ViewId::random(),
        name: step.word.into(),
        kind: "grid".into(),
        visible_field_ids: (step.at[1].is_multiple_of(2)).then(|| vec![pick(&table.fields, step.at[2]).id]),
        filter_formula: (step.at[3].is_multiple_of(2)).then(|| formula(table, step.at)),
        sorts: vec![Sort {
            field: pick(&table.fields, step.at[1]).id,
            descending: step.at[2].is_multiple_of(2),
        }],
        other: Map::new(),
    }
}

fn edit_of(schema: &Base, step: &Step) -> SchemaEdit {
    let table = pick(&schema.tables, step.at[0]);
    let field = pick(&table.fields, step.at[1]).id;
    let id = table.id;
    match step.what {
        0 => SchemaEdit::CreateTable(NewTable {
            name: format!("{} {}", step.word, step.at[1] % 4),
            fields: vec![
                NewField { name: "N".into(), type_name: "singleLineText".into(), ..NewField::default() },
                new_field(schema, table, step),
            ],
            ..NewTable::default()
        }),
        1 if step.at[1].is_multiple_of(3) => SchemaEdit::DeleteTable(id),
        1 | 2 => SchemaEdit::DeleteField { table: id, field },
        3..=6 => SchemaEdit::CreateField { table: id, field: new_field(schema, table, step) },
        7 => SchemaEdit::UpdateField {
            table: id,
            field,
            name: Some(step.word.into()),
            description: Some(step.word.into()),
            options: None,
        },
        8 | 9 => {
            let (field, options) = update_options(table, step);
            SchemaEdit::UpdateField { table: id, field, name: None, description: None, options: map(options) }
        }
        10 => SchemaEdit::CreateView { table: id, view: view_of(table, step) },
        11 => {
            let View { name, filter_formula, sorts, visible_field_ids, .. } = view_of(table, step);
            let change =
                ViewChange { name: Some(name), filter_formula, sorts: Some(sorts), visible_field_ids };
            SchemaEdit::UpdateView { table: id, view: pick(&table.views, step.at[1]).id, change }
        }
        12 => SchemaEdit::DeleteView { table: id, view: pick(&table.views, step.at[1]).id },
        _ => SchemaEdit::UpdateTable { table: id, name: Some(step.word.into()), description: None },
    }
}

fn value_of(snapshot: &Snapshot, table: &Table, step: &Step) -> Option<(FieldId, Value)> {
    let fields: Vec<_> = table.fields.iter().filter(|f| !f.kind.is_computed()).collect();
    let field = fields.get(step.at[1] % fields.len().max(1))?;
    let value = match &field.kind {
        FieldType::Links(link) => {
            let other = snapshot.tables.get(&link.linked_table_id)?;
            let ids: Vec<RecordId> = other.slots().map(|slot| other.row(slot).id).collect();
            json!(
                ids.iter().cycle().skip(step.at[2]).take((step.at[3] % 3).min(ids.len())).collect::<Vec<_>>()
            )
        }
        FieldType::Number { .. } | FieldType::Currency { .. } => json!(step.at[2]),
        FieldType::Checkbox => json!(step.at[2].is_multiple_of(2)),
        FieldType::Date => json!("2026-04-05"),
        FieldType::SingleSelect(_) => json!(step.word),
        FieldType::MultipleSelects(_) => json!(["one", step.word]),
        _ => json!(step.word),
    };
    Some((field.id, value))
}

fn write_of(snapshot: &Snapshot, step: &Step) -> Option<Write> {
    let table = pick(&snapshot.schema.tables, step.at[0]);
    let rows = snapshot.tables.get(&table.id)?;
    let ids: Vec<RecordId> = rows.slots().map(|slot| rows.row(slot).id).collect();
    let (field, value) = value_of(snapshot, table, step)?;
    let cells = Map::from_iter([(field.to_string(), value)]);
    let action = match (step.what, ids.get(step.at[2] % ids.len().max(1))) {
        (14, Some(id)) => Action::Delete(vec![*id]),
        (15..=17, Some(id)) => Action::Update(vec![(*id, cells)]),
        _ => Action::Create(vec![cells]),
    };
    Some(Write { table: table.id, action, typecast: true, atomic: false })
}

/// Everything a base holds: its schema, and the cells of every record.
fn all(snapshot: &Snapshot) -> (Value, Vec<String>) {
    let mut lines = Vec::new();
    for table in &snapshot.schema.tables {
        let data = &snapshot.tables[&table.id];
        lines.push(format!("{} next {} {}", table.id, data.next_position, data.next_auto));
        for slot in data.slots() {
            let row = data.row(slot);
            lines.push(format!("{} {} {}", row.id, row.position, row.created));
            for (at, field) in table.fields.iter().enumerate() {
                let cell = data.cell(slot, at);
                if cell != Cell::Blank {
                    lines.push(format!("{} {:?} ({}): {cell:?}", field.id, field.name, field.type_name));
                }
            }
        }
    }
    (json!({"name": snapshot.schema.name, "tables": snapshot.schema.tables}), lines)
}

/// Both sides of every link say the same.
fn one_sided(snapshot: &Snapshot) -> Option<String> {
    for table in &snapshot.schema.tables {
        for (at, field) in table.fields.iter().enumerate() {
            let Some(link) = field.link() else { continue };
            let other = snapshot.schema.table_by_id(link.linked_table_id)?;
            let back = link.inverse_link_field_id.and_then(|id| other.field_index(id));
            let (here, there) = (&snapshot.tables[&table.id], &snapshot.tables[&other.id]);
            for slot in here.slots() {
                let Cell::Links(ids) = here.cell(slot, at) else { continue };
                for id in ids.iter() {
                    let Some(found) = there.slot(id) else { return Some(format!("{id} is gone")) };
                    let Some(back) = back else { continue };
                    let mirrored = matches!(there.cell(found, back), Cell::Links(all) if all.contains(&here.row(slot).id));
                    if !mirrored {
                        return Some(format!(
                            "{:?} of {:?}: {id} does not link back",
                            field.name, table.name
                        ));
                    }
                }
            }
        }
    }
    None
}

async fn open(directory: &Path, clock: &HeldClock) -> Engine {
    Engine::open(directory.to_owned(), Options::default(), Arc::new(clock.clone())).await.unwrap()
}

async fn carry_out(engine: &Engine, step: &Step) -> Result<(), tablewright_core::Fault> {
    let snapshot = engine.snapshot(base()).await?;
    if step.what < 14 {
        engine
            .edit_schema(base(), edit_of(&snapshot.schema, step), Author::of("test", "test"), audit_line)
            .await
            .map(|_| ())
    } else if let Some(write) = write_of(&snapshot, step) {
        engine.commit(base(), write, Author::of("test", "test"), audit_line).await.map(|_| ())
    } else {
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, max_shrink_iters: 400, ..ProptestConfig::default() })]

    #[test]
    fn what_edits_and_writes_leave_is_there_after_a_restart(steps in prop::collection::vec(step(), 1..30)) {
        let directory = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let found: Result<(), TestCaseError> = runtime.block_on(async {
            let clock = HeldClock::at(1_772_323_200_000);
            let engine = open(directory.path(), &clock).await;
            let bytes = std::fs::read(root().join("tests/fixtures/shop.json")).unwrap();
            engine.import(base_file::read(&bytes, 0).unwrap(), Author::of("test", "test"), Box::new(|_| {})).await.unwrap();
            for step in &steps {
                clock.advance(3_723_456);
                if let Err(fault) = carry_out(&engine, step).await {
                    prop_assert!(fault.code != Code::Internal, "{step:?}: {fault}");
                }
            }
            let before = engine.snapshot(base()).await.unwrap();
            prop_assert_eq!(one_sided(&before), None);
            engine.close().await;
            let engine = open(directory.path(), &clock).await;
            let after = engine.snapshot(base()).await.unwrap();
            let ((schema, cells), (read, again)) = (all(&before), all(&after));
            prop_assert_eq!(schema, read);
            let differs = cells.iter().zip(&again).find(|(was, is)| was != is);
            prop_assert!(differs.is_none() && cells.len() == again.len(), "{differs:?}");
            engine.close().await;
            Ok(())
        });
        found?;
    }
}
