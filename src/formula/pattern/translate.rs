//! Writes an RE2 pattern in the syntax of the `regex` crate.

use super::PatternFault;

/// A class without characters.
pub(super) const NONE: &str = "[0&&1]";

/// Deepest nesting of groups and stacked repetitions. The compiler behind is recursive: a level
/// takes up to 5 KB of stack, and 40 KB in a debug build, where test threads have 2 MB.
pub(super) const MAX_DEPTH: u32 = 32;
/// RE2's bound on a repetition count, also on the product of nested ones.
const MAX_REPEAT: u32 = 1000;
/// Characters that (?i) may go through in classes; the crate visits each one, at some 5 ns.
const MAX_FOLDED: u32 = 20_000_000;

pub(super) type Scanned<T> = Result<T, PatternFault>;

pub(super) fn fault<T>(at: usize, message: impl Into<String>) -> Scanned<T> {
    Err(PatternFault { message: message.into(), at })
}

/// The pattern in the `regex` crate's syntax, and its number of groups.
pub(super) fn translate(text: &str) -> Scanned<(String, usize)> {
    let mut scanner = Scanner {
        text,
        at: 0,
        out: String::with_capacity(text.len() * 2),
        flags: Flags::default(),
        open: Vec::new(),
        level: Level::default(),
        groups: 0,
        folded: 0,
        operator: None,
    };
    while let Some(c) = scanner.peek() {
        scanner.item(c)?;
    }
    match scanner.open.last() {
        Some(group) => fault(group.at, "this `(` has no matching `)`"),
        None => Ok((scanner.out, scanner.groups)),
    }
}

pub(super) struct Scanner<'p> {
    pub(super) text: &'p str,
    pub(super) at: usize,
    pub(super) out: String,
    pub(super) flags: Flags,
    pub(super) open: Vec<Open>,
    pub(super) level: Level,
    pub(super) groups: usize,
    /// The work that (?i) has made so far, in characters.
    pub(super) folded: u32,
    /// Where the repetition operator right before `at` starts.
    pub(super) operator: Option<usize>,
}

#[derive(Clone, Copy, Default)]
pub(super) struct Flags {
    /// i
    pub(super) fold: bool,
    /// m
    pub(super) lines: bool,
    /// s
    pub(super) dot_all: bool,
    /// U
    pub(super) swap: bool,
}

/// An open group, with what to go back to at its end.
pub(super) struct Open {
    /// Where it starts in the pattern and in the output.
    pub(super) at: usize,
    pub(super) start: usize,
    pub(super) flags: Flags,
    pub(super) outer: Level,
}

/// What has been written between one pair of parentheses.
#[derive(Default)]
pub(super) struct Level {
    /// What a repetition would apply to.
    pub(super) last: Option<Atom>,
    pub(super) depth: u32,
    pub(super) repeats: u32,
}

#[derive(Clone, Copy)]
pub(super) struct Atom {
    /// Where it starts in the output.
    pub(super) start: usize,
    pub(super) repeated: bool,
    pub(super) depth: u32,
    /// The product of the nested repetition counts in it, at most.
    pub(super) repeats: u32,
}

