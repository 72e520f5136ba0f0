//! Files into cells, and CSV into synced tables.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use reqwest::Method;
use serde_json::json;
use tablewright_core::model::{BaseId, RecordId};

use super::send::{Body, Repeat, Request};
use super::{Answer, Ask, Error, Record, Session};

/// Largest file that can be uploaded, in bytes.
pub const MAX_UPLOAD: usize = 5 * 1024 * 1024;
/// Longest CSV, in bytes.
const MAX_CSV: usize = 2 * 1024 * 1024;

impl Session {
    /// Adds a file to an attachment cell; the record with that cell. Never repeated: twice would
    /// attach it twice.
    #[expect(clippy::too_many_arguments, reason = "a request is what it is")]
    pub async fn upload_attachment(
        &self,
        ask: &Ask,
        base: BaseId,
        record: RecordId,
        field: &str,
        content_type: &str,
        filename: &str,
        file: &[u8],
    ) -> Result<Answer<Record>, Error> {
        if file.len() > MAX_UPLOAD {
            return Err(Error::NotSent(format!(
                "{filename:?} has {} bytes and Airtable takes uploads of at most {MAX_UPLOAD}; give a URL Airtable can fetch it from instead",
                file.len()
            )));
        }
        let (base_text, record) = (base.to_string(), record.to_string());
        let url = self.airtable.shared.content_url(&[&base_text, &record, field, "uploadAttachment"])?;
        let body =
            json!({ "contentType": content_type, "filename": filename, "file": STANDARD.encode(file) });
        let scope = "data.records:write";
        let request = Request::json(Method::POST, url, Some(base), Repeat::Never, scope, &body)?;
        self.call(None, ask, &request).await
    }

    /// Sends rows to a table that is synced from the API; Airtable takes them in later.
    pub async fn sync_csv(
        &self,
        ask: &Ask,
        base: BaseId,
        table: &str,
        sync: &str,
        csv: Bytes,
    ) -> Result<Answer<()>, Error> {
        if csv.len() > MAX_CSV {
            return Err(Error::NotSent(format!(
                "the CSV has {} bytes and Airtable takes at most {MAX_CSV} at once; send it in parts",
                csv.len()
            )));
        }
        let url = self.airtable.shared.url(&[&base.to_string(), table, "sync", sync])?;
        let request = Request {
            method: Method::POST,
            body: Some(Body { bytes: csv, kind: "text/csv".into() }),
            repeat: Repeat::Never,
            ..Request::get(url, Some(base), "data.records:write and schema.bases:write")
        };
        self.tell(ask, &request).await
    }
}
