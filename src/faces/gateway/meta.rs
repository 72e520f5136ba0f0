//! Looking at bases, tables, fields and views.

use serde_json::{Map, Value, json};
use tablewright_core::Code;
use tablewright_core::model::cell::instant_text;
use tablewright_core::model::id::BaseKind;
use tablewright_core::model::{BaseId, Field, Table, View, ViewId};
use tablewright_door::access::Need;
use tablewright_door::{BaseView, Call, Rights};
use tablewright_engine::local::fill_in;

use super::Gateway;
use super::list::require;
use super::offset::Lost;
use super::query::{Pairs, unknown};
use super::refusal::{Refusal, While};

/// Bases of a page.
const BASES_PER_PAGE: usize = 1_000;

/// `GET /meta/whoami`
pub(super) fn who_am_i(call: &Call) -> String {
    let person = call.caller().person();
    let mut who = Map::from_iter([("id".to_owned(), json!(person.id))]);
    if call.caller().rights.email {
        who.insert("email".into(), person.email.into());
    }
    Value::Object(who).to_string()
}

/// What Airtable calls the rights of a caller in a base.
fn permission_level(call: &Call, base: BaseId) -> &'static str {
    match call.rights_in(base) {
        Rights { schema: true, .. } => "create",
        Rights { write: true, .. } => "edit",
        Rights { write_comments: true, .. } => "comment",
        Rights { read: true, .. } => "read",
        _ => "none",
    }
}

/// `GET /meta/bases`
pub(super) fn list_bases(gateway: &Gateway, call: &Call, pairs: &Pairs) -> Result<String, Refusal> {
    let mut offset = None;
    for (key, value) in pairs.iter() {
        let key = key?;
        if !key.is("offset") {
            return Err(unknown(key.name));
        }
        offset = (!value.is_empty()).then_some(value);
    }
    let (now, query) = (call.now(), gateway.offsets.digest(&"bases"));
    let last = offset.map(|text| {
        gateway.offsets.read_last::<BaseKind>(text, query, now).map_err(|lost| match lost {
            Lost::Garbage => Refusal::offset(text),
            Lost::Gone => Refusal::iterator(),
        })
    });
    let last = last.transpose()?;
    require(call, Need::Describe)?;
    let bases = call.bases();
    let start = match last {
        None => 0,
        Some(last) => 1 + bases.iter().position(|(id, _)| *id == last).ok_or_else(Refusal::iterator)?,
    };
    let listed = bases.iter().skip(start).take(BASES_PER_PAGE);
    let list: Vec<Value> = listed
        .map(|(id, name)| json!({ "id": id, "name": name, "permissionLevel": permission_level(call, *id) }))
        .collect();
    let mut answer = Map::from_iter([("bases".to_owned(), Value::Array(list))]);
    let end = start + BASES_PER_PAGE;
    if let Some((last, _)) = bases.get(end - 1).filter(|_| end < bases.len()) {
        answer.insert("offset".into(), gateway.offsets.write_last(*last, query, now).into());
    }
    Ok(Value::Object(answer).to_string())
}

/// The parts named by `include`, with or without brackets; refuses all but these.
fn included(pairs: &Pairs, known: &[&str]) -> Result<Vec<String>, Refusal> {
    let mut parts = Vec::new();
    for (key, value) in pairs.iter() {
        let key = key?;
        if key.name != "include" || key.part.is_some() {
            return Err(unknown(key.name));
        }
        if !known.contains(&value) {
            return Err(Refusal::parameter(format_args!("include takes {}", known.join(", "))));
        }
        parts.push(value.to_owned());
    }
    Ok(parts)
}

/// The base as the caller sees it.
pub(super) async fn base(call: &mut Call, base: BaseId) -> Result<BaseView, Refusal> {
    call.base(&base.to_string()).await.map_err(|fault| Refusal::of(&fault, While::Reading))
}

/// `GET /meta/bases/{base}`
pub(super) async fn get_base(call: &mut Call, id: BaseId, pairs: &Pairs) -> Result<String, Refusal> {
    let parts = included(pairs, &["collaborators", "inviteLinks", "interfaces", "packages"])?;
    require(call, Need::Describe)?;
    let view = base(call, id).await?;
    let created = call.created(&view).await.map_err(|fault| Refusal::of(&fault, While::Reading))?;
    let level = permission_level(call, id);
    let mut answer = json!({
        "id": id, "name": view.schema().name, "createdTime": instant_text(created),
        "permissionLevel": level, "workspaceId": call.workspace_of(id),
    });
    // Bases that live here are shared by tokens alone.
    for part in parts {
        match part.as_str() {
            "collaborators" => {
                let nobody = json!({ "baseCollaborators": [], "workspaceCollaborators": [] });
                for kind in ["individualCollaborators", "groupCollaborators", "collaborators"] {
                    answer[kind] = nobody.clone();
                }
            }
            "inviteLinks" => {
                answer["inviteLinks"] = json!({ "baseInviteLinks": [], "workspaceInviteLinks": [] });
            }
            "interfaces" => answer["interfaces"] = json!({}),
            _ => answer["packageInstallations"] = json!([]),
        }
    }
    Ok(answer.to_string())
}

