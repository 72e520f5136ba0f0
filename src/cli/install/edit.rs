//! Editing the text of a configuration file: everything else in it stays as it is.

use jsonc_parser::ParseOptions;
use jsonc_parser::cst::{CstInputValue, CstObject, CstRootNode};
use serde_json::{Map, Value};

/// Keys that make an entry one for a server on the network.
const REMOTE: [&str; 3] = ["url", "serverUrl", "httpUrl"];

/// Comments and trailing commas, as editors write them; no other liberties.
const OPTIONS: ParseOptions = ParseOptions {
    allow_comments: true,
    allow_trailing_commas: true,
    allow_loose_object_property_names: false,
    allow_missing_commas: false,
    allow_single_quoted_strings: false,
    allow_hexadecimal_numbers: false,
    allow_unary_plus_numbers: false,
    allow_bare_decimal_point_numbers: false,
    allow_non_finite_numbers: false,
    allow_extended_string_escapes: false,
};

/// Why a text is left as it is. The caller knows which file it is from.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It is no JSON, not even with comments.
    #[error("it is not valid JSON: {reason} (line {line}, column {column})")]
    Syntax {
        /// What is wrong.
        reason: String,
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
    },
    /// A value is of another kind than the client expects.
    #[error("{0} is no object, so nothing can be put under it")]
    NoObject(String),
    /// Two values of one name, of which clients use one or the other.
    #[error("{0} is there twice; take one of them out")]
    Twice(String),
    /// The entry is for a server on the network.
    #[error(
        "{0} is there already, for a server on the network; take it out first (`--remove`), or choose another `--name`"
    )]
    Remote(String),
    /// The edit would not come out as meant.
    #[error("its layout is unusual, and an edit would change more than this entry")]
    Unsure,
}

/// What came of an edit.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The entry is new; the whole text.
    Added(String),
    /// The entry said something else; the whole text.
    Updated(String),
    /// The entry is gone; the whole text.
    Removed(String),
    /// Nothing to change.
    Same,
}

fn parse(text: &str) -> Result<CstRootNode, Error> {
    CstRootNode::parse(text, &OPTIONS).map_err(|e| Error::Syntax {
        reason: e.kind().to_string(),
        line: e.line_display(),
        column: e.column_display(),
    })
}

/// The object under `name`, or none. Shown to people as `shown`.
fn child(of: &CstObject, name: &str, shown: &str) -> Result<Option<CstObject>, Error> {
    let shown = || format!("{shown:?}");
    let mut found = of.properties().into_iter().filter(|p| p.decoded_name().as_deref() == Some(name));
    let Some(first) = found.next() else { return Ok(None) };
    if found.next().is_some() {
        return Err(Error::Twice(shown()));
    }
    first.object_value().map(Some).ok_or_else(|| Error::NoObject(shown()))
}

fn input(value: &Value) -> CstInputValue {
    match value {
        Value::Null => CstInputValue::Null,
        Value::Bool(on) => CstInputValue::Bool(*on),
        Value::Number(number) => CstInputValue::Number(number.to_string()),
        Value::String(text) => CstInputValue::String(text.clone()),
        Value::Array(items) => CstInputValue::Array(items.iter().map(input).collect()),
        Value::Object(map) => CstInputValue::Object(map.iter().map(|(k, v)| (k.clone(), input(v))).collect()),
    }
}

/// Puts `entry` under `key` and `name`. Keys of an entry that is there already and are not in
/// `entry` stay.
pub fn put(text: &str, key: &str, name: &str, entry: &Map<String, Value>) -> Result<Outcome, Error> {
    let root = parse(text)?;
    let before = root.to_serde_value();
    let whole = match root.value() {
        None => root.object_value_or_set(),
        Some(_) => root.object_value().ok_or_else(|| Error::NoObject("the file".into()))?,
    };
    let servers = match child(&whole, key, key)? {
        Some(servers) => servers,
        None => whole.object_value_or_set(key),
    };
    let old = child(&servers, name, name)?;
    let mut wanted = entry.clone();
    match &old {
        None => {
            servers.append(name, input(&Value::Object(entry.clone())));
        }
        Some(old) => {
            if REMOTE.iter().any(|remote| old.get(remote).is_some()) {
                return Err(Error::Remote(format!("{name:?}")));
            }
            let mut same = true;
            for (part, value) in entry {
                match old.get(part) {
                    None => {
                        old.append(part, input(value));
                        same = false;
                    }
                    Some(there) if there.to_serde_value().as_ref() != Some(value) => {
                        there.set_value(input(value));
                        same = false;
                    }
                    Some(_) => {}
                }
            }
            if same {
                return Ok(Outcome::Same);
            }
            let kept = pointer(before.as_ref(), key, name).and_then(Value::as_object);
            for (part, value) in kept.into_iter().flatten() {
                wanted.entry(part.clone()).or_insert_with(|| value.clone());
            }
        }
    }
    let edited = finished(text, &root);
    let mut expected = before.unwrap_or_else(|| Value::Object(Map::new()));
    expected[key][name] = Value::Object(wanted);
    sure(&edited, &expected)?;
    Ok(if old.is_some() { Outcome::Updated(edited) } else { Outcome::Added(edited) })
}

