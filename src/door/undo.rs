//! Taking changes back.
//!
//! The changes that are chosen are folded: for every record how it was before the first of them,
//! and how the last of them left it. What is there now has to be what they left; otherwise somebody
//! else changed it since, and would be overwritten. The result is one write that puts everything
//! back. It is a change like another one, and can be taken back itself.

mod cloud;
mod comments;
mod schema;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::{Map, Value};
use tablewright_core::model::{Base, BaseId, Field, FieldType, RecordId, TableId};
use tablewright_core::{Code, Fault};
use tablewright_engine::base::{Change, RowChange, TableChanges};
use tablewright_engine::local::{Action, Restored, Write};
use tablewright_engine::replica::Want;
pub use tablewright_engine::store::journal::{Entry, Wanted};

use crate::access::Need;
use crate::call::Call;
use crate::plan::{MAX_RECORDS, Plan};
use crate::view::BaseView;
use crate::{ChangeKind, TableView};

/// Most changes that are taken back at once.
const MAX_CHANGES: usize = 5_000;
/// Most conflicts that a message names.
const MAX_NAMED: usize = 10;

/// What to do where somebody changed something since.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OnConflict {
    /// Nothing is taken back.
    #[default]
    Refuse,
    /// Those cells and records stay as they are.
    Skip,
    /// They are put back as well.
    Overwrite,
}

/// What was taken back.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Undone {
    /// The changes.
    pub changes: Vec<i64>,
    /// Records that are as they were.
    pub restored: usize,
    /// Records that were made again.
    pub recreated: usize,
    /// Records that are gone again.
    pub removed: usize,
    /// Cells and records that were left alone, because somebody changed them since.
    pub skipped: Vec<String>,
    /// New ids of records that were made again in Airtable, by the ids they had.
    pub ids: BTreeMap<String, String>,
    /// The change that took them back, the last of several; absent when there was nothing to do.
    pub change: Option<i64>,
}

/// A record across the chosen changes.
#[derive(Default)]
struct Folded {
    /// Whether it was there before the first of them.
    existed: bool,
    /// Whether the last of them left it there.
    left: bool,
    /// Its cells before the first; those that were not touched are absent.
    before: Map<String, Value>,
    /// Its cells as they were left.
    after: Map<String, Value>,
}

impl Folded {
    fn new(first: &RowChange) -> Self {
        Self { existed: first.before.is_some(), ..Self::default() }
    }

    fn take(&mut self, row: &RowChange) {
        self.left = row.after.is_some();
        if self.existed {
            for (key, value) in row.before.iter().flatten() {
                if !self.before.contains_key(key) {
                    self.before.insert(key.clone(), value.clone());
                }
            }
        }
        match &row.after {
            Some(after) => self.after.extend(after.clone()),
            None => self.after.clear(),
        }
    }
}

impl Call {
    /// The newest of the changes that are wanted, of bases the caller may see; and whether there are
    /// more.
    pub async fn journal(&self, wanted: &Wanted, most: usize) -> Result<(Vec<Entry>, bool), Fault> {
        self.caller().rights.require(Need::Read)?;
        if let Some(base) = wanted.base {
            self.require_seen(base)?;
        }
        let mut wanted = wanted.clone();
        let own = self.caller().principal.to_string();
        if let Some(base) = wanted.base
            && self.sees_part_of(base).await?
            && wanted.principal.replace(own.clone()).is_some_and(|asked| asked != own)
        {
            return Ok((Vec::new(), false));
        }
        let (mut entries, more) = self.engine().store().journal(&wanted, most).await.map_err(Fault::from)?;
        entries.retain(|entry| self.sees(entry.change.base));
        Ok((entries, more))
    }

    /// Changes of one base as the caller may see them; those of what they may not see are left out.
    pub async fn as_seen(&self, base: BaseId, mut entries: Vec<Entry>) -> Result<Vec<Entry>, Fault> {
        let whole = self.whole(base).await?;
        let reach = self.reach(&whole);
        let Some(lens) = reach.as_ref().and_then(|reach| reach.lens()) else { return Ok(entries) };
        entries.retain(|entry| entry.change.kind != ChangeKind::Schema);
        for entry in &mut entries {
            entry.change.tables = lens.changes(&whole, &entry.change.tables, self.now())?;
        }
        entries.retain(|entry| entry.change.kind != ChangeKind::Records || !entry.change.tables.is_empty());
        Ok(entries)
    }

