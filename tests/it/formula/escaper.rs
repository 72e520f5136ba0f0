//! Formulas that are built from values: one escaper, and nothing gets out of it.

use proptest::prelude::*;
use tablewright_formula::syntax::{Kind, field_name, parse, quoted};

use crate::support::root;

/// The texts and the names of fields in a formula, in order, and how many other parts it has.
fn leaves(formula: &str) -> (Vec<String>, Vec<String>, usize) {
    let (tree, problems) = parse(formula);
    assert!(problems.is_empty(), "{formula:?}: {problems:?}");
    let (mut texts, mut fields, mut others) = (Vec::new(), Vec::new(), 0);
    for node in tree.nodes() {
        match &node.kind {
            Kind::Text(text) => texts.push(text.clone()),
            Kind::Field(name) => fields.push(name.clone()),
            _ => others += 1,
        }
    }
    (texts, fields, others)
}

/// Texts in which what formulas are made of comes up often.
fn hostile() -> impl Strategy<Value = String> {
    let pieces = prop_oneof![
        4 => "[\"'\\\\{}(),&=]{1,4}",
        1 => Just("\") & RECORD_ID() & (\"".to_owned()),
        1 => Just("}\" & \"{".to_owned()),
        1 => Just("\u{201C}\u{201D}\u{202E}\u{0}\r\n\t".to_owned()),
        3 => ".{0,8}",
        1 => any::<char>().prop_map(String::from),
    ];
    proptest::collection::vec(pieces, 0..8).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn a_text_in_quotes_is_that_text_and_nothing_else(text in hostile(), other in hostile()) {
        prop_assert_eq!(leaves(&quoted(&text)), (vec![text.clone()], Vec::new(), 0));
        let formula = format!("CONCATENATE({}, {})", quoted(&text), quoted(&other));
        prop_assert_eq!(leaves(&formula), (vec![text, other], Vec::new(), 1));
    }

    #[test]
    fn a_name_in_braces_is_that_field_and_nothing_else(name in hostile(), text in hostile()) {
        prop_assume!(!name.trim().is_empty());
        let formula = format!("{} = {}", field_name(&name), quoted(&text));
        prop_assert_eq!(leaves(&formula), (vec![text], vec![name], 1));
    }
}

/// A line that names a function of the language and puts something between quotes in it.
fn is_by_hand(line: &str) -> bool {
    let calls = line.match_indices('(').any(|(at, _)| {
        let name = line[..at].chars().rev().take_while(|c| c.is_ascii_uppercase() || *c == '_').count();
        name >= 2
    });
    calls && (line.contains("\\\"{") || line.contains("'{"))
}

/// Whoever puts a value between quotes by hand puts it past the escaper.
#[test]
fn no_formula_is_built_without_it() {
    let mut looked_at = 0;
    let mut folders = vec![root().join("src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|kind| kind == "rs") && !path.ends_with("syntax/print.rs")
            {
                looked_at += 1;
                let text = std::fs::read_to_string(&path).unwrap();
                for (n, line) in text.lines().enumerate().filter(|(_, line)| line.contains("format!(")) {
                    assert!(!is_by_hand(line), "{}:{}: {line}", path.display(), n + 1);
                }
            }
        }
    }
    assert!(looked_at > 200, "{looked_at}");
    assert!(is_by_hand(r#"format!("RECORD_ID()=\"{id}\"")"#));
}
