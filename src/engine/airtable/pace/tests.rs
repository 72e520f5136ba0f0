//! The pace against a model of the way to Airtable: whatever the delays, never more arrive within a
//! second than may, and no time is wasted.

use std::collections::HashMap;
use std::sync::Arc;

use proptest::prelude::*;
use tablewright_core::model::BaseId;

use super::turns::{Asking, Key, MAX_WAITING, Turn, Turns};
use super::window::Micros;
use crate::airtable::Priority;

const SECOND: Micros = 1_000_000;

/// How one request goes.
#[derive(Debug, Clone, Copy)]
struct Way {
    /// From being called to being sent.
    slow: Micros,
    /// Opening a connection first, when there is one to open.
    opening: Micros,
    /// From being sent on an open connection to the head of the answer.
    latency: Micros,
    /// When within that time, or what is allowed of it, it arrives; in percent.
    arrives: u64,
    /// Its answer is not waited for.
    abandoned: bool,
    /// Its body takes until the answer.
    large: bool,
}

impl Way {
    fn quick(latency: Micros) -> Self {
        Self { slow: 0, opening: 0, latency, arrives: 50, abandoned: false, large: false }
    }
}

enum Event {
    Send(Turn, Way),
    Opened(Turn, Way),
    Head(Turn, Way),
}

/// Sends requests the given ways as fast as may be; when each arrived, by base.
fn run(share: u64, ways: &[(usize, Way)]) -> HashMap<usize, Vec<Micros>> {
    let bases: Vec<BaseId> = (0..12).map(|n| BaseId::from_bytes(&[n])).collect();
    let mut turns = Turns::new(share, 0);
    let mut waiting = HashMap::new();
    for (base, way) in ways {
        let asking = asking(Some(bases[*base]), "caller", Priority::Interactive);
        waiting.insert(turns.ask(&asking, 0).unwrap(), (*base, *way));
    }
    let mut arrivals: HashMap<usize, Vec<Micros>> = HashMap::new();
    let mut events: Vec<(Micros, Event)> = Vec::new();
    let mut now = 0;
    loop {
        for turn in turns.call(now) {
            let way = waiting.remove(&turn.id).unwrap().1;
            events.push((now + way.slow, Event::Send(turn, way)));
        }
        events.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
        let soonest = events.last().map(|(at, _)| *at);
        let Some(at) = turns.next().filter(|_| !waiting.is_empty()).into_iter().chain(soonest).min() else {
            assert!(waiting.is_empty(), "{} wait for ever", waiting.len());
            return arrivals;
        };
        now = at.max(now);
        let Some((at, event)) = events.pop_if(|(at, _)| *at <= now) else { continue };
        match event {
            Event::Send(turn, way) => {
                turns.sent(&turn, at, way.large);
                if way.opening > 0 {
                    turns.opening();
                    events.push((at + way.opening, Event::Opened(turn, way)));
                } else {
                    depart(&mut turns, &mut events, &mut arrivals, &bases, turn, way, at);
                }
            }
            Event::Opened(turn, way) => {
                turns.opened(at);
                depart(&mut turns, &mut events, &mut arrivals, &bases, turn, way, at);
            }
            Event::Head(turn, way) => {
                if way.abandoned {
                    turns.abandoned(&turn, at);
                } else {
                    turns.answered(&turn, at);
                }
            }
        }
    }
}

fn depart(
    turns: &mut Turns,
    events: &mut Vec<(Micros, Event)>,
    arrivals: &mut HashMap<usize, Vec<Micros>>,
    bases: &[BaseId],
    turn: Turn,
    way: Way,
    at: Micros,
) {
    let most = if way.large { way.latency } else { way.latency.min(turns.transit.allowance) };
    let Key::Base(base) = &turn.slots[0].0 else { unreachable!() };
    let place = bases.iter().position(|b| b == base).unwrap();
    arrivals.entry(place).or_default().push(at + most * way.arrives / 100);
    // Who gives up does so at any time after it was sent, never before it has arrived by much.
    events.push((at + way.latency, Event::Head(turn, way)));
}

fn asking(base: Option<BaseId>, caller: &str, priority: Priority) -> Asking {
    Asking { base, login: "login".into(), caller: Arc::from(caller), priority }
}

fn most_within_a_second(times: &[Micros]) -> usize {
    let mut times = times.to_vec();
    times.sort_unstable();
    let within = |first: usize| times[first..].iter().take_while(|t| **t < times[first] + SECOND).count();
    (0..times.len()).map(within).max().unwrap_or(0)
}

