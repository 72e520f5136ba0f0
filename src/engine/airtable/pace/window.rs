//! How many requests may arrive within a second: slots that become free again in time.
//!
//! Pure: every method is told the time, in microseconds since some start.

/// Microseconds since the start.
pub(super) type Micros = u64;

const SECOND: Micros = 1_000_000;
/// Added to every second, because no two clocks run alike.
const MARGIN: Micros = 3_000;
/// How long after a request of a program that ran before the first one goes out: a second, and the
/// time that request may have been on its way.
pub(super) const QUIET_START: Micros = SECOND + MARGIN + 50_000;

/// How long after it was sent a request may still be on its way.
#[derive(Debug, Clone, Copy)]
pub(super) struct Transit {
    /// Once its connection is open.
    pub(super) allowance: Micros,
    /// Connections being opened: whoever waits for one has not sent anything yet.
    pub(super) opening: usize,
    /// When the last of them was open.
    pub(super) opened: Micros,
}

const FIRST_ALLOWANCE: Micros = 50_000;
const MOST_ALLOWANCE: Micros = 400_000;

impl Default for Transit {
    fn default() -> Self {
        Self { allowance: FIRST_ALLOWANCE, opening: 0, opened: 0 }
    }
}

impl Transit {
    /// A request was refused that should not have been: they take longer than was thought.
    pub(super) fn widen(&mut self) {
        self.allowance = (self.allowance * 2).min(MOST_ALLOWANCE);
    }

    /// When a request sent at `sent` has arrived at the latest; not known while it may be waiting
    /// for a connection, or for the rest of a `large` body to go out.
    fn latest(&self, sent: Micros, large: bool) -> Option<Micros> {
        (self.opening == 0 && !large).then(|| sent.max(self.opened) + self.allowance)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Slot {
    /// Can be taken from this time on.
    Free(Micros),
    /// Taken, and nothing sent with it yet.
    Taken { by: u64 },
    /// A request is out. It may be taken by another before the answer is there.
    Out { by: u64, sent: Micros, large: bool },
}

/// The slots of one base or login.
#[derive(Debug)]
pub(super) struct Window {
    slots: Vec<Slot>,
    period: Micros,
    refused_until: Micros,
}

impl Window {
    /// Slots for `share` percent of `per_second` requests a second, free from `begins` on.
    pub(super) fn new(per_second: u64, share: u64, begins: Micros) -> Self {
        // A part of a slot is a whole one that comes round more slowly.
        let slots = (per_second * share).div_ceil(100).max(1);
        let period = (slots * SECOND * 100).div_ceil(per_second * share.max(1)) + MARGIN;
        Self { slots: vec![Slot::Free(begins); slots as usize], period, refused_until: 0 }
    }

    fn free_at(&self, slot: Slot, transit: &Transit) -> Option<Micros> {
        match slot {
            Slot::Free(from) => Some(from),
            Slot::Taken { .. } => None,
            Slot::Out { sent, large, .. } => Some(transit.latest(sent, large)? + self.period),
        }
    }

    /// The slot that is free first, and from when on; none while that is up to others.
    pub(super) fn next(&self, transit: &Transit) -> Option<(usize, Micros)> {
        let known = self.slots.iter().enumerate();
        let known = known.filter_map(|(place, slot)| Some((self.free_at(*slot, transit)?, place)));
        known.min().map(|(from, place)| (place, from.max(self.refused_until)))
    }

    /// The slot that can be taken now.
    pub(super) fn free(&self, now: Micros, transit: &Transit) -> Option<usize> {
        self.next(transit).filter(|(_, from)| *from <= now).map(|(place, _)| place)
    }

    pub(super) fn take(&mut self, place: usize, by: u64) {
        self.slots[place] = Slot::Taken { by };
    }

    /// Nothing was, or will be, sent with it.
    pub(super) fn give_back(&mut self, place: usize, by: u64) {
        match self.slots[place] {
            Slot::Taken { by: holder } | Slot::Out { by: holder, .. } if holder == by => {
                self.slots[place] = Slot::Free(0);
            }
            _ => {}
        }
    }

    pub(super) fn sent(&mut self, place: usize, by: u64, now: Micros, large: bool) {
        if self.slots[place] == (Slot::Taken { by }) {
            self.slots[place] = Slot::Out { by, sent: now, large };
        }
    }

    /// The head of the answer came now.
    pub(super) fn answered(&mut self, place: usize, by: u64, now: Micros, transit: &Transit) {
        if let Some((sent, large)) = self.out(place, by) {
            let arrived = transit.latest(sent, large).map_or(now, |latest| latest.min(now));
            self.slots[place] = Slot::Free(arrived + self.period);
        }
    }

    /// Nobody waits for the answer any more; the request may still arrive.
    pub(super) fn abandoned(&mut self, place: usize, by: u64, now: Micros, transit: &Transit) {
        if let Some((sent, large)) = self.out(place, by) {
            let latest = transit.latest(sent, large).unwrap_or(now + transit.allowance);
            self.slots[place] = Slot::Free(latest + self.period);
        }
    }

    fn out(&self, place: usize, by: u64) -> Option<(Micros, bool)> {
        match self.slots[place] {
            Slot::Out { by: holder, sent, large } if holder == by => Some((sent, large)),
            _ => None,
        }
    }

    /// Nothing goes out before then.
    pub(super) fn refuse(&mut self, until: Micros) {
        self.refused_until = self.refused_until.max(until);
    }

    pub(super) fn refused_until(&self) -> Micros {
        self.refused_until
    }

    /// Whether it can be forgotten: it holds nothing back.
    pub(super) fn is_idle(&self, now: Micros) -> bool {
        self.refused_until <= now
            && self.slots.iter().all(|slot| matches!(slot, Slot::Free(from) if *from <= now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_has_its_part_of_the_slots_and_of_the_speed() {
        for (per_second, share) in [(5, 100), (5, 50), (5, 1), (5, 99), (50, 100), (50, 33)] {
            let window = Window::new(per_second, share, 0);
            let speed = window.slots.len() as f64 / (window.period - MARGIN) as f64 * SECOND as f64;
            let wanted = (per_second * share) as f64 / 100.0;
            assert!((speed - wanted).abs() < 0.001, "{per_second} {share}: {speed}");
            assert!(window.slots.len() as f64 <= wanted.ceil(), "{per_second} {share}");
            assert!(window.period >= SECOND + MARGIN);
        }
    }

    #[test]
    fn a_request_that_waits_for_a_connection_has_not_arrived() {
        let mut transit = Transit::default();
        let mut window = Window::new(1, 100, 0);
        window.take(0, 1);
        window.sent(0, 1, 0, false);
        assert_eq!(window.next(&transit), Some((0, FIRST_ALLOWANCE + SECOND + MARGIN)));
        transit.opening = 1;
        assert_eq!(window.next(&transit), None);
        (transit.opening, transit.opened) = (0, 300_000);
        assert_eq!(window.next(&transit), Some((0, 300_000 + FIRST_ALLOWANCE + SECOND + MARGIN)));
        window.answered(0, 1, 320_000, &transit);
        assert_eq!(window.next(&transit), Some((0, 320_000 + SECOND + MARGIN)));
    }

    #[test]
    fn a_large_body_is_on_its_way_until_the_answer() {
        let transit = Transit::default();
        let mut window = Window::new(1, 100, 0);
        window.take(0, 1);
        window.sent(0, 1, 0, true);
        assert_eq!(window.next(&transit), None);
        window.answered(0, 1, 4_000_000, &transit);
        assert_eq!(window.next(&transit), Some((0, 4_000_000 + SECOND + MARGIN)));
    }
}
