//! Values while a formula is worked out, and how one kind is read as another.

use std::cmp::Ordering;

use bumpalo::Bump;
use ecow::EcoString;
use serde_json::{Value as Json, json};

use crate::dialect;
use crate::fault::Fault;
use crate::moment::{Locale, Zone, parse_lenient};
use crate::work::Work;

/// How DATETIME_FORMAT is to write a date.
#[derive(Clone, Copy)]
pub struct Style<'a> {
    /// The zone set by SET_TIMEZONE.
    pub zone: Option<&'a Zone>,
    /// The language set by SET_LOCALE.
    pub locale: Option<&'static Locale>,
}

/// A value; texts and lists live in the arena of the evaluation.
#[derive(Clone, Copy)]
pub enum Value<'a> {
    /// Nothing.
    Blank,
    /// True or false.
    Bool(bool),
    /// A number, special ones included.
    Number(f64),
    /// A text.
    Text(&'a str),
    /// An instant in milliseconds, and how to write it.
    Date(i64, Option<&'a Style<'a>>),
    /// A list.
    List(&'a [Value<'a>]),
    /// An error.
    Error(Fault),
}

impl std::fmt::Debug for Value<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.json())
    }
}

impl<'a> Value<'a> {
    /// True for nothing, an empty text and an empty list.
    #[inline]
    pub fn is_empty(self) -> bool {
        match self {
            Self::Blank => true,
            Self::Text(text) => text.is_empty(),
            Self::List(items) => items.is_empty(),
            _ => false,
        }
    }

    /// The value itself, or the one item of a list.
    #[inline]
    fn single(self) -> Self {
        match self {
            Self::List([]) => Self::Blank,
            Self::List([one]) => one.single(),
            other => other,
        }
    }

    /// As a number in arithmetic; special numbers pass.
    #[inline]
    pub fn number(self) -> Result<f64, Fault> {
        match self.single() {
            Self::Blank => Ok(0.0),
            Self::Bool(truth) => Ok(f64::from(u8::from(truth))),
            Self::Number(number) => Ok(number),
            Self::Text(text) => numeric(text).ok_or(Fault::NotANumber),
            Self::Date(..) => Err(Fault::DateInArithmetic),
            Self::List(_) => Err(Fault::ListAsNumber),
            Self::Error(fault) => Err(fault),
        }
    }

    /// As a number that is not special.
    #[inline]
    pub fn finite(self) -> Result<f64, Fault> {
        let number = self.number()?;
        if number.is_finite() { Ok(number) } else { Err(Fault::NotFinite) }
    }

