//! A write as it will be sent: fields by id, and what each record must not meet on its way.

use std::sync::Arc;

use serde_json::{Map, Value};
use tablewright_core::model::{Field, FieldId, FieldType, RecordId, Reference, Table};
use tablewright_core::{Code, Fault};

use super::queue::{Kind, Touch, Verb};
use crate::local::{Action, Write, merge_text};

/// Most fields to merge on, as in Airtable.
const MAX_MERGE_FIELDS: usize = 3;

/// One record of a write.
#[derive(Debug, Clone)]
pub(super) struct Item {
    pub(super) id: Option<RecordId>,
    /// New cells by field id.
    pub(super) cells: Map<String, Value>,
    pub(super) touch: Option<Touch>,
    /// False for a record to merge that has nothing in the merge fields: sent twice it may be made
    /// twice.
    pub(super) repeatable: bool,
    /// When it was sent for the first time, by our clock, if it may have been carried out then.
    pub(super) tried: Option<i64>,
}

/// A write that can be sent.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) kind: Kind,
    /// The records, or why they cannot be sent, in order.
    pub(super) items: Vec<Result<Item, Fault>>,
}

/// Finds the fields a write names, and refuses what cannot be sent. Whether the values fit is
/// Airtable's to say.
pub(super) fn prepare(table: &Table, write: Write) -> Result<Prepared, Fault> {
    let item = |id: Option<RecordId>, cells: Map<String, Value>| {
        let cells = by_id(table, cells)?;
        Ok(Item { id, cells, touch: id.map(Touch::Record), repeatable: true, tried: None })
    };
    let (verb, items) = match write.action {
        Action::Create(records) => {
            (Verb::Create, records.into_iter().map(|cells| item(None, cells)).collect())
        }
        Action::Update(records) => {
            (Verb::Update, records.into_iter().map(|(id, cells)| item(Some(id), cells)).collect())
        }
        Action::Replace(records) => {
            (Verb::Replace, records.into_iter().map(|(id, cells)| item(Some(id), cells)).collect())
        }
        Action::Delete(ids) => (Verb::Delete, ids.into_iter().map(|id| item(Some(id), Map::new())).collect()),
        Action::Restore { .. } => {
            return Err(Fault::new(
                Code::Internal,
                "rows of a base in Airtable are not put back as they were",
            ));
        }
        Action::Upsert { on, records, replace } => {
            let on = merge_fields(table, &on)?;
            let merged = |(id, cells)| {
                let mut item = item(id, cells)?;
                if id.is_none() {
                    let (key, blank) = key(table, &on, &item.cells, write.typecast);
                    item.touch = Some(Touch::Key(table.id, key));
                    item.repeatable = !blank;
                }
                Ok(item)
            };
            let items = records.into_iter().map(merged).collect();
            (Verb::Upsert { on, replace }, items)
        }
    };
    Ok(Prepared { kind: Kind { table: table.id, verb, typecast: write.typecast, login: None }, items })
}

fn merge_fields(table: &Table, names: &[String]) -> Result<Vec<FieldId>, Fault> {
    if !(1..=MAX_MERGE_FIELDS).contains(&names.len()) {
        let message = format!("name 1 to {MAX_MERGE_FIELDS} fields to merge on, not {}.", names.len());
        return Err(Fault::new(Code::InvalidArguments, message));
    }
    names.iter().map(|name| table.field(name).map(|field| field.id)).collect()
}

/// Cells by field id. Computed fields and fields named twice are refused.
fn by_id(table: &Table, cells: Map<String, Value>) -> Result<Map<String, Value>, Fault> {
    let mut found = Map::with_capacity(cells.len());
    for (name, mut value) in cells {
        let field = table.field(&name)?;
        if field.kind.is_computed() && field.kind != FieldType::Unknown {
            return Err(Fault::new(
                Code::ComputedField,
                format!(
                    "field {:?} is computed ({}) and cannot be written; leave it out.",
                    field.name, field.type_name
                ),
            )
            .about(field.name.as_str()));
        }
        plain_links(field, &mut value);
        if found.insert(field.id.to_string(), value).is_some() {
            return Err(Fault::new(
                Code::InvalidArguments,
                format!("field {:?} is given twice; send it once.", field.name),
            ));
        }
    }
    Ok(found)
}

