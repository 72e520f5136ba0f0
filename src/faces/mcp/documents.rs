//! What resources hold: bases, schemas and records as JSON. Text from bases is in it as values
//! alone, and nothing grows past a bound: what is cut says so, and how to go on.

use serde_json::{Map, Value, json};
use tablewright_core::model::cell::instant_text;
use tablewright_core::model::{Base, Field, Table};
use tablewright_door::TableView;
use tablewright_toolkit::text::CUT_MARK;

use super::address::Place;

/// Characters of a document, near enough.
pub(super) const MAX_DOCUMENT: usize = 100_000;
/// Characters of one part: a field with its options, a cell.
const MAX_PART: usize = 20_000;
/// Choices of a field that is cut.
const CHOICES_SHOWN: usize = 100;
/// Bases of the list.
const MAX_BASES: usize = 1_000;

fn length(value: &Value) -> usize {
    value.to_string().chars().count()
}

fn object(value: impl serde::Serialize) -> Map<String, Value> {
    match serde_json::to_value(value) {
        Ok(Value::Object(map)) => map,
        _ => Map::new(),
    }
}

/// A text, cut with its mark where it is too long.
fn cut(text: &str, max: usize) -> String {
    let all = text.chars().count();
    if all <= max {
        return text.to_owned();
    }
    let kept: String = text.chars().take(max).collect();
    format!("{kept}{CUT_MARK}{} more characters]", all - max)
}

/// What is known of a base for the list.
pub(super) struct Listed {
    pub(super) schema: std::sync::Arc<Base>,
    /// Records of all its tables; `None` while it is not in memory.
    pub(super) records: Option<usize>,
}

/// The list of bases; `all` counts those of the server.
pub(super) fn bases(listed: &[Listed], all: usize) -> Value {
    let bases: Vec<Value> = listed
        .iter()
        .take(MAX_BASES)
        .map(|base| {
            let mut shown = Map::new();
            shown.insert("id".into(), json!(base.schema.id));
            shown.insert("name".into(), json!(cut(&base.schema.name, 200)));
            shown.insert("tables".into(), json!(base.schema.tables.len()));
            if let Some(records) = base.records {
                shown.insert("records".into(), json!(records));
            }
            shown.insert("schema".into(), json!(Place::Base(base.schema.id).uri()));
            Value::Object(shown)
        })
        .collect();
    let mut document = json!({ "bases": bases });
    if all > bases.len() {
        document["note"] =
            json!(format!("{} more bases; the tool list_bases names them all", all - bases.len()));
    }
    document
}

/// How many bases the list shows.
pub(super) fn shown_bases(all: usize) -> usize {
    all.min(MAX_BASES)
}

/// A field as Airtable's metadata gives it, cut when its options are very long.
fn field(field: &Field) -> Value {
    let mut shown = object(field);
    if length(&Value::Object(shown.clone())) <= MAX_PART {
        return Value::Object(shown);
    }
    if let Some(Value::String(text)) = shown.get_mut("description") {
        *text = cut(text, 1_000);
    }
    if let Some(Value::Object(options)) = shown.get_mut("options") {
        if let Some(Value::Array(choices)) = options.get_mut("choices")
            && choices.len() > CHOICES_SHOWN
        {
            let more = choices.len() - CHOICES_SHOWN;
            choices.truncate(CHOICES_SHOWN);
            options.insert("moreChoices".into(), json!(more));
        }
        if let Some(Value::String(formula)) = options.get_mut("formula") {
            *formula = cut(formula, MAX_PART / 2);
        }
    }
    if length(&Value::Object(shown.clone())) > MAX_PART {
        shown.remove("options");
        shown.insert("optionsLeftOut".into(), json!(true));
    }
    Value::Object(shown)
}

