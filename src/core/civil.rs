//! Calendar arithmetic on the proleptic Gregorian calendar.

/// A second, in milliseconds.
pub const SECOND: i64 = 1_000;
/// A minute, in milliseconds.
pub const MINUTE: i64 = 60 * SECOND;
/// An hour, in milliseconds.
pub const HOUR: i64 = 60 * MINUTE;
/// A day, in milliseconds.
pub const DAY: i64 = 24 * HOUR;

/// The first instant of the year -9999.
pub const EARLIEST: i64 = -377_705_116_800_000;
/// The last instant of the year 9999.
pub const LATEST: i64 = 253_402_300_799_999;

/// The parts of an instant on the calendar and the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Civil {
    pub year: i32,
    /// 1 to 12.
    pub month: u8,
    pub day: u8,
    pub hour: u8,
    pub minute: u8,
    pub second: u8,
    pub millisecond: u16,
    /// 0 is Sunday.
    pub weekday: u8,
    /// 1 to 366.
    pub day_of_year: u16,
}

/// The UTC parts of an instant. Far outside the representable range the nearest end is shown.
pub fn civil(ms: i64) -> Civil {
    // A day of slack on both sides, so that a local time beyond the ends is still right.
    let ms = ms.clamp(EARLIEST - 2 * DAY, LATEST + 2 * DAY);
    // Counted from a start of a 400-year cycle before all that can be shown, all is positive, and
    // positive numbers divide faster.
    let shifted = (ms + CYCLE_START * DAY) as u64;
    let days = (shifted / DAY as u64) as u32;
    let clock = (shifted % DAY as u64) as u32;
    let (cycle_year, month, day, from_march) = split(days);
    let year = cycle_year as i32 - 400 * CYCLES as i32;
    let day_of_year =
        if month <= 2 { from_march - 305 } else { from_march + 60 + u32::from(is_leap(i64::from(year))) };
    let seconds = clock / 1_000;
    Civil {
        year,
        month: month as u8,
        day: day as u8,
        hour: (seconds / 3_600) as u8,
        minute: (seconds / 60 % 60) as u8,
        second: (seconds % 60) as u8,
        millisecond: (clock % 1_000) as u16,
        // The cycle starts on a Wednesday.
        weekday: ((days + 3) % 7) as u8,
        day_of_year: day_of_year as u16,
    }
}

const CYCLES: i64 = 30;
/// Days from the start of the first cycle, a 1 March, to the epoch.
const CYCLE_START: i64 = 719_468 + CYCLES * 146_097;

/// Year, month, day and the day of the year from March (0 is 1 March) of a number of days since a
/// 1 March of year 0. After Neri and Schneider, "Euclidean affine functions and their application
/// to calendar algorithms" (2023): divisions become multiplications.
fn split(days: u32) -> (u32, u32, u32, u32) {
    let quarters = 4 * days + 3;
    let century = quarters / 146_097;
    let of_century = (quarters % 146_097) | 3;
    let product = 2_939_745 * u64::from(of_century);
    let year_of_century = (product >> 32) as u32;
    let from_march = (product as u32) / 2_939_745 / 4;
    let line = 2_141 * from_march + 197_913;
    let (month, day) = (line >> 16, (line & 0xffff) / 2_141 + 1);
    let next_year = from_march >= 306;
    let year = 100 * century + year_of_century + u32::from(next_year);
    (year, if next_year { month - 12 } else { month }, day, from_march)
}

/// The instant of a UTC date and time. None if a part is outside its own range (month 13, 30
/// February, hour 24) or the instant is not representable.
pub fn instant(year: i64, month: i64, day: i64, hour: i64, minute: i64, second: i64, ms: i64) -> Option<i64> {
    let valid = (-9_999..=9_999).contains(&year)
        && (1..=12).contains(&month)
        && (1..=days_in_month(year, month)).contains(&day)
        && (0..24).contains(&hour)
        && (0..60).contains(&minute)
        && (0..60).contains(&second)
        && (0..1_000).contains(&ms);
    if !valid {
        return None;
    }
    let clock = hour * HOUR + minute * MINUTE + second * SECOND + ms;
    in_range(days_from(year, month, day) * DAY + clock)
}

pub fn in_range(ms: i64) -> Option<i64> {
    (EARLIEST..=LATEST).contains(&ms).then_some(ms)
}

pub fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

pub fn days_in_year(year: i64) -> i64 {
    if is_leap(year) { 366 } else { 365 }
}

/// Days of a month, 1 to 12.
pub fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since the epoch. The month must be 1 to 12; the day may run over in either direction.
pub fn days_from(year: i64, month: i64, day: i64) -> i64 {
    // Years start in March here, so that the leap day is the last one.
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let from_march = (month + 9) % 12;
    let of_year = (153 * from_march + 2) / 5;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year + day - 1 - 719_468
}

/// Year, month and day of a number of days since the epoch, which may lie far outside the range.
pub fn date_of(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let (year, month, day, _) = split(shifted.rem_euclid(146_097) as u32);
    (i64::from(year) + shifted.div_euclid(146_097) * 400, i64::from(month), i64::from(day))
}

/// 0 is Sunday.
pub fn weekday_of(days: i64) -> i64 {
    (days + 4).rem_euclid(7)
}

/// The ISO week and the year it belongs to.
pub fn iso_week(ms: i64) -> (i32, u8) {
    week(ms, 1, 4)
}

/// The week and its year, where weeks start on `dow` (0 is Sunday) and the first week is the one
/// that holds 7 + `dow` - `doy` January.
pub fn week(ms: i64, dow: u8, doy: u8) -> (i32, u8) {
    let (year, week) = week_of(&civil(ms), dow, doy);
    (year as i32, week as u8)
}

pub fn week_of(at: &Civil, dow: u8, doy: u8) -> (i64, i64) {
    let (dow, doy) = (i64::from(dow), i64::from(doy));
    let year = i64::from(at.year);
    let offset = first_week_offset(year, dow, doy);
    let week = (i64::from(at.day_of_year) - offset - 1).div_euclid(7) + 1;
    if week < 1 {
        return (year - 1, week + weeks_in_year(year - 1, dow, doy));
    }
    let weeks = weeks_in_year(year, dow, doy);
    if week > weeks { (year + 1, week - weeks) } else { (year, week) }
}

/// Days from 1 January to the start of the first week.
fn first_week_offset(year: i64, dow: i64, doy: i64) -> i64 {
    let always_inside = 7 + dow - doy;
    let weekday = weekday_of(days_from(year, 1, always_inside));
    always_inside - 1 - (7 + weekday - dow).rem_euclid(7)
}

pub fn weeks_in_year(year: i64, dow: i64, doy: i64) -> i64 {
    let offset = first_week_offset(year, dow, doy);
    let next = first_week_offset(year + 1, dow, doy);
    (days_in_year(year) - offset + next) / 7
}

/// The year and the day of the year of a weekday in a week.
pub fn day_of_week(year: i64, week: i64, weekday: i64, dow: i64, doy: i64) -> (i64, i64) {
    let local = (7 + weekday - dow).rem_euclid(7);
    let day = 1 + 7 * (week - 1) + local + first_week_offset(year, dow, doy);
    if day <= 0 {
        (year - 1, days_in_year(year - 1) + day)
    } else if day > days_in_year(year) {
        (year + 1, day - days_in_year(year))
    } else {
        (year, day)
    }
}
