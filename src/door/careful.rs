//! Calls that only rehearse, and calls that carry out a plan.

use std::collections::HashMap;
use std::sync::Arc;

use tablewright_core::model::{BaseId, PlanId, RecordId};
use tablewright_core::{Code, Fault};
use tablewright_engine::Snapshot;
use tablewright_engine::base::TableChanges;
use tablewright_engine::local::schema::{Edit, SchemaEdit};
use tablewright_engine::local::{Outcome, Write};
use tablewright_engine::replica::Want;

use crate::access::Need;
use crate::call::Call;
use crate::plan::Plan;
use crate::rehearsal::{self, Effect, Rehearsal, Step};

/// How a call writes.
#[derive(Default)]
pub(crate) enum Mode {
    /// What it writes is judged write by write.
    #[default]
    Plain,
    /// What it writes was judged as a whole: nobody has to approve it.
    Cleared,
    /// It writes nothing, and notes what it would.
    Rehearsing(Rehearsal),
    /// It carries out a plan.
    Following {
        /// What it does.
        effect: Arc<Effect>,
        /// How many of its writes were begun.
        begun: usize,
        /// Records that were made, by the ids the plan has for them.
        made: HashMap<String, String>,
    },
}

impl Call {
    /// From here on nothing is written; what would be is noted.
    pub fn rehearse(&mut self) {
        self.mode = Mode::Rehearsing(Rehearsal::default());
    }

    /// True for a call that writes nothing.
    pub fn rehearses(&self) -> bool {
        matches!(self.mode, Mode::Rehearsing(_))
    }

    /// What the call would do, once it has rehearsed.
    pub fn take_effect(&mut self) -> Effect {
        match std::mem::take(&mut self.mode) {
            Mode::Rehearsing(rehearsal) => rehearsal.effect,
            _ => Effect::default(),
        }
    }

    /// What of an effect the caller may see.
    pub async fn effect_as_seen(&self, effect: &Effect) -> Result<Effect, Fault> {
        let mut shown = effect.clone();
        for step in &mut shown.steps {
            let Step::Records { base, tables, choices, .. } = step else { continue };
            let Ok(whole) = self.engine().snapshot(*base).await else { continue };
            let reach = self.reach(&whole);
            let Some(lens) = reach.as_ref().and_then(|reach| reach.lens()) else { continue };
            *tables = lens.changes(&whole, tables, self.now())?;
            choices.retain(|new| {
                let table = lens.schema().table_by_id(new.table);
                table.is_some_and(|table| table.field(&new.field).is_ok_and(|field| field.mask.is_none()))
            });
        }
        Ok(shown)
    }

    /// What the call writes was worked out, and nobody has to approve it.
    pub fn clear(&mut self) {
        self.mode = Mode::Cleared;
    }

    /// From here on the call carries out a plan, of which the first writes are `done` already.
    pub fn follow_plan(&mut self, plan: PlanId, effect: Arc<Effect>, done: usize) {
        self.plan = Some(plan.to_string().into());
        self.mode = Mode::Following { effect, begun: done, made: HashMap::new() };
    }

    /// True for a call that carries out a plan.
    pub(crate) fn follows(&self) -> bool {
        matches!(self.mode, Mode::Following { .. })
    }

    /// How many writes of the plan were begun.
    pub fn begun(&self) -> usize {
        match self.mode {
            Mode::Following { begun, .. } => begun,
            _ => 0,
        }
    }

    /// The plan the call carries out.
    pub fn plan_id(&self) -> Option<&str> {
        self.plan.as_deref()
    }

    pub(crate) fn draft(&self, base: BaseId) -> Option<Arc<Snapshot>> {
        match &self.mode {
            Mode::Rehearsing(rehearsal) => rehearsal.draft(base),
            _ => None,
        }
    }

    /// Notes what a write would do; `false` when the call does not rehearse.
    pub(crate) fn note_step(&mut self, step: impl FnOnce() -> Step) -> bool {
        let Mode::Rehearsing(rehearsal) = &mut self.mode else { return false };
        rehearsal.note(step(), None);
        true
    }

    /// Notes what a write would do, and the base as it would be.
    pub(crate) fn note_draft(&mut self, step: Step, draft: Arc<Snapshot>) {
        if let Mode::Rehearsing(rehearsal) = &mut self.mode {
            rehearsal.note(step, Some(draft));
        }
    }

    /// Carries out a write on a draft, when the call rehearses.
    pub(crate) async fn rehearsed(&mut self, plan: &Plan) -> Option<Result<Outcome, Fault>> {
        if !self.rehearses() {
            return None;
        }
        Some(self.on_draft(plan.base, plan.write.clone()).await)
    }

    async fn on_draft(&mut self, base: BaseId, write: Write) -> Result<Outcome, Fault> {
        let (step, outcome) = self.try_write(base, write).await?;
        if let Mode::Rehearsing(rehearsal) = &mut self.mode {
            rehearsal.note(step, Some(outcome.snapshot.clone()));
        }
        Ok(outcome)
    }

    async fn try_write(&self, base: BaseId, write: Write) -> Result<(Step, Outcome), Fault> {
        let held = self.whole(base).await?;
        rehearsal::write(held, write, self.now(), self.caller().principal.to_string()).await
    }

