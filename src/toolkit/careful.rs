//! Writes that are looked at first: plans, and asking for approval.

mod resume;

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};
use tablewright_core::model::cell::instant_text;
use tablewright_core::{Code, Fault};
use tablewright_door::approval::Asks;
use tablewright_door::plans::{Decider, PlanStatus, StoredPlan, effect_of};
use tablewright_door::preview::{Preview, preview};
use tablewright_door::{Call, Effect};

use crate::answer::Answer;
use crate::registry::{CallContext, Entry};
use crate::text::shown;

pub use resume::resume;

/// The argument every writing tool has: work it out, and do nothing.
pub const DRY_RUN: &str = "dry_run";

/// Lines of each kind in a question, and its characters.
const QUESTION_LINES: usize = 8;
const QUESTION_CHARACTERS: usize = 2_000;
/// Records an answer lists of a plan.
const LISTED: usize = 20;
/// Records that changed since they were read that a warning names.
const MOVED_NAMED: usize = 5;

/// What somebody who was asked says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Said {
    /// Go ahead.
    Yes,
    /// Don't.
    No,
    /// There is nobody to ask, or they did not answer.
    Nothing,
    /// The client asks, and calls again with the answer.
    Later,
}

/// The way to the person in front of a client.
pub trait Ask: Send + Sync {
    /// Asks whether a plan may be carried out.
    fn ask<'a>(
        &'a self,
        plan: &'a StoredPlan,
        preview: &'a Preview,
    ) -> Pin<Box<dyn Future<Output = Said> + Send + 'a>>;
}

/// Nobody to ask.
pub struct Nobody;

impl Ask for Nobody {
    fn ask<'a>(
        &'a self,
        _: &'a StoredPlan,
        _: &'a Preview,
    ) -> Pin<Box<dyn Future<Output = Said> + Send + 'a>> {
        Box::pin(async { Said::Nothing })
    }
}

/// Takes `dry_run` out of the arguments.
fn take_dry_run(given: &mut Map<String, Value>) -> Result<bool, Fault> {
    match given.remove(DRY_RUN) {
        None | Some(Value::Null) => Ok(false),
        Some(Value::Bool(dry)) => Ok(dry),
        Some(_) => Err(Fault::new(Code::InvalidArguments, "dry_run must be true or false.")),
    }
}

/// What a call would do, as people read it.
pub async fn preview_of(call: &Call, effect: &Effect, records: usize) -> Preview {
    let mut bases = BTreeMap::new();
    for id in effect.steps.iter().filter_map(tablewright_door::rehearsal::Step::base) {
        if let Ok(schema) = call.schema(id).await {
            bases.insert(id, (schema, call.is_cloud(id)));
        }
    }
    let effect = match call.effect_as_seen(effect).await {
        Ok(effect) => effect,
        Err(fault) => {
            let warning = format!("what it would do cannot be shown: {}", fault.message);
            return Preview { warnings: vec![warning], ..Preview::default() };
        }
    };
    let mut shown = preview(&effect, &bases, records);
    if let Ok(moved) = call.changed_since_read(&effect).await
        && !moved.is_empty()
    {
        let named: Vec<String> = moved.iter().take(MOVED_NAMED).map(ToString::to_string).collect();
        let (count, more) = (moved.len(), if moved.len() > named.len() { ", …" } else { "" });
        let verb = if count == 1 { "record was changed" } else { "records were changed" };
        shown
            .warnings
            .push(format!("{count} {verb} by somebody else since you read them: {}{more}", named.join(", ")));
    }
    shown
}

/// A plan as an answer has it.
pub fn plan_json(plan: &StoredPlan, preview: &Preview, standing: &str) -> Value {
    let mut value = json!({
        "id": plan.id,
        "status": plan.status,
        "standing": standing,
        "expires": instant_text(plan.expires_at),
    });
    if plan.asks.is_some() {
        value["approval"] = json!({ "by": plan.asks, "reasons": plan.reasons });
    }
    if let (Value::Object(value), Ok(Value::Object(preview))) = (&mut value, serde_json::to_value(preview)) {
        value.extend(preview);
    }
    value
}

