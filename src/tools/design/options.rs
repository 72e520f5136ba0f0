//! The options of fields: friendly arguments and names, as the engine takes them.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tablewright_core::model::field::ThroughLink;
use tablewright_core::model::{Base, Field, FieldType, Table};
use tablewright_core::suggest::{did_you_mean, nearest};
use tablewright_core::{Code, Fault};

use crate::write::accept_value;

/// The types of fields that can be made, with the options each has.
const TYPES: [(&str, &[&str]); 31] = [
    ("singleLineText", &[]),
    ("multilineText", &[]),
    ("richText", &[]),
    ("email", &[]),
    ("url", &[]),
    ("phoneNumber", &[]),
    ("number", &["precision"]),
    ("currency", &["precision", "symbol"]),
    ("percent", &["precision"]),
    ("duration", &["durationFormat"]),
    ("rating", &["max", "icon", "color"]),
    ("checkbox", &["icon", "color"]),
    ("date", &["dateFormat"]),
    ("dateTime", &["dateFormat", "timeFormat", "timeZone"]),
    ("singleSelect", &["choices"]),
    ("multipleSelects", &["choices"]),
    ("singleCollaborator", &[]),
    ("multipleCollaborators", &[]),
    ("multipleRecordLinks", &["linkedTableId", "prefersSingleRecordLink", "viewIdForRecordSelection"]),
    ("multipleAttachments", &[]),
    ("barcode", &[]),
    ("formula", &["formula", "result"]),
    ("rollup", &["recordLinkFieldId", "fieldIdInLinkedTable", "formula", "result"]),
    ("multipleLookupValues", &["recordLinkFieldId", "fieldIdInLinkedTable"]),
    ("count", &["recordLinkFieldId"]),
    ("autoNumber", &[]),
    ("createdTime", &["result"]),
    ("lastModifiedTime", &["result", "referencedFieldIds"]),
    ("createdBy", &[]),
    ("lastModifiedBy", &[]),
    ("button", &["label", "formula"]),
];
/// Options that describe_base shows and that nobody sets.
const DERIVED: [&str; 5] = ["isValid", "isReversed", "inverseLinkFieldId", "referencedFieldIds", "result"];

/// What a caller says about how a field works.
#[derive(Debug, Default)]
pub(super) struct Given {
    pub(super) choices: Option<Vec<ChoiceSpec>>,
    pub(super) formula: Option<String>,
    pub(super) links_to: Option<String>,
    pub(super) through: Option<String>,
    pub(super) source: Option<String>,
    pub(super) options: Option<Map<String, Value>>,
}

/// A choice: its name, or an object.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(super) struct ChoiceSpec(Value);

impl JsonSchema for ChoiceSpec {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Choice".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": ["string", "object"] })
    }
}

fn bad(message: impl Into<String>) -> Fault {
    Fault::new(Code::InvalidArguments, message)
}

/// The options a type has; refuses a type that cannot be made.
pub(super) fn known(type_name: &str) -> Result<&'static [&'static str], Fault> {
    if let Some((_, options)) = TYPES.iter().find(|(name, _)| *name == type_name) {
        return Ok(options);
    }
    let names: Vec<&str> = TYPES.iter().map(|(name, _)| *name).collect();
    let near = did_you_mean(&nearest(type_name, names.iter().copied()));
    let shown: String = type_name.chars().take(60).collect();
    Err(bad(format!("no field of type {shown:?} can be made.{near} Types: {}.", names.join(", "))))
}

impl Given {
    /// True when it says nothing.
    pub(super) fn is_empty(&self) -> bool {
        let Self { choices, formula, links_to, through, source, options } = self;
        choices.is_none()
            && formula.is_none()
            && links_to.is_none()
            && through.is_none()
            && source.is_none()
            && options.is_none()
    }

    /// All of it as options of this type, texts whole again. Names are still names.
    pub(super) fn options(self, type_name: &str) -> Result<Map<String, Value>, Fault> {
        let known = known(type_name)?;
        let mut options = Map::new();
        for (key, value) in self.options.unwrap_or_default() {
            if known.contains(&key.as_str()) {
                options.insert(key, accept_value(value)?);
            } else if !DERIVED.contains(&key.as_str()) {
                let has = match known {
                    [] => "it has none".to_owned(),
                    _ => format!("it has {}", known.join(", ")),
                };
                let near = did_you_mean(&nearest(&key, known.iter().copied()));
                let shown: String = key.chars().take(60).collect();
                return Err(bad(format!("a {type_name} has no option {shown:?}.{near} Options: {has}.")));
            }
        }
        let choices = self.choices.map(|all| Value::Array(all.into_iter().map(|c| c.0).collect()));
        for (argument, key, value) in [
            ("choices", "choices", choices),
            ("formula", "formula", self.formula.map(Value::from)),
            ("links_to", "linkedTableId", self.links_to.map(Value::from)),
            ("through", "recordLinkFieldId", self.through.map(Value::from)),
            ("source", "fieldIdInLinkedTable", self.source.map(Value::from)),
        ] {
            let Some(value) = value else { continue };
            if !known.contains(&key) {
                return Err(bad(format!("a {type_name} takes no {argument}.")));
            }
            if options.insert(key.into(), accept_value(value)?).is_some() {
                return Err(bad(format!(
                    "{argument} and options.{key} are the same thing; send one of them."
                )));
            }
        }
        for (key, value) in &mut options {
            match (key.as_str(), &*value) {
                ("choices", Value::Array(all)) => {
                    *value = all.iter().map(choice).collect::<Result<_, _>>()?;
                }
                ("dateFormat" | "timeFormat", Value::String(name)) => *value = json!({ "name": name }),
                ("result", Value::String(name)) => *value = json!({ "type": name }),
                _ => {}
            }
        }
        Ok(options)
    }
}

