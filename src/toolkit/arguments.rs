//! Arguments: schemas small enough for a context window, and errors that say what to send.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use tablewright_core::suggest::{did_you_mean, nearest};
use tablewright_core::{Code, Fault};

/// The JSON Schema of a type as tools show it: no titles, no nulls, nothing said twice.
pub fn schema_of<T: JsonSchema>() -> Map<String, Value> {
    let settings = SchemaSettings::draft2020_12().with(|s| {
        s.inline_subschemas = true;
        s.meta_schema = None;
    });
    let mut schema = settings.into_generator().into_root_schema_for::<T>().to_value();
    tidy(&mut schema);
    match schema {
        Value::Object(mut map) => {
            map.remove("description");
            map
        }
        _ => Map::new(),
    }
}

/// Every object in a schema, the outer ones first.
fn each_object(map: &mut Map<String, Value>, change: &impl Fn(&mut Map<String, Value>)) {
    fn walk(value: &mut Value, change: &impl Fn(&mut Map<String, Value>)) {
        match value {
            Value::Object(map) => each_object(map, change),
            Value::Array(items) => items.iter_mut().for_each(|item| walk(item, change)),
            _ => {}
        }
    }
    change(map);
    map.values_mut().for_each(|value| walk(value, change));
}

/// A schema in as few words as a model needs.
pub fn terse(mut schema: Map<String, Value>) -> Map<String, Value> {
    each_object(&mut schema, &|map| {
        list_texts(map);
        // What is said of a list says enough of its items.
        if map.get("description").is_some_and(Value::is_string)
            && let Some(Value::Object(items)) = map.get_mut("items")
            && items.contains_key("properties")
        {
            items.shift_remove("description");
        }
        for (key, usual) in [("default", false), ("additionalProperties", true)] {
            if map.get(key) == Some(&Value::Bool(usual)) {
                map.shift_remove(key);
            }
        }
    });
    schema
}

/// A schema without its words: of results, which speak for themselves.
pub fn without_words(mut schema: Map<String, Value>) -> Map<String, Value> {
    each_object(&mut schema, &|map| {
        if map.get("description").is_some_and(Value::is_string) {
            map.shift_remove("description");
        }
    });
    schema
}

/// One of several texts, each said to be one of one: a plain list of them.
fn list_texts(map: &mut Map<String, Value>) {
    let Some(Value::Array(variants)) = map.get("oneOf") else { return };
    let texts: Option<Vec<Value>> =
        variants.iter().map(|v| v.get("const").filter(|text| text.is_string()).cloned()).collect();
    if let Some(texts) = texts {
        map.shift_remove("oneOf");
        map.insert("type".into(), Value::from("string"));
        map.insert("enum".into(), Value::Array(texts));
    }
}

fn tidy(value: &mut Value) {
    match value {
        Value::Object(map) => {
            for key in ["title", "format", "$schema"] {
                if map.get(key).is_some_and(Value::is_string) {
                    map.remove(key);
                }
            }
            if map.get("default").is_some_and(Value::is_null) {
                map.remove("default");
            }
            if let Some(Value::Array(types)) = map.get_mut("type") {
                types.retain(|t| t != "null");
                if let [only] = types.as_slice() {
                    let only = only.clone();
                    map.insert("type".into(), only);
                }
            }
            if let Some(Value::Array(variants)) = map.get_mut("anyOf") {
                variants.retain(|v| v.get("type").and_then(Value::as_str) != Some("null"));
                if let [Value::Object(only)] = variants.as_slice() {
                    let only = only.clone();
                    map.remove("anyOf");
                    for (key, value) in only {
                        map.entry(key).or_insert(value);
                    }
                }
            }
            if let Some(Value::Array(values)) = map.get_mut("enum") {
                values.retain(|v| !v.is_null());
            }
            for key in ["minimum", "maximum"] {
                if let Some(number) = map.get(key).and_then(Value::as_f64)
                    && number.fract() == 0.0
                {
                    map.insert(key.into(), Value::from(number as i64));
                }
            }
            if map.get("minimum").and_then(Value::as_i64) == Some(0) {
                map.remove("minimum");
            }
            map.values_mut().for_each(tidy);
        }
        Value::Array(items) => items.iter_mut().for_each(tidy),
        _ => {}
    }
}

