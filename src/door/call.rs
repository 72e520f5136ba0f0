//! One call: everything it asks goes through here, and one audit line comes out.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use tablewright_core::model::{BaseId, CallId, RecordId, TableId};
use tablewright_core::{Code, Fault};
use tablewright_engine::airtable::{Ask, Tally};
use tablewright_engine::base::changes::Author;
use tablewright_engine::base::{Change, TableChanges};
use tablewright_engine::files::Files;
use tablewright_engine::local::{Action, Outcome};
use tablewright_engine::replica::{Replica, Source, Want};
use tablewright_engine::{AuditEntry, Engine, Snapshot};
use tokio::sync::broadcast;

use crate::access::{Caller, Rights};
use crate::attachments::{self, FailedFile};
use crate::budget::{Amounts, Budgets};
use crate::careful::Mode;
use crate::circuit::{Circuit, Ended};
use crate::live::Origin;
use crate::moments;
use crate::own_login::OwnLogins;
use crate::people;
use crate::plan::{Plan, WriteOptions};
use crate::plans::Plans;
use crate::policy::Policies;
use crate::reads::Reads;
use crate::tasks::TaskPart;
use crate::tokens::Tokens;
use crate::view::TableView;

/// Most records an audit line names.
const MAX_NOTED: usize = 1_000;

/// How often a write is begun anew because others changed its records meanwhile.
const MAX_TRIES: usize = 30;

/// The door of a data directory. Cheap to clone.
#[derive(Clone)]
pub struct Door {
    engine: Engine,
    files: Files,
    replica: Replica,
    plans: Plans,
    policies: Policies,
    limits: Limits,
    reads: Reads,
    own_logins: OwnLogins,
}

/// What bounds the calls of one principal and one conversation.
#[derive(Clone)]
pub struct Limits {
    /// How much they may do.
    pub budgets: Budgets,
    /// How often the same.
    pub circuit: Circuit,
    /// Whether calls that only read get a line in the audit log.
    pub audit_reads: bool,
}

impl Door {
    /// The door to everything `engine`, `files` and `replica` hold.
    pub fn new(
        engine: Engine,
        files: Files,
        replica: Replica,
        plans: Plans,
        policies: Policies,
        limits: Limits,
    ) -> Self {
        Self {
            engine,
            files,
            replica,
            plans,
            policies,
            limits,
            reads: Reads::default(),
            own_logins: OwnLogins::default(),
        }
    }

