//! What Airtable says, committed to the copy of a base.

use std::sync::Arc;

use tablewright_core::model::BaseId;
use tablewright_core::{Code, Fault};

use super::collect;
use crate::Shared;
use crate::base::Snapshot;
use crate::base::changes::{Author, ChangeKind};
use crate::local::Draft;
use crate::replica::state::State;
use crate::replica::take::{self, Delta, How};
use crate::store::write::{Batch, LoggedChange};

/// A delta that is in the copy.
#[derive(Debug, Clone)]
pub(crate) struct Absorbed {
    /// The base with it.
    pub(crate) snapshot: Arc<Snapshot>,
    /// The commit in the change log; absent when nothing changed.
    pub(crate) change: Option<i64>,
    /// How many rows changed.
    pub(crate) rows: usize,
    /// How far the copy is now.
    pub(crate) state: State,
}

/// Commits a delta to the copy of a base.
pub(super) async fn absorb(
    shared: &Shared,
    base: BaseId,
    mut delta: Delta,
    author: Author,
) -> Result<Absorbed, Fault> {
    let before = shared.snapshot(base).await?;
    if !before.cloud {
        let message = format!("base {base} lives here, not in Airtable.");
        return Err(Fault::new(Code::Conflict, message));
    }
    let mut batch = Batch {
        journal: std::mem::take(&mut delta.journal),
        task_parts: delta.part.take().into_iter().collect(),
        ..Batch::default()
    };
    let (how, now) = (delta.how, shared.clock.now_ms());
    let draft = Draft::of(&before);
    // A new schema may mean that a whole base is read again.
    let (mut draft, taken) = tokio::task::spawn_blocking(move || {
        let mut draft = draft;
        let taken = take::take(&mut draft, delta, now);
        (draft, taken)
    })
    .await
    .map_err(|e| Fault::new(Code::Internal, e.to_string()))?;
    let changed = !draft.touched.is_empty() || draft.schema_changed;
    if changed {
        collect(base, &mut draft, &mut batch);
        batch.new_tables = take::beyond(&draft.snapshot.schema, &before.schema);
        batch.gone_tables = take::beyond(&before.schema, &draft.snapshot.schema);
    }
    batch.replica = Some((base, taken.state.to_json()));
    let rows = taken.tables.iter().map(|table| table.rows.len()).sum();
    if !taken.schema.is_empty() {
        batch.changes.push(LoggedChange {
            schema: taken.schema,
            recomputed: draft.snapshot.schema.tables.iter().map(|t| t.id).collect(),
            ..LoggedChange::of(base, now, author.clone(), ChangeKind::Schema)
        });
    }
    if !taken.tables.is_empty() && how != How::Copied {
        batch.changes.push(LoggedChange {
            tables: taken.tables,
            ..LoggedChange::of(base, now, author, ChangeKind::Records)
        });
    }
    let _no_load = shared.loading.lock().await;
    let numbers = shared.store.apply(&batch).await.map_err(Fault::from)?;
    draft.snapshot.change = numbers.last().copied().unwrap_or(draft.snapshot.change);
    let snapshot = if changed { shared.publish(base, draft.snapshot) } else { before.clone() };
    if before.schema.name != snapshot.schema.name {
        shared.list(base, Some(snapshot.schema.name.clone()));
    }
    shared.tell(batch.changes, &numbers);
    Ok(Absorbed { snapshot, change: numbers.last().copied(), rows, state: taken.state })
}
