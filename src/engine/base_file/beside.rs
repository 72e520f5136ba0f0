//! Files that lie beside a base file: attachments whose `url` is a relative path.

use std::path::Path;
use std::sync::Arc;

use rustc_hash::FxHashMap;
use serde_json::Value;
use tablewright_core::model::id::AttachmentId;
use tablewright_core::model::{Cell, FieldType, TableId};
use tablewright_core::{Code, Fault};
use url::{ParseError, Url};

use crate::base::Snapshot;
use crate::compute::recompute_all;
use crate::files::{Described, Files};

/// The relative paths under which a base file names its attachments.
pub type Names = FxHashMap<AttachmentId, String>;

/// What became of the files of a base.
#[derive(Debug, Default)]
pub struct Moved {
    /// How many were taken in or written.
    pub count: usize,
    /// What could not be, and why; the first few.
    pub missing: Vec<String>,
    /// How many could not be.
    pub missing_count: usize,
}

/// Most missing files that are named.
const MAX_NAMED: usize = 50;

impl Moved {
    fn miss(&mut self, what: String) {
        self.missing_count += 1;
        if self.missing.len() < MAX_NAMED {
            self.missing.push(what);
        }
    }
}

/// Every attachment cell of a base: table, slot, place of the field, and its list.
fn cells(snapshot: &Snapshot) -> impl Iterator<Item = (TableId, usize, usize, Arc<Value>)> {
    snapshot.schema.tables.iter().flat_map(move |table| {
        let fields: Vec<usize> =
            (0..table.fields.len()).filter(|at| table.fields[*at].kind == FieldType::Attachments).collect();
        let data = snapshot.tables.get(&table.id);
        data.into_iter().flat_map(move |data| {
            let fields = fields.clone();
            data.slots()
                .flat_map(move |slot| fields.clone().into_iter().map(move |field| (slot, field)))
                .filter_map(move |(slot, field)| match data.cell(slot, field) {
                    Cell::Json(value) if value.is_array() => Some((table.id, slot, field, value)),
                    _ => None,
                })
        })
    })
}

fn text<'a>(item: &'a Value, key: &str) -> Option<&'a str> {
    item.get(key).and_then(Value::as_str)
}

/// The path in an attachment's `url`, when it is a relative one.
fn relative(item: &Value) -> Option<&str> {
    let url = text(item, "url").filter(|url| !url.is_empty())?;
    (Url::parse(url) == Err(ParseError::RelativeUrlWithoutBase)).then_some(url)
}

/// Takes in the files that the attachments of a base name, from within `folder`. What is missing
/// stays in its cell as it is.
pub async fn take_in(
    snapshot: Snapshot,
    files: &Files,
    folder: &Path,
    now: i64,
) -> Result<(Snapshot, Moved), Fault> {
    let mut moved = Moved::default();
    let found: Vec<_> = cells(&snapshot)
        .filter(|(.., list)| list.as_array().is_some_and(|items| items.iter().any(|i| relative(i).is_some())))
        .collect();
    if found.is_empty() {
        return Ok((snapshot, moved));
    }
    let base = snapshot.schema.id;
    let mut snapshot = snapshot;
    let folder =
        tokio::fs::canonicalize(folder).await.map_err(|e| Fault::new(Code::InvalidFile, e.to_string()))?;
    for (table, slot, field, list) in found {
        let mut items = list.as_array().cloned().unwrap_or_default();
        for item in &mut items {
            let Some(path) = relative(item) else { continue };
            let last = path.rsplit('/').next().unwrap_or_default();
            let about = Described {
                id: text(item, "id").and_then(|id| id.parse().ok()),
                filename: text(item, "filename").unwrap_or(last),
                kind: text(item, "type"),
            };
            match files.add_beside(base, &folder, path, about).await {
                Ok(stored) => {
                    moved.count += 1;
                    *item = stored.cell();
                }
                Err(fault) if fault.code == Code::StoreUnavailable => return Err(fault),
                Err(fault) => moved.miss(format!("{path}: {fault}")),
            }
        }
        if let Some(data) = snapshot.table_mut(table) {
            data.set(slot, field, Cell::Json(Arc::new(Value::Array(items))));
        }
    }
    // Lookups show what the cells hold now.
    let snapshot = tokio::task::spawn_blocking(move || {
        recompute_all(&mut snapshot, now);
        snapshot
    })
    .await
    .map_err(|e| Fault::new(Code::Internal, e.to_string()))?;
    Ok((snapshot, moved))
}

/// Writes the files of a base into the folder `<stem>-files` beside the base file `file`; gives the
/// paths it names them by.
pub async fn write_files(snapshot: &Snapshot, files: &Files, file: &Path) -> Result<(Names, Moved), Fault> {
    let stem = file.file_stem().map_or_else(|| "base".into(), |stem| stem.to_string_lossy().into_owned());
    let folder_name = format!("{stem}-files");
    let folder = file.with_file_name(&folder_name);
    let mut names = Names::default();
    let mut moved = Moved::default();
    let base = snapshot.schema.id;
    for id in kept_here(snapshot) {
        if names.contains_key(&id) {
            continue;
        }
        let Some(stored) = files.get(id).await?.filter(|stored| stored.base == base) else {
            moved.miss(format!("{id}: the file is not here any more"));
            continue;
        };
        let name = format!("{id}-{}", stored.filename);
        let (from, to) = (files.path(&stored)?, folder.join(&name));
        tokio::fs::create_dir_all(&folder).await.map_err(|e| unwritten(&folder, e))?;
        match tokio::fs::copy(&from, &to).await {
            Ok(_) => {
                moved.count += 1;
                names.insert(id, format!("{folder_name}/{name}"));
            }
            Err(_) if !from.is_file() => moved.miss(format!("{id}: its content is not here any more")),
            Err(error) => return Err(unwritten(&to, error)),
        }
    }
    Ok((names, moved))
}

/// The ids of attachments whose content is kept here.
fn kept_here(snapshot: &Snapshot) -> Vec<AttachmentId> {
    let mut ids = Vec::new();
    for (.., list) in cells(snapshot) {
        let items = list.as_array().into_iter().flatten().filter(|item| item.get("url").is_none());
        ids.extend(items.filter_map(|item| text(item, "id")?.parse::<AttachmentId>().ok()));
    }
    ids
}

fn unwritten(path: &Path, error: std::io::Error) -> Fault {
    Fault::new(Code::InvalidFile, format!("{}: {error}", path.display()))
}

/// An attachment cell as a base file has it: files that lie beside it by their relative paths.
pub(super) fn named(cell: Value, names: &Names) -> Value {
    let Value::Array(items) = cell else { return cell };
    let name = |mut item: Value| {
        let path = text(&item, "id").and_then(|id| id.parse().ok()).and_then(|id| names.get(&id));
        if let (Some(path), Some(map)) = (path, item.as_object_mut()) {
            map.entry("url").or_insert_with(|| Value::from(path.as_str()));
        }
        item
    };
    Value::Array(items.into_iter().map(name).collect())
}