    /// The policies.
    pub fn policies(&self) -> &Policies {
        &self.policies
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The plans.
    pub fn plans(&self) -> &Plans {
        &self.plans
    }

    /// The tokens, and the directory of those they belong to.
    pub fn tokens(&self) -> &Tokens {
        self.policies.tokens()
    }

    /// The files of attachments.
    pub fn files(&self) -> &Files {
        &self.files
    }

    pub(crate) fn replica(&self) -> &Replica {
        &self.replica
    }

    pub(crate) fn own_logins(&self) -> &OwnLogins {
        &self.own_logins
    }

    /// Every commit from now on, once it is visible.
    pub fn feed(&self) -> broadcast::Receiver<Arc<Change>> {
        self.engine.feed()
    }

    /// Somebody waits for changes of a base; to be called again and again.
    pub fn touch(&self, base: BaseId) {
        self.replica.touch(base);
    }

    /// Opens a call named `action` (a tool or command) by `caller`.
    pub fn call(&self, caller: Caller, action: &str) -> Call {
        // In a conversation that lasts, the caller may be somebody else's guest by now, or nobody's.
        let caller = self.tokens().again(&caller).unwrap_or(Caller { rights: Rights::NONE, ..caller });
        Call {
            engine: self.engine.clone(),
            files: self.files.clone(),
            replica: self.replica.clone(),
            plans: self.plans.clone(),
            policies: self.policies.clone(),
            limits: self.limits.clone(),
            reads: self.reads.clone(),
            own_logins: self.own_logins.clone(),
            seen: None,
            spent: [0; 3],
            asked: AtomicU64::new(0),
            tally: Tally::default(),
            told: 0,
            repeated: None,
            refused: false,
            only_reads: false,
            mode: Mode::default(),
            want: Want::default(),
            origin: None,
            caller,
            action: action.into(),
            id: CallId::random().to_string().into(),
            plan: None,
            records: Vec::new(),
            started: Instant::now(),
            base: None,
            table: None,
            audited: false,
        }
    }
}

/// A call in progress. Dropped without [`Call::finish`], it is written down as cancelled.
pub struct Call {
    engine: Engine,
    files: Files,
    replica: Replica,
    plans: Plans,
    policies: Policies,
    limits: Limits,
    reads: Reads,
    own_logins: OwnLogins,
    /// The last commit that what the call reads has.
    seen: Option<i64>,
    /// Records written and deleted, and requests to Airtable, since the last audit line.
    spent: Amounts,
    /// Requests that the budget knows of.
    asked: AtomicU64,
    /// Requests that went out.
    tally: Tally,
    /// Those of them that an audit line has.
    told: u32,
    /// What stands for the call and its arguments, when it writes.
    repeated: Option<Arc<str>>,
    /// It answers that everything it was given is refused.
    refused: bool,
    /// It is of a kind that changes nothing.
    only_reads: bool,
    pub(crate) mode: Mode,
    want: Want,
    origin: Option<Origin>,
    caller: Caller,
    action: Arc<str>,
    /// The same in the audit line and in all commits it makes.
    id: Arc<str>,
    /// The plan it carries out.
    pub(crate) plan: Option<Arc<str>>,
    /// Records it named.
    records: Vec<RecordId>,
    started: Instant,
    base: Option<BaseId>,
    table: Option<TableId>,
    audited: bool,
}

impl Call {
    /// Who is calling.
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// The files of attachments.
    pub fn files(&self) -> &Files {
        &self.files
    }

    /// The plans.
    pub fn plans(&self) -> &Plans {
        &self.plans
    }

    /// This moment, in milliseconds since the epoch.
    pub fn now(&self) -> i64 {
        self.engine.clock().now_ms()
    }

    /// Notes the base a command is about, for the audit line.
    pub fn about(&mut self, base: BaseId) {
        self.base = Some(base);
    }

    /// How fresh what the call reads has to be, where it comes from Airtable.
    pub fn want(&mut self, want: Want) {
        self.want = want;
    }

    /// Where what was answered comes from; absent before anything was.
    pub fn origin(&self) -> Option<Origin> {
        self.origin
    }

    pub(crate) fn reads(&self) -> &Reads {
        &self.reads
    }

    pub(crate) fn own_logins(&self) -> &OwnLogins {
        &self.own_logins
    }

    /// The policies.
    pub fn policies(&self) -> &Policies {
        &self.policies
    }

    /// The tool or command that is used.
    pub(crate) fn action(&self) -> &str {
        &self.action
    }

    pub(crate) fn note_seen(&mut self, change: i64) {
        self.seen = Some(change);
    }

    pub(crate) fn note_table(&mut self, table: TableId) {
        self.table = Some(table);
    }

    /// The table of the call, and the last commit that was read of it.
    pub(crate) fn read_at(&self) -> Option<(TableId, i64)> {
        self.table.zip(self.seen)
    }

    pub(crate) fn wanted(&self) -> Want {
        self.want
    }

    /// Notes that what is held has answered.
    pub(crate) fn note_held(&mut self, source: Source) {
        self.origin = Some(Origin::Held(source));
    }

    /// Notes that Airtable itself has answered, if it has.
    pub(crate) fn note_answer<T>(&mut self, answer: &Result<T, Fault>) {
        if answer.as_ref().err().is_none_or(|fault| fault.origin.is_some()) {
            self.origin = Some(Origin::Live);
        }
    }