impl<'p> Scanner<'p> {
    pub(super) fn rest(&self) -> &'p str {
        &self.text[self.at..]
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    pub(super) fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        Some(c)
    }

    pub(super) fn eat(&mut self, wanted: &str) -> bool {
        let found = self.rest().starts_with(wanted);
        if found {
            self.at += wanted.len();
        }
        found
    }

    /// One item at `c`, the next character.
    fn item(&mut self, c: char) -> Scanned<()> {
        let begun = self.at;
        let operator = self.operator.take();
        match c {
            '(' => return self.open_group(),
            ')' => return self.close_group(),
            '[' => return self.class(),
            '\\' => return self.escape(),
            '*' => return self.repeat(1, "*", 1, operator),
            '+' => return self.repeat(1, "+", 1, operator),
            '?' => return self.repeat(1, "?", 1, operator),
            '{' => {
                if let Some((length, min, max)) = counts(self.rest()) {
                    let most = max.unwrap_or(min);
                    if min > MAX_REPEAT || most > MAX_REPEAT {
                        return fault(begun, format!("repetition counts go up to {MAX_REPEAT}"));
                    }
                    if most < min {
                        return fault(begun, "the repetition counts are in the wrong order");
                    }
                    let max = max.map_or(String::new(), |max| max.to_string());
                    return self.repeat(length, &format!("{{{min},{max}}}"), most.max(1), operator);
                }
            }
            _ => {}
        }
        self.at += c.len_utf8();
        match c {
            '|' => {
                self.out.push('|');
                self.level.last = None;
                Ok(())
            }
            '^' => self.atom(if self.flags.lines { "(?m:^)" } else { r"\A" }),
            '$' => self.atom(if self.flags.lines { "(?m:$)" } else { r"\z" }),
            '.' => self.atom(if self.flags.dot_all { "(?s:.)" } else { "." }),
            _ => self.literal(u32::from(c)),
        }
    }

    pub(super) fn atom(&mut self, written: &str) -> Scanned<()> {
        let start = self.out.len();
        self.out.push_str(written);
        self.set_last(Atom { start, repeated: false, depth: 1, repeats: 1 }, self.at)
    }

    pub(super) fn set_last(&mut self, atom: Atom, at: usize) -> Scanned<()> {
        if atom.depth > MAX_DEPTH {
            return fault(at, format!("groups nest more than {MAX_DEPTH} deep"));
        }
        self.level.depth = self.level.depth.max(atom.depth);
        self.level.repeats = self.level.repeats.max(atom.repeats);
        self.level.last = Some(atom);
        Ok(())
    }

    fn literal(&mut self, code: u32) -> Scanned<()> {
        let Some(c) = char::from_u32(code) else {
            // A surrogate, which RE2 takes and UTF-8 text never has.
            return self.atom(NONE);
        };
        let cased = c.is_ascii_alphabetic() || !c.is_ascii();
        match self.flags.fold && cased {
            true => self.atom(&format!("(?i:{c})")),
            false => self.atom(&plain(c)),
        }
    }

    pub(super) fn set(&mut self, bracketed: &str) -> Scanned<()> {
        match self.flags.fold {
            true => self.atom(&format!("(?i:{bracketed})")),
            false => self.atom(bracketed),
        }
    }

    pub(super) fn count_folded(&mut self, characters: u32, at: usize) -> Scanned<()> {
        if self.flags.fold {
            self.folded += characters;
        }
        match self.folded <= MAX_FOLDED {
            true => Ok(()),
            false => fault(at, "too many wide character classes under (?i)"),
        }
    }

    /// The operator at `at`, `length` bytes long. `most` is its count for the bound on nested
    /// counts, and `before` the operator right before it.
    fn repeat(&mut self, length: usize, written: &str, most: u32, before: Option<usize>) -> Scanned<()> {
        let begun = self.at;
        self.at += length;
        let lazy = self.eat("?");
        if let Some(before) = before {
            let whole = &self.text[before..self.at];
            let hint = match written {
                "+" => "; RE2 does not have possessive repetitions, use one operator",
                _ => "; put the inner repetition in (?:...)",
            };
            return fault(before, format!("bad repetition operator `{whole}`{hint}"));
        }
        let operator = &self.text[begun..self.at];
        let Some(mut last) = self.level.last else {
            return fault(begun, format!("there is nothing for `{operator}` to repeat"));
        };
        last.repeats *= most;
        if most >= 2 && last.repeats > MAX_REPEAT {
            return fault(begun, format!("nested repetition counts multiply to over {MAX_REPEAT}"));
        }
        // Flags may stand between two operators, as in `a*(?i)*`, which RE2 takes.
        if last.repeated {
            self.out.insert_str(last.start, "(?:");
            self.out.push(')');
            last.depth += 1;
        }
        self.out.push_str(written);
        if lazy != self.flags.swap {
            self.out.push('?');
        }
        last.repeated = true;
        self.operator = Some(begun);
        self.set_last(last, begun)
    }

    /// An escape outside of a class.
    fn escape(&mut self) -> Scanned<()> {
        for (text, written) in [(r"\b", r"(?-u:\b)"), (r"\B", r"(?-u:\B)"), (r"\A", r"\A"), (r"\z", r"\z")] {
            if self.eat(text) {
                return self.atom(written);
            }
        }
        if self.eat(r"\Q") {
            while !self.eat(r"\E")
                && let Some(c) = self.next()
            {
                self.literal(u32::from(c))?;
            }
            return Ok(());
        }
        if let Some(set) = self.set_escape()? {
            return self.set(&set.bracketed());
        }
        let code = self.escaped_char()?;
        self.literal(code)
    }
}

/// `c` so that it stands for itself anywhere in the crate's syntax.
pub(super) fn plain(c: char) -> String {
    match c.is_ascii_alphanumeric() || !c.is_ascii() {
        true => c.to_string(),
        false => format!(r"\x{:02X}", u32::from(c)),
    }
}

/// The length and the counts of a `{2}`, `{2,}` or `{2,3}` at the start of `rest`; every other
/// `{` is a literal in RE2, also one with leading zeros or over nine digits.
fn counts(rest: &str) -> Option<(usize, u32, Option<u32>)> {
    let end = rest.find('}')?;
    let count = |digits: &str| {
        let sound = digits.bytes().all(|b| b.is_ascii_digit())
            && digits.len() < 10
            && (digits.len() == 1 || !digits.starts_with('0'));
        digits.parse::<u32>().ok().filter(|_| sound)
    };
    let inner = &rest[1..end];
    let (min, max) = match inner.split_once(',') {
        None => (count(inner)?, Some(count(inner)?)),
        Some((min, "")) => (count(min)?, None),
        Some((min, max)) => (count(min)?, Some(count(max)?)),
    };
    Some((end + 1, min, max))
}
