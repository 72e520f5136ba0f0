//! Refusals: their bodies, and the order in which a request is checked.

use serde_json::{Value, json};

use super::{BASE, GOODS, LAMP, Rest, path};
use crate::support::Data;

const NOT_PERMITTED: &str = "INVALID_PERMISSIONS_OR_MODEL_NOT_FOUND";
const UNKNOWN: &str = "INVALID_REQUEST_UNKNOWN";

#[test]
fn the_path_is_checked_before_the_token_and_the_token_before_the_rest() {
    let rest = Rest::open();
    let bare = |method: &str, path: &str| {
        let answer = rest.raw(method, path, &[], b"");
        (answer.status, serde_json::from_str::<Value>(&answer.body).unwrap())
    };
    let not_found = json!({"error": "NOT_FOUND"});
    for (method, path) in [
        ("GET", "/v0".to_owned()),
        ("GET", "/v0/".to_owned()),
        ("GET", "/v0/nothing".to_owned()),
        ("GET", "/v0/nothing/Goods".to_owned()),
        ("GET", format!("/v0/{BASE}")),
        ("GET", format!("/v0/{BASE}/Goods/recshort")),
        ("GET", format!("/v0/{BASE}/Goods/{LAMP}/colours")),
        ("POST", format!("/v0/{BASE}/Goods/{LAMP}")),
        ("GET", "/v0/meta".to_owned()),
        ("PUT", "/v0/meta/bases".to_owned()),
    ] {
        assert_eq!(bare(method, &path), (404, not_found.clone()), "{method} {path}");
    }
    let no_token =
        json!({"error": {"type": "AUTHENTICATION_REQUIRED", "message": "Authentication required"}});
    for path in [
        format!("/v0/{BASE}/Goods?colour=red"),
        "/v0/appNone0000000000/X".to_owned(),
        "/v0/meta/whoami".to_owned(),
    ] {
        assert_eq!(bare("GET", &path), (401, no_token.clone()), "{path}");
        let wrong = rest.raw("GET", &path, &[("Authorization", "Bearer twk_wrong")], b"");
        assert_eq!(wrong.status, 401, "{path}");
    }
    assert_eq!(rest.refused("GET", "/v0/appNone0000000000/X?colour=red").1, UNKNOWN);
    assert_eq!(rest.refused_with("POST", "/v0/appNone0000000000/X", json!({"colour": 1})).1, UNKNOWN);
    assert_eq!(rest.refused("GET", &format!("/v0/{BASE}/Nope?fields[]=Nope")).1, NOT_PERMITTED);
    let refused = rest.refused("GET", &path("?fields[]=Nope"));
    assert_eq!(refused, (422, "UNKNOWN_FIELD_NAME".into(), "Unknown field name: \"Nope\"".into()));
}

#[test]
fn what_is_not_there_and_what_is_not_allowed_look_the_same() {
    let rest = Rest::new(&[]);
    let message = "Invalid permissions, or the requested model was not found. Check that both your user and your token have the required permissions, and that the model names and/or ids are correct.";
    let wanted = (403, NOT_PERMITTED.to_owned(), message.to_owned());
    for path in [
        "/v0/appNone0000000000/Goods".to_owned(),
        format!("/v0/{BASE}/Nope"),
        format!("/v0/{BASE}/tblNope0000000000"),
        path("/recNone0000000000"),
        "/v0/meta/bases/appNone0000000000/tables".to_owned(),
    ] {
        assert_eq!(rest.refused("GET", &path), wanted, "{path}");
    }
    // The flags of the server count for the REST face too.
    assert_eq!(rest.refused_with("POST", &path(""), json!({"fields": {}})), wanted);
    assert_eq!(rest.refused("DELETE", &path(&format!("/{LAMP}"))), wanted);
    let field = json!({"name": "X", "type": "url"});
    assert_eq!(
        rest.refused_with("POST", &format!("/v0/meta/bases/{BASE}/tables/Goods/fields"), field),
        wanted
    );
    let writer = Rest::open().with_scopes("writer", "data.records:write");
    assert_eq!(writer.refused("GET", &path("")), wanted);
    assert_eq!(writer.ok("POST", &path(""), json!({"fields": {"Name": "x"}}))["fields"]["Name"], "x");
}

