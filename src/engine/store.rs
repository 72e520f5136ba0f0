//! The database: the only place that knows SQL.
//!
//! SQL here keeps to what SQLite and PostgreSQL share: `$n` parameters, integers, floats, text.

pub mod attachments;
pub mod audit;
pub mod comments;
#[cfg(debug_assertions)]
mod crash;
pub mod directory;
pub mod erase;
pub mod journal;
mod migrate;
pub mod passkeys;
pub mod plans;
pub mod policies;
pub mod profiles;
pub mod read;
mod replicas;
pub mod tasks;
pub mod tokens;
pub mod upstream;
pub mod upstream_writes;
pub mod webhooks;
pub mod write;

use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sqlx::SqlitePool;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use tablewright_core::{Code, Fault};

/// Marks a SQLite file as ours (`PRAGMA application_id`): "Tbwr".
const APPLICATION_ID: i64 = 0x5462_7772;

/// Why the store did not open or answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file is there but is not a database of ours.
    #[error(
        "{0} is not a Tablewright database; choose another data directory with --data-dir, or move the file away"
    )]
    NotOurs(String),
    /// A newer version of this program has written the file.
    #[error(
        "{path} was written by a newer version of Tablewright (schema {found}, this one knows {known}); use that version, or another --data-dir"
    )]
    Newer {
        /// The file.
        path: String,
        /// Its schema version.
        found: i64,
        /// The newest version this program knows.
        known: i64,
    },
    /// The database said no.
    #[error("the database at {path} cannot be opened: {source}")]
    Open {
        /// The file.
        path: String,
        /// Its words.
        source: sqlx::Error,
    },
    /// A statement failed.
    #[error(transparent)]
    Sql(#[from] sqlx::Error),
    /// A stored value cannot be read.
    #[error("the store holds a value that cannot be read ({place}): {reason}")]
    Damaged {
        /// Where.
        place: String,
        /// Why.
        reason: String,
    },
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        let code = error_code(&error);
        let message = match code.as_deref() {
            Some("13") => {
                "the disk is full: nothing of this write was kept; free space and send it again".to_owned()
            }
            Some("8" | "1032") => "the database is read-only: nothing of this write was kept".to_owned(),
            _ => {
                tracing::error!(%error, "store");
                format!("the store cannot do this now: {error}")
            }
        };
        Fault::new(Code::StoreUnavailable, message)
    }
}

fn error_code(error: &Error) -> Option<String> {
    match error {
        Error::Sql(sqlx::Error::Database(db)) | Error::Open { source: sqlx::Error::Database(db), .. } => {
            db.code().map(|code| code.into_owned())
        }
        _ => None,
    }
}

/// Refuses a file that is plainly not ours before anything opens it to write, and makes the file
/// its user's alone: journals get the rights of the file they belong to.
fn look_first(path: &Path, shown: &str) -> Result<(), Error> {
    let broken = |error: std::io::Error| Error::Open { path: shown.to_owned(), source: error.into() };
    let mut header = Vec::new();
    if let Ok(file) = std::fs::File::open(path) {
        file.take(100).read_to_end(&mut header).map_err(broken)?;
    }
    // The mark may still be in a journal that was not merged; then SQLite has to look.
    let name = path.file_name().map(|name| format!("{}-wal", name.to_string_lossy())).unwrap_or_default();
    let journal = path.with_file_name(name);
    let has_journal = std::fs::metadata(journal).is_ok_and(|found| found.len() > 0);
    let marked = header.get(68..72).is_some_and(|mark| mark == (APPLICATION_ID as u32).to_be_bytes());
    if !header.is_empty() && !(header.starts_with(b"SQLite format 3\0") && (marked || has_journal)) {
        return Err(Error::NotOurs(shown.to_owned()));
    }
    let mut options = std::fs::OpenOptions::new();
    options.read(true).append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path).map_err(broken)?;
    #[cfg(unix)]
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600)).map_err(broken)?;
    drop(file);
    Ok(())
}

/// A handle on the database. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    pool: SqlitePool,
    directory: Arc<Path>,
}

impl Store {
    /// Opens the database at `path`, making it when it is not there, and brings its schema up to date.
    pub async fn open(path: &Path) -> Result<Self, Error> {
        let shown = path.display().to_string();
        look_first(path, &shown)?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // An acknowledged write survives power loss, not only a kill.
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            // An import may hold the database for a while.
            .busy_timeout(Duration::from_secs(60))
            .pragma("cache_size", "-8000")
            .statement_cache_capacity(64);
        let pool = SqlitePoolOptions::new().max_connections(4).min_connections(0);
        #[cfg(debug_assertions)]
        let pool = crash::planned(pool);
        let pool = pool.connect_with(options).await.map_err(|source| {
            let error = Error::Open { path: shown.clone(), source };
            // 26 is SQLITE_NOTADB.
            if error_code(&error).as_deref() == Some("26") { Error::NotOurs(shown.clone()) } else { error }
        })?;
        let store = Self { pool, directory: path.parent().unwrap_or(path).into() };
        store.check_ours(&shown).await?;
        migrate::run(&store.pool, &shown).await?;
        Ok(store)
    }

    /// Where the database lies, for what belongs beside it.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    async fn check_ours(&self, shown: &str) -> Result<(), Error> {
        let (marked,): (i64,) = sqlx::query_as("PRAGMA application_id").fetch_one(&self.pool).await?;
        let (tables,): (i64,) =
            sqlx::query_as("SELECT COUNT(*) FROM sqlite_master").fetch_one(&self.pool).await?;
        if tables > 0 && marked != APPLICATION_ID {
            return Err(Error::NotOurs(shown.to_owned()));
        }
        if tables == 0 {
            sqlx::query(sqlx::AssertSqlSafe(format!("PRAGMA application_id = {APPLICATION_ID}")))
                .execute(&self.pool)
                .await?;
        }
        Ok(())
    }

    /// Ends all connections; what was acknowledged is on disk already.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}
