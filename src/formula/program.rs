//! A checked formula as a compact program.

mod columns;
mod compile;
mod fold;
mod kernel;
mod lane;
mod row;

use crate::function::Function;
use crate::kinds::{Kinds, ResultType};
use crate::moment::{Format, Locale, ParseFormat, Unit, Zone};
use crate::pattern::Pattern;
use crate::problem::Span;
use crate::syntax::Operator;
use crate::value::Owned;

pub use compile::compile;
pub use lane::{BATCH, Lane, Selection};

/// A step's place in its program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StepId(u32);

/// What a constant argument was made into when the program was compiled.
#[derive(Default)]
pub(crate) enum Ready {
    #[default]
    Nothing,
    /// A pattern; `None` when it cannot be used.
    Pattern(Option<Pattern>),
    /// A date format in the locale it will most likely be written in.
    Format(Box<Format>, &'static Locale),
    /// A date format to read by.
    Parse(Box<ParseFormat>),
    /// A unit of time; `None` when it is not one.
    Unit(Option<Unit>),
    /// A zone; `None` when there is no such.
    Zone(Option<&'static Zone>),
    /// A locale; `None` when there is no such.
    Locale(Option<&'static Locale>),
    /// A text to look for.
    Needle(Box<memchr::memmem::Finder<'static>>),
}

enum Op {
    Constant(Owned),
    Field(usize),
    Negate(StepId),
    Chain(StepId, Box<[(Operator, StepId)]>),
    If(StepId, StepId, Option<StepId>),
    Switch {
        subject: StepId,
        cases: Box<[(StepId, StepId)]>,
        otherwise: Option<StepId>,
    },
    /// AND (`false` ends it) or OR (`true` ends it).
    Until(bool, Box<[StepId]>),
    IsError(StepId),
    RecordId,
    CreatedTime,
    LastModifiedTime(Box<[usize]>),
    Call(Function, Box<[StepId]>, Ready),
}

struct Step {
    op: Op,
    span: Span,
}

/// A formula ready to be worked out for rows of the table it was compiled for.
pub struct Program {
    steps: Vec<Step>,
    root: StepId,
    kinds: Kinds,
    fields: Vec<usize>,
    volatile: bool,
    watched: Vec<Vec<usize>>,
}

impl std::fmt::Debug for Program {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Program").field("steps", &self.steps.len()).field("fields", &self.fields).finish()
    }
}

impl Program {
    /// The type of its results.
    pub fn result(&self) -> ResultType {
        self.kinds.result()
    }

    /// What its results can be.
    pub fn kinds(&self) -> Kinds {
        self.kinds
    }

    /// The places of the fields it reads, each once, in order.
    pub fn fields(&self) -> &[usize] {
        &self.fields
    }

    /// True when its value changes with the time of day.
    pub fn is_volatile(&self) -> bool {
        self.volatile
    }

    /// The sets of fields whose last edit it asks for; an empty set means any field.
    pub fn watched(&self) -> &[Vec<usize>] {
        &self.watched
    }

    /// How many steps it has.
    pub fn len(&self) -> usize {
        self.steps.len()
    }

    /// True for a program without steps; there is none.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    fn step(&self, id: StepId) -> &Step {
        &self.steps[id.0 as usize]
    }
}
