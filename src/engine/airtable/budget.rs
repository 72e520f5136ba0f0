//! How many requests each login has sent this month, and how many it may.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tablewright_core::civil::{civil, instant};
use tablewright_core::clock::Clock;

use super::Error;
use crate::store::Store;

/// Counts requests in the store.
pub(super) struct Budget {
    most: u64,
    clock: Arc<dyn Clock>,
    store: Store,
    tallies: Mutex<HashMap<Arc<str>, Arc<Tally>>>,
}

/// The counts of one login.
#[derive(Default)]
struct Tally {
    /// Only one asks the store at a time.
    asking: tokio::sync::Mutex<()>,
    count: Mutex<Count>,
}

#[derive(Default)]
struct Count {
    month: String,
    /// What the store holds, calls not made yet included.
    stored: u64,
    /// Counted in the store and not made yet.
    ahead: u64,
    /// Counted by this process.
    own: u64,
    warned: bool,
}

/// One counted request; counted back when it is dropped and not sent.
pub(super) struct Call {
    tally: Arc<Tally>,
    month: String,
    spent: bool,
}

impl Call {
    /// It is sent now.
    pub(super) fn spend(&mut self) {
        self.spent = true;
    }

    /// It was not sent after all.
    pub(super) fn unspend(&mut self) {
        self.spent = false;
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let mut count = self.tally.count.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.spent && count.month == self.month {
            count.ahead += 1;
        }
    }
}

/// The month after this one by Airtable's calendar (UTC), and its year.
fn next_month(now: i64) -> (i32, u8) {
    let today = civil(now);
    if today.month == 12 { (today.year + 1, 1) } else { (today.year, today.month + 1) }
}

/// Milliseconds until the month ends by Airtable's calendar.
pub(crate) fn month_left(now: i64) -> i64 {
    let (year, month) = next_month(now);
    let next = instant(year.into(), month.into(), 1, 0, 0, 0, 0);
    next.map_or(0, |next| (next - now).max(0))
}

/// Most requests that are counted ahead. After a crash as many may be counted that were not sent.
const AHEAD: u64 = 50;

impl Budget {
    pub(super) fn new(most: u64, clock: Arc<dyn Clock>, store: Store) -> Self {
        Self { most, clock, store, tallies: Mutex::default() }
    }

    fn tally(&self, profile: &Arc<str>) -> Arc<Tally> {
        let mut tallies = self.tallies.lock().unwrap_or_else(PoisonError::into_inner);
        tallies.entry(profile.clone()).or_default().clone()
    }

    fn month(&self) -> String {
        let now = civil(self.clock.now_ms());
        format!("{:04}-{:02}", now.year, now.month)
    }

    /// Takes one call of the month's.
    pub(super) async fn take(&self, profile: &Arc<str>) -> Result<Call, Error> {
        let tally = self.tally(profile);
        let month = self.month();
        let taken = |tally: &Arc<Tally>| {
            let mut count = tally.count.lock().unwrap_or_else(PoisonError::into_inner);
            if count.month != month {
                *count = Count { month: month.clone(), ..Count::default() };
            }
            let found = count.ahead > 0;
            count.ahead -= u64::from(found);
            found.then(|| Call { tally: tally.clone(), month: month.clone(), spent: false })
        };
        if let Some(call) = taken(&tally) {
            return Ok(call);
        }
        let _one = tally.asking.lock().await;
        if let Some(call) = taken(&tally) {
            return Ok(call);
        }
        self.reserve(profile, &tally, &month).await?;
        taken(&tally).ok_or_else(|| self.used_up(profile))
    }

    /// Counts some calls ahead, as many as are left.
    async fn reserve(&self, profile: &str, tally: &Tally, month: &str) -> Result<(), Error> {
        let unstored = |error: crate::store::Error| {
            Error::NotSent(format!("the call could not be counted, and is not made uncounted: {error}"))
        };
        let known = self.store.upstream_calls(profile, month).await.map_err(unstored)?.max(0) as u64;
        let left = if self.most == 0 { u64::MAX } else { self.most.saturating_sub(known) };
        // Twice as many each time: a process that sends little counts little ahead.
        let more = {
            let count = tally.count.lock().unwrap_or_else(PoisonError::into_inner);
            count.own.clamp(1, AHEAD).min(left)
        };
        let stored = if more == 0 {
            known
        } else {
            let more = i64::try_from(more).unwrap_or(i64::MAX);
            self.store.count_upstream(profile, month, more).await.map_err(unstored)?.max(0) as u64
        };
        let mut count = tally.count.lock().unwrap_or_else(PoisonError::into_inner);
        if count.month == month {
            count.stored = stored;
            count.ahead += more;
            count.own += more;
            if self.most > 0 && stored * 5 >= self.most * 4 && !count.warned {
                count.warned = true;
                tracing::warn!(
                    profile,
                    calls = stored,
                    budget = self.most,
                    "most of the month's calls to Airtable are used"
                );
            }
        }
        Ok(())
    }

