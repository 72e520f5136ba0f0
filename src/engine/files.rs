//! Files that attachment cells name: taken in, kept by content, handed out, and dropped when
//! nothing names them any more.

mod blobs;
mod elsewhere;
mod kind;
mod link;
mod name;
mod outgoing;
mod picture;
mod show;
mod sweep;
mod text;

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tablewright_core::clock::Clock;
use tablewright_core::model::BaseId;
use tablewright_core::model::id::AttachmentId;
use tablewright_core::{Code, Fault};
use tokio::io::AsyncReadExt as _;
use tokio::sync::{Mutex, Semaphore};

use crate::fetch::{self, Fetched, Fetcher};
use crate::store::Store;
use blobs::{Blobs, Incoming};
use elsewhere::Failure;

pub use crate::store::attachments::StoredAttachment;
pub use kind::{SHOWN_IN_PLACE, UNKNOWN};
pub use link::Refused;
pub use name::percent_encoded;
pub use outgoing::{Given, Outgoing};
pub use picture::Variant;
pub use show::Located;
pub use sweep::Swept;
pub use text::{About, FileText, Format, extract};

/// Settings of attachments.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Folders whose files `upload_attachment` may take in. None unless listed.
    pub folders: Vec<PathBuf>,
    /// Most megabytes of one uploaded file (1 to 1,000).
    pub upload_mb: u64,
    /// Most megabytes of one file taken in from a URL or with a base file (1 to 5,000).
    pub url_mb: u64,
    /// Most megabytes of all files of a base.
    pub base_mb: u64,
    /// Seconds that fetching all files of one write may take (1 to 300).
    pub fetch_seconds: u64,
    /// Seconds after which the address of a file expires (60 to 604,800).
    pub link_seconds: u64,
    /// Seconds that a file stays after the last cell that named it.
    pub keep_unused_seconds: u64,
    /// Megapixels of the largest image that is scaled (1 to 200).
    pub image_megapixels: u64,
    /// Width and height, in pixels, within which a model gets images to look at (64 to 3,000).
    pub preview_pixels: u32,
    /// Most megabytes of scaled images, and of texts read out of files, that are kept.
    pub scaled_mb: u64,
    /// Most megabytes of files that lie elsewhere, such as those of bases in Airtable, that are kept
    /// once they were looked at (1 to 1,000,000).
    pub cache_mb: u64,
    /// Most megabytes of a PDF or HTML file whose text is read (1 to 1,000).
    pub read_mb: u64,
    /// Seconds that reading the text of one PDF or HTML file may take (1 to 300).
    pub read_seconds: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            folders: Vec::new(),
            // The limit of Airtable's upload endpoint.
            upload_mb: 5,
            url_mb: 100,
            base_mb: 10_000,
            fetch_seconds: 10,
            // As in Airtable.
            link_seconds: 7_200,
            keep_unused_seconds: 3_600,
            image_megapixels: 40,
            preview_pixels: 1_024,
            scaled_mb: 256,
            cache_mb: 1_000,
            read_mb: 50,
            read_seconds: 20,
        }
    }
}

impl Options {
    /// Refuses values out of their ranges: the setting and what it must be.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        for (key, value, low, high) in [
            ("upload_mb", self.upload_mb, 1, 1_000),
            ("url_mb", self.url_mb, 1, 5_000),
            ("fetch_seconds", self.fetch_seconds, 1, 300),
            ("link_seconds", self.link_seconds, 60, 604_800),
            ("image_megapixels", self.image_megapixels, 1, 200),
            ("preview_pixels", u64::from(self.preview_pixels), 64, 3_000),
            ("cache_mb", self.cache_mb, 1, 1_000_000),
            ("read_mb", self.read_mb, 1, 1_000),
            ("read_seconds", self.read_seconds, 1, 300),
        ] {
            if !(low..=high).contains(&value) {
                return Err((key, format!("it must be {low} to {high}, not {value}")));
            }
        }
        Ok(())
    }
}

