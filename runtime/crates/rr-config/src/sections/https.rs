//! `http.ssl`, `http.http2`, `http.http3` and `http.fcgi`: the servers beside the one of `http.address` (HS-01).

use crate::decode::{Decoder, section};
use crate::kinds::{Checked, Choice, Flag, Maybe, Names, Number, Text};
use crate::node::{Map, Node};
use crate::sections::http::Http;

/// What is asked of clients of a TLS server (HS-13).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientAuth {
    /// Nothing.
    None,
    /// A certificate, which need not be there and is not verified.
    Request,
    /// A certificate, which is not verified.
    RequireAny,
    /// A certificate is verified if there is one.
    VerifyIfGiven,
    /// A certificate that `root_ca` has signed.
    RequireAndVerify,
}

const CLIENT_AUTH: Choice<ClientAuth> = Choice(
    &[
        ("no_client_cert", ClientAuth::None),
        ("request_client_cert", ClientAuth::Request),
        ("require_any_client_cert", ClientAuth::RequireAny),
        ("verify_client_cert_if_given", ClientAuth::VerifyIfGiven),
        ("require_and_verify_client_cert", ClientAuth::RequireAndVerify),
    ],
    &[("no_client_certs", ClientAuth::None)],
);

/// The oldest TLS that is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsVersion {
    /// TLS 1.2.
    Tls12,
    /// TLS 1.3.
    Tls13,
}

const VERSIONS: Choice<TlsVersion> = Choice(&[("1.2", TlsVersion::Tls12), ("1.3", TlsVersion::Tls13)], &[]);

section! {
    /// The HTTPS server. It is there with `key` and `cert`, or with `acme`.
    Ssl {
        /// Where to listen, as `http.address`.
        address: Vec<String> = vec!["127.0.0.1:443".into()] => Names;
        /// File with the private key, PEM. A file that changes is read anew within ten seconds.
        key: Option<String> = None => Text;
        /// File with the certificate and those that lead to its root, PEM.
        cert: Option<String> = None => Text;
        /// File with the authorities whose clients are let in, PEM; see `client_auth_type`.
        root_ca: Option<String> = None => Text;
        /// What is asked of clients, where there is a `root_ca`.
        client_auth_type: ClientAuth = ClientAuth::None => CLIENT_AUTH;
        /// Sends clients of `http.address` to this server.
        redirect: bool = false => Flag;
        /// Ours: the oldest TLS that is spoken.
        min_version: TlsVersion = TlsVersion::Tls12 => VERSIONS;
        /// Certificates from an authority that speaks ACME, in place of `key` and `cert`.
        acme: Option<Acme> = None => Maybe;
    }
}

/// How an authority sees that a domain is ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Challenge {
    /// A file on port 80.
    Http01,
    /// A certificate on port 443.
    TlsAlpn01,
}

const CHALLENGES: Choice<Challenge> = Choice(
    &[("http-01", Challenge::Http01), ("tlsalpn-01", Challenge::TlsAlpn01)],
    &[("tls-alpn-01", Challenge::TlsAlpn01)],
);

#[expect(clippy::ptr_arg, reason = "`Checked` passes what the key holds")]
fn are_hosts(names: &Vec<String>) -> bool {
    names.iter().all(|name| {
        let fits = |label: &str| {
            let bytes = label.as_bytes();
            (1..=63).contains(&bytes.len())
                && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        };
        name.len() <= 253 && name.split('.').all(fits)
    })
}

section! {
    /// Certificates from an authority that speaks ACME (RFC 8555).
    Acme {
        /// Folder for certificates and keys. What RoadRunner has left there is used.
        cache_dir: String = "rr_cache_dir".into() => Text;
        /// Where the authority writes to; it cannot be left out.
        email: String = String::new() => Text;
        /// The domains, each of which gets a certificate. Names with `*` would need a challenge by DNS, which is not
        /// served.
        domains: Vec<String> = Vec::new() => Checked(Names, are_hosts, "a list of domain names without `*`");
        /// How the authority sees that the domains are ours.
        challenge_type: Challenge = Challenge::Http01 => CHALLENGES;
        /// Port that is opened for `http-01`, unless `http.address` has it.
        alt_http_port: u16 = 80 => Number::within(1, 65535).or_default();
        /// Port that is opened for `tlsalpn-01`, unless `http.ssl.address` has it.
        alt_tlsalpn_port: u16 = 443 => Number::within(1, 65535).or_default();
        /// Takes certificates that browsers trust from Let's Encrypt, and not those for trying it out.
        use_production_endpoint: bool = false => Flag;
        /// Ours: directory URL of another authority.
        directory: Option<String> = None => Text;
        /// Ours: file with the authorities that sign the certificate of `directory` itself, PEM; the system's unless
        /// given.
        directory_ca: Option<String> = None => Text;
    }
    finish needs_domains;
}

