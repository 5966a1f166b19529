//! Where accounts, keys and certificates are kept, laid out as certmagic's.

use crate::files::{certified, chain};
use instant_acme::AccountCredentials;
use rustix::fs::{FlockOperation, flock};
use rustls::sign::CertifiedKey;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The folder.
#[derive(Debug, Clone)]
pub(super) struct Store {
    folder: PathBuf,
    issuer: String,
    pub(super) directory: String,
}

/// certmagic's name for an authority: the host and path of its directory.
fn issuer(directory: &str) -> String {
    let place = directory.split_once("://").map_or(directory, |(_, place)| place);
    let place = place.trim_end_matches('/').to_ascii_lowercase();
    let mut name: String = place
        .chars()
        .map(|letter| match letter {
            'a'..='z' | '0'..='9' | '-' | '_' | '.' | '@' => letter,
            _ => '-',
        })
        .collect();
    while name.contains("..") {
        name = name.replace("..", ".");
    }
    name
}

impl Store {
    /// The part of a folder that belongs to the authority with this directory.
    pub(super) fn new(folder: PathBuf, directory: String) -> Self {
        Self { folder, issuer: issuer(&directory), directory }
    }

    fn place(&self, domain: &str) -> PathBuf {
        self.folder.join("certificates").join(&self.issuer).join(domain)
    }

    fn accounts(&self) -> PathBuf {
        self.folder.join("acme").join(&self.issuer).join("roadrunner")
    }

    pub(super) fn prepare(&self) -> std::io::Result<()> {
        let make = |path: PathBuf| DirBuilder::new().recursive(true).mode(0o700).create(path);
        make(self.folder.join("certificates").join(&self.issuer))?;
        make(self.accounts())?;
        make(self.folder.join("locks"))
    }

    /// The only server that orders for a domain; `None`: another one does. Ends with what this returns.
    pub(super) fn lock(&self, domain: &str) -> std::io::Result<Option<File>> {
        let path = self.folder.join("locks").join(format!("roadrunner-{domain}.lock"));
        let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(file)),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// A domain's certificate and when it is due.
    pub(super) fn certificate(&self, domain: &str) -> Result<Option<(CertifiedKey, SystemTime)>, String> {
        let place = self.place(domain);
        let read = |ending: &str| std::fs::read(place.join(format!("{domain}.{ending}")));
        let (text, key) = match (read("crt"), read("key")) {
            (Ok(text), Ok(key)) => (text, key),
            (Err(error), _) | (_, Err(error)) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(None);
            }
            (Err(error), _) | (_, Err(error)) => return Err(format!("{}: {error}", place.display())),
        };
        let chain = chain(&text)?;
        let due = due(chain.first().ok_or("an empty chain")?)?;
        Ok(Some((certified(chain, &key)?, due)))
    }

    pub(super) fn keep(&self, domain: &str, chain: &str, key: &str) -> std::io::Result<()> {
        let place = self.place(domain);
        DirBuilder::new().recursive(true).mode(0o700).create(&place)?;
        // certmagic reads no certificate without its description.
        let about = serde_json::json!({"sans": [domain], "issuer_data": {"url": self.directory}});
        let about = serde_json::to_string_pretty(&about)?;
        replace(&place.join(format!("{domain}.json")), about.as_bytes())?;
        replace(&place.join(format!("{domain}.key")), key.as_bytes())?;
        replace(&place.join(format!("{domain}.crt")), chain.as_bytes())
    }

    fn account_file(&self, email: &str) -> PathBuf {
        let name: String = email
            .chars()
            .map(
                |letter| {
                    if letter.is_ascii_alphanumeric() || "@.-_+".contains(letter) { letter } else { '-' }
                },
            )
            .collect();
        self.accounts().join(format!("{}.json", name.to_ascii_lowercase()))
    }

    pub(super) fn account(&self, email: &str) -> std::io::Result<Option<AccountCredentials>> {
        match std::fs::read(self.account_file(email)) {
            Ok(text) => Ok(Some(serde_json::from_slice(&text)?)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(super) fn forget_account(&self, email: &str) -> std::io::Result<()> {
        std::fs::remove_file(self.account_file(email))
    }

    pub(super) fn keep_account(&self, email: &str, credentials: &AccountCredentials) -> std::io::Result<()> {
        replace(&self.account_file(email), &serde_json::to_vec_pretty(credentials)?)
    }
}

/// Writes a file whole or not at all, for this user only.
fn replace(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let new = path.with_extension("new");
    let mut file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&new, path)
}

/// When a third of a certificate's time is left.
fn due(certificate: &[u8]) -> Result<SystemTime, String> {
    let (_, certificate) =
        x509_parser::parse_x509_certificate(certificate).map_err(|error| error.to_string())?;
    let validity = certificate.validity();
    let (from, to) = (validity.not_before.timestamp(), validity.not_after.timestamp());
    let due = to.saturating_sub(to.saturating_sub(from).max(0) / 3);
    Ok(UNIX_EPOCH + Duration::from_secs(u64::try_from(due).unwrap_or(0)))
}
