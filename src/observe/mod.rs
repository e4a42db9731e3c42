//! What is counted and told of a core: `gauges` are its counters and levels, `sums` what Pushpin would count, `told` the
//! log lines of counters that have grown, `tallies` the figures of each route, `watch` what the stats socket is told.

#![forbid(unsafe_code)]

mod gauges;
mod sums;
mod tallies;
mod told;
mod watch;

pub use gauges::{Gauge, Gauges, Growth};
pub use sums::Sums;
pub use told::Told;
pub use watch::Watch;
