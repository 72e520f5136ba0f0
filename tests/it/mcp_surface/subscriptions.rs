//! Hearing of changes.

use serde_json::{Value, json};

use super::peer::{Peer, each};
use crate::support::{Client, Data};

const LAMP: &str = "airtable://appShop0000000000/tblGoods000000000/recLamp0000000000";

fn writer(data: &Data) -> Client {
    data.serve(&["--allow-write", "--allow-delete", "--allow-schema"]).initialize()
}

fn set(writer: &mut Client, table: &str, record: &str, field: &str, value: Value) {
    let fields = json!({field: value});
    let records = json!([{"id": record, "fields": fields}]);
    writer.structured("update_records", json!({"base": "Shop", "table": table, "records": records}));
}

#[test]
fn the_capabilities_say_what_can_be_heard() {
    let data = Data::with_shop();
    let mut client = data.serve(&[]);
    let found = client.request("server/discover", json!({"_meta": super::peer::meta()}))["result"].clone();
    let can = &found["capabilities"];
    assert_eq!(can["resources"], json!({"subscribe": true, "listChanged": true}));
    assert!(can["prompts"].is_object() && can["completions"].is_object(), "{can}");
}

#[test]
fn exactly_those_who_asked_hear_of_a_change() {
    let data = Data::with_shop();
    let mut round = 100;
    each(&data, &[], |peer| {
        // What is written is another thing each time, or it would be no change.
        round += 1;
        // By name and in other letters: the client hears of the address it gave.
        let named = "airtable://shop/Goods/chair";
        let accepted = peer.follow(&[LAMP, named, "airtable://bases", "airtable://formula-reference"], true);
        if peer.modern {
            assert_eq!(accepted["resourcesListChanged"], true);
            assert_eq!(accepted["resourceSubscriptions"].as_array().unwrap().len(), 4);
        }
        let mut writer = writer(&data);
        set(&mut writer, "Goods", "recDesk0000000000", "Stock", json!(round));
        set(&mut writer, "Goods", "recLamp0000000000", "Stock", json!(round));
        assert_eq!(peer.hears_of(), LAMP);
        set(&mut writer, "Goods", "recChair000000000", "Price", json!(round));
        assert_eq!(peer.hears_of(), named);
        // A link made from the other side.
        set(&mut writer, "Makers", "recBolt0000000000", "Goods", json!(["recLamp0000000000"]));
        let mut both = [peer.hears_of(), peer.hears_of()];
        both.sort();
        assert_eq!(both, [LAMP, named]);
        let made = json!({"base": "Shop", "table": "Makers", "records": [{"Name": "New"}]});
        let made = writer.structured("create_records", made)["ids"][0].clone();
        assert_eq!(peer.hears_of(), "airtable://bases", "it has the number of records");
        writer.structured("delete_records", json!({"base": "Shop", "table": "Makers", "records": [made]}));
        assert_eq!(peer.hears_of(), "airtable://bases");
        // As it was, for the next one.
        set(&mut writer, "Makers", "recBolt0000000000", "Goods", json!(["recChair000000000"]));
        set(&mut writer, "Goods", "recLamp0000000000", "Maker", json!(["recAcme0000000000"]));
    });
}

#[test]
fn bases_that_come_and_go_change_the_list() {
    let data = Data::with_shop();
    each(&data, &[], |peer| {
        peer.follow(&["airtable://Shop/schema", LAMP], true);
        let extra =
            json!({"base": {"id": "appExtra000000000", "name": "Extra"}, "tables": [], "records": {}});
        let path = data.path().join("extra.json");
        std::fs::write(&path, extra.to_string()).unwrap();
        data.import(&path);
        peer.hears_of_list();
        data.ok(&["base", "delete", "Extra", "--yes"]);
        peer.hears_of_list();
    });
    let mut peer = Peer::over_pipes(&data, &[], true);
    peer.follow(&["airtable://Shop/schema", "airtable://appShop0000000000/Makers/schema", LAMP], false);
    data.ok(&["base", "delete", "Shop", "--yes"]);
    let mut heard = [peer.hears_of(), peer.hears_of(), peer.hears_of()];
    heard.sort();
    assert_eq!(heard, ["airtable://Shop/schema", "airtable://appShop0000000000/Makers/schema", LAMP]);
}

