//! The written language: text to tokens to a tree, and back.

mod parse;
mod print;
mod token;
pub mod tree;

pub use parse::parse;
pub use print::{field_name, pretty, print, quoted};
pub use tree::{Kind, Node, NodeId, Operator, Tree};

/// Longest formula, in bytes. Far above anything Airtable saves, far below what could stall.
pub const MAX_TEXT: usize = 100_000;
/// Deepest nesting of parentheses and calls.
pub const MAX_DEPTH: usize = 400;
/// Most problems reported for one formula.
pub const MAX_PROBLEMS: usize = 20;
