//! The wording of tools, read from `tools/<toolset>.toml`.

use std::collections::BTreeMap;

use serde::Deserialize;
use tablewright_door::access::Need;

/// One toolset: a file of the catalogue.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Toolset {
    /// Its name, as in `--toolsets`.
    pub toolset: String,
    /// One line for people.
    pub summary: String,
    /// True when it is on unless toolsets are chosen.
    #[serde(default)]
    pub default: bool,
    /// Its tools by name.
    pub tools: BTreeMap<String, Wording>,
}

/// What a tool says of itself as a whole. What its arguments mean is said at their types.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wording {
    /// For people.
    pub title: String,
    /// For models: what it does and when to use it.
    pub description: String,
    /// The right it needs.
    pub scope: Need,
    /// Calling it again changes nothing more.
    #[serde(default)]
    pub idempotent: bool,
    /// It only adds: nothing that is there is changed or lost.
    #[serde(default)]
    pub additive: bool,
    /// It reaches beyond this program and the bases.
    #[serde(default)]
    pub open_world: bool,
    /// It can be worked out without doing it (`dry_run`); only for what changes something.
    #[serde(default = "yes")]
    pub plans: bool,
    /// Names it had before.
    #[serde(default)]
    pub aliases: Vec<String>,
}

fn yes() -> bool {
    true
}

/// All toolsets.
#[derive(Debug, Clone, Default)]
pub struct Catalogue {
    /// In the order they were given.
    pub toolsets: Vec<Toolset>,
}

/// The catalogue and the code do not fit.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file cannot be read.
    #[error("tools/{file}: {reason}")]
    File {
        /// The file's name.
        file: String,
        /// Why.
        reason: String,
    },
    /// A tool has code and no wording.
    #[error("tool {0:?} has no entry in tools/*.toml")]
    NoWording(String),
    /// A tool has wording and no code.
    #[error("tools/*.toml has an entry {0:?} for which there is no tool")]
    NoTool(String),
    /// Two tools share a name or alias.
    #[error("the name {0:?} is used by two tools")]
    Twice(String),
    /// A toolset or tool was asked for that does not exist.
    #[error("there is no {kind} {name:?}; there are: {known}")]
    Unknown {
        /// `toolset` or `tool`.
        kind: &'static str,
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
}

impl Catalogue {
    /// Reads toolsets from `(file name, text)` pairs.
    pub fn parse(files: &[(&str, &str)]) -> Result<Self, Error> {
        let mut toolsets = Vec::with_capacity(files.len());
        for (file, text) in files {
            let toolset: Toolset = toml::from_str(text)
                .map_err(|e| Error::File { file: (*file).to_owned(), reason: e.to_string() })?;
            if format!("{}.toml", toolset.toolset) != *file {
                return Err(Error::File {
                    file: (*file).to_owned(),
                    reason: format!("its toolset is called {:?}", toolset.toolset),
                });
            }
            toolsets.push(toolset);
        }
        Ok(Self { toolsets })
    }
}
