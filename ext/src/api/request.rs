//! `RoadRunner\Request`: a view of the request's bytes; PHP values are made when asked for.

use super::exceptions::{self, Cause, of_session};
use super::{Text, server_params};
use crate::role::session;
use crate::zend;
use ext_php_rs::boxed::ZBox;
use ext_php_rs::prelude::*;
use ext_php_rs::types::{ZendHashTable, Zval};
use rr_wire::http::RequestView;
use rr_worker::Unit;

/// An HTTP request.
///
/// Its values are made when they are asked for. It stays usable after the response, but what had not been read of
/// a long body by then is gone.
#[php_class]
#[php(name = "RoadRunner\\Request")]
#[php(flags = ext_php_rs::flags::ClassFlags::Final)]
pub struct Request {
    sequence: u32,
    payload: Vec<u8>,
    context: usize,
    /// Bytes of the inline body that `read()` has given out.
    taken: usize,
    more: bool,
    /// What `form()` and `files()` give, once one of them was asked for.
    parsed: Option<(Zval, Zval)>,
}

impl Request {
    /// The request of a unit; `None` when its context is not one, which only a broken master sends.
    pub(crate) fn new(unit: Unit) -> Option<Self> {
        RequestView::parse(unit.payload.get(..unit.context)?).ok()?;
        let Unit { sequence, payload, context, more, .. } = unit;
        Some(Self { sequence, payload, context, taken: 0, more, parsed: None })
    }

    fn head(&self) -> RequestView<'_> {
        RequestView::trusted(&self.payload[..self.context])
    }

    fn target(&self) -> (&[u8], &[u8]) {
        let target = self.head().target();
        match target.iter().position(|byte| *byte == b'?') {
            Some(mark) => (&target[..mark], &target[mark + 1..]),
            None => (target, b""),
        }
    }

    /// Reads the body to its end.
    fn collect(&mut self) -> PhpResult<()> {
        let limit = zend::memory_limit();
        while let Some(piece) = self.pull()? {
            // It is collected outside of PHP's memory first.
            if limit.is_some_and(|limit| self.payload.len() + piece.len() > limit) {
                let text = "the request body is larger than memory_limit; read() takes it in pieces";
                return Err(exceptions::of(Cause::Other, text));
            }
            self.payload.extend_from_slice(&piece);
        }
        Ok(())
    }

    /// Fields and files of the body.
    fn parse(&mut self) -> PhpResult<&(Zval, Zval)> {
        if self.parsed.is_none() {
            let kind =
                self.head().headers().find(|(name, _)| *name == b"content-type").map(|(_, value)| value);
            let kind = kind.unwrap_or_default();
            let end = kind.iter().position(|byte| b"; ,".contains(byte)).unwrap_or(kind.len());
            let encoded = kind[..end].eq_ignore_ascii_case(b"application/x-www-form-urlencoded");
            let form = self.head().form();
            if form || encoded {
                self.collect()?;
            }
            let body = &self.payload[self.context..];
            self.parsed = Some(match (form, encoded) {
                (true, _) => zend::form(body),
                (false, true) => (zend::parse_query(body), Zval::new_array()),
                (false, false) => (Zval::new_array(), Zval::new_array()),
            });
        }
        self.parsed.as_ref().ok_or_else(|| exceptions::of(Cause::Other, "the form was not parsed"))
    }

    /// The next piece of the body from the channel.
    fn pull(&mut self) -> PhpResult<Option<Vec<u8>>> {
        if !self.more {
            return Ok(None);
        }
        let sequence = self.sequence;
        let piece = session::with(|session| {
            if session.unit() == sequence && session.is_open() { session.read_body() } else { Ok(None) }
        })?;
        let piece = piece.map_err(|error| of_session(&error))?;
        self.more = piece.is_some();
        Ok(piece)
    }
}

#[php_impl]
impl Request {
    /// The method: `GET`, `POST`, …
    pub fn method(&self) -> Text {
        Text::new(self.head().method())
    }

    /// The absolute URI: scheme, host, path and query as the client sent them.
    pub fn uri(&self) -> Text {
        let head = self.head();
        let scheme: &[u8] = if head.https() { b"https://" } else { b"http://" };
        Text::new([scheme, head.authority(), head.target()].concat())
    }

    /// The path, still percent-encoded, without the query.
    pub fn path(&self) -> Text {
        Text::new(self.target().0)
    }

    /// What stands behind the `?`, undecoded; empty without one.
    pub fn query_string(&self) -> Text {
        Text::new(self.target().1)
    }

    /// The query as `parse_str()` gives it.
    ///
    /// @return array<int|string, mixed>
    pub fn query(&self) -> ArrayValue {
        ArrayValue(zend::parse_query(self.target().1))
    }

    /// The host and port the client asked for.
    pub fn host(&self) -> Text {
        Text::new(self.head().authority())
    }

    /// The header of this name in any case, several joined by `, `; null without one.
    pub fn header(&self, name: &str) -> Option<Text> {
        let mut values = self.head().headers().filter(|(key, _)| key.eq_ignore_ascii_case(name.as_bytes()));
        let (_, first) = values.next()?;
        let mut text = first.to_vec();
        for (_, value) in values {
            text.extend_from_slice(b", ");
            text.extend_from_slice(value);
        }
        Some(Text::new(text))
    }

