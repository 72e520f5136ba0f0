//! Attachments over HTTP: who has a signed address has the file, until the address expires.
//!
//! Files are other people's data under our origin: nothing in them may run there.

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tablewright_core::{Code, Fault};
use tablewright_door::Files;
use tablewright_door::files::{Located, Refused, SHOWN_IN_PLACE, UNKNOWN, percent_encoded};
use tokio::io::AsyncReadExt as _;
use tower::util::ServiceExt;
use tower_http::services::ServeFile;

/// `GET` and `HEAD` of `/files/…`.
pub fn router(files: Files) -> Router {
    Router::new()
        .route("/files/{id}/{expires}/{signature}/{variant}/{filename}", get(serve))
        .with_state(files)
}

async fn serve(
    State(files): State<Files>,
    Path((id, expires, signature, variant, _)): Path<(String, String, String, String, String)>,
    request: Request,
) -> Response {
    let (id, variant) = match files.check_path([&id, &expires, &signature, &variant]) {
        Ok(found) => found,
        Err(refused @ (Refused::Forged | Refused::Expired)) => {
            return refusal(StatusCode::FORBIDDEN, refused.to_string());
        }
    };
    let found = match files.get(id).await {
        Ok(Some(attachment)) => files.locate(&attachment, variant).await,
        Ok(None) => return refusal(StatusCode::NOT_FOUND, "this file is not there any more".into()),
        Err(fault) => Err(fault),
    };
    match found {
        Ok(located) => send(located, request).await,
        Err(fault) => refusal(status(&fault), fault.message),
    }
}

fn status(fault: &Fault) -> StatusCode {
    match fault.code {
        Code::InvalidFile => StatusCode::NOT_FOUND,
        Code::LimitExceeded => StatusCode::UNPROCESSABLE_ENTITY,
        Code::StoreUnavailable => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

fn refusal(status: StatusCode, message: String) -> Response {
    let mut response = (status, message + "\n").into_response();
    guard(response.headers_mut());
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// What every answer under `/files/` carries: the type is not guessed, and nothing runs or is framed.
fn guard(headers: &mut HeaderMap) {
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CONTENT_SECURITY_POLICY, "sandbox; default-src 'none'"),
        (header::CACHE_CONTROL, "private"),
        (header::REFERRER_POLICY, "no-referrer"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

async fn send(file: Located, request: Request) -> Response {
    let in_place = SHOWN_IN_PLACE.iter().find(|kind| **kind == file.kind);
    let kind = match in_place {
        Some(kind) if kind.starts_with("text/") && begins_as_utf8(&file.path).await => {
            format!("{kind}; charset=utf-8")
        }
        Some(kind) => (*kind).to_owned(),
        None => UNKNOWN.to_owned(),
    };
    // Answers ranges and HEAD, and gives length and time of change.
    let service = ServeFile::new(&file.path);
    let Ok(sent) = service.oneshot(request).await;
    let mut response = sent.into_response();
    if response.status() == StatusCode::NOT_FOUND {
        return refusal(StatusCode::NOT_FOUND, "this file is not there any more".into());
    }
    let headers = response.headers_mut();
    guard(headers);
    if let Ok(kind) = HeaderValue::from_str(&kind) {
        headers.insert(header::CONTENT_TYPE, kind);
    }
    let how = if in_place.is_some() { "inline" } else { "attachment" };
    if let Ok(value) = HeaderValue::from_str(&disposition(how, &file.filename)) {
        headers.insert(header::CONTENT_DISPOSITION, value);
    }
    response
}

/// How much of a text is looked at to tell its character set, in bytes.
const LOOKED_AT: u64 = 64 * 1024;

/// False for a text in an older character set, of which browsers know more than we do.
async fn begins_as_utf8(path: &std::path::Path) -> bool {
    let mut head = Vec::new();
    let Ok(file) = tokio::fs::File::open(path).await else { return true };
    if file.take(LOOKED_AT).read_to_end(&mut head).await.is_err() {
        return true;
    }
    // A character that is cut in two at the end is no sign of another set.
    std::str::from_utf8(&head).map_or_else(|error| error.error_len().is_none(), |_| true)
}

/// `Content-Disposition` with the name as RFC 6266 has it; plain ASCII for old clients.
fn disposition(how: &str, filename: &str) -> String {
    let plain: String = filename
        .chars()
        .map(|c| if c.is_ascii_graphic() && !matches!(c, '"' | '\\' | '%') || c == ' ' { c } else { '_' })
        .collect();
    format!("{how}; filename=\"{plain}\"; filename*=UTF-8''{}", percent_encoded(filename))
}

#[cfg(test)]
mod tests {
    #[test]
    fn names_cannot_leave_their_header() {
        assert_eq!(
            super::disposition("attachment", "a\"b\r\nX: é.html"),
            "attachment; filename=\"a_b__X: _.html\"; filename*=UTF-8''a%22b%0D%0AX%3A%20%C3%A9.html"
        );
    }
}
