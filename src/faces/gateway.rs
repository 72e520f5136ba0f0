//! The REST face: Airtable's Web API under `/v0`, over the bases that live here and in front of
//! those that live in Airtable.
//!
//! A request is checked in Airtable's order: the path (404), the token (401), what the request
//! itself says (422), whether the caller may see what it names (403), and then what needs the
//! table (422).

mod body;
mod comments;
mod json;
mod kept;
mod list;
mod live;
mod meta;
mod offset;
mod page;
mod pages;
mod params;
mod query;
mod rates;
mod refusal;
mod reply;
mod route;
mod schema;
mod text;
mod upload;
mod webhooks;
mod write;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{USER_AGENT, WWW_AUTHENTICATE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;
use axum::routing::any;
use serde::{Deserialize, Serialize};
use tablewright_door::oauth::Verified;
use tablewright_door::{Call, Caller, Door, Webhooks};

use self::body::Sent;
use self::kept::Kept;
use self::offset::Offsets;
use self::pages::Pages;
use self::query::Pairs;
use self::rates::Rates;
use self::refusal::Refusal;
use self::reply::Reply;
use self::route::Route;
use self::upload::Addresses;
use crate::http::{Entered, Guard, NotLetIn};

/// Characters of a program's name that are kept.
const MAX_CLIENT: usize = 100;

/// Longest URL, in characters, as in Airtable.
const MAX_URL: usize = 16_000;

/// Longest time of a setting: a day.
const MAX_SECONDS: u64 = 86_400;

/// Settings of the REST face.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Seconds an `offset` can be used after it was given out (0 to 86,400).
    pub offset_seconds: u64,
    /// Refuse more than 5 requests a second for a base and 50 for a token, as Airtable does.
    pub emulate_limits: bool,
    /// Seconds everything is refused after a request too many (0 to 86,400).
    pub penalty_seconds: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { offset_seconds: 600, emulate_limits: false, penalty_seconds: 30 }
    }
}

impl Options {
    /// Refuses values that are out of range: the setting and what is wrong with it.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        let seconds = [("offset_seconds", self.offset_seconds), ("penalty_seconds", self.penalty_seconds)];
        match seconds.into_iter().find(|(_, value)| *value > MAX_SECONDS) {
            Some((key, _)) => Err((key, format!("it must be 0 to {MAX_SECONDS}"))),
            None => Ok(()),
        }
    }
}

/// The REST face of one door.
pub struct Gateway {
    door: Door,
    webhooks: Webhooks,
    guard: Guard,
    offsets: Offsets,
    kept: Kept,
    pages: Pages,
    rates: Option<Rates>,
}

impl Gateway {
    /// The face for callers that `guard` lets in.
    pub fn new(door: Door, webhooks: Webhooks, guard: Guard, options: &Options) -> Self {
        let offsets = Offsets::new(options.offset_seconds);
        let kept = Kept::new(offsets.idle_ms());
        let rates = options.emulate_limits.then(|| Rates::new(options.penalty_seconds));
        Self { door, webhooks, guard, offsets, kept, pages: Pages::new(), rates }
    }
}

/// Everything under `/v0`.
pub fn router(gateway: Arc<Gateway>) -> Router {
    Router::new()
        .route("/v0", any(handle))
        .route("/v0/", any(handle))
        .route("/v0/{*path}", any(handle))
        .with_state(gateway)
}

