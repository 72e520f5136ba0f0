//! Reading a text by a format, as leniently as Moment does: what is left over and other separators
//! are tolerated, and what is missing is filled in.

use super::lenient::parse_lenient;
use super::locale::Locale;
use super::pattern::Pattern;
use super::resolve::Found;
use super::scan::{Find, leading_digits};
use super::token::{expand, sought, tokens};

/// A compiled format for reading.
#[derive(Debug)]
pub struct ParseFormat {
    locale: &'static Locale,
    steps: Vec<Step>,
    empty: bool,
}

#[derive(Debug)]
struct Step {
    find: Find,
    /// What is found counts as a date, even if it says nothing.
    known: bool,
    set: Set,
}

#[derive(Debug, Clone, Copy)]
enum Set {
    Nothing,
    Year,
    /// Two digits are taken as a year near 2000.
    YearOrShort,
    YearShort,
    EraYearOrdinal,
    Quarter,
    Month,
    MonthName {
        short: bool,
    },
    Day,
    DayOrdinal,
    DayOfYear,
    Weekday,
    WeekdayName(Width),
    LocaleWeekday,
    IsoWeekday,
    Week,
    WeekYear,
    WeekYearShort,
    IsoWeek,
    IsoWeekYear,
    IsoWeekYearShort,
    Era,
    Meridiem,
    Hour,
    Hour24,
    /// Digits without separators: hours, minutes and perhaps seconds.
    Clock {
        seconds: bool,
    },
    Minute,
    Second,
    Fraction,
    Offset,
    UnixSeconds,
    UnixMilliseconds,
}

#[derive(Debug, Clone, Copy)]
enum Width {
    Long,
    Short,
    Min,
}

/// Reads a text by a format. `now` fills in what the text does not say. To read many texts,
/// compile the format once as a `ParseFormat`.
pub fn parse(text: &str, format: &str, locale: &'static Locale, now: i64) -> Option<i64> {
    ParseFormat::new(format, locale).parse(text, now)
}

impl ParseFormat {
    /// Compiles a format. An empty one reads as `parse_lenient` does.
    pub fn new(format: &str, locale: &'static Locale) -> ParseFormat {
        let expanded = expand(format, |name| locale.long_date(name));
        let steps = tokens(&expanded).into_iter().map(|token| step(token, locale)).collect();
        ParseFormat { locale, steps, empty: format.is_empty() }
    }

    /// The instant a text says, or None if it says none or an impossible one.
    pub fn parse(&self, text: &str, now: i64) -> Option<i64> {
        let plain = self.locale.plain(text);
        let text = plain.as_deref().unwrap_or(text);
        if self.empty {
            return parse_lenient(text);
        }
        let mut found = Found::default();
        let mut rest = text;
        for step in &self.steps {
            let Some((start, end)) = step.find.find(rest).filter(|(start, end)| start < end) else {
                continue;
            };
            found.known |= step.known;
            self.set(step.set, rest.get(start..end)?, &mut found);
            rest = rest.get(end..)?;
        }
        found.resolve(self.locale, now)
    }

