//! What roles allow, and where.

use serde_json::json;

use super::{LAMP, Office, SHOP, fails};
use crate::policy::apply;

#[test]
fn a_role_allows_what_it_says_in_its_workspace_alone() {
    let office = Office::open();
    let field = json!({"name": "New", "type": "singleLineText"});
    let fields = format!("/v0/meta/bases/{SHOP}/tables/tblGoods000000000/fields");
    let comments = format!("{LAMP}/comments");
    for (role, level, comment, write, design) in [
        ("reader", "read", 403, 403, 403),
        ("commenter", "comment", 200, 403, 403),
        ("editor", "edit", 200, 200, 403),
        ("creator", "create", 200, 200, 200),
    ] {
        let token = office.service(role, role);
        assert_eq!(office.bases(&token), [("Shop".to_owned(), level.to_owned())], "{role}");
        assert_eq!(office.get(&token, LAMP).status, 200, "{role}");
        let text = json!({"text": "hello"});
        assert_eq!(office.send(&token, "POST", &comments, &text).status, comment, "{role}");
        assert_eq!(office.update(&token), write, "{role}");
        assert_eq!(office.send(&token, "POST", &fields, &field).status, design, "{role}");
        for path in ["/v0/appOther000000000/Goods", "/v0/meta/bases/appOther000000000/tables"] {
            let other = office.get(&token, path);
            let never = office.get(&token, &path.replace("appOther000000000", "appNever000000000"));
            assert_eq!((other.status, &other.body), (never.status, &never.body), "{role}");
        }
    }
}

#[test]
fn a_token_of_a_member_with_all_scopes_does_no_more_than_the_role() {
    let office = Office::open();
    office.data.ok(&["member", "service", "bot", "--workspace", "Sales", "--role", "reader"]);
    let scopes = "data.records:read,data.records:write,schema.bases:read,schema.bases:write,tablewright.members:manage";
    let words = ["token", "create", "--name", "all", "--for", "bot", "--scopes", scopes];
    let token = office.data.ok(&words).trim().to_owned();
    assert_eq!(office.update(&token), 403);
    assert_eq!(office.get(&token, LAMP).status, 200);
    // A right that comes or goes with a role holds with the next request.
    office.data.ok(&["member", "role", "bot", "--workspace", "Sales", "--role", "editor"]);
    assert_eq!(office.update(&token), 200);
    office.data.ok(&["member", "role", "bot", "--workspace", "Sales", "--role", "reader"]);
    assert_eq!(office.update(&token), 403);
    let records = json!([{"id": "recLamp0000000000", "fields": {"Stock": 1}}]);
    let asked = json!({"base": "Shop", "table": "Goods", "records": records});
    assert!(office.tool(&token, "update_records", &asked).is_null(), "the tool is not offered to readers");
}

#[test]
fn somebody_with_two_workspaces_has_a_role_in_each() {
    let office = Office::open();
    office.data.ok(&["member", "service", "two", "--workspace", "Sales", "--role", "reader"]);
    let scopes = "data.records:read,data.records:write,schema.bases:read,schema.bases:write";
    let words = ["token", "create", "--name", "two", "--for", "two", "--scopes", scopes];
    let token = office.data.ok(&words).trim().to_owned();
    assert_eq!(office.update(&token), 403);
    office.data.ok(&["member", "role", "two", "--role", "creator"]);
    let bases = office.bases(&token);
    let level = |name: &str| bases.iter().find(|(known, _)| known == name).map(|(_, level)| level.as_str());
    assert_eq!((level("Shop"), level("Ledger")), (Some("read"), Some("create")), "{bases:?}");
    assert_eq!(office.update(&token), 403, "a creator elsewhere is a reader here");
    let ledger = LAMP.replace(SHOP, "appOther000000000");
    assert_eq!(office.send(&token, "PATCH", &ledger, &json!({"fields": {"Stock": 5}})).status, 200);
    // A new base is made where the role allows it.
    let new = json!({"name": "New", "tables": [{"name": "T", "fields": [{"name": "N", "type": "singleLineText"}]}]});
    let made = office.send(&token, "POST", "/v0/meta/bases", &new);
    assert_eq!(made.status, 200, "{}", made.body);
    let sales = office.service("seller", "owner");
    assert!(office.bases(&sales).iter().all(|(name, _)| name != "New"));
    let mut elsewhere = new.clone();
    elsewhere["workspace"] = json!("Sales");
    let told = office.refused(&token, "create_base", &elsewhere);
    assert!(told.contains("your role in the workspace \"Sales\""), "{told}");
    let made = office.done(&sales, "create_base", &new);
    let listed = office.get(&sales, &format!("/v0/meta/bases/{}", made["id"].as_str().unwrap()));
    assert!(listed.body.contains("\"workspaceId\":\"wsp") && listed.status == 200, "{}", listed.body);
    office.data.ok(&["token", "create", "--name", "here", "--for", "two", "--workspace", "Sales"]);
    let words = ["token", "create", "--name", "here alone", "--for", "two", "--workspace", "Home"];
    let home = office.data.ok(&words).trim().to_owned();
    assert!(office.bases(&home).iter().all(|(name, _)| name != "Shop"), "a token for one workspace alone");
}

