//! Fields: every type of the Web API with the options the engine needs.
//!
//! The options as they were read are kept beside the typed view of them, so that keys and
//! types this version does not know survive a round trip.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::id::{ChoiceId, FieldId, TableId, ViewId};
use super::mask::Mask;
use crate::fault::{Code, Fault};

/// One choice of a select field.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Choice {
    /// Its id; made when a file gives none.
    #[serde(default = "ChoiceId::random")]
    pub id: ChoiceId,
    /// What people see; unique within the field.
    pub name: String,
    /// One of Airtable's colour names, such as `blueLight2`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub color: Option<String>,
}

/// Options of a link field.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LinkOptions {
    /// The table linked to.
    pub linked_table_id: TableId,
    /// The field on the other side that is kept in step.
    #[serde(default)]
    pub inverse_link_field_id: Option<FieldId>,
    /// Only a hint for editors: one record is meant.
    #[serde(default)]
    pub prefers_single_record_link: bool,
    /// The view records are picked from.
    #[serde(default)]
    pub view_id_for_record_selection: Option<ViewId>,
}

/// Where a lookup, rollup or count gets its values.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ThroughLink {
    /// The link field of this table.
    pub record_link_field_id: Option<FieldId>,
    /// The field of the linked table.
    pub field_id_in_linked_table: Option<FieldId>,
    /// The rollup's formula over `values`.
    pub formula: Option<String>,
}

/// What a field holds.
#[derive(Debug, Clone, PartialEq)]
pub enum FieldType {
    /// `singleLineText`
    SingleLineText,
    /// `multilineText`
    MultilineText,
    /// `richText`
    RichText,
    /// `email`
    Email,
    /// `url`
    Url,
    /// `phoneNumber`
    PhoneNumber,
    /// `number`, with digits after the point (0 to 8).
    Number {
        /// Digits after the point.
        precision: u8,
    },
    /// `currency`
    Currency {
        /// Digits after the point (0 to 7).
        precision: u8,
        /// Written before the number.
        symbol: String,
    },
    /// `percent`; values are fractions.
    Percent {
        /// Digits after the point (0 to 8).
        precision: u8,
    },
    /// `duration`; values are seconds.
    Duration {
        /// Such as `h:mm:ss`.
        format: String,
    },
    /// `rating`, 1 to `max`.
    Rating {
        /// The largest rating (1 to 10).
        max: u8,
    },
    /// `checkbox`
    Checkbox,
    /// `date`; values are midnight UTC in milliseconds.
    Date,
    /// `dateTime`; values are instants in milliseconds.
    DateTime {
        /// The zone a time without an offset is read in: `utc`, `client` or an IANA name.
        time_zone: String,
    },
    /// `singleSelect`
    SingleSelect(Vec<Choice>),
    /// `multipleSelects`
    MultipleSelects(Vec<Choice>),
    /// `singleCollaborator`
    SingleCollaborator,
    /// `multipleCollaborators`
    MultipleCollaborators,
    /// `multipleRecordLinks`
    Links(LinkOptions),
    /// `multipleAttachments`
    Attachments,
    /// `barcode`
    Barcode,
    /// `formula`
    Formula {
        /// The formula's text, fields by id.
        formula: String,
        /// The type of its result, where the file says so.
        result: Option<Box<FieldType>>,
    },
    /// `rollup`
    Rollup(ThroughLink, Option<Box<FieldType>>),
    /// `multipleLookupValues`
    Lookup(ThroughLink),
    /// `count`
    Count(ThroughLink),
    /// `autoNumber`
    AutoNumber,
    /// `createdTime`
    CreatedTime {
        /// True when only the date is shown.
        date_only: bool,
    },
    /// `lastModifiedTime`
    LastModifiedTime {
        /// True when only the date is shown.
        date_only: bool,
        /// The fields watched; all when empty.
        watched: Vec<FieldId>,
    },
    /// `createdBy`
    CreatedBy,
    /// `lastModifiedBy`
    LastModifiedBy,
    /// `button`
    Button {
        /// What stands on it.
        label: String,
        /// The formula of the address it opens; Airtable's metadata leaves it out.
        formula: Option<String>,
    },
    /// `aiText`
    AiText,
    /// `externalSyncSource`
    ExternalSyncSource,
    /// `manualSort`
    ManualSort,
    /// A type this version does not know; its cells are kept as they are.
    Unknown,
}

