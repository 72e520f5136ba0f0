//! The options of a field that is made or changed: complete, and fit for its type.

use serde_json::{Map, Value, json};
use tablewright_core::model::field::ThroughLink;
use tablewright_core::model::{Base, Choice, ChoiceId, Field, FieldType, Table};
use tablewright_core::{Code, Fault};
use tablewright_formula::{Problem, Scope, compile};

use super::resolve::MAX_CHOICES;
use super::schema::{NewField, refused};

/// Types a record can be named by; as in Airtable.
const PRIMARY: [&str; 13] = [
    "singleLineText",
    "multilineText",
    "email",
    "url",
    "phoneNumber",
    "number",
    "currency",
    "percent",
    "duration",
    "date",
    "dateTime",
    "formula",
    "autoNumber",
];

/// The first field of a table names its records: not every type can.
pub(super) fn check_primary(field: &NewField) -> Result<(), Fault> {
    if PRIMARY.contains(&field.type_name.as_str()) || matches!(&*field.type_name, "barcode" | "singleSelect")
    {
        return Ok(());
    }
    Err(refused(format!(
        "field {:?} ({}) cannot name records; put another field first, such as a singleLineText.",
        field.name, field.type_name
    )))
}

/// A field of this type with complete options.
pub(super) fn new_field(schema: &Base, name: String, new: &NewField) -> Result<Field, Fault> {
    let mut options = new.options.clone().unwrap_or_default();
    complete(&new.type_name, &mut options).map_err(|f| f.within(format_args!("field {name:?}")))?;
    // The other side of a link is made, never named.
    options.shift_remove("inverseLinkFieldId");
    if let Some(Value::String(id)) = options.get("linkedTableId") {
        let known = id.parse().ok().and_then(|id| schema.table_by_id(id)).is_some();
        if !known {
            let message =
                format!("field {name:?}: options.linkedTableId {id:?} is not a table of this base.");
            return Err(refused(message).about(id.as_str()));
        }
    }
    let options = (!options.is_empty()).then_some(options);
    let field = Field::new(&name, &new.type_name, options).map_err(|fault| refused(fault.message))?;
    match &field.kind {
        FieldType::Unknown | FieldType::AiText | FieldType::ExternalSyncSource | FieldType::ManualSort => {
            Err(refused(format!("field {name:?}: a field of type {:?} cannot be made.", new.type_name))
                .about(new.type_name.as_str()))
        }
        _ => {
            check_choices(&field)?;
            Ok(Field { id: new.id.unwrap_or(field.id), ..field })
        }
    }
}

fn text(options: &mut Map<String, Value>, key: &str, usual: &str, allowed: &[&str]) -> Result<(), Fault> {
    let held = options.entry(key).or_insert_with(|| Value::from(usual));
    match held.as_str() {
        Some(given) if allowed.is_empty() || allowed.contains(&given) => Ok(()),
        _ => Err(refused(format!("options.{key} must be one of {}, not {held}.", allowed.join(", ")))),
    }
}

const DATE_FORMATS: [(&str, &str); 5] =
    [("local", "l"), ("friendly", "LL"), ("us", "M/D/YYYY"), ("european", "D/M/YYYY"), ("iso", "YYYY-MM-DD")];
const TIME_FORMATS: [(&str, &str); 2] = [("12hour", "h:mma"), ("24hour", "HH:mm")];

/// `{"name", "format"}`: the format may be left out and must fit the name.
fn format(
    options: &mut Map<String, Value>,
    key: &str,
    usual: &str,
    known: &[(&str, &str)],
) -> Result<(), Fault> {
    let held = options.entry(key).or_insert_with(|| json!({ "name": usual }));
    let wanted = || {
        let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
        refused(format!("options.{key} must be {{\"name\": one of {}}}.", names.join(", ")))
    };
    let name = held.get("name").and_then(Value::as_str).ok_or_else(wanted)?.to_owned();
    let (_, format) = known.iter().find(|(known, _)| *known == name).ok_or_else(wanted)?;
    match held.get("format").and_then(Value::as_str) {
        Some(given) if given != *format => {
            return Err(refused(format!(
                "options.{key}.format must be {format:?} for {name:?}, or left out."
            )));
        }
        _ => *held = json!({"name": name, "format": format}),
    }
    Ok(())
}

