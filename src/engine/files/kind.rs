//! What kind of file some bytes are.

use std::borrow::Cow;

use encoding_rs::Encoding;

/// How much of a file is looked at, in bytes.
pub(super) const HEAD: usize = 64 * 1024;
/// Bytes nobody knows.
pub const UNKNOWN: &str = "application/octet-stream";

/// Types that browsers show without running anything in them. Everything else is only handed out
/// to be saved.
pub const SHOWN_IN_PLACE: [&str; 14] = [
    "image/png",
    "image/jpeg",
    "image/gif",
    "image/webp",
    "image/bmp",
    "text/plain",
    "text/csv",
    "audio/mpeg",
    "audio/ogg",
    "audio/x-wav",
    "audio/x-flac",
    "video/mp4",
    "video/webm",
    "video/ogg",
];

/// Types of images that can be scaled.
pub(super) const SCALED: [&str; 5] = ["image/png", "image/jpeg", "image/gif", "image/webp", "image/bmp"];

/// The type of a file that begins with `head` (all of it when `whole`). What the bytes say counts;
/// the declared type, then the name, only for texts and for bytes that say nothing.
pub(super) fn of(head: &[u8], whole: bool, declared: Option<&str>, name: &str) -> String {
    let declared = declared.and_then(plain);
    let by_name = || mime_guess::from_path(name).first_raw().map(str::to_owned);
    if let Some(text) = text_start(head, whole) {
        return text_kind(&text, declared.as_deref(), by_name().as_deref())
            .unwrap_or("text/plain")
            .to_owned();
    }
    if let Some(found) = infer::get(head)
        && !is_text(found.mime_type())
    {
        return found.mime_type().to_owned();
    }
    // Older character sets give no sign of themselves: somebody must say that it is text.
    if !head.iter().any(|byte| is_binary(*byte))
        && let Some(kind) = text_kind(&latin(head), declared.as_deref(), by_name().as_deref())
    {
        return kind.to_owned();
    }
    // A type that bytes would have shown is not believed when they do not.
    let fits = |kind: &String| {
        !is_text(kind) && !SHOWN_IN_PLACE.contains(&kind.as_str()) && infer_knows(kind).is_none()
    };
    declared.filter(fits).or_else(|| by_name().filter(fits)).unwrap_or(UNKNOWN.to_owned())
}

/// `type/subtype` in lower case, without parameters; `None` when it is no media type.
fn plain(declared: &str) -> Option<String> {
    let bare = declared.split(';').next()?.trim().to_ascii_lowercase();
    let (kind, subtype) = bare.split_once('/')?;
    let token = |part: &str| {
        !part.is_empty()
            && part.len() <= 100
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&b))
    };
    (token(kind) && token(subtype) && bare != UNKNOWN).then_some(bare)
}

fn infer_knows(kind: &str) -> Option<()> {
    infer::is_mime_supported(kind).then_some(())
}

/// True for types whose content is text.
pub(super) fn is_text(kind: &str) -> bool {
    kind.starts_with("text/")
        || kind.ends_with("+json")
        || kind.ends_with("+xml")
        || matches!(
            kind,
            "application/json"
                | "application/xml"
                | "application/javascript"
                | "application/x-ndjson"
                | "application/yaml"
                | "application/x-yaml"
                | "application/toml"
                | "application/sql"
                | "application/x-sh"
        )
}

/// Types that only their content can earn.
fn is_markup(kind: &str) -> bool {
    matches!(kind, "text/html" | "image/svg+xml" | "application/xhtml+xml")
}

/// The type of a text: markup by what it says; otherwise as it was declared, or is called.
fn text_kind<'a>(text: &str, declared: Option<&'a str>, named: Option<&'a str>) -> Option<&'a str> {
    let fits = |kind: &&str| is_text(kind) && !is_markup(kind);
    let said = declared.filter(fits).or_else(|| named.filter(fits));
    // Text that is called markup and says none is text all the same.
    let text_at_all = said.or_else(|| declared.or(named).filter(|kind| is_text(kind)).map(|_| "text/plain"));
    match markup(text) {
        Some(markup) => Some(markup),
        None => text_at_all,
    }
}

