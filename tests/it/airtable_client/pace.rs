//! The pace on real connections, and what it is told by the store.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use tablewright_core::clock::HeldClock;
use tablewright_core::model::BaseId;
use tablewright_engine::airtable::{Ask, Error};

use super::server::Reply;
use super::{NOW, Upstream, ask, base, client_at, record, token, written};

fn too_many() -> Reply {
    Reply::Json(
        429,
        json!({"errors": [{"error": "RATE_LIMIT_REACHED", "message": "Rate limit exceeded. Please try again later"}]}),
    )
}

#[tokio::test]
async fn no_more_than_five_arrive_within_a_second() {
    let upstream = Upstream::new(vec![Reply::Json(200, written(1, "x"))]).await;
    let gets = (0..23).map(|n| {
        let session = upstream.session.clone();
        async move {
            let who = Ask::interactive(format!("caller {}", n % 3));
            session.get(&who, base(), "T", record(1)).await.map(drop)
        }
    });
    let done = futures_util::future::join_all(gets).await;
    assert!(done.iter().all(Result::is_ok), "{done:?}");
    let times: Vec<Instant> = upstream.server.seen().iter().map(|seen| seen.at).collect();
    for six in times.windows(6) {
        assert!(six[5] - six[0] >= Duration::from_secs(1), "{:?}", six[5] - six[0]);
    }
    assert_eq!(upstream.airtable.usage("me").await.unwrap(), (23, 0));
}

#[tokio::test]
async fn a_refused_base_is_left_alone_by_all_and_after_a_restart() {
    let upstream = Upstream::with(vec![too_many()], |options| options.patience_seconds = 5).await;
    let error = upstream.create().await.unwrap_err();
    assert!(matches!(error, Error::RateLimited { seconds: 25..=30 }), "{error}");
    let other = upstream.airtable.session("other", token("patOther.1", None));
    let error = other.get(&Ask::sync("copy"), base(), "T", record(1)).await.unwrap_err();
    assert!(matches!(error, Error::RateLimited { .. }), "{error}");
    assert_eq!(upstream.server.seen().len(), 1, "nothing more was sent to that base");
    upstream.server.then(vec![Reply::Json(200, written(1, "x"))]);
    let another: BaseId = "appB1b2C3d4E5f6G7".parse().unwrap();
    upstream.session.get(&ask(), another, "T", record(1)).await.unwrap();

    let started = async |seconds: i64| {
        let clock = Arc::new(HeldClock::at(NOW + seconds * 1_000));
        let airtable = client_at(&upstream.options, &upstream.directory, clock).await;
        let session = airtable.session("me", token("patTest.1", None));
        session.get(&ask(), base(), "T", record(1)).await.map(drop)
    };
    let error = started(10).await.unwrap_err();
    assert!(matches!(error, Error::RateLimited { seconds: 15..=20 }), "{error}");
    started(31).await.unwrap();
}

#[tokio::test]
async fn turns_that_are_dropped_leave_no_hole() {
    let upstream = Upstream::new(vec![Reply::Json(200, written(1, "x"))]).await;
    let started = Instant::now();
    for _ in 0..50 {
        drop(upstream.permit().await);
    }
    // Five are held; a sixth waits, and gives up.
    let held: Vec<_> = futures_util::future::join_all((0..5).map(|_| upstream.permit())).await;
    let sixth = upstream.permit();
    assert!(tokio::time::timeout(Duration::from_millis(50), sixth).await.is_err());
    assert!(started.elapsed() < Duration::from_secs(1), "turns not used cost no time");
    drop(held);
    upstream.session.get(&ask(), base(), "T", record(1)).await.unwrap();
    assert_eq!(upstream.airtable.usage("me").await.unwrap().0, 1);
}

#[tokio::test]
async fn a_turn_is_for_its_base() {
    let upstream = Upstream::new(vec![Reply::Close]).await;
    let another: BaseId = "appB1b2C3d4E5f6G7".parse().unwrap();
    let permit = upstream.permit().await;
    let error = upstream.session.delete(permit, &ask(), another, "T", &[record(1)]).await.unwrap_err();
    assert!(matches!(error, Error::NotSent(_)), "{error}");
    assert!(upstream.server.seen().is_empty());
}

#[tokio::test]
async fn the_month_has_so_many_calls() {
    let upstream =
        Upstream::with(vec![Reply::Json(200, written(1, "x"))], |options| options.monthly_calls = 3).await;
    for _ in 0..3 {
        upstream.session.get(&ask(), base(), "T", record(1)).await.unwrap();
    }
    let error = upstream.create_refused().await;
    assert!(error.to_string().contains("airtable.monthly_calls"), "{error}");
    assert_eq!(upstream.airtable.usage("me").await.unwrap(), (3, 3));
    assert_eq!(upstream.server.seen().len(), 3);
}

impl Upstream {
    /// Why there is no turn.
    async fn create_refused(&self) -> Error {
        self.session.permit(&ask(), Some(base())).await.unwrap_err()
    }
}
