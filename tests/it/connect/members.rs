//! Members who connect their own Airtable accounts: what is done for them there is theirs.

use serde_json::{Value, json};

use super::oauth::{here, of};
use super::server::OAuth;
use super::{Here, Upstream, said};
use crate::people::Port;
use crate::rest::ALL_SCOPES;
use crate::support::{Answer, Client, http};

const LAMP: &str = "/v0/appShop0000000000/Goods/recLamp0000000000";

/// Airtable, a server with the copy of a base in it, and two members with a token each.
struct Shared {
    upstream: Upstream,
    here: Here,
    port: Port,
    _server: Client,
    ann: String,
    bo: String,
}

fn writer(upstream: &Upstream, name: &str) -> String {
    upstream.data.ok(&["token", "create", "--name", name, "--scopes", ALL_SCOPES]).trim().to_owned()
}

impl Shared {
    fn open(accounts: &[&str]) -> Self {
        let upstream = Upstream::new();
        let oauth = OAuth::start(accounts.iter().map(|name| writer(&upstream, name)).collect());
        let here = here(&upstream, &oauth);
        here.connect("common", &writer(&upstream, "common"));
        here.ok(&["connect", "--name", "common", "--base", "Shop"]);
        let member = |name: &str| {
            here.ok(&["member", "service", name, "--role", "editor"]);
            here.ok(&["token", "create", "--name", name, "--for", name]).trim().to_owned()
        };
        let (ann, bo) = (member("ann"), member("bo"));
        let args = ["serve", "--http", "127.0.0.1:0", "--allow-write", "--toolsets", "all"];
        let mut server = Client::start(here.command(&args));
        let line = loop {
            let line = server.error_line();
            if line.contains("serving MCP on") {
                break line;
            }
        };
        let address = line.split("http://").nth(1).unwrap().split("/mcp").next().unwrap().to_owned();
        here.ok(&["sync"]);
        Self { upstream, here, port: Port { address }, _server: server, ann, bo }
    }

    /// The path of a link of the tool.
    fn link(&self, token: &str) -> String {
        let made = self.port.done(token, "connect_airtable", &json!({}));
        let link = made["link"].as_str().unwrap();
        link[link.find("/airtable").unwrap()..].to_owned()
    }

    fn press(&self, link: &str) -> Answer {
        let code = link.split_once('?').unwrap().1;
        let form = [("Content-Type", "application/x-www-form-urlencoded")];
        http(&self.port.address, "POST", "/airtable/connect", &form, code.as_bytes())
    }

    /// Presses the button; the browser's cookie, and where it goes on.
    fn begin(&self, link: &str) -> (String, String) {
        let page = self.press(link);
        assert_eq!(page.status, 200, "{}", page.body);
        let set = page.header("set-cookie").unwrap();
        assert!(set.contains("HttpOnly") && set.contains("SameSite=Lax"), "{set}");
        let cookie = set.split(';').next().unwrap().to_owned();
        let url = page.body.split("href=\"http").nth(1).unwrap().split('"').next().unwrap();
        (cookie, format!("http{}", url.replace("&amp;", "&")))
    }

    fn back(&self, cookie: &str, query: &str) -> Answer {
        http(&self.port.address, "GET", &format!("/airtable/callback?{query}"), &[("Cookie", cookie)], b"")
    }

    fn connect(&self, token: &str) {
        let (cookie, url) = self.begin(&self.link(token));
        let page = self.back(&cookie, &format!("code=the-code&state={}", of(&url, "state")));
        assert!(page.status == 200 && page.body.contains("Connected"), "{}", page.body);
    }

    fn update(&self, token: &str, stock: u32) -> Answer {
        self.port.send(token, "PATCH", LAMP, &json!({"fields": {"Stock": stock}}))
    }

    /// How many records each login has written in Airtable.
    fn written(&self, login: &str) -> u64 {
        let lines = self.upstream.data.ok(&["audit", "export"]);
        let lines = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let of = lines.filter(|line| line["principal"] == json!(format!("token:{login}")));
        of.map(|line| line["written"].as_u64().unwrap_or_default()).sum()
    }
}

