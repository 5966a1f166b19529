//! Arguments and results in the codecs of goridge (rows RP-02, RP-05).

use rr_wire::Flags;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// How an argument or result is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    /// Protobuf.
    Proto,
    /// JSON, of protobuf messages as Go's encoding/json writes them.
    Json,
    /// Bytes as they are.
    Raw,
    /// MessagePack.
    MsgPack,
}

/// A codec that is not served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CodecError;

impl std::fmt::Display for CodecError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(
            "the GOB codec (or a frame that names none) is not supported; use JSON, protobuf, MessagePack or RAW",
        )
    }
}

impl Codec {
    /// The codec that a frame names (RP-02: in this order; none is Go's own, which is not served).
    ///
    /// # Errors
    /// None of ours.
    pub fn of(flags: Flags) -> Result<Self, CodecError> {
        [Self::Proto, Self::Json, Self::Raw, Self::MsgPack]
            .into_iter()
            .find(|codec| flags.has(codec.flag()))
            .ok_or(CodecError)
    }

    /// Its flag in a frame.
    #[must_use]
    pub const fn flag(self) -> Flags {
        match self {
            Self::Proto => Flags::PROTO,
            Self::Json => Flags::JSON,
            Self::Raw => Flags::RAW,
            Self::MsgPack => Flags::MSGPACK,
        }
    }
}

/// What can be an argument or a result.
pub trait Message: Sized {
    /// Reads it.
    ///
    /// # Errors
    /// The text for the caller, RoadRunner's where it has one.
    fn decode(codec: Codec, bytes: &[u8]) -> Result<Self, String>;

    /// Writes it.
    ///
    /// # Errors
    /// The codec cannot carry it.
    fn encode(&self, codec: Codec) -> Result<Vec<u8>, String>;
}

fn wrong(error: impl std::fmt::Display) -> String {
    format!("goridge_read_request_body: {error}")
}

fn unwritable(error: impl std::fmt::Display) -> String {
    format!("goridge_write_response: {error}")
}

const NO_RAW: &str = "unknown Raw payload type";

fn serde_in<T: DeserializeOwned + Default>(codec: Codec, bytes: &[u8]) -> Result<T, String> {
    // RP-05: nothing is the zero value.
    if bytes.is_empty() {
        return Ok(T::default());
    }
    match codec {
        Codec::Json => serde_json::from_slice(bytes).map_err(wrong),
        Codec::MsgPack => rmp_serde::from_slice(bytes).map_err(wrong),
        Codec::Raw => Err(wrong(NO_RAW)),
        Codec::Proto => Err(wrong("message type is not a proto")),
    }
}

fn serde_out<T: Serialize>(value: &T, codec: Codec) -> Result<Vec<u8>, String> {
    match codec {
        Codec::Json => serde_json::to_vec(value).map_err(unwritable),
        Codec::MsgPack => rmp_serde::to_vec_named(value).map_err(unwritable),
        Codec::Raw => Err(unwritable(NO_RAW)),
        Codec::Proto => Err(unwritable("message type is not a proto")),
    }
}

/// A protobuf message; in JSON too.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Proto<T>(pub T);

impl<T: prost::Message + Serialize + DeserializeOwned + Default> Message for Proto<T> {
    fn decode(codec: Codec, bytes: &[u8]) -> Result<Self, String> {
        match codec {
            Codec::Proto => T::decode(bytes).map(Self).map_err(wrong),
            other => serde_in(other, bytes).map(Self),
        }
    }

    fn encode(&self, codec: Codec) -> Result<Vec<u8>, String> {
        match codec {
            Codec::Proto => Ok(self.0.encode_to_vec()),
            other => serde_out(&self.0, other),
        }
    }
}

/// A value that is no protobuf message: a text, a switch, a struct.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plain<T>(pub T);

impl<T: Serialize + DeserializeOwned + Default> Message for Plain<T> {
    fn decode(codec: Codec, bytes: &[u8]) -> Result<Self, String> {
        serde_in(codec, bytes).map(Self)
    }

