//! Members connect their own Airtable accounts: what is done for them there is done with it, so that
//! Airtable's own permissions hold and what is made there is theirs.
//!
//! A link that works once leads to a page; the button there begins a login by OAuth (PKCE), which ends
//! in the browser that began it, or not at all.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};
use tablewright_core::model::{Person, RecordId};
use tablewright_core::{Code, Fault};
use tablewright_engine::airtable::oauth::Authorization;
use tablewright_engine::airtable::profiles::{NO_INTEGRATION, Profile, Returned};

use crate::call::{Call, Door};
use crate::directory::Member;

/// How long a link works, and how long a login may take.
const LASTS: Duration = Duration::from_secs(600);
/// Most links, and most logins under way; the oldest go.
const MOST: usize = 100;
/// Where Airtable sends people back to.
pub const CALLBACK: &str = "/airtable/callback";
/// Where links lead to.
pub const CONNECT: &str = "/airtable/connect";

type Key = [u8; 32];

/// Links and logins under way. Secrets are kept as hashes. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct OwnLogins(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    /// By the code in the link: for whom.
    links: HashMap<Key, (Arc<str>, Instant)>,
    /// By the cookie of the browser.
    begun: HashMap<Key, (Arc<str>, Arc<Authorization>, Instant)>,
}

/// A login that was begun.
pub struct Begun {
    /// What only this browser knows.
    pub cookie: String,
    /// Where the person goes on.
    pub url: String,
}

fn secret() -> (String, Key) {
    let text: String = (0..3).map(|_| RecordId::random().body().to_owned()).collect();
    let key = hash(&text);
    (text, key)
}

fn hash(text: &str) -> Key {
    Sha256::digest(text.as_bytes()).into()
}

/// Drops what is over, and the oldest where there is no room for one more.
fn make_room<K: Hash + Eq + Copy, V>(held: &mut HashMap<K, V>, began: impl Fn(&V) -> Instant) {
    held.retain(|_, value| began(value).elapsed() < LASTS);
    if held.len() >= MOST
        && let Some(oldest) = held.iter().min_by_key(|(_, value)| began(value)).map(|(key, _)| *key)
    {
        held.remove(&oldest);
    }
}

fn over() -> Fault {
    let message =
        "This link was used, or its time is over. Ask for another one with the tool connect_airtable.";
    Fault::new(Code::Forbidden, message)
}

impl OwnLogins {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn link(&self, principal: Arc<str>) -> String {
        let (code, key) = secret();
        let mut state = self.lock();
        make_room(&mut state.links, |(_, began)| *began);
        state.links.insert(key, (principal, Instant::now()));
        code
    }

    fn look(&self, code: &str) -> Option<Arc<str>> {
        let state = self.lock();
        let (principal, began) = state.links.get(&hash(code))?;
        (began.elapsed() < LASTS).then(|| principal.clone())
    }

    fn take_link(&self, code: &str) -> Option<Arc<str>> {
        let (principal, began) = self.lock().links.remove(&hash(code))?;
        (began.elapsed() < LASTS).then_some(principal)
    }

    fn begin(&self, principal: Arc<str>, authorization: Authorization) -> String {
        let (cookie, key) = secret();
        let mut state = self.lock();
        make_room(&mut state.begun, |(.., began)| *began);
        state.begun.insert(key, (principal, Arc::new(authorization), Instant::now()));
        cookie
    }

    fn take_begun(&self, cookie: &str) -> Option<(Arc<str>, Arc<Authorization>)> {
        let (principal, authorization, began) = self.lock().begun.remove(&hash(cookie))?;
        (began.elapsed() < LASTS).then_some((principal, authorization))
    }
}

impl Call {
    /// A link with which the caller connects their own Airtable account, once, within ten minutes.
    pub fn connect_airtable(&self) -> Result<String, Fault> {
        let Some(member) = &self.caller().member else {
            let message = "only a member of a workspace has an Airtable account of their own here; the user of this machine says `tablewright connect`.";
            return Err(Fault::new(Code::InvalidArguments, message));
        };
        if self.replica().integration().is_none() {
            return Err(Fault::new(Code::InvalidArguments, NO_INTEGRATION));
        }
        let origin = self.policies().directory().origin()?;
        let code = self.own_logins().link(member.principal.clone());
        Ok(format!("{origin}{CONNECT}?code={code}"))
    }
}

impl Door {
    fn member_of(&self, principal: &str) -> Result<Arc<Member>, Fault> {
        self.tokens().directory().member(principal, None).ok_or_else(over)
    }

    /// Whose link it is; following it takes nothing.
    pub fn connecting(&self, code: &str) -> Result<Arc<Member>, Fault> {
        self.member_of(&self.own_logins().look(code).ok_or_else(over)?)
    }

    /// Begins the login of a link, which works no more from now on.
    pub fn begin_own_login(&self, code: &str) -> Result<Begun, Fault> {
        let member = self.member_of(&self.own_logins().take_link(code).ok_or_else(over)?)?;
        let integration =
            self.replica().integration().ok_or_else(|| Fault::new(Code::InvalidArguments, NO_INTEGRATION))?;
        let redirect = format!("{}{CALLBACK}", self.tokens().directory().origin()?);
        let begun = Authorization::begin(&integration, &redirect)
            .map_err(|e| Fault::new(Code::Internal, e.to_string()))?;
        let url = begun.url.clone();
        Ok(Begun { cookie: self.own_logins().begin(member.principal.clone(), begun), url })
    }

    /// Ends a login: with what came back to the browser that has this cookie. From now on the account is
    /// the member's own.
    pub async fn end_own_login(&self, cookie: &str, query: &str) -> Result<(Arc<Member>, Profile), Fault> {
        let (principal, begun) = self.own_logins().take_begun(cookie).ok_or_else(over)?;
        let member = self.member_of(&principal)?;
        let code = begun.code(query).map_err(|e| Fault::new(Code::Forbidden, e.to_string()))?;
        let (verifier, redirect) = (begun.verifier.clone(), begun.redirect.clone());
        let name = name_of(&principal);
        let returned = Returned { code, verifier, redirect };
        let profile = self.replica().add_login(&name, returned).await?;
        self.tokens().directory().set_login(&member, Some(&name)).await?;
        Ok((member, profile))
    }

    /// Deletes the accounts of those who are members of nothing any more.
    pub async fn forget_own_logins(&self) -> Result<(), Fault> {
        for (principal, login) in self.tokens().directory().forget_logins_of_strangers().await? {
            // One that a person made by name and gave to them is that person's to delete.
            if login == name_of(&principal) {
                self.replica().remove_login(&login).await?;
            }
        }
        Ok(())
    }
}

/// What the own login of a member is called.
fn name_of(principal: &str) -> String {
    format!("member.{}", Person::of(principal).id)
}
