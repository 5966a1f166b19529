//! Calls of an etcd server.

use super::message::{LeaseGrantRequest, LeaseGrantResponse, LeaseRequest, LeaseResponse, Nothing};
use crate::foreign::{Failure, Tls};
use futures_util::stream;
use http::uri::PathAndQuery;
use prost::Message;
use std::path::PathBuf;
use std::time::Duration;
use tonic::client::Grpc;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Code, Request, Status, Streaming};
use tonic_prost::ProstCodec;

/// The servers.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `host:port` of some members.
    pub endpoints: Vec<String>,
    /// Stands before all keys.
    pub prefix: String,
    /// How long connecting may take.
    pub connect: Duration,
    /// How long an answer may take.
    pub answer: Duration,
    /// With TLS.
    pub tls: Option<Tls>,
}

#[derive(Debug, Clone)]
pub(super) struct Client {
    channel: Channel,
    servers: String,
    patience: Duration,
}

impl Client {
    /// Must be called on a Tokio runtime.
    pub(super) fn new(endpoints: Vec<Endpoint>, settings: &Settings) -> Self {
        let channel = match <[Endpoint; 1]>::try_from(endpoints) {
            Ok([endpoint]) => endpoint.connect_lazy(),
            Err(endpoints) => Channel::balance_list(endpoints.into_iter()),
        };
        let patience = settings.connect.saturating_add(settings.answer);
        Self { channel, servers: settings.endpoints.join(", "), patience }
    }

    pub(super) fn failed(&self, cause: impl std::fmt::Display, unknown: bool) -> Failure {
        Failure { text: format!("etcd: {}: {cause}", self.servers), unknown }
    }

    fn status(&self, status: &Status) -> Failure {
        let unknown = matches!(
            status.code(),
            Code::Unavailable | Code::Unknown | Code::DeadlineExceeded | Code::Cancelled | Code::Internal
        );
        let cause = std::error::Error::source(status).map(|cause| {
            let deepest = std::iter::successors(Some(cause), |cause| cause.source()).last();
            format!(": {}", deepest.unwrap_or(cause))
        });
        self.failed(format!("{}{}", status.message(), cause.unwrap_or_default()), unknown)
    }

    async fn within<T>(&self, call: impl Future<Output = Result<T, Status>>) -> Result<T, Failure> {
        match tokio::time::timeout(self.patience, call).await {
            Ok(result) => result.map_err(|status| self.status(&status)),
            Err(_) => Err(self.failed(format!("no answer within {:?}", self.patience), true)),
        }
    }

    async fn ready(&self) -> Result<Grpc<Channel>, Status> {
        let mut grpc = Grpc::new(self.channel.clone());
        grpc.ready().await.map_err(|error| Status::from_error(Box::new(error)))?;
        Ok(grpc)
    }

    pub(super) async fn call<A, R>(&self, path: &'static str, argument: A) -> Result<R, Failure>
    where
        A: Message + Send + Sync + 'static,
        R: Message + Default + Send + Sync + 'static,
    {
        self.within(async {
            let mut grpc = self.ready().await?;
            let path = PathAndQuery::from_static(path);
            Ok(grpc.unary(Request::new(argument), path, ProstCodec::default()).await?.into_inner())
        })
        .await
    }

    /// A call with one argument and many answers.
    pub(super) async fn stream<A, R>(&self, path: &'static str, argument: A) -> Result<Streaming<R>, Failure>
    where
        A: Message + Send + Sync + 'static,
        R: Message + Default + Send + Sync + 'static,
    {
        self.within(async {
            let mut grpc = self.ready().await?;
            // An end of the arguments is the end of the answers to etcd.
            let arguments =
                futures_util::StreamExt::chain(stream::once(std::future::ready(argument)), stream::pending());
            let path = PathAndQuery::from_static(path);
            Ok(grpc.streaming(Request::new(arguments), path, ProstCodec::default()).await?.into_inner())
        })
        .await
    }

    pub(super) async fn grant(&self, seconds: i64) -> Result<i64, Failure> {
        let argument = LeaseGrantRequest { ttl: seconds };
        let lease: LeaseGrantResponse = self.call("/etcdserverpb.Lease/LeaseGrant", argument).await?;
        if lease.id == 0 {
            return Err(self.failed(format!("no lease: {}", lease.error), false));
        }
        Ok(lease.id)
    }

    /// Ends a lease, and the keys on it. It ends by itself if that fails.
    pub(super) async fn revoke(&self, id: i64) {
        if id != 0 {
            let revoked =
                self.call::<_, Nothing>("/etcdserverpb.Lease/LeaseRevoke", LeaseRequest { id }).await;
            if let Err(failure) = revoked {
                tracing::debug!(target: "lock", "a lease is left to end by itself: {failure}");
            }
        }
    }

    /// How much is left of a lease.
    pub(super) async fn left(&self, id: i64) -> Result<LeaseResponse, Failure> {
        self.call("/etcdserverpb.Lease/LeaseTimeToLive", LeaseRequest { id }).await
    }

    /// Has a lease begin anew. `false`: it is gone.
    pub(super) async fn keep_alive(&self, id: i64) -> Result<bool, Failure> {
        let mut answers: Streaming<LeaseResponse> =
            self.stream("/etcdserverpb.Lease/LeaseKeepAlive", LeaseRequest { id }).await?;
        let answer = self.within(answers.message()).await?;
        Ok(answer.is_some_and(|answer| answer.ttl > 0))
    }
}

/// The servers' addresses.
///
/// # Errors
/// The text of what is wrong with the settings.
pub(super) fn endpoints(settings: &Settings) -> Result<Vec<Endpoint>, String> {
    let tls = settings.tls.as_ref().map(|Tls { root_ca, identity }| {
        let read = |key: &str, path: &PathBuf| {
            std::fs::read(path).map_err(|error| format!("tls.{key}: {}: {error}", path.display()))
        };
        let mut tls = match root_ca {
            Some(path) => {
                ClientTlsConfig::new().ca_certificate(Certificate::from_pem(read("root_ca", path)?))
            }
            None => ClientTlsConfig::new().with_native_roots(),
        };
        if let Some((cert, key)) = identity {
            tls = tls.identity(Identity::from_pem(read("cert", cert)?, read("key", key)?));
        }
        Ok::<_, String>(tls)
    });
    let tls = tls.transpose()?;
    if tls.is_some() {
        // The first one stays, and any will do.
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
    let endpoint = |address: &String| {
        let scheme = if tls.is_some() { "https" } else { "http" };
        let url = if address.contains("://") { address.clone() } else { format!("{scheme}://{address}") };
        let bad = |error: tonic::transport::Error| {
            let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}"));
            format!("{address:?} cannot be used: {error}{}", cause.unwrap_or_default())
        };
        let endpoint = Endpoint::from_shared(url).map_err(bad)?.connect_timeout(settings.connect);
        match &tls {
            Some(tls) => endpoint.tls_config(tls.clone()).map_err(bad),
            None => Ok(endpoint),
        }
    };
    settings.endpoints.iter().map(endpoint).collect()
}
