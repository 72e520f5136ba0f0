//! Taking changes back in a base that lives in Airtable: by writes like other ones, for nothing there
//! can be put back as it was.
//!
//! Records that are gone are made again first, without their links to one another; Airtable gives them
//! new ids. Then records that are there get their cells back, links to the new ids included, and
//! records that were made are deleted. What Airtable refuses is told, and the rest goes on.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use tablewright_core::Fault;
use tablewright_core::model::{BaseId, Cell, Field, FieldType, RecordId, Table, TableId};
use tablewright_engine::local::{Action, Outcome, Restored, Write};

use super::Undone;
use crate::call::Call;
use crate::plan::Plan;
use crate::view::BaseView;

/// Records to make or change: their old or present ids, and their cells by field id.
type Rows = Vec<(RecordId, Map<String, Value>)>;

/// What is to be written to one table.
#[derive(Default)]
struct Wanted {
    makes: Rows,
    changes: Rows,
    goes: Vec<RecordId>,
}

impl Call {
    pub(super) async fn undo_in_airtable(
        &mut self,
        base: BaseId,
        rows: Vec<Restored>,
        mut undone: Undone,
    ) -> Result<Undone, Fault> {
        let view = BaseView::new(self.whole(base).await?, self.replica().source(base));
        let schema = view.schema().clone();
        let mut tables: BTreeMap<TableId, Wanted> = BTreeMap::new();
        for row in rows {
            let Some(table) = schema.table_by_id(row.table) else { continue };
            let there = view.table_by_id(row.table)?.slot(&row.id).is_some();
            let wanted = tables.entry(row.table).or_default();
            match row.cells {
                None => wanted.goes.push(row.id),
                Some(cells) => {
                    let (cells, left) = written(table, &cells);
                    undone.skipped.extend(left.into_iter().map(|field| {
                        format!("{}: {field:?} (files cannot be put back in Airtable)", row.id)
                    }));
                    if there {
                        wanted.changes.push((row.id, cells));
                    } else {
                        wanted.makes.push((row.id, cells));
                    }
                }
            }
        }
        undone.restored = 0;
        self.make_again(base, &schema.tables, &mut tables, &mut undone).await?;
        for (table, wanted) in &mut tables {
            let held = schema.table_by_id(*table);
            let mut changes = std::mem::take(&mut wanted.changes);
            for (_, cells) in &mut changes {
                held.into_iter().for_each(|held| follow(held, cells, &undone.ids));
            }
            changes.retain(|(_, cells)| !cells.is_empty());
            if !changes.is_empty() {
                let named: Vec<RecordId> = changes.iter().map(|(id, _)| *id).collect();
                let outcome = self.step(base, *table, Action::Update(changes)).await?;
                undone.restored += undone.take(&named, &outcome);
            }
        }
        for (table, wanted) in tables {
            if !wanted.goes.is_empty() {
                let named = wanted.goes.clone();
                let outcome = self.step(base, table, Action::Delete(wanted.goes)).await?;
                undone.removed = undone.take(&named, &outcome);
            }
        }
        if let Some(change) = undone.change.filter(|_| !self.rehearses()) {
            self.engine().store().mark_undone(&undone.changes, change).await.map_err(Fault::from)?;
        }
        Ok(undone)
    }

    /// Makes what is gone again. The links of what was made to one another are left for the changes.
    async fn make_again(
        &mut self,
        base: BaseId,
        schema: &[Table],
        tables: &mut BTreeMap<TableId, Wanted>,
        undone: &mut Undone,
    ) -> Result<(), Fault> {
        let gone: Vec<String> =
            tables.values().flat_map(|wanted| &wanted.makes).map(|(id, _)| id.to_string()).collect();
        for table in schema {
            let Some(wanted) = tables.get_mut(&table.id) else { continue };
            let makes = std::mem::take(&mut wanted.makes);
            if makes.is_empty() {
                continue;
            }
            let (mut bodies, mut later) = (Vec::new(), Vec::new());
            for (_, cells) in &makes {
                let (now, links) = without_links_to(table, cells, &gone);
                bodies.push(now);
                later.push(links);
            }
            let outcome = self.step(base, table.id, Action::Create(bodies)).await?;
            let named: Vec<RecordId> = makes.iter().map(|(id, _)| *id).collect();
            let done = undone.take(&named, &outcome);
            undone.restored += done;
            undone.recreated += done;
            for ((old, new), links) in named.iter().zip(&outcome.records).zip(later) {
                let Ok(new) = new else { continue };
                undone.ids.insert(old.to_string(), new.to_string());
                if !links.is_empty()
                    && let Some(wanted) = tables.get_mut(&table.id)
                {
                    wanted.changes.push((*new, links));
                }
            }
        }
        Ok(())
    }

    async fn step(&mut self, base: BaseId, table: TableId, action: Action) -> Result<Outcome, Fault> {
        self.apply(Plan { base, write: Write { table, action, typecast: false, atomic: false } }).await
    }
}

impl Undone {
    /// Takes what became of records; how many are done.
    fn take(&mut self, named: &[RecordId], outcome: &Outcome) -> usize {
        self.change = outcome.change.or(self.change);
        let mut done = 0;
        for (id, record) in named.iter().zip(&outcome.records) {
            match record {
                Ok(_) => done += 1,
                Err(fault) => self.skipped.push(format!("{id}: {}", fault.message)),
            }
        }
        done
    }
}

/// Stored cells as Airtable takes them, and the names of fields it does not take.
fn written(table: &Table, cells: &Map<String, Value>) -> (Map<String, Value>, Vec<String>) {
    let (mut taken, mut left) = (Map::new(), Vec::new());
    for (id, value) in cells {
        let Ok(field) = table.field(id) else { continue };
        match &field.kind {
            kind if kind.is_computed() => {}
            FieldType::Attachments => left.push(field.name.clone()),
            _ => {
                taken.insert(id.clone(), sent(field, value));
            }
        }
    }
    (taken, left)
}

fn sent(field: &Field, value: &Value) -> Value {
    match Cell::from_stored(field, value).to_json(field) {
        // People are named by their ids.
        Some(Value::Object(person)) if person.contains_key("email") => {
            person.get("id").map_or(Value::Null, |id| serde_json::json!({ "id": id }))
        }
        Some(value) => value,
        None => Value::Null,
    }
}

/// Cells without links to records of `gone`, and those link cells whole.
fn without_links_to(
    table: &Table,
    cells: &Map<String, Value>,
    gone: &[String],
) -> (Map<String, Value>, Map<String, Value>) {
    let (mut now, mut later) = (Map::new(), Map::new());
    for (id, value) in cells {
        let is_link = table.field(id).is_ok_and(|field| field.link().is_some());
        let to_gone = |id: &&Value| id.as_str().is_some_and(|id| gone.iter().any(|gone| gone == id));
        let links = value.as_array().filter(|_| is_link);
        if links.is_some_and(|links| links.iter().any(|link| to_gone(&link))) {
            later.insert(id.clone(), value.clone());
        } else if !value.is_null() {
            now.insert(id.clone(), value.clone());
        }
    }
    (now, later)
}

/// Puts the new ids of records in the place of the old ones.
fn follow(table: &Table, cells: &mut Map<String, Value>, ids: &BTreeMap<String, String>) {
    for (field, value) in cells {
        if !table.field(field).is_ok_and(|field| field.link().is_some()) {
            continue;
        }
        for link in value.as_array_mut().into_iter().flatten() {
            if let Some(new) = link.as_str().and_then(|old| ids.get(old)) {
                *link = Value::String(new.clone());
            }
        }
    }
}
