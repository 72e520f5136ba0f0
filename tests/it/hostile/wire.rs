//! HTTP by hand, so that it can go wrong at any byte.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// No head or body of a test is longer.
const MOST: usize = 16 << 20;
/// What a slow body waits between two pieces.
const DROP: Duration = Duration::from_millis(25);

/// A request as it came.
#[derive(Debug, Clone, Default)]
pub(super) struct Request {
    pub(super) method: String,
    /// With its query.
    pub(super) path: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Request {
    pub(super) fn header(&self, wanted: &str) -> Option<&str> {
        self.headers.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str())
    }
}

/// An answer as it is to go out.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) kind: String,
    /// The `Date` header, when there is one.
    pub(super) date: Option<String>,
    pub(super) body: Vec<u8>,
}

impl Answer {
    pub(super) fn json(status: u16, body: &serde_json::Value) -> Self {
        let kind = "application/json; charset=utf-8".to_owned();
        Self { status, kind, date: None, body: body.to_string().into_bytes() }
    }

    fn head(&self) -> Vec<u8> {
        let mut head = format!(
            "HTTP/1.1 {} Said\r\ncontent-type: {}\r\ncontent-length: {}\r\n",
            self.status,
            self.kind,
            self.body.len()
        );
        if let Some(date) = &self.date {
            head.push_str(&format!("date: {date}\r\n"));
        }
        head.push_str("\r\n");
        head.into_bytes()
    }
}

/// How an answer goes out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Delivery {
    Whole,
    Slow,
    ResetInHead,
    ResetInBody,
    Truncated,
    Short,
}

fn broken(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why.to_owned())
}

/// The next request of a connection; `None` when the caller is done with it.
pub(super) async fn read(stream: &mut TcpStream, held: &mut Vec<u8>) -> io::Result<Option<Request>> {
    let end = loop {
        if let Some(end) = held.windows(4).position(|four| four == b"\r\n\r\n") {
            break end;
        }
        if stream.read_buf(held).await? == 0 {
            return Ok(None);
        }
        if held.len() > MOST {
            return Err(broken("a head without an end"));
        }
    };
    let head = String::from_utf8_lossy(&held[..end]).into_owned();
    held.drain(..end + 4);
    let mut lines = head.split("\r\n");
    let mut first = lines.next().unwrap_or_default().split(' ').map(str::to_owned);
    let (method, path) = first.next().zip(first.next()).ok_or_else(|| broken("no request line"))?;
    let headers = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()))
        .collect();
    let mut request = Request { method, path, headers, body: Vec::new() };
    assert!(request.header("transfer-encoding").is_none(), "bodies come with their length: {request:?}");
    let length = request.header("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
    if length > MOST {
        return Err(broken("a body too long"));
    }
    while held.len() < length {
        if stream.read_buf(held).await? == 0 {
            return Err(broken("a body that ends early"));
        }
    }
    request.body = held.drain(..length).collect();
    Ok(Some(request))
}

/// Sends an answer; whether the connection can be used again.
pub(super) async fn write(stream: &mut TcpStream, answer: Answer, how: Delivery) -> io::Result<bool> {
    let mut answer = answer;
    let half = answer.body.len() / 2;
    if how == Delivery::Truncated {
        answer.body.truncate(half);
    }
    let (head, body) = (answer.head(), answer.body);
    match how {
        Delivery::Whole | Delivery::Truncated => {
            stream.write_all(&[head, body].concat()).await?;
        }
        Delivery::Slow => {
            stream.write_all(&head).await?;
            for piece in body.chunks(body.len().div_ceil(12).max(1)) {
                tokio::time::sleep(DROP).await;
                stream.write_all(piece).await?;
            }
        }
        Delivery::ResetInHead => {
            stream.write_all(&head[..head.len() / 2]).await?;
            reset(stream).await?;
            return Ok(false);
        }
        Delivery::ResetInBody => {
            stream.write_all(&[&head, &body[..half]].concat()).await?;
            reset(stream).await?;
            return Ok(false);
        }
        Delivery::Short => {
            stream.write_all(&[&head, &body[..half]].concat()).await?;
            stream.shutdown().await?;
            return Ok(false);
        }
    }
    stream.flush().await?;
    Ok(true)
}

/// Makes the end of this connection a reset.
pub(super) async fn reset(stream: &mut TcpStream) -> io::Result<()> {
    stream.flush().await?;
    // What was written should arrive first: a reset throws away what the other side has not read.
    tokio::time::sleep(DROP).await;
    stream.set_zero_linger()
}
