//! Copies of bases in Airtable: how old answers are, and looking for changes.

use serde_json::{Value, json};

use super::copied::{Upstream, set};
use super::shop;
use crate::hostile::{Fault, Hostile, Kind, Plan};
use crate::mcp_surface::peer::Peer;

const LAMP: &str = "recLamp0000000000";

fn line(text: &str) -> &str {
    text.lines().last().unwrap()
}

#[test]
fn answers_say_where_they_come_from_and_fresh_ones_are_asked_for() {
    let upstream = Upstream::new();
    let (copied, mut writer) = (upstream.copied(), upstream.writer());
    let mut client = copied.reader();
    let listed = client.structured("list_bases", json!({}));
    assert_eq!(listed["bases"][0]["kind"], "cloud");
    let list = json!({"base": "Shop", "table": "Goods", "fields": ["Name", "Stock"]});
    let text = client.text("list_records", list.clone());
    assert!(line(&text).starts_with("4 of 4 records; source replica, age "), "{text}");
    for round in [77, 78] {
        set(&mut writer, "Goods", LAMP, json!({"Stock": round}));
        let mut fresh = list.clone();
        fresh["fresh"] = json!(true);
        let text = client.text("list_records", fresh);
        assert!(text.contains(&format!("Lamp\t{round}\n")), "{text}");
        assert!(line(&text).contains("source replica, age "), "{text}");
    }
    let mut old = list.clone();
    old["max_staleness"] = json!(86_400);
    assert!(client.text("list_records", old).contains("Lamp\t78"));
    let found =
        client.structured("search_records", json!({"base": "Shop", "query": "lamp", "format": "json"}));
    assert_eq!((&found["source"], found["age_seconds"].is_u64()), (&json!("replica"), true), "{found}");
    let described = client.structured("describe_base", json!({"base": "Shop", "fresh": true}));
    assert_eq!(described["source"], "replica");
    assert!(described["age_seconds"].as_u64().is_some_and(|age| age < 30), "{described}");
    assert_eq!(described["tables"][0]["copying"], Value::Null, "{described}");
    let tried = json!({"formula": "{Stock} + 1", "base": "Shop", "table": "Goods", "fresh": true});
    assert_eq!(client.structured("evaluate_formula", tried)["source"], "replica");
    let wrong = json!({"base": "Shop", "table": "Goods", "max_staleness": "new"});
    let refused = client.refused("list_records", wrong);
    assert!(refused.contains("max_staleness is a number of seconds"), "{refused}");
    // Of a base that lives here nothing is said in typed answers.
    let (_data, mut local) = shop();
    let described = local.structured("describe_base", json!({"base": "Shop", "fresh": true}));
    assert!(described.get("source").is_none(), "{described}");
    assert!(local.text("list_records", list).ends_with("source local, age 0 s; end"));
}

#[test]
fn an_answer_older_than_it_should_be_says_why() {
    let upstream = Upstream::new();
    let copied = upstream.copied().with("TABLEWRIGHT_SYNC_MAX_STALENESS_SECONDS", "1");
    let mut client = copied.reader();
    upstream.kill();
    let list = json!({"base": "Shop", "table": "Goods", "fields": ["Name"]});
    let text = loop {
        let text = client.text("list_records", list.clone());
        if text.contains("could not be asked") {
            break text;
        }
        std::thread::yield_now();
    };
    assert!(text.contains("Lamp") && line(&text).contains("The copy is"), "{text}");
    let mut fresh = list;
    fresh["fresh"] = json!(true);
    let refused = client.refused("list_records", fresh);
    assert!(refused.starts_with("upstream_unavailable"), "{refused}");
    let status = client.structured("get_sync_status", json!({}));
    assert!(status["bases"][0]["failure"].is_string(), "{status}");
    let refused = client.refused("sync_base", json!({"base": "Shop"}));
    assert!(refused.starts_with("upstream_unavailable"), "{refused}");
}

#[test]
fn the_state_of_copies_is_told_and_tables_are_listed_again() {
    let upstream = Upstream::new();
    let copied = upstream.copied();
    let mut client = copied.reader();
    let status = client.structured("get_sync_status", json!({"base": "shop"}));
    let base = &status["bases"][0];
    assert_eq!((&base["name"], &base["profile"]), (&json!("Shop"), &json!("environment")), "{base}");
    assert_eq!((&base["changes_by"], &base["queued_writes"]), (&json!("webhook"), &json!(0)), "{base}");
    assert!(base["age_seconds"].is_u64() && base["calls_this_month"].as_u64().unwrap() > 3, "{base}");
    assert_eq!(base["tables"][0]["state"], "copied", "{base}");
    assert_eq!((&base["tables"][0]["records"], &base["tables"][1]["records"]), (&json!(4), &json!(2)));
    let before = base["calls_this_month"].as_u64().unwrap();
    let again = json!({"base": "Shop", "tables": ["Makers"], "full": true});
    let done = client.structured("sync_base", again);
    assert!(done["calls_this_month"].as_u64().unwrap() > before, "{done}");
    let refused = client.refused("sync_base", json!({"base": "Shop", "tables": ["Makerz"]}));
    assert!(refused.contains("Makers"), "{refused}");
    let (_data, mut local) = super::everything();
    let refused = local.refused("get_sync_status", json!({"base": "Shop"}));
    assert!(refused.contains("lives here"), "{refused}");
    assert_eq!(local.structured("get_sync_status", json!({})), json!({"bases": []}));
}

