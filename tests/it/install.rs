//! `install`: entries in the configuration files of MCP clients, in a home folder of their own.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::support::{Client, Data, program};

/// Every client, its folder, its file and the key its servers stand under.
const CLIENTS: [(&str, &str, &str, &str); 7] = [
    ("claude-desktop", ".config/Claude", ".config/Claude/claude_desktop_config.json", "mcpServers"),
    ("claude-code", ".claude", ".claude.json", "mcpServers"),
    ("vscode", ".config/Code", ".config/Code/User/mcp.json", "servers"),
    ("cursor", ".cursor", ".cursor/mcp.json", "mcpServers"),
    ("windsurf", ".codeium/windsurf", ".codeium/windsurf/mcp_config.json", "mcpServers"),
    ("zed", ".config/zed", ".config/zed/settings.json", "context_servers"),
    ("gemini-cli", ".gemini", ".gemini/settings.json", "mcpServers"),
];

struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// With all clients in it.
    fn full() -> Self {
        let home = Self::new();
        for (_, folder, ..) in CLIENTS {
            fs::create_dir_all(home.at(folder)).unwrap();
        }
        home
    }

    fn at(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    fn text(&self, path: &str) -> String {
        fs::read_to_string(self.at(path)).unwrap()
    }

    fn run(&self, words: &[&str]) -> Output {
        let mut command = Command::new(program());
        command.arg("install").args(words).current_dir(self.0.path()).env_clear();
        command.env("HOME", self.0.path()).output().unwrap()
    }

    fn ok(&self, words: &[&str]) -> String {
        let output = self.run(words);
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    fn refused(&self, words: &[&str]) -> String {
        let output = self.run(words);
        assert_eq!(output.status.code(), Some(1), "{words:?}");
        String::from_utf8(output.stderr).unwrap()
    }

    /// Names of everything in a folder.
    fn names(&self, folder: &str) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.at(folder))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

/// Starts what an entry says and opens a conversation.
fn start(entry: &Value) -> Client {
    let mut command = Command::new(entry["command"].as_str().unwrap());
    command.args(entry["args"].as_array().unwrap().iter().map(|word| word.as_str().unwrap()));
    command.env_clear().env("TABLEWRIGHT_OWNER_IDLE_SECONDS", "20");
    Client::start(command).initialize()
}

#[test]
fn every_client_starts_what_was_written() {
    let home = Home::full();
    let data = Data::with_shop();
    let folder = data.path().to_str().unwrap();
    for (client, _, file, key) in CLIENTS {
        let said = home.ok(&[client, "--allow-write", "--toolsets", "schema,records", "--data-dir", folder]);
        assert!(said.contains(file) && said.contains("--allow-write"), "{said}");
        let written: Value = serde_json::from_str(&home.text(file)).unwrap();
        let entry = &written[key]["tablewright"];
        assert_eq!(entry["command"], program());
        let args = json!(["serve", "--toolsets=schema,records", "--allow-write", "--data-dir", folder]);
        assert_eq!(entry["args"], args);
        let typed = matches!(client, "vscode" | "claude-code");
        assert_eq!(entry.get("type"), typed.then(|| json!("stdio")).as_ref(), "{client}");
        assert_eq!(fs::metadata(home.at(file)).unwrap().permissions().mode() & 0o777, 0o600);
        let mut server = start(entry);
        assert!(server.text("list_bases", json!({})).contains("Shop"), "{client}");
        let tools = server.tools();
        assert!(tools.contains(&"create_records".into()) && !tools.contains(&"delete_records".into()));
    }
}

#[test]
fn a_project_has_files_of_its_own() {
    let home = Home::new();
    for (client, file) in [
        ("claude-code", ".mcp.json"),
        ("vscode", ".vscode/mcp.json"),
        ("cursor", ".cursor/mcp.json"),
        ("zed", ".zed/settings.json"),
        ("gemini-cli", ".gemini/settings.json"),
    ] {
        home.ok(&[client, "--project", "--name", "bases"]);
        assert!(home.text(file).contains("\"bases\": {"), "{client}");
    }
    for client in ["claude-desktop", "windsurf"] {
        assert!(home.refused(&[client, "--project"]).contains("leave --project out"));
    }
}

#[test]
fn what_is_there_stays_and_a_copy_is_kept() {
    let home = Home::full();
    let before = "// Settings of mine\n{\n    \"theme\": \"One\", // dark\n    \"context_servers\": {\n        /* the other */\n        \"other\": { \"command\": \"o\", },\n    },\n    \"vim\": true,\n}\n";
    let file = ".config/zed/settings.json";
    fs::write(home.at(file), before).unwrap();
    fs::set_permissions(home.at(file), fs::Permissions::from_mode(0o640)).unwrap();
    let said: Value = serde_json::from_str(&home.ok(&["zed", "--json", "--read-only"])).unwrap();
    assert_eq!((&said["action"], &said["name"]), (&json!("added"), &json!("tablewright")));
    assert_eq!(said["entry"]["args"], json!(["serve", "--read-only"]));
    let after = home.text(file);
    for kept in [
        "// Settings of mine\n{\n    \"theme\": \"One\", // dark\n",
        "/* the other */\n        \"other\": { \"command\": \"o\", },\n",
        "    \"vim\": true,\n}\n",
    ] {
        assert!(after.contains(kept), "{after}");
    }
    assert!(after.contains("\n        \"tablewright\": {\n            \"command\": "), "{after}");
    let backup = Path::new(said["backup"].as_str().unwrap());
    assert_eq!(fs::read_to_string(backup).unwrap(), before);
    for path in [backup, &home.at(file)] {
        assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o640);
    }

    // The same again changes nothing, other flags change the entry, and what a person added stays.
    let said = home.ok(&["zed", "--read-only"]);
    assert!(said.contains("has it already"), "{said}");
    assert_eq!((home.text(file), home.names(".config/zed").len()), (after.clone(), 2));
    fs::write(
        home.at(file),
        after.replace("\"--read-only\"]", "\"--read-only\"], \"env\": { \"A\": \"1\" }"),
    )
    .unwrap();
    assert!(home.ok(&["zed", "--allow-schema", "--allow-delete"]).contains("updated"));
    let changed = home.text(file);
    assert!(changed.contains("[\"serve\", \"--allow-delete\", \"--allow-schema\"]"), "{changed}");
    assert!(changed.contains("\"env\": { \"A\": \"1\" }"), "{changed}");

    assert!(home.ok(&["zed", "--remove"]).contains("removed"));
    assert_eq!(home.text(file), before);
    assert!(home.ok(&["zed", "--remove"]).contains("nothing to take out"));
    assert_eq!(home.names(".config/zed").len(), 4, "the file and three copies");
}

