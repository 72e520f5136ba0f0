//! The `offset` of lists: `itr` and 14 characters, `/`, a prefix and 14 characters.
//!
//! A list in the table's own order needs nothing kept: the offset holds the position of the last
//! row, how many rows came so far and when it was given out. A sorted list's offset names the
//! order that is kept, and a place in it. Lists of comments hold a position as well, so that the
//! last one given out may be deleted; lists of bases name the last one. Each holds a check value under a key of this process, which binds it to the query,
//! so that a made-up offset, or one of another query, is not followed.

use std::hash::{BuildHasher, Hash, RandomState};

use tablewright_core::model::id::{BODY_LEN, Id, IteratorId, Kind};

/// Where a list of records or comments goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// After the item at a position in the list's own order.
    After {
        /// The position of the last item given out.
        position: i64,
        /// Items given out so far.
        returned: u32,
    },
    /// At an index of an order that is kept.
    Kept {
        /// The order.
        id: IteratorId,
        /// The next row.
        index: u32,
    },
}

/// Why an offset is not followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lost {
    /// It has not the shape of one.
    Garbage,
    /// It is too old, of another query, or of another run of the server.
    Gone,
}

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Bits a part of 14 characters holds: 62^14 is a little more than 2^83.
const BITS: u32 = 83;
const SECONDS: u32 = 33;
const RETURNED: u32 = 32;
/// Bits of the check value beside the time and the number of rows.
const HIGH: u32 = BITS - SECONDS - RETURNED;
const POSITION: u32 = 47;
/// Bits of the check value beside the kind and the position.
const LOW: u32 = BITS - 1 - POSITION;
const INDEX: u32 = 32;
/// Bits of the check value beside the kind and the index.
const KEPT_CHECK: u32 = BITS - 1 - INDEX;
/// Bits of the check value beside the time alone.
const LAST_CHECK: u32 = BITS - SECONDS;

fn low_bits(number: u64, bits: u32) -> u64 {
    number & ((1 << bits) - 1)
}

fn push_number(out: &mut String, mut number: u128) {
    let mut digits = [0u8; BODY_LEN];
    for digit in digits.iter_mut().rev() {
        *digit = ALPHABET[(number % 62) as usize];
        number /= 62;
    }
    out.extend(digits.iter().map(|digit| char::from(*digit)));
}

fn read_number(body: &str) -> u128 {
    body.bytes().fold(0, |number, byte| {
        let digit = ALPHABET.binary_search(&byte).unwrap_or_default();
        number * 62 + digit as u128
    })
}

/// Takes numbers of known widths off a part, lowest first.
struct Bits(u128);

impl Bits {
    fn take(&mut self, bits: u32) -> u64 {
        let taken = self.0 & ((1 << bits) - 1);
        self.0 >>= bits;
        taken as u64
    }
}

/// Makes offsets and reads them back. Others cannot: the key is drawn when it is made.
pub(super) struct Offsets {
    key: RandomState,
    idle_seconds: u64,
}

impl Offsets {
    /// Offsets that are followed for `idle_seconds` after they were given out.
    pub(super) fn new(idle_seconds: u64) -> Self {
        Self { key: RandomState::new(), idle_seconds }
    }

    /// How long an offset is followed, in milliseconds.
    pub(super) fn idle_ms(&self) -> i64 {
        i64::try_from(self.idle_seconds).unwrap_or(i64::MAX).saturating_mul(1_000)
    }

    /// A number that stands for a query.
    pub(super) fn digest(&self, query: &impl Hash) -> u64 {
        self.key.hash_one(query)
    }

    /// The offset that leads to `place` of the list of things of a kind that `query` stands for.
    pub(super) fn write<K: Kind>(&self, place: Place, query: u64, now_ms: i64) -> String {
        let mut out = String::with_capacity(2 * (3 + BODY_LEN) + 1);
        out.push_str("itr");
        match place {
            Place::After { position, returned } => {
                let seconds = low_bits(seconds(now_ms), SECONDS);
                let position = low_bits(position.unsigned_abs(), POSITION);
                let check = self.key.hash_one((query, seconds, returned, position));
                let high = u128::from(low_bits(check >> LOW, HIGH));
                let first =
                    u128::from(seconds) | u128::from(returned) << SECONDS | high << (SECONDS + RETURNED);
                push_number(&mut out, first);
                out.push('/');
                out.push_str(K::PREFIX);
                let low = u128::from(low_bits(check, LOW));
                push_number(&mut out, u128::from(position) << 1 | low << (1 + POSITION));
            }
            Place::Kept { id, index } => {
                out.push_str(id.body());
                out.push('/');
                out.push_str(K::PREFIX);
                let check = low_bits(self.key.hash_one((query, id, index)), KEPT_CHECK);
                push_number(&mut out, 1 | u128::from(index) << 1 | u128::from(check) << (1 + INDEX));
            }
        }
        out
    }

    /// Reads an offset that [`Offsets::write`] wrote.
    pub(super) fn read<K: Kind>(&self, text: &str, query: u64, now_ms: i64) -> Result<Place, Lost> {
        let (first, second) = text.split_once('/').ok_or(Lost::Garbage)?;
        let id: IteratorId = first.parse().map_err(|_| Lost::Garbage)?;
        let second: Id<K> = second.parse().map_err(|_| Lost::Garbage)?;
        let mut second = Bits(read_number(second.body()));
        if second.take(1) == 1 {
            let index = second.take(INDEX) as u32;
            let wanted = low_bits(self.key.hash_one((query, id, index)), KEPT_CHECK);
            return if u128::from(wanted) == second.0 {
                Ok(Place::Kept { id, index })
            } else {
                Err(Lost::Gone)
            };
        }
        let position = second.take(POSITION);
        let mut first = Bits(read_number(id.body()));
        let (given, returned) = (first.take(SECONDS), first.take(RETURNED) as u32);
        let check = self.key.hash_one((query, given, returned, position));
        let held = (first.0, second.0) == (low_bits(check >> LOW, HIGH).into(), low_bits(check, LOW).into());
        if !held || self.is_old(given, now_ms) {
            return Err(Lost::Gone);
        }
        Ok(Place::After { position: position as i64, returned })
    }

