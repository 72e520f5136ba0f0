//! Writes of callers that a policy binds.
//!
//! A write is brought into terms of what its caller sees before anybody else looks at it: fields by
//! what the names mean to them, records and links that are there for them, and nothing emptied that
//! they cannot see. Where rules speak of rows, the write is tried on a draft first, and goes ahead
//! only as it was tried.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use rustc_hash::FxHashSet;
use serde_json::{Map, Value};
use tablewright_core::model::{Cell, Field, RecordId, Table, TableId};
use tablewright_core::{Code, Fault};
use tablewright_engine::Snapshot;
use tablewright_engine::base::{Filter, TableChanges};
use tablewright_engine::local::{Action, Draft, Outcome, Restored};

use super::Reach;
use super::file::Verb;
use crate::attachments;
use crate::call::Call;
use crate::plan::Plan;
use crate::rehearsal::{self, Step};

/// How often a write is tried without the records that were refused so far.
const MAX_TRIES: usize = 10;

type Refused = BTreeMap<usize, Fault>;

/// A base as it is, and as the caller of a write sees it.
struct Two<'a> {
    reach: &'a Arc<Reach>,
    whole: &'a Arc<Snapshot>,
    seen: &'a Arc<Snapshot>,
}

impl Call {
    /// Brings a write into terms of what the caller sees; records that they may not write are refused.
    /// The base as it was then; `None` when no policy binds them.
    pub(crate) async fn narrow(
        &self,
        plan: &mut Plan,
        refused: &mut Refused,
    ) -> Result<Option<Arc<Snapshot>>, Fault> {
        let whole = self.whole(plan.base).await?;
        let Some(reach) = self.reach(&whole) else { return Ok(None) };
        let seen = reach.look(whole.clone(), self.now(), !self.rehearses()).await?;
        let two = Two { reach: &reach, whole: &whole, seen: &seen };
        let table = seen.schema.table_by_id(plan.write.table).ok_or_else(|| missing(plan.write.table))?;
        let typecast = plan.write.typecast;
        match &mut plan.write.action {
            Action::Create(_) => reach.require_in(Verb::Create, table)?,
            Action::Update(_) | Action::Replace(_) => reach.require_in(Verb::Update, table)?,
            Action::Upsert { on, records, .. } => {
                // Matched among what is seen; with nothing to merge on who has an id is that record.
                let matched = Draft::of(&seen).match_records(table, on, records, typecast)?;
                for (at, (matched, (id, _))) in matched.into_iter().zip(records.iter_mut()).enumerate() {
                    match matched {
                        Ok(found) => *id = found,
                        Err(fault) => drop(refused.insert(at, fault)),
                    }
                }
                on.clear();
                if records.iter().any(|(id, _)| id.is_some()) {
                    reach.require_in(Verb::Update, table)?;
                }
                if records.iter().any(|(id, _)| id.is_none()) {
                    reach.require_in(Verb::Create, table)?;
                }
            }
            Action::Delete(ids) => {
                reach.require_in(Verb::Delete, table)?;
                for (at, id) in ids.iter().enumerate() {
                    if let Err(fault) = two.there(table, id) {
                        refused.insert(at, fault);
                    }
                }
            }
            Action::Restore { rows, .. } => {
                two.drop_other_sides(rows);
                two.restore(rows)?;
                return Ok(Some(whole));
            }
        }
        two.fill_in(table, &mut plan.write.action);
        let mut names = Names::default();
        for (at, (id, cells)) in attachments::records(&mut plan.write.action).into_iter().enumerate() {
            if refused.contains_key(&at) {
                continue;
            }
            let there = id.map_or(Ok(()), |id| two.there(table, &id));
            match there.and_then(|()| two.record(table, id, cells, typecast, &mut names)) {
                Ok(narrowed) => *cells = narrowed,
                Err(fault) => drop(refused.insert(at, fault)),
            }
        }
        Ok(Some(whole))
    }

