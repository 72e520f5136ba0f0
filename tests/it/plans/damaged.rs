//! Rows of the journal and of plans that somebody has damaged: what needs them is refused and says
//! which row it is; everything else goes on.

use serde_json::{Value, json};

use super::{EVERYTHING, LAMP, goods, lamp, plan, price};
use crate::audit::tamper;
use crate::support::{Client, Data};

fn serve(data: &Data) -> Client {
    let words: Vec<&str> = EVERYTHING.into_iter().chain(["--no-daemon"]).collect();
    data.serve(&words).initialize()
}

#[test]
fn a_damaged_change_is_named_and_the_others_can_be_taken_back() {
    let garbage = ["'{'", "'[]x'", "''", "'{\"a\":1}'", "X'FF00'", "'[{\"table\":\"tblNo\",\"rows\":3}]'"];
    for damage in garbage {
        let data = Data::with_shop();
        let mut client = serve(&data);
        let first = client.structured("update_records", price(41))["change"].clone();
        let second = client.structured("update_records", price(42))["change"].clone();
        client.finish();
        tamper(&data, &format!("UPDATE changes SET tables = {damage} WHERE seq = {first}"));
        let mut client = serve(&data);
        let named = format!("change {first}");
        for (tool, arguments) in [
            ("undo_changes", json!({"base": "Shop", "changes": [first]})),
            ("undo_changes", json!({"base": "Shop", "since": "2020-01-01T00:00:00Z"})),
            ("get_record_history", goods(json!({"record": LAMP}))),
        ] {
            let refused = client.refused(tool, arguments);
            assert!(refused.contains(&named), "{damage}, {tool}: {refused}");
        }
        assert_eq!(lamp(&mut client, "Price"), 42, "nothing was written");
        client.structured("undo_changes", json!({"base": "Shop", "changes": [second]}));
        assert_eq!(lamp(&mut client, "Price"), 41);
    }
}

#[test]
fn a_damaged_plan_is_named_and_the_others_can_be_carried_out() {
    for damage in [
        "effect = '{'",
        "effect = '{\"steps\":[{\"what\":\"nonsense\"}]}'",
        "effect = '{\"steps\":[]}'",
        "arguments = 'x'",
        "status = 'shiny'",
        "digest = 'x', arguments = '{\"base\":\"Shop\",\"table\":\"Goods\",\"records\":[{\"id\":\"recDesk0000000000\",\"fields\":{\"Price\":1}}]}'",
    ] {
        let data = Data::with_shop();
        let mut client = serve(&data);
        let bad = plan(&mut client, "update_records", price(41));
        let good = plan(
            &mut client,
            "update_records",
            goods(json!({"records": [{"id": LAMP, "fields": {"Stock": 8}}]})),
        );
        client.finish();
        tamper(&data, &format!("UPDATE plans SET {damage} WHERE id = '{bad}'"));
        let mut client = serve(&data);
        let refused = client.refused("apply_plan", json!({"plan": bad}));
        assert!(!refused.contains("internal") || refused.contains(&bad), "{damage}: {refused}");
        assert_eq!(lamp(&mut client, "Price"), 40, "{damage}: nothing was written");
        let desk = goods(json!({"records": ["recDesk0000000000"], "format": "json"}));
        assert_eq!(client.structured("get_records", desk)["records"][0]["fields"]["Price"], 250, "{damage}");
        client.structured("apply_plan", json!({"plan": good}));
        client.finish();
        let listed = data.ok(&["plan", "list", "--all", "--json"]);
        let listed: Value = serde_json::from_str(&listed).unwrap();
        assert!(
            listed.as_array().unwrap().iter().any(|plan| plan["id"] == json!(good)),
            "{damage}: {listed}"
        );
    }
}
