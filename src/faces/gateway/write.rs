//! Creating, changing and deleting records.

use serde_json::{Map, Value, json};
use tablewright_core::Fault;
use tablewright_core::model::{BaseId, RecordId, TableId};
use tablewright_door::access::Need;
use tablewright_door::{Call, TableView, WriteOptions};
use tablewright_engine::local::{Action, Outcome};

use super::json::RecordWriter;
use super::list::{require, table};
use super::params::{Shape, flag, unknown_key, wrong};
use super::query::Pairs;
use super::refusal::{Refusal, While};

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
) -> Result<Outcome, Refusal> {
    let refused = |fault: Fault| Refusal::of(&fault, doing);
    let plan = call.plan(view, action, WriteOptions { typecast, atomic: true }).map_err(refused)?;
    call.apply(plan).await.map_err(refused)
}

/// The records of an outcome as they were committed.
struct Echo {
    view: TableView,
    ids: Vec<RecordId>,
}

impl Echo {
    fn of(call: &Call, table: TableId, outcome: &Outcome, doing: While) -> Result<Self, Refusal> {
        let refused = |fault: &Fault| Refusal::of(fault, doing);
        let view =
            call.view_of(outcome.snapshot.clone()).table_by_id(table).map_err(|fault| refused(&fault))?;
        let ids =
            outcome.records.iter().map(|r| r.as_ref().copied().map_err(refused)).collect::<Result<_, _>>()?;
        Ok(Self { view, ids })
    }

    fn push_all(&self, out: &mut String, shape: Shape) {
        let writer = RecordWriter::new(&self.view, None, shape);
        let mut between = false;
        for slot in self.ids.iter().filter_map(|id| self.view.slot(id)) {
            out.push_str(if between { "," } else { "" });
            between = true;
            writer.record(out, slot, None);
        }
    }

    /// The one record.
    fn one(&self, shape: Shape) -> String {
        let mut out = String::new();
        self.push_all(&mut out, shape);
        out
    }

    /// `{"records":[…]}`
    fn many(&self, shape: Shape) -> String {
        let mut out = String::from("{\"records\":[");
        self.push_all(&mut out, shape);
        out.push_str("]}");
        out
    }
}

/// `POST /{base}/{table}`
pub(super) async fn create(
    call: &mut Call,
    base: BaseId,
    wanted: &str,
    body: Cells,
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
            list.into_iter().map(|(_, cells)| cells).collect()
        }
        (None, _) => vec![keys.cells()?],
    };
    let doing = While::ChangingMany;
    require(call, Need::Write)?;
    let view = table(call, base, wanted).await?;
    let outcome = commit(call, &view, Action::Create(created), keys.typecast, doing).await?;
    let echo = Echo::of(call, view.schema().id, &outcome, doing)?;
    Ok(if many { echo.many(keys.shape) } else { echo.one(keys.shape) })
}

/// `PATCH` and `PUT /{base}/{table}/{record}`
pub(super) async fn update_one(
    call: &mut Call,
    base: BaseId,
    wanted: &str,
    record: RecordId,
    replace: bool,
    body: Cells,
) -> Result<String, Refusal> {
    let mut keys = Keys::of(body)?;
    keys.only_one()?;
    let updated = vec![(record, keys.cells()?)];
    require(call, Need::Write)?;
    let view = table(call, base, wanted).await?;
    if view.slot(&record).is_none() {
        return Err(Refusal::no_record());
    }
    let action = if replace { Action::Replace(updated) } else { Action::Update(updated) };
    let outcome = commit(call, &view, action, keys.typecast, While::ChangingMany).await?;
    Ok(Echo::of(call, view.schema().id, &outcome, While::ChangingMany)?.one(keys.shape))
}

/// `PATCH` and `PUT /{base}/{table}`, upserts among them.
pub(super) async fn update_many(
    call: &mut Call,
    base: BaseId,
    wanted: &str,
    replace: bool,
    body: Cells,
) -> Result<String, Refusal> {
    let mut keys = Keys::of(body)?;
    if keys.fields.is_some() {
        return Err(unknown_key("fields"));
    }
    let list = records(keys.records.take().ok_or_else(|| Refusal::missing("records"))?, true)?;
    let doing = While::ChangingMany;
    let upsert = keys.merge_on.is_some();
    let action = match keys.merge_on.take() {
        Some(on) => Action::Upsert { on, records: list, replace },
        None => {
            let known: Option<Vec<_>> = list.into_iter().map(|(id, cells)| Some((id?, cells))).collect();
            let known = known.ok_or_else(|| Refusal::records(true))?;
            if replace { Action::Replace(known) } else { Action::Update(known) }
        }
    };
    require(call, Need::Write)?;
    let view = table(call, base, wanted).await?;
    let outcome = commit(call, &view, action, keys.typecast, doing).await?;
    let echo = Echo::of(call, view.schema().id, &outcome, doing)?;
    let mut out = echo.many(keys.shape);
    if upsert {
        let updated: Vec<&RecordId> = echo.ids.iter().filter(|id| !outcome.created.contains(id)).collect();
        out.pop();
        let lists = json!({ "createdRecords": outcome.created, "updatedRecords": updated }).to_string();
        out.push(',');
        out.push_str(lists.trim_start_matches('{'));
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