/// Makers with the total of their goods.
fn with_totals() -> Data {
    let link = |to: &str, back: &str| json!({"linkedTableId": to, "inverseLinkFieldId": back});
    let goods = json!({"id": "tblGoods000000000", "name": "Goods", "fields": [
        {"id": "fldGName000000000", "name": "Name", "type": "singleLineText"},
        {"id": "fldGPrice00000000", "name": "Price", "type": "number", "options": {"precision": 0}},
        {"id": "fldGMaker00000000", "name": "Maker", "type": "multipleRecordLinks", "options": link("tblMakers00000000", "fldMGoods00000000")}]});
    let total = json!({"recordLinkFieldId": "fldMGoods00000000", "fieldIdInLinkedTable": "fldGPrice00000000", "formula": "SUM(values)"});
    let makers = json!({"id": "tblMakers00000000", "name": "Makers", "fields": [
        {"id": "fldMName000000000", "name": "Name", "type": "singleLineText"},
        {"id": "fldMGoods00000000", "name": "Goods", "type": "multipleRecordLinks", "options": link("tblGoods000000000", "fldGMaker00000000")},
        {"id": "fldMTotal00000000", "name": "Total", "type": "rollup", "options": total}]});
    let good =
        |id: &str, maker: &str| json!({"id": id, "fields": {"Name": id, "Price": 1, "Maker": [maker]}});
    let maker = |id: &str, good: &str| json!({"id": id, "fields": {"Name": id, "Goods": [good]}});
    let file = json!({"base": {"id": "appShop0000000000", "name": "Shop"}, "tables": [goods, makers], "records": {
        "tblGoods000000000": [good("recGoodA000000000", "recMakeA000000000"), good("recGoodB000000000", "recMakeB000000000")],
        "tblMakers00000000": [maker("recMakeA000000000", "recGoodA000000000"), maker("recMakeB000000000", "recGoodB000000000")]}});
    let data = Data::new();
    let path = data.path().join("totals.json");
    std::fs::write(&path, file.to_string()).unwrap();
    data.import(&path);
    data
}

#[test]
fn a_computed_cell_that_changes_is_a_change() {
    let data = with_totals();
    each(&data, &[], |peer| {
        let record = "airtable://Shop/Makers/recMakeA000000000";
        peer.follow(&[record, "airtable://Shop/Goods/schema"], false);
        let before = peer.read(record)["fields"]["Total"].as_i64().unwrap();
        let mut writer = writer(&data);
        // The other maker's total changes, not this one's.
        set(&mut writer, "Goods", "recGoodB000000000", "Price", json!(before + 5));
        set(&mut writer, "Goods", "recGoodA000000000", "Price", json!(before + 1));
        assert_eq!(peer.hears_of(), record);
        assert_eq!(peer.read(record)["fields"]["Total"], before + 1);
        set(&mut writer, "Goods", "recGoodA000000000", "Price", json!(before + 2));
        assert_eq!(peer.hears_of(), record);
    });
}

