//! ISO 8601: calendar, week and ordinal dates, with or without separators.

use super::super::civil::{
    DAY, HOUR, MINUTE, SECOND, date_of, day_of_week, days_from, days_in_year, in_range, weeks_in_year,
};
use super::super::resolve::checked_days;

pub(super) enum Outcome {
    /// The text has another shape.
    Other,
    /// The text has the shape; None if there is no such date.
    Date(Option<i64>),
}

struct Reader<'a> {
    bytes: &'a [u8],
}

pub(super) fn read(text: &str) -> Outcome {
    let mut reader = Reader { bytes: text.as_bytes() };
    let Some((date, extended)) = reader.date() else { return Outcome::Other };
    let mut clock = Some(0);
    let mut offset = 0;
    if !reader.bytes.is_empty() {
        // Only a full date may have a time.
        let full = !matches!(date, Date::Week { day: None, .. } | Date::Month { .. });
        let begins = reader.take(b'T') || reader.take(b' ');
        let time = if full && begins { reader.time(extended) } else { None };
        let Some(time) = time else { return Outcome::Other };
        let Some(minutes) = reader.offset() else { return Outcome::Other };
        (clock, offset) = (time.check(), minutes);
    }
    let at = || in_range(date.days()? * DAY + clock? - offset * MINUTE);
    Outcome::Date(at())
}

#[derive(Clone, Copy)]
enum Date {
    Day { year: i64, month: i64, day: i64 },
    Ordinal { year: i64, day: i64 },
    Week { year: i64, week: i64, day: Option<i64> },
    Month { year: i64, month: i64 },
}

impl Date {
    fn days(self) -> Option<i64> {
        match self {
            Date::Day { year, month, day } => checked_days(year, month, day),
            Date::Month { year, month } => checked_days(year, month, 1),
            Date::Ordinal { year, day } => {
                checked_days(year, 1, 1)?;
                (1..=days_in_year(year)).contains(&day).then(|| days_from(year, 1, 1) + day - 1)
            }
            Date::Week { year, week, day } => {
                checked_days(year, 1, 1)?;
                let day = day.unwrap_or(1);
                let exists = (1..=weeks_in_year(year, 1, 4)).contains(&week);
                if !exists || !(1..=7).contains(&day) {
                    return None;
                }
                let (year, day) = day_of_week(year, week, day, 1, 4);
                let days = days_from(year, 1, 1) + day - 1;
                let (year, month, day) = date_of(days);
                checked_days(year, month, day)
            }
        }
    }
}

#[derive(Default)]
struct Time {
    hour: i64,
    minute: i64,
    second: i64,
    ms: i64,
}

impl Time {
    fn check(&self) -> Option<i64> {
        let midnight = self.hour == 24 && (self.minute, self.second, self.ms) == (0, 0, 0);
        let possible = (self.hour < 24 || midnight) && self.minute < 60 && self.second < 60;
        possible.then_some(self.hour * HOUR + self.minute * MINUTE + self.second * SECOND + self.ms)
    }
}

impl Reader<'_> {
    fn take(&mut self, byte: u8) -> bool {
        match self.bytes.split_first() {
            Some((first, rest)) if *first == byte => {
                self.bytes = rest;
                true
            }
            _ => false,
        }
    }

    fn run(&self) -> usize {
        self.bytes.iter().take_while(|b| b.is_ascii_digit()).count()
    }

    /// Exactly so many digits.
    fn digits(&mut self, count: usize) -> Option<i64> {
        let (digits, rest) = self.bytes.split_at_checked(count)?;
        if !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        self.bytes = rest;
        Some(digits.iter().fold(0, |sum, b| sum * 10 + i64::from(b - b'0')))
    }

    /// The date, and whether it is written with separators.
    fn date(&mut self) -> Option<(Date, bool)> {
        let sign = match self.bytes.first()? {
            b'+' => 1,
            b'-' => -1,
            _ => 0,
        };
        let year = if sign == 0 {
            self.digits(4)?
        } else {
            self.bytes = self.bytes.get(1..)?;
            sign * self.digits(6)?
        };
        let extended = self.take(b'-');
        if self.take(b'W') {
            let week = self.digits(2)?;
            let more = if extended { self.take(b'-') } else { self.run() > 0 };
            let day = if more { Some(self.digits(1)?) } else { None };
            return Some((Date::Week { year, week, day }, extended));
        }
        let date = match (self.run(), extended) {
            (2, true) => {
                let month = self.digits(2)?;
                if self.take(b'-') {
                    Date::Day { year, month, day: self.digits(2)? }
                } else {
                    Date::Month { year, month }
                }
            }
            (4, false) => Date::Day { year, month: self.digits(2)?, day: self.digits(2)? },
            (3, _) => Date::Ordinal { year, day: self.digits(3)? },
            (2, false) => Date::Month { year, month: self.digits(2)? },
            (0, false) => Date::Month { year, month: 1 },
            _ => return None,
        };
        // What follows must not be more digits.
        (self.run() == 0).then_some((date, extended))
    }

    fn time(&mut self, extended: bool) -> Option<Time> {
        let mut time = Time { hour: self.digits(2)?, ..Time::default() };
        let more = |reader: &mut Self| if extended { reader.take(b':') } else { reader.run() > 0 };
        if more(self) {
            time.minute = self.digits(2)?;
            if more(self) {
                time.second = self.digits(2)?;
                if self.take(b'.') || self.take(b',') {
                    time.ms = self.fraction()?;
                }
            }
        }
        (self.run() == 0).then_some(time)
    }

    /// Milliseconds of a fraction of a second, cut.
    fn fraction(&mut self) -> Option<i64> {
        let run = self.run();
        let (digits, rest) = self.bytes.split_at_checked(run).filter(|_| run > 0)?;
        self.bytes = rest;
        let three = digits.iter().copied().chain([b'0'; 2]).take(3);
        Some(three.fold(0, |sum, b| sum * 10 + i64::from(b - b'0')))
    }

    /// Minutes east of UTC, up to the end of the text.
    fn offset(&mut self) -> Option<i64> {
        if self.bytes.is_empty() {
            return Some(0);
        }
        let sign = if self.take(b'+') {
            1
        } else if self.take(b'-') {
            -1
        } else {
            while self.take(b' ') || self.take(b'\t') {}
            return (self.take(b'Z') && self.bytes.is_empty()).then_some(0);
        };
        let hours = self.digits(2)?;
        self.take(b':');
        let minutes = if self.bytes.is_empty() { 0 } else { self.digits(2)? };
        self.bytes.is_empty().then_some(sign * (hours * 60 + minutes))
    }
}
