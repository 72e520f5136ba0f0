//! Taking connections until told to stop.

use std::time::Duration;

use axum::Router;
use axum::serve::ListenerExt;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// How the entry ends, in two steps. Cheap to clone.
#[derive(Clone, Default)]
pub struct Shutdown {
    /// Nothing new is taken; what runs may end.
    pub stop: CancellationToken,
    /// What is left ends now: open streams and conversations.
    pub cut: CancellationToken,
}

impl Shutdown {
    /// Begins when `stop` is cancelled.
    pub fn on(stop: CancellationToken) -> Self {
        Self { stop, cut: CancellationToken::new() }
    }
}

/// Serves `router` until told to stop, then lets running requests end for a while before the cut
/// ends what is left.
pub async fn serve(listener: TcpListener, router: Router, shutdown: Shutdown) -> std::io::Result<()> {
    let Shutdown { stop, cut } = shutdown;
    // Without this a reply in two packets waits for the client's delayed acknowledgement.
    let listener = listener.tap_io(|stream| {
        let _ = stream.set_nodelay(true);
    });
    let told = stop.clone();
    let serving = axum::serve(listener, router).with_graceful_shutdown(async move { told.cancelled().await });
    let serving = serving.into_future();
    tokio::pin!(serving);
    let ended = tokio::select! {
        result = &mut serving => Some(result),
        () = async { stop.cancelled().await; tokio::time::sleep(GRACE).await } => None,
    };
    cut.cancel();
    match ended {
        Some(result) => result,
        None => tokio::time::timeout(GRACE, serving).await.unwrap_or(Ok(())),
    }
}

/// How long running requests may take to end.
const GRACE: Duration = Duration::from_secs(5);