    /// Refuses to take back what others did, or what the caller may not see, where a policy hides a part
    /// of the base from them.
    async fn require_own(&self, base: BaseId, wanted: &[Entry]) -> Result<(), Fault> {
        let whole = self.whole(base).await?;
        let reach = self.reach(&whole);
        let Some(lens) = reach.as_ref().and_then(|reach| reach.lens()) else { return Ok(()) };
        for entry in wanted {
            let refused = |why: &str| {
                let message = format!(
                    "change {} {why}; leave it out, or ask somebody who sees all of the base.",
                    entry.change.seq
                );
                Err(Fault::new(Code::Forbidden, message))
            };
            if entry.change.author.principal != self.caller().principal {
                return refused("is not yours");
            }
            let shown = lens.changes(&whole, &entry.change.tables, self.now())?;
            let mut seen: HashMap<(TableId, RecordId), BTreeSet<&String>> = HashMap::new();
            for (table, row) in shown.iter().flat_map(|t| t.rows.iter().map(|row| (t.table, row))) {
                seen.insert((table, row.id), row.after.iter().flat_map(Map::keys).collect());
            }
            let all = entry.change.tables.iter().flat_map(|t| t.rows.iter().map(|row| (t.table, row)));
            // The other sides of links follow by themselves.
            for (table, row) in all.filter(|(table, row)| !has_only_links(&whole.schema, *table, row)) {
                let keys: BTreeSet<&String> = row.after.iter().flat_map(Map::keys).collect();
                if seen.get(&(table, row.id)) != Some(&keys) {
                    return refused("touches what you may not see");
                }
            }
        }
        Ok(())
    }

    /// Takes changes of one base back, all together or not at all. A `span` is all that was done in
    /// some time: what was taken back within it is a part of it, and comments stay.
    pub async fn undo(
        &mut self,
        mut wanted: Vec<Entry>,
        span: bool,
        on_conflict: OnConflict,
    ) -> Result<Undone, Fault> {
        if span {
            wanted.retain(|entry| entry.change.kind != ChangeKind::Comments);
        }
        wanted.sort_by_key(|entry| entry.change.seq);
        let base = one_base(&wanted)?;
        self.require_seen(base)?;
        self.about(base);
        self.caller().rights.require(Need::Write)?;
        if self.is_cloud(base) {
            // Whether somebody changed something since is judged by what is there now.
            self.replica().fresh(base, None, Want { fresh: true, ..Want::default() }).await?;
        }
        self.require_own(base, &wanted).await?;
        wanted.iter().try_for_each(|entry| can_be_undone(entry, span))?;
        let numbers = wanted.iter().map(|entry| entry.change.seq).collect();
        let mut undone = Undone { changes: numbers, ..Undone::default() };
        if wanted.iter().any(|entry| entry.change.kind == ChangeKind::Comments) {
            return self.undo_comments(base, &wanted, undone).await;
        }
        if wanted.iter().any(|entry| entry.change.kind == ChangeKind::Schema) {
            return self.undo_with_schema(base, &wanted, on_conflict, undone).await;
        }
        // What is there, seen or not: others may have changed it since.
        let view = BaseView::new(self.whole(base).await?, self.replica().source(base));
        let records = fold(wanted.iter().map(|entry| (&entry.change, None)));
        let (rows, conflicts) = put_back(&view, records, on_conflict);
        if on_conflict == OnConflict::Refuse {
            refuse_conflicts(&conflicts)?;
        }
        undone.skipped = conflicts;
        if rows.len() > MAX_RECORDS {
            let message = format!("this takes back {} records; at most {MAX_RECORDS} at once.", rows.len());
            return Err(Fault::new(Code::LimitExceeded, message));
        }
        let Some(first_table) = rows.first().map(|row| row.table) else { return Ok(undone) };
        if rows.iter().any(|row| row.cells.is_none()) {
            self.caller().rights.require(Need::Delete)?;
        }
        undone.removed = rows.iter().filter(|row| row.cells.is_none()).count();
        if self.is_cloud(base) {
            return self.undo_in_airtable(base, rows, undone).await;
        }
        let action = Action::Restore { rows, undoes: undone.changes.clone() };
        let write = Write { table: first_table, action, typecast: false, atomic: true };
        let outcome = self.apply(Plan { base, write }).await?;
        undone.recreated = outcome.created.len();
        undone.restored = outcome.records.len() - undone.removed;
        undone.change = outcome.change;
        Ok(undone)
    }
}

