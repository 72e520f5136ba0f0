//! Commits that stand alone: edits of a schema, comments.

use std::sync::Arc;

use serde_json::Value;
use tablewright_core::model::{BaseId, CommentId, Person, RecordId, TableId};
use tablewright_core::{Code, Fault};

use super::{Audit, collect};
use crate::Shared;
use crate::base::changes::{Author, ChangeKind};
use crate::base::{RowChange, SchemaChange, Snapshot, TableChanges};
use crate::comments::{Comment, CommentRow, check_put_back};
use crate::local::schema::{Edit, SchemaEdit};
use crate::local::{Draft, lost};
use crate::store::comments::CommentChange;
use crate::store::write::{AuditEntry, Batch, LoggedChange, SchemaBefore};

/// An edit of a schema, carried out.
#[derive(Debug, Clone)]
pub struct Edited {
    /// What it made or changed.
    pub edit: Edit,
    /// The base with the edit in it.
    pub snapshot: Arc<Snapshot>,
    /// The commit in the change log.
    pub change: i64,
}

/// The record a comment is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommentPlace {
    /// Its base.
    pub base: BaseId,
    /// Its table.
    pub table: TableId,
    /// The record.
    pub record: RecordId,
}

/// What somebody does to the comments of a record. `known` are the people who can be mentioned.
#[derive(Debug, Clone, PartialEq)]
pub enum CommentEdit {
    /// Says something, or answers `parent`.
    Add { author: Person, text: String, parent: Option<CommentId>, known: Vec<Person> },
    /// Says something else instead; only the author may.
    Replace { author: Person, comment: CommentId, text: String, known: Vec<Person> },
    /// Takes a comment back, with its answers; only the author may.
    Remove { author: Person, comment: CommentId },
    /// Comments become what they were; `undoes` are the changes that are taken back. Only the author
    /// may, and only where nothing changed since.
    PutBack { author: Person, rows: Vec<CommentRow>, undoes: Vec<i64> },
}

pub(super) async fn schema(
    shared: &Shared,
    base: BaseId,
    edit: &SchemaEdit,
    by: Author,
    audit: Audit,
) -> Result<Edited, Fault> {
    let result = try_schema(shared, base, edit, by).await;
    match result {
        Ok((mut draft, mut batch, edit)) => {
            batch.audit.push(audit("ok"));
            let _no_load = shared.loading.lock().await;
            let numbers = match shared.store.apply(&batch).await.map_err(Fault::from) {
                Ok(numbers) => numbers,
                Err(fault) => {
                    let lines = std::mem::take(&mut batch.audit).into_iter();
                    lines.for_each(|line| {
                        shared.audit.push(AuditEntry { outcome: fault.code.as_str().to_owned(), ..line });
                    });
                    return Err(fault);
                }
            };
            draft.snapshot.change = numbers.last().copied().unwrap_or(draft.snapshot.change);
            let snapshot = shared.publish(base, draft.snapshot);
            if edit.changes.iter().any(|c| matches!(c, SchemaChange::BaseRenamed { .. })) {
                shared.list(base, Some(snapshot.schema.name.clone()));
            }
            shared.tell(batch.changes, &numbers);
            Ok(Edited { edit, snapshot, change: numbers.last().copied().unwrap_or_default() })
        }
        Err(fault) => {
            shared.audit.push(audit(fault.code.as_str()));
            Err(fault)
        }
    }
}

async fn try_schema(
    shared: &Shared,
    base: BaseId,
    edit: &SchemaEdit,
    by: Author,
) -> Result<(Draft, Batch, Edit), Fault> {
    let before = shared.snapshot(base).await?;
    let undoes = match edit {
        SchemaEdit::PutBack { undoes, .. } => undoes.clone(),
        _ => Vec::new(),
    };
    let (now, mut draft, edit) = (shared.clock.now_ms(), Draft::of(&before), edit.clone());
    // Working a whole base out again may take a while.
    let (mut draft, edit) = tokio::task::spawn_blocking(move || {
        let edit = draft.edit(&edit, now)?;
        Ok::<_, Fault>((draft, edit))
    })
    .await
    .map_err(|e| Fault::new(Code::Internal, e.to_string()))??;
    let mut batch = Batch::default();
    collect(base, &mut draft, &mut batch);
    let is_in = |schema: &tablewright_core::model::Base, id| schema.table_by_id(id).is_some();
    let after = &draft.snapshot.schema;
    batch.new_tables =
        after.tables.iter().filter(|t| !is_in(&before.schema, t.id)).map(|t| (base, t.id)).collect();
    batch.gone_tables =
        before.schema.tables.iter().filter(|t| !is_in(after, t.id)).map(|t| (base, t.id)).collect();
    batch.changes.push(LoggedChange {
        tables: edit.rows.clone(),
        schema: edit.changes.clone(),
        recomputed: after.tables.iter().map(|t| t.id).collect(),
        undoes,
        schema_before: Some(SchemaBefore {
            lost: lost(&before, &draft.snapshot),
            schema: before.schema.clone(),
        }),
        ..LoggedChange::of(base, now, by, ChangeKind::Schema)
    });
    Ok((draft, batch, edit))
}

