//! Where keys come from, how they change, and servers that are away, slow or odd.

use std::sync::Arc;
use std::time::Instant;

use serde_json::json;
use tablewright_core::clock::HeldClock;
use tablewright_door::Oauth;
use tablewright_door::oauth::{Options, Refused};
use tablewright_engine::fetch;

use super::issuer::{Issuer, KEYS, METADATA, OPENID, Says, Signer, now};
use super::{Served, whoami};
use crate::support::PATIENCE;

/// Asks until the server that was away is heard again.
fn in_the_end(served: &Served, token: &str) {
    let deadline = Instant::now() + PATIENCE;
    while !served.lets_in(token) {
        assert!(Instant::now() < deadline, "it is not let in");
    }
}

#[test]
fn new_keys_are_found_when_a_token_names_them_and_old_ones_go() {
    let (old, new) = (Signer::p256("old"), Signer::ed("new"));
    let served = Served::new(&[&old]);
    let [by_old, by_new] = [(&old, "ES256"), (&new, "EdDSA")].map(|(s, a)| served.token(s, a, |_| {}));
    assert!(served.lets_in(&by_old));
    assert_eq!(served.issuer.asked(), [METADATA, KEYS]);
    served.issuer.holds(&[&new]);
    assert!(served.lets_in(&by_new));
    assert_eq!(served.issuer.asked(), [METADATA, KEYS]);
    // The token was verified before, by a key that is gone now.
    assert!(!served.lets_in(&by_old));
    for n in 0..10 {
        let header = json!({"alg": "ES256", "kid": format!("unknown {n}")});
        assert!(!served.lets_in(&old.token_with(header, &served.claims())));
    }
    assert_eq!(served.issuer.asked(), [""; 0], "it is asked at most once in thirty seconds");
}

#[test]
fn many_tokens_that_come_at_once_fetch_keys_once() {
    let key = Signer::p256("e");
    let served = Served::new(&[&key]);
    let tokens: Vec<String> = (0..8).map(|n| served.token(&key, "ES256", |c| c["jti"] = n.into())).collect();
    let address = served.address.as_str();
    std::thread::scope(|scope| {
        for token in &tokens {
            scope.spawn(move || assert_eq!(whoami(address, token).status, 200));
        }
    });
    assert_eq!(served.issuer.asked(), [METADATA, KEYS]);
}

#[test]
fn keys_outlive_a_server_that_is_away_and_come_when_it_is_back() {
    let key = Signer::p256("e");
    let issuer = Issuer::start(&[&key]);
    issuer.is_away(true);
    let served = Served::of(issuer, &[], &[]);
    let token = |n: i64| served.token(&key, "ES256", |c| c["jti"] = n.into());
    assert!(!served.lets_in(&token(0)));
    served.issuer.is_away(false);
    in_the_end(&served, &token(1));
    served.issuer.is_away(true);
    assert!(served.lets_in(&token(2)), "a token that was not verified before");
}

#[test]
fn keys_of_a_server_that_stays_away_are_given_up_after_a_day() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let _ = rustls::crypto::ring::default_provider().install_default();
    let key = Signer::p256("e");
    let issuer = Issuer::start(&[&key]);
    issuer.says(KEYS, Says::Kept("max-age=3600", json!({"keys": [key.jwk()]})));
    let clock = HeldClock::at(now() * 1_000);
    let options = Options { issuer: Some(issuer.url.clone()), ..Options::default() };
    let (address, time) = ("https://tables.example", Arc::new(clock.clone()));
    let oauth = Oauth::new(&options, &fetch::Options::default(), address, time).unwrap().unwrap();
    let verify = |n: i64| {
        let claims = json!({"iss": issuer.url, "aud": address, "exp": now() + 300, "jti": n});
        runtime.block_on(oauth.verify(&key.token("ES256", &claims))).map(drop)
    };
    let (minute, hour) = (60_000, 3_600_000);
    assert_eq!(verify(0), Ok(()));
    assert_eq!(issuer.asked(), [METADATA, KEYS]);
    clock.advance(59 * minute);
    assert_eq!(verify(1), Ok(()));
    assert_eq!(issuer.asked(), [""; 0], "they are fresh");
    issuer.is_away(true);
    clock.advance(22 * hour);
    assert_eq!(verify(2), Ok(()));
    clock.advance(2 * hour);
    assert_eq!(verify(3), Err(Refused::NoKeys));
    issuer.is_away(false);
    clock.advance(minute);
    assert_eq!(verify(4), Ok(()));
}

/// An authorization server that says such things lets nobody in, until it says better.
fn lets_nobody_in_while(path: &str, says: impl FnOnce(&Issuer) -> Says) {
    let key = Signer::p256("e");
    let issuer = Issuer::start(&[&key]);
    issuer.says("/elsewhere", Says::Json(json!({"keys": [key.jwk()]})));
    let says = says(&issuer);
    issuer.says(path, says);
    let served = Served::of(issuer, &[], &[]);
    let token = served.token(&key, "ES256", |_| {});
    assert!(!served.lets_in(&token));
    assert!(!served.issuer.asked().contains(&"/elsewhere".to_owned()));
    served.issuer.says(METADATA, Says::Json(served.issuer.metadata()));
    served.issuer.holds(&[&key]);
    in_the_end(&served, &token);
}

#[test]
fn keys_that_are_too_many_bytes_or_no_keys_are_not_taken() {
    lets_nobody_in_while(KEYS, |_| Says::Bytes(256 * 1024 + 1));
    lets_nobody_in_while(KEYS, |_| Says::Json(json!({"keys": "none"})));
}

#[test]
fn redirects_to_keys_are_not_followed() {
    lets_nobody_in_while(KEYS, |issuer| Says::Redirect(format!("{}/elsewhere", issuer.url)));
    lets_nobody_in_while(METADATA, |issuer| Says::Redirect(format!("{}/elsewhere", issuer.url)));
}

#[test]
fn metadata_of_another_issuer_is_not_believed() {
    let with = |name: &'static str, value: &'static str| {
        move |issuer: &Issuer| {
            let mut metadata = issuer.metadata();
            metadata[name] = value.into();
            Says::Json(metadata)
        }
    };
    lets_nobody_in_while(METADATA, with("issuer", "https://else.example"));
    lets_nobody_in_while(METADATA, with("jwks_uri", "http://169.254.169.254/keys"));
    lets_nobody_in_while(METADATA, with("jwks_uri", "https://169.254.169.254/keys"));
}

#[test]
fn a_server_that_does_not_answer_is_given_up() {
    lets_nobody_in_while(KEYS, |_| Says::Silence);
}

#[test]
fn metadata_of_openid_connect_and_keys_by_their_address_will_do() {
    let key = Signer::p256("e");
    let issuer = Issuer::start(&[&key]);
    issuer.says(OPENID, Says::Json(issuer.metadata()));
    issuer.says(METADATA, Says::Redirect("/".into()));
    let served = Served::of(issuer, &[], &[]);
    assert!(served.lets_in(&served.token(&key, "ES256", |_| {})));
    assert_eq!(served.issuer.asked(), [METADATA, OPENID, KEYS]);
    let issuer = Issuer::start(&[&key]);
    let url = format!("{}{KEYS}", issuer.url);
    let served = Served::of(issuer, &[], &[("TABLEWRIGHT_OAUTH_JWKS_URL", &url)]);
    assert!(served.lets_in(&served.token(&key, "ES256", |_| {})));
    assert_eq!(served.issuer.asked(), [KEYS]);
}
