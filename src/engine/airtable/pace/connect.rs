//! Notices connections that are being opened: a request that waits for one has not gone out yet,
//! whatever the time it was sent.

use std::pin::Pin;
use std::sync::Weak;
use std::task::{Context, Poll};

use tower::{Layer, Service};

use super::Shared;

/// A layer around what opens connections.
#[derive(Clone)]
pub(in crate::airtable) struct Watch {
    pacer: Weak<Shared>,
}

impl Watch {
    pub(super) fn new(pacer: Weak<Shared>) -> Self {
        Self { pacer }
    }
}

impl<S> Layer<S> for Watch {
    type Service = Watched<S>;
    fn layer(&self, inner: S) -> Watched<S> {
        Watched { inner, watch: self.clone() }
    }
}

/// What opens connections, watched.
#[derive(Clone)]
pub(in crate::airtable) struct Watched<S> {
    inner: S,
    watch: Watch,
}

/// One connection that is being opened, until this is dropped.
struct Opening(Weak<Shared>);

impl Opening {
    fn start(pacer: &Weak<Shared>) -> Self {
        if let Some(pacer) = pacer.upgrade() {
            pacer.change(|turns| turns.opening());
        }
        Self(pacer.clone())
    }
}

impl Drop for Opening {
    fn drop(&mut self) {
        if let Some(pacer) = self.0.upgrade() {
            let now = pacer.now();
            pacer.change(|turns| turns.opened(now));
        }
    }
}

impl<S, To> Service<To> for Watched<S>
where
    S: Service<To>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, to: To) -> Self::Future {
        let opening = Opening::start(&self.watch.pacer);
        let connecting = self.inner.call(to);
        Box::pin(async move {
            let connection = connecting.await;
            drop(opening);
            connection
        })
    }
}
