//! What a schema says about its computed fields: whether they can be used, and what they give.

use rustc_hash::{FxHashMap, FxHashSet};
use serde_json::{Map, Value, json};
use tablewright_core::model::{Base, Field, FieldId, FieldType, Table};
use tablewright_core::{Code, Fault};
use tablewright_formula::syntax::{Kind, field_name, parse};
use tablewright_formula::{ResultType, Scope, Span, compile};

use super::depend::{Place, needs, places};

/// Settles the computed fields of a base: formulas name fields by id, `isValid` and `result` say
/// whether and what they give. A field that depends on itself is refused.
pub fn settle(base: &mut Base) -> Result<(), Fault> {
    for at in 0..base.tables.len() {
        name_by_id(&mut base.tables[at]);
    }
    let order = order(base)?;
    for Place { table, field } in order {
        let settled = settled(base, table, field);
        set_result(&mut base.tables[table].fields[field], settled);
    }
    Ok(())
}

/// Rewrites the names of fields in formulas to ids, so that renaming a field breaks nothing.
fn name_by_id(table: &mut Table) {
    let scope = Scope::of_table(table);
    let ids: Vec<FieldId> = table.fields.iter().map(|f| f.id).collect();
    let by_id = |text: &str| rewrite(text, &scope, |at| ids.get(at).map(|id| field_name(&id.to_string())));
    for field in &mut table.fields {
        if let FieldType::Formula { formula, .. } | FieldType::Button { formula: Some(formula), .. } =
            &mut field.kind
        {
            *formula = by_id(formula);
            let text = formula.clone();
            field.options.get_or_insert_default().insert("formula".into(), Value::String(text));
        }
        set_referenced(field, &scope, &ids);
    }
    for view in &mut table.views {
        view.filter_formula = view.filter_formula.as_deref().map(by_id);
    }
}

/// Says which fields a formula reads, each once; and of a last-modified time, which it follows.
fn set_referenced(field: &mut Field, scope: &Scope, ids: &[FieldId]) {
    let options = &mut field.options;
    match &field.kind {
        FieldType::Formula { formula, .. } => {
            let mut read: Vec<FieldId> = Vec::new();
            for (_, at) in named(formula, scope) {
                read.extend(ids.get(at).filter(|id| !read.contains(id)));
            }
            options.get_or_insert_default().insert("referencedFieldIds".into(), json!(read));
        }
        FieldType::LastModifiedTime { watched, .. } => {
            let options = options.get_or_insert_default();
            options.entry("isValid").or_insert(Value::Bool(true));
            options.entry("referencedFieldIds").or_insert_with(|| json!(watched));
        }
        _ => {}
    }
}

/// A formula with its fields by id, so that it means the same when one is renamed.
pub fn with_ids(table: &Table, formula: &str) -> String {
    let id = |at: usize| table.fields.get(at).map(|field| field_name(&field.id.to_string()));
    rewrite(formula, &Scope::of_table(table), id)
}

/// A formula with its fields by name, for people.
pub fn with_names(table: &Table, formula: &str) -> String {
    rewrite(formula, &Scope::of_table(table), |at| table.fields.get(at).map(|f| field_name(&f.name)))
}

/// Where a formula names fields that are known, and which, in order.
fn named(text: &str, scope: &Scope) -> Vec<(Span, usize)> {
    let (tree, _) = parse(text);
    let mut fields: Vec<_> = tree
        .nodes()
        .iter()
        .filter_map(|node| match &node.kind {
            Kind::Field(name) => Some((node.span, scope.find(name)?)),
            _ => None,
        })
        .collect();
    fields.sort_by_key(|(span, _)| span.start);
    fields
}

/// The text with every field that is known written anew; layout stays as it is.
fn rewrite(text: &str, scope: &Scope, written: impl Fn(usize) -> Option<String>) -> String {
    let fields = named(text, scope);
    let mut out = String::with_capacity(text.len() + fields.len() * 20);
    let mut done = 0;
    for (span, at) in fields {
        let (start, end) = (span.start as usize, span.end as usize);
        let Some(name) = written(at).filter(|_| start >= done) else { continue };
        out.push_str(text.get(done..start).unwrap_or_default());
        out.push_str(&name);
        done = end;
    }
    out.push_str(text.get(done..).unwrap_or_default());
    out
}

/// The computed fields, each after what it depends on.
fn order(base: &Base) -> Result<Vec<Place>, Fault> {
    let places = places(base);
    let mut done = FxHashSet::default();
    let mut order = Vec::new();
    for (table, t) in base.tables.iter().enumerate() {
        for field in 0..t.fields.len() {
            visit(base, &places, Place { table, field }, &mut done, &mut order)?;
        }
    }
    Ok(order)
}

