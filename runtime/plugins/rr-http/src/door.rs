//! The servers of the plugin, each bound to its addresses (HS-01).

use crate::HttpError;
use http::HeaderValue;
use rr_config::{Http, Ssl, TlsVersion};
use rr_net::{Listener, Options};
use rr_tls::{ACME_ALPN, Certificates, Challenges, ClientAuth, Clients, Pair, Versions, Watched};
use rustls::ServerConfig;
use std::fmt;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;

/// What is spoken behind a listener.
pub(crate) enum Speaks {
    /// HTTP/1, and HTTP/2 with clients that begin with it if `h2c`.
    Plain { h2c: bool },
    /// HTTP/1 and 2 over TLS.
    Tls(TlsAcceptor),
    /// HTTP/3.
    #[cfg(feature = "http3")]
    Http3,
    /// FastCGI.
    FastCgi,
}

impl fmt::Debug for Speaks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain { .. } => "Plain",
            Self::Tls(_) => "Tls",
            #[cfg(feature = "http3")]
            Self::Http3 => "Http3",
            Self::FastCgi => "FastCgi",
        })
    }
}

/// What all connections of a listener have in common.
#[derive(Debug)]
pub(crate) struct Door {
    pub(crate) speaks: Speaks,
    /// The port of HTTPS to which clients are sent.
    pub(crate) redirect: Option<u16>,
    /// Where HTTP/3 is, as a header.
    pub(crate) alternative: Option<HeaderValue>,
}

impl Door {
    /// Clients come over TLS.
    pub(crate) fn is_secure(&self) -> bool {
        match self.speaks {
            Speaks::Tls(_) => true,
            #[cfg(feature = "http3")]
            Speaks::Http3 => true,
            Speaks::Plain { .. } | Speaks::FastCgi => false,
        }
    }
}

/// All doors of the plugin, before there is a runtime.
#[derive(Debug)]
pub(crate) struct Doors {
    pub(crate) listeners: Vec<(Listener, Arc<Door>)>,
    #[cfg(feature = "http3")]
    pub(crate) http3: Option<crate::http3::Socket>,
    /// Files of certificates.
    pub(crate) watched: Vec<Watched>,
    #[cfg(feature = "acme")]
    pub(crate) orders: Option<rr_tls::acme::Orders>,
}

