//! What goes out, and what is made of the answers.

use serde_json::{Value, json};
use tablewright_engine::airtable::{Error, ListQuery, MAX_UPLOAD};

use super::server::{Reply, Seen};
use super::{BASE, FIELD, NOW, TOKEN, Upstream, ask, base, cells, field, record, written};

/// The query of a request, decoded.
fn query(seen: &Seen) -> Vec<(String, String)> {
    let url = reqwest::Url::parse(&format!("http://x{}", seen.path)).unwrap();
    url.query_pairs().into_owned().collect()
}

fn pair(name: &str, value: &str) -> (String, String) {
    (name.into(), value.into())
}

#[tokio::test]
async fn a_list_asks_by_field_id_and_gives_the_page() {
    let answer = json!({"records": [written(1, "Ada"), {"id": record(2), "createdTime": "2026-03-01T08:15:30.000Z", "fields": {}}], "offset": "itr1/rec2"});
    let upstream = Upstream::new(vec![Reply::Json(200, answer)]).await;
    let wanted = ListQuery {
        formula: Some("{fldA1b2C3d4E5f6G7}='x y&z'".into()),
        fields: vec![field()],
        page_size: 50,
        offset: Some("itr0/rec1".into()),
        sort: vec![(field(), true)],
        ..ListQuery::default()
    };
    let page = upstream.session.list(&ask(), base(), "My Table/1", &wanted).await.unwrap();
    assert_eq!(page.server_time, Some(NOW));
    assert_eq!(page.value.offset.as_deref(), Some("itr1/rec2"));
    assert_eq!((page.value.records[0].id, page.value.records[0].created), (record(1), 1_772_352_930_000));
    assert_eq!(page.value.records[0].fields, cells("Ada"));
    assert!(page.value.records[1].fields.is_empty());
    let seen = upstream.server.only();
    assert!(seen.path.starts_with(&format!("/v0/{BASE}/My%20Table%2F1?")), "{}", seen.path);
    assert_eq!(seen.method, "GET");
    assert_eq!(seen.header("authorization"), Some(format!("Bearer {TOKEN}").as_str()));
    assert!(seen.header("user-agent").is_some_and(|agent| agent.starts_with("tablewright/")));
    assert_eq!(
        query(&seen),
        [
            pair("returnFieldsByFieldId", "true"),
            pair("fields[]", FIELD),
            pair("pageSize", "50"),
            pair("sort[0][field]", FIELD),
            pair("sort[0][direction]", "desc"),
            pair("filterByFormula", "{fldA1b2C3d4E5f6G7}='x y&z'"),
            pair("offset", "itr0/rec1"),
        ]
    );
}

#[tokio::test]
async fn a_list_too_long_for_an_address_is_posted() {
    let upstream = Upstream::new(vec![Reply::Json(200, json!({"records": []}))]).await;
    let formula = format!("OR({})", vec!["{fldA1b2C3d4E5f6G7}='x'"; 600].join(","));
    let wanted = ListQuery { formula: Some(formula.clone()), fields: vec![field()], ..ListQuery::default() };
    let page = upstream.session.list(&ask(), base(), "T", &wanted).await.unwrap();
    assert_eq!(page.value.offset, None);
    let seen = upstream.server.only();
    assert_eq!((seen.method.as_str(), &seen.path), ("POST", &format!("/v0/{BASE}/T/listRecords")));
    let body = seen.json();
    assert_eq!(body, json!({"returnFieldsByFieldId": true, "fields": [FIELD], "filterByFormula": formula}));
}