const MB: u64 = 1024 * 1024;
/// Images decoded at once; one may take eight bytes of memory for each of its pixels.
const SCALING: usize = 1;
/// Images whose header is read at once; some formats are read whole for that.
const MEASURING: usize = 2;
/// Files whose text is read at once, each by a process of its own.
const READING: usize = 2;
/// Largest file that is looked at as an image, in bytes.
const MAX_IMAGE: u64 = 50 * MB;
/// Bytes read from a file at a time.
const PIECE: usize = 64 * 1024;

/// The files of a data directory. Cheap to clone.
#[derive(Clone)]
pub struct Files {
    shared: Arc<Shared>,
}

struct Shared {
    options: Options,
    directory: PathBuf,
    blobs: Arc<Blobs>,
    key: link::Key,
    store: Store,
    clock: Arc<dyn Clock>,
    fetcher: Fetcher,
    public_url: RwLock<Option<Arc<str>>>,
    /// Held while a blob gets its row, and while one without a row is removed.
    placing: Mutex<()>,
    /// Held while a file is added to a cell, so that none is lost to another one.
    appending: Mutex<()>,
    /// Files elsewhere that are being fetched: whoever wants the same one waits.
    fetching: std::sync::Mutex<elsewhere::Fetching>,
    fetches: Semaphore,
    scaling: Semaphore,
    measuring: Semaphore,
    reading: Semaphore,
    /// The program that reads files.
    reader: OnceLock<PathBuf>,
    scaled_bytes: AtomicU64,
}

/// What somebody says about a file they send.
#[derive(Debug, Clone, Default)]
pub struct Described<'a> {
    /// The id it should have; a new one when that is taken.
    pub id: Option<AttachmentId>,
    /// What it is called.
    pub filename: &'a str,
    /// Its media type, believed only where its bytes say nothing.
    pub kind: Option<&'a str>,
}

impl<'a> Described<'a> {
    /// A file of this name.
    pub fn named(filename: &'a str) -> Self {
        Self { filename, ..Self::default() }
    }
}

fn broken(error: impl std::fmt::Display) -> Fault {
    tracing::error!(%error, "files");
    Fault::new(Code::StoreUnavailable, format!("the file cannot be kept now: {error}"))
}

fn too_large(limit: u64, setting: &str) -> Fault {
    let message = format!(
        "the file is larger than {} MB, the most that is taken in; a person can raise the setting attachments.{setting}",
        limit / MB
    );
    Fault::new(Code::LimitExceeded, message)
}

impl From<fetch::Error> for Fault {
    fn from(error: fetch::Error) -> Self {
        let code = match error {
            fetch::Error::Url { .. } | fetch::Error::Status(_) | fetch::Error::Failed(_) => {
                Code::InvalidValue
            }
            fetch::Error::Private { .. } => Code::Forbidden,
            fetch::Error::Redirects(_) | fetch::Error::TooLong(_) | fetch::Error::Time(_) => {
                Code::LimitExceeded
            }
        };
        Fault::new(code, error.to_string())
    }
}

