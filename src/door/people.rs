//! People in writes: whoever is known is stored with id, address and name, as Airtable gives them.

use std::collections::HashMap;

use serde_json::{Map, Value};
use tablewright_core::model::{Cell, Field, FieldType, Person};
use tablewright_engine::local::Action;

use crate::attachments::records;
use crate::call::Call;
use crate::view::TableView;

/// Most people looked for among the cells of a table.
const MAX_KNOWN: usize = 1_000;

/// What a person has.
const PARTS: [&str; 3] = ["id", "email", "name"];

/// The people a write may name.
struct Known<'a> {
    view: &'a TableView,
    people: Vec<Value>,
    /// True when the cells of the table were looked through.
    looked: bool,
    typecast: bool,
}

fn holds_people(field: &Field) -> bool {
    matches!(field.kind, FieldType::SingleCollaborator | FieldType::MultipleCollaborators)
}

fn is_whole(person: &Value) -> bool {
    PARTS.iter().all(|part| person.get(part).is_some_and(Value::is_string))
}

fn each<'v>(value: &'v Value, mut act: impl FnMut(&'v Value)) {
    match value {
        Value::Array(items) => items.iter().for_each(act),
        one => act(one),
    }
}

impl Known<'_> {
    fn find(&self, item: &Value) -> Option<&Value> {
        let is = |person: &&Value| match item {
            // With typecast a text may be any part of a person.
            Value::String(_) if self.typecast => PARTS.iter().any(|part| person[part] == *item),
            Value::String(_) => person["id"] == *item,
            Value::Object(map) => match (map.get("id"), map.get("email")) {
                (Some(id), _) => person["id"] == *id,
                (None, Some(email)) => person["email"] == *email,
                (None, None) => false,
            },
            _ => false,
        };
        self.people.iter().find(is)
    }

    /// Gets to know everybody in the table.
    fn look(&mut self) {
        self.looked = true;
        let fields = &self.view.schema().fields;
        for at in (0..fields.len()).filter(|at| holds_people(&fields[*at])) {
            for slot in self.view.slots() {
                let Cell::Json(cell) = self.view.cell(slot, at) else { continue };
                each(&cell, |person| {
                    if is_whole(person) && !self.people.iter().any(|known| known["id"] == person["id"]) {
                        self.people.push(person.clone());
                    }
                });
                if self.people.len() >= MAX_KNOWN {
                    return;
                }
            }
        }
    }

    /// Puts a known person in place of what names them.
    fn complete(&mut self, item: &mut Value) {
        let names_somebody = match &*item {
            Value::String(text) => !text.is_empty(),
            item => item.is_object(),
        };
        if !names_somebody {
            return;
        }
        if self.find(item).is_none() && !self.looked && !is_whole(item) {
            self.look();
        }
        if let Some(person) = self.find(item) {
            let parts = PARTS.iter().map(|part| ((*part).to_owned(), person[part].clone()));
            *item = Value::Object(parts.collect::<Map<_, _>>());
        }
    }
}

/// The people in the cells of a table.
pub(crate) fn within(view: &TableView) -> Vec<Person> {
    let mut known = Known { view, people: Vec::new(), looked: false, typecast: false };
    known.look();
    known.people.into_iter().filter_map(|person| serde_json::from_value(person).ok()).collect()
}

/// Completes the people that a write names. Known are the holders of tokens and whoever is in the
/// table already.
pub(crate) fn complete(call: &Call, view: &TableView, action: &mut Action, typecast: bool) {
    let table = view.schema();
    if !table.fields.iter().any(holds_people) {
        return;
    }
    let mut cells: Vec<&mut Value> = Vec::new();
    let mut asked: HashMap<&str, bool> = HashMap::new();
    for (name, value) in records(action).into_iter().flat_map(|(_, cells)| cells.iter_mut()) {
        let names_people = || table.field(name).is_ok_and(holds_people);
        if *asked.entry(name).or_insert_with(names_people) {
            cells.push(value);
        }
    }
    if cells.is_empty() {
        return;
    }
    let people = call.people().iter().map(|person| person.to_json()).collect();
    let mut known = Known { view, people, looked: false, typecast };
    for cell in &mut cells {
        match cell {
            Value::Array(items) => items.iter_mut().for_each(|item| known.complete(item)),
            one => known.complete(one),
        }
    }
}
