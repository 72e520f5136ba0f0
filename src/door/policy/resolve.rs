//! From the file to rules: names become ids, so that a rule survives that something is renamed.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use tablewright_core::model::schema::find_base;
use tablewright_core::model::{Base, BaseId, Table};
use tablewright_core::suggest::{did_you_mean, nearest};
use tablewright_core::{Code, Fault};
use tablewright_engine::compute::with_ids;
use tablewright_formula::moment::Zone;
use tablewright_formula::{Problem, Scope, compile};

use super::file::{Grant, Hours, PolicyFile, Verb};
use super::rules::{DAY, Rule, RuleSet, What, Window, minutes};

/// Most rules, and most problems that are told at once.
const MAX_RULES: usize = 5_000;
const MAX_TOLD: usize = 20;

/// What names in a policy can mean.
pub(super) struct Names {
    /// All bases.
    pub(super) bases: Arc<Vec<(BaseId, String)>>,
    /// The schemas of those that the file names.
    pub(super) schemas: HashMap<BaseId, Arc<Base>>,
    /// Keys of people, services and tokens: `person:ann@example.com`.
    pub(super) principals: Vec<String>,
    /// Workspaces: id and name.
    pub(super) workspaces: Vec<(String, String)>,
    /// Tools and commands that rules can be about.
    pub(super) tools: Vec<String>,
}

/// The roles of members of workspaces.
const ROLES: [&str; 5] = ["owner", "creator", "editor", "commenter", "reader"];

/// The parts that all rules have.
struct Common<'a> {
    name: &'a Option<String>,
    who: &'a [String],
    except: &'a [String],
    tools: &'a [String],
    hours: &'a Option<Hours>,
}

macro_rules! common {
    ($rule:expr) => {
        Common {
            name: &$rule.name,
            who: &$rule.who,
            except: &$rule.except,
            tools: &$rule.tools,
            hours: &$rule.hours,
        }
    };
}

/// Collects what is wrong, with where.
struct Reader<'a> {
    names: &'a Names,
    groups: &'a BTreeMap<String, Vec<String>>,
    problems: Vec<String>,
    taken: HashSet<String>,
}

/// The names of bases a file uses.
pub(super) fn bases_of(file: &PolicyFile) -> HashSet<&str> {
    let grants = file.allow.iter().chain(&file.deny).filter_map(|rule| rule.base.as_deref());
    let rows = file.rows.iter().map(|rule| rule.base.as_str());
    let masks = file.mask.iter().map(|rule| rule.base.as_str());
    let writes = file.write.iter().map(|rule| rule.base.as_str());
    let tests = file.test.iter().map(|test| test.base.as_str());
    grants.chain(rows).chain(masks).chain(writes).chain(tests).collect()
}

/// The rules of a file, or all that is wrong with it.
pub(super) fn resolve(file: &PolicyFile, names: &Names) -> Result<RuleSet, Fault> {
    let mut reader = Reader { names, groups: &file.groups, problems: Vec::new(), taken: HashSet::new() };
    let mut rules = Vec::new();
    if file.version != 1 {
        reader.problems.push(format!("version is {}; this program reads version 1", file.version));
    }
    for (name, members) in &file.groups {
        for member in members.iter().filter(|member| member.starts_with("group:")) {
            reader.problems.push(format!("group {name:?} has {member:?} in it; a group has no groups"));
        }
    }
    for (kind, grants, what) in [("allow", &file.allow, What::Allow), ("deny", &file.deny, What::Deny)] {
        for (at, grant) in grants.iter().enumerate() {
            let place = format!("{kind} {}", at + 1);
            rules.extend(reader.within(&place, |reader| reader.grant(&place, grant, what.clone())));
        }
    }
    for (at, rule) in file.rows.iter().enumerate() {
        let place = format!("rows {}", at + 1);
        let common = common!(rule);
        rules.extend(reader.within(&place, |reader| {
            let (base, table) = reader.table(&rule.base, &rule.table)?;
            let what = What::Rows(formula(table, "keep", &rule.keep)?);
            reader.about(&place, common, what, base, table)
        }));
    }
    for (at, rule) in file.mask.iter().enumerate() {
        let place = format!("mask {}", at + 1);
        let common = common!(rule);
        rules.extend(reader.within(&place, |reader| {
            let (base, table) = reader.table(&rule.base, &rule.table)?;
            if rule.fields.is_empty() {
                return Err(wrong("fields is empty; name at least one field"));
            }
            let fields = rule.fields.iter().map(|name| table.field(name).map(|field| field.id));
            let fields = fields.collect::<Result<Vec<_>, _>>()?;
            let made = reader.about(&place, common, What::Mask(rule.with), base, table)?;
            Ok(Rule { fields, ..made })
        }));
    }
    for (at, rule) in file.write.iter().enumerate() {
        let place = format!("write {}", at + 1);
        let common = common!(rule);
        rules.extend(reader.within(&place, |reader| {
            let (base, table) = reader.table(&rule.base, &rule.table)?;
            let what = What::Write(formula(table, "require", &rule.require)?);
            reader.about(&place, common, what, base, table)
        }));
    }
    for (at, test) in file.test.iter().enumerate() {
        reader.within(&format!("test {}", at + 1), |reader| key(&reader.names.principals, &test.who));
    }
    if rules.len() > MAX_RULES {
        reader.problems.push(format!("there are {} rules; at most {MAX_RULES}", rules.len()));
    }
    reader.end().map(|()| RuleSet { default: file.default, rules })
}

