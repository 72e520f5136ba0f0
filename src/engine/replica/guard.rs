//! Which of two answers about a record is the newer one.
//!
//! Every request gets a number before it is sent, and another one when its answer is here. What
//! was asked for after an answer is newer than that answer; what was asked for before may be older,
//! so it is not taken and the record is asked for again. That is why a write of ours is seen at
//! once, and why a deleted record does not come back with a page that was on its way.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;
use tablewright_core::model::RecordId;

/// When a record was last heard of: the request's number and its answer's.
#[derive(Debug, Clone, Copy)]
struct Heard {
    asked: u64,
    answered: u64,
}

/// What is known about the order of answers. Holds records only while requests are under way.
#[derive(Debug, Default)]
pub(crate) struct Guard {
    next: u64,
    /// Numbers of the requests under way, with how many share one.
    open: BTreeMap<u64, usize>,
    heard: FxHashMap<RecordId, Heard>,
}

impl Guard {
    /// The number of a request that is about to be sent. Give it back to [`Guard::end`].
    pub(crate) fn begin(&mut self) -> u64 {
        self.next += 1;
        *self.open.entry(self.next).or_default() += 1;
        self.next
    }

    /// A request has ended, whatever came of it.
    pub(crate) fn end(&mut self, asked: u64) {
        if let Some(count) = self.open.get_mut(&asked) {
            *count -= 1;
            if *count == 0 {
                self.open.remove(&asked);
            }
        }
        match self.open.first_key_value() {
            None => self.heard.clear(),
            Some((first, _)) => {
                let first = *first;
                self.heard.retain(|_, heard| heard.answered > first);
            }
        }
    }

    /// Whether an answer about a record to the request `asked` may be taken; then it is the newest.
    /// `None`: it was taken already from this very request.
    pub(crate) fn admit(&mut self, asked: u64, record: RecordId) -> Option<bool> {
        if let Some(heard) = self.heard.get(&record) {
            if heard.asked == asked {
                return None;
            }
            if asked < heard.answered {
                return Some(false);
            }
        }
        self.next += 1;
        self.heard.insert(record, Heard { asked, answered: self.next });
        Some(true)
    }

    /// Takes an answer about a record as the newest although something was heard since it was asked
    /// for: of a write of ours, which is to be seen at once.
    pub(crate) fn insist(&mut self, asked: u64, record: RecordId) {
        self.next += 1;
        self.heard.insert(record, Heard { asked, answered: self.next });
    }

    /// True when a record was heard of after the request `asked` was sent.
    pub(crate) fn heard_since(&self, asked: u64, record: &RecordId) -> bool {
        self.heard.get(record).is_some_and(|heard| heard.answered > asked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_on_its_way_does_not_undo_what_was_heard_since() {
        let (mut guard, record) = (Guard::default(), RecordId::random());
        let page = guard.begin();
        let write = guard.begin();
        assert_eq!(guard.admit(write, record), Some(true));
        guard.end(write);
        assert_eq!(guard.admit(page, record), Some(false), "asked before the write was answered");
        assert!(guard.heard_since(page, &record));
        let later = guard.begin();
        guard.end(page);
        assert_eq!(guard.admit(later, record), Some(true));
        guard.end(later);
        assert!(guard.heard.is_empty() && guard.open.is_empty(), "nothing is kept when nothing is under way");
    }

    #[test]
    fn a_write_that_is_insisted_on_is_the_newest() {
        let (mut guard, record) = (Guard::default(), RecordId::random());
        let write = guard.begin();
        let (page, other) = (guard.begin(), guard.begin());
        assert_eq!(guard.admit(page, record), Some(true));
        assert_eq!(guard.admit(write, record), Some(false), "who knows which was first");
        guard.insist(write, record);
        assert_eq!(guard.admit(other, record), Some(false));
        let later = guard.begin();
        assert_eq!(guard.admit(later, record), Some(true));
    }

    #[test]
    fn one_request_gives_a_record_once() {
        let (mut guard, record) = (Guard::default(), RecordId::random());
        let pass = guard.begin();
        assert_eq!(guard.admit(pass, record), Some(true));
        assert_eq!(guard.admit(pass, record), None);
    }
}
