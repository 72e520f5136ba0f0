//! Files of bases that live elsewhere: looked at through what is kept of them, and sent there.

use serde_json::Value;
use tablewright_core::model::id::AttachmentId;
use tablewright_core::model::{Field, RecordId};
use tablewright_core::Fault;
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
        let view = self.base_again(view.base().schema().id).await?.table_by_id(view.schema().id)?;
        let at = view.schema().field_index(field.id);
        let cell = view.slot(&record).zip(at).map(|(slot, at)| view.cell(slot, at));
        Ok(cell.and_then(|cell| cell.to_json(field)).unwrap_or_default())
    }

    /// Reads a file that is to be added to a record of a base in Airtable, and has `send` upload it.
    pub async fn send_file<T>(
        &self,
        field: &Field,
        given: Given<'_>,
        filename: Option<&str>,
        send: impl AsyncFnOnce(Outgoing) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        self.caller().rights.require(Need::Write)?;
        holds_files(field)?;
        send(self.files().outgoing(given, filename).await?).await
    }
}
