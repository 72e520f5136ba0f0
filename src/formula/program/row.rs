//! Working a program out for one row.

use std::cmp::Ordering;

use super::{Op, Program, StepId};
use crate::call::{Prepared, call};
use crate::dialect;
use crate::fault::Fault;
use crate::kinds::ResultType;
use crate::problem::Span;
use crate::rows::{Rows, collect};
use crate::syntax::Operator;
use crate::value::{Value, order};
use crate::work::Work;

impl Program {
    /// The result for one row.
    pub fn row<'a, R: Rows + ?Sized>(&'a self, rows: &'a R, row: usize, work: &Work<'a>) -> Value<'a> {
        work.next_row();
        self.as_result(self.step_value(self.root, rows, row, work), work)
    }

    /// The value of a whole formula: what is sometimes text and sometimes not is text.
    pub(super) fn as_result<'a>(&self, value: Value<'a>, work: &Work<'a>) -> Value<'a> {
        let as_text = |value: Value<'a>| match value.text(work) {
            Ok(text) => Value::Text(text),
            Err(fault) => Value::Error(fault),
        };
        match (self.result(), value) {
            (ResultType::Mixed, Value::Number(0.0)) if dialect::ZERO_IN_MIXED_RESULT_IS_BLANK => Value::Blank,
            (ResultType::Mixed, Value::Number(number)) if !number.is_finite() => value,
            (ResultType::Mixed, Value::Number(_) | Value::Bool(_) | Value::Date(..) | Value::List(_)) => {
                as_text(value)
            }
            (ResultType::Text, Value::List(_)) => as_text(value),
            (_, Value::List([])) => Value::Blank,
            _ => value,
        }
    }

    pub(super) fn step_value<'a, R: Rows + ?Sized>(
        &'a self,
        id: StepId,
        rows: &'a R,
        row: usize,
        work: &Work<'a>,
    ) -> Value<'a> {
        let value = |id: StepId| self.step_value(id, rows, row, work);
        if let Err(fault) = work.spend(0) {
            return Value::Error(fault);
        }
        match &self.step(id).op {
            Op::Constant(constant) => constant.value(work.arena),
            Op::Field(field) => rows.value(*field, row, work),
            Op::Negate(inner) => match value(*inner).number() {
                Ok(number) => Value::Number(-number),
                Err(fault) => Value::Error(fault),
            },
            Op::Chain(first, rest) if matches!(rest.first(), Some((Operator::Join, _))) => {
                let parts = std::iter::once(*first).chain(rest.iter().map(|(_, id)| *id));
                join(parts.map(value), work).map_or_else(Value::Error, Value::Text)
            }
            Op::Chain(first, rest) => rest
                .iter()
                .fold(value(*first), |left, (operator, right)| operate(*operator, left, value(*right), work)),
            Op::If(condition, then, otherwise) => match value(*condition).truth() {
                Ok(true) => value(*then),
                Ok(false) => otherwise.map_or(Value::Blank, value),
                Err(fault) => Value::Error(fault),
            },
            Op::Switch { subject, cases, otherwise } => {
                let subject = value(*subject);
                if let Err(fault) = usable(subject) {
                    return Value::Error(fault);
                }
                for (pattern, result) in cases {
                    match order(subject, value(*pattern), work) {
                        Ok(Some(Ordering::Equal)) => return value(*result),
                        Ok(_) => {}
                        Err(fault) => return Value::Error(fault),
                    }
                }
                otherwise.map_or(Value::Blank, value)
            }
            Op::Until(end, all) => {
                for id in all {
                    match any_or_all(value(*id), *end) {
                        Ok(truth) if truth == *end => return Value::Bool(*end),
                        Ok(_) => {}
                        Err(fault) => return Value::Error(fault),
                    }
                }
                Value::Bool(!*end)
            }
            Op::IsError(inner) => Value::Bool(is_error(value(*inner))),
            Op::RecordId => Value::Text(rows.record_id(row, work)),
            Op::CreatedTime => rows.created(row).map_or(Value::Blank, |ms| Value::Date(ms, None)),
            Op::LastModifiedTime(fields) => {
                rows.modified(row, fields).map_or(Value::Blank, |ms| Value::Date(ms, None))
            }
            Op::Call(function, args, ready) => {
                let args = collect(work.arena, args.iter().map(|id| value(*id)), args.len());
                call(*function, args, Prepared(ready), work)
            }
        }
    }

    /// Where the error of a row comes from: the innermost part that gives it.
    pub fn blame<'a, R: Rows + ?Sized>(&'a self, rows: &'a R, row: usize, work: &Work<'a>) -> Span {
        let mut at = self.root;
        // Parts are worked out again on the way down; all of them share the bound of one row.
        work.next_row();
        loop {
            let failing = |id: &StepId| match self.step_value(*id, rows, row, work) {
                Value::Error(Fault::TooMuchWork) => false,
                value => is_error(value),
            };
            let inner = match &self.step(at).op {
                Op::Negate(inner) => [*inner].iter().copied().find(|id| failing(id)),
                Op::Chain(first, rest) => {
                    std::iter::once(*first).chain(rest.iter().map(|(_, id)| *id)).find(|id| failing(id))
                }
                Op::Until(_, args) | Op::Call(_, args, _) => args.iter().copied().find(|id| failing(id)),
                Op::If(condition, then, otherwise) => {
                    match self.step_value(*condition, rows, row, work).truth() {
                        Err(Fault::TooMuchWork) => None,
                        Err(_) => Some(*condition),
                        Ok(true) => Some(*then),
                        Ok(false) => *otherwise,
                    }
                }
                Op::Switch { subject, cases, otherwise } => std::iter::once(*subject)
                    .chain(cases.iter().map(|(_, result)| *result))
                    .chain(*otherwise)
                    .find(|id| failing(id)),
                _ => None,
            };
            match inner {
                Some(inner) => at = inner,
                None => return self.step(at).span,
            }
        }
    }

    /// What every part of the formula gives for a row, in the order they are written; parts that
    /// a condition leaves out are left out. At most `limit`.
    pub fn trace<'a, R: Rows + ?Sized>(
        &'a self,
        rows: &'a R,
        row: usize,
        work: &Work<'a>,
        limit: usize,
    ) -> Vec<(Span, Value<'a>)> {
        let mut found = Vec::new();
        // As above: one bound for the whole trace.
        work.next_row();
        self.trace_step(self.root, rows, row, work, limit, &mut found);
        found
    }

    fn trace_step<'a, R: Rows + ?Sized>(
        &'a self,
        id: StepId,
        rows: &'a R,
        row: usize,
        work: &Work<'a>,
        limit: usize,
        found: &mut Vec<(Span, Value<'a>)>,
    ) {
        if found.len() >= limit || matches!(self.step(id).op, Op::Constant(_)) {
            return;
        }
        let value = self.step_value(id, rows, row, work);
        found.push((self.step(id).span, value));
        let mut go = |id: StepId| self.trace_step(id, rows, row, work, limit, found);
        match &self.step(id).op {
            Op::Negate(inner) | Op::IsError(inner) => go(*inner),
            Op::Chain(first, rest) => {
                go(*first);
                rest.iter().for_each(|(_, id)| go(*id));
            }
            Op::Until(_, args) | Op::Call(_, args, _) => args.iter().for_each(|id| go(*id)),
            Op::If(condition, then, otherwise) => {
                go(*condition);
                match self.step_value(*condition, rows, row, work).truth() {
                    Ok(true) => go(*then),
                    Ok(false) => otherwise.iter().for_each(|id| go(*id)),
                    Err(_) => {}
                }
            }
            Op::Switch { subject, cases, otherwise } => {
                go(*subject);
                let subject = self.step_value(*subject, rows, row, work);
                let hit = cases.iter().find(|(pattern, _)| {
                    let pattern = self.step_value(*pattern, rows, row, work);
                    matches!(order(subject, pattern, work), Ok(Some(Ordering::Equal)))
                });
                hit.map(|(_, result)| *result).or(*otherwise).iter().for_each(|id| go(*id));
            }
            _ => {}
        }
    }
}

