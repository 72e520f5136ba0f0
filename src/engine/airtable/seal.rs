//! Tokens at rest: sealed with a key that does not lie beside them in the database.

mod command;

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use base64::prelude::BASE64_STANDARD_NO_PAD;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use sha2::{Digest, Sha256};
use tablewright_core::secret::Secret;

pub(super) use command::KeyCommand;

/// The key file in the data directory, when no other key is named.
pub(super) const KEY_FILE: &str = "secret.key";

/// Bytes of a key.
const KEY_LEN: usize = 32;
/// Longest key file that is read, in bytes.
const MAX_KEY_FILE: u64 = 4096;
/// How sealed texts of this form begin.
const FORM: &str = "1";

/// Where a key may come from, as the environment and the data directory say.
#[derive(Debug, Clone, Default)]
pub(super) struct KeyPlace {
    /// The key itself (`TABLEWRIGHT_SECRET_KEY`).
    pub(super) key: Option<Secret>,
    /// A file that holds it (`TABLEWRIGHT_SECRET_KEY_FILE`).
    pub(super) file: Option<PathBuf>,
    /// A command that prints it (`TABLEWRIGHT_SECRET_KEY_COMMAND`).
    pub(super) command: Option<KeyCommand>,
    /// The data directory, whose own key file is used when nothing is named.
    pub(super) directory: PathBuf,
}

/// Why something was not sealed or opened.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// The key that is named cannot be used.
    #[error("{place}: {reason}")]
    Key {
        /// Where it comes from.
        place: String,
        /// What is wrong with it.
        reason: String,
    },
    /// No key is named, and there is none in the data directory.
    #[error(
        "the key that opens the stored logins is not here: set TABLEWRIGHT_SECRET_KEY, TABLEWRIGHT_SECRET_KEY_FILE or TABLEWRIGHT_SECRET_KEY_COMMAND, or put {} back", .0.display()
    )]
    NoKey(PathBuf),
    /// Sealed with another key.
    #[error(
        "it was sealed with another key than that of {place}: set TABLEWRIGHT_SECRET_KEY, TABLEWRIGHT_SECRET_KEY_FILE or the key file to the key it was sealed with"
    )]
    OtherKey {
        /// Where the key in use comes from.
        place: String,
    },
    /// Not what was sealed.
    #[error("what is stored of it was changed or damaged")]
    Damaged,
    /// The system gives no random bytes.
    #[error("no random bytes: {0}")]
    Random(String),
}

/// A key that seals and opens.
pub(super) struct Seal {
    key: LessSafeKey,
    /// Tells keys apart without telling anything of them.
    mark: String,
    place: String,
}

