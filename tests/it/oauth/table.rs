//! Tokens that are let in, and those that are not.

use serde_json::{Value, json};

use super::issuer::{Signer, encoded, now};
use super::{Served, challenge};
use crate::support::http;

/// What makes another token of a good one.
type Change<'a> = &'a dyn Fn(&mut Value);

#[test]
fn good_tokens_of_every_kind_are_let_in() {
    let (rsa, p256, p384, ed) = (Signer::rsa("r"), Signer::p256("e"), Signer::p384("f"), Signer::ed("d"));
    let served = Served::new(&[&rsa, &p256, &p384, &ed]);
    for (algorithm, signer) in [
        ("RS256", &rsa),
        ("RS384", &rsa),
        ("RS512", &rsa),
        ("PS256", &rsa),
        ("PS384", &rsa),
        ("PS512", &rsa),
        ("ES256", &p256),
        ("ES384", &p384),
        ("EdDSA", &ed),
    ] {
        let answer = served.whoami(&served.token(signer, algorithm, |_| {}));
        assert_eq!(answer.status, 200, "{algorithm}: {}", answer.body);
        let who: Value = serde_json::from_str(&answer.body).unwrap();
        assert!(who["id"].as_str().unwrap().starts_with("usr"), "{who}");
        // What is verified once is the same the second time.
        assert!(served.lets_in(&served.token(signer, algorithm, |_| {})), "{algorithm}");
    }
    let address = served.address.clone();
    let changes: [(&str, Change); 9] = [
        ("a slash at the end", &|c| c["aud"] = format!("http://{address}/").into()),
        ("the face", &|c| c["aud"] = format!("http://{address}/mcp").into()),
        ("several audiences", &|c| c["aud"] = json!(["https://else.example", format!("http://{address}")])),
        ("a list of scopes", &|c| {
            c["scp"] = json!(["schema.bases:read"]);
            c.as_object_mut().unwrap().remove("scope");
        }),
        ("no scopes", &|c| drop(c.as_object_mut().unwrap().remove("scope"))),
        ("another name of the client", &|c| {
            c["azp"] = "robot".into();
            c.as_object_mut().unwrap().remove("client_id");
        }),
        ("a clock that is a little late", &|c| c["exp"] = (now() - 10).into()),
        ("a clock that is a little early", &|c| c["nbf"] = (now() + 10).into()),
        ("a time with a fraction", &|c| c["exp"] = json!(now() as f64 + 300.5)),
    ];
    for (what, change) in changes {
        assert!(served.lets_in(&served.token(&p256, "ES256", change)), "{what}");
    }
    for header in [
        json!({"alg": "ES256"}),
        json!({"alg": "ES256", "typ": "JWT"}),
        json!({"alg": "ES256", "typ": "application/AT+jwt"}),
    ] {
        assert!(served.lets_in(&p256.token_with(header.clone(), &served.claims())), "{header}");
    }
    // The only key of its kind needs no name.
    let nameless = json!({"alg": "EdDSA", "kid": null});
    assert!(served.lets_in(&ed.token_with(nameless, &served.claims())));
}

