//! Creating, changing and deleting records.

use serde_json::{Map, Value, json};
use tablewright_core::Fault;
use tablewright_core::model::{BaseId, FieldType, RecordId, Table};
use tablewright_door::access::Need;
use tablewright_door::{Call, TableView, WriteOptions};
use tablewright_engine::local::Action;

use super::json::RecordWriter;
use super::list::{require, table};
use super::params::{Shape, flag, unknown_key, wrong};
use super::query::Pairs;
use super::refusal::{Refusal, While};
use super::upload::Addresses;

/// Most records of one request.
const MAX_RECORDS: usize = 10;

type Cells = Map<String, Value>;

/// The keys of a body, as far as it may have them.
#[derive(Default)]
struct Keys {
    fields: Option<Value>,
    records: Option<Value>,
    merge_on: Option<Vec<String>>,
    typecast: bool,
    shape: Shape,
}

impl Keys {
    fn of(body: Cells) -> Result<Self, Refusal> {
        let mut keys = Self::default();
        for (key, value) in body {
            match key.as_str() {
                "fields" => keys.fields = Some(value),
                "records" => keys.records = Some(value),
                "performUpsert" => keys.merge_on = Some(merge_on(&value)?),
                "typecast" => keys.typecast = flag(&key, &value)?,
                "returnFieldsByFieldId" => keys.shape.by_id = flag(&key, &value)?,
                _ => return Err(unknown_key(&key)),
            }
        }
        Ok(keys)
    }

    /// The cells of a body about one record.
    fn cells(&mut self) -> Result<Cells, Refusal> {
        match self.fields.take() {
            Some(Value::Object(cells)) => Ok(cells),
            Some(_) => Err(wrong("fields", "an object")),
            None => Err(Refusal::missing("fields")),
        }
    }

    /// Refuses keys that only a body about several records may have, or the other way round.
    fn only_one(&self) -> Result<(), Refusal> {
        match (&self.records, &self.merge_on) {
            (Some(_), _) => Err(unknown_key("records")),
            (_, Some(_)) => Err(unknown_key("performUpsert")),
            _ => Ok(()),
        }
    }
}

/// 1 to 3 names of fields.
fn merge_on(value: &Value) -> Result<Vec<String>, Refusal> {
    let bad =
        || wrong("performUpsert", "an object such as {\"fieldsToMergeOn\": [\"Name\"]}, with 1 to 3 fields");
    let map = value.as_object().filter(|map| map.len() == 1).ok_or_else(bad)?;
    let names = map.get("fieldsToMergeOn").and_then(Value::as_array).ok_or_else(bad)?;
    let names: Option<Vec<String>> = names.iter().map(|name| name.as_str().map(str::to_owned)).collect();
    names.filter(|names| (1..=3).contains(&names.len())).ok_or_else(bad)
}

/// One record of a list: its id, where one is given, and its cells.
fn record(item: Value) -> Option<(Option<RecordId>, Cells)> {
    let Value::Object(mut map) = item else { return None };
    let id = match map.remove("id") {
        None => None,
        Some(id) => Some(id.as_str()?.parse().ok()?),
    };
    let Some(Value::Object(cells)) = map.remove("fields") else { return None };
    map.is_empty().then_some((id, cells))
}

fn records(list: Value, with_ids: bool) -> Result<Vec<(Option<RecordId>, Cells)>, Refusal> {
    let bad = || Refusal::records(with_ids);
    let Value::Array(items) = list else { return Err(bad()) };
    if items.is_empty() || items.len() > MAX_RECORDS {
        return Err(bad());
    }
    items.into_iter().map(record).collect::<Option<_>>().ok_or_else(bad)
}

/// Carries out an action; all of it or nothing.
async fn commit(
    call: &mut Call,
    view: &TableView,
    action: Action,
    typecast: bool,
    doing: While,
) -> Result<Done, Refusal> {
    let refused = |fault: Fault| Refusal::of(&fault, doing);
    let plan = call.plan(view, action, WriteOptions { typecast, atomic: true }).map_err(refused)?;
    let (outcome, failed) = call.apply_leaving_out(plan).await.map_err(refused)?;
    let now = call.view_of(outcome.snapshot.clone()).await.map_err(refused)?;
    let now = now.table_by_id(view.schema().id).map_err(refused)?;
    let ids = outcome.records.into_iter().collect::<Result<_, _>>().map_err(refused)?;
    Ok(Done { view: now, ids, created: outcome.created, partial: !failed.is_empty() })
}

