//! What a call sees: bases, tables and rows, as its caller may see them.

use std::sync::Arc;

use serde_json::{Map, Value};
use tablewright_core::model::schema::find_base;
use tablewright_core::model::{Base, BaseId, Field, RecordId, WorkspaceId};
use tablewright_core::{Code, Fault};
use tablewright_engine::Snapshot;
use tablewright_engine::local::Draft;

use crate::access::{Caller, Rights};
use crate::call::{Call, Door};
use crate::directory::Role;
use crate::policy::Reach;
use crate::policy::file::Verb;
use crate::view::{BaseView, TableView};

impl Call {
    /// The bases the caller may see, by name.
    pub fn bases(&self) -> Arc<Vec<(BaseId, String)>> {
        let all = self.engine().bases();
        if self.caller().profile.is_none() && !self.policies().concern(self.caller()) {
            return all;
        }
        Arc::new(all.iter().filter(|(id, _)| self.sees(*id)).cloned().collect())
    }

    /// The workspace a base is in.
    pub fn workspace_of(&self, base: BaseId) -> WorkspaceId {
        self.policies().workspace_of(base)
    }

    /// What the caller's token and their role in the workspace of a base allow.
    pub fn rights_in(&self, base: BaseId) -> Rights {
        let Some(member) = &self.caller().member else { return self.caller().rights };
        let role = member.role_in(self.workspace_of(base));
        self.caller().rights.and(role.map_or(Rights::NONE, Role::rights))
    }

    /// Whether the caller may know of a base.
    pub(crate) fn sees(&self, base: BaseId) -> bool {
        let caller = self.caller();
        let of_login =
            |profile: &Arc<str>| self.replica().login_of(base).is_some_and(|login| *login == **profile);
        caller.profile.as_ref().is_none_or(of_login) && self.policies().shows(caller, self.action(), base)
    }

    /// Refuses a base the caller may not know of, in the words for one that is not there.
    pub(crate) fn require_seen(&self, base: BaseId) -> Result<(), Fault> {
        if self.sees(base) {
            return Ok(());
        }
        find_base(&self.bases(), &base.to_string()).map(drop)
    }

    /// The tables and fields of a base, without reading its records.
    pub async fn schema(&self, base: BaseId) -> Result<Arc<Base>, Fault> {
        self.require_seen(base)?;
        if self.draft(base).is_none() && !self.policies().binds(self.caller(), self.action(), base) {
            return self.engine().schema(base).await;
        }
        let whole = self.whole(base).await?;
        Ok(self.reach(&whole).map_or_else(|| whole.schema.clone(), |reach| reach.schema()))
    }

    /// The records of a base, when it is in memory already and the caller may see all of them.
    pub fn records(&self, base: BaseId) -> Option<usize> {
        let held = self.engine().in_memory(base).filter(|_| self.sees(base))?;
        let sees_all = self.reach(&held).is_none_or(|reach| reach.lens().is_none());
        sees_all.then(|| held.records())
    }

    /// How far the caller reaches in a base; `None` when no policy binds them.
    pub(crate) fn reach(&self, whole: &Snapshot) -> Option<Arc<Reach>> {
        self.policies().reach(self.caller(), self.action(), whole)
    }

    /// A base as it is, with what a rehearsal did to it: for what the program works out by itself, not
    /// to be shown.
    pub(crate) async fn whole(&self, base: BaseId) -> Result<Arc<Snapshot>, Fault> {
        match self.draft(base) {
            Some(draft) => Ok(draft),
            None => self.engine().snapshot(base).await,
        }
    }

    /// Refuses what a policy does not let the caller do with a base as a whole.
    pub(crate) async fn require_of_base(&self, verb: Verb, base: BaseId) -> Result<(), Fault> {
        if !self.policies().binds(self.caller(), self.action(), base) {
            return Ok(());
        }
        let whole = self.whole(base).await?;
        self.reach(&whole).map_or(Ok(()), |reach| reach.require(verb))
    }

    /// Refuses what a policy does not let the caller do with the records of a table.
    pub(crate) async fn require_of_table(&self, verb: Verb, view: &TableView) -> Result<(), Fault> {
        let base = view.base().schema().id;
        if !self.policies().binds(self.caller(), self.action(), base) {
            return Ok(());
        }
        let whole = self.whole(base).await?;
        self.reach(&whole).map_or(Ok(()), |reach| reach.require_in(verb, view.schema()))
    }

