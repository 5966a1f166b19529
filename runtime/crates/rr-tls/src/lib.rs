//! TLS for servers: certificates from files or from an authority that speaks ACME, chosen by the name that a client
//! asks for, renewed while the server runs; what is asked of clients. Row HS-13.
//!
//! Knows nothing of what is spoken over TLS. Reading starts at [`Certificates`], what all listeners of a server share.
#![forbid(unsafe_code)]

#[cfg(feature = "acme")]
pub mod acme;
mod certificates;
mod challenges;
mod clients;
mod files;

pub use certificates::Certificates;
pub use challenges::Challenges;
pub use clients::{ClientAuth, Clients};
pub use files::{Pair, TlsError, Watched};

use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, ring};
use std::sync::Arc;

/// What a client says by ALPN that verifies a domain (RFC 8737).
pub const ACME_ALPN: &[u8] = b"acme-tls/1";

/// The versions that are spoken, the newest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Versions {
    /// TLS 1.2 and 1.3.
    Both,
    /// TLS 1.3.
    Tls13,
}

pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// A server's side of TLS. `protocols`: names for ALPN, those that are liked best first.
///
/// # Errors
/// The authorities of `clients` cannot be used.
pub fn server(
    certificates: Arc<Certificates>,
    clients: &Clients,
    versions: Versions,
    protocols: &[&[u8]],
) -> Result<ServerConfig, TlsError> {
    let versions: &[&rustls::SupportedProtocolVersion] = match versions {
        Versions::Both => &[&rustls::version::TLS13, &rustls::version::TLS12],
        Versions::Tls13 => &[&rustls::version::TLS13],
    };
    let builder = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(versions)
        .map_err(|error| TlsError::new("http.ssl", error))?;
    let builder = match clients.verifier()? {
        Some(verifier) => builder.with_client_cert_verifier(verifier),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_cert_resolver(certificates);
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    // Sessions are resumed by what clients keep, without memory here.
    config.ticketer = ring::Ticketer::new().map_err(|error| TlsError::new("http.ssl", error))?;
    Ok(config)
}
