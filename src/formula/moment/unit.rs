//! Units of time: adding, differences and starts.

use super::civil::{
    DAY, HOUR, MINUTE, SECOND, civil, date_of, days_from, days_in_month, in_range, weekday_of,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    Millisecond,
    Second,
    Minute,
    Hour,
    Day,
    Week,
    Month,
    Quarter,
    Year,
}

impl Unit {
    /// A unit by any of Moment's names. Letter case counts only where it must: `M` is months and
    /// `m` minutes. Moment's `date` and `isoWeek` are taken as day and week.
    pub fn named(text: &str) -> Option<Unit> {
        exact(text).or_else(|| exact(&text.to_lowercase()))
    }
}

fn exact(text: &str) -> Option<Unit> {
    Some(match text {
        "ms" | "millisecond" | "milliseconds" => Unit::Millisecond,
        "s" | "second" | "seconds" => Unit::Second,
        "m" | "minute" | "minutes" => Unit::Minute,
        "h" | "hour" | "hours" => Unit::Hour,
        "d" | "day" | "days" | "D" | "date" | "dates" => Unit::Day,
        "w" | "week" | "weeks" | "W" | "isoweek" | "isoweeks" => Unit::Week,
        "M" | "month" | "months" => Unit::Month,
        "Q" | "quarter" | "quarters" => Unit::Quarter,
        "y" | "year" | "years" => Unit::Year,
        _ => return None,
    })
}

// More than the whole representable range in the smallest of the two calendar units; what is
// larger cannot give a result, and what is smaller cannot overflow below.
const MOST: f64 = 1e8;

/// The instant moved by an amount. Months and longer keep the day, or take the last one of a
/// shorter month, and are rounded to whole months; weeks and days are rounded to whole days. An
/// amount that is not a number moves nothing, as in Moment.
pub fn add(ms: i64, amount: f64, unit: Unit) -> Option<i64> {
    if amount.is_nan() {
        return in_range(ms);
    }
    in_range(ms)?;
    match unit {
        Unit::Year => add_months(ms, amount * 12.0),
        Unit::Quarter => add_months(ms, amount * 3.0),
        Unit::Month => add_months(ms, amount),
        Unit::Week => add_days(ms, amount * 7.0),
        Unit::Day => add_days(ms, amount),
        Unit::Hour => add_elapsed(ms, amount * 1_000.0 * 60.0 * 60.0),
        Unit::Minute => add_elapsed(ms, amount * 60_000.0),
        Unit::Second => add_elapsed(ms, amount * 1_000.0),
        Unit::Millisecond => add_elapsed(ms, amount),
    }
}

/// Rounded half away from zero, within `MOST`.
fn whole(amount: f64) -> Option<i64> {
    let size = amount.abs().round();
    (size <= MOST).then_some(if amount < 0.0 { -(size as i64) } else { size as i64 })
}

fn add_days(ms: i64, days: f64) -> Option<i64> {
    in_range(whole(days)?.checked_mul(DAY)?.checked_add(ms)?)
}

fn add_elapsed(ms: i64, elapsed: f64) -> Option<i64> {
    let to = ms as f64 + elapsed;
    // Beyond 2^53 nothing is representable anyway.
    if to.abs() > 9e15 { None } else { in_range(to as i64) }
}

fn add_months(ms: i64, months: f64) -> Option<i64> {
    in_range(move_months(ms, whole(months)?))
}

/// Moved by whole months, kept inside the month. Amounts are within `MOST`, so nothing overflows.
pub(super) fn move_months(ms: i64, months: i64) -> i64 {
    if months == 0 {
        return ms;
    }
    let (year, month, day) = date_of(ms.div_euclid(DAY));
    let count = year * 12 + (month - 1) + months;
    let (year, month) = (count.div_euclid(12), count.rem_euclid(12) + 1);
    let day = day.min(days_in_month(year, month));
    days_from(year, month, day) * DAY + ms.rem_euclid(DAY)
}

/// How many whole units lie between two instants, `a - b`, cut toward zero.
pub fn diff(a: i64, b: i64, unit: Unit) -> f64 {
    let (a, b) = (clamp(a), clamp(b));
    let elapsed = (a - b) as f64;
    let exact = match unit {
        Unit::Year => month_diff(a, b) / 12.0,
        Unit::Quarter => month_diff(a, b) / 3.0,
        Unit::Month => month_diff(a, b),
        Unit::Week => elapsed / (7 * DAY) as f64,
        Unit::Day => elapsed / DAY as f64,
        Unit::Hour => elapsed / HOUR as f64,
        Unit::Minute => elapsed / MINUTE as f64,
        Unit::Second => elapsed / SECOND as f64,
        Unit::Millisecond => elapsed,
    };
    // Adding zero turns a negative zero into a plain one.
    exact.trunc() + 0.0
}

/// Instants outside the range cannot come from this module; this only keeps sums from overflowing.
pub(super) fn clamp(ms: i64) -> i64 {
    ms.clamp(super::EARLIEST, super::LATEST)
}

/// Months from `b` to `a` with a fraction, linear between the two nearest months' same days.
fn month_diff(a: i64, b: i64) -> f64 {
    let ((ay, am, ad), (by, bm, bd)) = (date_of(a.div_euclid(DAY)), date_of(b.div_euclid(DAY)));
    if ad < bd {
        // The instant with the later day anchors, so that a short month does not lose days.
        return -month_diff(b, a) + 0.0;
    }
    let whole = (by - ay) * 12 + (bm - am);
    let anchor = move_months(a, whole);
    let rest = (b - anchor) as f64;
    let part = if b < anchor {
        rest / (anchor - move_months(a, whole - 1)) as f64
    } else {
        rest / (move_months(a, whole + 1) - anchor) as f64
    };
    -(whole as f64 + part) + 0.0
}

/// The start of the unit that holds the instant, in UTC. Weeks start on Sunday.
pub fn start_of(ms: i64, unit: Unit) -> i64 {
    let ms = clamp(ms);
    let at = civil(ms);
    let (year, month) = (i64::from(at.year), i64::from(at.month));
    let day = ms.div_euclid(DAY);
    match unit {
        Unit::Year => days_from(year, 1, 1) * DAY,
        Unit::Quarter => days_from(year, (month - 1) / 3 * 3 + 1, 1) * DAY,
        Unit::Month => days_from(year, month, 1) * DAY,
        Unit::Week => (day - weekday_of(day)) * DAY,
        Unit::Day => day * DAY,
        Unit::Hour => ms - ms.rem_euclid(HOUR),
        Unit::Minute => ms - ms.rem_euclid(MINUTE),
        Unit::Second => ms - ms.rem_euclid(SECOND),
        Unit::Millisecond => ms,
    }
}