    /// As a text.
    #[inline]
    pub fn text(self, work: &Work<'a>) -> Result<&'a str, Fault> {
        match self {
            Self::Text(text) => Ok(text),
            Self::Blank => Ok(""),
            Self::Bool(true) => Ok("1"),
            Self::Bool(false) => Ok("0"),
            Self::Error(fault) => Err(fault),
            other => {
                let mut out = work.builder();
                other.push_text(&mut out)?;
                work.finish(out)
            }
        }
    }

    /// Appends the value as text.
    pub fn push_text(self, out: &mut String) -> Result<(), Fault> {
        match self {
            Self::Blank => {}
            Self::Bool(truth) => out.push(if truth { '1' } else { '0' }),
            Self::Number(number) if number.is_finite() => push_number(out, number),
            Self::Number(_) => return Err(Fault::NotFinite),
            Self::Text(text) => out.push_str(text),
            Self::Date(ms, _) => tablewright_core::model::cell::push_instant(out, ms),
            Self::List(items) => {
                for (n, item) in items.iter().enumerate() {
                    out.push_str(if n > 0 { dialect::LIST_SEPARATOR } else { "" });
                    item.push_text(out)?;
                }
            }
            Self::Error(fault) => return Err(fault),
        }
        Ok(())
    }

    /// As a condition.
    #[inline]
    pub fn truth(self) -> Result<bool, Fault> {
        match self.single() {
            Self::Blank => Ok(false),
            Self::Bool(truth) => Ok(truth),
            Self::Number(number) if number.is_finite() => Ok(number != 0.0),
            Self::Number(_) => Err(Fault::NotFinite),
            Self::Text(text) => Ok(!text.is_empty()),
            Self::Date(..) | Self::List(_) => Ok(true),
            Self::Error(fault) => Err(fault),
        }
    }

    /// As a date, with how to write it.
    #[inline]
    pub fn date(self) -> Result<(i64, Option<&'a Style<'a>>), Fault> {
        match self.single() {
            Self::Date(ms, style) => Ok((ms, style)),
            Self::Blank | Self::Text("") => Err(Fault::BlankDate),
            Self::Text(text) => parse_lenient(text).map(|ms| (ms, None)).ok_or(Fault::NotADate),
            Self::Error(fault) => Err(fault),
            _ => Err(Fault::NotADate),
        }
    }

    /// As JSON: dates as ISO instants, special numbers as `{"specialValue": …}`.
    pub fn json(self) -> Json {
        match self {
            Self::Blank => Json::Null,
            Self::Bool(truth) => Json::Bool(truth),
            Self::Number(number) if number.is_finite() => tablewright_core::model::cell::json_number(number),
            Self::Number(number) => json!({ "specialValue": special(number) }),
            Self::Text(text) => Json::from(text),
            Self::Date(ms, _) => Json::String(tablewright_core::model::cell::instant_text(ms)),
            Self::List(items) => Json::Array(items.iter().map(|item| item.json()).collect()),
            Self::Error(_) => json!({ "error": "#ERROR!" }),
        }
    }

    /// A copy whose texts and lists live in `arena`.
    pub fn copy_to<'b>(self, arena: &'b Bump) -> Value<'b> {
        match self {
            Self::Blank => Value::Blank,
            Self::Bool(truth) => Value::Bool(truth),
            Self::Number(number) => Value::Number(number),
            Self::Text(text) => Value::Text(arena.alloc_str(text)),
            Self::Date(ms, _) => Value::Date(ms, None),
            Self::List(items) => {
                Value::List(arena.alloc_slice_fill_iter(items.iter().map(|item| item.copy_to(arena))))
            }
            Self::Error(fault) => Value::Error(fault),
        }
    }

    /// A copy that owns its texts.
    pub fn own(self) -> Owned {
        match self {
            Self::Blank => Owned::Blank,
            Self::Bool(truth) => Owned::Bool(truth),
            Self::Number(number) => Owned::Number(number),
            Self::Text(text) => Owned::Text(text.into()),
            Self::Date(ms, _) => Owned::Date(ms),
            Self::List(items) => Owned::List(items.iter().map(|item| item.own()).collect()),
            Self::Error(fault) => Owned::Error(fault),
        }
    }
}

/// The name of a number that is not finite.
pub(crate) fn special(number: f64) -> &'static str {
    match number {
        n if n.is_nan() => "NaN",
        n if n > 0.0 => "Infinity",
        _ => "-Infinity",
    }
}

/// A value that lives on its own: constants, inputs and results.
#[derive(Clone, Debug, PartialEq, Default)]
pub enum Owned {
    /// Nothing.
    #[default]
    Blank,
    /// True or false.
    Bool(bool),
    /// A number.
    Number(f64),
    /// A text.
    Text(EcoString),
    /// An instant in milliseconds.
    Date(i64),
    /// A list.
    List(Vec<Owned>),
    /// An error.
    Error(Fault),
}

impl Owned {
    /// The value, its lists in `arena`.
    pub fn value<'a>(&'a self, arena: &'a Bump) -> Value<'a> {
        match self {
            Self::Blank => Value::Blank,
            Self::Bool(truth) => Value::Bool(*truth),
            Self::Number(number) => Value::Number(*number),
            Self::Text(text) => Value::Text(text),
            Self::Date(ms) => Value::Date(*ms, None),
            Self::List(items) => {
                Value::List(arena.alloc_slice_fill_iter(items.iter().map(|item| item.value(arena))))
            }
            Self::Error(fault) => Value::Error(*fault),
        }
    }

    /// As JSON; see [`Value::json`].
    pub fn json(&self) -> Json {
        match self {
            Self::List(items) => Json::Array(items.iter().map(Self::json).collect()),
            Self::Blank => Json::Null,
            Self::Bool(truth) => Json::Bool(*truth),
            Self::Number(number) => Value::Number(*number).json(),
            Self::Text(text) => Json::from(text.as_str()),
            Self::Date(ms) => Value::Date(*ms, None).json(),
            Self::Error(fault) => Value::Error(*fault).json(),
        }
    }
}

/// Appends a number as JavaScript prints it; what cannot be told apart from an integer has no
/// point.
pub fn push_number(out: &mut String, number: f64) {
    if number.fract() == 0.0 && number.abs() < 1e15 {
        let mut buffer = itoa(number as i64);
        out.push_str(buffer.text());
    } else {
        out.push_str(ryu_js::Buffer::new().format_finite(number));
    }
}

