//! Comments on records.

use std::collections::HashMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tablewright_core::model::{CommentId, Person, UserId};
use tablewright_core::{Code, Fault};
use tablewright_engine::base::query::After;
use tablewright_engine::comments::Comment;
use tablewright_toolkit::Answer;
use tablewright_toolkit::arguments::schema_of;
use tablewright_toolkit::registry::{CallContext, Tool};
use tablewright_toolkit::text;

use crate::cursor;
use crate::design::some;
use crate::records::{checked_limit, record_id};
use crate::rows::{About, Format, Rows};

/// `list_comments`
pub struct ListComments;

/// Arguments of `list_comments`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListArgs {
    /// Name, id or URL.
    base: String,
    /// Name, id or URL.
    table: String,
    /// Record id or URL.
    record: String,
    /// Comments per page, 100 by default.
    #[schemars(range(min = 1, max = 1000))]
    limit: Option<usize>,
    /// From the page before; keep the other arguments.
    cursor: Option<String>,
    /// "tsv" cuts long texts, "json" does not.
    format: Option<Format>,
}

impl Tool for ListComments {
    const NAME: &'static str = "list_comments";
    type Args = ListArgs;

    async fn run(context: &mut CallContext, args: ListArgs) -> Result<Answer, Fault> {
        let view = context.call.table(&args.base, &args.table).await?;
        let record = record_id(&args.record)?;
        let limit = checked_limit(context, args.limit)?;
        let query = json!(["comments", view.schema().id, record]).to_string();
        let after = args.cursor.as_deref().map(|text| cursor::decode(text, &query)).transpose()?;
        let all = context.call.placed_comments(&view, record).await?;
        let is_next = |place: i64| after.is_none_or(|after| place < after.position);
        let left: Vec<&(i64, Comment)> = all.iter().rev().filter(|(place, _)| is_next(*place)).collect();
        let format = args.format.unwrap_or_default();
        let mut rows = Rows::of(context, format, "comments");
        rows.header(["reply_to", "author", "created", "edited", "text"].iter());
        let add = |(_, comment): &&&(i64, Comment)| match format {
            Format::Tsv => rows.line(&cells(comment).each_ref().map(String::as_str)),
            Format::Json => rows.record(object(comment)),
        };
        let returned = left.iter().take(limit).take_while(add).count();
        let mut about = About::live(view.base(), returned, all.len());
        if let Some((place, _)) = left.get(returned.saturating_sub(1)).filter(|_| returned < left.len()) {
            let next = After { offset: 0, position: *place, version: 0 };
            about.cursor = Some(cursor::encode(next, &query));
        }
        Ok(rows.finish(context, about))
    }
}

fn author(comment: &Comment) -> &str {
    comment.author.get("name").and_then(Value::as_str).unwrap_or_default()
}

/// A comment as a row: mentions by name.
fn cells(comment: &Comment) -> [String; 6] {
    let mut said = comment.text.clone();
    for (id, person) in &comment.mentioned {
        if let Some(name) = person.get("displayName").and_then(Value::as_str) {
            said = said.replace(&format!("@[{id}]"), &format!("@[{name}]"));
        }
    }
    [
        comment.id.to_string(),
        comment.parent_comment_id.map_or_else(String::new, |id| id.to_string()),
        author(comment).to_owned(),
        comment.created_time.clone().unwrap_or_default(),
        comment.last_updated_time.clone().unwrap_or_default(),
        said,
    ]
}

/// A comment as JSON: its text as it was written.
fn object(comment: &Comment) -> Value {
    let mut shown = json!({"id": comment.id, "author": author(comment), "created": comment.created_time,
        "text": comment.text});
    if let Some(parent) = comment.parent_comment_id {
        shown["reply_to"] = json!(parent);
    }
    if let Some(edited) = &comment.last_updated_time {
        shown["edited"] = json!(edited);
    }
    if !comment.mentioned.is_empty() {
        let named = |(id, person): (&String, &Value)| (id.clone(), person["displayName"].clone());
        shown["mentioned"] = comment.mentioned.iter().map(named).collect::<Map<_, _>>().into();
    }
    shown
}

/// `add_comment`
pub struct AddComment;

