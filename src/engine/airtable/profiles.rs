//! Logins at Airtable: personal tokens and OAuth, kept sealed, each under a name.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tablewright_core::clock::Clock;
use tablewright_core::model::BaseId;
use tablewright_core::secret::Secret;
use tablewright_core::suggest::{did_you_mean, nearest};
use tablewright_core::{Code, Fault};

use super::login::{Held, Kept, Login, Vault, locked};
use super::oauth::{Endpoint, Failure, Integration};
use super::seal::{KeyCommand, KeyPlace, Seal};
use super::{Airtable, Ask, BoxFuture, Credentials, Error, Options, Session, WhoAmI};
use crate::store::Store;
use crate::store::profiles::StoredProfile;

/// The login that is the variable `AIRTABLE_API_KEY`.
pub const ENVIRONMENT: &str = "environment";

/// Longest name of a login.
const MAX_NAME: usize = 64;
/// Longest token that is taken.
const MAX_TOKEN: usize = 1_000;
/// Most logins.
const MAX_PROFILES: usize = 100;

/// What the environment says of logins.
#[derive(Debug, Clone, Default)]
pub struct Given {
    /// `AIRTABLE_API_KEY`.
    pub token: Option<Secret>,
    /// `TABLEWRIGHT_SECRET_KEY`.
    pub key: Option<Secret>,
    /// `TABLEWRIGHT_SECRET_KEY_FILE`.
    pub key_file: Option<PathBuf>,
    /// `TABLEWRIGHT_SECRET_KEY_COMMAND`.
    pub key_command: Option<String>,
}

/// What kind of login it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A personal access token.
    Token,
    /// OAuth.
    Oauth,
    /// The token of the environment.
    Environment,
}

/// What may be shown of a login.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Profile {
    /// Its name.
    pub name: String,
    /// What may be shown of whose it is.
    #[serde(flatten)]
    pub info: Info,
    /// The bases here that are read with it.
    pub bases: Vec<BaseId>,
    /// Requests sent with it this month.
    pub calls: u64,
}

/// Whose login it is and what it is good for, as far as Airtable tells.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Info {
    /// What kind of login.
    pub kind: Kind,
    /// The user's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The user's address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// What it may do; Airtable tells it for OAuth alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scopes: Option<Vec<String>>,
}

impl Info {
    fn of(kind: Kind) -> Self {
        Self { kind, user: None, email: None, scopes: None }
    }

    fn told(mut self, who: WhoAmI) -> Self {
        self.user = Some(who.id);
        self.email = who.email;
        self.scopes = who.scopes.or(self.scopes);
        self
    }
}

/// What came back from a login by OAuth that a person went through.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Returned {
    /// The code; it works once.
    #[serde(serialize_with = "revealed")]
    pub code: Secret,
    /// What proves who began.
    #[serde(serialize_with = "revealed")]
    pub verifier: Secret,
    /// Where the code came back to.
    pub redirect: String,
}

/// Writes a secret out as it is: for the socket between processes of one user, and nothing else.
pub fn revealed<S: serde::Serializer>(secret: &Secret, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(secret.reveal())
}

/// The logins of a data directory. Cheap to clone.
#[derive(Clone)]
pub struct Profiles {
    shared: Arc<Shared>,
}

struct Shared {
    airtable: Airtable,
    vault: Arc<Vault>,
    /// Held while a login is added or removed.
    changing: tokio::sync::Mutex<()>,
    held: Mutex<HashMap<String, Arc<tokio::sync::Mutex<Held>>>>,
}

/// A token that is not kept yet.
struct Fresh(Secret);

impl Credentials for Fresh {
    fn bearer(&self) -> BoxFuture<'_, Result<Secret, Error>> {
        Box::pin(async { Ok(self.0.clone()) })
    }

    fn renew<'a>(&'a self, _: &'a Secret) -> BoxFuture<'a, Result<Secret, Error>> {
        Box::pin(async {
            let message = "Airtable does not accept this token: it is wrong, cut short, or was taken back. Copy it again, or make one at https://airtable.com/create/tokens";
            Err(Error::Login(message.into()))
        })
    }
}

