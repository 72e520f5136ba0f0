//! Many seeds, when asked for: `FAULT_SEEDS=200` or `FAULT_SEEDS=1000..1500`, run by `tests/soak/faults`.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Tally, run};

/// The seeds that are asked for.
fn seeds() -> Option<std::ops::Range<u64>> {
    let text = std::env::var("FAULT_SEEDS").ok()?;
    let number = |part: &str| part.parse().unwrap_or_else(|_| panic!("FAULT_SEEDS={text}: a count or A..B"));
    Some(
        text.split_once("..").map_or_else(|| 1..number(&text) + 1, |(start, end)| number(start)..number(end)),
    )
}

#[test]
#[ignore = "takes as long as one wants; tests/soak/faults runs it"]
fn many_seeds() {
    let Some(seeds) = seeds() else { panic!("FAULT_SEEDS is not set; use tests/soak/faults") };
    let jobs = std::env::var("FAULT_JOBS").ok().and_then(|text| text.parse().ok()).unwrap_or(3);
    let (next, tallies, failed) =
        (AtomicU64::new(seeds.start), Mutex::new(Vec::new()), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        return;
                    }
                    match std::panic::catch_unwind(|| run(seed)) {
                        Ok(tally) => {
                            let records: usize = tally.writes.values().sum();
                            let faults: usize = tally.faults.values().sum();
                            eprintln!(
                                "seed {seed}: {records} records, {} requests, {faults} faults",
                                tally.requests
                            );
                            tallies.lock().unwrap().push(tally);
                        }
                        Err(_) => {
                            eprintln!("seed {seed}: FAILED");
                            failed.lock().unwrap().push(seed);
                        }
                    }
                }
            });
        }
    });
    tell(&tallies.into_inner().unwrap());
    let failed = failed.into_inner().unwrap();
    assert!(failed.is_empty(), "seeds that failed: {failed:?}");
}

/// The sums.
fn tell(tallies: &[Tally]) {
    let (mut writes, mut faults, mut requests) = (BTreeMap::new(), BTreeMap::new(), 0);
    for tally in tallies {
        for ((verb, said), count) in &tally.writes {
            *writes.entry((verb, said)).or_insert(0) += count;
        }
        for (fault, count) in &tally.faults {
            *faults.entry(fault).or_insert(0) += count;
        }
        requests += tally.requests;
    }
    let sum = |of: &mut dyn Iterator<Item = &usize>| of.sum::<usize>();
    eprintln!("\n{} seeds went well, {requests} requests", tallies.len());
    eprintln!("{} records written:", sum(&mut writes.values()));
    for ((verb, said), count) in &writes {
        eprintln!("  {:<8} {said:<8} {count:>8}", format!("{verb:?}").to_lowercase());
    }
    eprintln!("{} faults:", sum(&mut faults.values()));
    for (fault, count) in &faults {
        eprintln!("  {:<18} {count:>8}", format!("{fault:?}"));
    }
}
