//! Records: lists, single ones, and batches that write.

use reqwest::Method;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tablewright_core::model::{BaseId, FieldId, RecordId};

use super::send::{Ended, Repeat, Request, Whole};
use super::{Answer, Ask, Error, Permit, Session};

/// Most records of one request that writes.
pub const MAX_BATCH: usize = 10;
/// A list whose address would be longer is asked for with a body.
const MAX_URL: usize = 15_000;
const READ: &str = "data.records:read";
const WRITE: &str = "data.records:write";

/// A record as Airtable gives it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Record {
    /// Its id.
    pub id: RecordId,
    /// When it was made, in milliseconds since the epoch.
    #[serde(rename = "createdTime", deserialize_with = "super::send::instant")]
    pub created: i64,
    /// Its cells by field id; empty ones are absent.
    #[serde(default)]
    pub fields: Map<String, Value>,
}

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Page {
    /// The records.
    pub records: Vec<Record>,
    /// Where the next page starts; none after the last.
    #[serde(default)]
    pub offset: Option<String>,
}

/// What a list is to hold.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ListQuery {
    /// Keeps the records this formula is true for.
    pub formula: Option<String>,
    /// The fields wanted; all when empty.
    pub fields: Vec<FieldId>,
    /// Records of a page, 1 to 100; 0 for as many as there may be.
    pub page_size: u32,
    /// Where the page starts, as the one before said.
    pub offset: Option<String>,
    /// A view, by id or name: its rows in its order.
    pub view: Option<String>,
    /// The order, instead of the view's; true for descending.
    pub sort: Vec<(FieldId, bool)>,
    /// Most records over all pages.
    pub max_records: Option<u32>,
}

impl ListQuery {
    fn pairs(&self) -> Vec<(String, String)> {
        let mut pairs = vec![("returnFieldsByFieldId".to_owned(), "true".to_owned())];
        let mut add = |name: &str, value: String| pairs.push((name.to_owned(), value));
        for field in &self.fields {
            add("fields[]", field.to_string());
        }
        if self.page_size > 0 {
            add("pageSize", self.page_size.to_string());
        }
        if let Some(most) = self.max_records {
            add("maxRecords", most.to_string());
        }
        if let Some(view) = &self.view {
            add("view", view.clone());
        }
        for (place, (field, descending)) in self.sort.iter().enumerate() {
            add(&format!("sort[{place}][field]"), field.to_string());
            add(&format!("sort[{place}][direction]"), direction(*descending).to_owned());
        }
        if let Some(formula) = &self.formula {
            add("filterByFormula", formula.clone());
        }
        if let Some(offset) = &self.offset {
            add("offset", offset.clone());
        }
        pairs
    }

    fn body(&self) -> Value {
        let mut body = json!({ "returnFieldsByFieldId": true });
        let mut add = |name: &str, value: Value| body[name] = value;
        if !self.fields.is_empty() {
            add("fields", json!(self.fields));
        }
        if self.page_size > 0 {
            add("pageSize", self.page_size.into());
        }
        if let Some(most) = self.max_records {
            add("maxRecords", most.into());
        }
        if let Some(view) = &self.view {
            add("view", view.as_str().into());
        }
        if !self.sort.is_empty() {
            let step = |(field, descending): &(FieldId, bool)| json!({ "field": field, "direction": direction(*descending) });
            add("sort", self.sort.iter().map(step).collect());
        }
        if let Some(formula) = &self.formula {
            add("filterByFormula", formula.as_str().into());
        }
        if let Some(offset) = &self.offset {
            add("offset", offset.as_str().into());
        }
        body
    }
}

fn direction(descending: bool) -> &'static str {
    if descending { "desc" } else { "asc" }
}

/// What an upsert did.
#[derive(Debug, Clone, PartialEq)]
pub struct Upserted {
    /// The records, in the order they were sent.
    pub records: Vec<Record>,
    /// Which of them are new.
    pub created: Vec<RecordId>,
    /// Which of them were there.
    pub updated: Vec<RecordId>,
}

#[derive(Deserialize)]
struct Written {
    records: Vec<Record>,
    #[serde(default, rename = "createdRecords")]
    created: Vec<RecordId>,
    #[serde(default, rename = "updatedRecords")]
    updated: Vec<RecordId>,
}

#[derive(Deserialize)]
struct Deleted {
    records: Vec<DeletedRecord>,
}

#[derive(Deserialize)]
struct DeletedRecord {
    id: RecordId,
    #[serde(default)]
    deleted: bool,
}

impl Session {
    /// One page of a table's records. `table` is an id or a name, here and below.
    pub async fn list(
        &self,
        ask: &Ask,
        base: BaseId,
        table: &str,
        query: &ListQuery,
    ) -> Result<Answer<Page>, Error> {
        let shared = &self.airtable.shared;
        let base_text = base.to_string();
        let mut url = shared.url(&[&base_text, table])?;
        url.query_pairs_mut().extend_pairs(query.pairs());
        let request = if url.as_str().len() < MAX_URL {
            Request::get(url, Some(base), READ)
        } else {
            let url = shared.url(&[&base_text, table, "listRecords"])?;
            Request::json(Method::POST, url, Some(base), Repeat::Read, READ, &query.body())?
        };
        self.call(None, ask, &request).await
    }

    /// One record.
    pub async fn get(
        &self,
        ask: &Ask,
        base: BaseId,
        table: &str,
        record: RecordId,
    ) -> Result<Answer<Record>, Error> {
        let mut url = self.airtable.shared.url(&[&base.to_string(), table, &record.to_string()])?;
        url.query_pairs_mut().append_pair("returnFieldsByFieldId", "true");
        self.call(None, ask, &Request::get(url, Some(base), READ)).await
    }

