//! Turns: who may send when. Pure: every method is told the time.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use tablewright_core::model::BaseId;

use super::queue::{Queue, Waiting};
use super::window::{Micros, Transit, Window};
use crate::airtable::Priority;

/// Requests a second for a base.
const PER_BASE: u64 = 5;
/// Requests a second with one token.
const PER_LOGIN: u64 = 50;
/// Most requests that wait.
pub(super) const MAX_WAITING: usize = 10_000;
/// Windows that hold nothing back are forgotten when there are more than this.
const MAX_IDLE: usize = 1_000;

/// What has a pace of its own.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Key {
    Base(BaseId),
    Login(Arc<str>),
}

/// Who asks for a turn.
#[derive(Debug, Clone)]
pub(super) struct Asking {
    pub(super) base: Option<BaseId>,
    pub(super) login: Arc<str>,
    pub(super) caller: Arc<str>,
    pub(super) priority: Priority,
}

impl Asking {
    /// What it waits at.
    fn place(&self) -> Key {
        self.base.map_or_else(|| Key::Login(self.login.clone()), Key::Base)
    }
}

/// One turn: its number, and the slots it holds.
#[derive(Debug)]
pub(super) struct Turn {
    pub(super) id: u64,
    pub(super) slots: Vec<(Key, usize)>,
}

/// All windows and queues.
#[derive(Debug)]
pub(super) struct Turns {
    share: u64,
    /// Nothing goes out to a base before then.
    begins: Micros,
    pub(super) transit: Transit,
    windows: HashMap<Key, Window>,
    queues: HashMap<Key, Queue>,
    /// The queues in turn; for when a login's pace is what they all wait for.
    order: VecDeque<Key>,
    waiting: usize,
    last: u64,
}

impl Turns {
    /// Turns from `begins` on.
    pub(super) fn new(share: u64, begins: Micros) -> Self {
        Self {
            share,
            begins,
            transit: Transit::default(),
            windows: HashMap::new(),
            queues: HashMap::new(),
            order: VecDeque::new(),
            waiting: 0,
            last: 0,
        }
    }

    fn window(&mut self, key: &Key) -> &mut Window {
        let per_second = if matches!(key, Key::Base(_)) { PER_BASE } else { PER_LOGIN };
        let (share, begins) = (self.share, self.begins);
        self.windows.entry(key.clone()).or_insert_with(|| Window::new(per_second, share, begins))
    }

    /// Gets in line; the number it is called by. None when too many wait already.
    pub(super) fn ask(&mut self, asking: &Asking, now: Micros) -> Option<u64> {
        if self.waiting >= MAX_WAITING {
            return None;
        }
        if self.windows.len() > MAX_IDLE {
            self.windows.retain(|_, window| !window.is_idle(now));
        }
        let place = asking.place();
        self.last += 1;
        let waiting = Waiting { id: self.last, login: asking.login.clone(), since: now };
        let queue = self.queues.entry(place.clone()).or_default();
        if queue.is_empty() {
            self.order.push_back(place);
        }
        queue.push(asking.priority, &asking.caller, waiting);
        self.waiting += 1;
        Some(self.last)
    }

    /// Leaves the line.
    pub(super) fn leave(&mut self, asking: &Asking, id: u64) {
        let place = asking.place();
        let Some(queue) = self.queues.get_mut(&place) else { return };
        if queue.remove(asking.priority, &asking.caller, id) {
            self.waiting -= 1;
        }
        if queue.is_empty() {
            self.queues.remove(&place);
            self.order.retain(|other| *other != place);
        }
    }

    /// Who may send now.
    pub(super) fn call(&mut self, now: Micros) -> VecDeque<Turn> {
        let mut called = VecDeque::new();
        // Rounds of one turn for each queue, until a round brings none.
        let mut quiet = 0;
        while quiet < self.order.len() {
            let Some(place) = self.order.pop_front() else { break };
            let next = self.call_at(&place, now);
            quiet = if next.is_some() { 0 } else { quiet + 1 };
            called.extend(next);
            if self.queues.get(&place).is_some_and(Queue::is_empty) {
                self.queues.remove(&place);
            } else {
                self.order.push_back(place);
            }
        }
        called
    }

    fn call_at(&mut self, place: &Key, now: Micros) -> Option<Turn> {
        let transit = self.transit;
        let own = self.window(place).free(now, &transit)?;
        // A window that is not there is one that holds nothing back.
        let may = |login: &Arc<str>| {
            let window = self.windows.get(&Key::Login(login.clone()));
            window.is_none_or(|window| window.free(now, &transit).is_some())
        };
        let next = self.queues.get_mut(place)?.pop(now, &may)?;
        self.waiting -= 1;
        self.window(place).take(own, next.id);
        let mut slots = vec![(place.clone(), own)];
        if matches!(place, Key::Base(_)) {
            let login = Key::Login(next.login);
            let window = self.window(&login);
            if let Some(slot) = window.free(now, &transit) {
                window.take(slot, next.id);
                slots.push((login, slot));
            }
        }
        Some(Turn { id: next.id, slots })
    }

    /// When somebody may be called next, as far as time alone decides.
    pub(super) fn next(&self) -> Option<Micros> {
        let from = |key: &Key| match self.windows.get(key) {
            Some(window) => window.next(&self.transit).map(|(_, from)| from),
            None => Some(0),
        };
        let first = |(place, queue): (&Key, &Queue)| {
            let login = queue.logins().filter_map(|login| from(&Key::Login(login.clone()))).min();
            Some(from(place)?.max(login?))
        };
        self.queues.iter().filter_map(first).min()
    }

    /// A request goes out with it.
    pub(super) fn sent(&mut self, turn: &Turn, now: Micros, large: bool) {
        self.each(turn, |window, slot, _| window.sent(slot, turn.id, now, large));
    }

    /// The head of its answer is here.
    pub(super) fn answered(&mut self, turn: &Turn, now: Micros) {
        self.each(turn, |window, slot, transit| window.answered(slot, turn.id, now, transit));
    }

    /// Nobody waits for its answer any more.
    pub(super) fn abandoned(&mut self, turn: &Turn, now: Micros) {
        self.each(turn, |window, slot, transit| window.abandoned(slot, turn.id, now, transit));
    }

    /// Nothing was sent with it.
    pub(super) fn give_back(&mut self, turn: &Turn) {
        self.each(turn, |window, slot, _| window.give_back(slot, turn.id));
    }

    fn each(&mut self, turn: &Turn, change: impl Fn(&mut Window, usize, &Transit)) {
        for (key, slot) in &turn.slots {
            if let Some(window) = self.windows.get_mut(key) {
                change(window, *slot, &self.transit);
            }
        }
    }

    /// Nothing of this base or login goes out before then.
    pub(super) fn refuse(&mut self, key: &Key, until: Micros) {
        self.window(key).refuse(until);
    }

    /// Until when a request is refused whatever its turn.
    pub(super) fn refused_until(&self, asking: &Asking) -> Micros {
        let of = |key: &Key| self.windows.get(key).map_or(0, Window::refused_until);
        of(&asking.place()).max(of(&Key::Login(asking.login.clone())))
    }

    /// A connection is being opened.
    pub(super) fn opening(&mut self) {
        self.transit.opening += 1;
    }

    /// It is open, or failed.
    pub(super) fn opened(&mut self, now: Micros) {
        self.transit.opening = self.transit.opening.saturating_sub(1);
        self.transit.opened = now;
    }

    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    #[cfg(test)]
    pub(super) fn windows(&self) -> usize {
        self.windows.len()
    }
}
