//! The functions: values in, a value out.

mod date;
mod list;
mod number;
pub(crate) mod text;

use crate::fault::Fault;
use crate::function::Function;
use crate::program::Ready;
use crate::value::Value;
use crate::work::Work;

/// What constant arguments were made into beforehand.
#[derive(Clone, Copy)]
pub(crate) struct Prepared<'a>(pub(crate) &'a Ready);

/// A call in progress.
struct Call<'a, 'w> {
    args: &'w [Value<'a>],
    ready: &'a Ready,
    work: &'w Work<'a>,
}

impl<'a> Call<'a, '_> {
    /// The argument, blank when it was left out.
    fn arg(&self, at: usize) -> Value<'a> {
        self.args.get(at).copied().unwrap_or(Value::Blank)
    }

    fn text(&self, at: usize) -> Result<&'a str, Fault> {
        let text = self.arg(at).text(self.work)?;
        self.work.spend(text.len())?;
        Ok(text)
    }

    fn number(&self, at: usize) -> Result<f64, Fault> {
        self.arg(at).number()
    }

    fn given(&self, at: usize) -> bool {
        at < self.args.len()
    }
}

/// The value of a function.
pub(crate) fn call<'a>(
    function: Function,
    args: &[Value<'a>],
    ready: Prepared<'a>,
    work: &Work<'a>,
) -> Value<'a> {
    let call = Call { args, ready: ready.0, work };
    one(function, &call).unwrap_or_else(Value::Error)
}

fn one<'a>(function: Function, call: &Call<'a, '_>) -> Result<Value<'a>, Fault> {
    use Function as F;
    call.work.spend(0)?;
    match function {
        F::Not => Ok(Value::Bool(!call.arg(0).truth()?)),
        F::Xor => list::xor(call),
        F::ArrayJoin | F::ArrayCompact | F::ArrayFlatten | F::ArraySlice | F::ArrayUnique => {
            list::call(function, call)
        }
        F::Sum | F::Average | F::Max | F::Min | F::Count | F::CountA | F::CountAll => {
            list::statistic(function, call)
        }
        F::Abs
        | F::Ceiling
        | F::Even
        | F::Exp
        | F::Floor
        | F::Int
        | F::Log
        | F::Mod
        | F::Odd
        | F::Power
        | F::Round
        | F::RoundDown
        | F::RoundUp
        | F::Sqrt => number::call(function, call),
        F::DateAdd
        | F::DateStr
        | F::DatetimeDiff
        | F::DatetimeFormat
        | F::DatetimeParse
        | F::Day
        | F::FromNow
        | F::Hour
        | F::IsAfter
        | F::IsBefore
        | F::IsSame
        | F::Minute
        | F::Month
        | F::Now
        | F::Second
        | F::SetLocale
        | F::SetTimezone
        | F::TimeStr
        | F::ToNow
        | F::Today
        | F::Weekday
        | F::Weeknum
        | F::Workday
        | F::WorkdayDiff
        | F::Year => date::call(function, call),
        // The rest are texts, or were made into steps of their own by the compiler.
        _ => text::call(function, call),
    }
}
