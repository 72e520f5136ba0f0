//! Bases that live in Airtable: what the copy answers, and what is passed on.
//!
//! Reads are answered from the copy where that gives what Airtable would give. What it cannot know
//! (views, comments, tables that are not copied, names it has not heard of) is asked of Airtable,
//! and so is everything that is not about records. The caller's rights are checked first; nothing
//! of the caller's request goes on but its path, its query and its body.

use axum::body::{Body, Bytes};
use axum::http::Method;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, percent_encode};
use serde_json::{Map, Value};
use tablewright_core::model::{BaseId, TableId, WebhookId};
use tablewright_core::{Code, Fault};
use tablewright_door::Call;
use tablewright_door::access::Need;
use tablewright_door::live::{Forwarded, Passed, Touches};

use super::Gateway;
use super::body::Sent;
use super::list::require;
use super::query::Pairs;
use super::refusal::{Refusal, While};
use super::reply::Reply;
use super::route::Route;
use super::webhooks::Ask;

/// What stands for itself in a part of a path.
const PART: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// What an endpoint that is not known here may do.
const ANY_READ: &[Need] = &[Need::Describe, Need::Read, Need::ReadComments];
const ANY: &[Need] = &[
    Need::Describe,
    Need::Read,
    Need::Write,
    Need::Delete,
    Need::Schema,
    Need::Remove,
    Need::ReadComments,
    Need::WriteComments,
    Need::Webhooks,
];

fn refused(fault: Fault) -> Refusal {
    Refusal::of(&fault, While::Reading)
}

/// Answers a request about a base that lives in Airtable.
pub(super) async fn answer(
    gateway: &Gateway,
    call: &mut Call,
    base: BaseId,
    route: Route,
    sent: Sent<'_>,
) -> Result<Reply, Refusal> {
    match &route {
        Route::ListRecords(_, table) | Route::ListByPost(_, table) | Route::GetRecord(_, table, _) => {
            require(call, Need::Read)?;
            let here = call.is_here(base, table).await.map_err(refused)?;
            read(gateway, call, base, route, sent, here).await
        }
        Route::ListTables(_) => {
            require(call, Need::Describe)?;
            let here = call.replica().copies_all(base) && call.replica().is_schema_settled(base);
            read(gateway, call, base, route, sent, here).await
        }
        Route::CreateRecords(_, table)
        | Route::UpdateRecords(_, table, _)
        | Route::UpdateRecord(_, table, ..)
        | Route::DeleteRecords(_, table)
        | Route::DeleteRecord(_, table, _)
            if call.is_here(base, table).await.map_err(refused)? =>
        {
            gateway.run(call, route, sent).await.map(Reply::Own)
        }
        Route::DeleteBase(_) => gateway.run(call, route, sent).await.map(Reply::Own),
        Route::CreateTable(_) => {
            let made = pass_on(call, base, &route, sent).await?;
            if let Some(table) = made_table(&made) {
                call.adopt(base, table).await.map_err(refused)?;
            }
            Ok(Reply::Airtables(made))
        }
        Route::Webhooks(_, ask) => {
            let ask = *ask;
            if let Ask::Delete(id) | Ask::Enable(id) | Ask::Refresh(id) | Ask::Payloads(id) = ask {
                require(call, Need::Webhooks)?;
                not_our_own(call, base, id).await?;
            }
            let answer = pass_on(call, base, &route, sent).await?;
            let answer = if ask == Ask::List { without_our_own(call, base, answer).await? } else { answer };
            Ok(Reply::Airtables(answer))
        }
        _ => pass_on(call, base, &route, sent).await.map(Reply::Airtables),
    }
}

/// Answers from the copy, or passes on what it cannot answer.
async fn read(
    gateway: &Gateway,
    call: &mut Call,
    base: BaseId,
    route: Route,
    mut sent: Sent<'_>,
    here: bool,
) -> Result<Reply, Refusal> {
    let body = if matches!(route, Route::ListByPost(..)) { sent.bytes().await? } else { Bytes::new() };
    if here {
        let again = Sent { body: Body::from(body.clone()), ..sent };
        match gateway.run(call, route.clone(), again).await {
            Err(refusal) if may_be_otherwise(refusal.code) => {}
            answer => return answer.map(Reply::Own),
        }
    }
    let sent = Sent { body: Body::from(body), ..sent };
    pass_on(call, base, &route, sent).await.map(Reply::Airtables)
}

