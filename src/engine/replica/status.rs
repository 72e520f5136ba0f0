//! What people are told about the copy of a base.

use tablewright_core::Fault;

use super::held::Held;
use super::{Status, TableStatus};

impl Held {
    /// How far it is.
    pub(crate) async fn status(&self) -> Result<Status, Fault> {
        let state = self.state().await;
        let snapshot = self.engine.snapshot(self.base).await?;
        let listed = self.listed.borrow().clone();
        let tables = snapshot.schema.tables.iter().map(|table| {
            let kept = state.tables.get(&table.id).cloned().unwrap_or_default();
            let listed = listed.iter().find(|(id, _)| *id == table.id).map(|(_, count)| *count);
            TableStatus {
                id: table.id.to_string(),
                name: table.name.clone(),
                records: snapshot.tables.get(&table.id).map_or(0, |data| data.len()),
                state: match (kept.listed_at, listed) {
                    (None, Some(_)) => "copying",
                    (None, None) => "waiting",
                    (Some(_), Some(_)) => "listing",
                    (Some(_), None) => "copied",
                },
                listed,
                to_fetch: kept.dirty.len(),
            }
        });
        let tables = tables.collect();
        let as_of = self.as_of();
        Ok(Status {
            base: self.base.to_string(),
            name: snapshot.schema.name.clone(),
            profile: self.cloud().profile,
            changes_by: if state.hook.is_some() { "webhook" } else { "polling" },
            no_webhook: state.no_hook.filter(|_| state.hook.is_none()),
            age_seconds: (as_of > 0).then(|| (self.now() - as_of).max(0).unsigned_abs() / 1_000),
            failure: self.turns.borrow().failure.as_ref().map(|fault| fault.message.clone()),
            queued_writes: 0,
            calls_this_month: 0,
            calls_allowed: None,
            tables,
        })
    }
}
