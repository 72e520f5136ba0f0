//! Bytes on disk, named by their content: `<first two digits>/<SHA-256 in hex>`.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use sha2::{Digest, Sha256};
use tokio::io::AsyncWriteExt as _;

/// What the name of a file that is not whole yet begins with.
const PART: &str = "part-";
/// The folder of scaled images.
const SCALED: &str = "scaled";

/// The folder the blobs of a data directory lie in.
#[derive(Debug)]
pub(super) struct Blobs {
    folder: PathBuf,
}

/// Creates a new file that only its user can read.
pub(super) fn create(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn create_folder(path: &Path) -> io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Makes what a folder holds safe against a power cut.
fn sync_folder(path: &Path) -> io::Result<()> {
    #[cfg(unix)]
    File::open(path)?.sync_all()?;
    #[cfg(not(unix))]
    let _ = path;
    Ok(())
}

/// A file that is being received; gone again unless it is kept.
pub(super) struct Incoming {
    path: PathBuf,
    file: tokio::fs::File,
    hash: Sha256,
    /// The first bytes.
    pub(super) head: Vec<u8>,
    /// Bytes so far.
    pub(super) size: u64,
}

impl Incoming {
    /// Appends bytes.
    pub(super) async fn push(&mut self, bytes: &[u8]) -> io::Result<()> {
        let room = super::kind::HEAD.saturating_sub(self.head.len());
        self.head.extend_from_slice(bytes.get(..room.min(bytes.len())).unwrap_or_default());
        self.hash.update(bytes);
        self.size += bytes.len() as u64;
        self.file.write_all(bytes).await
    }

    /// Puts what came on disk; gives the SHA-256 in hex.
    pub(super) async fn finish(&mut self) -> io::Result<String> {
        self.file.flush().await?;
        self.file.sync_all().await?;
        Ok(hex(&self.hash.finalize_reset()))
    }

    /// Where it lies until it is kept.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Bytes as hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

fn is_blob(name: &str) -> bool {
    name.len() == 64 && name.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

impl Blobs {
    /// The blobs in `folder`, which is made when it is not there. What an earlier process left
    /// half-written is removed.
    pub(super) fn open(folder: PathBuf) -> io::Result<Self> {
        create_folder(&folder.join(SCALED))?;
        for entry in std::fs::read_dir(&folder)?.chain(std::fs::read_dir(folder.join(SCALED))?) {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with(PART) {
                std::fs::remove_file(entry.path())?;
            }
        }
        Ok(Self { folder })
    }

    /// The folder itself.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    fn part(folder: &Path) -> PathBuf {
        folder.join(format!("{PART}{}", tablewright_core::model::RecordId::random().body()))
    }

    /// Begins to receive a file.
    pub(super) async fn receive(&self) -> io::Result<Incoming> {
        let path = Self::part(&self.folder);
        let made = path.clone();
        let file = tokio::task::spawn_blocking(move || create(&made)).await.map_err(io::Error::other)??;
        Ok(Incoming {
            path,
            file: tokio::fs::File::from_std(file),
            hash: Sha256::new(),
            head: Vec::new(),
            size: 0,
        })
    }

    /// Where the blob with this hash lies; the hash is ours, and checked all the same.
    pub(super) fn path(&self, blob: &str) -> io::Result<PathBuf> {
        match blob.get(..2) {
            Some(start) if is_blob(blob) => Ok(self.folder.join(start).join(blob)),
            _ => Err(io::Error::new(io::ErrorKind::InvalidInput, "this is no name of a blob")),
        }
    }

    /// Gives a received file its place; the same content is kept once.
    pub(super) fn place(&self, incoming: &Path, blob: &str) -> io::Result<()> {
        let path = self.path(blob)?;
        if path.is_file() {
            // A sweep looks at the age of blobs nothing names: this one is in use from now on.
            File::options().append(true).open(&path)?.set_modified(SystemTime::now())?;
            return Ok(());
        }
        let folder = path.parent().unwrap_or(&self.folder);
        create_folder(folder)?;
        std::fs::rename(incoming, &path)?;
        sync_folder(folder)?;
        sync_folder(&self.folder)
    }

    /// Removes a blob and what was scaled from it.
    pub(super) fn remove(&self, blob: &str) -> io::Result<()> {
        std::fs::remove_file(self.path(blob)?)?;
        for (name, ..) in self.scaled_files()? {
            if name.starts_with(blob) {
                let _ = std::fs::remove_file(self.folder.join(SCALED).join(name));
            }
        }
        Ok(())
    }

    /// Blobs that have lain unchanged for `age`.
    pub(super) fn older_than(&self, age: Duration) -> io::Result<Vec<String>> {
        let mut found = Vec::new();
        for folder in std::fs::read_dir(&self.folder)? {
            let folder = folder?;
            if folder.file_name().len() != 2 || !folder.file_type()?.is_dir() {
                continue;
            }
            for entry in std::fs::read_dir(folder.path())? {
                let entry = entry?;
                let name = entry.file_name().to_string_lossy().into_owned();
                let changed = entry.metadata()?.modified()?;
                if is_blob(&name) && changed.elapsed().unwrap_or_default() >= age {
                    found.push(name);
                }
            }
        }
        Ok(found)
    }

    /// Where a scaled image lies, or will lie.
    pub(super) fn scaled(&self, blob: &str, variant: &str, ending: &str) -> PathBuf {
        self.folder.join(SCALED).join(format!("{blob}-{variant}.{ending}"))
    }

    /// A place for a scaled image that is being made.
    pub(super) fn scaled_part(&self) -> PathBuf {
        Self::part(&self.folder.join(SCALED))
    }

    /// Scaled images: name, bytes, when it was made.
    fn scaled_files(&self) -> io::Result<Vec<(String, u64, SystemTime)>> {
        let mut found = Vec::new();
        for entry in std::fs::read_dir(self.folder.join(SCALED))? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if !name.starts_with(PART) {
                let about = entry.metadata()?;
                found.push((name, about.len(), about.modified()?));
            }
        }
        Ok(found)
    }

    /// Bytes of all scaled images.
    pub(super) fn scaled_bytes(&self) -> io::Result<u64> {
        Ok(self.scaled_files()?.iter().map(|(_, size, _)| size).sum())
    }

    /// Removes the oldest scaled images until they take at most `bytes`; gives what is left.
    pub(super) fn shrink_scaled(&self, bytes: u64) -> io::Result<u64> {
        let mut files = self.scaled_files()?;
        files.sort_by_key(|(_, _, made)| *made);
        let mut left: u64 = files.iter().map(|(_, size, _)| size).sum();
        for (name, size, _) in files {
            if left <= bytes {
                break;
            }
            std::fs::remove_file(self.folder.join(SCALED).join(name))?;
            left -= size;
        }
        Ok(left)
    }
}
