//! Taking connections until told to stop.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use hyper::server::conn::http1;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::{AbortHandle, Id, JoinError, JoinSet};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::Options;
use super::connection::{Activity, Phase, Watched};
use super::exchange::{One, REFUSAL_TIME, tell};
use super::guard::Peer;
use super::tls::Tls;

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

/// How long running requests may take to end; the same again after the cut.
const GRACE: Duration = Duration::from_secs(5);
/// How often connections are looked at.
const SWEEP: Duration = Duration::from_millis(500);
/// Longest request line and headers together, in bytes; longer ones are answered 431. Longest
/// filters that clients put into an address are half of it.
const MAX_HEAD: usize = 32 * 1024;
/// Largest buffer of a connection, in bytes.
const MAX_BUFFER: usize = 64 * 1024;
/// Connections told at once that there are too many; more are just closed.
const MAX_REFUSING: usize = 64;
/// What it hears: status and headers, then the text.
const UNAVAILABLE: &str = "503 Service Unavailable\r\nretry-after: 1";
const TOO_MANY: &str = "too many connections are open; close some, or try again in a moment\n";

/// Serves `router`, behind `tls` when there is one, until told to stop; then lets running requests
/// end for a while before the cut ends what is left.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    options: Options,
    tls: Option<Tls>,
    shutdown: Shutdown,
) -> io::Result<()> {
    let _keeping = tls.clone().map(|tls| AbortOnDropHandle::new(tokio::spawn(tls.keep())));
    let mut open = Connections::new(router, options, tls);
    let mut sweep = tokio::time::interval(SWEEP);
    sweep.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => open.take(stream, peer),
                Err(error) => open.not_accepted(&error).await,
            },
            Some(ended) = open.tasks.join_next_with_id() => open.ended(ended),
            _ = sweep.tick() => open.sweep(),
            () = shutdown.stop.cancelled() => break,
        }
    }
    drop(listener);
    open.finish();
    let ended = tokio::time::timeout(GRACE, open.all_ended()).await;
    shutdown.cut.cancel();
    if ended.is_err() {
        let _ = tokio::time::timeout(GRACE, open.all_ended()).await;
    }
    Ok(())
}

/// The open connections, each a task.
struct Connections {
    router: Router,
    options: Options,
    tls: Option<Tls>,
    http: http1::Builder,
    opened: Instant,
    tasks: JoinSet<()>,
    held: HashMap<Id, Held>,
    refusing: JoinSet<()>,
}

/// The loop's side of a connection.
struct Held {
    activity: Arc<Activity>,
    finish: oneshot::Sender<()>,
    task: AbortHandle,
}

impl Connections {
    fn new(router: Router, options: Options, tls: Option<Tls>) -> Self {
        let mut http = http1::Builder::new();
        // Time is kept by `sweep`, which costs a request nothing.
        http.header_read_timeout(None).max_header_size(MAX_HEAD).max_buf_size(MAX_BUFFER);
        Self {
            router,
            options,
            tls,
            http,
            opened: Instant::now(),
            tasks: JoinSet::new(),
            held: HashMap::new(),
            refusing: JoinSet::new(),
        }
    }

    /// Serves one connection more, in the place of the one idle for longest when there are too many.
    fn take(&mut self, stream: TcpStream, peer: SocketAddr) {
        while let Some(ended) = self.tasks.try_join_next_with_id() {
            self.ended(ended);
        }
        if self.held.len() >= self.options.max_connections && !self.make_room() {
            self.refuse(stream);
            return;
        }
        // Without this a reply in two packets waits for the client's delayed acknowledgement.
        let _ = stream.set_nodelay(true);
        let activity = Arc::new(Activity::new(self.opened));
        let (finish, finishing) = oneshot::channel();
        let stream = Watched::new(stream, activity.clone());
        let one = One {
            http: self.http.clone(),
            router: self.router.clone(),
            activity: activity.clone(),
            peer: Peer::of(peer),
            patience: Duration::from_secs(self.options.body_seconds),
            finishing,
        };
        let task = match &self.tls {
            None => self.tasks.spawn(one.serve(stream)),
            Some(tls) => {
                let patience = Duration::from_secs(self.options.header_seconds);
                self.tasks.spawn(one.serve_tls(stream, tls.current(), patience))
            }
        };
        self.held.insert(task.id(), Held { activity, finish, task });
    }

    fn ended(&mut self, ended: Result<(Id, ()), JoinError>) {
        let id = match ended {
            Ok((id, ())) => id,
            Err(error) => {
                if error.is_panic() {
                    tracing::error!(%error, "a request broke off");
                }
                error.id()
            }
        };
        self.held.remove(&id);
    }

    /// Closes the connection that has been without a request for longest; false when all are busy.
    fn make_room(&mut self) -> bool {
        let idle = self.held.iter().filter_map(|(id, held)| match held.activity.phase() {
            (Phase::Idle | Phase::Head, since) => Some((since, *id)),
            _ => None,
        });
        let Some((_, id)) = idle.max_by_key(|(since, _)| *since) else { return false };
        let closed = self.held.get(&id).is_some_and(|held| held.activity.close());
        if closed && let Some(held) = self.held.remove(&id) {
            held.task.abort();
        }
        closed
    }

    fn refuse(&mut self, mut stream: TcpStream) {
        while self.refusing.try_join_next().is_some() {}
        if self.refusing.len() < MAX_REFUSING {
            let tls = self.tls.as_ref().map(Tls::current);
            self.refusing.spawn(async move {
                let told = async {
                    match tls {
                        None => tell(&mut stream, UNAVAILABLE, TOO_MANY).await,
                        Some(tls) => tell(&mut tls.accept(stream).await?, UNAVAILABLE, TOO_MANY).await,
                    }
                };
                let _ = tokio::time::timeout(REFUSAL_TIME, told).await;
            });
        }
    }

    /// A connection could not be taken: most likely there are no file descriptors left.
    async fn not_accepted(&mut self, error: &io::Error) {
        use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
        if matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset) {
            return;
        }
        tracing::warn!(%error, "a connection could not be accepted");
        self.make_room();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }

    /// Closes connections that have been idle, or have taken for a request's head or for taking
    /// an answer, longer than they may.
    fn sweep(&mut self) {
        let idle = self.options.idle_seconds * 1_000;
        let head = self.options.header_seconds * 1_000;
        for held in self.held.values() {
            let over = match held.activity.phase() {
                (Phase::Idle, since) => since >= idle && held.activity.close(),
                (Phase::Head, since) => since >= head && held.activity.close(),
                _ => false,
            };
            if over || held.activity.stalled().is_some_and(|since| since >= idle) {
                held.task.abort();
            }
        }
    }

    /// Tells every connection to end with the request it is serving.
    fn finish(&mut self) {
        for (_, held) in self.held.drain() {
            let _ = held.finish.send(());
        }
    }

    async fn all_ended(&mut self) {
        while self.tasks.join_next().await.is_some() {}
    }
}
