//! Functions over lists and over any number of values.

use rustc_hash::FxHashSet;

use super::Call;
use crate::dialect;
use crate::fault::Fault;
use crate::function::Function;
use crate::rows::collect;
use crate::value::{Value, numeric};
use crate::work::MAX_TEXT_RESULT;

/// Visits every value, those inside of lists one by one. A blank field counts as one value,
/// an empty list as none.
fn each<'a>(
    values: &[Value<'a>],
    visit: &mut impl FnMut(Value<'a>) -> Result<(), Fault>,
) -> Result<(), Fault> {
    for value in values {
        match value {
            Value::List(items) => each(items, visit)?,
            other => visit(*other)?,
        }
    }
    Ok(())
}

/// A number among the values of a statistic; texts that are none, and blanks, are not.
fn counted(value: Value<'_>) -> Result<Option<f64>, Fault> {
    Ok(match value {
        Value::Number(number) => Some(number),
        Value::Bool(truth) => Some(f64::from(u8::from(truth))),
        Value::Text(text) if !text.trim().is_empty() => numeric(text),
        Value::Error(fault) => return Err(fault),
        Value::Blank if !dialect::STATISTICS_SKIP_BLANKS => Some(0.0),
        _ => None,
    })
}

pub(super) fn statistic<'a>(function: Function, call: &Call<'a, '_>) -> Result<Value<'a>, Fault> {
    let (mut sum, mut count, mut low, mut high) = (0.0, 0usize, f64::INFINITY, f64::NEG_INFINITY);
    let (mut numbers, mut filled, mut all) = (0usize, 0usize, 0usize);
    let (mut special, mut earliest, mut latest) = (false, None::<Value<'a>>, None::<Value<'a>>);
    each(call.args, &mut |value| {
        call.work.spend(0)?;
        all += 1;
        filled += usize::from(!value.is_empty());
        numbers += usize::from(matches!(value, Value::Number(_)));
        if let Value::Date(ms, _) = value {
            if !matches!(earliest, Some(Value::Date(held, _)) if held <= ms) {
                earliest = Some(value);
            }
            if !matches!(latest, Some(Value::Date(held, _)) if held >= ms) {
                latest = Some(value);
            }
        }
        if let Some(number) = counted(value)? {
            special |= !number.is_finite();
            sum += number;
            count += 1;
            low = low.min(number);
            high = high.max(number);
        }
        Ok(())
    })?;
    let count_of = |n: usize| Ok(Value::Number(n as f64));
    match function {
        Function::Count => return count_of(numbers),
        Function::CountA => return count_of(filled),
        Function::CountAll => return count_of(all),
        _ if special => return Err(Fault::NotFinite),
        Function::Sum => return Ok(Value::Number(sum)),
        // Dates have an earliest and a latest.
        Function::Min if count == 0 => return Ok(earliest.unwrap_or(Value::Blank)),
        Function::Max if count == 0 => return Ok(latest.unwrap_or(Value::Blank)),
        _ if count == 0 => return Ok(Value::Blank),
        _ => {}
    }
    Ok(Value::Number(match function {
        Function::Average => sum / count as f64,
        Function::Min => low,
        _ => high,
    }))
}

pub(super) fn xor<'a>(call: &Call<'a, '_>) -> Result<Value<'a>, Fault> {
    let mut odd = false;
    each(call.args, &mut |value| {
        odd ^= value.truth()?;
        Ok(())
    })?;
    Ok(Value::Bool(odd))
}

pub(super) fn call<'a>(function: Function, call: &Call<'a, '_>) -> Result<Value<'a>, Fault> {
    let first = call.arg(0);
    let one = [first];
    let items: &[Value<'a>] = match first {
        Value::List(items) => items,
        Value::Error(fault) => return Err(fault),
        Value::Blank => &[],
        _ => &one,
    };
    call.work.spend(items.len())?;
    let mut kept: Vec<Value<'a>> = Vec::new();
    match function {
        Function::ArrayJoin => {
            let separator = if call.given(1) { call.text(1)? } else { dialect::ARRAYJOIN_SEPARATOR };
            let mut out = call.work.builder();
            for (n, item) in items.iter().enumerate() {
                out.push_str(if n > 0 { separator } else { "" });
                item.push_text(&mut out)?;
                if out.len() > MAX_TEXT_RESULT {
                    return Err(Fault::TooLong);
                }
            }
            return Ok(Value::Text(call.work.finish(out)?));
        }
        Function::ArrayCompact => kept.extend(items.iter().filter(|item| !item.is_empty())),
        Function::ArrayFlatten => each(items, &mut |item| {
            if !(item.is_empty() && dialect::FLATTEN_DROPS_EMPTY) {
                kept.push(item);
            }
            Ok(())
        })?,
        Function::ArrayUnique => {
            let mut seen = FxHashSet::default();
            for item in items {
                let key = item.json().to_string();
                call.work.spend(key.len())?;
                if seen.insert(key) {
                    kept.push(*item);
                }
            }
        }
        _ => {
            // Places count from 1, negative ones from the end; both ends are included.
            let place = |at: f64| if at < 0.0 { items.len() as f64 + at } else { (at - 1.0).max(0.0) };
            let start = place(call.arg(1).finite()?.trunc()).max(0.0);
            let end = if call.given(2) { place(call.arg(2).finite()?.trunc()) } else { items.len() as f64 };
            let places = items.iter().enumerate();
            kept.extend(
                places.filter(|(at, _)| *at as f64 >= start && *at as f64 <= end).map(|(_, item)| item),
            );
        }
    }
    Ok(Value::List(collect(call.work.arena, kept.iter().copied(), kept.len())))
}
