//! A tree to text: on one line, or laid out.

use super::tree::{Kind, NodeId, Tree};
use crate::dialect;

/// Longest line of a laid-out formula.
const WIDTH: usize = 88;

/// The formula on one line, with the parentheses it needs and no others.
pub fn print(tree: &Tree) -> String {
    let mut out = String::new();
    write(tree, tree.root, 0, &mut out);
    out
}

/// The formula laid out: what does not fit a line gets an argument a line.
pub fn pretty(tree: &Tree) -> String {
    let mut out = String::new();
    lay_out(tree, tree.root, 0, 0, &mut out);
    out
}

/// A text as it is written in a formula: the one escaper.
pub fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// A field's name as it is written in a formula.
pub fn field_name(name: &str) -> String {
    format!("{{{}}}", name.replace('\\', "\\\\").replace('}', "\\}"))
}

fn leaf(tree: &Tree, id: NodeId) -> Option<String> {
    Some(match &tree.node(id).kind {
        // Display never uses an exponent, which the language does not have.
        Kind::Number(number) => number.to_string(),
        Kind::Text(text) => quoted(text),
        Kind::Field(name) => field_name(name),
        Kind::Missing => String::new(),
        _ => return None,
    })
}

/// The precedence of what stands at `id`; higher binds tighter.
fn level(tree: &Tree, id: NodeId) -> u8 {
    match &tree.node(id).kind {
        Kind::Chain(_, rest) => rest.first().map_or(u8::MAX, |(operator, _)| dialect::precedence(*operator)),
        Kind::Negate(_) => dialect::NEGATION,
        _ => u8::MAX,
    }
}

fn name_and_args(tree: &Tree, id: NodeId) -> Option<(String, &[NodeId])> {
    match &tree.node(id).kind {
        Kind::Call(function, args) => Some((function.signature().name.to_owned(), args)),
        Kind::UnknownCall(name, args) => Some((name.clone(), args)),
        _ => None,
    }
}

fn write(tree: &Tree, id: NodeId, least: u8, out: &mut String) {
    let wrapped = level(tree, id) < least;
    if wrapped {
        out.push('(');
    }
    if let Some(text) = leaf(tree, id) {
        out.push_str(&text);
    } else if let Some((name, args)) = name_and_args(tree, id) {
        out.push_str(&name);
        out.push('(');
        for (n, arg) in args.iter().enumerate() {
            out.push_str(if n > 0 { ", " } else { "" });
            write(tree, *arg, 0, out);
        }
        out.push(')');
    } else if let Kind::Negate(inner) = &tree.node(id).kind {
        out.push('-');
        write(tree, *inner, dialect::NEGATION, out);
    } else if let Kind::Chain(first, rest) = &tree.node(id).kind {
        let level = level(tree, id);
        write(tree, *first, level + 1, out);
        for (operator, operand) in rest {
            out.push(' ');
            out.push_str(operator.sign());
            out.push(' ');
            write(tree, *operand, level + 1, out);
        }
    }
    if wrapped {
        out.push(')');
    }
}

fn lay_out(tree: &Tree, id: NodeId, least: u8, indent: usize, out: &mut String) {
    let line_start = out.rfind('\n').map_or(0, |at| at + 1);
    let column = out[line_start..].chars().count();
    let mut flat = String::new();
    write(tree, id, least, &mut flat);
    if column + flat.chars().count() <= WIDTH && !flat.contains('\n') {
        out.push_str(&flat);
        return;
    }
    let wrapped = level(tree, id) < least;
    if wrapped {
        out.push('(');
    }
    let new_line = |indent: usize, out: &mut String| {
        out.push('\n');
        out.extend(std::iter::repeat_n(' ', indent * 2));
    };
    if let Some((name, args)) = name_and_args(tree, id) {
        out.push_str(&name);
        out.push('(');
        for (n, arg) in args.iter().enumerate() {
            new_line(indent + 1, out);
            lay_out(tree, *arg, 0, indent + 1, out);
            if n + 1 < args.len() {
                out.push(',');
            }
        }
        new_line(indent, out);
        out.push(')');
    } else if let Kind::Chain(first, rest) = &tree.node(id).kind {
        let level = level(tree, id);
        lay_out(tree, *first, level + 1, indent, out);
        for (operator, operand) in rest {
            new_line(indent, out);
            out.push_str(operator.sign());
            out.push(' ');
            lay_out(tree, *operand, level + 1, indent, out);
        }
    } else if let Kind::Negate(inner) = &tree.node(id).kind {
        out.push('-');
        lay_out(tree, *inner, dialect::NEGATION, indent, out);
    } else {
        write(tree, id, 0, out);
    }
    if wrapped {
        out.push(')');
    }
}
