//! TLS: the certificate of the port and its key, read again when their files change.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::crypto::ring;
use rustls::pki_types::pem::{Error as PemError, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{Error as TlsError, ServerConfig};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(2);
/// Largest file that is read, in bytes.
const MAX_FILE: u64 = 1024 * 1024;

/// Why a certificate and its key cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("http.{setting}: {path}: {reason}", path = .path.display())]
pub struct Unusable {
    setting: &'static str,
    path: PathBuf,
    reason: String,
}

/// What the port shows to new connections. Cheap to clone.
#[derive(Clone)]
pub struct Tls(Arc<Inner>);

struct Inner {
    files: Files,
    /// The files as they were when they were read first.
    opened: Stamp,
    current: watch::Sender<TlsAcceptor>,
}

/// When each file was written last, and its bytes; `None` while it is not there.
type Stamp = [Option<(SystemTime, u64)>; 2];

#[derive(Clone)]
struct Files {
    certificate: PathBuf,
    key: PathBuf,
}

impl Tls {
    /// Reads two PEM files: a certificate, with those that vouch for it after it, and its private key.
    pub fn open(certificate: &Path, key: &Path) -> Result<Self, Unusable> {
        let files = Files { certificate: certificate.to_owned(), key: key.to_owned() };
        let opened = files.stamp();
        let (current, _) = watch::channel(files.load()?);
        Ok(Self(Arc::new(Inner { files, opened, current })))
    }

    /// What the next connection is taken with.
    pub(super) fn current(&self) -> TlsAcceptor {
        self.0.current.borrow().clone()
    }

    /// Looks after the files for ever. A pair that cannot be used changes nothing.
    pub(super) async fn keep(self) {
        let mut known = self.0.opened;
        let mut looks = tokio::time::interval(LOOK);
        looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            looks.tick().await;
            let files = self.0.files.clone();
            let looked = tokio::task::spawn_blocking(move || {
                // Before they are read: what is written meanwhile shows at the next look.
                let stamp = files.stamp();
                (stamp != known).then(|| (stamp, files.load()))
            });
            let Ok(Some((stamp, loaded))) = looked.await else { continue };
            known = stamp;
            match loaded {
                Ok(acceptor) => {
                    self.0.current.send_replace(acceptor);
                    tracing::info!("new connections get the certificate that was just read");
                }
                Err(error) => {
                    tracing::warn!("{error}; new connections still get the certificate from before");
                }
            }
        }
    }
}

impl Files {
    fn stamp(&self) -> Stamp {
        [&self.certificate, &self.key].map(|path| {
            let about = path.metadata().ok()?;
            Some((about.modified().ok()?, about.len()))
        })
    }

    fn load(&self) -> Result<TlsAcceptor, Unusable> {
        let of_certificate =
            |reason: String| Unusable { setting: "tls_certificate", path: self.certificate.clone(), reason };
        let of_key = |reason: String| Unusable { setting: "tls_key", path: self.key.clone(), reason };
        let text = read(&self.certificate).map_err(of_certificate)?;
        let chain = CertificateDer::pem_slice_iter(&text).collect::<Result<Vec<_>, _>>();
        let chain = chain.map_err(|error| of_certificate(broken(&error)))?;
        if chain.is_empty() {
            let reason = "there is no certificate in it; a PEM file has one between lines with BEGIN CERTIFICATE and END CERTIFICATE";
            return Err(of_certificate(reason.to_owned()));
        }
        let text = read(&self.key).map_err(of_key)?;
        let key = PrivateKeyDer::from_pem_slice(&text).map_err(|error| match error {
            PemError::NoItemsFound if memchr::memmem::find(&text, b"BEGIN ENCRYPTED").is_some() => {
                of_key("the key in it is encrypted; store it without a passphrase, readable by this program alone".into())
            }
            PemError::NoItemsFound => of_key(
                "there is no private key in it; a PEM file has one between lines with BEGIN PRIVATE KEY and END PRIVATE KEY".into(),
            ),
            error => of_key(broken(&error)),
        })?;
        let provider = Arc::new(ring::default_provider());
        let signer = provider.key_provider.load_private_key(key);
        let signer = signer.map_err(|error| of_key(format!("its key cannot be used: {error}")))?;
        let certified = CertifiedKey::new(chain, signer);
        certified.keys_match().map_err(|error| match error {
            TlsError::InconsistentKeys(_) => of_key(format!(
                "this is not the key of the first certificate in {}; give both of one pair, with the server's own certificate first",
                self.certificate.display()
            )),
            error => of_certificate(format!("its first certificate cannot be used: {error}")),
        })?;
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = config.map_err(|error| of_certificate(error.to_string()))?;
        let mut config =
            config.with_no_client_auth().with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}

fn broken(error: &PemError) -> String {
    format!("it is no whole PEM file: {error}")
}

/// The bytes of a file, or what is wrong with it.
fn read(path: &Path) -> Result<Vec<u8>, String> {
    let unreadable = |error: io::Error| format!("it cannot be read: {error}");
    // Asked before it is opened: opening a pipe would wait for somebody to write.
    if !path.metadata().map_err(unreadable)?.is_file() {
        return Err("it is no file; give the path of a PEM file".to_owned());
    }
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(MAX_FILE + 1).read_to_end(&mut bytes)).map_err(unreadable)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(format!("it has more than {MAX_FILE} bytes; give a PEM file"));
    }
    Ok(bytes)
}