impl Files {
    /// The files of the data directory `directory`, whose lock the caller holds.
    pub async fn open(
        directory: &Path,
        options: Options,
        fetcher: Fetcher,
        store: Store,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, Fault> {
        let folder = directory.join("files");
        let directory = directory.to_owned();
        let shared = tokio::task::spawn_blocking(move || -> std::io::Result<Shared> {
            let blobs = Blobs::open(folder)?;
            let key = link::Key::open(&blobs.folder().join("link.key"))?;
            let scaled_bytes = AtomicU64::new(blobs.scaled_bytes()?);
            Ok(Shared {
                options,
                directory: directory.canonicalize()?,
                blobs: Arc::new(blobs),
                key,
                store,
                clock,
                fetcher,
                public_url: RwLock::default(),
                placing: Mutex::new(()),
                appending: Mutex::new(()),
                fetching: std::sync::Mutex::default(),
                fetches: Semaphore::new(elsewhere::FETCHING),
                scaling: Semaphore::new(SCALING),
                measuring: Semaphore::new(MEASURING),
                reading: Semaphore::new(READING),
                reader: OnceLock::new(),
                scaled_bytes,
            })
        })
        .await
        .map_err(broken)?
        .map_err(broken)?;
        Ok(Self { shared: Arc::new(shared) })
    }

    /// The settings in force.
    pub fn options(&self) -> &Options {
        &self.shared.options
    }

    /// What fetches addresses that somebody else has named.
    pub fn fetcher(&self) -> &Fetcher {
        &self.shared.fetcher
    }

    /// Held while a file is added to what a cell has already.
    pub fn appending(&self) -> &Mutex<()> {
        &self.shared.appending
    }

    /// Notes where clients reach this server, such as `http://127.0.0.1:8787`.
    pub fn set_public_url(&self, url: &str) {
        let mut held = self.shared.public_url.write().unwrap_or_else(PoisonError::into_inner);
        *held = Some(url.trim_end_matches('/').into());
    }

    /// Where clients reach this server; `None` when it does not serve HTTP.
    pub fn public_url(&self) -> Option<Arc<str>> {
        self.shared.public_url.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes in bytes that are in memory already.
    pub async fn add_bytes(
        &self,
        base: BaseId,
        about: Described<'_>,
        bytes: &[u8],
    ) -> Result<StoredAttachment, Fault> {
        let limit = self.shared.options.upload_mb * MB;
        if bytes.len() as u64 > limit {
            return Err(too_large(limit, "upload_mb"));
        }
        let mut incoming = self.shared.blobs.receive().await.map_err(broken)?;
        incoming.push(bytes).await.map_err(broken)?;
        self.keep(base, about, incoming, None).await
    }

    /// Fetches a file, within `time` in all. `filename` goes before the name the address suggests.
    pub async fn add_url(
        &self,
        base: BaseId,
        url: &str,
        filename: Option<&str>,
        time: Duration,
    ) -> Result<StoredAttachment, Fault> {
        let (incoming, fetched) = self.fetch(url, self.shared.options.url_mb * MB, time).await?;
        let suggested = name::of_url(&fetched.url);
        let about = Described {
            filename: filename.unwrap_or(&suggested),
            kind: fetched.content_type.as_deref(),
            ..Described::default()
        };
        self.keep(base, about, incoming, None).await
    }

    /// Receives what an address has, all of it.
    async fn fetch(&self, url: &str, most: u64, time: Duration) -> Result<(Incoming, Fetched), Failure> {
        let mut fetched = self.shared.fetcher.get(url, most, time).await?;
        let mut incoming = self.shared.blobs.receive().await.map_err(broken)?;
        while let Some(piece) = fetched.chunk().await? {
            incoming.push(piece.as_ref()).await.map_err(broken)?;
        }
        Ok((incoming, fetched))
    }

    /// Copies the file that an address signed by this server hands out, whatever host it names;
    /// `None` for any other address.
    pub async fn add_own(
        &self,
        base: BaseId,
        url: &str,
        filename: Option<&str>,
    ) -> Result<Option<StoredAttachment>, Fault> {
        let Ok(url) = url::Url::parse(url) else { return Ok(None) };
        let parts: Vec<&str> = url.path_segments().into_iter().flatten().collect();
        let ["files", id, expires, signature, variant, _] = parts[..] else { return Ok(None) };
        let Ok((id, Variant::Original)) = self.check_path([id, expires, signature, variant]) else {
            return Ok(None);
        };
        let Some(held) = self.get(id).await? else { return Ok(None) };
        let about = Described {
            filename: filename.unwrap_or(&held.filename),
            kind: Some(&held.kind),
            ..Described::default()
        };
        let most = self.shared.options.url_mb * MB;
        self.add_file(base, &self.path(&held)?, about, most, "url_mb").await.map(Some)
    }

    /// Takes in what somebody gives; a text needs a name.
    pub async fn add_given(
        &self,
        base: BaseId,
        given: Given<'_>,
        filename: Option<&str>,
    ) -> Result<StoredAttachment, Fault> {
        match given {
            Given::Path(path) => self.add_path(base, path, filename).await,
            Given::Text(text) => {
                let about = Described::named(filename.unwrap_or_default());
                self.add_bytes(base, about, text.as_bytes()).await
            }
        }
    }

    /// Takes in a file that lies in one of the folders of the setting `attachments.folders`.
    pub async fn add_path(
        &self,
        base: BaseId,
        path: &Path,
        filename: Option<&str>,
    ) -> Result<StoredAttachment, Fault> {
        let real = self.allowed(path).await?;
        let suggested = Self::name_of(path);
        let about = Described::named(filename.unwrap_or(&suggested));
        self.add_file(base, &real, about, self.shared.options.upload_mb * MB, "upload_mb").await
    }

    fn name_of(path: &Path) -> String {
        path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    }

    /// Where a file in one of the folders of the setting `attachments.folders` really lies.
    async fn allowed(&self, path: &Path) -> Result<PathBuf, Fault> {
        let allowed = self.shared.options.folders.clone();
        let wanted = path.to_owned();
        let found = tokio::task::spawn_blocking(move || {
            // Links are followed first: what counts is where the file really lies.
            // A relative path is looked for in each folder.
            allowed.iter().find_map(|folder| {
                let folder = folder.canonicalize().ok()?;
                let real = folder.join(&wanted).canonicalize().ok()?;
                real.starts_with(folder).then_some(real)
            })
        })
        .await
        .map_err(broken)?;
        // The same words whether it is there or not: nobody learns what lies elsewhere.
        found.filter(|real| !real.starts_with(&self.shared.directory)).ok_or_else(|| {
            let folders = self.shared.options.folders.iter().map(|f| f.display().to_string());
            let folders = folders.collect::<Vec<_>>().join(", ");
            let known = if folders.is_empty() { "none" } else { &folders };
            let message = format!(
                "there is no file {path:?} in a folder that may be read from; folders (setting attachments.folders): {known}"
            );
            Fault::new(Code::Forbidden, message)
        })
    }

    /// Takes in a file that lies beside a base file: `relative` within `folder`, whose real place
    /// the caller has found out.
    pub async fn add_beside(
        &self,
        base: BaseId,
        folder: &Path,
        relative: &str,
        about: Described<'_>,
    ) -> Result<StoredAttachment, Fault> {
        let (folder, wanted) = (folder.to_owned(), folder.join(relative));
        let real = tokio::task::spawn_blocking(move || {
            let real = wanted.canonicalize().map_err(|e| Fault::new(Code::InvalidFile, e.to_string()))?;
            if real.starts_with(&folder) {
                return Ok(real);
            }
            let message = "it leads out of the folder of the base file";
            Err(Fault::new(Code::Forbidden, message))
        })
        .await
        .map_err(broken)??;
        self.add_file(base, &real, about, self.shared.options.url_mb * MB, "url_mb").await
    }

    async fn add_file(
        &self,
        base: BaseId,
        path: &Path,
        about: Described<'_>,
        limit: u64,
        setting: &str,
    ) -> Result<StoredAttachment, Fault> {
        let unreadable =
            |e: std::io::Error| Fault::new(Code::InvalidFile, format!("{}: {e}", path.display()));
        let mut file = Self::regular(path).await?;
        if file.metadata().await.map_err(unreadable)?.len() > limit {
            return Err(too_large(limit, setting));
        }
        let mut incoming = self.shared.blobs.receive().await.map_err(broken)?;
        let mut piece = vec![0u8; PIECE];
        loop {
            let read = file.read(&mut piece).await.map_err(unreadable)?;
            if read == 0 {
                break;
            }
            incoming.push(piece.get(..read).unwrap_or_default()).await.map_err(broken)?;
            // The file may have grown since it was looked at.
            if incoming.size > limit {
                return Err(too_large(limit, setting));
            }
        }
        self.keep(base, about, incoming, None).await
    }

    /// Opens a file, if it is one: a pipe might never answer.
    async fn regular(path: &Path) -> Result<tokio::fs::File, Fault> {
        let unreadable =
            |e: std::io::Error| Fault::new(Code::InvalidFile, format!("{}: {e}", path.display()));
        if !tokio::fs::metadata(path).await.map_err(unreadable)?.is_file() {
            return Err(Fault::new(Code::InvalidFile, format!("{} is no regular file", path.display())));
        }
        tokio::fs::File::open(path).await.map_err(unreadable)
    }

    /// Gives what was received its place and its row. With a `source` it lies elsewhere, and no base
    /// owns it.
    async fn keep(
        &self,
        base: BaseId,
        about: Described<'_>,
        mut incoming: Incoming,
        source: Option<&str>,
    ) -> Result<StoredAttachment, Fault> {
        let shared = &self.shared;
        let blob = incoming.finish().await.map_err(broken)?;
        let filename = name::clean(about.filename);
        let whole = incoming.size == incoming.head.len() as u64;
        let kind = kind::of(&incoming.head, whole, about.kind, &filename);
        let path = incoming.path().to_owned();
        let pixels = if kind::SCALED.contains(&kind.as_str()) && incoming.size <= MAX_IMAGE {
            let _turn = shared.measuring.acquire().await.map_err(broken)?;
            tokio::task::spawn_blocking(move || picture::measure(&path)).await.map_err(broken)?
        } else {
            None
        };
        let mut attachment = StoredAttachment {
            id: about.id.unwrap_or_else(AttachmentId::random),
            base,
            blob,
            filename,
            kind,
            size: incoming.size,
            pixels,
            created_at: shared.clock.now_ms(),
            unused_since: None,
            source: source.map(str::to_owned),
        };
        let _alone = shared.placing.lock().await;
        let held = shared.store.attachment_bytes(base).await?;
        if source.is_none() && held.saturating_add(attachment.size) > shared.options.base_mb * MB {
            let message = format!(
                "the files of this base would take more than {} MB; delete some, or a person can raise the setting attachments.base_mb",
                shared.options.base_mb
            );
            return Err(Fault::new(Code::LimitExceeded, message));
        }
        let (blobs, blob) = (shared.blobs.clone(), attachment.blob.clone());
        tokio::task::spawn_blocking(move || blobs.place(incoming.path(), &blob))
            .await
            .map_err(broken)?
            .map_err(broken)?;
        if let Some(source) = source {
            // Its content was lost, or it would not have been fetched.
            shared.store.drop_cached(base, source).await?;
        }
        while !shared.store.add_attachment(&attachment).await? {
            attachment.id = AttachmentId::random();
        }
        if source.is_some() {
            self.make_cache_fit().await?;
        }
        Ok(attachment)
    }

    /// The attachment with this id, whichever base owns it.
    pub async fn get(&self, id: AttachmentId) -> Result<Option<StoredAttachment>, Fault> {
        Ok(self.shared.store.attachment(id).await?)
    }

    /// The attachment with this id, if `base` owns it, about to be named by a cell: from now on it
    /// stays at least until that write is done.
    pub async fn claim(&self, base: BaseId, id: AttachmentId) -> Result<Option<StoredAttachment>, Fault> {
        let owned = |found: &StoredAttachment| found.base == base && found.source.is_none();
        let found = self.shared.store.attachment(id).await?.filter(owned);
        if let Some(found) = &found
            && found.unused_since.is_some()
            && !self.shared.store.reuse_attachment(found.id).await?
        {
            return Ok(None);
        }
        Ok(found)
    }

    /// The first `most` bytes of a file.
    pub async fn read(&self, attachment: &StoredAttachment, most: u64) -> Result<Vec<u8>, Fault> {
        let path = self.path(attachment)?;
        let file = tokio::fs::File::open(&path).await.map_err(|_| gone(attachment))?;
        let mut bytes = Vec::new();
        file.take(most).read_to_end(&mut bytes).await.map_err(broken)?;
        Ok(bytes)
    }

    /// Where the bytes of a file lie.
    pub fn path(&self, attachment: &StoredAttachment) -> Result<PathBuf, Fault> {
        self.shared.blobs.path(&attachment.blob).map_err(broken)
    }
}

/// The fault for a file whose bytes are not there.
fn gone(attachment: &StoredAttachment) -> Fault {
    let message = format!("the content of {:?} is not there any more", attachment.filename);
    Fault::new(Code::InvalidFile, message)
}