    /// Whose turn it is when Airtable is asked for the caller.
    pub(crate) async fn ask(&self) -> Result<Ask, Fault> {
        self.limits.budgets.take(&self.caller, [0, 0, 1]).await?;
        self.asked.fetch_add(1, Ordering::Relaxed);
        Ok(Ask { tally: self.tally.clone(), ..Ask::interactive(self.caller.principal.clone()) })
    }

    /// Takes what a write needs from the budgets; it is given back when `done` does not follow.
    pub(crate) async fn spend(&mut self, amounts: Amounts) -> Result<(), Fault> {
        self.limits.budgets.take(&self.caller, amounts).await?;
        self.asked.fetch_add(amounts[2], Ordering::Relaxed);
        self.spent.iter_mut().zip(amounts).for_each(|(spent, amount)| *spent += amount);
        Ok(())
    }

    /// Gives back what was taken for a write that was not carried out.
    pub(crate) fn unspend(&mut self, amounts: Amounts) {
        let [written, deleted, _] = amounts;
        self.limits.budgets.give_back(&self.caller, [written, deleted, 0]);
        for (spent, amount) in self.spent.iter_mut().zip([written, deleted, 0]) {
            *spent = spent.saturating_sub(amount);
        }
    }

    /// Says what stands for the call and its arguments. Refused when the same was sent too often.
    pub fn not_again(&mut self, digest: String) -> Result<(), Fault> {
        self.limits.circuit.check(&self.caller, &self.action, &digest, self.now())?;
        self.repeated = Some(digest.into());
        Ok(())
    }

    /// Notes that the call is of a kind that changes nothing.
    pub fn only_reads(&mut self) {
        self.only_reads = true;
    }

    /// Notes that the answer says that everything was refused.
    pub fn refused(&mut self) {
        self.refused = true;
    }

    /// Brings the budget in step with the requests that went out.
    fn settle_requests(&mut self) {
        let (sent, known) = (u64::from(self.tally.count()), self.asked.load(Ordering::Relaxed));
        if sent > known {
            self.limits.budgets.used(&self.caller, [0, 0, sent - known]);
        } else if known > sent {
            self.limits.budgets.give_back(&self.caller, [0, 0, known - sent]);
        }
        self.asked.store(sent, Ordering::Relaxed);
    }

    /// The copies of bases that live in Airtable.
    pub fn replica(&self) -> &Replica {
        &self.replica
    }

    /// Plans a write to the table of `view`.
    pub fn plan(&self, view: &TableView, action: Action, options: WriteOptions) -> Result<Plan, Fault> {
        Plan::new(view, action, options, self.caller.rights)
    }

    /// Looks whether the caller is still let in, and what they are in workspaces now: calls that last
    /// do so before each part.
    pub fn renew(&mut self) -> Result<(), Fault> {
        let Some(caller) = self.policies.tokens().again(&self.caller) else {
            let message = "your access was taken back or has ended; nothing more was done.";
            return Err(Fault::new(Code::Forbidden, message));
        };
        self.caller = caller;
        Ok(())
    }

    /// Carries out a plan; what it did is on disk, with its audit line, when this answers. A record
    /// with a file that cannot be taken in is refused.
    pub async fn apply(&mut self, plan: Plan) -> Result<Outcome, Fault> {
        self.apply_part(plan, None).await
    }

    /// The same for a part of a task: with the commit the part is noted as done.
    pub async fn apply_part(&mut self, plan: Plan, part: Option<TaskPart>) -> Result<Outcome, Fault> {
        self.apply_with(plan, part, false).await.map(|(outcome, _)| outcome)
    }

    /// Carries out a plan as [`Call::apply`] does, but leaves files that cannot be fetched out of
    /// their cells instead of refusing the records, and says which.
    pub async fn apply_leaving_out(&mut self, plan: Plan) -> Result<(Outcome, Vec<FailedFile>), Fault> {
        self.apply_with(plan, None, true).await
    }

