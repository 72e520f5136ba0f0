//! The tokens of one login: opened when they are needed, renewed one at a time.
//!
//! Airtable takes a refresh token once. So a new pair is in the store before it is used, a refresh
//! goes on when the call that needed it is cancelled, and one whose answer was lost is tried again
//! with what is stored before a person is asked to log in again.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;
use tablewright_core::clock::Clock;
use tablewright_core::secret::Secret;
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::oauth::{Endpoint, Failure, Pair};
use super::profiles::ENVIRONMENT;
use super::seal::{self, KeyPlace, Seal};
use super::{BoxFuture, Credentials, Error};
use crate::store::Store;

/// How long before its end an access token is replaced, in milliseconds.
const BEFORE_END: i64 = 60_000;
/// Times a refresh is tried in a row.
const ATTEMPTS: u32 = 3;
/// The pause after the first try that failed; each further one is twice as long.
const PAUSE: Duration = Duration::from_millis(500);
/// How long a token that still works is used after a refresh failed, in milliseconds.
const RESPITE: i64 = 10_000;

/// What is sealed of a login.
#[derive(Clone, PartialEq)]
pub(super) enum Kept {
    /// A token that lasts until it is taken back.
    Token(Secret),
    /// Tokens that are renewed.
    Pair(Pair),
}

/// The same as text; never printed.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Plain {
    Token { token: String },
    Pair { access: String, refresh: String, expires_at: i64 },
}

impl Kept {
    pub(super) fn text(&self) -> String {
        match self {
            Self::Token(token) => json!({ "token": token.reveal() }),
            Self::Pair(Pair { access, refresh, expires_at }) => json!({
                "access": access.reveal(), "refresh": refresh.reveal(), "expires_at": expires_at,
            }),
        }
        .to_string()
    }

    fn read(text: &Secret) -> Option<Self> {
        Some(match serde_json::from_str(text.reveal()).ok()? {
            Plain::Token { token } => Self::Token(Secret::new(token)),
            Plain::Pair { access, refresh, expires_at } => {
                Self::Pair(Pair { access: Secret::new(access), refresh: Secret::new(refresh), expires_at })
            }
        })
    }
}

/// Where tokens are kept, and what is needed to open and renew them.
pub(super) struct Vault {
    pub(super) store: Store,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) place: KeyPlace,
    /// The token the environment gives.
    pub(super) environment: Option<Secret>,
    /// Where pairs are renewed; absent when no integration is set.
    pub(super) endpoint: Option<Endpoint>,
}

/// What a login holds while it is in use.
#[derive(Default)]
pub(super) struct Held {
    /// What the store holds, opened, and as it is sealed there.
    opened: Option<(Kept, String)>,
    /// A pair the store could not take yet.
    unsaved: Option<Pair>,
    /// Why only a person can help.
    over: Option<String>,
    /// Until when a refresh that failed is not tried again.
    wait_until: i64,
}

/// The tokens of one login. Cheap to clone; clones share what they hold.
#[derive(Clone)]
pub(super) struct Login {
    pub(super) name: Arc<str>,
    pub(super) vault: Arc<Vault>,
    pub(super) held: Arc<Mutex<Held>>,
}

impl Login {
    /// Forgets what is opened, because the store holds something else now.
    pub(super) async fn reset(&self) {
        *self.held.lock().await = Held::default();
    }

    /// Reads and opens what the store holds.
    async fn read(&self) -> Result<(Kept, String), Error> {
        let (name, vault) = (&*self.name, &*self.vault);
        if name == ENVIRONMENT {
            let missing = || {
                Error::Login(
                    "the login \"environment\" is the variable AIRTABLE_API_KEY, and the process that holds the data directory was started without it: set it and start that process anew"
                        .into(),
                )
            };
            let token = vault.environment.clone().ok_or_else(missing)?;
            return Ok((Kept::Token(token), String::new()));
        }
        let stored = vault.store.profile(name).await.map_err(|e| Error::NotSent(e.to_string()))?;
        let stored = stored.ok_or_else(|| {
            Error::Login(format!("there is no login {name:?} any more; `tablewright connect` makes one"))
        })?;
        let opened = Seal::find(&vault.place, false).and_then(|seal| seal.open(name, &stored.sealed));
        let text = opened.map_err(|why| Error::Login(locked(name, &why)))?;
        let kept = Kept::read(&text).ok_or_else(|| Error::Login(locked(name, &seal::Error::Damaged)))?;
        Ok((kept, stored.sealed))
    }

