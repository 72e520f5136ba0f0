//! Changing a schema: tables, fields and views of a base that lives here.
//!
//! An edit is made on a copy of the schema, which is then checked as a whole; only then do the
//! rows follow. What a person would lose without noticing is refused.

use std::collections::HashSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tablewright_core::model::{Base, Field, FieldId, FieldType, Sort, Table, TableId, View, ViewId};
use tablewright_core::{Code, Fault};

use super::columns;
use super::create;
use super::draft::Draft;
use super::lost::difference;
use super::options;
use super::restore::Restored;
use crate::base::changes::Named;
use crate::base::{SchemaChange, TableChanges};
use crate::compute::settle;

/// Most tables of a base, fields of a table and views of a table, as in Airtable.
pub(super) const MAX_TABLES: usize = 1_000;
pub(super) const MAX_FIELDS: usize = 500;
const MAX_VIEWS: usize = 1_000;
/// Longest name and description, in characters.
const MAX_NAME: usize = 255;
const MAX_DESCRIPTION: usize = 20_000;

/// The field on the other side of a new link.
#[derive(Debug, Clone, PartialEq)]
pub struct OtherSide {
    /// Its id; a link field made in the same edit is taken, or else one is made.
    pub id: FieldId,
    /// What it is called.
    pub name: String,
}

/// A field to be made.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct NewField {
    /// Its id, when others of the same edit name it; made when absent.
    #[serde(skip)]
    pub id: Option<FieldId>,
    /// Unique within the table, ignoring case.
    pub name: String,
    /// Airtable's name of the type.
    #[serde(rename = "type")]
    pub type_name: String,
    /// What it is for.
    #[serde(default)]
    pub description: Option<String>,
    /// As the Web API takes them; what is left out gets its usual value.
    #[serde(default)]
    pub options: Option<Map<String, Value>>,
    /// The other side of a link; made and named after the table when absent.
    #[serde(skip)]
    pub other_side: Option<OtherSide>,
}

/// A table to be made; its first field is the primary one.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct NewTable {
    /// Its id, when others of the same edit name it; made when absent.
    #[serde(skip)]
    pub id: Option<TableId>,
    /// Unique within the base, ignoring case.
    pub name: String,
    /// What it is for.
    #[serde(default)]
    pub description: Option<String>,
    /// At least one.
    pub fields: Vec<NewField>,
}

/// What becomes of a view; what is absent stays.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ViewChange {
    /// Another name.
    pub name: Option<String>,
    /// The rows shown, as a formula; an empty text for all.
    pub filter_formula: Option<String>,
    /// The order of the rows.
    pub sorts: Option<Vec<Sort>>,
    /// The fields shown, in order; an empty list for all.
    pub visible_field_ids: Option<Vec<FieldId>>,
}

/// One change of a base's schema. An absent name or description stays; an empty description goes.
#[derive(Debug, Clone, PartialEq)]
pub enum SchemaEdit {
    /// Another name for the base.
    RenameBase(String),
    /// A new table.
    CreateTable(NewTable),
    /// Another name or description.
    UpdateTable { table: TableId, name: Option<String>, description: Option<String> },
    /// A table goes with its records; link fields that lead to it become texts.
    DeleteTable(TableId),
    /// A new field; a link field gets its other side in the linked table.
    CreateField { table: TableId, field: NewField },
    /// Another name, description or options; the type stays.
    UpdateField {
        table: TableId,
        field: FieldId,
        name: Option<String>,
        description: Option<String>,
        options: Option<Map<String, Value>>,
    },
    /// A field goes with its cells; the other side of a link becomes a text.
    DeleteField { table: TableId, field: FieldId },
    /// A new view.
    CreateView { table: TableId, view: View },
    /// Another name, filter, order or choice of fields.
    UpdateView { table: TableId, view: ViewId, change: ViewChange },
    /// A view goes.
    DeleteView { table: TableId, view: ViewId },
    /// The schema becomes what it was, and rows as well; `undoes` are the changes that are taken back.
    PutBack { schema: Box<Base>, rows: Vec<Restored>, undoes: Vec<i64> },
}

