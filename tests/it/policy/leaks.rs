//! Two shops that differ only in what a policy hides answer every question in the same words.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::apply;
use crate::people::Office;
use crate::support::{Client, Data, http, root, serve_http};

/// Prices are hidden, stock and notes masked, and goods named Desk not there; nor is table Makers'
/// record of theirs.
const POLICY: &str = r#"
version = 1
default = "allow"

[[deny]]
who = ["local", "token:reader"]
verbs = ["read"]
base = "Shop"
tables = ["Goods"]
fields = ["Price"]

[[mask]]
who = ["local", "token:reader"]
base = "Shop"
table = "Goods"
fields = ["Stock"]
with = "redact"

[[mask]]
who = ["local", "token:reader"]
base = "Shop"
table = "Goods"
fields = ["Notes"]
with = "last_four"

[[rows]]
who = ["local", "token:reader"]
base = "Shop"
table = "Goods"
keep = "{Colour} != 'blue'"
"#;

const FLAGS: [&str; 8] = [
    "--allow-write",
    "--allow-delete",
    "--allow-schema",
    "--allow-audit",
    "--allow-admin",
    "--no-daemon",
    "--toolsets",
    "all",
];
const BASE: &str = "appShop0000000000";
const LAMP: &str = "recLamp0000000000";
const DESK: &str = "recDesk0000000000";
const SHELF: &str = "recShelf000000000";
const NEVER: &str = "recNever000000000";

/// Words that stand in hidden places only.
const SECRETS: [&str; 8] = ["Price", "Worth", "Desk", "Zeppelin", "424242", "313131", "777001", DESK];

/// A shop whose hidden parts are those of world `other`, or not.
fn world(other: bool) -> Data {
    let data = Data::new();
    let bytes = std::fs::read(root().join("tests/fixtures/shop.json")).unwrap();
    let mut shop: Value = serde_json::from_slice(&bytes).unwrap();
    let goods = shop["records"]["tblGoods000000000"].as_array_mut().unwrap();
    for record in goods.iter_mut() {
        let cells = record["fields"].as_object_mut().unwrap();
        let hidden = cells.get("Colour") == Some(&json!("blue"));
        cells.remove("Worth");
        cells.insert("Price".into(), json!(if other { 424_242 } else { 7 }));
        cells.insert("Stock".into(), json!(if other { 777_001 } else { 3 }));
        cells
            .insert("Notes".into(), json!(if other { "a secret, 313131 same" } else { "another one: same" }));
        if hidden && other {
            cells.insert("Name".into(), json!("Zeppelin"));
            cells.insert("Maker".into(), json!(["recAcme0000000000"]));
            cells.insert("Tags".into(), json!(["last"]));
        }
    }
    let shelf = json!({"id": SHELF, "createdTime": "2026-01-05T00:00:00.000Z",
        "fields": {"Name": "Shelf", "Colour": "blue", "Number": 5}});
    goods.push(shelf);
    if other {
        shop["comments"][DESK] =
            json!([{"id": "com00000000000009", "text": "Zeppelin", "author": {"name": "Ada"}}]);
    }
    let file = data.path().join("shop.json");
    std::fs::write(&file, shop.to_string()).unwrap();
    data.import(&file);
    data
}

/// Somebody who sees everything changes what is hidden: as many commits in either world.
fn hidden_changes(other: bool, address: &str, token: &str) {
    let bearer = format!("Bearer {token}");
    let headers = [("Authorization", bearer.as_str()), ("Content-Type", "application/json")];
    let send = |method: &str, path: &str, body: Value| {
        let path = format!("/v0/{BASE}/Goods{path}");
        let answer = http(address, method, &path, &headers, body.to_string().as_bytes());
        assert_eq!(answer.status, 200, "{}", answer.body);
    };
    let cells = |stock: i64| json!({"fields": {"Stock": stock, "Price": stock}});
    if other {
        // One that is deleted and one that is hidden look the same.
        send("DELETE", &format!("/{SHELF}"), json!({}));
        send("PATCH", &format!("/{LAMP}"), cells(777_001));
        send("PATCH", "/recChair000000000", json!({"fields": {"Stock": 4}}));
    } else {
        send("PATCH", &format!("/{SHELF}"), cells(5));
        send("PATCH", &format!("/{DESK}"), json!({"fields": {"Name": "Desk 2"}}));
        send("PATCH", &format!("/{DESK}"), json!({"fields": {"Stock": 5}}));
    }
}

