//! What the REST API gets when something is wrong: each time the right status and body, and never
//! the end of the server.

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};

use crate::fuzz::mangle;
use crate::support::{Data, HttpServer, http, root, serve_http};

const BASE: &str = "appWorkshop000000";
const ONE: &str = "recPart0100000000";

fn serve() -> (Data, HttpServer) {
    let data = Data::new();
    data.import(&root().join("tests/fixtures/workshop.json"));
    let server = serve_http(&data, &["--allow-write", "--allow-delete", "--allow-schema"]);
    (data, server)
}

/// Status and body of a request with the token; `Null` when the body is no JSON.
fn send(server: &HttpServer, method: &str, path: &str, body: &[u8]) -> (u16, Value) {
    send_as(server, method, path, "application/json", body)
}

fn send_as(server: &HttpServer, method: &str, path: &str, kind: &str, body: &[u8]) -> (u16, Value) {
    let bearer = format!("Bearer {}", server.token);
    let answer =
        http(&server.address, method, path, &[("Authorization", &bearer), ("Content-Type", kind)], body);
    (answer.status, serde_json::from_str(&answer.body).unwrap_or_default())
}

fn kind_of(body: &Value) -> &str {
    body["error"]["type"].as_str().or_else(|| body["error"].as_str()).unwrap_or("none")
}

fn refuses(server: &HttpServer, method: &str, path: &str, body: &Value, status: u16, kind: &str) {
    let sent = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
    let (got, said) = send(server, method, path, &sent);
    let shown: String = body.to_string().chars().take(200).collect();
    assert_eq!((got, kind_of(&said)), (status, kind), "{method} {path} {shown}: {said}");
}

/// The server answers, and the records are as they were.
fn unharmed(server: &HttpServer) {
    let (status, listed) = send(server, "GET", &format!("/v0/{BASE}/Parts"), b"");
    assert_eq!(status, 200, "{listed}");
    assert_eq!(listed["records"].as_array().unwrap().len(), 31);
    let (_, one) = send(server, "GET", &format!("/v0/{BASE}/Parts/{ONE}"), b"");
    assert_eq!(one["fields"]["Name"], "Part 01");
}

#[test]
fn query_strings() {
    let (_data, server) = serve();
    let list = |query: &str| format!("/v0/{BASE}/Parts?{query}");
    let wrong = "INVALID_REQUEST_UNKNOWN";
    for (query, status, kind) in [
        ("pageSize=101", 422, wrong),
        ("pageSize=0", 422, wrong),
        ("pageSize=-1", 422, wrong),
        ("pageSize=1e2", 422, wrong),
        ("pageSize=", 422, wrong),
        ("pageSize=99999999999999999999", 422, wrong),
        ("maxRecords=0", 422, wrong),
        ("maxRecords=x", 422, wrong),
        ("nonsense=1", 422, wrong),
        ("__proto__=1", 422, wrong),
        ("fields[=Name", 422, wrong),
        ("fields[x]=Name", 422, wrong),
        ("fields[99999999999]=Name", 422, wrong),
        ("sort[0]=Name", 422, wrong),
        ("sort[0][field]=Name&sort[0][direction]=sideways", 422, wrong),
        ("sort[0][direction]=asc", 422, wrong),
        ("sort[0][nonsense]=1", 422, wrong),
        ("cellFormat=xml", 422, wrong),
        ("cellFormat=string", 422, wrong),
        ("cellFormat=string&timeZone=Mars%2FOlympus&userLocale=en", 422, wrong),
        ("returnFieldsByFieldId=yes", 422, wrong),
        ("recordMetadata[]=everything", 422, wrong),
        ("view=%ff%fe", 422, wrong),
        ("fields[]=Nothing", 422, "UNKNOWN_FIELD_NAME"),
        ("fields[]=", 422, "UNKNOWN_FIELD_NAME"),
        ("sort[0][field]=Nothing", 422, "UNKNOWN_FIELD_NAME"),
        ("view=Nothing", 422, "VIEW_NAME_NOT_FOUND"),
        ("view=viwNone0000000000", 422, "VIEW_ID_NOT_FOUND"),
        ("view=viwSupGrid0000000", 422, "FAILED_STATE_CHECK"),
        ("filterByFormula=%7BName", 422, "INVALID_FILTER_BY_FORMULA"),
        ("filterByFormula=%7BNothing%7D", 422, "INVALID_FILTER_BY_FORMULA"),
        ("offset=nonsense", 422, "INVALID_OFFSET_VALUE"),
        ("offset=%00", 422, "INVALID_OFFSET_VALUE"),
        ("offset=itrAAAAAAAAAAAAAA/recBBBBBBBBBBBBBB", 422, "LIST_RECORDS_ITERATOR_NOT_AVAILABLE"),
    ] {
        refuses(&server, "GET", &list(query), &Value::Null, status, kind);
    }
    let deep = format!("filterByFormula={}1{}", "(".repeat(5_000), ")".repeat(5_000));
    refuses(&server, "GET", &list(&deep), &Value::Null, 422, "INVALID_FILTER_BY_FORMULA");
    let (status, said) = send(&server, "GET", &list(&format!("view={}", "x".repeat(17_000))), b"");
    assert!((400..500).contains(&status), "{status} {said}");
    // Empty things are no things.
    for query in ["", "&&", "offset=", "view=&filterByFormula=", "fields[]=Name&"] {
        assert_eq!(send(&server, "GET", &list(query), b"").0, 200, "{query}");
    }
    unharmed(&server);
}