    async fn apply_with(
        &mut self,
        plan: Plan,
        part: Option<TaskPart>,
        leaves_out: bool,
    ) -> Result<(Outcome, Vec<FailedFile>), Fault> {
        let bound = self.policies.binds(&self.caller, &self.action, plan.base);
        if !bound || self.follows() {
            return self.attempt(plan, part, leaves_out).await;
        }
        for _ in 0..MAX_TRIES {
            match self.attempt(plan.clone(), part.clone(), leaves_out).await {
                // Somebody changed the records after the rules had looked at them.
                Err(fault) if fault.code == Code::PlanStale => {}
                done => return done,
            }
        }
        let message = "others change these records all the time; nothing was written. Send it again.";
        Err(Fault::new(Code::Conflict, message))
    }

    async fn attempt(
        &mut self,
        mut plan: Plan,
        part: Option<TaskPart>,
        leaves_out: bool,
    ) -> Result<(Outcome, Vec<FailedFile>), Fault> {
        let (mut problems, base) = self.take_in(&mut plan).await?;
        if !leaves_out {
            for FailedFile { record, field, fault } in problems.failed.drain(..) {
                problems.refused.entry(record).or_insert(fault.within(format_args!("field {field:?}")));
            }
        }
        let tried = match base {
            Some(base) => self.try_rules(&plan, base, &mut problems.refused).await?,
            None => Vec::new(),
        };
        Ok((self.commit(plan, problems.refused, tried, part).await?, problems.failed))
    }

    /// Makes a plan what will be committed. With what is wrong with it comes the base that it was brought
    /// into terms of, where a policy binds the caller.
    async fn take_in(
        &self,
        plan: &mut Plan,
    ) -> Result<(attachments::Problems, Option<Arc<Snapshot>>), Fault> {
        self.require_seen(plan.base)?;
        let mut refused = BTreeMap::new();
        let base = self.narrow(plan, &mut refused).await?;
        let view = self.held(plan.base).await?.table_by_id(plan.table())?;
        moments::complete(self, &view, &mut plan.write.action, plan.write.typecast);
        // People and files of a base that lives in Airtable are Airtable's to know.
        if !view.base().is_cloud() {
            let typecast = plan.write.typecast;
            people::complete(self, &view, &mut plan.write.action, typecast);
        }
        let mut problems = attachments::take_in(&self.files, &view, &mut plan.write.action).await;
        problems.refused.append(&mut refused);
        Ok((problems, base))
    }

    /// Commits a plan without the records that are refused already; the outcome has them too. Rows have
    /// to be as they were when it was `tried`.
    async fn commit(
        &mut self,
        mut plan: Plan,
        refused: BTreeMap<usize, Fault>,
        tried: Vec<TableChanges>,
        part: Option<TaskPart>,
    ) -> Result<Outcome, Fault> {
        attachments::leave_out(&mut plan, &refused)?;
        if let Some(done) = self.rehearsed(&plan).await {
            let mut outcome = done?;
            attachments::put_back(&mut outcome, refused);
            return Ok(outcome);
        }
        self.renew()?;
        self.about_records(plan.write.action.ids());
        let planned = self.admit(&plan).await?;
        let expect = if planned.is_empty() { tried } else { planned };
        let is_cloud = self.replica.holds(plan.base);
        let own = if is_cloud { self.own_session().await? } else { None };
        let amounts = amounts(&plan.write.action, is_cloud);
        self.spend(amounts).await?;
        let done = if is_cloud {
            let (by, tally) = (self.author(), self.tally.clone());
            let done = self.replica.write(plan.base, plan.write, &by, &tally, part, own.as_ref()).await;
            self.note_answer(&done);
            let outcome = done.as_ref().err().map_or("ok", |fault| fault.code.as_str());
            self.audited = true;
            let mut entry = self.entry(outcome);
            if done.is_err() {
                (entry.written, entry.deleted) = (0, 0);
            }
            self.engine.audit(entry);
            self.engine.settle_audit().await?;
            done
        } else {
            let audit = self.audit_with_commit();
            self.engine.commit_part(plan.base, plan.write, expect, self.author(), part, audit).await
        };
        if done.is_err() {
            self.unspend(amounts);
        }
        let mut outcome = done?;
        self.note_made(&outcome.created);
        let refused_now = outcome.records.iter().filter(|record| record.is_err()).count() as u64;
        self.unspend(if amounts[0] > 0 { [refused_now, 0, 0] } else { [0, refused_now, 0] });
        attachments::put_back(&mut outcome, refused);
        Ok(outcome)
    }

