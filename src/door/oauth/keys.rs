//! The keys of an authorization server (RFC 7517), and the tokens they have verified.

use std::sync::Arc;

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, Header};
use quick_cache::sync::Cache;
use serde::Deserialize;
use serde_json::Value;

use super::claims::Verified;

/// Most keys that are kept.
const MAX_KEYS: usize = 100;
/// Tokens whose verification is remembered.
const MAX_REMEMBERED: usize = 1_000;
/// Fewest bytes of an RSA modulus: 2,048 bits (RFC 7518, section 3.3).
const MIN_MODULUS: usize = 256;

const RSA: &[Algorithm] = &[
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
];

/// One key, and what it may verify.
pub(super) struct Key {
    id: Option<String>,
    pub(super) key: DecodingKey,
    /// The algorithms of its kind, or the one it is bound to. A key is used with no other, whatever
    /// a token says.
    pub(super) algorithms: Vec<Algorithm>,
}

impl Key {
    /// `None` for a key that verifies no signature we know, or is too weak.
    fn of(jwk: &Jwk) -> Option<Self> {
        let common = &jwk.common;
        if !matches!(common.public_key_use, None | Some(PublicKeyUse::Signature)) {
            return None;
        }
        if common.key_operations.as_ref().is_some_and(|all| !all.contains(&KeyOperations::Verify)) {
            return None;
        }
        let of_its_kind = match &jwk.algorithm {
            AlgorithmParameters::RSA(_) => RSA,
            AlgorithmParameters::EllipticCurve(params) => match params.curve {
                EllipticCurve::P256 => &[Algorithm::ES256],
                EllipticCurve::P384 => &[Algorithm::ES384],
                _ => return None,
            },
            AlgorithmParameters::OctetKeyPair(params) if params.curve == EllipticCurve::Ed25519 => {
                &[Algorithm::EdDSA]
            }
            _ => return None,
        };
        let algorithms: Vec<Algorithm> = match common.key_algorithm {
            None => of_its_kind.to_vec(),
            Some(bound) => {
                let bound: Algorithm = bound.to_string().parse().ok()?;
                of_its_kind.iter().copied().filter(|algorithm| *algorithm == bound).collect()
            }
        };
        let key = DecodingKey::from_jwk(jwk).ok()?;
        let is_weak = matches!(key.kind(), jsonwebtoken::DecodingKeyKind::RsaModulusExponent { n, .. }
            if n.iter().skip_while(|byte| **byte == 0).count() < MIN_MODULUS);
        (!algorithms.is_empty() && !is_weak).then(|| Self { id: common.key_id.clone(), key, algorithms })
    }
}

/// The keys of one document. Whoever gets a newer one forgets what these have verified.
pub(super) struct Keys {
    text: Vec<u8>,
    all: Vec<Arc<Key>>,
    known: Cache<[u8; 32], Arc<Verified>>,
}

#[derive(Deserialize)]
struct Document {
    keys: Vec<Value>,
}

impl Keys {
    /// Reads a document. A key that cannot be used is left out.
    pub(super) fn read(text: Vec<u8>) -> Result<Self, String> {
        let document: Document = serde_json::from_slice(&text).map_err(|e| e.to_string())?;
        if document.keys.len() > MAX_KEYS {
            return Err(format!("it has more than {MAX_KEYS} keys"));
        }
        let read = document.keys.into_iter().filter_map(|key| serde_json::from_value::<Jwk>(key).ok());
        let all: Vec<Arc<Key>> = read.filter_map(|jwk| Key::of(&jwk)).map(Arc::new).collect();
        if all.is_empty() {
            return Err("it has no key that verifies signatures of a kind we know".into());
        }
        Ok(Self { text, all, known: Cache::new(MAX_REMEMBERED) })
    }

    /// True for the keys of the same document.
    pub(super) fn is_of(&self, text: &[u8]) -> bool {
        self.text == text
    }

