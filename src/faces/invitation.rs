//! The page where somebody accepts an invitation, and gets a token.
//!
//! Looking at it changes nothing: programs that look ahead at links follow this one too. A form that is
//! sent accepts.

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::middleware::map_response;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Form, Router};
use maud::html;
use serde::Deserialize;
use tablewright_core::model::cell::instant_text;
use tablewright_core::{Code, Fault};
use tablewright_door::{Caller, Door, Rights, StoredInvitation};
use tablewright_toolkit::text::shown;

use crate::console::{guarded, page};

/// The page of this door's directory, at `/invitation`.
pub fn router(door: Door) -> Router {
    Router::new().route("/invitation", get(look).post(accept)).layer(map_response(guarded)).with_state(door)
}

#[derive(Deserialize)]
struct Asked {
    #[serde(default)]
    code: String,
}

#[derive(Deserialize)]
struct Acceptance {
    code: String,
    name: String,
}

async fn look(State(door): State<Door>, Query(Asked { code }): Query<Asked>) -> Response {
    match door.tokens().directory().invitation(&code).await {
        Ok(invitation) => form(&door, &invitation, &code, None).into_response(),
        Err(fault) => refused(&fault),
    }
}

fn refused(fault: &Fault) -> Response {
    let status = match fault.code {
        Code::Forbidden => StatusCode::NOT_FOUND,
        Code::StoreUnavailable => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::UNPROCESSABLE_ENTITY,
    };
    (status, page::message("This invitation cannot be accepted", &fault.message)).into_response()
}

fn form(door: &Door, invitation: &StoredInvitation, code: &str, problem: Option<&str>) -> maud::Markup {
    let until = instant_text(invitation.expires_at);
    let name =
        door.tokens().directory().find(&invitation.workspace).map(|(_, name)| name).unwrap_or_default();
    let body = html! {
        h1 { "Join " (shown(&name)) }
        @if let Some(problem) = problem { p.problem role="alert" { (problem) } }
        p { "You are invited to be a member of a workspace on this server." }
        dl {
            dt { "Workspace" } dd { (shown(&name)) }
            dt { "Your address" } dd { (shown(&invitation.email)) }
            dt { "Your role" } dd { (invitation.role) }
            dt { "Until" } dd { time datetime=(until) { (until.get(..16).unwrap_or(&until).replace('T', " ")) " UTC" } }
        }
        form.decide method="post" action="/invitation" {
            input type="hidden" name="code" value=(code);
            label for="name" { "Your name, as others will see it" }
            input #name name="name" required maxlength="100" autocomplete="name";
            p.buttons { button.yes type="submit" { "Join" } }
        }
    };
    page::page("Invitation", None, &body)
}

async fn accept(State(door): State<Door>, Form(Acceptance { code, name }): Form<Acceptance>) -> Response {
    match door.tokens().accept(&code, &name).await {
        Ok((member, stored, token)) => {
            let caller = Caller::of_member(member.clone(), "invitation", Rights::ALL);
            door.call(caller, "accept_invitation").finish(None);
            let origin = door.tokens().directory().origin().unwrap_or_default();
            let body = html! {
                h1 { "Welcome, " (shown(&member.name)) }
                p { "This is your token. It is shown this once: keep it where you keep passwords." }
                p.change { code { (token.reveal()) } }
                dl {
                    dt { "MCP clients" } dd { code { (origin) "/mcp" } ", with the header " code { "Authorization: Bearer …" } }
                    dt { "Airtable's clients" } dd { code { (origin) } " as the address, the token as the API key" }
                }
                p.faint { "It is called " (shown(&stored.name)) ". Whoever manages the workspace can take it back." }
            };
            page::page("Welcome", None, &body).into_response()
        }
        Err(fault) if fault.code == Code::InvalidArguments => {
            match door.tokens().directory().invitation(&code).await {
                Ok(invitation) => {
                    let page = form(&door, &invitation, &code, Some(&fault.message));
                    (StatusCode::UNPROCESSABLE_ENTITY, page).into_response()
                }
                Err(fault) => refused(&fault),
            }
        }
        Err(fault) => refused(&fault),
    }
}
