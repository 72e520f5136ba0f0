//! Long lists in pages. A cursor is opaque to clients: it holds the list it belongs to and the
//! key of the last item that was shown.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rmcp::model::{ErrorData, PaginatedRequestParams};

/// Items of a page.
pub(super) const PAGE: usize = 100;

/// Longest cursor that is read, in bytes.
const MAX_CURSOR: usize = 1_000;

/// The cursor of a list after the item with this key.
pub(super) fn cursor(list: &str, key: &str) -> String {
    URL_SAFE_NO_PAD.encode(format!("{list}\n{key}"))
}

/// What is wrong with a cursor, and what to do.
pub(super) fn refused() -> ErrorData {
    ErrorData::invalid_params(
        "this cursor is none that this list gave, or the list has changed since; leave cursor out to start again",
        None,
    )
}

/// The key in the cursor a client sent; `None` when it sent none. An empty text is a cursor like
/// any other, and none that was given out.
pub(super) fn after(
    list: &str,
    request: Option<&PaginatedRequestParams>,
) -> Result<Option<String>, ErrorData> {
    let Some(cursor) = request.and_then(|r| r.cursor.as_deref()) else { return Ok(None) };
    let text = (cursor.len() <= MAX_CURSOR).then(|| URL_SAFE_NO_PAD.decode(cursor).ok()).flatten();
    let text = text.and_then(|bytes| String::from_utf8(bytes).ok());
    let key = text.as_deref().and_then(|text| text.strip_prefix(list)?.strip_prefix('\n'));
    key.map(|key| Some(key.to_owned())).ok_or_else(refused)
}

/// The page of a list of known items that a client asks for, and the cursor of the next one.
pub(super) fn page<T: Clone>(
    list: &str,
    items: &[T],
    request: Option<&PaginatedRequestParams>,
    key: impl Fn(&T) -> &str,
) -> Result<(Vec<T>, Option<String>), ErrorData> {
    let start = match after(list, request)? {
        None => 0,
        Some(last) => items.iter().position(|item| key(item) == last).ok_or_else(refused)? + 1,
    };
    let rest = items.get(start..).unwrap_or_default();
    let shown = rest.get(..PAGE).unwrap_or(rest);
    let next = (rest.len() > PAGE).then(|| shown.last().map(|item| cursor(list, key(item)))).flatten();
    Ok((shown.to_vec(), next))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(cursor: &str) -> PaginatedRequestParams {
        PaginatedRequestParams::default().with_cursor(Some(cursor.to_owned()))
    }

    #[test]
    fn pages_follow_each_other_and_stale_cursors_are_refused() {
        let items: Vec<String> = (0..250).map(|n| format!("n{n}")).collect();
        let page = |items: &[String], request: Option<&PaginatedRequestParams>| {
            super::page("numbers", items, request, |item| item.as_str())
        };
        let mut seen = Vec::new();
        let mut next: Option<String> = None;
        loop {
            let request = next.as_deref().map(with);
            let (shown, more) = page(&items, request.as_ref()).unwrap();
            assert!(shown.len() <= PAGE);
            seen.extend(shown);
            next = more;
            if next.is_none() {
                break;
            }
        }
        assert_eq!(seen, items);
        let (_, next) = page(&items, None).unwrap();
        let next = with(&next.unwrap());
        assert!(page(&items[..50], Some(&next)).is_err(), "the item it points at is gone");
        assert!(super::page("letters", &items, Some(&next), |i| i.as_str()).is_err(), "another list");
        for bad in ["", "x", "bnVtYmVycwpu", &"A".repeat(2_000)] {
            assert_eq!(page(&items, Some(&with(bad))).unwrap_err().code.0, -32602, "{bad}");
        }
        assert_eq!(page(&items[..100], None).unwrap().1, None, "a full last page has no next one");
    }
}
