//! Access tokens: made, checked and taken back. Only hashes are kept.

use std::sync::{Arc, PoisonError, RwLock};

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tablewright_core::secret::Secret;
use tablewright_core::{Code, Fault};
use tablewright_engine::Engine;
use tablewright_engine::store::tokens::StoredToken;

use crate::access::{Caller, Rights, SCOPES};

/// What every token starts with, so that scanners for leaked secrets can find it.
pub const PREFIX: &str = "twk_";

/// The tokens of a data directory. Cheap to clone.
#[derive(Clone)]
pub struct Tokens {
    engine: Engine,
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
    principal: Arc<str>,
    rights: Rights,
    profile: Option<Arc<str>>,
}

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
        let principal = format!("token:{}", stored.name).into();
        let profile = stored.profile.as_deref().map(Arc::from);
        Some(Self { hash, principal, rights: Rights::of_scopes(&stored.scopes), profile })
    }
}

fn hash(token: &str) -> String {
    Sha256::digest(token.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Tokens {
    /// Reads the tokens of this engine's store.
    pub async fn open(engine: Engine) -> Result<Self, Fault> {
        let tokens = Self { engine, held: Arc::default() };
        tokens.refresh().await?;
        Ok(tokens)
    }

    async fn refresh(&self) -> Result<(), Fault> {
        let read = self.engine.store().tokens().await.map_err(Fault::from)?;
        let in_force = read.iter().filter_map(InForce::of).collect();
        let held = Held { all: Arc::new(read), in_force };
        *self.held.write().unwrap_or_else(PoisonError::into_inner) = held;
        Ok(())
    }

    /// Makes a token; this is the only time it is shown. With a `profile` it sees the bases of that
    /// login alone.
    pub async fn create(
        &self,
        name: &str,
        scopes: &[String],
        profile: Option<&str>,
    ) -> Result<(StoredToken, Secret), Fault> {
        let name = name.trim();
        if name.is_empty() || name.chars().count() > 100 || name.chars().any(char::is_control) {
            let message = "a token needs a name of 1 to 100 characters on one line (--name)";
            return Err(Fault::new(Code::InvalidArguments, message));
        }
        if let Some(unknown) = scopes.iter().find(|s| !SCOPES.contains(&s.as_str())) {
            return Err(Fault::new(
                Code::InvalidArguments,
                format!("there is no scope {unknown:?}; use some of: {}", SCOPES.join(", ")),
            ));
        }
        if self.list().iter().any(|t| t.name == name && t.revoked_at.is_none()) {
            return Err(Fault::new(
                Code::Conflict,
                format!("there is a token named {name:?} already; revoke it first, or choose another name"),
            ));
        }
        let random = |_: u8| tablewright_core::model::RecordId::random().body().to_owned();
        let secret = Secret::new(format!("{PREFIX}{}", (0..3).map(random).collect::<String>()));
        let stored = StoredToken {
            id: format!("tok{}", random(0)),
            name: name.to_owned(),
            hash: hash(secret.reveal()),
            scopes: scopes.to_vec(),
            profile: profile.map(str::to_owned),
            created_at: self.engine.clock().now_ms(),
            revoked_at: None,
        };
        self.engine.store().add_token(&stored).await.map_err(Fault::from)?;
        self.refresh().await?;
        Ok((stored, secret))
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

    /// True while this principal is let in: `local` always, that of a token until it is taken back.
    pub fn lets_in(&self, principal: &str) -> bool {
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
        !principal.starts_with("token:") || held.in_force.iter().any(|token| &*token.principal == principal)
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
        found.map(|held| {
            Caller::known(held.principal.clone(), face, held.rights.and(flags), held.profile.clone())
        })
    }
}