#[test]
fn bodies() {
    let (_data, server) = serve();
    let parts = format!("/v0/{BASE}/Parts");
    for body in [
        &b""[..],
        b"{",
        b"[]",
        b"5",
        b"null",
        b"\"text\"",
        b"{\"fields\":{\"Name\":\"\xff\"}}",
        b"{\"fields\":{}} trailing",
        b"{\"fields\":{\"Quantity\":1e999}}",
        b"{\"fields\":{\"Quantity\":NaN}}",
        b"{\"fields\":{\"Name\":\"\\ud800\"}}",
    ] {
        for (method, path) in [("POST", parts.clone()), ("PATCH", format!("{parts}/{ONE}"))] {
            let (status, said) = send(&server, method, &path, body);
            let shown = String::from_utf8_lossy(body);
            assert!(
                (400..500).contains(&status) && kind_of(&said) != "none",
                "{method} {shown}: {status} {said}"
            );
        }
    }
    let deep = format!("{{\"fields\":{{\"Name\":{}1{}}}}}", "[".repeat(20_000), "]".repeat(20_000));
    let (status, said) = send(&server, "POST", &parts, deep.as_bytes());
    assert_eq!((status, kind_of(&said)), (422, "INVALID_REQUEST_BODY"), "{said}");
    for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""] {
        let (status, said) = send_as(&server, "POST", &parts, kind, b"{\"fields\":{\"Name\":\"x\"}}");
        assert_eq!((status, kind_of(&said)), (422, "INVALID_REQUEST_BODY"), "{kind:?}: {said}");
    }
    let huge = format!("{{\"fields\":{{\"Name\":\"{}\"}}}}", "x".repeat(30_000_000));
    assert_eq!(send(&server, "POST", &parts, huge.as_bytes()).0, 413);
    unharmed(&server);
}