#[test]
fn policies_name_people_services_roles_and_workspaces() {
    let office = Office::open();
    let (bot, editor) = (office.service("bot", "editor"), office.service("Ed", "editor"));
    let ann = office.accept(&office.invite("Ann@Example.com", "creator"), "Ann Lee");
    apply(
        &office.data,
        r#"
version = 1
default = "allow"
[[deny]]
name = "no stock"
who = ["role:editor"]
except = ["service:ed"]
verbs = ["update"]
base = "Shop"
tables = ["Goods"]
fields = ["Stock"]
[[mask]]
who = ["person:ann@example.com", "token:bot"]
base = "Shop"
table = "Goods"
fields = ["Price"]
with = "redact"
[[deny]]
who = ["service:Ed"]
verbs = ["comment"]
workspace = "sales"
[[test]]
who = "person:ann@example.com"
verb = "update"
base = "Shop"
table = "Goods"
field = "Stock"
expect = "allow"
[[test]]
who = "service:bot"
verb = "update"
base = "Shop"
table = "Goods"
field = "Stock"
expect = "deny"
[[test]]
who = "service:bot"
verb = "read"
base = "Ledger"
expect = "deny"
"#,
    );
    assert_eq!((office.update(&bot), office.update(&editor), office.update(&ann)), (422, 200, 200));
    let masked = |token: &str| office.get(token, LAMP).body.contains("[redacted]");
    assert_eq!((masked(&bot), masked(&editor), masked(&ann)), (true, false, true));
    let comment = |token: &str| {
        office.send(token, "POST", &format!("{LAMP}/comments"), &json!({"text": "hello"})).status
    };
    assert_eq!((comment(&bot), comment(&editor)), (200, 403));
    // A workspace that is renamed is the same one.
    office.data.ok(&["workspace", "rename", "Sales", "Retail"]);
    assert_eq!((comment(&bot), comment(&editor)), (200, 403));
    let explained = office.data.ok(&["policy", "explain", "service:bot", "design", "Shop"]);
    assert!(explained.contains("the role editor in its workspace does not allow it"), "{explained}");
    let explained = office.data.ok(&["policy", "explain", "service:bot", "read", "Ledger"]);
    assert!(explained.contains("may not read") && explained.contains("workspace is another"), "{explained}");
    let told = fails(&office.data, &["policy", "explain", "person:bob@example.com", "read", "Shop"]);
    assert!(told.contains("nobody is known as"), "{told}");
    let own = office.done(&bot, "explain_access", &json!({"verb": "design", "base": "Shop"}));
    assert_eq!(own["allowed"], json!(false), "{own}");
}

#[test]
fn a_base_in_airtable_is_in_the_workspace_of_its_login_alone() {
    let office = Office::open();
    let told = fails(&office.data, &["workspace", "login", "nobody", "Sales"]);
    assert!(told.contains("nobody"), "{told}");
}

#[test]
fn who_may_comment_no_more_takes_no_comment_back() {
    let office = Office::open();
    office.data.ok(&["member", "service", "bot", "--workspace", "Sales", "--role", "editor"]);
    office.data.ok(&["member", "role", "bot", "--role", "owner"]);
    let scopes = "data.records:read,data.records:write,data.recordComments:read,data.recordComments:write,schema.bases:read";
    let words = ["token", "create", "--name", "bot", "--for", "bot", "--scopes", scopes];
    let token = office.data.ok(&words).trim().to_owned();
    let comment = json!({"base": "Shop", "table": "Goods", "record": "recLamp0000000000", "text": "hello"});
    office.done(&token, "add_comment", &comment);
    let listed = office.done(&token, "list_changes", &json!({"base": "Shop", "limit": 1}));
    let change = listed["changes"][0]["number"].clone();
    let undo = json!({"base": "Shop", "changes": [change]});
    office.data.ok(&["member", "role", "bot", "--workspace", "Sales", "--role", "reader"]);
    let told = office.refused(&token, "undo_changes", &undo);
    assert!(told.contains("you may not comment on records"), "{told}");
    office.data.ok(&["member", "role", "bot", "--workspace", "Sales", "--role", "commenter"]);
    office.done(&token, "undo_changes", &undo);
}
