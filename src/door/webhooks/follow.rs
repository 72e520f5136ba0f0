//! Turning the change log into payloads, in order, each commit once.
//!
//! Payloads are written in one transaction with how far the log was read, so a crash at any
//! moment loses and doubles nothing: what was not kept is read again.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use rustc_hash::FxHashSet;
use tablewright_core::model::{BaseId, WebhookId};
use tablewright_core::{Code, Fault};
use tablewright_engine::Snapshot;
use tablewright_engine::base::changes::ChangeKind;
use tablewright_engine::base::{Change, SchemaChange};
use tablewright_engine::store::webhooks::{NewPayload, StoredWebhook};
use tokio_util::sync::CancellationToken;

use super::Webhooks;
use super::moment::{Side, moment};
use super::payload::Payloads;
use super::specification::{DataType, Missing, Specification};
use super::tell::Scene;

/// Commits of the change log read at a time, and bytes.
const READ_COMMITS: usize = 256;
const READ_BYTES: usize = 4 << 20;
/// Commits without a payload after which the position is written down all the same.
const PASSED: i64 = 1_000;
/// How long to wait after the store did not answer.
const PAUSE: Duration = Duration::from_secs(1);

/// A webhook that may have payloads.
struct Follower {
    id: WebhookId,
    base: BaseId,
    since: i64,
    expires_at: i64,
    wanted: Specification,
}

impl Follower {
    fn of(stored: StoredWebhook) -> Option<Self> {
        let StoredWebhook { id, base, since, expires_at, specification, .. } = stored;
        let wanted = Specification::read(&specification)
            .map_err(|fault| tracing::error!(webhook = %id, %fault, "a webhook cannot be read"));
        Some(Self { id, base, since, expires_at, wanted: wanted.ok()? })
    }

    fn hears(&self, change: &Change) -> bool {
        self.base == change.base && self.since < change.seq && change.at < self.expires_at
    }
}

/// How far the log was read.
pub(super) struct Progress {
    position: i64,
    written: i64,
    /// Commits by base, as far as they are counted.
    transactions: HashMap<BaseId, i64>,
    /// Bases whose count is not written down.
    uncounted: FxHashSet<BaseId>,
}

impl Progress {
    /// As it was written down last.
    pub(super) fn at(position: i64, counted: Vec<(BaseId, i64)>) -> Self {
        Self {
            position,
            written: position,
            transactions: counted.into_iter().collect(),
            uncounted: FxHashSet::default(),
        }
    }
}

impl Webhooks {
    /// Follows the change log until stopped.
    pub(super) async fn follow(&self, stop: &CancellationToken) {
        let mut news = self.shared.engine.last_change();
        let mut progress = self.shared.progress.lock().await;
        loop {
            let upto = *news.borrow_and_update();
            match self.step(&mut progress, upto).await {
                Ok(Step::More) if !stop.is_cancelled() => continue,
                Ok(Step::Asleep) => {
                    // Nobody listens: commits wake nobody.
                    tokio::select! {
                        () = self.shared.made.notified() => {}
                        () = stop.cancelled() => return,
                    }
                }
                Ok(_) => {
                    tokio::select! {
                        changed = news.changed() => if changed.is_err() { return },
                        () = self.shared.made.notified() => {}
                        () = stop.cancelled() => return,
                    }
                }
                Err(fault) => {
                    tracing::warn!(%fault, "webhooks are not told now");
                    tokio::select! {
                        () = tokio::time::sleep(PAUSE) => {}
                        () = stop.cancelled() => return,
                    }
                }
            }
        }
    }