impl Doors {
    /// Binds everything that `config` has an address for. `inherited` takes the place of `http.address`.
    pub(crate) fn bind(config: &Http, inherited: Vec<OwnedFd>) -> Result<Self, HttpError> {
        let options = Options {
            reuse_port: config.reuse_port,
            backlog: config.backlog,
            socket_mode: config.socket_mode,
        };
        let bind = |key, addresses: &[String]| -> Result<Vec<Listener>, HttpError> {
            let bound = addresses.iter().map(|address| rr_net::bind(key, address, &options));
            Ok(bound.collect::<Result<_, _>>()?)
        };
        let mut watched = Vec::new();
        let mut secure = None;
        #[cfg(feature = "acme")]
        let mut orders = None;
        if let Some(ssl) = &config.ssl {
            let certificates = match (&ssl.acme, &ssl.key, &ssl.cert) {
                (Some(acme), ..) => {
                    #[cfg(feature = "acme")]
                    {
                        let made = rr_tls::acme::Orders::new(&settings(acme))?;
                        let certificates = made.certificates();
                        orders = Some(made);
                        certificates
                    }
                    #[cfg(not(feature = "acme"))]
                    {
                        let _ = acme;
                        let text = "this build has no ACME; build it with feature acme";
                        return Err(rr_tls::TlsError::new("http.ssl.acme", text).into());
                    }
                }
                (None, Some(key), Some(cert)) => files("http.ssl", key, cert, &mut watched)?,
                // The config has seen to it.
                (None, ..) => Arc::default(),
            };
            secure = Some((certificates, ssl));
        }
        #[cfg(feature = "http3")]
        let http3 = match &config.http3 {
            None => None,
            Some(http3) => {
                let certificates = match (&http3.key, &http3.cert, &secure) {
                    (Some(key), Some(cert), _) => files("http.http3", key, cert, &mut watched)?,
                    (_, _, Some((certificates, _))) => Arc::clone(certificates),
                    _ => Arc::default(),
                };
                Some(crate::http3::Socket::bind(config, &http3.address, certificates)?)
            }
        };
        #[cfg(not(feature = "http3"))]
        if config.http3.is_some() {
            let text = "this build has no HTTP/3; build it with feature http3";
            return Err(rr_tls::TlsError::new("http.http3", text).into());
        }
        let (mut listeners, mut redirect) = (Vec::new(), None);
        if let Some((certificates, ssl)) = secure {
            let acceptor = TlsAcceptor::from(Arc::new(tls(certificates, ssl)?));
            #[cfg(feature = "http3")]
            let alternative = http3.as_ref().map(crate::http3::Socket::place);
            #[cfg(not(feature = "http3"))]
            let alternative = None;
            let bound = bind("http.ssl.address", &ssl.address)?;
            let port = bound.iter().find_map(Listener::port).unwrap_or(443);
            redirect = ssl.redirect.then_some(port);
            let door = Arc::new(Door { speaks: Speaks::Tls(acceptor), redirect: None, alternative });
            listeners.extend(bound.into_iter().map(|listener| (listener, Arc::clone(&door))));
        }
        let bound = if inherited.is_empty() {
            bind("http.address", &config.address)?
        } else {
            let adopted = inherited.into_iter().map(|socket| rr_net::adopt("http.address", socket));
            adopted.collect::<Result<_, _>>()?
        };
        let speaks = Speaks::Plain { h2c: config.http2.h2c };
        let door = Arc::new(Door { speaks, redirect, alternative: None });
        // In front: the banner begins with them.
        listeners.splice(0..0, bound.into_iter().map(|listener| (listener, Arc::clone(&door))));
        #[cfg(feature = "acme")]
        if let Some(orders) = &mut orders {
            // A port that is ours already answers by itself.
            let ours = |port: u16| listeners.iter().any(|(listener, _)| listener.port() == Some(port));
            orders.set_open(!ours(orders.port()));
        }
        if let Some(fcgi) = &config.fcgi {
            let door = Arc::new(Door { speaks: Speaks::FastCgi, redirect: None, alternative: None });
            let bound = bind("http.fcgi.address", &fcgi.address)?;
            listeners.extend(bound.into_iter().map(|listener| (listener, Arc::clone(&door))));
        }
        Ok(Self {
            listeners,
            #[cfg(feature = "http3")]
            http3,
            watched,
            #[cfg(feature = "acme")]
            orders,
        })
    }

    /// What authorities that verify a domain are answered.
    pub(crate) fn challenges(&self) -> Option<Arc<Challenges>> {
        #[cfg(feature = "acme")]
        return self.orders.as_ref().map(rr_tls::acme::Orders::challenges);
        #[cfg(not(feature = "acme"))]
        None
    }

    /// Where clients may come, for the banner.
    pub(crate) fn shown(&self) -> Vec<String> {
        let listeners = self.listeners.iter().map(|(listener, door)| {
            let scheme = match door.speaks {
                Speaks::Plain { .. } => "http",
                Speaks::Tls(_) => "https",
                #[cfg(feature = "http3")]
                Speaks::Http3 => "https",
                Speaks::FastCgi => "fcgi",
            };
            let shown = listener.to_string();
            match shown.strip_prefix("tcp://") {
                Some(place) => format!("{scheme}://{place}"),
                None if scheme == "http" => shown,
                None => format!("{shown} ({scheme})"),
            }
        });
        #[cfg(feature = "http3")]
        let listeners = listeners.chain(self.http3.iter().map(ToString::to_string));
        listeners.collect()
    }
}

