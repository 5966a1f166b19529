//! The certificates of a server, by name.

use crate::ACME_ALPN;
use parking_lot::RwLock;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use std::collections::HashMap;
use std::sync::Arc;

/// Certificates that may change while clients come.
#[derive(Debug, Default)]
pub struct Certificates {
    held: RwLock<Held>,
}

#[derive(Debug, Default)]
struct Held {
    /// For names that have none of their own, and for clients that ask for none.
    default: Option<Arc<CertifiedKey>>,
    names: HashMap<String, Arc<CertifiedKey>>,
    /// What authorities get to see that verify a domain.
    challenges: HashMap<String, Arc<CertifiedKey>>,
}

impl Certificates {
    /// What clients get that ask for no name, or for one that is not known.
    pub fn set_default(&self, certificate: CertifiedKey) {
        self.held.write().default = Some(Arc::new(certificate));
    }

    /// What clients of `name` get. The first of all names is the default too.
    pub fn set(&self, name: &str, certificate: CertifiedKey) {
        let certificate = Arc::new(certificate);
        let mut held = self.held.write();
        held.names.insert(name.to_ascii_lowercase(), Arc::clone(&certificate));
        if held.default.is_none() {
            held.default = Some(certificate);
        }
    }

    /// What an authority gets that verifies `name`, until it is taken away by `None`.
    pub fn set_challenge(&self, name: &str, certificate: Option<CertifiedKey>) {
        let name = name.to_ascii_lowercase();
        let mut held = self.held.write();
        match certificate {
            Some(certificate) => held.challenges.insert(name, Arc::new(certificate)),
            None => held.challenges.remove(&name),
        };
    }

    /// The certificate for a name.
    #[must_use]
    pub fn find(&self, name: Option<&str>) -> Option<Arc<CertifiedKey>> {
        let held = self.held.read();
        // A name that a client asks for has small letters only: rustls has seen to it.
        name.and_then(|name| held.names.get(name)).or(held.default.as_ref()).cloned()
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let verifies = hello.alpn().is_some_and(|mut names| names.any(|name| name == ACME_ALPN));
        if verifies {
            return self.held.read().challenges.get(hello.server_name()?).cloned();
        }
        self.find(hello.server_name())
    }
}
