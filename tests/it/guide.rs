//! The guide: every command on its pages works as it stands there.

use std::process::Command;

use crate::support::{Data, http, listen, program, root};

#[test]
fn the_tour_of_careful_writes_prints_what_the_readme_shows() {
    let folder = std::path::Path::new(program()).parent().unwrap().to_owned();
    let path = std::env::var_os("PATH").unwrap();
    let path = std::env::join_paths([folder].into_iter().chain(std::env::split_paths(&path)));
    let home = tempfile::tempdir().unwrap();
    let tour = root().join("examples/careful/tour.py");
    let done = Command::new("python3")
        .arg(tour)
        .env("PATH", path.unwrap())
        .env("HOME", home.path())
        .output()
        .unwrap();
    let (said, errors) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success(), "{said}\n{errors}");
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    assert!(readme.contains(&format!("```text\n{said}```")), "{said}");
}

#[test]
fn the_commands_of_the_guide_work() {
    let mut run = 0;
    for page in std::fs::read_dir(root().join("examples/guide")).unwrap() {
        let text = std::fs::read_to_string(page.unwrap().path()).unwrap();
        for block in text.split("```sh\n").skip(1) {
            for line in block.split("```").next().unwrap().lines() {
                let home = tempfile::tempdir().unwrap();
                let folder = std::path::Path::new(program()).parent().unwrap();
                let path = std::env::join_paths(
                    [folder.to_owned()]
                        .into_iter()
                        .chain(std::env::split_paths(&std::env::var_os("PATH").unwrap())),
                );
                let output = Command::new("sh")
                    .args(["-c", line])
                    .env("PATH", path.unwrap())
                    .env("HOME", home.path())
                    .current_dir(root())
                    .output()
                    .unwrap();
                assert!(output.status.success(), "{line}\n{}", String::from_utf8_lossy(&output.stderr));
                assert!(!output.stdout.is_empty(), "{line} says nothing");
                run += 1;
            }
        }
    }
    assert!(run >= 6, "only {run} commands were found");
}

/// The blocks of a page whose commands belong together, in order.
fn story(page: &str, name: &str) -> Vec<String> {
    let opening = format!("```sh {name}\n");
    let blocks = page.split(&opening).skip(1);
    blocks.flat_map(|block| block.split("```").next().unwrap().lines().map(str::to_owned)).collect()
}

/// Runs the commands of a story over a data directory; each with what it said.
fn told(data: &Data, lines: Vec<String>) -> Vec<(String, String)> {
    let folder = std::path::Path::new(program()).parent().unwrap().to_owned();
    let path = std::env::var_os("PATH").unwrap();
    let path = std::env::join_paths([folder].into_iter().chain(std::env::split_paths(&path))).unwrap();
    let mut said = Vec::new();
    for line in lines {
        let output = Command::new("sh")
            .args(["-c", &line])
            .env("PATH", &path)
            .env("HOME", data.path())
            .env("TABLEWRIGHT_DATA_DIR", data.path())
            .current_dir(root())
            .output()
            .unwrap();
        assert!(output.status.success(), "{line}\n{}", String::from_utf8_lossy(&output.stderr));
        said.push((line, String::from_utf8(output.stdout).unwrap()));
    }
    said
}

#[test]
fn the_team_of_the_guide_is_invited_and_removed() {
    let page = std::fs::read_to_string(root().join("examples/guide/people.md")).unwrap();
    let data = Data::new();
    let said = told(&data, story(&page, "team"));
    let of = |command: &str| &said.iter().find(|(line, _)| line.contains(command)).unwrap().1;
    assert!(of("workspace list").contains("Studio  0 members  Agency"), "{said:?}");
    let token = of("token create").trim().to_owned();
    let (_client, address) = listen(&data, &["--allow-write"], &[]);
    let bearer = format!("Bearer {token}");
    let headers = [("Authorization", bearer.as_str())];
    let bases = http(&address, "GET", "/v0/meta/bases", &headers, b"");
    assert!(bases.body.contains("\"permissionLevel\":\"read\""), "{}", bases.body);
    let mut lines = story(&page, "server");
    let after = lines.split_off(2);
    let said = told(&data, lines);
    let code = said[0].1.trim().split_once("code=").unwrap().1.to_owned();
    assert!(said[1].1.contains("ann@example.com  editor in Studio"), "{said:?}");
    let form = [("Content-Type", "application/x-www-form-urlencoded")];
    let body = format!("code={code}&name=Ann");
    let joined = http(&address, "POST", "/invitation", &form, body.as_bytes());
    assert!(joined.status == 200 && joined.body.contains("twk_"), "{}", joined.body);
    let said = told(&data, after);
    assert!(said[0].1.contains("person:ann@example.com  Ann  editor in Studio"), "{said:?}");
    assert!(said[2].1.contains("creator in Studio  Europe/Berlin  de"), "{said:?}");
    assert!(!data.ok(&["member", "list"]).contains("ann@example.com"));
}

#[test]
fn the_contractor_of_the_guide_sees_three_tables_and_no_salaries() {
    let page = std::fs::read_to_string(root().join("examples/guide/policies.md")).unwrap();
    let shown = page.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
    let policy = std::fs::read_to_string(root().join("examples/careful/contractor.toml")).unwrap();
    assert_eq!(shown, policy, "the page shows the file");
    let data = Data::new();
    let said = told(&data, story(&page, "contractor"));
    let told = |command: &str| &said.iter().find(|(line, _)| line.contains(command)).unwrap().1;
    assert!(told("People Salary").contains("may not read \"Salary\""), "{said:?}");
    assert!(told("People Cost").contains("it is worked out from what is hidden"), "{said:?}");
    assert!(told("update Agency Tasks").contains("may update"), "{said:?}");
    assert!(told("read Agency Clients").contains("may not read"), "{said:?}");
    let token = told("token create").trim().to_owned();
    let (_client, address) = listen(&data, &["--allow-write"], &[]);
    let bearer = format!("Bearer {token}");
    let headers = [("Authorization", bearer.as_str()), ("Content-Type", "application/json")];
    let get = |path: &str| http(&address, "GET", &format!("/v0/{path}"), &headers, b"").body;
    let tables = get("meta/bases/appAgency00000000/tables");
    for (name, there) in
        [("Projects", true), ("Tasks", true), ("People", true), ("Clients", false), ("Salary", false)]
    {
        assert_eq!(tables.contains(&format!("\"{name}\"")), there, "{name}: {tables}");
    }
    let people = get("appAgency00000000/People");
    assert!(people.contains("Ines Moreau") && people.contains("\"…1 17\""), "{people}");
    assert!(!people.contains("52000") && !people.contains("Cost") && !people.contains("+33"), "{people}");
    assert_eq!(get("appAgency00000000/Projects").matches("createdTime").count(), 2);
    let long = br#"{"fields": {"Hours": 25}}"#;
    let refused = http(&address, "PATCH", "/v0/appAgency00000000/Tasks/recAgT10000000000", &headers, long);
    assert_eq!(refused.status, 403, "{}", refused.body);
}
