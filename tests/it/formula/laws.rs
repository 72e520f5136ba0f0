//! Laws that hold for any text and any formula.

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use tablewright_formula::given::Given;
use tablewright_formula::syntax::{MAX_PROBLEMS, parse, pretty, print};
use tablewright_formula::{Bump, Function, MAX_TEXT_RESULT, Value as Found, Work, compile, explain, resolve};

fn fields() -> Map<String, Value> {
    json!({
        "Name": {"type": "singleLineText", "value": "Ada Lovelace 💰"},
        "Empty": {"type": "multilineText", "value": null},
        "N": {"type": "number", "value": -12.5},
        "Zero": {"type": "currency", "value": 0},
        "Nothing": {"type": "number", "value": null},
        "Done": {"type": "checkbox", "value": true},
        "Due": {"type": "date", "value": "2024-02-29"},
        "At": {"type": "dateTime", "value": "2026-03-29T01:30:00.000Z"},
        "Kind": {"type": "singleSelect", "value": "red"},
        "Tags": {"type": "multipleSelects", "value": ["red", "blue"]},
        "List": {"type": "multipleLookupValues", "value": [3, null, "x", ["a"], 1]},
        "Bad": {"type": "formula", "value": {"error": "#ERROR!"}}
    })
    .as_object()
    .unwrap()
    .clone()
}

/// Pieces that formulas are made of, and some that they are not.
fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec![
            "{Name}", "{N}", "{Due}", "{", "}", "(", ")", ",", "+", "-", "*", "/", "&", "=", "!=", "<", ">=",
            "\"a\"", "'b'", "\"", "'", "1", ".5", "1.2.3", "12ab", "Name", "IF(", "SWITCH(", "LEN(", "“",
            "//", "==", "?", "\\", " ", "\n", "💰", "\u{0}", "TRUE()", "values",
        ])
        .prop_map(str::to_owned),
        any::<String>(),
    ]
}

/// Formulas that are well formed, over the fields above, of any types.
pub(super) fn formula() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        prop::sample::select(vec![
            "{Name}",
            "{Empty}",
            "{N}",
            "{Zero}",
            "{Nothing}",
            "{Done}",
            "{Due}",
            "{At}",
            "{Kind}",
            "{Tags}",
            "{List}",
            "{Bad}",
            "0",
            "1",
            "2.5",
            "\"\"",
            "\"a\"",
            "\"2024-03-31\"",
            "\"days\"",
            "\"YYYY-MM-DD\"",
            "\"[a-z]+\"",
            "\"12\"",
            "BLANK()",
            "TRUE()",
            "ERROR()",
            "TODAY()",
            "1 / 0",
        ])
        .prop_map(str::to_owned),
        (-50i32..50).prop_map(|n| n.to_string()),
    ];
    leaf.prop_recursive(5, 60, 5, |inner| {
        let operator = prop::sample::select(vec!["+", "-", "*", "/", "&", "=", "!=", "<", "<=", ">", ">="]);
        let functions: Vec<Function> = Function::all().filter(|f| *f != Function::LastModifiedTime).collect();
        prop_oneof![
            (inner.clone(), operator, inner.clone()).prop_map(|(a, o, b)| format!("({a} {o} {b})")),
            inner.clone().prop_map(|a| format!("-({a})")),
            (prop::sample::select(functions), prop::collection::vec(inner, 6)).prop_map(
                |(function, args)| {
                    let signature = function.signature();
                    let count = (0..=6).rev().find(|n| signature.takes(*n)).unwrap_or(0);
                    let least = (0..=6).find(|n| signature.takes(*n)).unwrap_or(0);
                    let taken = least + args[0].len() % (count - least + 1);
                    let taken = (taken..=6).find(|n| signature.takes(*n)).unwrap_or(count);
                    format!("{}({})", signature.name, args[..taken].join(", "))
                }
            ),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_read_or_refused(pieces in prop::collection::vec(piece(), 0..40)) {
        let text = pieces.concat();
        let (tree, problems) = parse(&text);
        prop_assert!(problems.len() <= MAX_PROBLEMS);
        for problem in &problems {
            prop_assert!(problem.span.start <= problem.span.end && problem.span.end as usize <= text.len());
            prop_assert!(text.is_char_boundary(problem.span.start as usize) && text.is_char_boundary(problem.span.end as usize));
        }
        let given = Given::read(&fields(), 0).unwrap();
        let mut more = problems.clone();
        let facts = resolve(&tree, &given.scope, &mut more);
        explain(&tree, &facts).lines(100);
        if problems.iter().all(|p| !p.is_error()) {
            let again = print(&tree);
            let (second, _) = parse(&again);
            prop_assert!(second.same(&tree), "{text:?} → {again:?}");
        }
    }

    #[test]
    fn printing_and_reading_give_the_same_tree(text in formula()) {
        let (tree, problems) = parse(&text);
        prop_assert!(problems.is_empty(), "{text}: {problems:?}");
        for printed in [print(&tree), pretty(&tree)] {
            let (again, problems) = parse(&printed);
            prop_assert!(problems.is_empty(), "{printed}: {problems:?}");
            prop_assert!(again.same(&tree), "{text}\n{printed}");
            prop_assert_eq!(print(&again), print(&tree));
            prop_assert_eq!(pretty(&again), pretty(&tree));
        }
    }

    #[test]
    fn rows_and_columns_agree_within_their_bounds(text in formula()) {
        let given = Given::read(&fields(), 1_700_000_000_000).unwrap();
        let (program, _) = compile(&text, &given.scope).unwrap();
        let arena = Bump::new();
        let work = Work::new(&arena, 1_700_000_000_000);
        let row = program.row(&given.row, 0, &work);
        let lane = program.rows(&given.row, 0, 3, &work);
        for at in 0..3 {
            prop_assert_eq!(row.json(), lane.at(at).json(), "{}", text);
        }
        if let Found::Text(text) = row {
            prop_assert!(text.len() <= MAX_TEXT_RESULT);
        }
        if let Found::Error(_) = row {
            let span = program.blame(&given.row, 0, &work);
            prop_assert!(span.end as usize <= text.len());
        }
        program.trace(&given.row, 0, &work, 50);
    }
}
