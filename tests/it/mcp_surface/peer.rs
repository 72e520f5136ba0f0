//! One client, whichever era and transport it uses.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::sync::mpsc::{Receiver, channel};

use serde_json::{Value, json};

use crate::support::{Client, Data, HttpServer, PATIENCE, http, serve_http};

pub fn meta() -> Value {
    json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"}
    })
}

/// A client of one of the four kinds.
pub struct Peer {
    /// True for the era without a handshake.
    pub modern: bool,
    way: Way,
    /// Where notifications come, over HTTP.
    events: Option<Events>,
}

enum Way {
    Pipes(Client),
    Http(HttpServer, Option<String>),
}

/// Events of a stream, as they come.
pub struct Events {
    receiver: Receiver<Value>,
    stream: TcpStream,
}

impl Events {
    /// Sends a request whose answer is a stream of events.
    fn open(address: &str, head: &str, body: &str) -> Self {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(format!("{head}\r\n\r\n{body}").as_bytes()).unwrap();
        let (sender, receiver) = channel();
        let reading = stream.try_clone().unwrap();
        std::thread::spawn(move || {
            for line in BufReader::new(reading).lines().map_while(Result::ok) {
                let event =
                    line.strip_prefix("data:").and_then(|data| serde_json::from_str(data.trim()).ok());
                if event.is_some_and(|event| sender.send(event).is_err()) {
                    return;
                }
            }
        });
        Self { receiver, stream }
    }

    /// The next event; `None` when the stream ended.
    pub fn next(&self) -> Option<Value> {
        self.receiver.recv_timeout(PATIENCE).ok()
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        let _ = self.stream.shutdown(std::net::Shutdown::Both);
    }
}

/// The four kinds of clients, each of a server of its own over `data`, one after the other.
pub fn each(data: &Data, args: &[&str], mut with: impl FnMut(&mut Peer)) {
    for modern in [false, true] {
        with(&mut Peer::over_pipes(data, args, modern));
        with(&mut Peer::over_http(data, args, modern));
        data.ok(&["token", "revoke", "test"]);
    }
}

impl Peer {
    pub fn over_pipes(data: &Data, args: &[&str], modern: bool) -> Self {
        Self::of(data.serve(args), modern)
    }

    /// A client that was started.
    pub fn of(client: Client, modern: bool) -> Self {
        Self { modern, way: Way::Pipes(if modern { client } else { client.initialize() }), events: None }
    }

