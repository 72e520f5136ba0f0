//! What the queue promises, with groups made by hand and by chance.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

fn table(at: u8) -> TableId {
    format!("tblQueue00000000{at}").parse().unwrap()
}

fn record(at: u8) -> Touch {
    Touch::Record(format!("recQueue000000{at:03}").parse().unwrap())
}

fn creates() -> Kind {
    Kind { table: table(1), verb: Verb::Create, typecast: false, login: None }
}

fn updates() -> Kind {
    Kind { verb: Verb::Update, ..creates() }
}

fn upserts() -> Kind {
    Kind { verb: Verb::Upsert { on: Vec::new(), replace: false }, ..creates() }
}

fn key(text: &str) -> Option<Touch> {
    Some(Touch::Key(table(1), text.into()))
}

fn places(batch: &Batch) -> Vec<(GroupId, Vec<usize>)> {
    batch.units.iter().map(|unit| (unit.group, unit.items.clone())).collect()
}

#[test]
fn small_writes_of_several_callers_share_a_request() {
    let mut queue = Queue::default();
    for by in 0..25 {
        queue.add(format!("caller {by}").into(), creates(), false, vec![None]);
    }
    let sizes: Vec<usize> = std::iter::from_fn(|| queue.choose()).map(|batch| batch.units.len()).collect();
    assert_eq!(sizes, [10, 10, 5]);
}

#[test]
fn a_long_write_does_not_keep_a_short_one_waiting() {
    let mut queue = Queue::default();
    let long = queue.add("a".into(), creates(), false, vec![None; 500]);
    let short = queue.add("b".into(), creates(), false, vec![None; 3]);
    let batch = queue.choose().unwrap();
    let of = |id| batch.units.iter().filter(|unit| unit.group == id).count();
    assert_eq!((of(long), of(short)), (7, 3));
    // The places of each come in order.
    let taken: Vec<usize> =
        batch.units.iter().filter(|u| u.group == long).flat_map(|u| u.items.clone()).collect();
    assert_eq!(taken, (0..7).collect::<Vec<_>>());
}

#[test]
fn callers_take_turns_when_their_writes_do_not_mix() {
    let mut queue = Queue::default();
    let a = queue.add("a".into(), creates(), false, vec![None; 30]);
    let b = queue.add("b".into(), updates(), false, (0..30).map(|at| Some(record(at))).collect());
    let order: Vec<GroupId> =
        std::iter::from_fn(|| queue.choose()).map(|batch| batch.units[0].group).collect();
    assert_eq!(order, [a, b, a, b, a, b]);
}

#[test]
fn what_differs_in_table_verb_or_typecast_does_not_mix() {
    let mut queue = Queue::default();
    for kind in [
        creates(),
        updates(),
        Kind { table: table(2), ..creates() },
        Kind { typecast: true, ..creates() },
        Kind { verb: Verb::Delete, ..creates() },
    ] {
        queue.add("a".into(), kind, false, vec![None]);
    }
    assert_eq!(std::iter::from_fn(|| queue.choose()).filter(|batch| batch.units.len() == 1).count(), 5);
}

#[test]
fn a_record_is_in_one_request_at_a_time_and_its_writes_keep_their_order() {
    let mut queue = Queue::default();
    let first = queue.add("a".into(), updates(), false, vec![Some(record(1)), Some(record(1))]);
    let second = queue.add("b".into(), updates(), false, vec![Some(record(1)), Some(record(2))]);
    let batch = queue.choose().unwrap();
    assert_eq!(places(&batch), [(first, vec![0]), (second, vec![1])]);
    assert!(!queue.can_choose());
    queue.settle(&batch.units[1]);
    assert_eq!(queue.choose(), None);
    queue.settle(&batch.units[0]);
    let again = queue.choose().unwrap();
    assert_eq!(places(&again), [(first, vec![1])]);
    queue.settle(&again.units[0]);
    assert_eq!(places(&queue.choose().unwrap()), [(second, vec![0])]);
}

