//! How a plugin has its units of work traced. Knows nothing of who collects spans, nor of their format.

use std::fmt::Debug;

/// A value of an attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value<'a> {
    /// A text.
    Text(&'a str),
    /// A whole number.
    Number(i64),
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for Value<'_> {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

impl From<u16> for Value<'_> {
    fn from(number: u16) -> Self {
        Self::Number(number.into())
    }
}

/// Makes spans.
pub trait Tracer: Send + Sync + Debug {
    /// The names of headers that carry a context, in small letters: all of one name are joined by commas.
    fn carriers(&self) -> &'static [&'static str];

    /// Begins the span of a unit of work that a client has asked for. `carried` is what the headers of
    /// [`Tracer::carriers`] say, in their order.
    fn begin(&self, name: &str, carried: &[Option<String>]) -> Box<dyn Span>;
}

/// A span; ends when it is dropped.
pub trait Span: Send + Debug {
    /// Whether somebody will see it: without that, attributes need not be gathered.
    fn is_recorded(&self) -> bool;

    /// The headers by which others carry on from here, with their values. They take the place of those that came.
    fn carry(&self) -> Vec<(&'static str, String)>;

    /// Sets an attribute.
    fn set(&mut self, key: &'static str, value: Value<'_>);

    /// The unit has failed: `kind` is one of few (`error.type`), `text` says more and may be empty.
    fn fail(&mut self, kind: &str, text: &str);
}
