//! One owner per data directory: a lock that dies with its holder, and a socket others come through.

pub mod background;
mod conversation;
mod following;
pub mod protocol;
pub mod relay;
mod stdio;

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::exit::{Exit, Failed};

pub use stdio::{Reader, Writer, stdin, stdout};

/// Settings of the background owner.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Seconds without a client after which the background owner ends.
    pub idle_seconds: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { idle_seconds: 600 }
    }
}

/// What kind of process holds a data directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Started on demand; makes way for others.
    Background,
    /// `serve --http` or `demo`: in the foreground, takes clients through its socket.
    Foreground,
    /// A single process that takes no clients.
    Alone,
}

/// Who holds a data directory, as written into its lock file.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Holder {
    /// Process id.
    pub pid: u32,
    /// What kind of process.
    pub kind: Kind,
    /// Its version.
    pub version: String,
}

/// The lock of a data directory; let go when dropped, or when the process ends in any way.
pub struct Lock {
    file: File,
}

/// The socket of a data directory's owner.
pub fn socket_path(directory: &Path) -> PathBuf {
    directory.join("owner.sock")
}

impl Lock {
    /// Takes the lock; `Ok(None)` when another process holds it.
    pub fn take(directory: &Path, kind: Kind) -> anyhow::Result<Option<Self>> {
        Self::try_take(directory, kind).map_err(|error| {
            let message = format!("the data directory {} cannot be locked: {error}", directory.display());
            Failed::with(Exit::Store, message)
        })
    }

    fn try_take(directory: &Path, kind: Kind) -> std::io::Result<Option<Self>> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(directory.join("owner.lock"))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        let holder = Holder { pid: std::process::id(), kind, version: env!("CARGO_PKG_VERSION").to_owned() };
        file.set_len(0)?;
        file.rewind()?;
        file.write_all(serde_json::to_string(&holder)?.as_bytes())?;
        Ok(Some(Self { file }))
    }

    /// Who wrote the lock file last.
    pub fn holder(directory: &Path) -> Option<Holder> {
        let mut text = String::new();
        File::open(directory.join("owner.lock")).ok()?.take(4096).read_to_string(&mut text).ok()?;
        serde_json::from_str(&text).ok()
    }

    /// Takes the lock, or says who has it.
    pub fn take_or_say(directory: &Path, kind: Kind) -> anyhow::Result<Self> {
        Self::take(directory, kind)?.ok_or_else(|| in_use(directory))
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        let _ = self.file.unlock();
    }
}

/// The error for a data directory that another process holds.
pub fn in_use(directory: &Path) -> anyhow::Error {
    let who = Lock::holder(directory).map_or_else(String::new, |h| format!(" (process {})", h.pid));
    Failed::with(
        Exit::InUse,
        format!(
            "the data directory {} is in use by another process{who}; end it, leave out --no-daemon, or use another --data-dir",
            directory.display()
        ),
    )
}
