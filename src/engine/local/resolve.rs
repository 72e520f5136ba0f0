//! Names in values: choices that may be new, linked records that may have to be made.

use std::sync::Arc;

use rustc_hash::FxHashMap;
use serde_json::Value;
use tablewright_core::model::{Cell, Choice, ChoiceId, Field, FieldType, RecordId, Table, TableId};
use tablewright_core::{Code, Fault};

use super::apply::{Step, missing_table};
use super::draft::{Before, Draft};
use super::links;
use super::values::{self, Accepted, Target};

/// Most choices of a select field, as in Airtable.
pub(super) const MAX_CHOICES: usize = 10_000;

impl Draft {
    /// The names of choices that are not there yet, by column; a record that would make too many
    /// is refused.
    pub(super) fn gather_choices(
        &mut self,
        table: &Table,
        steps: &mut [Result<Step, Fault>],
    ) -> FxHashMap<usize, Vec<String>> {
        self.choices.clear();
        let mut new: FxHashMap<usize, Vec<String>> = FxHashMap::default();
        for record in steps.iter_mut() {
            let Ok(step) = &record else { continue };
            let mut full = None;
            for (at, accepted) in step.cells() {
                let Accepted::Choices(names) = accepted else { continue };
                let field = &table.fields[*at];
                let known = self.choices.entry((table.id, *at)).or_insert_with(|| places_of(field));
                for name in names.iter().filter(|name| !known.contains_key(*name)).collect::<Vec<_>>() {
                    let place =
                        field.kind.choices().map_or(0, <[Choice]>::len) + new.get(at).map_or(0, Vec::len);
                    if place >= MAX_CHOICES {
                        full = Some(field.name.clone());
                        break;
                    }
                    known.insert(name.clone(), place as u32);
                    new.entry(*at).or_default().push(name.clone());
                }
            }
            if let Some(name) = full {
                let message = format!("field {name:?} would have more than {MAX_CHOICES} choices.");
                *record = Err(Fault::new(Code::LimitExceeded, message));
            }
        }
        new
    }

    pub(super) fn add_choices(&mut self, table: TableId, new: FxHashMap<usize, Vec<String>>) {
        if new.is_empty() {
            return;
        }
        let schema = Arc::make_mut(&mut self.snapshot.schema);
        let Some(table) = schema.tables.iter_mut().find(|t| t.id == table) else { return };
        for (at, names) in new {
            let mut choices = table.fields[at].kind.choices().unwrap_or_default().to_vec();
            choices.extend(names.into_iter().map(|name| Choice {
                id: ChoiceId::random(),
                name,
                color: None,
            }));
            table.fields[at].set_choices(choices);
        }
        self.schema_changed = true;
    }

    pub(super) fn choose(&mut self, table: TableId, at: usize, names: &[String]) -> Result<Cell, Fault> {
        let schema = self.snapshot.schema.clone();
        let field = &schema.table_by_id(table).ok_or_else(|| missing_table(table))?.fields[at];
        if names.iter().any(|name| !self.places(table, at, field).contains_key(name)) {
            // A record made by name in another table: its primary field may be a select.
            let missing: Vec<String> = names
                .iter()
                .filter(|name| !self.places(table, at, field).contains_key(*name))
                .cloned()
                .collect();
            self.add_choices(table, FxHashMap::from_iter([(at, missing)]));
            self.choices.remove(&(table, at));
            return self.choose(table, at, names);
        }
        let places = self.places(table, at, field);
        let picked: Vec<u32> = names.iter().filter_map(|name| places.get(name).copied()).collect();
        Ok(match (&field.kind, picked.as_slice()) {
            (_, []) => Cell::Blank,
            (FieldType::SingleSelect(_), [one, ..]) => Cell::Choice(*one),
            _ => Cell::Choices(picked.into()),
        })
    }

    fn places(&mut self, table: TableId, at: usize, field: &Field) -> &FxHashMap<String, u32> {
        self.choices.entry((table, at)).or_insert_with(|| places_of(field))
    }

    /// Finds linked records by name and creates those that are missing.
    pub(super) fn resolve(
        &mut self,
        before: &mut Before,
        table: TableId,
        at: usize,
        targets: Vec<Target>,
        now: i64,
        by: &str,
    ) -> Result<Cell, Fault> {
        let schema = self.snapshot.schema.clone();
        let field = &schema.table_by_id(table).ok_or_else(|| missing_table(table))?.fields[at];
        let Some(link) = field.link() else { return Ok(Cell::Blank) };
        let mut ids = Vec::with_capacity(targets.len());
        for target in targets {
            let id = match target {
                Target::Id(id) => id,
                Target::Name(name) => match self.find_by_name(link.linked_table_id, &name) {
                    Some(id) => id,
                    None => self.create_named(before, link.linked_table_id, &name, now, by)?,
                },
            };
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
        Ok(links::cell(ids))
    }

    fn find_by_name(&mut self, table: TableId, name: &str) -> Option<RecordId> {
        if !self.names.contains_key(&table) {
            let (schema, data) = self.snapshot.table(table).ok()?;
            let primary = schema.field_index(schema.primary_field_id)?;
            let mut known: FxHashMap<String, RecordId> = FxHashMap::default();
            for slot in data.slots() {
                let mut text = String::new();
                self.snapshot.push_text(&mut text, &schema.fields[primary], &data.cell(slot, primary));
                known.entry(text).or_insert(data.row(slot).id);
            }
            self.names.insert(table, known);
        }
        self.names.get(&table)?.get(name).copied()
    }

    fn create_named(
        &mut self,
        before: &mut Before,
        table: TableId,
        name: &str,
        now: i64,
        by: &str,
    ) -> Result<RecordId, Fault> {
        let schema = self.snapshot.schema.clone();
        let linked = schema.table_by_id(table).ok_or_else(|| missing_table(table))?;
        let primary = linked.field_index(linked.primary_field_id).unwrap_or_default();
        let value = values::accept(&linked.fields[primary], &Value::from(name), true)?;
        let id = self.create(before, table, vec![(primary, value)], now, by)?;
        self.names.entry(table).or_default().insert(name.to_owned(), id);
        Ok(id)
    }
}

fn places_of(field: &Field) -> FxHashMap<String, u32> {
    let choices = field.kind.choices().unwrap_or_default();
    let ids = choices.iter().enumerate().map(|(at, c)| (c.id.to_string(), at as u32));
    // Names after ids: a choice may be called like another one's id.
    ids.chain(choices.iter().enumerate().map(|(at, c)| (c.name.clone(), at as u32))).collect()
}
