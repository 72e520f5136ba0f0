//! That the proxy does what it says, before the program itself.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Edit, Fault, Hostile, Kind, PAYLOADS, Plan};
use crate::rest::{BASE, Rest, path};
use crate::support::{Answer, http};

/// The shop behind a proxy.
struct Rig {
    rest: Rest,
    hostile: Hostile,
}

impl Rig {
    fn new(plan: Plan) -> Self {
        let rest = Rest::open();
        let hostile = Hostile::before(rest.address(), plan);
        Self { rest, hostile }
    }

    fn send(&self, method: &str, path: &str, body: &str) -> Answer {
        let bearer = format!("Bearer {}", self.rest.token());
        let mut headers = vec![("Authorization", bearer.as_str())];
        if !body.is_empty() {
            headers.push(("Content-Type", "application/json"));
        }
        http(&self.hostile.address, method, path, &headers, body.as_bytes())
    }

    fn create(&self, name: &str) -> Answer {
        self.send("POST", &path(""), &json!({"records": [{"fields": {"Name": name}}]}).to_string())
    }

    /// How many records of a name the server has.
    fn count(&self, name: &str) -> usize {
        let found = self.rest.get(&path(&format!("?filterByFormula=Name%3D'{name}'")));
        found["records"].as_array().unwrap().len()
    }

    fn json(&self, method: &str, path: &str, body: &str) -> (u16, Value) {
        let answer = self.send(method, path, body);
        (answer.status, serde_json::from_str(&answer.body).unwrap_or(Value::Null))
    }
}

fn create_with(fault: Fault) -> (Rig, Answer) {
    let rig = Rig::new(Plan::scripted(&[(Kind::Create, 0, fault)]));
    let answer = rig.create("first");
    let entry = rig.hostile.log()[0].clone();
    assert_eq!((entry.kind, entry.fault), (Kind::Create, Some(fault)));
    assert_eq!(entry.took_effect(), rig.count("first") == 1, "{fault:?}");
    (rig, answer)
}

#[test]
fn what_fails_before_has_no_effect() {
    for fault in [Fault::ErrorBefore, Fault::ResetBefore, Fault::RateLimit] {
        let (rig, answer) = create_with(fault);
        assert_ne!(answer.status, 200);
        assert_eq!(rig.count("first"), 0, "{fault:?}");
    }
}

#[test]
fn what_fails_after_has_its_effect_and_no_usable_answer() {
    for fault in
        [Fault::ErrorAfter, Fault::ResetInHead, Fault::ResetInBody, Fault::TruncatedJson, Fault::ShortBody]
    {
        let (rig, answer) = create_with(fault);
        assert_eq!(rig.count("first"), 1, "{fault:?}");
        assert!(serde_json::from_str::<Value>(&answer.body).is_err() || answer.status >= 500, "{fault:?}");
        assert_eq!(rig.create("second").status, 200, "the next one goes well");
        assert_eq!(rig.hostile.faults(), [(fault, 1)].into());
    }
    let (_, slow) = create_with(Fault::SlowBody);
    assert!(slow.body.contains("first"), "{}", slow.body);
}

#[test]
fn a_penalty_holds_for_the_base_and_ends() {
    let mut plan = Plan::scripted(&[(Kind::List, 1, Fault::RateLimit)]);
    plan.penalty = Duration::from_millis(300);
    let rig = Rig::new(plan);
    assert_eq!(rig.send("GET", &path(""), "").status, 200);
    let refused = rig.send("GET", &path(""), "");
    assert_eq!(refused.status, 429);
    assert!(refused.body.contains("\"errors\":[{\"error\":\"RATE_LIMIT_REACHED\""), "{}", refused.body);
    assert_eq!(rig.create("early").status, 429, "everything for the base");
    assert_eq!(rig.send("GET", "/v0/meta/whoami", "").status, 200, "but nothing else");
    while rig.create("later").status == 429 {}
    assert_eq!((rig.count("early"), rig.count("later")), (0, 1));
    assert_eq!(rig.hostile.refused_by_upstream(), 0, "the server knows nothing of it");
}

#[test]
fn the_same_seed_decides_the_same() {
    let faults: Vec<Fault> = super::ANYWHERE.into_iter().chain(PAYLOADS).collect();
    let told = |seed| {
        let plan = Plan::mixed(seed, &faults, 0.03);
        let kinds = [Kind::List, Kind::Create, Kind::Payloads];
        kinds.map(|kind| (0..200).map(|n| plan.decide(kind, n)).collect::<Vec<_>>())
    };
    assert_eq!(told(7), told(7));
    assert_ne!(told(7), told(8));
    let [lists, creates, payloads] = told(7);
    assert_ne!(lists, creates);
    let share = |of: &[(Option<Fault>, u64)]| of.iter().filter(|(fault, _)| fault.is_some()).count();
    assert!((25..85).contains(&share(&lists)), "27 of 100: {}", share(&lists));
    assert!(share(&payloads) > share(&lists), "more can happen to payloads");
}

