//! Input that would crash, stall or fill memory somewhere else.

use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};
use tablewright_core::Code;
use tablewright_engine::{Snapshot, base_file, compute};
use tablewright_formula::given::{Given, Outcome};
use tablewright_formula::{Kinds, Scope, ScopeField, compile, filter};

/// Far more than any of these takes, far less than a stall.
const SOON: Duration = Duration::from_secs(5);

fn outcome(formula: &str, fields: Value) -> Outcome {
    let fields: Map<String, Value> = fields.as_object().unwrap().clone();
    let started = Instant::now();
    let outcome = Given::read(&fields, 0).unwrap().evaluate(formula, 0);
    assert!(started.elapsed() < SOON, "{:?}", formula.chars().take(60).collect::<String>());
    outcome
}

fn rejected(formula: &str) -> String {
    match outcome(formula, json!({})) {
        Outcome::Rejected(problems) => problems[0].code.as_str().to_owned(),
        other => panic!("{other:?}"),
    }
}

fn fault(formula: &str, fields: Value) -> String {
    match outcome(formula, fields) {
        Outcome::Error(fault, _) => fault.code().to_owned(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn huge_and_deep_formulas_are_refused_with_the_reason() {
    assert_eq!(rejected(&"1+".repeat(500_000)), "too_long");
    assert_eq!(rejected(&"(".repeat(10_000)), "too_deep");
    assert_eq!(rejected(&format!("{}1{}", "(".repeat(10_000), ")".repeat(10_000))), "too_deep");
    assert_eq!(rejected(&format!("{}1{}", "ABS(".repeat(10_000), ")".repeat(10_000))), "too_deep");
    assert_eq!(rejected(&format!("{}1", "-".repeat(10_000))), "too_deep");
    assert_eq!(rejected(&"{".repeat(50_000)), "unterminated_field");
    assert_eq!(rejected(&"\"\\".repeat(40_000)), "unterminated_string");
}

#[test]
fn long_and_deep_formulas_within_the_bounds_work_on_a_small_stack() {
    let work = || {
        let sum = vec!["1"; 20_000].join(" + ");
        assert_eq!(outcome(&sum, json!({})), Outcome::Value(json!(20_000)));
        let joined = vec!["{A}"; 5_000].join(" & ");
        let fields = json!({"A": {"type": "singleLineText", "value": "x"}});
        assert_eq!(outcome(&joined, fields.clone()), Outcome::Value(json!("x".repeat(5_000))));
        for (open, close) in [("IF({A}, ", ", 0)"), ("(1 + ", ")"), ("SUBSTITUTE({A} & ", ", \"a\", \"b\")")]
        {
            let deep = format!("{}1{}", open.repeat(180), close.repeat(180));
            assert!(matches!(outcome(&deep, fields.clone()), Outcome::Value(_)), "{open}");
        }
        let deep = format!("{}1{}", "(1 = ".repeat(190), ")".repeat(190));
        assert!(matches!(outcome(&deep, fields.clone()), Outcome::Value(_)));
        let deep = format!("{}{{A}}{}", "ABS(".repeat(398), ")".repeat(398));
        assert!(!matches!(
            outcome(&deep, json!({"A": {"type": "number", "value": -3}})),
            Outcome::Rejected(_)
        ));
    };
    // Tokio's workers have 2 MiB.
    std::thread::Builder::new().stack_size(2 << 20).spawn(work).unwrap().join().unwrap();
}

#[test]
fn what_would_grow_without_end_is_an_error() {
    assert_eq!(fault("REPT(\"x\", 1000000000)", json!({})), "too_long");
    assert_eq!(fault("LEN(REPT(REPT(\"x\", 100000), 100000))", json!({})), "too_long");
    let doubling =
        |n: usize| format!("{}\"aa\"{}", "SUBSTITUTE(".repeat(n), ", \"a\", \"aaaaaaaaaa\")".repeat(n));
    assert_eq!(fault(&doubling(30), json!({})), "too_long");
    let wide = json!({"A": {"type": "singleLineText", "value": "ab ".repeat(60_000)}});
    let rewriting = format!("LEN({}{{A}}{})", "SUBSTITUTE(".repeat(390), ", \"a\", \"b\")".repeat(390));
    assert_eq!(fault(&rewriting, wide.clone()), "too_much_work");
    assert_eq!(fault("WORKDAY(\"2026-01-01\", 1000000000)", json!({})), "date_out_of_range");
    assert_eq!(fault("DATEADD(\"2026-01-01\", 1000000000000, \"years\")", json!({})), "date_out_of_range");
    assert!(matches!(outcome("REGEX_MATCH({A}, \"(a+)+$\")", wide), Outcome::Value(_)));
    assert_eq!(fault("REGEX_MATCH(\"a\", \"((a{1000}){1000}){1000}\")", json!({})), "bad_pattern");
    assert_eq!(fault("REGEX_MATCH(\"a\", \"(?=a)\")", json!({})), "bad_pattern");
}

/// One formula over the wide table: by column, and for two rows alone.
fn both_ways(text: &str) -> (Vec<Value>, Vec<Value>) {
    static WIDE: std::sync::LazyLock<Snapshot> = std::sync::LazyLock::new(|| {
        base_file::read(super::compute::wide().to_string().as_bytes(), 0).unwrap().snapshot
    });
    let (program, _) = compile(text, &Scope::of_table(&WIDE.schema.tables[0])).unwrap();
    let shown = |value: tablewright_formula::Value<'_>| match value {
        tablewright_formula::Value::Error(fault) => json!(fault.code()),
        value => value.json(),
    };
    let (mut all, mut some) = (Vec::new(), Vec::new());
    compute::evaluate(&WIDE, 0, &program, None, 0, &mut |_, value| all.push(shown(value))).unwrap();
    compute::evaluate(&WIDE, 0, &program, Some(&[1, 1_500]), 0, &mut |_, value| some.push(shown(value)))
        .unwrap();
    (vec![all[1].clone(), all[1_500].clone()], some)
}

#[test]
fn a_batch_that_takes_too_much_gives_what_its_rows_give() {
    let heavy = "(LEN(REPT({Kind}, 30000)) + LEN(REPT({Kind}, 30001)))";
    for text in [
        heavy.to_owned(),
        format!("ISERROR({heavy})"),
        format!("REPT({heavy}, 1)"),
        format!("IF(ISERROR({heavy}), \"bad\", \"good\")"),
        format!("AND({heavy}, {{N}})"),
        format!("LEN(DATETIME_FORMAT({{Due}}, \"{}\"))", "LLLL ".repeat(3_000)),
        format!("LEN(DATETIME_FORMAT({{Due}}, \"{}\"))", "LLLL ".repeat(18_000)),
    ] {
        let (column, rows) = both_ways(&text);
        assert_eq!(column, rows, "{}", &text[..60.min(text.len())]);
    }
}

#[test]
fn a_table_has_a_bound_of_its_own() {
    let snapshot = base_file::read(super::compute::wide().to_string().as_bytes(), 0).unwrap().snapshot;
    let scope = Scope::of_table(&snapshot.schema.tables[0]);
    let (program, _) = compile("WORKDAY({Due}, 500000)", &scope).unwrap();
    let started = Instant::now();
    let fault = compute::evaluate(&snapshot, 0, &program, None, 0, &mut |_, _| {}).unwrap_err();
    assert_eq!(fault.code, Code::LimitExceeded);
    assert!(started.elapsed() < 6 * SOON);
}

#[test]
fn a_formula_has_so_many_patterns_and_a_filter_so_many_values() {
    let patterns: Vec<String> = (0..101).map(|n| format!("REGEX_MATCH(\"a\", \"x{n}\")")).collect();
    assert_eq!(rejected(&patterns.join(" + ")), "too_long");
    assert!(matches!(outcome(&patterns[..100].join(" + "), json!({})), Outcome::Value(_)));
    let mut scope = Scope::default();
    scope.add(ScopeField {
        name: "N".into(),
        id: None,
        kinds: Kinds::NUM,
        choices: None,
        items: Kinds::ANY,
        masked: false,
    });
    let values: Vec<usize> = (0..1_000).collect();
    let error = filter::build(&json!({"field": "N", "op": "in", "value": values}), &scope).unwrap_err();
    assert!(error.contains("at most 1000"), "{error}");
    assert!(filter::build(&json!({"field": "N", "op": "in", "value": values[..999]}), &scope).is_ok());
}
