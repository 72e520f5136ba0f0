//! A base at one moment.

use std::sync::Arc;

use rustc_hash::FxHashMap;
use tablewright_core::model::{Base, Cell, Field, RecordId, Table, TableId};
use tablewright_core::{Code, Fault};

use super::table::TableData;
use crate::compute::Plan;

/// A base at one moment: its schema and the rows of every table. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Names, tables, fields, views.
    pub schema: Arc<Base>,
    /// The rows by table.
    pub tables: FxHashMap<TableId, Arc<TableData>>,
    /// Counts the commits.
    pub version: u64,
    /// Commits of this base up to this number of the change log are in it, and no others.
    pub change: i64,
    /// How the computed fields are worked out.
    pub plan: Arc<Plan>,
    /// When fields that change with the time of day were last worked out.
    pub computed_at: i64,
    /// True for the copy of a base that lives in Airtable: its computed cells are kept as they came.
    pub cloud: bool,
}

impl Snapshot {
    /// A base with these tables, settled, and no rows.
    pub fn empty(schema: Arc<Base>) -> Self {
        let tables = schema.tables.iter().map(|t| (t.id, Arc::new(TableData::empty(t)))).collect();
        let plan = Arc::new(Plan::of(&schema));
        Self { schema, tables, version: 0, change: 0, plan, computed_at: 0, cloud: false }
    }

    /// The copy of a base that lives in Airtable, without rows. Nothing in it is worked out here.
    pub fn copy(schema: Arc<Base>) -> Self {
        let tables = schema.tables.iter().map(|t| (t.id, Arc::new(TableData::empty(t)))).collect();
        let plan = Arc::new(Plan::of_copy(&schema));
        Self { schema, tables, version: 0, change: 0, plan, computed_at: 0, cloud: true }
    }

    /// The schema and rows of a table of this base.
    pub fn table(&self, id: TableId) -> Result<(&Table, &Arc<TableData>), Fault> {
        self.schema.table_by_id(id).zip(self.tables.get(&id)).ok_or_else(|| {
            Fault::new(Code::UnknownTable, format!("base {:?} has no table {id}", self.schema.name))
        })
    }

    /// The rows of a table, to be changed in this snapshot alone.
    pub fn table_mut(&mut self, id: TableId) -> Option<&mut TableData> {
        self.tables.get_mut(&id).map(Arc::make_mut)
    }

    /// How many records all tables hold.
    pub fn records(&self) -> usize {
        self.tables.values().map(|t| t.len()).sum()
    }

    /// Appends the words a person would read in a cell; links by the names of their records,
    /// lists joined with `; `.
    pub fn push_text(&self, out: &mut String, field: &Field, cell: &Cell) {
        use std::fmt::Write as _;
        use tablewright_core::model::cell;
        let choices = field.kind.choices().unwrap_or_default();
        match cell {
            Cell::Blank => {}
            Cell::Text(text) => out.push_str(text),
            Cell::Number(number) if number.fract() == 0.0 && number.abs() < 1e15 => {
                let _ = write!(out, "{}", *number as i64);
            }
            Cell::Number(number) => {
                let _ = write!(out, "{number}");
            }
            Cell::Checked => out.push_str("true"),
            Cell::Instant(ms) if field.kind.shows_date_only() => cell::push_date(out, *ms),
            Cell::Instant(ms) => {
                cell::push_instant(out, *ms);
                if out.ends_with(".000Z") {
                    out.truncate(out.len() - 5);
                    out.push('Z');
                }
            }
            Cell::Choice(at) => out.push_str(choices.get(*at as usize).map_or("", |c| &c.name)),
            Cell::Choices(list) => {
                for (n, at) in list.iter().enumerate() {
                    out.push_str(if n > 0 { "; " } else { "" });
                    out.push_str(choices.get(*at as usize).map_or("", |c| &c.name));
                }
            }
            Cell::Links(ids) => {
                for (n, id) in ids.iter().enumerate() {
                    out.push_str(if n > 0 { "; " } else { "" });
                    self.push_name(out, field, id);
                }
            }
            Cell::Json(value) => out.push_str(&cell::json_text(value)),
        }
    }

    /// Appends the name of a linked record; its id when it has no name.
    pub fn push_name(&self, out: &mut String, link: &Field, id: &RecordId) {
        let before = out.len();
        if let Some(options) = link.link()
            && let Ok((table, data)) = self.table(options.linked_table_id)
            && let Some(slot) = data.slot(id)
            && let Some(primary) = table.field_index(table.primary_field_id)
        {
            match data.cell(slot, primary) {
                // A primary field cannot be a link, so this does not go deeper.
                Cell::Links(_) => {}
                cell => self.push_text(out, &table.fields[primary], &cell),
            }
        }
        if out.len() == before {
            id.push_to(out);
        }
    }
}
