//! What a model read, and writes back, is what was there.

use serde_json::{Value, json};

use super::{FLAGS, carriers};
use crate::support::Data;

#[test]
fn what_was_shown_goes_back_unchanged() {
    let data = Data::new();
    let all = carriers(&data);
    let mut client = data.serve(&FLAGS).initialize();
    for (n, payload) in all.iter().enumerate() {
        let record = format!("recInj{n:011}");
        let one = |format: &str, field: &str| json!({"base": "Cells", "table": "Carriers", "records": [record], "fields": [field], "format": format});
        let text = client.text("get_records", one("tsv", "Text"));
        // A fence, a line of names, and one record: its id and the cell.
        let line = text.lines().find(|line| line.starts_with(&record)).unwrap_or_else(|| panic!("{text}"));
        let shown = line.split_once('\t').unwrap_or_else(|| panic!("{line}")).1;
        let change = json!({"base": "Cells", "table": "Carriers",
                            "records": [{"id": record, "fields": {"Target": shown}}]});
        client.structured("update_records", change);
        let read = client.structured("get_records", one("json", "Target"));
        assert_eq!(read["records"][0]["fields"]["Target"], Value::from(payload.text.as_str()), "{shown}");
    }
}
