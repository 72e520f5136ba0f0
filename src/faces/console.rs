//! The console: a page where a person looks at what waits for approval, and decides.
//!
//! It is signed in to by a link that works once, which `tablewright console` prints. Pages are made
//! here; the one script there is asks for passkeys.

pub(crate) mod page;
mod sessions;

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::map_response;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Form, Router};
use maud::Markup;
use tablewright_core::model::PlanId;
use tablewright_core::{Code, Fault};
use tablewright_door::plans::{Decider, PlanStatus, StoredPlan, effect_of};
use tablewright_door::{Call, Caller, Door, Passkeys, Rights};
use tablewright_toolkit::careful::preview_of;

use page::{Detail, Row};
use sessions::{Ceremony, Sessions};

/// Plans of a list.
const MAX_PLANS: u32 = 100;
/// Decided plans that are listed.
const MAX_PAST: usize = 20;
/// Records on a page.
const RECORDS: usize = 100;
/// The cookie.
const COOKIE: &str = "tablewright_console";

/// The console of a data directory. Cheap to clone.
#[derive(Clone)]
pub struct Console(Arc<Inner>);

struct Inner {
    door: Door,
    passkeys: Passkeys,
    sessions: Sessions,
    /// Where people reach it, such as `http://localhost:8080`; known once somebody listens.
    origin: OnceLock<String>,
}

type Fields = HashMap<String, String>;

/// Somebody who is signed in.
struct Person {
    console: Console,
    cookie: String,
    form_key: String,
}

/// A form of one of our pages, from somebody who is signed in.
struct Sent {
    person: Person,
    fields: Fields,
}

impl Console {
    /// The console behind this door.
    pub fn new(door: Door, passkeys: Passkeys) -> Self {
        Self(Arc::new(Inner { door, passkeys, sessions: Sessions::default(), origin: OnceLock::new() }))
    }

    /// Says where people reach it.
    pub fn set_origin(&self, origin: &str) {
        let _ = self.0.origin.set(origin.trim_end_matches('/').to_owned());
    }

    /// A link that signs one person in, once, within ten minutes.
    pub fn link(&self) -> Result<String, Fault> {
        let Some(origin) = self.0.origin.get() else {
            let message = "nobody serves HTTP from this data directory, so there is no console; start `tablewright serve --http 127.0.0.1:8080`.";
            return Err(Fault::new(Code::InvalidArguments, message));
        };
        Ok(format!("{origin}/console/enter?code={}", self.0.sessions.link()?))
    }

    /// Everything under `/console`.
    pub fn router(self) -> Router {
        Router::new()
            .route("/console", get(list))
            .route("/console/enter", get(enter))
            .route("/console/leave", post(leave))
            .route("/console/plans/{id}", get(plan).post(decide))
            .route("/console/plans/{id}/passkey", post(ask_passkey))
            .route("/console/passkeys", get(passkeys).post(add_passkey))
            .route("/console/passkeys/make", post(make_passkey))
            .route("/console/passkeys/permit", post(permit))
            .route("/console/passkeys/permitted", post(permitted))
            .route("/console/passkeys/remove", post(remove_passkey))
            .route(
                "/console/style.css",
                get(|| asset("text/css; charset=utf-8", include_str!("console/style.css"))),
            )
            .route(
                "/console/passkey.js",
                get(|| asset("text/javascript; charset=utf-8", include_str!("console/passkey.js"))),
            )
            .layer(map_response(guarded))
            .with_state(self)
    }
}

async fn asset(kind: &'static str, text: &'static str) -> Response {
    ([(header::CONTENT_TYPE, kind)], text).into_response()
}

/// What every answer carries: nothing but this server's own style and script, no frame, no cache.
pub(crate) async fn guarded(mut response: Response) -> Response {
    let policy = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        // With less, browsers send forms of this very page as from nowhere.
        (header::REFERRER_POLICY, "same-origin"),
        (header::CACHE_CONTROL, "no-store"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// The value of a cookie.
pub(crate) fn cookie(headers: &HeaderMap, wanted: &str) -> Option<String> {
    let all = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    all.flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, _)| *name == wanted)
        .map(|(_, value)| value.to_owned())
}

