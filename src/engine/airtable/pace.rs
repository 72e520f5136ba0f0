//! Turns: how fast requests go out.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tablewright_core::clock::Clock;
use tablewright_core::model::BaseId;
use tokio::time::Instant;

use super::budget::Call;
use super::{Ask, Error};
use crate::store::Store;

#[derive(Clone, PartialEq, Eq, Hash)]
enum Key {
    Base(BaseId),
    Login(Arc<str>),
}

#[derive(Default)]
struct Window {
    times: VecDeque<Instant>,
    refused_until: Option<Instant>,
}

/// Gives out turns.
pub(super) struct Pacer {
    share: u64,
    windows: Mutex<HashMap<Key, Window>>,
}

/// One turn to send a request; handed back when it is dropped unused.
pub struct Permit {
    call: Call,
    base: Option<BaseId>,
}

impl std::fmt::Debug for Permit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Permit").field("base", &self.base).finish_non_exhaustive()
    }
}

impl Permit {
    /// The request goes out now.
    pub(super) fn sent(&mut self) {
        self.call.spend();
    }

    /// The head of its answer is here.
    pub(super) fn answered(&mut self) {}
}

const PENALTY: Duration = Duration::from_secs(30);

impl Pacer {
    pub(super) fn new(share: u64, _clock: Arc<dyn Clock>, _store: Store) -> Self {
        Self { share, windows: Mutex::default() }
    }

    pub(super) async fn turn(
        &self,
        _ask: &Ask,
        base: Option<BaseId>,
        profile: &Arc<str>,
        call: Call,
        until: Instant,
    ) -> Result<Permit, Error> {
        let keys = [base.map(Key::Base), Some(Key::Login(profile.clone()))];
        let period = Duration::from_millis(1_060 * 100 / self.share);
        loop {
            let now = Instant::now();
            let wait = {
                let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
                let mut wait = None;
                for key in keys.iter().flatten() {
                    let most = if matches!(key, Key::Base(_)) { 5 } else { 50 };
                    let window = windows.entry(key.clone()).or_default();
                    while window.times.front().is_some_and(|at| *at + period <= now) {
                        window.times.pop_front();
                    }
                    let full =
                        window.times.front().filter(|_| window.times.len() >= most).map(|at| *at + period);
                    wait = wait.max(full).max(window.refused_until.filter(|until| *until > now));
                }
                if wait.is_none() {
                    for key in keys.iter().flatten() {
                        windows.entry(key.clone()).or_default().times.push_back(now);
                    }
                }
                wait
            };
            let Some(wait) = wait else { return Ok(Permit { call, base }) };
            if wait > until {
                return Err(Error::RateLimited { seconds: (wait - now).as_secs() + 1 });
            }
            tokio::time::sleep_until(wait).await;
        }
    }

    /// Airtable refused a request as one too many.
    pub(super) async fn penalise(&self, base: Option<BaseId>, profile: &Arc<str>) {
        let key = base.map_or_else(|| Key::Login(profile.clone()), Key::Base);
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        windows.entry(key).or_default().refused_until = Some(Instant::now() + PENALTY);
    }
}