    /// Refuses what a policy does not let the caller do with a cell that Airtable itself will change: what
    /// has to hold for the record afterwards cannot be looked at.
    pub(crate) async fn require_of_cell(
        &self,
        view: &TableView,
        record: RecordId,
        field: &Field,
    ) -> Result<(), Fault> {
        let (base, table) = (view.base().schema().id, view.schema());
        if !self.policies().binds(self.caller(), self.action(), base) {
            return Ok(());
        }
        let whole = self.whole(base).await?;
        let Some(reach) = self.reach(&whole) else { return Ok(()) };
        reach.require_in(Verb::Update, table)?;
        if reach.limits_rows(table.id) && view.slot(&record).is_none() {
            let message = format!("table {:?} has no record {record}.", table.name);
            return Err(Fault::new(Code::UnknownRecord, message).about(record.to_string()));
        }
        let why = reach.why_not(Verb::Update, table.id, field.id).map(str::to_owned);
        let masked = || field.mask.map(|_| "it is masked for you".to_owned());
        let unseen = || {
            let rules = !reach.required(table.id).is_empty();
            rules.then(|| "rules of the policy cannot look at a file before it is there".to_owned())
        };
        why.or_else(masked).or_else(unseen).map_or(Ok(()), |why| {
            let message =
                format!("you may not change the field {:?} of {:?}: {why}.", field.name, table.name);
            Err(Fault::new(Code::Forbidden, message))
        })
    }

    /// True when the caller sees less of a base than there is.
    pub async fn sees_part_of(&self, base: BaseId) -> Result<bool, Fault> {
        if !self.policies().binds(self.caller(), self.action(), base) {
            return Ok(false);
        }
        let whole = self.whole(base).await?;
        Ok(self.reach(&whole).is_some_and(|reach| reach.lens().is_some()))
    }

    /// The base named `wanted`: id, name or URL.
    pub async fn base(&mut self, wanted: &str) -> Result<BaseView, Fault> {
        let id = self.find(wanted)?;
        self.replica().fresh(id, None, self.wanted()).await?;
        let view = self.held(id).await?;
        self.note_held(view.source());
        Ok(view)
    }

    /// The id of the base named `wanted`.
    fn find(&mut self, wanted: &str) -> Result<BaseId, Fault> {
        let bases = self.bases();
        let (id, _) = find_base(&bases, wanted)?;
        self.about(*id);
        Ok(*id)
    }

    /// A base as it is held now.
    pub async fn held(&self, base: BaseId) -> Result<BaseView, Fault> {
        // The source first: what is read afterwards is at least as new.
        let source = self.replica().source(base);
        let whole = self.whole(base).await?;
        let seen = match self.reach(&whole) {
            Some(reach) => reach.look(whole, self.now(), self.draft(base).is_none()).await?,
            None => whole,
        };
        Ok(BaseView::new(seen, source))
    }

    /// When a base came into the store, in milliseconds since the epoch.
    pub async fn created(&self, base: &BaseView) -> Result<i64, Fault> {
        let created = self.engine().store().created(base.schema().id).await.map_err(Fault::from)?;
        Ok(created.unwrap_or_default())
    }

    /// A table of a base, each by id, name or URL.
    pub async fn table(&mut self, base: &str, table: &str) -> Result<TableView, Fault> {
        let base = self.find(base)?;
        let mut held = self.held(base).await?;
        let mut id = held.schema().table(table).map(|table| table.id);
        if held.is_cloud() {
            // A table that is not known may have come since.
            self.replica().fresh(base, id.as_ref().ok().copied(), self.wanted()).await?;
            held = self.held(base).await?;
            id = held.schema().table(table).map(|table| table.id);
        }
        self.note_held(held.source());
        self.note_seen(held.change());
        let id = id?;
        self.note_table(id);
        held.table_by_id(id)
    }

    /// For each record of an upsert the one it is about, of those the caller sees; `None` for a new one.
    pub fn match_upsert(
        &self,
        view: &TableView,
        on: &[String],
        records: &[(Option<RecordId>, Map<String, Value>)],
        typecast: bool,
    ) -> Result<Vec<Result<Option<RecordId>, Fault>>, Fault> {
        Draft::of(&view.base().snapshot()).match_records(view.schema(), on, records, typecast)
    }

    /// The base at the moment of `snapshot`, as the caller sees it: what a write of theirs left.
    pub async fn view_of(&self, snapshot: Arc<Snapshot>) -> Result<BaseView, Fault> {
        let source = self.replica().source(snapshot.schema.id);
        let seen = match self.reach(&snapshot) {
            Some(reach) => reach.look(snapshot, self.now(), !self.rehearses()).await?,
            None => snapshot,
        };
        Ok(BaseView::new(seen, source))
    }
}

impl Door {
    /// Whether somebody sees all of a base, so that they may be told when any of it changes.
    pub async fn shows_all(&self, caller: &Caller, base: BaseId) -> bool {
        let action = "resources/subscribe";
        let policies = self.policies();
        if !policies.shows(caller, action, base) {
            return false;
        }
        if !policies.binds(caller, action, base) {
            return true;
        }
        // Whoever knew of a base may hear that it is gone.
        let Ok(whole) = self.engine().snapshot(base).await else { return true };
        policies.reach(caller, action, &whole).is_none_or(|reach| reach.lens().is_none())
    }

    /// All of a base as it is now, to find out what a change means. Nothing is written down about it,
    /// and nothing of it may be shown.
    pub async fn peek(&self, base: BaseId) -> Result<BaseView, Fault> {
        Ok(BaseView::new(self.engine().snapshot(base).await?, self.replica().source(base)))
    }
}
