//! Rules a script can see.

use std::path::{Path, PathBuf};

use crate::support::root;

fn files(under: &Path, out: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(under).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name();
        if name == "target" || name == ".git" || name == "node_modules" || name == "__pycache__" {
            continue;
        }
        if entry.file_type().unwrap().is_dir() { files(&entry.path(), out) } else { out.push(entry.path()) }
    }
}

fn tracked() -> Vec<PathBuf> {
    let mut all = Vec::new();
    for part in ["src", "tools", "prompts", "schemas", "tests", "examples"] {
        files(&root().join(part), &mut all);
    }
    all.push(root().join("README.md"));
    all.push(root().join("Cargo.toml"));
    all
}

#[test]
fn the_top_level_is_as_agreed() {
    let allowed = [
        "Cargo.toml",
        "Cargo.lock",
        "LICENSE",
        "README.md",
        "src",
        "tools",
        "prompts",
        "schemas",
        "tests",
        "examples",
        "target",
    ];
    for entry in std::fs::read_dir(root()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(
            name.starts_with('.') || allowed.contains(&name.as_str()),
            "{name} does not belong at the top"
        );
    }
}

#[test]
fn code_files_are_short_and_named_after_what_they_hold() {
    for path in tracked().iter().filter(|p| p.extension().is_some_and(|e| e == "rs" || e == "py")) {
        let lines = std::fs::read_to_string(path).unwrap().lines().count();
        assert!(lines <= 600, "{}: {lines} lines", path.display());
        let name = path.file_name().unwrap().to_str().unwrap();
        let vague = ["mod.rs", "utils.rs", "util.rs", "helpers.rs", "common.rs", "manager.rs"];
        assert!(!vague.contains(&name), "{}", path.display());
    }
}

#[test]
fn prompt_text_is_not_in_code() {
    for path in tracked()
        .iter()
        .filter(|p| p.starts_with(root().join("src")) && p.extension().is_some_and(|e| e == "rs"))
    {
        let text = std::fs::read_to_string(path).unwrap();
        for phrase in ["You are a", "you are an assistant", "Order of work"] {
            assert!(!text.contains(phrase), "{}: {phrase:?} belongs under prompts/", path.display());
        }
    }
}

#[test]
fn no_file_carries_a_machine_path_or_a_registry_host() {
    let hosts =
        [("registry.npmjs", "org"), ("pypi", "org"), ("files.pythonhosted", "org"), ("static.crates", "io")]
            .map(|(name, top)| format!("{name}.{top}"));
    for path in tracked() {
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        for (n, line) in text.lines().enumerate() {
            for home in ["home", "root", "work"].map(|name| format!("/{name}/")) {
                let is_path = line.match_indices(&home).any(|(at, _)| {
                    !line[..at].ends_with(|c: char| c.is_alphanumeric() || matches!(c, '.' | '}' | '"'))
                });
                assert!(!is_path, "{}:{}: {line}", path.display(), n + 1);
            }
            assert!(!hosts.iter().any(|host| line.contains(host.as_str())), "{}:{}", path.display(), n + 1);
        }
    }
}

#[test]
fn every_crate_is_on_the_map() {
    let map = std::fs::read_to_string(root().join("src/README.md")).unwrap();
    for entry in std::fs::read_dir(root().join("src")).unwrap() {
        let entry = entry.unwrap();
        if entry.path().join("Cargo.toml").exists() {
            let name = format!("`src/{}`", entry.file_name().to_str().unwrap());
            assert!(map.contains(&name), "{name} is not in src/README.md");
        }
    }
}

#[test]
fn every_dependency_says_what_it_is_for() {
    let text = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let section = text.split("[workspace.dependencies]").nth(1).unwrap().split("\n[").next().unwrap();
    for line in section.lines().filter(|l| l.contains('=') && !l.starts_with("tablewright-")) {
        assert!(line.contains(" # "), "{line}");
    }
}