fn not_signed_in() -> Response {
    let text = "Run `tablewright console` on the machine where Tablewright runs. It prints a link that signs you in, once.";
    (StatusCode::UNAUTHORIZED, page::message("Sign in", text)).into_response()
}

fn problem(fault: &Fault) -> Response {
    (status(fault), page::message("This did not work", &fault.message)).into_response()
}

/// The same for the script: text.
fn plain(fault: &Fault) -> Response {
    (status(fault), fault.message.clone()).into_response()
}

fn status(fault: &Fault) -> StatusCode {
    match fault.code {
        Code::UnknownPlan => StatusCode::NOT_FOUND,
        Code::InvalidArguments => StatusCode::UNPROCESSABLE_ENTITY,
        Code::Conflict => StatusCode::CONFLICT,
        Code::ApprovalNeeded | Code::Forbidden => StatusCode::FORBIDDEN,
        Code::StoreUnavailable => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

impl FromRequestParts<Console> for Person {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, console: &Console) -> Result<Self, Response> {
        let cookie = cookie(&parts.headers, COOKIE).ok_or_else(not_signed_in)?;
        let form_key = console.0.sessions.form_key(&cookie).ok_or_else(not_signed_in)?;
        Ok(Self { console: console.clone(), cookie, form_key })
    }
}

impl FromRequest<Console> for Sent {
    type Rejection = Response;

    async fn from_request(request: Request, console: &Console) -> Result<Self, Response> {
        let (mut parts, body) = request.into_parts();
        let person = Person::from_request_parts(&mut parts, console).await?;
        let request = Request::from_parts(parts, body);
        let form = Form::<Fields>::from_request(request, console).await;
        let Form(fields) = form.map_err(IntoResponse::into_response)?;
        if fields.get("form_key").is_some_and(|key| *key == person.form_key) {
            return Ok(Self { person, fields });
        }
        let text =
            "This form is not from a page of this console that is signed in. Go back and load it again.";
        Err((StatusCode::FORBIDDEN, page::message("Load it again", text)).into_response())
    }
}

impl Inner {
    fn origin(&self) -> &str {
        self.origin.get().map_or("", String::as_str)
    }

    fn call(&self, action: &str) -> Call {
        self.door.call(Caller::local("console", Rights::ALL), action)
    }

    async fn row(&self, call: &Call, plan: StoredPlan) -> Row {
        let (summary, standing) = match effect_of(&plan) {
            Ok(effect) => (preview_of(call, &effect, 0).await.summary, self.door.plans().standing(&plan)),
            Err(fault) => (plan.id.to_string(), fault.message),
        };
        Row { plan, summary, standing }
    }
}

fn plan_id(text: &str) -> Result<PlanId, Fault> {
    text.parse().map_err(|_| Fault::new(Code::UnknownPlan, "there is no such plan"))
}

async fn enter(State(console): State<Console>, Query(fields): Query<Fields>) -> Response {
    let inner = &*console.0;
    let code = fields.get("code").map(String::as_str).unwrap_or_default();
    match inner.sessions.enter(code) {
        Err(fault) => problem(&fault),
        Ok(None) => not_signed_in(),
        Ok(Some(value)) => {
            let secure = if inner.origin().starts_with("https://") { "; Secure" } else { "" };
            let cookie = format!("{COOKIE}={value}; Path=/console; HttpOnly; SameSite=Strict{secure}");
            let mut response = page::entered().into_response();
            if let Ok(cookie) = HeaderValue::from_str(&cookie) {
                response.headers_mut().insert(header::SET_COOKIE, cookie);
            }
            inner.call("console sign-in").finish(None);
            response
        }
    }
}

async fn leave(Sent { person, .. }: Sent) -> Response {
    person.console.0.sessions.leave(&person.cookie);
    page::message("You are signed out", "`tablewright console` prints a new link.").into_response()
}

async fn list(person: Person) -> Response {
    let call = person.console.0.call("plan list");
    let listed = person.listed(&call).await;
    call.finish(listed.as_ref().err().map(|fault| fault.code));
    listed.map_or_else(|fault| problem(&fault), IntoResponse::into_response)
}

async fn plan(person: Person, Path(id): Path<String>, Query(fields): Query<Fields>) -> Response {
    let from = fields.get("from").and_then(|from| from.parse().ok()).unwrap_or(0);
    person.plan_page(&id, from, None).await.map_or_else(|fault| problem(&fault), IntoResponse::into_response)
}

async fn decide(Path(id): Path<String>, Sent { person, fields }: Sent) -> Response {
    let approve = match fields.get("decision").map(String::as_str) {
        Some("approve") => true,
        Some("reject") => false,
        _ => return problem(&Fault::new(Code::InvalidArguments, "decision must be approve or reject")),
    };
    let call = person.console.0.call(if approve { "plan approve" } else { "plan reject" });
    let done = person.decide(&id, approve, &fields).await;
    call.finish(done.as_ref().err().map(|fault| fault.code));
    match done {
        Ok(()) => Redirect::to(&format!("/console/plans/{id}")).into_response(),
        Err(fault) => match person.plan_page(&id, 0, Some(&fault.message)).await {
            Ok(page) => (status(&fault), page).into_response(),
            Err(_) => problem(&fault),
        },
    }
}

async fn ask_passkey(Path(id): Path<String>, Sent { person, .. }: Sent) -> Response {
    let begun = plan_id(&id).and_then(|id| {
        let (asking, options) = person.console.0.passkeys.ask(person.console.0.origin())?;
        person.console.0.sessions.begin(&person.cookie, Ceremony::Approve(id, asking));
        Ok(options)
    });
    begun.map_or_else(|fault| plain(&fault), |options| axum::Json(options).into_response())
}

async fn passkeys(person: Person) -> Response {
    person.passkeys_page(None).await.map_or_else(|fault| problem(&fault), IntoResponse::into_response)
}

async fn make_passkey(Sent { person, fields }: Sent) -> Response {
    let options = person.make_passkey(&fields).await;
    options.map_or_else(|fault| plain(&fault), |options| axum::Json(options).into_response())
}

async fn permit(Sent { person, .. }: Sent) -> Response {
    match person.console.0.passkeys.ask(person.console.0.origin()) {
        Ok((asking, options)) => {
            person.console.0.sessions.begin(&person.cookie, Ceremony::Permit(asking));
            axum::Json(options).into_response()
        }
        Err(fault) => plain(&fault),
    }
}

async fn permitted(Sent { person, fields }: Sent) -> Response {
    match person.take_permit(&fields).await {
        Ok(()) => StatusCode::OK.into_response(),
        Err(fault) => plain(&fault),
    }
}

async fn add_passkey(Sent { person, fields }: Sent) -> Response {
    let call = person.console.0.call("passkey add");
    let added = person.add_passkey(&fields).await;
    call.finish(added.as_ref().err().map(|fault| fault.code));
    person.after_passkeys(added).await
}

async fn remove_passkey(Sent { person, fields }: Sent) -> Response {
    let call = person.console.0.call("passkey remove");
    let removed = person.remove_passkey(&fields).await;
    call.finish(removed.as_ref().err().map(|fault| fault.code));
    person.after_passkeys(removed).await
}

fn field<'a>(fields: &'a Fields, name: &str) -> &'a str {
    fields.get(name).map(String::as_str).unwrap_or_default()
}

