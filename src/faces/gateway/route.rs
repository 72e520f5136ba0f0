//! Which endpoint a path names.
//!
//! The path is split before it is decoded: a table's name may hold `%2F`. A trailing slash means
//! nothing. What has no endpoint, or an id without the shape of one, has no route.

use axum::http::Method;
use percent_encoding::percent_decode_str;
use tablewright_core::model::id::CommentId;
use tablewright_core::model::{BaseId, FieldId, RecordId, ViewId};

use super::webhooks::Ask;

/// What is asked for. Tables and fields are named as the path names them: by id or name.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Route {
    /// `GET /meta/whoami`
    WhoAmI,
    /// `GET /meta/bases`
    ListBases,
    /// `POST /meta/bases`
    CreateBase,
    /// `GET /meta/bases/{base}`
    GetBase(BaseId),
    /// `DELETE /meta/bases/{base}`
    DeleteBase(BaseId),
    /// `GET /meta/bases/{base}/tables`
    ListTables(BaseId),
    /// `POST /meta/bases/{base}/tables`
    CreateTable(BaseId),
    /// `PATCH /meta/bases/{base}/tables/{table}`
    UpdateTable(BaseId, String),
    /// `POST /meta/bases/{base}/tables/{table}/fields`
    CreateField(BaseId, String),
    /// `PATCH /meta/bases/{base}/tables/{table}/fields/{field}`
    UpdateField(BaseId, String, FieldId),
    /// `GET /meta/bases/{base}/views`
    ListViews(BaseId),
    /// `GET /meta/bases/{base}/views/{view}`
    GetView(BaseId, ViewId),
    /// `DELETE /meta/bases/{base}/views/{view}`
    DeleteView(BaseId, ViewId),
    /// `/bases/{base}/webhooks` and what is under it
    Webhooks(BaseId, Ask),
    /// `GET /{base}/{table}`
    ListRecords(BaseId, String),
    /// `POST /{base}/{table}/listRecords`
    ListByPost(BaseId, String),
    /// `GET /{base}/{table}/{record}`
    GetRecord(BaseId, String, RecordId),
    /// `POST /{base}/{table}`
    CreateRecords(BaseId, String),
    /// `PATCH` (or `PUT`, when the last is true) `/{base}/{table}`
    UpdateRecords(BaseId, String, bool),
    /// `PATCH` (or `PUT`, when the last is true) `/{base}/{table}/{record}`
    UpdateRecord(BaseId, String, RecordId, bool),
    /// `DELETE /{base}/{table}`
    DeleteRecords(BaseId, String),
    /// `DELETE /{base}/{table}/{record}`
    DeleteRecord(BaseId, String, RecordId),
    /// `POST /{base}/{record}/{field}/uploadAttachment`
    Upload(BaseId, RecordId, String),
    /// `GET /{base}/{table}/{record}/comments`
    ListComments(BaseId, String, RecordId),
    /// `POST /{base}/{table}/{record}/comments`
    AddComment(BaseId, String, RecordId),
    /// `PATCH /{base}/{table}/{record}/comments/{comment}`
    EditComment(BaseId, String, RecordId, CommentId),
    /// `DELETE /{base}/{table}/{record}/comments/{comment}`
    DeleteComment(BaseId, String, RecordId, CommentId),
    /// `POST /{base}/{table}/sync/{id}`
    SyncCsv(BaseId, String),
    /// Anything else about a base
    Other(BaseId),
}

impl Route {
    /// The base it is about, for limits kept by base.
    pub(super) fn base(&self) -> Option<BaseId> {
        match self {
            Self::WhoAmI | Self::ListBases | Self::CreateBase => None,
            Self::GetBase(base)
            | Self::DeleteBase(base)
            | Self::ListTables(base)
            | Self::CreateTable(base)
            | Self::UpdateTable(base, _)
            | Self::CreateField(base, _)
            | Self::UpdateField(base, ..)
            | Self::ListViews(base)
            | Self::GetView(base, _)
            | Self::DeleteView(base, _)
            | Self::Webhooks(base, _)
            | Self::ListRecords(base, _)
            | Self::ListByPost(base, _)
            | Self::GetRecord(base, ..)
            | Self::CreateRecords(base, _)
            | Self::UpdateRecords(base, ..)
            | Self::UpdateRecord(base, ..)
            | Self::DeleteRecords(base, _)
            | Self::DeleteRecord(base, ..)
            | Self::Upload(base, ..)
            | Self::ListComments(base, ..)
            | Self::AddComment(base, ..)
            | Self::EditComment(base, ..)
            | Self::DeleteComment(base, ..)
            | Self::SyncCsv(base, _)
            | Self::Other(base) => Some(*base),
        }
    }