#[test]
fn what_is_written_for_a_member_is_written_with_their_account() {
    let shared = Shared::open(&["ann-account"]);
    assert_eq!(shared.update(&shared.ann, 10).status, 200);
    assert_eq!((shared.written("common"), shared.written("ann-account")), (1, 0));
    let link = shared.link(&shared.ann);
    for _ in 0..2 {
        let page = http(&shared.port.address, "GET", &link, &[], b"");
        assert!(page.status == 200 && page.body.contains("service:ann"), "{}", page.body);
        assert!(page.header("content-security-policy").is_some());
    }
    shared.connect(&shared.ann);
    assert_eq!(shared.update(&shared.ann, 11).status, 200);
    assert_eq!(shared.update(&shared.bo, 12).status, 200);
    assert_eq!((shared.written("common"), shared.written("ann-account")), (2, 1));
    // Many at once: records of different accounts never share a request.
    std::thread::scope(|scope| {
        for n in 0..12 {
            let (port, token) = (shared.port.clone(), if n % 2 == 0 { &shared.ann } else { &shared.bo });
            scope.spawn(move || {
                let made = json!({"records": [{"fields": {"Name": format!("{n}")}}]});
                let answer = port.send(token, "POST", "/v0/appShop0000000000/Goods", &made);
                assert_eq!(answer.status, 200, "{}", answer.body);
            });
        }
    });
    assert_eq!((shared.written("common"), shared.written("ann-account")), (8, 7));
    // What only Airtable can answer is asked with it too, and comments are.
    let view = "/v0/appShop0000000000/Goods?view=viwCheap000000000";
    assert_eq!(shared.port.get(&shared.ann, view).status, 200);
    let comment = json!({"text": "mine"});
    let made = shared.port.send(&shared.ann, "POST", &format!("{LAMP}/comments"), &comment);
    assert!(made.body.contains("annaccount@"), "Airtable says whose comment it is: {}", made.body);
    let listed = shared.here.ok(&["connect", "--list"]);
    assert!(listed.contains("member.usr"), "{listed}");
    // Taken back in Airtable: said so, and nothing goes out with another account instead.
    shared.upstream.data.ok(&["token", "revoke", "ann-account"]);
    let refused = shared.update(&shared.ann, 13);
    assert!(refused.status >= 400, "{}", refused.body);
    let records = json!([{"id": "recLamp0000000000", "fields": {"Stock": 13}}]);
    let asked = json!({"base": "Shop", "table": "Goods", "records": records});
    let told = shared.port.tool(&shared.ann, "update_records", &asked).to_string();
    assert!(told.contains("connect_airtable"), "{told}");
    assert_eq!(shared.update(&shared.bo, 14).status, 200);
    assert_eq!((shared.written("common"), shared.written("ann-account")), (9, 7));
    shared.here.ok(&["member", "remove", "ann"]);
    assert!(!shared.here.ok(&["connect", "--list"]).contains("member.usr"));
}

#[test]
fn a_login_ends_in_the_browser_that_began_it_once() {
    let shared = Shared::open(&["ann-account", "other-account"]);
    let link = shared.link(&shared.ann);
    let (cookie, url) = shared.begin(&link);
    assert!(of(&url, "redirect_uri").ends_with("/airtable/callback"), "{url}");
    assert_eq!(shared.press(&link).status, 404, "a link works once");
    let good = format!("code=the-code&state={}", of(&url, "state"));
    for wrong in ["", "tablewright_airtable=x", "tablewright_console=x"] {
        assert_eq!(shared.back(wrong, &good).status, 404, "{wrong}: not the browser that began it");
    }
    let (bo, _) = shared.begin(&shared.link(&shared.bo));
    assert_eq!(shared.back(&bo, &good).status, 404, "the state is that of another login");
    assert_eq!(shared.back(&cookie, &good).status, 200);
    assert_eq!(shared.back(&cookie, &good).status, 404, "nor does what comes back work twice");
    let (cookie, url) = shared.begin(&shared.link(&shared.bo));
    let denied = format!("error=access_denied&state={}", of(&url, "state"));
    assert!(shared.back(&cookie, &denied).body.contains("access_denied"));
    for path in ["/airtable/connect", "/airtable/connect?code=x", "/airtable/callback"] {
        assert_eq!(http(&shared.port.address, "GET", path, &[], b"").status, 404, "{path}");
    }
    assert_eq!(shared.update(&shared.bo, 20).status, 200);
    assert_eq!(shared.written("common"), 1, "who did not connect an account writes with that of the base");
    // A person gives a member a login by name.
    shared.here.connect("desk", &writer(&shared.upstream, "desk"));
    assert!(shared.here.refused(&["member", "login", "bo", "dek"]).contains("desk"));
    shared.here.ok(&["member", "login", "bo", "desk"]);
    assert_eq!(shared.update(&shared.bo, 21).status, 200);
    shared.here.ok(&["member", "login", "bo"]);
    assert_eq!(shared.update(&shared.bo, 22).status, 200);
    assert_eq!((shared.written("desk"), shared.written("common")), (1, 2));
    let plain = shared.here.ok(&["token", "create", "--name", "plain"]);
    let told = shared.port.refused(plain.trim(), "connect_airtable", &json!({}));
    assert!(told.contains("only a member"), "{told}");
    let output = shared.here.run(&["member", "remove", "bo"]);
    assert!(output.status.success(), "{}", said(&output));
    assert!(shared.here.ok(&["connect", "--list"]).contains("desk"), "what was made by name stays");
}

