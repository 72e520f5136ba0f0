//! What a token reaches, what clients are told to ask for, and where tokens do not go.

use serde_json::{Value, json};

use super::issuer::{Issuer, Signer};
use super::{EVERYTHING, Served, challenge, claims};
use crate::cloud_gateway::{Downstream, Upstream};
use crate::rest::{BASE, GOODS};
use crate::support::{Data, http, serve_http};

const READ: &str = "schema.bases:read data.records:read";

fn json_of(body: &str) -> Value {
    serde_json::from_str(body).unwrap_or_else(|e| panic!("{e}: {body}"))
}

#[test]
fn clients_find_the_authorization_server() {
    let key = Signer::p256("e");
    let served = Served::with(&[&key], &["--allow-write"], &[]);
    let url = format!("http://{}", served.address);
    let at = format!("{url}/.well-known/oauth-protected-resource");
    for (path, face) in [("/mcp", "/mcp"), ("/sse", ""), ("/v0/meta/whoami", "")] {
        let answer = http(&served.address, "GET", path, &[], b"");
        assert_eq!(answer.status, 401, "{path}");
        assert_eq!(challenge(&answer, "resource_metadata"), Some(format!("{at}{face}").as_str()), "{path}");
        assert_eq!(challenge(&answer, "scope"), Some(READ), "{path}");
        assert_eq!(challenge(&answer, "error"), None, "{path}");
    }
    for face in ["", "/mcp"] {
        let path = format!("/.well-known/oauth-protected-resource{face}");
        let page = [("Origin", "https://inspector.example")];
        let answer = http(&served.address, "GET", &path, &page, b"");
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert_eq!(answer.header("Access-Control-Allow-Origin"), Some("*"));
        let document = json_of(&answer.body);
        assert_eq!(document["resource"], format!("{url}{face}"));
        assert_eq!(document["authorization_servers"], json!([served.issuer.url]));
        assert_eq!(document["bearer_methods_supported"], json!(["header"]));
        let scopes = document["scopes_supported"].to_string();
        assert!(scopes.contains("data.records:write") && !scopes.contains("schema.bases:write"), "{scopes}");
        assert!(document["resource_name"].is_string());
        let preflight = [
            ("Origin", "https://inspector.example"),
            ("Access-Control-Request-Method", "GET"),
            ("Access-Control-Request-Headers", "mcp-protocol-version"),
        ];
        let answer = http(&served.address, "OPTIONS", &path, &preflight, b"");
        assert_eq!(answer.status, 200, "{}", answer.head);
        assert!(answer.head.contains("mcp-protocol-version"), "{}", answer.head);
    }
}

#[test]
fn settings_say_what_this_server_is_called() {
    let key = Signer::p256("e");
    let settings = [
        ("TABLEWRIGHT_OAUTH_RESOURCE", "https://tables.example/all/"),
        ("TABLEWRIGHT_HTTP_PUBLIC_URL", "https://public.example"),
        ("TABLEWRIGHT_OAUTH_CLIENTS", "*"),
    ];
    let served = Served::with(&[&key], &[], &settings);
    let answer = http(&served.address, "POST", "/mcp", &[], b"");
    let metadata = "https://public.example/.well-known/oauth-protected-resource/mcp";
    assert_eq!(challenge(&answer, "resource_metadata"), Some(metadata));
    let document = http(&served.address, "GET", "/.well-known/oauth-protected-resource/mcp", &[], b"");
    assert_eq!(json_of(&document.body)["resource"], "https://tables.example/all/mcp");
    for (audience, is_ours) in [
        ("https://tables.example/all", true),
        ("https://tables.example/all/", true),
        ("https://tables.example/all/mcp", true),
        ("https://tables.example", false),
        ("https://public.example", false),
    ] {
        let token = served.token(&key, "ES256", |c| {
            c["aud"] = audience.into();
            c["client_id"] = "https://anybody.example/client.json".into();
        });
        assert_eq!(served.lets_in(&token), is_ours, "{audience}");
    }
}

#[test]
fn a_token_sees_what_its_scopes_and_the_flags_allow() {
    let key = Signer::p256("e");
    let served = Served::with(&[&key], &["--allow-write"], &[]);
    let tools = |scopes: &str| {
        let token = served.token(&key, "ES256", |c| c["scope"] = scopes.into());
        let answer = served.ask(&token, "tools/list", None, json!({}));
        assert_eq!(answer.status, 200, "{}", answer.body);
        json_of(&answer.body)["result"]["tools"].to_string()
    };
    let read = tools(READ);
    assert!(read.contains("\"list_records\"") && !read.contains("\"create_records\""), "{read}");
    let write = tools(&format!("{READ} data.records:write"));
    assert!(write.contains("\"create_records\"") && !write.contains("\"delete_records\""), "{write}");
    assert!(!tools("openid").contains("\"list_records\""));
}