/// What an edit made or changed.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Edit {
    /// For the change log.
    pub changes: Vec<SchemaChange>,
    /// The table it was about.
    pub table: Option<TableId>,
    /// The field it was about.
    pub field: Option<FieldId>,
    /// The view it was about.
    pub view: Option<ViewId>,
    /// Rows that were put back with it.
    pub rows: Vec<TableChanges>,
    /// Link fields that became texts.
    pub(super) unlinked: Vec<(TableId, FieldId)>,
}

pub(super) fn refused(message: impl Into<String>) -> Fault {
    Fault::new(Code::InvalidSchema, message)
}

impl Draft {
    /// Carries out an edit at `now`; the error says what to change, and then nothing is changed.
    pub fn edit(&mut self, edit: &SchemaEdit, now: i64) -> Result<Edit, Fault> {
        if let SchemaEdit::PutBack { schema, rows, .. } = edit {
            return self.put_schema_back(schema, rows, now);
        }
        let defines = match edit {
            SchemaEdit::CreateTable(_) | SchemaEdit::CreateField { .. } => true,
            SchemaEdit::UpdateField { options, .. } => options.is_some(),
            _ => false,
        };
        self.carry_out(defines, now, |schema| make(schema, edit))
    }

    fn put_schema_back(&mut self, schema: &Base, rows: &[Restored], now: i64) -> Result<Edit, Fault> {
        let mut made = self.carry_out(false, now, |held| {
            let changes = difference(held, schema);
            schema.clone_into(held);
            Ok(Edit { changes, ..Edit::default() })
        })?;
        made.rows = self.put_rows_back(rows, now)?;
        Ok(made)
    }

    /// Makes tables together: their links, lookups and rollups may name each other.
    pub fn create_tables(&mut self, tables: &[NewTable], now: i64) -> Result<Edit, Fault> {
        self.carry_out(true, now, |schema| {
            let mut made = Edit::default();
            create::tables(schema, tables, &mut made)?;
            Ok(made)
        })
    }

    /// `defines`: the edit says how fields work, so they must.
    fn carry_out(
        &mut self,
        defines: bool,
        now: i64,
        make: impl FnOnce(&mut Base) -> Result<Edit, Fault>,
    ) -> Result<Edit, Fault> {
        let before = self.snapshot.schema.clone();
        let mut schema = Base::clone(&before);
        let mut made = make(&mut schema)?;
        refuse_twins(&schema)?;
        schema.validate().map_err(|fault| refused(fault.message))?;
        settle(&mut schema).map_err(|fault| refused(fault.message))?;
        if defines {
            must_compute(&schema, &made)?;
        }
        columns::follow(self, Arc::new(schema), &made, now)?;
        note_settled(&before, &self.snapshot.schema, &mut made);
        self.schema_changed = true;
        Ok(made)
    }
}