impl Entry {
    /// Runs a writing tool: only in rehearsal with `dry_run`; with approval where that is asked for.
    pub(crate) async fn run_carefully(
        &self,
        context: &mut CallContext,
        mut given: Map<String, Value>,
    ) -> Result<Answer, Fault> {
        let dry_run = take_dry_run(&mut given)?;
        let plans = context.door.plans().clone();
        let caller = context.call.caller().clone();
        if !dry_run && !plans.options().may_concern(&caller, self.wording.scope) {
            return self.run(context, given).await;
        }
        let arguments = Value::Object(given.clone());
        if !dry_run && let Some(plan) = plans.same_call(&caller, self.name, &arguments).await? {
            return match plan.status {
                PlanStatus::Approved => self.carry_out(context, &plan).await,
                // It was sent again before it was done: nothing is planned a second time.
                PlanStatus::Applying => {
                    let standing = plans.standing(&plan);
                    let message =
                        format!("plan {} for this call {standing}; get_plan says how it ends.", plan.id);
                    Err(Fault::new(Code::Conflict, message))
                }
                _ => self.ask_about(context, plan).await,
            };
        }
        context.call.rehearse();
        let rehearsed = self.run(context, given.clone()).await;
        let effect = context.call.take_effect();
        let answer = rehearsed?;
        let needed = context.call.needed(&effect).await?;
        if !dry_run && (needed.is_none() || effect.is_empty()) {
            context.call.clear();
            return self.run(context, given).await;
        }
        if dry_run && effect.is_empty() {
            // Nothing to carry out: what it would be refused for says it best.
            return match answer {
                Answer::Failed(value) => Ok(Answer::Failed(value)),
                _ => Ok(Answer::Structured(json!({"plan": {"summary": "nothing changes"}}))),
            };
        }
        let plan = plans.add(context.call.author(), arguments, &effect, needed).await?;
        if dry_run {
            let shown = preview_of(&context.call, &effect, LISTED).await;
            let how = how_to_go_on(&plan);
            let mut value = plan_json(&plan, &shown, &plans.standing(&plan));
            value["next"] = Value::String(how);
            return Ok(Answer::Structured(json!({ "plan": value })));
        }
        self.ask_about(context, plan).await
    }

    /// Asks whoever has to approve a plan, and carries it out when they do.
    async fn ask_about(&self, context: &mut CallContext, plan: StoredPlan) -> Result<Answer, Fault> {
        let plans = context.door.plans().clone();
        let effect = effect_of(&plan)?;
        let shown = preview_of(&context.call, &effect, LISTED).await;
        let asks = plan.asks.as_deref();
        let wait = Duration::from_secs(u64::from(plans.options().wait_seconds));
        if asks == Some(Asks::Ask.as_str()) || asks == Some(Asks::Confirm.as_str()) {
            let asker = context.ask.clone();
            // Somebody may decide elsewhere while the client asks.
            let said = tokio::select! {
                said = asker.ask(&plan, &shown) => said,
                () = context.cancelled.cancelled() => Said::Nothing,
                Ok(true) = decided_elsewhere(&plans, &plan) => Said::Nothing,
            };
            let by = Decider::Client(client_of(&plan));
            match said {
                Said::Yes => drop(plans.decide(plan.id, true, by, None).await?),
                Said::No => drop(plans.decide(plan.id, false, by, None).await?),
                Said::Later => return Ok(Answer::Ask(plan.id, question(&plan, &shown))),
                Said::Nothing => {}
            }
        }
        let plan = if asks == Some(Asks::Person.as_str()) {
            tokio::select! {
                plan = plans.decided(plan.id, wait) => plan?,
                () = context.cancelled.cancelled() => plans.get(plan.id).await?,
            }
        } else {
            plans.get(plan.id).await?
        };
        match plan.status {
            PlanStatus::Approved => self.carry_out(context, &plan).await,
            PlanStatus::Rejected => {
                Err(Fault::new(Code::Declined, format!("plan {} {}.", plan.id, plans.standing(&plan))))
            }
            _ => {
                let message = format!(
                    "nothing was written: {}. {}. {}",
                    shown.summary,
                    plan.reasons.join("; "),
                    how_to_go_on(&plan)
                );
                Err(Fault::new(Code::ApprovalNeeded, message))
            }
        }
    }

