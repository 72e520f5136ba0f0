//! Escapes for one character, and what to say about those that RE2 does not have.

use super::translate::{Scanned, Scanner, fault};

impl Scanner<'_> {
    /// An escape for one character, as a code point.
    pub(super) fn escaped_char(&mut self) -> Scanned<u32> {
        let begun = self.at;
        self.at += 1;
        let Some(c) = self.next() else {
            return fault(begun, r"the pattern ends with a lone `\`; write `\\` for the character");
        };
        let next_digit = self.peek().filter(char::is_ascii_digit);
        match c {
            'a' => Ok(7),
            'f' => Ok(12),
            'n' => Ok(10),
            'r' => Ok(13),
            't' => Ok(9),
            'v' => Ok(11),
            '1'..='9' if c > '7' || !matches!(next_digit, Some('0'..='7')) => fault(
                begun,
                format!(
                    "RE2 does not have back-references such as `\\{c}`; compare the groups after matching"
                ),
            ),
            '0'..='7' => {
                let mut code = u32::from(c) - u32::from('0');
                for _ in 0..2 {
                    let Some(digit) = self.peek().and_then(|c| c.to_digit(8)) else {
                        break;
                    };
                    code = code * 8 + digit;
                    self.at += 1;
                }
                Ok(code)
            }
            'x' => match hex(self.rest()) {
                Some((length, code)) => {
                    self.at += length;
                    Ok(code)
                }
                None => fault(begun, r"`\x` needs two hex digits, or some in braces up to {10FFFF}"),
            },
            c if c.is_ascii() && !c.is_ascii_alphanumeric() => Ok(u32::from(c)),
            c => fault(
                begun,
                match c {
                    'Z' => r"RE2 does not have `\Z`; use `\z` or `$` for the end of the text".to_string(),
                    'C' => r"`\C` would split UTF-8 characters; use `(?s:.)` for any character".to_string(),
                    'E' => r"this `\E` has no `\Q` before it".to_string(),
                    'b' => r"`\b` has no meaning in [...]; use `\x08` for backspace".to_string(),
                    'u' | 'U' => {
                        format!(r"RE2 does not have `\{c}`; write `\x{{10FFFF}}` for a code point")
                    }
                    'h' => r"RE2 does not have `\h`; use `[ \t]` or `[\t\p{Zs}]`".to_string(),
                    'R' => r"RE2 does not have `\R`; use `\r?\n`".to_string(),
                    'N' => r"RE2 does not have `\N`; use `[^\n]`".to_string(),
                    'X' => r"RE2 does not have `\X`; use `\PM\pM*`".to_string(),
                    'G' => r"RE2 does not have `\G`; use `^` or `\A` for the start of the text".to_string(),
                    'k' | 'g' => format!(
                        "RE2 does not have back-references such as `\\{c}`; compare the groups after matching"
                    ),
                    'K' => r"RE2 does not have `\K`; put what you want in a group".to_string(),
                    c => format!(r"`\{c}` is no escape of RE2"),
                },
            ),
        }
    }
}

/// The length and code point of the hex digits after `\x`.
fn hex(rest: &str) -> Option<(usize, u32)> {
    let (digits, length) = match rest.strip_prefix('{') {
        Some(inner) => {
            let digits = &inner[..inner.find('}')?];
            (digits, digits.len() + 2)
        }
        None => (rest.get(..2)?, 2),
    };
    // Not left to `from_str_radix` alone, which takes a sign.
    if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let code = u32::from_str_radix(digits, 16).ok()?;
    (code <= 0x10FFFF).then_some((length, code))
}
