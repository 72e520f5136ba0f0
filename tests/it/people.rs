//! Workspaces, their members, and what becomes of tokens, over every face.

mod inviting;
mod managing;
mod roles;
mod zones;

use std::ops::Deref;

use serde_json::{Value, json};

use crate::support::{Answer, Client, Data, http, listen, root};

pub(super) const SHOP: &str = "appShop0000000000";
pub(super) const LAMP: &str = "/v0/appShop0000000000/Goods/recLamp0000000000";
pub(super) const ALL: [&str; 6] =
    ["--allow-write", "--allow-delete", "--allow-schema", "--allow-admin", "--allow-audit", "--toolsets"];

/// A server with two workspaces: the shop is in Sales, a second base in the first one.
pub(crate) struct Office {
    pub(crate) data: Data,
    port: Port,
    _server: Client,
}

/// Where its server listens.
#[derive(Clone)]
pub(crate) struct Port {
    pub(crate) address: String,
}

impl Deref for Office {
    type Target = Port;

    fn deref(&self) -> &Port {
        &self.port
    }
}

impl Office {
    pub(crate) fn open() -> Self {
        Self::with("")
    }

    /// With these settings.
    pub(crate) fn with(settings: &str) -> Self {
        let data = Data::with_shop();
        let text = std::fs::read_to_string(root().join("tests/fixtures/shop.json")).unwrap();
        let other = text.replace(SHOP, "appOther000000000").replace("\"Shop\"", "\"Ledger\"");
        let file = data.path().join("ledger.json");
        std::fs::write(&file, other).unwrap();
        data.import(&file);
        data.ok(&["workspace", "create", "Sales"]);
        data.ok(&["workspace", "move", "Shop", "sales"]);
        let config = data.path().join("settings.toml");
        std::fs::write(&config, settings).unwrap();
        let config = config.display().to_string();
        let flags: Vec<&str> = ALL.iter().copied().chain(["all", "--config", &config]).collect();
        let (server, address) = listen(&data, &flags, &[]);
        Self { data, port: Port { address }, _server: server }
    }

    /// Makes a service account with a role in Sales; a token of its own.
    pub(crate) fn service(&self, name: &str, role: &str) -> String {
        self.data.ok(&["member", "service", name, "--workspace", "Sales", "--role", role]);
        self.data.ok(&["token", "create", "--name", name, "--for", name]).trim().to_owned()
    }

    /// The link of an invitation to Sales.
    pub(crate) fn invite(&self, email: &str, role: &str) -> String {
        let link = self.data.ok(&["member", "invite", email, "--workspace", "Sales", "--role", role]);
        let link = link.trim();
        let (origin, path) = link.split_at(link.find("/invitation").unwrap());
        assert!(origin.starts_with("http://"), "{link}");
        path.to_owned()
    }
}

impl Port {
    /// Accepts an invitation; the token that comes with it.
    pub(crate) fn accept(&self, link: &str, name: &str) -> String {
        let answer = self.submit(link, name);
        assert_eq!(answer.status, 200, "{}", answer.body);
        let at = answer.body.find("twk_").unwrap();
        answer.body[at..].split('<').next().unwrap().to_owned()
    }

    pub(crate) fn submit(&self, link: &str, name: &str) -> Answer {
        let code = link.split_once("code=").unwrap().1;
        let body = format!("code={code}&name={}", name.replace(' ', "+"));
        let kind = [("Content-Type", "application/x-www-form-urlencoded")];
        http(&self.address, "POST", "/invitation", &kind, body.as_bytes())
    }

    pub(crate) fn send(&self, token: &str, method: &str, path: &str, body: &Value) -> Answer {
        let bearer = format!("Bearer {token}");
        let headers = [("Authorization", bearer.as_str()), ("Content-Type", "application/json")];
        let body = if body.is_null() { String::new() } else { body.to_string() };
        http(&self.address, method, path, &headers, body.as_bytes())
    }

    pub(crate) fn get(&self, token: &str, path: &str) -> Answer {
        self.send(token, "GET", path, &Value::Null)
    }

    pub(crate) fn update(&self, token: &str) -> u16 {
        self.send(token, "PATCH", LAMP, &json!({"fields": {"Stock": 5}})).status
    }

    /// What a tool answers over MCP.
    pub(crate) fn tool(&self, token: &str, name: &str, arguments: &Value) -> Value {
        let bearer = format!("Bearer {token}");
        let meta = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
            "io.modelcontextprotocol/clientCapabilities": {}
        });
        let body = json!({
            "jsonrpc": "2.0", "id": 1, "method": "tools/call",
            "params": {"name": name, "arguments": arguments, "_meta": meta}
        });
        let headers = [
            ("Authorization", bearer.as_str()),
            ("Content-Type", "application/json"),
            ("Accept", "application/json, text/event-stream"),
            ("MCP-Protocol-Version", "2026-07-28"),
            ("Mcp-Method", "tools/call"),
            ("Mcp-Name", name),
        ];
        let answer = http(&self.address, "POST", "/mcp", &headers, body.to_string().as_bytes());
        let answer: Value = serde_json::from_str(&answer.body).unwrap();
        answer["result"].clone()
    }

    /// What a tool refuses with.
    pub(crate) fn refused(&self, token: &str, name: &str, arguments: &Value) -> String {
        let answer = self.tool(token, name, arguments);
        assert_eq!(answer["isError"], json!(true), "{name}: {answer}");
        answer["content"][0]["text"].as_str().unwrap().to_owned()
    }

    /// The structured answer of a tool that goes well.
    pub(crate) fn done(&self, token: &str, name: &str, arguments: &Value) -> Value {
        let answer = self.tool(token, name, arguments);
        assert_ne!(answer["isError"], json!(true), "{name}: {answer}");
        answer["structuredContent"].clone()
    }

    /// Names of the bases a token sees over `/v0`, and what it may do in each.
    pub(crate) fn bases(&self, token: &str) -> Vec<(String, String)> {
        let answer = self.get(token, "/v0/meta/bases");
        assert_eq!(answer.status, 200, "{}", answer.body);
        let listed: Value = serde_json::from_str(&answer.body).unwrap();
        let of = |base: &Value, key: &str| base[key].as_str().unwrap().to_owned();
        listed["bases"]
            .as_array()
            .unwrap()
            .iter()
            .map(|base| (of(base, "name"), of(base, "permissionLevel")))
            .collect()
    }
}

/// What a command says when it fails.
pub(super) fn fails(data: &Data, words: &[&str]) -> String {
    let output = data.run(words);
    assert!(!output.status.success(), "{words:?}");
    String::from_utf8(output.stderr).unwrap()
}