#[tokio::test]
async fn records_are_written_in_batches() {
    let two = json!({"records": [written(1, "a"), written(2, "b")]});
    let deleted =
        json!({"records": [{"id": record(1), "deleted": true}, {"id": record(2), "deleted": true}]});
    let mut upserted = two.clone();
    upserted["createdRecords"] = json!([record(2)]);
    upserted["updatedRecords"] = json!([record(1)]);
    let replies = [two.clone(), two.clone(), two, upserted, deleted, written(1, "a")];
    let upstream = Upstream::new(replies.into_iter().map(|body| Reply::Json(200, body)).collect()).await;
    let s = &upstream.session;
    let records = [cells("a"), cells("b")];
    let made = s.create(upstream.permit().await, &ask(), base(), "T", &records, true).await.unwrap();
    assert_eq!(made.value.iter().map(|r| r.id).collect::<Vec<_>>(), [record(1), record(2)]);
    let changes = [(record(1), cells("a")), (record(2), cells("b"))];
    for replace in [false, true] {
        let permit = upstream.permit().await;
        s.update(permit, &ask(), base(), "T", &changes, replace, false).await.unwrap();
    }
    let merged = [(Some(record(1)), cells("a")), (None, cells("b"))];
    let permit = upstream.permit().await;
    let done = s.upsert(permit, &ask(), base(), "T", &[FIELD.into()], &merged, false, true).await.unwrap();
    assert_eq!((done.value.created, done.value.updated), (vec![record(2)], vec![record(1)]));
    let gone = s.delete(upstream.permit().await, &ask(), base(), "T", &[record(1), record(2)]).await.unwrap();
    assert_eq!(gone.value, [record(1), record(2)]);
    assert_eq!(s.get(&ask(), base(), "T", record(1)).await.unwrap().value.fields, cells("a"));
    let seen = upstream.server.seen();
    let methods: Vec<&str> = seen.iter().map(|s| s.method.as_str()).collect();
    assert_eq!(methods, ["POST", "PATCH", "PUT", "PATCH", "DELETE", "GET"]);
    assert!(seen[..4].iter().all(|s| s.path == format!("/v0/{BASE}/T")));
    assert!(seen[..4].iter().all(|s| s.json()["returnFieldsByFieldId"] == true));
    assert!(seen[..4].iter().all(|s| s.header("content-type") == Some("application/json")));
    assert_eq!(seen[0].json()["records"], json!([{"fields": {FIELD: "a"}}, {"fields": {FIELD: "b"}}]));
    assert_eq!((&seen[0].json()["typecast"], &seen[1].json()["typecast"]), (&json!(true), &json!(false)));
    assert_eq!(seen[1].json()["records"][0], json!({"id": record(1), "fields": {FIELD: "a"}}));
    assert_eq!(seen[3].json()["performUpsert"], json!({"fieldsToMergeOn": [FIELD]}));
    assert_eq!(seen[3].json()["records"][1], json!({"fields": {FIELD: "b"}}));
    let both = [pair("records[]", &record(1).to_string()), pair("records[]", &record(2).to_string())];
    assert_eq!(query(&seen[4]), both);
    assert_eq!(query(&seen[5]), [pair("returnFieldsByFieldId", "true")]);
}

#[tokio::test]
async fn batches_have_one_to_ten_records() {
    let upstream = Upstream::new(vec![Reply::Close]).await;
    for count in [0, 11] {
        let permit = upstream.permit().await;
        let records = vec![cells("a"); count];
        let error = upstream.session.create(permit, &ask(), base(), "T", &records, false).await.unwrap_err();
        assert!(matches!(&error, Error::NotSent(why) if why.contains("1 to 10")), "{error}");
    }
    assert!(upstream.server.seen().is_empty());
    assert_eq!(upstream.airtable.usage("me").await.unwrap().0, 0, "turns not used are handed back");
}