#[test]
fn offsets_lapse_and_schemas_change_under_a_list() {
    let mut plan = Plan::scripted(&[
        (Kind::NextPage, 0, Fault::ExpiredOffset),
        (Kind::List, 1, Fault::SchemaChange),
        (Kind::List, 2, Fault::SchemaChange),
    ]);
    let rig = Rig::new(Plan::calm());
    plan.edits.push_back(Edit {
        token: rig.rest.token().to_owned(),
        method: "POST",
        path: format!("/v0/meta/bases/{BASE}/tables/Goods/fields"),
        body: json!({"name": "Late", "type": "singleLineText"}),
    });
    rig.hostile.follow(plan);
    let (_, first) = rig.json("GET", &path("?pageSize=1"), "");
    let next = path(&format!("?pageSize=1&offset={}", first["offset"].as_str().unwrap()));
    let (status, lapsed) = rig.json("GET", &next, "");
    assert_eq!((status, &lapsed["error"]["type"]), (422, &json!("LIST_RECORDS_ITERATOR_NOT_AVAILABLE")));
    let fields =
        || rig.rest.get(&format!("/v0/meta/bases/{BASE}/tables")).to_string().matches("Late").count();
    assert_eq!(fields(), 0);
    assert_eq!(rig.send("GET", &path("?pageSize=1"), "").status, 200);
    assert_eq!(fields(), 1);
    assert_eq!(rig.send("GET", &path("?pageSize=1"), "").status, 200);
    let wanted = [(Fault::ExpiredOffset, 1), (Fault::SchemaChange, 1)];
    assert_eq!(rig.hostile.faults(), wanted.into(), "there is one edit");
}

#[test]
fn clocks_can_be_off() {
    let rig = Rig::new(Plan { skew_ms: -300_000, ..Plan::calm() });
    let date = |answer: &Answer| {
        let line = answer.head.lines().find_map(|line| line.strip_prefix("date: ")).unwrap().to_owned();
        jiff::fmt::rfc2822::parse(&line).unwrap().timestamp().as_second()
    };
    let answer = rig.send("GET", &path("?pageSize=1"), "");
    let off = date(&answer) - jiff::Timestamp::now().as_second();
    assert!((-320..=-300).contains(&off), "{off}");
}

const HOOKS: &str = "/v0/bases/appShop0000000000/webhooks";

/// A webhook with three payloads; its path.
fn with_payloads(rig: &Rig) -> String {
    let wanted = json!({"specification": {"options": {"filters": {"dataTypes": ["tableData"]}}}});
    let (status, made) = rig.json("POST", HOOKS, &wanted.to_string());
    assert_eq!(status, 200, "{made}");
    for name in ["a", "b", "c"] {
        assert_eq!(rig.create(name).status, 200);
    }
    format!("{HOOKS}/{}", made["id"].as_str().unwrap())
}

#[test]
fn payloads_repeat_are_lost_and_renumbered() {
    let rig = Rig::new(Plan::calm());
    let hook = with_payloads(&rig);
    let page = |cursor: i64| {
        let (status, page) = rig.json("GET", &format!("{hook}/payloads?cursor={cursor}"), "");
        assert_eq!(status, 200, "{page}");
        (page["payloads"].as_array().unwrap().len(), page["cursor"].as_i64().unwrap())
    };
    assert_eq!(page(1), (3, 4));
    for (fault, wanted) in
        [(Fault::DuplicatePayload, (4, 4)), (Fault::MissingPayload, (2, 4)), (Fault::HiddenGap, (2, 3))]
    {
        rig.hostile.follow(Plan::scripted(&[(Kind::Payloads, 0, fault)]));
        assert_eq!(page(1), wanted, "{fault:?}");
    }
    assert_eq!(rig.create("d").status, 200);
    assert_eq!(page(3), (1, 4), "the callers' numbers go on without the gap");
    rig.hostile.follow(Plan::scripted(&[(Kind::Payloads, 0, Fault::MissingPayload)]));
    assert_eq!(page(4), (0, 4));
    assert_eq!(rig.hostile.faults().get(&Fault::MissingPayload), Some(&1), "nothing was there to lose");
}

#[test]
fn webhooks_end_in_several_ways() {
    for (fault, status, payloads, listed) in [
        (Fault::HookExpired, 422, 0, Some(false)),
        (Fault::HookSilent, 200, 0, Some(false)),
        (Fault::HookGone, 403, 0, None),
        (Fault::ErrorPayload, 200, 4, Some(false)),
    ] {
        let rig = Rig::new(Plan::scripted(&[(Kind::Payloads, 0, fault)]));
        let hook = with_payloads(&rig);
        let page = |cursor: i64| rig.json("GET", &format!("{hook}/payloads?cursor={cursor}"), "");
        let (said, body) = page(1);
        let found = body["payloads"].as_array().map_or(0, Vec::len);
        assert_eq!((said, found), (status, payloads), "{fault:?}: {body}");
        if fault == Fault::ErrorPayload {
            assert_eq!((&body["payloads"][3]["code"], &body["cursor"]), (&json!("INVALID_HOOK"), &json!(5)));
        }
        assert_eq!(rig.create("more").status, 200);
        let (said, body) = page(5);
        assert_eq!(
            (said, body["payloads"].as_array().map_or(0, Vec::len)),
            (status, 0),
            "{fault:?}: it stays so"
        );
        let (_, list) = rig.json("GET", HOOKS, "");
        assert_eq!(list["webhooks"][0]["isHookEnabled"].as_bool(), listed, "{fault:?}: {list}");
        assert!(rig.send("POST", &format!("{hook}/refresh"), "").status >= 400);
        let (status, _) = rig.json("GET", &format!("{}/payloads", with_payloads(&rig)), "");
        assert_eq!(status, 200, "a new one works");
    }
}
