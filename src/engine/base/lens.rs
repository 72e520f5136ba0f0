//! A base as somebody sees it who may not see all of it.
//!
//! What is seen is a snapshot of its own: without the tables, fields, views and rows that are hidden,
//! and with other cells in the place of those that are masked. Whatever is asked of it (filters,
//! orders, searches, counts, names of linked records) can tell nothing else, because nothing else is
//! there. What is computed from something hidden is hidden with it (`lens/taint.rs`).

mod cells;
mod changes;
mod taint;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use rustc_hash::FxHashMap;
use tablewright_core::Fault;
use tablewright_core::model::field::LinkOptions;
use tablewright_core::model::{Base, Field, FieldId, FieldType, Mask, Table, TableId, View};
use tablewright_formula::{Program, Scope, compile};

use super::column::{Column, Data};
use super::snapshot::Snapshot;
use super::table::TableData;
use super::{Filter, lens::cells::Masker};
use crate::compute::{Plan, places};

/// How long rows that are kept by the time of day stay as they were found, in milliseconds.
const TIMELY: i64 = 1_000;

/// What somebody may see of a base, by ids.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sight {
    /// The tables; one that is not named is not there.
    pub tables: HashMap<TableId, TableSight>,
}

/// What somebody may see of a table.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TableSight {
    /// Fields that are not shown as they are.
    pub masks: HashMap<FieldId, Mask>,
    /// Formulas that all have to hold for a row, each with the name of the rule it comes from.
    pub rows: Vec<(String, String)>,
}

/// How one column comes about.
#[derive(Debug, Clone, Copy)]
enum Seen {
    As,
    /// Links, to records of a table of which not all are seen.
    Links(TableId),
    Masked(Mask),
}

#[derive(Debug)]
struct TableLens {
    id: TableId,
    /// For each column that is seen its place in the whole table, and how it is seen.
    columns: Vec<(usize, Seen)>,
    /// The rows that are kept; all without one.
    rows: Option<Rows>,
    /// For each watch of edits the one of the whole table it goes on with.
    watches: Vec<Option<usize>>,
}

#[derive(Debug)]
enum Rows {
    Where {
        programs: Vec<Arc<Program>>,
        timely: bool,
    },
    /// A formula cannot be used any more: nothing is seen.
    None,
}

/// A sight, worked out for one schema.
#[derive(Debug)]
pub struct Lens {
    whole: Arc<Base>,
    schema: Arc<Base>,
    plan: Arc<Plan>,
    tables: Vec<TableLens>,
    masker: Masker,
    /// Tells what is seen through it from what is seen through another one.
    stamp: u64,
    /// What the person who made the rules has to mend.
    broken: Vec<String>,
}

impl Lens {
    /// Works a sight out for the schema of a snapshot. `key` is that of the hashes; `stamp` stands for
    /// the sight.
    pub fn new(snapshot: &Snapshot, sight: &Sight, key: &[u8], stamp: u64) -> Self {
        let whole = snapshot.schema.clone();
        let masks = taint::masks(&whole, sight);
        let at = places(&whole);
        let limited: HashSet<TableId> =
            sight.tables.iter().filter(|(_, seen)| !seen.rows.is_empty()).map(|(id, _)| *id).collect();
        let mask_of = |id: &FieldId| at.get(id).and_then(|place| masks[place.table][place.field]);
        let hidden = |id: &FieldId| !at.contains_key(id) || mask_of(id) == Some(Mask::Hide);
        let (mut tables, mut seen_tables, mut broken) = (Vec::new(), Vec::new(), Vec::new());
        for (place, table) in whole.tables.iter().enumerate() {
            let Some(seen) = sight.tables.get(&table.id) else { continue };
            let mut lens = TableLens { id: table.id, columns: Vec::new(), rows: None, watches: Vec::new() };
            let mut fields = Vec::new();
            for (column, field) in table.fields.iter().enumerate() {
                let mask = masks[place][column];
                if mask == Some(Mask::Hide) {
                    continue;
                }
                let how = match (mask, field.link()) {
                    (Some(mask), _) => Seen::Masked(mask),
                    (None, Some(link)) if limited.contains(&link.linked_table_id) => {
                        Seen::Links(link.linked_table_id)
                    }
                    _ => Seen::As,
                };
                lens.columns.push((column, how));
                fields.push(match mask {
                    Some(mask) => field.masked(mask),
                    None => without(field, &hidden),
                });
            }
            if !seen.rows.is_empty() {
                lens.rows = Some(rows_of(table, &seen.rows, &mut broken));
            }
            let masked = |id: &FieldId| hidden(id) || mask_of(id).is_some();
            let views = table.views.iter().filter_map(|view| {
                let narrowed = snapshot.cloud && (fields.len() < table.fields.len() || lens.rows.is_some());
                (!narrowed).then(|| seen_view(table, view, &masked, &hidden)).flatten()
            });
            let views = views.collect();
            seen_tables.push(Table { fields, views, ..table.clone() });
            tables.push(lens);
        }
        let schema = Arc::new(Base { id: whole.id, name: whole.name.clone(), tables: seen_tables });
        let mut plan = if snapshot.cloud { Plan::of_copy(&schema) } else { Plan::of(&schema) };
        for (lens, seen) in tables.iter_mut().zip(&schema.tables) {
            let is_masked = |field: &Field| field.mask.is_some();
            let all_seen = whole.table_by_id(lens.id).is_some_and(|t| t.fields.len() == seen.fields.len())
                && !seen.fields.iter().any(is_masked);
            // When a field that is not seen was edited is not told either.
            plan.retain_watches(lens.id, |watch| match watch.fields.as_slice() {
                [] => all_seen,
                fields => !fields.iter().any(|at| is_masked(&seen.fields[*at])),
            });
            let held = snapshot.plan.watches(lens.id);
            let goes_on = |key: &str| held.iter().position(|held| held.key == key);
            lens.watches = plan.watches(lens.id).iter().map(|watch| goes_on(&watch.key)).collect();
        }
        let masker = Masker::new(key);
        Self { whole, schema, plan: Arc::new(plan), tables, masker, stamp, broken }
    }