/// Records to link to may be given by URL, or as objects with an id; Airtable takes ids.
fn plain_links(field: &Field, value: &mut Value) {
    let (Some(_), Value::Array(items)) = (field.link(), value) else { return };
    for item in items {
        let given = match &*item {
            Value::String(text) => text.as_str(),
            Value::Object(map) => map.get("id").and_then(Value::as_str).unwrap_or_default(),
            _ => continue,
        };
        if let Some(id) = Reference::record(given.trim()) {
            *item = Value::String(id.to_string());
        }
    }
}

/// What a record is merged on, in a form in which values that Airtable may take for equal are
/// equal; and whether there is nothing in it.
fn key(table: &Table, on: &[FieldId], cells: &Map<String, Value>, typecast: bool) -> (Arc<str>, bool) {
    let texts: Vec<String> = on
        .iter()
        .map(|id| {
            let value = cells.get(&id.to_string()).unwrap_or(&Value::Null);
            table
                .field_by_id(*id)
                .map_or_else(|| value.to_string(), |field| merge_text(field, value, typecast))
        })
        .collect();
    let blank = texts.iter().all(String::is_empty);
    // With the fields, so that keys of other merge fields are others.
    let fields: Vec<String> = on.iter().map(ToString::to_string).collect();
    (format!("{}\u{1}{}", fields.join(","), texts.join("\u{1}")).into(), blank)
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tablewright_core::model::Base;

    use super::*;

    fn base() -> Base {
        serde_json::from_value(json!({"id": "appPrepare0000001", "name": "B", "tables": [{
        "id": "tblPrepare0000001", "name": "T", "primaryFieldId": "fldPrepare0000001", "fields": [
            {"id": "fldPrepare0000001", "name": "Name", "type": "singleLineText"},
            {"id": "fldPrepare0000002", "name": "Size", "type": "number", "options": {"precision": 0}},
            {"id": "fldPrepare0000003", "name": "Sum", "type": "formula",
             "options": {"formula": "1", "result": {"type": "number", "options": {"precision": 0}}}},
            {"id": "fldPrepare0000004", "name": "Other", "type": "multipleRecordLinks",
             "options": {"linkedTableId": "tblPrepare0000001"}}
        ]}]}))
        .unwrap()
    }

    fn prepared(action: Action, typecast: bool) -> Result<Prepared, Fault> {
        let table = base().tables[0].clone();
        prepare(&table, Write { table: table.id, action, typecast, atomic: false })
    }

    fn cells(value: Value) -> Map<String, Value> {
        value.as_object().cloned().unwrap()
    }

    #[test]
    fn fields_are_sent_by_id_and_what_cannot_be_sent_is_refused() {
        let url = "https://airtable.com/appPrepare0000001/tblPrepare0000001/recPrepare0000001";
        let all = [
            json!({"Name": "a", "fldPrepare0000002": 1, "Other": [url, {"id": "recPrepare0000002"}]}),
            json!({"Nme": "a"}),
            json!({"Sum": 1}),
            json!({"Name": "a", "fldPrepare0000001": "b"}),
        ];
        let done = prepared(Action::Create(all.into_iter().map(cells).collect()), false).unwrap();
        assert_eq!(
            Value::from(done.items[0].as_ref().unwrap().cells.clone()),
            json!({"fldPrepare0000001": "a", "fldPrepare0000002": 1,
                "fldPrepare0000004": ["recPrepare0000001", "recPrepare0000002"]})
        );
        let codes: Vec<Code> = done.items[1..].iter().map(|item| item.as_ref().unwrap_err().code).collect();
        assert_eq!(codes, [Code::UnknownField, Code::ComputedField, Code::InvalidArguments]);
    }

    #[test]
    fn values_that_may_merge_touch_the_same() {
        let touch = |value: Value, typecast| {
            let records = vec![(None, cells(json!({"Name": "x", "Size": value})))];
            let action = Action::Upsert { on: vec!["Size".into()], records, replace: false };
            let item = prepared(action, typecast).unwrap().items.remove(0).unwrap();
            (item.touch, item.repeatable)
        };
        assert_eq!(touch(json!(12), false), touch(json!(12.0), false));
        assert_eq!(touch(json!("12"), true), touch(json!(12), true));
        assert_ne!(touch(json!(13), false), touch(json!(12), false));
        assert!(!touch(Value::Null, false).1 && touch(json!(0), false).1);
    }
}