    /// Tries a write on the base that it was brought into terms of, where rules have to see what it
    /// leaves; records that they do not let through are refused. What it may be carried out on: rows as
    /// they have to be.
    pub(crate) async fn try_rules(
        &self,
        plan: &Plan,
        whole: Arc<Snapshot>,
        refused: &mut Refused,
    ) -> Result<Vec<TableChanges>, Fault> {
        let Some(reach) = self.reach(&whole) else { return Ok(Vec::new()) };
        let tables: Vec<TableId> = match &plan.write.action {
            Action::Restore { rows, .. } => rows.iter().map(|row| row.table).collect(),
            _ => vec![plan.write.table],
        };
        if !tables.iter().any(|table| reach.looks_at_writes(*table)) && !creates_elsewhere(plan, &reach) {
            return Ok(Vec::new());
        }
        for _ in 0..MAX_TRIES {
            let mut tried = plan.clone();
            attachments::leave_out(&mut tried, refused)?;
            let kept: Vec<usize> =
                (0..plan.write.action.len()).filter(|at| !refused.contains_key(at)).collect();
            if kept.is_empty() {
                return Ok(Vec::new());
            }
            let by = self.caller().principal.to_string();
            let (step, outcome) =
                rehearsal::write(whole.clone(), tried.write.clone(), self.now(), by).await?;
            let found = self.against_rules(&reach, &tried, &step, &outcome)?;
            if found.is_empty() {
                return Ok(step.tables().to_vec());
            }
            refused.extend(found.into_iter().filter_map(|(at, fault)| Some((*kept.get(at)?, fault))));
        }
        let message = "the rules of the policy refuse more of this write each time it is tried without what they refused; write fewer records at once.";
        Err(Fault::new(Code::Conflict, message))
    }

    /// What rules say against a write that was tried, by the place of the record.
    fn against_rules(
        &self,
        reach: &Arc<Reach>,
        tried: &Plan,
        step: &Step,
        outcome: &Outcome,
    ) -> Result<Refused, Fault> {
        let after = &outcome.snapshot;
        for (table, rows) in step.tables().iter().map(|changes| (changes.table, &changes.rows)) {
            // Records that typecast makes in other tables.
            if table != tried.write.table
                && rows.iter().any(|row| row.before.is_none())
                && let Some(table) = after.schema.table_by_id(table)
                && !matches!(tried.write.action, Action::Restore { .. })
            {
                reach.require_in(Verb::Create, table)?;
            }
        }
        let restored: HashMap<RecordId, TableId> = match &tried.write.action {
            Action::Restore { rows, .. } => rows.iter().map(|row| (row.id, row.table)).collect(),
            _ => HashMap::new(),
        };
        let mut by_table: BTreeMap<TableId, Vec<(usize, usize)>> = BTreeMap::new();
        for (at, id) in
            outcome.records.iter().enumerate().filter_map(|(at, id)| Some((at, id.as_ref().ok()?)))
        {
            let table = restored.get(id).copied().unwrap_or(tried.write.table);
            // What was deleted has nothing left to look at.
            if let Some(slot) = after.table(table)?.1.slot(id) {
                by_table.entry(table).or_default().push((at, slot));
            }
        }
        let mut found = Refused::new();
        for (id, rows) in by_table {
            let slots: Vec<usize> = rows.iter().map(|(_, slot)| *slot).collect();
            let at = after.schema.tables.iter().position(|table| table.id == id).unwrap_or_default();
            let name = &after.schema.tables[at].name;
            if let Some(lens) = reach.lens().filter(|_| reach.limits_rows(id)) {
                let kept = lens.keeps(after, id, &slots, self.now())?;
                for ((record, _), _) in rows.iter().zip(kept).filter(|(_, kept)| !kept) {
                    let message = format!(
                        "the record would not be one that you see of table {name:?}; change its cells so that it is."
                    );
                    found.entry(*record).or_insert(Fault::new(Code::Forbidden, message));
                }
            }
            for (rule, program) in reach.required(id) {
                let kept = match program {
                    Some(program) => {
                        Filter::of(vec![program.clone()], self.now()).keeps(after, at, &slots)?
                    }
                    None => vec![false; slots.len()],
                };
                for ((record, _), _) in rows.iter().zip(kept).filter(|(_, kept)| !kept) {
                    let message = format!(
                        "the rule {rule:?} of the policy does not let a record of table {name:?} be like this."
                    );
                    found.entry(*record).or_insert(Fault::new(Code::Forbidden, message));
                }
            }
        }
        Ok(found)
    }
}

/// Whether typecast may make records in other tables.
fn creates_elsewhere(plan: &Plan, reach: &Reach) -> bool {
    let schema = reach.schema();
    let table = schema.table_by_id(plan.write.table);
    plan.write.typecast && table.is_some_and(|table| table.fields.iter().any(|field| field.link().is_some()))
}

fn missing(table: TableId) -> Fault {
    Fault::new(Code::UnknownTable, format!("there is no table {table} here."))
}

