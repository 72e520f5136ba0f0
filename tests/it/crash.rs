//! kill -9 of the owner, again and again, while clients write.

use std::collections::HashMap;

use serde_json::{Value, json};

use crate::support::{Data, signal};

/// How often the owner is killed.
const KILLS: u32 = 50;

#[test]
fn no_acknowledged_write_is_lost_and_none_is_halved() {
    let data = Data::with_shop();
    let mut client = data.serve(&["--allow-write"]).initialize();
    let mut acknowledged: HashMap<String, String> = HashMap::new();
    let mut kills = 0;
    let mut written = 0;
    while kills < KILLS {
        // A burst of writes in flight, each of two linked records; the kill comes somewhere among them.
        let before = data.owner();
        let mut waiting = Vec::new();
        for _ in 0..8 {
            let name = format!("item {written:05}");
            written += 1;
            let args = json!({"base": "Shop", "table": "Goods", "typecast": true,
                              "records": [{"Name": name, "Stock": written, "Maker": [format!("maker {name}")]}]});
            let id = client.begin("tools/call", json!({"name": "create_records", "arguments": args}));
            waiting.push((id, name));
        }
        // Wait for a few of them, so that kills fall before, between and after commits.
        let patience = (kills as usize) % 8;
        for (n, (id, name)) in waiting.into_iter().enumerate() {
            if n == patience
                && let Some(owner) = before.filter(|_| data.owner() == before)
                && signal(owner, "KILL")
            {
                kills += 1;
            }
            let answer = client.wait_for(id);
            match answer["result"]["structuredContent"]["ids"][0].as_str() {
                Some(record) => {
                    acknowledged.insert(name, record.to_owned());
                }
                None => {
                    let message = answer["error"]["message"].as_str().unwrap_or_default();
                    assert!(message.contains("is not known"), "{answer}");
                }
            }
        }
    }
    assert!(acknowledged.len() > 100, "only {} writes were acknowledged", acknowledged.len());

    let goods = all(&mut client, "Goods");
    let mut by_name: HashMap<&str, Vec<&Value>> = HashMap::new();
    for record in &goods {
        by_name.entry(record["fields"]["Name"].as_str().unwrap_or_default()).or_default().push(record);
    }
    for (name, id) in &acknowledged {
        let found = by_name.get(name.as_str()).unwrap_or_else(|| panic!("{name} ({id}) is lost"));
        assert_eq!(found.len(), 1, "{name} is there more than once");
        assert_eq!(found[0]["id"], id.as_str());
    }
    // Whole or not at all: each item has its stock and its maker, and the maker links back.
    let makers = all(&mut client, "Makers");
    for record in goods.iter().filter(|r| r["fields"]["Name"].as_str().is_some_and(|n| n.starts_with("item")))
    {
        assert!(record["fields"]["Stock"].is_number(), "{record}");
        let maker = &record["fields"]["Maker"][0];
        let other =
            makers.iter().find(|m| m["id"] == *maker).unwrap_or_else(|| panic!("half a write: {record}"));
        assert_eq!(other["fields"]["Goods"], json!([record["id"]]));
    }
    let numbers: Vec<i64> = goods.iter().filter_map(|r| r["fields"]["Number"].as_i64()).collect();
    let unique: std::collections::HashSet<&i64> = numbers.iter().collect();
    assert_eq!(unique.len(), numbers.len(), "no auto number twice");
}

#[test]
fn an_import_that_is_killed_leaves_all_of_the_base_or_nothing() {
    let films = crate::support::root().join("examples/bases/films.json").display().to_string();
    for enough in [1, 200_000, 600_000, 900_000] {
        let data = Data::new();
        let mut import = data.command(&["base", "import", &films]);
        let mut import =
            import.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn().unwrap();
        // Killed once this much has gone towards the disk, wherever the import is then.
        let journal = data.path().join("tablewright.db-wal");
        while import.try_wait().unwrap().is_none() {
            if std::fs::metadata(&journal).is_ok_and(|found| found.len() >= enough) {
                import.kill().unwrap();
                break;
            }
            std::thread::yield_now();
        }
        import.wait().unwrap();
        let listed: Value = serde_json::from_str(&data.ok(&["base", "list", "--json"])).unwrap();
        match listed.as_array().unwrap().as_slice() {
            [] => data.import(films.as_ref()),
            whole => assert_eq!(whole[0]["records"], 6576),
        }
        let listed: Value = serde_json::from_str(&data.ok(&["base", "list", "--json"])).unwrap();
        assert_eq!(listed[0]["records"], 6576, "killed at {enough} bytes");
    }
}

fn all(client: &mut crate::support::Client, table: &str) -> Vec<Value> {
    let mut records = Vec::new();
    let mut cursor = Value::Null;
    loop {
        let page = client.structured(
            "list_records",
            json!({"base": "Shop", "table": table, "limit": 1000, "cursor": cursor, "format": "json"}),
        );
        records.extend(page["records"].as_array().unwrap().iter().cloned());
        cursor = page["cursor"].clone();
        if cursor.is_null() {
            return records;
        }
    }
}
