//! Questions to a policy: may somebody do something, and by which rule.

use std::sync::Arc;

use serde::Serialize;
use tablewright_core::model::schema::find_base;
use tablewright_core::model::{Base, Field, Mask, Table};
use tablewright_core::{Code, Fault};
use tablewright_engine::Snapshot;

use super::file::{Expect, PolicyFile, Verb};
use super::reach::beyond;
use super::resolve::key;
use super::rules::{Circumstances, Index, Standing, Verdict};
use super::{Policies, Reach, keys};
use crate::access::Need;
use crate::call::Call;

/// A question: may somebody do something somewhere?
#[derive(Debug, Clone, PartialEq)]
pub struct Asked {
    /// Who: `person:EMAIL`, `token:NAME`, `local`, …
    pub who: String,
    /// What they do.
    pub verb: Verb,
    /// The base: name or id.
    pub base: String,
    /// A table of it.
    pub table: Option<String>,
    /// A field of the table.
    pub field: Option<String>,
    /// The tool they use.
    pub tool: Option<String>,
    /// When, in milliseconds since the epoch; now without.
    pub at: Option<i64>,
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Serialize, schemars::JsonSchema)]
pub struct Explained {
    /// Whether they may.
    pub allowed: bool,
    /// What they see of a field instead of its values.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mask: Option<Mask>,
    /// The rule that decides; the default of the policy without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// Rules that leave out rows of the table.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rows: Vec<String>,
    /// Rules that have to hold for a record after it was written.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub requires: Vec<String>,
    /// The same in words.
    pub says: String,
}

/// A test of a policy file, asked.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Tested {
    /// Its place in the file, from 1.
    pub test: usize,
    /// Whether the answer is the one that is expected.
    pub passed: bool,
    /// What is expected.
    pub expected: Expect,
    /// The answer.
    pub got: Explained,
}

impl Tested {
    /// The same on a line.
    pub fn told(&self) -> String {
        let expected = match self.expected {
            Expect::Allow => "allow",
            Expect::Deny => "deny",
            Expect::Masked => "masked",
        };
        format!("test {}: expected {expected}; {}", self.test, self.got.says)
    }
}

impl Policies {
    /// Answers a question by the policy in force.
    pub async fn explain(&self, asked: &Asked) -> Result<Explained, Fault> {
        key(&self.principals(), &asked.who)?;
        self.explain_by(&self.held().index, asked).await
    }

    /// Asks the tests of the file in force.
    pub async fn test(&self) -> Result<Vec<Tested>, Fault> {
        let Some(stored) = self.last().await? else { return Ok(Vec::new()) };
        let file: PolicyFile =
            toml::from_str(&stored.file).map_err(|e| Fault::new(Code::InvalidFile, e.to_string()))?;
        self.test_all(&self.held().index, &file).await
    }

    pub(super) async fn test_all(&self, index: &Index, file: &PolicyFile) -> Result<Vec<Tested>, Fault> {
        let mut tested = Vec::with_capacity(file.test.len());
        for (at, test) in file.test.iter().enumerate() {
            let place = format!("test {}", at + 1);
            let when = test.at.as_deref().map(|text| {
                let wrong = || {
                    let message =
                        format!("{place}: at is {text:?}; write a moment as \"2026-01-31T12:00:00Z\"");
                    Fault::new(Code::InvalidFile, message)
                };
                tablewright_core::model::cell::parse_instant(text).ok_or_else(wrong)
            });
            let asked = Asked {
                who: test.who.clone(),
                verb: test.verb,
                base: test.base.clone(),
                table: test.table.clone(),
                field: test.field.clone(),
                tool: test.tool.clone(),
                at: when.transpose()?,
            };
            let got = self.explain_by(index, &asked).await.map_err(|fault| fault.within(&place))?;
            let passed = match test.expect {
                Expect::Allow => got.allowed && got.mask.is_none(),
                Expect::Masked => got.allowed && got.mask.is_some(),
                Expect::Deny => !got.allowed,
            };
            tested.push(Tested { test: at + 1, passed, expected: test.expect, got });
        }
        Ok(tested)
    }

    async fn explain_by(&self, index: &Index, asked: &Asked) -> Result<Explained, Fault> {
        let engine = &self.0.engine;
        let bases = engine.bases();
        let (base, _) = find_base(&bases, &asked.base)?;
        let whole = engine.snapshot(*base).await?;
        let table = asked.table.as_deref().map(|name| whole.schema.table(name)).transpose()?;
        let field = match (&asked.field, table) {
            (None, _) => None,
            (Some(name), Some(table)) => Some(table.field(name)?),
            (Some(_), None) => {
                let message = "a field is asked for without its table; say which table it is in.";
                return Err(Fault::new(Code::InvalidArguments, message));
            }
        };
        let known = self.tokens().known(&key(&self.principals(), &asked.who)?);
        let member = known.as_ref().and_then(|caller| caller.member.as_deref());
        let footing = self.footing(member, Some(*base));
        let principal = known.as_ref().map_or(asked.who.trim(), |caller| &caller.principal);
        let credential = known.as_ref().and_then(|caller| caller.credential.as_deref());
        let who = keys(principal, credential, footing);
        let workspace = self.workspace_of(*base).to_string();
        let at = Circumstances {
            who: &who,
            base: Some(*base),
            workspace: Some(&workspace),
            action: asked.tool.as_deref().unwrap_or_default(),
            now: asked.at.unwrap_or_else(|| engine.clock().now_ms()),
        };
        let standing = index.standing(&index.in_force(&at), footing);
        let place = Place { whole: &whole, table, field };
        Ok(explained(&standing, &place, asked.verb, &asked.who, &self.0.key))
    }
}