    /// What the audit log calls it.
    pub(super) fn action(&self) -> &'static str {
        match self {
            Self::WhoAmI => "who_am_i",
            Self::ListBases => "list_bases",
            Self::CreateBase => "create_base",
            Self::GetBase(_) => "get_base",
            Self::DeleteBase(_) => "delete_base",
            Self::ListTables(_) => "list_tables",
            Self::CreateTable(_) => "create_table",
            Self::UpdateTable(..) => "update_table",
            Self::CreateField(..) => "create_field",
            Self::UpdateField(..) => "update_field",
            Self::ListViews(_) => "list_views",
            Self::GetView(..) => "get_view",
            Self::DeleteView(..) => "delete_view",
            Self::Webhooks(_, ask) => ask.action(),
            Self::ListRecords(..) | Self::ListByPost(..) => "list_records",
            Self::GetRecord(..) => "get_record",
            Self::CreateRecords(..) => "create_records",
            Self::UpdateRecords(..) | Self::UpdateRecord(..) => "update_records",
            Self::DeleteRecords(..) | Self::DeleteRecord(..) => "delete_records",
            Self::Upload(..) => "upload_attachment",
            Self::ListComments(..) => "list_comments",
            Self::AddComment(..) => "add_comment",
            Self::EditComment(..) => "edit_comment",
            Self::DeleteComment(..) => "delete_comment",
            Self::SyncCsv(..) => "sync_csv",
            Self::Other(_) => "pass_on",
        }
    }

    /// True when it reads records or schemas.
    pub(super) fn is_read(&self) -> bool {
        matches!(
            self,
            Self::ListRecords(..)
                | Self::ListByPost(..)
                | Self::GetRecord(..)
                | Self::GetBase(_)
                | Self::ListTables(_)
                | Self::ListViews(_)
                | Self::GetView(..)
        )
    }

    /// The endpoint of a method and a path that starts with `/v0`; `None` for what is about no base
    /// and is no endpoint.
    pub(super) fn of(method: &Method, path: &str) -> Option<Self> {
        let rest = path.strip_prefix("/v0/")?;
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        Self::known(method, rest).or_else(|| {
            let (first, behind) = rest.split_once('/').unwrap_or((rest, ""));
            let base = match (first, behind.split_once('/').unwrap_or((behind, ""))) {
                ("meta", ("bases", behind)) => behind.split('/').next()?,
                ("bases", (base, _)) => base,
                _ => first,
            };
            base.parse().ok().map(Self::Other)
        })
    }

    fn known(method: &Method, rest: &str) -> Option<Self> {
        let mut parts: [&str; MAX_PARTS] = [""; MAX_PARTS];
        let mut count = 0;
        for part in rest.split('/') {
            *parts.get_mut(count)? = part;
            count += 1;
        }
        match parts.get(..count)? {
            ["meta", rest @ ..] => meta(method, rest),
            ["bases", base, "webhooks", rest @ ..] => {
                Some(Self::Webhooks(base.parse().ok()?, Ask::of(method, rest)?))
            }
            [base, rest @ ..] => records(method, base.parse().ok()?, rest),
            [] => None,
        }
    }
}

/// Parts of the longest path: `meta/bases/{base}/tables/{table}/fields/{field}`.
const MAX_PARTS: usize = 7;

/// A name as it was before it went into the path. Empty ones and what is no UTF-8 name nothing.
fn name(part: &str) -> Option<String> {
    let decoded = percent_decode_str(part).decode_utf8().ok()?;
    (!decoded.is_empty()).then(|| decoded.into_owned())
}

fn meta(method: &Method, parts: &[&str]) -> Option<Route> {
    Some(match (method.as_str(), parts) {
        ("GET", ["whoami"]) => Route::WhoAmI,
        ("GET", ["bases"]) => Route::ListBases,
        ("POST", ["bases"]) => Route::CreateBase,
        ("GET", ["bases", base]) => Route::GetBase(base.parse().ok()?),
        ("DELETE", ["bases", base]) => Route::DeleteBase(base.parse().ok()?),
        ("GET", ["bases", base, "tables"]) => Route::ListTables(base.parse().ok()?),
        ("POST", ["bases", base, "tables"]) => Route::CreateTable(base.parse().ok()?),
        ("PATCH", ["bases", base, "tables", table]) => Route::UpdateTable(base.parse().ok()?, name(table)?),
        ("POST", ["bases", base, "tables", table, "fields"]) => {
            Route::CreateField(base.parse().ok()?, name(table)?)
        }
        ("PATCH", ["bases", base, "tables", table, "fields", field]) => {
            Route::UpdateField(base.parse().ok()?, name(table)?, field.parse().ok()?)
        }
        ("GET", ["bases", base, "views"]) => Route::ListViews(base.parse().ok()?),
        ("GET", ["bases", base, "views", view]) => Route::GetView(base.parse().ok()?, view.parse().ok()?),
        ("DELETE", ["bases", base, "views", view]) => {
            Route::DeleteView(base.parse().ok()?, view.parse().ok()?)
        }
        _ => return None,
    })
}