#[test]
fn atomic_groups_stay_whole_and_may_share() {
    let mut queue = Queue::default();
    let one = queue.add("a".into(), creates(), true, vec![None; 6]);
    let two = queue.add("b".into(), creates(), true, vec![None; 6]);
    let three = queue.add("c".into(), creates(), true, vec![None; 4]);
    let whole = |n: usize| (0..n).collect::<Vec<_>>();
    assert_eq!(places(&queue.choose().unwrap()), [(one, whole(6)), (three, whole(4))]);
    assert_eq!(places(&queue.choose().unwrap()), [(two, whole(6))]);
    // One that names a record twice is sent as it is.
    let odd = queue.add("a".into(), updates(), true, vec![Some(record(1)), Some(record(1))]);
    let batch = queue.choose().unwrap();
    assert_eq!(places(&batch), [(odd, vec![0, 1])]);
    let after = queue.add("b".into(), updates(), false, vec![Some(record(1))]);
    assert!(!queue.can_choose());
    queue.settle(&batch.units[0]);
    assert_eq!(places(&queue.choose().unwrap()), [(after, vec![0])]);
}

#[test]
fn two_upserts_never_share_and_equal_keys_go_one_after_the_other() {
    let mut queue = Queue::default();
    let one = queue.add("a".into(), upserts(), false, vec![key("x"), key("y"), key("x")]);
    let two = queue.add("b".into(), upserts(), false, vec![key("z"), key("y")]);
    let first = queue.choose().unwrap();
    assert_eq!(places(&first), [(one, vec![0]), (one, vec![1])]);
    let second = queue.choose().unwrap();
    assert_eq!(places(&second), [(two, vec![0])]);
    assert_eq!(queue.choose(), None);
    for unit in &first.units {
        queue.settle(unit);
    }
    assert_eq!(places(&queue.choose().unwrap()), [(one, vec![2])]);
    assert_eq!(places(&queue.choose().unwrap()), [(two, vec![1])]);
}

#[test]
fn a_held_table_takes_no_new_records() {
    let mut queue = Queue::default();
    queue.hold(table(1));
    queue.hold(table(1));
    queue.add("a".into(), creates(), false, vec![None]);
    queue.add("a".into(), upserts(), false, vec![key("x")]);
    let update = queue.add("a".into(), updates(), false, vec![Some(record(1))]);
    let other = queue.add("a".into(), Kind { table: table(2), ..creates() }, false, vec![None]);
    let sent: Vec<GroupId> = std::iter::from_fn(|| queue.choose()).map(|b| b.units[0].group).collect();
    assert_eq!(sent, [update, other]);
    queue.release(table(1));
    assert!(!queue.can_choose());
    assert!(queue.is_held(table(1)));
    queue.release(table(1));
    assert!(!queue.is_held(table(1)) && queue.choose().is_some());
}

#[test]
fn what_is_withdrawn_is_never_sent() {
    let mut queue = Queue::default();
    let one = queue.add("a".into(), updates(), false, vec![Some(record(1)); 12]);
    let two = queue.add("b".into(), updates(), false, vec![Some(record(1))]);
    let mark = queue.mark();
    let late = queue.add("a".into(), creates(), false, vec![None]);
    let batch = queue.choose().unwrap();
    assert_eq!(queue.waiting_before(mark), [one, two]);
    assert_eq!(queue.withdraw(one), (1..12).collect::<Vec<_>>());
    queue.settle(&batch.units[0]);
    assert_eq!(places(&queue.choose().unwrap()), [(two, vec![0])]);
    assert_eq!(places(&queue.choose().unwrap()), [(late, vec![0])]);
    assert_eq!(queue.choose(), None);
}

#[derive(Debug, Clone)]
enum Move {
    Add { by: u8, kind: u8, atomic: bool, touches: Vec<u8> },
    Choose,
    Settle(usize),
    Withdraw(usize),
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let add = (0..4u8, 0..4u8, prop::bool::weighted(0.2), prop::collection::vec(0..12u8, 1..25)).prop_map(
        |(by, kind, atomic, mut touches)| {
            touches.truncate(if atomic { BATCH } else { 25 });
            Move::Add { by, kind, atomic, touches }
        },
    );
    let one = prop_oneof![
        4 => add,
        5 => Just(Move::Choose),
        4 => any::<usize>().prop_map(Move::Settle),
        1 => any::<usize>().prop_map(Move::Withdraw),
    ];
    prop::collection::vec(one, 1..120)
}

/// A group's kind, whether it is atomic, its touches, and which places were handed out.
type Known = (Kind, bool, Vec<Option<Touch>>, Vec<bool>);

