//! Attachments: uploads, files by URL and by id, addresses in answers.

use serde_json::{Value, json};

use super::{ALL_SCOPES, Rest};
use crate::attachments::{BASE, ONE, config, data, get, page, png, web};
use crate::support::Data;

const FIELD: &str = "fldPFiles00000000";

fn rest(data: Data) -> Rest {
    rest_with(data, "")
}

fn rest_with(data: Data, more: &str) -> Rest {
    let args = config(&data, more);
    Rest::over(data, &args.iter().map(String::as_str).collect::<Vec<_>>())
}

fn papers(rest: &str) -> String {
    format!("/v0/{BASE}/Papers{rest}")
}

fn upload(field: &str) -> String {
    format!("/v0/{BASE}/{ONE}/{field}/uploadAttachment")
}

#[test]
fn an_upload_is_added_and_served_at_its_address() {
    let rest = rest(data());
    // Python's encoder breaks lines.
    let body = json!({"filename": "a.txt", "contentType": "text/plain", "file": "aGVs\nbG8=\n"});
    let one = rest.ok("POST", &upload("Files"), body);
    assert_eq!((&one["id"], &one["fields"][FIELD][0]["filename"]), (&json!(ONE), &json!("a.txt")));
    assert!(one["createdTime"].is_string());
    let two = rest.ok(
        "POST",
        &upload(FIELD),
        json!({"filename": "b.txt", "contentType": "text/plain", "file": "aGVsbG8"}),
    );
    let files = two["fields"][FIELD].as_array().unwrap();
    assert_eq!(files.len(), 2, "after what is there: {two}");
    let read = rest.get(&papers(&format!("/{ONE}")));
    let file = &read["fields"]["Files"][0];
    assert_eq!((&file["size"], &file["type"]), (&json!(5), &json!("text/plain")));
    let url = file["url"].as_str().unwrap();
    assert!(url.starts_with(&format!("http://{}/files/", rest.address())), "{url}");
    assert_eq!(get("GET", url, "").body, b"hello");
    let text = rest.get(&papers("?cellFormat=string&timeZone=utc&userLocale=en-gb&maxRecords=1"));
    let text = text["records"][0]["fields"]["Files"].as_str().unwrap().to_owned();
    assert!(text.starts_with("a.txt (http://") && text.contains("), b.txt ("), "{text}");
}

#[test]
fn files_come_by_url_and_stay_by_id() {
    let rest = rest(data());
    let server = web(|path| match path {
        "/a.png" => page("image/png", &png(40, 30)),
        _ => b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_vec(),
    });
    let cells = json!({"Name": "x", "Files": [{"url": format!("{server}/a.png")}]});
    let made = rest.ok("POST", &papers(""), json!({ "fields": cells }));
    assert!(made.get("details").is_none(), "{made}");
    let file = made["fields"]["Files"][0].clone();
    assert_eq!(
        (&file["filename"], &file["width"], &file["height"]),
        (&json!("a.png"), &json!(40), &json!(30))
    );
    assert_eq!(file["thumbnails"]["small"]["height"], 30, "{file}");
    let id = made["id"].as_str().unwrap();
    let more = json!({"fields": {"Files": [{"id": file["id"]}, {"url": format!("{server}/a.png"), "filename": "b.png"}]}});
    let kept = rest.ok("PATCH", &papers(&format!("/{id}")), more);
    assert_eq!(
        (&kept["fields"]["Files"][0]["id"], &kept["fields"]["Files"][1]["filename"]),
        (&file["id"], &json!("b.png"))
    );
    let lost =
        json!({"records": [{"fields": {"Name": "y", "Files": [{"url": format!("{server}/none.png")}]}}]});
    let lost = rest.ok("POST", &papers(""), lost);
    let wanted = json!({"message": "partialSuccess", "reasons": ["attachmentsFailedUploading"]});
    assert_eq!(lost["details"], wanted);
    assert_eq!(lost["records"][0]["fields"], json!({"Name": "y"}));
}