    /// True when it was worked out for this very schema.
    pub fn fits(&self, snapshot: &Snapshot) -> bool {
        Arc::ptr_eq(&self.whole, &snapshot.schema)
    }

    /// Rules whose formulas cannot be used any more; what they are about is not seen at all.
    pub fn broken(&self) -> &[String] {
        &self.broken
    }

    /// True when what is seen has to be looked at again after a while though nothing changed.
    pub fn is_stale(&self, seen_at: i64, now: i64) -> bool {
        let timely = |table: &TableLens| matches!(&table.rows, Some(Rows::Where { timely: true, .. }));
        (now - seen_at).abs() >= TIMELY && self.tables.iter().any(timely)
    }

    /// A snapshot as it is seen. With the last one, and what was seen of it, what did not change is
    /// shared.
    pub fn look(
        &self,
        whole: &Snapshot,
        last: Option<(&Snapshot, &Snapshot)>,
        now: i64,
    ) -> Result<Snapshot, Fault> {
        let mut kept: HashMap<TableId, Option<Vec<bool>>> = HashMap::new();
        for lens in &self.tables {
            kept.insert(lens.id, lens.kept(whole, now)?);
        }
        let mut seen = Snapshot {
            schema: self.schema.clone(),
            plan: self.plan.clone(),
            version: whole.version ^ self.stamp,
            tables: FxHashMap::default(),
            ..whole.clone()
        };
        for lens in &self.tables {
            let (table, data) = whole.table(lens.id)?;
            let last = last
                .and_then(|(whole, seen)| Some((whole.table(lens.id).ok()?.1, seen.table(lens.id).ok()?.1)));
            let columns = lens.columns.iter().enumerate().map(|(at, (place, how))| {
                let column = data.column(*place);
                let last = last.map(|(whole, seen)| (whole.column(*place), seen.column(at)));
                match how {
                    Seen::As => column.clone(),
                    Seen::Masked(mask) => {
                        self.masker.column(whole, &table.fields[*place], column, *mask, last)
                    }
                    Seen::Links(to) => match (whole.table(*to), kept.get(to)) {
                        (Ok((_, linked)), Some(Some(kept))) => seen_links(column, linked, kept),
                        _ => Column::blank(&table.fields[*place].kind, column.len()),
                    },
                }
            });
            let keep = kept.get(&lens.id).and_then(Option::as_deref);
            let columns = columns.collect();
            let data = TableData::seen(data, columns, &lens.watches, keep, data.version ^ self.stamp);
            seen.tables.insert(lens.id, Arc::new(data));
        }
        Ok(seen)
    }

