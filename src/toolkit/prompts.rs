//! Prompts as data: what they are called, what they ask for, and their text, read from
//! `prompts/mcp/<name>.md`.
//!
//! A file begins with TOML between two lines of `+++`; what follows is the text. In it
//! `{{name}}` stands for an argument, `{{#name}}…{{/name}}` is kept when the argument was given
//! and `{{^name}}…{{/name}}` when it was not.

use std::collections::BTreeMap;

use serde::Deserialize;

/// What an argument names, so that values can be offered and checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Completes {
    /// A base.
    Base,
    /// A table of the base that was given.
    Table,
    /// A field of the table.
    Field,
    /// A view of the table.
    View,
    /// A choice of the field.
    Choice,
}

/// One argument of a prompt.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Argument {
    /// Its name.
    pub name: String,
    /// For people: what to put in.
    pub description: String,
    /// True when the prompt makes no sense without it.
    #[serde(default)]
    pub required: bool,
    /// What it names; a text of any kind when absent.
    pub completes: Option<Completes>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    title: String,
    description: String,
    #[serde(default)]
    schema: bool,
    #[serde(default)]
    arguments: Vec<Argument>,
}

/// A piece of a prompt's text.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    /// The argument at this place.
    Value(usize),
    /// Kept when it is `given` that the argument at this place was given.
    When {
        argument: usize,
        given: bool,
        parts: Vec<Part>,
    },
}

/// A prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prompt {
    /// Its name, that of its file.
    pub name: String,
    /// For people.
    pub title: String,
    /// What it is good for.
    pub description: String,
    /// True when the schema of the base or table goes with it.
    pub schema: bool,
    /// What it asks for, in order.
    pub arguments: Vec<Argument>,
    parts: Vec<Part>,
}

/// A prompt's file cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("prompts/mcp/{name}.md: {reason}")]
pub struct Error {
    name: String,
    reason: String,
}

impl Prompt {
    /// Reads the file `name`.md.
    pub fn parse(name: &str, text: &str) -> Result<Self, Error> {
        let fault = |reason: String| Error { name: name.to_owned(), reason };
        let (head, body) = text
            .strip_prefix("+++\n")
            .and_then(|rest| rest.split_once("\n+++\n"))
            .ok_or_else(|| fault("it must begin with TOML between two lines of +++".into()))?;
        let head: Head = toml::from_str(head).map_err(|e| fault(e.to_string()))?;
        let mut names = std::collections::HashSet::new();
        if let Some(twice) = head.arguments.iter().find(|a| !names.insert(a.name.as_str())) {
            return Err(fault(format!("the argument {:?} is there twice", twice.name)));
        }
        for argument in &head.arguments {
            let base = head.arguments.iter().any(|a| a.completes == Some(Completes::Base));
            let table = head.arguments.iter().any(|a| a.completes == Some(Completes::Table));
            let field = head.arguments.iter().any(|a| a.completes == Some(Completes::Field));
            let reached = match argument.completes {
                None | Some(Completes::Base) => true,
                Some(Completes::Table) => base,
                Some(Completes::Field | Completes::View) => base && table,
                Some(Completes::Choice) => base && table && field,
            };
            if !reached {
                let reason = format!("what {:?} is a part of is no argument", argument.name);
                return Err(fault(reason));
            }
        }
        let mut reader = Reader { rest: body.trim(), arguments: &head.arguments };
        let parts = reader.parts(None).map_err(fault)?;
        Ok(Self {
            name: name.to_owned(),
            title: head.title,
            description: head.description,
            schema: head.schema,
            arguments: head.arguments,
            parts,
        })
    }

    /// The argument that names a `kind`.
    pub fn argument_for(&self, kind: Completes) -> Option<&Argument> {
        self.arguments.iter().find(|a| a.completes == Some(kind))
    }

    /// Its text, with these values by the arguments' names. They are put in as they are: make
    /// them safe first, with [`quoted`].
    pub fn render(&self, values: &BTreeMap<&str, String>) -> String {
        let mut out = String::with_capacity(2_048);
        self.push(&self.parts, values, &mut out);
        out
    }