/// The program that asks, as it names itself.
fn program(headers: &HeaderMap) -> Arc<str> {
    let named = headers.get(USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    named.get(..MAX_CLIENT).unwrap_or(named).into()
}

/// An answer that, when it has this status, says how to get in.
fn challenged(mut response: Response, status: StatusCode, challenge: Option<HeaderValue>) -> Response {
    if let Some(challenge) = challenge.filter(|_| response.status() == status) {
        response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
    }
    response
}

async fn handle(State(gateway): State<Arc<Gateway>>, request: Request) -> Response {
    gateway.serve(request).await
}

impl Gateway {
    async fn serve(&self, request: Request) -> Response {
        let (head, body) = request.into_parts();
        if head.uri.path_and_query().map_or(0, |whole| whole.as_str().len()) > MAX_URL {
            return Refusal::too_long(MAX_URL).response();
        }
        match self.guard.enter(&head.headers, &head.extensions, "rest").await {
            Ok(Entered { caller, left, granted }) => {
                left.told(self.serve_for(Some((caller, granted)), head, body).await)
            }
            Err(NotLetIn::NoToken(refused)) => {
                let challenge = self.guard.challenge(head.uri.path(), refused);
                let response = self.serve_for(None, head, body).await;
                challenged(response, StatusCode::UNAUTHORIZED, challenge)
            }
            Err(NotLetIn::TooOften(standing)) => {
                let mut response = Refusal::rate().response();
                standing.tell(&mut response);
                response
            }
        }
    }

    async fn serve_for(
        &self,
        caller: Option<(Caller, Option<Arc<Verified>>)>,
        head: Parts,
        body: Body,
    ) -> Response {
        let path = head.uri.path();
        let route = match Route::of(&head.method, path) {
            // What only Airtable knows is passed on to it, if there is somebody to pass it on for.
            Some(Route::Other(base)) if caller.is_none() || !self.door.is_cloud(base) => None,
            route => route,
        };
        let Some(route) = route else { return Refusal::no_route().response() };
        let Some((mut caller, granted)) = caller else { return Refusal::no_token().response() };
        let challenge = granted.and_then(|granted| {
            self.guard.challenge_for_more(path, &caller, &granted, live::needs(&route, &head.method))
        });
        caller.client = program(&head.headers);
        let mut call = self.door.call(caller, route.action());
        if head.method == axum::http::Method::GET {
            call.only_reads();
        }
        let about = route.base();
        let answer = match &self.rates {
            Some(rates) if !rates.let_in(&call.caller().principal, about, call.now()) => Err(Refusal::rate()),
            _ => {
                let (method, query) = (&head.method, head.uri.query());
                self.answer(&mut call, route, Sent { method, path, headers: &head.headers, query, body })
                    .await
            }
        };
        let origin = call.origin().or_else(|| call.origin_of(about?));
        let (now, code) =
            (call.now(), answer.as_ref().map_or_else(|refusal| Some(refusal.code), Reply::code));
        call.finish(code);
        let response = answer.map_or_else(|refusal| refusal.response(), Reply::response);
        let response = reply::with_origin(response, origin.filter(|_| about.is_some()), now);
        challenged(response, StatusCode::FORBIDDEN, challenge)
    }

    async fn answer(&self, call: &mut Call, route: Route, sent: Sent<'_>) -> Result<Reply, Refusal> {
        if route.is_read() {
            call.want(reply::wanted(sent.headers));
        }
        match route.base() {
            Some(base) if call.is_cloud(base) => live::answer(self, call, base, route, sent).await,
            _ => self.run(call, route, sent).await.map(Reply::Own),
        }
    }

    async fn run(&self, call: &mut Call, route: Route, sent: Sent<'_>) -> Result<String, Refusal> {
        let pairs = Pairs::of(sent.query)?;
        let addresses = &Addresses::new(self, call, sent.headers);
        match route {
            Route::ListRecords(base, table) => {
                let params = params::ListParams::of_query(&pairs, params::Usual::of(call))?;
                list::list(self, call, base, &table, params, addresses).await
            }
            Route::ListByPost(base, table) => {
                let params =
                    params::ListParams::of_body(&pairs, &sent.object().await?, params::Usual::of(call))?;
                list::list(self, call, base, &table, params, addresses).await
            }
            Route::GetRecord(base, table, record) => {
                list::get(
                    call,
                    base,
                    &table,
                    record,
                    params::of_record(&pairs, params::Usual::of(call))?,
                    addresses,
                )
                .await
            }
            Route::CreateRecords(base, table) => {
                pairs.none()?;
                write::create(call, base, &table, sent.object().await?, addresses).await
            }
            Route::UpdateRecords(base, table, replace) => {
                pairs.none()?;
                write::update_many(call, base, &table, replace, sent.object().await?, addresses).await
            }
            Route::UpdateRecord(base, table, record, replace) => {
                pairs.none()?;
                write::update_one(call, base, &table, record, replace, sent.object().await?, addresses).await
            }
            Route::DeleteRecords(base, table) => write::delete_many(call, base, &table, &pairs).await,
            Route::DeleteRecord(base, table, record) => {
                pairs.none()?;
                write::delete_one(call, base, &table, record).await
            }
            Route::Upload(base, record, field) => {
                pairs.none()?;
                let body = sent.object_within(upload::most_bytes(call)).await?;
                upload::upload(call, base, record, &field, body, addresses).await
            }
            Route::ListComments(base, table, record) => {
                comments::list(self, call, base, &table, record, &pairs).await
            }
            Route::AddComment(base, table, record) => {
                pairs.none()?;
                comments::add(call, base, &table, record, sent.object().await?).await
            }
            Route::EditComment(base, table, record, comment) => {
                pairs.none()?;
                comments::edit(call, base, &table, record, comment, sent.object().await?).await
            }
            Route::DeleteComment(base, table, record, comment) => {
                pairs.none()?;
                comments::delete(call, base, &table, record, comment).await
            }
            Route::WhoAmI => {
                pairs.none()?;
                Ok(meta::who_am_i(call))
            }
            Route::ListBases => meta::list_bases(self, call, &pairs),
            Route::GetBase(base) => meta::get_base(call, base, &pairs).await,
            Route::ListTables(base) => meta::list_tables(call, base, &pairs).await,
            Route::ListViews(base) => meta::list_views(call, base, &pairs).await,
            Route::GetView(base, view) => meta::get_view(call, base, view, &pairs).await,
            Route::CreateBase => {
                pairs.none()?;
                schema::create_base(call, sent.object().await?).await
            }
            Route::CreateTable(base) => {
                pairs.none()?;
                schema::create_table(call, base, sent.object().await?).await
            }
            Route::UpdateTable(base, table) => {
                pairs.none()?;
                schema::update_table(call, base, &table, sent.object().await?).await
            }
            Route::CreateField(base, table) => {
                pairs.none()?;
                schema::create_field(call, base, &table, sent.object().await?).await
            }
            Route::UpdateField(base, table, field) => {
                pairs.none()?;
                schema::update_field(call, base, &table, field, sent.object().await?).await
            }
            Route::Webhooks(base, ask) => webhooks::answer(self, call, base, ask, &pairs, sent).await,
            Route::DeleteBase(base) => {
                pairs.none()?;
                schema::delete_base(call, base).await
            }
            Route::DeleteView(base, view) => {
                pairs.none()?;
                schema::delete_view(call, base, view).await
            }
            Route::SyncCsv(base, table) => write::sync_csv(call, base, &table).await,
            Route::Other(_) => Err(Refusal::no_route()),
        }
    }
}
