//! Turns: requests go out as fast as Airtable bears, and whoever waits gets a fair part.

mod before;
mod connect;
mod queue;
#[cfg(test)]
mod tests;
mod turns;
mod window;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tablewright_core::clock::Clock;
use tablewright_core::model::BaseId;
use tokio::sync::{Notify, OnceCell, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::budget::Call;
use super::{Ask, Error};
use crate::store::Store;
use before::LastRequest;
pub(super) use connect::Watch;
use turns::{Asking, Key, MAX_WAITING, Turn, Turns};
use window::Micros;

/// Gives out turns. Cheap to clone.
#[derive(Clone)]
pub(super) struct Pacer {
    shared: Arc<Shared>,
}

struct Shared {
    held: Mutex<Held>,
    last_request: LastRequest,
    /// The start of the time `Turns` goes by.
    start: Instant,
    penalty: Duration,
    clock: Arc<dyn Clock>,
    store: Store,
    /// Whether penalties of before were read.
    read: OnceCell<()>,
    /// When the next turn can be given has changed.
    changed: Arc<Notify>,
}

struct Held {
    turns: Turns,
    /// Where those who wait are called.
    waiting: HashMap<u64, oneshot::Sender<Turn>>,
    /// What calls them when time alone decides.
    timer: Option<JoinHandle<()>>,
}

/// One turn to send a request; handed back when it is dropped unused.
pub struct Permit {
    shared: Arc<Shared>,
    turn: Turn,
    base: Option<BaseId>,
    call: Call,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Unused,
    Sent,
    Answered,
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").field("base", &self.base).finish_non_exhaustive()
    }
}

impl Permit {
    /// The base it is for.
    pub fn base(&self) -> Option<BaseId> {
        self.base
    }

    /// A request goes out now; a `large` one takes its time.
    pub(super) fn sent(&mut self, large: bool) {
        self.call.spend();
        self.state = State::Sent;
        self.shared.last_request.note();
        let now = self.shared.now();
        self.shared.change(|turns| turns.sent(&self.turn, now, large));
    }

    /// The head of the answer is here.
    pub(super) fn answered(&mut self) {
        self.state = State::Answered;
        let now = self.shared.now();
        self.shared.change(|turns| turns.answered(&self.turn, now));
    }

    /// It did not go out after all.
    pub(super) fn unsent(mut self) {
        self.call.unspend();
        self.state = State::Unused;
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let now = self.shared.now();
        match self.state {
            State::Unused => self.shared.change(|turns| turns.give_back(&self.turn)),
            State::Sent => self.shared.change(|turns| turns.abandoned(&self.turn, now)),
            State::Answered => {}
        }
    }
}

/// A place in line; left when it is dropped.
struct Place<'a> {
    shared: &'a Shared,
    asking: Asking,
    id: u64,
    called: oneshot::Receiver<Turn>,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.shared.change(|turns| turns.leave(&self.asking, self.id));
        self.shared.held().waiting.remove(&self.id);
        // Called in the very moment of leaving.
        if let Ok(turn) = self.called.try_recv() {
            self.shared.change(|turns| turns.give_back(&turn));
        }
    }
}

impl Shared {
    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Micros {
        Micros::try_from(self.start.elapsed().as_micros()).unwrap_or(Micros::MAX)
    }

    fn at(&self, micros: Micros) -> Instant {
        self.start + Duration::from_micros(micros)
    }

    /// Changes something about the turns and calls whoever may go then.
    fn change(&self, change: impl FnOnce(&mut Turns)) {
        let mut held = self.held();
        change(&mut held.turns);
        self.call(&mut held);
        let anybody = !held.waiting.is_empty();
        drop(held);
        if anybody {
            self.changed.notify_one();
        }
    }

