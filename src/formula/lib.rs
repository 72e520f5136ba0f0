//! Airtable's formula language: text to tree, tree to program, program to values.
//!
//! Pure: no files, no network, no clock (the caller says what time it is). Where Airtable's
//! behaviour is not documented, [`dialect`] holds what is assumed and why.
//!
//! ```
//! use tablewright_formula::{GivenRow, Scope, ScopeField, Kinds, Owned, Program, Work, compile};
//!
//! let mut scope = Scope::default();
//! scope.add(ScopeField { name: "Price".into(), id: None, kinds: Kinds::NUM, choices: None, items: Kinds::ANY, masked: false });
//! let (program, _) = compile("ROUND({Price} * 1.19, 2)", &scope).unwrap();
//! let row = GivenRow { cells: vec![Owned::Number(10.0)], ..GivenRow::default() };
//! let arena = tablewright_formula::Bump::new();
//! let value = program.row(&row, 0, &Work::new(&arena, 0));
//! assert_eq!(value.json(), 11.9);
//! ```
#![deny(clippy::disallowed_methods)]

mod call;
mod check;
pub mod dialect;
mod explain;
mod fault;
pub mod filter;
mod function;
pub mod given;
mod json;
mod kinds;
mod lint;
pub mod moment;
pub mod pattern;
pub mod problem;
mod program;
mod reference;
mod rows;
mod scope;
pub mod syntax;
mod value;
mod work;

pub use bumpalo::Bump;
pub use check::{Facts, resolve};
pub use explain::{Explained, explain};
pub use fault::Fault;
pub use function::{Function, Param, Signature, Want};
pub use json::{by_shape, json_value};
pub use kinds::{Kinds, ResultType};
pub use problem::{Problem, ProblemCode, Severity, Span};
pub use program::{BATCH, Lane, Program, Selection, compile};
pub use reference::{choices, reference, verify};
pub use rows::{GivenRow, NoRows, Rows};
pub use scope::{Scope, ScopeField, items_of, kinds_of};
pub use value::{Owned, Style, Value, push_number};
pub use work::{MAX_TEXT_RESULT, MAX_WORK_PER_ROW, Work};
