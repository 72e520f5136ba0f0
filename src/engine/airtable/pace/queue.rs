//! Who goes next: callers in turn, what somebody waits for before upkeep.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use super::window::Micros;
use crate::airtable::Priority;

/// Upkeep that has waited this long goes next.
const LONG: Micros = 10_000_000;

/// One request that waits for its turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Waiting {
    pub(super) id: u64,
    pub(super) login: Arc<str>,
    pub(super) since: Micros,
}

/// The requests of one priority: each caller's in order, the callers in turn.
#[derive(Debug, Default)]
struct Line {
    callers: HashMap<Arc<str>, VecDeque<Waiting>>,
    turns: VecDeque<Arc<str>>,
}

impl Line {
    fn push(&mut self, caller: &Arc<str>, waiting: Waiting) {
        let own = self.callers.entry(caller.clone()).or_default();
        if own.is_empty() {
            self.turns.push_back(caller.clone());
        }
        own.push_back(waiting);
    }

    /// The first whose login may send; its caller is then the last in turn.
    fn pop(&mut self, may: &impl Fn(&Arc<str>) -> bool) -> Option<Waiting> {
        let first = |caller: &Arc<str>| self.callers.get(caller)?.front();
        let place = self.turns.iter().position(|caller| first(caller).is_some_and(|w| may(&w.login)))?;
        self.pop_at(place)
    }

    /// The same for the one that waits longest, if it has waited since then.
    fn pop_waiting_since(&mut self, since: Micros, may: &impl Fn(&Arc<str>) -> bool) -> Option<Waiting> {
        let firsts = self.turns.iter().enumerate();
        let firsts = firsts.filter_map(|(place, caller)| Some((self.callers.get(caller)?.front()?, place)));
        let late = firsts.filter(|(w, _)| w.since <= since && may(&w.login));
        let place = late.min_by_key(|(w, _)| (w.since, w.id)).map(|(_, place)| place)?;
        self.pop_at(place)
    }

    fn pop_at(&mut self, place: usize) -> Option<Waiting> {
        let caller = self.turns.remove(place)?;
        let own = self.callers.get_mut(&caller)?;
        let next = own.pop_front();
        if own.is_empty() {
            self.callers.remove(&caller);
        } else {
            self.turns.push_back(caller);
        }
        next
    }

    fn remove(&mut self, caller: &Arc<str>, id: u64) -> Option<Waiting> {
        let own = self.callers.get_mut(caller)?;
        let place = own.iter().position(|waiting| waiting.id == id)?;
        let removed = own.remove(place);
        if own.is_empty() {
            self.callers.remove(caller);
            self.turns.retain(|other| other != caller);
        }
        removed
    }
}

/// The requests that wait for one base, or for a login's requests about none.
#[derive(Debug, Default)]
pub(super) struct Queue {
    interactive: Line,
    sync: Line,
    /// How many wait with each login.
    logins: HashMap<Arc<str>, usize>,
    /// The last turn went to upkeep that had waited long: the next goes to somebody who waits.
    late_last: bool,
}

impl Queue {
    pub(super) fn push(&mut self, priority: Priority, caller: &Arc<str>, waiting: Waiting) {
        *self.logins.entry(waiting.login.clone()).or_default() += 1;
        self.line(priority).push(caller, waiting);
    }

    /// Who goes next, among those whose login may send.
    pub(super) fn pop(&mut self, now: Micros, may: &impl Fn(&Arc<str>) -> bool) -> Option<Waiting> {
        let late = now.checked_sub(LONG).filter(|_| !self.late_last);
        let late = late.and_then(|since| self.sync.pop_waiting_since(since, may));
        self.late_last = late.is_some();
        let next = late.or_else(|| self.interactive.pop(may)).or_else(|| self.sync.pop(may));
        next.inspect(|waiting| self.left(waiting))
    }

    /// Takes one out that waits no longer; whether it did wait.
    pub(super) fn remove(&mut self, priority: Priority, caller: &Arc<str>, id: u64) -> bool {
        let removed = self.line(priority).remove(caller, id);
        removed.inspect(|waiting| self.left(waiting)).is_some()
    }

    fn left(&mut self, waiting: &Waiting) {
        if let Some(count) = self.logins.get_mut(&waiting.login) {
            *count -= 1;
            if *count == 0 {
                self.logins.remove(&waiting.login);
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.logins.is_empty()
    }

    /// The logins that wait.
    pub(super) fn logins(&self) -> impl Iterator<Item = &Arc<str>> {
        self.logins.keys()
    }

    fn line(&mut self, priority: Priority) -> &mut Line {
        match priority {
            Priority::Interactive => &mut self.interactive,
            Priority::Sync => &mut self.sync,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(all: &[(Priority, &str, Micros)]) -> Queue {
        let mut queue = Queue::default();
        for (id, (priority, caller, since)) in all.iter().enumerate() {
            let waiting = Waiting { id: id as u64, login: "me".into(), since: *since };
            queue.push(*priority, &Arc::from(*caller), waiting);
        }
        queue
    }

    fn order(queue: &mut Queue, now: Micros) -> Vec<u64> {
        std::iter::from_fn(|| queue.pop(now, &|_| true)).map(|waiting| waiting.id).collect()
    }

    const I: Priority = Priority::Interactive;
    const S: Priority = Priority::Sync;

    #[test]
    fn callers_take_turns_and_upkeep_comes_last() {
        let mut q = queue(&[(S, "s", 0), (I, "a", 0), (I, "a", 0), (I, "a", 0), (I, "b", 0), (I, "c", 0)]);
        assert_eq!(order(&mut q, 1), [1, 4, 5, 2, 3, 0]);
        assert!(q.is_empty());
    }

    #[test]
    fn upkeep_that_waited_long_goes_next_but_not_alone() {
        let mut q = queue(&[(S, "s", 0), (S, "s", 0), (S, "t", 5), (I, "a", 9), (I, "a", 9), (S, "u", LONG)]);
        assert_eq!(order(&mut q, LONG + 5), [0, 3, 1, 4, 2, 5]);
    }

    #[test]
    fn who_leaves_is_not_called() {
        let mut q = queue(&[(I, "a", 0), (I, "a", 0), (I, "b", 0)]);
        assert!(q.remove(I, &Arc::from("a"), 0));
        assert!(!q.remove(I, &Arc::from("a"), 0));
        assert!(q.remove(I, &Arc::from("b"), 2));
        assert_eq!(order(&mut q, 0), [1]);
    }

    #[test]
    fn a_login_that_may_not_send_does_not_hold_up_another() {
        let mut q = Queue::default();
        for (id, login) in ["full", "free"].iter().enumerate() {
            let waiting = Waiting { id: id as u64, login: Arc::from(*login), since: 0 };
            q.push(I, &Arc::from("a".repeat(id + 1)), waiting);
        }
        assert_eq!(q.pop(0, &|login| &**login == "free").map(|w| w.id), Some(1));
        assert_eq!(q.pop(0, &|login| &**login == "free"), None);
        assert!(!q.is_empty());
    }
}
