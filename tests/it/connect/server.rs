//! A token endpoint that does what a test says.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Turn {
    /// A new pair, good for so many seconds; the one before is spent.
    Grant(i64),
    /// The same, and the answer is lost on its way.
    Lose,
    /// The connection ends before anything is done.
    Break,
    /// 409: a refresh has just happened.
    JustDone,
}

/// The endpoint. A refresh token works once.
#[derive(Clone)]
pub struct OAuth {
    pub address: String,
    state: Arc<Mutex<State>>,
}

struct State {
    turns: VecDeque<Turn>,
    /// Access tokens that are still to be handed out.
    access: VecDeque<String>,
    refresh: String,
    asked: Vec<String>,
    count: usize,
}

impl OAuth {
    /// Hands out these access tokens, in order.
    pub fn start(access: Vec<String>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let state = State {
            turns: VecDeque::new(),
            access: access.into(),
            refresh: String::new(),
            asked: Vec::new(),
            count: 0,
        };
        let server = Self { address, state: Arc::new(Mutex::new(state)) };
        let serving = server.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let serving = serving.clone();
                std::thread::spawn(move || serving.serve(stream));
            }
        });
        server
    }

    /// What becomes of the next requests; each further one is granted for an hour.
    pub fn next(&self, turns: &[Turn]) {
        self.state.lock().unwrap().turns.extend(turns);
    }

    /// The bodies of all requests so far, each with its `Authorization` before it.
    pub fn asked(&self) -> Vec<String> {
        self.state.lock().unwrap().asked.clone()
    }

    fn serve(&self, mut stream: TcpStream) {
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let (mut length, mut authorization) = (0, String::new());
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            let line = line.trim_end();
            if line.is_empty() {
                break;
            }
            if let Some((name, value)) = line.split_once(": ") {
                match name.to_lowercase().as_str() {
                    "content-length" => length = value.parse().unwrap(),
                    "authorization" => authorization = value.to_owned(),
                    _ => {}
                }
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        let body = String::from_utf8(body).unwrap();
        if let Some((status, answer)) = self.answer(&authorization, &body) {
            let text = answer.to_string();
            let _ = write!(
                stream,
                "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{text}",
                text.len()
            );
        }
    }

    fn answer(&self, authorization: &str, body: &str) -> Option<(u16, Value)> {
        let mut state = self.state.lock().unwrap();
        state.asked.push(format!("{authorization} {body}"));
        let turn = state.turns.pop_front().unwrap_or(Turn::Grant(3_600));
        if turn == Turn::Break {
            return None;
        }
        if turn == Turn::JustDone {
            return Some((409, json!({"error": "conflict"})));
        }
        let of = |wanted: &str| {
            let mut pairs = url_pairs(body);
            pairs.find(|(key, _)| key == wanted).map(|(_, value)| value).unwrap_or_default()
        };
        let good = match of("grant_type").as_str() {
            "authorization_code" => of("code") == "the-code" && of("code_verifier").len() >= 43,
            "refresh_token" => !state.refresh.is_empty() && of("refresh_token") == state.refresh,
            _ => false,
        };
        if !good {
            return Some((400, json!({"error": "invalid_grant", "error_description": "spent"})));
        }
        state.count += 1;
        state.refresh = format!("refresh-token-{}", state.count);
        let Some(access) = state.access.pop_front() else {
            return Some((400, json!({"error": "invalid_request", "error_description": "no more tokens"})));
        };
        let seconds = match turn {
            Turn::Grant(seconds) => seconds,
            _ => return None,
        };
        Some((
            200,
            json!({
                "access_token": access, "refresh_token": state.refresh, "token_type": "Bearer ",
                "scope": "data.records:read schema.bases:read", "expires_in": seconds,
                "refresh_expires_in": 5_184_000
            }),
        ))
    }
}

fn url_pairs(text: &str) -> impl Iterator<Item = (String, String)> {
    text.split('&').filter_map(|pair| {
        let (key, value) = pair.split_once('=')?;
        Some((key.to_owned(), decoded(value)))
    })
}

/// Takes the escapes out of a part of a query.
pub fn decoded(text: &str) -> String {
    let mut out = Vec::new();
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'+' => out.push(b' '),
            b'%' => {
                let pair: Vec<u8> = bytes.by_ref().take(2).collect();
                out.push(u8::from_str_radix(std::str::from_utf8(&pair).unwrap(), 16).unwrap());
            }
            other => out.push(other),
        }
    }
    String::from_utf8(out).unwrap()
}
