//! Settings made into clients of the three kinds.

use crate::{Settings, Tls};
use redis::aio::PubSub;
use redis::cluster::{ClusterClient, ClusterClientBuilder};
use redis::cluster_read_routing::RandomReplicaStrategy;
use redis::sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType};
use redis::{
    AsyncConnectionConfig, Client, ClientTlsConfig, ConnectionAddr, ConnectionInfo, IntoConnectionInfo,
    RedisError, TlsCertificates, TlsMode,
};
use std::path::Path;
use tokio::sync::Mutex;

/// Whom to connect to.
pub(crate) enum Target {
    One(Client, AsyncConnectionConfig),
    Master(Mutex<SentinelClient>, AsyncConnectionConfig),
    Cluster { repeats: Box<ClusterClient>, once: Box<ClusterClient>, nodes: Vec<Client> },
}

impl Target {
    /// # Errors
    /// The text of what is wrong with the settings.
    pub(crate) fn new(settings: &Settings) -> Result<Self, String> {
        let certificates = settings.tls.as_ref().map(certificates).transpose()?;
        if certificates.is_some() {
            // The first one stays, and any will do.
            let _ = rustls::crypto::ring::default_provider().install_default();
        }
        let tls = certificates.is_some();
        let mut nodes = Vec::new();
        for address in &settings.addresses {
            nodes.push(info(address, tls).map_err(|error| format!("{address:?} is no address: {error}"))?);
        }
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(settings.connect))
            .set_response_timeout(Some(settings.answer));
        let several = settings.master.is_some() || nodes.len() > 1;
        if several && nodes.iter().any(|node| matches!(node.addr(), ConnectionAddr::Unix(_))) {
            return Err("sentinels and clusters are reached over host:port only".into());
        }
        let made = match (&settings.master, nodes.as_slice()) {
            (Some(master), _) => master_of(settings, master, nodes, certificates)
                .map(|client| Self::Master(Mutex::new(client), config)),
            (None, [node]) => client(login(node.clone(), settings), certificates.as_ref())
                .map(|client| Self::One(client, config)),
            (None, _) => cluster(settings, nodes, certificates),
        };
        made.map_err(|error| error.to_string())
    }

    /// Messages reach every server of a cluster.
    pub(crate) async fn listen_to_any(&self) -> Result<PubSub, RedisError> {
        let Self::Cluster { nodes, .. } = self else { return Err(no_server()) };
        let mut last = no_server();
        for node in nodes {
            match node.get_async_pubsub().await {
                Ok(listening) => return Ok(listening),
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}

fn no_server() -> RedisError {
    RedisError::from(std::io::Error::other("there is no server"))
}

/// An address without a user.
fn info(address: &str, tls: bool) -> Result<ConnectionInfo, RedisError> {
    let scheme = if tls { "rediss" } else { "redis" };
    let url = match address.contains("://") {
        true => address.to_owned(),
        false => format!("{scheme}://{address}"),
    };
    let info = url.as_str().into_connection_info()?;
    match (info.addr(), tls) {
        (ConnectionAddr::Tcp(host, port), true) => {
            let (host, port) = (host.clone(), *port);
            Ok(info.set_addr(ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None }))
        }
        (ConnectionAddr::Unix(_), true) => {
            Err(RedisError::from(std::io::Error::other("there is no TLS over a unix socket")))
        }
        _ => Ok(info),
    }
}

/// With the user and the database.
fn login(info: ConnectionInfo, settings: &Settings) -> ConnectionInfo {
    let mut login = info.redis_settings().clone().set_db(i64::from(settings.db));
    if let Some(username) = &settings.username {
        login = login.set_username(username);
    }
    if let Some(password) = &settings.password {
        login = login.set_password(password);
    }
    info.set_redis_settings(login)
}

fn client(info: ConnectionInfo, certificates: Option<&TlsCertificates>) -> Result<Client, RedisError> {
    match certificates {
        Some(certificates) => Client::build_with_tls(info, certificates.clone()),
        None => Client::open(info),
    }
}

fn master_of(
    settings: &Settings,
    master: &str,
    sentinels: Vec<ConnectionInfo>,
    certificates: Option<TlsCertificates>,
) -> Result<SentinelClient, RedisError> {
    let sentinels = sentinels.into_iter().map(|info| info.addr().clone());
    let mut builder = SentinelClientBuilder::new(sentinels, master, SentinelServerType::Master)?
        .set_client_to_redis_db(i64::from(settings.db));
    if let Some(username) = &settings.username {
        builder = builder.set_client_to_redis_username(username);
    }
    if let Some(password) = &settings.password {
        builder = builder.set_client_to_redis_password(password);
    }
    if let Some(password) = &settings.sentinel_password {
        builder = builder.set_client_to_sentinel_password(password);
    }
    if let Some(certificates) = certificates {
        builder = builder
            .set_client_to_redis_tls_mode(TlsMode::Secure)
            .set_client_to_redis_certificates(certificates.clone())
            .set_client_to_sentinel_certificates(certificates);
    }
    builder.build()
}

fn cluster(
    settings: &Settings,
    nodes: Vec<ConnectionInfo>,
    certificates: Option<TlsCertificates>,
) -> Result<Target, RedisError> {
    let millis = |time: std::time::Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let build = |retries| {
        let mut builder = ClusterClientBuilder::new(nodes.clone())
            .connection_timeout(settings.connect)
            .response_timeout(settings.answer)
            .overall_response_timeout(Some(settings.connect.saturating_add(settings.answer)))
            .retries(retries)
            .min_retry_wait(millis(settings.backoff.0))
            .max_retry_wait(millis(settings.backoff.1));
        if settings.db != 0 {
            builder = builder.database_id(i64::from(settings.db));
        }
        if let Some(username) = &settings.username {
            builder = builder.username(username);
        }
        if let Some(password) = &settings.password {
            builder = builder.password(password);
        }
        if let Some(certificates) = &certificates {
            builder = builder.tls(TlsMode::Secure).certs(certificates.clone());
        }
        if settings.replicas {
            builder = builder.read_routing_strategy(RandomReplicaStrategy);
        }
        builder.build().map(Box::new)
    };
    let (repeats, once) = (build(settings.retries)?, build(0)?);
    let each = nodes.iter().map(|node| client(login(node.clone(), settings), certificates.as_ref()));
    Ok(Target::Cluster { repeats, once, nodes: each.collect::<Result<_, _>>()? })
}

fn certificates(tls: &Tls) -> Result<TlsCertificates, String> {
    let read = |key: &str, path: &Path| {
        std::fs::read(path).map_err(|error| format!("tls.{key}: {}: {error}", path.display()))
    };
    let client_tls = match (&tls.cert, &tls.key) {
        (Some(cert), Some(key)) => {
            Some(ClientTlsConfig { client_cert: read("cert", cert)?, client_key: read("key", key)? })
        }
        (None, None) => None,
        (Some(_), None) => return Err("tls.cert needs tls.key".into()),
        (None, Some(_)) => return Err("tls.key needs tls.cert".into()),
    };
    let root_cert = tls.root_ca.as_deref().map(|path| read("root_ca", path)).transpose()?;
    Ok(TlsCertificates { client_tls, root_cert })
}
