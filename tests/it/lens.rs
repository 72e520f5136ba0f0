//! What somebody sees of a base who may not see all of it: two bases that differ only in what is
//! hidden look the same.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;

use serde_json::{Value, json};
use tablewright_core::model::{FieldId, Mask, RecordId, TableId};
use tablewright_engine::base::{Filter, Lens, Query, Sight, TableSight, query, search};
use tablewright_engine::{Snapshot, base_file};
use tablewright_formula::Scope;

use crate::support::root;

const GOODS: &str = "tblGoods000000000";
const MAKERS: &str = "tblMakers00000000";
const KEY: &[u8] = b"a key of the tests";

fn shop() -> Value {
    let bytes = std::fs::read(root().join("tests/fixtures/shop.json")).unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

fn held(file: &Value) -> Snapshot {
    base_file::read(file.to_string().as_bytes(), 0).unwrap().snapshot
}

fn table(id: &str) -> TableId {
    id.parse().unwrap()
}

/// Both tables, with these masks of fields of the goods and these conditions for their rows.
fn sight(masks: &[(&str, Mask)], rows: &[&str]) -> Sight {
    let masks = masks.iter().map(|(id, mask)| (id.parse::<FieldId>().unwrap(), *mask)).collect();
    let rows = rows.iter().map(|formula| ("a rule".to_owned(), (*formula).to_owned())).collect();
    let goods = TableSight { masks, rows };
    Sight { tables: HashMap::from([(table(GOODS), goods), (table(MAKERS), TableSight::default())]) }
}

fn look(whole: &Snapshot, sight: &Sight) -> Snapshot {
    Lens::new(whole, sight, KEY, 7).look(whole, None, 0).unwrap()
}

/// Everything that can be read, found, counted and ordered.
fn told(seen: &Snapshot) -> String {
    let mut out = serde_json::to_string_pretty(&*seen.schema).unwrap();
    for t in &seen.schema.tables {
        let (_, data) = seen.table(t.id).unwrap();
        writeln!(out, "\n{} {}", t.name, data.len()).unwrap();
        for slot in data.slots() {
            write!(out, "{}", data.row(slot).id).unwrap();
            for (at, field) in t.fields.iter().enumerate() {
                out.push('|');
                seen.push_text(&mut out, field, &data.cell(slot, at));
            }
            out.push('\n');
        }
        let id = |slot: &usize| data.row(*slot).id.to_string();
        for field in &t.fields {
            for formula in [format!("{{{}}}", field.name), format!("LEN({{{}}}&'') > 3", field.name)] {
                let filter = Filter::at(0).and(&Scope::of_table(t), &formula, "filter");
                let kept = filter.and_then(|filter| filter.slots(seen, t, data));
                let kept = kept.map(|slots| slots.iter().map(id).collect::<Vec<_>>());
                writeln!(out, "{formula}: {kept:?}").unwrap();
            }
            let sorts = vec![tablewright_core::model::Sort { field: field.id, descending: true }];
            let page = query::run(seen, t, data, &Query { sorts, limit: 10, ..Query::default() });
            assert_eq!(page.is_err(), field.mask.is_some(), "an order by {} is refused or not", field.name);
            let Ok(page) = page else { continue };
            let order: Vec<String> = page.slots.iter().map(id).collect();
            writeln!(out, "{}: {order:?} of {}", field.name, page.total).unwrap();
        }
        let all: Vec<usize> = (0..t.fields.len()).collect();
        for words in ["lamp", "40", "120", "acme"] {
            let hits = search::run(seen, t, data, &all, &search::terms(words));
            let hits: Vec<String> = hits.iter().map(|hit| id(&hit.slot)).collect();
            writeln!(out, "{words}: {hits:?}").unwrap();
        }
    }
    out
}

fn lamp(file: &mut Value) -> &mut Value {
    &mut file["records"][GOODS][0]["fields"]
}

#[test]
fn other_values_of_a_masked_field_look_the_same() {
    for mask in [Mask::Hide, Mask::Redact, Mask::LastFour] {
        let (one, mut other) = (shop(), shop());
        lamp(&mut other)["Price"] = json!(9000);
        lamp(&mut other)["Worth"] = json!(27000);
        let sight = sight(&[("fldGPrice00000000", mask)], &[]);
        let (one, other) = (look(&held(&one), &sight), look(&held(&other), &sight));
        assert_eq!(told(&one), told(&other), "{mask:?}");
        let goods = one.schema.table_by_id(table(GOODS)).unwrap();
        assert_eq!(goods.field("Price").is_err(), mask == Mask::Hide);
        // What is worked out from it is masked with it, and so is a view in its order.
        assert_eq!(goods.field("Worth").is_err(), mask == Mask::Hide);
        assert!(goods.view("By price").is_err(), "{mask:?}");
    }
}

#[test]
fn a_masked_field_cannot_be_asked_for() {
    let seen = look(&held(&shop()), &sight(&[("fldGPrice00000000", Mask::Hash)], &[]));
    let goods = seen.schema.table_by_id(table(GOODS)).unwrap();
    let refused = Filter::at(0).and(&Scope::of_table(goods), "{Price} = 40", "filter").unwrap_err();
    assert!(refused.message.contains("\"Price\" is masked for you"), "{refused}");
    assert!(goods.field("Price").unwrap().require_unmasked("to sort by it").is_err());
}

#[test]
fn hashes_show_what_is_equal_and_nothing_else() {
    let mut file = shop();
    for place in [0, 1] {
        file["records"][GOODS][place]["fields"]["Notes"] = json!("the same");
    }
    let seen = look(&held(&file), &sight(&[("fldGNotes00000000", Mask::Hash)], &[]));
    let (goods, data) = seen.table(table(GOODS)).unwrap();
    let notes = goods.field_index("fldGNotes00000000".parse().unwrap()).unwrap();
    let codes: Vec<String> = data.slots().map(|slot| format!("{:?}", data.cell(slot, notes))).collect();
    assert!(codes[0] == codes[1] && codes[0] != codes[2] && codes[2] == codes[3], "{codes:?}");
}

#[test]
fn a_row_that_is_not_seen_might_as_well_not_be_there() {
    let sight = sight(&[], &["{Name} != 'Lamp'"]);
    let with = shop();
    let mut without = shop();
    without["records"][GOODS].as_array_mut().unwrap().remove(0);
    without["records"][MAKERS][0]["fields"]["Goods"] = json!([]);
    let (with, without) = (look(&held(&with), &sight), look(&held(&without), &sight));
    assert_eq!(told(&with), told(&without));
    let lamp: RecordId = "recLamp0000000000".parse().unwrap();
    assert_eq!(with.table(table(GOODS)).unwrap().1.slot(&lamp), None);
}

#[test]
fn a_table_that_is_not_seen_takes_the_links_to_it_along() {
    let sight = Sight { tables: HashMap::from([(table(MAKERS), TableSight::default())]) };
    let seen = look(&held(&shop()), &sight);
    let names: Vec<&str> = seen.schema.tables.iter().map(|t| t.name.as_str()).collect();
    assert_eq!(names, ["Makers"]);
    assert!(!told(&seen).contains("Goods"));
}

#[test]
fn a_condition_that_fits_no_more_shows_nothing() {
    // The field it asks for was deleted.
    let whole = held(&shop());
    let lens = Lens::new(&whole, &sight(&[], &["{fldGone0000000000} > 1"]), KEY, 7);
    assert_eq!(lens.look(&whole, None, 0).unwrap().table(table(GOODS)).unwrap().1.len(), 0);
    assert_eq!(lens.broken().len(), 1);
}

#[test]
fn what_did_not_change_is_shared_and_what_did_is_seen() {
    let mut file = shop();
    let whole = held(&file);
    let sight = sight(&[("fldGNotes00000000", Mask::LastFour)], &["{Name} != 'Lamp'"]);
    let lens = Lens::new(&whole, &sight, KEY, 7);
    let seen = lens.look(&whole, None, 0).unwrap();
    file["records"][GOODS][1]["fields"]["Notes"] = json!("a long note, 4711");
    // The same schema, as after a write.
    let later = Snapshot { schema: whole.schema.clone(), ..held(&file) };
    assert!(lens.fits(&later) && Arc::ptr_eq(&seen.schema, lens.schema()));
    let again = lens.look(&later, Some((&whole, &seen)), 0).unwrap();
    assert_eq!(told(&again), told(&lens.look(&later, None, 0).unwrap()));
    assert!(told(&again).contains("…4711"));
    let same = lens.look(&whole, Some((&whole, &seen)), 0).unwrap();
    assert_eq!(told(&same), told(&seen));
}