    /// For each of these records whether its row is seen, in a snapshot of the whole base.
    pub fn keeps(
        &self,
        whole: &Snapshot,
        table: TableId,
        slots: &[usize],
        now: i64,
    ) -> Result<Vec<bool>, Fault> {
        let at = whole.schema.tables.iter().position(|t| t.id == table);
        let (Some(lens), Some(at)) = (self.tables.iter().find(|lens| lens.id == table), at) else {
            return Ok(vec![false; slots.len()]);
        };
        match &lens.rows {
            None => Ok(vec![true; slots.len()]),
            Some(Rows::None) => Ok(vec![false; slots.len()]),
            Some(Rows::Where { programs, .. }) => Filter::of(programs.clone(), now).keeps(whole, at, slots),
        }
    }

    /// The schema as it is seen.
    pub fn schema(&self) -> &Arc<Base> {
        &self.schema
    }

    /// True when not all rows of a table are seen.
    pub fn limits_rows(&self, table: TableId) -> bool {
        self.tables.iter().find(|lens| lens.id == table).is_none_or(|lens| lens.rows.is_some())
    }
}

impl TableLens {
    /// By slot whether the row is seen; `None` for all of them.
    fn kept(&self, whole: &Snapshot, now: i64) -> Result<Option<Vec<bool>>, Fault> {
        let (table, data) = whole.table(self.id)?;
        let mut kept = vec![false; data.capacity()];
        match &self.rows {
            None => return Ok(None),
            Some(Rows::None) => {}
            Some(Rows::Where { programs, .. }) => {
                for slot in Filter::of(programs.clone(), now).slots(whole, table, data)? {
                    kept[slot] = true;
                }
            }
        }
        Ok(Some(kept))
    }
}

fn rows_of(table: &Table, formulas: &[(String, String)], broken: &mut Vec<String>) -> Rows {
    let scope = Scope::of_table(table);
    let mut programs = Vec::with_capacity(formulas.len());
    for (rule, formula) in formulas {
        match compile(formula, &scope) {
            Ok((program, _)) => programs.push(Arc::new(program)),
            Err(_) => {
                broken.push(format!("{rule:?}: its formula does not fit table {:?} any more", table.name));
                return Rows::None;
            }
        }
    }
    let timely = programs.iter().any(|program: &Arc<Program>| program.is_volatile());
    Rows::Where { programs, timely }
}

/// A field without what its options say of fields and views that are not seen.
fn without(field: &Field, hidden: &impl Fn(&FieldId) -> bool) -> Field {
    let mut field = field.clone();
    if let FieldType::Links(link) = &mut field.kind {
        let LinkOptions { inverse_link_field_id: inverse, view_id_for_record_selection: view, .. } = link;
        let options = field.options.get_or_insert_default();
        if inverse.as_ref().is_some_and(hidden) {
            *inverse = None;
            options.remove("inverseLinkFieldId");
        }
        if view.take().is_some() {
            options.remove("viewIdForRecordSelection");
        }
    }
    field
}

/// A view as it is seen; `None` for one whose rows or order would tell of what is masked.
fn seen_view(
    table: &Table,
    view: &View,
    masked: &impl Fn(&FieldId) -> bool,
    hidden: &impl Fn(&FieldId) -> bool,
) -> Option<View> {
    if view.sorts.iter().any(|sort| masked(&sort.field)) {
        return None;
    }
    if let Some(formula) = &view.filter_formula {
        let (program, _) = compile(formula, &Scope::of_table(table)).ok()?;
        let reads = program.fields().iter().chain(program.watched().iter().flatten());
        if reads.filter_map(|at| table.fields.get(*at)).any(|field| masked(&field.id)) {
            return None;
        }
    }
    let mut view = view.clone();
    if let Some(visible) = &mut view.visible_field_ids {
        visible.retain(|id| !hidden(id));
    }
    Some(view)
}

/// Links without those to rows that are not seen.
fn seen_links(column: &Column, linked: &TableData, kept: &[bool]) -> Column {
    let Data::Links(links) = column.data() else { return column.clone() };
    let mut seen = links.clone();
    for slot in 0..links.len() {
        let Some(ids) = links.get(slot) else { continue };
        let is_seen = |id: &&_| linked.slot(id).is_some_and(|slot| kept[slot]);
        if !ids.iter().all(|id| is_seen(&id)) {
            let left: Vec<_> = ids.iter().filter(is_seen).copied().collect();
            seen.set(slot, (!left.is_empty()).then(|| left.into()));
        }
    }
    Column::of_links(seen)
}