    /// The webhooks that may have payloads; turns the noting of computed cells on for the bases
    /// whose webhooks want cells, and off for the others.
    pub(super) async fn listeners(&self) -> Result<Vec<StoredWebhook>, Fault> {
        let mut noted = self.shared.noted.lock().await;
        let stored = self.shared.engine.store().webhooks(None).await.map_err(Fault::from)?;
        let now = self.shared.engine.clock().now_ms();
        let wants = |w: &StoredWebhook| {
            w.is_valid
                && now < w.expires_at
                && Specification::read(&w.specification)
                    .is_ok_and(|wanted| wanted.filters().wants(DataType::TableData))
        };
        let wanted: FxHashSet<BaseId> = stored.iter().filter(|w| wants(w)).map(|w| w.base).collect();
        for base in noted.difference(&wanted) {
            self.shared.engine.log_computed(*base, false);
        }
        for base in wanted.difference(&noted) {
            self.shared.engine.log_computed(*base, true);
        }
        *noted = wanted;
        Ok(stored)
    }

    async fn step(&self, progress: &mut Progress, upto: i64) -> Result<Step, Fault> {
        // Read after `upto`: a webhook that is not there yet hears of nothing up to it.
        let stored = self.listeners().await?;
        if stored.is_empty() {
            self.reach(progress, upto);
            return Ok(Step::Asleep);
        }
        let followers: Arc<[Follower]> =
            stored.into_iter().filter(|w| w.is_valid).filter_map(Follower::of).collect();
        let since = followers.iter().map(|f| f.since).min().unwrap_or(upto);
        let store = self.shared.engine.store();
        let after = progress.position.max(since.min(upto));
        let read = store.webhook_changes(None, after, upto, READ_COMMITS, READ_BYTES).await;
        let (changes, reached) = read.map_err(Fault::from)?;
        let mut counted: HashMap<BaseId, i64> = HashMap::new();
        let mut by_base: Vec<(BaseId, Vec<(i64, Change)>)> = Vec::new();
        for change in changes {
            let base = change.base;
            let held = counted.get(&base).or_else(|| progress.transactions.get(&base));
            let number = held.copied().unwrap_or(0) + 1;
            counted.insert(base, number);
            match by_base.iter_mut().find(|(id, _)| *id == base) {
                Some((_, commits)) => commits.push((number, change)),
                None => by_base.push((base, vec![(number, change)])),
            }
        }
        let mut made = Vec::new();
        for (base, commits) in by_base {
            made.extend(self.tell(base, commits, reached, followers.clone()).await?);
        }
        if !made.is_empty() || reached - progress.written >= PASSED {
            let held = progress.uncounted.iter().filter_map(|base| {
                let is_old = !counted.contains_key(base);
                progress.transactions.get(base).filter(|_| is_old).map(|n| (*base, *n))
            });
            let all: Vec<(BaseId, i64)> = held.chain(counted.iter().map(|(base, n)| (*base, *n))).collect();
            store.keep_payloads(&made, reached, &all).await.map_err(Fault::from)?;
            progress.written = reached;
            progress.uncounted.clear();
            self.shared.pings.notify_one();
        } else {
            progress.uncounted.extend(counted.keys());
        }
        progress.transactions.extend(counted);
        self.reach(progress, reached);
        Ok(if reached < upto { Step::More } else { Step::Done })
    }

    fn reach(&self, progress: &mut Progress, position: i64) {
        progress.position = progress.position.max(position);
        self.shared.reached.send_replace(progress.position);
    }

    /// The payloads of commits of one base, for all who hear of them. The log was read up to
    /// `reached`.
    async fn tell(
        &self,
        base: BaseId,
        commits: Vec<(i64, Change)>,
        reached: i64,
        followers: Arc<[Follower]>,
    ) -> Result<Vec<NewPayload>, Fault> {
        if !commits.iter().any(|(_, change)| followers.iter().any(|f| f.hears(change))) {
            return Ok(Vec::new());
        }
        let now = match self.shared.engine.snapshot(base).await {
            Ok(now) => now,
            // It was deleted since, with its webhooks.
            Err(fault) if fault.code == Code::UnknownBase => return Ok(Vec::new()),
            Err(fault) => return Err(fault),
        };
        let store = self.shared.engine.store();
        let later = store.webhook_changes(Some(base), reached, now.change, READ_COMMITS, READ_BYTES).await;
        let (later, _) = later.map_err(Fault::from)?;
        let commits = Arc::new(commits);
        let (same, all) = (commits.clone(), followers.clone());
        let making = tokio::task::spawn_blocking(move || payloads(&same, &later, &now, &all));
        making.await.or_else(|error| {
            // A fault of ours must not stop what comes after it.
            tracing::error!(%error, %base, "commits cannot be told");
            let all = commits.iter().flat_map(|commit| followers.iter().map(move |f| (commit, f)));
            let told = all.filter(|((_, change), f)| f.hears(change)).map(|((number, change), f)| {
                let body = Payloads::of(change, *number).error("INTERNAL_ERROR");
                NewPayload { webhook: f.id, at: change.at, body, is_last: false }
            });
            Ok(told.collect())
        })
    }
}

