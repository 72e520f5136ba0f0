//! Metadata: who is asking, bases, tables, fields.

use serde_json::{Value, json};

use super::{BASE, GOODS, LAMP, Rest, path};
use crate::support::Data;

fn tables(rest: &str) -> String {
    format!("/v0/meta/bases/{BASE}/tables{rest}")
}

#[test]
fn who_am_i_needs_no_scope_and_shows_the_address_with_one() {
    let rest = Rest::new(&[]);
    let who = rest.get("/v0/meta/whoami/?");
    assert!(who["id"].as_str().unwrap().starts_with("usr") && who["email"].is_string(), "{who}");
    let least = rest.with_scopes("least", "data.records:read");
    let who = least.get("/v0/meta/whoami");
    assert_eq!(who.as_object().unwrap().len(), 1, "{who}");
}

#[test]
fn bases_say_what_the_caller_may_do() {
    let rest = Rest::new(&[]);
    let list = rest.get("/v0/meta/bases");
    assert_eq!(list, json!({"bases": [{"id": BASE, "name": "Shop", "permissionLevel": "read"}]}));
    assert_eq!(rest.get("/v0/meta/bases?offset=")["bases"].as_array().unwrap().len(), 1);
    assert_eq!(rest.refused("GET", "/v0/meta/bases?offset=x").1, "INVALID_OFFSET_VALUE");
    let one = rest
        .get(&format!("/v0/meta/bases/{BASE}?include=collaborators&include=inviteLinks&include=interfaces"));
    assert_eq!((&one["name"], &one["interfaces"]), (&json!("Shop"), &json!({})));
    assert!(one["createdTime"].as_str().unwrap().ends_with('Z'), "{one}");
    assert!(one["workspaceId"].as_str().unwrap().starts_with("wsp"), "{one}");
    let open = Rest::open();
    assert_eq!(open.get("/v0/meta/bases")["bases"][0]["permissionLevel"], "create");
    let editor = open.with_scopes("editor", "schema.bases:read,data.records:write");
    assert_eq!(editor.get("/v0/meta/bases")["bases"][0]["permissionLevel"], "edit");
    let blind = editor.with_scopes("blind", "data.records:read");
    assert_eq!(blind.refused("GET", "/v0/meta/bases").0, 403);
}

#[test]
fn tables_show_their_fields_and_views() {
    let rest = Rest::new(&[]);
    let plain = rest.get(&tables(""));
    let goods = &plain["tables"][0];
    assert_eq!((&goods["id"], &goods["name"]), (&json!(GOODS), &json!("Goods")));
    assert_eq!(goods["description"], "What is for sale");
    assert!(plain["tables"][1].get("description").is_none());
    assert_eq!(goods["fields"][1]["options"], json!({"precision": 2, "symbol": "$"}));
    assert_eq!(goods["views"][0], json!({"id": "viwGrid0000000000", "name": "Grid view", "type": "grid"}));
    for include in ["include=visibleFieldIds", "include[]=visibleFieldIds", "include%5B%5D=visibleFieldIds"] {
        let with = rest.get(&tables(&format!("?{include}")));
        let views = &with["tables"][0]["views"];
        let all = goods["fields"].as_array().unwrap().len();
        assert_eq!(views[0]["visibleFieldIds"].as_array().unwrap().len(), all, "{include}");
        assert_eq!(views[1]["visibleFieldIds"], json!(["fldGName000000000", "fldGPrice00000000"]));
    }
    assert_eq!(rest.refused("GET", &tables("?include=colour")).1, "INVALID_REQUEST_UNKNOWN");
    let view = format!("/v0/meta/bases/{BASE}/views/viwCheap000000000");
    assert_eq!(rest.get(&view)["name"], "By price");
    assert_eq!(rest.get(&format!("/v0/meta/bases/{BASE}/views"))["views"].as_array().unwrap().len(), 3);
}

