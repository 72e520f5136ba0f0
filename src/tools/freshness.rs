//! How fresh an answer is to be, and how old it is.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use tablewright_door::{BaseView, TableView};
use tablewright_engine::replica::{Source, Want};
use tablewright_toolkit::registry::CallContext;
use tablewright_toolkit::text::shown;

/// Names that a note lists.
const NAMES: usize = 5;

/// How fresh an answer has to be: of bases in Airtable, which are read from a copy.
#[derive(Debug, Default, Deserialize, JsonSchema)]
pub(crate) struct Freshness {
    /// Oldest copy, in seconds.
    #[serde(default, deserialize_with = "seconds")]
    #[schemars(with = "Option<u64>")]
    max_staleness: Option<u64>,
    /// Ask Airtable first.
    #[serde(default, deserialize_with = "truth")]
    fresh: bool,
}

fn seconds<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    let given = Value::deserialize(from)?;
    let number = given.as_u64().or_else(|| given.as_f64().filter(|n| *n >= 0.0).map(|n| n as u64));
    let bad = || serde::de::Error::custom("max_staleness is a number of seconds from 0");
    number.map(Some).ok_or_else(bad)
}

fn truth<'de, D: Deserializer<'de>>(from: D) -> Result<bool, D::Error> {
    let bad = || serde::de::Error::custom("fresh is true or false");
    Value::deserialize(from)?.as_bool().ok_or_else(bad)
}

impl Freshness {
    /// Has everything the call reads be as fresh as this.
    pub(crate) fn ask(&self, context: &mut CallContext) {
        let max_staleness = self.max_staleness.map(Duration::from_secs);
        context.call.want(Want { max_staleness, fresh: self.fresh });
    }
}

/// Where a typed answer comes from, of a base in Airtable alone.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub(crate) struct Origin {
    /// "replica": a copy.
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    age_seconds: Option<u64>,
}

impl Origin {
    /// That of an answer from `base`.
    pub(crate) fn of(context: &CallContext, base: &BaseView) -> Self {
        match base.source() {
            Source::Local => Self::default(),
            Source::Replica { as_of } => Self { source: Some("replica"), age_seconds: age(context, as_of) },
        }
    }
}

/// How old a copy is that has everything up to `as_of`; `None` when it was never whole.
pub(crate) fn age(context: &CallContext, as_of: i64) -> Option<u64> {
    (as_of > 0).then(|| since(context, as_of))
}

fn since(context: &CallContext, moment: i64) -> u64 {
    (context.call.now() - moment).max(0).unsigned_abs() / 1_000
}

/// Why an answer from `base` is older than it should be, if it is.
pub(crate) fn why_old(context: &CallContext, base: &BaseView) -> Option<String> {
    let Source::Replica { as_of } = base.source() else { return None };
    let why = context.call.replica().why_old(base.schema().id)?;
    let why = shown(&why);
    let age = since(context, as_of);
    Some(format!("The copy is {age} s old, for Airtable could not be asked: {}.", why.trim_end_matches('.')))
}

/// What there is to say of the computed cells of `fields` in a copy.
pub(crate) fn computed(context: &CallContext, view: &TableView, fields: &[usize]) -> Option<String> {
    let (replica, table) = (context.call.replica(), view.schema());
    let base = view.base();
    let listed = replica.listed_at(base.schema().id, table.id)?;
    let shown = |at: &&usize| table.fields[**at].kind.is_computed();
    let mut notes = Vec::new();
    let timely: Vec<&usize> = fields.iter().filter(|at| view.is_timely(**at)).collect();
    if !timely.is_empty() {
        let names: Vec<String> =
            timely.iter().take(NAMES).map(|at| format!("{:?}", table.fields[**at].name)).collect();
        let more = if timely.len() > NAMES { " and others" } else { "" };
        notes.push(format!(
            "What depends on NOW() or TODAY() ({}{more}) is as Airtable gave it, up to {} s ago.",
            names.join(", "),
            since(context, listed)
        ));
    }
    let waiting = replica.to_fetch(base.schema().id, table.id);
    if waiting > 0 && fields.iter().any(|at| shown(&at)) {
        notes.push(format!("Computed fields of {waiting} records are out of date and being fetched."));
    }
    (!notes.is_empty()).then(|| notes.join(" "))
}

/// Which of these tables are still being copied, by name.
pub(crate) fn missing<'a>(context: &CallContext, tables: impl Iterator<Item = &'a TableView>) -> Vec<String> {
    let replica = context.call.replica();
    let is_missing = |view: &&TableView| !replica.is_ready(view.base().schema().id, view.schema().id);
    tables.filter(is_missing).map(|view| view.schema().name.clone()).collect()
}

/// What there is to say of tables that are still being copied.
pub(crate) fn still_copied(names: &[String]) -> Option<String> {
    let listed: Vec<String> = names.iter().take(NAMES).map(|name| format!("{name:?}")).collect();
    let more = match names.len().saturating_sub(NAMES) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let listed = listed.join(", ");
    (!names.is_empty())
        .then(|| format!("Still being copied from Airtable: {listed}{more}; see get_sync_status."))
}
