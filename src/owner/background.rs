//! The owner's side of the socket, and the process that is nothing but an owner.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tablewright_door::Caller;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::protocol::{Greeting, Hello, PROTOCOL, READY, Report, Want, Welcome, newer};
use super::{Kind, Lock, socket_path};
use crate::admin;
use crate::app::App;
use crate::config::Config;
use crate::exit::{Exit, Failed};

/// Clients served at once.
const MAX_CLIENTS: usize = 256;
/// Longest path of a socket that every system takes, in bytes.
const MAX_SOCKET_PATH: usize = 100;
/// Longest first line, in bytes.
const MAX_HELLO: u64 = 64 * 1024;
/// How long a client may take to say hello, and the owner to end.
const PATIENCE: Duration = Duration::from_secs(5);

/// Listens on the socket of `directory`, whose lock the caller holds.
fn listen(directory: &Path) -> anyhow::Result<UnixListener> {
    let path = socket_path(directory);
    if let Ok(found) = std::fs::symlink_metadata(&path) {
        use std::os::unix::fs::FileTypeExt;
        if !found.file_type().is_socket() {
            let message = format!("{} is there and is no socket; move it away", path.display());
            return Err(Failed::with(Exit::Store, message));
        }
        // We hold the lock, so whoever made this socket is gone.
        std::fs::remove_file(&path)?;
    }
    if path.as_os_str().len() > MAX_SOCKET_PATH {
        let message =
            format!("the path {} is too long for a socket; use a shorter --data-dir", path.display());
        return Err(Failed::with(Exit::Store, message));
    }
    let listener = UnixListener::bind(&path)
        .map_err(|e| Failed::with(Exit::Store, format!("cannot listen on {}: {e}", path.display())))?;
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    Ok(listener)
}

/// Serves clients on `listener` until `stop`.
pub struct Clients {
    app: Arc<App>,
    kind: Kind,
    count: AtomicUsize,
    changed: watch::Sender<usize>,
    stop: CancellationToken,
}

impl Clients {
    /// For clients of this app.
    pub fn new(app: Arc<App>, kind: Kind, stop: CancellationToken) -> Arc<Self> {
        Arc::new(Self { app, kind, count: AtomicUsize::new(0), changed: watch::Sender::new(0), stop })
    }

