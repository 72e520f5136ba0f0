//! Attachments: their addresses in answers, and taking in a file from a body.

use axum::http::{HeaderMap, header};
use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::{Map, Value};
use tablewright_core::Code;
use tablewright_core::model::{BaseId, FieldType, RecordId};
use tablewright_door::access::Need;
use tablewright_door::{Call, Files, TableView};
use tablewright_engine::files::Described;

use super::Gateway;
use super::json::RecordWriter;
use super::list::require;
use super::meta::base;
use super::params::{Shape, unknown_key, wrong};
use super::refusal::{Refusal, While};

/// Base64 as clients send it: with and without padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// How attachments of an answer get their addresses.
pub(super) struct Addresses {
    files: Files,
    /// How this server is reached.
    public: String,
    now: i64,
}

impl Addresses {
    /// For an answer to a request with these headers.
    pub(super) fn new(gateway: &Gateway, call: &Call, headers: &HeaderMap) -> Self {
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        let options = gateway.guard.options();
        let public = match &options.public_url {
            Some(url) => url.trim_end_matches('/').to_owned(),
            // Which hosts there are was checked at the entry.
            None => format!("{}://{host}", options.scheme()),
        };
        Self { files: call.files().clone(), public, now: call.now() }
    }

    /// A cell whose files have addresses.
    pub(super) fn shown(&self, cell: &Value) -> Value {
        self.files.shown(cell, &self.public, self.now)
    }
}

/// Most bytes of the body of an upload: base64 with line ends, and what stands around it.
pub(super) fn most_bytes(call: &Call) -> usize {
    let file =
        usize::try_from(call.files().options().upload_mb).unwrap_or(usize::MAX).saturating_mul(1 << 20);
    (file / 2).saturating_mul(3).saturating_add(1 << 20)
}

/// The file of a body: its name, media type and bytes.
fn file(body: Map<String, Value>) -> Result<(String, Option<String>, Vec<u8>), Refusal> {
    let (mut filename, mut kind, mut bytes) = (None, None, None);
    for (key, value) in body {
        let Value::String(text) = value else { return Err(wrong(&key, "a text")) };
        match key.as_str() {
            "filename" => filename = Some(text),
            "contentType" => kind = Some(text),
            "file" => {
                let packed: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
                bytes = Some(BASE64.decode(packed).map_err(|_| wrong("file", "base64"))?);
            }
            _ => return Err(unknown_key(&key)),
        }
    }
    let filename = filename.ok_or_else(|| Refusal::missing("filename"))?;
    Ok((filename, kind, bytes.ok_or_else(|| Refusal::missing("file"))?))
}

/// The table of a base that has a record.
fn table_of(tables: impl Iterator<Item = TableView>, record: RecordId) -> Result<TableView, Refusal> {
    let mut tables = tables;
    tables.find(|table| table.slot(&record).is_some()).ok_or_else(Refusal::no_record)
}

/// `POST /{base}/{record}/{field}/uploadAttachment`
pub(super) async fn upload(
    call: &mut Call,
    id: BaseId,
    record: RecordId,
    wanted: &str,
    body: Map<String, Value>,
    addresses: &Addresses,
) -> Result<String, Refusal> {
    let (filename, kind, bytes) = file(body)?;
    require(call, Need::Write)?;
    let view = table_of(base(call, id).await?.tables(), record)?;
    let field = view.schema().field(wanted).map_err(|_| Refusal::field(wanted))?.clone();
    if field.kind != FieldType::Attachments {
        return Err(Refusal::value(&field.name));
    }
    let about = Described { filename: &filename, kind: kind.as_deref(), ..Described::default() };
    let files = call.files().clone();
    let stored = files.add_bytes(id, about, &bytes).await.map_err(|fault| match fault.code {
        Code::LimitExceeded => Refusal::too_large_file(fault.message),
        _ => Refusal::of(&fault, While::ChangingOne),
    })?;
    let done = call.attach(&view, record, &field, &stored).await;
    let done = done.map_err(|fault| Refusal::of(&fault, While::ChangingOne))?;
    let now = call.view_of(done.snapshot).await.and_then(|now| now.table_by_id(view.schema().id));
    let view = now.map_err(|fault| Refusal::of(&fault, While::ChangingOne))?;
    let slot = view.slot(&record).ok_or_else(Refusal::no_record)?;
    let at = view.schema().field_index(field.id).into_iter().collect::<Vec<_>>();
    let shape = Shape { by_id: true, ..Shape::default() };
    let writer = RecordWriter::new(&view, Some(&at), shape, addresses);
    let mut out = String::with_capacity(writer.record_size());
    writer.record(&mut out, slot, None);
    Ok(out)
}
