//! Comments of records.

use serde_json::{Map, Value, json};
use tablewright_core::model::id::{CommentId, CommentKind};
use tablewright_core::model::{BaseId, RecordId};
use tablewright_door::access::Need;
use tablewright_door::{Call, TableView};

use super::Gateway;
use super::list::{require, table};
use super::offset::{Lost, Place};
use super::params::{MAX_PAGE, unknown_key, wrong};
use super::query::{Pairs, number, unknown};
use super::refusal::{Refusal, While};

/// The table of a record that is there.
async fn record(call: &mut Call, base: BaseId, wanted: &str, record: RecordId) -> Result<TableView, Refusal> {
    let view = table(call, base, wanted).await?;
    match view.slot(&record) {
        Some(_) => Ok(view),
        None => Err(Refusal::no_record()),
    }
}

/// The keys of a body: the text, and the comment it answers.
fn keys(body: Map<String, Value>, answers: bool) -> Result<(String, Option<CommentId>), Refusal> {
    let (mut text, mut parent) = (None, None);
    for (key, value) in body {
        match (key.as_str(), value) {
            ("text", Value::String(given)) => text = Some(given),
            ("text", _) => return Err(wrong("text", "a text")),
            ("parentCommentId", Value::Null) if answers => {}
            ("parentCommentId", value) if answers => {
                let id = value.as_str().and_then(|id| id.parse().ok());
                parent = Some(id.ok_or_else(|| wrong("parentCommentId", "the id of a comment"))?);
            }
            (key, _) => return Err(unknown_key(key)),
        }
    }
    Ok((text.ok_or_else(|| Refusal::missing("text"))?, parent))
}

/// `GET /{base}/{table}/{record}/comments`: newest first.
pub(super) async fn list(
    gateway: &Gateway,
    call: &mut Call,
    base: BaseId,
    wanted: &str,
    id: RecordId,
    pairs: &Pairs,
) -> Result<String, Refusal> {
    let (mut page_size, mut offset) = (MAX_PAGE, None);
    for (key, value) in pairs.iter() {
        let key = key?;
        match key.name {
            "pageSize" if key.is("pageSize") => page_size = number("pageSize", value, 1..=MAX_PAGE)?,
            "offset" if key.is("offset") => offset = (!value.is_empty()).then_some(value),
            name => return Err(unknown(name)),
        }
    }
    require(call, Need::ReadComments)?;
    let view = record(call, base, wanted, id).await?;
    let now = call.now();
    let query = gateway.offsets.digest(&("comments", base, view.schema().id, id));
    let last = offset.map(|text| {
        gateway.offsets.read::<CommentKind>(text, query, now).map_err(|lost| match lost {
            Lost::Garbage => Refusal::offset(text),
            Lost::Gone => Refusal::iterator(),
        })
    });
    let before = match last.transpose()? {
        None => i64::MAX,
        Some(Place::After { position, .. }) => position,
        Some(Place::Kept { .. }) => return Err(Refusal::iterator()),
    };
    let placed = call.placed_comments(&view, id).await;
    let mut left = placed.map_err(|fault| Refusal::of(&fault, While::Reading))?;
    left.retain(|(at, _)| *at < before);
    left.reverse();
    let more = left.len() > page_size as usize;
    left.truncate(page_size as usize);
    let last = left.last().filter(|_| more).map(|(at, _)| Place::After { position: *at, returned: 0 });
    let offset = last.map(|place| gateway.offsets.write::<CommentKind>(place, query, now));
    let page: Vec<_> = left.into_iter().map(|(_, comment)| comment).collect();
    Ok(json!({ "comments": page, "offset": offset }).to_string())
}

/// `POST /{base}/{table}/{record}/comments`
pub(super) async fn add(
    call: &mut Call,
    base: BaseId,
    wanted: &str,
    id: RecordId,
    body: Map<String, Value>,
) -> Result<String, Refusal> {
    let (text, parent) = keys(body, true)?;
    require(call, Need::WriteComments)?;
    let view = record(call, base, wanted, id).await?;
    let added = call.add_comment(&view, id, text, parent).await;
    added.map(|comment| json!(comment).to_string()).map_err(|fault| Refusal::of(&fault, While::ChangingOne))
}

/// `PATCH /{base}/{table}/{record}/comments/{comment}`
pub(super) async fn edit(
    call: &mut Call,
    base: BaseId,
    wanted: &str,
    id: RecordId,
    comment: CommentId,
    body: Map<String, Value>,
) -> Result<String, Refusal> {
    let (text, _) = keys(body, false)?;
    require(call, Need::WriteComments)?;
    let view = record(call, base, wanted, id).await?;
    let edited = call.edit_comment(&view, id, comment, text).await;
    edited.map(|comment| json!(comment).to_string()).map_err(|fault| Refusal::of(&fault, While::ChangingOne))
}

/// `DELETE /{base}/{table}/{record}/comments/{comment}`
pub(super) async fn delete(
    call: &mut Call,
    base: BaseId,
    wanted: &str,
    id: RecordId,
    comment: CommentId,
) -> Result<String, Refusal> {
    require(call, Need::WriteComments)?;
    let view = record(call, base, wanted, id).await?;
    let deleted = call.delete_comment(&view, id, comment).await;
    deleted.map_err(|fault| Refusal::of(&fault, While::ChangingOne))?;
    Ok(json!({ "id": comment, "deleted": true }).to_string())
}
