//! Access tokens: made, checked and taken back. Only hashes are kept.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tablewright_core::model::{RecordId, WorkspaceId};
use tablewright_core::secret::Secret;
use tablewright_core::{Code, Fault};
use tablewright_engine::Engine;
use tablewright_engine::store::tokens::StoredToken;

use crate::access::{Caller, Rights, SCOPES};
use crate::directory::{Directory, Member};

/// What every token starts with, so that scanners for leaked secrets can find it.
pub const PREFIX: &str = "twk_";

/// The tokens of a data directory. Cheap to clone.
#[derive(Clone)]
pub struct Tokens {
    engine: Engine,
    directory: Directory,
    held: Arc<RwLock<Held>>,
}

#[derive(Clone, Default)]
struct Held {
    all: Arc<Vec<StoredToken>>,
    in_force: Arc<[InForce]>,
}

/// What a request needs of a token, worked out once.
struct InForce {
    hash: [u8; 32],
    /// `token:NAME`
    credential: Arc<str>,
    rights: Rights,
    profile: Option<Arc<str>>,
    owner: Option<Arc<str>>,
    workspace: Option<WorkspaceId>,
    until: Option<i64>,
}

/// A token to be made.
#[derive(Debug, Clone, Default)]
pub struct NewToken {
    /// What its owner calls it.
    pub name: String,
    /// What it may do.
    pub scopes: Vec<String>,
    /// The login at Airtable whose bases alone it sees; of a token that is nobody's.
    pub profile: Option<String>,
    /// Whose it is; nobody's in particular when absent.
    pub owner: Option<Arc<Member>>,
    /// The workspace of its owner whose bases alone it sees.
    pub workspace: Option<WorkspaceId>,
    /// Days until it is refused on its own.
    pub days: Option<u32>,
}

/// Longest life of a token that has an end, in days.
const MAX_DAYS: u32 = 3_650;
const DAY_MS: i64 = 24 * 3_600_000;

impl InForce {
    /// `None` for a token that was taken back, or whose hash is none.
    fn of(stored: &StoredToken) -> Option<Self> {
        let mut hash = [0; 32];
        let digits = stored.hash.as_bytes();
        if stored.revoked_at.is_some() || digits.len() != 2 * hash.len() {
            return None;
        }
        for (byte, pair) in hash.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
        }
        let workspace = stored.workspace.as_deref().map(str::parse).transpose().ok()?;
        Some(Self {
            hash,
            credential: format!("token:{}", stored.name).into(),
            rights: Rights::of_scopes(&stored.scopes),
            profile: stored.profile.as_deref().map(Arc::from),
            owner: stored.owner.as_deref().map(Arc::from),
            workspace,
            until: stored.expires_at,
        })
    }

    /// Who comes with it at `now`; `None` when its time is over, or its owner is a member no more.
    fn caller(&self, directory: &Directory, face: &'static str, flags: Rights, now: i64) -> Option<Caller> {
        if self.until.is_some_and(|until| until <= now) {
            return None;
        }
        let rights = self.rights.and(flags);
        let caller = match &self.owner {
            None => Caller::known(self.credential.clone(), face, rights, self.profile.clone()),
            Some(owner) => Caller::of_member(directory.member(owner, self.workspace)?, face, rights),
        };
        Some(Caller { credential: Some(self.credential.clone()), until: self.until, ..caller })
    }
}

