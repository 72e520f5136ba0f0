//! Policies: files, decisions, and what callers see and may write under them.

mod feeds;
mod file;
mod leaks;
mod reading;
mod writing;

use serde_json::{Value, json};

use crate::support::{Client, Data};

/// Applies a policy over the shop.
pub(crate) fn apply(data: &Data, policy: &str) {
    let file = data.path().join("policy.toml");
    std::fs::write(&file, policy).unwrap();
    data.ok(&["policy", "apply", file.to_str().unwrap()]);
}

/// The user of this machine may see goods that are listed, without prices, and makers without names.
pub(super) const NARROW: &str = r#"
version = 1
default = "allow"

[[deny]]
name = "no prices"
who = ["local"]
verbs = ["read"]
base = "Shop"
tables = ["Goods"]
fields = ["Price"]

[[rows]]
name = "listed goods"
who = ["local"]
base = "Shop"
table = "Goods"
keep = "{Listed}"

[[mask]]
name = "stock"
who = ["local"]
base = "Shop"
table = "Goods"
fields = ["Stock"]
with = "redact"
"#;

/// A client of the shop's MCP server that a policy binds.
pub(super) fn bound(policy: &str, flags: &[&str]) -> (Data, Client) {
    let data = Data::with_shop();
    apply(&data, policy);
    let client = data.serve(flags);
    (data, client)
}

/// The records a tool gives.
pub(super) fn records(client: &mut Client, arguments: Value) -> Vec<Value> {
    let mut asked = json!({"base": "Shop", "table": "Goods", "format": "json"});
    asked.as_object_mut().unwrap().extend(arguments.as_object().unwrap().clone());
    client.structured("list_records", asked)["records"].as_array().unwrap().clone()
}
