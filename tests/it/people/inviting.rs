//! Invitations: a link that works once.

use serde_json::{Value, json};

use super::{LAMP, Office, fails};
use crate::support::{Data, http};

#[test]
fn a_link_makes_one_person_a_member_once() {
    let office = Office::open();
    let link = office.invite("Ann@Example.com", "editor");
    let waiting = office.data.ok(&["member", "invitations"]);
    assert!(waiting.contains("ann@example.com  editor in Sales"), "{waiting}");
    assert!(!waiting.contains(link.split_once("code=").unwrap().1), "the code is kept as a hash alone");
    for _ in 0..2 {
        let page = http(&office.address, "GET", &link, &[], b"");
        assert_eq!(page.status, 200, "looking accepts nothing");
        for word in ["Join Sales", "ann@example.com", "editor", "Your name"] {
            assert!(page.body.contains(word), "{word}: {}", page.body);
        }
        assert!(
            page.header("content-security-policy")
                .is_some_and(|policy| policy.contains("default-src 'none'"))
        );
        assert_eq!(page.header("cache-control"), Some("no-store"));
    }
    let nameless = office.submit(&link, " ");
    assert_eq!(nameless.status, 422);
    assert!(nameless.body.contains("1 to 100 characters"), "{}", nameless.body);
    let token = office.accept(&link, "Ann <b>Lee");
    assert_eq!(office.update(&token), 200);
    let me: Value = serde_json::from_str(&office.get(&token, "/v0/meta/whoami").body).unwrap();
    assert_eq!(me["email"], "ann@example.com");
    for again in [http(&office.address, "GET", &link, &[], b""), office.submit(&link, "Eve")] {
        assert_eq!(again.status, 404);
        assert!(
            again.body.contains("ask for another one") && !again.body.contains("Sales"),
            "{}",
            again.body
        );
    }
    let listed = office.data.ok(&["member", "list"]);
    assert!(listed.contains("person:ann@example.com  Ann <b>Lee  editor in Sales"), "{listed}");
    assert!(office.data.ok(&["member", "invitations"]).is_empty());
    // What she writes has her name on it.
    let history = office.data.ok(&["audit", "export"]);
    assert!(history.contains("person:ann@example.com"), "{history}");
}

#[test]
fn many_who_follow_a_link_at_once_become_one_member() {
    let office = Office::open();
    let link = office.invite("ann@example.com", "reader");
    let accepted: Vec<u16> = std::thread::scope(|scope| {
        let port = &*office;
        let try_one = |n: u8| {
            let (port, link) = (port.clone(), link.clone());
            scope.spawn(move || port.submit(&link, &format!("Ann {n}")).status)
        };
        let tries: Vec<_> = (0..8).map(try_one).collect();
        tries.into_iter().map(|one| one.join().unwrap()).collect()
    });
    assert_eq!(accepted.iter().filter(|status| **status == 200).count(), 1, "{accepted:?}");
    let tokens = office.data.ok(&["token", "list"]);
    assert_eq!(tokens.matches("of person:ann@example.com").count(), 1, "{tokens}");
}

#[test]
fn what_is_withdrawn_or_wrong_is_refused() {
    let office = Office::open();
    let link = office.invite("ann@example.com", "reader");
    let listed: Value = serde_json::from_str(&office.data.ok(&["member", "invitations", "--json"])).unwrap();
    office.data.ok(&["member", "withdraw", listed[0]["id"].as_str().unwrap()]);
    assert_eq!(office.submit(&link, "Ann").status, 404);
    assert_eq!(http(&office.address, "GET", "/invitation", &[], b"").status, 404);
    assert_eq!(http(&office.address, "GET", "/invitation?code=x", &[], b"").status, 404);
    let foreign = [("Content-Type", "application/x-www-form-urlencoded"), ("Origin", "https://evil.example")];
    assert_eq!(http(&office.address, "POST", "/invitation", &foreign, b"code=x&name=y").status, 403);
    for (words, told) in [
        (&["member", "invite", "ann", "--role", "reader"][..], "no email address"),
        (&["member", "invite", "a@b.example", "--role", "boss"][..], "boss"),
        (&["member", "invite", "a@b.example", "--role", "reader", "--days", "100"][..], "1 to 90 days"),
        (&["member", "invite", "a@b.example", "--role", "reader", "--workspace", "Sale"][..], "Did you mean"),
        (&["member", "withdraw", "inv1"][..], "no invitation"),
        (&["member", "service", "x@y.example", "--role", "reader"][..], "people are invited"),
        (&["member", "remove", "nobody"][..], "nobody is known as"),
        (&["member", "set", "nobody", "--name", "x"][..], "nobody is known as"),
        (&["workspace", "create", "sales"][..], "already"),
        (&["workspace", "create", " "][..], "1 to 100 characters"),
        (&["workspace", "delete", "Home"][..], "it stays"),
        (&["workspace", "delete", "Sales"][..], "1 bases and 0 logins are in it"),
        (&["workspace", "move", "Shopp", "Sales"][..], "Shop"),
        (&["token", "create", "--name", "t", "--for", "nobody"][..], "nobody is known as"),
        (&["token", "create", "--name", "t", "--days", "0"][..], "1 to 3650 days"),
    ] {
        let said = fails(&office.data, words);
        assert!(said.contains(told), "{words:?}: {said}");
    }
    // Without a server there is no page to accept at.
    let said = fails(&Data::new(), &["member", "invite", "a@b.example", "--role", "reader"]);
    assert!(said.contains("serve --http"), "{said}");
}

#[test]
fn who_is_removed_is_out_with_the_next_request() {
    let office = Office::open();
    let ann = office.accept(&office.invite("ann@example.com", "owner"), "Ann");
    let bot = office.service("bot", "editor");
    assert_eq!((office.get(&ann, LAMP).status, office.get(&bot, LAMP).status), (200, 200));
    office.data.ok(&["member", "remove", "ann@example.com", "--workspace", "Sales"]);
    office.data.ok(&["token", "revoke", "bot"]);
    assert_eq!((office.get(&ann, LAMP).status, office.get(&bot, LAMP).status), (401, 401));
    // Who comes back has nothing of before.
    let again = office.accept(&office.invite("ann@example.com", "reader"), "Ann");
    assert_eq!((office.get(&ann, LAMP).status, office.get(&again, LAMP).status), (401, 200));
    office.data.ok(&["workspace", "move", "Shop", "Home"]);
    assert_eq!(office.bases(&again), []);
    office.data.ok(&["workspace", "delete", "Sales"]);
    assert_eq!(office.get(&again, LAMP).status, 401);
    let left = json!([]);
    assert_eq!(serde_json::from_str::<Value>(&office.data.ok(&["member", "list", "--json"])).unwrap(), left);
}
