//! The worker's side of metrics: a series is asked for once, then counted in the worker's own cells; what has no cell
//! is sent to the master, which answers nothing.

use crate::{Session, SessionError};
use rr_shm::cells::{Cells, EPOCH};
use rr_wire::metrics::{Change, Grant, RECORD, Record, SERIES};

/// A series, as the master has granted it.
#[derive(Debug, Clone)]
pub struct Meter {
    cells: Cells,
    /// Of the master's word; another one means that the collector may be gone.
    epoch: u64,
    grant: Grant,
}

impl Meter {
    /// Whether the grant still holds.
    #[must_use]
    #[inline]
    pub fn is_valid(&self) -> bool {
        self.cells.load(EPOCH) == self.epoch
    }

    /// Adds to a counter in the worker's cells; `false`: it has none, or is no longer valid.
    #[must_use]
    #[inline]
    pub fn add(&self, value: f64) -> bool {
        match self.grant.cell {
            Some(cell) if self.is_valid() => {
                self.cells.add(cell as usize, value);
                true
            }
            _ => false,
        }
    }

    /// Counts an observation of a histogram in the worker's cells; `false` as above.
    #[must_use]
    pub fn observe(&self, value: f64) -> bool {
        match self.grant.cell {
            Some(cell) if self.is_valid() => {
                let (first, bounds) = (cell as usize, &self.grant.buckets);
                self.cells.add(first + bounds.partition_point(|bound| *bound < value), 1.0);
                self.cells.add(first + bounds.len() + 1, value);
                true
            }
            _ => false,
        }
    }
}

impl Session {
    /// Asks for a series; `request` is the JSON object that `rr_wire::metrics` describes.
    ///
    /// # Errors
    /// `Refused` with the cause, `TooLarge`, or a broken channel.
    pub fn meter(&mut self, request: &[u8]) -> Result<Meter, SessionError> {
        let cells = self.end.cells();
        // Before the question: what changes after it is asked makes the answer invalid.
        let epoch = cells.load(EPOCH);
        let answer = self.call(SERIES, request)?;
        let grant = Grant::parse(&answer)
            .ok_or_else(|| SessionError::Unexpected("an answer to metrics.series that is none".to_owned()))?;
        Ok(Meter { cells, epoch, grant })
    }

    /// Sends a change to the master; waits for room, not for the master.
    ///
    /// # Errors
    /// The channel is broken.
    pub fn record(&mut self, meter: &Meter, change: Change, value: f64) -> Result<(), SessionError> {
        self.tell(RECORD, &Record { change, series: meter.grant.series, value }.encode())
    }

    /// This worker's cells.
    #[must_use]
    pub fn cells(&self) -> Cells {
        self.end.cells()
    }
}
