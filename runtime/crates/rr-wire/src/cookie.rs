//! `Cookie` headers (RFC 6265, 4.2) with values as forms encode them (HTTP-07).

/// The cookies of a header's value in order: names as they are, values decoded. What has no `=` is a name, and
/// what has no name is none, as PHP and Go read it.
pub fn pairs(line: &[u8]) -> impl Iterator<Item = (&[u8], Vec<u8>)> {
    raw(line).map(|(name, value)| (name, decode(value)))
}

/// The same with values as they were sent.
pub fn raw(line: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let pairs = line.split(|byte| *byte == b';').map(<[u8]>::trim_ascii).map(|pair| {
        let mark = pair.iter().position(|byte| *byte == b'=').unwrap_or(pair.len());
        (&pair[..mark], pair.get(mark + 1..).unwrap_or_default())
    });
    pairs.filter(|(name, _)| !name.is_empty())
}

/// Percent-decoding, `+` is a space; what is no escape stays as it is.
#[must_use]
pub fn decode(text: &[u8]) -> Vec<u8> {
    let digit = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        match (byte, digit(text.get(at + 1)), digit(text.get(at + 2))) {
            (b'%', Some(high), Some(low)) => {
                out.push((high * 16 + low).to_le_bytes()[0]);
                at += 3;
                continue;
            }
            (b'+', ..) => out.push(b' '),
            (other, ..) => out.push(*other),
        }
        at += 1;
    }
    out
}

/// Feeds arbitrary bytes to the parser: what comes out is never longer than what went in.
pub fn fuzz(data: &[u8]) {
    let sum: usize = pairs(data).map(|(name, value)| name.len() + value.len()).sum();
    assert!(sum <= data.len());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_decoded_and_names_are_not() {
        let line = b" a=1; b%20=x%20y+z%zz%4; none; =empty; a=2;";
        let found: Vec<(&[u8], Vec<u8>)> = pairs(line).collect();
        let expected: [(&[u8], &[u8]); 4] =
            [(b"a", b"1"), (b"b%20", b"x y z%zz%4"), (b"none", b""), (b"a", b"2")];
        assert_eq!(found, expected.map(|(name, value)| (name, value.to_vec())));
    }

    proptest::proptest! {
        #[test]
        fn any_header_is_survived(data: Vec<u8>) {
            fuzz(&data);
        }
    }
}
