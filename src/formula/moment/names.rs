//! Names of months and weekdays: which case stands in a format, and how names are read.

use std::sync::OnceLock;

use serde::Deserialize;

use super::pattern::Pattern;

/// A list of names, perhaps with other cases for some formats.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Names {
    Same(Vec<String>),
    ByFormat { base: Vec<String>, cases: Vec<Case> },
}

#[derive(Debug, Deserialize)]
pub(super) struct Case {
    /// The pattern a format must hold,
    when: String,
    /// in front of this token, should one be named.
    before: Option<String>,
    names: Vec<String>,
}

impl Default for Names {
    fn default() -> Names {
        Names::Same(Vec::new())
    }
}

impl Names {
    /// The names to use inside a format.
    pub(super) fn inside(&self, format: &str) -> &[String] {
        match self {
            Names::Same(names) => names,
            Names::ByFormat { base, cases } => {
                cases.iter().find(|case| case.holds(format)).map_or(base, |case| &case.names)
            }
        }
    }

    pub(super) fn base(&self) -> &[String] {
        match self {
            Names::Same(names) | Names::ByFormat { base: names, .. } => names,
        }
    }
}

impl Case {
    fn holds(&self, format: &str) -> bool {
        let part = match &self.before {
            Some(token) => format.find(token.as_str()).and_then(|end| format.get(..end)),
            None => Some(format),
        };
        part.is_some_and(|part| Pattern::new(&self.when, false).is_match(part))
    }
}

/// How the names of one kind are read.
#[derive(Debug, Default, Deserialize)]
pub(super) struct ReadNames {
    /// The pattern that finds a name in a text; any word without it.
    find: Option<String>,
    /// The text must be a whole name. Otherwise it need only start like one.
    #[serde(default)]
    exact: bool,
    /// The patterns for each name; nothing where they follow from the names.
    each: Option<Vec<Option<String>>>,
    #[serde(skip)]
    found: OnceLock<Option<Pattern>>,
    #[serde(skip)]
    compiled: OnceLock<Vec<Pattern>>,
    #[serde(skip)]
    lowered: OnceLock<Vec<Vec<String>>>,
}

impl ReadNames {
    /// The pattern that finds a name; None for any word.
    pub(super) fn finder(&self) -> Option<&Pattern> {
        let build = || self.find.as_ref().map(|find| Pattern::new(find, true));
        self.found.get_or_init(build).as_ref()
    }

    /// Which name a text is. `lists` are the same names from long to short; `order` says which of
    /// them come first where whole names are compared.
    pub(super) fn which(&self, text: &str, lists: &[&Names], order: &[usize]) -> Option<usize> {
        if self.exact {
            let text = text.to_lowercase();
            let lower = |names: &&Names| names.base().iter().map(|name| name.to_lowercase()).collect();
            let lowered = self.lowered.get_or_init(|| lists.iter().map(lower).collect());
            let position = |at: &usize| lowered.get(*at)?.iter().position(|name| *name == text);
            return order.iter().find_map(position);
        }
        let patterns = self.compiled.get_or_init(|| match &self.each {
            Some(each) => {
                let own = |at: usize| each.get(at).and_then(Option::as_ref);
                let usual = prefixes(lists).into_iter().enumerate();
                usual.map(|(at, usual)| own(at).map_or(usual, |text| Pattern::new(text, true))).collect()
            }
            None => prefixes(lists),
        });
        patterns.iter().position(|pattern| pattern.is_match(text))
    }
}

/// Patterns for "starts with one of the forms". Moment drops the first dot of all the forms and
/// leaves the others, which then stand for any letter.
fn prefixes(lists: &[&Names]) -> Vec<Pattern> {
    let count = lists.first().map_or(0, |names| names.base().len());
    (0..count)
        .map(|at| {
            let forms = lists.iter().filter_map(|names| names.base().get(at));
            let source: Vec<String> = forms.map(|form| format!("^{form}")).collect();
            Pattern::new(&source.join("|").replacen('.', "", 1), true)
        })
        .collect()
}
