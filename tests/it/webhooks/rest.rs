//! Webhooks over REST, with the real program.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use serde_json::{Value, json};

use super::pings::{Receiving, expected};
use super::{BASE, GOODS, LAMP, data, wants};
use crate::rest::{ALL_SCOPES, Rest};
use crate::support::{Answer, Client, Data, PATIENCE, http};

const HOOKS: &str = "/v0/bases/appShop0000000000/webhooks";
const LOCAL: [(&str, &str); 2] =
    [("TABLEWRIGHT_FETCH_ALLOWED_PRIVATE", "127.0.0.1"), ("TABLEWRIGHT_WEBHOOKS_FIRST_RETRY_MS", "20")];

/// A server that may ping this machine, and can be started again on the same data.
struct Live {
    data: Data,
    api: Api,
    client: Option<Client>,
}

/// How to reach it.
struct Api {
    address: String,
    token: String,
}

impl Live {
    fn start() -> Self {
        let data = Data::with_shop();
        let token = data.ok(&["token", "create", "--name", "rest", "--scopes", ALL_SCOPES]).trim().to_owned();
        let mut live = Self { data, api: Api { address: String::new(), token }, client: None };
        live.serve();
        live
    }

    fn serve(&mut self) {
        let args = ["serve", "--http", "127.0.0.1:0", "--allow-write", "--allow-delete", "--allow-schema"];
        let mut command = self.data.command(&args);
        command.envs(LOCAL);
        let mut client = Client::start(command);
        let line = loop {
            let line = client.error_line();
            if line.contains("serving MCP on") {
                break line;
            }
        };
        self.api.address = line.split("http://").nth(1).unwrap().trim_end_matches("/mcp").to_owned();
        self.client = Some(client);
    }

    fn kill(&mut self) {
        let mut client = self.client.take().unwrap();
        client.child.kill().unwrap();
        client.child.wait().unwrap();
    }

    /// Bytes the server holds in memory.
    fn memory(&self) -> usize {
        let pid = self.client.as_ref().unwrap().child.id();
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 1024
    }
}

impl Api {
    fn ask(&self, method: &str, path: &str, body: Option<Value>) -> Answer {
        let bearer = format!("Bearer {}", self.token);
        let mut headers = vec![("Authorization", bearer.as_str())];
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        if !body.is_empty() {
            headers.push(("Content-Type", "application/json"));
        }
        http(&self.address, method, path, &headers, body.as_bytes())
    }

    fn ok(&self, method: &str, path: &str, body: Option<Value>) -> Value {
        let answer = self.ask(method, path, body);
        assert_eq!(answer.status, 200, "{method} {path}: {}", answer.body);
        serde_json::from_str(&answer.body).unwrap_or(Value::Null)
    }

    fn hook(&self, specification: Value, url: Option<&str>) -> Value {
        let mut body = json!({"specification": specification});
        if let Some(url) = url {
            body["notificationUrl"] = json!(url);
        }
        self.ok("POST", HOOKS, Some(body))
    }

    /// Every payload, page by page.
    fn heard(&self, id: &str) -> Vec<Value> {
        let (mut all, mut cursor) = (Vec::new(), 1);
        loop {
            let page = self.ok("GET", &format!("{HOOKS}/{id}/payloads?cursor={cursor}"), None);
            let payloads = page["payloads"].as_array().unwrap();
            assert!(payloads.len() <= 50);
            all.extend(payloads.iter().cloned());
            assert_eq!(page["cursor"], cursor + payloads.len());
            cursor += payloads.len();
            if page["mightHaveMore"] == false {
                return all;
            }
        }
    }

    fn stock(&self, stock: usize) -> u16 {
        let body = json!({"fields": {"Stock": stock}});
        self.ask("PATCH", &format!("/v0/{BASE}/{GOODS}/{LAMP}"), Some(body)).status
    }
}