/// What is wrong with the addresses and certificates of the config.
pub(crate) fn problems(config: &Http) -> Vec<String> {
    let mut places: Vec<(&'static str, &String)> =
        config.address.iter().map(|address| ("http.address", address)).collect();
    let mut pairs = Vec::new();
    let mut problems = Vec::new();
    if let Some(ssl) = &config.ssl {
        places.extend(ssl.address.iter().map(|address| ("http.ssl.address", address)));
        if ssl.acme.is_none() {
            pairs.push(("http.ssl", &ssl.key, &ssl.cert));
        }
        problems.extend(clients(ssl).check().err().map(|error| error.to_string()));
    }
    if let Some(http3) = &config.http3 {
        places.push(("http.http3.address", &http3.address));
        pairs.push(("http.http3", &http3.key, &http3.cert));
    }
    if let Some(fcgi) = &config.fcgi {
        places.extend(fcgi.address.iter().map(|address| ("http.fcgi.address", address)));
    }
    for (section, key, cert) in pairs {
        if let (Some(key), Some(cert)) = (key, cert) {
            let pair = Pair { section, key: PathBuf::from(key), cert: PathBuf::from(cert) };
            problems.extend(pair.read().err().map(|error| error.to_string()));
        }
    }
    let wrong = places.into_iter().filter_map(|(key, address)| rr_net::check(key, address).err());
    problems.extend(wrong.map(|error| error.to_string()));
    problems
}

fn files(
    section: &'static str,
    key: &str,
    cert: &str,
    watched: &mut Vec<Watched>,
) -> Result<Arc<Certificates>, HttpError> {
    let pair = Pair { section, key: PathBuf::from(key), cert: PathBuf::from(cert) };
    let (certificates, files) = Watched::read(pair)?;
    watched.push(files);
    Ok(certificates)
}

fn tls(certificates: Arc<Certificates>, ssl: &Ssl) -> Result<ServerConfig, HttpError> {
    let versions = match ssl.min_version {
        TlsVersion::Tls12 => Versions::Both,
        TlsVersion::Tls13 => Versions::Tls13,
    };
    let mut protocols = vec![&b"h2"[..], b"http/1.1", b"http/1.0"];
    if ssl.acme.is_some() {
        protocols.push(ACME_ALPN);
    }
    Ok(rr_tls::server(certificates, &clients(ssl), versions, &protocols)?)
}

pub(crate) fn clients(ssl: &Ssl) -> Clients {
    let auth = match ssl.client_auth_type {
        rr_config::ClientAuth::None => ClientAuth::None,
        rr_config::ClientAuth::Request => ClientAuth::Request,
        rr_config::ClientAuth::RequireAny => ClientAuth::RequireAny,
        rr_config::ClientAuth::VerifyIfGiven => ClientAuth::VerifyIfGiven,
        rr_config::ClientAuth::RequireAndVerify => ClientAuth::RequireAndVerify,
    };
    Clients { auth, authorities: ssl.root_ca.as_ref().map(PathBuf::from) }
}

#[cfg(feature = "acme")]
fn settings(acme: &rr_config::Acme) -> rr_tls::acme::Settings {
    use rr_config::Challenge;
    rr_tls::acme::Settings {
        folder: PathBuf::from(&acme.cache_dir),
        email: acme.email.clone(),
        domains: acme.domains.clone(),
        kind: match acme.challenge_type {
            Challenge::Http01 => rr_tls::acme::Kind::Http01,
            Challenge::TlsAlpn01 => rr_tls::acme::Kind::TlsAlpn01,
        },
        port: match acme.challenge_type {
            Challenge::Http01 => acme.alt_http_port,
            Challenge::TlsAlpn01 => acme.alt_tlsalpn_port,
        },
        production: acme.use_production_endpoint,
        directory: acme.directory.clone(),
        directory_ca: acme.directory_ca.as_ref().map(PathBuf::from),
    }
}
