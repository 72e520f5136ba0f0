//! What a file says: plain texts in whatever character set, and what can be read out of HTML and
//! PDF.

mod apart;
mod charset;
mod html;
mod pdf;

use serde::{Deserialize, Serialize};
use tablewright_core::{Code, Fault};

use super::{Files, MB, StoredAttachment, broken, kind};

pub use apart::extract;

/// Longest text that is read out of a file, in bytes.
const MAX_TEXT: usize = 8 * 1024 * 1024;

/// How the text of a file is got at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// It is the text.
    Plain,
    /// Markdown is made of it.
    Html,
    /// What its pages show, in the order in which they say it.
    Pdf,
}

impl Format {
    /// How files of a media type are read; `None` for those that have no text.
    pub fn of(kind: &str) -> Option<Self> {
        match kind {
            "text/html" | "application/xhtml+xml" => Some(Self::Html),
            "application/pdf" => Some(Self::Pdf),
            _ => kind::is_text(kind).then_some(Self::Plain),
        }
    }

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Html => "html",
            Self::Pdf => "pdf",
        }
    }

    /// The format with this name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Plain, Self::Html, Self::Pdf].into_iter().find(|format| format.as_str() == name)
    }
}

/// The text of a file.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FileText {
    /// What it says.
    pub text: String,
    /// How it was read, and what is missing from it.
    pub about: About,
}

/// What is known about a text that was read out of a file.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct About {
    /// In words, one remark each.
    pub remarks: Vec<String>,
    /// Why there is no text, if there is none.
    pub refused: Option<String>,
}

impl About {
    fn remark(text: impl Into<String>) -> Self {
        Self { remarks: vec![text.into()], refused: None }
    }

    fn refused(why: impl Into<String>) -> Self {
        Self { remarks: Vec::new(), refused: Some(why.into()) }
    }
}

/// Cuts a text after at most `most` bytes of it.
fn cut(text: &mut String, most: usize) -> bool {
    let whole = text.len() <= most;
    text.truncate(text.floor_char_boundary(most));
    !whole
}

fn longer() -> String {
    format!("the text is longer than {} MB; this is its beginning", MAX_TEXT / (1024 * 1024))
}

impl Files {
    /// The text of a file, at most 8 MB of it. Refused with the reason when it has none.
    pub async fn text(&self, attachment: &StoredAttachment, format: Format) -> Result<FileText, Fault> {
        let found = match format {
            Format::Plain => {
                // One byte more shows whether that was all.
                let bytes = self.read(attachment, MAX_TEXT as u64 + 1).await?;
                tokio::task::spawn_blocking(move || plain(&bytes)).await.map_err(broken)?
            }
            Format::Html | Format::Pdf => {
                let most = self.shared.options.read_mb;
                if attachment.size > most * MB {
                    let message = format!(
                        "it is larger than {most} MB, the most that is read; a person can raise the setting attachments.read_mb"
                    );
                    return Err(Fault::new(Code::LimitExceeded, message));
                }
                self.read_apart(attachment, format).await?
            }
        };
        match found.about.refused {
            None => Ok(found),
            Some(why) => Err(Fault::new(Code::InvalidFile, why)),
        }
    }
}

fn plain(bytes: &[u8]) -> FileText {
    let whole = bytes.len() <= MAX_TEXT;
    let (mut text, set) = charset::decode(bytes.get(..MAX_TEXT).unwrap_or(bytes), whole);
    let mut about = About::default();
    if set != charset::USUAL {
        about.remarks.push(format!("read as {}", set.name()));
    }
    if cut(&mut text, MAX_TEXT) || !whole {
        about.remarks.push(longer());
    }
    FileText { text, about }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_that_are_too_long_say_so() {
        let read = plain(&vec![b'x'; MAX_TEXT + 1]);
        assert_eq!((read.text.len(), read.about.remarks.len()), (MAX_TEXT, 1));
        assert!(plain(&vec![b'x'; MAX_TEXT]).about.remarks.is_empty());
        // A character set that takes less room than UTF-8 may outgrow the bound.
        let read = plain(&[b"caf\xe9 ".as_slice(), &vec![0xe9; MAX_TEXT - 5]].concat());
        assert!(read.text.len() <= MAX_TEXT && read.about.remarks.len() == 2, "{:?}", read.about);
        for format in [Format::Plain, Format::Html, Format::Pdf] {
            assert_eq!(Format::named(format.as_str()), Some(format));
        }
        assert_eq!((Format::named("x"), Format::of("image/png")), (None, None));
    }
}