    /// The key a token with this header was signed with: the one it names, or, when it names none,
    /// the only one of its kind.
    pub(super) fn find(&self, header: &Header) -> Option<Arc<Key>> {
        let mut fitting = self.all.iter().filter(|key| key.algorithms.contains(&header.alg));
        if let Some(wanted) = &header.kid {
            return fitting.find(|key| key.id.as_ref() == Some(wanted)).cloned();
        }
        let only = fitting.next()?;
        fitting.next().is_none().then(|| only.clone())
    }

    /// What the token with this hash said, if it was verified before.
    pub(super) fn verified(&self, hash: &[u8; 32]) -> Option<Arc<Verified>> {
        self.known.get(hash)
    }

    pub(super) fn remember(&self, hash: [u8; 32], verified: Arc<Verified>) {
        self.known.insert(hash, verified);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(keys: Value) -> Result<Keys, String> {
        Keys::read(json!({ "keys": keys }).to_string().into_bytes())
    }

    fn header(algorithm: Algorithm, kid: Option<&str>) -> Header {
        let mut header = Header::new(algorithm);
        header.kid = kid.map(str::to_owned);
        header
    }

    fn curve(kid: &str, more: &[(&str, Value)]) -> Value {
        let coordinate = "A".repeat(43);
        let mut key = json!({"kty": "EC", "crv": "P-256", "kid": kid, "x": coordinate, "y": coordinate});
        for (name, value) in more {
            key[*name] = value.clone();
        }
        key
    }

    #[test]
    fn a_key_verifies_its_own_kind_alone() {
        let modulus = |bytes: usize| "_".repeat(bytes * 4 / 3);
        let rsa = |kid: &str, n: String| json!({"kty": "RSA", "kid": kid, "n": n, "e": "AQAB"});
        let keys = read(json!([
            rsa("r", modulus(258)),
            rsa("weak", modulus(129)),
            curve("e", &[]),
            curve("bound", &[("alg", "ES256".into())]),
            curve("strange", &[("alg", "RS256".into())]),
            curve("locks", &[("use", "enc".into())]),
            curve("signs", &[("key_ops", json!(["sign"]))]),
            {"kty": "oct", "kid": "o", "k": "c2VjcmV0"},
            {"kty": "new", "kid": "n"},
            "no key",
        ]))
        .unwrap();
        let finds = |algorithm, kid| keys.find(&header(algorithm, Some(kid))).is_some();
        assert!(finds(Algorithm::RS256, "r") && finds(Algorithm::PS512, "r"));
        assert!(finds(Algorithm::ES256, "e") && finds(Algorithm::ES256, "bound"));
        for (algorithm, kid) in [
            (Algorithm::ES256, "r"),
            (Algorithm::HS256, "r"),
            (Algorithm::RS256, "e"),
            (Algorithm::ES384, "e"),
            (Algorithm::EdDSA, "e"),
            (Algorithm::HS256, "o"),
            (Algorithm::RS256, "weak"),
            (Algorithm::ES256, "strange"),
            (Algorithm::RS256, "strange"),
            (Algorithm::ES256, "locks"),
            (Algorithm::ES256, "signs"),
            (Algorithm::ES256, ""),
        ] {
            assert!(!finds(algorithm, kid), "{algorithm:?} with {kid}");
        }
        // Without a name the kind must tell which.
        assert!(keys.find(&header(Algorithm::RS256, None)).is_some());
        assert!(keys.find(&header(Algorithm::ES256, None)).is_none());
    }

    #[test]
    fn documents_are_bounded_and_hold_a_key() {
        assert!(read(json!([])).is_err() && Keys::read(b"{}".to_vec()).is_err());
        assert!(read(vec![curve("a", &[]); MAX_KEYS].into()).is_ok());
        assert!(read(vec![curve("a", &[]); MAX_KEYS + 1].into()).is_err_and(|why| why.contains("100")));
    }
}
