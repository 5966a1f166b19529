//! Which client a proxy says it speaks for: the lists in `X-Forwarded-For` and `Forwarded` (RFC 7239), read from the
//! right, where the proxy next to the server has added its word. Pure.

use std::net::{IpAddr, SocketAddr};

/// Proxies in front of each other that one request can have passed. What is further to the left is not looked at.
const MOST_HOPS: usize = 64;

/// An entry of `X-Forwarded-For`, or the value of `for`: an address with or without port, brackets and quotes. `None`:
/// `unknown`, a name that hides an address, or nonsense.
pub(crate) fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim_matches([' ', '\t']);
    let text = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
    // The longest address with a port has 47 characters.
    if text.is_empty() || text.len() > 64 {
        return None;
    }
    let bracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse::<std::net::Ipv6Addr>().ok();
    let address = text
        .parse::<IpAddr>()
        .ok()
        .or_else(|| bracketed().map(IpAddr::V6))
        .or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()))
        // RFC 7239 lets a proxy hide the port.
        .or_else(|| hidden_port(text));
    address.map(|address| address.to_canonical())
}

fn hidden_port(text: &str) -> Option<IpAddr> {
    let (node, port) = text.rsplit_once(':')?;
    let rest = port.strip_prefix('_')?;
    if rest.is_empty() || !rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte)) {
        return None;
    }
    match node.strip_prefix('[') {
        Some(node) => node.strip_suffix(']')?.parse().ok().map(IpAddr::V6),
        None => node.parse().ok().map(IpAddr::V4),
    }
}

/// The values of `X-Forwarded-For`, the last one first.
pub(crate) fn listed<'a>(values: impl Iterator<Item = &'a str>) -> impl Iterator<Item = Option<IpAddr>> {
    values.flat_map(|value| value.rsplit(',')).map(address)
}

/// The values of `for` in `Forwarded`, the last one first.
pub(crate) fn forwarded<'a>(values: impl Iterator<Item = &'a str>) -> impl Iterator<Item = Option<IpAddr>> {
    values.flat_map(|value| Elements { rest: Some(value) }).map(node)
}

/// The elements of `Forwarded`, from the right: what a client has written to the left of a proxy's element, an open
/// quote for one, cannot hide that.
struct Elements<'a> {
    rest: Option<&'a str>,
}

impl<'a> Iterator for Elements<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let rest = self.rest?;
        let mut quoted = false;
        let comma = rest.bytes().rposition(|byte| {
            quoted ^= byte == b'"';
            byte == b',' && !quoted
        });
        let (before, element) = match comma {
            Some(at) => (Some(&rest[..at]), &rest[at + 1..]),
            None => (None, rest),
        };
        self.rest = before;
        Some(element)
    }
}

/// The address of an element's `for`. Its values are tokens or quoted; neither has a quote or a semicolon inside where
/// an address is meant, so that an element with one hides its client.
fn node(element: &str) -> Option<IpAddr> {
    let mut found = None;
    for pair in element.split(';') {
        let (name, value) = pair.split_once('=')?;
        if name.trim_matches([' ', '\t']).eq_ignore_ascii_case("for") {
            if found.is_some() {
                return None;
            }
            found = Some(address(value)?);
        }
    }
    found
}

/// The client, by the word of proxies: `hops` are addresses from the nearest to the farthest. Each is as good as the one
/// before it, which must be `trusted`. `None`: the first one is not known.
pub(crate) fn client(
    hops: impl Iterator<Item = Option<IpAddr>>,
    trusted: impl Fn(IpAddr) -> bool,
) -> Option<IpAddr> {
    let mut client = None;
    for hop in hops.take(MOST_HOPS) {
        let Some(hop) = hop else { break };
        client = Some(hop);
        if !trusted(hop) {
            break;
        }
    }
    client
}

