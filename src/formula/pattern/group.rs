//! Groups and flags.

use super::translate::{Atom, Open, Scanned, Scanner, fault};
use regex::Regex;
use std::sync::LazyLock;

/// What other engines have after `(?` and RE2 has not.
const NOT_IN_RE2: &[(&str, &str)] = &[
    ("(?=", "look-ahead; match the text that follows too, and put what you want in a group"),
    ("(?!", "negative look-ahead; test with a second pattern, or list what may follow in [^...]"),
    ("(?<=", "look-behind; match the text before too, and put what you want in a group"),
    ("(?<!", "negative look-behind; test with a second pattern, or list what may precede in [^...]"),
    ("(?>", "atomic groups; use (?:...), which cannot backtrack at length in RE2"),
    ("(?P=", "back-references; compare the groups after matching"),
    ("(?P>", "recursion"),
    ("(?R", "recursion"),
    ("(?&", "recursion"),
    ("(?(", "conditions; use alternatives, a|b"),
    ("(?|", "branch reset groups; use (?:...)"),
    ("(?#", "comments in a pattern; leave it out"),
    ("(?'", "this way to name a group; use (?P<name>...)"),
    ("(?x", "the x flag; write the pattern without blanks and comments"),
];

impl Scanner<'_> {
    pub(super) fn open_group(&mut self) -> Scanned<()> {
        let begun = self.at;
        let rest = self.rest();
        let outer_flags = self.flags;
        if let Some((_, lacking)) = NOT_IN_RE2.iter().find(|(start, _)| rest.starts_with(start)) {
            return fault(begun, format!("RE2 does not have {lacking}"));
        }
        let captures = if self.eat("(?P<") || self.eat("(?<") {
            self.group_name(begun)?;
            true
        } else if self.eat("(?") {
            if !self.flags(begun)? {
                return Ok(());
            }
            false
        } else {
            self.at += 1;
            true
        };
        self.groups += usize::from(captures);
        let start = self.out.len();
        self.out.push_str(if captures { "(" } else { "(?:" });
        let outer = std::mem::take(&mut self.level);
        self.open.push(Open { at: begun, start, flags: outer_flags, outer });
        Ok(())
    }

    pub(super) fn close_group(&mut self) -> Scanned<()> {
        let Some(group) = self.open.pop() else {
            return fault(self.at, "this `)` has no matching `(`; write `\\)` for the character");
        };
        self.at += 1;
        self.out.push(')');
        self.flags = group.flags;
        let inner = std::mem::replace(&mut self.level, group.outer);
        let (depth, repeats) = (inner.depth + 1, inner.repeats.max(1));
        self.set_last(Atom { start: group.start, repeated: false, depth, repeats }, group.at)
    }

    /// Takes the name after `(?P<`. It is only checked: replacements know groups by number.
    fn group_name(&mut self, begun: usize) -> Scanned<()> {
        static NAME: LazyLock<Option<Regex>> =
            LazyLock::new(|| Regex::new(r"^[\p{L}\p{Nl}\p{Mn}\p{Mc}\p{Nd}\p{Pc}]+$").ok());
        let Some((name, _)) = self.rest().split_once('>') else {
            return fault(begun, "the group name has no closing `>`");
        };
        if !NAME.as_ref().is_some_and(|valid| valid.is_match(name)) {
            return fault(begun, format!("`{name}` is no group name: use letters, digits and `_`"));
        }
        self.at += name.len() + 1;
        Ok(())
    }

    /// Takes the flags after `(?`; true when they open a group.
    fn flags(&mut self, begun: usize) -> Scanned<bool> {
        let (mut value, mut wanted) = (true, false);
        loop {
            let c = self.next();
            let flags = &mut self.flags;
            let flag = match c {
                Some('i') => &mut flags.fold,
                Some('m') => &mut flags.lines,
                Some('s') => &mut flags.dot_all,
                Some('U') => &mut flags.swap,
                Some('-') if value => {
                    (value, wanted) = (false, true);
                    continue;
                }
                Some(end @ (':' | ')')) if !wanted => return Ok(end == ':'),
                _ => {
                    let seen = &self.text[begun..self.at];
                    return fault(begun, format!("RE2 does not have `{seen}`; the flags are i, m, s and U"));
                }
            };
            *flag = value;
            wanted = false;
        }
    }
}