    fn set(&self, set: Set, text: &str, found: &mut Found) {
        match set {
            Set::Nothing => {}
            Set::Year => found.year = integer(text),
            Set::YearOrShort if text.len() == 2 => found.year = short_year(text),
            Set::YearOrShort => found.year = integer(text),
            Set::YearShort => found.year = short_year(text),
            Set::EraYearOrdinal => {
                let first = self.locale.eras().is_first_year(text);
                found.year = if first { Some(1) } else { integer(text) };
            }
            Set::Quarter => found.month = integer(text).map(|quarter| (quarter - 1) * 3 + 1),
            Set::Month => found.month = integer(text),
            Set::MonthName { short } => match self.month(text, short) {
                Some(month) => found.month = Some(month as i64 + 1),
                None => found.bad = true,
            },
            Set::Day => found.day = integer(text),
            Set::DayOrdinal => found.day = first_number(text),
            Set::DayOfYear => found.day_of_year = integer(text),
            Set::Weekday => found.weekday = integer(text),
            Set::WeekdayName(width) => match self.weekday(text, width) {
                Some(weekday) => found.weekday = Some(weekday as i64),
                None => found.bad = true,
            },
            Set::LocaleWeekday => found.locale_weekday = integer(text),
            Set::IsoWeekday => found.iso_weekday = integer(text),
            Set::Week => found.week = integer(text),
            Set::WeekYear => found.week_year = integer(text),
            Set::WeekYearShort => found.week_year = short_year(text),
            Set::IsoWeek => found.iso_week = integer(text),
            Set::IsoWeekYear => found.iso_week_year = integer(text),
            Set::IsoWeekYearShort => found.iso_week_year = short_year(text),
            Set::Era => match self.locale.eras().named(text) {
                Some(era) => found.era = Some(era),
                None => found.bad = true,
            },
            Set::Meridiem => found.meridiem = Some(text.to_owned()),
            Set::Hour => found.hour = integer(text),
            Set::Hour24 => found.hour = integer(text).map(|hour| if hour == 24 { 0 } else { hour }),
            Set::Clock { seconds } => clock(text, seconds, found),
            Set::Minute => found.minute = integer(text),
            Set::Second => found.second = integer(text),
            Set::Fraction => {
                let fraction = format!("0.{text}").parse::<f64>().unwrap_or(0.0);
                found.millisecond = Some((fraction * 1_000.0) as i64);
            }
            Set::Offset => found.offset = Some(offset_minutes(text)),
            Set::UnixSeconds => found.instant = text.parse::<f64>().ok().map(|s| s * 1_000.0),
            Set::UnixMilliseconds => found.instant = text.parse::<f64>().ok(),
        }
    }

    fn month(&self, text: &str, short: bool) -> Option<usize> {
        let lists = [&self.locale.months, &self.locale.months_short];
        let order = if short { [1, 0] } else { [0, 1] };
        self.locale.read_months.which(text, &lists, &order)
    }

    fn weekday(&self, text: &str, width: Width) -> Option<usize> {
        let locale = self.locale;
        let lists = [&locale.weekdays, &locale.weekdays_short, &locale.weekdays_min];
        let order = match width {
            Width::Long => [0, 1, 2],
            Width::Short => [1, 0, 2],
            Width::Min => [2, 0, 1],
        };
        locale.read_weekdays.which(text, &lists, &order)
    }
}

/// A whole number with or without a sign; what follows it is ignored. Too large ones stay large.
pub(super) fn integer(text: &str) -> Option<i64> {
    // Far above every limit that is checked later, far below what could overflow.
    const LARGE: i64 = 1_000_000_000_000;
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let digits = digits.get(..leading_digits(digits)).filter(|digits| !digits.is_empty())?;
    let add = |sum: i64, b: u8| (sum * 10 + i64::from(b - b'0')).min(LARGE);
    let size = digits.bytes().fold(0, add);
    Some(if negative { -size } else { size })
}

fn first_number(text: &str) -> Option<i64> {
    let (start, end) = Find::Digits(1, 2).find(text)?;
    integer(text.get(start..end)?)
}

fn short_year(text: &str) -> Option<i64> {
    integer(text).map(|year| if year > 68 { 1_900 + year } else { 2_000 + year })
}

fn clock(text: &str, seconds: bool, found: &mut Found) {
    let tail = if seconds { 4 } else { 2 };
    let Some((hour, rest)) = text.len().checked_sub(tail).and_then(|at| text.split_at_checked(at)) else {
        return;
    };
    found.hour = integer(hour);
    found.minute = rest.get(..2).and_then(integer);
    if seconds {
        found.second = rest.get(2..).and_then(integer);
    }
}

/// Minutes east of UTC of `Z`, `+01`, `+0130` or `+01:30`.
pub(super) fn offset_minutes(text: &str) -> i64 {
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    let hours = digits.get(..2).and_then(integer).unwrap_or(0);
    let minutes = digits.get(2..4).and_then(integer).unwrap_or(0);
    let sum = hours * 60 + minutes;
    if text.starts_with('-') { -sum } else { sum }
}

