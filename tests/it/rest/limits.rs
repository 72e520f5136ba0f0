//! Limits of requests as Airtable's, and offsets that lapse.

use std::time::Instant;

use serde_json::{Value, json};

use super::{ALL_SCOPES, BASE, Rest, path};
use crate::support::{Client, Data, PATIENCE, http, listen};

/// A server with settings of its own; its address and a token.
fn with_settings(data: &Data, settings: &[(&str, &str)], args: &[&str]) -> (Client, String, String) {
    let token = data.ok(&["token", "create", "--name", "t", "--scopes", ALL_SCOPES]).trim().to_owned();
    let (client, address) = listen(data, args, settings);
    (client, address, token)
}

fn get(address: &str, token: &str, path: &str) -> (u16, Value) {
    let bearer = format!("Bearer {token}");
    let answer = http(address, "GET", path, &[("Authorization", &bearer)], b"");
    (answer.status, serde_json::from_str(&answer.body).unwrap())
}

#[test]
fn one_request_too_many_starts_the_penalty() {
    let data = Data::with_shop();
    let settings = [("TABLEWRIGHT_GATEWAY_PENALTY_SECONDS", "3600")];
    let (_client, address, token) = with_settings(&data, &settings, &["--emulate-limits"]);
    let wanted = json!({"errors": [{"error": "RATE_LIMIT_REACHED", "message": "Rate limit exceeded. Please try again later"}]});
    // A slow machine may spread six requests over more than a second; it will not do so for ever.
    let started = Instant::now();
    let refused = loop {
        let (status, body) = get(&address, &token, &path("?maxRecords=1"));
        if status == 429 {
            break body;
        }
        assert!(started.elapsed() < PATIENCE, "never refused");
    };
    assert_eq!(refused, wanted);
    assert_eq!(get(&address, &token, &path("")), (429, wanted), "the penalty lasts");
    assert_eq!(
        get(&address, &token, "/v0/meta/whoami").0,
        200,
        "another base's, or nobody's, requests go on"
    );
}

#[test]
fn nothing_is_limited_unless_asked() {
    let rest = Rest::new(&[]);
    for _ in 0..12 {
        rest.get(&format!("/v0/{BASE}/Goods?maxRecords=1"));
    }
}

#[test]
fn offsets_lapse() {
    let data = Data::with_shop();
    let settings = [("TABLEWRIGHT_GATEWAY_OFFSET_SECONDS", "0")];
    let (_client, address, token) = with_settings(&data, &settings, &[]);
    for order in ["", "&sort[0][field]=Name"] {
        let query = path(&format!("?pageSize=1{order}"));
        let (_, list) = get(&address, &token, &query);
        let next = format!("{query}&offset={}", list["offset"].as_str().unwrap());
        let started = Instant::now();
        let answer = loop {
            let (status, answer) = get(&address, &token, &next);
            if status == 422 {
                break answer;
            }
            assert!(started.elapsed() < PATIENCE, "it never lapses");
        };
        assert_eq!(answer, json!({"error": {"type": "LIST_RECORDS_ITERATOR_NOT_AVAILABLE"}}));
    }
}

#[test]
fn offsets_do_not_outlive_the_server() {
    let data = Data::with_shop();
    let (client, address, token) = with_settings(&data, &[], &[]);
    let (_, list) = get(&address, &token, &path("?pageSize=1"));
    drop(client);
    data.ok(&["token", "revoke", "t"]);
    let (_client, address, token) = with_settings(&data, &[], &[]);
    let query = path(&format!("?pageSize=1&offset={}", list["offset"].as_str().unwrap()));
    assert_eq!(get(&address, &token, &query).1["error"]["type"], "LIST_RECORDS_ITERATOR_NOT_AVAILABLE");
}