fn time_zone(options: &mut Map<String, Value>) -> Result<(), Fault> {
    let held = options.entry("timeZone").or_insert_with(|| Value::from("utc"));
    let name = held.as_str().unwrap_or_default();
    if matches!(name, "utc" | "client") || (name != "UTC" && jiff::tz::TimeZone::get(name).is_ok()) {
        return Ok(());
    }
    Err(refused(format!("Invalid timezone {held}: use \"utc\", \"client\" or an IANA name.")).about(name))
}

/// Fills in what the options of a field leave out, as for one that is made here. What does not fit
/// stays as it is.
pub fn fill_in(type_name: &str, options: &mut Map<String, Value>) {
    let _ = complete(type_name, options);
}

/// Fills in what was left out and refuses what does not fit. The values are those of the Web API.
fn complete(type_name: &str, options: &mut Map<String, Value>) -> Result<(), Fault> {
    match type_name {
        "number" | "percent" => {
            options.entry("precision").or_insert_with(|| json!(0));
        }
        "currency" => {
            options.entry("precision").or_insert_with(|| json!(2));
            options.entry("symbol").or_insert_with(|| json!("$"));
        }
        "duration" => {
            let formats = ["h:mm", "h:mm:ss", "h:mm:ss.S", "h:mm:ss.SS", "h:mm:ss.SSS"];
            text(options, "durationFormat", "h:mm", &formats)?;
        }
        "rating" => {
            options.entry("max").or_insert_with(|| json!(5));
            text(options, "icon", "star", &["star", "heart", "thumbsUp", "flag", "dot"])?;
            text(options, "color", "yellowBright", &[])?;
        }
        "checkbox" => {
            let icons = ["check", "xCheckbox", "star", "heart", "thumbsUp", "flag", "dot"];
            text(options, "icon", "check", &icons)?;
            text(options, "color", "greenBright", &[])?;
        }
        "date" => format(options, "dateFormat", "iso", &DATE_FORMATS)?,
        "dateTime" => {
            format(options, "dateFormat", "iso", &DATE_FORMATS)?;
            format(options, "timeFormat", "24hour", &TIME_FORMATS)?;
            time_zone(options)?;
        }
        "singleSelect" | "multipleSelects" => {
            options.entry("choices").or_insert_with(|| json!([]));
        }
        "multipleRecordLinks" => {
            options.entry("isReversed").or_insert_with(|| json!(false));
            options.entry("prefersSingleRecordLink").or_insert_with(|| json!(false));
            if !options.get("linkedTableId").is_some_and(Value::is_string) {
                return Err(refused("options.linkedTableId must name the table to link to, by id."));
            }
        }
        "createdTime" | "lastModifiedTime" => {
            options.entry("result").or_insert_with(|| {
                json!({"type": "dateTime", "options": {
                    "dateFormat": {"name": "iso", "format": "YYYY-MM-DD"},
                    "timeFormat": {"name": "24hour", "format": "HH:mm"}, "timeZone": "utc"}})
            });
        }
        "multipleAttachments" => {
            options.entry("isReversed").or_insert_with(|| json!(false));
        }
        _ => {}
    }
    Ok(())
}

fn check_choices(field: &Field) -> Result<(), Fault> {
    let Some(choices) = field.kind.choices() else { return Ok(()) };
    if choices.len() > MAX_CHOICES {
        return Err(refused(format!("field {:?} would have more than {MAX_CHOICES} choices.", field.name)));
    }
    match choices.iter().find(|c| c.name.trim().is_empty() || c.name.chars().any(char::is_control)) {
        Some(_) => Err(refused(format!("field {:?}: a choice needs a name on one line.", field.name))),
        None => Ok(()),
    }
}

/// Lookups, rollups and counts go through a link of their own table.
fn check_through(schema: &Base, table: &Table, field: &Field) -> Result<(), Fault> {
    let (through, needs_source): (&ThroughLink, bool) = match &field.kind {
        FieldType::Lookup(through) | FieldType::Rollup(through, _) => (through, true),
        FieldType::Count(through) => (through, false),
        _ => return Ok(()),
    };
    let wants = |what: &str| refused(format!("field {:?}: options.{what}", field.name));
    let link = through
        .record_link_field_id
        .and_then(|id| table.field_by_id(id)?.link())
        .ok_or_else(|| wants("recordLinkFieldId must be a link field of this table, by id."))?;
    let linked = schema.table_by_id(link.linked_table_id);
    let source = through.field_id_in_linked_table.and_then(|id| linked?.field_by_id(id));
    if needs_source && source.is_none() {
        return Err(wants("fieldIdInLinkedTable must be a field of the linked table, by id."));
    }
    Ok(())
}

