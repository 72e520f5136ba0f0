//! How far somebody reaches in one base: what they see of it, and what they may do.

use std::collections::HashMap;
use std::sync::Arc;

use tablewright_core::model::{Base, FieldId, Mask, Table, TableId};
use tablewright_core::{Code, Fault};
use tablewright_engine::Snapshot;
use tablewright_engine::base::lens::{Lens, Sight, TableSight};
use tablewright_formula::{Program, Scope, compile};
use tokio::sync::Mutex;

use super::file::Verb;
use super::rules::{Footing, Standing, Verdict};

/// A set of rules, worked out for one schema.
#[derive(Debug)]
pub(crate) struct Reach {
    whole: Arc<Base>,
    /// What is seen; everything without one.
    lens: Option<Lens>,
    /// What may not be done with the base as a whole.
    denied: HashMap<Verb, String>,
    tables: HashMap<TableId, TableReach>,
    /// The last look, so that what does not change is not looked at again.
    last: Mutex<Option<Look>>,
}

#[derive(Debug)]
struct Look {
    whole: Arc<Snapshot>,
    seen: Arc<Snapshot>,
    at: i64,
}

#[derive(Debug)]
struct TableReach {
    /// What may not be done, and why.
    denied: HashMap<Verb, String>,
    /// Fields that may not be written, and why.
    fields: HashMap<(FieldId, Verb), String>,
    /// What has to hold after a write, by the name of the rule.
    required: Vec<(String, Option<Arc<Program>>)>,
}

/// Why something is not allowed, for those it is not allowed to.
fn why(verdict: Verdict<'_>) -> Option<String> {
    match verdict {
        Verdict::Allowed(_) => None,
        Verdict::Denied(Some(rule)) => Some(format!("the rule {:?} of the policy says so", rule.name)),
        Verdict::Denied(None) => Some("no rule of the policy allows it".to_owned()),
        Verdict::Beyond(footing) => Some(beyond(footing)),
    }
}

/// Why somebody's place in a workspace does not allow something.
pub(super) fn beyond(footing: Footing) -> String {
    match footing {
        Footing::Member(role) => format!("the role {role} in its workspace does not allow it"),
        _ => "its workspace is another one".to_owned(),
    }
}

/// The verbs that are about a table.
const OF_TABLES: [Verb; 4] = [Verb::Create, Verb::Update, Verb::Delete, Verb::Comment];

impl Reach {
    /// Works rules out for the schema of a snapshot. `key` is that of hashes, `stamp` stands for the
    /// rules.
    pub(crate) fn new(snapshot: &Snapshot, standing: &Standing<'_>, key: &[u8], stamp: u64) -> Self {
        let whole = snapshot.schema.clone();
        let mut sight = Sight::default();
        let mut tables = HashMap::new();
        let mut is_whole = true;
        for table in &whole.tables {
            if !standing.table(Verb::Read, table.id).is_allowed() {
                is_whole = false;
                continue;
            }
            let seen = sight_of(table, standing);
            is_whole &= seen.masks.is_empty() && seen.rows.is_empty();
            sight.tables.insert(table.id, seen);
            tables.insert(table.id, TableReach::new(table, standing));
        }
        let lens = (!is_whole).then(|| Lens::new(snapshot, &sight, key, stamp));
        for broken in lens.iter().flat_map(Lens::broken) {
            tracing::warn!(base = %whole.id, "policy rule {broken}; nothing of the table is shown");
        }
        let of = |verb| why(standing.base(verb)).map(|why| (verb, why));
        let mut denied: HashMap<Verb, String> =
            [Verb::Design, Verb::Webhooks].into_iter().filter_map(of).collect();
        if lens.is_some() {
            let partly = || "the policy does not let you see all of the base".to_owned();
            denied.entry(Verb::Design).or_insert_with(partly);
            denied.entry(Verb::Webhooks).or_insert_with(partly);
        }
        Self { whole, lens, denied, tables, last: Mutex::default() }
    }

    /// True when it was worked out for this very schema.
    pub(crate) fn fits(&self, schema: &Arc<Base>) -> bool {
        Arc::ptr_eq(&self.whole, schema)
    }

    /// The schema as it is seen.
    pub(crate) fn schema(&self) -> Arc<Base> {
        self.lens.as_ref().map_or(&self.whole, Lens::schema).clone()
    }

    /// What is seen less of than there is.
    pub(crate) fn lens(&self) -> Option<&Lens> {
        self.lens.as_ref()
    }

    /// True when there is a table to be seen.
    pub(crate) fn sees_any(&self) -> bool {
        !self.tables.is_empty()
    }

