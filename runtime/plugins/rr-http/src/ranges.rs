//! Ranges of a file (RFC 9110, 14): what a client wants, made to what is worth sending. Pure.

/// Ranges that one request may ask for; with more of them the whole is sent.
const MOST: usize = 16;

/// Bytes of a file, the last one included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) from: u64,
    pub(crate) to: u64,
}

impl Part {
    pub(crate) fn length(self) -> u64 {
        self.to - self.from + 1
    }

    /// Both have a byte in common, or none is between them.
    fn meets(self, other: Self) -> bool {
        self.from <= other.to.saturating_add(1) && other.from <= self.to.saturating_add(1)
    }

    /// The value of `Content-Range`.
    pub(crate) fn of(self, size: u64) -> String {
        format!("bytes {}-{}/{size}", self.from, self.to)
    }
}

/// What a `Range` header asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// The whole, or nothing that can be understood.
    All,
    /// At least one part. No byte is in two of them.
    Parts(Vec<Part>),
    /// Nothing that the file has.
    Impossible,
}

/// Reads a `Range` header for a file of `size` bytes. What is malformed asks for the whole (RFC 9110, 14.2). Parts stay
/// in the client's order; those that overlap become one.
pub(crate) fn parse(text: &str, size: u64) -> Wanted {
    let text = text.trim();
    let unit = text.get(..6).filter(|unit| unit.eq_ignore_ascii_case("bytes="));
    let Some(set) = unit.and_then(|unit| text.get(unit.len()..)) else { return Wanted::All };
    let specs = set.split(',').map(|spec| spec.trim_matches([' ', '\t'])).filter(|spec| !spec.is_empty());
    let mut parts: Vec<Part> = Vec::new();
    let (mut seen, mut asked) = (0, 0u64);
    for spec in specs {
        seen += 1;
        if seen > MOST {
            return Wanted::All;
        }
        match one(spec, size) {
            Err(()) => return Wanted::All,
            Ok(None) => {}
            Ok(Some(part)) => {
                asked = asked.saturating_add(part.length());
                add(&mut parts, part);
            }
        }
    }
    match (seen, parts.is_empty()) {
        // As nginx: nobody needs more than there is.
        _ if seen == 0 || asked > size => Wanted::All,
        (_, true) => Wanted::Impossible,
        (_, false) => Wanted::Parts(parts),
    }
}

/// One range; `None`: the file has nothing of it.
fn one(spec: &str, size: u64) -> Result<Option<Part>, ()> {
    let (first, last) = spec.split_once('-').ok_or(())?;
    let number = |text: &str| match text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        true => Err(()),
        // What is too large for a number is behind every end.
        false => Ok(text.parse::<u64>().unwrap_or(u64::MAX)),
    };
    let (from, to) = match (first, last) {
        ("", count) => match number(count)? {
            0 => return Ok(None),
            count => (size.saturating_sub(count), u64::MAX),
        },
        (from, "") => (number(from)?, u64::MAX),
        (from, to) => (number(from)?, number(to)?),
    };
    if from > to {
        return Err(());
    }
    Ok((from < size).then(|| Part { from, to: to.min(size - 1) }))
}

fn add(parts: &mut Vec<Part>, mut part: Part) {
    let mut at = parts.len();
    while let Some(met) = parts.iter().position(|other| other.meets(part)) {
        let other = parts.remove(met);
        part = Part { from: part.from.min(other.from), to: part.to.max(other.to) };
        at = at.min(met);
    }
    parts.insert(at.min(parts.len()), part);
}

