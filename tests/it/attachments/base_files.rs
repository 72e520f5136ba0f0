//! Base files with files beside them.

use serde_json::json;

use super::*;

/// A base file with these attachments, in a folder of its own.
fn folder_with(files: Value) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut base = papers(BASE, "Desk");
    base["records"]["Papers"][0]["fields"]["Files"] = files;
    std::fs::create_dir(folder.path().join("in")).unwrap();
    std::fs::write(folder.path().join("in/desk.json"), base.to_string()).unwrap();
    folder
}

fn import_from(data: &Data, folder: &Path) -> Value {
    let file = folder.join("in/desk.json").display().to_string();
    serde_json::from_str(&data.ok(&["base", "import", &file, "--json"])).unwrap()
}

#[test]
fn files_travel_with_their_base() {
    let folder = folder_with(json!([
        {"id": "attKept0000000000", "url": "desk-files/plan é.txt", "filename": "plan é.txt"},
        {"url": "./pic.png"}
    ]));
    std::fs::create_dir(folder.path().join("in/desk-files")).unwrap();
    std::fs::write(folder.path().join("in/desk-files/plan é.txt"), "the plan").unwrap();
    std::fs::write(folder.path().join("in/pic.png"), png(40, 30)).unwrap();
    let first = Data::new();
    let done = import_from(&first, folder.path());
    assert_eq!((&done["files"], &done["filesMissing"]), (&json!(2), &json!(0)), "{done}");
    let out = first.path().join("out.json");
    first.ok(&["base", "export", BASE, "--output", &out.display().to_string()]);
    let written: Value = serde_json::from_str(&std::fs::read_to_string(&out).unwrap()).unwrap();
    let held = &written["records"]["tblPapers00000000"][0]["fields"];
    let names = held["Names"].as_str().unwrap();
    assert!(names.contains("plan é.txt") && names.contains("pic.png"), "{names}");
    let list = held["Files"].as_array().unwrap();
    assert_eq!((&list[0]["id"], &list[0]["size"]), (&json!("attKept0000000000"), &json!(8)));
    assert_eq!(list[0]["url"], "out-files/attKept0000000000-plan é.txt");
    assert_eq!((&list[1]["filename"], &list[1]["width"]), (&json!("pic.png"), &json!(40)));
    for item in list {
        assert!(first.path().join(item["url"].as_str().unwrap()).is_file(), "{item}");
    }
    let second = Data::new();
    second.import(&out);
    let again = second.path().join("out.json");
    second.ok(&["base", "export", BASE, "--output", &again.display().to_string()]);
    assert_eq!(std::fs::read_to_string(&again).unwrap(), std::fs::read_to_string(&out).unwrap());
    let mut client = client(&second, "");
    let text = client.text(
        "get_attachment",
        json!({"base": BASE, "table": "Papers", "record": ONE, "field": "Files", "which": "attKept0000000000"}),
    );
    assert!(text.contains("the plan"), "{text}");
}

#[test]
fn only_files_within_the_folder_are_taken_in() {
    let given = json!([
        {"id": "attOut00000000000", "url": "../secret.txt", "filename": "a.txt"},
        {"id": "attLink0000000000", "url": "link.txt", "filename": "b.txt"},
        {"id": "attRoot0000000000", "url": "/etc/passwd", "filename": "c.txt"},
        {"id": "attMiss0000000000", "url": "gone.txt", "filename": "d.txt"},
        {"id": "attFar00000000000", "url": "http://127.0.0.1:1/e.txt", "filename": "e.txt"},
        {"id": "attDir00000000000", "url": "sub", "filename": "f.txt"}
    ]);
    let folder = folder_with(given.clone());
    std::fs::write(folder.path().join("secret.txt"), "secret").unwrap();
    std::fs::create_dir(folder.path().join("in/sub")).unwrap();
    std::os::unix::fs::symlink(folder.path().join("secret.txt"), folder.path().join("in/link.txt")).unwrap();
    let data = Data::new();
    let done = import_from(&data, folder.path());
    assert_eq!((&done["files"], &done["filesMissing"]), (&json!(0), &json!(5)), "{done}");
    let said = done["missing"].to_string();
    for hint in [
        "../secret.txt: it leads out",
        "link.txt: it leads out",
        "/etc/passwd: it leads out",
        "gone.txt",
        "sub: ",
    ] {
        assert!(said.contains(hint), "{hint}: {said}");
    }
    assert!(blobs(data.path()).is_empty());
    let mut client = client(&data, "");
    assert_eq!(files(&mut client, ONE), given, "the cell keeps what it had");
    // It can be sent back as it is, and read as far as it goes.
    client.structured(
        "update_records",
        json!({"base": BASE, "table": "Papers", "records": [{"id": ONE, "fields": {"Files": given}}]}),
    );
    assert_eq!(files(&mut client, ONE), given);
    let read = json!({"base": BASE, "table": "Papers", "record": ONE, "field": "Files", "which": "e.txt"});
    let text = client.text("get_attachment", read);
    assert!(text.contains("http://127.0.0.1:1/e.txt") && text.contains("not kept here"), "{text}");
}