    /// Carries out a change of the schema on a draft, when the call rehearses.
    pub(crate) async fn rehearsed_edit(
        &mut self,
        base: BaseId,
        edit: &SchemaEdit,
    ) -> Option<Result<(Edit, Arc<Snapshot>), Fault>> {
        if !self.rehearses() {
            return None;
        }
        let done = match self.whole(base).await {
            Ok(held) => rehearsal::edit(held, edit.clone(), self.now()).await,
            Err(fault) => Err(fault),
        };
        Some(done.map(|(step, edit, draft)| {
            if let Mode::Rehearsing(rehearsal) = &mut self.mode {
                rehearsal.note(step, Some(draft.clone()));
            }
            (edit, draft)
        }))
    }

    /// Lets a write of records go ahead: it has to be the next of the plan, or one that nobody has to
    /// approve. Gives the rows it may be carried out on as they have to be.
    pub(crate) async fn admit(&mut self, plan: &Plan) -> Result<Vec<TableChanges>, Fault> {
        let (base, write) = (plan.base, &plan.write);
        match &self.mode {
            Mode::Following { .. } => {
                if self.is_cloud(base) {
                    let want = Want { fresh: true, ..Want::default() };
                    self.replica().fresh(base, Some(write.table), want).await?;
                }
                let (now, _) = self.try_write(base, write.clone()).await?;
                let step = self.next_step(&now)?;
                Ok(step.tables().to_vec())
            }
            Mode::Plain if self.may_need_approval() => {
                let (step, _) = self.try_write(base, write.clone()).await?;
                self.judge(step).await?;
                Ok(Vec::new())
            }
            _ => Ok(Vec::new()),
        }
    }

    /// The same for a change of the schema.
    pub(crate) async fn admit_edit(&mut self, base: BaseId, edit: &SchemaEdit) -> Result<(), Fault> {
        let following = self.follows();
        let judged = matches!(self.mode, Mode::Plain) && self.may_need_approval();
        if !following && !judged {
            return Ok(());
        }
        let held = self.whole(base).await?;
        let (step, ..) = rehearsal::edit(held, edit.clone(), self.now()).await?;
        self.admit_step(step).await
    }

    /// The same for a write of which the step is known beforehand.
    pub(crate) async fn admit_step(&mut self, step: Step) -> Result<(), Fault> {
        match &self.mode {
            Mode::Following { .. } => self.next_step(&step).map(drop),
            Mode::Plain if self.may_need_approval() => self.judge(step).await,
            _ => Ok(()),
        }
    }

    /// Lets a request go on to Airtable of which nobody here can work out what it does: where a rule
    /// may be about it, it is refused.
    pub(crate) async fn admit_unseen(&self, base: BaseId, needs: &[Need]) -> Result<(), Fault> {
        if !self.may_need_approval() {
            return Ok(());
        }
        let schema = self.schema(base).await?;
        if self.plans().options().may_stop(self.caller(), needs, Some(&schema)) {
            let message = "a rule asks for approval of such changes, and what this one does cannot be worked out before it is done; make it with the MCP tools, which make a plan that a person can approve.";
            return Err(Fault::new(Code::ApprovalNeeded, message));
        }
        Ok(())
    }

    /// The next step of the plan, which has to be what `now` is.
    fn next_step(&mut self, now: &Step) -> Result<&Step, Fault> {
        let Mode::Following { effect, begun, made } = &mut self.mode else {
            return Err(Fault::new(Code::Internal, "the call carries out no plan"));
        };
        let step = effect.steps.get(*begun).ok_or_else(|| {
            Fault::new(Code::PlanStale, "it would do more than the plan says; make the plan again.")
        })?;
        step.require_same(now, made)?;
        *begun += 1;
        Ok(step)
    }

    /// Notes which records the write that was begun last has made, for those that follow.
    pub(crate) fn note_made(&mut self, ids: &[RecordId]) {
        if let Mode::Following { effect, begun, made } = &mut self.mode
            && let Some(step) = begun.checked_sub(1).and_then(|at| effect.steps.get(at))
        {
            let planned = step.records_made().iter().map(ToString::to_string);
            made.extend(planned.zip(ids.iter().map(ToString::to_string)));
        }
    }

    fn may_need_approval(&self) -> bool {
        let rules = &self.plans().options().rules;
        !rules.is_empty()
    }

    /// Refuses a write that somebody has to approve; it waits as a plan of its own only where the
    /// tools make one.
    async fn judge(&self, step: Step) -> Result<(), Fault> {
        let effect = Effect { steps: vec![step] };
        let Some(needed) = self.needed(&effect).await? else { return Ok(()) };
        let reasons = needed.reasons.join("; ");
        let message = format!(
            "this needs approval: {reasons}. Make it a plan with the MCP tools, which a person can approve."
        );
        Err(Fault::new(Code::ApprovalNeeded, message))
    }

    /// What has to be approved of an effect, if anything.
    pub async fn needed(&self, effect: &Effect) -> Result<Option<crate::approval::Needed>, Fault> {
        let mut bases = std::collections::HashMap::new();
        for id in effect.steps.iter().filter_map(Step::base) {
            if let Ok(schema) = self.schema(id).await {
                bases.insert(id, schema);
            }
        }
        let options = self.plans().options();
        Ok(options.needed(self.caller(), effect, |id| bases.get(&id).map(|base| (**base).clone())))
    }
}