#[test]
fn a_base_that_two_workspaces_could_reach_is_in_one_of_them() {
    let shared = Shared::open(&[]);
    let here = &shared.here;
    here.ok(&["workspace", "create", "Sales"]);
    here.connect("desk", &writer(&shared.upstream, "desk"));
    here.ok(&["workspace", "login", "desk", "Sales"]);
    here.ok(&["member", "service", "sally", "--workspace", "Sales", "--role", "owner"]);
    let sally = here.ok(&["token", "create", "--name", "sally", "--for", "sally"]).trim().to_owned();
    let sees = |token: &str| shared.port.get(token, "/v0/meta/bases").body.contains("Shop");
    assert!(sees(&shared.ann) && !sees(&sally));
    let refused = here.refused(&["connect", "--name", "desk", "--base", "Shop"]);
    assert!(refused.contains("\"Home\"") && refused.contains("\"Sales\""), "{refused}");
    assert_eq!(here.json(&["connect", "--name", "desk", "--all"])["copied"], json!([]));
    assert!(sees(&shared.ann) && !sees(&sally), "nothing has changed");
    here.ok(&["workspace", "move", "Shop", "Sales"]);
    assert!(!sees(&shared.ann) && sees(&sally), "it goes with its login");
    assert_eq!(shared.update(&shared.ann, 1).status, 403);
    here.ok(&["connect", "--name", "desk", "--base", "Shop"]);
    here.ok(&["disconnect", "common"]);
    assert!(!sees(&shared.ann) && sees(&sally));
    assert!(here.refused(&["workspace", "delete", "Sales"]).contains("1 logins are in it"));
}

#[test]
fn who_may_write_elsewhere_alone_adds_no_file_here() {
    let shared = Shared::open(&[]);
    let here = &shared.here;
    here.ok(&["workspace", "create", "Sales"]);
    here.ok(&["member", "service", "eve", "--role", "reader"]);
    let words = ["token", "create", "--name", "eve", "--for", "eve", "--scopes", ALL_SCOPES];
    let eve = here.ok(&words).trim().to_owned();
    here.ok(&["member", "role", "eve", "--workspace", "Sales", "--role", "owner"]);
    let file = |record: &str| json!({"base": "Shop", "table": "Goods", "record": record, "field": "Files", "text": "x", "filename": "a.txt"});
    let told = shared.port.refused(&eve, "upload_attachment", &file("recLamp0000000000"));
    assert!(told.contains("the role reader in its workspace does not allow it"), "{told}");
    shared.port.done(&shared.ann, "upload_attachment", &file("recLamp0000000000"));
    let policy = here.data.path().join("policy.toml");
    let rule = "version = 1\ndefault = \"allow\"\n[[rows]]\nwho = [\"service:ann\"]\nbase = \"Shop\"\ntable = \"Goods\"\nkeep = \"{Name} = 'Desk'\"\n";
    std::fs::write(&policy, rule).unwrap();
    here.ok(&["policy", "apply", policy.to_str().unwrap()]);
    let told = shared.port.refused(&shared.ann, "upload_attachment", &file("recLamp0000000000"));
    let never = shared.port.refused(&shared.ann, "upload_attachment", &file("recNever000000000"));
    assert_eq!(told.replace("recLamp0000000000", "recNever000000000"), never);
    let more = "[[deny]]\nwho = [\"service:ann\"]\nverbs = [\"update\"]\nbase = \"Shop\"\ntables = [\"Goods\"]\nfields = [\"Files\"]\n";
    std::fs::write(&policy, format!("{rule}{more}")).unwrap();
    here.ok(&["policy", "apply", policy.to_str().unwrap()]);
    let told = shared.port.refused(&shared.ann, "upload_attachment", &file("recDesk0000000000"));
    assert!(told.contains("you may not change the field \"Files\""), "{told}");
}
