//! Keeping the copy of a base fresh: one task looks for news, another lists whole tables.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tablewright_core::Fault;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::held::{Held, Turn};
use super::state::{State, TableState};
use super::{fetch, listing, modified, payloads, schema};

/// How long a copy that cannot be kept waits before it tries again, at most.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// Least time between two looks for news.
const BREATH: Duration = Duration::from_millis(100);
/// The same after one that failed.
const LONG_BREATH: Duration = Duration::from_secs(5);
/// How old what the store says of a copy's age may be, in milliseconds.
const KEPT_AGE: i64 = 60_000;
/// Rounds of fetching what a round before has found to be out of date.
const ROUNDS: usize = 8;

/// Looks for news until stopped: often while somebody reads, rarely otherwise.
pub(crate) async fn news(held: Arc<Held>, stop: CancellationToken) {
    let mut failures = 0;
    let mut ended = Instant::now();
    let mut pause = first_pause(&held).await;
    loop {
        // Everything is quiet until then, unless somebody asks for news.
        let asked = tokio::select! {
            () = tokio::time::sleep_until(ended + pause) => false,
            () = held.news.notified() => true,
            () = stop.cancelled() => return,
        };
        if asked {
            // Many may ask while Airtable does not answer.
            let breath = if failures > 0 { pause.min(LONG_BREATH) } else { BREATH };
            tokio::select! {
                () = tokio::time::sleep_until(ended + breath) => {}
                () = stop.cancelled() => return,
            }
        }
        let began = held.now();
        held.looking(began);
        let result = tokio::select! {
            result = catch_up(&held) => result,
            () = stop.cancelled() => return,
        };
        held.looking(0);
        failures = if result.is_ok() { 0 } else { failures + 1 };
        if let Err(fault) = &result {
            tracing::warn!(base = %held.base, %fault, "the copy is not kept fresh");
        }
        pause = if result.is_ok() { until_next(&held, began).await } else { pause_after(failures) };
        ended = Instant::now();
        let failure = result.err();
        held.turns.send_modify(|turn| *turn = Turn { count: turn.count + 1, began, failure });
    }
}

/// How long a copy that is there already waits after a start.
async fn first_pause(held: &Held) -> Duration {
    let state = held.state().await;
    let idle = Duration::from_secs(held.options.idle_seconds);
    // Whoever fills the copy asks for news when that is done.
    if !state.is_copied() {
        return idle;
    }
    if !state.is_settled() {
        return Duration::ZERO;
    }
    idle.saturating_sub(Duration::from_millis((held.now() - state.as_of).max(0).unsigned_abs()))
}

/// Lists tables that are due, until stopped.
pub(crate) async fn lists(held: Arc<Held>, stop: CancellationToken) {
    let mut failures = 0;
    loop {
        let result = tokio::select! {
            result = listing::list_due(&held) => result,
            () = stop.cancelled() => return,
        };
        failures = if result.is_ok() { 0 } else { failures + 1 };
        if let Err(fault) = &result {
            tracing::warn!(base = %held.base, %fault, "a table is not listed");
            // Whoever waits for a table hears why.
            let failure = Some(fault.clone());
            let began = held.now();
            held.turns.send_modify(|turn| *turn = Turn { count: turn.count, began, failure });
        }
        let wait = if failures > 0 { pause_after(failures) } else { LONGEST_PAUSE };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = held.lists.notified() => {}
            () = stop.cancelled() => return,
        }
    }
}

fn pause_after(failures: u32) -> Duration {
    Duration::from_secs(1 << failures.min(8)).min(LONGEST_PAUSE)
}

/// How long until news are looked for unasked.
async fn until_next(held: &Held, began: i64) -> Duration {
    let options = &held.options;
    let quiet = Duration::from_millis((began - held.last_read()).max(0).unsigned_abs());
    let while_read = Duration::from_secs(options.poll_seconds).max(held.pace().await);
    if quiet < Duration::from_secs(options.active_seconds) {
        return while_read;
    }
    // The longer nobody reads, the longer the pause.
    while_read.max(quiet).min(Duration::from_secs(options.idle_seconds))
}

/// Finds out what is new and takes it in.
async fn catch_up(held: &Held) -> Result<(), Fault> {
    let session = held.session().await?;
    let began = held.now();
    if held.suspicious.swap(false, Ordering::Relaxed) || held.state().await.schema_due {
        schema::refresh(held, &session).await?;
    }
    if payloads::has_hook(held, &session).await? {
        payloads::read(held, &session).await?;
    } else {
        modified::read(held, &session, began).await?;
    }
    for _ in 0..ROUNDS {
        let state = held.state().await;
        if state.is_settled() {
            break;
        }
        if state.schema_due {
            schema::refresh(held, &session).await?;
        }
        fetch::dirty(held, &session).await?;
    }
    let state = held.state().await;
    if state.tables.values().any(TableState::is_due) {
        held.lists.notify_one();
    }
    if state.is_settled() && !state.tables.values().any(|table| table.list_due) {
        // Its age is no reason to write to the disk every time.
        let known = |state: &mut State| state.as_of = state.as_of.max(began);
        if began - state.kept_as_of > KEPT_AGE {
            held.note(|state| {
                known(state);
                state.kept_as_of = state.as_of;
            })
            .await?;
        } else {
            held.remember(known).await;
        }
    }
    Ok(())
}
