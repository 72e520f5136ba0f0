//! Asking the person in front of a client: by elicitation, which older clients are sent in the
//! middle of a call, or by an answer that newer ones fill in and send back with the same call.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::time::Duration;

use rmcp::model::{
    CallToolRequestParams, ElicitRequest, ElicitRequestParams, ElicitResult, ElicitationAction,
    ElicitationSchema, InputRequest, InputRequiredResult, ProtocolVersion,
};
use rmcp::service::{ElicitationMode, Peer, RequestContext};
use rmcp::{ErrorData, RoleServer};
use serde_json::Value;
use tablewright_core::model::PlanId;
use tablewright_core::{Code, Fault};
use tablewright_door::plans::{Decider, StoredPlan, digest};
use tablewright_door::preview::Preview;
use tablewright_door::{Caller, Plans};
use tablewright_toolkit::careful::question;
use tablewright_toolkit::{Ask, Said};

/// How long a person has to answer while a call waits.
const PATIENCE: Duration = Duration::from_secs(300);
/// The one thing that is asked.
const APPROVE: &str = "approve";

/// The person in front of one client.
pub(super) struct Person {
    peer: Peer<RoleServer>,
    way: Way,
}

enum Way {
    /// The client says that it cannot ask.
    None,
    /// It is sent a request.
    Request,
    /// It is answered that there is something to ask.
    Answer,
}

impl Person {
    pub(super) fn of(context: &RequestContext<RoleServer>) -> Self {
        let newer = context.protocol_version().is_some_and(|v| v >= ProtocolVersion::V_2026_07_28);
        let declared = context.client_capabilities().is_some_and(|can| can.elicitation.is_some());
        let way = match newer {
            _ if !declared => Way::None,
            true => Way::Answer,
            false if context.peer.supported_elicitation_modes().contains(&ElicitationMode::Form) => {
                Way::Request
            }
            false => Way::None,
        };
        Self { peer: context.peer.clone(), way }
    }
}

impl Ask for Person {
    fn ask<'a>(
        &'a self,
        plan: &'a StoredPlan,
        preview: &'a Preview,
    ) -> Pin<Box<dyn Future<Output = Said> + Send + 'a>> {
        Box::pin(async move {
            match self.way {
                Way::None => Said::Nothing,
                Way::Answer => Said::Later,
                Way::Request => {
                    let asked = form(&question(plan, preview));
                    match self.peer.create_elicitation_with_timeout(asked, Some(PATIENCE)).await {
                        Ok(answer) => said(&answer),
                        Err(error) => {
                            tracing::debug!(%error, "the client could not ask its user");
                            Said::Nothing
                        }
                    }
                }
            }
        })
    }
}

fn form(message: &str) -> ElicitRequestParams {
    let schema = ElicitationSchema::builder().required_bool(APPROVE).build();
    ElicitRequestParams::FormElicitationParams {
        meta: None,
        message: message.to_owned(),
        requested_schema: schema.unwrap_or_else(|_| ElicitationSchema::new(BTreeMap::new())),
    }
}

fn said(answer: &ElicitResult) -> Said {
    let approved =
        answer.content.as_ref().and_then(|content| content.get(APPROVE)) == Some(&Value::Bool(true));
    match answer.action {
        ElicitationAction::Accept if approved => Said::Yes,
        ElicitationAction::Accept | ElicitationAction::Decline => Said::No,
        _ => Said::Nothing,
    }
}

/// The answer that has a newer client ask its user. The state names the plan, which is kept here
/// with everything it is bound to.
pub(super) fn to_be_asked(plan: PlanId, question: &str) -> InputRequiredResult {
    let request = InputRequest::Elicitation(ElicitRequest::new(form(question)));
    InputRequiredResult::new(Some(BTreeMap::from([(APPROVE.to_owned(), request)])), Some(plan.to_string()))
}

/// Takes what the user said, when a call comes back with it. Refuses what is not an answer to a plan
/// of this caller for this very call; gives the fault of a plan that was declined.
pub(super) async fn take_answer(
    plans: &Plans,
    caller: &Caller,
    request: &CallToolRequestParams,
) -> Result<Option<Fault>, ErrorData> {
    let Some(state) = &request.request_state else { return Ok(None) };
    let wrong = |why: &str| ErrorData::invalid_params(format!("requestState: {why}"), None);
    let id: PlanId = state.parse().map_err(|_| wrong("it is none that this server gave out"))?;
    let plan = plans.of(caller, id).await.map_err(|fault| wrong(&fault.message))?;
    let arguments = Value::Object(request.arguments.clone().unwrap_or_default());
    if plan.digest != digest(&request.name, &arguments) {
        return Err(wrong("it belongs to another call"));
    }
    if plan.asks.as_deref() == Some("person") {
        return Err(wrong("only a person at the command line can approve this"));
    }
    let answer = request.input_responses.as_ref().and_then(|all| all.get(APPROVE)).cloned();
    let answer = answer.ok_or_else(|| wrong("the answer to \"approve\" is missing in inputResponses"))?;
    let answer: ElicitResult = serde_json::from_value(answer)
        .map_err(|_| wrong("the answer to \"approve\" is no elicitation result"))?;
    let approve = match said(&answer) {
        Said::Yes => true,
        Said::No => false,
        Said::Nothing | Said::Later => return Ok(Some(declined("the user was asked and did not answer"))),
    };
    let by = Decider::Client(if caller.client.is_empty() { "the client" } else { &caller.client });
    match plans.decide(id, approve, by, None).await {
        Ok(_) if approve => Ok(None),
        Ok(_) => Ok(Some(declined("the user was asked and said no"))),
        Err(fault) => Err(wrong(&fault.message)),
    }
}

fn declined(why: &str) -> Fault {
    Fault::new(Code::Declined, format!("{why}; nothing was written."))
}