#[test]
fn bases_tables_and_fields_are_made_and_changed() {
    let rest = Rest::open();
    let workspace = rest.get(&format!("/v0/meta/bases/{BASE}"))["workspaceId"].clone();
    let nowhere = json!({"name": "New", "workspaceId": "wspA1b2C3d4E5f6G7", "tables": [{"name": "T", "fields": [{"name": "Name", "type": "singleLineText"}]}]});
    let (status, _, told) = rest.refused_with("POST", "/v0/meta/bases", nowhere);
    assert!(status == 422 && told.contains("there is no workspace"), "{status} {told}");
    let made = rest.ok("POST", "/v0/meta/bases", json!({"name": "New", "workspaceId": workspace, "tables": [
        {"name": "T", "description": "first", "fields": [{"name": "Name", "type": "singleLineText"}, {"name": "Done", "type": "checkbox", "options": {"icon": "check", "color": "greenBright"}}]}]}));
    let base = made["id"].as_str().unwrap();
    assert_eq!(made["tables"][0]["fields"][1]["name"], "Done");
    assert_eq!(made["tables"][0]["primaryFieldId"], made["tables"][0]["fields"][0]["id"]);
    assert_eq!(made["tables"][0]["views"][0]["type"], "grid");
    rest.ok("POST", &format!("/v0/{base}/T"), json!({"fields": {"Name": "a", "Done": true}}));
    let table = rest.ok(
        "POST",
        &tables(""),
        json!({"name": "Orders", "fields": [{"name": "No", "type": "number", "options": {"precision": 0}}]}),
    );
    let id = table["id"].as_str().unwrap();
    let renamed =
        rest.ok("PATCH", &tables("/Orders"), json!({"name": "Sales", "description": "all of them"}));
    assert_eq!(
        (&renamed["id"], &renamed["name"], &renamed["description"]),
        (&json!(id), &json!("Sales"), &json!("all of them"))
    );
    let link = json!({"name": "Good", "type": "multipleRecordLinks", "options": {"linkedTableId": GOODS}});
    let field = rest.ok("POST", &tables("/Sales/fields"), link);
    assert_eq!(field["options"]["linkedTableId"], GOODS);
    let inverse = field["options"]["inverseLinkFieldId"].as_str().unwrap();
    let list = rest.get(&tables(""));
    assert!(list["tables"][0]["fields"].to_string().contains(inverse));
    rest.ok("POST", &format!("/v0/{BASE}/Sales"), json!({"fields": {"No": 1, "Good": [LAMP]}}));
    let field_path = tables(&format!("/{id}/fields/{}", field["id"].as_str().unwrap()));
    let changed = rest.ok("PATCH", &field_path, json!({"name": "Sold"}));
    assert_eq!(changed["name"], "Sold");
    let formula = tables("/Goods/fields/fldGWorth00000000");
    let changed = rest.ok("PATCH", &formula, json!({"options": {"formula": "{Price} * 2"}}));
    assert_eq!(changed["options"]["formula"], "{fldGPrice00000000} * 2", "{changed}");
    assert_eq!(rest.get(&path(&format!("/{LAMP}")))["fields"]["Worth"], 80);
    let (status, gone) = rest.send("DELETE", &format!("/v0/meta/bases/{base}"), None);
    assert_eq!((status, &gone["deleted"]), (200, &json!(true)));
}

#[test]
fn options_that_a_file_leaves_out_are_filled_in() {
    let data = Data::new();
    let field = |id: &str, name: &str, kind: &str, options: Value| json!({"id": id, "name": name, "type": kind, "options": options});
    let base = json!({
        "base": {"id": "appPlain000000000", "name": "Plain"},
        "tables": [{"id": "tblPlain000000000", "name": "T", "primaryFieldId": "fldName0000000000", "fields": [
            {"id": "fldName0000000000", "name": "Name", "type": "singleLineText"},
            {"id": "fldPrice000000000", "name": "Price", "type": "currency"},
            {"id": "fldDay00000000000", "name": "Day", "type": "date"},
            field("fldSelf0000000000", "Self", "multipleRecordLinks", json!({"linkedTableId": "tblPlain000000000"})),
            field("fldTwice000000000", "Twice", "formula", json!({"formula": "{Price} + {Price} & Name"})),
            {"id": "fldEdited00000000", "name": "Edited", "type": "lastModifiedTime"},
            {"id": "fldMade0000000000", "name": "Made", "type": "createdTime"},
            {"id": "fldNumber00000000", "name": "Number", "type": "autoNumber"},
        ]}],
        "records": {"T": [{"fields": {"Name": "a", "Number": 4}}, {"fields": {"Name": "b"}}]},
    });
    let file = data.path().join("plain.json");
    std::fs::write(&file, base.to_string()).unwrap();
    data.import(&file);
    let rest = Rest::over(data, &["--allow-write", "--allow-schema"]);
    let tables = "/v0/meta/bases/appPlain000000000/tables";
    let fields = rest.get(tables)["tables"][0]["fields"].clone();
    let options = |at: usize| fields[at]["options"].clone();
    assert!(fields[0].get("options").is_none(), "{}", fields[0]);
    assert_eq!(options(1), json!({"precision": 2, "symbol": "$"}));
    assert_eq!(options(2), json!({"dateFormat": {"name": "iso", "format": "YYYY-MM-DD"}}));
    let link =
        json!({"linkedTableId": "tblPlain000000000", "isReversed": false, "prefersSingleRecordLink": false});
    assert_eq!(options(3), link);
    assert_eq!(options(4)["referencedFieldIds"], json!(["fldPrice000000000", "fldName0000000000"]));
    assert_eq!((&options(5)["isValid"], &options(5)["referencedFieldIds"]), (&json!(true), &json!([])));
    let changed = json!({"options": {"formula": "UPPER(Name)"}});
    let changed = rest.ok("PATCH", &format!("{tables}/T/fields/fldTwice000000000"), changed);
    assert_eq!(changed["options"]["referencedFieldIds"], json!(["fldName0000000000"]));
    let list = rest.get("/v0/appPlain000000000/T");
    let numbers: Vec<&Value> =
        list["records"].as_array().unwrap().iter().map(|r| &r["fields"]["Number"]).collect();
    assert_eq!(numbers, [4, 5]);
    let first = &list["records"][0];
    assert_eq!(first["fields"]["Made"], first["createdTime"]);
}

