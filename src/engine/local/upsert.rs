//! Which record each record of an upsert is about.
//!
//! Everything is matched against the base as it was before the request, as in Airtable: a record
//! never matches what another record of the same request writes.

use rustc_hash::FxHashMap;
use serde_json::{Map, Value};
use tablewright_core::model::{Cell, Field, FieldType, RecordId, Table};
use tablewright_core::{Code, Fault};

use super::draft::Draft;
use super::values::{self, Accepted};

/// Most fields to merge on, as in Airtable.
const MAX_MERGE_FIELDS: usize = 3;

/// The values of the merge fields, in a form in which equal values are equal.
type Key = Vec<Option<String>>;

impl Draft {
    /// For each record the one it updates, or `None` when it is to be created.
    pub fn match_records(
        &self,
        table: &Table,
        on: &[String],
        records: &[(Option<RecordId>, Map<String, Value>)],
        typecast: bool,
    ) -> Result<Vec<Result<Option<RecordId>, Fault>>, Fault> {
        if on.is_empty() {
            // They were matched before: who has no id is new.
            return Ok(records.iter().map(|(id, _)| Ok(*id)).collect());
        }
        let fields = merge_fields(table, on)?;
        let keys: Vec<Result<Option<Key>, Fault>> = records
            .iter()
            .map(|(id, cells)| match id {
                Some(_) => Ok(None),
                None => given_key(table, &fields, cells, typecast).map(Some),
            })
            .collect();
        let mut found: FxHashMap<&Key, Vec<RecordId>> =
            keys.iter().flatten().flatten().map(|key| (key, Vec::new())).collect();
        if !found.is_empty() {
            let (_, data) = self.snapshot.table(table.id)?;
            for slot in data.slots() {
                let key: Key =
                    fields.iter().map(|at| held_key(&table.fields[*at], &data.cell(slot, *at))).collect();
                if let Some(ids) = found.get_mut(&key) {
                    ids.push(data.row(slot).id);
                }
            }
        }
        Ok(keys
            .iter()
            .zip(records)
            .map(|(key, (id, _))| {
                let Some(key) = key.as_ref().map_err(Clone::clone)? else { return Ok(*id) };
                match found.get(key).map_or(&[][..], Vec::as_slice) {
                    [] => Ok(None),
                    [one] => Ok(Some(*one)),
                    several => Err(ambiguous(table, &fields, several)),
                }
            })
            .collect())
    }
}

fn merge_fields(table: &Table, on: &[String]) -> Result<Vec<usize>, Fault> {
    if on.len() > MAX_MERGE_FIELDS {
        let message = format!("name at most {MAX_MERGE_FIELDS} fields to merge on, not {}.", on.len());
        return Err(Fault::new(Code::InvalidArguments, message));
    }
    let mut places = Vec::with_capacity(on.len());
    for name in on {
        let field = table.field(name)?;
        field.require_unmasked("upsert")?;
        let at = table.field_index(field.id).unwrap_or_default();
        let kind = &field.kind;
        let fits = kind.is_text()
            || kind.choices().is_some()
            || matches!(
                kind,
                FieldType::Number { .. }
                    | FieldType::Currency { .. }
                    | FieldType::Percent { .. }
                    | FieldType::Duration { .. }
                    | FieldType::Rating { .. }
                    | FieldType::Date
                    | FieldType::DateTime { .. }
            );
        if !fits {
            let message = format!(
                "field {:?} ({}) cannot be merged on; use a text, number, date or select field.",
                field.name, field.type_name
            );
            return Err(Fault::new(Code::InvalidArguments, message).about(field.name.as_str()));
        }
        if !places.contains(&at) {
            places.push(at);
        }
    }
    Ok(places)
}

fn given_key(
    table: &Table,
    fields: &[usize],
    cells: &Map<String, Value>,
    typecast: bool,
) -> Result<Key, Fault> {
    let mut key: Vec<Option<Option<String>>> = vec![None; fields.len()];
    for (name, value) in cells {
        let field = table.field(name)?;
        let place = table.field_index(field.id).and_then(|at| fields.iter().position(|held| *held == at));
        if let Some(place) = place {
            key[place] = Some(match values::accept(field, value, typecast)? {
                Accepted::Cell(cell) => held_key(field, &cell),
                Accepted::Choices(names) => choices_key(field, names),
                Accepted::Links(_) => None,
            });
        }
    }
    key.into_iter()
        .zip(fields)
        .map(|(value, at)| {
            let name = table.fields[*at].name.as_str();
            value.ok_or_else(|| {
                let message = format!("the record has no value for the merge field {name:?}; give one.");
                Fault::new(Code::InvalidArguments, message).about(name)
            })
        })
        .collect()
}

/// Names may be given by id; the order of several does not count.
fn choices_key(field: &Field, names: Vec<String>) -> Option<String> {
    let choices = field.kind.choices().unwrap_or_default();
    let mut names: Vec<String> = names
        .into_iter()
        .map(|given| {
            let by_id = choices.iter().find(|c| c.name != given && c.id.to_string() == given);
            by_id.map_or(given, |choice| choice.name.clone())
        })
        .collect();
    names.sort_unstable();
    (!names.is_empty()).then(|| names.join("\u{1}"))
}

fn held_key(field: &Field, cell: &Cell) -> Option<String> {
    match cell {
        Cell::Blank => None,
        Cell::Text(text) => Some(text.to_string()),
        Cell::Choice(at) => choices_key(field, vec![field.kind.choices()?.get(*at as usize)?.name.clone()]),
        Cell::Choices(list) => {
            let choices = field.kind.choices()?;
            choices_key(
                field,
                list.iter().filter_map(|at| choices.get(*at as usize)).map(|c| c.name.clone()).collect(),
            )
        }
        other => other.to_json(field).map(|value| value.to_string()),
    }
}

/// The value of a merge field in a form in which values that Airtable may take for equal are equal;
/// empty for none.
pub(crate) fn merge_text(field: &Field, value: &Value, typecast: bool) -> String {
    let key = match values::accept(field, value, typecast) {
        Ok(Accepted::Cell(cell)) => held_key(field, &cell),
        Ok(Accepted::Choices(names)) => choices_key(field, names),
        Ok(Accepted::Links(_)) | Err(_) => Some(value.to_string()),
    };
    key.map(|key| key.trim().to_lowercase()).unwrap_or_default()
}

fn ambiguous(table: &Table, fields: &[usize], ids: &[RecordId]) -> Fault {
    let names: Vec<String> = fields.iter().map(|at| format!("{:?}", table.fields[*at].name)).collect();
    let shown: Vec<String> = ids.iter().take(5).map(ToString::to_string).collect();
    let message = format!(
        "{} records have these values of {} ({}{}); give the id of the one that is meant.",
        ids.len(),
        names.join(", "),
        shown.join(", "),
        if ids.len() > shown.len() { ", …" } else { "" }
    );
    Fault::new(Code::Ambiguous, message)
}
