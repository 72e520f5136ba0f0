//! Working a program out for many rows at once.
//!
//! Numbers and conditions go through loops the compiler can vectorise; everything else goes
//! value by value through the same functions as single rows, so both ways agree. A condition
//! splits the rows, and each branch is worked out for its own rows only.

use std::cmp::Ordering;

use bumpalo::Bump;
use tablewright_core::model::cell::BLANK_NUMBER;

use super::kernel::kernel;
use super::lane::{BATCH, Lane, Selection};
use super::row::{any_or_all, is_error, join, operate, usable};
use super::{Op, Program, StepId};
use crate::call::{Prepared, call};
use crate::fault::Fault;
use crate::kinds::ResultType;
use crate::rows::{Rows, collect};
use crate::syntax::Operator;
use crate::value::{Value, order};
use crate::work::Work;

/// What every part of a batch needs.
struct Batch<'a, 'w, R: Rows + ?Sized> {
    rows: &'a R,
    first: usize,
    len: usize,
    work: &'w Work<'a>,
}

/// Numbers of a lane, without a look at each.
enum Source<'a> {
    One(f64),
    Many(&'a [f64]),
}

impl Program {
    /// The results for the `len` rows from `first` on, `len` at most [`BATCH`].
    pub fn rows<'a, R: Rows + ?Sized>(
        &'a self,
        rows: &'a R,
        first: usize,
        len: usize,
        work: &Work<'a>,
    ) -> Lane<'a> {
        work.next_rows();
        let lane = self.lane(self.root, &Batch { rows, first, len, work }, Selection::All(len));
        if work.is_spent() {
            // The bound is for each row: those that keep to it have their value. What they make
            // on the way is dropped row by row, so that memory stays bounded too.
            let mut scratch = Bump::new();
            let mut values = bumpalo::collections::Vec::with_capacity_in(len, work.arena);
            for row in first..first + len {
                let alone = Work::new(&scratch, work.now);
                values.push(self.row(rows, row, &alone).copy_to(work.arena));
                work.note(alone.used());
                scratch.reset();
            }
            return Lane::Values(values.into_bump_slice());
        }
        match self.result() {
            ResultType::Mixed | ResultType::Text | ResultType::List => match lane {
                Lane::Texts(_) => lane,
                Lane::Choices(_, values, _)
                    if self.result() == ResultType::Text && !values.iter().any(is_list) =>
                {
                    lane
                }
                Lane::Values(all) if self.result() == ResultType::Text && !all.iter().any(is_list) => lane,
                _ => {
                    let each = (0..len).map(|row| self.as_result(lane.at(row), work));
                    Lane::Values(collect(work.arena, each, len))
                }
            },
            _ => match lane {
                Lane::Values(all) if all.iter().any(is_list) => {
                    let each = (0..len).map(|row| self.as_result(lane.at(row), work));
                    Lane::Values(collect(work.arena, each, len))
                }
                _ => lane,
            },
        }
    }

    fn lane<'a, R: Rows + ?Sized>(
        &'a self,
        id: StepId,
        batch: &Batch<'a, '_, R>,
        wanted: Selection<'_>,
    ) -> Lane<'a> {
        let work = batch.work;
        match &self.step(id).op {
            Op::Constant(constant) => Lane::Same(constant.value(work.arena)),
            Op::Field(field) => batch.rows.lane(*field, batch.first, batch.len, work),
            Op::Chain(first, rest) if !matches!(rest.first(), Some((Operator::Join, _))) => {
                let mut left = self.lane(*first, batch, wanted);
                for (operator, right) in rest {
                    let right = self.lane(*right, batch, wanted);
                    left = operate_lanes(*operator, left, right, batch.len, wanted, work);
                }
                left
            }
            Op::Negate(inner) => match source(self.lane(*inner, batch, wanted)) {
                Ok(Source::One(number)) => Lane::Same(Value::Number(-number)),
                Ok(Source::Many(all)) => {
                    let out = work.arena.alloc_slice_fill_copy(batch.len, 0.0);
                    for (out, number) in out.iter_mut().zip(all) {
                        *out = -zero(*number);
                    }
                    Lane::Numbers(out)
                }
                Err(lane) => map(batch, wanted, |row| match lane.at(row).number() {
                    Ok(number) => Value::Number(-number),
                    Err(fault) => Value::Error(fault),
                }),
            },
            Op::Call(function, args, ready) => {
                let lanes: Vec<Lane<'a>> = args.iter().map(|id| self.lane(*id, batch, wanted)).collect();
                if let Err(fault) = work.spend(wanted.len() * 20) {
                    return Lane::Same(Value::Error(fault));
                }
                kernel(*function, &lanes, ready, wanted, batch.len, work).unwrap_or_else(|| {
                    let mut values = vec![Value::Blank; lanes.len()];
                    let out = work.arena.alloc_slice_fill_copy(batch.len, Value::Blank);
                    wanted.each(|row| {
                        for (value, lane) in values.iter_mut().zip(&lanes) {
                            *value = lane.at(row);
                        }
                        out[row] = call(*function, &values, Prepared(ready), work);
                    });
                    Lane::Values(out)
                })
            }
            Op::If(..) => self.chosen(id, batch, wanted).unwrap_or_else(|| {
                let out = work.arena.alloc_slice_fill_copy(batch.len, Value::Blank);
                self.fill(id, batch, wanted, out);
                Lane::Values(out)
            }),
            Op::Switch { subject, cases, otherwise } => {
                let subject = self.lane(*subject, batch, wanted);
                // Constant results for a select field: one for each choice, none for each row.
                if let Lane::Choices(places, names, _) = subject
                    && names.len() <= BATCH / 4
                    && let Some((results, rest)) = self.table(names, cases, *otherwise, work)
                {
                    return Lane::Choices(places, results, rest);
                }
                let out = work.arena.alloc_slice_fill_copy(batch.len, Value::Blank);
                self.switch(subject, cases, *otherwise, batch, wanted, out);
                Lane::Values(out)
            }
            Op::IsError(inner) => {
                let lane = self.lane(*inner, batch, wanted);
                let out = work.arena.alloc_slice_fill_copy(batch.len, false);
                wanted.each(|row| out[row] = is_error(lane.at(row)));
                Lane::Truths(out)
            }
            _ => {
                let out = work.arena.alloc_slice_fill_copy(batch.len, Value::Blank);
                self.fill(id, batch, wanted, out);
                Lane::Values(out)
            }
        }
    }

    /// The lane of nested conditions that all end in constants: a number for each row that says
    /// which constant is meant. Nothing when a branch is no constant or a condition is an error.
    fn chosen<'a, R: Rows + ?Sized>(
        &'a self,
        id: StepId,
        batch: &Batch<'a, '_, R>,
        wanted: Selection<'_>,
    ) -> Option<Lane<'a>> {
        if !self.ends_in_constants(id) {
            return None;
        }
        let places = batch.work.arena.alloc_slice_fill_copy(batch.len, u32::MAX);
        let mut values = Vec::new();
        self.choose(id, batch, wanted, places, &mut values)?;
        let values = collect(batch.work.arena, values.iter().copied(), values.len());
        Some(Lane::Choices(places, values, Value::Blank))
    }

    fn ends_in_constants(&self, id: StepId) -> bool {
        match &self.step(id).op {
            Op::Constant(_) => true,
            Op::If(_, then, otherwise) => {
                self.ends_in_constants(*then) && otherwise.is_none_or(|id| self.ends_in_constants(id))
            }
            _ => false,
        }
    }

    fn choose<'a, R: Rows + ?Sized>(
        &'a self,
        id: StepId,
        batch: &Batch<'a, '_, R>,
        wanted: Selection<'_>,
        places: &mut [u32],
        values: &mut Vec<Value<'a>>,
    ) -> Option<()> {
        batch.work.spend(wanted.len()).ok()?;
        match &self.step(id).op {
            Op::If(condition, then, otherwise) => {
                let (mut yes, mut no) = ([0; BATCH], [0; BATCH]);
                let lane = self.lane(*condition, batch, wanted);
                let mut failed = false;
                let (holds, fails) = split(lane, wanted, &mut yes, &mut no, |_, _| failed = true);
                if failed {
                    return None;
                }
                self.choose(*then, batch, Selection::Some(holds), places, values)?;
                match otherwise {
                    Some(otherwise) => self.choose(*otherwise, batch, Selection::Some(fails), places, values),
                    None => Some(()),
                }
            }
            Op::Constant(constant) => {
                let place = values.len() as u32;
                values.push(constant.value(batch.work.arena));
                wanted.each(|row| places[row] = place);
                Some(())
            }
            _ => None,
        }
    }

    /// Writes the values of the wanted rows to their places in `out`.
    fn fill<'a, R: Rows + ?Sized>(
        &'a self,
        id: StepId,
        batch: &Batch<'a, '_, R>,
        wanted: Selection<'_>,
        out: &mut [Value<'a>],
    ) {
        if wanted.len() == 0 {
            return;
        }
        if let Err(fault) = batch.work.spend(wanted.len()) {
            return wanted.each(|row| out[row] = Value::Error(fault));
        }
        match &self.step(id).op {
            Op::If(condition, then, otherwise) => {
                let (mut yes, mut no) = ([0; BATCH], [0; BATCH]);
                let lane = self.lane(*condition, batch, wanted);
                let (holds, fails) =
                    split(lane, wanted, &mut yes, &mut no, |row, fault| out[row] = Value::Error(fault));
                self.fill(*then, batch, Selection::Some(holds), out);
                match otherwise {
                    Some(otherwise) => self.fill(*otherwise, batch, Selection::Some(fails), out),
                    None => fails.iter().for_each(|row| out[usize::from(*row)] = Value::Blank),
                }
            }
            Op::Until(end, all) => self.until(*end, all, batch, wanted, out),
            Op::Chain(first, rest) if matches!(rest.first(), Some((Operator::Join, _))) => {
                let parts: Vec<Lane<'a>> = std::iter::once(*first)
                    .chain(rest.iter().map(|(_, id)| *id))
                    .map(|id| self.lane(id, batch, wanted))
                    .collect();
                wanted.each(|row| {
                    let joined = join(parts.iter().map(|part| part.at(row)), batch.work);
                    out[row] = joined.map_or_else(Value::Error, Value::Text);
                });
            }
            Op::RecordId => {
                wanted.each(|row| out[row] = Value::Text(batch.rows.record_id(batch.first + row, batch.work)))
            }
            Op::CreatedTime => wanted.each(|row| {
                out[row] =
                    batch.rows.created(batch.first + row).map_or(Value::Blank, |ms| Value::Date(ms, None));
            }),
            Op::LastModifiedTime(fields) => wanted.each(|row| {
                out[row] = batch
                    .rows
                    .modified(batch.first + row, fields)
                    .map_or(Value::Blank, |ms| Value::Date(ms, None));
            }),
            Op::Constant(constant) => {
                let value = constant.value(batch.work.arena);
                wanted.each(|row| out[row] = value);
            }
            _ => {
                let lane = self.lane(id, batch, wanted);
                wanted.each(|row| out[row] = lane.at(row));
            }
        }
    }

    fn switch<'a, R: Rows + ?Sized>(
        &'a self,
        subject: Lane<'a>,
        cases: &'a [(StepId, StepId)],
        otherwise: Option<StepId>,
        batch: &Batch<'a, '_, R>,
        wanted: Selection<'_>,
        out: &mut [Value<'a>],
    ) {
        let mut left: Vec<u16> = Vec::with_capacity(wanted.len());
        wanted.each(|row| match usable(subject.at(row)) {
            Ok(()) => left.push(row as u16),
            Err(fault) => out[row] = Value::Error(fault),
        });
        let mut hits: Vec<u16> = Vec::new();
        for (pattern, result) in cases {
            hits.clear();
            let pattern = self.lane(*pattern, batch, Selection::Some(&left));
            left.retain(|at| {
                let row = usize::from(*at);
                match order(subject.at(row), pattern.at(row), batch.work) {
                    Ok(Some(Ordering::Equal)) => hits.push(*at),
                    Ok(_) => return true,
                    Err(fault) => out[row] = Value::Error(fault),
                }
                false
            });
            self.fill(*result, batch, Selection::Some(&hits), out);
            if left.is_empty() {
                return;
            }
        }
        match otherwise {
            Some(otherwise) => self.fill(otherwise, batch, Selection::Some(&left), out),
            None => left.iter().for_each(|row| out[usize::from(*row)] = Value::Blank),
        }
    }

    /// The result for each name of a select field, and for a blank cell, when all cases are constant.
    fn table<'a>(
        &'a self,
        names: &[Value<'a>],
        cases: &'a [(StepId, StepId)],
        otherwise: Option<StepId>,
        work: &Work<'a>,
    ) -> Option<(&'a [Value<'a>], Value<'a>)> {
        let constant = |id: StepId| match &self.step(id).op {
            Op::Constant(constant) => Some(constant.value(work.arena)),
            _ => None,
        };
        let cases: Vec<(Value<'a>, Value<'a>)> = cases
            .iter()
            .map(|(pattern, result)| Some((constant(*pattern)?, constant(*result)?)))
            .collect::<Option<_>>()?;
        let rest = otherwise.map_or(Some(Value::Blank), constant)?;
        let result = |subject: Value<'a>| {
            for (pattern, result) in &cases {
                match order(subject, *pattern, work) {
                    Ok(Some(Ordering::Equal)) => return *result,
                    Ok(_) => {}
                    Err(fault) => return Value::Error(fault),
                }
            }
            rest
        };
        Some((collect(work.arena, names.iter().map(|name| result(*name)), names.len()), result(Value::Blank)))
    }

    fn until<'a, R: Rows + ?Sized>(
        &'a self,
        end: bool,
        all: &'a [StepId],
        batch: &Batch<'a, '_, R>,
        wanted: Selection<'_>,
        out: &mut [Value<'a>],
    ) {
        let mut left: Vec<u16> = Vec::with_capacity(wanted.len());
        wanted.each(|row| left.push(row as u16));
        for id in all {
            let lane = self.lane(*id, batch, Selection::Some(&left));
            left.retain(|at| {
                let row = usize::from(*at);
                match any_or_all(lane.at(row), end) {
                    Ok(truth) if truth != end => return true,
                    Ok(_) => out[row] = Value::Bool(end),
                    Err(fault) => out[row] = Value::Error(fault),
                }
                false
            });
        }
        left.iter().for_each(|row| out[usize::from(*row)] = Value::Bool(!end));
    }
}