/// True for a row of which nothing but links changed.
fn has_only_links(base: &Base, table: TableId, row: &RowChange) -> bool {
    let Some(table) = base.table_by_id(table) else { return false };
    let is_link = |key: &String| table.field(key).is_ok_and(|field| field.link().is_some());
    row.before.is_some() && row.after.as_ref().is_some_and(|after| after.keys().all(is_link))
}

fn one_base(wanted: &[Entry]) -> Result<BaseId, Fault> {
    let bases: BTreeSet<String> = wanted.iter().map(|entry| entry.change.base.to_string()).collect();
    match (wanted, bases.len()) {
        ([], _) => {
            Err(Fault::new(Code::InvalidArguments, "there is no such change; list_changes shows them."))
        }
        (entries, 1) if entries.len() > MAX_CHANGES => {
            let message = format!("at most {MAX_CHANGES} changes are taken back at once; name fewer.");
            Err(Fault::new(Code::LimitExceeded, message))
        }
        ([first, ..], 1) => Ok(first.change.base),
        _ => {
            let message = "these are changes of several bases; take them back one base at a time.";
            Err(Fault::new(Code::InvalidArguments, message))
        }
    }
}

fn can_be_undone(entry: &Entry, span: bool) -> Result<(), Fault> {
    let seq = entry.change.seq;
    if let Some(by) = entry.undone_by.filter(|_| !span) {
        let message = format!("change {seq} was taken back by change {by} already.");
        return Err(Fault::new(Code::Conflict, message));
    }
    let what = match entry.change.kind {
        ChangeKind::Records | ChangeKind::Schema | ChangeKind::Comments => return Ok(()),
        ChangeKind::BaseCreated | ChangeKind::Imported => "made the base",
        ChangeKind::BaseDeleted => "deleted the base",
    };
    let message = format!("change {seq} {what}; that is not taken back. Leave it out.");
    Err(Fault::new(Code::InvalidArguments, message))
}

/// Changes in order, each with what it took with it beside what it wrote.
fn fold<'a>(
    changes: impl Iterator<Item = (&'a Change, Option<&'a Vec<TableChanges>>)>,
) -> BTreeMap<(TableId, RecordId), Folded> {
    let mut records: BTreeMap<(TableId, RecordId), Folded> = BTreeMap::new();
    for changes in changes.flat_map(|(change, lost)| lost.into_iter().flatten().chain(&change.tables)) {
        for row in &changes.rows {
            records.entry((changes.table, row.id)).or_insert_with(|| Folded::new(row)).take(row);
        }
    }
    records
}

/// Refuses when somebody changed something since.
fn refuse_conflicts(conflicts: &[String]) -> Result<(), Fault> {
    if conflicts.is_empty() {
        return Ok(());
    }
    let named: Vec<&str> = conflicts.iter().take(MAX_NAMED).map(String::as_str).collect();
    let more = conflicts.len().saturating_sub(named.len());
    let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
    let message = format!(
        "changed since: {}{rest}. Nothing was taken back; with on_conflict \"skip\" these stay as they are, with \"overwrite\" they are put back too.",
        named.join("; ")
    );
    Err(Fault::new(Code::Conflict, message))
}

/// Whether a field's cells are put back. In a record that is there nobody writes the others; one
/// that is made again gets its numbers and stamps back too.
fn is_kept(field: &Field, makes_again: bool) -> bool {
    makes_again || !field.kind.is_computed()
}