fn wrong(message: impl Into<String>) -> Fault {
    Fault::new(Code::InvalidFile, message)
}

impl<'a> Reader<'a> {
    fn within<T>(&mut self, place: &str, read: impl FnOnce(&mut Self) -> Result<T, Fault>) -> Option<T> {
        match read(self) {
            Ok(read) => Some(read),
            Err(fault) => {
                self.problems.push(format!("{place}: {}", fault.message.trim_end_matches('.')));
                None
            }
        }
    }

    fn end(self) -> Result<(), Fault> {
        if self.problems.is_empty() {
            return Ok(());
        }
        let more = self.problems.len().saturating_sub(MAX_TOLD);
        let mut told = self.problems[..self.problems.len() - more].join("\n");
        if more > 0 {
            told.push_str(&format!("\nand {more} more"));
        }
        Err(wrong(told))
    }

    fn grant(&mut self, place: &str, grant: &Grant, what: What) -> Result<Rule, Fault> {
        let mut rule = self.common(place, common!(grant), what)?;
        rule.verbs.clone_from(&grant.verbs);
        if let Some(wanted) = &grant.workspace {
            rule.workspace = Some(self.workspace(wanted)?);
        }
        if !grant.tables.is_empty() && grant.base.is_none() {
            return Err(wrong("tables without a base; say which base they are in"));
        }
        if !grant.fields.is_empty() && grant.tables.len() != 1 {
            return Err(wrong("fields are those of one table; give exactly one in tables"));
        }
        let of_bases = |verb: &&Verb| matches!(verb, Verb::Design | Verb::Webhooks);
        if let Some(verb) = grant.verbs.iter().find(of_bases).filter(|_| !grant.tables.is_empty()) {
            let verb = verb.as_str();
            return Err(wrong(format!("{verb:?} is about a base as a whole; leave out tables and fields")));
        }
        let of_records = |verb: &&Verb| matches!(verb, Verb::Delete | Verb::Comment);
        if let Some(verb) = grant.verbs.iter().find(of_records).filter(|_| !grant.fields.is_empty()) {
            let verb = verb.as_str();
            return Err(wrong(format!("{verb:?} is about records as a whole; leave out fields")));
        }
        let Some(base) = &grant.base else { return Ok(rule) };
        let base = self.base(base)?;
        rule.base = Some(base.id);
        for name in &grant.tables {
            let table = base.table(name)?;
            rule.tables.push(table.id);
            for name in &grant.fields {
                rule.fields.push(table.field(name)?.id);
            }
        }
        Ok(rule)
    }

    fn common(&mut self, place: &str, common: Common<'_>, what: What) -> Result<Rule, Fault> {
        let Common { name, who, except, tools, hours } = common;
        let name = name.clone().unwrap_or_else(|| place.to_owned());
        if name.is_empty() || name.chars().count() > 100 || name.chars().any(char::is_control) {
            return Err(wrong("name is a text of 1 to 100 characters on one line"));
        }
        if !self.taken.insert(name.clone()) {
            return Err(wrong(format!("another rule is called {name:?}; names tell rules apart")));
        }
        if who.is_empty() {
            return Err(wrong("who is empty; name at least one, or \"*\" for everybody"));
        }
        if let Some(tool) = tools.iter().find(|tool| !self.names.tools.contains(tool)) {
            let near = did_you_mean(&nearest(tool, self.names.tools.iter().map(String::as_str)));
            return Err(wrong(format!("there is no tool {tool:?}.{near}")));
        }
        let hours = hours.as_ref().map(window).transpose()?;
        let (who, except) = (self.keys(who)?, self.keys(except)?);
        Ok(Rule {
            name,
            what,
            who,
            except,
            verbs: Vec::new(),
            workspace: None,
            base: None,
            tables: Vec::new(),
            fields: Vec::new(),
            tools: tools.to_vec(),
            hours,
        })
    }

