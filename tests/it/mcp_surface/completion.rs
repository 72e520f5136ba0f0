//! Completion.

use serde_json::{Value, json};

use super::peer::{Peer, each};
use crate::support::Data;

fn ask(reference: &Value, name: &str, typed: &str, given: &[(&str, &str)]) -> Value {
    let given: serde_json::Map<String, Value> =
        given.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
    json!({"ref": reference, "argument": {"name": name, "value": typed}, "context": {"arguments": given}})
}

fn values(peer: &mut Peer, params: Value) -> Vec<String> {
    let completion = peer.result("completion/complete", params)["completion"].clone();
    assert!(completion["hasMore"].is_boolean(), "{completion}");
    completion["values"].as_array().unwrap().iter().map(|v| v.as_str().unwrap().to_owned()).collect()
}

#[test]
fn names_are_offered_as_one_types() {
    let data = Data::with_shop();
    let prompt = json!({"type": "ref/prompt", "name": "build_report"});
    let record = json!({"type": "ref/resource", "uri": "airtable://{base}/{table}/{record}"});
    let schema = json!({"type": "ref/resource", "uri": "airtable://{base}/schema"});
    let shop = [("base", "Shop")];
    let goods = [("base", "appShop0000000000"), ("table", "goods")];
    let colour = [("base", "Shop"), ("table", "Goods"), ("group_by", "Colour")];
    each(&data, &[], |peer| {
        for (reference, name, typed, given, expected) in [
            (&prompt, "base", "sh", &[][..], &["Shop"][..]),
            (&schema, "base", "", &[], &["Shop"]),
            (&schema, "base", "x", &[], &[]),
            (&prompt, "table", "", &shop, &["Goods", "Makers"]),
            (&prompt, "table", "ma", &[], &["Makers"]),
            (&record, "table", "o", &shop, &["Goods"]),
            (&prompt, "group_by", "c", &goods, &["Colour", "Checked", "Changed", "Price", "Stock", "Since"]),
            (&prompt, "group_by", "c", &shop, &[]),
            (&prompt, "view", "by", &goods, &["By price"]),
            (&prompt, "only", "re", &colour, &["red", "green"]),
            (&prompt, "question", "wh", &goods, &[]),
            (&record, "record", "a", &goods, &["Lamp", "chair"]),
            (&record, "record", "recDesk", &goods, &["recDesk0000000000"]),
            (&record, "record", "", &goods, &["Lamp", "chair", "Desk", "recBlank000000000"]),
            (&record, "record", "bo", &[("base", "Shop"), ("table", "Makers")], &["Bolt & Co"]),
        ] {
            assert_eq!(values(peer, ask(reference, name, typed, given)), expected, "{name} {typed}");
        }
    });
}

#[test]
fn what_cannot_be_completed_says_why() {
    let data = Data::with_shop();
    each(&data, &[], |peer| {
        for (params, why) in [
            (ask(&json!({"type": "ref/prompt", "name": "no_such"}), "base", "", &[]), "there is no prompt"),
            (
                ask(&json!({"type": "ref/prompt", "name": "explore_base"}), "x", "", &[]),
                "Arguments: base, question",
            ),
            (
                ask(&json!({"type": "ref/resource", "uri": "airtable://x"}), "base", "", &[]),
                "no resource template",
            ),
            (
                ask(&json!({"type": "ref/resource", "uri": "airtable://{base}/schema"}), "table", "", &[]),
                "has no argument",
            ),
            (
                ask(&json!({"type": "ref/prompt", "name": "build_report"}), "table", "", &[("base", "Shpo")]),
                "Did you mean",
            ),
        ] {
            let (code, message) = peer.refused("completion/complete", params);
            assert!(code == -32602 && message.contains(why), "{code} {message}");
        }
    });
}

#[test]
fn many_records_are_offered_within_bounds() {
    let data = Data::new();
    let records: Vec<Value> = (0..1_500)
        .map(|n| json!({"fields": {"Name": format!("{} {}", if n % 2 == 0 { "even" } else { "an even" }, n / 4)}}))
        .collect();
    let table = json!({"id": "tblMany0000000000", "name": "Many", "fields": [{"name": "Name", "type": "singleLineText"}]});
    let file = json!({"base": {"id": "appMany0000000000", "name": "Many"}, "tables": [table], "records": {"tblMany0000000000": records}});
    let path = data.path().join("many.json");
    std::fs::write(&path, file.to_string()).unwrap();
    data.import(&path);
    let mut peer = Peer::over_pipes(&data, &[], false);
    let record = json!({"type": "ref/resource", "uri": "airtable://{base}/{table}/{record}"});
    let given = [("base", "Many"), ("table", "Many")];
    let all =
        peer.result("completion/complete", ask(&record, "record", "EVEN", &given))["completion"].clone();
    assert_eq!((&all["total"], &all["hasMore"]), (&json!(1_500), &json!(true)));
    let offered = all["values"].as_array().unwrap();
    assert_eq!(offered.len(), 100);
    // Each name is there twice, so that only ids lead anywhere.
    assert!(offered.iter().all(|v| v.as_str().unwrap().starts_with("rec")));
    let uri = format!("airtable://Many/Many/{}", offered[0].as_str().unwrap());
    assert_eq!(peer.read(&uri)["fields"]["Name"], "even 0", "those that begin with it come first");
}

#[test]
fn rights_decide_what_is_offered() {
    let data = Data::with_shop();
    let file = data.path().join("describe.toml");
    std::fs::write(&file, "[allow]\nread = false\n").unwrap();
    let mut peer = Peer::over_pipes(&data, &["--no-daemon", "--config", &file.display().to_string()], false);
    let record = json!({"type": "ref/resource", "uri": "airtable://{base}/{table}/{record}"});
    let goods = [("base", "Shop"), ("table", "Goods")];
    assert_eq!(values(&mut peer, ask(&record, "table", "g", &goods)), ["Goods"]);
    let (_, message) = peer.refused("completion/complete", ask(&record, "record", "l", &goods));
    assert!(message.contains("the right to read records"), "{message}");
}
