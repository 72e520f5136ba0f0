//! Who is asking and what they may do.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tablewright_core::model::Person;
use tablewright_core::{Code, Fault};

use crate::directory::Member;

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
    /// Read comments.
    pub read_comments: bool,
    /// Write comments.
    pub write_comments: bool,
    /// Make and delete webhooks, which tell other programs of changes.
    pub webhooks: bool,
    /// See the email addresses of users.
    pub email: bool,
    /// Read the audit log.
    pub audit: bool,
    /// See and change who is a member of a workspace, and their tokens.
    pub admin: bool,
}

impl Default for Rights {
    /// Look and read; nothing is changed unless it is allowed.
    fn default() -> Self {
        Self {
            describe: true,
            read: true,
            write: false,
            delete: false,
            schema: false,
            read_comments: true,
            write_comments: false,
            webhooks: false,
            email: true,
            audit: false,
            admin: false,
        }
    }
}

/// The scope of the audit log, which Airtable has none for.
const AUDIT_SCOPE: &str = "tablewright.audit:read";
/// The scope of members and tokens, which Airtable gives to administrators alone.
pub(crate) const MEMBERS_SCOPE: &str = "tablewright.members:manage";

/// The scopes a token may carry: those Airtable gives to everyone, by its names, and ours.
pub const SCOPES: [&str; 12] = [
    "data.records:read",
    "data.records:write",
    "data.recordComments:read",
    "data.recordComments:write",
    "schema.bases:read",
    "schema.bases:write",
    "workspacesAndBases:read",
    "webhook:manage",
    "block:manage",
    "user.email:read",
    AUDIT_SCOPE,
    MEMBERS_SCOPE,
];

impl Rights {
    /// Everything.
    pub const ALL: Self = Self {
        describe: true,
        read: true,
        write: true,
        delete: true,
        schema: true,
        read_comments: true,
        write_comments: true,
        webhooks: true,
        email: true,
        audit: true,
        admin: true,
    };

    /// Nothing.
    pub const NONE: Self = Self {
        describe: false,
        read: false,
        write: false,
        delete: false,
        schema: false,
        read_comments: false,
        write_comments: false,
        webhooks: false,
        email: false,
        audit: false,
        admin: false,
    };

    /// What both allow.
    pub fn and(self, other: Self) -> Self {
        Self {
            describe: self.describe && other.describe,
            read: self.read && other.read,
            write: self.write && other.write,
            delete: self.delete && other.delete,
            schema: self.schema && other.schema,
            read_comments: self.read_comments && other.read_comments,
            write_comments: self.write_comments && other.write_comments,
            webhooks: self.webhooks && other.webhooks,
            email: self.email && other.email,
            audit: self.audit && other.audit,
            admin: self.admin && other.admin,
        }
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
            read_comments: has("data.recordComments:read"),
            write_comments: has("data.recordComments:write"),
            webhooks: has("webhook:manage"),
            email: has("user.email:read"),
            audit: has(AUDIT_SCOPE),
            admin: has(MEMBERS_SCOPE),
        }
    }

    /// The scopes that give something of these rights.
    pub fn scopes(self) -> Vec<&'static str> {
        let all = [
            (self.describe, "schema.bases:read"),
            (self.read, "data.records:read"),
            (self.write || self.delete, "data.records:write"),
            (self.schema, "schema.bases:write"),
            (self.read_comments, "data.recordComments:read"),
            (self.write_comments, "data.recordComments:write"),
            (self.webhooks, "webhook:manage"),
            (self.email, "user.email:read"),
            (self.audit, AUDIT_SCOPE),
            (self.admin, MEMBERS_SCOPE),
        ];
        all.into_iter().filter(|(held, _)| *held).map(|(_, scope)| scope).collect()
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
            Need::Remove => (
                self.schema && self.delete,
                "start the server with --allow-schema and --allow-delete and use a token with the scopes schema.bases:write and data.records:write",
            ),
            Need::ReadComments => (self.read_comments, "use a token with the scope data.recordComments:read"),
            Need::WriteComments => (
                self.write_comments,
                "start the server with --allow-write and use a token with the scope data.recordComments:write",
            ),
            Need::Webhooks => (
                self.webhooks,
                "start the server with --allow-write and use a token with the scope webhook:manage",
            ),
            Need::Audit => (
                self.audit,
                "start the server with --allow-audit and use a token with the scope tablewright.audit:read",
            ),
            Need::Admin => (
                self.admin,
                "start the server with --allow-admin and use a token with the scope tablewright.members:manage",
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
#[serde(rename_all = "snake_case")]
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
    /// Delete bases, tables and fields.
    Remove,
    /// Read comments.
    ReadComments,
    /// Write comments.
    WriteComments,
    /// Make and delete webhooks.
    Webhooks,
    /// Read the audit log.
    Audit,
    /// See and change members and their tokens.
    Admin,
}

