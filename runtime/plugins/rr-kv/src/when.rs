//! Times of RoadRunner's RPC: RFC 3339, against the wall clock at the moment of the call. Inside, everything lives on the
//! monotonic clock, which nobody can set.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Milliseconds from now to a time of RFC 3339.
pub(crate) fn until(text: &str) -> Result<i64, String> {
    let time = OffsetDateTime::parse(text, &Rfc3339).map_err(|error| format!("timeout {text:?}: {error}"))?;
    let left = (time - OffsetDateTime::now_utc()).whole_milliseconds();
    Ok(i64::try_from(left).unwrap_or(if left > 0 { i64::MAX } else { i64::MIN }))
}

/// The time so many milliseconds from now; empty for 0, which is never.
pub(crate) fn after(ttl: u64) -> String {
    if ttl == 0 {
        return String::new();
    }
    let ttl = time::Duration::milliseconds(i64::try_from(ttl).unwrap_or(i64::MAX));
    let time = OffsetDateTime::now_utc().checked_add(ttl);
    // To the millisecond: what lies below is our own arithmetic.
    let time = time.and_then(|time| time.replace_millisecond(time.millisecond()).ok());
    time.and_then(|time| time.format(&Rfc3339).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_there_and_back() {
        let left = until(&after(60_000)).expect("a time");
        assert!((59_000..=60_001).contains(&left), "{left}");
        assert!(until("2001-01-01T00:00:00+02:00").expect("a time") < 0);
        assert!(until("soon").is_err() && until("").is_err());
        assert_eq!(after(0), "");
        assert_eq!(after(u64::MAX), "", "beyond the calendar");
    }
}