#[tokio::test]
async fn bases_are_read_to_the_last_page() {
    let pages = vec![
        Reply::Json(
            200,
            json!({"bases": [{"id": BASE, "name": "A", "permissionLevel": "create"}, {"id": "odd", "name": "?"}], "offset": "itr/app"}),
        ),
        Reply::Json(
            200,
            json!({"bases": [{"id": "appB1b2C3d4E5f6G7", "name": "B", "permissionLevel": "read"}]}),
        ),
    ];
    let upstream = Upstream::new(pages).await;
    let bases = upstream.session.bases(&ask()).await.unwrap();
    let shown: Vec<(&str, &str)> =
        bases.iter().map(|b| (b.name.as_str(), b.permission_level.as_str())).collect();
    assert_eq!(shown, [("A", "create"), ("B", "read")]);
    let seen = upstream.server.seen();
    assert_eq!(
        (seen[0].path.as_str(), seen[1].path.as_str()),
        ("/v0/meta/bases", "/v0/meta/bases?offset=itr%2Fapp")
    );
    upstream.server.then(vec![Reply::Json(200, json!({"bases": [], "offset": "again"}))]);
    let error = upstream.session.bases(&ask()).await.unwrap_err();
    assert!(error.to_string().contains("circles"), "{error}");
}

#[tokio::test]
async fn who_and_what_schemas() {
    let table = json!({"id": "tblA1b2C3d4E5f6G7", "name": "T", "primaryFieldId": FIELD,
        "fields": [{"id": FIELD, "name": "Name", "type": "singleLineText"},
                   {"id": "fldB1b2C3d4E5f6G7", "name": "New", "type": "someTypeOfTomorrow", "options": {"a": 1}},
                   {"id": "fldC1b2C3d4E5f6G7", "name": "Sort", "type": "manualSort", "options": null}],
        "views": [{"id": "viwA1b2C3d4E5f6G7", "name": "Grid", "type": "grid", "visibleFieldIds": [FIELD]}],
        "dateDependencySettings": {"isEnabled": false}});
    let field_json = table["fields"][0].clone();
    let view = table["views"][0].clone();
    let replies = [
        json!({"id": "usrA1b2C3d4E5f6G7", "email": "a@x.org"}),
        json!({"tables": [table]}),
        json!({"id": BASE, "name": "A", "permissionLevel": "create", "workspaceId": "wsp1"}),
        json!({"id": BASE, "tables": [table]}),
        table.clone(),
        table.clone(),
        field_json.clone(),
        field_json,
        json!({"views": [view]}),
        view,
        json!({"id": "viwA1b2C3d4E5f6G7", "deleted": true}),
    ];
    let mut replies: Vec<Reply> = replies.into_iter().map(|body| Reply::Json(200, body)).collect();
    replies.push(Reply::Close);
    let upstream = Upstream::new(replies).await;
    let s = &upstream.session;
    let (t, f, v) = ("tblA1b2C3d4E5f6G7".parse().unwrap(), field(), "viwA1b2C3d4E5f6G7".parse().unwrap());
    let who = s.whoami(&ask()).await.unwrap().value;
    assert_eq!(
        (who.id.as_str(), who.email.as_deref(), who.scopes),
        ("usrA1b2C3d4E5f6G7", Some("a@x.org"), None)
    );
    let tables = s.schema(&ask(), base()).await.unwrap().value;
    assert_eq!(serde_json::to_value(&tables[0]).unwrap()["dateDependencySettings"]["isEnabled"], false);
    assert_eq!(
        (tables[0].fields.len(), tables[0].views[0].visible_field_ids.as_deref()),
        (3, Some(&[f][..]))
    );
    assert_eq!(
        s.get_base(&ask(), base(), &["collaborators", "interfaces"]).await.unwrap().value["name"],
        "A"
    );
    let body = json!({"name": "x"});
    assert_eq!(s.create_base(&ask(), &body).await.unwrap().value.0, base());
    s.create_table(&ask(), base(), &body).await.unwrap();
    s.update_table(&ask(), base(), t, &body).await.unwrap();
    s.create_field(&ask(), base(), t, &body).await.unwrap();
    assert_eq!(s.update_field(&ask(), base(), t, f, &body).await.unwrap().value.name, "Name");
    assert_eq!(s.views(&ask(), base()).await.unwrap().value[0].id, v);
    assert_eq!(s.view(&ask(), base(), v).await.unwrap().value.name, "Grid");
    s.delete_view(&ask(), base(), v).await.unwrap();
    let sent: Vec<String> = upstream
        .server
        .seen()
        .iter()
        .map(|s| format!("{} {}", s.method, s.path.replace(BASE, "B")))
        .collect();
    assert_eq!(
        sent,
        [
            "GET /v0/meta/whoami",
            "GET /v0/meta/bases/B/tables?include=visibleFieldIds",
            "GET /v0/meta/bases/B?include=collaborators&include=interfaces",
            "POST /v0/meta/bases",
            "POST /v0/meta/bases/B/tables",
            "PATCH /v0/meta/bases/B/tables/tblA1b2C3d4E5f6G7",
            "POST /v0/meta/bases/B/tables/tblA1b2C3d4E5f6G7/fields",
            "PATCH /v0/meta/bases/B/tables/tblA1b2C3d4E5f6G7/fields/fldA1b2C3d4E5f6G7",
            "GET /v0/meta/bases/B/views?include=visibleFieldIds",
            "GET /v0/meta/bases/B/views/viwA1b2C3d4E5f6G7?include=visibleFieldIds",
            "DELETE /v0/meta/bases/B/views/viwA1b2C3d4E5f6G7",
        ]
    );
}

