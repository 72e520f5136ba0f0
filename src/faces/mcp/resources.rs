//! Resources: what there is, and what is in one.

use rmcp::model::{
    Annotations, CacheScope, ErrorData, ListResourceTemplatesResult, ListResourcesResult,
    PaginatedRequestParams, ReadResourceResult, Resource, ResourceContents, ResourceTemplate, Role,
};
use serde_json::Value;
use tablewright_core::model::cell::instant_text;
use tablewright_core::model::{Base, BaseId, RecordId, Reference, Table};
use tablewright_core::{Code, Fault};
use tablewright_door::access::Need;
use tablewright_door::{BaseView, Call, Caller, TableView};
use tablewright_engine::replica::Want;
use tablewright_toolkit::text::{json_shown, shown};

use super::address::{self, Address, BASES, FORMULA_REFERENCE, Place};
use super::documents::{self, Listed, MAX_DOCUMENT};
use super::handler::TTL_MS;
use super::{Parts, pages, refusals, tasks};

/// The formula reference, made from the function tables.
const REFERENCE_TEXT: &str = include_str!("../../../prompts/shared/formula_reference.md");
/// How long a client may keep what a base holds, in milliseconds; a subscription tells sooner.
pub(super) const DATA_TTL_MS: u64 = 1_000;

const JSON: &str = "application/json";
const MARKDOWN: &str = "text/markdown";
const LIST: &str = "resources";

/// What an address leads to.
pub(super) enum Found {
    Bases,
    Base(BaseView),
    Table(TableView),
    /// A table and the slot of a record in it.
    Record(TableView, usize),
}

impl Found {
    /// Where it is.
    pub(super) fn place(&self) -> Place {
        match self {
            Self::Bases => Place::Bases,
            Self::Base(base) => Place::Base(base.schema().id),
            Self::Table(view) => Place::Table(view.base().schema().id, view.schema().id),
            Self::Record(view, slot) => {
                Place::Record(view.base().schema().id, view.schema().id, view.row(*slot).id)
            }
        }
    }
}

/// The right it takes to read what an address names.
pub(super) fn need(address: &Address) -> Option<Need> {
    match address {
        Address::FormulaReference | Address::Task { .. } => None,
        Address::Record { .. } => Some(Need::Read),
        _ => Some(Need::Describe),
    }
}

/// Finds what an address names, if the caller may read it; `None` for the formula reference, and
/// for tasks, which nobody is told of.
pub(super) async fn find(call: &mut Call, address: &Address) -> Result<Option<Found>, Fault> {
    if let Some(need) = need(address) {
        call.caller().rights.require(need)?;
    }
    if !matches!(address, Address::Record { .. }) {
        // Schemas are there before the records are.
        call.want(Want::HELD);
    }
    Ok(Some(match address {
        Address::FormulaReference | Address::Task { .. } => return Ok(None),
        Address::Bases => Found::Bases,
        Address::BaseSchema { base } => Found::Base(call.base(base).await?),
        Address::TableSchema { base, table } => Found::Table(call.table(base, table).await?),
        Address::Record { base, table, record } => {
            let view = call.table(base, table).await?;
            let slot = find_record(&view, record).await?;
            Found::Record(view, slot)
        }
    }))
}

/// The slot of the record with this id, or of the only one with this name.
async fn find_record(view: &TableView, wanted: &str) -> Result<usize, Fault> {
    let table = view.schema();
    let unknown = |hint: &str| {
        let given: String = wanted.chars().take(80).collect();
        let message = format!("table {:?} has no record {given:?}.{hint}", table.name);
        Fault::new(Code::UnknownRecord, message)
    };
    if let Some(id) = Reference::record(wanted) {
        return view.slot(&id).ok_or_else(|| unknown(""));
    }
    let (named, lower) = (view.clone(), wanted.trim().to_lowercase());
    let found: Vec<(usize, RecordId)> = tokio::task::spawn_blocking(move || {
        let mut name = String::new();
        let same = named.slots().filter(|slot| {
            name.clear();
            named.push_name(&mut name, *slot);
            name.trim().to_lowercase() == lower
        });
        same.take(10).map(|slot| (slot, named.row(slot).id)).collect()
    })
    .await
    .map_err(|e| Fault::new(Code::Internal, e.to_string()))?;
    match found.as_slice() {
        [] => Err(unknown(" search_records finds it by its words.")),
        [(slot, _)] => Ok(*slot),
        several => {
            let ids: Vec<String> = several.iter().map(|(_, id)| id.to_string()).collect();
            Err(unknown(&format!(" Several have that name; use an id: {}.", ids.join(", "))))
        }
    }
}

