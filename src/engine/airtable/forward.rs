//! Requests that are passed on as they are.

use bytes::Bytes;
use reqwest::Method;
use serde::de::IgnoredAny;
use tablewright_core::model::BaseId;
use url::Url;

use super::send::{Body, Ended, Repeat, Request, Whole};
use super::{Ask, Error, Session};

/// An answer as it came.
#[derive(Debug, Clone, PartialEq)]
pub struct Forwarded {
    /// The HTTP status.
    pub status: u16,
    /// Its media type.
    pub content_type: Option<String>,
    /// Its body.
    pub body: Bytes,
    /// Its `Date`, in milliseconds since the epoch.
    pub server_time: Option<i64>,
}

impl From<Whole> for Forwarded {
    fn from(answer: Whole) -> Self {
        Self {
            status: answer.status,
            content_type: answer.kind,
            body: answer.body,
            server_time: answer.server_time,
        }
    }
}

impl Session {
    /// Passes a request about one base on: `path` is what follows the host, from `/v0/` on, with
    /// its query. Only reads are repeated; refusals are answers like others.
    pub async fn forward(
        &self,
        ask: &Ask,
        base: BaseId,
        method: Method,
        path: &str,
        body: Option<Bytes>,
        content_type: Option<&str>,
    ) -> Result<Forwarded, Error> {
        let shared = &self.airtable.shared;
        let upload = method == Method::POST && path.ends_with("/uploadAttachment");
        let url = target(if upload { &shared.content } else { &shared.endpoint }, base, path)?;
        let safe = matches!(method, Method::GET | Method::HEAD);
        let list = method == Method::POST && url.path().trim_end_matches('/').ends_with("/listRecords");
        let repeat = if safe || list { Repeat::Read } else { Repeat::Never };
        let kind = content_type.unwrap_or("application/json").to_owned();
        let body = body.map(|bytes| Body { bytes, kind });
        let request = Request { method, url, body, base: Some(base), repeat, scope: "" };
        let read = |answer: &Whole| {
            let json = answer.kind.as_deref().is_some_and(|kind| kind.starts_with("application/json"));
            if json && !answer.body.is_empty() {
                serde_json::from_slice::<IgnoredAny>(&answer.body)?;
            }
            Ok(answer.clone())
        };
        let send = async |permit| match self.exchange(permit, ask, &request, read).await {
            Ok(answer) => Ok(answer.value.into()),
            Err(Ended::Said { answer, .. }) => Ok(answer.into()),
            Err(Ended::Failed(error)) => Err(error),
        };
        if request.method != Method::GET {
            return send(None).await;
        }
        let key = format!("{} {}", self.profile, request.url);
        let turn = || async {
            let permit = self.permit(ask, Some(base)).await?;
            shared.flights.gone(&key);
            send(Some(permit)).await
        };
        shared.flights.share(&key, turn).await
    }
}

/// The address of a path that must be about this base.
fn target(address: &Url, base: BaseId, path: &str) -> Result<Url, Error> {
    let bad = || Error::NotSent(format!("{path:?} is no path of base {base} under /v0/"));
    if !path.starts_with("/v0/") {
        return Err(bad());
    }
    let prefix = address.as_str().trim_end_matches('/');
    let url = Url::parse(&format!("{prefix}{path}")).map_err(|_| bad())?;
    // Dots in the path may have led elsewhere.
    let rest =
        url.as_str().strip_prefix(prefix).and_then(|rest| rest.strip_prefix("/v0/")).ok_or_else(bad)?;
    let named = ["meta/bases/", "bases/", ""].iter().find_map(|before| {
        let part = rest.strip_prefix(before)?;
        part.split(['/', '?', '#']).next()?.parse::<BaseId>().ok()
    });
    if named == Some(base) { Ok(url) } else { Err(bad()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_of_the_base_are_passed_on() {
        let base: BaseId = "appA1b2C3d4E5f6G7".parse().unwrap();
        for address in ["https://api.example", "http://127.0.0.1:8/airtable/"] {
            let address = Url::parse(address).unwrap();
            for good in [
                "/v0/appA1b2C3d4E5f6G7",
                "/v0/appA1b2C3d4E5f6G7/My%20Table%2F1?fields%5B%5D=A+b&x=%20",
                "/v0/meta/bases/appA1b2C3d4E5f6G7/tables?include=visibleFieldIds",
                "/v0/bases/appA1b2C3d4E5f6G7/webhooks",
            ] {
                let url = target(&address, base, good).unwrap();
                assert_eq!(url.as_str(), format!("{}{good}", address.as_str().trim_end_matches('/')));
            }
            for bad in [
                "/v0/appB1b2C3d4E5f6G7/T",
                "/v0/appA1b2C3d4E5f6G7/../appB1b2C3d4E5f6G7/T",
                "/v0/appA1b2C3d4E5f6G7/%2e%2e/appB1b2C3d4E5f6G7/T",
                "/v0/appA1b2C3d4E5f6G7/..\\appB1b2C3d4E5f6G7/T",
                "/v0/../v1/appA1b2C3d4E5f6G7",
                "/v0/meta/whoami",
                "/v0/meta/bases",
                "/v1/appA1b2C3d4E5f6G7",
                "@evil.example/v0/appA1b2C3d4E5f6G7",
                "//evil.example/v0/appA1b2C3d4E5f6G7",
                "",
            ] {
                assert!(target(&address, base, bad).is_err(), "{bad}");
            }
        }
    }
}
