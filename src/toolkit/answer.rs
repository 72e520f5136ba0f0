//! What tools answer, bounded, in the two shapes clients read.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tablewright_core::model::PlanId;

use crate::text::json_shown;

/// Bounds of an answer.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Rows of a page when the caller names no limit (1 to 1,000).
    pub rows: usize,
    /// Characters of an answer's rows (1,000 to 200,000); a page ends at the row before.
    pub characters: usize,
    /// Characters of one cell in a text answer (20 to 10,000); longer ones are cut with a mark.
    pub cell_characters: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { rows: 100, characters: 20_000, cell_characters: 200 }
    }
}

/// The most rows a caller can ask for in one page.
pub const MAX_ROWS: usize = 1_000;

impl Limits {
    /// Refuses values out of their ranges: the setting and what it must be.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        for (key, value, low, high) in [
            ("rows", self.rows, 1, MAX_ROWS),
            ("characters", self.characters, 1_000, 200_000),
            ("cell_characters", self.cell_characters, 20, 10_000),
        ] {
            if !(low..=high).contains(&value) {
                return Err((key, format!("it must be {low} to {high}, not {value}")));
            }
        }
        Ok(())
    }
}

/// An image in an answer.
#[derive(Clone, PartialEq)]
pub struct Image {
    /// The bytes of its file.
    pub bytes: Vec<u8>,
    /// Its media type.
    pub kind: String,
}

impl std::fmt::Debug for Image {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Image({}, {} bytes)", self.kind, self.bytes.len())
    }
}

/// What a tool gives back.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// An image, and what there is to say about it.
    Image(Image, String),
    /// Rows as text alone.
    Text(String),
    /// A typed result; its JSON is the text as well.
    Structured(Value),
    /// A typed result of a write in which every record failed.
    Failed(Value),
    /// The call goes on as a task with this id.
    Task(String),
    /// The client is to put this question about a plan to its user, and to call again with the answer.
    Ask(PlanId, String),
}

/// An answer as a face sends it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reply {
    /// The text block.
    pub text: String,
    /// An image beside it. What is kept of a task has none: only reads give them.
    #[serde(skip)]
    pub image: Option<Image>,
    /// The structured content.
    pub structured: Option<Value>,
    /// True when the caller must change something.
    pub is_error: bool,
}

impl Reply {
    /// A text alone.
    pub fn text(text: String) -> Self {
        Self { text, image: None, structured: None, is_error: false }
    }

    /// An image, and what there is to say about it.
    pub fn image(image: Image, text: String) -> Self {
        Self { image: Some(image), ..Self::text(text) }
    }

    /// A typed result; its JSON is the text as well.
    pub fn structured(value: Value, is_error: bool) -> Self {
        Self { text: json_shown(&value), image: None, structured: Some(value), is_error }
    }
}
