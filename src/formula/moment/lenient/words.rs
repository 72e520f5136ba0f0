//! Dates in English words, in RFC 2822, and in numbers as written in the United States.

use super::super::civil::{DAY, HOUR, MINUTE, SECOND, in_range, weekday_of};
use super::super::resolve::checked_days;

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];
const WEEKDAYS: [&str; 7] = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];
const ZONES: [(&str, i64); 12] = [
    ("z", 0),
    ("ut", 0),
    ("utc", 0),
    ("gmt", 0),
    ("edt", -4),
    ("est", -5),
    ("cdt", -5),
    ("cst", -6),
    ("mdt", -6),
    ("mst", -7),
    ("pdt", -7),
    ("pst", -8),
];

#[derive(Debug, Clone, PartialEq)]
enum Piece {
    /// The value and the count of digits.
    Number(i64, usize),
    /// In lower case.
    Word(String),
    Mark(char),
}

struct Reader {
    pieces: Vec<Piece>,
    at: usize,
}

pub(super) fn read(text: &str) -> Option<i64> {
    let mut reader = Reader { pieces: pieces(text)?, at: 0 };
    let weekday = reader.weekday();
    let mut time = None;
    if reader.is_time() {
        time = Some(reader.time()?);
        reader.take(',');
    }
    let days = reader.date()?;
    if reader.at < reader.pieces.len() && time.is_none() {
        reader.take(',');
        reader.take_word("at");
        time = Some(reader.time()?);
    }
    let whole = reader.at == reader.pieces.len();
    let right_weekday = weekday.is_none_or(|weekday| weekday == weekday_of(days));
    if !whole || !right_weekday {
        return None;
    }
    in_range(days * DAY + time.unwrap_or(0))
}

// No date is longer; this keeps long texts cheap.
const LONGEST: usize = 200;

/// Cuts a text into numbers, words and marks. Spaces and remarks in parentheses are left out.
fn pieces(text: &str) -> Option<Vec<Piece>> {
    if text.len() > LONGEST {
        return None;
    }
    let mut out = Vec::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let alike: fn(char) -> bool = match c {
            '0'..='9' => |c| c.is_ascii_digit(),
            _ if c.is_ascii_alphabetic() => |c| c.is_ascii_alphabetic(),
            _ => |_| false,
        };
        let run = rest.find(|c| !alike(c)).unwrap_or(rest.len()).max(c.len_utf8());
        let (piece, after) = rest.split_at_checked(run)?;
        rest = after;
        if c == '(' {
            rest = rest.split_once(')')?.1;
        } else if c.is_ascii_digit() {
            // Nothing in a date but a fraction has more digits, and of that three count.
            out.push(Piece::Number(piece.get(..run.min(9))?.parse().ok()?, run));
        } else if c.is_ascii_alphabetic() {
            out.push(Piece::Word(piece.to_ascii_lowercase()));
        } else if !c.is_whitespace() {
            out.push(Piece::Mark(c));
        }
    }
    Some(out)
}

/// Which name a word is: whole, or its first letters, at least three.
fn position(names: &[&str], word: &str) -> Option<i64> {
    let short = |name: &str| word.len() >= 3 && name.starts_with(word);
    names.iter().position(|name| short(name)).map(|at| at as i64)
}

/// A year of two or four digits; two are taken as browsers do, from 1950 to 2049.
fn year(value: i64, digits: usize) -> Option<i64> {
    match digits {
        2 if value < 50 => Some(2_000 + value),
        2 => Some(1_900 + value),
        4 => Some(value),
        _ => None,
    }
}

impl Reader {
    fn peek(&self, ahead: usize) -> Option<&Piece> {
        self.pieces.get(self.at + ahead)
    }

    fn take(&mut self, mark: char) -> bool {
        let hit = self.peek(0) == Some(&Piece::Mark(mark));
        self.at += usize::from(hit);
        hit
    }

    fn take_word(&mut self, word: &str) -> bool {
        let hit = matches!(self.peek(0), Some(Piece::Word(w)) if w == word);
        self.at += usize::from(hit);
        hit
    }

    fn number(&mut self, most_digits: usize) -> Option<(i64, usize)> {
        match self.peek(0) {
            Some(Piece::Number(value, digits)) if *digits <= most_digits => {
                let found = (*value, *digits);
                self.at += 1;
                Some(found)
            }
            _ => None,
        }
    }

    fn name(&mut self, names: &[&str]) -> Option<i64> {
        let Some(Piece::Word(word)) = self.peek(0) else { return None };
        let found = position(names, word.as_str())
            .or_else(|| (word == "sept").then(|| position(names, "sep")).flatten())?;
        self.at += 1;
        self.take('.');
        Some(found)
    }

    fn weekday(&mut self) -> Option<i64> {
        let found = self.name(&WEEKDAYS)?;
        self.take(',');
        Some(found)
    }

    fn is_time(&self) -> bool {
        matches!((self.peek(0), self.peek(1)), (Some(Piece::Number(..)), Some(Piece::Mark(':'))))
    }