/// A table within `budget` characters: what fits of its fields and views, and how many do not.
fn table_within(table: &Table, budget: &mut usize) -> (Map<String, Value>, usize) {
    let mut shown = Map::new();
    shown.insert("id".into(), json!(table.id));
    shown.insert("name".into(), json!(table.name));
    if let Some(description) = &table.description {
        shown.insert("description".into(), json!(cut(description, 1_000)));
    }
    shown.insert("primaryFieldId".into(), json!(table.primary_field_id));
    let mut left = 0;
    let mut take = |value: Value, out: &mut Vec<Value>| {
        let needs = length(&value);
        if left == 0 && needs <= *budget {
            *budget -= needs;
            out.push(value);
        } else {
            left += 1;
        }
    };
    let (mut fields, mut views) = (Vec::new(), Vec::new());
    table.fields.iter().for_each(|f| take(field(f), &mut fields));
    table.views.iter().for_each(|v| take(Value::Object(object(v)), &mut views));
    shown.insert("fields".into(), Value::Array(fields));
    shown.insert("views".into(), Value::Array(views));
    (shown, left)
}

/// The schema of a table.
pub(super) fn table_schema(base: &Base, table: &Table, mut budget: usize) -> Value {
    let (mut shown, left) = table_within(table, &mut budget);
    shown.insert("base".into(), json!({"id": base.id, "name": base.name}));
    if left > 0 {
        let note = format!(
            "{left} fields and views more; describe_base with this table and detail \"full\" has them"
        );
        shown.insert("note".into(), json!(note));
    }
    Value::Object(shown)
}

/// The schema of a base. Tables that do not fit are named with the address of their schema.
pub(super) fn base_schema(base: &Base, mut budget: usize) -> Value {
    // The names of tables that do not fit may take as much again.
    let (mut names, mut tables, mut short, mut unnamed) = (budget, Vec::new(), 0, 0);
    for table in &base.tables {
        let mut left = budget;
        if short == 0
            && let (shown, 0) = table_within(table, &mut left)
        {
            budget = left;
            tables.push(Value::Object(shown));
            continue;
        }
        short += 1;
        let uri = Place::Table(base.id, table.id).uri();
        let shown = json!({"id": table.id, "name": cut(&table.name, 200), "schema": uri});
        match names.checked_sub(length(&shown)) {
            Some(left) if unnamed == 0 => {
                names = left;
                tables.push(shown);
            }
            _ => unnamed += 1,
        }
    }
    let mut document = json!({"id": base.id, "name": base.name, "tables": tables});
    if short > 0 {
        let more = if unnamed > 0 { format!(", {unnamed} of them not even by name") } else { String::new() };
        let note = format!(
            "{short} of {} tables are shown without their fields{more}; read a table's schema at its address, or use describe_base",
            base.tables.len()
        );
        document["note"] = json!(note);
    }
    document
}

/// The parts of an attachment that say what it is; where its bytes are is for the tools.
fn attachment(value: &Value) -> Value {
    let Value::Object(map) = value else { return value.clone() };
    if !(map.contains_key("filename") && map.contains_key("url")) {
        return value.clone();
    }
    let kept = ["id", "filename", "type", "size", "width", "height"];
    Value::Object(kept.iter().filter_map(|key| Some(((*key).to_owned(), map.get(*key)?.clone()))).collect())
}

/// A cell that fits; true when something of it is missing.
fn cell(value: Value) -> (Option<Value>, bool) {
    let value = match value {
        Value::Array(items) => Value::Array(items.iter().map(attachment).collect()),
        other => other,
    };
    if length(&value) <= MAX_PART {
        return (Some(value), false);
    }
    match value {
        Value::String(text) => (Some(Value::String(cut(&text, MAX_PART))), true),
        Value::Array(items) => {
            let mut used = 0;
            let kept = items.into_iter().take_while(|item| {
                used += length(item) + 1;
                used <= MAX_PART
            });
            (Some(Value::Array(kept.collect())), true)
        }
        _ => (None, true),
    }
}

