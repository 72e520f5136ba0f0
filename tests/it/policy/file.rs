//! Policy files: what is refused, versions, questions and tests.

use serde_json::Value;

use super::apply;
use crate::support::Data;

/// What a policy file is refused with.
fn refusal(data: &Data, rules: &str) -> String {
    let file = data.path().join("bad.toml");
    std::fs::write(&file, format!("version = 1\ndefault = \"allow\"\n{rules}")).unwrap();
    let output = data.run(&["policy", "apply", file.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1), "{rules}");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn what_a_file_says_wrongly_is_told_with_its_place_and_nothing_is_applied() {
    let data = Data::with_shop();
    data.ok(&["token", "create", "--name", "ci"]);
    for (rules, told) in [
        (
            "[[deny]]\nwho = [\"*\"]\nbase = \"Shpo\"",
            "deny 1: there is no base \"Shpo\". Did you mean \"Shop\"?",
        ),
        (
            "[[deny]]\nwho = [\"*\"]\nbase = \"Shop\"\ntables = [\"Goods\"]\nfields = [\"Prise\"]",
            "Did you mean \"Price\"?",
        ),
        ("[[deny]]\nwho = [\"token:cj\"]", "nobody is known as \"token:cj\". Did you mean \"token:ci\"?"),
        ("[[deny]]\nwho = [\"group:temps\"]", "there is no group \"temps\""),
        ("[[deny]]\nwho = [\"role:boss\"]", "use one of: owner, creator"),
        ("[[deny]]\nwho = [\"everybody\"]", "names nobody; write \"*\""),
        ("[[deny]]\nwho = []", "who is empty"),
        ("[[deny]]\nwho = [\"*\"]\ntools = [\"list_record\"]", "Did you mean \"list_records\""),
        ("[[deny]]\nwho = [\"*\"]\ntables = [\"Goods\"]", "tables without a base"),
        ("[[deny]]\nwho = [\"*\"]\nbase = \"Shop\"\nfields = [\"Price\"]", "give exactly one in tables"),
        (
            "[[deny]]\nwho = [\"*\"]\nverbs = [\"design\"]\nbase = \"Shop\"\ntables = [\"Goods\"]",
            "\"design\" is about a base as a whole",
        ),
        ("[[deny]]\nwho = [\"*\"]\nverbs = [\"destroy\"]", "unknown variant `destroy`"),
        ("[[deny]]\nwho = [\"*\"]\nverb = \"read\"", "unknown field `verb`"),
        (
            "[[rows]]\nwho = [\"*\"]\nbase = \"Shop\"\ntable = \"Goods\"\nkeep = \"{Price} >\"",
            "rows 1: keep:",
        ),
        (
            "[[mask]]\nwho = [\"*\"]\nbase = \"Shop\"\ntable = \"Goods\"\nfields = []\nwith = \"hide\"",
            "fields is empty",
        ),
        (
            "[[deny]]\nwho = [\"*\"]\nhours = { from = \"9:00\", zone = \"UTC\" }",
            "hours.from is \"9:00\"; write a time of day as \"09:30\"",
        ),
        ("[[deny]]\nwho = [\"*\"]\nhours = { zone = \"Berlin\" }", "write an IANA name"),
        (
            "[[deny]]\nname = \"a\"\nwho = [\"*\"]\n[[deny]]\nname = \"a\"\nwho = [\"local\"]",
            "another rule is called \"a\"",
        ),
        (
            "[[test]]\nwho = \"token:cj\"\nverb = \"read\"\nbase = \"Shop\"\nexpect = \"allow\"",
            "test 1: nobody is known as \"token:cj\"",
        ),
        (
            "[[test]]\nwho = \"local\"\nverb = \"read\"\nbase = \"Shop\"\nexpect = \"deny\"",
            "test 1: expected deny; local may read \"Shop\", by the default of the policy.",
        ),
    ] {
        let said = refusal(&data, rules);
        assert!(said.contains(told), "{rules}\nsaid: {said}\nnot: {told}");
    }
    let both = refusal(&data, "[[deny]]\nwho = [\"nobody\"]\n[[deny]]\nwho = [\"*\"]\nbase = \"Nope\"");
    assert!(both.contains("deny 1:") && both.contains("deny 2:"), "all of it at once: {both}");
    assert_eq!(data.ok(&["policy", "history"]), "", "nothing was applied");
}

#[test]
fn names_are_kept_as_ids_and_survive_renames() {
    let data = Data::with_shop();
    apply(&data, super::NARROW);
    let mut client = data.serve(&["--allow-schema", "--toolsets", "all"]).initialize();
    // Whoever sees a part of a base may not change its schema; the owner's own policy lets go first.
    let refused = client.refused(
        "update_field",
        serde_json::json!({"base": "Shop", "table": "Goods", "field": "Stock", "name": "Amount"}),
    );
    assert!(refused.contains("the policy does not let you see all of the base"), "{refused}");
    // Somebody else renames the field, and the rule is still about it.
    let server = crate::support::serve_http(&data, &["--allow-schema"]);
    let bearer = format!("Bearer {}", server.token);
    let headers = [("Authorization", bearer.as_str()), ("Content-Type", "application/json")];
    let path = "/v0/meta/bases/appShop0000000000/tables/tblGoods000000000/fields/fldGStock00000000";
    let done = crate::support::http(&server.address, "PATCH", path, &headers, b"{\"name\": \"Amount\"}");
    assert_eq!(done.status, 200, "{}", done.body);
    let explain = |what: &[&str]| {
        let mut args = vec!["--json", "policy", "explain", "local", "read", "Shop", "Goods"];
        args.extend(what);
        serde_json::from_str::<Value>(&data.ok(&args)).unwrap()
    };
    assert_eq!(explain(&["Price"])["rule"], "no prices");
    assert_eq!(explain(&["Amount"])["mask"], "redact");
    assert_eq!(explain(&["Worth"])["allowed"], false, "it is worked out from the price");
    assert_eq!(explain(&[])["rows"][0], "listed goods");
}

#[test]
fn versions_are_kept_and_questions_answered() {
    let data = Data::with_shop();
    assert!(data.ok(&["policy", "show"]).contains("there is no policy"));
    apply(&data, super::NARROW);
    apply(
        &data,
        "version = 1\ndefault = \"deny\"\n[[test]]\nwho = \"local\"\nverb = \"read\"\nbase = \"Shop\"\nexpect = \"deny\"\n",
    );
    let history = data.ok(&["policy", "history"]);
    assert_eq!(history.lines().map(|line| &line[..1]).collect::<Vec<_>>(), ["2", "1"]);
    assert!(data.ok(&["policy", "show", "--version", "1"]).contains("listed goods"));
    assert!(data.ok(&["policy", "show"]).contains("default = \"deny\""));
    let says = data.ok(&["policy", "explain", "local", "read", "Shop"]);
    assert_eq!(says.trim(), "local may not read \"Shop\", by the default of the policy.");
    let unknown = data.run(&["policy", "explain", "token:nobody", "read", "Shop"]);
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("nobody is known as \"token:nobody\""));
    assert!(data.ok(&["policy", "test"]).starts_with("ok "));
    let audit = data.ok(&["audit", "export"]);
    assert_eq!(audit.matches("\"policy apply\"").count(), 2, "{audit}");
}

#[test]
fn hours_decide_by_the_moment_that_is_asked_for() {
    let data = Data::with_shop();
    apply(
        &data,
        "version = 1\ndefault = \"allow\"\n[[deny]]\nname = \"night\"\nwho = [\"local\"]\nverbs = [\"delete\"]\nbase = \"Shop\"\nhours = { days = [\"fri\"], from = \"22:00\", to = \"06:00\", zone = \"Europe/Berlin\" }\n",
    );
    let may = |at: &str| {
        let said = data.ok(&["policy", "explain", "local", "delete", "Shop", "Goods", "--at", at]);
        said.starts_with("local may delete")
    };
    // The 27th of November 2026 is a Friday.
    assert!(may("2026-11-27T20:59:00Z") && !may("2026-11-27T21:00:00Z"));
    assert!(!may("2026-11-28T04:59:00Z") && may("2026-11-28T05:00:00Z"));
}
