//! Files that are sent on to Airtable instead of being kept here.

use std::path::Path;

use tablewright_core::{Code, Fault};
use tokio::io::AsyncReadExt as _;

use super::{Described, Files, MB, kind, name, too_large};

/// Largest file that Airtable takes in an upload, in megabytes.
const AIRTABLE_MB: u64 = 5;

/// A file somebody gives: where it lies, or what it says.
#[derive(Debug, Clone, Copy)]
pub enum Given<'a> {
    /// A file in one of the folders of the setting `attachments.folders`.
    Path(&'a Path),
    /// Its whole content.
    Text(&'a str),
}

/// A file on its way out.
#[derive(Debug, Clone, PartialEq)]
pub struct Outgoing {
    /// What to call it; cleaned.
    pub filename: String,
    /// Its media type.
    pub kind: String,
    /// Its content.
    pub bytes: Vec<u8>,
}

impl Files {
    /// Reads a file that is to be uploaded to Airtable, if it is small enough for that.
    pub async fn outgoing(&self, given: Given<'_>, filename: Option<&str>) -> Result<Outgoing, Fault> {
        let here = self.shared.options.upload_mb;
        let large = || {
            if here < AIRTABLE_MB {
                return too_large(here * MB, "upload_mb");
            }
            let message = format!(
                "the file is larger than {AIRTABLE_MB} MB, the most that Airtable takes in an upload; put it on the web and write {{\"url\": …}} with create_records or update_records"
            );
            Fault::new(Code::LimitExceeded, message)
        };
        let most = here.min(AIRTABLE_MB) * MB;
        let (suggested, bytes) = match given {
            Given::Text(text) => (String::new(), text.as_bytes().to_vec()),
            Given::Path(path) => {
                let real = self.allowed(path).await?;
                let file = Self::regular(&real).await?;
                let mut bytes = Vec::new();
                // One byte more shows whether it is too large, whatever its length was said to be.
                let read = file.take(most + 1).read_to_end(&mut bytes).await;
                read.map_err(|e| Fault::new(Code::InvalidFile, format!("{}: {e}", path.display())))?;
                (Self::name_of(path), bytes)
            }
        };
        if bytes.len() as u64 > most {
            return Err(large());
        }
        let about = Described::named(filename.unwrap_or(&suggested));
        let filename = name::clean(about.filename);
        let head = bytes.get(..kind::HEAD).unwrap_or(&bytes);
        let kind = kind::of(head, head.len() == bytes.len(), about.kind, &filename);
        Ok(Outgoing { filename, kind, bytes })
    }
}