fn goods(more: Value) -> Value {
    let mut asked = json!({"base": "Shop", "table": "Goods"});
    asked.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    asked
}

/// Calls of every tool: those that read, those that write something that is seen, and those that try
/// what is not.
fn calls() -> Vec<(&'static str, Value)> {
    let mut calls = vec![
        ("list_bases", json!({})),
        ("describe_base", json!({"base": "Shop"})),
        ("describe_base", json!({"base": "Shop", "table": "Goods", "detail": "full"})),
        ("describe_base", json!({"base": "Shop", "detail": "tables"})),
        ("get_records", goods(json!({"records": [LAMP, DESK, NEVER]}))),
        ("list_comments", goods(json!({"record": DESK}))),
        ("list_comments", goods(json!({"record": LAMP}))),
        ("get_attachment", goods(json!({"record": DESK, "field": "Files"}))),
        ("get_sync_status", json!({})),
        ("sync_base", json!({"base": "Shop"})),
        ("list_changes", json!({"base": "Shop"})),
        ("list_changes", json!({"base": "Shop", "by": "token:test"})),
        ("get_record_history", goods(json!({"record": DESK}))),
        ("get_record_history", goods(json!({"record": LAMP}))),
        ("query_audit_log", json!({"by": "token:test"})),
        ("query_audit_log", json!({"about": DESK})),
        ("wait_for_changes", json!({"base": "Shop", "timeout_seconds": 0, "since": "1"})),
        ("wait_for_changes", goods(json!({"timeout_seconds": 0, "since": "1", "filter": "{Name} != ''"}))),
        ("list_members", json!({})),
        ("invite_member", json!({"email": "ann@example.com", "role": "reader"})),
        ("create_token", json!({"name": "another"})),
        ("connect_airtable", json!({})),
        ("revoke_token", json!({"token": "another"})),
        ("get_plan", json!({"plan": "plnNever000000000"})),
        ("apply_plan", json!({"plan": "plnNever000000000"})),
        ("assess_formula_impact", goods(json!({"field": "Stock", "change": "delete"}))),
        ("assess_formula_impact", goods(json!({"field": "Price", "change": "delete"}))),
        ("explain_formula", goods(json!({"field": "Worth"}))),
        ("undo_changes", json!({"base": "Shop", "changes": [2]})),
        ("undo_changes", json!({"base": "Shop", "since": "2020-01-01T00:00:00Z"})),
        ("delete_records", goods(json!({"records": [DESK]}))),
        ("delete_records", goods(json!({"records": [NEVER]}))),
        (
            "upload_attachment",
            goods(json!({"record": DESK, "field": "Files", "text": "x", "filename": "a.txt"})),
        ),
        ("add_comment", goods(json!({"record": DESK, "text": "hello"}))),
        (
            "create_base",
            json!({"name": "Other", "tables": [{"name": "T", "fields": [{"name": "N", "type": "singleLineText"}]}]}),
        ),
        (
            "create_table",
            json!({"base": "Shop", "name": "Goods", "fields": [{"name": "N", "type": "singleLineText"}]}),
        ),
        ("update_table", goods(json!({"name": "Makers"}))),
        ("create_field", goods(json!({"field": {"name": "Price", "type": "number"}}))),
        ("update_field", goods(json!({"field": "Price", "name": "Cost"}))),
        ("delete_field", goods(json!({"field": "Price", "force": true}))),
        ("delete_table", goods(json!({"confirm": "Goods"}))),
        ("delete_base", json!({"base": "Shop", "confirm": "Shop"})),
        ("create_view", goods(json!({"name": "V", "filter": "{Price} > 1"}))),
        ("update_view", goods(json!({"view": "By price", "name": "W"}))),
        ("delete_view", goods(json!({"view": "By price"}))),
    ];
    for format in ["tsv", "json"] {
        calls.push(("list_records", goods(json!({"format": format}))));
        calls.push(("list_records", json!({"base": "Shop", "table": "Makers", "format": format})));
        for word in ["Zeppelin", "Desk", "424242", "777001", "313131", "same", "Lamp"] {
            calls.push(("search_records", json!({"base": "Shop", "query": word, "format": format})));
        }
    }
    for field in ["Price", "Prise", "Stock", "Notes", "Worth", "Name", "Changed", "Number", "Maker"] {
        calls.push(("list_records", goods(json!({"sort": [{"field": field, "direction": "desc"}]}))));
        calls.push(("list_records", goods(json!({"fields": [field]}))));
        calls.push(("explain_access", goods(json!({"verb": "read", "field": field}))));
        calls.push(("explain_access", goods(json!({"verb": "update", "field": field}))));
        calls.push(("list_records", goods(json!({"filter": {"field": field, "op": ">", "value": 5}}))));
        for formula in [format!("{{{field}}} > 5"), format!("LEN({{{field}}} & '')"), format!("{{{field}}}")]
        {
            calls.push(("list_records", goods(json!({"filter": formula}))));
            calls.push(("check_formula", goods(json!({"formula": formula}))));
            calls.push(("evaluate_formula", goods(json!({"formula": formula}))));
            calls.push(("explain_formula", goods(json!({"formula": formula}))));
            calls.push((
                "wait_for_changes",
                goods(json!({"timeout_seconds": 0, "since": "1", "filter": formula})),
            ));
        }
        for record in [LAMP, DESK, SHELF, NEVER] {
            let fields = json!({field: if field == "Name" { json!("Lamp") } else { json!(1) }});
            let records = json!([{"id": record, "fields": fields}]);
            calls.push(("update_records", goods(json!({"records": records, "dry_run": true}))));
            calls.push(("update_records", goods(json!({"records": records, "typecast": true}))));
        }
        let merge = json!({"merge_on": [field], "records": [{field: "Desk"}], "dry_run": true});
        calls.push(("upsert_records", goods(merge)));
    }
    for formula in ["LAST_MODIFIED_TIME()", "LAST_MODIFIED_TIME({Stock})", "COUNTALL({Tags})", "RECORD_ID()"]
    {
        calls.push(("evaluate_formula", goods(json!({"formula": formula}))));
        calls.push(("list_records", goods(json!({"filter": format!("{formula} != ''")}))));
    }
    for name in ["Desk", "Zeppelin", "Lamp", "Nobody", DESK, SHELF, NEVER] {
        let records = json!([{"id": "recBolt0000000000", "fields": {"Goods": [name]}}]);
        calls.push((
            "update_records",
            json!({"base": "Shop", "table": "Makers", "records": records, "typecast": true}),
        ));
        calls.push(("create_records", goods(json!({"records": [{"Name": name}], "dry_run": true}))));
        calls.push((
            "upsert_records",
            goods(
                json!({"merge_on": ["Name"], "records": [{"Name": name, "Colour": "red"}], "dry_run": true}),
            ),
        ));
    }
    calls.push(("create_records", goods(json!({"records": [{"Name": "Made", "Colour": "blue"}]}))));
    calls.push(("create_records", goods(json!({"records": [{"Name": "Made", "Colour": "red"}]}))));
    calls.push(("list_records", goods(json!({}))));
    calls
}