/// Takes out what is under `key` and `name`.
pub fn remove(text: &str, key: &str, name: &str) -> Result<Outcome, Error> {
    let root = parse(text)?;
    let mut expected = root.to_serde_value();
    let Some(whole) = root.object_value() else { return Ok(Outcome::Same) };
    let Some(servers) = child(&whole, key, key)? else { return Ok(Outcome::Same) };
    // Whatever it is: a person said it must go.
    let Some(property) = servers.get(name) else { return Ok(Outcome::Same) };
    property.remove();
    let edited = finished(text, &root);
    if let Some(servers) = expected.as_mut().and_then(|v| v.get_mut(key)).and_then(Value::as_object_mut) {
        servers.shift_remove(name);
    }
    sure(&edited, &expected.unwrap_or_default())?;
    Ok(Outcome::Removed(edited))
}

fn pointer<'a>(value: Option<&'a Value>, key: &str, name: &str) -> Option<&'a Value> {
    value?.get(key)?.get(name)
}

fn finished(before: &str, root: &CstRootNode) -> String {
    let mut text = root.to_string();
    if before.trim().is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    text
}

/// Reads the edited text once more: it must say what was meant and nothing else.
fn sure(edited: &str, expected: &Value) -> Result<(), Error> {
    let read = parse(edited).ok().and_then(|root| root.to_serde_value());
    if read.as_ref() == Some(expected) { Ok(()) } else { Err(Error::Unsure) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn entry() -> Map<String, Value> {
        serde_json::json!({"command": "C:\\a \"b\"\\tw.exe", "args": ["serve"]}).as_object().cloned().unwrap()
    }

    fn added(text: &str) -> String {
        match put(text, "servers", "tw", &entry()) {
            Ok(Outcome::Added(text) | Outcome::Updated(text)) => text,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_new_file_is_laid_out() {
        let text = added("");
        assert_eq!(
            text,
            "{\n  \"servers\": {\n    \"tw\": {\n      \"command\": \"C:\\\\a \\\"b\\\"\\\\tw.exe\",\n      \"args\": [\"serve\"]\n    }\n  }\n}\n"
        );
        assert_eq!(put(&text, "servers", "tw", &entry()), Ok(Outcome::Same));
        assert_eq!(remove(&text, "servers", "tw"), Ok(Outcome::Removed("{\n  \"servers\": {}\n}\n".into())));
    }

    #[test]
    fn comments_order_and_commas_stay() {
        let text = "// mine\n{\n\t\"z\": 1.50, // one\n\t\"servers\": {\n\t\t/* b */ \"b\": { \"command\": \"b\" }, // of b\n\t},\n\t\"a\": [1, 2,],\n}\n";
        let edited = added(text);
        for kept in [
            "// mine\n{\n\t\"z\": 1.50, // one\n",
            "/* b */ \"b\": { \"command\": \"b\" }, // of b\n",
            "\t\"a\": [1, 2,],\n}\n",
        ] {
            assert!(edited.contains(kept), "{edited}");
        }
        assert!(edited.contains("\t\t\"tw\": {\n\t\t\t\"command\""), "{edited}");
        let Ok(Outcome::Removed(back)) = remove(&edited, "servers", "tw") else { panic!() };
        assert_eq!(back, text);
    }

    #[test]
    fn what_is_in_an_entry_stays_but_for_what_is_set() {
        let text = "{\"servers\": {\"tw\": {\"command\": \"old\", \"env\": {\"A\": \"1\"}}}}";
        let edited = added(text);
        let value: Value = serde_json::from_str(&edited).unwrap();
        assert_eq!(value["servers"]["tw"]["env"]["A"], "1");
        assert_eq!(value["servers"]["tw"]["args"][0], "serve");
        assert_eq!(value["servers"]["tw"]["command"], entry()["command"]);
    }

    #[test]
    fn what_cannot_be_edited_is_refused() {
        let refused = |text: &str| put(text, "servers", "tw", &entry()).unwrap_err();
        assert!(matches!(refused("{\n  \"a\": 1,\n  b\n}"), Error::Syntax { line: 3, column: 3, .. }));
        assert!(matches!(refused("{'a': 1}"), Error::Syntax { line: 1, .. }));
        assert!(matches!(refused("{\"a\": 1 \"b\": 2}"), Error::Syntax { line: 1, .. }));
        assert!(matches!(refused(&"[".repeat(100_000)), Error::Syntax { .. }));
        assert_eq!(refused("[]"), Error::NoObject("the file".into()));
        assert_eq!(refused("{\"servers\": []}"), Error::NoObject("\"servers\"".into()));
        assert_eq!(refused("{\"servers\": {\"tw\": null}}"), Error::NoObject("\"tw\"".into()));
        assert_eq!(refused("{\"servers\": {}, \"\\u0073ervers\": {}}"), Error::Twice("\"servers\"".into()));
        assert_eq!(refused("{\"servers\": {\"tw\": {\"url\": \"u\"}}}"), Error::Remote("\"tw\"".into()));
        assert!(matches!(
            remove("{\"servers\": {\"tw\": {\"url\": \"u\"}}}", "servers", "tw"),
            Ok(Outcome::Removed(_))
        ));
        assert_eq!(remove("{\"servers\": {}}", "servers", "tw"), Ok(Outcome::Same));
        assert_eq!(remove("", "servers", "tw"), Ok(Outcome::Same));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[\\[\\]{}:, \n\"/*a1.\\\\-]{0,40}") {
            for text in [text.clone(), format!("{{\"servers\": {text}}}"), format!("{{{text}\"servers\":{{{text}}}}}")] {
                if let Ok(Outcome::Added(edited)) = put(&text, "servers", "tw", &entry()) {
                    prop_assert_eq!(put(&edited, "servers", "tw", &entry()), Ok(Outcome::Same));
                }
                let _ = remove(&text, "servers", "tw");
            }
        }
    }
}
