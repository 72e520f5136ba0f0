//! Relative texts such as "2 months", without "in" or "ago".

use super::civil::{DAY, HOUR, MINUTE, SECOND};
use super::locale::Locale;
use super::unit::{clamp, move_months};

// Days and months are turned into each other over whole cycles of 400 years.
const DAYS: f64 = 146_097.0;
const MONTHS: f64 = 4_800.0;

/// How long a time is in words. The sign only matters to locales that word the past and the
/// future differently.
pub fn humanize(delta_ms: i64, locale: &'static Locale) -> String {
    words(0, delta_ms, locale)
}

/// How far `to` is from `from` in words, months counted on the calendar. Moment's
/// `date.fromNow(true)` is `relative(now, date)` and its `date.toNow(true)` is
/// `relative(date, now)`.
pub fn relative(from: i64, to: i64, locale: &'static Locale) -> String {
    let (from, to) = (clamp(from), clamp(to));
    let (first, last) = (from.min(to), from.max(to));
    let mut months = month_count(last) - month_count(first);
    if move_months(first, months) > last {
        months -= 1;
    }
    let rest = last - move_months(first, months);
    if from < to { words(months, rest, locale) } else { words(-months, -rest, locale) }
}

fn month_count(ms: i64) -> i64 {
    let at = super::civil(ms);
    i64::from(at.year) * 12 + i64::from(at.month)
}

fn words(months: i64, ms: i64, locale: &'static Locale) -> String {
    let future = months > 0 || (months == 0 && ms > 0);
    let months = months.unsigned_abs() as f64;
    let ms = ms.unsigned_abs() as f64;
    let days = (months * DAYS / MONTHS).round();
    let seconds = (days * 86_400.0 + ms / SECOND as f64).round();
    let minutes = (days * 1_440.0 + ms / MINUTE as f64).round();
    let hours = (days * 24.0 + ms / HOUR as f64).round();
    let whole_days = (days + ms / DAY as f64).round();
    let exact_months = months + ms / DAY as f64 * MONTHS / DAYS;
    let (whole_months, years) = (exact_months.round(), (exact_months / 12.0).round());
    let (key, number) = if seconds <= 44.0 {
        ("s", seconds)
    } else if minutes <= 1.0 {
        ("m", 1.0)
    } else if minutes < 45.0 {
        ("mm", minutes)
    } else if hours <= 1.0 {
        ("h", 1.0)
    } else if hours < 22.0 {
        ("hh", hours)
    } else if whole_days <= 1.0 {
        ("d", 1.0)
    } else if whole_days < 26.0 {
        ("dd", whole_days)
    } else if whole_months <= 1.0 {
        ("M", 1.0)
    } else if whole_months < 11.0 {
        ("MM", whole_months)
    } else if years <= 1.0 {
        ("y", 1.0)
    } else {
        ("yy", years)
    };
    let mut out = String::new();
    if let Some(text) = locale.relative.get(key) {
        text.toward(future).write((number as i64).max(1), &mut out);
    }
    locale.exchange_written(0, &mut out);
    out
}
