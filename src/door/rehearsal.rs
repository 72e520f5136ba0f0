//! What a call would do, worked out without doing it.
//!
//! A call that rehearses goes the same way as any other until it would commit. There the write is
//! carried out on a draft of the base, in memory; what comes after it in the same call sees the
//! draft. The steps that were noted are the effect of the call. When the call is carried out later,
//! each of its writes has to do exactly what its step says, or it is refused.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tablewright_core::model::id::AttachmentId;
use tablewright_core::model::{Base, BaseId, Choice, FieldId, FieldType, RecordId, TableId};
use tablewright_core::{Code, Fault};
use tablewright_engine::Snapshot;
use tablewright_engine::base::{SchemaChange, TableChanges};
use tablewright_engine::local::schema::{Edit, SchemaEdit};
use tablewright_engine::local::{Draft, Outcome, Write};

/// What a call would do: its writes, in order.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Effect {
    /// One for each write.
    pub steps: Vec<Step>,
}

/// What one write would do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum Step {
    /// Records are created, changed or deleted.
    Records {
        /// The base.
        base: BaseId,
        /// The table it is about.
        table: TableId,
        /// Rows before and after, computed cells that follow, other tables included.
        tables: Vec<TableChanges>,
        /// Choices that typecast would make, by table and field.
        choices: Vec<NewChoices>,
        /// Records it makes, in the order of the write.
        #[serde(default)]
        made: Vec<RecordId>,
        /// Records that would be refused: their place from 0, and why.
        refused: Vec<(usize, Fault)>,
    },
    /// The schema changes.
    Schema {
        /// The base.
        base: BaseId,
        /// How.
        changes: Vec<SchemaChange>,
        /// Records that go with a table, or lose a cell with a field.
        records: u64,
        /// Records that are put back with it.
        #[serde(default)]
        restored: u64,
    },
    /// Somebody comments on a record.
    Comment {
        /// The base.
        base: BaseId,
        /// The table.
        table: TableId,
        /// The record.
        record: RecordId,
        /// The text before, when there was one.
        before: Option<String>,
        /// The text after; absent when the comment goes.
        after: Option<String>,
    },
    /// A file is sent to Airtable and added to a cell.
    Upload {
        /// The base.
        base: BaseId,
        /// The table.
        table: TableId,
        /// The record.
        record: RecordId,
        /// The field.
        field: FieldId,
    },
    /// A base is made.
    CreateBase {
        /// Its name.
        name: String,
        /// Its tables.
        tables: Vec<String>,
    },
    /// A base is deleted with everything in it.
    DeleteBase {
        /// The base.
        base: BaseId,
        /// Its records.
        records: u64,
    },
}

/// Choices that do not exist yet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NewChoices {
    /// The table.
    pub table: TableId,
    /// The field's name.
    pub field: String,
    /// The choices.
    pub choices: Vec<Choice>,
}

/// A rehearsal under way.
#[derive(Default)]
pub(crate) struct Rehearsal {
    /// Bases as they would be.
    drafts: HashMap<BaseId, Arc<Snapshot>>,
    pub(crate) effect: Effect,
}

impl Effect {
    /// The base it is about; absent when a base is made.
    pub fn base(&self) -> Option<BaseId> {
        self.steps.iter().find_map(Step::base)
    }

    /// Records created, changed and deleted, those of other tables included.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for row in self.steps.iter().flat_map(Step::tables).flat_map(|changes| &changes.rows) {
            match (&row.before, &row.after) {
                (None, _) => counts.created += 1,
                (_, None) => counts.deleted += 1,
                _ => counts.changed += 1,
            }
        }
        counts
    }

    /// True when it changes nothing.
    pub fn is_empty(&self) -> bool {
        self.steps.iter().all(|step| match step {
            Step::Records { tables, choices, .. } => tables.is_empty() && choices.is_empty(),
            Step::Schema { changes, .. } => changes.is_empty(),
            _ => false,
        })
    }
}

/// How many records.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// That are new.
    pub created: usize,
    /// Whose cells change.
    pub changed: usize,
    /// That go.
    pub deleted: usize,
}

impl Step {
    /// The base it is about.
    pub fn base(&self) -> Option<BaseId> {
        match self {
            Self::Records { base, .. }
            | Self::Schema { base, .. }
            | Self::Comment { base, .. }
            | Self::Upload { base, .. }
            | Self::DeleteBase { base, .. } => Some(*base),
            Self::CreateBase { .. } => None,
        }
    }

    /// Its rows, by table.
    pub fn tables(&self) -> &[TableChanges] {
        match self {
            Self::Records { tables, .. } => tables,
            _ => &[],
        }
    }

