//! Files in formats that are work to read are read by a process of their own.
//!
//! The crates that read PDF and HTML panic, overflow the stack (a page that draws itself), take all
//! memory (a stream that unpacks without end) or go on for minutes (HTML nested a hundred thousand
//! deep) when a file wants them to. A thread can be stopped from none of that but the first; a
//! process can be given bounds and be ended.

use std::io::Write;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tablewright_core::{Code, Fault};
use tokio::io::AsyncReadExt as _;
use tokio::process::Command;

use super::{About, FileText, Format, MAX_TEXT, html, longer, pdf};
use crate::files::{Files, StoredAttachment, broken, show};

/// Longest word about a text that a reading process may have, in bytes.
const MAX_ABOUT: u64 = 16 * 1024;

/// Reads a file and writes its text to `text` as it comes, then to `about` what is to be said of it.
/// For a process of its own, with bounds on its memory and time.
pub fn extract(
    format: Format,
    path: &Path,
    text: &mut dyn Write,
    about: &mut dyn Write,
) -> std::io::Result<()> {
    let bytes = std::fs::read(path)?;
    let mut failed = Ok(());
    let said = match format {
        Format::Pdf => pdf::read(&bytes, &mut |page| {
            if failed.is_ok() {
                failed = text.write_all(page.as_bytes()).and_then(|()| text.flush());
            }
        }),
        Format::Plain | Format::Html => {
            let read = if format == Format::Html { html::read(&bytes) } else { super::plain(&bytes) };
            failed = text.write_all(read.text.as_bytes()).and_then(|()| text.flush());
            read.about
        }
    };
    failed?;
    about.write_all(&serde_json::to_vec(&said)?)?;
    about.flush()
}

/// What a reading process left behind.
struct Left {
    text: Vec<u8>,
    /// What it said in the end, if it came to an end.
    about: Option<About>,
    /// It was ended because it took too long.
    late: bool,
}

async fn run(program: &Path, format: Format, path: &Path, time: Duration) -> std::io::Result<Left> {
    let mut command = Command::new(program);
    command.arg("read-file").arg(format.as_str()).arg(path);
    // Nothing of this process is its business, least of all what stands in the environment.
    #[cfg(unix)]
    command.env_clear();
    // The allocator asks for a gigabyte of addresses at first, which would be all there are; in KiB.
    command.env("MIMALLOC_ARENA_RESERVE", "65536");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn()?;
    let (out, said) = (child.stdout.take(), child.stderr.take());
    let (Some(out), Some(said)) = (out, said) else { return Err(std::io::Error::other("there is no pipe")) };
    let (mut text, mut about) = (Vec::new(), Vec::new());
    let (mut out, mut said) = (out.take(MAX_TEXT as u64 * 2), said.take(MAX_ABOUT));
    let reading = async {
        let (one, two) = tokio::join!(out.read_to_end(&mut text), said.read_to_end(&mut about));
        one.and(two)?;
        child.wait().await
    };
    let Ok(status) = tokio::time::timeout(time, reading).await else {
        let _ = child.kill().await;
        return Ok(Left { text, about: None, late: true });
    };
    let about = status?.success().then(|| serde_json::from_slice(&about).ok()).flatten();
    Ok(Left { text, about, late: false })
}

impl Files {
    /// Notes the program whose command `read-file` reads files: this one, as it is installed.
    pub fn set_reader(&self, program: std::path::PathBuf) {
        // Said once, at the start.
        let _ = self.shared.reader.set(program);
    }

    /// The text of a file as a process of its own reads it. What it found out is kept for a while.
    pub(super) async fn read_apart(
        &self,
        attachment: &StoredAttachment,
        format: Format,
    ) -> Result<FileText, Fault> {
        let kept = self.shared.blobs.scaled(&attachment.blob, format.as_str(), "txt");
        if let Some(found) = tokio::fs::read_to_string(&kept).await.ok().and_then(|text| unpack(&text)) {
            return Ok(found);
        }
        let program = self.shared.reader.get().ok_or_else(|| {
            Fault::new(Code::Internal, "this process does not know the program that reads files")
        })?;
        let _turn = self.shared.reading.acquire().await.map_err(broken)?;
        if let Some(found) = tokio::fs::read_to_string(&kept).await.ok().and_then(|text| unpack(&text)) {
            // Somebody else had it read while this one waited.
            return Ok(found);
        }
        let time = Duration::from_secs(self.shared.options.read_seconds);
        let left = run(program, format, &self.path(attachment)?, time).await.map_err(|error| {
            tracing::error!(%error, "reading a file");
            Fault::new(Code::Internal, format!("the program that reads files does not start: {error}"))
        })?;
        let mut text = String::from_utf8_lossy(&left.text).into_owned();
        let over = super::cut(&mut text, MAX_TEXT);
        if let Some(mut about) = left.about {
            if over {
                about.remarks.push(longer());
            }
            let found = FileText { text, about };
            self.keep_text(kept, &found).await;
            return Ok(found);
        }
        let why = if left.late {
            let seconds = time.as_secs();
            format!(
                "reading it took longer than {seconds} s, the most that the setting attachments.read_seconds gives"
            )
        } else {
            "reading it broke off: it is damaged, or takes too much memory".to_owned()
        };
        // Not kept: another time there may be less to do.
        Ok(if text.trim().is_empty() {
            FileText { text: String::new(), about: About::refused(why) }
        } else {
            FileText { text, about: About::remark(format!("only its beginning: {why}")) }
        })
    }

    /// Keeps what was read beside the scaled images. That it cannot be kept is no reason to fail.
    async fn keep_text(&self, to: std::path::PathBuf, found: &FileText) {
        let Ok(mut line) = serde_json::to_string(&found.about) else { return };
        line.push('\n');
        line.push_str(&found.text);
        let shared = self.shared.clone();
        let work = move || -> std::io::Result<()> {
            let part = shared.blobs.scaled_part();
            let mut file = crate::files::blobs::create(&part)?;
            let done = file.write_all(line.as_bytes()).and_then(|()| std::fs::rename(&part, &to));
            if done.is_err() {
                let _ = std::fs::remove_file(&part);
                return done;
            }
            show::make_room(&shared, line.len() as u64)
        };
        if let Ok(Err(error)) = tokio::task::spawn_blocking(work).await {
            tracing::warn!(%error, "the text of a file was not kept");
        }
    }
}

/// What [`Files::keep_text`] wrote.
fn unpack(kept: &str) -> Option<FileText> {
    let (about, text) = kept.split_once('\n')?;
    Some(FileText { text: text.to_owned(), about: serde_json::from_str(about).ok()? })
}
