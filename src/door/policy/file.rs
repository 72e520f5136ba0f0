//! The policy file, as people write it: TOML, with names or ids.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tablewright_core::model::Mask;

/// Who may see and do what. What is not here is decided by `default`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicyFile {
    /// The version of this format: 1.
    pub version: u32,
    /// What holds where neither an `allow` nor a `deny` rule says anything.
    pub default: Default,
    /// Names for several people and programs: `contractors = ["person:ann@example.com", "token:ci"]`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub groups: BTreeMap<String, Vec<String>>,
    /// What is allowed. Matters where the default is "deny".
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allow: Vec<Grant>,
    /// What is not allowed, whatever else is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deny: Vec<Grant>,
    /// Which rows are there. Of several rules about a table all have to hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rows: Vec<Rows>,
    /// Fields that do not show what they hold. Of several masks the one that shows least counts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mask: Vec<MaskRule>,
    /// What has to hold for a record after it was written.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub write: Vec<WriteRule>,
    /// Questions with the answers they must have: `policy test` asks them, and `policy apply` does
    /// before it applies anything.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub test: Vec<Test>,
}

/// What holds where no rule says anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Default {
    /// Everything is allowed.
    Allow,
    /// Nothing is.
    Deny,
}

/// What can be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Verb {
    /// See a base, a table, its records and their comments.
    Read,
    /// Make records.
    Create,
    /// Change cells.
    Update,
    /// Delete records.
    Delete,
    /// Write comments.
    Comment,
    /// Change bases, tables, fields and views.
    Design,
    /// Make and delete webhooks.
    Webhooks,
}

impl Verb {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Read, Self::Create, Self::Update, Self::Delete, Self::Comment, Self::Design, Self::Webhooks];

    /// As the file writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::Comment => "comment",
            Self::Design => "design",
            Self::Webhooks => "webhooks",
        }
    }
}

/// A rule that allows or denies. What is left out is not asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    /// What the rule is called in explanations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Whom it is about: `*`, `local` (the user of this machine), `person:EMAIL`, `service:NAME`,
    /// `token:NAME`, `client:ID` (a program that signed in by OAuth), `role:ROLE`, `group:NAME`.
    pub who: Vec<String>,
    /// Whom it is not about, though `who` names them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub except: Vec<String>,
    /// What it is about doing; everything when left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub verbs: Vec<Verb>,
    /// The bases of this workspace: name or id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workspace: Option<String>,
    /// A base: name or id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
    /// Tables of the base: names or ids.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tables: Vec<String>,
    /// Fields of the one table: names or ids.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<String>,
    /// Only when one of these tools is used, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<String>,
    /// Only at these times.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hours: Option<Hours>,
}

/// A rule about which rows are there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rows {
    /// What the rule is called in explanations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Whom it is about, as in `allow`.
    pub who: Vec<String>,
    /// Whom it is not about, though `who` names them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub except: Vec<String>,
    /// A base: name or id.
    pub base: String,
    /// A table of it: name or id.
    pub table: String,
    /// A formula over all fields of the table: rows for which it does not hold are not there.
    pub keep: String,
    /// Only when one of these tools is used, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<String>,
    /// Only at these times.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hours: Option<Hours>,
}

/// A rule about fields that do not show what they hold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MaskRule {
    /// What the rule is called in explanations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Whom it is about, as in `allow`.
    pub who: Vec<String>,
    /// Whom it is not about, though `who` names them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub except: Vec<String>,
    /// A base: name or id.
    pub base: String,
    /// A table of it: name or id.
    pub table: String,
    /// Fields of it: names or ids.
    pub fields: Vec<String>,
    /// What is shown instead.
    pub with: Mask,
    /// Only when one of these tools is used, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<String>,
    /// Only at these times.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hours: Option<Hours>,
}

/// A rule about what may be written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WriteRule {
    /// What the rule is called in explanations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Whom it is about, as in `allow`.
    pub who: Vec<String>,
    /// Whom it is not about, though `who` names them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub except: Vec<String>,
    /// A base: name or id.
    pub base: String,
    /// A table of it: name or id.
    pub table: String,
    /// A formula over all fields of the table that has to hold for every record after it was created
    /// or changed.
    pub require: String,
    /// Only when one of these tools is used, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<String>,
    /// Only at these times.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hours: Option<Hours>,
}

/// Times of the week.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Hours {
    /// `mon`, `tue`, `wed`, `thu`, `fri`, `sat`, `sun`; every day when left out. A window over
    /// midnight belongs to the day it begins on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub days: Vec<Day>,
    /// From this time of day on, `HH:MM`; midnight when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Up to this time of day, `HH:MM`, which is not in it; midnight when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// The time zone: `Europe/Berlin`; UTC when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
}

/// A day of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Day {
    /// Monday.
    Mon,
    /// Tuesday.
    Tue,
    /// Wednesday.
    Wed,
    /// Thursday.
    Thu,
    /// Friday.
    Fri,
    /// Saturday.
    Sat,
    /// Sunday.
    Sun,
}

/// A question with the answer it must have.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Test {
    /// Who: `person:EMAIL`, `token:NAME`, `local`, …
    pub who: String,
    /// What they do.
    pub verb: Verb,
    /// The base: name or id.
    pub base: String,
    /// A table of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<String>,
    /// A field of the table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// The tool they use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool: Option<String>,
    /// When, as in `2026-01-31T12:00:00Z`; now when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// The answer.
    pub expect: Expect,
}

/// The answer to a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Expect {
    /// They may.
    Allow,
    /// They may not.
    Deny,
    /// They may read the field, and see its mask.
    Masked,
}
