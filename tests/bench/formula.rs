//! What a change costs in a base with many computed fields, and what reading a long formula costs.
//!
//! `cargo bench --bench formula`

#![expect(clippy::print_stdout, reason = "its figures are its output")]

use std::time::Instant;

use serde_json::{Value, json};
use tablewright_engine::base_file;
use tablewright_engine::local::{Action, Draft, Write};
use tablewright_formula::{Kinds, Scope, ScopeField, compile};

const RUNS: usize = 200;

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn id(prefix: &str, name: &str) -> String {
    format!("{prefix}{name:x<14}")
}

/// A base of 10,000 orders of 100 customers. An order's amount reaches 50 computed fields: 40
/// formulas of its own, and a rollup of its customer with nine formulas behind it.
fn base() -> Value {
    let (customers, orders) = (id("tbl", "Customers"), id("tbl", "Orders"));
    let formula = |name: String, text: String| json!({"id": id("fld", &name), "name": name, "type": "formula", "options": {"formula": text}});
    let mut own = vec![
        json!({"id": id("fld", "Number"), "name": "Number", "type": "singleLineText"}),
        json!({"id": id("fld", "Amount"), "name": "Amount", "type": "number", "options": {"precision": 2}}),
        json!({"id": id("fld", "Customer"), "name": "Customer", "type": "multipleRecordLinks",
               "options": {"linkedTableId": customers, "inverseLinkFieldId": id("fld", "Orders")}}),
    ];
    for n in 0..40 {
        let before = if n == 0 { "Amount".to_owned() } else { format!("F{}", n - 1) };
        let text = match n % 4 {
            0 => format!("{{{before}}} * 1.01"),
            1 => format!("ROUND({{{before}}}, 2) + {{Amount}}"),
            2 => format!("IF({{{before}}} > 100, {{{before}}} - 100, {{{before}}})"),
            _ => format!("VALUE(LEFT({{{before}}} & \"\", 6)) / 2"),
        };
        own.push(formula(format!("F{n}"), text));
    }
    let mut theirs = vec![
        json!({"id": id("fld", "Name"), "name": "Name", "type": "singleLineText"}),
        json!({"id": id("fld", "Orders"), "name": "Orders", "type": "multipleRecordLinks",
               "options": {"linkedTableId": orders, "inverseLinkFieldId": id("fld", "Customer")}}),
        json!({"id": id("fld", "G0"), "name": "G0", "type": "rollup", "options": {
            "recordLinkFieldId": id("fld", "Orders"), "fieldIdInLinkedTable": id("fld", "F39"), "formula": "SUM(values)"}}),
    ];
    for n in 1..10 {
        theirs.push(formula(format!("G{n}"), format!("{{G{}}} + {n}", n - 1)));
    }
    let names: Vec<Value> = (0..100)
        .map(|n| json!({"id": id("rec", &format!("C{n}x")), "fields": {"Name": format!("Customer {n}")}}))
        .collect();
    let rows: Vec<Value> = (0..10_000)
        .map(|n| {
            json!({"id": id("rec", &format!("O{n}x")), "fields": {
                "Number": format!("O-{n}"), "Amount": n % 977, "Customer": [id("rec", &format!("C{}x", n % 100))]}})
        })
        .collect();
    json!({
        "base": {"id": id("app", "Bench"), "name": "Bench"},
        "tables": [{"id": customers, "name": "Customers", "fields": theirs}, {"id": orders, "name": "Orders", "fields": own}],
        "records": {"Customers": names, "Orders": rows}
    })
}

fn change() {
    let started = Instant::now();
    let loaded = base_file::read(base().to_string().as_bytes(), 0).unwrap();
    println!(
        "read and worked out, 10,100 records with 50 computed fields: {:.0} ms",
        started.elapsed().as_secs_f64() * 1e3
    );
    let orders = loaded.snapshot.schema.table("Orders").unwrap().id;
    let order = id("rec", "O4321x").parse().unwrap();
    let mut snapshot = loaded.snapshot;
    let times = (0..RUNS)
        .map(|n| {
            let cells = json!({"Amount": n}).as_object().unwrap().clone();
            let write = Write {
                table: orders,
                action: Action::Update(vec![(order, cells)]),
                typecast: false,
                atomic: false,
            };
            let mut draft = Draft::of(&snapshot);
            let started = Instant::now();
            draft.apply(&write, 0, "bench").unwrap();
            let time = started.elapsed().as_secs_f64();
            snapshot = draft.snapshot;
            time
        })
        .collect();
    println!(
        "one record changed, 50 computed fields follow (one of them sums 100 rows): {:.2} ms",
        median(times) * 1e3
    );
}

fn reading() {
    let mut scope = Scope::default();
    for n in 0..40 {
        scope.add(ScopeField {
            name: format!("Field {n}"),
            id: None,
            kinds: Kinds::NUM,
            choices: None,
            items: Kinds::ANY,
            masked: false,
        });
    }
    let mut formula = String::from("0");
    let mut n = 0;
    while formula.len() < 5_000 - 80 {
        formula = format!(
            "{formula} + IF({{Field {}}} > {n}, ROUND({{Field {}}} * 1.5, 2), LEN(\"text {n}\"))",
            n % 40,
            (n + 7) % 40
        );
        n += 1;
    }
    let times = (0..RUNS)
        .map(|_| {
            let started = Instant::now();
            compile(&formula, &scope).unwrap();
            started.elapsed().as_secs_f64()
        })
        .collect();
    println!(
        "a formula of {} characters parsed, checked and compiled: {:.3} ms",
        formula.len(),
        median(times) * 1e3
    );
}

fn main() {
    change();
    reading();
}
