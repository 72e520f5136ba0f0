//! The rules of a policy by ids, and which of them hold for somebody, somewhere, at some time.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use tablewright_core::model::{BaseId, FieldId, Mask, TableId};
use tablewright_formula::moment::Zone;

use super::file::{Day, Default, Verb};
use crate::directory::Role;

/// A policy with ids in the place of names: what is kept, and what decides.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RuleSet {
    /// What holds where no rule says anything.
    pub default: Default,
    /// The rules, in the order of the file: allow, deny, rows, mask, write.
    pub rules: Vec<Rule>,
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rule {
    /// Its name, or what it is in the file: `deny 2`.
    pub name: String,
    /// What it does.
    pub what: What,
    /// Keys of those it is about.
    pub who: Vec<String>,
    /// Keys of those it is not about.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub except: Vec<String>,
    /// What it is about doing; everything when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub verbs: Vec<Verb>,
    /// The workspace whose bases alone it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workspace: Option<String>,
    /// The base it is about; all of them without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<BaseId>,
    /// The tables it is about; all of them when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tables: Vec<TableId>,
    /// The fields it is about; all of them when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<FieldId>,
    /// The tools it is about; all of them when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<String>,
    /// When it holds; always without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hours: Option<Window>,
}

/// What a rule does. Formulas name fields by their ids.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// Allows.
    Allow,
    /// Denies.
    Deny,
    /// Leaves out rows for which the formula does not hold.
    Rows(String),
    /// Shows something else than what the fields hold.
    Mask(Mask),
    /// Asks for a formula to hold after a write.
    Write(String),
}

/// A window of the week.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Window {
    /// The days; all when empty.
    pub days: Vec<Day>,
    /// Minutes after midnight it begins at.
    pub from: u16,
    /// Minutes after midnight it ends at; not after `from` for the next day.
    pub to: u16,
    /// An IANA time zone.
    pub zone: String,
}

/// Minutes of a day.
pub const DAY: u16 = 24 * 60;

impl Window {
    /// Whether a moment, in milliseconds since the epoch, is in it.
    pub fn holds(&self, now: i64) -> bool {
        let zone = Zone::iana(&self.zone).unwrap_or(Zone::utc());
        let local = now + i64::from(zone.offset(now).0) * 1_000;
        let days = local.div_euclid(86_400_000);
        let minute = u16::try_from(local.rem_euclid(86_400_000) / 60_000).unwrap_or_default();
        let on = |days: i64| self.days.is_empty() || self.days.contains(&day_of(days));
        if self.from < self.to {
            return on(days) && (self.from..self.to).contains(&minute);
        }
        (on(days) && minute >= self.from) || (on(days - 1) && minute < self.to)
    }
}

/// The day of the week of a day counted from 1970-01-01, a Thursday.
fn day_of(days: i64) -> Day {
    match days.rem_euclid(7) {
        0 => Day::Thu,
        1 => Day::Fri,
        2 => Day::Sat,
        3 => Day::Sun,
        4 => Day::Mon,
        5 => Day::Tue,
        _ => Day::Wed,
    }
}

/// What somebody is in the workspace of a base. It bounds what rules can allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Footing {
    /// Workspaces do not bind them.
    Free,
    /// A member with this role.
    Member(Role),
    /// No member of it: the base is not there for them.
    Stranger,
}

impl Footing {
    fn allows(self, verb: Verb) -> bool {
        match self {
            Self::Free => true,
            Self::Member(role) => role.allows(verb),
            Self::Stranger => false,
        }
    }
}

/// What a question to the rules is about.
#[derive(Debug, Clone, Copy)]
pub struct Circumstances<'a> {
    /// Keys of who asks: `*`, `person:…`, `token:…`, `role:…`.
    pub who: &'a [&'a str],
    /// The base; without one, what is about no base in particular.
    pub base: Option<BaseId>,
    /// The workspace the base is in.
    pub workspace: Option<&'a str>,
    /// The tool or command that is used.
    pub action: &'a str,
    /// When, in milliseconds since the epoch.
    pub now: i64,
}

/// Rules, found by whom and what they are about.
#[derive(Debug)]
pub struct Index {
    set: RuleSet,
    by_who: HashMap<String, HashMap<Option<BaseId>, Vec<u32>>>,
    names_workspaces: bool,
}

