//! A conversation over pipes or sockets.

use std::sync::Arc;

use rmcp::service::{QuitReason, RunningService, ServerInitializeError};
use rmcp::{RoleServer, ServerHandler, ServiceExt};
use tablewright_door::Caller;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

use super::Parts;
use super::handler::Handler;
use super::wire::Lines;

/// Serves one client until it goes away or `stop` is cancelled.
pub async fn serve<R, W>(parts: Arc<Parts>, caller: Caller, reader: R, writer: W, stop: CancellationToken)
where
    R: AsyncRead + Send + Unpin + 'static,
    W: AsyncWrite + Send + Unpin + 'static,
{
    // The reader cancels this one at the end of its input, and nobody else's.
    let stop = stop.child_token();
    let handler = Handler::for_caller(parts, caller, stop.clone());
    see_through(handler.serve(Lines::new(reader, writer, stop)).await).await;
}

/// Waits for the end of a conversation, and notes an end that was not to be expected.
pub(crate) async fn see_through<H: ServerHandler>(
    begun: Result<RunningService<RoleServer, H>, ServerInitializeError>,
) {
    match begun {
        Ok(running) => match running.waiting().await {
            Ok(QuitReason::Closed | QuitReason::Cancelled) => {}
            Ok(other) => tracing::debug!(?other, "a conversation ended"),
            Err(error) => tracing::error!(%error, "a conversation broke off"),
        },
        Err(ServerInitializeError::ConnectionClosed(_) | ServerInitializeError::Cancelled) => {}
        Err(error) => tracing::debug!(%error, "a client did not begin a conversation"),
    }
}
