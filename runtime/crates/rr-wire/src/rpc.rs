//! Goridge RPC frames (rows RP-01…08): two options, sequence and method length; the payload is the method name
//! followed by the argument. On the call lane, sequence 0 marks a message that wants no reply.

use crate::frame::{Flags, Header};
use thiserror::Error;

/// The sequence of a message that wants no reply.
pub const ONE_WAY: u32 = 0;

/// The longest argument or result of a call on the call lane, in bytes. What does not fit one frame comes in several:
/// all but the last with the STREAM bit, the method's name in the first.
pub const MAX_BODY: usize = 64 << 20;

/// Why a frame is not an RPC frame.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CallError {
    /// RP-01, with RoadRunner's text.
    #[error("goridge_read_request_header: should be 2 options. SEQ_ID and METHOD_LEN")]
    Options,
    /// FR-13: the Go server panics here.
    #[error("a method name of {method} bytes in a payload of {payload}")]
    Method {
        /// The declared length.
        method: u32,
        /// The length of the payload.
        payload: usize,
    },
    /// The method name is not UTF-8.
    #[error("the method name is not UTF-8")]
    Encoding,
}

/// An RPC request or reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Call<'a> {
    /// Ties the reply to the request.
    pub sequence: u32,
    /// `informer.Workers`, …
    pub method: &'a str,
    /// Argument, result or error text.
    pub body: &'a [u8],
    /// RP-04: the body is an error text.
    pub failed: bool,
}

impl<'a> Call<'a> {
    /// Splits the payload of a frame.
    ///
    /// # Errors
    /// The options or lengths are not those of an RPC frame.
    pub fn parse(header: &Header, payload: &'a [u8]) -> Result<Self, CallError> {
        let &[sequence, length] = header.options() else { return Err(CallError::Options) };
        let (method, body) = payload
            .split_at_checked(length as usize)
            .ok_or(CallError::Method { method: length, payload: payload.len() })?;
        let method = std::str::from_utf8(method).map_err(|_| CallError::Encoding)?;
        Ok(Self { sequence, method, body, failed: header.flags.has(Flags::ERROR) })
    }

    /// The options of the frame that carries this call.
    #[must_use]
    pub fn options(&self) -> [u32; 2] {
        [self.sequence, u32::try_from(self.method.len()).unwrap_or(u32::MAX)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::Bits;

    #[test]
    fn rp_01_method_and_body_are_split_by_the_second_option() {
        let header = Header::new(Flags::JSON, Bits::default(), &[1, 11], 15);
        let call = Call::parse(&header, b"rpc.Versiontrue").expect("parses");
        assert_eq!(
            (call.sequence, call.method, call.body, call.failed),
            (1, "rpc.Version", &b"true"[..], false)
        );
        assert_eq!(call.options(), [1, 11]);
    }

    #[test]
    fn rp_01_other_option_counts_are_refused_with_roadrunners_text() {
        let header = Header::new(Flags::JSON, Bits::default(), &[1], 4);
        let error = Call::parse(&header, b"abcd").expect_err("refused");
        assert_eq!(
            error.to_string(),
            "goridge_read_request_header: should be 2 options. SEQ_ID and METHOD_LEN"
        );
    }

    #[test]
    fn fr_13_a_method_longer_than_the_payload_is_refused() {
        let header = Header::new(Flags::JSON, Bits::default(), &[1, 9], 4);
        assert_eq!(Call::parse(&header, b"abcd"), Err(CallError::Method { method: 9, payload: 4 }));
    }
}