impl Person {
    async fn listed(&self, call: &Call) -> Result<Markup, Fault> {
        let plans = self.console.0.door.plans();
        let (mut waiting, mut past) = (Vec::new(), Vec::new());
        for plan in plans.list(None, Some(PlanStatus::Waiting), MAX_PLANS).await? {
            if page::is_waiting(&plan, call.now()) {
                waiting.push(self.console.0.row(call, plan).await);
            }
        }
        let decided = plans.list(None, None, MAX_PLANS).await?;
        for plan in decided.into_iter().filter(|plan| plan.decided_at.is_some()).take(MAX_PAST) {
            past.push(self.console.0.row(call, plan).await);
        }
        Ok(page::list(&waiting, &past, &self.form_key))
    }

    async fn plan_page(&self, id: &str, from: usize, problem: Option<&str>) -> Result<Markup, Fault> {
        let plans = self.console.0.door.plans();
        let plan = plans.get(plan_id(id)?).await?;
        let call = self.console.0.call("plan show");
        let effect = effect_of(&plan)?;
        let mut preview = preview_of(&call, &effect, from.saturating_add(RECORDS)).await;
        preview.records.drain(..from.min(preview.records.len()));
        let name = match effect.base() {
            Some(base) => call.schema(base).await.map(|base| base.name.clone()).unwrap_or_default(),
            None => String::new(),
        };
        let detail = Detail {
            plan: &plan,
            preview: &preview,
            standing: &plans.standing(&plan),
            is_waiting: page::is_waiting(&plan, call.now()),
            base: &name,
            from,
            page: RECORDS,
            passkey: plans.options().passkey && plan.asks.as_deref() == Some("person"),
            form_key: &self.form_key,
            problem,
        };
        let page = page::plan(&detail);
        call.finish(None);
        Ok(page)
    }