enum Step {
    /// There is more to read.
    More,
    /// Everything is told.
    Done,
    /// There are no webhooks.
    Asleep,
}

/// True when tables, fields or views may have gone.
fn removes(change: &Change) -> bool {
    change.kind == ChangeKind::Schema
        && change.schema.iter().any(|s| {
            matches!(
                s,
                SchemaChange::TableDeleted { .. }
                    | SchemaChange::FieldDeleted { .. }
                    | SchemaChange::ViewChanged { .. }
            )
        })
}

/// The payloads of `commits`, in order. `now` is the base with the `later` commits in it: they are
/// taken back, newest first, so that every commit is shown as things were then. When there are
/// more of them than were read, what the others changed is shown as it is now.
fn payloads(
    commits: &[(i64, Change)],
    later: &[Change],
    now: &Snapshot,
    followers: &[Follower],
) -> Vec<NewPayload> {
    let mut then = now.clone();
    for change in later.iter().rev() {
        then = moment(&then, change, Side::Before);
    }
    // For each follower the commit that took something away that it needs.
    let ends: Vec<Option<(usize, Missing)>> = followers
        .iter()
        .map(|follower| {
            let missing = follower.wanted.check(&now.schema).err()?;
            let at = commits.iter().position(|(_, change)| follower.hears(change) && removes(change))?;
            Some((at, missing))
        })
        .collect();
    let mut made: Vec<Vec<NewPayload>> = Vec::with_capacity(commits.len());
    for (at, (number, change)) in commits.iter().enumerate().rev() {
        let scene = Scene::of(change, moment(&then, change, Side::After));
        let hearing = followers.iter().zip(&ends).filter(|(follower, _)| follower.hears(change));
        let told = hearing.flat_map(|(follower, end)| match end {
            Some((end, _)) if *end < at => Vec::new(),
            Some((end, missing)) if *end == at => vec![last(change, *number, follower, missing)],
            _ => one(&scene, *number, follower),
        });
        made.push(told.collect());
        if at > 0 {
            then = scene.into_before();
        }
    }
    made.into_iter().rev().flatten().collect()
}

/// What a webhook says when something it needs is gone.
fn last(change: &Change, number: i64, follower: &Follower, missing: &Missing) -> NewPayload {
    let code = match missing {
        Missing::Filters(_) => "INVALID_FILTERS",
        Missing::Includes(_) => "INVALID_HOOK",
    };
    let body = Payloads::of(change, number).error(code);
    NewPayload { webhook: follower.id, at: change.at, body, is_last: true }
}

/// The payloads of one commit for one webhook.
fn one(scene: &Scene<'_>, number: i64, follower: &Follower) -> Vec<NewPayload> {
    let webhook = follower.id;
    let bodies = scene.payloads(&follower.wanted, number).unwrap_or_else(|fault| {
        tracing::warn!(%webhook, %fault, "a commit cannot be told");
        vec![Payloads::of(scene.change, number).error("INTERNAL_ERROR")]
    });
    let keep = |body| NewPayload { webhook, at: scene.change.at, body, is_last: false };
    bodies.into_iter().map(keep).collect()
}