    /// Counts back what was counted ahead and not sent; for a process that ends in good order.
    pub(super) async fn settle(&self) -> Result<(), crate::store::Error> {
        let tallies: Vec<(Arc<str>, Arc<Tally>)> = {
            let tallies = self.tallies.lock().unwrap_or_else(PoisonError::into_inner);
            tallies.iter().map(|(profile, tally)| (profile.clone(), tally.clone())).collect()
        };
        for (profile, tally) in tallies {
            let (month, ahead) = {
                let mut count = tally.count.lock().unwrap_or_else(PoisonError::into_inner);
                (count.month.clone(), std::mem::take(&mut count.ahead))
            };
            if ahead > 0 {
                self.store.count_upstream(&profile, &month, -(ahead as i64)).await?;
            }
        }
        Ok(())
    }

    fn used_up(&self, profile: &str) -> Error {
        let (year, month) = next_month(self.clock.now_ms());
        let message = format!(
            "profile {profile:?} has used the {} calls to Airtable it may make this month; the count starts again on {year:04}-{month:02}-01 (UTC), and the setting airtable.monthly_calls raises the bound",
            self.most
        );
        Error::Budget { message, refused: None }
    }

    /// The calls made this month, and how many may be (0: no bound).
    pub(super) async fn usage(&self, profile: &str) -> Result<(u64, u64), Error> {
        let stored = self.store.upstream_calls(profile, &self.month()).await;
        let stored = stored.map_err(|e| Error::NotSent(e.to_string()))?.max(0) as u64;
        let ahead = {
            let tallies = self.tallies.lock().unwrap_or_else(PoisonError::into_inner);
            tallies
                .get(profile)
                .map_or(0, |tally| tally.count.lock().unwrap_or_else(PoisonError::into_inner).ahead)
        };
        Ok((stored.saturating_sub(ahead), self.most))
    }
}

#[cfg(test)]
mod tests {
    use tablewright_core::clock::HeldClock;

    use super::*;

    /// 2026-11-30T23:00:00Z
    const LATE: i64 = 1_796_079_600_000;

    async fn store(directory: &tempfile::TempDir) -> Store {
        Store::open(&directory.path().join("tablewright.db")).await.unwrap()
    }

    async fn spend(budget: &Budget, profile: &Arc<str>, calls: u64) {
        for _ in 0..calls {
            budget.take(profile).await.unwrap().spend();
        }
    }

    #[tokio::test]
    async fn the_last_call_is_made_and_no_more_until_the_next_month() {
        let directory = tempfile::tempdir().unwrap();
        let (clock, me) = (HeldClock::at(LATE), Arc::<str>::from("me"));
        let budget = Budget::new(10, Arc::new(clock.clone()), store(&directory).await);
        spend(&budget, &me, 9).await;
        drop(budget.take(&me).await.unwrap());
        assert_eq!(budget.usage(&me).await.unwrap(), (9, 10), "what is not sent is not counted");
        spend(&budget, &me, 1).await;
        let Err(error) = budget.take(&me).await else { panic!("an eleventh call") };
        for part in ["10 calls", "2026-12-01", "airtable.monthly_calls"] {
            assert!(error.to_string().contains(part), "{error}");
        }
        assert!(budget.take(&Arc::from("other")).await.is_ok());
        clock.advance(3_600_000);
        spend(&budget, &me, 1).await;
        assert_eq!(budget.usage(&me).await.unwrap(), (1, 10));
    }

    #[tokio::test]
    async fn a_crash_counts_too_many_rather_than_too_few() {
        let directory = tempfile::tempdir().unwrap();
        let (clock, me) = (Arc::new(HeldClock::at(LATE)), Arc::<str>::from("me"));
        let counted = async |settle: bool, calls: u64| {
            let budget = Budget::new(0, clock.clone(), store(&directory).await);
            spend(&budget, &me, calls).await;
            if settle {
                budget.settle().await.unwrap();
            }
            Budget::new(0, clock.clone(), store(&directory).await).usage(&me).await.unwrap().0
        };
        assert_eq!(counted(true, 7).await, 7);
        let after = counted(false, 100).await;
        assert!((107..=107 + AHEAD).contains(&after), "{after}");
        assert_eq!(counted(false, 1).await, after + 1, "one that sends little counts little ahead");
    }

    #[tokio::test]
    async fn many_at_once_take_no_more_than_there_are() {
        let directory = tempfile::tempdir().unwrap();
        let budget = Budget::new(30, Arc::new(HeldClock::at(LATE)), store(&directory).await);
        let me = Arc::<str>::from("me");
        let takes = (0..100).map(|_| async { budget.take(&me).await.map(|mut call| call.spend()).is_ok() });
        let taken = futures_util::future::join_all(takes).await;
        assert_eq!(taken.into_iter().filter(|taken| *taken).count(), 30);
    }
}