#[test]
fn keys_and_values_of_bodies() {
    let (_data, server) = serve();
    let parts = format!("/v0/{BASE}/Parts");
    let one = format!("{parts}/{ONE}");
    let record = json!({"fields": {"Name": "x"}});
    let with_id = json!({"id": ONE, "fields": {"Name": "x"}});
    let (wrong, records) = ("INVALID_REQUEST_UNKNOWN", "INVALID_RECORDS");
    for (method, path, body, kind) in [
        ("POST", &parts, json!({}), "INVALID_REQUEST_MISSING_FIELDS"),
        ("POST", &parts, json!({"fields": {}, "nonsense": 1}), wrong),
        ("POST", &parts, json!({"fields": {}, "typecast": "yes"}), wrong),
        ("POST", &parts, json!({"fields": {}, "returnFieldsByFieldId": 1}), wrong),
        ("POST", &parts, json!({"fields": [1]}), wrong),
        ("POST", &parts, json!({"records": vec![&record; 11]}), records),
        ("POST", &parts, json!({"records": []}), records),
        ("POST", &parts, json!({"records": {}}), records),
        ("POST", &parts, json!({"records": [null]}), records),
        ("POST", &parts, json!({"records": [{"fields": 5}]}), records),
        ("PATCH", &parts, json!({"records": [record]}), records),
        ("PATCH", &parts, json!({"records": vec![&with_id; 11]}), records),
        ("PATCH", &parts, json!({"records": [{"id": "nonsense", "fields": {}}]}), records),
        ("PUT", &parts, json!({"records": [{"id": ONE}]}), records),
        ("PATCH", &one, json!({}), "INVALID_REQUEST_MISSING_FIELDS"),
        ("PATCH", &one, json!({"fields": {"Nothing": 1}}), "UNKNOWN_FIELD_NAME"),
        ("PATCH", &one, json!({"fields": {"Total": 1}}), "INVALID_VALUE_FOR_COLUMN"),
        ("PATCH", &one, json!({"fields": {"Name": {"deep": [1, 2]}}}), "INVALID_VALUE_FOR_COLUMN"),
        ("PATCH", &one, json!({"fields": {"Status": "nowhere"}}), "INVALID_MULTIPLE_CHOICE_OPTIONS"),
        ("PATCH", &one, json!({"fields": {"Supplier": ["recNone0000000000"]}}), "ROW_DOES_NOT_EXIST"),
        ("PATCH", &one, json!({"fields": {"Supplier": [ONE]}}), "ROW_TABLE_DOES_NOT_MATCH_LINKED_TABLE"),
        (
            "PATCH",
            &parts,
            json!({"records": [{"id": "recNone0000000000", "fields": {}}]}),
            "ROW_DOES_NOT_EXIST",
        ),
        ("PATCH", &parts, json!({"records": [record], "performUpsert": {}}), wrong),
        ("PATCH", &parts, json!({"records": [record], "performUpsert": {"fieldsToMergeOn": []}}), wrong),
        ("PATCH", &parts, json!({"records": [record], "performUpsert": {"fieldsToMergeOn": "Name"}}), wrong),
    ] {
        refuses(&server, method, path, &body, 422, kind);
    }
    for (method, query, body) in [
        ("DELETE", "", Value::Null),
        ("DELETE", "?records[]=nonsense", Value::Null),
        ("DELETE", &*format!("?{}", format!("records[]={ONE}&").repeat(11)), Value::Null),
    ] {
        refuses(&server, method, &format!("{parts}{query}"), &body, 422, records);
    }
    refuses(
        &server,
        "DELETE",
        &format!("{parts}/recNone0000000000"),
        &Value::Null,
        404,
        "MODEL_ID_NOT_FOUND",
    );
    for body in [
        json!({"pageSize": "ten"}),
        json!({"pageSize": 1.5}),
        json!({"fields": "Name"}),
        json!({"fields": [1]}),
        json!({"sort": {"field": "Name"}}),
        json!({"sort": [{"direction": "asc"}]}),
        json!({"sort": [{"field": "Name", "nonsense": 1}]}),
        json!({"recordMetadata": "commentCount"}),
        json!({"nonsense": null}),
        json!({"offset": 5}),
    ] {
        refuses(&server, "POST", &format!("{parts}/listRecords"), &body, 422, wrong);
    }
    unharmed(&server);
}

