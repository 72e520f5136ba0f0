//! Passkeys (WebAuthn): a person shows with a device or a security key that it is them who approves.
//!
//! The ceremonies are those of the crate `webauthn_rp`; here is only what is kept of them.

use serde_json::Value;
use tablewright_core::{Code, Fault};
use tablewright_engine::Engine;
pub use tablewright_engine::store::passkeys::StoredPasskey;
use webauthn_rp::bin::{Decode, Encode};
use webauthn_rp::request::auth::AuthenticationVerificationOptions;
use webauthn_rp::request::register::{
    CredProtect, PublicKeyCredentialUserEntity, RegistrationVerificationOptions, UserHandle64, Username,
};
use webauthn_rp::request::{AsciiDomain, PublicKeyCredentialDescriptor, RpId};
use webauthn_rp::response::register::{DynamicState, StaticState};
use webauthn_rp::response::{AuthTransports, CredentialId, Origin};
use webauthn_rp::{
    AuthenticatedCredential, DiscoverableAuthentication64, DiscoverableAuthenticationServerState,
    DiscoverableCredentialRequestOptions, PublicKeyCredentialCreationOptions, Registration,
    RegistrationServerState,
};

/// Most passkeys.
const MOST: usize = 50;
/// Longest name of a passkey, in characters.
const MAX_NAME: usize = 60;
/// Bytes of a user handle.
const HANDLE: usize = 64;

/// The passkeys of a data directory, for pages of one origin. Cheap to clone.
#[derive(Clone)]
pub struct Passkeys {
    engine: Engine,
}

/// A passkey that is being added.
pub struct Adding {
    state: RegistrationServerState<HANDLE>,
    owner: Vec<u8>,
    name: String,
}

/// A passkey that is being asked for.
pub struct Asking(DiscoverableAuthenticationServerState);

/// Where the pages are, such as `http://localhost:8080`.
struct Place {
    rp: RpId,
    origin: String,
}

fn invalid(message: impl Into<String>) -> Fault {
    Fault::new(Code::InvalidArguments, message)
}

fn place(origin: &str) -> Result<Place, Fault> {
    let host = origin.split_once("://").map_or(origin, |(_, rest)| rest);
    let host = host.split(':').next().unwrap_or_default();
    let unusable =
        || invalid(format!("passkeys work at a name, not at {host:?}; open the console at localhost"));
    if host.parse::<std::net::Ipv4Addr>().is_ok() {
        return Err(unusable());
    }
    let domain = AsciiDomain::try_from(host.to_owned()).map_err(|_| unusable())?;
    Ok(Place { rp: RpId::Domain(domain), origin: origin.to_owned() })
}

impl Passkeys {
    /// The passkeys of this engine's store.
    pub fn new(engine: Engine) -> Self {
        Self { engine }
    }

    /// All of them, oldest first.
    pub async fn list(&self) -> Result<Vec<StoredPasskey>, Fault> {
        self.engine.store().passkeys().await.map_err(Fault::from)
    }

    /// Begins to add a passkey called `name`: what the browser is asked for.
    pub async fn add(&self, origin: &str, name: &str) -> Result<(Adding, Value), Fault> {
        let name = name.trim().to_owned();
        if name.is_empty() || name.chars().count() > MAX_NAME || name.chars().any(char::is_control) {
            return Err(invalid(format!("give the passkey a name of 1 to {MAX_NAME} characters")));
        }
        let held = self.list().await?;
        if held.iter().any(|key| key.name == name) {
            return Err(invalid(format!("there is a passkey called {name:?} already; choose another name")));
        }
        if held.len() >= MOST {
            return Err(invalid(format!("there are {MOST} passkeys already; remove one first")));
        }
        let place = place(origin)?;
        let owner = match held.first().map(|key| <[u8; HANDLE]>::try_from(key.owner.as_slice())) {
            Some(Ok(owner)) => UserHandle64::decode(owner).unwrap_or_default(),
            _ => UserHandle64::new(),
        };
        let known = held.iter().filter_map(|key| {
            let id = CredentialId::<Vec<u8>>::decode(key.id.clone()).ok()?;
            let transports = AuthTransports::decode(0).ok()?;
            Some(PublicKeyCredentialDescriptor { id, transports })
        });
        let user = PublicKeyCredentialUserEntity {
            name: Username::try_from("tablewright").map_err(|e| internal(&e))?,
            id: &owner,
            display_name: None,
        };
        let mut options = PublicKeyCredentialCreationOptions::passkey(&place.rp, user, known.collect());
        // Devices that know nothing of this extension would refuse to make one.
        options.extensions.cred_protect = CredProtect::None;
        let (state, asked) = options.start_ceremony().map_err(|e| internal(&e))?;
        let asked = serde_json::to_value(&asked).map_err(|e| internal(&e))?;
        Ok((Adding { state, owner: owner.as_ref().to_vec(), name }, asked))
    }