impl Index {
    /// Of these rules.
    pub fn new(set: RuleSet) -> Self {
        let mut by_who: HashMap<String, HashMap<Option<BaseId>, Vec<u32>>> = HashMap::new();
        for (at, rule) in (0..).zip(&set.rules) {
            for key in &rule.who {
                by_who.entry(key.clone()).or_default().entry(rule.base).or_default().push(at);
            }
        }
        let names_workspaces = set.rules.iter().any(|rule| rule.workspace.is_some());
        Self { set, by_who, names_workspaces }
    }

    /// True when a rule is about a workspace.
    pub fn names_workspaces(&self) -> bool {
        self.names_workspaces
    }

    /// The rules themselves.
    pub fn set(&self) -> &RuleSet {
        &self.set
    }

    /// Numbers of the rules that are about these circumstances, in order.
    pub fn in_force(&self, at: &Circumstances<'_>) -> Vec<u32> {
        let mut found = Vec::new();
        let places = [at.base, None];
        // Without a base both places are the same one.
        let places = if at.base.is_some() { &places[..] } else { &places[..1] };
        for held in at.who.iter().filter_map(|key| self.by_who.get(*key)) {
            for numbers in places.iter().filter_map(|base| held.get(base)) {
                found.extend(numbers.iter().copied().filter(|number| self.is_about(*number, at)));
            }
        }
        found.sort_unstable();
        found.dedup();
        found
    }

    fn is_about(&self, number: u32, at: &Circumstances<'_>) -> bool {
        let Some(rule) = self.set.rules.get(number as usize) else { return false };
        let listed = |keys: &[String]| keys.iter().any(|key| at.who.contains(&key.as_str()));
        !listed(&rule.except)
            && rule.workspace.as_deref().is_none_or(|wanted| at.workspace == Some(wanted))
            && (rule.tools.is_empty() || rule.tools.iter().any(|tool| tool == at.action))
            && rule.hours.as_ref().is_none_or(|window| window.holds(at.now))
    }

    /// The rules with these numbers, to be asked about somebody with this footing.
    pub fn standing(&self, numbers: &[u32], footing: Footing) -> Standing<'_> {
        let rules = numbers.iter().filter_map(|number| self.set.rules.get(*number as usize)).collect();
        Standing { default: self.set.default, rules, footing }
    }
}

/// The rules that hold for somebody, somewhere, now.
#[derive(Debug, Clone)]
pub struct Standing<'a> {
    default: Default,
    rules: Vec<&'a Rule>,
    footing: Footing,
}

/// An answer, and the rule it comes from; without one it is the default.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Verdict<'a> {
    /// Yes.
    Allowed(Option<&'a Rule>),
    /// No.
    Denied(Option<&'a Rule>),
    /// No: their role does not allow it, whatever the rules say.
    Beyond(Footing),
}

impl<'a> Verdict<'a> {
    /// True for yes.
    pub fn is_allowed(self) -> bool {
        matches!(self, Self::Allowed(_))
    }

    /// The rule it comes from.
    pub fn rule(self) -> Option<&'a Rule> {
        match self {
            Self::Allowed(rule) | Self::Denied(rule) => rule,
            Self::Beyond(_) => None,
        }
    }
}

impl Rule {
    fn covers(&self, verb: Verb) -> bool {
        self.verbs.is_empty() || self.verbs.contains(&verb)
    }

    fn is_about_table(&self, table: TableId) -> bool {
        self.tables.is_empty() || self.tables.contains(&table)
    }

    fn is_about_field(&self, table: TableId, field: FieldId) -> bool {
        self.is_about_table(table) && (self.fields.is_empty() || self.fields.contains(&field))
    }
}

