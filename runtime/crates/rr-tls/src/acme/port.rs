//! A port that is opened for the time of an order, where no other listener of the server has it.

use super::Kind;
use crate::{ACME_ALPN, Certificates, Challenges};
use bytes::Bytes;
use http_body_util::Full;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rr_net::{Acceptor, Options};
use rustls::ServerConfig;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// The port; closed when dropped.
pub(super) struct Open(JoinHandle<()>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Opens the port where the authority looks. Somebody else may have it and hand on what comes.
pub(super) fn open(
    kind: Kind,
    port: u16,
    challenges: &Arc<Challenges>,
    certificates: &Arc<Certificates>,
) -> Option<Open> {
    let address = format!("0.0.0.0:{port}");
    let (key, what) = match kind {
        Kind::Http01 => ("http.ssl.acme.alt_http_port", "answers for an authority"),
        Kind::TlsAlpn01 => ("http.ssl.acme.alt_tlsalpn_port", "certificates for an authority"),
    };
    let opened = rr_net::bind(key, &address, &Options::default()).map_err(|error| error.to_string());
    match opened.and_then(|listener| Acceptor::new(listener).map_err(|error| error.to_string())) {
        Ok(acceptor) => Some(Open(match kind {
            Kind::Http01 => tokio::spawn(answer(acceptor, Arc::clone(challenges))),
            Kind::TlsAlpn01 => tokio::spawn(show(acceptor, Arc::clone(certificates))),
        })),
        Err(error) => {
            tracing::warn!(target: "http", "{error}; {what} must come to this server by another way");
            None
        }
    }
}

/// How long somebody may stay on such a port.
const VISIT: Duration = Duration::from_secs(10);
async fn answer(acceptor: Acceptor, challenges: Arc<Challenges>) {
    let serve = |stream, _| {
        let challenges = Arc::clone(&challenges);
        async move {
            let service = service_fn(move |request: http::Request<hyper::body::Incoming>| {
                let token = request.uri().path().strip_prefix(Challenges::PATH);
                let answer = token.and_then(|token| challenges.answer(token));
                let status = if answer.is_some() { 200 } else { 404 };
                let body = Full::new(Bytes::from(answer.unwrap_or_else(|| "Not Found\n".to_owned())));
                let response = http::Response::builder().status(status).body(body);
                async move { Ok::<_, Infallible>(response.unwrap_or_default()) }
            });
            let mut builder = http1::Builder::new();
            let serving = builder.keep_alive(false).header_read_timeout(None);
            let _ =
                tokio::time::timeout(VISIT, serving.serve_connection(TokioIo::new(stream), service)).await;
        }
    };
    rr_net::serve_each(&acceptor, "http", 64, std::future::pending(), serve).await;
}

async fn show(acceptor: Acceptor, certificates: Arc<Certificates>) {
    let config = ServerConfig::builder_with_provider(crate::provider())
        .with_safe_default_protocol_versions()
        .map(|builder| builder.with_no_client_auth().with_cert_resolver(certificates));
    let Ok(mut config) = config else { return };
    config.alpn_protocols = vec![ACME_ALPN.to_vec()];
    let tls = TlsAcceptor::from(Arc::new(config));
    let serve = |stream, _| {
        let tls = tls.clone();
        async move {
            let shown = async {
                if let Ok(mut stream) = tls.accept(stream).await {
                    let _ = stream.shutdown().await;
                }
            };
            let _ = tokio::time::timeout(VISIT, shown).await;
        }
    };
    rr_net::serve_each(&acceptor, "http", 64, std::future::pending(), serve).await;
}
