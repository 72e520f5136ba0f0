//! `generate`: files made from the code, and whether they are up to date.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tablewright_door::Rights;
use tablewright_door::access::Need;
use tablewright_door::policy::file::PolicyFile;
use tablewright_engine::base_file::BaseFile;
use tablewright_faces::mcp::wire_tool;
use tablewright_toolkit::arguments::schema_of;

use crate::config::{Config, variable};
use crate::exit::{Exit, Failed};
use crate::output::say;

const TOOLS: (&str, &str) = ("<!-- tools -->", "<!-- /tools -->");
const CHOICES: (&str, &str) = ("<!-- choices -->", "<!-- /choices -->");
const GUIDE: &str = "examples/guide/formulas.md";
const SETTINGS: (&str, &str) = ("<!-- settings -->", "<!-- /settings -->");

/// Writes the files, or with `check` fails when one differs. Runs in the project's folder.
pub fn run(check: bool) -> anyhow::Result<()> {
    let root = std::env::current_dir()?;
    if !root.join("tools").is_dir() || !root.join("schemas").is_dir() {
        return Err(Failed::with(
            Exit::Failure,
            "run this in the project's folder: it has tools/ and schemas/",
        ));
    }
    let wanted = files(&root)?;
    let mut stale: Vec<PathBuf> = Vec::new();
    for (path, text) in &wanted {
        if std::fs::read_to_string(root.join(path)).ok().as_ref() != Some(text) {
            stale.push(path.clone());
        }
    }
    let kept = |path: &PathBuf| !wanted.contains_key(path);
    let extra: Vec<PathBuf> = existing(&root)?.into_iter().filter(kept).collect();
    if check {
        let listed: Vec<String> = stale.iter().chain(&extra).map(|p| p.display().to_string()).collect();
        if !listed.is_empty() {
            let message = format!("out of date: {}; run `tablewright generate`", listed.join(", "));
            return Err(Failed::with(Exit::OutOfDate, message));
        }
        say(format_args!("{} generated files are up to date", wanted.len()))?;
        return Ok(());
    }
    for path in &stale {
        let full = root.join(path);
        if let Some(folder) = full.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(full, &wanted[path])?;
    }
    for path in &extra {
        std::fs::remove_file(root.join(path))?;
    }
    say(format_args!("{} written, {} removed, {} in all", stale.len(), extra.len(), wanted.len()))?;
    Ok(())
}

fn existing(root: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::from("schemas/tools"), PathBuf::from("schemas/files")];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(root.join(&folder)) else { continue };
        for entry in entries {
            let entry = entry?;
            let path = folder.join(entry.file_name());
            if entry.file_type()?.is_dir() { folders.push(path) } else { found.push(path) }
        }
    }
    Ok(found)
}

fn pretty(value: &Value) -> String {
    let mut text = serde_json::to_string_pretty(value).unwrap_or_default();
    text.push('\n');
    text
}

fn files(root: &Path) -> anyhow::Result<BTreeMap<PathBuf, String>> {
    let registry = tablewright_tools::registry()?;
    let mut files = BTreeMap::new();
    for entry in registry.entries() {
        let path = PathBuf::from(format!("schemas/tools/{}/{}.json", entry.toolset, entry.name));
        files.insert(path, pretty(&serde_json::to_value(wire_tool(entry))?));
    }
    files.insert("schemas/files/config.json".into(), pretty(&Value::Object(schema_of::<Config>())));
    files.insert("schemas/files/base.json".into(), pretty(&Value::Object(schema_of::<BaseFile>())));
    files.insert("schemas/files/policy.json".into(), pretty(&Value::Object(schema_of::<PolicyFile>())));
    tablewright_formula::verify().map_err(anyhow::Error::msg)?;
    files.insert("prompts/shared/formula_reference.md".into(), tablewright_formula::reference());
    let guide = std::fs::read_to_string(root.join(GUIDE))?;
    files.insert(GUIDE.into(), between(&guide, CHOICES, &tablewright_formula::choices())?);
    let readme = std::fs::read_to_string(root.join("README.md"))?;
    let readme = between(&readme, TOOLS, &tool_table(&registry))?;
    let readme = between(&readme, SETTINGS, &setting_table())?;
    files.insert("README.md".into(), readme);
    Ok(files)
}

fn between(text: &str, (open, close): (&str, &str), inside: &str) -> anyhow::Result<String> {
    let parts = text.split_once(open).and_then(|(before, rest)| Some((before, rest.split_once(close)?.1)));
    let Some((before, after)) = parts else {
        anyhow::bail!("a page has no {open} … {close}");
    };
    Ok(format!("{before}{open}\n{inside}{close}{after}"))
}

fn tool_table(registry: &tablewright_toolkit::registry::Registry) -> String {
    let mut table = String::from("| toolset | tool | needs | what it does |\n|---|---|---|---|\n");
    for entry in registry.entries() {
        let flag =
            Rights::default().require(entry.wording.scope).err().map_or("", |_| match entry.wording.scope {
                Need::Delete => "`--allow-delete`",
                Need::Schema => "`--allow-schema`",
                Need::Audit => "`--allow-audit`",
                Need::Admin => "`--allow-admin`",
                Need::Remove => "`--allow-delete`, `--allow-schema`",
                _ => "`--allow-write`",
            });
        let first = entry.wording.description.split_inclusive(['.', ':']).next().unwrap_or_default();
        let _ = writeln!(
            table,
            "| {} | `{}` | {flag} | {} |",
            entry.toolset,
            entry.name,
            first.trim_end_matches(':')
        );
    }
    table
}

fn setting_table() -> String {
    let mut table = String::from("| setting | variable | default |\n|---|---|---|\n");
    let loaded = crate::config::load(None, std::iter::empty(), serde_json::Map::new());
    for setting in loaded.map(|l| l.settings).unwrap_or_default() {
        let _ =
            writeln!(table, "| `{}` | `{}` | `{}` |", setting.name, variable(&setting.name), setting.value);
    }
    table
}
