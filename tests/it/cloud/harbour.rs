//! The base of these tests: shipments and the ports they go to, with computed fields on both sides.

use serde_json::{Value, json};

pub const BASE: &str = "appHarbour0000000";
pub const SHIPMENTS: &str = "tblShipments00000";
pub const PORTS: &str = "tblPorts000000000";
pub const TABLES: [&str; 2] = [SHIPMENTS, PORTS];
const PORT_COUNT: usize = 8;

/// The id of a port.
pub fn port(n: usize) -> String {
    format!("recPort{:02}00000000", n % PORT_COUNT)
}

fn choices(names: &[&str]) -> Value {
    let choices: Vec<Value> =
        names.iter().map(|name| json!({"id": format!("sel{name:0<14}"), "name": name})).collect();
    json!({ "choices": choices })
}

fn instant() -> Value {
    json!({"type": "dateTime", "options": {"dateFormat": {"name": "iso", "format": "YYYY-MM-DD"},
           "timeFormat": {"name": "24hour", "format": "HH:mm"}, "timeZone": "utc"}})
}

fn shipment_fields() -> Value {
    json!([
        {"id": "fldSKey0000000000", "name": "Key", "type": "singleLineText"},
        {"id": "fldSNote000000000", "name": "Note", "type": "singleLineText"},
        {"id": "fldSWeight0000000", "name": "Weight", "type": "number", "options": {"precision": 0}},
        {"id": "fldSPrice00000000", "name": "Price", "type": "currency", "options": {"precision": 2, "symbol": "$"}},
        {"id": "fldSStatus0000000", "name": "Status", "type": "singleSelect", "options": choices(&["new", "open", "done"])},
        {"id": "fldSTags000000000", "name": "Tags", "type": "multipleSelects", "options": choices(&["fragile", "cold", "odd"])},
        {"id": "fldSDue0000000000", "name": "Due", "type": "date", "options": {"dateFormat": {"name": "iso", "format": "YYYY-MM-DD"}}},
        {"id": "fldSUrgent0000000", "name": "Urgent", "type": "checkbox", "options": {"icon": "check", "color": "greenBright"}},
        {"id": "fldSPort000000000", "name": "Port", "type": "multipleRecordLinks",
         "options": {"linkedTableId": PORTS, "isReversed": false, "prefersSingleRecordLink": false, "inverseLinkFieldId": "fldPShipments0000"}},
        {"id": "fldSCost000000000", "name": "Cost", "type": "formula",
         "options": {"formula": "{fldSWeight0000000} * {fldSPrice00000000}", "isValid": true,
                     "referencedFieldIds": ["fldSWeight0000000", "fldSPrice00000000"],
                     "result": {"type": "number", "options": {"precision": 2}}}},
        {"id": "fldSLabel00000000", "name": "Label", "type": "formula",
         "options": {"formula": "{fldSKey0000000000} & ': ' & {fldSNote000000000}", "isValid": true,
                     "referencedFieldIds": ["fldSKey0000000000", "fldSNote000000000"], "result": {"type": "singleLineText"}}},
        {"id": "fldSPortName00000", "name": "Port name", "type": "multipleLookupValues",
         "options": {"recordLinkFieldId": "fldSPort000000000", "fieldIdInLinkedTable": "fldPName000000000",
                     "isValid": true, "result": {"type": "singleLineText"}}},
        {"id": "fldSNumber0000000", "name": "Number", "type": "autoNumber"},
        {"id": "fldSMade000000000", "name": "Made", "type": "createdTime", "options": {"result": instant()}},
        {"id": "fldSChanged000000", "name": "Changed", "type": "lastModifiedTime",
         "options": {"isValid": true, "referencedFieldIds": [], "result": instant()}},
    ])
}

fn port_fields() -> Value {
    json!([
        {"id": "fldPName000000000", "name": "Name", "type": "singleLineText"},
        {"id": "fldPShipments0000", "name": "Shipments", "type": "multipleRecordLinks",
         "options": {"linkedTableId": SHIPMENTS, "isReversed": true, "prefersSingleRecordLink": false, "inverseLinkFieldId": "fldSPort000000000"}},
        {"id": "fldPCount00000000", "name": "Count", "type": "count",
         "options": {"recordLinkFieldId": "fldPShipments0000", "isValid": true}},
        {"id": "fldPTonnage000000", "name": "Tonnage", "type": "rollup",
         "options": {"recordLinkFieldId": "fldPShipments0000", "fieldIdInLinkedTable": "fldSWeight0000000",
                     "formula": "SUM(values)", "isValid": true, "referencedFieldIds": [],
                     "result": {"type": "number", "options": {"precision": 0}}}},
    ])
}

/// The cells of a shipment, but for its key and note.
pub fn cells(n: usize) -> Value {
    let (status, tag) = (["new", "open", "done"][n % 3], ["fragile", "cold", "odd"][n % 3]);
    json!({"Weight": n % 90 + 1, "Price": (n % 37) as f64 + 0.25, "Status": status, "Tags": [tag],
           "Due": format!("2026-{:02}-{:02}", n % 12 + 1, n % 28 + 1), "Urgent": n.is_multiple_of(2),
           "Port": [port(n)]})
}

/// A shipment with this key and note, otherwise like number `n`.
pub fn shipment(key: &str, note: &str, n: usize) -> Value {
    let mut fields = json!({"Key": key, "Note": note});
    let cells = cells(n);
    fields.as_object_mut().unwrap().extend(cells.as_object().unwrap().clone());
    fields
}

/// The base as a file, with so many shipments.
pub fn base(shipments: usize) -> Value {
    let views = |id: &str| json!([{"id": id, "name": "Grid view", "type": "grid"}]);
    let ports: Vec<Value> = (0..PORT_COUNT)
        .map(|n| json!({"id": port(n), "createdTime": "2026-01-01T00:00:00.000Z", "fields": {"Name": format!("Port {n}")}}))
        .collect();
    let records: Vec<Value> = (0..shipments)
        .map(|n| {
            let mut fields = shipment(&key(n), "as it was", n);
            fields["Number"] = json!(n + 1);
            json!({"id": id(n), "createdTime": "2026-01-02T00:00:00.000Z", "fields": fields})
        })
        .collect();
    json!({
        "base": {"id": BASE, "name": "Harbour"},
        "tables": [
            {"id": SHIPMENTS, "name": "Shipments", "primaryFieldId": "fldSKey0000000000", "fields": shipment_fields(), "views": views("viwShipments00000")},
            {"id": PORTS, "name": "Ports", "primaryFieldId": "fldPName000000000", "fields": port_fields(), "views": views("viwPorts000000000")},
        ],
        "records": {SHIPMENTS: records, PORTS: ports},
    })
}

/// The id of a shipment that was there from the start.
pub fn id(n: usize) -> String {
    format!("recOld{n:011}")
}

/// The key of a shipment that was there from the start.
pub fn key(n: usize) -> String {
    format!("old {n:05}")
}