/// Words with what is random or a moment of today taken out.
fn plain(text: &str) -> String {
    let known = |word: &str| {
        let fixture = word.ends_with("0000000");
        let kinds = [
            "rec", "cal", "pln", "sel", "att", "com", "tok", "inv", "usr", "app", "tbl", "fld", "viw", "itr",
        ];
        word.len() != 17 || fixture || !kinds.iter().any(|kind| word.starts_with(kind))
    };
    let mut out = String::new();
    let mut word = String::new();
    let flush = |word: &mut String, out: &mut String| {
        let is_moment =
            word.len() >= 19 && word.starts_with("202") && word.contains('T') && !word.starts_with("2026-0");
        let session = word.len() >= 14
            && word.bytes().any(|b| b.is_ascii_digit())
            && word.bytes().any(|b| b.is_ascii_uppercase());
        match (is_moment, known(word)) {
            (true, _) => out.push('T'),
            (_, false) => out.push_str(&word[..3]),
            _ if word.starts_with("untrusted-data-") => out.push_str("fence"),
            _ if session && !word.ends_with("0000000") => out.push('*'),
            _ => out.push_str(word),
        }
        word.clear();
    };
    let mut signs = text.chars();
    while let Some(sign) = signs.next() {
        if sign.is_ascii_alphanumeric() || "-:.".contains(sign) {
            word.push(sign);
        } else {
            flush(&mut word, &mut out);
            out.push(sign);
            // The letter of an escape belongs to no word.
            out.extend((sign == '\\').then(|| signs.next()).flatten());
        }
    }
    flush(&mut word, &mut out);
    out
}

