//! A circuit that stops whoever sends the same write over and over.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use tablewright_core::model::cell::instant_text;
use tablewright_core::{Code, Fault};

use crate::access::Caller;
use crate::notices::{Notice, Notices};

/// When the circuit opens.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// The same write is refused after it went well so often (0 never).
    pub repeats: u32,
    /// The same write is refused after it failed so often (0 never).
    pub failures: u32,
    /// Within so many minutes (1 to 1,440).
    pub minutes: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self { repeats: 20, failures: 5, minutes: 10 }
    }
}

impl Options {
    /// Refuses values that are out of range: the setting and what is wrong with it.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        let most = MOST_CALLS as u32 / 2;
        for (key, value) in [("repeats", self.repeats), ("failures", self.failures)] {
            if value > most {
                return Err((key, format!("it must be 0 to {most}")));
            }
        }
        match self.minutes {
            1..=1_440 => Ok(()),
            _ => Err(("minutes", "it must be 1 to 1440".to_owned())),
        }
    }
}

/// Writes remembered of one conversation.
const MOST_CALLS: usize = 1_000;
/// Most conversations remembered.
const MOST: usize = 1_000;

/// The circuit. Cheap to clone.
#[derive(Clone)]
pub struct Circuit {
    options: Options,
    notices: Notices,
    held: Arc<Mutex<HashMap<Key, VecDeque<Seen>>>>,
}

type Key = (Arc<str>, Arc<str>);

struct Seen {
    at: i64,
    digest: Arc<str>,
    failed: bool,
}

/// How a call ended.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Ended {
    /// It did what it was to do.
    Well,
    /// It refused everything it was given.
    Refused,
    /// With a fault.
    Fault(Code),
}

/// Whether a fault says that the same call would fail again. What asks for another try does not.
fn counts(fault: Code) -> bool {
    !matches!(
        fault,
        Code::ApprovalNeeded
            | Code::Cancelled
            | Code::UpstreamUnavailable
            | Code::StoreUnavailable
            | Code::NotReady
            | Code::BudgetExceeded
            | Code::CircuitOpen
    )
}

impl Circuit {
    /// A circuit with these settings, which tells people when it opens.
    pub fn new(options: Options, notices: Notices) -> Self {
        Self { options, notices, held: Arc::default() }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, VecDeque<Seen>>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Refuses a write that was sent too often.
    pub(crate) fn check(&self, caller: &Caller, action: &str, digest: &str, now: i64) -> Result<(), Fault> {
        let key = (caller.principal.clone(), caller.session.clone());
        let since = now - i64::from(self.options.minutes) * 60_000;
        let (mut well, mut badly, mut first) = (0, 0, now);
        if let Some(seen) = self.lock().get(&key) {
            for call in seen.iter().filter(|call| call.at > since && *call.digest == *digest) {
                if call.failed {
                    badly += 1
                } else {
                    well += 1
                }
                first = first.min(call.at);
            }
        }
        let is_over = |count: u32, most: u32| most > 0 && count >= most;
        let what = if is_over(badly, self.options.failures) {
            format!("failed {badly} times")
        } else if is_over(well, self.options.repeats) {
            format!("was carried out {well} times")
        } else {
            return Ok(());
        };
        let until = instant_text(first + i64::from(self.options.minutes) * 60_000);
        let message = format!(
            "the same {action} {what} within {} minutes, so it is not carried out again before {until}. Nothing was written. Stop, and tell the person you work for what you were trying to do.",
            self.options.minutes
        );
        Err(Fault::new(Code::CircuitOpen, message))
    }

    /// Notes how a write ended; tells people when it is refused from now on.
    pub(crate) fn note(&self, caller: &Caller, action: &str, digest: Arc<str>, ended: Ended, now: i64) {
        let failed = match ended {
            Ended::Well => false,
            Ended::Refused => true,
            Ended::Fault(code) if counts(code) => true,
            Ended::Fault(_) => return,
        };
        {
            let mut held = self.lock();
            if held.len() >= MOST {
                let since = now - i64::from(self.options.minutes) * 60_000;
                held.retain(|_, seen| seen.back().is_some_and(|call| call.at > since));
                // All of them are busy: nobody is remembered, rather than some at random.
                if held.len() >= MOST {
                    held.clear();
                }
            }
            let seen = held.entry((caller.principal.clone(), caller.session.clone())).or_default();
            seen.push_back(Seen { at: now, digest: digest.clone(), failed });
            if seen.len() > MOST_CALLS {
                seen.pop_front();
            }
        }
        if let Err(fault) = self.check(caller, action, &digest, now) {
            let client = if caller.client.is_empty() { "A program" } else { &caller.client };
            self.notices.tell(Notice {
                kind: "circuit_open",
                title: "A repeated write was stopped".to_owned(),
                text: format!("{client} ({}): {}", caller.principal, fault.message),
                plan: None,
                base: None,
            });
        }
    }
}
