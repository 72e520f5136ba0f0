//! `doctor`: the settings in force, and whether everything is in order.

use serde::Deserialize;
use serde_json::{Value, json};

use tablewright_toolkit::registry::Registry;
use tablewright_toolkit::{Surface, catalogue};

use super::args::Global;
use super::base::administer;
use crate::admin;
use crate::app::data_dir;
use crate::config::{Config, variable};
use crate::output::say;
use crate::owner::{Kind, Lock};

/// Runs the checks; fails when one of them does.
pub async fn run(global: &Global) -> anyhow::Result<()> {
    let loaded = global.load(Default::default())?;
    let directory = data_dir(&loaded.config)?;
    let registry = tablewright_tools::registry();
    let catalogue = registry.as_ref().map(|_| "complete".into()).map_err(ToString::to_string);
    let mut checks = vec![
        Check::of("data directory", writable(&directory)),
        Check::of("database", database(&directory).await),
        Check::of("tool catalogue", catalogue),
        Check::of("tools", selected(&registry, &loaded.config)),
    ];
    checks.extend(logins(global, &directory).await);
    let failed = checks.iter().filter(|check| check.state == State::Failed).count();
    if global.json {
        let checks: Vec<Value> = checks.iter().map(Check::json).collect();
        say(json!({
            "version": env!("CARGO_PKG_VERSION"), "dataDir": directory, "settings": loaded.settings, "checks": checks
        }))?;
    } else {
        say(format_args!("tablewright {}", env!("CARGO_PKG_VERSION")))?;
        say(format_args!(
            "data directory: {}\n\nSettings (name, value, from, variable):",
            directory.display()
        ))?;
        for setting in &loaded.settings {
            say(format_args!(
                "  {:28} {:24} {:10} {}",
                setting.name,
                setting.value.to_string(),
                setting.source,
                variable(&setting.name)
            ))?;
        }
        say("\nChecks:")?;
        for Check { name, state, says } in &checks {
            let state = match state {
                State::Ok => "ok",
                State::Warning => "WARNING",
                State::Failed => "FAILED",
            };
            say(format_args!("  {state:7} {name}: {}", says.replace('\n', "\n          ")))?;
        }
    }
    if failed > 0 {
        anyhow::bail!("{failed} of {} checks failed", checks.len());
    }
    Ok(())
}

/// How a check went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Ok,
    /// It works, and something is to be looked at.
    Warning,
    Failed,
}

/// One check and what it found.
#[derive(Debug, Deserialize)]
struct Check {
    name: String,
    state: State,
    says: String,
}

impl Check {
    fn of(name: &str, result: Result<String, String>) -> Self {
        let state = if result.is_ok() { State::Ok } else { State::Failed };
        Self { name: name.to_owned(), state, says: result.unwrap_or_else(|why| why) }
    }

    fn json(&self) -> Value {
        let mut shown = json!({"name": self.name, "ok": self.state != State::Failed, "says": self.says});
        if self.state == State::Warning {
            shown["warning"] = json!(true);
        }
        shown
    }
}

/// Whether the logins at Airtable work. Nothing is started for it when there are none.
async fn logins(global: &Global, directory: &std::path::Path) -> Vec<Check> {
    match has_logins(directory).await {
        Ok(false) => return Vec::new(),
        Ok(true) => {}
        // The check of the database has said it.
        Err(_) => return Vec::new(),
    }
    let command = admin::Command::Logins { command: admin::logins::Command::Check };
    let checked = match administer(global, command).await {
        Ok(checked) => serde_json::from_value::<Vec<Check>>(checked).map_err(anyhow::Error::from),
        Err(error) => Err(error),
    };
    match checked {
        Ok(checks) => {
            checks.into_iter().map(|check| Check { name: format!("login {}", check.name), ..check }).collect()
        }
        Err(error) => vec![Check::of("logins", Err(format!("{error:#}")))],
    }
}

async fn has_logins(directory: &std::path::Path) -> anyhow::Result<bool> {
    if crate::config::given(|name| std::env::var(name).ok()).token.is_some() {
        return Ok(true);
    }
    let path = directory.join("tablewright.db");
    let Some(lock) = Lock::take(directory, Kind::Alone)? else {
        // Its owner knows.
        return Ok(true);
    };
    if !path.exists() {
        return Ok(false);
    }
    let store = tablewright_engine::Store::open(&path).await?;
    let profiles = store.profiles().await?;
    let bases = store.bases().await?;
    store.close().await;
    drop(lock);
    Ok(!profiles.is_empty() || bases.iter().any(|base| base.cloud.is_some()))
}

fn writable(directory: &std::path::Path) -> Result<String, String> {
    let probe = directory.join(format!("probe-{}", std::process::id()));
    std::fs::write(&probe, b"x").and_then(|()| std::fs::remove_file(&probe)).map_err(|e| e.to_string())?;
    Ok("can be written".into())
}

fn selected(registry: &Result<Registry, catalogue::Error>, config: &Config) -> Result<String, String> {
    let Ok(registry) = registry else { return Err("there is no catalogue to choose from".into()) };
    config.tools.check(registry).map_err(|e| e.to_string())?;
    let surface = Surface::of(registry, &config.tools, config.allow);
    Ok(format!("{} offered", surface.tools().len()))
}

async fn database(directory: &std::path::Path) -> Result<String, String> {
    let path = directory.join("tablewright.db");
    let lock = match Lock::take(directory, Kind::Alone).map_err(|e| e.to_string())? {
        Some(lock) => lock,
        None => {
            let who = Lock::holder(directory).map_or("another process".into(), |h| {
                format!("process {} ({:?}, version {})", h.pid, h.kind, h.version)
            });
            return Ok(format!("in use by {who}"));
        }
    };
    if !path.exists() {
        return Ok("none yet".into());
    }
    let store = tablewright_engine::Store::open(&path).await.map_err(|e| e.to_string())?;
    let bases = store.bases().await.map_err(|e| e.to_string())?;
    store.close().await;
    drop(lock);
    Ok(format!("{} bases", bases.len()))
}
