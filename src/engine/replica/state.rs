//! How far the copy of a base is. Kept in the store with the rows it speaks of.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use tablewright_core::model::{Base, RecordId, TableId};

use crate::base::SchemaChange;
use crate::store::read::Cloud;

/// Most records of a table that wait to be fetched by id; beyond it the table is listed again.
const MAX_DIRTY: usize = 5_000;
/// Listings after a jump in the numbers of transactions that found nothing, before jumps are
/// taken to mean nothing for this base.
const FALSE_ALARMS: u32 = 3;
/// Least time between two such listings, in milliseconds.
const ALARM_PAUSE: i64 = 60_000;

/// The webhook that tells of changes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Hook {
    pub(crate) id: String,
    /// The number of the next payload.
    pub(crate) cursor: i64,
    /// The transaction heard of last.
    #[serde(default)]
    pub(crate) transaction: Option<i64>,
    pub(crate) made_at: i64,
    /// When Airtable was last asked whether it still works.
    #[serde(default)]
    pub(crate) checked_at: i64,
}

/// How far the copy of a table is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct TableState {
    /// When the last whole listing began, in milliseconds; absent until there was one.
    pub(crate) listed_at: Option<i64>,
    /// Where the first listing goes on after a restart.
    pub(crate) offset: Option<String>,
    /// The whole table is to be listed again, for something may have been missed.
    pub(crate) list_due: bool,
    /// The whole table is to be listed as a matter of routine.
    pub(crate) relist: bool,
    /// Records to be fetched by id.
    pub(crate) dirty: BTreeSet<RecordId>,
    /// Without a webhook: what was modified since then, by Airtable's clock, is not here yet.
    pub(crate) modified_since: Option<i64>,
    /// A listing is under way.
    #[serde(skip)]
    listing: bool,
    /// A listing became due while one was under way.
    #[serde(skip)]
    list_again: bool,
    /// Records that are being fetched.
    #[serde(skip)]
    fetching: BTreeSet<RecordId>,
    /// Those of them that changed again meanwhile.
    #[serde(skip)]
    fetch_again: BTreeSet<RecordId>,
}

impl TableState {
    /// The whole table is to be listed again.
    pub(crate) fn want_list(&mut self) {
        self.list_due = true;
        self.list_again |= self.listing;
    }

    /// True when the table is to be listed.
    pub(crate) fn is_due(&self) -> bool {
        self.listed_at.is_none() || self.list_due || self.relist
    }

    /// A listing begins.
    pub(crate) fn begin_list(&mut self) {
        self.listing = true;
        self.list_again = false;
    }

    /// The listing that began at `began` has ended.
    pub(crate) fn end_list(&mut self, began: i64) {
        self.list_due = self.list_again;
        self.relist = false;
        self.listing = false;
        self.listed_at = Some(began);
        self.offset = None;
    }

    /// The listing was given up.
    pub(crate) fn break_list(&mut self) {
        self.listing = false;
    }

    /// Records are about to be fetched.
    pub(crate) fn begin_fetch(&mut self, records: &[RecordId]) {
        self.fetching = records.iter().copied().collect();
        self.fetch_again.clear();
    }
}

/// How far the copy of a base is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct State {
    pub(crate) hook: Option<Hook>,
    /// Why there is no webhook.
    pub(crate) no_hook: Option<String>,
    /// When a webhook may be tried again.
    pub(crate) hook_again_at: i64,
    pub(crate) tables: BTreeMap<TableId, TableState>,
    pub(crate) schema_due: bool,
    pub(crate) schema_at: i64,
    /// Everything Airtable had at this moment is in the copy.
    pub(crate) as_of: i64,
    /// The same as the store has it.
    pub(crate) kept_as_of: i64,
    /// Listings after a jump in the numbers of transactions that found nothing.
    pub(crate) false_alarms: u32,
    /// When a jump last had everything listed again.
    pub(crate) alarm_at: i64,
    /// There was a jump since, too soon after it.
    pub(crate) alarm_due: bool,
    /// Since when there are records to be fetched by id.
    pub(crate) dirty_since: Option<i64>,
}