/// Leaves out numbers of lines and how long they took.
fn without_times(mut answer: Value) -> Value {
    match &mut answer {
        Value::Object(map) => {
            map.remove("microseconds");
            map.values_mut().for_each(|value| *value = without_times(value.take()));
        }
        Value::Array(items) => items.iter_mut().for_each(|value| *value = without_times(value.take())),
        _ => {}
    }
    answer
}

/// All that somebody can ask over MCP, and what they are told.
fn over_mcp(client: &mut Client) -> Vec<(String, String)> {
    let mut told = Vec::new();
    for (tool, arguments) in calls() {
        let mut answer = without_times(client.call(tool, arguments.clone()));
        if answer["structuredContent"].is_object() && tool == "query_audit_log" {
            answer.as_object_mut().unwrap().remove("content");
        }
        told.push((format!("{tool} {arguments}"), plain(&answer.to_string())));
    }
    let uri = |rest: &str| format!("airtable://{BASE}/{rest}");
    let table = "tblGoods000000000";
    let mut asked: Vec<(&str, Value)> = vec![
        ("resources/list", json!({})),
        ("resources/templates/list", json!({})),
        ("prompts/list", json!({})),
        ("tools/list", json!({})),
    ];
    for rest in [
        "schema".into(),
        format!("{table}/schema"),
        format!("{table}/{LAMP}"),
        format!("{table}/{DESK}"),
        format!("{table}/{SHELF}"),
        format!("{table}/{NEVER}"),
    ] {
        asked.push(("resources/read", json!({"uri": uri(&rest)})));
        asked.push(("resources/subscribe", json!({"uri": uri(&rest)})));
    }
    for (method, params) in asked {
        let answer = client.request(method, params.clone());
        told.push((
            format!("{method} {params}"),
            plain(&json!([answer["result"], answer["error"]]).to_string()),
        ));
    }
    let templates = client.request("resources/templates/list", json!({}));
    for template in templates["result"]["resourceTemplates"].as_array().unwrap() {
        let uri = template["uriTemplate"].as_str().unwrap();
        for part in uri.split('{').skip(1) {
            let name = part.split('}').next().unwrap();
            for value in ["", "P", "D", "Z", "rec", "tbl"] {
                let params = json!({"ref": {"type": "ref/resource", "uri": uri},
                    "argument": {"name": name, "value": value},
                    "context": {"arguments": {"base": BASE, "table": table}}});
                let answer = client.request("completion/complete", params.clone());
                told.push((
                    format!("complete {params}"),
                    plain(&json!([answer["result"], answer["error"]]).to_string()),
                ));
            }
        }
    }
    told
}

