//! JSON-RPC over a stream of lines, with an answer to every line that cannot be read.

use std::io;
use std::sync::Arc;

use rmcp::RoleServer;
use rmcp::model::{
    ClientJsonRpcMessage, ClientRequest, ErrorCode, ErrorData, RequestId, ServerJsonRpcMessage,
};
use rmcp::transport::Transport;
use serde::Deserialize;
use tablewright_core::strict;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

/// Longest line a client may send, in bytes; the same as the longest HTTP body.
pub const MAX_LINE: usize = 4 * 1024 * 1024;

/// How much is kept of both ends of a longer line: enough to find whom to answer.
const ENDS: usize = 512;

/// One client on a stream of lines.
pub struct Lines<R, W> {
    reader: BufReader<R>,
    line: Vec<u8>,
    /// True while the rest of a line that was too long goes by; `line` then holds its beginning.
    skipping: bool,
    /// The end, so far, of a line that was too long.
    tail: Vec<u8>,
    /// True once a request has chosen the era; notifications before it mean nothing.
    begun: bool,
    writer: Arc<Mutex<W>>,
    stop: CancellationToken,
}

impl<R: AsyncRead + Unpin, W> Lines<R, W> {
    /// Reads requests from `reader` and writes answers to `writer`. Once `stop` is cancelled no
    /// more requests are taken; those taken are still answered. Cancels it at the end of input.
    pub fn new(reader: R, writer: W, stop: CancellationToken) -> Self {
        Self {
            stop,
            reader: BufReader::with_capacity(64 * 1024, reader),
            line: Vec::new(),
            skipping: false,
            tail: Vec::new(),
            begun: false,
            writer: Arc::new(Mutex::new(writer)),
        }
    }

    /// Reads the next line into `self.line`; `Ok(None)` at the end, `Ok(Some(false))` for a line
    /// that was too long, of which both ends are kept. Safe to cancel: what was read so far stays.
    async fn next_line(&mut self) -> io::Result<Option<bool>> {
        loop {
            let available = tokio::select! {
                available = self.reader.fill_buf() => available?,
                () = self.stop.cancelled() => return Ok(None),
            };
            if available.is_empty() {
                // The last line may come without its end.
                let whole = !std::mem::take(&mut self.skipping);
                return Ok((!self.line.is_empty()).then_some(whole));
            }
            let end = memchr::memchr(b'\n', available);
            let part = &available[..end.unwrap_or(available.len())];
            if !self.skipping && self.line.len() + part.len() > MAX_LINE {
                self.skipping = true;
                self.tail.clear();
                self.tail.extend_from_slice(&self.line[self.line.len().saturating_sub(ENDS)..]);
                self.line.extend_from_slice(&part[..part.len().min(ENDS)]);
                self.line.truncate(ENDS);
                self.line.shrink_to_fit();
            }
            if self.skipping {
                self.tail.extend_from_slice(&part[part.len().saturating_sub(ENDS)..]);
                self.tail.drain(..self.tail.len().saturating_sub(ENDS));
            } else {
                self.line.extend_from_slice(part);
            }
            let used = part.len() + usize::from(end.is_some());
            self.reader.consume(used);
            if end.is_some() {
                return Ok(Some(!std::mem::take(&mut self.skipping)));
            }
        }
    }
}

/// The id of a message of which only both ends are known: one of the members before or after the
/// longest, which stand whole in an end.
fn id_of_ends(head: &[u8], tail: &[u8]) -> Option<RequestId> {
    let commas = |text: &[u8]| memchr::memmem::find_iter(text, b",\"").collect::<Vec<_>>();
    let before = commas(head).into_iter().map(|at| [&head[..at], b"}"].concat());
    let after = commas(tail).into_iter().map(|at| [b"{", &tail[at + 1..]].concat());
    before
        .chain(after)
        .filter_map(|object| serde_json::from_slice::<serde_json::Value>(&object).ok())
        .find_map(|object| RequestId::deserialize(object.get("id")?).ok())
}

async fn send<W: AsyncWrite + Unpin>(writer: &Mutex<W>, message: &ServerJsonRpcMessage) -> io::Result<()> {
    let mut bytes = serde_json::to_vec(message)?;
    bytes.push(b'\n');
    let mut writer = writer.lock().await;
    writer.write_all(&bytes).await?;
    writer.flush().await
}