/// A choice as an object.
fn choice(given: &Value) -> Result<Value, Fault> {
    let known = |map: &Map<String, Value>| {
        map.iter().all(|(key, value)| matches!(key.as_str(), "id" | "name" | "color") && value.is_string())
    };
    match given {
        Value::String(name) => Ok(json!({ "name": name })),
        Value::Object(map) if known(map) => Ok(given.clone()),
        _ => Err(bad("a choice is a name, or an object with name, color and the id of one that is there.")),
    }
}

fn text<'a>(options: &'a Map<String, Value>, key: &str) -> Result<Option<&'a str>, Fault> {
    match options.get(key) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(bad(format!("options.{key} must be a name or an id."))),
    }
}

/// The table a link leads to.
pub(super) fn linked<'a>(base: &'a Base, options: &Map<String, Value>) -> Result<&'a Table, Fault> {
    match text(options, "linkedTableId")? {
        Some(name) => base.table(name),
        None => Err(bad("say links_to: the table the link leads to.")),
    }
}

/// Puts ids in the place of names. `held` is what the field is now, if it is there.
pub(super) fn by_id(
    options: &mut Map<String, Value>,
    base: &Base,
    table: &Table,
    type_name: &str,
    held: Option<&Field>,
) -> Result<(), Fault> {
    match type_name {
        "multipleRecordLinks" if held.is_none() || options.contains_key("linkedTableId") => {
            let other = linked(base, options)?;
            if let Some(view) = text(options, "viewIdForRecordSelection")? {
                let view = other.view(view)?.id;
                options.insert("viewIdForRecordSelection".into(), json!(view));
            }
            options.insert("linkedTableId".into(), json!(other.id));
        }
        "multipleLookupValues" | "rollup" | "count" => through(options, base, table, type_name, held)?,
        "lastModifiedTime" => {
            let Some(watched) = options.get("referencedFieldIds") else { return Ok(()) };
            let names =
                watched.as_array().ok_or_else(|| bad("options.referencedFieldIds must be a list."))?;
            let ids = names.iter().map(|name| {
                let name =
                    name.as_str().ok_or_else(|| bad("options.referencedFieldIds must name fields."))?;
                Ok(json!(table.field(name)?.id))
            });
            let ids = ids.collect::<Result<_, Fault>>()?;
            options.insert("referencedFieldIds".into(), ids);
        }
        _ => {}
    }
    Ok(())
}

fn through(
    options: &mut Map<String, Value>,
    base: &Base,
    table: &Table,
    type_name: &str,
    held: Option<&Field>,
) -> Result<(), Fault> {
    let now = match held.map(|field| &field.kind) {
        Some(FieldType::Lookup(now) | FieldType::Rollup(now, _) | FieldType::Count(now)) => now.clone(),
        _ => ThroughLink::default(),
    };
    let link = match text(options, "recordLinkFieldId")? {
        Some(name) => Some(table.field(name)?),
        None => now.record_link_field_id.and_then(|id| table.field_by_id(id)),
    };
    let link = link.ok_or_else(|| {
        bad(format!("say through: the link field of {:?} that the {type_name} goes through.", table.name))
    })?;
    let Some(other) = link.link().and_then(|link| base.table_by_id(link.linked_table_id)) else {
        let links: Vec<String> =
            table.fields.iter().filter(|f| f.link().is_some()).map(|f| format!("{:?}", f.name)).collect();
        let has = if links.is_empty() { "has none".to_owned() } else { format!("has {}", links.join(", ")) };
        return Err(bad(format!(
            "through must be a link field; {:?} is a {}, and table {:?} {has}.",
            link.name, link.type_name, table.name
        )));
    };
    options.insert("recordLinkFieldId".into(), json!(link.id));
    if type_name == "count" {
        return Ok(());
    }
    let source = match text(options, "fieldIdInLinkedTable")? {
        Some(name) => Some(other.field(name)?),
        None => now.field_id_in_linked_table.and_then(|id| other.field_by_id(id)),
    };
    let source = source.ok_or_else(|| {
        bad(format!("say source: the field of {:?} that the {type_name} shows.", other.name))
    })?;
    options.insert("fieldIdInLinkedTable".into(), json!(source.id));
    Ok(())
}
