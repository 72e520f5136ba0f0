//! What each conversation has read, and how far the log of changes was then: whoever plans a write of
//! something that changed since is told.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tablewright_core::Fault;
use tablewright_core::model::{BaseId, RecordId, TableId};

use crate::call::Call;
use crate::rehearsal::Effect;

/// Most conversations, and most tables of each.
const MOST: usize = 1_000;
const MOST_TABLES: usize = 200;
/// Most changed records that are looked at.
const MOST_RECORDS: u32 = 100_000;

type Key = (Arc<str>, Arc<str>);

/// The last commit before each conversation read a table.
#[derive(Clone, Default)]
pub(crate) struct Reads(Arc<Mutex<HashMap<Key, HashMap<TableId, i64>>>>);

impl Reads {
    fn lock(&self) -> MutexGuard<'_, HashMap<Key, HashMap<TableId, i64>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Call {
    fn reader(&self) -> Key {
        (self.caller().principal.clone(), self.caller().session.clone())
    }

    /// Notes that the caller was shown records of the table of this call.
    pub fn note_read(&self) {
        let Some((table, change)) = self.read_at() else { return };
        let mut reads = self.reads().lock();
        // Who is forgotten is told nothing; that is what they were told before.
        if reads.len() >= MOST && !reads.contains_key(&self.reader()) {
            reads.clear();
        }
        let tables = reads.entry(self.reader()).or_default();
        if tables.len() >= MOST_TABLES {
            tables.clear();
        }
        tables.insert(table, change);
    }

    /// Records that an effect changes or deletes, and that somebody else changed after the caller had
    /// read their table.
    pub async fn changed_since_read(&self, effect: &Effect) -> Result<Vec<RecordId>, Fault> {
        let read = self.reads().lock().get(&self.reader()).cloned().unwrap_or_default();
        let mut bases: HashMap<BaseId, (i64, BTreeSet<RecordId>)> = HashMap::new();
        for step in &effect.steps {
            let Some(base) = step.base() else { continue };
            for changes in step.tables() {
                let Some(since) = read.get(&changes.table) else { continue };
                let rows = changes.rows.iter().filter(|row| row.before.is_some()).map(|row| row.id);
                let held = bases.entry(base).or_insert_with(|| (*since, BTreeSet::new()));
                held.0 = held.0.min(*since);
                held.1.extend(rows);
            }
        }
        let mut moved = Vec::new();
        for (base, (since, records)) in bases {
            let session = &self.caller().session;
            let store = self.engine().store();
            let changed = store.changed_by_others(base, since, session, MOST_RECORDS).await;
            moved.extend(changed.map_err(Fault::from)?.into_iter().filter(|id| records.contains(id)));
        }
        Ok(moved)
    }
}
