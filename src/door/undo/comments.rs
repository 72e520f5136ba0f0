//! Taking changes of comments back, by their author, where nobody changed them since.

use std::collections::BTreeMap;

use tablewright_core::model::{BaseId, RecordId, TableId};
use tablewright_core::{Code, Fault};
use tablewright_engine::comments::{CommentRow, check_put_back};
use tablewright_engine::{CommentEdit, CommentPlace};

use super::{Entry, Undone, Wanted};
use crate::ChangeKind;
use crate::access::Need;
use crate::call::Call;
use crate::policy::file::Verb;
use crate::rehearsal::Step;

/// The comments of one record: before the first and after the last of the changes, and their numbers.
#[derive(Default)]
struct Folded {
    rows: Vec<CommentRow>,
    changes: Vec<i64>,
}

impl Folded {
    fn take(&mut self, row: CommentRow) {
        let same = |held: &&mut CommentRow| held.comment().map(|c| c.id) == row.comment().map(|c| c.id);
        match self.rows.iter_mut().find(same) {
            Some(held) => held.after = row.after,
            None => self.rows.push(row),
        }
    }
}

impl Call {
    pub(super) async fn undo_comments(
        &mut self,
        base: BaseId,
        wanted: &[Entry],
        mut undone: Undone,
    ) -> Result<Undone, Fault> {
        self.caller().rights.require(Need::WriteComments)?;
        let records = self.fold_comments(base, wanted).await?;
        let (author, view) = (self.caller().person(), self.held(base).await?);
        // All of them are looked at before one is changed.
        for ((table, record), folded) in &records {
            let view = view.table_by_id(*table)?;
            self.require_of_table(Verb::Comment, &view).await?;
            let held = self.placed_comments(&view, *record).await?;
            check_put_back(&held, &folded.rows, &author)?;
        }
        for ((table, record), Folded { rows, changes }) in records {
            undone.removed += rows.iter().filter(|row| row.before.is_none()).count();
            undone.restored += rows.iter().filter(|row| row.before.is_some()).count();
            let text = |side: &Option<(i64, tablewright_engine::comments::Comment)>| {
                side.as_ref().map(|(_, comment)| comment.text.clone())
            };
            for row in &rows {
                let (before, after) = (text(&row.after), text(&row.before));
                let step = Step::Comment { base, table, record, before, after };
                if !self.note_step(|| step.clone()) {
                    self.admit_step(step).await?;
                }
            }
            if self.rehearses() {
                continue;
            }
            let edit = CommentEdit::PutBack { author: author.clone(), rows, undoes: changes };
            let (by, audit) = (self.author(), self.audit_with_commit());
            self.engine().comment(CommentPlace { base, table, record }, edit, by, audit).await?;
        }
        if !self.rehearses() {
            let mine = Wanted { call: Some(self.author().call.to_string()), ..Wanted::default() };
            let (newest, _) = self.journal(&mine, 1).await?;
            undone.change = newest.first().map(|entry| entry.change.seq);
        }
        Ok(undone)
    }

    async fn fold_comments(
        &self,
        base: BaseId,
        wanted: &[Entry],
    ) -> Result<BTreeMap<(TableId, RecordId), Folded>, Fault> {
        let bad = |message: String| Fault::new(Code::InvalidArguments, message);
        if self.is_cloud(base) {
            return Err(bad("comments in Airtable are not taken back; leave those changes out.".to_owned()));
        }
        let mut records: BTreeMap<(TableId, RecordId), Folded> = BTreeMap::new();
        for entry in wanted {
            let seq = entry.change.seq;
            if entry.change.kind != ChangeKind::Comments {
                return Err(bad(format!(
                    "change {seq} is not about comments; comments are taken back by themselves."
                )));
            }
            let rows = self.engine().store().comments_changed(seq).await.map_err(Fault::from)?;
            let rows = rows.ok_or_else(|| {
                bad(format!("change {seq} is from before comments could be taken back; leave it out."))
            })?;
            let place = entry.change.tables.first().and_then(|t| Some((t.table, t.rows.first()?.id)));
            let Some(place) = place else { continue };
            let folded = records.entry(place).or_default();
            rows.into_iter().for_each(|row| folded.take(row));
            folded.changes.push(seq);
        }
        for folded in records.values_mut() {
            folded.rows.retain(|row| row.before.is_some() || row.after.is_some());
        }
        records.retain(|_, folded| !folded.rows.is_empty());
        Ok(records)
    }
}
