//! Which character set a text is in.

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{Encoding, UTF_8};

/// The character set that is not worth a word.
pub(super) const USUAL: &Encoding = UTF_8;
/// How much of a text is looked at to tell its character set, in bytes.
const SAMPLE: usize = 256 * 1024;
/// How far into an HTML file its own word for the character set is looked for.
const HTML_HEAD: usize = 1_024;

/// The text and the character set it was in. Not `whole`: the last character may be cut in two.
pub(super) fn decode(bytes: &[u8], whole: bool) -> (String, &'static Encoding) {
    decode_as(bytes, whole, None)
}

/// The same for HTML, which may name its character set.
pub(super) fn decode_html(bytes: &[u8]) -> (String, &'static Encoding) {
    decode_as(bytes, true, declared(bytes))
}

fn decode_as(bytes: &[u8], whole: bool, declared: Option<&'static Encoding>) -> (String, &'static Encoding) {
    let set = match Encoding::for_bom(bytes) {
        Some((set, _)) => set,
        None if is_utf8(bytes, whole) => UTF_8,
        None => declared.unwrap_or_else(|| guess(bytes)),
    };
    let (text, set, _) = set.decode(bytes);
    let mut text = text.into_owned();
    if !whole && text.ends_with('\u{fffd}') {
        text.pop();
    }
    (text, set)
}

fn is_utf8(bytes: &[u8], whole: bool) -> bool {
    match std::str::from_utf8(bytes) {
        Ok(_) => true,
        Err(error) => !whole && error.error_len().is_none(),
    }
}

fn guess(bytes: &[u8]) -> &'static Encoding {
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
    // What is plain ASCII says nothing: a sample that begins before the first other byte says most.
    let first = bytes.iter().position(|byte| !byte.is_ascii()).unwrap_or_default();
    let from = first.saturating_sub(SAMPLE / 4);
    let sample = bytes.get(from..bytes.len().min(from + SAMPLE)).unwrap_or(bytes);
    detector.feed(sample, true);
    detector.guess(None, Utf8Detection::Deny)
}

/// What an HTML file says about its character set.
fn declared(bytes: &[u8]) -> Option<&'static Encoding> {
    let head = bytes.get(..HTML_HEAD).unwrap_or(bytes).to_ascii_lowercase();
    let at = memchr::memmem::find(&head, b"charset=")?;
    let label = head.get(at + b"charset=".len()..)?;
    let label = label.strip_prefix(b"\"").or(label.strip_prefix(b"'")).unwrap_or(label);
    let end = label.iter().position(|byte| !byte.is_ascii_alphanumeric() && !b"-_:".contains(byte));
    Encoding::for_label(label.get(..end.unwrap_or(label.len()))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_read_in_their_own_character_set() {
        let utf16 = |text: &str, little: bool| {
            let units = text.encode_utf16();
            units.flat_map(|u| if little { u.to_le_bytes() } else { u.to_be_bytes() }).collect::<Vec<u8>>()
        };
        let german = "Straße, Mädchen, für Übung, größer als früher";
        let latin: Vec<u8> = german.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
        for (bytes, set) in [
            (german.as_bytes().to_vec(), "UTF-8"),
            ([b"\xef\xbb\xbf", german.as_bytes()].concat(), "UTF-8"),
            (latin, "windows-1252"),
            (utf16(&format!("\u{feff}{german}"), true), "UTF-16LE"),
            (utf16(&format!("\u{feff}{german}"), false), "UTF-16BE"),
        ] {
            let (text, found) = decode(&bytes, true);
            assert_eq!((text.as_str(), found.name()), (german, set));
        }
        let russian = "Съешь же ещё этих мягких французских булок, да выпей чаю";
        let (bytes, ..) = encoding_rs::WINDOWS_1251.encode(russian);
        assert_eq!(decode(&bytes, true).0, russian);
        let (bytes, ..) = encoding_rs::SHIFT_JIS.encode("日本語のテキストです。これは文字コードの試験です。");
        assert_eq!(decode(&bytes, true).1.name(), "Shift_JIS");
        // A character that is cut in two at the end is left out, and no reason to guess.
        assert_eq!(decode(b"caf\xc3", false), ("caf".into(), UTF_8));
        assert_eq!(decode(b"", true), (String::new(), UTF_8));
    }

    #[test]
    fn html_may_name_its_character_set() {
        let page = |label: &str| [b"<meta charset=", label.as_bytes(), b">\xe9\xea"].concat();
        assert_eq!(decode_html(&page("\"windows-1251\"")).1.name(), "windows-1251");
        assert_eq!(decode_html(&page("'ISO-8859-2'")).1.name(), "ISO-8859-2");
        assert_eq!(declared(&page("nonsense")), None);
        assert_eq!(decode_html(b"<p>\xc3\xa9"), ("<p>é".into(), UTF_8));
    }
}
