//! The system's clock.

use std::time::{SystemTime, UNIX_EPOCH};

use tablewright_core::clock::Clock;

/// Asks the operating system.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now_ms(&self) -> i64 {
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as i64)
    }
}