    pub fn over_http(data: &Data, args: &[&str], modern: bool) -> Self {
        let server = serve_http(data, args);
        let mut peer = Self { modern, way: Way::Http(server, None), events: None };
        if !modern {
            let params = json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}});
            let head = peer
                .post(&json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params}), &[])
                .1;
            let session = head.lines().find_map(|l| l.strip_prefix("mcp-session-id: ")).unwrap().to_owned();
            let Way::Http(_, held) = &mut peer.way else { unreachable!() };
            *held = Some(session);
        }
        peer
    }

    fn post(&self, message: &Value, more: &[(&str, &str)]) -> (Value, String) {
        let Way::Http(server, session) = &self.way else { unreachable!() };
        let bearer = format!("Bearer {}", server.token);
        let mut headers = vec![
            ("Content-Type", "application/json"),
            ("Accept", "application/json, text/event-stream"),
            ("Authorization", &bearer),
        ];
        headers.extend(session.as_deref().map(|session| ("Mcp-Session-Id", session)));
        headers.extend(more);
        let answer = http(&server.address, "POST", "/mcp", &headers, message.to_string().as_bytes());
        (serde_json::from_str(&answer.body).unwrap_or_default(), answer.head)
    }

    /// Sends a request; the whole answer.
    pub fn ask(&mut self, method: &str, mut params: Value) -> Value {
        if self.modern {
            params["_meta"] = meta();
        }
        if let Way::Pipes(client) = &mut self.way {
            return client.request(method, params);
        }
        let name = params.get("name").or(params.get("uri")).and_then(Value::as_str).map(str::to_owned);
        let version = if self.modern { "2026-07-28" } else { "2025-11-25" };
        let mut headers = vec![("MCP-Protocol-Version", version)];
        if self.modern {
            headers.push(("Mcp-Method", method));
            headers.extend(name.as_deref().map(|name| ("Mcp-Name", name)));
        }
        self.post(&json!({"jsonrpc": "2.0", "id": 2, "method": method, "params": params}), &headers).0
    }

    /// Sends a request that must succeed; its result.
    pub fn result(&mut self, method: &str, params: Value) -> Value {
        let answer = self.ask(method, params);
        assert!(answer.get("result").is_some(), "{method}: {answer}");
        answer["result"].clone()
    }

    /// Sends a request that must be refused; the code, and why.
    pub fn refused(&mut self, method: &str, params: Value) -> (i64, String) {
        let answer = self.ask(method, params);
        let error = &answer["error"];
        assert!(error.is_object(), "{method}: {answer}");
        (error["code"].as_i64().unwrap(), error["message"].as_str().unwrap().to_owned())
    }

    /// The code for a resource that does not exist.
    pub fn not_found(&self) -> i64 {
        if self.modern { -32602 } else { -32002 }
    }

    /// Opens the stream on which notifications come, where there is one.
    fn open_events(&mut self, body: Option<&Value>) {
        let Way::Http(server, session) = &self.way else { return };
        let mut head = format!(
            "{} /mcp HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\nAccept: application/json, text/event-stream",
            if body.is_some() { "POST" } else { "GET" },
            server.address,
            server.token
        );
        if let Some(session) = session {
            head.push_str(&format!("\r\nMcp-Session-Id: {session}\r\nMCP-Protocol-Version: 2025-11-25"));
        } else {
            head.push_str("\r\nMCP-Protocol-Version: 2026-07-28\r\nMcp-Method: subscriptions/listen");
        }
        let body = body.map(Value::to_string).unwrap_or_default();
        head.push_str(&format!("\r\nContent-Type: application/json\r\nContent-Length: {}", body.len()));
        self.events = Some(Events::open(&server.address, &head, &body));
    }

    /// Asks to hear of changes of these resources, and with `list` of the list of them. In the
    /// newer era gives what was acknowledged.
    pub fn follow(&mut self, uris: &[&str], list: bool) -> Value {
        if !self.modern {
            self.open_events(None);
            if matches!(self.way, Way::Http(..)) {
                let note = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
                self.post(&note, &[("MCP-Protocol-Version", "2025-11-25")]);
            }
            for uri in uris {
                self.result("resources/subscribe", json!({"uri": uri}));
            }
            return Value::Null;
        }
        let wanted = json!({"resourceSubscriptions": uris, "resourcesListChanged": list});
        let params = json!({"notifications": wanted, "_meta": meta()});
        match &mut self.way {
            Way::Pipes(client) => {
                client.begin("subscriptions/listen", params);
            }
            Way::Http(..) => {
                let request =
                    json!({"jsonrpc": "2.0", "id": 1, "method": "subscriptions/listen", "params": params});
                self.open_events(Some(&request));
            }
        }
        let first = self.heard();
        assert_eq!(first["method"], "notifications/subscriptions/acknowledged", "{first}");
        first["params"]["notifications"].clone()
    }

    /// The next message that is no answer, or is the answer to a listen request.
    pub fn heard(&mut self) -> Value {
        let message = match &mut self.way {
            Way::Pipes(client) => match client.aside.is_empty() {
                true => client.receive().unwrap(),
                false => client.aside.remove(0),
            },
            Way::Http(..) => self.events.as_ref().unwrap().next().expect("the stream ended"),
        };
        if self.modern && message.get("method").is_some() {
            let id = &message["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"];
            assert!(id.is_number(), "every event says to which request it belongs: {message}");
        }
        message
    }

    /// The address of the next resource that is said to have changed; nothing else may come first.
    pub fn hears_of(&mut self) -> String {
        let message = self.heard();
        assert_eq!(message["method"], "notifications/resources/updated", "{message}");
        message["params"]["uri"].as_str().unwrap().to_owned()
    }

    /// Waits for the word that the list of resources has changed; nothing else may come first.
    pub fn hears_of_list(&mut self) {
        let message = self.heard();
        assert_eq!(message["method"], "notifications/resources/list_changed", "{message}");
    }

    pub fn pipes(&mut self) -> &mut Client {
        let Way::Pipes(client) = &mut self.way else { panic!("not over pipes") };
        client
    }

    /// Ends the conversation and waits for the program to end.
    pub fn finish(self) {
        match self.way {
            Way::Pipes(client) => assert_eq!(client.finish().0, Some(0)),
            Way::Http(server, _) => drop(server),
        }
    }

    /// Reads a resource that is JSON.
    pub fn read(&mut self, uri: &str) -> Value {
        let result = self.result("resources/read", json!({"uri": uri}));
        let text = result["contents"][0]["text"].as_str().unwrap();
        serde_json::from_str(text).unwrap()
    }
}
