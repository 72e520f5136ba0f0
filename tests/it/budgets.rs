//! Budgets, the circuit against repeated writes, and notices to people.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};

use serde_json::{Value, json};

use crate::connect::Here;
use crate::plans::{EVERYTHING, LAMP, goods, lamp, price};
use crate::rest::{ALL_SCOPES, BASE, GOODS};
use crate::support::{Client, Data, http, serve_http};

fn with_settings(settings: &str) -> (Data, String) {
    let data = Data::with_shop();
    let file = data.path().join("settings.toml");
    std::fs::write(&file, settings).unwrap();
    let file = file.display().to_string();
    (data, file)
}

fn serve(data: &Data, file: &str) -> Client {
    let words: Vec<&str> = ["--config", file, "--allow-audit"].into_iter().chain(EVERYTHING).collect();
    data.serve(&words).initialize()
}

fn new(count: usize) -> Value {
    goods(json!({"records": (0..count).map(|n| json!({"Name": format!("made {n}")})).collect::<Vec<_>>()}))
}

fn made(client: &mut Client) -> Value {
    let filter = goods(json!({"filter": "LEFT({Name}, 4) = \"made\"", "format": "json", "limit": 1}));
    client.structured("list_records", filter)["total"].clone()
}

#[test]
fn a_conversation_has_a_budget_and_the_next_its_own() {
    let (data, file) = with_settings("[budget.session]\nrecords_written = 5\nrecords_deleted = 1\n");
    let mut client = serve(&data, &file);
    client.structured("create_records", new(3));
    let refused = client.refused("create_records", new(3));
    assert!(refused.starts_with("budget_exceeded"), "{refused}");
    for part in ["is 5 records written", "3 are used", "takes 3", "budget.session"] {
        assert!(refused.contains(part), "{part}: {refused}");
    }
    assert_eq!(made(&mut client), 3, "all of a call or nothing");
    // A rehearsal takes nothing, and what is refused gives back what it took.
    client.structured("create_records", crate::plans::dry(new(5)));
    client.refused("update_records", goods(json!({"records": [{"id": LAMP, "fields": {"Price": "x"}}]})));
    client.structured("create_records", new(2));
    client.structured("delete_records", goods(json!({"records": [LAMP]})));
    let refused = client.refused("delete_records", goods(json!({"records": ["recDesk0000000000"]})));
    assert!(refused.contains("records deleted"), "{refused}");
    let table = client.refused("delete_table", goods(json!({"confirm": "Goods"})));
    assert!(table.starts_with("budget_exceeded"), "its records go with it: {table}");
    serve(&data, &file).structured("create_records", new(5));
}

#[test]
fn the_budget_of_a_principal_outlives_the_program() {
    let (data, file) = with_settings("[budget.principal]\nrecords_written = 5\n");
    let mut client = serve(&data, &file);
    client.structured("create_records", new(4));
    assert_eq!(client.finish().0, Some(0));
    data.kill_owner();
    let mut client = serve(&data, &file);
    let refused = client.refused("create_records", new(2));
    assert!(refused.contains("4 are used") && refused.contains("local in 24 hours"), "{refused}");
    // Through the REST API it is another principal.
    let token = data.ok(&["token", "create", "--name", "other", "--scopes", ALL_SCOPES]);
    client.finish();
    data.kill_owner();
    let server = serve_http(&data, &["--config", &file, "--allow-write"]);
    let bearer = format!("Bearer {}", token.trim());
    let headers = [("Authorization", bearer.as_str()), ("Content-Type", "application/json")];
    let path = format!("/v0/{BASE}/{GOODS}");
    let send = |count: usize| {
        let records: Vec<Value> =
            (0..count).map(|n| json!({"fields": {"Name": format!("made {n}")}})).collect();
        http(&server.address, "POST", &path, &headers, json!({"records": records}).to_string().as_bytes())
    };
    assert_eq!(send(5).status, 200);
    let refused = send(1);
    assert_eq!(refused.status, 403, "{}", refused.body);
    assert!(refused.body.contains("token:other in 24 hours"), "{}", refused.body);
}

#[test]
fn requests_to_airtable_are_counted_and_bounded() {
    let data = Data::with_shop();
    let upstream = serve_http(&data, &["--allow-write"]);
    let scopes = "data.records:read,data.records:write,schema.bases:read";
    let token = data.ok(&["token", "create", "--name", "here", "--scopes", scopes]);
    let here = Here::new(&upstream.address);
    here.connect("desk", token.trim());
    here.ok(&["connect", "--name", "desk", "--base", "Shop"]);
    let file = here.data.path().join("settings.toml");
    std::fs::write(&file, "[budget.session]\nrequests = 3\n").unwrap();
    let file = file.display().to_string();
    let words = ["serve", "--config", &file, "--allow-write", "--allow-audit", "--toolsets", "all"];
    let mut client = Client::start(here.command(&words)).initialize();
    client.structured("create_records", new(12));
    let refused = client.refused("create_records", new(12));
    assert!(refused.contains("is 3 requests to Airtable") && refused.contains("takes 2"), "{refused}");
    client.structured("create_records", new(1));
    let lines = client.structured("query_audit_log", json!({"tool": "create_records"}));
    let told: Vec<(&Value, &Value)> =
        lines["lines"].as_array().unwrap().iter().map(|line| (&line["requests"], &line["written"])).collect();
    assert_eq!(told, [(&json!(1), &json!(1)), (&Value::Null, &Value::Null), (&json!(2), &json!(12)),]);
}

