//! Names of files: what is left of one that somebody has sent.

use url::Url;

/// Longest name, in characters and in bytes; with an id before it, it fits every file system.
const MAX_CHARS: usize = 150;
const MAX_BYTES: usize = 200;
/// Longest ending that is kept when a name is cut, in bytes, dot included.
const MAX_ENDING: usize = 16;

/// Characters that turn the order of text around, so that `gpj.exe` looks like `exe.jpg`.
fn reorders(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{61c}')
}

/// The last part of a path, without control characters, never empty, `.` or `..`, and not too long.
pub(crate) fn clean(given: &str) -> String {
    let last = given.rsplit(['/', '\\']).next().unwrap_or_default();
    let kept: String = last.chars().filter(|c| !c.is_control() && !reorders(*c)).collect();
    // A name that starts with a dot is hidden, and one that ends with one is lost on some systems.
    let kept = kept.trim_matches(|c: char| c.is_whitespace() || c == '.');
    if kept.is_empty() {
        return "file".to_owned();
    }
    let fits = |text: &str| text.len() <= MAX_BYTES && text.chars().count() <= MAX_CHARS;
    if fits(kept) {
        return kept.to_owned();
    }
    let ending = kept.rfind('.').map_or("", |at| &kept[at..]);
    let ending = if ending.len() <= MAX_ENDING { ending } else { "" };
    let mut out = String::new();
    for c in kept.chars() {
        if out.len() + c.len_utf8() + ending.len() > MAX_BYTES
            || out.chars().count() + 1 + ending.chars().count() > MAX_CHARS
        {
            break;
        }
        out.push(c);
    }
    out.push_str(ending);
    out
}

/// The name an address suggests: its last segment, decoded.
pub(crate) fn of_url(url: &Url) -> String {
    let last = url.path_segments().and_then(|mut parts| parts.rfind(|part| !part.is_empty()));
    clean(&decode(last.unwrap_or_default()))
}

/// Undoes `%20` and the like; bytes that are no UTF-8 become replacement characters.
fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let code = (*byte == b'%').then(|| text.get(at + 1..at + 3)).flatten();
        match code.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(decoded) => {
                out.push(decoded);
                at += 3;
            }
            None => {
                out.push(*byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Whether a character may stand in a path segment as it is (RFC 3986, `unreserved`).
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// A text as a path segment or a value of a header: everything unusual as `%XX`.
pub fn percent_encoded(text: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if is_unreserved(byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lose_what_is_dangerous_and_nothing_else() {
        for (given, kept) in [
            ("../../etc/passwd", "passwd"),
            ("..\\..\\boot.ini", "boot.ini"),
            ("..", "file"),
            ("a/..", "file"),
            ("", "file"),
            (" . ", "file"),
            ("\u{0}\r\nb\u{7f}.txt", "b.txt"),
            ("räksmörgås 東京 📎.pdf", "räksmörgås 東京 📎.pdf"),
            ("photo\u{202e}gpj.exe", "photogpj.exe"),
            (".htaccess", "htaccess"),
            ("a..b.tar.gz", "a..b.tar.gz"),
        ] {
            assert_eq!(clean(given), kept, "{given:?}");
        }
        let long = clean(&format!("{}.pdf", "é".repeat(500)));
        assert!(long.ends_with(".pdf") && long.len() <= MAX_BYTES, "{long}");
        assert_eq!(clean(&"x".repeat(500)).len(), MAX_CHARS);
        assert!(clean(&format!("a.{}", "x".repeat(500))).chars().count() <= MAX_CHARS);
    }

    #[test]
    fn addresses_give_names() {
        for (url, name) in [
            ("https://h.example/a/b%20c.pdf?x=1#y", "b c.pdf"),
            ("https://h.example/a%2F..%2Fpasswd", "passwd"),
            ("https://h.example/%E6%9D%B1.png/", "東.png"),
            ("https://h.example", "file"),
            ("https://h.example/%ff%", "\u{fffd}%"),
        ] {
            assert_eq!(of_url(&Url::parse(url).unwrap()), name, "{url}");
        }
        assert_eq!(percent_encoded("a b/é.pdf"), "a%20b%2F%C3%A9.pdf");
    }
}
