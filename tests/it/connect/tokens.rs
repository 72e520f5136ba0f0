//! Personal tokens: taken in, sealed, refused, lost.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;

use serde_json::json;

use super::{Here, Upstream, said};

#[test]
fn a_token_is_checked_kept_sealed_and_shown_nowhere() {
    let upstream = Upstream::new();
    let token = upstream.token("laptop");
    let here = Here::new(&upstream.server.address);
    let text = here.connect("laptop", &token);
    assert!(text.contains("login laptop (token)"), "{text}");
    assert!(text.contains("appShop0000000000  Shop  (read)"), "{text}");
    assert!(!text.contains(&token), "not even in the log: {text}");
    here.assert_nowhere(&token);
    let listed = here.json(&["connect", "--list"]);
    assert_eq!(listed[0]["name"], "laptop", "{listed}");
    assert_eq!((&listed[0]["kind"], &listed[0]["bases"]), (&json!("token"), &json!([])), "{listed}");
    assert!(listed[0]["user"].as_str().unwrap().starts_with("usr"), "{listed}");
    assert!(listed[0]["calls"].as_u64().unwrap() >= 2, "{listed}");
    let shown = here.json(&["connect", "--name", "laptop"]);
    assert_eq!(shown["grants"][0]["name"], "Shop", "the token at rest still opens: {shown}");
    let text = here.ok(&["connect", "--list"]);
    assert!(text.contains("laptop  token") && !text.contains(&token), "{text}");
    here.ok(&["disconnect", "laptop"]);
    assert!(here.ok(&["connect", "--list"]).contains("no logins"));
    assert!(here.refused(&["disconnect", "laptop"]).contains("there is no login \"laptop\""));
}

#[test]
fn a_token_is_never_seen_by_an_owner_that_holds_the_directory_either() {
    let upstream = Upstream::new();
    let token = upstream.token("laptop");
    let here = Here::new(&upstream.server.address);
    let mut client = crate::support::Client::start(here.command(&["serve"])).initialize();
    here.connect("laptop", &token);
    assert_eq!(here.json(&["connect", "--name", "laptop"])["profile"]["name"], "laptop");
    assert_eq!(client.structured("list_bases", json!({}))["bases"], json!([]));
    drop(client);
    let log = std::fs::read_to_string(here.data.path().join("owner.log")).unwrap();
    assert!(!log.contains(&token), "{log}");
    here.assert_nowhere(&token);
}

#[test]
fn wrong_tokens_are_refused_and_nothing_is_kept() {
    let upstream = Upstream::new();
    let here = Here::new(&upstream.server.address);
    for (token, hint) in [
        ("patWrong0000000.0123456789abcdef", "Airtable does not accept this token"),
        ("", "it is empty"),
        ("two words", "it has spaces"),
        ("key0123456789abcd", "API key of the old kind"),
    ] {
        let output = here.fed(&["connect", "--token-stdin"], &format!("{token}\n"));
        let text = said(&output);
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(text.contains(hint), "{text}");
        assert!(token.len() < 10 || !text.contains(token), "{text}");
    }
    assert_eq!(here.json(&["connect", "--list"]), json!([]));
    assert!(here.refused(&["connect"]).contains("--token-stdin"), "nobody can be asked");
    let token = upstream.token("laptop");
    for name in ["environment", "a b", "-x", ""] {
        let name = format!("--name={name}");
        let output = here.fed(&["connect", &name, "--token-stdin"], &token);
        assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    }
    assert_eq!(here.json(&["connect", "--list"]), json!([]));
}

#[test]
fn a_token_that_was_taken_back_is_named_by_doctor_and_can_be_replaced() {
    let upstream = Upstream::new();
    let here = Here::new(&upstream.server.address);
    here.connect("laptop", &upstream.token("first"));
    let doctor = here.ok(&["doctor"]);
    assert!(doctor.contains("ok      login laptop: accepted as"), "{doctor}");
    upstream.data.ok(&["token", "revoke", "first"]);
    let refused = here.refused(&["connect", "--name", "laptop"]);
    assert!(refused.contains("does not accept the token of the login \"laptop\""), "{refused}");
    assert!(refused.contains("tablewright connect --name laptop"), "{refused}");
    let doctor = here.refused(&["doctor"]);
    assert!(doctor.contains("FAILED  login laptop:"), "{doctor}");
    here.connect("laptop", &upstream.token("second"));
    here.ok(&["doctor"]);
}

#[test]
fn doctor_says_that_airtable_is_far_away_and_ends() {
    let upstream = Upstream::new();
    let here = Here::new(&upstream.server.address);
    here.connect("laptop", &upstream.token("laptop"));
    drop(upstream);
    let mut command = here.command(&["doctor", "--json"]);
    command.env("TABLEWRIGHT_AIRTABLE_PATIENCE_SECONDS", "1");
    let output = command.output().unwrap();
    assert!(output.status.success(), "being offline is no fault: {}", said(&output));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let checks = report["checks"].as_array().unwrap();
    let check = checks.iter().find(|check| check["name"] == "login laptop").unwrap();
    assert_eq!((&check["ok"], &check["warning"]), (&json!(true), &json!(true)), "{check}");
    assert!(check["says"].as_str().unwrap().contains("reached"), "{check}");
}

/// An Airtable that knows everybody, grants nothing, and whose clock stands still.
fn standing_still() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
            let body = r#"{"id": "usrStandingStill0", "email": "a@b.example", "bases": []}"#;
            let _ = write!(
                stream,
                "HTTP/1.1 200 OK\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                body.len()
            );
        }
    });
    address
}

