//! Logging in by OAuth, and pairs of tokens of which each works once.

use std::net::TcpListener;

use crate::support::{Answer, Client, http};

use super::server::{OAuth, Turn, decoded};
use super::{Here, Upstream, said};

pub(super) fn here(upstream: &Upstream, oauth: &OAuth) -> Here {
    Here::new(&upstream.server.address)
        .with("TABLEWRIGHT_AIRTABLE_OAUTH_URL", format!("http://{}", oauth.address))
        .with("TABLEWRIGHT_AIRTABLE_OAUTH_CLIENT_ID", "our-id")
        .with("TABLEWRIGHT_AIRTABLE_OAUTH_CLIENT_SECRET", "our-client-secret")
}

/// An upstream, a token endpoint that hands out tokens of it, and a data directory.
fn parts(tokens: usize) -> (Upstream, OAuth, Here, Vec<String>) {
    let upstream = Upstream::new();
    let tokens: Vec<String> = (0..tokens).map(|n| upstream.token(&format!("access{n}"))).collect();
    let oauth = OAuth::start(tokens.clone());
    let here = here(&upstream, &oauth);
    (upstream, oauth, here, tokens)
}

pub(super) fn of(url: &str, wanted: &str) -> String {
    let query = url.split_once('?').unwrap().1;
    let pair = query.split('&').find_map(|pair| pair.strip_prefix(&format!("{wanted}=")));
    decoded(pair.unwrap_or_else(|| panic!("{url} has no {wanted}")))
}

/// Begins a login; the process and the address it prints.
fn begin(here: &Here) -> (Client, String) {
    let mut process = Client::start(here.command(&["connect", "--name", "work", "--oauth", "--json"]));
    loop {
        let line = process.error_line();
        if line.trim().starts_with("http://") {
            return (process, line.trim().to_owned());
        }
    }
}

/// What the browser gets when it comes back with `query`.
fn visit(url: &str, path: &str, query: &str) -> Answer {
    let redirect = of(url, "redirect_uri");
    let port = redirect.strip_prefix("http://localhost:").unwrap().split('/').next().unwrap().to_owned();
    http(&format!("127.0.0.1:{port}"), "GET", &format!("{path}?{query}"), &[], b"")
}

/// Goes through a whole login.
fn log_in(here: &Here) {
    let (mut process, url) = begin(here);
    let page = visit(&url, "/callback", &format!("code=the-code&state={}", of(&url, "state")));
    assert_eq!(page.status, 200, "{}", page.body);
    assert!(page.body.contains("close this window"), "{}", page.body);
    let shown = process.receive().unwrap();
    assert_eq!(shown["profile"]["kind"], "oauth", "{shown}");
    assert_eq!(shown["grants"][0]["name"], "Shop", "{shown}");
    assert_eq!(process.ended().0, Some(0));
}

#[test]
fn a_person_logs_in_with_the_browser() {
    let (_upstream, oauth, here, tokens) = parts(1);
    let (mut process, url) = begin(&here);
    assert!(url.starts_with(&format!("http://{}/authorize?client_id=our-id&", oauth.address)), "{url}");
    assert_eq!(
        (of(&url, "response_type"), of(&url, "code_challenge_method")),
        ("code".into(), "S256".into())
    );
    assert!(of(&url, "scope").starts_with("data.records:read data.records:write "), "{url}");
    assert_eq!(visit(&url, "/favicon.ico", "").status, 404, "is no answer");
    let page = visit(&url, "/callback", &format!("code=the-code&state={}", of(&url, "state")));
    assert_eq!(page.status, 200, "{}", page.body);
    let shown = process.receive().unwrap();
    assert_eq!(shown["profile"]["scopes"], serde_json::json!(["data.records:read", "schema.bases:read"]));
    let (code, log) = process.ended();
    assert_eq!(code, Some(0), "{log}");
    let asked = oauth.asked();
    assert_eq!(asked.len(), 1, "{asked:?}");
    // our-id:our-client-secret
    assert!(asked[0].starts_with("Basic b3VyLWlkOm91ci1jbGllbnQtc2VjcmV0 "), "{asked:?}");
    assert!(!asked[0].contains("client_id"), "the id goes into the form without a secret only");
    assert!(asked[0].contains(&format!("redirect_uri={}", "http%3A%2F%2Flocalhost%3A")), "{asked:?}");
    for secret in [tokens[0].as_str(), "refresh-token-1", "our-client-secret", "the-code"] {
        assert!(!log.contains(secret) && !shown.to_string().contains(secret), "{secret}: {log}");
        here.assert_nowhere(secret);
    }
    let doctor = here.ok(&["doctor"]);
    assert!(!doctor.contains("our-client-secret") && doctor.contains("\"***\""), "{doctor}");
    assert!(doctor.contains("webhook:manage is missing"), "{doctor}");
    assert!(here.ok(&["connect", "--list"]).contains("work  oauth"));
}

#[test]
fn an_answer_of_another_login_is_refused_and_ends_this_one() {
    let (_upstream, oauth, here, _) = parts(1);
    for (query, hint) in [
        ("code=the-code&state=another-state-0000", "does not belong to this login"),
        ("code=the-code", "does not belong to this login"),
    ] {
        let (mut process, url) = begin(&here);
        let page = visit(&url, "/callback", query);
        assert_eq!(page.status, 400, "{}", page.body);
        let (code, log) = process.ended();
        assert_eq!(code, Some(1), "{log}");
        assert!(log.contains(hint), "{log}");
    }
    let (mut process, url) = begin(&here);
    let denied = format!("error=access_denied&error_description=No&state={}", of(&url, "state"));
    assert_eq!(visit(&url, "/callback", &denied).status, 400);
    assert!(process.ended().1.contains("access_denied: No"));
    assert!(oauth.asked().is_empty(), "no code was spent");
    assert!(here.ok(&["connect", "--list"]).contains("no logins"));
    let (mut process, url) = begin(&here);
    visit(&url, "/callback", &format!("code=wrong&state={}", of(&url, "state")));
    let (code, log) = process.ended();
    assert!(code == Some(1) && log.contains("invalid_grant"), "{log}");
    assert!(here.ok(&["connect", "--list"]).contains("no logins"));
}

