//! The payloads, and bases that carry them.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::support::{Data, root};

/// A text that tries to steer.
#[derive(Debug, Clone)]
pub struct Payload {
    pub text: String,
    /// The word by which it is found again.
    pub marker: String,
}

impl Payload {
    /// What of it can be a name: on one line and not too long, as Airtable's are.
    pub fn name(&self) -> String {
        let line: String =
            self.text.chars().map(|c| if matches!(c, '\n' | '\r') { ' ' } else { c }).collect();
        line.trim().chars().take(200).collect()
    }
}

#[derive(Deserialize)]
struct File {
    payload: Vec<String>,
}

/// All payloads, each with a marker of its own.
pub fn payloads() -> Vec<Payload> {
    let folder = root().join("tests/cases/injection");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|kind| kind == "toml"));
    files.sort();
    let texts = files.iter().flat_map(|path| {
        let file: File = toml::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        file.payload
    });
    texts
        .enumerate()
        .map(|(n, text)| {
            let marker = format!("zqx{n:03}");
            let text = text.replace("{{marker}}", &marker);
            Payload { text: text.replace("{{boundary}}", "untrusted-data-AAAAAAAAAAAAAA"), marker }
        })
        .collect()
}

fn id(prefix: &str, n: usize) -> String {
    format!("{prefix}Inj{n:011}")
}

/// Two bases: `Cells`, with a record, a comment, a choice, a field and a view for each payload; and
/// `Names`, with a table for each.
pub fn carriers(data: &Data) -> Vec<Payload> {
    let all = payloads();
    import(data, "cells", &cells(&all));
    import(data, "names", &names(&all));
    all
}

fn import(data: &Data, name: &str, base: &Value) {
    let file = data.path().join(format!("{name}.json"));
    std::fs::write(&file, base.to_string()).unwrap();
    data.import(&file);
}

fn cells(all: &[Payload]) -> Value {
    let choices: Vec<Value> = all
        .iter()
        .enumerate()
        .map(|(n, payload)| json!({"id": id("sel", n), "name": payload.name(), "color": "blueBright"}))
        .collect();
    let mut fields = vec![
        json!({"id": id("fld", 900), "name": "Name", "type": "singleLineText", "description": all[0].text}),
        json!({"id": id("fld", 901), "name": "Text", "type": "multilineText"}),
        json!({"id": id("fld", 902), "name": "Rich", "type": "richText"}),
        json!({"id": id("fld", 903), "name": "Choice", "type": "singleSelect", "options": {"choices": choices}}),
        json!({"id": id("fld", 904), "name": "Files", "type": "multipleAttachments"}),
        json!({"id": id("fld", 905), "name": "Target", "type": "multilineText"}),
        json!({"id": id("fld", 906), "name": "Doubled", "type": "formula", "options": {"formula": "{Text} & {Text}"}}),
    ];
    let (mut records, mut comments) = (Vec::new(), Map::new());
    for (n, payload) in all.iter().enumerate() {
        fields.push(json!({"id": id("fld", n), "name": payload.name(), "type": "singleLineText",
                           "description": payload.text}));
        records.push(json!({"id": id("rec", n), "createdTime": "2026-01-01T00:00:00.000Z", "fields": {
            "Name": payload.name(), "Text": payload.text, "Rich": payload.text, "Choice": payload.name(),
            payload.name(): payload.name(),
        }}));
        comments.insert(
            id("rec", n),
            json!([{
                "id": id("com", n), "text": payload.text, "createdTime": "2026-01-01T00:00:00.000Z",
                "author": {"id": id("usr", n), "email": "eve@example.org", "name": payload.name()},
            }]),
        );
    }
    let views: Vec<Value> = all
        .iter()
        .enumerate()
        .map(|(n, payload)| json!({"id": id("viw", n), "name": payload.name(), "type": "grid"}))
        .collect();
    json!({
        "base": {"id": id("app", 1), "name": "Cells"},
        "tables": [{"id": id("tbl", 900), "name": "Carriers", "description": all[1].text,
                    "primaryFieldId": id("fld", 900), "fields": fields, "views": views}],
        "records": {id("tbl", 900): records},
        "comments": comments,
    })
}

fn names(all: &[Payload]) -> Value {
    let tables: Vec<Value> = all
        .iter()
        .enumerate()
        .map(|(n, payload)| {
            let field = id("fld", 2_000 + n);
            json!({"id": id("tbl", n), "name": payload.name(), "description": payload.text, "primaryFieldId": field,
                   "fields": [{"id": field, "name": payload.name(), "type": "singleLineText"}],
                   "views": [{"id": id("viw", 2_000 + n), "name": payload.name(), "type": "grid"}]})
        })
        .collect();
    json!({"base": {"id": id("app", 2), "name": all[0].name()}, "tables": tables, "records": {}})
}