pub(super) async fn comment(
    shared: &Shared,
    at: CommentPlace,
    edit: CommentEdit,
    by: Author,
    audit: Audit,
) -> Result<Comment, Fault> {
    let undoes = match &edit {
        CommentEdit::PutBack { undoes, .. } => undoes.clone(),
        _ => Vec::new(),
    };
    match try_comment(shared, at, edit).await {
        Ok((change, comment, rows)) => {
            let row = RowChange { id: at.record, before: None, after: None };
            let line = audit("ok");
            let logged = LoggedChange {
                tables: vec![TableChanges { table: at.table, rows: vec![row], computed: Vec::new() }],
                comments: rows,
                undoes,
                ..LoggedChange::of(at.base, shared.clock.now_ms(), by, ChangeKind::Comments)
            };
            let written = shared.store.change_comment(at.record, &change, &logged, line).await;
            let seq = written.map_err(Fault::from)?;
            shared.tell(vec![logged], &[seq]);
            Ok(comment)
        }
        Err(fault) => {
            shared.audit.push(audit(fault.code.as_str()));
            Err(fault)
        }
    }
}

async fn try_comment(
    shared: &Shared,
    at: CommentPlace,
    edit: CommentEdit,
) -> Result<(CommentChange, Comment, Vec<CommentRow>), Fault> {
    let snapshot = shared.snapshot(at.base).await?;
    let (table, data) = snapshot.table(at.table)?;
    if data.slot(&at.record).is_none() {
        let message = format!("table {:?} has no record {}.", table.name, at.record);
        return Err(Fault::new(Code::UnknownRecord, message).about(at.record.to_string()));
    }
    let now = shared.clock.now_ms();
    let held = shared.store.comments_of(at.base, at.record).await.map_err(Fault::from)?;
    let held: Vec<(i64, Comment)> = held
        .into_iter()
        .filter_map(|(position, body)| Some((position, serde_json::from_value(body).ok()?)))
        .collect();
    let find = |id: CommentId| {
        held.iter().find(|(_, comment)| comment.id == id).ok_or_else(|| {
            let message = format!("record {} has no comment {id}.", at.record);
            Fault::new(Code::UnknownComment, message).about(id.to_string())
        })
    };
    let own = |author: &Person, id: CommentId| {
        let (position, comment) = find(id)?;
        if !comment.is_by(author) {
            let message = format!("comment {id} is somebody else's; only its author may change it.");
            return Err(Fault::new(Code::Forbidden, message).about(id.to_string()));
        }
        Ok((*position, comment.clone()))
    };
    let json = |comment: &Comment| serde_json::to_value(comment).unwrap_or(Value::Null);
    Ok(match edit {
        CommentEdit::Add { author, text, parent, known } => {
            // Threads have one level: an answer to an answer joins its thread.
            let parent = parent.map(&find).transpose()?;
            let parent = parent.map(|(_, comment)| comment.parent_comment_id.unwrap_or(comment.id));
            let comment = Comment::new(&author, &text, parent, &known, now)?;
            let place = held.last().map_or(0, |(position, _)| position + 1);
            let row = CommentRow { before: None, after: Some((place, comment.clone())) };
            (CommentChange::Add(json(&comment)), comment, vec![row])
        }
        CommentEdit::Replace { author, comment, text, known } => {
            let (position, mut comment) = own(&author, comment)?;
            let before = Some((position, comment.clone()));
            comment.edit(&text, &known, now)?;
            let row = CommentRow { before, after: Some((position, comment.clone())) };
            (CommentChange::Replace(position, json(&comment)), comment, vec![row])
        }
        CommentEdit::Remove { author, comment } => {
            let (position, comment) = own(&author, comment)?;
            let answers = held.iter().filter(|(_, c)| c.parent_comment_id == Some(comment.id));
            let gone: Vec<(i64, Comment)> = answers.cloned().chain([(position, comment.clone())]).collect();
            let rows = gone.iter().map(|held| CommentRow { before: Some(held.clone()), after: None });
            let rows = rows.collect();
            (CommentChange::Remove(gone.iter().map(|(position, _)| *position).collect()), comment, rows)
        }
        CommentEdit::PutBack { author, rows, .. } => {
            check_put_back(&held, &rows, &author)?;
            let comment = rows.iter().find_map(CommentRow::comment).cloned();
            let comment =
                comment.ok_or_else(|| Fault::new(Code::Internal, "there is no comment to put back"))?;
            let turned =
                |row: &CommentRow| CommentRow { before: row.after.clone(), after: row.before.clone() };
            let logged = rows.iter().map(turned).collect();
            (CommentChange::PutBack(rows), comment, logged)
        }
    })
}
