//! Plans: calls that were worked out and are carried out later, exactly so or not at all.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize as _;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tablewright_core::model::PlanId;
use tablewright_core::{Code, Fault};
use tablewright_engine::Engine;
use tablewright_engine::base::changes::Author;
pub use tablewright_engine::store::plans::{PlanStatus, StoredPlan};
use tokio::sync::broadcast;

use crate::access::Caller;
use crate::approval::{Asks, Needed, Options};
use crate::notices::{Notice, Notices};
use crate::rehearsal::{Counts, Effect};

/// Plans of one principal that can still be used; more are refused.
const MAX_OPEN: i64 = 200;
/// Bytes the plans of one principal may take that can still be used.
const MAX_BYTES: i64 = 256 << 20;
/// How long an ended plan is kept, in milliseconds after it lapsed.
const KEPT_MS: i64 = 30 * 86_400_000;
/// Most plans that go on after a restart.
const MAX_CUT_OFF: u32 = 10_000;
/// Longest note of whoever decides, in characters.
const MAX_NOTE: usize = 2_000;

/// The plans of a data directory. Cheap to clone.
#[derive(Clone)]
pub struct Plans {
    engine: Engine,
    options: Arc<Options>,
    notices: Notices,
    /// Plans that wait from now on, or were decided.
    news: broadcast::Sender<PlanId>,
}

impl Plans {
    /// The plans of this engine's store.
    pub fn new(engine: Engine, options: Options, notices: Notices) -> Self {
        Self { engine, options: Arc::new(options), notices, news: broadcast::Sender::new(64) }
    }

    /// The settings.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Ids of plans that begin to wait, or are decided, from now on.
    pub fn news(&self) -> broadcast::Receiver<PlanId> {
        self.news.subscribe()
    }

    /// Keeps a plan: open, or waiting for whoever is `needed`.
    pub async fn add(
        &self,
        author: Author,
        arguments: Value,
        effect: &Effect,
        needed: Option<Needed>,
    ) -> Result<StoredPlan, Fault> {
        let store = self.engine.store();
        let now = self.engine.clock().now_ms();
        store.prune_plans(now - KEPT_MS).await.map_err(Fault::from)?;
        let held = serde_json::to_value(effect).unwrap_or_default();
        let (count, bytes) = store.usable_plans(&author.principal, now).await.map_err(Fault::from)?;
        let size = (held.to_string().len() + arguments.to_string().len()) as i64;
        if bytes + size > MAX_BYTES {
            let message = "your plans take too much room; carry some out, plan fewer records at once, or wait until they lapse.";
            return Err(Fault::new(Code::LimitExceeded, message));
        }
        if count >= MAX_OPEN {
            let message = format!(
                "you have {MAX_OPEN} plans that can still be carried out; carry some out, or wait until they lapse."
            );
            return Err(Fault::new(Code::LimitExceeded, message));
        }
        let plan = StoredPlan {
            id: PlanId::random(),
            digest: digest(&author.action, &arguments),
            author,
            arguments,
            base: effect.base().map(|id| id.to_string()).unwrap_or_default(),
            effect: held,
            status: if needed.is_some() { PlanStatus::Waiting } else { PlanStatus::Open },
            asks: needed.as_ref().map(|needed| needed.asks.as_str().to_owned()),
            reasons: needed.map(|needed| needed.reasons).unwrap_or_default(),
            decided_by: None,
            decided_at: None,
            note: None,
            outcome: None,
            created_at: now,
            expires_at: now + i64::from(self.options.minutes) * 60_000,
        };
        store.add_plan(&plan).await.map_err(Fault::from)?;
        if plan.status == PlanStatus::Waiting {
            let _ = self.news.send(plan.id);
            self.notices.tell(notice(&plan, effect));
        }
        Ok(plan)
    }

    /// The newest plans, of one principal or status when these are named.
    pub async fn list(
        &self,
        principal: Option<&str>,
        status: Option<PlanStatus>,
        most: u32,
    ) -> Result<Vec<StoredPlan>, Fault> {
        self.engine.store().plans(principal, status, most).await.map_err(Fault::from)
    }

    /// A plan, for a person who may see all of them.
    pub async fn get(&self, id: PlanId) -> Result<StoredPlan, Fault> {
        self.engine.store().plan(id).await.map_err(Fault::from)?.ok_or_else(|| unknown(id))
    }

