//! Changing bases and their schemas.

mod cloud;

use std::sync::Arc;

use tablewright_core::model::{BaseId, FieldId, TableId, ViewId, WorkspaceId};
use tablewright_core::{Code, Fault};
use tablewright_engine::local::schema::{NewTable, SchemaEdit};

use crate::access::Need;
use crate::call::Call;
use crate::directory::Directory;
use crate::policy::file::Verb;
use crate::rehearsal::Step;
use crate::view::BaseView;

/// An edit of a schema, carried out.
#[derive(Debug, Clone)]
pub struct Edited {
    /// The base with the edit in it.
    pub base: BaseView,
    /// The table it was about.
    pub table: Option<TableId>,
    /// The field it was about.
    pub field: Option<FieldId>,
    /// The view it was about.
    pub view: Option<ViewId>,
    /// The commit in the change log.
    pub change: i64,
}

impl Call {
    /// Makes a base with these tables, at least one, in a workspace: name or id. It lives here: a base in
    /// Airtable is made in Airtable and then connected.
    pub async fn create_base(
        &mut self,
        name: &str,
        workspace: Option<&str>,
        tables: Vec<NewTable>,
    ) -> Result<Edited, Fault> {
        self.caller().rights.require(Need::Schema)?;
        self.policies().require_new_bases(self.caller(), self.action())?;
        if self.caller().profile.is_some() {
            let message = "this token sees the bases of one login at Airtable alone, and a new base would not be one of them; use another token.";
            return Err(Fault::new(Code::Forbidden, message));
        }
        let workspace = self.workspace_for(workspace)?;
        let id = BaseId::random();
        let names: Vec<String> = tables.iter().map(|table| table.name.clone()).collect();
        let step = Step::CreateBase { name: name.to_owned(), tables: names };
        if self.rehearses() {
            let draft = self.engine().new_base(id, name, &tables)?;
            let draft = Arc::new(draft);
            self.note_draft(step, draft.clone());
            let base = self.view_of(draft).await?;
            return Ok(Edited { base, table: None, field: None, view: None, change: 0 });
        }
        self.admit_step(step).await?;
        // First the place: from its first moment on the base is there for the members of its workspace alone.
        self.policies().directory().place_base(id, workspace).await?;
        let by = self.author();
        let change = self.engine().create_base(id, name, tables, by).await?;
        self.about(id);
        let base = self.held(id).await?;
        Ok(Edited { base, table: None, field: None, view: None, change })
    }

    /// The workspace of a new base: the one that is named, or else the only one where the caller may
    /// make bases.
    fn workspace_for(&self, wanted: Option<&str>) -> Result<WorkspaceId, Fault> {
        let directory = self.policies().directory();
        let Some(member) = &self.caller().member else {
            return Ok(match wanted {
                Some(wanted) => directory.find(wanted)?.0,
                None => directory.first(),
            });
        };
        let may = |id: &WorkspaceId| member.role_in(*id).is_some_and(|role| role.allows(Verb::Design));
        let mut theirs = directory.workspaces();
        if let Some(wanted) = wanted {
            theirs.retain(|(id, _)| member.role_in(*id).is_some());
            let (id, name) = Directory::find_among(&theirs, wanted)?;
            if may(&id) {
                return Ok(id);
            }
            let message = format!("your role in the workspace {name:?} does not let you make bases there.");
            return Err(Fault::new(Code::Forbidden, message));
        }
        theirs.retain(|(id, _)| may(id));
        match &theirs[..] {
            [(id, _)] => Ok(*id),
            several => {
                let names: Vec<&str> = several.iter().map(|(_, name)| name.as_str()).collect();
                let message = format!("say in which workspace: {}.", names.join(", "));
                Err(Fault::new(Code::InvalidArguments, message))
            }
        }
    }

    /// Changes the schema of a base; what it did is on disk when this answers.
    pub async fn edit_schema(&mut self, base: BaseId, edit: SchemaEdit) -> Result<Edited, Fault> {
        let removes = matches!(edit, SchemaEdit::DeleteTable(_) | SchemaEdit::DeleteField { .. });
        self.caller().rights.require(if removes { Need::Remove } else { Need::Schema })?;
        self.require_seen(base)?;
        self.require_of_base(Verb::Design, base).await?;
        self.about(base);
        if let Some(done) = self.rehearsed_edit(base, &edit).await {
            let (edit, draft) = done?;
            let (table, field, view) = (edit.table, edit.field, edit.view);
            let base = self.view_of(draft).await?;
            return Ok(Edited { base, table, field, view, change: 0 });
        }
        self.admit_edit(base, &edit).await?;
        if self.is_cloud(base) {
            return self.edit_in_airtable(base, edit).await;
        }
        let amounts = [0, self.deleted_with(base, &edit).await?, 0];
        self.spend(amounts).await?;
        let (by, audit) = (self.author(), self.audit_with_commit());
        let done = self.engine().edit_schema(base, edit, by, audit).await;
        if done.is_err() {
            self.unspend(amounts);
        }
        let done = done?;
        Ok(Edited {
            base: self.view_of(done.snapshot).await?,
            table: done.edit.table,
            field: done.edit.field,
            view: done.edit.view,
            change: done.change,
        })
    }

    /// Deletes a base with everything in it; the commit in the change log.
    pub async fn delete_base(&mut self, base: BaseId) -> Result<i64, Fault> {
        self.caller().rights.require(Need::Remove)?;
        self.require_seen(base)?;
        self.require_of_base(Verb::Design, base).await?;
        self.about(base);
        if self.is_cloud(base) {
            let message = format!(
                "base {base} lives in Airtable, and only a person can delete it there; `tablewright base forget {base}` deletes the copy here."
            );
            return Err(Fault::new(Code::InvalidSchema, message));
        }
        let records = self.whole(base).await?.records() as u64;
        let step = Step::DeleteBase { base, records };
        if self.note_step(|| step.clone()) {
            return Ok(0);
        }
        self.admit_step(step).await?;
        self.spend([0, records, 0]).await?;
        let done = self.engine().delete(base, self.author()).await;
        if done.is_err() {
            self.unspend([0, records, 0]);
        }
        done
    }

    /// Records that go with a table.
    async fn deleted_with(&self, base: BaseId, edit: &SchemaEdit) -> Result<u64, Fault> {
        let SchemaEdit::DeleteTable(table) = edit else { return Ok(0) };
        let snapshot = self.whole(base).await?;
        Ok(snapshot.tables.get(table).map_or(0, |data| data.len() as u64))
    }
}
