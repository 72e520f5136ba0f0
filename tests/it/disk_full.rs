//! A disk without room: the write is refused, what was there stays, the process lives.

use std::process::Command;

use serde_json::json;

use crate::support::{Client, Data, program, root};

/// Runs `script` where `$DIR` is a file system of 2 MiB, if this system lets us make one.
fn on_a_small_disk(dir: &std::path::Path, script: &str) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c"]);
    command.arg(format!("mount -t tmpfs -o size=2m none \"$DIR\" || exit 77\n{script}"));
    command.env("DIR", dir).env("PROGRAM", program()).env("SHOP", root().join("tests/fixtures/shop.json"));
    command
}

#[test]
fn nothing_acknowledged_is_lost_when_the_disk_is_full() {
    let data = Data::new();
    let probe = on_a_small_disk(data.path(), "exit 0").status();
    if !probe.is_ok_and(|status| status.success()) {
        // Such file systems cannot be made here (no user namespaces): a limit on file sizes is
        // the nearest thing.
        return with_limited_files();
    }
    let script = "\"$PROGRAM\" base import \"$SHOP\" --data-dir \"$DIR\" >&2 && \"$PROGRAM\" serve --allow-write --no-daemon --data-dir \"$DIR\"; \"$PROGRAM\" base list --json --data-dir \"$DIR\" >&2";
    fill_up(Client::start(on_a_small_disk(data.path(), script)).initialize(), "the disk is full");
}

fn with_limited_files() {
    let data = Data::with_shop();
    let mut command = Command::new("sh");
    command.args([
        "-c",
        "trap '' XFSZ; ulimit -f 2000; \"$PROGRAM\" serve --allow-write --no-daemon --data-dir \"$DIR\"; \"$PROGRAM\" base list --json --data-dir \"$DIR\" >&2",
    ]);
    command.env("DIR", data.path()).env("PROGRAM", program());
    fill_up(Client::start(command).initialize(), "store_unavailable");
}

fn fill_up(mut client: Client, says: &str) {
    let text = "y".repeat(50_000);
    let mut kept = 0;
    let refused = loop {
        let args = json!({"base": "Shop", "table": "Goods", "records": [{"Name": format!("big {kept}"), "Notes": text}]});
        let result = client.call("create_records", args);
        if result["isError"] == true {
            break result["content"][0]["text"].as_str().unwrap().to_owned();
        }
        kept += 1;
        assert!(kept < 500, "the disk never filled");
    };
    assert!(kept > 0 && refused.contains(says), "{kept} {refused}");
    let hits =
        client.text("search_records", json!({"base": "Shop", "query": "big", "table": "Goods", "limit": 1}));
    assert!(hits.contains(&format!("1 of {kept} records")), "{kept} were acknowledged: {hits}");
    assert!(client.text("list_bases", json!({})).contains("Shop"));
    // What the next process finds on the disk is what was acknowledged.
    let (_, said) = client.finish();
    assert!(said.contains(&format!("\"records\":{}", kept + 6)), "{kept} were acknowledged: {said}");
}

#[test]
fn plans_and_undo_are_whole_when_the_disk_is_full() {
    let data = Data::new();
    let probe = on_a_small_disk(data.path(), "exit 0").status();
    let serve =
        "\"$PROGRAM\" serve --allow-write --allow-delete --toolsets all --no-daemon --data-dir \"$DIR\"";
    let command = if probe.is_ok_and(|status| status.success()) {
        let script = format!("\"$PROGRAM\" base import \"$SHOP\" --data-dir \"$DIR\" >&2 && {serve}");
        on_a_small_disk(data.path(), &script)
    } else {
        let import = "\"$PROGRAM\" base import \"$SHOP\" --data-dir \"$DIR\" >&2";
        let mut command = Command::new("sh");
        command.args(["-c", &format!("trap '' XFSZ; ulimit -f 2000; {import}; {serve}")]);
        command
            .env("DIR", data.path())
            .env("PROGRAM", program())
            .env("SHOP", root().join("tests/fixtures/shop.json"));
        command
    };
    let mut client = Client::start(command).initialize();
    let lamp = json!({"base": "Shop", "table": "Goods", "records": ["recLamp0000000000"], "format": "json"});
    let notes = |client: &mut Client| {
        client.structured("get_records", lamp.clone())["records"][0]["fields"]["Notes"].clone()
    };
    let mut held = notes(&mut client);
    let failed = |answer: &serde_json::Value| answer["isError"] == true;
    let mut steps = 0;
    loop {
        steps += 1;
        assert!(steps < 300, "the disk never filled");
        let text = json!(format!("{steps} {}", "y".repeat(8_000)));
        let change = json!({"base": "Shop", "table": "Goods", "dry_run": true,
                            "records": [{"id": "recLamp0000000000", "fields": {"Notes": text}}]});
        let planned = client.call("update_records", change);
        if failed(&planned) {
            break;
        }
        let id = planned["structuredContent"]["plan"]["id"].clone();
        let applied = client.call("apply_plan", json!({"plan": id}));
        if failed(&applied) {
            assert_eq!(notes(&mut client), held, "refused, and not written");
            break;
        }
        assert_eq!(notes(&mut client), text);
        let undo = json!({"base": "Shop", "changes": [applied["structuredContent"]["change"]]});
        if steps % 2 == 0 && failed(&client.call("undo_changes", undo)) {
            assert_eq!(notes(&mut client), text, "refused, and not taken back");
            break;
        }
        if steps % 2 == 1 {
            held = text;
        }
        assert_eq!(notes(&mut client), held);
    }
    assert!(steps > 2, "{steps}");
    // It goes on reading, and says what is wrong.
    assert!(client.text("list_bases", json!({})).contains("Shop"));
    client.finish();
}