    /// The audit line of a commit is written by the commit itself.
    pub(crate) fn audit_with_commit(&mut self) -> impl FnOnce(&str) -> AuditEntry + Send + use<> {
        self.audited = true;
        let entry = self.entry("");
        let started = self.started;
        move |outcome: &str| {
            let duration_us = started.elapsed().as_micros() as i64;
            let mut entry = AuditEntry { outcome: outcome.to_owned(), duration_us, ..entry };
            if outcome != "ok" {
                (entry.written, entry.deleted) = (0, 0);
            }
            entry
        }
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Writes the audit line: `ok`, or the code of the fault.
    pub fn finish(mut self, fault: Option<Code>) {
        if let Some(digest) = self.repeated.take() {
            let ended = match fault {
                Some(code) => Ended::Fault(code),
                None if self.refused => Ended::Refused,
                None => Ended::Well,
            };
            self.limits.circuit.note(&self.caller, &self.action, digest, ended, self.now());
        }
        self.note(fault.map_or("ok", Code::as_str));
    }

    fn note(&mut self, outcome: &str) {
        self.settle_requests();
        let needs_none = self.only_reads && outcome == "ok" && !self.limits.audit_reads;
        if std::mem::replace(&mut self.audited, true) || needs_none {
            return;
        }
        let entry = self.entry(outcome);
        self.engine.audit(entry);
    }

    /// Who makes the commits of this call.
    pub fn author(&self) -> Author {
        Author {
            principal: self.caller.principal.clone(),
            face: self.caller.face.into(),
            action: self.action.clone(),
            client: self.caller.client.clone(),
            session: self.caller.session.clone(),
            call: self.id.clone(),
            plan: self.plan.clone(),
        }
    }

    /// Notes records a call is about, for the audit line.
    pub fn about_records(&mut self, records: impl IntoIterator<Item = RecordId>) {
        let room = MAX_NOTED.saturating_sub(self.records.len());
        self.records.extend(records.into_iter().take(room));
    }

    fn entry(&mut self, outcome: &str) -> AuditEntry {
        let [written, deleted, _] = std::mem::take(&mut self.spent);
        let count = |amount: u64| u32::try_from(amount).unwrap_or(u32::MAX);
        let sent = self.tally.count();
        let upstream = sent - std::mem::replace(&mut self.told, sent);
        let target = match (self.base, self.table) {
            (Some(base), Some(table)) => format!("{base}/{table}"),
            (Some(base), None) => base.to_string(),
            _ => String::new(),
        };
        AuditEntry {
            at: self.engine.clock().now_ms(),
            author: self.author(),
            target,
            records: self.records.clone(),
            outcome: outcome.to_owned(),
            duration_us: self.started.elapsed().as_micros() as i64,
            upstream,
            written: count(written),
            deleted: count(deleted),
        }
    }
}

/// Records Airtable takes in one request.
const PER_REQUEST: usize = 10;

/// What a write takes from budgets.
fn amounts(action: &Action, is_cloud: bool) -> Amounts {
    let deleted = action.deletes();
    let requests = if is_cloud { action.len().div_ceil(PER_REQUEST) } else { 0 };
    [action.len() - deleted, deleted, requests].map(|count| count as u64)
}

impl Drop for Call {
    fn drop(&mut self) {
        self.note(Code::Cancelled.as_str());
    }
}
