//! Members and tokens, managed by callers.

use std::sync::Arc;

use serde_json::{Value, json};
use tablewright_core::clock::HeldClock;
use tablewright_door::tokens::NewToken;
use tablewright_door::{Rights, Role, Tokens};
use tablewright_engine::Engine;

use super::{LAMP, Office};
use crate::support::http;

fn members(office: &Office, token: &str) -> Vec<String> {
    let listed = office.done(token, "list_members", &json!({}));
    let listed = listed["members"].as_array().unwrap().clone();
    listed.iter().map(|member| member["member"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn an_owner_manages_their_workspace_and_nothing_else() {
    let office = Office::open();
    office.data.ok(&["member", "service", "elsewhere", "--role", "owner"]);
    let owner = office.accept(&office.invite("ann@example.com", "owner"), "Ann");
    let creator = office.service("maker", "creator");
    assert_eq!(members(&office, &owner), ["person:ann@example.com", "service:maker"]);
    assert_eq!(members(&office, &creator), ["person:ann@example.com", "service:maker"]);
    let invited = office.done(&owner, "invite_member", &json!({"email": "bo@example.com", "role": "reader"}));
    let link = invited["link"].as_str().unwrap();
    let bo = office.accept(&link[link.find("/invitation").unwrap()..], "Bo");
    assert_eq!((office.get(&bo, LAMP).status, office.update(&bo)), (200, 403));
    let asked = json!({"email": "bo@example.com", "role": "reader", "workspace": "Home"});
    let told = office.refused(&owner, "invite_member", &asked);
    assert!(told.contains("there is no workspace \"Home\""), "{told}");
    for token in [&creator, &bo] {
        let told = office.tool(token, "invite_member", &json!({"email": "c@example.com", "role": "reader"}));
        assert!(told.is_null() || told["isError"] == json!(true), "{told}");
    }
    // Tokens: for a service of theirs and for themselves, never with more than they have.
    let made = office.done(&owner, "create_token", &json!({"name": "for maker", "service": "maker"}));
    assert_eq!(made["owner"], "service:maker");
    assert!(made["until"].is_string(), "a token made so ends by itself: {made}");
    assert_eq!(office.update(made["token"].as_str().unwrap()), 200);
    let asked = json!({"name": "mine", "scopes": ["data.records:read"]});
    let own = office.done(&owner, "create_token", &asked);
    assert_eq!(office.update(own["token"].as_str().unwrap()), 403);
    for (asked, told) in [
        (json!({"name": "x", "service": "elsewhere"}), "for which workspace"),
        (json!({"name": "x", "service": "nobody"}), "nobody is known as"),
        (json!({"name": "x", "scopes": ["tablewright.audit:write"]}), "there is no scope"),
        (json!({"name": "mine"}), "there is a token named"),
        (json!({"name": "x", "days": 0}), "1 to 3650 days"),
    ] {
        let said = office.refused(&owner, "create_token", &asked);
        assert!(said.contains(told), "{asked}: {said}");
    }
    office.done(&owner, "revoke_token", &json!({"token": "for maker"}));
    assert_eq!(office.get(made["token"].as_str().unwrap(), LAMP).status, 401);
    let told = office.refused(&owner, "revoke_token", &json!({"token": "elsewhere"}));
    assert!(told.contains("yours to take back"), "{told}");
}

#[test]
fn nobody_hands_on_more_than_they_have() {
    let office = Office::open();
    let scopes = "data.records:read,schema.bases:read,user.email:read,tablewright.members:manage";
    let words = ["token", "create", "--name", "admin", "--scopes", scopes];
    let admin = office.data.ok(&words).trim().to_owned();
    let said =
        office.refused(&admin, "create_token", &json!({"name": "x", "scopes": ["data.records:write"]}));
    assert!(said.contains("you do not have the scope data.records:write yourself"), "{said}");
    let made = office.done(&admin, "create_token", &json!({"name": "x"}));
    let scopes: Vec<&str> = made["scopes"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert_eq!(scopes, ["data.records:read", "schema.bases:read", "user.email:read"]);
    // Nothing of this without the right to it.
    let plain = office.data.ok(&["token", "create", "--name", "plain"]).trim().to_owned();
    let told = office.refused(&plain, "list_members", &json!({}));
    assert!(told.contains("--allow-admin"), "{told}");
}

#[test]
fn rules_of_approval_name_members_and_their_tokens() {
    for (principal, stops) in
        [("service:bot", (true, false)), ("token:bot", (true, false)), ("token:none", (false, false))]
    {
        let rule = format!("[[approval.rules]]\nask = \"person\"\nprincipals = [{principal:?}]\n");
        let office =
            Office::with(&format!("[notify]\ndesktop = false\n[approval]\nwait_seconds = 0\n{rule}"));
        let (bot, other) = (office.service("bot", "editor"), office.service("other", "editor"));
        assert_eq!((office.update(&bot) == 403, office.update(&other) == 403), stops, "{principal}");
    }
}

#[test]
fn a_stream_ends_for_who_is_removed() {
    let office = Office::open();
    let bot = office.service("bot", "editor");
    let waiting = std::thread::scope(|scope| {
        let port = (*office).clone();
        let bot = bot.clone();
        let waits = scope.spawn(move || {
            let asked = json!({"base": "Shop", "timeout_seconds": 20});
            port.refused(&bot, "wait_for_changes", &asked)
        });
        // Whoever waits is written down when they are done alone, so what they wait for comes until then.
        let writer = office.service("writer", "editor");
        office.data.ok(&["token", "revoke", "bot"]);
        while !waits.is_finished() {
            assert_eq!(office.update(&writer), 200);
        }
        waits.join().unwrap()
    });
    assert!(waiting.contains("was taken back") || waiting.contains("needs the right"), "{waiting}");
    assert_eq!(
        http(&office.address, "GET", LAMP, &[("Authorization", &format!("Bearer {bot}"))], b"").status,
        401
    );
}

#[tokio::test]
async fn a_token_ends_when_its_days_are_over() {
    let folder = tempfile::tempdir().unwrap();
    let clock = HeldClock::at(1_000);
    let engine =
        Engine::open(folder.path().to_owned(), Default::default(), Arc::new(clock.clone())).await.unwrap();
    let tokens = Tokens::open(engine.clone()).await.unwrap();
    let first = tokens.directory().first();
    let bot = tokens.directory().create_service("bot", first, Role::Editor).await.unwrap();
    let new = NewToken {
        name: "short".into(),
        scopes: Role::Owner.scopes(),
        owner: Some(bot.clone()),
        days: Some(1),
        ..NewToken::default()
    };
    let (_, secret) = tokens.create(new).await.unwrap();
    let caller = tokens.check(secret.reveal(), "rest", Rights::ALL).unwrap();
    assert_eq!(&*caller.principal, "service:bot");
    assert!(caller.rights.write && !caller.rights.schema && !caller.rights.admin, "{:?}", caller.rights);
    clock.advance(24 * 3_600_000 - 1);
    assert!(tokens.again(&caller).is_some());
    clock.advance(1);
    assert!(tokens.again(&caller).is_none() && tokens.check(secret.reveal(), "rest", Rights::ALL).is_none());
    let invited =
        tokens.directory().invite("ann@example.com", first, Role::Reader, 1, "local").await.unwrap();
    clock.advance(24 * 3_600_000);
    let late = tokens.accept(invited.code.reveal(), "Ann").await.unwrap_err();
    assert!(late.message.contains("its time is over"), "{late:?}");
    engine.close().await;
}
