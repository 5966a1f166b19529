//! What requests pass on their way to the workers and responses on their way back: `http.middleware`, rows HS-02 and
//! HS-06 to HS-10. The last name of the list is the outermost.

pub(crate) mod compress;
mod cors;
mod etag;
pub(crate) mod forwarded;
mod gzip;
mod headers;
mod proxy_ip;
mod static_files;

use crate::body::Body;
use crate::service::Client;
use gzip::{Gzip, Wish};
use headers::Headers;
use http::request::Parts;
use http::{HeaderMap, Response};
use proxy_ip::ProxyIp;
use rr_config::{Http, Middleware};
use static_files::StaticFiles;
use std::net::IpAddr;
use std::sync::Arc;

/// The middleware of a server, the outermost first.
#[derive(Debug)]
pub(crate) struct Chain {
    layers: Vec<Layer>,
    sendfile: bool,
}

/// One of them.
#[derive(Debug)]
enum Layer {
    Static(StaticFiles),
    Headers(Headers),
    Gzip(Gzip),
    ProxyIp(ProxyIp),
}

/// What a layer remembers of a request for its response.
#[derive(Debug)]
enum Note {
    Headers(Option<HeaderMap>),
    Gzip(Wish),
}

/// The address of a client for which a proxy speaks, in the extensions of its request.
#[derive(Debug, Clone)]
pub(crate) struct Remote(pub(crate) Arc<str>);

/// How far a request has come.
#[derive(Debug, Default)]
pub(crate) struct Passed {
    notes: Vec<(usize, Note)>,
    /// The client, if it is not the peer.
    pub(crate) remote: Option<Remote>,
}

impl Chain {
    /// `None`: there is nothing to pass.
    ///
    /// # Errors
    /// What cannot be, with its key.
    pub(crate) fn new(config: &Http) -> Result<Option<Self>, String> {
        let mut chain = Self { layers: Vec::new(), sendfile: false };
        for middleware in config.middleware.iter().rev() {
            // A name without its section was warned of when the config was read.
            let layer = match middleware {
                Middleware::Static => match &config.static_files {
                    Some(section) => Layer::Static(StaticFiles::new(section)?),
                    None => continue,
                },
                Middleware::Headers => match &config.headers {
                    Some(section) => Layer::Headers(Headers::new(section)?),
                    None => continue,
                },
                Middleware::Gzip => Layer::Gzip(Gzip::default()),
                Middleware::ProxyIpParser if config.trusted_subnets.is_empty() => continue,
                Middleware::ProxyIpParser => {
                    Layer::ProxyIp(ProxyIp::new(&config.trusted_subnets, &config.trusted_headers))
                }
                Middleware::Sendfile => {
                    chain.sendfile = true;
                    continue;
                }
                // They only watch, from outside of all others: `watch.rs`.
                Middleware::HttpMetrics | Middleware::Otel => continue,
            };
            chain.layers.push(layer);
        }
        Ok((!chain.layers.is_empty() || chain.sendfile).then_some(chain))
    }

    /// Whether a peer may say for which client it speaks. `None`: it is on a unix socket.
    pub(crate) fn trusts(&self, peer: Option<IpAddr>) -> bool {
        self.layers.iter().any(|layer| matches!(layer, Layer::ProxyIp(proxies) if proxies.trusts(peer)))
    }

    /// Whether `X-Sendfile` of a worker names a file (HS-07). `command`: the worker is a foreign program, whose headers
    /// may be meant for somebody else.
    pub(crate) fn takes_sendfile(chain: Option<&Self>, command: bool) -> bool {
        !command || chain.is_some_and(|chain| chain.sendfile)
    }

    /// Lets a request in; the answer, if one of the layers has it.
    pub(crate) async fn enter(
        &self,
        client: &Client,
        parts: &mut Parts,
        passed: &mut Passed,
    ) -> Option<Response<Body>> {
        for (index, layer) in self.layers.iter().enumerate() {
            let note = match layer {
                Layer::Static(files) => match files.enter(parts).await {
                    Some(answer) => return Some(answer),
                    None => continue,
                },
                Layer::Headers(headers) => match headers.enter(parts) {
                    Some(answer) => return Some(answer),
                    None => Note::Headers(headers.shared(parts)),
                },
                Layer::Gzip(_) => Note::Gzip(Wish::of(parts)),
                Layer::ProxyIp(proxies) => {
                    if client.trusted
                        && let Some(address) = proxies.client(&parts.headers)
                    {
                        let remote = Remote(address.to_string().into());
                        parts.extensions.insert(remote.clone());
                        passed.remote = Some(remote);
                    }
                    continue;
                }
            };
            passed.notes.push((index, note));
        }
        None
    }