#[test]
fn views_fields_and_sorts_that_are_not_there() {
    let rest = Rest::new(&[]);
    for (query, kind, message) in [
        ("view=Nope", "VIEW_NAME_NOT_FOUND", "View Nope not found"),
        ("view=viwNope0000000000", "VIEW_ID_NOT_FOUND", "View viwNope0000000000 not found"),
        ("view=viwGridM000000000", "FAILED_STATE_CHECK", ""),
        ("sort[0][field]=Nope", "UNKNOWN_FIELD_NAME", "Unknown field name: \"Nope\""),
        ("fields[]=fldNope0000000000", "UNKNOWN_FIELD_NAME", "Unknown field name: \"fldNope0000000000\""),
    ] {
        assert_eq!(
            rest.refused("GET", &path(&format!("?{query}"))),
            (422, kind.into(), message.into()),
            "{query}"
        );
    }
    let silent = rest.send("GET", &path("?view=viwGridM000000000"), None).1;
    assert_eq!(silent, json!({"error": {"type": "FAILED_STATE_CHECK"}}));
}

#[test]
fn parameters_are_refused_by_name_type_and_range() {
    let rest = Rest::new(&[]);
    let start = "Invalid request: parameter validation failed. Check your request data.";
    for query in [
        "colour=red",
        "pageSize=0",
        "pageSize=101",
        "pageSize=ten",
        "maxRecords=0",
        "sort=Name",
        "sort[0][direction]=asc",
        "cellFormat=xml",
        "cellFormat=string",
        "returnFieldsByFieldId=maybe",
        "recordMetadata[]=likes",
        "timeZone=Mars",
        "%ff=1",
    ] {
        let refused = rest.refused("GET", &path(&format!("?{query}")));
        assert_eq!((refused.0, refused.1.as_str()), (422, UNKNOWN), "{query}");
        assert!(refused.2.starts_with(start), "{}", refused.2);
    }
    assert_eq!(rest.refused("GET", &path(&format!("/{LAMP}?fields[]=Name"))).1, UNKNOWN);
}

#[test]
fn bodies_have_to_be_json_objects_in_which_nothing_is_there_twice() {
    let rest = Rest::open();
    let bearer = format!("Bearer {}", rest.token);
    let post = |kind: Option<&str>, body: &[u8]| {
        let mut headers = vec![("Authorization", bearer.as_str())];
        headers.extend(kind.map(|kind| ("Content-Type", kind)));
        let answer = rest.raw("POST", &path(""), &headers, body);
        let json: Value = serde_json::from_str(&answer.body).unwrap();
        (answer.status, json["error"]["type"].as_str().unwrap().to_owned())
    };
    let wanted = (422, "INVALID_REQUEST_BODY".to_owned());
    let deep = format!("{{\"fields\":{{\"Name\":{}1{}}}}}", "[".repeat(5_000), "]".repeat(5_000));
    for body in
        ["", "{", "[]", "1", "{\"fields\":{},\"fields\":{}}", "{\"fields\":{\"Name\":1,\"Name\":2}}", &deep]
    {
        assert_eq!(
            post(Some("application/json"), body.as_bytes()),
            wanted,
            "{}",
            &body[..body.len().min(40)]
        );
    }
    assert_eq!(post(Some("application/json"), b"{\"fields\":{\"Name\":\"\xff\"}}"), wanted);
    assert_eq!(post(Some("text/plain"), b"{\"fields\":{}}"), wanted);
    assert_eq!(post(None, b"{\"fields\":{}}"), wanted);
    assert_eq!(post(Some("application/json; charset=utf-8"), b"{}").1, "INVALID_REQUEST_MISSING_FIELDS");
    let huge = format!("{{\"fields\":{{\"Name\":\"{}\"}}}}", "y".repeat(9_000_000));
    assert_eq!(post(Some("application/json"), huge.as_bytes()), (413, "REQUEST_TOO_LARGE".into()));
    assert_eq!(rest.get(&path(""))["records"].as_array().unwrap().len(), 4, "nothing was made");
}