    /// Makes records, at most ten, all or none. Sent again only when it was certainly not carried
    /// out.
    pub async fn create(
        &self,
        permit: Permit,
        ask: &Ask,
        base: BaseId,
        table: &str,
        records: &[Map<String, Value>],
        typecast: bool,
    ) -> Result<Answer<Vec<Record>>, Error> {
        batch(records.len())?;
        let records: Vec<Value> = records.iter().map(|fields| json!({ "fields": fields })).collect();
        let body = json!({ "records": records, "typecast": typecast, "returnFieldsByFieldId": true });
        let written = self.write(permit, ask, base, table, Method::POST, Repeat::Never, &body).await?;
        Ok(written.map(|written| written.records))
    }

    /// Changes records, at most ten; with `replace`, cells that are not named are emptied.
    #[expect(clippy::too_many_arguments, reason = "a request is what it is")]
    pub async fn update(
        &self,
        permit: Permit,
        ask: &Ask,
        base: BaseId,
        table: &str,
        records: &[(RecordId, Map<String, Value>)],
        replace: bool,
        typecast: bool,
    ) -> Result<Answer<Vec<Record>>, Error> {
        batch(records.len())?;
        let sent: Vec<Value> =
            records.iter().map(|(id, fields)| json!({ "id": id, "fields": fields })).collect();
        let body = json!({ "records": sent, "typecast": typecast, "returnFieldsByFieldId": true });
        let method = if replace { Method::PUT } else { Method::PATCH };
        let written = self.write(permit, ask, base, table, method, Repeat::Freely, &body).await?;
        if written.value.records.iter().zip(records).any(|(got, (sent, _))| got.id != *sent) {
            return Err(Error::Unanswered("it answered with other records than were sent".into()));
        }
        Ok(written.map(|written| written.records))
    }

    /// Changes the records that agree in the fields `on`, and makes those that are not there; at
    /// most ten. Sent again only when it was certainly not carried out.
    #[expect(clippy::too_many_arguments, reason = "a request is what it is")]
    pub async fn upsert(
        &self,
        permit: Permit,
        ask: &Ask,
        base: BaseId,
        table: &str,
        on: &[String],
        records: &[(Option<RecordId>, Map<String, Value>)],
        replace: bool,
        typecast: bool,
    ) -> Result<Answer<Upserted>, Error> {
        batch(records.len())?;
        let sent = records.iter().map(|(id, fields)| match id {
            Some(id) => json!({ "id": id, "fields": fields }),
            None => json!({ "fields": fields }),
        });
        let body = json!({
            "performUpsert": { "fieldsToMergeOn": on },
            "records": sent.collect::<Vec<_>>(),
            "typecast": typecast,
            "returnFieldsByFieldId": true,
        });
        let method = if replace { Method::PUT } else { Method::PATCH };
        let written = self.write(permit, ask, base, table, method, Repeat::Never, &body).await?;
        Ok(written.map(|Written { records, created, updated }| Upserted { records, created, updated }))
    }

    #[expect(clippy::too_many_arguments, reason = "a request is what it is")]
    async fn write(
        &self,
        permit: Permit,
        ask: &Ask,
        base: BaseId,
        table: &str,
        method: Method,
        repeat: Repeat,
        body: &Value,
    ) -> Result<Answer<Written>, Error> {
        let url = self.airtable.shared.url(&[&base.to_string(), table])?;
        let request = Request::json(method, url, Some(base), repeat, WRITE, body)?;
        let written: Answer<Written> = self.call(Some(permit), ask, &request).await?;
        let (sent, got) = (body["records"].as_array().map_or(0, Vec::len), written.value.records.len());
        if sent != got {
            return Err(Error::Unanswered(format!("it was sent {sent} records and answered with {got}")));
        }
        Ok(written)
    }

    /// Deletes records, at most ten, all or none; which are gone.
    pub async fn delete(
        &self,
        permit: Permit,
        ask: &Ask,
        base: BaseId,
        table: &str,
        records: &[RecordId],
    ) -> Result<Answer<Vec<RecordId>>, Error> {
        batch(records.len())?;
        let mut url = self.airtable.shared.url(&[&base.to_string(), table])?;
        url.query_pairs_mut().extend_pairs(records.iter().map(|id| ("records[]", id.to_string())));
        let request = Request::delete(url, Some(base), WRITE);
        let read = |answer: &Whole| serde_json::from_slice::<Deleted>(&answer.body);
        let done = match self.exchange(Some(permit), ask, &request, read).await {
            Ok(done) => done,
            // An attempt before this one may have deleted them.
            Err(Ended::Said { answer, uncertain: true }) if answer.is_missing() => {
                return match records {
                    [one] => Ok(Answer { value: vec![*one], server_time: answer.server_time }),
                    _ => Err(Error::Unanswered(
                        "an attempt to delete was not answered, and now some of the records are not there"
                            .into(),
                    )),
                };
            }
            Err(ended) => return Err(self.error(&request, ended)),
        };
        let gone: Vec<RecordId> = done.value.records.iter().filter(|r| r.deleted).map(|r| r.id).collect();
        if !records.iter().all(|id| gone.contains(id)) {
            return Err(Error::Unanswered("it did not say that all records were deleted".into()));
        }
        Ok(Answer { value: gone, server_time: done.server_time })
    }
}

/// Refuses what Airtable would.
fn batch(records: usize) -> Result<(), Error> {
    if (1..=MAX_BATCH).contains(&records) {
        return Ok(());
    }
    Err(Error::NotSent(format!("a request writes 1 to {MAX_BATCH} records, not {records}")))
}
