//! Base files: what goes in comes out.

use serde_json::{Value, json};

use crate::support::{Data, root};

fn export(data: &Data, base: &str) -> Value {
    let file = data.path().join("export.json").display().to_string();
    data.ok(&["base", "export", base, "--output", &file]);
    serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap()
}

#[test]
fn the_shop_comes_out_as_it_went_in() {
    let data = Data::with_shop();
    let mut given: Value =
        serde_json::from_str(&std::fs::read_to_string(root().join("tests/fixtures/shop.json")).unwrap())
            .unwrap();
    // What import adds: the other side of a link that the file gives on one side only,
    given["records"]["tblMakers00000000"][1]["fields"]["Goods"] = json!(["recChair000000000"]);
    // formulas with fields by id,
    given["tables"][0]["fields"][12]["options"]["formula"] =
        json!("{fldGPrice00000000} * {fldGStock00000000}");
    // and what they give.
    for at in 1..4 {
        given["records"]["tblGoods000000000"][at]["fields"]["Worth"] = json!(0);
    }
    assert_eq!(export(&data, "Shop"), given);
}

/// A file that lay beside the base file: it has the same id and name, and now its size too.
fn is_the_same_file(given: &Value, kept: &Value) -> bool {
    let same = |key: &str| given[0][key].is_string() && given[0][key] == kept[0][key];
    same("id") && same("filename") && kept[0]["size"].as_u64().is_some_and(|size| size > 0)
}

#[test]
fn demo_bases_survive_a_round_trip() {
    for name in ["films", "packages", "sales", "content"] {
        let first = Data::new();
        first.import(&root().join(format!("examples/bases/{name}.json")));
        let listed: Value = serde_json::from_str(&first.ok(&["base", "list", "--json"])).unwrap();
        let once = export(&first, listed[0]["id"].as_str().unwrap());
        let second = Data::new();
        second.import(&first.path().join("export.json"));
        assert_eq!(export(&second, listed[0]["id"].as_str().unwrap()), once, "{name}");
        let given: Value = serde_json::from_str(
            &std::fs::read_to_string(root().join(format!("examples/bases/{name}.json"))).unwrap(),
        )
        .unwrap();
        for (table, records) in given["records"].as_object().unwrap() {
            for (given, kept) in
                records.as_array().unwrap().iter().zip(once["records"][table].as_array().unwrap())
            {
                assert_eq!(given["id"], kept["id"]);
                for (field, value) in given["fields"].as_object().unwrap() {
                    let kept = &kept["fields"][field];
                    // 1 and 1.0 are the same number.
                    let same = is_the_same_file(value, kept)
                        || value.as_f64().map_or(kept == value, |number| kept.as_f64() == Some(number));
                    assert!(same, "{name} {} {field}: {kept} is not {value}", given["id"]);
                }
            }
        }
    }
}

#[test]
fn broken_files_say_where_and_leave_nothing() {
    let data = Data::new();
    let good = std::fs::read_to_string(root().join("tests/fixtures/shop.json")).unwrap();
    let file = data.path().join("broken.json");
    for (text, hint) in [
        (String::new(), "EOF"),
        (good[..good.len() / 2].to_owned(), "EOF"),
        (good.replace("\"recDesk0000000000\"", "\"recLamp0000000000\""), "id is there twice"),
        (good.replace("\"recDesk0000000000\"", "\"Desk\""), "record id"),
        (good.replace("\"Worth\": 120", "\"Wort\": 120"), "Did you mean \"Worth\""),
        (
            good.replacen(
                "\"linkedTableId\": \"tblMakers00000000\"",
                "\"linkedTableId\": \"tblOther000000000\"",
                1,
            ),
            "linkedTableId",
        ),
        (good.replace("\"Stock\": 3", "\"Stock\": 3, \"Stock\": 4"), "there twice"),
        (good.replace("2026-01-03T00:00:00.000Z", "yesterday"), "createdTime"),
        (good.replace("\"precision\": 0", "\"precision\": 99"), "precision"),
        (
            "{\"base\":{\"name\":\"x\"},\"tables\":[],\"comments\":{\"r\":".to_owned() + &"[".repeat(5_000),
            "recursion",
        ),
        ("{\"base\":{\"name\":\"x\"},\"tables\":[]} trailing".to_owned(), "trailing"),
    ] {
        std::fs::write(&file, &text).unwrap();
        let output = data.run(&["base", "import", &file.display().to_string()]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{hint}: {said}");
        assert!(said.contains(hint) && said.contains("broken.json"), "{hint}: {said}");
    }
    std::fs::write(&file, b"{\"base\":{\"name\":\"\xff\"}}").unwrap();
    let output = data.run(&["base", "import", &file.display().to_string()]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("UTF-8"));
    assert!(data.ok(&["base", "list"]).contains("no bases"));
}
