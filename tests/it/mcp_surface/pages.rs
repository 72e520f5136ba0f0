//! Lists in pages.

use serde_json::{Value, json};

use super::peer::{Peer, each};
use crate::support::Data;

/// A base with `tables` tables.
fn base(data: &Data, id: &str, name: &str, tables: usize) {
    let tables: Vec<Value> = (0..tables)
        .map(|n| json!({"name": format!("T{n}"), "fields": [{"name": "Name", "type": "singleLineText"}]}))
        .collect();
    let path = data.path().join(format!("{id}.json"));
    let file = json!({"base": {"id": id, "name": name}, "tables": tables, "records": {}});
    std::fs::write(&path, file.to_string()).unwrap();
    data.import(&path);
}

#[test]
fn a_long_list_comes_in_pages() {
    let data = Data::new();
    base(&data, "appA0000000000000", "A", 130);
    base(&data, "appB0000000000000", "B", 120);
    each(&data, &[], |peer| {
        let (mut uris, mut sizes) = (Vec::new(), Vec::new());
        let mut params = json!({});
        loop {
            let page = peer.result("resources/list", params);
            let shown = page["resources"].as_array().unwrap();
            sizes.push(shown.len());
            uris.extend(shown.iter().map(|r| r["uri"].as_str().unwrap().to_owned()));
            match page.get("nextCursor") {
                Some(cursor) => params = json!({"cursor": cursor}),
                None => break,
            }
        }
        assert_eq!(sizes, [100, 100, 54], "two, and one for each base and table");
        let mut twice = uris.clone();
        twice.sort();
        twice.dedup();
        assert_eq!(twice.len(), uris.len());
    });
}

#[test]
fn a_cursor_that_leads_nowhere_is_refused() {
    let data = Data::new();
    base(&data, "appA0000000000000", "A", 130);
    each(&data, &[], |peer| {
        for list in ["tools/list", "resources/list", "resources/templates/list", "prompts/list"] {
            assert!(peer.result(list, json!({})).get("nextCursor").is_none() || list == "resources/list");
            // An empty text is a cursor, and none that was given out.
            for cursor in ["", "bm8gc3VjaA", "!!", &"A".repeat(5_000)] {
                let (code, message) = peer.refused(list, json!({"cursor": cursor}));
                assert!(code == -32602 && message.contains("leave cursor out"), "{list} {cursor}: {message}");
            }
        }
        let first = peer.result("resources/list", json!({}))["nextCursor"].clone();
        let (code, _) = peer.refused("tools/list", json!({"cursor": first}));
        assert_eq!(code, -32602, "of another list");
    });
    let mut peer = Peer::over_pipes(&data, &[], true);
    let cursor = peer.result("resources/list", json!({}))["nextCursor"].clone();
    data.ok(&["base", "delete", "A", "--yes"]);
    let (code, message) = peer.refused("resources/list", json!({"cursor": cursor}));
    assert!(code == -32602 && message.contains("has changed"), "{message}");
}
