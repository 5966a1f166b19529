//! What is answered before anything looks at a request: clients that belong on HTTPS, and authorities that verify a domain;
//! and what clients of HTTPS are told of HTTP/3.

use crate::body::Body;
use crate::respond;
use crate::service::Client;
use bytes::Bytes;
use http::header::{ALT_SVC, CONTENT_TYPE, HOST, HeaderValue, LOCATION, STRICT_TRANSPORT_SECURITY};
use http::uri::Authority;
use http::{Request, Response, StatusCode};
use rr_tls::Challenges;

/// The answer to a request that goes no further.
pub(crate) fn answer<B>(client: &Client, request: &Request<B>) -> Option<Response<Body>> {
    let path = request.uri().path();
    if let Some(token) = path.strip_prefix(Challenges::PATH)
        && let Some(text) = client.shared.challenges.as_ref().and_then(|challenges| challenges.answer(token))
    {
        let mut response = Response::new(Body::full(Bytes::from(text)));
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
        return Some(response);
    }
    let port = client.door.redirect?;
    Some(to_https(request, port).unwrap_or_else(|| {
        respond::plain(StatusCode::BAD_REQUEST, "the Host header is missing or malformed")
    }))
}

/// HS-02: to the same place on `port`.
fn to_https<B>(request: &Request<B>, port: u16) -> Option<Response<Body>> {
    let host = match request.uri().authority() {
        Some(authority) => authority.clone(),
        None => request.headers().get(HOST)?.to_str().ok()?.parse::<Authority>().ok()?,
    };
    let host = host.host();
    let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
    // OPTIONS has a target that is no path.
    let target = if target.starts_with('/') { target } else { "/" };
    let to = if port == 443 {
        format!("https://{host}{target}")
    } else {
        format!("https://{host}:{port}{target}")
    };
    let mut response = respond::plain(StatusCode::PERMANENT_REDIRECT, "");
    let headers = response.headers_mut();
    headers.insert(LOCATION, HeaderValue::from_str(&to).ok()?);
    let forever = HeaderValue::from_static("max-age=31536000; includeSubDomains; preload");
    headers.insert(STRICT_TRANSPORT_SECURITY, forever);
    Some(response)
}

/// Tells clients of HTTPS where HTTP/3 is, unless the app does (RFC 9114, 3.1.1).
pub(crate) fn advertise(client: &Client, response: &mut Response<Body>) {
    if let Some(place) = &client.door.alternative {
        response.headers_mut().entry(ALT_SVC).or_insert_with(|| place.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(target: &str, host: Option<&str>, port: u16) -> Option<String> {
        let request = Request::get(target);
        let request = match host {
            Some(host) => request.header(HOST, host),
            None => request,
        };
        let response = to_https(&request.body(()).expect("a request"), port)?;
        assert_eq!(response.status(), StatusCode::PERMANENT_REDIRECT);
        let said = &response.headers()[STRICT_TRANSPORT_SECURITY];
        assert_eq!(said, "max-age=31536000; includeSubDomains; preload");
        Some(response.headers()[LOCATION].to_str().expect("text").to_owned())
    }

    #[test]
    fn hs_02_clients_are_sent_to_the_same_place() {
        assert_eq!(to("/a?b=1", Some("x.example:8080"), 443).as_deref(), Some("https://x.example/a?b=1"));
        assert_eq!(to("/a", Some("x.example"), 8443).as_deref(), Some("https://x.example:8443/a"));
        assert_eq!(to("/", Some("[::1]:80"), 443).as_deref(), Some("https://[::1]/"));
        assert_eq!(to("http://y.example:1/z", Some("x"), 443).as_deref(), Some("https://y.example/z"));
        assert_eq!(to("*", Some("x"), 443).as_deref(), Some("https://x/"));
        assert_eq!(to("/", None, 443), None);
        assert_eq!(to("/", Some("a b"), 443), None);
        // What stands before the host is nobody's to choose.
        assert_eq!(to("/", Some("user@x"), 443).as_deref(), Some("https://x/"));
    }
}
