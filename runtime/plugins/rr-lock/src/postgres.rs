//! Driver `postgres`: each operation is one call of a function that the server runs alone for a resource, by its own clock
//! and with its own durability (`postgres.sql`).

use crate::Micros;
use crate::foreign::{Attempt, Attempted, Backend, Failure, Hub, Tls, Which};
use rr_pool::BoxFuture;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{AsyncMessage, Client, Config, Connection, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;

const SCHEMA: &str = include_str!("postgres.sql");
const CALL: &str = "SELECT yes, amount FROM rr_lock_1($1, $2, $3, $4, $5, $6, $7, $8)";
/// Thirty years in microseconds; PostgreSQL's dates end.
const MOST: Micros = 1_000_000_000_000_000;

/// The server.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `postgres://user:password@host:port/database?sslmode=require`, or `host=... user=...`.
    pub dsn: String,
    /// Stands before all names.
    pub prefix: String,
    /// How long connecting may take.
    pub connect: Duration,
    /// How long an answer may take.
    pub answer: Duration,
    /// For TLS, which `sslmode` in the dsn asks for.
    pub tls: Tls,
}

/// Locks in a PostgreSQL database.
#[derive(Debug, Clone)]
pub struct PostgresLocks(Arc<Shared>);

struct Shared {
    config: Config,
    tls: MakeRustlsConnect,
    server: String,
    prefix: String,
    connect: Duration,
    answer: Duration,
    client: Mutex<Option<Arc<Client>>>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Postgres").field(&self.server).finish()
    }
}

type Line = Connection<Socket, <MakeRustlsConnect as tokio_postgres::tls::MakeTlsConnect<Socket>>::Stream>;

impl PostgresLocks {
    /// Locks in this database.
    ///
    /// # Errors
    /// The text of what is wrong with the settings.
    pub fn new(settings: &Settings) -> Result<Self, String> {
        let mut config: Config = settings.dsn.parse().map_err(|error| format!("dsn: {error}"))?;
        config.connect_timeout(settings.connect);
        config.application_name("roadrunner");
        let server = server(&config);
        let tls = MakeRustlsConnect::new(tls(&settings.tls)?);
        let (connect, answer) = (settings.connect, settings.answer);
        let prefix = settings.prefix.clone();
        Ok(Self(Arc::new(Shared { config, tls, server, prefix, connect, answer, client: Mutex::default() })))
    }

    fn failed(&self, cause: impl std::fmt::Display, unknown: bool) -> Failure {
        Failure { text: format!("postgres: {}: {cause}", self.0.server), unknown }
    }

    fn error(&self, error: &tokio_postgres::Error, unknown: bool) -> Failure {
        match error.as_db_error() {
            // The server has rolled it back.
            Some(error) => self.failed(error, false),
            None => {
                let cause = std::error::Error::source(error).map(|cause| format!(": {cause}"));
                self.failed(format!("{error}{}", cause.unwrap_or_default()), unknown)
            }
        }
    }

    async fn line(&self) -> Result<(Client, Line), Failure> {
        let connecting = self.0.config.connect(self.0.tls.clone());
        match tokio::time::timeout(self.0.connect, connecting).await {
            Ok(result) => result.map_err(|error| self.error(&error, false)),
            Err(_) => Err(self.failed(format!("not connected within {:?}", self.0.connect), false)),
        }
    }

    /// The connection, and whether it was there before.
    async fn client(&self) -> Result<(Arc<Client>, bool), Failure> {
        let mut kept = self.0.client.lock().await;
        if let Some(client) = kept.as_ref().filter(|client| !client.is_closed()) {
            return Ok((Arc::clone(client), true));
        }
        let (client, line) = self.line().await?;
        tokio::spawn(line);
        let there = "SELECT to_regproc('rr_lock_1') IS NOT NULL";
        let there = client.query_one(there, &[]).await.map_err(|error| self.error(&error, false))?;
        if !there.try_get::<_, bool>(0).map_err(|error| self.error(&error, false))? {
            client.batch_execute(SCHEMA).await.map_err(|error| self.error(&error, false))?;
        }
        let millis = self.0.answer.as_millis();
        client
            .batch_execute(&format!("SET statement_timeout = {millis}"))
            .await
            .map_err(|error| self.error(&error, false))?;
        let client = Arc::new(client);
        *kept = Some(Arc::clone(&client));
        Ok((client, false))
    }

    async fn run(self, call: Call, again: bool) -> Result<(bool, i64), Failure> {
        let patience = self.0.connect.saturating_add(self.0.answer);
        match tokio::time::timeout(patience, self.attempts(&call, again)).await {
            Ok(result) => result,
            Err(_) => {
                if let Ok(mut client) = self.0.client.try_lock() {
                    *client = None;
                }
                Err(self.failed(format!("no answer within {patience:?}"), true))
            }
        }
    }

    async fn attempts(&self, call: &Call, again: bool) -> Result<(bool, i64), Failure> {
        loop {
            let (client, was_there) = self.client().await?;
            let error = match ask(&client, call).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            // The server may have been started anew since.
            if !(client.is_closed() && was_there && again) {
                return Err(self.error(&error, true));
            }
        }
    }

    fn call(&self, operation: &'static str, resource: &str, which: &Which) -> Call {
        let (mode, ticket, id) = match which {
            Which::Ticket(ticket) => ("ticket", &**ticket, ""),
            Which::Id(id) => ("id", "", &**id),
            Which::All => ("all", "", ""),
        };
        Call {
            operation,
            resource: format!("{}{resource}", self.0.prefix),
            mode,
            ticket: ticket.into(),
            id: id.into(),
            shared: false,
            ttl: 0,
            stay: 0,
        }
    }
}