    /// Records it makes, in the order of the write.
    pub(crate) fn records_made(&self) -> &[RecordId] {
        match self {
            Self::Records { made, .. } => made,
            _ => &[],
        }
    }

    /// What two of the same meaning have in common: ids of what is made are numbered, and what
    /// follows by itself is left out.
    fn plain(&self, known: &HashMap<String, String>) -> Value {
        let mut step = self.clone();
        if let Self::Records { tables, .. } = &mut step {
            tables.iter_mut().for_each(|changes| changes.computed.clear());
        }
        let mut made: HashMap<String, String> = HashMap::new();
        for id in step.makes() {
            let number = format!("new {}", made.len());
            made.entry(id).or_insert(number);
        }
        let mut plain = serde_json::to_value(&step).unwrap_or_default();
        rename(&mut plain, &made);
        rename(&mut plain, known);
        plain
    }

    /// Ids of what it makes, in order.
    fn makes(&self) -> Vec<String> {
        match self {
            Self::Records { tables, choices, .. } => {
                let rows = || tables.iter().flat_map(|changes| &changes.rows);
                let records = rows().filter(|row| row.before.is_none()).map(|row| row.id.to_string());
                let choices = choices.iter().flat_map(|new| &new.choices).map(|choice| choice.id.to_string());
                let files = |cells: &Option<Map<String, Value>>| -> Vec<String> {
                    cells.iter().flat_map(Map::values).flat_map(file_ids).collect()
                };
                let held: HashSet<String> = rows().flat_map(|row| files(&row.before)).collect();
                let files = rows().flat_map(|row| files(&row.after)).filter(|id| !held.contains(id));
                records.chain(choices).chain(files).collect()
            }
            Self::Schema { changes, .. } => changes.iter().flat_map(made_by).collect(),
            _ => Vec::new(),
        }
    }

    /// Refuses when `now`, the same write rehearsed again, does something else than this step. `made`
    /// are records that earlier steps have made, by the ids the plan has for them.
    pub(crate) fn require_same(&self, now: &Self, made: &HashMap<String, String>) -> Result<(), Fault> {
        if self.plain(made) == now.plain(&HashMap::new()) {
            return Ok(());
        }
        let moved = self.moved(now);
        let what = match moved.as_slice() {
            [] => "what it would do is not what it was".to_owned(),
            ids => {
                let shown: Vec<String> = ids.iter().take(10).map(ToString::to_string).collect();
                let more = ids.len().saturating_sub(shown.len());
                let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
                format!("{}{rest} changed since", shown.join(", "))
            }
        };
        Err(Fault::new(Code::PlanStale, format!("{what}; make the plan again and look at it.")))
    }

    /// The records that would be changed differently, or not any more.
    fn moved(&self, now: &Self) -> Vec<RecordId> {
        let rows = |step: &Self| -> BTreeMap<RecordId, _> {
            let rows = step.tables().iter().flat_map(|changes| &changes.rows);
            rows.filter(|row| row.before.is_some()).map(|row| (row.id, row.clone())).collect()
        };
        let (then, now) = (rows(self), rows(now));
        let differs = |id: &&RecordId| then.get(id) != now.get(id);
        let all: std::collections::BTreeSet<&RecordId> = then.keys().chain(now.keys()).collect();
        all.into_iter().filter(differs).copied().collect()
    }
}

