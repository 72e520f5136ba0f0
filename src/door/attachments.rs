//! Files in writes: those named by URL are taken in, those named by id must belong to the base.

mod elsewhere;

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use serde_json::{Map, Value, json};
use tablewright_core::model::id::AttachmentId;
use tablewright_core::model::{BaseId, Field, FieldType, RecordId};
use tablewright_core::{Code, Fault};
use tablewright_engine::files::{Files, StoredAttachment};
use tablewright_engine::local::{Action, Outcome};
use tokio::task::JoinSet;
use tokio::time::Instant;

pub use elsewhere::Added;

use crate::call::Call;
use crate::plan::{Plan, WriteOptions};
use crate::view::TableView;

/// Files fetched at once for one write.
const AT_ONCE: usize = 4;

/// A file that a write names by URL and that could not be taken in.
#[derive(Debug, Clone, PartialEq)]
pub struct FailedFile {
    /// The record's place in the write, from 0.
    pub record: usize,
    /// The field as the write names it.
    pub field: String,
    /// Why.
    pub fault: Fault,
}

/// What is wrong with the files of a write.
#[derive(Debug, Default)]
pub(crate) struct Problems {
    /// Files that could not be fetched; they are left out of their cells.
    pub(crate) failed: Vec<FailedFile>,
    /// Records with something in such a cell that is no file, or is not theirs.
    pub(crate) refused: BTreeMap<usize, Fault>,
}

/// One file to fetch, and where it goes.
struct Wanted {
    record: usize,
    field: String,
    item: usize,
    url: String,
    filename: Option<String>,
}

/// The records of a write: their ids, when they have them, and cells.
pub(crate) fn records(action: &mut Action) -> Vec<(Option<RecordId>, &mut Map<String, Value>)> {
    match action {
        Action::Create(records) => records.iter_mut().map(|cells| (None, cells)).collect(),
        Action::Update(records) | Action::Replace(records) => {
            records.iter_mut().map(|(id, cells)| (Some(*id), cells)).collect()
        }
        Action::Upsert { records, .. } => records.iter_mut().map(|(id, cells)| (*id, cells)).collect(),
        Action::Delete(_) | Action::Restore { .. } => Vec::new(),
    }
}

fn invalid(field: &str, what: impl std::fmt::Display) -> Fault {
    let message = format!(
        "field {field:?}: {what}; send files as {{\"url\": \"https://…\", \"filename\": \"a.pdf\"}}, or {{\"id\": \"att…\"}} to keep one."
    );
    Fault::new(Code::InvalidAttachment, message).about(field)
}

/// Refuses fields of other types.
fn holds_files(field: &Field) -> Result<(), Fault> {
    if field.kind == FieldType::Attachments {
        return Ok(());
    }
    let message = format!("field {:?} ({}) does not hold files.", field.name, field.type_name);
    Err(Fault::new(Code::InvalidArguments, message))
}