#[test]
fn who_lets_go_hears_no_more() {
    let data = Data::with_shop();
    let mut writer = writer(&data);
    let chair = "airtable://Shop/Goods/recChair000000000";
    let mut older = Peer::over_pipes(&data, &[], false);
    older.follow(&[LAMP, chair], false);
    older.result("resources/unsubscribe", json!({"uri": LAMP}));
    older.result("resources/unsubscribe", json!({"uri": "airtable://never/asked"}));
    let mut newer = Peer::over_pipes(&data, &[], true);
    newer.follow(&[LAMP], false);
    let cancel = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1, "_meta": super::peer::meta()}});
    newer.pipes().send(&cancel);
    assert!(newer.read("airtable://bases")["bases"].is_array(), "the cancellation has been read");
    newer.follow(&[chair], false);
    set(&mut writer, "Goods", "recLamp0000000000", "Stock", json!(1));
    set(&mut writer, "Goods", "recChair000000000", "Stock", json!(1));
    assert_eq!((older.hears_of().as_str(), newer.hears_of().as_str()), (chair, chair));
}

#[test]
fn a_client_that_does_not_read_keeps_nobody_waiting() {
    let data = Data::with_shop();
    let mut deaf = Peer::over_pipes(&data, &[], true);
    let before: Vec<u64> = (0..200)
        .map(|_| {
            let wanted = json!({"resourceSubscriptions": [LAMP]});
            deaf.pipes()
                .begin("subscriptions/listen", json!({"notifications": wanted, "_meta": super::peer::meta()}))
        })
        .collect();
    // It reads what says that it listens, and then no more: what is meant for it fills its pipe.
    for _ in &before {
        assert_eq!(deaf.heard()["method"], "notifications/subscriptions/acknowledged");
    }
    let pid = deaf.pipes().child.id();
    assert!(crate::support::signal(pid, "STOP"));
    let mut keen = Peer::over_pipes(&data, &[], true);
    keen.follow(&[LAMP], false);
    let mut writer = writer(&data);
    for n in 0..100 {
        set(&mut writer, "Goods", "recLamp0000000000", "Stock", json!(1_000 + n));
        assert_eq!(keen.hears_of(), LAMP);
    }
    assert!(crate::support::signal(pid, "CONT"));
    // Far fewer than were written: what had not been said yet was said once.
    let known = deaf.pipes().begin("ping/none", json!({"_meta": super::peer::meta()}));
    let mut heard = 0;
    loop {
        let message = deaf.heard();
        if message["id"] == known {
            break;
        }
        heard += 1;
    }
    assert!((200..20_000).contains(&heard), "{heard}");
}

#[test]
fn a_token_that_is_taken_back_hears_no_more() {
    let data = Data::with_shop();
    let mut peer = Peer::over_http(&data, &[], true);
    peer.follow(&[LAMP], false);
    let mut writer = writer(&data);
    set(&mut writer, "Goods", "recLamp0000000000", "Stock", json!(1));
    assert_eq!(peer.hears_of(), LAMP);
    data.ok(&["token", "revoke", "test"]);
    set(&mut writer, "Goods", "recLamp0000000000", "Stock", json!(2));
    let last = peer.heard();
    assert_eq!(last["result"]["resultType"], "complete", "{last}");
}

#[test]
fn what_cannot_be_followed_is_told_or_refused() {
    let data = Data::with_shop();
    let mut peer = Peer::over_pipes(&data, &[], false);
    for uri in ["airtable://Shop/None/schema", "airtable://x", "https://example.org"] {
        peer.result("resources/subscribe", json!({"uri": uri}));
        assert_eq!(peer.hears_of(), uri, "a client that reads it finds out that it is not there");
    }
    let (code, _) = peer.refused("subscriptions/listen", json!({"notifications": {}}));
    assert_eq!(code, -32601, "of the newer era");
    for n in 0..200 {
        // Each of these is another address of the same record.
        let uri = format!("airtable://Shop/{}Goods/recLamp0000000000", "%20".repeat(n));
        peer.result("resources/subscribe", json!({"uri": uri}));
    }
    peer.result("resources/subscribe", json!({"uri": "airtable://Shop/Goods/recLamp0000000000"}));
    let (_, message) = peer.refused("resources/subscribe", json!({"uri": "airtable://bases"}));
    assert!(message.contains("200 resources"), "{message}");

    let mut newer = Peer::over_pipes(&data, &[], true);
    assert_eq!(newer.refused("resources/subscribe", json!({"uri": LAMP})).0, -32601);
    let gone = "airtable://Shop/Goods/recGone0000000000";
    let accepted = newer.follow(&["airtable://x", "https://example.org", gone], false);
    assert_eq!(accepted["resourceSubscriptions"], json!([gone]));
    assert_eq!(newer.hears_of(), gone);

    let file = data.path().join("describe.toml");
    std::fs::write(&file, "[allow]\nread = false\n").unwrap();
    let file = file.display().to_string();
    let mut looker = Peer::over_pipes(&data, &["--config", &file], true);
    looker.follow(&[LAMP], false);
    let refused = looker.heard();
    assert!(refused["error"]["message"].as_str().unwrap().contains("the right to read records"), "{refused}");
}

