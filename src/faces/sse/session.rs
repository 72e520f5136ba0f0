//! The conversations over HTTP+SSE, each with its bounds.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rmcp::RoleServer;
use rmcp::model::{ClientJsonRpcMessage, RequestId, ServerJsonRpcMessage};
use rmcp::transport::Transport;
use tablewright_door::Caller;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

use crate::http::{Options, Shutdown};
use crate::mcp::wire::passes;

/// Messages that wait for the service of a conversation.
const INBOX: usize = 16;
/// Messages that wait for a client to read them.
const OUTBOX: usize = 16;
/// How long a client may leave a full outbox unread before it is cut off.
const PATIENCE: Duration = Duration::from_secs(10);
/// Requests of one conversation that are taken and not yet answered.
const MAX_OPEN: usize = 64;
/// Bytes of such requests of all conversations together.
const MAX_OPEN_BYTES: usize = 64 * 1024 * 1024;

/// All conversations.
pub(super) struct Sessions {
    held: Mutex<HashMap<String, Session>>,
    room: Arc<Semaphore>,
    most: usize,
    idle: Duration,
    shutdown: Shutdown,
}

/// What a message for a conversation needs. Cheap to clone.
#[derive(Clone)]
pub(super) struct Session {
    caller: Caller,
    inbox: mpsc::Sender<ClientJsonRpcMessage>,
    out: Out,
    room: Arc<Semaphore>,
}

/// A conversation just opened.
pub(super) struct Opened {
    /// Its unguessable name.
    pub(super) id: String,
    /// What the service reads and writes.
    pub(super) wire: Wire,
    /// What the client is to read.
    pub(super) outbox: mpsc::Receiver<String>,
    /// Ends the service.
    pub(super) ct: CancellationToken,
    pub(super) place: Place,
}

/// The place of a conversation among the others. Whoever drops a copy first, the service or the
/// client's stream, ends the conversation: its id means nothing from then on.
#[derive(Clone)]
pub(super) struct Place {
    id: String,
    sessions: Arc<Sessions>,
    ct: CancellationToken,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.ct.cancel();
        self.sessions.held().remove(&self.id);
    }
}

/// The conversation has ended.
#[derive(Debug, thiserror::Error)]
#[error("the conversation has ended")]
pub(super) struct Ended;

/// Why a message was not taken.
pub(super) enum NotTaken {
    /// The conversation has ended.
    Ended,
    /// A request with the same id is open.
    SameId,
    /// This many requests are open.
    TooMany(usize),
    /// All conversations together hold too much.
    NoRoom,
}

impl Sessions {
    pub(super) fn new(options: &Options, shutdown: Shutdown) -> Arc<Self> {
        Arc::new(Self {
            held: Mutex::default(),
            room: Arc::new(Semaphore::new(MAX_OPEN_BYTES)),
            most: options.max_sse_sessions,
            idle: Duration::from_secs(options.sse_idle_seconds),
            shutdown,
        })
    }

    fn held(&self) -> MutexGuard<'_, HashMap<String, Session>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many there may be.
    pub(super) fn most(&self) -> usize {
        self.most
    }

    /// Opens a conversation with `caller`; `None` when there are too many.
    pub(super) fn open(self: &Arc<Self>, caller: Caller) -> Option<Opened> {
        let id = random_id()?;
        let ct = self.shutdown.cut.child_token();
        let (inbox, messages) = mpsc::channel(INBOX);
        let (sender, outbox) = mpsc::channel(OUTBOX);
        let out = Out { sender, open: Arc::default(), ct: ct.clone() };
        let wire = Wire {
            inbox: messages,
            out: out.clone(),
            begun: false,
            idle: self.idle,
            stop: self.shutdown.stop.clone(),
        };
        let session = Session { caller, inbox, out, room: self.room.clone() };
        {
            let mut held = self.held();
            if held.len() >= self.most {
                return None;
            }
            held.insert(id.clone(), session);
        }
        let place = Place { id: id.clone(), sessions: self.clone(), ct: ct.clone() };
        Some(Opened { id, wire, outbox, ct, place })
    }