#[test]
fn a_client_hears_which_scopes_a_tool_needs_on_top() {
    let key = Signer::p256("e");
    let served = Served::with(&[&key], &["--allow-write"], &[]);
    let token = served.token(&key, "ES256", |c| c["scope"] = "openid data.records:read odd\"scope".into());
    let call = |tool: &str| {
        let arguments = json!({"base": "Shop", "table": "Goods", "records": [{"Name": "Chair"}]});
        served.ask(&token, "tools/call", Some(tool), json!({"name": tool, "arguments": arguments}))
    };
    let answer = call("create_records");
    assert_eq!(answer.status, 403, "{}", answer.body);
    assert_eq!(challenge(&answer, "error"), Some("insufficient_scope"));
    assert_eq!(challenge(&answer, "scope"), Some("openid data.records:read data.records:write"));
    let metadata = format!("http://{}/.well-known/oauth-protected-resource/mcp", served.address);
    assert_eq!(challenge(&answer, "resource_metadata"), Some(metadata.as_str()));
    let body = json_of(&answer.body);
    assert_eq!((&body["id"], &body["jsonrpc"]), (&json!(7), &json!("2.0")));
    assert!(body["error"]["message"].as_str().unwrap().contains("create_records"), "{body}");
    // What no token would open is not asked for.
    for tool in ["delete_records", "no_such_tool"] {
        let answer = call(tool);
        assert_eq!((answer.status, challenge(&answer, "error")), (200, None), "{tool}: {}", answer.body);
        assert!(answer.body.contains("there is no tool"), "{}", answer.body);
    }
    // With them it works.
    let token = served.token(&key, "ES256", |c| c["scope"] = "data.records:read data.records:write".into());
    let arguments = json!({"base": BASE, "table": "Goods", "records": [{"Name": "Chair"}]});
    let params = json!({"name": "create_records", "arguments": arguments});
    let answer = served.ask(&token, "tools/call", Some("create_records"), params);
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_ne!(json_of(&answer.body)["result"]["isError"], true, "{}", answer.body);
}

#[test]
fn the_web_api_asks_for_scopes_too() {
    let key = Signer::p256("e");
    let served = Served::with(&[&key], &["--allow-write"], &[]);
    let token = served.token(&key, "ES256", |c| c["scope"] = "data.records:read".into());
    let bearer = format!("Bearer {token}");
    let headers = [("Authorization", bearer.as_str()), ("Content-Type", "application/json")];
    let goods = format!("/v0/{BASE}/{GOODS}");
    assert_eq!(http(&served.address, "GET", &goods, &headers, b"").status, 200);
    let body = json!({"fields": {"Name": "Chair"}}).to_string();
    let answer = http(&served.address, "POST", &goods, &headers, body.as_bytes());
    assert_eq!(answer.status, 403, "{}", answer.body);
    assert_eq!(challenge(&answer, "error"), Some("insufficient_scope"));
    assert_eq!(challenge(&answer, "scope"), Some("data.records:read data.records:write"));
    // The flags do not allow it, whatever the scopes.
    let answer = http(&served.address, "POST", "/v0/meta/bases", &headers, b"{}");
    assert_eq!(challenge(&answer, "error"), None, "{} {}", answer.status, answer.body);
    // What is not there is no matter of scopes.
    let answer = http(&served.address, "GET", &format!("/v0/{BASE}/Nothing"), &headers, b"");
    assert_eq!((answer.status, challenge(&answer, "error")), (403, None), "{}", answer.body);
}

#[test]
fn without_an_authorization_server_nothing_is_said_of_one() {
    let data = Data::with_shop();
    let server = serve_http(&data, &EVERYTHING);
    let answer = http(&server.address, "POST", "/mcp", &[], b"");
    assert_eq!(answer.header("WWW-Authenticate"), Some("Bearer realm=\"tablewright\""));
    let answer = http(&server.address, "GET", "/v0/meta/whoami", &[("Authorization", "Bearer a.b.c")], b"");
    assert_eq!((answer.status, answer.header("WWW-Authenticate")), (401, None));
    for face in ["", "/mcp"] {
        let path = format!("/.well-known/oauth-protected-resource{face}");
        assert_eq!(http(&server.address, "GET", &path, &[], b"").status, 404);
    }
}

#[test]
fn our_own_tokens_are_let_in_beside_them() {
    let key = Signer::p256("e");
    let served = Served::new(&[&key]);
    let own = served.data.ok(&["token", "create", "--name", "own"]).trim().to_owned();
    assert_eq!(served.whoami(&own).status, 200);
    assert_eq!(served.issuer.asked(), [""; 0], "ours are nothing to ask about");
}

#[test]
fn tokens_are_not_passed_on_to_airtable() {
    let key = Signer::p256("e");
    let issuer = Issuer::start(&[&key]);
    // It lets in its own token alone.
    let up = Upstream::over(Data::with_shop(), (BASE, "Shop"), &[]);
    let setting = format!("[oauth]\nissuer = \"{}\"\nclients = [\"robot\"]", issuer.url);
    let down = Downstream::new(&up, None).with(&setting).listen();
    let scope = "data.records:read data.records:write data.recordComments:read";
    let token = key.token("ES256", &claims(&issuer, &down.address, scope));
    let bearer = format!("Bearer {token}");
    let headers = [("Authorization", bearer.as_str()), ("Content-Type", "application/json")];
    let goods = format!("/v0/{BASE}/{GOODS}");
    let read = http(&down.address, "GET", &format!("{goods}?recordMetadata[]=commentCount"), &headers, b"");
    assert_eq!((read.status, read.header("x-tablewright-source")), (200, Some("live")), "{}", read.body);
    let body = json!({"fields": {"Name": "Chair"}}).to_string();
    let written = http(&down.address, "POST", &goods, &headers, body.as_bytes());
    assert_eq!(written.status, 200, "{}", written.body);
}
