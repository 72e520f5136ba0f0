//! Reading records: pages of a table, and one by id.

use tablewright_core::Code;
use tablewright_core::model::{BaseId, RecordId, Table, View, ViewId};
use tablewright_door::access::Need;
use tablewright_door::{Call, TableView};

use super::Gateway;
use super::json::{RecordWriter, push_string};
use super::page::List;
use super::pages::Pages;
use super::params::{ListParams, Shape};
use super::refusal::{Refusal, While};
use super::upload::Addresses;

/// Bytes from which a page ends early; the rest comes with the next one.
const MAX_ANSWER: usize = 32 << 20;

/// Refuses whoever may not read records.
pub(super) fn require(call: &Call, need: Need) -> Result<(), Refusal> {
    call.caller().rights.require(need).map_err(|fault| Refusal::of(&fault, While::Reading))
}

/// The table of a base as the caller sees it.
pub(super) async fn table(call: &mut Call, base: BaseId, table: &str) -> Result<TableView, Refusal> {
    call.table(&base.to_string(), table).await.map_err(|fault| Refusal::of(&fault, While::Reading))
}

/// `GET /{base}/{table}` and its form with a body.
pub(super) async fn list(
    gateway: &Gateway,
    call: &mut Call,
    base: BaseId,
    wanted: &str,
    params: ListParams,
    addresses: &Addresses,
) -> Result<String, Refusal> {
    require(call, Need::Read)?;
    let view = table(call, base, wanted).await?;
    let is_copy = view.base().is_cloud();
    // A copy knows the views' names, but not which rows they show.
    if is_copy && params.view.is_some() {
        return Err(Refusal::not_in_copy());
    }
    let places = params.fields.as_deref().map(|names| places(view.schema(), names)).transpose()?;
    let named = params.view.as_deref().map(|name| find_view(&view, name)).transpose()?;
    let list = List::new(gateway, &view, named, &params, call.now())?;
    if is_copy {
        let is_known = |field| call.knows_names(&view, field) && !view.is_timely(field);
        let is_known = !list.asks_for_edits() && list.reads().all(is_known);
        if !is_known || !is_shown(call, &view, places.as_deref(), &params.shape) {
            return Err(Refusal::not_in_copy());
        }
    }
    let page = list.page(params.offset.as_deref()).await?;
    let counts = if params.comment_count {
        let ids: Vec<RecordId> = page.slots.iter().map(|slot| view.row(*slot).id).collect();
        let counts = call.comment_counts(&view, &ids).await;
        Some(counts.map_err(|fault| Refusal::of(&fault, While::Reading))?)
    } else {
        None
    };
    let key = match counts {
        None => Pages::key(&view, places.as_deref(), params.shape, &page.slots),
        Some(_) => None,
    };
    let mut out = String::from("{\"records\":[");
    let mut written = page.slots.len();
    if let Some(text) = key.as_ref().and_then(|key| gateway.pages.get(key)) {
        out.reserve(text.len() + 100);
        out.push_str(&text);
    } else {
        let writer = RecordWriter::new(&view, places.as_deref(), params.shape, addresses);
        out.reserve(page.slots.len() * writer.record_size());
        let start = out.len();
        for (at, slot) in page.slots.iter().enumerate() {
            if at > 0 {
                out.push(',');
            }
            let count = counts.as_ref().and_then(|counts| counts.get(&view.row(*slot).id).copied());
            writer.record(&mut out, *slot, count);
            if out.len() > MAX_ANSWER {
                written = at + 1;
                break;
            }
        }
        if let Some(key) = key.filter(|_| written == page.slots.len()) {
            gateway.pages.keep(key, &out[start..]);
        }
    }
    out.push(']');
    if let Some(offset) = list.next(&page, written)? {
        out.push_str(",\"offset\":");
        push_string(&mut out, &offset);
    }
    out.push('}');
    Ok(out)
}

/// `GET /{base}/{table}/{record}`; a record of another table of the base is found too.
pub(super) async fn get(
    call: &mut Call,
    base: BaseId,
    wanted: &str,
    record: RecordId,
    shape: Shape,
    addresses: &Addresses,
) -> Result<String, Refusal> {
    require(call, Need::Read)?;
    let view = table(call, base, wanted).await?;
    let found = match view.slot(&record) {
        Some(slot) => Some((view, slot)),
        None => view.base().tables().find_map(|other| other.slot(&record).map(|slot| (other, slot))),
    };
    let (view, slot) = found.ok_or_else(|| Refusal::not_permitted(Code::UnknownRecord))?;
    if view.base().is_cloud() && !is_shown(call, &view, None, &shape) {
        return Err(Refusal::not_in_copy());
    }
    let writer = RecordWriter::new(&view, None, shape, addresses);
    let mut out = String::with_capacity(writer.record_size());
    writer.record(&mut out, slot, None);
    Ok(out)
}

/// Whether a copy has all that these fields show in this shape, as new as it has to be.
fn is_shown(call: &mut Call, view: &TableView, places: Option<&[usize]>, shape: &Shape) -> bool {
    let some = |is: &dyn Fn(usize) -> bool| match places {
        Some(places) => places.iter().any(|field| is(*field)),
        None => (0..view.schema().fields.len()).any(is),
    };
    let named = shape.text.is_none() || !some(&|field| !call.knows_names(view, field));
    let timely = some(&|field| view.is_timely(field));
    !shape.link_objects && named && (!timely || call.may_be_as_old_as_listed(view))
}

fn places(table: &Table, names: &[String]) -> Result<Vec<usize>, Refusal> {
    let mut places = Vec::with_capacity(names.len());
    for name in names {
        let field = table.field(name).map_err(|_| Refusal::field(name))?;
        let at = table.field_index(field.id).unwrap_or_default();
        if !places.contains(&at) {
            places.push(at);
        }
    }
    Ok(places)
}

fn find_view<'v>(view: &'v TableView, wanted: &str) -> Result<&'v View, Refusal> {
    view.schema().view(wanted).map_err(|_| {
        let elsewhere =
            |id: ViewId| view.base().schema().tables.iter().any(|t| t.views.iter().any(|v| v.id == id));
        match wanted.parse::<ViewId>() {
            Ok(id) if elsewhere(id) => Refusal::mismatch(),
            _ => Refusal::view(wanted),
        }
    })
}