/// A write that was carried out.
struct Done {
    /// The table with the write in it.
    view: TableView,
    /// The records, in the order they were sent.
    ids: Vec<RecordId>,
    /// Those of them that were not there before.
    created: Vec<RecordId>,
    /// True when a file could not be fetched and was left out.
    partial: bool,
}

impl Done {
    fn push_all(&self, out: &mut String, shape: Shape, addresses: &Addresses) {
        let writer = RecordWriter::new(&self.view, None, shape, addresses);
        let mut between = false;
        for slot in self.ids.iter().filter_map(|id| self.view.slot(id)) {
            out.push_str(if between { "," } else { "" });
            between = true;
            writer.record(out, slot, None);
        }
    }

    /// The one record as it was committed.
    fn one(&self, shape: Shape, addresses: &Addresses) -> String {
        let mut out = String::new();
        self.push_all(&mut out, shape, addresses);
        self.push_details(&mut out);
        out
    }

    /// The records as they were committed: `{"records":[…]}`.
    fn many(&self, shape: Shape, addresses: &Addresses) -> String {
        let mut out = String::from("{\"records\":[");
        self.push_all(&mut out, shape, addresses);
        out.push_str("]}");
        self.push_details(&mut out);
        out
    }

    /// Says that files were left out, when some were.
    fn push_details(&self, out: &mut String) {
        if self.partial {
            let reasons = json!(["attachmentsFailedUploading"]);
            push_members(out, &json!({ "details": { "message": "partialSuccess", "reasons": reasons } }));
        }
    }
}

/// Adds the members of an object to one that is written already.
fn push_members(out: &mut String, members: &Value) {
    out.pop();
    out.push(',');
    out.push_str(members.to_string().trim_start_matches('{'));
}

/// Refuses what is no file among the files of records; a new record has new files, named by
/// address and name alone.
fn only_files<'c>(table: &Table, records: impl Iterator<Item = &'c Cells>, new: bool) -> Result<(), Refusal> {
    let fits = |file: &Value| {
        let known = |key: &String| key == "url" || key == "filename";
        file.as_object().is_some_and(|file| !new || file.keys().all(known))
    };
    for (name, value) in records.flatten() {
        let fit = match value {
            Value::Array(files) => files.iter().all(fits),
            Value::String(text) => text.is_empty(),
            value => !value.is_object(),
        };
        let holds_files = || table.field(name).is_ok_and(|field| field.kind == FieldType::Attachments);
        if !fit && holds_files() {
            return Err(Refusal::attachment());
        }
    }
    Ok(())
}

/// `POST /{base}/{table}`
pub(super) async fn create(
    call: &mut Call,
    base: BaseId,
    wanted: &str,
    body: Cells,
    addresses: &Addresses,
) -> Result<String, Refusal> {
    let mut keys = Keys::of(body)?;
    if keys.merge_on.is_some() {
        return Err(unknown_key("performUpsert"));
    }
    let many = keys.records.is_some();
    let created = match (keys.records.take(), keys.fields.is_some()) {
        (Some(_), true) => return Err(Refusal::parameter("send fields or records, not both")),
        (Some(list), false) => {
            let list = records(list, false)?;
            if list.iter().any(|(id, _)| id.is_some()) {
                return Err(Refusal::records(false));
            }
            list.into_iter().map(|(_, cells)| cells).collect::<Vec<_>>()
        }
        (None, _) => vec![keys.cells()?],
    };
    let doing = While::ChangingMany;
    require(call, Need::Write)?;
    let view = table(call, base, wanted).await?;
    only_files(view.schema(), created.iter(), true)?;
    let done = commit(call, &view, Action::Create(created), keys.typecast, doing).await?;
    Ok(if many { done.many(keys.shape, addresses) } else { done.one(keys.shape, addresses) })
}

