//! The time zone and the language of a member.

use serde_json::{Value, json};

use super::{Office, SHOP, fails};

#[test]
fn times_are_shown_and_read_in_the_zone_of_whoever_looks() {
    let office = Office::open();
    let (here, utc) = (office.service("berlin", "creator"), office.service("nowhere", "creator"));
    office.data.ok(&["member", "set", "berlin", "--time-zone", "Europe/Berlin", "--locale", "de"]);
    let format = |name: &str, format: &str| json!({"name": name, "format": format});
    let options = json!({
        "dateFormat": format("local", "l"), "timeFormat": format("24hour", "HH:mm"), "timeZone": "client"
    });
    for (name, zone) in [("Due", "client"), ("Fixed", "utc")] {
        let mut options = options.clone();
        options["timeZone"] = json!(zone);
        let field = json!({"name": name, "type": "dateTime", "options": options});
        let path = format!("/v0/meta/bases/{SHOP}/tables/tblGoods000000000/fields");
        let made = office.send(&here, "POST", &path, &field);
        assert_eq!(made.status, 200, "{}", made.body);
    }
    let goods = |more: Value| {
        let mut asked = json!({"base": "Shop", "table": "Goods"});
        asked.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        asked
    };
    let fields = json!({"Due": "2026-07-01T08:30:00", "Fixed": "2026-07-01T08:30:00"});
    let records = json!([{"id": "recLamp0000000000", "fields": fields}]);
    office.done(&here, "update_records", &goods(json!({"records": records})));
    let stored = |token: &str| {
        let answer = office.get(token, &format!("/v0/{SHOP}/Goods/recLamp0000000000"));
        let record: Value = serde_json::from_str(&answer.body).unwrap();
        (record["fields"]["Due"].clone(), record["fields"]["Fixed"].clone())
    };
    let expected = (json!("2026-07-01T06:30:00.000Z"), json!("2026-07-01T08:30:00.000Z"));
    assert_eq!(stored(&here), expected, "summer time in Berlin is two hours ahead");
    let asked = goods(json!({"records": ["recLamp0000000000"], "fields": ["Due", "Fixed"]}));
    let shown = |token: &str| office.tool(token, "get_records", &asked)["content"][0]["text"].to_string();
    assert!(shown(&here).contains("2026-07-01T08:30:00+02:00\\t2026-07-01T08:30:00Z"), "{}", shown(&here));
    assert!(shown(&utc).contains("2026-07-01T06:30:00Z\\t2026-07-01T08:30:00Z"), "{}", shown(&utc));
    // What has an offset means what it says; what is shown can be written back.
    let records = json!([{"id": "recLamp0000000000", "fields": {"Due": "2026-07-01T08:30:00+02:00"}}]);
    office.done(&here, "update_records", &goods(json!({"records": records})));
    assert_eq!(stored(&here), expected);
    // The form for people over /v0.
    let path = format!("/v0/{SHOP}/Goods/recLamp0000000000?cellFormat=string");
    let text = office.get(&here, &path);
    assert!(text.body.contains("\"Due\":\"1.7.2026 08:30\""), "{}", text.body);
    let asked = office.get(&here, &format!("{path}&timeZone=utc&userLocale=en-gb"));
    assert!(asked.body.contains("06:30"), "{}", asked.body);
    assert_eq!(office.get(&utc, &path).status, 422, "nobody has said where they are");
    // Moments that are asked for.
    let none = office.done(&here, "list_changes", &json!({"base": "Shop", "since": "2999-01-01 08:00"}));
    assert_eq!(none["changes"], json!([]), "{none}");
    let told = office.refused(&utc, "list_changes", &json!({"base": "Shop", "since": "2999-01-01 08:00"}));
    assert!(told.contains("is no moment"), "{told}");
}

#[test]
fn zones_and_languages_that_are_none_are_refused() {
    let office = Office::open();
    office.service("bot", "reader");
    for (flag, value, told) in
        [("--time-zone", "Mars/Base", "no time zone"), ("--locale", "Deutsch!", "no locale")]
    {
        let said = fails(&office.data, &["member", "set", "bot", flag, value]);
        assert!(said.contains(told), "{said}");
    }
    office.data.ok(&["member", "set", "bot", "--time-zone", "Asia/Kolkata"]);
    assert!(office.data.ok(&["member", "list"]).contains("Asia/Kolkata"));
    office.data.ok(&["member", "set", "bot", "--time-zone", ""]);
    assert!(!office.data.ok(&["member", "list"]).contains("Asia/Kolkata"));
}