/// Refuses a computed field that does not work, with the reason.
pub(super) fn must_work(schema: &Base, table: &Table, field: &Field) -> Result<(), Fault> {
    check_through(schema, table, field)?;
    let problem = |problems: Vec<Problem>| {
        refused(format!("field {:?}: {}", field.name, Problem::joined(&problems))).about(field.name.as_str())
    };
    match &field.kind {
        FieldType::Formula { formula, .. } | FieldType::Button { formula: Some(formula), .. } => {
            compile(formula, &Scope::of_table(table)).map(|_| ()).map_err(problem)
        }
        FieldType::Rollup(through, _) => {
            let link = through.record_link_field_id.and_then(|id| table.field_by_id(id)?.link());
            let linked = link.and_then(|link| schema.table_by_id(link.linked_table_id));
            let source = through.field_id_in_linked_table.and_then(|id| linked?.field_by_id(id));
            let Some(formula) = &through.formula else {
                let example = "options.formula must say how the values are summed up, such as SUM(values).";
                return Err(refused(format!("field {:?}: {example}", field.name)));
            };
            compile(formula, &Scope::of_rollup(source)).map(|_| ()).map_err(problem)
        }
        _ => Ok(()),
    }
}

/// The field read again from its options.
pub(super) fn again(field: &Field) -> Result<Field, Fault> {
    let read = Field::new(&field.name, &field.type_name, field.options.clone())?;
    Ok(Field { id: field.id, description: field.description.clone(), ..read })
}

/// Puts new options over those of a field.
pub(super) fn update(field: &mut Field, given: &Map<String, Value>) -> Result<(), Fault> {
    match &field.kind {
        FieldType::Links(_) | FieldType::Attachments => {
            return Err(refused(format!(
                "the options of field {:?} ({}) cannot be changed; make a new field.",
                field.name, field.type_name
            )));
        }
        FieldType::SingleSelect(held) | FieldType::MultipleSelects(held) => {
            if let Some(choices) = given.get("choices") {
                let choices = merged(field, held, choices)?;
                field.set_choices(choices);
                check_choices(field)?;
            }
        }
        _ => {}
    }
    let mut options = field.options.clone().unwrap_or_default();
    for (key, value) in given.iter().filter(|(key, _)| *key != "choices" && *key != "isValid") {
        options.insert(key.clone(), value.clone());
    }
    complete(&field.type_name, &mut options).map_err(|f| f.within(format_args!("field {:?}", field.name)))?;
    field.options = (!options.is_empty()).then_some(options);
    *field = again(field).map_err(|fault| refused(fault.message))?;
    Ok(())
}

/// The choices as given: those with a known id or name stay the same choice, others are new.
fn merged(field: &Field, held: &[Choice], given: &Value) -> Result<Vec<Choice>, Fault> {
    let wants = "options.choices must be a list such as [{\"name\": \"Open\"}]";
    let given = given.as_array().ok_or_else(|| refused(format!("field {:?}: {wants}.", field.name)))?;
    let mut choices: Vec<Choice> = Vec::with_capacity(given.len());
    for item in given {
        let text = |key: &str| item.get(key).and_then(Value::as_str);
        let id: Option<ChoiceId> = text("id").and_then(|id| id.parse().ok());
        let known = match id {
            Some(id) => Some(held.iter().find(|c| c.id == id).ok_or_else(|| {
                refused(format!("field {:?} has no choice {id}; leave the id out to add one.", field.name))
            })?),
            None => text("name").and_then(|name| held.iter().find(|c| c.name == name)),
        };
        let name = text("name").or(known.map(|c| c.name.as_str()));
        let name = name.ok_or_else(|| refused(format!("field {:?}: {wants}.", field.name)))?.to_owned();
        if choices.iter().any(|c| c.name == name) {
            let message = format!("field {:?} would have two choices {name:?}.", field.name);
            return Err(Fault::new(Code::Conflict, message).about(name));
        }
        choices.push(Choice {
            id: known.map_or_else(ChoiceId::random, |c| c.id),
            name,
            color: text("color").map(str::to_owned).or_else(|| known.and_then(|c| c.color.clone())),
        });
    }
    Ok(choices)
}
