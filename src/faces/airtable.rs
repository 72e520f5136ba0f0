//! The pages where members connect their own Airtable accounts.

use axum::extract::{Query, RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::map_response;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Form, Router};
use maud::html;
use serde::Deserialize;
use tablewright_core::{Code, Fault};
use tablewright_door::own_login::{CALLBACK, CONNECT};
use tablewright_door::{Caller, Door, Rights};
use tablewright_toolkit::text::shown;

use crate::console::{cookie, guarded, page};

/// What ties a login to the browser that began it.
const COOKIE: &str = "tablewright_airtable";

/// The pages under `/airtable`.
pub fn router(door: Door) -> Router {
    Router::new()
        .route(CONNECT, get(look).post(begin))
        .route(CALLBACK, get(end))
        .layer(map_response(guarded))
        .with_state(door)
}

#[derive(Deserialize)]
struct Asked {
    #[serde(default)]
    code: String,
}

fn refused(fault: &Fault) -> Response {
    let status = match fault.code {
        Code::Forbidden => StatusCode::NOT_FOUND,
        Code::InvalidArguments => StatusCode::UNPROCESSABLE_ENTITY,
        Code::StoreUnavailable | Code::UpstreamUnavailable => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::BAD_GATEWAY,
    };
    (status, page::message("The account was not connected", &fault.message)).into_response()
}

async fn look(State(door): State<Door>, Query(Asked { code }): Query<Asked>) -> Response {
    let member = match door.connecting(&code) {
        Ok(member) => member,
        Err(fault) => return refused(&fault),
    };
    let body = html! {
        h1 { "Connect your Airtable account" }
        p { "What Tablewright asks of Airtable for you will be asked with your own account: Airtable's permissions hold, and what is made there is yours." }
        dl {
            dt { "You are" } dd { (shown(&member.name)) }
            dt { "Known as" } dd { (shown(&member.principal)) }
        }
        p { "Go on only if that is you: whoever has an account connected here writes with it." }
        form.decide method="post" action=(CONNECT) {
            input type="hidden" name="code" value=(code);
            p.buttons { button.yes type="submit" { "Connect" } }
        }
    };
    page::page("Connect Airtable", None, &body).into_response()
}

async fn begin(State(door): State<Door>, Form(Asked { code }): Form<Asked>) -> Response {
    let begun = match door.begin_own_login(&code) {
        Ok(begun) => begun,
        Err(fault) => return refused(&fault),
    };
    let is_secure = door.tokens().directory().origin().is_ok_and(|origin| origin.starts_with("https://"));
    let secure = if is_secure { "; Secure" } else { "" };
    let set =
        format!("{COOKIE}={}; Path=/airtable; HttpOnly; SameSite=Lax; Max-Age=600{secure}", begun.cookie);
    // A link and no redirect: what a form may lead to is bound to this server.
    let body = html! {
        h1 { "Go on at Airtable" }
        p { "Airtable asks which bases Tablewright may use for you." }
        p { a href=(begun.url) rel="noreferrer" { "Go on to Airtable" } }
    };
    let mut response = page::page("Go on at Airtable", None, &body).into_response();
    match HeaderValue::from_str(&set) {
        Ok(set) => response.headers_mut().insert(header::SET_COOKIE, set),
        Err(error) => return refused(&Fault::new(Code::Internal, error.to_string())),
    };
    response
}

async fn end(State(door): State<Door>, headers: HeaderMap, RawQuery(query): RawQuery) -> Response {
    let cookie = cookie(&headers, COOKIE).unwrap_or_default();
    match door.end_own_login(&cookie, &query.unwrap_or_default()).await {
        Ok((member, profile)) => {
            let caller = Caller::of_member(member.clone(), "airtable", Rights::ALL);
            door.call(caller, "connect_airtable").finish(None);
            let info = profile.info;
            let account =
                info.email.or(info.user).unwrap_or_else(|| "an account Airtable does not name".into());
            let body = html! {
                h1 { "Connected" }
                p { "What Tablewright asks of Airtable for " strong { (shown(&member.name)) } " is asked with the account of " strong { (shown(&account)) } "." }
                p { "You can close this page." }
            };
            page::page("Connected", None, &body).into_response()
        }
        Err(fault) => refused(&fault),
    }
}
