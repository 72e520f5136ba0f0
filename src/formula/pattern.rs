//! Regular expressions with RE2's syntax and semantics, run by the `regex` crate.
//!
//! The two engines agree on what a match is (leftmost-first, linear time), but not on how
//! a pattern is written: `\d` is Unicode in one and ASCII in the other, `[a&&b]` is an
//! intersection in one and four plain characters in the other, a lone `{` is an error in one and
//! a literal in the other, and each has escapes and flags that the other lacks. So `translate`
//! scans the RE2 text and writes it anew in the small part of the `regex` syntax that
//! cannot be misread: every literal that is no letter or digit becomes `\x{..}`, and every flag is
//! written on the item it applies to. What RE2 refuses is refused there, with its place.

mod class;
mod escape;
mod group;
mod translate;

use regex::{Regex, RegexBuilder};
use std::fmt;
use std::sync::Arc;

/// Longest pattern text in bytes.
const MAX_TEXT: usize = 10_000;
/// Bytes of a compiled program. 2 MB are enough for `.{1000}` or `\pL{45}`, and bound the time to
/// compile at some 25 ms, or 80 ms with wide classes under (?i).
const PROGRAM_LIMIT: usize = 2 << 20;
/// Bytes of the cache of each searching thread.
const CACHE_LIMIT: usize = 4 << 20;
/// Deepest nesting of what `translate` writes: up to four levels for one of RE2's.
const NEST_LIMIT: u32 = 4 * translate::MAX_DEPTH + 10;

/// A compiled pattern. Clones share the program.
#[derive(Clone)]
pub struct Pattern {
    inner: Arc<Inner>,
}

struct Inner {
    regex: Regex,
    /// RE2's count of groups; the program may have dropped one, as in `(a){0}`.
    groups: usize,
}

/// Why a pattern text was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatternFault {
    pub message: String,
    /// Byte offset in the pattern text.
    pub at: usize,
}

impl fmt::Display for PatternFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (at byte {})", self.message, self.at)
    }
}

impl std::error::Error for PatternFault {}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pattern").field(&self.inner.regex.as_str()).finish()
    }
}

impl Pattern {
    /// Compiles RE2 syntax: UTF-8, unanchored, case-sensitive.
    pub fn new(text: &str) -> Result<Pattern, PatternFault> {
        let fault = |message: String| PatternFault { message, at: 0 };
        if text.len() > MAX_TEXT {
            let length = text.len();
            return Err(fault(format!("the pattern is {length} bytes long; at most {MAX_TEXT} are allowed")));
        }
        let (translated, groups) = translate::translate(text)?;
        let built = RegexBuilder::new(&translated)
            .size_limit(PROGRAM_LIMIT)
            .dfa_size_limit(CACHE_LIMIT)
            .nest_limit(NEST_LIMIT)
            .build();
        match built {
            Ok(regex) => Ok(Pattern { inner: Arc::new(Inner { regex, groups }) }),
            Err(regex::Error::CompiledTooBig(_)) => Err(fault(format!(
                "the compiled pattern would pass {} MB; \
                 use smaller repetition counts or fewer Unicode classes",
                PROGRAM_LIMIT >> 20
            ))),
            // Not expected: `translate` writes only what the crate takes.
            Err(_) => Err(fault("the pattern cannot be compiled".to_string())),
        }
    }

    /// Whether the pattern matches anywhere in `text`.
    pub fn is_match(&self, text: &str) -> bool {
        self.inner.regex.is_match(text)
    }

    /// The leftmost match; of those starting there, the one a backtracking engine would prefer.
    pub fn find<'t>(&self, text: &'t str) -> Option<&'t str> {
        self.inner.regex.find(text).map(|found| found.as_str())
    }

    /// Replaces all matches and appends the result to `out`. In `replacement`, `$0` is the match,
    /// `$1` to `$9` are groups (empty when the group took no part), and every other `$` is
    /// literal, also before the number of a group that the pattern does not have.
    ///
    /// Returns false, with `out` as it was, when `out` would pass `limit` bytes.
    pub fn replace_all(&self, text: &str, replacement: &str, out: &mut String, limit: usize) -> bool {
        let before = out.len();
        let done = self.replace_into(text, replacement, out, limit).is_some();
        if !done {
            out.truncate(before);
        }
        done
    }

    fn replace_into(&self, text: &str, replacement: &str, out: &mut String, limit: usize) -> Option<()> {
        let mut append = |piece: &str| {
            if piece.len() > limit.checked_sub(out.len())? {
                return None;
            }
            out.push_str(piece);
            Some(())
        };
        let regex = &self.inner.regex;
        let parts = parts(replacement, self.inner.groups);
        let needs_groups = parts.iter().any(|part| matches!(part, Part::Group(1..)));
        let mut places = regex.capture_locations();
        // `at` is where to search, `copied` how much of `text` is in `out`. RE2 allows no empty
        // match right after a match, so that "b*" over "abc" gives "-a-c-".
        let (mut at, mut copied, mut last_end) = (0, 0, None);
        while at <= text.len() {
            // Groups cost more than the span alone, so they are looked for only when used.
            let found = match needs_groups {
                true => regex.captures_read_at(&mut places, text, at),
                false => regex.find_at(text, at),
            };
            let Some(found) = found else { break };
            if found.is_empty() && Some(found.end()) == last_end {
                at += text[at..].chars().next().map_or(1, char::len_utf8);
                continue;
            }
            append(&text[copied..found.start()])?;
            for part in &parts {
                append(match part {
                    Part::Text(piece) => piece,
                    Part::Group(0) => found.as_str(),
                    Part::Group(n) => places.get(*n).map_or("", |(start, end)| &text[start..end]),
                })?;
            }
            at = found.end();
            copied = at;
            last_end = Some(at);
        }
        append(&text[copied..])
    }
}

/// A piece of a replacement text.
enum Part<'r> {
    Text(&'r str),
    Group(usize),
}

fn parts(replacement: &str, groups: usize) -> Vec<Part<'_>> {
    let bytes = replacement.as_bytes();
    let mut parts = Vec::new();
    let (mut from, mut at) = (0, 0);
    while at < bytes.len() {
        if let (b'$', Some(digit @ b'0'..=b'9')) = (bytes[at], bytes.get(at + 1)) {
            let group = usize::from(digit - b'0');
            if group <= groups {
                parts.push(Part::Text(&replacement[from..at]));
                parts.push(Part::Group(group));
                from = at + 2;
            }
            at += 1;
        }
        at += 1;
    }
    parts.push(Part::Text(&replacement[from..]));
    parts
}

#[cfg(test)]
mod tests;
