//! Pings: a signed word that there is something to read, tried again until it arrives.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;
use tablewright_core::Fault;
use tablewright_core::model::WebhookId;
use tablewright_core::model::cell::instant_text;
use tablewright_core::secret::Secret;
use tablewright_engine::store::webhooks::{OwedPing, PingOutcome};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::Webhooks;

/// Pings under way at once.
const AT_ONCE: usize = 16;
/// How long a receiver may take, as in Airtable.
const PATIENCE: Duration = Duration::from_secs(25);
/// Tries after the first one, as in Airtable: about a day.
pub(super) const MAX_RETRIES: i64 = 13;
/// The longest sleep while a ping is owed: the clock may be set.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);
/// How long to wait after the store did not answer.
const PAUSE: Duration = Duration::from_secs(1);

/// The signature of a body: HMAC-SHA256 with the key that `secret` is in base64.
fn signature(secret: &Secret, body: &[u8]) -> String {
    let key = STANDARD.decode(secret.reveal()).unwrap_or_default();
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&key) else { return String::new() };
    mac.update(body);
    let hex: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("hmac-sha256={hex}")
}

impl Webhooks {
    /// Sends pings until stopped. Those under way at the end go out again after a restart.
    pub(super) async fn ping(&self, stop: &CancellationToken) {
        let mut under_way: JoinSet<WebhookId> = JoinSet::new();
        let mut busy: HashSet<WebhookId> = HashSet::new();
        loop {
            let next = match self.send_due(&mut under_way, &mut busy).await {
                Ok(next) => next,
                Err(fault) => {
                    tracing::warn!(%fault, "pings are not sent now");
                    Some(PAUSE)
                }
            };
            let sleep = async {
                match next {
                    Some(time) => tokio::time::sleep(time.min(LONGEST_SLEEP)).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                Some(ended) = under_way.join_next() => {
                    match ended {
                        Ok(id) => { busy.remove(&id); }
                        // Nobody knows which it was; those still running are asked for again.
                        Err(_) => { busy.clear(); under_way.abort_all(); }
                    }
                }
                () = self.shared.pings.notified() => {}
                () = sleep => {}
                () = stop.cancelled() => return,
            }
        }
    }

    /// Starts what is due; gives the time until something else is.
    async fn send_due(
        &self,
        under_way: &mut JoinSet<WebhookId>,
        busy: &mut HashSet<WebhookId>,
    ) -> Result<Option<Duration>, Fault> {
        let engine = &self.shared.engine;
        let now = engine.clock().now_ms();
        if busy.len() < AT_ONCE {
            let owed = engine.store().owed_pings(now, 2 * AT_ONCE as i64).await.map_err(Fault::from)?;
            for ping in owed {
                if busy.len() < AT_ONCE && busy.insert(ping.id) {
                    let webhooks = self.clone();
                    under_way.spawn(async move {
                        let id = ping.id;
                        webhooks.send(ping).await;
                        id
                    });
                }
            }
        }
        let next = engine.store().next_ping(now).await.map_err(Fault::from)?;
        Ok(next.map(|due| Duration::from_millis(due.saturating_sub(now).unsigned_abs())))
    }

    async fn send(&self, ping: OwedPing) {
        let shared = &self.shared;
        let clock = shared.engine.clock();
        let body = json!({
            "base": {"id": ping.base}, "webhook": {"id": ping.id}, "timestamp": instant_text(clock.now_ms()),
        })
        .to_string();
        let headers = [
            ("Content-Type", "application/json"),
            ("X-Airtable-Content-MAC", &signature(&ping.secret, body.as_bytes())),
        ];
        let started = Instant::now();
        let problem = match shared.egress.require_webhooks(ping.base) {
            Err(fault) => Some(fault.message),
            Ok(()) => {
                let post = shared.files.fetcher().post(&ping.url, &headers, body.into_bytes(), PATIENCE);
                match post.await {
                    Ok(200 | 204) => None,
                    Ok(status) => {
                        Some(format!("the receiver answered with status {status}; it must be 200 or 204"))
                    }
                    Err(error) => Some(error.to_string()),
                }
            }
        };
        let now = clock.now_ms();
        let mut result = json!({
            "success": problem.is_none(),
            "completionTimestamp": instant_text(now),
            "durationMs": started.elapsed().as_micros() as f64 / 1000.0,
            "retryNumber": ping.retries,
        });
        let outcome = match problem {
            None => PingOutcome::Arrived { at: now, next_cursor: ping.next_cursor },
            Some(message) => {
                let again = ping.retries < MAX_RETRIES;
                result["error"] = json!({"message": message});
                result["willBeRetried"] = Value::Bool(again);
                if again { self.retry(ping.retries, now) } else { PingOutcome::GivenUp }
            }
        };
        if let Err(error) = shared.engine.store().ping_done(ping.id, &outcome, &result).await {
            tracing::warn!(webhook = %ping.id, %error, "what became of a ping was not written down");
            // It goes out again; not at once, for the store has trouble.
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Each retry waits twice as long as the one before.
    fn retry(&self, failed: i64, now: i64) -> PingOutcome {
        let first = i64::try_from(self.shared.options.first_retry_ms).unwrap_or(i64::MAX);
        let wait = first.saturating_mul(1 << failed.clamp(0, MAX_RETRIES));
        PingOutcome::Retry { retries: failed + 1, due_at: now.saturating_add(wait) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_as_any_other_program_makes_it() {
        // RFC 4231, test case 2.
        let secret = Secret::new(STANDARD.encode("Jefe"));
        assert_eq!(
            signature(&secret, b"what do ya want for nothing?"),
            "hmac-sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }
}
