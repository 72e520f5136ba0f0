//! `doctor`: the settings in force, and whether everything is in order.

use serde_json::{Value, json};

use tablewright_toolkit::registry::Registry;
use tablewright_toolkit::{Surface, catalogue};

use super::args::Global;
use crate::app::data_dir;
use crate::config::{Config, variable};
use crate::output::say;
use crate::owner::{Kind, Lock};

/// Runs the checks; fails when one of them does.
pub async fn run(global: &Global) -> anyhow::Result<()> {
    let loaded = global.load(Default::default())?;
    let directory = data_dir(&loaded.config)?;
    let registry = tablewright_tools::registry();
    let checks = [
        ("data directory", writable(&directory)),
        ("database", database(&directory).await),
        ("tool catalogue", registry.as_ref().map(|_| "complete".into()).map_err(ToString::to_string)),
        ("tools", selected(&registry, &loaded.config)),
    ];
    let failed = checks.iter().filter(|(_, result)| result.is_err()).count();
    if global.json {
        let checks: Vec<Value> = checks
            .iter()
            .map(|(name, r)| json!({"name": name, "ok": r.is_ok(), "says": r.as_ref().unwrap_or_else(|e| e)}))
            .collect();
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
        for (name, result) in &checks {
            match result {
                Ok(says) => say(format_args!("  ok      {name}: {says}"))?,
                Err(why) => say(format_args!("  FAILED  {name}: {why}"))?,
            }
        }
    }
    if failed > 0 {
        anyhow::bail!("{failed} of {} checks failed", checks.len());
    }
    Ok(())
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
