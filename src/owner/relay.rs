//! A client process: a pipe between its standard streams and the owner.
//!
//! It outlives the owner. When an owner goes away, the next one is found or started and the
//! conversation goes on there: reads in flight are sent again, writes are answered with an error
//! that says their outcome is unknown.

use std::path::Path;
use std::process::Stdio;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::conversation::{Conversation, Owner};
use super::following::Passage;
use super::protocol::{Hello, PROTOCOL, READY, Report, Want, Welcome};
use super::{Kind, Lock, Reader, Writer, in_use, socket_path};
use crate::admin;
use crate::exit::{Exit, Failed};

/// How long to try to reach an owner.
const PATIENCE: Duration = Duration::from_secs(15);
/// How often to look again while an owner starts or ends.
const PAUSE: Duration = Duration::from_millis(5);
/// Owners lost in a row, without an answer between, before a conversation gives up.
const MAX_LOSSES: u32 = 5;

/// How long calls in flight may take to end once this process is told to stop.
const DRAIN: Duration = Duration::from_secs(5);

/// Bytes of the owner's log after which it starts anew.
const MAX_LOG: u64 = 1024 * 1024;

/// What the socket's other side said to our greeting.
enum Greeted {
    Ready(Owner),
    MakingWay,
    /// It went away before it answered.
    Gone,
}

fn foreign(directory: &Path, what: &str) -> anyhow::Error {
    let path = socket_path(directory);
    Failed::with(Exit::Store, format!("{} is {what}, not by Tablewright; move it away", path.display()))
}

async fn greet(directory: &Path, stream: UnixStream, want: &Want) -> anyhow::Result<Greeted> {
    let (reader, mut writer) = stream.into_split();
    let hello = Hello { protocol: PROTOCOL, version: env!("CARGO_PKG_VERSION").into(), want: want.clone() };
    let mut line = serde_json::to_vec(&hello)?;
    line.push(b'\n');
    if writer.write_all(&line).await.is_err() {
        return Ok(Greeted::Gone);
    }
    let mut reader = BufReader::with_capacity(64 * 1024, reader);
    let mut answer = Vec::new();
    let mut bounded = (&mut reader).take(64 * 1024);
    match tokio::time::timeout(PATIENCE, bounded.read_until(b'\n', &mut answer)).await {
        Err(_) => return Err(foreign(directory, "a socket that is not answered")),
        Ok(Err(_) | Ok(0)) => return Ok(Greeted::Gone),
        Ok(Ok(_)) => {}
    }
    match serde_json::from_slice(&answer) {
        Ok(Welcome::Ready { .. }) => Ok(Greeted::Ready((reader, writer))),
        Ok(Welcome::MakingWay) => Ok(Greeted::MakingWay),
        Ok(Welcome::Refused { message }) => Err(Failed::with(Exit::InUse, message)),
        Err(_) => Err(foreign(directory, "a socket answered")),
    }
}

/// Reaches the owner of `directory`, starting one when there is none.
async fn reach(directory: &Path, config: Option<&Path>, want: &Want) -> anyhow::Result<Owner> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let mut start = false;
        match UnixStream::connect(socket_path(directory)).await {
            Ok(stream) => match greet(directory, stream, want).await? {
                Greeted::Ready(owner) => return Ok(owner),
                Greeted::MakingWay | Greeted::Gone => {}
            },
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
                return Err(Failed::with(
                    Exit::Store,
                    format!("{}: {error}", socket_path(directory).display()),
                ));
            }
            Err(_) => start = true,
        }
        if start {
            if let Some(code) = start_owner(directory, config).await?
                && code != Exit::InUse as i32
            {
                return Err(Failed::with(exit_of(code), last_words(directory)));
            }
            if let Some(holder) = Lock::holder(directory)
                && holder.kind == Kind::Alone
                && Lock::take(directory, Kind::Alone)?.is_none()
            {
                return Err(in_use(directory));
            }
        }
        if Instant::now() > deadline {
            return Err(in_use(directory));
        }
        tokio::time::sleep(PAUSE).await;
    }
}