#[test]
fn a_copy_answers_about_edits_only_what_it_knows() {
    let upstream = Upstream::new();
    let copied = upstream.copied();
    let mut client = copied.reader();
    let list = |table: &str, filter: &str| json!({"base": "Shop", "table": table, "filter": filter});
    let made = client.text("list_records", list("Makers", "CREATED_TIME() < \"2026-06-01\""));
    assert!(made.contains("2 of 2 records"), "{made}");
    let refused = client.refused("list_records", list("Makers", "LAST_MODIFIED_TIME() > \"2026-06-01\""));
    assert!(refused.contains("does not know when records were edited"), "{refused}");
    let tried = json!({"formula": "YEAR(LAST_MODIFIED_TIME())", "base": "Shop", "table": "Makers"});
    assert!(client.refused("evaluate_formula", tried).contains("Last modified time field"));
    // A field tells: it watches every field.
    set(&mut upstream.writer(), "Goods", LAMP, json!({"Stock": 5}));
    client.structured("sync_base", json!({"base": "Shop"}));
    let edited = client.text("list_records", list("Goods", "LAST_MODIFIED_TIME() > \"2026-06-01\""));
    assert!(edited.contains("1 of 1 records") && edited.contains(LAMP), "{edited}");
    let refused =
        client.refused("list_records", list("Goods", "LAST_MODIFIED_TIME({Stock}) > \"2026-06-01\""));
    assert!(refused.contains("\\\"Stock\\\"") || refused.contains("\"Stock\""), "{refused}");
}

#[test]
fn a_base_that_lives_here_knows_when_each_record_was_edited() {
    let (data, mut client) = shop();
    let list = json!({"base": "Shop", "table": "Makers", "filter": "LAST_MODIFIED_TIME() > \"2026-06-01\""});
    assert!(client.text("list_records", list.clone()).contains("0 of 0 records"), "as old as the records");
    set(&mut client, "Makers", "recBolt0000000000", json!({"Name": "Bolt"}));
    let text = client.text("list_records", list.clone());
    assert!(text.contains("1 of 1 records") && text.contains("recBolt"), "{text}");
    client.finish();
    let mut again = data.serve(&["--no-daemon"]).initialize();
    assert!(again.text("list_records", list).contains("1 of 1 records"), "it is kept");
}

#[test]
fn edits_are_found_without_a_webhook() {
    let upstream = Upstream::new();
    let copied = upstream.copied().with("TABLEWRIGHT_SYNC_WEBHOOKS", "false");
    let mut client = copied.reader();
    let status = client.structured("get_sync_status", json!({}));
    assert_eq!(status["bases"][0]["changes_by"], "polling", "{status}");
    set(&mut upstream.writer(), "Makers", "recBolt0000000000", json!({"Name": "Bolt & Daughters"}));
    let fresh = json!({"base": "Shop", "table": "Makers", "fresh": true});
    assert!(client.text("list_records", fresh).contains("Bolt & Daughters"));
}

#[test]
fn what_is_missing_or_as_old_as_its_fetch_is_said() {
    let upstream = Upstream::new();
    // No table can be listed.
    let script: Vec<(Kind, usize, Fault)> =
        (0..500).map(|nth| (Kind::List, nth, Fault::ErrorBefore)).collect();
    let hostile = Hostile::before(upstream.address(), Plan::scripted(&script));
    let copied = upstream.copied_from(&hostile.url());
    let mut client = copied.serve(&["--toolsets", "all", "--no-daemon"]).initialize();
    let described = client.structured("describe_base", json!({"base": "Shop"}));
    assert_eq!(described["tables"][0]["copying"], true, "{described}");
    assert!(described.get("age_seconds").is_none(), "{described}");
    assert!(described["note"].as_str().unwrap().contains("Still being copied"), "{described}");
    let found = client.text("search_records", json!({"base": "Shop", "query": "lamp"}));
    assert!(found.contains("\"Goods\", \"Makers\"") && found.contains("age unknown"), "{found}");
    hostile.calm();
    // What depends on the time of day, directly and through another field.
    let mut writer = upstream.data.serve(&["--allow-schema", "--toolsets", "all"]).initialize();
    for (name, formula) in [("Days", "DATETIME_DIFF(TODAY(), {Since}, 'days')"), ("Twice", "{Days} * 2")] {
        let field = json!({"name": name, "type": "formula", "formula": formula});
        writer.structured("create_field", json!({"base": "Shop", "table": "Goods", "field": field}));
    }
    let deadline = std::time::Instant::now() + crate::support::PATIENCE;
    loop {
        let done = client.call("sync_base", json!({"base": "Shop"}));
        if done["isError"] != true {
            break;
        }
        assert!(std::time::Instant::now() < deadline, "{done}");
    }
    let list = json!({"base": "Shop", "table": "Goods", "fields": ["Name", "Twice"]});
    let text = client.text("list_records", list);
    assert!(line(&text).contains("NOW() or TODAY() (\"Twice\") is as Airtable gave it"), "{text}");
    let plain = json!({"base": "Shop", "table": "Goods", "fields": ["Name", "Worth"]});
    assert!(!client.text("list_records", plain).contains("TODAY()"));
}

