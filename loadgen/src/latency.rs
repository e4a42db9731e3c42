//! A histogram of latencies that can be sent between processes: hdrhistogram inside, pairs of value and count on the wire.
//! Values above an hour count as an hour.

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// A histogram of latencies in nanoseconds.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(into = "Pairs", from = "Pairs")]
pub struct Latencies {
    histogram: Histogram<u64>,
}

#[derive(Serialize, Deserialize)]
struct Pairs {
    digits: u8,
    pairs: Vec<(u64, u64)>,
}

impl Latencies {
    /// An empty histogram with three significant digits.
    pub fn precise() -> Latencies {
        Latencies::with_digits(3)
    }

    /// An empty, small histogram with one significant digit, for a moment of a run.
    pub(crate) fn coarse() -> Latencies {
        Latencies::with_digits(1)
    }

    fn with_digits(digits: u8) -> Latencies {
        let digits = digits.clamp(1, 5);
        let histogram = Histogram::new_with_bounds(1, LARGEST_NS, digits).expect("the bounds are valid");
        Latencies { histogram }
    }

    /// Adds a latency.
    pub fn enter(&mut self, latency_ns: u64) {
        self.histogram.saturating_record(latency_ns);
    }

    /// Adds all latencies of `other`.
    pub fn add(&mut self, other: &Latencies) {
        for (value, count) in other.pairs() {
            self.histogram.saturating_record_n(value, count);
        }
    }

    /// Number of latencies.
    pub fn count(&self) -> u64 {
        self.histogram.len()
    }

    /// The latency that `percent` of all latencies do not exceed.
    pub fn percentile_ns(&self, percent: f64) -> u64 {
        self.histogram.value_at_percentile(percent).min(self.histogram.max())
    }

    /// The largest latency.
    pub fn max_ns(&self) -> u64 {
        self.histogram.max()
    }

    /// The mean latency.
    pub fn mean_ns(&self) -> f64 {
        self.histogram.mean()
    }

    /// Number of latencies within `low_ns..=high_ns`.
    pub(crate) fn count_between(&self, low_ns: u64, high_ns: u64) -> u64 {
        self.histogram.count_between(low_ns, high_ns)
    }

    /// Removes all latencies.
    pub(crate) fn clear(&mut self) {
        self.histogram.reset();
    }

    fn pairs(&self) -> impl Iterator<Item = (u64, u64)> {
        self.histogram.iter_recorded().map(|step| (step.value_iterated_to(), step.count_at_value()))
    }
}

impl From<Latencies> for Pairs {
    fn from(latencies: Latencies) -> Pairs {
        Pairs { digits: latencies.histogram.sigfig(), pairs: latencies.pairs().collect() }
    }
}

impl From<Pairs> for Latencies {
    fn from(wire: Pairs) -> Latencies {
        let mut latencies = Latencies::with_digits(wire.digits);
        for (value, count) in wire.pairs {
            latencies.histogram.saturating_record_n(value, count);
        }
        latencies
    }
}

const LARGEST_NS: u64 = 3_600_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_survive_the_way_between_processes() {
        let mut latencies = Latencies::precise();
        (1..=1000u64).for_each(|us| latencies.enter(us * 1000));
        let wire = serde_json::to_string(&latencies).unwrap();
        let mut sum: Latencies = serde_json::from_str(&wire).unwrap();
        sum.add(&latencies);
        assert_eq!(sum.count(), 2000);
        for (percent, expected_ns) in [(50.0, 500_000u64), (99.0, 990_000), (100.0, 1_000_000)] {
            assert!(sum.percentile_ns(percent).abs_diff(expected_ns) <= expected_ns / 500, "{percent}");
        }
    }

    #[test]
    fn what_is_beyond_an_hour_counts_as_an_hour() {
        let mut latencies = Latencies::precise();
        latencies.enter(u64::MAX);
        assert!(latencies.max_ns() >= LARGEST_NS && latencies.max_ns() < LARGEST_NS + LARGEST_NS / 100);
    }
}
