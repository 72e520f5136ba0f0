//! Cell text is hostile data: here it becomes safe to show, and comes back whole.
//!
//! Text answers show characters that would break a table, hide or reorder text as `\u{…}`: a new
//! line is `\u{A}`. What looks like such an escape in the text itself has its backslash escaped.

use std::fmt::Write as _;

use tablewright_core::{Code, Fault};

/// Stands where a long cell was cut; a write that ends so is refused.
pub const CUT_MARK: &str = "…[cut: ";

/// Characters that are invisible, reorder text, or carry hidden text.
pub fn is_hidden(c: char) -> bool {
    matches!(u32::from(c),
        0x00..=0x08 | 0x0b | 0x0c | 0x0e..=0x1f | 0x7f..=0x9f
        | 0xad | 0x034f | 0x061c | 0x115f | 0x1160 | 0x17b4 | 0x17b5 | 0x180b..=0x180f
        | 0x200b..=0x200f | 0x2028..=0x202e | 0x2060..=0x206f | 0x2800 | 0x3164
        | 0xfe00..=0xfe0f | 0xfeff | 0xffa0 | 0xfff0..=0xfffc
        | 0x1d173..=0x1d17a | 0xe0000..=0xe0fff)
}

/// Characters that are shown as escapes and read back from them.
fn is_escaped(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r') || is_hidden(c)
}

fn is_plain(byte: u8) -> bool {
    (0x20..0x7f).contains(&byte) && byte != b'\\'
}

/// Appends `text` for a text answer, cut after `max` characters of it.
pub fn push_cell(out: &mut String, text: &str, max: usize) {
    if text.len() <= max && text.bytes().all(is_plain) {
        out.push_str(text);
        return;
    }
    for (n, (at, c)) in text.char_indices().enumerate() {
        if n == max {
            let _ = write!(out, "{CUT_MARK}{} more characters]", text.chars().count() - n);
            return;
        }
        let rest = &text[at..];
        if is_escaped(c) || (c == '\\' && rest.starts_with("\\u{")) || rest.starts_with(CUT_MARK) {
            let _ = write!(out, "\\u{{{:X}}}", u32::from(c));
        } else {
            out.push(c);
        }
    }
}

/// A message that may quote names and values from bases, with hidden characters as escapes; at
/// most 2,000 characters of it.
pub fn shown(message: &str) -> String {
    let mut out = String::with_capacity(message.len());
    for c in message.chars().take(2_000) {
        if is_hidden(c) {
            let _ = write!(out, "\\u{{{:X}}}", u32::from(c));
        } else {
            out.push(c);
        }
    }
    out
}

/// The JSON of `value` with hidden characters as JSON's own escapes: it reads back the same.
pub fn json_shown(value: &serde_json::Value) -> String {
    let json = value.to_string();
    if !json.chars().any(is_hidden) {
        return json;
    }
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if is_hidden(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(out, "\\u{unit:04x}");
            }
        } else {
            out.push(c);
        }
    }
    out
}

/// Undoes what [`push_cell`] did to hidden characters in a text a caller sends back, and refuses
/// text that was cut.
pub fn accept(text: &str) -> Result<String, Fault> {
    if was_cut(text) {
        return Err(Fault::new(
            Code::InvalidValue,
            format!(
                "the text ends with {CUT_MARK:?}: it was cut when it was shown. Read the whole cell with get_records, of that field alone and with format \"json\", then send all of it. A text that itself ends so is sent with \\u{{2026}} in the place of …."
            ),
        ));
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("\\u{") {
        let (before, escape) = rest.split_at(at);
        out.push_str(before);
        let shown = escape.find('}').and_then(|end| {
            let code = u32::from_str_radix(&escape[3..end], 16).ok()?;
            char::from_u32(code).filter(|c| is_escaped(*c) || matches!(c, '\\' | '…')).map(|c| (c, end + 1))
        });
        match shown {
            Some((c, end)) => {
                out.push(c);
                rest = &escape[end..];
            }
            None => {
                out.push_str("\\u{");
                rest = &escape[3..];
            }
        }
    }
    out.push_str(rest);
    Ok(out)
}

/// Whether a text ends with the mark of one that was cut.
fn was_cut(text: &str) -> bool {
    let Some((_, rest)) = text.trim_end().rsplit_once(CUT_MARK) else { return false };
    let count = rest.strip_suffix(" more characters]").or_else(|| rest.strip_suffix(" characters]"));
    count.is_some_and(|count| !count.is_empty() && count.bytes().all(|byte| byte.is_ascii_digit()))
}

/// A fence around untrusted text that nothing inside can close: its name is random per answer.
#[derive(Debug, Clone)]
pub struct Boundary(String);

impl Boundary {
    /// A new boundary.
    pub fn random() -> Self {
        Self(tablewright_core::model::RecordId::random().body().to_owned())
    }

    /// Opens the fence.
    pub fn open(&self, out: &mut String) {
        let _ = writeln!(out, "<untrusted-data-{}>", self.0);
    }

    /// Closes the fence.
    pub fn close(&self, out: &mut String) {
        let _ = writeln!(out, "</untrusted-data-{}>", self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_comes_back_as_it_was() {
        for (text, shown) in [
            ("a\u{200b}b\tc\\d\u{e0041}", "a\\u{200B}b\\u{9}c\\d\\u{E0041}"),
            ("C:\\temp\\new", "C:\\temp\\new"),
            ("one\r\ntwo", "one\\u{D}\\u{A}two"),
            ("\\u{200B}", "\\u{5C}u{200B}"),
            ("\\\\u{41} \\u{", "\\\\u{5C}u{41} \\u{5C}u{"),
            ("…[cut: 5 more characters]", "\\u{2026}[cut: 5 more characters]"),
            ("a …[cut: b", "a \\u{2026}[cut: b"),
            ("a\u{2800}b…", "a\\u{2800}b…"),
        ] {
            let mut out = String::new();
            push_cell(&mut out, text, 100);
            assert_eq!(out, shown);
            assert_eq!(accept(&out).unwrap(), text);
        }
        assert_eq!(accept("\\u{41} \\u{zz} \\u{").unwrap(), "\\u{41} \\u{zz} \\u{");
    }

    #[test]
    fn long_cells_are_cut_with_a_mark_that_cannot_be_written_back() {
        let mut out = String::new();
        push_cell(&mut out, &"é".repeat(30), 20);
        assert!(out.ends_with("…[cut: 10 more characters]"), "{out}");
        assert!(accept(&out).is_err());
    }

    #[test]
    fn json_shows_hidden_characters_and_reads_back_the_same() {
        let value = serde_json::json!({"Na\u{200b}me": "a\u{202e}b\u{e0041}c \\u{9} é"});
        let json = json_shown(&value);
        assert!(!json.chars().any(is_hidden), "{json}");
        assert!(json.contains("a\\u202eb\\udb40\\udc41c") && json.contains('é'), "{json}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&json).unwrap(), value);
    }
}
