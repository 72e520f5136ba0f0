//! Requests about bases that live in Airtable, passed on to it as they are.

use bytes::Bytes;
use tablewright_core::model::{BaseId, RecordId, TableId};
use tablewright_core::{Code, Fault};
use tablewright_engine::airtable::Session;
pub use tablewright_engine::airtable::{Forwarded, Method};
use tablewright_engine::replica::{Source, Want};

use crate::access::Need;
use crate::call::{Call, Door};
use crate::view::TableView;

/// A request to Airtable's Web API.
#[derive(Debug, Clone)]
pub struct Passed {
    /// Its method.
    pub method: Method,
    /// What follows the host, with its query.
    pub path: String,
    /// Its body, and the body's media type.
    pub body: Option<(Bytes, String)>,
    /// What is looked at again once it was carried out.
    pub touches: Touches,
}

/// What a request may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Touches {
    /// Nothing that is copied.
    Nothing,
    /// Records, which ones only Airtable knows.
    Records,
    /// One record.
    Record(RecordId),
    /// Tables, fields or views.
    Schema,
}

/// Where an answer comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// What is held here.
    Held(Source),
    /// Airtable itself, asked now.
    Live,
}

impl Door {
    /// True for a base that lives in Airtable.
    pub fn is_cloud(&self, base: BaseId) -> bool {
        self.replica().holds(base)
    }
}

impl Call {
    /// True for a base that lives in Airtable, if the caller may know of it.
    pub fn is_cloud(&self, base: BaseId) -> bool {
        self.replica().holds(base) && self.sees(base)
    }

    /// Whether a table is in the copy, to be read without waiting, and not known to be different in
    /// Airtable now.
    pub async fn is_here(&self, base: BaseId, table: &str) -> Result<bool, Fault> {
        let schema = self.schema(base).await?;
        Ok(schema.table(table).is_ok_and(|table| self.replica().is_settled(base, table.id)))
    }

    /// Whether the names behind a link field are known: what it leads to may not be copied.
    pub fn knows_names(&self, view: &TableView, field: usize) -> bool {
        let base = view.base().schema();
        let link = view.schema().fields.get(field).and_then(|field| field.link());
        link.is_none_or(|link| {
            let there = link.linked_table_id;
            base.table_by_id(there).is_some() && self.replica().is_ready(base.id, there)
        })
    }

    /// Values that change with the time of day are in a copy as old as the last listing of their
    /// table. Notes that for the answer, and says whether that is new enough.
    pub fn may_be_as_old_as_listed(&mut self, view: &TableView) -> bool {
        let (base, table) = (view.base().schema().id, view.schema().id);
        let listed = self.replica().listed_at(base, table).unwrap_or_default();
        let Want { max_staleness, fresh } = self.wanted();
        if let Source::Replica { as_of } = view.base().source() {
            self.note_held(Source::Replica { as_of: as_of.min(listed) });
        }
        let age = u128::from((self.now() - listed).max(0).unsigned_abs());
        !fresh && max_staleness.is_none_or(|most| age <= most.as_millis())
    }

    /// Where answers about a base come from when nothing was read yet; absent for one the caller
    /// may not know of.
    pub fn origin_of(&self, base: BaseId) -> Option<Origin> {
        let known = self.bases().iter().any(|(id, _)| *id == base);
        known.then(|| Origin::Held(self.replica().source(base)))
    }

    /// True for the webhook in Airtable that the copy of a base hears of changes by.
    pub async fn is_own_webhook(&self, base: BaseId, id: &str) -> Result<bool, Fault> {
        Ok(self.replica().webhook(base).await?.as_deref() == Some(id))
    }

    /// The caller's own login at Airtable, if they have connected one.
    pub(crate) async fn own_session(&self) -> Result<Option<Session>, Fault> {
        let Some(member) = &self.caller().member else { return Ok(None) };
        match self.policies().directory().login_of(&member.principal) {
            Some(login) => self.replica().session_of(&login).await.map(Some),
            None => Ok(None),
        }
    }

    /// The login with which Airtable is asked for the caller about a base: their own, or else that of
    /// the base.
    pub(crate) async fn session(&self, base: BaseId) -> Result<Session, Fault> {
        match self.own_session().await? {
            Some(own) => Ok(own),
            None => self.replica().session(base).await,
        }
    }

    /// Passes a request about a base on to Airtable, under the login and at the pace of the base.
    /// What it may have changed is looked at before this answers, or soon where it is not known what.
    pub async fn pass_on(
        &mut self,
        base: BaseId,
        needs: &[Need],
        passed: Passed,
    ) -> Result<Forwarded, Fault> {
        self.require_seen(base)?;
        needs.iter().try_for_each(|need| self.rights_in(base).require(*need))?;
        self.about(base);
        if self.policies().rules_bind(self.caller(), self.action(), base) {
            let message = "a policy says what you may see and do in this base, and what Airtable would answer to this cannot be held to it; use the MCP tools, or read without the view and cell format.";
            return Err(Fault::new(Code::Forbidden, message));
        }
        self.admit_unseen(base, needs).await?;
        let session = self.session(base).await?;
        let Passed { method, path, body, touches } = passed;
        let (bytes, kind) = body.unzip();
        let ask = self.ask().await?;
        let done = session.forward(&ask, base, method, &path, bytes, kind.as_deref()).await;
        let done = done.map_err(Fault::from);
        self.note_answer(&done);
        let changed = match &done {
            Ok(answer) => answer.status < 300,
            Err(fault) => fault.code == Code::OutcomeUnknown,
        };
        match touches {
            Touches::Schema if changed => self.follow_schema(base).await,
            Touches::Records if changed => self.replica().touch(base),
            Touches::Record(record) if changed => self.look_again(base, record).await,
            _ => {}
        }
        done
    }

    /// Fetches a record again. That this did not work is no fault of the call either.
    async fn look_again(&self, base: BaseId, record: RecordId) {
        let again = async {
            let view = self.held(base).await?;
            let table = view.tables().find(|table| table.slot(&record).is_some());
            let Some(table) = table else { return Ok(()) };
            self.replica().fetch_again(base, table.schema().id, &[record]).await
        };
        let again: Result<(), Fault> = again.await;
        if let Err(fault) = again {
            tracing::warn!(%base, %record, %fault, "the record could not be looked at after it was changed");
        }
    }

    /// Looks at the schema of a base again. What was done in Airtable is done, so that this did not
    /// work is no fault of the call; the copy finds out by itself later.
    pub(crate) async fn follow_schema(&self, base: BaseId) {
        if let Err(fault) = self.replica().follow_schema(base).await {
            tracing::warn!(%base, %fault, "the schema could not be looked at after it was changed");
        }
    }

    /// A table was made in Airtable: where some tables are copied, it becomes one of them.
    pub async fn adopt(&self, base: BaseId, table: TableId) -> Result<(), Fault> {
        let held = self.replica().bases().into_iter().find(|(id, _)| *id == base);
        let Some((_, cloud)) = held else { return Ok(()) };
        match cloud.tables {
            Some(mut tables) if !tables.contains(&table) => {
                tables.push(table);
                self.replica().add(&cloud.profile, base, "", Some(tables)).await
            }
            _ => Ok(()),
        }
    }
}
