//! What members of a workspace may do in its bases: Airtable's roles.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tablewright_core::{Code, Fault};

use crate::access::{MEMBERS_SCOPE, Rights};
use crate::policy::file::Verb;

/// A role; a later one may do all that an earlier one may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Reads.
    Reader,
    /// Writes comments too.
    Commenter,
    /// Writes and deletes records too.
    Editor,
    /// Makes and changes bases and webhooks too.
    Creator,
    /// Manages members too.
    Owner,
}

impl Role {
    /// All, from the least to the most.
    pub const ALL: [Self; 5] = [Self::Reader, Self::Commenter, Self::Editor, Self::Creator, Self::Owner];

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Reader => "reader",
            Self::Commenter => "commenter",
            Self::Editor => "editor",
            Self::Creator => "creator",
            Self::Owner => "owner",
        }
    }

    /// Its key in policies.
    pub(crate) fn key(self) -> &'static str {
        match self {
            Self::Reader => "role:reader",
            Self::Commenter => "role:commenter",
            Self::Editor => "role:editor",
            Self::Creator => "role:creator",
            Self::Owner => "role:owner",
        }
    }

    /// The role of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == name)
    }

    /// The role of that name, or what to write instead.
    pub fn read(name: &str) -> Result<Self, Fault> {
        Self::named(name.trim()).ok_or_else(|| {
            let names = Self::ALL.map(Self::as_str).join(", ");
            Fault::new(Code::InvalidArguments, format!("there is no role {name:?}; use one of: {names}"))
        })
    }

    /// Whether it lets somebody do this in the bases of the workspace.
    pub(crate) fn allows(self, verb: Verb) -> bool {
        self >= match verb {
            Verb::Read => Self::Reader,
            Verb::Comment => Self::Commenter,
            Verb::Create | Verb::Update | Verb::Delete => Self::Editor,
            Verb::Design | Verb::Webhooks => Self::Creator,
        }
    }

    /// The scopes of a token with which a member does all that the role allows.
    pub fn scopes(self) -> Vec<String> {
        let scopes: [(Self, &[&str]); 5] = [
            (
                Self::Reader,
                &["data.records:read", "data.recordComments:read", "schema.bases:read", "user.email:read"],
            ),
            (Self::Commenter, &["data.recordComments:write"]),
            (Self::Editor, &["data.records:write"]),
            (Self::Creator, &["schema.bases:write", "webhook:manage"]),
            (Self::Owner, &[MEMBERS_SCOPE]),
        ];
        let held = scopes.into_iter().filter(|(role, _)| *role <= self);
        held.flat_map(|(_, scopes)| scopes.iter().map(|scope| (*scope).to_owned())).collect()
    }

    /// What it allows at most. Everybody may read the lines of the audit log that are their own.
    pub fn rights(self) -> Rights {
        Rights { audit: true, ..Rights::of_scopes(&self.scopes()) }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
