//! The shop in a gateway that stands for Airtable, and a data directory with a copy of it.

use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::support::{Client, Data, HttpServer, serve_http, signal};

const ALL: [&str; 3] = ["--allow-write", "--allow-delete", "--allow-schema"];

/// A gateway in the place of Airtable, with the shop in it.
pub struct Upstream {
    pub data: Data,
    server: HttpServer,
}

impl Upstream {
    pub fn new() -> Self {
        let data = Data::with_shop();
        let server = serve_http(&data, &ALL);
        Self { data, server }
    }

    pub fn address(&self) -> &str {
        &self.server.address
    }

    /// A client that may do everything there.
    pub fn writer(&self) -> Client {
        self.data.serve(&ALL).initialize()
    }

    pub fn kill(&self) {
        assert!(signal(self.server.client.child.id(), "KILL"));
    }

    /// A data directory with a copy of the shop.
    pub fn copied(&self) -> Copied {
        self.copied_from(&format!("http://{}", self.server.address))
    }

    /// The same, reached at another address.
    pub fn copied_from(&self, endpoint: &str) -> Copied {
        let data = Data::new();
        let (endpoint, token) = (endpoint.to_owned(), self.server.token.clone());
        let copied = Copied { data, endpoint, token, variables: Vec::new() };
        let done = copied.run(&["connect", "--name", "environment", "--base", "appShop0000000000", "--yes"]);
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        copied
    }
}

/// A data directory with the copy of a base that lives upstream.
pub struct Copied {
    pub data: Data,
    endpoint: String,
    token: String,
    variables: Vec<(&'static str, &'static str)>,
}

impl Copied {
    pub fn with(mut self, name: &'static str, value: &'static str) -> Self {
        self.variables.push((name, value));
        self
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = self.data.command(args);
        command.env("AIRTABLE_ENDPOINT_URL", &self.endpoint).env("AIRTABLE_API_KEY", &self.token);
        command.env("TABLEWRIGHT_SYNC_WAIT_SECONDS", "5").env("TABLEWRIGHT_AIRTABLE_PATIENCE_SECONDS", "3");
        command.envs(self.variables.iter().copied());
        command
    }

    pub fn run(&self, args: &[&str]) -> Output {
        self.command(args).stdin(Stdio::null()).output().unwrap()
    }

    pub fn serve(&self, args: &[&str]) -> Client {
        let mut all = vec!["serve"];
        all.extend(args);
        Client::start(self.command(&all))
    }

    /// A client with every toolset, once everything is copied.
    pub fn reader(&self) -> Client {
        let mut client = self.serve(&["--toolsets", "all", "--no-daemon"]).initialize();
        client.structured("sync_base", json!({"base": "Shop"}));
        client
    }
}

/// Writes cells of a record of the shop.
pub fn set(writer: &mut Client, table: &str, record: &str, fields: Value) {
    let records = json!([{"id": record, "fields": fields}]);
    writer.structured("update_records", json!({"base": "Shop", "table": table, "records": records}));
}
