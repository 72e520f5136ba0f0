//! Files of bases that live elsewhere: looked at through what is kept of them, and sent there.

use serde_json::Value;
use tablewright_core::model::id::AttachmentId;
use tablewright_core::model::{Field, RecordId};
use tablewright_core::{Code, Fault};
use tablewright_engine::airtable::Ask;
use tablewright_engine::files::{Given, Outgoing, StoredAttachment};

use super::holds_files;
use crate::access::Need;
use crate::call::Call;
use crate::view::TableView;

impl Call {
    /// The file that an item of an attachment cell names: the base's own, or one that lies elsewhere
    /// and is fetched unless it is kept.
    pub async fn file(
        &self,
        view: &TableView,
        record: RecordId,
        field: &Field,
        item: &Value,
    ) -> Result<StoredAttachment, Fault> {
        let base = view.base().schema().id;
        let id = item.get("id").and_then(Value::as_str).and_then(|id| id.parse::<AttachmentId>().ok());
        if let Some(id) = id
            && let Some(own) = self.files().get(id).await?.filter(|own| own.base == base)
        {
            return Ok(own);
        }
        self.files().cached(base, item, async || self.cell_again(view, record, field).await).await
    }

    /// An attachment cell as its base has it now.
    async fn cell_again(&self, view: &TableView, record: RecordId, field: &Field) -> Result<Value, Fault> {
        let (base, table) = (view.base().schema().id, view.schema().id);
        if view.base().is_cloud() {
            self.replica().fetch_again(base, table, &[record]).await?;
        }
        let view = self.base_again(base).await?.table_by_id(table)?;
        let at = view.schema().field_index(field.id);
        let cell = view.slot(&record).zip(at).map(|(slot, at)| view.cell(slot, at));
        Ok(cell.and_then(|cell| cell.to_json(field)).unwrap_or_default())
    }

    /// Uploads a file to a record of a base that lives in Airtable; the file as Airtable shows it.
    pub async fn upload(
        &mut self,
        view: &TableView,
        record: RecordId,
        field: &Field,
        given: Given<'_>,
        filename: Option<&str>,
    ) -> Result<Value, Fault> {
        self.caller().rights.require(Need::Write)?;
        holds_files(field)?;
        let Outgoing { filename, kind, bytes } = self.files().outgoing(given, filename).await?;
        let (base, table) = (view.base().schema().id, view.schema().id);
        let session = self.replica().session(base).await?;
        let ask = Ask::interactive(self.caller().principal.clone());
        let id = field.id.to_string();
        let sent = session.upload_attachment(&ask, base, record, &id, &kind, &filename, &bytes).await;
        let cell = sent?.value.fields.remove(&id).unwrap_or_default();
        self.replica().fetch_again(base, table, &[record]).await?;
        let uploaded = cell.as_array().and_then(|files| files.last()).cloned();
        uploaded.ok_or_else(|| {
            let message = "Airtable took the file and does not show it; look at the record again in a while.";
            Fault::new(Code::OutcomeUnknown, message)
        })
    }
}
