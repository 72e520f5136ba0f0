//! Tokens that stand for a person: a member, or nobody.

use serde_json::{Value, json};

use super::{Served, Signer, challenge};
use crate::support::http;

const LAMP: &str = "/v0/appShop0000000000/Goods/recLamp0000000000";

#[test]
fn a_person_is_the_member_with_their_address_or_nobody() {
    let signer = Signer::p256("k");
    let served = Served::with(&[&signer], &["--allow-write"], &[]);
    let of = |email: Value, verified: Value| {
        served.token(&signer, "ES256", |claims| {
            claims["scope"] = json!("schema.bases:read data.records:read data.records:write user.email:read");
            claims["email"] = email;
            if !verified.is_null() {
                claims["email_verified"] = verified;
            }
        })
    };
    let ann = of(json!("Ann@Example.com"), json!(true));
    assert!(
        !served.lets_in(&ann),
        "nobody of that address is a member, and they are not let in as the client"
    );
    let link = served.data.ok(&["member", "invite", "ann@example.com", "--role", "reader"]);
    let code = link.trim().split_once("code=").unwrap().1;
    let form = [("Content-Type", "application/x-www-form-urlencoded")];
    let body = format!("code={code}&name=Ann");
    assert_eq!(http(&served.address, "POST", "/invitation", &form, body.as_bytes()).status, 200);
    let me: Value = serde_json::from_str(&served.whoami(&ann).body).unwrap();
    assert_eq!(me["email"], "ann@example.com");
    let send = |token: &str, method: &str| {
        let bearer = format!("Bearer {token}");
        let headers = [("Authorization", bearer.as_str()), ("Content-Type", "application/json")];
        let answer = http(&served.address, method, LAMP, &headers, br#"{"fields": {"Stock": 6}}"#);
        (answer.status, challenge(&answer, "error").is_some())
    };
    assert_eq!(send(&ann, "GET"), (200, false));
    assert_eq!(send(&ann, "PATCH"), (403, false), "a reader, whatever the token grants");
    let less = served.token(&signer, "ES256", |claims| claims["email"] = "ann@example.com".into());
    assert_eq!(send(&less, "PATCH"), (403, false), "no scope would help a reader");
    served.data.ok(&["member", "role", "ann@example.com", "--role", "editor"]);
    assert_eq!(send(&ann, "PATCH"), (200, false), "the token is remembered, the role is not");
    assert_eq!(send(&less, "PATCH"), (403, true), "an editor may ask for more");
    for (email, verified) in [
        (json!("ann@example.com"), json!(false)),
        (json!("ann@example.com"), json!("false")),
        (json!("eve@example.com"), json!(null)),
        (json!("nobody"), json!(null)),
    ] {
        assert!(!served.lets_in(&of(email.clone(), verified)), "{email}");
    }
    assert!(served.lets_in(&of(json!(null), json!(null))), "a client that acts for itself");
    let policy = "version = 1\ndefault = \"allow\"\n[[mask]]\nwho = [\"client:robot\"]\nbase = \"Shop\"\ntable = \"Goods\"\nfields = [\"Price\"]\nwith = \"redact\"\n";
    let file = served.data.path().join("policy.toml");
    std::fs::write(&file, policy).unwrap();
    served.data.ok(&["policy", "apply", file.to_str().unwrap()]);
    let bearer = format!("Bearer {ann}");
    let seen = http(&served.address, "GET", LAMP, &[("Authorization", bearer.as_str())], b"");
    assert!(
        seen.body.contains("[redacted]"),
        "rules about the client bind whoever comes with it: {}",
        seen.body
    );
    served.data.ok(&["member", "remove", "ann@example.com"]);
    assert!(!served.lets_in(&ann), "the token is in force still, and the member is gone");
}
