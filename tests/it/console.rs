//! The console in a real browser: who gets in, what they see, and what they decide.

use std::path::Path;
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use serde_json::{Value, json};

use crate::plans::{EVERYTHING, LAMP, goods};
use crate::support::{Client, Data, HttpServer, client_tools, http, root, run_client, serve_http};

const HOSTILE: &str = "<img src=x onerror=alert(1)>\u{202E}\u{200B}</td><script>alert(2)</script>";

/// A server with two plans that wait: one that changes three records, and one that deletes one.
fn waiting(settings: &str, name: &str) -> (Data, HttpServer, [String; 2]) {
    let data = Data::with_shop();
    let file = data.path().join("rules.toml");
    let rule = "[[approval.rules]]\nwhen = [\"update\", \"delete\"]\nask = \"person\"\n";
    std::fs::write(
        &file,
        format!("[notify]\ndesktop = false\n[approval]\nwait_seconds = 0\n{settings}\n{rule}"),
    )
    .unwrap();
    let file = file.display().to_string();
    let words: Vec<&str> = ["--config", &file].into_iter().chain(EVERYTHING).collect();
    let mut client: Client = data.serve(&words).initialize();
    let records = json!([
        {"id": LAMP, "fields": {"Name": name, "Price": 45}},
        {"id": "recDesk0000000000", "fields": {"Stock": 2}},
        {"id": "recChair000000000", "fields": {"Price": 120, "Tags": ["new"]}},
    ]);
    client.refused("update_records", goods(json!({"records": records})));
    client.refused("delete_records", goods(json!({"records": [LAMP]})));
    client.finish();
    data.kill_owner();
    let server = serve_http(&data, &["--config", &file]);
    let listed: Value = serde_json::from_str(&data.ok(&["plan", "list", "--json"])).unwrap();
    let mut ids: Vec<String> =
        listed.as_array().unwrap().iter().map(|plan| plan["id"].as_str().unwrap().to_owned()).collect();
    ids.reverse();
    (data, server, ids.try_into().unwrap())
}

fn link(data: &Data) -> String {
    data.ok(&["console"]).trim().to_owned()
}

/// One browser at a time: the first one unpacks it.
static BROWSER: Mutex<()> = Mutex::new(());

/// What a person in front of a browser sees and does.
fn visit(data: &Data, pictures: Option<&Path>) -> Value {
    let _one = BROWSER.lock().unwrap_or_else(PoisonError::into_inner);
    let mut command = Command::new(client_tools().join("node_modules/.bin/node"));
    command.arg(root().join("tests/clients/console.mjs")).args([link(data), link(data)]).args(pictures);
    command.env("TEST_CLIENTS_DIR", client_tools());
    serde_json::from_str(&run_client(command)).unwrap()
}

fn show(data: &Data, id: &str) -> Value {
    serde_json::from_str(&data.ok(&["plan", "show", id, "--json"])).unwrap()
}

#[test]
fn a_person_decides_in_a_browser() {
    let (data, _server, [update, delete]) = waiting("", HOSTILE);
    let seen = visit(&data, None);
    assert_eq!(seen["errors"], json!([]), "{seen}");
    assert_eq!(
        (&seen["stranger"], &seen["secondUse"], &seen["signedOut"]),
        (&json!(401), &json!(401), &json!(401))
    );
    let waiting = seen["waiting"].as_array().unwrap();
    assert_eq!(waiting.len(), 2, "{seen}");
    let lamp = &seen["changes"][0];
    assert!(
        lamp["caption"].as_str().unwrap().ends_with(&format!("Changed record in Goods {LAMP}")),
        "{lamp}"
    );
    let shown = "<img src=x onerror=alert(1)>\\u{202E}\\u{200B}</td><script>alert(2)</script>";
    assert_eq!(
        lamp["rows"],
        json!([["Name", "Lamp", shown], ["Price", "40", "45"]]),
        "text, and nothing hidden"
    );
    assert_eq!(seen["images"], 0);
    assert_eq!((&seen["phoneOverflow"], &seen["smallButtons"]), (&json!(0), &json!(0)));
    assert_eq!(seen["needsPasskey"], false);
    let after = seen["after"].as_str().unwrap();
    assert!(after.contains("approved by local (console)") && after.contains("looks right"), "{after}");
    assert_eq!(seen["buttonsLeft"], 0);
    assert_eq!(seen["forged"], 403);
    assert_eq!(
        (&show(&data, &update)["status"], &show(&data, &delete)["status"]),
        (&json!("approved"), &json!("rejected"))
    );
}