/// Replaces every file that a write names by the object its cell will keep. In a base that
/// lives in Airtable addresses are passed on as they are, and nothing is fetched.
pub(crate) async fn take_in(files: &Files, view: &TableView, action: &mut Action) -> Problems {
    let table = view.schema();
    let mut problems = Problems::default();
    if !table.fields.iter().any(|field| field.kind == FieldType::Attachments) {
        return problems;
    }
    let (base, is_cloud) = (view.base().schema().id, view.base().is_cloud());
    let mut known: HashMap<String, Option<usize>> = HashMap::new();
    let mut wanted = Vec::new();
    let mut records = records(action);
    for (at, (id, cells)) in records.iter_mut().enumerate() {
        for (name, value) in cells.iter_mut() {
            let Value::Array(items) = value else { continue };
            if !items.iter().any(Value::is_object) {
                continue;
            }
            let field = *known.entry(name.clone()).or_insert_with(|| {
                let field = table.field(name).ok().filter(|f| f.kind == FieldType::Attachments)?;
                table.field_index(field.id)
            });
            let Some(field) = field else { continue };
            let held = id.and_then(|id| view.slot(&id)).map(|slot| view.cell(slot, field));
            let held = held.and_then(|cell| cell.to_json(&table.fields[field])).unwrap_or_default();
            for (place, item) in items.iter_mut().enumerate() {
                let settled = if is_cloud {
                    pass_on(item).map(|()| None)
                } else {
                    settle(files, base, &held, item).await
                };
                match settled {
                    Ok(None) => {}
                    Ok(Some((url, filename))) => {
                        let field = name.clone();
                        wanted.push(Wanted { record: at, field, item: place, url, filename });
                    }
                    Err(what) => {
                        problems.refused.entry(at).or_insert_with(|| invalid(name, what));
                    }
                }
            }
        }
    }
    wanted.retain(|file| !problems.refused.contains_key(&file.record));
    for (file, result) in fetch_all(files, base, wanted).await {
        let cell = records.get_mut(file.record).and_then(|(_, cells)| cells.get_mut(&file.field));
        let place = cell.and_then(|cell| cell.get_mut(file.item));
        match (place, result) {
            (Some(place), Ok(stored)) => *place = stored.cell(),
            (place, result) => {
                // Marked, so that the places of the others stay what they are until all are done.
                if let Some(place) = place {
                    *place = Value::Null;
                }
                let fault = result.err().unwrap_or_else(|| Fault::new(Code::Internal, "the cell is gone"));
                problems.failed.push(FailedFile { record: file.record, field: file.field, fault });
            }
        }
    }
    for file in &problems.failed {
        let cell = records.get_mut(file.record).and_then(|(_, cells)| cells.get_mut(&file.field));
        if let Some(Value::Array(items)) = cell {
            items.retain(|item| !item.is_null());
        }
    }
    problems.failed.sort_by_key(|file| file.record);
    problems
}

/// Makes an item what Airtable takes: an id to keep a file, or an address it fetches itself.
fn pass_on(item: &mut Value) -> Result<(), String> {
    let Some(map) = item.as_object_mut() else { return Err("a file is an object".into()) };
    match (map.get("id"), map.get("url")) {
        (Some(Value::String(id)), _) if AttachmentId::is(id) => {
            // What else a cell shows of a file is refused in a write.
            map.retain(|key, _| key == "id");
            Ok(())
        }
        (Some(id), _) => {
            let shown: String = id.to_string().chars().take(40).collect();
            Err(format!("{shown} is no attachment id"))
        }
        (None, Some(Value::String(url))) if url.starts_with("https://") || url.starts_with("http://") => {
            Ok(())
        }
        (None, Some(_)) => Err("a url begins with https:// or http://".into()),
        (None, None) => Err("a file needs a url or an id".into()),
    }
}

/// Makes an item what its cell will keep, or says what to fetch for it.
async fn settle(
    files: &Files,
    base: BaseId,
    held: &Value,
    item: &mut Value,
) -> Result<Option<(String, Option<String>)>, String> {
    let kept = |wanted: &dyn Fn(&Value) -> bool| held.as_array()?.iter().find(|item| wanted(item)).cloned();
    let Some(map) = item.as_object() else { return Err("a file is an object".into()) };
    if let Some(id) = map.get("id") {
        let text = id.as_str().unwrap_or_default();
        let shown: String = id.to_string().chars().take(40).collect();
        let Ok(id) = text.parse::<AttachmentId>() else { return Err(format!("{shown} is no attachment id")) };
        if let Some(owned) = files.claim(base, id).await.map_err(|fault| fault.message)? {
            *item = owned.cell();
        } else if let Some(as_held) = kept(&|item| item.get("id").and_then(Value::as_str) == Some(text)) {
            // Files of imported bases may have an address elsewhere and nothing here.
            *item = as_held;
        } else {
            return Err(format!("this base has no attachment {text}"));
        }
        return Ok(None);
    }
    if let Some(mut as_held) = kept(&|held| held == item) {
        as_held["id"] = Value::String(AttachmentId::random().to_string());
        *item = as_held;
        return Ok(None);
    }
    let filename = match map.get("filename") {
        None | Some(Value::Null) => None,
        Some(Value::String(name)) => Some(name.clone()),
        Some(_) => return Err("filename must be a text".into()),
    };
    if let Some(Value::String(url)) = map.get("url")
        && let Some(copy) =
            files.add_own(base, url, filename.as_deref()).await.map_err(|fault| fault.message)?
    {
        *item = copy.cell();
        return Ok(None);
    }
    match map.get("url") {
        // What must not be fetched is known before anything is sent, and refused with the record.
        Some(Value::String(url)) => match files.fetcher().check_resolved(url).await {
            Ok(_) => Ok(Some((url.clone(), filename))),
            Err(error) => Err(error.to_string()),
        },
        _ => Err("a file needs a url or an id".into()),
    }
}