/// All that can be asked of `/v0`, and what is told.
fn over_http(address: &str, token: &str) -> Vec<(String, String)> {
    let bearer = format!("Bearer {token}");
    let headers = [("Authorization", bearer.as_str()), ("Content-Type", "application/json")];
    let mut asked: Vec<(&str, String, Value)> = Vec::new();
    let mut get = |path: String| asked.push(("GET", path, Value::Null));
    get("/v0/meta/bases".into());
    get(format!("/v0/meta/bases/{BASE}/tables"));
    get(format!("/v0/bases/{BASE}/webhooks"));
    for query in [
        "",
        "?pageSize=1",
        "?cellFormat=string&timeZone=UTC&userLocale=en",
        "?returnFieldsByFieldId=true",
        "?view=Grid%20view",
        "?view=By%20price",
        "?maxRecords=2",
        "?recordMetadata%5B%5D=commentCount",
    ] {
        get(format!("/v0/{BASE}/Goods{query}"));
        get(format!("/v0/{BASE}/Makers{query}"));
    }
    for field in ["Price", "Stock", "Notes", "Worth", "Name", "Changed", "fldGPrice00000000"] {
        get(format!("/v0/{BASE}/Goods?sort%5B0%5D%5Bfield%5D={field}"));
        get(format!("/v0/{BASE}/Goods?fields%5B%5D={field}"));
        get(format!("/v0/{BASE}/Goods?filterByFormula=%7B{field}%7D%3E5"));
    }
    for record in [LAMP, DESK, SHELF, NEVER] {
        get(format!("/v0/{BASE}/Goods/{record}"));
        get(format!("/v0/{BASE}/Goods/{record}/comments"));
    }
    for record in [DESK, SHELF, NEVER] {
        let path = format!("/v0/{BASE}/Goods/{record}");
        for cells in [json!({"Name": "x"}), json!({"Price": 1}), json!({"Stock": 1})] {
            asked.push(("PATCH", path.clone(), json!({"fields": cells})));
            asked.push(("PUT", path.clone(), json!({"fields": cells})));
        }
        asked.push(("DELETE", path.clone(), Value::Null));
        asked.push(("POST", format!("{path}/comments"), json!({"text": "hello"})));
        asked.push((
            "PATCH",
            format!("/v0/{BASE}/Makers/recBolt0000000000"),
            json!({"fields": {"Goods": [record]}}),
        ));
    }
    asked.push(("POST", format!("/v0/{BASE}/Goods"), json!({"fields": {"Name": "New", "Colour": "red"}})));
    asked.push(("PUT", format!("/v0/{BASE}/Goods/{LAMP}"), json!({"fields": {"Name": "Lamp"}})));
    asked.push(("PATCH", format!("/v0/{BASE}/Goods"), json!({"performUpsert": {"fieldsToMergeOn": ["Name"]}, "records": [{"fields": {"Name": "Zeppelin", "Colour": "red"}}]})));
    asked.push((
        "POST",
        format!("/v0/bases/{BASE}/webhooks"),
        json!({"specification": {"options": {"filters": {"dataTypes": ["tableData"]}}}}),
    ));
    asked.push((
        "POST",
        format!("/v0/meta/bases/{BASE}/tables/tblGoods000000000/fields"),
        json!({"name": "Price", "type": "singleLineText"}),
    ));
    let mut told = Vec::new();
    for (method, path, body) in asked {
        let bytes = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        let answer = http(address, method, &path, &headers, &bytes);
        told.push((format!("{method} {path} {body}"), plain(&format!("{} {}", answer.status, answer.body))));
    }
    told
}