/// The bases a caller may see, with what the list says of them.
async fn listed(call: &Call) -> Result<(Vec<Listed>, usize), Fault> {
    let bases = call.bases();
    let mut listed = Vec::new();
    for (id, _) in bases.iter().take(documents::shown_bases(bases.len())) {
        listed.push(Listed { schema: call.schema(*id).await?, records: call.records(*id) });
    }
    Ok((listed, bases.len()))
}

/// What `resources/read` answers.
pub(super) async fn read(parts: &Parts, caller: Caller, uri: &str) -> Result<ReadResourceResult, ErrorData> {
    let mut call = parts.door().call(caller, "resources/read");
    let Some(address) = Address::parse(uri) else {
        call.finish(Some(Code::InvalidArguments));
        return Err(refusals::no_resource(uri));
    };
    if let Address::Task { id } = &address {
        let found = parts.tasks().get(call.caller(), id).await;
        call.finish(found.as_ref().err().map(|fault| fault.code));
        let document = tasks::document(found.map_err(|fault| refusals::of_resource(&fault, uri))?);
        let contents = ResourceContents::text(json_shown(&document), uri).with_mime_type(JSON);
        let result = ReadResourceResult::new(vec![contents]).with_ttl_ms(0);
        return Ok(result.with_cache_scope(CacheScope::Private));
    }
    let document = async {
        Ok(match find(&mut call, &address).await? {
            None => None,
            Some(found) => {
                let document = match &found {
                    Found::Bases => {
                        let (listed, all) = listed(&call).await?;
                        documents::bases(&listed, all)
                    }
                    Found::Base(base) => documents::base_schema(base.schema(), MAX_DOCUMENT),
                    Found::Table(view) => {
                        documents::table_schema(view.base().schema(), view.schema(), MAX_DOCUMENT)
                    }
                    Found::Record(view, slot) => documents::record(view, *slot),
                };
                Some((found.place(), document))
            }
        })
    };
    let document: Result<_, Fault> = document.await;
    call.finish(document.as_ref().err().map(|fault| fault.code));
    let (contents, ttl) = match document.map_err(|fault| refusals::of_resource(&fault, uri))? {
        None => (ResourceContents::text(REFERENCE_TEXT, FORMULA_REFERENCE).with_mime_type(MARKDOWN), TTL_MS),
        Some((place, document)) => (contents(place, &document), DATA_TTL_MS),
    };
    Ok(ReadResourceResult::new(vec![contents]).with_ttl_ms(ttl).with_cache_scope(CacheScope::Private))
}

/// A document as clients get it.
pub(super) fn contents(place: Place, document: &Value) -> ResourceContents {
    ResourceContents::text(json_shown(document), place.uri()).with_mime_type(JSON)
}

fn notes(audience: &[Role], priority: f32, changed: Option<i64>) -> Annotations {
    let mut notes = Annotations::default().with_audience(audience.to_vec()).with_priority(priority);
    notes.last_modified = changed.map(instant_text);
    notes
}

fn reference() -> Resource {
    Resource::new(FORMULA_REFERENCE, "formula-reference")
        .with_title("Formula reference")
        .with_description("Every function of the formula language with meaning, example and result")
        .with_mime_type(MARKDOWN)
        .with_size(REFERENCE_TEXT.len() as u64)
        .with_annotations(notes(&[Role::Assistant], 0.5, None))
}

fn bases_resource(changed: Option<i64>) -> Resource {
    Resource::new(BASES, "bases")
        .with_title("Bases")
        .with_description("All bases with the number of their tables and records")
        .with_mime_type(JSON)
        .with_annotations(notes(&[Role::User, Role::Assistant], 1.0, changed))
}

fn schema_resource(
    place: Place,
    title: &str,
    about: &str,
    document: &Value,
    changed: Option<i64>,
) -> Resource {
    let title = shown(title);
    Resource::new(place.uri(), title.clone())
        .with_title(title)
        .with_description(about)
        .with_mime_type(JSON)
        .with_size(json_shown(document).len() as u64)
        .with_annotations(notes(&[Role::User, Role::Assistant], 0.8, changed))
}

fn base_resource(base: &Base, changed: Option<i64>) -> Resource {
    let about = "Tables, fields, options and views of a base";
    let title = format!("Schema of {}", base.name);
    schema_resource(Place::Base(base.id), &title, about, &documents::base_schema(base, MAX_DOCUMENT), changed)
}

fn table_resource(base: &Base, table: &Table, changed: Option<i64>) -> Resource {
    let about = "Fields, options and views of a table";
    let title = format!("Schema of {} / {}", base.name, table.name);
    let document = documents::table_schema(base, table, MAX_DOCUMENT);
    schema_resource(Place::Table(base.id, table.id), &title, about, &document, changed)
}