/// Records of linked tables by their names, each table once.
#[derive(Default)]
struct Names(HashMap<TableId, HashMap<String, Vec<RecordId>>>);

impl Two<'_> {
    /// Refuses a record that is not there for the caller.
    fn there(&self, table: &Table, id: &RecordId) -> Result<(), Fault> {
        if self.seen.table(table.id)?.1.slot(id).is_some() {
            return Ok(());
        }
        let message = format!("table {:?} has no record {id}.", table.name);
        Err(Fault::new(Code::UnknownRecord, message).about(id.to_string()))
    }

    /// Writes that empty what they do not name empty what the caller sees and may write, by name.
    fn fill_in(&self, table: &Table, action: &mut Action) {
        let blank = |cells: &mut Map<String, Value>| {
            let named: FxHashSet<_> =
                cells.keys().filter_map(|name| Some(table.field(name).ok()?.id)).collect();
            for field in &table.fields {
                let may = || self.reach.why_not(Verb::Update, table.id, field.id).is_none();
                let writable = !field.kind.is_computed() && field.mask.is_none();
                if writable && !named.contains(&field.id) && may() {
                    cells.insert(field.id.to_string(), Value::Null);
                }
            }
        };
        match action {
            Action::Replace(records) => {
                let mut records = std::mem::take(records);
                records.iter_mut().for_each(|(_, cells)| blank(cells));
                *action = Action::Update(records);
            }
            Action::Upsert { records, replace, .. } if *replace => {
                records.iter_mut().filter(|(id, _)| id.is_some()).for_each(|(_, cells)| blank(cells));
                *replace = false;
            }
            _ => {}
        }
    }

    /// The cells of a record in terms of the whole table.
    fn record(
        &self,
        table: &Table,
        id: Option<RecordId>,
        cells: &Map<String, Value>,
        typecast: bool,
        names: &mut Names,
    ) -> Result<Map<String, Value>, Fault> {
        let whole = self.whole.schema.table_by_id(table.id).ok_or_else(|| missing(table.id))?;
        let verb = if id.is_some() { Verb::Update } else { Verb::Create };
        let mut narrowed = Map::new();
        for (name, value) in cells {
            let field = table.field(name)?;
            if let Some(mask) = field.mask {
                let message = format!(
                    "field {:?} is masked for you ({}) and cannot be written; leave it out.",
                    field.name,
                    mask.as_str()
                );
                return Err(Fault::new(Code::MaskedField, message).about(field.name.clone()));
            }
            if let Some(why) = self.reach.why_not(verb, table.id, field.id) {
                let message = format!("you may not write field {:?}: {why}; leave it out.", field.name);
                return Err(Fault::new(Code::MaskedField, message).about(field.name.clone()));
            }
            let same = whole.field(name).is_ok_and(|found| found.id == field.id);
            let key = if same { name.clone() } else { field.id.to_string() };
            let value = match field.link() {
                Some(_) => self.links(table, id, field, value, typecast, names)?,
                None => value.clone(),
            };
            narrowed.insert(key, value);
        }
        Ok(narrowed)
    }

    /// The value of a link field: records that the caller sees, and behind them those the cell holds
    /// that they do not see.
    fn links(
        &self,
        table: &Table,
        id: Option<RecordId>,
        field: &Field,
        value: &Value,
        typecast: bool,
        names: &mut Names,
    ) -> Result<Value, Fault> {
        let Some(link) = field.link() else { return Ok(value.clone()) };
        let there = link.linked_table_id;
        let Some(linked) = self.seen.schema.table_by_id(there) else { return Ok(value.clone()) };
        let data = self.seen.table(there)?.1;
        let none = || format!("field {:?} links to table {:?}", field.name, linked.name);
        let by_name = linked.primary().mask.is_some()
            || self.reach.limits_rows(there)
            || self.reach.require_in(Verb::Create, linked).is_err();
        let mut items = match value {
            Value::Array(items) => items.clone(),
            Value::Null => Vec::new(),
            Value::String(text) if typecast && by_name => {
                text.split(',').map(|name| Value::from(name.trim())).collect()
            }
            other => return Ok(other.clone()),
        };
        for item in &mut items {
            let text = item.as_str().or_else(|| item.get("id")?.as_str());
            let Some(text) = text else { continue };
            if let Ok(id) = text.parse::<RecordId>() {
                let elsewhere = || self.seen.tables.values().any(|data| data.slot(&id).is_some());
                if data.slot(&id).is_none() && !elsewhere() {
                    let message =
                        format!("{}, which has no record {id}; use the id of a record there.", none());
                    return Err(Fault::new(Code::UnknownRecord, message).about(id.to_string()));
                }
            } else if typecast && by_name {
                if linked.primary().mask.is_some() {
                    let message =
                        format!("{}, whose names are masked for you; use the ids of records.", none());
                    return Err(Fault::new(Code::Forbidden, message));
                }
                *item = Value::from(names.find(self.seen, linked, text).map_err(|found| {
                    let what = match found {
                        0 => "no record that you see is called".to_owned(),
                        several => format!("{several} records are called"),
                    };
                    let message = format!("{}: {what} {text:?}; use the id of a record there.", none());
                    Fault::new(Code::UnknownRecord, message)
                })?);
            }
        }
        for id in id.iter().flat_map(|id| self.hidden_links(table, id, field, there)) {
            items.push(Value::from(id.to_string()));
        }
        Ok(if items.is_empty() { value.clone() } else { Value::Array(items) })
    }

    /// Records a cell links to that the caller does not see.
    fn hidden_links(&self, table: &Table, id: &RecordId, field: &Field, there: TableId) -> Vec<RecordId> {
        if !self.reach.limits_rows(there) {
            return Vec::new();
        }
        let held = self.whole.table(table.id).ok().and_then(|(schema, data)| {
            let (slot, at) = (data.slot(id)?, schema.field_index(field.id)?);
            match data.cell(slot, at) {
                Cell::Links(ids) => Some(ids.to_vec()),
                _ => None,
            }
        });
        let Ok((_, seen)) = self.seen.table(there) else { return Vec::new() };
        held.unwrap_or_default().into_iter().filter(|id| seen.slot(id).is_none()).collect()
    }

    /// Leaves out rows that the caller does not see and of which only links are put back: the other
    /// sides of links follow by themselves.
    fn drop_other_sides(&self, rows: &mut Vec<Restored>) {
        rows.retain(|row| {
            let seen = self.seen.table(row.table).is_ok_and(|(_, data)| data.slot(&row.id).is_some());
            let whole = self.whole.table(row.table).ok();
            let is_there = whole.is_some_and(|(_, data)| data.slot(&row.id).is_some());
            let (Some((table, _)), Some(cells)) = (whole, &row.cells) else { return true };
            let is_link = |key: &String| table.field(key).is_ok_and(|field| field.link().is_some());
            seen || !is_there || !cells.keys().all(is_link)
        });
    }

    /// Lets rows be put back that the caller sees or deleted, with cells that they see.
    fn restore(&self, rows: &[Restored]) -> Result<(), Fault> {
        for row in rows {
            let unseen = || {
                let message =
                    "this would put back what you may not see; somebody who sees all of the base can.";
                Fault::new(Code::Forbidden, message)
            };
            let table = self.seen.schema.table_by_id(row.table).ok_or_else(unseen)?;
            let is_there = self.whole.table(row.table)?.1.slot(&row.id).is_some();
            let verb = match (is_there, &row.cells) {
                (_, None) => Verb::Delete,
                (true, _) => Verb::Update,
                (false, _) => Verb::Create,
            };
            self.reach.require_in(verb, table)?;
            if !is_there {
                continue;
            }
            self.there(table, &row.id).map_err(|_| unseen())?;
            for key in row.cells.iter().flat_map(Map::keys) {
                let field = table.field(key).ok().filter(|field| field.mask.is_none()).ok_or_else(unseen)?;
                if self.reach.why_not(Verb::Update, table.id, field.id).is_some() {
                    return Err(unseen());
                }
            }
        }
        Ok(())
    }
}

impl Names {
    /// The one record of a table that is called `name`, or how many are.
    fn find(&mut self, seen: &Snapshot, table: &Table, name: &str) -> Result<String, usize> {
        let by_name = self.0.entry(table.id).or_insert_with(|| {
            let mut found: HashMap<String, Vec<RecordId>> = HashMap::new();
            let (Ok((_, data)), Some(at)) = (seen.table(table.id), table.field_index(table.primary_field_id))
            else {
                return found;
            };
            for slot in data.slots() {
                let mut text = String::new();
                seen.push_text(&mut text, &table.fields[at], &data.cell(slot, at));
                found.entry(text).or_default().push(data.row(slot).id);
            }
            found
        });
        match by_name.get(name).map_or(&[][..], Vec::as_slice) {
            [one] => Ok(one.to_string()),
            several => Err(several.len()),
        }
    }
}