fn compare(one: Vec<(String, String)>, other: Vec<(String, String)>) {
    let mut wrong = Vec::new();
    for ((asked, one), (_, other)) in one.iter().zip(&other) {
        if one != other {
            wrong.push(format!("{asked}\n  one:   {one}\n  other: {other}"));
        }
        // What was asked may be said again; tools are described with examples.
        for secret in
            SECRETS.iter().filter(|secret| !asked.contains(**secret) && !asked.starts_with("tools/list"))
        {
            if other.contains(secret) || one.contains(secret) {
                wrong.push(format!("{asked}\n  tells {secret}: {other}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {} answers:\n{}", wrong.len(), one.len(), wrong.join("\n"));
}

#[test]
fn two_worlds_that_differ_in_what_is_hidden_answer_alike() {
    let mut told = Vec::new();
    for other in [false, true] {
        let data = world(other);
        {
            let server = serve_http(&data, &["--allow-write", "--allow-delete"]);
            hidden_changes(other, &server.address, &server.token);
        }
        apply(&data, &POLICY.replace(", \"token:reader\"", ""));
        let mut client = data.serve(&FLAGS).initialize();
        let tools: HashSet<String> = client.tools().into_iter().collect();
        let called: HashSet<String> = calls().iter().map(|(tool, _)| (*tool).to_owned()).collect();
        assert_eq!(called, tools, "a tool without a case");
        told.push(over_mcp(&mut client));
    }
    let (other, one) = (told.pop().unwrap(), told.pop().unwrap());
    compare(one, other);
}

#[test]
fn two_worlds_answer_alike_over_the_web_api() {
    let mut told = Vec::new();
    for other in [false, true] {
        let data = world(other);
        let server = serve_http(&data, &["--allow-write", "--allow-delete", "--allow-schema"]);
        hidden_changes(other, &server.address, &server.token);
        let scopes = "data.records:read,data.records:write,data.recordComments:read,data.recordComments:write,schema.bases:read,schema.bases:write,webhook:manage";
        let token = data.ok(&["token", "create", "--name", "reader", "--scopes", scopes]).trim().to_owned();
        apply(&data, POLICY);
        told.push(over_http(&server.address, &token));
    }
    let (other, one) = (told.pop().unwrap(), told.pop().unwrap());
    compare(one, other);
}

#[test]
fn what_other_workspaces_hold_makes_no_difference() {
    let mut told = Vec::new();
    for other in [false, true] {
        let office = Office::open();
        let token = office.service("asker", "owner");
        let beside = office.data.ok(&[
            "token",
            "create",
            "--name",
            "beside",
            "--scopes",
            "data.records:read,data.records:write,schema.bases:read",
        ]);
        let ledger = "/v0/appOther000000000/Goods";
        for name in ["Zeppelin", "424242"] {
            // Changes are numbered over all bases: as many in either world.
            let (method, path, cells) = match other {
                true => ("POST", ledger.to_owned(), json!({"fields": {"Name": name, "Stock": 777_001}})),
                false => ("PATCH", format!("{ledger}/{LAMP}"), json!({"fields": {"Stock": name.len() + 7}})),
            };
            let made = office.send(beside.trim(), method, &path, &cells);
            assert_eq!(made.status, 200, "{}", made.body);
        }
        if other {
            office.data.ok(&["member", "service", "Zeppelin", "--role", "owner"]);
            office.data.ok(&["workspace", "create", "Zeppelin"]);
        }
        let mut answers = over_http(&office.address, &token);
        // The secret of a webhook is another one each time.
        answers.retain(|(asked, _)| !asked.starts_with("POST /v0/bases"));
        for base in ["Ledger", "appOther000000000"] {
            for (tool, arguments) in calls() {
                let asked: Value =
                    serde_json::from_str(&arguments.to_string().replace("\"Shop\"", &format!("{base:?}")))
                        .unwrap();
                let answer = without_times(office.tool(&token, tool, &asked));
                let answer = answer.to_string().replace(office.address.rsplit(':').next().unwrap(), "PORT");
                answers.push((format!("{tool} {asked}"), plain(&answer)));
            }
        }
        told.push(answers);
    }
    let (other, one) = (told.pop().unwrap(), told.pop().unwrap());
    for ((asked, one), (_, other)) in one.iter().zip(&other) {
        assert_eq!(one, other, "{asked}");
        for word in ["Ledger", "appOther"] {
            let told = one.contains(word) && !asked.contains(word);
            assert!(!told, "{asked} tells of what is elsewhere: {one}");
        }
    }
}
