//! How the cells of a field are hidden from somebody.

use serde::{Deserialize, Serialize};

/// What stands in the place of the cells of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mask {
    /// A code that is the same for the same value of the field, and tells nothing else about it.
    Hash,
    /// The last four characters, of values that have at least eight.
    LastFour,
    /// The same words for every cell, empty ones too.
    Redact,
    /// The field is not there.
    Hide,
}

impl Mask {
    /// The mask that shows no more than either.
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Hide, _) | (_, Self::Hide) => Self::Hide,
            (same, other) if same == other => same,
            _ => Self::Redact,
        }
    }

    /// As policies write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hash => "hash",
            Self::LastFour => "last_four",
            Self::Redact => "redact",
            Self::Hide => "hide",
        }
    }

    /// What the field holds instead, for those who read its description.
    pub fn words(self) -> &'static str {
        match self {
            Self::Hash => "Masked: equal values show the same code.",
            Self::LastFour => "Masked: only the last four characters are shown.",
            Self::Redact => "Masked: the values are not shown.",
            Self::Hide => "Hidden.",
        }
    }
}
