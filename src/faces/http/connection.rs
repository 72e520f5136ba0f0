//! One connection: what it is doing and since when, kept so that watching thousands costs nothing
//! per request: no timer, no lock.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Instant;

use axum::body::{Body, Bytes};
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// What a connection is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Nothing: no request has begun.
    Idle,
    /// The head of a request is coming in.
    Head,
    /// A request is being served.
    Busy,
    /// It is being closed.
    Closing,
}

/// The phase of a connection and when it began, in milliseconds since the entry opened; one word,
/// so that both change at once.
pub(super) struct Activity {
    opened: Instant,
    word: AtomicU64,
    /// When the client stopped taking what is written; 0 while it takes it.
    stalled: AtomicU64,
}

fn pack(phase: Phase, since: u64) -> u64 {
    since << 2 | phase as u64
}

fn unpack(word: u64) -> (Phase, u64) {
    let phase = match word & 3 {
        0 => Phase::Idle,
        1 => Phase::Head,
        2 => Phase::Busy,
        _ => Phase::Closing,
    };
    (phase, word >> 2)
}

impl Activity {
    /// Of a new connection; times count from `opened`.
    pub(super) fn new(opened: Instant) -> Self {
        let activity = Self { opened, word: AtomicU64::new(0), stalled: AtomicU64::new(0) };
        activity.word.store(pack(Phase::Idle, activity.now()), Ordering::Release);
        activity
    }

    fn now(&self) -> u64 {
        u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX >> 2)
    }

    /// The phase and how long it has lasted, in milliseconds.
    pub(super) fn phase(&self) -> (Phase, u64) {
        let (phase, since) = unpack(self.word.load(Ordering::Acquire));
        (phase, self.now().saturating_sub(since))
    }

    /// How long the client has not taken what is written to it, in milliseconds.
    pub(super) fn stalled(&self) -> Option<u64> {
        let since = self.stalled.load(Ordering::Acquire);
        (since > 0).then(|| self.now().saturating_sub(since))
    }

    /// Claims a connection without a request for closing; false when a request came first.
    pub(super) fn close(&self) -> bool {
        let word = self.word.load(Ordering::Acquire);
        matches!(unpack(word).0, Phase::Idle | Phase::Head)
            && self
                .word
                .compare_exchange(word, pack(Phase::Closing, 0), Ordering::AcqRel, Ordering::Acquire)
                .is_ok()
    }

    /// The handshake is over: what came in so far was no request.
    pub(super) fn shaken(&self) {
        // Fails while it is being closed, and then stays so.
        let _ = self.word.fetch_update(Ordering::AcqRel, Ordering::Acquire, |word| {
            (unpack(word).0 != Phase::Closing).then(|| pack(Phase::Idle, self.now()))
        });
    }

    fn received(&self) {
        let word = self.word.load(Ordering::Acquire);
        if unpack(word).0 == Phase::Idle {
            // Losing this race means that it is being closed.
            let _ = self.word.compare_exchange(
                word,
                pack(Phase::Head, self.now()),
                Ordering::AcqRel,
                Ordering::Acquire,
            );
        }
    }

    /// A request begins; `None` when the connection is being closed.
    pub(super) fn begin(self: &Arc<Self>) -> Option<Busy> {
        let begun = self.word.fetch_update(Ordering::AcqRel, Ordering::Acquire, |word| {
            (unpack(word).0 != Phase::Closing).then(|| pack(Phase::Busy, 0))
        });
        begun.is_ok().then(|| Busy(self.clone()))
    }
}

/// Lasts as long as a request and its answer.
pub(super) struct Busy(Arc<Activity>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.word.store(pack(Phase::Idle, self.0.now()), Ordering::Release);
    }
}

/// The body of an answer; the connection is busy until it is written.
pub(super) struct Answering {
    body: Body,
    _busy: Busy,
}

impl Answering {
    pub(super) fn new(body: Body, busy: Busy) -> Self {
        Self { body, _busy: busy }
    }
}

impl HttpBody for Answering {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A stream that notes what happens on it.
pub(super) struct Watched {
    stream: TcpStream,
    activity: Arc<Activity>,
}

impl Watched {
    pub(super) fn new(stream: TcpStream, activity: Arc<Activity>) -> Self {
        Self { stream, activity }
    }

    /// Waits for the first byte and tells it, without taking it; `None` when none comes.
    pub(super) async fn first_byte(&self) -> io::Result<Option<u8>> {
        let mut byte = [0];
        Ok((self.stream.peek(&mut byte).await? > 0).then_some(byte[0]))
    }

    fn wrote<T>(&self, result: Poll<T>) -> Poll<T> {
        let stalled = &self.activity.stalled;
        let was = stalled.load(Ordering::Relaxed) > 0;
        if result.is_pending() != was {
            // At least 1: the entry may have opened this very millisecond.
            stalled.store(if was { 0 } else { self.activity.now().max(1) }, Ordering::Release);
        }
        result
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let result = Pin::new(&mut self.stream).poll_read(context, buffer);
        if buffer.filled().len() > before {
            self.activity.received();
        }
        result
    }
}

impl AsyncWrite for Watched {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.wrote(result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write_vectored(context, parts);
        self.wrote(result)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_claimed_for_closing_or_for_a_request_but_not_for_both() {
        let activity = Arc::new(Activity::new(Instant::now()));
        activity.received();
        assert_eq!(activity.phase().0, Phase::Head);
        let busy = activity.begin().unwrap();
        assert!(!activity.close(), "a request is being served");
        drop(busy);
        assert_eq!(activity.phase().0, Phase::Idle);
        assert!(activity.close());
        activity.received();
        activity.shaken();
        assert!(activity.begin().is_none(), "it is being closed");
        assert_eq!(activity.phase().0, Phase::Closing);
    }
}