    /// A moment of the base as it is seen. With `keep` it is the one the next look starts from.
    pub(crate) async fn look(
        self: &Arc<Self>,
        whole: Arc<Snapshot>,
        now: i64,
        keep: bool,
    ) -> Result<Arc<Snapshot>, Fault> {
        let Some(lens) = &self.lens else { return Ok(whole) };
        let mut last = self.last.lock().await;
        if let Some(look) = &*last
            && Arc::ptr_eq(&look.whole, &whole)
            && !lens.is_stale(look.at, now)
        {
            return Ok(look.seen.clone());
        }
        let before = last.as_ref().map(|look| (look.whole.clone(), look.seen.clone()));
        let (reach, base) = (self.clone(), whole.clone());
        let seen = tokio::task::spawn_blocking(move || {
            let Some(lens) = &reach.lens else { return Ok(base) };
            let before = before.as_ref().map(|(whole, seen)| (&**whole, &**seen));
            lens.look(&base, before, now).map(Arc::new)
        });
        let seen = seen.await.map_err(|e| Fault::new(Code::Internal, e.to_string()))??;
        if keep {
            *last = Some(Look { whole, seen: seen.clone(), at: now });
        }
        Ok(seen)
    }

    /// Refuses what may not be done with the base as a whole.
    pub(crate) fn require(&self, verb: Verb) -> Result<(), Fault> {
        self.denied
            .get(&verb)
            .map_or(Ok(()), |why| Err(refused(verb, &format!("base {:?}", self.whole.name), why)))
    }

    /// Refuses what may not be done with a table.
    pub(crate) fn require_in(&self, verb: Verb, table: &Table) -> Result<(), Fault> {
        let why = self.tables.get(&table.id).and_then(|reach| reach.denied.get(&verb));
        why.map_or(Ok(()), |why| Err(refused(verb, &format!("table {:?}", table.name), why)))
    }

    /// Why a field may not be written; `None` when it may.
    pub(crate) fn why_not(&self, verb: Verb, table: TableId, field: FieldId) -> Option<&str> {
        Some(self.tables.get(&table)?.fields.get(&(field, verb))?)
    }

    /// What has to hold for a record of a table after a write: the rule's name and its formula, which
    /// is absent when it does not fit the table any more.
    pub(crate) fn required(&self, table: TableId) -> &[(String, Option<Arc<Program>>)] {
        self.tables.get(&table).map_or(&[], |reach| &reach.required)
    }

    /// True when a write to a table has to be tried before it is known whether it may be, or depends on
    /// rows that are not seen: links to them stay.
    pub(crate) fn looks_at_writes(&self, table: TableId) -> bool {
        let schema = self.schema();
        let fields = schema.table_by_id(table).map_or(&[][..], |table| &table.fields);
        let mut linked = fields.iter().filter_map(|field| field.link()).map(|link| link.linked_table_id);
        !self.required(table).is_empty()
            || self.limits_rows(table)
            || linked.any(|table| self.limits_rows(table))
    }

    /// True when not all rows of a table are seen.
    pub(crate) fn limits_rows(&self, table: TableId) -> bool {
        self.lens.as_ref().is_some_and(|lens| lens.limits_rows(table))
    }
}

fn refused(verb: Verb, place: &str, why: &str) -> Fault {
    let what = match verb {
        Verb::Read => "you may not read",
        Verb::Create => "you may not create records in",
        Verb::Update => "you may not change records of",
        Verb::Delete => "you may not delete records of",
        Verb::Comment => "you may not comment on records of",
        Verb::Design => "you may not change the schema of",
        Verb::Webhooks => "you may not manage webhooks of",
    };
    Fault::new(Code::Forbidden, format!("{what} {place}: {why}."))
}

fn sight_of(table: &Table, standing: &Standing<'_>) -> TableSight {
    let mut masks = HashMap::new();
    for field in &table.fields {
        let hidden = !standing.field(Verb::Read, table.id, field.id).is_allowed();
        let mask = standing.mask(table.id, field.id).map(|(mask, _)| mask);
        if let Some(mask) = if hidden { Some(Mask::Hide) } else { mask } {
            masks.insert(field.id, mask);
        }
    }
    TableSight { masks, rows: standing.rows(table.id) }
}

impl TableReach {
    fn new(table: &Table, standing: &Standing<'_>) -> Self {
        let of = |verb| why(standing.table(verb, table.id)).map(|why| (verb, why));
        let denied = OF_TABLES.into_iter().filter_map(of).collect();
        let mut fields = HashMap::new();
        for field in &table.fields {
            for verb in [Verb::Create, Verb::Update] {
                if let Some(why) = why(standing.field(verb, table.id, field.id)) {
                    fields.insert((field.id, verb), why);
                }
            }
        }
        let scope = Scope::of_table(table);
        let required = standing.writes(table.id).into_iter().map(|(rule, formula)| {
            (rule, compile(&formula, &scope).ok().map(|(program, _)| Arc::new(program)))
        });
        Self { denied, fields, required: required.collect() }
    }
}