/// Arguments of `add_comment`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AddArgs {
    /// Name, id or URL.
    base: String,
    /// Name, id or URL.
    table: String,
    /// Record id or URL.
    record: String,
    text: String,
    /// The id of the comment it answers.
    reply_to: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Added {
    id: String,
    /// The first comment of its thread.
    #[serde(skip_serializing_if = "Option::is_none")]
    reply_to: Option<String>,
    /// The names of those who are mentioned.
    #[serde(skip_serializing_if = "Option::is_none")]
    mentioned: Option<Vec<String>>,
    /// Marks that name nobody; they stayed text.
    #[serde(skip_serializing_if = "Option::is_none")]
    not_known: Option<Vec<String>>,
}

impl Tool for AddComment {
    const NAME: &'static str = "add_comment";
    type Args = AddArgs;

    fn output_schema() -> Option<Map<String, Value>> {
        Some(schema_of::<Added>())
    }

    async fn run(context: &mut CallContext, args: AddArgs) -> Result<Answer, Fault> {
        let view = context.call.table(&args.base, &args.table).await?;
        let record = record_id(&args.record)?;
        let parent = args.reply_to.as_deref().map(comment_id).transpose()?;
        let people = context.call.people_of(&view);
        let (said, mut not_known) = mention(&text::accept(&args.text)?, &people)?;
        let made = context.call.add_comment(&view, record, said, parent).await?;
        // Airtable may know whom we do not.
        not_known.retain(|mark| !made.mentioned.contains_key(mark));
        let name = |person: &Value| person.get("displayName").and_then(Value::as_str).map(str::to_owned);
        let added = Added {
            id: made.id.to_string(),
            reply_to: made.parent_comment_id.map(|id| id.to_string()),
            mentioned: some(made.mentioned.values().filter_map(name).collect()),
            not_known: some(not_known),
        };
        Ok(Answer::Structured(serde_json::to_value(added).unwrap_or_default()))
    }
}

fn comment_id(text: &str) -> Result<CommentId, Fault> {
    text.trim().parse().map_err(|_| {
        let shown: String = text.chars().take(60).collect();
        let message = format!(
            "{shown:?} is no comment id: send \"com\" and 14 letters or digits, as list_comments shows them."
        );
        Fault::new(Code::InvalidArguments, message)
    })
}

/// Marks that are told apart in an answer.
const MAX_MARKS: usize = 20;

/// The text with people by id in its `@[…]` marks, and the marks that name nobody. A name that
/// two people have is refused.
fn mention(said: &str, people: &[Person]) -> Result<(String, Vec<String>), Fault> {
    let mut named: HashMap<String, Vec<UserId>> = HashMap::new();
    for person in people {
        named.entry(person.name.to_lowercase()).or_default().push(person.id);
    }
    let (mut out, mut unknown) = (String::with_capacity(said.len()), Vec::new());
    let mut rest = said;
    while let Some((before, after)) = rest.split_once("@[") {
        out.push_str(before);
        out.push_str("@[");
        rest = after;
        let Some((name, _)) = after.split_once(']') else { continue };
        match named.get(&name.trim().to_lowercase()).map(Vec::as_slice) {
            Some([id]) => {
                id.push_to(&mut out);
                rest = &after[name.len()..];
            }
            Some(several) => {
                let ids: Vec<String> = several.iter().map(|id| format!("@[{id}]")).collect();
                let message = format!(
                    "{} people are called {name:?}; mention one by id: {}.",
                    ids.len(),
                    ids.join(", ")
                );
                return Err(Fault::new(Code::Ambiguous, message));
            }
            None if people.iter().any(|person| name.parse() == Ok(person.id)) => {}
            None if unknown.len() < MAX_MARKS => unknown.push(name.chars().take(80).collect()),
            None => {}
        }
    }
    out.push_str(rest);
    Ok((out, unknown))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_marks_become_ids_and_others_stay() {
        let (ada, bo) = (Person::of("token:Ada"), Person::of("token:bo"));
        let text = format!("@[ada] and @[ BO ], @[{}] @[nobody] @[", ada.id);
        let (said, unknown) = mention(&text, &[ada.clone(), bo.clone()]).unwrap();
        assert_eq!(said, format!("@[{}] and @[{}], @[{}] @[nobody] @[", ada.id, bo.id, ada.id));
        assert_eq!(unknown, ["nobody"]);
        let twins = [Person::of("local"), Person::of("token:local")];
        let fault = mention("@[local]", &twins).unwrap_err();
        assert!(fault.message.contains(&twins[1].id.to_string()), "{fault}");
    }
}
