//! Answers that say no.

use std::sync::atomic::Ordering;

use serde_json::json;
use tablewright_core::{Code, Fault};
use tablewright_engine::airtable::{Error, ListQuery};

use super::server::Reply;
use super::{Upstream, ask, base, record, token, written};

#[tokio::test]
async fn each_shape_of_a_refusal_is_understood_and_not_repeated() {
    let hidden = "INVALID_PERMISSIONS_OR_MODEL_NOT_FOUND";
    for (status, body, code, kind, part) in [
        (404, json!({"error": "NOT_FOUND"}), Code::UpstreamRefused, "NOT_FOUND", "NOT_FOUND"),
        (
            404,
            json!({"error": {"type": "MODEL_ID_NOT_FOUND", "message": "Record not found"}}),
            Code::UnknownRecord,
            "MODEL_ID_NOT_FOUND",
            "Record not found",
        ),
        (
            422,
            json!({"error": {"type": "FAILED_STATE_CHECK"}}),
            Code::UpstreamRefused,
            "FAILED_STATE_CHECK",
            "FAILED_STATE_CHECK",
        ),
        (
            422,
            json!({"error": {"type": "LIST_RECORDS_ITERATOR_NOT_AVAILABLE"}}),
            Code::UpstreamRefused,
            "LIST_RECORDS_ITERATOR_NOT_AVAILABLE",
            "ITERATOR",
        ),
        (
            422,
            json!({"error": {"type": "UNKNOWN_FIELD_NAME", "message": "Unknown field name: \"X\""}}),
            Code::UnknownField,
            "UNKNOWN_FIELD_NAME",
            "\"X\"",
        ),
        (
            403,
            json!({"error": {"type": hidden, "message": "Invalid permissions"}}),
            Code::UpstreamForbidden,
            hidden,
            "lacks data.records:read, or base appA1b2C3d4E5f6G7",
        ),
        (
            429,
            json!({"errors": [{"error": "PUBLIC_API_BILLING_LIMIT_EXCEEDED", "message": "API billing plan limit exceeded."}]}),
            Code::LimitExceeded,
            "PUBLIC_API_BILLING_LIMIT_EXCEEDED",
            "a larger plan",
        ),
    ] {
        let upstream = Upstream::new(vec![Reply::Json(status, body)]).await;
        let error = upstream.session.list(&ask(), base(), "T", &ListQuery::default()).await.unwrap_err();
        let fault = Fault::from(error);
        let origin = fault.origin.as_deref().unwrap();
        assert_eq!((fault.code, origin.status, origin.kind.as_str()), (code, status, kind), "{fault}");
        assert!(fault.message.contains(part), "{fault}");
        assert!(!fault.message.contains("patTest"), "{fault}");
        assert_eq!(upstream.server.seen().len(), 1, "{fault}");
    }
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let elsewhere = Upstream::new(vec![Reply::Json(200, written(1, "a"))]).await;
    let place = format!("Location: {}/v0/x\r\n", elsewhere.server.url());
    let upstream = Upstream::new(vec![Reply::With(302, place, String::new())]).await;
    let fault = Fault::from(upstream.session.get(&ask(), base(), "T", record(1)).await.unwrap_err());
    assert!(fault.message.contains("airtable.endpoint_url"), "{fault}");
    assert_eq!((fault.code, fault.origin), (Code::UpstreamRefused, None));
    assert!(elsewhere.server.seen().is_empty(), "the token went elsewhere");
}

#[tokio::test]
async fn a_body_that_is_not_json_is_no_trouble() {
    let upstream =
        Upstream::new(vec![Reply::With(413, String::new(), "<html>too large</html>".into())]).await;
    let error = upstream.create().await.unwrap_err();
    assert!(matches!(&error, Error::Refused(refused) if refused.status == 413 && refused.kind.is_empty()));
    assert!(error.to_string().contains("status 413"), "{error}");
}

#[tokio::test]
async fn a_refused_token_is_renewed_once() {
    let unknown = Reply::Json(
        401,
        json!({"error": {"type": "AUTHENTICATION_REQUIRED", "message": "Authentication required"}}),
    );
    let script = vec![unknown.clone(), Reply::Json(200, written(1, "a")), unknown];
    let upstream = Upstream::new(script).await;
    let renewing = token("old.1", Some("new.2"));
    let session = upstream.airtable.session("me", renewing.clone());
    session.get(&ask(), base(), "T", record(1)).await.unwrap();
    let error = session.get(&ask(), base(), "T", record(1)).await.unwrap_err();
    assert!(
        error.to_string().contains("`tablewright connect`") && error.to_string().contains("\"me\""),
        "{error}"
    );
    assert_eq!(renewing.renewed.load(Ordering::SeqCst), 2);
    let sent: Vec<String> =
        upstream.server.seen().iter().map(|s| s.header("authorization").unwrap().to_owned()).collect();
    assert_eq!(sent, ["Bearer old.1", "Bearer new.2", "Bearer old.1", "Bearer new.2"]);
    // One that stays the same is not sent twice.
    let error = upstream.session.get(&ask(), base(), "T", record(1)).await.unwrap_err();
    assert!(matches!(error, Error::Forbidden { .. }));
    assert_eq!(upstream.server.seen().len(), 5);
}

#[tokio::test]
async fn a_token_no_header_can_carry_is_not_sent() {
    let upstream = Upstream::new(vec![Reply::Close]).await;
    let session = upstream.airtable.session("me", token("bad\r\nX-Evil: 1", None));
    let error = session.whoami(&ask()).await.unwrap_err();
    assert!(error.to_string().contains("token") && !error.to_string().contains("Evil"), "{error}");
    assert!(upstream.server.seen().is_empty());
}
