//! Members and tokens, as callers manage them: an owner of a workspace in theirs, and whoever is bound
//! by no workspace everywhere. Nobody hands on more than they may do themselves.

use tablewright_core::model::WorkspaceId;
use tablewright_core::{Code, Fault};
use tablewright_engine::store::directory::StoredInvitation;
use tablewright_engine::store::tokens::StoredToken;

use crate::access::{MEMBERS_SCOPE, Need, Rights};
use crate::call::Call;
use crate::directory::{Directory, Listed, Role};
use crate::tokens::NewToken;

/// Days a token lasts when nothing is said.
const USUAL_DAYS: u32 = 90;

/// A token that a caller asks for.
#[derive(Debug, Clone, Default)]
pub struct TokenWanted {
    /// What it is called.
    pub name: String,
    /// What it may do; all that its owner's role allows, within the caller's rights, when absent.
    pub scopes: Option<Vec<String>>,
    /// The service account it is for; the caller themselves when absent.
    pub service: Option<String>,
    /// The workspace whose bases alone it sees: name or id.
    pub workspace: Option<String>,
    /// Days until it is refused on its own; 90 when absent.
    pub days: Option<u32>,
}

fn forbidden(message: impl Into<String>) -> Fault {
    Fault::new(Code::Forbidden, message)
}

impl Call {
    fn directory(&self) -> &Directory {
        self.policies().directory()
    }

    /// The workspaces the caller knows of.
    fn workspaces(&self) -> Vec<(WorkspaceId, String)> {
        let mut known = self.directory().workspaces();
        if let Some(member) = &self.caller().member {
            known.retain(|(id, _)| member.role_in(*id).is_some());
        }
        known
    }

    /// The workspace a text names, of those the caller knows of; the only one without it.
    fn find_workspace(&self, wanted: Option<&str>) -> Result<(WorkspaceId, String), Fault> {
        let known = self.workspaces();
        match (wanted, &known[..]) {
            (Some(wanted), _) => Directory::find_among(&known, wanted),
            (None, [only]) => Ok(only.clone()),
            (None, several) => {
                let names: Vec<&str> = several.iter().map(|(_, name)| name.as_str()).collect();
                let message = format!("say in which workspace: {}.", names.join(", "));
                Err(Fault::new(Code::InvalidArguments, message))
            }
        }
    }

    /// Whether the caller manages a workspace.
    fn manages(&self, workspace: WorkspaceId) -> bool {
        let member = self.caller().member.as_ref();
        self.caller().rights.admin
            && member.is_none_or(|member| member.role_in(workspace) == Some(Role::Owner))
    }

    fn require_manages(&self, workspace: WorkspaceId, name: &str) -> Result<(), Fault> {
        self.caller().rights.require(Need::Admin)?;
        if self.manages(workspace) {
            return Ok(());
        }
        Err(forbidden(format!("only an owner of the workspace {name:?} may do that.")))
    }

    /// The members of a workspace, or of all that the caller knows of, and the invitations that wait in
    /// those that the caller manages.
    pub async fn list_members(
        &self,
        workspace: Option<&str>,
    ) -> Result<(Vec<Listed>, Vec<StoredInvitation>), Fault> {
        let caller = self.caller();
        if caller.member.is_none() {
            caller.rights.require(Need::Admin)?;
        }
        if !caller.rights.email {
            let message = "members are known by their addresses; a person can use a token with the scope user.email:read.";
            return Err(forbidden(message));
        }
        let those = match workspace {
            Some(wanted) => vec![Directory::find_among(&self.workspaces(), wanted)?],
            None => self.workspaces(),
        };
        let mut listed = self.directory().listed(None);
        for member in &mut listed {
            member.roles.retain(|role| those.iter().any(|(_, name)| *name == role.workspace));
        }
        listed.retain(|member| !member.roles.is_empty());
        let manages =
            |id: &str| those.iter().any(|(known, _)| known.to_string() == id && self.manages(*known));
        let mut waiting = self.directory().invitations().await?;
        waiting.retain(|invitation| manages(&invitation.workspace));
        Ok((listed, waiting))
    }

    /// The link of a new invitation, the invitation, and its workspace's name.
    pub async fn invite_member(
        &self,
        email: &str,
        workspace: Option<&str>,
        role: Role,
        days: u32,
    ) -> Result<(String, StoredInvitation, String), Fault> {
        self.caller().rights.require(Need::Admin)?;
        let (workspace, name) = self.find_workspace(workspace)?;
        self.require_manages(workspace, &name)?;
        let origin = self.directory().origin()?;
        let by = &self.caller().principal;
        let invited = self.directory().invite(email, workspace, role, days, by).await?;
        let link = invited.link(&origin);
        Ok((link, invited.stored, name))
    }