    /// All headers, names in lower case.
    ///
    /// @return array<string, list<string>>
    pub fn headers(&self) -> PhpResult<ZBox<ZendHashTable>> {
        let mut all = ZendHashTable::new();
        for (name, value) in self.head().headers() {
            let name = String::from_utf8_lossy(name);
            if let Some(list) = all.get_mut(&*name).and_then(Zval::array_mut) {
                list.push(Text::new(value))?;
            } else {
                let mut list = ZendHashTable::new();
                list.push(Text::new(value))?;
                all.insert(&*name, list)?;
            }
        }
        Ok(all)
    }

    /// The cookies, decoded; of several with one name the last.
    ///
    /// @return array<string, string>
    pub fn cookies(&self) -> PhpResult<ZBox<ZendHashTable>> {
        let mut all = ZendHashTable::new();
        for (_, line) in self.head().headers().filter(|(name, _)| *name == b"cookie") {
            for (name, value) in rr_wire::cookie::pairs(line) {
                all.insert(&*String::from_utf8_lossy(name), Text::new(value))?;
            }
        }
        Ok(all)
    }

    /// The fields of a form, `application/x-www-form-urlencoded` or `multipart/form-data`, as `$_POST` has them; empty
    /// for other bodies. PHP's limits hold, such as `max_input_vars`.
    ///
    /// @return array<int|string, mixed>
    /// @throws ClientGoneException the client went away inside the body
    pub fn form(&mut self) -> PhpResult<ArrayValue> {
        Ok(ArrayValue(self.parse()?.0.shallow_clone()))
    }

    /// The files of a form, nested as their names say; each is an array of name, full_path, type, tmp_name, error
    /// (`UPLOAD_ERR_*`) and size. They are removed when the request is over; `move_uploaded_file()` keeps one.
    ///
    /// @return array<int|string, mixed>
    /// @throws ClientGoneException the client went away inside the body
    pub fn files(&mut self) -> PhpResult<ArrayValue> {
        Ok(ArrayValue(self.parse()?.1.shallow_clone()))
    }

    /// The whole body; empty for a form with files, which the server has parsed. A long one is read to its end first.
    ///
    /// @throws ClientGoneException the client went away inside the body
    pub fn body(&mut self) -> PhpResult<Text> {
        if self.head().form() {
            return Ok(Text::new(b""));
        }
        self.collect()?;
        Ok(Text::new(&self.payload[self.context..]))
    }

    /// The next piece of the body, up to `$length` bytes of what has arrived; null at its end. A body of any length
    /// can be read this way in constant memory. Waits while nothing has arrived.
    ///
    /// @throws ClientGoneException the client went away inside the body
    #[php(defaults(length = 65536))]
    pub fn read(&mut self, length: i64) -> PhpResult<Option<Text>> {
        if self.head().form() {
            return Ok(None);
        }
        let length = usize::try_from(length).unwrap_or(0).max(1);
        if self.context + self.taken == self.payload.len() {
            let Some(piece) = self.pull()? else { return Ok(None) };
            self.payload.truncate(self.context);
            self.payload.extend_from_slice(&piece);
            self.taken = 0;
        }
        let rest = &self.payload[self.context + self.taken..];
        let piece = &rest[..rest.len().min(length)];
        let text = Text::new(piece);
        self.taken += piece.len();
        Ok(Some(text))
    }

    /// The client's address without a port; empty on a unix socket.
    pub fn remote_address(&self) -> Text {
        Text::new(self.head().remote())
    }

    /// `HTTP/1.0`, `HTTP/1.1`, `HTTP/2.0` or `HTTP/3.0`.
    pub fn protocol(&self) -> &'static str {
        match self.head().version() {
            10 => "HTTP/1.0",
            20 => "HTTP/2.0",
            30 => "HTTP/3.0",
            _ => "HTTP/1.1",
        }
    }

    /// Whether the client's connection is encrypted.
    pub fn is_secure(&self) -> bool {
        self.head().https()
    }

    /// What `$_SERVER` would hold of this request: `REQUEST_METHOD`, `REQUEST_URI`, `REMOTE_ADDR`, `HTTP_*` and the
    /// like, with the names and values of php-fpm.
    ///
    /// @return array<string, string|int|float>
    pub fn server(&self) -> PhpResult<ZBox<ZendHashTable>> {
        Ok(server_params::of(&self.head(), std::time::SystemTime::now())?)
    }

    /// Whether the client has gone away, so that nobody reads the response.
    pub fn is_cancelled(&self) -> bool {
        session::with(|session| session.unit() == self.sequence && session.is_cancelled()).unwrap_or(false)
    }
}

/// A PHP array that C has made.
pub struct ArrayValue(Zval);

impl ext_php_rs::convert::IntoZval for ArrayValue {
    const TYPE: ext_php_rs::flags::DataType = ext_php_rs::flags::DataType::Array;
    const NULLABLE: bool = false;

    fn set_zval(self, zv: &mut Zval, _persistent: bool) -> ext_php_rs::error::Result<()> {
        *zv = self.0;
        Ok(())
    }
}