    fn about(
        &mut self,
        place: &str,
        common: Common<'_>,
        what: What,
        base: BaseId,
        table: &Table,
    ) -> Result<Rule, Fault> {
        let rule = self.common(place, common, what)?;
        Ok(Rule { base: Some(base), tables: vec![table.id], ..rule })
    }

    /// Keys of those a list names, groups taken apart.
    fn keys(&self, listed: &[String]) -> Result<Vec<String>, Fault> {
        let mut keys = Vec::new();
        for text in listed {
            let members = match text.strip_prefix("group:") {
                None => std::slice::from_ref(text),
                Some(group) => self.groups.get(group).map(Vec::as_slice).ok_or_else(|| {
                    let near = did_you_mean(&nearest(group, self.groups.keys().map(String::as_str)));
                    wrong(format!("there is no group {group:?} in [groups].{near}"))
                })?,
            };
            for member in members {
                keys.push(key(&self.names.principals, member)?);
            }
        }
        keys.sort();
        keys.dedup();
        Ok(keys)
    }

    fn workspace(&self, wanted: &str) -> Result<String, Fault> {
        let all = &self.names.workspaces;
        let found =
            all.iter().find(|(id, name)| id == wanted || name.to_lowercase() == wanted.to_lowercase());
        found.map(|(id, _)| id.clone()).ok_or_else(|| {
            let near = did_you_mean(&nearest(wanted, all.iter().map(|(_, name)| name.as_str())));
            wrong(format!("there is no workspace {wanted:?}.{near}"))
        })
    }

    fn base(&self, wanted: &str) -> Result<&'a Base, Fault> {
        let (id, _) = find_base(&self.names.bases, wanted)?;
        let schema = self.names.schemas.get(id);
        schema.map(|schema| &**schema).ok_or_else(|| wrong(format!("base {wanted:?} could not be read")))
    }

    fn table(&self, base: &str, table: &str) -> Result<(BaseId, &'a Table), Fault> {
        let base = self.base(base)?;
        Ok((base.id, base.table(table)?))
    }
}

/// The key of whoever a text names, one of these or of those that need no name.
pub(super) fn key(principals: &[String], text: &str) -> Result<String, Fault> {
    let text = text.trim();
    let known = || {
        let same = |known: &&String| known.eq_ignore_ascii_case(text);
        let exact = principals.iter().find(|known| *known == text);
        exact.or_else(|| principals.iter().find(same)).cloned().ok_or_else(|| {
            let near = did_you_mean(&nearest(text, principals.iter().map(String::as_str)));
            wrong(format!("nobody is known as {text:?}.{near}"))
        })
    };
    match text.split_once(':') {
        None if text == "*" || text == "local" => Ok(text.to_owned()),
        Some(("person" | "service" | "token", _)) => known(),
        Some(("client", id)) if !id.is_empty() => Ok(text.to_owned()),
        Some(("role", role)) if ROLES.contains(&role) => Ok(text.to_owned()),
        Some(("role", role)) => {
            Err(wrong(format!("there is no role {role:?}; use one of: {}", ROLES.join(", "))))
        }
        _ => Err(wrong(format!(
            "{text:?} names nobody; write \"*\", \"local\", \"person:EMAIL\", \"service:NAME\", \"token:NAME\", \"client:ID\", \"role:ROLE\" or \"group:NAME\""
        ))),
    }
}

/// A formula that fits a table, with ids in the place of the names of fields.
fn formula(table: &Table, key: &str, text: &str) -> Result<String, Fault> {
    compile(text, &Scope::of_table(table))
        .map_err(|problems| wrong(format!("{key}: {}", Problem::joined(&problems))))?;
    Ok(with_ids(table, text))
}

fn window(hours: &Hours) -> Result<Window, Fault> {
    let at = |key: &str, text: &Option<String>, otherwise: u16| match text {
        None => Ok(otherwise),
        Some(text) => minutes(text)
            .ok_or_else(|| wrong(format!("hours.{key} is {text:?}; write a time of day as \"09:30\""))),
    };
    let zone = hours.zone.clone().unwrap_or_else(|| "UTC".to_owned());
    if Zone::iana(&zone).is_none() {
        return Err(wrong(format!("hours.zone is {zone:?}; write an IANA name as \"Europe/Berlin\"")));
    }
    let (from, to) = (at("from", &hours.from, 0)?, at("to", &hours.to, DAY)?);
    if from == to {
        return Err(wrong("hours.from and hours.to are the same; leave both out for the whole day"));
    }
    Ok(Window { days: hours.days.clone(), from: from % DAY, to, zone })
}