/// What to say about a line that is no message; nothing for a notification.
fn complaint(line: &[u8], why: &str) -> Option<ServerJsonRpcMessage> {
    let Ok(value) = serde_json::from_slice::<serde_json::Value>(line) else {
        let data = ErrorData::new(ErrorCode::PARSE_ERROR, format!("this line is not JSON: {why}"), None);
        return Some(ServerJsonRpcMessage::error(data, None));
    };
    let is_notification = value.get("id").is_none() && value.get("method").is_some();
    let id = value.get("id").and_then(|id| RequestId::deserialize(id).ok());
    (!is_notification).then(|| {
        let data = ErrorData::invalid_request(format!("this is no JSON-RPC message: {why}"), None);
        ServerJsonRpcMessage::error(data, id)
    })
}

/// What to say to the sender of `body`, a JSON document that is no message: batches are none either.
pub(crate) fn no_message(body: &[u8]) -> Option<ServerJsonRpcMessage> {
    parse(body).err().and_then(|why| complaint(body, &why))
}

/// Reads a message; the error is for the client.
fn parse(line: &[u8]) -> Result<ClientJsonRpcMessage, String> {
    strict::check(line)?;
    serde_json::from_slice(line).map_err(|e| e.to_string())
}

impl<R, W> Transport<RoleServer> for Lines<R, W>
where
    R: AsyncRead + Send + Unpin + 'static,
    W: AsyncWrite + Send + Unpin + 'static,
{
    type Error = io::Error;

    fn send(
        &mut self,
        item: ServerJsonRpcMessage,
    ) -> impl Future<Output = Result<(), io::Error>> + Send + 'static {
        let writer = self.writer.clone();
        async move { send(&writer, &item).await }
    }

    async fn receive(&mut self) -> Option<ClientJsonRpcMessage> {
        loop {
            let complaint = match self.next_line().await {
                Ok(Some(true)) => {
                    let line = std::mem::take(&mut self.line);
                    let text = line.trim_ascii();
                    if text.is_empty() {
                        continue;
                    }
                    match parse(text) {
                        Ok(message) => {
                            if passes(&mut self.begun, &message) {
                                return Some(message);
                            }
                            continue;
                        }
                        Err(why) => complaint(text, &why),
                    }
                }
                Ok(Some(false)) => {
                    let id = id_of_ends(&self.line, &self.tail);
                    self.line.clear();
                    let message =
                        format!("a message may have at most {MAX_LINE} bytes; send fewer records per call");
                    Some(ServerJsonRpcMessage::error(ErrorData::invalid_request(message, None), id))
                }
                Ok(None) => {
                    self.stop.cancel();
                    return None;
                }
                Err(error) => {
                    tracing::debug!(%error, "a client's stream ended");
                    self.stop.cancel();
                    return None;
                }
            };
            if let Some(complaint) = complaint
                && send(&self.writer, &complaint).await.is_err()
            {
                return None;
            }
        }
    }

    async fn close(&mut self) -> Result<(), io::Error> {
        self.writer.lock().await.shutdown().await
    }
}

/// False for notifications before any request has chosen the era, which `begun` remembers; they
/// mean nothing.
pub(crate) fn passes(begun: &mut bool, message: &ClientJsonRpcMessage) -> bool {
    let ClientJsonRpcMessage::Request(request) = message else { return *begun };
    let probing =
        matches!(request.request, ClientRequest::DiscoverRequest(_) | ClientRequest::PingRequest(_));
    *begun |= !probing;
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_of_a_long_message_is_found_at_either_end() {
        let long = "x".repeat(2 * ENDS);
        let of = |text: &str| {
            let (text, len) = (text.as_bytes(), text.len());
            id_of_ends(&text[..ENDS.min(len)], &text[len.saturating_sub(ENDS)..])
        };
        let inside = format!(r#"{{"name":"t","id":7,"arguments":{{"id":8,"text":"{long}","id":9}}}}"#);
        let first = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{inside}}}"#);
        let last = format!(r#"{{"method":"tools/call","params":{inside},"jsonrpc":"2.0","id":"a,\"b"}}"#);
        assert_eq!(of(&first), Some(RequestId::Number(1)));
        assert_eq!(of(&last), Some(RequestId::String("a,\"b".into())));
        assert_eq!(of(&format!(r#"{{"method":"tools/call","params":{inside}}}"#)), None);
    }
}