#[test]
fn a_webhook_is_made_told_read_switched_refreshed_and_deleted() {
    let live = Live::start();
    let receiving = Receiving::start();
    let specification = json!({"options": {"filters": {"dataTypes": ["tableData"], "recordChangeScope": GOODS},
                                           "includes": {"includePreviousCellValues": true}}});
    let made = live.api.hook(specification.clone(), Some(&receiving.url));
    let id = made["id"].as_str().unwrap();
    assert!(id.starts_with("ach") && made["expirationTime"].as_str().unwrap().ends_with('Z'), "{made}");
    assert_eq!(made.as_object().unwrap().len(), 3);

    let listed = live.api.ok("GET", HOOKS, None);
    let hook = &listed["webhooks"][0];
    let shown = json!({"id": id, "specification": specification, "notificationUrl": receiving.url,
        "cursorForNextPayload": 1, "isHookEnabled": true, "areNotificationsEnabled": true,
        "expirationTime": made["expirationTime"], "lastSuccessfulNotificationTime": null,
        "lastNotificationResult": null});
    assert_eq!(hook, &shown);
    assert!(!listed.to_string().contains(made["macSecretBase64"].as_str().unwrap()), "shown once");

    let payloads = format!("{HOOKS}/{id}/payloads");
    assert_eq!(
        live.api.ok("GET", &payloads, None),
        json!({"payloads": [], "cursor": 1, "mightHaveMore": false})
    );
    assert_eq!(live.api.stock(8), 200);
    let page = live.api.ok("GET", &payloads, None);
    assert_eq!((&page["cursor"], &page["mightHaveMore"]), (&json!(2), &json!(false)));
    let payload = &page["payloads"][0];
    assert_eq!(payload["actionMetadata"]["source"], "publicApi");
    assert_eq!(payload["actionMetadata"]["sourceMetadata"]["user"]["name"], "rest");
    let lamp = &payload["changedTablesById"][GOODS]["changedRecordsById"][LAMP];
    assert_eq!(lamp["current"]["cellValuesByFieldId"]["fldGStock00000000"], 8);
    assert_eq!(lamp["previous"]["cellValuesByFieldId"]["fldGStock00000000"], 3);

    let got = receiving.next();
    assert_eq!(got.signature, expected(made["macSecretBase64"].as_str().unwrap(), &got.body));
    let deadline = Instant::now() + PATIENCE;
    let hook = loop {
        let hook = live.api.ok("GET", HOOKS, None)["webhooks"][0].clone();
        if hook["lastNotificationResult"]["success"] == true {
            break hook;
        }
        assert!(Instant::now() < deadline, "{hook}");
    };
    assert_eq!(hook["cursorForNextPayload"], 2);
    assert_eq!(hook["lastSuccessfulNotificationTime"], hook["lastNotificationResult"]["completionTimestamp"]);

    for (path, body) in [
        (format!("{HOOKS}/{id}/enableNotifications"), Some(json!({"enable": false}))),
        (format!("{HOOKS}/{id}/enableNotifications"), Some(json!({"enable": true}))),
    ] {
        let answer = live.api.ask("POST", &path, body);
        assert_eq!((answer.status, answer.body.as_str()), (200, ""));
    }
    let refreshed = live.api.ok("POST", &format!("{HOOKS}/{id}/refresh"), None);
    assert!(refreshed["expirationTime"].as_str() >= made["expirationTime"].as_str());
    let deleted = live.api.ask("DELETE", &format!("{HOOKS}/{id}"), None);
    assert_eq!((deleted.status, deleted.body.as_str()), (200, ""));
    assert_eq!(live.api.ok("GET", HOOKS, None), json!({"webhooks": []}));
    let receiving = Receiving::start();
    receiving.status.store(404, Ordering::SeqCst);
    live.api.hook(specification, Some(&receiving.url));
    live.api.stock(9);
    (0..4).for_each(|_| drop(receiving.next()));
}