/// The arguments of the function.
struct Call {
    operation: &'static str,
    resource: String,
    mode: &'static str,
    ticket: String,
    id: String,
    shared: bool,
    ttl: i64,
    stay: i64,
}

fn span(micros: Micros) -> i64 {
    i64::try_from(micros.min(MOST)).unwrap_or(i64::MAX)
}

async fn ask(client: &Client, call: &Call) -> Result<(bool, i64), tokio_postgres::Error> {
    let Call { operation, resource, mode, ticket, id, shared, ttl, stay } = call;
    let texts = [operation as &(dyn ToSql + Sync), resource, mode, ticket, id].map(|text| (text, Type::TEXT));
    let others: [(&(dyn ToSql + Sync), Type); 3] =
        [(shared, Type::BOOL), (ttl, Type::INT8), (stay, Type::INT8)];
    let arguments: Vec<_> = texts.into_iter().chain(others).collect();
    match client.query_typed(CALL, &arguments).await?.first() {
        Some(row) => Ok((row.try_get(0)?, row.try_get(1)?)),
        None => Ok((false, -1)),
    }
}

impl Backend for PostgresLocks {
    fn attempt(&self, attempt: &Attempt) -> BoxFuture<Result<Attempted, Failure>> {
        let call = Call {
            id: attempt.id.as_deref().unwrap_or_default().into(),
            shared: attempt.shared,
            ttl: span(attempt.ttl),
            stay: span(attempt.stay),
            ..self.call("attempt", &attempt.resource, &Which::Ticket(Arc::clone(&attempt.ticket)))
        };
        let this = self.clone();
        Box::pin(async move {
            let (granted, number) = this.run(call, true).await?;
            Ok(match (granted, u64::try_from(number)) {
                (true, Ok(token)) => Attempted::Granted(token),
                (_, number) => Attempted::Taken(number.ok()),
            })
        })
    }

    fn release(&self, resource: &Arc<str>, which: Which) -> BoxFuture<Result<bool, Failure>> {
        let run = self.clone().run(self.call("release", resource, &which), false);
        Box::pin(async move { Ok(run.await?.0) })
    }

    fn extend(&self, resource: &Arc<str>, which: Which, ttl: Micros) -> BoxFuture<Result<bool, Failure>> {
        let call = Call { ttl: span(ttl), ..self.call("extend", resource, &which) };
        let run = self.clone().run(call, true);
        Box::pin(async move { Ok(run.await?.0) })
    }

    fn remaining(&self, resource: &Arc<str>, which: Which) -> BoxFuture<Result<Option<Micros>, Failure>> {
        let run = self.clone().run(self.call("remaining", resource, &which), true);
        Box::pin(async move {
            let (held, left) = run.await?;
            Ok(held.then(|| Micros::try_from(left).unwrap_or(0)))
        })
    }

    fn listen(&self, hub: Arc<Hub>) -> BoxFuture<Failure> {
        let this = self.clone();
        Box::pin(async move {
            let (client, mut line) = match this.line().await {
                Ok(line) => line,
                Err(failure) => return failure,
            };
            let (hears, mut heard) = tokio::sync::mpsc::channel(1024);
            let reading = async move {
                loop {
                    match std::future::poll_fn(|context| line.poll_message(context)).await {
                        Some(Ok(AsyncMessage::Notification(message))) => {
                            if hears.send(message.payload().to_owned()).await.is_err() {
                                return None;
                            }
                        }
                        Some(Ok(_)) => {}
                        Some(Err(error)) => return Some(error),
                        None => return None,
                    }
                }
            };
            let waking = async {
                client.batch_execute("LISTEN rr_lock").await?;
                hub.wake_all();
                while let Some(ticket) = heard.recv().await {
                    hub.wake(&ticket);
                }
                Ok::<_, tokio_postgres::Error>(())
            };
            let error = tokio::select! {
                error = reading => error,
                result = waking => result.err(),
            };
            match error {
                Some(error) => this.error(&error, false),
                None => this.failed("the connection for notifications has ended", false),
            }
        })
    }
}

fn server(config: &Config) -> String {
    use tokio_postgres::config::Host;
    let hosts = config.get_hosts().iter().enumerate().map(|(index, host)| {
        let port = config.get_ports().get(index).or(config.get_ports().first()).copied().unwrap_or(5432);
        match host {
            Host::Tcp(host) => format!("{host}:{port}"),
            Host::Unix(path) => format!("{}:{port}", path.display()),
        }
    });
    hosts.collect::<Vec<_>>().join(", ")
}

fn tls(settings: &Tls) -> Result<ClientConfig, String> {
    // The first one stays, and any will do.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut roots = RootCertStore::empty();
    let bad = |key: &str, path: &Path, error: &dyn std::fmt::Display| {
        format!("tls.{key}: {}: {error}", path.display())
    };
    let certificates = |key: &str, path: &Path| {
        let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        read.map_err(|error| bad(key, path, &error))
    };
    match &settings.root_ca {
        Some(path) => {
            for certificate in certificates("root_ca", path)? {
                roots.add(certificate).map_err(|error| bad("root_ca", path, &error))?;
            }
        }
        // What the system has that cannot be read is not trusted.
        None => drop(roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs)),
    }
    let config = ClientConfig::builder().with_root_certificates(roots);
    let Some((cert, key)) = &settings.identity else { return Ok(config.with_no_client_auth()) };
    let secret = PrivateKeyDer::from_pem_file(key).map_err(|error| bad("key", key, &error))?;
    let chain = certificates("cert", cert)?;
    config.with_client_auth_cert(chain, secret).map_err(|error| bad("cert", cert, &error))
}