#[test]
fn records_of_bodies_are_checked() {
    let rest = Rest::open();
    let many = |n: usize| vec![json!({"fields": {}}); n];
    let create = "You must provide an array of up to 10 record objects, each with a \"fields\" object for cell values.";
    let update = "You must provide an array of up to 10 record objects, each with an \"id\" ID field and a \"fields\" object for cell values.";
    for list in [
        json!([]),
        json!(many(11)),
        json!([1]),
        json!([{}]),
        json!([{"fields": 1}]),
        json!([{"fields": {}, "x": 1}]),
        json!({}),
        json!([{"id": LAMP, "fields": {}}]),
    ] {
        let refused = rest.refused_with("POST", &path(""), json!({"records": list}));
        assert_eq!(refused, (422, "INVALID_RECORDS".into(), create.into()), "{list}");
    }
    for list in [json!([]), json!(many(1)), json!([{"id": "x", "fields": {}}]), json!([{"id": LAMP}])] {
        let refused = rest.refused_with("PATCH", &path(""), json!({"records": list}));
        assert_eq!(refused, (422, "INVALID_RECORDS".into(), update.into()), "{list}");
    }
    for (body, kind) in [
        (json!({}), "INVALID_REQUEST_MISSING_FIELDS"),
        (json!({"fields": 1}), UNKNOWN),
        (json!({"fields": {}, "typecast": "yes"}), UNKNOWN),
        (json!({"fields": {}, "records": []}), UNKNOWN),
        (json!({"fields": {}, "colour": 1}), UNKNOWN),
        (json!({"fields": {"Nope": 1}}), "UNKNOWN_FIELD_NAME"),
        (json!({"fields": {"Worth": 1}}), "INVALID_VALUE_FOR_COLUMN"),
        (json!({"fields": {"Name": "a", "fldGName000000000": "b"}}), UNKNOWN),
    ] {
        let refused = rest.refused_with("POST", &path(""), body.clone());
        assert_eq!((refused.0, refused.1.as_str()), (422, kind), "{body}");
    }
    let computed = rest.refused_with("PATCH", &path(&format!("/{LAMP}")), json!({"fields": {"Worth": 1}}));
    assert_eq!(computed.2, "Field \"Worth\" cannot accept a value because the field is computed");
    let gone = rest.refused_with("PATCH", &path("/recNone0000000000"), json!({"fields": {}}));
    assert_eq!(gone, (404, "MODEL_ID_NOT_FOUND".into(), "Record not found".into()));
    let gone = rest.refused_with(
        "PATCH",
        &path(""),
        json!({"records": [{"id": "recNone0000000000", "fields": {}}]}),
    );
    assert_eq!(
        gone,
        (422, "ROW_DOES_NOT_EXIST".into(), "Record ID recNone0000000000 does not exist in this table".into())
    );
    assert_eq!(rest.refused_with("POST", &path("?colour=red"), json!({"fields": {}})).1, UNKNOWN);
}

#[test]
fn long_urls_are_refused_and_short_ones_go_through() {
    let rest = Rest::new(&[]);
    let query = |length: usize| {
        let start = path("?filterByFormula=Name=%22");
        format!("{start}{}%22", "x".repeat(length - start.len() - 3))
    };
    assert_eq!(rest.get(&query(16_000))["records"], json!([]));
    assert_eq!(rest.refused("GET", &query(16_001)).0, 414);
}

#[test]
fn a_read_only_server_says_so_in_airtables_words() {
    let rest = Rest::over(Data::with_shop(), &["--allow-write", "--allow-delete", "--read-only"]);
    for (method, path) in
        [("POST", path("")), ("PATCH", path(&format!("/{LAMP}"))), ("PUT", path(&format!("/{LAMP}")))]
    {
        assert_eq!(rest.refused_with(method, &path, json!({"fields": {}})).1, NOT_PERMITTED, "{method}");
    }
    assert_eq!(rest.refused("DELETE", &format!("/v0/{BASE}/{GOODS}?records[]={LAMP}")).1, NOT_PERMITTED);
}

#[test]
fn answers_say_what_they_are_and_close_when_asked() {
    let rest = Rest::new(&[]);
    let bearer = format!("Bearer {}", rest.token);
    let answer = rest.raw(
        "GET",
        &path("/?"),
        &[
            ("Authorization", &bearer),
            ("X-Api-Version", "0.1.0"),
            ("X-Airtable-Application-Id", BASE),
            ("Content-Type", "application/json"),
        ],
        b"",
    );
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert!(answer.head.contains("content-type: application/json; charset=utf-8"), "{}", answer.head);
    assert!(answer.head.contains("connection: close"), "{}", answer.head);
}
