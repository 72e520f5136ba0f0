//! The command line: results, errors, exit codes.

use serde_json::{Value, json};
use sqlx::Connection;

use crate::support::{Data, root};

#[test]
fn bases_come_in_are_listed_and_go() {
    let data = Data::new();
    assert!(data.ok(&["base", "list"]).contains("no bases"));
    let shop = root().join("tests/fixtures/shop.json").display().to_string();
    assert_eq!(
        data.ok(&["base", "import", &shop]).trim(),
        "imported \"Shop\" (appShop0000000000): 2 tables, 6 records"
    );
    let again = data.run(&["base", "import", &shop]);
    assert_eq!(again.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&again.stderr).contains("is here already"));
    let listed: Value = serde_json::from_str(&data.ok(&["base", "list", "--json"])).unwrap();
    assert_eq!(
        listed,
        json!([{"id": "appShop0000000000", "name": "Shop", "tables": 2, "records": 6, "lives": "here"}])
    );
    let unsure = data.run(&["base", "delete", "Shop"]);
    assert_eq!(unsure.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&unsure.stderr).contains("--yes"));
    data.ok(&["base", "delete", "Shop", "--yes"]);
    assert!(data.ok(&["base", "list"]).contains("no bases"));
}

#[test]
fn commands_work_through_a_running_owner_too() {
    let data = Data::new();
    let mut client = data.serve(&[]).initialize();
    data.import(&root().join("tests/fixtures/shop.json"));
    assert!(client.text("list_bases", json!({})).contains("Shop"), "and its clients see it at once");
    let file = data.path().join("out.json").display().to_string();
    data.ok(&["base", "export", "shop", "--output", &file]);
    assert!(std::fs::read_to_string(&file).unwrap().contains("recLamp0000000000"));
    data.ok(&["base", "delete", "Shop", "--yes"]);
    assert!(!client.text("list_bases", json!({})).contains("Shop"));
    for (target, hint) in [("/dev/null", "no regular file"), (file.as_str(), "--force")] {
        data.import(&root().join("tests/fixtures/shop.json"));
        let refused = data.run(&["base", "export", "Shop", "--output", target]);
        assert_eq!(refused.status.code(), Some(1));
        assert!(String::from_utf8_lossy(&refused.stderr).contains(hint));
        data.ok(&["base", "delete", "Shop", "--yes"]);
    }
    let missing = data.run(&["base", "export", "Shop"]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&missing.stderr).contains("there is no base \"Shop\""));
}

#[test]
fn tokens_are_shown_once_and_kept_as_hashes() {
    let data = Data::new();
    let made = data.ok(&["token", "create", "--name", "laptop"]);
    let token = made.trim();
    assert!(token.starts_with("twk_") && made.lines().count() == 1, "{made}");
    let listed = data.ok(&["token", "list"]);
    assert!(listed.contains("laptop") && listed.contains("in force") && !listed.contains(token));
    let bytes = std::fs::read(data.path().join("tablewright.db")).unwrap();
    assert!(memchr::memmem::find(&bytes, token.as_bytes()).is_none());
    assert_eq!(data.run(&["token", "create", "--name", "laptop"]).status.code(), Some(1));
    let unknown = data.run(&["token", "create", "--name", "x", "--scopes", "records"]);
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("data.records:read"));
    data.ok(&["token", "revoke", "laptop"]);
    assert!(data.ok(&["token", "list"]).contains("revoked"));
    assert_eq!(data.run(&["token", "revoke", "laptop"]).status.code(), Some(1));
}

#[test]
fn wrong_configuration_is_code_3_and_named() {
    let data = Data::new();
    let file = data.path().join("bad.toml");
    for (text, hint) in [
        ("[answers]\nrow = 3\n", "row"),
        ("[answers]\nrows = \"x\"\n", "rows"),
        ("answers = [", "TOML"),
        ("[answers]\nrows = 5000\n", "1 to 1000"),
        ("[log]\nlevel = \"loud\"\n", "no level"),
    ] {
        std::fs::write(&file, text).unwrap();
        let output = data.run(&["--config", &file.display().to_string(), "base", "list"]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(3), "{said}");
        assert!(said.contains(hint), "{said}");
    }
    let output = data.command(&["base", "list"]).env("TABLEWRIGHT_ANSWER_ROWS", "1").output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&output.stderr).contains("TABLEWRIGHT_ANSWERS_ROWS"));
    assert_eq!(data.run(&["no-such-command"]).status.code(), Some(2));
}

#[test]
fn doctor_shows_what_is_in_force_and_from_where() {
    let data = Data::with_shop();
    let mut command = data.command(&["doctor", "--json"]);
    command.env("TABLEWRIGHT_ANSWERS_ROWS", "7");
    let output = command.output().unwrap();
    assert!(output.status.success());
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let setting =
        report["settings"].as_array().unwrap().iter().find(|s| s["name"] == "answers.rows").unwrap();
    assert_eq!(setting, &json!({"name": "answers.rows", "value": 7, "source": "TABLEWRIGHT_ANSWERS_ROWS"}));
    assert!(report["checks"].as_array().unwrap().iter().all(|c| c["ok"] == true), "{report}");
    let text = data.ok(&["doctor"]);
    assert!(
        text.contains("TABLEWRIGHT_OWNER_IDLE_SECONDS") && text.contains("ok      database: 1 bases"),
        "{text}"
    );
}

