//! Files as clients see them: addresses, smaller images, objects of the Web API.

use std::path::PathBuf;
use std::sync::atomic::Ordering;

use serde_json::{Map, Value, json};
use tablewright_core::model::id::AttachmentId;
use tablewright_core::{Code, Fault};

use super::picture::{self, Variant};
use super::{Files, MB, Refused, Shared, StoredAttachment, broken, gone, kind};

/// A file that is ready to be sent.
#[derive(Debug, Clone, PartialEq)]
pub struct Located {
    /// Where its bytes lie.
    pub path: PathBuf,
    /// Their media type.
    pub kind: String,
    /// What to call it.
    pub filename: String,
}

/// Notes that `size` bytes more are kept beside the files, and makes room once that is too much.
pub(super) fn make_room(shared: &Shared, size: u64) -> std::io::Result<()> {
    let most = shared.options.scaled_mb * MB;
    if shared.scaled_bytes.fetch_add(size, Ordering::Relaxed) + size > most {
        // A quarter of the room is made free, so that this is rare.
        let left = shared.blobs.shrink_scaled(most / 4 * 3)?;
        shared.scaled_bytes.store(left, Ordering::Relaxed);
    }
    Ok(())
}

impl Files {
    /// The path of an address that hands out a file for a while from `now` (milliseconds since the
    /// epoch).
    pub fn url_path(&self, id: AttachmentId, filename: &str, variant: Variant, now: i64) -> String {
        let expires = u64::try_from(now / 1_000).unwrap_or_default() + self.shared.options.link_seconds;
        self.shared.key.path(id, filename, variant, expires)
    }

    /// What the path of an address hands out: its parts are id, expiry, signature and variant.
    pub fn check_path(&self, parts: [&str; 4]) -> Result<(AttachmentId, Variant), Refused> {
        let [id, expires, signature, variant] = parts;
        let now = u64::try_from(self.shared.clock.now_ms() / 1_000).unwrap_or_default();
        self.shared.key.check(id, expires, signature, variant, now)
    }

    /// True when images of this type and size are scaled.
    fn is_scaled(&self, kind: &str, pixels: (u32, u32)) -> bool {
        kind::SCALED.contains(&kind) && picture::check_size(pixels, self.max_pixels()).is_ok()
    }

    fn max_pixels(&self) -> u64 {
        self.shared.options.image_megapixels * 1_000_000
    }

    /// A file in a size; scaled images are made on demand and kept for a while.
    pub async fn locate(&self, attachment: &StoredAttachment, variant: Variant) -> Result<Located, Fault> {
        let path = self.path(attachment)?;
        if !tokio::fs::try_exists(&path).await.unwrap_or(false) {
            return Err(gone(attachment));
        }
        let original =
            |path| Located { path, kind: attachment.kind.clone(), filename: attachment.filename.clone() };
        if variant == Variant::Original {
            return Ok(original(path));
        }
        let pixels =
            attachment.pixels.filter(|_| kind::SCALED.contains(&&*attachment.kind)).ok_or_else(|| {
                let message = format!("{:?} is no image that can be scaled", attachment.filename);
                Fault::new(Code::InvalidFile, message)
            })?;
        picture::check_size(pixels, self.max_pixels()).map_err(|why| Fault::new(Code::LimitExceeded, why))?;
        // What a model gets is known to be a whole image, and in a format that all of them read.
        let again = variant == Variant::Preview || attachment.kind == "image/bmp";
        let preview = self.shared.options.preview_pixels;
        if variant.scaled(pixels, preview) == pixels && !again {
            return Ok(original(path));
        }
        let (ending, kind) = picture::scaled_type(&attachment.kind);
        // A preview of another size is another file.
        let name = if variant == Variant::Preview { &*format!("preview{preview}") } else { variant.as_str() };
        let made = self.shared.blobs.scaled(&attachment.blob, name, ending);
        if !tokio::fs::try_exists(&made).await.unwrap_or(false) {
            self.scale(path, made.clone(), variant, kind == "image/jpeg").await?;
        }
        let stem = attachment.filename.rsplit_once('.').map_or(&*attachment.filename, |(stem, _)| stem);
        Ok(Located {
            path: made,
            kind: kind.to_owned(),
            filename: format!("{stem}-{}.{ending}", variant.as_str()),
        })
    }