fn options<T: for<'de> Deserialize<'de>>(raw: &Map<String, Value>) -> Result<T, Fault> {
    T::deserialize(&Value::Object(raw.clone()))
        .map_err(|e| Fault::new(Code::InvalidFile, format!("options: {e}")))
}

fn digits(raw: &Map<String, Value>, max: u64) -> Result<u8, Fault> {
    match raw.get("precision") {
        None | Some(Value::Null) => Ok(0),
        Some(value) => match value.as_u64() {
            Some(n) if n <= max => Ok(n as u8),
            _ => Err(Fault::new(
                Code::InvalidFile,
                format!("options.precision must be 0 to {max}, not {value}"),
            )),
        },
    }
}

fn text(raw: &Map<String, Value>, key: &str, otherwise: &str) -> String {
    raw.get(key).and_then(Value::as_str).unwrap_or(otherwise).to_owned()
}

fn choices(raw: &Map<String, Value>) -> Result<Vec<Choice>, Fault> {
    #[derive(Deserialize)]
    struct Choices {
        #[serde(default)]
        choices: Vec<Choice>,
    }
    let read: Choices = options(raw)?;
    let (mut names, mut ids) = (std::collections::HashSet::new(), std::collections::HashSet::new());
    for choice in &read.choices {
        if !ids.insert(choice.id) {
            return Err(Fault::new(
                Code::InvalidFile,
                format!("options.choices has the id {} twice; choice ids must differ", choice.id),
            ));
        }
        if !names.insert(choice.name.as_str()) {
            return Err(Fault::new(
                Code::InvalidFile,
                format!("options.choices has {:?} twice; choice names must differ", choice.name),
            ));
        }
    }
    Ok(read.choices)
}

fn result_type(raw: &Map<String, Value>) -> Result<Option<Box<FieldType>>, Fault> {
    let Some(Value::Object(result)) = raw.get("result") else { return Ok(None) };
    let Some(name) = result.get("type").and_then(Value::as_str) else { return Ok(None) };
    let empty = Map::new();
    let inner = result.get("options").and_then(Value::as_object).unwrap_or(&empty);
    FieldType::parse(name, inner).map(|parsed| Some(Box::new(parsed))).map_err(|f| f.within("options.result"))
}

fn date_only(raw: &Map<String, Value>) -> bool {
    raw.get("result").and_then(|r| r.get("type")).and_then(Value::as_str) == Some("date")
}

