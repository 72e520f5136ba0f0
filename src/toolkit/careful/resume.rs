//! Plans that were cut off when the program ended.

use std::sync::Arc;

use serde_json::json;
use tablewright_core::{Code, Fault};
use tablewright_door::plans::StoredPlan;
use tablewright_door::plans::effect_of;
use tablewright_door::rehearsal::Step;
use tablewright_door::{Door, Rights, Tasks};
use tokio_util::sync::CancellationToken;

use super::Nobody;
use crate::answer::Limits;
use crate::progress::Silent;
use crate::registry::{CallContext, Registry};
use crate::surface::{Selection, Surface};
use crate::text::Boundary;

/// Goes on with the plans that were being carried out when the program ended last: what is done of
/// them is not done again. How many there are.
pub async fn resume(
    registry: &Arc<Registry>,
    door: &Door,
    tasks: &Tasks,
    limits: Limits,
) -> Result<usize, Fault> {
    let left = door.plans().cut_off().await?;
    let count = left.len();
    for plan in left {
        let (registry, door, tasks) = (registry.clone(), door.clone(), tasks.clone());
        tokio::spawn(async move {
            if let Err(fault) = go_on(&registry, &door, &tasks, limits, &plan).await {
                tracing::warn!(plan = %plan.id, %fault, "a plan could not go on after a restart");
                let outcome = json!({ "code": fault.code.as_str(), "message": fault.message });
                if let Err(fault) = door.plans().end(plan.id, false, &outcome).await {
                    tracing::error!(plan = %plan.id, %fault, "the end of a plan was not kept");
                }
            }
        });
    }
    Ok(count)
}

async fn go_on(
    registry: &Registry,
    door: &Door,
    tasks: &Tasks,
    limits: Limits,
    plan: &StoredPlan,
) -> Result<(), Fault> {
    let parts = tasks.parts(&plan.id.to_string()).await?.len();
    if door.plans().is_done(plan, parts).await? {
        let outcome = json!({ "message": "carried out; the program ended before it could say more" });
        return door.plans().end(plan.id, true, &outcome).await;
    }
    let effect = effect_of(plan)?;
    let caller = door.tokens().known(&plan.author.principal);
    let caller =
        caller.ok_or_else(|| Fault::new(Code::Forbidden, "whoever made it is not let in any more"))?;
    let tool = registry.entries().iter().find(|entry| *entry.name == *plan.author.action);
    let tool = tool.ok_or_else(|| {
        Fault::new(Code::UnknownTool, format!("there is no tool {} any more", plan.author.action))
    })?;
    let call = door.call(caller, tool.name);
    let elsewhere = |step: &Step| {
        !matches!(step, Step::Records { .. }) && step.base().is_some_and(|base| call.is_cloud(base))
    };
    if effect.steps.iter().any(elsewhere) {
        let message = "it was sent to Airtable, and the program ended before the answer came; look there";
        return Err(Fault::new(Code::OutcomeUnknown, message));
    }
    let mut context = CallContext {
        call,
        limits,
        boundary: Boundary::random(),
        door: door.clone(),
        cancelled: CancellationToken::new(),
        progress: Arc::new(Silent),
        tasks: tasks.clone(),
        knows_tasks: false,
        ask: Arc::new(Nobody),
        surface: Arc::new(Surface::of(registry, &Selection::default(), Rights::default())),
    };
    // How it ends is kept with the plan.
    let done = tool.go_on(&mut context, plan).await;
    context.call.finish(done.err().map(|fault| fault.code));
    Ok(())
}
