//! `cellFormat=string`.

use serde_json::json;

use super::{LAMP, Rest, parts, path};

#[test]
fn cells_are_texts_in_zone_and_language() {
    let rest = Rest::open();
    let query = "cellFormat=string&timeZone=Europe%2FBerlin&userLocale=de";
    let lamp = rest.get(&path(&format!("/{LAMP}?{query}")))["fields"].clone();
    assert_eq!(lamp["Price"], "$40.00");
    assert_eq!(lamp["Stock"], "3");
    assert_eq!(lamp["Tags"], "new, sale");
    assert_eq!(lamp["Maker"], "Acme");
    assert_eq!(lamp["Since"], "2026-01-05");
    assert_eq!(lamp["Checked"], "2026-02-01 10:30", "the field is in UTC");
    assert_eq!(lamp["Listed"], "checked");
    assert_eq!(lamp["Stars"], "4");
    assert_eq!(lamp["Worth"], "120.00");
    let fields = "/v0/meta/bases/appShop0000000000/tables/Goods/fields";
    rest.ok("POST", fields, json!({"name": "At", "type": "dateTime", "options": {"timeZone": "client", "dateFormat": {"name": "friendly"}, "timeFormat": {"name": "24hour"}}}));
    rest.ok("POST", fields, json!({"name": "Share", "type": "percent", "options": {"precision": 1}}));
    rest.ok(
        "POST",
        fields,
        json!({"name": "Time", "type": "duration", "options": {"durationFormat": "h:mm:ss"}}),
    );
    let cells = json!({"fields": {"At": "2026-03-01T08:15:00.000Z", "Share": 0.123, "Time": 3_661, "Price": 1_234_567.5}});
    rest.ok("PATCH", &path(&format!("/{LAMP}")), cells);
    let body = json!({"cellFormat": "string", "fields": ["At", "Share", "Time", "Price"], "maxRecords": 1});
    let list = rest.ok("POST", &path("/listRecords?timeZone=Europe%2FBerlin&userLocale=de"), body);
    let wanted =
        json!({"At": "1. März 2026 09:15", "Share": "12.3%", "Time": "1:01:01", "Price": "$1,234,567.50"});
    assert_eq!(list["records"][0]["fields"], wanted);
}

#[test]
fn made_up_texts_are_their_text() {
    let rest = Rest::workshop();
    let part = |n: &str| rest.get(&parts(&format!("/{n}?cellFormat=string&timeZone=utc&userLocale=en")));
    assert_eq!(part("recPart0100000000")["fields"]["Summary"], "A part");
}

#[test]
fn every_zone_of_the_iana_database_is_known() {
    let rest = Rest::open();
    let fields = "/v0/meta/bases/appShop0000000000/tables/Goods/fields";
    let format = |zone: &str| json!({"timeZone": zone, "dateFormat": {"name": "iso"}, "timeFormat": {"name": "24hour"}});
    for (name, zone) in [("Here", "client"), ("There", "US/Pacific")] {
        rest.ok("POST", fields, json!({"name": name, "type": "dateTime", "options": format(zone)}));
    }
    let at = "2026-07-01T08:15:00.000Z";
    rest.ok("PATCH", &path(&format!("/{LAMP}")), json!({"fields": {"Here": at, "There": at}}));
    for (zone, here) in [
        ("Europe%2FKyiv", "2026-07-01 11:15"),
        ("Asia%2FCalcutta", "2026-07-01 13:45"),
        ("Etc%2FGMT%2B5", "2026-07-01 03:15"),
    ] {
        let query = format!("/{LAMP}?cellFormat=string&timeZone={zone}&userLocale=en");
        let fields = rest.get(&path(&query))["fields"].clone();
        assert_eq!((&fields["Here"], &fields["There"]), (&json!(here), &json!("2026-07-01 01:15")), "{zone}");
    }
    assert_eq!(rest.refused("GET", &path("?timeZone=Mars%2FOlympus")).1, "INVALID_REQUEST_UNKNOWN");
}
