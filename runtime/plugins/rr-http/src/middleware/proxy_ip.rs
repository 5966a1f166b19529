//! `proxy_ip_parser` (HS-10): the client's address as trusted proxies say it. Unlike RoadRunner it does not believe the
//! first entry of a list, which is the client's own to choose.

use super::forwarded::{self, address};
use http::header::{FORWARDED, HeaderName};
use http::{HeaderMap, HeaderValue};
use ipnet::IpNet;
use rr_config::Trusted;
use std::net::IpAddr;

/// Headers that are asked unless the config names some.
const HEADERS: [&str; 5] =
    ["x-forwarded-for", "forwarded", "x-real-ip", "true-client-ip", "cf-connecting-ip"];

/// Whose word counts, and where it is looked for.
#[derive(Debug)]
pub(crate) struct ProxyIp {
    networks: Vec<IpNet>,
    unix: bool,
    headers: Vec<HeaderName>,
}

impl ProxyIp {
    /// `headers`: none are the usual ones.
    pub(crate) fn new(trusted: &[Trusted], headers: &[String]) -> Self {
        let networks = trusted.iter().filter_map(|trusted| match trusted {
            Trusted::Network(network) => Some(*network),
            Trusted::Unix => None,
        });
        let mut names: Vec<HeaderName> = headers.iter().filter_map(|name| name.parse().ok()).collect();
        if names.is_empty() {
            names = HEADERS.map(HeaderName::from_static).to_vec();
        }
        Self { networks: networks.collect(), unix: trusted.contains(&Trusted::Unix), headers: names }
    }

    /// Whether the word of a peer counts. `None`: it is on a unix socket.
    pub(crate) fn trusts(&self, peer: Option<IpAddr>) -> bool {
        match peer {
            Some(peer) => self.is_proxy(peer.to_canonical()),
            None => self.unix,
        }
    }

    fn is_proxy(&self, address: IpAddr) -> bool {
        self.networks.iter().any(|network| network.contains(&address))
    }

    /// The client that a trusted peer speaks for; `None`: it says nothing of one. The first header that is there
    /// decides.
    pub(crate) fn client(&self, headers: &HeaderMap) -> Option<IpAddr> {
        let name = self.headers.iter().find(|name| headers.contains_key(*name))?;
        let trusted = |address| self.is_proxy(address);
        // An entry that is no text hides its client.
        let values = headers.get_all(name).iter().rev().map(|value| value.to_str().unwrap_or_default());
        match name {
            _ if *name == FORWARDED => forwarded::client(forwarded::forwarded(values), trusted),
            _ if name.as_str() == HEADERS[0] => forwarded::client(forwarded::listed(values), trusted),
            _ => headers.get(name).and_then(|value: &HeaderValue| address(value.to_str().ok()?)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rr_config::Loader;

    fn parser(subnets: &str, headers: &str) -> ProxyIp {
        let yaml = format!(
            "version: '3'\nhttp: {{address: ':0', trusted_subnets: {subnets}, trusted_headers: {headers}}}"
        );
        let config = Loader::new().text("test", &yaml).load().expect("loads").config;
        let http = config.http.expect("a section");
        ProxyIp::new(&http.trusted_subnets, &http.trusted_headers)
    }

    fn client(parser: &ProxyIp, fields: &[(&str, &str)]) -> String {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            let name: HeaderName = name.parse().expect("a name");
            headers.append(name, HeaderValue::from_str(value).expect("a value"));
        }
        parser.client(&headers).map_or_else(|| "none".to_owned(), |address| address.to_string())
    }

    /// HS-10.
    #[test]
    fn peers_are_trusted_by_network() {
        let parser = parser("[10.1.2.3/8, '::1/128', 192.0.2.7]", "[]");
        for (peer, want) in [
            ("10.200.0.1", true),
            ("11.0.0.1", false),
            ("::1", true),
            ("::2", false),
            ("192.0.2.7", true),
            ("192.0.2.8", false),
            ("::ffff:10.0.0.1", true),
        ] {
            assert_eq!(parser.trusts(peer.parse().ok()), want, "{peer}");
        }
        assert!(!parser.trusts(None));
        assert!(super::tests::parser("unix", "[]").trusts(None));
    }

    /// HS-10.
    #[test]
    fn the_first_header_that_is_there_decides() {
        let usual = parser("10.0.0.0/8", "[]");
        for (fields, want) in [
            (&[][..], "none"),
            (&[("x-real-ip", "198.51.100.1")], "198.51.100.1"),
            (&[("true-client-ip", "198.51.100.2")], "198.51.100.2"),
            (&[("cf-connecting-ip", "2001:db8::9")], "2001:db8::9"),
            (&[("forwarded", "for=198.51.100.3"), ("x-real-ip", "6.6.6.6")], "198.51.100.3"),
            (&[("forwarded", "for=6.6.6.6"), ("x-forwarded-for", "198.51.100.4")], "198.51.100.4"),
            (
                &[("x-forwarded-for", "6.6.6.6"), ("x-forwarded-for", "198.51.100.5, 10.0.0.1")],
                "198.51.100.5",
            ),
            (&[("x-forwarded-for", "unknown"), ("x-real-ip", "6.6.6.6")], "none"),
            (&[("x-real-ip", "nonsense")], "none"),
        ] {
            assert_eq!(client(&usual, fields), want, "{fields:?}");
        }
        let chosen = parser("10.0.0.0/8", "[Forwarded]");
        let both = [("forwarded", "for=198.51.100.3"), ("x-forwarded-for", "6.6.6.6")];
        assert_eq!(client(&chosen, &both), "198.51.100.3");
        assert_eq!(client(&chosen, &both[1..]), "none");
    }
}
