//! Comments on records.

use reqwest::Method;
use serde::Deserialize;
use serde_json::json;
use tablewright_core::model::{BaseId, CommentId, RecordId};

use super::send::{Repeat, Request};
use super::{Answer, Ask, Error, Session};
use crate::comments::Comment;

const READ: &str = "data.recordComments:read";
const WRITE: &str = "data.recordComments:write";

/// One page of the comments of a record, newest first.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct CommentPage {
    /// The comments.
    pub comments: Vec<Comment>,
    /// Where the next page starts; none after the last.
    #[serde(default)]
    pub offset: Option<String>,
}

impl Session {
    fn comments_url(
        &self,
        base: BaseId,
        table: &str,
        record: RecordId,
        comment: Option<CommentId>,
    ) -> Result<url::Url, Error> {
        let (base, record) = (base.to_string(), record.to_string());
        let comment = comment.map(|id| id.to_string());
        let mut parts = vec![base.as_str(), table, record.as_str(), "comments"];
        parts.extend(comment.as_deref());
        self.airtable.shared.url(&parts)
    }

    /// One page of the comments of a record.
    pub async fn list_comments(
        &self,
        ask: &Ask,
        base: BaseId,
        table: &str,
        record: RecordId,
        offset: Option<&str>,
    ) -> Result<Answer<CommentPage>, Error> {
        let mut url = self.comments_url(base, table, record, None)?;
        url.query_pairs_mut().append_pair("pageSize", "100").extend_pairs(offset.map(|o| ("offset", o)));
        self.call(None, ask, &Request::get(url, Some(base), READ)).await
    }

    /// Comments on a record, or answers a comment.
    pub async fn create_comment(
        &self,
        ask: &Ask,
        base: BaseId,
        table: &str,
        record: RecordId,
        text: &str,
        parent: Option<CommentId>,
    ) -> Result<Answer<Comment>, Error> {
        let url = self.comments_url(base, table, record, None)?;
        let mut body = json!({ "text": text });
        if let Some(parent) = parent {
            body["parentCommentId"] = json!(parent);
        }
        let request = Request::json(Method::POST, url, Some(base), Repeat::Never, WRITE, &body)?;
        self.call(None, ask, &request).await
    }

    /// Changes what a comment says.
    pub async fn update_comment(
        &self,
        ask: &Ask,
        base: BaseId,
        table: &str,
        record: RecordId,
        comment: CommentId,
        text: &str,
    ) -> Result<Answer<Comment>, Error> {
        let url = self.comments_url(base, table, record, Some(comment))?;
        let body = json!({ "text": text });
        let request = Request::json(Method::PATCH, url, Some(base), Repeat::Freely, WRITE, &body)?;
        self.call(None, ask, &request).await
    }

    /// Deletes a comment.
    pub async fn delete_comment(
        &self,
        ask: &Ask,
        base: BaseId,
        table: &str,
        record: RecordId,
        comment: CommentId,
    ) -> Result<Answer<()>, Error> {
        let url = self.comments_url(base, table, record, Some(comment))?;
        let request = Request::delete(url, Some(base), WRITE);
        self.delete_one(ask, &request).await
    }
}
