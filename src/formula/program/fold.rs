//! Parts of a program that are the same for every row are worked out once.

use bumpalo::Bump;

use super::compile::Compiler;
use super::{Op, Program, StepId};
use crate::kinds::Kinds;
use crate::rows::NoRows;
use crate::value::{Owned, Value};
use crate::work::Work;

/// Longest folded text; longer ones are made anew for each batch instead of being held.
const MAX_FOLDED: usize = 1024;

impl Compiler<'_> {
    /// Replaces the step by its value when all it needs is constant.
    pub(super) fn fold(&mut self, at: StepId) {
        let constant = |id: &StepId| self.constant(*id).is_some();
        let foldable = match &self.steps[at.0 as usize].op {
            Op::Negate(inner) | Op::IsError(inner) => constant(inner),
            Op::Chain(first, rest) => constant(first) && rest.iter().all(|(_, id)| constant(id)),
            Op::Until(_, all) => all.iter().all(constant),
            Op::Call(function, args, _) => !function.is_volatile() && args.iter().all(constant),
            Op::If(condition, then, otherwise) => {
                constant(condition) && constant(then) && otherwise.as_ref().is_none_or(constant)
            }
            Op::Switch { subject, cases, otherwise } => {
                constant(subject)
                    && cases.iter().all(|(pattern, result)| constant(pattern) && constant(result))
                    && otherwise.as_ref().is_none_or(constant)
            }
            _ => false,
        };
        // Constants that keep a style (SET_TIMEZONE of a literal) would lose it.
        let styled = matches!(&self.steps[at.0 as usize].op, Op::Call(f, ..)
            if matches!(f, crate::function::Function::SetTimezone | crate::function::Function::SetLocale));
        if !foldable || styled {
            return;
        }
        let steps = std::mem::take(&mut self.steps);
        let program = Program {
            steps,
            root: at,
            kinds: Kinds::ANY,
            fields: Vec::new(),
            volatile: false,
            watched: Vec::new(),
        };
        let arena = Bump::new();
        let folded = match program.step_value(at, &NoRows, 0, &Work::new(&arena, 0)) {
            // An error stays where it arises, so that it can be told where that is.
            Value::Error(_) | Value::List(_) => None,
            Value::Text(text) if text.len() > MAX_FOLDED => None,
            value => Some(value.own()),
        };
        drop(arena);
        self.steps = program.steps;
        if let Some(value) = folded {
            self.steps[at.0 as usize].op = Op::Constant(value);
        }
    }
}

impl Compiler<'_> {
    pub(super) fn constant(&self, id: StepId) -> Option<&Owned> {
        match &self.steps[id.0 as usize].op {
            Op::Constant(value) => Some(value),
            _ => None,
        }
    }
}
