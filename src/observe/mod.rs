//! Counters, statistics and log lines of a core, for operators. `metrics` has its counters and levels,
//! `pushpin_totals` the totals that Pushpin has, `report_state` logs counters that have grown, `route_stats_table` has
//! the statistics of each route, and `stats_reporter` gathers events for the stats socket.

#![forbid(unsafe_code)]

mod metrics;
mod pushpin_totals;
mod report_state;
mod route_stats_table;
mod stats_reporter;

pub use metrics::{Growth, Metric, Metrics};
pub use pushpin_totals::PushpinTotals;
pub use report_state::ReportState;
pub use stats_reporter::StatsReporter;