fn records(method: &Method, base: BaseId, parts: &[&str]) -> Option<Route> {
    let [table, parts @ ..] = parts else { return None };
    let table = name(table)?;
    Some(match (method.as_str(), parts) {
        ("GET", []) => Route::ListRecords(base, table),
        ("POST", []) => Route::CreateRecords(base, table),
        ("PATCH", []) => Route::UpdateRecords(base, table, false),
        ("PUT", []) => Route::UpdateRecords(base, table, true),
        ("DELETE", []) => Route::DeleteRecords(base, table),
        ("POST", ["listRecords"]) => Route::ListByPost(base, table),
        ("GET", [record]) => Route::GetRecord(base, table, record.parse().ok()?),
        ("PATCH", [record]) => Route::UpdateRecord(base, table, record.parse().ok()?, false),
        ("PUT", [record]) => Route::UpdateRecord(base, table, record.parse().ok()?, true),
        ("DELETE", [record]) => Route::DeleteRecord(base, table, record.parse().ok()?),
        ("POST", [field, "uploadAttachment"]) => Route::Upload(base, table.parse().ok()?, name(field)?),
        ("POST", ["sync", id]) if name(id).is_some() => Route::SyncCsv(base, table),
        ("GET", [record, "comments"]) => Route::ListComments(base, table, record.parse().ok()?),
        ("POST", [record, "comments"]) => Route::AddComment(base, table, record.parse().ok()?),
        ("PATCH", [record, "comments", comment]) => {
            Route::EditComment(base, table, record.parse().ok()?, comment.parse().ok()?)
        }
        ("DELETE", [record, "comments", comment]) => {
            Route::DeleteComment(base, table, record.parse().ok()?, comment.parse().ok()?)
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BASE: &str = "appA1b2C3d4E5f6G7";
    const RECORD: &str = "recA1b2C3d4E5f6G7";

    fn of(method: Method, path: &str) -> Option<Route> {
        Route::of(&method, path)
    }

    #[test]
    fn names_are_decoded_after_the_path_is_split() {
        let base: BaseId = BASE.parse().unwrap();
        for path in [format!("/v0/{BASE}/My%20Table%2F1/"), format!("/v0/{BASE}/My%20Table%2F1")] {
            assert_eq!(of(Method::GET, &path), Some(Route::ListRecords(base, "My Table/1".into())));
        }
        let plus = of(Method::GET, &format!("/v0/{BASE}/a+b"));
        assert_eq!(plus, Some(Route::ListRecords(base, "a+b".into())), "a plus is a plus in a path");
        let one = of(Method::DELETE, &format!("/v0/{BASE}/T/{RECORD}"));
        assert_eq!(one, Some(Route::DeleteRecord(base, "T".into(), RECORD.parse().unwrap())));
    }

    #[test]
    fn what_has_no_endpoint_or_no_id_has_no_route() {
        for (method, path) in [
            (Method::GET, "/v0".to_owned()),
            (Method::GET, "/v0/".to_owned()),
            (Method::GET, format!("/v0/{BASE}x/T")),
            (Method::GET, "/v0/meta/elsewhere".to_owned()),
            (Method::GET, "/v0/a/b/c/d/e/f/g/h/i".to_owned()),
        ] {
            assert_eq!(of(method.clone(), &path), None, "{method} {path}");
        }
        let base: BaseId = BASE.parse().unwrap();
        for (method, path) in [
            (Method::GET, format!("/v0/{BASE}")),
            (Method::GET, format!("/v0/{BASE}//")),
            (Method::GET, format!("/v0/{BASE}/T/recshort")),
            (Method::GET, format!("/v0/{BASE}/T//")),
            (Method::GET, format!("/v0/{BASE}/%ff")),
            (Method::GET, format!("/v0/{BASE}/a/b/c/d/e/f/g/h")),
            (Method::POST, format!("/v0/{BASE}/T/{RECORD}")),
            (Method::POST, format!("/v0/{BASE}/T/sync/")),
            (Method::GET, format!("/v0/bases/{BASE}/webhooks/x/payloads")),
            (Method::GET, format!("/v0/meta/bases/{BASE}/shares")),
            (Method::DELETE, format!("/v0/meta/bases/{BASE}/tables/T")),
            (Method::DELETE, format!("/v0/meta/bases/{BASE}/tables/T/fields/fldA1b2C3d4E5f6G7")),
        ] {
            assert_eq!(of(method.clone(), &path), Some(Route::Other(base)), "{method} {path}");
        }
    }

    proptest! {
        #[test]
        fn no_path_makes_it_panic(path in "/v0/[ -~]{0,80}") {
            let _ = of(Method::GET, &path);
        }
    }
}
