//! How long a decision takes: `cargo bench --bench policy` prints the median.
#![allow(clippy::print_stdout, reason = "the figure is its result")]

use std::hint::black_box;
use std::time::Instant;

use tablewright_core::model::{BaseId, FieldId, TableId};
use tablewright_door::policy::file::{Default, Verb};
use tablewright_door::policy::rules::{Circumstances, Footing, Index, Rule, RuleSet, What};

const RULES: usize = 1_000;
const ROUNDS: usize = 20_000;

fn main() {
    let (base, table) = (BaseId::random(), TableId::random());
    let field = FieldId::random();
    // Half of them are about whoever asks, and all about the base.
    let rules = (0..RULES).map(|n| Rule {
        name: format!("rule {n}"),
        what: if n % 3 == 0 { What::Deny } else { What::Allow },
        who: vec![if n % 2 == 0 { "token:reader" } else { "token:other" }.to_owned()],
        except: Vec::new(),
        verbs: vec![Verb::Read],
        workspace: None,
        base: Some(base),
        tables: vec![table],
        fields: vec![FieldId::random()],
        tools: Vec::new(),
        hours: None,
    });
    let index = Index::new(RuleSet { default: Default::Deny, rules: rules.collect() });
    let who = ["*", "token:reader"];
    let at = Circumstances { who: &who, base: Some(base), workspace: None, action: "list_records", now: 0 };
    let mut taken: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let began = Instant::now();
            let numbers = index.in_force(black_box(&at));
            black_box(index.standing(&numbers, Footing::Free).field(Verb::Read, table, field).is_allowed());
            began.elapsed().as_secs_f64() * 1e6
        })
        .collect();
    taken.sort_by(f64::total_cmp);
    println!("{:.1} us", taken[ROUNDS / 2]);
}
