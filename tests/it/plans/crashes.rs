//! The program ends before each of the commits that making a plan, approving it, carrying it out and
//! taking it back consist of. Whoever goes on afterwards finds all of a step or nothing of it.

use std::process::Command;

use serde_json::{Value, json};

use super::{EVERYTHING, LAMP, dry, goods};
use crate::support::{Client, Data};

const DESK: &str = "recDesk0000000000";
/// The names and prices of the lamp and the desk, before and after.
const BEFORE: [(&str, i64); 2] = [("Lamp", 40), ("Desk", 250)];
const AFTER: [(&str, i64); 2] = [("Lamp 2", 41), ("Desk 2", 251)];

/// A person and an agent at a data directory whose program may end at any moment.
struct Rig {
    data: Data,
    settings: String,
    crash: std::path::PathBuf,
}

impl Rig {
    fn new(crash_before: usize) -> Self {
        let data = Data::with_shop();
        assert!(data.kill_owner() || data.owner().is_none());
        let (settings, crash) = (data.path().join("rules.toml"), data.path().join("crash"));
        let rule = "[notify]\ndesktop = false\n[approval]\nwait_seconds = 0\n[[approval.rules]]\nwhen = [\"update\"]\nask = \"person\"\n";
        std::fs::write(&settings, rule).unwrap();
        std::fs::write(&crash, crash_before.to_string()).unwrap();
        Self { data, settings: settings.display().to_string(), crash }
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = self.data.command(words);
        command.env("CRASH_BEFORE_COMMIT_FILE", &self.crash);
        command
    }

    /// One try at a call; `None` when the program ended before its answer.
    fn try_call(&self, tool: &str, arguments: &Value) -> Option<Value> {
        let words: Vec<&str> = ["serve", "--config", &self.settings].into_iter().chain(EVERYTHING).collect();
        let mut client = Client::start(self.command(&words));
        let known = json!({"protocolVersion": "2025-11-25", "capabilities": {},
                           "clientInfo": {"name": "test", "version": "1"}});
        client.begin("initialize", known);
        client.receive()?;
        client.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
        let call = client.begin("tools/call", json!({"name": tool, "arguments": arguments}));
        loop {
            let message = client.receive()?;
            if message["id"] == call {
                return message.get("result").cloned();
            }
        }
    }

    /// A call that is made again until it is answered by something else than the end of the program.
    fn call(&self, tool: &str, arguments: &Value) -> Value {
        let mut tries = (0..5).filter_map(|_| self.try_call(tool, arguments));
        tries.next().unwrap_or_else(|| panic!("{tool} is never answered"))
    }

    fn plan(&self, id: &str) -> Value {
        let words = ["plan", "show", id, "--json", "--config", &self.settings];
        for _ in 0..5 {
            let output = self.command(&words).output().unwrap();
            if output.status.success() {
                return serde_json::from_slice(&output.stdout).unwrap();
            }
        }
        panic!("plan {id} is never shown");
    }

    /// Waits until nobody carries a plan out.
    fn settled(&self, id: &str) -> Value {
        loop {
            let plan = self.plan(id);
            if plan["status"] != "applying" {
                return plan;
            }
        }
    }

    /// The cells, which are all as before or all as after.
    fn is_after(&self) -> bool {
        let arguments = goods(json!({"records": [LAMP, DESK], "format": "json"}));
        let read = self.call("get_records", &arguments);
        let records = read["structuredContent"]["records"].as_array().unwrap_or_else(|| panic!("{read}"));
        let now: Vec<(&str, i64)> = records
            .iter()
            .map(|record| {
                (record["fields"]["Name"].as_str().unwrap(), record["fields"]["Price"].as_i64().unwrap())
            })
            .collect();
        assert!(now == BEFORE || now == AFTER, "half a write: {now:?}");
        now == AFTER
    }

    /// Changes of the journal, newest first: the tool and what took it back.
    fn changes(&self) -> Vec<Value> {
        let listed = self.call("list_changes", &json!({"base": "Shop"}));
        let all =
            listed["structuredContent"]["changes"].as_array().unwrap_or_else(|| panic!("{listed}")).clone();
        all.into_iter().filter(|change| change["tool"] != "").collect()
    }
}

/// Goes through all steps as somebody who is told nothing but what the program says.
fn go_through(rig: &Rig) {
    let update = goods(json!({"records": [
        {"id": LAMP, "fields": {"Name": AFTER[0].0, "Price": AFTER[0].1}},
        {"id": DESK, "fields": {"Name": AFTER[1].0, "Price": AFTER[1].1}},
    ]}));
    let planned = rig.call("update_records", &dry(update));
    let id =
        planned["structuredContent"]["plan"]["id"].as_str().unwrap_or_else(|| panic!("{planned}")).to_owned();
    assert!(!rig.is_after());

    for _ in 0..5 {
        let words = ["plan", "approve", &id, "--config", &rig.settings];
        let _ = rig.command(&words).output().unwrap();
        if rig.plan(&id)["status"] == "approved" {
            break;
        }
    }
    assert_eq!(rig.plan(&id)["status"], "approved");
    assert!(!rig.is_after());

    for _ in 0..5 {
        let said = rig.call("apply_plan", &json!({"plan": id}));
        let status = rig.settled(&id)["status"].clone();
        match status.as_str().unwrap() {
            "applied" => break,
            "approved" => assert!(!rig.is_after(), "given back, but something was written: {said}"),
            other => panic!("{other}: {said}"),
        }
    }
    assert_eq!(rig.settled(&id)["status"], "applied");
    assert!(rig.is_after());
    let changes = rig.changes();
    assert_eq!(changes.len(), 1, "carried out once: {changes:?}");
    assert_eq!(changes[0]["plan"], json!(id));
    let number = changes[0]["number"].clone();

    // Undoing is a change of records as well, which a person has to approve here.
    let undo = json!({"base": "Shop", "changes": [number]});
    for _ in 0..40 {
        let said = rig.call("undo_changes", &undo);
        if !rig.is_after() {
            break;
        }
        let listed = rig.command(&["plan", "list", "--json", "--config", &rig.settings]).output().unwrap();
        if let Ok(Value::Array(waiting)) = serde_json::from_slice(&listed.stdout) {
            for plan in waiting {
                let words = ["plan", "approve", plan["id"].as_str().unwrap(), "--config", &rig.settings];
                let _ = rig.command(&words).output().unwrap();
            }
        }
        assert!(said["isError"] == true, "it says that it is done: {said}");
    }
    assert!(!rig.is_after());
    let changes = rig.changes();
    assert_eq!(changes.len(), 2, "taken back once: {changes:?}");
    let again = rig.call("undo_changes", &undo);
    let text = again["content"][0]["text"].as_str().unwrap();
    assert!(text.contains("already"), "{text}");
    // The program may end once more while this looks; not twice.
    let words = ["audit", "verify", "--json", "--config", &rig.settings];
    let mut verified = (0..2).map(|_| rig.command(&words).output().unwrap());
    assert!(verified.any(|output| output.status.success()));
}

#[test]
fn a_crash_before_any_commit_leaves_all_of_a_step_or_nothing() {
    for before in 1..200 {
        let rig = Rig::new(before);
        go_through(&rig);
        if rig.crash.exists() {
            // There are fewer commits than this: all of them were gone through.
            assert!(before > 8, "only {before}");
            return;
        }
    }
    panic!("there is no end of commits");
}
