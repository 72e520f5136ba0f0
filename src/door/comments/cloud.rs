//! Comments on records of bases that live in Airtable: they are Airtable's, and no copy is kept.
//! Airtable takes the owner of the login they are sent with for the author.

use tablewright_core::model::RecordId;
use tablewright_core::model::cell::parse_instant;
use tablewright_core::{Code, Fault};
use tablewright_engine::CommentEdit;
use tablewright_engine::comments::Comment;

use crate::call::Call;
use crate::view::TableView;

/// Most pages of comments that are read of one record; a page has a hundred.
const MAX_PAGES: usize = 50;
/// Comments of one moment that keep their order.
const PER_MOMENT: i64 = 1_024;

/// Comments, newest first, as the others of the door have them: oldest first, each with a place
/// that stays while others come and go.
fn placed(newest_first: Vec<Comment>) -> Vec<(i64, Comment)> {
    let (mut last, mut placed) = (i64::MIN, Vec::with_capacity(newest_first.len()));
    for comment in newest_first.into_iter().rev() {
        let made = comment.created_time.as_deref().and_then(parse_instant).unwrap_or_default();
        last = made.saturating_mul(PER_MOMENT).max(last.saturating_add(1));
        placed.push((last, comment));
    }
    placed
}

impl Call {
    pub(super) async fn comments_in_airtable(
        &mut self,
        view: &TableView,
        record: RecordId,
    ) -> Result<Vec<(i64, Comment)>, Fault> {
        let answer = self.read_comments(view, record).await;
        self.note_answer(&answer);
        answer.map(placed)
    }

    async fn read_comments(&self, view: &TableView, record: RecordId) -> Result<Vec<Comment>, Fault> {
        let (base, table) = (view.base().schema().id, view.schema().id.to_string());
        let (session, ask) = (self.session(base).await?, self.ask().await?);
        let (mut all, mut offset) = (Vec::new(), None::<String>);
        for _ in 0..MAX_PAGES {
            let page = session.list_comments(&ask, base, &table, record, offset.as_deref()).await?.value;
            all.extend(page.comments);
            offset = page.offset.filter(|offset| !offset.is_empty());
            if offset.is_none() {
                return Ok(all);
            }
        }
        let message = format!("record {record} has more than {} comments; read them in Airtable.", all.len());
        Err(Fault::new(Code::LimitExceeded, message))
    }

    /// Carries an edit out in Airtable; the comment, unless it is gone with it.
    pub(super) async fn comment_in_airtable(
        &mut self,
        view: &TableView,
        record: RecordId,
        edit: CommentEdit,
    ) -> Result<Option<Comment>, Fault> {
        let (base, table) = (view.base().schema().id, view.schema().id.to_string());
        let (session, ask) = (self.session(base).await?, self.ask().await?);
        let done = match edit {
            CommentEdit::Add { text, parent, .. } => {
                let made = session.create_comment(&ask, base, &table, record, &text, parent).await;
                made.map(|made| Some(made.value))
            }
            CommentEdit::Replace { comment, text, .. } => {
                let edited = session.update_comment(&ask, base, &table, record, comment, &text).await;
                edited.map(|edited| Some(edited.value))
            }
            CommentEdit::Remove { comment, .. } => {
                session.delete_comment(&ask, base, &table, record, comment).await.map(|_| None)
            }
            CommentEdit::PutBack { .. } => {
                let message = "comments in Airtable are not taken back.";
                return Err(Fault::new(Code::InvalidArguments, message));
            }
        };
        let done = done.map_err(Fault::from);
        self.note_answer(&done);
        done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_follow_the_time_and_stay() {
        let comment = |text: &str, at: &str| -> Comment {
            serde_json::from_value(serde_json::json!({"text": text, "createdTime": at})).unwrap()
        };
        let (early, late) = ("2026-03-01T09:00:00.000Z", "2026-03-01T09:00:01.000Z");
        let all = vec![comment("c", late), comment("b", early), comment("a", early)];
        let places = |all: &[(i64, Comment)]| -> Vec<(String, i64)> {
            all.iter().map(|(place, comment)| (comment.text.clone(), *place)).collect()
        };
        let shown = placed(all.clone());
        let texts: Vec<&str> = shown.iter().map(|(_, comment)| comment.text.as_str()).collect();
        assert_eq!(texts, ["a", "b", "c"]);
        assert!(shown.is_sorted_by_key(|(place, _)| *place));
        let newer = [&[comment("d", late)][..], &all].concat();
        assert_eq!(places(&placed(newer))[..3], places(&shown));
        assert!(shown[1].0 < shown[2].0);
    }
}