    /// A token that is good, and not `refused`.
    async fn token(self, refused: Option<Secret>) -> Result<Secret, Error> {
        let mut held = self.held.clone().lock_owned().await;
        if let Some(why) = &held.over {
            return Err(Error::Login(why.clone()));
        }
        if let Some(pair) = held.unsaved.clone() {
            self.save(&mut held, pair).await?;
        }
        let mut opened = match &held.opened {
            Some((kept, _)) => kept.clone(),
            None => self.open(&mut held).await?,
        };
        if matches!((&opened, &refused), (Kept::Token(token), Some(refused)) if token == refused) {
            opened = self.open(&mut held).await?;
        }
        let pair = match opened {
            Kept::Token(token) if Some(&token) == refused.as_ref() => {
                return Err(Error::Login(format!(
                    "Airtable does not accept the token of the login {:?}: it is wrong or was taken back. Make another at https://airtable.com/create/tokens and {}",
                    self.name,
                    match &*self.name {
                        ENVIRONMENT => "set AIRTABLE_API_KEY to it".to_owned(),
                        name => format!("say `tablewright connect --name {name}`"),
                    }
                )));
            }
            Kept::Token(token) => return Ok(token),
            Kept::Pair(pair) => pair,
        };
        let now = self.vault.clock.now_ms();
        let works = Some(&pair.access) != refused.as_ref() && pair.expires_at > now;
        if works && (pair.expires_at - now > BEFORE_END || now < held.wait_until) {
            return Ok(pair.access);
        }
        // A call that is cancelled must not take the only copy of the next pair with it.
        let refreshed = tokio::spawn(async move { self.refresh(held, refused, works).await }).await;
        match refreshed.unwrap_or_else(|e| Err(Error::NotSent(format!("the refresh of a login: {e}")))) {
            Err(Error::NotSent(_)) if works => Ok(pair.access),
            result => result,
        }
    }

    async fn open(&self, held: &mut Held) -> Result<Kept, Error> {
        let opened = self.read().await?;
        let kept = opened.0.clone();
        held.opened = Some(opened);
        Ok(kept)
    }

    /// Puts a new pair into the store; it is used only once it is there.
    async fn save(&self, held: &mut Held, pair: Pair) -> Result<(), Error> {
        let (name, vault) = (&*self.name, &*self.vault);
        let failed = |why: String| {
            Error::NotSent(format!(
                "the new tokens of the login {name:?} cannot be stored ({why}); they are held and stored later"
            ))
        };
        held.unsaved = Some(pair.clone());
        let before = held.opened.as_ref().map(|(_, sealed)| sealed.clone()).unwrap_or_default();
        let kept = Kept::Pair(pair);
        let sealed = Seal::find(&vault.place, false)
            .and_then(|seal| seal.close(name, &kept.text()))
            .map_err(|e| failed(e.to_string()))?;
        let stored = vault.store.renew_profile(name, &before, &sealed, vault.clock.now_ms()).await;
        held.unsaved = match stored {
            Err(error) => return Err(failed(error.to_string())),
            Ok(_) => None,
        };
        if matches!(stored, Ok(true)) {
            held.opened = Some((kept, sealed));
        } else {
            // Somebody logged in anew meanwhile: theirs counts.
            self.open(held).await?;
        }
        Ok(())
    }