    /// The conversation `id`, if it is the caller's.
    pub(super) fn find(&self, id: &str, caller: &Caller) -> Option<Session> {
        self.held().get(id).filter(|session| session.caller == *caller).cloned()
    }
}

/// 256 bits from the system's generator, in hexadecimal digits.
fn random_id() -> Option<String> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).ok()?;
    Some(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

impl Session {
    /// Hands a message of `length` bytes to the service.
    pub(super) async fn take(&self, message: ClientJsonRpcMessage, length: usize) -> Result<(), NotTaken> {
        if let ClientJsonRpcMessage::Request(request) = &message {
            let length = u32::try_from(length).map_err(|_| NotTaken::NoRoom)?;
            let room = self.room.clone().try_acquire_many_owned(length).map_err(|_| NotTaken::NoRoom)?;
            let mut open = self.out.open();
            let count = open.len();
            match open.entry(request.id.clone()) {
                Entry::Occupied(_) => return Err(NotTaken::SameId),
                Entry::Vacant(_) if count >= MAX_OPEN => return Err(NotTaken::TooMany(MAX_OPEN)),
                Entry::Vacant(place) => place.insert(room),
            };
        }
        self.inbox.send(message).await.map_err(|_| NotTaken::Ended)
    }

    /// Says something that the service has no part in.
    pub(super) async fn say(&self, message: &ServerJsonRpcMessage) -> Result<(), Ended> {
        self.out.say(message).await
    }

    /// The request `id` will get no answer.
    pub(super) fn settled(&self, id: &RequestId) {
        self.out.open().remove(id);
    }
}

/// The way to the client.
#[derive(Clone)]
struct Out {
    sender: mpsc::Sender<String>,
    /// Requests taken and not yet answered, each with the room it holds.
    open: Arc<Mutex<HashMap<RequestId, OwnedSemaphorePermit>>>,
    ct: CancellationToken,
}

impl Out {
    fn open(&self) -> MutexGuard<'_, HashMap<RequestId, OwnedSemaphorePermit>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn say(&self, message: &ServerJsonRpcMessage) -> Result<(), Ended> {
        let text = serde_json::to_string(message).map_err(|_| Ended)?;
        if let Ok(sent) = tokio::time::timeout(PATIENCE, self.sender.send(text)).await {
            return sent.map_err(|_| Ended);
        }
        tracing::debug!("a client that does not read is cut off");
        self.ct.cancel();
        Err(Ended)
    }
}

/// The service's end of a conversation.
pub(super) struct Wire {
    inbox: mpsc::Receiver<ClientJsonRpcMessage>,
    out: Out,
    begun: bool,
    idle: Duration,
    stop: CancellationToken,
}

impl Transport<RoleServer> for Wire {
    type Error = io::Error;

    fn send(
        &mut self,
        item: ServerJsonRpcMessage,
    ) -> impl Future<Output = Result<(), io::Error>> + Send + 'static {
        let out = self.out.clone();
        async move {
            let sent = out.say(&item).await;
            let answered = match &item {
                ServerJsonRpcMessage::Response(response) => Some(&response.id),
                ServerJsonRpcMessage::Error(error) => error.id.as_ref(),
                _ => None,
            };
            if let Some(id) = answered {
                out.open().remove(id);
            }
            sent.map_err(io::Error::other)
        }
    }

    async fn receive(&mut self) -> Option<ClientJsonRpcMessage> {
        loop {
            let message = tokio::select! {
                message = tokio::time::timeout(self.idle, self.inbox.recv()) => message.ok().flatten()?,
                () = self.stop.cancelled() => return None,
            };
            if passes(&mut self.begun, &message) {
                return Some(message);
            }
        }
    }

    async fn close(&mut self) -> Result<(), io::Error> {
        self.inbox.close();
        Ok(())
    }
}
