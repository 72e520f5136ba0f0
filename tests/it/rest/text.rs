//! `cellFormat=string`.

use serde_json::json;

use super::{LAMP, Rest, path};

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