fn properties(schema: &Map<String, Value>) -> Vec<&str> {
    schema
        .get("properties")
        .and_then(Value::as_object)
        .map_or(Vec::new(), |p| p.keys().map(String::as_str).collect())
}

/// Reads a tool's arguments. A `null` argument counts as left out.
pub fn decode<T: DeserializeOwned>(
    schema: &Map<String, Value>,
    mut given: Map<String, Value>,
) -> Result<T, Fault> {
    given.retain(|_, value| !value.is_null());
    let known = properties(schema);
    if let Some(unknown) = given.keys().find(|key| !known.contains(&key.as_str())) {
        let near = nearest(unknown, known.iter().copied());
        let shown: String = unknown.chars().take(60).collect();
        return Err(Fault::new(
            Code::InvalidArguments,
            format!(
                "there is no argument {shown:?}.{} Arguments: {}.",
                did_you_mean(&near),
                if known.is_empty() { "none".to_owned() } else { known.join(", ") }
            ),
        ));
    }
    let required = schema.get("required").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let missing: Vec<&str> =
        required.iter().filter_map(Value::as_str).filter(|key| !given.contains_key(*key)).collect();
    if !missing.is_empty() {
        return Err(Fault::new(
            Code::InvalidArguments,
            format!("missing: {}. {}", missing.join(", "), explain(schema, &missing)),
        ));
    }
    serde_path_to_error::deserialize(Value::Object(given)).map_err(|error| {
        let path = error.path().to_string();
        let top = path.split(['.', '[']).next().unwrap_or_default();
        let problem: String = in_plain_words(&error.inner().to_string()).chars().take(300).collect();
        Fault::new(Code::InvalidArguments, format!("argument {path}: {problem}. {}", explain(schema, &[top])))
    })
}

/// What serde says of a wrong value, with JSON's names in place of Rust's.
pub fn in_plain_words(problem: &str) -> String {
    if problem.starts_with("data did not match any variant") {
        return "it has none of the shapes this takes".to_owned();
    }
    let Some((given, expected)) = problem.rsplit_once(", expected ") else { return problem.to_owned() };
    let given = match given {
        "invalid type: map" => "invalid type: object",
        "invalid type: sequence" => "invalid type: array",
        other => other,
    };
    let expected = match expected {
        "usize" | "u8" | "u16" | "u32" | "u64" => "a whole number from 0",
        "isize" | "i32" | "i64" => "a whole number",
        "a sequence" => "an array",
        "a map" => "an object",
        other if other.starts_with("struct ") => "an object",
        other => other,
    };
    format!("{given}, expected {expected}")
}

/// What the named arguments are, as their schema says.
fn explain(schema: &Map<String, Value>, names: &[&str]) -> String {
    let said: Vec<String> = names
        .iter()
        .filter_map(|name| {
            let property = schema.get("properties")?.get(*name)?;
            let about = property.get("description").and_then(Value::as_str);
            let about = about.map(|text| format!(": {text}")).unwrap_or_default();
            Some(format!("{name} ({}){about}", kind(property)))
        })
        .collect();
    said.join(" ")
}