/// What `resources/list` answers: the formula reference, the list of bases, and the schema of
/// each base followed by those of its tables.
pub(super) async fn list(
    parts: &Parts,
    caller: Caller,
    request: Option<&PaginatedRequestParams>,
) -> Result<ListResourcesResult, ErrorData> {
    let after = pages::after(LIST, request)?;
    let call = parts.door().call(caller, "resources/list");
    let page = page_after(parts, &call, after.as_deref()).await;
    call.finish(page.as_ref().err().map(|fault| fault.code));
    let Some((resources, more)) = page.map_err(|fault| refusals::of_arguments(&fault))? else {
        return Err(pages::refused());
    };
    let next = more.then(|| resources.last().map(|last| pages::cursor(LIST, &last.uri))).flatten();
    let mut result = ListResourcesResult::with_all_items(resources)
        .with_ttl_ms(DATA_TTL_MS)
        .with_cache_scope(CacheScope::Private);
    result.next_cursor = next;
    Ok(result)
}

/// The resources after the one with address `after`, and whether there are more; `None` when
/// there is no such one any more. Reads no more schemas than the page shows.
async fn page_after(
    parts: &Parts,
    call: &Call,
    after: Option<&str>,
) -> Result<Option<(Vec<Resource>, bool)>, Fault> {
    let describe = call.caller().rights.describe;
    let bases = call.bases();
    let mut page = Vec::new();
    let mut start = (0, 0);
    match after {
        None => page.push(reference()),
        Some(FORMULA_REFERENCE) => {}
        Some(uri) if uri == BASES => {}
        Some(uri) => match position(call, &bases, uri).await? {
            Some(found) if describe => start = found,
            _ => return Ok(None),
        },
    }
    if !describe {
        return Ok(Some((page, false)));
    }
    if after.is_none() || after == Some(FORMULA_REFERENCE) {
        page.push(bases_resource(parts.watch().changed_last()));
    }
    for (at, (id, _)) in bases.iter().enumerate().skip(start.0) {
        let schema = call.schema(*id).await?;
        let changed = parts.watch().changed_at(*id);
        let first = if at == start.0 { start.1 } else { 0 };
        for item in first..=schema.tables.len() {
            if page.len() == pages::PAGE {
                return Ok(Some((page, true)));
            }
            page.push(match item.checked_sub(1).and_then(|table| schema.tables.get(table)) {
                None => base_resource(&schema, changed),
                Some(table) => table_resource(&schema, table, changed),
            });
        }
    }
    Ok(Some((page, false)))
}

/// The place in the list after the schema at `uri`: which base, and which of its items.
async fn position(
    call: &Call,
    bases: &[(BaseId, String)],
    uri: &str,
) -> Result<Option<(usize, usize)>, Fault> {
    let (base, table) = match Address::parse(uri) {
        Some(Address::BaseSchema { base }) => (base, None),
        Some(Address::TableSchema { base, table }) => (base, Some(table)),
        _ => return Ok(None),
    };
    let Some(at) = bases.iter().position(|(id, _)| id.to_string() == base) else { return Ok(None) };
    let Some(table) = table else { return Ok(Some((at, 1))) };
    let schema = call.schema(bases[at].0).await?;
    let place = schema.tables.iter().position(|t| t.id.to_string() == table);
    Ok(place.map(|place| (at, place + 2)))
}

/// What `resources/templates/list` answers.
pub(super) fn templates(
    caller: &Caller,
    request: Option<&PaginatedRequestParams>,
) -> Result<ListResourceTemplatesResult, ErrorData> {
    let rights = caller.rights;
    let template = |uri: &str, name: &str, title: &str, about: &str, priority: f32| {
        ResourceTemplate::new(uri, name)
            .with_title(title)
            .with_description(about)
            .with_mime_type(JSON)
            .with_annotations(notes(&[Role::User, Role::Assistant], priority, None))
    };
    let mut all = Vec::new();
    if rights.describe {
        all.push(template(
            address::BASE_SCHEMA,
            "base-schema",
            "Schema of a base",
            "Tables, fields, options and views. base: id or name",
            0.8,
        ));
        all.push(template(
            address::TABLE_SCHEMA,
            "table-schema",
            "Schema of a table",
            "Fields, options and views. base, table: id or name",
            0.8,
        ));
    }
    if rights.read {
        all.push(template(
            address::RECORD,
            "record",
            "Record",
            "One record with its cells. base, table: id or name; record: id, or the name if no other record has it",
            0.6,
        ));
    }
    let (templates, next) = pages::page("templates", &all, request, |t| &t.uri_template)?;
    let mut result = ListResourceTemplatesResult::with_all_items(templates)
        .with_ttl_ms(TTL_MS)
        .with_cache_scope(CacheScope::Private);
    result.next_cursor = next;
    Ok(result)
}
