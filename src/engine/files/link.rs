//! Addresses that carry their own permission for a while: signed, with the moment they end.

use std::io::{self, Read as _, Write as _};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use tablewright_core::model::id::AttachmentId;

use super::picture::Variant;

/// Bytes of the key.
const KEY: usize = 32;

/// The key that signs addresses; it never leaves the data directory.
pub(super) struct Key(Hmac<Sha256>);

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(***)")
    }
}

/// Why an address opens nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It is not one of ours, or was changed.
    #[error("the address is not signed by this server; read the record again for a new one")]
    Forged,
    /// It was good once.
    #[error("the address has expired; read the record again for a new one")]
    Expired,
}

impl Key {
    /// The key in `path`; made there when there is none.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let mut key = [0u8; KEY];
        match std::fs::File::open(path) {
            Ok(mut file) => {
                file.read_exact(&mut key)?;
                return Self::new(&key);
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        getrandom::fill(&mut key).map_err(io::Error::other)?;
        // The file appears whole or not at all.
        let part = path.with_extension("part");
        let _ = std::fs::remove_file(&part);
        let mut file = super::blobs::create(&part)?;
        file.write_all(&key)?;
        file.sync_all()?;
        std::fs::rename(&part, path)?;
        Self::new(&key)
    }

    fn new(key: &[u8; KEY]) -> io::Result<Self> {
        Hmac::new_from_slice(key).map(Self).map_err(io::Error::other)
    }

    fn mac(&self, id: AttachmentId, expires: u64, variant: Variant) -> Hmac<Sha256> {
        let mut mac = self.0.clone();
        mac.update(format!("{id}\n{expires:x}\n{}", variant.as_str()).as_bytes());
        mac
    }

    /// The path of an address for `variant` that ends at `expires` (seconds since the epoch).
    pub(super) fn path(&self, id: AttachmentId, filename: &str, variant: Variant, expires: u64) -> String {
        let signature = URL_SAFE_NO_PAD.encode(self.mac(id, expires, variant).finalize().into_bytes());
        let name = super::name::percent_encoded(filename);
        format!("/files/{id}/{expires:x}/{signature}/{}/{name}", variant.as_str())
    }

    /// Checks the parts of a path at `now` (seconds since the epoch).
    pub(super) fn check(
        &self,
        id: &str,
        expires: &str,
        signature: &str,
        variant: &str,
        now: u64,
    ) -> Result<(AttachmentId, Variant), Refused> {
        let id: AttachmentId = id.parse().map_err(|_| Refused::Forged)?;
        let variant = Variant::named(variant).ok_or(Refused::Forged)?;
        let until = u64::from_str_radix(expires, 16).map_err(|_| Refused::Forged)?;
        let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| Refused::Forged)?;
        // In constant time.
        self.mac(id, until, variant).verify_slice(&signature).map_err(|_| Refused::Forged)?;
        if now > until { Err(Refused::Expired) } else { Ok((id, variant)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_signed_opens_and_only_for_its_time() {
        let key = Key::new(&[7; KEY]).unwrap();
        let id = AttachmentId::random();
        let path = key.path(id, "a b.png", Variant::Small, 1_000);
        let parts: Vec<&str> = path.split('/').collect();
        let [_, files, held, expires, signature, variant, name] = parts[..] else { panic!("{path}") };
        assert_eq!((files, held, name), ("files", id.to_string().as_str(), "a%20b.png"));
        assert_eq!(key.check(held, expires, signature, variant, 1_000), Ok((id, Variant::Small)));
        assert_eq!(key.check(held, expires, signature, variant, 1_001), Err(Refused::Expired));
        let other = AttachmentId::random().to_string();
        for (held, expires, signature, variant) in [
            (other.as_str(), expires, signature, variant),
            (held, "3e9", signature, variant),
            (held, expires, signature, "large"),
            (held, expires, &signature[1..], variant),
            (held, expires, "", variant),
            (held, expires, "!!", variant),
            (held, "zz", signature, variant),
            ("att", expires, signature, variant),
        ] {
            assert_eq!(key.check(held, expires, signature, variant, 0), Err(Refused::Forged));
        }
        assert_eq!(
            Key::new(&[8; KEY]).unwrap().check(held, expires, signature, variant, 0),
            Err(Refused::Forged),
            "another server's key"
        );
    }
}