fn way() -> impl Strategy<Value = Way> {
    let opening = prop_oneof![4 => Just(0), 1 => 1..2_000_000u64];
    let latency = prop_oneof![1 => 0..5_000u64, 2 => 0..400_000u64, 1 => 0..5_000_000u64];
    (0..20_000u64, opening, latency, 0..=100u64, prop::bool::weighted(0.1), prop::bool::weighted(0.1))
        .prop_map(|(slow, opening, latency, arrives, abandoned, large)| Way {
            slow,
            opening,
            latency,
            arrives,
            abandoned,
            large,
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]
    #[test]
    fn never_more_than_five_arrive_within_a_second(
        ways in prop::collection::vec((0..2usize, way()), 1..60),
        share in prop_oneof![Just(100u64), 1..=100u64],
    ) {
        // Slow shares take long, not much work: the clock is ours.
        for (base, times) in run(share, &ways) {
            prop_assert!(most_within_a_second(&times) <= 5, "base {}: {:?}", base, times);
        }
    }

    #[test]
    fn never_more_than_fifty_of_a_login_arrive_within_a_second(
        ways in prop::collection::vec((0..12usize, way()), 100..200),
    ) {
        let all: Vec<Micros> = run(100, &ways).into_values().flatten().collect();
        prop_assert!(most_within_a_second(&all) <= 50);
    }
}

#[test]
fn nothing_else_in_the_way_it_is_as_fast_as_may_be() {
    // Slow answers do not slow it down either, beyond what may be on its way.
    for (latency, least) in [(3_000, 0.97), (300_000, 0.94)] {
        let ways = vec![(0, Way::quick(latency)); 100];
        let last = *run(100, &ways)[&0].iter().max().unwrap();
        let speed = 100.0 / (last as f64 / SECOND as f64 + 1.0);
        assert!(speed >= 5.0 * least, "latency {latency} us: {speed} a second");
    }
}

#[test]
fn a_share_leaves_the_rest_to_others() {
    let ways = vec![(0, Way::quick(3_000)); 50];
    let times = &run(50, &ways)[&0];
    assert!(most_within_a_second(times) <= 3);
    let seconds = *times.iter().max().unwrap() as f64 / SECOND as f64;
    assert!((18.0..21.0).contains(&seconds), "{seconds}");
}

#[test]
fn after_a_refusal_nothing_goes_out_until_the_penalty_is_over() {
    let (base, other) = (BaseId::from_bytes(&[1]), BaseId::from_bytes(&[2]));
    let mut turns = Turns::new(100, 0);
    turns.refuse(&Key::Base(base), 30 * SECOND);
    let first = turns.ask(&asking(Some(base), "a", Priority::Interactive), SECOND).unwrap();
    assert!(turns.call(SECOND).is_empty());
    assert_eq!(turns.next(), Some(30 * SECOND));
    let second = turns.ask(&asking(Some(other), "a", Priority::Interactive), SECOND).unwrap();
    assert_eq!(turns.call(SECOND).front().map(|turn| turn.id), Some(second), "another base goes on");
    assert!(turns.call(30 * SECOND - 1).is_empty());
    assert_eq!(turns.call(30 * SECOND).front().map(|turn| turn.id), Some(first));
}

#[test]
fn turns_go_round_between_callers_and_bases() {
    let (a, b) = (BaseId::from_bytes(&[1]), BaseId::from_bytes(&[2]));
    let mut turns = Turns::new(100, 0);
    let mut ask = |base, caller, priority| turns.ask(&asking(Some(base), caller, priority), 0).unwrap();
    let many: Vec<u64> = (0..20).map(|_| ask(a, "many", Priority::Interactive)).collect();
    let upkeep = ask(a, "upkeep", Priority::Sync);
    let few = ask(a, "few", Priority::Interactive);
    let elsewhere = ask(b, "many", Priority::Interactive);
    let called: Vec<u64> = turns.call(0).into_iter().map(|turn| turn.id).collect();
    assert_eq!(called, [many[0], elsewhere, few, many[1], many[2], many[3]]);
    assert!(!called.contains(&upkeep));
}

#[test]
fn what_is_handed_back_or_left_is_free_again() {
    let base = BaseId::from_bytes(&[1]);
    let mut turns = Turns::new(100, 0);
    let who = asking(Some(base), "a", Priority::Interactive);
    let ids: Vec<u64> = (0..7).map(|_| turns.ask(&who, 0).unwrap()).collect();
    let mut called = turns.call(0);
    assert_eq!(called.len(), 5);
    turns.leave(&who, ids[5]);
    assert!(turns.call(0).is_empty());
    turns.give_back(&called.pop_front().unwrap());
    assert_eq!(turns.call(0).front().map(|turn| turn.id), Some(ids[6]));
    assert_eq!(turns.waiting(), 0);
}

#[test]
fn what_waits_is_bounded_and_idle_bases_are_forgotten() {
    let mut turns = Turns::new(100, 0);
    let who = asking(Some(BaseId::from_bytes(&[1])), "a", Priority::Sync);
    for _ in 0..MAX_WAITING {
        turns.ask(&who, 0).unwrap();
    }
    assert_eq!(turns.ask(&who, 0), None);
    let mut turns = Turns::new(100, 0);
    for n in 0..3_000u32 {
        let now = Micros::from(n) * 2 * SECOND;
        let base = BaseId::from_bytes(&n.to_le_bytes());
        turns.ask(&asking(Some(base), "a", Priority::Interactive), now).unwrap();
        for turn in turns.call(now) {
            turns.sent(&turn, now, false);
            turns.answered(&turn, now);
        }
    }
    assert!(turns.windows() < 2_000, "{}", turns.windows());
}
