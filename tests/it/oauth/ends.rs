//! What a token says of its holder, and what ends with it.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tablewright_core::clock::Clock;
use tablewright_door::Oauth;
use tablewright_door::oauth::{Options, Refused};
use tablewright_engine::clock::SystemClock;
use tablewright_engine::fetch;

use super::issuer::{Issuer, Signer, now};
use super::{Served, ask};
use crate::support::{PATIENCE, http};

#[test]
fn streams_end_with_the_token_that_opened_them() {
    let key = Signer::p256("e");
    let served = Served::new(&[&key]);
    // Clocks may differ by thirty seconds: this one is good for three more.
    let token = served.token(&key, "ES256", |c| c["exp"] = (now() - 27).into());
    let begun = Instant::now();
    let (address, other) = (served.address.as_str(), token.clone());
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let params = json!({"notifications": {"resourcesListChanged": true}});
            let listened = ask(address, &other, "subscriptions/listen", None, params);
            assert_eq!(listened.status, 200, "{}", listened.body);
        });
        let bearer = format!("Bearer {token}");
        let opened = http(address, "GET", "/sse", &[("Authorization", &bearer)], b"");
        assert!(opened.status == 200 && opened.body.contains("session_id="), "{}", opened.body);
        let place = opened.body.split("data: ").nth(1).unwrap().lines().next().unwrap().trim();
        let next = served.token(&key, "ES256", |_| {});
        let headers = [("Authorization", &*format!("Bearer {next}")), ("Content-Type", "application/json")];
        let said =
            http(address, "POST", place, &headers, b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}");
        assert_eq!(said.status, 404, "{}", said.body);
    });
    assert!(begun.elapsed() < PATIENCE - Duration::from_secs(5), "they ended on their own");
    assert!(!served.lets_in(&token));
}

#[test]
fn a_token_says_whom_it_stands_for() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let _ = rustls::crypto::ring::default_provider().install_default();
    let key = Signer::p256("e");
    let issuer = Issuer::start(&[&key]);
    let address = "https://tables.example";
    let verified = |claim: &str, more: Value| {
        let options = Options {
            issuer: Some(issuer.url.clone()),
            person_claim: claim.to_owned(),
            ..Options::default()
        };
        let clock: std::sync::Arc<dyn Clock> = std::sync::Arc::new(SystemClock);
        let oauth = Oauth::new(&options, &fetch::Options::default(), address, clock).unwrap().unwrap();
        let mut claims = json!({"iss": issuer.url, "aud": address, "sub": "s-1", "exp": now() + 300});
        claims.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        runtime.block_on(oauth.verify(&key.token("ES256", &claims)))
    };
    let person = |claim: &str, more: Value| verified(claim, more).map(|verified| verified.person.clone());
    let ann = || Ok(Some("ann@example.com".to_owned()));
    assert_eq!(person("email", json!({"email": "ann@example.com"})), ann());
    assert_eq!(person("email", json!({"email": "ann@example.com", "email_verified": true})), ann());
    assert_eq!(
        person("email", json!({"email": "ann@example.com", "email_verified": false})),
        Err(Refused::NotLetIn)
    );
    assert_eq!(
        person("email", json!({"email": "ann@example.com", "email_verified": "false"})),
        Err(Refused::NotLetIn)
    );
    assert_eq!(person("upn", json!({"email": "bo@example.com", "upn": "ann@example.com"})), ann());
    assert_eq!(person("sub", json!({})), Ok(Some("s-1".to_owned())));
    assert_eq!(person("email", json!({"email": ["ann@example.com"]})), Err(Refused::NotLetIn));
    assert_eq!(person("email", json!({"email": ""})), Err(Refused::NotLetIn));
    assert_eq!(person("email", json!({"upn": "ann@example.com"})), Ok(None));
    let all = verified("email", json!({"azp": "robot", "scp": "a b"})).unwrap();
    assert_eq!((all.subject.as_deref(), all.client.as_deref()), (Some("s-1"), Some("robot")));
    assert_eq!(all.scopes, ["a", "b"]);
    assert!((all.expires_at_ms - (now() + 330) * 1_000).abs() < 5_000);
}