fn map<'a, R: Rows + ?Sized>(
    batch: &Batch<'a, '_, R>,
    wanted: Selection<'_>,
    value: impl Fn(usize) -> Value<'a>,
) -> Lane<'a> {
    let out = batch.work.arena.alloc_slice_fill_copy(batch.len, Value::Blank);
    wanted.each(|row| out[row] = value(row));
    Lane::Values(out)
}

fn is_list(value: &Value<'_>) -> bool {
    matches!(value, Value::List(_))
}

/// Splits the wanted rows by a condition; rows where it is an error are told to `failed`.
fn split<'s>(
    lane: Lane<'_>,
    wanted: Selection<'_>,
    yes: &'s mut [u16; BATCH],
    no: &'s mut [u16; BATCH],
    mut failed: impl FnMut(usize, Fault),
) -> (&'s [u16], &'s [u16]) {
    let (mut holds, mut fails) = (0, 0);
    if let Lane::Truths(truths) = lane {
        // Both places are written and one counter moves: no branch to mispredict.
        wanted.each(|row| {
            let truth = truths[row];
            yes[holds & (BATCH - 1)] = row as u16;
            no[fails & (BATCH - 1)] = row as u16;
            holds += usize::from(truth);
            fails += usize::from(!truth);
        });
    } else {
        wanted.each(|row| match lane.at(row).truth() {
            Ok(true) => {
                yes[holds] = row as u16;
                holds += 1;
            }
            Ok(false) => {
                no[fails] = row as u16;
                fails += 1;
            }
            Err(fault) => failed(row, fault),
        });
    }
    (&yes[..holds], &no[..fails])
}

