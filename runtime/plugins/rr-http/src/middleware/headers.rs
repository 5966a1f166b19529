//! `headers` (HS-08): fields that are added to requests, fields of responses, and CORS.

use super::cors::{self, Cors};
use crate::body::Body;
use bytes::Bytes;
use http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, HeaderName, HeaderValue, LINK, SET_COOKIE, VARY};
use http::request::Parts;
use http::{HeaderMap, Response, StatusCode};

/// Fields of which a response has several that do not speak against each other.
const SEVERAL: [HeaderName; 3] = [SET_COOKIE, VARY, LINK];

/// What the config says.
#[derive(Debug)]
pub(crate) struct Headers {
    request: Vec<(HeaderName, HeaderValue)>,
    response: Vec<(HeaderName, HeaderValue)>,
    cors: Option<(Cors, StatusCode)>,
}

/// Fields as the types of a message.
///
/// # Errors
/// One is no field; `key` is where it was written.
pub(crate) fn fields(
    key: &str,
    fields: &[(String, String)],
) -> Result<Vec<(HeaderName, HeaderValue)>, String> {
    let one = |(name, value): &(String, String)| {
        let wrong = || format!("{key}.{name}: is no header");
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| wrong())?;
        Ok((name, HeaderValue::from_bytes(value.as_bytes()).map_err(|_| wrong())?))
    };
    fields.iter().map(one).collect()
}

impl Headers {
    /// # Errors
    /// A field or a pattern is none.
    pub(crate) fn new(config: &rr_config::Headers) -> Result<Self, String> {
        let cors = config.cors.as_ref().map(|cors| {
            let status = StatusCode::from_u16(cors.options_success_status).unwrap_or(StatusCode::OK);
            Ok::<_, String>((Cors::new(cors)?, status))
        });
        Ok(Self {
            request: fields("http.headers.request", &config.request)?,
            response: fields("http.headers.response", &config.response)?,
            cors: cors.transpose()?,
        })
    }

    /// Adds to a request. The answer, if it is a preflight request.
    pub(crate) fn enter(&self, parts: &mut Parts) -> Option<Response<Body>> {
        if let Some((cors, status)) = self.cors.as_ref().filter(|_| cors::is_preflight(parts)) {
            let mut response = Response::new(Body::full(Bytes::new()));
            *response.status_mut() = *status;
            self.leave(Some(cors.preflight(parts)), response.headers_mut());
            return Some(response);
        }
        for (name, value) in &self.request {
            parts.headers.append(name.clone(), value.clone());
        }
        None
    }

    /// What the response to a request of another origin says.
    pub(crate) fn shared(&self, parts: &Parts) -> Option<HeaderMap> {
        self.cors.as_ref().map(|(cors, _)| cors.actual(parts))
    }

    /// Adds to a response. What it says itself stays: RoadRunner sends both values, which browsers take for neither.
    pub(crate) fn leave(&self, shared: Option<HeaderMap>, headers: &mut HeaderMap) {
        for (name, value) in &self.response {
            if !headers.contains_key(name) || SEVERAL.contains(name) {
                headers.append(name.clone(), value.clone());
            }
        }
        let Some(shared) = shared else { return };
        let own = headers.contains_key(ACCESS_CONTROL_ALLOW_ORIGIN);
        for (name, value) in &shared {
            if *name == VARY {
                headers.append(VARY, value.clone());
            } else if !own {
                headers.insert(name.clone(), value.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
        list.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn values(headers: &HeaderMap, name: &str) -> Vec<String> {
        headers.get_all(name).iter().map(|value| value.to_str().unwrap_or("?").to_owned()).collect()
    }

    fn headers(cors: Option<rr_config::Cors>) -> Headers {
        let config = rr_config::Headers {
            cors,
            request: pairs(&[("x-in", "config")]),
            response: pairs(&[("x-frame-options", "deny"), ("set-cookie", "a=1"), ("x-utf", "ü")]),
        };
        Headers::new(&config).expect("headers")
    }

    /// HS-08.
    #[test]
    fn requests_get_more_and_responses_keep_their_own() {
        let headers = headers(None);
        let mut parts =
            Request::get("/").header("x-in", "client").body(()).expect("a request").into_parts().0;
        assert!(headers.enter(&mut parts).is_none());
        assert_eq!(values(&parts.headers, "x-in"), ["client", "config"]);
        let mut answer = HeaderMap::new();
        answer.insert("x-frame-options", HeaderValue::from_static("sameorigin"));
        answer.insert("set-cookie", HeaderValue::from_static("b=2"));
        headers.leave(None, &mut answer);
        assert_eq!(values(&answer, "x-frame-options"), ["sameorigin"]);
        assert_eq!(values(&answer, "set-cookie"), ["b=2", "a=1"]);
        assert_eq!(answer["x-utf"].as_bytes(), "ü".as_bytes());
    }

    /// HS-08.
    #[test]
    fn an_app_with_rules_of_its_own_is_left_alone() {
        let headers = headers(Some(rr_config::Cors::default()));
        let mut parts =
            Request::get("/").header("origin", "https://a").body(()).expect("a request").into_parts().0;
        assert!(headers.enter(&mut parts).is_none());
        let mut answer = HeaderMap::new();
        headers.leave(headers.shared(&parts), &mut answer);
        assert_eq!(values(&answer, "access-control-allow-origin"), ["*"]);
        let mut answer = HeaderMap::new();
        answer.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("https://own"));
        answer.insert(VARY, HeaderValue::from_static("Cookie"));
        headers.leave(headers.shared(&parts), &mut answer);
        assert_eq!(values(&answer, "access-control-allow-origin"), ["https://own"]);
        assert_eq!(values(&answer, "vary"), ["Cookie", "Origin"]);
    }

    /// HS-08.
    #[test]
    fn preflight_requests_are_answered_here() {
        let headers = headers(Some(rr_config::Cors { options_success_status: 204, ..Default::default() }));
        let request = Request::options("/").header("origin", "https://a");
        let request = request.header("access-control-request-method", "GET");
        let mut parts = request.body(()).expect("a request").into_parts().0;
        let answer = headers.enter(&mut parts).expect("an answer");
        assert_eq!(answer.status(), 204);
        assert_eq!(values(answer.headers(), "access-control-allow-methods"), ["GET"]);
        assert_eq!(values(answer.headers(), "x-frame-options"), ["deny"]);
    }
}
