//! Writing an instant by a format, which is compiled once.

use std::cell::OnceCell;

use super::civil::{Civil, DAY, civil, week_of};
use super::locale::Locale;
use super::number::{Counted, push_number, push_pair};
use super::token::{expand, literal, tokens};
use super::unit::clamp;
use super::zone::Zone;

/// A compiled format in a locale.
#[derive(Debug)]
pub struct Format {
    locale: &'static Locale,
    steps: Vec<Step>,
}

#[derive(Debug)]
enum Step {
    Text(String),
    Letter(char),
    /// Two digits of what is never more.
    Pair(Part),
    Number(Part, usize),
    /// With a sign in any case.
    Signed(Part, usize),
    /// `Y`: at least four digits, and a plus beyond.
    LongYear,
    /// The last two digits, with the sign of the whole.
    Short(Part),
    Ordinal(Part, &'static Counted),
    Name(Part, &'static [String]),
    Meridiem(&'static [(u32, String)]),
    Fraction(usize),
    Era(EraName),
    /// With or without a colon; `Z` stands for no offset if allowed.
    Offset {
        colon: bool,
        letter: bool,
    },
    ZoneName {
        long: bool,
    },
    UnixSeconds,
    UnixMilliseconds,
}

#[derive(Debug, Clone, Copy)]
enum EraName {
    Short,
    Long,
    Narrow,
}

#[derive(Debug, Clone, Copy)]
enum Part {
    Year,
    Quarter,
    Month,
    Day,
    DayOfYear,
    Weekday,
    LocaleWeekday,
    IsoWeekday,
    Week,
    WeekYear,
    IsoWeek,
    IsoWeekYear,
    EraYear,
    Hour,
    Hour12,
    Hour24,
    Minute,
    Second,
}

/// An instant as it is shown in a zone.
struct Shown<'a> {
    ms: i64,
    seconds: i32,
    at: Civil,
    zone: &'a Zone,
    locale: &'static Locale,
}

impl Format {
    /// Compiles a format. Letters that are no token stand for themselves; an empty format is ISO
    /// 8601 without a fraction.
    pub fn new(text: &str, locale: &'static Locale) -> Format {
        let mut format = Format { locale, steps: Vec::new() };
        if text.is_empty() {
            format.compile("YYYY-MM-DDTHH:mm:ss");
            format.steps.push(Step::Offset { colon: true, letter: true });
        } else {
            let text = expand(text, |name| locale.long_date(name));
            format.compile(&text);
        }
        for step in &mut format.steps {
            let mut letters = if let Step::Text(text) = step { text.chars() } else { continue };
            if let (Some(one), None) = (letters.next(), letters.next()) {
                *step = Step::Letter(one);
            }
        }
        format
    }

    fn compile(&mut self, text: &str) {
        let names =
            InFormat { locale: self.locale, format: text, months: OnceCell::new(), days: OnceCell::new() };
        for token in tokens(text) {
            if self.pieces(token) {
                continue;
            }
            match (step(token, &names), self.steps.last_mut()) {
                (Some(step), _) => self.steps.push(step),
                (None, Some(Step::Text(before))) => before.push_str(&literal(token)),
                (None, _) => self.steps.push(Step::Text(literal(token))),
            }
        }
    }

    /// The tokens that stand for several.
    fn pieces(&mut self, token: &str) -> bool {
        let (hour, seconds) = match token {
            "hmm" => (Part::Hour12, false),
            "hmmss" => (Part::Hour12, true),
            "Hmm" => (Part::Hour, false),
            "Hmmss" => (Part::Hour, true),
            _ => return false,
        };
        self.steps.extend([Step::Number(hour, 1), Step::Pair(Part::Minute)]);
        if seconds {
            self.steps.push(Step::Pair(Part::Second));
        }
        true
    }

    /// Appends the instant as seen in the zone. Instants out of range show as the nearest in range.
    pub fn write(&self, ms: i64, zone: &Zone, out: &mut String) {
        let ms = clamp(ms);
        let seconds = zone.seconds(ms);
        let at = civil(ms + i64::from(seconds) * 1_000);
        let shown = Shown { ms, seconds, at, zone, locale: self.locale };
        let from = out.len();
        for step in &self.steps {
            shown.write(step, out);
        }
        self.locale.exchange_written(from, out);
    }
}

/// The names that suit a format. Finding them takes a look at the whole format, so it is done once.
struct InFormat<'a> {
    locale: &'static Locale,
    format: &'a str,
    /// Long and short.
    months: OnceCell<[&'static [String]; 2]>,
    /// Long, short and shortest.
    days: OnceCell<[&'static [String]; 3]>,
}

impl InFormat<'_> {
    fn months(&self) -> [&'static [String]; 2] {
        let all = [&self.locale.months, &self.locale.months_short];
        *self.months.get_or_init(|| all.map(|names| names.inside(self.format)))
    }

    fn days(&self) -> [&'static [String]; 3] {
        let all = [&self.locale.weekdays, &self.locale.weekdays_short, &self.locale.weekdays_min];
        *self.days.get_or_init(|| all.map(|names| names.inside(self.format)))
    }
}

fn step(token: &str, names: &InFormat) -> Option<Step> {
    use Part::*;
    let locale = names.locale;
    let ordinal = |part, period| Some(Step::Ordinal(part, locale.ordinal.of(period)));
    let step = match token {
        "Y" => Step::LongYear,
        "YY" => Step::Short(Year),
        "YYYY" | "YYYYY" => Step::Number(Year, token.len()),
        "YYYYYY" => Step::Signed(Year, 6),
        "y" | "yy" | "yyy" | "yyyy" => Step::Number(EraYear, token.len()),
        "yo" => return ordinal(EraYear, "y"),
        "N" | "NN" | "NNN" => Step::Era(EraName::Short),
        "NNNN" => Step::Era(EraName::Long),
        "NNNNN" => Step::Era(EraName::Narrow),
        "Q" => Step::Number(Quarter, 1),
        "Qo" => return ordinal(Quarter, "Q"),
        "M" => Step::Number(Month, 1),
        "MM" => Step::Pair(Month),
        "Mo" => return ordinal(Month, "M"),
        "MMM" => Step::Name(Month, names.months()[1]),
        "MMMM" => Step::Name(Month, names.months()[0]),
        "w" | "ww" => Step::Number(Week, token.len()),
        "wo" => return ordinal(Week, "w"),
        "W" | "WW" => Step::Number(IsoWeek, token.len()),
        "Wo" => return ordinal(IsoWeek, "W"),
        "gg" => Step::Short(WeekYear),
        "gggg" | "ggggg" => Step::Number(WeekYear, token.len()),
        "GG" => Step::Short(IsoWeekYear),
        "GGGG" | "GGGGG" => Step::Number(IsoWeekYear, token.len()),
        "D" => Step::Number(Day, 1),
        "DD" => Step::Pair(Day),
        "Do" => return ordinal(Day, "D"),
        "DDD" => Step::Number(DayOfYear, 1),
        "DDDD" => Step::Number(DayOfYear, 3),
        "DDDo" => return ordinal(DayOfYear, "DDD"),
        "d" => Step::Number(Weekday, 1),
        "do" => return ordinal(Weekday, "d"),
        "dd" => Step::Name(Weekday, names.days()[2]),
        "ddd" => Step::Name(Weekday, names.days()[1]),
        "dddd" => Step::Name(Weekday, names.days()[0]),
        "e" => Step::Number(LocaleWeekday, 1),
        "E" => Step::Number(IsoWeekday, 1),
        "a" => Step::Meridiem(locale.meridiem.list(true)),
        "A" => Step::Meridiem(locale.meridiem.list(false)),
        "H" => Step::Number(Hour, 1),
        "HH" => Step::Pair(Hour),
        "h" => Step::Number(Hour12, 1),
        "hh" => Step::Pair(Hour12),
        "k" => Step::Number(Hour24, 1),
        "kk" => Step::Pair(Hour24),
        "m" => Step::Number(Minute, 1),
        "mm" => Step::Pair(Minute),
        "s" => Step::Number(Second, 1),
        "ss" => Step::Pair(Second),
        "z" => Step::ZoneName { long: false },
        "zz" => Step::ZoneName { long: true },
        "Z" => Step::Offset { colon: true, letter: false },
        "ZZ" => Step::Offset { colon: false, letter: false },
        "X" => Step::UnixSeconds,
        "x" => Step::UnixMilliseconds,
        _ if token.starts_with('S') => Step::Fraction(token.len()),
        _ => return None,
    };
    Some(step)
}

impl Shown<'_> {
    fn write(&self, step: &Step, out: &mut String) {
        match step {
            Step::Text(text) => out.push_str(text),
            Step::Letter(letter) => out.push(*letter),
            Step::Pair(part) => push_pair(self.part(*part) as u32, out),
            Step::Number(Part::Year, 4) if self.at.year >= 0 => {
                let year = self.at.year as u32;
                push_pair(year / 100, out);
                push_pair(year, out);
            }
            Step::Number(part, width) => push_number(self.part(*part), *width, out),
            Step::Signed(part, width) => {
                let number = self.part(*part);
                if number >= 0 {
                    out.push('+');
                }
                push_number(number, *width, out);
            }
            Step::LongYear => {
                if self.at.year > 9_999 {
                    out.push('+');
                }
                push_number(i64::from(self.at.year), 4, out);
            }
            Step::Short(part) => push_number(self.part(*part) % 100, 2, out),
            Step::Ordinal(part, rule) => rule.write(self.part(*part), out),
            Step::Name(part, names) => {
                let number = self.part(*part);
                let at = if matches!(part, Part::Month) { number - 1 } else { number };
                let name = usize::try_from(at).ok().and_then(|at| names.get(at));
                out.push_str(name.map_or("", String::as_str));
            }
            Step::Meridiem(names) => {
                let minute = u32::from(self.at.hour) * 60 + u32::from(self.at.minute);
                let name = names.iter().rev().find(|(from, _)| *from <= minute);
                out.push_str(name.map_or("", |(_, name)| name));
            }
            Step::Fraction(digits) => self.write_fraction(*digits, out),
            Step::Era(name) => {
                let Some(era) = self.locale.eras().at(self.day_start()) else { return };
                out.push_str(match name {
                    EraName::Short => &era.abbr,
                    EraName::Long => &era.name,
                    EraName::Narrow => &era.narrow,
                });
            }
            Step::Offset { colon, letter } => self.write_offset(*colon, *letter, out),
            Step::ZoneName { long: true } if self.zone.is_utc() => {
                out.push_str("Coordinated Universal Time");
            }
            Step::ZoneName { .. } => out.push_str(self.zone.offset(self.ms).1),
            Step::UnixSeconds => push_number(self.ms.div_euclid(1_000), 1, out),
            Step::UnixMilliseconds => push_number(self.ms, 1, out),
        }
    }

    fn part(&self, part: Part) -> i64 {
        let at = &self.at;
        match part {
            Part::Year => i64::from(at.year),
            Part::Quarter => i64::from(at.month.div_ceil(3)),
            Part::Month => i64::from(at.month),
            Part::Day => i64::from(at.day),
            Part::DayOfYear => i64::from(at.day_of_year),
            Part::Weekday => i64::from(at.weekday),
            Part::LocaleWeekday => (i64::from(at.weekday) + 7 - i64::from(self.locale.week.0)) % 7,
            Part::IsoWeekday => (i64::from(at.weekday) + 6) % 7 + 1,
            Part::Week => week_of(at, self.locale.week.0, self.locale.week.1).1,
            Part::WeekYear => week_of(at, self.locale.week.0, self.locale.week.1).0,
            Part::IsoWeek => week_of(at, 1, 4).1,
            Part::IsoWeekYear => week_of(at, 1, 4).0,
            Part::EraYear => {
                let year = i64::from(at.year);
                self.locale.eras().at(self.day_start()).map_or(year, |era| era.count(year))
            }
            Part::Hour => i64::from(at.hour),
            Part::Hour12 => (i64::from(at.hour) + 11) % 12 + 1,
            Part::Hour24 => (i64::from(at.hour) + 23) % 24 + 1,
            Part::Minute => i64::from(at.minute),
            Part::Second => i64::from(at.second),
        }
    }

    /// The instant the local day started at, taken with the present offset.
    fn day_start(&self) -> i64 {
        let local = self.ms + i64::from(self.seconds) * 1_000;
        self.ms - local.rem_euclid(DAY)
    }

    fn write_fraction(&self, digits: usize, out: &mut String) {
        let ms = i64::from(self.at.millisecond);
        match digits {
            1 => push_number(ms / 100, 1, out),
            2 => push_number(ms / 10, 2, out),
            _ => {
                push_number(ms, 3, out);
                (3..digits).for_each(|_| out.push('0'));
            }
        }
    }

    fn write_offset(&self, colon: bool, letter: bool, out: &mut String) {
        if letter && self.seconds == 0 {
            out.push('Z');
            return;
        }
        out.push(if self.seconds < 0 { '-' } else { '+' });
        let minutes = self.seconds.unsigned_abs() / 60;
        push_pair(minutes / 60, out);
        if colon {
            out.push(':');
        }
        push_pair(minutes % 60, out);
    }
}
