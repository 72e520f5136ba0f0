//! Telling people that something waits for them: on their desktop, and at an address of theirs.

use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;
use tablewright_core::model::{BaseId, PlanId};
use tablewright_engine::fetch::Fetcher;
use tokio::process::Command;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::egress::Egress;

/// Settings of notices.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Show a notification on the desktop when a write waits for approval, where there is one.
    pub desktop: bool,
    /// An address that is told by a POST of JSON (`text`, `kind`, `plan`); `text` is what chat
    /// programs show.
    pub webhook: Option<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self { desktop: true, webhook: None }
    }
}

/// Notices that wait to be told; more are dropped.
const MAX_WAITING: usize = 64;
/// How long telling may take.
const PATIENCE: Duration = Duration::from_secs(15);
/// Tries at the address, and the pause between them.
const TRIES: u32 = 3;
const PAUSE: Duration = Duration::from_secs(5);
/// Longest text, in characters.
const MAX_TEXT: usize = 1_000;

/// Something a person should know.
#[derive(Debug, Clone)]
pub struct Notice {
    /// `approval_needed` or `circuit_open`.
    pub kind: &'static str,
    /// In a few words.
    pub title: String,
    /// In a few sentences; nothing in it is more than plain text.
    pub text: String,
    /// The plan it is about.
    pub plan: Option<PlanId>,
    /// The base it is about.
    pub base: Option<BaseId>,
}

/// Where notices are put. Cheap to clone.
#[derive(Clone)]
pub struct Notices {
    sender: mpsc::Sender<Notice>,
    waiting: Arc<Mutex<Option<mpsc::Receiver<Notice>>>>,
}

impl Default for Notices {
    fn default() -> Self {
        let (sender, receiver) = mpsc::channel(MAX_WAITING);
        Self { sender, waiting: Arc::new(Mutex::new(Some(receiver))) }
    }
}

impl Notices {
    /// Tells people, later; a notice for which there is no room is only in the log.
    pub fn tell(&self, notice: Notice) {
        if let Err(error) = self.sender.try_send(notice) {
            tracing::warn!(%error, "a notice was not told");
        }
    }

    /// Tells what is put in, one after the other, until stopped.
    pub async fn run(self, options: Options, egress: Egress, fetcher: Fetcher, stop: CancellationToken) {
        let Some(mut receiver) = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).take() else {
            return;
        };
        loop {
            let notice = tokio::select! {
                Some(notice) = receiver.recv() => notice,
                () = stop.cancelled() => return,
            };
            if options.desktop {
                on_desktop(&notice).await;
            }
            let may_leave = notice.base.is_none_or(|base| egress.lets_notices_of(base));
            if let Some(url) = options.webhook.as_deref().filter(|_| may_leave) {
                tokio::select! {
                    () = at_address(url, &notice, &fetcher) => {}
                    () = stop.cancelled() => return,
                }
            }
        }
    }
}

/// One line without control characters, as long as fits.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_TEXT).collect()
}

async fn on_desktop(notice: &Notice) {
    let (title, text) = (plain(&notice.title), plain(&notice.text));
    let mut command = if cfg!(target_os = "macos") {
        let mut command = Command::new("osascript");
        // The words are arguments, never a part of the script.
        command.args(["-e", "on run words", "-e"]);
        command.arg("display notification (item 2 of words) with title (item 1 of words)");
        command.args(["-e", "end run", &title, &text]);
        command
    } else {
        let mut command = Command::new("notify-send");
        command.args(["--app-name=Tablewright", "--", &title, &text]);
        command
    };
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    match tokio::time::timeout(PATIENCE, command.status()).await {
        Ok(Ok(status)) if status.success() => {}
        Ok(Ok(status)) => tracing::debug!(%status, "the desktop shows no notification"),
        Ok(Err(error)) => tracing::debug!(%error, "there is no desktop to notify"),
        Err(_) => tracing::debug!("the desktop took too long to show a notification"),
    }
}

async fn at_address(url: &str, notice: &Notice, fetcher: &Fetcher) {
    let body = json!({
        "text": format!("{}: {}", plain(&notice.title), plain(&notice.text)),
        "kind": notice.kind,
        "plan": notice.plan,
        "base": notice.base,
    });
    let body = body.to_string().into_bytes();
    for left in (0..TRIES).rev() {
        let problem =
            match fetcher.post(url, &[("Content-Type", "application/json")], body.clone(), PATIENCE).await {
                Ok(200..=299) => return,
                Ok(status) => format!("it answered with status {status}"),
                Err(error) => error.to_string(),
            };
        if left == 0 {
            tracing::warn!(problem, "the address for notices was not told");
            return;
        }
        tokio::time::sleep(PAUSE).await;
    }
}