#[test]
fn what_the_web_api_does_not_make_or_delete_is_refused() {
    let rest = Rest::open();
    for kind in [
        "formula",
        "rollup",
        "multipleLookupValues",
        "count",
        "createdTime",
        "createdBy",
        "lastModifiedTime",
        "lastModifiedBy",
        "autoNumber",
        "button",
        "aiText",
    ] {
        let refused = rest.refused_with(
            "POST",
            &tables("/tblGoods000000000/fields"),
            json!({"name": "X", "type": kind}),
        );
        let message =
            format!("Invalid options for Goods.X: Creating {kind} fields is not supported at this time");
        assert_eq!(refused, (422, "UNSUPPORTED_FIELD_TYPE_FOR_CREATE".into(), message));
    }
    let twin = rest.refused_with("POST", &tables("/Goods/fields"), json!({"name": "price", "type": "url"}));
    assert_eq!((twin.0, twin.1.as_str()), (422, "DUPLICATE_OR_EMPTY_FIELD_NAME"));
    let empty = rest.refused_with("POST", &tables("/Goods/fields"), json!({"name": " ", "type": "url"}));
    assert_eq!((empty.0, empty.1.as_str()), (422, "DUPLICATE_OR_EMPTY_FIELD_NAME"));
    let fields = json!([{"name": "N", "type": "url"}]);
    let twin = rest.refused_with("POST", &tables(""), json!({"name": "goods", "fields": fields}));
    assert_eq!((twin.0, twin.1.as_str()), (422, "DUPLICATE_TABLE_NAME"));
    let zone = json!({"name": "At", "type": "dateTime", "options": {"timeZone": "UTC", "dateFormat": {"name": "iso"}, "timeFormat": {"name": "24hour"}}});
    let zone = rest.refused_with("POST", &tables("/Goods/fields"), zone);
    assert!(zone.0 == 422 && zone.2.contains("Invalid timezone \"UTC\""), "{zone:?}");
    for bad in [
        json!({}),
        json!({"name": "X"}),
        json!({"name": "X", "type": "hologram2"}),
        json!({"name": "X", "type": "url", "colour": 1}),
        json!({"name": 1, "type": "url"}),
    ] {
        assert_eq!(rest.refused_with("POST", &tables("/Goods/fields"), bad.clone()).0, 422, "{bad}");
    }
    for bad in [json!({}), json!({"type": "url"}), json!({"name": 1}), json!({"options": 1})] {
        assert_eq!(
            rest.refused_with("PATCH", &tables("/Goods/fields/fldGName000000000"), bad.clone()).0,
            422,
            "{bad}"
        );
    }
    for bad in
        [json!({}), json!({"name": "X", "fields": []}), json!({"name": "X"}), json!({"fields": fields})]
    {
        assert_eq!(rest.refused_with("POST", &tables(""), bad.clone()).0, 422, "{bad}");
    }
    for path in [tables("/Goods"), tables("/Goods/fields/fldGName000000000")] {
        assert_eq!(rest.refused("DELETE", &path), (404, "NOT_FOUND".into(), String::new()), "{path}");
    }
    let list: Value = rest.get(&tables(""));
    assert_eq!(list["tables"].as_array().unwrap().len(), 2, "nothing was made");
}
