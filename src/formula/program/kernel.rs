//! Loops for the functions most formulas use, over lanes of texts, numbers and instants.
//!
//! A kernel gives nothing when a row needs more care (a blank date, a list, an error): the whole
//! batch then goes value by value through the functions themselves, which say what is right.

use tablewright_core::model::cell::{BLANK_INSTANT, BLANK_NUMBER};

use super::Ready;
use super::lane::{Lane, Selection};
use crate::call::text::{byte_at, head, units};
use crate::function::Function;
use crate::moment::{self, Locale, Zone};
use crate::value::Value;
use crate::work::{MAX_TEXT_RESULT, Work};

/// The text of one row, where it is text already.
#[inline]
fn text<'a>(lane: &Lane<'a>, row: usize) -> Option<&'a str> {
    match lane {
        Lane::Texts(all) => Some(&all[row]),
        other => match other.at(row) {
            Value::Text(text) => Some(text),
            Value::Blank => Some(""),
            _ => None,
        },
    }
}

/// The instant of one row, where it is a date without a style.
#[inline]
fn instant(lane: &Lane<'_>, row: usize) -> Option<i64> {
    match lane {
        Lane::Instants(all) => Some(all[row]).filter(|ms| *ms != BLANK_INSTANT),
        other => match other.at(row) {
            Value::Date(ms, None) => Some(ms),
            _ => None,
        },
    }
}

/// The finite number of one row.
#[inline]
fn number(lane: &Lane<'_>, row: usize) -> Option<f64> {
    match lane {
        Lane::Numbers(all) if all[row].to_bits() == BLANK_NUMBER => Some(0.0),
        Lane::Numbers(all) => Some(all[row]).filter(|n| n.is_finite()),
        other => match other.at(row) {
            Value::Number(number) if number.is_finite() => Some(number),
            Value::Blank => Some(0.0),
            _ => None,
        },
    }
}

/// Fills one value for each wanted row; nothing when a row has none.
fn filled<'a, T: Copy>(
    wanted: Selection<'_>,
    len: usize,
    blank: T,
    work: &Work<'a>,
    mut value: impl FnMut(usize) -> Option<T>,
) -> Option<&'a [T]> {
    let out: &'a mut [T] = work.arena.alloc_slice_fill_copy(len, blank);
    match wanted {
        Selection::All(len) => {
            for (row, place) in out.iter_mut().enumerate().take(len) {
                *place = value(row)?;
            }
        }
        Selection::Some(rows) => {
            for row in rows {
                out[usize::from(*row)] = value(usize::from(*row))?;
            }
        }
    }
    Some(out)
}

/// Up to this length a plain loop finds a byte faster than a vectorised search starts.
const SHORT: usize = 32;

/// The place of a byte, from 1; 0 when it is not there.
#[inline]
fn find_short(text: &str, wanted: u8) -> f64 {
    let mut foreign = 0;
    for (at, byte) in text.bytes().enumerate() {
        if byte == wanted {
            let place = if foreign < 0x80 { at } else { units(text.get(..at).unwrap_or_default()) };
            return (place + 1) as f64;
        }
        foreign |= byte;
    }
    0.0
}

/// The lane of a call, where there is a kernel for it and every row is plain.
pub(super) fn kernel<'a>(
    function: Function,
    args: &[Lane<'a>],
    ready: &'a Ready,
    wanted: Selection<'_>,
    len: usize,
    work: &Work<'a>,
) -> Option<Lane<'a>> {
    let numbers = |value: &mut dyn FnMut(usize) -> Option<f64>| {
        filled(wanted, len, 0.0, work, value).map(Lane::Numbers)
    };
    match (function, args, ready) {
        (Function::Find, [_, hay], Ready::Needle(finder)) => {
            let needle = finder.needle();
            let found = |text: &str| {
                let at = match needle {
                    [byte] if text.len() <= SHORT => return find_short(text, *byte),
                    _ => finder.find(text.as_bytes()),
                };
                at.map_or(0.0, |at| (units(text.get(..at).unwrap_or_default()) + 1) as f64)
            };
            filled(wanted, len, 0.0, work, |row| text(hay, row).map(found)).map(Lane::Numbers)
        }
        (Function::Len, [value], _) => numbers(&mut |row| text(value, row).map(|text| units(text) as f64)),
        (Function::Left, [value, count], _) => filled(wanted, len, Value::Blank, work, |row| {
            let count = number(count, row)?.floor().clamp(0.0, 1e9) as usize;
            Some(Value::Text(head(text(value, row)?, count)))
        })
        .map(Lane::Values),
        (Function::Right, [value, count], _) => filled(wanted, len, Value::Blank, work, |row| {
            let count = number(count, row)?.floor().clamp(0.0, 1e9) as usize;
            let text = text(value, row)?;
            let from = byte_at(text, units(text).saturating_sub(count));
            Some(Value::Text(text.get(from..).unwrap_or_default()))
        })
        .map(Lane::Values),
        (Function::RegexMatch, [value, _], Ready::Pattern(Some(pattern))) => {
            let mut read = 0;
            let found = filled(wanted, len, false, work, |row| {
                let text = text(value, row)?;
                read += text.len();
                Some(pattern.is_match(text))
            });
            work.spend(read).ok().and(found).map(Lane::Truths)
        }
        (Function::DateAdd, [date, amount, _], Ready::Unit(Some(unit))) => {
            filled(wanted, len, 0, work, |row| moment::add(instant(date, row)?, number(amount, row)?, *unit))
                .map(Lane::Instants)
        }
        (Function::DatetimeDiff, [end, start, _], Ready::Unit(Some(unit))) => {
            filled(wanted, len, 0.0, work, |row| {
                Some(moment::diff(instant(end, row)?, instant(start, row)?, *unit))
            })
            .map(Lane::Numbers)
        }
        (Function::DatetimeFormat, [date, _], Ready::Format(format, locale))
            if std::ptr::eq(*locale, Locale::english()) =>
        {
            let mut out = work.builder();
            filled(wanted, len, Value::Blank, work, |row| {
                out.clear();
                format.write(instant(date, row)?, Zone::utc(), &mut out);
                // The careful way refuses what is too long, and counts what is made.
                work.spend(out.len()).ok()?;
                (out.len() <= MAX_TEXT_RESULT).then(|| Value::Text(work.arena.alloc_str(&out)))
            })
            .map(Lane::Values)
        }
        (Function::Year, [date], _) => {
            numbers(&mut |row| instant(date, row).map(|ms| f64::from(moment::civil(ms).year)))
        }
        (Function::Month, [date], _) => {
            numbers(&mut |row| instant(date, row).map(|ms| f64::from(moment::civil(ms).month)))
        }
        (Function::Day, [date], _) => {
            numbers(&mut |row| instant(date, row).map(|ms| f64::from(moment::civil(ms).day)))
        }
        _ => None,
    }
}