/// True for control characters that only binary files have.
fn is_binary(byte: u8) -> bool {
    matches!(byte, 0x0..=0x8 | 0xe..=0x1a | 0x1c..=0x1f | 0x7f)
}

/// Bytes as text in which every byte is a character: enough to see tags.
fn latin(head: &[u8]) -> String {
    head.iter().map(|byte| char::from(*byte)).collect()
}

/// The text a file begins with, when it says itself that it is text: UTF-8, or UTF-16 with its mark,
/// without control characters of binary files.
fn text_start(head: &[u8], whole: bool) -> Option<Cow<'_, str>> {
    let utf16 = Encoding::for_bom(head).filter(|(set, _)| *set != encoding_rs::UTF_8);
    let text = match (utf16, std::str::from_utf8(head)) {
        (Some((set, mark)), _) => {
            // A character that is cut in two at the end of what is looked at does not count.
            let even = head.len() - head.len() % 2;
            let body = head.get(mark..even).unwrap_or_default();
            set.decode_without_bom_handling_and_without_replacement(body)?
        }
        (None, Ok(text)) => Cow::Borrowed(text),
        // The last character may have been cut in two.
        (None, Err(error)) if !whole && error.error_len().is_none() => {
            Cow::Borrowed(std::str::from_utf8(head.get(..error.valid_up_to())?).ok()?)
        }
        (None, Err(_)) => return None,
    };
    // These formats may look like text all through; other marks ("BM", "MZ") are words as well.
    let marked = infer::get(head).is_some_and(|found| {
        matches!(found.mime_type(), "application/pdf" | "application/rtf" | "application/postscript")
    });
    let binary = |c: char| u8::try_from(c).is_ok_and(is_binary);
    (!marked && !text.contains(binary)).then_some(text)
}

/// HTML, SVG or other XML, by the first tag.
fn markup(text: &str) -> Option<&'static str> {
    let mut rest = text.trim_start_matches('\u{feff}').trim_start();
    let mut xml = false;
    loop {
        // What may stand before the first tag: declarations, comments, a document type.
        let end = if rest.starts_with("<?") {
            xml |= starts(rest, "<?xml");
            "?>"
        } else if rest.starts_with("<!--") {
            "-->"
        } else if rest.starts_with("<!") {
            if starts(rest, "<!doctype html") {
                return Some("text/html");
            }
            if starts(rest, "<!doctype svg") {
                return Some("image/svg+xml");
            }
            // A document type may hold others in brackets.
            if rest.find('[').zip(rest.find('>')).is_some_and(|(open, close)| open < close) {
                "]>"
            } else {
                ">"
            }
        } else {
            break;
        };
        match rest.split_once(end) {
            Some((_, after)) => rest = after.trim_start(),
            None => return xml.then_some("application/xml"),
        }
    }
    let name = rest.strip_prefix('<')?;
    let name: String = name
        .chars()
        .take_while(|c| c.is_alphanumeric() || matches!(c, ':' | '-' | '_'))
        .collect::<String>()
        .to_ascii_lowercase();
    let local = name.rsplit(':').next().unwrap_or_default();
    if local == "svg" {
        return Some("image/svg+xml");
    }
    if HTML.contains(&local) {
        return Some("text/html");
    }
    xml.then_some("application/xml")
}

/// Elements that make browsers take a text for HTML, and a few more.
const HTML: [&str; 26] = [
    "html", "head", "body", "script", "iframe", "title", "style", "table", "h1", "h2", "div", "p", "a", "b",
    "br", "font", "img", "meta", "link", "form", "input", "object", "embed", "base", "video", "math",
];

