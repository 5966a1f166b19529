//! Durations and sizes as texts: Go's `1m30s`, our `64KB`. Pure functions, both ways.

use std::time::Duration;

/// Why a text is no duration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoDuration {
    /// `60`: a number without a unit.
    NoUnit,
    /// `-5s`.
    Negative,
    /// More than Go's 292 years.
    TooLong,
    /// Anything else.
    Malformed,
}

/// A duration as Go's `time.ParseDuration` reads it.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, NoDuration> {
    let negative = text.starts_with('-');
    let mut rest = text.strip_prefix(['-', '+']).unwrap_or(text);
    if rest == "0" {
        return Ok(Duration::ZERO);
    }
    if rest.is_empty() {
        return Err(NoDuration::Malformed);
    }
    let mut total: u128 = 0;
    while !rest.is_empty() {
        let (whole, after) = digits(rest);
        let (fraction, after) = after.strip_prefix('.').map_or(("", after), digits);
        if whole.is_empty() && fraction.is_empty() {
            return Err(NoDuration::Malformed);
        }
        let end = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let unit: u128 = match &after[..end] {
            "" => return Err(NoDuration::NoUnit),
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => return Err(NoDuration::Malformed),
        };
        let whole: u128 =
            if whole.is_empty() { 0 } else { whole.parse().map_err(|_| NoDuration::TooLong)? };
        // Beyond 18 digits a fraction says nothing about nanoseconds.
        let fraction = &fraction[..fraction.len().min(18)];
        let scale = 10u128.pow(fraction.len() as u32);
        let fraction: u128 = fraction.parse().unwrap_or(0);
        total = total
            .checked_add(whole.checked_mul(unit).ok_or(NoDuration::TooLong)? + fraction * unit / scale)
            .filter(|total| *total <= i64::MAX as u128)
            .ok_or(NoDuration::TooLong)?;
        rest = &after[end..];
    }
    if negative && total > 0 {
        return Err(NoDuration::Negative);
    }
    Ok(Duration::from_nanos(u64::try_from(total).unwrap_or(u64::MAX)))
}

/// A duration in the unit that keeps it whole.
pub(crate) fn show_duration(duration: Duration) -> String {
    let nanos = duration.as_nanos();
    match nanos {
        0 => "0".into(),
        n if n % 1_000_000_000 == 0 => format!("{}s", n / 1_000_000_000),
        n if n % 1_000_000 == 0 => format!("{}ms", n / 1_000_000),
        n if n % 1_000 == 0 => format!("{}us", n / 1_000),
        n => format!("{n}ns"),
    }
}

const UNITS: [(&str, u64); 4] = [("G", 1 << 30), ("M", 1 << 20), ("K", 1 << 10), ("B", 1)];

/// A size such as `64KB`, `10MB`, `1GiB` or `512B`; a bare number counts in `unit`s. `None` if it is none.
pub(crate) fn parse_size(text: &str, unit: u64) -> Option<u64> {
    let (number, suffix) = digits(text.trim());
    let unit = match suffix.trim().to_uppercase().as_str() {
        "" => unit,
        "B" => 1,
        "K" | "KB" | "KIB" => 1 << 10,
        "M" | "MB" | "MIB" => 1 << 20,
        "G" | "GB" | "GIB" => 1 << 30,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(unit)
}

/// A size in the unit that keeps it whole.
pub(crate) fn show_size(bytes: u64) -> String {
    let unit = UNITS.iter().find(|(_, unit)| bytes > 0 && bytes.is_multiple_of(*unit));
    match unit {
        Some((name, unit)) if *unit > 1 => format!("{}{name}B", bytes / unit),
        _ => bytes.to_string(),
    }
}

fn digits(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()))
}