#[test]
fn what_cannot_be_done_is_refused_as_the_reference_says() {
    let rest = Rest::open();
    let unknown = "INVALID_PERMISSIONS_OR_MODEL_NOT_FOUND";
    for (method, path) in [
        ("GET", format!("{HOOKS}/achNone0000000000/payloads")),
        ("POST", format!("{HOOKS}/achNone0000000000/refresh")),
        ("DELETE", format!("{HOOKS}/achNone0000000000")),
        ("GET", "/v0/bases/appNone0000000000/webhooks".to_owned()),
    ] {
        let (status, kind, _) = rest.refused(method, &path);
        assert_eq!((status, kind.as_str()), (403, unknown), "{method} {path}");
    }
    for (method, path) in [
        ("DELETE", format!("{HOOKS}/ach")),
        ("GET", format!("{HOOKS}/recLamp0000000000/payloads")),
        ("GET", "/v0/bases/Shop/webhooks".to_owned()),
        ("PUT", HOOKS.to_owned()),
        ("GET", format!("{HOOKS}/achNone0000000000")),
    ] {
        assert_eq!(rest.refused(method, &path), (404, "NOT_FOUND".into(), String::new()), "{method} {path}");
    }
    let with = |url: &str| json!({"specification": data(), "notificationUrl": url});
    for (body, word) in [
        (json!({"specification": {}}), "options"),
        (json!({"specification": wants(json!({"dataTypes": ["rows"]}))}), "rows"),
        (json!({"specification": data(), "secret": 1}), "secret"),
        (json!({"specification": data(), "notificationUrl": 7}), "notificationUrl"),
        (with("http://127.0.0.1/x"), "loopback"),
        (with("http://localhost:9/x"), "loopback"),
        (with("http://169.254.169.254/latest"), "link-local"),
        (with("file:///etc/passwd"), "http and https"),
    ] {
        let (status, kind, message) = rest.refused_with("POST", HOOKS, body);
        assert_eq!((status, kind.as_str()), (422, "INVALID_REQUEST_UNKNOWN"), "{message}");
        assert!(message.contains(word), "{word}: {message}");
    }
    assert_eq!(
        rest.refused_with("POST", HOOKS, json!({"notificationUrl": null})).1,
        "INVALID_REQUEST_MISSING_FIELDS"
    );

    let ids: Vec<String> = (0..10)
        .map(|_| rest.ok("POST", HOOKS, json!({"specification": data()}))["id"].as_str().unwrap().to_owned())
        .collect();
    let (status, _, message) = rest.refused_with("POST", HOOKS, json!({"specification": data()}));
    assert!(status == 422 && message.contains("at most 10"), "{status} {message}");
    let payloads = format!("{HOOKS}/{}/payloads", ids[0]);
    for query in ["?limit=51", "?limit=0", "?limit=x", "?cursor=0", "?cursor=-1", "?cursor=1.5", "?page=2"] {
        let (status, kind, message) = rest.refused("GET", &format!("{payloads}{query}"));
        assert_eq!((status, kind.as_str()), (422, "INVALID_REQUEST_UNKNOWN"), "{query}: {message}");
    }
    assert_eq!(
        rest.refused_with("POST", &format!("{HOOKS}/{}/enableNotifications", ids[0]), json!({"enable": 1})).0,
        422
    );

    // A webhook shows nothing its reader could not read.
    let rest = rest.with_scopes("hooks", "webhook:manage,schema.bases:read");
    assert_eq!(rest.refused_with("POST", HOOKS, json!({"specification": data()})).0, 403);
    assert_eq!(rest.refused("GET", &payloads).0, 403);
    assert_eq!(rest.get(HOOKS)["webhooks"].as_array().unwrap().len(), 10);
    let rest = rest.with_scopes("reader", "data.records:read,data.records:write,schema.bases:read");
    for (method, path) in [("GET", HOOKS), ("GET", &payloads), ("DELETE", &format!("{HOOKS}/{}", ids[0]))] {
        assert_eq!(rest.refused(method, path).0, 403, "{method} {path}");
    }
    assert_eq!(Rest::new(&[]).refused("GET", HOOKS).0, 403, "without --allow-write");
}

#[test]
fn attachments_in_payloads_can_be_fetched() {
    let live = Live::start();
    let field = json!({"name": "Papers", "type": "multipleAttachments"});
    let field = live.api.ok("POST", &format!("/v0/meta/bases/{BASE}/tables/{GOODS}/fields"), Some(field));
    let field = field["id"].as_str().unwrap();
    let id = live.api.hook(data(), None)["id"].as_str().unwrap().to_owned();
    let file = json!({"contentType": "text/plain", "filename": "a.txt", "file": "aGVsbG8="});
    live.api.ok("POST", &format!("/v0/{BASE}/{LAMP}/{field}/uploadAttachment"), Some(file));
    let heard = live.api.heard(&id);
    let lamp = &heard[0]["changedTablesById"][GOODS]["changedRecordsById"][LAMP]["current"];
    let shown = &lamp["cellValuesByFieldId"][field][0];
    assert_eq!((&shown["filename"], &shown["size"]), (&json!("a.txt"), &json!(5)), "{shown}");
    let url = shown["url"].as_str().unwrap_or_else(|| panic!("no address: {shown}"));
    let path = url.split(&live.api.address).nth(1).unwrap();
    let answer = http(&live.api.address, "GET", path, &[], b"");
    assert_eq!((answer.status, answer.body.as_str()), (200, "hello"));
}

