//! Series of the HTTP plugin for Prometheus (HS-11): what `http_metrics` counts.

use rr_http::{BOUNDS, Traffic};
use rr_metrics::{Collect, Kind, Page};
use std::sync::Arc;

/// Gives out the counters of the HTTP plugin. Requests that wait are among the series of its pool.
pub(crate) struct HttpSeries(pub(crate) Arc<Traffic>);

impl Collect for HttpSeries {
    fn collect(&self, page: &mut Page) {
        let Self(traffic) = self;
        let lacking = "rr_http_no_free_workers_total";
        page.family(lacking, Kind::Counter, "Requests for which no worker was free within allocate_timeout.");
        page.sample(lacking, &[], traffic.no_free_workers() as f64);
        // A counter in RoadRunner, which promtool refuses by this name.
        let uptime = "rr_http_uptime_seconds";
        page.family(uptime, Kind::Gauge, "How long the HTTP server has been there.");
        page.sample(uptime, &[], traffic.uptime().as_secs() as f64);
        let rows: Vec<_> = traffic.counted().into_iter().map(|row| (row.status.to_string(), row)).collect();
        if rows.is_empty() {
            return;
        }
        let total = "rr_http_request_total";
        page.family(
            total,
            Kind::Counter,
            "Requests that were answered, by status; 499: the client did not wait.",
        );
        for (status, row) in &rows {
            page.sample(total, &[("status", status)], row.buckets.iter().sum::<u64>() as f64);
        }
        let duration = "rr_http_request_duration_seconds";
        page.family(duration, Kind::Histogram, "How long requests took, to the last byte of the answer.");
        for (status, row) in &rows {
            let mut sum = 0;
            for (index, count) in row.buckets.iter().enumerate() {
                sum += count;
                let bound = BOUNDS.get(index).map_or("+Inf".to_owned(), f64::to_string);
                page.sample(&format!("{duration}_bucket"), &[("status", status), ("le", &bound)], sum as f64);
            }
            page.sample(&format!("{duration}_sum"), &[("status", status)], row.seconds);
            page.sample(&format!("{duration}_count"), &[("status", status)], sum as f64);
        }
    }
}
