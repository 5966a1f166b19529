//! Values in storages that others read too: as clients of RoadRunner store them, `serialize()` by default. A value that may
//! be stale is ours alone and carries a mark.

use crate::php;
use rr_wire::kv::kind;

/// In front of the kind and the bytes of a value that may be stale.
const STALE: &[u8] = b"\0rr-stale\0";

/// A value as it is stored.
pub(crate) fn stored(kind: u32, value: &[u8]) -> Vec<u8> {
    if kind & kind::STALE == 0 {
        return php::serialized(kind, value);
    }
    [STALE, &kind.to_le_bytes(), value].concat()
}

/// Kind and value of what is stored.
pub(crate) fn read(stored: Vec<u8>) -> (u32, Vec<u8>) {
    let marked = stored.strip_prefix(STALE).and_then(<[u8]>::split_first_chunk::<4>);
    match marked {
        Some((kind, value)) => (u32::from_le_bytes(*kind), value.to_vec()),
        None => (kind::BYTES, stored),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_there_and_back() {
        let there_and_back = |kind, value: &[u8]| read(stored(kind, value));
        assert_eq!(there_and_back(kind::INT, &5_i64.to_le_bytes()), (kind::BYTES, b"i:5;".to_vec()));
        assert_eq!(there_and_back(kind::BYTES, b"\0x"), (kind::BYTES, b"\0x".to_vec()));
        let stale = kind::STALE | kind::STRING;
        assert_eq!(there_and_back(stale, b"12345678x"), (stale, b"12345678x".to_vec()));
        assert_eq!(read(b"\0rr-stale\0ab".to_vec()).0, kind::BYTES, "cut off");
    }
}
