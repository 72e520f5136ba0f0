//! `install`: enters this program into the configuration of an MCP client.

mod client;
mod edit;
mod file;

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde_json::{Map, Value, json};

use super::args::{Global, Install};
use crate::exit::{Exit, Failed};
use crate::output::{say, shown};
pub use client::Client;
use client::System;
use edit::Outcome;
use file::ConfigFile;

/// A server's name as every client takes it.
pub fn server_name(text: &str) -> Result<String, String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if text.is_empty() || text.len() > 64 || !text.chars().all(fits) {
        return Err("use 1 to 64 letters, digits, hyphens and underscores".into());
    }
    Ok(text.to_owned())
}

/// Does what the flags say; see [`Install`].
pub fn run(global: &Global, options: Install) -> anyhow::Result<()> {
    let client = options.client;
    let (path, missing) = target(&options)?;
    if options.remove {
        let file = ConfigFile::read(&path)?;
        let outcome = edited(&path, edit::remove(file.text()?, client.key(), &options.name))?;
        return finish(global, &options, &path, &file, outcome, None);
    }
    let entry = entry(global, &options)?;
    if options.print {
        return print(global, &options, &path, &entry);
    }
    if let Some(missing) = missing {
        bail!(
            "{} does not seem to be installed: {missing} is not there. To write anyway, say where: --file {}",
            client.title(),
            path.display()
        );
    }
    let file = ConfigFile::read(&path)?;
    let outcome = edited(&path, edit::put(file.text()?, client.key(), &options.name, &entry))?;
    finish(global, &options, &path, &file, outcome, Some(&entry))
}

/// The file to edit, and what is missing if the client is not installed.
fn target(options: &Install) -> anyhow::Result<(PathBuf, Option<String>)> {
    let client = options.client;
    if let Some(file) = &options.file {
        return Ok((std::path::absolute(file)?, None));
    }
    if options.project {
        let folder = std::env::current_dir().context("this folder cannot be used")?;
        let file = client.project_file(&folder).with_context(|| {
            format!("{} has no configuration for one project; leave --project out", client.title())
        })?;
        return Ok((file, None));
    }
    let place = client
        .place(System::this(), |name| std::env::var_os(name))
        .map_err(|variable| anyhow::anyhow!("{variable} is not set, so give the file with --file"))?;
    let there = place.signs.iter().any(|sign| sign.exists());
    let missing = (!there).then(|| {
        let signs: Vec<String> = place.signs.iter().map(|sign| sign.display().to_string()).collect();
        signs.join(" or ")
    });
    Ok((place.file, missing))
}

/// What the client is told to start. Flags that `serve` would refuse are refused here.
fn entry(global: &Global, options: &Install) -> anyhow::Result<Map<String, Value>> {
    let loaded = global.load(options.offer.settings())?;
    let registry = tablewright_tools::registry()?;
    loaded.config.tools.check(&registry).map_err(|e| Failed::with(Exit::Config, e))?;
    let program = std::env::current_exe().context("this program does not know where it is")?;
    let mut args = vec!["serve".to_owned()];
    args.extend(options.offer.words());
    for (flag, path) in [("--data-dir", &global.data_dir), ("--config", &global.config)] {
        if let Some(path) = path {
            args.extend([flag.to_owned(), as_text(&std::path::absolute(path)?)?]);
        }
    }
    // Clients start programs with an environment of their own.
    for setting in loaded.settings.iter().filter(|s| s.source.starts_with("TABLEWRIGHT_")) {
        eprintln!(
            "tablewright: {} is set here but may not be where {} starts the server; use a flag or --config",
            setting.source,
            options.client.title()
        );
    }
    Ok(options.client.entry(&as_text(&program)?, &args))
}

fn as_text(path: &Path) -> anyhow::Result<String> {
    let text = path.to_str().with_context(|| format!("{} is not UTF-8", path.display()))?;
    Ok(text.to_owned())
}

fn edited(path: &Path, result: Result<Outcome, edit::Error>) -> anyhow::Result<Outcome> {
    result.map_err(|e| anyhow::anyhow!("{} is left as it is: {e}", path.display()))
}

fn print(global: &Global, options: &Install, path: &Path, entry: &Map<String, Value>) -> anyhow::Result<()> {
    if global.json {
        return report(options, path, "printed", None, Some(entry));
    }
    let whole = json!({options.client.key(): {options.name.as_str(): entry}});
    eprintln!("tablewright: this belongs in {}", path.display());
    say(format_args!("{whole:#}"))
}

/// Writes what came of the edit, and says so.
fn finish(
    global: &Global,
    options: &Install,
    path: &Path,
    file: &ConfigFile,
    outcome: Outcome,
    entry: Option<&Map<String, Value>>,
) -> anyhow::Result<()> {
    let (action, text) = match outcome {
        Outcome::Added(text) => ("added", Some(text)),
        Outcome::Updated(text) => ("updated", Some(text)),
        Outcome::Removed(text) => ("removed", Some(text)),
        Outcome::Same => ("unchanged", None),
    };
    let mut backup = None;
    if let Some(text) = text {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)
                .with_context(|| format!("the folder {} cannot be made", folder.display()))?;
        }
        backup = file.replace(&text, !options.project)?;
    }
    if global.json {
        return report(options, path, action, backup.as_deref(), entry);
    }
    let (title, name) = (options.client.title(), &options.name);
    match (action, entry) {
        ("unchanged", Some(_)) => {
            say(format_args!("{title} has it already: {} says the same", path.display()))?
        }
        ("unchanged", None) => say(format_args!("nothing to take out: {} has no {name:?}", path.display()))?,
        _ => say(format_args!("{action} {name:?} for {title}: {}", path.display()))?,
    }
    if let Some(backup) = &backup {
        say(format_args!("the file as it was: {}", backup.display()))?;
    }
    if let Some(entry) = entry {
        let words = entry["args"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let command = entry["command"].as_str().into_iter().chain(words).map(shown).collect::<Vec<_>>();
        say(format_args!("it starts: {}", command.join(" ")))?;
    }
    if action != "unchanged" {
        say(options.client.next())?;
    }
    Ok(())
}

fn report(
    options: &Install,
    path: &Path,
    action: &str,
    backup: Option<&Path>,
    entry: Option<&Map<String, Value>>,
) -> anyhow::Result<()> {
    say(json!({
        "client": options.client.title(), "file": path, "key": options.client.key(), "name": options.name,
        "action": action, "backup": backup, "entry": entry
    }))
}