    /// Lets the response out, by the layers that its request has passed.
    pub(crate) fn leave(&self, passed: Passed, response: &mut Response<Body>) {
        for (index, note) in passed.notes.into_iter().rev() {
            match (&self.layers[index], note) {
                (Layer::Headers(headers), Note::Headers(shared)) => {
                    headers.leave(shared, response.headers_mut());
                }
                (Layer::Gzip(gzip), Note::Gzip(wish)) => gzip.leave(wish, response),
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use http::Request;
    use rr_config::Loader;

    fn chain(yaml: &str) -> Option<Chain> {
        let yaml = format!("version: '3'\nhttp: {{address: ':0', {yaml}}}");
        let config = Loader::new().text("test", &yaml).load().expect("loads").config;
        Chain::new(&config.http.expect("a section")).expect("a chain")
    }

    fn order(chain: &Chain) -> Vec<&'static str> {
        let name = |layer: &Layer| match layer {
            Layer::Static(_) => "static",
            Layer::Headers(_) => "headers",
            Layer::Gzip(_) => "gzip",
            Layer::ProxyIp(_) => "proxy_ip_parser",
        };
        chain.layers.iter().map(name).collect()
    }

    /// HS-02.
    #[test]
    fn the_last_name_is_the_outermost() {
        let sections = "headers: {response: {x-a: b}}, trusted_subnets: 10.0.0.0/8";
        let one =
            chain(&format!("middleware: [headers, gzip, proxy_ip_parser], {sections}")).expect("a chain");
        assert_eq!(order(&one), ["proxy_ip_parser", "gzip", "headers"]);
        let other = chain(&format!("middleware: 'proxy_ip_parser, gzip', {sections}")).expect("a chain");
        assert_eq!(order(&other), ["gzip", "proxy_ip_parser"]);
    }

    /// HS-02, BRN-02.
    #[test]
    fn without_names_there_is_nothing_to_pass() {
        for yaml in [
            "",
            "middleware: []",
            "static: {dir: /}",
            "headers: {response: {x-a: b}}",
            "middleware: [static, headers, proxy_ip_parser]",
            "middleware: [cache, nonsense]",
        ] {
            assert!(chain(yaml).is_none(), "{yaml}");
        }
    }

    /// HS-07.
    #[test]
    fn files_are_taken_from_own_workers_and_by_name_from_others() {
        assert!(Chain::takes_sendfile(None, false));
        assert!(!Chain::takes_sendfile(None, true));
        assert!(Chain::takes_sendfile(chain("middleware: sendfile").as_ref(), true));
        assert!(!Chain::takes_sendfile(chain("middleware: gzip").as_ref(), true));
    }

    /// HS-02: what is inside says something that the outside compresses, and not the other way round.
    #[test]
    fn responses_leave_from_the_inside_to_the_outside() {
        let headers = "headers: {response: {content-encoding: br}}";
        for (list, coding) in [("[headers, gzip]", "br"), ("[gzip, headers]", "gzip")] {
            let chain = chain(&format!("middleware: {list}, {headers}")).expect("a chain");
            let parts =
                Request::get("/").header("accept-encoding", "gzip").body(()).expect("one").into_parts().0;
            let notes = chain.layers.iter().enumerate().map(|(index, layer)| match layer {
                Layer::Gzip(_) => (index, Note::Gzip(Wish::of(&parts))),
                _ => (index, Note::Headers(None)),
            });
            let passed = Passed { notes: notes.collect(), remote: None };
            let response = Response::builder().header("content-type", "text/plain");
            let mut response = response.body(Body::full(Bytes::from(vec![b'a'; 2000]))).expect("a response");
            chain.leave(passed, &mut response);
            assert_eq!(response.headers()["content-encoding"], coding, "{list}");
        }
    }
}
