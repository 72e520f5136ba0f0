//! Which writes somebody has to approve, and who.

use serde::{Deserialize, Serialize};
use tablewright_core::model::{Base, BaseId};
use tablewright_engine::base::{RowChange, SchemaChange};

use crate::access::{Caller, Need};
use crate::rehearsal::{Effect, Step};

/// Settings of plans and approvals.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Minutes a plan can be approved and carried out after it was made (1 to 10,080).
    pub minutes: u32,
    /// Seconds a call waits for the person it asks (0 to 600); after that the same call, sent again,
    /// carries out what was approved meanwhile.
    pub wait_seconds: u32,
    /// Whether what a person has to approve is approved on the console with a passkey alone.
    pub passkey: bool,
    /// What has to be approved. A write that no rule is about goes ahead.
    pub rules: Vec<Rule>,
}

impl Default for Options {
    fn default() -> Self {
        Self { minutes: 60, wait_seconds: 60, passkey: false, rules: Vec::new() }
    }
}

/// Writes that have to be approved: those that fit everything a rule names.
#[derive(Debug, Clone, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Rule {
    /// Kinds of changes; all when empty.
    pub when: Vec<Kind>,
    /// Only more records than this.
    pub more_than: Option<u64>,
    /// Bases, by id or name; all when empty.
    pub bases: Vec<String>,
    /// Tables, by id or name; all when empty.
    pub tables: Vec<String>,
    /// Fields that are written, by id or name; all when empty.
    pub fields: Vec<String>,
    /// Who writes: `local`, `person:ADDRESS`, `service:NAME`, `token:NAME`, `client:ID`; everybody when
    /// empty.
    pub principals: Vec<String>,
    /// Who has to approve.
    pub ask: Asks,
}

/// What a write does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// New records.
    Create,
    /// Cells of records that are there.
    Update,
    /// Records go.
    Delete,
    /// Bases, tables, fields or views change.
    Schema,
    /// Comments.
    Comment,
}

/// Who has to approve, from the mildest on.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Asks {
    /// Whoever calls, by a second call (`apply_plan`), having seen what the first would do.
    Confirm,
    /// The person in front of the client, who is asked by it; or a person here.
    #[default]
    Ask,
    /// A person here, at the command line or on the console. No tool call can approve.
    Person,
}

impl Asks {
    /// The word it has in settings and the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Confirm => "confirm",
            Self::Ask => "ask",
            Self::Person => "person",
        }
    }
}

/// What has to be approved, and why.
#[derive(Debug, Clone, PartialEq)]
pub struct Needed {
    /// The strictest of the rules that fit.
    pub asks: Asks,
    /// One sentence for each rule.
    pub reasons: Vec<String>,
}

impl Options {
    /// Refuses values that are out of range: the setting and what is wrong with it.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        if !(1..=10_080).contains(&self.minutes) {
            return Err(("minutes", "it must be 1 to 10080".to_owned()));
        }
        if self.wait_seconds > 600 {
            return Err(("wait_seconds", "it must be 0 to 600".to_owned()));
        }
        Ok(())
    }

    /// Whether a call that needs this right may be one to approve: only then it is worked out first.
    pub fn may_concern(&self, caller: &Caller, need: Need) -> bool {
        need.changes() && self.rules.iter().any(|rule| rule.is_about(caller))
    }

    /// Whether a rule may be about a request that needs these rights and of which nobody here can work
    /// out what it does.
    pub fn may_stop(&self, caller: &Caller, needs: &[Need], base: Option<&Base>) -> bool {
        let kinds: Vec<Kind> = needs.iter().flat_map(|need| kinds_of(*need)).copied().collect();
        self.rules.iter().filter(|rule| rule.is_about(caller)).any(|rule| {
            let kind_fits = rule.when.is_empty() || rule.when.iter().any(|kind| kinds.contains(kind));
            let (id, name) = base.map(|base| (base.id.to_string(), base.name.as_str())).unwrap_or_default();
            let named = |wanted: &String| *wanted == id || wanted.eq_ignore_ascii_case(name);
            !kinds.is_empty() && kind_fits && (rule.bases.is_empty() || rule.bases.iter().any(named))
        })
    }

    /// What has to be approved of an effect on `base`, if anything.
    pub fn needed(
        &self,
        caller: &Caller,
        effect: &Effect,
        base: impl Fn(BaseId) -> Option<Base>,
    ) -> Option<Needed> {
        let mut found: Option<Needed> = None;
        for rule in self.rules.iter().filter(|rule| rule.is_about(caller)) {
            let Some(reason) = rule.reason(effect, &base) else { continue };
            let needed = found.get_or_insert(Needed { asks: rule.ask, reasons: Vec::new() });
            needed.asks = needed.asks.max(rule.ask);
            needed.reasons.push(reason);
        }
        found
    }
}

/// What may be done with a right.
fn kinds_of(need: Need) -> &'static [Kind] {
    match need {
        Need::Write => &[Kind::Create, Kind::Update],
        Need::Delete => &[Kind::Delete],
        Need::Remove => &[Kind::Delete, Kind::Schema],
        Need::Schema => &[Kind::Schema],
        Need::WriteComments => &[Kind::Comment],
        Need::Describe | Need::Read | Need::ReadComments | Need::Webhooks | Need::Audit | Need::Admin => &[],
    }
}

/// A part of an effect that a rule may be about.
struct Part<'a> {
    kind: Kind,
    base: Option<&'a Base>,
    base_name: &'a str,
    table: Option<String>,
    /// Ids of the fields that are written; empty where all are.
    fields: Vec<String>,
    records: u64,
}

