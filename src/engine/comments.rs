//! Comments on records: who said what, in threads.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tablewright_core::model::cell::instant_text;
use tablewright_core::model::{CommentId, Person, UserId};
use tablewright_core::{Code, Fault};

/// Longest comment, in characters.
const MAX_TEXT: usize = 100_000;

/// A comment as the Web API gives it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Comment {
    /// Its id.
    #[serde(default = "CommentId::random")]
    pub id: CommentId,
    /// Who wrote it: id, email, name.
    #[serde(default)]
    pub author: Value,
    /// What was said; `@[usr…]` mentions somebody.
    #[serde(default)]
    pub text: String,
    /// When, in ISO form.
    #[serde(default)]
    pub created_time: Option<String>,
    /// When it was last edited; null when never.
    #[serde(default)]
    pub last_updated_time: Option<String>,
    /// The comment it answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_comment_id: Option<CommentId>,
    /// Who is mentioned in the text, by id.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub mentioned: Map<String, Value>,
    /// Reactions, attachments and what else a file has.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// A comment before and after a change, each with its place.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CommentRow {
    /// As it was; absent for a new one.
    pub before: Option<(i64, Comment)>,
    /// As it is; absent for one that is gone.
    pub after: Option<(i64, Comment)>,
}

impl CommentRow {
    /// Whichever there is; as it is now, if it is there.
    pub fn comment(&self) -> Option<&Comment> {
        self.after.as_ref().or(self.before.as_ref()).map(|(_, comment)| comment)
    }
}

/// Refuses unless each comment is as these changes left it, and this person wrote it.
pub fn check_put_back(held: &[(i64, Comment)], rows: &[CommentRow], by: &Person) -> Result<(), Fault> {
    for row in rows {
        let Some(comment) = row.comment() else { continue };
        let now = held.iter().find(|(_, now)| now.id == comment.id).map(|(_, now)| now);
        if now != row.after.as_ref().map(|(_, after)| after) {
            let message = format!("comment {} was changed since; nothing was taken back.", comment.id);
            return Err(Fault::new(Code::Conflict, message));
        }
        if !comment.is_by(by) {
            let message =
                format!("comment {} is somebody else's; only its author may change it.", comment.id);
            return Err(Fault::new(Code::Forbidden, message));
        }
    }
    Ok(())
}

impl Comment {
    /// A new comment.
    pub fn new(
        by: &Person,
        text: &str,
        parent: Option<CommentId>,
        known: &[Person],
        now: i64,
    ) -> Result<Self, Fault> {
        let mut comment = Self {
            id: CommentId::random(),
            author: by.to_json(),
            text: String::new(),
            created_time: Some(instant_text(now)),
            last_updated_time: None,
            parent_comment_id: parent,
            mentioned: Map::new(),
            other: Map::new(),
        };
        comment.say(text, known)?;
        Ok(comment)
    }

    /// Replaces the text, and with it who is mentioned.
    pub fn edit(&mut self, text: &str, known: &[Person], now: i64) -> Result<(), Fault> {
        self.say(text, known)?;
        self.last_updated_time = Some(instant_text(now));
        Ok(())
    }

    /// True when this person wrote it.
    pub fn is_by(&self, person: &Person) -> bool {
        self.author.get("id").and_then(Value::as_str) == Some(person.id.to_string().as_str())
    }

    fn say(&mut self, text: &str, known: &[Person]) -> Result<(), Fault> {
        if text.trim().is_empty() {
            return Err(Fault::new(Code::InvalidArguments, "text is empty; say something.").about("text"));
        }
        if text.chars().count() > MAX_TEXT {
            let message = format!("a comment has at most {MAX_TEXT} characters.");
            return Err(Fault::new(Code::LimitExceeded, message).about("text"));
        }
        text.clone_into(&mut self.text);
        self.mentioned = mentions(text)
            .filter_map(|id| known.iter().find(|person| person.id == id))
            .map(|person| {
                let shown = serde_json::json!({"type": "user", "id": person.id,
                    "displayName": person.name, "email": person.email});
                (person.id.to_string(), shown)
            })
            .collect();
        Ok(())
    }
}

/// The ids in `@[usr…]` marks.
fn mentions(text: &str) -> impl Iterator<Item = UserId> {
    text.split("@[").skip(1).filter_map(|rest| rest.split_once(']')?.0.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_mentioned_follows_the_text() {
        let (ada, bo) = (Person::of("token:ada"), Person::of("token:bo"));
        let known = [ada.clone(), bo.clone()];
        let text = format!("Hi @[{}], see @[usrXXXXXXXXXXXXXX] and @[{}", bo.id, ada.id);
        let mut comment = Comment::new(&ada, &text, None, &known, 0).unwrap();
        assert_eq!(comment.mentioned.keys().collect::<Vec<_>>(), [&bo.id.to_string()]);
        comment.edit("nobody", &known, 5).unwrap();
        assert!(comment.mentioned.is_empty() && comment.is_by(&ada) && !comment.is_by(&bo));
        assert!(comment.edit("  ", &known, 6).is_err());
        let shown = serde_json::to_value(&comment).unwrap();
        assert_eq!(shown["lastUpdatedTime"], "1970-01-01T00:00:00.005Z");
        assert!(shown.get("mentioned").is_none() && shown.get("parentCommentId").is_none());
    }
}
