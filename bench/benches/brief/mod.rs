//! The time for each micro-benchmark. All together take about a minute, so that they are run often. Differences of a few
//! percent between two runs are noise of the machine.

use criterion::Criterion;
use std::time::Duration;

/// The settings of every group of benchmarks.
pub fn briefly() -> Criterion {
    Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_millis(800))
        .sample_size(20)
        .nresamples(10_000)
        .without_plots()
}