    fn call(&self, held: &mut Held) {
        let mut called = held.turns.call(self.now());
        // Somebody who has left meanwhile makes room for another.
        while let Some(turn) = called.pop_front() {
            let to = held.waiting.remove(&turn.id);
            let gone = match to {
                Some(to) => to.send(turn).err(),
                None => Some(turn),
            };
            if let Some(turn) = gone {
                held.turns.give_back(&turn);
                called.extend(held.turns.call(self.now()));
            }
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.changed.notify_one();
    }
}

/// Calls those who wait when their time has come, as long as there is a pacer.
async fn keep_calling(shared: Weak<Shared>, changed: Arc<Notify>) {
    loop {
        let next = {
            let Some(shared) = shared.upgrade() else { return };
            let mut held = shared.held();
            shared.call(&mut held);
            held.turns.next().map(|next| shared.at(next))
        };
        match next {
            Some(at) => tokio::select! {
                () = sleep_until(at) => {}
                () = changed.notified() => {}
            },
            None => changed.notified().await,
        }
    }
}

impl Pacer {
    pub(super) fn new(share: u64, penalty: Duration, clock: Arc<dyn Clock>, store: Store) -> Self {
        let last_request = LastRequest::in_directory(store.directory());
        let turns = Turns::new(share, last_request.quiet());
        let held = Held { turns, waiting: HashMap::new(), timer: None };
        let shared = Shared {
            last_request,
            held: Mutex::new(held),
            start: Instant::now(),
            penalty,
            clock,
            store,
            read: OnceCell::new(),
            changed: Arc::default(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// What tells the pacer of connections that are being opened.
    pub(super) fn watch(&self) -> Watch {
        Watch::new(Arc::downgrade(&self.shared))
    }

    /// Waits for a turn, no longer than `until`.
    pub(super) async fn turn(
        &self,
        ask: &Ask,
        base: Option<BaseId>,
        profile: &Arc<str>,
        call: Call,
        until: Instant,
    ) -> Result<Permit, Error> {
        let shared = &self.shared;
        shared.read.get_or_try_init(|| self.read_penalties()).await?;
        let login = profile.clone();
        let asking = Asking { base, login, caller: ask.caller.clone(), priority: ask.priority };
        let mut place = {
            let mut held = shared.held();
            let now = shared.now();
            let refused = held.turns.refused_until(&asking);
            if refused > now && shared.at(refused) > until {
                return Err(limited(refused - now));
            }
            let Some(id) = held.turns.ask(&asking, now) else {
                return Err(Error::NotSent(format!(
                    "{MAX_WAITING} requests wait for their turn already; try again later, or send fewer at once"
                )));
            };
            let (sender, called) = oneshot::channel();
            held.waiting.insert(id, sender);
            self.start_timer(&mut held);
            Place { shared, asking, id, called }
        };
        shared.change(|_| {});
        let turn = match timeout_at(until, &mut place.called).await {
            Ok(Ok(turn)) => turn,
            Ok(Err(_)) => return Err(Error::NotSent("the program is stopping".into())),
            Err(_) => {
                let refused = shared.held().turns.refused_until(&place.asking);
                let now = shared.now();
                if refused > now {
                    return Err(limited(refused - now));
                }
                return Err(Error::NotSent(
                    "too many requests wait for their turn; try again later, or raise airtable.patience_seconds".into(),
                ));
            }
        };
        Ok(Permit { shared: shared.clone(), turn, base, call, state: State::Unused })
    }

    /// The timer ends with the runtime it was started in; another may be there then.
    fn start_timer(&self, held: &mut Held) {
        if held.timer.as_ref().is_none_or(JoinHandle::is_finished) {
            let (weak, changed) = (Arc::downgrade(&self.shared), self.shared.changed.clone());
            held.timer = Some(tokio::spawn(keep_calling(weak, changed)));
        }
    }

    /// Airtable refused a request as one too many: nothing of its base, or of its login when it was
    /// about no base, goes out for a while, and a restart does not change that.
    pub(super) async fn penalise(&self, base: Option<BaseId>, profile: &Arc<str>) {
        let shared = &self.shared;
        let key = base.map_or_else(|| Key::Login(profile.clone()), Key::Base);
        let until = shared.now() + shared.penalty.as_micros() as Micros;
        shared.change(|turns| {
            turns.refuse(&key, until);
            turns.transit.widen();
        });
        let what = match &key {
            Key::Base(base) => base.to_string(),
            Key::Login(login) => format!("{LOGIN}{login}"),
        };
        let now = shared.clock.now_ms();
        let until = now.saturating_add(shared.penalty.as_millis() as i64);
        tracing::warn!(
            what,
            seconds = shared.penalty.as_secs(),
            "Airtable asks to wait after a request too many"
        );
        if let Err(error) = shared.store.set_penalty(&what, until, now).await {
            tracing::warn!(%error, "that Airtable asks to wait was not noted");
        }
    }

    async fn read_penalties(&self) -> Result<(), Error> {
        let shared = &self.shared;
        let now = shared.clock.now_ms();
        let unread =
            |e: crate::store::Error| Error::NotSent(format!("what Airtable asked for cannot be read: {e}"));
        let penalties = shared.store.penalties(now).await.map_err(unread)?;
        shared.change(|turns| {
            for (what, until) in penalties {
                let key = match what.strip_prefix(LOGIN) {
                    Some(login) => Key::Login(login.into()),
                    None => match what.parse() {
                        Ok(base) => Key::Base(base),
                        Err(_) => continue,
                    },
                };
                // A clock that was set back makes no penalty longer.
                let left = Duration::from_millis((until - now).unsigned_abs()).min(shared.penalty);
                turns.refuse(&key, shared.now() + left.as_micros() as Micros);
            }
        });
        Ok(())
    }
}

/// What the name of a login is kept behind, among the ids of bases.
const LOGIN: &str = "login:";

fn limited(micros: Micros) -> Error {
    Error::RateLimited { seconds: micros.div_ceil(1_000_000) }
}
