//! Limits of requests: so many for each caller, and so many wrong tokens for each address.
//!
//! A bucket holds some requests and fills steadily. All that is kept of it is when it will be full,
//! so keeping thousands costs little.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use axum::http::{HeaderName, HeaderValue, header};
use axum::response::Response;
use serde::{Deserialize, Serialize};

/// Settings of the limits.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Requests each caller may send in a second, on average (0 to 100,000; 0 means no limit).
    pub per_second: u32,
    /// Requests a caller who was quiet may send at once (1 to 100,000).
    pub burst: u32,
    /// Wrong tokens that may come from one address in a minute (0 to 100,000; 0 means no limit).
    pub wrong_tokens_per_minute: u32,
    /// Count the wrong tokens of loopback addresses, too. Leave it off behind a proxy on this
    /// machine: all its clients share that address.
    pub limit_loopback: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { per_second: 0, burst: 50, wrong_tokens_per_minute: 20, limit_loopback: false }
    }
}

/// Largest limit.
const MOST: u32 = 100_000;

impl Options {
    /// Refuses values that are out of range: the setting and what is wrong with it.
    pub(super) fn check(&self) -> Result<(), (&'static str, String)> {
        for (key, value, least) in [
            ("rate.per_second", self.per_second, 0),
            ("rate.burst", self.burst, 1),
            ("rate.wrong_tokens_per_minute", self.wrong_tokens_per_minute, 0),
        ] {
            if !(least..=MOST).contains(&value) {
                return Err((key, format!("it must be {least} to {MOST}")));
            }
        }
        Ok(())
    }

    /// The limit of each caller.
    pub(super) fn of_callers(&self) -> Option<Limit> {
        let per_second = u64::from(self.per_second);
        let refill = SECOND.checked_div(per_second)?;
        Some(Limit { name: "default", most: self.burst.into(), refill })
    }

    /// The limit of wrong tokens from each address.
    pub(super) fn of_wrong_tokens(&self) -> Option<Limit> {
        let per_minute = u64::from(self.wrong_tokens_per_minute);
        let refill = (60 * SECOND).checked_div(per_minute)?;
        Some(Limit { name: "wrong-tokens", most: per_minute, refill })
    }
}

/// Nanoseconds of a second.
const SECOND: u64 = 1_000_000_000;
/// Buckets of one limit that are kept at once; the fullest is forgotten first.
const MAX_KEPT: usize = 10_000;

/// The `RateLimit-Policy` and `RateLimit` headers of the IETF's draft.
pub(super) const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
pub(super) const STANDING: HeaderName = HeaderName::from_static("ratelimit");

/// What a bucket holds at most, and how fast it fills.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limit {
    name: &'static str,
    most: u64,
    /// Nanoseconds until one more request is allowed.
    refill: u64,
}

impl Limit {
    /// How a bucket stands that will be full in `missing` nanoseconds.
    fn standing(self, is_over: bool, missing: u64) -> Standing {
        let left = (self.most * self.refill).saturating_sub(missing) / self.refill;
        let next = (missing + self.refill).saturating_sub(self.most * self.refill);
        Standing { limit: self, is_over, left, full: seconds(missing), next: seconds(next).max(1) }
    }
}

/// Whole seconds, rounded up.
fn seconds(nanoseconds: u64) -> u64 {
    nanoseconds.div_ceil(SECOND)
}

/// What is left of a limit.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Standing {
    limit: Limit,
    /// The request was one too many.
    pub(super) is_over: bool,
    left: u64,
    /// Seconds until all of it is there again.
    full: u64,
    /// Seconds until one more request is allowed.
    pub(crate) next: u64,
}

impl Standing {
    /// Says it in the headers of an answer.
    pub(crate) fn tell(&self, response: &mut Response) {
        let Limit { name, most, refill } = self.limit;
        let headers = response.headers_mut();
        let mut insert = |header, text: String| {
            if let Ok(value) = HeaderValue::from_str(&text) {
                headers.insert(header, value);
            }
        };
        insert(POLICY, format!("\"{name}\";q={most};w={}", seconds(most * refill)));
        insert(STANDING, format!("\"{name}\";r={};t={}", self.left, self.full));
        if self.is_over {
            insert(header::RETRY_AFTER, self.next.to_string());
        }
    }
}

