//! Calls of an etcd server.

use super::message::{LeaseGrantRequest, LeaseGrantResponse, LeaseRequest, LeaseResponse, Nothing};
use crate::foreign::{Failure, Tls};
use futures_util::stream;
use http::uri::PathAndQuery;
use prost::Message;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tonic::client::Grpc;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Code, ConnectError, Request, Status, Streaming};
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
    /// Times that a call is sent while nobody has got it: whom a call goes to is a matter of chance.
    tries: usize,
}

/// Between two of them.
const PAUSE: Duration = Duration::from_millis(10);

/// Nobody has got the call: there was no connection.
fn is_unsent(status: &Status) -> bool {
    let causes = std::iter::successors(std::error::Error::source(status), |cause| cause.source());
    causes.into_iter().any(|cause| cause.is::<ConnectError>())
}

impl Client {
    /// Must be called on a Tokio runtime.
    pub(super) fn new(endpoints: Vec<Endpoint>, settings: &Settings) -> Self {
        let tries = if endpoints.len() == 1 { 1 } else { 4 * endpoints.len() };
        let channel = match <[Endpoint; 1]>::try_from(endpoints) {
            Ok([endpoint]) => endpoint.connect_lazy(),
            Err(endpoints) => Channel::balance_list(endpoints.into_iter()),
        };
        let patience = settings.connect.saturating_add(settings.answer);
        Self { channel, servers: settings.endpoints.join(", "), patience, tries }
    }

    /// Until when others are asked what one member has not said.
    pub(super) fn deadline(&self) -> Instant {
        Instant::now() + self.patience
    }

    /// Whether another member may say what became of a call that has failed. An election loses calls.
    pub(super) fn others_may_know(&self, failure: &Failure, deadline: Instant) -> bool {
        let asked = self.tries > 1 && failure.unknown && Instant::now() < deadline;
        if asked {
            tracing::debug!(target: "lock", "asking another member: {failure}");
        }
        asked
    }

    pub(super) fn failed(&self, cause: impl std::fmt::Display, unknown: bool) -> Failure {
        Failure { text: format!("etcd: {}: {cause}", self.servers), unknown }
    }

    fn status(&self, status: &Status) -> Failure {
        let unclear =
            [Code::Unavailable, Code::Unknown, Code::DeadlineExceeded, Code::Cancelled, Code::Internal];
        let unknown = unclear.contains(&status.code()) && !is_unsent(status);
        let cause = std::error::Error::source(status).map(|cause| {
            let deepest = std::iter::successors(Some(cause), |cause| cause.source()).last();
            format!(": {}", deepest.unwrap_or(cause))
        });
        self.failed(format!("{}{}", status.message(), cause.unwrap_or_default()), unknown)
    }

    async fn within<T>(&self, call: impl Future<Output = Result<T, Status>>) -> Result<T, Failure> {
        // Where others can be asked they are, while there is time.
        let patience = if self.tries > 1 { self.patience / 4 } else { self.patience };
        match tokio::time::timeout(patience, call).await {
            Ok(result) => result.map_err(|status| self.status(&status)),
            Err(_) => Err(self.failed(format!("no answer within {patience:?}"), true)),
        }
    }

    /// Makes a call, again while nobody has got it.
    async fn sent<T, F>(&self, call: impl Fn(Grpc<Channel>) -> F + Send + Sync) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, Status>> + Send,
    {
        self.within(async {
            let mut left = self.tries;
            loop {
                let mut grpc = Grpc::new(self.channel.clone());
                grpc.ready().await.map_err(|error| Status::from_error(Box::new(error)))?;
                left -= 1;
                match call(grpc).await {
                    // SLEEP: the member next in line may be the same one.
                    Err(status) if left > 0 && is_unsent(&status) => tokio::time::sleep(PAUSE).await,
                    result => return result,
                }
            }
        })
        .await
    }

    pub(super) async fn call<A, R>(&self, path: &'static str, argument: A) -> Result<R, Failure>
    where
        A: Message + Clone + Send + Sync + 'static,
        R: Message + Default + Send + Sync + 'static,
    {
        self.sent(|mut grpc| {
            let request = Request::new(argument.clone());
            async move {
                let path = PathAndQuery::from_static(path);
                Ok(grpc.unary(request, path, ProstCodec::default()).await?.into_inner())
            }
        })
        .await
    }

    /// A call with one argument and many answers.
    pub(super) async fn stream<A, R>(&self, path: &'static str, argument: A) -> Result<Streaming<R>, Failure>
    where
        A: Message + Clone + Send + Sync + 'static,
        R: Message + Default + Send + Sync + 'static,
    {
        self.sent(|mut grpc| {
            // An end of the arguments is the end of the answers to etcd.
            let only = stream::once(std::future::ready(argument.clone()));
            let arguments = Request::new(futures_util::StreamExt::chain(only, stream::pending()));
            async move {
                let path = PathAndQuery::from_static(path);
                Ok(grpc.streaming(arguments, path, ProstCodec::default()).await?.into_inner())
            }
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
