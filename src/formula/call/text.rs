//! Functions over texts. Places and counts are in UTF-16 units, as Airtable counts them.

use memchr::memmem;

use super::Call;
use crate::dialect;
use crate::fault::Fault;
use crate::function::Function;
use crate::pattern::Pattern;
use crate::program::Ready;
use crate::value::Value;
use crate::work::MAX_TEXT_RESULT;

/// How many UTF-16 units a text has.
#[inline]
pub(crate) fn units(text: &str) -> usize {
    if text.is_ascii() { text.len() } else { text.encode_utf16().count() }
}

/// The byte after the first `count` units; a character cut in half is left out.
#[inline]
pub(crate) fn byte_at(text: &str, count: usize) -> usize {
    match text.as_bytes().get(..count) {
        Some(head) if head.is_ascii() => return count,
        None if text.is_ascii() => return text.len(),
        _ => {}
    }
    let mut seen = 0;
    for (at, c) in text.char_indices() {
        seen += c.len_utf16();
        if seen > count {
            return at;
        }
    }
    text.len()
}

/// A count or place: whole, not below `least`.
fn whole(value: f64, least: f64) -> usize {
    value.floor().max(least).min(1e12) as usize
}

#[inline]
pub(crate) fn head(text: &str, count: usize) -> &str {
    text.get(..byte_at(text, count)).unwrap_or(text)
}

fn tail(text: &str, skip: usize) -> &str {
    text.get(byte_at(text, skip)..).unwrap_or_default()
}

pub(super) fn call<'a>(function: Function, call: &Call<'a, '_>) -> Result<Value<'a>, Fault> {
    use Function as F;
    let finite = |at: usize| call.arg(at).finite();
    Ok(match function {
        F::Concatenate => {
            let mut out = call.work.builder();
            for arg in call.args {
                arg.push_text(&mut out)?;
            }
            Value::Text(call.work.finish(out)?)
        }
        F::Len => Value::Number(units(call.text(0)?) as f64),
        F::Left => Value::Text(head(call.text(0)?, whole(finite(1)?, 0.0))),
        F::Right => {
            let (text, count) = (call.text(0)?, whole(finite(1)?, 0.0));
            Value::Text(tail(text, units(text).saturating_sub(count)))
        }
        F::Mid => {
            let rest = tail(call.text(0)?, whole(finite(1)?, 1.0) - 1);
            Value::Text(head(rest, whole(finite(2)?, 0.0)))
        }
        F::Lower => changed(call, str::to_lowercase)?,
        F::Upper => changed(call, str::to_uppercase)?,
        F::Trim => Value::Text(call.text(0)?.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}')),
        F::T => match call.arg(0) {
            Value::Error(fault) => return Err(fault),
            Value::Text(text) => Value::Text(text),
            _ => Value::Blank,
        },
        F::Exact => Value::Bool(call.text(0)? == call.text(1)?),
        F::Find => Value::Number(find(call)?.map_or(0.0, |place| place as f64)),
        F::Search => search(call)?.map_or(Value::Blank, |place| Value::Number(place as f64)),
        F::Replace => replace(call)?,
        F::Rept => repeat(call)?,
        F::Substitute => substitute(call)?,
        F::EncodeUrlComponent => {
            let mut out = call.work.builder();
            for byte in call.text(0)?.bytes() {
                if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
                    out.push(char::from(byte));
                } else {
                    out.push('%');
                    out.extend(
                        [byte >> 4, byte & 15].map(|n| char::from(b"0123456789ABCDEF"[usize::from(n)])),
                    );
                }
            }
            Value::Text(call.work.finish(out)?)
        }
        F::Value => number_in(call)?,
        _ => pattern(function, call)?,
    })
}

fn changed<'a>(call: &Call<'a, '_>, change: impl Fn(&str) -> String) -> Result<Value<'a>, Fault> {
    Ok(Value::Text(call.work.finish(change(call.text(0)?))?))
}

/// The place of the needle (argument 0) in the text (1) from a place (2) on, counted from 1.
fn find(call: &Call<'_, '_>) -> Result<Option<usize>, Fault> {
    let text = call.text(1)?;
    let from = if call.given(2) { byte_at(text, whole(call.arg(2).finite()?, 1.0) - 1) } else { 0 };
    let rest = text.get(from..).unwrap_or_default();
    let at = match call.ready {
        Ready::Needle(finder) => finder.find(rest.as_bytes()),
        _ => memmem::find(rest.as_bytes(), call.text(0)?.as_bytes()),
    };
    Ok(at.map(|at| units(text.get(..from + at).unwrap_or_default()) + 1))
}

fn search(call: &Call<'_, '_>) -> Result<Option<usize>, Fault> {
    if !dialect::SEARCH_IGNORES_CASE {
        return find(call);
    }
    let (needle, text) = (call.text(0)?, call.text(1)?);
    let from = if call.given(2) { byte_at(text, whole(call.arg(2).finite()?, 1.0) - 1) } else { 0 };
    let rest = text.get(from..).unwrap_or_default();
    let before = units(text.get(..from).unwrap_or_default());
    if needle.is_ascii() && rest.is_ascii() {
        let (needle, rest) = (needle.to_ascii_lowercase(), rest.to_ascii_lowercase());
        return Ok(memmem::find(rest.as_bytes(), needle.as_bytes()).map(|at| before + at + 1));
    }
    // Lower-casing may change lengths: keep for every unit of the lowered text its character's place.
    let needle = needle.to_lowercase();
    let (mut lowered, mut places) = (String::with_capacity(rest.len()), Vec::with_capacity(rest.len()));
    let mut place = before;
    for c in rest.chars() {
        for low in c.to_lowercase() {
            places.extend(std::iter::repeat_n(place, low.len_utf8()));
            lowered.push(low);
        }
        place += c.len_utf16();
    }
    places.push(place);
    Ok(lowered.find(&needle).and_then(|at| places.get(at)).map(|place| place + 1))
}