    /// Keeps a passkey that the browser has made.
    pub async fn added(&self, origin: &str, adding: Adding, answer: &str) -> Result<String, Fault> {
        let place = place(origin)?;
        let Adding { state, owner, name } = adding;
        let registration = Registration::from_json_relaxed(answer.as_bytes())
            .map_err(|e| invalid(format!("the browser's answer cannot be read: {e}")))?;
        let origins = [Origin(place.origin.into())];
        let options = RegistrationVerificationOptions::<Origin<'_>, Origin<'_>> {
            allowed_origins: &origins,
            error_on_unsolicited_extensions: false,
            ..Default::default()
        };
        let made = state
            .verify(&place.rp, &registration, &options)
            .map_err(|e| invalid(format!("the passkey is not accepted: {e}")))?;
        let fixed = made.static_state().encode().map_err(|e| internal(&e))?;
        let moving = made.dynamic_state().encode().map_err(|e| internal(&e))?.to_vec();
        let key = StoredPasskey {
            id: made.id().into_inner().to_vec(),
            name: name.clone(),
            owner,
            fixed,
            moving,
            created_at: self.engine.clock().now_ms(),
            used_at: None,
        };
        if !self.engine.store().add_passkey(&key).await.map_err(Fault::from)? {
            return Err(invalid("this passkey is kept already"));
        }
        Ok(name)
    }

    /// Begins to ask for a passkey: what the browser is asked for.
    pub fn ask(&self, origin: &str) -> Result<(Asking, Value), Fault> {
        let place = place(origin)?;
        let options = DiscoverableCredentialRequestOptions::passkey(&place.rp);
        let (state, asked) = options.start_ceremony().map_err(|e| internal(&e))?;
        Ok((Asking(state), serde_json::to_value(&asked).map_err(|e| internal(&e))?))
    }

    /// Checks what the browser answered; the name of the passkey that was used.
    pub async fn answered(&self, origin: &str, asking: Asking, answer: &str) -> Result<String, Fault> {
        let place = place(origin)?;
        let given = DiscoverableAuthentication64::from_json_relaxed(answer.as_bytes())
            .map_err(|e| invalid(format!("the browser's answer cannot be read: {e}")))?;
        let held = self.list().await?;
        let id = given.raw_id().into_inner();
        let key = held.iter().find(|key| key.id == id);
        let key = key.ok_or_else(|| invalid("this passkey is not one that was added here"))?;
        let damaged = || Fault::new(Code::Internal, format!("passkey {:?} cannot be read", key.name));
        let owner: [u8; HANDLE] = key.owner.as_slice().try_into().map_err(|_| damaged())?;
        let owner = UserHandle64::decode(owner).map_err(|_| damaged())?;
        let moving = key.moving.as_slice().try_into().map_err(|_| damaged())?;
        let mut credential = AuthenticatedCredential::new(
            CredentialId::<&[u8]>::decode(&key.id).map_err(|_| damaged())?,
            &owner,
            StaticState::decode(&key.fixed).map_err(|_| damaged())?,
            DynamicState::decode(moving).map_err(|_| damaged())?,
        )
        .map_err(|_| damaged())?;
        let origins = [Origin(place.origin.into())];
        let options = AuthenticationVerificationOptions::<Origin<'_>, Origin<'_>> {
            allowed_origins: &origins,
            error_on_unsolicited_extensions: false,
            ..Default::default()
        };
        asking
            .0
            .verify(&place.rp, &given, &mut credential, &options)
            .map_err(|e| invalid(format!("the passkey is not accepted: {e}")))?;
        let moving = credential.dynamic_state().encode().map_err(|e| internal(&e))?;
        let now = self.engine.clock().now_ms();
        self.engine.store().use_passkey(&key.id, &moving, now).await.map_err(Fault::from)?;
        Ok(key.name.clone())
    }

    /// Forgets a passkey.
    pub async fn remove(&self, name: &str) -> Result<(), Fault> {
        if self.engine.store().remove_passkey(name).await.map_err(Fault::from)? {
            return Ok(());
        }
        Err(invalid(format!("there is no passkey called {name:?}")))
    }
}

fn internal(error: &impl std::fmt::Display) -> Fault {
    Fault::new(Code::Internal, error.to_string())
}
