//! Who we are, bases, and their schemas.

use reqwest::Method;
use serde::Deserialize;
use serde_json::Value;
use tablewright_core::model::{BaseId, Field, FieldId, Table, TableId, View, ViewId};

use super::send::{Repeat, Request};
use super::{Answer, Ask, Error, Session};

const READ: &str = "schema.bases:read";
const WRITE: &str = "schema.bases:write";
const VIEWS_READ: &str = "workspacesAndBases:read";
const VIEWS_WRITE: &str = "workspacesAndBases:write";
/// Most pages of bases that are read; a page has a thousand.
const MAX_PAGES: usize = 100;

/// Whose token it is.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct WhoAmI {
    /// The user's id.
    pub id: String,
    /// The address, when the token may tell it.
    #[serde(default)]
    pub email: Option<String>,
    /// What the token may do; only told for tokens of OAuth.
    #[serde(default)]
    pub scopes: Option<Vec<String>>,
}

/// A base a token grants.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListedBase {
    /// Its id.
    pub id: BaseId,
    /// What people see.
    pub name: String,
    /// `none`, `read`, `comment`, `edit` or `create`.
    #[serde(default)]
    pub permission_level: String,
}

#[derive(Deserialize)]
struct Bases {
    bases: Vec<Value>,
    #[serde(default)]
    offset: Option<String>,
}

#[derive(Deserialize)]
struct Tables {
    tables: Vec<Table>,
}

#[derive(Deserialize)]
struct CreatedBase {
    id: BaseId,
    tables: Vec<Table>,
}

#[derive(Deserialize)]
struct Views {
    views: Vec<View>,
}

impl Session {
    fn meta(&self, base: BaseId, rest: &[&str]) -> Result<url::Url, Error> {
        let base = base.to_string();
        let mut parts = vec!["meta", "bases", base.as_str()];
        parts.extend(rest);
        self.airtable.shared.url(&parts)
    }

    /// Whose token it is.
    pub async fn whoami(&self, ask: &Ask) -> Result<Answer<WhoAmI>, Error> {
        let url = self.airtable.shared.url(&["meta", "whoami"])?;
        self.call(None, ask, &Request::get(url, None, "")).await
    }

    /// All bases the token grants.
    pub async fn bases(&self, ask: &Ask) -> Result<Vec<ListedBase>, Error> {
        let mut all = Vec::new();
        let mut offset: Option<String> = None;
        for _ in 0..MAX_PAGES {
            let mut url = self.airtable.shared.url(&["meta", "bases"])?;
            if let Some(offset) = &offset {
                url.query_pairs_mut().append_pair("offset", offset);
            }
            let page: Answer<Bases> = self.call(None, ask, &Request::get(url, None, READ)).await?;
            for base in page.value.bases {
                match ListedBase::deserialize(&base) {
                    Ok(base) => all.push(base),
                    Err(error) => {
                        tracing::warn!(%error, "a base in Airtable's list cannot be read and is left out")
                    }
                }
            }
            let next = page.value.offset.filter(|next| !next.is_empty());
            if next.is_none() {
                return Ok(all);
            }
            if next == offset {
                return Err(Error::Unanswered("its list of bases goes in circles".into()));
            }
            offset = next;
        }
        Err(Error::Unanswered(format!("its list of bases has more than {MAX_PAGES} pages")))
    }

    /// One base: its name, workspace and the caller's permission level; `include` asks for more
    /// (`collaborators`, `inviteLinks`, `interfaces`).
    pub async fn get_base(&self, ask: &Ask, base: BaseId, include: &[&str]) -> Result<Answer<Value>, Error> {
        let mut url = self.meta(base, &[])?;
        if !include.is_empty() {
            url.query_pairs_mut().extend_pairs(include.iter().map(|what| ("include", what)));
        }
        self.call(None, ask, &Request::get(url, Some(base), READ)).await
    }