/// True for errors and numbers that are not finite, alone or as the one item of a list.
pub(super) fn is_error(value: Value<'_>) -> bool {
    match value {
        Value::Error(_) => true,
        Value::Number(number) => !number.is_finite(),
        Value::List([one]) => is_error(*one),
        _ => false,
    }
}

pub(super) fn usable(value: Value<'_>) -> Result<(), Fault> {
    match value {
        Value::Error(fault) => Err(fault),
        Value::Number(number) if !number.is_finite() => Err(Fault::NotFinite),
        _ => Ok(()),
    }
}

/// AND and OR take each item of a list for itself.
pub(super) fn any_or_all(value: Value<'_>, end: bool) -> Result<bool, Fault> {
    match value {
        Value::List(items) if items.len() > 1 => {
            for item in items {
                if any_or_all(*item, end)? == end {
                    return Ok(end);
                }
            }
            Ok(!end)
        }
        Value::List([]) => Ok(false),
        one => one.truth(),
    }
}

/// `left operator right`.
pub(super) fn operate<'a>(
    operator: Operator,
    left: Value<'a>,
    right: Value<'a>,
    work: &Work<'a>,
) -> Value<'a> {
    let done = match operator {
        Operator::Add | Operator::Subtract | Operator::Multiply | Operator::Divide => {
            calculate(operator, left, right).map(Value::Number)
        }
        Operator::Join => join([left, right].into_iter(), work).map(Value::Text),
        _ => order(left, right, work).map(|order| Value::Bool(compares(operator, order))),
    };
    done.unwrap_or_else(Value::Error)
}

fn calculate(operator: Operator, left: Value<'_>, right: Value<'_>) -> Result<f64, Fault> {
    if let (Operator::Subtract, Value::Date(a, _), Value::Date(b, _)) = (operator, left, right) {
        return Ok((a as f64 - b as f64) / dialect::DATE_MINUS_DATE_UNIT);
    }
    let (left, right) = (left.number()?, right.number()?);
    Ok(match operator {
        Operator::Add => left + right,
        Operator::Subtract => left - right,
        Operator::Multiply => left * right,
        _ => left / right,
    })
}

/// The values joined to one text.
pub(super) fn join<'a>(parts: impl Iterator<Item = Value<'a>>, work: &Work<'a>) -> Result<&'a str, Fault> {
    let mut out = work.builder();
    for part in parts {
        part.push_text(&mut out)?;
    }
    work.finish(out)
}

/// Whether an order satisfies a comparison; values without an order are only unequal.
pub(super) fn compares(operator: Operator, order: Option<Ordering>) -> bool {
    match operator {
        Operator::Equal => order == Some(Ordering::Equal),
        Operator::NotEqual => order != Some(Ordering::Equal),
        Operator::Less => order == Some(Ordering::Less),
        Operator::LessOrEqual => order.is_some_and(Ordering::is_le),
        Operator::Greater => order == Some(Ordering::Greater),
        _ => order.is_some_and(Ordering::is_ge),
    }
}
