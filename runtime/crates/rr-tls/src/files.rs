//! Certificates and keys in files, read anew when they change.

use crate::certificates::Certificates;
use crate::provider;
use rustls::InconsistentKeys;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
#[error("{key}: {cause}")]
pub struct TlsError {
    key: String,
    cause: String,
}

impl TlsError {
    /// `key`: in the config.
    pub fn new(key: impl Into<String>, cause: impl Display) -> Self {
        Self { key: key.into(), cause: cause.to_string() }
    }
}

/// A certificate and its key, as files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// The section in the config, such as `http.ssl`.
    pub section: &'static str,
    /// The certificate and those that lead to its root, PEM.
    pub cert: PathBuf,
    /// The key, PEM: PKCS #8, PKCS #1 or SEC 1.
    pub key: PathBuf,
}

impl Pair {
    /// Reads both.
    ///
    /// # Errors
    /// One cannot be read or is none, or they do not belong together.
    pub fn read(&self) -> Result<CertifiedKey, TlsError> {
        let wrong = |key: &str, path: &Path, cause: String| {
            TlsError::new(format!("{}.{key}", self.section), format!("{}: {cause}", path.display()))
        };
        let text = std::fs::read(&self.cert).map_err(|error| wrong("cert", &self.cert, error.to_string()))?;
        let chain = chain(&text).map_err(|cause| wrong("cert", &self.cert, cause))?;
        let text = std::fs::read(&self.key).map_err(|error| wrong("key", &self.key, error.to_string()))?;
        certified(chain, &text).map_err(|cause| wrong("key", &self.key, cause))
    }

    fn changed(&self) -> [Option<SystemTime>; 2] {
        // Through symbolic links, which certbot moves on.
        [&self.cert, &self.key].map(|path| std::fs::metadata(path).and_then(|meta| meta.modified()).ok())
    }
}

/// The certificates of a PEM text.
pub(crate) fn chain(text: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text).collect();
    let chain = chain.map_err(|error| format!("is no PEM: {error}"))?;
    if chain.is_empty() {
        return Err("has no certificate (-----BEGIN CERTIFICATE-----)".to_owned());
    }
    Ok(chain)
}

/// A chain with the key of a PEM text.
pub(crate) fn certified(chain: Vec<CertificateDer<'static>>, key: &[u8]) -> Result<CertifiedKey, String> {
    let certified = unchecked(chain, key)?;
    match certified.keys_match() {
        Ok(()) | Err(rustls::Error::InconsistentKeys(InconsistentKeys::Unknown)) => Ok(certified),
        Err(rustls::Error::InconsistentKeys(_)) => Err("does not belong to the certificate".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// The same without a look at whether they belong together.
pub(crate) fn unchecked(chain: Vec<CertificateDer<'static>>, key: &[u8]) -> Result<CertifiedKey, String> {
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| match error {
        rustls::pki_types::pem::Error::NoItemsFound => {
            "has no private key that can be read without a password".to_owned()
        }
        error => format!("is no PEM: {error}"),
    })?;
    let key = provider().key_provider.load_private_key(key).map_err(|error| error.to_string())?;
    Ok(CertifiedKey::new(chain, key))
}

/// How often files are looked at.
const PERIOD: Duration = Duration::from_secs(10);

/// Files that certificates came from.
#[derive(Debug)]
pub struct Watched {
    pair: Pair,
    seen: [Option<SystemTime>; 2],
    certificates: Arc<Certificates>,
}

impl Watched {
    /// Reads a pair, for all names.
    ///
    /// # Errors
    /// As [`Pair::read`].
    pub fn read(pair: Pair) -> Result<(Arc<Certificates>, Self), TlsError> {
        let seen = pair.changed();
        let certificates = Arc::new(Certificates::default());
        certificates.set_default(pair.read()?);
        Ok((Arc::clone(&certificates), Self { pair, seen, certificates }))
    }

    /// Reads the files anew when they have changed, for as long as it is polled. What is wrong then is logged, and what
    /// was read before stays.
    pub async fn run(mut self) {
        loop {
            tokio::time::sleep(PERIOD).await;
            let looked = tokio::task::spawn_blocking(move || {
                self.look();
                self
            });
            match looked.await {
                Ok(same) => self = same,
                Err(_) => return,
            }
        }
    }

    fn look(&mut self) {
        let now = self.pair.changed();
        if now == self.seen {
            return;
        }
        match self.pair.read() {
            Ok(read) => {
                self.certificates.set_default(read);
                tracing::info!(target: "http", "{}: the certificate has been read anew", self.pair.section);
            }
            // Two files that are replaced one after another are no pair in between: once more at the next look.
            Err(error) => {
                if !matches!(self.seen, [None, None]) {
                    tracing::error!(target: "http", "{error}; the certificate that was read before stays");
                }
                self.seen = [None, None];
                return;
            }
        }
        self.seen = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(dir: &Path, name: &str) -> Pair {
        let made = rcgen::generate_simple_self_signed([name.to_owned()]).expect("a certificate");
        let pair = Pair { section: "http.ssl", cert: dir.join("a.crt"), key: dir.join("a.key") };
        std::fs::write(&pair.cert, made.cert.pem()).expect("writes");
        std::fs::write(&pair.key, made.signing_key.serialize_pem()).expect("writes");
        pair
    }

    #[test]
    fn what_is_wrong_with_files_is_said() {
        let dir = tempfile::tempdir().expect("a folder");
        let pair = write(dir.path(), "a.example");
        assert!(pair.read().is_ok());
        let said = |pair: &Pair| pair.read().expect_err("refused").to_string();
        let lost = Pair { cert: dir.path().join("none"), ..pair.clone() };
        assert!(
            said(&lost).starts_with("http.ssl.cert: ") && said(&lost).contains("No such file"),
            "{}",
            said(&lost)
        );
        let swapped = Pair { cert: pair.key.clone(), ..pair.clone() };
        assert!(said(&swapped).contains("has no certificate"), "{}", said(&swapped));
        let swapped = Pair { key: pair.cert.clone(), ..pair.clone() };
        assert!(said(&swapped).contains("http.ssl.key: ") && said(&swapped).contains("has no private key"));
        let old = std::fs::read(&pair.key).expect("reads");
        write(dir.path(), "b.example");
        std::fs::write(&pair.key, old).expect("writes");
        assert!(said(&pair).contains("does not belong to the certificate"), "{}", said(&pair));
    }

    #[test]
    fn files_that_change_are_read_anew_and_broken_ones_are_not() {
        let dir = tempfile::tempdir().expect("a folder");
        let pair = write(dir.path(), "a.example");
        let (certificates, mut watched) = Watched::read(pair.clone()).expect("reads");
        let first = certificates.find(None).expect("there").cert.clone();
        watched.look();
        assert_eq!(certificates.find(None).expect("there").cert, first);
        let later = |pair: &Pair, seconds| {
            let file = std::fs::File::options().append(true).open(&pair.cert).expect("opens");
            file.set_modified(SystemTime::now() + Duration::from_secs(seconds)).expect("sets");
        };
        std::fs::write(&pair.cert, "broken").expect("writes");
        later(&pair, 10);
        watched.look();
        assert_eq!(certificates.find(None).expect("there").cert, first);
        write(dir.path(), "a.example");
        later(&pair, 20);
        watched.look();
        assert_ne!(certificates.find(None).expect("there").cert, first);
    }
}