/// Follows a queue from outside and checks what it hands out.
#[derive(Default)]
struct Witness {
    queue: Queue,
    groups: HashMap<GroupId, Known>,
    flying: Vec<Unit>,
}

impl Witness {
    fn add(&mut self, by: u8, kind: u8, atomic: bool, touches: &[u8]) {
        let (kind, touches): (Kind, Vec<Option<Touch>>) = match kind {
            0 => (creates(), vec![None; touches.len()]),
            1 => (updates(), touches.iter().map(|at| Some(record(*at))).collect()),
            2 => {
                let kind = Kind { verb: Verb::Delete, ..creates() };
                (kind, touches.iter().map(|at| Some(record(*at))).collect())
            }
            _ => (upserts(), touches.iter().map(|at| key(&at.to_string())).collect()),
        };
        let id = self.queue.add(by.to_string().into(), kind.clone(), atomic, touches.clone());
        let sent = vec![false; touches.len()];
        self.groups.insert(id, (kind, atomic, touches, sent));
    }

    fn touches(&self, unit: &Unit) -> Vec<Touch> {
        let touches = &self.groups[&unit.group].2;
        unit.items.iter().filter_map(|at| touches[*at].clone()).collect()
    }

    fn choose(&mut self) -> bool {
        let could = self.queue.can_choose();
        let Some(batch) = self.queue.choose() else {
            assert!(!could);
            return false;
        };
        assert!(could);
        let size: usize = batch.units.iter().map(|unit| unit.items.len()).sum();
        assert!((1..=BATCH).contains(&size));
        let one_group = batch.units.iter().all(|unit| unit.group == batch.units[0].group);
        assert!(batch.kind.shares() || one_group);
        for unit in batch.units {
            let taken: Vec<Touch> = self.touches(&unit);
            let (kind, atomic, touches, sent) = self.groups.get_mut(&unit.group).unwrap();
            assert_eq!(*kind, batch.kind);
            assert_eq!(unit.items.len(), if *atomic { touches.len() } else { 1 });
            for at in &unit.items {
                assert!(!std::mem::replace(&mut sent[*at], true), "sent twice");
            }
            for other in &self.flying {
                let theirs = self.touches(other);
                assert!(taken.iter().all(|touch| !theirs.contains(touch)), "one record, two requests");
            }
            // Whoever came earlier with the same record has been sent before.
            for (id, (_, _, touches, sent)) in &self.groups {
                for (at, touch) in touches.iter().enumerate() {
                    let same = touch.as_ref().is_some_and(|touch| taken.contains(touch));
                    let earlier = (*id, at) < (unit.group, unit.items[0]);
                    assert!(!same || !earlier || sent[at], "out of order");
                }
            }
            self.flying.push(unit);
        }
        true
    }

    fn settle(&mut self, at: usize) {
        if !self.flying.is_empty() {
            let unit = self.flying.swap_remove(at % self.flying.len());
            self.queue.settle(&unit);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_history_keeps_the_promises_and_ends(history in moves()) {
        let mut witness = Witness::default();
        for step in history {
            match step {
                Move::Add { by, kind, atomic, touches } => witness.add(by, kind, atomic, &touches),
                Move::Choose => { witness.choose(); }
                Move::Settle(at) => witness.settle(at),
                Move::Withdraw(at) => {
                    let mut ids: Vec<GroupId> = witness.groups.keys().copied().collect();
                    ids.sort_unstable();
                    if !ids.is_empty() {
                        let id = ids[at % ids.len()];
                        for place in witness.queue.withdraw(id) {
                            let sent = &mut witness.groups.get_mut(&id).unwrap().3;
                            prop_assert!(!std::mem::replace(&mut sent[place], true));
                        }
                    }
                }
            }
        }
        // Everything left is sent in the end.
        while witness.choose() || !witness.flying.is_empty() {
            witness.settle(0);
        }
        prop_assert!(witness.groups.values().all(|(_, _, _, sent)| sent.iter().all(|sent| *sent)));
        prop_assert!(witness.queue.groups.is_empty() && witness.queue.claims.is_empty());
        prop_assert!(witness.queue.turn.is_empty() && witness.queue.of.is_empty());
    }
}