#[tokio::test]
async fn comments() {
    let comment = json!({"id": "comA1b2C3d4E5f6G7", "author": {"id": "usrA1b2C3d4E5f6G7", "email": "a@x.org", "name": "Ada"},
        "text": "Hi", "createdTime": "2026-03-01T09:00:00.000Z", "lastUpdatedTime": null});
    let replies = [
        json!({"comments": [comment], "offset": null}),
        comment.clone(),
        comment,
        json!({"id": "comA1b2C3d4E5f6G7", "deleted": true}),
    ];
    let upstream = Upstream::new(replies.into_iter().map(|body| Reply::Json(200, body)).collect()).await;
    let s = &upstream.session;
    let id = "comA1b2C3d4E5f6G7".parse().unwrap();
    let page = s.list_comments(&ask(), base(), "T", record(1), Some("itr/com")).await.unwrap().value;
    assert_eq!((page.comments[0].text.as_str(), page.offset), ("Hi", None));
    s.create_comment(&ask(), base(), "T", record(1), "Hi", Some(id)).await.unwrap();
    assert_eq!(s.update_comment(&ask(), base(), "T", record(1), id, "Ho").await.unwrap().value.id, id);
    s.delete_comment(&ask(), base(), "T", record(1), id).await.unwrap();
    let seen = upstream.server.seen();
    let place = format!("/v0/{BASE}/T/{}/comments", record(1));
    assert_eq!(seen[0].path, format!("{place}?pageSize=100&offset=itr%2Fcom"));
    assert_eq!((&seen[1].path, seen[1].json()), (&place, json!({"text": "Hi", "parentCommentId": id})));
    assert_eq!((&seen[2].path, seen[2].json()), (&format!("{place}/{id}"), json!({"text": "Ho"})));
    assert_eq!((seen[3].method.as_str(), &seen[3].path), ("DELETE", &format!("{place}/{id}")));
}

