//! A formula in plain words, as a tree.

use serde::Serialize;

use crate::check::Facts;
use crate::function::Function;
use crate::kinds::Kinds;
use crate::problem::Span;
use crate::syntax::{Kind, NodeId, Operator, Tree};

/// One part of a formula in words, and the parts it is made of.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Explained {
    /// What the part does, such as `if`, or `then: the text "yes"`.
    pub says: String,
    /// Where it stands.
    pub span: Span,
    /// Its parts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<Explained>,
}

impl Explained {
    /// The tree as lines, two spaces of indent a level; at most `limit` lines.
    pub fn lines(&self, limit: usize) -> String {
        let mut lines = Vec::new();
        self.push_lines(0, limit, &mut lines);
        if lines.len() >= limit {
            lines.push("…".to_owned());
        }
        lines.join("\n")
    }

    fn push_lines(&self, depth: usize, limit: usize, lines: &mut Vec<String>) {
        if lines.len() < limit {
            lines.push(format!("{}{}", "  ".repeat(depth), self.says));
            self.parts.iter().for_each(|part| part.push_lines(depth + 1, limit, lines));
        }
    }
}

/// A formula in words.
pub fn explain(tree: &Tree, facts: &Facts) -> Explained {
    Explainer { tree, facts }.part("", tree.root)
}

struct Explainer<'t> {
    tree: &'t Tree,
    facts: &'t Facts,
}

impl Explainer<'_> {
    fn part(&self, role: &str, id: NodeId) -> Explained {
        let node = self.tree.node(id);
        let (words, parts) = match &node.kind {
            Kind::Number(number) => (format!("the number {number}"), Vec::new()),
            Kind::Text(text) if text.is_empty() => ("the empty text".to_owned(), Vec::new()),
            Kind::Text(text) => {
                (format!("the text {:?}", text.chars().take(80).collect::<String>()), Vec::new())
            }
            Kind::Field(name) => {
                let kinds = self.facts.kind(id).without(Kinds::BLANK);
                let words = if kinds == Kinds::ANY.without(Kinds::BLANK) {
                    String::new()
                } else {
                    format!(" ({})", kinds.words())
                };
                (format!("the field {name:?}{words}"), Vec::new())
            }
            Kind::Missing => ("something missing".to_owned(), Vec::new()),
            Kind::Negate(inner) => ("the negative of".to_owned(), vec![self.part("", *inner)]),
            Kind::Chain(first, rest) => self.chain(*first, rest),
            Kind::Call(function, args) => self.call(*function, args),
            Kind::UnknownCall(name, args) => (
                format!("{name}, which does not exist"),
                args.iter().map(|arg| self.part("", *arg)).collect(),
            ),
        };
        let says = if role.is_empty() { words } else { format!("{role}: {words}") };
        Explained { says, span: node.span, parts }
    }

    fn chain(&self, first: NodeId, rest: &[(Operator, NodeId)]) -> (String, Vec<Explained>) {
        let (words, roles): (&str, fn(Operator) -> &'static str) =
            match rest.first().map(|(operator, _)| *operator) {
                Some(Operator::Join) => ("these, joined to one text", |_| ""),
                Some(operator) if operator.compares() => ("whether this holds", |operator| match operator {
                    Operator::Equal => "is equal to",
                    Operator::NotEqual => "is not equal to",
                    Operator::Less => "is less than",
                    Operator::LessOrEqual => "is at most",
                    Operator::Greater => "is greater than",
                    _ => "is at least",
                }),
                _ => ("the result of", |operator| match operator {
                    Operator::Add => "plus",
                    Operator::Subtract => "minus",
                    Operator::Multiply => "times",
                    _ => "divided by",
                }),
            };
        let parts = std::iter::once(self.part("", first));
        let parts = parts.chain(rest.iter().map(|(operator, id)| self.part(roles(*operator), *id)));
        (words.to_owned(), parts.collect())
    }

    fn call(&self, function: Function, args: &[NodeId]) -> (String, Vec<Explained>) {
        let signature = function.signature();
        match function {
            Function::If => {
                let roles = ["if", "then", "otherwise"];
                let mut parts: Vec<Explained> =
                    roles.iter().zip(args).map(|(role, arg)| self.part(role, *arg)).collect();
                if args.len() == 2 {
                    parts.push(Explained {
                        says: "otherwise: nothing".into(),
                        span: Span::default(),
                        parts: Vec::new(),
                    });
                }
                ("a choice".to_owned(), parts)
            }
            Function::Switch => {
                let (subject, rest) =
                    args.split_first().map_or((None, args), |(first, rest)| (Some(*first), rest));
                let mut parts: Vec<Explained> =
                    subject.map(|id| self.part("the value", id)).into_iter().collect();
                for pair in rest.chunks(2) {
                    match pair {
                        [pattern, result] => {
                            let mut case = self.part("when it is", *pattern);
                            case.parts.push(self.part("then", *result));
                            parts.push(case);
                        }
                        [lone] => parts.push(self.part("otherwise", *lone)),
                        _ => {}
                    }
                }
                ("the result for the first value that matches".to_owned(), parts)
            }
            _ => {
                let parts = args.iter().enumerate().map(|(at, arg)| {
                    let name = signature.param(at).map_or("", |param| param.name);
                    self.part(if args.len() > 1 { name } else { "" }, *arg)
                });
                (format!("{}: {}", signature.name, signature.meaning), parts.collect())
            }
        }
    }
}