    fn encode(&self, codec: Codec) -> Result<Vec<u8>, String> {
        serde_out(&self.0, codec)
    }
}

/// Bytes; in JSON as base64, as Go does.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Raw(pub Vec<u8>);

impl Message for Raw {
    fn decode(codec: Codec, bytes: &[u8]) -> Result<Self, String> {
        use base64::Engine as _;
        match codec {
            Codec::Raw => Ok(Self(bytes.to_vec())),
            Codec::MsgPack => {
                // Both forms of bytes.
                let bytes: Bytes = serde_in(codec, bytes)?;
                Ok(Self(bytes.0))
            }
            Codec::Json | Codec::Proto => {
                let text: String = serde_in(codec, bytes)?;
                base64::engine::general_purpose::STANDARD.decode(text).map(Self).map_err(wrong)
            }
        }
    }

    fn encode(&self, codec: Codec) -> Result<Vec<u8>, String> {
        use base64::Engine as _;
        match codec {
            Codec::Raw => Ok(self.0.clone()),
            Codec::MsgPack => serde_out(&Bytes(self.0.clone()), codec),
            Codec::Json | Codec::Proto => {
                serde_out(&base64::engine::general_purpose::STANDARD.encode(&self.0), codec)
            }
        }
    }
}

#[derive(Default, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
struct Bytes(#[serde(with = "raw_bytes")] Vec<u8>);

mod raw_bytes {
    use serde::de::{Error, SeqAccess, Visitor};
    use serde::{Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(bytes)
    }

    struct Any;

    impl<'de> Visitor<'de> for Any {
        type Value = Vec<u8>;
        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("bytes")
        }
        fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
            Ok(bytes.to_vec())
        }
        fn visit_str<E: Error>(self, text: &str) -> Result<Vec<u8>, E> {
            Ok(text.as_bytes().to_vec())
        }
        fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Vec<u8>, A::Error> {
            let mut bytes = Vec::new();
            while let Some(byte) = items.next_element()? {
                bytes.push(byte);
            }
            Ok(bytes)
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        deserializer.deserialize_bytes(Any)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rp_02_codecs_are_found_in_roadrunners_order() {
        assert_eq!(Codec::of(Flags::JSON), Ok(Codec::Json));
        assert_eq!(Codec::of(Flags::JSON.with(Flags::PROTO)), Ok(Codec::Proto));
        assert_eq!(Codec::of(Flags::MSGPACK.with(Flags::RAW)), Ok(Codec::Raw));
        assert_eq!(Codec::of(Flags::GOB), Err(CodecError));
        assert_eq!(Codec::of(Flags::default()), Err(CodecError));
    }

    #[test]
    fn rp_05_values_in_the_codecs_that_can_carry_them() {
        assert_eq!(Plain::<bool>::decode(Codec::Json, b"true"), Ok(Plain(true)));
        assert_eq!(Plain::<String>::decode(Codec::Json, b""), Ok(Plain(String::new())), "nothing is zero");
        let refused = Plain::<bool>::decode(Codec::Proto, b"\x08\x01").expect_err("no message");
        assert_eq!(refused, "goridge_read_request_body: message type is not a proto");
        let refused = Plain::<bool>::decode(Codec::Raw, b"1").expect_err("no bytes");
        assert!(refused.ends_with("unknown Raw payload type"), "{refused}");
        let packed = Plain("x".to_owned()).encode(Codec::MsgPack).expect("packs");
        assert_eq!(Plain::<String>::decode(Codec::MsgPack, &packed), Ok(Plain("x".to_owned())));
        for codec in [Codec::Json, Codec::Raw, Codec::MsgPack] {
            let bytes = Raw(vec![0, 255, 7]);
            let packed = bytes.encode(codec).expect("packs");
            assert_eq!(Raw::decode(codec, &packed), Ok(bytes), "{codec:?}");
        }
        assert_eq!(Raw(b"hi".to_vec()).encode(Codec::Json), Ok(b"\"aGk=\"".to_vec()), "as Go writes bytes");
    }
}
