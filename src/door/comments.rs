//! Reading and writing comments on records.

mod cloud;

use std::collections::HashMap;

use tablewright_core::model::{CommentId, Person, RecordId};
use tablewright_core::{Code, Fault};
use tablewright_engine::comments::Comment;
use tablewright_engine::{CommentEdit, CommentPlace};

use crate::access::Need;
use crate::call::Call;
use crate::people;
use crate::policy::file::Verb;
use crate::rehearsal::Step;
use crate::view::TableView;

impl Call {
    /// The comments on a record, oldest first.
    pub async fn comments(&mut self, view: &TableView, record: RecordId) -> Result<Vec<Comment>, Fault> {
        let placed = self.placed_comments(view, record).await?;
        Ok(placed.into_iter().map(|(_, comment)| comment).collect())
    }

    /// The comments on a record, oldest first, each with its place, which stays while others come
    /// and go.
    pub async fn placed_comments(
        &mut self,
        view: &TableView,
        record: RecordId,
    ) -> Result<Vec<(i64, Comment)>, Fault> {
        self.caller().rights.require(Need::ReadComments)?;
        self.require_there(view, record).await?;
        if view.base().is_cloud() {
            return self.comments_in_airtable(view, record).await;
        }
        let base = view.base().schema().id;
        let held = self.engine().store().comments_of(base, record).await.map_err(Fault::from)?;
        Ok(held.into_iter().filter_map(|(at, body)| Some((at, serde_json::from_value(body).ok()?))).collect())
    }

    /// How many comments each of these records has; records without any are left out.
    pub async fn comment_counts(
        &mut self,
        view: &TableView,
        records: &[RecordId],
    ) -> Result<HashMap<RecordId, u64>, Fault> {
        self.caller().rights.require(Need::ReadComments)?;
        if view.base().is_cloud() {
            let message = "only Airtable knows how many comments records have; list_comments reads those of one record.";
            return Err(Fault::new(Code::NotReady, message));
        }
        let base = view.base().schema().id;
        let counts = self.engine().store().comment_counts(base, records).await.map_err(Fault::from)?;
        Ok(counts.into_iter().map(|(id, count)| (id, count.unsigned_abs())).collect())
    }

    /// Says something about a record, or answers a comment on it.
    pub async fn add_comment(
        &mut self,
        view: &TableView,
        record: RecordId,
        text: String,
        parent: Option<CommentId>,
    ) -> Result<Comment, Fault> {
        let (author, known) = (self.caller().person(), self.people());
        let edit = CommentEdit::Add { author, text, parent, known };
        self.write_comment(view, record, edit).await?.ok_or_else(lost)
    }

    /// Replaces the text of the caller's own comment.
    pub async fn edit_comment(
        &mut self,
        view: &TableView,
        record: RecordId,
        comment: CommentId,
        text: String,
    ) -> Result<Comment, Fault> {
        let (author, known) = (self.caller().person(), self.people());
        let edit = CommentEdit::Replace { author, comment, text, known };
        self.write_comment(view, record, edit).await?.ok_or_else(lost)
    }

    /// Takes back the caller's own comment, with the answers to it.
    pub async fn delete_comment(
        &mut self,
        view: &TableView,
        record: RecordId,
        comment: CommentId,
    ) -> Result<(), Fault> {
        let author = self.caller().person();
        self.write_comment(view, record, CommentEdit::Remove { author, comment }).await.map(drop)
    }

    /// Everybody who can be mentioned: the local user, the holders of tokens in force that are nobody's
    /// else, and the members of workspaces; for a member those of their own workspaces.
    pub fn people(&self) -> Vec<Person> {
        let (tokens, member) = (self.policies().tokens().list(), self.caller().member.as_deref());
        let named = tokens.iter().filter(|token| token.revoked_at.is_none() && token.owner.is_none());
        let others = named.map(|token| Person::of(&format!("token:{}", token.name)));
        let members = self.policies().directory().members().into_iter();
        let members = members.filter(|other| member.is_none_or(|member| member.meets(other)));
        [Person::of("local")].into_iter().chain(others).chain(members.map(|other| other.person())).collect()
    }

    /// Everybody who can be mentioned on a record of a table. In Airtable that is whoever may use
    /// the base; known here are those in the cells of the table.
    pub fn people_of(&self, view: &TableView) -> Vec<Person> {
        if view.base().is_cloud() { people::within(view) } else { self.people() }
    }

    /// Refuses a record that is not there for the caller. One in Airtable may be there before its
    /// copy is; where a policy hides records, only what is in the copy can be told from them.
    async fn require_there(&self, view: &TableView, record: RecordId) -> Result<(), Fault> {
        let base = view.base();
        if base.is_cloud() && !self.sees_part_of(base.schema().id).await? {
            return Ok(());
        }
        must_be_there(view, record)
    }

    /// What an edit would do, and the comment as it would be.
    async fn comment_step(
        &mut self,
        view: &TableView,
        record: RecordId,
        edit: &CommentEdit,
    ) -> Result<(Step, Option<Comment>), Fault> {
        let now = self.now();
        let held = match edit {
            CommentEdit::Add { .. } | CommentEdit::PutBack { .. } => None,
            CommentEdit::Replace { comment, .. } | CommentEdit::Remove { comment, .. } => {
                let all = self.comments(view, record).await?;
                all.into_iter().find(|held| held.id == *comment)
            }
        };
        let before = held.as_ref().map(|comment| comment.text.clone());
        let after = match edit {
            CommentEdit::Add { author, text, parent, known } => {
                Some(Comment::new(author, text, *parent, known, now)?)
            }
            CommentEdit::Replace { text, known, .. } => {
                let mut edited = held;
                if let Some(comment) = &mut edited {
                    comment.edit(text, known, now)?;
                }
                edited
            }
            CommentEdit::Remove { .. } | CommentEdit::PutBack { .. } => None,
        };
        let (base, table) = (view.base().schema().id, view.schema().id);
        let text = after.as_ref().map(|comment| comment.text.clone());
        Ok((Step::Comment { base, table, record, before, after: text }, after))
    }

    async fn write_comment(
        &mut self,
        view: &TableView,
        record: RecordId,
        edit: CommentEdit,
    ) -> Result<Option<Comment>, Fault> {
        self.caller().rights.require(Need::WriteComments)?;
        self.require_of_table(Verb::Comment, view).await?;
        self.require_there(view, record).await?;
        let (step, as_it_would_be) = self.comment_step(view, record, &edit).await?;
        if self.note_step(|| step.clone()) {
            return Ok(as_it_would_be);
        }
        self.admit_step(step).await?;
        if view.base().is_cloud() {
            return self.comment_in_airtable(view, record, edit).await;
        }
        let at = CommentPlace { base: view.base().schema().id, table: view.schema().id, record };
        let (by, audit) = (self.author(), self.audit_with_commit());
        self.engine().comment(at, edit, by, audit).await.map(Some)
    }
}

fn lost() -> Fault {
    Fault::new(Code::Internal, "the comment that was just written is not there")
}

fn must_be_there(view: &TableView, record: RecordId) -> Result<(), Fault> {
    if view.slot(&record).is_some() {
        return Ok(());
    }
    let message = format!("table {:?} has no record {record}.", view.schema().name);
    Err(Fault::new(Code::UnknownRecord, message).about(record.to_string()))
}
