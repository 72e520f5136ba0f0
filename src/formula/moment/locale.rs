//! Locales, read from the embedded data that make/locales.mjs writes.

use std::collections::BTreeMap;
use std::sync::{LazyLock, OnceLock};

use serde::Deserialize;

use super::era::Eras;
use super::names::{Names, ReadNames};
use super::number::Counted;
use super::pattern::Pattern;

const DATA: &str = include_str!("locales.json");

/// The names, orders and habits of a language or region.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Locale {
    #[serde(skip)]
    code: String,
    pub(super) months: Names,
    pub(super) months_short: Names,
    pub(super) weekdays: Names,
    pub(super) weekdays_short: Names,
    pub(super) weekdays_min: Names,
    dates: BTreeMap<String, String>,
    /// The first day of the week (0 is Sunday), and the number that says which week is the first.
    pub(super) week: (u8, u8),
    pub(super) meridiem: Meridiem,
    pub(super) read_meridiem: ReadMeridiem,
    pub(super) ordinal: Ordinal,
    read_ordinal: String,
    pub(super) relative: BTreeMap<String, Relative>,
    pub(super) read_months: ReadNames,
    pub(super) read_weekdays: ReadNames,
    /// Letters exchanged in what is written (only ASCII is), and in what is read.
    #[serde(default)]
    write: BTreeMap<char, String>,
    #[serde(default)]
    read: BTreeMap<char, String>,
    /// `write` by the letter's number.
    #[serde(skip)]
    written: Vec<Option<String>>,
    eras: Option<Eras>,
    #[serde(skip)]
    ordinal_finder: OnceLock<Pattern>,
}

/// The names of the times of day, each with the minute of the day it starts at.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Meridiem {
    upper: Vec<(u32, String)>,
    /// Where lower case differs.
    lower: Option<Vec<(u32, String)>>,
}

impl Meridiem {
    pub(super) fn list(&self, lower: bool) -> &[(u32, String)] {
        self.lower.as_ref().filter(|_| lower).unwrap_or(&self.upper)
    }
}

/// How the names of the times of day are read.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ReadMeridiem {
    pattern: String,
    #[serde(default)]
    fold: bool,
    /// The names for the afternoon, where there are two halves of the day.
    #[serde(default)]
    pm: Vec<String>,
    #[serde(default)]
    fold_pm: bool,
    /// What each name adds to the hour, where there are more parts of the day.
    hours: Option<Vec<HourRule>>,
    #[serde(skip)]
    finder: OnceLock<Pattern>,
}

#[derive(Debug, Deserialize)]
struct HourRule {
    word: String,
    /// From this hour on, what is added; None drops the hour.
    add: Vec<(i64, Option<i64>)>,
    /// Whether the name may stand without an hour.
    alone: Option<bool>,
}

impl ReadMeridiem {
    pub(super) fn finder(&self) -> &Pattern {
        self.finder.get_or_init(|| Pattern::new(&self.pattern, self.fold))
    }

    /// The hour of the day for an hour with a name beside it. The outer None is a date that cannot
    /// be, the inner one an hour that is not known.
    pub(super) fn hour(&self, hour: Option<i64>, word: &str) -> Option<Option<i64>> {
        let Some(rules) = &self.hours else {
            let pm = self.is_pm(word);
            return Some(hour.map(|hour| match hour {
                ..12 if pm => hour + 12,
                12 if !pm => 0,
                _ => hour,
            }));
        };
        let Some(rule) = rules.iter().find(|rule| rule.word == word) else { return Some(hour) };
        let Some(hour) = hour else {
            return if rule.alone == Some(false) { None } else { Some(None) };
        };
        let change = rule.add.iter().rev().find(|(from, _)| *from <= hour);
        Some(change.and_then(|(_, by)| *by).map(|by| hour + by))
    }

    fn is_pm(&self, word: &str) -> bool {
        if self.fold_pm {
            let word = word.to_lowercase();
            self.pm.contains(&word)
        } else {
            self.pm.iter().any(|pm| pm == word)
        }
    }
}

