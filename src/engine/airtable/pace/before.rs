//! What a program that ran before this one may have sent a moment ago, a crash included: a file
//! beside the database whose time is that of the last request.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::window::{Micros, QUIET_START};

/// The file.
const NAME: &str = "last-request";

/// When the last request went out, for whoever starts next.
#[derive(Debug)]
pub(super) struct LastRequest(PathBuf);

impl LastRequest {
    pub(super) fn in_directory(directory: &Path) -> Self {
        Self(directory.join(NAME))
    }

    /// How long to keep quiet, from now on: until what was sent before has been a second ago.
    pub(super) fn quiet(&self) -> Micros {
        let quiet = Duration::from_micros(QUIET_START);
        let Ok(sent) = std::fs::metadata(&self.0).and_then(|found| found.modified()) else { return 0 };
        // A time to come is no help: as if it were now.
        let ago = SystemTime::now().duration_since(sent).unwrap_or_default();
        quiet.saturating_sub(ago).as_micros() as Micros
    }

    /// A request goes out now.
    pub(super) fn note(&self) {
        let file = File::options().create(true).truncate(false).write(true).open(&self.0);
        let noted = file.and_then(|file| file.set_modified(SystemTime::now()));
        if let Err(error) = noted {
            tracing::debug!(%error, "the time of a request was not noted");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_starts_after_a_request_waits_the_rest_of_the_second() {
        let directory = tempfile::tempdir().unwrap();
        let last = LastRequest::in_directory(directory.path());
        assert_eq!(last.quiet(), 0, "nothing was ever sent");
        last.note();
        let quiet = LastRequest::in_directory(directory.path()).quiet();
        assert!(quiet > QUIET_START / 2 && quiet <= QUIET_START, "{quiet}");
        let long_ago = SystemTime::now() - Duration::from_secs(2);
        File::options().write(true).open(&last.0).unwrap().set_modified(long_ago).unwrap();
        assert_eq!(last.quiet(), 0);
    }
}