impl Seal {
    /// The key that `place` names, or the one of the data directory. That one is made when it is
    /// not there, if `may_make`.
    pub(super) fn find(place: &KeyPlace, may_make: bool) -> Result<Self, Error> {
        if let Some(key) = &place.key {
            return Self::read(key.reveal(), "TABLEWRIGHT_SECRET_KEY");
        }
        if let Some(file) = &place.file {
            let name = format!("TABLEWRIGHT_SECRET_KEY_FILE ({})", file.display());
            let text =
                read_file(file).map_err(|e| Error::Key { place: name.clone(), reason: e.to_string() })?;
            return Self::read(&text, &name);
        }
        if let Some(command) = &place.command {
            let name = "the command of TABLEWRIGHT_SECRET_KEY_COMMAND";
            let key = command.key().map_err(|reason| Error::Key { place: name.to_owned(), reason })?;
            return Self::read(key.reveal(), name);
        }
        let file = place.directory.join(KEY_FILE);
        let shown = file.display().to_string();
        let broken = |reason: String| Error::Key { place: shown.clone(), reason };
        match read_file(&file) {
            Ok(text) => {
                is_private(&file).map_err(broken)?;
                Self::read(&text, &shown)
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && may_make => {
                let mut bytes = [0; KEY_LEN];
                getrandom::fill(&mut bytes).map_err(|e| Error::Random(e.to_string()))?;
                write_file(&file, &BASE64_STANDARD_NO_PAD.encode(bytes))
                    .map_err(|e| broken(e.to_string()))?;
                Self::of(&bytes, &shown)
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(Error::NoKey(file)),
            Err(error) => Err(broken(error.to_string())),
        }
    }

    fn read(text: &str, place: &str) -> Result<Self, Error> {
        let bytes = key_bytes(text.trim()).ok_or_else(|| Error::Key {
            place: place.to_owned(),
            reason: format!(
                "a key is {KEY_LEN} random bytes in base64 or hex; `openssl rand -hex {KEY_LEN}` makes one"
            ),
        })?;
        Self::of(&bytes, place)
    }

    fn of(bytes: &[u8; KEY_LEN], place: &str) -> Result<Self, Error> {
        let key = UnboundKey::new(&AES_256_GCM, bytes).map_err(|_| Error::Damaged)?;
        let digest = Sha256::new().chain_update("mark of a key").chain_update(bytes).finalize();
        let mark = digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
        Ok(Self { key: LessSafeKey::new(key), mark, place: place.to_owned() })
    }

    /// Where this key comes from, for people.
    pub(super) fn place(&self) -> &str {
        &self.place
    }

    /// Seals a text for `name`; it opens for that name alone.
    pub(super) fn close(&self, name: &str, text: &str) -> Result<String, Error> {
        let mut nonce = [0; NONCE_LEN];
        getrandom::fill(&mut nonce).map_err(|e| Error::Random(e.to_string()))?;
        let mut sealed = text.as_bytes().to_vec();
        self.key
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(name.as_bytes()),
                &mut sealed,
            )
            .map_err(|_| Error::Damaged)?;
        let whole = [&nonce[..], &sealed].concat();
        Ok(format!("{FORM}.{}.{}", self.mark, BASE64_STANDARD_NO_PAD.encode(whole)))
    }

    /// Opens what was sealed for `name`.
    pub(super) fn open(&self, name: &str, sealed: &str) -> Result<Secret, Error> {
        self.check(sealed)?;
        let body = sealed.rsplit('.').next().unwrap_or_default();
        let mut bytes = BASE64_STANDARD_NO_PAD.decode(body).map_err(|_| Error::Damaged)?;
        let (nonce, text) = bytes.split_at_mut_checked(NONCE_LEN).ok_or(Error::Damaged)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| Error::Damaged)?;
        let opened =
            self.key.open_in_place(nonce, Aad::from(name.as_bytes()), text).map_err(|_| Error::Damaged)?;
        std::str::from_utf8(opened).map(Secret::new).map_err(|_| Error::Damaged)
    }

    /// Refuses what was sealed with another key.
    pub(super) fn check(&self, sealed: &str) -> Result<(), Error> {
        let mut parts = sealed.split('.');
        match (parts.next(), parts.next()) {
            (Some(FORM), Some(mark)) if mark == self.mark => Ok(()),
            (Some(FORM), Some(_)) => Err(Error::OtherKey { place: self.place.clone() }),
            _ => Err(Error::Damaged),
        }
    }
}

/// A key written as hex, or as base64 of either alphabet with or without padding.
fn key_bytes(text: &str) -> Option<[u8; KEY_LEN]> {
    if text.len() == 2 * KEY_LEN && text.bytes().all(|b| b.is_ascii_hexdigit()) {
        let mut bytes = [0; KEY_LEN];
        for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
        }
        return Some(bytes);
    }
    let config = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    [STANDARD, URL_SAFE]
        .iter()
        .find_map(|alphabet| GeneralPurpose::new(alphabet, config).decode(text).ok()?.try_into().ok())
}

fn read_file(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    std::fs::File::open(path)?.take(MAX_KEY_FILE).read_to_string(&mut text)?;
    Ok(text)
}

