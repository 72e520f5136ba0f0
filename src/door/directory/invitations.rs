//! Invitations: a link that makes one person a member of a workspace, once.

use sha2::{Digest as _, Sha256};
use tablewright_core::model::{RecordId, WorkspaceId};
use tablewright_core::secret::Secret;
use tablewright_core::{Code, Fault};
use tablewright_engine::store::directory::{StoredInvitation, StoredMember, StoredPerson};

use super::{Directory, Role, name_of, principal_of, wrong};

/// Most invitations that wait.
const MAX_WAITING: usize = 1_000;
/// Longest time one can be accepted, in days.
const MAX_DAYS: u32 = 90;
const DAY_MS: i64 = 24 * 3_600_000;

/// An invitation that was just made. Its code is shown this once.
pub struct Invited {
    /// What is kept.
    pub stored: StoredInvitation,
    /// What the link carries.
    pub code: Secret,
}

impl Invited {
    /// The link, at the place where people reach this server.
    pub fn link(&self, origin: &str) -> String {
        format!("{origin}/invitation?code={}", self.code.reveal())
    }
}

/// What accepting an invitation will write.
pub(crate) struct Acceptance {
    pub(crate) invitation: StoredInvitation,
    pub(crate) workspace: WorkspaceId,
    pub(crate) role: Role,
    pub(crate) person: StoredPerson,
    pub(crate) member: StoredMember,
}

fn hash(code: &str) -> String {
    Sha256::digest(code.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn not_there() -> Fault {
    let message = "This invitation was accepted or withdrawn, or its time is over; ask for another one.";
    Fault::new(Code::Forbidden, message)
}

impl Directory {
    /// Invites whoever has an address to be a member, within so many days.
    pub async fn invite(
        &self,
        email: &str,
        workspace: WorkspaceId,
        role: Role,
        days: u32,
        by: &str,
    ) -> Result<Invited, Fault> {
        let principal = principal_of(email)?;
        if !(1..=MAX_DAYS).contains(&days) {
            return Err(wrong(format!("an invitation lasts 1 to {MAX_DAYS} days")));
        }
        let _one = self.0.edits.lock().await;
        if self.member(&principal, Some(workspace)).is_some() {
            let message = format!(
                "{email} is a member already; `tablewright member role` or a removal changes what they may do"
            );
            return Err(Fault::new(Code::Conflict, message));
        }
        self.require_room(&principal)?;
        let now = self.now();
        let waiting = self.0.engine.store().invitations(now).await.map_err(Fault::from)?;
        if waiting.len() >= MAX_WAITING {
            return Err(wrong(format!("{MAX_WAITING} invitations wait; withdraw some first")));
        }
        let random = |_: u8| RecordId::random().body().to_owned();
        let code = Secret::new((0..3).map(random).collect::<String>());
        let stored = StoredInvitation {
            id: format!("inv{}", random(0)),
            hash: hash(code.reveal()),
            workspace: workspace.to_string(),
            email: principal.strip_prefix("person:").unwrap_or_default().to_owned(),
            role: role.as_str().to_owned(),
            made_by: by.to_owned(),
            made_at: now,
            expires_at: now + i64::from(days) * DAY_MS,
            ended_at: None,
        };
        self.0.engine.store().add_invitation(&stored).await.map_err(Fault::from)?;
        Ok(Invited { stored, code })
    }

    /// Invitations that wait to be accepted, oldest first.
    pub async fn invitations(&self) -> Result<Vec<StoredInvitation>, Fault> {
        self.0.engine.store().invitations(self.now()).await.map_err(Fault::from)
    }

    /// Takes an invitation back, by id.
    pub async fn withdraw(&self, id: &str) -> Result<(), Fault> {
        let ended = self.0.engine.store().end_invitation(id.trim(), self.now()).await.map_err(Fault::from)?;
        if ended {
            Ok(())
        } else {
            Err(wrong(format!("no invitation {id:?} waits; it was accepted, withdrawn, or is over")))
        }
    }

    /// The invitation of a code, as long as it can be accepted.
    pub async fn invitation(&self, code: &str) -> Result<StoredInvitation, Fault> {
        // What is compared are hashes of secrets: how long it takes tells nothing of them.
        let wanted = hash(code.trim());
        let waiting = self.invitations().await?;
        waiting.into_iter().find(|invitation| invitation.hash == wanted).ok_or_else(not_there)
    }

    /// What accepting the invitation of a code means for somebody who calls themselves `name`.
    pub(crate) async fn acceptance(&self, code: &str, name: &str) -> Result<Acceptance, Fault> {
        let invitation = self.invitation(code).await?;
        let name = name_of("a person", name)?;
        let principal = principal_of(&invitation.email)?;
        self.require_room(&principal)?;
        let (workspace, _) = self.find(&invitation.workspace)?;
        let role = Role::read(&invitation.role)?;
        let (person, member) = self.records(&principal, &name, workspace, role);
        Ok(Acceptance { invitation, workspace, role, person, member })
    }

    /// Refuses an invitation that is over.
    pub(crate) fn not_there() -> Fault {
        not_there()
    }
}