/// Makes the edit in the schema alone.
fn make(schema: &mut Base, edit: &SchemaEdit) -> Result<Edit, Fault> {
    let mut made = Edit::default();
    match edit {
        SchemaEdit::RenameBase(name) => {
            let after = given_name("the base", name)?;
            let before = std::mem::replace(&mut schema.name, after.clone());
            made.changes.push(SchemaChange::BaseRenamed { before, after });
        }
        SchemaEdit::CreateTable(new) => create::tables(schema, std::slice::from_ref(new), &mut made)?,
        SchemaEdit::UpdateTable { table, name, description } => {
            let (was, is) = {
                let held = table_mut(schema, *table)?;
                let was = named_table(held);
                rename(&mut held.name, name)?;
                describe(&mut held.description, description)?;
                (was, named_table(held))
            };
            made.table = Some(*table);
            made.changes.push(SchemaChange::TableChanged { table: *table, before: was, after: is });
        }
        SchemaEdit::DeleteTable(table) => delete_table(schema, *table, &mut made)?,
        SchemaEdit::CreateField { table, field } => {
            let id = create::field(schema, *table, field, &mut made)?;
            (made.table, made.field) = (Some(*table), Some(id));
        }
        SchemaEdit::UpdateField { table, field, name, description, options } => {
            let held = field_mut(schema, *table, *field)?;
            let before = held.clone();
            rename(&mut held.name, name)?;
            describe(&mut held.description, description)?;
            if let Some(options) = options {
                options::update(held, options)?;
            }
            let after = held.clone();
            (made.table, made.field) = (Some(*table), Some(*field));
            made.changes.push(SchemaChange::FieldChanged {
                table: *table,
                before: Box::new(before),
                after: Box::new(after),
            });
        }
        SchemaEdit::DeleteField { table, field } => delete_field(schema, *table, *field, &mut made)?,
        SchemaEdit::CreateView { table, view } => {
            let held = table_mut(schema, *table)?;
            if held.views.len() >= MAX_VIEWS {
                return Err(refused(format!("a table has at most {MAX_VIEWS} views.")));
            }
            let view = View { name: given_name("the view", &view.name)?, ..view.clone() };
            check_view(held, &view)?;
            view.filter_formula.as_deref().map_or(Ok(()), |formula| check_filter(held, formula))?;
            (made.table, made.view) = (Some(*table), Some(view.id));
            made.changes.push(SchemaChange::ViewChanged { table: *table, view: view.id });
            held.views.push(view);
        }
        SchemaEdit::UpdateView { table, view, change } => {
            let held = table_mut(schema, *table)?;
            let at = held.views.iter().position(|v| v.id == *view).ok_or_else(|| no_view(held, *view))?;
            let mut next = held.views[at].clone();
            rename(&mut next.name, &change.name)?;
            if let Some(formula) = &change.filter_formula {
                if !formula.trim().is_empty() {
                    check_filter(held, formula)?;
                }
                next.filter_formula = (!formula.trim().is_empty()).then(|| formula.clone());
            }
            if let Some(sorts) = &change.sorts {
                next.sorts.clone_from(sorts);
            }
            if let Some(ids) = &change.visible_field_ids {
                next.visible_field_ids = (!ids.is_empty()).then(|| ids.clone());
            }
            check_view(held, &next)?;
            held.views[at] = next;
            (made.table, made.view) = (Some(*table), Some(*view));
            made.changes.push(SchemaChange::ViewChanged { table: *table, view: *view });
        }
        SchemaEdit::DeleteView { table, view } => {
            let held = table_mut(schema, *table)?;
            let at = held.views.iter().position(|v| v.id == *view).ok_or_else(|| no_view(held, *view))?;
            if held.views.len() == 1 {
                return Err(refused(format!("table {:?} has no other view; it needs one.", held.name)));
            }
            held.views.remove(at);
            (made.table, made.view) = (Some(*table), Some(*view));
            made.changes.push(SchemaChange::ViewChanged { table: *table, view: *view });
        }
        // It is not made of one part of the schema; see `put_schema_back`.
        SchemaEdit::PutBack { .. } => {}
    }
    Ok(made)
}

fn delete_table(schema: &mut Base, id: TableId, made: &mut Edit) -> Result<(), Fault> {
    let at = schema.tables.iter().position(|t| t.id == id);
    let at = at.ok_or_else(|| super::apply::missing_table(id))?;
    if schema.tables.len() == 1 {
        return Err(refused("a base needs at least one table; delete the base instead."));
    }
    let gone = schema.tables.remove(at);
    for table in &mut schema.tables {
        for field in &mut table.fields {
            if field.link().is_some_and(|link| link.linked_table_id == id) {
                unlink(table.id, field, made)?;
            }
        }
    }
    made.table = Some(id);
    made.changes.insert(0, SchemaChange::TableDeleted { table: id, before: named_table(&gone) });
    Ok(())
}

