//! Values of PHP as clients of RoadRunner's RPC have them: their default serializer is `serialize()`.

use rr_wire::kv::kind;

/// A native value in the form that `unserialize()` reads; bytes and what is serialized already are as they are.
pub(crate) fn serialized(kind: u32, value: &[u8]) -> Vec<u8> {
    let (kind, value) = match kind & kind::STALE {
        0 => (kind, value),
        _ => (kind & !kind::STALE, value.get(8..).unwrap_or_default()),
    };
    let word = value.first_chunk::<8>().copied().unwrap_or_default();
    match kind {
        kind::INT => format!("i:{};", i64::from_le_bytes(word)).into_bytes(),
        kind::FLOAT => format!("d:{};", float(f64::from_le_bytes(word))).into_bytes(),
        kind::BOOL => format!("b:{};", u8::from(value.first().is_some_and(|byte| *byte != 0))).into_bytes(),
        kind::NULL => b"N;".to_vec(),
        kind::STRING => {
            let mut text = format!("s:{}:\"", value.len()).into_bytes();
            text.extend_from_slice(value);
            text.extend_from_slice(b"\";");
            text
        }
        _ => value.to_vec(),
    }
}

fn float(number: f64) -> String {
    if number.is_nan() {
        "NAN".to_owned()
    } else if number.is_infinite() {
        if number > 0.0 { "INF" } else { "-INF" }.to_owned()
    } else {
        format!("{number:?}")
    }
}

/// A whole number in digits, or as `serialize()` writes it.
pub(crate) fn number(value: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(value).ok()?;
    let digits = text.strip_prefix("i:").and_then(|rest| rest.strip_suffix(';')).unwrap_or(text);
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_what_unserialize_reads() {
        for (kind, value, text) in [
            (kind::INT, &(-5_i64).to_le_bytes()[..], "i:-5;"),
            (kind::FLOAT, &0.1_f64.to_le_bytes(), "d:0.1;"),
            (kind::FLOAT, &1e30_f64.to_le_bytes(), "d:1e30;"),
            (kind::FLOAT, &f64::NEG_INFINITY.to_le_bytes(), "d:-INF;"),
            (kind::BOOL, &[1], "b:1;"),
            (kind::NULL, &[], "N;"),
            (kind::STRING, "hé".as_bytes(), "s:3:\"hé\";"),
            (kind::SERIALIZED, b"a:0:{}", "a:0:{}"),
            (kind::BYTES, b"x", "x"),
            (kind::STALE | kind::STRING, b"12345678x", "s:1:\"x\";"),
        ] {
            assert_eq!(String::from_utf8_lossy(&serialized(kind, value)), text);
        }
        assert_eq!(
            (number(b"17"), number(b"i:-3;"), number(b"1.5"), number(b"")),
            (Some(17), Some(-3), None, None)
        );
    }
}