/// The rows to put back, and what was changed since.
fn put_back(
    view: &BaseView,
    records: BTreeMap<(TableId, RecordId), Folded>,
    on_conflict: OnConflict,
) -> (Vec<Restored>, Vec<String>) {
    let (mut rows, mut conflicts) = (Vec::new(), Vec::new());
    let mut tables: HashMap<TableId, Option<TableView>> = HashMap::new();
    for ((table, id), folded) in records {
        let held = tables.entry(table).or_insert_with(|| view.table_by_id(table).ok());
        let Some(held) = held else {
            conflicts.push(format!("{id}: its table is gone"));
            continue;
        };
        let now = stored(held, id);
        match (folded.left, &now) {
            // It came and went within the changes.
            (false, None) if !folded.existed => continue,
            (false, Some(_)) => {
                conflicts.push(format!("{id}: it was made again"));
                continue;
            }
            (true, None) => {
                conflicts.push(format!("{id}: it was deleted"));
                continue;
            }
            _ => {}
        }
        let mut target = folded.existed.then(|| folded.before.clone());
        if let Some(now) = &now {
            let changed = changed_since(held, &folded, now, target.as_mut());
            if !changed.is_empty() {
                conflicts.extend(changed.iter().map(|field| format!("{id}: {field:?}")));
                if on_conflict != OnConflict::Overwrite {
                    match &mut target {
                        Some(cells) => drop_fields(held, cells, &changed),
                        None => continue,
                    }
                }
            }
        }
        let makes_again = now.is_none();
        if let Some(cells) = &mut target {
            cells.retain(|key, _| held.schema().field(key).is_ok_and(|field| is_kept(field, makes_again)));
            if cells.is_empty() && !makes_again {
                continue;
            }
        }
        rows.push(Restored { table, id, cells: target });
    }
    (rows, conflicts)
}

fn drop_fields(table: &TableView, cells: &mut Map<String, Value>, names: &[String]) {
    cells.retain(|key, _| table.schema().field(key).is_ok_and(|field| !names.contains(&field.name)));
}

/// The cells of a record as the store has them.
fn stored(table: &TableView, id: RecordId) -> Option<Map<String, Value>> {
    let slot = table.slot(&id)?;
    let fields = table.schema().fields.iter().enumerate();
    let cells =
        fields.filter_map(|(at, field)| Some((field.id.to_string(), table.cell(slot, at).to_stored(field)?)));
    Some(cells.collect())
}

/// Names of fields that are not any more as the changes left them. Links that came or went since
/// stay so: only what the changes did to the list is taken back.
fn changed_since(
    table: &TableView,
    folded: &Folded,
    now: &Map<String, Value>,
    mut target: Option<&mut Map<String, Value>>,
) -> Vec<String> {
    let mut names = Vec::new();
    // The changes left a record they made with these cells and no others.
    let others = now.keys().filter(|key| !folded.existed && !folded.after.contains_key(*key));
    let blank = others.map(|key| (key, &Value::Null));
    for (key, left) in folded.after.iter().chain(blank) {
        let Ok(field) = table.schema().field(key) else { continue };
        let held = now.get(key).unwrap_or(&Value::Null);
        if field.kind.is_computed() || held == left {
            continue;
        }
        match (&mut target, &field.kind) {
            (Some(cells), FieldType::Links(_)) => {
                let was = cells.get(key).cloned().unwrap_or(Value::Null);
                cells.insert(key.clone(), links_without(held, &was, left));
            }
            _ => names.push(field.name.clone()),
        }
    }
    names
}

/// A list of links with what the changes did to it taken back.
fn links_without(held: &Value, was: &Value, left: &Value) -> Value {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let (held, was, left) = (list(held), list(was), list(left));
    let mut kept: Vec<Value> = held.into_iter().filter(|id| !left.contains(id) || was.contains(id)).collect();
    for id in was.into_iter().filter(|id| !left.contains(id)) {
        if !kept.contains(&id) {
            kept.push(id);
        }
    }
    if kept.is_empty() { Value::Null } else { Value::Array(kept) }
}
