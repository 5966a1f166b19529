//! Cross-origin resource sharing with the rules of rs/cors, which RoadRunner has: what follows from a request's origin
//! and method. Pure.

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, HeaderValue, ORIGIN, VARY,
};
use http::request::Parts;
use http::{HeaderMap, Method};
use regex_lite::Regex;

/// A longer origin is none: a host has 255 characters at most.
const LONGEST_ORIGIN: usize = 512;

/// The rules.
#[derive(Debug)]
pub(crate) struct Cors {
    origins: Origins,
    /// In lower case; `None`: all.
    headers: Option<Vec<String>>,
    methods: Vec<String>,
    credentials: bool,
    exposed: Option<HeaderValue>,
    max_age: Option<HeaderValue>,
    debug: bool,
}

#[derive(Debug)]
enum Origins {
    All,
    /// In lower case; a `*` stands for anything.
    Listed(Vec<(String, Option<String>)>),
    Matching(Regex),
}

impl Origins {
    fn allow(&self, origin: &str) -> bool {
        match self {
            Self::All => true,
            Self::Matching(pattern) => pattern.is_match(origin),
            Self::Listed(list) => {
                let origin = origin.to_ascii_lowercase();
                list.iter().any(|(start, end)| match end {
                    None => origin == *start,
                    Some(end) => {
                        origin.len() >= start.len() + end.len()
                            && origin.starts_with(start.as_str())
                            && origin.ends_with(end.as_str())
                    }
                })
            }
        }
    }
}

/// A preflight request (Fetch, 3.2.2): the browser asks before it sends the request itself.
pub(crate) fn is_preflight(parts: &Parts) -> bool {
    parts.method == Method::OPTIONS
        && parts.headers.get(ACCESS_CONTROL_REQUEST_METHOD).is_some_and(|method| !method.is_empty())
}

impl Cors {
    /// # Errors
    /// The pattern is none.
    pub(crate) fn new(config: &rr_config::Cors) -> Result<Self, String> {
        let listed = &config.allowed_origin;
        let origins = match &config.allowed_origin_regex {
            Some(pattern) => Origins::Matching(
                Regex::new(pattern)
                    .map_err(|error| format!("http.headers.cors.allowed_origin_regex: {error}"))?,
            ),
            None if listed.is_empty() || listed.iter().any(|origin| origin == "*") => Origins::All,
            None => Origins::Listed(
                listed
                    .iter()
                    .map(|origin| origin.to_ascii_lowercase())
                    .map(|origin| match origin.split_once('*') {
                        Some((start, end)) => (start.to_owned(), Some(end.to_owned())),
                        None => (origin, None),
                    })
                    .collect(),
            ),
        };
        let or = |given: &[String], usual: &[&str]| -> Vec<String> {
            if given.is_empty() {
                return usual.iter().map(ToString::to_string).collect();
            }
            given.to_vec()
        };
        let mut headers = or(&config.allowed_headers, &["accept", "content-type", "x-requested-with"]);
        let all_headers = headers.iter().any(|name| name == "*");
        headers.iter_mut().for_each(|name| name.make_ascii_lowercase());
        // Some browsers ask for it.
        headers.push("origin".to_owned());
        let mut methods = or(&config.allowed_methods, &["GET", "POST", "HEAD"]);
        methods.iter_mut().for_each(|name| name.make_ascii_uppercase());
        let exposed = config.exposed_headers.join(", ");
        Ok(Self {
            origins,
            headers: (!all_headers).then_some(headers),
            methods,
            credentials: config.allow_credentials,
            exposed: HeaderValue::from_str(&exposed).ok().filter(|value| !value.is_empty()),
            max_age: (config.max_age > 0).then(|| HeaderValue::from(config.max_age)),
            debug: config.debug,
        })
    }