#[test]
fn a_database_that_is_not_ours_is_refused_and_left_alone() {
    let data = Data::new();
    let path = data.path().join("tablewright.db");
    let junk = b"this is not a database at all, whatever its name says. ".repeat(40);
    std::fs::write(&path, &junk).unwrap();
    for args in [&["base", "list"][..], &["serve", "--no-daemon"], &["serve"]] {
        let output = data.run(args);
        assert_eq!(output.status.code(), Some(5), "{args:?}");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains("is not a Tablewright database"), "{args:?}: {said}");
    }
    assert_eq!(std::fs::read(&path).unwrap(), junk);
    std::fs::remove_file(&path).unwrap();
    sql(&path, &["CREATE TABLE notes (text TEXT)"]);
    let foreign = std::fs::read(&path).unwrap();
    let output = data.run(&["base", "list"]);
    assert_eq!(std::fs::read(&path).unwrap(), foreign, "not a byte of it changed");
    assert_eq!(output.status.code(), Some(5));
    assert!(String::from_utf8_lossy(&output.stderr).contains("is not a Tablewright database"));
}

#[test]
fn a_database_of_a_newer_version_is_refused() {
    let data = Data::with_shop();
    let newer =
        "INSERT INTO _sqlx_migrations (version, description, installed_on, success, checksum, execution_time)
                 VALUES (9999, 'future', CURRENT_TIMESTAMP, 1, x'00', 1)";
    sql(&data.path().join("tablewright.db"), &[newer]);
    let output = data.run(&["base", "list"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(5), "{said}");
    assert!(said.contains("newer version of Tablewright") && said.contains("9999"), "{said}");
}

#[test]
fn the_database_is_its_users_alone_and_commands_are_written_down() {
    use std::os::unix::fs::PermissionsExt;
    let data = Data::new();
    std::fs::set_permissions(data.path(), PermissionsExt::from_mode(0o755)).unwrap();
    data.import(&root().join("tests/fixtures/shop.json"));
    data.ok(&["token", "create", "--name", "n"]);
    data.ok(&["base", "delete", "Shop", "--yes"]);
    for file in ["tablewright.db", "owner.lock"] {
        let mode = std::fs::metadata(data.path().join(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
    let lines = audit(&data);
    assert_eq!(lines, ["base import ok", "token create ok", "base delete ok"]);
}

#[test]
fn two_bases_of_one_name_are_told_apart() {
    let data = Data::new();
    let file = data.path().join("same.json");
    std::fs::write(
        &file,
        r#"{"base":{"name":"Same"},"tables":[{"name":"T","fields":[{"name":"N","type":"number"}]}]}"#,
    )
    .unwrap();
    data.import(&file);
    data.import(&file);
    let refused = data.run(&["base", "delete", "Same", "--yes"]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        !refused.status.success() && said.contains("2 have the name") && said.contains("; use an id: app"),
        "{said}"
    );
}

#[test]
fn output_that_cannot_be_written_is_an_error_and_no_token_is_left() {
    let data = Data::new();
    let full = || std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = data.command(&["token", "create", "--name", "t"]).stdout(full()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("standard output cannot be written"));
    assert!(data.ok(&["token", "list"]).contains("revoked"));
}

#[test]
fn a_port_in_use_is_code_6() {
    let data = Data::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = data.run(&["serve", "--http", &address]);
    assert_eq!(output.status.code(), Some(6));
    assert!(String::from_utf8_lossy(&output.stderr).contains(&address));
}

#[test]
fn a_directory_that_cannot_be_made_is_code_5() {
    let data = Data::new();
    let file = data.path().join("file");
    std::fs::write(&file, "x").unwrap();
    let mut command = std::process::Command::new(crate::support::program());
    command.env_remove("TABLEWRIGHT_DATA_DIR");
    let output = command.args(["base", "list", "--data-dir"]).arg(file.join("below")).output().unwrap();
    assert_eq!(output.status.code(), Some(5));
    assert!(String::from_utf8_lossy(&output.stderr).contains("cannot be used"));
}

fn audit(data: &Data) -> Vec<String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(data.path().join("tablewright.db"));
        let mut connection = sqlx::SqliteConnection::connect_with(&options).await.unwrap();
        let rows: Vec<(String, String)> = sqlx::query_as("SELECT action, outcome FROM audit ORDER BY seq")
            .fetch_all(&mut connection)
            .await
            .unwrap();
        connection.close().await.unwrap();
        rows.into_iter().map(|(action, outcome)| format!("{action} {outcome}")).collect()
    })
}

fn sql(path: &std::path::Path, statements: &[&'static str]) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path).create_if_missing(true);
        let mut connection = sqlx::SqliteConnection::connect_with(&options).await.unwrap();
        for statement in statements {
            sqlx::query(*statement).execute(&mut connection).await.unwrap();
        }
        connection.close().await.unwrap();
    });
}