    /// Gets the next pair. `works` when the one at hand still does.
    async fn refresh(
        self,
        mut held: OwnedMutexGuard<Held>,
        refused: Option<Secret>,
        works: bool,
    ) -> Result<Secret, Error> {
        let result = self.next_pair(&mut held, refused.as_ref()).await;
        match &result {
            Err(Error::Login(why)) => held.over = Some(why.clone()),
            Err(error) => {
                tracing::warn!(login = &*self.name, %error, works, "tokens were not refreshed");
                held.wait_until = self.vault.clock.now_ms() + RESPITE;
            }
            Ok(_) => tracing::debug!(login = &*self.name, "tokens refreshed"),
        }
        result
    }

    async fn next_pair(&self, held: &mut Held, refused: Option<&Secret>) -> Result<Secret, Error> {
        let name = &*self.name;
        let again = match name.strip_prefix("member.") {
            Some(_) => "connect the account again, by a link of the tool connect_airtable".to_owned(),
            None => format!("log in again: `tablewright connect --name {name} --oauth`"),
        };
        let Some(endpoint) = &self.vault.endpoint else {
            return Err(Error::Login(format!(
                "the login {name:?} is renewed by OAuth, and the setting airtable.oauth_client_id is not set: set it, and start anew"
            )));
        };
        let mut lost = None;
        let mut last = String::new();
        for attempt in 0..ATTEMPTS {
            if attempt > 0 {
                tokio::time::sleep(PAUSE * 2u32.pow(attempt - 1)).await;
            }
            let Kept::Pair(pair) = self.open(held).await? else {
                return Err(Error::NotSent(format!("the login {name:?} has just become another; try again")));
            };
            let now = self.vault.clock.now_ms();
            if Some(&pair.access) != refused && pair.expires_at - now > BEFORE_END {
                return Ok(pair.access);
            }
            match endpoint.refresh(&pair.refresh, now).await {
                Ok(granted) => {
                    self.save(held, granted.pair).await?;
                    match &held.opened {
                        Some((Kept::Pair(pair), _)) => return Ok(pair.access.clone()),
                        // Somebody put another login in its place meanwhile.
                        _ => continue,
                    }
                }
                Err(Failure::JustDone) => last = Failure::JustDone.to_string(),
                Err(Failure::NotSent(why)) => last = why,
                Err(Failure::Lost(why)) => {
                    last.clone_from(&why);
                    lost = Some(why);
                }
                Err(Failure::Spent(why)) => {
                    let (kept, _) = self.read().await?;
                    if kept != Kept::Pair(pair) {
                        continue;
                    }
                    let because = match lost {
                        Some(lost) => format!("; the answer to the refresh before was lost ({lost})"),
                        None => String::new(),
                    };
                    return Err(Error::Login(format!(
                        "Airtable does not take the refresh token of the login {name:?} any more ({why}){because}. Each works once and for 60 days; {again}"
                    )));
                }
                Err(Failure::Refused(why)) => {
                    return Err(Error::Login(format!(
                        "Airtable refuses to renew the login {name:?} ({why}): check airtable.oauth_client_id and airtable.oauth_client_secret, or {again}"
                    )));
                }
            }
        }
        Err(Error::NotSent(format!("the login {name:?} cannot be renewed now: {last}; try again later")))
    }
}

/// What to do about a login that does not open.
pub(super) fn locked(name: &str, why: &seal::Error) -> String {
    let gone = match why {
        seal::Error::NoKey(_) | seal::Error::OtherKey { .. } | seal::Error::Damaged => format!(
            "; when that key is gone for good, log in again with `tablewright connect --name {name} --new-key`"
        ),
        seal::Error::Key { .. } | seal::Error::Random(_) => String::new(),
    };
    format!("the login {name:?} cannot be opened: {why}. Nothing was changed{gone}")
}

impl Credentials for Login {
    fn bearer(&self) -> BoxFuture<'_, Result<Secret, Error>> {
        Box::pin(self.clone().token(None))
    }

    fn renew<'a>(&'a self, refused: &'a Secret) -> BoxFuture<'a, Result<Secret, Error>> {
        Box::pin(self.clone().token(Some(refused.clone())))
    }
}