    /// Headers of the answer to a preflight request.
    pub(crate) fn preflight(&self, parts: &Parts) -> HeaderMap {
        const ASKED: &str = "Origin, Access-Control-Request-Method, Access-Control-Request-Headers";
        let mut answer = HeaderMap::new();
        answer.insert(VARY, HeaderValue::from_static(ASKED));
        let Some(origin) = self.origin(parts) else { return answer };
        let method = parts.headers.get(ACCESS_CONTROL_REQUEST_METHOD);
        let Some(method) = method.filter(|method| self.has_method(method.as_bytes())) else {
            self.tell(parts, "the method is not allowed");
            return answer;
        };
        let wanted = parts.headers.get(ACCESS_CONTROL_REQUEST_HEADERS);
        if wanted.is_some_and(|wanted| !self.has_headers(wanted.as_bytes())) {
            self.tell(parts, "a header is not allowed");
            return answer;
        }
        answer.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        answer.insert(ACCESS_CONTROL_ALLOW_METHODS, method.clone());
        if let Some(wanted) = wanted.filter(|wanted| !wanted.is_empty()) {
            answer.insert(ACCESS_CONTROL_ALLOW_HEADERS, wanted.clone());
        }
        if self.credentials {
            answer.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        }
        if let Some(age) = &self.max_age {
            answer.insert(ACCESS_CONTROL_MAX_AGE, age.clone());
        }
        answer
    }

    /// Headers of the answer to any other request.
    pub(crate) fn actual(&self, parts: &Parts) -> HeaderMap {
        let mut answer = HeaderMap::new();
        answer.insert(VARY, HeaderValue::from_static("Origin"));
        let Some(origin) = self.origin(parts) else { return answer };
        if !self.has_method(parts.method.as_str().as_bytes()) {
            self.tell(parts, "the method is not allowed");
            return answer;
        }
        answer.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        if let Some(exposed) = &self.exposed {
            answer.insert(ACCESS_CONTROL_EXPOSE_HEADERS, exposed.clone());
        }
        if self.credentials {
            answer.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        }
        answer
    }

    /// What the answer says of the request's origin, if that is allowed.
    fn origin(&self, parts: &Parts) -> Option<HeaderValue> {
        let origin = parts.headers.get(ORIGIN).filter(|origin| !origin.is_empty())?;
        let text = origin.to_str().ok().filter(|text| text.len() <= LONGEST_ORIGIN);
        if !text.is_some_and(|text| self.origins.allow(text)) {
            self.tell(parts, "the origin is not allowed");
            return None;
        }
        Some(if matches!(self.origins, Origins::All) {
            HeaderValue::from_static("*")
        } else {
            origin.clone()
        })
    }

    fn has_method(&self, method: &[u8]) -> bool {
        method == b"OPTIONS" || self.methods.iter().any(|own| own.as_bytes().eq_ignore_ascii_case(method))
    }

    fn has_headers(&self, wanted: &[u8]) -> bool {
        let Some(allowed) = &self.headers else { return true };
        wanted
            .split(|byte| *byte == b',')
            .map(|name| name.trim_ascii())
            .filter(|name| !name.is_empty())
            .all(|name| allowed.iter().any(|own| own.as_bytes().eq_ignore_ascii_case(name)))
    }