/// Ordinals, by what is counted.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Ordinal {
    usual: Counted,
    #[serde(default)]
    by: BTreeMap<String, Counted>,
}

impl Ordinal {
    /// The rule for what a token counts.
    pub(super) fn of(&self, token: &str) -> &Counted {
        self.by.get(token).unwrap_or(&self.usual)
    }
}

/// A relative text, perhaps different for the past and the future.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Relative {
    Directed { past: Counted, future: Counted },
    Same(Counted),
}

impl Relative {
    pub(super) fn toward(&self, future: bool) -> &Counted {
        match self {
            Relative::Same(text) => text,
            Relative::Directed { future: text, .. } if future => text,
            Relative::Directed { past, .. } => past,
        }
    }
}

static LOCALES: LazyLock<BTreeMap<String, Locale>> = LazyLock::new(|| {
    // The data is ours and tested; should it ever be damaged, there are no locales.
    let mut locales: BTreeMap<String, Locale> = serde_json::from_str(DATA).unwrap_or_default();
    for (code, locale) in &mut locales {
        locale.code.clone_from(code);
        if !locale.write.is_empty() {
            let other = |b: u8| locale.write.get(&char::from(b)).cloned();
            locale.written = (0..128).map(other).collect();
        }
    }
    locales
});

static EMPTY: LazyLock<Locale> = LazyLock::new(Locale::default);
static NO_ERAS: LazyLock<Eras> = LazyLock::new(Eras::default);

impl Locale {
    /// A locale by its code, in any letter case, with `_` for `-` allowed.
    pub fn named(code: &str) -> Option<&'static Locale> {
        LOCALES.get(code.to_ascii_lowercase().replace('_', "-").as_str())
    }

    pub fn english() -> &'static Locale {
        LOCALES.get("en").unwrap_or(&EMPTY)
    }

    /// All codes.
    pub fn codes() -> impl Iterator<Item = &'static str> {
        LOCALES.keys().map(String::as_str)
    }

    pub fn code(&self) -> &str {
        &self.code
    }

    /// The long date format of a name such as `LL`.
    pub(super) fn long_date(&self, name: &str) -> Option<&str> {
        self.dates.get(name).map(String::as_str)
    }

    pub(super) fn eras(&self) -> &Eras {
        self.eras.as_ref().or_else(|| Locale::english().eras.as_ref()).unwrap_or(&NO_ERAS)
    }

    /// Finds an ordinal of the day of the month, or a plain number.
    pub(super) fn ordinal_finder(&self) -> &Pattern {
        let build = || Pattern::new(&format!("{}|\\d{{1,2}}", self.read_ordinal), false);
        self.ordinal_finder.get_or_init(build)
    }

    /// Exchanges the locale's own letters in what stands in `out` from `from` on.
    pub(super) fn exchange_written(&self, from: usize, out: &mut String) {
        let tail = out.get(from..).unwrap_or("");
        let other = |b: u8| self.written.get(usize::from(b)).and_then(Option::as_deref);
        if self.written.is_empty() || !tail.bytes().any(|b| other(b).is_some()) {
            return;
        }
        let tail = tail.to_owned();
        out.truncate(from);
        let mut copied = 0;
        for (at, b) in tail.bytes().enumerate() {
            if let Some(other) = other(b) {
                out.push_str(tail.get(copied..at).unwrap_or(""));
                out.push_str(other);
                copied = at + 1;
            }
        }
        out.push_str(tail.get(copied..).unwrap_or(""));
    }

    /// The text with the locale's own digits and marks as plain ones; None if there are none.
    pub(super) fn plain(&self, text: &str) -> Option<String> {
        if self.read.is_empty() {
            return None;
        }
        let mut out = String::with_capacity(text.len());
        for c in text.chars() {
            match self.read.get(&c) {
                Some(other) => out.push_str(other),
                None => out.push(c),
            }
        }
        Some(out)
    }
}
