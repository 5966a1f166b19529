//! Quantiles over the last ten minutes, in bounded memory: sketches of two minutes each, the oldest forgotten, as
//! Prometheus' own clients do it. A quantile is off by 1 % of its value at most.

use sketches_ddsketch::{Config, DDSketch};
use std::time::{Duration, Instant};

/// Sketches, and the time that each covers.
const AGES: usize = 5;
const AGE: Duration = Duration::from_secs(120);
/// 1 % of the value, from a billionth up; more than 1 024 bins (a range of eight digits) merge the smallest values.
const ACCURACY: f64 = 0.01;
const BINS: u32 = 1024;
const SMALLEST: f64 = 1e-9;

/// The observations of one series.
pub(crate) struct Summary {
    pub(crate) count: u64,
    pub(crate) sum: f64,
    /// The youngest is the last. Only summaries with quantiles have any.
    ages: Vec<(Instant, DDSketch)>,
}

impl std::fmt::Debug for Summary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Summary").field("count", &self.count).field("sum", &self.sum).finish_non_exhaustive()
    }
}

impl Summary {
    pub(crate) const fn new() -> Self {
        Self { count: 0, sum: 0.0, ages: Vec::new() }
    }

    /// Takes an observation; `quantiles` says whether somebody will ask for them.
    pub(crate) fn observe(&mut self, value: f64, quantiles: bool, now: Instant) {
        self.count += 1;
        self.sum += value;
        if !quantiles {
            return;
        }
        self.forget(now);
        let young = self.ages.last().is_some_and(|(began, _)| now.saturating_duration_since(*began) < AGE);
        if !young {
            self.ages.push((now, DDSketch::new(Config::new(ACCURACY, BINS, SMALLEST))));
        }
        if let Some((_, sketch)) = self.ages.last_mut() {
            sketch.add(value);
        }
    }

    fn forget(&mut self, now: Instant) {
        let limit = AGE * AGES as u32;
        self.ages.retain(|(began, _)| now.saturating_duration_since(*began) < limit);
    }

    /// The value of each quantile; NaN where nothing was observed lately.
    pub(crate) fn quantiles(&mut self, quantiles: &[f64], now: Instant) -> Vec<f64> {
        self.forget(now);
        let mut ages = self.ages.iter().map(|(_, sketch)| sketch);
        let Some(first) = ages.next() else { return vec![f64::NAN; quantiles.len()] };
        let mut all = first.clone();
        for sketch in ages {
            // All have the same settings, which is all that can be wrong.
            let _ = all.merge(sketch);
        }
        quantiles.iter().map(|quantile| all.quantile(*quantile).ok().flatten().unwrap_or(f64::NAN)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn quantiles_are_of_the_last_ten_minutes() {
        let start = Instant::now();
        let mut summary = Summary::new();
        for value in 1..=1000 {
            summary.observe(f64::from(value), true, start);
        }
        let found = summary.quantiles(&[0.5, 0.99], start);
        assert!((found[0] - 500.0).abs() <= 6.0 && (found[1] - 990.0).abs() <= 11.0, "{found:?}");
        let later = start + Duration::from_secs(300);
        summary.observe(1e6, true, later);
        assert!(summary.quantiles(&[1.0], later)[0] > 9e5);
        let end = start + Duration::from_secs(700);
        assert!(summary.quantiles(&[0.0], end)[0] > 9e5, "the thousand are forgotten");
        let gone = summary.quantiles(&[0.5], later + Duration::from_secs(601));
        assert!(gone[0].is_nan() && summary.count == 1001);
        assert!(summary.ages.is_empty());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        /// Any finite numbers: no panic, bounded memory, quantiles between the smallest and the largest.
        #[test]
        fn any_observations_are_survived(values in proptest::collection::vec(-1e300..1e300_f64, 1..200)) {
            let now = Instant::now();
            let mut summary = Summary::new();
            for value in &values {
                summary.observe(*value, true, now);
            }
            let least = values.iter().copied().fold(f64::INFINITY, f64::min);
            let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let slack = least.abs().max(most.abs()) * 0.011 + 1e-9;
            for found in summary.quantiles(&[0.0, 0.5, 1.0], now) {
                prop_assert!(found >= least - slack && found <= most + slack, "{found} of {least}..{most}");
            }
            prop_assert!(summary.ages[0].1.length() <= 2 * BINS as usize);
        }
    }
}
