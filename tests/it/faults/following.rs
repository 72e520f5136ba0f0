//! The copy follows the base whatever goes wrong on the way: each fault alone.

use std::time::Duration;

use super::writers::{self, Writer};
use super::{AT_FIRST, INSIDER, SHORT_WAITS, ledger_at_first, settle};
use crate::cloud::{Cloud, harbour, try_all, until};
use crate::hostile::{ANYWHERE, Fault, PAYLOADS, Plan};
use crate::support::PATIENCE;

/// Copies and follows a base while this goes wrong, often.
fn follows(fault: Fault, plan: Plan) {
    let cloud = Cloud::new(AT_FIRST, plan, SHORT_WAITS);
    cloud.downstream.connect();
    let mut agent = cloud.downstream.agent();
    until(PATIENCE, || try_all(&mut agent, harbour::SHIPMENTS).map(|_| ()))
        .unwrap_or_else(|why| panic!("{fault:?}: {why}\n{}", cloud.told()));
    let ledger = ledger_at_first(AT_FIRST);
    let mut insider = cloud.upstream.insider();
    let mut writer = Writer::new(INSIDER, 7, &ledger);
    for _ in 0..6 {
        writers::insider(&mut writer, &mut insider, 3);
        // Somebody reads, so that news are looked for.
        let _ = try_all(&mut agent, harbour::SHIPMENTS);
        std::thread::sleep(Duration::from_millis(300));
    }
    cloud.hostile.calm();
    settle(&cloud, &mut agent, &ledger, &format!("{fault:?}"));
    eprintln!("{fault:?} {:?}", cloud.hostile.faults());
}

fn alone(fault: Fault) {
    let often = if PAYLOADS.contains(&fault) { 0.6 } else { 0.3 };
    follows(fault, Plan::mixed(7, &[fault], often));
}

#[test]
fn a_few() {
    let all: Vec<Fault> = ANYWHERE.into_iter().chain(PAYLOADS).collect();
    let next = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while let Some(fault) = all.get(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed)) {
                    let began = std::time::Instant::now();
                    let done = std::panic::catch_unwind(|| alone(*fault));
                    eprintln!("{fault:?} {:?} {:?}", done.is_ok(), began.elapsed());
                }
            });
        }
    });
}