/// The record in `slot` of a table.
pub(super) fn record(view: &TableView, slot: usize) -> Value {
    let (base, table, row) = (view.base().schema(), view.schema(), view.row(slot));
    let mut budget = MAX_DOCUMENT;
    let (mut cells, mut missing) = (Map::new(), Vec::new());
    for (at, field) in table.fields.iter().enumerate() {
        let Some(value) = view.cell(slot, at).to_json(field) else { continue };
        let (value, is_cut) = cell(value);
        if is_cut {
            missing.push(field.name.as_str());
        }
        let Some(value) = value else { continue };
        let needs = length(&value) + field.name.chars().count();
        if needs <= budget {
            budget -= needs;
            cells.insert(field.name.clone(), value);
        } else if !is_cut {
            missing.push(field.name.as_str());
        }
    }
    let mut document = json!({
        "id": row.id,
        "createdTime": instant_text(row.created),
        "fields": cells,
        "base": {"id": base.id, "name": base.name},
        "table": {"id": table.id, "name": table.name},
    });
    if !missing.is_empty() {
        let more = missing.len().saturating_sub(100);
        missing.truncate(100);
        document["cut"] = json!(missing);
        let others = if more > 0 { format!(" and {more} more") } else { String::new() };
        document["note"] = json!(format!(
            "the fields in cut{others} are not here as a whole; get_records with their names and format \"json\" has them"
        ));
    }
    document
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(name: &str, fields: usize, options: &Value) -> Table {
        let fields: Vec<Value> = (0..fields)
            .map(|n| json!({"name": format!("F{n}"), "type": "singleSelect", "options": options}))
            .collect();
        serde_json::from_value(json!({"name": name, "fields": fields})).unwrap()
    }

    fn base(tables: Vec<Table>) -> Base {
        Base { id: "appA1b2C3d4E5f6G7".parse().unwrap(), name: "B".into(), tables }
    }

    #[test]
    fn documents_stay_within_their_bounds_and_say_what_is_missing() {
        let choices = |n: usize| json!({"choices": (0..n).map(|n| json!({"name": format!("c{n}")})).collect::<Vec<_>>()});
        let one = table_schema(&base(vec![]), &table("T", 2, &choices(5_000)), MAX_DOCUMENT);
        assert_eq!(one["fields"][0]["options"]["moreChoices"], 4_900);
        assert!(length(&one) < 2 * MAX_PART);
        let wide = table("Wide", 500, &choices(20));
        let cut = table_schema(&base(vec![]), &wide, MAX_DOCUMENT);
        assert!(length(&cut) < MAX_DOCUMENT + 1_000, "{}", length(&cut));
        assert!(cut["note"].as_str().unwrap().contains("more; describe_base"), "{}", cut["note"]);
        let many = base((0..2_000).map(|n| table(&format!("T{n}"), 3, &choices(20))).collect());
        let cut = base_schema(&many, MAX_DOCUMENT);
        assert!(length(&cut) < 2 * MAX_DOCUMENT + 5_000, "{}", length(&cut));
        assert!(cut["note"].as_str().unwrap().contains("of 2000 tables"), "{}", cut["note"]);
        assert!(cut["tables"][0]["fields"].is_array());
        assert!(cut["tables"][500]["schema"].as_str().unwrap().ends_with("/schema"));
        let small = base_schema(&base(vec![table("T", 3, &choices(2))]), MAX_DOCUMENT);
        assert!(small.get("note").is_none());
    }

    #[test]
    fn cells_are_cut_with_a_mark_and_attachments_are_metadata() {
        let (value, is_cut) = cell(json!("x".repeat(MAX_PART + 10)));
        assert!(is_cut && value.unwrap().as_str().unwrap().ends_with("…[cut: 10 more characters]"));
        let given = json!([{"id": "attA1b2C3d4E5f6G7", "url": "https://x", "filename": "a.pdf", "size": 3}]);
        let (value, is_cut) = cell(given);
        assert_eq!(value.unwrap(), json!([{"id": "attA1b2C3d4E5f6G7", "filename": "a.pdf", "size": 3}]));
        assert!(!is_cut);
        let (value, is_cut) = cell(json!((0..10_000).collect::<Vec<_>>()));
        assert!(is_cut && value.unwrap().as_array().unwrap().len() < 10_000);
    }
}