    fn tell(&self, parts: &Parts, why: &str) {
        if self.debug {
            let origin = parts.headers.get(ORIGIN).map(HeaderValue::as_bytes).unwrap_or_default();
            let origin = String::from_utf8_lossy(&origin[..origin.len().min(LONGEST_ORIGIN)]);
            tracing::info!(target: "http", method = parts.method.as_str(), origin = &*origin, "cors: {why}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    fn rules(change: impl FnOnce(&mut rr_config::Cors)) -> Cors {
        let mut config = rr_config::Cors::default();
        change(&mut config);
        Cors::new(&config).expect("rules")
    }

    fn names(list: &[&str]) -> Vec<String> {
        list.iter().map(ToString::to_string).collect()
    }

    fn request(method: &str, headers: &[(&str, &str)]) -> Parts {
        let mut request = Request::builder().method(method);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).expect("a request").into_parts().0
    }

    fn said(answer: &HeaderMap) -> String {
        let mut lines: Vec<String> = answer
            .iter()
            .map(|(name, value)| {
                let name = name.as_str().trim_start_matches("access-control-");
                format!("{name}={}", value.to_str().unwrap_or("?"))
            })
            .collect();
        lines.sort();
        lines.join(" ")
    }

    const PREFLIGHT: &str = "vary=Origin, Access-Control-Request-Method, Access-Control-Request-Headers";

    /// HS-08.
    #[test]
    fn all_origins_are_allowed_unless_some_are_named() {
        let all = rules(|_| ());
        assert_eq!(said(&all.actual(&request("GET", &[]))), "vary=Origin");
        assert_eq!(
            said(&all.actual(&request("GET", &[("origin", "https://a")]))),
            "allow-origin=* vary=Origin"
        );
        assert_eq!(said(&all.actual(&request("PUT", &[("origin", "https://a")]))), "vary=Origin");
        let some = rules(|config| {
            config.allowed_origin = names(&["https://A.example", "https://*.b.example"]);
            config.allow_credentials = true;
            config.exposed_headers = names(&["X-One", "X-Two"]);
        });
        let full = |origin: &str| {
            format!("allow-credentials=true allow-origin={origin} expose-headers=X-One, X-Two vary=Origin")
        };
        for (origin, allowed) in [
            ("https://a.example", true),
            ("HTTPS://A.EXAMPLE", true),
            ("https://x.b.example", true),
            ("https://.b.example", true),
            ("https://b.example", false),
            ("https://a.example.evil.net", false),
            ("https://aXexample", false),
            ("null", false),
        ] {
            let want = if allowed { full(origin) } else { "vary=Origin".to_owned() };
            assert_eq!(said(&some.actual(&request("GET", &[("origin", origin)]))), want, "{origin}");
        }
    }

    /// HS-08: what is written in a list is no pattern, and a pattern is one.
    #[test]
    fn patterns_are_patterns_and_lists_are_not() {
        let listed = rules(|config| config.allowed_origin = names(&["https://(a|b).example", "https://a.+"]));
        assert_eq!(said(&listed.actual(&request("GET", &[("origin", "https://a.example")]))), "vary=Origin");
        let exact = request("GET", &[("origin", "https://(a|b).example")]);
        assert_eq!(said(&listed.actual(&exact)), "allow-origin=https://(a|b).example vary=Origin");
        let matching = rules(|config| {
            config.allowed_origin = names(&["https://listed.example"]);
            config.allowed_origin_regex = Some(r"^https://[a-z]+\.example$".to_owned());
        });
        for (origin, allowed) in [
            ("https://ab.example", true),
            ("https://listed.example", true),
            ("https://ab1example", false),
            ("https://ab.example.net", false),
            ("https://x/https://ab.example", false),
        ] {
            let answer = matching.actual(&request("GET", &[("origin", origin)]));
            assert_eq!(answer.contains_key(ACCESS_CONTROL_ALLOW_ORIGIN), allowed, "{origin}");
        }
        let long = format!("https://{}.example", "a".repeat(600));
        let answer = matching.actual(&request("GET", &[("origin", long.as_str())]));
        assert!(!answer.contains_key(ACCESS_CONTROL_ALLOW_ORIGIN));
    }

    /// HS-08.
    #[test]
    fn preflight_requests_are_told_what_they_may() {
        let rules = rules(|config| {
            config.allowed_methods = names(&["get", "PUT"]);
            config.allowed_headers = names(&["X-Token"]);
            config.max_age = 600;
        });
        let ask = |method: &str, headers: Option<&str>| {
            let mut fields = vec![("origin", "https://a"), ("access-control-request-method", method)];
            fields.extend(headers.map(|headers| ("access-control-request-headers", headers)));
            let parts = request("OPTIONS", &fields);
            assert!(is_preflight(&parts));
            said(&rules.preflight(&parts))
        };
        assert_eq!(ask("PUT", None), format!("allow-methods=PUT allow-origin=* max-age=600 {PREFLIGHT}"));
        assert_eq!(
            ask("PUT", Some("x-token,Origin")),
            format!("allow-headers=x-token,Origin allow-methods=PUT allow-origin=* max-age=600 {PREFLIGHT}")
        );
        assert_eq!(ask("DELETE", None), PREFLIGHT);
        assert_eq!(ask("PUT", Some("x-other")), PREFLIGHT);
        assert_eq!(
            said(&rules.preflight(&request("OPTIONS", &[("access-control-request-method", "PUT")]))),
            PREFLIGHT
        );
        assert!(!is_preflight(&request("OPTIONS", &[("origin", "https://a")])));
        assert!(!is_preflight(&request("GET", &[("access-control-request-method", "PUT")])));
    }

    #[test]
    fn usual_headers_are_allowed_and_all_if_asked_for() {
        let usual = rules(|_| ());
        assert!(usual.has_headers(b"accept, Content-Type,x-requested-with, origin"));
        assert!(!usual.has_headers(b"authorization"));
        assert!(rules(|config| config.allowed_headers = names(&["*"])).has_headers(b"anything, at-all"));
    }
}