#[test]
fn wrong_tokens_hear_that_they_are_wrong_and_no_more() {
    let (rsa, p256, stranger) = (Signer::rsa("r"), Signer::p256("e"), Signer::p256("e"));
    let mut served = Served::with(&[&rsa, &p256], &[], &[("TABLEWRIGHT_LOG_LEVEL", "trace")]);
    let claims = served.claims();
    let (not_in, late, elsewhere) =
        ("the token is not let in", "the token has expired", "the token is not for this server");
    let changed = |change: Change| served.token(&p256, "ES256", change);
    let removed = |name: &str| {
        changed(&|c| {
            c.as_object_mut().unwrap().remove(name);
        })
    };
    let unsigned = |header: Value, signature: &str| {
        format!("{}.{}.{signature}", encoded(header.to_string()), encoded(claims.to_string()))
    };
    let good = changed(&|_| {});
    let (message, signature) = good.rsplit_once('.').unwrap();
    let flipped = format!("{}{}", if signature.starts_with('A') { 'B' } else { 'A' }, &signature[1..]);
    let public = rsa.jwk().to_string();
    let by_secret = {
        let message = unsigned(json!({"alg": "HS256", "kid": "r"}), "");
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, public.as_bytes());
        let tag = ring::hmac::sign(&key, message.trim_end_matches('.').as_bytes());
        format!("{message}{}", encoded(tag))
    };
    let evil = format!("{}/evil", served.issuer.url);
    let header = |header: Value| p256.token_with(header, &claims);
    let by_stranger = |header: Value| stranger.token_with(header, &claims);
    let cases = [
        ("no algorithm", unsigned(json!({"alg": "none"}), ""), not_in),
        ("no algorithm, but a key", unsigned(json!({"alg": "none", "kid": "e"}), ""), not_in),
        ("the public key as a secret", by_secret, not_in),
        (
            "the algorithm of another key",
            p256.token_with(json!({"alg": "ES256", "kid": "r"}), &claims),
            not_in,
        ),
        (
            "RSA where the key is a curve",
            rsa.token_with(json!({"alg": "RS256", "kid": "e"}), &claims),
            not_in,
        ),
        ("another audience", changed(&|c| c["aud"] = "https://else.example".into()), elsewhere),
        (
            "an audience that begins alike",
            changed(&|c| c["aud"] = format!("{}x", c["aud"].as_str().unwrap()).into()),
            elsewhere,
        ),
        ("no audience", removed("aud"), not_in),
        ("another issuer", changed(&|c| c["iss"] = "https://else.example".into()), not_in),
        ("issuers", changed(&|c| c["iss"] = json!([c["iss"].clone(), "https://else.example"])), not_in),
        ("no issuer", removed("iss"), not_in),
        ("its time is over", changed(&|c| c["exp"] = (now() - 61).into()), late),
        ("no end", removed("exp"), not_in),
        ("an end that is no time", changed(&|c| c["exp"] = "never".into()), not_in),
        ("not yet", changed(&|c| c["nbf"] = (now() + 61).into()), not_in),
        ("from the future", changed(&|c| c["iat"] = (now() + 61).into()), not_in),
        ("a key nobody knows", header(json!({"alg": "ES256", "kid": "unknown"})), not_in),
        ("a key of its own", by_stranger(json!({"alg": "ES256", "jwk": stranger.jwk()})), not_in),
        ("keys elsewhere", by_stranger(json!({"alg": "ES256", "jku": evil})), not_in),
        ("a certificate elsewhere", by_stranger(json!({"alg": "ES256", "x5u": evil})), not_in),
        ("an extension", header(json!({"alg": "ES256", "crit": ["b64"], "b64": false})), not_in),
        ("another type", header(json!({"alg": "ES256", "typ": "logout+jwt"})), not_in),
        ("an ID token", changed(&|c| c["nonce"] = "n".into()), not_in),
        ("an ID token with a hash", changed(&|c| c["at_hash"] = "h".into()), not_in),
        ("bound to a key", changed(&|c| c["cnf"] = json!({"jkt": "k"})), not_in),
        ("of a client nobody listed", changed(&|c| c["client_id"] = "stranger".into()), not_in),
        ("of no client", removed("client_id"), not_in),
        ("too long", changed(&|c| c["more"] = "x".repeat(16 * 1024).into()), not_in),
        ("cut off", good[..good.len() - 9].to_owned(), not_in),
        ("without its signature", format!("{message}."), not_in),
        ("two parts", message.to_owned(), not_in),
        ("a changed signature", format!("{message}.{flipped}"), not_in),
        ("no token at all", "nonsense".to_owned(), not_in),
        ("one of ours that is none", "twk_nonsense".to_owned(), not_in),
    ];
    served.issuer.asked();
    for (what, token, words) in &cases {
        let answer = served.whoami(token);
        assert_eq!(answer.status, 401, "{what}: {}", answer.body);
        assert_eq!(challenge(&answer, "error"), Some("invalid_token"), "{what}");
        assert_eq!(challenge(&answer, "error_description"), Some(*words), "{what}");
        let answer = served.ask(token, "tools/list", None, json!({}));
        assert_eq!(answer.status, 401, "{what}: {}", answer.body);
        assert_eq!(challenge(&answer, "error_description"), Some(*words), "{what}");
    }
    assert!(served.lets_in(&good));
    let asked = served.issuer.asked();
    assert!(asked.iter().all(|path| !path.contains("evil")), "{asked:?}");
    let twice = [format!("Bearer {good}"), format!("Bearer {good}")];
    let headers = twice.each_ref().map(|value| ("Authorization", value.as_str()));
    assert_eq!(http(&served.address, "GET", "/v0/meta/whoami", &headers, b"").status, 401);
    let in_query = format!("/v0/meta/whoami?access_token={good}");
    let answer = http(&served.address, "GET", &in_query, &[], b"");
    assert_eq!((answer.status, challenge(&answer, "error")), (401, None));
    // The log has the reasons, and no token.
    let reasons: Vec<String> = (0..cases.len()).map(|_| served.reason()).collect();
    served.data.kill_owner();
    let log = format!("{}\n{}", reasons.join("\n"), served.client.ended().1);
    for reason in
        ["is bound to a key", "is an ID token", "InvalidSignature", "issued in the future", "(crit)"]
    {
        assert!(log.contains(reason), "{reason}: {log}");
    }
    for (what, token, _) in cases.iter().filter(|(_, token, _)| token.len() > 40) {
        assert!(!log.contains(token.as_str()), "{what} is in the log");
    }
    assert!(!log.contains(&good) && !log.contains(signature));
}

#[test]
fn who_tries_many_tokens_is_asked_to_wait() {
    let p256 = Signer::p256("e");
    let settings = [
        ("TABLEWRIGHT_HTTP_RATE_LIMIT_LOOPBACK", "true"),
        ("TABLEWRIGHT_HTTP_RATE_WRONG_TOKENS_PER_MINUTE", "5"),
    ];
    let served = Served::with(&[&p256], &[], &settings);
    let good = served.token(&p256, "ES256", |_| {});
    for n in 0..5 {
        let wrong = served.token(&p256, "ES256", |c| c["aud"] = format!("https://{n}.example").into());
        assert_eq!(served.whoami(&wrong).status, 401, "{n}");
    }
    let answer = served.whoami(&good);
    assert_eq!(answer.status, 429, "{}", answer.body);
    assert!(answer.header("Retry-After").is_some(), "{}", answer.head);
}