#[tokio::test]
async fn webhooks_and_their_payloads() {
    let made = json!({"id": "achA1b2C3d4E5f6G7", "macSecretBase64": "c2VjcmV0", "expirationTime": "2026-11-30T10:00:00.000Z"});
    let hook = json!({"id": "achA1b2C3d4E5f6G7", "specification": {"options": {}}, "notificationUrl": null, "cursorForNextPayload": 5,
        "isHookEnabled": true, "areNotificationsEnabled": false, "expirationTime": "2026-11-30T10:00:00.000Z", "lastNotificationResult": null});
    let payloads = json!({"payloads": [
        {"timestamp": "2026-11-23T09:59:59.123Z", "baseTransactionNumber": 7, "payloadFormat": "v0",
         "actionMetadata": {"source": "publicApi"},
         "changedTablesById": {"tblA1b2C3d4E5f6G7": {"createdRecordsById": {record(1).to_string(): {"createdTime": "2026-11-23T09:59:59.000Z", "cellValuesByFieldId": {}}},
             "changedRecordsById": {record(2).to_string(): {"current": {"cellValuesByFieldId": {FIELD: 1}}}}, "destroyedRecordIds": [record(3)]},
             "tblB1b2C3d4E5f6G7": {"changedMetadata": {"current": {"name": "B"}}}},
         "createdTablesById": {"tblC1b2C3d4E5f6G7": {}}, "destroyedTableIds": ["tblD1b2C3d4E5f6G7"]},
        {"timestamp": "2026-11-23T10:00:00.000Z", "baseTransactionNumber": 8, "payloadFormat": "v0", "error": true, "code": "INVALID_HOOK"}],
        "cursor": 7, "mightHaveMore": true});
    let whole = |body: Value| Reply::Json(200, body);
    let empty = Reply::With(200, String::new(), String::new());
    let replies = vec![
        whole(made),
        whole(json!({"webhooks": [hook]})),
        whole(payloads),
        whole(json!({"expirationTime": "2026-12-01T10:00:00.000Z"})),
        empty.clone(),
        empty,
    ];
    let upstream = Upstream::new(replies).await;
    let s = &upstream.session;
    let specification = json!({"options": {"filters": {"dataTypes": ["tableData"]}}});
    let made = s.create_webhook(&ask(), base(), None, &specification).await.unwrap().value;
    assert_eq!((made.secret.reveal(), made.expires), ("c2VjcmV0", Some(NOW + 7 * 86_400_000)));
    assert!(!format!("{made:?}").contains("c2VjcmV0"));
    let listed = s.list_webhooks(&ask(), base()).await.unwrap().value;
    assert_eq!((listed[0].cursor_for_next_payload, listed[0].is_hook_enabled), (5, true));
    let page = s.payloads(&ask(), base(), made.id, 5).await.unwrap().value;
    assert_eq!((page.cursor, page.might_have_more, page.payloads.len()), (7, true, 2));
    assert_eq!((page.payloads[0].timestamp, page.payloads[0].base_transaction_number), (NOW - 877, Some(7)));
    let touched = page.payloads[0].touched();
    let table = |id: &str| &touched[&id.parse().unwrap()];
    let a = table("tblA1b2C3d4E5f6G7");
    assert_eq!(
        (&a.changed[..], &a.destroyed[..], a.schema),
        (&[record(1), record(2)][..], &[record(3)][..], false)
    );
    for id in ["tblB1b2C3d4E5f6G7", "tblC1b2C3d4E5f6G7", "tblD1b2C3d4E5f6G7"] {
        assert!(table(id).schema && table(id).changed.is_empty(), "{id}");
    }
    assert_eq!((page.payloads[1].error, page.payloads[1].code.as_deref()), (true, Some("INVALID_HOOK")));
    assert!(page.payloads[1].touched().is_empty());
    assert_eq!(s.refresh_webhook(&ask(), base(), made.id).await.unwrap().value, Some(NOW + 8 * 86_400_000));
    s.enable_webhook(&ask(), base(), made.id, false).await.unwrap();
    s.delete_webhook(&ask(), base(), made.id).await.unwrap();
    let seen = upstream.server.seen();
    assert_eq!(seen[0].json(), json!({ "specification": specification }));
    let sent: Vec<String> =
        seen.iter().map(|s| format!("{} {}", s.method, s.path.replace("achA1b2C3d4E5f6G7", "A"))).collect();
    let place = format!("/v0/bases/{BASE}/webhooks");
    assert_eq!(
        sent,
        [
            format!("POST {place}"),
            format!("GET {place}"),
            format!("GET {place}/A/payloads?cursor=5"),
            format!("POST {place}/A/refresh"),
            format!("POST {place}/A/enableNotifications"),
            format!("DELETE {place}/A"),
        ]
    );
}

