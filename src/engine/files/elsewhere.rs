//! Files that lie elsewhere: fetched when somebody looks at them, and kept for a while.
//!
//! A base that lives in Airtable names its files by addresses that expire after two hours; what is
//! behind an attachment's id never changes. So a file is fetched once, kept by that id within its
//! base, and dropped when room is wanted for others. No base owns it.

use std::sync::{Arc, PoisonError, Weak};
use std::time::Duration;

use rustc_hash::FxHashMap;
use serde_json::Value;
use tablewright_core::model::BaseId;
use tablewright_core::model::id::AttachmentId;
use tablewright_core::{Code, Fault};
use tokio::sync::Mutex;

use super::{Described, Files, MB, StoredAttachment, broken, name, too_large};
use crate::fetch;

/// Files fetched at once.
pub(super) const FETCHING: usize = 4;
/// How long a use is not noted again, in milliseconds.
const NOTED: i64 = 60_000;

/// What is being fetched, by base and by what its cell names it.
pub(super) type Fetching = FxHashMap<(BaseId, String), Weak<Mutex<()>>>;

/// What a cell says of a file.
struct Named<'a> {
    /// By what it is known: its id, or its address where it has none.
    source: &'a str,
    url: &'a str,
    filename: Option<&'a str>,
    kind: Option<&'a str>,
}

fn text<'a>(item: &'a Value, key: &str) -> Option<&'a str> {
    item.get(key).and_then(Value::as_str).filter(|text| !text.is_empty())
}

impl<'a> Named<'a> {
    fn read(item: &'a Value) -> Result<Self, Fault> {
        let url = text(item, "url").ok_or_else(|| {
            Fault::new(Code::InvalidFile, "the file is not kept here, and its cell has no address of it")
        })?;
        let id = text(item, "id").filter(|id| AttachmentId::is(id));
        Ok(Self {
            source: id.unwrap_or(url),
            url,
            filename: text(item, "filename"),
            kind: text(item, "type"),
        })
    }
}

/// True when an address may have been good until a while ago.
fn expired(error: &fetch::Error) -> bool {
    matches!(error, fetch::Error::Status(403 | 404 | 410))
}

impl Files {
    /// The file that an item of an attachment cell of `base` names by an address elsewhere. It is
    /// fetched unless it is kept; when its address has expired, `refresh` gives the cell as it is
    /// now, with a fresh one.
    pub async fn cached(
        &self,
        base: BaseId,
        item: &Value,
        refresh: impl AsyncFnOnce() -> Result<Value, Fault>,
    ) -> Result<StoredAttachment, Fault> {
        let named = Named::read(item)?;
        if let Some(kept) = self.kept(base, named.source).await? {
            return Ok(kept);
        }
        // Whoever wants the same file waits for the first one.
        let key = (base, named.source.to_owned());
        let mine = {
            let mut all = self.shared.fetching.lock().unwrap_or_else(PoisonError::into_inner);
            all.retain(|_, other| other.strong_count() > 0);
            match all.get(&key).and_then(Weak::upgrade) {
                Some(other) => other,
                None => {
                    let new = Arc::new(Mutex::new(()));
                    all.insert(key, Arc::downgrade(&new));
                    new
                }
            }
        };
        let _alone = mine.lock().await;
        if let Some(kept) = self.kept(base, named.source).await? {
            return Ok(kept);
        }
        let _turn = self.shared.fetches.acquire().await.map_err(broken)?;
        match self.fetch_once(base, &named, named.source).await {
            Err(Failure::Fetch(error)) if expired(&error) => {
                let cell = refresh().await?;
                let items = cell.as_array().map(Vec::as_slice).unwrap_or_default();
                let same = |item: &&Value| match text(item, "id") {
                    Some(id) => id == named.source,
                    None => text(item, "filename") == named.filename,
                };
                let Some(fresh) = items.iter().find(same) else {
                    let message = "the file is not in its cell any more; read the record again.";
                    return Err(Fault::new(Code::InvalidFile, message));
                };
                let fresh = Named::read(fresh)?;
                if fresh.url == named.url {
                    return Err(error.into());
                }
                self.fetch_once(base, &fresh, named.source).await.map_err(Fault::from)
            }
            other => other.map_err(Fault::from),
        }
    }

    /// The file that is known by this, when it is kept with its content.
    async fn kept(&self, base: BaseId, source: &str) -> Result<Option<StoredAttachment>, Fault> {
        let Some((kept, used_at)) = self.shared.store.cached_attachment(base, source).await? else {
            return Ok(None);
        };
        if !tokio::fs::try_exists(self.path(&kept)?).await.unwrap_or(false) {
            return Ok(None);
        }
        let now = self.shared.clock.now_ms();
        if now.saturating_sub(used_at) >= NOTED {
            self.shared.store.use_attachment(kept.id, now).await?;
        }
        Ok(Some(kept))
    }

    async fn fetch_once(
        &self,
        base: BaseId,
        named: &Named<'_>,
        source: &str,
    ) -> Result<StoredAttachment, Failure> {
        let options = &self.shared.options;
        let (most, setting) = if options.cache_mb < options.url_mb {
            (options.cache_mb * MB, "cache_mb")
        } else {
            (options.url_mb * MB, "url_mb")
        };
        let time = Duration::from_secs(options.fetch_seconds);
        let (incoming, fetched) = match self.fetch(named.url, most, time).await {
            Err(Failure::Fetch(fetch::Error::TooLong(_))) => return Err(too_large(most, setting).into()),
            other => other?,
        };
        let suggested = name::of_url(&fetched.url);
        let about = Described {
            filename: named.filename.unwrap_or(&suggested),
            kind: named.kind.or(fetched.content_type.as_deref()),
            ..Described::default()
        };
        Ok(self.keep(base, about, incoming, Some(source)).await?)
    }

    /// Drops the files that were not used for longest until what is kept of files elsewhere fits.
    /// Nothing may be placed meanwhile.
    pub(super) async fn make_cache_fit(&self) -> Result<(), Fault> {
        let most = self.shared.options.cache_mb * MB;
        for blob in self.shared.store.drop_cached_beyond(most).await? {
            // The same content may also be a base's own.
            if !self.shared.store.has_blob(&blob).await? {
                let blobs = self.shared.blobs.clone();
                let removed = tokio::task::spawn_blocking(move || blobs.remove(&blob)).await;
                removed.map_err(broken)?.map_err(broken)?;
            }
        }
        Ok(())
    }
}

/// Why a file was not taken in: what fetching it met, or anything else.
pub(super) enum Failure {
    Fetch(fetch::Error),
    Other(Fault),
}

impl From<fetch::Error> for Failure {
    fn from(error: fetch::Error) -> Self {
        Self::Fetch(error)
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self::Other(fault)
    }
}

impl From<Failure> for Fault {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Fetch(error) => error.into(),
            Failure::Other(fault) => fault,
        }
    }
}