/// Writes a file for its user alone; it appears whole.
fn write_file(path: &Path, text: &str) -> std::io::Result<()> {
    let part = path.with_extension("part");
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&part)?;
    writeln!(file, "{text}")?;
    file.sync_all()?;
    std::fs::rename(&part, path)?;
    #[cfg(unix)]
    if let Some(folder) = path.parent() {
        std::fs::File::open(folder)?.sync_all()?;
    }
    Ok(())
}

#[cfg(unix)]
fn is_private(path: &Path) -> Result<(), String> {
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &std::fs::metadata(path).map_err(|e| e.to_string())?.permissions(),
    );
    if mode & 0o077 == 0 {
        return Ok(());
    }
    Err(format!("others may read this key; say `chmod 600 {}`", path.display()))
}

#[cfg(not(unix))]
fn is_private(_: &Path) -> Result<(), String> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(name: &str) -> KeyPlace {
        let directory = std::env::temp_dir().join(format!("tablewright-seal-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&directory);
        std::fs::create_dir_all(&directory).unwrap();
        KeyPlace { directory, ..KeyPlace::default() }
    }

    #[test]
    fn what_is_sealed_opens_for_its_name_and_key_alone() {
        let place = place("opens");
        assert!(matches!(Seal::find(&place, false), Err(Error::NoKey(_))));
        let seal = Seal::find(&place, true).unwrap();
        let sealed = seal.close("laptop", "patSecret.123").unwrap();
        assert!(!sealed.contains("patSecret"));
        assert_ne!(sealed, seal.close("laptop", "patSecret.123").unwrap(), "each has its own nonce");
        let again = Seal::find(&place, false).unwrap();
        assert_eq!(again.open("laptop", &sealed).unwrap().reveal(), "patSecret.123");
        assert!(matches!(again.open("desk", &sealed), Err(Error::Damaged)), "the name is a part of it");
        let mut bent = sealed.clone();
        bent.replace_range(12..13, if &sealed[12..13] == "A" { "B" } else { "A" });
        assert!(matches!(again.open("laptop", &bent), Err(Error::Damaged)));
        assert!(matches!(again.open("laptop", "1.x"), Err(Error::OtherKey { .. })));
        let other = KeyPlace { key: Some(Secret::new("ab".repeat(32))), ..place };
        let refused = Seal::find(&other, false).unwrap().open("laptop", &sealed).unwrap_err();
        assert!(refused.to_string().contains("another key than that of TABLEWRIGHT_SECRET_KEY"), "{refused}");
    }

    #[test]
    fn keys_are_read_as_hex_and_base64() {
        let bytes: Vec<u8> = (200..232).collect();
        let hex: String = bytes.iter().map(|b| format!("{b:02X}")).collect();
        let base64 = base64::prelude::BASE64_STANDARD.encode(&bytes);
        let url = base64::prelude::BASE64_URL_SAFE_NO_PAD.encode(&bytes);
        for text in [&hex, &base64, &url] {
            assert_eq!(key_bytes(text).unwrap().as_slice(), bytes, "{text}");
        }
        for text in ["", "short", &hex[1..], &format!("{hex}0"), &"z".repeat(64)] {
            assert!(key_bytes(text).is_none(), "{text}");
            let place = KeyPlace { key: Some(Secret::new(text)), ..KeyPlace::default() };
            let said = Seal::find(&place, true).err().unwrap().to_string();
            assert!(said.contains("32 random bytes") && !said.contains("zzz"), "{said}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn the_key_file_is_its_users_alone() {
        use std::os::unix::fs::PermissionsExt as _;
        let place = place("file");
        Seal::find(&place, true).unwrap();
        let file = place.directory.join(KEY_FILE);
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
        let said = Seal::find(&place, true).err().unwrap().to_string();
        assert!(said.contains("chmod 600"), "{said}");
        std::fs::write(&file, "").unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        assert!(Seal::find(&place, true).is_err(), "a damaged key is not replaced");
    }
}