    /// Days since the epoch.
    fn date(&mut self) -> Option<i64> {
        if let Some(month) = self.name(&MONTHS) {
            return self.after_month(month + 1);
        }
        let (first, digits) = self.number(4)?;
        let mark = ['/', '-'].into_iter().find(|mark| self.take(*mark));
        if let (Some(mark), Some(Piece::Number(..))) = (mark, self.peek(0)) {
            return self.in_numbers(first, digits, mark);
        }
        if mark.is_none() && digits <= 2 {
            self.ordinal_ending();
            self.take_word("of");
        }
        let month = self.name(&MONTHS)? + 1;
        let between = match mark {
            Some(mark) => self.take(mark),
            None => {
                self.take(',');
                true
            }
        };
        let (last, last_digits) = self.number(4).filter(|_| between)?;
        if digits == 4 {
            return checked_days(first, month, last).filter(|_| last_digits <= 2);
        }
        checked_days(year(last, last_digits)?, month, first).filter(|_| digits <= 2)
    }

    /// Month, day and year, or year, month and day.
    fn in_numbers(&mut self, first: i64, digits: usize, mark: char) -> Option<i64> {
        let (second, _) = self.number(2)?;
        if !self.take(mark) {
            return None;
        }
        let (third, third_digits) = self.number(4)?;
        if digits == 4 {
            return checked_days(first, second, third).filter(|_| third_digits <= 2);
        }
        checked_days(year(third, third_digits)?, first, second).filter(|_| digits <= 2)
    }

    /// Day and year, or the year alone.
    fn after_month(&mut self, month: i64) -> Option<i64> {
        let mark = self.take('-') || self.take('/') || self.take(',');
        let (first, digits) = self.number(4)?;
        if digits == 4 {
            return checked_days(first, month, 1);
        }
        self.ordinal_ending();
        let _ = (mark && (self.take('-') || self.take('/'))) || self.take(',');
        let (last, last_digits) = self.number(4).filter(|_| digits <= 2)?;
        if self.peek(0) == Some(&Piece::Mark(':')) {
            return None;
        }
        checked_days(year(last, last_digits)?, month, first)
    }

    fn ordinal_ending(&mut self) {
        let _ = ["st", "nd", "rd", "th"].into_iter().any(|ending| self.take_word(ending));
    }

    /// Milliseconds of the day, less the offset.
    fn time(&mut self) -> Option<i64> {
        let (hour, _) = self.number(2)?;
        let (mut minute, mut second, mut ms) = (0, 0, 0);
        let colon = self.take(':');
        if colon {
            minute = self.pair()?;
            if self.take(':') {
                second = self.pair()?;
                if self.take('.') || self.take(',') {
                    ms = self.fraction()?;
                }
            }
        }
        let half = self.half();
        let hour = match half {
            Some(half) if (1..=12).contains(&hour) => hour % 12 + half * 12,
            None if colon && (0..24).contains(&hour) => hour,
            None if colon && hour == 24 && (minute, second, ms) == (0, 0, 0) => hour,
            _ => return None,
        };
        let offset = self.offset()?;
        Some(hour * HOUR + minute * MINUTE + second * SECOND + ms - offset * MINUTE)
    }

    /// Two digits below 60.
    fn pair(&mut self) -> Option<i64> {
        self.number(2).filter(|(value, digits)| *digits == 2 && *value < 60).map(|(value, _)| value)
    }

    fn fraction(&mut self) -> Option<i64> {
        let (value, digits) = self.number(usize::MAX)?;
        let power = u32::try_from(digits.min(9)).ok()?;
        Some(value * 1_000 / 10_i64.pow(power))
    }

    /// 0 before noon and 1 after.
    fn half(&mut self) -> Option<i64> {
        let Some(Piece::Word(word)) = self.peek(0) else { return None };
        let half = match word.as_str() {
            "am" | "a" => 0,
            "pm" | "p" => 1,
            _ => return None,
        };
        let dotted = word.len() == 1;
        self.at += 1;
        if dotted && self.take('.') {
            self.take_word("m");
            self.take('.');
        }
        Some(half)
    }

    /// Minutes east of UTC; none said is UTC.
    fn offset(&mut self) -> Option<i64> {
        let mut hours = 0;
        let mut named = false;
        if let Some(Piece::Word(word)) = self.peek(0) {
            let found = ZONES.iter().find(|(name, _)| name == word).map(|(_, hours)| *hours);
            hours = found?;
            self.at += 1;
            named = true;
            if hours != 0 {
                return Some(hours * 60);
            }
        }
        let sign = if self.take('+') {
            1
        } else if self.take('-') {
            -1
        } else {
            return Some(hours * 60);
        };
        let (value, digits) = self.number(4)?;
        let (hours, minutes) = match digits {
            4 => (value / 100, value % 100),
            1 | 2 if self.take(':') => (value, self.pair()?),
            1 | 2 if named => (value, 0),
            _ => return None,
        };
        (hours < 24 && minutes < 60).then_some(sign * (hours * 60 + minutes))
    }
}