section! {
    /// HTTP/2. Over TLS it is spoken with every client that can.
    Http2 {
        /// Speaks HTTP/2 on `http.address` with clients that begin with it, without TLS.
        h2c: bool = false => Flag;
        /// Requests of a connection at a time, those of HTTP/3 included.
        max_concurrent_streams: u32 = 128 => Number::within(1, 1_000_000).or_default();
    }
}

section! {
    /// The HTTP/3 server.
    Http3 {
        /// Where to listen: `host:port`, over UDP.
        address: String = String::new() => Text;
        /// File with the private key, PEM; that of `http.ssl` unless given.
        key: Option<String> = None => Text;
        /// File with the certificate and those that lead to its root, PEM; that of `http.ssl` unless given.
        cert: Option<String> = None => Text;
    }
}

section! {
    /// The FastCGI server, for web servers in front.
    FastCgi {
        /// Where to listen, as `http.address`.
        address: Vec<String> = Vec::new() => Names;
    }
}

fn needs_domains(section: &mut Acme, node: &Node, _: &Map, path: &str, decoder: &mut Decoder) {
    for (key, missing) in [("email", section.email.is_empty()), ("domains", section.domains.is_empty())] {
        let key = format!("{path}.{key}");
        if missing && !decoder.is_wrong(&key) {
            decoder.incomplete(&node.at, &key, "is missing");
        }
    }
}

/// Whether the servers have what they need. A section that asks for nothing is as if it were not there.
pub(super) fn servers(section: &mut Http, node: &Node, map: &Map, path: &str, decoder: &mut Decoder) {
    let at = |name: &str| map.get(name).map_or(&node.at, |node| &node.at);
    if let Some(ssl) = &section.ssl
        && ssl.acme.is_none()
    {
        match (&ssl.key, &ssl.cert) {
            (Some(_), Some(_)) => {}
            (None, None) => {
                if !decoder.is_wrong(&format!("{path}.ssl")) {
                    let text = "has neither key and cert nor acme, so there is no HTTPS server";
                    decoder.warn(at("ssl"), &format!("{path}.ssl"), text);
                }
                section.ssl = None;
            }
            (key, _) => {
                let missing = if key.is_none() { "key" } else { "cert" };
                decoder.incomplete(at("ssl"), &format!("{path}.ssl.{missing}"), "is missing");
            }
        }
    }
    if let Some(ssl) = &section.ssl {
        listens(&ssl.address, at("ssl"), &format!("{path}.ssl.address"), decoder);
        if ssl.client_auth_type != ClientAuth::None && ssl.root_ca.is_none() {
            let text = "asks nothing of clients without root_ca beside it";
            decoder.warn(at("ssl"), &format!("{path}.ssl.client_auth_type"), text);
        }
    }
    if let Some(fcgi) = &section.fcgi {
        if fcgi.address.is_empty() {
            section.fcgi = None;
        } else {
            listens(&fcgi.address, at("fcgi"), &format!("{path}.fcgi.address"), decoder);
        }
    }
    if let Some(http3) = &section.http3 {
        let (at, key) = (at("http3"), format!("{path}.http3"));
        if http3.address.is_empty() {
            section.http3 = None;
        } else if http3.key.is_some() != http3.cert.is_some() {
            let missing = if http3.key.is_none() { "key" } else { "cert" };
            decoder.incomplete(at, &format!("{key}.{missing}"), "is missing");
        } else if http3.key.is_none() && section.ssl.is_none() {
            decoder.incomplete(at, &key, "needs key and cert, or those of http.ssl");
        } else {
            listens(std::slice::from_ref(&http3.address), at, &format!("{key}.address"), decoder);
        }
    }
}

fn listens(addresses: &[String], at: &crate::error::Position, key: &str, decoder: &mut Decoder) {
    if addresses.is_empty() {
        decoder.incomplete(at, key, "is missing");
    }
    for address in addresses.iter().filter(|address| !address.contains(':')) {
        decoder.wrong::<()>(at, key, format!("malformed address {address:?}; write host:port"));
    }
}
