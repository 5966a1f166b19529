//! Forms, queries and cookies made of what their parsers look for, in random order: the same numbers give the same bytes.

use crate::Case;
use e2e::compare::request;

/// What parsers of names and values look at.
const PIECES: [&str; 30] = [
    "a",
    "b",
    "=",
    "=",
    "&",
    "&",
    "[",
    "]",
    "[]",
    "[x]",
    "[0]",
    "%5B",
    "%5d",
    "%00",
    "%",
    "%4",
    "%zz",
    "+",
    "%20",
    ".",
    "_",
    ";",
    "%3D",
    "%26",
    "%ff",
    "0",
    "-1",
    "[[",
    "]]",
    "a[b][c][d][e][f]=1&",
];
/// Bytes that only a body can have.
const RAW: [&[u8]; 6] = [b"\0", b"\xff", b"\r\n", b" ", b"\t", b"\xc3\xa9"];
/// What separates cookies.
const BETWEEN: [&str; 4] = ["; ", ";", " ;", ", "];

struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        // Numerical Recipes' generator; the high bits are the better ones.
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap_or(0) % limit
    }

    fn text(&mut self, most: usize) -> String {
        let count = 1 + self.below(most);
        (0..count).map(|_| PIECES[self.below(PIECES.len())]).collect()
    }

    fn body(&mut self) -> Vec<u8> {
        let count = 1 + self.below(30);
        let piece = |random: &mut Self| match random.below(8) {
            0 => RAW[random.below(RAW.len())].to_vec(),
            _ => PIECES[random.below(PIECES.len())].as_bytes().to_vec(),
        };
        (0..count).flat_map(|_| piece(self)).collect()
    }

    fn cookies(&mut self) -> String {
        let count = 1 + self.below(4);
        (0..count).map(|_| self.text(5) + BETWEEN[self.below(BETWEEN.len())]).collect()
    }
}

/// So many requests.
pub(crate) fn cases(count: usize) -> Vec<Case> {
    let mut random = Random(20_240_607);
    let case = |number| {
        let (query, cookies, body) = (random.text(12), random.cookies(), random.body());
        let headers = format!("Cookie: {cookies}\r\nContent-Type: application/x-www-form-urlencoded\r\n");
        let bytes = request("POST", &format!("/dump.php?{query}"), &headers, &body);
        Case::new(format!("{number}: {query} | {cookies} | {}", body.escape_ascii()), bytes)
    };
    (0..count).map(case).collect()
}