/// `PATCH` and `PUT /{base}/{table}/{record}`
pub(super) async fn update_one(
    call: &mut Call,
    base: BaseId,
    wanted: &str,
    record: RecordId,
    replace: bool,
    body: Cells,
    addresses: &Addresses,
) -> Result<String, Refusal> {
    let mut keys = Keys::of(body)?;
    keys.only_one()?;
    let updated = vec![(record, keys.cells()?)];
    require(call, Need::Write)?;
    let view = table(call, base, wanted).await?;
    if view.slot(&record).is_none() {
        return Err(Refusal::no_record());
    }
    only_files(view.schema(), updated.iter().map(|(_, cells)| cells), false)?;
    let action = if replace { Action::Replace(updated) } else { Action::Update(updated) };
    let done = commit(call, &view, action, keys.typecast, While::ChangingMany).await?;
    Ok(done.one(keys.shape, addresses))
}

/// `PATCH` and `PUT /{base}/{table}`, upserts among them.
pub(super) async fn update_many(
    call: &mut Call,
    base: BaseId,
    wanted: &str,
    replace: bool,
    body: Cells,
    addresses: &Addresses,
) -> Result<String, Refusal> {
    let mut keys = Keys::of(body)?;
    if keys.fields.is_some() {
        return Err(unknown_key("fields"));
    }
    let list = records(keys.records.take().ok_or_else(|| Refusal::missing("records"))?, true)?;
    let known = list.iter().all(|(id, _)| id.is_some());
    if !(known || keys.merge_on.is_some()) {
        return Err(Refusal::records(true));
    }
    require(call, Need::Write)?;
    let view = table(call, base, wanted).await?;
    only_files(view.schema(), list.iter().map(|(_, cells)| cells), false)?;
    let upsert = keys.merge_on.is_some();
    let action = match keys.merge_on.take() {
        Some(on) => Action::Upsert { on, records: list, replace },
        None => {
            let list = list.into_iter().filter_map(|(id, cells)| Some((id?, cells))).collect();
            if replace { Action::Replace(list) } else { Action::Update(list) }
        }
    };
    let doing = While::ChangingMany;
    let done = commit(call, &view, action, keys.typecast, doing).await?;
    let mut out = done.many(keys.shape, addresses);
    if upsert {
        let updated: Vec<&RecordId> = done.ids.iter().filter(|id| !done.created.contains(id)).collect();
        push_members(&mut out, &json!({ "createdRecords": done.created, "updatedRecords": updated }));
    }
    Ok(out)
}

/// `DELETE /{base}/{table}/{record}`
pub(super) async fn delete_one(
    call: &mut Call,
    base: BaseId,
    wanted: &str,
    record: RecordId,
) -> Result<String, Refusal> {
    require(call, Need::Delete)?;
    let view = table(call, base, wanted).await?;
    commit(call, &view, Action::Delete(vec![record]), false, While::ChangingOne).await?;
    Ok(deleted(record).to_string())
}

/// `DELETE /{base}/{table}?records[]=…`
pub(super) async fn delete_many(
    call: &mut Call,
    base: BaseId,
    wanted: &str,
    pairs: &Pairs,
) -> Result<String, Refusal> {
    let mut ids = super::query::List::default();
    for (key, value) in pairs.iter() {
        let key = key?;
        match (key.name, key.part) {
            ("records", None) => ids.add(key.index, value),
            (name, _) => return Err(super::query::unknown(name)),
        }
    }
    let ids: Option<Vec<RecordId>> = ids.items().iter().map(|id| id.parse().ok()).collect();
    let ids = ids.filter(|ids| (1..=MAX_RECORDS).contains(&ids.len())).ok_or_else(Refusal::record_ids)?;
    require(call, Need::Delete)?;
    let view = table(call, base, wanted).await?;
    commit(call, &view, Action::Delete(ids.clone()), false, While::ChangingMany).await?;
    let list: Vec<Value> = ids.into_iter().map(deleted).collect();
    Ok(json!({ "records": list }).to_string())
}

fn deleted(id: RecordId) -> Value {
    json!({ "id": id, "deleted": true })
}

/// `POST /{base}/{table}/sync/{id}`: no table of a base that lives here is a synced one.
pub(super) async fn sync_csv(call: &mut Call, base: BaseId, wanted: &str) -> Result<String, Refusal> {
    require(call, Need::Write)?;
    require(call, Need::Schema)?;
    let view = table(call, base, wanted).await?;
    let name = &view.schema().name;
    Err(Refusal::parameter(format_args!(
        "table {name:?} is no synced table; send its rows as records instead, with performUpsert to renew those that are there"
    )))
}
