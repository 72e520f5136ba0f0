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
use tablewright_engine::base::changes::ChangeKind;
use tablewright_engine::base::{Change, SchemaChange};
use tablewright_engine::store::webhooks::{NewPayload, StoredWebhook};
use tokio_util::sync::CancellationToken;

use super::Webhooks;
use super::payload::Payloads;
use super::specification::{DataType, Missing, Specification};
use super::tell::Scene;

/// Bytes of the change log read at a time.
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
        let (changes, reached) = store.webhook_changes(after, upto, READ_BYTES).await.map_err(Fault::from)?;
        let (mut made, mut counted): (Vec<NewPayload>, HashMap<BaseId, i64>) = Default::default();
        for change in changes {
            let held = counted.get(&change.base).or_else(|| progress.transactions.get(&change.base));
            let number = held.copied().unwrap_or(0) + 1;
            counted.insert(change.base, number);
            let silent = made.iter().filter(|p| p.is_last).map(|p| p.webhook).collect();
            made.extend(self.tell(change, number, followers.clone(), silent).await?);
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

    /// The payloads of one commit, for all who hear of it but the `silent`.
    async fn tell(
        &self,
        change: Change,
        number: i64,
        followers: Arc<[Follower]>,
        silent: FxHashSet<WebhookId>,
    ) -> Result<Vec<NewPayload>, Fault> {
        let hears = move |change: &Change, f: &Follower| f.hears(change) && !silent.contains(&f.id);
        if !followers.iter().any(|f| hears(&change, f)) {
            return Ok(Vec::new());
        }
        let now = match self.shared.engine.snapshot(change.base).await {
            Ok(now) => now,
            // It was deleted since, with its webhooks.
            Err(fault) if fault.code == Code::UnknownBase => return Ok(Vec::new()),
            Err(fault) => return Err(fault),
        };
        let (change, hears) = (Arc::new(change), Arc::new(hears));
        let (same, all, judge) = (change.clone(), followers.clone(), hears.clone());
        let making = tokio::task::spawn_blocking(move || {
            let scene = Scene::of(&same, &now);
            all.iter().filter(|f| judge(&same, f)).flat_map(|f| payloads(&scene, number, f)).collect()
        });
        making.await.or_else(|error| {
            // A fault of ours must not stop what comes after it.
            tracing::error!(%error, change = change.seq, "a commit cannot be told");
            let told = |f: &Follower| NewPayload {
                webhook: f.id,
                at: change.at,
                body: Payloads::of(&change, number).error("INTERNAL_ERROR"),
                is_last: false,
            };
            Ok(followers.iter().filter(|f| hears(&change, f)).map(told).collect())
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

/// The payloads of one commit for one webhook.
fn payloads(scene: &Scene<'_>, number: i64, follower: &Follower) -> Vec<NewPayload> {
    let (change, webhook) = (scene.change, follower.id);
    let keep = |body: String, is_last: bool| NewPayload { webhook, at: change.at, body, is_last };
    let error = |code: &str| Payloads::of(change, number).error(code);
    if removes(change)
        && let Err(missing) = follower.wanted.check(&scene.now.schema)
    {
        return vec![match missing {
            Missing::Filters(_) => keep(error("INVALID_FILTERS"), true),
            Missing::Includes(_) => keep(error("INVALID_HOOK"), true),
        }];
    }
    match scene.payloads(&follower.wanted, number) {
        Ok(bodies) => bodies.into_iter().map(|body| keep(body, false)).collect(),
        Err(fault) => {
            tracing::warn!(%webhook, %fault, "a commit cannot be told");
            vec![keep(error("INTERNAL_ERROR"), false)]
        }
    }
}
