//! Budgets: how much one principal, and one conversation, may write, delete and ask of Airtable.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use tablewright_core::{Code, Fault};
use tablewright_engine::Engine;

use crate::access::Caller;

/// Settings of budgets.
#[derive(Debug, Clone, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// What one principal (`local`, `token:NAME`) may do in 24 hours.
    pub principal: Caps,
    /// What may be done in one conversation.
    pub session: Caps,
    /// Writes that are repeated.
    pub circuit: crate::circuit::Options,
}

/// How much of each; 0 means no bound.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Caps {
    /// Records created or changed.
    pub records_written: u64,
    /// Records deleted.
    pub records_deleted: u64,
    /// Requests to Airtable.
    pub requests: u64,
}

/// Hours a principal's budget reaches back.
const HOURS: i64 = 24;
const HOUR_MS: i64 = 3_600_000;
/// Most principals and conversations that are counted at once.
const MOST: usize = 10_000;

/// What is asked for, or was used: records written, records deleted, requests.
pub type Amounts = [u64; 3];

impl Caps {
    fn each(self) -> [(u64, &'static str); 3] {
        [
            (self.records_written, "records written"),
            (self.records_deleted, "records deleted"),
            (self.requests, "requests to Airtable"),
        ]
    }

    fn bounds_something(self) -> bool {
        self != Self::default()
    }
}

/// What was used, by hour.
#[derive(Debug, Default)]
struct Used {
    hours: Vec<(i64, Amounts)>,
    touched: i64,
}

impl Used {
    fn sum(&self, since: i64) -> Amounts {
        let mut sum = [0; 3];
        for (_, amounts) in self.hours.iter().filter(|(hour, _)| *hour >= since) {
            sum.iter_mut().zip(amounts).for_each(|(sum, amount)| *sum += amount);
        }
        sum
    }

    fn of_hour(&mut self, hour: i64) -> Option<&mut Amounts> {
        self.hours.retain(|(held, _)| *held > hour - HOURS);
        if self.hours.last().is_none_or(|(held, _)| *held < hour) {
            self.hours.push((hour, [0; 3]));
        }
        self.hours.last_mut().map(|(_, amounts)| amounts)
    }
}

#[derive(Default)]
struct State {
    principals: HashMap<Arc<str>, Used>,
    sessions: HashMap<Arc<str>, (Amounts, i64)>,
}

/// The budgets of a data directory. Cheap to clone.
#[derive(Clone)]
pub struct Budgets {
    engine: Engine,
    options: Arc<Options>,
    state: Arc<Mutex<State>>,
}

impl Budgets {
    /// The budgets with these settings.
    pub fn new(engine: Engine, options: Options) -> Self {
        Self { engine, options: Arc::new(options), state: Arc::default() }
    }

    /// The settings.
    pub fn options(&self) -> &Options {
        &self.options
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes `amounts` from the budgets of a caller, from all of them or from none; a request is
    /// refused once the bound is reached.
    pub async fn take(&self, caller: &Caller, amounts: Amounts) -> Result<(), Fault> {
        let now = self.engine.clock().now_ms();
        let hour = now.div_euclid(HOUR_MS);
        let bounded = self.options.principal.bounds_something();
        let unknown = bounded && !self.lock().principals.contains_key(&caller.principal);
        // What was used before the program started is in the audit log.
        let before = if unknown {
            let since = (hour - HOURS + 1) * HOUR_MS;
            self.engine.store().used_since(&caller.principal, since).await.map_err(Fault::from)?
        } else {
            Vec::new()
        };
        let mut state = self.lock();
        state.make_room();
        let State { principals, sessions } = &mut *state;
        if bounded {
            let used = principals.entry(caller.principal.clone()).or_insert_with(|| Used {
                hours: before.iter().map(|(hour, sums)| (*hour, sums.map(i64::unsigned_abs))).collect(),
                touched: now,
            });
            let sum = used.sum(hour - HOURS + 1);
            let whose = || format!("{} in {HOURS} hours", caller.principal);
            require(self.options.principal, sum, amounts, "budget.principal", whose)?;
        }
        if self.options.session.bounds_something() && !caller.session.is_empty() {
            let (sum, _) = sessions.entry(caller.session.clone()).or_insert(([0; 3], now));
            require(self.options.session, *sum, amounts, "budget.session", || {
                "this conversation".to_owned()
            })?;
        }
        state.add(caller, hour, now, amounts);
        Ok(())
    }

    /// Counts what was used without asking before: requests.
    pub(crate) fn used(&self, caller: &Caller, amounts: Amounts) {
        let now = self.engine.clock().now_ms();
        self.lock().add(caller, now.div_euclid(HOUR_MS), now, amounts);
    }

    /// Gives back what was taken and not used.
    pub(crate) fn give_back(&self, caller: &Caller, amounts: Amounts) {
        let mut state = self.lock();
        if let Some((_, held)) =
            state.principals.get_mut(&caller.principal).and_then(|used| used.hours.last_mut())
        {
            held.iter_mut().zip(amounts).for_each(|(held, amount)| *held = held.saturating_sub(amount));
        }
        if let Some((held, _)) = state.sessions.get_mut(&caller.session) {
            held.iter_mut().zip(amounts).for_each(|(held, amount)| *held = held.saturating_sub(amount));
        }
    }
}

impl State {
    fn add(&mut self, caller: &Caller, hour: i64, now: i64, amounts: Amounts) {
        if let Some(used) = self.principals.get_mut(&caller.principal) {
            used.touched = now;
            if let Some(held) = used.of_hour(hour) {
                held.iter_mut().zip(amounts).for_each(|(held, amount)| *held += amount);
            }
        }
        if let Some((held, touched)) = self.sessions.get_mut(&caller.session) {
            *touched = now;
            held.iter_mut().zip(amounts).for_each(|(held, amount)| *held += amount);
        }
    }

    /// Forgets the half that was quiet for longest. What a principal used is read again when they
    /// come back; a conversation that is forgotten begins anew.
    fn make_room(&mut self) {
        if self.principals.len() >= MOST {
            let mut times: Vec<i64> = self.principals.values().map(|used| used.touched).collect();
            times.sort_unstable();
            self.principals.retain(|_, used| used.touched > times[MOST / 2]);
        }
        if self.sessions.len() >= MOST {
            let mut times: Vec<i64> = self.sessions.values().map(|(_, touched)| *touched).collect();
            times.sort_unstable();
            self.sessions.retain(|_, (_, touched)| *touched > times[MOST / 2]);
        }
    }
}

fn require(
    caps: Caps,
    used: Amounts,
    wanted: Amounts,
    setting: &str,
    whose: impl Fn() -> String,
) -> Result<(), Fault> {
    for ((cap, what), (used, wanted)) in caps.each().into_iter().zip(used.into_iter().zip(wanted)) {
        if cap > 0 && wanted > 0 && used + wanted > cap {
            let message = format!(
                "the budget of {} is {cap} {what}; {used} are used, and this takes {wanted}. Nothing was done. A person can raise it in the settings ({setting}).",
                whose()
            );
            return Err(Fault::new(Code::BudgetExceeded, message));
        }
    }
    Ok(())
}
