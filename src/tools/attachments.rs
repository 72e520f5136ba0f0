//! Files of records: adding one, looking at one.

use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tablewright_core::model::RecordId;
use tablewright_core::model::id::AttachmentId;
use tablewright_core::{Code, Fault};
use tablewright_door::TableView;
use tablewright_engine::files::{FileText, Files, Format, Given, StoredAttachment, Variant};
use tablewright_toolkit::Answer;
use tablewright_toolkit::answer::Image;
use tablewright_toolkit::arguments::schema_of;
use tablewright_toolkit::registry::{CallContext, Tool};
use tablewright_toolkit::text::push_cell;

use crate::records::record_id;

/// `upload_attachment`
pub struct UploadAttachment;

/// Arguments of `upload_attachment`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UploadArgs {
    /// Name, id or URL.
    base: String,
    /// Name, id or URL.
    table: String,
    /// Record id or URL.
    record: String,
    /// The attachment field.
    field: String,
    /// A file on the server's machine, in one of its folders for this; or send text.
    path: Option<String>,
    /// The content of the file; needs filename.
    text: Option<String>,
    /// What to call it; the file's own name if left out.
    filename: Option<String>,
}

/// A file of a record.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Uploaded {
    record: String,
    id: String,
    filename: String,
    #[serde(rename = "type")]
    kind: String,
    /// Bytes.
    size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    width: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    height: Option<u32>,
    /// Number in the change log.
    #[serde(skip_serializing_if = "Option::is_none")]
    change: Option<i64>,
}

impl Tool for UploadAttachment {
    const NAME: &'static str = "upload_attachment";
    type Args = UploadArgs;

    fn output_schema() -> Option<Map<String, Value>> {
        Some(schema_of::<Uploaded>())
    }

    async fn run(context: &mut CallContext, args: UploadArgs) -> Result<Answer, Fault> {
        let view = context.call.table(&args.base, &args.table).await?;
        let (record, field) = place(&view, &args.record, &args.field)?;
        let field = view.schema().fields[field].clone();
        let given = match (&args.path, &args.text) {
            (Some(path), None) => Given::Path(Path::new(path)),
            (None, Some(text)) => Given::Text(text),
            _ => {
                let message = "send either path or text (with filename), not both and not neither.";
                return Err(Fault::new(Code::InvalidArguments, message));
            }
        };
        if matches!(given, Given::Text(_)) && args.filename.is_none() {
            let message = "a text needs a filename, such as \"notes.md\".";
            return Err(Fault::new(Code::InvalidArguments, message));
        }
        let added = context.call.add_file(&view, record, &field, given, args.filename.as_deref()).await?;
        let text = |key: &str| added.item.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let number = |key: &str| added.item.get(key).and_then(Value::as_u64);
        let side = |key: &str| number(key).and_then(|side| u32::try_from(side).ok());
        let uploaded = Uploaded {
            record: record.to_string(),
            id: text("id"),
            filename: text("filename"),
            kind: text("type"),
            size: number("size").unwrap_or_default(),
            width: side("width"),
            height: side("height"),
            change: added.change,
        };
        Ok(Answer::Structured(serde_json::to_value(uploaded).unwrap_or_default()))
    }
}

/// The record and the place of the attachment field that arguments name.
fn place(view: &TableView, record: &str, field: &str) -> Result<(RecordId, usize), Fault> {
    let table = view.schema();
    let id = record_id(record)?;
    if view.slot(&id).is_none() {
        let message =
            format!("table {:?} has no record {id}; it may be deleted or in another table.", table.name);
        return Err(Fault::new(Code::UnknownRecord, message));
    }
    let field = table.field(field)?;
    if field.kind != tablewright_core::model::FieldType::Attachments {
        let message = format!("field {:?} ({}) does not hold files.", field.name, field.type_name);
        return Err(Fault::new(Code::InvalidArguments, message));
    }
    Ok((id, table.field_index(field.id).unwrap_or_default()))
}

/// `get_attachment`
pub struct GetAttachment;

/// Which of the files of a cell.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum Which {
    /// By place, from 0.
    Place(usize),
    /// By id or file name.
    Name(String),
}

impl JsonSchema for Which {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Which".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": ["string", "integer"] })
    }
}

/// Arguments of `get_attachment`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GetArgs {
    /// Name, id or URL.
    base: String,
    /// Name, id or URL.
    table: String,
    /// Record id or URL.
    record: String,
    /// The attachment field.
    field: String,
    /// The file's id, its name, or its place from 0; not needed when there is one.
    which: Option<Which>,
    /// Of a text: how many characters to skip.
    #[serde(default)]
    skip: usize,
}

/// Largest image in an answer, in bytes.
const MAX_IMAGE: u64 = 1_500_000;

impl Tool for GetAttachment {
    const NAME: &'static str = "get_attachment";
    type Args = GetArgs;