fn delete_field(schema: &mut Base, table: TableId, id: FieldId, made: &mut Edit) -> Result<(), Fault> {
    let held = table_mut(schema, table)?;
    let at = held.field_index(id).ok_or_else(|| no_field(held, id))?;
    if held.primary_field_id == id {
        let message = format!("field {:?} names the records; it cannot be deleted.", held.fields[at].name);
        return Err(refused(message));
    }
    let gone = held.fields.remove(at);
    for view in &mut held.views {
        view.sorts.retain(|sort| sort.field != id);
        if let Some(ids) = &mut view.visible_field_ids {
            ids.retain(|shown| *shown != id);
            if ids.is_empty() {
                ids.push(held.primary_field_id);
            }
        }
    }
    if let Some(link) = gone.link()
        && let Some(inverse) = link.inverse_link_field_id
        && inverse != id
    {
        let other = link.linked_table_id;
        let field = field_mut(schema, other, inverse)?;
        unlink(other, field, made)?;
    }
    (made.table, made.field) = (Some(table), Some(id));
    made.changes.insert(0, SchemaChange::FieldDeleted { table, before: Box::new(gone) });
    Ok(())
}

/// Turns a link field into a text; its cells follow with the names of the records.
fn unlink(table: TableId, field: &mut Field, made: &mut Edit) -> Result<(), Fault> {
    let before = field.clone();
    let text = Field::new(&field.name, "singleLineText", None)?;
    (field.type_name, field.options, field.kind) = (text.type_name, None, text.kind);
    made.unlinked.push((table, field.id));
    made.changes.push(SchemaChange::FieldChanged {
        table,
        before: Box::new(before),
        after: Box::new(field.clone()),
    });
    Ok(())
}

/// Names are unique in any case of their letters: tables of a base, fields of a table.
fn refuse_twins(schema: &Base) -> Result<(), Fault> {
    fn twin<'a>(mut names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
        let mut seen = HashSet::new();
        names.find(|name| !seen.insert(name.to_lowercase()))
    }
    if let Some(name) = twin(schema.tables.iter().map(|t| t.name.as_str())) {
        let message = format!("the base has a table {name:?} already; choose another name.");
        return Err(Fault::new(Code::Conflict, message).about(name));
    }
    for table in &schema.tables {
        if let Some(name) = twin(table.fields.iter().map(|f| f.name.as_str())) {
            let message =
                format!("table {:?} has a field {name:?} already; choose another name.", table.name);
            return Err(Fault::new(Code::Conflict, message).about(name));
        }
    }
    Ok(())
}

/// A field that was just written must work; others that it breaks say so in their options.
fn must_compute(schema: &Base, made: &Edit) -> Result<(), Fault> {
    let fields = made.changes.iter().filter_map(|change| match change {
        SchemaChange::FieldCreated { table, field }
        | SchemaChange::FieldChanged { table, after: field, .. } => Some((*table, vec![field.id])),
        SchemaChange::TableCreated { table, .. } => {
            Some((*table, schema.table_by_id(*table)?.fields.iter().map(|f| f.id).collect()))
        }
        _ => None,
    });
    for (table, ids) in fields {
        let Some(held) = schema.table_by_id(table) else { continue };
        for field in ids.iter().filter_map(|id| held.field_by_id(*id)) {
            options::must_work(schema, held, field)?;
        }
    }
    Ok(())
}