impl Call {
    /// Whether the caller may do something, and what decides: their rights, or a rule of the policy.
    /// What they may not see is not there, here either.
    pub async fn explain_access(
        &mut self,
        verb: Verb,
        base: &str,
        table: Option<&str>,
        field: Option<&str>,
        tool: Option<String>,
    ) -> Result<Explained, Fault> {
        let seen = self.base(base).await?;
        let seen = seen.schema();
        let table = table.map(|name| seen.table(name)).transpose()?;
        let field = match (field, table) {
            (Some(name), Some(table)) => Some(table.field(name)?.id.to_string()),
            (Some(name), None) => Some(name.to_owned()),
            (None, _) => None,
        };
        let asked = Asked {
            who: self.caller().principal.to_string(),
            verb,
            base: seen.id.to_string(),
            table: table.map(|table| table.id.to_string()),
            field,
            tool,
            at: None,
        };
        let explained = self.policies().explain(&asked).await?;
        let need = match verb {
            Verb::Read => Need::Read,
            Verb::Create | Verb::Update => Need::Write,
            Verb::Delete => Need::Delete,
            Verb::Comment => Need::WriteComments,
            Verb::Design => Need::Schema,
            Verb::Webhooks => Need::Webhooks,
        };
        Ok(match self.caller().rights.require(need) {
            Ok(()) => explained,
            Err(fault) => {
                Explained { allowed: false, mask: None, rule: None, says: fault.message, ..explained }
            }
        })
    }
}

/// What a question is about.
struct Place<'a> {
    whole: &'a Arc<Snapshot>,
    table: Option<&'a Table>,
    field: Option<&'a Field>,
}

impl Place<'_> {
    fn told(&self) -> String {
        let base: &Base = &self.whole.schema;
        match (self.table, self.field) {
            (Some(table), Some(field)) => format!("{:?} of {:?} in {:?}", field.name, table.name, base.name),
            (Some(table), None) => format!("{:?} in {:?}", table.name, base.name),
            _ => format!("{:?}", base.name),
        }
    }
}

fn explained(standing: &Standing<'_>, place: &Place<'_>, verb: Verb, who: &str, key: &[u8]) -> Explained {
    let reach = Reach::new(place.whole, standing, key, 1);
    let seen = reach.schema();
    let verdict = match (place.table, place.field) {
        (Some(table), Some(field)) => standing.field(verb, table.id, field.id),
        (Some(table), None) => standing.table(verb, table.id),
        _ => standing.base(verb),
    };
    let mut allowed = verdict.is_allowed();
    let mut rule = verdict.rule().map(|rule| rule.name.clone());
    let (mut mask, mut because) = (None, None);
    if let Some(table) = place.table {
        let seen = seen.table_by_id(table.id);
        if allowed && seen.is_none() {
            allowed = false;
            rule = standing.table(Verb::Read, table.id).rule().map(|rule| rule.name.clone());
            because = Some("the table may not be read");
        }
        if let (Some(field), true) = (place.field, allowed) {
            let shown = seen.and_then(|table| table.field_by_id(field.id));
            let by = standing.mask(table.id, field.id).map(|(_, rule)| rule.name.clone());
            match shown.map(|field| field.mask) {
                None => {
                    (allowed, rule) = (false, by);
                    because = rule.is_none().then_some("it is worked out from what is hidden");
                }
                Some(Some(shown)) => {
                    rule = by;
                    because = rule.is_none().then_some("it is worked out from what is masked");
                    if verb == Verb::Read {
                        mask = Some(shown);
                    } else {
                        allowed = false;
                    }
                }
                Some(None) => {}
            }
        }
    } else if allowed && reach.require(verb).is_err() {
        allowed = false;
        because = Some("they do not see all of the base");
    } else if !allowed && verb == Verb::Read && matches!(verdict, Verdict::Denied(None)) && reach.sees_any() {
        allowed = true;
        because = Some("some of its tables may be read");
    }
    let of = |formulas: Vec<(String, String)>| formulas.into_iter().map(|(rule, _)| rule).collect::<Vec<_>>();
    let (mut rows, mut requires) = (Vec::new(), Vec::new());
    if let (Some(table), true) = (place.table, allowed) {
        rows = of(standing.rows(table.id));
        if matches!(verb, Verb::Create | Verb::Update) {
            requires = of(standing.writes(table.id));
        }
    }
    let may = match (allowed, mask) {
        (true, Some(mask)) => format!("may {} {}, masked ({})", verb.as_str(), place.told(), mask.as_str()),
        (true, None) => format!("may {} {}", verb.as_str(), place.told()),
        (false, _) => format!("may not {} {}", verb.as_str(), place.told()),
    };
    let by = match (&rule, because) {
        (Some(rule), None) => format!("by the rule {rule:?}"),
        (Some(rule), Some(because)) => format!("as {because}, by the rule {rule:?}"),
        (None, Some(because)) => format!("as {because}"),
        (None, None) => match verdict {
            Verdict::Beyond(footing) => format!("as {}", beyond(footing)),
            _ => "by the default of the policy".to_owned(),
        },
    };
    let mut says = format!("{who} {may}, {by}");
    if !rows.is_empty() {
        says.push_str(&format!("; only rows that these rules keep: {}", rows.join(", ")));
    }
    if !requires.is_empty() {
        says.push_str(&format!("; what is written has to fit these rules: {}", requires.join(", ")));
    }
    says.push('.');
    Explained { allowed, mask, rule, rows, requires, says }
}
