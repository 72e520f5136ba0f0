//! Tables and fields as a caller describes them, with names, worked out to what the engine makes.
//!
//! What is to be made is put into a copy of the schema first, so that names of things of the same
//! call are found like those of things that are there.

use std::collections::HashMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};
use tablewright_core::model::field::LinkOptions;
use tablewright_core::model::{Base, Field, FieldId, FieldType, Table, TableId};
use tablewright_core::{Code, Fault};
use tablewright_engine::local::other_side_name;
use tablewright_engine::local::schema::{NewField, NewTable, OtherSide};
use tablewright_toolkit::text::accept;

use super::accepted;
use super::options::{ChoiceSpec, Given, by_id, linked};

/// A field to make.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct FieldSpec {
    name: String,
    /// Airtable's name, such as singleLineText, number, singleSelect, multipleRecordLinks, rollup.
    #[serde(rename = "type")]
    type_name: String,
    description: Option<String>,
    /// Of a select: names, or {name, color}.
    choices: Option<Vec<ChoiceSpec>>,
    /// Of a formula; of a rollup over `values`, such as SUM(values).
    formula: Option<String>,
    /// Of a link: the table it leads to.
    links_to: Option<String>,
    /// Of a link: what its other side is called; the name of this table if left out.
    other_side: Option<String>,
    /// Of a lookup, rollup or count: the link field of this table.
    through: Option<String>,
    /// Of a lookup or rollup: the field of the linked table.
    source: Option<String>,
    /// Other options of the type, as in Airtable's API: {"precision": 2}.
    options: Option<Map<String, Value>>,
}

/// A table to make.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TableSpec {
    name: String,
    description: Option<String>,
    /// The first one names the records.
    fields: Vec<FieldSpec>,
}

impl TableSpec {
    pub(super) fn new(name: String, description: Option<String>, fields: Vec<FieldSpec>) -> Self {
        Self { name, description, fields }
    }
}

/// A field that is to be made.
struct Waiting {
    id: FieldId,
    table: TableId,
    name: String,
    type_name: String,
    description: Option<String>,
    options: Map<String, Value>,
    other_side: Option<String>,
}

/// A copy of a schema with what is to be made in it.
struct Planner {
    base: Base,
    waiting: Vec<Waiting>,
}

/// What the engine is asked to make for these tables of `base`.
pub(super) fn tables(base: Base, specs: Vec<TableSpec>) -> Result<Vec<NewTable>, Fault> {
    let mut planner = Planner { base, waiting: Vec::new() };
    let mut made = Vec::with_capacity(specs.len());
    for spec in specs {
        let (id, name) = (TableId::random(), accept(&spec.name)?);
        planner.base.tables.push(Table {
            id,
            name: name.clone(),
            description: None,
            primary_field_id: FieldId::random(),
            fields: Vec::new(),
            views: Vec::new(),
            other: Map::new(),
        });
        for field in spec.fields {
            planner.add(id, field).map_err(|f| f.within(format_args!("table {name:?}")))?;
        }
        let description = accepted(spec.description)?;
        made.push(NewTable { id: Some(id), name, description, fields: Vec::new() });
    }
    for (table, field) in planner.finish()? {
        if let Some(made) = made.iter_mut().find(|made| made.id == Some(table)) {
            made.fields.push(field);
        }
    }
    Ok(made)
}

/// What the engine is asked to make for this field of a table of `base`.
pub(super) fn field(base: Base, table: TableId, spec: FieldSpec) -> Result<NewField, Fault> {
    let mut planner = Planner { base, waiting: Vec::new() };
    planner.add(table, spec)?;
    let made = planner.finish()?.into_iter().next();
    made.map(|(_, field)| field).ok_or_else(|| Fault::new(Code::Internal, "no field was planned."))
}

impl Planner {
    fn add(&mut self, table: TableId, spec: FieldSpec) -> Result<(), Fault> {
        let FieldSpec { name, type_name, description, choices, formula, links_to, other_side, .. } = spec;
        let name = accept(&name)?;
        let place = format!("field {name:?}");
        let given = Given {
            choices,
            formula,
            links_to,
            through: spec.through,
            source: spec.source,
            options: spec.options,
        };
        let options = given.options(&type_name).map_err(|f| f.within(&place))?;
        if other_side.is_some() && type_name != "multipleRecordLinks" {
            let message = format!("{place}: a {type_name} has no other_side.");
            return Err(Fault::new(Code::InvalidArguments, message));
        }
        let mut planned = Field::new(&name, "singleLineText", None)?;
        planned.type_name.clone_from(&type_name);
        let id = planned.id;
        self.table(table)?.fields.push(planned);
        let (description, other_side) = (accepted(description)?, accepted(other_side)?);
        self.waiting.push(Waiting { id, table, name, type_name, description, options, other_side });
        Ok(())
    }

