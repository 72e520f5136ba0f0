//! An HTTP server that answers by script, in ways a proper one would not.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What the server does with one request.
#[derive(Debug, Clone)]
pub enum Reply {
    /// A whole answer.
    Json(u16, Value),
    /// The same with more headers, each ended by a line break.
    With(u16, String, String),
    /// An answer of this many bytes less than it announces.
    Cut(String, usize),
    /// No answer: the connection is closed.
    Close,
    /// No answer, and the connection stays open.
    Silence,
}

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Seen {
    pub method: String,
    pub path: String,
    pub head: String,
    pub body: Vec<u8>,
    pub at: Instant,
}

impl Seen {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }
}

struct State {
    script: Mutex<VecDeque<Reply>>,
    seen: Mutex<Vec<Seen>>,
}

/// Answers in the order of its script; the last reply of it goes on for ever.
pub struct Server {
    address: std::net::SocketAddr,
    state: Arc<State>,
    task: tokio::task::JoinHandle<()>,
}

impl Server {
    pub async fn start(script: Vec<Reply>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State { script: Mutex::new(script.into()), seen: Mutex::default() });
        let shared = state.clone();
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(stream, shared.clone()));
            }
        });
        Self { address, state, task }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.state.seen.lock().unwrap().clone()
    }

    /// The only request so far.
    pub fn only(&self) -> Seen {
        let seen = self.seen();
        assert_eq!(seen.len(), 1, "{seen:?}");
        seen.into_iter().next().unwrap()
    }

    /// Goes on with another script.
    pub fn then(&self, script: Vec<Reply>) {
        *self.state.script.lock().unwrap() = script.into();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(mut stream: TcpStream, state: Arc<State>) {
    let mut held = Vec::new();
    while let Some(seen) = request(&mut stream, &mut held).await {
        state.seen.lock().unwrap().push(seen);
        let reply = {
            let mut script = state.script.lock().unwrap();
            if script.len() > 1 { script.pop_front() } else { script.front().cloned() }
        };
        let (status, headers, body, missing) = match reply {
            Some(Reply::Json(status, body)) => (status, String::new(), body.to_string(), 0),
            Some(Reply::With(status, headers, body)) => (status, headers, body, 0),
            Some(Reply::Cut(body, missing)) => (200, String::new(), body, missing),
            Some(Reply::Close) | None => return,
            Some(Reply::Silence) => std::future::pending().await,
        };
        let length = body.len() + missing;
        let answer = format!(
            "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nDate: Mon, 23 Nov 2026 10:00:00 GMT\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
        );
        if stream.write_all(answer.as_bytes()).await.is_err() || missing > 0 {
            return;
        }
    }
}

async fn request(stream: &mut TcpStream, held: &mut Vec<u8>) -> Option<Seen> {
    let end = loop {
        if let Some(end) = memchr::memmem::find(held, b"\r\n\r\n") {
            break end + 4;
        }
        if stream.read_buf(held).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(held.drain(..end).collect()).unwrap();
    let mut first = head.split_whitespace();
    let (method, path) = (first.next()?.to_owned(), first.next()?.to_owned());
    let mut seen = Seen { method, path, head, body: Vec::new(), at: Instant::now() };
    let length = seen.header("content-length").map_or(0, |n| n.parse::<usize>().unwrap());
    while held.len() < length {
        if stream.read_buf(held).await.ok()? == 0 {
            return None;
        }
    }
    seen.body = held.drain(..length).collect();
    Some(seen)
}
