//! Airtable's limits of requests, for those who want to meet them here first.
//!
//! Five requests a second for a base, fifty for a token. Whoever asks for more is refused, and so
//! is everything after it until the penalty is over.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use tablewright_core::model::BaseId;

/// Requests for one base within a second.
const PER_BASE: usize = 5;
/// Requests with one token within a second.
const PER_TOKEN: usize = 50;
const SECOND: i64 = 1_000;
/// Bases, and tokens, that are watched at once. The one that was quiet longest is forgotten.
const MAX_WATCHED: usize = 10_000;

/// What one base or token asked for lately.
#[derive(Debug, Default)]
struct Recent {
    /// When the last requests came, oldest first; no more than the limit.
    times: VecDeque<i64>,
    /// Everything before this is refused.
    refused_until: i64,
}

impl Recent {
    fn lets_in(&mut self, now: i64, most: usize, penalty: i64) -> bool {
        if now < self.refused_until {
            return false;
        }
        while self.times.front().is_some_and(|at| now - at >= SECOND) {
            self.times.pop_front();
        }
        if self.times.len() >= most {
            self.refused_until = now.saturating_add(penalty);
            return false;
        }
        self.times.push_back(now);
        true
    }

    fn last(&self) -> i64 {
        self.times.back().copied().unwrap_or_default().max(self.refused_until)
    }
}

fn watched<K: Hash + Eq + Clone>(held: &mut HashMap<K, Recent>, key: K) -> &mut Recent {
    if held.len() >= MAX_WATCHED && !held.contains_key(&key) {
        let quiet = held.iter().min_by_key(|(_, recent)| recent.last()).map(|(key, _)| key.clone());
        quiet.map(|key| held.remove(&key));
    }
    held.entry(key).or_default()
}

#[derive(Default)]
struct Held {
    bases: HashMap<BaseId, Recent>,
    tokens: HashMap<Arc<str>, Recent>,
}

/// Counts requests.
pub(super) struct Rates {
    held: Mutex<Held>,
    penalty: i64,
}

impl Rates {
    /// Limits with a penalty of some seconds.
    pub(super) fn new(penalty_seconds: u64) -> Self {
        let penalty = i64::try_from(penalty_seconds).unwrap_or(i64::MAX).saturating_mul(SECOND);
        Self { held: Mutex::default(), penalty }
    }

    /// Whether a request of `principal` that came at `now` (milliseconds) may go on.
    pub(super) fn let_in(&self, principal: &Arc<str>, base: Option<BaseId>, now: i64) -> bool {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let token = watched(&mut held.tokens, principal.clone()).lets_in(now, PER_TOKEN, self.penalty);
        token && base.is_none_or(|base| watched(&mut held.bases, base).lets_in(now, PER_BASE, self.penalty))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sixth_of_a_second_is_refused_and_the_penalty_begins() {
        let (rates, who) = (Rates::new(30), Arc::<str>::from("token:a"));
        let base = Some(BaseId::random());
        for n in 0..5 {
            assert!(rates.let_in(&who, base, n * 100));
        }
        assert!(!rates.let_in(&who, base, 900));
        assert!(!rates.let_in(&who, base, 30_899));
        assert!(rates.let_in(&who, Some(BaseId::random()), 901), "another base goes on");
        assert!(rates.let_in(&who, base, 30_900));
    }

    #[test]
    fn a_steady_pace_is_never_refused() {
        let (rates, who, base) = (Rates::new(30), Arc::<str>::from("token:a"), Some(BaseId::random()));
        assert!((0..100).all(|n| rates.let_in(&who, base, n * 200)));
    }

    #[test]
    fn a_token_has_fifty_over_all_bases() {
        let (rates, who) = (Rates::new(30), Arc::<str>::from("token:a"));
        assert_eq!((0..60).filter(|_| rates.let_in(&who, Some(BaseId::random()), 0)).count(), 50);
        assert!(rates.let_in(&Arc::from("token:b"), None, 0));
    }

    #[test]
    fn what_is_watched_is_bounded() {
        let rates = Rates::new(30);
        for n in 0..MAX_WATCHED + 5 {
            rates.let_in(&Arc::from(n.to_string()), None, n as i64);
        }
        let held = rates.held.lock().unwrap();
        assert_eq!(held.tokens.len(), MAX_WATCHED);
        assert!(!held.tokens.contains_key("0"));
    }
}
