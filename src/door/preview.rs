//! An effect as people and models read it: names instead of ids, and no more than fits.

use std::collections::BTreeMap;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};
use tablewright_core::model::{Base, BaseId, Field, FieldType, Table};
use tablewright_engine::base::{RowChange, SchemaChange};

use crate::rehearsal::{Effect, NewChoices, Step};

/// What a call would do.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
pub struct Preview {
    /// In one sentence.
    pub summary: String,
    /// Records before and after.
    pub records: Vec<RecordPreview>,
    /// Records not listed.
    #[serde(skip_serializing_if = "is_zero")]
    pub more_records: usize,
    /// Changes of the schema, one sentence each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub schema: Vec<String>,
    /// Comments, one sentence each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub comments: Vec<String>,
    /// Computed fields whose values would change, and in how many records.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub computed: Vec<ComputedPreview>,
    /// Records that would be refused.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<RefusedPreview>,
    /// What to look at twice.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// What it takes.
    pub cost: Cost,
}

/// One record before and after.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct RecordPreview {
    /// Its table.
    pub table: String,
    /// Its id; absent for a new one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// `create`, `update` or `delete`.
    pub change: &'static str,
    /// Cells as they are, by field; absent for a new one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Map<String, Value>>,
    /// Cells as they would be, by field; absent for one that goes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Map<String, Value>>,
}

/// A computed field that follows.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct ComputedPreview {
    /// Its table.
    pub table: String,
    /// Its name.
    pub field: String,
    /// Records whose value changes.
    pub records: usize,
}

/// A record that would be refused.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct RefusedPreview {
    /// Its place, from 0.
    pub index: usize,
    /// Why.
    pub message: String,
}

/// What carrying it out takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, JsonSchema)]
pub struct Cost {
    /// Requests to Airtable.
    pub requests: usize,
    /// Seconds at the pace Airtable allows, about.
    pub seconds: f64,
}

/// Records Airtable takes in one request, and requests it takes in a second.
const PER_REQUEST: usize = 10;
const PER_SECOND: f64 = 5.0;
/// Most refused records, sentences and warnings listed.
const MAX_LISTED: usize = 50;

fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// The preview of an effect with at most `records` records, by the schemas of the bases it names.
pub fn preview(effect: &Effect, bases: &BTreeMap<BaseId, (Arc<Base>, bool)>, records: usize) -> Preview {
    let mut out = Preview::default();
    let counts = effect.counts();
    let mut links = 0;
    for step in &effect.steps {
        let (base, is_cloud) = match step.base().and_then(|id| bases.get(&id)) {
            Some((base, is_cloud)) => (Some(&**base), *is_cloud),
            None => (None, false),
        };
        let mut requests = 0;
        match step {
            Step::Records { table, tables, choices, refused, .. } => {
                let with_new = base.map(|base| with_choices(base, choices));
                let base = with_new.as_ref();
                for changes in tables {
                    let held = base.and_then(|base| base.table_by_id(changes.table));
                    if changes.table != *table {
                        links += changes.rows.len();
                    } else {
                        requests += changes.rows.len().div_ceil(PER_REQUEST);
                    }
                    for row in &changes.rows {
                        if out.records.len() < records {
                            out.records.push(record(held, row));
                        } else {
                            out.more_records += 1;
                        }
                    }
                    computed(&mut out.computed, held, &changes.computed);
                }
                for new in choices {
                    let names: Vec<String> =
                        new.choices.iter().map(|choice| format!("{:?}", choice.name)).collect();
                    warn(
                        &mut out,
                        format!("field {:?} would get new choices: {}", new.field, names.join(", ")),
                    );
                }
                let room = MAX_LISTED.saturating_sub(out.refused.len());
                if refused.len() > room {
                    let more = refused.len() - room;
                    warn(&mut out, format!("{more} more records would be refused"));
                }
                let listed = refused.iter().take(room);
                out.refused.extend(
                    listed.map(|(at, fault)| RefusedPreview { index: *at, message: fault.message.clone() }),
                );
            }
            Step::Schema { changes, records, restored, .. } => {
                requests += 1;
                let room = MAX_LISTED.saturating_sub(out.schema.len());
                out.schema.extend(changes.iter().take(room).map(|change| schema_words(base, change)));
                if *restored > 0 {
                    out.schema.push(format!("{restored} records get their cells back, or go again"));
                }
                if *records > 0 {
                    warn(&mut out, format!("the cells of {records} records go with it"));
                }
            }
            Step::Comment { record, before, after, .. } => {
                requests += 1;
                let words = match (before, after) {
                    (_, Some(text)) if before.is_none() => format!("{record}: new comment {text:?}"),
                    (Some(was), Some(text)) => format!("{record}: comment {was:?} becomes {text:?}"),
                    _ => format!("{record}: a comment goes"),
                };
                out.comments.push(words);
            }
            Step::Upload { record, .. } => {
                requests += 1;
                out.comments.push(format!("{record}: a file is added"));
            }
            Step::CreateBase { name, tables } => {
                out.schema.push(format!("new base {name:?} with the tables {}", tables.join(", ")));
            }
            Step::DeleteBase { records, .. } => {
                let name = base.map(|base| base.name.as_str()).unwrap_or_default();
                out.schema.push(format!("base {name:?} is deleted with its {records} records"));
            }
        }
        if is_cloud {
            out.cost.requests += requests;
        }
    }
    if links > 0 {
        warn(
            &mut out,
            format!("{links} records of other tables, or of the other side of links, change as well"),
        );
    }
    out.cost.seconds = (out.cost.requests as f64 / PER_SECOND * 10.0).ceil() / 10.0;
    let mut words = Vec::new();
    for (count, verb) in
        [(counts.created, "created"), (counts.changed, "changed"), (counts.deleted, "deleted")]
    {
        if count > 0 {
            words.push(format!("{} {verb}", counted(count, "record", "records")));
        }
    }
    for (count, one, many) in [
        (out.schema.len(), "change of the schema", "changes of the schema"),
        (out.comments.len(), "comment", "comments"),
    ] {
        if count > 0 {
            words.push(counted(count, one, many));
        }
    }
    out.summary = if words.is_empty() { "nothing changes".to_owned() } else { words.join(", ") };
    out
}

