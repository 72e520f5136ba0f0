//! Taking changes of tables, fields and views back: the schema becomes what it was before the first of
//! them, and what went with tables and fields comes back from the journal.
//!
//! A schema is one whole, so later changes of it have to be taken back together with earlier ones. What
//! goes with tables and fields that were made in between has to be what the chosen changes wrote.

use std::collections::BTreeMap;

use tablewright_core::model::{Base, BaseId, RecordId, TableId};
use tablewright_core::{Code, Fault};
use tablewright_engine::base::TableChanges;
use tablewright_engine::local::schema::SchemaEdit;
use tablewright_engine::local::{Draft, Restored};

use super::{Entry, Folded, OnConflict, Undone, fold, put_back, refuse_conflicts, stored};
use crate::ChangeKind;
use crate::access::Need;
use crate::call::Call;
use crate::policy::file::Verb;
use crate::view::BaseView;

impl Call {
    /// Takes changes back of which some are of the schema; all together or not at all.
    pub(super) async fn undo_with_schema(
        &mut self,
        base: BaseId,
        wanted: &[Entry],
        on_conflict: OnConflict,
        mut undone: Undone,
    ) -> Result<Undone, Fault> {
        self.caller().rights.require(Need::Schema)?;
        self.require_of_base(Verb::Design, base).await?;
        if self.is_cloud(base) {
            let message = "tables and fields of a base in Airtable are not taken back; leave those changes out. list_changes says what they were.";
            return Err(Fault::new(Code::InvalidArguments, message));
        }
        let (schema, lost) = self.schema_before(base, wanted, &undone.changes).await?;
        let now = self.held(base).await?;
        let mut records = fold(wanted.iter().map(|entry| (&entry.change, lost.get(&entry.change.seq))));
        let goes = going(&now, &schema, &records)?;
        if on_conflict != OnConflict::Overwrite {
            refuse_conflicts(&goes)?;
        }
        records.retain(|(table, _), _| schema.table_by_id(*table).is_some());
        for ((table, _), folded) in &mut records {
            let (was, is) = (schema.table_by_id(*table), now.schema().table_by_id(*table));
            folded.after.retain(|key, _| match (was.map(|t| t.field(key)), is.map(|t| t.field(key))) {
                (Some(Ok(was)), Some(Ok(is))) => was.type_name == is.type_name,
                _ => false,
            });
        }
        let (draft, made_before) = (self.as_before(&now, schema.clone()).await?, now.schema().clone());
        let (rows, conflicts) = put_back(&draft, records, on_conflict);
        if on_conflict == OnConflict::Refuse {
            refuse_conflicts(&conflicts)?;
        }
        undone.skipped = conflicts;
        undone.removed = rows.iter().filter(|row| row.cells.is_none()).count();
        undone.restored = rows.len() - undone.removed;
        undone.recreated = rows.iter().filter(|row| row.cells.is_some() && is_new(&draft, row)).count();
        if undone.removed > 0 || loses(&made_before, &schema) {
            self.caller().rights.require(Need::Remove)?;
        }
        let edit = SchemaEdit::PutBack { schema: Box::new(schema), rows, undoes: undone.changes.clone() };
        let done = self.edit_schema(base, edit).await?;
        undone.change = Some(done.change).filter(|change| *change > 0);
        Ok(undone)
    }

    /// The schema before the first of the changes that are of the schema, and what each of them took
    /// with it.
    async fn schema_before(
        &self,
        base: BaseId,
        wanted: &[Entry],
        these: &[i64],
    ) -> Result<(Base, BTreeMap<i64, Vec<TableChanges>>), Fault> {
        let store = self.engine().store();
        let (mut schema, mut lost) = (None, BTreeMap::new());
        for entry in wanted.iter().filter(|entry| entry.change.kind == ChangeKind::Schema) {
            let seq = entry.change.seq;
            let was = store.before_change(seq).await.map_err(Fault::from)?.ok_or_else(|| {
                let message = format!("change {seq} is from before changes of tables and fields could be taken back; leave it out.");
                Fault::new(Code::InvalidArguments, message)
            })?;
            if schema.is_none() {
                if let Some(later) =
                    store.schema_changed_after(base, seq, these).await.map_err(Fault::from)?
                {
                    let message = format!(
                        "tables, fields or views were changed since by change {later}; take that one back with it, or first."
                    );
                    return Err(Fault::new(Code::Conflict, message));
                }
                schema = Some(was.schema);
            }
            lost.insert(seq, was.lost);
        }
        let schema = schema.ok_or_else(|| Fault::new(Code::Internal, "no change is of the schema"))?;
        Ok((schema, lost))
    }

    /// The base with another schema, its rows as they are.
    async fn as_before(&self, now: &BaseView, schema: Base) -> Result<BaseView, Fault> {
        let (held, at) = (now.snapshot(), self.now());
        let draft = tokio::task::spawn_blocking(move || {
            let mut draft = Draft::of(&held);
            let edit = SchemaEdit::PutBack { schema: Box::new(schema), rows: Vec::new(), undoes: Vec::new() };
            draft.edit(&edit, at)?;
            Ok::<_, Fault>(draft.snapshot)
        });
        let draft = draft.await.map_err(|e| Fault::new(Code::Internal, e.to_string()))??;
        self.view_of(std::sync::Arc::new(draft)).await
    }
}

fn is_new(view: &BaseView, row: &Restored) -> bool {
    view.table_by_id(row.table).is_ok_and(|table| table.slot(&row.id).is_none())
}

/// Whether tables or fields of one schema are not in the other.
fn loses(from: &Base, to: &Base) -> bool {
    from.tables.iter().any(|table| match to.table_by_id(table.id) {
        None => true,
        Some(is) => table.fields.iter().any(|field| is.field_by_id(field.id).is_none()),
    })
}

/// Records and cells that would go with a table or field, and that the chosen changes did not write.
fn going(
    now: &BaseView,
    schema: &Base,
    records: &BTreeMap<(TableId, RecordId), Folded>,
) -> Result<Vec<String>, Fault> {
    let mut found = Vec::new();
    for table in &now.schema().tables {
        let (held, was) = (now.table_by_id(table.id)?, schema.table_by_id(table.id));
        let goes: Vec<_> = table
            .fields
            .iter()
            .filter(|field| {
                let kept = was.and_then(|was| was.field_by_id(field.id));
                !field.kind.is_computed() && kept.is_none_or(|was| was.type_name != field.type_name)
            })
            .collect();
        if goes.is_empty() {
            continue;
        }
        for slot in held.slots() {
            let id = held.row(slot).id;
            let written = records.get(&(table.id, id));
            if was.is_none() && written.is_none_or(|written| !written.left) {
                found.push(format!("{id}: it would go with table {:?}", table.name));
                continue;
            }
            let cells = stored(&held, id).unwrap_or_default();
            for field in &goes {
                let key = field.id.to_string();
                let left = written.and_then(|written| written.after.get(&key));
                if cells.get(&key).is_some_and(|cell| Some(cell) != left) {
                    found.push(format!("{id}: {:?}", field.name));
                }
            }
        }
    }
    Ok(found)
}
