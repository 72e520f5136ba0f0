//! What becomes of the rest of a base when a field is renamed, retyped or deleted.

use rustc_hash::{FxHashMap, FxHashSet};
use serde_json::Map;
use tablewright_core::model::{Base, Field, FieldId, FieldType, Table};
use tablewright_core::{Code, Fault};
use tablewright_formula::{Kinds, Problem, Scope, compile, items_of, kinds_of};

use super::define::settle;
use super::depend::{Place, needs, places};

/// What is to happen to a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// It gets this name.
    Rename(String),
    /// It becomes of this type, with the type's default options.
    Retype(String),
    /// It goes away.
    Delete,
}

/// How bad it is for what depends on the field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// It stops working.
    Breaks,
    /// It works on what breaks.
    BreaksToo,
    /// It gives something else.
    Changes,
    /// It goes on as before.
    Unharmed,
}

/// One thing that depends on the field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Affected {
    /// The table's name.
    pub table: String,
    /// The field's or view's name, with what it is: `field "Total"`, `view "Open"`.
    pub what: String,
    /// How bad it is.
    pub effect: Effect,
    /// Why, in a sentence.
    pub why: String,
    /// 1 for what names the field itself, more for what is further away.
    pub distance: usize,
}

/// What depends on a field and what the change does to it, worst first.
pub fn impact(base: &Base, field: FieldId, change: &Change) -> Result<Vec<Affected>, Fault> {
    let places = places(base);
    let start = *places
        .get(&field)
        .ok_or_else(|| Fault::new(Code::UnknownField, format!("there is no field {field} in this base.")))?;
    let after = changed(base, start, change)?;
    let mut found: Vec<Affected> = Vec::new();
    let mut broken: FxHashSet<Place> = FxHashSet::default();
    // A link that becomes something else is no link any more.
    let gone = *change == Change::Delete;
    let unlinked = !matches!(change, Change::Rename(_));
    // The other side of a link is a text then.
    let mirror = mirror(base, start).filter(|_| unlinked).and_then(|field| places.get(&field).copied());
    let starts: Vec<Place> = std::iter::once(start).chain(mirror).collect();
    let reached = reach(base, &places, &starts);
    for (place, distance) in &reached {
        let (was, is) = (&base.tables[place.table], &after.tables[place.table]);
        let before = &was.fields[place.field];
        let Some(now) = is.field_by_id(before.id) else { continue };
        let valid = |field: &tablewright_core::model::Field| {
            let options = field.options.as_ref();
            options.and_then(|o| o.get("isValid")).and_then(serde_json::Value::as_bool).unwrap_or(true)
        };
        let on_broken = needs(base, &places, *place).iter().any(|need| broken.contains(need));
        let (effect, why) = if valid(before) && !valid(now) {
            broken.insert(*place);
            (Effect::Breaks, why_broken(is, &now.kind))
        } else if on_broken {
            broken.insert(*place);
            (Effect::BreaksToo, "it is worked out from a field that breaks.".to_owned())
        } else if type_words(before) != type_words(now) {
            (Effect::Changes, format!("it gives {} instead of {}.", type_words(now), type_words(before)))
        } else if let Some(warning) = new_warning((was, &before.kind), (is, &now.kind)) {
            (Effect::Changes, warning)
        } else if matches!(change, Change::Rename(_)) {
            (Effect::Unharmed, "formulas name fields by id; it shows the new name.".to_owned())
        } else {
            (Effect::Unharmed, "it takes values of the new type, and gives what it gave.".to_owned())
        };
        found.push(Affected {
            table: was.name.clone(),
            what: format!("field {:?}", before.name),
            effect,
            why,
            distance: *distance,
        });
    }
    let everywhere = starts.iter().map(|place| (*place, 1)).chain(reached.iter().copied());
    for (place, distance) in everywhere {
        let how = match place {
            _ if gone && place == start => Some(Effect::Breaks),
            _ if broken.contains(&place) => Some(Effect::BreaksToo),
            _ => None,
        };
        views((base, &after), place, distance, how, &mut found);
    }
    if let Some(place) = mirror {
        let table = &base.tables[place.table];
        found.push(Affected {
            table: table.name.clone(),
            what: format!("field {:?}", table.fields[place.field].name),
            effect: Effect::Changes,
            why: "it becomes a text with the names of the records it links to.".to_owned(),
            distance: 1,
        });
    }
    found.sort_by_key(|affected| (affected.effect, affected.distance));
    Ok(found)
}

/// The base after the change.
fn changed(base: &Base, place: Place, change: &Change) -> Result<Base, Fault> {
    let mut after = base.clone();
    let table = &mut after.tables[place.table];
    let bad = |message: String| Err(Fault::new(Code::InvalidArguments, message));
    match change {
        Change::Rename(name) => {
            let taken = table
                .fields
                .iter()
                .enumerate()
                .any(|(at, f)| at != place.field && f.name.to_lowercase() == name.to_lowercase());
            if name.trim().is_empty() || taken {
                return bad(format!(
                    "table {:?} has a field {name:?} already, or the name is empty.",
                    table.name
                ));
            }
            table.fields[place.field].name = name.clone();
        }
        Change::Retype(type_name) => {
            let field = &mut table.fields[place.field];
            field.kind = match type_name.as_str() {
                "multipleRecordLinks" => {
                    return bad("a link needs the table it leads to; make a new field instead.".into());
                }
                name => FieldType::parse(name, &Map::new())?,
            };
            if field.kind == FieldType::Unknown {
                return bad(format!(
                    "there is no field type {type_name:?}; use Airtable's names, such as \"singleLineText\" or \"number\"."
                ));
            }
            field.type_name = type_name.clone();
            field.options = None;
            unlink(base, place, &mut after);
        }
        Change::Delete => {
            if table.primary_field_id == table.fields[place.field].id {
                return bad(format!(
                    "{:?} names the records of its table and cannot be deleted.",
                    table.fields[place.field].name
                ));
            }
            table.fields.remove(place.field);
            unlink(base, place, &mut after);
        }
    }
    settle(&mut after)?;
    Ok(after)
}

