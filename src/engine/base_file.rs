//! Base files: a whole base as one JSON document.
//!
//! `{"base":{"id","name"},"tables":[…],"records":{"tbl…":[{"id","createdTime","fields"}]},"comments":{"rec…":[…]}}`

pub mod beside;

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Write};
use std::sync::Arc;

use rustc_hash::FxHashMap;
use schemars::JsonSchema;
use serde::de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use tablewright_core::model::cell::{instant_text, parse_instant};
use tablewright_core::model::{Base, BaseId, Cell, FieldId, FieldType, RecordId, Table};
use tablewright_core::{Code, Fault, strict};

use crate::base::{Snapshot, TableData};
use crate::compute::{Place, recompute_all, settle};
use crate::local::complete_inverses;

/// A base read from a file, not yet taken in.
pub struct Loaded {
    /// Its schema and rows.
    pub snapshot: Snapshot,
    /// Its comments by record, in order.
    pub comments: Vec<(String, Value)>,
}

#[derive(Deserialize, Serialize, JsonSchema)]
struct Named {
    /// Made when left out.
    #[serde(default = "BaseId::random")]
    #[schemars(!default, with = "Option<BaseId>")]
    id: BaseId,
    name: String,
}

/// A base file as its first pass reads it; its schema is that of the whole file.
#[derive(Deserialize, JsonSchema)]
pub struct BaseFile {
    /// The base itself.
    base: Named,
    /// Its tables, as Airtable's metadata endpoint gives them.
    tables: Vec<Table>,
    /// Comments by record.
    #[serde(default)]
    comments: BTreeMap<String, Vec<Value>>,
    /// Records by table: name or id.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, Vec<Record>>")]
    #[expect(dead_code, reason = "read in a second pass, once the tables are known")]
    records: Option<IgnoredAny>,
}

fn bad(message: impl fmt::Display) -> Fault {
    Fault::new(Code::InvalidFile, format!("this is not a base file: {message}"))
}

/// The fault for a base that cannot be taken in because it is here already.
pub fn is_here(base: BaseId) -> Fault {
    let message =
        format!("base {base} is here already; delete it first with `tablewright base delete {base}`.");
    Fault::new(Code::Conflict, message)
}

/// Reads a base file. `now` (milliseconds) is the creation time of records that give none.
pub fn read(bytes: &[u8], now: i64) -> Result<Loaded, Fault> {
    let text = std::str::from_utf8(bytes).map_err(|e| bad(format_args!("it is not UTF-8 ({e})")))?;
    strict::check(bytes).map_err(bad)?;
    let head: BaseFile = serde_json::from_str(text).map_err(bad)?;
    let mut schema = Base { id: head.base.id, name: head.base.name, tables: head.tables };
    if schema.name.trim().is_empty() {
        return Err(bad("base.name is empty"));
    }
    schema.validate()?;
    settle(&mut schema)?;
    let schema = Arc::new(schema);
    let mut snapshot = Snapshot::empty(schema.clone());
    let mut reader = serde_json::Deserializer::from_str(text);
    reader
        .deserialize_map(Document {
            schema: &schema,
            snapshot: &mut snapshot,
            now: now - now.rem_euclid(1_000),
        })
        .and_then(|()| reader.end())
        .map_err(bad)?;
    number_rows(&mut snapshot);
    complete_inverses(&mut snapshot);
    keep_edits(&mut snapshot);
    recompute_all(&mut snapshot, now);
    let comments = head
        .comments
        .into_iter()
        .flat_map(|(rec, list)| list.into_iter().map(move |c| (rec.clone(), c)))
        .collect();
    Ok(Loaded { snapshot, comments })
}

/// Gives records without an auto number one after the largest of their table.
fn number_rows(snapshot: &mut Snapshot) {
    let schema = snapshot.schema.clone();
    for table in &schema.tables {
        let Some(data) = snapshot.table_mut(table.id) else { continue };
        let numbered: Vec<usize> =
            (0..table.fields.len()).filter(|at| table.fields[*at].kind == FieldType::AutoNumber).collect();
        let mut largest = 0.0_f64;
        for (at, slot) in numbered.iter().flat_map(|at| data.slots().map(move |slot| (*at, slot))) {
            if let Cell::Number(n) = data.cell(slot, at) {
                largest = largest.max(n);
            }
        }
        let mut next = (largest as i64).saturating_add(1);
        let slots: Vec<usize> = data.slots().collect();
        for slot in slots {
            let without: Vec<usize> =
                numbered.iter().copied().filter(|at| data.cell(slot, *at).is_blank()).collect();
            for at in &without {
                data.set(slot, *at, Cell::Number(next as f64));
            }
            next += i64::from(!without.is_empty());
        }
        data.next_auto = next;
    }
}

/// The times of edits that formulas ask for, from what the file has: a last-modified field over the
/// same fields, or a formula that gives nothing else.
fn keep_edits(snapshot: &mut Snapshot) {
    let (schema, plan) = (snapshot.schema.clone(), snapshot.plan.clone());
    for (at, table) in schema.tables.iter().enumerate() {
        for (number, watch) in plan.watches(table.id).iter().enumerate() {
            let ids: Vec<FieldId> = watch.fields.iter().map(|at| table.fields[*at].id).collect();
            let same = |field: usize| match &table.fields[field].kind {
                FieldType::LastModifiedTime { watched, .. } => *watched == ids,
                _ => plan.asks_for(Place { table: at, field }, watch),
            };
            let Some(source) = (0..table.fields.len()).find(|field| same(*field)) else { continue };
            let Some(data) = snapshot.table_mut(table.id) else { continue };
            for slot in 0..data.capacity() {
                if let Cell::Instant(ms) = data.cell(slot, source) {
                    data.set_edited(number, slot, ms);
                }
            }
        }
    }
}