/// Puts other texts in the place of those that are named, keys of objects included.
fn rename(value: &mut Value, names: &HashMap<String, String>) {
    match value {
        Value::String(text) => {
            if let Some(name) = names.get(text) {
                text.clone_from(name);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| rename(item, names)),
        Value::Object(map) => {
            let held = std::mem::take(map);
            map.extend(held.into_iter().map(|(key, mut value)| {
                rename(&mut value, names);
                (names.get(&key).cloned().unwrap_or(key), value)
            }));
        }
        _ => {}
    }
}

fn made_by(change: &SchemaChange) -> Vec<String> {
    match change {
        SchemaChange::TableCreated { table, after } => {
            let fields = after.iter().flat_map(|table| &table.fields).map(|field| field.id.to_string());
            let views = after.iter().flat_map(|table| &table.views).map(|view| view.id.to_string());
            let choices = after.iter().flat_map(|table| &table.fields).flat_map(|f| choice_ids(&f.kind));
            [table.to_string()].into_iter().chain(fields).chain(views).chain(choices).collect()
        }
        SchemaChange::FieldCreated { field, .. } => {
            [field.id.to_string()].into_iter().chain(choice_ids(&field.kind)).collect()
        }
        SchemaChange::FieldChanged { before, after, .. } => {
            let had = choice_ids(&before.kind);
            choice_ids(&after.kind).into_iter().filter(|id| !had.contains(id)).collect()
        }
        SchemaChange::ViewChanged { view, .. } => vec![view.to_string()],
        _ => Vec::new(),
    }
}

/// Ids of the files of a cell.
fn file_ids(cell: &Value) -> Vec<String> {
    let items = cell.as_array().map_or(&[][..], Vec::as_slice);
    let ids = items.iter().filter_map(|item| item.get("id")?.as_str());
    ids.filter(|id| AttachmentId::is(id)).map(str::to_owned).collect()
}

fn choice_ids(kind: &FieldType) -> Vec<String> {
    kind.choices().unwrap_or_default().iter().map(|choice| choice.id.to_string()).collect()
}

/// Choices that are in `after` and not in `before`.
fn new_choices(before: &Base, after: &Base) -> Vec<NewChoices> {
    let mut found = Vec::new();
    for (was, is) in before.tables.iter().zip(&after.tables) {
        for (old, new) in was.fields.iter().zip(&is.fields) {
            let had = choice_ids(&old.kind);
            let choices = new.kind.choices().unwrap_or_default();
            let choices: Vec<Choice> =
                choices.iter().filter(|choice| !had.contains(&choice.id.to_string())).cloned().collect();
            if !choices.is_empty() {
                found.push(NewChoices { table: is.id, field: new.name.clone(), choices });
            }
        }
    }
    found
}

/// Carries out `write` on a copy of `held`: the copy, what was done, and the outcome.
pub(crate) async fn write(
    held: Arc<Snapshot>,
    write: Write,
    now: i64,
    by: String,
) -> Result<(Step, Outcome), Fault> {
    aside(move || {
        let base = held.schema.id;
        let mut draft = Draft::of(&held);
        draft.log_computed = true;
        let applied = draft.apply(&write, now, &by)?;
        let refused = applied.records.iter().enumerate();
        let refused = refused.filter_map(|(at, r)| Some((at, r.as_ref().err()?.clone()))).collect();
        let choices = new_choices(&held.schema, &draft.snapshot.schema);
        let mut tables = applied.changes;
        tables.iter_mut().for_each(|changes| leave_out_stamps(&held.schema, changes));
        let made = applied.created.clone();
        let step = Step::Records { base, table: write.table, tables, choices, made, refused };
        let outcome = Outcome {
            records: applied.records,
            created: applied.created,
            snapshot: Arc::new(draft.snapshot),
            change: None,
            created_elsewhere: applied.created_elsewhere,
        };
        Ok((step, outcome))
    })
    .await
}

/// Takes out times and numbers that every write gives anew; what goes with a record stays.
fn leave_out_stamps(base: &Base, changes: &mut TableChanges) {
    let Some(table) = base.table_by_id(changes.table) else { return };
    let stamps: Vec<String> =
        table.fields.iter().filter(|f| f.kind.is_computed()).map(|f| f.id.to_string()).collect();
    for row in changes.rows.iter_mut().filter(|row| row.after.is_some()) {
        for cells in row.before.iter_mut().chain(&mut row.after) {
            cells.retain(|key, _| !stamps.contains(key));
        }
    }
}

/// Carries out a change of the schema on a copy of `held`.
pub(crate) async fn edit(
    held: Arc<Snapshot>,
    edit: SchemaEdit,
    now: i64,
) -> Result<(Step, Edit, Arc<Snapshot>), Fault> {
    aside(move || {
        let base = held.schema.id;
        let mut draft = Draft::of(&held);
        let records = match &edit {
            SchemaEdit::DeleteTable(table) | SchemaEdit::DeleteField { table, .. } => {
                held.tables.get(table).map_or(0, |data| data.len() as u64)
            }
            _ => 0,
        };
        let restored = match &edit {
            SchemaEdit::PutBack { rows, .. } => rows.len() as u64,
            _ => 0,
        };
        let edit = draft.edit(&edit, now)?;
        let step = Step::Schema { base, changes: edit.changes.clone(), records, restored };
        Ok((step, edit, Arc::new(draft.snapshot)))
    })
    .await
}

/// Work that may take a while, so that other calls go on.
async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Fault> + Send + 'static,
) -> Result<T, Fault> {
    tokio::task::spawn_blocking(work).await.map_err(|e| Fault::new(Code::Internal, e.to_string()))?
}

impl Rehearsal {
    /// A base as it would be by now, when the rehearsal has changed it.
    pub(crate) fn draft(&self, base: BaseId) -> Option<Arc<Snapshot>> {
        self.drafts.get(&base).cloned()
    }

    /// Notes a step, and the base as it leaves it.
    pub(crate) fn note(&mut self, step: Step, draft: Option<Arc<Snapshot>>) {
        if let Some(draft) = draft {
            self.drafts.insert(draft.schema.id, draft);
        }
        self.effect.steps.push(step);
    }
}