/// Fetches files, a few at once, within the time the settings give to one write.
async fn fetch_all(
    files: &Files,
    base: BaseId,
    wanted: Vec<Wanted>,
) -> Vec<(Wanted, Result<StoredAttachment, Fault>)> {
    let mut done = Vec::with_capacity(wanted.len());
    let time = Duration::from_secs(files.options().fetch_seconds);
    let deadline = Instant::now() + time;
    let mut running = JoinSet::new();
    for file in wanted {
        while running.len() >= AT_ONCE {
            done.extend(running.join_next().await.and_then(Result::ok));
        }
        let files = files.clone();
        running.spawn(async move {
            let left = deadline.saturating_duration_since(Instant::now());
            let result = if left.is_zero() {
                let message = format!(
                    "fetching the files of this write took longer than {} s; send fewer at once",
                    time.as_secs()
                );
                Err(Fault::new(Code::LimitExceeded, message))
            } else {
                files.add_url(base, &file.url, file.filename.as_deref(), left).await
            };
            (file, result)
        });
    }
    while let Some(finished) = running.join_next().await {
        done.extend(finished.ok());
    }
    done
}

/// Takes records out of a plan; the faults say why.
pub(crate) fn leave_out(plan: &mut Plan, refused: &BTreeMap<usize, Fault>) -> Result<(), Fault> {
    if plan.write.atomic
        && let Some((at, fault)) = refused.first_key_value()
    {
        return Err(fault.clone().within(format_args!("record {}", at + 1)));
    }
    plan.write.action.retain(|at| !refused.contains_key(&at));
    Ok(())
}

/// Puts the faults of records that were taken out of a plan where the records were.
pub(crate) fn put_back(outcome: &mut Outcome, refused: BTreeMap<usize, Fault>) {
    for (at, fault) in refused {
        // In rising order, so that each finds the others in place.
        outcome.records.insert(at.min(outcome.records.len()), Err(fault));
    }
}

impl Call {
    /// Adds a file that was taken in to a cell of a record, after what is there.
    pub async fn attach(
        &mut self,
        view: &TableView,
        record: RecordId,
        field: &Field,
        file: &StoredAttachment,
    ) -> Result<Outcome, Fault> {
        holds_files(field)?;
        let files = self.files().clone();
        let _alone = files.appending().lock().await;
        let base = view.base().schema().id.to_string();
        let view = self.table(&base, &view.schema().id.to_string()).await?;
        let at = view.schema().field_index(field.id);
        let held = view.slot(&record).zip(at).map(|(slot, at)| view.cell(slot, at));
        let mut items = match held.and_then(|cell| cell.to_json(field)) {
            Some(Value::Array(items)) => items,
            _ => Vec::new(),
        };
        items.push(json!({ "id": file.id }));
        let cells = Map::from_iter([(field.id.to_string(), Value::Array(items))]);
        let plan = self.plan(&view, Action::Update(vec![(record, cells)]), WriteOptions::default())?;
        self.apply(plan).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_for_airtable_are_passed_on_as_they_are() {
        for (given, sent) in [
            (json!({"url": "https://example.org/a?b=c#d", "filename": "a"}), None),
            (json!({"url": "http://127.0.0.1/a"}), None),
            (
                json!({"id": "attA1b2C3d4E5f6G7", "url": "https://x", "size": 3, "type": "text/plain"}),
                Some(json!({"id": "attA1b2C3d4E5f6G7"})),
            ),
        ] {
            let mut item = given.clone();
            pass_on(&mut item).unwrap();
            assert_eq!(item, sent.unwrap_or(given));
        }
        for (given, why) in [
            (json!("https://example.org/a"), "an object"),
            (json!({"id": "x", "url": "https://example.org/a"}), "no attachment id"),
            (json!({"url": "ftp://example.org/a"}), "begins with https://"),
            (json!({"url": 5}), "begins with https://"),
            (json!({"filename": "a"}), "needs a url or an id"),
        ] {
            let refused = pass_on(&mut given.clone()).unwrap_err();
            assert!(refused.contains(why), "{given}: {refused}");
        }
    }
}
