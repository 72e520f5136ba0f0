//! Which fields a field depends on.

use rustc_hash::FxHashMap;
use tablewright_core::model::field::ThroughLink;
use tablewright_core::model::{Base, Field, FieldId, FieldType};
use tablewright_formula::syntax::parse;
use tablewright_formula::{Scope, resolve};

/// A field by its places: of its table among the tables, of itself among the fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Place {
    /// The table.
    pub table: usize,
    /// The field.
    pub field: usize,
}

/// The place of every field.
pub(crate) fn places(base: &Base) -> FxHashMap<FieldId, Place> {
    let tables = base.tables.iter().enumerate();
    tables
        .flat_map(|(table, t)| {
            t.fields.iter().enumerate().map(move |(field, f)| (f.id, Place { table, field }))
        })
        .collect()
}

/// The fields a field's cells depend on. A link depends on what its records are called.
pub(crate) fn needs(base: &Base, places: &FxHashMap<FieldId, Place>, place: Place) -> Vec<Place> {
    let table = &base.tables[place.table];
    let field = &table.fields[place.field];
    let through = |link: &ThroughLink| {
        [link.record_link_field_id, link.field_id_in_linked_table]
            .into_iter()
            .flatten()
            .filter_map(|id| places.get(&id).copied())
            .collect()
    };
    match &field.kind {
        FieldType::Formula { formula, .. } | FieldType::Button { formula: Some(formula), .. } => {
            let scope = Scope::of_table(table);
            let (tree, mut problems) = parse(formula);
            let facts = resolve(&tree, &scope, &mut problems);
            let fields = facts.all_fields();
            let named = fields.iter().filter_map(|at| primary_of(base, places, &table.fields[*at]));
            named.chain(fields.iter().map(|at| Place { table: place.table, field: *at })).collect()
        }
        FieldType::Lookup(link) | FieldType::Rollup(link, _) => {
            let mut all: Vec<Place> = through(link);
            let source = link.field_id_in_linked_table.and_then(|id| places.get(&id));
            all.extend(
                source.and_then(|at| primary_of(base, places, &base.tables[at.table].fields[at.field])),
            );
            all
        }
        FieldType::Count(link) => through(link),
        _ => Vec::new(),
    }
}

/// The primary field of the table a link field leads to.
fn primary_of(base: &Base, places: &FxHashMap<FieldId, Place>, field: &Field) -> Option<Place> {
    let linked = base.table_by_id(field.link()?.linked_table_id)?;
    places.get(&linked.primary_field_id).copied()
}