fn step(token: &str, locale: &'static Locale) -> Step {
    let eras = locale.eras();
    let name = |finder: Option<&'static Pattern>| finder.map_or(Find::Word, Find::Pattern);
    let one_or_two = Find::Digits(1, 2);
    let (find, set) = match token {
        "Y" => (Find::SIGNED, Set::Year),
        "YY" => (one_or_two, Set::YearShort),
        "YYYY" => (Find::Digits(1, 4), Set::YearOrShort),
        "YYYYY" | "YYYYYY" => (Find::Signed(6), Set::Year),
        "y" | "yy" | "yyy" | "yyyy" => (Find::NUMBER, Set::Year),
        "yo" => (eras.year_finder().map_or(Find::NUMBER, Find::Pattern), Set::EraYearOrdinal),
        "N" | "NN" | "NNN" | "NNNN" | "NNNNN" => (Find::Pattern(eras.finder()), Set::Era),
        "Q" => (Find::Digits(1, 1), Set::Quarter),
        "M" | "MM" => (one_or_two, Set::Month),
        "MMM" | "MMMM" => (name(locale.read_months.finder()), Set::MonthName { short: token == "MMM" }),
        "w" | "ww" => (one_or_two, Set::Week),
        "W" | "WW" => (one_or_two, Set::IsoWeek),
        "gg" => (one_or_two, Set::WeekYearShort),
        "GG" => (one_or_two, Set::IsoWeekYearShort),
        "gggg" => (Find::Digits(1, 4), Set::WeekYear),
        "GGGG" => (Find::Digits(1, 4), Set::IsoWeekYear),
        "ggggg" => (Find::Signed(6), Set::WeekYear),
        "GGGGG" => (Find::Signed(6), Set::IsoWeekYear),
        // These two are not written, and when read they only swallow a number.
        "g" | "G" => return Step { find: Find::SIGNED, known: false, set: Set::Nothing },
        "D" | "DD" => (one_or_two, Set::Day),
        "Do" => (Find::Pattern(locale.ordinal_finder()), Set::DayOrdinal),
        "DDD" => (Find::Digits(1, 3), Set::DayOfYear),
        "DDDD" => (Find::Digits(3, 3), Set::DayOfYear),
        "d" => (one_or_two, Set::Weekday),
        "e" => (one_or_two, Set::LocaleWeekday),
        "E" => (one_or_two, Set::IsoWeekday),
        "dd" => (name(locale.read_weekdays.finder()), Set::WeekdayName(Width::Min)),
        "ddd" => (name(locale.read_weekdays.finder()), Set::WeekdayName(Width::Short)),
        "dddd" => (name(locale.read_weekdays.finder()), Set::WeekdayName(Width::Long)),
        "a" | "A" => (Find::Pattern(locale.read_meridiem.finder()), Set::Meridiem),
        "H" | "HH" | "h" | "hh" => (one_or_two, Set::Hour),
        "k" | "kk" => (one_or_two, Set::Hour24),
        "hmm" | "Hmm" => (Find::Digits(3, 4), Set::Clock { seconds: false }),
        "hmmss" | "Hmmss" => (Find::Digits(5, 6), Set::Clock { seconds: true }),
        "m" | "mm" => (one_or_two, Set::Minute),
        "s" | "ss" => (one_or_two, Set::Second),
        "S" | "SS" | "SSS" => (Find::Digits(1, 3), Set::Fraction),
        "Z" | "ZZ" => (Find::Offset, Set::Offset),
        "X" => (Find::Timestamp, Set::UnixSeconds),
        "x" => (Find::SIGNED, Set::UnixMilliseconds),
        _ if token.starts_with('S') => (Find::NUMBER, Set::Fraction),
        _ => {
            // Moment can write these, but reads them as the letters they are.
            let known = matches!(token, "Mo" | "Qo" | "do" | "DDDo" | "wo" | "Wo" | "z" | "zz");
            return Step { find: Find::Text(sought(token)), known, set: Set::Nothing };
        }
    };
    Step { find, known: true, set }
}
