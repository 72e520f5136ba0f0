//! Reading and replacing a configuration file so that nothing is lost.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use tempfile::NamedTempFile;

/// More than any client keeps in its configuration, in bytes.
const LARGEST: u64 = 64 << 20;

/// A configuration file as it was read.
pub struct ConfigFile {
    /// The file itself, behind any links.
    path: PathBuf,
    /// What is in it; `None` when it is not there.
    bytes: Option<Vec<u8>>,
}

impl ConfigFile {
    /// Reads `path`, following links.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let is_link = fs::symlink_metadata(path).is_ok_and(|found| found.is_symlink());
        let path = if is_link {
            path.canonicalize().with_context(|| {
                let target = fs::read_link(path).unwrap_or_default();
                format!("{} is a link to {}, which cannot be read", path.display(), target.display())
            })?
        } else {
            path.to_owned()
        };
        let bytes = read(&path).with_context(|| format!("{} cannot be read", path.display()))?;
        Ok(Self { path, bytes })
    }

    /// Its text without a byte order mark; empty when it is not there.
    pub fn text(&self) -> anyhow::Result<&str> {
        let Some(bytes) = &self.bytes else { return Ok("") };
        let text = std::str::from_utf8(bytes)
            .with_context(|| format!("{} is left as it is: it is not UTF-8", self.path.display()))?;
        Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
    }

    /// Puts `text` in its place, after a copy of what was there; the copy's path.
    /// A new file is readable by its owner alone if `private`.
    pub fn replace(&self, text: &str, private: bool) -> anyhow::Result<Option<PathBuf>> {
        let folder = self.path.parent().context("the file has no folder")?;
        let backup = self.bytes.as_ref().map(|bytes| self.back_up(folder, bytes)).transpose()?;
        let marked = self.bytes.as_ref().is_some_and(|bytes| bytes.starts_with("\u{feff}".as_bytes()));
        let mut whole = if marked { "\u{feff}".to_owned() } else { String::new() };
        whole.push_str(text);
        let temporary = self.beside(folder, whole.as_bytes(), private || self.bytes.is_some())?;
        // Clients write their files too.
        if read(&self.path)? != self.bytes {
            bail!("{} has just been changed by another program; try again", self.path.display());
        }
        temporary
            .persist(&self.path)
            .map_err(|e| e.error)
            .and_then(|_| sync_folder(folder))
            .with_context(|| format!("{} cannot be replaced", self.path.display()))?;
        Ok(backup)
    }

    fn back_up(&self, folder: &Path, bytes: &[u8]) -> anyhow::Result<PathBuf> {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        let now = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ");
        let mut temporary = self.beside(folder, bytes, true)?;
        for again in 1..100 {
            let count = if again == 1 { String::new() } else { format!("-{again}") };
            let backup = folder.join(format!("{name}.backup-{now}{count}"));
            match temporary.persist_noclobber(&backup) {
                Ok(_) => return Ok(backup),
                Err(taken) if taken.error.kind() == io::ErrorKind::AlreadyExists => temporary = taken.file,
                Err(e) => {
                    return Err(e.error).with_context(|| format!("{} cannot be written", backup.display()));
                }
            }
        }
        bail!("there are too many backups of {}; move them away", self.path.display())
    }

    /// A file in `folder` that holds `bytes`, is on disk, and has the owner and rights of this one.
    fn beside(&self, folder: &Path, bytes: &[u8], private: bool) -> anyhow::Result<NamedTempFile> {
        self.write_beside(folder, bytes, private).with_context(|| {
            format!("{} is left as it is: its folder cannot be written", self.path.display())
        })
    }

    fn write_beside(&self, folder: &Path, bytes: &[u8], private: bool) -> io::Result<NamedTempFile> {
        let mut builder = tempfile::Builder::new();
        builder.prefix(".tablewright-");
        #[cfg(unix)]
        if !private {
            use std::os::unix::fs::PermissionsExt;
            builder.permissions(fs::Permissions::from_mode(0o666));
        }
        let mut file = builder.tempfile_in(folder)?;
        file.write_all(bytes)?;
        if self.bytes.is_some() {
            like(&fs::metadata(&self.path)?, file.as_file())?;
        }
        file.as_file().sync_all()?;
        Ok(file)
    }
}

fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
        Ok(found) if !found.is_file() => return Err(io::Error::other("it is no regular file")),
        Ok(_) => {}
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(LARGEST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST {
        return Err(io::Error::other(format!("it is larger than {} MiB", LARGEST >> 20)));
    }
    Ok(Some(bytes))
}

/// Gives `file` the owner and the rights of `original`.
fn like(original: &fs::Metadata, file: &File) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let own = file.metadata()?;
        if (own.uid(), own.gid()) != (original.uid(), original.gid()) {
            std::os::unix::fs::fchown(file, Some(original.uid()), Some(original.gid()))?;
        }
    }
    file.set_permissions(original.permissions())
}

/// A rename is on disk once its folder is.
fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}
