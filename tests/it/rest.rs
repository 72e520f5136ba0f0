//! The REST face, spoken to as Airtable's clients speak to Airtable.

mod attachments;
mod comments;
mod limits;
mod list;
mod meta;
mod records;
mod refusals;
mod text;

use serde_json::{Value, json};

use crate::support::{Answer, Data, HttpServer, http, root, serve_http};

pub const BASE: &str = "appShop0000000000";
pub const GOODS: &str = "tblGoods000000000";
pub const LAMP: &str = "recLamp0000000000";
pub const ALL_SCOPES: &str = "data.records:read,data.records:write,data.recordComments:read,data.recordComments:write,schema.bases:read,schema.bases:write,webhook:manage,user.email:read";

/// A server over the shop, and a token for everything its flags allow.
pub struct Rest {
    pub data: Data,
    server: HttpServer,
    token: String,
}

impl Rest {
    pub fn new(args: &[&str]) -> Self {
        Self::over(Data::with_shop(), args)
    }

    /// With everything allowed.
    pub fn open() -> Self {
        Self::new(&["--allow-write", "--allow-delete", "--allow-schema"])
    }

    /// Over the base with a field of every type, with writing allowed.
    pub fn workshop() -> Self {
        let data = Data::new();
        data.import(&root().join("tests/fixtures/workshop.json"));
        Self::over(data, &["--allow-write"])
    }

    pub fn over(data: Data, args: &[&str]) -> Self {
        let token = data.ok(&["token", "create", "--name", "rest", "--scopes", ALL_SCOPES]).trim().to_owned();
        let server = serve_http(&data, args);
        Self { data, server, token }
    }

    /// The same server for the holder of another token.
    pub fn with_scopes(self, name: &str, scopes: &str) -> Self {
        let token = self.data.ok(&["token", "create", "--name", name, "--scopes", scopes]).trim().to_owned();
        Self { token, ..self }
    }

    pub fn address(&self) -> &str {
        &self.server.address
    }

    pub fn token(&self) -> &str {
        &self.token
    }

    /// A request exactly as given; `path` from `/v0` on.
    pub fn raw(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        http(&self.server.address, method, path, headers, body)
    }

    pub fn send(&self, method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
        let bearer = format!("Bearer {}", self.token);
        let mut headers = vec![("Authorization", bearer.as_str())];
        let body = body.map(Value::to_string).unwrap_or_default();
        if !body.is_empty() {
            headers.push(("Content-Type", "application/json"));
        }
        let answer = self.raw(method, path, &headers, body.as_bytes());
        let json =
            serde_json::from_str(&answer.body).unwrap_or_else(|e| panic!("{path}: {e}: {}", answer.body));
        (answer.status, json)
    }

    /// A `GET` that succeeds.
    pub fn get(&self, path: &str) -> Value {
        let (status, json) = self.send("GET", path, None);
        assert_eq!(status, 200, "{path}: {json}");
        json
    }

    /// A request with a body that succeeds.
    pub fn ok(&self, method: &str, path: &str, body: Value) -> Value {
        let (status, json) = self.send(method, path, Some(&body));
        assert_eq!(status, 200, "{method} {path}: {json}");
        json
    }

    /// A request without a body that is refused: status, type and message.
    pub fn refused(&self, method: &str, path: &str) -> (u16, String, String) {
        let (status, json) = self.send(method, path, None);
        refusal(status, &json)
    }

    /// A request with a body that is refused: status, type and message.
    pub fn refused_with(&self, method: &str, path: &str, body: Value) -> (u16, String, String) {
        let (status, json) = self.send(method, path, Some(&body));
        refusal(status, &json)
    }
}

fn refusal(status: u16, json: &Value) -> (u16, String, String) {
    assert!(status >= 400, "{json}");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    match &json["error"] {
        Value::String(kind) => (status, kind.clone(), String::new()),
        error => (status, text(&error["type"]), text(&error["message"])),
    }
}

/// `/v0/{base}/{table}` and what follows.
pub fn path(rest: &str) -> String {
    format!("/v0/{BASE}/{GOODS}{rest}")
}

/// A table of the base with a field of every type, and what follows.
pub fn parts(rest: &str) -> String {
    format!("/v0/appWorkshop000000/Parts{rest}")
}

/// The names of the records of a list.
pub fn names(list: &Value) -> Vec<String> {
    list["records"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["fields"]["Name"].as_str().unwrap_or("").into())
        .collect()
}

/// Makes records `n0`, `n1`, … with their number as the stock.
pub fn fill(rest: &Rest, count: usize) {
    for first in (0..count).step_by(10) {
        let records: Vec<Value> = (first..count.min(first + 10))
            .map(|n| json!({"fields": {"Name": format!("n{n}"), "Stock": n}}))
            .collect();
        rest.ok("POST", &path(""), json!({ "records": records }));
    }
}
