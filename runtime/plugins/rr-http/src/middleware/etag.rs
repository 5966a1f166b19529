//! The `ETag` of files as RoadRunner makes it (HS-06), so that what browsers have already is still good after a move.

use std::io::{self, Read};

/// The polynomial that RoadRunner has chosen, in reversed bits. No common CRC-32 has it.
const POLYNOMIAL: u32 = 0x48D9_0782;

const TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let (mut crc, mut bit) = (byte as u32, 0);
        while bit < 8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ POLYNOMIAL } else { crc >> 1 };
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
};

fn update(crc: u32, bytes: &[u8]) -> u32 {
    bytes.iter().fold(crc, |crc, byte| TABLE[usize::from(crc as u8 ^ byte)] ^ (crc >> 8))
}

/// `W/"<crc of the name>"`.
pub(crate) fn weak(name: &str) -> String {
    format!("W/\"{}\"", !update(!0, name.as_bytes()))
}

/// `"<length>-<crc of the content>"`; `None`: it is empty.
///
/// # Errors
/// It cannot be read.
pub(crate) fn strong(mut content: impl Read) -> io::Result<Option<String>> {
    let (mut crc, mut length) = (!0, 0_u64);
    let mut piece = vec![0; 64 * 1024];
    loop {
        match content.read(&mut piece) {
            Ok(0) => break,
            Ok(count) => {
                crc = update(crc, &piece[..count]);
                length += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    // RoadRunner's length has 32 bits.
    Ok((length > 0).then(|| format!("\"{}-{}\"", length as u32, !crc)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition, bit by bit.
    fn slow(bytes: &[u8]) -> u32 {
        let mut crc = !0_u32;
        for byte in bytes {
            crc ^= u32::from(*byte);
            for _ in 0..8 {
                crc = if crc & 1 == 1 { (crc >> 1) ^ POLYNOMIAL } else { crc >> 1 };
            }
        }
        !crc
    }

    /// HS-06.
    #[test]
    fn tags_are_those_of_roadrunner() {
        assert_eq!(weak("sample.txt"), format!("W/\"{}\"", slow(b"sample.txt")));
        let strong = |text: &str| strong(text.as_bytes()).expect("it is read");
        assert_eq!(strong("hello"), Some(format!("\"5-{}\"", slow(b"hello"))));
        assert_eq!(strong(""), None);
        let long = "0123456789".repeat(20_000);
        assert_eq!(strong(&long), Some(format!("\"200000-{}\"", slow(long.as_bytes()))));
    }
}