/// Everything that depends on a field, nearest first, with how far away it is.
fn reach(base: &Base, places: &FxHashMap<FieldId, Place>, starts: &[Place]) -> Vec<(Place, usize)> {
    let mut dependents: FxHashMap<Place, Vec<Place>> = FxHashMap::default();
    for place in places.values() {
        for need in needs(base, places, *place) {
            dependents.entry(need).or_default().push(*place);
        }
    }
    let mut seen: FxHashSet<Place> = starts.iter().copied().collect();
    let mut found: Vec<(Place, usize)> = Vec::new();
    let mut edge = starts.to_vec();
    let mut distance = 0;
    while !edge.is_empty() {
        distance += 1;
        let mut next: Vec<Place> = Vec::new();
        for place in &edge {
            next.extend(
                dependents.get(place).into_iter().flatten().copied().filter(|place| seen.insert(*place)),
            );
        }
        next.sort_by_key(|place| (place.table, place.field));
        found.extend(next.iter().map(|place| (*place, distance)));
        edge = next;
    }
    found
}

fn type_words(field: &Field) -> String {
    let words = kinds_of(&field.kind).without(Kinds::BLANK).words();
    match items_of(field).without(Kinds::BLANK) {
        items if items == Kinds::ANY.without(Kinds::BLANK) => words,
        items => format!("{words} of {}", items.words()),
    }
}

fn formula_of(kind: &FieldType) -> Option<(&str, bool)> {
    match kind {
        FieldType::Formula { formula, .. } | FieldType::Button { formula: Some(formula), .. } => {
            Some((formula, false))
        }
        FieldType::Rollup(link, _) => Some((link.formula.as_deref()?, true)),
        _ => None,
    }
}

fn problems(table: &Table, kind: &FieldType) -> Vec<Problem> {
    let Some((formula, rollup)) = formula_of(kind) else { return Vec::new() };
    let scope = if rollup { Scope::of_rollup(None) } else { Scope::of_table(table) };
    compile(formula, &scope).map_or_else(|problems| problems, |(_, warnings)| warnings)
}

fn why_broken(table: &Table, kind: &FieldType) -> String {
    let found = problems(table, kind);
    match found.iter().find(|p| p.is_error()) {
        Some(problem) if problem.code == tablewright_formula::ProblemCode::UnknownField => {
            "its formula names the field.".to_owned()
        }
        Some(problem) => problem.message.clone(),
        None => "it takes its values from the field or through it.".to_owned(),
    }
}

/// The first warning that is there after the change and was not before.
fn new_warning(before: (&Table, &FieldType), after: (&Table, &FieldType)) -> Option<String> {
    let known: Vec<String> = problems(before.0, before.1).into_iter().map(|p| p.message).collect();
    problems(after.0, after.1).into_iter().map(|p| p.message).find(|message| !known.contains(message))
}

/// The views whose filter or order name the field at a place. `how` says how it fares itself.
fn views(
    (before, after): (&Base, &Base),
    place: Place,
    distance: usize,
    how: Option<Effect>,
    found: &mut Vec<Affected>,
) {
    let (was, is) = (&before.tables[place.table], &after.tables[place.table]);
    let field = was.fields[place.field].id;
    for view in &was.views {
        let mut add = |effect, why: &str| {
            found.push(Affected {
                table: was.name.clone(),
                what: format!("view {:?}", view.name),
                effect,
                why: why.to_owned(),
                distance,
            });
        };
        let name = &was.fields[place.field].name;
        if let Some(filter) =
            view.filter_formula.as_deref().filter(|filter| filter.contains(&field.to_string()))
        {
            let why = format!("its filter names {name:?}.");
            match (how, compile(filter, &Scope::of_table(is))) {
                (_, Err(_)) => add(Effect::Breaks, &why),
                (Some(_), Ok(_)) => add(Effect::BreaksToo, &why),
                (None, Ok((_, warnings))) if !warnings.is_empty() => {
                    add(Effect::Changes, &warnings[0].message)
                }
                (None, Ok(_)) => add(Effect::Unharmed, &why),
            }
        }
        if view.sorts.iter().any(|sort| sort.field == field) {
            let effect = if how.is_some() { Effect::Changes } else { Effect::Unharmed };
            add(effect, &format!("it is sorted by {name:?}."));
        }
    }
}

/// Makes the other side of a link a text.
fn unlink(base: &Base, place: Place, after: &mut Base) {
    let mirror = mirror(base, place);
    for field in after.tables.iter_mut().flat_map(|table| &mut table.fields) {
        if Some(field.id) == mirror {
            "singleLineText".clone_into(&mut field.type_name);
            (field.kind, field.options) = (FieldType::SingleLineText, None);
        }
    }
}

/// The field that mirrors a link.
fn mirror(base: &Base, place: Place) -> Option<FieldId> {
    base.tables[place.table].fields[place.field].link()?.inverse_link_field_id
}