struct Digits {
    bytes: [u8; 20],
    start: usize,
}

impl Digits {
    fn text(&mut self) -> &str {
        std::str::from_utf8(self.bytes.get(self.start..).unwrap_or_default()).unwrap_or_default()
    }
}

/// The digits of an integer of at most 15 of them; `write!` costs several times as much.
fn itoa(number: i64) -> Digits {
    let mut digits = Digits { bytes: [0; 20], start: 20 };
    let mut rest = number.unsigned_abs();
    loop {
        digits.start -= 1;
        digits.bytes[digits.start] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if number < 0 {
        digits.start -= 1;
        digits.bytes[digits.start] = b'-';
    }
    digits
}

/// The number a text is, when it is nothing else.
pub(crate) fn numeric(text: &str) -> Option<f64> {
    let text = text.trim();
    if text.is_empty() {
        return Some(0.0);
    }
    if !dialect::NUMERIC_TEXT_IS_NUMBER {
        return None;
    }
    // Rust also reads "inf", "nan" and the like, which are words here.
    let plain = text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'.' | b'e' | b'E'));
    if plain { text.parse().ok().filter(|n: &f64| n.is_finite()) } else { None }
}

/// The order of texts: by UTF-16 code unit, as JavaScript has it.
pub(crate) fn text_order(a: &str, b: &str) -> Ordering {
    let differ = a.bytes().zip(b.bytes()).find(|(a, b)| a != b);
    match differ {
        // UTF-8 orders otherwise only where one character is beyond the basic plane.
        Some((x, y)) if x.max(y) >= 0xee => a.encode_utf16().cmp(b.encode_utf16()),
        Some((x, y)) => x.cmp(&y),
        None => a.len().cmp(&b.len()),
    }
}

/// How two values compare; `None` when they are unequal without an order.
pub(crate) fn order<'a>(a: Value<'a>, b: Value<'a>, work: &Work<'a>) -> Result<Option<Ordering>, Fault> {
    use Value::{Blank, Bool, Date, Error, List, Number, Text};
    let number = |truth: bool| Number(f64::from(u8::from(truth)));
    Ok(match (a.single(), b.single()) {
        (Error(fault), _) | (_, Error(fault)) => return Err(fault),
        (Number(n), _) | (_, Number(n)) if !n.is_finite() => return Err(Fault::NotFinite),
        (Number(a), Number(b)) => a.partial_cmp(&b),
        (Text(a), Text(b)) => {
            work.spend(a.len().min(b.len()))?;
            Some(text_order(a, b))
        }
        (Date(a, _), Date(b, _)) => Some(a.cmp(&b)),
        (Blank, Blank) => Some(Ordering::Equal),
        (Blank, Number(b)) => 0.0.partial_cmp(&b),
        (Number(a), Blank) => a.partial_cmp(&0.0),
        (Blank, Text(b)) => Some("".cmp(b)),
        (Text(a), Blank) => Some(a.cmp("")),
        (Blank, Date(..)) => Some(Ordering::Less),
        (Date(..), Blank) => Some(Ordering::Greater),
        (Bool(a), b) => return order(number(a), b, work),
        (a, Bool(b)) => return order(a, number(b), work),
        (Blank, List(_)) => Some(Ordering::Less),
        (List(_), Blank) => Some(Ordering::Greater),
        (a @ List(_), b) | (a, b @ List(_)) => Some(text_order(a.text(work)?, b.text(work)?)),
        (Text(a), Number(b)) => match numeric(a).filter(|_| !a.trim().is_empty()) {
            Some(a) => a.partial_cmp(&b),
            None => Some(text_order(a, Number(b).text(work)?)),
        },
        (Number(a), Text(b)) => match numeric(b).filter(|_| !b.trim().is_empty()) {
            Some(b) => a.partial_cmp(&b),
            None => Some(text_order(Number(a).text(work)?, b)),
        },
        (Date(a, _), Text(b)) => match parse_lenient(b) {
            Some(b) => Some(a.cmp(&b)),
            None => Some(text_order(Date(a, None).text(work)?, b)),
        },
        (Text(a), Date(b, _)) => match parse_lenient(a) {
            Some(a) => Some(a.cmp(&b)),
            None => Some(text_order(a, Date(b, None).text(work)?)),
        },
        (Date(a, _), Number(b)) => (a as f64).partial_cmp(&b),
        (Number(a), Date(b, _)) => a.partial_cmp(&(b as f64)),
    })
}