    /// A plan of this caller; somebody else's is as unknown as one that never was.
    pub async fn of(&self, caller: &Caller, id: PlanId) -> Result<StoredPlan, Fault> {
        let plan = self.get(id).await?;
        if plan.author.principal == caller.principal { Ok(plan) } else { Err(unknown(id)) }
    }

    /// The plan for the same call of this caller that waits, was approved, or is being carried out.
    pub async fn same_call(
        &self,
        caller: &Caller,
        tool: &str,
        arguments: &Value,
    ) -> Result<Option<StoredPlan>, Fault> {
        let now = self.engine.clock().now_ms();
        let digest = digest(tool, arguments);
        self.engine.store().plan_for(&caller.principal, &digest, now).await.map_err(Fault::from)
    }

    /// A person, or the client that asked one, decides about a waiting plan.
    pub async fn decide(
        &self,
        id: PlanId,
        approve: bool,
        decider: Decider<'_>,
        note: Option<&str>,
    ) -> Result<StoredPlan, Fault> {
        if approve && self.get(id).await?.asks.as_deref() == Some(Asks::Person.as_str()) {
            decider.require_person(self.options.passkey)?;
        }
        let by = decider.words();
        if note.is_some_and(|note| note.chars().count() > MAX_NOTE) {
            let message = format!("a note has at most {MAX_NOTE} characters; shorten it.");
            return Err(Fault::new(Code::InvalidArguments, message));
        }
        let to = if approve { PlanStatus::Approved } else { PlanStatus::Rejected };
        let now = self.engine.clock().now_ms();
        let moved = self.engine.store().decide_plan(id, to, &by, note, now).await.map_err(Fault::from)?;
        let plan = self.get(id).await?;
        if !moved {
            return Err(Fault::new(Code::Conflict, format!("plan {id} {}.", self.standing(&plan))));
        }
        let _ = self.news.send(id);
        Ok(plan)
    }

    /// Waits until a plan is decided, for at most this long; how it stands then.
    pub async fn decided(&self, id: PlanId, patience: Duration) -> Result<StoredPlan, Fault> {
        let mut news = self.news();
        let waiting = async {
            loop {
                let plan = self.get(id).await?;
                if plan.status != PlanStatus::Waiting {
                    return Ok(plan);
                }
                // Whoever decides in another process is not heard here.
                let _ = tokio::time::timeout(Duration::from_secs(2), news.recv()).await;
            }
        };
        match tokio::time::timeout(patience, waiting).await {
            Ok(plan) => plan,
            Err(_) => self.get(id).await,
        }
    }

    /// Begins to carry out a plan: nobody else can any more.
    pub async fn begin(&self, plan: &StoredPlan) -> Result<(), Fault> {
        let mut from = vec![PlanStatus::Open, PlanStatus::Approved];
        if plan.asks.as_deref() == Some("confirm") {
            from.push(PlanStatus::Waiting);
        }
        let now = self.engine.clock().now_ms();
        let moved = self.engine.store().move_plan(plan.id, &from, PlanStatus::Applying, now).await;
        if moved.map_err(Fault::from)? {
            return Ok(());
        }
        let plan = self.get(plan.id).await?;
        let code = match plan.status {
            PlanStatus::Waiting => Code::ApprovalNeeded,
            PlanStatus::Rejected => Code::Declined,
            _ => Code::Conflict,
        };
        Err(Fault::new(code, format!("plan {} {}.", plan.id, self.standing(&plan))))
    }

    /// Gives a plan back that was begun and did nothing.
    pub async fn give_back(&self, plan: &StoredPlan) -> Result<(), Fault> {
        let to = if plan.asks.is_some() { PlanStatus::Approved } else { PlanStatus::Open };
        let now = self.engine.clock().now_ms();
        self.engine
            .store()
            .move_plan(plan.id, &[PlanStatus::Applying], to, now)
            .await
            .map_err(Fault::from)?;
        Ok(())
    }

    /// Plans that were being carried out when the program ended last.
    pub async fn cut_off(&self) -> Result<Vec<StoredPlan>, Fault> {
        self.list(None, Some(PlanStatus::Applying), MAX_CUT_OFF).await
    }

    /// Whether a plan that was cut off is done already: a write that is one commit, and has it.
    pub async fn is_done(&self, plan: &StoredPlan, parts: usize) -> Result<bool, Fault> {
        let commits = self.engine.store().commits_of_plan(plan.id).await.map_err(Fault::from)?;
        Ok(parts == 0 && commits > 0)
    }

