//! Who is told when a resource changes. One task reads the change feed and looks up by place who
//! is concerned; what each listener has yet to hear is a set of addresses it asked for, so a slow
//! one costs no more than that and keeps nobody waiting.

mod index;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tablewright_core::model::BaseId;
use tablewright_core::{Code, Fault};
use tablewright_door::{Caller, Change, Door};
use tokio::sync::Notify;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::address::Place;
use super::documents::{self, MAX_DOCUMENT};
use index::Index;

/// Addresses one listener may watch.
pub(super) const MAX_WATCHED: usize = 200;
/// Listeners of one principal.
const MAX_LISTENERS: usize = 1_000;
/// Places that are watched at all.
const MAX_PLACES: usize = 20_000;
/// Bases that a listener has yet to hear of by name.
const MAX_BASES: usize = 1_000;
/// Documents that are compared before other tasks get a turn.
const TURN: usize = 64;
/// How often bases in Airtable are told that somebody waits for their changes.
const TOUCH: Duration = Duration::from_secs(1);
/// Stands for a place where nothing is.
const NOTHING: u64 = 0;

/// Tells listeners of changes. Cheap to clone.
#[derive(Clone)]
pub(super) struct Watch {
    door: Door,
    index: Arc<Mutex<Index>>,
    /// Something is watched from now on.
    begun: Arc<Notify>,
}

/// What a listener has yet to hear.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct News {
    /// Addresses whose resource has changed, as the listener gave them.
    pub(super) updated: BTreeSet<Arc<str>>,
    /// True when the list of resources has changed.
    pub(super) list: bool,
}

/// Letters to a listener: what happened, whether it may be told of it or not.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Letters {
    updated: BTreeSet<Arc<str>>,
    /// Bases whose resources came or went.
    lists: BTreeSet<BaseId>,
    /// Changes went by unseen.
    all: bool,
}

/// Where letters for a listener gather.
#[derive(Default)]
struct Mailbox {
    letters: Mutex<Letters>,
    filled: Notify,
}

impl Mailbox {
    fn put(&self, fill: impl FnOnce(&mut Letters)) {
        fill(&mut locked(&self.letters));
        self.filled.notify_one();
    }

    /// Takes out what was read.
    fn remove(&self, read: &Letters) {
        let mut letters = locked(&self.letters);
        letters.updated.retain(|uri| !read.updated.contains(uri));
        letters.lists.retain(|base| !read.lists.contains(base));
        letters.all &= !read.all;
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Watch {
    /// Reads the change feed until `stop`.
    pub(super) fn start(door: Door, stop: CancellationToken) -> Self {
        let watch = Self { door, index: Arc::default(), begun: Arc::default() };
        let (reading, mut feed) = (watch.clone(), watch.door.feed());
        tokio::spawn(async move {
            let mut tick = tokio::time::interval(TOUCH);
            tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                let change = tokio::select! {
                    change = feed.recv() => change,
                    _ = tick.tick(), if locked(&reading.index).is_watched() => {
                        let bases = locked(&reading.index).bases();
                        bases.into_iter().for_each(|base| reading.door.touch(base));
                        continue;
                    }
                    () = reading.begun.notified() => continue,
                    () = stop.cancelled() => return,
                };
                match change {
                    Ok(change) => reading.take_in(&change).await,
                    Err(RecvError::Lagged(_)) => locked(&reading.index).tell_all(),
                    Err(RecvError::Closed) => return,
                }
            }
        });
        watch
    }

    /// When a base changed last, if it did since the server began.
    pub(super) fn changed_at(&self, base: BaseId) -> Option<i64> {
        locked(&self.index).changed.get(&base).copied()
    }

    /// When any base changed last, if one did since the server began.
    pub(super) fn changed_last(&self) -> Option<i64> {
        locked(&self.index).changed.values().max().copied()
    }

    /// A listener for `caller`; `list` when it wants to know of new and vanished resources.
    pub(super) fn listener(&self, caller: &Caller, list: bool) -> Result<Listener, Fault> {
        let mailbox = Arc::new(Mailbox::default());
        let number = locked(&self.index).open(&caller.principal, mailbox.clone(), list).ok_or_else(|| {
            let message = format!("{MAX_LISTENERS} clients of yours are listening already; end one first.");
            Fault::new(Code::LimitExceeded, message)
        })?;
        let caller = caller.clone();
        Ok(Listener { watch: self.clone(), number, caller, mailbox, held: Mutex::default() })
    }

    /// Tells of one commit.
    async fn take_in(&self, change: &Change) {
        let (told, check) = locked(&self.index).sort(change);
        for places in check.chunks(TURN) {
            self.compare(places, &told).await;
            tokio::task::yield_now().await;
        }
    }

    /// Tells of the places whose document is another than was known, but of those in `told`.
    async fn compare(&self, places: &[Place], told: &HashSet<Place>) {
        let mut digests = Vec::with_capacity(places.len());
        for place in places {
            digests.push((*place, self.digest(place).await));
        }
        let mut index = locked(&self.index);
        for (place, digest) in digests {
            if index.settle(&place, digest) && !told.contains(&place) {
                index.tell(&place);
            }
        }
    }

    /// A number that stands for the document at a place.
    async fn digest(&self, place: &Place) -> u64 {
        let document = async {
            let view = self.door.peek(place.base()?).await.ok()?;
            Some(match place {
                Place::Bases => return None,
                Place::Base(_) => documents::base_schema(view.schema(), MAX_DOCUMENT),
                Place::Table(_, table) => {
                    let table = view.schema().table_by_id(*table)?;
                    documents::table_schema(view.schema(), table, MAX_DOCUMENT)
                }
                Place::Record(_, table, record) => {
                    let table = view.table_by_id(*table).ok()?;
                    documents::record(&table, table.slot(record)?)
                }
            })
        };
        document.await.map_or(NOTHING, |document| {
            let mut hasher = DefaultHasher::new();
            document.to_string().hash(&mut hasher);
            hasher.finish().max(NOTHING + 1)
        })
    }
}

/// One client that listens; forgotten when dropped.
pub(super) struct Listener {
    watch: Watch,
    number: u64,
    caller: Caller,
    mailbox: Arc<Mailbox>,
    /// What it watches, by the address it gave.
    held: Mutex<BTreeMap<Arc<str>, Place>>,
}

impl Listener {
    /// Watches what is at `place`, which the client calls `uri`.
    pub(super) async fn watch(&self, uri: &str, place: Place) -> Result<(), Fault> {
        let uri: Arc<str> = uri.into();
        {
            let mut held = locked(&self.held);
            if held.get(&uri) == Some(&place) {
                return Ok(());
            }
            if held.len() >= MAX_WATCHED && !held.contains_key(&uri) {
                let message =
                    format!("{MAX_WATCHED} resources are subscribed to; unsubscribe from one first.");
                return Err(Fault::new(Code::LimitExceeded, message));
            }
            let mut index = locked(&self.watch.index);
            if !index.add(self.number, &uri, place) {
                let message = "too many resources are watched on this server; try again later.";
                return Err(Fault::new(Code::LimitExceeded, message));
            }
            if let Some(before) = held.insert(uri.clone(), place) {
                index.forget(self.number, &uri, &before);
            }
        }
        self.watch.begun.notify_one();
        // Changes from here on are compared with this; one in between is told in any case.
        let digest = self.watch.digest(&place).await;
        locked(&self.watch.index).begin(&place, digest);
        Ok(())
    }