fn starts(text: &str, with: &str) -> bool {
    text.get(..with.len()).is_some_and(|start| start.eq_ignore_ascii_case(with))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_decide_and_declarations_help_only_where_bytes_are_silent() {
        let png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".as_slice();
        for (head, declared, name, kind) in [
            (png, Some("text/html"), "a.html", "image/png"),
            (b"%PDF-1.7\nx", Some("text/plain"), "a.txt", "application/pdf"),
            (b"<!DOCTYPE html><p>", Some("image/png"), "a.png", "text/html"),
            (b"\xef\xbb\xbf  <html>", None, "a", "text/html"),
            (b"<script>alert(1)</script>", Some("text/plain"), "a.txt", "text/html"),
            (b"<svg xmlns='x' onload='y'/>", Some("image/png"), "a.png", "image/svg+xml"),
            (
                b"<?xml version='1.0'?><!-- c --><!DOCTYPE x [<!ENTITY a 'b'>]>\n<s:svg/>",
                None,
                "a",
                "image/svg+xml",
            ),
            (b"<?xml version='1.0'?><note/>", Some("text/html"), "a", "application/xml"),
            (b"a,b\n1,2\n", Some("text/csv; charset=utf-8"), "a", "text/csv"),
            (b"a,b\n1,2\n", None, "a.csv", "text/csv"),
            (b"just words", Some("text/html"), "a.html", "text/plain"),
            (b"just words", Some("image/png"), "a.png", "text/plain"),
            (b"{\"a\":1}", None, "a.json", "application/json"),
            (b"", None, "", "text/plain"),
            (b"\x00\x01\x02", Some("image/png"), "a.png", UNKNOWN),
            (b"\x00\x01\x02", Some("application/vnd.acme"), "a", "application/vnd.acme"),
            (b"\x00\x01\x02", Some("no type"), "a", UNKNOWN),
            (b"\x00\x01\x02", Some("text/html\r\nx: y"), "a", UNKNOWN),
            (b"GIF89a\x01\x00", None, "a", "image/gif"),
        ] {
            assert_eq!(
                of(head, true, declared, name),
                kind,
                "{:?} {declared:?}",
                String::from_utf8_lossy(head)
            );
        }
        let latin = b"Stra\xdfe;gro\xdf\n".as_slice();
        let utf16 = |text: &str| {
            let units = format!("\u{feff}{text}");
            units.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>()
        };
        for (head, declared, name, kind) in [
            (latin, Some("text/csv"), "a", "text/csv"),
            (latin, None, "a.txt", "text/plain"),
            (latin, Some("image/png"), "a.txt", "text/plain"),
            (latin, Some("text/html"), "a", "text/plain"),
            // Nobody says that it is text.
            (latin, None, "a", UNKNOWN),
            (latin, Some("application/vnd.acme"), "a", "application/vnd.acme"),
            (b"\xdf\x00\x01", Some("text/plain"), "a.txt", UNKNOWN),
            (b"<p>Stra\xdfe<script>", Some("text/plain"), "a.txt", "text/html"),
            (&utf16("a,ß\n"), None, "a.csv", "text/csv"),
            (&utf16("a,ß\n"), Some("image/png"), "a", "text/plain"),
            (&utf16("<svg onload='x'/>"), Some("text/plain"), "a", "image/svg+xml"),
            (&utf16("<script>"), None, "a.txt", "text/html"),
            (b"\xff\xfe\x00\xd8\x01\x02", None, "a", UNKNOWN),
        ] {
            assert_eq!(of(head, true, declared, name), kind, "{head:?} {declared:?} {name}");
        }
        // A character cut at the end of what is looked at is no sign of a binary file.
        assert_eq!(of("é".as_bytes().split_at(1).0, false, None, ""), "text/plain");
        assert_eq!(of("é".as_bytes().split_at(1).0, true, None, ""), UNKNOWN);
    }
}
