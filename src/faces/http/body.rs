//! Bodies of requests: all of it, within a bound and a time.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::BoxError;
use axum::body::{Body, Bytes};
use http_body_util::BodyExt as _;
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use tablewright_core::clock::Clock;
use tablewright_engine::clock::SystemClock;
use tokio::time::Sleep;

/// A body that must have come in whole some time after it was first waited for. A limit on each
/// pause alone would let a client hold on for ever, a byte at a time.
pub(super) struct Timely {
    body: Incoming,
    patience: Duration,
    deadline: Option<Pin<Box<Sleep>>>,
}

impl Timely {
    /// The body of a request; waiting for `patience` in all.
    pub(super) fn of(body: Incoming, patience: Duration) -> Body {
        if body.is_end_stream() {
            return Body::empty();
        }
        Body::new(Self { body, patience, deadline: None })
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the body took too long to come in")]
struct TooSlow;

impl HttpBody for Timely {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        // The deadline comes first: a client that always has one more byte must meet it too.
        if let Some(deadline) = &mut this.deadline
            && deadline.as_mut().poll(context).is_ready()
        {
            return Poll::Ready(Some(Err(Box::new(TooSlow))));
        }
        let polled = Pin::new(&mut this.body).poll_frame(context);
        if polled.is_pending() && this.deadline.is_none() {
            let mut deadline = Box::pin(tokio::time::sleep(this.patience));
            if deadline.as_mut().poll(context).is_ready() {
                return Poll::Ready(Some(Err(Box::new(TooSlow))));
            }
            this.deadline = Some(deadline);
        }
        polled.map(|frame| frame.map(|frame| frame.map_err(Into::into)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A body that ends, whole or not, when the token of whoever reads it does.
pub(super) struct Lapsing {
    body: Body,
    end: Pin<Box<Sleep>>,
}

impl Lapsing {
    /// A body that ends at `until`, in milliseconds since the epoch.
    pub(super) fn of(body: Body, until: i64) -> Body {
        let left = u64::try_from(until - SystemClock.now_ms()).unwrap_or(0);
        Body::new(Self { body, end: Box::pin(tokio::time::sleep(Duration::from_millis(left))) })
    }
}

impl HttpBody for Lapsing {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.end.as_mut().poll(context).is_ready() {
            return Poll::Ready(None);
        }
        Pin::new(&mut self.body).poll_frame(context)
    }
}

/// Why a body could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unread {
    /// It has more bytes than it may have: status 413.
    TooLong,
    /// It did not come in within `http.body_seconds`: status 408.
    TooSlow,
    /// It broke off: status 400, though nobody may be there to read it.
    Broken,
}

/// Bytes of a body that is too long which are still taken in, and dropped.
const DRAINED: usize = 64 * 1024 * 1024;

/// The whole body, at most `most` bytes.
pub async fn read(mut body: Body, most: usize) -> Result<Bytes, Unread> {
    let declared = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    let mut held = Vec::new();
    if declared <= most {
        loop {
            let Some(frame) = body.frame().await else { return Ok(held.into()) };
            let frame = frame.map_err(|error| why(&error))?;
            let Some(data) = frame.data_ref() else { continue };
            if held.len() + data.len() > most {
                break;
            }
            held.extend_from_slice(data);
        }
    }
    // Many clients read no answer before they have sent everything: a connection that is closed on
    // them shows them an error of the network in place of ours.
    tokio::spawn(drain(body));
    Err(Unread::TooLong)
}

/// Takes in the rest of a body, within its time and a bound.
async fn drain(mut body: Body) {
    let mut left = DRAINED;
    while let Some(Ok(frame)) = body.frame().await {
        match left.checked_sub(frame.data_ref().map_or(0, Bytes::len)) {
            Some(rest) => left = rest,
            None => return,
        }
    }
}

fn why(error: &axum::Error) -> Unread {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if error.is::<TooSlow>() {
            return Unread::TooSlow;
        }
        cause = error.source();
    }
    Unread::Broken
}
