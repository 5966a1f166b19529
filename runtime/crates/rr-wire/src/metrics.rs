//! What workers ask of the metrics on the call lane. [`SERIES`] takes a JSON object of a collector and label values and
//! answers with a [`Grant`]; [`RECORD`] is a message without an answer: `u8 change, u32 series, f64 value`.

/// Asks for the place of a series.
pub const SERIES: &str = "metrics.series";
/// Changes a series in the master.
pub const RECORD: &str = "metrics.record";

/// What a worker needs to count a series.
#[derive(Debug, Clone, PartialEq)]
pub struct Grant {
    /// The number of the series, for [`RECORD`].
    pub series: u32,
    /// The first of its cells; `None`: it is counted in the master.
    pub cell: Option<u32>,
    /// Upper bounds of a histogram's buckets, without +Inf; its sum is in the cell behind that of +Inf.
    pub buckets: Vec<f64>,
}

impl Grant {
    /// `u32 series, u32 cell or u32::MAX, f64 bounds…`
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(8 + 8 * self.buckets.len());
        bytes.extend_from_slice(&self.series.to_le_bytes());
        bytes.extend_from_slice(&self.cell.unwrap_or(u32::MAX).to_le_bytes());
        for bound in &self.buckets {
            bytes.extend_from_slice(&bound.to_le_bytes());
        }
        bytes
    }

    /// Reads it; `None`: it is none.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let (series, rest) = bytes.split_first_chunk::<4>()?;
        let (cell, rest) = rest.split_first_chunk::<4>()?;
        let (bounds, []) = rest.as_chunks::<8>() else { return None };
        Some(Self {
            series: u32::from_le_bytes(*series),
            cell: Some(u32::from_le_bytes(*cell)).filter(|cell| *cell != u32::MAX),
            buckets: bounds.iter().map(|bound| f64::from_le_bytes(*bound)).collect(),
        })
    }
}

/// A change of a series that the master keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Change {
    /// Counter, gauge.
    Add = 0,
    /// Gauge.
    Sub = 1,
    /// Gauge.
    Set = 2,
    /// Histogram, summary.
    Observe = 3,
}

/// A change, the series and the number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Record {
    /// What to do.
    pub change: Change,
    /// The number of the series.
    pub series: u32,
    /// By how much, or to what.
    pub value: f64,
}

impl Record {
    /// The body of the message.
    #[must_use]
    pub fn encode(&self) -> [u8; 13] {
        let mut bytes = [0; 13];
        bytes[0] = self.change as u8;
        bytes[1..5].copy_from_slice(&self.series.to_le_bytes());
        bytes[5..].copy_from_slice(&self.value.to_le_bytes());
        bytes
    }

    /// Reads it; `None`: it is none.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let [change, rest @ ..] = bytes else { return None };
        let (series, value) = rest.split_first_chunk::<4>()?;
        let change = match change {
            0 => Change::Add,
            1 => Change::Sub,
            2 => Change::Set,
            3 => Change::Observe,
            _ => return None,
        };
        let value = f64::from_le_bytes(value.try_into().ok()?);
        Some(Self { change, series: u32::from_le_bytes(*series), value })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grants_and_records_survive_the_round_trip_and_others_are_refused() {
        for cell in [None, Some(7)] {
            let grant = Grant { series: 3, cell, buckets: vec![0.1, 5.0] };
            assert_eq!(Grant::parse(&grant.encode()), Some(grant));
        }
        assert_eq!(Grant::parse(&[0; 9]), None);
        let record = Record { change: Change::Observe, series: 9, value: -0.5 };
        assert_eq!(Record::parse(&record.encode()), Some(record));
        assert_eq!(
            (Record::parse(&[4; 13]), Record::parse(&[0; 12]), Record::parse(b"")),
            (None, None, None)
        );
    }
}
