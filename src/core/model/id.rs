//! Airtable ids: a three-letter prefix and fourteen of `[0-9A-Za-z]`.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Characters after the prefix.
pub const BODY_LEN: usize = 14;
/// Characters of a whole id.
pub const ID_LEN: usize = 17;

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// What an id names; implemented by the marker types below.
pub trait Kind {
    /// The three letters every id of this kind starts with.
    const PREFIX: &'static str;
    /// The word used for it in messages.
    const NOUN: &'static str;
}

macro_rules! kinds {
    ($($kind:ident, $alias:ident, $prefix:literal, $noun:literal;)*) => {$(
        #[doc = concat!("Marker for `", $prefix, "…` ids.")]
        #[derive(Clone, Copy)]
        pub enum $kind {}
        impl Kind for $kind {
            const PREFIX: &'static str = $prefix;
            const NOUN: &'static str = $noun;
        }
        #[doc = concat!("An id of the shape `", $prefix, "` + 14 characters.")]
        pub type $alias = Id<$kind>;
    )*};
}

kinds! {
    BaseKind, BaseId, "app", "base";
    TableKind, TableId, "tbl", "table";
    FieldKind, FieldId, "fld", "field";
    ViewKind, ViewId, "viw", "view";
    RecordKind, RecordId, "rec", "record";
    ChoiceKind, ChoiceId, "sel", "select choice";
    AttachmentKind, AttachmentId, "att", "attachment";
    CommentKind, CommentId, "com", "comment";
    UserKind, UserId, "usr", "user";
    WebhookKind, WebhookId, "ach", "webhook";
    WorkspaceKind, WorkspaceId, "wsp", "workspace";
    IteratorKind, IteratorId, "itr", "list iterator";
    CallKind, CallId, "cal", "call";
    PlanKind, PlanId, "pln", "plan";
}

/// An id that has been checked for prefix and shape. Copies are 14 bytes.
pub struct Id<K> {
    body: [u8; BODY_LEN],
    kind: PhantomData<fn() -> K>,
}

/// The text was not an id of the wanted kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a {noun} id: it must be \"{prefix}\" followed by 14 letters or digits")]
pub struct BadId {
    text: String,
    noun: &'static str,
    prefix: &'static str,
}

impl<K: Kind> Id<K> {
    /// A new random id; about 83 bits from the system's generator.
    ///
    /// # Panics
    /// When the operating system has no random numbers to give.
    pub fn random() -> Self {
        let mut body = [0u8; BODY_LEN];
        let mut filled = 0;
        while filled < BODY_LEN {
            let mut bytes = [0u8; 32];
            getrandom::fill(&mut bytes).expect("the system's random generator answers");
            // 248 = 4 * 62: rejecting the rest keeps every character equally likely.
            for byte in bytes.into_iter().filter(|byte| *byte < 248) {
                if filled == BODY_LEN {
                    break;
                }
                body[filled] = ALPHABET[usize::from(byte % 62)];
                filled += 1;
            }
        }
        Self { body, kind: PhantomData }
    }

    /// The id that stands for these bytes, such as a digest; the same for the same bytes.
    pub fn from_bytes(bytes: &[u8]) -> Self {
        let mut body = [ALPHABET[0]; BODY_LEN];
        for (place, byte) in body.iter_mut().zip(bytes) {
            *place = ALPHABET[usize::from(byte % 62)];
        }
        Self { body, kind: PhantomData }
    }

    /// Whether `text` has this kind's prefix and shape.
    pub fn is(text: &str) -> bool {
        text.parse::<Self>().is_ok()
    }

    /// The fourteen characters after the prefix.
    pub fn body(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap_or_default()
    }

    /// Appends the whole id to `out`.
    pub fn push_to(&self, out: &mut String) {
        out.push_str(K::PREFIX);
        out.push_str(self.body());
    }
}

impl<K> Clone for Id<K> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<K> Copy for Id<K> {}
impl<K> PartialEq for Id<K> {
    fn eq(&self, other: &Self) -> bool {
        self.body == other.body
    }
}
impl<K> Eq for Id<K> {}
impl<K> PartialOrd for Id<K> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl<K> Ord for Id<K> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.body.cmp(&other.body)
    }
}
impl<K> Hash for Id<K> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // Two overlapping words cover the fourteen bytes with two steps of the hasher.
        let word = |at: usize| u64::from_le_bytes(self.body[at..at + 8].try_into().unwrap_or_default());
        state.write_u64(word(0));
        state.write_u64(word(6));
    }
}
impl<K: Kind> fmt::Display for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(K::PREFIX)?;
        f.write_str(self.body())
    }
}
impl<K: Kind> fmt::Debug for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<K: Kind> FromStr for Id<K> {
    type Err = BadId;
    fn from_str(text: &str) -> Result<Self, BadId> {
        text.strip_prefix(K::PREFIX)
            .filter(|body| body.bytes().all(|b| b.is_ascii_alphanumeric()))
            .and_then(|body| body.as_bytes().try_into().ok())
            .map(|body| Self { body, kind: PhantomData })
            .ok_or_else(|| BadId { text: text.chars().take(40).collect(), noun: K::NOUN, prefix: K::PREFIX })
    }
}

impl<K: Kind> Serialize for Id<K> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut bytes = [0u8; ID_LEN];
        bytes[..3].copy_from_slice(K::PREFIX.as_bytes());
        bytes[3..].copy_from_slice(&self.body);
        serializer.serialize_str(std::str::from_utf8(&bytes).unwrap_or_default())
    }
}

impl<K: Kind> schemars::JsonSchema for Id<K> {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        format!("{}Id", K::NOUN.replace(' ', "")).into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let pattern = format!("^{}[0-9A-Za-z]{{{BODY_LEN}}}$", K::PREFIX);
        schemars::json_schema!({ "type": "string", "pattern": pattern })
    }
}

impl<'de, K: Kind> Deserialize<'de> for Id<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_only_its_own_prefix_and_shape() {
        assert!(RecordId::is("recA1b2C3d4E5f6G7"));
        for bad in
            ["recA1b2C3d4E5f6G", "tblA1b2C3d4E5f6G7", "recA1b2C3d4E5f6G7x", "recA1b2C3d4E5f6-7", "", "rec"]
        {
            assert!(!RecordId::is(bad), "{bad}");
        }
        // Fourteen bytes, but not fourteen ASCII characters.
        assert!(!RecordId::is("recéééééé12"));
    }

    #[test]
    fn random_ids_read_back_and_differ() {
        let (a, b) = (TableId::random(), TableId::random());
        assert_ne!(a, b);
        assert_eq!(a.to_string().parse::<TableId>().unwrap(), a);
        assert_eq!(serde_json::to_string(&a).unwrap(), format!("\"{a}\""));
    }
}