    /// Makes a token for the caller, or for a service account of a workspace they manage. The token is
    /// shown this once.
    pub async fn create_token(&self, wanted: TokenWanted) -> Result<(StoredToken, String), Fault> {
        self.caller().rights.require(Need::Admin)?;
        let TokenWanted { name, scopes, service, workspace, days } = wanted;
        let owner = match (&service, &self.caller().member) {
            (Some(service), _) => {
                let name = service.strip_prefix("service:").unwrap_or(service);
                Some(self.directory().find_member(&format!("service:{name}"))?)
            }
            (None, Some(member)) => Some(self.directory().find_member(&member.principal)?),
            (None, None) => None,
        };
        let mut workspace = workspace.map(|wanted| self.find_workspace(Some(&wanted))).transpose()?;
        if let (Some(owner), Some(_)) = (&owner, &service) {
            // What a service does elsewhere is for those to say who manage that.
            let theirs = owner.roles.iter().filter(|(id, _)| self.manages(*id));
            let theirs: Vec<WorkspaceId> = theirs.map(|(id, _)| *id).collect();
            if let Some((id, name)) = &workspace {
                self.require_manages(*id, name)?;
            } else if theirs.len() < owner.roles.len() {
                match &theirs[..] {
                    [only] => workspace = Some(self.directory().find(&only.to_string())?),
                    _ => return Err(forbidden("say for which workspace of yours: workspace.")),
                }
            }
        }
        let workspace = workspace.map(|(id, _)| id);
        let role = owner.as_ref().and_then(|owner| match workspace {
            Some(workspace) => owner.role_in(workspace),
            None => owner.highest(),
        });
        let scopes = match scopes {
            Some(scopes) => {
                self.require_held(&scopes)?;
                scopes
            }
            None => {
                let usual = role.unwrap_or(Role::Reader).scopes();
                usual
                    .into_iter()
                    .filter(|scope| self.require_held(std::slice::from_ref(scope)).is_ok())
                    .collect()
            }
        };
        let days = Some(days.unwrap_or(USUAL_DAYS));
        let new = NewToken { name, scopes, profile: self.own_profile(&owner), owner, workspace, days };
        let (stored, secret) = self.policies().tokens().create(new).await?;
        Ok((stored, secret.reveal().to_owned()))
    }

    /// A token that is nobody's sees no more bases than the one that asks for it.
    fn own_profile(&self, owner: &Option<std::sync::Arc<crate::directory::Member>>) -> Option<String> {
        let profile = self.caller().profile.as_ref().filter(|_| owner.is_none());
        profile.map(|profile| profile.to_string())
    }

    /// Refuses scopes that allow more than the caller may do.
    fn require_held(&self, scopes: &[String]) -> Result<(), Fault> {
        for scope in scopes {
            let asked = Rights::of_scopes(std::slice::from_ref(scope));
            // Deleting comes with writing, and is what a server may forbid on its own.
            let asked = Rights { delete: asked.delete && self.caller().rights.delete, ..asked };
            if asked.and(self.caller().rights) != asked {
                let more = if scope == MEMBERS_SCOPE { "" } else { " or the server's flags do not allow it" };
                return Err(forbidden(format!("you do not have the scope {scope} yourself{more}.")));
            }
        }
        Ok(())
    }

    /// Takes back a token of the caller's, or one of a service account of workspaces they manage; whoever
    /// is bound by no workspace takes back any.
    pub async fn revoke_token(&self, wanted: &str) -> Result<StoredToken, Fault> {
        self.caller().rights.require(Need::Admin)?;
        let tokens = self.policies().tokens();
        let all = tokens.list();
        let is_wanted = |token: &&StoredToken| {
            token.revoked_at.is_none()
                && (token.id == wanted || token.name == wanted)
                && self.may_revoke(token)
        };
        let found = all.iter().find(is_wanted).cloned().ok_or_else(|| {
            let message = format!("there is no token {wanted:?} in force that is yours to take back.");
            Fault::new(Code::InvalidArguments, message)
        })?;
        tokens.revoke(&found.id).await?;
        Ok(found)
    }

    fn may_revoke(&self, token: &StoredToken) -> bool {
        let Some(member) = &self.caller().member else { return true };
        let Some(owner) = token.owner.as_deref() else { return false };
        if *owner == *member.principal {
            return true;
        }
        let owner = self.directory().member(owner, None);
        owner.is_some_and(|owner| owner.roles.iter().all(|(id, _)| self.manages(*id)))
    }
}