#[test]
fn addresses() {
    let (_data, server) = serve();
    for path in [
        "/v0",
        "/v0/",
        "/v0//",
        "/v0/nonsense/Parts",
        "/v0/appshort/Parts",
        "/v0/appWorkshop000000",
        "/v0/appWorkshop000000/Parts/nonsense",
        "/v0/appWorkshop000000/Parts/recPart01000000001",
        "/v0/appWorkshop000000/Parts/..%2F..%2Fowner.lock",
        "/v0/appWorkshop000000/Parts/recPart0100000000/../../../tokens",
        "/v0/appWorkshop000000/%ff",
        "/v0/meta/nonsense",
        "/v0/meta/bases/../whoami",
        "/v0/a/b/c/d/e/f/g/h",
    ] {
        let (status, said) = send(&server, "GET", path, b"");
        assert_eq!((status, &said), (404, &json!({"error": "NOT_FOUND"})), "{path}");
    }
    let invisible = "INVALID_PERMISSIONS_OR_MODEL_NOT_FOUND";
    for path in [
        "/v0/appNone0000000000/Parts",
        "/v0/appWorkshop000000/Nothing",
        "/v0/appWorkshop000000/..%2F..%2F..%2Fetc%2Fpasswd",
        "/v0/appWorkshop000000/%00",
        "/v0/appWorkshop000000/tblNone0000000000",
        "/v0/appWorkshop000000/Parts/recNone0000000000",
        "/v0/meta/bases/appNone0000000000/tables",
    ] {
        refuses(&server, "GET", path, &Value::Null, 403, invisible);
    }
    for (method, path) in [
        ("PUT", "/v0/meta/bases"),
        ("DELETE", "/v0/meta/bases/appWorkshop000000/tables/Parts"),
        ("POST", "/v0/appWorkshop000000/Parts/recPart0100000000"),
        ("BREW", "/v0/appWorkshop000000/Parts"),
    ] {
        let status = send(&server, method, path, b"").0;
        assert!((400..500).contains(&status), "{method} {path}: {status}");
    }
    unharmed(&server);
}

#[test]
fn checks_come_in_airtables_order() {
    let (data, server) = serve();
    let looker = data.ok(&["token", "create", "--name", "looker", "--scopes", "schema.bases:read"]);
    let ask = |token: &str, path: &str| {
        let bearer = format!("Bearer {token}");
        let answer = http(&server.address, "GET", path, &[("Authorization", &bearer)], b"");
        let body: Value = serde_json::from_str(&answer.body).unwrap_or_default();
        (answer.status, kind_of(&body).to_owned())
    };
    let (good, none, looker) = (server.token.as_str(), "wrong", looker.trim());
    for (token, path, status, kind) in [
        (none, "/v0/nonsense/Parts?pageSize=0", 404, "NOT_FOUND"),
        (none, "/v0/appNone0000000000/Parts?pageSize=0", 401, "AUTHENTICATION_REQUIRED"),
        (good, "/v0/appNone0000000000/Parts?pageSize=0", 422, "INVALID_REQUEST_UNKNOWN"),
        (good, "/v0/appNone0000000000/Parts?view=None", 403, "INVALID_PERMISSIONS_OR_MODEL_NOT_FOUND"),
        (looker, "/v0/appWorkshop000000/Parts?pageSize=0", 422, "INVALID_REQUEST_UNKNOWN"),
        (looker, "/v0/appWorkshop000000/Parts?view=None", 403, "INVALID_PERMISSIONS_OR_MODEL_NOT_FOUND"),
        (good, "/v0/appWorkshop000000/Parts?view=None&fields[]=None", 422, ""),
    ] {
        let (got, said) = ask(token, path);
        assert!(got == status && said.starts_with(kind), "{path}: {got} {said}");
    }
    let (status, tables) = ask(looker, "/v0/meta/bases/appWorkshop000000/tables");
    assert_eq!((status, tables.as_str()), (200, "none"));
}