#[test]
fn what_cannot_be_edited_is_left_as_it_is() {
    let home = Home::full();
    let file = home.at(".cursor/mcp.json");
    for (text, says) in [
        ("{\n  \"mcpServers\": {\n    oops\n", "line 3, column 5"),
        ("[1]", "the file is no object"),
        ("{\"mcpServers\": 1}", "\"mcpServers\" is no object"),
        ("{\"mcpServers\": {\"tablewright\": {\"url\": \"http://x\"}}}", "choose another `--name`"),
        ("{\"mcpServers\": {}, \"mcpServers\": {}}", "twice"),
    ] {
        fs::write(&file, text).unwrap();
        let said = home.refused(&["cursor"]);
        assert!(said.contains(says) && said.contains("mcp.json is left as it is"), "{said}");
        assert_eq!(fs::read_to_string(&file).unwrap(), text);
        assert_eq!(home.names(".cursor"), ["mcp.json"]);
    }
    fs::write(&file, b"{\"a\": \"\xff\"}").unwrap();
    assert!(home.refused(&["cursor"]).contains("not UTF-8"));
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    assert!(home.refused(&["cursor"]).contains("no regular file"));
}

#[test]
fn a_client_that_is_not_there_is_not_invented() {
    let home = Home::new();
    let said = home.refused(&["cursor"]);
    assert!(said.contains("Cursor does not seem to be installed") && said.contains("--file"), "{said}");
    assert!(home.names(".").is_empty());
    home.ok(&["cursor", "--file", "deep/er/mcp.json"]);
    assert!(home.text("deep/er/mcp.json").contains("mcpServers"));
    assert!(home.ok(&["cursor", "--remove"]).contains("nothing to take out"));
    assert_eq!(home.names("."), ["deep"]);
}

#[test]
fn printing_writes_nothing() {
    let home = Home::new();
    let output = home.run(&["vscode", "--print", "--allow-write"]);
    let printed: Value = serde_json::from_slice(&output.stdout).unwrap();
    let entry = json!({"type": "stdio", "command": program(), "args": ["serve", "--allow-write"]});
    assert_eq!(printed, json!({"servers": {"tablewright": entry}}));
    assert!(String::from_utf8(output.stderr).unwrap().contains(".config/Code/User/mcp.json"));
    let said: Value =
        serde_json::from_str(&home.ok(&["vscode", "--print", "--json", "--allow-write"])).unwrap();
    assert_eq!((&said["action"], &said["entry"], &said["backup"]), (&json!("printed"), &entry, &Value::Null));
    assert!(home.names(".").is_empty());
}

#[test]
fn a_link_stays_a_link_and_a_mark_stays_a_mark() {
    let home = Home::full();
    fs::create_dir(home.at("dotfiles")).unwrap();
    fs::write(home.at("dotfiles/gemini.json"), "\u{feff}{\r\n  \"a\": 1\r\n}\r\n").unwrap();
    symlink(home.at("dotfiles/gemini.json"), home.at(".gemini/settings.json")).unwrap();
    home.ok(&["gemini-cli"]);
    assert!(fs::symlink_metadata(home.at(".gemini/settings.json")).unwrap().is_symlink());
    let text = home.text("dotfiles/gemini.json");
    assert!(text.starts_with("\u{feff}{\r\n  \"a\": 1,\r\n  \"mcpServers\": {\r\n"), "{text:?}");
    assert_eq!(home.names("dotfiles").len(), 2, "the copy lies beside the file itself");
    fs::remove_file(home.at("dotfiles/gemini.json")).unwrap();
    assert!(home.refused(&["gemini-cli"]).contains("is a link to"));
}

#[test]
fn wrong_flags_are_refused_before_anything_is_written() {
    let home = Home::full();
    for (words, code, says) in [
        (&["cursor", "--toolsets", "recrods"][..], 3, "records"),
        (&["cursor", "--config", "none.toml"], 3, "none.toml"),
        (&["cursor", "--name", "a b"], 2, "letters"),
        (&["emacs"], 2, "claude-desktop"),
        (&["cursor", "--print", "--remove"], 2, "cannot be used"),
    ] {
        let output = home.run(words);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{said}");
        assert!(said.contains(says), "{said}");
    }
    assert!(home.names(".cursor").is_empty());
}