/// A schema with choices that do not exist yet, so that their names are known.
fn with_choices(base: &Base, new: &[NewChoices]) -> Base {
    let mut base = base.clone();
    for NewChoices { table, field, choices } in new {
        let table = base.tables.iter_mut().find(|held| held.id == *table);
        let field = table.and_then(|table| table.fields.iter_mut().find(|held| held.name == *field));
        if let Some(FieldType::SingleSelect(held) | FieldType::MultipleSelects(held)) =
            field.map(|field| &mut field.kind)
        {
            held.extend(choices.iter().cloned());
        }
    }
    base
}

fn counted(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

fn warn(out: &mut Preview, warning: String) {
    if out.warnings.len() < MAX_LISTED {
        out.warnings.push(warning);
    }
}

fn record(table: Option<&Table>, row: &RowChange) -> RecordPreview {
    let shown = |cells: &Map<String, Value>| cells_by_name(table, cells);
    let change = match (&row.before, &row.after) {
        (None, _) => "create",
        (_, None) => "delete",
        _ => "update",
    };
    RecordPreview {
        table: table.map(|table| table.name.clone()).unwrap_or_default(),
        id: row.before.is_some().then(|| row.id.to_string()),
        change,
        before: row.before.as_ref().map(shown),
        after: row.after.as_ref().map(shown),
    }
}

/// Stored cells under the names of their fields, with the names of choices.
pub fn cells_by_name(table: Option<&Table>, cells: &Map<String, Value>) -> Map<String, Value> {
    let field = |id: &str| table.and_then(|table| table.field(id).ok());
    cells
        .iter()
        .map(|(id, value)| match field(id) {
            Some(field) => (field.name.clone(), shown(field, value)),
            None => (id.clone(), value.clone()),
        })
        .collect()
}

/// A stored cell as the Web API shows it.
fn shown(field: &Field, value: &Value) -> Value {
    tablewright_core::model::Cell::from_stored(field, value).to_json(field).unwrap_or(Value::Null)
}

fn computed(out: &mut Vec<ComputedPreview>, table: Option<&Table>, rows: &[RowChange]) {
    let Some(table) = table else { return };
    for id in rows.iter().filter_map(|row| row.after.as_ref()).flat_map(Map::keys) {
        let Ok(field) = table.field(id) else { continue };
        match out.iter_mut().find(|held| held.table == table.name && held.field == field.name) {
            Some(held) => held.records += 1,
            None => {
                let (table, field) = (table.name.clone(), field.name.clone());
                out.push(ComputedPreview { table, field, records: 1 });
            }
        }
    }
}

/// A change of the schema in one sentence.
pub fn schema_words(base: Option<&Base>, change: &SchemaChange) -> String {
    let table = |id: &tablewright_core::model::TableId| {
        base.and_then(|base| base.table_by_id(*id))
            .map_or_else(|| id.to_string(), |table| format!("{:?}", table.name))
    };
    match change {
        SchemaChange::BaseRenamed { before, after } => format!("base {before:?} becomes {after:?}"),
        SchemaChange::TableCreated { after: Some(after), .. } => {
            let fields: Vec<&str> = after.fields.iter().map(|field| field.name.as_str()).collect();
            format!("new table {:?} with the fields {}", after.name, fields.join(", "))
        }
        SchemaChange::TableCreated { table: id, .. } => format!("new table {id}"),
        SchemaChange::TableChanged { before, after, .. } => {
            format!(
                "table {:?} becomes {:?}, its description {:?}",
                before.name, after.name, after.description
            )
        }
        SchemaChange::TableDeleted { before, .. } => format!("table {:?} is deleted", before.name),
        SchemaChange::FieldCreated { table: id, field } => {
            format!("new field {:?} ({}) in table {}", field.name, field.type_name, table(id))
        }
        SchemaChange::FieldChanged { table: id, before, after } => {
            let place = table(id);
            if before.type_name != after.type_name {
                format!(
                    "field {:?} in table {place} is converted from {} to {}",
                    after.name, before.type_name, after.type_name
                )
            } else if before.name != after.name {
                format!("field {:?} in table {place} becomes {:?}", before.name, after.name)
            } else {
                format!("options or description of field {:?} in table {place} change", after.name)
            }
        }
        SchemaChange::FieldDeleted { table: id, before } => {
            format!("field {:?} ({}) of table {} is deleted", before.name, before.type_name, table(id))
        }
        SchemaChange::ViewChanged { table: id, view } => {
            format!("view {view} of table {} changes", table(id))
        }
    }
}