    /// The offset that goes on behind `last` in the list `query` stands for.
    pub(super) fn write_last<K: Kind>(&self, last: Id<K>, query: u64, now_ms: i64) -> String {
        let mut out = String::with_capacity(2 * (3 + BODY_LEN) + 1);
        out.push_str("itr");
        let seconds = low_bits(seconds(now_ms), SECONDS);
        let check = low_bits(self.key.hash_one((query, seconds, last)), LAST_CHECK);
        push_number(&mut out, u128::from(seconds) | u128::from(check) << SECONDS);
        out.push('/');
        last.push_to(&mut out);
        out
    }

    /// Reads an offset that [`Offsets::write_last`] wrote.
    pub(super) fn read_last<K: Kind>(&self, text: &str, query: u64, now_ms: i64) -> Result<Id<K>, Lost> {
        let (first, last) = text.split_once('/').ok_or(Lost::Garbage)?;
        let id: IteratorId = first.parse().map_err(|_| Lost::Garbage)?;
        let last: Id<K> = last.parse().map_err(|_| Lost::Garbage)?;
        let mut first = Bits(read_number(id.body()));
        let given = first.take(SECONDS);
        let check = low_bits(self.key.hash_one((query, given, last)), LAST_CHECK);
        if u128::from(check) != first.0 || self.is_old(given, now_ms) {
            return Err(Lost::Gone);
        }
        Ok(last)
    }

    fn is_old(&self, given: u64, now_ms: i64) -> bool {
        low_bits(seconds(now_ms), SECONDS).saturating_sub(given) > self.idle_seconds
    }
}

fn seconds(ms: i64) -> u64 {
    u64::try_from(ms / 1_000).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tablewright_core::model::RecordId;
    use tablewright_core::model::id::{BaseId, BaseKind, CommentKind, RecordKind};

    use super::*;

    const NOW: i64 = 1_800_000_000_000;

    #[test]
    fn offsets_have_the_known_shape_and_lapse() {
        let offsets = Offsets::new(600);
        let place = Place::After { position: 7, returned: 100 };
        let text = offsets.write::<RecordKind>(place, 5, NOW);
        let (first, second) = text.split_once('/').unwrap();
        assert!(IteratorId::is(first) && RecordId::is(second), "{text}");
        assert_eq!(offsets.read::<RecordKind>(&text, 5, NOW + 600_000), Ok(place));
        assert_eq!(offsets.read::<RecordKind>(&text, 5, NOW + 602_000), Err(Lost::Gone));
        assert_eq!(offsets.read::<RecordKind>(&text, 6, NOW), Err(Lost::Gone), "another query");
        assert_eq!(Offsets::new(600).read::<RecordKind>(&text, 5, NOW), Err(Lost::Gone), "another run");
    }

    #[test]
    fn strangers_are_not_followed() {
        let offsets = Offsets::new(600);
        for text in
            ["", "/", "itr/rec", "recA1b2C3d4E5f6G7", "itrA1b2C3d4E5f6G7", "itrA1b2C3d4E5f6G7/", "é/é"]
        {
            assert_eq!(offsets.read::<RecordKind>(text, 5, NOW), Err(Lost::Garbage), "{text}");
        }
        for text in ["itrA1b2C3d4E5f6G7/recA1b2C3d4E5f6G7", "itrzzzzzzzzzzzzzz/reczzzzzzzzzzzzzz"] {
            assert_eq!(offsets.read::<RecordKind>(text, 5, NOW), Err(Lost::Gone), "{text}");
            assert_eq!(offsets.read::<CommentKind>(text, 5, NOW), Err(Lost::Garbage));
            assert_eq!(offsets.read_last::<BaseKind>(text, 5, NOW), Err(Lost::Garbage));
        }
    }

    #[test]
    fn the_last_of_a_list_is_named() {
        let offsets = Offsets::new(600);
        let last = BaseId::random();
        let text = offsets.write_last(last, 5, NOW);
        assert!(text.ends_with(&last.to_string()));
        assert_eq!(offsets.read_last(&text, 5, NOW), Ok(last));
        assert_eq!(offsets.read_last::<BaseKind>(&text, 4, NOW), Err(Lost::Gone));
    }

    proptest! {
        #[test]
        fn places_come_back(position in 0i64..1 << 46, returned: u32, index: u32, query: u64) {
            let offsets = Offsets::new(600);
            for place in [Place::After { position, returned }, Place::Kept { id: IteratorId::random(), index }] {
                let text = offsets.write::<RecordKind>(place, query, NOW);
                prop_assert_eq!(offsets.read::<RecordKind>(&text, query, NOW), Ok(place));
                prop_assert_eq!(offsets.read::<RecordKind>(&text, query ^ 1, NOW), Err(Lost::Gone));
            }
        }

        #[test]
        fn no_text_is_followed_by_chance(text in "itr[0-9A-Za-z]{14}/rec[0-9A-Za-z]{14}") {
            prop_assert_eq!(Offsets::new(600).read::<RecordKind>(&text, 5, NOW), Err(Lost::Gone));
        }
    }
}
