//! Finding the text of a token in a text being read.

use super::pattern::{Pattern, is_space};

/// What a token looks for. The leftmost fit is taken, wherever it stands.
#[derive(Debug)]
pub(super) enum Find {
    /// So many digits, least and most.
    Digits(usize, usize),
    /// Digits with a sign or without.
    Signed(usize),
    /// Seconds with a sign and a fraction of up to three digits.
    Timestamp,
    /// `Z`, or hours and minutes with a sign.
    Offset,
    /// Letters, perhaps with digits in front; in Arabic up to three words.
    Word,
    Pattern(&'static Pattern),
    Text(String),
}

const UNBOUNDED: usize = usize::MAX;
// Moment's bound for the parts of a word.
const LONGEST: usize = 256;

impl Find {
    pub(super) const NUMBER: Find = Find::Digits(1, UNBOUNDED);
    pub(super) const SIGNED: Find = Find::Signed(UNBOUNDED);

    /// Where the first fit starts and ends.
    pub(super) fn find(&self, text: &str) -> Option<(usize, usize)> {
        match self {
            Find::Digits(least, most) => digits(text, *least, *most),
            Find::Signed(most) => {
                let (start, end) = digits(text, 1, *most)?;
                Some((with_sign(text, start), end))
            }
            Find::Timestamp => {
                let (start, end) = digits(text, 1, UNBOUNDED)?;
                let fraction = text.get(end..).and_then(|rest| rest.strip_prefix('.'));
                let more = fraction.map_or(0, |rest| leading_digits(rest).min(3));
                let end = if more > 0 { end + 1 + more } else { end };
                Some((with_sign(text, start), end))
            }
            Find::Offset => offset(text),
            Find::Word => word(text),
            Find::Pattern(pattern) => pattern.find(text),
            Find::Text(sought) => text.find(sought.as_str()).map(|at| (at, at + sought.len())),
        }
    }
}

pub(super) fn leading_digits(text: &str) -> usize {
    text.bytes().take_while(u8::is_ascii_digit).count()
}

fn digits(text: &str, least: usize, most: usize) -> Option<(usize, usize)> {
    let mut from = 0;
    loop {
        let rest = text.get(from..)?;
        let start = from + rest.bytes().position(|b| b.is_ascii_digit())?;
        let run = leading_digits(text.get(start..)?);
        if run >= least {
            return Some((start, start + run.min(most)));
        }
        from = start + run;
    }
}

fn with_sign(text: &str, digit: usize) -> usize {
    let signed = text.get(..digit).is_some_and(|before| before.ends_with(['+', '-']));
    digit - usize::from(signed)
}

fn offset(text: &str) -> Option<(usize, usize)> {
    let bytes = text.as_bytes();
    let two = |at: usize| bytes.get(at..at + 2).is_some_and(|d| d.iter().all(u8::is_ascii_digit));
    bytes.iter().enumerate().find_map(|(at, b)| match b {
        b'Z' | b'z' => Some((at, at + 1)),
        b'+' | b'-' if two(at + 1) => {
            let colon = usize::from(bytes.get(at + 3) == Some(&b':'));
            let minutes = if two(at + 3 + colon) { 2 + colon } else { 0 };
            Some((at, at + 3 + minutes))
        }
        _ => None,
    })
}

fn is_letter(c: char) -> bool {
    c == '\''
        || c.is_ascii_alphabetic()
        || matches!(c, '\u{a0}'..='\u{5ff}' | '\u{700}'..='\u{d7ff}' | '\u{f900}'..='\u{fdcf}')
        || matches!(c, '\u{fdf0}'..='\u{ff07}' | '\u{ff10}'..='\u{ffef}')
}

fn word(text: &str) -> Option<(usize, usize)> {
    text.char_indices().find_map(|(at, c)| {
        let rest = text.get(at..)?;
        if c.is_ascii_digit() || is_letter(c) {
            let digits = rest.bytes().take(LONGEST + 1).take_while(u8::is_ascii_digit).count();
            let letters = rest.get(digits..)?.chars().take_while(|c| is_letter(*c)).take(LONGEST);
            let length: usize = letters.map(char::len_utf8).sum();
            return (digits <= LONGEST && length > 0).then_some((at, at + digits + length));
        }
        arabic_words(rest).map(|length| (at, at + length))
    })
}

fn is_arabic(c: char) -> bool {
    matches!(c, '\u{600}'..='\u{6ff}')
}

/// The length of Arabic letters and slashes at the start, with one or two Arabic words behind them.
fn arabic_words(text: &str) -> Option<usize> {
    let run = |text: &str| {
        let letters = text.chars().take(LONGEST).take_while(|c| is_arabic(*c));
        letters.map(char::len_utf8).sum::<usize>()
    };
    let word_end = |from: usize| {
        let rest = text.get(from..)?;
        let start = from + rest.find(|c| !is_space(c))?;
        let length = run(text.get(start..)?);
        (length > 0).then_some(start + length)
    };
    // What begins leaves as little as it can to the word behind it.
    let begin = text.char_indices().take(LONGEST).take_while(|(_, c)| is_arabic(*c) || *c == '/');
    let mut ends = (None, None);
    for (at, c) in begin {
        if at > 0 && is_arabic(c) {
            ends.0 = Some(at);
        }
        ends.1 = Some(at + c.len_utf8());
    }
    let first = ends.1.and_then(word_end).or_else(|| ends.0.and_then(word_end))?;
    Some(word_end(first).unwrap_or(first))
}
