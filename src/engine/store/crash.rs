//! Ends the program just before a commit, so that tests can see what is left at every such moment.
//! Only in builds for tests and development.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use sqlx::Sqlite;
use sqlx::pool::PoolOptions;

/// The variable that names a file with a number in it: the program that reads it ends before its
/// commit of this number, counted from 1. The file goes before that, so that the next one lives.
const VARIABLE: &str = "CRASH_BEFORE_COMMIT_FILE";

/// A pool whose connections count commits, when a crash is planned.
pub(super) fn planned(pool: PoolOptions<Sqlite>) -> PoolOptions<Sqlite> {
    let Some(file) = std::env::var_os(VARIABLE) else { return pool };
    let number = std::fs::read_to_string(&file).ok().and_then(|text| text.trim().parse::<i64>().ok());
    let Some(number) = number else { return pool };
    let left = Arc::new(AtomicI64::new(number));
    pool.after_connect(move |connection, _| {
        let (left, file) = (left.clone(), file.clone());
        Box::pin(async move {
            connection.lock_handle().await?.set_commit_hook(move || {
                if left.fetch_sub(1, Ordering::SeqCst) == 1 {
                    let _ = std::fs::remove_file(&file);
                    std::process::abort();
                }
                true
            });
            Ok(())
        })
    })
}
