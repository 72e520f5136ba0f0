//! Airtable on a bad day: a proxy before a server of the Web API that fails as a seed says.
//!
//! What happens to a request depends on the seed, on what kind of request it is and on how many of
//! its kind came before it; on nothing else. Everything is noted, so that tests can ask what was
//! sent, what took effect and what the caller heard of it.

pub mod chance;
mod checks;
mod fault;
mod hooks;
mod relay;
mod wire;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

pub use chance::Chance;
pub use fault::{ANYWHERE, Fault, Kind, PAYLOADS};

/// What goes wrong.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// Decides, with the kinds and numbers of requests.
    pub seed: u64,
    /// How often each fault happens to requests it can happen to, of 1.
    pub mix: Vec<(Fault, f64)>,
    /// Faults of single requests: the kind, which of its kind since the plan began, the fault.
    pub script: Vec<(Kind, usize, Fault)>,
    /// How long everything for a base is refused after one request too many.
    pub penalty: Duration,
    /// How far the clock behind the proxy is off, in milliseconds.
    pub skew_ms: i64,
    /// What `Fault::SchemaChange` does, one after the other.
    pub edits: VecDeque<Edit>,
}

/// A request of the proxy's own, with a token of its own.
#[derive(Debug, Clone)]
pub struct Edit {
    pub token: String,
    pub method: &'static str,
    pub path: String,
    pub body: Value,
}

impl Plan {
    /// Nothing goes wrong.
    pub fn calm() -> Self {
        Self { penalty: Duration::from_secs(1), ..Self::default() }
    }

    /// Each of these faults as often.
    pub fn mixed(seed: u64, faults: &[Fault], rate: f64) -> Self {
        Self { seed, mix: faults.iter().map(|fault| (*fault, rate)).collect(), ..Self::calm() }
    }

    /// These faults of single requests and no others.
    pub fn scripted(script: &[(Kind, usize, Fault)]) -> Self {
        Self { script: script.to_vec(), ..Self::calm() }
    }

    /// What happens to request `nth` of its kind, and a number for the details.
    fn decide(&self, kind: Kind, nth: usize) -> (Option<Fault>, u64) {
        let mut chance = Chance::of(self.seed, kind as u64, nth as u64);
        let (roll, detail) = (chance.share(), chance.next());
        let scripted = self.script.iter().find(|(of, n, _)| (*of, *n) == (kind, nth)).map(|s| s.2);
        let mut reached = 0.0;
        let mixed = self.mix.iter().filter(|(fault, _)| fault.can_happen_to(kind)).find(|(_, rate)| {
            reached += rate;
            roll < reached
        });
        (scripted.or(mixed.map(|(fault, _)| *fault)), detail)
    }
}

/// One request that came, and what became of it.
#[derive(Debug, Clone)]
pub struct Entry {
    pub at: Instant,
    pub kind: Kind,
    pub method: String,
    /// With its query.
    pub path: String,
    pub body: Value,
    /// What was done to it.
    pub fault: Option<Fault>,
    /// The server's status, when it was asked; what it did is done.
    pub upstream: Option<u16>,
    /// The status the caller heard, when the whole answer went out.
    pub heard: Option<u16>,
}

impl Entry {
    /// Whether a write was carried out.
    pub fn took_effect(&self) -> bool {
        self.upstream == Some(200)
    }
}

#[derive(Default)]
struct State {
    plan: Plan,
    /// How many of each kind came since the plan began.
    seen: HashMap<Kind, usize>,
    /// Until when everything for a base, or for no base, is refused.
    refused: HashMap<String, Instant>,
    hooks: HashMap<String, hooks::Hook>,
    log: Vec<Entry>,
}

struct Shared {
    /// `HOST:PORT` of the server.
    upstream: String,
    client: reqwest::Client,
    state: Mutex<State>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

/// The proxy. It ends when dropped.
pub struct Hostile {
    /// `HOST:PORT`.
    pub address: String,
    shared: Arc<Shared>,
    runtime: Option<Runtime>,
}

impl Hostile {
    /// Before the server at `upstream` (`HOST:PORT`).
    pub fn before(upstream: &str, plan: Plan) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let _ = rustls::crypto::ring::default_provider().install_default();
        // A connection of its own for each request: nothing is sent twice behind our back.
        let client = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).build().unwrap();
        let state = Mutex::new(State { plan, ..State::default() });
        let shared = Arc::new(Shared { upstream: upstream.to_owned(), client, state });
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let serving = shared.clone();
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let shared = serving.clone();
                tokio::spawn(async move {
                    // A caller that went away is its own affair.
                    let _ = relay::serve(&shared, stream).await;
                });
            }
        });
        Self { address, shared, runtime: Some(runtime) }
    }

    /// Where Airtable is, for clients.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Another plan from now on; requests are counted from the start.
    pub fn follow(&self, plan: Plan) {
        let mut state = self.shared.state();
        state.plan = plan;
        state.seen.clear();
    }

    /// Nothing goes wrong any more. What is broken stays broken: webhooks, penalties.
    pub fn calm(&self) {
        self.follow(Plan::calm());
    }

    /// All requests so far, in the order they came.
    pub fn log(&self) -> Vec<Entry> {
        self.shared.state().log.clone()
    }

    /// How often each fault happened.
    pub fn faults(&self) -> BTreeMap<Fault, usize> {
        let mut counted = BTreeMap::new();
        for fault in self.shared.state().log.iter().filter_map(|entry| entry.fault) {
            *counted.entry(fault).or_default() += 1;
        }
        counted
    }

    /// How often the server itself said that there were too many requests.
    pub fn refused_by_upstream(&self) -> usize {
        self.shared.state().log.iter().filter(|entry| entry.upstream == Some(429)).count()
    }
}

impl Drop for Hostile {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
