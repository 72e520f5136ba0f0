//! What a person does about workspaces, members and tokens.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tablewright_core::Fault;
use tablewright_core::model::WorkspaceId;
use tablewright_core::model::cell::instant_text;
use tablewright_core::model::schema::find_base;
use tablewright_door::directory::{Directory, PersonEdit};
use tablewright_door::tokens::NewToken;
use tablewright_door::{Call, Role};

use crate::app::App;

/// One thing to do about who may come in.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "members", rename_all = "snake_case")]
pub enum Command {
    /// Make an access token.
    CreateToken {
        /// What its owner calls it.
        name: String,
        /// What it may do.
        scopes: Option<Vec<String>>,
        /// Whose it is.
        owner: Option<String>,
        /// The workspace of its owner whose bases alone it sees.
        workspace: Option<String>,
        /// Days until it is refused on its own.
        days: Option<u32>,
        /// The login whose bases alone it sees.
        profile: Option<String>,
    },
    /// All tokens.
    ListTokens,
    /// Take a token back.
    RevokeToken {
        /// Name or id.
        token: String,
    },
    /// Make a workspace.
    CreateWorkspace {
        /// What people call it.
        name: String,
    },
    /// All workspaces.
    ListWorkspaces,
    /// Give a workspace another name.
    RenameWorkspace {
        /// Name or id.
        workspace: String,
        /// The new name.
        name: String,
    },
    /// Put a base in a workspace.
    MoveBase {
        /// Name, id or URL.
        base: String,
        /// Name or id.
        workspace: String,
    },
    /// Put a login at Airtable in a workspace.
    MoveLogin {
        /// Its name.
        login: String,
        /// Name or id.
        workspace: String,
    },
    /// Delete a workspace nothing is in.
    DeleteWorkspace {
        /// Name or id.
        workspace: String,
    },
    /// Make an invitation.
    Invite {
        /// Whom it is for.
        email: String,
        /// Name or id; the first one when absent.
        workspace: Option<String>,
        /// Their role.
        role: Role,
        /// How long it can be accepted.
        days: u32,
    },
    /// The invitations that wait.
    ListInvitations,
    /// Take an invitation back.
    Withdraw {
        /// Its id.
        invitation: String,
    },
    /// Make a service account.
    CreateService {
        /// Its name.
        name: String,
        /// Name or id; the first one when absent.
        workspace: Option<String>,
        /// Its role.
        role: Role,
    },
    /// People and service accounts.
    ListMembers {
        /// Those of this workspace alone.
        workspace: Option<String>,
    },
    /// Give a member a role in a workspace.
    SetRole {
        /// Who.
        member: String,
        /// Name or id; the first one when absent.
        workspace: Option<String>,
        /// The role.
        role: Role,
    },
    /// Change what is known of a member.
    EditMember {
        /// Who.
        member: String,
        /// What people see.
        name: Option<String>,
        /// An IANA time zone.
        time_zone: Option<String>,
        /// A language tag.
        locale: Option<String>,
    },
    /// Say which login at Airtable is a member's own.
    SetLogin {
        /// Who.
        member: String,
        /// Its name; none when absent.
        login: Option<String>,
    },
    /// End a membership.
    RemoveMember {
        /// Who.
        member: String,
        /// Name or id; the first one when absent.
        workspace: Option<String>,
    },
}

impl Command {
    /// What it is called in the audit log.
    pub fn name(&self) -> &'static str {
        match self {
            Self::CreateToken { .. } => "token create",
            Self::ListTokens => "token list",
            Self::RevokeToken { .. } => "token revoke",
            Self::CreateWorkspace { .. } => "workspace create",
            Self::ListWorkspaces => "workspace list",
            Self::RenameWorkspace { .. } => "workspace rename",
            Self::MoveBase { .. } => "workspace move",
            Self::MoveLogin { .. } => "workspace login",
            Self::DeleteWorkspace { .. } => "workspace delete",
            Self::Invite { .. } => "member invite",
            Self::ListInvitations => "member invitations",
            Self::Withdraw { .. } => "member withdraw",
            Self::CreateService { .. } => "member service",
            Self::ListMembers { .. } => "member list",
            Self::SetRole { .. } => "member role",
            Self::EditMember { .. } => "member set",
            Self::SetLogin { .. } => "member login",
            Self::RemoveMember { .. } => "member remove",
        }
    }
}

/// The scopes of a token that is nobody's, when none are given.
const READING: [&str; 2] = ["data.records:read", "schema.bases:read"];

/// The workspace a text names; the first one without it.
fn find(directory: &Directory, wanted: Option<&str>) -> Result<(WorkspaceId, String), Fault> {
    let first = directory.first().to_string();
    directory.find(wanted.unwrap_or(&first))
}