    /// Accepts clients until stopped, then waits a while for them to end.
    pub async fn serve(self: Arc<Self>, listener: UnixListener) {
        let tasks = TaskTracker::new();
        loop {
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => {
                        let clients = self.clone();
                        tasks.spawn(async move { clients.client(stream).await });
                    }
                    Err(error) => {
                        tracing::warn!(%error, "a client could not be accepted");
                        tokio::time::sleep(Duration::from_millis(20)).await;
                    }
                },
                () = self.stop.cancelled() => break,
            }
        }
        drop(listener);
        tasks.close();
        let _ = tokio::time::timeout(PATIENCE, tasks.wait()).await;
    }

    async fn client(self: Arc<Self>, stream: UnixStream) {
        let (reader, mut writer) = stream.into_split();
        let mut reader = BufReader::with_capacity(64 * 1024, reader);
        let mut line = Vec::new();
        let mut bounded = (&mut reader).take(MAX_HELLO);
        let hello = tokio::time::timeout(PATIENCE, bounded.read_until(b'\n', &mut line));
        if !matches!(hello.await, Ok(Ok(n)) if n > 0) {
            return;
        }
        let refuse = |message: String| Welcome::Refused { message };
        // First who it is: a newer client may say more than this version understands.
        let greeting = serde_json::from_slice::<Greeting>(&line);
        let hello = serde_json::from_slice::<Hello>(&line);
        let asked = matches!(&hello, Ok(Hello { want: Want::MakeWay, .. }));
        let outdated = greeting.is_ok_and(|g| newer(&g.version, env!("CARGO_PKG_VERSION")));
        if self.kind == Kind::Background && (asked || outdated) {
            let _ = say(&mut writer, &Welcome::MakingWay).await;
            self.stop.cancel();
            return;
        }
        let hello = match hello {
            Ok(hello) => hello,
            Err(error) => {
                let message = format!("this is no greeting of this version of Tablewright: {error}");
                let _ = say(&mut writer, &refuse(message)).await;
                return;
            }
        };
        if hello.protocol != PROTOCOL || asked {
            let message = "the process that holds this data directory does not make way; end it first";
            let _ = say(&mut writer, &refuse(message.into())).await;
            return;
        }
        if self.count.fetch_add(1, Ordering::SeqCst) >= MAX_CLIENTS {
            let _ =
                say(&mut writer, &refuse(format!("{MAX_CLIENTS} clients are being served already"))).await;
        } else {
            self.changed.send_replace(self.count.load(Ordering::SeqCst));
            self.welcome(hello.want, reader, writer).await;
        }
        let left = self.count.fetch_sub(1, Ordering::SeqCst) - 1;
        self.changed.send_replace(left);
    }

    async fn welcome(&self, want: Want, reader: BufReader<OwnedReadHalf>, mut writer: OwnedWriteHalf) {
        let ready = Welcome::Ready { version: env!("CARGO_PKG_VERSION").into() };
        match want {
            Want::Session { selection, rights, limits } => match self.app.parts(&selection, limits) {
                Ok(parts) => {
                    if say(&mut writer, &ready).await.is_ok() {
                        let caller = Caller::local("mcp", rights);
                        let stop = self.stop.child_token();
                        tablewright_faces::mcp::pipe::serve(parts, caller, reader, writer, stop).await;
                    }
                }
                Err(error) => {
                    let _ = say(&mut writer, &Welcome::Refused { message: error.to_string() }).await;
                }
            },
            Want::Admin { command } => {
                if say(&mut writer, &ready).await.is_ok() {
                    self.admin(command, writer).await;
                }
            }
            Want::MakeWay => {}
        }
    }

    async fn admin(&self, command: admin::Command, mut writer: OwnedWriteHalf) {
        let (sender, mut reports) = mpsc::channel(64);
        // Progress is for eyes: when the client is slow, some of it is left out.
        let progress: admin::Progress = Arc::new(move |what, done, total| {
            let _ = sender.try_send(Report::Progress { what: what.to_owned(), done, total });
        });
        let running = admin::run(&self.app, command, progress);
        tokio::pin!(running);
        let result = loop {
            tokio::select! {
                result = &mut running => break result,
                Some(report) = reports.recv() => {
                    // The command goes on even when nobody watches any more.
                    let _ = say(&mut writer, &report).await;
                }
            }
        };
        let last = match result {
            Ok(result) => Report::Done { result },
            Err(fault) => Report::Failed { message: fault.to_string() },
        };
        let _ = say(&mut writer, &last).await;
    }

    /// Returns when there has been no client for `idle`.
    pub async fn idle(&self, idle: Duration) {
        let mut changed = self.changed.subscribe();
        loop {
            if *changed.borrow_and_update() > 0 {
                let _ = changed.changed().await;
                continue;
            }
            if tokio::time::timeout(idle, changed.changed()).await.is_err() {
                return;
            }
        }
    }
}

async fn say(writer: &mut OwnedWriteHalf, message: &impl serde::Serialize) -> std::io::Result<()> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    writer.write_all(&line).await
}

/// A held data directory: the parts, open to clients through the socket.
pub struct Owned {
    /// The parts.
    pub app: Arc<App>,
    /// Cancelled when this owner is to end.
    pub stop: CancellationToken,
    clients: Arc<Clients>,
    serving: JoinHandle<()>,
    working: JoinHandle<()>,
    directory: PathBuf,
    lock: Lock,
}

impl Owned {
    /// Opens everything under `lock` and listens on the socket.
    pub async fn start(config: Config, directory: &Path, lock: Lock, kind: Kind) -> anyhow::Result<Self> {
        let app = Arc::new(App::open(config, directory).await?);
        let listener = listen(directory)?;
        let stop = app.stop.clone();
        let clients = Clients::new(app.clone(), kind, stop.clone());
        let working = app.start();
        let serving = tokio::spawn(clients.clone().serve(listener));
        Ok(Self { app, stop, clients, serving, working, directory: directory.to_owned(), lock })
    }

    /// Lets running calls end, closes the store and lets the directory go.
    pub async fn end(self) {
        self.stop.cancel();
        let _ = self.serving.await;
        let _ = self.working.await;
        let _ = std::fs::remove_file(socket_path(&self.directory));
        self.app.engine.close().await;
        drop(self.lock);
    }
}

/// Runs the background owner of `directory` until it is idle, asked to make way, or told to stop.
pub async fn run(config: Config, directory: &Path) -> anyhow::Result<()> {
    let lock = Lock::take_or_say(directory, Kind::Background)?;
    let owned = Owned::start(config, directory, lock, Kind::Background).await?;
    let idle = Duration::from_secs(owned.app.config.owner.idle_seconds.max(1));
    // Whoever started this process waits for the line.
    let mut out = std::io::stdout();
    let _ = std::io::Write::write_all(&mut out, READY);
    let _ = std::io::Write::flush(&mut out);
    tokio::select! {
        () = crate::stop::told_to_stop() => {}
        () = owned.clients.idle(idle) => {}
        () = owned.stop.cancelled() => {}
    }
    owned.end().await;
    Ok(())
}
