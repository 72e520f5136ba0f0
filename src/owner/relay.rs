//! A client process: a pipe between its standard streams and the owner.
//!
//! It outlives the owner. When an owner goes away, the next one is found or started and the
//! conversation goes on there: reads in flight are sent again, writes are answered with an error
//! that says their outcome is unknown.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tablewright_door::access::Need;
use tablewright_faces::mcp::wire::MAX_LINE;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::Instant;

use super::protocol::{Hello, PROTOCOL, Report, Want, Welcome};
use super::{Kind, Lock, Reader, Writer, in_use, socket_path};
use crate::admin;
use crate::exit::{Exit, Failed};

/// How long to try to reach an owner.
const PATIENCE: Duration = Duration::from_secs(15);
/// How often to look again while an owner starts or ends.
const PAUSE: Duration = Duration::from_millis(5);
/// Owners lost in a row, without an answer between, before a conversation gives up.
const MAX_LOSSES: u32 = 5;

/// Longest request that is kept to be sent again, in bytes.
const MAX_REPEATED: usize = 64 * 1024;

type Owner = (BufReader<OwnedReadHalf>, OwnedWriteHalf);

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
    let log = std::fs::OpenOptions::new()
        .create(true)
        .write(true)
        .truncate(true)
        .open(directory.join("owner.log"))
        .map_err(|e| Failed::with(Exit::Store, format!("{}: {e}", directory.display())))?;
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
    if line == super::background::READY {
        return Ok(None);
    }
    Ok(child.wait().await?.code().or(Some(1)))
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
            Report::Progress { done, total } => progress(done, total),
            Report::Done { result } => return Ok(result),
            Report::Failed { message } => anyhow::bail!(message),
        }
    }
}

/// What the relay remembers of a conversation.
#[derive(Default)]
struct Conversation {
    /// Requests without an answer, by their ids as they were written; with the line itself when
    /// it may be sent again.
    waiting: BTreeMap<String, Option<Vec<u8>>>,
    /// Tools that change nothing.
    reading: HashSet<&'static str>,
    /// The handshake of the older era, to be repeated with the next owner.
    initialize: Option<Vec<u8>>,
    initialized: Option<Vec<u8>>,
}

#[derive(Deserialize)]
struct Peek<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    method: Option<Cow<'a, str>>,
    params: Option<PeekParams<'a>>,
}

#[derive(Deserialize)]
struct PeekParams<'a> {
    #[serde(borrow)]
    name: Option<Cow<'a, str>>,
}

impl Conversation {
    fn sent(&mut self, line: &[u8]) {
        let Ok(Peek { id, method: Some(method), params }) = serde_json::from_slice(line) else { return };
        match (&*method, id) {
            ("notifications/initialized", _) => self.initialized = Some(line.to_vec()),
            (_, None) => {}
            (name, Some(id)) => {
                if name == "initialize" {
                    self.initialize = Some(line.to_vec());
                }
                let tool = params.and_then(|p| p.name);
                let changes = name == "tools/call" && !tool.is_some_and(|tool| self.reading.contains(&*tool));
                let again = (!changes && line.len() <= MAX_REPEATED).then(|| line.to_vec());
                self.waiting.insert(id.get().to_owned(), again);
            }
        }
    }

