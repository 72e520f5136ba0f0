//! Answers, and the headers that say where they come from.

use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use tablewright_core::Code;
use tablewright_door::live::{Forwarded, Origin};
use tablewright_engine::replica::{Source, Want};

/// Where an answer comes from: `local`, `replica` or `live`.
pub(crate) const SOURCE: HeaderName = HeaderName::from_static("x-tablewright-source");

const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");

/// An answer.
#[derive(Debug)]
pub(super) enum Reply {
    /// Our own: JSON, or nothing.
    Own(String),
    /// Airtable's, as it came.
    Airtables(Forwarded),
}

/// Our own answer.
pub(super) fn own(status: StatusCode, body: String) -> Response {
    with(status, JSON, body.into())
}

fn with(status: StatusCode, kind: HeaderValue, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

impl Reply {
    /// What the audit line says of it.
    pub(super) fn code(&self) -> Option<Code> {
        match self {
            Self::Airtables(answer) if answer.status >= 400 => Some(Code::UpstreamRefused),
            _ => None,
        }
    }

    /// The answer on the wire.
    pub(super) fn response(self) -> Response {
        match self {
            Self::Own(body) => own(StatusCode::OK, body),
            Self::Airtables(answer) => {
                let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::BAD_GATEWAY);
                let kind = answer.content_type.and_then(|kind| HeaderValue::try_from(kind).ok());
                with(status, kind.unwrap_or(JSON), answer.body.into())
            }
        }
    }
}

/// An answer about a base says where it comes from; one from a copy, how old that is.
pub(super) fn with_origin(mut response: Response, origin: Option<Origin>, now: i64) -> Response {
    let (name, as_of) = match origin {
        None => return response,
        Some(Origin::Held(Source::Local)) => ("local", 0),
        Some(Origin::Live) => ("live", 0),
        Some(Origin::Held(Source::Replica { as_of })) => ("replica", as_of),
    };
    let headers = response.headers_mut();
    headers.insert(SOURCE, HeaderValue::from_static(name));
    // A copy that is still being made has no age.
    if as_of > 0 {
        headers.insert(header::AGE, HeaderValue::from((now - as_of).max(0) / 1_000));
    }
    response
}

/// How fresh a request wants what it reads: `no-cache` and `max-age` of `Cache-Control`.
pub(super) fn wanted(headers: &HeaderMap) -> Want {
    let mut want = Want::default();
    let given = headers.get_all(header::CACHE_CONTROL).into_iter().filter_map(|value| value.to_str().ok());
    for directive in given.flat_map(|value| value.split(',')) {
        let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
        match name.trim() {
            name if name.eq_ignore_ascii_case("no-cache") => want.fresh = true,
            name if name.eq_ignore_ascii_case("max-age") => {
                let seconds = value.trim().trim_matches('"').parse().ok();
                want.max_staleness = seconds.map(Duration::from_secs);
            }
            _ => {}
        }
    }
    want
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cache_control_says_how_fresh() {
        let seconds = |n| Some(Duration::from_secs(n));
        for (given, fresh, max_staleness) in [
            ("", false, None),
            ("no-store", false, None),
            ("no-cache", true, None),
            ("No-Cache, no-transform", true, None),
            ("max-age=30", false, seconds(30)),
            ("max-age = \"5\", no-cache", true, seconds(5)),
            ("max-age=0", false, seconds(0)),
            ("max-age=x", false, None),
            ("max-age=-1", false, None),
        ] {
            let headers = HeaderMap::from_iter([(header::CACHE_CONTROL, given.parse().unwrap())]);
            assert_eq!(wanted(&headers), Want { fresh, max_staleness }, "{given}");
        }
        assert_eq!(wanted(&HeaderMap::new()), Want::default());
    }

    #[test]
    fn a_copy_has_an_age() {
        let told = |origin| {
            let headers = with_origin(own(StatusCode::OK, String::new()), origin, 61_999).headers().clone();
            let text = |name: &HeaderName| headers.get(name).map(|value| value.to_str().unwrap().to_owned());
            (text(&SOURCE), text(&header::AGE))
        };
        let copy = |as_of| Some(Origin::Held(Source::Replica { as_of }));
        let named = |name: &str| Some(name.to_owned());
        assert_eq!(told(None), (None, None));
        assert_eq!(told(Some(Origin::Held(Source::Local))), (named("local"), None));
        assert_eq!(told(Some(Origin::Live)), (named("live"), None));
        assert_eq!(told(copy(1_000)), (named("replica"), named("60")));
        assert_eq!(told(copy(70_000)), (named("replica"), named("0")));
        assert_eq!(told(copy(0)), (named("replica"), None));
    }
}
