//! What a person does about plans.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tablewright_core::model::PlanId;
use tablewright_core::model::cell::instant_text;
use tablewright_core::{Code, Fault};
use tablewright_door::Call;
use tablewright_door::plans::{Decider, PlanStatus, StoredPlan, effect_of};
use tablewright_toolkit::careful::{plan_json, preview_of};

use crate::app::App;

/// Most plans of a list.
const MAX_PLANS: u32 = 100;
/// Most records that are shown of a plan.
const MAX_RECORDS: usize = 1_000;

/// One thing to do about plans.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "plan", rename_all = "snake_case")]
pub enum Command {
    /// Those that wait; all that are kept, when wanted.
    List {
        /// Ended ones too.
        all: bool,
    },
    /// What one would do.
    Show {
        /// Its id.
        id: String,
    },
    /// Say yes or no.
    Decide {
        /// Its id.
        id: String,
        /// Yes.
        approve: bool,
        /// What there is to say about it.
        note: Option<String>,
    },
}

impl Command {
    /// What it is called in the audit log.
    pub fn name(&self) -> &'static str {
        match self {
            Self::List { .. } => "plan list",
            Self::Show { .. } => "plan show",
            Self::Decide { approve: true, .. } => "plan approve",
            Self::Decide { approve: false, .. } => "plan reject",
        }
    }
}

/// Does it. The answer is what `--json` prints.
pub async fn run(app: &App, call: &mut Call, command: Command) -> Result<Value, Fault> {
    let plans = app.door.plans();
    match command {
        Command::List { all } => {
            let status = (!all).then_some(PlanStatus::Waiting);
            let mut listed = Vec::new();
            for plan in plans.list(None, status, MAX_PLANS).await? {
                if !all && plan.expires_at <= call.now() {
                    continue;
                }
                let mut value = match described(app, call, &plan, 0).await {
                    Ok(value) => value,
                    Err(fault) => json!({ "id": plan.id, "status": plan.status, "standing": fault.message }),
                };
                // What it would do in detail is for `plan show`.
                if let Some(map) = value.as_object_mut() {
                    map.retain(|key, _| !matches!(key.as_str(), "records" | "more_records"));
                }
                listed.push(value);
            }
            Ok(Value::Array(listed))
        }
        Command::Show { id } => {
            let plan = plans.get(plan_id(&id)?).await?;
            described(app, call, &plan, MAX_RECORDS).await
        }
        Command::Decide { id, approve, note } => {
            let plan = plans.decide(plan_id(&id)?, approve, Decider::Cli, note.as_deref()).await?;
            described(app, call, &plan, 0).await
        }
    }
}

fn plan_id(text: &str) -> Result<PlanId, Fault> {
    text.trim().parse().map_err(|_| {
        let message = format!("{text:?} is no plan; `tablewright plan list` shows their ids");
        Fault::new(Code::InvalidArguments, message)
    })
}

async fn described(app: &App, call: &mut Call, plan: &StoredPlan, records: usize) -> Result<Value, Fault> {
    let effect = effect_of(plan)?;
    let shown = preview_of(call, &effect, records).await;
    let mut value = plan_json(plan, &shown, &app.door.plans().standing(plan));
    value["by"] = json!(plan.author.principal);
    value["client"] = json!(plan.author.client);
    value["tool"] = json!(plan.author.action);
    value["base"] = json!(plan.base);
    value["created"] = json!(instant_text(plan.created_at));
    if let Some(outcome) = &plan.outcome {
        value["outcome"] = outcome.clone();
    }
    Ok(value)
}