impl FieldType {
    /// Reads a type by its name on the wire and its options.
    pub fn parse(name: &str, raw: &Map<String, Value>) -> Result<Self, Fault> {
        Ok(match name {
            "singleLineText" => Self::SingleLineText,
            "multilineText" => Self::MultilineText,
            "richText" => Self::RichText,
            "email" => Self::Email,
            "url" => Self::Url,
            "phoneNumber" => Self::PhoneNumber,
            "number" => Self::Number { precision: digits(raw, 8)? },
            "currency" => Self::Currency { precision: digits(raw, 7)?, symbol: text(raw, "symbol", "$") },
            "percent" => Self::Percent { precision: digits(raw, 8)? },
            "duration" => Self::Duration { format: text(raw, "durationFormat", "h:mm") },
            "rating" => match raw.get("max").map_or(Some(5), Value::as_u64) {
                Some(max @ 1..=10) => Self::Rating { max: max as u8 },
                _ => return Err(Fault::new(Code::InvalidFile, "options.max of a rating must be 1 to 10")),
            },
            "checkbox" => Self::Checkbox,
            "date" => Self::Date,
            "dateTime" => Self::DateTime { time_zone: text(raw, "timeZone", "utc") },
            "singleSelect" => Self::SingleSelect(choices(raw)?),
            "multipleSelects" => Self::MultipleSelects(choices(raw)?),
            "singleCollaborator" => Self::SingleCollaborator,
            "multipleCollaborators" => Self::MultipleCollaborators,
            "multipleRecordLinks" => Self::Links(options(raw)?),
            "multipleAttachments" => Self::Attachments,
            "barcode" => Self::Barcode,
            "formula" => Self::Formula { formula: text(raw, "formula", ""), result: result_type(raw)? },
            "rollup" => Self::Rollup(options(raw)?, result_type(raw)?),
            "multipleLookupValues" => Self::Lookup(options(raw)?),
            "count" => Self::Count(options(raw)?),
            "autoNumber" => Self::AutoNumber,
            "createdTime" => Self::CreatedTime { date_only: date_only(raw) },
            "lastModifiedTime" => {
                #[derive(Deserialize)]
                struct Watched {
                    #[serde(default, rename = "referencedFieldIds")]
                    ids: Vec<FieldId>,
                }
                Self::LastModifiedTime { date_only: date_only(raw), watched: options::<Watched>(raw)?.ids }
            }
            "createdBy" => Self::CreatedBy,
            "lastModifiedBy" => Self::LastModifiedBy,
            "button" => Self::Button {
                label: text(raw, "label", "Open"),
                formula: raw.get("formula").and_then(Value::as_str).map(str::to_owned),
            },
            "aiText" => Self::AiText,
            "externalSyncSource" => Self::ExternalSyncSource,
            "manualSort" => Self::ManualSort,
            _ => Self::Unknown,
        })
    }

    /// True for a field whose value nobody may write.
    pub fn is_computed(&self) -> bool {
        matches!(
            self,
            Self::Formula { .. }
                | Self::Rollup(..)
                | Self::Lookup(_)
                | Self::Count(_)
                | Self::AutoNumber
                | Self::CreatedTime { .. }
                | Self::LastModifiedTime { .. }
                | Self::CreatedBy
                | Self::LastModifiedBy
                | Self::Button { .. }
                | Self::AiText
                | Self::ExternalSyncSource
                | Self::ManualSort
                | Self::Unknown
        )
    }

    /// True for a type whose cells are plain text.
    pub fn is_text(&self) -> bool {
        matches!(
            self,
            Self::SingleLineText
                | Self::MultilineText
                | Self::RichText
                | Self::Email
                | Self::Url
                | Self::PhoneNumber
        )
    }

    /// The choices of a select field.
    pub fn choices(&self) -> Option<&[Choice]> {
        match self {
            Self::SingleSelect(choices) | Self::MultipleSelects(choices) => Some(choices),
            _ => None,
        }
    }
}

/// A column of a table: name, type and options.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "RawField", into = "RawField")]
pub struct Field {
    /// Its id.
    pub id: FieldId,
    /// What people see; unique within the table, ignoring case.
    pub name: String,
    /// What its author wrote about it.
    pub description: Option<String>,
    /// The type's name on the wire.
    pub type_name: String,
    /// The options as read, with keys this version does not know.
    pub options: Option<Map<String, Value>>,
    /// The typed view of type and options.
    pub kind: FieldType,
    /// How its cells are hidden from who looks at it.
    pub mask: Option<Mask>,
}

#[derive(Clone, Serialize, Deserialize, schemars::JsonSchema)]
struct RawField {
    /// Made when left out.
    #[serde(default = "FieldId::random")]
    #[schemars(!default, with = "Option<FieldId>")]
    id: FieldId,
    /// Unique within the table, ignoring case.
    name: String,
    /// Airtable's name of the type, such as `singleLineText`; unknown ones are kept as they are.
    #[serde(rename = "type")]
    type_name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    /// As Airtable's metadata endpoint gives them; rollups also take `formula`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    options: Option<Map<String, Value>>,
}

impl schemars::JsonSchema for Field {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Field".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        RawField::json_schema(generator)
    }
}

