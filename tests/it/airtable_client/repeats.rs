//! What is sent again, and what is not.

use serde_json::json;
use tablewright_core::{Code, Fault};
use tablewright_engine::airtable::{Error, ListQuery};

use super::server::Reply;
use super::{Upstream, ask, base, cells, record, written};

fn broken() -> Vec<Reply> {
    vec![
        Reply::With(500, String::new(), "oops".into()),
        Reply::With(502, String::new(), "<html>Bad Gateway</html>".into()),
        Reply::Json(503, json!({"error": {"type": "RETRIABLE_ERROR", "message": "safe to retry"}})),
        Reply::Close,
        Reply::Cut(r#"{"records": ["#.into(), 20),
        Reply::With(200, String::new(), r#"{"records": ["#.into()),
    ]
}

fn one() -> Reply {
    Reply::Json(200, json!({"records": [written(1, "x")]}))
}

fn missing() -> Reply {
    Reply::Json(
        422,
        json!({"error": {"type": "ROW_DOES_NOT_EXIST", "message": "Record ID recX does not exist in this table"}}),
    )
}

#[tokio::test]
async fn reads_and_writes_by_id_are_repeated_until_they_are_answered() {
    let list = ListQuery { formula: Some("x".repeat(20_000)), ..ListQuery::default() };
    for fault in broken() {
        let upstream = Upstream::new(vec![fault.clone(), one()]).await;
        let page = upstream.session.list(&ask(), base(), "T", &list).await.unwrap();
        assert_eq!((page.value.records.len(), upstream.server.seen().len()), (1, 2), "{fault:?}");
        upstream.server.then(vec![fault.clone(), one()]);
        let changes = [(record(1), cells("x"))];
        let permit = upstream.permit().await;
        upstream.session.update(permit, &ask(), base(), "T", &changes, false, false).await.unwrap();
        let seen = upstream.server.seen();
        assert_eq!(seen.len(), 4, "{fault:?}");
        assert_eq!(seen[2].body, seen[3].body);
    }
}

#[tokio::test]
async fn a_create_that_may_have_been_carried_out_is_not_repeated() {
    for fault in broken() {
        let upstream = Upstream::new(vec![fault.clone(), one()]).await;
        let error = upstream.create().await.unwrap_err();
        assert!(error.uncertain(), "{fault:?}: {error}");
        assert_eq!(Fault::from(error).code, Code::OutcomeUnknown);
        let permit = upstream.permit().await;
        upstream.server.then(vec![fault.clone(), one()]);
        let on = ["Name".to_owned()];
        let records = [(None, cells("x"))];
        let upserted =
            upstream.session.upsert(permit, &ask(), base(), "T", &on, &records, false, false).await;
        assert!(upserted.unwrap_err().uncertain(), "{fault:?}");
        assert_eq!(upstream.server.seen().len(), 2, "{fault:?}");
    }
}

#[tokio::test]
async fn an_answer_of_another_shape_leaves_a_write_open_and_is_not_repeated() {
    let other = written(9, "other");
    for body in [
        json!({"records": []}),
        json!({"records": [{"id": 5}]}),
        json!([]),
        json!({"records": [other, other]}),
    ] {
        let upstream = Upstream::new(vec![Reply::Json(200, body.clone())]).await;
        assert!(upstream.create().await.unwrap_err().uncertain(), "{body}");
        assert_eq!(upstream.server.seen().len(), 1, "{body}");
    }
    let upstream = Upstream::new(vec![Reply::Json(200, json!({"records": [other]}))]).await;
    let changes = [(record(1), cells("x"))];
    let permit = upstream.permit().await;
    let done = upstream.session.update(permit, &ask(), base(), "T", &changes, false, false).await;
    assert!(done.unwrap_err().to_string().contains("other records"));
}

#[tokio::test]
async fn a_create_is_repeated_after_one_too_many_and_when_nothing_was_connected() {
    let too_many = Reply::Json(429, json!({"errors": [{"error": "RATE_LIMIT_REACHED", "message": "slow"}]}));
    let upstream = Upstream::with(vec![too_many, one()], |options| options.penalty_seconds = 1).await;
    assert_eq!(upstream.create().await.unwrap(), record(1));
    let seen = upstream.server.seen();
    assert_eq!(seen.len(), 2);
    assert!(seen[1].at - seen[0].at >= std::time::Duration::from_secs(1), "the penalty was not waited for");

    let unused = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", unused.local_addr().unwrap());
    drop(unused);
    let nobody = Upstream::with(vec![], |options| {
        options.endpoint_url = address;
        options.patience_seconds = 3;
    })
    .await;
    let error = nobody.create().await.unwrap_err();
    assert!(matches!(error, Error::NotSent(_)), "{error}");
    assert_eq!(nobody.airtable.usage("me").await.unwrap().0, 0, "what never went out is not counted");
}

#[tokio::test]
async fn a_delete_that_was_carried_out_unheard_counts_as_done() {
    let upstream = Upstream::new(vec![Reply::Close, missing()]).await;
    let delete = async |records: &[u8]| {
        let ids: Vec<_> = records.iter().map(|n| record(*n)).collect();
        upstream.session.delete(upstream.permit().await, &ask(), base(), "T", &ids).await
    };
    assert_eq!(delete(&[1]).await.unwrap().value, [record(1)]);
    upstream.server.then(vec![Reply::Close, missing()]);
    let error = delete(&[1, 2]).await.unwrap_err();
    assert!(error.uncertain(), "some may have been gone before: {error}");
    upstream.server.then(vec![missing()]);
    assert!(matches!(delete(&[1]).await.unwrap_err(), Error::Refused(_)), "nothing was uncertain");
    upstream.server.then(vec![
        Reply::Close,
        Reply::Json(404, json!({"error": {"type": "MODEL_ID_NOT_FOUND", "message": "Comment not found"}})),
    ]);
    let comment = "comA1b2C3d4E5f6G7".parse().unwrap();
    upstream.session.delete_comment(&ask(), base(), "T", record(1), comment).await.unwrap();
}

#[tokio::test]
async fn a_refusal_after_an_unanswered_attempt_is_no_proof() {
    let refusal = Reply::Json(403, json!({"error": {"type": "INVALID_PERMISSIONS", "message": "no"}}));
    let upstream = Upstream::new(vec![Reply::Close, refusal.clone()]).await;
    let changes = [(record(1), cells("x"))];
    let permit = upstream.permit().await;
    let error =
        upstream.session.update(permit, &ask(), base(), "T", &changes, false, false).await.unwrap_err();
    assert!(error.uncertain() && error.to_string().contains("INVALID_PERMISSIONS"), "{error}");
    upstream.server.then(vec![Reply::Close, refusal]);
    let error = upstream.session.get(&ask(), base(), "T", record(1)).await.unwrap_err();
    assert!(matches!(error, Error::Forbidden { .. }), "a read changes nothing: {error}");
}

#[tokio::test]
async fn silence_and_floods_end() {
    let upstream = Upstream::with(vec![Reply::Silence], |options| {
        options.timeout_seconds = 1;
        options.patience_seconds = 3;
    })
    .await;
    let error = upstream.session.get(&ask(), base(), "T", record(1)).await.unwrap_err();
    assert!(matches!(&error, Error::Unread(why) if why.contains("1 s")), "{error}");
    assert!(upstream.create().await.unwrap_err().uncertain());
    let long = format!(r#"{{"records": [], "x": "{}"}}"#, "x".repeat(33 * 1024 * 1024));
    let upstream = Upstream::new(vec![Reply::With(200, String::new(), long)]).await;
    let error = upstream.session.list(&ask(), base(), "T", &ListQuery::default()).await.unwrap_err();
    assert!(error.to_string().contains("longer than"), "{error}");
    assert_eq!(upstream.server.seen().len(), 1);
}

#[tokio::test]
async fn patience_has_an_end() {
    let upstream = Upstream::with(vec![Reply::With(502, String::new(), String::new())], |options| {
        options.patience_seconds = 2
    })
    .await;
    let started = std::time::Instant::now();
    let error = upstream.session.whoami(&ask()).await.unwrap_err();
    assert!(matches!(&error, Error::Unread(why) if why.contains("502")), "{error}");
    assert!(started.elapsed() < std::time::Duration::from_secs(10));
    assert!(upstream.server.seen().len() > 1);
    // A wait the server asks for that is longer than we have is not begun.
    upstream.server.then(vec![Reply::With(503, "Retry-After: 60\r\n".into(), String::new())]);
    let before = upstream.server.seen().len();
    upstream.session.whoami(&ask()).await.unwrap_err();
    assert_eq!(upstream.server.seen().len(), before + 1);
}