    /// The tables of a base with their fields and views.
    pub async fn schema(&self, ask: &Ask, base: BaseId) -> Result<Answer<Vec<Table>>, Error> {
        let mut url = self.meta(base, &["tables"])?;
        url.query_pairs_mut().append_pair("include", "visibleFieldIds");
        let tables: Answer<Tables> = self.call(None, ask, &Request::get(url, Some(base), READ)).await?;
        Ok(tables.map(|tables| tables.tables))
    }

    /// Makes a base of `{"name", "workspaceId", "tables"}`; its id and tables.
    pub async fn create_base(&self, ask: &Ask, body: &Value) -> Result<Answer<(BaseId, Vec<Table>)>, Error> {
        let url = self.airtable.shared.url(&["meta", "bases"])?;
        let request = Request::json(Method::POST, url, None, Repeat::Never, WRITE, body)?;
        let made: Answer<CreatedBase> = self.call(None, ask, &request).await?;
        Ok(made.map(|made| (made.id, made.tables)))
    }

    /// Makes a table of `{"name", "description"?, "fields"}`.
    pub async fn create_table(&self, ask: &Ask, base: BaseId, body: &Value) -> Result<Answer<Table>, Error> {
        let url = self.meta(base, &["tables"])?;
        let request = Request::json(Method::POST, url, Some(base), Repeat::Never, WRITE, body)?;
        self.call(None, ask, &request).await
    }

    /// Changes a table's name or description.
    pub async fn update_table(
        &self,
        ask: &Ask,
        base: BaseId,
        table: TableId,
        body: &Value,
    ) -> Result<Answer<Table>, Error> {
        let url = self.meta(base, &["tables", &table.to_string()])?;
        let request = Request::json(Method::PATCH, url, Some(base), Repeat::Freely, WRITE, body)?;
        self.call(None, ask, &request).await
    }

    /// Makes a field of `{"name", "type", "description"?, "options"?}`.
    pub async fn create_field(
        &self,
        ask: &Ask,
        base: BaseId,
        table: TableId,
        body: &Value,
    ) -> Result<Answer<Field>, Error> {
        let url = self.meta(base, &["tables", &table.to_string(), "fields"])?;
        let request = Request::json(Method::POST, url, Some(base), Repeat::Never, WRITE, body)?;
        self.call(None, ask, &request).await
    }

    /// Changes a field's name, description or options.
    pub async fn update_field(
        &self,
        ask: &Ask,
        base: BaseId,
        table: TableId,
        field: FieldId,
        body: &Value,
    ) -> Result<Answer<Field>, Error> {
        let url = self.meta(base, &["tables", &table.to_string(), "fields", &field.to_string()])?;
        let request = Request::json(Method::PATCH, url, Some(base), Repeat::Freely, WRITE, body)?;
        self.call(None, ask, &request).await
    }

    /// The views of a base; only on plans that tell them apart from the schema.
    pub async fn views(&self, ask: &Ask, base: BaseId) -> Result<Answer<Vec<View>>, Error> {
        let mut url = self.meta(base, &["views"])?;
        url.query_pairs_mut().append_pair("include", "visibleFieldIds");
        let views: Answer<Views> = self.call(None, ask, &Request::get(url, Some(base), VIEWS_READ)).await?;
        Ok(views.map(|views| views.views))
    }

    /// One view.
    pub async fn view(&self, ask: &Ask, base: BaseId, view: ViewId) -> Result<Answer<View>, Error> {
        let mut url = self.meta(base, &["views", &view.to_string()])?;
        url.query_pairs_mut().append_pair("include", "visibleFieldIds");
        self.call(None, ask, &Request::get(url, Some(base), VIEWS_READ)).await
    }

    /// Deletes a view.
    pub async fn delete_view(&self, ask: &Ask, base: BaseId, view: ViewId) -> Result<Answer<()>, Error> {
        let url = self.meta(base, &["views", &view.to_string()])?;
        let request = Request::delete(url, Some(base), VIEWS_WRITE);
        self.delete_one(ask, &request).await
    }
}
