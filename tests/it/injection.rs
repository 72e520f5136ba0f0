//! Texts that try to steer a model, in every place a base has for text, read through everything that
//! reads: what they say reaches a model only inside the fence of an answer, or as a value in JSON.

mod corpus;
mod reading;
mod writing;

use std::collections::HashSet;

use serde_json::Value;
use tablewright_toolkit::text::is_hidden;

pub use corpus::{Payload, carriers, payloads};

/// What every flag of the program lets its tools do.
pub const FLAGS: [&str; 7] = [
    "--allow-write",
    "--allow-delete",
    "--allow-schema",
    "--allow-audit",
    "--allow-admin",
    "--toolsets",
    "all",
];

/// The names of fences in a text, and the text outside of them.
fn outside(text: &str) -> (Vec<String>, String) {
    let (mut names, mut rest, mut out) = (Vec::new(), text, String::new());
    while let Some(at) = rest.find("<untrusted-data-") {
        let (before, opened) = rest.split_at(at);
        let name = opened["<untrusted-data-".len()..].split('>').next().unwrap();
        let close = format!("\n</untrusted-data-{name}>\n");
        let Some(end) = opened.find(&close) else { panic!("a fence that nobody closes: {text}") };
        assert!(before.is_empty() || before.ends_with('\n'), "a fence in the middle of a line: {text}");
        out.push_str(before);
        names.push(name.to_owned());
        rest = &opened[end + close.len()..];
    }
    out.push_str(rest);
    (names, out)
}

/// An answer of a tool is safe to read: `markers` are the words of what tries to steer.
pub fn require_safe(what: &str, answer: &Value, markers: &[String]) -> HashSet<String> {
    let text = answer["content"][0]["text"].as_str().unwrap_or_else(|| panic!("{what}: {answer}"));
    assert!(!text.chars().any(is_hidden), "{what}: hidden characters: {text:?}");
    if let Some(structured) = answer.get("structuredContent") {
        let read: Value = serde_json::from_str(text).unwrap();
        assert_eq!(&read, structured, "{what}");
        return HashSet::new();
    }
    if answer["isError"] == true {
        assert!(!text.contains('\n'), "{what}: an error of several lines: {text:?}");
        return HashSet::new();
    }
    let (names, around) = outside(text);
    for marker in markers {
        assert!(!around.contains(marker.as_str()), "{what}: outside of the fence: {around}");
    }
    names.into_iter().collect()
}

#[test]
fn there_are_enough_of_them() {
    let all = payloads();
    assert!(all.len() >= 60, "{}", all.len());
    let texts: HashSet<&str> = all.iter().map(|payload| payload.text.as_str()).collect();
    assert_eq!(texts.len(), all.len());
    assert!(all.iter().all(|payload| payload.text.contains(&payload.marker)));
}