#[test]
fn where_the_settings_say_so_it_takes_a_passkey() {
    let (data, _server, [update, _]) = waiting("passkey = true", HOSTILE);
    let refused = data.run(&["plan", "approve", &update]);
    assert!(!refused.status.success());
    assert!(String::from_utf8_lossy(&refused.stderr).contains("tablewright console"));
    let seen = visit(&data, None);
    assert_eq!(seen["errors"], json!([]), "{seen}");
    assert_eq!(seen["needsPasskey"], true);
    assert_eq!(seen["withoutPasskey"][0], 403, "{seen}");
    assert!(seen["withoutPasskey"][1].as_str().unwrap().contains("with a passkey alone"), "{seen}");
    assert_eq!((&seen["passkeys"], &seen["stillOne"]), (&json!(["laptop"]), &json!(["laptop"])));
    assert!(seen["after"].as_str().unwrap().contains("passkey laptop"), "{seen}");
    assert_eq!(show(&data, &update)["status"], "approved");
}

#[test]
fn nothing_under_console_is_for_tokens_or_other_pages() {
    let (data, server, [update, _]) = waiting("", HOSTILE);
    let get = |path: &str, headers: &[(&str, &str)]| http(&server.address, "GET", path, headers, b"");
    let bearer = format!("Bearer {}", server.token);
    let plan = format!("/console/plans/{update}");
    for headers in [&[][..], &[("Authorization", bearer.as_str())], &[("Cookie", "tablewright_console=x")]] {
        for path in ["/console", plan.as_str(), "/console/passkeys"] {
            let answer = get(path, headers);
            assert_eq!(answer.status, 401, "{path}");
            let policy = answer.header("content-security-policy").unwrap();
            assert!(
                policy.starts_with("default-src 'none'") && policy.contains("frame-ancestors 'none'"),
                "{policy}"
            );
        }
    }
    assert_eq!(get("/console/enter?code=x", &[]).status, 401);
    // Another page cannot send the form of somebody who is signed in.
    let path = link(&data);
    let path = path.split_once("/console").map(|(_, rest)| format!("/console{rest}")).unwrap();
    let cookie = get(&path, &[]).header("set-cookie").unwrap().to_owned();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{cookie}");
    let cookie = cookie.split(';').next().unwrap();
    let form = [("Cookie", cookie), ("Content-Type", "application/x-www-form-urlencoded")];
    let post = |headers: &[(&str, &str)]| http(&server.address, "POST", &plan, headers, b"decision=approve");
    assert_eq!(post(&form).status, 403, "without the form's key");
    let foreign: Vec<_> = form.into_iter().chain([("Origin", "http://evil.example")]).collect();
    assert_eq!(post(&foreign).status, 403);
    assert_eq!(show(&data, &update)["status"], "waiting");
    assert_eq!(get("/console/plans/DROP", &[("Cookie", cookie)]).status, 404);
}

#[test]
fn without_a_server_there_is_no_console() {
    let data = Data::with_shop();
    let refused = data.run(&["console"]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains("serve --http"), "{said}");
}

#[test]
#[ignore = "makes the pictures of the guide anew; run by hand when the pages change"]
fn pictures_of_the_guide() {
    let (data, _server, _) = waiting("passkey = true", "Reading lamp");
    let folder = root().join("examples/pictures");
    std::fs::create_dir_all(&folder).unwrap();
    let seen = visit(&data, Some(&folder));
    assert_eq!(seen["errors"], json!([]), "{seen}");
}