#[tokio::test]
async fn files_go_to_the_host_that_takes_them() {
    let upstream = Upstream::new(vec![Reply::Json(200, json!({"success": true}))]).await;
    let files = Upstream::with(vec![Reply::Json(200, written(1, "x"))], |options| {
        options.content_url = std::mem::replace(&mut options.endpoint_url, upstream.server.url());
    })
    .await;
    let upload = async |size: usize| {
        let file = vec![b'x'; size];
        files
            .session
            .upload_attachment(&ask(), base(), record(1), FIELD, "text/plain", "a b.txt", &file)
            .await
    };
    let done = upload(5).await.unwrap();
    assert_eq!(done.value.id, record(1));
    let seen = files.server.only();
    assert_eq!(seen.path, format!("/v0/{BASE}/{}/{FIELD}/uploadAttachment", record(1)));
    assert_eq!(seen.json(), json!({"contentType": "text/plain", "filename": "a b.txt", "file": "eHh4eHg="}));
    upload(MAX_UPLOAD).await.unwrap();
    let error = upload(MAX_UPLOAD + 1).await.unwrap_err();
    assert!(error.to_string().contains("give a URL"), "{error}");
    files.session.sync_csv(&ask(), base(), "T", "sync1", "a,b\n1,2\n".into()).await.unwrap();
    let seen = upstream.server.only();
    assert_eq!(seen.path, format!("/v0/{BASE}/T/sync/sync1"));
    assert_eq!((seen.header("content-type"), &seen.body[..]), (Some("text/csv"), &b"a,b\n1,2\n"[..]));
    let long = vec![b'x'; 2 * 1024 * 1024 + 1];
    let error = files.session.sync_csv(&ask(), base(), "T", "sync1", long.into()).await.unwrap_err();
    assert!(error.to_string().contains("in parts"), "{error}");
}

#[tokio::test]
async fn what_is_passed_on_comes_back_as_it_is() {
    let refusal = json!({"error": {"type": "UNKNOWN_FIELD_NAME", "message": "Unknown field name: \"X\""}});
    let script = vec![
        Reply::Json(200, json!({"records": []})),
        Reply::Json(422, refusal.clone()),
        Reply::With(503, String::new(), "<html>".into()),
    ];
    let upstream = Upstream::new(script).await;
    let s = &upstream.session;
    let path = format!("/v0/{BASE}/My%20T?cellFormat=string&timeZone=utc&userLocale=en");
    let got = s.forward(&ask(), base(), reqwest::Method::GET, &path, None, None).await.unwrap();
    assert_eq!((got.status, &got.body[..]), (200, &br#"{"records":[]}"#[..]));
    assert_eq!(got.content_type.as_deref(), Some("application/json"));
    let post = async |path: &str| {
        let body = r#"{"fields": {"X": 1}, "odd":  true}"#;
        s.forward(&ask(), base(), reqwest::Method::POST, path, Some(body.into()), Some("application/json"))
            .await
    };
    let got = post(&format!("/v0/{BASE}/T")).await.unwrap();
    assert_eq!((got.status, serde_json::from_slice::<Value>(&got.body).unwrap()), (422, refusal));
    let got = post(&format!("/v0/{BASE}/T")).await.unwrap();
    assert_eq!((got.status, &got.body[..]), (503, &b"<html>"[..]), "a write is not repeated");
    let seen = upstream.server.seen();
    assert_eq!((seen.len(), &seen[0].path), (3, &path));
    assert_eq!(seen[1].body, br#"{"fields": {"X": 1}, "odd":  true}"#);
    assert!(matches!(post("/v0/appB1b2C3d4E5f6G7/T").await, Err(Error::NotSent(_))));
    assert_eq!(upstream.server.seen().len(), 3);
}