/// Whether Airtable may say something else than the copy: it may know what the copy does not, and
/// whose words a refusal has is its own matter.
fn may_be_otherwise(code: Code) -> bool {
    matches!(
        code,
        Code::NotReady
            | Code::UnknownTable
            | Code::UnknownField
            | Code::UnknownView
            // A write may have made it beside what was written; and in a base a record is found
            // through any table, copied or not.
            | Code::UnknownRecord
            | Code::InvalidArguments
            | Code::InvalidCursor
    )
}

async fn pass_on(
    call: &mut Call,
    base: BaseId,
    route: &Route,
    mut sent: Sent<'_>,
) -> Result<Forwarded, Refusal> {
    let path = path_of(sent.path, sent.query).ok_or_else(Refusal::no_route)?;
    let (needs, touches) = bearing(route, sent.method);
    // What may not be done is refused before its body is waited for.
    needs.iter().try_for_each(|need| require(call, *need))?;
    let body = sent.bytes().await?;
    if reads_counts(route, sent.query, &body)? {
        require(call, Need::ReadComments)?;
    }
    let kind = match sent.kind() {
        "" => "application/json",
        kind => kind,
    };
    let passed = Passed {
        method: sent.method.clone(),
        path,
        body: (!body.is_empty()).then(|| (body, kind.to_owned())),
        touches,
    };
    let answer = call.pass_on(base, needs, passed).await.map_err(refused)?;
    if (300..400).contains(&answer.status) {
        // Where it leads to is Airtable's to say, and clients would take their token there.
        let fault = Fault::new(Code::UpstreamUnavailable, "Airtable answered with a redirect.");
        return Err(refused(fault));
    }
    Ok(answer)
}

/// The rights a request needs, wherever its base lives.
pub(super) fn needs(route: &Route, method: &Method) -> &'static [Need] {
    match route {
        Route::WhoAmI | Route::ListBases => &[],
        Route::CreateBase => &[Need::Schema],
        Route::DeleteBase(_) => &[Need::Remove],
        _ => bearing(route, method).0,
    }
}

/// The rights a request needs that is passed on, and what it may change.
fn bearing(route: &Route, method: &Method) -> (&'static [Need], Touches) {
    use Need::{Delete, Describe, Read, ReadComments, Schema, Write, WriteComments};
    match route {
        Route::ListRecords(..) | Route::ListByPost(..) | Route::GetRecord(..) => (&[Read], Touches::Nothing),
        Route::GetBase(_) | Route::ListTables(_) | Route::ListViews(_) | Route::GetView(..) => {
            (&[Describe], Touches::Nothing)
        }
        Route::CreateRecords(..) | Route::UpdateRecords(..) | Route::UpdateRecord(..) => {
            (&[Write], Touches::Records)
        }
        Route::Upload(_, record, _) => (&[Write], Touches::Record(*record)),
        Route::DeleteRecords(..) | Route::DeleteRecord(..) => (&[Delete], Touches::Records),
        Route::SyncCsv(..) => (&[Write, Schema], Touches::Records),
        Route::CreateTable(_)
        | Route::UpdateTable(..)
        | Route::CreateField(..)
        | Route::UpdateField(..)
        | Route::DeleteView(..) => (&[Schema], Touches::Schema),
        Route::ListComments(..) => (&[ReadComments], Touches::Nothing),
        Route::AddComment(..) | Route::EditComment(..) | Route::DeleteComment(..) => {
            (&[WriteComments], Touches::Nothing)
        }
        // What a webhook tells of is known to Airtable alone.
        Route::Webhooks(_, Ask::Create | Ask::Payloads(_)) => {
            (&[Need::Webhooks, Read, Describe], Touches::Nothing)
        }
        Route::Webhooks(..) => (&[Need::Webhooks], Touches::Nothing),
        Route::Other(_) if *method == Method::GET || *method == Method::HEAD => (ANY_READ, Touches::Nothing),
        Route::Other(_) => (ANY, Touches::Schema),
        Route::WhoAmI | Route::ListBases | Route::CreateBase | Route::DeleteBase(_) => {
            (ANY, Touches::Nothing)
        }
    }
}

/// Whether a list asks how many comments there are.
fn reads_counts(route: &Route, query: Option<&str>, body: &Bytes) -> Result<bool, Refusal> {
    const NAME: &str = "recordMetadata";
    if !matches!(route, Route::ListRecords(..) | Route::ListByPost(..)) {
        return Ok(false);
    }
    if Pairs::of(query)?.names().any(|name| name.starts_with(NAME)) {
        return Ok(true);
    }
    let body = serde_json::from_slice::<Map<String, Value>>(body).unwrap_or_default();
    Ok(body.contains_key(NAME))
}