/// Reads anything as both headers. Must not panic; a proxy's word at the end holds, whatever is in front of it.
pub fn fuzz(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let near = |address: IpAddr| address.is_loopback();
    let _ = client(listed([&*text].into_iter()), near);
    let _ = client(forwarded([&*text].into_iter()), near);
    let said: IpAddr = [203, 0, 113, 9].into();
    let listed_text = format!("{text}, {said}");
    assert_eq!(client(listed([&*listed_text].into_iter()), near), Some(said), "{listed_text}");
    let forwarded_text = format!("{text}, for={said};proto=https, for=\"[::1]:80\"");
    assert_eq!(client(forwarded([&*forwarded_text].into_iter()), near), Some(said), "{forwarded_text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        address(text).map_or_else(|| "none".to_owned(), |address| address.to_string())
    }

    /// HS-10.
    #[test]
    fn addresses_come_with_ports_brackets_and_quotes() {
        for (text, want) in [
            ("192.0.2.1", "192.0.2.1"),
            (" 192.0.2.1\t", "192.0.2.1"),
            ("192.0.2.1:4711", "192.0.2.1"),
            ("\"192.0.2.1:4711\"", "192.0.2.1"),
            ("192.0.2.1:_port", "192.0.2.1"),
            ("2001:db8::1", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("[2001:db8::1]:4711", "2001:db8::1"),
            ("\"[2001:db8::1]:_x\"", "2001:db8::1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("unknown", "none"),
            ("_hidden", "none"),
            ("", "none"),
            ("192.0.2.1:99999", "none"),
            ("192.0.2.1:", "none"),
            ("192.0.2.1:_", "none"),
            ("192.0.2.256", "none"),
            ("[192.0.2.1]", "none"),
            ("[2001:db8::1", "none"),
            ("2001:db8::1]", "none"),
            ("example.org", "none"),
            ("\"192.0.2.1", "none"),
            ("192.0.2.1\r\nX: y", "none"),
        ] {
            assert_eq!(shown(text), want, "{text:?}");
        }
    }

    fn found(name: &str, values: &[&str]) -> String {
        let trusted = |address: IpAddr| match address {
            IpAddr::V4(address) => address.octets()[0] == 10,
            IpAddr::V6(address) => address.is_loopback(),
        };
        let values = values.iter().rev().copied();
        let client = match name {
            "for" => client(forwarded(values), trusted),
            _ => client(listed(values), trusted),
        };
        client.map_or_else(|| "none".to_owned(), |address| address.to_string())
    }

    /// HS-10: what the client itself has put in front does not count.
    #[test]
    fn the_client_is_the_rightmost_address_that_is_no_proxy() {
        for (values, want) in [
            (&["198.51.100.7"][..], "198.51.100.7"),
            (&["6.6.6.6, 198.51.100.7"], "198.51.100.7"),
            (&["6.6.6.6, 198.51.100.7, 10.0.0.1"], "198.51.100.7"),
            (&["6.6.6.6", "198.51.100.7,10.0.0.1"], "198.51.100.7"),
            (&["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
            (&["6.6.6.6, unknown, 10.0.0.2"], "10.0.0.2"),
            (&["6.6.6.6, unknown"], "none"),
            (&["6.6.6.6,"], "none"),
            (&[""], "none"),
            (&["[2001:db8::1]:9, ::1"], "2001:db8::1"),
        ] {
            assert_eq!(found("list", values), want, "{values:?}");
        }
    }

    /// HS-10, RFC 7239.
    #[test]
    fn forwarded_has_elements_with_pairs() {
        for (values, want) in [
            (&["for=198.51.100.7"][..], "198.51.100.7"),
            (&["For=\"198.51.100.7:80\";proto=http;by=10.0.0.1"], "198.51.100.7"),
            (&["for=6.6.6.6, for=198.51.100.7, For=\"[::1]\""], "198.51.100.7"),
            (&["for=6.6.6.6", "for=198.51.100.7"], "198.51.100.7"),
            (&["for=\"6.6.6.6, for=198.51.100.7"], "198.51.100.7"),
            (&["for=\"a,b\", for=10.0.0.1"], "10.0.0.1"),
            (&["proto=http; for=198.51.100.7"], "198.51.100.7"),
            (&["proto=http"], "none"),
            (&["for=198.51.100.7, proto=http"], "none"),
            (&["for=_secret"], "none"),
            (&["for=unknown"], "none"),
            (&["for=1.1.1.1;for=2.2.2.2"], "none"),
            (&["for=\"1.1.1.1\\\"\""], "none"),
            (&["for"], "none"),
            (&[";"], "none"),
            (&[""], "none"),
        ] {
            assert_eq!(found("for", values), want, "{values:?}");
        }
    }

    /// HS-10: work for a list of any length is bounded.
    #[test]
    fn a_long_list_of_proxies_is_not_read_to_its_end() {
        let long = vec!["10.0.0.1"; 1_000_000].join(",");
        let mut looked = 0;
        let hops = listed([&*long].into_iter()).inspect(|_| looked += 1);
        assert_eq!(client(hops, |_| true).map(|address| address.to_string()), Some("10.0.0.1".to_owned()));
        assert_eq!(looked, MOST_HOPS);
        assert_eq!(found("for", &["for=10.0.0.1,".repeat(100_000).as_str()]), "none");
    }

    proptest::proptest! {
        #[test]
        fn the_word_of_a_proxy_holds_behind_anything(data: Vec<u8>) {
            fuzz(&data);
        }

        #[test]
        fn the_word_of_a_proxy_holds_behind_anything_alike(text in "[for=\"\\\\,;:_\\[\\]0-9. ]{0,60}") {
            fuzz(text.as_bytes());
        }
    }
}