    fn answered(&mut self, line: &[u8]) {
        // Our own answers start with the version and the id; no need to read all of a long line.
        let quick = line
            .strip_prefix(br#"{"jsonrpc":"2.0","id":"#)
            .and_then(|rest| Some(&rest[..memchr::memchr(b',', rest)?]))
            .and_then(|id| std::str::from_utf8(id).ok());
        if quick.is_some_and(|id| self.waiting.remove(id).is_some()) {
            return;
        }
        if let Ok(Peek { id: Some(id), method: None, .. }) = serde_json::from_slice(line) {
            self.waiting.remove(id.get());
        }
    }

    /// Errors for the calls that cannot be sent again, now that their owner is gone.
    fn lost(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        let gone: Vec<String> =
            self.waiting.iter().filter(|(_, line)| line.is_none()).map(|(id, _)| id.clone()).collect();
        for id in gone {
            self.waiting.remove(&id);
            let id: Value = serde_json::from_str(&id).unwrap_or_default();
            let message = "the server process ended before it answered. Whether a write was done is not known: read the records before you send it again.";
            let error = json!({"jsonrpc": "2.0", "id": id, "error": {"code": -32000, "message": message}});
            out.extend_from_slice(error.to_string().as_bytes());
            out.push(b'\n');
        }
        out
    }

    /// Repeats the handshake and the open reads with a new owner.
    async fn resume(&self, owner: &mut Owner, partial: &[u8]) -> std::io::Result<()> {
        let greeting = self.initialize.as_ref().filter(|_| !self.handshake_is_open());
        if let Some(line) = greeting {
            owner.1.write_all(line).await?;
            let mut answer = Vec::new();
            owner.0.read_until(b'\n', &mut answer).await?;
            if let Some(line) = &self.initialized {
                owner.1.write_all(line).await?;
            }
        }
        for line in self.waiting.values().flatten() {
            owner.1.write_all(line).await?;
        }
        owner.1.write_all(partial).await
    }

    /// True while the client waits for the answer to its own handshake.
    fn handshake_is_open(&self) -> bool {
        self.waiting.values().flatten().any(|line| Some(line) == self.initialize.as_ref())
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
    let registry = tablewright_tools::registry()?;
    let reading =
        registry.entries().iter().filter(|e| e.wording.scope == Need::Read).map(|e| e.name).collect();
    let mut conversation = Conversation { reading, ..Conversation::default() };
    // What the client has sent of a line that is not complete yet.
    let mut partial = Vec::new();
    let mut losses = 0;
    let told = crate::http::told_to_stop();
    tokio::pin!(told);
    loop {
        let ended = tokio::select! {
            ended = stretch(&mut client, &mut out, &mut owner, &mut conversation, &mut partial, &mut losses) => ended?,
            () = &mut told => Ended::Client,
        };
        if let Ended::Client = ended {
            return Ok(());
        }
        out.write_all(&conversation.lost()).await?;
        out.flush().await?;
        losses += 1;
        if losses > MAX_LOSSES {
            anyhow::bail!(
                "the background process ends again and again; see {}",
                directory.join("owner.log").display()
            );
        }
        owner = reach(directory, config, &want).await?;
        // When this owner is gone too, the next round finds out.
        let _ = conversation.resume(&mut owner, &partial).await;
    }
}

async fn stretch(
    client: &mut BufReader<Reader>,
    out: &mut Writer,
    owner: &mut Owner,
    conversation: &mut Conversation,
    partial: &mut Vec<u8>,
    losses: &mut u32,
) -> anyhow::Result<Ended> {
    let (from_owner, to_owner) = owner;
    let mut answers = Vec::with_capacity(64 * 1024);
    let mut client_done = false;
    loop {
        tokio::select! {
            read = from_owner.read_buf(&mut answers) => {
                if read.unwrap_or(0) == 0 {
                    return Ok(if client_done { Ended::Client } else { Ended::Owner });
                }
                // Only whole lines go out, so that an owner's end never leaves half of one.
                let Some(end) = memchr::memrchr(b'\n', &answers) else { continue };
                for line in answers[..=end].split_inclusive(|byte| *byte == b'\n') {
                    conversation.answered(line);
                }
                *losses = 0;
                out.write_all(&answers[..=end]).await?;
                out.flush().await?;
                answers.drain(..=end);
            }
            read = client.fill_buf(), if !client_done => {
                let available = read?;
                if available.is_empty() {
                    client_done = true;
                    let _ = to_owner.shutdown().await;
                    continue;
                }
                for part in available.split_inclusive(|byte| *byte == b'\n') {
                    // Longer lines are refused by the owner, so there is nothing to remember.
                    if partial.len() <= MAX_LINE {
                        partial.extend_from_slice(part);
                    }
                    if part.ends_with(b"\n") {
                        conversation.sent(partial);
                        partial.clear();
                    }
                }
                let length = available.len();
                let written = to_owner.write_all(available).await;
                client.consume(length);
                if written.is_err() {
                    return Ok(Ended::Owner);
                }
            }
        }
    }
}