impl Rule {
    fn is_about(&self, caller: &Caller) -> bool {
        let known = [Some(&caller.principal), caller.credential.as_ref()];
        let named = |name: &String| known.iter().flatten().any(|known| ***known == **name);
        self.principals.is_empty() || self.principals.iter().any(named)
    }

    fn reason(&self, effect: &Effect, base: &impl Fn(BaseId) -> Option<Base>) -> Option<String> {
        let (mut records, mut fits) = (0, false);
        for step in &effect.steps {
            let held = step.base().and_then(base);
            for part in parts(step, held.as_ref()) {
                if self.fits(&part) {
                    fits = true;
                    records += part.records;
                }
            }
        }
        if !fits || self.more_than.is_some_and(|most| records <= most) {
            return None;
        }
        Some(self.words(records))
    }

    fn fits(&self, part: &Part<'_>) -> bool {
        let named = |wanted: &[String], id: &str, name: &str| {
            wanted.is_empty() || wanted.iter().any(|w| w == id || w.eq_ignore_ascii_case(name))
        };
        let base_id = part.base.map(|base| base.id.to_string()).unwrap_or_default();
        let table = part.table.as_deref().unwrap_or_default();
        let table_of = |id: &str| part.base.and_then(|base| base.table(id).ok());
        let table_name = table_of(table).map(|table| table.name.as_str()).unwrap_or_default();
        let field_fits = || {
            self.fields.is_empty()
                || part.fields.is_empty()
                || part.fields.iter().any(|id| {
                    let name =
                        table_of(table).and_then(|table| table.field(id).ok()).map(|f| f.name.as_str());
                    self.fields
                        .iter()
                        .any(|w| w == id || name.is_some_and(|name| w.eq_ignore_ascii_case(name)))
                })
        };
        (self.when.is_empty() || self.when.contains(&part.kind))
            && named(&self.bases, &base_id, part.base_name)
            && named(&self.tables, table, table_name)
            && field_fits()
    }

    fn words(&self, records: u64) -> String {
        let what = match self.when.as_slice() {
            [] => "changes".to_owned(),
            kinds => {
                let words = kinds.iter().map(|kind| match kind {
                    Kind::Create => "new records",
                    Kind::Update => "changes of records",
                    Kind::Delete => "deleting records",
                    Kind::Schema => "changes of the schema",
                    Kind::Comment => "comments",
                });
                words.collect::<Vec<_>>().join(", ")
            }
        };
        let mut words = format!("a rule asks for approval of {what}");
        if let Some(most) = self.more_than {
            words += &format!(" of more than {most} records (here {records})");
        }
        for (kind, names) in [("base", &self.bases), ("table", &self.tables), ("field", &self.fields)] {
            if !names.is_empty() {
                words += &format!(", {kind} {}", names.join(" or "));
            }
        }
        words
    }
}

fn parts<'a>(step: &'a Step, base: Option<&'a Base>) -> Vec<Part<'a>> {
    let base_name = base.map(|base| base.name.as_str()).unwrap_or_default();
    let part =
        |kind, table: Option<String>, fields, records| Part { kind, base, base_name, table, fields, records };
    match step {
        Step::Records { tables, .. } => {
            let mut found = Vec::new();
            for changes in tables {
                let table = Some(changes.table.to_string());
                let of = |is: fn(&RowChange) -> bool| changes.rows.iter().filter(move |row| is(row));
                let created = of(|row| row.before.is_none()).count() as u64;
                let deleted = of(|row| row.after.is_none()).count() as u64;
                let changed = of(|row| row.before.is_some() && row.after.is_some());
                let (mut fields, mut count) = (Vec::new(), 0);
                for row in changed {
                    count += 1;
                    for key in row.after.iter().flat_map(serde_json::Map::keys) {
                        if !fields.contains(key) {
                            fields.push(key.clone());
                        }
                    }
                }
                if created > 0 {
                    found.push(part(Kind::Create, table.clone(), Vec::new(), created));
                }
                if count > 0 {
                    found.push(part(Kind::Update, table.clone(), fields, count));
                }
                if deleted > 0 {
                    found.push(part(Kind::Delete, table, Vec::new(), deleted));
                }
            }
            if let Step::Records { choices, .. } = step {
                found.extend(
                    choices.iter().map(|new| part(Kind::Schema, Some(new.table.to_string()), Vec::new(), 0)),
                );
            }
            found
        }
        Step::Schema { changes, records, .. } => {
            let table = |change: &SchemaChange| match change {
                SchemaChange::BaseRenamed { .. } => None,
                SchemaChange::TableCreated { table, .. }
                | SchemaChange::TableChanged { table, .. }
                | SchemaChange::TableDeleted { table, .. }
                | SchemaChange::FieldCreated { table, .. }
                | SchemaChange::FieldChanged { table, .. }
                | SchemaChange::FieldDeleted { table, .. }
                | SchemaChange::ViewChanged { table, .. } => Some(table.to_string()),
            };
            let mut found: Vec<Part<'a>> =
                changes.iter().map(|change| part(Kind::Schema, table(change), Vec::new(), 0)).collect();
            if *records > 0 {
                let gone = changes.iter().find_map(table);
                found.push(part(Kind::Delete, gone, Vec::new(), *records));
            }
            found
        }
        Step::Upload { table, field, .. } => {
            vec![part(Kind::Update, Some(table.to_string()), vec![field.to_string()], 1)]
        }
        Step::Comment { table, .. } => vec![part(Kind::Comment, Some(table.to_string()), Vec::new(), 1)],
        Step::CreateBase { .. } => vec![part(Kind::Schema, None, Vec::new(), 0)],
        Step::DeleteBase { records, .. } => {
            vec![part(Kind::Schema, None, Vec::new(), 0), part(Kind::Delete, None, Vec::new(), *records)]
        }
    }
}