    /// Notes how carrying out a plan ended.
    pub async fn end(&self, id: PlanId, done: bool, outcome: &Value) -> Result<(), Fault> {
        let to = if done { PlanStatus::Applied } else { PlanStatus::Failed };
        self.engine.store().end_plan(id, to, outcome).await.map_err(Fault::from)
    }

    /// How a plan stands, after its id: `waits for approval by a person`.
    pub fn standing(&self, plan: &StoredPlan) -> String {
        let by = plan.decided_by.as_deref().unwrap_or("somebody");
        let note = plan.note.as_ref().map(|note| format!(" ({note})")).unwrap_or_default();
        if plan.expires_at <= self.engine.clock().now_ms() && !is_over(plan.status) {
            return "has lapsed; make it again".to_owned();
        }
        match plan.status {
            PlanStatus::Open => "can be carried out".to_owned(),
            PlanStatus::Waiting => "waits for approval".to_owned(),
            PlanStatus::Approved => format!("was approved by {by}{note}"),
            PlanStatus::Rejected => format!("was rejected by {by}{note}"),
            PlanStatus::Applying => "is being carried out".to_owned(),
            PlanStatus::Applied => "was carried out already".to_owned(),
            PlanStatus::Failed => "was begun and failed".to_owned(),
        }
    }
}

/// Who decides about a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decider<'a> {
    /// The user of a client, as the client says.
    Client(&'a str),
    /// Whoever uses the command line here.
    Cli,
    /// A person who is signed in to the console, with the passkey of this name.
    Console(Option<&'a str>),
}

impl Decider<'_> {
    fn words(self) -> String {
        match self {
            Self::Client(client) => format!("the user of {client}"),
            Self::Cli => "local (cli)".to_owned(),
            Self::Console(None) => "local (console)".to_owned(),
            Self::Console(Some(passkey)) => format!("local (console, passkey {passkey})"),
        }
    }

    fn require_person(self, with_passkey: bool) -> Result<(), Fault> {
        let message = match self {
            Self::Client(_) => "only a person here can approve this, not the user of a client.",
            Self::Cli | Self::Console(None) if with_passkey => {
                "this is approved on the console with a passkey alone; `tablewright console` prints the way there."
            }
            _ => return Ok(()),
        };
        Err(Fault::new(Code::ApprovalNeeded, message))
    }
}

/// What people are told of a plan that waits: numbers, no cells.
fn notice(plan: &StoredPlan, effect: &Effect) -> Notice {
    let Counts { created, changed, deleted } = effect.counts();
    let client = if plan.author.client.is_empty() { "A program" } else { &plan.author.client };
    let records = match (created, changed, deleted) {
        (0, 0, 0) => String::new(),
        _ => format!(" ({created} records created, {changed} changed, {deleted} deleted)"),
    };
    let text = format!(
        "{client} ({}) wants to {}{records}. `tablewright plan show {}` shows what it would do.",
        plan.author.principal, plan.author.action, plan.id
    );
    let title = "A write waits for approval".to_owned();
    Notice { kind: "approval_needed", title, text, plan: Some(plan.id), base: effect.base() }
}

fn is_over(status: PlanStatus) -> bool {
    matches!(status, PlanStatus::Rejected | PlanStatus::Applied | PlanStatus::Failed)
}

fn unknown(id: PlanId) -> Fault {
    Fault::new(Code::UnknownPlan, format!("there is no plan {id}; plans lapse, and are their maker's alone."))
}

/// What a plan does, as it was kept.
pub fn effect_of(plan: &StoredPlan) -> Result<Effect, Fault> {
    Effect::deserialize(&plan.effect)
        .map_err(|e| Fault::new(Code::Internal, format!("plan {} cannot be read: {e}", plan.id)))
}

/// What stands for a call: the same tool with the same arguments, in whatever order.
pub fn digest(tool: &str, arguments: &Value) -> String {
    let text = json!([tool, sorted(arguments)]).to_string();
    Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The same value with the keys of objects in order.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let ordered: std::collections::BTreeMap<&String, Value> =
                map.iter().map(|(key, value)| (key, sorted(value))).collect();
            ordered.into_iter().map(|(key, value)| (key.clone(), value)).collect()
        }
        Value::Array(items) => items.iter().map(sorted).collect(),
        other => other.clone(),
    }
}