/// The kind of value a schema asks for, such as "array of {field, direction}".
fn kind(schema: &Value) -> String {
    let Some(Value::String(name)) = schema.get("type") else {
        let several = schema.get("type").and_then(Value::as_array).into_iter().flatten();
        let several: Vec<&str> = several.filter_map(Value::as_str).collect();
        return if several.is_empty() { "value".to_owned() } else { several.join(" or ") };
    };
    match (name.as_str(), schema.get("items"), schema.get("properties")) {
        ("array", Some(items), _) => format!("array of {}", kind(items)),
        ("object", _, Some(Value::Object(properties))) => {
            let keys: Vec<&str> = properties.keys().map(String::as_str).collect();
            format!("{{{}}}", keys.join(", "))
        }
        _ => name.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;
    use serde_json::json;

    #[derive(Debug, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    struct Args {
        /// A table.
        table: String,
        /// Rows.
        #[schemars(range(min = 1, max = 1000))]
        limit: Option<u32>,
    }

    fn decode_json(value: Value) -> Result<Args, Fault> {
        decode(&schema_of::<Args>(), value.as_object().unwrap().clone())
    }

    #[test]
    fn schemas_are_small() {
        assert_eq!(
            Value::Object(schema_of::<Args>()),
            json!({
                "type": "object",
                "properties": {
                    "table": {"type": "string", "description": "A table."},
                    "limit": {"type": "integer", "description": "Rows.", "minimum": 1, "maximum": 1000}
                },
                "additionalProperties": false,
                "required": ["table"]
            })
        );
    }

    #[derive(Debug, Deserialize, JsonSchema)]
    #[expect(dead_code, reason = "only its schema is used")]
    struct Sorted {
        /// The order.
        sort: Vec<Step>,
        #[serde(default)]
        strict: bool,
    }

    /// A step.
    #[derive(Debug, Deserialize, JsonSchema)]
    #[expect(dead_code, reason = "only its schema is used")]
    struct Step {
        direction: Direction,
        options: Map<String, Value>,
    }

    /// Which way.
    #[derive(Debug, Deserialize, JsonSchema)]
    #[serde(rename_all = "lowercase")]
    enum Direction {
        /// Up.
        Asc,
        /// Down.
        Desc,
    }

    #[test]
    fn nothing_is_said_twice() {
        let step = |words: bool| {
            let mut direction = json!({"type": "string", "enum": ["asc", "desc"]});
            if words {
                direction["description"] = json!("Which way.");
            }
            json!({"type": "object", "properties": {"direction": direction, "options": {"type": "object"}},
                "required": ["direction", "options"]})
        };
        let sorted = |words: bool| {
            let mut sort = json!({"type": "array", "items": step(words)});
            if words {
                sort["description"] = json!("The order.");
            }
            json!({"type": "object", "properties": {"sort": sort, "strict": {"type": "boolean"}},
                "required": ["sort"]})
        };
        assert_eq!(Value::Object(terse(schema_of::<Sorted>())), sorted(true));
        assert_eq!(Value::Object(without_words(terse(schema_of::<Sorted>()))), sorted(false));
    }

    #[test]
    fn errors_say_what_to_send() {
        let ok = decode_json(json!({"table": "T", "limit": null})).unwrap();
        assert_eq!((ok.table.as_str(), ok.limit), ("T", None));
        let unknown = decode_json(json!({"tabel": "T"})).unwrap_err().message;
        assert!(unknown.contains("Did you mean \"table\""), "{unknown}");
        let missing = decode_json(json!({})).unwrap_err().message;
        assert!(missing.contains("missing: table"), "{missing}");
        let wrong = decode_json(json!({"table": "T", "limit": "ten"})).unwrap_err().message;
        assert!(wrong.contains("expected a whole number from 0") && wrong.contains("Rows."), "{wrong}");
    }

    #[test]
    fn wrong_values_hear_the_shape_in_words_of_json() {
        let schema = schema_of::<Sorted>();
        let hear = |value: Value| {
            let given = value.as_object().unwrap().clone();
            decode::<Sorted>(&schema, given).map(|_| ()).unwrap_err().message
        };
        let text = hear(json!({"sort": "Name"}));
        assert!(
            text.contains("expected an array. sort (array of {direction, options}): The order."),
            "{text}"
        );
        let inside = hear(json!({"sort": ["Name"]}));
        assert!(inside.contains("argument sort[0]") && inside.contains("expected an object."), "{inside}");
    }
}