/// Fields are told as they came out: with ids in formulas and the type of their result.
fn note_settled(before: &Base, after: &Base, made: &mut Edit) {
    for change in &mut made.changes {
        match change {
            SchemaChange::FieldCreated { table, field } => {
                if let Some(settled) = after.table_by_id(*table).and_then(|t| t.field_by_id(field.id)) {
                    **field = settled.clone();
                }
            }
            SchemaChange::FieldChanged { table, before: was, after: is } => {
                if let Some(settled) = after.table_by_id(*table).and_then(|t| t.field_by_id(is.id)) {
                    **is = settled.clone();
                }
                if let Some(held) = before.table_by_id(*table).and_then(|t| t.field_by_id(was.id)) {
                    **was = held.clone();
                }
            }
            _ => {}
        }
    }
}

fn check_view(table: &Table, view: &View) -> Result<(), Fault> {
    if table.views.iter().any(|v| v.id != view.id && v.name.to_lowercase() == view.name.to_lowercase()) {
        let message =
            format!("table {:?} has a view {:?} already; choose another name.", table.name, view.name);
        return Err(Fault::new(Code::Conflict, message).about(view.name.as_str()));
    }
    let shown = view.visible_field_ids.iter().flatten().copied();
    for id in shown.chain(view.sorts.iter().map(|sort| sort.field)) {
        table.field_by_id(id).ok_or_else(|| no_field(table, id))?;
    }
    Ok(())
}

/// A filter that was just written must work; one whose fields went away is left as it is.
fn check_filter(table: &Table, formula: &str) -> Result<(), Fault> {
    let scope = tablewright_formula::Scope::of_table(table);
    tablewright_formula::compile(formula, &scope).map(|_| ()).map_err(|problems| {
        refused(format!("the filter of the view: {}", tablewright_formula::Problem::joined(&problems)))
    })
}

pub(super) fn named_table(table: &Table) -> Named {
    Named { name: table.name.clone(), description: table.description.clone() }
}

pub(super) fn table_mut(schema: &mut Base, id: TableId) -> Result<&mut Table, Fault> {
    schema.tables.iter_mut().find(|t| t.id == id).ok_or_else(|| super::apply::missing_table(id))
}

fn field_mut(schema: &mut Base, table: TableId, id: FieldId) -> Result<&mut Field, Fault> {
    let held = table_mut(schema, table)?;
    let at = held.field_index(id).ok_or_else(|| no_field(held, id))?;
    Ok(&mut held.fields[at])
}

pub(super) fn no_field(table: &Table, id: FieldId) -> Fault {
    Fault::new(Code::UnknownField, format!("table {:?} has no field {id}.", table.name)).about(id.to_string())
}

fn no_view(table: &Table, id: ViewId) -> Fault {
    Fault::new(Code::UnknownView, format!("table {:?} has no view {id}.", table.name)).about(id.to_string())
}

/// A name as people may give it: some text on one line.
pub(super) fn given_name(what: &str, name: &str) -> Result<String, Fault> {
    let name = name.trim();
    if name.is_empty() {
        return Err(refused(format!("{what} needs a name.")));
    }
    if name.chars().count() > MAX_NAME || name.chars().any(char::is_control) {
        return Err(refused(format!(
            "the name of {what} must be one line of at most {MAX_NAME} characters."
        )));
    }
    Ok(name.to_owned())
}

fn rename(held: &mut String, name: &Option<String>) -> Result<(), Fault> {
    if let Some(name) = name {
        *held = given_name("it", name)?;
    }
    Ok(())
}

pub(super) fn describe(held: &mut Option<String>, description: &Option<String>) -> Result<(), Fault> {
    let Some(text) = description else { return Ok(()) };
    if text.chars().count() > MAX_DESCRIPTION {
        return Err(refused(format!("a description has at most {MAX_DESCRIPTION} characters.")));
    }
    *held = (!text.is_empty()).then(|| text.clone());
    Ok(())
}

/// True for a field whose cells are filled in when it is made, for the rows that are there already.
pub(super) fn is_filled(kind: &FieldType) -> bool {
    matches!(kind, FieldType::AutoNumber | FieldType::CreatedTime { .. })
}
