//! The copy follows the base, whatever happens to its webhook, its pages and its schema.

use super::writers::{self, Writer};
use super::{AT_FIRST, HEARD_OF, INSIDER, ledger_at_first, plan_of, settle};
use crate::cloud::{Cloud, harbour, try_all, until};
use crate::hostile::{Fault, Kind, Plan};
use crate::support::PATIENCE;

/// How long changes go on while somebody reads.
const ROUNDS: usize = 6;

/// Copies and follows a base under a plan.
fn follows(what: &str, plan: impl FnOnce(&Cloud) -> Plan) {
    let cloud = Cloud::new(AT_FIRST, Plan::calm(), "");
    cloud.hostile.follow(plan(&cloud));
    cloud.downstream.connect();
    let mut agent = cloud.downstream.agent();
    until(PATIENCE, || try_all(&mut agent, harbour::SHIPMENTS).map(|_| ()))
        .unwrap_or_else(|why| panic!("{what}: {why}\n{}", cloud.told()));
    let ledger = ledger_at_first(AT_FIRST);
    let mut insider = cloud.upstream.insider();
    let mut writer = Writer::new(INSIDER, 7, &ledger);
    for _ in 0..ROUNDS {
        writers::insider(&mut writer, &mut insider, 3);
        // Somebody reads, so that news are looked for; the next changes come after the look.
        let asked = cloud.hostile.log().len();
        until(PATIENCE, || {
            try_all(&mut agent, harbour::SHIPMENTS)?;
            if cloud.hostile.log().len() > asked { Ok(()) } else { Err("nobody looks for news".to_owned()) }
        })
        .unwrap_or_else(|why| panic!("{what}: {why}"));
    }
    cloud.hostile.calm();
    settle(&cloud, &mut agent, &ledger, what);
    assert!(!cloud.hostile.faults().is_empty(), "{what}: nothing went wrong\n{}", cloud.told());
}

#[test]
fn the_copy_follows_when_webhooks_fail() {
    std::thread::scope(|scope| {
        for fault in HEARD_OF {
            scope.spawn(move || follows(&format!("{fault:?}"), |_| Plan::mixed(7, &[fault], 0.6)));
        }
        let gap = Plan::scripted(&[(Kind::Payloads, 4, Fault::HiddenGap)]);
        scope.spawn(|| follows("a gap in the numbers of transactions", |_| gap));
    });
}

#[test]
fn the_copy_is_whole_when_pages_lapse_and_the_schema_changes_under_it() {
    follows("pages and schema", |cloud| {
        let edits = plan_of(0, &cloud.upstream.token("other")).edits;
        let script = [
            (Kind::NextPage, 0, Fault::ExpiredOffset),
            (Kind::List, 0, Fault::SchemaChange),
            (Kind::NextPage, 1, Fault::SchemaChange),
            (Kind::List, 2, Fault::SchemaChange),
        ];
        Plan { edits, ..Plan::scripted(&script) }
    });
}