#[test]
fn headers() {
    let (_data, server) = serve();
    let path = format!("/v0/{BASE}/Parts?maxRecords=1");
    let bearer = format!("Bearer {}", server.token);
    let long = "x".repeat(1_000_000);
    let answer = http(&server.address, "GET", &path, &[("Authorization", &bearer), ("X-Long", &long)], b"");
    assert!(answer.status == 0 || (400..500).contains(&answer.status), "{}", answer.status);
    let many: Vec<(String, String)> = (0..2_000).map(|n| (format!("X-{n}"), "y".into())).collect();
    let mut headers: Vec<(&str, &str)> = many.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    headers.push(("Authorization", &bearer));
    let answer = http(&server.address, "GET", &path, &headers, b"");
    assert!(answer.status == 0 || (400..500).contains(&answer.status), "{}", answer.status);
    for value in ["", "Bearer", "Bearer ", "bearer", "Basic eDp5", &*format!("Bearer {} x", server.token)] {
        let answer = http(&server.address, "GET", &path, &[("Authorization", value)], b"");
        assert_eq!(answer.status, 401, "{value:?}");
        assert!(!answer.body.contains(&server.token));
    }
    for (name, value) in [("Host", "evil.example"), ("Origin", "https://evil.example")] {
        let answer = http(&server.address, "GET", &path, &[("Authorization", &bearer), (name, value)], b"");
        assert_eq!(answer.status, 403, "{name}");
    }
    unharmed(&server);
}

#[test]
fn uploads() {
    let (_data, server) = serve();
    let path = format!("/v0/{BASE}/{ONE}/Files/uploadAttachment");
    let good = json!({"contentType": "text/plain", "filename": "a.txt", "file": "aGVsbG8="});
    let with = |key: &str, value: Value| {
        let mut body = good.clone();
        body[key] = value;
        body
    };
    for body in [
        with("file", json!("not base64!")),
        with("file", json!("aGVsbG8=aGVsbG8=")),
        with("file", json!("====")),
        with("file", json!(5)),
        with("filename", json!(["a"])),
        with("contentType", json!(null)),
        with("nonsense", json!(1)),
        json!({}),
    ] {
        let (status, said) = send(&server, "POST", &path, body.to_string().as_bytes());
        assert_eq!(status, 422, "{body}: {said}");
        assert_ne!(kind_of(&said), "none", "{body}: {said}");
    }
    let big = with("file", json!("A".repeat(7_500_000)));
    assert_eq!(send(&server, "POST", &path, big.to_string().as_bytes()).0, 413);
    for (path, status) in [
        (format!("/v0/{BASE}/{ONE}/Name/uploadAttachment"), 422),
        (format!("/v0/{BASE}/{ONE}/Nothing/uploadAttachment"), 422),
        (format!("/v0/{BASE}/recNone0000000000/Files/uploadAttachment"), 404),
        (format!("/v0/{BASE}/recshort/Files/uploadAttachment"), 404),
    ] {
        let (got, said) = send(&server, "POST", &path, good.to_string().as_bytes());
        assert_eq!(got, status, "{path}: {said}");
    }
    let (_, one) = send(&server, "GET", &format!("/v0/{BASE}/Parts/{ONE}"), b"");
    assert_eq!(one["fields"].get("Files"), None, "nothing was attached");
    unharmed(&server);
}

#[test]
fn names_of_files() {
    let (_data, server) = serve();
    let path = format!("/v0/{BASE}/{ONE}/Files/uploadAttachment");
    let mut runner = TestRunner::deterministic();
    let odd = "[a./\\\\%\"'<>:|?*\u{0}\n\u{202e}é🦀 -]{0,40}(\\.\\.[/\\\\]){0,3}[a-z]{0,3}";
    let strategy = proptest::string::string_regex(odd).unwrap();
    for _ in 0..60 {
        let name = strategy.new_tree(&mut runner).unwrap().current();
        let body = json!({"contentType": "text/plain", "filename": name, "file": "aGVsbG8="});
        let (status, said) = send(&server, "POST", &path, body.to_string().as_bytes());
        assert_eq!(status, 200, "{name:?}: {said}");
        let file = said["fields"]["fldPFiles00000000"].as_array().unwrap().last().unwrap().clone();
        let kept = file["filename"].as_str().unwrap();
        let bad = |c: char| matches!(c, '/' | '\\' | '\u{202e}') || c.is_control();
        assert!(!kept.is_empty() && !kept.starts_with('.') && !kept.contains(bad), "{name:?}: {kept:?}");
        let address = file["url"].as_str().unwrap().split_once(&server.address).unwrap().1;
        let got = http(&server.address, "GET", address, &[], b"");
        assert_eq!((got.status, got.body.as_str()), (200, "hello"), "{name:?}: {address}");
        assert!(got.head.contains("x-content-type-options: nosniff"), "{}", got.head);
    }
}