/// One bucket for each key.
pub(super) struct Buckets<K> {
    limit: Limit,
    opened: Instant,
    /// When each will be full, in nanoseconds since the first was made; full ones need no entry.
    full_at: Mutex<HashMap<K, u64>>,
}

impl<K: Hash + Eq + Clone> Buckets<K> {
    pub(super) fn new(limit: Limit) -> Self {
        Self { limit, opened: Instant::now(), full_at: Mutex::default() }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.opened.elapsed().as_nanos()).unwrap_or(u64::MAX / 2)
    }

    fn held(&self) -> MutexGuard<'_, HashMap<K, u64>> {
        self.full_at.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes one request out of a bucket, if there is one in it.
    pub(super) fn take(&self, key: &K) -> Standing {
        self.take_at(key, self.now())
    }

    /// How a bucket stands; nothing is taken. It is over when it holds no request.
    pub(super) fn look(&self, key: &K) -> Standing {
        let now = self.now();
        let missing = self.held().get(key).map_or(0, |full_at| full_at.saturating_sub(now));
        self.limit.standing(missing + self.limit.refill > self.limit.most * self.limit.refill, missing)
    }

    fn take_at(&self, key: &K, now: u64) -> Standing {
        let Limit { most, refill, .. } = self.limit;
        let mut held = self.held();
        let missing = held.get(key).map_or(0, |full_at| full_at.saturating_sub(now));
        if missing + refill > most * refill {
            return self.limit.standing(true, missing);
        }
        if held.len() >= MAX_KEPT && !held.contains_key(key) {
            held.retain(|_, full_at| *full_at > now);
            let fullest = held.iter().min_by_key(|(_, full_at)| **full_at).map(|(key, _)| key.clone());
            if held.len() >= MAX_KEPT {
                fullest.map(|key| held.remove(&key));
            }
        }
        held.insert(key.clone(), now + missing + refill);
        self.limit.standing(false, missing + refill)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buckets(per_second: u32, burst: u32) -> Buckets<u32> {
        Buckets::new(Options { per_second, burst, ..Options::default() }.of_callers().unwrap())
    }

    #[test]
    fn a_burst_then_a_steady_pace() {
        let buckets = buckets(2, 3);
        let left: Vec<u64> = (0..3).map(|_| buckets.take_at(&1, 0).left).collect();
        assert_eq!(left, [2, 1, 0]);
        let over = buckets.take_at(&1, 0);
        assert_eq!((over.is_over, over.next, over.full), (true, 1, 2));
        assert!(!buckets.take_at(&2, 0).is_over, "another caller goes on");
        assert!(buckets.take_at(&1, SECOND / 2 - 1).is_over);
        assert!(!buckets.take_at(&1, SECOND / 2).is_over);
        assert!(buckets.take_at(&1, SECOND / 2).is_over, "a refusal costs nothing, and gives nothing");
        assert_eq!(buckets.take_at(&1, 60 * SECOND).left, 2, "more than the burst is never there");
    }

    #[test]
    fn the_headers_are_those_of_the_draft() {
        let buckets = buckets(2, 5);
        let mut standing = buckets.take_at(&1, 0);
        for n in 1..8 {
            let mut response = Response::default();
            standing.tell(&mut response);
            let text =
                |name: &HeaderName| response.headers().get(name).map(|v| v.to_str().unwrap().to_owned());
            assert_eq!(text(&POLICY).unwrap(), "\"default\";q=5;w=3");
            let left = 5_u64.saturating_sub(n);
            let full = (n.min(5)).div_ceil(2);
            assert_eq!(text(&STANDING).unwrap(), format!("\"default\";r={left};t={full}"));
            assert_eq!(text(&header::RETRY_AFTER), (n > 5).then(|| "1".to_owned()));
            standing = buckets.take_at(&1, 0);
        }
    }

    #[test]
    fn what_is_kept_is_bounded_and_the_emptiest_stay() {
        let buckets = buckets(1, 2);
        for _ in 0..2 {
            buckets.take_at(&0, 0);
        }
        for n in 1..MAX_KEPT as u32 + 5 {
            buckets.take_at(&n, 0);
        }
        assert_eq!(buckets.held().len(), MAX_KEPT);
        assert!(buckets.take_at(&0, 0).is_over, "whoever used all of it is still known");
        buckets.take_at(&1, 10 * SECOND);
        buckets.take_at(&u32::MAX, 10 * SECOND);
        assert!(buckets.held().len() < 5, "full ones are forgotten");
    }
}