#[test]
fn without_an_integration_or_a_free_port_it_says_what_to_do() {
    let upstream = Upstream::new();
    let plain = Here::new(&upstream.server.address);
    assert!(plain.refused(&["connect", "--oauth"]).contains("airtable.oauth_client_id"));
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let here = plain
        .with("TABLEWRIGHT_AIRTABLE_OAUTH_CLIENT_ID", "our-id")
        .with("TABLEWRIGHT_AIRTABLE_OAUTH_REDIRECT_PORT", port.clone());
    let output = here.run(&["connect", "--oauth"]);
    assert_eq!(output.status.code(), Some(6), "{}", said(&output));
    assert!(said(&output).contains(&port), "{}", said(&output));
}

#[test]
fn tokens_are_renewed_before_they_end_and_a_crash_loses_nothing() {
    let (_upstream, oauth, here, _) = parts(4);
    log_in(&here);
    here.ok(&["connect", "--name", "work"]);
    assert_eq!(oauth.asked().len(), 1, "a pair that is good is not renewed");
    // These end within a minute, so each use gets the next one.
    let (_upstream, oauth, here, tokens) = parts(4);
    oauth.next(&[Turn::Grant(30), Turn::Grant(30), Turn::Grant(30), Turn::Grant(3_600)]);
    log_in(&here);
    let mut before = oauth.asked().len();
    assert!(before >= 2, "it was renewed while it was shown");
    // Killed in the middle of its life, the next process goes on with the newest pair.
    let mut owner = Client::start(here.command(&["serve"])).initialize();
    while before < 4 {
        here.ok(&["connect", "--name", "work"]);
        assert!(oauth.asked().len() > before, "{:?}", oauth.asked());
        before = oauth.asked().len();
        assert!(here.data.kill_owner());
        owner.text("list_bases", serde_json::json!({}));
    }
    here.ok(&["connect", "--name", "work"]);
    assert_eq!(oauth.asked().len(), 4, "and the last one lasts");
    for secret in tokens.iter().map(String::as_str).chain(["refresh-token-1", "refresh-token-4"]) {
        here.assert_nowhere(secret);
    }
}

#[test]
fn many_at_once_renew_once() {
    let (upstream, oauth, here, _) = parts(3);
    log_in(&here);
    upstream.data.ok(&["token", "revoke", "access0"]);
    let _owner = Client::start(here.command(&["serve"])).initialize();
    let children: Vec<_> = (0..6)
        .map(|_| {
            let mut command = here.command(&["connect", "--name", "work"]);
            command.stdin(std::process::Stdio::null());
            command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
            command.spawn().unwrap()
        })
        .collect();
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", said(&output));
    }
    assert_eq!(oauth.asked().len(), 2, "{:?}", oauth.asked());
}

#[test]
fn an_answer_that_was_lost_is_asked_for_again_and_then_a_person() {
    let (_upstream, oauth, here, _) = parts(4);
    // Broken off before anything was done: the same token works.
    oauth.next(&[Turn::Grant(0), Turn::Break, Turn::Grant(3_600)]);
    log_in(&here);
    let asked = oauth.asked();
    assert_eq!(asked.len(), 3, "{asked:?}");
    assert_eq!(asked[1], asked[2], "what is stored was tried again");
    // Done, and the answer lost: the token is spent, and only a person can help.
    let (_upstream, oauth, here, _) = parts(4);
    oauth.next(&[Turn::Grant(0), Turn::Lose, Turn::JustDone]);
    let (mut process, url) = begin(&here);
    visit(&url, "/callback", &format!("code=the-code&state={}", of(&url, "state")));
    let (code, log) = process.ended();
    assert_eq!(code, Some(1), "{log}");
    assert!(log.contains("does not take the refresh token of the login \"work\" any more"), "{log}");
    assert!(log.contains("the answer to the refresh before was lost"), "{log}");
    assert!(log.contains("tablewright connect --name work --oauth"), "{log}");
    let asked = oauth.asked().len();
    assert_eq!(asked, 4);
    let refused = here.refused(&["connect", "--name", "work"]);
    assert!(refused.contains("log in again"), "{refused}");
    oauth.next(&[Turn::Grant(3_600)]);
    log_in(&here);
    here.ok(&["connect", "--name", "work"]);
}

#[test]
fn an_access_token_that_is_refused_is_renewed_once() {
    let (upstream, oauth, here, _) = parts(3);
    log_in(&here);
    upstream.data.ok(&["token", "revoke", "access0"]);
    here.ok(&["connect", "--name", "work"]);
    assert_eq!(oauth.asked().len(), 2, "{:?}", oauth.asked());
    for name in ["access1", "access2"] {
        upstream.data.ok(&["token", "revoke", name]);
    }
    let refused = here.refused(&["connect", "--name", "work"]);
    assert!(refused.contains("401") || refused.contains("AUTHENTICATION_REQUIRED"), "{refused}");
    assert_eq!(oauth.asked().len(), 3, "{:?}", oauth.asked());
}