impl<'a> Standing<'a> {
    fn decide(
        &self,
        verb: Verb,
        denies: impl Fn(&Rule) -> bool,
        allows: impl Fn(&Rule) -> bool,
    ) -> Verdict<'a> {
        if !self.footing.allows(verb) {
            return Verdict::Beyond(self.footing);
        }
        let of = |what: What| {
            self.rules.iter().copied().filter(move |rule| rule.what == what && rule.covers(verb))
        };
        if let Some(rule) = of(What::Deny).find(|rule| denies(rule)) {
            return Verdict::Denied(Some(rule));
        }
        match (of(What::Allow).find(|rule| allows(rule)), self.default) {
            (Some(rule), _) => Verdict::Allowed(Some(rule)),
            (None, Default::Allow) => Verdict::Allowed(None),
            (None, Default::Deny) => Verdict::Denied(None),
        }
    }

    /// Whether something may be done with the base as a whole. A rule about tables says nothing here.
    pub fn base(&self, verb: Verb) -> Verdict<'a> {
        let whole = |rule: &Rule| rule.tables.is_empty();
        self.decide(verb, whole, whole)
    }

    /// Whether something may be done with a table. Some of its fields may be out of reach all the same.
    pub fn table(&self, verb: Verb, table: TableId) -> Verdict<'a> {
        let denies = |rule: &Rule| rule.fields.is_empty() && rule.is_about_table(table);
        self.decide(verb, denies, |rule| rule.is_about_table(table))
    }

    /// Whether something may be done with a field.
    pub fn field(&self, verb: Verb, table: TableId, field: FieldId) -> Verdict<'a> {
        let about = |rule: &Rule| rule.is_about_field(table, field);
        self.decide(verb, about, about)
    }

    /// The rule of the mask on a field that shows least, and that mask.
    pub fn mask(&self, table: TableId, field: FieldId) -> Option<(Mask, &'a Rule)> {
        self.rules
            .iter()
            .filter(|rule| rule.is_about_field(table, field))
            .filter_map(|rule| match rule.what {
                What::Mask(mask) => Some((mask, *rule)),
                _ => None,
            })
            .reduce(|(mask, rule), (other, by)| {
                let both = mask.and(other);
                (both, if both == mask { rule } else { by })
            })
    }

    /// The conditions on rows of a table, each with the name of its rule.
    pub fn rows(&self, table: TableId) -> Vec<(String, String)> {
        self.formulas(table, |what| match what {
            What::Rows(formula) => Some(formula),
            _ => None,
        })
    }

    /// What has to hold for a record of a table after it was written.
    pub fn writes(&self, table: TableId) -> Vec<(String, String)> {
        self.formulas(table, |what| match what {
            What::Write(formula) => Some(formula),
            _ => None,
        })
    }

    fn formulas(&self, table: TableId, of: impl Fn(&What) -> Option<&String>) -> Vec<(String, String)> {
        let about = self.rules.iter().filter(|rule| rule.is_about_table(table));
        about.filter_map(|rule| Some((rule.name.clone(), of(&rule.what)?.clone()))).collect()
    }

    /// The rules.
    pub fn rules(&self) -> &[&'a Rule] {
        &self.rules
    }
}

/// Minutes after midnight of `HH:MM`; `24:00` is the end of the day.
pub fn minutes(text: &str) -> Option<u16> {
    let (hours, minutes) = text.split_once(':')?;
    let is_two = |text: &str| text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
    let two = |text: &str| is_two(text).then(|| text.parse::<u16>().ok()).flatten();
    let (hours, minutes) = (two(hours)?, two(minutes)?);
    let all = hours * 60 + minutes;
    (minutes < 60 && all <= DAY).then_some(all)
}

#[cfg(test)]
mod tests {
    use tablewright_core::civil;

    use super::*;

    #[test]
    fn a_window_over_midnight_belongs_to_the_day_it_begins_on() {
        let at = |day: i64, hour: i64, minute: i64| {
            civil::instant(2026, 11, day, hour, minute, 0, 0).unwrap_or_default()
        };
        // The 27th is a Friday.
        let night = Window { days: vec![Day::Fri], from: 22 * 60, to: 6 * 60, zone: "UTC".into() };
        assert!(night.holds(at(27, 22, 0)) && night.holds(at(28, 5, 59)));
        assert!(!night.holds(at(28, 6, 0)) && !night.holds(at(27, 5, 59)) && !night.holds(at(28, 23, 0)));
        let office = Window { days: vec![], from: 9 * 60, to: DAY, zone: "Europe/Berlin".into() };
        assert!(office.holds(at(27, 8, 0)) && office.holds(at(27, 22, 59)) && !office.holds(at(27, 7, 59)));
        assert!(!office.holds(at(27, 23, 0)), "midnight in Berlin");
        let summer = Window { days: vec![], from: 9 * 60, to: 10 * 60, zone: "Europe/Berlin".into() };
        assert!(summer.holds(civil::instant(2026, 7, 1, 7, 0, 0, 0).unwrap_or_default()), "summer time");
    }

    #[test]
    fn minutes_of_a_day_are_read_strictly() {
        assert_eq!((minutes("00:00"), minutes("24:00"), minutes("09:30")), (Some(0), Some(DAY), Some(570)));
        assert!(["9:30", "24:01", "12:60", "noon", "+1:00", ""].iter().all(|text| minutes(text).is_none()));
    }
}