/// Walks down from a field with a stack of its own: chains of lookups may be long.
fn visit(
    base: &Base,
    places: &FxHashMap<FieldId, Place>,
    start: Place,
    done: &mut FxHashSet<Place>,
    order: &mut Vec<Place>,
) -> Result<(), Fault> {
    let mut path: Vec<(Place, Vec<Place>)> = Vec::new();
    let mut open = FxHashSet::default();
    let enter = |place: Place, path: &mut Vec<(Place, Vec<Place>)>, open: &mut FxHashSet<Place>| {
        open.insert(place);
        path.push((place, needs(base, places, place)));
    };
    if done.contains(&start) {
        return Ok(());
    }
    enter(start, &mut path, &mut open);
    while let Some((place, left)) = path.last_mut() {
        match left.pop() {
            None => {
                let place = *place;
                open.remove(&place);
                if done.insert(place) && is_ours(&base.tables[place.table].fields[place.field]) {
                    order.push(place);
                }
                path.pop();
            }
            Some(next) if open.contains(&next) => {
                let from = path.iter().position(|(place, _)| *place == next).unwrap_or_default();
                let mut names: Vec<String> =
                    path[from..].iter().map(|(place, _)| name(base, *place)).collect();
                names.push(name(base, next));
                return Err(Fault::new(
                    Code::InvalidFile,
                    format!(
                        "these fields depend on each other in a circle: {}; change the formula of one of them.",
                        names.join(" → ")
                    ),
                ));
            }
            Some(next) if done.contains(&next) => {}
            Some(next) => enter(next, &mut path, &mut open),
        }
    }
    Ok(())
}

fn name(base: &Base, place: Place) -> String {
    let table = &base.tables[place.table];
    format!("{}.{}", table.name, table.fields[place.field].name)
}

fn is_ours(field: &Field) -> bool {
    matches!(
        field.kind,
        FieldType::Formula { .. }
            | FieldType::Rollup(..)
            | FieldType::Lookup(_)
            | FieldType::Count(_)
            | FieldType::Button { formula: Some(_), .. }
    )
}

/// What a computed field gives: whether it can be used, and the type of its cells.
fn settled(base: &Base, table: usize, field: usize) -> (bool, Option<Value>) {
    let here = &base.tables[table];
    let source = |link: &tablewright_core::model::field::ThroughLink| {
        let through = here.field_by_id(link.record_link_field_id?)?.link()?;
        base.table_by_id(through.linked_table_id)?.field_by_id(link.field_id_in_linked_table?)
    };
    match &here.fields[field].kind {
        FieldType::Formula { formula, .. } => match compile(formula, &Scope::of_table(here)) {
            Ok((program, _)) => (true, result_of(program.result())),
            Err(_) => (false, None),
        },
        FieldType::Button { formula: Some(formula), .. } => {
            (compile(formula, &Scope::of_table(here)).is_ok(), None)
        }
        FieldType::Rollup(link, _) => {
            let formula = link.formula.as_deref().filter(|_| source(link).is_some());
            match formula.map(|formula| compile(formula, &Scope::of_rollup(source(link)))) {
                Some(Ok((program, _))) => (true, result_of(program.result())),
                _ => (false, None),
            }
        }
        FieldType::Lookup(link) => match source(link) {
            Some(source) => {
                let mut result = Map::new();
                result.insert("type".into(), Value::from(source.type_name.as_str()));
                if let Some(options) = source.options.clone().filter(|_| source.kind.choices().is_none()) {
                    result.insert("options".into(), Value::Object(options));
                }
                (true, Some(Value::Object(result)))
            }
            None => (false, None),
        },
        FieldType::Count(link) => {
            let link = link.record_link_field_id.and_then(|id| here.field_by_id(id)).and_then(Field::link);
            (link.is_some(), None)
        }
        _ => (true, None),
    }
}

/// A field that could hold results of this type.
pub(super) fn field_for(result: ResultType) -> Option<Field> {
    let mut options = Map::new();
    options.insert("formula".into(), Value::from(""));
    if let Some(result) = result_of(result) {
        options.insert("result".into(), result);
    }
    Field::new("Result", "formula", Some(options)).ok()
}

fn result_of(result: ResultType) -> Option<Value> {
    match result {
        ResultType::Number | ResultType::Truth => {
            Some(json!({"type": "number", "options": {"precision": 1}}))
        }
        ResultType::Text | ResultType::Mixed => Some(json!({"type": "singleLineText"})),
        ResultType::Date => Some(json!({"type": "dateTime", "options": {
            "dateFormat": {"name": "iso", "format": "YYYY-MM-DD"},
            "timeFormat": {"name": "24hour", "format": "HH:mm"}, "timeZone": "utc"}})),
        ResultType::List | ResultType::Any => None,
    }
}

/// Writes what was settled into the field: its options, and the typed view of them.
fn set_result(field: &mut Field, (valid, result): (bool, Option<Value>)) {
    let held = field.options.as_ref().and_then(|options| options.get("result")).cloned();
    let kind_of = |result: &Value| {
        let empty = Map::new();
        let options = result.get("options").and_then(Value::as_object).unwrap_or(&empty);
        FieldType::parse(result.get("type")?.as_str()?, options).ok()
    };
    // The author's formatting stays when it suits what the formula gives.
    let result = match (held, result) {
        (held, result) if !valid => held.or(result),
        (Some(held), Some(result)) => {
            let same = kind_of(&held).map(|k| k.layout()) == kind_of(&result).map(|k| k.layout());
            Some(if same { held } else { result })
        }
        (_, result) => result,
    };
    let parsed = result.as_ref().and_then(kind_of).map(Box::new);
    match &mut field.kind {
        FieldType::Formula { result, .. } | FieldType::Rollup(_, result) => *result = parsed,
        _ => {}
    }
    let options = field.options.get_or_insert_default();
    options.insert("isValid".into(), Value::Bool(valid));
    match result {
        Some(result) => options.insert("result".into(), result),
        None => options.shift_remove("result"),
    };
}