/// `GET /meta/bases/{base}/tables`
pub(super) async fn list_tables(call: &mut Call, id: BaseId, pairs: &Pairs) -> Result<String, Refusal> {
    let visible = !included(pairs, &["visibleFieldIds"])?.is_empty();
    require(call, Need::Describe)?;
    let view = base(call, id).await?;
    let tables = view.schema().tables.iter();
    let tables: Vec<Value> = if view.is_cloud() {
        tables.map(|table| as_airtable_gave_it(table, visible)).collect()
    } else {
        tables.map(|table| table_json(table, visible)).collect()
    };
    Ok(json!({ "tables": tables }).to_string())
}

/// `GET /meta/bases/{base}/views`
pub(super) async fn list_views(call: &mut Call, id: BaseId, pairs: &Pairs) -> Result<String, Refusal> {
    let visible = !included(pairs, &["visibleFieldIds"])?.is_empty();
    require(call, Need::Describe)?;
    let view = base(call, id).await?;
    let tables = view.schema().tables.iter();
    let views: Vec<Value> =
        tables.flat_map(|table| table.views.iter().map(move |v| view_json(table, v, visible))).collect();
    Ok(json!({ "views": views }).to_string())
}

/// `GET /meta/bases/{base}/views/{view}`
pub(super) async fn get_view(
    call: &mut Call,
    id: BaseId,
    wanted: ViewId,
    pairs: &Pairs,
) -> Result<String, Refusal> {
    let visible = !included(pairs, &["visibleFieldIds"])?.is_empty();
    require(call, Need::Describe)?;
    let view = base(call, id).await?;
    let (table, found) = find_view(&view, wanted)?;
    Ok(view_json(table, found, visible).to_string())
}

/// A view of any table of a base.
pub(super) fn find_view(view: &BaseView, wanted: ViewId) -> Result<(&Table, &View), Refusal> {
    let mut tables = view.schema().tables.iter();
    let found = tables.find_map(|table| Some((table, table.views.iter().find(|v| v.id == wanted)?)));
    found.ok_or_else(|| Refusal::not_permitted(Code::UnknownView))
}

/// A table as the Web API gives it.
pub(super) fn table_json(table: &Table, visible: bool) -> Value {
    let mut out = Map::new();
    out.insert("id".into(), json!(table.id));
    out.insert("name".into(), json!(table.name));
    describe(&mut out, table.description.as_deref());
    out.insert("primaryFieldId".into(), json!(table.primary_field_id));
    out.insert("fields".into(), table.fields.iter().map(field_json).collect());
    out.insert("views".into(), table.views.iter().map(|view| view_json(table, view, visible)).collect());
    Value::Object(out)
}

/// A table of a copy, with everything Airtable said of it.
fn as_airtable_gave_it(table: &Table, visible: bool) -> Value {
    let mut out = json!(table);
    let views = out.get_mut("views").and_then(Value::as_array_mut);
    for view in views.into_iter().flatten().filter_map(Value::as_object_mut).filter(|_| !visible) {
        view.remove("visibleFieldIds");
    }
    out
}

fn describe(out: &mut Map<String, Value>, description: Option<&str>) {
    if let Some(text) = description.filter(|text| !text.is_empty()) {
        out.insert("description".into(), text.into());
    }
}

/// A field as the Web API gives it.
pub(super) fn field_json(field: &Field) -> Value {
    let mut out = Map::new();
    out.insert("id".into(), json!(field.id));
    out.insert("name".into(), json!(field.name));
    out.insert("type".into(), json!(field.type_name));
    describe(&mut out, field.description.as_deref());
    let mut options = field.options.clone().unwrap_or_default();
    // Base files may leave out what Airtable always gives.
    fill_in(&field.type_name, &mut options);
    if !options.is_empty() {
        out.insert("options".into(), Value::Object(options));
    }
    Value::Object(out)
}

fn view_json(table: &Table, view: &View, visible: bool) -> Value {
    let mut out = json!({ "id": view.id, "name": view.name, "type": view.kind });
    if visible && view.kind == "grid" {
        let all = || table.fields.iter().map(|field| field.id).collect();
        out["visibleFieldIds"] = json!(view.visible_field_ids.clone().unwrap_or_else(all));
    }
    out
}
