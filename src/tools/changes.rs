//! Plans, the journal of changes and undo.

mod audit;
mod journal;
mod undo;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use tablewright_core::model::PlanId;
use tablewright_core::{Code, Fault};
use tablewright_door::plans::effect_of;
use tablewright_toolkit::Answer;
use tablewright_toolkit::careful::{plan_json, preview_of};
use tablewright_toolkit::registry::{CallContext, Tool};

pub use audit::QueryAuditLog;
pub use journal::{GetRecordHistory, ListChanges};
pub use undo::UndoChanges;

/// `apply_plan`
pub struct ApplyPlan;

/// Arguments of `apply_plan`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ApplyArgs {
    /// Its id, as the call that made it says.
    plan: String,
}

/// The plan a text names.
pub(crate) fn plan_id(text: &str) -> Result<PlanId, Fault> {
    text.trim().parse().map_err(|_| {
        let shown: String = text.chars().take(40).collect();
        Fault::new(Code::InvalidArguments, format!("{shown:?} is no plan; its id begins with pln."))
    })
}

/// Records of a page.
const RECORDS: usize = 50;

/// `get_plan`
pub struct GetPlan;

/// Arguments of `get_plan`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GetPlanArgs {
    /// Its id.
    plan: String,
    /// Records to skip.
    #[serde(default)]
    skip: usize,
}

impl Tool for GetPlan {
    const NAME: &'static str = "get_plan";
    type Args = GetPlanArgs;

    async fn run(context: &mut CallContext, args: GetPlanArgs) -> Result<Answer, Fault> {
        let plans = context.door.plans().clone();
        let plan = plans.of(context.call.caller(), plan_id(&args.plan)?).await?;
        let effect = effect_of(&plan)?;
        let mut shown = preview_of(&context.call, &effect, args.skip.saturating_add(RECORDS)).await;
        shown.records.drain(..args.skip.min(shown.records.len()));
        let mut value = plan_json(&plan, &shown, &plans.standing(&plan));
        if shown.more_records > 0 {
            value["next_skip"] = json!(args.skip + shown.records.len());
        }
        Ok(Answer::Structured(value))
    }
}

impl Tool for ApplyPlan {
    const NAME: &'static str = "apply_plan";
    type Args = ApplyArgs;

    async fn run(context: &mut CallContext, args: ApplyArgs) -> Result<Answer, Fault> {
        let caller = context.call.caller().clone();
        let plan = context.door.plans().of(&caller, plan_id(&args.plan)?).await?;
        let tool = context.surface.get(&plan.author.action).cloned().ok_or_else(|| {
            let message =
                format!("plan {} needs the tool {}, which is not offered here.", plan.id, plan.author.action);
            Fault::new(Code::Forbidden, message)
        })?;
        tool.carry_out(context, &plan).await
    }
}
