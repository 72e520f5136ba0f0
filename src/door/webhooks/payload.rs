//! The text of payloads: what one commit means to one webhook, in pieces of a bounded size.

use serde_json::{Map, Value, json};
use tablewright_core::model::cell::instant_text;
use tablewright_core::model::{Person, RecordId};
use tablewright_engine::base::Change;

use super::specification::Source;

/// Most records of one payload.
pub(super) const MAX_RECORDS: usize = 1_000;
/// A payload that has this many bytes of cells gets no more records.
const ENOUGH_BYTES: usize = 1 << 20;

/// Payloads of one commit. They share time and transaction number.
pub(super) struct Payloads {
    head: Map<String, Value>,
    body: Map<String, Value>,
    records: usize,
    bytes: usize,
    done: Vec<String>,
}

/// The bytes a value takes as text, about.
fn weight(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) => 5,
        Value::Number(_) => 12,
        Value::String(text) => text.len() + 2,
        Value::Array(items) => 2 + items.iter().map(|item| 1 + weight(item)).sum::<usize>(),
        Value::Object(map) => 2 + map.iter().map(|(key, value)| key.len() + 4 + weight(value)).sum::<usize>(),
    }
}

/// The object at a path, made where it is not there.
fn at<'a>(body: &'a mut Map<String, Value>, path: &[&str]) -> Option<&'a mut Map<String, Value>> {
    let mut place = body;
    for key in path {
        place = place.entry(*key).or_insert_with(|| Value::Object(Map::new())).as_object_mut()?;
    }
    Some(place)
}

impl Payloads {
    /// None yet, of a commit that is transaction `number` of its base.
    pub(super) fn of(change: &Change, number: i64) -> Self {
        let source = Source::of_face(&change.author.face);
        let mut user = Person::of(&change.author.principal).to_json();
        user["permissionLevel"] = json!("create");
        let head = json!({
            "timestamp": instant_text(change.at),
            "baseTransactionNumber": number,
            "payloadFormat": "v0",
            "actionMetadata": {"source": source.as_str(), "sourceMetadata": {"user": user}},
        });
        let head = head.as_object().cloned().unwrap_or_default();
        Self { head, body: Map::new(), records: 0, bytes: 0, done: Vec::new() }
    }

    /// Puts a value under `key` of the object at `path`.
    pub(super) fn put(&mut self, path: &[&str], key: impl Into<String>, value: Value) {
        if let Some(place) = at(&mut self.body, path) {
            place.insert(key.into(), value);
        }
    }

    /// Adds an id to the list `key` of the object at `path`.
    pub(super) fn push(&mut self, path: &[&str], key: &str, id: String) {
        let list = at(&mut self.body, path).map(|place| place.entry(key).or_insert_with(|| json!([])));
        if let Some(Value::Array(ids)) = list {
            ids.push(Value::String(id));
        }
    }

    /// Puts a record under `kind` of the object at `path`; ends the payload first when it is full.
    pub(super) fn put_record(&mut self, path: &[&str], kind: &str, id: RecordId, value: Value) {
        self.make_room(weight(&value));
        if let Some(place) = at(&mut self.body, path).and_then(|place| at(place, &[kind])) {
            place.insert(id.to_string(), value);
        }
    }

    /// Adds a record that is gone; ends the payload first when it is full.
    pub(super) fn push_gone(&mut self, path: &[&str], id: RecordId) {
        self.make_room(20);
        self.push(path, "destroyedRecordIds", id.to_string());
    }

    fn make_room(&mut self, bytes: usize) {
        if self.records >= MAX_RECORDS || self.bytes >= ENOUGH_BYTES {
            self.end();
        }
        self.records += 1;
        self.bytes += bytes;
    }

    fn end(&mut self) {
        if !self.body.is_empty() {
            let mut whole = self.head.clone();
            whole.append(&mut self.body);
            self.done.push(Value::Object(whole).to_string());
        }
        (self.records, self.bytes) = (0, 0);
    }

    /// The texts of all payloads, in order; none when nothing was put.
    pub(super) fn finish(mut self) -> Vec<String> {
        self.end();
        self.done
    }

    /// The text of a payload that says that something went wrong.
    pub(super) fn error(self, code: &str) -> String {
        let mut whole = self.head;
        whole.insert("error".into(), Value::Bool(true));
        whole.insert("code".into(), json!(code));
        Value::Object(whole).to_string()
    }
}

#[cfg(test)]
mod tests {
    use tablewright_core::model::BaseId;
    use tablewright_engine::base::changes::{Author, ChangeKind};

    use super::*;

    fn change() -> Change {
        Change {
            seq: 1,
            base: BaseId::random(),
            at: 1_000,
            author: Author::of("token:Ada", "rest"),
            kind: ChangeKind::Records,
            tables: Vec::new(),
            schema: Vec::new(),
            recomputed: Vec::new(),
        }
    }

    fn split(records: usize, text: usize) -> Vec<Value> {
        let mut payloads = Payloads::of(&change(), 7);
        for _ in 0..records {
            let value = json!({"cellValuesByFieldId": {"f": "x".repeat(text)}});
            payloads.put_record(&["changedTablesById", "t"], "createdRecordsById", RecordId::random(), value);
        }
        payloads.finish().iter().map(|text| serde_json::from_str(text).unwrap()).collect()
    }

    #[test]
    fn a_large_commit_is_several_payloads_of_one_time_and_number() {
        let parts = split(2_500, 10);
        let sizes: Vec<usize> = parts
            .iter()
            .map(|p| p["changedTablesById"]["t"]["createdRecordsById"].as_object().unwrap().len())
            .collect();
        assert_eq!(sizes, [1_000, 1_000, 500]);
        for part in &parts {
            assert_eq!(part["timestamp"], "1970-01-01T00:00:01.000Z");
            assert_eq!((&part["baseTransactionNumber"], &part["payloadFormat"]), (&json!(7), &json!("v0")));
            assert_eq!(part["actionMetadata"]["source"], "publicApi");
            assert_eq!(part["actionMetadata"]["sourceMetadata"]["user"]["name"], "Ada");
        }
        assert_eq!(split(30, 100_000).len(), 3, "long cells count too");
        assert!(split(0, 0).is_empty());
    }
}
