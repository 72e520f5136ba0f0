//! What a relay remembers, so that a conversation outlives its owner.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tablewright_faces::mcp::wire::MAX_LINE;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};

use super::following::{Following, Passage};

/// A connection to an owner.
pub(super) type Owner = (BufReader<OwnedReadHalf>, OwnedWriteHalf);

/// Longest request that is kept to be sent again, in bytes.
const MAX_REPEATED: usize = 64 * 1024;

/// What the relay remembers of a conversation.
#[derive(Default)]
pub(super) struct Conversation {
    /// Requests without an answer, by their ids as they were written; with the line itself when
    /// it may be sent again.
    waiting: BTreeMap<String, Option<Vec<u8>>>,
    /// Tools that change nothing.
    reading: HashSet<&'static str>,
    /// What the client has sent of a line that is not complete yet.
    partial: Vec<u8>,
    /// The handshake of the older era, to be repeated with the next owner.
    initialize: Option<Vec<u8>>,
    initialized: Option<Vec<u8>>,
    /// What the client wants to hear of.
    following: Following,
}

#[derive(Deserialize)]
struct Peek<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    method: Option<Cow<'a, str>>,
    params: Option<PeekParams<'a>>,
    result: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct PeekParams<'a> {
    #[serde(borrow)]
    name: Option<Cow<'a, str>>,
    #[serde(borrow, rename = "requestId")]
    request_id: Option<&'a RawValue>,
    #[serde(borrow)]
    uri: Option<Cow<'a, str>>,
}

impl Conversation {
    pub(super) fn new() -> anyhow::Result<Self> {
        let registry = tablewright_tools::registry()?;
        let reading = registry.entries().iter().filter(|e| !e.wording.scope.changes()).map(|e| e.name);
        Ok(Self { reading: reading.collect(), ..Self::default() })
    }

    /// Notes bytes that are on their way to the owner; none when the client is done.
    pub(super) fn pass(&mut self, bytes: &[u8]) {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            // Longer lines are refused by the owner, so there is nothing to remember.
            if self.partial.len() <= MAX_LINE {
                self.partial.extend_from_slice(part);
            }
            if part.ends_with(b"\n") {
                let line = std::mem::take(&mut self.partial);
                self.sent(&line);
            }
        }
        if bytes.is_empty() {
            let line = std::mem::take(&mut self.partial);
            self.sent(&line);
        }
    }

    /// True when nothing is on its way and nothing is waited for.
    pub(super) fn is_quiet(&self) -> bool {
        self.waiting.is_empty() && self.partial.is_empty() && !self.following.is_following()
    }

    fn sent(&mut self, line: &[u8]) {
        let Ok(Peek { id, method: Some(method), params, .. }) = serde_json::from_slice(line) else { return };
        match (&*method, id) {
            ("notifications/initialized", _) => self.initialized = Some(line.to_vec()),
            ("notifications/cancelled", _) => {
                if let Some(id) = params.and_then(|p| p.request_id) {
                    self.waiting.remove(id.get());
                    self.following.dropped(id.get());
                }
            }
            (_, None) => {}
            (name, Some(id)) => {
                if name == "initialize" {
                    self.initialize = Some(line.to_vec());
                }
                let uri = params.as_ref().and_then(|p| p.uri.as_deref());
                self.following.sent(name, id.get(), uri);
                let tool = params.and_then(|p| p.name);
                let changes = name == "tools/call" && !tool.is_some_and(|tool| self.reading.contains(&*tool));
                let again = (!changes && line.len() <= MAX_REPEATED).then(|| line.to_vec());
                self.waiting.insert(id.get().to_owned(), again);
            }
        }
    }

    /// Notes a line from the owner: what of it the client gets.
    pub(super) fn answered(&mut self, line: &[u8]) -> Passage {
        // Our own answers start with the version and the id; no need to read all of a long line.
        let quick = line
            .strip_prefix(br#"{"jsonrpc":"2.0","id":"#)
            .and_then(|rest| Some(&rest[..memchr::memchr(b',', rest)?]))
            .and_then(|id| std::str::from_utf8(id).ok());
        if quick.is_some_and(|id| !self.following.minds(id) && self.waiting.remove(id).is_some()) {
            return Passage::Whole;
        }
        match serde_json::from_slice(line) {
            Ok(Peek { id: Some(id), method: None, result, .. }) => {
                let passage = match self.following.minds(id.get()) {
                    true => self.following.answered(id.get(), result.is_some()),
                    false => Passage::Whole,
                };
                if !self.following.listens(id.get()) {
                    self.waiting.remove(id.get());
                }
                passage
            }
            Ok(Peek { id: None, method: Some(_), .. }) => self.following.noticed(line),
            _ => Passage::Whole,
        }
    }

    /// Errors for the calls that cannot be sent again, now that their owner is gone; for `all`
    /// calls when there will be no other owner.
    pub(super) fn lost(&mut self, all: bool) -> Vec<u8> {
        let mut out = Vec::new();
        let gone: Vec<String> =
            self.waiting.iter().filter(|(_, line)| all || line.is_none()).map(|(id, _)| id.clone()).collect();
        for id in gone {
            self.waiting.remove(&id);
            let listened = self.following.listens(&id);
            self.following.dropped(&id);
            let id: Value = serde_json::from_str(&id).unwrap_or_default();
            if listened && all {
                out.extend_from_slice(Following::ended(&id).to_string().as_bytes());
                out.push(b'\n');
                continue;
            }
            let message = "the server process ended before it answered. Whether a write was done is not known: read the records before you send it again.";
            let error = json!({"jsonrpc": "2.0", "id": id, "error": {"code": -32000, "message": message}});
            out.extend_from_slice(error.to_string().as_bytes());
            out.push(b'\n');
        }
        out
    }

    /// Repeats the handshake, the subscriptions and the open reads with a new owner. Gives what
    /// the client is to be told.
    pub(super) async fn resume(&mut self, owner: &mut Owner) -> std::io::Result<Vec<u8>> {
        let mut told = Vec::new();
        let greeting = self.initialize.as_ref().filter(|_| !self.handshake_is_open());
        if let Some(line) = greeting {
            owner.1.write_all(line).await?;
            let mut answer = Vec::new();
            owner.0.read_until(b'\n', &mut answer).await?;
            if let Some(line) = &self.initialized {
                owner.1.write_all(line).await?;
                told = Following::renewed();
            }
        }
        owner.1.write_all(&self.following.repeat()).await?;
        for line in self.waiting.values().flatten() {
            owner.1.write_all(line).await?;
        }
        owner.1.write_all(&self.partial).await?;
        Ok(told)
    }

    /// True while the client waits for the answer to its own handshake.
    fn handshake_is_open(&self) -> bool {
        self.waiting.values().flatten().any(|line| Some(line) == self.initialize.as_ref())
    }
}
