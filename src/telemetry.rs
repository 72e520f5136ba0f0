//! Logs: always to standard error, for standard output belongs to the protocol.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tracing_subscriber::EnvFilter;

/// How log lines look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Settings of the log.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// How log lines look.
    pub format: Format,
    /// What is logged: `error`, `warn`, `info`, `debug`, `trace`, or a filter such as `info,sqlx=debug`.
    pub level: String,
}

impl Default for Options {
    fn default() -> Self {
        Self { format: Format::Text, level: "warn,rmcp=error".into() }
    }
}

/// The filter that `level` asks for.
pub fn filter(level: &str) -> Result<EnvFilter, String> {
    // A word that is no level would be taken for the name of a crate.
    let known = |word: &str| ["off", "error", "warn", "info", "debug", "trace"].contains(&word);
    if let Some(word) = level.split(',').find(|part| !part.contains('=') && !known(part.trim())) {
        return Err(format!("{word:?} is no level; use error, warn, info, debug, trace, or name=level"));
    }
    EnvFilter::try_new(level).map_err(|e| e.to_string())
}

/// Starts logging. Later calls do nothing.
pub fn start(options: &Options) {
    let filter = filter(&options.level).unwrap_or_else(|_| EnvFilter::new("warn"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let _ = match options.format {
        Format::Text => builder.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).try_init(),
        Format::Json => builder.json().try_init(),
    };
}
