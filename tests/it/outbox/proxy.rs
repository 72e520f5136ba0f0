//! Stands between a client and its upstream, and spoils what it is told to.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};

/// What is done with a request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Do {
    Pass,
    /// Carried out, but the answer is lost.
    LoseAnswer,
    /// Never carried out, and not answered.
    LoseRequest,
}

/// A request as it was seen.
#[derive(Clone, Debug)]
pub struct Seen {
    pub method: String,
    pub path: String,
}

type Rule = Box<dyn FnMut(&Seen) -> Do + Send>;

struct Inner {
    upstream: String,
    rule: Mutex<Rule>,
    seen: Mutex<Vec<Seen>>,
    down: Mutex<bool>,
    turned: Condvar,
}

/// The proxy; its thread ends with the process.
pub struct Proxy {
    pub address: String,
    inner: Arc<Inner>,
}

impl Proxy {
    pub fn before(upstream: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let inner = Arc::new(Inner {
            upstream: upstream.to_owned(),
            rule: Mutex::new(Box::new(|_| Do::Pass)),
            seen: Mutex::default(),
            down: Mutex::new(false),
            turned: Condvar::new(),
        });
        let (shared, at) = (inner.clone(), address.clone());
        std::thread::spawn(move || shared.listen(listener, &at));
        Self { address, inner }
    }

    /// What is done with each request from now on.
    pub fn rule(&self, rule: impl FnMut(&Seen) -> Do + Send + 'static) {
        *self.inner.rule.lock().unwrap() = Box::new(rule);
    }

    /// Spoils the first request this is true for, in this way.
    pub fn spoil_first(&self, how: Do, which: impl Fn(&Seen) -> bool + Send + 'static) {
        let mut left = 1;
        self.rule(move |seen| {
            if left > 0 && which(seen) {
                left -= 1;
                how
            } else {
                Do::Pass
            }
        });
    }

    /// Lets nobody connect from now on.
    pub fn stop(&self) {
        *self.inner.down.lock().unwrap() = true;
        // The thread that waits for connections sees it with the next one; then there are none.
        while TcpStream::connect(&self.address).is_ok() {
            std::thread::yield_now();
        }
    }

    /// Is there again, at the same address.
    pub fn start(&self) {
        *self.inner.down.lock().unwrap() = false;
        self.inner.turned.notify_all();
        while TcpStream::connect(&self.address).is_err() {
            std::thread::yield_now();
        }
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.inner.seen.lock().unwrap().clone()
    }

    /// How many requests of this method there were.
    pub fn count(&self, method: &str) -> usize {
        self.seen().iter().filter(|seen| seen.method == method).count()
    }
}

impl Inner {
    fn listen(self: Arc<Self>, mut listener: TcpListener, address: &str) {
        loop {
            let Ok((stream, _)) = listener.accept() else { continue };
            if *self.down.lock().unwrap() {
                drop((listener, stream));
                let mut down = self.down.lock().unwrap();
                while *down {
                    down = self.turned.wait(down).unwrap();
                }
                listener = TcpListener::bind(address).unwrap();
                continue;
            }
            let inner = self.clone();
            std::thread::spawn(move || inner.serve(stream));
        }
    }

    fn serve(&self, mut client: TcpStream) {
        let Some((head, body)) = read_request(&mut client) else { return };
        let mut words = head.split_whitespace();
        let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let seen = Seen { method: method.to_owned(), path: path.to_owned() };
        self.seen.lock().unwrap().push(seen.clone());
        let what = (*self.rule.lock().unwrap())(&seen);
        if what == Do::LoseRequest {
            return;
        }
        let Ok(mut upstream) = TcpStream::connect(&self.upstream) else { return };
        let mut request = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n");
        for line in head.lines().skip(1).filter(|line| !line.is_empty()) {
            let name = line.split(':').next().unwrap_or_default().to_lowercase();
            match name.as_str() {
                "connection" => {}
                "host" => request.push_str(&format!("Host: {}\r\n", self.upstream)),
                _ => request.push_str(&format!("{line}\r\n")),
            }
        }
        request.push_str("\r\n");
        let _ = upstream.write_all(request.as_bytes()).and_then(|()| upstream.write_all(&body));
        let mut answer = Vec::new();
        let _ = upstream.read_to_end(&mut answer);
        if what == Do::Pass {
            let _ = client.write_all(&answer);
        }
    }
}

fn read_request(stream: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    let mut piece = [0; 16 * 1024];
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end;
        }
        let read = stream.read(&mut piece).ok().filter(|read| *read > 0)?;
        bytes.extend_from_slice(&piece[..read]);
    };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let length = head
        .lines()
        .find_map(|line| line.to_lowercase().strip_prefix("content-length:")?.trim().parse::<usize>().ok())
        .unwrap_or(0);
    let mut body = bytes.split_off(end + 4);
    while body.len() < length {
        let read = stream.read(&mut piece).ok().filter(|read| *read > 0)?;
        body.extend_from_slice(&piece[..read]);
    }
    Some((head, body))
}