/// A number, with the blank mark as 0.
#[inline]
fn zero(number: f64) -> f64 {
    if number.to_bits() == BLANK_NUMBER { 0.0 } else { number }
}

/// The numbers of a lane, if it is all numbers.
fn source(lane: Lane<'_>) -> Result<Source<'_>, Lane<'_>> {
    match lane {
        Lane::Numbers(all) => Ok(Source::Many(all)),
        Lane::Same(value @ (Value::Number(_) | Value::Bool(_) | Value::Blank)) => {
            Ok(Source::One(value.number().unwrap_or_default()))
        }
        other => Err(other),
    }
}

fn operate_lanes<'a>(
    operator: Operator,
    left: Lane<'a>,
    right: Lane<'a>,
    len: usize,
    wanted: Selection<'_>,
    work: &Work<'a>,
) -> Lane<'a> {
    let fast = match (source(left), source(right)) {
        (Ok(a), Ok(b)) => numbers(operator, &a, &b, len, work),
        _ => None,
    };
    fast.unwrap_or_else(|| {
        let out = work.arena.alloc_slice_fill_copy(len, Value::Blank);
        wanted.each(|row| out[row] = operate(operator, left.at(row), right.at(row), work));
        Lane::Values(out)
    })
}

fn numbers<'a>(
    operator: Operator,
    a: &Source<'a>,
    b: &Source<'a>,
    len: usize,
    work: &Work<'a>,
) -> Option<Lane<'a>> {
    if operator.calculates() {
        let out: &mut [f64] = work.arena.alloc_slice_fill_copy(len, 0.0);
        match operator {
            Operator::Add => each(a, b, out, |a, b| a + b),
            Operator::Subtract => each(a, b, out, |a, b| a - b),
            Operator::Multiply => each(a, b, out, |a, b| a * b),
            _ => each(a, b, out, |a, b| a / b),
        }
        return Some(Lane::Numbers(out));
    }
    // What is not finite makes a comparison an error; that is left to the careful way.
    let finite = |source: &Source<'_>| match source {
        Source::One(number) => number.is_finite(),
        Source::Many(all) => !all.iter().fold(false, |bad, n| bad | !zero(*n).is_finite()),
    };
    if !finite(a) || !finite(b) {
        return None;
    }
    let out: &mut [bool] = work.arena.alloc_slice_fill_copy(len, false);
    match operator {
        Operator::Equal => each(a, b, out, |a, b| a == b),
        Operator::NotEqual => each(a, b, out, |a, b| a != b),
        Operator::Less => each(a, b, out, |a, b| a < b),
        Operator::LessOrEqual => each(a, b, out, |a, b| a <= b),
        Operator::Greater => each(a, b, out, |a, b| a > b),
        Operator::GreaterOrEqual => each(a, b, out, |a, b| a >= b),
        _ => return None,
    }
    Some(Lane::Truths(out))
}

#[inline]
fn each<T>(a: &Source<'_>, b: &Source<'_>, out: &mut [T], done: impl Fn(f64, f64) -> T) {
    match (a, b) {
        (Source::One(a), Source::One(b)) => {
            out.iter_mut().for_each(|out| *out = done(*a, *b));
        }
        (Source::Many(a), Source::One(b)) => {
            for (out, a) in out.iter_mut().zip(*a) {
                *out = done(zero(*a), *b);
            }
        }
        (Source::One(a), Source::Many(b)) => {
            for (out, b) in out.iter_mut().zip(*b) {
                *out = done(*a, zero(*b));
            }
        }
        (Source::Many(a), Source::Many(b)) => {
            for ((out, a), b) in out.iter_mut().zip(*a).zip(*b) {
                *out = done(zero(*a), zero(*b));
            }
        }
    }
}