    /// Carries out a plan of this tool, exactly so or not at all.
    pub async fn carry_out(&self, context: &mut CallContext, plan: &StoredPlan) -> Result<Answer, Fault> {
        context.door.plans().begin(plan).await?;
        self.go_on(context, plan).await
    }

    /// Carries out what is left of a plan that was begun.
    pub async fn go_on(&self, context: &mut CallContext, plan: &StoredPlan) -> Result<Answer, Fault> {
        let plans = context.door.plans().clone();
        let effect = effect_of(plan)?;
        let done = context.tasks.parts(&plan.id.to_string()).await?.len();
        context.call.follow_plan(plan.id, Arc::new(effect), done);
        let given = plan.arguments.as_object().cloned().unwrap_or_default();
        let answer = self.run(context, given).await;
        let outcome = match &answer {
            Ok(Answer::Structured(value) | Answer::Failed(value)) => value.clone(),
            Ok(Answer::Text(text) | Answer::Image(_, text)) => Value::String(text.clone()),
            Ok(Answer::Task(_) | Answer::Ask(..)) => Value::Null,
            Err(fault) => json!({ "code": fault.code.as_str(), "message": fault.message }),
        };
        match &answer {
            Err(fault) if context.call.begun() == done && is_passing(fault.code) => {
                plans.give_back(plan).await?;
            }
            _ => plans.end(plan.id, answer.is_ok(), &outcome).await?,
        }
        answer
    }
}

/// Whether the same may well work a little later.
fn is_passing(code: Code) -> bool {
    matches!(code, Code::StoreUnavailable | Code::UpstreamUnavailable | Code::NotReady | Code::Cancelled)
}

/// True once somebody has decided about a plan; never before.
async fn decided_elsewhere(plans: &tablewright_door::Plans, plan: &StoredPlan) -> Result<bool, Fault> {
    loop {
        let now = plans.decided(plan.id, Duration::from_secs(3_600)).await?;
        if now.status != PlanStatus::Waiting {
            return Ok(true);
        }
    }
}

fn client_of(plan: &StoredPlan) -> &str {
    if plan.author.client.is_empty() { "the client" } else { &plan.author.client }
}

/// What a person is asked about a plan, with everything shown that could hide something.
pub fn question(plan: &StoredPlan, preview: &Preview) -> String {
    let mut text =
        format!("{} wants to do this with {}: {}.", client_of(plan), plan.author.action, preview.summary);
    for line in preview.schema.iter().chain(&preview.comments).chain(&preview.warnings).take(QUESTION_LINES) {
        text += &format!("\n- {line}");
    }
    for record in preview.records.iter().take(QUESTION_LINES) {
        let id = record.id.as_deref().unwrap_or("(new)");
        text += &format!("\n- {} {id} in {}", record.change, record.table);
    }
    text += &format!("\n`tablewright plan show {}` shows all of it. May it?", plan.id);
    shown(&text).chars().take(QUESTION_CHARACTERS).collect()
}

/// What to do to have a plan carried out.
fn how_to_go_on(plan: &StoredPlan) -> String {
    let id = plan.id;
    match plan.asks.as_deref() {
        None => format!("apply_plan with plan {id} carries it out."),
        Some("confirm") => {
            format!("If this is what the user wants, apply_plan with plan {id} carries it out.")
        }
        Some(_) => format!(
            "A person can look at it and approve it: `tablewright plan show {id}`, `tablewright plan approve {id}`. Then make the same call again, or apply_plan with plan {id}."
        ),
    }
}
