//! Time as a dependency: parts ask a clock, so tests can hold it still.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// Tells the time. Milliseconds since 1970-01-01T00:00:00Z.
pub trait Clock: Send + Sync + 'static {
    /// Now, in milliseconds since the epoch.
    fn now_ms(&self) -> i64;
}

/// A clock that stands still until it is moved.
#[derive(Clone, Debug, Default)]
pub struct HeldClock(Arc<AtomicI64>);

impl HeldClock {
    /// A clock held at `ms` since the epoch.
    pub fn at(ms: i64) -> Self {
        Self(Arc::new(AtomicI64::new(ms)))
    }

    /// Moves the clock by `ms`.
    pub fn advance(&self, ms: i64) {
        self.0.fetch_add(ms, Ordering::SeqCst);
    }
}

impl Clock for HeldClock {
    fn now_ms(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }
}