#[test]
fn a_server_that_ends_says_so_to_those_who_listen() {
    let data = Data::with_shop();
    let mut alone = Peer::over_pipes(&data, &["--no-daemon"], true);
    alone.follow(&[LAMP], false);
    let pid = alone.pipes().child.id();
    assert!(crate::support::signal(pid, "TERM"));
    let last = alone.heard();
    assert_eq!(last["result"]["resultType"], "complete", "{last}");
    alone.finish();
    let mut relayed = Peer::over_pipes(&data, &[], true);
    relayed.follow(&[LAMP], false);
    relayed.pipes().close_input();
    let last = relayed.heard();
    assert_eq!(last["result"]["resultType"], "complete", "{last}");
    assert_eq!(last["result"]["_meta"]["io.modelcontextprotocol/subscriptionId"], 1);
    relayed.finish();
}

#[test]
fn those_who_listen_outlive_the_owner() {
    let data = Data::with_shop();
    let mut older = Peer::over_pipes(&data, &[], false);
    older.follow(&[LAMP, "airtable://Shop/schema"], false);
    older.result("resources/unsubscribe", json!({"uri": "airtable://Shop/schema"}));
    let mut newer = Peer::over_pipes(&data, &[], true);
    newer.follow(&[LAMP], true);
    for round in 1..3 {
        let owner = data.owner().unwrap();
        // The first one has no time to say goodbye, the second one has.
        assert!(if round == 1 { data.kill_owner() } else { crate::support::signal(owner, "TERM") });
        // Something may have changed meanwhile.
        older.hears_of_list();
        assert_eq!(older.hears_of(), LAMP);
        assert_eq!(newer.hears_of(), LAMP);
        newer.hears_of_list();
        let mut writer = writer(&data);
        set(&mut writer, "Goods", "recLamp0000000000", "Stock", json!(100 + round));
        assert_eq!((older.hears_of().as_str(), newer.hears_of().as_str()), (LAMP, LAMP));
    }
}

#[test]
fn two_hundred_hear_of_one_change_each_once() {
    let data = Data::with_shop();
    let mut peer = Peer::over_pipes(&data, &[], true);
    let others: Vec<u64> = (0..200)
        .map(|_| {
            let wanted = json!({"resourceSubscriptions": [LAMP]});
            peer.pipes()
                .begin("subscriptions/listen", json!({"notifications": wanted, "_meta": super::peer::meta()}))
        })
        .collect();
    for _ in &others {
        assert_eq!(peer.heard()["method"], "notifications/subscriptions/acknowledged");
    }
    let mut writer = writer(&data);
    set(&mut writer, "Goods", "recLamp0000000000", "Stock", json!(1));
    let mut heard: Vec<u64> = others
        .iter()
        .map(|_| {
            let message = peer.heard();
            assert_eq!(message["params"]["uri"], LAMP, "{message}");
            message["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"].as_u64().unwrap()
        })
        .collect();
    heard.sort_unstable();
    assert_eq!(heard, others);
}
