//! Addresses and listening sockets (row CFG-16).

use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Why an address cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Not an address.
    #[error("{key}: \"{address}\" is no address; expected host:port, :port, tcp://host:port or unix://path")]
    Malformed {
        /// The key in the config.
        key: &'static str,
        /// The address as configured.
        address: String,
    },
    /// The system says no.
    #[error("{key}: cannot listen on {address}: {error}{hint}")]
    Listen {
        /// The key in the config.
        key: &'static str,
        /// The address as configured.
        address: String,
        /// What the system says.
        error: io::Error,
        /// What to do.
        hint: &'static str,
    },
}

impl BindError {
    fn listen(key: &'static str, address: &str, error: io::Error) -> Self {
        let hint = match error.kind() {
            io::ErrorKind::AddrInUse => " (another process listens there; stop it or choose another port)",
            io::ErrorKind::PermissionDenied => " (ports below 1024 need root or CAP_NET_BIND_SERVICE)",
            _ => "",
        };
        Self::Listen { key, address: address.to_owned(), error, hint }
    }
}

/// A listening socket.
#[derive(Debug)]
pub enum Listener {
    /// TCP.
    Tcp(std::net::TcpListener),
    /// A unix socket; its file goes with the listener.
    Unix(std::os::unix::net::UnixListener, Option<SocketFile>),
}

impl Listener {
    /// The port; `None` for a unix socket.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        match self {
            Self::Tcp(listener) => listener.local_addr().ok().map(|address| address.port()),
            Self::Unix(..) => None,
        }
    }
}

/// The file of a unix socket, removed in the end by the process that made it.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    owner: u32,
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if self.owner == std::process::id() {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

impl fmt::Display for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(listener) => match listener.local_addr() {
                Ok(address) => write!(f, "tcp://{address}"),
                Err(_) => f.write_str("tcp://?"),
            },
            Self::Unix(listener, _) => {
                let path =
                    listener.local_addr().ok().and_then(|address| address.as_pathname().map(Path::to_owned));
                write!(f, "unix://{}", path.unwrap_or_default().display())
            }
        }
    }
}

/// How to listen.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Another server may listen on the same address.
    pub reuse_port: bool,
    /// Connections that may wait to be accepted.
    pub backlog: u32,
    /// Permissions of a unix socket.
    pub socket_mode: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self { reuse_port: false, backlog: 1024, socket_mode: 0o660 }
    }
}

/// Listens on `address`, which the config has at `key`.
///
/// # Errors
/// The address is malformed or taken.
pub fn bind(key: &'static str, address: &str, config: &Options) -> Result<Listener, BindError> {
    let fail = |error| BindError::listen(key, address, error);
    if let Some(path) = address.strip_prefix("unix://") {
        return bind_unix(Path::new(path), config).map_err(fail);
    }
    let plain = address.strip_prefix("tcp://").or(address.strip_prefix("http://")).unwrap_or(address);
    let target = resolve(plain).ok_or_else(|| BindError::Malformed { key, address: address.to_owned() })?;
    bind_tcp(target, config).map(Listener::Tcp).map_err(fail)
}

/// Whether `address`, which the config has at `key`, is one that [`bind`] could try.
///
/// # Errors
/// It is malformed, or a name that nobody knows.
pub fn check(key: &'static str, address: &str) -> Result<(), BindError> {
    if address.starts_with("unix://") {
        return Ok(());
    }
    let plain = ["tcp://", "http://", "udp://"].iter().find_map(|scheme| address.strip_prefix(scheme));
    match resolve(plain.unwrap_or(address)) {
        Some(_) => Ok(()),
        None => Err(BindError::Malformed { key, address: address.to_owned() }),
    }
}

/// Takes datagrams on `address`, which the config has at `key`: `host:port`, `:port` or `udp://host:port`.
///
/// # Errors
/// The address is malformed or taken.
pub fn bind_udp(
    key: &'static str,
    address: &str,
    config: &Options,
) -> Result<std::net::UdpSocket, BindError> {
    let fail = |error| BindError::listen(key, address, error);
    let malformed = || BindError::Malformed { key, address: address.to_owned() };
    let target = resolve(address.strip_prefix("udp://").unwrap_or(address)).ok_or_else(malformed)?;
    let open = || {
        let domain = if target.is_ipv6() { Domain::IPV6 } else { Domain::IPV4 };
        let socket = Socket::new(domain, Type::DGRAM.nonblocking(), Some(Protocol::UDP))?;
        if config.reuse_port {
            socket.set_reuse_port(true)?;
        }
        socket.bind(&SockAddr::from(target))?;
        Ok(socket.into())
    };
    open().map_err(fail)
}

