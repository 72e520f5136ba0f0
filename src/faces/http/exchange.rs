//! One connection: TLS first where the port speaks it, then its requests.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tower::Service;

use super::body::Timely;
use super::connection::{Activity, Answering, Watched};
use super::guard::Peer;

/// How long a client that is turned away may take to hear it.
pub(super) const REFUSAL_TIME: Duration = Duration::from_secs(1);
/// What a request in plain HTTP hears on a port that speaks TLS.
const NO_TLS: &str = "this port speaks TLS: use an address that begins with https://\n";
/// The first byte of every TLS handshake.
const HANDSHAKE: u8 = 22;

/// Answers whatever is asked with `status` and `text`, and closes.
pub(super) async fn tell(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    status: &str,
    text: &str,
) -> io::Result<()> {
    let answer = format!(
        "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-type: text/plain\r\ncontent-length: {}\r\n\r\n{text}",
        text.len()
    );
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await?;
    // Closing with a request unread would take the answer back.
    let mut sink = [0; 1024];
    while stream.read(&mut sink).await? > 0 {}
    Ok(())
}

/// Begins TLS; `None` for a client that speaks something else, which is told so.
async fn shake(mut stream: Watched, tls: TlsAcceptor) -> io::Result<Option<TlsStream<Watched>>> {
    match stream.first_byte().await? {
        None => Ok(None),
        Some(HANDSHAKE) => tls.accept(stream).await.map(Some),
        Some(_) => {
            let told = tell(&mut stream, "400 Bad Request", NO_TLS);
            let _ = tokio::time::timeout(REFUSAL_TIME, told).await;
            Ok(None)
        }
    }
}

/// One connection and what is needed to serve it.
pub(super) struct One {
    pub(super) http: http1::Builder,
    pub(super) router: Router,
    pub(super) activity: Arc<Activity>,
    pub(super) peer: Peer,
    /// How long a body may take.
    pub(super) patience: Duration,
    pub(super) finishing: oneshot::Receiver<()>,
}

impl One {
    /// Serves a client that has `patience` to agree on TLS first.
    pub(super) async fn serve_tls(mut self, stream: Watched, tls: TlsAcceptor, patience: Duration) {
        let shaken = tokio::select! {
            shaken = tokio::time::timeout(patience, shake(stream, tls)) => shaken,
            _ = &mut self.finishing => return,
        };
        match shaken {
            Ok(Ok(Some(stream))) => {
                self.activity.shaken();
                self.serve(stream).await;
            }
            Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
            // It took too long, or what was to say is said.
            Err(_) | Ok(Ok(None)) => {}
        }
    }

    /// Serves a client over a stream that carries HTTP.
    pub(super) async fn serve(self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
        let Self { http, router, activity, peer, patience, mut finishing } = self;
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(peer);
            let begun = activity
                .begin()
                .map(|busy| (busy, router.clone().call(request.map(|body| Timely::of(body, patience)))));
            async move {
                // A connection that is being closed takes no request any more.
                let Some((busy, answer)) = begun else { return std::future::pending().await };
                let answer: Response<Body> = answer.await?;
                Ok::<_, Infallible>(answer.map(|body| Answering::new(body, busy)))
            }
        });
        let mut connection = std::pin::pin!(http.serve_connection(TokioIo::new(stream), service));
        let mut finish = false;
        loop {
            tokio::select! {
                biased;
                result = connection.as_mut() => {
                    if let Err(error) = result {
                        tracing::debug!(%error, "a connection ended");
                    }
                    return;
                }
                told = &mut finishing, if !finish => {
                    // The other end is dropped with the connection's place: then this task is over.
                    if told.is_err() {
                        return;
                    }
                    finish = true;
                    connection.as_mut().graceful_shutdown();
                }
            }
        }
    }
}