    /// True for an image of more than one picture, of which scaling keeps the first.
    pub async fn moves(&self, attachment: &StoredAttachment) -> Result<bool, Fault> {
        let (path, kind, most) = (self.path(attachment)?, attachment.kind.clone(), self.max_pixels());
        let _turn = self.shared.scaling.acquire().await.map_err(broken)?;
        let looking = tokio::task::spawn_blocking(move || picture::moves(&path, &kind, most));
        looking.await.map_err(broken)?.map_err(|why| Fault::new(Code::InvalidFile, why))
    }

    async fn scale(&self, from: PathBuf, to: PathBuf, variant: Variant, jpeg: bool) -> Result<(), Fault> {
        let turn = self.shared.scaling.acquire().await.map_err(broken)?;
        let (shared, max_pixels) = (self.shared.clone(), self.max_pixels());
        let preview = shared.options.preview_pixels;
        let work = move || -> Result<(), String> {
            if to.is_file() {
                // Somebody else made it while this one waited.
                return Ok(());
            }
            let part = shared.blobs.scaled_part();
            let done = picture::scale(&from, &part, |size| variant.scaled(size, preview), jpeg, max_pixels)
                .and_then(|()| std::fs::rename(&part, &to).map_err(|e| e.to_string()));
            if done.is_err() {
                let _ = std::fs::remove_file(&part);
                return done;
            }
            let size = std::fs::metadata(&to).map_or(0, |m| m.len());
            make_room(&shared, size).map_err(|e| e.to_string())
        };
        let done = tokio::task::spawn_blocking(work).await.map_err(broken)?;
        drop(turn);
        done.map_err(|why| Fault::new(Code::InvalidFile, format!("the image cannot be scaled: {why}")))
    }

    /// An attachment cell as the Web API shows it: every file of ours gets an address under
    /// `public` that is good for a while from `now`, and images their smaller sizes. What is not
    /// ours stays as it is.
    pub fn shown(&self, cell: &Value, public: &str, now: i64) -> Value {
        match cell {
            Value::Array(items) => {
                Value::Array(items.iter().map(|item| self.shown_item(item, public, now)).collect())
            }
            other => other.clone(),
        }
    }

    fn shown_item(&self, item: &Value, public: &str, now: i64) -> Value {
        let text = |key: &str| item.get(key).and_then(Value::as_str);
        let (Some(map), Some(filename), None) = (item.as_object(), text("filename"), item.get("url")) else {
            return item.clone();
        };
        let Some(id) = text("id").and_then(|id| id.parse::<AttachmentId>().ok()) else { return item.clone() };
        let url = |variant| Value::String(format!("{public}{}", self.url_path(id, filename, variant, now)));
        let mut shown = Map::with_capacity(map.len() + 2);
        shown.insert("id".into(), Value::String(id.to_string()));
        for side in ["width", "height"] {
            if let Some(value) = map.get(side) {
                shown.insert(side.into(), value.clone());
            }
        }
        shown.insert("url".into(), url(Variant::Original));
        for (key, value) in map {
            if !shown.contains_key(key) {
                shown.insert(key.clone(), value.clone());
            }
        }
        let side = |key: &str| map.get(key).and_then(Value::as_u64).and_then(|n| u32::try_from(n).ok());
        if let (Some(width), Some(height), Some(kind)) = (side("width"), side("height"), text("type"))
            && self.is_scaled(kind, (width, height))
        {
            let sizes = [Variant::Small, Variant::Large, Variant::Full].map(|variant| {
                let (width, height) = variant.scaled((width, height), self.shared.options.preview_pixels);
                let about = json!({"url": url(variant), "width": width, "height": height});
                (variant.as_str().to_owned(), about)
            });
            shown.insert("thumbnails".into(), Value::Object(sizes.into_iter().collect()));
        }
        Value::Object(shown)
    }
}
