//! What is secret is in no log, however talkative, and in no error.

use serde_json::json;

use crate::connect::{Here, Upstream};
use crate::plans::{LAMP, goods};
use crate::rest::{ALL_SCOPES, BASE, GOODS};
use crate::support::{Client, Data, http, listen};

/// Everything a process said, as far as it has.
fn said(client: &mut Client) -> String {
    client.ended().1
}

#[test]
fn a_server_that_logs_everything_logs_no_secret() {
    let data = Data::with_shop();
    let token = data.ok(&["token", "create", "--name", "ops", "--scopes", ALL_SCOPES]).trim().to_owned();
    let variables = [("TABLEWRIGHT_LOG_LEVEL", "trace")];
    let (mut client, address) = listen(&data, &["--allow-write"], &variables);
    let bearer = format!("Bearer {token}");
    let headers = [("Authorization", bearer.as_str()), ("Content-Type", "application/json")];
    let path = format!("/v0/{BASE}/{GOODS}");
    assert_eq!(http(&address, "GET", &path, &headers, b"").status, 200);
    // A wrong token is somebody's secret too: theirs for another server, mistyped by a letter.
    let wrong = format!("{token}x");
    let wrong_bearer = format!("Bearer {wrong}");
    let refused = http(&address, "GET", &path, &[("Authorization", wrong_bearer.as_str())], b"");
    assert_eq!(refused.status, 401);
    assert!(!refused.body.contains(&token), "{}", refused.body);
    let upload = json!({"contentType": "text/plain", "file": "b2lsZWQ=", "filename": "care.txt"});
    let place = format!("/v0/{BASE}/{LAMP}/Files/uploadAttachment");
    let uploaded = http(&address, "POST", &place, &headers, upload.to_string().as_bytes());
    assert_eq!(uploaded.status, 200, "{}", uploaded.body);
    let signed = uploaded.body.split("/files/").nth(1).unwrap().split('"').next().unwrap().to_owned();
    assert_eq!(http(&address, "GET", &format!("/files/{signed}"), &[], b"").status, 200);
    let signature = signed.split('/').nth(2).unwrap().to_owned();
    let link = data.ok(&["console"]).trim().to_owned();
    let code = link.split("code=").nth(1).unwrap().to_owned();
    let entered = http(&address, "GET", &format!("/console/enter?code={code}"), &[], b"");
    let cookie = entered.header("set-cookie").unwrap().split(['=', ';']).nth(1).unwrap().to_owned();
    let cookies = format!("tablewright_console={cookie}");
    assert_eq!(http(&address, "GET", "/console", &[("Cookie", cookies.as_str())], b"").status, 200);
    data.kill_owner();
    let log = said(&mut client);
    assert!(log.contains("INSERT INTO attachments"), "it did log: {log}");
    for (what, secret) in [("token", &token), ("signature", &signature), ("code", &code), ("cookie", &cookie)]
    {
        assert!(secret.len() >= 20, "{what}: {secret}");
        assert!(!log.contains(secret.as_str()), "{what} is in the log");
    }
    for words in
        [&["doctor"][..], &["token", "list", "--json"], &["audit", "export"], &["base", "list", "--json"]]
    {
        let shown = data.ok(words);
        for secret in [&token, &signature, &code, &cookie] {
            assert!(!shown.contains(secret.as_str()), "{words:?}");
        }
    }
}

#[test]
fn a_login_at_airtable_is_in_no_log() {
    let upstream = Upstream::new();
    let token = upstream.token("laptop");
    let here = Here::new(&upstream.server.address).with("TABLEWRIGHT_LOG_LEVEL", "trace");
    here.connect("laptop", &token);
    here.ok(&["connect", "--name", "laptop", "--base", "Shop"]);
    let mut client =
        Client::start(here.command(&["serve", "--allow-write", "--no-daemon", "--toolsets", "all"]))
            .initialize();
    client.text("list_records", goods(json!({})));
    // The login may not write: what Airtable says of it names the login, not its token.
    let refused = client.refused("update_records", crate::plans::price(1));
    assert!(refused.contains("laptop") && !refused.contains(&token), "{refused}");
    client.close_input();
    let log = said(&mut client);
    assert!(log.contains("SELECT"), "it did log: {log}");
    assert!(
        !log.contains(&token) && !log.contains(token.trim_start_matches("pat")),
        "the token is in the log"
    );
    here.assert_nowhere(&token);
}
