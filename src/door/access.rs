//! Who is asking and what they may do.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tablewright_core::{Code, Fault};

/// What a caller may do. Reading is always allowed to whoever is let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Rights {
    /// Create and update records.
    pub write: bool,
    /// Delete records; with `schema`, tables and fields too.
    pub delete: bool,
    /// Change bases, tables, fields and views.
    pub schema: bool,
}

/// The scopes a token may carry; the names are Airtable's.
pub const SCOPES: [&str; 4] =
    ["data.records:read", "data.records:write", "schema.bases:read", "schema.bases:write"];

impl Rights {
    /// Everything.
    pub const ALL: Self = Self { write: true, delete: true, schema: true };

    /// What both allow.
    pub fn and(self, other: Self) -> Self {
        Self {
            write: self.write && other.write,
            delete: self.delete && other.delete,
            schema: self.schema && other.schema,
        }
    }

    /// What a token with these scopes may do.
    pub fn of_scopes(scopes: &[String]) -> Self {
        let has = |scope: &str| scopes.iter().any(|s| s == scope);
        let write = has("data.records:write");
        Self { write, delete: write, schema: has("schema.bases:write") }
    }

    /// Refuses unless `needed` is a part of these rights.
    pub fn require(self, needed: Need) -> Result<(), Fault> {
        let (held, flag) = match needed {
            Need::Read => return Ok(()),
            Need::Write => (self.write, "--allow-write"),
            Need::Delete => (self.delete, "--allow-delete"),
            Need::Schema => (self.schema, "--allow-schema"),
        };
        if held {
            return Ok(());
        }
        Err(Fault::new(
            Code::Forbidden,
            format!(
                "this needs the right to {needed}, which you do not have; a person can start the server with {flag} and use a token with the scope for it."
            ),
        ))
    }
}

/// The right a call needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Need {
    /// Look.
    Read,
    /// Create and update records.
    Write,
    /// Delete.
    Delete,
    /// Change the schema.
    Schema,
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Read => "read",
            Self::Write => "write records",
            Self::Delete => "delete",
            Self::Schema => "change the schema",
        })
    }
}

/// Someone who was let in: a name for the logs, and rights.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Who: `local` for the user of this machine, `token:NAME` for a token.
    pub principal: Arc<str>,
    /// Through which face they came: `mcp`, `cli`, …
    pub face: &'static str,
    /// What they may do.
    pub rights: Rights,
}

impl Caller {
    /// The user of this machine.
    pub fn local(face: &'static str, rights: Rights) -> Self {
        Self { principal: "local".into(), face, rights }
    }
}
