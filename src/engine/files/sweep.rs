//! Dropping files that nothing names any more.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use rustc_hash::FxHashSet;
use tablewright_core::Fault;
use tablewright_core::model::id::{AttachmentId, ID_LEN};

use super::{Files, MB, Shared, broken};

/// What a sweep dropped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// Attachments that were unused for long enough.
    pub attachments: u64,
    /// Blobs no attachment has for its content.
    pub blobs: u64,
}

/// The attachment ids in a JSON text; a text that only looks like one keeps a file, which does no harm.
fn ids_in(text: &str) -> impl Iterator<Item = &str> {
    text.match_indices("\"att").filter_map(|(at, _)| {
        let id = text.get(at + 1..at + 1 + ID_LEN)?;
        (text[at + 1 + ID_LEN..].starts_with('"') && AttachmentId::is(id)).then_some(id)
    })
}

impl Files {
    /// Notes which attachments no cell and no comment names, drops those that were unnamed for longer
    /// than the setting says, and then the blobs that are left over.
    pub async fn sweep(&self) -> Result<Swept, Fault> {
        let shared = &self.shared;
        let now = shared.clock.now_ms();
        for base in shared.store.bases_with_attachments().await? {
            // What is owned is asked first: whatever is added after that is not looked at.
            let owned = shared.store.attachments_of(&base).await?;
            let mut named = FxHashSet::default();
            shared
                .store
                .texts_with_attachments(&base, &mut |text| named.extend(ids_in(text).map(str::to_owned)))
                .await?;
            let (mut used, mut unused) = (Vec::new(), Vec::new());
            for (id, since) in owned {
                match (named.contains(&id), since) {
                    (true, Some(_)) => used.push(id),
                    (false, None) => unused.push(id),
                    _ => {}
                }
            }
            shared.store.mark_attachments(&used, &unused, now).await?;
        }
        let grace = shared.options.keep_unused_seconds;
        let before = now.saturating_sub(i64::try_from(grace).unwrap_or(i64::MAX).saturating_mul(1_000));
        let attachments = shared.store.drop_unused_attachments(before).await?;
        let mut swept = Swept { attachments, blobs: 0 };
        let blobs = shared.blobs.clone();
        let old = tokio::task::spawn_blocking(move || blobs.older_than(Duration::from_secs(grace)));
        for blob in old.await.map_err(broken)?.map_err(broken)? {
            if shared.store.has_blob(&blob).await? {
                continue;
            }
            // Looked at again while nothing can be added: it may be wanted since.
            let _alone = shared.placing.lock().await;
            if !shared.store.has_blob(&blob).await? {
                let blobs = shared.blobs.clone();
                let removed = tokio::task::spawn_blocking(move || blobs.remove(&blob));
                removed.await.map_err(broken)?.map_err(broken)?;
                swept.blobs += 1;
            }
        }
        let (blobs, most) = (shared.blobs.clone(), shared.options.scaled_mb * MB);
        let left = tokio::task::spawn_blocking(move || blobs.shrink_scaled(most));
        shared.scaled_bytes.store(left.await.map_err(broken)?.map_err(broken)?, Ordering::Relaxed);
        Ok(swept)
    }

    /// Sweeps after a minute and then every hour, for as long as the files are in use.
    pub fn sweep_by_the_hour(&self) {
        tokio::spawn(by_the_hour(Arc::downgrade(&self.shared)));
    }
}

async fn by_the_hour(shared: Weak<Shared>) {
    // Processes that do one thing are done before that; those that serve may not live an hour.
    let mut wait = Duration::from_secs(60);
    loop {
        tokio::time::sleep(wait).await;
        wait = Duration::from_secs(3_600);
        let Some(shared) = shared.upgrade() else { return };
        match (Files { shared }).sweep().await {
            Ok(swept) if swept != Swept::default() => {
                tracing::info!(
                    attachments = swept.attachments,
                    blobs = swept.blobs,
                    "unused files were dropped"
                );
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "unused files were not dropped"),
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn ids_are_found_wherever_they_stand() {
        let text = r#"{"fldA":[{"id":"attA1b2C3d4E5f6G7","filename":"\"attaché"},{"id":"attB1b2C3d4E5f6G7"}],"x":"att"}"#;
        let found: Vec<&str> = super::ids_in(text).collect();
        assert_eq!(found, ["attA1b2C3d4E5f6G7", "attB1b2C3d4E5f6G7"]);
    }
}
