//! What `http_metrics` counts (HS-11): requests by status and how long they took. Plain atomics: a request costs three
//! additions, no lock and no memory. Knows nothing of how the numbers are given out.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Upper bounds in seconds, those of Prometheus' own clients; the last bucket has none.
pub const BOUNDS: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

const FIRST: u16 = 100;
const STATUSES: usize = 500;
/// The status of requests whose client did not wait for an answer.
pub(crate) const GONE: u16 = 499;

#[derive(Debug, Default)]
struct Row {
    buckets: [AtomicU64; BOUNDS.len() + 1],
    nanoseconds: AtomicU64,
}

/// What was counted of one status.
#[derive(Debug, Clone, PartialEq)]
pub struct Counted {
    /// The status.
    pub status: u16,
    /// Requests by bucket of [`BOUNDS`], each in one; the last took longer than all of them.
    pub buckets: [u64; BOUNDS.len() + 1],
    /// Seconds that all of them took together.
    pub seconds: f64,
}

/// The counters of a server.
#[derive(Debug)]
pub struct Traffic {
    began: Instant,
    rows: Box<[Row]>,
    no_free_workers: AtomicU64,
}

impl Default for Traffic {
    fn default() -> Self {
        let rows = (0..STATUSES).map(|_| Row::default()).collect();
        Self { began: Instant::now(), rows, no_free_workers: AtomicU64::new(0) }
    }
}

impl Traffic {
    /// A request is over.
    pub(crate) fn count(&self, status: u16, took: Duration) {
        let Some(row) = self.rows.get(usize::from(status.wrapping_sub(FIRST))) else { return };
        let seconds = took.as_secs_f64();
        let bucket = BOUNDS.partition_point(|bound| *bound < seconds);
        row.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        row.nanoseconds.fetch_add(u64::try_from(took.as_nanos()).unwrap_or(0), Ordering::Relaxed);
    }

    /// No worker was free within `allocate_timeout`.
    pub(crate) fn no_free_worker(&self) {
        self.no_free_workers.fetch_add(1, Ordering::Relaxed);
    }

    /// How often no worker was free within `allocate_timeout`.
    #[must_use]
    pub fn no_free_workers(&self) -> u64 {
        self.no_free_workers.load(Ordering::Relaxed)
    }

    /// How long it has counted.
    #[must_use]
    pub fn uptime(&self) -> Duration {
        self.began.elapsed()
    }

    /// The statuses that there were, in order.
    #[must_use]
    pub fn counted(&self) -> Vec<Counted> {
        let load = |number: &AtomicU64| number.load(Ordering::Relaxed);
        let rows = (FIRST..).zip(&*self.rows).map(|(status, row)| Counted {
            status,
            buckets: std::array::from_fn(|index| load(&row.buckets[index])),
            seconds: Duration::from_nanos(load(&row.nanoseconds)).as_secs_f64(),
        });
        rows.filter(|row| row.buckets.iter().any(|count| *count > 0)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_by_status_and_time() {
        let traffic = Traffic::default();
        traffic.count(200, Duration::from_millis(5));
        traffic.count(200, Duration::from_secs(11));
        traffic.count(599, Duration::from_millis(6));
        // No status of HTTP.
        traffic.count(99, Duration::ZERO);
        traffic.count(600, Duration::ZERO);
        let counted = traffic.counted();
        assert_eq!(counted.len(), 2);
        assert_eq!((counted[0].status, counted[0].buckets[0], counted[0].buckets[11]), (200, 1, 1));
        assert!((counted[0].seconds - 11.005).abs() < 1e-9);
        assert_eq!((counted[1].status, counted[1].buckets[1]), (599, 1));
    }
}
