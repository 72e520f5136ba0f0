//! The cells that stand in the place of masked ones.

use ecow::EcoString;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use tablewright_core::model::{Cell, Field, Mask};

use crate::base::chunks::{CHUNK, Chunks};
use crate::base::column::{Column, Data};
use crate::base::snapshot::Snapshot;

/// What a redacted cell says.
pub(crate) const REDACTED: &str = "[redacted]";
/// Characters a value has at least, of which the last four are shown.
const LONG_ENOUGH: usize = 8;
/// Bytes of a hash that are shown: with 12, a table of a billion rows has no two values of one code.
const SHOWN: usize = 12;

/// Makes masked cells. Hashes are keyed, so that nobody finds a value by trying.
pub(super) struct Masker(Option<Hmac<Sha256>>);

impl std::fmt::Debug for Masker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Masker(***)")
    }
}

impl Masker {
    pub(super) fn new(key: &[u8]) -> Self {
        Self(Hmac::new_from_slice(key).ok())
    }

    /// A column with masked cells. Pieces whose cells did not change since `last` (a column, and what
    /// was seen of it) are taken from there.
    pub(super) fn column(
        &self,
        snapshot: &Snapshot,
        field: &Field,
        column: &Column,
        mask: Mask,
        last: Option<(&Column, &Column)>,
    ) -> Column {
        let len = column.len();
        if matches!(mask, Mask::Redact | Mask::Hide) {
            return Column::of_texts(Chunks::filled(len, &EcoString::from(REDACTED)));
        }
        // The names of linked records change without the cells that lead to them.
        let alone = !matches!(column.data(), Data::Links(_));
        let last = last.filter(|_| alone).and_then(|(whole, seen)| match seen.data() {
            Data::Text(texts) => Some((whole, texts)),
            _ => None,
        });
        let mut texts: Chunks<EcoString> = Chunks::default();
        for first in (0..len).step_by(CHUNK) {
            let end = len.min(first + CHUNK);
            let same = last.filter(|(whole, seen)| {
                whole.shares(column, first) && seen.len() >= end && (end == len || seen.len() > first)
            });
            if same.is_some_and(|(_, seen)| seen.piece(first).is_some_and(|piece| piece.len() == end - first))
                && same.is_some_and(|(_, seen)| texts.share(seen, first))
            {
                continue;
            }
            texts.append(
                (first..end).map(|slot| self.text(snapshot, field, &column.get(slot), mask)).collect(),
            );
        }
        Column::of_texts(texts)
    }

    fn text(&self, snapshot: &Snapshot, field: &Field, cell: &Cell, mask: Mask) -> EcoString {
        let mut text = String::new();
        snapshot.push_text(&mut text, field, cell);
        match mask {
            Mask::LastFour => last_four(&text),
            Mask::Hash => self.hash(field, &text),
            Mask::Redact | Mask::Hide => EcoString::from(REDACTED),
        }
    }

    fn hash(&self, field: &Field, text: &str) -> EcoString {
        let Some(mut mac) = self.0.clone() else { return EcoString::from(REDACTED) };
        // The same value in another field has another code.
        mac.update(field.id.to_string().as_bytes());
        mac.update(text.as_bytes());
        let code = mac.finalize().into_bytes();
        let mut shown = EcoString::from("#");
        for byte in &code[..SHOWN] {
            for digit in [byte >> 4, byte & 15] {
                shown.push(char::from_digit(u32::from(digit), 16).unwrap_or('0'));
            }
        }
        shown
    }
}

/// The last four characters behind a sign that something is missing. Of a short value they would be
/// most of it, so it shows nothing; how long a value is, is not shown either.
fn last_four(text: &str) -> EcoString {
    let mut shown = EcoString::from("…");
    if text.chars().count() >= LONG_ENOUGH {
        let start = text.char_indices().rev().nth(3).map_or(0, |(at, _)| at);
        shown.push_str(&text[start..]);
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::last_four;

    #[test]
    fn short_values_show_nothing() {
        for (text, shown) in [("", "…"), ("1234567", "…"), ("12345678", "…5678"), ("ÄÖÜßäöüé", "…äöüé")]
        {
            assert_eq!(last_four(text), shown, "{text}");
        }
    }
}