fn exit_of(code: i32) -> Exit {
    match code {
        3 => Exit::Config,
        5 => Exit::Store,
        _ => Exit::Failure,
    }
}

/// Starts a background owner and waits until it listens; its exit code when it ended instead.
async fn start_owner(directory: &Path, config: Option<&Path>) -> anyhow::Result<Option<i32>> {
    let path = directory.join("owner.log");
    let full = std::fs::metadata(&path).is_ok_and(|found| found.len() > MAX_LOG);
    let mut options = std::fs::OpenOptions::new();
    options.create(true).write(true).append(!full).truncate(full);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let log =
        options.open(path).map_err(|e| Failed::with(Exit::Store, format!("{}: {e}", directory.display())))?;
    let mut command = tokio::process::Command::new(std::env::current_exe()?);
    command.arg("owner").arg("--data-dir").arg(directory);
    if let Some(config) = config {
        command.arg("--config").arg(config);
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
    // A group of its own: Ctrl-C in the client's terminal is not meant for it.
    #[cfg(unix)]
    command.process_group(0);
    let mut child = command.spawn()?;
    let mut line = Vec::new();
    if let Some(out) = child.stdout.take() {
        let _ = tokio::time::timeout(PATIENCE, BufReader::new(out).read_until(b'\n', &mut line)).await;
    }
    if line == READY {
        return Ok(None);
    }
    match tokio::time::timeout(PAUSE, child.wait()).await {
        Ok(ended) => Ok(ended?.code().or(Some(1))),
        // It is slow: keep looking for it.
        Err(_) => Ok(None),
    }
}

/// What the owner that did not start said last.
fn last_words(directory: &Path) -> String {
    let log = std::fs::read_to_string(directory.join("owner.log")).unwrap_or_default();
    let last = log.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it did not start");
    last.trim_start_matches("tablewright: ").to_owned()
}

/// Takes the lock of `directory` for a foreground owner; background owners are asked to end.
pub async fn take_over(directory: &Path) -> anyhow::Result<Lock> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(lock) = Lock::take(directory, Kind::Foreground)? {
            return Ok(lock);
        }
        if Instant::now() > deadline {
            return Err(in_use(directory));
        }
        // A client that lost its owner may have started another one: ask that one too.
        if let Ok(stream) = UnixStream::connect(socket_path(directory)).await {
            greet(directory, stream, &Want::MakeWay).await?;
        } else if Lock::holder(directory).is_some_and(|holder| holder.kind == Kind::Alone) {
            return Err(in_use(directory));
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Has the owner do `command`; `progress` is told how far it is.
pub async fn admin(
    directory: &Path,
    config: Option<&Path>,
    command: admin::Command,
    progress: admin::Progress,
) -> anyhow::Result<Value> {
    let (mut reader, _writer) = reach(directory, config, &Want::Admin { command }).await?;
    let mut line = Vec::new();
    loop {
        line.clear();
        if reader.read_until(b'\n', &mut line).await? == 0 {
            anyhow::bail!(
                "the process that holds the data directory ended before it answered; look before you try again"
            );
        }
        match serde_json::from_slice(&line)? {
            Report::Progress { what, done, total } => progress(&what, done, total),
            Report::Done { result } => return Ok(result),
            Report::Failed { message } => anyhow::bail!(message),
        }
    }
}

/// How a stretch with one owner ended.
enum Ended {
    /// The client is done.
    Client,
    /// The owner is gone.
    Owner,
}

/// Relays between the standard streams and the owner until the client is done.
pub async fn run(directory: &Path, config: Option<&Path>, want: Want) -> anyhow::Result<()> {
    let mut owner = reach(directory, config, &want).await?;
    let mut client = BufReader::with_capacity(64 * 1024, super::stdin());
    let mut out = super::stdout();
    let conversation = Mutex::new(Conversation::new()?);
    let mut losses = 0;
    let stop = CancellationToken::new();
    let told = stop.clone();
    tokio::spawn(async move {
        crate::stop::told_to_stop().await;
        told.cancel();
    });
    loop {
        let ended = tokio::select! {
            ended = stretch(&mut client, &mut out, &mut owner, &conversation, &stop, &mut losses) => ended?,
            () = async { stop.cancelled().await; tokio::time::sleep(DRAIN).await } => Ended::Client,
        };
        let last = matches!(ended, Ended::Client);
        let lost = locked(&conversation).lost(last);
        out.write_all(&lost).await?;
        out.flush().await?;
        if last {
            return Ok(());
        }
        if locked(&conversation).is_quiet() {
            // Nobody needs an owner until the client says something again.
            let more = tokio::select! {
                read = client.fill_buf() => !read?.is_empty(),
                () = stop.cancelled() => false,
            };
            if !more {
                return Ok(());
            }
        } else {
            losses += 1;
        }
        if losses > MAX_LOSSES {
            let log = directory.join("owner.log");
            anyhow::bail!("the background process ends again and again; see {}", log.display());
        }
        owner = reach(directory, config, &want).await?;
        let mut resumed = std::mem::take(&mut *locked(&conversation));
        // When this owner is gone too, the next round finds out.
        let told = resumed.resume(&mut owner).await.unwrap_or_default();
        *locked(&conversation) = resumed;
        out.write_all(&told).await?;
        out.flush().await?;
    }
}

fn locked(conversation: &Mutex<Conversation>) -> MutexGuard<'_, Conversation> {
    conversation.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Passes bytes both ways at once: a client that does not read never keeps the owner from being
/// read, and the other way round.
async fn stretch(
    client: &mut BufReader<Reader>,
    out: &mut Writer,
    (from_owner, to_owner): &mut Owner,
    conversation: &Mutex<Conversation>,
    stop: &CancellationToken,
    losses: &mut u32,
) -> anyhow::Result<Ended> {
    let asking = async {
        loop {
            let bytes = tokio::select! {
                read = client.fill_buf() => read?.to_vec(),
                () = stop.cancelled() => Vec::new(),
            };
            client.consume(bytes.len());
            locked(conversation).pass(&bytes);
            if bytes.is_empty() {
                let _ = to_owner.shutdown().await;
                return anyhow::Ok(Ended::Client);
            }
            if to_owner.write_all(&bytes).await.is_err() {
                return Ok(Ended::Owner);
            }
        }
    };
    let answering = async {
        let mut answers = Vec::with_capacity(64 * 1024);
        loop {
            if from_owner.read_buf(&mut answers).await.unwrap_or(0) == 0 {
                return anyhow::Ok(());
            }
            // Only whole lines go out, so that an owner's end never leaves half of one.
            let Some(end) = memchr::memrchr(b'\n', &answers) else { continue };
            let mut passed = 0;
            let mut at = 0;
            for line in answers[..=end].split_inclusive(|byte| *byte == b'\n') {
                at += line.len();
                let passage = locked(conversation).answered(line);
                if let Passage::Instead(lines) = passage {
                    out.write_all(&answers[passed..at - line.len()]).await?;
                    out.write_all(&lines).await?;
                    passed = at;
                }
            }
            *losses = 0;
            out.write_all(&answers[passed..=end]).await?;
            out.flush().await?;
            answers.drain(..=end);
        }
    };
    tokio::pin!(asking, answering);
    let mut asked = None;
    loop {
        tokio::select! {
            done = &mut answering => {
                done?;
                return Ok(asked.unwrap_or(Ended::Owner));
            }
            ended = &mut asking, if asked.is_none() => asked = Some(ended?),
        }
    }
}
