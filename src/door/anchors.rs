//! The end of the audit log, written down outside of the database: who changes the whole log later
//! cannot change that.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;
use tablewright_core::Fault;
use tablewright_core::model::cell::instant_text;
use tablewright_engine::Engine;
use tablewright_engine::fetch::Fetcher;
use tokio::io::AsyncWriteExt as _;
use tokio_util::sync::CancellationToken;

/// Settings of the audit log.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Whether calls that only read, and go well, get a line; all others always do.
    pub reads: bool,
    /// A file that gets a line for each anchor: `NUMBER:HASH` and the time. Best on another machine's
    /// disk, or one that can only be added to.
    pub anchor_file: Option<PathBuf>,
    /// An address that is told each anchor by a POST of JSON (`anchor`, `at`).
    pub anchor_url: Option<String>,
    /// Minutes between anchors (1 to 10,080).
    pub anchor_minutes: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self { reads: true, anchor_file: None, anchor_url: None, anchor_minutes: 60 }
    }
}

impl Options {
    /// Refuses values that are out of range: the setting and what is wrong with it.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        match self.anchor_minutes {
            1..=10_080 => Ok(()),
            _ => Err(("anchor_minutes", "it must be 1 to 10080".to_owned())),
        }
    }
}

/// How long telling an address may take.
const PATIENCE: Duration = Duration::from_secs(15);

/// Writes anchors until stopped: at the start, then as often as the settings say, and at the end.
pub async fn run(engine: Engine, options: Options, fetcher: Fetcher, stop: CancellationToken) {
    if options.anchor_file.is_none() && options.anchor_url.is_none() {
        return;
    }
    let mut last = None;
    loop {
        let ending = stop.is_cancelled();
        if let Err(problem) = anchor(&engine, &options, &fetcher, &mut last).await {
            tracing::warn!(problem, "the end of the audit log was not written down outside");
        }
        if ending {
            return;
        }
        let pause = Duration::from_secs(u64::from(options.anchor_minutes) * 60);
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = stop.cancelled() => {}
        }
    }
}

async fn anchor(
    engine: &Engine,
    options: &Options,
    fetcher: &Fetcher,
    last: &mut Option<i64>,
) -> Result<(), String> {
    let words = |fault: Fault| fault.message;
    engine.settle_audit().await.map_err(words)?;
    let head = engine.store().audit_head().await.map_err(|error| error.to_string())?;
    let Some((seq, hash)) = head.filter(|(seq, _)| last.is_none_or(|last| last < *seq)) else {
        return Ok(());
    };
    let (anchor, at) = (format!("{seq}:{hash}"), instant_text(engine.clock().now_ms()));
    if let Some(path) = &options.anchor_file {
        append(path, &format!("{anchor} {at}\n")).await.map_err(|e| format!("{}: {e}", path.display()))?;
    }
    if let Some(url) = &options.anchor_url {
        let body = json!({ "anchor": anchor, "at": at }).to_string().into_bytes();
        match fetcher.post(url, &[("Content-Type", "application/json")], body, PATIENCE).await {
            Ok(200..=299) => {}
            Ok(status) => return Err(format!("the address answered with status {status}")),
            Err(error) => return Err(error.to_string()),
        }
    }
    *last = Some(seq);
    Ok(())
}

async fn append(path: &Path, line: &str) -> std::io::Result<()> {
    let mut file = tokio::fs::OpenOptions::new().create(true).append(true).open(path).await?;
    file.write_all(line.as_bytes()).await?;
    file.sync_all().await
}