#[test]
fn who_repeats_a_write_is_stopped() {
    let settings = "[budget.circuit]\nrepeats = 3\nfailures = 2\n";
    let (data, file) = with_settings(settings);
    let mut client = serve(&data, &file);
    for _ in 0..3 {
        client.structured("update_records", price(7));
    }
    let stopped = client.refused("update_records", price(7));
    assert!(stopped.starts_with("circuit_open"), "{stopped}");
    assert!(stopped.contains("carried out 3 times") && stopped.contains("Nothing was written"), "{stopped}");
    // Another write, another conversation: neither is the same.
    client.structured("update_records", price(8));
    serve(&data, &file).structured("update_records", price(7));
    assert_eq!(lamp(&mut client, "Price"), 7);
    let wrong = || goods(json!({"records": [{"id": LAMP, "fields": {"Prize": 1}}]}));
    for _ in 0..2 {
        assert_eq!(client.call("update_records", wrong())["isError"], json!(true));
    }
    let stopped = client.refused("update_records", wrong());
    assert!(stopped.starts_with("circuit_open") && stopped.contains("failed 2 times"), "{stopped}");
    // Looking at it first is no write.
    client.structured("update_records", crate::plans::dry(price(7)));
}

/// An address that takes what is posted to it.
fn receiver() -> (String, Receiver<Value>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/told", listener.local_addr().unwrap());
    let (sender, told) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.unwrap());
            let (mut line, mut length) = (String::new(), 0);
            while stream.read_line(&mut line).unwrap() > 2 {
                if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
                line.clear();
            }
            let mut body = vec![0; length];
            stream.read_exact(&mut body).unwrap();
            stream.get_mut().write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n").unwrap();
            if sender.send(serde_json::from_slice(&body).unwrap()).is_err() {
                return;
            }
        }
    });
    (address, told)
}

fn next(told: &Receiver<Value>) -> Value {
    told.recv_timeout(std::time::Duration::from_secs(20)).unwrap()
}

/// What a fake desktop was told last, once it was.
#[cfg(unix)]
fn desktop(data: &Data) -> (String, std::path::PathBuf) {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = data.path().join("bin");
    std::fs::create_dir(&folder).unwrap();
    let (program, told) = (folder.join("notify-send"), folder.join("told"));
    let script = format!(
        "#!/bin/sh\nfor word in \"$@\"; do echo \"$word\"; done >'{0}.part'\nmv '{0}.part' '{0}'\n",
        told.display()
    );
    std::fs::write(&program, script).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    (format!("{}:{}", folder.display(), std::env::var("PATH").unwrap()), told)
}

#[test]
fn people_hear_of_what_waits_for_them() {
    let (address, told) = receiver();
    let host = "[fetch]\nallowed_private = [\"127.0.0.1\"]\n";
    let rule = "[approval]\nwait_seconds = 0\n[[approval.rules]]\nwhen = [\"delete\"]\nask = \"person\"\n";
    let circuit = "[budget.circuit]\nrepeats = 2\n";
    let settings = format!("{host}{rule}{circuit}[notify]\nwebhook = \"{address}\"\n");
    let (data, file) = with_settings(&settings);
    let (path, shown) = desktop(&data);
    let words: Vec<&str> = ["serve", "--config", &file].into_iter().chain(EVERYTHING).collect();
    let mut command = data.command(&words);
    command.env("PATH", path);
    let mut client = Client::start(command).initialize();
    client.refused("delete_records", goods(json!({"records": [LAMP]})));
    let notice = next(&told);
    assert_eq!((&notice["kind"], &notice["base"]), (&json!("approval_needed"), &json!(BASE)));
    let text = notice["text"].as_str().unwrap();
    let id = notice["plan"].as_str().unwrap();
    assert!(text.contains("1 deleted") && text.contains(&format!("plan show {id}")), "{text}");
    assert!(!text.contains("Lamp"), "no cell leaves: {text}");
    // The desktop is told first.
    let words = std::fs::read_to_string(&shown).unwrap();
    assert!(words.contains("A write waits for approval\n") && words.contains(id), "{words}");
    for _ in 0..2 {
        client.structured("update_records", price(7));
    }
    let notice = next(&told);
    assert_eq!(notice["kind"], "circuit_open");
    assert!(notice["text"].as_str().unwrap().contains("update_records was carried out 2 times"), "{notice}");
}

#[test]
fn bases_that_may_not_leave_are_not_told_of() {
    let (address, told) = receiver();
    let host = "[fetch]\nallowed_private = [\"127.0.0.1\"]\n";
    let rule = "[approval]\nwait_seconds = 0\n[[approval.rules]]\nask = \"person\"\n";
    let circuit = "[budget.circuit]\nfailures = 1\n";
    let egress = "[egress]\nwebhooks = [\"Other\"]\nnotices = []\n";
    let (data, file) = with_settings(&format!(
        "{host}{rule}{circuit}{egress}[notify]\ndesktop = false\nwebhook = \"{address}\"\n"
    ));
    let token = data.ok(&["token", "create", "--name", "hooks", "--scopes", ALL_SCOPES]);
    let mut client = serve(&data, &file);
    assert!(client.refused("update_records", price(9)).starts_with("approval_needed"));
    // What is about no base is told still; the plan before it was not.
    client.refused("update_records", goods(json!({"records": "x"})));
    assert_eq!(next(&told)["kind"], "circuit_open");
    client.finish();
    data.kill_owner();
    let server = serve_http(&data, &["--config", &file, "--allow-write"]);
    let bearer = format!("Bearer {}", token.trim());
    let headers = [("Authorization", bearer.as_str()), ("Content-Type", "application/json")];
    let body = json!({"notificationUrl": address,
                      "specification": {"options": {"filters": {"dataTypes": ["tableData"]}}}});
    let path = format!("/v0/bases/{BASE}/webhooks");
    let refused = http(&server.address, "POST", &path, &headers, body.to_string().as_bytes());
    assert_eq!(refused.status, 403, "{}", refused.body);
}
