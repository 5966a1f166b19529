//! Bodies of requests, wherever they come from, and heads of protocols with streams as those of HTTP/1.1.

use crate::service::Refusal;
use bytes::{Bytes, BytesMut};
use http::header::{COOKIE, HOST, HeaderValue};
use http::{Request, StatusCode, Uri};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::sync::mpsc;

/// The client went away inside its body, or it is not what was promised.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Gone;

/// The body of a request.
#[derive(Debug)]
pub(crate) enum Inbound {
    /// Of HTTP/1 or 2.
    Hyper(Incoming),
    /// Of a protocol that hyper does not speak.
    Fed(Fed),
}

/// A body that comes piece by piece; an empty one is its end.
#[derive(Debug)]
pub(crate) struct Fed {
    pieces: mpsc::Receiver<Bytes>,
    /// What is still to come, where the client has said so.
    left: Option<u64>,
    done: bool,
}

impl Fed {
    /// A body, and where its pieces are put. `length`: what the client has said.
    pub(crate) fn new(length: Option<u64>) -> (mpsc::Sender<Bytes>, Self) {
        let (feeder, pieces) = mpsc::channel(1);
        (feeder, Self { pieces, left: length, done: length == Some(0) })
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Gone>>> {
        if self.done {
            return Poll::Ready(None);
        }
        let Some(piece) = ready!(self.pieces.poll_recv(cx)) else {
            self.done = true;
            return Poll::Ready(Some(Err(Gone)));
        };
        let length = piece.len() as u64;
        let fits = match &mut self.left {
            None => true,
            Some(left) if piece.is_empty() => *left == 0,
            Some(left) => left.checked_sub(length).map(|rest| *left = rest).is_some(),
        };
        self.done = piece.is_empty() || !fits;
        Poll::Ready(match (fits, piece.is_empty()) {
            (false, _) => Some(Err(Gone)),
            (true, true) => None,
            (true, false) => Some(Ok(piece)),
        })
    }
}

impl Body for Inbound {
    type Data = Bytes;
    type Error = Gone;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Gone>>> {
        match self.get_mut() {
            Self::Hyper(body) => {
                Pin::new(body).poll_frame(cx).map(|frame| frame.map(|frame| frame.map_err(|_| Gone)))
            }
            Self::Fed(body) => body.poll(cx).map(|piece| piece.map(|piece| piece.map(Frame::data))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Hyper(body) => body.is_end_stream(),
            Self::Fed(body) => body.done,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Hyper(body) => body.size_hint(),
            Self::Fed(body) => body.left.map_or_else(SizeHint::default, SizeHint::with_exact),
        }
    }
}

/// Makes the head of a request of HTTP/2 or 3 what everything behind expects: the authority is the header `Host`, the
/// target has no origin, and cookies are one header (RFC 9113, 8.2.3 and 8.3.1).
pub(crate) fn headers_of_streams<B>(request: &mut Request<B>, most: usize) -> Result<(), Refusal> {
    let bad = |text| Refusal::Status(StatusCode::BAD_REQUEST, text);
    // hyper counts those of HTTP/1.
    if request.headers().len() > most {
        let text = "more header fields than http.max_headers";
        return Err(Refusal::Status(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, text));
    }
    if let Some(authority) = request.uri().authority() {
        if authority.as_str().contains('@') {
            return Err(bad("the authority names a user"));
        }
        let said =
            HeaderValue::from_str(authority.as_str()).map_err(|_| bad("the authority is malformed"))?;
        if request.headers().get(HOST).is_some_and(|host| host != said) {
            return Err(bad("the Host header is not the authority"));
        }
        request.headers_mut().insert(HOST, said);
        let target = request.uri().path_and_query().cloned();
        let target = target.map_or_else(
            || Ok(Uri::from_static("/")),
            |target| Uri::builder().path_and_query(target).build(),
        );
        *request.uri_mut() = target.map_err(|_| bad("the path is malformed"))?;
    }
    let mut cookies = request.headers().get_all(COOKIE).iter();
    if let (Some(first), Some(second)) = (cookies.next(), cookies.next()) {
        let mut whole = BytesMut::from(first.as_bytes());
        for cookie in std::iter::once(second).chain(cookies) {
            whole.extend_from_slice(b"; ");
            whole.extend_from_slice(cookie.as_bytes());
        }
        let whole =
            HeaderValue::from_maybe_shared(whole.freeze()).map_err(|_| bad("a cookie is malformed"))?;
        request.headers_mut().insert(COOKIE, whole);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::Waker;

    fn collect(length: Option<u64>, pieces: &[&'static str], end: bool) -> Result<String, Gone> {
        let (feeder, mut body) = Fed::new(length);
        let mut cx = Context::from_waker(Waker::noop());
        let mut text = String::new();
        let mut rest = pieces.iter().copied().chain(end.then_some(""));
        let mut feeder = Some(feeder);
        loop {
            match (rest.next(), &feeder) {
                // Nobody takes what comes behind the end.
                (Some(piece), Some(feeder)) => drop(feeder.try_send(Bytes::from(piece))),
                _ => feeder = None,
            }
            match body.poll(&mut cx) {
                Poll::Pending => panic!("a body that stands still"),
                Poll::Ready(None) => return Ok(text),
                Poll::Ready(Some(Err(gone))) => return Err(gone),
                Poll::Ready(Some(Ok(piece))) => text.push_str(std::str::from_utf8(&piece).expect("text")),
            }
        }
    }

    #[test]
    fn a_body_is_as_long_as_was_said_or_none() {
        assert_eq!(collect(None, &["a", "bc"], true).expect("whole"), "abc");
        assert_eq!(collect(Some(3), &["a", "bc"], true).expect("whole"), "abc");
        assert_eq!(collect(Some(0), &[], false).expect("whole"), "");
        assert!(collect(None, &["a"], false).is_err(), "no end");
        assert!(collect(Some(3), &["a"], true).is_err(), "too short");
        assert!(collect(Some(1), &["a", "b"], true).is_err(), "too long");
    }

    #[test]
    fn heads_of_streams_look_like_those_of_http_1() {
        let request = Request::get("https://a.example:1/x?y=1").header(COOKIE, "a=1").header(COOKIE, "b=2");
        let mut request = request.body(()).expect("a request");
        assert!(headers_of_streams(&mut request, 2).is_ok());
        assert_eq!(
            (request.uri().to_string(), &request.headers()[HOST]),
            ("/x?y=1".to_owned(), &HeaderValue::from_static("a.example:1"))
        );
        assert_eq!(request.headers().get_all(COOKIE).iter().collect::<Vec<_>>(), ["a=1; b=2"]);
        let mut request = Request::get("https://a/").header(HOST, "b").body(()).expect("a request");
        assert!(headers_of_streams(&mut request, 100).is_err());
        let mut request = Request::get("https://me@a/").body(()).expect("a request");
        assert!(headers_of_streams(&mut request, 100).is_err());
        let mut request =
            Request::get("https://a/").header("a", "b").header("c", "d").body(()).expect("a request");
        assert!(headers_of_streams(&mut request, 1).is_err());
    }
}