/// Mangled requests get an answer that says what is wrong with them, or are carried out.
#[test]
fn mangled_requests_never_end_the_server() {
    let (_data, server) = serve();
    let parts = format!("/v0/{BASE}/Parts");
    let mut runner = TestRunner::deterministic();
    let query = "filterByFormula=%7BName%7D%3D%27x+y%27&view=Grid+view&pageSize=10&maxRecords=20&cellFormat=string&timeZone=Europe%2FLondon&userLocale=en-gb&returnFieldsByFieldId=1&fields%5B%5D=Name&sort%5B0%5D%5Bdirection%5D=asc&sort%5B0%5D%5Bfield%5D=Name&recordMetadata%5B%5D=commentCount&offset=itrAAAAAAAAAAAAAA%2FrecBBBBBBBBBBBBBB";
    let strategy = mangle(query.as_bytes().to_vec());
    for _ in 0..300 {
        let bytes = strategy.new_tree(&mut runner).unwrap().current();
        // Only what may stand in a request line; the rest is refused before it is a query.
        let query: String = bytes.iter().filter(|b| b.is_ascii_graphic()).map(|b| *b as char).collect();
        let (status, said) = send(&server, "GET", &format!("{parts}?{query}"), b"");
        assert!(status == 200 || (400..500).contains(&status), "{query}: {status} {said}");
    }
    let list = json!({"filterByFormula": "AND({Name} = 'x', {Quantity} > 1)", "sort": [{"field": "Name", "direction": "desc"}], "fields": ["Name"], "pageSize": 5, "cellFormat": "json", "offset": ""});
    let upload = json!({"contentType": "text/plain", "filename": "a.txt", "file": "aGVsbG8g\nd29ybGQ="});
    let hook = json!({"notificationUrl": "https://x.example", "specification": {"options": {"filters": {"dataTypes": ["tableData"], "recordChangeScope": "tblParts000000000"}}}});
    for (path, seed, cases) in [
        (format!("{parts}/listRecords"), list, 300),
        (format!("/v0/{BASE}/recPart0200000000/Files/uploadAttachment"), upload, 200),
        (format!("/v0/bases/{BASE}/webhooks"), hook, 100),
        (format!("{parts}/{ONE}/comments"), json!({"text": "Hi @[usrAAAAAAAAAAAAAA]"}), 50),
    ] {
        let strategy = mangle(seed.to_string().into_bytes());
        for _ in 0..cases {
            let body = strategy.new_tree(&mut runner).unwrap().current();
            let (status, said) = send(&server, "POST", &path, &body);
            let shown = String::from_utf8_lossy(&body).into_owned();
            assert!(status == 200 || (400..500).contains(&status), "{path} {shown}: {status} {said}");
            assert!(!said.is_null(), "{path} {shown}: an answer that is no JSON");
        }
    }
    unharmed(&server);
}

#[test]
fn who_sends_everything_before_reading_hears_that_it_was_too_much() {
    use std::io::{Read, Write};

    let (_data, server) = serve();
    for path in [format!("/v0/{BASE}/Parts"), "/mcp".to_owned()] {
        let body = format!("{{\"fields\": {{\"Name\": \"{}\"}}}}", "a".repeat(12_000_000));
        let mut stream = std::net::TcpStream::connect(&server.address).unwrap();
        stream.set_read_timeout(Some(crate::support::PATIENCE)).unwrap();
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n\
             Accept: application/json, text/event-stream\r\nContent-Length: {}\r\n\r\n",
            server.address,
            server.token,
            body.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(body.as_bytes()).unwrap();
        let mut start = [0u8; 12];
        stream.read_exact(&mut start).unwrap();
        assert_eq!(&start, b"HTTP/1.1 413", "{path}");
    }
}
