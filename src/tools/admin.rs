//! Who may see and do what: policies, members, tokens.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tablewright_core::Fault;
use tablewright_core::model::cell::instant_text;
use tablewright_door::directory::Listed;
use tablewright_door::members::TokenWanted;
use tablewright_door::policy::Explained;
use tablewright_door::policy::file::Verb;
use tablewright_door::{Role, StoredInvitation, StoredToken};
use tablewright_toolkit::Answer;
use tablewright_toolkit::arguments::schema_of;
use tablewright_toolkit::registry::{CallContext, Tool};

/// `explain_access`
pub struct ExplainAccess;

/// Arguments of `explain_access`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Args {
    /// What to do.
    verb: Verb,
    /// Name, id or URL.
    base: String,
    /// Name, id or URL.
    table: Option<String>,
    /// Name or id; needs table.
    field: Option<String>,
    /// With this tool.
    tool: Option<String>,
}

impl Tool for ExplainAccess {
    const NAME: &'static str = "explain_access";
    type Args = Args;

    fn output_schema() -> Option<Map<String, Value>> {
        Some(schema_of::<Explained>())
    }

    async fn run(context: &mut CallContext, args: Args) -> Result<Answer, Fault> {
        let Args { verb, base, table, field, tool } = args;
        let explained =
            context.call.explain_access(verb, &base, table.as_deref(), field.as_deref(), tool).await?;
        answer(explained)
    }
}

/// `list_members`
pub struct ListMembers;

/// Arguments of `list_members`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListMembersArgs {
    /// Name or id; all when left out.
    workspace: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Members {
    members: Vec<Listed>,
    invitations: Vec<Invitation>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Invitation {
    id: String,
    email: String,
    role: String,
    /// When the link ends.
    until: String,
}

impl Invitation {
    fn of(stored: StoredInvitation) -> Self {
        let StoredInvitation { id, email, role, expires_at, .. } = stored;
        Self { id, email, role, until: instant_text(expires_at) }
    }
}

impl Tool for ListMembers {
    const NAME: &'static str = "list_members";
    type Args = ListMembersArgs;

    fn output_schema() -> Option<Map<String, Value>> {
        Some(schema_of::<Members>())
    }

    async fn run(context: &mut CallContext, args: ListMembersArgs) -> Result<Answer, Fault> {
        let (members, waiting) = context.call.list_members(args.workspace.as_deref()).await?;
        let invitations = waiting.into_iter().map(Invitation::of).collect();
        answer(Members { members, invitations })
    }
}

/// `invite_member`
pub struct InviteMember;

/// Arguments of `invite_member`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InviteMemberArgs {
    /// Their email address.
    email: String,
    role: Role,
    /// Name or id; needed when there are several.
    workspace: Option<String>,
    /// Days until the link ends, 1 to 90.
    #[serde(default = "week")]
    days: u32,
}

fn week() -> u32 {
    7
}

#[derive(Debug, Serialize, JsonSchema)]
struct Invited {
    /// For this person alone.
    link: String,
    workspace: String,
    invitation: Invitation,
}

impl Tool for InviteMember {
    const NAME: &'static str = "invite_member";
    type Args = InviteMemberArgs;

    fn output_schema() -> Option<Map<String, Value>> {
        Some(schema_of::<Invited>())
    }

    async fn run(context: &mut CallContext, args: InviteMemberArgs) -> Result<Answer, Fault> {
        let InviteMemberArgs { email, role, workspace, days } = args;
        let (link, stored, workspace) =
            context.call.invite_member(&email, workspace.as_deref(), role, days).await?;
        answer(Invited { link, workspace, invitation: Invitation::of(stored) })
    }
}

/// `create_token`
pub struct CreateToken;

/// Arguments of `create_token`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateTokenArgs {
    /// What it is called.
    name: String,
    /// The service account it is for; yourself when left out.
    service: Option<String>,
    /// Such as data.records:read; all that the role allows, within your rights, when left out.
    scopes: Option<Vec<String>>,
    /// Sees the bases of this workspace alone: name or id.
    workspace: Option<String>,
    /// Until it ends; 90 when left out.
    days: Option<u32>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct MadeToken {
    id: String,
    name: String,
    /// Shown this once.
    token: String,
    scopes: Vec<String>,
    /// Whose it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    owner: Option<String>,
    /// When it ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until: Option<String>,
}

impl Tool for CreateToken {
    const NAME: &'static str = "create_token";
    type Args = CreateTokenArgs;

    fn output_schema() -> Option<Map<String, Value>> {
        Some(schema_of::<MadeToken>())
    }

    async fn run(context: &mut CallContext, args: CreateTokenArgs) -> Result<Answer, Fault> {
        let CreateTokenArgs { name, service, scopes, workspace, days } = args;
        let wanted = TokenWanted { name, scopes, service, workspace, days };
        let (stored, token) = context.call.create_token(wanted).await?;
        let StoredToken { id, name, scopes, owner, expires_at, .. } = stored;
        answer(MadeToken { id, name, token, scopes, owner, until: expires_at.map(instant_text) })
    }
}

/// `connect_airtable`
pub struct ConnectAirtable;

/// Arguments of `connect_airtable`: none.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConnectAirtableArgs {}

#[derive(Debug, Serialize, JsonSchema)]
struct Connecting {
    /// For yourself alone.
    link: String,
}

impl Tool for ConnectAirtable {
    const NAME: &'static str = "connect_airtable";
    type Args = ConnectAirtableArgs;

    fn output_schema() -> Option<Map<String, Value>> {
        Some(schema_of::<Connecting>())
    }

    async fn run(context: &mut CallContext, _: ConnectAirtableArgs) -> Result<Answer, Fault> {
        answer(Connecting { link: context.call.connect_airtable()? })
    }
}

/// `revoke_token`
pub struct RevokeToken;

/// Arguments of `revoke_token`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RevokeTokenArgs {
    /// Name or id.
    token: String,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Revoked {
    id: String,
    name: String,
}

impl Tool for RevokeToken {
    const NAME: &'static str = "revoke_token";
    type Args = RevokeTokenArgs;

    fn output_schema() -> Option<Map<String, Value>> {
        Some(schema_of::<Revoked>())
    }

    async fn run(context: &mut CallContext, args: RevokeTokenArgs) -> Result<Answer, Fault> {
        let StoredToken { id, name, .. } = context.call.revoke_token(args.token.trim()).await?;
        answer(Revoked { id, name })
    }
}

fn answer(result: impl Serialize) -> Result<Answer, Fault> {
    Ok(Answer::Structured(serde_json::to_value(result).unwrap_or_default()))
}