/// An empty host is IPv4 any; a name is resolved (RoadRunner listens everywhere then, CFG-16).
fn resolve(address: &str) -> Option<SocketAddr> {
    let (host, port) = address.rsplit_once(':')?;
    let port: u16 = port.parse().ok()?;
    if host.is_empty() {
        return Some(SocketAddr::from(([0, 0, 0, 0], port)));
    }
    address.to_socket_addrs().ok()?.next()
}

fn bind_tcp(address: SocketAddr, config: &Options) -> io::Result<std::net::TcpListener> {
    let domain = if address.is_ipv6() { Domain::IPV6 } else { Domain::IPV4 };
    let socket = Socket::new(domain, Type::STREAM.nonblocking(), Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if config.reuse_port {
        socket.set_reuse_port(true)?;
    }
    socket.bind(&SockAddr::from(address))?;
    socket.listen(i32::try_from(config.backlog).unwrap_or(1024))?;
    Ok(socket.into())
}

fn bind_unix(path: &Path, config: &Options) -> io::Result<Listener> {
    // A stale file is in the way of a bind; a living server behind it is not to be robbed.
    if std::fs::symlink_metadata(path).is_ok_and(|meta| meta.file_type().is_socket()) {
        if std::os::unix::net::UnixStream::connect(path).is_ok() {
            return Err(io::Error::from(io::ErrorKind::AddrInUse));
        }
        std::fs::remove_file(path)?;
    }
    let listener = std::os::unix::net::UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(config.socket_mode))?;
    listener.set_nonblocking(true)?;
    let file = SocketFile { path: path.to_owned(), owner: std::process::id() };
    Ok(Listener::Unix(listener, Some(file)))
}

/// Takes over a socket that a service manager has opened for what the config has at `key`.
///
/// # Errors
/// It is no socket.
pub fn adopt(key: &'static str, socket: OwnedFd) -> Result<Listener, BindError> {
    let fail = |error| BindError::listen(key, "the socket of the service manager", error);
    let socket = Socket::from(socket);
    socket.set_nonblocking(true).map_err(fail)?;
    if socket.domain().map_err(fail)? == Domain::UNIX {
        Ok(Listener::Unix(OwnedFd::from(socket).into(), None))
    } else {
        Ok(Listener::Tcp(socket.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cfg_16_addresses_are_understood() {
        assert_eq!(resolve(":8080"), Some(SocketAddr::from(([0, 0, 0, 0], 8080))));
        assert_eq!(resolve("127.0.0.1:80"), Some(SocketAddr::from(([127, 0, 0, 1], 80))));
        assert!(resolve("[::1]:80").is_some_and(|address| address.is_ipv6()));
        assert!(resolve("8080").is_none() && resolve("127.0.0.1:http").is_none());
    }

    #[test]
    fn a_taken_port_is_an_error_that_says_so() {
        let first = bind("http.address", "127.0.0.1:0", &Options::default()).expect("binds");
        let address = first.to_string().replace("tcp://", "");
        let error = bind("http.address", &address, &Options::default()).expect_err("taken").to_string();
        assert!(error.contains(&address) && error.contains("another process listens there"), "{error}");
        let error = bind("http.address", "nonsense", &Options::default()).expect_err("malformed").to_string();
        assert!(error.contains("\"nonsense\" is no address"), "{error}");
    }

    #[test]
    fn a_stale_socket_file_is_replaced_and_removed_in_the_end() {
        let path = std::env::temp_dir().join(format!("rr-net-test-{}.sock", std::process::id()));
        let address = format!("unix://{}", path.display());
        drop(std::os::unix::net::UnixListener::bind(&path).expect("stale"));
        let listener = bind("http.address", &address, &Options::default()).expect("binds over a stale file");
        assert!(bind("http.address", &address, &Options::default()).is_err(), "a living one is kept");
        drop(listener);
        assert!(!path.exists());
    }
}
