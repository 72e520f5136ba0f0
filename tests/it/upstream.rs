//! The whole way: a server with Airtable's limits, the program with a copy of its base, agents who
//! write through the program while pyairtable writes to the server.

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::{Arc, Mutex};

use crate::cloud::{Cloud, all, harbour, try_all, until};
use crate::faults::ledger::Ledger;
use crate::faults::writers::{self, Writer};
use crate::hostile::Plan;
use crate::support::{PATIENCE, client_tools, root, run_client};

/// Rounds of five requests.
const ROUNDS: usize = 5;
const AT_FIRST: usize = 250;

/// What pyairtable wrote: notes by key.
fn pyairtable(address: &str, token: &str) -> BTreeMap<String, String> {
    let mut command = Command::new(client_tools().join("venv/bin/python"));
    command.arg("-B").arg(root().join("tests/clients/harbour_pyairtable.py"));
    command.arg(format!("http://{address}")).arg(ROUNDS.to_string()).env("AIRTABLE_API_KEY", token);
    serde_json::from_str(&run_client(command)).unwrap()
}

#[test]
fn agents_and_pyairtable_write_and_both_sides_become_the_same() {
    let cloud = Cloud::new(AT_FIRST, Plan::calm(), "share_percent = 60\n");
    let other = cloud.upstream.token("pyairtable");
    cloud.downstream.connect();
    let mut agents = [cloud.downstream.agent(), cloud.downstream.agent()];
    until(PATIENCE, || try_all(&mut agents[0], harbour::SHIPMENTS).map(|_| ())).unwrap();

    let ledger = Arc::new(Mutex::new(Ledger::default()));
    for n in 0..AT_FIRST {
        ledger.lock().unwrap().found(&harbour::key(n), &harbour::id(n), "as it was", n % 3);
    }
    let written = std::thread::scope(|scope| {
        for (number, agent) in agents.iter_mut().enumerate() {
            let writer = Writer::new(number, 11, &ledger);
            scope.spawn(move || writers::agent(writer, agent, 12, 2));
        }
        pyairtable(&cloud.upstream.server.address, &other)
    });

    let [mut agent, _] = agents;
    cloud.converge(&mut agent);
    let mut records = all(&mut cloud.upstream.insider(), harbour::SHIPMENTS);
    let (of_python, of_agents): (Vec<_>, Vec<_>) =
        records.drain(..).partition(|record| record["fields"]["Key"].as_str().unwrap().starts_with("py "));
    let found: BTreeMap<String, String> = of_python
        .iter()
        .map(|record| {
            let text = |field: &str| record["fields"][field].as_str().unwrap_or_default().to_owned();
            (text("Key"), text("Note"))
        })
        .collect();
    assert_eq!((found.len(), &found), (of_python.len(), &written));
    let ledger = ledger.lock().unwrap();
    assert_eq!(ledger.judge(&of_agents), Vec::<String>::new());
    assert_eq!(ledger.done().1, 0, "nothing went wrong: {:?}", ledger.counted());
    assert_eq!(cloud.hostile.refused_by_upstream(), 0, "never too fast\n{}", cloud.told());
}
