//! Input that would crash, stall or fill memory somewhere else.

use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};
use tablewright_formula::given::{Given, Outcome};

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
