//! The whole program while Airtable is away: what is kept for it, and how that is told.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::proxy::{Do, Proxy};
use crate::cloud::{Downstream, Upstream, all, harbour};
use crate::long_writes::{self, poll, with_tasks};
use crate::support::{Client, PATIENCE};

/// A base behind a proxy, and the program that keeps a copy of it.
struct Away {
    upstream: Upstream,
    proxy: Proxy,
    downstream: Downstream,
}

impl Away {
    fn new() -> Self {
        let upstream = Upstream::new(0);
        let proxy = Proxy::before(&upstream.server.address);
        let downstream = Downstream::new(&format!("http://{}", proxy.address), &upstream.server.token, "");
        // Waits for an Airtable that is away are short.
        let settings = downstream.data.path().join("settings.toml");
        let text = std::fs::read_to_string(&settings)
            .unwrap()
            .replace("patience_seconds = 20", "patience_seconds = 5");
        std::fs::write(&settings, text).unwrap();
        downstream.connect();
        Self { upstream, proxy, downstream }
    }

    /// Names of ports upstream that start so.
    fn names(&self, start: &str) -> Vec<String> {
        let mut insider = self.upstream.insider();
        let ports = all(&mut insider, harbour::PORTS);
        let names = ports.iter().filter_map(|port| Some(port["fields"]["Name"].as_str()?.to_owned()));
        names.filter(|name| name.starts_with(start)).collect()
    }
}

fn create(names: &[&str], queue: bool) -> Value {
    let records: Vec<Value> = names.iter().map(|name| json!({"Name": name})).collect();
    let mut call = json!({"base": harbour::BASE, "table": "Ports", "records": records});
    if queue {
        call["queue"] = json!(true);
    }
    call
}

fn read(agent: &mut Client, task: &str) -> Value {
    let answer = agent.request("resources/read", json!({"uri": format!("airtable://tasks/{task}")}));
    let text = answer["result"]["contents"][0]["text"].as_str().unwrap_or_else(|| panic!("{answer}"));
    serde_json::from_str(text).unwrap()
}

fn ended(agent: &mut Client, task: &str) -> Value {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let document = read(agent, task);
        if document["status"] != "working" {
            return document;
        }
        assert!(Instant::now() < deadline, "{document}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_write_that_is_kept_is_written_when_airtable_is_back_even_after_a_restart() {
    let away = Away::new();
    let mut agent = away.downstream.agent();
    agent.structured("create_records", create(&["kept 0"], true));
    assert_eq!(away.names("kept "), ["kept 0"]);

    away.proxy.stop();
    let refused = agent.refused("create_records", create(&["kept 1"], false));
    assert!(refused.contains("upstream_unavailable") && refused.contains("\"queue\": true"), "{refused}");
    let answer = agent.structured("create_records", create(&["kept 2", "kept 3"], true));
    assert_eq!((&answer["count"], &answer["not_started"]), (&json!(0), &json!(2)), "{answer}");
    let task = answer["task"].as_str().unwrap().to_owned();
    assert!(answer["message"].as_str().unwrap().contains(&task), "{answer}");
    let document = read(&mut agent, &task);
    assert_eq!(document["status"], "working", "{document}");
    assert!(document["message"].as_str().unwrap().contains("waiting for Airtable"), "{document}");

    assert!(away.downstream.data.kill_owner());
    drop(agent);
    let mut agent = away.downstream.agent();
    assert_eq!(read(&mut agent, &task)["status"], "working");
    away.proxy.start();
    let document = ended(&mut agent, &task);
    assert_eq!(document["status"], "completed", "{document}");
    assert_eq!(document["result"]["count"], 2, "{document}");
    let mut names = away.names("kept ");
    names.sort();
    assert_eq!(names, ["kept 0", "kept 2", "kept 3"]);
    // And they are in the copy.
    let page = agent.text(
        "list_records",
        json!({"base": harbour::BASE, "table": "Ports", "filter": "{Name} = 'kept 3'"}),
    );
    assert!(page.contains("kept 3"), "{page}");
    let unknown = agent.request("resources/read", json!({"uri": "airtable://tasks/task_0"}));
    assert!(unknown.get("error").is_some(), "{unknown}");
}

#[test]
fn a_task_that_waits_for_airtable_can_be_stopped() {
    let away = Away::new();
    let mut agent = away.downstream.modern_agent();
    let mut names: Vec<String> = (0..450).map(|at| format!("stop {at:03}")).collect();
    let create = |names: &[String]| {
        let records: Vec<Value> = names.iter().map(|name| json!({"Name": name})).collect();
        let arguments = json!({"base": harbour::BASE, "table": "Ports", "records": records});
        with_tasks(json!({"name": "create_records", "arguments": arguments}))
    };
    // It goes away after some requests of the second part.
    let mut passed = 0;
    away.proxy.rule(move |seen| {
        passed += usize::from(seen.method == "POST" && !seen.path.contains("webhooks"));
        if passed > 26 { Do::LoseRequest } else { Do::Pass }
    });
    let id = agent.request("tools/call", create(&names))["result"]["taskId"].clone();
    let deadline = Instant::now() + PATIENCE;
    let waits = |agent: &mut Client| {
        let task = poll(agent, &id);
        task["statusMessage"].as_str().unwrap().contains("waiting for Airtable")
    };
    while away.proxy.count("POST") <= 26 || !waits(&mut agent) {
        assert!(Instant::now() < deadline);
        std::thread::sleep(Duration::from_millis(50));
    }
    agent.request("tasks/cancel", with_tasks(json!({"taskId": id})));
    let task = long_writes::ended(&mut agent, &id);
    assert_eq!(task["status"], "cancelled", "{task}");
    let said = task["statusMessage"].as_str().unwrap();
    let there = away.names("stop ").len();
    assert!((250..450).contains(&there), "{there}");
    assert!(said.contains(&format!("{there} records are done")), "{said}, and {there} are there");
    // Nothing of it is sent afterwards.
    away.proxy.rule(|_| Do::Pass);
    names.truncate(1);
    let after = agent.request("tools/call", create(&names))["result"]["structuredContent"].clone();
    assert_eq!(after["count"], 1, "{after}");
    assert_eq!(away.names("stop ").len(), there + 1);
}

#[test]
fn an_upsert_is_matched_by_airtable_where_the_copy_is_behind() {
    let away = Away::new();
    let mut agent = away.downstream.agent();
    let upsert = |names: &[&str]| {
        let records: Vec<Value> = names.iter().map(|name| json!({"Name": name})).collect();
        json!({"base": harbour::BASE, "table": "Ports", "merge_on": ["Name"], "records": records})
    };
    // Somebody else makes a record, and nothing tells the copy: only writes get through.
    let mut insider = away.upstream.insider();
    agent.text("list_records", json!({"base": harbour::BASE, "table": "Ports"}));
    away.proxy.rule(|seen| if seen.method == "GET" { Do::LoseRequest } else { Do::Pass });
    insider.structured("create_records", create(&["merge 1"], false));
    let done = agent.structured("upsert_records", upsert(&["merge 1", "merge 2", "merge 2"]));
    assert_eq!((&done["count"], &done["created"]), (&json!(3), &json!(1)), "{done}");
    let mut names = away.names("merge ");
    names.sort();
    assert_eq!(names, ["merge 1", "merge 2"]);
}