#[test]
fn doctor_compares_the_clocks_and_counts_calls() {
    let here = Here::new(&standing_still()).with("TABLEWRIGHT_AIRTABLE_MONTHLY_CALLS", "4");
    let text = here.connect("laptop", "patAny0000000000.0123");
    assert!(
        text.contains("login laptop (token): a@b.example") && text.contains("it grants no bases"),
        "{text}"
    );
    let doctor = here.ok(&["doctor"]);
    assert!(
        doctor.contains("WARNING login laptop:")
            && doctor.contains("set the clock")
            && doctor.contains("ahead of Airtable's"),
        "{doctor}"
    );
    here.ok(&["connect", "--name", "laptop", "--list"]);
    let doctor = here.ok(&["doctor"]);
    assert!(
        doctor.contains("of this month's 4 calls are used") || doctor.contains("3 of 4 calls"),
        "{doctor}"
    );
    let spent = here.refused(&["connect", "--name", "laptop"]);
    assert!(spent.contains("airtable.monthly_calls"), "{spent}");
}

#[test]
fn without_its_key_a_login_stays_as_it_is_until_a_person_decides() {
    let upstream = Upstream::new();
    let here = Here::new(&upstream.server.address);
    here.connect("laptop", &upstream.token("laptop"));
    let key = here.data.path().join("secret.key");
    let kept = here.data.path().join("kept");
    std::fs::rename(&key, &kept).unwrap();
    let lost = here.refused(&["connect", "--name", "laptop"]);
    assert!(lost.contains("secret.key back") && lost.contains("--new-key"), "{lost}");
    let other = here.fed(&["connect", "--name", "desk", "--token-stdin"], &upstream.token("desk"));
    assert!(!other.status.success() && said(&other).contains("secret.key back"), "{}", said(&other));
    assert!(!key.exists(), "no key is made in its place");
    assert_eq!(here.json(&["connect", "--list"])[0]["name"], "laptop", "it can still be seen");
    assert!(here.refused(&["doctor"]).contains("FAILED  login laptop"));
    std::fs::rename(&kept, &key).unwrap();
    assert_eq!(here.json(&["connect", "--name", "laptop"])["profile"]["name"], "laptop");
    std::fs::remove_file(&key).unwrap();
    let args = ["connect", "--name", "laptop", "--token-stdin", "--new-key"];
    let again = here.fed(&args, &upstream.token("again"));
    assert!(again.status.success(), "{}", said(&again));
    assert_eq!(here.json(&["connect", "--name", "laptop"])["profile"]["name"], "laptop");
}

#[test]
fn a_key_can_be_given_and_another_one_opens_nothing() {
    let upstream = Upstream::new();
    let mut here = Here::new(&upstream.server.address).with("TABLEWRIGHT_SECRET_KEY", "5a".repeat(32));
    here.connect("laptop", &upstream.token("laptop"));
    assert!(!here.data.path().join("secret.key").exists());
    here.ok(&["connect", "--name", "laptop"]);
    here.set("TABLEWRIGHT_SECRET_KEY", "5b".repeat(32));
    let refused = here.refused(&["connect", "--name", "laptop"]);
    assert!(refused.contains("sealed with another key than that of TABLEWRIGHT_SECRET_KEY"), "{refused}");
    here.set("TABLEWRIGHT_SECRET_KEY", "too short");
    let refused = here.refused(&["connect", "--name", "laptop"]);
    assert!(refused.contains("32 random bytes") && !refused.contains("too short"), "{refused}");
    let file = here.data.path().join("given");
    std::fs::write(&file, "5a".repeat(32)).unwrap();
    here.set("TABLEWRIGHT_SECRET_KEY", "");
    here.set("TABLEWRIGHT_SECRET_KEY_FILE", file.display().to_string());
    here.ok(&["connect", "--name", "laptop"]);
    here.set("TABLEWRIGHT_SECRET_KEY_FILE", "");
    here.set("TABLEWRIGHT_SECRET_KEY_COMMAND", format!("cat '{}'", file.display()));
    here.ok(&["connect", "--name", "laptop"]);
    here.set("TABLEWRIGHT_SECRET_KEY_COMMAND", "echo of no use; exit 4");
    let refused = here.refused(&["connect", "--name", "laptop"]);
    assert!(refused.contains("SECRET_KEY_COMMAND: it failed") && !refused.contains("no use"), "{refused}");
}

#[test]
fn the_environment_is_a_login_that_is_kept_nowhere() {
    let upstream = Upstream::new();
    let token = upstream.token("env");
    let plain = Here::new(&upstream.server.address);
    let missing = plain.refused(&["connect", "--name", "environment"]);
    assert!(missing.contains("AIRTABLE_API_KEY") && missing.contains("without it"), "{missing}");
    let here = Here::new(&upstream.server.address).with("AIRTABLE_API_KEY", token.clone());
    let text = here.ok(&["connect", "--name", "environment"]);
    assert!(text.contains("login environment (AIRTABLE_API_KEY)") && text.contains("Shop"), "{text}");
    here.assert_nowhere(&token);
    assert!(!here.data.path().join("secret.key").exists());
    assert_eq!(here.json(&["connect", "--list"])[0]["kind"], "environment");
    assert!(here.ok(&["doctor"]).contains("ok      login environment"));
    assert!(here.refused(&["disconnect", "environment"]).contains("take the variable away"));
}
