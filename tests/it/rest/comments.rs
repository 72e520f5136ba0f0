//! Comments: threads, mentions, pages.

use serde_json::{Value, json};

use super::{Rest, path};

const DESK: &str = "recDesk0000000000";

fn comments(rest: &str) -> String {
    path(&format!("/{DESK}/comments{rest}"))
}

#[test]
fn comments_are_added_edited_and_deleted() {
    let rest = Rest::open();
    assert_eq!(rest.get(&comments("")), json!({"comments": [], "offset": null}));
    let who = rest.get("/v0/meta/whoami")["id"].as_str().unwrap().to_owned();
    let first = rest.ok("POST", &comments(""), json!({ "text": format!("Hi @[{who}]") }));
    assert_eq!(first["author"]["id"], who.as_str());
    assert_eq!(first["mentioned"][&who]["type"], "user");
    assert_eq!(first["lastUpdatedTime"], Value::Null);
    let id = first["id"].as_str().unwrap();
    let answer = rest.ok("POST", &comments("/"), json!({"text": "yes", "parentCommentId": id}));
    assert_eq!(answer["parentCommentId"], id);
    let list = rest.get(&comments(""));
    assert_eq!(list["comments"][0]["text"], "yes", "newest first");
    let edited = rest.ok("PATCH", &comments(&format!("/{id}")), json!({"text": "Hi"}));
    assert!(edited["lastUpdatedTime"].is_string() && edited.get("mentioned").is_none(), "{edited}");
    let with_count = rest.get(&path("?recordMetadata[]=commentCount"));
    assert_eq!(with_count["records"][2]["commentCount"], 2);
    assert!(with_count["records"][3].get("commentCount").is_none());
    let answer = answer["id"].as_str().unwrap();
    let (status, deleted) = rest.send("DELETE", &comments(&format!("/{answer}")), None);
    assert_eq!((status, deleted), (200, json!({"id": answer, "deleted": true})));
    assert_eq!(rest.get(&comments(""))["comments"].as_array().unwrap().len(), 1);
}

#[test]
fn comments_come_in_pages() {
    let rest = Rest::open();
    for n in 0..5 {
        rest.ok("POST", &comments(""), json!({ "text": n.to_string() }));
    }
    let (mut texts, mut offset) = (Vec::new(), String::new());
    loop {
        let list = rest.get(&comments(&format!("?pageSize=2&offset={offset}")));
        texts.extend(list["comments"].as_array().unwrap().iter().map(|c| c["text"].clone()));
        match list["offset"].as_str() {
            Some(next) => offset = next.to_owned(),
            None => break,
        }
    }
    assert_eq!(texts, ["4", "3", "2", "1", "0"]);
    // The last one given out may go: what follows it is still there.
    let first = rest.get(&comments("?pageSize=2"));
    let (last, offset) = (first["comments"][1]["id"].as_str().unwrap(), first["offset"].as_str().unwrap());
    assert!(
        offset.split_once('/').is_some_and(|(itr, com)| itr.starts_with("itr") && com.starts_with("com"))
    );
    assert_eq!(rest.send("DELETE", &comments(&format!("/{last}")), None).0, 200);
    let next = rest.get(&comments(&format!("?pageSize=2&offset={offset}")));
    assert_eq!((&next["comments"][0]["text"], &next["comments"][1]["text"]), (&json!("2"), &json!("1")));
    assert_eq!(rest.refused("GET", &comments("?offset=x")).1, "INVALID_OFFSET_VALUE");
    assert_eq!(rest.refused("GET", &comments("?pageSize=101")).1, "INVALID_REQUEST_UNKNOWN");
    assert_eq!(rest.refused("GET", &comments("?colour=red")).1, "INVALID_REQUEST_UNKNOWN");
}

#[test]
fn comments_that_are_not_there_or_not_ones_own() {
    let rest = Rest::open();
    let own = rest.ok("POST", &comments(""), json!({"text": "mine"}))["id"].as_str().unwrap().to_owned();
    let missing = "comNone0000000000";
    let refused = rest.refused_with("POST", &comments(""), json!({"text": "x", "parentCommentId": missing}));
    assert_eq!(refused, (404, "MODEL_ID_NOT_FOUND".into(), "Comment not found".into()));
    assert_eq!(rest.refused("DELETE", &comments(&format!("/{missing}"))).0, 404);
    let nowhere = path("/recNone0000000000/comments");
    assert_eq!(rest.refused("GET", &nowhere), (404, "MODEL_ID_NOT_FOUND".into(), "Record not found".into()));
    for bad in [json!({}), json!({"text": 1}), json!({"text": "x", "colour": 1}), json!({"text": " "})] {
        assert_eq!(rest.refused_with("POST", &comments(""), bad.clone()).0, 422, "{bad}");
    }
    let scopes = "data.records:read,data.recordComments:read,data.recordComments:write";
    let other = rest.with_scopes("other", scopes);
    let refused = other.refused_with("PATCH", &comments(&format!("/{own}")), json!({"text": "x"}));
    assert_eq!((refused.0, refused.1.as_str()), (403, "INVALID_PERMISSIONS_OR_MODEL_NOT_FOUND"));
    let silent = other.with_scopes("silent", "data.records:read,data.records:write");
    assert_eq!(silent.refused("GET", &comments("")).0, 403);
    assert_eq!(silent.refused_with("POST", &comments(""), json!({"text": "x"})).0, 403);
}