    /// Watches what the client calls `uri` no more; false when it did not.
    pub(super) fn unwatch(&self, uri: &str) -> bool {
        let Some((uri, place)) = locked(&self.held).remove_entry(uri) else { return false };
        locked(&self.watch.index).forget(self.number, &uri, &place);
        locked(&self.mailbox.letters).updated.remove(&uri);
        true
    }

    /// Has the client hear of `uri` now, unless it has much to hear already.
    pub(super) fn tell(&self, uri: &str) {
        self.mailbox.put(|letters| {
            if letters.updated.len() < 2 * MAX_WATCHED {
                letters.updated.insert(uri.into());
            }
        });
    }

    /// True while there is something it watches.
    pub(super) fn is_watching(&self) -> bool {
        !locked(&self.held).is_empty()
    }

    /// Waits for news and takes them; `None` once the client is not let in any more. Safe to
    /// cancel: nothing is lost.
    pub(super) async fn news(&self) -> Option<News> {
        loop {
            let letters = locked(&self.mailbox.letters).clone();
            if letters != Letters::default() {
                let news = self.told(&letters).await?;
                self.mailbox.remove(&letters);
                if news != News::default() {
                    return Some(news);
                }
                continue;
            }
            tokio::select! {
                () = self.mailbox.filled.notified() => {}
                () = self.watch.door.tokens().over(&self.caller) => return None,
            }
        }
    }

    /// What the client may be told of letters: what it saw all of when it subscribed it may see a part
    /// of only by now. `None` once it is not let in any more.
    async fn told(&self, letters: &Letters) -> Option<News> {
        let door = &self.watch.door;
        let caller = door.tokens().again(&self.caller)?;
        let mut news = News { updated: BTreeSet::new(), list: letters.all };
        for uri in &letters.updated {
            let place = locked(&self.held).get(uri).copied();
            let may_hear = match place {
                // What is not there, or not any more: nothing is told by it.
                None => true,
                Some(place) => match place.base() {
                    Some(base) => door.shows_all(&caller, base).await,
                    None => !door.policies().concern(&caller),
                },
            };
            if may_hear {
                news.updated.insert(uri.clone());
            }
        }
        for base in &letters.lists {
            news.list |= door.shows_all(&caller, *base).await;
        }
        Some(news)
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let held = std::mem::take(&mut *locked(&self.held));
        let mut index = locked(&self.watch.index);
        for (uri, place) in &held {
            index.forget(self.number, uri, place);
        }
        index.close(self.number, &self.caller.principal);
    }
}
