//! Eras: the years of a calendar counted from a start.

use std::sync::OnceLock;

use serde::Deserialize;

use super::civil::civil;
use super::pattern::Pattern;

#[derive(Debug, Default, Deserialize)]
pub(super) struct Eras {
    pub(super) list: Vec<Era>,
    find: String,
    /// The pattern of a year's ordinal, and the word in it for the first year.
    year: Option<String>,
    first: Option<String>,
    #[serde(skip)]
    finder: OnceLock<Pattern>,
    #[serde(skip)]
    year_finder: OnceLock<Option<Pattern>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Era {
    since: i64,
    /// None for an era without an end.
    until: Option<i64>,
    /// The years count backwards.
    back: bool,
    offset: i64,
    pub(super) name: String,
    pub(super) narrow: String,
    pub(super) abbr: String,
}

impl Eras {
    /// The era of a day, given as the instant at which it starts.
    pub(super) fn at(&self, day: i64) -> Option<&Era> {
        self.list.iter().find(|era| era.holds(day))
    }

    pub(super) fn finder(&self) -> &Pattern {
        self.finder.get_or_init(|| Pattern::new(&self.find, true))
    }

    pub(super) fn year_finder(&self) -> Option<&Pattern> {
        let build = || self.year.as_ref().map(|year| Pattern::new(year, false));
        self.year_finder.get_or_init(build).as_ref()
    }

    pub(super) fn is_first_year(&self, text: &str) -> bool {
        self.first.as_ref().is_some_and(|first| text.starts_with(first.as_str()))
    }

    pub(super) fn named(&self, text: &str) -> Option<&Era> {
        let text = text.to_uppercase();
        let is = |name: &str| name.to_uppercase() == text;
        self.list.iter().find(|era| is(&era.name) || is(&era.abbr) || is(&era.narrow))
    }
}

impl Era {
    fn holds(&self, day: i64) -> bool {
        if self.back {
            day <= self.since && self.until.is_none_or(|until| until <= day)
        } else {
            day >= self.since && self.until.is_none_or(|until| day <= until)
        }
    }

    fn direction(&self) -> i64 {
        if self.back { -1 } else { 1 }
    }

    fn first_year(&self) -> i64 {
        i64::from(civil(self.since).year)
    }

    /// The year of the era.
    pub(super) fn count(&self, year: i64) -> i64 {
        (year - self.first_year()) * self.direction() + self.offset
    }

    /// The calendar year of a year of the era.
    pub(super) fn year(&self, count: Option<i64>) -> i64 {
        let from_first = count.map_or(0, |count| count.saturating_sub(self.offset));
        self.first_year().saturating_add(from_first.saturating_mul(self.direction()))
    }
}
