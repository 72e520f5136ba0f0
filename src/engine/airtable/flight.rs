//! Reads that are the same share one request, as long as it has not gone out: what it brings is
//! then no older than any of them may expect.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OnceCell;

use super::Error;
use super::forward::Forwarded;

type Answer = OnceCell<Result<Forwarded, Error>>;

/// Reads that wait for their turn, by what they ask.
#[derive(Default)]
pub(super) struct Flights(Mutex<HashMap<String, Arc<Answer>>>);

impl Flights {
    /// The answer of the read that waits under `key`, this one or another. `send` is told when its
    /// turn has come by what [`Flights::gone`] is for.
    pub(super) async fn share<F>(&self, key: &str, send: impl FnOnce() -> F) -> Result<Forwarded, Error>
    where
        F: Future<Output = Result<Forwarded, Error>>,
    {
        let answer = self.waiting(key);
        let result = answer.get_or_init(send).await.clone();
        self.forget(key, &answer);
        result
    }

    /// The read under `key` goes out now; whoever asks from now on asks anew.
    pub(super) fn gone(&self, key: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }

    fn waiting(&self, key: &str) -> Arc<Answer> {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.entry(key.to_owned()).or_default().clone()
    }

    /// A read that never got its turn is not waited for any more.
    fn forget(&self, key: &str, answer: &Arc<Answer>) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.get(key).is_some_and(|held| Arc::ptr_eq(held, answer)) {
            waiting.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use bytes::Bytes;
    use tokio::sync::Notify;

    use super::*;

    fn answer() -> Forwarded {
        Forwarded { status: 200, content_type: None, body: Bytes::new(), server_time: None }
    }

    #[tokio::test]
    async fn those_that_wait_share_and_those_that_come_later_do_not() {
        let (flights, turn, back) = (Flights::default(), Notify::new(), Notify::new());
        let sent = AtomicUsize::new(0);
        let read = || {
            flights.share("GET a", || async {
                turn.notified().await;
                flights.gone("GET a");
                sent.fetch_add(1, Ordering::Relaxed);
                back.notified().await;
                Ok(answer())
            })
        };
        let later = async {
            turn.notify_one();
            while sent.load(Ordering::Relaxed) == 0 {
                tokio::task::yield_now().await;
            }
            let late = read();
            let go = async {
                turn.notify_one();
                while sent.load(Ordering::Relaxed) < 2 {
                    tokio::task::yield_now().await;
                }
                back.notify_one();
                tokio::task::yield_now().await;
                back.notify_one();
            };
            tokio::join!(late, go).0
        };
        let (a, b, c) = tokio::join!(read(), read(), later);
        assert!(a.is_ok() && b.is_ok() && c.is_ok());
        assert_eq!(sent.load(Ordering::Relaxed), 2, "two that waited were one request");
        assert!(flights.0.lock().unwrap().is_empty());
    }
}