#[test]
fn whoever_waits_for_a_listing_hears_how_far_it_is() {
    let upstream = Upstream::new();
    let records: Vec<Value> = (0..450).map(|n| json!({"Name": format!("N{n}")})).collect();
    upstream
        .writer()
        .structured("create_records", json!({"base": "Shop", "table": "Makers", "records": records}));
    let copied = upstream.copied();
    let mut client = copied.reader();
    let arguments = json!({"base": "Shop", "tables": ["Makers"], "full": true});
    let call = json!({"name": "sync_base", "arguments": arguments, "_meta": {"progressToken": "p"}});
    let done = client.request("tools/call", call)["result"]["structuredContent"].clone();
    assert_eq!(done["tables"][1]["records"], 452, "{done}");
    let mut told = client.aside.iter().filter(|message| message["method"] == "notifications/progress");
    let last = told.next_back().unwrap();
    assert_eq!(last["params"]["total"], 452.0, "{last}");
    assert!(last["params"]["progress"].as_f64().unwrap() >= 100.0, "{last}");
}

#[test]
fn the_command_looks_for_changes_and_fails_with_the_reason() {
    let upstream = Upstream::new();
    let copied = upstream.copied();
    let out = copied.run(&["sync"]);
    let said = String::from_utf8(out.stdout).unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    assert!(said.starts_with("Shop: 2 tables, 6 records, "), "{said}");
    let out = copied.run(&["sync", "Shop", "--full", "--json"]);
    let done: Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!((&done["bases"][0]["name"], &done["failed"]), (&json!("Shop"), &json!([])), "{done}");
    let status = String::from_utf8(copied.run(&["sync", "--status"]).stdout).unwrap();
    assert!(status.contains("changes by webhook") && status.contains("Makers"), "{status}");
    let wrong = copied.run(&["sync", "Shpo"]);
    assert_eq!(wrong.status.code(), Some(1));
    upstream.kill();
    for args in [vec!["sync"], vec!["sync", "--json"]] {
        let failed = copied.run(&args);
        assert_eq!(failed.status.code(), Some(1));
        let why = String::from_utf8_lossy(&failed.stderr).into_owned();
        assert!(why.contains("Shop: "), "{why}");
    }
}

#[test]
fn the_command_prints_what_changes_through_the_owner() {
    let upstream = Upstream::new();
    let copied = upstream.copied();
    // Something holds the directory already.
    let mut client = copied.serve(&["--toolsets", "all"]).initialize();
    client.structured("sync_base", json!({"base": "Shop"}));
    let mut command = copied.command(&["sync", "--watch"]);
    let mut child = command.stdout(std::process::Stdio::piped()).spawn().unwrap();
    let out = std::io::BufReader::new(child.stdout.take().unwrap());
    let mut lines = std::io::BufRead::lines(out).map_while(Result::ok);
    assert!(lines.any(|line| line.starts_with("Waiting for changes")));
    set(&mut upstream.writer(), "Makers", "recBolt0000000000", json!({"Name": "B"}));
    let told = lines.next().unwrap();
    assert!(told.contains("Shop") && told.contains("Makers") && told.contains("1 updated"), "{told}");
    assert!(crate::support::signal(child.id(), "TERM"));
    assert!(child.wait().unwrap().success());
}

#[test]
fn who_has_subscribed_hears_of_changes_in_airtable() {
    let upstream = Upstream::new();
    let copied = upstream.copied();
    copied.reader().finish();
    for modern in [false, true] {
        let client = copied.serve(&[]);
        let mut peer = Peer::of(client, modern);
        let uri = "airtable://Shop/Goods/recLamp0000000000";
        peer.follow(&[uri], false);
        for round in 1..3 {
            let stock = 100 * round + i32::from(modern);
            set(&mut upstream.writer(), "Goods", LAMP, json!({"Stock": stock}));
            assert_eq!(peer.hears_of(), uri);
            assert_eq!(peer.read(uri)["fields"]["Stock"], stock);
            // The next change is another one.
            while peer.pipes().aside.pop().is_some() {}
        }
    }
}
