//! The orders of sorted lists, kept from page to page.
//!
//! An order is a list of row positions. The same query of the same data shares one. Bounded in
//! number and bytes; what was not used for a while, or longest, goes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tablewright_core::model::BaseId;
use tablewright_core::model::id::IteratorId;

/// Most orders kept.
const MAX_ORDERS: usize = 1_000;
/// Most bytes of all orders.
const MAX_BYTES: usize = 64 << 20;

/// What an order is the order of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Source {
    /// The base.
    pub(super) base: BaseId,
    /// How many commits the base had seen, and the table.
    pub(super) versions: (u64, u64),
    /// What stands for the query.
    pub(super) query: u64,
    /// What NOW() means, for a query that asks.
    pub(super) now: Option<i64>,
}

/// The positions of rows, in order.
pub(super) type Order = Arc<[i64]>;

struct Held {
    order: Order,
    source: Source,
    used_at: i64,
    /// Counts uses; the smallest is the one used longest ago.
    used: u64,
}

#[derive(Default)]
struct Orders {
    by_id: HashMap<IteratorId, Held>,
    by_source: HashMap<Source, IteratorId>,
    bytes: usize,
    uses: u64,
}

/// All orders that are kept.
pub(super) struct Kept {
    orders: Mutex<Orders>,
    idle_ms: i64,
    most: (usize, usize),
}

fn bytes(order: &Order) -> usize {
    std::mem::size_of_val::<[i64]>(order) + 200
}

impl Orders {
    fn use_one(&mut self, id: IteratorId, now: i64) -> Option<Order> {
        self.uses += 1;
        let held = self.by_id.get_mut(&id)?;
        held.used_at = now;
        held.used = self.uses;
        Some(held.order.clone())
    }

    fn drop_one(&mut self, id: IteratorId) {
        if let Some(held) = self.by_id.remove(&id) {
            self.bytes -= bytes(&held.order);
            if self.by_source.get(&held.source) == Some(&id) {
                self.by_source.remove(&held.source);
            }
        }
    }
}

impl Kept {
    /// Orders that lapse when nobody used them for `idle_ms`.
    pub(super) fn new(idle_ms: i64) -> Self {
        Self { orders: Mutex::default(), idle_ms, most: (MAX_ORDERS, MAX_BYTES) }
    }

    fn lock(&self, now: i64) -> std::sync::MutexGuard<'_, Orders> {
        let mut orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        let old = |held: &Held| now.saturating_sub(held.used_at) > self.idle_ms;
        if orders.by_id.values().any(old) {
            let gone: Vec<IteratorId> =
                orders.by_id.iter().filter(|(_, h)| old(h)).map(|(id, _)| *id).collect();
            gone.into_iter().for_each(|id| orders.drop_one(id));
        }
        orders
    }

    /// The order of a source, when it is kept already.
    pub(super) fn of(&self, source: &Source, now: i64) -> Option<(IteratorId, Order)> {
        let mut orders = self.lock(now);
        let id = *orders.by_source.get(source)?;
        orders.use_one(id, now).map(|order| (id, order))
    }

    /// An order by its id.
    pub(super) fn get(&self, id: IteratorId, now: i64) -> Option<Order> {
        self.lock(now).use_one(id, now)
    }

    /// Keeps an order. `None` when it is too large to keep.
    pub(super) fn keep(&self, source: Source, order: Order, now: i64) -> Option<IteratorId> {
        let (most, most_bytes) = self.most;
        let size = bytes(&order);
        if size > most_bytes {
            return None;
        }
        let mut orders = self.lock(now);
        while orders.by_id.len() >= most || orders.bytes + size > most_bytes {
            let oldest = orders.by_id.iter().min_by_key(|(_, held)| held.used).map(|(id, _)| *id);
            oldest.into_iter().for_each(|id| orders.drop_one(id));
        }
        orders.uses += 1;
        let (id, used) = (IteratorId::random(), orders.uses);
        orders.bytes += size;
        // When two asked at once both go on; the younger order is shared from now on.
        orders.by_source.insert(source, id);
        orders.by_id.insert(id, Held { order, source, used_at: now, used });
        Some(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(query: u64) -> Source {
        Source { base: "appA1b2C3d4E5f6G7".parse().unwrap(), versions: (1, 1), query, now: None }
    }

    #[test]
    fn orders_are_shared_and_lapse() {
        let kept = Kept::new(1_000);
        let id = kept.keep(source(1), vec![3, 1, 2].into(), 0).unwrap();
        assert_eq!(kept.of(&source(1), 900).unwrap(), (id, vec![3, 1, 2].into()));
        assert!(kept.of(&source(2), 900).is_none());
        assert!(kept.get(id, 1_800).is_some(), "each use counts");
        assert!(kept.get(id, 2_801).is_none());
    }

    #[test]
    fn what_was_used_longest_ago_makes_room() {
        let kept = Kept { orders: Mutex::default(), idle_ms: 1_000, most: (2, 1_000) };
        let first = kept.keep(source(1), vec![1].into(), 0).unwrap();
        let second = kept.keep(source(2), vec![2].into(), 0).unwrap();
        assert!(kept.get(first, 0).is_some());
        let third = kept.keep(source(3), vec![3].into(), 0).unwrap();
        assert!(
            kept.get(second, 0).is_none() && kept.get(first, 0).is_some() && kept.get(third, 0).is_some()
        );
        let large = kept.keep(source(4), vec![0; 90].into(), 0).unwrap();
        assert!(kept.get(first, 0).is_none() && kept.get(large, 0).is_some());
        assert!(kept.keep(source(5), vec![0; 200].into(), 0).is_none());
        assert_eq!(kept.orders.lock().unwrap().bytes, 90 * 8 + 200);
    }

    #[test]
    fn two_orders_of_one_source_both_go_on() {
        let kept = Kept::new(1_000);
        let first = kept.keep(source(1), vec![1].into(), 0).unwrap();
        let second = kept.keep(source(1), vec![2].into(), 0).unwrap();
        assert_eq!(kept.of(&source(1), 0).unwrap().0, second);
        assert!(kept.get(first, 900).is_some() && kept.get(second, 0).is_some());
        assert!(kept.get(second, 1_500).is_none() && kept.get(first, 1_500).is_some());
        assert!(kept.of(&source(1), 1_500).is_none());
    }
}
