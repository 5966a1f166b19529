//! What is asked of clients.

use crate::files::{TlsError, chain};
use crate::provider;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme};
use std::path::PathBuf;
use std::sync::Arc;

/// What a client shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientAuth {
    /// Nothing.
    None,
    /// A certificate if it likes, whosever.
    Request,
    /// A certificate, whosever.
    RequireAny,
    /// A certificate of the authorities if it likes.
    VerifyIfGiven,
    /// A certificate of the authorities.
    RequireAndVerify,
}

/// The clients that are let in.
#[derive(Debug, Clone)]
pub struct Clients {
    /// What they show.
    pub auth: ClientAuth,
    /// The authorities, PEM. Without them nothing is asked.
    pub authorities: Option<PathBuf>,
}

impl Clients {
    /// Everybody.
    pub const ANY: Self = Self { auth: ClientAuth::None, authorities: None };

    /// Whether the authorities can be used.
    ///
    /// # Errors
    /// They cannot.
    pub fn check(&self) -> Result<(), TlsError> {
        self.verifier().map(drop)
    }

    pub(crate) fn verifier(&self) -> Result<Option<Arc<dyn ClientCertVerifier>>, TlsError> {
        let Some(path) = &self.authorities else { return Ok(None) };
        let wrong = |cause: String| TlsError::new("http.ssl.root_ca", format!("{}: {cause}", path.display()));
        let text = std::fs::read(path).map_err(|error| wrong(error.to_string()))?;
        let mut roots = RootCertStore::empty();
        for certificate in chain(&text).map_err(wrong)? {
            roots.add(certificate).map_err(|error| wrong(error.to_string()))?;
        }
        let required = match self.auth {
            ClientAuth::None => return Ok(None),
            ClientAuth::Request | ClientAuth::RequireAny => {
                let mandatory = self.auth == ClientAuth::RequireAny;
                return Ok(Some(Arc::new(Anybody { mandatory, provider: provider() })));
            }
            ClientAuth::VerifyIfGiven => false,
            ClientAuth::RequireAndVerify => true,
        };
        let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider());
        let builder = if required { builder } else { builder.allow_unauthenticated() };
        Ok(Some(builder.build().map_err(|error| wrong(error.to_string()))?))
    }
}

/// Takes any certificate whose key the client has.
#[derive(Debug)]
struct Anybody {
    mandatory: bool,
    provider: Arc<CryptoProvider>,
}

impl ClientCertVerifier for Anybody {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn client_auth_mandatory(&self) -> bool {
        self.mandatory
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