struct Document<'a> {
    schema: &'a Base,
    snapshot: &'a mut Snapshot,
    now: i64,
}

impl<'de> Visitor<'de> for Document<'_> {
    type Value = ();
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with base, tables and records")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            if key == "records" {
                map.next_value_seed(Tables {
                    schema: self.schema,
                    snapshot: &mut *self.snapshot,
                    now: self.now,
                })?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }
}

struct Tables<'a> {
    schema: &'a Base,
    snapshot: &'a mut Snapshot,
    now: i64,
}

impl<'de> DeserializeSeed<'de> for Tables<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Tables<'_> {
    type Value = ();
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("records by table: {\"tbl…\": […]}")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut seen = rustc_hash::FxHashSet::default();
        while let Some(key) = map.next_key::<String>()? {
            let table = self.schema.table(&key).map_err(|f| A::Error::custom(format!("records: {f}")))?;
            if !seen.insert(table.id) {
                return Err(A::Error::custom(format!("records has table {key:?} twice")));
            }
            let mut data = TableData::empty(table);
            map.next_value_seed(Records { table, data: &mut data, now: self.now })?;
            self.snapshot.tables.insert(table.id, Arc::new(data));
        }
        Ok(())
    }
}

struct Records<'a> {
    table: &'a Table,
    data: &'a mut TableData,
    now: i64,
}

impl<'de> DeserializeSeed<'de> for Records<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

#[derive(Deserialize, JsonSchema)]
struct Record {
    /// Made when left out.
    #[serde(default = "RecordId::random")]
    #[schemars(!default, with = "Option<RecordId>")]
    id: RecordId,
    /// ISO time; the time of the import when left out.
    #[serde(default, rename = "createdTime")]
    created_time: Option<String>,
    /// Cells by field name or id, as the Web API gives them.
    #[serde(default)]
    fields: Map<String, Value>,
}

impl<'de> Visitor<'de> for Records<'_> {
    type Value = ();
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of records")
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let Self { table, data, now } = self;
        let mut places: FxHashMap<String, usize> = FxHashMap::default();
        let mut cells: Vec<Cell> = vec![Cell::Blank; table.fields.len()];
        let created_fields: Vec<usize> = (0..table.fields.len())
            .filter(|at| matches!(table.fields[*at].kind, FieldType::CreatedTime { .. }))
            .collect();
        while let Some(record) = list.next_element::<Record>()? {
            let place = || format!("table {:?}, record {}", table.name, record.id);
            if data.slot(&record.id).is_some() {
                return Err(A::Error::custom(format!("{}: the id is there twice", place())));
            }
            let created = match &record.created_time {
                None => now,
                Some(text) => parse_instant(text).ok_or_else(|| {
                    A::Error::custom(format!("{}: createdTime {text:?} is not an ISO time", place()))
                })?,
            };
            for (name, value) in &record.fields {
                let at = match places.get(name) {
                    Some(at) => *at,
                    None => {
                        let field =
                            table.field(name).map_err(|f| A::Error::custom(format!("{}: {f}", place())))?;
                        let at = table.field_index(field.id).unwrap_or_default();
                        places.insert(name.clone(), at);
                        at
                    }
                };
                cells[at] = Cell::from_json(&table.fields[at], value);
            }
            for at in &created_fields {
                if matches!(cells[*at], Cell::Blank) {
                    cells[*at] = Cell::Instant(created);
                }
            }
            let position = data.next_position;
            data.load(record.id, created, position, cells.iter_mut().map(std::mem::take));
        }
        Ok(())
    }
}

/// Writes a base as a base file. `names` are the paths of the files that lie beside it.
pub fn write(
    snapshot: &Snapshot,
    comments: &[(String, Value)],
    names: &beside::Names,
    mut out: impl Write,
) -> io::Result<()> {
    let base = &snapshot.schema;
    out.write_all(b"{\"base\":")?;
    serde_json::to_writer(&mut out, &Named { id: base.id, name: base.name.clone() })?;
    out.write_all(b",\n\"tables\":")?;
    serde_json::to_writer(&mut out, &base.tables)?;
    out.write_all(b",\n\"records\":{")?;
    for (n, table) in base.tables.iter().enumerate() {
        let Some(data) = snapshot.tables.get(&table.id) else { continue };
        write!(out, "{}\n\"{}\":[", if n > 0 { "," } else { "" }, table.id)?;
        for (n, slot) in data.slots().enumerate() {
            out.write_all(if n > 0 { b",\n" } else { b"\n" })?;
            let row = data.row(slot);
            let mut fields = Map::new();
            for (at, field) in table.fields.iter().enumerate() {
                if let Some(value) = data.cell(slot, at).to_json(field) {
                    let is_files = field.kind == FieldType::Attachments;
                    let value = if is_files { beside::named(value, names) } else { value };
                    fields.insert(field.name.clone(), value);
                }
            }
            let record =
                serde_json::json!({"id": row.id, "createdTime": instant_text(row.created), "fields": fields});
            serde_json::to_writer(&mut out, &record)?;
        }
        out.write_all(b"]")?;
    }
    out.write_all(b"}")?;
    if !comments.is_empty() {
        let mut grouped: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
        for (record, comment) in comments {
            grouped.entry(record).or_default().push(comment);
        }
        out.write_all(b",\n\"comments\":")?;
        serde_json::to_writer(&mut out, &grouped)?;
    }
    out.write_all(b"}\n")?;
    out.flush()
}