impl Need {
    /// True for what changes something.
    pub fn changes(self) -> bool {
        !matches!(self, Self::Describe | Self::Read | Self::ReadComments | Self::Audit)
    }

    /// The scopes that give it, as [`Rights::of_scopes`] reads them.
    pub fn scopes(self) -> &'static [&'static str] {
        match self {
            Self::Describe => &["schema.bases:read"],
            Self::Read => &["data.records:read"],
            Self::Write | Self::Delete => &["data.records:write"],
            Self::Schema => &["schema.bases:write"],
            Self::Remove => &["schema.bases:write", "data.records:write"],
            Self::ReadComments => &["data.recordComments:read"],
            Self::WriteComments => &["data.recordComments:write"],
            Self::Webhooks => &["webhook:manage"],
            Self::Audit => &[AUDIT_SCOPE],
            Self::Admin => &[MEMBERS_SCOPE],
        }
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
            Self::Remove => "delete bases, tables and fields",
            Self::ReadComments => "read comments",
            Self::WriteComments => "write comments",
            Self::Webhooks => "manage webhooks",
            Self::Audit => "read the audit log",
            Self::Admin => "manage members and tokens",
        })
    }
}

/// Someone who was let in: a name for the logs, and rights.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Who: `local` for the user of this machine, `person:ADDRESS`, `service:NAME`, `token:NAME` for a
    /// token that is nobody's in particular, or `client:ID` for a client of the authorization server.
    pub principal: Arc<str>,
    /// Through which face they came: `mcp`, `cli`, …
    pub face: &'static str,
    /// What they may do.
    pub rights: Rights,
    /// The login at Airtable whose bases alone they see; all bases when absent.
    pub profile: Option<Arc<str>>,
    /// The program they use, as it names itself; empty when it does not.
    pub client: Arc<str>,
    /// The conversation they are in; empty outside of one.
    pub session: Arc<str>,
    /// What they are in workspaces; absent for the user of this machine and for tokens that are
    /// nobody's, whom workspaces do not bind.
    pub member: Option<Arc<Member>>,
    /// What let them in: `token:NAME` or `client:ID`. Absent for the user of this machine.
    pub credential: Option<Arc<str>>,
    /// Until when that holds, in milliseconds since the epoch.
    pub until: Option<i64>,
}

impl Caller {
    /// Who they are, as Airtable shows people.
    pub fn person(&self) -> Person {
        self.member.as_ref().map_or_else(|| Person::of(&self.principal), |member| member.person())
    }

    /// Somebody outside of a conversation.
    pub fn known(
        principal: impl Into<Arc<str>>,
        face: &'static str,
        rights: Rights,
        profile: Option<Arc<str>>,
    ) -> Self {
        let principal = principal.into();
        Self {
            principal,
            face,
            rights,
            profile,
            client: "".into(),
            session: "".into(),
            member: None,
            credential: None,
            until: None,
        }
    }

    /// A member of workspaces, with what their roles allow of `rights`.
    pub fn of_member(member: Arc<Member>, face: &'static str, rights: Rights) -> Self {
        let rights = rights.and(member.rights());
        Self { member: Some(member.clone()), ..Self::known(member.principal.clone(), face, rights, None) }
    }

    /// The user of this machine.
    pub fn local(face: &'static str, rights: Rights) -> Self {
        Self::known("local", face, rights, None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scopes_of_a_need_give_it() {
        for need in [
            Need::Describe,
            Need::Read,
            Need::Write,
            Need::Delete,
            Need::Schema,
            Need::Remove,
            Need::ReadComments,
            Need::WriteComments,
            Need::Webhooks,
            Need::Audit,
            Need::Admin,
        ] {
            let scopes: Vec<String> = need.scopes().iter().map(|scope| (*scope).to_owned()).collect();
            assert!(Rights::of_scopes(&scopes).require(need).is_ok(), "{need}");
            assert!(need.scopes().iter().all(|scope| SCOPES.contains(scope)), "{need}");
        }
        let all: Vec<String> = Rights::ALL.scopes().into_iter().map(str::to_owned).collect();
        assert_eq!(Rights::of_scopes(&all), Rights::ALL);
        assert_eq!(Rights::of_scopes(&[]).scopes(), [""; 0]);
    }
}