fn replace<'a>(call: &Call<'a, '_>) -> Result<Value<'a>, Fault> {
    let text = call.text(0)?;
    let (start, count) = (call.arg(1).finite()?.floor(), call.arg(2).finite()?.floor());
    if start < 1.0 || start > units(text) as f64 {
        return Err(Fault::OutOfText);
    }
    if count < 0.0 {
        return Err(Fault::NegativeCount);
    }
    let (before, rest) = text.split_at(byte_at(text, whole(start, 1.0) - 1));
    let mut out = call.work.builder();
    out.push_str(before);
    out.push_str(call.text(3)?);
    out.push_str(tail(rest, whole(count, 0.0)));
    Ok(Value::Text(call.work.finish(out)?))
}

fn repeat<'a>(call: &Call<'a, '_>) -> Result<Value<'a>, Fault> {
    let (text, count) = (call.text(0)?, call.arg(1).finite()?);
    if count < 0.0 {
        return Err(Fault::NegativeCount);
    }
    let count = whole(count, 0.0);
    // Refused before anything is made: REPT("x", 1000000000).
    if text.len().checked_mul(count).is_none_or(|length| length > MAX_TEXT_RESULT) {
        return Err(Fault::TooLong);
    }
    let mut out = call.work.builder();
    (0..if text.is_empty() { 0 } else { count }).for_each(|_| out.push_str(text));
    Ok(Value::Text(call.work.finish(out)?))
}

fn substitute<'a>(call: &Call<'a, '_>) -> Result<Value<'a>, Fault> {
    let (text, old, new) = (call.text(0)?, call.text(1)?, call.text(2)?);
    let only = if call.given(3) { Some(whole(call.arg(3).finite()?, 0.0)) } else { None };
    if old.is_empty() || only == Some(0) {
        return Ok(Value::Text(text));
    }
    let owned;
    let finder = match call.ready {
        Ready::Needle(finder) => &**finder,
        _ => {
            owned = memmem::Finder::new(old.as_bytes()).into_owned();
            &owned
        }
    };
    let mut out = call.work.builder();
    let mut done = 0;
    for (n, at) in finder.find_iter(text.as_bytes()).enumerate() {
        if only.is_some_and(|only| only != n + 1) {
            continue;
        }
        out.push_str(text.get(done..at).unwrap_or_default());
        out.push_str(new);
        done = at + old.len();
        if out.len() > MAX_TEXT_RESULT {
            return Err(Fault::TooLong);
        }
    }
    if done == 0 {
        return Ok(Value::Text(text));
    }
    out.push_str(text.get(done..).unwrap_or_default());
    Ok(Value::Text(call.work.finish(out)?))
}

/// The number in a text: its digits and first point; a minus counts when nothing stands before
/// it but white space and currency signs.
fn number_in<'a>(call: &Call<'a, '_>) -> Result<Value<'a>, Fault> {
    match call.arg(0) {
        Value::Number(number) => return Ok(Value::Number(number)),
        Value::Bool(truth) => return Ok(Value::Number(f64::from(u8::from(truth)))),
        _ => {}
    }
    let mut digits = String::new();
    let (mut point, mut plain) = (false, true);
    for c in call.text(0)?.chars() {
        match c {
            '0'..='9' => digits.push(c),
            '.' if !point => {
                point = true;
                digits.push(c);
            }
            '-' if digits.is_empty() && plain => digits.push(c),
            c => plain &= c.is_whitespace() || "$€£¥".contains(c),
        }
    }
    if !digits.bytes().any(|b| b.is_ascii_digit()) {
        return Err(Fault::NoDigits);
    }
    digits.parse().map(Value::Number).map_err(|_| Fault::NoDigits)
}

fn pattern<'a>(function: Function, call: &Call<'a, '_>) -> Result<Value<'a>, Fault> {
    let text = call.text(0)?;
    let made;
    let pattern = match call.ready {
        Ready::Pattern(Some(pattern)) => pattern,
        Ready::Pattern(None) => return Err(Fault::BadPattern),
        _ => {
            made = Pattern::new(call.text(1)?).map_err(|_| Fault::BadPattern)?;
            // Compiling costs far more than matching.
            call.work.spend(10_000)?;
            &made
        }
    };
    Ok(match function {
        Function::RegexMatch => Value::Bool(pattern.is_match(text)),
        Function::RegexExtract => Value::Text(pattern.find(text).ok_or(Fault::NoMatch)?),
        _ => {
            let mut out = call.work.builder();
            if !pattern.replace_all(text, call.text(2)?, &mut out, MAX_TEXT_RESULT) {
                return Err(Fault::TooLong);
            }
            Value::Text(call.work.finish(out)?)
        }
    })
}
