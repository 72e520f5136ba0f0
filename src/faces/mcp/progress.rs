//! Progress notifications to a client that asked for them.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use rmcp::RoleServer;
use rmcp::model::{ProgressNotificationParam, ProgressToken};
use rmcp::service::{Peer, RequestContext};
use tablewright_toolkit::Progress;
use tablewright_toolkit::progress::Silent;

struct Notified {
    peer: Peer<RoleServer>,
    token: ProgressToken,
}

/// Where the progress of a request is told: to its client, when it sent a token.
pub(super) fn of(context: &RequestContext<RoleServer>) -> Arc<dyn Progress> {
    match context.meta.get_progress_token() {
        Some(token) => Arc::new(Notified { peer: context.peer.clone(), token }),
        None => Arc::new(Silent),
    }
}

impl Progress for Notified {
    fn report(&self, done: u64, total: u64) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        let news = ProgressNotificationParam::new(self.token.clone(), done as f64)
            .with_total(total as f64)
            .with_message(format!("{done} of {total} records"));
        Box::pin(async move {
            // A client that is gone is noticed elsewhere.
            let _ = self.peer.notify_progress(news).await;
        })
    }
}
