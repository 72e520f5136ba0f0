//! Files of bases that live elsewhere: looked at through what is kept of them, and sent there.

use serde_json::Value;
use tablewright_core::model::id::AttachmentId;
use tablewright_core::model::{Field, RecordId};
use tablewright_core::{Code, Fault};
use tablewright_engine::files::{Given, StoredAttachment};

use super::holds_files;
use crate::access::Need;
use crate::call::Call;
use crate::rehearsal::Step;
use crate::view::TableView;

/// A file that was added to a record.
#[derive(Debug, Clone, PartialEq)]
pub struct Added {
    /// What its cell has of it.
    pub item: Value,
    /// The number of the commit in the change log, of a base that lives here.
    pub change: Option<i64>,
}

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

    /// An attachment cell as its base has it now; of a base in Airtable with fresh addresses.
    async fn cell_again(&self, view: &TableView, record: RecordId, field: &Field) -> Result<Value, Fault> {
        let (base, table) = (view.base().schema().id, view.schema().id);
        if view.base().is_cloud() {
            self.replica().fetch_again(base, table, &[record]).await?;
        }
        let view = self.held(base).await?.table_by_id(table)?;
        let at = view.schema().field_index(field.id);
        let cell = view.slot(&record).zip(at).map(|(slot, at)| view.cell(slot, at));
        Ok(cell.and_then(|cell| cell.to_json(field)).unwrap_or_default())
    }

    /// Takes in a file and adds it to a cell of a record, after what is there; for a base that lives
    /// in Airtable it is uploaded there.
    pub async fn add_file(
        &mut self,
        view: &TableView,
        record: RecordId,
        field: &Field,
        given: Given<'_>,
        filename: Option<&str>,
    ) -> Result<Added, Fault> {
        holds_files(field)?;
        self.caller().rights.require(Need::Write)?;
        if view.base().is_cloud() {
            self.require_of_cell(view, record, field).await?;
            let step = Step::Upload {
                base: view.base().schema().id,
                table: view.schema().id,
                record,
                field: field.id,
            };
            if self.note_step(|| step.clone()) {
                return Ok(Added { item: Value::Null, change: None });
            }
            self.admit_step(step).await?;
            return self.upload(view, record, field, given, filename).await;
        }
        let base = view.base().schema().id;
        let stored = self.files().add_given(base, given, filename).await?;
        let outcome = self.attach(view, record, field, &stored).await?;
        outcome.records.into_iter().next().transpose()?;
        Ok(Added { item: stored.cell(), change: outcome.change })
    }

    async fn upload(
        &self,
        view: &TableView,
        record: RecordId,
        field: &Field,
        given: Given<'_>,
        filename: Option<&str>,
    ) -> Result<Added, Fault> {
        let (base, table) = (view.base().schema().id, view.schema().id);
        let file = self.files().outgoing(given, filename).await?;
        let session = self.session(base).await?;
        let ask = self.ask().await?;
        let name = field.id.to_string();
        let sent =
            session.upload_attachment(&ask, base, record, &name, &file.kind, &file.filename, &file.bytes);
        let mut fields = sent.await?.value.fields;
        // It is there, whatever becomes of looking at it: a later look finds it as well.
        if let Err(error) = self.replica().fetch_again(base, table, &[record]).await {
            tracing::warn!(%error, "a record was not read again after an upload");
        }
        let item = fields.get_mut(&name).and_then(Value::as_array_mut).and_then(Vec::pop);
        let item = item.ok_or_else(|| {
            Fault::new(
                Code::OutcomeUnknown,
                "Airtable's answer to the upload does not show the file; read the record.",
            )
        })?;
        Ok(Added { item, change: None })
    }
}