impl State {
    /// The state before anything was copied.
    pub(crate) fn new(schema: &Base) -> Self {
        let tables = schema.tables.iter().map(|t| (t.id, TableState::default())).collect();
        Self { tables, ..Self::default() }
    }

    /// As the store keeps it.
    pub(crate) fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// True once every table was copied.
    pub(crate) fn is_copied(&self) -> bool {
        self.tables.values().all(|table| table.listed_at.is_some())
    }

    /// Changes the state of a table that is copied.
    pub(crate) fn with(&mut self, table: TableId, change: impl FnOnce(&mut TableState)) {
        if let Some(table) = self.tables.get_mut(&table) {
            change(table);
        }
    }

    /// True when nothing is left to be fetched.
    pub(crate) fn is_settled(&self) -> bool {
        !self.schema_due && self.tables.values().all(|table| table.dirty.is_empty())
    }

    /// Records to be fetched again; those of tables that are not copied are left out.
    pub(crate) fn mark(&mut self, table: TableId, records: impl IntoIterator<Item = RecordId>, now: i64) {
        let Some(state) = self.tables.get_mut(&table) else { return };
        for record in records {
            if state.fetching.contains(&record) {
                state.fetch_again.insert(record);
            }
            state.dirty.insert(record);
        }
        if state.dirty.is_empty() {
            return;
        }
        self.dirty_since.get_or_insert(now);
        if state.dirty.len() > MAX_DIRTY {
            state.dirty.clear();
            state.want_list();
        }
    }

    /// Records that were fetched.
    pub(crate) fn fetched(&mut self, table: TableId, records: &[RecordId]) {
        if let Some(state) = self.tables.get_mut(&table) {
            for id in records.iter().filter(|id| !state.fetch_again.contains(id)) {
                state.dirty.remove(id);
            }
            state.fetching.clear();
            state.fetch_again.clear();
        }
        if self.tables.values().all(|table| table.dirty.is_empty()) {
            self.dirty_since = None;
        }
    }

    /// Everything is listed again: something may have been missed.
    pub(crate) fn list_all(&mut self) {
        self.schema_due = true;
        self.tables.values_mut().for_each(TableState::want_list);
    }

    /// The numbers of transactions jumped: something may have been missed, unless such alarms were
    /// always false here. One that comes too soon after another is put off, the longer the more of
    /// them were false.
    pub(crate) fn alarm(&mut self, now: i64) {
        let due = self.false_alarms < FALSE_ALARMS;
        self.alarm_due =
            due && now - self.alarm_at < ALARM_PAUSE << (2 * self.false_alarms.min(FALSE_ALARMS));
        if due && !self.alarm_due {
            self.alarm_at = now;
            self.list_all();
        }
    }

    /// Follows a schema that was put in place.
    pub(crate) fn follow(&mut self, schema: &Base, changes: &[SchemaChange]) {
        self.tables.retain(|id, _| schema.table_by_id(*id).is_some());
        for table in &schema.tables {
            self.tables.entry(table.id).or_default();
        }
        for change in changes {
            let table = match change {
                SchemaChange::FieldCreated { table, .. } => table,
                SchemaChange::FieldChanged { table, before, after } => {
                    // Another name, or other choices, leave the cells what they are.
                    let same = before.kind == after.kind
                        || before.kind.choices().is_some() && after.kind.layout() == before.kind.layout();
                    if same {
                        continue;
                    }
                    table
                }
                _ => continue,
            };
            if let Some(state) = self.tables.get_mut(table) {
                state.want_list();
            }
        }
    }
}

/// The tables of `all` that are copied.
pub(crate) fn chosen(cloud: &Cloud, mut all: Base) -> Base {
    if let Some(tables) = &cloud.tables {
        all.tables.retain(|table| tables.contains(&table.id));
    }
    all
}