fn told(why: impl std::fmt::Display) -> Fault {
    Fault::new(Code::UpstreamForbidden, why.to_string())
}

fn ask() -> Ask {
    Ask::interactive("connect")
}

impl Profiles {
    /// The logins in this store. No key is looked for before one is needed.
    pub fn open(
        store: Store,
        directory: PathBuf,
        clock: Arc<dyn Clock>,
        options: &Options,
        given: Given,
        airtable: Airtable,
    ) -> Self {
        let endpoint =
            options.integration().map(|integration| Endpoint { airtable: airtable.clone(), integration });
        let vault = Vault {
            store,
            clock,
            place: KeyPlace {
                key: given.key,
                file: given.key_file,
                command: given.key_command.as_deref().map(KeyCommand::new),
                directory,
            },
            environment: given.token,
            endpoint,
        };
        let shared = Shared {
            airtable,
            vault: Arc::new(vault),
            changing: tokio::sync::Mutex::default(),
            held: Mutex::default(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Counts back calls that were counted and not made; for a process that ends in good order.
    pub async fn settle(&self) {
        if let Err(error) = self.shared.airtable.settle().await {
            tracing::warn!(%error, "calls that were not made stay counted");
        }
    }

    /// The integration that logs people in by OAuth, if one is set.
    pub fn integration(&self) -> Option<Integration> {
        self.shared.vault.endpoint.as_ref().map(|endpoint| endpoint.integration.clone())
    }

    fn store(&self) -> &Store {
        &self.shared.vault.store
    }

    fn login(&self, name: &str) -> Login {
        let mut held = self.shared.held.lock().unwrap_or_else(PoisonError::into_inner);
        let held = held.entry(name.to_owned()).or_default().clone();
        Login { name: name.into(), vault: self.shared.vault.clone(), held }
    }

    /// All logins, by name, with what may be shown of them.
    pub async fn list(&self) -> Result<Vec<Profile>, Fault> {
        let stored = self.store().profiles().await.map_err(Fault::from)?;
        let bases = self.in_use().await?;
        let mut infos: Vec<(String, Info)> = Vec::with_capacity(stored.len() + 1);
        for profile in stored {
            infos.push((profile.name.clone(), read(&profile)?));
        }
        let used = bases.iter().any(|(_, name)| name == ENVIRONMENT);
        if used || self.shared.vault.environment.is_some() {
            infos.push((ENVIRONMENT.to_owned(), Info::of(Kind::Environment)));
        }
        let mut listed = Vec::with_capacity(infos.len());
        for (name, info) in infos {
            let (calls, _) = self.shared.airtable.usage(&name).await.map_err(Fault::from)?;
            let bases = bases.iter().filter(|(_, login)| *login == name).map(|(id, _)| *id).collect();
            listed.push(Profile { name, info, bases, calls });
        }
        Ok(listed)
    }

    /// The client with a login. Whether its token still works shows when it is used.
    pub async fn session(&self, name: &str) -> Result<Session, Fault> {
        self.require(name).await?;
        Ok(self.shared.airtable.session(name, Arc::new(self.login(name))))
    }

    /// A login, asked whose it is, with what may be shown of it.
    pub async fn recognize(&self, name: &str) -> Result<Profile, Fault> {
        let session = self.session(name).await?;
        let who = session.whoami(&ask()).await.map_err(Fault::from)?.value;
        let mut profile = self.shown(name).await?;
        profile.info = profile.info.told(who);
        if name != ENVIRONMENT {
            let info = serde_json::to_value(&profile.info).unwrap_or_default();
            self.store().describe_profile(name, &info).await.map_err(Fault::from)?;
        }
        Ok(profile)
    }

    async fn require(&self, name: &str) -> Result<(), Fault> {
        if name == ENVIRONMENT || self.store().profile(name).await.map_err(Fault::from)?.is_some() {
            return Ok(());
        }
        let known = self.store().profiles().await.map_err(Fault::from)?;
        let hint = did_you_mean(&nearest(name, known.iter().map(|p| p.name.as_str())));
        let message = format!(
            "there is no login {name:?}.{hint} `tablewright connect --list` shows them, `tablewright connect --name {name}` makes one"
        );
        Err(Fault::new(Code::InvalidArguments, message))
    }

    /// Keeps a personal token under a name, in place of what was there, once Airtable accepts it.
    /// With `new_key`, although other logins were sealed with another key.
    pub async fn add_token(&self, name: &str, token: Secret, new_key: bool) -> Result<Profile, Fault> {
        let _one = self.shared.changing.lock().await;
        self.check_name(name).await?;
        let token = check_token(&token)?;
        let seal = self.seal(new_key).await?;
        let session = self.shared.airtable.session(name, Arc::new(Fresh(token.clone())));
        let who = session.whoami(&ask()).await.map_err(Fault::from)?.value;
        self.keep(name, &seal, &Kept::Token(token), Info::of(Kind::Token).told(who)).await?;
        self.shown(name).await
    }

    /// Keeps a login by OAuth under a name, in place of what was there.
    pub async fn add_oauth(&self, name: &str, returned: Returned, new_key: bool) -> Result<Profile, Fault> {
        let _one = self.shared.changing.lock().await;
        self.check_name(name).await?;
        // Before the code is spent.
        let seal = self.seal(new_key).await?;
        let Some(endpoint) = self.shared.vault.endpoint.clone() else {
            return Err(Fault::new(Code::InvalidArguments, NO_INTEGRATION));
        };
        let now = self.shared.vault.clock.now_ms();
        let granted = endpoint.exchange(&returned, now).await.map_err(|failure| match failure {
            Failure::NotSent(why) => Fault::new(Code::UpstreamUnavailable, why),
            Failure::Refused(why) => told(format!(
                "Airtable does not give tokens for this login ({why}): check airtable.oauth_client_id and airtable.oauth_client_secret"
            )),
            other => told(format!(
                "Airtable gave no tokens for this login ({other}); a code works once and for ten minutes: begin again"
            )),
        })?;
        let mut info = Info { scopes: granted.scopes, ..Info::of(Kind::Oauth) };
        let kept = Kept::Pair(granted.pair);
        // In the store before it is used: the pair is the only one there is.
        self.keep(name, &seal, &kept, info.clone()).await?;
        let session = self.shared.airtable.session(name, Arc::new(self.login(name)));
        match session.whoami(&ask()).await {
            Ok(who) => {
                info = info.told(who.value);
                let info = serde_json::to_value(&info).unwrap_or_default();
                self.store().describe_profile(name, &info).await.map_err(Fault::from)?;
            }
            Err(error) => tracing::warn!(login = name, %error, "whose login it is could not be asked"),
        }
        self.shown(name).await
    }

    /// Forgets a login that no base uses.
    pub async fn remove(&self, name: &str) -> Result<(), Fault> {
        let _one = self.shared.changing.lock().await;
        let used = self.in_use().await?;
        let used: Vec<String> =
            used.into_iter().filter(|(_, login)| login == name).map(|(base, _)| base.to_string()).collect();
        if !used.is_empty() {
            let message = format!(
                "the login {name:?} reads {}: forget them first with `tablewright base forget`, or say --forget to forget them with it",
                used.join(", ")
            );
            return Err(Fault::new(Code::Conflict, message));
        }
        if name == ENVIRONMENT {
            let message = "the login \"environment\" is the variable AIRTABLE_API_KEY and kept nowhere; take the variable away";
            return Err(Fault::new(Code::InvalidArguments, message));
        }
        self.require(name).await?;
        self.store().remove_profile(name).await.map_err(Fault::from)?;
        self.login(name).reset().await;
        Ok(())
    }

    /// The bases that live in Airtable, each with the login it is read with.
    async fn in_use(&self) -> Result<Vec<(BaseId, String)>, Fault> {
        let stored = self.store().bases().await.map_err(Fault::from)?;
        Ok(stored.into_iter().filter_map(|base| Some((base.id, base.cloud?.profile))).collect())
    }

    async fn shown(&self, name: &str) -> Result<Profile, Fault> {
        let found = self.list().await?.into_iter().find(|profile| profile.name == name);
        found.ok_or_else(|| Fault::new(Code::Internal, format!("the login {name:?} is gone")))
    }

    async fn check_name(&self, name: &str) -> Result<(), Fault> {
        let bad = |message: String| Err(Fault::new(Code::InvalidArguments, message));
        if name == ENVIRONMENT {
            return bad("the login \"environment\" is the variable AIRTABLE_API_KEY; choose another name for a token that is kept".into());
        }
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if name.is_empty() || name.len() > MAX_NAME || !name.chars().all(fits) || name.starts_with('-') {
            return bad(format!(
                "{name:?} is no name for a login: use 1 to {MAX_NAME} of A-Z, a-z, 0-9, '.', '_' and '-'"
            ));
        }
        let known = self.store().profiles().await.map_err(Fault::from)?;
        if known.len() >= MAX_PROFILES && !known.iter().any(|profile| profile.name == name) {
            return bad(format!("there are {MAX_PROFILES} logins already; disconnect one first"));
        }
        Ok(())
    }

    /// The key to seal with: the one all logins are sealed with. One is made for the first login,
    /// or when a person says so.
    async fn seal(&self, new_key: bool) -> Result<Seal, Fault> {
        let stored = self.store().profiles().await.map_err(Fault::from)?;
        let place = &self.shared.vault.place;
        let seal = Seal::find(place, new_key || stored.is_empty()).map_err(|why| match stored.first() {
            Some(first) => told(locked(&first.name, &why)),
            None => Fault::new(Code::StoreUnavailable, why.to_string()),
        })?;
        if !new_key {
            for profile in &stored {
                seal.check(&profile.sealed).map_err(|why| told(locked(&profile.name, &why)))?;
            }
        }
        tracing::debug!(key = seal.place(), "logins are sealed");
        Ok(seal)
    }

    async fn keep(&self, name: &str, seal: &Seal, kept: &Kept, info: Info) -> Result<(), Fault> {
        let sealed = seal.close(name, &kept.text());
        let sealed = sealed.map_err(|e| Fault::new(Code::Internal, e.to_string()))?;
        let now = self.shared.vault.clock.now_ms();
        let info = serde_json::to_value(info).unwrap_or_default();
        let stored = StoredProfile { name: name.to_owned(), info, sealed, created_at: now, updated_at: now };
        let login = self.login(name);
        self.store().keep_profile(&stored).await.map_err(Fault::from)?;
        login.reset().await;
        Ok(())
    }
}

/// What to do when OAuth is asked for and not set up.
pub const NO_INTEGRATION: &str = "logging in by OAuth needs an integration registered at https://airtable.com/create/oauth: set airtable.oauth_client_id (and airtable.oauth_client_secret, if it has one)";

fn read(profile: &StoredProfile) -> Result<Info, Fault> {
    let info: Value = profile.info.clone();
    serde_json::from_value(info).map_err(|e| {
        Fault::new(Code::StoreUnavailable, format!("what is stored of the login {:?}: {e}", profile.name))
    })
}

/// A token as it is sent: without the line break it was copied with.
fn check_token(token: &Secret) -> Result<Secret, Fault> {
    let text = token.reveal().trim();
    let bad = |why: &str| {
        let message = format!(
            "this is no personal access token ({why}); make one at https://airtable.com/create/tokens"
        );
        Err(Fault::new(Code::InvalidArguments, message))
    };
    if text.is_empty() {
        return bad("it is empty");
    }
    if text.len() > MAX_TOKEN {
        return bad("it is too long");
    }
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return bad("it has spaces, line breaks or letters that no token has");
    }
    if text.starts_with("key") && text.len() == 17 {
        return bad("it is an API key of the old kind, which Airtable has not taken since 2024");
    }
    Ok(Secret::new(text))
}