/// The path and query as they are passed on. Each part is decoded and encoded again, so that
/// nothing in it can lead elsewhere than the route that was checked.
fn path_of(path: &str, query: Option<&str>) -> Option<String> {
    let rest = path.strip_prefix("/v0/")?;
    let mut out = String::with_capacity(path.len() + query.map_or(0, |query| query.len() + 1));
    out.push_str("/v0");
    for part in rest.strip_suffix('/').unwrap_or(rest).split('/') {
        let part: Vec<u8> = percent_decode_str(part).collect();
        if matches!(part.as_slice(), b"" | b"." | b"..") {
            return None;
        }
        out.push('/');
        out.extend(percent_encode(&part, PART));
    }
    if let Some(query) = query.filter(|query| !query.is_empty()) {
        out.push('?');
        out.push_str(query);
    }
    Some(out)
}

/// The table an answer says was made.
fn made_table(answer: &Forwarded) -> Option<TableId> {
    let made: Value = serde_json::from_slice(&answer.body).ok().filter(|_| answer.status < 300)?;
    made.get("id")?.as_str()?.parse().ok()
}

/// The webhook the copy hears of changes by is not for others.
async fn not_our_own(call: &Call, base: BaseId, id: WebhookId) -> Result<(), Refusal> {
    if call.is_own_webhook(base, &id.to_string()).await.map_err(refused)? {
        return Err(Refusal::not_permitted(Code::UnknownWebhook));
    }
    Ok(())
}

/// A list of webhooks as others see it.
async fn without_our_own(call: &Call, base: BaseId, answer: Forwarded) -> Result<Forwarded, Refusal> {
    let Ok(Value::Object(mut list)) = serde_json::from_slice(&answer.body) else { return Ok(answer) };
    let Some(Value::Array(all)) = list.get_mut("webhooks") else { return Ok(answer) };
    let mut kept = Vec::with_capacity(all.len());
    for hook in all.drain(..) {
        let id = hook.get("id").and_then(Value::as_str).unwrap_or_default();
        if !call.is_own_webhook(base, id).await.map_err(refused)? {
            kept.push(hook);
        }
    }
    *all = kept;
    Ok(Forwarded { body: Value::Object(list).to_string().into(), ..answer })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn paths_are_passed_on_and_lead_nowhere_else() {
        for (path, query, wanted) in [
            ("/v0/appX/T", None, Some("/v0/appX/T")),
            ("/v0/appX/T/", Some(""), Some("/v0/appX/T")),
            (
                "/v0/appX/My%20Table%2F1",
                Some("a=b+c&d%5B%5D=e"),
                Some("/v0/appX/My%20Table%2F1?a=b+c&d%5B%5D=e"),
            ),
            ("/v0/appX/caf\u{e9}", None, Some("/v0/appX/caf%C3%A9")),
            ("/v0/appX/a\\..\\b", None, Some("/v0/appX/a%5C..%5Cb")),
            ("/v0/appX/..", None, None),
            ("/v0/appX/%2e%2E/x", None, None),
            ("/v0/appX/./x", None, None),
            ("/v0/appX//x", None, None),
            ("/elsewhere", None, None),
        ] {
            assert_eq!(path_of(path, query).as_deref(), wanted, "{path}");
        }
    }

    #[test]
    fn counts_of_comments_are_noticed() {
        let list = Route::ListRecords(BaseId::random(), "T".into());
        let counts = |query, body: &'static str| reads_counts(&list, query, &Bytes::from(body)).unwrap();
        assert!(counts(Some("a=b&recordMetadata%5B%5D=commentCount"), ""));
        assert!(counts(None, "{\"recordMetadata\": [\"commentCount\"]}"));
        assert!(!counts(Some("a=recordMetadata"), "{\"view\": \"recordMetadata\"}"));
    }

    proptest! {
        #[test]
        fn no_path_leads_out(path in "/v0/appX(/([a-z]|%2e|%2f|\\.|\\\\|%5c){0,4}){0,4}") {
            if let Some(path) = path_of(&path, None) {
                prop_assert!(path.starts_with("/v0/appX"));
                prop_assert!(path.split('/').all(|part| part != ".." && part != "."));
            }
        }
    }
}