#[test]
fn a_file_is_copied_by_the_address_it_is_shown_at() {
    // This server fetches nothing from loopback, itself included.
    let rest = Rest::over(data(), &["--allow-write"]);
    let body = json!({"filename": "a.txt", "contentType": "text/plain", "file": "aGVsbG8="});
    let file = rest.ok("POST", &upload("Files"), body)["fields"][FIELD][0].clone();
    let shown = file["url"].as_str().unwrap();
    let copied = rest.ok("POST", &papers(""), json!({"fields": {"Files": [{"url": shown}]}}));
    let copy = &copied["fields"]["Files"][0];
    assert_eq!((&copy["filename"], &copy["size"]), (&json!("a.txt"), &json!(5)), "{copied}");
    assert_ne!(copy["id"], file["id"]);
    assert_eq!(get("GET", copy["url"].as_str().unwrap(), "").body, b"hello");
    let forged = shown.replacen("/original/", "/large/", 1);
    let body = json!({"fields": {"Files": [{"url": forged}]}});
    assert_eq!(rest.refused_with("POST", &papers(""), body).1, "INVALID_ATTACHMENT_OBJECT");
}

#[test]
fn what_is_no_file_is_refused() {
    let rest = rest(data());
    let id = "attNone0000000000";
    for files in [
        json!(["x"]),
        json!("https://example.org/a"),
        json!({"url": "https://example.org/a"}),
        json!([{"url": "data:text/plain,x"}]),
        json!([{"url": "file:///etc/passwd"}]),
        json!([{"url": "a.pdf"}]),
        json!([{"url": "http://10.0.0.7/a.pdf"}]),
        json!([{"url": "http://[::ffff:169.254.169.254]/latest/meta-data"}]),
        json!([{"id": id}]),
        json!([{"url": "https://example.org/a", "size": 3}]),
        json!([{}]),
    ] {
        let refused = rest.send("POST", &papers(""), Some(&json!({"fields": {"Files": files}})));
        assert_eq!(refused, (422, json!({"error": {"type": "INVALID_ATTACHMENT_OBJECT"}})), "{files}");
    }
    let unknown = json!({"fields": {"Files": [{"id": id}]}});
    assert_eq!(
        rest.refused_with("PATCH", &papers(&format!("/{ONE}")), unknown).1,
        "INVALID_ATTACHMENT_OBJECT"
    );
    let file = |text: &str| json!({"filename": "a.txt", "contentType": "text/plain", "file": text});
    let refused = |path: &str, body: Value| {
        let refused = rest.refused_with("POST", path, body);
        (refused.0, refused.1)
    };
    assert_eq!(refused(&upload("Files"), file("***")), (422, "INVALID_REQUEST_UNKNOWN".into()));
    assert_eq!(
        refused(&upload("Files"), json!({"filename": "a"})),
        (422, "INVALID_REQUEST_MISSING_FIELDS".into())
    );
    assert_eq!(refused(&upload("Name"), file("aGVsbG8=")), (422, "INVALID_VALUE_FOR_COLUMN".into()));
    assert_eq!(refused(&upload("Nope"), file("aGVsbG8=")), (422, "UNKNOWN_FIELD_NAME".into()));
    let nowhere = format!("/v0/{BASE}/recNone0000000000/Files/uploadAttachment");
    assert_eq!(refused(&nowhere, file("aGVsbG8=")), (404, "MODEL_ID_NOT_FOUND".into()));
    let large = "A".repeat((5 << 20) / 3 * 4 + 8);
    assert_eq!(refused(&upload("Files"), file(&large)), (413, "REQUEST_TOO_LARGE".into()));
    assert_eq!(refused(&upload("Files"), file(&large.repeat(2))), (413, "REQUEST_TOO_LARGE".into()));
    assert!(rest.get(&papers(""))["records"][0]["fields"].get("Files").is_none());
    let reader = rest.with_scopes("reader", &ALL_SCOPES.replace("data.records:write,", ""));
    assert_eq!(reader.refused_with("POST", &upload("Files"), file("aGVsbG8=")).0, 403);
}

#[test]
fn addresses_begin_with_the_public_url_when_there_is_one() {
    let rest = rest_with(data(), "[http]\npublic_url = \"https://tables.example.org/\"");
    let file = json!({"filename": "a.txt", "contentType": "text/plain", "file": "aGVsbG8="});
    let done = rest.ok("POST", &upload("Files"), file);
    let url = done["fields"][FIELD][0]["url"].as_str().unwrap();
    assert!(url.starts_with("https://tables.example.org/files/"), "{url}");
}
