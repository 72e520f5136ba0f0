//! Who is asking and what they may do.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tablewright_core::{Code, Fault};

/// What a caller may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Rights {
    /// See bases, tables and fields.
    pub describe: bool,
    /// Read records.
    pub read: bool,
    /// Create and update records.
    pub write: bool,
    /// Delete records; with `schema`, tables and fields too.
    pub delete: bool,
    /// Change bases, tables, fields and views.
    pub schema: bool,
}

impl Default for Rights {
    /// Look and read; nothing is changed unless it is allowed.
    fn default() -> Self {
        Self { describe: true, read: true, write: false, delete: false, schema: false }
    }
}

/// The scopes a token may carry; the names are Airtable's.
pub const SCOPES: [&str; 4] =
    ["data.records:read", "data.records:write", "schema.bases:read", "schema.bases:write"];

impl Rights {
    /// Everything.
    pub const ALL: Self = Self { describe: true, read: true, write: true, delete: true, schema: true };

    /// What both allow.
    pub fn and(self, other: Self) -> Self {
        Self {
            describe: self.describe && other.describe,
            read: self.read && other.read,
            write: self.write && other.write,
            delete: self.delete && other.delete,
            schema: self.schema && other.schema,
        }
    }

    /// Every combination of rights within these.
    pub fn combinations(self) -> impl Iterator<Item = Self> {
        (0..32u8)
            .map(|bits| Self {
                describe: bits & 1 > 0,
                read: bits & 2 > 0,
                write: bits & 4 > 0,
                delete: bits & 8 > 0,
                schema: bits & 16 > 0,
            })
            .filter(move |rights| rights.and(self) == *rights)
    }

    /// What a token with these scopes may do.
    pub fn of_scopes(scopes: &[String]) -> Self {
        let has = |scope: &str| scopes.iter().any(|s| s == scope);
        let write = has("data.records:write");
        Self {
            describe: has("schema.bases:read"),
            read: has("data.records:read"),
            write,
            delete: write,
            schema: has("schema.bases:write"),
        }
    }

    /// Refuses unless `needed` is a part of these rights.
    pub fn require(self, needed: Need) -> Result<(), Fault> {
        let (held, how) = match needed {
            Need::Describe => (self.describe, "use a token with the scope schema.bases:read"),
            Need::Read => (self.read, "use a token with the scope data.records:read"),
            Need::Write => (
                self.write,
                "start the server with --allow-write and use a token with the scope data.records:write",
            ),
            Need::Delete => (
                self.delete,
                "start the server with --allow-delete and use a token with the scope data.records:write",
            ),
            Need::Schema => (
                self.schema,
                "start the server with --allow-schema and use a token with the scope schema.bases:write",
            ),
        };
        if held {
            return Ok(());
        }
        let message = format!("this needs the right to {needed}, which you do not have; a person can {how}.");
        Err(Fault::new(Code::Forbidden, message))
    }
}

/// The right a call needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Need {
    /// See bases, tables and fields.
    Describe,
    /// Read records.
    Read,
    /// Create and update records.
    Write,
    /// Delete.
    Delete,
    /// Change the schema.
    Schema,
}

impl Need {
    /// True for what changes something.
    pub fn changes(self) -> bool {
        !matches!(self, Self::Describe | Self::Read)
    }
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Describe => "see bases and their fields",
            Self::Read => "read records",
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