    async fn run(context: &mut CallContext, args: GetArgs) -> Result<Answer, Fault> {
        let view = context.call.table(&args.base, &args.table).await?;
        let (record, field) = place(&view, &args.record, &args.field)?;
        let cell = view.slot(&record).map(|slot| view.cell(slot, field)).unwrap_or_default();
        let listed = match cell.to_json(&view.schema().fields[field]) {
            Some(Value::Array(items)) => items,
            _ => Vec::new(),
        };
        let item = choose(&listed, args.which.as_ref())?;
        let files = context.call.files().clone();
        let held = view.schema().fields[field].clone();
        let stored = match context.call.file(&view, record, &held, item).await {
            Ok(stored) => stored,
            Err(why) => {
                let named = |key: &str| item.get(key).and_then(Value::as_str).unwrap_or_default();
                let content = format!("{}\n{}", named("url"), why.message);
                let note = "The file is not kept here and could not be fetched from its address; why stands below the address.";
                let shown = Shown { filename: named("filename"), content: &content, note: note.into() };
                return Ok(Answer::Text(shown.text(context)));
            }
        };
        let about = about(context, &files, &stored);
        if let Some(format) = Format::of(&stored.kind) {
            return match files.text(&stored, format).await {
                Ok(read) => Ok(show_text(context, &stored, &read, about, args.skip)),
                Err(why) => Ok(not_shown(context, &stored, about, &why.message)),
            };
        }
        match image(&files, &stored).await {
            Ok(image) => {
                let moves = files.moves(&stored).await.unwrap_or_default();
                let note = if moves { about + "; it moves: this is its first picture" } else { about };
                let shown = Shown { filename: &stored.filename, content: "", note };
                Ok(Answer::Image(image, shown.text(context)))
            }
            Err(why) => Ok(not_shown(context, &stored, about, &why)),
        }
    }
}

/// The answer for a file whose content cannot be shown.
fn not_shown(context: &CallContext, stored: &StoredAttachment, about: String, why: &str) -> Answer {
    let note = format!("{about}. The content is not shown: {}.", why.trim_end_matches('.'));
    Answer::Text(Shown { filename: &stored.filename, content: "", note }.text(context))
}

/// The file of a cell that is meant.
fn choose<'a>(listed: &'a [Value], which: Option<&Which>) -> Result<&'a Value, Fault> {
    let text = |item: &'a Value, key: &str| item.get(key).and_then(Value::as_str).unwrap_or_default();
    let found = match (which, listed) {
        (_, []) => return Err(Fault::new(Code::InvalidArguments, "the cell holds no files.")),
        (None, [only]) => Some(only),
        (None, _) => None,
        (Some(Which::Place(at)), _) => listed.get(*at),
        (Some(Which::Name(name)), _) => listed
            .iter()
            .find(|item| text(item, "id") == name)
            .or_else(|| listed.iter().find(|item| text(item, "filename") == name))
            .or_else(|| listed.get(name.parse::<usize>().ok()?)),
    };
    found.ok_or_else(|| {
        let files: Vec<String> = listed
            .iter()
            .take(20)
            .map(|item| format!("{:?} ({})", text(item, "filename"), text(item, "id")))
            .collect();
        let more = if listed.len() > files.len() { ", …" } else { "" };
        let message = format!(
            "say which of the {} files of the cell, by id, name or place from 0: {}{more}",
            listed.len(),
            files.join(", ")
        );
        Fault::new(Code::InvalidArguments, message)
    })
}

/// Type, size and address of a file, in one line.
fn about(context: &CallContext, files: &Files, stored: &StoredAttachment) -> String {
    // A file that lies elsewhere goes by the id it has there.
    let id = match &stored.source {
        Some(source) if AttachmentId::is(source) => source.clone(),
        _ => stored.id.to_string(),
    };
    let mut line = format!("{id}: {}, {} bytes", stored.kind, stored.size);
    if let Some((width, height)) = stored.pixels {
        line.push_str(&format!(", {width} x {height} pixels"));
    }
    if let Some(public) = files.public_url() {
        let path = files.url_path(stored.id, &stored.filename, Variant::Original, context.call.now());
        let hours = files.options().link_seconds as f64 / 3600.0;
        line.push_str(&format!("; for {hours:.1} hours at {public}{path}"));
    }
    line
}

/// A file in an answer: what came with it inside the fence, what is known about it outside.
struct Shown<'a> {
    filename: &'a str,
    content: &'a str,
    note: String,
}

impl Shown<'_> {
    fn text(&self, context: &CallContext) -> String {
        let mut out = String::with_capacity(self.content.len() + 400);
        context.boundary.open(&mut out);
        out.push_str("filename: ");
        push_cell(&mut out, self.filename, context.limits.cell_characters);
        out.push('\n');
        for line in self.content.lines() {
            // Tabs do no harm between the lines of a text, and columns are read by them.
            for (n, piece) in line.split('\t').enumerate() {
                if n > 0 {
                    out.push('\t');
                }
                push_cell(&mut out, piece, usize::MAX);
            }
            out.push('\n');
        }
        context.boundary.close(&mut out);
        out.push_str(&self.note);
        out
    }
}

fn show_text(
    context: &CallContext,
    stored: &StoredAttachment,
    read: &FileText,
    about: String,
    skip: usize,
) -> Answer {
    let most = context.limits.characters;
    let shown: String = read.text.chars().skip(skip).take(most).collect();
    let end = skip.saturating_add(shown.chars().count());
    let total = read.text.chars().count();
    let mut note = about;
    for remark in &read.about.remarks {
        note.push_str("; ");
        note.push_str(remark);
    }
    if skip > 0 || end < total {
        note.push_str(&format!(". Characters {skip} to {end} of {total}"));
        if end < total {
            note.push_str(&format!("; for more, call again with skip {end}"));
        }
    }
    Answer::Text(Shown { filename: &stored.filename, content: &shown, note }.text(context))
}

/// A file as an image small enough for an answer, or why there is none.
async fn image(files: &Files, stored: &StoredAttachment) -> Result<Image, String> {
    if stored.pixels.is_none() {
        return Err(format!("files of type {} are not shown", stored.kind));
    }
    for variant in [Variant::Preview, Variant::Large] {
        let located = files.locate(stored, variant).await.map_err(|fault| fault.message)?;
        let size = tokio::fs::metadata(&located.path).await.map_err(|e| e.to_string())?.len();
        if size <= MAX_IMAGE {
            let bytes = tokio::fs::read(&located.path).await.map_err(|e| e.to_string())?;
            return Ok(Image { bytes, kind: located.kind });
        }
    }
    Err("it is too large even when it is scaled down".into())
}
