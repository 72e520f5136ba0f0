//! Exit codes: what a script can tell from how the program ended.

use std::process::ExitCode;

/// How a command failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Something failed; the message says what.
    Failure = 1,
    /// The configuration cannot be used.
    Config = 3,
    /// Another process holds the data directory.
    InUse = 4,
    /// The database or data directory cannot be opened.
    Store = 5,
    /// The address cannot be listened on.
    Address = 6,
    /// `generate --check` found files that are out of date.
    OutOfDate = 7,
}

/// The text of `--help` about them.
pub const HELP: &str = "Exit codes: 0 done · 1 failed · 2 wrong usage · 3 configuration cannot be used · \
4 data directory in use by another process · 5 database cannot be opened · 6 address cannot be listened on · \
7 generated files out of date";

/// An error with the exit code it leads to.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Failed {
    /// The code.
    pub exit: Exit,
    /// What went wrong and what to do.
    pub message: String,
}

impl Failed {
    /// An error that ends the program with `exit`.
    pub fn with(exit: Exit, message: impl std::fmt::Display) -> anyhow::Error {
        Self { exit, message: message.to_string() }.into()
    }
}

/// The exit code of an error.
pub fn code_of(error: &anyhow::Error) -> ExitCode {
    let store = || error.downcast_ref::<tablewright_engine::Error>().map(|_| Exit::Store);
    let failed = error.downcast_ref::<Failed>().map(|failed| failed.exit);
    ExitCode::from(failed.or_else(store).unwrap_or(Exit::Failure) as u8)
}
