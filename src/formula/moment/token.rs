//! Cutting a format into tokens, and writing out the long date formats in it.

use super::pattern::is_line_end;

/// The tokens of a format in order: `[literals]`, names with a backslash in front, known names,
/// and single other characters. Line ends are no tokens and are lost, as in Moment.
pub(super) fn tokens(format: &str) -> Vec<&str> {
    let mut out = Vec::new();
    let mut rest = format;
    while let Some(c) = rest.chars().next() {
        let length = bracketed(rest).or_else(|| escapable(rest)).unwrap_or(0);
        match rest.split_at_checked(length) {
            Some((token, after)) if length > 0 => {
                out.push(token);
                rest = after;
            }
            _ => rest = rest.get(c.len_utf8()..).unwrap_or(""),
        }
    }
    out
}

/// The length of a literal at the start: from `[` to the last `]` in front of the next `[`.
fn bracketed(text: &str) -> Option<usize> {
    let inner = text.strip_prefix('[')?;
    let end = inner.find('[').unwrap_or(inner.len());
    let last = inner.get(..end)?.rfind(']')?;
    Some(last + 2)
}

fn escapable(text: &str) -> Option<usize> {
    let escaped = text.strip_prefix('\\').and_then(name);
    escaped.map(|length| length + 1).or_else(|| name(text))
}

/// The length of the token name, or of the single character, at the start.
fn name(text: &str) -> Option<usize> {
    let first = text.chars().next().filter(|c| !is_line_end(*c))?;
    // No token is longer than nine letters.
    let run = text.bytes().take(9).take_while(|b| char::from(*b) == first).count();
    let ordinal = |letters: usize| run == letters && text.as_bytes().get(letters).is_some_and(|b| *b == b'o');
    Some(match first {
        'H' | 'h' => match text.get(1..) {
            Some(rest) if rest.starts_with("mmss") => 5,
            Some(rest) if rest.starts_with("mm") => 3,
            _ => run.min(2),
        },
        'M' if ordinal(1) => 2,
        'D' if ordinal(1) || ordinal(3) => run + 1,
        'M' | 'D' => run.min(4),
        'd' if ordinal(1) => 2,
        'd' => run.min(4),
        // The bar comes from a slip in Moment's own pattern; it swallows the bar.
        'w' | 'W' => match text.get(1..).and_then(|rest| rest.chars().next()) {
            Some(c) if c == first || c == 'o' || c == '|' => 2,
            _ => 1,
        },
        'Q' | 'y' if ordinal(1) => 2,
        'Q' => 1,
        'y' => run.min(4),
        'N' => run.min(5),
        'Y' if run == 3 => 2,
        'Y' => run.min(6),
        'g' | 'G' if run >= 4 => run.min(5),
        'g' | 'G' => run.min(2),
        'k' | 'm' | 's' | 'z' | 'Z' => run.min(2),
        'S' => run.min(9),
        _ => first.len_utf8(),
    })
}

/// What a token that stands for itself writes.
pub(super) fn literal(token: &str) -> String {
    let bracket = token.find('[').is_some_and(|at| at + 1 < token.len());
    if !bracket {
        return token.replace('\\', "");
    }
    let token = token.strip_prefix('[').unwrap_or(token);
    token.strip_suffix(']').unwrap_or(token).to_owned()
}

/// The text a token that stands for itself looks for in a text being read.
pub(super) fn sought(token: &str) -> String {
    let token = token.replacen('\\', "", 1);
    let mut out = String::new();
    let mut rest = token.as_str();
    while let Some(c) = rest.chars().next() {
        let after = rest.get(c.len_utf8()..).unwrap_or("");
        rest = match c {
            '\\' => match after.chars().next().filter(|c| !is_line_end(*c)) {
                Some(escaped) => {
                    out.push(escaped);
                    after.get(escaped.len_utf8()..).unwrap_or("")
                }
                None => {
                    out.push(c);
                    after
                }
            },
            '[' => match after.find(['[', ']']).and_then(|end| after.split_at_checked(end)) {
                Some((inner, close)) if close.starts_with(']') => {
                    // Moment looks for this word when the brackets are empty.
                    out.push_str(if inner.is_empty() { "undefined" } else { inner });
                    close.get(1..).unwrap_or("")
                }
                _ => {
                    out.push(c);
                    after
                }
            },
            _ => {
                out.push(c);
                after
            }
        };
    }
    out
}

/// Replaces `LT`, `L`, `ll` and the like by what they stand for. A long format may name another.
pub(super) fn expand<'a>(format: &str, long: impl Fn(&str) -> Option<&'a str>) -> String {
    let mut format = format.to_owned();
    for _ in 0..6 {
        let next = expand_once(&format, &long);
        if next == format {
            break;
        }
        format = next;
    }
    format
}

fn expand_once<'a>(format: &str, long: &impl Fn(&str) -> Option<&'a str>) -> String {
    let mut out = String::with_capacity(format.len() + 16);
    let mut rest = format;
    while let Some(c) = rest.chars().next() {
        let kept =
            bracketed(rest).or_else(|| rest.strip_prefix('\\').and_then(long_name).map(|length| length + 1));
        let length = kept.or_else(|| long_name(rest)).unwrap_or(c.len_utf8());
        let Some((token, after)) = rest.split_at_checked(length) else { break };
        let replaced = if kept.is_none() { long(token) } else { None };
        out.push_str(replaced.unwrap_or(token));
        rest = after;
    }
    out
}

fn long_name(text: &str) -> Option<usize> {
    if text.starts_with("LTS") {
        return Some(3);
    }
    if text.starts_with("LT") {
        return Some(2);
    }
    let run = |letter: u8| text.bytes().take(4).take_while(|b| *b == letter).count();
    Some(run(b'L').max(run(b'l'))).filter(|length| *length > 0)
}
