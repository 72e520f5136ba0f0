//! An authorization server that says what a test wants it to say, and its keys.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use ring::rand::SystemRandom;
use ring::rsa::PublicKeyComponents;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair,
    RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512,
    RsaKeyPair,
};
use serde_json::{Value, json};

use crate::support::root;

pub const METADATA: &str = "/.well-known/oauth-authorization-server";
pub const OPENID: &str = "/.well-known/openid-configuration";
pub const KEYS: &str = "/keys";

pub fn encoded(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// Seconds since the epoch.
pub fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64
}

/// A key that signs.
pub struct Signer {
    kid: String,
    key: Private,
}

enum Private {
    Rsa(RsaKeyPair),
    P256(EcdsaKeyPair),
    P384(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
}

impl Signer {
    /// The one RSA key of the fixtures: making one takes long.
    pub fn rsa(kid: &str) -> Self {
        let text = std::fs::read_to_string(root().join("tests/fixtures/oauth/rsa.txt")).unwrap();
        let der = BASE64_STANDARD.decode(text.split_whitespace().collect::<String>()).unwrap();
        Self { kid: kid.into(), key: Private::Rsa(RsaKeyPair::from_pkcs8(&der).unwrap()) }
    }

    pub fn p256(kid: &str) -> Self {
        let (kind, random) = (&ECDSA_P256_SHA256_FIXED_SIGNING, SystemRandom::new());
        let made = EcdsaKeyPair::generate_pkcs8(kind, &random).unwrap();
        let key = EcdsaKeyPair::from_pkcs8(kind, made.as_ref(), &random).unwrap();
        Self { kid: kid.into(), key: Private::P256(key) }
    }

    pub fn p384(kid: &str) -> Self {
        let (kind, random) = (&ECDSA_P384_SHA384_FIXED_SIGNING, SystemRandom::new());
        let made = EcdsaKeyPair::generate_pkcs8(kind, &random).unwrap();
        let key = EcdsaKeyPair::from_pkcs8(kind, made.as_ref(), &random).unwrap();
        Self { kid: kid.into(), key: Private::P384(key) }
    }

    pub fn ed(kid: &str) -> Self {
        let made = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        Self { kid: kid.into(), key: Private::Ed(Ed25519KeyPair::from_pkcs8(made.as_ref()).unwrap()) }
    }

    /// The public key.
    pub fn jwk(&self) -> Value {
        let curve = |name: &str, key: &EcdsaKeyPair| {
            let point = &key.public_key().as_ref()[1..];
            let (x, y) = point.split_at(point.len() / 2);
            json!({"kty": "EC", "crv": name, "x": encoded(x), "y": encoded(y)})
        };
        let mut jwk = match &self.key {
            Private::Rsa(key) => {
                let PublicKeyComponents::<Vec<u8>> { n, e } = key.public().into();
                json!({"kty": "RSA", "n": encoded(n), "e": encoded(e)})
            }
            Private::P256(key) => curve("P-256", key),
            Private::P384(key) => curve("P-384", key),
            Private::Ed(key) => json!({"kty": "OKP", "crv": "Ed25519", "x": encoded(key.public_key())}),
        };
        jwk["kid"] = self.kid.as_str().into();
        jwk["use"] = "sig".into();
        jwk
    }

    fn signature(&self, algorithm: &str, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match &self.key {
            Private::Rsa(key) => {
                let kind: &dyn ring::signature::RsaEncoding = match algorithm {
                    "RS384" => &RSA_PKCS1_SHA384,
                    "RS512" => &RSA_PKCS1_SHA512,
                    "PS256" => &RSA_PSS_SHA256,
                    "PS384" => &RSA_PSS_SHA384,
                    "PS512" => &RSA_PSS_SHA512,
                    _ => &RSA_PKCS1_SHA256,
                };
                let mut signature = vec![0; key.public().modulus_len()];
                key.sign(kind, &random, message, &mut signature).unwrap();
                signature
            }
            Private::P256(key) | Private::P384(key) => key.sign(&random, message).unwrap().as_ref().to_vec(),
            Private::Ed(key) => key.sign(message).as_ref().to_vec(),
        }
    }

    /// A token with this header, besides the id of the key.
    pub fn token_with(&self, mut header: Value, claims: &Value) -> String {
        if header.get("kid").is_none() {
            header["kid"] = self.kid.as_str().into();
        }
        let message = format!("{}.{}", encoded(header.to_string()), encoded(claims.to_string()));
        let algorithm = header["alg"].as_str().unwrap_or_default();
        let signature = self.signature(algorithm, message.as_bytes());
        format!("{message}.{}", encoded(signature))
    }

    pub fn token(&self, algorithm: &str, claims: &Value) -> String {
        self.token_with(json!({"alg": algorithm, "typ": "at+jwt"}), claims)
    }
}

/// What an address answers.
#[derive(Clone)]
pub enum Says {
    Json(Value),
    /// With a `Cache-Control` header.
    Kept(&'static str, Value),
    Bytes(usize),
    Redirect(String),
    /// Nothing, for as long as the client waits.
    Silence,
}

#[derive(Default)]
struct State {
    answers: HashMap<String, Says>,
    asked: Vec<String>,
    is_away: bool,
}

pub struct Issuer {
    pub url: String,
    state: Arc<Mutex<State>>,
}

impl Issuer {
    /// With these keys, and metadata that leads to them.
    pub fn start(signers: &[&Signer]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::<Mutex<State>>::default();
        let shared = state.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (Ok(stream), shared) = (stream, shared.clone()) else { return };
                std::thread::spawn(move || answer(stream, &shared));
            }
        });
        let issuer = Self { url, state };
        issuer.says(METADATA, Says::Json(issuer.metadata()));
        issuer.holds(signers);
        issuer
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub fn metadata(&self) -> Value {
        json!({"issuer": self.url, "jwks_uri": format!("{}{KEYS}", self.url)})
    }

    pub fn says(&self, path: &str, says: Says) {
        self.state().answers.insert(path.to_owned(), says);
    }

    /// Only these keys from now on.
    pub fn holds(&self, signers: &[&Signer]) {
        let keys: Vec<Value> = signers.iter().map(|signer| signer.jwk()).collect();
        self.says(KEYS, Says::Json(json!({ "keys": keys })));
    }

    pub fn is_away(&self, is_away: bool) {
        self.state().is_away = is_away;
    }

    /// The paths that were asked for since somebody looked last.
    pub fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.state().asked)
    }
}

fn answer(mut stream: TcpStream, state: &Mutex<State>) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
    let Some(Ok(first)) = lines.next() else { return };
    while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
    let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
    let says = {
        let mut state = state.lock().unwrap();
        state.asked.push(path.clone());
        if state.is_away {
            return;
        }
        state.answers.get(&path).cloned()
    };
    let (status, header, body) = match says {
        None => ("404 Not Found", String::new(), Vec::new()),
        Some(Says::Json(json)) => ("200 OK", String::new(), json.to_string().into_bytes()),
        Some(Says::Kept(control, json)) => {
            ("200 OK", format!("Cache-Control: {control}\r\n"), json.to_string().into_bytes())
        }
        Some(Says::Bytes(length)) => ("200 OK", String::new(), vec![b' '; length]),
        Some(Says::Redirect(to)) => ("302 Found", format!("Location: {to}\r\n"), Vec::new()),
        // The client goes away in the end.
        Some(Says::Silence) => return drop(lines.next()),
    };
    let head =
        format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n{header}\r\n", body.len());
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body));
}
