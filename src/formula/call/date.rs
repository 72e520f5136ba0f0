//! Functions over dates. All parts are read in GMT.

use super::Call;
use crate::dialect;
use crate::fault::Fault;
use crate::function::Function;
use crate::moment::{self, Format, Locale, ParseFormat, Unit, Zone};
use crate::program::Ready;
use crate::value::{Style, Value};

const DAY: i64 = 86_400_000;

/// Furthest WORKDAY counts; two thousand years of working days.
const MAX_WORKDAYS: f64 = 520_000.0;

pub(super) fn call<'a>(function: Function, call: &Call<'a, '_>) -> Result<Value<'a>, Fault> {
    use Function as F;
    let date = |at: usize| call.arg(at).date().map(|(ms, _)| ms);
    let number = |n: i64| Ok(Value::Number(n as f64));
    match function {
        F::Now => Ok(Value::Date(call.work.now, None)),
        F::Today => Ok(Value::Date(moment::start_of(call.work.now, Unit::Day), None)),
        F::Year => number(moment::civil(date(0)?).year.into()),
        F::Month => number(moment::civil(date(0)?).month.into()),
        F::Day => number(moment::civil(date(0)?).day.into()),
        F::Hour => number(date(0)?.rem_euclid(DAY) / 3_600_000),
        F::Minute => number(date(0)?.rem_euclid(3_600_000) / 60_000),
        F::Second => number(date(0)?.rem_euclid(60_000) / 1000),
        F::Weekday => {
            let weekday = moment::civil(date(0)?).weekday;
            number(((weekday + 7 - first_day(call)?) % 7).into())
        }
        F::Weeknum => {
            // The week of 1 January is week 1, and weeks count up to the end of the year.
            let civil = moment::civil(date(0)?);
            let (day, first) = (i64::from(civil.day_of_year) - 1, i64::from(first_day(call)?));
            let january = (i64::from(civil.weekday) - day - first).rem_euclid(7);
            number((day + january) / 7 + 1)
        }
        F::IsAfter => Ok(Value::Bool(date(0)? > date(1)?)),
        F::IsBefore => Ok(Value::Bool(date(0)? < date(1)?)),
        F::IsSame => {
            let (a, b) = (date(0)?, date(1)?);
            if !call.given(2) {
                return Ok(Value::Bool(a == b));
            }
            let unit = unit(call, 2)?.ok_or(Fault::UnknownUnit)?;
            Ok(Value::Bool(moment::start_of(a, unit) == moment::start_of(b, unit)))
        }
        F::DateAdd => {
            let (ms, style) = call.arg(0).date()?;
            let amount = call.arg(1).finite()?;
            let unit = unit(call, 2)?.ok_or(Fault::UnknownUnit)?;
            moment::add(ms, amount, unit).map(|ms| Value::Date(ms, style)).ok_or(Fault::DateOutOfRange)
        }
        F::DatetimeDiff => {
            let (a, b) = (date(0)?, date(1)?);
            let unit = if call.given(2) { unit(call, 2)? } else { None };
            Ok(Value::Number(moment::diff(a, b, unit.unwrap_or(dialect::DEFAULT_DIFFERENCE))))
        }
        F::DateStr => written(call, date(0)?, tablewright_core::model::cell::push_date),
        F::TimeStr => written(call, date(0)?, |out, ms| {
            use std::fmt::Write as _;
            let seconds = ms.rem_euclid(DAY) / 1000;
            let _ = write!(out, "{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
        }),
        F::DatetimeFormat => format(call),
        F::DatetimeParse => parse(call),
        F::SetTimezone | F::SetLocale => style(function, call),
        F::FromNow | F::ToNow => {
            let (ms, style) = call.arg(0).date()?;
            let locale = style.and_then(|style| style.locale).unwrap_or(Locale::english());
            let words = moment::relative(call.work.now, ms, locale);
            Ok(Value::Text(call.work.finish(words)?))
        }
        F::Workday => workday(call, date(0)?),
        _ => workday_diff(call, date(0)?, date(1)?),
    }
}

fn unit(call: &Call<'_, '_>, at: usize) -> Result<Option<Unit>, Fault> {
    match call.ready {
        Ready::Unit(unit) => Ok(*unit),
        _ => Ok(Unit::named(call.text(at)?)),
    }
}

fn first_day(call: &Call<'_, '_>) -> Result<u8, Fault> {
    if !call.given(1) {
        return Ok(0);
    }
    match call.text(1)? {
        "" => Ok(0),
        day if day.eq_ignore_ascii_case("sunday") => Ok(0),
        day if day.eq_ignore_ascii_case("monday") => Ok(1),
        _ => Err(Fault::UnknownWeekday),
    }
}

fn written<'a>(call: &Call<'a, '_>, ms: i64, write: impl Fn(&mut String, i64)) -> Result<Value<'a>, Fault> {
    let mut out = call.work.builder();
    write(&mut out, ms);
    Ok(Value::Text(call.work.finish(out)?))
}

fn format<'a>(call: &Call<'a, '_>) -> Result<Value<'a>, Fault> {
    let (ms, style) = call.arg(0).date()?;
    let zone = style.and_then(|style| style.zone).unwrap_or(Zone::utc());
    let locale = style.and_then(|style| style.locale).unwrap_or(Locale::english());
    let mut out = call.work.builder();
    match call.ready {
        Ready::Format(format, made_for) if std::ptr::eq(*made_for, locale) => {
            format.write(ms, zone, &mut out)
        }
        _ => {
            let text = if call.given(1) { call.text(1)? } else { "" };
            let text = if text.is_empty() { dialect::DEFAULT_DATE_FORMAT } else { text };
            call.work.spend(text.len() * 20)?;
            Format::new(text, locale).write(ms, zone, &mut out);
        }
    }
    Ok(Value::Text(call.work.finish(out)?))
}

fn parse<'a>(call: &Call<'a, '_>) -> Result<Value<'a>, Fault> {
    let text = call.text(0)?;
    if text.is_empty() {
        return Err(Fault::BlankDate);
    }
    let found = match call.ready {
        Ready::Parse(format) => format.parse(text, call.work.now),
        _ => {
            let format = if call.given(1) { call.text(1)? } else { "" };
            if format.is_empty() {
                // A date stays what it is.
                return call.arg(0).date().map(|(ms, _)| Value::Date(ms, None));
            }
            let locale = match call.arg(2) {
                Value::Blank => Locale::english(),
                code => Locale::named(code.text(call.work)?).ok_or(Fault::UnknownLocale)?,
            };
            call.work.spend(format.len() * 20)?;
            ParseFormat::new(format, locale).parse(text, call.work.now)
        }
    };
    found.map(|ms| Value::Date(ms, None)).ok_or(Fault::NotADate)
}

fn style<'a>(function: Function, call: &Call<'a, '_>) -> Result<Value<'a>, Fault> {
    let (ms, held) = call.arg(0).date()?;
    let mut style = held.copied().unwrap_or(Style { zone: None, locale: None });
    if function == Function::SetTimezone {
        let zone = match call.ready {
            Ready::Zone(zone) => *zone,
            _ => Zone::named(call.text(1)?),
        };
        style.zone = Some(zone.ok_or(Fault::UnknownZone)?);
    } else {
        let locale = match call.ready {
            Ready::Locale(locale) => *locale,
            _ => Locale::named(call.text(1)?),
        };
        style.locale = Some(locale.ok_or(Fault::UnknownLocale)?);
    }
    Ok(Value::Date(ms, Some(call.work.arena.alloc(style))))
}

fn is_working(day: i64, holidays: &[i64]) -> bool {
    // Day 0, 1 January 1970, was a Thursday.
    (day + 4).rem_euclid(7) % 6 != 0 && !holidays.contains(&day)
}

/// The days of ISO dates with commas between.
fn holidays(call: &Call<'_, '_>, at: usize) -> Result<Vec<i64>, Fault> {
    if !call.given(at) {
        return Ok(Vec::new());
    }
    let mut days = Vec::new();
    for date in call.text(at)?.split(',').map(str::trim).filter(|date| !date.is_empty()) {
        days.push(moment::parse_lenient(date).ok_or(Fault::NotADate)?.div_euclid(DAY));
    }
    Ok(days)
}

fn workday<'a>(call: &Call<'a, '_>, start: i64) -> Result<Value<'a>, Fault> {
    let count = call.arg(1).finite()?.trunc();
    let holidays = holidays(call, 2)?;
    if count.abs() > MAX_WORKDAYS {
        return Err(Fault::DateOutOfRange);
    }
    let (step, mut left, mut day) = (if count < 0.0 { -1 } else { 1 }, count.abs(), start.div_euclid(DAY));
    while left > 0.0 {
        call.work.spend(holidays.len() + 10)?;
        day += step;
        left -= f64::from(u8::from(is_working(day, &holidays)));
    }
    let ms = day * DAY + start.rem_euclid(DAY);
    if !(moment::EARLIEST..=moment::LATEST).contains(&ms) {
        return Err(Fault::DateOutOfRange);
    }
    Ok(Value::Date(ms, None))
}

fn workday_diff<'a>(call: &Call<'a, '_>, start: i64, end: i64) -> Result<Value<'a>, Fault> {
    let mut holidays = holidays(call, 2)?;
    let (a, b) = (start.div_euclid(DAY), end.div_euclid(DAY));
    let (low, high) = (a.min(b), a.max(b));
    // Whole weeks have five working days; only the rest is walked.
    let weeks = (high - low + 1) / 7;
    let mut days = weeks * 5 + (low + weeks * 7..=high).filter(|day| is_working(*day, &[])).count() as i64;
    holidays.sort_unstable();
    holidays.dedup();
    days -=
        holidays.iter().filter(|day| (low..=high).contains(*day) && is_working(**day, &[])).count() as i64;
    if !dialect::WORKDAY_DIFF_COUNTS_START && is_working(a, &holidays) {
        days -= 1;
    }
    Ok(Value::Number(if b < a { -days } else { days } as f64))
}