/// Does it. The answer is what `--json` prints.
pub async fn run(app: &App, call: &mut Call, command: Command) -> Result<Value, Fault> {
    let (tokens, directory) = (&app.tokens, app.tokens.directory());
    match command {
        Command::CreateToken { name, scopes, owner, workspace, days, profile } => {
            if let Some(profile) = &profile {
                app.profiles.session(profile).await?;
            }
            let owner = owner.map(|owner| directory.find_member(&owner)).transpose()?;
            let workspace = workspace.map(|wanted| directory.find(&wanted)).transpose()?.map(|(id, _)| id);
            let role = owner.as_ref().and_then(|owner| match workspace {
                Some(workspace) => owner.role_in(workspace),
                None => owner.highest(),
            });
            let usual = || role.map_or_else(|| READING.map(str::to_owned).to_vec(), Role::scopes);
            let scopes = scopes.unwrap_or_else(usual);
            let new = NewToken { name, scopes, profile, owner, workspace, days };
            let (stored, secret) = tokens.create(new).await?;
            let mut made = serde_json::to_value(&stored).unwrap_or_default();
            made["token"] = json!(secret.reveal());
            Ok(made)
        }
        Command::ListTokens => Ok(serde_json::to_value(&*tokens.list()).unwrap_or_default()),
        Command::RevokeToken { token } => {
            tokens.revoke(&token).await?;
            Ok(json!({ "revoked": token }))
        }
        Command::CreateWorkspace { name } => {
            let (id, name) = directory.create(&name).await?;
            Ok(json!({ "id": id, "name": name }))
        }
        Command::ListWorkspaces => Ok(list_workspaces(app)),
        Command::RenameWorkspace { workspace, name } => {
            let (id, _) = directory.find(&workspace)?;
            let name = directory.rename(id, &name).await?;
            Ok(json!({ "id": id, "name": name }))
        }
        Command::MoveBase { base, workspace } => {
            let (workspace, workspace_name) = directory.find(&workspace)?;
            let (base, name) = find_base(&app.engine.bases(), &base)?.clone();
            call.about(base);
            let mut moved = json!({ "base": base, "name": name, "workspace": workspace_name });
            match app.replica.login_of(base) {
                Some(login) => {
                    directory.place_login(&login, workspace).await?;
                    moved["login"] = json!(login);
                }
                None => directory.place_base(base, workspace).await?,
            }
            Ok(moved)
        }
        Command::MoveLogin { login, workspace } => {
            app.profiles.session(&login).await?;
            let (workspace, name) = directory.find(&workspace)?;
            directory.place_login(&login, workspace).await?;
            Ok(json!({ "login": login, "workspace": name }))
        }
        Command::DeleteWorkspace { workspace } => {
            let (id, name) = directory.find(&workspace)?;
            tokens.delete_workspace(id).await?;
            app.door.forget_own_logins().await?;
            Ok(json!({ "deleted": id, "name": name }))
        }
        Command::Invite { email, workspace, role, days } => {
            let (workspace, name) = find(directory, workspace.as_deref())?;
            let origin = directory.origin()?;
            let invited = directory.invite(&email, workspace, role, days, "local").await?;
            let mut made = serde_json::to_value(&invited.stored).unwrap_or_default();
            made["link"] = json!(invited.link(&origin));
            made["workspace_name"] = json!(name);
            Ok(made)
        }
        Command::ListInvitations => {
            let names = directory.workspaces();
            let named = |id: &str| names.iter().find(|(known, _)| known.to_string() == id);
            let waiting = directory.invitations().await?.into_iter().map(|invitation| {
                let mut listed = serde_json::to_value(&invitation).unwrap_or_default();
                listed["workspace_name"] = json!(named(&invitation.workspace).map(|(_, name)| name));
                listed["until"] = json!(instant_text(invitation.expires_at));
                listed
            });
            Ok(waiting.collect())
        }
        Command::Withdraw { invitation } => {
            directory.withdraw(&invitation).await?;
            Ok(json!({ "withdrawn": invitation }))
        }
        Command::CreateService { name, workspace, role } => {
            let (workspace, workspace_name) = find(directory, workspace.as_deref())?;
            let member = directory.create_service(&name, workspace, role).await?;
            Ok(json!({ "member": member.principal, "workspace": workspace_name, "role": role }))
        }
        Command::ListMembers { workspace } => {
            let only = workspace.map(|wanted| directory.find(&wanted)).transpose()?.map(|(id, _)| id);
            Ok(json!(directory.listed(only)))
        }
        Command::SetRole { member, workspace, role } => {
            let member = directory.find_member(&member)?;
            let (workspace, name) = find(directory, workspace.as_deref())?;
            directory.set_role(&member, workspace, role).await?;
            Ok(json!({ "member": member.principal, "workspace": name, "role": role }))
        }
        Command::EditMember { member, name, time_zone, locale } => {
            let member = directory.find_member(&member)?;
            let member = directory.edit(&member, PersonEdit { name, time_zone, locale }).await?;
            let known = directory.listed(None).into_iter().find(|listed| *listed.member == *member.principal);
            Ok(json!(known))
        }
        Command::SetLogin { member, login } => {
            let member = directory.find_member(&member)?;
            if let Some(login) = &login {
                app.profiles.session(login).await?;
            }
            directory.set_login(&member, login.as_deref()).await?;
            Ok(json!({ "member": member.principal, "login": login }))
        }
        Command::RemoveMember { member, workspace } => {
            let member = directory.find_member(&member)?;
            let (workspace, name) = find(directory, workspace.as_deref())?;
            tokens.remove_member(&member, workspace).await?;
            app.door.forget_own_logins().await?;
            Ok(json!({ "removed": member.principal, "workspace": name }))
        }
    }
}

fn list_workspaces(app: &App) -> Value {
    let directory = app.tokens.directory();
    let bases: Vec<(WorkspaceId, String)> = app
        .engine
        .bases()
        .iter()
        .map(|(id, name)| (app.door.policies().workspace_of(*id), name.clone()))
        .collect();
    let members = directory.members();
    let listed = directory.workspaces().into_iter().map(|(id, name)| {
        let here: Vec<&String> = bases.iter().filter(|(at, _)| *at == id).map(|(_, name)| name).collect();
        let count = members.iter().filter(|member| member.role_in(id).is_some()).count();
        json!({ "id": id, "name": name, "bases": here, "members": count })
    });
    listed.collect()
}