/// Feeds arbitrary bytes to the parser of ranges: the first two are the file's size.
pub fn fuzz(data: &[u8]) {
    let (size, text) = match data {
        [a, b, text @ ..] => (u64::from(u16::from_le_bytes([*a, *b])), text),
        text => (1000, text),
    };
    let Wanted::Parts(parts) = parse(&String::from_utf8_lossy(text), size) else { return };
    assert!(!parts.is_empty() && parts.len() <= MOST);
    assert!(parts.iter().all(|part| part.from <= part.to && part.to < size));
    for (at, part) in parts.iter().enumerate() {
        assert!(parts[..at].iter().all(|other| !other.meets(*part)), "{parts:?}");
    }
    assert!(parts.iter().map(|part| part.length()).sum::<u64>() <= size);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(all: &[(u64, u64)]) -> Wanted {
        Wanted::Parts(all.iter().map(|(from, to)| Part { from: *from, to: *to }).collect())
    }

    #[test]
    fn ranges_are_those_of_the_rfc() {
        for (text, wanted) in [
            ("bytes=0-0", parts(&[(0, 0)])),
            ("bytes=5-", parts(&[(5, 99)])),
            ("bytes=-10", parts(&[(90, 99)])),
            ("bytes=-1000", parts(&[(0, 99)])),
            ("bytes=50-1000", parts(&[(50, 99)])),
            ("Bytes=1-2", parts(&[(1, 2)])),
            ("bytes=100-", Wanted::Impossible),
            ("bytes=100-200", Wanted::Impossible),
            ("bytes=-0", Wanted::Impossible),
            ("bytes=99999999999999999999-", Wanted::Impossible),
            ("bytes=9-5", Wanted::All),
            ("bytes=a-b", Wanted::All),
            ("bytes=1-2x", Wanted::All),
            ("bytes=+1-2", Wanted::All),
            ("bytes=1", Wanted::All),
            ("bytes=", Wanted::All),
            ("bytes=,,", Wanted::All),
            ("lines=1-2", Wanted::All),
            ("bytes = 1-2", Wanted::All),
            ("bytes\u{e4}=1", Wanted::All),
        ] {
            assert_eq!(parse(text, 100), wanted, "{text}");
        }
        assert_eq!(parse("bytes=-5", 0), Wanted::Impossible);
        assert_eq!(parse("bytes=0-", 0), Wanted::Impossible);
    }

    #[test]
    fn several_ranges_stay_in_order_and_do_not_overlap() {
        for (text, wanted) in [
            ("bytes=0-1,5-6", parts(&[(0, 1), (5, 6)])),
            ("bytes=5-6 ,\t0-1", parts(&[(5, 6), (0, 1)])),
            ("bytes=0-1,,5-6,", parts(&[(0, 1), (5, 6)])),
            ("bytes=0-1,200-,5-6", parts(&[(0, 1), (5, 6)])),
            ("bytes=200-,300-", Wanted::Impossible),
            ("bytes=0-5,3-8", parts(&[(0, 8)])),
            ("bytes=0-,0-", Wanted::All),
            ("bytes=0-60,30-90", Wanted::All),
            ("bytes=0-1,2-3", parts(&[(0, 3)])),
            ("bytes=0-1,10-11,1-10", parts(&[(0, 11)])),
            ("bytes=50-60,0-1,10-11,1-10", parts(&[(50, 60), (0, 11)])),
            ("bytes=0-1,9-5", Wanted::All),
            ("bytes=0-1,x", Wanted::All),
        ] {
            assert_eq!(parse(text, 100), wanted, "{text}");
        }
        let many = |count: u64| {
            let all: Vec<String> = (0..count).map(|n| format!("{}-{}", n * 4, n * 4)).collect();
            format!("bytes={}", all.join(","))
        };
        assert!(matches!(parse(&many(16), 100), Wanted::Parts(parts) if parts.len() == 16));
        assert_eq!(parse(&many(17), 100), Wanted::All);
    }

    proptest::proptest! {
        #[test]
        fn any_range_is_inside_of_the_file(data: Vec<u8>) {
            fuzz(&data);
        }

        #[test]
        fn any_ranges_are_inside_of_the_file(size: u16, set in "(([0-9]{0,3}-[0-9]{0,3})[, ]{1,2}){0,20}") {
            let text = format!("bytes={set}");
            fuzz(&[&size.to_le_bytes()[..], text.as_bytes()].concat());
        }
    }
}
