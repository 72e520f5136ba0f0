//! Signing in to the console: a link that works once, then a cookie.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use tablewright_core::model::PlanId;
use tablewright_core::{Code, Fault};
use tablewright_door::passkeys::{Adding, Asking};

/// How long a link works.
pub(super) const LINK: Duration = Duration::from_secs(600);
/// How long a person stays signed in, and how long without doing anything.
const LONGEST: Duration = Duration::from_secs(12 * 3_600);
const IDLE: Duration = Duration::from_secs(3_600);
/// Most links and people at once; the oldest go.
const MOST: usize = 100;

type Key = [u8; 32];

/// What a browser was asked to do with a passkey; one thing at a time.
pub(super) enum Ceremony {
    /// To make one.
    Add(Adding),
    /// To show one, to approve this plan.
    Approve(PlanId, Asking),
    /// To show one, so that another may be added.
    Permit(Asking),
}

struct Session {
    /// What forms have to send back.
    form_key: String,
    began: Instant,
    used: Instant,
    ceremony: Option<Ceremony>,
    /// A passkey was shown, so that one may be added now.
    permitted: bool,
}

#[derive(Default)]
struct State {
    links: HashMap<Key, Instant>,
    sessions: HashMap<Key, Session>,
}

/// Who is signed in. Secrets are kept as hashes.
#[derive(Default)]
pub(super) struct Sessions(Mutex<State>);

/// A secret of 256 random bits, and its hash.
fn secret() -> Result<(String, Key), Fault> {
    let mut bytes = [0_u8; 32];
    getrandom::fill(&mut bytes).map_err(|e| Fault::new(Code::Internal, e.to_string()))?;
    let text = URL_SAFE_NO_PAD.encode(bytes);
    let key = hash(&text);
    Ok((text, key))
}

fn hash(text: &str) -> Key {
    Sha256::digest(text.as_bytes()).into()
}

impl Sessions {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A code that signs one person in, once.
    pub(super) fn link(&self) -> Result<String, Fault> {
        let (code, key) = secret()?;
        let mut state = self.lock();
        state.links.retain(|_, made| made.elapsed() < LINK);
        drop_oldest(&mut state.links, |made| *made);
        state.links.insert(key, Instant::now());
        Ok(code)
    }

    /// Signs in with a code: the cookie's value; `None` when the code is not one, or not any more.
    pub(super) fn enter(&self, code: &str) -> Result<Option<String>, Fault> {
        let mut state = self.lock();
        if state.links.remove(&hash(code)).is_none_or(|made| made.elapsed() >= LINK) {
            return Ok(None);
        }
        let ((cookie, key), (form_key, _)) = (secret()?, secret()?);
        let now = Instant::now();
        state.sessions.retain(|_, session| session.is_live());
        drop_oldest(&mut state.sessions, |session| session.used);
        let session = Session { form_key, began: now, used: now, ceremony: None, permitted: false };
        state.sessions.insert(key, session);
        Ok(Some(cookie))
    }

    /// The form key of whoever brings this cookie; `None` when they are not signed in.
    pub(super) fn form_key(&self, cookie: &str) -> Option<String> {
        let mut state = self.lock();
        let session = state.sessions.get_mut(&hash(cookie)).filter(|session| session.is_live())?;
        session.used = Instant::now();
        Some(session.form_key.clone())
    }

    /// Notes what a browser was asked to do.
    pub(super) fn begin(&self, cookie: &str, ceremony: Ceremony) {
        if let Some(session) = self.lock().sessions.get_mut(&hash(cookie)) {
            session.ceremony = Some(ceremony);
        }
    }

    /// What a browser was asked to do; asked once, it is gone.
    pub(super) fn take(&self, cookie: &str) -> Option<Ceremony> {
        self.lock().sessions.get_mut(&hash(cookie))?.ceremony.take()
    }

    /// Notes that a passkey was shown.
    pub(super) fn permit(&self, cookie: &str) {
        if let Some(session) = self.lock().sessions.get_mut(&hash(cookie)) {
            session.permitted = true;
        }
    }

    /// Whether a passkey was shown since the last time this was asked.
    pub(super) fn take_permit(&self, cookie: &str) -> bool {
        let mut state = self.lock();
        state.sessions.get_mut(&hash(cookie)).is_some_and(|session| std::mem::take(&mut session.permitted))
    }

    /// Signs out.
    pub(super) fn leave(&self, cookie: &str) {
        self.lock().sessions.remove(&hash(cookie));
    }
}

impl Session {
    fn is_live(&self) -> bool {
        self.began.elapsed() < LONGEST && self.used.elapsed() < IDLE
    }
}

/// Makes room for one more.
fn drop_oldest<T>(held: &mut HashMap<Key, T>, when: impl Fn(&T) -> Instant) {
    while held.len() >= MOST {
        let Some(oldest) = held.iter().min_by_key(|(_, value)| when(value)).map(|(key, _)| *key) else {
            return;
        };
        held.remove(&oldest);
    }
}
