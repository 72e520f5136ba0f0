//! Rows following a change of their schema.

use std::collections::BTreeSet;
use std::sync::Arc;

use rustc_hash::FxHashMap;
use tablewright_core::Fault;
use tablewright_core::model::cell::json_text;
use tablewright_core::model::{Base, Cell, Choice, FieldType, RecordId, Table};

use super::draft::Draft;
use super::links;
use super::schema::{Edit, is_filled, refused};
use super::values;
use crate::base::{Column, Snapshot, TableData};
use crate::compute::{Plan, recompute_all};

/// Puts `schema` in the place of the draft's and lets the rows follow.
pub(super) fn follow(draft: &mut Draft, schema: Arc<Base>, made: &Edit, now: i64) -> Result<(), Fault> {
    let old = draft.snapshot.clone();
    let mut next = Snapshot { plan: Arc::new(Plan::of(&schema)), schema: schema.clone(), ..old.clone() };
    next.tables.retain(|id, _| schema.table_by_id(*id).is_some());
    for (place, table) in schema.tables.iter().enumerate() {
        let held = old.schema.tables.iter().position(|t| t.id == table.id);
        let Some((from, was)) = held.map(|at| (at, &old.schema.tables[at])) else {
            next.tables.insert(table.id, Arc::new(TableData::empty(table)));
            continue;
        };
        let Some(data) = old.tables.get(&table.id) else { continue };
        let mut touched = false;
        let mut columns = Vec::with_capacity(table.fields.len());
        for (to, field) in table.fields.iter().enumerate() {
            let held = was.fields.iter().position(|f| f.id == field.id);
            columns.push(match held {
                Some(at) if made.unlinked.contains(&(table.id, field.id)) => {
                    touched = true;
                    named(&old, data, was, at)
                }
                // It does not work any more. Its cells were never stored.
                Some(at) if old.plan.computes(from, at) && !next.plan.computes(place, to) => {
                    Column::blank(&field.kind, data.capacity())
                }
                // It works now: the cells a file gave it must not come back when it breaks.
                Some(at) if next.plan.computes(place, to) && !old.plan.computes(from, at) => {
                    touched |= data.slots().any(|slot| !data.cell(slot, at).is_blank());
                    Column::blank(&field.kind, data.capacity())
                }
                Some(at) => match (was.fields[at].kind.choices(), field.kind.choices()) {
                    (Some(before), Some(after)) if before != after => {
                        moved(&field.name, data.column(at), &field.kind, before, after)?
                    }
                    // The layout of a computed field may be another one now; it is worked out below.
                    _ if was.fields[at].kind.layout() != field.kind.layout() => {
                        Column::blank(&field.kind, data.capacity())
                    }
                    _ => data.column(at).clone(),
                },
                None => {
                    touched |= is_filled(&field.kind);
                    filled(data, &field.kind)
                }
            });
        }
        let mut data = TableData::clone(data);
        if table.fields.iter().any(|f| f.kind == FieldType::AutoNumber)
            && !was.fields.iter().any(|f| f.kind == FieldType::AutoNumber)
        {
            data.next_auto = data.len() as i64 + 1;
        }
        let edits = edits(&old, &next, was, table);
        // Times nobody asks for any more must not come back when somebody does again.
        let lost: Vec<usize> =
            (0..old.plan.watches(was.id).len()).filter(|at| !edits.contains(&Some(*at))).collect();
        let rewritten: BTreeSet<i64> = data
            .slots()
            .filter(|slot| touched || lost.iter().any(|watch| data.edited(*watch, *slot).is_some()))
            .map(|slot| data.row(slot).position)
            .collect();
        if touched || !rewritten.is_empty() {
            draft.touched.entry(table.id).or_default().extend(rewritten);
        }
        data.restructure(columns, edits);
        data.version += 1;
        next.tables.insert(table.id, Arc::new(data));
    }
    recompute_all(&mut next, now);
    draft.snapshot = next;
    Ok(())
}

/// Which held watch each watch of the new plan goes on with.
fn edits(old: &Snapshot, next: &Snapshot, was: &Table, is: &Table) -> Vec<Option<usize>> {
    let held = old.plan.watches(was.id);
    next.plan.watches(is.id).iter().map(|watch| held.iter().position(|h| h.key == watch.key)).collect()
}

/// The choices of cells, which are held by place, after the places changed.
fn moved(
    name: &str,
    column: &Column,
    kind: &FieldType,
    before: &[Choice],
    after: &[Choice],
) -> Result<Column, Fault> {
    let places: Vec<Option<u32>> =
        before.iter().map(|c| after.iter().position(|a| a.id == c.id).map(|at| at as u32)).collect();
    let place = |at: u32| places.get(at as usize).copied().flatten();
    let mut lost: FxHashMap<u32, usize> = FxHashMap::default();
    let mut next = Column::blank(kind, 0);
    for row in 0..column.len() {
        let cell = column.get(row);
        next.push(match &cell {
            Cell::Choice(at) => match place(*at) {
                Some(to) => Cell::Choice(to),
                None => {
                    *lost.entry(*at).or_default() += 1;
                    Cell::Blank
                }
            },
            Cell::Choices(list) => {
                list.iter()
                    .filter(|at| place(**at).is_none())
                    .for_each(|at| *lost.entry(*at).or_default() += 1);
                Cell::Choices(list.iter().filter_map(|at| place(*at)).collect())
            }
            _ => cell,
        });
    }
    if lost.is_empty() {
        return Ok(next);
    }
    let used: Vec<String> = before
        .iter()
        .enumerate()
        .filter_map(|(at, choice)| Some(format!("{:?} ({} records)", choice.name, lost.get(&(at as u32))?)))
        .collect();
    Err(refused(format!(
        "field {name:?}: choices left out are still in use: {}; keep them, or change those records first.",
        used.join(", ")
    )))
}

/// A link column as texts: the names of the records, joined with commas.
fn named(old: &Snapshot, data: &TableData, table: &Table, at: usize) -> Column {
    let field = &table.fields[at];
    let linked = field.link().and_then(|link| old.table(link.linked_table_id).ok());
    let name = |id: &RecordId| -> Option<String> {
        let (other, rows) = linked?;
        let slot = rows.slot(id)?;
        let primary = other.field_index(other.primary_field_id)?;
        let mut text = String::new();
        old.push_text(&mut text, &other.fields[primary], &rows.cell(slot, primary));
        Some(text)
    };
    let mut column = Column::blank(&FieldType::SingleLineText, 0);
    for row in 0..data.capacity() {
        column.push(match data.cell(row, at) {
            // What never was a list of records stays what people read.
            Cell::Json(odd) => Cell::text(json_text(&odd)),
            cell => {
                let names: Vec<String> = links::held(&cell).iter().filter_map(name).collect();
                Cell::text(names.join(", "))
            }
        });
    }
    column
}

/// The cells of a new field in the rows that are there.
fn filled(data: &TableData, kind: &FieldType) -> Column {
    let mut column = Column::blank(kind, 0);
    let mut number = 0;
    for slot in 0..data.capacity() {
        let cell = match kind {
            _ if !data.is_live(slot) => Cell::Blank,
            FieldType::AutoNumber => {
                number += 1;
                values::auto(number)
            }
            FieldType::CreatedTime { .. } => Cell::Instant(data.row(slot).created),
            _ => Cell::Blank,
        };
        column.push(cell);
    }
    column
}