fn hash(token: &str) -> String {
    Sha256::digest(token.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Tokens {
    /// Reads the tokens of this engine's store, and the directory of those they belong to.
    pub async fn open(engine: Engine) -> Result<Self, Fault> {
        let directory = Directory::open(engine.clone()).await?;
        let tokens = Self { engine, directory, held: Arc::default() };
        tokens.refresh().await?;
        Ok(tokens)
    }

    /// Who they belong to.
    pub fn directory(&self) -> &Directory {
        &self.directory
    }

    async fn refresh(&self) -> Result<(), Fault> {
        let read = self.engine.store().tokens().await.map_err(Fault::from)?;
        let in_force = read.iter().filter_map(InForce::of).collect();
        let held = Held { all: Arc::new(read), in_force };
        *self.held.write().unwrap_or_else(PoisonError::into_inner) = held;
        Ok(())
    }

    /// Makes a token; this is the only time it is shown.
    pub async fn create(&self, new: NewToken) -> Result<(StoredToken, Secret), Fault> {
        let wrong = |message: String| Err(Fault::new(Code::InvalidArguments, message));
        let name = new.name.trim();
        if name.is_empty() || name.chars().count() > 100 || name.chars().any(char::is_control) {
            return wrong("a token needs a name of 1 to 100 characters on one line (--name)".into());
        }
        if let Some(unknown) = new.scopes.iter().find(|s| !SCOPES.contains(&s.as_str())) {
            return wrong(format!("there is no scope {unknown:?}; use some of: {}", SCOPES.join(", ")));
        }
        if self.list().iter().any(|t| t.name == name && t.revoked_at.is_none()) {
            return Err(Fault::new(
                Code::Conflict,
                format!("there is a token named {name:?} already; revoke it first, or choose another name"),
            ));
        }
        if new.days.is_some_and(|days| !(1..=MAX_DAYS).contains(&days)) {
            return wrong(format!("a token lasts 1 to {MAX_DAYS} days, or without an end"));
        }
        match (&new.owner, new.workspace) {
            (None, Some(_)) => {
                return wrong("a token for one workspace is that of a member; say whose it is".into());
            }
            (Some(owner), Some(workspace)) if owner.role_in(workspace).is_none() => {
                return wrong(format!("{} is no member of that workspace", owner.principal));
            }
            (Some(_), _) if new.profile.is_some() => {
                return wrong(
                    "a member's token sees the bases of their workspaces; leave out the login".into(),
                );
            }
            _ => {}
        }
        let now = self.engine.clock().now_ms();
        let (mut stored, secret) = minted(name, new.scopes, now);
        stored.profile = new.profile;
        stored.owner = new.owner.map(|owner| owner.principal.to_string());
        stored.workspace = new.workspace.map(|workspace| workspace.to_string());
        stored.expires_at = new.days.map(|days| now + i64::from(days) * DAY_MS);
        self.engine.store().add_token(&stored).await.map_err(Fault::from)?;
        self.refresh().await?;
        Ok((stored, secret))
    }

    /// Accepts the invitation of a code for somebody who calls themselves `name`: from now on they are a
    /// member. With it comes a token for its workspace, which is shown this once.
    pub async fn accept(&self, code: &str, name: &str) -> Result<(Arc<Member>, StoredToken, Secret), Fault> {
        let found = self.directory.acceptance(code, name).await?;
        let (now, token) = (self.engine.clock().now_ms(), RecordId::random());
        let called = format!("{} {}", found.invitation.email, &token.body()[..6]);
        let (mut stored, secret) = minted(&called, found.role.scopes(), now);
        stored.owner = Some(found.person.principal.clone());
        stored.workspace = Some(found.workspace.to_string());
        let store = self.engine.store();
        let accepted =
            store.accept_invitation(&found.invitation.id, &found.person, &found.member, &stored).await;
        if !accepted.map_err(Fault::from)? {
            return Err(Directory::not_there());
        }
        self.directory.refresh().await?;
        self.refresh().await?;
        let member = self.directory.find_member(&found.person.principal)?;
        Ok((member, stored, secret))
    }

    /// Ends a membership; tokens that are of no use without it are refused from now on.
    pub async fn remove_member(&self, member: &Member, workspace: WorkspaceId) -> Result<(), Fault> {
        self.directory.remove(member, workspace).await?;
        self.refresh().await
    }

    /// Deletes a workspace nothing is in.
    pub async fn delete_workspace(&self, workspace: WorkspaceId) -> Result<(), Fault> {
        self.directory.delete(workspace).await?;
        self.refresh().await
    }

    /// All tokens, revoked ones too, oldest first.
    pub fn list(&self) -> Arc<Vec<StoredToken>> {
        self.held.read().unwrap_or_else(PoisonError::into_inner).all.clone()
    }

    /// Takes back a token by id or name; it is refused from now on.
    pub async fn revoke(&self, wanted: &str) -> Result<(), Fault> {
        let now = self.engine.clock().now_ms();
        let revoked = self.engine.store().revoke_token(wanted, now).await.map_err(Fault::from)?;
        self.refresh().await?;
        if revoked == 0 {
            return Err(Fault::new(
                Code::InvalidArguments,
                format!("there is no token {wanted:?} in force; `tablewright token list` shows them"),
            ));
        }
        Ok(())
    }

    /// Somebody who was let in, as they are now; `None` when their token was taken back or its time is
    /// over, or they are a member no more.
    pub fn again(&self, caller: &Caller) -> Option<Caller> {
        let now = self.engine.clock().now_ms();
        if caller.until.is_some_and(|until| until <= now) {
            return None;
        }
        let member = match caller.credential.as_deref().filter(|credential| credential.starts_with("token:"))
        {
            Some(credential) => {
                let in_force = self.held.read().unwrap_or_else(PoisonError::into_inner).in_force.clone();
                let token = in_force.iter().find(|token| *token.credential == *credential)?;
                token.caller(&self.directory, caller.face, Rights::ALL, now)?.member
            }
            None => match &caller.member {
                Some(member) => Some(self.directory.member(&member.principal, None)?),
                None => None,
            },
        };
        Some(Caller { member, ..caller.clone() })
    }

    /// Waits until what let somebody in is over; for ever, if it has no end.
    pub async fn over(&self, caller: &Caller) {
        let Some(until) = caller.until else { return std::future::pending().await };
        let left = u64::try_from(until - self.engine.clock().now_ms()).unwrap_or(0);
        tokio::time::sleep(Duration::from_millis(left)).await;
    }

    /// Who a principal is now, with all they may do, to go on with what they began; `None` when they
    /// are not let in any more.
    pub fn known(&self, principal: &str) -> Option<Caller> {
        const FACE: &str = "mcp";
        if principal.starts_with("token:") {
            let in_force = self.held.read().unwrap_or_else(PoisonError::into_inner).in_force.clone();
            let token = in_force.iter().find(|token| *token.credential == *principal)?;
            return token.caller(&self.directory, FACE, Rights::ALL, self.engine.clock().now_ms());
        }
        if principal.starts_with("person:") || principal.starts_with("service:") {
            return Some(Caller::of_member(self.directory.member(principal, None)?, FACE, Rights::ALL));
        }
        Some(Caller::known(principal, FACE, Rights::ALL, None))
    }

    /// Who `token` belongs to, with rights of its scopes within `flags`.
    pub fn check(&self, token: &str, face: &'static str, flags: Rights) -> Option<Caller> {
        let wanted = Sha256::digest(token.as_bytes());
        let in_force = self.held.read().unwrap_or_else(PoisonError::into_inner).in_force.clone();
        let mut found = None;
        for held in &*in_force {
            if bool::from(held.hash.ct_eq(&wanted)) {
                found = Some(held);
            }
        }
        found?.caller(&self.directory, face, flags, self.engine.clock().now_ms())
    }
}

/// A new token, kept nowhere yet, and what it is.
fn minted(name: &str, scopes: Vec<String>, now: i64) -> (StoredToken, Secret) {
    let random = |_: u8| RecordId::random().body().to_owned();
    let secret = Secret::new(format!("{PREFIX}{}", (0..3).map(random).collect::<String>()));
    let stored = StoredToken {
        id: format!("tok{}", random(0)),
        name: name.to_owned(),
        hash: hash(secret.reveal()),
        scopes,
        profile: None,
        owner: None,
        workspace: None,
        expires_at: None,
        created_at: now,
        revoked_at: None,
    };
    (stored, secret)
}
