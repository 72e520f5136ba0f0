//! Limits of requests for callers, and of wrong tokens for addresses.

use serde_json::{Value, json};

use crate::support::{Answer, Data, HttpServer, http, limited};

fn asked(server: &HttpServer, method: &str, path: &str, token: &str) -> Answer {
    let bearer = format!("Bearer {token}");
    let headers = [("Authorization", bearer.as_str()), ("Content-Type", "application/json")];
    http(&server.address, method, path, &headers, b"{}")
}

/// Asks for what costs a request and answers at once, through one of the faces.
const FACES: [(&str, &str, u16); 3] =
    [("POST", "/mcp", 406), ("POST", "/messages?session_id=x", 404), ("GET", "/v0/meta/whoami", 200)];

fn left(answer: &Answer) -> u64 {
    let standing = answer.header("ratelimit").unwrap_or_else(|| panic!("{}", answer.head));
    let rest = standing.strip_prefix("\"default\";r=").unwrap_or_else(|| panic!("{standing}"));
    rest.split(';').next().unwrap().parse().unwrap()
}

#[test]
fn every_face_takes_from_one_limit_and_says_what_is_left() {
    let data = Data::with_shop();
    // One more every second: none while the first few are asked.
    let server = limited(&data, "[http.rate]\nper_second = 1\nburst = 40");
    for (n, (method, path, status)) in FACES.into_iter().cycle().take(6).enumerate() {
        let answer = asked(&server, method, path, &server.token);
        assert_eq!(answer.status, status, "{path}: {}", answer.body);
        assert_eq!(answer.header("ratelimit-policy"), Some("\"default\";q=40;w=40"), "{path}");
        // Time goes by meanwhile, and gives some back.
        let most = 40 - (n as u64 + 1);
        assert!((most..40).contains(&left(&answer)), "{path}: {}", left(&answer));
        assert_eq!(answer.header("retry-after"), None);
    }
    let stranger = http(&server.address, "GET", "/v0/meta/whoami", &[], b"");
    assert_eq!((stranger.status, stranger.header("ratelimit")), (401, None), "nobody's limit");
    assert_eq!(http(&server.address, "GET", "/healthz", &[], b"").header("ratelimit"), None);
}

/// Asks until the limit is reached, each time somewhere else.
fn use_up(server: &HttpServer, token: &str) {
    let mut faces = FACES.into_iter().cycle();
    let over = |(method, path, _)| asked(server, method, path, token).status == 429;
    assert!(faces.by_ref().take(1_000).any(over), "there is no limit");
}

#[test]
fn one_request_too_many_is_429_in_the_words_of_its_face_and_touches_nobody_else() {
    let data = Data::with_shop();
    let server = limited(&data, "[http.rate]\nper_second = 1\nburst = 20");
    let other = data.ok(&["token", "create", "--name", "other"]).trim().to_owned();
    let mut heard = [None, None, None];
    for (place, (method, path, _)) in FACES.into_iter().enumerate() {
        // A slow machine may give one back meanwhile.
        while heard[place].is_none() {
            use_up(&server, &server.token);
            let answer = asked(&server, method, path, &server.token);
            heard[place] = (answer.status == 429).then_some(answer);
        }
    }
    let heard = heard.map(Option::unwrap);
    for answer in &heard {
        assert_eq!(answer.header("ratelimit-policy"), Some("\"default\";q=20;w=20"));
        assert_eq!((left(answer), answer.header("retry-after")), (0, Some("1")), "{}", answer.head);
    }
    let body = |n: usize| serde_json::from_str::<Value>(&heard[n].body).unwrap();
    for n in [0, 1] {
        assert_eq!(body(n)["error"]["code"], -32000, "{}", heard[n].body);
        assert_eq!(body(n)["error"]["message"], "too many requests; try again in 1 second");
    }
    let airtables = json!({"errors": [{
        "error": "RATE_LIMIT_REACHED", "message": "Rate limit exceeded. Please try again later"}]});
    assert_eq!(body(2), airtables);
    let answer = asked(&server, "GET", "/v0/meta/whoami", &other);
    assert_eq!((answer.status, left(&answer)), (200, 19), "the other has a limit of their own");
}

#[test]
fn without_the_setting_there_is_no_limit_and_no_header() {
    let data = Data::with_shop();
    let server = limited(&data, "");
    for _ in 0..100 {
        let answer = asked(&server, "GET", "/v0/meta/whoami", &server.token);
        assert_eq!((answer.status, answer.header("ratelimit")), (200, None));
    }
    for _ in 0..50 {
        let answer = asked(&server, "POST", "/mcp", "twk_wrong");
        assert_eq!(answer.status, 401, "loopback may be a proxy of many");
    }
}

#[test]
fn an_address_with_many_wrong_tokens_is_not_listened_to_for_a_while() {
    let data = Data::with_shop();
    let server = limited(&data, "[http.rate]\nwrong_tokens_per_minute = 3\nlimit_loopback = true");
    for _ in 0..10 {
        // A client that asks whether it needs a token brings none.
        assert_eq!(http(&server.address, "POST", "/mcp", &[], b"{}").status, 401);
        assert_eq!(asked(&server, "GET", "/v0/meta/whoami", &server.token).status, 200);
    }
    let statuses: Vec<u16> =
        (0..4).map(|n| asked(&server, FACES[n % 3].0, FACES[n % 3].1, &format!("twk_{n}")).status).collect();
    assert_eq!(statuses, [401, 401, 401, 429]);
    // A right one is not told from a wrong one now.
    for (method, path, _) in FACES {
        let refused = asked(&server, method, path, &server.token);
        assert_eq!(refused.status, 429, "{path}");
        assert_eq!(refused.header("ratelimit-policy"), Some("\"wrong-tokens\";q=3;w=60"));
        let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=20).contains(&wait), "{wait}");
    }
    assert_eq!(http(&server.address, "GET", "/healthz", &[], b"").status, 200);
}

#[test]
fn limits_out_of_range_are_named() {
    let data = Data::new();
    for (settings, wanted) in [
        ("burst = 0", "http.rate.burst: it must be 1 to 100000"),
        ("per_second = 100001", "http.rate.per_second: it must be 0 to 100000"),
        ("wrong_tokens_per_minute = 100001", "http.rate.wrong_tokens_per_minute: it must be 0 to 100000"),
    ] {
        let config = crate::support::http_config(&data, &format!("[http.rate]\n{settings}"));
        let (code, said) = data.serve(&["--http", "127.0.0.1:0", "--config", &config]).ended();
        assert_eq!(code, Some(3), "{said}");
        assert!(said.contains(wanted), "{said}");
    }
}
