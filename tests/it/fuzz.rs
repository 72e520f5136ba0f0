//! Random and half-right inputs at the doors for foreign bytes: base files, JSON-RPC, and addresses
//! to fetch from.

use std::net::Ipv4Addr;
use std::sync::LazyLock;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use serde_json::json;
use tablewright_engine::fetch::{self, Fetcher};

use crate::support::{Data, root};

fn shop() -> Vec<u8> {
    std::fs::read(root().join("tests/fixtures/shop.json")).unwrap()
}

/// The bytes of `seed` with a few of them changed, cut out or doubled.
pub fn mangle(seed: Vec<u8>) -> impl Strategy<Value = Vec<u8>> {
    let length = seed.len();
    proptest::collection::vec((0..length, 0u8..5, any::<u8>(), 1usize..40), 1..6).prop_map(move |edits| {
        let mut bytes = seed.clone();
        for (at, kind, byte, span) in edits {
            let at = at.min(bytes.len().saturating_sub(1));
            let end = (at + span).min(bytes.len());
            match kind {
                0 => bytes[at] = byte,
                1 => drop(bytes.drain(at..end)),
                2 => bytes.insert(at, byte),
                3 => bytes.extend_from_within(at..end),
                _ => bytes.truncate(at.max(1)),
            }
            if bytes.is_empty() {
                bytes.push(byte);
            }
        }
        bytes
    })
}

static FETCHER: LazyLock<Fetcher> = LazyLock::new(|| {
    // As the program does when it starts.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Fetcher::new(&fetch::Options::default()).unwrap()
});

/// Addresses that are not of the open internet.
fn private() -> impl Strategy<Value = Ipv4Addr> {
    let networks =
        [(127, 0, 8), (10, 0, 8), (0, 0, 8), (192, 168, 16), (172, 16, 12), (169, 254, 16), (100, 64, 10)];
    (proptest::sample::select(networks.to_vec()), any::<u32>()).prop_map(|((first, second, bits), rest)| {
        let network = Ipv4Addr::new(first, second, 0, 0).to_bits();
        Ipv4Addr::from_bits(network | rest >> bits)
    })
}

/// The spellings of an address that URLs take.
fn spelled(address: Ipv4Addr, spelling: usize) -> String {
    let ([a, b, c, d], bits) = (address.octets(), address.to_bits());
    match spelling {
        0 => address.to_string(),
        1 => bits.to_string(),
        2 => format!("0x{bits:x}"),
        3 => format!("0{a:o}.{b}.0x{c:X}.{d}."),
        4 => format!("{a}.{}", bits & 0x00ff_ffff),
        5 => format!("[::ffff:{address}]"),
        6 => format!("[::{address}]"),
        7 => format!("[64:ff9b::{address}]"),
        8 => format!("[2002:{:x}:{:x}::1]", bits >> 16, bits & 0xffff),
        _ => address.to_string().replace('.', "。").replace('1', "１"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn base_files_never_panic(bytes in mangle(shop())) {
        // An error or a base; a base that is read can be written and read again.
        if let Ok(loaded) = tablewright_engine::base_file::read(&bytes, 0) {
            let mut out = Vec::new();
            tablewright_engine::base_file::write(&loaded.snapshot, &loaded.comments, &Default::default(), &mut out).unwrap();
            let again = tablewright_engine::base_file::read(&out, 0).unwrap();
            prop_assert_eq!(loaded.snapshot.records(), again.snapshot.records());
        }
    }

    #[test]
    fn no_spelling_of_a_private_address_is_fetched(address in private(), spelling in 0usize..10) {
        let url = format!("http://{}:8080/a", spelled(address, spelling));
        prop_assert!(FETCHER.check(&url).is_err(), "{}", url);
    }

    #[test]
    fn addresses_never_panic(text in "(https?:/{0,3})?[ -~é．]{0,60}") {
        if let Ok(url) = FETCHER.check(&text) {
            prop_assert!(matches!(url.scheme(), "http" | "https") && url.username().is_empty());
        }
    }
}

#[test]
fn json_rpc_lines_never_end_the_server() {
    let data = Data::with_shop();
    let mut client = data.serve(&["--no-daemon", "--allow-write"]).initialize();
    let seeds = [
        json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {"name": "list_records", "arguments": {"base": "Shop", "table": "Goods", "limit": 2, "sort": [{"field": "Name"}]}}}),
        json!({"jsonrpc": "2.0", "id": "a", "method": "tools/call", "params": {"name": "create_records", "arguments": {"base": "Shop", "table": "Goods", "records": [{"Name": "x", "Price": 1}], "typecast": true}}}),
        json!({"jsonrpc": "2.0", "id": 9, "method": "tools/list", "params": {"cursor": "x"}}),
        json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 7}}),
    ];
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    for seed in seeds {
        let strategy = mangle(seed.to_string().into_bytes());
        for _ in 0..150 {
            let line = strategy.new_tree(&mut runner).unwrap().current();
            let line: Vec<u8> = line.into_iter().filter(|byte| *byte != b'\n').collect();
            client.send_line(&line);
        }
        // Ids of mangled lines may collide with anything; a ping of our own tells that all is well.
        client.send(&json!({"jsonrpc": "2.0", "id": "alive", "method": "ping"}));
        while client.receive().expect("the server is alive")["id"] != "alive" {}
    }
    assert_eq!(client.finish().0, Some(0));
}