    async fn decide(&self, id: &str, approve: bool, fields: &Fields) -> Result<(), Fault> {
        let (plans, id) = (self.console.0.door.plans(), plan_id(id)?);
        let note = Some(field(fields, "note").trim()).filter(|note| !note.is_empty());
        let answer = field(fields, "answer");
        let passkey = match (approve, answer, self.console.0.sessions.take(&self.cookie)) {
            (true, answer, Some(Ceremony::Approve(asked, asking))) if !answer.is_empty() && asked == id => {
                Some(self.console.0.passkeys.answered(self.console.0.origin(), asking, answer).await?)
            }
            _ => None,
        };
        plans.decide(id, approve, Decider::Console(passkey.as_deref()), note).await.map(drop)
    }

    async fn passkeys_page(&self, problem: Option<&str>) -> Result<Markup, Fault> {
        let keys = self.console.0.passkeys.list().await?;
        Ok(page::passkeys(&keys, &self.form_key, problem))
    }

    async fn after_passkeys(&self, done: Result<(), Fault>) -> Response {
        let Err(fault) = done else { return Redirect::to("/console/passkeys").into_response() };
        match self.passkeys_page(Some(&fault.message)).await {
            Ok(page) => (status(&fault), page).into_response(),
            Err(_) => problem(&fault),
        }
    }

    /// Whoever has a passkey shows it before one is added or removed.
    async fn require_permit(&self) -> Result<(), Fault> {
        let none = self.console.0.passkeys.list().await?.is_empty();
        if none || self.console.0.sessions.take_permit(&self.cookie) {
            return Ok(());
        }
        Err(Fault::new(Code::Forbidden, "show a passkey you have first"))
    }

    async fn make_passkey(&self, fields: &Fields) -> Result<serde_json::Value, Fault> {
        self.require_permit().await?;
        let (adding, options) =
            self.console.0.passkeys.add(self.console.0.origin(), field(fields, "name")).await?;
        self.console.0.sessions.begin(&self.cookie, Ceremony::Add(adding));
        Ok(options)
    }

    async fn take_permit(&self, fields: &Fields) -> Result<(), Fault> {
        let Some(Ceremony::Permit(asking)) = self.console.0.sessions.take(&self.cookie) else {
            return Err(Fault::new(Code::InvalidArguments, "no passkey was asked for; try again"));
        };
        self.console.0.passkeys.answered(self.console.0.origin(), asking, field(fields, "answer")).await?;
        self.console.0.sessions.permit(&self.cookie);
        Ok(())
    }

    async fn add_passkey(&self, fields: &Fields) -> Result<(), Fault> {
        let Some(Ceremony::Add(adding)) = self.console.0.sessions.take(&self.cookie) else {
            let message = "adding a passkey needs JavaScript in this browser, and one try at a time";
            return Err(Fault::new(Code::InvalidArguments, message));
        };
        self.console
            .0
            .passkeys
            .added(self.console.0.origin(), adding, field(fields, "answer"))
            .await
            .map(drop)
    }

    async fn remove_passkey(&self, fields: &Fields) -> Result<(), Fault> {
        self.require_permit().await?;
        self.console.0.passkeys.remove(field(fields, "name").trim()).await
    }
}
