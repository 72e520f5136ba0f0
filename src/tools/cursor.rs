//! Cursors: opaque to callers, bound to the query they came from.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use tablewright_core::{Code, Fault};
use tablewright_engine::base::query::After;

const LEN: usize = 32;

/// Eight bytes that stand for a query.
fn digest(query: &str) -> [u8; 8] {
    let whole = Sha256::digest(query.as_bytes());
    std::array::from_fn(|at| whole[at])
}

/// The text of a cursor for `query`.
pub(crate) fn encode(after: After, query: &str) -> String {
    let mut bytes = [0u8; LEN];
    bytes[..8].copy_from_slice(&(after.offset as u64).to_le_bytes());
    bytes[8..16].copy_from_slice(&after.position.to_le_bytes());
    bytes[16..24].copy_from_slice(&after.version.to_le_bytes());
    bytes[24..].copy_from_slice(&digest(query));
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Reads a cursor back; refuses one that is not ours or of another query.
pub(crate) fn decode(text: &str, query: &str) -> Result<After, Fault> {
    let bad = |why: &str| Fault::new(Code::InvalidCursor, format!("{why} Leave cursor out to start again."));
    let bytes: [u8; LEN] = URL_SAFE_NO_PAD
        .decode(text)
        .ok()
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or_else(|| bad("this is not a cursor that an answer gave."))?;
    let word = |at: usize| u64::from_le_bytes(std::array::from_fn(|n| bytes[at + n]));
    if bytes[24..] != digest(query) {
        return Err(bad("this cursor belongs to another query: the other arguments must stay the same."));
    }
    let offset = usize::try_from(word(0)).map_err(|_| bad("this cursor is damaged."))?;
    Ok(After { offset, position: word(8) as i64, version: word(16) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_come_back_and_strangers_are_refused() {
        let after = After { offset: 100, position: 7, version: 3 };
        let text = encode(after, "q");
        assert_eq!(decode(&text, "q").unwrap(), after);
        assert!(decode(&text, "other").is_err());
        assert!(decode("", "q").is_err());
        assert!(decode(&text[1..], "q").is_err());
    }
}
