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

/// Starts logging. Later calls do nothing.
pub fn start(options: &Options) {
    let filter = EnvFilter::try_new(&options.level).unwrap_or_else(|_| EnvFilter::new("warn"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let _ = match options.format {
        Format::Text => builder.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).try_init(),
        Format::Json => builder.json().try_init(),
    };
}