impl TryFrom<RawField> for Field {
    type Error = Fault;
    fn try_from(raw: RawField) -> Result<Self, Fault> {
        let empty = Map::new();
        let kind = FieldType::parse(&raw.type_name, raw.options.as_ref().unwrap_or(&empty))
            .map_err(|f| f.within(format_args!("field {:?}", raw.name)))?;
        let mut field = Self {
            id: raw.id,
            name: raw.name,
            description: raw.description,
            type_name: raw.type_name,
            options: raw.options,
            kind,
            mask: None,
        };
        // Choices without ids were given ids just now; write them back.
        if let Some(choices) = field.kind.choices() {
            field.set_choices(choices.to_vec());
        }
        Ok(field)
    }
}

impl From<Field> for RawField {
    fn from(field: Field) -> Self {
        Self {
            id: field.id,
            name: field.name,
            type_name: field.type_name,
            description: field.description,
            options: field.options,
        }
    }
}

impl Field {
    /// A field with a new id. `options` as the Web API takes them.
    pub fn new(name: &str, type_name: &str, options: Option<Map<String, Value>>) -> Result<Self, Fault> {
        RawField {
            id: FieldId::random(),
            name: name.to_owned(),
            type_name: type_name.to_owned(),
            description: None,
            options,
        }
        .try_into()
    }

    /// The field as somebody sees it from whom its cells are hidden: a text that nobody may ask for.
    pub fn masked(&self, mask: Mask) -> Self {
        let description = self.description.as_deref().map(|text| format!("{text} {}", mask.words()));
        Self {
            id: self.id,
            name: self.name.clone(),
            description: Some(description.unwrap_or_else(|| mask.words().to_owned())),
            type_name: "singleLineText".to_owned(),
            options: None,
            kind: FieldType::SingleLineText,
            mask: Some(mask),
        }
    }

    /// Refuses a question that the cells of a masked field would answer.
    pub fn require_unmasked(&self, what: &str) -> Result<(), Fault> {
        if self.mask.is_none() {
            return Ok(());
        }
        let message =
            format!("field {:?} is masked for you: {what} is refused; leave the field out.", self.name);
        Err(Fault::new(Code::MaskedField, message).about(self.name.as_str()))
    }

    /// Replaces the choices of a select field, in the typed view and in the options alike.
    pub fn set_choices(&mut self, choices: Vec<Choice>) {
        let listed = serde_json::to_value(&choices).unwrap_or_default();
        match &mut self.kind {
            FieldType::SingleSelect(held) | FieldType::MultipleSelects(held) => *held = choices,
            _ => return,
        }
        self.options.get_or_insert_default().insert("choices".into(), listed);
    }

    /// The options of a link field.
    pub fn link(&self) -> Option<&LinkOptions> {
        match &self.kind {
            FieldType::Links(options) => Some(options),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_types_and_option_keys_survive() {
        for text in [
            r#"{"id":"fldA1b2C3d4E5f6G7","name":"X","type":"hologram","options":{"depth":3}}"#,
            r#"{"id":"fldA1b2C3d4E5f6G7","name":"N","type":"number","options":{"precision":2,"new":true}}"#,
            r#"{"id":"fldA1b2C3d4E5f6G7","name":"S","type":"manualSort"}"#,
        ] {
            let field: Field = serde_json::from_str(text).unwrap();
            assert_eq!(serde_json::to_string(&field).unwrap(), text);
        }
    }

    #[test]
    fn bad_options_say_where() {
        let text = r#"{"id":"fldA1b2C3d4E5f6G7","name":"N","type":"number","options":{"precision":12}}"#;
        let error = serde_json::from_str::<Field>(text).unwrap_err().to_string();
        assert!(error.contains("\"N\"") && error.contains("precision"), "{error}");
    }

    #[test]
    fn choices_get_ids_and_refuse_twins() {
        let text = r#"{"name":"S","type":"singleSelect","options":{"choices":[{"name":"a"},{"name":"b"}]}}"#;
        let field: Field = serde_json::from_str(text).unwrap();
        assert_eq!(field.kind.choices().unwrap().len(), 2);
        assert!(field.options.unwrap()["choices"][0]["id"].as_str().unwrap().starts_with("sel"));
        assert!(serde_json::from_str::<Field>(&text.replace("\"b\"", "\"a\"")).is_err());
    }
}