    fn table(&mut self, id: TableId) -> Result<&mut Table, Fault> {
        let missing = || Fault::new(Code::UnknownTable, format!("there is no table {id}."));
        self.base.tables.iter_mut().find(|t| t.id == id).ok_or_else(missing)
    }

    /// The fields, with ids in the place of names, by the table they belong to.
    fn finish(mut self) -> Result<Vec<(TableId, NewField)>, Fault> {
        let waiting = std::mem::take(&mut self.waiting);
        for field in waiting.iter().filter(|f| f.type_name == "multipleRecordLinks") {
            let to = linked(&self.base, &field.options).map_err(|f| self.within(field, f))?.id;
            self.link(field.table, field.id, to)?;
        }
        let mut sides = self.pairs(&waiting)?;
        for field in &waiting {
            if !sides.contains_key(&field.id)
                && let Some(side) = self.new_side(field).map_err(|f| self.within(field, f))?
            {
                sides.insert(field.id, side);
            }
        }
        let mut made = Vec::with_capacity(waiting.len());
        for mut field in waiting {
            let here = self.base.table_by_id(field.table);
            let here = here.ok_or_else(|| Fault::new(Code::UnknownTable, "the table is gone."))?;
            by_id(&mut field.options, &self.base, here, &field.type_name, None)
                .map_err(|f| self.within(&field, f))?;
            let Waiting { id, table, name, type_name, description, options, .. } = field;
            let other_side = sides.remove(&id);
            let options = (!options.is_empty()).then_some(options);
            made.push((table, NewField { id: Some(id), name, type_name, description, options, other_side }));
        }
        Ok(made)
    }

    fn within(&self, field: &Waiting, fault: Fault) -> Fault {
        let table = self.base.table_by_id(field.table).map_or("", |t| t.name.as_str());
        fault.within(format_args!("table {table:?}, field {:?}", field.name))
    }

    /// Makes a planned field a link.
    fn link(&mut self, table: TableId, field: FieldId, to: TableId) -> Result<(), Fault> {
        let held = self.table(table)?;
        if let Some(field) = held.fields.iter_mut().find(|f| f.id == field) {
            field.kind = FieldType::Links(LinkOptions {
                linked_table_id: to,
                inverse_link_field_id: None,
                prefers_single_record_link: false,
                view_id_for_record_selection: None,
            });
        }
        Ok(())
    }

    /// The links of the same call that are named as each other's other side.
    fn pairs(&self, waiting: &[Waiting]) -> Result<HashMap<FieldId, OtherSide>, Fault> {
        let mut sides: HashMap<FieldId, OtherSide> = HashMap::new();
        for field in waiting {
            let (Some(name), Some(to)) = (&field.other_side, self.leads_to(field.table, field.id)) else {
                continue;
            };
            let back = waiting.iter().find(|back| {
                back.table == to
                    && back.id != field.id
                    && back.name.trim().to_lowercase() == name.trim().to_lowercase()
                    && self.leads_to(back.table, back.id) == Some(field.table)
            });
            let Some(back) = back else { continue };
            for (one, other) in [(field, back), (back, field)] {
                let side = OtherSide { id: other.id, name: other.name.clone() };
                if sides.insert(one.id, side).is_some_and(|held| held.id != other.id) {
                    let message = "two links name it as their other side; each link has its own.";
                    return Err(self.within(one, Fault::new(Code::InvalidArguments, message)));
                }
            }
        }
        Ok(sides)
    }

    /// The table a planned field links to.
    fn leads_to(&self, table: TableId, field: FieldId) -> Option<TableId> {
        Some(self.base.table_by_id(table)?.field_by_id(field)?.link()?.linked_table_id)
    }

    /// Plans a new field as the other side of a link.
    fn new_side(&mut self, field: &Waiting) -> Result<Option<OtherSide>, Fault> {
        let Some(to) = self.leads_to(field.table, field.id) else { return Ok(None) };
        if to == field.table {
            return match field.other_side {
                None => Ok(None),
                Some(_) => Err(Fault::new(
                    Code::InvalidArguments,
                    "a link of a table to itself has no other side; leave other_side out.",
                )),
            };
        }
        let (Some(here), Some(there)) = (self.base.table_by_id(field.table), self.base.table_by_id(to))
        else {
            return Ok(None);
        };
        let name = field.other_side.clone().unwrap_or_else(|| other_side_name(here, there));
        let back = Field::new(&name, "singleLineText", None)?;
        let id = back.id;
        self.table(to)?.fields.push(back);
        self.link(to, id, field.table)?;
        Ok(Some(OtherSide { id, name }))
    }
}