    fn push(&self, parts: &[Part], values: &BTreeMap<&str, String>, out: &mut String) {
        let value = |at: usize| self.arguments.get(at).and_then(|a| values.get(a.name.as_str()));
        for part in parts {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Value(at) => out.push_str(value(*at).map_or("", String::as_str)),
                Part::When { argument, given, parts } => {
                    if value(*argument).is_some() == *given {
                        self.push(parts, values, out);
                    }
                }
            }
        }
    }
}

struct Reader<'a> {
    rest: &'a str,
    arguments: &'a [Argument],
}

impl Reader<'_> {
    /// Reads up to the end of the part kept for `inside`, or of the text.
    fn parts(&mut self, inside: Option<usize>) -> Result<Vec<Part>, String> {
        let mut parts = Vec::new();
        while let Some((before, after)) = self.rest.split_once("{{") {
            let (mark, rest) = after.split_once("}}").ok_or("a {{ is not closed")?;
            if !before.is_empty() {
                parts.push(Part::Text(before.to_owned()));
            }
            self.rest = rest;
            let name = mark.trim_start_matches(['#', '^', '/']);
            let argument = self
                .arguments
                .iter()
                .position(|a| a.name == name)
                .ok_or_else(|| format!("{{{{{mark}}}}} is about no argument"))?;
            match mark.as_bytes().first() {
                Some(b'#' | b'^') => {
                    let parts_inside = self.parts(Some(argument))?;
                    parts.push(Part::When { argument, given: mark.starts_with('#'), parts: parts_inside });
                }
                Some(b'/') if inside == Some(argument) => return Ok(parts),
                Some(b'/') => return Err(format!("{{{{{mark}}}}} closes nothing")),
                _ => parts.push(Part::Value(argument)),
            }
        }
        if let Some(at) = inside {
            return Err(format!("the part for {:?} is not closed", self.arguments[at].name));
        }
        if !self.rest.is_empty() {
            parts.push(Part::Text(std::mem::take(&mut self.rest).to_owned()));
        }
        Ok(parts)
    }
}

/// A caller's text as one quoted line: nothing in it can end the quotes, begin a line or hide.
pub fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            c if c.is_control() || crate::text::is_hidden(c) => {
                out.push_str(&format!("\\u{{{:X}}}", u32::from(c)));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "+++\ntitle = \"T\"\ndescription = \"D\"\n";

    fn parse(more: &str, body: &str) -> Result<Prompt, Error> {
        Prompt::parse("p", &format!("{HEAD}{more}+++\n{body}"))
    }

    const TWO: &str = "[[arguments]]\nname = \"base\"\ndescription = \"B\"\nrequired = true\n\
                       completes = \"base\"\n[[arguments]]\nname = \"goal\"\ndescription = \"G\"\n";

    #[test]
    fn parts_are_kept_by_what_was_given() {
        let prompt = parse(TWO, "In {{base}}{{#goal}}: {{goal}}{{/goal}}{{^goal}} look{{/goal}}.").unwrap();
        let with = BTreeMap::from([("base", "B".to_owned()), ("goal", "G".to_owned())]);
        assert_eq!(prompt.render(&with), "In B: G.");
        let without = BTreeMap::from([("base", "B".to_owned())]);
        assert_eq!(prompt.render(&without), "In B look.");
        // A value is no template.
        let sly = BTreeMap::from([("base", "{{goal}}".to_owned()), ("goal", "G".to_owned())]);
        assert_eq!(prompt.render(&sly), "In {{goal}}: G.");
    }

    #[test]
    fn files_that_do_not_fit_are_refused() {
        for (more, body, why) in [
            ("", "{{x}}", "is about no argument"),
            ("colour = 1\n", "", "unknown field"),
            (TWO, "{{#goal}}", "is not closed"),
            (TWO, "{{/goal}}", "closes nothing"),
            (TWO, "{{goal", "is not closed"),
            ("[[arguments]]\nname = \"t\"\ndescription = \"d\"\ncompletes = \"table\"\n", "", "a part of"),
        ] {
            let error = parse(more, body).unwrap_err().to_string();
            assert!(error.contains(why) && error.starts_with("prompts/mcp/p.md"), "{error}");
        }
        assert!(Prompt::parse("p", "no head").is_err());
    }

    #[test]
    fn a_quoted_text_stays_on_its_line() {
        assert_eq!(quoted("a\"b\\c\nd\u{202e}"), "\"a\\\"b\\\\c\\nd\\u{202E}\"");
    }
}
