//! Reading a date without a format: ISO 8601 in all its shapes, RFC 2822, dates as written in the
//! United States, and English month names. What has no offset is UTC.

mod iso;
mod words;

/// The instant a text says, or None if it says none, an impossible one or one that is not clear.
pub fn parse_lenient(text: &str) -> Option<i64> {
    let text = text.trim();
    match iso::read(text) {
        iso::Outcome::Other => words::read(text),
        iso::Outcome::Date(found) => found,
    }
}
