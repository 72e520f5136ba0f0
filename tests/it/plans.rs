//! Writes that are looked at first: plans, rules of approval, and what a restart leaves of them.

mod approval;
mod carried_out;
mod crashes;
mod damaged;
mod forged;

use serde_json::{Value, json};

use crate::support::{Client, Data};

pub const LAMP: &str = "recLamp0000000000";
pub const EVERYTHING: [&str; 5] = ["--allow-write", "--allow-delete", "--allow-schema", "--toolsets", "all"];

/// Arguments that name the goods of the shop, and more.
pub fn goods(more: Value) -> Value {
    let mut arguments = json!({"base": "Shop", "table": "Goods"});
    arguments.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    arguments
}

/// A change of the lamp's price.
pub fn price(to: i64) -> Value {
    goods(json!({"records": [{"id": LAMP, "fields": {"Price": to}}]}))
}

/// The same as a rehearsal.
pub fn dry(mut arguments: Value) -> Value {
    arguments["dry_run"] = json!(true);
    arguments
}

/// Makes a plan; its id.
pub fn plan(client: &mut Client, tool: &str, arguments: Value) -> String {
    let answer = client.structured(tool, dry(arguments));
    answer["plan"]["id"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
}

/// A cell of the lamp.
pub fn lamp(client: &mut Client, field: &str) -> Value {
    let arguments = goods(json!({"records": [LAMP], "format": "json"}));
    client.structured("get_records", arguments)["records"][0]["fields"][field].clone()
}

/// Everything there is of a base.
pub fn whole(data: &Data) -> String {
    let file = data.path().join("whole.json");
    data.ok(&["base", "export", "Shop", "--force", "--output", &file.display().to_string()]);
    std::fs::read_to_string(file).unwrap()
}