#[test]
fn a_killed_server_has_told_every_acknowledged_commit_once() {
    let mut live = Live::start();
    let id = live.api.hook(data(), None)["id"].as_str().unwrap().to_owned();
    let acknowledged = Mutex::new(Vec::new());
    let next = AtomicUsize::new(0);
    for round in 0..6 {
        let over = AtomicBool::new(false);
        let enough = 20 + round * 7;
        let start = next.load(Ordering::SeqCst);
        std::thread::scope(|scope| {
            let (api, over, next, acknowledged) = (&live.api, &over, &next, &acknowledged);
            for _ in 0..4 {
                scope.spawn(move || {
                    while !over.load(Ordering::SeqCst) {
                        let name = format!("n{}", next.fetch_add(1, Ordering::SeqCst));
                        let body = json!({"fields": {"Name": name}});
                        let answer = std::panic::catch_unwind(|| {
                            api.ask("POST", &format!("/v0/{BASE}/{GOODS}"), Some(body))
                        });
                        match answer {
                            Ok(answer) if answer.status == 200 => acknowledged.lock().unwrap().push(name),
                            _ => return,
                        }
                    }
                });
            }
            let deadline = Instant::now() + PATIENCE;
            while next.load(Ordering::SeqCst) - start < enough && Instant::now() < deadline {
                std::thread::yield_now();
            }
            crate::support::signal(live.client.as_ref().unwrap().child.id(), "KILL");
            over.store(true, Ordering::SeqCst);
        });
        live.kill();
        live.serve();
    }
    let mut told: HashMap<String, usize> = HashMap::new();
    for payload in live.api.heard(&id) {
        let made = payload["changedTablesById"][GOODS]["createdRecordsById"].as_object().unwrap();
        assert_eq!(made.len(), 1, "{payload}");
        for record in made.values() {
            let name = record["cellValuesByFieldId"]["fldGName000000000"].as_str().unwrap();
            *told.entry(name.to_owned()).or_default() += 1;
        }
    }
    let acknowledged = acknowledged.into_inner().unwrap();
    assert!(acknowledged.len() > 100, "{} writes", acknowledged.len());
    assert!(told.values().all(|times| *times == 1), "none twice");
    for name in &acknowledged {
        assert!(told.contains_key(name), "{name} was not told");
    }
}

#[test]
fn ten_thousand_pending_payloads_cost_little_memory() {
    const WRITES: usize = 10_000;
    const MOST: usize = 20 << 20;
    let live = Live::start();
    let (next, api) = (AtomicUsize::new(1), &live.api);
    let write = |upto: usize| {
        std::thread::scope(|scope| {
            for _ in 0..16 {
                scope.spawn(|| {
                    loop {
                        let n = next.fetch_add(1, Ordering::SeqCst);
                        if n >= upto {
                            return;
                        }
                        assert_eq!(api.stock(n), 200);
                    }
                });
            }
        });
    };
    // The same work without a webhook first, so that only what webhooks cost is counted.
    write(WRITES / 4);
    let before = live.memory();
    let id = live.api.hook(data(), None)["id"].as_str().unwrap().to_owned();
    next.store(WRITES, Ordering::SeqCst);
    write(WRITES * 2);
    // A page is answered once every commit before it has its payload.
    let deadline = Instant::now() + PATIENCE;
    let told = || live.api.ok("GET", &format!("{HOOKS}/{id}/payloads?cursor={WRITES}&limit=1"), None);
    while told()["payloads"] == json!([]) {
        assert!(Instant::now() < deadline, "the last payload is not there");
    }
    let grown = live.memory().saturating_sub(before);
    assert!(grown < MOST, "{grown} bytes more than {before}");
    assert_eq!(live.api.heard(&id).len(), WRITES);
    let grown = live.memory().saturating_sub(before);
    assert!(grown < MOST, "{grown} bytes more than {before} when read");
}
